"""Activations whose slope would cancel if it were put together from other ops: the exponential unit and softsign."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..samples import Domain, Elementwise
from ..tape import Array
from .arithmetic import abs, add, minimum, mul, square, where, zdiv, zmul
from .compare import gt
from .elementwise import elementwise
from .functions import exp
from .kernels import magnitude

_NO_KINK = Domain(avoid=(0.0,), reach=(-700.0, 700.0))
_OPTIONS = tuple((("alpha", alpha), ("rate", rate)) for alpha, rate in ((1.0, 1.0), (1.7, 1.0), (0.5, 2.0)))
_EXPONENTIAL = Elementwise((_NO_KINK,), params=_OPTIONS)


@elementwise(
    vjp=(lambda g, x, alpha, rate: zmul(g, exponential_slope(x, alpha=alpha, rate=rate)),),
    reference=lambda mp, x, *, alpha, rate: x if x > 0 else alpha * mp.expm1(rate * x),
    samples=_EXPONENTIAL,
    scalar="({0} > 0 ? {0} : ({type}){alpha} * expm1(({type}){rate} * {0}))",
    latex=r"\begin{{cases}} {0} & {0} > 0 \\ {alpha} \cdot (e^{{{rate} \cdot {0}}} - 1) & \text{{else}} \end{{cases}}",
)
def exponential_unit(x: Array, *, alpha: float, rate: float) -> Array:
    """``x`` where positive, else ``alpha * (exp(rate * x) - 1)``: ELU with ``rate = 1``, CELU with ``1 / alpha``."""
    below = np.expm1(np.minimum(x, x.dtype.type(0)) * x.dtype.type(rate))
    return np.where(x > 0, x, below * x.dtype.type(alpha))


@elementwise(
    vjp=(lambda g, x, alpha, rate: zmul(g, _bend(x, alpha, rate)),),
    reference=lambda mp, x, *, alpha, rate: 1 if x > 0 else alpha * rate * mp.exp(rate * x),
    samples=_EXPONENTIAL,
    scalar="({0} > 0 ? 1 : {0} == 0 ? ({alpha} * {rate} < 0 ? 0 : {alpha} * {rate} > 1 ? 1 : {alpha} * {rate}) : "
    "({type})({alpha} * {rate}) * exp(({type}){rate} * {0}))",
    latex=r"\begin{{cases}} 1 & {0} > 0 \\ "
    r"{alpha} \cdot {rate} \cdot e^{{{rate} \cdot {0}}} & \text{{else}} \end{{cases}}",
)
def exponential_slope(x: Array, *, alpha: float, rate: float) -> Array:
    """The derivative of :func:`exponential_unit`; at the kink the number nearest to 0 between both sides."""
    left = alpha * rate
    slope = np.exp(np.minimum(x, x.dtype.type(0)) * x.dtype.type(rate)) * x.dtype.type(left)
    y = np.where(x > 0, x.dtype.type(1), slope)
    return y if 0 <= left <= 1 else np.where(x == 0, x.dtype.type(min(max(left, 0.0), 1.0)), y)


def _bend(x: Any, alpha: float, rate: float) -> Any:
    return where(gt(x, 0.0), 0.0, mul(exp(mul(minimum(x, 0.0), rate)), alpha * rate * rate))


@elementwise(
    vjp=(lambda g, x: zdiv(g, square(add(abs(x), 1.0))),),
    reference=lambda mp, x: x / (1 + (x if x >= 0 else -x)),
    samples=Elementwise((Domain(avoid=(0.0,), reach=(-1e30, 1e30)),)),
    scalar="({0} / (1 + magnitude({0})))",
    latex=r"\frac{{{0}}}{{1 + \lvert {0} \rvert}}",
)
def softsign(x: Array) -> Array:
    """``x / (1 + |x|)``; its derivative ``1 / (1 + |x|)**2`` is a difference of nearly equal numbers otherwise.

    Source: Glorot & Bengio, AISTATS 2010, section 3.3.
    """
    return x / (magnitude(x) + 1.0)
