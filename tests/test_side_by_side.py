"""Updates that a replay makes together: the bits of single calls, and that it happens at all."""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import tinygrad_mlp as tg
from tinygrad_mlp import nn, optim
from tinygrad_mlp.optim.room import Room
from tinygrad_mlp.program.side_by_side import joined

RULES: dict[str, Any] = {
    "SGD": lambda ps: optim.SGD(ps, lr=0.1, weight_decay=0.01),
    "momentum": lambda ps: optim.SGD(ps, lr=0.1, momentum=0.9, nesterov=True),
    "Adam": lambda ps: optim.Adam(ps, lr=0.01, weight_decay=0.1),
    "amsgrad": lambda ps: optim.AdamW(ps, lr=0.01, amsgrad=True),
}


def world(rule: str, sizes: list[int], dtype: Any = np.float32) -> tuple[nn.Module, optim.Optimizer, Any]:
    """A model, its optimizer and a step."""
    layers = [nn.Linear(a, b, seed=a, dtype=dtype) for a, b in pairwise(sizes)]
    model = nn.Sequential(*[one for layer in layers for one in (layer, nn.Tanh())][:-1])
    optimizer = RULES[rule](model.parameters())

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = nn.CrossEntropyLoss()(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return model, optimizer, step


def batch(number: int, width: int, dtype: Any = np.float32) -> tuple[Any, Any]:
    """Samples and class ids."""
    rng = np.random.default_rng(number)
    return rng.standard_normal((20, width)).astype(dtype), rng.integers(0, 3, 20)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("sizes", [[4, 7, 5, 3], [300, 440, 3]])
def test_bits_are_those_of_eager(rule: str, sizes: list[int]) -> None:
    """Small parameters in rows and large ones in parts, and other arrays in the state on the way."""
    eager, compiled = world(rule, sizes), world(rule, sizes)
    step = tg.compile(compiled[2], backend="replay")
    for number in range(7):
        if number == 4:  # arrays that do not lie side by side
            for _, optimizer, _ in (eager, compiled):
                optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        x, y = batch(number, sizes[0])
        assert step(x, y).item() == eager[2](tg.Tensor(x), tg.Tensor(y)).item()
    for one, other in zip(compiled[0].parameters(), eager[0].parameters(), strict=True):
        assert one.data.tobytes() == other.data.tobytes()


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_is_one_call_for_all_parameters(rule: str) -> None:
    """All calls but those that read or write the parameters themselves."""
    _, _, function = world(rule, [4, 7, 5, 6, 3])
    step = tg.compile(function, backend="replay")
    for number in range(4):
        step(*batch(number, 4))
    replay = step._last.replayed()
    updates = sum(one.phase == "update" for one in replay.steps)
    lines = replay.code.splitlines()
    after = max(place for place, line in enumerate(lines) if line.startswith("        ")) + 1
    # Those for the weights themselves are left, and with amsgrad the maximum and what comes after it.
    assert len(lines) - after <= updates * {"Adam": 0.3, "amsgrad": 0.7}.get(rule, 0.6)


def test_large_parameters_are_updated_in_parts() -> None:
    """Adam over 132,000 weights is a loop over parts."""
    _, _, function = world("Adam", [300, 440, 3])
    step = tg.compile(function, backend="replay")
    for number in range(3):
        step(*batch(number, 300))
    assert " in parts" in step._last.replayed().code


def test_joined_arrays() -> None:
    """Arrays are joined where they follow each other in one memory, in any layout, and nowhere else."""
    memory = np.arange(20, dtype=np.float32)
    first, second = memory[:6].reshape(2, 3), memory[6:10].reshape(2, 2, order="F")
    found = joined([first, second])
    assert found is not None
    assert found.tolist() == list(range(10))
    assert np.shares_memory(found, memory)
    assert joined([second, first]) is None
    assert joined([first, memory[7:9]]) is None
    assert joined([first, np.zeros(4, np.float32)]) is None
    assert joined([memory[::2]]) is None


def test_room() -> None:
    """State of small parameters lies side by side, has the parameter's layout and is nobody else's."""
    datas = [np.ones((2, 3), np.float32), np.asfortranarray(np.ones((4, 5), np.float32)), np.ones(3), np.ones((70, 70))]
    room = Room()
    room.expect(datas)
    made = {name: [room.zeros_like(name, one) for one in datas] for name in ("mean", "square")}
    for arrays in made.values():
        for one, data in zip(arrays, datas, strict=True):
            assert (one.shape, one.dtype, one.strides) == (data.shape, data.dtype, data.strides)
            assert not one.any()
        assert joined(arrays[:2]) is not None
    for number, one in enumerate(one for arrays in made.values() for one in arrays):
        one += number
    assert [one.max() for arrays in made.values() for one in arrays] == [0, 1, 2, 3, 4, 5, 6, 7]
    assert room.zeros_like("mean", np.ones(5, np.float32)).tolist() == [0] * 5  # more than was expected


def test_optimizers_can_be_copied() -> None:
    """A copy has state of its own."""
    _, optimizer, step = world("Adam", [4, 7, 3])
    x, y = batch(0, 4)
    step(tg.Tensor(x), tg.Tensor(y))
    twin = copy.deepcopy(optimizer)
    before = [state["exp_avg"].copy() for state in twin.state.values()]
    step(tg.Tensor(x), tg.Tensor(y))
    for state, old in zip(twin.state.values(), before, strict=True):
        np.testing.assert_array_equal(state["exp_avg"], old)
