"""Arithmetic, powers, and choosing between values."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..dtypes import float_dtype_of
from ..errors import ShapeError
from ..samples import Domain, Elementwise
from ..tape import Array, Traced
from . import calls, native
from .declare import operand, stands_for
from .elementwise import elementwise
from .kernels import kept_where, magnitude
from .names import both_names, refuse_out

_ANY = Domain(reach=(-1e100, 1e100), least=1e-100)
_TWO = Elementwise((_ANY, _ANY))
_NO_KINK = Domain(avoid=(0.0,), reach=(-1e100, 1e100), least=1e-100)
_DIVISOR = Domain(avoid=(0.0,), margin=0.2, reach=(-1e100, 1e100), least=1e-100)
_POSITIVE = Domain(0.05, 5.0, reach=(0.0, 1e300), least=1e-300)
_BASE = Domain(0.05, 5.0, reach=(0.0, 1e25), least=1e-25)
_EXPONENT = Domain(reach=(-10.0, 10.0), least=1e-4)


@elementwise(
    vjp=(lambda g: g, lambda g: g),
    ufunc=np.add,
    reference=lambda mp, a, b: a + b,
    samples=_TWO,
    scalar="({0} + {1})",
    latex="{0} + {1}",
    passes_on=True,
    floats=False,
    text="{a} + {b}",
)
def add(a: Array, b: Array) -> Any:
    """``a + b``."""


@elementwise(
    vjp=(lambda g: g, lambda g: neg(g)),
    ufunc=np.subtract,
    reference=lambda mp, a, b: a - b,
    samples=_TWO,
    scalar="({0} - {1})",
    latex="{0} - {1}",
    passes_on=True,
    floats=False,
    text="{a} - {b}",
)
def sub(a: Array, b: Array) -> Any:
    """``a - b``."""


@elementwise(
    vjp=(lambda g, b: mul(g, b), lambda g, a: mul(g, a)),
    ufunc=np.multiply,
    reference=lambda mp, a, b: a * b,
    samples=_TWO,
    scalar="({0} * {1})",
    latex=r"{0} \cdot {1}",
    floats=False,
    text="{a} * {b}",
)
def mul(a: Array, b: Array) -> Any:
    """``a * b``."""


@elementwise(
    vjp=(lambda g: neg(g),),
    ufunc=np.negative,
    reference=lambda mp, x: -x,
    samples=Elementwise((_ANY,)),
    scalar="(-{0})",
    latex="-{0}",
    floats=False,
    text="-{x}",
)
def neg(x: Array) -> Any:
    """``-x``."""


# --- products in which an exact zero wins ---------------------------------------------------------


def _spoilt(product: Any) -> bool:
    # A sum of squares is NaN exactly when some element is: one cheap pass tells whether a repair is due at all.
    # The walk has floating-point warnings off.
    flat = product.ravel("K") if type(product) is np.ndarray else np.asarray(product).ravel()
    total = flat.dot(flat)
    return total != total  # noqa: PLR0124 - NaN alone differs from itself, and this is the fastest way to ask


def _repair(product: Any, z: Any) -> Any:
    if _spoilt(product):
        product = np.asarray(product)
        np.copyto(product, 0, where=np.isnan(product) & (np.asarray(z) == 0))
    return product


@elementwise(
    vjp=(lambda g, b: either_zero_wins(g, b), lambda g, a: either_zero_wins(g, a)),
    reference=lambda mp, a, b: a * b,
    samples=_TWO,
    scalar="({0} == 0 || {1} == 0 ? 0 : {0} * {1})",
    latex=r"{0} \cdot {1}",
)
def either_zero_wins(a: Array, b: Array) -> Array:
    """``a * b``, but 0 wherever a factor is exactly 0, even if the other is infinite or NaN.

    The rules of :func:`zmul` multiply with this: where ``z`` is 0 the product does not depend on the other factor,
    however steep the gradient that comes in may be.
    """
    return _repair(_repair(np.multiply(a, b), a), b)


@elementwise(
    vjp=(lambda g, d: zmul(g, d), lambda g, z: either_zero_wins(g, z)),
    reference=lambda mp, z, d: z * d,
    samples=_TWO,
    scalar="({0} == 0 ? 0 : {0} * {1})",
    latex=r"{0} \cdot {1}",
)
def zmul(z: Array, d: Array, *, out: Array | None = None) -> Array:
    """``z * d``, but 0 wherever ``z`` is exactly 0, even if ``d`` is infinite or NaN.

    Rules of ops whose derivative can be infinite multiply with this, so that a branch that was not taken (incoming
    gradient 0) cannot turn the whole gradient into NaN.
    """
    return _repair(np.multiply(z, d, out=out), z)


@elementwise(
    vjp=(lambda g, d: zdiv(g, d), lambda g, y, d: neg(zdiv(either_zero_wins(g, y), d))),
    reference=lambda mp, z, d: z / d,
    samples=Elementwise((_ANY, _DIVISOR)),
    scalar="({0} == 0 ? 0 : {0} / {1})",
    latex=r"\frac{{{0}}}{{{1}}}",
)
def zdiv(z: Array, d: Array, *, out: Array | None = None) -> Array:
    """``z / d``, but 0 wherever ``z`` is exactly 0, even if ``d`` is 0."""
    return _repair(np.true_divide(z, d, out=out), z)


@elementwise(
    vjp=(lambda g, b: zdiv(g, b), lambda g, y, b: neg(zdiv(zmul(g, y), b))),
    ufunc=np.true_divide,
    reference=lambda mp, a, b: a / b,
    samples=Elementwise((_ANY, _DIVISOR)),
    scalar="({0} / {1})",
    latex=r"\frac{{{0}}}{{{1}}}",
    text="{a} / {b}",
)
def div(a: Array, b: Array) -> Any:
    """``a / b``, true division."""


# --- powers ---------------------------------------------------------------------------------------


@elementwise(
    vjp=(lambda g, x: mul(g, mul(x, 2.0)),),
    numpy=np.square,
    reference=lambda mp, x: x * x,
    samples=Elementwise((_ANY,)),
    scalar="({0} * {0})",
    latex="{0}^2",
    floats=False,
)
def square(x: Array, *, out: Array | None = None) -> Array:
    """``x * x``."""
    return np.multiply(x, x, out=out)


@elementwise(
    vjp=(lambda g, y: zmul(g, zdiv(0.5, abs(y))),),
    ufunc=np.sqrt,
    reference=lambda mp, x: mp.sqrt(x),
    samples=Elementwise((_POSITIVE,)),
    scalar="sqrt({0})",
    latex=r"\sqrt{{{0}}}",
)
def sqrt(x: Array) -> Any:
    """The square root; its derivative ``0.5 / |sqrt(x)|`` is +inf at 0."""


@elementwise(
    vjp=(lambda g, x: zdiv(g, x),),
    ufunc=np.log,
    reference=lambda mp, x: mp.log(x),
    samples=Elementwise((_POSITIVE,)),
    scalar="log({0})",
    latex=r"\ln {0}",
)
def log(x: Array) -> Any:
    """The natural logarithm."""


@elementwise(
    name="pow_by_number",
    vjp=(lambda g, x, exponent: zmul(g, _power_slope(x, exponent)),),
    reference=lambda mp, x, *, exponent: x**exponent,
    samples=Elementwise((_BASE,), params=tuple((("exponent", one),) for one in (3, -2, 0.5, 1.7, 0.3))),
    latex="{0}^{{{exponent}}}",
    floats=False,
    native=native.powering,
)
def power_by(x: Array, *, exponent: float) -> Array:
    """``x ** exponent`` for a plain number; integers by repeated multiplication, so negative ``x`` is exact."""
    return x**exponent


def _power_slope(x: Any, exponent: float) -> Any:
    if exponent == 0:
        return np.zeros(x.shape, x.dtype)
    if exponent >= 0.5 or exponent == int(exponent):
        return mul(power_by(x, exponent=exponent - 1), float(exponent))
    # Here exponent - 1 would be rounded, and a large log x would magnify the rounding.
    slope = div(mul(power_by(x, exponent=exponent), float(exponent)), x)
    return where(ties(x, 0.0), float(exponent) * np.inf, where(ties(x, np.inf), 0.0, slope))


@elementwise(
    name="pow",
    vjp=(
        lambda g, base, exponent: zmul(g, pow_by_base(base, exponent)),
        lambda g, base, exponent: zmul(g, pow_by_exponent(base, exponent)),
    ),
    numpy=np.float_power,
    reference=lambda mp, base, exponent: base**exponent,
    samples=Elementwise((_BASE, _EXPONENT)),
    scalar="pow({0}, {1})",
    latex="{0}^{{{1}}}",
    floats=False,
)
def power(base: Array, exponent: Array, *, out: Array | None = None) -> Array:
    """``base ** exponent``, both arrays."""
    return np.power(base, exponent, out=out)


def _one_dtype_and_shape(base: Any, exponent: Any) -> list[Array]:
    # A constant without axes arrives as a bare number; made an array as it is, it would turn float32 into float64.
    dtype = np.result_type(base, exponent)
    return list(np.broadcast_arrays(np.asarray(base, dtype), np.asarray(exponent, dtype)))


@elementwise(
    vjp=(
        lambda g, base, exponent: zmul(
            g, either_zero_wins(power_less(base, exponent, n=2), _falling(_typed(exponent, base)))
        ),
        lambda g, base, exponent: zmul(g, _mixed(base, exponent)),
    ),
    reference=lambda mp, base, exponent: exponent * base ** (exponent - 1),
    samples=Elementwise((_BASE, _EXPONENT)),
    scalar="pow_by_base({0}, {1})",
    latex=r"{1} \, {0}^{{{1} - 1}}",
)
def pow_by_base(base: Array, exponent: Array) -> Array:
    """The derivative of ``base ** exponent`` by ``base``; 0 where ``exponent`` is 0, whatever the base."""
    base, exponent = _one_dtype_and_shape(base, exponent)
    with np.errstate(all="ignore"):
        lowered = _lowered(base, exponent, 1)
        slope = exponent * lowered
    vanishing = (exponent == 0) | (np.isinf(exponent) & (lowered == 0))
    return np.where(vanishing, np.zeros((), slope.dtype), slope)


@elementwise(
    vjp=(
        lambda g, base, exponent, n: zmul(
            g, either_zero_wins(power_less(base, exponent, n=n + 1), sub(_typed(exponent, base), float(n)))
        ),
        lambda g, base, exponent, n: zmul(g, zmul(power_less(base, exponent, n=n), log(_typed(base, exponent)))),
    ),
    reference=lambda mp, base, exponent, *, n: base ** (exponent - n),
    samples=Elementwise((_BASE, _EXPONENT), params=((("n", 1),), (("n", 2),))),
    scalar="power_less({0}, {1}, {n})",
    latex=r"{0}^{{{1} - {n}}}",
)
def power_less(base: Array, exponent: Array, *, n: int) -> Array:
    """``base ** (exponent - n)`` for a whole number ``n``, without rounding the difference.

    A large ``log(base)`` would magnify that rounding: the value is divided by the base instead.
    """
    base, exponent = _one_dtype_and_shape(base, exponent)
    with np.errstate(all="ignore"):
        return _lowered(base, exponent, n)


def _typed(number: Any, other: Any) -> Any:
    # A function of a bare number is a NumPy scalar, and would impose its float64 on what it is multiplied with.
    return number if isinstance(number, (np.ndarray, Traced)) else other.dtype.type(number)


def _falling(exponent: Any) -> Any:
    return mul(exponent, sub(exponent, 1.0))


def _lowered(base: Array, exponent: Array, n: int) -> Array:
    lowered = np.power(base, exponent - n)
    divided = np.power(base, exponent)
    for _ in range(n):
        divided = divided / base
    # From n / 2 on, the difference is exact.
    usable = (exponent < 0.5 * n) & np.isfinite(divided) & (divided != 0) & (base != 0)
    return np.where(usable, divided, lowered)


def _mixed(base: Any, exponent: Any) -> Any:
    return add(power_less(base, exponent, n=1), zmul(pow_by_base(base, exponent), log(_typed(base, exponent))))


@elementwise(
    vjp=(
        lambda g, base, exponent: zmul(g, _mixed(base, exponent)),
        lambda g, y, base: zmul(g, zmul(y, log(_typed(base, y)))),
    ),
    reference=lambda mp, base, exponent: base**exponent * mp.log(base),
    samples=Elementwise((_BASE, _EXPONENT)),
    scalar="pow_by_exponent({0}, {1})",
    latex=r"{0}^{{{1}}} \ln {0}",
)
def pow_by_exponent(base: Array, exponent: Array) -> Array:
    """The derivative of ``base ** exponent`` by ``exponent``; 0 at base 0 for exponent >= 0, NaN for base < 0."""
    base, exponent = _one_dtype_and_shape(base, exponent)
    with np.errstate(all="ignore"):
        value = np.power(base, exponent)
        slope = value * np.log(base)
    zero = np.zeros((), slope.dtype)
    vanishing = ((base == 0) & (exponent >= 0)) | ((value == 0) & (base > 0))
    return np.where(vanishing, zero, slope)


@stands_for(np.power)
def pow(input: Any, exponent: Any, *, out: Any = None) -> Any:
    """``input ** exponent``, elementwise.

    At singular points the limits are taken: 0 ** 0 is 1 with derivative 0 by the base; the derivative by the exponent
    is 0 at base 0 and NaN for negative bases. Source of the table: IEEE 754 pow, and continuity where IEEE is silent.
    """
    if out is not None:
        refuse_out("pow")
    if isinstance(input, Traced) and not isinstance(exponent, Traced):
        exponent = operand(exponent)
        kind = type(exponent)
        if kind is np.ndarray:
            exponent = exponent.astype(float_dtype_of(input.data.dtype)) if exponent.dtype.kind == "b" else exponent
        elif exponent == 2:
            return square(input)
        elif math.isfinite(exponent):
            if input.data.dtype.kind not in "fc" and (kind not in (int, bool) or exponent < 0):
                input = mul(input, 1.0)
            return power_by(input, exponent=int(exponent) if kind in (int, bool) else float(exponent))
    return power(input, exponent)


# --- choosing -------------------------------------------------------------------------------------


def no_slope(g: Any) -> Any:
    """The rule of what is constant between its jumps."""
    return np.zeros(g.shape, g.dtype)


@elementwise(
    vjp=(no_slope,),
    ufunc=np.sign,
    reference=lambda mp, x: mp.sign(x),
    samples=Elementwise((_NO_KINK,)),
    scalar="sign({0})",
    latex=r"\operatorname{{sign}}({0})",
    floats=False,
)
def sign(x: Array) -> Any:
    """-1, 0 or 1; the derivative is 0 everywhere."""


@elementwise(
    vjp=(lambda g, x: zmul(g, sign(x)),),
    numpy=(np.absolute, np.fabs),
    reference=lambda mp, x: x if x >= 0 else -x,
    samples=Elementwise((_NO_KINK,)),
    scalar="magnitude({0})",
    latex=r"\lvert {0} \rvert",
    floats=False,
)
def abs(x: Array) -> Array:
    """``|x|``; derivative 0 at the kink."""
    return magnitude(x)


@elementwise(
    vjp=(None, None),
    samples=Elementwise((Domain(), Domain())),
    reference=lambda mp, a, b: a == b,
    floats=False,
    scalar="({0} == {1} || ({0} != {0} && {1} != {1}))",
    latex="[{0} = {1}]",
)
def ties(a: Array, b: Array) -> Array:
    """Where ``a`` equals ``b``, NaN being equal to NaN. A mask chosen at a kink is a constant: no gradient."""
    # In C order, whatever that of a view: masks meet arrays that were made in it.
    same = np.equal(a, b, order="C")
    # NaN needs three more passes over memory; whether there is any, one over the smaller operand tells.
    smaller = a if np.size(a) < np.size(b) else b
    return same | (np.isnan(a) & np.isnan(b)) if np.isnan(smaller).any() else same


@elementwise(
    vjp=(
        None,
        lambda g, condition: where(condition, g, 0.0),
        lambda g, condition: where(condition, 0.0, g),
    ),
    reference=lambda mp, condition, a, b: a if condition else b,
    samples=Elementwise((Domain(avoid=(0.0,)), _ANY, _ANY)),
    scalar="({0} ? {1} : {2})",
    latex=r"\begin{{cases}} {1} & {0} \\ {2} & \text{{else}} \end{{cases}}",
    numpy=np.where,
    floats=False,
)
def where(condition: Array, a: Array, b: Array) -> Array:
    """``a`` where ``condition`` holds, else ``b``; the gradient goes to the one chosen, the condition has none."""
    if isinstance(b, float) and b == 0.0:
        return kept_where(condition, a, b)
    return np.where(condition, a, b)


def safe_where(condition: Any, x: Any, f: Callable[[Any], Any], g: Callable[[Any], Any]) -> Any:
    """``f(x)`` where ``condition`` holds, else ``g(x)``; each function only ever sees elements that are meant for it.

    ``where(condition, f(x), g(x))`` computes both functions everywhere. Where ``f`` is singular, its forward pass
    warns, and its gradient can be 0 times infinity. Here elements that are not meant for ``f`` are replaced, before
    ``f`` is called, by one that is, and likewise for ``g``; what becomes of them is thrown away, in the gradients of
    every order too.

    Args:
        condition: booleans, as tensor or array, that broadcast to the shape of ``x``.
        x: the tensor or array.
        f, g: elementwise functions of ``x``; one that no element is meant for is not called.

    Raises:
        ShapeError: the condition does not broadcast to the shape of ``x``.

    >>> x = np.array([0.0, 1.0, 2.0])
    >>> safe_where(x > 0, x, lambda x: x * np.log(x), lambda x: 0 * x)
    array([0.        , 0.        , 1.38629436])
    """
    values = x.data if isinstance(x, Traced) else np.asarray(x)
    given = condition.data if isinstance(condition, Traced) else np.asarray(condition)
    try:
        chosen = np.broadcast_to(given, values.shape).astype(bool)
    except ValueError:
        raise ShapeError(
            f"safe_where: a condition of shape {given.shape} does not broadcast to the shape of x, {values.shape}"
        ) from None
    if chosen.all():
        return f(x)
    if not chosen.any():
        return g(x)
    first = f(where(chosen, x, values[chosen][0]))
    second = g(where(chosen, values[~chosen][0], x))
    return where(chosen, first, second)


@elementwise(
    vjp=(lambda g, switch: gate(g, switch), None),
    reference=lambda mp, z, y: z if y > 0 else 0 * z,
    samples=Elementwise((_ANY, _NO_KINK)),
    scalar="({1} > 0 ? {0} : 0)",
    calls=calls.gating,
    latex=r"{0} \, [{1} > 0]",
)
def gate(z: Array, switch: Array) -> Array:
    """``z`` where ``switch > 0``, else exactly 0 (also where ``z`` is infinite): the gradient of relu."""
    # Three times faster than selecting, and equal to it unless z has an infinity or NaN where the gate is shut.
    product = np.multiply(z, switch > 0)
    return np.where(switch > 0, z, z.dtype.type(0)) if _spoilt(product) else product


@elementwise(
    vjp=(lambda g, x, bound: gate(g, sub(x, bound)), None),
    reference=lambda mp, x, bound: max(bound, x),
    samples=Elementwise((_ANY, _ANY), apart=0.05),
    scalar="larger({0}, {1})",
    latex=r"\max({0}, {1})",
    floats=False,
)
def at_least(x: Array, bound: Array, *, out: Array | None = None) -> Array:
    """``max(x, bound)`` where ``bound`` wants no gradient: at ``x == bound`` the derivative is 0."""
    return np.maximum(x, bound, out=out)


@elementwise(
    vjp=(lambda g, x, bound: gate(g, sub(bound, x)), None),
    reference=lambda mp, x, bound: min(bound, x),
    samples=Elementwise((_ANY, _ANY), apart=0.05),
    scalar="smaller({0}, {1})",
    latex=r"\min({0}, {1})",
    floats=False,
)
def at_most(x: Array, bound: Array, *, out: Array | None = None) -> Array:
    """``min(x, bound)`` where ``bound`` wants no gradient: at ``x == bound`` the derivative is 0."""
    return np.minimum(x, bound, out=out)


def _share(g: Any, difference: Any) -> Any:
    # At a tie both operands are extreme: each gets half (the subgradient of least norm).
    return where(ties(difference, 0.0), mul(g, 0.5), gate(g, difference))


@elementwise(
    name="maximum",
    vjp=(lambda g, a, b: _share(g, sub(a, b)), lambda g, a, b: _share(g, sub(b, a))),
    reference=lambda mp, a, b: max(b, a),
    samples=Elementwise((_ANY, _ANY), apart=0.05),
    scalar="larger({0}, {1})",
    latex=r"\max({0}, {1})",
    floats=False,
)
def larger(a: Array, b: Array, *, out: Array | None = None) -> Array:
    """``max(a, b)`` where both want gradients: half to each at a tie."""
    return np.maximum(a, b, out=out)


@elementwise(
    name="minimum",
    vjp=(lambda g, a, b: _share(g, sub(b, a)), lambda g, a, b: _share(g, sub(a, b))),
    reference=lambda mp, a, b: min(b, a),
    samples=Elementwise((_ANY, _ANY), apart=0.05),
    scalar="smaller({0}, {1})",
    latex=r"\min({0}, {1})",
    floats=False,
)
def smaller(a: Array, b: Array, *, out: Array | None = None) -> Array:
    """``min(a, b)`` where both want gradients: half to each at a tie."""
    return np.minimum(a, b, out=out)


def _tracked(value: Any) -> bool:
    return isinstance(value, Traced) and value.node is not None and value.node.wants


@stands_for(np.maximum)
def maximum(input: Any, other: Any, *, out: Any = None) -> Any:
    """The larger of ``input`` and ``other``, elementwise; NaN wins.

    At a tie the gradient is the subgradient of least norm over the operands that want one: 0 if one does, half to
    each if both do.
    """
    if out is not None:
        refuse_out("maximum")
    if _tracked(other):
        return larger(input, other) if _tracked(input) else at_least(other, input)
    return at_least(input, other)


@stands_for(np.minimum)
def minimum(input: Any, other: Any, *, out: Any = None) -> Any:
    """The smaller of ``input`` and ``other``, elementwise; NaN wins. Ties as in :func:`maximum`."""
    if out is not None:
        refuse_out("minimum")
    if _tracked(other):
        return smaller(input, other) if _tracked(input) else at_most(other, input)
    return at_most(input, other)


@stands_for(np.clip)
@both_names
def clamp(input: Any, min: Any = None, max: Any = None) -> Any:
    """``input`` limited to ``[min, max]``; None, numbers or tensors; the derivative is 0 at both edges."""
    if min is not None:
        input = maximum(input, min)
    if max is not None:
        input = minimum(input, max)
    return input
