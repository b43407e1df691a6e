"""Padding, convolution and pooling as functions: windows over the last axes, then a product or a reduction."""

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

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "as_sizes",
    "avg_pool1d",
    "avg_pool2d",
    "conv1d",
    "conv2d",
    "max_pool1d",
    "max_pool2d",
    "pad",
]

Sizes = tuple[int, ...]
AXES = {1: ("length",), 2: ("height", "width")}
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


def pad(input: Any, pad: Sequence[int], mode: str = "constant", value: float = 0.0) -> Any:
    """``input`` with more elements on both sides of its last axes.

    Args:
        pad: how many before and after the last axis, then the one before it, and so on; with ``"constant"`` a negative
            number cuts off.
        mode: ``"constant"``, ``"reflect"`` (the edge once), ``"replicate"`` (the edge again and again), ``"circular"``.
        value: what is put there by ``"constant"``.

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
    return _padded(input, sides, mode, float(value))


def _padded(x: Any, sides: Sequence[tuple[int, int]], mode: str = "constant", value: float = 0.0) -> Any:
    if not any(before or after for before, after in sides):
        return x
    if mode != "constant":
        for axis, (before, after) in enumerate(sides):
            x = _continued(x, axis, before, after, mode)
        return x
    if any(min(side) < 0 for side in sides):
        x = ops.getitem(x, tuple(slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(x.shape, sides, strict=True)))
        sides = [(max(a, 0), max(b, 0)) for a, b in sides]
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
    x = _padded(x, [(0, 0), (0, 0), *sides_of(what, padding, sizes, steps, gaps)])
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
    columns = reshaped(_windows_first(x, sizes, steps, gaps, 1), shape=(groups, inputs, rows))
    kernels = reshaped(weight, shape=(groups, outputs // groups, inputs))
    y = reshaped(ops.matmul(kernels, columns), shape=(outputs, batch, *places))
    if bias is not None:
        y = ops.add(y, reshaped(bias, shape=(outputs, 1, *[1] * axes)))
    return permuted(y, axes=(1, 0, *range(2, 2 + axes)))


def _windows_first(x: Any, sizes: Sizes, steps: Sizes, gaps: Sizes, kept: int = 0) -> Any:
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


# --- pooling --------------------------------------------------------------------------------------


def _pool_setting(
    what: str, x: Any, axes: int, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> tuple[Sizes, Sizes, Sizes, list[tuple[int, int]]]:
    """Sizes, steps and gaps of the windows, and the padding that makes as many fit as are wanted."""
    names = ("batch", "channels", *AXES[axes])
    if x.ndim not in {axes + 1, axes + 2}:
        raise ShapeError(
            f"{what} expected input of shape ({', '.join(names)}), or without batch, got {tuple(x.shape)}; "
            f"{'x.unsqueeze(1) puts an axis of channels in' if x.ndim == axes else 'reshape it'}"
        )
    sizes = as_sizes(f"{what}: kernel_size", kernel_size, axes)
    steps = as_sizes(f"{what}: stride", kernel_size if stride is None else stride, axes)
    gaps = as_sizes(f"{what}: dilation", dilation, axes)
    borders = as_sizes(f"{what}: padding", padding, axes, 0)
    lengths = tuple(x.shape[x.ndim - axes :])
    sides = []
    for length, size, step, gap, border in zip(lengths, sizes, steps, gaps, borders, strict=True):
        if border > (gap * (size - 1) + 1) // 2:
            raise ArgumentError(
                f"{what}: padding {border} is more than half the window of {gap * (size - 1) + 1}, which could then "
                "see padding only"
            )
        after = border
        left_over = (length + 2 * border - gap * (size - 1) - 1) % step
        if ceil_mode and left_over and length + 2 * border - left_over - gap * (size - 1) - 1 + step < length + border:
            after += step - left_over
        sides.append((border, after))
    padded = tuple([length + sum(side) for length, side in zip(lengths, sides, strict=True)])
    refuse_large_windows(what, padded, sizes, gaps, AXES[axes])
    return sizes, steps, gaps, sides


def _max_pool(
    what: str, x: Any, axes: int, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> Any:
    sizes, steps, gaps, sides = _pool_setting(what, x, axes, kernel_size, stride, padding, dilation, ceil_mode)
    x = _padded(x, [*[(0, 0)] * (x.ndim - axes), *sides], value=-math.inf)
    return ops.amax(_windows_first(x, sizes, steps, gaps), tuple(range(axes)))


def _without_indices(what: str, asked: bool) -> None:
    if asked:
        raise ArgumentError(f"{what}: equal values share the gradient here, so there are no indices to return")


def max_pool1d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest value of each window of ``([batch,] channels, length)``; equal ones share the gradient.

    Args:
        stride: as long as the window by default. padding: minus infinity on both sides.
        ceil_mode: True lets the last window reach over the end.

    Raises:
        ShapeError: shapes that do not fit. ArgumentError: sizes that are not positive, too much padding.
    """
    _without_indices("max_pool1d", return_indices)
    return _max_pool("max_pool1d", input, 1, kernel_size, stride, padding, dilation, ceil_mode)


def max_pool2d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest value of each window of ``([batch,] channels, height, width)``; else as :func:`max_pool1d`."""
    _without_indices("max_pool2d", return_indices)
    return _max_pool("max_pool2d", input, 2, kernel_size, stride, padding, dilation, ceil_mode)


def _avg_pool(
    what: str,
    x: Any,
    axes: int,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor: int | None = None,
) -> Any:
    sizes, steps, gaps, sides = _pool_setting(what, x, axes, kernel_size, stride, padding, 1, ceil_mode)
    lengths = tuple(x.shape[x.ndim - axes :])
    windows = _windows_first(_padded(x, [*[(0, 0)] * (x.ndim - axes), *sides]), sizes, steps, gaps)
    inner = tuple(range(axes))
    if divisor is None and not any(map(sum, sides)):
        return ops.mean(windows, inner)
    if divisor is not None:
        return ops.div(ops.sum(windows, inner), float(divisor))
    counts = np.ones((), x.dtype)
    for axis in range(axes):
        starts = np.arange(windows.shape[x.ndim + axis]) * steps[axis] - sides[axis][0]
        ends = np.minimum(starts + sizes[axis], lengths[axis] + sides[axis][0])
        if not count_include_pad:
            starts, ends = np.maximum(starts, 0), np.minimum(ends, lengths[axis])
        counts = np.multiply.outer(counts, (ends - starts).astype(x.dtype))
    return ops.div(ops.sum(windows, inner), counts)


def avg_pool1d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Any:
    """The mean of each window of ``([batch,] channels, length)``.

    Args:
        stride, ceil_mode: as in :func:`max_pool1d`. padding: zeros on both sides.
        count_include_pad: False divides by the number of elements that are not padding.

    Raises:
        ShapeError: shapes that do not fit. ArgumentError: sizes that are not positive, too much padding.
    """
    return _avg_pool("avg_pool1d", input, 1, kernel_size, stride, padding, ceil_mode, count_include_pad)


def avg_pool2d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Any:
    """The mean of each window of ``([batch,] channels, height, width)``; else as :func:`avg_pool1d`.

    Args:
        divisor_override: divide the sums by this number.
    """
    if divisor_override == 0:
        raise ArgumentError("avg_pool2d: divisor_override divides, so it is not 0; None means the size of the window")
    return _avg_pool(
        "avg_pool2d", input, 2, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


def _averaging(length: int, outputs: int, dtype: Any) -> Any:
    """The matrix ``(outputs, length)`` whose rows take the means of nearly equal, possibly overlapping, pieces."""
    matrix = np.zeros((outputs, length), dtype)
    for i in range(outputs):
        start, stop = i * length // outputs, -(-(i + 1) * length // outputs)
        matrix[i, start:stop] = 1.0 / (stop - start)
    return matrix


def _adaptive(what: str, x: Any, axes: int, output_size: Any) -> Any:
    names = ("batch", "channels", *AXES[axes])
    if x.ndim not in {axes + 1, axes + 2} or 0 in x.shape[1:]:
        raise ShapeError(
            f"{what} expected input of shape ({', '.join(names)}), or without batch, got {tuple(x.shape)}; "
            f"{'x.unsqueeze(1) puts an axis of channels in' if x.ndim == axes else 'reshape it'}"
        )
    lengths = x.shape[x.ndim - axes :]
    given = output_size if isinstance(output_size, (tuple, list)) else (output_size,) * axes
    wanted = [length if one is None else one for length, one in zip(lengths, given, strict=True)]
    sizes = as_sizes(f"{what}: output_size", wanted, axes)
    if all(length % size == 0 for length, size in zip(lengths, sizes, strict=True)):
        windows = [length // size for length, size in zip(lengths, sizes, strict=True)]
        return _avg_pool(what, x, axes, windows, None, 0, False, True)
    x = ops.matmul(x, _averaging(lengths[-1], sizes[-1], x.dtype).T)
    return ops.matmul(_averaging(lengths[0], sizes[0], x.dtype), x) if axes > 1 else x


def adaptive_avg_pool1d(input: Any, output_size: Any) -> Any:
    """The means of ``output_size`` pieces of ``([batch,] channels, length)``: from ``floor(i n / m)`` to the ceiling.

    Raises:
        ShapeError: another number of axes. ArgumentError: a size that is not positive.
    """
    return _adaptive("adaptive_avg_pool1d", input, 1, output_size)


def adaptive_avg_pool2d(input: Any, output_size: Any) -> Any:
    """As :func:`adaptive_avg_pool1d`, of ``([batch,] channels, height, width)``; None keeps the length of an axis."""
    return _adaptive("adaptive_avg_pool2d", input, 2, output_size)
