"""Data sets: bundled tables, generators with a known rule, real image sets, and what prepares them for training.

Importing this room reads no data file and needs NumPy alone; each loader opens its file when it is called. The two
modules of image sets are imported when they are first named.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

from .split import StandardScaler, one_hot, to_categorical, train_test_split
from .tabular import Table, load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from .toys import make_and, make_bmi, make_circles, make_gauss, make_moons, make_or, make_spiral, make_xor

if TYPE_CHECKING:
    from . import fashion_mnist, mnist

__all__ = [
    "StandardScaler",
    "Table",
    "fashion_mnist",
    "load_breast_cancer",
    "load_diabetes",
    "load_digits",
    "load_iris",
    "load_wine",
    "make_and",
    "make_bmi",
    "make_circles",
    "make_gauss",
    "make_moons",
    "make_or",
    "make_spiral",
    "make_xor",
    "mnist",
    "one_hot",
    "to_categorical",
    "train_test_split",
]


def __getattr__(name: str) -> ModuleType:
    # gzip, json, hashlib and pathlib cost a third of what importing the whole package may: only who reads images pays.
    if name in {"fashion_mnist", "mnist"}:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
