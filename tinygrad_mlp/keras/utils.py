"""Keras' helpers: one-hot labels, sequences of one length, seeds, progress of a loop of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import ArgumentError, did_you_mean
from ..tape import Array
from .randomness import clear_session, set_random_seed

__all__ = ["clear_session", "normalize", "pad_sequences", "set_random_seed", "to_categorical"]


def to_categorical(x: Any, num_classes: int | None = None) -> Array:
    """Class ids ``(…)`` to one-hot rows ``(…, num_classes)`` of float64, as Keras gives them.

    Args:
        x: ids, from 0; a last axis of length 1 is dropped. num_classes: the largest id + 1 by default.

    Raises:
        ArgumentError: an id outside the classes.

    >>> to_categorical([0, 2, 1])
    array([[1., 0., 0.],
           [0., 0., 1.],
           [0., 1., 0.]])
    """
    ids = np.asarray(x).astype(np.int64)
    shape = ids.shape[:-1] if ids.ndim > 1 and ids.shape[-1] == 1 else ids.shape
    flat = ids.reshape(-1)
    classes = int(flat.max(initial=-1)) + 1 if num_classes is None else int(num_classes)
    if flat.size and (flat.min() < 0 or flat.max() >= classes):
        raise ArgumentError(
            f"to_categorical: ids run from {flat.min()} to {flat.max()}, but there are {classes} classes, from 0"
        )
    rows = np.zeros((flat.size, classes))
    rows[np.arange(flat.size), flat] = 1.0
    return rows.reshape(*shape, classes)


def pad_sequences(
    sequences: Sequence[Sequence[Any]],
    maxlen: int | None = None,
    dtype: str = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: Any = 0.0,
) -> Array:
    """Lists of different lengths to one array ``(samples, maxlen)``.

    Args:
        maxlen: the length; that of the longest by default. padding, truncating: ``"pre"`` (in front) or ``"post"``.
        value: what is put in.

    Raises:
        ArgumentError: not a list of lists, or an unknown side.

    >>> pad_sequences([[1, 2, 3], [4]])
    array([[1, 2, 3],
           [0, 0, 4]], dtype=int32)
    """
    for name, side in (("padding", padding), ("truncating", truncating)):
        if side not in {"pre", "post"}:
            raise ArgumentError(did_you_mean(name, side, ["pre", "post"]))
    if not hasattr(sequences, "__len__") or not all(hasattr(one, "__len__") for one in sequences):
        raise ArgumentError("pad_sequences takes a list of sequences; say pad_sequences([[1, 2], [3]])")
    longest = max(map(len, sequences), default=0) if maxlen is None else maxlen
    inner = next((np.asarray(one).shape[1:] for one in sequences if len(one)), ())
    made = np.full((len(sequences), longest, *inner), value, dtype)
    for row, one in zip(made, sequences, strict=True):
        if not len(one) or not longest:
            continue
        kept = np.asarray(one[-longest:] if truncating == "pre" else one[:longest], dtype)
        if padding == "pre":
            row[-len(kept) :] = kept
        else:
            row[: len(kept)] = kept
    return made


def normalize(x: Any, axis: int = -1, order: float = 2) -> Array:
    """Each vector along ``axis`` divided by its norm; zeros stay zeros."""
    norms = np.atleast_1d(np.linalg.norm(x, order, axis))
    norms[norms == 0] = 1
    return np.asarray(np.asarray(x) / np.expand_dims(norms, axis))
