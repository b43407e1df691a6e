"""Whole networks beside PyTorch's: same initial weights, same batches, the losses of a hundred steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tinygrad_mlp import from_numpy, nn, optim

STEPS, BATCH = 100, 16


def _perceptron(k: Any) -> Any:
    return k.Sequential(k.Flatten(), k.Linear(64, 30), k.ReLU(), k.Dropout(0.0), k.Linear(30, 10))


def _convolutional(k: Any) -> Any:
    return k.Sequential(
        k.Unflatten(1, (1, 8)),
        k.Conv2d(1, 4, 3, padding=1),
        k.BatchNorm2d(4),
        k.GELU(),
        k.MaxPool2d(2),
        k.Flatten(),
        k.LayerNorm(64),
        k.Linear(64, 10),
    )


def _recurrent(k: Any) -> Any:
    class Reader(k.Module):
        """The rows of an image read one after the other."""

        def __init__(self) -> None:
            super().__init__()
            self.lstm = k.LSTM(8, 12, num_layers=2, batch_first=True, bidirectional=True)
            self.out = k.Linear(24, 10)

        def forward(self, x: Any) -> Any:
            return self.out(self.lstm(x)[0][:, -1])

    return Reader()


def _attentive(k: Any) -> Any:
    class Reader(k.Module):
        """The rows of an image, each looking at all."""

        def __init__(self) -> None:
            super().__init__()
            self.attention = k.MultiheadAttention(8, 2, batch_first=True)
            self.norm = k.LayerNorm(8)
            self.out = k.Linear(64, 10)

        def forward(self, x: Any) -> Any:
            return self.out(self.norm(x + self.attention(x, x, x)[0]).flatten(1))

    return Reader()


NETWORKS: dict[str, Callable[[Any], Any]] = {
    "MLP": _perceptron,
    "convolutions": _convolutional,
    "LSTM": _recurrent,
    "attention": _attentive,
}

RULES: dict[str, Callable[[Any, Any], Any]] = {
    "SGD": lambda k, params: k.SGD(params, lr=0.05, momentum=0.9, nesterov=True),
    "Adam": lambda k, params: k.Adam(params, lr=0.003),
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("network", NETWORKS)
def test_the_losses_of_a_hundred_steps_are_those_of_torch(
    network: str, rule: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """In float64 the largest difference is that of a few roundings, which training makes larger."""
    torch = pytest.importorskip("torch")
    draws = np.random.default_rng(0)
    x = draws.normal(size=(STEPS, BATCH, 8, 8))
    y = draws.integers(0, 10, (STEPS, BATCH))
    yours = NETWORKS[network](torch.nn).double()
    mine = NETWORKS[network](nn).double()
    mine.load_state_dict({name: one.numpy() for name, one in yours.state_dict().items()})
    steps = RULES[rule](optim, mine.parameters()), RULES[rule](torch.optim, yours.parameters())
    criteria = nn.CrossEntropyLoss(label_smoothing=0.1), torch.nn.CrossEntropyLoss(label_smoothing=0.1)
    worst = 0.0
    for inputs, targets in zip(x, y, strict=True):
        losses = []
        for model, step, criterion, tensor in zip(
            (mine, yours), steps, criteria, (from_numpy, torch.from_numpy), strict=True
        ):
            step.zero_grad()
            loss = criterion(model(tensor(inputs)), tensor(targets))
            loss.backward()
            step.step()
            losses.append(loss.item())
        worst = max(worst, abs(losses[0] - losses[1]))
    with capsys.disabled():
        print(f" {network} {rule}: {worst:.1e} ", end="")
    assert worst < 1e-11, worst
    for name, one in yours.state_dict().items():
        np.testing.assert_allclose(mine.state_dict()[name].data, one.numpy(), rtol=1e-8, atol=1e-9, err_msg=name)
