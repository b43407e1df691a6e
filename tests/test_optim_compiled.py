"""Every optimizer, with every option, inside compiled steps: what it does eagerly, with rates that a schedule moves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from step_worlds import Twins, classifier, given, network

import tinygrad_mlp as tg
from tinygrad_mlp import Tensor, nn, optim
from tinygrad_mlp.errors import ArgumentError, CaptureError
from tinygrad_mlp.optim import lr_scheduler

BACKENDS = [pytest.param("replay"), pytest.param("native", marks=pytest.mark.compiler)]
CLASSES = {
    name: one
    for name, one in vars(optim).items()
    if isinstance(one, type) and issubclass(one, optim.Optimizer) and one not in {optim.Optimizer, optim.LBFGS}
}


def variants(name: str) -> dict[str, dict[str, Any]]:
    """The defaults, each option that is off by default turned on by itself, and all of them together."""
    defaults = CLASSES[name]([nn.Parameter(1.0)]).defaults
    on: dict[str, Any] = {
        key: True if value is False else 0.1
        for key, value in defaults.items()
        if value is False or (value == 0.0 and key != "dampening")
    }
    found: dict[str, dict[str, Any]] = {"defaults": {}, "everything": on}
    for key, value in on.items():
        found[key] = {key: value, **({"momentum": 0.1} if key == "nesterov" else {})}
    if "dampening" in defaults:
        found["dampening"] = {"momentum": 0.9, "dampening": 0.1, "weight_decay": 0.1}
    return found


CASES = [
    pytest.param(
        name, options, backend, id=f"{name}-{which}-{backend}", marks=[pytest.mark.compiler][: backend == "native"]
    )
    for name in CLASSES
    for which, options in variants(name).items()
    for backend in ("replay", "native")
    if backend == "replay" or which == "everything"
]


def rule(name: str, options: dict[str, Any]) -> Callable[[Any], optim.Optimizer]:
    """Makes the optimizer with two groups, of which the second has a rate of its own."""

    def make(parameters: Any) -> optim.Optimizer:
        first, *rest = parameters
        return CLASSES[name]([{"params": [first]}, {"params": rest, "lr": 0.02}], **options)

    return make


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("name", "options", "backend"), CASES)
def test_steps_are_those_of_eager(name: str, options: dict[str, Any], backend: str, dtype: Any) -> None:
    """Eight steps under a schedule: replay bit by bit, native code within its tolerance; two captures at most."""
    twins = Twins(classifier(rule(name, options), dtype=dtype), backend)
    worlds = (twins.eager, twins.compiled)
    schedules = [lr_scheduler.ExponentialLR(one.optimizer, 0.7) for one in worlds]
    for k in range(8):
        twins.call(*given(k, dtype=dtype))
        for schedule in schedules:
            schedule.step()
    assert schedules[1].get_last_lr() == schedules[0].get_last_lr()
    assert twins.captures <= 2


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_cycle_moves_rate_and_momentum_of_a_compiled_step(backend: str) -> None:
    """OneCycleLR writes both before every step; the compiled step follows without being captured again."""
    twins = Twins(classifier(lambda ps: optim.AdamW(ps, lr=0.1)), backend)
    schedules = [lr_scheduler.OneCycleLR(one.optimizer, 0.3, 30) for one in (twins.eager, twins.compiled)]
    for k in range(12):
        twins.call(*given(k))
        for schedule in schedules:
            schedule.step()
    assert twins.captures <= 2


def test_a_rate_reaches_the_compiled_step() -> None:
    """Rate 0 stops it, and the step is as long as the rate says; a step of a compiled function counts as one."""
    w = nn.Parameter(np.array([1.0]))
    optimizer = optim.SGD([w], lr=0.5)

    @tg.compile(backend="replay")
    def step(x: Any) -> Any:
        optimizer.zero_grad()
        loss = (w * x).sum()
        loss.backward()
        optimizer.step()
        return loss

    schedule = lr_scheduler.LambdaLR(optimizer, lambda t: (1.0, 0.5, 0.0, 2.0)[t])
    moves = []
    for _ in range(3):
        before = w.item()
        step(np.array([1.0]))
        schedule.step()
        moves.append(before - w.item())
    assert moves == [0.5, 0.25, 0.0]


# --- clipping --------------------------------------------------------------------------------------------------------

CLIPS: dict[str, Callable[[list[Tensor]], Any]] = {
    "norm": lambda ps: nn.utils.clip_grad_norm_(ps, 0.1),
    "norm 1": lambda ps: nn.utils.clip_grad_norm_(ps, 0.1, 1.0),
    "norm 3": lambda ps: nn.utils.clip_grad_norm_(ps, 0.1, 3.0),
    "norm inf": lambda ps: nn.utils.clip_grad_norm_(ps, 0.1, np.inf),
    "norm checked": lambda ps: nn.utils.clip_grad_norm_(ps, 0.1, error_if_nonfinite=True),
    "value": lambda ps: nn.utils.clip_grad_value_(ps, 0.01),
}


def clipped(how: str) -> Callable[[], Any]:
    """A world whose gradients are clipped between backward() and the optimizer's step."""

    def make() -> Any:
        world = classifier(lambda ps: optim.SGD(ps, lr=0.1, momentum=0.9))()
        criterion = nn.CrossEntropyLoss()

        def step(x: Any, y: Any) -> Any:
            world.optimizer.zero_grad()
            loss = criterion(world.model(x), y)
            loss.backward()
            norm = CLIPS[how](world.watched)
            world.optimizer.step()
            return loss if norm is None else (loss, norm)

        world.step = step
        return world

    return make


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("how", list(CLIPS))
def test_clipping_inside_a_compiled_step(how: str, backend: str) -> None:
    """Norms, clipped gradients and steps are those of eager."""
    Twins(clipped(how), backend).calls(given(k) for k in range(5))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_norm_that_is_not_finite_stops_a_compiled_step(backend: str) -> None:
    """In the third call, which then has changed nothing; the next one goes on."""
    twins = Twins(clipped("norm checked"), backend)
    twins.calls(given(k) for k in range(2))
    before = [one.data.copy() for one in twins.compiled.watched]
    x, y = given(2)
    x[0, 0] = np.inf
    with np.errstate(all="ignore"), pytest.raises(ArgumentError, match="expected finite"):
        twins.step(x, y)
    assert all(np.array_equal(one.data, kept) for one, kept in zip(twins.compiled.watched, before, strict=True))
    twins.call(*given(3))


# --- what is not for compiled steps ----------------------------------------------------------------------------------


def test_what_counts_in_python_is_refused() -> None:
    """L-BFGS and averages of models, each with its reason."""
    model = network()
    lbfgs, mean = optim.LBFGS(model.parameters()), optim.swa_utils.AveragedModel(model)

    def search(x: Any) -> Any:
        loss = model(x).sum()
        loss.backward()
        lbfgs.step(lambda: loss)
        return loss

    def average(x: Any) -> Any:
        mean.update_parameters(model)
        return model(x)

    for function, match in ((search, "LBFGS evaluates the loss several times"), (average, "update_parameters counts")):
        with pytest.raises(CaptureError, match=match):
            tg.compile(function, backend="replay")(given(0)[0])
