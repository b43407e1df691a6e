"""What things look like at a prompt: short, and with what one would ask next."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_mlp as tg
from tinygrad_mlp import data, nn, optim, train
from tinygrad_mlp.datasets import make_moons

X, Y = make_moons(50, noise=0.1, seed=0)


def sgd() -> optim.SGD:
    return optim.SGD(nn.MLP(2, 4, 2, seed=0).parameters(), lr=0.1, momentum=0.9)


def step() -> Any:
    compiled = tg.compile(lambda x: (x * 2.0).sum(), backend="replay")
    compiled.__name__ = "double"
    compiled(np.ones(3))
    return compiled


def graph() -> Any:
    x = tg.Tensor(3.0, requires_grad=True)
    return (x * x).graph()


SHOWN = {
    "tensor": (lambda: tg.Tensor([1.0, 2.0], requires_grad=True), "tensor([1., 2.], requires_grad=True)"),
    "module": (
        lambda: nn.MLP(2, 4, 2, seed=0),
        (
            "MLP(\n  (0): Linear(in_features=2, out_features=4, bias=True)\n  (1): ReLU()\n"
            "  (2): Linear(in_features=4, out_features=2, bias=True)\n)"
        ),
    ),
    "loss": (nn.CrossEntropyLoss, "CrossEntropyLoss(reduction='mean')"),
    "optimizer": (
        sgd,
        (
            "SGD(\n  lr=0.1, momentum=0.9, dampening=0.0, weight_decay=0.0, nesterov=False, maximize=False\n"
            "    4 parameters: (4, 2), (4,), (2, 4), (2,)\n)"
        ),
    ),
    "schedule": (
        lambda: optim.lr_scheduler.StepLR(sgd(), 10),
        "<StepLR(step_size=10, gamma=0.1, last_epoch=0): lr 0.1>",
    ),
    "callback": (
        lambda: train.EarlyStopping(patience=3),
        (
            "EarlyStopping(monitor='val_loss', patience=3, verbose=0, baseline=None, restore_best_weights=True, "
            "start_from_epoch=0)"
        ),
    ),
    "loader": (
        lambda: data.DataLoader((X, Y), batch_size=8, shuffle=True, seed=0),
        (
            "DataLoader(TensorDataset(50 samples: (2,) float32, () int64), 7 batches of 8, shuffle=True, "
            "drop_last=False, seed=0, epoch=0)"
        ),
    ),
    "graph": (graph, "Graph(2 nodes: 1 op, 1 parameter; 2 edges)"),
    "compiled": (step, "<compiled double, backend='replay', 1 program>"),
}


@pytest.mark.parametrize("name", SHOWN)
def test_a_thing_at_the_prompt(name: str) -> None:
    """Word by word."""
    make, text = SHOWN[name]
    assert repr(make()) == text


def test_a_history_at_the_prompt() -> None:
    """How far it came, the last numbers; a table in a notebook."""
    history = train.fit(nn.MLP(2, 4, 2, seed=0), X, Y, epochs=2, verbose=0)
    assert repr(history).startswith("History(2 of 2 epochs, ")
    assert f"loss {history.history['loss'][-1]:.4f}" in repr(history)
    assert "<table" in history._repr_html_()


def test_every_schedule_and_callback_has_a_repr_of_its_own() -> None:
    """None of them shows an address in memory."""
    functions = {"LambdaLR": [lambda epoch: 0.9], "MultiplicativeLR": [lambda epoch: 0.9]}
    schedules = {
        "StepLR": [5], "MultiStepLR": [[3, 6]], "ConstantLR": [], "LinearLR": [], "ExponentialLR": [0.9],
        "PolynomialLR": [], "CosineAnnealingLR": [10], "CosineAnnealingWarmRestarts": [5], "ReduceLROnPlateau": [],
        "CyclicLR": [0.01, 0.1], "OneCycleLR": [0.1, 20], **functions,
    }  # fmt: skip
    for name, arguments in schedules.items():
        shown = repr(getattr(optim.lr_scheduler, name)(sgd(), *arguments))
        assert shown.startswith(f"<{name}("), shown
        assert " at 0x" not in shown
    for made in (train.TerminateOnNaN(), train.ReduceLROnPlateau(), train.LambdaCallback(), train.Histograms()):
        assert repr(made).startswith(f"{type(made).__name__}(")
        assert " at 0x" not in repr(made)
