"""Callbacks: which hooks are called, in what order, and what they can do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tinygrad_mlp import nn
from tinygrad_mlp.errors import ArgumentError
from tinygrad_mlp.train import Callback, evaluate, fit, predict

HOOKS = [name for name in vars(Callback) if name.startswith("on_")]


def blobs(samples: int = 70, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, samples)
    return (rng.normal(size=(samples, 4)) + 2.0 * np.eye(3, 4)[y]).astype(np.float32), y


def net() -> nn.Module:
    return nn.MLP(4, 8, 3, seed=0)


def weights(model: nn.Module) -> list[bytes]:
    return [one.data.tobytes() for one in model.parameters()]


class Diary(Callback):
    """Writes down every hook and the names in its logs."""

    def __init__(self) -> None:
        self.lines: list[Any] = []


def _note(hook: str) -> Any:
    def note(self: Diary, *number: int, logs: Any = None) -> None:
        *number, logs = (*number, logs) if logs is not None else number
        self.lines.append((hook, *number, tuple(logs)))

    return note


for _hook in HOOKS:
    setattr(Diary, _hook, _note(_hook))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_hooks_are_keras_hooks_in_keras_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keras calls the same hooks with the same numbers and log names, but for two hooks that are ours."""
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras")

    class Theirs(keras.callbacks.Callback):
        def __init__(self) -> None:
            super().__init__()
            self.lines: list[Any] = []

    for hook in HOOKS:
        setattr(Theirs, hook, _note(hook))
    x, y = blobs(8)
    ours, theirs = Diary(), Theirs()
    model = net()
    fit(model, x, y, epochs=2, batch_size=4, validation_data=(x, y), verbose=0, callbacks=[ours])
    evaluate(model, x, y, batch_size=4, callbacks=[ours])
    predict(model, x, batch_size=4, callbacks=[ours])
    other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
    other.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    other.fit(
        x, y, epochs=2, batch_size=4, validation_data=(x, y), validation_batch_size=8, verbose=0, callbacks=[theirs]
    )
    other.evaluate(x, y, batch_size=4, verbose=0, callbacks=[theirs])
    other.predict(x, batch_size=4, verbose=0, callbacks=[theirs])

    def plain(lines: list[Any]) -> list[Any]:
        """Without what Keras leaves to its back end: whether logs of a beginning are there, and their order."""
        return [
            (hook, *[tuple(sorted(set(one) - {"outputs"})) if isinstance(one, tuple) else one for one in rest if one])
            for hook, *rest in lines
            if hook not in {"on_epoch_recorded", "on_train_progress"} and not hook.startswith("on_predict")
        ]

    assert plain(ours.lines) == plain(theirs.lines)
    names = [hook for hook, *_ in ours.lines if hook.startswith("on_predict")]
    assert names == [hook for hook, *_ in theirs.lines if hook.startswith("on_predict")]


def test_callbacks_without_batch_hooks_change_nothing() -> None:
    """The weights and the history are bit by bit those without callbacks, compiled or not."""
    x, y = blobs()

    class Idle(Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            pass

    found = []
    for callbacks in (None, [Idle()], Idle()):
        model = net()
        history = fit(model, x, y, epochs=3, seed=0, verbose=0, compile="replay", callbacks=callbacks)
        found.append((weights(model), history.history, history.compiled))
    assert found[0] == found[1] == found[2]
    assert found[0][2] == "replay"


def test_a_callback_of_batches_takes_the_loop_that_is_written_out() -> None:
    """history.uncompiled names it, and the numbers are the same."""
    x, y = blobs()
    plain, watched = net(), net()
    one = fit(plain, x, y, epochs=2, seed=0, verbose=0, compile="replay")
    two = fit(watched, x, y, epochs=2, seed=0, verbose=0, compile="replay", callbacks=[Diary()])
    assert two.compiled is None
    assert two.uncompiled == "Diary wants to be told about every batch"
    assert (weights(plain), one.history) == (weights(watched), two.history)


@pytest.mark.parametrize("how", ["run", "model"])
def test_a_callback_can_stop_training(how: str) -> None:
    """run.stop(reason) and Keras' model.stop_training end it after the epoch, and leave nothing on the model."""

    class Stop(Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if epoch == 1:
                if how == "run":
                    self.run.stop("enough")
                else:
                    self.model.stop_training = True

    model = net()
    history = fit(model, *blobs(), epochs=5, verbose=0, callbacks=[Stop()])
    assert history.epoch == [0, 1]
    assert history.stopped == {"run": "enough", "model": "a callback set model.stop_training"}[how]
    assert not hasattr(model, "stop_training")


def test_stopping_within_an_epoch_ends_it_there() -> None:
    """As in Keras the epoch that was cut short is validated and entered."""

    class Stop(Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if batch == 1:
                self.run.stop("two batches are enough")

    cut, reference = net(), net()
    x, y = blobs(96)
    history = fit(cut, x, y, epochs=5, shuffle=False, verbose=0, callbacks=[Stop()])
    fit(reference, x[:64], y[:64], shuffle=False, verbose=0)
    assert history.epoch == [0]
    assert weights(cut) == weights(reference)


def test_training_ends_for_callbacks_however_it_ends() -> None:
    """on_train_end comes after Ctrl-C, after NaN, after an error and after the last epoch, once."""
    x, y = blobs()
    poisoned = x.copy()
    poisoned[0] = np.nan

    def fail(error: type[BaseException]) -> Callback:
        class Fail(Callback):
            def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
                raise error

        return Fail()

    ends = []
    for data, extra in ((x, []), (poisoned, []), (x, [fail(KeyboardInterrupt)]), (x, [fail(OSError)])):
        diary = Diary()
        try:
            with pytest.warns(RuntimeWarning) if data is poisoned else _nothing():
                fit(net(), data, y, verbose=0, callbacks=[*extra, diary])
        except OSError:
            pass
        ends.append([hook for hook, *_ in diary.lines].count("on_train_end"))
    assert ends == [1, 1, 1, 1]


def _nothing() -> Any:
    from contextlib import nullcontext

    return nullcontext()


def test_what_a_callback_adds_to_the_logs_is_in_the_history() -> None:
    """A name that appears later has NaN before; the other callbacks see it, too."""

    class Extra(Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if epoch:
                logs["extra"] = 7.0

    history = fit(net(), *blobs(), epochs=3, verbose=0, callbacks=[Extra()])
    np.testing.assert_array_equal(history.history["extra"], [np.nan, 7.0, 7.0])


def test_a_checkpoint_sees_the_epoch_in_the_history() -> None:
    """on_epoch_recorded comes when the history is complete and run.epoch is the next one."""
    seen = []

    class Look(Callback):
        def on_epoch_recorded(self, epoch: int, logs: Any = None) -> None:
            seen.append((epoch, self.run.epoch, self.run.batch, list(self.run.history.epoch)))

    fit(net(), *blobs(), epochs=2, verbose=0, callbacks=[Look()])
    assert seen == [(0, 1, 0, [0]), (1, 2, 0, [0, 1])]


@pytest.mark.parametrize("way", [False, "replay"])
def test_a_run_can_begin_in_the_middle(way: Any) -> None:
    """With initial_epoch, or with epoch, batch and meters set in on_train_begin, a run goes on bit by bit."""
    x, y = blobs()
    whole = net()
    full = fit(whole, x, y, epochs=4, optimizer="sgd", lr=0.1, seed=0, verbose=0)
    halves = net()
    fit(halves, x, y, epochs=2, optimizer="sgd", lr=0.1, seed=0, verbose=0, compile=way)
    rest = fit(halves, x, y, epochs=4, initial_epoch=2, optimizer="sgd", lr=0.1, seed=0, verbose=0, compile=way)
    assert weights(whole) == weights(halves)
    assert rest.epoch == [2, 3]
    assert rest.history["loss"] == full.history["loss"][2:]

    class Cut(Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if (self.run.epoch, batch) == (1, 0):
                self.where = (self.run.epoch, self.run.batch, self.run.meters, self.run.feed.loader.epoch - 1)
                raise KeyboardInterrupt

    cut = Cut()
    parts = net()
    fit(parts, x, y, epochs=4, optimizer="sgd", lr=0.1, seed=0, verbose=0, callbacks=[cut])

    class Resume(Callback):
        def on_train_begin(self, logs: Any = None) -> None:
            self.run.epoch, self.run.batch, self.run.meters, epoch = cut.where
            self.run.feed.loader.set_epoch(epoch)

    rest = fit(parts, x, y, epochs=4, optimizer="sgd", lr=0.1, seed=0, verbose=0, compile=way, callbacks=[Resume()])
    assert weights(parts) == weights(whole)
    assert rest.history["loss"] == full.history["loss"][1:]


def test_what_is_not_a_callback_is_refused() -> None:
    """A class and something else: the message says how to write it."""
    with pytest.raises(ArgumentError, match=r"^expected callbacks, got <class '.*Callback'>; write Callback\(…\) with"):
        fit(net(), *blobs(), callbacks=[Callback])
    with pytest.raises(ArgumentError, match=r"^expected callbacks, got 3; derive it from Callback$"):
        fit(net(), *blobs(), callbacks=[3])


def test_the_learning_rate_is_at_hand() -> None:
    """run.lr reads and sets that of all groups; an optimizer without one is named."""
    seen = []

    class Halve(Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.run.lr /= 2
            seen.append(self.run.lr)

    fit(net(), *blobs(), epochs=2, optimizer="sgd", lr=0.5, verbose=0, callbacks=[Halve()])
    assert seen == [0.25, 0.125]

    class Other:
        def step(self) -> None: ...
        def zero_grad(self) -> None: ...

    with pytest.raises(ArgumentError, match="expected an optimizer whose param_groups have a learning rate, got Other"):
        fit(net(), *blobs(), optimizer=Other(), verbose=0, callbacks=[Halve()])


def test_epochs_count_from_the_first_one() -> None:
    """epochs is the number of the last epoch, as in Keras, and the message says so."""
    with pytest.raises(ArgumentError, match=r"expected epochs > initial_epoch.*say epochs=5$"):
        fit(net(), *blobs(), epochs=2, initial_epoch=3)
