"""The training step in PyTorch, eager."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from workloads import Workload

__all__ = ["make_step"]


def make_step(workload: Workload, dtype: Any = np.float32) -> Callable[[], Any]:
    """A function that does one training step and returns the loss before it."""
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(workload.sizes):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    model = nn.Sequential(*layers[:-1]).to(torch.from_numpy(np.empty(0, dtype)).dtype)
    with torch.no_grad():
        for place, (weight, bias) in enumerate(workload.weights(dtype)):
            linear: Any = model[2 * place]
            linear.weight.copy_(torch.from_numpy(weight))
            linear.bias.copy_(torch.from_numpy(bias))
    loss_of = nn.CrossEntropyLoss() if workload.classifies else nn.MSELoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=workload.lr)
    x, target = map(torch.from_numpy, workload.data(dtype))

    def step() -> Any:
        optimizer.zero_grad()
        loss = loss_of(model(x), target)
        loss.backward()
        optimizer.step()
        return loss

    return step
