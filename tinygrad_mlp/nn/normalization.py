"""Normalisation layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike

from .. import ops
from ..dtypes import get_default_dtype
from ..errors import ArgumentError, ShapeError
from ..tensor import Tensor, no_grad
from . import functional
from .layers import positive
from .module import Module, Parameter, refuse_data

__all__ = [
    "BatchNorm1d",
    "BatchNorm2d",
    "GroupNorm",
    "InstanceNorm1d",
    "InstanceNorm2d",
    "LayerNorm",
    "RMSNorm",
]


def _register_scale(owner: Module, shape: tuple[int, ...], weight: bool, bias: bool, dtype: DTypeLike | None) -> None:
    dtype = dtype or get_default_dtype()
    owner.register_parameter("weight", Parameter(np.ones(shape, dtype)) if weight else None)
    owner.register_parameter("bias", Parameter(np.zeros(shape, dtype)) if bias else None)


class _Channelwise(Module):
    """What batch and instance normalisation share: scale and shift per channel, and statistics that follow the data."""

    _kind = "BatchNorm"
    _names: ClassVar[tuple[tuple[str, ...], ...]]

    weight: Tensor | None
    bias: Tensor | None
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        *,
        bias: bool = True,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__()
        refuse_data(self, num_features)
        positive(self, f"{type(self).__name__}(32)", num_features=num_features)
        if momentum is not None and not 0.0 <= momentum <= 1.0:
            raise ArgumentError(f"{type(self).__name__}: momentum is from 0 to 1, or None for the mean, got {momentum}")
        self.num_features, self.eps = int(num_features), float(eps)
        self.momentum = None if momentum is None else float(momentum)
        self.affine, self.track_running_stats = bool(affine), bool(track_running_stats)
        dtype = dtype or get_default_dtype()
        _register_scale(self, (num_features,), affine, affine and bias, dtype)
        tracked = self.track_running_stats
        self.register_buffer("running_mean", Tensor(np.zeros(num_features, dtype)) if tracked else None)
        self.register_buffer("running_var", Tensor(np.ones(num_features, dtype)) if tracked else None)
        self.register_buffer("num_batches_tracked", Tensor(np.array(0, np.int64)) if tracked else None)

    def reset_running_stats(self) -> None:
        """Start again with mean 0, variance 1 and no batch seen."""
        for buffer, start in ((self.running_mean, 0), (self.running_var, 1), (self.num_batches_tracked, 0)):
            if buffer is not None:
                functional.overwrite(buffer, np.full(buffer.shape, start, buffer.dtype))

    def _check(self, x: Any) -> None:
        shape = tuple(x.shape)
        channels = len(self._names[0]) - self._names[0].index("channels") - len(self._names[0])
        ranks = {len(names): names for names in self._names}
        names = ranks.get(len(shape))
        if names is not None and shape[names.index("channels")] == self.num_features:
            return
        name = type(self).__name__
        expected = " or ".join(f"({', '.join(one)})" for one in self._names)
        said = f"{name} expected input of shape {expected} with channels = {self.num_features}, got {shape}"
        if names is not None:
            found = shape[names.index("channels")]
            fix = f"make the layer {name}({found})"
            if shape[-1] == self.num_features and len(shape) > 2:
                fix = f"the channels may come last: x.transpose({channels}, -1); or {fix}"
        elif len(shape) == 4 and len(self._names[-1]) < 4:
            fix = f"pictures have their own layer: {self._kind}2d({shape[1]})"
        elif len(shape) in {2, 3} and len(self._names[-1]) == 4:
            fix = f"for features or sequences say {self._kind}1d({shape[1]}); for one picture x.unsqueeze(0)"
        else:
            fix = "put the missing axes in: x.unsqueeze(0) for a batch of one"
        raise ShapeError(f"{said}; {fix}")

    def _factor(self) -> Any:
        """How far the running statistics move, after counting this batch."""
        count = self.num_batches_tracked
        assert count is not None
        with no_grad():
            functional.overwrite(count, ops.add(count, 1))
            if self.momentum is not None:
                return self.momentum
            # The mean of all batches so far.
            return ops.div(1.0, ops.astype(count, self._dtype()))

    def _dtype(self) -> Any:
        assert self.running_mean is not None
        return self.running_mean.dtype

    def extra_repr(self) -> str:
        """The options."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"track_running_stats={self.track_running_stats}"
        )


class _BatchNorm(_Channelwise):
    """Batch normalisation over all axes but the channels."""

    def forward(self, x: Any) -> Any:
        """The same shape and dtype."""
        self._check(x)
        follows = self.training and self.track_running_stats
        factor = self._factor() if follows else 0.0
        by_batch = self.training or self.running_mean is None
        kept = not self.training or self.track_running_stats
        return functional.batch_norm(
            x,
            self.running_mean if kept else None,
            self.running_var if kept else None,
            self.weight,
            self.bias,
            by_batch,
            factor,
            self.eps,
        )


class BatchNorm1d(_BatchNorm):
    """``(x - mean) / sqrt(var + eps) * weight + bias`` for each channel of ``(batch, channels[, length])``.

    In training the mean and the biased variance are those of the batch, and the running statistics move towards its
    mean and its unbiased variance; in evaluation the running statistics are used.

    Args:
        num_features: the number of channels. eps: added to the variance.
        momentum: how far the running statistics move in each batch; None: they are the mean of all batches.
        affine: False leaves weight and bias out; bias: False leaves that out alone.
        track_running_stats: False keeps no statistics; then evaluation uses those of the batch as well.
        dtype: of parameters and statistics; the default dtype unless given.

    Attributes:
        weight, bias: ``(channels,)``, 1 and 0 at the start. running_mean, running_var: ``(channels,)``;
        num_batches_tracked: how many batches they have seen.

    Raises:
        ArgumentError: options out of range. When called: ShapeError for another shape, and in training for a single
            value per channel.

    Source: Ioffe & Szegedy, ICML 2015.
    """

    _names = (("batch", "channels"), ("batch", "channels", "length"))


class BatchNorm2d(_BatchNorm):
    """:class:`BatchNorm1d` for pictures, ``(batch, channels, height, width)``; all else as there."""

    _names = (("batch", "channels", "height", "width"),)


class _InstanceNorm(_Channelwise):
    """Instance normalisation over the axes after the channels."""

    _kind = "InstanceNorm"

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        *,
        bias: bool = True,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, bias=bias, dtype=dtype)

    def forward(self, x: Any) -> Any:
        """The same shape and dtype."""
        self._check(x)
        single = len(x.shape) == len(self._names[0])
        batch = ops.unsqueeze(x, 0) if single else x
        y = functional.instance_norm(
            batch,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            self.momentum or 0.0,
            self.eps,
        )
        return ops.squeeze(y, 0) if single else y


class InstanceNorm1d(_InstanceNorm):
    """``(x - mean) / sqrt(var + eps)`` for each channel of each sample of ``([batch,] channels, length)``.

    Args, attributes: as :class:`BatchNorm1d`, but ``affine`` and ``track_running_stats`` are False by default.

    Raises:
        As :class:`BatchNorm1d`.

    Source: Ulyanov, Vedaldi, Lempitsky, 2016.
    """

    _names = (("channels", "length"), ("batch", "channels", "length"))


class InstanceNorm2d(_InstanceNorm):
    """:class:`InstanceNorm1d` for pictures, ``([batch,] channels, height, width)``."""

    _names = (("channels", "height", "width"), ("batch", "channels", "height", "width"))


def _as_shape(given: int | Sequence[int]) -> tuple[int, ...]:
    return (int(given),) if isinstance(given, (int, np.integer)) else tuple([int(size) for size in given])


class LayerNorm(Module):
    """``(x - mean) / sqrt(var + eps) * weight + bias`` over the last axes, each sample by itself.

    Args:
        normalized_shape: the lengths of those axes; one number for the last axis.
        eps: added to the variance. elementwise_affine: False leaves weight and bias out. bias: False leaves it out.
        dtype: of the parameters; the default dtype unless given.

    Attributes:
        weight, bias: of shape ``normalized_shape``, 1 and 0 at the start.

    Raises:
        When called: ShapeError, the input ends in other lengths.

    Source: Ba, Kiros, Hinton, 2016.
    """

    weight: Tensor | None
    bias: Tensor | None

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        *,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__()
        refuse_data(self, normalized_shape)
        self.normalized_shape, self.eps = _as_shape(normalized_shape), float(eps)
        self.elementwise_affine = bool(elementwise_affine)
        _register_scale(self, self.normalized_shape, elementwise_affine, elementwise_affine and bias, dtype)

    def forward(self, x: Any) -> Any:
        """The same shape and dtype."""
        return functional.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """The options."""
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class RMSNorm(Module):
    """``x / sqrt(mean(x**2) + eps) * weight`` over the last axes.

    Args:
        normalized_shape, elementwise_affine, dtype: as in :class:`LayerNorm`.
        eps: the distance from 1 to the next number of the input's dtype by default.

    Raises:
        When called: ShapeError, the input ends in other lengths.

    Source: Zhang & Sennrich, NeurIPS 2019.
    """

    weight: Tensor | None

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        *,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__()
        refuse_data(self, normalized_shape)
        self.normalized_shape = _as_shape(normalized_shape)
        self.eps = None if eps is None else float(eps)
        self.elementwise_affine = bool(elementwise_affine)
        start = np.ones(self.normalized_shape, dtype or get_default_dtype())
        self.register_parameter("weight", Parameter(start) if elementwise_affine else None)

    def forward(self, x: Any) -> Any:
        """The same shape and dtype."""
        return functional.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        """The options."""
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class GroupNorm(Module):
    """``(x - mean) / sqrt(var + eps) * weight + bias`` over groups of channels (axis 1) and all places.

    Args:
        num_groups: into how many groups the channels fall. num_channels: a multiple of it.
        eps: added to the variance. affine: False leaves weight and bias out. bias: False leaves that out alone.
        dtype: of the parameters.

    Attributes:
        weight, bias: ``(num_channels,)``, 1 and 0 at the start.

    Raises:
        ArgumentError: the channels are not a multiple of the groups. When called: ShapeError for other channels.

    Source: Wu & He, ECCV 2018.
    """

    weight: Tensor | None
    bias: Tensor | None

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        *,
        bias: bool = True,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__()
        refuse_data(self, num_groups, num_channels)
        positive(self, "GroupNorm(4, 32)", num_groups=num_groups, num_channels=num_channels)
        if num_channels % num_groups:
            raise ArgumentError(
                f"GroupNorm: {num_channels} channels do not fall into {num_groups} equal groups; say GroupNorm(4, 32)"
            )
        self.num_groups, self.num_channels = int(num_groups), int(num_channels)
        self.eps, self.affine = float(eps), bool(affine)
        _register_scale(self, (num_channels,), affine, affine and bias, dtype)

    def forward(self, x: Any) -> Any:
        """The same shape and dtype."""
        if x.ndim < 2 or x.shape[1] != self.num_channels:
            raise ShapeError(
                f"GroupNorm expected input of shape (batch, channels, …) with channels = {self.num_channels}, got "
                f"{tuple(x.shape)}; make the layer GroupNorm({self.num_groups}, channels), or say x.transpose(1, -1) "
                "if the channels come last"
            )
        return functional.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """The options."""
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}"
