"""Plain NumPy helpers that several ops' forward functions share. Nothing here is recorded."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import ArgumentError
from ..tape import Array

# Below this many rows, adding them one after the other is as accurate as pairwise summation needs to be.
_FEW = 32
# Up to this many elements a filled array is made faster than a read-only view of a smaller one.
_SMALL = 1 << 13


def magnitude(x: Array) -> Array:
    """``|x|`` continued analytically: for complex numbers ``x`` or ``-x``, whichever has the positive real part.

    The complex step (derivatives read off the imaginary part) needs forward functions that stay analytic; ``np.abs``
    of a complex number is not.
    """
    if x.dtype.kind == "c":
        return np.where(x.real < 0, -x, x)
    return np.abs(x)


def chosen(axis: Any, dim: Any, default: Any = None) -> Any:
    """The axis under either of its names, NumPy's ``axis`` or torch's ``dim``.

    Raises:
        ArgumentError: both are given.
    """
    if axis is not None and dim is not None:
        raise ArgumentError(f"axis={axis} and dim={dim} are two names of one argument; give one of them")
    given = axis if axis is not None else dim
    return default if given is None else given


def normalise_axis(axis: int, ndim: int) -> int:
    """A non-negative axis; raises NumPy's ``AxisError`` (a ValueError and IndexError) outside ``[-ndim, ndim)``."""
    if not -ndim <= axis < ndim:
        raise np.exceptions.AxisError(axis, ndim)
    return axis + ndim if axis < 0 else axis


def normalise_axes(axis: int | tuple[int, ...] | list[int] | None, ndim: int) -> tuple[int, ...]:
    """``axis`` as NumPy takes it, turned into the sorted tuple of non-negative axes that the primitives take."""
    if axis is None:
        return tuple(range(ndim))
    if isinstance(axis, (tuple, list)):
        axes = sorted(normalise_axis(int(one), ndim) for one in axis)
        if len(set(axes)) != len(axes):
            raise ValueError(f"axis {axis} names an axis twice")
        return tuple(axes)
    return (normalise_axis(int(axis), ndim),)


def sum_axes(x: Array, axes: tuple[int, ...], keepdims: bool = True) -> Array:
    """Sum over ``axes``, with an error that grows with log n.

    NumPy adds pairwise only along the fastest axis; along others it adds row after row, and the error grows with n.
    Long slow axes are therefore folded in half until few rows are left. |error| <= (log2 n + 2) eps sum |x|.
    Source: Higham, "The accuracy of floating point summation", SIAM J. Sci. Comput. 14 (1993).
    """
    last = x.ndim - 1
    for axis in axes:
        if axis != last and x.shape[axis] > _FEW and x.dtype.kind in "fc":
            x = _fold(x, axis)
    return np.add.reduce(x, axes, keepdims=keepdims)  # type: ignore[call-overload]


def sum_down(x: Any, shape: tuple[int, ...]) -> Array:
    """Sum over the axes along which an array of ``shape`` was broadcast; always new memory."""
    extra = x.ndim - len(shape)
    if x.shape[extra:] == shape:
        return sum_axes(x, tuple(range(extra)), False) if extra else np.array(x)
    axes = tuple([i for i, size in enumerate(x.shape) if i < extra or (shape[i - extra] == 1 and size != 1)])
    return sum_axes(x, axes).reshape(shape)


def _fold(x: Array, axis: int) -> Array:
    before: tuple[Any, ...] = (slice(None),) * axis
    rows = x.shape[axis]
    while rows > _FEW:
        half = rows // 2
        folded = x[(*before, slice(half))] + x[(*before, slice(half, 2 * half))]
        if rows % 2:
            folded[(*before, 0)] += x[(*before, rows - 1)]
        x, rows = folded, half
    return x


def broadcast(x: Any, shape: tuple[int, ...]) -> Array:
    """``x`` spread out to ``shape``: a small array of its own, or a read-only view of a large one."""
    if math.prod(shape) <= _SMALL:
        out = np.empty(shape, x.dtype)
        out[...] = x
        return out
    return np.broadcast_to(x, shape)


_erfc_of_numbers = np.frompyfunc(math.erfc, 1, 1)


def erfc(x: Array) -> Array:
    """The complementary error function, elementwise, within 1 ULP (the C library's, in double precision)."""
    result: Array = np.asarray(_erfc_of_numbers(x)).astype(x.dtype)
    return result
