"""Activations by Keras' names: functions of one tensor or array, made of the engine's ops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import ops
from ..errors import ArgumentError, did_you_mean
from ..nn import functional

__all__ = [
    "ACTIVATIONS",
    "deserialize",
    "elu",
    "exponential",
    "gelu",
    "get",
    "hard_sigmoid",
    "hard_silu",
    "leaky_relu",
    "linear",
    "log_softmax",
    "mish",
    "relu",
    "relu6",
    "selu",
    "serialize",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "softsign",
    "swish",
    "tanh",
]

Activation = Callable[..., Any]


def linear(x: Any) -> Any:
    """``x`` itself."""
    return x


def relu(x: Any, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Any:
    """``max(x, 0)``; with options ``min(max_value, x)`` above ``threshold`` and a slope below it, as Keras has it."""
    if negative_slope == 0.0 and max_value is None and threshold == 0.0:
        return ops.relu(x)
    above = x if max_value is None else ops.clamp(x, max=max_value)
    return ops.where(ops.ge(x, threshold), above, ops.mul(ops.sub(x, threshold), negative_slope))


def relu6(x: Any) -> Any:
    """``min(max(x, 0), 6)``."""
    return functional.relu6(x)


def leaky_relu(x: Any, negative_slope: float = 0.2) -> Any:
    """``x`` where it is positive, else ``negative_slope * x``; Keras' default slope."""
    return ops.leaky_relu(x, negative_slope)


def elu(x: Any, alpha: float = 1.0) -> Any:
    """``x`` where it is positive, else ``alpha * (exp(x) - 1)``. Source: Clevert, Unterthiner, Hochreiter, 2016."""
    return functional.elu(x, alpha)


def selu(x: Any) -> Any:
    """``scale * elu(x, alpha)`` with the constants of Klambauer et al., NeurIPS 2017."""
    return functional.selu(x)


def exponential(x: Any) -> Any:
    """``exp(x)``."""
    return ops.exp(x)


def softplus(x: Any) -> Any:
    """``log(1 + exp(x))``."""
    return ops.softplus(x)


def softsign(x: Any) -> Any:
    """``x / (1 + |x|)``."""
    return functional.softsign(x)


def sigmoid(x: Any) -> Any:
    """``1 / (1 + exp(-x))``."""
    return ops.sigmoid(x)


def hard_sigmoid(x: Any) -> Any:
    """``x / 6 + 0.5``, kept within [0, 1]."""
    return functional.hardsigmoid(x)


def hard_silu(x: Any) -> Any:
    """``x * hard_sigmoid(x)``."""
    return functional.hardswish(x)


def tanh(x: Any) -> Any:
    """The hyperbolic tangent."""
    return ops.tanh(x)


def silu(x: Any) -> Any:
    """``x * sigmoid(x)``."""
    return ops.silu(x)


def gelu(x: Any, approximate: bool = False) -> Any:
    """``x * Phi(x)`` with the distribution function of the normal distribution, or with ``approximate`` by tanh."""
    return ops.gelu(x, approximate="tanh" if approximate else "none")


def mish(x: Any) -> Any:
    """``x * tanh(softplus(x))``. Source: Misra, BMVC 2020."""
    return functional.mish(x)


def softmax(x: Any, axis: int = -1) -> Any:
    """``exp(x) / sum(exp(x))`` along an axis."""
    return ops.softmax(x, axis)


def log_softmax(x: Any, axis: int = -1) -> Any:
    """The logarithm of :func:`softmax`."""
    return ops.log_softmax(x, axis)


swish = silu

ACTIVATIONS: dict[str, Activation] = {
    one.__name__: one
    for one in (
        linear,
        relu,
        relu6,
        leaky_relu,
        elu,
        selu,
        exponential,
        softplus,
        softsign,
        sigmoid,
        hard_sigmoid,
        hard_silu,
        tanh,
        silu,
        gelu,
        mish,
        softmax,
        log_softmax,
    )
} | {"swish": silu, "hard_swish": hard_silu}
"""Every activation by its name in ``Dense(activation="...")``."""


def get(identifier: Any) -> Activation:
    """The function that a name, None (linear) or a function stands for.

    Raises:
        ArgumentError: an unknown name, or something that cannot be called.
    """
    if identifier is None:
        return linear
    if isinstance(identifier, str):
        if identifier not in ACTIVATIONS:
            raise ArgumentError(did_you_mean("activation", identifier, ACTIVATIONS))
        return ACTIVATIONS[identifier]
    if not callable(identifier):
        raise ArgumentError(f"an activation is a name or a function, got {identifier!r}; say activation='relu'")
    found: Activation = identifier
    return found


def serialize(activation: Activation) -> str:
    """The name of a function of this module.

    Raises:
        ArgumentError: it is not one of them, and a file could not name it.
    """
    for name, one in ACTIVATIONS.items():
        if one is activation:
            return name
    raise ArgumentError(f"{activation!r} has no name to be saved under; use one of {', '.join(sorted(ACTIVATIONS))}")


def deserialize(name: str) -> Activation:
    """The function of a name; the other way round of :func:`serialize`."""
    return get(name)
