"""Where random numbers come from: one generator, reset by :func:`set_random_seed`; NumPy's own is not touched."""

from __future__ import annotations

import itertools
from collections import defaultdict

import numpy as np

__all__ = ["clear_session", "draws", "set_random_seed", "unique_name"]


class _Session:
    """The generator that layers, initialisers and orders are drawn from, and the names given so far."""

    def __init__(self) -> None:
        self.draws = np.random.default_rng()
        self.names: defaultdict[str, itertools.count[int]] = defaultdict(itertools.count)


_SESSION = _Session()


def set_random_seed(seed: int) -> None:
    """Make everything that is drawn from now on repeatable: initial weights, dropout, the order of samples.

    Args:
        seed: an integer >= 0. Unlike Keras' function this one leaves ``random`` and ``numpy.random`` alone.
    """
    _SESSION.draws = np.random.default_rng(seed)


def draws(seed: int | None = None) -> np.random.Generator:
    """A generator of its own, from a seed or from the session's."""
    return np.random.default_rng(seed) if seed is not None else _SESSION.draws.spawn(1)[0]


def unique_name(kind: str) -> str:
    """``"dense"``, ``"dense_1"``, …: a name that was not given before."""
    number = next(_SESSION.names[kind])
    return f"{kind}_{number}" if number else kind


def clear_session() -> None:
    """Count the automatic names from the beginning again."""
    _SESSION.names.clear()
