"""Initialisers: fill a tensor in place with numbers drawn for its fans.

``fan_in`` is the number of inputs of a unit, ``fan_out`` the number of units that one input feeds. Weights are laid out
as torch does, ``(out, in)``, further axes being the receptive field of a convolution. Each function takes ``rng=`` or
``seed=``, writes into the tensor, marks the write for the tape, and returns the tensor.

Errors: ShapeError for fans of a tensor with fewer than two axes; GradientError for a tensor that is part of a recorded
graph; DTypeError for one that does not hold floats; ArgumentError for an unknown ``mode`` or nonlinearity.
"""

from __future__ import annotations

import math

import numpy as np

from ..errors import ArgumentError, DTypeError, GradientError, ShapeError, did_you_mean
from ..tape import Array, wrote
from ..tensor import Tensor, generator

__all__ = [
    "calculate_gain",
    "constant_",
    "dirac_",
    "eye_",
    "fans",
    "glorot_normal_",
    "glorot_uniform_",
    "he_normal_",
    "he_uniform_",
    "kaiming_normal_",
    "kaiming_uniform_",
    "lecun_normal_",
    "lecun_uniform_",
    "normal_",
    "ones_",
    "orthogonal_",
    "sparse_",
    "trunc_normal_",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]

Rng = np.random.Generator | None


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """``(fan_in, fan_out)`` of a weight of shape ``(out, in, *receptive_field)``.

    Raises:
        ShapeError: fewer than two axes.

    >>> fans((300, 784))
    (784, 300)
    """
    if len(shape) < 2:
        raise ShapeError(
            f"fans are defined for weights of shape (out, in, ...), got shape {shape}; biases are usually zeros_(bias)"
        )
    field = math.prod(shape[2:])
    return shape[1] * field, shape[0] * field


_LINEAR = ("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
_GAINS = {"identity": 1.0, "linear": 1.0, "relu": math.sqrt(2.0), "selu": 0.75, "sigmoid": 1.0, "tanh": 5.0 / 3.0}
_GAINS |= dict.fromkeys(_LINEAR, 1.0)


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor on the standard deviation of weights that feed a nonlinearity; torch's table.

    linear, identity, sigmoid and convolutions 1, tanh 5/3, relu sqrt(2), leaky_relu sqrt(2 / (1 + slope**2)), selu 3/4.

    Args:
        param: the slope of leaky_relu, 0.01 by default.

    Raises:
        ArgumentError: a nonlinearity outside the table.

    Source: He et al., 2015, section 2.2 (the ReLU family); LeCun et al., "Efficient BackProp", 1998 (tanh).
    """
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else float(param)
        return math.sqrt(2.0 / (1.0 + slope * slope))
    try:
        return _GAINS[nonlinearity]
    except KeyError:
        raise ArgumentError(did_you_mean("nonlinearity", nonlinearity, [*_GAINS, "leaky_relu"])) from None


def _fill(tensor: Tensor, values: Array | float, name: str) -> Tensor:
    if not tensor.is_leaf:
        raise GradientError(
            f"init.{name}: this tensor is part of a recorded graph; initialise parameters (leaves) only"
        )
    if tensor.dtype.kind != "f":
        raise DTypeError(f"init.{name} fills floats, this tensor is {tensor.dtype}")
    tensor.data[...] = values
    wrote(f"init.{name}", tensor.data)
    return tensor


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fill with one number."""
    return _fill(tensor, float(val), "constant_")


def zeros_(tensor: Tensor) -> Tensor:
    """Fill with zeros."""
    return _fill(tensor, 0.0, "zeros_")


def ones_(tensor: Tensor) -> Tensor:
    """Fill with ones."""
    return _fill(tensor, 1.0, "ones_")


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, *, rng: Rng = None, seed: int | None = None) -> Tensor:
    """Draw from U(a, b): mean ``(a + b) / 2``, variance ``(b - a)**2 / 12``."""
    return _fill(tensor, generator(rng, seed).uniform(a, b, tensor.shape), "uniform_")


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, *, rng: Rng = None, seed: int | None = None) -> Tensor:
    """Draw from the normal distribution with this mean and standard deviation."""
    return _fill(tensor, generator(rng, seed).normal(mean, std, tensor.shape), "normal_")


def _gauss_below(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    *,
    rng: Rng = None,
    seed: int | None = None,
) -> Tensor:
    """Draw from the normal distribution with this mean and standard deviation, cut off at ``a`` and ``b``.

    What falls outside is drawn again. Where hardly anything falls inside, it is drawn evenly between the bounds and
    kept with a probability that is proportional to the density.

    Raises:
        ArgumentError: ``a`` is not below ``b``, or ``std`` is not positive.

    Source: von Neumann, "Various techniques used in connection with random digits", 1951.
    """
    if not (a < b and std > 0):
        raise ArgumentError(f"trunc_normal_: expected a < b and std > 0, got a={a}, b={b}, std={std}")
    draws = generator(rng, seed)
    low, high = (a - mean) / std, (b - mean) / std
    inside = _gauss_below(high) - _gauss_below(low)
    nearest = max(low, min(0.0, high))  # where the density between the bounds is largest
    # Further out the density is below exp(-40) of that.
    reach = math.sqrt(nearest * nearest + 80.0)
    even = max(low, -reach), min(high, reach)
    values = np.empty(tensor.size)
    missing = np.arange(tensor.size)
    while len(missing):
        if inside > 0.05:
            tried = draws.normal(size=len(missing))
            kept = (low <= tried) & (tried <= high)
        else:
            tried = draws.uniform(*even, len(missing))
            kept = draws.random(len(missing)) <= np.exp(0.5 * (nearest * nearest - tried * tried))
        values[missing[kept]] = tried[kept]
        missing = missing[~kept]
    scaled = np.clip(values * std + mean, a, b)
    return _fill(tensor, scaled.reshape(tensor.shape), "trunc_normal_")


def eye_(tensor: Tensor) -> Tensor:
    """Fill a matrix with the identity, as far as it goes.

    Raises:
        ShapeError: not two axes.
    """
    if tensor.ndim != 2:
        raise ShapeError(f"eye_ fills a matrix, got shape {tensor.shape}")
    return _fill(tensor, np.eye(tensor.shape[0], tensor.shape[1]), "eye_")


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Fill the weight ``(out, in, *window)`` of a convolution so that it gives back as many channels as it can.

    Args:
        groups: the groups of the convolution.

    Raises:
        ShapeError: fewer than three axes. ArgumentError: ``out`` is not a multiple of ``groups``.

    Source: Zagoruyko & Komodakis, "DiracNets", 2017.
    """
    if tensor.ndim < 3:
        raise ShapeError(f"dirac_ fills the weight (out, in, *window) of a convolution, got shape {tensor.shape}")
    if tensor.shape[0] % groups:
        raise ArgumentError(f"dirac_: {tensor.shape[0]} output channels do not fall into {groups} equal groups")
    values = np.zeros(tensor.shape)
    middle = [size // 2 for size in tensor.shape[2:]]
    each = tensor.shape[0] // groups
    for group in range(groups):
        for channel in range(min(each, tensor.shape[1])):
            values[(group * each + channel, channel, *middle)] = 1.0
    return _fill(tensor, values, "dirac_")


def orthogonal_(tensor: Tensor, gain: float = 1.0, *, rng: Rng = None, seed: int | None = None) -> Tensor:
    """Fill with a random matrix whose rows (columns, if they are fewer) are orthogonal and ``gain`` long.

    Axes after the first are taken together. Each orthogonal matrix is equally likely.

    Raises:
        ShapeError: fewer than two axes.

    Source: Saxe, McClelland, Ganguli, ICLR 2014; Mezzadri, Notices of the AMS 54, 2007 (the signs).
    """
    if tensor.ndim < 2:
        raise ShapeError(f"orthogonal_ fills a matrix (out, in, …), got shape {tensor.shape}")
    rows = tensor.shape[0]
    columns = math.prod(tensor.shape[1:])
    if not rows * columns:
        return _fill(tensor, 0.0, "orthogonal_")
    drawn = generator(rng, seed).normal(size=(max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(drawn)
    q *= np.where(np.diag(r) < 0, -1.0, 1.0)
    return _fill(tensor, gain * (q if rows >= columns else q.T).reshape(tensor.shape), "orthogonal_")


def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, *, rng: Rng = None, seed: int | None = None) -> Tensor:
    """Draw a matrix from N(0, std**2) and set ``ceil(sparsity * rows)`` numbers of each column to 0.

    Raises:
        ShapeError: not two axes. ArgumentError: ``sparsity`` outside [0, 1].

    Source: Martens, "Deep learning via Hessian-free optimization", ICML 2010.
    """
    if tensor.ndim != 2:
        raise ShapeError(f"sparse_ fills a matrix, got shape {tensor.shape}")
    if not 0.0 <= sparsity <= 1.0:
        raise ArgumentError(f"sparse_: sparsity is the part of zeros, from 0 to 1, got {sparsity}")
    draws = generator(rng, seed)
    values = draws.normal(0.0, std, tensor.shape)
    zeros = math.ceil(sparsity * tensor.shape[0])
    for column in range(tensor.shape[1]):
        values[draws.permutation(tensor.shape[0])[:zeros], column] = 0.0
    return _fill(tensor, values, "sparse_")


def _uniform_of_std(tensor: Tensor, std: float, rng: Rng, seed: int | None) -> Tensor:
    bound = math.sqrt(3.0) * std
    return uniform_(tensor, -bound, bound, rng=rng, seed=seed)


def _inverse_root(fan: float) -> float:
    # A fan of 0 belongs to an empty tensor, where any number will do.
    return 1.0 / math.sqrt(fan) if fan else 0.0


def _glorot_std(tensor: Tensor, gain: float) -> float:
    return gain * math.sqrt(2.0) * _inverse_root(sum(fans(tensor.shape)))


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, *, rng: Rng = None, seed: int | None = None) -> Tensor:
    """Draw from U(-a, a), ``a = gain * sqrt(6 / (fan_in + fan_out))``.

    Source: Glorot & Bengio, AISTATS 2010, eq. 16.
    """
    return _uniform_of_std(tensor, _glorot_std(tensor, gain), rng, seed)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, *, rng: Rng = None, seed: int | None = None) -> Tensor:
    """Draw from the normal distribution of mean 0 and ``std = gain * sqrt(2 / (fan_in + fan_out))``.

    Source: Glorot & Bengio, AISTATS 2010, eq. 12.
    """
    return normal_(tensor, 0.0, _glorot_std(tensor, gain), rng=rng, seed=seed)


def _he_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in {"fan_in", "fan_out"}:
        raise ArgumentError(did_you_mean("mode", mode, ["fan_in", "fan_out"]))
    fan = fans(tensor.shape)[0 if mode == "fan_in" else 1]
    return calculate_gain(nonlinearity, a) * _inverse_root(fan)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    *,
    rng: Rng = None,
    seed: int | None = None,
) -> Tensor:
    """Draw from U(-b, b), ``b = gain * sqrt(3 / fan)``; with the defaults ``sqrt(6 / fan_in)``.

    Args:
        a: the slope of leaky_relu below 0 (0: ReLU). mode: ``"fan_in"`` keeps the variance of the forward pass,
            ``"fan_out"`` that of the backward pass. nonlinearity: see :func:`calculate_gain`.

    Source: He, Zhang, Ren, Sun, ICCV 2015, eq. 10 and 14.
    """
    return _uniform_of_std(tensor, _he_std(tensor, a, mode, nonlinearity), rng, seed)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    *,
    rng: Rng = None,
    seed: int | None = None,
) -> Tensor:
    """Draw from the normal distribution of mean 0 and ``std = gain / sqrt(fan)``; by default ``sqrt(2 / fan_in)``.

    Arguments and source: :func:`kaiming_uniform_`.
    """
    return normal_(tensor, 0.0, _he_std(tensor, a, mode, nonlinearity), rng=rng, seed=seed)


def lecun_uniform_(tensor: Tensor, *, rng: Rng = None, seed: int | None = None) -> Tensor:
    """Draw from U(-a, a), ``a = sqrt(3 / fan_in)``: variance ``1 / fan_in``.

    Source: LeCun, Bottou, Orr, Müller, "Efficient BackProp", 1998, section 4.6.
    """
    return _uniform_of_std(tensor, _inverse_root(fans(tensor.shape)[0]), rng, seed)


def lecun_normal_(tensor: Tensor, *, rng: Rng = None, seed: int | None = None) -> Tensor:
    """Draw from the normal distribution of mean 0 and ``std = 1 / sqrt(fan_in)``. Source: :func:`lecun_uniform_`."""
    return normal_(tensor, 0.0, _inverse_root(fans(tensor.shape)[0]), rng=rng, seed=seed)


glorot_uniform_, glorot_normal_ = xavier_uniform_, xavier_normal_
he_uniform_, he_normal_ = kaiming_uniform_, kaiming_normal_
