"""The training step in PyTorch: eager, and compiled by its own compiler."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from workloads import TextWorkload, Workload

__all__ = ["make_compiled", "make_step", "prepare"]

# Of one batch or a stack of them.
prepare = torch.from_numpy


class LSTMClassifier(nn.Module):
    """The same three layers, of PyTorch's own making."""

    def __init__(self, workload: TextWorkload) -> None:
        super().__init__()
        self.table = nn.Embedding(workload.vocabulary, workload.embedding)
        self.lstm = nn.LSTM(workload.embedding, workload.hidden, batch_first=True)
        self.last = nn.Linear(workload.hidden, 2)
        # The second bias is redundant. Frozen at 0, it takes no part.
        self.lstm.bias_hh_l0.requires_grad_(False)

    def forward(self, tokens: Any) -> Any:
        """Logits ``(batch, 2)``."""
        outputs, _ = self.lstm(self.table(tokens))
        return self.last(outputs[:, -1])


def _make_model(workload: Workload | TextWorkload, dtype: Any) -> Any:
    kind = torch.from_numpy(np.empty(0, dtype)).dtype
    model: Any
    if isinstance(workload, TextWorkload):
        model = LSTMClassifier(workload).to(kind)
        values = workload.weights(dtype)
        pairs = [
            (model.table.weight, values["table"]),
            (model.lstm.weight_ih_l0, values["gates_in"]),
            (model.lstm.weight_hh_l0, values["gates_state"]),
            (model.lstm.bias_ih_l0, values["gates_bias"]),
            (model.lstm.bias_hh_l0, np.zeros_like(values["gates_bias"])),
            (model.last.weight, values["weight"]),
            (model.last.bias, values["bias"]),
        ]
    else:
        layers: list[nn.Module] = []
        for inputs, outputs in itertools.pairwise(workload.sizes):
            layers += [nn.Linear(inputs, outputs), nn.ReLU() if workload.activation == "relu" else nn.Tanh()]
        model = nn.Sequential(*layers[:-1]).to(kind)
        pairs = []
        for place, (weight, bias) in enumerate(workload.weights(dtype)):
            pairs += [(model[2 * place].weight, weight), (model[2 * place].bias, bias)]
    with torch.no_grad():
        for parameter, value in pairs:
            parameter.copy_(torch.from_numpy(value))
    return model


def make_step(
    workload: Workload | TextWorkload, optimizer: str = "SGD", dtype: Any = np.float32, *, compiled: bool = False
) -> Callable[..., Any]:
    """A function that does one training step on a batch and returns the loss before it."""
    model = _make_model(workload, dtype)
    regresses = isinstance(workload, Workload) and not workload.classifies
    loss_of = nn.MSELoss() if regresses else nn.CrossEntropyLoss()
    parameters = [one for one in model.parameters() if one.requires_grad]
    # Compiled comes with the fused update, which is the faster one; eager is as most people write it.
    updates = getattr(torch.optim, optimizer)(
        parameters, lr=workload.rate(optimizer), **({"fused": True} if compiled else {})
    )

    def loss_for(x: Any, target: Any) -> Any:
        return loss_of(model(x), target)

    if compiled:
        loss_for = torch.compile(loss_for)

    def step(x: Any, target: Any) -> Any:
        updates.zero_grad()
        loss = loss_for(x, target)
        loss.backward()
        updates.step()
        return loss

    return step


def make_compiled(workload: Any, optimizer: str = "SGD", dtype: Any = np.float32) -> Callable[..., Any]:
    """The same, with model and loss through ``torch.compile``."""
    torch._dynamo.reset()  # so that one workload's compiled code is not the next one's guard to fail
    return make_step(workload, optimizer, dtype, compiled=True)
