"""fit, evaluate, predict, History and what is seen while they run."""

from __future__ import annotations

import io
import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinygrad_mlp import Tensor, from_numpy, is_grad_enabled, nn, optim
from tinygrad_mlp.data import DataLoader
from tinygrad_mlp.datasets import load_digits, train_test_split
from tinygrad_mlp.errors import ArgumentError, DTypeError, MissingExtraError, ShapeError, StateError
from tinygrad_mlp.train import History, evaluate, fit, predict
from tinygrad_mlp.train.meters import Meters
from tinygrad_mlp.train.metrics import RSquared
from tinygrad_mlp.train.progress import (
    BarProgress,
    LineProgress,
    NotebookProgress,
    SilentProgress,
    progress_of,
    shown_epochs,
)

ROOT = Path(__file__).resolve().parents[1]


def blobs(samples: int = 70, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, samples)
    return (rng.normal(size=(samples, 4)) + 2.0 * np.eye(3, 4)[y]).astype(np.float32), y


def weights(model: nn.Module) -> list[bytes]:
    return [one.data.tobytes() for one in model.parameters()]


class Spy(nn.Module):
    """Hands on to a layer and calls a function with every input first."""

    def __init__(self, layer: nn.Module, call: Any) -> None:
        super().__init__()
        self.layer = layer
        self.call = call

    def forward(self, x: Any) -> Any:
        """What the layer gives."""
        self.call(x)
        return self.layer(x)


# --- the loop -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["sgd", "adam", "adamw"])
def test_fit_is_the_loop_one_writes_by_hand(kind: str) -> None:
    """The weights after fit equal, bit for bit, those after the same five lines written out."""
    x, y = blobs()
    by_fit, by_hand = nn.MLP(4, 8, 3, seed=1), nn.MLP(4, 8, 3, seed=1)
    fit(by_fit, x, y, epochs=3, batch_size=16, optimizer=kind, seed=5, verbose=0)

    optimizer = {"sgd": optim.SGD, "adam": optim.Adam, "adamw": optim.AdamW}[kind](by_hand.parameters())
    criterion = nn.CrossEntropyLoss()
    loader = DataLoader((x, y), batch_size=16, shuffle=True, seed=5)
    for _ in range(3):
        for xb, yb in loader:
            optimizer.zero_grad()
            loss = criterion(by_hand(from_numpy(xb)), yb)
            loss.backward()
            optimizer.step()
    assert weights(by_fit) == weights(by_hand)


def test_same_seed_same_bits() -> None:
    """Two runs with one seed agree in every weight and every number of the history; another seed differs."""
    x, y = blobs()

    def run(seed: int) -> tuple[list[bytes], dict[str, list[float]]]:
        model = nn.MLP(4, 8, 3, dropout=0.2, seed=3)
        found = fit(model, x, y, epochs=2, seed=seed, validation_split=0.2, verbose=0)
        return weights(model), found.history

    assert run(1) == run(1)
    assert run(1)[0] != run(2)[0]


def test_history_has_keras_keys_and_one_number_per_epoch() -> None:
    """loss, accuracy, val_loss, val_accuracy; epoch counts from 0; params and seconds describe the run."""
    x, y = blobs()
    history = fit(nn.MLP(4, 8, 3, seed=0), x, y, epochs=4, validation_data=blobs(20, 1), verbose=0)
    assert list(history.history) == ["loss", "accuracy", "val_loss", "val_accuracy"]
    assert {len(values) for values in history.history.values()} == {4}
    assert history.epoch == [0, 1, 2, 3]
    assert history.params == {"epochs": 4, "steps": 3, "batch_size": 32, "samples": 70, "verbose": 0}
    assert len(history.seconds) == 4
    assert history.stopped is None
    assert json.loads(json.dumps(history.to_dict()))["history"] == history.history


def test_training_metrics_are_exact_over_a_ragged_last_batch() -> None:
    """With a learning rate of 0 the metrics of an epoch are those of all samples at once, as scikit-learn counts."""
    metrics = pytest.importorskip("sklearn.metrics", reason='scikit-learn is missing: pip install "tinygrad-mlp[dev]"')
    x, y = blobs(71)
    model = nn.MLP(4, 8, 3, seed=0)
    history = fit(model, x, y, batch_size=16, optimizer="sgd", lr=0.0, verbose=0)
    logits = predict(model, x)
    shares = np.exp(logits.astype(np.float64)) / np.exp(logits.astype(np.float64)).sum(1, keepdims=True)
    assert history.history["accuracy"] == [metrics.accuracy_score(y, logits.argmax(1))]
    assert history.history["loss"][0] == pytest.approx(metrics.log_loss(y, shares), rel=1e-6)
    assert evaluate(model, x, y, batch_size=16)["accuracy"] == metrics.accuracy_score(y, logits.argmax(1))


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_r2_is_exact_over_ragged_batches(offset: float) -> None:
    """The merged sums give scikit-learn's R², also where the targets lie far from zero."""
    metrics = pytest.importorskip("sklearn.metrics", reason='scikit-learn is missing: pip install "tinygrad-mlp[dev]"')
    rng = np.random.default_rng(0)
    y = rng.normal(size=(101, 1)) + offset
    found = y + 0.3 * rng.normal(size=y.shape)
    r2 = RSquared()
    for start in range(0, 101, 16):
        r2.update(found[start : start + 16], y[start : start + 16])
    assert r2.result() == pytest.approx(metrics.r2_score(y, found), rel=1e-9)


def test_a_loss_that_sums_is_reported_per_sample() -> None:
    """reduction="sum" and "mean" report the same number for the same weights."""
    x, y = blobs()
    model = nn.MLP(4, 8, 3, seed=0)
    mean = evaluate(model, x, y, batch_size=16, loss=nn.CrossEntropyLoss())
    total = evaluate(model, x, y, batch_size=16, loss=nn.CrossEntropyLoss(reduction="sum"))
    assert total["loss"] == pytest.approx(mean["loss"], rel=1e-6)


def test_binary_targets_and_class_probabilities_have_an_accuracy() -> None:
    """One logit per sample counts above 0 as class 1; one-hot targets count by their largest column."""
    logits = np.array([[2.0], [-1.0], [3.0]], dtype=np.float32)
    found = evaluate(nn.Identity(), logits, np.array([[1.0], [1.0], [1.0]]), loss="binary_cross_entropy")
    assert found["accuracy"] == pytest.approx(2 / 3)
    rows = np.array([[2.0, 1.0], [0.0, 1.0]], dtype=np.float32)
    assert evaluate(nn.Identity(), rows, np.eye(2))["accuracy"] == 1.0


def test_validation_runs_in_evaluation_mode_without_recording_and_modes_come_back() -> None:
    """Training batches see training mode and recording, validation neither; afterwards every module is as before."""
    seen: list[tuple[bool, bool]] = []
    frozen = nn.Dropout(0.5, seed=0).eval()
    model = nn.Sequential(
        Spy(nn.Linear(4, 3, seed=0), lambda _x: seen.append((model.training, is_grad_enabled()))), frozen
    )
    x, y = blobs(10)
    fit(model, x, y, validation_data=(x, y), verbose=0)
    predict(model, x)
    assert seen == [(True, True), (False, False), (False, False)]
    assert model.training
    assert not frozen.training


def test_a_model_in_evaluation_mode_is_trained_and_stays_in_it() -> None:
    """fit trains in training mode whatever the mode before, and puts the mode back."""
    x, y = blobs()
    model = nn.MLP(4, 8, 3, dropout=0.3, seed=0).eval()
    other = nn.MLP(4, 8, 3, dropout=0.3, seed=0)
    for one in (model, other):
        fit(one, x, y, seed=0, verbose=0)
    assert weights(model) == weights(other)
    assert [one.training for one in model.modules()] == [False] * 5


def test_float64_data_does_not_widen_a_float32_model() -> None:
    """Inputs and float targets are converted to the dtype of the parameters."""
    seen: set[np.dtype[Any]] = set()
    model = Spy(nn.Linear(2, 1, seed=0), lambda x: seen.add(x.dtype))
    fit(model, np.ones((4, 2)), np.ones((4, 1)), loss="mse", verbose=0)
    predict(model, np.ones((4, 2)))
    assert seen == {np.dtype(np.float32)}


def test_a_dataloader_brings_its_own_batches() -> None:
    """fit with a DataLoader equals fit with the same arrays, batch size and seed."""
    x, y = blobs()
    first, second = nn.MLP(4, 8, 3, seed=0), nn.MLP(4, 8, 3, seed=0)
    one = fit(first, DataLoader((x, y), 16, shuffle=True, seed=2), epochs=2, verbose=0)
    two = fit(second, x, y, batch_size=16, seed=2, epochs=2, verbose=0)
    assert weights(first) == weights(second)
    assert one.history == two.history
    assert evaluate(first, DataLoader((x, y), 16)) == evaluate(first, x, y, batch_size=16)


def test_validation_split_holds_out_in_proportion_to_the_classes() -> None:
    """The samples held out are never trained on, and every class has its share among them."""
    x, y = np.arange(100, dtype=np.float32)[:, None], np.repeat([0, 1], [80, 20])
    seen: dict[bool, list[float]] = {True: [], False: []}
    model = Spy(nn.Linear(1, 2, seed=0), lambda batch: seen[is_grad_enabled()].extend(batch.data[:, 0].tolist()))
    fit(model, x, y, validation_split=0.2, seed=0, verbose=0, optimizer="sgd", lr=0.0)
    assert sorted(seen[True] + seen[False]) == x[:, 0].tolist()
    assert len(seen[False]) == 20
    assert sum(value >= 80 for value in seen[False]) == 4


# --- early ends ---------------------------------------------------------------------------------------


def test_ctrl_c_keeps_the_finished_epochs() -> None:
    """KeyboardInterrupt inside a step ends training; the history has the finished epochs, the modes are restored."""
    calls = []

    def interrupt(_x: Any) -> None:
        calls.append(1)
        if len(calls) == 8:
            raise KeyboardInterrupt

    x, y = blobs()
    model = Spy(nn.MLP(4, 8, 3, seed=0), interrupt).eval()
    history = fit(model, x, y, epochs=5, verbose=0)
    assert history.stopped == "interrupted"
    assert history.epoch == [0, 1]
    assert {len(values) for values in history.history.values()} == {2}
    assert not model.training


def test_the_signal_lets_the_running_step_finish() -> None:
    """SIGINT is heeded after the step during which it arrives, and the old handler is back afterwards."""
    x, y = blobs(96)
    interrupted, reference = nn.MLP(4, 8, 3, seed=0), nn.MLP(4, 8, 3, seed=0)
    steps = []

    def send(_x: Any) -> None:
        steps.append(1)
        if len(steps) == 2:
            signal.raise_signal(signal.SIGINT)

    handler = signal.getsignal(signal.SIGINT)
    history = fit(Spy(interrupted, send), x, y, shuffle=False, epochs=3, verbose=0)
    assert signal.getsignal(signal.SIGINT) is handler
    assert history.stopped == "interrupted"
    assert len(steps) == 2
    fit(reference, x[:64], y[:64], shuffle=False, verbose=0)
    assert weights(interrupted) == weights(reference)


def test_a_second_signal_breaks_out_of_the_step() -> None:
    """Pressing Ctrl-C again does not wait for the step."""
    reached = []

    def send_twice(_x: Any) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        reached.append(1)

    x, y = blobs(8)
    assert fit(Spy(nn.Linear(4, 3, seed=0), send_twice), x, y, verbose=0).stopped == "interrupted"
    assert reached == []


def test_a_loss_that_is_not_finite_stops_before_the_step() -> None:
    """The warning names epoch and batch, and the weights are those after the last good step."""
    x, y = blobs(96)
    poisoned = x.copy()
    poisoned[70] = np.nan
    model, reference = nn.MLP(4, 8, 3, seed=0), nn.MLP(4, 8, 3, seed=0)
    with pytest.warns(
        RuntimeWarning, match=r"non-finite loss in epoch 1, batch 3 of 3: nan; the weights are those before"
    ):
        history = fit(model, poisoned, y, shuffle=False, epochs=2, verbose=0)
    fit(reference, x[:64], y[:64], shuffle=False, verbose=0)
    assert weights(model) == weights(reference)
    assert history.stopped == "non-finite loss in epoch 1, batch 3 of 3: nan"
    assert history.epoch == []


# --- what is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": "adma"}, r"unknown optimizer 'adma'; did you mean 'adam'\?"),
        ({"optimizer": optim.SGD}, r"say optimizer=optim.SGD\(model.parameters"),
        ({"loss": "crossentropy"}, r"unknown loss 'crossentropy'; did you mean 'cross_entropy'\?"),
        ({"loss": nn.CrossEntropyLoss}, "expected the name of a loss or a callable"),
        ({"loss": nn.CrossEntropyLoss(reduction="none")}, "one number per batch"),
        ({"metrics": ["acuracy"]}, r"unknown metric 'acuracy'; did you mean 'accuracy'\?"),
        ({"epochs": 0}, "epochs >= 1, got 0"),
        ({"batch_size": 0}, "batch_size >= 1, got batch_size=0"),
        ({"batch_size": -1}, "batch_size >= 1, got batch_size=-1"),
        ({"verbose": 3}, "verbose is 'auto', 0"),
        ({"validation_data": 3}, r"a pair \(x, y\), also with weights \(x, y, w\), or a DataLoader, got int"),
        ({"validation_split": 0.2, "validation_data": blobs()}, "validation_split splits the arrays"),
    ],
)
def test_wrong_options_say_what_is_right(options: dict[str, Any], message: str) -> None:
    """Each wrong option is an ArgumentError that names the right one, and nothing has been trained."""
    x, y = blobs()
    model = nn.MLP(4, 8, 3, seed=0)
    before = weights(model)
    with pytest.raises(ArgumentError, match=message):
        fit(model, x, y, **{"verbose": 0} | options)
    assert weights(model) == before


def test_a_learning_rate_needs_a_name() -> None:
    """lr= beside a finished optimizer contradicts it."""
    model = nn.Linear(4, 3, seed=0)
    with pytest.raises(ArgumentError, match="lr= goes with the name"):
        fit(model, *blobs(), optimizer=optim.SGD(model.parameters()), lr=0.1, verbose=0)


def test_data_that_does_not_fit_is_refused() -> None:
    """No targets, targets beside a DataLoader, four columns, float class ids: each error says what to write."""
    x, y = blobs()
    model = nn.Linear(4, 3, seed=0)
    with pytest.raises(ArgumentError, match=r"say fit\(model, x, y\)"):
        fit(model, x, verbose=0)
    with pytest.raises(ArgumentError, match="brings its own targets"):
        fit(model, DataLoader((x, y)), y, verbose=0)
    with pytest.raises(ArgumentError, match=r"batches \(x, y\) or \(x, y, sample_weight\), got 4 columns"):
        fit(model, DataLoader((x, y, y, y)), verbose=0)
    with pytest.raises((DTypeError, ShapeError), match=r"target.astype\(int\)"):
        fit(model, x, y.astype(float), verbose=0)
    with pytest.raises(ShapeError, match="accuracy: answers of shape"):
        Meters(["accuracy"], "mean").update(0.0, np.zeros((3, 2)), np.zeros(4))
    with pytest.raises(ShapeError, match="r2: outputs of shape"):
        RSquared().update(np.zeros((3, 1)), np.zeros(3))


@pytest.mark.parametrize("run", [lambda *a: evaluate(*a, batch_size=0), lambda m, x, y: predict(m, x, batch_size=0)])
def test_a_batch_of_nothing_is_refused_without_gradients_too(run: Any) -> None:
    """batch_size=0 is a mistake, not a wish for the default."""
    with pytest.raises(ArgumentError, match="batch_size >= 1, got batch_size=0"):
        run(nn.Linear(4, 3, seed=0), *blobs())


@pytest.mark.parametrize("names", [np.array(["a", "b", "c"]), np.array(["a", "b", "c"], dtype=object)])
def test_words_for_labels_are_sent_to_unique(names: np.ndarray) -> None:
    """Strings are refused with the line that numbers them, and that line works."""
    x, y = blobs()
    model = nn.Linear(4, 3, seed=0)
    for run in (lambda: fit(model, x, names[y], verbose=0), lambda: evaluate(model, x, names[y])):
        with pytest.raises(DTypeError, match=r"names, y = np\.unique\(y, return_inverse=True\)"):
            run()
    _, numbered = np.unique(names[y], return_inverse=True)
    fit(model, x, numbered, verbose=0)


@pytest.mark.parametrize(
    ("outputs", "targets"),
    [
        (3, np.linspace(0, 1, 70)),
        (3, np.linspace(0, 1, 70)[:, None]),
        (1, np.linspace(0, 1, 70)[:, None]),
        (1, np.linspace(0, 1, 70)),
        (1, np.arange(70) % 2),
        (1, np.zeros(70, int)),
    ],
)
def test_targets_that_are_no_class_ids_ask_what_was_meant(outputs: int, targets: np.ndarray) -> None:
    """Under the default loss, numbers or a single output lead to mse, two outputs or binary cross-entropy."""
    model = nn.Linear(4, outputs, seed=0)
    for run in (lambda: fit(model, blobs()[0], targets, verbose=0), lambda: evaluate(model, blobs()[0], targets)):
        with pytest.raises((ArgumentError, DTypeError, ShapeError)) as caught:
            run()
        for word in ("loss='mse'", "y.reshape(-1, 1)", "Two outputs", "loss='binary_cross_entropy'"):
            assert word in str(caught.value)


@pytest.mark.parametrize("batch_size", [70, 2])
def test_labels_from_one_are_told_to_count_from_zero(batch_size: int) -> None:
    """1, 2, 3 for three classes: the message says - 1, also where a batch does not hold every class."""
    x, y = blobs()
    with pytest.raises(ArgumentError, match=r"(target|y) - 1"):
        fit(nn.Linear(4, 3, seed=0), x, y + 1, batch_size=batch_size, seed=0, verbose=0)
    with pytest.raises(ArgumentError) as caught:
        fit(nn.Linear(4, 3, seed=0), x, y + 5, batch_size=batch_size, verbose=0)
    assert "- 1" not in str(caught.value)


# --- what is seen -------------------------------------------------------------------------------------


def test_a_pipe_gets_one_line_per_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    """verbose="auto" without a terminal: exactly one line per epoch, in Keras' words."""
    x, y = blobs()
    history = fit(nn.MLP(4, 8, 3, seed=0), x, y, epochs=2, validation_data=(x, y))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    for number, line in enumerate(lines):
        values = [history.history[name][number] for name in ("loss", "accuracy", "val_loss", "val_accuracy")]
        shown = " - loss: {:.4f} - accuracy: {:.4f} - val_loss: {:.4f} - val_accuracy: {:.4f}".format(*values)
        assert re.fullmatch(rf"Epoch {number + 1}/2 - [\d.]+m?s - [\d,]+ samples/s{re.escape(shown)}", line)


@pytest.mark.parametrize("epochs", [1, 20, 21, 30, 55, 60, 100, 999, 100_000])
def test_long_runs_show_about_a_dozen_evenly_spaced_epochs(epochs: int) -> None:
    """Up to 20 epochs all have a line; more: first, last and round numbers between, at most twelve altogether."""
    shown = list(shown_epochs(epochs))
    assert (shown[0], shown[-1]) == (0, epochs - 1)
    if epochs <= 20:
        assert shown == list(range(epochs))
    else:
        assert 6 <= len(shown) <= 12
        assert len(set(np.diff([one + 1 for one in shown[1:-1]]))) == 1
    assert list(shown_epochs(epochs, every=True)) == list(range(epochs))


def test_a_long_run_in_a_pipe_is_short_and_its_history_complete(capsys: pytest.CaptureFixture[str]) -> None:
    """60 epochs print seven lines, with verbose=2 all 60; the History holds 60 either way."""
    x, y = blobs(8)
    history = fit(nn.Linear(4, 3, seed=0), x, y, epochs=60)
    numbers = [int(one) for one in re.findall(r"^Epoch (\d+)/60 - ", capsys.readouterr().out, flags=re.MULTILINE)]
    assert numbers == [1, 10, 20, 30, 40, 50, 60]
    assert len(history.history["loss"]) == 60
    fit(nn.Linear(4, 3, seed=0), x, y, epochs=60, verbose=2)
    assert capsys.readouterr().out.count("Epoch ") == 60


def test_a_long_run_that_ends_early_shows_its_last_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    """The epoch before the interruption has its line, whether its number is round or not."""
    calls = []

    def interrupt(_x: Any) -> None:
        calls.append(1)
        if len(calls) == 14:
            raise KeyboardInterrupt

    fit(Spy(nn.Linear(4, 3, seed=0), interrupt), *blobs(8), epochs=100)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" - ")[0] for line in lines] == [
        "Epoch 1/100",
        "Epoch 10/100",
        "Epoch 13/100",
        "Stopped: interrupted",
    ]


def test_verbose_0_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """Silence on both streams."""
    fit(nn.MLP(4, 8, 3, seed=0), *blobs(), verbose=0)
    assert capsys.readouterr() == ("", "")


def test_the_lines_say_why_training_ended_early(capsys: pytest.CaptureFixture[str]) -> None:
    """An interrupted run says so in its last line."""

    def interrupt(_x: Any) -> None:
        raise KeyboardInterrupt

    fit(Spy(nn.Linear(4, 3, seed=0), interrupt), *blobs(), verbose=2)
    assert capsys.readouterr().out == "Stopped: interrupted\n"


def test_a_terminal_gets_a_bar_and_lines_above_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bar shows epoch, loss, accuracy, samples/s and the time left; each epoch of a short run leaves its line."""
    console_module = pytest.importorskip("rich.console", reason='rich is missing: pip install "tinygrad-mlp[cli]"')
    screen = io.StringIO()
    console = console_module.Console(file=screen, force_terminal=True, width=120, color_system=None)
    monkeypatch.setattr("tinygrad_mlp.train.progress._REDRAW", 0.0)
    monkeypatch.setattr("tinygrad_mlp.train.loop.progress_of", lambda _verbose: BarProgress(console))
    x, y = blobs()
    fit(nn.MLP(4, 8, 3, seed=0), x, y, epochs=2, validation_data=(x, y))
    shown = screen.getvalue()
    assert re.search(r"Epoch 1/2 .*loss \d\.\d{4} accuracy \d\.\d{4} [\d,]+ samples/s ETA", shown)
    assert re.search(r"Epoch 2/2 - .*val_accuracy: \d\.\d{4}", shown)


def test_a_long_run_on_a_terminal_leaves_the_same_few_lines() -> None:
    """Beside the bar a run of 60 epochs leaves seven lines; one that ends early also its last epoch and the reason."""
    console_module = pytest.importorskip("rich.console", reason='rich is missing: pip install "tinygrad-mlp[cli]"')
    for epochs, stop, expected in ((60, None, [1, 10, 20, 30, 40, 50, 60]), (60, 13, [1, 10, 13])):
        screen = io.StringIO()
        bar = BarProgress(console_module.Console(file=screen, width=120))
        bar.start(epochs, 1)
        for number in range(stop or epochs):
            bar.epoch(number, {"loss": 0.5}, 0.1)
        bar.stop("interrupted" if stop else None)
        assert [int(one) for one in re.findall(r"Epoch (\d+)/60 - ", screen.getvalue())] == expected
        assert ("Stopped: interrupted" in screen.getvalue()) == bool(stop)


def test_verbose_chooses_the_view(monkeypatch: pytest.MonkeyPatch) -> None:
    """0 nothing, 2 lines, auto lines in a pipe and a bar on a terminal; without rich a terminal gets lines too."""
    assert isinstance(progress_of(0), SilentProgress)
    assert isinstance(progress_of(2), LineProgress)
    assert isinstance(progress_of("auto"), LineProgress)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    assert isinstance(progress_of("auto"), LineProgress)


def test_a_terminal_with_rich_gets_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """verbose="auto" and verbose=1 choose the bar where it can be drawn."""
    pytest.importorskip("rich", reason='rich is missing: pip install "tinygrad-mlp[cli]"')
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert isinstance(progress_of("auto"), BarProgress)
    assert isinstance(progress_of(1), BarProgress)


# --- History ------------------------------------------------------------------------------------------


def test_best_epoch_is_the_first_with_the_lowest_validation_loss() -> None:
    """val_loss decides where there is one; NaN never wins; nothing trained, nothing best."""
    history = History()
    assert history.best_epoch is None
    for loss, val_loss in ((3.0, 2.0), (2.0, float("nan")), (1.0, 1.0), (0.5, 1.0)):
        history.append({"loss": loss, "val_loss": val_loss}, 0.1)
    assert history.best_epoch == 2


def test_history_shows_itself() -> None:
    """The repr has the last values, the HTML a table and no script; an unknown metric is refused with its names."""
    history = History({"epochs": 3})
    history.append({"loss": 0.5, "<b>": 0.25}, 0.5)
    history.stopped = "interrupted"
    assert repr(history) == "History(1 of 3 epochs, 0.5 s, loss 0.5000, <b> 0.2500, stopped: interrupted)"
    shown = history._repr_html_()
    assert "<td>1 (best)</td><td>0.5000</td>" in shown
    assert "<th>&lt;b&gt;</th>" in shown
    assert "<b>" not in shown
    with pytest.raises(ArgumentError, match=r"unknown metric 'los'; did you mean 'loss'\?"):
        history.plot("los")
    assert History()._repr_html_().count("<svg") == 0


def test_history_plots_without_pyplot() -> None:
    """plot() returns axes with the training and the validation line, and pyplot is never imported."""
    pytest.importorskip("matplotlib", reason='matplotlib is missing: pip install "tinygrad-mlp[plot]"')
    code = """
import sys
from tinygrad_mlp.train import History
history = History()
for value in (3.0, 2.0):
    history.append({"loss": value, "val_loss": value + 1}, 0.1)
ax = history.plot()
print([line.get_ydata().tolist() for line in ax.lines], "matplotlib.pyplot" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[[3.0, 2.0], [4.0, 3.0]] False"


def test_real_digits_are_learnt() -> None:
    """One hidden layer reads at least 95 % of 360 held-out digits after ten epochs."""
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X / 16, y, test_size=360, stratify=y, seed=0)
    model = nn.MLP(64, 128, 10, seed=0)
    fit(model, X_train, y_train, epochs=10, lr=0.003, seed=0, verbose=0)
    assert evaluate(model, X_test, y_test)["accuracy"] >= 0.95


def test_tensors_are_taken_too() -> None:
    """fit and predict take tensors where they take arrays."""
    x, y = blobs()
    model = nn.MLP(4, 8, 3, seed=0)
    fit(model, Tensor(x), Tensor(y), verbose=0)
    assert predict(model, Tensor(x)).shape == (70, 3)


def test_a_gradient_that_is_not_finite_stops_before_the_step() -> None:
    """A finite loss with an infinite gradient leaves the weights as they were, and says where it happened."""
    model = nn.Linear(2, 1, bias=False, seed=0)
    model.weight.data[...] = 0.0

    def root(outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs - targets).abs().sqrt().sum()

    with pytest.warns(
        RuntimeWarning, match=r"non-finite gradient in epoch 1, batch 1 of 1; the weights are those before"
    ):
        history = fit(model, np.ones((4, 2)), np.array([[0.0], [0.0], [0.0], [1.0]]), loss=root, metrics=(), verbose=0)
    assert history.stopped == "non-finite gradient in epoch 1, batch 1 of 1"
    np.testing.assert_array_equal(model.weight.data, np.zeros((1, 2)))


# --- History as data ----------------------------------------------------------------------------------


def test_history_is_plain_json_and_comes_back() -> None:
    """Every attribute, NaN and infinity and matrices too, through a strict JSON text."""
    x, y = blobs()
    history = fit(nn.MLP(4, 8, 3, seed=0), x, y, epochs=3, metrics=["accuracy", "confusion_matrix"], verbose=0)
    history.history["loss"][1] = float("inf")
    history.history["accuracy"][1] = float("nan")
    again = History.from_dict(json.loads(json.dumps(history.to_dict(), allow_nan=False)))
    assert repr(again.to_dict()) == repr(history.to_dict())
    assert repr(again.history) == repr(history.history)
    assert again.lr == history.lr == [0.001] * 3
    with pytest.raises(StateError) as caught:
        History.from_dict({"history": {}})
    assert str(caught.value) == (
        "expected the dict of a History, but 'compiled', 'epoch', 'lr', 'params', 'restored_epoch', 'seconds', "
        "'stopped', 'uncompiled' is missing"
    )


def test_history_is_a_table_in_pandas() -> None:
    """One row per epoch, by its number; the metrics, seconds and lr as columns."""
    pytest.importorskip("pandas")
    x, y = blobs()
    history = fit(nn.MLP(4, 8, 3, seed=0), x, y, epochs=4, initial_epoch=2, verbose=0)
    table = history.to_pandas()
    assert list(table.columns) == ["loss", "accuracy", "seconds", "lr"]
    assert table.index.tolist() == [2, 3]
    assert table["loss"].tolist() == history.history["loss"]


def test_a_table_without_pandas_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command that installs it."""
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError, match=r"make a table of the History: pip install .tinygrad-mlp\[pandas\]"):
        History().to_pandas()


def test_a_notebook_gets_one_display_that_is_updated(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table with Keras' names and a bar with the time left, drawn into one handle; at last without the bar."""
    pages: list[str] = []

    class Handle:
        def update(self, page: str) -> None:
            pages.append(page)

    displays = []

    def display(page: str) -> Handle:
        displays.append(page)
        return Handle()

    monkeypatch.setattr("tinygrad_mlp.train.progress._REDRAW_HTML", 0.0)
    monkeypatch.setattr("tinygrad_mlp.train.loop.progress_of", lambda _verbose: NotebookProgress(display))
    x, y = blobs()
    fit(nn.MLP(4, 8, 3, seed=0), x, y, epochs=2, validation_data=(x, y))
    assert len(displays) == 1
    shown = "".join(pages)
    bar = r'<progress value="4" max="6"></progress> Epoch 2/2'
    assert re.search(bar + r" - loss: \d\.\d{4} - accuracy: \d\.\d{4} - [\d,]+ samples/s - ETA", shown)
    assert "<th>epoch</th><th>loss</th><th>accuracy</th><th>val_loss</th><th>val_accuracy</th><th>seconds</th>" in shown
    assert "<progress" not in pages[-1]
    assert pages[-1].count("<tr>") == 3


def test_a_notebook_is_known_by_its_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """verbose="auto" and 1 give the table there, 2 the lines."""
    import types

    shell = types.SimpleNamespace(kernel=1)
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    fake = types.SimpleNamespace(display=lambda page, display_id: page, HTML=str)
    monkeypatch.setitem(sys.modules, "IPython.display", fake)
    assert isinstance(progress_of("auto"), NotebookProgress)
    assert isinstance(progress_of(1), NotebookProgress)
    assert isinstance(progress_of(2), LineProgress)
