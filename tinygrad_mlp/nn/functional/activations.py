"""Activations as functions, composed of ops; at kinks each has the subgradient nearest to 0."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import ops
from ...capture import drawn
from ...compositions import elementwise
from ...errors import ArgumentError, ShapeError
from ...ops.kernels import normalise_axis
from ...ops.names import refuse_in_place
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
    "leaky_relu",
    "log_softmax",
    "logsigmoid",
    "mish",
    "prelu",
    "relu",
    "relu6",
    "rrelu",
    "selu",
    "silu",
    "softmax",
    "softmin",
    "softshrink",
    "softsign",
    "tanhshrink",
    "threshold",
]

# Klambauer et al., 2017, eq. 14: with them mean 0 and variance 1 are a fixed point.
_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772848, 1.0507009873554804934


# torch's softmax without dim guesses the axis from the number of axes, and warns; here it is the last.


def softmax(input: Any, dim: int | None = -1, _stacklevel: int = 3, dtype: Any = None) -> Any:
    """Class probabilities ``exp(input) / sum(exp(input))`` along ``dim``, in ``dtype`` where one is given."""
    return ops.softmax(input, dim, dtype)


def log_softmax(input: Any, dim: int | None = -1, _stacklevel: int = 3, dtype: Any = None) -> Any:
    """Logarithms of class probabilities along ``dim``, in ``dtype`` where one is given."""
    return ops.log_softmax(input, dim, dtype)


def softmin(input: Any, dim: int | None = -1, _stacklevel: int = 3, dtype: Any = None) -> Any:
    """``softmax(-input)`` along ``dim``: the smallest value gets the largest probability."""
    return ops.softmax(ops.neg(input), dim, dtype)


def relu(input: Any, inplace: bool = False) -> Any:
    """``max(input, 0)``; derivative 0 at the kink; NaN stays NaN."""
    refuse_in_place("relu", inplace)
    return ops.relu(input)


def leaky_relu(input: Any, negative_slope: float = 0.01, inplace: bool = False) -> Any:
    """``input`` where positive, else ``negative_slope * input``. Source: Maas et al., ICML 2013."""
    refuse_in_place("leaky_relu", inplace)
    return ops.leaky_relu(input, negative_slope)


def silu(input: Any, inplace: bool = False) -> Any:
    """``input * sigmoid(input)``. Source: Elfwing, Uchibe, Doya, 2018 (also called swish)."""
    refuse_in_place("silu", inplace)
    return ops.silu(input)


def elu(input: Any, alpha: float = 1.0, inplace: bool = False) -> Any:
    """``input`` where positive, else ``alpha * (exp(input) - 1)``.

    Source: Clevert, Unterthiner, Hochreiter, ICLR 2016.
    """
    refuse_in_place("elu", inplace)
    return exponential_unit(input, alpha=float(alpha), rate=1.0)


def selu(input: Any, inplace: bool = False) -> Any:
    """``1.0507 * elu(input, 1.6733)``. Source: Klambauer et al., "Self-normalizing neural networks", NeurIPS 2017."""
    refuse_in_place("selu", inplace)
    return ops.mul(elu(input, _SELU_ALPHA), _SELU_SCALE)


def celu(input: Any, alpha: float = 1.0, inplace: bool = False) -> Any:
    """``max(input, 0) + min(0, alpha * (exp(input / alpha) - 1))``, smooth at 0 for every alpha. Source: Barron, 2017.

    Raises:
        ArgumentError: ``alpha`` is 0.
    """
    refuse_in_place("celu", inplace)
    if alpha == 0:
        raise ArgumentError("celu: alpha divides, so it is not 0; for max(x, 0) say relu(x)")
    return exponential_unit(input, alpha=float(alpha), rate=1.0 / alpha)


def mish(input: Any, inplace: bool = False) -> Any:
    """``input * tanh(softplus(input))``.

    Source: Misra, "Mish: a self regularized non-monotonic activation", BMVC 2020.
    """
    refuse_in_place("mish", inplace)
    return ops.mul(input, ops.tanh(ops.softplus(input)))


def hardtanh(input: Any, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Any:
    """``input`` limited to ``[min_val, max_val]``; the derivative is 0 at both edges.

    Raises:
        ArgumentError: ``min_val`` above ``max_val``.
    """
    refuse_in_place("hardtanh", inplace)
    if min_val > max_val:
        raise ArgumentError(f"hardtanh: min_val {min_val} lies above max_val {max_val}; say hardtanh(x, -1.0, 1.0)")
    kind = float if input.dtype.kind == "f" else int
    return ops.clamp(input, kind(min_val), kind(max_val))


def relu6(input: Any, inplace: bool = False) -> Any:
    """``min(max(input, 0), 6)``. Source: Krizhevsky, "Convolutional deep belief networks on CIFAR-10", 2010."""
    refuse_in_place("relu6", inplace)
    return hardtanh(input, 0.0, 6.0)


def hardsigmoid(input: Any, inplace: bool = False) -> Any:
    """``relu6(input + 3) / 6``. Source: Courbariaux, Bengio, David, NeurIPS 2015 (there with another slope)."""
    refuse_in_place("hardsigmoid", inplace)
    return ops.div(relu6(ops.add(input, 3.0)), 6.0)


def hardswish(input: Any, inplace: bool = False) -> Any:
    """``input * relu6(input + 3) / 6``; derivative 0 at -3 and 1 at 3.

    Source: Howard et al., "MobileNetV3", ICCV 2019.
    """
    refuse_in_place("hardswish", inplace)
    return ops.div(ops.mul(input, relu6(ops.add(input, 3.0))), 6.0)


def threshold(input: Any, threshold: float, value: float, inplace: bool = False) -> Any:
    """``input`` where it is above ``threshold``, else the number ``value``, whose derivative is 0."""
    refuse_in_place("threshold", inplace)
    kind = input.dtype.kind
    return elementwise.threshold(input, float(threshold), value if kind in "iu" else float(value))


def prelu(input: Any, weight: Any) -> Any:
    """``input`` where positive, else ``weight * input``; a weight of several numbers has one for each channel (axis 1).

    Raises:
        ShapeError: the weight has neither one number nor one for each channel.

    Source: He, Zhang, Ren, Sun, ICCV 2015.
    """
    channels = input.shape[1] if input.ndim > 1 else 1
    if weight.size not in (1, channels):
        raise ShapeError(
            f"prelu: expected a weight for each of {channels} channels (axis 1 of {tuple(input.shape)}) or a single "
            f"one, got {weight.size}; say PReLU({channels})"
        )
    shape = (channels, *[1] * (input.ndim - 2)) if weight.size != 1 else (1,) * min(input.ndim, 1)
    slope = reshaped(weight, shape=shape)
    # At the kink the number nearest to 0 between both slopes.
    at_kink = ops.clamp(slope, 0.0, 1.0)
    return ops.where(ops.gt(input, 0.0), input, ops.mul(input, ops.where(ops.eq(input, 0.0), at_kink, slope)))


def rrelu(
    input: Any,
    lower: float = 1.0 / 8,
    upper: float = 1.0 / 3,
    training: bool = False,
    inplace: bool = False,
    *,
    rng: np.random.Generator | None = None,
    seed: int | None = None,
) -> Any:
    """``input`` where positive, else ``a * input``: in training each ``a`` is from U(lower, upper), else their mean.

    Raises:
        ArgumentError: ``lower`` above ``upper``.

    Source: Xu, Wang, Chen, Li, "Empirical evaluation of rectified activations", 2015.
    """
    refuse_in_place("rrelu", inplace)
    if lower > upper:
        raise ArgumentError(f"rrelu: lower {lower} lies above upper {upper}; say rrelu(x, 0.125, 0.333)")
    if not training:
        return ops.leaky_relu(input, (lower + upper) / 2.0)
    source, shape, dtype = generator(rng, seed), tuple(input.shape), input.dtype

    def slopes() -> Array:
        return np.asarray(source.uniform(lower, upper, shape)).astype(dtype)

    return ops.where(ops.gt(input, 0.0), input, ops.mul(input, slopes() if seed is not None else drawn(slopes)))


def glu(input: Any, dim: int = -1) -> Any:
    """``a * sigmoid(b)``, ``a`` and ``b`` being the two halves of ``input`` along ``dim``.

    Raises:
        ShapeError: an axis of odd length.

    Source: Dauphin, Fan, Auli, Grangier, ICML 2017.
    """
    if input.ndim == 0:
        raise ShapeError("glu: a 0-d tensor has no axis to halve")
    axis = normalise_axis(dim, input.ndim)
    half, odd = divmod(input.shape[axis], 2)
    if odd:
        raise ShapeError(
            f"glu: halves axis {dim} of shape {tuple(input.shape)}, which is {input.shape[axis]} long; make the layer "
            f"before it give an even number, {input.shape[axis] + 1} for instance"
        )
    return ops.mul(select(input, axis, slice(0, half)), ops.sigmoid(select(input, axis, slice(half, None))))


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


def logsigmoid(input: Any) -> Any:
    """``log(sigmoid(input))``, as ``-softplus(-input)``, which never takes the logarithm of 0."""
    return ops.neg(ops.softplus(ops.neg(input)))


def tanhshrink(input: Any) -> Any:
    """``input - tanh(input)``."""
    return ops.sub(input, ops.tanh(input))


def softshrink(input: Any, lambd: float = 0.5) -> Any:
    """``input`` moved towards 0 by ``lambd``, and 0 within that distance; the derivative at the edges is 0.

    Raises:
        ArgumentError: a negative ``lambd``.
    """
    if not lambd >= 0:
        raise ArgumentError(f"softshrink: lambd is a distance, 0 or more, got {lambd}")
    return ops.sub(ops.relu(ops.sub(input, float(lambd))), ops.relu(ops.sub(ops.neg(input), float(lambd))))


def hardshrink(input: Any, lambd: float = 0.5) -> Any:
    """``input`` where ``|input| > lambd``, else 0; the derivative at the jumps is 0."""
    return ops.where(ops.le(ops.abs(input), float(lambd)), 0.0, input)
