"""Data sets: bundled tables, generators with a known rule, real image sets, and what prepares them for training.

Importing this room reads no data file and needs NumPy alone; each loader opens its file when it is called.
"""

from __future__ import annotations

from . import fashion_mnist, mnist
from .split import StandardScaler, one_hot, to_categorical, train_test_split
from .tabular import Table, load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from .toys import make_and, make_bmi, make_circles, make_gauss, make_moons, make_or, make_spiral, make_xor

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
