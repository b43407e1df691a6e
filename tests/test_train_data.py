"""What fit takes: weights, several inputs and outputs, accumulation, generators, tables, and how epochs are cut."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinygrad_mlp import nn, ops
from tinygrad_mlp.data import DataLoader, TensorDataset
from tinygrad_mlp.errors import ArgumentError, DTypeError, ShapeError
from tinygrad_mlp.train import Callback, evaluate, fit, predict
from tinygrad_mlp.train.callbacks import ModelCheckpoint
from tinygrad_mlp.train.meters import Meters
from tinygrad_mlp.train.objective import Objective


def blobs(samples: int = 70, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, samples)
    return (rng.normal(size=(samples, 4)) + 2.0 * np.eye(3, 4)[y]).astype(np.float32), y


def net(seed: int = 0) -> nn.Module:
    return nn.MLP(4, 8, 3, seed=seed)


def weights(model: nn.Module) -> list[bytes]:
    return [one.data.tobytes() for one in model.parameters()]


def close(one: nn.Module, two: nn.Module, rtol: float = 1e-5) -> None:
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        np.testing.assert_allclose(a.data, b.data, rtol=rtol, atol=1e-6)


SGD: dict[str, Any] = {"optimizer": "sgd", "lr": 0.1, "verbose": 0, "seed": 3}


class Two(nn.Module):
    """Two inputs, two outputs."""

    def __init__(self, kind: str = "tuple") -> None:
        super().__init__()
        self.left = nn.Linear(4, 3, seed=0)
        self.right = nn.Linear(2, 1, seed=1)
        self.kind = kind

    def forward(self, a: Any, b: Any) -> Any:
        classes, number = self.left(a), self.right(b)
        return (classes, number) if self.kind == "tuple" else {"classes": classes, "number": number}


def two(samples: int = 50) -> tuple[Any, Any, Any, Any]:
    a, y = blobs(samples)
    b = np.random.default_rng(1).normal(size=(samples, 2)).astype(np.float32)
    return a, b, y, b.sum(1, keepdims=True)


# --- weights ------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("given", ["sample_weight", "class_weight"])
def test_weights_count_as_in_keras(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four epochs of steps in ragged batches from the same weights: the same losses and the same weights at the end."""
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras")
    x, y = blobs()
    options: dict[str, Any] = {
        "sample_weight": {"sample_weight": np.random.default_rng(2).uniform(0, 3, len(y)).astype(np.float32)},
        "class_weight": {"class_weight": {0: 1.0, 1: 5.0, 2: 0.5}},
    }[given]
    ours = nn.Linear(4, 3, seed=0)
    theirs = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    theirs.set_weights([ours.weight.data.T, ours.bias.data])
    theirs.compile(keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    found = theirs.fit(x, y, epochs=4, batch_size=16, shuffle=False, verbose=0, **options)
    history = fit(ours, x, y, epochs=4, batch_size=16, shuffle=False, **SGD, **options)
    np.testing.assert_allclose(history.history["loss"], found.history["loss"], rtol=1e-4)
    np.testing.assert_allclose(ours.weight.data, theirs.get_weights()[0].T, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("way", [False, "replay", pytest.param("native", marks=pytest.mark.compiler)])
@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_a_weight_of_two_is_the_sample_twice(loss: str, way: Any) -> None:
    """With the losses summed; for losses of one number and of several per sample, compiled or not."""
    x, y = blobs(12)
    y = y if loss == "cross_entropy" else np.eye(3, dtype=np.float32)[y]
    criterion = {"cross_entropy": nn.CrossEntropyLoss, "mse": nn.MSELoss}[loss](reduction="sum")
    share = np.where(np.arange(12) % 3 == 0, 2.0, 1.0)
    twice = np.repeat(np.arange(12), share.astype(int))
    one, other = net(), net()
    options = {**SGD, "loss": criterion, "lr": 0.01, "batch_size": 64, "shuffle": False, "epochs": 3, "metrics": ()}
    first = fit(one, x, y, sample_weight=share, compile=way, **options)
    second = fit(other, x[twice], y[twice], **options)
    assert first.compiled == (way or None)
    close(one, other)
    np.testing.assert_allclose(
        np.multiply(first.history["loss"], 12), np.multiply(second.history["loss"], len(twice)), rtol=1e-5
    )


def test_a_weight_of_zero_is_no_sample() -> None:
    """What it holds does not matter."""
    x, y = blobs(20)
    share = (np.arange(20) < 12).astype(float)
    other = x.copy()
    other[12:] = 7.0
    one, two_ = net(), net()
    fit(one, x, y, sample_weight=share, **SGD)
    fit(two_, other, y, sample_weight=share, **SGD)
    assert weights(one) == weights(two_)


def test_class_weights_multiply_sample_weights_and_balanced_is_scikit_learns() -> None:
    """class_weight is sample_weight by class; "balanced" as compute_class_weight; one-hot targets have classes too."""
    utils = pytest.importorskip("sklearn.utils.class_weight")
    x, y = blobs()
    share = np.random.default_rng(0).uniform(size=len(y))
    table = {0: 2.0, 2: 0.5}
    by_hand = share * np.array([2.0, 1.0, 0.5])[y]
    models = [net() for _ in range(6)]
    fit(models[0], x, y, sample_weight=share, class_weight=table, **SGD)
    fit(models[1], x, y, sample_weight=by_hand, **SGD)
    close(models[0], models[1])
    balance = utils.compute_class_weight("balanced", classes=np.arange(3), y=y)
    fit(models[2], x, y, class_weight="balanced", **SGD)
    fit(models[3], x, y, sample_weight=balance[y], **SGD)
    close(models[2], models[3])
    fit(models[4], x, np.eye(3, dtype=np.float32)[y], class_weight=table, **SGD)
    fit(models[5], DataLoader((x, y), 32, shuffle=True, seed=3), class_weight=table, verbose=0, optimizer="sgd", lr=0.1)
    close(models[4], models[5])


def test_weighted_metrics_weigh_and_the_others_do_not() -> None:
    """accuracy over samples, weighted_accuracy over their weights, in training and in evaluation."""
    x = np.eye(2, dtype=np.float32)
    y = np.array([0, 0])
    found = evaluate(nn.Identity(), x, y, sample_weight=[3.0, 1.0], weighted_metrics=["accuracy"])
    assert (found["accuracy"], found["weighted_accuracy"]) == (0.5, 0.75)
    history = fit(
        nn.Linear(2, 2, seed=0), x, y, validation_data=(x, y, [3.0, 1.0]), weighted_metrics="accuracy", verbose=0
    )
    assert set(history.history) >= {"weighted_accuracy", "val_weighted_accuracy"}


def test_a_loss_of_your_own_takes_the_weights() -> None:
    """As sample_weight=, a tensor."""

    def squares(outputs: Any, targets: Any, sample_weight: Any = None) -> Any:
        each = ((outputs - targets) ** 2).mean(1)
        return (each if sample_weight is None else each * sample_weight).mean()

    x = np.arange(6, dtype=np.float32).reshape(3, 2)
    share = [1.0, 0.0, 2.0]
    found = evaluate(nn.Identity(), x, 0 * x, loss=squares, sample_weight=share)
    assert found["loss"] == pytest.approx(evaluate(nn.Identity(), x, 0 * x, loss="mse", sample_weight=share)["loss"])


# --- accumulation -------------------------------------------------------------------------------------


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("samples", [64, 70, 61])
def test_accumulated_batches_equal_the_large_batch(samples: int, reduction: str) -> None:
    """Groups of four small batches, ragged ones too, move the weights as one batch of four times the size."""
    x, y = blobs(samples)
    small, large = net(), net()
    loss = nn.CrossEntropyLoss(reduction=reduction)
    options = {**SGD, "loss": loss, "lr": 0.1 if reduction == "mean" else 0.01, "epochs": 3}
    one = fit(small, x, y, batch_size=4, accumulate=4, compile="replay", **options)
    two_ = fit(large, x, y, batch_size=16, **options)
    close(small, large)
    np.testing.assert_allclose(one.history["loss"], two_.history["loss"], rtol=1e-5)
    assert one.uncompiled == "gradients are accumulated over several batches"


def test_the_optimizer_moves_once_per_group() -> None:
    """Seven batches in groups of three are three steps, and callbacks see every batch."""
    x, y = blobs(28)
    model = net()
    seen: list[tuple[int, int]] = []

    class Look(Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            step = next(iter(self.run.optimizer.state.values()), {}).get("step", 0)
            seen.append((batch, step))

    fit(model, x, y, batch_size=4, accumulate=3, verbose=0, callbacks=Look())
    assert seen == [(0, 0), (1, 0), (2, 1), (3, 1), (4, 1), (5, 2), (6, 3)]


# --- several inputs and outputs -----------------------------------------------------------------------


@pytest.mark.parametrize("way", [False, "replay", pytest.param("native", marks=pytest.mark.compiler)])
@pytest.mark.parametrize("kind", ["tuple", "dict"])
def test_two_inputs_and_outputs_are_two_models_side_by_side(kind: str, way: Any) -> None:
    """Each half trains as it would alone, but for the weight of its loss; logs are named by the outputs."""
    a, b, y, t = two()
    model = Two(kind)
    left, right = nn.Linear(4, 3, seed=0), nn.Linear(2, 1, seed=1)
    x: Any = (a, b) if kind == "tuple" else {"b": b, "a": a}
    targets: Any = (y, t) if kind == "tuple" else {"number": t, "classes": y}
    loss: Any = ["cross_entropy", "mse"] if kind == "tuple" else {"number": "mse", "classes": "cross_entropy"}
    share: Any = [1.0, 0.5] if kind == "tuple" else {"number": 0.5}
    metrics: Any = [["accuracy"], []] if kind == "tuple" else {"classes": "accuracy"}
    options = {**SGD, "epochs": 3, "batch_size": 16}
    history = fit(
        model, x, targets, loss=loss, loss_weights=share, metrics=metrics, compile=way, validation_split=0.2, **options
    )
    assert history.compiled == (way or None)
    plain = {**options, "validation_split": 0.2}
    alone = fit(left, a, np.eye(3, dtype=np.float32)[y], **plain)
    fit(right, b, t, loss="mse", **{**plain, "lr": 0.05})
    names = ("output_0", "output_1") if kind == "tuple" else ("classes", "number")
    close(model.left, left)
    close(model.right, right)
    expected = ["loss", f"{names[0]}_loss", f"{names[1]}_loss", f"{names[0]}_accuracy"]
    assert list(history.history) == expected + [f"val_{name}" for name in expected]
    np.testing.assert_allclose(history.history[f"val_{names[0]}_loss"], alone.history["val_loss"], rtol=1e-5)
    parts = [np.array(history.history[f"{name}_loss"]) for name in names]
    np.testing.assert_allclose(history.history["loss"], parts[0] + 0.5 * parts[1], rtol=1e-5)
    found = predict(model, x, batch_size=16)
    first = found[0] if kind == "tuple" else found["classes"]
    np.testing.assert_allclose(first, predict(model.left, a), rtol=1e-6)


def test_one_loss_serves_all_outputs_and_weights_may_differ() -> None:
    """A single loss is applied to each; sample weights can be given per output."""
    a, b, _, t = two(20)

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(2, 1, seed=0)

        def forward(self, x: Any) -> Any:
            return self.layer(x), 2 * self.layer(x)

    share = (np.ones(20), np.zeros(20))
    found = evaluate(Twice(), b, (t, t), loss="mse", sample_weight=share, metrics=["mae"])
    assert found["output_1_loss"] == 0.0
    assert found["output_0_loss"] == found["loss"] > 0
    assert {"output_0_mae", "output_1_mae"} < set(found)
    del a


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": ["mse"]}, "loss: 1 are given, and the model has 2 outputs"),
        (
            {"loss": {"output_0": "mse", "output_2": "mse"}},
            "loss for an unknown output 'output_2'; did you mean 'output_1'?",
        ),
        ({"loss": {"output_0": "mse"}}, "loss: nothing is given for the outputs ['output_1']"),
        ({"loss": "mse", "loss_weights": [1, np.inf]}, "loss_weights are finite numbers, got [1, inf]"),
        (
            {"loss": ["cross_entropy", "mse"], "metrics": {"output_3": "mse"}},
            "metrics for an unknown output 'output_3'; did you mean 'output_1'?",
        ),
        (
            {"loss": ["cross_entropy", "mse"], "metrics": [["mse"]]},
            "1 lists of metrics, but the model has 2 outputs",
        ),
        (
            {"loss": ["cross_entropy", "mse"], "class_weight": {0: 2.0}},
            "class_weight is for one output, and there are 2; give sample_weight, one per output",
        ),
        (
            {"loss": ["cross_entropy", "mse"], "y": np.zeros((50, 1))},
            "the model has 2 outputs (output_0, output_1), and there is one array of targets; give a tuple",
        ),
    ],
)
def test_messages_about_several_outputs(options: dict[str, Any], message: str) -> None:
    """Each names the outputs there are."""
    a, b, y, t = two()
    given = {"y": (y, t), **options}
    with pytest.raises(ArgumentError) as caught:
        fit(Two(), (a, b), verbose=0, **given)
    assert str(caught.value).startswith(message)


# --- generators and tables ----------------------------------------------------------------------------


def endless(x: Any, y: Any, size: int) -> Any:
    while True:
        for start in range(0, len(x), size):
            yield x[start : start + size], y[start : start + size]


def test_a_generator_goes_on_where_it_stopped() -> None:
    """steps_per_epoch cuts it into epochs; weights and losses are those of the batches in their order."""
    x, y = blobs(64)
    one, two_ = net(), net()
    history = fit(one, endless(x.astype(np.float64), y, 16), epochs=3, steps_per_epoch=4, **SGD)
    fit(two_, x, y, epochs=3, batch_size=16, shuffle=False, **SGD)
    assert weights(one) == weights(two_)
    assert history.params == {"epochs": 3, "steps": 4, "batch_size": None, "samples": None, "verbose": 0}
    three = net()
    other = fit(three, endless(x, y, 16), epochs=6, steps_per_epoch=2, **SGD)
    assert weights(three) == weights(one)
    assert len(other.epoch) == 6


def test_an_iterable_begins_anew_and_may_weigh() -> None:
    """Anything with __iter__ that gives (x, y, w), without a length, also for validation and evaluate."""
    x, y = blobs(64)
    share = np.linspace(0, 1, 64).astype(np.float32)

    class Batches:
        def __iter__(self) -> Any:
            for start in range(0, 64, 16):
                part = slice(start, start + 16)
                yield x[part], y[part], share[part]

    one, two_ = net(), net()
    history = fit(one, Batches(), epochs=2, validation_data=Batches(), **SGD)
    fit(two_, x, y, epochs=2, batch_size=16, shuffle=False, sample_weight=share, **SGD)
    assert weights(one) == weights(two_)
    assert history.history["val_loss"][-1] == pytest.approx(evaluate(two_, x, y, sample_weight=share)["loss"])
    assert evaluate(one, Batches(), steps=2)["loss"] == pytest.approx(
        evaluate(one, x[:32], y[:32], sample_weight=share[:32])["loss"]
    )


def test_torch_loaders_are_iterables_too() -> None:
    """Their tensors are arrays to us."""
    torch = pytest.importorskip("torch")
    x, y = blobs(64)
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(torch.from_numpy(x), torch.from_numpy(y)), batch_size=16
    )
    one, two_ = net(), net()
    history = fit(one, loader, epochs=2, **SGD)
    fit(two_, x, y, epochs=2, batch_size=16, shuffle=False, **SGD)
    assert weights(one) == weights(two_)
    assert history.params["steps"] == 4


def test_pandas_lists_and_tensor_datasets() -> None:
    """A DataFrame and a Series, nested lists and tuples, a TensorDataset: all are what their arrays are."""
    pandas = pytest.importorskip("pandas")
    x, y = blobs(40)
    expected = net()
    fit(expected, x, y, **SGD)
    frame = pandas.DataFrame(x, columns=list("abcd"), index=np.arange(40)[::-1])
    series = pandas.Series(y, index=np.arange(100, 140))
    for a, b in ((frame, series), (x.tolist(), y.tolist()), (tuple(map(tuple, x.tolist())), tuple(y.tolist()))):
        model = net()
        fit(model, a, b, **SGD)
        assert weights(model) == weights(expected)
    model = net()
    fit(model, TensorDataset(x, y), **SGD)
    assert weights(model) == weights(expected)
    with pytest.raises(DTypeError, match=r"inputs are numbers, got dtype object.*table.drop\(columns=\['name'\]\)"):
        fit(net(), frame.assign(name="x"), series, verbose=0)


def test_validation_every_few_epochs_and_a_few_batches() -> None:
    """validation_freq leaves NaN in the epochs between, validation_steps takes the first batches only."""
    x, y = blobs(64)
    model = net()
    history = fit(
        model,
        x,
        y,
        epochs=5,
        validation_data=DataLoader((x, y), 16),
        validation_freq=2,
        validation_steps=2,
        **SGD,
    )
    assert np.isnan(history.history["val_loss"]).tolist() == [True, False, True, False, True]
    assert history.best_epoch in {1, 3}
    assert len(history.lr) == 5
    assert history.lr[0] == 0.1


def test_a_schedule_can_be_given_directly() -> None:
    """scheduler= is a LearningRateScheduler: functions, and objects of optim.lr_scheduler."""
    from tinygrad_mlp import optim

    x, y = blobs()
    history = fit(net(), x, y, epochs=3, scheduler=lambda epoch: 0.1 / (epoch + 1), **SGD)
    np.testing.assert_allclose(history.lr, [0.1, 0.05, 0.1 / 3])
    model = net()
    optimizer = optim.SGD(model.parameters(), lr=0.4)
    schedule = optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    history = fit(model, x, y, epochs=3, optimizer=optimizer, scheduler=schedule, verbose=0)
    assert history.history["learning_rate"] == history.lr == [0.4, 0.2, 0.1]
    plateau = optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, threshold=10.0)
    history = fit(model, x, y, epochs=3, optimizer=optimizer, scheduler=plateau, verbose=0)
    assert history.lr[2] < history.lr[0]


def test_weighted_runs_go_on_from_a_checkpoint(tmp_path: Path) -> None:
    """In the middle of an accumulated epoch, with metrics that keep scores: bit by bit the unbroken run."""
    x, y = blobs(70)
    options = {
        **SGD,
        "epochs": 2,
        "batch_size": 8,
        "accumulate": 2,
        "class_weight": "balanced",
        "metrics": ["auc", "f1"],
        "optimizer": "adam",
        "lr": 0.01,
    }
    whole = net()
    full = fit(whole, x, y, **options)

    class Stop(Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if batch == 4:
                raise KeyboardInterrupt

    part = net()
    saver = ModelCheckpoint(tmp_path / "run-{epoch}-{batch}.safetensors", save_freq=2)
    fit(part, x, y, callbacks=[saver, Stop()], **options)
    again = net(5)
    rest = fit(again, x, y, callbacks=[saver], resume_from=tmp_path / "run-1-4.safetensors", **options)
    assert weights(again) == weights(whole)
    assert rest.history == full.history


# --- refused ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"sample_weight": np.ones(3)},
            ShapeError,
            "sample_weight is one number per sample, (70,), got shape (3,)",
        ),
        (
            {"sample_weight": -np.arange(70.0)},
            ArgumentError,
            "sample_weight holds numbers >= 0, got -1.0 for sample 1",
        ),
        ({"class_weight": {1: -1.0}}, ArgumentError, "class_weight holds numbers >= 0, got -1.0 for class 1"),
        (
            {"class_weight": "balance"},
            ArgumentError,
            "class_weight is a dict of weights by class, or 'balanced', got 'balance'; say class_weight={0: ",
        ),
        (
            {"class_weight": {0: 1.0}, "y": np.linspace(0, 1, 70)[:, None], "loss": "mse"},
            ArgumentError,
            "class_weight needs classes as targets, got numbers that are not whole",
        ),
        (
            {"sample_weight": np.ones(70), "loss": lambda o, t: ops.sum(o)},
            ArgumentError,
            "the loss <lambda> gives one number per batch, which cannot be weighted; give it a parameter: ",
        ),
        ({"steps_per_epoch": 0}, ArgumentError, "expected steps_per_epoch and validation_steps >= 1, got 0"),
        ({"accumulate": 0}, ArgumentError, "expected accumulate >= 1 and validation_freq >= 1, got 0 and 1"),
        ({"x": [[1.0], [1.0, 2.0]]}, ShapeError, "expected rows of one length, got a list that is no array ("),
        (
            {"x": TensorDataset(blobs()[0]), "y": None, "sample_weight": np.ones(70)},
            ArgumentError,
            "a TensorDataset brings its own weights; leave sample_weight out, or give fit arrays: fit(model, x, y)",
        ),
        (
            {"x": iter([]), "y": None},
            ArgumentError,
            "the training data gave no batch; a generator that has ended cannot begin a new epoch",
        ),
        (
            {"x": iter([blobs(4)]), "y": None, "steps_per_epoch": 2},
            ArgumentError,
            (
                "the generator ended after 1 batches, and steps_per_epoch=2 was asked for; let it yield for ever "
                "(while True:), or give a DataLoader"
            ),
        ),
        (
            {"x": iter([blobs(4)[0]]), "y": None},
            ArgumentError,
            "expected batches (x, y) or (x, y, sample_weight), got ndarray; say DataLoader((x, y)), and give several ",
        ),
        (
            {"validation_data": iter([])},
            ArgumentError,
            "the validation data gave no batch; a generator that has ended cannot begin anew: give validation_steps, ",
        ),
    ],
)
def test_messages(options: dict[str, Any], error: type[Exception], message: str) -> None:
    """Each says what came and what to write."""
    x, y = blobs()
    with pytest.raises(error) as caught:
        fit(net(), **{"x": x, "y": y, "verbose": 0, **options})
    assert str(caught.value).startswith(message)


def test_a_loss_has_one_twin_per_sample() -> None:
    """reduction="none" refuses, and the given loss itself is never changed."""
    loss = nn.MSELoss()
    objective = Objective(loss)
    fit(net(), blobs()[0], np.ones((70, 3)), loss=loss, sample_weight=np.ones(70), verbose=0)
    assert loss.reduction == "mean"
    assert objective.reduction == "mean"
    assert Meters(["mae"]).results() == pytest.approx({"loss": float("nan"), "mae": float("nan")}, nan_ok=True)
