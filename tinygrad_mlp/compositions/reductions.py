"""Reductions, running reductions and orders of PyTorch that are compositions of operations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import ops
from ..errors import ArgumentError, ShapeError
from ..ops.arithmetic import square
from ..tape import Traced
from .common import (
    Extremes,
    Sorted,
    both_names,
    data_of,
    floats,
    like,
    normalise_axes,
    normalise_axis,
    operand,
)
from .elementwise import logaddexp
from .indexing import take_along


@both_names
def any(input: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = None, keepdims: bool = False) -> Any:
    """Whether some element is not zero."""
    return ops.some(operand(input), axis, bool(keepdims or keepdim), dim=dim)


@both_names
def all(input: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = None, keepdims: bool = False) -> Any:
    """Whether every element is not zero."""
    return ops.every(operand(input), axis, bool(keepdims or keepdim), dim=dim)


def _typed(x: Any, dtype: Any) -> Any:
    return x if dtype is None else ops.astype(x, dtype)


@both_names
def sum(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """The sum over ``dim`` (all axes by default), of numbers of ``dtype`` where one is given."""
    return ops.sum(_typed(operand(input), dtype), dim, keepdim)


@both_names
def mean(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """The arithmetic mean over ``dim`` (all axes by default)."""
    return ops.mean(_typed(operand(input), dtype), dim, keepdim)


@both_names
def prod(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """The product over ``dim`` (all axes by default)."""
    return ops.prod(_typed(operand(input), dtype), dim, keepdim)


def _correction(unbiased: bool | None, correction: Any) -> Any:
    if unbiased is not None and correction is not None:
        raise ArgumentError("unbiased and correction are two names of one argument; give one of them")
    return correction if correction is not None else 1 if unbiased is None or unbiased else 0


def _moment_arguments(dim: Any, unbiased: Any) -> tuple[Any, Any]:
    # torch.var(x, False) is the biased one of all elements.
    return (None, dim) if isinstance(dim, bool) else (dim, unbiased)


@both_names
def var(
    input: Any, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: float | None = None
) -> Any:
    """The variance, ``sum((x - mean)**2) / (n - correction)``; ``correction=1`` is unbiased."""
    dim, unbiased = _moment_arguments(dim, unbiased)
    return ops.var(
        operand(input),
        dim or None if dim == () else dim,
        correction=_correction(unbiased, correction),
        keepdims=keepdim,
    )


@both_names
def std(
    input: Any, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: float | None = None
) -> Any:
    """The standard deviation, the root of :func:`var`; its gradient is 0 where the input is constant."""
    dim, unbiased = _moment_arguments(dim, unbiased)
    return ops.std(
        operand(input), None if dim == () else dim, correction=_correction(unbiased, correction), keepdims=keepdim
    )


@both_names
def var_mean(
    input: Any, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: float | None = None
) -> Any:
    """The pair of :func:`var` and :func:`mean`."""
    found = var(input, dim, unbiased, keepdim, correction=correction)
    return found, mean(input, None if isinstance(dim, bool) or dim == () else dim, keepdim)


@both_names
def std_mean(
    input: Any, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: float | None = None
) -> Any:
    """The pair of :func:`std` and :func:`mean`."""
    found = std(input, dim, unbiased, keepdim, correction=correction)
    return found, mean(input, None if isinstance(dim, bool) or dim == () else dim, keepdim)


def _picked(x: Any, places: Any, dim: int, keepdim: bool) -> Sorted:
    """The elements at ``places``, which keep the axis ``dim`` with length 1."""
    values = take_along(x, places, dim)
    if keepdim:
        return Sorted(values, places)
    shape = tuple([size for i, size in enumerate(values.shape) if i != dim])
    return Sorted(ops.reshape(values, shape), ops.reshape(places, shape))


def _extreme(x: Any, dim: Any, keepdim: bool, name: str) -> Any:
    x = operand(x)
    if dim is None:
        return (ops.amax if name == "max" else ops.amin)(x)
    if isinstance(dim, (Traced, np.ndarray)):
        return (ops.maximum if name == "max" else ops.minimum)(x, dim)
    if x.ndim == 0:
        return Sorted(x, like(x, np.zeros((), np.int64)))
    place = normalise_axis(dim, x.ndim)
    places = (ops.argmax if name == "max" else ops.argmin)(x, place, True)
    return _picked(x, places, place, keepdim)


@both_names
def max(input: Any, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
    """The largest element; along ``dim`` the pair of values and places; against a second tensor the larger of both.

    Without ``dim``, equal elements share the gradient evenly; with it the place found gets all.
    """
    return _extreme(input, dim if other is None else other, keepdim, "max")


@both_names
def min(input: Any, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
    """The smallest element; see :func:`max`."""
    return _extreme(input, dim if other is None else other, keepdim, "min")


@both_names
def aminmax(input: Any, *, dim: int | None = None, keepdim: bool = False) -> Extremes:
    """The smallest and the largest value."""
    x = operand(input)
    return Extremes(ops.amin(x, dim, keepdim), ops.amax(x, dim, keepdim))


# --- orders ---


def _ordered(x: Any, dim: int, descending: bool) -> Any:
    return ops.places_along(x, axis=dim, how="falling" if descending else "rising")


@both_names
def argsort(input: Any, dim: int = -1, descending: bool = False, *, stable: bool = False) -> Any:
    """The places of the elements in order; always stable; NaN counts as the largest."""
    del stable
    x = operand(input)
    if x.ndim == 0:
        return like(x, np.zeros((), np.int64))
    return _ordered(x, normalise_axis(dim, x.ndim), descending)


@both_names
def sort(input: Any, dim: int = -1, descending: bool = False, *, stable: bool = False) -> Sorted:
    """The elements in order along ``dim``, and where they were; always stable; NaN counts as the largest."""
    x = operand(input)
    places = argsort(x, dim, descending, stable=stable)
    return Sorted(x, places) if x.ndim == 0 else Sorted(take_along(x, places, normalise_axis(dim, x.ndim)), places)


@both_names
def msort(input: Any) -> Any:
    """The elements in rising order along the first axis."""
    return sort(input, 0).values


@both_names
def topk(input: Any, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Sorted:
    """The ``k`` largest (or smallest) elements along ``dim``, in order, and where they were.

    Raises:
        ShapeError: fewer than ``k`` elements.
    """
    del sorted
    x = operand(input)
    if x.ndim == 0:
        return Sorted(x, like(x, np.zeros((), np.int64)))
    place = normalise_axis(dim, x.ndim)
    if not 0 <= k <= x.shape[place]:
        raise ShapeError(f"topk: k={k} of {x.shape[place]} elements along axis {dim} of shape {tuple(x.shape)}")
    places = ops.getitem(_ordered(x, place, largest), (slice(None),) * place + (slice(0, k),))
    return Sorted(take_along(x, places, place), places)


@both_names
def kthvalue(input: Any, k: int, dim: int = -1, keepdim: bool = False) -> Sorted:
    """The ``k``-th smallest element along ``dim``, counted from 1, and its place.

    Raises:
        ShapeError: no ``k``-th element.
    """
    x = operand(input)
    if x.ndim == 0:
        return Sorted(x, like(x, np.zeros((), np.int64)))
    place = normalise_axis(dim, x.ndim)
    if not 1 <= k <= x.shape[place]:
        raise ShapeError(f"kthvalue: k={k} is not in 1 … {x.shape[place]}, the length of axis {dim}")
    places = ops.getitem(_ordered(x, place, False), (slice(None),) * place + (slice(k - 1, k),))
    return _picked(x, places, place, keepdim)


@both_names
def median(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """The lower of the middle elements, as torch has it; along ``dim`` with its place. NaN wins.

    ``numpy.median`` of a tensor is NumPy's, the mean of both middle ones.
    """
    return _median(input, dim, keepdim, skipping=False)


@both_names
def nanmedian(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """:func:`median` of the elements that are not NaN."""
    return _median(input, dim, keepdim, skipping=True)


def _median(input: Any, dim: int | None, keepdim: bool, *, skipping: bool) -> Any:
    x = operand(input)
    if dim is None:
        return _median(ops.reshape(x, (-1,)), 0, False, skipping=skipping).values
    if x.ndim == 0:
        return Sorted(x, like(x, np.zeros((), np.int64)))
    place = normalise_axis(dim, x.ndim)
    order = _ordered(x, place, False)
    missing, length = _missing(x, place), float(x.shape[place])
    if skipping:
        rank = ops.floor(ops.mul(ops.clamp(ops.sub(length - 1.0, missing), 0.0, None), 0.5))
    else:
        # NaN is last in the order, and wins.
        rank = ops.where(ops.gt(missing, 0.0), ops.sub(length, missing), float((x.shape[place] - 1) // 2))
    places = take_along(order, ops.astype(rank, np.int64), place)
    return _picked(x, places, place, keepdim)


def _missing(x: Any, dim: int) -> Any:
    """How many NaN there are along an axis, which is kept."""
    return ops.sum(ops.astype(ops.isnan(x), np.float64), dim, True)


@both_names
def mode(input: Any, dim: int = -1, keepdim: bool = False) -> Sorted:
    """The most frequent element along ``dim``, the smallest of several, and its last place."""
    x = operand(input)
    if x.ndim == 0:
        return Sorted(x, like(x, np.zeros((), np.int64)))
    place = normalise_axis(dim, x.ndim)
    rows = np.moveaxis(data_of(x, "mode()"), place, -1)
    found = np.zeros(rows.shape[:-1], np.int64)
    for where in np.ndindex(*rows.shape[:-1]):
        values, counts = np.unique(rows[where], return_counts=True)
        found[where] = np.flatnonzero(rows[where] == values[counts.argmax()])[-1]
    return _picked(x, like(x, np.expand_dims(found, place)), place, keepdim)


@both_names
def quantile(
    input: Any, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
) -> Any:
    """The ``q``-quantiles along ``dim`` (of all elements by default): of several q, the first axis is theirs.

    Raises:
        ArgumentError: a q outside 0 … 1, or an unknown interpolation.
    """
    return _quantile(input, q, dim, keepdim, interpolation, skipping=False)


@both_names
def nanquantile(
    input: Any, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
) -> Any:
    """:func:`quantile` of the elements that are not NaN."""
    return _quantile(input, q, dim, keepdim, interpolation, skipping=True)


def _quantile(input: Any, q: Any, dim: int | None, keepdim: bool, interpolation: str, *, skipping: bool) -> Any:
    kinds = ("linear", "lower", "higher", "midpoint", "nearest")
    if interpolation not in kinds:
        raise ArgumentError(f"quantile: interpolation is one of {', '.join(kinds)}, got {interpolation!r}")
    x = operand(input)
    shares = np.asarray(data_of(q, "a quantile"), np.float64)
    if ((shares < 0) | (shares > 1)).any():
        raise ArgumentError(f"quantile: q is in 0 … 1, got {shares.tolist()}")
    rank = x.ndim
    flat = dim is None
    if dim is None:
        x, place = ops.reshape(x, (-1,)), 0
    else:
        place = normalise_axis(dim, x.ndim)
    missing = _missing(x, place)
    length = x.shape[place]
    order = sort(x, place).values
    last = ops.clamp(ops.sub(length - 1.0, missing if skipping else ops.mul(missing, 0.0)), 0.0, None)
    parts = []
    for share in shares.reshape(-1):
        rank_of = ops.mul(last, float(share))
        below, above = ops.floor(rank_of), ops.ceil(rank_of)
        if interpolation == "nearest":
            below = above = ops.rint(rank_of)
        elif interpolation == "lower":
            above = below
        elif interpolation == "higher":
            below = above
        between = ops.sub(rank_of, below)
        weight = ops.mul(ops.astype(ops.ne(above, below), np.float64), 0.5) if interpolation == "midpoint" else between
        if not skipping:
            # Where there is a NaN it is the answer; in rising order it is last.
            below, above = (ops.where(ops.gt(missing, 0.0), float(length - 1), one) for one in (below, above))
        low, high = (take_along(order, ops.astype(one, np.int64), place) for one in (below, above))
        moved = ops.mul(ops.sub(high, low), ops.astype(weight, x.dtype))
        # Between infinities there is nothing to go along.
        parts.append(ops.where(ops.eq(weight, 0.0), low, ops.add(low, moved)))
    found = ops.stack(parts, 0) if shares.ndim else ops.reshape(parts[0], (1, *parts[0].shape))
    rest = found.shape[1:]
    if flat:
        rest = (1,) * rank if keepdim else ()
    elif not keepdim:
        rest = tuple([size for i, size in enumerate(rest) if i != place])
    return ops.reshape(found, (*shares.shape, *rest))


# --- running reductions ---


@both_names
def cumsum(input: Any, dim: int, *, dtype: Any = None) -> Any:
    """The sums up to each element along ``dim``."""
    x = _typed(operand(input), dtype)
    if (x.dtype.kind == "b") or (x.dtype.kind in "iu" and dtype is None):
        x = ops.astype(x, np.int64)
    return x if x.ndim == 0 else ops.running_sum(x, axis=normalise_axis(dim, x.ndim), backward=False)


def _one_by_one(x: Any, dim: int, join: Any) -> Any:
    """``join`` of what has come together and the next element, along ``dim``."""
    before = (slice(None),) * dim
    parts: list[Any] = []
    for i in range(x.shape[dim]):
        part = ops.getitem(x, (*before, slice(i, i + 1)))
        parts.append(join(parts[-1], part) if parts else part)
    return ops.cat(parts, dim) if parts else x


@both_names
def cumprod(input: Any, dim: int, *, dtype: Any = None) -> Any:
    """The products up to each element along ``dim``; zeros have their right derivatives."""
    x = _typed(operand(input), dtype)
    if x.dtype.kind in "biu" and dtype is None:
        return like(x, np.cumprod(data_of(x), normalise_axis(dim, x.ndim)) if x.ndim else data_of(x).astype(np.int64))
    return x if x.ndim == 0 else _one_by_one(x, normalise_axis(dim, x.ndim), ops.mul)


@both_names
def logcumsumexp(input: Any, dim: int) -> Any:
    """The logarithm of the sums of exponentials up to each element along ``dim``, without overflow."""
    x = floats(input)
    return x if x.ndim == 0 else _one_by_one(x, normalise_axis(dim, x.ndim), logaddexp)


def _running_extreme(input: Any, dim: int, how: str) -> Sorted:
    x = operand(input)
    if x.ndim == 0:
        return Sorted(x, like(x, np.zeros((), np.int64)))
    place = normalise_axis(dim, x.ndim)
    places = ops.places_along(x, axis=place, how=how)
    return Sorted(take_along(x, places, place), places)


@both_names
def cummax(input: Any, dim: int) -> Sorted:
    """The largest element so far along ``dim``, and where it was."""
    return _running_extreme(input, dim, "running maximum")


@both_names
def cummin(input: Any, dim: int) -> Sorted:
    """The smallest element so far along ``dim``, and where it was."""
    return _running_extreme(input, dim, "running minimum")


@both_names
def diff(input: Any, n: int = 1, dim: int = -1, prepend: Any = None, append: Any = None) -> Any:
    """Differences of neighbours along ``dim``, ``n`` times over."""
    x = operand(input)
    if x.ndim == 0:
        raise ShapeError("diff: a 0-d tensor has no neighbours")
    place = normalise_axis(dim, x.ndim)
    if n == 0:
        return x
    parts = [one for one in (prepend, x, append) if one is not None]
    x = ops.cat(parts, place) if len(parts) > 1 else x
    before = (slice(None),) * place
    for _ in range(n):
        later, earlier = ops.getitem(x, (*before, slice(1, None))), ops.getitem(x, (*before, slice(None, -1)))
        boolean = x.dtype.kind == "b"
        x = ops.ne(later, earlier) if boolean else ops.sub(later, earlier)
    return x


# --- with NaN left out ---


@both_names
def nansum(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """The sum of what is not NaN."""
    x = _typed(operand(input), dtype)
    return ops.sum(ops.where(ops.isnan(x), 0.0, x) if x.dtype.kind == "f" else x, dim, keepdim)


@both_names
def nanmean(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """The mean of what is not NaN; NaN where nothing else is there."""
    x = _typed(operand(input), dtype)
    counts = ops.sum(ops.astype(ops.logical_not(ops.isnan(x)), x.dtype), dim, keepdim)
    return ops.div(nansum(x, dim, keepdim), counts)


@both_names
def count_nonzero(input: Any, dim: Any = None) -> Any:
    """How many elements are not zero; no gradient."""
    x = operand(input)
    return like(x, np.asarray(np.count_nonzero(data_of(x, "count_nonzero()"), axis=dim), np.int64))


# --- norms ---


def _axes(x: Any, dim: Any) -> tuple[int, ...]:
    return normalise_axes(dim, x.ndim)


def p_norm(x: Any, p: float, dim: Any, keepdim: bool) -> Any:  # noqa: PLR0911 - one for each kind of order
    """The vector norm of order ``p`` over ``dim``: finite wherever the true one is, with derivative 0 at 0."""
    axes = _axes(x, dim)
    if p == math.inf:
        return ops.amax(ops.abs(x), axes, keepdim)
    if p == -math.inf:
        return ops.amin(ops.abs(x), axes, keepdim)
    if p == 0:
        return ops.sum(ops.sign(ops.abs(x)), axes, keepdim)
    size = ops.abs(x)
    if p == 1:
        return ops.sum(size, axes, keepdim)
    # By the largest element, as a constant, so that no power leaves the range; the norm does not depend on it.
    largest = np.max(np.abs(x.data if isinstance(x, Traced) else x), axis=axes, keepdims=True, initial=0.0)
    scale = np.where((largest > 0) & np.isfinite(largest), largest, 1.0).astype(x.dtype)
    outside = scale if keepdim else scale.reshape([n for i, n in enumerate(scale.shape) if i not in axes])
    if p == 2:
        total = ops.sum(square(ops.div(x, scale)), axes, keepdim)
        zero = ops.eq(total, 0.0)
        return ops.mul(ops.where(zero, 0.0, ops.sqrt(ops.where(zero, 1.0, total))), outside)
    relative = ops.div(size, scale)
    if p < 0:
        total = ops.sum(ops.pow(relative, float(p)), axes, keepdim)
        return ops.mul(ops.pow(total, 1.0 / p), outside)
    positive = ops.gt(relative, 0.0)
    powers = ops.where(positive, ops.pow(ops.where(positive, relative, 1.0), float(p)), 0.0)
    total = ops.sum(powers, axes, keepdim)
    zero = ops.eq(total, 0.0)
    return ops.mul(ops.where(zero, 0.0, ops.pow(ops.where(zero, 1.0, total), 1.0 / p)), outside)


@both_names
def norm(input: Any, p: Any = "fro", dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """The vector norm of order ``p`` (``"fro"``: 2; ``"nuc"``: the nuclear norm of matrices) over ``dim``."""
    x = floats(_typed(operand(input), dtype))
    if p == "nuc":
        from .matrices import matrix_norm  # noqa: PLC0415 - matrices are built on this module

        return matrix_norm(x, "nuc", (-2, -1) if dim is None else dim, keepdim)
    return p_norm(x, 2.0 if p in {"fro", None} else float(p), dim, keepdim)


@both_names
def dist(input: Any, other: Any, p: float = 2) -> Any:
    """The norm of order ``p`` of the difference."""
    return p_norm(floats(ops.sub(input, other)), float(p), None, False)


@both_names
def renorm(input: Any, p: float, dim: int, maxnorm: float) -> Any:
    """Slices along ``dim`` scaled down to a norm of at most ``maxnorm``."""
    x = floats(input)
    place = normalise_axis(dim, x.ndim)
    lengths = p_norm(x, float(p), tuple(i for i in range(x.ndim) if i != place), True)
    long = ops.gt(lengths, maxnorm)
    return ops.where(long, ops.mul(x, ops.div(maxnorm, ops.where(long, ops.add(lengths, 1e-7), 1.0))), x)


@both_names
def cdist(x1: Any, x2: Any, p: float = 2.0, compute_mode: str = "use_mm_for_euclid_dist_if_necessary") -> Any:
    """Distances of order ``p`` of every row of ``x1`` (…, n, d) to every row of ``x2`` (…, m, d): (…, n, m)."""
    del compute_mode
    x1, x2 = floats(x1), floats(x2)
    return p_norm(ops.sub(ops.unsqueeze(x1, -2), ops.unsqueeze(x2, -3)), float(p), -1, False)


@both_names
def pdist(input: Any, p: float = 2.0) -> Any:
    """Distances of order ``p`` of each pair of rows of (n, d): (n (n - 1) / 2,)."""
    x = floats(input)
    first, second = np.triu_indices(x.shape[0], 1)
    return p_norm(ops.sub(ops.getitem(x, first), ops.getitem(x, second)), float(p), -1, False)


# --- statistics and integrals ---


@both_names
def cov(input: Any, *, correction: float = 1, fweights: Any = None, aweights: Any = None) -> Any:
    """The matrix of covariances of variables (rows) over observations (columns)."""
    x = floats(input)
    if x.ndim < 2:
        x = ops.reshape(x, (1, -1))
    count = x.shape[1]
    weights: Any = np.ones(count, x.dtype) if fweights is None else data_of(fweights)
    if aweights is not None:
        weights = aweights if fweights is None else ops.mul(aweights, weights)
    total = ops.sum(operand(weights))
    middle = ops.div(ops.sum(ops.mul(x, weights), 1, True), total)
    centred = ops.sub(x, middle)
    if aweights is None:
        norm_by = ops.sub(total, correction)
    else:
        norm_by = ops.sub(total, ops.div(ops.mul(ops.sum(ops.mul(weights, aweights)), correction), total))
    # More corrections than observations: a division by 0, as torch has it.
    norm_by = ops.clamp(norm_by, 0.0, None)
    found = ops.div(ops.matmul(centred, ops.transpose(ops.mul(centred, weights))), norm_by)
    return ops.reshape(found, ()) if found.size == 1 else found


@both_names
def corrcoef(input: Any) -> Any:
    """The matrix of correlations of variables (rows)."""
    found = cov(input)
    if found.ndim == 0:
        return ops.div(found, found)
    spread = ops.sqrt(ops.getitem(found, (np.arange(found.shape[0]), np.arange(found.shape[0]))))
    return ops.div(ops.div(found, ops.unsqueeze(spread, 1)), ops.unsqueeze(spread, 0))


def _panels(y: Any, x: Any, dx: Any, dim: int) -> Any:
    y = operand(y)
    place = normalise_axis(dim, y.ndim)
    before = (slice(None),) * place
    sums = ops.add(ops.getitem(y, (*before, slice(1, None))), ops.getitem(y, (*before, slice(None, -1))))
    if x is None:
        width = float(dx) if isinstance(dx, (int, float)) else dx
    else:
        x = operand(x)
        if x.ndim == 1:
            x = ops.reshape(x, (-1,) + (1,) * (y.ndim - 1 - place))
        width = diff(x, 1, place - y.ndim)
    return ops.mul(sums, ops.mul(width, 0.5) if not isinstance(width, float) else 0.5 * width)


@both_names
def trapezoid(y: Any, x: Any = None, *, dx: Any = 1, dim: int = -1) -> Any:
    """The integral of ``y`` along ``dim`` by the trapezoidal rule, at places ``x`` or ``dx`` apart."""
    return ops.sum(_panels(y, x, dx, dim), dim)


@both_names
def cumulative_trapezoid(y: Any, x: Any = None, *, dx: Any = 1, dim: int = -1) -> Any:
    """:func:`trapezoid` up to each place."""
    return cumsum(_panels(y, x, dx, dim), dim)


trapz = trapezoid


# --- counting: no gradient ---


@both_names
def unique(
    input: Any, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """The different elements in rising order; with their places in ``input`` and counts where asked for."""
    del sorted
    find: Any = np.unique
    found = find(data_of(input, "unique()"), return_inverse=return_inverse, return_counts=return_counts, axis=dim)
    if not isinstance(found, tuple):
        return like(input, found)
    return tuple(like(input, one) for one in found)


@both_names
def bincount(input: Any, weights: Any = None, minlength: int = 0) -> Any:
    """How often each integer from 0 on occurs, or the sum of its weights."""
    counted = np.bincount(data_of(input, "bincount()"), None if weights is None else data_of(weights), minlength)
    return like(input, counted)


@both_names
def histc(input: Any, bins: int = 100, min: float = 0, max: float = 0) -> Any:
    """Counts of the elements in ``bins`` of equal width between ``min`` and ``max`` (the extremes where both are 0)."""
    x = data_of(input, "histc()").ravel()
    low, high = (float(x.min()), float(x.max())) if min == max == 0 and x.size else (float(min), float(max))
    if low == high:
        low, high = low - 1, high + 1
    return like(input, np.histogram(x, bins, (low, high))[0].astype(x.dtype))


@both_names
def searchsorted(
    sorted_sequence: Any,
    input: Any,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Any = None,
) -> Any:
    """Where each element would be put into a sorted row so that it stays sorted.

    Args:
        sorter: the places that put rows in order which are not. out_int32: int32 in place of int64.

    Raises:
        ArgumentError: ``right=True`` with ``side="left"``.
    """
    if right and side == "left":
        raise ArgumentError("searchsorted: right=True and side='left' contradict each other")
    rows, wanted = data_of(sorted_sequence, "searchsorted()"), np.asarray(data_of(input))
    if sorter is not None:
        rows = np.take_along_axis(rows, data_of(sorter), -1)
    right = right or side == "right"
    places = np.int32 if out_int32 else np.int64
    if rows.ndim == 1:
        one_row = np.searchsorted(rows, wanted, "right" if right else "left")
        return like(sorted_sequence, np.asarray(one_row, places))
    found = np.zeros(wanted.shape, places)
    for where in np.ndindex(*rows.shape[:-1]):
        found[where] = np.searchsorted(rows[where], wanted[where], "right" if right else "left")
    return like(sorted_sequence, found)


@both_names
def bucketize(input: Any, boundaries: Any, *, out_int32: bool = False, right: bool = False) -> Any:
    """The number of the bucket between ``boundaries`` that each element lies in."""
    found = np.searchsorted(data_of(boundaries), data_of(input, "bucketize()"), "right" if right else "left")
    return like(input, np.asarray(found, np.int32 if out_int32 else np.int64))


# --- derivatives of samples ---


def _slope(x: Any, spacing: Any, dim: int, edge_order: int) -> Any:
    """The derivative along one axis, at places a number or the elements of a vector apart."""
    length = x.shape[dim]
    if length < edge_order + 1:
        raise ShapeError(f"gradient: at least {edge_order + 1} elements along each axis, got shape {tuple(x.shape)}")
    before = (slice(None),) * dim
    shape = (-1,) + (1,) * (x.ndim - 1 - dim)

    def at(start: int | None, stop: int | None) -> Any:
        return ops.getitem(x, (*before, slice(start, stop)))

    steps = np.full(length - 1, spacing, np.float64) if np.ndim(spacing) == 0 else np.diff(spacing)
    steps = steps.reshape(shape).astype(x.dtype)
    left, right = steps[:-1], steps[1:]
    both = left + right

    def mixed(*terms: tuple[Any, Any]) -> Any:
        total = ops.mul(terms[0][0], terms[0][1])
        for part, weight in terms[1:]:
            total = ops.add(total, ops.mul(part, weight))
        return total

    inside = mixed(
        (at(None, -2), -right / (left * both)),
        (at(1, -1), (right - left) / (left * right)),
        (at(2, None), left / (right * both)),
    )
    first, last = steps[:1], steps[-1:]
    if edge_order == 1:
        start = ops.div(ops.sub(at(1, 2), at(0, 1)), first)
        end = ops.div(ops.sub(at(-1, None), at(-2, -1)), last)
    else:
        second, previous = steps[1:2], steps[-2:-1]
        start = mixed(
            (at(0, 1), -(2 * first + second) / (first * (first + second))),
            (at(1, 2), (first + second) / (first * second)),
            (at(2, 3), -first / (second * (first + second))),
        )
        end = mixed(
            (at(-3, -2), last / (previous * (previous + last))),
            (at(-2, -1), -(last + previous) / (previous * last)),
            (at(-1, None), (2 * last + previous) / (last * (previous + last))),
        )
    return ops.cat([start, inside, end], dim)


@both_names
def gradient(input: Any, *, spacing: Any = None, dim: Any = None, edge_order: int = 1) -> tuple[Any, ...]:
    """The derivatives of samples along each axis of ``dim`` (all by default), by second-order differences inside.

    Args:
        spacing: the distance of the samples (1), one for each axis, or their coordinates, a vector for each axis.
        edge_order: the order of the differences at both ends, 1 or 2.

    Raises:
        ArgumentError: another ``edge_order``, or spacings for another number of axes. ShapeError: too few elements.
    """
    if edge_order not in {1, 2}:
        raise ArgumentError(f"gradient: edge_order is 1 or 2, got {edge_order!r}")
    x = floats(input)
    dims = [*range(x.ndim)] if dim is None else [dim] if isinstance(dim, int) else [*dim]
    spacing = 1 if spacing is None else spacing
    several = [*spacing] if isinstance(spacing, (tuple, list)) else [spacing] * len(dims)
    if len(several) != len(dims):
        raise ArgumentError(f"gradient: {len(several)} spacings for {len(dims)} axes")
    places = [normalise_axis(one, x.ndim) for one in dims]
    return tuple(
        _slope(x, one if isinstance(one, (int, float)) else data_of(one, "gradient()"), place, edge_order)
        for one, place in zip(several, places, strict=True)
    )
