"""NumPy's reductions, running reductions, orders and statistics, for tensors, with NumPy's arguments and defaults."""

from __future__ import annotations

import builtins
import math
import warnings
from typing import Any

import numpy as np

from .. import ops
from ..errors import ArgumentError, ShapeError
from ..ops.shape import put
from . import reductions, shapes
from .common import data_of, floats, like, normalise_axes, normalise_axis
from .elementwise import nan_to_num as _nan_to_num
from .indexing import take_along
from .numpy_shapes import broadcast_to, concatenate, expand_dims, take
from .numpy_table import answers, array_like, constants, is_recorded, refuse, swap_in, typed

_MISSING: Any = np._NoValue

# --- sums, products, extremes ---


def _kept(x: Any, where: Any, neutral: Any) -> Any:
    """``x`` with ``neutral``, which changes nothing in the reduction to come, where ``where`` does not hold."""
    if where is True:
        return x
    mask = where if hasattr(where, "node") else np.asarray(where)
    return ops.where(mask, x, neutral)


def _sums(x: Any, dtype: Any) -> Any:
    """``x`` in the dtype in which NumPy adds: booleans and short integers in a long one."""
    x = typed(x, dtype)
    return ops.astype(x, np.int64) if dtype is None and x.dtype.kind == "b" else x


@answers("sum")
def sum(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: None = None,
    keepdims: bool = False,
    initial: Any = _MISSING,
    where: Any = True,
) -> Any:
    """The sum over ``axis`` of the elements where ``where`` holds, beginning from ``initial``."""
    found = ops.sum(_kept(_sums(a, dtype), where, 0), axis, keepdims)
    return found if initial is _MISSING else ops.add(found, initial)


@answers("prod")
def prod(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: None = None,
    keepdims: bool = False,
    initial: Any = _MISSING,
    where: Any = True,
) -> Any:
    """The product over ``axis`` of the elements where ``where`` holds, beginning from ``initial``."""
    found = ops.prod(_kept(_sums(a, dtype), where, 1), axis, keepdims)
    return found if initial is _MISSING else ops.mul(found, initial)


def _lowest(x: Any) -> Any:
    return -math.inf if x.dtype.kind == "f" else False if x.dtype.kind == "b" else np.iinfo(x.dtype).min


def _highest(x: Any) -> Any:
    return math.inf if x.dtype.kind == "f" else True if x.dtype.kind == "b" else np.iinfo(x.dtype).max


def _extreme(a: Any, axis: Any, keepdims: bool, initial: Any, where: Any, *, largest: bool) -> Any:
    x = array_like(a)
    if where is not True and initial is _MISSING:
        raise ArgumentError("max, min: where= needs initial=, the answer where it holds nowhere")
    if where is not True:
        x = _kept(x, where, (_lowest if largest else _highest)(x))
    if initial is _MISSING:
        return (ops.amax if largest else ops.amin)(x, axis, keepdims)
    # The initial value takes part as one more element, so it shares a tie like any other.
    x, axes = _joined_axes(x, axis)
    start = ops.astype(broadcast_to(initial, (*x.shape[:-1], 1)), x.dtype)
    found = (ops.amax if largest else ops.amin)(concatenate([x, start], -1), -1)
    return _restored(found, a, axes, keepdims)


@answers("max", "amax")
def max(
    a: Any, axis: Any = None, out: None = None, keepdims: bool = False, initial: Any = _MISSING, where: Any = True
) -> Any:
    """The largest element over ``axis``; equal ones share the gradient."""
    return _extreme(a, axis, keepdims, initial, where, largest=True)


@answers("min", "amin")
def min(
    a: Any, axis: Any = None, out: None = None, keepdims: bool = False, initial: Any = _MISSING, where: Any = True
) -> Any:
    """The smallest element over ``axis``; equal ones share the gradient."""
    return _extreme(a, axis, keepdims, initial, where, largest=False)


@answers("ptp")
def ptp(a: Any, axis: Any = None, out: None = None, keepdims: bool = False) -> Any:
    """The largest less the smallest element."""
    return ops.sub(max(a, axis, None, keepdims), min(a, axis, None, keepdims))


def _joined_axes(x: Any, axis: Any) -> tuple[Any, tuple[int, ...]]:
    """The axes of a reduction as one, the last."""
    axes = normalise_axes(axis, x.ndim)
    rest = [i for i in range(x.ndim) if i not in axes]
    turned = ops.permute(x, (*rest, *axes)) if axes != tuple(range(len(rest), x.ndim)) else x
    return ops.reshape(turned, (*[x.shape[i] for i in rest], math.prod(x.shape[i] for i in axes))), axes


def _restored(found: Any, a: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    if not keepdims:
        return found
    shape = array_like(a).shape
    return ops.reshape(found, tuple(1 if i in axes else n for i, n in enumerate(shape)))


# --- moments ---


def _count(x: Any, axis: Any, where: Any) -> Any:
    """How many elements take part, with the axes kept: a number, or an array for a mask."""
    axes = normalise_axes(axis, x.ndim)
    if where is True:
        return math.prod(x.shape[i] for i in axes)
    mask = np.broadcast_to(data_of(where, "a mask"), x.shape)
    return np.asarray(np.count_nonzero(mask, axes, keepdims=True), x.dtype)


def _divided(total: Any, count: Any, axis: Any, keepdims: bool) -> Any:
    """``total``, whose axes are kept, divided by a count of the same kind; the axes dropped where that is asked for."""
    found = ops.div(total, count)
    if keepdims:
        return found
    axes = normalise_axes(axis, found.ndim)
    return ops.reshape(found, tuple(n for i, n in enumerate(found.shape) if i not in axes))


@answers("mean")
def mean(
    a: Any, axis: Any = None, dtype: Any = None, out: None = None, keepdims: bool = False, *, where: Any = True
) -> Any:
    """The arithmetic mean over ``axis`` of the elements where ``where`` holds."""
    x = floats(typed(a, dtype))
    if where is True:
        return ops.mean(x, axis, keepdims)
    return _divided(ops.sum(_kept(x, where, 0), axis, True), _count(x, axis, where), axis, keepdims)


@answers("var")
def var(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: None = None,
    ddof: float = 0,
    keepdims: bool = False,
    *,
    where: Any = True,
    mean: Any = _MISSING,
    correction: Any = _MISSING,
) -> Any:
    """The variance, ``sum((a - mean)**2) / (n - ddof)``; ``ddof=0`` by default, as NumPy has it."""
    x = floats(typed(a, dtype))
    constants("var", ddof, correction)
    if correction is not _MISSING:
        if ddof:
            raise ArgumentError("var, std: ddof and correction are two names of one argument; give one of them")
        ddof = correction
    if where is True and mean is _MISSING:
        return ops.var(x, axis, correction=ddof, keepdims=keepdims)
    middle = _mean(x, axis, where) if mean is _MISSING else mean
    squares = ops.sum(ops.square(_kept(ops.sub(x, middle), where, 0)), axis, True)
    return _divided(squares, np.maximum(_count(x, axis, where) - ddof, 0), axis, keepdims)


def _mean(x: Any, axis: Any, where: Any) -> Any:
    return mean(x, axis, None, None, True, where=where)


@answers("std")
def std(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: None = None,
    ddof: float = 0,
    keepdims: bool = False,
    *,
    where: Any = True,
    mean: Any = _MISSING,
    correction: Any = _MISSING,
) -> Any:
    """The standard deviation, the root of :func:`var`; its gradient is 0 where the input is constant."""
    return _root(var(a, axis, dtype, None, ddof, keepdims, where=where, mean=mean, correction=correction))


def _root(variance: Any) -> Any:
    flat = ops.eq(variance, 0.0)
    # The root's slope is infinite at 0: take the root of something else there, and put the 0 back.
    return ops.where(flat, 0.0, ops.sqrt(ops.where(flat, 1.0, variance)))


@answers("average")
def average(a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: bool = False) -> Any:
    """The mean with weights, of the shape of ``a`` or of its ``axis``; ``returned``: with the sum of the weights."""
    x = floats(array_like(a))
    if weights is None:
        found = ops.mean(x, axis, keepdims)
        return (found, like(x, np.full(found.shape, x.size / found.size, x.dtype))) if returned else found
    w = array_like(weights)
    if tuple(w.shape) != tuple(x.shape):
        if axis is None:
            raise ShapeError(f"average: weights {tuple(w.shape)} of {tuple(x.shape)} need an axis")
        axes = [normalise_axis(i, x.ndim) for i in (axis if isinstance(axis, (tuple, list)) else (axis,))]
        order = sorted(range(len(axes)), key=axes.__getitem__)
        w = ops.reshape(ops.permute(w, tuple(order)), tuple(n if i in axes else 1 for i, n in enumerate(x.shape)))
    w = ops.expand(w, tuple(x.shape))
    total = ops.sum(w, axis, keepdims)
    found = ops.div(ops.sum(ops.mul(x, w), axis, keepdims), total)
    return (found, total) if returned else found


# --- with NaN left out ---


def _numbers(a: Any, dtype: Any = None) -> tuple[Any, Any]:
    """The array, and the mask of what is not NaN."""
    x = typed(a, dtype)
    return x, ops.logical_not(ops.isnan(x))


@answers("nansum")
def nansum(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: None = None,
    keepdims: bool = False,
    initial: Any = _MISSING,
    where: Any = True,
) -> Any:
    """The sum of what is not NaN."""
    x, there = _numbers(a, dtype)
    return sum(_kept(x, there, 0), axis, None, None, keepdims, initial, where)


@answers("nanprod")
def nanprod(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: None = None,
    keepdims: bool = False,
    initial: Any = _MISSING,
    where: Any = True,
) -> Any:
    """The product of what is not NaN."""
    x, there = _numbers(a, dtype)
    return prod(_kept(x, there, 1), axis, None, None, keepdims, initial, where)


def _both(there: Any, where: Any) -> Any:
    return there if where is True else ops.logical_and(there, where)


@answers("nanmean")
def nanmean(
    a: Any, axis: Any = None, dtype: Any = None, out: None = None, keepdims: bool = False, *, where: Any = True
) -> Any:
    """The mean of what is not NaN; NaN where nothing else is there."""
    x, there = _numbers(a, dtype)
    return mean(x, axis, None, None, keepdims, where=_both(there, where))


@answers("nanvar")
def nanvar(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: None = None,
    ddof: float = 0,
    keepdims: bool = False,
    *,
    where: Any = True,
    mean: Any = _MISSING,
    correction: Any = _MISSING,
) -> Any:
    """The variance of what is not NaN."""
    x, there = _numbers(a, dtype)
    there = _both(there, where)
    return var(x, axis, None, None, ddof, keepdims, where=there, mean=mean, correction=correction)


@answers("nanstd")
def nanstd(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: None = None,
    ddof: float = 0,
    keepdims: bool = False,
    *,
    where: Any = True,
    mean: Any = _MISSING,
    correction: Any = _MISSING,
) -> Any:
    """The standard deviation of what is not NaN."""
    return _root(nanvar(a, axis, dtype, None, ddof, keepdims, where=where, mean=mean, correction=correction))


def _nan_extreme(a: Any, axis: Any, keepdims: bool, initial: Any, where: Any, *, largest: bool) -> Any:
    x, there = _numbers(a)
    neutral = (_lowest if largest else _highest)(x)
    found = _extreme(_kept(x, there, neutral), axis, keepdims, initial, where, largest=largest)
    empty = ops.logical_not(ops.some(there, axis, keepdims))
    if initial is _MISSING and data_of(empty, "numpy.nanmax()").any():
        warnings.warn("All-NaN slice encountered", RuntimeWarning, stacklevel=4)
        return ops.where(empty, math.nan, found)
    return found


@answers("nanmax")
def nanmax(
    a: Any, axis: Any = None, out: None = None, keepdims: bool = False, initial: Any = _MISSING, where: Any = True
) -> Any:
    """The largest element that is not NaN; NaN, with a warning, where nothing else is there."""
    return _nan_extreme(a, axis, keepdims, initial, where, largest=True)


@answers("nanmin")
def nanmin(
    a: Any, axis: Any = None, out: None = None, keepdims: bool = False, initial: Any = _MISSING, where: Any = True
) -> Any:
    """The smallest element that is not NaN; NaN, with a warning, where nothing else is there."""
    return _nan_extreme(a, axis, keepdims, initial, where, largest=False)


@answers("nancumsum")
def nancumsum(a: Any, axis: int | None = None, dtype: Any = None, out: None = None) -> Any:
    """The running sums, NaN counting as 0."""
    x, there = _numbers(a, dtype)
    return cumsum(_kept(x, there, 0), axis)


@answers("nancumprod")
def nancumprod(a: Any, axis: int | None = None, dtype: Any = None, out: None = None) -> Any:
    """The running products, NaN counting as 1."""
    x, there = _numbers(a, dtype)
    return cumprod(_kept(x, there, 1), axis)


@answers("nan_to_num")
def nan_to_num(x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    """NaN and infinities replaced by numbers, without a gradient there."""
    constants("nan_to_num", nan, posinf, neginf)
    return _nan_to_num(array_like(x), nan, posinf, neginf)


# --- orders and quantiles ---


@answers("sort")
def sort(a: Any, axis: int | None = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Any:
    """The elements in rising order along ``axis``, flattened for None; NaN counts as the largest."""
    x, place = swap_in(a, axis)
    return reductions.sort(x, place).values


@answers("argsort")
def argsort(a: Any, axis: int | None = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Any:
    """The places of the elements in rising order; no gradient."""
    x, place = swap_in(a, axis)
    return reductions.argsort(x, place)


@answers("partition")
def partition(a: Any, kth: Any, axis: int | None = -1, kind: str = "introselect", order: Any = None) -> Any:
    """The elements with the ``kth`` smallest in its place, the smaller ones before and the larger ones behind it."""
    x, place = swap_in(a, axis)
    return take_along(x, np.argpartition(data_of(x, "numpy.partition()"), kth, place), place)


def _ranked(a: Any, q: Any, axis: Any, method: str, keepdims: bool, *, skipping: bool) -> Any:
    """The ``q``-quantiles over ``axis``: elements of the sorted array, or what lies between two of them."""
    x = floats(array_like(a))
    shares = np.asarray(data_of(q, "a quantile"), np.float64)
    if not ((shares >= 0) & (shares <= 1)).all():
        raise ArgumentError("quantile, percentile: q is in 0 … 1, or 0 … 100")
    rows, axes = _joined_axes(x, axis)
    in_order = reductions.sort(rows, -1).values
    length = rows.shape[-1]
    missing = np.isnan(data_of(rows, "numpy.quantile()")).sum(-1)
    counts = length - missing if skipping else np.full(missing.shape, length)
    # NumPy's quantile of 0, 1, 2 … is the place itself, by whatever method, so the rule is NumPy's own.
    places = np.zeros((*counts.shape, shares.size))
    for count in np.unique(counts):
        if count:
            row = np.arange(count, dtype=np.float64)
            places[counts == count] = np.quantile(row, shares.reshape(-1), method=method)  # type: ignore[call-overload]
    if not skipping:
        # NaN is last in the order, and wins.
        places[missing > 0] = length - 1
    low, high = np.floor(places).astype(np.int64), np.ceil(places).astype(np.int64)
    found = take_along(in_order, low, -1)
    weight = (places - low).astype(x.dtype)
    if weight.any():
        between = ops.add(found, ops.mul(ops.sub(take_along(in_order, high, -1), found), weight))
        found = ops.where(weight == 0, found, between)
    found = ops.reshape(shapes.movedim(found, -1, 0), (*shares.shape, *counts.shape))
    if not keepdims:
        return found
    return ops.reshape(found, (*shares.shape, *[1 if i in axes else n for i, n in enumerate(x.shape)]))


def _method(method: str, interpolation: Any, weights: Any) -> str:
    if weights is not None:
        refuse("quantile with weights", "leave weights= out")
    return method if interpolation is None else str(interpolation)


def _declare_quantiles(name: str, scale: float, *, skipping: bool) -> Any:
    def of(
        a: Any,
        q: Any,
        axis: Any = None,
        out: None = None,
        overwrite_input: bool = False,
        method: str = "linear",
        keepdims: bool = False,
        *,
        weights: Any = None,
        interpolation: Any = None,
    ) -> Any:
        constants(name, q)
        shares = q if scale == 1.0 else np.true_divide(data_of(q), scale)
        return _ranked(a, shares, axis, _method(method, interpolation, weights), bool(keepdims), skipping=skipping)

    of.__name__ = of.__qualname__ = name
    of.__doc__ = f"``numpy.{name}``, by every method that NumPy has, without weights."
    return answers(name)(of)


quantile = _declare_quantiles("quantile", 1.0, skipping=False)
percentile = _declare_quantiles("percentile", 100.0, skipping=False)
nanquantile = _declare_quantiles("nanquantile", 1.0, skipping=True)
nanpercentile = _declare_quantiles("nanpercentile", 100.0, skipping=True)


@answers("median")
def median(a: Any, axis: Any = None, out: None = None, overwrite_input: bool = False, keepdims: bool = False) -> Any:
    """The middle element, or the mean of the two middle ones."""
    return _ranked(a, 0.5, axis, "linear", keepdims, skipping=False)


@answers("nanmedian")
def nanmedian(a: Any, axis: Any = None, out: None = None, overwrite_input: bool = False, keepdims: bool = False) -> Any:
    """The median of what is not NaN."""
    return _ranked(a, 0.5, axis, "linear", bool(keepdims), skipping=True)


# --- running reductions and differences ---


@answers("cumsum")
def cumsum(a: Any, axis: int | None = None, dtype: Any = None, out: None = None) -> Any:
    """The sums up to each element along ``axis``; of the flattened array for None."""
    x, place = swap_in(typed(a, dtype), axis)
    return reductions.cumsum(x, place)


@answers("cumprod")
def cumprod(a: Any, axis: int | None = None, dtype: Any = None, out: None = None) -> Any:
    """The products up to each element along ``axis``; of the flattened array for None."""
    x, place = swap_in(typed(a, dtype), axis)
    return reductions.cumprod(x, place)


def _cumulative(x: Any, axis: int | None, dtype: Any, running: Any, start: float | None) -> Any:
    x = typed(x, dtype)
    if axis is None and x.ndim > 1:
        raise ShapeError(f"cumulative_sum, cumulative_prod: shape {tuple(x.shape)} needs an axis")
    place = normalise_axis(0 if axis is None else axis, x.ndim)
    found = running(x, place)
    if start is None:
        return found
    shape = [1 if i == place else n for i, n in enumerate(found.shape)]
    return ops.cat([np.full(shape, start, found.dtype), found], place)


@answers("cumulative_sum")
def cumulative_sum(
    x: Any, /, *, axis: int | None = None, dtype: Any = None, out: None = None, include_initial: bool = False
) -> Any:
    """The sums up to each element, with the empty one first where ``include_initial``."""
    return _cumulative(x, axis, dtype, cumsum, 0 if include_initial else None)


@answers("cumulative_prod")
def cumulative_prod(
    x: Any, /, *, axis: int | None = None, dtype: Any = None, out: None = None, include_initial: bool = False
) -> Any:
    """The products up to each element, with the empty one first where ``include_initial``."""
    return _cumulative(x, axis, dtype, cumprod, 1 if include_initial else None)


def _beside(x: Any, value: Any, place: int) -> Any:
    """What is put before or behind ``x``: a number in the shape of a slice."""
    one = array_like(value)
    return one if one.ndim else ops.expand(one, tuple(1 if i == place else n for i, n in enumerate(x.shape)))


@answers("diff")
def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = _MISSING, append: Any = _MISSING) -> Any:
    """Differences of neighbours along ``axis``, ``n`` times over."""
    x = array_like(a)
    place = normalise_axis(axis, x.ndim)
    before, behind = (None if one is _MISSING else _beside(x, one, place) for one in (prepend, append))
    return reductions.diff(x, n, place, before, behind)


@answers("ediff1d")
def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    """Differences of neighbours in the flattened array, with more numbers at either end."""
    x, _ = swap_in(ary, None)
    parts = [to_begin, reductions.diff(x), to_end]
    return ops.cat([swap_in(one, None)[0] for one in parts if one is not None], 0)


@answers("trapezoid", "trapz")
def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    """The integral along ``axis`` by the trapezoidal rule."""
    return reductions.trapezoid(array_like(y), None if x is None else array_like(x), dx=dx, dim=axis)


def _slope(f: Any, spacing: Any, place: int, edge_order: int) -> Any:
    """Second-order differences inside, of ``edge_order`` at both ends; ``spacing`` is one length or all of them."""
    length = f.shape[place]
    if length < edge_order + 1:
        raise ShapeError(f"gradient: at least {edge_order + 1} elements along an axis, got {length}")
    step = array_like(spacing)
    column = (-1,) + (1,) * (f.ndim - 1 - place)
    steps = ops.expand(step, (length - 1,)) if step.ndim == 0 else reductions.diff(step)

    def at(where: slice) -> Any:
        return ops.getitem(f, (slice(None),) * place + (where,))

    def h(where: slice) -> Any:
        return ops.reshape(ops.getitem(steps, where), column)

    def mixed(weights: tuple[Any, ...], values: tuple[Any, ...]) -> Any:
        total: Any = None
        for weight, value in zip(weights, values, strict=True):
            term = ops.mul(value, weight)
            total = term if total is None else ops.add(total, term)
        return total

    before, after = h(slice(0, -1)), h(slice(1, None))
    both = ops.add(before, after)
    inside = mixed(
        (
            ops.neg(ops.div(after, ops.mul(before, both))),
            ops.div(ops.sub(after, before), ops.mul(before, after)),
            ops.div(before, ops.mul(after, both)),
        ),
        (at(slice(0, -2)), at(slice(1, -1)), at(slice(2, None))),
    )
    first, last = h(slice(0, 1)), h(slice(-1, None))
    if edge_order == 1:
        start = ops.div(ops.sub(at(slice(1, 2)), at(slice(0, 1))), first)
        end = ops.div(ops.sub(at(slice(-1, None)), at(slice(-2, -1))), last)
        return ops.cat([start, inside, end] if length > 2 else [start, end], place)
    second, second_last = h(slice(1, 2)), h(slice(-2, -1))

    def edge(near: Any, far: Any) -> tuple[Any, ...]:
        whole = ops.add(near, far)
        return (
            ops.neg(ops.div(ops.add(ops.add(near, near), far), ops.mul(near, whole))),
            ops.div(whole, ops.mul(near, far)),
            ops.neg(ops.div(near, ops.mul(far, whole))),
        )

    start = mixed(edge(first, second), (at(slice(0, 1)), at(slice(1, 2)), at(slice(2, 3))))
    end = ops.neg(mixed(edge(last, second_last), (at(slice(-1, None)), at(slice(-2, -1)), at(slice(-3, -2)))))
    return ops.cat([start, inside, end], place)


@answers("gradient")
def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """The slopes along each axis by differences: second order inside, ``edge_order`` (1 or 2) at both ends.

    Args:
        varargs: nothing (steps of 1), one step for all axes, or for each axis a step or the coordinates.
    """
    x = floats(array_like(f))
    axes = range(x.ndim) if axis is None else [normalise_axis(int(i), x.ndim) for i in np.atleast_1d(axis)]
    if edge_order not in {1, 2}:
        raise ArgumentError(f"gradient: edge_order is 1 or 2, got {edge_order}")
    given = varargs or (1.0,)
    if len(given) == 1 and len(axes) > 1 and array_like(given[0]).ndim == 0:
        given = given * len(axes)
    if len(given) != len(axes):
        raise ArgumentError(f"gradient: {len(given)} spacings for {len(axes)} axes")
    found = tuple(_slope(x, step, place, edge_order) for step, place in zip(given, axes, strict=True))
    return found[0] if len(found) == 1 else found


# --- statistics ---


def _variables(m: Any, y: Any, rowvar: bool, dtype: Any) -> Any:
    """Variables as rows."""

    def rows(values: Any) -> Any:
        x = floats(typed(values, dtype))
        x = ops.reshape(x, (1, -1)) if x.ndim < 2 else x
        return x if rowvar or x.shape[0] == 1 else ops.transpose(x)

    x = rows(m)
    if array_like(m).ndim == 2 and not rowvar and x.shape[0] == 1 and array_like(m).shape[0] == 1:
        x = ops.transpose(x)
    return x if y is None else ops.cat([x, rows(y)], 0)


@answers("cov")
def cov(
    m: Any,
    y: Any = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: int | None = None,
    fweights: Any = None,
    aweights: Any = None,
    *,
    dtype: Any = None,
) -> Any:
    """The matrix of covariances of variables, rows by default; of one variable its variance."""
    rows = _variables(m, y, rowvar, dtype)
    correction = (0 if bias else 1) if ddof is None else ddof
    weights = None if aweights is None else array_like(aweights)
    return reductions.cov(rows, correction=correction, fweights=fweights, aweights=weights)


@answers("corrcoef")
def corrcoef(
    x: Any, y: Any = None, rowvar: bool = True, bias: Any = _MISSING, ddof: Any = _MISSING, *, dtype: Any = None
) -> Any:
    """The matrix of correlations of variables, rows by default."""
    return reductions.corrcoef(_variables(x, y, rowvar, dtype))


@answers("bincount")
def bincount(x: Any, /, weights: Any = None, minlength: int = 0) -> Any:
    """How often each integer from 0 on occurs, or the sum of its weights, which have gradients."""
    places = data_of(x, "numpy.bincount()")
    if weights is None:
        return like(None, np.bincount(places, None, minlength))
    values = floats(array_like(weights))
    return put(values, shape=(builtins.max(int(places.max(initial=-1)) + 1, minlength),), index=places)


def _edges(a: Any, bins: Any, range: Any) -> Any:
    """The edges of a histogram's bins; from the extremes of the data they have a gradient."""
    x, _ = swap_in(a, None)
    constants("histogram", range)
    if is_recorded(x) and range is None and isinstance(bins, (int, np.integer)) and x.size:
        low, high = ops.amin(x), ops.amax(x)
        if data_of(low) != data_of(high):
            return linspace(low, high, int(bins) + 1)
    if is_recorded(x) and isinstance(bins, str):
        refuse(f"histogram(bins={bins!r})", "give the number of bins or their edges")
    if is_recorded(bins):
        return array_like(bins)
    limits: Any = None if range is None else tuple(float(one) for one in range)
    return like(None, np.histogram_bin_edges(data_of(x), data_of(bins) if not isinstance(bins, str) else bins, limits))


@answers("histogram_bin_edges")
def histogram_bin_edges(a: Any, bins: Any = 10, range: Any = None, weights: Any = None) -> Any:
    """The edges of equal bins between the extremes; these get the gradient."""
    return _edges(a, bins, range)


@answers("histogram")
def histogram(a: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None) -> Any:
    """How many elements lie in each bin, or the sum of their weights; and the edges of the bins.

    Counts have no gradient; weights, edges and densities have.
    """
    x, _ = swap_in(a, None)
    edges = _edges(x, bins, range)
    limits, numbers = data_of(edges), data_of(x, "numpy.histogram()")
    counts: Any = like(None, np.histogram(numbers, limits)[0])
    if weights is not None:
        w, _ = swap_in(weights, None)
        inside = (numbers >= limits[0]) & (numbers <= limits[-1])
        bin_of = np.minimum(np.searchsorted(limits, numbers[inside], "right") - 1, limits.size - 2)
        counts = put(ops.getitem(w, inside), shape=(limits.size - 1,), index=bin_of)
    if not density:
        return counts, edges
    return ops.div(ops.div(counts, reductions.diff(edges)), ops.sum(counts)), edges


@answers("linspace")
def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
    *,
    device: Any = None,
) -> Any:
    """``num`` evenly spaced numbers from ``start`` to ``stop``, which have gradients."""
    a, b = ops.same_dtype(floats(array_like(start)), floats(array_like(stop)))
    shape = np.broadcast_shapes(a.shape, b.shape)
    steps = np.linspace(0.0, 1.0, num, endpoint).astype(a.dtype).reshape((-1,) + (1,) * len(shape))
    # Weighed from both ends, so that the last number is the end itself.
    found = ops.add(ops.mul(a, 1.0 - steps), ops.mul(b, steps))
    found = typed(shapes.movedim(found, 0, axis) if shape else found, dtype)
    if not retstep:
        return found
    return found, ops.div(ops.sub(b, a), float(builtins.max(num - bool(endpoint), 1)))


@answers("logspace")
def logspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: Any = 10.0, dtype: Any = None, axis: int = 0
) -> Any:
    """``base`` to evenly spaced powers."""
    powers = linspace(start, stop, num, endpoint, axis=axis)
    b = base if isinstance(base, (int, float)) else array_like(base)
    if not isinstance(b, (int, float)) and b.ndim:
        b = expand_dims(b, axis)
    return typed(ops.pow(b, powers), dtype)


@answers("geomspace")
def geomspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0) -> Any:
    """Numbers in a geometric progression from ``start`` to ``stop``, of one sign."""
    a, b = ops.same_dtype(floats(array_like(start)), floats(array_like(stop)))
    sign = np.sign(data_of(a, "numpy.geomspace()"))
    if (sign != np.sign(data_of(b, "numpy.geomspace()"))).any() or (sign == 0).any():
        raise ArgumentError("geomspace: both ends have the same sign, and neither is 0")
    powers = linspace(ops.log(ops.abs(a)), ops.log(ops.abs(b)), num, endpoint, axis=axis)
    return typed(ops.mul(ops.exp(powers), np.expand_dims(sign, axis) if sign.ndim else sign), dtype)


@answers("interp")
def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Any:
    """The straight lines through the points (``xp``, ``fp``), ``xp`` rising, at ``x``; constant beyond both ends.

    Args:
        left, right: the values beyond the ends instead of the first and the last of ``fp``.
        period: the points repeat after it; they may then be in any order.
    """
    at, knots, values = ops.same_dtype(*[floats(array_like(one)) for one in (x, xp, fp)])
    if period is not None:
        constants("interp", period)
        left = right = None
        at, knots = ops.remainder(at, period), ops.remainder(knots, period)
        order = np.argsort(data_of(knots, "numpy.interp()"), kind="stable")
        around = np.concatenate([order[-1:], order, order[:1]])
        turns = np.zeros(around.size)
        turns[0], turns[-1] = -period, period
        knots, values = ops.add(take(knots, around), turns.astype(knots.dtype)), take(values, around)
    places, wanted = data_of(knots, "numpy.interp()"), data_of(at, "numpy.interp()")
    first = ops.getitem(values, 0) if left is None else left
    last = ops.getitem(values, -1) if right is None else right
    if places.size == 1:
        inside = ops.expand(ops.getitem(values, 0), tuple(at.shape))
    else:
        below = np.clip(np.searchsorted(places, wanted, "right") - 1, 0, places.size - 2)
        x0, x1, y0, y1 = (ops.getitem(one, below + i) for one in (knots, values) for i in (0, 1))
        inside = ops.add(y0, ops.mul(ops.div(ops.sub(y1, y0), ops.sub(x1, x0)), ops.sub(at, x0)))
    return ops.where(wanted < places[0], first, ops.where(wanted > places[-1], last, inside))
