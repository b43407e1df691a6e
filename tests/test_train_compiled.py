"""Training with compiled steps: the same History, weights, ends and errors as with the loop that is written out."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from tinygrad_mlp import nn, optim
from tinygrad_mlp.data import DataLoader
from tinygrad_mlp.errors import ArgumentError, CaptureError
from tinygrad_mlp.train import fit

WAYS = [
    pytest.param("replay", id="replay"),
    pytest.param("native", id="native", marks=pytest.mark.compiler),
]
OPTIMIZERS = {
    "sgd": lambda p: optim.SGD(p, lr=0.1),
    "momentum": lambda p: optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.01),
    "adam": lambda p: optim.Adam(p, lr=0.01),
    "adamw": lambda p: optim.AdamW(p, lr=0.01, amsgrad=True),
}
# Several epochs of float32 steps, each rounded in another order.
CLOSE = {"replay": 0.0, "native": 1e-4}


def data(task: str, n: int = 205, dtype: Any = np.float32) -> tuple[Any, Any]:
    """Points and targets; 205 leaves a ragged last batch of 13 behind batches of 32."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 4)).astype(dtype)
    if task == "cross_entropy":
        return x, (x[:, 0] * x[:, 1] > 0).astype(np.int64) + (x[:, 2] > 1)
    if task == "binary_cross_entropy":
        return x, (x[:, :1] > 0).astype(dtype)
    return x, x.sum(1, keepdims=True).astype(dtype) + 1


def model_for(task: str, dtype: Any = np.float32, dropout: bool = False) -> nn.Sequential:
    layers: list[Any] = [nn.Linear(4, 16, seed=0, dtype=dtype), nn.ReLU()]
    if dropout:
        layers.append(nn.Dropout(0.3, seed=5))
    return nn.Sequential(*layers, nn.Linear(16, 3 if task == "cross_entropy" else 1, seed=1, dtype=dtype))


def trained(way: Any, task: str = "cross_entropy", opt: str = "sgd", **options: Any) -> tuple[Any, Any]:
    dtype, dropout = options.pop("dtype", np.float32), options.pop("dropout", False)
    model = model_for(task, dtype, dropout)
    x, y = options.pop("xy", None) or data(task, dtype=dtype)
    settings = {"epochs": 4, "batch_size": 32, "seed": 3, "verbose": 0, **options}
    history = fit(model, x, y, optimizer=OPTIMIZERS[opt](model.parameters()), loss=task, compile=way, **settings)
    return history, model


def agree(one: tuple[Any, Any], two: tuple[Any, Any], close: float) -> None:
    """Histories and weights are equal, or close."""
    assert one[0].history.keys() == two[0].history.keys()
    for name, values in one[0].history.items():
        # One sample on the edge between two classes may fall to the other side.
        slack = 0.01 if close and name.endswith("accuracy") else close
        np.testing.assert_allclose(values, two[0].history[name], rtol=slack, atol=slack)
    for (name, a), (_, b) in zip(one[1].named_parameters(), two[1].named_parameters(), strict=True):
        np.testing.assert_allclose(a.data, b.data, rtol=10 * close, atol=10 * close, err_msg=name)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("opt", OPTIMIZERS)
@pytest.mark.parametrize("task", ["cross_entropy", "binary_cross_entropy", "mse"])
def test_same_history_and_weights(way: str, opt: str, task: str) -> None:
    """Bit by bit with NumPy, to the tolerance with C; ragged batches, shuffled, with validation."""
    compiled, plain = (trained(one, task, opt, validation_split=0.2) for one in (way, False))
    assert compiled[0].compiled == way
    assert plain[0].compiled is None
    agree(compiled, plain, CLOSE[way])


@pytest.mark.parametrize("way", WAYS)
def test_dropout_draws_the_same_masks(way: str) -> None:
    """Masks are drawn anew for every batch, from the layer's own generator."""
    agree(trained(way, dropout=True), trained(False, dropout=True), CLOSE[way])


@pytest.mark.compiler
def test_float64_is_as_close_as_float64() -> None:
    """Native epochs of float64 agree to ten digits."""
    agree(trained("native", "mse", "adam", dtype=np.float64), trained(False, "mse", "adam", dtype=np.float64), 1e-10)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("bad", [70, 133, 200])
def test_a_loss_that_is_not_finite_stops_before_its_step(way: str, bad: int) -> None:
    """The weights, the optimizer's state and the message are those of the loop that is written out."""
    x, y = data("mse")
    x[bad] = np.inf
    found = []
    for one in (way, False):
        with warnings.catch_warnings(record=True):
            warnings.simplefilter("always")
            found.append(trained(one, "mse", "momentum", xy=(x, y), shuffle=False))
    assert found[0][0].stopped == found[1][0].stopped
    assert "non-finite" in found[0][0].stopped
    agree(*found, CLOSE[way])


@pytest.mark.parametrize("way", WAYS)
def test_a_gradient_that_is_not_finite_stops_before_its_step(way: str) -> None:
    """Losses that are finite, with gradients that overflow: the weights are those before that step."""
    x, y = data("mse")
    y[100] = 1e19  # its square is a float32, the gradient's products are not
    x[100] *= 1e20
    found = []
    for one in (way, False):
        with warnings.catch_warnings(record=True):
            warnings.simplefilter("always")
            found.append(trained(one, "mse", "sgd", xy=(x, y), shuffle=False))
    assert found[0][0].stopped == found[1][0].stopped is not None
    agree(*found, CLOSE[way])


@pytest.mark.parametrize("way", WAYS)
def test_a_class_that_does_not_exist_is_the_same_error(way: str) -> None:
    """In the middle of an epoch: the error of the loss, and nothing of that batch is trained on."""
    x, y = data("cross_entropy")
    y[150] = 7
    weights = []
    for one in (way, False):
        model = model_for("cross_entropy")
        with pytest.raises(ArgumentError, match="class ids run from 0 to 7"):
            fit(model, x, y, optimizer="sgd", lr=0.1, batch_size=32, shuffle=False, verbose=0, compile=one)
        weights.append([parameter.data for parameter in model.parameters()])
    for a, b in zip(*weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=CLOSE[way], atol=CLOSE[way])


class Counting(nn.Module):
    """A model of the user's own, whose forward pass does more than compute."""

    def __init__(self, reads: bool = False) -> None:
        super().__init__()
        self.inner = model_for("cross_entropy")
        self.calls: list[int] = []
        self.reads = reads

    def forward(self, x: Any) -> Any:
        """Count the call, and perhaps look at the result."""
        y = self.inner(x)
        self.calls.append(1)
        return y * 2 if self.reads and y.sum().item() > 0 else y


def test_models_of_the_users_own_are_compiled_on_request_only() -> None:
    """What Python does besides happens in every step, unless the user says that it need not."""
    x, y = data("cross_entropy", 3200)
    model = Counting()
    assert fit(model, x, y, epochs=2, verbose=0).compiled is None
    assert len(model.calls) == 200
    assert fit(Counting(), x, y, epochs=2, verbose=0, compile="replay").compiled == "replay"


def test_a_step_that_cannot_be_captured() -> None:
    """An error where compiling was asked for, with everything as it was."""
    x, y = data("cross_entropy")
    model = Counting(reads=True)
    before = [parameter.data.copy() for parameter in model.parameters()]
    with pytest.raises(CaptureError, match="item"):
        fit(model, x, y, verbose=0, compile="replay")
    for parameter, old in zip(model.parameters(), before, strict=True):
        np.testing.assert_array_equal(parameter.data, old)


def test_short_runs_are_not_compiled_and_long_ones_are() -> None:
    """The way depends on the sizes alone, so that equal runs take equal ways."""
    x, y = data("cross_entropy")
    assert fit(model_for("cross_entropy"), x, y, epochs=2, verbose=0).compiled is None
    assert fit(model_for("cross_entropy"), x, y, epochs=20, verbose=0).compiled == "replay"


def test_a_loader_keeps_its_orders() -> None:
    """Epochs are counted as by the written loop, so the next fit goes on with the next order."""
    states = []
    for way in ("replay", False):
        loader = DataLoader(data("cross_entropy"), batch_size=32, shuffle=True, seed=1)
        model = model_for("cross_entropy")
        for _ in range(2):
            fit(model, loader, epochs=2, optimizer="sgd", lr=0.1, verbose=0, compile=way)
        states.append((loader.epoch, [parameter.data.tobytes() for parameter in model.parameters()]))
    assert states[0] == states[1]


@pytest.mark.parametrize("way", WAYS)
def test_ctrl_c_ends_after_what_is_running(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The history of the epochs before is kept."""
    from tinygrad_mlp.train import loop

    asked = []

    def obey(_self: Any) -> None:
        asked.append(1)
        if len(asked) > 20:
            raise KeyboardInterrupt

    monkeypatch.setattr(loop._Interrupts, "obey", obey)
    history, _ = trained(way, epochs=50)
    assert history.stopped == "interrupted"
    assert 0 < len(history.epoch) < 50


def test_unknown_ways_are_refused() -> None:
    """With the valid ones."""
    with pytest.raises(ArgumentError, match="native"):
        fit(model_for("mse"), *data("mse"), loss="mse", compile="fast")
