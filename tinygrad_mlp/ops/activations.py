"""Activation functions. Each slope has a formula of its own that stays accurate where the function saturates."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import ArgumentError
from ..samples import Domain, Elementwise
from ..tape import Array
from .arithmetic import add, gate, mul, neg, sub
from .elementwise import elementwise
from .functions import exp, tanh
from .kernels import erfc, magnitude

_WIDE = Elementwise((Domain(-20.0, 20.0),))
_KINKED = Elementwise((Domain(avoid=(0.0,)),))


@elementwise(
    vjp=(lambda g, y: gate(g, y),),
    reference=lambda mp, x: x if x > 0 else 0 * x,
    samples=_KINKED,
    scalar="fmax({0}, 0)",
    latex=r"\max({0}, 0)",
    floats=False,
)
def relu(x: Array, *, out: Array | None = None) -> Array:
    """``max(x, 0)``; derivative 0 at the kink; NaN stays NaN."""
    return np.maximum(x, x.dtype.type(0), out=out)


@elementwise(
    vjp=(lambda g, x: mul(g, sigmoid_slope(x)),),
    reference=lambda mp, x: 1 / (1 + mp.exp(-x)),
    samples=_WIDE,
    scalar="1 / (1 + exp(-{0}))",
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
    latex=r"\sigma'({0})",
)
def sigmoid_slope(x: Array) -> Array:
    """The derivative of the logistic function, ``e / (1 + e)**2`` with ``e = exp(-|x|)``; never ``y (1 - y)``."""
    e = np.exp(-magnitude(x))
    return e / (1.0 + e) ** 2


@elementwise(
    name="leaky_relu",
    vjp=(lambda g, x, slope: leaky_gate(g, x, slope=slope),),
    reference=lambda mp, x, *, slope: x if x > 0 else slope * x,
    samples=Elementwise((Domain(avoid=(0.0,)),), params=((("slope", 0.01),), (("slope", 0.2),))),
    latex=r"\max({0}, {slope}\,{0})",
)
def _leaky(x: Array, *, slope: float) -> Array:
    """``x`` where positive, else ``slope * x``."""
    return np.where(x > 0, x, slope * x)


@elementwise(
    vjp=(lambda g, x, slope: leaky_gate(g, x, slope=slope), None),
    reference=lambda mp, z, x, *, slope: z if x > 0 else slope * z,
    samples=Elementwise((Domain(), Domain(avoid=(0.0,))), params=((("slope", 0.01),),)),
    latex=r"{0} \, (1 \text{{ or }} {slope})",
)
def leaky_gate(z: Array, x: Array, *, slope: float) -> Array:
    """``z`` where ``x > 0``, else ``slope * z``; at 0 the number of [slope, 1] (or [1, slope]) nearest to 0."""
    y = np.where(x > 0, z, slope * z)
    if not 0 <= slope <= 1:
        y = np.where(x == 0, min(slope, 1.0) * z if slope > 1 else 0 * z, y)
    return y


def leaky_relu(x: Any, negative_slope: float = 0.01) -> Any:
    """``x`` where positive, else ``negative_slope * x``. Source: Maas et al., ICML 2013."""
    return _leaky(x, slope=float(negative_slope))


@elementwise(
    name="softplus",
    vjp=(lambda g, x: mul(g, sigmoid(x)),),
    reference=lambda mp, x: mp.log(1 + mp.exp(x)),
    samples=_WIDE,
    scalar="(fmax({0}, 0) + log1p(exp(-fabs({0}))))",
    latex=r"\ln(1 + e^{{{0}}})",
)
def softplus_exact(x: Array) -> Array:
    """``log(1 + exp(x))`` as ``max(x, 0) + log1p(exp(-|x|))``."""
    return np.maximum(x, x.dtype.type(0)) + np.log1p(np.exp(-magnitude(x)))


def softplus(x: Any, beta: float = 1.0) -> Any:
    """``log(1 + exp(beta x)) / beta``, exact for every x: no linear branch above a threshold is needed."""
    return softplus_exact(x) if beta == 1 else mul(softplus_exact(mul(x, float(beta))), 1.0 / beta)


@elementwise(
    vjp=(lambda g, x: mul(g, silu_slope(x)),),
    reference=lambda mp, x: x / (1 + mp.exp(-x)),
    samples=_WIDE,
    scalar="({0} / (1 + exp(-{0})))",
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
    latex=r"\operatorname{{silu}}'({0})",
)
def silu_slope(x: Array) -> Array:
    """The derivative of silu, ``s + x s'`` with ``s = sigmoid(x)`` and ``s' = e / (1 + e)**2``."""
    e = np.exp(-magnitude(x))
    one = 1.0 + e
    return (np.where(x.real >= 0, e.dtype.type(1), e) + x * (e / one)) / one


_SQRT_HALF = math.sqrt(0.5)
_BELL = 1.0 / math.sqrt(2.0 * math.pi)


@elementwise(
    name="gelu",
    vjp=(lambda g, x: mul(g, gelu_slope(x)),),
    reference=lambda mp, x: x * mp.erfc(-x / mp.sqrt(2)) / 2,
    samples=Elementwise((Domain(-5.0, 5.0),)),
    latex=r"{0}\,\Phi({0})",
)
def gelu_exact(x: Array) -> Array:
    """``x Phi(x)`` with the normal distribution function, as ``(x / 2) erfc(-x / sqrt 2)``."""
    return 0.5 * x * erfc(x * -_SQRT_HALF)


@elementwise(
    vjp=(lambda g, x: mul(g, mul(mul(exp(mul(mul(x, x), -0.5)), _BELL), sub(2.0, mul(x, x)))),),
    reference=lambda mp, x: mp.erfc(-x / mp.sqrt(2)) / 2 + x * mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi),
    samples=Elementwise((Domain(-5.0, 5.0),)),
    latex=r"\operatorname{{gelu}}'({0})",
)
def gelu_slope(x: Array) -> Array:
    """The derivative of gelu, ``Phi(x) + x phi(x)``."""
    return 0.5 * erfc(x * -_SQRT_HALF) + x * (np.exp(-0.5 * x * x) * _BELL)


def gelu(x: Any, approximate: str = "none") -> Any:
    """The Gaussian error linear unit ``x Phi(x)``; ``approximate="tanh"`` takes the tanh formula of the paper.

    Source: Hendrycks & Gimpel, 2016, arXiv:1606.08415.
    """
    if approximate == "none":
        return gelu_exact(x)
    if approximate != "tanh":
        raise ArgumentError(f"gelu: approximate is 'none' or 'tanh', got {approximate!r}")
    inner = mul(add(x, mul(mul(mul(x, x), x), 0.044715)), math.sqrt(2.0 / math.pi))
    return mul(mul(x, 0.5), add(tanh(inner), 1.0))


def _array_like(x: Any, other: Any) -> Any:
    # A constant without axes arrives as a bare number, which has no dtype to compute in.
    return x if isinstance(x, (np.ndarray, np.generic)) else other.dtype.type(x)


@elementwise(
    vjp=(lambda g, x, target: mul(g, bce_gradient(x, target)), lambda g, x: neg(mul(g, x))),
    reference=lambda mp, x, target: mp.log(1 + mp.exp(-x)) * target + mp.log(1 + mp.exp(x)) * (1 - target),
    samples=Elementwise((Domain(-20.0, 20.0), Domain(0.0, 1.0))),
    latex=r"-\left[{1}\ln\sigma({0}) + (1 - {1})\ln(1 - \sigma({0}))\right]",
)
def bce_with_logits(x: Array, target: Array) -> Array:
    """The binary cross-entropy of a logit: ``max(x, 0) - x t + log1p(exp(-|x|))``."""
    x = _array_like(x, target)
    return np.maximum(x, x.dtype.type(0)) - x * target + np.log1p(np.exp(-magnitude(x)))


@elementwise(
    vjp=(lambda g, x: mul(g, sigmoid_slope(x)), lambda g: neg(g)),
    reference=lambda mp, x, target: 1 / (1 + mp.exp(-x)) - target,
    samples=Elementwise((Domain(-20.0, 20.0), Domain(0.0, 1.0))),
    latex=r"(\sigma({0}) - {1})",
)
def bce_gradient(x: Array, target: Array) -> Array:
    """The derivative of :func:`bce_with_logits` by the logit: ``(1 - t) s(x) - t s(-x)``, never ``s(x) - t``."""
    x = _array_like(x, target)
    e = np.exp(-magnitude(x))
    positive = x.real >= 0
    one = e.dtype.type(1)
    return ((1.0 - target) * np.where(positive, one, e) - target * np.where(positive, e, one)) / (1.0 + e)
