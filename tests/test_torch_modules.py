"""torch's own table of modules, ``module_db``: every layer and loss of ours gets the inputs written there for torch's.

Each input runs through torch's module and ours with the same state, in float64, in training and in evaluation mode:
outputs, the gradients of inputs and parameters for random incoming gradients, and the state afterwards must agree. What
is passed over stands in the tables below with its reason; what is neither passed nor explained fails.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tinygrad_mlp import Tensor, nn

torch = pytest.importorskip("torch")
pytest.importorskip("expecttest", reason="torch's table of modules needs it")

from torch.testing._internal.common_modules import module_db  # noqa: E402 - needs what is asked for above

KNOWN = {info.name.removeprefix("nn."): info for info in module_db}
OURS = [name for name in KNOWN if hasattr(nn, name)]

SCALAR = "a number has no axis along which probabilities could sum to 1; an error here, 1 in torch"
REASONS: dict[str, dict[str, str]] = {
    "LSTM": {"proj_size": "a projection of the hidden state is another layer here: put nn.Linear behind"},
    "Softmax": {"(0)(<()>)": SCALAR},
    "LogSoftmax": {"(0)(<()>)": SCALAR},
    "Softmin": {"(0)(<()>)": SCALAR},
    "Softplus": {"threshold": "softplus is exact for every x here, so there is no threshold above which it is x"},
}
"""By module and a part of the description of the input: why it does not apply."""


def fresh(value: Any) -> Any:
    """torch's arguments again, those that want gradients as leaves."""
    if isinstance(value, torch.Tensor):
        return value.detach().clone().requires_grad_(value.requires_grad)
    if isinstance(value, (list, tuple)):
        return type(value)(fresh(one) for one in value)
    return {name: fresh(one) for name, one in value.items()} if isinstance(value, dict) else value


def converted(value: Any, leaves: list[tuple[Any, Tensor]]) -> Any:
    """torch's arguments as ours; tensors that want gradients are noted in pairs."""
    if isinstance(value, torch.Tensor):
        array = value.detach().numpy().copy()
        ours = Tensor(array, requires_grad=value.requires_grad)
        if value.requires_grad:
            leaves.append((value, ours))
        return ours
    if isinstance(value, (list, tuple)):
        return type(value)(converted(one, leaves) for one in value)
    if isinstance(value, dict):
        return {name: converted(one, leaves) for name, one in value.items()}
    return value


def flat(value: Any) -> list[Any]:
    if isinstance(value, (list, tuple)):
        return [leaf for one in value for leaf in flat(one)]
    return [] if value is None else [value]


def cases(name: str, training: bool) -> list[Any]:
    info = KNOWN[name]
    torch.manual_seed(0)
    return info.module_inputs_func(info, device="cpu", dtype=torch.float64, requires_grad=True, training=training)


def described(case: Any) -> str:
    def short(value: Any) -> str:
        if isinstance(value, torch.Tensor):
            return f"<{tuple(value.shape)}>"
        if isinstance(value, (list, tuple)):
            return f"({', '.join(map(short, value))})"
        return repr(value)

    parts = [
        ", ".join([*map(short, given.args), *(f"{key}={short(one)}" for key, one in sorted(given.kwargs.items()))])
        for given in (case.constructor_input, case.forward_input)
    ]
    return f"({parts[0]})({parts[1]}) {case.desc}"


def reason(name: str, text: str) -> str | None:
    return next((why for part, why in REASONS.get(name, {}).items() if part in text), None)


def close(ours: Any, theirs: Any, what: str) -> None:
    array = theirs.detach().numpy()
    assert ours.shape == array.shape, what
    np.testing.assert_allclose(ours.data, array, rtol=1e-9, atol=1e-11, err_msg=what)


def check(name: str, case: Any, training: bool) -> None:
    """One input through both modules.

    Raises:
        AssertionError: they disagree.
    """
    torch.manual_seed(1)
    args, kwargs = case.constructor_input.args, case.constructor_input.kwargs
    theirs = getattr(torch.nn, name)(*args, **kwargs).to(torch.float64)
    theirs.train(training)
    ours = getattr(nn, name)(*converted(args, []), **converted(kwargs, [])).double()
    ours.train(training)
    state = {key: value.numpy() for key, value in theirs.state_dict().items()}
    assert {k: v.shape for k, v in ours.state_dict().items()} == {k: v.shape for k, v in state.items()}
    ours.load_state_dict(state)
    leaves: list[tuple[Any, Tensor]] = []
    data = fresh(case.forward_input.args), fresh(case.forward_input.kwargs)
    our_args, our_kwargs = converted(data[0], leaves), converted(data[1], leaves)
    # The one name that differs: a layer's input is x here.
    if "input" in our_kwargs and not our_args:
        our_args = (our_kwargs.pop("input"),)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch's own, of reductions and layouts
        expected = flat(theirs(*data[0], **data[1]))
        warnings.filterwarnings(
            "ignore", "invalid value encountered in log"
        )  # torch's table has negative probabilities
        found = flat(ours(*our_args, **our_kwargs))
    assert len(expected) == len(found)
    rng = np.random.default_rng(0)
    total: Any = 0.0
    our_total: Any = 0.0
    for one, other in zip(found, expected, strict=True):
        close(one, other, "output")
        if other.requires_grad:
            incoming = rng.normal(size=tuple(other.shape))
            total = total + (other * torch.tensor(incoming)).sum()
            our_total = our_total + (one * incoming).sum()
    if isinstance(total, torch.Tensor):
        total.backward()
        our_total.backward()
    pairs = [*leaves, *((dict(theirs.named_parameters())[key], one) for key, one in ours.named_parameters())]
    for theirs_, ours_ in pairs:
        if theirs_.grad is not None:
            close(ours_.grad, theirs_.grad, f"gradient of shape {ours_.shape}")
    for key, value in theirs.state_dict().items():
        close(ours.state_dict()[key], value, f"state {key}")


def applicable(name: str) -> Iterator[tuple[Any, bool]]:
    for training in (True, False):
        for case in cases(name, training):
            if reason(name, described(case)) is None:
                yield case, training


@pytest.mark.parametrize("name", OURS)
def test_module_agrees_with_torch_on_torchs_own_inputs(name: str) -> None:
    """Every input that applies, in both modes; values, gradients, state."""
    failed = []
    for case, training in applicable(name):
        try:
            check(name, case, training)
        except Exception as error:  # noqa: BLE001 - all inputs are tried, then all that failed are told
            failed.append(f"{described(case)} training={training}: {type(error).__name__}: {error}")
    assert not failed, "\n".join(failed)


def figures() -> Counter[str]:
    """How many inputs there are, and how many apply, for the modules that we have."""
    count: Counter[str] = Counter()
    for name in OURS:
        for training in (True, False):
            for case in cases(name, training):
                count["all"] += 1
                count["applicable"] += reason(name, described(case)) is None
    return count


if __name__ == "__main__":
    print(f"{len(OURS)} of {len(KNOWN)} modules; {dict(figures())}")
