"""Layers that are not activations: dense, flatten, dropout, identity."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ..dtypes import get_default_dtype
from ..errors import ArgumentError, DTypeError, ShapeError
from ..ops import flatten, linear
from ..tensor import Tensor, generator
from . import init
from .functional import check_probability, dropout
from .module import Module, Parameter, refuse_data

__all__ = ["Dropout", "Flatten", "Identity", "Linear"]


class Linear(Module):
    """A dense layer, ``y = x @ weight.T + bias``: ``(batch, in_features)`` to ``(batch, out_features)``.

    Args:
        in_features, out_features: the lengths of the last axis of the input and of the output.
        bias: False leaves the bias out.
        rng, seed: for the initial values; fresh ones by default.
        dtype: of the parameters; the default dtype unless given.

    Attributes:
        weight: ``(out_features, in_features)``. bias: ``(out_features,)`` or None. Both are drawn from
            ``U(-1 / sqrt(in_features), 1 / sqrt(in_features))``, as torch does; :mod:`tinygrad_mlp.nn.init` has others.

    Raises:
        ArgumentError: a size that is not a positive integer. When called: ShapeError for an input whose last axis is
            not ``in_features`` long.
    """

    weight: Tensor
    bias: Tensor | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        rng: np.random.Generator | None = None,
        seed: int | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__()
        given: Any
        for name, given in (("in_features", in_features), ("out_features", out_features)):
            if isinstance(given, bool) or not isinstance(given, (int, np.integer)) or given < 1:
                raise ArgumentError(f"Linear: {name} is a positive integer, got {given!r}; say Linear(784, 10)")
        self.in_features, self.out_features = int(in_features), int(out_features)
        draws = generator(rng, seed)
        dtype = dtype or get_default_dtype()
        bound = 1.0 / math.sqrt(in_features)
        # Laid out column by column: `x @ weight.T` then multiplies two arrays that BLAS can read in order.
        self.weight = Parameter(np.empty((in_features, out_features), dtype).T)
        init.uniform_(self.weight, -bound, bound, rng=draws)
        self.register_parameter("bias", Parameter(np.empty(out_features, dtype)) if bias else None)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound, rng=draws)

    def forward(self, x: Any) -> Any:
        """``(…, in_features)`` to ``(…, out_features)``."""
        try:
            return linear(x, self.weight, self.bias)
        except (ShapeError, AttributeError) as error:
            raise self._explained(x, error) from None

    def _explained(self, x: Any, error: Exception) -> Exception:
        if not isinstance(x, (Tensor, np.ndarray)):
            return DTypeError(f"Linear takes a Tensor or array, got {type(x).__name__}; say layer(Tensor(x))")
        shape, features = tuple(x.shape), self.in_features
        if shape[-1:] == (features,):
            return error
        fix = f"make the layer Linear({shape[-1] if shape else 1}, {self.out_features})"
        if len(shape) == 1:
            fix = _fix_for_a_row(shape[0], features, self.out_features)
        elif math.prod(shape[1:]) == features:
            fix = "put nn.Flatten() in front of the layer, or say x.flatten(1)"
        elif shape == (features, 1) or (len(shape) == 2 and shape[0] == features):
            fix = f"the axes may be swapped, say x.T; or {fix}"
        return ShapeError(
            f"Linear expected input of shape (batch, features) = (…, {features}), got {_axes(shape)}; {fix}"
        )

    def extra_repr(self) -> str:
        """The sizes, and whether there is a bias."""
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


def _fix_for_a_row(length: int, features: int, outputs: int) -> str:
    if features == 1:
        return f"{length} samples of one number each are x.reshape(-1, 1)"
    one_each = f"if these are {length} samples of one number each: x.reshape(-1, 1) and Linear(1, {outputs})"
    return f"one sample has {features} numbers here, so make the layer Linear({length}, {outputs}); or, {one_each}"


def _axes(shape: tuple[int, ...]) -> str:
    if not shape:
        return "a number without axes"
    if len(shape) == 1:
        return f"({shape[0]},) = (features,)"
    middle = ["…"] if len(shape) > 2 else []
    return f"{shape} = ({', '.join(['batch', *middle, 'features'])})"


class Flatten(Module):
    """Merge the axes from ``start_dim`` to ``end_dim``: by default ``(batch, …)`` becomes ``(batch, features)``."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        refuse_data(self, start_dim)
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x: Any) -> Any:
        """The same values with fewer axes."""
        return flatten(x, self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        """The first and last axis merged."""
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Identity(Module):
    """Give the input back: a placeholder where a layer is expected."""

    def forward(self, x: Any) -> Any:
        """``x`` itself."""
        return x


class Dropout(Module):
    """In training set each element to 0 with probability ``p`` and scale the others by ``1 / (1 - p)``.

    In evaluation it is the identity. Each Dropout draws from its own generator.

    Args:
        p: the probability of dropping, from 0 to 1; 1 gives zeros.
        rng, seed: for the masks; fresh by default.

    Raises:
        ArgumentError: ``p`` outside [0, 1].

    Source: Srivastava et al., JMLR 15, 2014.
    """

    def __init__(self, p: float = 0.5, *, rng: np.random.Generator | None = None, seed: int | None = None) -> None:
        super().__init__()
        refuse_data(self, p)
        self.p = check_probability(p)
        self.rng = generator(rng, seed)

    def forward(self, x: Any) -> Any:
        """``x`` with elements dropped, of the same shape and dtype."""
        return dropout(x, self.p, self.training, rng=self.rng)

    def extra_repr(self) -> str:
        """The probability."""
        return f"p={self.p}"
