"""Data sets: bundled tables, generators with a known rule, real image sets, and what prepares them for training.

Importing this room reads no data file and needs NumPy alone; each loader opens its file when it is called. The modules
of image sets and of reviews are imported when they are first named.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .sentences import make_sentences
from .split import StandardScaler, one_hot, to_categorical, train_test_split
from .tabular import Table, load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from .text import Vocabulary, pad_sequences, words_of
from .toys import make_and, make_bmi, make_circles, make_gauss, make_moons, make_or, make_spiral, make_xor

if TYPE_CHECKING:
    from . import fashion_mnist, mnist, reviews
    from .reviews import MovieReviews, load_movie_reviews

__all__ = [
    "MovieReviews",
    "StandardScaler",
    "Table",
    "Vocabulary",
    "fashion_mnist",
    "load_breast_cancer",
    "load_diabetes",
    "load_digits",
    "load_iris",
    "load_movie_reviews",
    "load_wine",
    "make_and",
    "make_bmi",
    "make_circles",
    "make_gauss",
    "make_moons",
    "make_or",
    "make_sentences",
    "make_spiral",
    "make_xor",
    "mnist",
    "one_hot",
    "pad_sequences",
    "reviews",
    "to_categorical",
    "train_test_split",
    "words_of",
]


def __getattr__(name: str) -> Any:
    # gzip, json, hashlib and pathlib cost a third of what importing the whole package may: only who reads files pays.
    if name in {"fashion_mnist", "mnist", "reviews"}:
        return importlib.import_module(f".{name}", __name__)
    if name in {"MovieReviews", "load_movie_reviews"}:
        return getattr(importlib.import_module(".reviews", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
