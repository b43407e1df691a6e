"""micrograd's own demo: a step of a 2-16-16-1 network on 100 points of two moons, a graph node per number.

337 parameters, a max-margin loss with L2, gradient descent, as in micrograd's ``demo.ipynb``. On micrograd, once on
tensors without axes, written the same way; and once on arrays, as one would write it with a library that has them.
"""

from __future__ import annotations

import itertools
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import engine
import numpy as np
from harness import NOT_INSTALLED, Column, Settings, Table, has, limit_threads, verdict

import tinygrad_mlp
from tinygrad_mlp import Tensor, optim, relu

__all__ = ["contenders", "measure"]

SIZES = (2, 16, 16, 1)
RATE, PENALTY = 0.1, 1e-4
CHECKED_STEPS = 5
# Of micrograd's time, at most: compiled 10 times faster, vectorised 1,000 times.
GOALS = {
    "ours, scalars, eager": 2.0,
    "ours, scalars, replay": 0.1,
    "ours, scalars, native": 0.1,
    "ours, arrays, eager": 0.001,
}
COLUMNS = (
    Column("contender", "one step of micrograd's demo"),
    Column("milliseconds", "ms", ".3f"),
    Column("first", "first two calls s", ".2f"),
    Column("over_micrograd", "of micrograd's", ".5f"),
    Column("goal", "goal", ".3f"),
    Column("verdict", "verdict"),
)

# Seconds that the first two steps may take.
PATIENCE = 90

Step = Callable[[], Any]


def measure(settings: Settings) -> Table:
    """Time the steps in turns; before that, see that all compute the same losses.

    Raises:
        RuntimeError: they do not; it names the contender.
    """
    points = settings.pick(100, 6)
    rounds = settings.pick(5, 1)
    with limit_threads(settings.threads):
        makers = contenders()
        steps, first, reasons = {}, {}, {}
        for name, make in makers.items():
            made = make(points)
            if isinstance(made, str):
                reasons[name] = made
                continue
            begin = time.perf_counter()
            try:
                with _at_most(PATIENCE):
                    # Of compiled functions the first call captures, and the second compiles.
                    losses = [float(made()), float(made())]
            except TimeoutError:
                reasons[name] = f"over {PATIENCE} s"
                continue
            first[name] = time.perf_counter() - begin
            losses += [float(made()) for _ in range(CHECKED_STEPS - 2)]
            expected = by_hand(points, CHECKED_STEPS)
            gap = float(np.max(np.abs(np.subtract(losses, expected))))
            if not gap <= 1e-9:
                raise RuntimeError(f"micrograd's demo: {name} and NumPy differ by {gap:.1e} in {CHECKED_STEPS} steps")
            steps[name] = made
        seconds: dict[str, list[float]] = {name: [] for name in steps}
        for _ in range(rounds):
            for name, step in steps.items():
                count = 1 if "scalars" in name or name == "micrograd" else settings.pick(300, 3)
                step()
                begin = settings.clock()
                for _ in range(count):
                    step()
                seconds[name].append((settings.clock() - begin) / count)
    rows = [_row(name, seconds, first, reasons) for name in makers]
    notes = [
        f"{points} points, float64; losses of {CHECKED_STEPS} steps equal those by hand to 1e-9. Medians of {rounds}.",
        "first two calls: of the compiled with capture and compilation, of the others steps like all.",
    ]
    return Table("micrograd", "micrograd's demo, 2-16-16-1, 337 parameters", COLUMNS, rows, notes)


@contextmanager
def _at_most(seconds: int) -> Iterator[None]:
    """Break the block off by a TimeoutError when it takes longer, where the system can."""
    if not hasattr(signal, "setitimer"):
        yield
        return

    def stop(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _row(
    name: str, seconds: dict[str, list[float]], first: dict[str, float], reasons: dict[str, str]
) -> dict[str, Any]:
    if name in reasons:
        return {"contender": name, "milliseconds": reasons[name]}
    row: dict[str, Any] = {
        "contender": name,
        "milliseconds": float(np.median(seconds[name])) * 1e3,
        "first": first[name],
    }
    if "micrograd" in seconds and name != "micrograd" and min(seconds["micrograd"]) > 0:
        row["over_micrograd"] = float(np.median(np.divide(seconds[name], seconds["micrograd"])))
        row["goal"] = GOALS.get(name)
        row["verdict"] = verdict((row["over_micrograd"], row["goal"]))
    return row


def contenders() -> dict[str, Callable[[int], Step | str]]:
    """Per contender a function of the number of points that gives its step, or a word on why it has none."""
    return {
        "micrograd": _micrograd,
        "ours, scalars, eager": _scalars,
        "ours, scalars, replay": lambda points: _compiled(_scalars, points, "replay"),
        "ours, scalars, native": lambda points: _compiled(_scalars, points, "native"),
        "ours, arrays, eager": _arrays,
        "ours, arrays, replay": lambda points: _compiled(_arrays, points, "replay"),
        "ours, arrays, native": lambda points: _compiled(_arrays, points, "native"),
    }


def moons(points: int) -> tuple[Any, Any]:
    """Two interleaved half circles with some noise, and their sides as -1 and 1."""
    rng = np.random.default_rng(1)
    angle = rng.uniform(0, np.pi, points)
    side = np.arange(points) % 2
    x = np.where(side, 1 - np.cos(angle), np.cos(angle))
    y = np.where(side, 0.5 - np.sin(angle), np.sin(angle))
    return np.stack([x, y], axis=1) + rng.normal(0, 0.1, (points, 2)), side * 2.0 - 1


def weights() -> list[tuple[Any, Any]]:
    """Per layer ``(out, in)`` weights from U(-1, 1), as micrograd draws them, and biases of 0."""
    rng = np.random.default_rng(2)
    return [(rng.uniform(-1, 1, (n, m)), np.zeros(n)) for m, n in itertools.pairwise(SIZES)]


def by_hand(points: int, count: int) -> list[float]:
    """The losses of ``count`` steps, in NumPy."""
    x, y = moons(points)
    values = weights()
    losses = []
    for _ in range(count):
        inputs = [x]
        for place, (weight, bias) in enumerate(values):
            output = inputs[-1] @ weight.T + bias
            inputs.append(np.maximum(output, 0) if place < len(values) - 1 else output)
        margin = 1 - y * inputs[-1][:, 0]
        penalty = PENALTY * sum((weight**2).sum() + (bias**2).sum() for weight, bias in values)
        losses.append(np.maximum(margin, 0).mean() + penalty)
        delta = (np.where(margin > 0, -y, 0) / points)[:, None]
        for place in range(len(values) - 1, -1, -1):
            weight, bias = values[place]
            below = inputs[place]
            slope = delta.T @ below + 2 * PENALTY * weight, delta.sum(axis=0) + 2 * PENALTY * bias
            delta = (delta @ weight) * (below > 0)
            values[place] = weight - RATE * slope[0], bias - RATE * slope[1]
    return losses


def _micrograd(points: int) -> Step | str:
    if not has("micrograd"):
        return NOT_INSTALLED
    from micrograd.engine import Value
    from micrograd.nn import MLP

    x, y = moons(points)
    model = MLP(SIZES[0], list(SIZES[1:]))
    for layer, (weight, bias) in zip(model.layers, weights(), strict=True):
        for neuron, row, start in zip(layer.neurons, weight.tolist(), bias.tolist(), strict=True):
            neuron.b.data = start
            for value, number in zip(neuron.w, row, strict=True):
                value.data = number

    def step() -> float:
        scores = [model([Value(one) for one in row]) for row in x.tolist()]
        losses = [(1 + -side * score).relu() for side, score in zip(y.tolist(), scores, strict=True)]
        total = sum(losses) * (1.0 / points) + PENALTY * sum(p * p for p in model.parameters())
        model.zero_grad()
        total.backward()
        for p in model.parameters():
            p.data -= RATE * p.grad
        return float(total.data)

    return step


def _scalars(points: int) -> Step:
    """The same graph: a tensor for every number, a node for every operation on two of them."""
    x, y = moons(points)
    inputs = [[Tensor(one, dtype=np.float64) for one in row] for row in x.tolist()]
    layers = [
        [
            (
                [Tensor(one, requires_grad=True, dtype=np.float64) for one in row],
                Tensor(start, requires_grad=True, dtype=np.float64),
            )
            for row, start in zip(weight.tolist(), bias.tolist(), strict=True)
        ]
        for weight, bias in weights()
    ]
    parameters = [p for layer in layers for row, bias in layer for p in (*row, bias)]
    updates = optim.SGD(parameters, lr=RATE)

    def score(values: list[Tensor]) -> Tensor:
        for place, layer in enumerate(layers):
            sums = []
            for row, bias in layer:
                total = bias
                for weight, value in zip(row, values, strict=True):
                    total = total + weight * value
                sums.append(total if place == len(layers) - 1 else relu(total))
            values = sums
        return values[0]

    def step() -> Tensor:
        total: Any = 0.0
        for side, row in zip(y.tolist(), inputs, strict=True):
            total = total + relu(1 + -side * score(row))
        penalty: Any = 0.0
        for p in parameters:
            penalty = penalty + p * p
        loss: Tensor = total * (1.0 / points) + PENALTY * penalty
        updates.zero_grad()
        loss.backward()
        updates.step()
        return loss

    return step


def _arrays(points: int) -> Step:
    """The same loss on whole arrays."""
    x, y = moons(points)
    layers = [(Tensor(w, requires_grad=True), Tensor(b, requires_grad=True)) for w, b in weights()]
    parameters = [one for pair in layers for one in pair]
    updates = optim.SGD(parameters, lr=RATE)

    def step() -> Tensor:
        values: Any = x
        for place, (weight, bias) in enumerate(layers):
            values = values @ weight.T + bias
            if place < len(layers) - 1:
                values = relu(values)
        loss: Tensor = relu(1 - y * values[:, 0]).mean()
        for p in parameters:
            loss = loss + PENALTY * (p * p).sum()
        updates.zero_grad()
        loss.backward()
        updates.step()
        return loss

    return step


def _compiled(make: Callable[[int], Step], points: int, backend: str) -> Step | str:
    if not engine.compiles():
        return "not yet"
    package: Any = tinygrad_mlp
    compiled: Step = package.compile(make(points), backend=backend)
    return compiled
