"""Inverse and hyperbolic functions, other bases, rounding, and the special functions of the standard library.

Each is an operation of its own for its accuracy: what it would be composed of cancels somewhere, or overflows.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from ..samples import Domain, Elementwise
from ..tape import Array
from .arithmetic import add, div, mul, neg, no_slope, sqrt, square, sub, where, zdiv, zmul
from .compare import eq
from .elementwise import elementwise
from .functions import exp

_LN2 = math.log(2.0)
_LN10 = math.log(10.0)
_ROOT_PI = math.sqrt(math.pi)

_ANY = Elementwise((Domain(reach=(-1e15, 1e15)),))
_OPEN = Elementwise((Domain(-0.95, 0.95, reach=(-0.9999, 0.9999)),))
_POSITIVE = Elementwise((Domain(0.1, 5.0, reach=(1e-300, 1e300), least=1e-300),))
_STEPS = Elementwise((Domain(avoid=(-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)),))
_AWAY = Domain(0.5, 3.0)


# --- other bases ---


@elementwise(
    vjp=(lambda g, y: mul(zmul(g, y), _LN2),),
    ufunc=np.exp2,
    reference=lambda mp, x: mp.mpf(2) ** x if hasattr(mp, "mpf") else mp.exp2(x),
    samples=Elementwise((Domain(reach=(-1000.0, 1000.0)),)),
    latex="2^{{{0}}}",
)
def exp2(x: Array) -> Any:
    """``2 ** x``."""


@elementwise(
    vjp=(lambda g, x: zdiv(g, mul(x, _LN2)),),
    ufunc=np.log2,
    reference=lambda mp, x: mp.log(x) / mp.log(2),
    samples=_POSITIVE,
    latex=r"\log_{{2}}({0})",
)
def log2(x: Array) -> Any:
    """The logarithm to base 2."""


@elementwise(
    vjp=(lambda g, x: zdiv(g, mul(x, _LN10)),),
    ufunc=np.log10,
    reference=lambda mp, x: mp.log(x) / mp.log(10),
    samples=_POSITIVE,
    latex=r"\log_{{10}}({0})",
)
def log10(x: Array) -> Any:
    """The logarithm to base 10."""


# --- inverse trigonometric ---


@elementwise(
    vjp=(lambda g, x: zdiv(g, sqrt(sub(1.0, square(x)))),),
    ufunc=np.arcsin,
    reference=lambda mp, x: mp.asin(x) if hasattr(mp, "asin") else mp.arcsin(x),
    samples=_OPEN,
    latex=r"\arcsin {0}",
)
def asin(x: Array) -> Any:
    """The inverse of the sine, in radians; its derivative ``1 / sqrt(1 - x**2)`` is +inf at -1 and 1."""


@elementwise(
    vjp=(lambda g, x: neg(zdiv(g, sqrt(sub(1.0, square(x))))),),
    ufunc=np.arccos,
    reference=lambda mp, x: mp.acos(x) if hasattr(mp, "acos") else mp.arccos(x),
    samples=_OPEN,
    latex=r"\arccos {0}",
)
def acos(x: Array) -> Any:
    """The inverse of the cosine, in radians; its derivative is -inf at -1 and 1."""


@elementwise(
    vjp=(lambda g, x: zdiv(g, add(square(x), 1.0)),),
    ufunc=np.arctan,
    reference=lambda mp, x: mp.atan(x) if hasattr(mp, "atan") else mp.arctan(x),
    samples=Elementwise((Domain(reach=(-1e6, 1e6)),)),
    latex=r"\arctan {0}",
)
def atan(x: Array) -> Any:
    """The inverse of the tangent, in radians."""


def _over_square(g: Any, part: Any, a: Any, b: Any) -> Any:
    # Divided twice by the length: its square would overflow, or vanish, long before the slope does.
    length = hypot(a, b)
    return zdiv(zmul(g, zdiv(part, length)), length)


@elementwise(
    vjp=(
        lambda g, a, b: _over_square(g, b, a, b),
        lambda g, a, b: neg(_over_square(g, a, a, b)),
    ),
    ufunc=np.arctan2,
    reference=lambda mp, a, b: mp.atan2(a, b) if hasattr(mp, "atan2") else mp.arctan2(a, b),
    samples=Elementwise((_AWAY, Domain(-3.0, 3.0))),
    latex=r"\operatorname{{atan2}}({0}, {1})",
)
def atan2(a: Array, b: Array) -> Any:
    """The angle of the point with ordinate ``a`` and abscissa ``b``, in radians, -pi to pi."""


@elementwise(
    vjp=(
        lambda g, a, b: zmul(g, hypot_slope(a, b)),
        lambda g, a, b: zmul(g, hypot_slope(b, a)),
    ),
    ufunc=np.hypot,
    reference=lambda mp, a, b: mp.hypot(a, b),
    samples=Elementwise((_AWAY, Domain(-3.0, 3.0))),
    latex=r"\sqrt{{{0}^2 + {1}^2}}",
)
def hypot(a: Array, b: Array) -> Any:
    """``sqrt(a**2 + b**2)`` without overflow; the derivative at (0, 0) is 0."""


def _length(a: Any, b: Any) -> Any:
    length = hypot(a, b)
    return where(eq(length, 0.0), 1.0, length)


@elementwise(
    vjp=(
        lambda g, a, b: zmul(g, zdiv(square(hypot_slope(b, a)), _length(a, b))),
        lambda g, a, b: neg(zmul(g, zdiv(mul(hypot_slope(a, b), hypot_slope(b, a)), _length(a, b)))),
    ),
    reference=lambda mp, a, b: a / mp.sqrt(a * a + b * b),
    samples=Elementwise((_AWAY, Domain(-3.0, 3.0))),
    latex=r"\frac{{{0}}}{{\sqrt{{{0}^2 + {1}^2}}}}",
)
def hypot_slope(a: Array, b: Array) -> Array:
    """The derivative of :func:`hypot` by ``a``, ``a / hypot(a, b)``; 0 at (0, 0).

    An operation of its own because its derivative, ``b**2 / hypot(a, b)**3``, is a difference of equals otherwise.
    """
    length = np.hypot(a, b)
    return np.asarray(a / np.where(length == 0, length.dtype.type(1), length))


# --- hyperbolic ---


@elementwise(
    vjp=(lambda g, x: zmul(g, cosh(x)),),
    ufunc=np.sinh,
    reference=lambda mp, x: mp.sinh(x),
    samples=Elementwise((Domain(reach=(-300.0, 300.0)),)),
    latex=r"\sinh {0}",
)
def sinh(x: Array) -> Any:
    """The hyperbolic sine."""


@elementwise(
    vjp=(lambda g, x: zmul(g, sinh(x)),),
    ufunc=np.cosh,
    reference=lambda mp, x: mp.cosh(x),
    samples=Elementwise((Domain(reach=(-300.0, 300.0)),)),
    latex=r"\cosh {0}",
)
def cosh(x: Array) -> Any:
    """The hyperbolic cosine."""


@elementwise(
    vjp=(lambda g, x: zdiv(g, hypot(x, 1.0)),),
    ufunc=np.arcsinh,
    reference=lambda mp, x: mp.asinh(x) if hasattr(mp, "asinh") else mp.arcsinh(x),
    samples=_ANY,
    latex=r"\operatorname{{arsinh}}({0})",
)
def asinh(x: Array) -> Any:
    """The inverse of the hyperbolic sine."""


@elementwise(
    vjp=(lambda g, x: zdiv(g, mul(sqrt(sub(x, 1.0)), sqrt(add(x, 1.0)))),),
    ufunc=np.arccosh,
    reference=lambda mp, x: mp.acosh(x) if hasattr(mp, "acosh") else mp.arccosh(x),
    samples=Elementwise((Domain(1.1, 5.0, reach=(1.001, 1e15)),)),
    latex=r"\operatorname{{arcosh}}({0})",
)
def acosh(x: Array) -> Any:
    """The inverse of the hyperbolic cosine, for ``x >= 1``; its derivative is +inf at 1."""


@elementwise(
    vjp=(lambda g, x: zdiv(g, sub(1.0, square(x))),),
    ufunc=np.arctanh,
    reference=lambda mp, x: mp.atanh(x) if hasattr(mp, "atanh") else mp.arctanh(x),
    samples=_OPEN,
    latex=r"\operatorname{{artanh}}({0})",
)
def atanh(x: Array) -> Any:
    """The inverse of the hyperbolic tangent, for ``-1 < x < 1``."""


# --- rounding: the derivative is 0 everywhere ---


@elementwise(
    vjp=(no_slope,),
    ufunc=np.floor,
    reference=lambda mp, x: mp.floor(x),
    samples=_STEPS,
    latex=r"\lfloor {0} \rfloor",
    floats=False,
)
def floor(x: Array) -> Any:
    """The largest integer not above ``x``; the derivative is 0 everywhere."""


@elementwise(
    vjp=(no_slope,),
    ufunc=np.ceil,
    reference=lambda mp, x: mp.ceil(x),
    samples=_STEPS,
    latex=r"\lceil {0} \rceil",
    floats=False,
)
def ceil(x: Array) -> Any:
    """The smallest integer not below ``x``; the derivative is 0 everywhere."""


@elementwise(
    vjp=(no_slope,),
    ufunc=np.trunc,
    reference=lambda mp, x: mp.floor(x) if x > 0 else mp.ceil(x),
    samples=_STEPS,
    latex=r"\operatorname{{trunc}}({0})",
    floats=False,
)
def trunc(x: Array) -> Any:
    """``x`` without its fraction; the derivative is 0 everywhere."""


@elementwise(
    vjp=(no_slope,),
    ufunc=np.rint,
    reference=lambda mp, x: mp.nint(x) if hasattr(mp, "nint") else mp.rint(x),
    samples=_STEPS,
    latex=r"\operatorname{{round}}({0})",
    floats=False,
)
def rint(x: Array) -> Any:
    """The nearest integer, halves to the even one; the derivative is 0 everywhere."""


@elementwise(
    vjp=(lambda g: g, lambda g, a, b: neg(mul(g, trunc(div(a, b))))),
    ufunc=np.fmod,
    reference=lambda mp, a, b: a - b * (mp.floor(a / b) if a / b > 0 else mp.ceil(a / b)),
    samples=Elementwise((Domain(2.2, 2.9), Domain(0.92, 0.98))),
    latex=r"{0} - {1} \cdot \operatorname{{trunc}}(\frac{{{0}}}{{{1}}})",
    floats=False,
    passes_on=True,
)
def fmod(a: Array, b: Array) -> Any:
    """The remainder of ``a / b`` with the sign of ``a``, as C has it."""


@elementwise(
    vjp=(lambda g: g, lambda g, a, b: neg(mul(g, floor(div(a, b))))),
    ufunc=np.remainder,
    reference=lambda mp, a, b: a - b * mp.floor(a / b),
    samples=Elementwise((Domain(2.2, 2.9), Domain(0.92, 0.98))),
    latex=r"{0} - {1} \cdot \lfloor \frac{{{0}}}{{{1}}} \rfloor",
    floats=False,
    passes_on=True,
)
def remainder(a: Array, b: Array) -> Any:
    """The remainder of ``a / b`` with the sign of ``b``, as Python's ``%`` has it."""


# --- special functions ---


def _each(function: Any, x: Array) -> Array:
    """A function of the standard library on every element; NaN where it has no value, as NumPy's functions say it."""
    if x.dtype.kind == "c":
        raise TypeError(f"{function.__name__} is computed for real numbers only")

    def one(value: float) -> float:
        try:
            return float(function(value))
        except (ValueError, OverflowError):
            return math.nan

    found = np.frompyfunc(one, 1, 1)(x.astype(np.float64))
    return np.asarray(found).astype(x.dtype)


def _bell(x: Any) -> Any:
    return mul(exp(neg(square(x))), 2.0 / _ROOT_PI)


@elementwise(
    vjp=(lambda g, x: zmul(g, _bell(x)),),
    reference=lambda mp, x: mp.erf(x),
    samples=Elementwise((Domain(reach=(-8.0, 8.0)),)),
    latex=r"\operatorname{{erf}}({0})",
)
def erf(x: Array) -> Array:
    """The error function, ``2 / sqrt(pi)`` times the integral of ``exp(-t**2)`` from 0 to ``x``.

    Source: Abramowitz & Stegun, Handbook of Mathematical Functions, 7.1.1; computed by the C library.
    """
    return _each(math.erf, x)


@elementwise(
    vjp=(lambda g, x: neg(zmul(g, _bell(x))),),
    reference=lambda mp, x: mp.erfc(x),
    samples=Elementwise((Domain(reach=(-8.0, 25.0)),)),
    latex=r"\operatorname{{erfc}}({0})",
)
def erfc(x: Array) -> Array:
    """``1 - erf(x)``, without the cancellation for large ``x``."""
    return _each(math.erfc, x)


def _inverse_erf(y: float) -> float:
    """By Giles' approximation and Halley's method on the tail, where nothing cancels."""
    if not -1.0 <= y <= 1.0:
        return math.nan
    size = math.fabs(y)
    if size == 1.0:
        return math.copysign(math.inf, y)
    if size < 1e-8:
        return y * _ROOT_PI / 2.0
    w = -math.log1p(-size * size)
    if w < 5.0:
        terms: tuple[float, ...] = (2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087)
        terms += (-0.00125372503, -0.00417768164, 0.246640727, 1.50140941)
        w -= 2.5
    else:
        terms = (-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773)
        terms += (-0.0076224613, 0.00943887047, 1.00167406, 2.83297682)
        w = math.sqrt(w) - 3.0
    x = 0.0
    for term in terms:
        x = x * w + term
    x *= size
    for _ in range(6):
        wrong = math.erf(x) - size if size < 0.5 else (1.0 - size) - math.erfc(x)
        step = wrong * _ROOT_PI / 2.0 * math.exp(x * x)
        x -= step / (1.0 + x * step)
        if math.fabs(step) < 1e-10 * x:
            break
    return math.copysign(x, y)


@elementwise(
    vjp=(lambda g, y: zmul(g, mul(exp(square(y)), _ROOT_PI / 2.0)),),
    reference=lambda mp, x: mp.erfinv(x),
    samples=_OPEN,
    latex=r"\operatorname{{erf}}^{{-1}}({0})",
)
def erfinv(x: Array) -> Array:
    """The inverse of :func:`erf`, for ``-1 < x < 1``.

    Source: M. Giles, "Approximating the erfinv function", GPU Computing Gems 2 (2011), polished by Halley's method.
    """
    return _each(_inverse_erf, x)


# Bernoulli's numbers B_2 to B_16, of the expansions for large arguments.
_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)
_LARGE = 12.0
_FARTHEST = 1e4


def _derivative_of_log_gamma(n: int, x: Array) -> Array:
    """The polygamma function of order ``n``: the recurrence up to 12, and the asymptotic expansion from there."""
    x = x.astype(np.float64)
    if n == 0:
        # The reflection formula; on the other side the recurrence would add what cancels.
        mirrored = x < 0.0
        x = np.where(np.isneginf(x), np.nan, x)
        with np.errstate(all="ignore"):
            turned = np.where(mirrored, 1.0 - x, x)
            bent = math.pi / np.tan(math.pi * (x - np.round(x)))
            found = _digamma(turned) - np.where(mirrored, bent, 0.0)
        return np.where((x <= 0.0) & (x == np.floor(x)), np.where(x == 0.0, -np.copysign(np.inf, x), np.nan), found)
    power, sign = n + 1, (-1.0) ** (n + 1) * math.factorial(n)
    total = np.zeros_like(x)
    with np.errstate(all="ignore"):
        # Hurwitz' zeta function of order n + 1, by Euler and Maclaurin; far below 0 the way up is too long.
        x = np.where(x < -_FARTHEST, np.nan, x)
        while (x < _LARGE).any():
            below = x < _LARGE
            total += np.where(below, x**-power, 0.0)
            x = np.where(below, x + 1.0, x)
        total += x ** (1.0 - power) / (power - 1.0) + 0.5 * x**-power
        factor = power * x ** (-power - 1.0)
        for k, number in enumerate(_BERNOULLI, 1):
            total += number / math.factorial(2 * k) * factor
            factor = factor * (power + 2 * k - 1.0) * (power + 2.0 * k) / (x * x)
    return np.asarray(sign * total)


def _digamma(x: Array) -> Array:
    # The terms of the recurrence are larger than what stays of them: in extended precision, where the machine has it.
    x = x.astype(np.longdouble)
    total = np.zeros_like(x)
    while (x < _LARGE).any():
        below = x < _LARGE
        total -= np.where(below, 1.0 / x, 0.0)
        x = np.where(below, x + 1.0, x)
    total += np.log(x) - 0.5 / x
    square_of = 1.0 / (x * x)
    factor = square_of
    for k, number in enumerate(_BERNOULLI, 1):
        total -= number / (2.0 * k) * factor
        factor = factor * square_of
    return total


@functools.cache
def _terms_at_two() -> tuple[float, ...]:
    """``(zeta(k) - 1) / k`` for k from 2 on, as many as double precision can see."""
    two = np.array(2.0)
    return tuple([abs(float(_derivative_of_log_gamma(k - 1, two))) / math.factorial(k) for k in range(2, 45)])


def _log_gamma_near_two(x: Array) -> Array:
    """Around the zeros at 1 and 2, where the C library's is far off, the Taylor series at 2 (Abramowitz 6.1.33)."""
    shifted, above = x < 1.25, x > 2.75
    z = x - np.where(shifted, 1.0, np.where(above, 3.0, 2.0))
    total = np.zeros_like(z)
    for term in _terms_at_two()[::-1]:
        total = (total + term) * -z
    # What stays is the term of first order: 1 less Euler's constant.
    total = z * (1.0 - float(np.euler_gamma)) - total * z
    # One step of the recurrence, down or up.
    return total + np.where(shifted, -np.log(x), np.where(above, np.log(np.where(above, x - 1.0, 1.0)), 0.0))


@elementwise(
    vjp=(lambda g, x: zmul(g, polygamma_of(x, n=0)),),
    reference=lambda mp, x: mp.log(mp.fabs(mp.gamma(x))) if hasattr(mp, "fabs") else mp.gammaln(x),
    samples=Elementwise((Domain(0.2, 5.0, avoid=(1.0, 2.0), reach=(0.01, 150.0)),)),
    latex=r"\ln \lvert \Gamma({0}) \rvert",
)
def lgamma(x: Array) -> Array:
    """The logarithm of the absolute value of the gamma function.

    Source: Abramowitz & Stegun, Handbook of Mathematical Functions, 6.1; computed by the C library.
    """
    if x.dtype.kind == "c":
        raise TypeError("lgamma is computed for real numbers only")
    plain = x.astype(np.float64)
    # At its poles the C library raises; the value there is +inf.
    poles = (plain <= 0.0) & (plain == np.floor(plain))
    found = np.where(poles | np.isinf(plain), np.inf, _each(math.lgamma, np.where(poles, 1.0, plain)))
    near = (plain > 0.25) & (plain < 3.75)
    if near.any():
        found = np.where(near, _log_gamma_near_two(np.where(near, plain, 2.0)), found)
    return np.asarray(found).astype(x.dtype)


@elementwise(
    name="polygamma",
    vjp=(lambda g, x, n: zmul(g, polygamma_of(x, n=n + 1)),),
    reference=lambda mp, x, *, n: mp.polygamma(n, x),
    samples=Elementwise((Domain(0.2, 5.0, reach=(0.1, 100.0)),), params=((("n", 0),), (("n", 1),), (("n", 2),))),
    latex=r"\psi_{{{n}}}({0})",
)
def polygamma_of(x: Array, *, n: int) -> Array:
    """The derivative of order ``n + 1`` of the logarithm of the gamma function; ``n = 0`` is digamma.

    NaN below -10,000 for ``n > 0``. Source: Abramowitz & Stegun, Handbook of Mathematical Functions, 6.3 and 6.4.
    """
    if x.dtype.kind == "c":
        raise TypeError("polygamma is computed for real numbers only")
    return _derivative_of_log_gamma(n, x).astype(x.dtype)
