"""Draws the pictures of this folder: python docs/pictures/draw.py (needs the extras `graph` and `plot`)."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_mlp import Tensor, ops, optim, viz
from tinygrad_mlp.graph import Graph
from tinygrad_mlp.tensor import record_values
from tinygrad_mlp.watch import scoped

HERE = Path(__file__).parent


def neuron() -> Graph:
    """One neuron with two inputs, after backward."""
    x1, x2 = Tensor(2.0), Tensor(0.5)
    w1, w2, b = (Tensor(value, requires_grad=True) for value in (-1.5, 1.0, 3.0))
    with record_values():
        y = (w1 * x1 + w2 * x2 + b).tanh()
    y.backward()
    return y.graph(names={"x1": x1, "x2": x2, "w1": w1, "w2": w2, "b": b, "y": y})


def mlp() -> Graph:
    """One training step of a 2-8-1 net on 32 points of the XOR problem."""
    rng = np.random.default_rng(0)
    shapes = {"hidden.weight": (8, 2), "hidden.bias": (8,), "out.weight": (1, 8), "out.bias": (1,)}
    p = {name: Tensor(rng.normal(size=shape), requires_grad=True, dtype="float32") for name, shape in shapes.items()}
    points = rng.uniform(-1, 1, size=(32, 2))
    x = Tensor(points, dtype="float32")
    y = Tensor(points[:, :1] * points[:, 1:] < 0, dtype="float32")
    with record_values():
        with scoped("hidden"):
            hidden = ops.linear(x, p["hidden.weight"], p["hidden.bias"]).tanh()
        with scoped("out"):
            logits = ops.linear(hidden, p["out.weight"], p["out.bias"])
        loss = ops.binary_cross_entropy_with_logits(logits, y)
    loss.backward()
    return loss.graph(names=[p, {"x": x, "y": y, "loss": loss}])


def schedules() -> Any:
    """The rate of every schedule over 100 steps, from 1."""
    room = optim.lr_scheduler

    def sequence(optimizer: Any) -> Any:
        parts = [room.LinearLR(optimizer, 0.05, total_iters=15), room.CosineAnnealingLR(optimizer, 85)]
        return room.SequentialLR(optimizer, parts, [15])

    def chain(optimizer: Any) -> Any:
        return room.ChainedScheduler([room.ConstantLR(optimizer, 0.3, 20), room.ExponentialLR(optimizer, 0.98)])

    makes: dict[str, Any] = {
        "StepLR": lambda o: room.StepLR(o, 25, 0.5),
        "MultiStepLR": lambda o: room.MultiStepLR(o, [20, 70], 0.3),
        "ConstantLR": lambda o: room.ConstantLR(o, 0.4, 30),
        "LinearLR": lambda o: room.LinearLR(o, 0.1, total_iters=40),
        "ExponentialLR": lambda o: room.ExponentialLR(o, 0.97),
        "PolynomialLR": lambda o: room.PolynomialLR(o, 90, 2.0),
        "InverseTimeLR": lambda o: room.InverseTimeLR(o, 10, 0.5),
        "CosineAnnealingLR": lambda o: room.CosineAnnealingLR(o, 100),
        "CosineAnnealingWarmRestarts": lambda o: room.CosineAnnealingWarmRestarts(o, 15, 2),
        "CyclicLR": lambda o: room.CyclicLR(o, 0.1, 1.0, 12, mode="triangular2", cycle_momentum=False),
        "OneCycleLR": lambda o: room.OneCycleLR(o, 1.0, 101, cycle_momentum=False),
        "SWALR": lambda o: optim.swa_utils.SWALR(o, 0.3, 40),
        "LambdaLR": lambda o: room.LambdaLR(o, lambda t: 1 / math.sqrt(1 + t)),
        "MultiplicativeLR": lambda o: room.MultiplicativeLR(o, lambda t: 0.9 if t % 10 == 0 else 1.0),
        "SequentialLR": sequence,
        "ChainedScheduler": chain,
        "ReduceLROnPlateau": lambda o: room.ReduceLROnPlateau(o, factor=0.5, patience=8),
    }
    drawn = {}
    for name, make in makes.items():
        optimizer = optim.SGD([Tensor([0.0], requires_grad=True)], lr=1.0)
        schedule = make(optimizer)
        rates = drawn[name] = []
        for step in range(100):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            # A loss that stops getting better after 30 steps, for the one schedule that looks at it.
            schedule.step(*([max(1.0 - step / 30, 0.0)] if name == "ReduceLROnPlateau" else []))
    return viz.plot_schedules(drawn)


def gallery() -> Iterator[tuple[str, Any]]:
    """The pictures of docs/pictures.md, each the value of the last line of the code above it: file name, display."""
    page = (HERE.parent / "pictures.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    for code, name in re.findall(r"```python\n(.*?)```\n\n!\[[^]]*\]\(pictures/(.*?)\)", page, flags=re.DOTALL):
        block = ast.parse(code)
        last = block.body.pop()
        assert isinstance(last, ast.Expr)
        exec(compile(block, name, "exec"), names)  # noqa: S102 - the page's own code
        yield name, eval(compile(ast.Expression(last.value), name, "eval"), names)  # noqa: S307 - the same


if __name__ == "__main__":
    for file, display in gallery():
        display.figure_.savefig(HERE / file, metadata={"Software": None})
    neuron().render(HERE / "graph.svg")
    mlp().render(HERE / "mlp.svg", direction="TB")
    picture = viz.figure_svg(schedules(), "the learning rates of all schedules over 100 steps")
    (HERE / "schedules.svg").write_text(picture, encoding="utf-8")
