"""Padding and convolution as functions: windows over the last axes, then a product."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ... import ops
from ...dtypes import float_dtype_of
from ...errors import ArgumentError, ShapeError, did_you_mean
from ...ops.declare import same_dtype
from ...ops.shape import permuted, put, reshaped
from ...ops.windows import places_of_windows, refuse_large_windows, unfold

__all__ = ["as_sizes", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "pad"]

Sizes = tuple[int, ...]
AXES = {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}
_PAD_MODES = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def as_sizes(what: str, given: Any, axes: int, least: int = 1) -> Sizes:
    """One number for all of ``axes`` axes, or one for each.

    Raises:
        ArgumentError: another number of them, not integers, or below ``least``.
    """
    sizes = tuple(given) if isinstance(given, (tuple, list)) else (given,) * axes
    whole = all(isinstance(one, (int, np.integer)) and not isinstance(one, bool) for one in sizes)
    if len(sizes) != axes or not whole or min(sizes) < least:
        raise ArgumentError(
            f"{what} is an integer of at least {least}, or {axes} of them for {', '.join(AXES[axes])}; got {given!r}"
        )
    return tuple([int(one) for one in sizes])


# --- padding --------------------------------------------------------------------------------------


def pad(input: Any, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Any:
    """``input`` with more elements on both sides of its last axes.

    Args:
        pad: how many before and after the last axis, then the one before it, and so on; a negative number cuts off.
        mode: ``"constant"``, ``"reflect"`` (the edge once), ``"replicate"`` (the edge again and again), ``"circular"``.
        value: what is put there by ``"constant"``, 0 by default.

    Raises:
        ArgumentError: an unknown mode, an odd number of sizes. ShapeError: more axes than there are, or with
            ``"reflect"`` and ``"circular"`` more elements than the axis has.
    """
    if len(pad) % 2 or len(pad) // 2 > input.ndim:
        raise ArgumentError(
            f"pad takes two numbers for each of the last axes, the last axis first, got {tuple(pad)} for shape "
            f"{tuple(input.shape)}; say pad(x, (left, right))"
        )
    if mode != "constant" and mode not in _PAD_MODES:
        raise ArgumentError(did_you_mean("mode", mode, ["constant", *_PAD_MODES]))
    sides = [(0, 0)] * (input.ndim - len(pad) // 2)
    sides += [(int(pad[i]), int(pad[i + 1])) for i in range(len(pad) - 2, -1, -2)]
    return padded(input, sides, mode, 0.0 if value is None else float(value))


def padded(x: Any, sides: Sequence[tuple[int, int]], mode: str = "constant", value: float = 0.0) -> Any:
    if not any(before or after for before, after in sides):
        return x
    if any(min(side) < 0 for side in sides):
        x = ops.getitem(x, tuple(slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(x.shape, sides, strict=True)))
        sides = [(max(a, 0), max(b, 0)) for a, b in sides]
    if mode != "constant":
        for axis, (before, after) in enumerate(sides):
            x = _continued(x, axis, before, after, mode)
        return x
    shape = tuple([size + a + b for size, (a, b) in zip(x.shape, sides, strict=True)])
    middle = tuple([slice(a, a + size) for size, (a, _) in zip(x.shape, sides, strict=True)])
    y = put(x, shape=shape, index=middle)
    if value == 0:
        return y
    # A sum has no work to do on the way back; and -0 is what every number, 0 and -0 too, stays itself with.
    border = np.full(shape, value, float_dtype_of(x.dtype))
    border[middle] = -0.0
    return ops.add(y, border)


def _continued(x: Any, axis: int, before: int, after: int, mode: str) -> Any:
    if not (before or after):
        return x
    length = x.shape[axis]
    most = {"reflect": length - 1, "circular": length}.get(mode, math.inf if length else 0)
    if max(before, after) > most:
        raise ShapeError(f"pad: mode {mode!r} gives at most {most} elements on a side of axis {axis}, {length} long")
    places = np.pad(np.arange(length), (before, after), mode=_PAD_MODES[mode])  # type: ignore[call-overload]
    return ops.getitem(x, (*[slice(None)] * axis, places))


# --- convolution ----------------------------------------------------------------------------------


def same_padding(sizes: Sizes, gaps: Sizes) -> list[tuple[int, int]]:
    """The padding that keeps lengths; where it cannot be equal on both sides, one more at the end."""
    reaches = [gap * (size - 1) for size, gap in zip(sizes, gaps, strict=True)]
    return [(reach // 2, reach - reach // 2) for reach in reaches]


def sides_of(what: str, padding: Any, sizes: Sizes, steps: Sizes, gaps: Sizes) -> list[tuple[int, int]]:
    """Padding before and after each axis, from numbers, ``"same"`` or ``"valid"``.

    Raises:
        ArgumentError: another word, or ``"same"`` with a stride.
    """
    if isinstance(padding, str):
        if padding not in {"same", "valid"}:
            raise ArgumentError(did_you_mean("padding", padding, ["same", "valid"]))
        if padding == "valid":
            return [(0, 0)] * len(sizes)
        if set(steps) != {1}:
            raise ArgumentError(
                f"{what}: padding='same' keeps lengths, which a stride of {steps} cannot; say stride=1, or give numbers"
            )
        return same_padding(sizes, gaps)
    return [(one, one) for one in as_sizes(f"{what}: padding", padding, len(sizes), 0)]


def convolve(what: str, x: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> Any:
    """The convolution of the last axes, as many as ``weight`` has after the first two."""
    axes = weight.ndim - 2
    names = ("batch", "channels", *AXES[axes])
    outputs, inputs, *rest = weight.shape
    sizes = tuple(rest)
    channels = inputs * groups
    if x.ndim not in {axes + 1, axes + 2} or x.shape[x.ndim - axes - 1] != channels:
        raise ShapeError(_wrong_input(what, tuple(x.shape), names, channels, groups))
    if outputs % groups:
        raise ArgumentError(f"{what}: {outputs} output channels do not fall into {groups} equal groups")
    steps = as_sizes(f"{what}: stride", stride, axes)
    gaps = as_sizes(f"{what}: dilation", dilation, axes)
    single = x.ndim == axes + 1
    x, weight = same_dtype(ops.unsqueeze(x, 0) if single else x, weight)
    x = padded(x, [(0, 0), (0, 0), *sides_of(what, padding, sizes, steps, gaps)])
    refuse_large_windows(what, tuple(x.shape[2:]), sizes, gaps, AXES[axes])
    y = _products(x, weight, bias, sizes, steps, gaps, groups)
    return reshaped(y, shape=tuple(y.shape[1:])) if single else y


def _products(x: Any, weight: Any, bias: Any, sizes: Sizes, steps: Sizes, gaps: Sizes, groups: int) -> Any:
    batch, channels = x.shape[:2]
    outputs = weight.shape[0]
    places = places_of_windows(tuple(x.shape[2:]), sizes, steps, gaps)
    axes = len(sizes)
    rows, inputs = batch * math.prod(places), channels // groups * math.prod(sizes)
    # Each window becomes a column. The places come last, so that copies run along the input's own order.
    columns = reshaped(windows_first(x, sizes, steps, gaps, 1), shape=(groups, inputs, rows))
    kernels = reshaped(weight, shape=(groups, outputs // groups, inputs))
    y = reshaped(ops.matmul(kernels, columns), shape=(outputs, batch, *places))
    if bias is not None:
        y = ops.add(y, reshaped(bias, shape=(outputs, 1, *[1] * axes)))
    return permuted(y, axes=(1, 0, *range(2, 2 + axes)))


def windows_first(x: Any, sizes: Sizes, steps: Sizes, gaps: Sizes, kept: int = 0) -> Any:
    """Windows over the last axes, theirs in front of all others: ``(*sizes, …, *places)``.

    ``kept`` puts an axis in front of them.
    """
    windows = unfold(x, sizes=sizes, steps=steps, gaps=gaps)
    inner = range(x.ndim, x.ndim + len(sizes))
    front = (kept,) if kept else ()
    return permuted(windows, axes=(*front, *inner, *[i for i in range(x.ndim) if i not in front]))


def _wrong_input(what: str, shape: Sizes, names: Sequence[str], channels: int, groups: int) -> str:
    said = f"{what} expected input of shape ({', '.join(names)}) with channels = {channels}, got {shape}"
    found = shape[1] if len(shape) == len(names) else shape[0] if len(shape) == len(names) - 1 else None
    if found is None:
        if len(shape) == len(names) - 2:
            return f"{said}; pictures and sequences without channels get one: x.unsqueeze(1)"
        return f"{said}; reshape it, the batch may be left out for a single sample"
    if shape[-1] == channels:
        order = (0, len(names) - 1, *range(1, len(names) - 1))
        return f"{said}; if the channels come last: x.permute{order}"
    if len(shape) == len(names) - 1 and channels == 1:
        return f"{said}; pictures and sequences without channels get one: x.unsqueeze(1)"
    return f"{said}; make it {found} input channels" + (f", a multiple of groups={groups}" if groups > 1 else "")


def conv1d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Any:
    """The cross-correlation of ``(batch, channels, length)`` with ``weight (out, channels / groups, size)``.

    ``y[n, o, i] = bias[o] + sum over c, k of weight[o, c, k] x[n, c, stride i + dilation k - padding]``.

    Args:
        input: the batch may be left out. bias: ``(out,)`` or None. padding: zeros on both sides, ``"valid"`` (none) or
            ``"same"`` (lengths stay). groups: channels and outputs fall into groups that do not mix.

    Raises:
        ShapeError: shapes that do not fit. ArgumentError: options that contradict each other.

    Source: Dumoulin & Visin, "A guide to convolution arithmetic for deep learning", 2016.
    """
    return convolve("conv1d", input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Any:
    """The cross-correlation of ``(batch, channels, height, width)`` with ``weight (out, channels / groups, h, w)``.

    Arguments, errors and source: :func:`conv1d`; where that takes a number, two may be given for height and width.
    """
    return convolve("conv2d", input, weight, bias, stride, padding, dilation, groups)


def conv3d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Any:
    """The cross-correlation of ``(batch, channels, depth, height, width)``; arguments and errors: :func:`conv1d`."""
    return convolve("conv3d", input, weight, bias, stride, padding, dilation, groups)


def _spread_out(
    what: str,
    x: Any,
    weight: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    output_padding: Any,
    groups: int,
    dilation: Any,
) -> Any:
    """The adjoint of a convolution: the input set apart by the stride, and convolved with the kernel turned round."""
    axes = weight.ndim - 2
    names = ("batch", "channels", *AXES[axes])
    inputs, outputs, *rest = weight.shape
    sizes = tuple(rest)
    if x.ndim not in {axes + 1, axes + 2} or x.shape[x.ndim - axes - 1] != inputs:
        raise ShapeError(_wrong_input(what, tuple(x.shape), names, inputs, 1))
    if inputs % groups:
        raise ArgumentError(f"{what}: {inputs} input channels do not fall into {groups} equal groups")
    steps = as_sizes(f"{what}: stride", stride, axes)
    gaps = as_sizes(f"{what}: dilation", dilation, axes)
    borders = as_sizes(f"{what}: padding", padding, axes, 0)
    more = as_sizes(f"{what}: output_padding", output_padding, axes, 0)
    for extra, step, gap in zip(more, steps, gaps, strict=True):
        if extra >= max(step, gap):
            raise ArgumentError(
                f"{what}: output_padding {extra} chooses between the lengths that a stride of {step} maps to one, so "
                "it is below stride or dilation"
            )
    single = x.ndim == axes + 1
    x, weight = same_dtype(ops.unsqueeze(x, 0) if single else x, weight)
    if set(steps) != {1}:
        lengths = tuple([(n - 1) * step + 1 if n else 0 for n, step in zip(x.shape[2:], steps, strict=True)])
        every = tuple([slice(None, None, step) for step in steps])
        x = put(x, shape=(*x.shape[:2], *lengths), index=(slice(None), slice(None), *every))
    reaches = [gap * (size - 1) - border for size, gap, border in zip(sizes, gaps, borders, strict=True)]
    x = padded(x, [(0, 0), (0, 0), *[(reach, reach + extra) for reach, extra in zip(reaches, more, strict=True)]])
    if min(x.shape[2:]) < 1 or any(n < gap * (k - 1) + 1 for n, k, gap in zip(x.shape[2:], sizes, gaps, strict=True)):
        raise ShapeError(f"{what}: padding {borders} cuts off all of the output")
    turned = ops.getitem(weight, (slice(None), slice(None), *[slice(None, None, -1)] * axes))
    # (groups, in, out, …) to (groups, out, in, …): each output of a group is a sum over the group's inputs.
    kernels = reshaped(turned, shape=(groups, inputs // groups, outputs, *sizes))
    kernels = permuted(kernels, axes=(0, 2, 1, *range(3, 3 + axes)))
    kernels = reshaped(kernels, shape=(groups * outputs, inputs // groups, *sizes))
    y = _products(x, kernels, bias, sizes, (1,) * axes, gaps, groups)
    return reshaped(y, shape=tuple(y.shape[1:])) if single else y


def conv_transpose1d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Any:
    """The adjoint of :func:`conv1d`: ``(batch, channels, length)`` with ``weight (channels, out / groups, size)``.

    Every input element adds ``weight`` times itself to the output, ``stride`` apart; ``padding`` cuts off both ends of
    that, ``output_padding`` adds at the end. The length is
    ``(length - 1) stride - 2 padding + dilation (size - 1) + output_padding + 1``.

    Raises:
        ShapeError: shapes that do not fit. ArgumentError: options that contradict each other.

    Source: Dumoulin & Visin, "A guide to convolution arithmetic for deep learning", 2016, section 4.
    """
    return _spread_out("conv_transpose1d", input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Any:
    """The adjoint of :func:`conv2d`; arguments and errors: :func:`conv_transpose1d`."""
    return _spread_out("conv_transpose2d", input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose3d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Any:
    """The adjoint of :func:`conv3d`; arguments and errors: :func:`conv_transpose1d`."""
    return _spread_out("conv_transpose3d", input, weight, bias, stride, padding, output_padding, groups, dilation)
