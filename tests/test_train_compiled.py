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


@pytest.mark.compiler
def test_models_of_the_users_own_are_compiled_on_request_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Python does besides happens in every step, unless the user says that it need not."""
    monkeypatch.setattr("tinygrad_mlp.train.compiled._LONG", 0.0)
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


@pytest.mark.compiler
def test_short_runs_are_not_compiled_and_long_ones_are() -> None:
    """The way depends on the sizes alone, so that equal runs take equal ways."""
    x, y = data("cross_entropy")
    assert fit(model_for("cross_entropy"), x, y, epochs=20, verbose=0).compiled is None
    assert fit(model_for("cross_entropy"), x, y, epochs=2000, verbose=0).compiled == "native"


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
    from tinygrad_mlp.train.interrupts import Interrupts

    asked = []

    def obey(_self: Any) -> None:
        asked.append(1)
        if len(asked) > 20:
            raise KeyboardInterrupt

    monkeypatch.setattr(Interrupts, "obey", obey)
    history, _ = trained(way, epochs=50)
    assert history.stopped == "interrupted"
    assert 0 < len(history.epoch) < 50


def test_unknown_ways_are_refused() -> None:
    """With the valid ones."""
    with pytest.raises(ArgumentError, match="native"):
        fit(model_for("mse"), *data("mse"), loss="mse", compile="fast")


# --- what a compiled step must not change ---------------------------------------------------------------


class Noisy:
    """A data set that gives something else each time it is asked, and NaN in the ``bad``-th answer."""

    def __init__(self, bad: int = -1) -> None:
        self.x, self.y = data("cross_entropy", 640)
        self.rng = np.random.default_rng(1)
        self.bad = bad
        self.asked = 0

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, place: int) -> tuple[Any, Any]:
        self.asked += 1
        row = self.x[place] + self.rng.normal(size=4).astype(np.float32)
        return (row * np.float32("nan") if self.asked == self.bad else row), self.y[place]


@pytest.mark.parametrize("way", [*WAYS, "auto"])
@pytest.mark.parametrize("bad", [-1, 5, 333, 1201])
def test_what_a_data_set_gave_is_gone_through_again_not_asked_for_again(
    way: Any, bad: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stop names the same batch and leaves the same weights, and each sample is fetched once."""
    monkeypatch.setattr("tinygrad_mlp.train.compiled._LONG", 0.0)
    found = []
    for one in (way, False):
        noisy = Noisy(bad)
        model = model_for("cross_entropy")
        loader = DataLoader(noisy, 20, shuffle=True, seed=2)
        with warnings.catch_warnings(record=True):
            warnings.simplefilter("always")
            history = fit(model, loader, epochs=2, optimizer="sgd", lr=0.1, verbose=0, compile=one)
        assert (history.stopped is None) == (bad < 0)
        if bad < 0:
            assert noisy.asked == 2 * len(noisy)
        found.append((history, model))
    assert found[0][0].stopped == found[1][0].stopped
    agree(*found, CLOSE.get(way, CLOSE["native"]))


@pytest.mark.parametrize("way", [*WAYS, "auto"])
def test_batches_of_four_columns_are_the_same_error(way: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over arrays and over a data set of one's own."""
    monkeypatch.setattr("tinygrad_mlp.train.compiled._LONG", 0.0)
    x, y = data("cross_entropy", 3200)
    for source in ((x, y, y, y), list(zip(x, y, y, y, strict=True))):
        with pytest.raises(ArgumentError, match=r"sample_weight\), got 4 columns"):
            fit(model_for("cross_entropy"), DataLoader(source), epochs=2, verbose=0, compile=way)


@pytest.mark.compiler
def test_an_optimizer_from_outside_is_refused_or_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its state is not known, so that nothing could be put back; in "auto" it steps as it always did."""
    monkeypatch.setattr("tinygrad_mlp.train.compiled._LONG", 0.0)

    class Plain:
        def __init__(self, parameters: Any) -> None:
            self.parameters = list(parameters)

        def zero_grad(self) -> None:
            for one in self.parameters:
                one.grad = None

        def step(self) -> None:
            for one in self.parameters:
                one.data -= 0.1 * one.grad.data

    x, y = data("cross_entropy", 3200)
    model = model_for("cross_entropy")
    with pytest.raises(ArgumentError, match=r"an optimizer of tinygrad_mlp\.optim, got Plain"):
        fit(model, x, y, optimizer=Plain(model.parameters()), verbose=0, compile=True)
    history = fit(model, x, y, optimizer=Plain(model.parameters()), verbose=0)
    assert history.compiled is None
    assert "Plain" in (history.uncompiled or "")


def test_a_failed_capture_gives_the_random_numbers_back() -> None:
    """Masks that were drawn for it are drawn again."""

    class Reading(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.drop = nn.Dropout(0.5, seed=0)
            self.dense = nn.Linear(4, 3, seed=0)

        def forward(self, x: Any) -> Any:
            y = self.dense(self.drop(x))
            return y if y.sum().item() > 0 else y * 2

    model = Reading()
    before = model.drop.rng.bit_generator.state
    with pytest.raises(CaptureError, match="item"):
        fit(model, *data("cross_entropy"), verbose=0, compile="replay")
    assert model.drop.rng.bit_generator.state == before


@pytest.mark.compiler
def test_hooks_are_called_once_for_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """In "auto" a parameter with a hook is a reason to leave the step as it is."""
    monkeypatch.setattr("tinygrad_mlp.train.compiled._LONG", 0.0)
    model = model_for("cross_entropy")
    calls: list[int] = []
    next(model.parameters()).register_hook(lambda _gradient: calls.append(1))
    history = fit(model, *data("cross_entropy", 3200), epochs=2, verbose=0)
    assert len(calls) == 200
    assert history.uncompiled == "a parameter has hooks"


def test_the_history_says_why() -> None:
    """A reason where nothing was compiled, none where it was; both survive as plain data."""
    x, y = data("cross_entropy")
    reasons = [
        fit(model_for("cross_entropy"), x, y, epochs=epochs, verbose=0, compile=way).to_dict()
        for epochs, way in ((1, False), (1, "auto"), (1, "replay"))
    ]
    assert [one["uncompiled"] for one in reasons] == [
        "compile=False",
        "too short to gain from it",
        None,
    ]
    assert [one["compiled"] for one in reasons] == [None, None, "replay"]


def test_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """NumPy takes its place: with a warning where C was asked for, silently in "auto"; the history says which ran."""
    from tinygrad_mlp.errors import CompilerError
    from tinygrad_mlp.program import compiled as module
    from tinygrad_mlp.program import native
    from tinygrad_mlp.program.native import toolchain

    def none(*_: Any) -> None:
        raise CompilerError("no C compiler: cc: not found on PATH")

    monkeypatch.setattr(module, "_said", set())
    monkeypatch.setattr(native, "Native", none)
    monkeypatch.setattr(toolchain, "find_compiler", none)
    with pytest.warns(RuntimeWarning, match="no C compiler"):
        asked, model = trained("native")
    assert asked.compiled == "replay"
    agree((asked, model), trained(False), 0.0)
    monkeypatch.setattr(module, "_said", set())
    monkeypatch.setattr("tinygrad_mlp.train.compiled._LONG", 0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert trained("auto")[0].compiled is None


@pytest.mark.compiler
def test_a_ragged_last_batch_is_not_worth_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """One program is compiled for the full batches, none for the last one; a batch that is all the data is compiled."""
    from tinygrad_mlp.program import native

    made: list[tuple[int, ...]] = []

    class Watched(native.Native):
        def __init__(self, program: Any) -> None:
            made.append(program.inputs[0].shape)
            super().__init__(program)

    monkeypatch.setattr(native, "Native", Watched)
    assert trained("native")[0].compiled == "native"
    assert made == [(32, 4)]
    made.clear()
    assert trained("native", batch_size=500)[0].compiled == "native"
    assert made == [(205, 4)]
