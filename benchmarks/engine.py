"""The training step with tinygrad_mlp, through the names that its users write."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from workloads import Workload

from tinygrad_mlp import nn, optim

__all__ = ["make_step"]


def make_step(workload: Workload, dtype: Any = np.float32) -> Callable[[], Any]:
    """A function that does one training step and returns the loss before it."""
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(workload.sizes):
        layers += [nn.Linear(inputs, outputs, dtype=dtype), nn.ReLU()]
    model = nn.Sequential(*layers[:-1])
    model.load_state_dict(
        {
            f"{2 * place}.{name}": value
            for place, pair in enumerate(workload.weights(dtype))
            for name, value in zip(("weight", "bias"), pair, strict=True)
        }
    )
    loss_of = nn.CrossEntropyLoss() if workload.classifies else nn.MSELoss()
    optimizer = optim.SGD(model.parameters(), lr=workload.lr)
    x, target = workload.data(dtype)

    def step() -> Any:
        optimizer.zero_grad()
        loss = loss_of(model(x), target)
        loss.backward()
        optimizer.step()
        return loss

    return step
