"""The training step with tinygrad_mlp, through the names that its users write."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from workloads import TextWorkload, Workload

import tinygrad_mlp
from tinygrad_mlp import nn, optim
from tinygrad_mlp.data import DataLoader

__all__ = ["compiles", "make_native", "make_native_epoch", "make_replay", "make_step"]

Step = Callable[[Any, Any], Any]


class LSTMClassifier(nn.Module):
    """Embedding, LSTM and a linear layer on its last state."""

    def __init__(self, workload: TextWorkload, dtype: Any) -> None:
        super().__init__()
        self.table = nn.Embedding(workload.vocabulary, workload.embedding, dtype=dtype)
        self.lstm = nn.LSTM(workload.embedding, workload.hidden, batch_first=True, dtype=dtype)
        self.last = nn.Linear(workload.hidden, 2, dtype=dtype)
        values = workload.weights(dtype)
        self.load_state_dict(
            {
                "table.weight": values["table"],
                "lstm.weight_ih_l0": values["gates_in"],
                "lstm.weight_hh_l0": values["gates_state"],
                "lstm.bias_ih_l0": values["gates_bias"],
                "lstm.bias_hh_l0": np.zeros_like(values["gates_bias"]),
                "last.weight": values["weight"],
                "last.bias": values["bias"],
            }
        )
        # The second bias is redundant. Frozen at 0, it takes no part.
        self.lstm.bias_hh_l0.requires_grad = False

    def forward(self, tokens: Any) -> Any:
        """Logits ``(batch, 2)`` of token ids ``(batch, length)``."""
        outputs, _ = self.lstm(self.table(tokens))
        return self.last(outputs[:, -1])


def make_model(workload: Workload | TextWorkload, dtype: Any = np.float32) -> nn.Module:
    """The workload's network with its starting weights."""
    if isinstance(workload, TextWorkload):
        return LSTMClassifier(workload, dtype)
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(workload.sizes):
        layers += [nn.Linear(inputs, outputs, dtype=dtype), nn.ReLU() if workload.activation == "relu" else nn.Tanh()]
    model = nn.Sequential(*layers[:-1])
    model.load_state_dict(
        {
            f"{2 * place}.{name}": value
            for place, pair in enumerate(workload.weights(dtype))
            for name, value in zip(("weight", "bias"), pair, strict=True)
        }
    )
    return model


def make_step(workload: Workload | TextWorkload, optimizer: str = "SGD", dtype: Any = np.float32) -> Step:
    """A function that does one training step on a batch and returns the loss before it."""
    model = make_model(workload, dtype)
    regresses = isinstance(workload, Workload) and not workload.classifies
    loss_of = nn.MSELoss() if regresses else nn.CrossEntropyLoss()
    updates = getattr(optim, optimizer)(model.parameters(), lr=workload.rate(optimizer))

    def step(x: Any, target: Any) -> Any:
        updates.zero_grad()
        loss = loss_of(model(x), target)
        loss.backward()
        updates.step()
        return loss

    return step


def compiles() -> bool:
    """Whether this version of the package has a compiler."""
    return hasattr(tinygrad_mlp, "compile")


def make_replay(workload: Workload | TextWorkload, optimizer: str = "SGD", dtype: Any = np.float32) -> Step:
    """The same step compiled to NumPy calls."""
    return _compiled(workload, optimizer, dtype, "replay")


def make_native(workload: Workload | TextWorkload, optimizer: str = "SGD", dtype: Any = np.float32) -> Step:
    """The same step compiled to machine code."""
    return _compiled(workload, optimizer, dtype, "native")


def make_native_epoch(workload: Workload | TextWorkload, optimizer: str = "SGD", dtype: Any = np.float32) -> Step:
    """The same over a stack of batches, without returning to Python in between; gives their losses."""
    compiled = _compiled(workload, optimizer, dtype, "native")
    loaders: dict[int, DataLoader] = {}

    def epoch(xs: Any, ys: Any) -> Any:
        if id(xs) not in loaders:
            samples = tuple(values.reshape(-1, *values.shape[2:]) for values in (xs, ys))
            loaders[id(xs)] = DataLoader(samples, batch_size=workload.batch, shuffle=False)
        return np.concatenate(compiled.run(loaders[id(xs)]).arrays())

    return epoch


def _compiled(workload: Workload | TextWorkload, optimizer: str, dtype: Any, backend: str) -> Any:
    package: Any = tinygrad_mlp
    return package.compile(make_step(workload, optimizer, dtype), backend=backend)
