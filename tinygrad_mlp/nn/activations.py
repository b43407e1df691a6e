"""Activation functions as layers, and the table from their names in lower case."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike

from .. import ops
from ..dtypes import get_default_dtype
from ..errors import ArgumentError, ShapeError, did_you_mean
from ..tensor import Tensor, generator
from . import functional
from .layers import Identity
from .module import Module, Parameter, refuse_data

__all__ = [
    "ACTIVATIONS",
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "SELU",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "LeakyReLU",
    "LogSigmoid",
    "LogSoftmax",
    "Mish",
    "PReLU",
    "RReLU",
    "ReLU",
    "ReLU6",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softmax2d",
    "Softmin",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Tanh",
    "Tanhshrink",
    "Threshold",
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


class SELU(_Plain):
    """``1.0507 * elu(x, 1.6733)``. Source: Klambauer et al., NeurIPS 2017."""

    forward = staticmethod(functional.selu)


class Mish(_Plain):
    """``x * tanh(softplus(x))``. Source: Misra, BMVC 2020."""

    forward = staticmethod(functional.mish)


class Softsign(_Plain):
    """``x / (1 + |x|)``. Source: Glorot & Bengio, AISTATS 2010."""

    forward = staticmethod(functional.softsign)


class ReLU6(_Plain):
    """``min(max(x, 0), 6)``. Source: Krizhevsky, 2010."""

    forward = staticmethod(functional.relu6)


class Hardsigmoid(_Plain):
    """``relu6(x + 3) / 6``."""

    forward = staticmethod(functional.hardsigmoid)


class Hardswish(_Plain):
    """``x * relu6(x + 3) / 6``. Source: Howard et al., ICCV 2019."""

    forward = staticmethod(functional.hardswish)


class LogSigmoid(_Plain):
    """``log(sigmoid(x))``, without the logarithm of 0."""

    forward = staticmethod(functional.logsigmoid)


class Tanhshrink(_Plain):
    """``x - tanh(x)``."""

    forward = staticmethod(functional.tanhshrink)


class _Optional(Module):
    """An activation with options, which are its attributes; the function takes them after ``x``."""

    function: ClassVar[Callable[..., Any]]

    def __init__(self, **options: float) -> None:
        super().__init__()
        refuse_data(self, *options.values())
        self._names = tuple(options)
        for name, value in options.items():
            setattr(self, name, value)

    def forward(self, x: Any) -> Any:
        """The same dtype, and but for GLU the same shape."""
        return type(self).function(x, *[getattr(self, name) for name in self._names])

    def extra_repr(self) -> str:
        """The options."""
        return ", ".join(f"{name}={getattr(self, name)}" for name in self._names)


class ELU(_Optional):
    """``x`` where positive, else ``alpha * (exp(x) - 1)``. Source: Clevert et al., ICLR 2016."""

    function = staticmethod(functional.elu)

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__(alpha=alpha)


class CELU(_Optional):
    """``max(x, 0) + min(0, alpha * (exp(x / alpha) - 1))``. Source: Barron, 2017."""

    function = staticmethod(functional.celu)

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__(alpha=alpha)


class Hardtanh(_Optional):
    """``x`` limited to ``[min_val, max_val]``."""

    function = staticmethod(functional.hardtanh)

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0) -> None:
        super().__init__(min_val=min_val, max_val=max_val)


class Threshold(_Optional):
    """``x`` where it is above ``threshold``, else ``value``."""

    function = staticmethod(functional.threshold)

    def __init__(self, threshold: float, value: float) -> None:
        super().__init__(threshold=threshold, value=value)


class Softshrink(_Optional):
    """``x`` moved towards 0 by ``lambd``, and 0 within that distance."""

    function = staticmethod(functional.softshrink)

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__(lambd=lambd)


class Hardshrink(_Optional):
    """``x`` where ``|x| > lambd``, else 0."""

    function = staticmethod(functional.hardshrink)

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__(lambd=lambd)


class GLU(_Optional):
    """``a * sigmoid(b)`` with the two halves of ``x`` along ``dim``. Source: Dauphin et al., ICML 2017."""

    function = staticmethod(functional.glu)

    def __init__(self, dim: int = -1) -> None:
        super().__init__(dim=dim)


class Softmin(_Optional):
    """``softmax(-x)`` along ``dim``."""

    function = staticmethod(functional.softmin)

    def __init__(self, dim: int = -1) -> None:
        super().__init__(dim=dim)


class Softmax2d(_Plain):
    """Class probabilities over the channels of ``(batch, channels, height, width)`` or ``(channels, height, width)``.

    Raises:
        ShapeError: when called with another number of axes.
    """

    def forward(self, x: Any) -> Any:
        """The same shape; sums to 1 over the channels at each place."""
        if x.ndim not in {3, 4}:
            raise ShapeError(
                f"Softmax2d expected input of shape (batch, channels, height, width), got {tuple(x.shape)}; "
                "over the last axis: nn.Softmax(-1)"
            )
        return ops.softmax(x, -3)


class PReLU(Module):
    """``x`` where positive, else ``weight * x`` with a slope that is learnt, one for all or one for each channel.

    Args:
        num_parameters: 1, or the number of channels (axis 1 of the input).
        init: the slope at the start. dtype: of the slopes; the default dtype unless given.

    Attributes:
        weight: ``(num_parameters,)``.

    Source: He, Zhang, Ren, Sun, ICCV 2015.
    """

    weight: Tensor

    def __init__(self, num_parameters: int = 1, init: float = 0.25, *, dtype: DTypeLike | None = None) -> None:
        super().__init__()
        refuse_data(self, num_parameters)
        self.num_parameters, self.init = int(num_parameters), float(init)
        self.weight = Parameter(np.full(num_parameters, init, dtype or get_default_dtype()))

    def forward(self, x: Any) -> Any:
        """The same shape and dtype."""
        return functional.prelu(x, self.weight)

    def extra_repr(self) -> str:
        """The number of slopes."""
        return f"num_parameters={self.num_parameters}"


class RReLU(Module):
    """``x`` where positive, else ``a * x``: in training each ``a`` is drawn from U(lower, upper), else their mean.

    Args:
        rng, seed: for the slopes; fresh by default.

    Source: Xu et al., 2015.
    """

    def __init__(
        self,
        lower: float = 1.0 / 8,
        upper: float = 1.0 / 3,
        *,
        rng: np.random.Generator | None = None,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        refuse_data(self, lower, upper)
        self.lower, self.upper = float(lower), float(upper)
        self.rng = generator(rng, seed)

    def forward(self, x: Any) -> Any:
        """The same shape and dtype."""
        return functional.rrelu(x, self.lower, self.upper, self.training, rng=self.rng)

    def extra_repr(self) -> str:
        """The bounds of the slopes."""
        return f"lower={self.lower}, upper={self.upper}"


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
    "celu": CELU,
    "elu": ELU,
    "gelu": GELU,
    "hardsigmoid": Hardsigmoid,
    "hardswish": Hardswish,
    "hardtanh": Hardtanh,
    "identity": Identity,
    "leaky_relu": LeakyReLU,
    "mish": Mish,
    "prelu": PReLU,
    "relu": ReLU,
    "relu6": ReLU6,
    "selu": SELU,
    "sigmoid": Sigmoid,
    "silu": SiLU,
    "softplus": Softplus,
    "softsign": Softsign,
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
