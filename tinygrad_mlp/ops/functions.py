"""Exponentials, logarithms and trigonometry."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..samples import Domain, Elementwise
from ..tape import Array
from . import calls
from .arithmetic import add, mul, neg, square, zdiv, zmul
from .elementwise import elementwise
from .kernels import magnitude

_EXPONENTIAL = Elementwise((Domain(reach=(-708.0, 709.0)),))
_PERIODIC = Elementwise((Domain(reach=(-1e4, 1e4)),))
_SATURATING = Elementwise((Domain(reach=(-300.0, 300.0)),))


@elementwise(
    vjp=(lambda g, y: zmul(g, y),),
    ufunc=np.exp,
    reference=lambda mp, x: mp.exp(x),
    samples=_EXPONENTIAL,
    scalar="exp({0})",
    latex="e^{{{0}}}",
)
def exp(x: Array) -> Any:
    """``e ** x``."""


@elementwise(
    vjp=(lambda g, x: zmul(g, exp(x)),),
    ufunc=np.expm1,
    reference=lambda mp, x: mp.expm1(x),
    samples=_EXPONENTIAL,
    scalar="expm1({0})",
    latex="e^{{{0}}} - 1",
)
def expm1(x: Array) -> Any:
    """``e ** x - 1`` without cancellation near 0."""


@elementwise(
    vjp=(lambda g, x: zdiv(g, add(x, 1.0)),),
    ufunc=np.log1p,
    reference=lambda mp, x: mp.log1p(x) if hasattr(mp, "log1p") else mp.log(1 + x),
    samples=Elementwise((Domain(-0.9, 5.0, reach=(-0.999, 1e18), least=1e-18),)),
    scalar="log1p({0})",
    latex=r"\ln(1 + {0})",
)
def log1p(x: Array) -> Any:
    """``log(1 + x)`` without cancellation near 0."""


@elementwise(
    vjp=(lambda g, x: zmul(g, cos(x)),),
    ufunc=np.sin,
    reference=lambda mp, x: mp.sin(x),
    samples=_PERIODIC,
    scalar="sin({0})",
    latex=r"\sin {0}",
)
def sin(x: Array) -> Any:
    """The sine of ``x`` radians."""


@elementwise(
    vjp=(lambda g, x: neg(zmul(g, sin(x))),),
    ufunc=np.cos,
    reference=lambda mp, x: mp.cos(x),
    samples=_PERIODIC,
    scalar="cos({0})",
    latex=r"\cos {0}",
)
def cos(x: Array) -> Any:
    """The cosine of ``x`` radians."""


@elementwise(
    vjp=(lambda g, y: zmul(g, add(square(y), 1.0)),),
    ufunc=np.tan,
    reference=lambda mp, x: mp.tan(x),
    samples=Elementwise((Domain(-1.4, 1.4, reach=(-1.5, 1.5)),)),
    scalar="tan({0})",
    latex=r"\tan {0}",
)
def tan(x: Array) -> Any:
    """The tangent of ``x`` radians; its derivative is ``1 + tan(x)**2``."""


@elementwise(
    vjp=(lambda g, x: mul(g, tanh_slope(x)),),
    ufunc=np.tanh,
    reference=lambda mp, x: mp.tanh(x),
    samples=_SATURATING,
    scalar="tanh({0})",
    latex=r"\tanh {0}",
)
def tanh(x: Array) -> Any:
    """The hyperbolic tangent."""


@elementwise(
    vjp=(lambda g, y, x: mul(g, mul(mul(tanh(x), y), -2.0)),),
    reference=lambda mp, x: 1 / mp.cosh(x) ** 2,
    samples=_SATURATING,
    scalar="tanh_slope({0})",
    calls=calls.tanh_slope,
    latex=r"\left(1 - \tanh^2 {0}\right)",
)
def tanh_slope(x: Array) -> Array:
    """The derivative of tanh, ``4 e / (1 + e)**2`` with ``e = exp(-|x|)**2``.

    The textbook form ``1 - tanh(x)**2`` is all rounding error where tanh saturates.
    """
    e = np.exp(-magnitude(x))
    e *= e
    # Not ** 2, which for a number without axes is a power: it differs in the last bit.
    return np.asarray(4.0 * e / np.square(1.0 + e))
