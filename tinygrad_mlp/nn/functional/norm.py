"""Normalisations as functions. They share :func:`tinygrad_mlp.ops.standard.standardise` and differ in its axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ... import ops
from ...capture import whole_step
from ...compositions.reductions import p_norm
from ...dtypes import float_dtype_of
from ...errors import ArgumentError, ShapeError
from ...ops.names import both_names
from ...ops.shape import reshaped
from ...ops.standard import standardise
from ...tape import Traced, wrote
from ...tensor import Tensor, no_grad

__all__ = ["batch_norm", "group_norm", "instance_norm", "layer_norm"]
__all__ += ["local_response_norm", "normalize", "overwrite", "rms_norm"]


def overwrite(buffer: Tensor, value: Any) -> None:
    """Write a value that carries no gradient into the memory of ``buffer``; a compiled step does so in each run."""
    step = whole_step()
    if step is not None:
        step.assigns(buffer.data, np.positive, value)
        return
    np.copyto(buffer.data, value.data if isinstance(value, Traced) else value)
    wrote("a layer that follows its inputs", buffer.data)


def _by_channel(one: Any, ndim: int) -> Any:
    """Numbers of channels, ``(channels,)``, shaped so that they stand along axis 1 of ``ndim`` axes."""
    return one if ndim == 2 else reshaped(one, shape=(one.shape[0], *[1] * (ndim - 2)))


def _affine(y: Any, weight: Any, bias: Any) -> Any:
    if weight is not None:
        y = ops.mul(y, weight)
    return y if bias is None else ops.add(y, bias)


def _follow(x: Any, axes: tuple[int, ...], mean: Tensor, var: Tensor, momentum: Any) -> None:
    """Move running statistics towards those of ``x``, by the unbiased variance."""
    with no_grad():
        middle = ops.mean(x, axes, keepdims=True)
        freedom = math.prod([x.shape[axis] for axis in axes]) - 1
        spread = ops.div(ops.sum(ops.square(ops.sub(x, middle)), axes), float(freedom))
        # Over the batch as well, where the statistics are those of single samples.
        for buffer, one in zip((mean, var), (ops.squeeze(middle, axes), spread), strict=True):
            if one.ndim > 1:
                one = ops.mean(one, 0)
            overwrite(
                buffer,
                ops.astype(ops.add(ops.mul(buffer, ops.sub(1.0, momentum)), ops.mul(one, momentum)), buffer.dtype),
            )


def batch_norm(
    input: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: Any = 0.1,
    eps: float = 1e-5,
) -> Any:
    """``(x - mean) / sqrt(var + eps) * weight + bias``, each channel (axis 1) by itself.

    Args:
        input: ``(batch, channels, …)``.
        running_mean, running_var: ``(channels,)`` or None. In training they are moved by ``momentum`` towards the mean
            and the unbiased variance of this batch; else they take the place of its statistics.
        weight, bias: ``(channels,)`` or None. training: use the statistics of this batch.

    Raises:
        ShapeError: no axis of channels, or in training a single value per channel. ArgumentError: no statistics.

    Source: Ioffe & Szegedy, ICML 2015.
    """
    if input.ndim < 2:
        raise ShapeError(f"batch_norm expected input of shape (batch, channels, …), got {tuple(input.shape)}")
    axes = (0, *range(2, input.ndim))
    channels = input.shape[1]
    weight, bias = (None if one is None else _by_channel(one, input.ndim) for one in (weight, bias))
    if not training:
        if running_mean is None or running_var is None:
            raise ArgumentError("batch_norm: without training=True it needs running_mean and running_var")
        scale = ops.div(1.0, ops.sqrt(ops.add(_by_channel(running_var, input.ndim), float(eps))))
        y = ops.mul(ops.sub(input, _by_channel(running_mean, input.ndim)), scale)
        return _affine(y, weight, bias)
    if not math.prod(input.shape):  # no sample, no statistics
        return _affine(input, weight, bias)
    if math.prod(input.shape) == channels:
        raise ShapeError(
            f"batch_norm: one value per channel has no variance, got shape {tuple(input.shape)} in training; give "
            "batches of two samples or more (DataLoader(drop_last=True)), or say model.eval()"
        )
    if running_mean is not None and running_var is not None:
        _follow(input, axes, running_mean, running_var, momentum)
    return _affine(standardise(input, axes=axes, eps=float(eps)), weight, bias)


def instance_norm(
    input: Any,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    """As :func:`batch_norm`, but with the statistics of each channel of each sample.

    Args:
        input: ``(batch, channels, length, …)``. use_input_stats: False takes the running statistics.

    Raises:
        ShapeError: no axis after the channels, or a single value in it.

    Source: Ulyanov, Vedaldi, Lempitsky, 2016, arXiv:1607.08022.
    """
    if input.ndim < 3:
        raise ShapeError(
            f"instance_norm expected input of shape (batch, channels, length, …), got {tuple(input.shape)}; one sample "
            "without batch: x.unsqueeze(0)"
        )
    if not use_input_stats:
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    axes = tuple(range(2, input.ndim))
    if math.prod(input.shape[2:]) == 1:
        raise ShapeError(
            f"instance_norm: one value per channel has no variance, got shape {tuple(input.shape)}; normalise over the "
            "channels (layer_norm), or earlier, where the picture is larger"
        )
    if running_mean is not None and running_var is not None:
        _follow(input, axes, running_mean, running_var, momentum)
    weight, bias = (None if one is None else _by_channel(one, input.ndim) for one in (weight, bias))
    return _affine(standardise(input, axes=axes, eps=float(eps)), weight, bias)


def last_axes(what: str, x: Any, normalized_shape: Sequence[int]) -> tuple[int, ...]:
    """The axes of ``normalized_shape``, the last ones.

    Raises:
        ShapeError: they have other lengths.
    """
    wanted = tuple(normalized_shape)
    if not wanted or tuple(x.shape[-len(wanted) :]) != wanted or x.ndim < len(wanted):
        raise ShapeError(
            f"{what} expected input of shape (…, {', '.join(map(str, wanted))}), got {tuple(x.shape)}; make it "
            f"normalized_shape={x.shape[-1] if x.ndim else 1}, the length of the last axis"
        )
    return tuple(range(x.ndim - len(wanted), x.ndim))


def layer_norm(
    input: Any, normalized_shape: Sequence[int], weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Any:
    """``(x - mean) / sqrt(var + eps) * weight + bias`` over the last axes, each sample by itself.

    Args:
        normalized_shape: the lengths of those axes, and the shape of ``weight`` and ``bias``.

    Raises:
        ShapeError: the input ends in other lengths.

    Source: Ba, Kiros, Hinton, 2016, arXiv:1607.06450.
    """
    axes = last_axes("layer_norm", input, normalized_shape)
    return _affine(standardise(input, axes=axes, eps=float(eps)), weight, bias)


def rms_norm(input: Any, normalized_shape: Sequence[int], weight: Any = None, eps: float | None = None) -> Any:
    """``x / sqrt(mean(x**2) + eps) * weight`` over the last axes.

    Args:
        eps: the distance from 1 to the next number of the dtype by default.

    Raises:
        ShapeError: the input ends in other lengths.

    Source: Zhang & Sennrich, NeurIPS 2019.
    """
    axes = last_axes("rms_norm", input, normalized_shape)
    eps = float(np.finfo(input.dtype).eps) if eps is None else float(eps)
    size = ops.sqrt(ops.add(ops.mean(ops.square(input), axes, keepdims=True), eps))
    return _affine(ops.mul(input, ops.div(1.0, size)), weight, None)


def group_norm(input: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    """As :func:`layer_norm`, over groups of channels (axis 1) and all places; ``weight`` and ``bias`` per channel.

    Raises:
        ShapeError: the channels are not a multiple of ``num_groups``.

    Source: Wu & He, "Group normalization", ECCV 2018.
    """
    shape = tuple(input.shape)
    if input.ndim < 2 or shape[1] % num_groups:
        raise ShapeError(
            f"group_norm expected input of shape (batch, channels, …) with channels a multiple of {num_groups} groups, "
            f"got {shape}"
        )
    rest = math.prod(shape[1:]) // num_groups
    grouped = reshaped(input, shape=(shape[0], num_groups, rest))
    y = reshaped(standardise(grouped, axes=(2,), eps=float(eps)), shape=shape)
    return _affine(y, *(None if one is None else _by_channel(one, input.ndim) for one in (weight, bias)))


def local_response_norm(input: Any, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Any:
    """``x / (k + alpha * mean of x**2 over size neighbouring channels)**beta`` of ``(batch, channels, …)``.

    Raises:
        ShapeError: fewer than three axes.

    Source: Krizhevsky, Sutskever, Hinton, NeurIPS 2012, section 3.3.
    """
    if input.ndim < 3:
        raise ShapeError(
            f"local_response_norm expected (batch, channels, …) of 3 axes or more, got {tuple(input.shape)}"
        )
    if not input.size:
        return input
    channels = input.shape[1]
    squares = reshaped(ops.square(input), shape=(input.shape[0], channels, -1))
    # Channel i sees those from i - size // 2 on, and zeros beyond both ends.
    first = np.arange(channels)[:, None] - size // 2
    near = (np.arange(channels) >= first) & (np.arange(channels) < first + size)
    means = reshaped(ops.matmul(near.astype(float_dtype_of(input.dtype)) / size, squares), shape=tuple(input.shape))
    return ops.div(input, ops.pow(ops.add(ops.mul(means, float(alpha)), float(k)), float(beta)))


@both_names
def normalize(input: Any, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Any:
    """``x / max(norm(x), eps)`` along ``dim``, with the norm of order ``p``."""
    if p != 2:
        return ops.div(input, ops.maximum(p_norm(input, float(p), dim, True), eps))
    squares = ops.sum(ops.square(input), dim, keepdims=True)
    return ops.div(input, ops.sqrt(ops.maximum(squares, eps * eps)))
