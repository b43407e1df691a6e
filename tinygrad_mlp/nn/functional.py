"""Layers and losses as functions, under torch's names: thin spellings of :mod:`tinygrad_mlp.ops`."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..capture import drawn
from ..dtypes import float_dtype_of
from ..errors import ArgumentError
from ..ops import (
    binary_cross_entropy_with_logits,
    cross_entropy,
    gelu,
    leaky_relu,
    linear,
    mse_loss,
    relu,
    sigmoid,
    silu,
    softplus,
    tanh,
)
from ..tape import Array
from ..tensor import generator

__all__ = [
    "binary_cross_entropy_with_logits",
    "check_probability",
    "cross_entropy",
    "dropout",
    "gelu",
    "leaky_relu",
    "linear",
    "log_softmax",
    "mse_loss",
    "relu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "tanh",
]


def softmax(x: Any, dim: int = -1) -> Any:
    """Class probabilities ``exp(x) / sum(exp(x))`` along ``dim``."""
    return ops.softmax(x, dim)


def log_softmax(x: Any, dim: int = -1) -> Any:
    """Logarithms of class probabilities along ``dim``."""
    return ops.log_softmax(x, dim)


def check_probability(p: float) -> float:
    """``p`` as a Python float.

    Raises:
        ArgumentError: it is not in [0, 1].
    """
    if not 0.0 <= p <= 1.0:
        raise ArgumentError(f"dropout: p is the probability of dropping, from 0 to 1, got {p}; say Dropout(0.5)")
    return float(p)


def dropout(
    x: Any,
    p: float = 0.5,
    training: bool = True,
    *,
    rng: np.random.Generator | None = None,
    seed: int | None = None,
) -> Any:
    """Set each element to 0 with probability ``p`` and multiply the others by ``1 / (1 - p)``, in training only.

    The factor keeps the expectation, so nothing has to be scaled in evaluation; ``p = 1`` gives zeros. The shape and
    dtype are those of ``x``.

    Raises:
        ArgumentError: ``p`` is not in [0, 1].

    Source: Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov, JMLR 15, 2014, section 10 (inverted form).
    """
    p = check_probability(p)
    if not training or p == 0.0:
        return x
    dtype = float_dtype_of(x.dtype)
    source, shape = generator(rng, seed), tuple(x.shape)

    def mask() -> Array:
        draws = source.random(shape, np.float32 if dtype.itemsize <= 4 else np.float64)
        return np.multiply(draws >= p, 1.0 / (1.0 - p), dtype=dtype) if p < 1.0 else np.zeros(shape, dtype)

    return ops.mul(x, mask() if seed is not None else drawn(mask))
