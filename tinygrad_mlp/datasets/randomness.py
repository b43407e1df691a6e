"""Random numbers for the data sets: always from a seed or a generator, never from NumPy's global state."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentError

__all__ = ["as_generator", "shuffled_indices"]


def as_generator(seed: int | None, rng: np.random.Generator | None) -> np.random.Generator:
    """Return ``rng``, or a new generator from ``seed`` (``None``: fresh entropy from the operating system).

    Raises:
        ArgumentError: both were given, so which of them decides would be a guess.
    """
    if rng is None:
        return np.random.default_rng(seed)
    if seed is not None:
        raise ArgumentError(f"expected seed= or rng=, got both (seed={seed!r}); leave one of them out")
    return rng


def shuffled_indices(count: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return a random permutation of ``0 .. count-1``, shape (count,).

    It sorts one raw 64-bit draw per index. NumPy promises the raw stream of a bit generator across its releases, but
    not the stream of ``Generator.permutation``: an order made this way stays the same after an upgrade of NumPy.
    """
    keys: NDArray[np.uint64] = rng.bit_generator.random_raw(count)
    return np.argsort(keys, kind="stable")
