"""Layers that are not activations: dense, bilinear, flatten and its inverse, identity."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ..dtypes import get_default_dtype
from ..errors import ArgumentError, DTypeError, ShapeError
from ..ops import flatten, linear, reshape
from ..ops.kernels import normalise_axis
from ..tensor import Tensor, generator
from . import init
from .functional import bilinear
from .module import Module, Parameter, refuse_data

__all__ = ["Bilinear", "Flatten", "Identity", "Linear", "Unflatten"]


def positive(owner: Module, example: str, **sizes: Any) -> None:
    """Refuse sizes that are not positive integers.

    Raises:
        ArgumentError: one is not.
    """
    for name, given in sizes.items():
        if isinstance(given, bool) or not isinstance(given, (int, np.integer)) or given < 1:
            raise ArgumentError(f"{type(owner).__name__}: {name} is a positive integer, got {given!r}; say {example}")


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
        positive(self, "Linear(784, 10)", in_features=in_features, out_features=out_features)
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
            if isinstance(x, tuple) and x and isinstance(x[0], Tensor):
                return DTypeError(
                    f"Linear takes a Tensor or array, got a tuple of {len(x)}: recurrent layers and attention give "
                    "their output and something beside it; in a forward of your own say output, _ = layer(x)"
                )
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


class Bilinear(Module):
    """``y[k] = x1 @ weight[k] @ x2 + bias[k]``: every pair of features of two inputs has a weight for each output.

    Args:
        in1_features, in2_features, out_features: the lengths of the last axes of both inputs and of the output.
        bias: False leaves the bias out.
        rng, seed: for the initial values; fresh ones by default. dtype: of the parameters.

    Attributes:
        weight: ``(out_features, in1_features, in2_features)``. bias: ``(out_features,)`` or None. Both are drawn from
            ``U(-1 / sqrt(in1_features), 1 / sqrt(in1_features))``.

    Raises:
        ArgumentError: a size that is not a positive integer. When called: ShapeError for inputs that do not fit.
    """

    weight: Tensor
    bias: Tensor | None

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        *,
        rng: np.random.Generator | None = None,
        seed: int | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__()
        sizes = {"in1_features": in1_features, "in2_features": in2_features, "out_features": out_features}
        positive(self, "Bilinear(8, 8, 4)", **sizes)
        self.in1_features, self.in2_features, self.out_features = map(int, sizes.values())
        draws = generator(rng, seed)
        dtype = dtype or get_default_dtype()
        bound = 1.0 / math.sqrt(in1_features)
        self.weight = Parameter(np.empty((out_features, in1_features, in2_features), dtype))
        init.uniform_(self.weight, -bound, bound, rng=draws)
        self.register_parameter("bias", Parameter(np.empty(out_features, dtype)) if bias else None)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound, rng=draws)

    def forward(self, x1: Any, x2: Any) -> Any:
        """``(…, in1_features)`` and ``(…, in2_features)`` to ``(…, out_features)``."""
        return bilinear(x1, x2, self.weight, self.bias)

    def extra_repr(self) -> str:
        """The sizes, and whether there is a bias."""
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, "
            f"out_features={self.out_features}, bias={self.bias is not None}"
        )


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


class Unflatten(Module):
    """Split axis ``dim`` into the axes of ``unflattened_size``, one of which may be -1: the inverse of Flatten.

    Raises:
        When called: ShapeError, the axis is not as long as their product.
    """

    def __init__(self, dim: int, unflattened_size: tuple[int, ...] | list[int]) -> None:
        super().__init__()
        refuse_data(self, dim)
        self.dim, self.unflattened_size = int(dim), tuple([int(size) for size in unflattened_size])

    def forward(self, x: Any) -> Any:
        """The same values with more axes."""
        axis = normalise_axis(self.dim, x.ndim)
        sizes = self.unflattened_size
        known = math.prod([size for size in sizes if size != -1])
        length = x.shape[axis]
        full = tuple([length // known if size == -1 and known else size for size in sizes])
        if math.prod(full) != length:
            raise ShapeError(
                f"Unflatten splits axis {self.dim} of shape {tuple(x.shape)}, which is {length} long, into {sizes}, "
                f"which have {math.prod(full)} elements; say Unflatten({self.dim}, …) with sizes that multiply to "
                f"{length}"
            )
        return reshape(x, (*x.shape[:axis], *full, *x.shape[axis + 1 :]))

    def extra_repr(self) -> str:
        """The axis and its new sizes."""
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"


class Identity(Module):
    """Give the input back: a placeholder where a layer is expected. Any arguments are accepted and forgotten."""

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()

    def forward(self, x: Any) -> Any:
        """``x`` itself."""
        return x
