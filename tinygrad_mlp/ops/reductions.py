"""Reductions. The primitives keep the axes they reduce, with length 1, and take a sorted tuple of axes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..samples import Reduction
from ..tape import Array, Traced
from . import batched, calls, native
from .arithmetic import add, div, mul, neg, sqrt, square, sub, ties, where
from .broadcast import broadcast_to
from .declare import cast, primitive, stands_for
from .elementwise import astype
from .functions import exp, expm1
from .kernels import chosen, extreme_axes, normalise_axes, normalise_axis, sum_axes
from .names import both_names
from .shape import cat, reshape, select

Axis = int | tuple[int, ...] | list[int] | None


def _restored(value: Any, shape: tuple[int, ...], axes: tuple[int, ...]) -> Any:
    """``value``, reduced from ``shape`` over ``axes``, with those axes back at length 1 where they were dropped."""
    if value.ndim == len(shape) or value.ndim == 0:
        return value
    return reshape(value, tuple([1 if i in axes else size for i, size in enumerate(shape)]))


def _floats(x: Any) -> Any:
    # Means of integers are fractions; one multiplication by a bare float brings them to the default dtype.
    data = x.data if isinstance(x, Traced) else np.asarray(x)
    return x if data.dtype.kind in "fc" else mul(x, 1.0)


@primitive(
    name="sum",
    vjp=(lambda g, x_shape, axes: broadcast_to(_restored(g, x_shape, axes), shape=x_shape),),
    reference=lambda np, x, *, axes, keepdims: np.sum(x, axis=axes, keepdims=keepdims),
    samples=Reduction(),
    passes_on=True,
    latex=r"\sum {0}",
    batch=batched.over_axes,
    native=native.summing,
)
def reduce_sum(x: Array, *, axes: tuple[int, ...], keepdims: bool) -> Array:
    """The sum over ``axes``; error at most ``(log2 n + 2) eps`` times the sum of magnitudes."""
    return sum_axes(x, axes, keepdims)


@stands_for(np.sum)
def sum(x: Any, axis: Axis = None, keepdims: bool = False, *, dim: Axis = None, keepdim: bool = False) -> Any:
    """The sum over ``axis`` (all axes by default)."""
    return reduce_sum(x, axes=normalise_axes(chosen(axis, dim), x.ndim), keepdims=bool(keepdims or keepdim))


def _count(shape: tuple[int, ...], axes: tuple[int, ...]) -> int:
    if len(axes) == len(shape):
        return math.prod(shape)
    count = 1
    for axis in axes:
        count *= shape[axis]
    return count


def _mean_rule(g: Any, x_shape: tuple[int, ...], axes: tuple[int, ...]) -> Any:
    return broadcast_to(_restored(div(g, float(_count(x_shape, axes))), x_shape, axes), shape=x_shape)


@primitive(
    name="mean",
    vjp=(_mean_rule,),
    reference=lambda np, x, *, axes, keepdims: np.mean(x, axis=axes, keepdims=keepdims),
    samples=Reduction(empty=False),
    passes_on=True,
    latex=r"\operatorname{{mean}}({0})",
    batch=batched.over_axes,
    native=native.averaging,
    calls=calls.averaging,
)
def reduce_mean(x: Array, *, axes: tuple[int, ...], keepdims: bool) -> Array:
    """The mean over ``axes``. One op and not sum then divide, because every loss ends in it."""
    return sum_axes(x, axes, keepdims) / _count(x.shape, axes)


@stands_for(np.mean)
def mean(x: Any, axis: Axis = None, keepdims: bool = False, *, dim: Axis = None, keepdim: bool = False) -> Any:
    """The arithmetic mean over ``axis`` (all axes by default); NaN, with NumPy's warning, where there is nothing."""
    x = _floats(x)
    return reduce_mean(x, axes=normalise_axes(chosen(axis, dim), x.ndim), keepdims=bool(keepdims or keepdim))


def var(
    x: Any,
    axis: Axis = None,
    *,
    correction: float = 1,
    keepdims: bool = False,
    dim: Axis = None,
    keepdim: bool = False,
) -> Any:
    """The variance, ``sum((x - mean)**2) / (n - correction)``; ``correction=1`` (torch's default) is unbiased."""
    x = _floats(x)
    axes = normalise_axes(chosen(axis, dim), x.ndim)
    squares = square(sub(x, reduce_mean(x, axes=axes, keepdims=True)))
    freedom = _count(x.shape, axes) - correction
    return div(reduce_sum(squares, axes=axes, keepdims=bool(keepdims or keepdim)), float(max(freedom, 0)))


def std(
    x: Any,
    axis: Axis = None,
    *,
    correction: float = 1,
    keepdims: bool = False,
    dim: Axis = None,
    keepdim: bool = False,
) -> Any:
    """The standard deviation, the root of :func:`var`; its gradient is 0 where the input is constant."""
    variance = var(x, chosen(axis, dim), correction=correction, keepdims=keepdims or keepdim)
    flat = ties(variance, 0.0)
    # The root's slope is infinite at 0: take the root of something else there, and put the 0 back.
    return where(flat, 0.0, sqrt(where(flat, 1.0, variance)))


def _share(g: Any, y: Any, x: Any, axes: tuple[int, ...]) -> Any:
    extreme = ties(x, _restored(y, x.shape, axes))
    count = reduce_sum(cast(extreme, dtype=y.dtype, source=extreme.dtype), axes=axes, keepdims=True)
    return where(extreme, div(_restored(g, x.shape, axes), count), 0.0)


@primitive(
    name="amax",
    vjp=(_share,),
    reference=lambda np, x, *, axes, keepdims: np.max(x, axis=axes, keepdims=keepdims),
    samples=Reduction(distinct=True, empty=False),
    latex=r"\max {0}",
    batch=batched.over_axes,
    native=native.largest,
)
def reduce_max(x: Array, *, axes: tuple[int, ...], keepdims: bool) -> Array:
    """The largest value over ``axes``; k equal extremes share the gradient, g/k each."""
    return extreme_axes(np.maximum, x, axes, keepdims)


@primitive(
    name="amin",
    vjp=(_share,),
    reference=lambda np, x, *, axes, keepdims: np.min(x, axis=axes, keepdims=keepdims),
    samples=Reduction(distinct=True, empty=False),
    latex=r"\min {0}",
    batch=batched.over_axes,
    native=native.smallest,
)
def reduce_min(x: Array, *, axes: tuple[int, ...], keepdims: bool) -> Array:
    """The smallest value over ``axes``; k equal extremes share the gradient, g/k each."""
    return extreme_axes(np.minimum, x, axes, keepdims)


@stands_for(np.max)
@both_names
def amax(input: Any, axis: Axis = None, keepdims: bool = False, *, dim: Axis = None, keepdim: bool = False) -> Any:
    """The largest value over ``axis`` (all axes by default); ties share the gradient evenly; NaN wins."""
    return reduce_max(input, axes=normalise_axes(chosen(axis, dim), input.ndim), keepdims=bool(keepdims or keepdim))


@stands_for(np.min)
@both_names
def amin(input: Any, axis: Axis = None, keepdims: bool = False, *, dim: Axis = None, keepdim: bool = False) -> Any:
    """The smallest value over ``axis`` (all axes by default); ties share the gradient evenly; NaN wins."""
    return reduce_min(input, axes=normalise_axes(chosen(axis, dim), input.ndim), keepdims=bool(keepdims or keepdim))


@stands_for(np.prod)
def prod(x: Any, axis: Axis = None, keepdims: bool = False, *, dim: Axis = None, keepdim: bool = False) -> Any:
    """The product over ``axis`` (all axes by default).

    Halves are multiplied with each other until one factor is left, so the gradient is the product of the *other*
    factors and stays right where factors are 0.
    """
    axes = normalise_axes(chosen(axis, dim), x.ndim)
    for one in axes:
        x = _fold_product(x, one)
    return (
        x if keepdims or keepdim or not axes else reshape(x, tuple([n for i, n in enumerate(x.shape) if i not in axes]))
    )


def _fold_product(x: Any, axis: int) -> Any:
    count = x.shape[axis]
    if count == 0:
        ones = np.ones((*x.shape[:axis], 1, *x.shape[axis + 1 :]), x.dtype)
        return ones if not isinstance(x, Traced) else add(reduce_sum(x, axes=(axis,), keepdims=True), ones)
    while count > 1:
        half = count // 2
        product = mul(select(x, axis, slice(half)), select(x, axis, slice(half, 2 * half)))
        if count % 2:
            product = cat([product, select(x, axis, slice(2 * half, count))], axis)
        x, count = product, half + count % 2
    return x


# --- exponential sums -----------------------------------------------------------------------------


def exponentials(x: Array, axis: int) -> tuple[Array, Array, Array]:
    """``(e, rest, top)`` with ``top = max(x)``, ``e = exp(x - top)`` but 0 at the first maximum, ``rest = sum(e)``.

    The maximum's own exponential is exactly 1, so ``1 + rest`` is the whole sum and ``log1p(rest)`` its logarithm
    without cancellation. Rows of -inf give ``e = 0``.
    """
    place = np.expand_dims(x.argmax(axis), axis)
    top = np.take_along_axis(x, place, axis)
    safe = np.where(top == -np.inf, top.dtype.type(0), top)
    e = np.exp(x - safe)
    np.put_along_axis(e, place, 0, axis)
    return e, np.add.reduce(e, axis=axis, keepdims=True), top


@primitive(
    name="logsumexp",
    vjp=(lambda g, y, x, axes: _weighted(_restored(g, x.shape, axes), _restored(y, x.shape, axes), x),),
    reference=lambda np, x, *, axes, keepdims: np.log(np.sum(np.exp(x), axis=axes, keepdims=keepdims)),
    samples=Reduction(empty=False),
    latex=r"\ln \sum e^{{{0}}}",
    batch=batched.over_axes,
    native=native.exponential_sums,
)
def reduce_logsumexp(x: Array, *, axes: tuple[int, ...], keepdims: bool) -> Array:
    """``log(sum(exp(x)))`` as ``top + log1p(sum of the others)``; -inf with gradient 0 where all are -inf."""
    rest_axes = tuple(i for i in range(x.ndim) if i not in axes)
    order = (*rest_axes, *axes)
    kept = tuple(x.shape[i] for i in rest_axes)
    flat = x.transpose(order).reshape(*kept, _count(x.shape, axes))
    _, rest, top = exponentials(flat, -1)
    return np.where(top == np.inf, top, top + np.log1p(rest)).reshape(
        [1 if i in axes else size for i, size in enumerate(x.shape) if keepdims or i not in axes]
    )


def _weighted(g: Any, y: Any, x: Any) -> Any:
    # -inf - -inf is NaN; where everything is -inf the weights are 0.
    return mul(g, exp(sub(x, where(ties(y, -np.inf), 0.0, y))))


@both_names
def logsumexp(input: Any, axis: Axis = None, keepdims: bool = False, *, dim: Axis = None, keepdim: bool = False) -> Any:
    """``log(sum(exp(input)))`` over ``axis``, without overflow."""
    input = _floats(input)
    return reduce_logsumexp(
        input, axes=normalise_axes(chosen(axis, dim), input.ndim), keepdims=bool(keepdims or keepdim)
    )


@primitive(
    name="softmax",
    vjp=(lambda g, y, axis: softmax_pull(g, y, axis),),
    reference=lambda np, x, *, axis: np.exp(x) / np.sum(np.exp(x), axis=axis, keepdims=True),
    samples=Reduction(empty=False, single_axis=True),
    latex=r"\operatorname{{softmax}}({0})",
    batch=batched.along_axis,
    native=native.along_rows("softmax"),
)
def softmax_along(x: Array, *, axis: int) -> Array:
    """``exp(x) / sum(exp(x))`` along ``axis``, shifted by the largest value of each row."""
    e = np.exp(x - np.maximum.reduce(x, axis=axis, keepdims=True)) if x.size else np.empty_like(x)
    e /= np.add.reduce(e, axis=axis, keepdims=True)
    return e


def softmax_pull(g: Any, y: Any, axis: int) -> Any:
    """The rule of softmax, ``y (g - sum(g y))``, without the difference ``1 - y`` that it hides where y is near 1.

    Nothing changes if a constant is taken from each row of ``g``. Of all constants the gradient of the row's largest
    probability (the mean, where several are) makes its own term 0, so that what is left of the sum is small.
    """
    axes = (axis,)
    largest = ties(y, reduce_max(y, axes=axes, keepdims=True))
    count = reduce_sum(cast(largest, dtype=y.dtype, source=largest.dtype), axes=axes, keepdims=True)
    above = sub(g, div(reduce_sum(where(largest, g, 0.0), axes=axes, keepdims=True), count))
    return mul(y, sub(above, reduce_sum(mul(above, y), axes=axes, keepdims=True)))


@both_names
def softmax(input: Any, axis: int | None = None, dtype: Any = None, *, dim: int | None = None) -> Any:
    """Class probabilities ``exp(input) / sum(exp(input))`` along ``axis`` (the last by default), in ``dtype``."""
    input = _floats(input if dtype is None else astype(input, dtype))
    if input.ndim == 0:
        return reshape(softmax_along(reshape(input, (1,)), axis=normalise_axis(chosen(axis, dim, -1), 1)), ())
    return softmax_along(input, axis=normalise_axis(chosen(axis, dim, -1), input.ndim))


@primitive(
    name="log_softmax",
    vjp=(lambda g, y, axis: _log_softmax_pull(g, y, axis),),
    reference=lambda np, x, *, axis: x - np.log(np.sum(np.exp(x), axis=axis, keepdims=True)),
    samples=Reduction(empty=False, single_axis=True),
    latex=r"\ln \operatorname{{softmax}}({0})",
    batch=batched.along_axis,
    native=native.along_rows("log_softmax"),
)
def log_softmax_along(x: Array, *, axis: int) -> Array:
    """``log(softmax(x))`` along ``axis``, as ``(x - top) - log1p(sum of the others)``."""
    if not x.size:
        return np.empty_like(x)
    _, rest, top = exponentials(x, axis)
    return (x - top) - np.log1p(rest)


def _log_softmax_pull(g: Any, y: Any, axis: int) -> Any:
    # g - exp(y) sum(g), its own share of the sum apart: 1 - exp(y) of a probability near 1 is -expm1(y).
    others = sub(reduce_sum(g, axes=(axis,), keepdims=True), g)
    return neg(add(mul(g, expm1(y)), mul(exp(y), others)))


@both_names
def log_softmax(input: Any, axis: int | None = None, dtype: Any = None, *, dim: int | None = None) -> Any:
    """Logarithms of class probabilities along ``axis`` (the last by default), in ``dtype``."""
    input = _floats(input if dtype is None else astype(input, dtype))
    if input.ndim == 0:
        return reshape(log_softmax_along(reshape(input, (1,)), axis=normalise_axis(chosen(axis, dim, -1), 1)), ())
    return log_softmax_along(input, axis=normalise_axis(chosen(axis, dim, -1), input.ndim))
