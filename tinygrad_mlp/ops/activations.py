"""Activation functions. Each slope has a formula of its own that stays accurate where the function saturates."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import ArgumentError
from ..samples import Domain, Elementwise
from ..tape import Array
from . import calls
from .arithmetic import add, clamp, gate, mul, neg, square, sub, where, zmul
from .compare import gt
from .elementwise import elementwise
from .functions import tanh
from .kernels import FAR, magnitude, normal

_LOGIT = Domain(-20.0, 20.0, reach=(-700.0, 700.0))
_WIDE = Elementwise((_LOGIT,))
_ANY = Domain(reach=(-1e100, 1e100), least=1e-100)
_NO_KINK = Domain(avoid=(0.0,), reach=(-1e100, 1e100), least=1e-100)
# exp of less than its negative is 0 in every dtype.
_SATURATED = 800.0
_NORMAL = Elementwise((Domain(-5.0, 5.0, reach=(-26.0, 26.0)),))


@elementwise(
    vjp=(lambda g, y: gate(g, y),),
    reference=lambda mp, x: x if x > 0 else 0 * x,
    samples=Elementwise((_NO_KINK,)),
    scalar="larger({0}, ({type})0)",
    calls=calls.rectifying,
    latex=r"\max({0}, 0)",
    floats=False,
    text="np.maximum({x}, 0)",
)
def relu(x: Array, *, out: Array | None = None) -> Array:
    """``max(x, 0)``; derivative 0 at the kink; NaN stays NaN."""
    return np.maximum(x, x.dtype.type(0), out=out)


@elementwise(
    vjp=(lambda g, x: mul(g, sigmoid_slope(x)),),
    reference=lambda mp, x: 1 / (1 + mp.exp(-x)),
    samples=_WIDE,
    scalar="sigmoid({0})",
    calls=calls.sigmoid,
    latex=r"\sigma({0})",
)
def sigmoid(x: Array) -> Array:
    """The logistic function ``1 / (1 + exp(-x))``, computed from ``exp(-|x|)`` so that nothing overflows."""
    e = np.exp(-magnitude(x))
    return np.where(x.real >= 0, e.dtype.type(1), e) / (1.0 + e)


@elementwise(
    vjp=(lambda g, y, x: neg(mul(g, mul(y, tanh(mul(x, 0.5))))),),
    reference=lambda mp, x: mp.exp(-x) / (1 + mp.exp(-x)) ** 2,
    samples=_WIDE,
    scalar="sigmoid_slope({0})",
    calls=calls.sigmoid_slope,
    latex=r"\sigma({0})\,(1 - \sigma({0}))",
)
def sigmoid_slope(x: Array) -> Array:
    """The derivative of the logistic function, ``e / (1 + e)**2`` with ``e = exp(-|x|)``; never ``y (1 - y)``."""
    e = np.exp(-magnitude(x))
    return np.asarray(e / np.square(1.0 + e))  # not ** 2: see tanh_slope


@elementwise(
    name="leaky_relu",
    vjp=(lambda g, x, slope: leaky_gate(g, x, slope=slope),),
    reference=lambda mp, x, *, slope: x if x > 0 else slope * x,
    samples=Elementwise((_NO_KINK,), params=((("slope", 0.01),), (("slope", 0.2),))),
    scalar="({0} > 0 ? {0} : {slope} * {0})",
    latex=r"\begin{{cases}} {0} & {0} > 0 \\ {slope}\,{0} & \text{{else}} \end{{cases}}",
)
def _leaky(x: Array, *, slope: float) -> Array:
    """``x`` where positive, else ``slope * x``."""
    return np.where(x > 0, x, slope * x)


@elementwise(
    vjp=(lambda g, x, slope: leaky_gate(g, x, slope=slope), None),
    reference=lambda mp, z, x, *, slope: z if x > 0 else slope * z,
    samples=Elementwise((_ANY, _NO_KINK), params=((("slope", 0.01),),)),
    scalar="leaky_gate({0}, {1}, {slope})",
    latex=r"\begin{{cases}} {0} & {1} > 0 \\ {slope}\,{0} & \text{{else}} \end{{cases}}",
)
def leaky_gate(z: Array, x: Array, *, slope: float) -> Array:
    """``z`` where ``x > 0``, else ``slope * z``; at 0 the number of [slope, 1] (or [1, slope]) nearest to 0."""
    y = np.where(x > 0, z, slope * z)
    if not 0 <= slope <= 1:
        y = np.where(x == 0, min(slope, 1.0) * z if slope > 1 else 0 * z, y)
    return y


def leaky_relu(input: Any, negative_slope: float = 0.01) -> Any:
    """``input`` where positive, else ``negative_slope * input``. Source: Maas et al., ICML 2013."""
    return _leaky(input, slope=float(negative_slope))


@elementwise(
    name="softplus",
    vjp=(lambda g, x: mul(g, sigmoid(x)),),
    reference=lambda mp, x: mp.log(1 + mp.exp(x)),
    samples=_WIDE,
    scalar="softplus({0})",
    latex=r"\ln(1 + e^{{{0}}})",
)
def softplus_exact(x: Array) -> Array:
    """``log(1 + exp(x))`` as ``max(x, 0) + log1p(exp(-|x|))``."""
    return np.maximum(x, x.dtype.type(0)) + np.log1p(np.exp(-magnitude(x)))


def softplus(input: Any, beta: float = 1.0, threshold: float | None = None) -> Any:
    """``log(1 + exp(beta input)) / beta``, exact for every x: no linear branch above a threshold is needed.

    Where ``threshold`` is given, ``input`` itself is taken for ``beta * input`` above it, as torch has it from 20 on.
    """
    if threshold is not None:
        return where(gt(mul(input, float(beta)), float(threshold)), input, softplus(input, beta))
    if beta == 1:
        return softplus_exact(input)
    # What lies so far out that the exponential is 0 goes around the factor, which could make it overflow.
    near = clamp(input, -_SATURATED / beta, _SATURATED / beta)
    return add(mul(softplus_exact(mul(near, float(beta))), 1.0 / beta), relu(sub(input, near)))


@elementwise(
    vjp=(lambda g, x: zmul(g, silu_slope(x)),),
    reference=lambda mp, x: x / (1 + mp.exp(-x)),
    samples=_WIDE,
    scalar="({0} * sigmoid({0}))",
    latex=r"{0}\,\sigma({0})",
)
def silu(x: Array) -> Array:
    """``x * sigmoid(x)``. Source: Elfwing, Uchibe, Doya, 2018 (also called swish)."""
    e = np.exp(-magnitude(x))
    return x * (np.where(x.real >= 0, e.dtype.type(1), e) / (1.0 + e))


@elementwise(
    vjp=(lambda g, x: mul(g, mul(sigmoid_slope(x), sub(2.0, mul(x, tanh(mul(x, 0.5)))))),),
    reference=lambda mp, x: 1 / (1 + mp.exp(-x)) + x * mp.exp(-x) / (1 + mp.exp(-x)) ** 2,
    samples=_WIDE,
    scalar="silu_slope({0})",
    latex=r"\sigma({0})\,(1 + {0}\,(1 - \sigma({0})))",
)
def silu_slope(x: Array) -> Array:
    """The derivative of silu, ``s + x s'`` with ``s = sigmoid(x)`` and ``s' = e / (1 + e)**2``."""
    e = np.exp(-magnitude(x))
    one = 1.0 + e
    return (np.where(x.real >= 0, e.dtype.type(1), e) + x * (e / one)) / one


@elementwise(
    name="gelu",
    vjp=(lambda g, x: zmul(g, gelu_slope(x)),),
    reference=lambda mp, x: x * mp.erfc(-x / mp.sqrt(2)) / 2,
    samples=_NORMAL,
    scalar="gelu({0})",
    latex=r"{0}\,\Phi({0})",
)
def gelu_exact(x: Array) -> Array:
    """``x Phi(x)`` with the normal distribution function, from the tail on the side of ``x``."""
    _, tail = normal(x)
    return np.asarray(x * np.where(x < 0, tail, 1.0 - tail)).astype(x.dtype)


@elementwise(
    vjp=(lambda g, x: zmul(g, gelu_bend(x)),),
    reference=lambda mp, x: mp.erfc(-x / mp.sqrt(2)) / 2 + x * mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi),
    samples=_NORMAL,
    scalar="gelu_slope({0})",
    latex=r"\Phi({0}) + {0}\,\phi({0})",
)
def gelu_slope(x: Array) -> Array:
    """The derivative of gelu, ``Phi(x) + x phi(x)``."""
    density, tail = normal(x)
    return np.asarray(np.where(x < 0, tail, 1.0 - tail) + np.clip(x, -FAR, FAR) * density).astype(x.dtype)


@elementwise(
    vjp=(lambda g, x: zmul(g, zmul(zmul(normal_density(x), x), sub(mul(x, x), 4.0))),),
    reference=lambda mp, x: mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi) * (2 - x * x),
    samples=_NORMAL,
    scalar="gelu_bend({0})",
    latex=r"\phi({0})\,(2 - {0}^2)",
)
def gelu_bend(x: Array) -> Array:
    """The second derivative of gelu, ``phi(x) (2 - x**2)``."""
    density, _ = normal(x)
    near = np.clip(x, -FAR, FAR)
    return np.asarray(density * (2.0 - np.square(near, dtype=np.float64))).astype(x.dtype)


@elementwise(
    vjp=(lambda g, x: neg(zmul(g, zmul(normal_density(x), x))),),
    reference=lambda mp, x: mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi),
    samples=_NORMAL,
    scalar="normal_density({0})",
    latex=r"\phi({0})",
)
def normal_density(x: Array) -> Array:
    """The normal density ``phi(x) = exp(-x**2 / 2) / sqrt(2 pi)``."""
    return normal(x)[0].astype(x.dtype)


def gelu(input: Any, approximate: str = "none") -> Any:
    """The Gaussian error linear unit ``input Phi(input)``; ``approximate="tanh"`` takes the tanh formula of the paper.

    Source: Hendrycks & Gimpel, 2016, arXiv:1606.08415.
    """
    if approximate == "none":
        return gelu_exact(input)
    if approximate != "tanh":
        raise ArgumentError(f"gelu: approximate is 'none' or 'tanh', got {approximate!r}")
    # (1 + tanh z) / 2 is sigmoid(2 z), which does not cancel; at 30 it has long been 0 or 1.
    near = clamp(input, -30.0, 30.0)
    inner = mul(add(near, mul(mul(square(near), near), 0.044715)), 2.0 * math.sqrt(2.0 / math.pi))
    return mul(input, sigmoid(inner))


def _array_like(x: Any, other: Any) -> Any:
    # A constant without axes arrives as a bare number, which has no dtype to compute in.
    return x if isinstance(x, (np.ndarray, np.generic)) else other.dtype.type(x)


@elementwise(
    vjp=(lambda g, x, target: mul(g, bce_gradient(x, target)), lambda g, x: neg(mul(g, x))),
    reference=lambda mp, x, target: mp.log(1 + mp.exp(-x)) * target + mp.log(1 + mp.exp(x)) * (1 - target),
    samples=Elementwise((_LOGIT, Domain(0.0, 1.0))),
    scalar="bce_with_logits({0}, {1})",
    latex=r"-\left[{1}\,\ln\sigma({0}) + (1 - {1})\,\ln(1 - \sigma({0}))\right]",
)
def bce_with_logits(x: Array, target: Array) -> Array:
    """The binary cross-entropy of a logit: ``|x| (1 - t or t) + log1p(exp(-|x|))``, a sum without cancellation."""
    x = _array_like(x, target)
    size = magnitude(x)
    return size * np.where(x.real >= 0, 1.0 - target, target) + np.log1p(np.exp(-size))


@elementwise(
    vjp=(lambda g, x: mul(g, sigmoid_slope(x)), lambda g: neg(g)),
    reference=lambda mp, x, target: 1 / (1 + mp.exp(-x)) - target,
    samples=Elementwise((_LOGIT, Domain(0.0, 1.0))),
    scalar="bce_gradient({0}, {1})",
    latex=r"(\sigma({0}) - {1})",
)
def bce_gradient(x: Array, target: Array) -> Array:
    """The derivative of :func:`bce_with_logits` by the logit: ``(1 - t) s(x) - t s(-x)``, never ``s(x) - t``."""
    x = _array_like(x, target)
    e = np.exp(-magnitude(x))
    positive = x.real >= 0
    one = e.dtype.type(1)
    return ((1.0 - target) * np.where(positive, one, e) - target * np.where(positive, e, one)) / (1.0 + e)
