"""Activations as functions, composed of ops; at kinks each has the subgradient nearest to 0."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import ops
from ...capture import drawn
from ...compositions import elementwise
from ...errors import ArgumentError, ShapeError
from ...ops.kernels import normalise_axis
from ...ops.shape import reshaped, select
from ...ops.units import exponential_unit, softsign
from ...tape import Array
from ...tensor import Tensor, generator

__all__ = [
    "celu",
    "elu",
    "glu",
    "gumbel_softmax",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "log_softmax",
    "logsigmoid",
    "mish",
    "prelu",
    "relu6",
    "rrelu",
    "selu",
    "softmax",
    "softmin",
    "softshrink",
    "softsign",
    "tanhshrink",
    "threshold",
]

# Klambauer et al., 2017, eq. 14: with them mean 0 and variance 1 are a fixed point.
_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772848, 1.0507009873554804934


def softmax(x: Any, dim: int = -1) -> Any:
    """Class probabilities ``exp(x) / sum(exp(x))`` along ``dim``."""
    return ops.softmax(x, dim)


def log_softmax(x: Any, dim: int = -1) -> Any:
    """Logarithms of class probabilities along ``dim``."""
    return ops.log_softmax(x, dim)


def softmin(x: Any, dim: int = -1) -> Any:
    """``softmax(-x)`` along ``dim``: the smallest value gets the largest probability."""
    return ops.softmax(ops.neg(x), dim)


def elu(x: Any, alpha: float = 1.0) -> Any:
    """``x`` where positive, else ``alpha * (exp(x) - 1)``. Source: Clevert, Unterthiner, Hochreiter, ICLR 2016."""
    return exponential_unit(x, alpha=float(alpha), rate=1.0)


def selu(x: Any) -> Any:
    """``1.0507 * elu(x, 1.6733)``. Source: Klambauer et al., "Self-normalizing neural networks", NeurIPS 2017."""
    return ops.mul(elu(x, _SELU_ALPHA), _SELU_SCALE)


def celu(x: Any, alpha: float = 1.0) -> Any:
    """``max(x, 0) + min(0, alpha * (exp(x / alpha) - 1))``, smooth at 0 for every alpha. Source: Barron, 2017.

    Raises:
        ArgumentError: ``alpha`` is 0.
    """
    if alpha == 0:
        raise ArgumentError("celu: alpha divides, so it is not 0; for max(x, 0) say relu(x)")
    return exponential_unit(x, alpha=float(alpha), rate=1.0 / alpha)


def mish(x: Any) -> Any:
    """``x * tanh(softplus(x))``. Source: Misra, "Mish: a self regularized non-monotonic activation", BMVC 2020."""
    return ops.mul(x, ops.tanh(ops.softplus(x)))


def hardtanh(x: Any, min_val: float = -1.0, max_val: float = 1.0) -> Any:
    """``x`` limited to ``[min_val, max_val]``; the derivative is 0 at both edges.

    Raises:
        ArgumentError: ``min_val`` above ``max_val``.
    """
    if min_val > max_val:
        raise ArgumentError(f"hardtanh: min_val {min_val} lies above max_val {max_val}; say hardtanh(x, -1.0, 1.0)")
    kind = float if x.dtype.kind == "f" else int
    return ops.clamp(x, kind(min_val), kind(max_val))


def relu6(x: Any) -> Any:
    """``min(max(x, 0), 6)``. Source: Krizhevsky, "Convolutional deep belief networks on CIFAR-10", 2010."""
    return hardtanh(x, 0.0, 6.0)


def hardsigmoid(x: Any) -> Any:
    """``relu6(x + 3) / 6``. Source: Courbariaux, Bengio, David, NeurIPS 2015 (there with another slope)."""
    return ops.div(relu6(ops.add(x, 3.0)), 6.0)


def hardswish(x: Any) -> Any:
    """``x * relu6(x + 3) / 6``; derivative 0 at -3 and 1 at 3. Source: Howard et al., "MobileNetV3", ICCV 2019."""
    return ops.div(ops.mul(x, relu6(ops.add(x, 3.0))), 6.0)


def threshold(x: Any, threshold: float, value: float) -> Any:
    """``x`` where it is above ``threshold``, else the number ``value``, whose derivative is 0."""
    return elementwise.threshold(x, float(threshold), value if x.dtype.kind in "iu" else float(value))


def prelu(x: Any, weight: Any) -> Any:
    """``x`` where positive, else ``weight * x``; a weight with several numbers has one for each channel (axis 1).

    Raises:
        ShapeError: the weight has neither one number nor one for each channel.

    Source: He, Zhang, Ren, Sun, ICCV 2015.
    """
    channels = x.shape[1] if x.ndim > 1 else 1
    if weight.size not in (1, channels):
        raise ShapeError(
            f"prelu: expected a weight for each of {channels} channels (axis 1 of {tuple(x.shape)}) or a single one, "
            f"got {weight.size}; say PReLU({channels})"
        )
    shape = (channels, *[1] * (x.ndim - 2)) if weight.size != 1 else (1,) * min(x.ndim, 1)
    slope = reshaped(weight, shape=shape)
    # At the kink the number nearest to 0 between both slopes.
    at_kink = ops.clamp(slope, 0.0, 1.0)
    return ops.where(ops.gt(x, 0.0), x, ops.mul(x, ops.where(ops.eq(x, 0.0), at_kink, slope)))


def rrelu(
    x: Any,
    lower: float = 1.0 / 8,
    upper: float = 1.0 / 3,
    training: bool = False,
    *,
    rng: np.random.Generator | None = None,
    seed: int | None = None,
) -> Any:
    """``x`` where positive, else ``a * x``: in training each ``a`` is drawn from U(lower, upper), else their mean.

    Raises:
        ArgumentError: ``lower`` above ``upper``.

    Source: Xu, Wang, Chen, Li, "Empirical evaluation of rectified activations", 2015.
    """
    if lower > upper:
        raise ArgumentError(f"rrelu: lower {lower} lies above upper {upper}; say rrelu(x, 0.125, 0.333)")
    if not training:
        return ops.leaky_relu(x, (lower + upper) / 2.0)
    source, shape, dtype = generator(rng, seed), tuple(x.shape), x.dtype

    def slopes() -> Array:
        return np.asarray(source.uniform(lower, upper, shape)).astype(dtype)

    return ops.where(ops.gt(x, 0.0), x, ops.mul(x, slopes() if seed is not None else drawn(slopes)))


def glu(x: Any, dim: int = -1) -> Any:
    """``a * sigmoid(b)``, ``a`` and ``b`` being the two halves of ``x`` along ``dim``.

    Raises:
        ShapeError: an axis of odd length.

    Source: Dauphin, Fan, Auli, Grangier, ICML 2017.
    """
    if x.ndim == 0:
        raise ShapeError("glu: a 0-d tensor has no axis to halve")
    axis = normalise_axis(dim, x.ndim)
    half, odd = divmod(x.shape[axis], 2)
    if odd:
        raise ShapeError(
            f"glu: halves axis {dim} of shape {tuple(x.shape)}, which is {x.shape[axis]} long; make the layer before "
            f"it give an even number, {x.shape[axis] + 1} for instance"
        )
    return ops.mul(select(x, axis, slice(0, half)), ops.sigmoid(select(x, axis, slice(half, None))))


def gumbel_softmax(
    logits: Any,
    tau: float = 1.0,
    hard: bool = False,
    eps: float = 1e-10,
    dim: int = -1,
    *,
    rng: np.random.Generator | None = None,
    seed: int | None = None,
) -> Any:
    """``softmax((logits + g) / tau)`` with ``g`` drawn from Gumbel's distribution: a sample of a class, softened.

    Args:
        tau: the temperature; the smaller, the nearer to one class. hard: the value is one class, 1 among zeros, and the
            gradient that of the soft sample.

    Raises:
        ArgumentError: ``tau`` is not positive.

    Source: Jang, Gu, Poole, "Categorical reparameterization with Gumbel-softmax", ICLR 2017.
    """
    del eps
    if not tau > 0:
        raise ArgumentError(f"gumbel_softmax: tau is a positive temperature, got {tau}; say tau=1.0")
    source, shape, dtype = generator(rng, seed), tuple(logits.shape), logits.dtype

    def noise() -> Array:
        return np.asarray(source.gumbel(size=shape)).astype(dtype)

    soft = ops.softmax(ops.div(ops.add(logits, noise() if seed is not None else drawn(noise)), float(tau)), dim)
    if not hard:
        return soft
    axis = normalise_axis(dim, logits.ndim)
    places = np.arange(shape[axis]).reshape(-1, *[1] * (logits.ndim - 1 - axis))
    chosen = ops.astype(ops.eq(ops.argmax(soft, axis, True), places), dtype)
    constant = soft.detach() if isinstance(soft, Tensor) else soft
    return ops.add(ops.sub(chosen, constant), soft)


def logsigmoid(x: Any) -> Any:
    """``log(sigmoid(x))``, as ``-softplus(-x)``, which never takes the logarithm of 0."""
    return ops.neg(ops.softplus(ops.neg(x)))


def tanhshrink(x: Any) -> Any:
    """``x - tanh(x)``."""
    return ops.sub(x, ops.tanh(x))


def softshrink(x: Any, lambd: float = 0.5) -> Any:
    """``x`` moved towards 0 by ``lambd``, and 0 within that distance; the derivative at the edges is 0.

    Raises:
        ArgumentError: a negative ``lambd``.
    """
    if not lambd >= 0:
        raise ArgumentError(f"softshrink: lambd is a distance, 0 or more, got {lambd}")
    return ops.sub(ops.relu(ops.sub(x, float(lambd))), ops.relu(ops.sub(ops.neg(x), float(lambd))))


def hardshrink(x: Any, lambd: float = 0.5) -> Any:
    """``x`` where ``|x| > lambd``, else 0; the derivative at the jumps is 0."""
    return ops.where(ops.le(ops.abs(x), float(lambd)), 0.0, x)
