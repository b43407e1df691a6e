"""fit with bounded gradients: the loop that one writes out, and compiled steps beside it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tinygrad_mlp import from_numpy, nn, optim
from tinygrad_mlp.data import DataLoader
from tinygrad_mlp.errors import ArgumentError, DTypeError
from tinygrad_mlp.optim.swa_utils import update_bn
from tinygrad_mlp.train import fit

DRAWS = np.random.default_rng(0)
X = DRAWS.normal(size=(96, 4)).astype(np.float32)
Y = (DRAWS.normal(size=(96, 1)) * 30).astype(np.float32)


def trained(compile: Any, **bounds: float) -> list[np.ndarray]:
    model = nn.MLP(4, 8, 1, seed=0)
    fit(model, X, Y, epochs=4, lr=0.05, optimizer="sgd", loss="mse", seed=1, verbose=0, compile=compile, **bounds)
    return [one.data.copy() for one in model.parameters()]


@pytest.mark.parametrize("bounds", [{"clip_norm": 0.5}, {"clip_value": 0.05}], ids=str)
def test_bounded_gradients_are_those_of_the_loop(bounds: dict[str, float]) -> None:
    """Bit by bit as written out with nn.utils, and in replay; in C but for rounding; not as without bounds."""
    model = nn.MLP(4, 8, 1, seed=0)
    optimizer = optim.SGD(model.parameters(), lr=0.05)
    batches = DataLoader((X, Y), 32, shuffle=True, seed=1)
    for _ in range(4):
        for x, y in batches:
            optimizer.zero_grad()
            nn.functional.mse_loss(model(from_numpy(x)), from_numpy(y)).backward()
            if "clip_norm" in bounds:
                nn.utils.clip_grad_norm_(model.parameters(), bounds["clip_norm"])
            else:
                nn.utils.clip_grad_value_(model.parameters(), bounds["clip_value"])
            optimizer.step()
    for mine, right in zip(trained(False, **bounds), model.parameters(), strict=True):
        np.testing.assert_array_equal(mine, right.data)
    for mine, right in zip(trained("replay", **bounds), model.parameters(), strict=True):
        np.testing.assert_array_equal(mine, right.data)
    for mine, right in zip(trained("native", **bounds), model.parameters(), strict=True):
        np.testing.assert_allclose(mine, right.data, rtol=1e-4, atol=1e-5)
    assert not np.array_equal(trained(False, clip_value=1e3)[0], trained(False, **bounds)[0])


@pytest.mark.parametrize(
    ("bounds", "text"),
    [
        ({"clip_norm": 1.0, "clip_value": 1.0}, "got both (1.0 and 1.0); leave one out"),
        ({"clip_norm": -1.0}, "clip_norm is a positive number, got -1.0; say clip_norm=1.0"),
        ({"clip_value": "1"}, "clip_value is a positive number, got '1'; say clip_value=1.0"),
    ],
)
def test_bounds_that_are_none_are_refused(bounds: dict[str, Any], text: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        trained(False, **bounds)
    assert text in str(caught.value)


def test_what_a_recurrent_layer_gives_is_explained() -> None:
    """Its tuple, handed on by a Sequential."""
    model = nn.Sequential(nn.LSTM(4, 3), nn.Linear(3, 2))
    with pytest.raises(DTypeError, match=r"got a tuple of 2: .* say output, _ = layer\(x\)"):
        model(from_numpy(np.zeros((5, 2, 4), np.float32)))


def test_statistics_anew_are_torchs() -> None:
    """update_bn over ragged batches: the cumulative mean of the batches' statistics."""
    torch = pytest.importorskip("torch")
    batches = [X[:40] * 2 + 1, X[40:80], X[80:] - 3]
    mine, yours = nn.BatchNorm1d(4), torch.nn.BatchNorm1d(4)
    update_bn([from_numpy(one) for one in batches], mine)
    torch.optim.swa_utils.update_bn([torch.from_numpy(one) for one in batches], yours)
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        np.testing.assert_allclose(getattr(mine, name).data, getattr(yours, name).numpy(), rtol=1e-5, atol=1e-6)
    assert mine.momentum == 0.1
