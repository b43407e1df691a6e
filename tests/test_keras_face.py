"""The Keras face beside Keras itself: layers, gradients, losses of a hundred steps, tables, files."""

from __future__ import annotations

import importlib
import os
from typing import Any

import numpy as np
import pytest

from tinygrad_mlp import from_numpy
from tinygrad_mlp import keras as ours
from tinygrad_mlp.errors import ArgumentError, FileFormatError, ShapeError, StateError
from tinygrad_mlp.keras import layers

# Keras' own, when its arrays on PyTorch are made NumPy's.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(scope="module")
def theirs() -> Any:
    """Keras, on PyTorch."""
    pytest.importorskip("torch")
    os.environ.setdefault("KERAS_BACKEND", "torch")
    pytest.importorskip("keras", reason="pip install keras, to compare with")
    return importlib.import_module("keras")


def _draws(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


LAYERS: dict[str, tuple[tuple[int, ...], Any]] = {
    "dense": ((5,), lambda k: k.layers.Dense(4, activation="relu")),
    "dense of a sequence": ((3, 5), lambda k: k.layers.Dense(4, activation="tanh", use_bias=False)),
    "elu": ((5,), lambda k: k.layers.Dense(4, activation="elu")),
    "selu": ((5,), lambda k: k.layers.Dense(4, activation="selu")),
    "gelu": ((5,), lambda k: k.layers.Dense(4, activation="gelu")),
    "silu": ((5,), lambda k: k.layers.Dense(4, activation="silu")),
    "mish": ((5,), lambda k: k.layers.Dense(4, activation="mish")),
    "softsign": ((5,), lambda k: k.layers.Dense(4, activation="softsign")),
    "softplus": ((5,), lambda k: k.layers.Dense(4, activation="softplus")),
    "hard_sigmoid": ((5,), lambda k: k.layers.Dense(4, activation="hard_sigmoid")),
    "hard_silu": ((5,), lambda k: k.layers.Dense(4, activation="hard_silu")),
    "leaky_relu": ((5,), lambda k: k.layers.Dense(4, activation="leaky_relu")),
    "relu6": ((5,), lambda k: k.layers.Dense(4, activation="relu6")),
    "exponential": ((5,), lambda k: k.layers.Dense(4, activation="exponential")),
    "log_softmax": ((5,), lambda k: k.layers.Dense(4, activation="log_softmax")),
    "softmax": ((5,), lambda k: k.layers.Dense(4, activation="softmax")),
    "ReLU with options": ((5,), lambda k: k.layers.ReLU(max_value=0.8, negative_slope=0.1, threshold=0.2)),
    "LeakyReLU": ((5,), lambda k: k.layers.LeakyReLU()),
    "Flatten": ((3, 5), lambda k: k.layers.Flatten()),
    "Reshape": ((3, 4), lambda k: k.layers.Reshape((2, -1))),
    "LSTM": ((6, 5), lambda k: k.layers.LSTM(4)),
    "LSTM, all states, backwards": ((6, 5), lambda k: k.layers.LSTM(4, return_sequences=True, go_backwards=True)),
    "GRU": ((6, 5), lambda k: k.layers.GRU(4, return_sequences=True)),
    "SimpleRNN": ((6, 5), lambda k: k.layers.SimpleRNN(4)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_equal_those_of_keras(theirs: Any, name: str) -> None:
    """Same weights, same input, same incoming gradient: same output, same gradients of input and weights."""
    import torch

    shape, make = LAYERS[name]
    x = _draws().normal(size=(2, *shape)).astype(np.float32)
    mine, yours = make(ours), make(theirs)
    mine(from_numpy(x)), yours(torch.tensor(x))
    values = [_draws(7).normal(size=one.shape).astype(np.float32) * 0.5 for one in yours.get_weights()]
    assert [one.shape for one in mine.get_weights()] == [one.shape for one in values]
    mine.set_weights(values)
    yours.set_weights(values)
    a, b = from_numpy(x), torch.tensor(x, requires_grad=True)
    a.requires_grad = True
    out, expected = mine(a), yours(b)
    np.testing.assert_allclose(out.data, expected.detach().numpy(), rtol=2e-5, atol=2e-6)
    assert mine.output_shape == (None, *expected.shape[1:])
    g = _draws(3).normal(size=out.shape).astype(np.float32)
    out.backward(from_numpy(g))
    expected.backward(torch.tensor(g))
    np.testing.assert_allclose(a.grad.data, b.grad.numpy(), rtol=1e-4, atol=1e-5)
    for one, other in zip(mine.weights, yours.weights, strict=True):
        grad = type(one)("", "", one.tensor.grad, transposed=one._transposed, order=one._order).value
        np.testing.assert_allclose(grad, other.value.grad.numpy(), rtol=1e-4, atol=1e-5, err_msg=one.path)


def test_padding_is_skipped_as_keras_skips_it(theirs: Any) -> None:
    """Embedding(mask_zero=True) in front of an LSTM, padded in front and behind."""
    x = np.array([[0, 0, 3, 1], [2, 4, 0, 0], [1, 2, 3, 4]])

    def made(k: Any) -> Any:
        model = k.Sequential([k.layers.Input((4,)), k.layers.Embedding(5, 3, mask_zero=True), k.layers.LSTM(2)])
        model.set_weights([_draws(1).normal(size=one.shape).astype(np.float32) for one in model.get_weights()])
        return model

    np.testing.assert_allclose(made(ours).predict(x), made(theirs).predict(x, verbose=0), rtol=1e-5, atol=1e-6)


def _deck(k: Any, name: str) -> tuple[Any, Any, Any]:
    """The models of the decks, with data of their shapes."""
    draws = _draws(5)
    if name == "L11":
        model = k.Sequential([k.layers.Input((2,)), k.layers.Flatten(), k.layers.Dense(1, activation="sigmoid")])
        model.compile(optimizer="sgd", loss="BinaryCrossentropy", metrics=["accuracy"])
        x = draws.normal(size=(1000, 2)).astype(np.float32)
        return model, x, (x.sum(1) > 0.3).astype(np.float32).reshape(-1, 1)
    if name == "L12":
        model = k.Sequential(
            [
                k.layers.Input((8, 8)),
                k.layers.Flatten(),
                k.layers.Dense(30, activation="relu"),
                k.layers.Dense(10, activation="relu"),
                k.layers.Dense(4, activation="softmax"),
            ]
        )
        model.compile(loss="sparse_categorical_crossentropy", optimizer="sgd", metrics=["accuracy"])
        return model, draws.random((3200, 8, 8)).astype(np.float32), draws.integers(0, 4, 3200)
    model = k.Sequential(
        [
            k.layers.Input((7,)),
            k.layers.Embedding(50, 8),
            k.layers.Dropout(0.0),
            k.layers.LSTM(6),
            k.layers.Dropout(0.0),
            k.layers.Dense(2, activation="softmax"),
        ]
    )
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    ids = draws.integers(0, 50, (1600, 7))
    return model, ids, np.eye(2)[(ids.sum(1) % 2)]


@pytest.mark.parametrize(("name", "batch"), [("L11", 10), ("L12", 32), ("L16", 16)])
def test_the_losses_of_a_hundred_steps_are_those_of_keras(theirs: Any, name: str, batch: int) -> None:
    """Same initial weights and batches: the largest difference of the loss stays within float32's rounding."""
    mine, x, y = _deck(ours, name)
    yours, _, _ = _deck(theirs, name)
    yours.set_weights(mine.get_weights())
    worst = 0.0
    for step in range(100):
        part = slice(step * batch, (step + 1) * batch)
        a = mine.train_on_batch(x[part], y[part], return_dict=True)
        b = float(yours.test_on_batch(x[part], y[part], return_dict=True)["loss"])
        yours.train_on_batch(x[part], y[part])
        worst = max(worst, abs(a["loss"] - b))
    assert worst < 2e-6, worst
    for one, other in zip(mine.get_weights(), yours.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=2e-5)


OPTIMIZERS: dict[str, dict[str, Any]] = {
    "SGD": {"momentum": 0.9, "nesterov": True},
    "RMSprop": {"momentum": 0.5, "centered": True},
    "Adam": {"amsgrad": True},
    "AdamW": {},
    "Adagrad": {},
    "Adadelta": {"learning_rate": 0.5},
    "Adamax": {},
    "Nadam": {},
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("options", [{}, {"weight_decay": 0.01}, {"clipnorm": 0.5}, {"schedule": True}], ids=str)
def test_optimizers_walk_as_those_of_keras(theirs: Any, name: str, options: dict[str, Any]) -> None:
    """A hundred steps from the same start along the same gradients."""
    import torch

    start = _draws(2).normal(size=(3, 4)).astype(np.float32)
    gradients = _draws(4).normal(size=(100, 3, 4)).astype(np.float32)

    def given(k: Any) -> dict[str, Any]:
        made = OPTIMIZERS[name] | {key: value for key, value in options.items() if key != "schedule"}
        if "schedule" in options:
            made["learning_rate"] = k.optimizers.schedules.ExponentialDecay(0.01, 10, 0.8)
        return made

    mine = getattr(ours.optimizers, name)(**given(ours))
    weight = from_numpy(start.copy())
    weight.requires_grad = True
    yours = getattr(theirs.optimizers, name)(**given(theirs))
    other = theirs.Variable(start.copy())
    for gradient in gradients:
        mine.apply_gradients([(from_numpy(gradient), weight)])
        yours.apply_gradients([(torch.tensor(gradient), other)])
    np.testing.assert_allclose(weight.data, other.numpy(), rtol=2e-4, atol=2e-5)
    assert mine.iterations == 100
    assert float(mine.learning_rate) == pytest.approx(float(yours.learning_rate), rel=1e-5)


def test_the_summary_is_keras_table(theirs: Any) -> None:
    """The deck's network: the same lines, with the totals 235,500 / 30,100 / 1,010 / 266,610."""

    def text(k: Any) -> str:
        k.utils.clear_session()
        model = k.Sequential(
            [
                k.layers.Input((28, 28)),
                k.layers.Flatten(),
                k.layers.Dense(300, activation="relu"),
                k.layers.Dense(100, activation="relu"),
                k.layers.Dense(10, activation="softmax"),
            ]
        )
        lines: list[str] = []
        model.summary(print_fn=lines.append, line_length=80)
        return "\n".join(lines)

    mine, expected = text(ours), text(theirs)
    cells = [[cell.strip() for cell in line.strip("│┃").replace("┃", "│").split("│")] for line in mine.splitlines()]
    others = [
        [cell.strip() for cell in line.strip("│┃").replace("┃", "│").split("│")] for line in expected.splitlines()
    ]
    plain = [row for row in cells if row and row[0] and row[0][0] not in "┏┡├└"]
    wanted = [row for row in others if row and row[0] and row[0][0] not in "┏┡├└"]
    assert plain == wanted
    assert "266,610" in mine


def test_helpers_give_what_those_of_keras_give(theirs: Any) -> None:
    """to_categorical, pad_sequences, normalize."""
    sequences = [[1, 2, 3, 4], [5], [], [6, 7]]
    for options in (
        {},
        {"maxlen": 3},
        {"maxlen": 3, "padding": "post", "truncating": "post", "value": 9},
        {"maxlen": 6, "dtype": "float32"},
    ):
        mine = ours.utils.pad_sequences(sequences, **options)
        expected = theirs.utils.pad_sequences(sequences, **options)
        assert mine.dtype == expected.dtype
        np.testing.assert_array_equal(mine, expected)
    for ids in ([0, 2, 1], [[1], [0]], [[0, 1], [2, 2]]):
        np.testing.assert_array_equal(ours.utils.to_categorical(ids), theirs.utils.to_categorical(ids))
        np.testing.assert_array_equal(ours.utils.to_categorical(ids, 4), theirs.utils.to_categorical(ids, 4))
    x = _draws().normal(size=(3, 4))
    np.testing.assert_allclose(ours.utils.normalize(x), theirs.utils.normalize(x))


@pytest.mark.parametrize("name", ["glorot_uniform", "he_normal", "lecun_uniform", "random_normal", "orthogonal"])
def test_initialisers_have_the_spread_of_those_of_keras(theirs: Any, name: str) -> None:
    """Mean and standard deviation of many numbers; an orthogonal matrix is one."""
    mine = ours.initializers.get(name)((300, 200))
    expected = np.asarray(theirs.initializers.get(name)((300, 200)))
    assert mine.dtype == np.float32
    assert abs(mine.mean()) < 3 * expected.std() / 200
    assert abs(mine.std() / expected.std() - 1) < 0.02
    assert abs(np.abs(mine).max() / np.abs(expected).max() - 1) < 0.35
    if name == "orthogonal":
        np.testing.assert_allclose(mine.T @ mine, np.eye(200), atol=1e-5)


def _small() -> Any:
    model = ours.Sequential(
        [layers.Input((4,)), layers.Dense(6, "relu", kernel_regularizer="l2"), layers.Dense(3, "softmax")]
    )
    model.compile(optimizer=ours.optimizers.Adam(0.01), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def test_a_saved_model_goes_on_where_it_was(tmp_path: Any) -> None:
    """Weights, optimizer and what was compiled come back; the next steps have the same bits."""
    x, y = _draws().normal(size=(60, 4)).astype(np.float32), _draws().integers(0, 3, 60)
    model = _small()
    for _ in range(5):
        model.train_on_batch(x, y)
    model.save(tmp_path / "m.keras")
    again = ours.models.load_model(tmp_path / "m.keras")
    assert again.get_config() == model.get_config()
    for _ in range(3):
        assert model.train_on_batch(x, y) == again.train_on_batch(x, y)
    for one, other in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    fresh = _small()
    fresh.load_weights(tmp_path / "m.keras")
    np.testing.assert_array_equal(
        fresh.predict(x), ours.models.load_model(tmp_path / "m.keras", compile=False).predict(x)
    )


@pytest.mark.parametrize("weights_only", [False, True])
def test_model_checkpoints_are_models_of_this_face(tmp_path: Any, weights_only: bool) -> None:
    """The best of the epochs: load_model or load_weights gives the numbers that were validated."""
    x, y = _draws().normal(size=(60, 4)).astype(np.float32), _draws().integers(0, 3, 60)
    model = _small()
    saving = ours.callbacks.ModelCheckpoint(
        tmp_path / "best-{epoch}.weights", save_best_only=True, save_weights_only=weights_only, keep=1
    )
    history = model.fit(x[:40], y[:40], epochs=6, verbose=0, validation_data=(x[40:], y[40:]), callbacks=[saving])
    (path,) = tmp_path.iterdir()
    best = int(np.argmin(history.history["val_loss"]))
    assert path.name == f"best-{best + 1}.weights"
    if weights_only:
        again = _small()
        again.load_weights(path)
    else:
        again = ours.models.load_model(path)
    assert again.evaluate(x[40:], y[40:], verbose=0)[0] == pytest.approx(history.history["val_loss"][best], rel=1e-6)


def test_a_program_that_was_stopped_goes_on_where_it_was(tmp_path: Any) -> None:
    """BackupAndRestore: the weights of a run that ended in an error and was started again are those of a whole one."""
    x, y = _draws().normal(size=(60, 4)).astype(np.float32), _draws().integers(0, 3, 60)

    def run(*callbacks: Any) -> Any:
        ours.utils.set_random_seed(4)
        model = ours.Sequential(
            [layers.Input((4,)), layers.Dense(6, "relu"), layers.Dropout(0.2), layers.Dense(3, "softmax")]
        )
        model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
        model.fit(x, y, epochs=4, verbose=0, callbacks=list(callbacks))
        return model

    def stop(epoch: int, _: Any) -> None:
        if epoch == 2:
            raise KeyError("the power failed")

    whole = run()
    backup = ours.callbacks.BackupAndRestore(tmp_path / "backup")
    with pytest.raises(KeyError, match="the power failed"):
        run(backup, ours.callbacks.LambdaCallback(on_epoch_begin=stop))
    resumed = run(ours.callbacks.BackupAndRestore(tmp_path / "backup"))
    for one, other in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_files_that_are_no_models_are_refused(tmp_path: Any) -> None:
    """HDF5 by name, other files by content, unknown classes by name."""
    with pytest.raises(ArgumentError, match=r"HDF5 files are not written here; say model\.save\('m\.keras'\)"):
        _small().save("m.h5")
    _small().save_weights(tmp_path / "weights.safetensors")
    with pytest.raises(FileFormatError, match=r"not a model of keras\.Sequential\.save"):
        ours.models.load_model(tmp_path / "weights.safetensors")
    with pytest.raises(StateError, match="has no weights yet"):
        ours.Sequential([layers.Dense(2)]).save(tmp_path / "m.keras")

    class Mine(layers.Dense):
        """A layer of one's own."""

    model = ours.Sequential([layers.Input((2,)), Mine(2)])
    model.save(tmp_path / "mine.keras")
    with pytest.raises(ArgumentError, match="your own go into custom_objects"):
        ours.models.load_model(tmp_path / "mine.keras")
    again = ours.models.load_model(tmp_path / "mine.keras", {"Mine": Mine})
    assert isinstance(again.layers[0], Mine)


def test_penalties_are_part_of_the_loss(theirs: Any) -> None:
    """L2 of a kernel, beside Keras."""

    def loss(k: Any) -> float:
        model = k.Sequential(
            [k.layers.Input((3,)), k.layers.Dense(2, kernel_regularizer=k.regularizers.L1L2(0.1, 0.2))]
        )
        model.set_weights([np.arange(6.0).reshape(3, 2), np.zeros(2)])
        model.compile(loss="mse")
        return float(model.evaluate(np.ones((4, 3)), np.zeros((4, 2)), verbose=0))

    assert loss(ours) == pytest.approx(loss(theirs), rel=1e-6)


ERRORS = {
    "no compile": (
        StateError,
        lambda: ours.Sequential([layers.Input((2,)), layers.Dense(1)]).fit(np.zeros((4, 2)), np.zeros((4, 1))),
        "sequential has to be told how to train first; say model.compile(optimizer='adam', loss='mse')",
    ),
    "unknown optimizer": (
        ArgumentError,
        lambda: _small().compile(optimizer="adma"),
        (
            "unknown optimizer 'adma'; did you mean 'adam'? Valid: adadelta, adagrad, adam, adamax, adamw, nadam, "
            "rmsprop, sgd"
        ),
    ),
    "one-hot labels with a sparse loss": (
        ShapeError,
        lambda: _small().train_on_batch(np.zeros((2, 4)), np.eye(3)[:2]),
        (
            "sparse_categorical_crossentropy: y_true holds class ids of shape (2,), got (2, 3); one-hot labels go with "
            "loss='categorical_crossentropy', or say y.argmax(1)"
        ),
    ),
    "two axes into an LSTM": (
        ShapeError,
        lambda: ours.Sequential([layers.Input((7,)), layers.LSTM(5)]),
        (
            "lstm (LSTM) expected input of three axes (batch, time, features), got (None, 7) = (batch, features); for "
            "word ids put Embedding(words, 32) in front; single numbers need an axis of features: x.reshape(-1, 7, 1)"
        ),
    ),
    "images without Flatten": (
        ShapeError,
        lambda: ours.Sequential([layers.Dense(5)]).build((None,)),
        (
            "dense (Dense) expected input (batch, features) with a known number of features, got (None,); say "
            "Input(shape=(784,)), and put Flatten() in front of images"
        ),
    ),
    "a sequence too deep for the text classifier": (
        ShapeError,
        lambda: _deck(ours, "L16")[0].fit(np.zeros((20, 7, 1), int), np.eye(2)[np.zeros(20, int)], verbose=0),
        (
            "sequential expected input (None, 7) for its first layer embedding (Embedding), got (20, 7, 1): 3 axes "
            "instead of 2; say x.reshape(-1, 7)"
        ),
    ),
    "one-hot words": (
        ShapeError,
        lambda: _deck(ours, "L16")[0].predict(np.zeros((20, 7, 50))),
        (
            "sequential expected input (None, 7) for its first layer embedding (Embedding), got (20, 7, 50): 3 axes "
            "instead of 2; it takes word ids: of one-hot rows say x.argmax(-1)"
        ),
    ),
    "one sample alone": (
        ShapeError,
        lambda: _deck(ours, "L12")[0].predict(np.zeros((8, 8))),
        (
            "sequential expected input (None, 8, 8) for its first layer flatten (Flatten), got (8, 8): 2 axes instead "
            "of 3; one sample alone lacks the batch axis: say x[None]"
        ),
    ),
    "images that are flat already": (
        ShapeError,
        lambda: _deck(ours, "L12")[0].evaluate(np.zeros((5, 64)), np.zeros(5, int)),
        (
            "sequential expected input (None, 8, 8) for its first layer flatten (Flatten), got (5, 64): 2 axes instead "
            "of 3; say x.reshape(-1, 8, 8)"
        ),
    ),
    "images of another size": (
        ShapeError,
        lambda: _deck(ours, "L12")[0].predict(np.zeros((5, 9, 9))),
        (
            "dense (Dense) was built for 64 features along the last axis, got (5, 81); give it such data, or make the "
            "model anew with Input(shape=…) of one sample of these"
        ),
    ),
    "sentences of different lengths": (
        ShapeError,
        lambda: _deck(ours, "L16")[0].predict([[1, 2], [3]]),
        (
            "the samples have different lengths, and an array has one; of lists of word ids say "
            "keras.utils.pad_sequences(x)"
        ),
    ),
    "a misspelt argument": (
        ArgumentError,
        lambda: layers.Dense(5, activaton="relu"),
        "Dense: unknown argument 'activaton'; it takes those of Keras' layer, and name, trainable, dtype, input_shape",
    ),
    "weights of another shape": (
        StateError,
        lambda: layers.Dense(5, input_shape=(3,)).set_weights([np.zeros((3, 5))]),
        "dense has 0 weights, got 1; it is not built yet: call it, or give it an input_shape",
    ),
    "a class instead of a layer": (
        ArgumentError,
        lambda: ours.Sequential([layers.Dense]),
        "sequential.add takes a layer, got <class 'tinygrad_mlp.keras.layers.core.Dense'>; say model.add(Dense(…))",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_say_what_to_write_instead(name: str) -> None:
    """A snapshot of each."""
    kind, call, text = ERRORS[name]
    ours.utils.clear_session()
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value) == text


def test_errors_name_the_place_in_the_model_and_nothing_behind_it() -> None:
    """The note has the path from the Sequential down, in training too, where another module stands in for it."""
    ours.utils.clear_session()
    model, ids, y = _deck(ours, "L16")
    with pytest.raises(ArgumentError, match="outside the vocabulary of 50 ids") as caught:
        model.fit(ids + 1, y, verbose=0)
    assert caught.value.__notes__ == ["in layer Sequential.embedding.inner: Embedding(50, 8)"]


def test_targets_without_the_axis_of_one_output_are_compared_as_they_are_meant() -> None:
    """(n,) beside (n, 1): no warning, and the loss of targets (n, 1), also with a loss that is a function."""
    x, y = _draws().normal(size=(40, 2)).astype(np.float32), (np.arange(40) % 3 == 0).astype(np.float32)
    for loss in ("BinaryCrossentropy", "mse", lambda y_true, y_pred: ((y_true - y_pred) ** 2).mean(-1)):
        found = []
        for targets in (y, y.reshape(-1, 1)):
            ours.utils.set_random_seed(1)
            model = ours.Sequential([layers.Dense(1, activation="sigmoid", input_shape=(2,))])
            model.compile(optimizer="sgd", loss=loss)
            found.append(model.fit(x, targets, epochs=2, verbose=0).history["loss"])
        assert found[0] == found[1]


def test_names_are_counted_and_seeds_repeat() -> None:
    """dense, dense_1; the same seed draws the same weights, and NumPy's own generator is left alone."""
    ours.utils.clear_session()
    before = np.random.get_state()[1].copy()
    ours.utils.set_random_seed(3)
    first = ours.Sequential([layers.Input((2,)), layers.Dense(3), layers.Dense(3)])
    ours.utils.set_random_seed(3)
    second = ours.Sequential([layers.Input((2,)), layers.Dense(3), layers.Dense(3)])
    assert [one.name for one in first.layers + second.layers] == ["dense", "dense_1", "dense_2", "dense_3"]
    for one, other in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(first.get_weights()[0][:, 0], first.get_weights()[2][:2, 0])
    np.testing.assert_array_equal(before, np.random.get_state()[1])
