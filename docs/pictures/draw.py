"""Draws the pictures of this folder: python docs/pictures/draw.py (needs the extra `graph`)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tinygrad_mlp import Tensor, ops
from tinygrad_mlp.graph import Graph
from tinygrad_mlp.tape import scoped
from tinygrad_mlp.tensor import record_values

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


if __name__ == "__main__":
    neuron().render(HERE / "graph.svg")
    mlp().render(HERE / "mlp.svg", direction="TB")
