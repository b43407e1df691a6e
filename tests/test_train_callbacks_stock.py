"""The callbacks that come with the package, beside Keras' own."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinygrad_mlp import Tensor, nn
from tinygrad_mlp.errors import ArgumentError, MissingExtraError
from tinygrad_mlp.train import Callback, History, Run, evaluate, fit
from tinygrad_mlp.train.callbacks import (
    CSVLogger,
    EarlyStopping,
    LambdaCallback,
    LearningRateScheduler,
    ReduceLROnPlateau,
    TensorBoard,
    TerminateOnNaN,
)


def blobs(samples: int = 70, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, samples)
    return (rng.normal(size=(samples, 4)) + 2.0 * np.eye(3, 4)[y]).astype(np.float32), y


def net() -> nn.Module:
    return nn.MLP(4, 8, 3, seed=0)


def weights(model: nn.Module) -> list[bytes]:
    return [one.data.tobytes() for one in model.parameters()]


class Optimizer:
    """Nothing but a learning rate, in both libraries' places for it."""

    def __init__(self, lr: float) -> None:
        self.param_groups = [{"lr": lr}]
        self.learning_rate = lr


class Weighing(nn.Module):
    """One number as weights, and Keras' way to get and set them."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter([0.0])
        self.optimizer = Optimizer(0.8)
        self.metrics: list[Any] = []

    def get_weights(self) -> list[Any]:
        return [self.w.data.copy()]

    def set_weights(self, values: list[Any]) -> None:
        self.w.data[...] = values[0]


def driven(callback: Any, values: list[float], name: str, ours: bool) -> tuple[Any, ...]:
    """Where a callback stops over epochs with these values, the weights it leaves and the rates of all epochs."""
    model = Weighing()
    run = Run(model, params={}, feed=None, optimizer=model.optimizer, history=History())
    run.validation = ()
    callback.set_model(model)
    if ours:
        callback.set_run(run)
    model.stop_training = False
    callback.on_train_begin({})
    rates = []
    stopped = None
    for epoch, value in enumerate(values):
        callback.on_epoch_begin(epoch, {})
        model.w.data[...] = epoch
        callback.on_epoch_end(epoch, {name: value, "loss": 1.0})
        rates.append(run.lr if ours else float(model.optimizer.learning_rate))
        if run.stopping if ours else model.stop_training:
            stopped = epoch
            break
    callback.on_train_end({})
    return stopped, model.w.data.item(), [round(one, 12) for one in rates]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", ["EarlyStopping", "ReduceLROnPlateau", "LearningRateScheduler"])
def test_decisions_are_keras_decisions(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over random values and options: the same epoch to stop in, the same weights, the same rates."""
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras")
    rng = np.random.default_rng(0)
    ours = {"EarlyStopping": EarlyStopping, "ReduceLROnPlateau": ReduceLROnPlateau}.get(kind, LearningRateScheduler)
    for case in range(150):
        values = np.round(rng.normal(size=12).cumsum() * 0.3 + 2, 1).tolist()
        if rng.random() < 0.2:
            values[rng.integers(5, 12)] = math.nan  # Keras takes one that comes first for the best for ever
        options: dict[str, Any] = {
            "mode": str(rng.choice(["min", "max"])),
            "patience": int(rng.integers(0, 4)),
            "min_delta": float(rng.choice([0.0, 0.05])),
        }
        if kind == "EarlyStopping":
            options["start_from_epoch"] = int(rng.integers(0, 4))
            options["baseline"] = [None, 2.0][rng.integers(2)]
            options["restore_best_weights"] = bool(rng.integers(2))
        elif kind == "ReduceLROnPlateau":
            options |= {"factor": 0.5, "cooldown": int(rng.integers(0, 3)), "min_lr": 0.15}
        else:
            options = {"schedule": [lambda epoch: 0.5 / (epoch + 1), lambda _epoch, lr: lr * 0.9][case % 2]}
        extra = {} if kind == "LearningRateScheduler" else {"monitor": "val_x"}
        mine = driven(ours(**options, **extra), values, "val_x", ours=True)
        theirs = driven(getattr(keras.callbacks, kind)(**options, **extra), values, "val_x", ours=False)
        assert mine == theirs, (options, values)


# --- EarlyStopping ------------------------------------------------------------------------------------


class Script(Callback):
    """Gives val_loss from a list, notes the weights of every epoch, and does something at one of them."""

    def __init__(self, values: list[float], act: Any = None) -> None:
        self.values = values
        self.act = act
        self.seen: list[list[bytes]] = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs["val_loss"] = self.values[epoch]
        self.seen.append(weights(self.model))
        if self.act and epoch == len(self.values) - 1:
            self.act()


def poison() -> None:
    raise OSError


def interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("way", [False, "replay"])
@pytest.mark.parametrize("end", ["early", "normal", "interrupt", "error", "nan"])
def test_the_best_weights_come_back_however_training_ends(end: str, way: Any) -> None:
    """Early, after the last epoch, on Ctrl-C, when something raises, and on a loss that is not finite."""
    x, y = blobs()
    model = net()
    model.register_buffer("count", Tensor(np.zeros(1)))
    script = Script([3.0, 1.0, 2.0, 2.0], {"interrupt": interrupt, "error": poison}.get(end))
    stop = EarlyStopping(patience=2 if end == "early" else 10)

    def spoil(epoch: int, _logs: Any) -> None:
        if end == "nan" and epoch == 3:
            next(model.parameters()).data[...] = np.nan

    options: dict[str, Any] = {"epochs": 4, "validation_data": (x, y), "optimizer": "sgd", "verbose": 0, "compile": way}
    callbacks = [LambdaCallback(on_epoch_begin=spoil), script, stop]
    history = None
    if end == "nan":
        with pytest.warns(RuntimeWarning, match="the weights are restored to those of epoch 2. Lower the"):
            history = fit(model, x, y, callbacks=callbacks, **options)
    elif end == "error":
        with pytest.raises(OSError):  # noqa: PT011 - the one from above
            fit(model, x, y, callbacks=callbacks, **options)
    else:
        history = fit(model, x, y, callbacks=callbacks, **options)
    assert weights(model) == script.seen[1] != script.seen[2]
    if history is not None:
        assert history.restored_epoch == 1
        assert (
            history.stopped
            == {
                "early": "val_loss was best in epoch 2: 1; the weights are those of that epoch",
                "normal": None,
                "interrupt": "interrupted",
                "nan": history.stopped,
            }[end]
        )


def test_batch_norm_statistics_come_back_too() -> None:
    """Persistent buffers belong to the weights."""

    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 3, seed=0)
            self.register_buffer("seen", Tensor(np.zeros(1)))

        def forward(self, x: Any) -> Any:
            if self.training:
                self.seen.data[...] += 1
            return self.layer(x)

    model = Counting()
    x, y = blobs(8)
    fit(model, x, y, epochs=3, verbose=0, validation_data=(x, y), callbacks=[Script([1.0, 2.0, 3.0]), EarlyStopping()])
    assert model.seen.data.item() == 1


def test_early_stopping_goes_on_from_its_state() -> None:
    """A state taken in the middle makes the rest of the run decide as the whole one did."""
    values = [3.0, 2.0, 2.5, 2.4, 2.6, 2.7]
    first, second = EarlyStopping(patience=3), EarlyStopping(patience=3)
    assert driven(first, values, "val_loss", ours=True)[:2] == (4, 1.0)
    driven(second, values[:4], "val_loss", ours=True)
    state = second.state_dict()
    third = EarlyStopping(patience=3)
    third.load_state_dict(state)
    third.set_run(second.run)
    third.set_model(second.model)
    third.on_epoch_end(4, {"val_loss": values[4]})
    assert second.run.reason == "val_loss was best in epoch 2: 2; the weights are those of that epoch"


# --- messages -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: EarlyStopping(mode="mim"),
            "EarlyStopping: unknown mode 'mim'; did you mean 'min'? Valid: auto, max, min",
        ),
        (
            lambda: EarlyStopping(patience=-1),
            (
                "EarlyStopping: patience and start_from_epoch are numbers of epochs >= 0, got patience=-1 and "
                "start_from_epoch=0"
            ),
        ),
        (
            lambda: ReduceLROnPlateau(factor=1.0),
            "ReduceLROnPlateau: factor lies in (0, 1), got 1.0; 0.1 makes a tenth of the rate",
        ),
        (
            lambda: ReduceLROnPlateau(cooldown=-1),
            "ReduceLROnPlateau: patience and cooldown are numbers of epochs >= 0, got patience=10 and cooldown=-1",
        ),
        (lambda: ReduceLROnPlateau(min_delta=-1), "ReduceLROnPlateau: min_delta is a difference >= 0, got -1"),
        (
            lambda: LearningRateScheduler(0.1),
            (
                "LearningRateScheduler: expected a function of the epoch, or a scheduler with step(), got 0.1; "
                "say LearningRateScheduler(lambda epoch, lr: 0.95 * lr)"
            ),
        ),
        (
            lambda: CSVLogger("x.csv", separator=", "),
            "CSVLogger: separator is one character, got ', '; say separator=','",
        ),
        (
            lambda: TensorBoard(update_freq=0),
            "TensorBoard: update_freq is 'epoch', 'batch' or a number of batches >= 1, got 0",
        ),
        (
            lambda: fit(net(), *blobs(), verbose=0, callbacks=EarlyStopping()),
            (
                "EarlyStopping watches 'val_loss', but nothing is validated; say fit(…, validation_split=0.2), or "
                "monitor='loss'"
            ),
        ),
        (
            lambda: fit(net(), *blobs(), verbose=0, callbacks=[AddsX(), EarlyStopping("x")]),
            "EarlyStopping: whether high or low values of 'x' are good is not known; say mode='max' or mode='min'",
        ),
        (
            lambda: fit(net(), *blobs(), verbose=0, callbacks=LearningRateScheduler(lambda _epoch: None)),
            "LearningRateScheduler: expected a number from the schedule, got None for epoch 0",
        ),
    ],
)
def test_messages(make: Any, message: str) -> None:
    """Each says what is wrong and what to write."""
    with pytest.raises(ArgumentError) as caught:
        make()
    assert str(caught.value) == message


class AddsX(Callback):
    """A number that nobody knows, twice."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs["x"] = 1.0
        self.run.stop("")
        self.run.reason = None


def test_an_unknown_hook_is_refused() -> None:
    """With the nearest one that exists."""
    with pytest.raises(
        ArgumentError, match=r"LambdaCallback: unknown hook 'on_epoch_ende'; did you mean 'on_epoch_end'\?"
    ):
        LambdaCallback(on_epoch_ende=print)


def test_a_number_that_does_not_come_is_said_once() -> None:
    """A warning names those there are."""
    with pytest.warns(RuntimeWarning) as caught:
        fit(net(), *blobs(), epochs=3, verbose=0, callbacks=[EarlyStopping("acuracy")])
    assert [str(one.message) for one in caught] == [
        "EarlyStopping does nothing: unknown monitor 'acuracy'; did you mean 'accuracy'? Valid: accuracy, loss"
    ]


# --- the others ---------------------------------------------------------------------------------------


def test_accuracy_is_watched_upwards() -> None:
    """mode="auto" knows losses and the metrics of the run."""
    x, y = blobs()
    stop = EarlyStopping("val_accuracy", patience=1)
    history = fit(net(), x, y, epochs=30, lr=0.05, seed=0, verbose=0, validation_split=0.3, callbacks=[stop])
    assert stop.best == max(history.history["val_accuracy"])


def test_terminate_on_nan_watches_validation() -> None:
    """A val_loss that is not finite ends training after its epoch."""
    x, y = blobs()
    bad = x.copy()
    bad[0] = np.nan
    history = fit(net(), x, y, epochs=3, verbose=0, validation_data=(bad, y), callbacks=[TerminateOnNaN()])
    assert history.stopped == "val_loss is nan in epoch 1"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_csv_files_are_keras_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For the same logs both write the same lines; appended runs go on in the same columns."""
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras")
    logs = [{"loss": 0.5, "accuracy": 0.25}, {"loss": 1 / 3, "accuracy": 0.5, "val_loss": 2.0, "val_accuracy": 1.0}]
    for make, ours in ((CSVLogger, True), (keras.callbacks.CSVLogger, False)):
        path = tmp_path / f"{ours}.csv"
        for append in (False, True):
            logger = make(str(path), separator=";", append=append)
            if ours:
                run = Run(net(), params={}, feed=None)
                run.validation = ()
                logger.set_run(run)
            logger.on_train_begin()
            for epoch, one in enumerate(logs):
                logger.on_epoch_end(epoch, one)
            logger.on_train_end()
    mine, theirs = ((tmp_path / f"{one}.csv").read_text().splitlines() for one in (True, False))
    assert mine == theirs


def test_csv_of_a_run_without_validation(tmp_path: Path) -> None:
    """A header and one line per epoch, and the numbers are those of the History to the last digit."""
    path = tmp_path / "log.csv"
    history = fit(net(), *blobs(), epochs=2, verbose=0, callbacks=[CSVLogger(path)])
    with path.open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["loss"]) for row in rows] == history.history["loss"]
    assert list(rows[0]) == ["epoch", "accuracy", "loss"]


def test_a_lambda_is_called_like_the_hook() -> None:
    """Functions get the hook's arguments; only those of batches cost compiled epochs."""
    seen = []
    quiet = LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append((epoch, logs["loss"])))
    history = fit(net(), *blobs(), epochs=2, verbose=0, compile="replay", callbacks=[quiet])
    assert seen == list(enumerate(history.history["loss"]))
    assert history.compiled == "replay"
    batches = []
    loud = LambdaCallback(on_train_batch_end=lambda batch, logs: batches.append(batch))
    assert fit(net(), *blobs(), verbose=0, compile="replay", callbacks=[loud]).compiled is None
    assert batches == [0, 1, 2]


def test_torch_like_schedulers_step_after_every_epoch() -> None:
    """step() once per epoch; with the monitored number where it asks for one; its state is the callback's."""

    class Halves:
        def __init__(self, groups: Any) -> None:
            self.groups, self.steps = groups, 0

        def step(self) -> None:
            self.steps += 1
            self.groups[0]["lr"] /= 2

        def state_dict(self) -> dict[str, Any]:
            return {"steps": self.steps}

        def load_state_dict(self, state: dict[str, Any]) -> None:
            self.steps = state["steps"]

    class Plateau(Halves):
        def step(self, metrics: float) -> None:
            values.append(metrics)

    values: list[float] = []
    from tinygrad_mlp import optim

    for kind, rates in ((Halves, [0.4, 0.2, 0.1]), (Plateau, [0.4, 0.4, 0.4])):
        model = net()
        optimizer = optim.SGD(model.parameters(), lr=0.4)
        callback = LearningRateScheduler(kind(optimizer.param_groups))
        history = fit(model, *blobs(), epochs=3, optimizer=optimizer, verbose=0, callbacks=callback)
        assert history.history["learning_rate"] == rates
    assert values == history.history["loss"]
    callback.load_state_dict({"scheduler": {"steps": 7}})
    assert callback.state_dict() == {"scheduler": {"steps": 7}}


def test_rates_reach_compiled_steps() -> None:
    """A schedule of epochs trains compiled steps with the same bits as the written-out loop."""
    x, y = blobs()
    found = []
    LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1))
    for way in (False, "replay"):
        model = net()
        history = fit(
            model,
            x,
            y,
            epochs=4,
            seed=0,
            verbose=0,
            compile=way,
            callbacks=[LearningRateScheduler(lambda e: 0.1 / (e + 1))],
        )
        found.append((weights(model), history.history))
        assert history.compiled == (way or None)
    assert found[0] == found[1]


def test_printed_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """verbose=1 says what was done."""
    driven(EarlyStopping(patience=1, verbose=1, mode="min"), [1.0, 2.0], "val_loss", ours=True)
    driven(ReduceLROnPlateau(patience=1, verbose=1, factor=0.5), [1.0, 2.0], "val_loss", ours=True)
    driven(LearningRateScheduler(lambda _epoch: 0.25, verbose=1), [1.0], "val_loss", ours=True)
    assert capsys.readouterr().out.splitlines() == [
        "Restored the weights of epoch 1 (val_loss: 1.0)",
        "Epoch 2: the learning rate goes from 0.8 to 0.4",
        "Epoch 1: the learning rate is 0.25",
    ]


def test_tensorboard_without_its_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Before anything is trained."""
    import sys

    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    model = net()
    before = weights(model)
    with pytest.raises(MissingExtraError, match=r"write logs for TensorBoard: pip install .tinygrad-mlp\[tensor"):
        fit(model, *blobs(), verbose=0, callbacks=TensorBoard(tmp_path))
    assert weights(model) == before


def test_tensorboard_gets_keras_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """epoch_… of training and validation in their folders, batch_… and histograms when asked for."""
    import sys
    import types

    written: list[tuple[Any, ...]] = []

    class Writer:
        def __init__(self, folder: str) -> None:
            self.folder = Path(folder).name

        def add_scalar(self, tag: str, value: float, step: int) -> None:
            written.append((self.folder, tag, step))

        def add_histogram(self, tag: str, value: Any, step: int) -> None:
            written.append((self.folder, f"histogram {tag}", step))

        def flush(self) -> None: ...
        def close(self) -> None:
            written.append((self.folder, "closed"))

    monkeypatch.setitem(sys.modules, "tensorboardX", types.SimpleNamespace(SummaryWriter=Writer))
    board = TensorBoard(tmp_path, histogram_freq=2, update_freq=2)
    x, y = blobs()
    fit(nn.Linear(4, 3, seed=0), x, y, epochs=2, verbose=0, validation_data=(x, y), callbacks=board)
    assert {one for one in written if one[-1] == 0} == {
        ("train", "epoch_loss", 0),
        ("train", "epoch_accuracy", 0),
        ("train", "epoch_learning_rate", 0),
        ("validation", "epoch_loss", 0),
        ("validation", "epoch_accuracy", 0),
        ("train", "histogram weight", 0),
        ("train", "histogram bias", 0),
    }
    assert [one[2] for one in written if one[1] == "batch_loss"] == [2, 4, 6]
    assert {one for one in written if one[1] == "closed"} == {("train", "closed"), ("validation", "closed")}


def test_evaluate_takes_callbacks() -> None:
    """The hooks of tests get the numbers that evaluate returns."""
    seen = []
    found = evaluate(net(), *blobs(), callbacks=LambdaCallback(on_test_end=lambda logs: seen.append(dict(logs))))
    assert seen == [found]
