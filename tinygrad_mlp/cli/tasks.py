"""The data sets that can be trained on by name, each with its split, its scale and settings that work for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np

from .. import datasets
from ..datasets import StandardScaler, Table, train_test_split
from ..errors import ArgumentError, did_you_mean
from ..tape import Array

__all__ = ["TASKS", "Ready", "Settings", "Task", "make_ready", "task_of"]

# The test samples are the same in every run, whatever --seed says: only then do runs compare.
_SPLIT_SEED = 0


@dataclass(frozen=True)
class Settings:
    """What is used where the command line leaves it open."""

    hidden: tuple[int, ...]
    optimizer: str
    lr: float
    epochs: int
    batch_size: int
    validation: float


_TABLES = Settings((64,), "adam", 0.002, 60, 16, 0.1)
_POINTS = Settings((32, 32), "adam", 0.01, 100, 32, 0.1)
# The reference network of A. Géron, "Hands-On Machine Learning", chapter 10.
_IMAGES = Settings((300, 100), "sgd", 0.01, 30, 32, 5000)


@dataclass(frozen=True, eq=False)
class Task:
    """One data set, split into training and test samples, not yet scaled.

    Attributes:
        class_names: one name per class; empty where the target is a number, whose name and unit is ``target``.
        image_shape: (height, width) where the samples are images, whose values run from 0 to ``largest``.
        facts: label and value for the report.
    """

    name: str
    x_train: Array
    y_train: Array
    x_test: Array
    y_test: Array
    class_names: tuple[str, ...]
    settings: Settings
    target: str = ""
    image_shape: tuple[int, int] | None = None
    largest: float = 1.0
    facts: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Ready:
    """A task as the network sees it: scaled with what was learnt from the training samples alone.

    ``unit`` and ``centre`` turn a scaled target back: y * unit + centre.
    """

    task: Task
    x: Array
    y: Array
    validation: tuple[Array, Array] | None
    x_test: Array
    y_test: Array
    unit: float = 1.0
    centre: float = 0.0

    @property
    def outputs(self) -> int:
        """How many outputs the network needs."""
        return len(self.task.class_names) or 1


def make_ready(task: Task, validation: float, seed: int) -> Ready:
    """Hold out validation samples, then scale everything by the training samples that are left.

    Args:
        validation: a number of samples, or a share below 1; 0 for none.
        seed: of the choice of validation samples.

    Raises:
        ArgumentError: more validation samples than there are samples to train on.
    """
    x, y = task.x_train, task.y_train
    held_out: tuple[Array, Array] | None = None
    if validation:
        size = validation if 0 < validation < 1 else int(validation)
        x, x_val, y, y_val = train_test_split(x, y, test_size=size, stratify=y if task.class_names else None, seed=seed)
        held_out = (x_val, y_val)
    scale_x = _divided(task.largest) if task.image_shape else StandardScaler.fit(x).transform
    if task.class_names:
        shown = None if held_out is None else (scale_x(held_out[0]), held_out[1])
        return Ready(task, scale_x(x), y, shown, scale_x(task.x_test), task.y_test)
    targets = StandardScaler.fit(y[:, None])
    shown = None if held_out is None else (scale_x(held_out[0]), targets.transform(held_out[1][:, None]))
    return Ready(
        task,
        scale_x(x),
        targets.transform(y[:, None]),
        shown,
        scale_x(task.x_test),
        targets.transform(task.y_test[:, None]),
        unit=float(targets.scale[0]),
        centre=float(targets.mean[0]),
    )


def _divided(largest: float) -> Callable[[Array], Array]:
    return lambda x: np.asarray(x, dtype=np.float32) / np.float32(largest)


def _table(load: Callable[[], Table], share: float, settings: Settings = _TABLES, **more: Any) -> Callable[[], Task]:
    def make() -> Task:
        table = load()
        names = () if table.target.dtype.kind == "f" else table.target_names
        parts = train_test_split(
            table.data, table.target, test_size=share, stratify=table.target if names else None, seed=_SPLIT_SEED
        )
        facts = [("data set", table.DESCR), ("features", ", ".join(table.feature_names))]
        return _task(table.name.replace("_", "-"), parts, names, settings, facts[: 1 if more else 2], **more)

    return make


def _points(name: str, draw: Callable[[], tuple[Array, Array]], rule: str) -> Callable[[], Task]:
    def make() -> Task:
        x, y = draw()
        names = () if y.dtype.kind == "f" else tuple(f"class {one}" for one in np.unique(y))
        parts = train_test_split(x, y, test_size=0.25, stratify=y if names else None, seed=_SPLIT_SEED)
        target = "" if names else "body-mass index, kg/m²"
        return _task(name, parts, names, _POINTS, [("data set", rule)], target=target)

    return make


def _images(name: str, module: Callable[[], ModuleType], credit: str) -> Callable[[], Task]:
    def make() -> Task:
        source = module()
        (x_train, y_train), (x_test, y_test) = source.load_data()
        parts = [x_train.reshape(len(x_train), -1), x_test.reshape(len(x_test), -1), y_train, y_test]
        names = getattr(source, "class_names", tuple("0123456789"))
        return _task(name, parts, names, _IMAGES, [("data set", credit)], image_shape=x_train.shape[1:], largest=255.0)

    return make


def _task(
    name: str,
    parts: list[Array],
    names: tuple[str, ...],
    settings: Settings,
    facts: list[tuple[str, str]],
    **more: Any,
) -> Task:
    x_train, x_test, y_train, y_test = parts
    shape = more.get("image_shape")
    pixels = f" ({shape[0]} x {shape[1]} pixels)" if shape else ""
    counts = [
        ("inputs", f"{x_train.shape[1]:,} numbers{pixels}"),
        ("classes", ", ".join(names)) if names else ("target", more.get("target", "")),
    ]
    return Task(name, x_train, y_train, x_test, y_test, names, settings, facts=[*counts, *facts], **more)


_DIGITS = Settings((128, 64), "adam", 0.002, 30, 32, 0.1)

TASKS: dict[str, Callable[[], Task]] = {
    "digits": _table(datasets.load_digits, 360, _DIGITS, image_shape=(8, 8), largest=16.0),
    "iris": _table(datasets.load_iris, 0.2),
    "wine": _table(datasets.load_wine, 0.2),
    "breast-cancer": _table(datasets.load_breast_cancer, 0.2),
    "diabetes": _table(
        lambda: datasets.load_diabetes(scaled=False),
        0.2,
        Settings((16,), "adam", 0.002, 40, 16, 0.1),
        target="progression",
    ),
    "fashion-mnist": _images(
        "fashion-mnist",
        lambda: datasets.fashion_mnist,
        "Fashion-MNIST, grey pictures of clothes. (c) 2017 Zalando SE, MIT licence. Xiao, Rasul, Vollgraf, "
        "arXiv:1708.07747 (2017).",
    ),
    "mnist": _images("mnist", lambda: datasets.mnist, "MNIST, handwritten digits. Y. LeCun, C. Cortes, C. Burges."),
    "xor": _points(
        "xor", lambda: datasets.make_xor(400, 0.15, seed=0), "four clouds at the corners of a square, 0 1 1 0"
    ),
    "spiral": _points("spiral", lambda: datasets.make_spiral(200, 0.2, classes=5, seed=0), "five interleaved arms"),
    "moons": _points("moons", lambda: datasets.make_moons(400, 0.15, seed=0), "two interleaved half circles"),
    "circles": _points("circles", lambda: datasets.make_circles(400, 0.08, seed=0), "a circle inside a circle"),
    "gauss": _points("gauss", lambda: datasets.make_gauss(200, seed=0), "two Gaussian clouds"),
    "bmi": _points("bmi", lambda: datasets.make_bmi(600, seed=0), "height and weight; weight / height² + N(0, 0.5²)"),
}
"""The data sets by the names of the command line."""


def task_of(name: str) -> Task:
    """The data set of this name, loaded.

    Raises:
        ArgumentError: an unknown name. DataNotFoundError: its files are not here and cannot be fetched.
    """
    if name not in TASKS:
        raise ArgumentError(did_you_mean("data set", name, TASKS))
    return TASKS[name]()
