"""One epoch on 55,000 real Fashion-MNIST images: `fit` against Keras, scikit-learn's fit and a plain PyTorch loop."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from typing import Any

import numpy as np
from harness import NOT_INSTALLED, Column, Settings, Table, has, limit_threads, verdict

from tinygrad_mlp import nn, optim, train
from tinygrad_mlp.data import DataLoader
from tinygrad_mlp.datasets import fashion_mnist
from tinygrad_mlp.errors import DataNotFoundError

__all__ = ["measure"]

SIZES = (784, 300, 100, 10)
BATCH, RATE, IMAGES = 32, 0.01, 55_000
COLUMNS = (
    Column("contender", "one epoch, 784-300-100-10, batch 32"),
    Column("seconds", "s/epoch", ".3f"),
    Column("over_sklearn", "of scikit-learn's", ".2f"),
    Column("over_fastest", "of the fastest peer's", ".2f"),
    Column("spread", "least-most"),
    Column("goal", "goal", ".1f"),
    Column("loss", "training loss", ".3f"),
    Column("verdict", "verdict"),
)

Epoch = Callable[[], float]


def measure(settings: Settings) -> Table:
    """Seconds per epoch: medians over rounds; ratios are medians of the rounds' ratios.

    The first epoch of each is not timed: in it Keras and our compiler compile.
    """
    title = f"Fashion-MNIST, {IMAGES:,} images, SGD lr {RATE}"
    makers = _makers()
    try:
        (images, labels), _ = fashion_mnist.load_data(download=False)
    except DataNotFoundError:
        rows = [{"contender": name, "seconds": "no data"} for name in makers]
        return Table("fashion", title, COLUMNS, rows, ["Debian has the data: apt-get install dataset-fashion-mnist"])
    count = settings.pick(IMAGES, 320)
    x = images[:count].reshape(count, -1).astype(np.float32) / 255
    y = labels[:count].astype(np.int64)
    epochs, reasons, losses = {}, {}, {}
    with limit_threads(settings.threads):
        for name, make in makers.items():
            made = make(x, y)
            if isinstance(made, str):
                reasons[name] = made
                continue
            # All have seen the data as often when they are compared, so that their losses can be, too.
            made()
            epochs[name] = made
        seconds: dict[str, list[float]] = {name: [] for name in epochs}
        for number in range(settings.pick(5, 1)):
            names = list(epochs)
            start = number % len(names)
            for name in names[start:] + names[:start]:
                begin = settings.clock()
                losses[name] = epochs[name]()
                seconds[name].append(settings.clock() - begin)
    rows = _rows(makers, seconds, losses, reasons)
    notes = ["Training loss: of the last round's epoch, its mean over the batches. Orders and starting weights differ."]
    return Table("fashion", title, COLUMNS, rows, notes)


def _rows(
    makers: dict[str, Any], seconds: dict[str, list[float]], losses: dict[str, float], reasons: dict[str, str]
) -> list[dict[str, Any]]:
    medians = {name: float(np.median(values)) for name, values in seconds.items()}
    peers = [name for name in medians if not name.startswith("ours")]
    fastest = min(peers, key=medians.__getitem__) if peers else None
    sklearn = next((name for name in peers if name.startswith("scikit-learn")), None)
    rows = []
    for name in makers:
        if name in reasons:
            rows.append({"contender": name, "seconds": reasons[name]})
            continue
        row: dict[str, Any] = {"contender": name, "seconds": medians[name], "loss": losses[name]}
        row["spread"] = f"{min(seconds[name]):.2f}-{max(seconds[name]):.2f}"
        row["over_sklearn"] = _over(seconds, name, sklearn)
        row["over_fastest"] = _over(seconds, name, fastest)
        if name == "ours, fit" and fastest is not None:
            row["goal"] = 1.0
            row["verdict"] = verdict((row["over_fastest"], 1.0))
        rows.append(row)
    return rows


def _over(seconds: dict[str, list[float]], name: str, other: str | None) -> float | None:
    if other is None or min(seconds[other]) <= 0:
        return None
    return float(np.median(np.divide(seconds[name], seconds[other])))


def _makers() -> dict[str, Callable[[Any, Any], Epoch | str]]:
    """Per contender what makes its epoch, or a word on why there is none."""
    return {
        "ours, fit": _fit,
        "ours, fit(compile=False)": lambda x, y: _fit(x, y, compile=False),
        "ours, five-line loop": _loop,
        "PyTorch, plain loop": _torch_loop,
        "Keras on JAX": _keras,
        "Keras on JAX, 100 steps per execution": lambda x, y: _keras(x, y, steps_per_execution=100),
        "scikit-learn MLPClassifier": _scikit_learn,
    }


def _layers() -> Any:
    return nn.MLP(*SIZES, activation="relu", seed=0)


def _fit(x: Any, y: Any, **options: Any) -> Epoch:
    model = _layers()
    optimizer = optim.SGD(model.parameters(), lr=RATE)

    def epoch() -> float:
        history = train.fit(model, x, y, epochs=1, batch_size=BATCH, optimizer=optimizer, verbose=0, **options)
        return float(history.history["loss"][0])

    return epoch


def _loop(x: Any, y: Any) -> Epoch | str:
    model = _layers()
    optimizer = optim.SGD(model.parameters(), lr=RATE)
    loss_of = nn.CrossEntropyLoss()
    batches = DataLoader((x, y), batch_size=BATCH, shuffle=True, seed=0)

    def epoch() -> float:
        total = 0.0
        for images, labels in batches:
            optimizer.zero_grad()
            loss = loss_of(model(images), labels)
            loss.backward()
            optimizer.step()
            total += loss.item()
        return total / len(batches)

    return epoch


def _torch_loop(x: Any, y: Any) -> Epoch | str:
    if not has("torch"):
        return NOT_INSTALLED
    import torch

    torch.manual_seed(0)
    layers: list[Any] = []
    for inputs, outputs in itertools.pairwise(SIZES):
        layers += [torch.nn.Linear(inputs, outputs), torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1])
    for layer in layers[::2]:
        torch.nn.init.xavier_uniform_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    images, labels = torch.from_numpy(x), torch.from_numpy(y)

    def epoch() -> float:
        total, batches = 0.0, 0
        # Slices of one permutation: several times faster than torch's DataLoader, which collates single samples.
        for places in torch.randperm(len(images)).split(BATCH):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(images[places]), labels[places])
            loss.backward()
            optimizer.step()
            total += loss.item()
            batches += 1
        return total / batches

    return epoch


def _keras(x: Any, y: Any, **options: Any) -> Epoch | str:
    if not (has("keras") and has("jax")):
        return NOT_INSTALLED
    # Read when Keras is imported. Its fastest backend on a CPU: here 0.76 s where TensorFlow took 2.1 s and torch 8 s.
    os.environ["KERAS_BACKEND"] = "jax"
    import keras

    model = keras.Sequential([keras.Input(SIZES[:1])])
    for place, size in enumerate(SIZES[1:]):
        model.add(keras.layers.Dense(size, activation="relu" if place < len(SIZES) - 2 else None))
    model.compile(
        optimizer=keras.optimizers.SGD(RATE),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        **options,
    )

    def epoch() -> float:
        history = model.fit(x, y, batch_size=BATCH, epochs=1, shuffle=True, verbose=0)
        return float(history.history["loss"][0])

    return epoch


def _scikit_learn(x: Any, y: Any) -> Epoch | str:
    if not has("sklearn"):
        return NOT_INSTALLED
    from sklearn.neural_network import MLPClassifier

    model = MLPClassifier(
        hidden_layer_sizes=SIZES[1:-1],
        activation="relu",
        solver="sgd",
        alpha=0.0,
        momentum=0.0,
        nesterovs_momentum=False,
        batch_size=BATCH,
        learning_rate_init=RATE,
        shuffle=True,
        random_state=0,
    )
    classes = np.arange(SIZES[-1])

    def epoch() -> float:
        model.partial_fit(x, y, classes=classes)
        return float(model.loss_)

    return epoch
