"""Convolution and pooling layers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ..dtypes import get_default_dtype
from ..errors import ArgumentError, did_you_mean
from ..tensor import Tensor, generator
from . import functional, init
from .functional.windows import as_sizes, sides_of
from .layers import positive
from .module import Module, Parameter, refuse_data

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AvgPool1d",
    "AvgPool2d",
    "Conv1d",
    "Conv2d",
    "MaxPool1d",
    "MaxPool2d",
]

_MODES = ("zeros", "reflect", "replicate", "circular")


class _Conv(Module):
    """A convolution over the last ``_axes`` axes."""

    _axes: int
    weight: Tensor
    bias: Tensor | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] = 1,
        padding: int | tuple[int, ...] | str = 0,
        dilation: int | tuple[int, ...] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        *,
        rng: np.random.Generator | None = None,
        seed: int | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        refuse_data(self, in_channels, out_channels)
        positive(self, f"{name}(1, 16, 3)", in_channels=in_channels, out_channels=out_channels, groups=groups)
        for what, count in (("in_channels", in_channels), ("out_channels", out_channels)):
            if count % groups:
                raise ArgumentError(
                    f"{name}: {what} = {count} does not fall into {groups} equal groups; say {name}(8, 16, 3, groups=4)"
                )
        if padding_mode not in _MODES:
            raise ArgumentError(did_you_mean("padding_mode", padding_mode, _MODES))
        self.in_channels, self.out_channels, self.groups = int(in_channels), int(out_channels), int(groups)
        self.kernel_size = as_sizes(f"{name}: kernel_size", kernel_size, self._axes)
        self.stride = as_sizes(f"{name}: stride", stride, self._axes)
        self.dilation = as_sizes(f"{name}: dilation", dilation, self._axes)
        self._sides = tuple(sides_of(name, padding, self.kernel_size, self.stride, self.dilation))
        self.padding = padding if isinstance(padding, str) else as_sizes(f"{name}: padding", padding, self._axes, 0)
        self.padding_mode = padding_mode
        draws = generator(rng, seed)
        dtype = dtype or get_default_dtype()
        inputs = in_channels // groups
        bound = 1.0 / math.sqrt(inputs * math.prod(self.kernel_size))
        self.weight = Parameter(np.empty((out_channels, inputs, *self.kernel_size), dtype))
        init.uniform_(self.weight, -bound, bound, rng=draws)
        self.register_parameter("bias", Parameter(np.empty(out_channels, dtype)) if bias else None)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound, rng=draws)

    def forward(self, x: Any) -> Any:
        """``(batch, in_channels, …)`` to ``(batch, out_channels, …)``."""
        padding: Any = self.padding
        if self.padding_mode != "zeros" and x.ndim > self._axes:
            around = [one for side in self._sides[::-1] for one in side]
            x, padding = functional.pad(x, around, self.padding_mode), 0
        return functional.windows.convolve(
            type(self).__name__, x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups
        )

    def extra_repr(self) -> str:
        """The sizes, and the options that are not the usual ones."""
        said = [f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"]
        usual = {"padding": (0,) * self._axes, "dilation": (1,) * self._axes, "groups": 1, "padding_mode": "zeros"}
        said += [f"{name}={getattr(self, name)!r}" for name, value in usual.items() if getattr(self, name) != value]
        return ", ".join(said) + ("" if self.bias is not None else ", bias=False")


class Conv1d(_Conv):
    """``y[n, o] = bias[o] + sum over c of weight[o, c] * x[n, c]``, ``*`` being the cross-correlation.

    ``(batch, in_channels, length)`` to ``(batch, out_channels, length')``; the batch may be left out.

    Args:
        in_channels, out_channels: the numbers of channels. kernel_size: the length of the window.
        stride: how far it moves. dilation: how far apart its elements are.
        padding: how many elements are put on both sides, ``"valid"`` (none) or ``"same"`` (lengths stay).
        groups: channels fall into so many groups that do not mix. bias: False leaves the bias out.
        padding_mode: ``"zeros"``, ``"reflect"``, ``"replicate"`` or ``"circular"``.
        rng, seed: for the initial values; fresh ones by default. dtype: of the parameters.

    Attributes:
        weight: ``(out_channels, in_channels / groups, kernel_size)``. bias: ``(out_channels,)`` or None. Both are drawn
            from ``U(-1 / sqrt(n), 1 / sqrt(n))``, ``n`` being the number of weights of one output channel.

    Raises:
        ArgumentError: sizes that are not positive integers or contradict each other. When called: ShapeError for an
            input of other axes or channels, or shorter than the window.

    Source: LeCun et al., Neural Computation 1, 1989.

    >>> from tinygrad_mlp import nn, zeros
    >>> nn.Conv1d(3, 8, 5, padding="same", seed=0)(zeros(2, 3, 20)).shape
    (2, 8, 20)
    """

    _axes = 1


class Conv2d(_Conv):
    """:class:`Conv1d` for pictures: ``(batch, in_channels, height, width)``.

    Arguments, attributes, errors and source as there; two numbers may be given for height and width.

    >>> from tinygrad_mlp import nn, zeros
    >>> nn.Conv2d(1, 8, 3, stride=2, padding=1, seed=0)(zeros(2, 1, 28, 28)).shape
    (2, 8, 14, 14)
    """

    _axes = 2


class _Pool(Module):
    """A pooling layer: its options are its attributes."""

    _function: Any

    def __init__(self, **options: Any) -> None:
        super().__init__()
        refuse_data(self, *options.values())
        name = type(self).__name__
        axes = int(name[-2])
        options["stride"] = options["kernel_size"] if options["stride"] is None else options["stride"]
        for one in ("kernel_size", "stride", "dilation"):
            if one in options:
                as_sizes(f"{name}: {one}", options[one], axes)
        self._names = tuple(options)
        for one, value in options.items():
            setattr(self, one, tuple(value) if isinstance(value, list) else value)

    def forward(self, x: Any) -> Any:
        """The same batch and channels, pooled along the other axes."""
        return type(self)._function(x, **{name: getattr(self, name) for name in self._names})

    def extra_repr(self) -> str:
        """The options."""
        return ", ".join(f"{name}={getattr(self, name)}" for name in self._names)


class MaxPool1d(_Pool):
    """The largest value of each window of ``([batch,] channels, length)``; equal ones share the gradient.

    Args:
        kernel_size: the length of the window. stride: how far it moves, its own length by default.
        padding: minus infinity on both sides. dilation: how far apart its elements are.
        return_indices: the pair of values and their places, of which equal values have the first; for ``max_unpool1d``.
        ceil_mode: True lets the last window reach over the end.

    Raises:
        ArgumentError: sizes that are not positive integers. When called: ShapeError for other axes, or an input shorter
            than the window.
    """

    _function = staticmethod(functional.max_pool1d)

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__(
            kernel_size=kernel_size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            return_indices=bool(return_indices),
            ceil_mode=bool(ceil_mode),
        )


class MaxPool2d(MaxPool1d):
    """:class:`MaxPool1d` for pictures, ``([batch,] channels, height, width)``.

    >>> from tinygrad_mlp import nn, zeros
    >>> nn.MaxPool2d(2)(zeros(1, 8, 28, 28)).shape
    (1, 8, 14, 14)
    """

    _function = staticmethod(functional.max_pool2d)


class AvgPool1d(_Pool):
    """The mean of each window of ``([batch,] channels, length)``.

    Args:
        kernel_size, stride, ceil_mode: as in :class:`MaxPool1d`. padding: zeros on both sides.
        count_include_pad: False divides by the number of elements that are not padding.

    Raises:
        As :class:`MaxPool1d`.
    """

    _function = staticmethod(functional.avg_pool1d)

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__(
            kernel_size=kernel_size,
            stride=stride,
            padding=padding,
            ceil_mode=bool(ceil_mode),
            count_include_pad=bool(count_include_pad),
        )


class AvgPool2d(_Pool):
    """:class:`AvgPool1d` for pictures; ``divisor_override`` divides the sums by another number."""

    _function = staticmethod(functional.avg_pool2d)

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__(
            kernel_size=kernel_size,
            stride=stride,
            padding=padding,
            ceil_mode=bool(ceil_mode),
            count_include_pad=bool(count_include_pad),
            divisor_override=divisor_override,
        )


class AdaptiveAvgPool1d(Module):
    """The means of ``output_size`` nearly equal pieces of ``([batch,] channels, length)``, whatever the length.

    Raises:
        When called: ShapeError for another number of axes.
    """

    _function: Any = staticmethod(functional.adaptive_avg_pool1d)

    def __init__(self, output_size: Any) -> None:
        super().__init__()
        refuse_data(self, output_size)
        self.output_size = tuple(output_size) if isinstance(output_size, list) else output_size

    def forward(self, x: Any) -> Any:
        """The same batch and channels, and ``output_size`` places."""
        return type(self)._function(x, self.output_size)

    def extra_repr(self) -> str:
        """The size."""
        return f"output_size={self.output_size}"


class AdaptiveAvgPool2d(AdaptiveAvgPool1d):
    """:class:`AdaptiveAvgPool1d` for pictures: one size for both axes, or two, None keeping the length of an axis."""

    _function = staticmethod(functional.adaptive_avg_pool2d)
