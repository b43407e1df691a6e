"""The systems of the lectures that speak Keras (L11, L12, L16), and softmax (L15), beside oracles."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import special

from tinygrad_mlp import Tensor, ops
from tinygrad_mlp import keras as ours
from tinygrad_mlp.datasets import Vocabulary, make_gauss, train_test_split
from tinygrad_mlp.nn import functional

pytestmark = [
    # Keras' own: NumPy arrays of its arrays on PyTorch, and arguments of older programs.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*`input_shape`.*:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*`input_length`.*:UserWarning"),
]


@pytest.fixture(scope="module")
def theirs() -> Any:
    """Keras, on PyTorch."""
    pytest.importorskip("torch")
    os.environ.setdefault("KERAS_BACKEND", "torch")
    pytest.importorskip("keras", reason="pip install keras, to compare with")
    return importlib.import_module("keras")


# --- programs that run with only their import lines changed ----------------------------------------------------------

PROGRAMS: dict[str, tuple[str, str, str]] = {
    "L11": (
        """\
from keras.layers import Dense, Flatten
from keras.models import Sequential
""",
        """\
from tinygrad_mlp.keras.layers import Dense, Flatten
from tinygrad_mlp.keras.models import Sequential
""",
        """
model = Sequential([Flatten(input_shape=(2,)), Dense(1, activation='sigmoid')])
model.summary()
model.compile(optimizer='sgd', loss='BinaryCrossentropy', metrics=['accuracy'])
history = model.fit(X_train, y_train, epochs=50, batch_size=10, verbose=0)
test_loss, test_acc = model.evaluate(X_test, y_test, verbose=0)
predictions = model.predict(X_test, verbose=0)
""",
    ),
    "L12": (
        """\
import keras
from keras.datasets import fashion_mnist
""",
        """\
from tinygrad_mlp import keras
from tinygrad_mlp.keras.datasets import fashion_mnist
""",
        """
(X_train_full, y_train_full), (X_test, y_test) = fashion_mnist.load_data()
X_valid, X_train = X_train_full[:held_out] / 255.0, X_train_full[held_out:] / 255.0
y_valid, y_train = y_train_full[:held_out], y_train_full[held_out:]
X_test = X_test / 255.0

model = keras.models.Sequential()
model.add(keras.layers.Flatten(input_shape=[28, 28]))
model.add(keras.layers.Dense(300, activation="relu"))
model.add(keras.layers.Dense(100, activation="relu"))
model.add(keras.layers.Dense(10, activation="softmax"))
model.summary()

hidden1 = model.layers[1]
weights, biases = hidden1.get_weights()
model.compile(loss="sparse_categorical_crossentropy", optimizer="sgd", metrics=["accuracy"])
history = model.fit(X_train, y_train, epochs=3, validation_data=(X_valid, y_valid), verbose=0)
test_loss, test_acc = model.evaluate(X_test, y_test, verbose=0)
predictions = model.predict(X_test[:3], verbose=0)
classes = np.argmax(predictions, axis=1)
""",
    ),
    "L16": (
        """\
from keras.layers import LSTM, Dense, Dropout, Embedding
from keras.models import Sequential
from keras.preprocessing.sequence import pad_sequences
from keras.utils import to_categorical
""",
        """\
from tinygrad_mlp.keras.layers import LSTM, Dense, Dropout, Embedding
from tinygrad_mlp.keras.models import Sequential
from tinygrad_mlp.keras.preprocessing.sequence import pad_sequences
from tinygrad_mlp.keras.utils import to_categorical
""",
        """
X_train = pad_sequences(train_ids, maxlen=12)
X_test = pad_sequences(test_ids, maxlen=12)
y_train, y_test = to_categorical(train_labels), to_categorical(test_labels)

model = Sequential()
model.add(Embedding(n_words, 16, input_length=12))
model.add(Dropout(0.2))
model.add(LSTM(8))
model.add(Dropout(0.2))
model.add(Dense(2, activation='softmax'))
model.compile(optimizer='adam', loss='categorical_crossentropy', metrics=['accuracy'])
model.build((None, 12))
model.summary()
history = model.fit(X_train, y_train, epochs=2, batch_size=16, validation_data=(X_test, y_test), verbose=0)
test_loss, test_acc = model.evaluate(X_test, y_test, verbose=0)
predictions = model.predict(X_test, verbose=0)
""",
    ),
}


def _data(name: str) -> dict[str, Any]:
    """What a program finds there: small data of its shapes."""
    draws = np.random.default_rng(8)
    if name == "L11":
        X, y = make_gauss(60, noise=1.0, seed=0)
        return {"X_train": X, "y_train": y, "X_test": X[::3], "y_test": y[::3]}
    if name == "L12":
        return {"held_out": 64, "np": np}
    sentences = [draws.integers(1, 40, length).tolist() for length in draws.integers(3, 20, 96)]
    labels = np.array([sum(one) % 2 for one in sentences])
    halves = {"train_ids": sentences[:64], "train_labels": labels[:64]}
    return halves | {"test_ids": sentences[64:], "test_labels": labels[64:], "n_words": 40}


def _small_images() -> Any:
    draws = np.random.default_rng(9)

    def made(n: int) -> tuple[Any, Any]:
        return draws.integers(0, 256, (n, 28, 28), dtype=np.uint8), draws.integers(0, 10, n).astype(np.uint8)

    return made(256), made(32)


def _run(program: str, name: str, capsys: pytest.CaptureFixture[str]) -> tuple[dict[str, Any], str]:
    """The names that a program leaves, and what it printed."""
    scope = _data(name)
    capsys.readouterr()
    exec(compile(program, name, "exec"), scope)  # noqa: S102 - our own program
    return scope, capsys.readouterr().out


@pytest.mark.parametrize("name", PROGRAMS)
def test_only_import_lines_differ(name: str) -> None:
    """The lines in which the two programs differ are imports, and name the same things."""
    before, after, body = PROGRAMS[name]
    lines = before.splitlines(), after.splitlines()
    assert len(lines[0]) == len(lines[1])
    assert all(re.match(r"(from|import) ", line) for side in lines for line in side)
    assert not re.search(r"^(from|import) ", body, re.MULTILINE)
    kept = [line.replace("from tinygrad_mlp import", "import").replace("tinygrad_mlp.", "") for line in lines[1]]
    assert kept == lines[0]


TOTALS = {"L11": "3", "L12": "266,610", "L16": "1,458"}


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_of_the_lectures_run_with_their_import_lines_changed(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From summary to predict, without a warning."""
    monkeypatch.setattr(ours.datasets.fashion_mnist, "load_data", _small_images)
    _, imports, body = PROGRAMS[name]
    mine, printed = _run(imports + body, name, capsys)
    history = mine["history"].history
    assert f"Total params: {TOTALS[name]} " in printed
    assert all(np.isfinite(values).all() for values in history.values())
    assert name == "L16" or history["loss"][-1] < history["loss"][0]  # its few random sentences teach nothing
    if name != "L11":
        np.testing.assert_allclose(mine["predictions"].sum(1), 1, rtol=1e-5)


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_give_what_they_give_with_keras(
    name: str, theirs: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same names in the history, shapes of predictions and weights, and total of the summary."""
    monkeypatch.setattr(ours.datasets.fashion_mnist, "load_data", _small_images)
    monkeypatch.setattr(theirs.datasets.fashion_mnist, "load_data", _small_images)
    before, after, body = PROGRAMS[name]
    mine, _ = _run(after + body, name, capsys)
    yours, printed = _run(before + body, name, capsys)
    assert f"Total params: {TOTALS[name]} " in printed
    assert [(key, len(values)) for key, values in sorted(mine["history"].history.items())] == [
        (key, len(values)) for key, values in sorted(yours["history"].history.items())
    ]
    assert mine["predictions"].shape == yours["predictions"].shape
    assert [one.shape for one in mine["model"].get_weights()] == [one.shape for one in yours["model"].get_weights()]


# --- L11 -------------------------------------------------------------------------------------------------------------


def _neuron(k: Any) -> Any:
    model = k.Sequential([k.layers.Flatten(input_shape=(2,)), k.layers.Dense(1, activation="sigmoid")])
    model.compile(optimizer="sgd", loss="BinaryCrossentropy", metrics=["accuracy"])
    return model


def test_l11_fifty_epochs_are_those_of_the_formulas() -> None:
    """Gradient descent with (p - t) x and p - t, written out in NumPy: the same losses, the same neuron."""
    X, y = make_gauss(50, noise=1.5, seed=1)
    order = np.random.default_rng(0).permutation(len(X))
    X, y = X[order], y[order]
    model = _neuron(ours)
    model.set_weights([np.array([[-0.6], [0.9]]), np.zeros(1)])
    history = model.fit(X, y, epochs=50, batch_size=10, shuffle=False, verbose=0)
    w, b, expected = np.array([-0.6, 0.9]), 0.0, []
    for _ in range(50):
        losses = []
        for start in range(0, len(X), 10):
            x, t = X[start : start + 10].astype(float), y[start : start + 10]
            z = x @ w + b
            losses.append((np.logaddexp(0, z) - z * t).mean())
            error = special.expit(z) - t
            w, b = w - 0.01 * (error[:, None] * x).mean(0), b - 0.01 * error.mean()
        expected.append(np.mean(losses))
    np.testing.assert_allclose(history.history["loss"], expected, rtol=1e-5)
    np.testing.assert_allclose(np.concatenate([one.ravel() for one in model.get_weights()]), [*w, b], atol=1e-5)
    assert np.array_equal(model.predict(X).ravel() > 0.5, X @ w + b > 0)


def test_l11_fifty_epochs_are_those_of_keras(theirs: Any) -> None:
    """From the same weights, without shuffling: loss, accuracy, evaluate, predict."""
    X, y = make_gauss(50, noise=1.5, seed=1)
    mine, yours = _neuron(ours), _neuron(theirs)
    yours.set_weights(mine.get_weights())
    options: dict[str, Any] = {"epochs": 50, "batch_size": 10, "shuffle": False, "verbose": 0}
    a, b = mine.fit(X, y, **options).history, yours.fit(X, y, **options).history
    np.testing.assert_allclose(a["loss"], b["loss"], rtol=1e-5)
    np.testing.assert_allclose(a["accuracy"], b["accuracy"], atol=1e-6)
    np.testing.assert_allclose(mine.evaluate(X, y, verbose=0), yours.evaluate(X, y, verbose=0), rtol=1e-5)
    np.testing.assert_allclose(mine.predict(X), yours.predict(X, verbose=0), atol=1e-5)


# --- L12 -------------------------------------------------------------------------------------------------------------


def _garments(k: Any) -> Any:
    sizes = ((300, "relu"), (100, "relu"), (10, "softmax"))
    model = k.Sequential([k.layers.Flatten(input_shape=(28, 28)), *[k.layers.Dense(*size) for size in sizes]])
    model.compile(loss="sparse_categorical_crossentropy", optimizer="sgd", metrics=["accuracy"])
    return model


def test_l12_a_hundred_steps_on_garments_are_those_of_keras(theirs: Any, real_data: Callable[[str], Any]) -> None:
    """3,200 real pictures in their order from the same weights: the same loss, accuracy and test probabilities."""
    (X, y), (X_test, y_test) = real_data("fashion_mnist")
    X, X_test = X[:3200] / np.float32(255), X_test[:1000] / np.float32(255)
    mine, yours = _garments(ours), _garments(theirs)
    yours.set_weights(mine.get_weights())
    a = mine.fit(X, y[:3200], shuffle=False, verbose=0).history
    b = yours.fit(X, y[:3200], shuffle=False, verbose=0).history
    assert a["loss"][0] == pytest.approx(b["loss"][0], rel=1e-5)
    assert a["accuracy"][0] == pytest.approx(b["accuracy"][0], abs=1e-6)
    np.testing.assert_allclose(mine.predict(X_test), yours.predict(X_test, verbose=0), atol=2e-5)
    ends = [one.evaluate(X_test, y_test[:1000], verbose=0) for one in (mine, yours)]
    np.testing.assert_allclose(*ends, rtol=1e-4)


@pytest.mark.compiler
def test_l12_learns_garments(real_data: Callable[[str], Any]) -> None:
    """Three epochs with 5,000 validation pictures: the accuracy of the first epochs of Keras' run."""
    (X, y), (X_test, y_test) = real_data("fashion_mnist")
    X, X_test = X / np.float32(255), X_test / np.float32(255)
    ours.utils.set_random_seed(0)
    model = _garments(ours)
    history = model.fit(X[5000:], y[5000:], epochs=3, validation_data=(X[:5000], y[:5000]), verbose=0).history
    assert [len(values) for values in history.values()] == [3, 3, 3, 3]
    assert history["val_accuracy"][-1] > 0.83
    assert model.evaluate(X_test, y_test, verbose=0)[1] > 0.82


# --- L15 -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.01, 0.5, 1.0, 7.0, 1e4])
def test_l15_softmax_is_boltzmanns_distribution_at_every_temperature(temperature: float) -> None:
    """Probabilities and their logarithms of scores / T are SciPy's; their ratios are exp(-(E_i - E_j) / T)."""
    scores = np.random.default_rng(2).normal(size=(50, 7)) * 3
    p = ops.softmax(Tensor(scores / temperature)).data
    np.testing.assert_allclose(p, special.softmax(scores / temperature, axis=1), rtol=2e-14, atol=1e-300)
    logs = ops.log_softmax(Tensor(scores / temperature)).data
    np.testing.assert_allclose(logs, special.log_softmax(scores / temperature, axis=1), rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(logs[:, 0] - logs[:, 1], (scores[:, 0] - scores[:, 1]) / temperature, rtol=1e-9)
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-15 * 8)


def test_l15_cross_entropy_and_its_gradient() -> None:
    """The mean of -log p of the right class, and (p - t) / n, by SciPy's softmax; scores of a thousand among them."""
    draws = np.random.default_rng(3)
    scores, y = draws.normal(size=(40, 5)) * 4, draws.integers(0, 5, 40)
    scores[:3] *= 300
    z = Tensor(scores, requires_grad=True)
    loss = functional.cross_entropy(z, y)
    loss.backward()
    rows = np.arange(40)
    assert loss.item() == pytest.approx(-special.log_softmax(scores, axis=1)[rows, y].mean(), rel=1e-14)
    assert z.grad is not None
    np.testing.assert_allclose(z.grad.data, (special.softmax(scores, axis=1) - np.eye(5)[y]) / 40, atol=1e-16)


# --- L16 -------------------------------------------------------------------------------------------------------------


@pytest.mark.compiler
def test_l16_reads_real_sentences_nearly_as_well_as_counting_words(real_data: Callable[[str], Any]) -> None:
    """Three epochs pass the 0.70 mark; TF-IDF with logistic regression, by scikit-learn, has about 0.776."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    reviews = real_data("reviews")
    sentences = np.array(reviews.sentences, dtype=object)
    train, test, y, y_test = train_test_split(sentences, reviews.labels, test_size=0.2, seed=0)
    vocabulary = Vocabulary.fit(train, max_size=6000)
    X, X_test = (ours.utils.pad_sequences(vocabulary.encode(one), maxlen=32) for one in (train, test))
    ours.utils.set_random_seed(0)
    k = ours.layers
    model = ours.Sequential(
        [
            k.Embedding(6000, 32, input_length=32),
            k.Dropout(0.5),
            k.LSTM(16),
            k.Dropout(0.5),
            k.Dense(2, activation="softmax"),
        ]
    )
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    model.fit(X, ours.utils.to_categorical(y), epochs=3, batch_size=64, verbose=0)
    accuracy = model.evaluate(X_test, ours.utils.to_categorical(y_test), verbose=0)[1]
    rival = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(train, y).score(test, y_test)
    assert 0.75 < rival < 0.80
    assert accuracy > 0.70
    assert accuracy > rival - 0.04
