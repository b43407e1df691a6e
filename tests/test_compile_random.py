"""Random step programs, run eagerly and compiled: replay equal bit by bit, native code within its tolerance.

Each case is a step (a random graph of operations with an update, or a small network with loss and optimizer), called
with new values six times and more, with one hazard in between: an argument given twice, another memory layout, a
parameter re-assigned, an exception in the middle. A case that fails is made smaller and printed as code.

    python tests/test_compile_random.py --cases 10000 --workers 2
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import multiprocessing
import os
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from oracles import LEAVES, OURS, SHAPES, SHARED
from random_graphs import Step, random_program, run
from step_worlds import TOLERANCE, Twins, agree, snapshot

from tinygrad_mlp import Tensor, autograd, nn, no_grad, optim
from tinygrad_mlp.errors import CaptureError

__all__ = ["Graph", "Net", "Tally", "check", "draw"]

RULES: dict[str, Callable[[Any], optim.Optimizer]] = {
    "SGD": lambda ps: optim.SGD(ps, lr=0.05),
    "maximize": lambda ps: optim.SGD(ps, lr=0.05, maximize=True, weight_decay=0.1),
    "momentum": lambda ps: optim.SGD(ps, lr=0.05, momentum=0.9),
    "dampened": lambda ps: optim.SGD(ps, lr=0.05, momentum=0.9, dampening=0.5, weight_decay=0.1),
    "nesterov": lambda ps: optim.SGD(ps, lr=0.05, momentum=0.9, nesterov=True),
    "Adam": lambda ps: optim.Adam(ps, lr=0.01, weight_decay=0.1),
    "amsgrad": lambda ps: optim.Adam(ps, lr=0.01, amsgrad=True),
    "AdamW": lambda ps: optim.AdamW(ps, lr=0.01),
}
ON_BOTH = [
    "none",
    "twice",
    "fortran",
    "strided",
    "reversed",
    "readonly",
    "other dtype",
    "no grad",
    "number",
    "written",
    "new data",
    "frozen",
    "gradient",
    "rate",
    "option",
    "forgotten",
    "fails",
]
ON_NETS = ["eval", "rows", "one row", "new weight", "new layer", "bad ids", "dropout"]


@dataclass(frozen=True)
class Graph:
    """A random graph over parameters, which come first among the leaves, and arguments; what a step does with it."""

    seed: int
    shapes: tuple[tuple[int, ...], ...]
    parameters: int
    program: tuple[Step, ...]
    update: str = "none"
    clear: str = "first"
    hazard: str = "none"
    dtype: str = "float64"

    @property
    def lines(self) -> int:
        """How long it is."""
        return len(self.program)

    def make(self) -> SimpleNamespace:
        """The world that the step lives in."""
        rng = np.random.default_rng([21, self.seed])
        mine = [nn.Parameter(np.asarray(rng.normal(size=s)).astype(self.dtype)) for s in self.shapes[: self.parameters]]
        rule = RULES[self.update](mine) if self.update in RULES else None

        def forget() -> None:
            if rule is not None:
                rule.zero_grad()
            for one in mine:
                one.grad = None

        def step(*arguments: Any, scale: float = 1.0) -> Any:
            if self.clear == "first":
                forget()
            y = run(self.program, SHARED, OURS, [*mine, *arguments])
            loss = (y * y).mean() * scale
            if self.update == "none":
                return y, loss
            if self.update == "grad":
                return y, autograd.grad(loss, mine, allow_unused=True)
            if self.update == "second":
                slopes = autograd.grad(loss, mine, create_graph=True, allow_unused=True)
                loss = loss + sum((one * one).sum() for one in slopes if one is not None)
            loss.backward()
            if rule is not None:
                rule.step()
            else:
                with no_grad():
                    for one in mine:
                        if one.grad is not None:
                            one -= 0.05 * one.grad
            if self.clear == "last":
                forget()
            return {"y": y, "loss": loss}

        return SimpleNamespace(step=step, watched=mine, optimizer=rule, model=None)

    def arguments(self, turn: int, _rows: int) -> list[Any]:
        """The arguments of one call."""
        rng = np.random.default_rng([22, self.seed, turn])
        return [np.asarray(rng.normal(size=s)).astype(self.dtype) for s in self.shapes[self.parameters :]]

    def smaller(self) -> Iterator[Graph]:
        """Cases that do less."""
        if self.hazard != "none":
            yield dataclasses.replace(self, hazard="none")
        if self.update not in ("none", "hand"):
            yield dataclasses.replace(self, update="none")
            yield dataclasses.replace(self, update="hand")
        if self.clear != "first":
            yield dataclasses.replace(self, clear="first")
        count = len(self.shapes)
        for k in reversed(range(len(self.program))):
            for stand in {*self.program[k].takes, *range(count)}:

                def moved(i: int, gone: int = count + k, stand: int = stand) -> int:
                    return stand if i == gone else i - (i > gone)

                rest = [
                    dataclasses.replace(one, takes=tuple(map(moved, one.takes)))
                    for place, one in enumerate(self.program)
                    if place != k
                ]
                if rest and all(i < count + place for place, one in enumerate(rest) for i in one.takes):
                    smaller = dataclasses.replace(self, program=tuple(rest))
                    if smaller.legal():
                        yield smaller

    def legal(self) -> bool:
        """Whether all lines can be computed."""
        shapes = list(self.shapes)
        for line in self.program:
            shape = _shape_of(line.name, line.pick, tuple(shapes[i] for i in line.takes))
            if shape is None:
                return False
            shapes.append(shape)
        return True


@dataclass(frozen=True)
class Net:
    """A small network, its loss and its optimizer."""

    seed: int
    sizes: tuple[int, ...]
    activation: str = "Tanh"
    loss: str = "MSELoss"
    update: str = "SGD"
    clear: str = "first"
    hazard: str = "none"
    dtype: str = "float32"
    dropout: float = 0.0
    rows: int = 5

    @property
    def lines(self) -> int:
        """How deep it is."""
        return len(self.sizes)

    def make(self) -> SimpleNamespace:
        """The world that the step lives in."""
        layers: list[nn.Module] = []
        for place, (fan_in, fan_out) in enumerate(zip(self.sizes[:-1], self.sizes[1:], strict=True)):
            if place:
                layers.append(getattr(nn, self.activation)())
                layers.append(nn.Dropout(self.dropout, seed=self.seed + place))
            layers.append(nn.Linear(fan_in, fan_out, seed=self.seed + place, dtype=self.dtype, bias=place != 1))
        model = nn.Sequential(*layers)
        criterion = getattr(nn, self.loss)()
        watched = list(model.parameters())
        rule = RULES[self.update](watched)

        def step(x: Any, y: Any, scale: float = 1.0) -> Any:
            if self.clear == "first":
                rule.zero_grad()
            found = model(x)
            loss = criterion(found, y) * scale
            loss.backward()
            rule.step()
            if self.clear == "last":
                model.zero_grad()
            return loss, found

        return SimpleNamespace(step=step, watched=watched, optimizer=rule, model=model)

    def arguments(self, turn: int, rows: int) -> list[Any]:
        """The arguments of one call."""
        rng = np.random.default_rng([23, self.seed, turn])
        rows = rows or self.rows
        x = rng.normal(size=(rows, self.sizes[0])).astype(self.dtype)
        y: Any = rng.normal(size=(rows, self.sizes[-1])).astype(self.dtype)
        if self.loss == "CrossEntropyLoss":
            y = rng.integers(0, self.sizes[-1], rows)
        elif self.loss == "BCEWithLogitsLoss":
            y = (y > 0).astype(self.dtype)
        return [x, y]

    def smaller(self) -> Iterator[Net]:
        """Cases that do less."""
        for simple in ({"hazard": "none"}, {"dropout": 0.0}, {"update": "SGD"}, {"clear": "first"}, {"rows": 1}):
            other = dataclasses.replace(self, **simple)
            if other != self:
                yield other
        for k in range(1, len(self.sizes) - 1):
            yield dataclasses.replace(self, sizes=self.sizes[:k] + self.sizes[k + 1 :])
        for k, size in enumerate(self.sizes):
            if size > 1 + (k == len(self.sizes) - 1):
                yield dataclasses.replace(self, sizes=(*self.sizes[:k], size - 1, *self.sizes[k + 1 :]))


Case = Graph | Net


@functools.cache
def _shape_of(name: str, pick: int, shapes: tuple[tuple[int, ...], ...]) -> tuple[int, ...] | None:
    try:
        y = SHARED[name][1](OURS, pick, *[np.full(shape, 0.5) for shape in shapes])
    except (ValueError, IndexError, TypeError):
        return None
    return tuple(y.shape) if tuple(y.shape) in SHAPES else None


def draw(number: int) -> Case:
    """The case of this number; the same on every machine."""
    rng = np.random.default_rng([20, number])

    def pick(some: Any) -> Any:
        return some[int(rng.integers(len(some)))]

    clear = pick(["first", "first", "last", "never"])
    if number % 4 == 3:
        return Net(
            number,
            (*map(int, rng.integers(1, 7, int(rng.integers(2, 5)))), int(rng.integers(2, 5))),
            pick(["Tanh", "ReLU", "Sigmoid", "GELU", "SiLU", "Softplus", "LeakyReLU", "Identity"]),
            pick(["MSELoss", "CrossEntropyLoss", "BCEWithLogitsLoss"]),
            pick(list(RULES)),
            clear,
            pick(ON_BOTH + ON_NETS),
            pick(["float32", "float64"]),
            pick([0.0, 0.0, 0.4]),
            pick([1, 2, 5, 8]),
        )
    shapes = [LEAVES[rng.integers(len(LEAVES))] for _ in range(int(rng.integers(2, 6)))]
    if rng.random() < 0.4:
        shapes[-1] = shapes[-2]
    count = len(shapes)

    def accepts(step: Step) -> bool:
        shape = _shape_of(step.name, step.pick, tuple(shapes[i] for i in step.takes))
        if shape is not None:
            shapes.append(shape)
        return shape is not None

    program = tuple(random_program(rng, SHARED, count, int(rng.integers(1, 31)), accepts))
    return Graph(
        number,
        tuple(shapes[:count]),
        int(rng.integers(1, count)),
        program,
        pick(["none", "grad", "second", "hand", "hand", *RULES]),
        clear,
        pick(ON_BOTH),
        pick(["float64", "float64", "float64", "float32"]),
    )


# --- hazards ----------------------------------------------------------------------------------------------


def _as_laid_out(hazard: str, array: Any) -> Any:
    match hazard:
        case "fortran":
            return np.asarray(array, order="F")
        case "strided" if array.ndim:
            wide = np.repeat(array, 2, axis=-1)
            return wide[..., ::2]
        case "reversed" if array.ndim:
            return np.ascontiguousarray(array[::-1])[::-1]
        case "readonly":
            array = array.copy()
            array.flags.writeable = False
        case "other dtype" if array.dtype.kind == "f":
            return array.astype(np.float64 if array.dtype == np.float32 else np.float32)
    return array


def _changed(hazard: str, case: Case, world: SimpleNamespace) -> None:
    """Change a world; twins are changed equally."""
    rng = np.random.default_rng([24, case.seed])
    first = world.watched[0]
    values = np.asarray(rng.normal(size=first.shape)).astype(first.dtype)
    group = None if world.optimizer is None else world.optimizer.param_groups[0]
    match hazard:
        case "written":
            first.data[...] = values
        case "new data":
            first.data = np.asarray(values, order="F")
        case "frozen":
            first.requires_grad_(not first.requires_grad)
        case "gradient":
            first.grad = Tensor(values)
        case "rate" if group is not None:
            group["lr"] *= 0.5
        case "option" if group is not None:
            group["weight_decay"] = 0.0 if group["weight_decay"] else 0.2
            if "momentum" in group and not group["nesterov"]:
                group["momentum"] = 0.0 if group["momentum"] else 0.8
        case "forgotten" if group is not None:
            state = world.optimizer.state_dict()
            world.optimizer.load_state_dict({**state, "state": {}})
        case "eval":
            world.model.train(not world.model.training)
        case "new weight":
            world.watched[0] = world.model[0].weight = nn.Parameter(values)
        case "new layer" if len(world.model) > 1:
            world.model[1] = nn.Softplus()
        case "dropout" if len(world.model) > 2:
            world.model[2].p = 0.7


def _fails(twins: Twins, arguments: list[Any], rng: np.random.Generator) -> None:
    """One op's forward function runs out of memory in the middle of a run: nothing has changed then."""
    entry = twins.step._last
    if entry is None or twins.backend != "replay":
        return
    replay = entry.replayed()
    updating = {id(step.op.forward) for step in replay.program.steps if step.phase == "update"}
    # NumPy's elementwise functions only go over memory that is there: they may come after the first write.
    ours = {
        id(step.op.forward) for step in replay.program.steps if not isinstance(step.op.forward, np.ufunc)
    } - updating
    places = [name for name, thing in replay._space.items() if id(thing) in ours]
    if not places:
        return
    name = places[int(rng.integers(len(places)))]
    original = replay._space[name]

    def fail(*_: Any, **__: Any) -> Any:
        raise MemoryError

    before = snapshot(twins.compiled)
    replay._space[name] = fail
    try:
        twins.step(*arguments)
    except MemoryError:
        after = snapshot(twins.compiled)
        for what, value in before.items():
            agree(after[what], value, f"{what} after a run that failed", exact=True)
    else:  # the program makes this call in another way, or this call was captured anew
        twins.eager.step(*map(Tensor, arguments))
    finally:
        replay._space[name] = original


@dataclass
class Tally:
    """What many cases came to."""

    cases: int = 0
    steps: int = 0
    calls: int = 0
    captures: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    hazards: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    @property
    def replays(self) -> int:
        """Calls that ran a program."""
        return self.calls - self.captures

    def join(self, other: Tally) -> None:
        """Take another part's findings in."""
        for name in ("cases", "steps", "calls", "captures", "refused", "hazards", "failures"):
            setattr(self, name, getattr(self, name) + getattr(other, name))


def check(case: Case, backend: str = "replay") -> Tally:
    """Run one case.

    Raises:
        AssertionError: the compiled step has done something else than the eager one.
    """
    tally = Tally(1)
    tally.hazards[case.hazard] += 1
    rng = np.random.default_rng([25, case.seed])
    with np.errstate(all="ignore"):
        # Constants of the operations may widen what was computed in float32, and so may arguments of the other dtype.
        narrowest = "float32" if case.hazard == "other dtype" else case.dtype
        twins = Twins(case.make, backend, tolerance=TOLERANCE[narrowest])
        try:
            _calls(case, twins, rng)
        except CaptureError as error:
            tally.refused[str(error).partition(", at ")[0].partition(" of shape")[0][:60]] += 1
    tally.captures = twins.captures
    tally.steps = sum(len(one.program.steps) for some in twins.step._entries.values() for one in some)
    tally.calls = twins.count
    return tally


def _calls(case: Case, twins: Twins, rng: np.random.Generator) -> None:
    for turn in range(4):
        twins.call(*case.arguments(turn, 0))
    hazard = case.hazard
    for again in range(2):
        rows = {"rows": 7, "one row": 1}.get(hazard, 0) if not again else 0
        arguments = [_as_laid_out(hazard, one) for one in case.arguments(10 + again, rows)]
        options: dict[str, Any] = {"scale": 0.5 + again} if hazard == "number" else {}
        if hazard == "twice":
            shapes = [one.shape for one in arguments]
            arguments = [arguments[shapes.index(one.shape)] for one in arguments]
        if hazard == "bad ids" and isinstance(case, Net) and case.loss == "CrossEntropyLoss":
            arguments[1][-1] = 99
        if hazard == "fails" and not (isinstance(case, Net) and case.dropout):
            _fails(twins, arguments, rng)
        _changed(hazard, case, twins.eager)
        _changed(hazard, case, twins.compiled)
        with no_grad() if hazard == "no grad" else nullcontext():
            twins.call(*arguments, **options)
        for turn in range(2):
            twins.call(*case.arguments(20 + turn + 2 * again, 0))


# --- one after the other -----------------------------------------------------------------------------------------


def _problem(case: Case, backend: str) -> str | None:
    try:
        check(case, backend)
    except Exception as error:  # noqa: BLE001 - whatever it is, the eager step did not raise it
        return f"{type(error).__name__}: {error}"
    return None


def shrunk(case: Case, backend: str, seconds: float = 20.0) -> Case:
    """A smaller case that fails as well."""
    stop = time.perf_counter() + seconds
    while True:
        for smaller in case.smaller():
            if time.perf_counter() > stop:
                return case
            if _problem(smaller, backend) is not None:
                case = smaller
                break
        else:
            return case


def code_of(case: Case, backend: str) -> str:
    """The case as a script."""
    return (
        "# in tests/:\nfrom random_graphs import Step\nfrom test_compile_random import Graph, Net, check\n"
        f"check({case!r}, {backend!r})\n"
    )


def several(numbers: Any, backend: str) -> Tally:
    """Check the cases of these numbers."""
    tally = Tally()
    for number in numbers:
        case = draw(number)
        try:
            tally.join(check(case, backend))
        except Exception:  # noqa: BLE001 - reported, smaller
            tally.cases += 1
            smaller = shrunk(case, backend)
            said = _problem(smaller, backend) or traceback.format_exc()
            tally.failures.append(f"case {number}: {said}\n\n{code_of(smaller, backend)}")
    return tally


@pytest.mark.parametrize("part", range(8))
def test_replay_equals_eager_bit_by_bit(part: int) -> None:
    """400 cases; `python tests/test_compile_random.py` runs 10,000."""
    tally = several(range(50 * part, 50 * part + 50), "replay")
    assert not tally.failures, "\n\n".join(tally.failures[:5])
    assert tally.replays >= 3 * tally.cases
    assert tally.refused.total() <= 2, tally.refused


@pytest.mark.compiler
@pytest.mark.parametrize("part", range(4))
def test_native_code_agrees_with_eager(part: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few cases: each is compiled by the C compiler."""
    monkeypatch.setenv("TINYGRAD_MLP_NATIVE_CACHE", str(tmp_path))
    tally = several(range(10_000 + 5 * part, 10_000 + 5 * part + 5), "native")
    assert not tally.failures, "\n\n".join(tally.failures[:5])


def test_a_step_that_drifts_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The harness against itself: a replay that forgets one write is noticed."""
    from tinygrad_mlp.program.numpy_replay import Replay

    original = Replay.run

    def run(self: Any, inputs: Any, fed: Any = ()) -> Any:
        written = [buffer.array.copy() for buffer, _ in self.program.writes]
        found = original(self, inputs, fed)
        for (buffer, _), values in zip(self.program.writes[:1], written, strict=False):
            np.copyto(buffer.array, values)
        return found

    monkeypatch.setattr(Replay, "run", run)
    with pytest.raises(AssertionError, match="parameter"):
        check(Net(0, (2, 2)), "replay")


def main() -> int:
    """Check as many cases as asked for, print the figures and every counterexample; 1 if there is one."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cases", type=int, default=10_000, help="how many (default: 10000)")
    parser.add_argument("--first", type=int, default=0, help="the number of the first (default: 0)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (default: one per core)")
    parser.add_argument("--backend", choices=["replay", "native"], default="replay", help="what runs the programs")
    options = parser.parse_args()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    start = time.perf_counter()
    numbers = range(options.first, options.first + options.cases)
    tally = Tally()
    with multiprocessing.get_context("spawn").Pool(options.workers) as pool:
        parts = [pool.apply_async(several, (numbers[k : k + 50], options.backend)) for k in range(0, len(numbers), 50)]
        for part in parts:
            tally.join(part.get())
    print("\n\n".join(tally.failures[:20]))
    print(f"hazards: {', '.join(f'{name} {count}' for name, count in tally.hazards.most_common())}")
    print(f"refused with a CaptureError: {dict(tally.refused)}")
    print(
        f"{options.backend}: {tally.cases:,} cases, {tally.captures:,} programs of {tally.steps:,} steps, "
        f"{tally.replays:,} replays: {len(tally.failures)} mismatches; {time.perf_counter() - start:.0f} s in "
        f"{options.workers} processes"
    )
    return 1 if tally.failures else 0


if __name__ == "__main__":
    sys.exit(main())
