"""One epoch on 55,000 real Fashion-MNIST images: `fit` against scikit-learn's MLPClassifier, in turns."""

from __future__ import annotations

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
    Column("seconds", "s/epoch", ".2f"),
    Column("over_sklearn", "of scikit-learn's", ".2f"),
    Column("goal", "goal", ".1f"),
    Column("loss", "training loss", ".3f"),
    Column("verdict", "verdict"),
)
NAMES = {"fit": "ours, train.fit", "loop": "ours, five-line loop", "sklearn": "scikit-learn MLPClassifier"}


def measure(settings: Settings) -> Table:
    """Seconds per epoch: medians over rounds; the ratio is the median of the rounds' ratios."""
    title = f"Fashion-MNIST, {IMAGES:,} images, SGD lr {RATE}"
    try:
        (images, labels), _ = fashion_mnist.load_data(download=False)
    except DataNotFoundError:
        rows = [{"contender": name, "seconds": "no data"} for name in NAMES.values()]
        return Table("fashion", title, COLUMNS, rows, ["Debian has the data: apt-get install dataset-fashion-mnist"])
    count = settings.pick(IMAGES, 320)
    x = images[:count].reshape(count, -1).astype(np.float32) / 255
    y = labels[:count].astype(np.int64)
    with limit_threads(settings.threads):
        epochs = {"fit": _fit(x, y), "loop": _loop(x, y)}
        if has("sklearn"):
            epochs["sklearn"] = _scikit_learn(x, y)
        seconds: dict[str, list[float]] = {name: [] for name in epochs}
        losses: dict[str, float] = {}
        for _ in range(settings.pick(3, 1)):
            for name, epoch in epochs.items():
                begin = settings.clock()
                losses[name] = epoch()
                seconds[name].append(settings.clock() - begin)
    rows = []
    for name, spelled in NAMES.items():
        if name not in seconds:
            rows.append({"contender": spelled, "seconds": NOT_INSTALLED})
            continue
        row: dict[str, Any] = {
            "contender": spelled,
            "seconds": float(np.median(seconds[name])),
            "loss": losses[name],
        }
        if name != "sklearn" and "sklearn" in seconds:
            row["over_sklearn"] = float(np.median(np.divide(seconds[name], seconds["sklearn"])))
            row["goal"] = 1.0
            row["verdict"] = verdict((row["over_sklearn"], 1.0))
        rows.append(row)
    return Table(
        "fashion", title, COLUMNS, rows, ["Training loss: of the last round's epoch, its mean over the batches."]
    )


def _layers() -> Any:
    return nn.MLP(*SIZES, activation="relu", seed=0)


def _fit(x: Any, y: Any) -> Callable[[], float]:
    model = _layers()
    optimizer = optim.SGD(model.parameters(), lr=RATE)

    def epoch() -> float:
        history = train.fit(model, x, y, epochs=1, batch_size=BATCH, optimizer=optimizer, verbose=0)
        return float(history.history["loss"][0])

    return epoch


def _loop(x: Any, y: Any) -> Callable[[], float]:
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


def _scikit_learn(x: Any, y: Any) -> Callable[[], float]:
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
