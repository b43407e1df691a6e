"""Dropout in its forms: single elements, whole channels, and to the value that keeps mean and variance."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ... import ops
from ...capture import drawn
from ...dtypes import float_dtype_of
from ...errors import ArgumentError, ShapeError
from ...ops.names import both_names, refuse_in_place
from ...tape import Array
from ...tensor import generator

__all__ = ["alpha_dropout", "check_probability", "dropout", "dropout1d", "dropout2d", "dropout3d"]
__all__ += ["feature_alpha_dropout"]


def check_probability(p: float) -> float:
    """``p`` as a Python float.

    Raises:
        ArgumentError: it is not in [0, 1].
    """
    if not 0.0 <= p <= 1.0:
        raise ArgumentError(f"dropout: p is the probability of dropping, from 0 to 1, got {p}; say Dropout(0.5)")
    return float(p)


def _kept(
    shape: tuple[int, ...], p: float, dtype: np.dtype[Any], rng: np.random.Generator | None, seed: int | None
) -> Callable[[], Array]:
    """A function that draws which elements are kept: 1 with probability ``1 - p``, else 0."""
    source = generator(rng, seed)
    return lambda: np.asarray(source.random(shape, np.float32 if dtype.itemsize <= 4 else np.float64) >= p)


def _masked(x: Any, p: float, shape: tuple[int, ...], rng: np.random.Generator | None, seed: int | None) -> Any:
    dtype = float_dtype_of(x.dtype)
    kept = _kept(shape, p, dtype, rng, seed)

    def mask() -> Array:
        return np.multiply(kept(), 1.0 / (1.0 - p), dtype=dtype) if p < 1.0 else np.zeros(shape, dtype)

    return ops.mul(x, mask() if seed is not None else drawn(mask))


@both_names(train="training")
def dropout(
    input: Any,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    rng: np.random.Generator | None = None,
    seed: int | None = None,
) -> Any:
    """Set each element to 0 with probability ``p`` and multiply the others by ``1 / (1 - p)``, in training only.

    The factor keeps the expectation, so nothing has to be scaled in evaluation; ``p = 1`` gives zeros. The shape and
    dtype are those of ``input``.

    Raises:
        ArgumentError: ``p`` is not in [0, 1].

    Source: Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov, JMLR 15, 2014, section 10 (inverted form).
    """
    refuse_in_place("dropout", inplace)
    p = check_probability(p)
    return input if not training or p == 0.0 else _masked(input, p, tuple(input.shape), rng, seed)


def _channels(what: str, x: Any, axes: tuple[int, int]) -> tuple[int, ...]:
    """The shape of one number for each channel of each sample."""
    without, batched = axes
    if x.ndim not in axes:
        names = ", ".join(["batch", "channels", *["length", "height, width"][without - 2 : without - 1]])
        raise ShapeError(
            f"{what} drops whole channels: expected ({names}), or the same without batch, got shape {tuple(x.shape)}; "
            "to drop single elements say Dropout"
        )
    return (*x.shape[: 2 if x.ndim == batched else 1], *[1] * (without - 1))


def dropout1d(
    input: Any,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    rng: np.random.Generator | None = None,
    seed: int | None = None,
) -> Any:
    """Drop whole channels of ``(batch, channels, length)``, or of ``(channels, length)``; else as :func:`dropout`.

    Raises:
        ArgumentError: ``p`` is not in [0, 1]. ShapeError: another number of axes.

    Source: Tompson et al., "Efficient object localization using convolutional networks", CVPR 2015.
    """
    refuse_in_place("dropout1d", inplace)
    p = check_probability(p)
    shape = _channels("dropout1d", input, (2, 3))
    return input if not training or p == 0.0 else _masked(input, p, shape, rng, seed)


def dropout2d(
    input: Any,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    rng: np.random.Generator | None = None,
    seed: int | None = None,
) -> Any:
    """Drop whole channels of ``(batch, channels, height, width)`` or ``(channels, height, width)``.

    Else as :func:`dropout1d`, from the same source.

    Raises:
        ArgumentError: ``p`` is not in [0, 1]. ShapeError: another number of axes.
    """
    refuse_in_place("dropout2d", inplace)
    p = check_probability(p)
    shape = _channels("dropout2d", input, (3, 4))
    return input if not training or p == 0.0 else _masked(input, p, shape, rng, seed)


def dropout3d(
    input: Any,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    rng: np.random.Generator | None = None,
    seed: int | None = None,
) -> Any:
    """Drop whole channels of ``([batch,] channels, depth, height, width)``; else as :func:`dropout2d`.

    Raises:
        ArgumentError: ``p`` is not in [0, 1]. ShapeError: another number of axes.
    """
    refuse_in_place("dropout3d", inplace)
    p = check_probability(p)
    shape = _channels("dropout3d", input, (4, 5))
    return input if not training or p == 0.0 else _masked(input, p, shape, rng, seed)


# What SELU gives far below 0, where units that are dropped are sent.
_LOWEST = -1.0507009873554804934 * 1.6732632423543772848


def _alpha(x: Any, p: float, shape: tuple[int, ...], rng: np.random.Generator | None, seed: int | None) -> Any:
    dtype = float_dtype_of(x.dtype)
    if p == 1.0:
        return ops.mul(x, np.zeros((), dtype))
    scale = 1.0 / math.sqrt((1.0 - p) * (1.0 + p * _LOWEST**2))
    shift = -scale * p * _LOWEST
    kept = _kept(shape, p, dtype, rng, seed)
    sent = ops.where(kept() if seed is not None else drawn(kept), x, _LOWEST)
    return ops.add(ops.mul(sent, scale), shift)


@both_names(train="training")
def alpha_dropout(
    input: Any,
    p: float = 0.5,
    training: bool = False,
    inplace: bool = False,
    *,
    rng: np.random.Generator | None = None,
    seed: int | None = None,
) -> Any:
    """Send each element to SELU's lowest value with probability ``p``, then restore mean 0 and variance 1.

    Raises:
        ArgumentError: ``p`` is not in [0, 1].

    Source: Klambauer, Unterthiner, Mayr, Hochreiter, NeurIPS 2017, section 3.
    """
    refuse_in_place("alpha_dropout", inplace)
    p = check_probability(p)
    return input if not training or p == 0.0 else _alpha(input, p, tuple(input.shape), rng, seed)


@both_names(train="training")
def feature_alpha_dropout(
    input: Any,
    p: float = 0.5,
    training: bool = False,
    inplace: bool = False,
    *,
    rng: np.random.Generator | None = None,
    seed: int | None = None,
) -> Any:
    """As :func:`alpha_dropout`, whole channels (axis 1) at a time.

    Raises:
        ArgumentError: ``p`` is not in [0, 1]. ShapeError: no axis of channels.
    """
    refuse_in_place("feature_alpha_dropout", inplace)
    p = check_probability(p)
    if input.ndim < 2:
        raise ShapeError(f"feature_alpha_dropout: expected (batch, channels, …), got shape {tuple(input.shape)}")
    shape = (*input.shape[:2], *[1] * (input.ndim - 2))
    return input if not training or p == 0.0 else _alpha(input, p, shape, rng, seed)
