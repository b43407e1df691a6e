"""Standardising: mean 0 and variance 1 along axes, what batch, layer, group and instance normalisation share."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..samples import Standardising
from ..tape import Array
from . import batched, native
from .arithmetic import add, div, mul, neg, sqrt, square, sub
from .declare import primitive
from .kernels import sum_axes
from .reductions import reduce_mean

Axes = tuple[int, ...]


def _moments(x: Array, axes: Axes, eps: float) -> tuple[Array, Array, Array]:
    """``x`` less its mean, the mean, and one over the root of the variance plus ``eps``."""
    count = math.prod([x.shape[axis] for axis in axes])
    mean = sum_axes(x, axes) / count
    centred = x - mean
    return centred, mean, 1.0 / np.sqrt(sum_axes(centred * centred, axes) / count + x.dtype.type(eps))


def _formula(np_: Any, x: Any, axes: Axes, eps: float) -> tuple[Any, Any]:
    centred = x - np_.mean(x, axes, keepdims=True)
    rate = 1.0 / np_.sqrt(np_.mean(centred * centred, axes, keepdims=True) + eps)
    return centred * rate, rate


@primitive(
    vjp=(lambda g, x, axes, eps, saved: standardise_gradient(g, x, axes=axes, eps=eps, saved=saved),),
    reference=lambda np, x, *, axes, eps: _formula(np, x, axes, eps)[0],
    samples=Standardising(),
    saves=True,
    latex=r"\frac{{{0} - \mu}}{{\sqrt{{\sigma^2 + \epsilon}}}}",
    batch=batched.over_axes,
    native=native.standardising,
)
def standardise(x: Array, *, axes: Axes, eps: float) -> tuple[Array, tuple[Array, Array]]:
    """``(x - mean) / sqrt(var + eps)`` with the mean and the (biased) variance over ``axes``.

    One op and not seven: a normalised layer is nothing but passes over memory.
    """
    y, mean, rate = _moments(x, axes, eps)
    y *= rate
    return y, (mean, rate)


def _standardise_gradient(np_: Any, g: Any, x: Any, axes: Axes, eps: float) -> Any:
    y, rate = _formula(np_, x, axes, eps)
    means = np_.mean(g, axes, keepdims=True), np_.mean(g * y, axes, keepdims=True)
    return rate * (g - means[0] - y * means[1])


@primitive(
    vjp=(
        lambda g, x, axes, eps: standardise_gradient(g, x, axes=axes, eps=eps),
        lambda g, z, x, axes, eps: _bend(g, z, x, axes, eps),
    ),
    reference=lambda np, z, x, *, axes, eps, saved: _standardise_gradient(np, z, x, axes, eps),
    samples=Standardising(incoming=True),
    latex=r"\frac{{{0} - \operatorname{{mean}}({0}) - \operatorname{{standardise}}({1})\,"
    r"\operatorname{{mean}}({0}\,\operatorname{{standardise}}({1}))}}{{\sqrt{{\sigma^2 + \epsilon}}}}",
    batch=batched.spread_over_axes,
    native=native.standardising_gradients,
)
def standardise_gradient(
    z: Array, x: Array, *, axes: Axes, eps: float, saved: tuple[Array, Array] | None = None
) -> Array:
    """The gradient of :func:`standardise`, ``rate (z - mean(z) - y mean(z y))``; ``saved`` is what that worked out.

    Source: Ioffe & Szegedy, ICML 2015, section 3, put together.
    """
    if saved is None:
        y, _, rate = _moments(x, axes, eps)
    else:
        mean, rate = saved
        y = x - mean
    y *= rate
    count = math.prod([x.shape[axis] for axis in axes])
    # The products' memory takes the result: fresh memory costs as much as two passes over it.
    gradient = z * y
    y *= sum_axes(gradient, axes) / count
    np.subtract(z, sum_axes(z, axes) / count, out=gradient)
    gradient -= y
    gradient *= rate
    return gradient


def _bend(h: Any, z: Any, x: Any, axes: Axes, eps: float) -> Any:
    """The gradient of ``<h, standardise_gradient(z, x)>`` by ``x``, by the product rule on ``rate`` and ``y``."""

    def along(value: Any) -> Any:
        return reduce_mean(value, axes=axes, keepdims=True)

    y = standardise(x, axes=axes, eps=eps)
    centred = sub(x, along(x))
    rate = div(1.0, sqrt(add(along(square(centred)), eps)))
    pulled_z = standardise_gradient(z, x, axes=axes, eps=eps)
    pulled_h = standardise_gradient(h, x, axes=axes, eps=eps)
    total = add(mul(y, along(mul(h, pulled_z))), add(mul(pulled_h, along(mul(z, y))), mul(pulled_z, along(mul(h, y)))))
    return neg(mul(rate, total))
