"""The learning rate finder: what it suggests, and that nothing of the model is touched."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest

from tinygrad_mlp import Tensor, nn, optim, train
from tinygrad_mlp.data import DataLoader
from tinygrad_mlp.errors import ArgumentError


def problem(rows: int = 256) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).normal(size=(rows, 2))
    return x, (x[:, 0] * x[:, 1] > 0).astype(np.int64)


def model() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 16, seed=0), nn.Tanh(), nn.Dropout(0.2, seed=1), nn.Linear(16, 2, seed=2))


def everything(net: nn.Module, optimizer: optim.Optimizer, loader: DataLoader) -> Any:
    """All that a sweep could have moved, as plain bytes and numbers."""
    weights = {name: one.data.tobytes() for name, one in net.state_dict().items()}
    gradients = [None if one.grad is None else (id(one.grad), one.grad.tolist()) for one in net.parameters()]
    arrays = [[(id(one.data), one.data.tobytes()) for one in net.parameters()]]
    state = repr(
        [{k: getattr(v, "tolist", lambda v=v: v)() for k, v in one.items()} for one in optimizer.state.values()]
    )
    generators = [one.rng.bit_generator.state for one in net.modules() if isinstance(one, nn.Dropout)]
    return weights, gradients, arrays, state, repr(optimizer), str(generators), net.training, loader.epoch, loader.seed


def test_model_optimizer_and_loader_are_as_they_were() -> None:
    """In the middle of training: weights, gradients, momenta, dropout's generator, epochs of the loader, modes."""
    x, y = problem()
    net = model().eval()
    net[0].train()
    optimizer = optim.Adam(net.parameters(), lr=0.01)
    loader = DataLoader((x.astype(np.float32), y), 32, shuffle=True, seed=4)
    for batch, ids in loader:
        optimizer.zero_grad()
        nn.CrossEntropyLoss()(net(Tensor(batch)), Tensor(ids)).backward()
        optimizer.step()
    before = everything(net, optimizer, loader)
    found = train.lr_find(net, loader, optimizer=optimizer)
    assert everything(net, optimizer, loader) == before
    assert len(found.lrs) >= 50


def test_the_same_seed_gives_the_same_curve_and_training_is_the_same_after_it() -> None:
    """Bit by bit."""
    x, y = problem()
    first, second = (train.lr_find(model(), x, y, seed=3) for _ in range(2))
    assert (first.lrs, first.losses, first.steepest) == (second.lrs, second.losses, second.steepest)
    nets = [model(), model()]
    train.lr_find(nets[1], x, y, seed=3)
    histories = [train.fit(net, x, y, epochs=2, lr=0.01, seed=0, verbose=0, compile=False).history for net in nets]
    assert histories[0] == histories[1]


def test_rates_grow_evenly_and_losses_are_those_of_training() -> None:
    """The sweep written out by hand, with SGD, gives the same numbers."""
    x, y = problem(320)
    net = nn.MLP(2, 8, 2, seed=0)
    loader = DataLoader((x.astype(np.float32), y), 32)
    sgd = optim.SGD(net.parameters(), lr=3.0)
    found = train.lr_find(net, loader, optimizer=sgd, start_lr=1e-3, end_lr=1.0, num_steps=20)
    assert found.lrs == pytest.approx(np.geomspace(1e-3, 1.0, 20).tolist()[: len(found.lrs)], rel=1e-12)
    trained = copy.deepcopy(net)
    by_hand = optim.SGD(trained.parameters(), lr=1.0)
    losses = []
    for place, rate in enumerate(found.lrs):
        rows = slice(32 * (place % 10), 32 * (place % 10) + 32)
        by_hand.param_groups[0]["lr"] = rate
        by_hand.zero_grad()
        loss = nn.CrossEntropyLoss()(trained(Tensor(x[rows].astype(np.float32))), Tensor(y[rows]))
        loss.backward()
        by_hand.step()
        losses.append(loss.item())
    assert found.losses == losses


def test_a_quadratic_has_its_rate_where_theory_has_it() -> None:
    """For 0.5 * w**2 * c every rate above 2 / c diverges: the sweep ends soon after it, and suggests less."""
    x = np.ones((64, 1), np.float32)
    net = nn.Linear(1, 1, bias=False, seed=0)
    nn.init.constant_(net.weight, 5.0)
    found = train.lr_find(
        net, x, np.zeros((64, 1), np.float32), loss="mse", optimizer="sgd", start_lr=1e-4, end_lr=100.0
    )
    assert "exploded" in found.stopped
    assert 1.0 < found.lrs[-1] < 10.0  # the curvature of the mean square is 2, so rates above 1 diverge
    assert 0.001 < found.suggestion < 1.0
    assert found.suggestion == min(found.steepest, found.minimum)


def test_what_it_refuses() -> None:
    """A range that is none, too few points, no targets, a model that explodes at once."""
    x, y = problem(64)
    for options, match in (
        ({"start_lr": 0.0}, "start_lr"),
        ({"start_lr": 1.0, "end_lr": 0.1}, "end_lr"),
        ({"num_steps": 5}, "num_steps"),
        ({"loss": "huge"}, "unknown loss"),
    ):
        with pytest.raises(ArgumentError, match=match):
            train.lr_find(model(), x, y, **options)
    with pytest.raises(ArgumentError, match="targets"):
        train.lr_find(model(), x)
    with np.errstate(all="ignore"), pytest.raises(ArgumentError, match="exploded after 0 steps"):
        train.lr_find(model(), np.full((64, 2), np.inf), y)


def test_the_picture_shows_both_suggestions() -> None:
    """Axes with a logarithmic rate, the curve, the batches, and a point for each suggestion; or into given axes."""
    matplotlib = pytest.importorskip("matplotlib")
    found = train.lr_find(model(), *problem(), seed=0)
    ax = found.plot()
    assert isinstance(ax, matplotlib.axes.Axes)
    assert ax.get_xscale() == "log"
    labels = [one.get_text() for one in ax.get_legend().get_texts()]
    assert labels == [
        "loss of a batch",
        "running mean",
        f"steepest: {found.steepest:.1e}",
        f"minimum / 10: {found.minimum:.1e}",
    ]
    curve = next(line for line in ax.lines if line.get_label() == "running mean")
    assert curve.get_ydata().tolist() == found.smoothed
    assert found.plot(ax=ax) is ax
    assert f"{found.suggestion:.2e}" in repr(found)
    assert all(math.isfinite(one) for one in found.smoothed)
