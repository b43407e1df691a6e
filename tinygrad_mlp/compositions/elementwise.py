"""Elementwise functions of PyTorch that are compositions of operations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import ops
from ..errors import ArgumentError, DTypeError
from ..ops import (
    acos,
    acosh,
    asin,
    asinh,
    atan,
    atan2,
    atanh,
    eq,
    exp2,
    ge,
    gt,
    isinf,
    isnan,
    le,
    lgamma,
    logical_and,
    logical_not,
    lt,
    maximum,
    minimum,
    ne,
    remainder,
    trunc,
)
from ..tape import Traced
from ..tensor import Tensor
from .common import both_names, data_of, floats, like, operand

greater, greater_equal, less, less_equal, not_equal = gt, ge, lt, le, ne
arccos, arccosh, arcsin, arcsinh, arctan, arctan2, arctanh = acos, acosh, asin, asinh, atan, atan2, atanh
absolute, negative, fix, clip = ops.abs, ops.neg, trunc, ops.clamp


@both_names
def add(input: Any, other: Any, *, alpha: Any = 1) -> Any:
    """``input + alpha * other``."""
    return ops.add(input, other if alpha == 1 else ops.mul(other, alpha))


@both_names
def sub(input: Any, other: Any, *, alpha: Any = 1) -> Any:
    """``input - alpha * other``."""
    return ops.sub(input, other if alpha == 1 else ops.mul(other, alpha))


@both_names
def rsub(input: Any, other: Any, *, alpha: Any = 1) -> Any:
    """``other - alpha * input``."""
    return sub(other, input, alpha=alpha)


@both_names
def div(input: Any, other: Any, *, rounding_mode: str | None = None) -> Any:
    """``input / other``; ``rounding_mode="trunc"`` or ``"floor"`` rounds the quotient, with derivative 0.

    Raises:
        ArgumentError: another rounding mode.
    """
    if rounding_mode is None:
        return ops.div(input, other)
    if rounding_mode not in {"trunc", "floor"}:
        raise ArgumentError(f"div: rounding_mode is None, 'trunc' or 'floor', got {rounding_mode!r}")
    if rounding_mode == "floor":
        return floor_divide(input, other)
    quotient = trunc(ops.div(input, other))
    return quotient if _has_floats(input, other) else _as_integers(quotient)


subtract, multiply, divide, true_divide = sub, ops.mul, div, div


def _has_floats(*values: Any) -> bool:
    return any(np.asarray(one.data if isinstance(one, Traced) else one).dtype.kind == "f" for one in values)


def _as_integers(x: Any) -> Any:
    return ops.astype(x, np.int64)


@both_names
def floor_divide(input: Any, other: Any) -> Any:
    """The quotient rounded down, ``input // other``; the derivative is 0."""
    if not _has_floats(input, other):
        return like(input if isinstance(input, Traced) else other, np.floor_divide(data_of(input), data_of(other)))
    # From the exact remainder: the rounded quotient can lie beyond an integer that the true one does not reach.
    return ops.rint(ops.div(ops.sub(input, remainder(input, other)), other))


@both_names
def positive(input: Any) -> Any:
    """``input`` itself."""
    if operand(input).dtype.kind == "b":
        raise DTypeError("positive: booleans have no sign")
    return input


@both_names
def reciprocal(input: Any) -> Any:
    """``1 / input``."""
    return ops.div(1.0, floats(input))


@both_names
def rsqrt(input: Any) -> Any:
    """``1 / sqrt(input)``; +inf at 0."""
    return ops.div(1.0, ops.sqrt(floats(input)))


@both_names
def float_power(input: Any, exponent: Any) -> Any:
    """``input ** exponent`` in double precision."""
    base = ops.astype(operand(input), np.float64) if not isinstance(input, (int, float)) else float(input)
    power = ops.astype(operand(exponent), np.float64) if not isinstance(exponent, (int, float)) else float(exponent)
    return ops.pow(base, power)


@both_names
def frac(input: Any) -> Any:
    """The fraction of ``input``, with its sign; derivative 1."""
    return ops.sub(input, trunc(input))


@both_names
def round(input: Any, *, decimals: int = 0) -> Any:
    """To the nearest number of so many decimals, halves to the even one; the derivative is 0 everywhere."""
    if decimals == 0:
        return ops.rint(input)
    scale = 10.0 ** abs_int(decimals)
    if decimals > 0:
        return ops.div(ops.rint(ops.mul(input, scale)), scale)
    return ops.mul(ops.rint(ops.div(input, scale)), scale)


def abs_int(value: int) -> int:
    """``|value|`` of a Python integer."""
    return -value if value < 0 else value


@both_names
def lerp(input: Any, end: Any, weight: Any) -> Any:
    """``input + weight * (end - input)``, from ``input`` at weight 0 to ``end`` at 1."""
    return ops.add(input, ops.mul(weight, ops.sub(end, input)))


@both_names
def addcmul(input: Any, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Any:
    """``input + value * tensor1 * tensor2``."""
    return ops.add(input, ops.mul(ops.mul(tensor1, tensor2), value))


@both_names
def addcdiv(input: Any, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Any:
    """``input + value * tensor1 / tensor2``."""
    return ops.add(input, ops.mul(ops.div(tensor1, tensor2), value))


@both_names
def heaviside(input: Any, values: Any) -> Any:
    """0 below zero, 1 above, ``values`` at zero; no gradient goes through the step."""
    return ops.where(eq(input, 0.0), values, ops.astype(gt(input, 0.0), operand(input).dtype))


@both_names
def sgn(input: Any) -> Any:
    """-1, 0 or 1; the derivative is 0."""
    return ops.sign(input)


@both_names
def signbit(input: Any) -> Any:
    """Whether the sign is minus, that of -0 too; no gradient. NaN counts as positive."""
    # The angle of (x, 0) tells -0 from 0, which no comparison does.
    return gt(atan2(0.0, constant(floats(input))), 1.0)


def constant(x: Any) -> Any:
    """``x`` without its history."""
    return x.detach() if isinstance(x, Tensor) else x


@both_names
def copysign(input: Any, other: Any) -> Any:
    """The magnitude of ``input`` with the sign of ``other``; the derivative by ``other`` is 0."""
    signs = signbit(operand(other))
    size = ops.abs(floats(input))
    return ops.where(signs, ops.neg(size), size)


@both_names
def logical_xor(input: Any, other: Any) -> Any:
    """Whether exactly one of both is not zero."""
    return ne(ne(input, 0), ne(other, 0))


@both_names
def isposinf(input: Any) -> Any:
    """Where ``input`` is +inf."""
    return logical_and(isinf(input), gt(input, 0))


@both_names
def isneginf(input: Any) -> Any:
    """Where ``input`` is -inf."""
    return logical_and(isinf(input), lt(input, 0))


@both_names
def isreal(input: Any) -> Any:
    """Everywhere: there are no complex tensors."""
    return like(input, np.ones(operand(input).shape, bool))


@both_names
def isclose(input: Any, other: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Any:
    """Where ``|input - other| <= atol + rtol * |other|``."""
    return like(input, np.isclose(data_of(input), data_of(other), rtol=rtol, atol=atol, equal_nan=equal_nan))


@both_names
def allclose(input: Any, other: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
    """Whether all elements are close, see :func:`isclose`."""
    return bool(np.allclose(data_of(input), data_of(other), rtol=rtol, atol=atol, equal_nan=equal_nan))


@both_names
def equal(input: Any, other: Any) -> bool:
    """Whether both have the same shape and elements."""
    return bool(np.array_equal(data_of(input), data_of(other)))


@both_names
def nan_to_num(input: Any, nan: float | None = None, posinf: float | None = None, neginf: float | None = None) -> Any:
    """NaN and infinities replaced by numbers, by default 0 and the largest finite ones; no gradient goes there."""
    x = operand(input)
    if x.dtype.kind != "f":
        return input
    limits = np.finfo(x.dtype)
    x = ops.where(isnan(x), float(nan or 0.0), x)
    x = ops.where(isposinf(x), float(limits.max) if posinf is None else float(posinf), x)
    return ops.where(isneginf(x), float(limits.min) if neginf is None else float(neginf), x)


@both_names
def masked_fill(input: Any, mask: Any, value: Any) -> Any:
    """``value``, a number or a 0-d tensor, where ``mask`` holds."""
    if operand(value).ndim:
        raise ArgumentError(f"masked_fill: value is a number or a 0-d tensor, got shape {tuple(operand(value).shape)}")
    return ops.where(mask, as_kind(value, operand(input).dtype), input)


def as_kind(value: Any, dtype: Any) -> Any:
    """A number or tensor as one of ``dtype``, where that is not of floats, so that it does not make them floats."""
    if dtype.kind == "f":
        return value
    return ops.astype(value, dtype) if isinstance(value, Traced) else np.asarray(value).astype(dtype)


@both_names
def clamp_min(input: Any, min: Any) -> Any:
    """``max(input, min)``; the derivative is 0 at the edge."""
    return ops.clamp(input, min, None)


@both_names
def clamp_max(input: Any, max: Any) -> Any:
    """``min(input, max)``; the derivative is 0 at the edge."""
    return ops.clamp(input, None, max)


@both_names
def fmax(input: Any, other: Any) -> Any:
    """The larger of both; a NaN loses."""
    return ops.where(isnan(other), input, ops.where(isnan(input), other, maximum(input, other)))


@both_names
def fmin(input: Any, other: Any) -> Any:
    """The smaller of both; a NaN loses."""
    return ops.where(isnan(other), input, ops.where(isnan(input), other, minimum(input, other)))


@both_names
def logaddexp(input: Any, other: Any) -> Any:
    """``log(exp(input) + exp(other))`` without overflow."""
    a, b = ops.same_dtype(floats(input), floats(other))
    shape = np.broadcast_shapes(a.shape, b.shape)
    return ops.logsumexp(ops.stack([_spread(a, shape), _spread(b, shape)], 0), 0)


def _spread(x: Any, shape: tuple[int, ...]) -> Any:
    return x if tuple(x.shape) == shape else ops.expand(x, shape)


@both_names
def logaddexp2(input: Any, other: Any) -> Any:
    """``log2(2**input + 2**other)`` without overflow."""
    ln2 = math.log(2.0)
    return ops.div(logaddexp(ops.mul(floats(input), ln2), ops.mul(floats(other), ln2)), ln2)


@both_names
def xlogy(input: Any, other: Any) -> Any:
    """``input * log(other)``, and 0 where ``input`` is 0."""
    zero = logical_and(eq(input, 0), logical_not(isnan(other)))
    safe = ops.where(zero, 1.0, floats(other))
    # Where it is 0, the derivative by input is still log(other): the product with the constant 0 has it.
    return ops.where(zero, _zero_times_log(input, other), ops.mul(input, ops.log(safe)))


def _zero_times_log(x: Any, y: Any) -> Any:
    tracked = isinstance(x, Traced) and x.node is not None
    return ops.zmul(x, ops.log(floats(y))) if tracked else 0.0


@both_names
def xlog1py(input: Any, other: Any) -> Any:
    """``input * log1p(other)``, and 0 where ``input`` is 0."""
    return xlogy(input, ops.add(other, 1.0)) if not isinstance(other, Traced) else _xlog1py(input, other)


def _xlog1py(x: Any, y: Any) -> Any:
    zero = logical_and(eq(x, 0), logical_not(isnan(y)))
    return ops.where(zero, 0.0, ops.mul(x, ops.log1p(ops.where(zero, 0.0, floats(y)))))


@both_names
def entr(input: Any) -> Any:
    """``-x log x``; 0 at 0, -inf below."""
    x = floats(input)
    below = lt(x, 0.0)
    return ops.where(below, -math.inf, ops.neg(xlogy(x, ops.where(below, 1.0, x))))


@both_names
def sinc(input: Any) -> Any:
    """``sin(pi x) / (pi x)``, and 1 at 0.

    Near 0 it is the power series, whose derivatives do not cancel as those of the quotient do.
    """
    x = floats(input)
    near = lt(ops.abs(x), 0.5)
    z = ops.square(ops.mul(ops.where(near, x, 0.0), math.pi))
    series: Any = 0.0
    for k in range(12, -1, -1):
        series = ops.add(ops.mul(z, series), (-1.0) ** k / math.factorial(2 * k + 1))
    far = ops.mul(ops.where(near, 1.0, x), math.pi)
    return ops.where(near, series, ops.div(ops.sin(far), far))


@both_names
def digamma(input: Any) -> Any:
    """The derivative of ``lgamma``."""
    return ops.polygamma_of(floats(input), n=0)


@both_names
def polygamma(n: int, input: Any) -> Any:
    """The ``n``-th derivative of ``digamma``.

    Raises:
        ArgumentError: a negative order.
    """
    if n < 0:
        raise ArgumentError(f"polygamma: the order is 0 or more, got {n}")
    return ops.polygamma_of(floats(input), n=int(n))


@both_names
def mvlgamma(input: Any, p: int) -> Any:
    """The logarithm of the multivariate gamma function of dimension ``p``."""
    x = floats(input)
    total: Any = p * (p - 1) / 4.0 * math.log(math.pi)
    for k in range(p):
        total = ops.add(lgamma(ops.sub(x, k / 2.0)), total)
    return total


@both_names
def logit(input: Any, eps: float | None = None) -> Any:
    """``log(x / (1 - x))``, ``x`` first limited to ``[eps, 1 - eps]`` where ``eps`` is given."""
    x = floats(input)
    if eps is not None:
        x = ops.clamp(x, eps, 1.0 - eps)
    return ops.sub(ops.log(x), ops.log1p(ops.neg(x)))


@both_names
def deg2rad(input: Any) -> Any:
    """Degrees to radians."""
    return ops.mul(floats(input), math.pi / 180.0)


@both_names
def rad2deg(input: Any) -> Any:
    """Radians to degrees."""
    return ops.mul(floats(input), 180.0 / math.pi)


@both_names
def ldexp(input: Any, other: Any) -> Any:
    """``input * 2**other``."""
    return ops.mul(input, exp2(floats(other)))


@both_names
def cbrt(input: Any) -> Any:
    """The cubic root; +inf is its derivative at 0."""
    x = floats(input)
    return ops.mul(ops.sign(x), ops.pow(ops.abs(x), 1.0 / 3.0))


@both_names
def threshold(input: Any, threshold: float, value: float) -> Any:
    """``input`` where it is above ``threshold``, else ``value``."""
    return ops.where(gt(input, threshold), input, as_kind(value, operand(input).dtype))


# --- as torch has it of complex numbers, too ---


@both_names
def angle(input: Any) -> Any:
    """0, and pi for negative numbers: the angle of a real number in the complex plane; derivative 0."""
    x = floats(input)
    return ops.where(isnan(x), x, ops.where(lt(x, 0.0), np.asarray(math.pi, x.dtype), ops.mul(x, 0.0)))


@both_names
def real(input: Any) -> Any:
    """``input`` itself: there are no complex tensors."""
    return operand(input)


conj = conj_physical = resolve_conj = resolve_neg = real


# Above this the asymptotic series has the precision of a double before its terms grow again.
_FAR_BESSEL = 20.0


@both_names
def i0(input: Any) -> Any:
    """The modified Bessel function of the first kind and order 0; its derivative is that of order 1.

    ``sum of (x**2 / 4)**k / k!**2`` up to 20, all terms of one sign, and beyond the asymptotic series
    ``exp(x) / sqrt(2 pi x) * sum of ((2k - 1)!!)**2 / (k! (8 x)**k)``.

    Source: Abramowitz & Stegun, 9.6.10 and 9.7.1.
    """
    x = floats(input)
    size = ops.abs(x)
    near = le(size, _FAR_BESSEL)
    z = ops.mul(ops.square(ops.where(near, x, 0.0)), 0.25)
    series: Any = 1.0
    for k in range(50, 0, -1):
        series = ops.add(ops.mul(ops.mul(z, series), 1.0 / k**2), 1.0)
    far = ops.where(near, _FAR_BESSEL, size)
    inverse = ops.div(0.125, far)
    rest: Any = 1.0
    for k in range(22, 0, -1):
        rest = ops.add(ops.mul(ops.mul(inverse, rest), (2 * k - 1) ** 2 / k), 1.0)
    # The root of the exponential twice: exp(x) alone leaves the range before the quotient does.
    half = ops.exp(ops.mul(far, 0.5))
    whole = ops.mul(half, ops.mul(half, ops.div(rest, ops.sqrt(ops.mul(far, 2.0 * math.pi)))))
    return ops.where(near, series, whole)


# --- questions about a tensor ---


@both_names
def is_complex(input: Any) -> bool:
    """Never: there are no complex tensors."""
    return bool(operand(input).dtype.kind == "c")


def is_tensor(obj: Any) -> bool:
    """Whether this is a tensor."""
    return isinstance(obj, Traced)
