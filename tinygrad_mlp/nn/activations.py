"""Activation functions as layers, and the table from their names in lower case."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import ops
from ..errors import ArgumentError, did_you_mean
from .layers import Identity
from .module import Module, refuse_data

__all__ = [
    "ACTIVATIONS",
    "GELU",
    "LeakyReLU",
    "LogSoftmax",
    "ReLU",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
    "make_activation",
]


class _Plain(Module):
    """An activation without options."""

    def __init__(self, *data: object) -> None:
        super().__init__()
        if data:
            refuse_data(self, *data)
            name = type(self).__name__
            raise ArgumentError(f"{name}() takes no options, got {data!r}; it is made, then called: nn.{name}()(x)")


class ReLU(_Plain):
    """``max(x, 0)``. Source: Nair & Hinton, ICML 2010."""

    # The op itself, so that calling the layer costs no further frame.
    forward = staticmethod(ops.relu)


class Sigmoid(_Plain):
    """``1 / (1 + exp(-x))``."""

    forward = staticmethod(ops.sigmoid)


class Tanh(_Plain):
    """``tanh(x)``."""

    forward = staticmethod(ops.tanh)


class SiLU(_Plain):
    """``x * sigmoid(x)``, also called swish. Source: Elfwing, Uchibe, Doya, 2018."""

    forward = staticmethod(ops.silu)


class LeakyReLU(Module):
    """``x`` where positive, else ``negative_slope * x``. Source: Maas, Hannun, Ng, 2013."""

    def __init__(self, negative_slope: float = 0.01) -> None:
        super().__init__()
        refuse_data(self, negative_slope)
        self.negative_slope = float(negative_slope)

    def forward(self, x: Any) -> Any:
        """The same shape and dtype."""
        return ops.leaky_relu(x, self.negative_slope)

    def extra_repr(self) -> str:
        """The slope."""
        return f"negative_slope={self.negative_slope}"


class Softplus(Module):
    """``log(1 + exp(beta x)) / beta``, exact for every x. Source: Dugas et al., NIPS 2000."""

    def __init__(self, beta: float = 1.0) -> None:
        super().__init__()
        refuse_data(self, beta)
        if not beta > 0:
            raise ArgumentError(f"Softplus: beta is positive, got {beta}; say Softplus()")
        self.beta = float(beta)

    def forward(self, x: Any) -> Any:
        """The same shape and dtype."""
        return ops.softplus(x, self.beta)

    def extra_repr(self) -> str:
        """The sharpness."""
        return f"beta={self.beta}"


class GELU(Module):
    """``x Phi(x)`` with the normal distribution function, or its tanh formula. Source: Hendrycks & Gimpel, 2016."""

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        refuse_data(self, approximate)
        if approximate not in {"none", "tanh"}:
            raise ArgumentError(did_you_mean("approximate", approximate, ["none", "tanh"]))
        self.approximate = approximate

    def forward(self, x: Any) -> Any:
        """The same shape and dtype."""
        return ops.gelu(x, self.approximate)

    def extra_repr(self) -> str:
        """The formula."""
        return f"approximate={self.approximate!r}"


class Softmax(Module):
    """Class probabilities ``exp(x) / sum(exp(x))`` along ``dim``. Losses here take logits: do not put it before one."""

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        refuse_data(self, dim)
        self.dim = dim

    def forward(self, x: Any) -> Any:
        """The same shape; sums to 1 along ``dim``."""
        return ops.softmax(x, self.dim)

    def extra_repr(self) -> str:
        """The axis."""
        return f"dim={self.dim}"


class LogSoftmax(Module):
    """Logarithms of class probabilities along ``dim``."""

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        refuse_data(self, dim)
        self.dim = dim

    def forward(self, x: Any) -> Any:
        """The same shape."""
        return ops.log_softmax(x, self.dim)

    def extra_repr(self) -> str:
        """The axis."""
        return f"dim={self.dim}"


ACTIVATIONS: dict[str, Callable[[], Module]] = {
    "gelu": GELU,
    "identity": Identity,
    "leaky_relu": LeakyReLU,
    "relu": ReLU,
    "sigmoid": Sigmoid,
    "silu": SiLU,
    "softplus": Softplus,
    "tanh": Tanh,
}
"""The activations that a hidden layer can be given by name."""


def make_activation(activation: str | Callable[[], Module]) -> Module:
    """A layer from the name of an activation, or from anything that makes one when called.

    Raises:
        ArgumentError: an unknown name, or something that does not make a Module.
    """
    if isinstance(activation, Module) or not (isinstance(activation, str) or callable(activation)):
        raise ArgumentError(
            f"activation is a name or a class such as nn.ReLU, one layer being made per place; got {activation!r}"
        )
    if isinstance(activation, str):
        try:
            return ACTIVATIONS[activation.lower()]()
        except KeyError:
            raise ArgumentError(did_you_mean("activation", activation, ACTIVATIONS)) from None
    made = activation()
    if not isinstance(made, Module):
        raise ArgumentError(f"activation makes a Module when called, got {type(made).__name__}; say activation=nn.ReLU")
    return made
