"""Optimizers and schedules against the PyTorch that is installed: its table of options, step by step; and states."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from tinygrad_mlp import Tensor, nn, optim
from tinygrad_mlp.errors import ArgumentError, StateError
from tinygrad_mlp.optim import lr_scheduler as ours

torch = pytest.importorskip("torch")
theirs = torch.optim.lr_scheduler
tree_leaves = torch.utils._pytree.tree_leaves
table = pytest.importorskip("torch.testing._internal.common_optimizers")

STEPS = 100
ABSENT = {
    "ASGD": "averaged SGD: not among the optimizers of this package; AveragedModel averages",
    "Adafactor": "not among the optimizers of this package",
    "Muon": "not among the optimizers of this package",
    "SparseAdam": "for sparse gradients, which there are not",
}
"""Rows of torch's table that do not apply."""
ROWS = {row.optim_cls.__name__: row for row in table.optim_db}
# Where shapes differ there is something for broadcasting and for layouts to get wrong.
SHAPES = ((3, 2), (4,), ())
# Largest difference over the largest value. The same formula, rounded a few times differently; NAdam keeps the product
# of 100 factors in the parameter's dtype, where torch goes through double.
TOLERANCE = {"float64": 1e-14, "float32": 5e-6}


def plain(value: Any) -> Any:
    """Options as numbers: torch's table has some as tensors."""
    return value.item() if isinstance(value, torch.Tensor) else value


CASES = [
    pytest.param(name, {key: plain(value) for key, value in one.kwargs.items()}, id=f"{name}-{one.desc}")
    for name, row in ROWS.items()
    if name not in ABSENT and name != "LBFGS"
    for one in row.optim_inputs_func("cpu")
]
SEARCHES = [
    pytest.param({key: plain(value) for key, value in one.kwargs.items()}, id=one.desc)
    for one in ROWS["LBFGS"].optim_inputs_func("cpu")
]
NAMES = sorted({case.values[0] for case in CASES})
dtypes = pytest.mark.parametrize("dtype", ["float64", "float32"])


@pytest.fixture
def default_dtype(dtype: str) -> Iterator[None]:
    """Torch keeps NAdam's product in the default dtype."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, dtype))
    yield
    torch.set_default_dtype(before)


class Race:
    """Parameters in both libraries, pulled to somewhere else by noise that is the same for both."""

    def __init__(self, dtype: str, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.start = [np.asarray(rng.normal(size=shape)).astype(dtype) for shape in SHAPES]
        self.noise = [rng.normal(size=(STEPS, *shape)).astype(dtype) for shape in SHAPES]
        self.bend = [np.asarray(rng.uniform(0.1, 2.0, shape)).astype(dtype) for shape in SHAPES]
        self.torch = [torch.tensor(one, requires_grad=True) for one in self.start]
        self.mine = [nn.Parameter(one) for one in self.start]

    def gradients(self, step: int) -> None:
        """Set all gradients; the last parameter gets one in every third step only."""
        for place, (right, one, noise, bend) in enumerate(
            zip(self.torch, self.mine, self.noise, self.bend, strict=True)
        ):
            skipped = place == 2 and step % 3
            right.grad = None if skipped else torch.tensor(noise[step]) + torch.tensor(bend) * right.detach()
            one.grad = None if skipped else Tensor(noise[step] + bend * one.data)

    def check(self, dtype: str) -> None:
        right = np.concatenate([one.detach().numpy().ravel() for one in self.torch])
        mine = np.concatenate([one.data.ravel() for one in self.mine])
        assert mine.dtype == right.dtype == dtype
        assert np.abs(mine - right).max() <= TOLERANCE[dtype] * np.abs(right).max()

    def run(self, right: Any, mine: optim.Optimizer, steps: range, dtype: str) -> None:
        for step in steps:
            self.gradients(step)
            right.step()
            mine.step()
            self.check(dtype)


def test_the_rows_of_the_table_are_ours_or_explained() -> None:
    """Nothing is left out silently; the counts are those that the documentation names."""
    assert set(ROWS) == {*NAMES, "LBFGS", *ABSENT}
    assert not any(hasattr(optim, name) for name in ABSENT)
    assert all(hasattr(optim, name) for name in (*NAMES, "LBFGS"))
    assert (len(CASES), len(SEARCHES)) >= (63, 5)


@dtypes
@pytest.mark.usefixtures("default_dtype")
@pytest.mark.parametrize(("name", "options"), CASES)
def test_every_option_of_the_table_at_every_step(name: str, options: dict[str, Any], dtype: str) -> None:
    """100 steps, some of them without a gradient for one parameter."""
    race = Race(dtype)
    right, mine = getattr(torch.optim, name)(race.torch, **options), getattr(optim, name)(race.mine, **options)
    race.run(right, mine, range(STEPS), dtype)
    moved = [np.abs(one.data - start).max() for one, start in zip(race.mine, race.start, strict=True)]
    assert min(moved) > 1e-5


@pytest.mark.parametrize("name", [*NAMES, "LBFGS"])
def test_arguments_and_defaults_are_those_of_torch(name: str) -> None:
    """Every option has torch's name and value; what torch has besides is a way to run a step, or decides the class."""
    right = getattr(torch.optim, name)([torch.zeros(1, requires_grad=True)]).defaults
    mine = getattr(optim, name)([nn.Parameter(1.0)]).defaults
    assert {key: right[key] for key in mine} == mine
    assert set(right) - set(mine) <= {"foreach", "fused", "capturable", "differentiable", "decoupled_weight_decay"}


ERRORS = [
    pytest.param(name, one.optimizer_error_input.kwargs, id=f"{name}-{one.optimizer_error_input.desc}")
    for name, row in ROWS.items()
    if name not in ABSENT
    for one in row.optim_error_inputs_func("cpu", torch.float32)
    if one.optimizer_error_input.params is None
    and not any(isinstance(part, torch.Tensor) for part in tree_leaves(one.optimizer_error_input.kwargs))
]
"""Wrong options. Not those with tensors, which are wrong for torch's ways to run a step; here a tensor is a number."""


@pytest.mark.parametrize(("name", "options"), ERRORS)
def test_what_torch_refuses_is_refused(name: str, options: dict[str, Any]) -> None:
    """Torch's own table of wrong options."""
    with pytest.raises(ArgumentError, match=name):
        getattr(optim, name)([nn.Parameter(1.0)], **options)


@pytest.mark.parametrize("name", NAMES)
def test_hints_on_how_to_run_a_step(name: str) -> None:
    """Torch's defaults of `foreach` and its like are taken, anything else is refused by name."""
    make = getattr(optim, name)
    make([nn.Parameter(1.0)], foreach=None, fused=False, capturable=False, differentiable=False)
    for hint in ("foreach", "fused", "capturable", "differentiable"):
        with pytest.raises(ArgumentError, match=f"{name}: {hint}=True"):
            make([nn.Parameter(1.0)], **{hint: True})
    with pytest.raises(ArgumentError, match="unknown option 'wieght_decay'"):
        make([nn.Parameter(1.0)], wieght_decay=0.1)


# --- states ----------------------------------------------------------------------------------------------------------


def as_torch(value: Any) -> Any:
    """Our state with torch's tensors in it: all that a conversion is."""
    if isinstance(value, dict):
        return {key: as_torch(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(as_torch(one) for one in value)
    return torch.tensor(value.numpy()) if isinstance(value, Tensor) else value


@dtypes
@pytest.mark.usefixtures("default_dtype")
@pytest.mark.parametrize(("name", "options"), CASES)
def test_states_go_over_both_ways(name: str, options: dict[str, Any], dtype: str) -> None:
    """After 5 steps the two change places with each other's state, and go on as one."""
    race = Race(dtype)
    make_right, make_mine = getattr(torch.optim, name), getattr(optim, name)
    right, mine = make_right(race.torch, **options), make_mine(race.mine, **options)
    race.run(right, mine, range(5), dtype)
    exported, imported = mine.state_dict(), right.state_dict()
    assert_same_keys(exported, imported)
    right, mine = make_right(race.torch), make_mine(race.mine)
    mine.load_state_dict(imported)
    right.load_state_dict(as_torch(exported))
    race.run(right, mine, range(5, 12), dtype)


def assert_same_keys(mine: Any, right: Any) -> None:
    assert mine["state"].keys() == right["state"].keys()
    for key, entry in mine["state"].items():
        assert entry.keys() == right["state"][key].keys()
        assert {k: np.shape(as_torch(v)) for k, v in entry.items()} == {
            k: tuple(v.shape) for k, v in right["state"][key].items()
        }
    for group, other in zip(mine["param_groups"], right["param_groups"], strict=True):
        assert group["params"] == other["params"]
        assert set(group) <= set(other)


def test_a_state_of_another_class_is_refused() -> None:
    """AdamW and Adam have the same arrays; torch tells them apart by an option."""
    parameter = torch.zeros(1, requires_grad=True)
    state = torch.optim.AdamW([parameter]).state_dict()
    with pytest.raises(StateError, match="decoupled_weight_decay=True is not Adam"):
        optim.Adam([nn.Parameter(1.0)]).load_state_dict(state)
    optim.AdamW([nn.Parameter([1.0])]).load_state_dict(state)


# --- L-BFGS ----------------------------------------------------------------------------------------------------------


class Regression:
    """Logistic regression with a penalty: smooth and convex, so that rounding stays small over many steps."""

    def __init__(self, dtype: str) -> None:
        rng = np.random.default_rng(3)
        self.x = rng.normal(size=(40, 4)).astype(dtype)
        self.y = (self.x @ rng.normal(size=4) + rng.normal(size=40) > 0).astype(dtype)
        start = [rng.normal(size=4).astype(dtype), np.zeros((), dtype)]
        self.torch = [torch.tensor(one, requires_grad=True) for one in start]
        self.mine = [nn.Parameter(one) for one in start]
        self.counts = [0, 0]

    def closures(self, right: Any, mine: optim.Optimizer) -> tuple[Callable[[], Any], Callable[[], Any]]:
        def torch_loss() -> Any:
            self.counts[0] += 1
            right.zero_grad()
            z = torch.tensor(self.x) @ self.torch[0] + self.torch[1]
            loss = torch.nn.functional.binary_cross_entropy_with_logits(z, torch.tensor(self.y))
            loss = loss + 0.1 * (self.torch[0] ** 2).sum()
            loss.backward()
            return loss

        def my_loss() -> Tensor:
            self.counts[1] += 1
            mine.zero_grad()
            z = Tensor(self.x) @ self.mine[0] + self.mine[1]
            loss = nn.BCEWithLogitsLoss()(z, Tensor(self.y)) + 0.1 * (self.mine[0] ** 2).sum()
            loss.backward()
            return loss

        return torch_loss, my_loss

    def difference(self) -> float:
        pairs = zip(self.torch, self.mine, strict=True)
        return float(max(np.abs(one.detach().numpy() - other.data).max() for one, other in pairs))


@dtypes
@pytest.mark.parametrize("options", SEARCHES)
def test_lbfgs_at_every_step(options: dict[str, Any], dtype: str) -> None:
    """100 moves, 20 in a step; the closure is asked equally often for as long as the loss moves at all."""
    world = Regression(dtype)
    right, mine = torch.optim.LBFGS(world.torch, **options), optim.LBFGS(world.mine, **options)
    first, second = world.closures(right, mine)
    for step in range(5 if "lr" in options else 3):
        losses = right.step(first).item(), mine.step(second).item()
        assert losses[1] == pytest.approx(losses[0], rel=TOLERANCE[dtype] * 100)
        assert world.difference() <= {"float64": 1e-9, "float32": 1e-3}[dtype]
        if step < 2 and dtype == "float64":
            assert world.counts[0] == world.counts[1]
    if not options.get("lr"):
        assert world.difference() <= {"float64": 1e-7, "float32": 1e-3}[dtype]


@pytest.mark.parametrize("seed", range(6))
def test_the_line_search_tries_the_points_that_torch_tries(seed: int) -> None:
    """In a curved valley, from starts where it has to go far out and to divide intervals: 12 moves, every point."""
    start = np.random.default_rng(seed).normal(size=4) * (1.0 + seed)
    p, q = torch.tensor(start, requires_grad=True), nn.Parameter(start)
    options = {"max_iter": 12, "lr": (0.01, 1.0, 8.0)[seed % 3], "line_search_fn": "strong_wolfe"}
    right, mine = torch.optim.LBFGS([p], **options), optim.LBFGS([q], **options)
    tried: tuple[list[Any], list[Any]] = ([], [])

    def closure(x: Any, optimizer: Any, points: list[Any]) -> Any:
        points.append(x.tolist())
        optimizer.zero_grad()
        loss = (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()
        loss.backward()
        return loss

    right.step(lambda: closure(p, right, tried[0]))
    mine.step(lambda: closure(q, mine, tried[1]))
    assert len(tried[0]) == len(tried[1]) >= 13
    np.testing.assert_allclose(tried[1], tried[0], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("options", [{}, {"line_search_fn": "strong_wolfe"}, {"history_size": 2, "max_iter": 3}])
def test_lbfgs_states_go_over_both_ways(options: dict[str, Any]) -> None:
    """Plain numbers, arrays and lists of arrays, by torch's names."""
    options = {"max_iter": 4, **options}
    world = Regression("float64")
    right, mine = torch.optim.LBFGS(world.torch, **options), optim.LBFGS(world.mine, **options)
    for one, closure in zip((right, mine), world.closures(right, mine), strict=True):
        one.step(closure)
    exported, imported = mine.state_dict(), right.state_dict()
    assert set(imported["state"][0]) - set(exported["state"][0]) <= {"al"}
    right, mine = torch.optim.LBFGS(world.torch), optim.LBFGS(world.mine)
    right.load_state_dict(as_torch(exported))
    mine.load_state_dict(imported)
    for one, closure in zip((right, mine), world.closures(right, mine), strict=True):
        one.step(closure)
    assert world.difference() <= 1e-12


def test_lbfgs_says_what_it_needs() -> None:
    """A closure, one group, options in range, a state that fits."""
    p = nn.Parameter([1.0, 2.0])
    optimizer = optim.LBFGS([p])
    with pytest.raises(ArgumentError, match=r"step\(closure\)"):
        optimizer.step()
    with pytest.raises(ArgumentError, match="one group"):
        optimizer.add_param_group({"params": [nn.Parameter(1.0)]})
    for wrong in ({"max_iter": 0}, {"history_size": 1.5}, {"line_search_fn": "armijo"}, {"lr": -1}):
        with pytest.raises(ArgumentError, match=next(iter(wrong))):
            optim.LBFGS([p], **wrong)
    state = optimizer.state_dict()
    for entry, match in (({"d": np.zeros(3)}, "'d': expected vector of 2"), ({"dd": 1}, "'dd' unexpected")):
        with pytest.raises(StateError, match=match):
            optimizer.load_state_dict({**state, "state": {0: entry}})
    with pytest.raises(StateError, match="parameter 0"):
        optimizer.load_state_dict({**state, "state": {0: 3}})


# --- schedules -------------------------------------------------------------------------------------------------------


class Fall:
    """A factor that remembers how often it was asked."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, step: int) -> float:
        self.calls += 1
        return 1.0 / (1.0 + 0.1 * step + 0.01 * self.calls)


class Scale:
    """A height that is kept by an object."""

    def __init__(self, base: float) -> None:
        self.base = base

    def __call__(self, x: float) -> float:
        return self.base**x


def sequence(room: Any, optimizer: Any) -> Any:
    parts = [
        room.LinearLR(optimizer, start_factor=0.1, total_iters=10),
        room.CosineAnnealingLR(optimizer, T_max=30),
        room.ExponentialLR(optimizer, gamma=0.9),
    ]
    return room.SequentialLR(optimizer, parts, milestones=[10, 45])


def nested(room: Any, optimizer: Any) -> Any:
    inner = room.SequentialLR(
        optimizer,
        [room.ConstantLR(optimizer, 0.5, 4), room.CosineAnnealingWarmRestarts(optimizer, 7, 2)],
        milestones=[5],
    )
    return room.SequentialLR(optimizer, [inner, room.StepLR(optimizer, 8, 0.5)], milestones=[60])


def chain(room: Any, optimizer: Any) -> Any:
    return room.ChainedScheduler([room.ConstantLR(optimizer, 0.1, 20), room.ExponentialLR(optimizer, 0.95)])


def of(name: str, *args: Any, **options: Any) -> Any:
    def make(room: Any, optimizer: Any) -> Any:
        mine = copy.deepcopy((args, options))  # functions that remember something do it for one library
        return getattr(room, name)(optimizer, *mine[0], **mine[1])

    return pytest.param(make, id=_id(name, args, options))


def _id(name: str, args: tuple[Any, ...], options: dict[str, Any]) -> str:
    """A name that is the same in every process: functions by their names, objects by their classes."""

    def said(value: Any) -> str:
        if isinstance(value, (list, tuple)):
            return f"[{', '.join(map(said, value))}]"
        if value is None or isinstance(value, (bool, int, float, str)):
            return str(value)
        return str(getattr(value, "__name__", type(value).__name__))

    return "-".join([name, *map(said, args), *map(said, options.values())])


def half(step: int) -> float:
    return 0.5 ** (step / 30)


def third(step: int) -> float:
    return 0.97 if step % 3 else 1.01


SCHEDULES = [
    of("LambdaLR", half),
    of("LambdaLR", [half, third]),
    of("LambdaLR", lr_lambda=Fall()),
    of("MultiplicativeLR", third),
    of("MultiplicativeLR", [half, third]),
    of("StepLR", 7),
    of("StepLR", 30, gamma=0.5),
    of("StepLR", 1, 0.99),
    of("MultiStepLR", [10, 30, 30, 60]),
    of("MultiStepLR", (1, 99), gamma=0.3),
    of("ConstantLR"),
    of("ConstantLR", 0.25, 40),
    of("ConstantLR", 1.0, 3),
    of("LinearLR"),
    of("LinearLR", 0.01, 1.0, 50),
    of("LinearLR", 1.0, 0.0, 80),
    of("LinearLR", 0.5, 0.25, 99),
    of("ExponentialLR", 0.9),
    of("ExponentialLR", gamma=1.01),
    of("PolynomialLR"),
    of("PolynomialLR", 70, 2.0),
    of("PolynomialLR", total_iters=120, power=0.9),
    of("CosineAnnealingLR", 100),
    of("CosineAnnealingLR", 20, 0.01),
    of("CosineAnnealingLR", T_max=33, eta_min=1e-4),
    of("CosineAnnealingWarmRestarts", 10),
    of("CosineAnnealingWarmRestarts", 5, 2),
    of("CosineAnnealingWarmRestarts", T_0=7, T_mult=3, eta_min=0.01),
    of("CyclicLR", 0.01, 0.2, 10),
    of("CyclicLR", 0.01, [0.2, 0.3], 5, 12, mode="triangular2"),
    of("CyclicLR", [0.01, 0.02], 0.2, 8, mode="exp_range", gamma=0.98, base_momentum=0.7, max_momentum=0.99),
    of("CyclicLR", 0.01, 0.2, 10, cycle_momentum=False),
    of("CyclicLR", 0.01, 0.2, 6, scale_fn=half, scale_mode="iterations"),
    of("CyclicLR", 0.01, 0.2, 6, scale_fn=Scale(0.5)),
    of("OneCycleLR", 0.3, 100),
    of("OneCycleLR", [0.3, 0.2], total_steps=120, anneal_strategy="linear"),
    of("OneCycleLR", 0.3, epochs=10, steps_per_epoch=11, three_phase=True, pct_start=0.4),
    of("OneCycleLR", 0.3, 101, cycle_momentum=False, div_factor=10.0, final_div_factor=100.0),
    of("OneCycleLR", 0.3, 101, base_momentum=[0.8, 0.7], max_momentum=0.9),
    pytest.param(sequence, id="SequentialLR"),
    pytest.param(
        nested,
        id="SequentialLR-nested",
        marks=pytest.mark.filterwarnings("ignore:.*came before optimizer:UserWarning", "ignore:Detected:UserWarning"),
    ),
    pytest.param(chain, id="ChainedScheduler"),
]
AVERAGING = [
    pytest.param({"swa_lr": 0.05}, id="default"),
    pytest.param({"swa_lr": [0.05, 0.2], "anneal_epochs": 7, "anneal_strategy": "linear"}, id="linear"),
    pytest.param({"swa_lr": 0.05, "anneal_epochs": 0}, id="at once"),
    pytest.param({"swa_lr": 0.5, "anneal_epochs": 150}, id="slow"),
]
PLATEAUS = [
    {},
    {"patience": 3, "factor": 0.5},
    {"patience": 2, "threshold": 0.05, "threshold_mode": "abs", "cooldown": 3, "min_lr": [1e-3, 1e-2]},
    {"mode": "max", "patience": 2, "threshold": 0.1, "min_lr": 0.01},
    {"mode": "max", "patience": 1, "threshold": 0.1, "threshold_mode": "abs", "eps": 0.01},
]


def optimizers(kind: str) -> tuple[Any, optim.Optimizer]:
    """Two groups with rates of their own, in both libraries; no gradients, for the rates alone are looked at."""
    options: dict[str, Any] = {"lr": 0.1} | ({"momentum": 0.9} if kind == "SGD" else {})
    made = []
    for room, make in ((torch.optim, lambda: torch.zeros(1, requires_grad=True)), (optim, lambda: nn.Parameter([0.0]))):
        groups = [{"params": [make()]}, {"params": [make()], "lr": 0.03}]
        made.append(getattr(room, kind)(groups, **options))
    return made[0], made[1]


def shown(optimizer: Any) -> list[dict[str, Any]]:
    """What schedules write into the groups."""
    names = ("lr", "momentum", "betas", "initial_lr", "max_lr", "min_lr", "base_momentum", "max_momentum", "swa_lr")
    return [{name: group[name] for name in names if name in group} for group in optimizer.param_groups]


def known(state: Any) -> Any:
    """A state without what a library keeps for itself: functions, and the marks of a call in progress."""
    if not isinstance(state, dict):
        return [known(one) for one in state] if isinstance(state, (list, tuple)) else state
    return {
        str(key): known(value)
        for key, value in state.items()
        if key not in ("_is_initial", "_get_lr_called_within_step", "_scale_fn_ref")
    }


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
@pytest.mark.parametrize("make", SCHEDULES)
def test_schedules_at_every_step(make: Callable[[Any, Any], Any], kind: str) -> None:
    """100 rates of both groups and all momenta, bit by bit, through checkpoints in the middle; states of one layout."""
    first, second = optimizers(kind)
    right, mine = make(theirs, first), make(ours, second)
    for step in range(STEPS):
        assert shown(second) == shown(first), step
        assert mine.get_last_lr() == right.get_last_lr()
        if step == 37:
            state = copy.deepcopy((mine.state_dict(), second.state_dict()))
            assert known(state[0]) == known(right.state_dict())
            assert json.loads(json.dumps(known(state[0]))) == json.loads(json.dumps(known(right.state_dict())))
            second = optimizers(kind)[1]
            mine = make(ours, second)
            second.load_state_dict(state[1])
            mine.load_state_dict(state[0])
        if step == 61:  # torch's own state, and ours in torch
            state = copy.deepcopy((mine.state_dict(), right.state_dict()))
            mine.load_state_dict({key: state[1][key] for key in state[0]})
            right.load_state_dict(state[0])
        for one in (first, second, right, mine):
            one.step()


@pytest.mark.parametrize("options", AVERAGING)
def test_rates_for_averaging_at_every_step(options: dict[str, Any]) -> None:
    """SWALR, the same way; it begins in the middle of training, when another schedule has moved the rates."""
    first, second = optimizers("SGD")
    before = theirs.ExponentialLR(first, 0.9), ours.ExponentialLR(second, 0.9)
    for _ in range(10):
        for one in (first, second, *before):
            one.step()
    right = torch.optim.swa_utils.SWALR(first, **options)
    mine = optim.swa_utils.SWALR(second, **options)
    for step in range(STEPS):
        assert shown(second) == shown(first), step
        if step == 5:
            mine.load_state_dict(mine.state_dict())
        for one in (first, second, right, mine):
            one.step()


@pytest.mark.parametrize("options", PLATEAUS, ids=str)
def test_plateaus_at_every_step(options: dict[str, Any]) -> None:
    """ReduceLROnPlateau on a loss that falls ever more slowly, with noise and with NaN."""
    rng = np.random.default_rng(1)
    losses = np.exp(-np.arange(STEPS) / 20) + 0.05 * rng.normal(size=STEPS)
    losses[[20, 21]] = math.nan
    first, second = optimizers("SGD")
    right, mine = theirs.ReduceLROnPlateau(first, **options), ours.ReduceLROnPlateau(second, **options)
    for step, loss in enumerate(losses.tolist()):
        right.step(loss)
        mine.step(Tensor(loss))
        assert shown(second)[0]["lr"] == pytest.approx(shown(first)[0]["lr"], rel=1e-15)
        assert mine.get_last_lr() == right.get_last_lr()
        if step == 50:
            assert known(mine.state_dict()).keys() == known(right.state_dict()).keys()
            state = mine.state_dict()
            mine = ours.ReduceLROnPlateau(second)
            mine.load_state_dict(json.loads(json.dumps(state)))
    assert len(set(np.round(right.get_last_lr(), 12)) | {0.1}) > 1 or options == {}


def test_every_schedule_of_torch_is_there_and_tested() -> None:
    """Those of ours that torch lacks are named."""
    names = {name for name in theirs.__all__ if name != "LRScheduler"}
    assert names <= set(ours.__all__)
    assert set(ours.__all__) - names == {"InverseTimeLR", "LRScheduler"}
    tried = {case.id.partition("-")[0] for case in SCHEDULES} | {"ReduceLROnPlateau"}
    assert tried == names


def test_inverse_time_is_that_of_keras() -> None:
    """Torch has no such schedule, but the same numbers through LambdaLR."""
    for staircase in (False, True):
        first, second = optimizers("SGD")

        def factor(step: int, staircase: bool = staircase) -> float:
            return 1 / (1 + 0.7 * (step // 3 if staircase else step / 3))

        right = theirs.LambdaLR(first, factor)
        mine = ours.InverseTimeLR(second, decay_steps=3, decay_rate=0.7, staircase=staircase)
        for _ in range(STEPS):
            np.testing.assert_allclose(mine.get_last_lr(), right.get_last_lr(), rtol=1e-15)
            for one in (first, second, right, mine):
                one.step()


@pytest.mark.parametrize("make", SCHEDULES[:1])
def test_the_order_of_steps_is_warned_of_as_in_torch(make: Callable[[Any, Any], Any]) -> None:
    """One warning, in the first step; none after an optimizer step; a given epoch has its own."""
    for room, optimizer in zip((theirs, ours), optimizers("SGD"), strict=True):
        schedule = make(room, optimizer)
        with pytest.warns(UserWarning, match=r"optimizer\.step\(\)"):
            schedule.step()
        schedule.step()
        again = make(room, optimizer)
        with pytest.warns(UserWarning, match=r"get_last_lr"):
            again.get_lr()
        optimizer.step()
        again.step()
        with pytest.warns(UserWarning, match="step"):
            again.step(5)
        assert again.get_last_lr() == [0.1 * half(5), 0.03 * half(5)]


# --- clipping and averages ------------------------------------------------------------------------------------------


@dtypes
@pytest.mark.parametrize("order", [0.0, 0.5, 1.0, 2.0, 3, math.inf, -math.inf])
def test_clipping_by_norm(order: float, dtype: str) -> None:
    """The norm, and the gradients after it, whether there is something to clip or not."""
    for most in (0.1, 1e3):
        race = Race(dtype)
        race.gradients(1)
        right = torch.nn.utils.clip_grad_norm_(race.torch, most, order)
        mine = nn.utils.clip_grad_norm_(race.mine, most, order)
        assert mine.dtype == dtype
        np.testing.assert_allclose(mine.item(), right.item(), rtol=1e-6 if dtype == "float32" else 1e-14)
        check_gradients(race, dtype)


@dtypes
def test_clipping_by_value(dtype: str) -> None:
    """Bit by bit, NaN and infinities included; in place."""
    race = Race(dtype)
    race.gradients(0)
    race.torch[0].grad[0, :] = torch.tensor([math.nan, math.inf])
    race.mine[0].grad.data[0, :] = [math.nan, math.inf]
    arrays = [one.grad.data for one in race.mine]
    torch.nn.utils.clip_grad_value_(race.torch, 0.3)
    nn.utils.clip_grad_value_(iter(race.mine), 0.3)
    check_gradients(race, dtype)
    assert all(one.grad.data is array for one, array in zip(race.mine, arrays, strict=True))


def check_gradients(race: Race, dtype: str) -> None:
    for right, mine in zip(race.torch, race.mine, strict=True):
        assert (right.grad is None) == (mine.grad is None)
        if mine.grad is not None:
            assert mine.grad.dtype == dtype
            np.testing.assert_allclose(mine.grad.data, right.grad.numpy(), rtol=1e-6 if dtype == "float32" else 1e-14)


def test_norms_that_are_not_finite() -> None:
    """Refused if asked, with the gradients as they were; else they spread, as in torch. No tensors: zero."""
    w = nn.Parameter([1.0, 2.0])
    w.grad = Tensor([math.nan, 1.0])
    with pytest.raises(ArgumentError, match="expected finite"):
        nn.utils.clip_grad_norm_([w], 1.0, error_if_nonfinite=True)
    assert w.grad.tolist()[1] == 1.0
    assert math.isnan(nn.utils.clip_grad_norm_(w, 1.0).item())
    assert nn.utils.get_total_norm([]).item() == 0.0
    assert nn.utils.get_total_norm([Tensor(np.zeros((0, 2))), Tensor([-3.0])], math.inf).item() == 3.0
    with pytest.raises(ArgumentError, match="norm_type"):
        nn.utils.get_total_norm([w], math.nan)


AVERAGES: dict[str, Callable[[Any], dict[str, Any]]] = {
    "mean": lambda room: {},
    "ema": lambda room: {"avg_fn": room.get_ema_avg_fn(0.9)},
    "ema of all": lambda room: {"multi_avg_fn": room.get_ema_multi_avg_fn(0.75)},
    # Torch turns the count into a share in single precision here.
    "mean of all, buffers": lambda room: {"multi_avg_fn": room.get_swa_multi_avg_fn(), "use_buffers": True},
}


@pytest.mark.parametrize("how", list(AVERAGES))
def test_averaged_models(how: str) -> None:
    """Weights and counts are torch's after every update, also through a state dict."""
    rng = np.random.default_rng(0)
    right_model, model = torch.nn.Linear(3, 2, dtype=torch.float64), nn.Linear(3, 2, dtype="float64")
    right = torch.optim.swa_utils.AveragedModel(right_model, **AVERAGES[how](torch.optim.swa_utils))
    mine = optim.swa_utils.AveragedModel(model, **AVERAGES[how](optim.swa_utils))
    for update in range(10):
        values = {"weight": rng.normal(size=(2, 3)), "bias": rng.normal(size=2)}
        model.load_state_dict(values)
        right_model.load_state_dict({name: torch.tensor(one) for name, one in values.items()})
        right.update_parameters(right_model)
        mine.update_parameters(model)
        state = mine.state_dict()
        assert set(state) == set(right.state_dict())
        for name, value in right.state_dict().items():
            np.testing.assert_allclose(state[name].data, value.numpy(), rtol=1e-6 if "buffers" in how else 1e-13)
        if update == 4:
            mine = optim.swa_utils.AveragedModel(model, **AVERAGES[how](optim.swa_utils))
            mine.load_state_dict(state)
    x = Tensor(rng.normal(size=(5, 3)))
    assert np.array_equal(mine(x).data, mine.module(x).data)
    with pytest.raises(ArgumentError, match="decay"):
        optim.swa_utils.get_ema_avg_fn(1.5)
    with pytest.raises(ArgumentError, match="not both"):
        optim.swa_utils.AveragedModel(model, max, max)
