"""Pooling as functions: windows over the last axes, then a reduction."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ... import ops
from ...compositions.common import like, values_of
from ...compositions.indexing import scatter, take_along
from ...errors import ArgumentError, ShapeError
from ...ops.shape import reshaped
from ...ops.windows import refuse_large_windows
from ...tape import Array, Traced
from ...tensor import generator
from .windows import AXES, Sizes, as_sizes, padded, windows_first

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "lp_pool1d",
    "lp_pool2d",
    "lp_pool3d",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "max_unpool1d",
    "max_unpool2d",
    "max_unpool3d",
]


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
    what: str,
    x: Any,
    axes: int,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: bool,
    return_indices: bool,
) -> Any:
    sizes, steps, gaps, sides = _pool_setting(what, x, axes, kernel_size, stride, padding, dilation, ceil_mode)
    lengths = tuple(x.shape[x.ndim - axes :])
    borders = [*[(0, 0)] * (x.ndim - axes), *sides]
    if x.dtype.kind in "iu":
        x = like(x, np.pad(values_of(x), borders, constant_values=np.iinfo(x.dtype).min))
    else:
        x = padded(x, borders, value=-math.inf)
    windows = windows_first(x, sizes, steps, gaps)
    if not return_indices:
        return ops.amax(windows, tuple(range(axes)))
    where = np.pad(np.arange(math.prod(lengths)).reshape(lengths), sides, constant_values=-1)
    return _chosen(windows, windows_first(where, sizes, steps, gaps), axes)


def _chosen(windows: Any, where: Array, axes: int) -> tuple[Any, Any]:
    """The first largest element of each window, and the place that ``where``, of the same windows, gives it."""
    rest = tuple(windows.shape[axes:])
    flat = reshaped(windows, shape=(-1, *rest)) if windows.size else reshaped(windows, shape=(1, *rest))
    best = ops.argmax(flat, 0, True)
    values = reshaped(take_along(flat, best, 0), shape=rest)
    before = (1,) * (len(rest) - axes)
    spread = np.broadcast_to(where.reshape(-1, *before, *where.shape[axes:]), flat.shape)
    return values, _as_tensor(reshaped(take_along(spread, best, 0), shape=rest), windows)


def _as_tensor(places: Any, values: Any) -> Any:
    return places if isinstance(places, Traced) else like(values, places)


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
        return_indices: the pair of values and their places in the flattened axes of the input; of equal values the
            first one is taken then, and has the whole gradient.

    Raises:
        ShapeError: shapes that do not fit. ArgumentError: sizes that are not positive, too much padding.
    """
    return _max_pool("max_pool1d", input, 1, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


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
    return _max_pool("max_pool2d", input, 2, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool3d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest value of each window of ``([batch,] channels, depth, height, width)``; else as :func:`max_pool1d`."""
    return _max_pool("max_pool3d", input, 3, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def _max_unpool(
    what: str, x: Any, indices: Any, axes: int, kernel_size: Any, stride: Any, padding: Any, output_size: Any
) -> Any:
    if x.ndim not in {axes + 1, axes + 2} or tuple(indices.shape) != tuple(x.shape):
        raise ShapeError(
            f"{what} expected values and indices of one shape ([batch,] channels, {', '.join(AXES[axes])}), got "
            f"{tuple(x.shape)} and {tuple(indices.shape)}; max_pool{axes}d(..., return_indices=True) gives both"
        )
    sizes = as_sizes(f"{what}: kernel_size", kernel_size, axes)
    steps = as_sizes(f"{what}: stride", kernel_size if stride is None else stride, axes)
    borders = as_sizes(f"{what}: padding", padding, axes, 0)
    before = tuple(x.shape[: x.ndim - axes])
    lengths = [
        (n - 1) * step + size - 2 * border
        for n, step, size, border in zip(x.shape[x.ndim - axes :], steps, sizes, borders, strict=True)
    ]
    if output_size is not None:
        lengths = [int(one) for one in tuple(output_size)[-axes:]]
    flat = math.prod(lengths)
    places = values_of(indices).reshape(*before, -1)
    if places.size and not (places.min() >= 0 and places.max() < flat):
        raise ArgumentError(
            f"{what}: the index {int(places.max() if places.max() >= flat else places.min())} is outside of an output "
            f"of {' x '.join(map(str, lengths))} elements; give the output_size that max_pool{axes}d was given"
        )
    empty = np.zeros((*before, flat), x.dtype)
    return reshaped(scatter(empty, -1, places, reshaped(x, shape=places.shape)), shape=(*before, *lengths))


def max_unpool1d(
    input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
) -> Any:
    """The values put back where :func:`max_pool1d` took them from, and 0 elsewhere.

    Args:
        indices: what ``max_pool1d(..., return_indices=True)`` gave. output_size: the lengths, where several become one.

    Raises:
        ShapeError: shapes that differ. ArgumentError: an index outside of the output.
    """
    return _max_unpool("max_unpool1d", input, indices, 1, kernel_size, stride, padding, output_size)


def max_unpool2d(
    input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
) -> Any:
    """As :func:`max_unpool1d`, for pictures."""
    return _max_unpool("max_unpool2d", input, indices, 2, kernel_size, stride, padding, output_size)


def max_unpool3d(
    input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
) -> Any:
    """As :func:`max_unpool1d`, for ``(batch, channels, depth, height, width)``."""
    return _max_unpool("max_unpool3d", input, indices, 3, kernel_size, stride, padding, output_size)


def _lp_pool(what: str, x: Any, axes: int, norm_type: float, kernel_size: Any, stride: Any, ceil_mode: bool) -> Any:
    # The mean of |x|^p, without the padding that a last window reaching over the end sees, times the window's size.
    sizes = as_sizes(f"{what}: kernel_size", kernel_size, axes)
    powers = ops.pow(x, float(norm_type))
    total = ops.mul(_avg_pool(what, powers, axes, sizes, stride, 0, ceil_mode, True), float(math.prod(sizes)))
    return ops.pow(ops.mul(ops.sign(total), ops.relu(ops.abs(total))), 1.0 / norm_type)


def lp_pool1d(input: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Any:
    """``(sum of x**norm_type)**(1 / norm_type)`` over each window of ``([batch,] channels, length)``.

    Raises:
        ShapeError: shapes that do not fit. ArgumentError: sizes that are not positive.
    """
    return _lp_pool("lp_pool1d", input, 1, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(input: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Any:
    """As :func:`lp_pool1d`, for pictures."""
    return _lp_pool("lp_pool2d", input, 2, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(input: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Any:
    """As :func:`lp_pool1d`, for ``([batch,] channels, depth, height, width)``."""
    return _lp_pool("lp_pool3d", input, 3, norm_type, kernel_size, stride, ceil_mode)


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
    windows = windows_first(padded(x, [*[(0, 0)] * (x.ndim - axes), *sides]), sizes, steps, gaps)
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


def avg_pool3d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Any:
    """The mean of each window of ``([batch,] channels, depth, height, width)``; else as :func:`avg_pool2d`."""
    if divisor_override == 0:
        raise ArgumentError("avg_pool3d: divisor_override divides, so it is not 0; None means the size of the window")
    return _avg_pool(
        "avg_pool3d", input, 3, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


def _averaging(length: int, outputs: int, dtype: Any) -> Any:
    """The matrix ``(outputs, length)`` whose rows take the means of nearly equal, possibly overlapping, pieces."""
    matrix = np.zeros((outputs, length), dtype)
    for i in range(outputs):
        start, stop = i * length // outputs, -(-(i + 1) * length // outputs)
        matrix[i, start:stop] = 1.0 / (stop - start)
    return matrix


def _pieces_wanted(what: str, x: Any, axes: int, output_size: Any) -> tuple[tuple[int, ...], Sizes]:
    """The lengths of the last axes, and how many pieces each falls into."""
    names = ("batch", "channels", *AXES[axes])
    if x.ndim not in {axes + 1, axes + 2} or 0 in x.shape[1:]:
        raise ShapeError(
            f"{what} expected input of shape ({', '.join(names)}), or without batch, got {tuple(x.shape)}; "
            f"{'x.unsqueeze(1) puts an axis of channels in' if x.ndim == axes else 'reshape it'}"
        )
    lengths = tuple(x.shape[x.ndim - axes :])
    given = output_size if isinstance(output_size, (tuple, list)) else (output_size,) * axes
    wanted = [length if one is None else one for length, one in zip(lengths, given, strict=True)]
    return lengths, as_sizes(f"{what}: output_size", wanted, axes)


def _adaptive(what: str, x: Any, axes: int, output_size: Any) -> Any:
    lengths, sizes = _pieces_wanted(what, x, axes, output_size)
    if all(length % size == 0 for length, size in zip(lengths, sizes, strict=True)):
        windows = [length // size for length, size in zip(lengths, sizes, strict=True)]
        return _avg_pool(what, x, axes, windows, None, 0, False, True)
    for axis, (length, size) in enumerate(zip(lengths, sizes, strict=True)):
        x = along_axis(x, x.ndim - axes + axis, _averaging(length, size, x.dtype))
    return x


def along_axis(x: Any, axis: int, matrix: Array) -> Any:
    """A matrix ``(outputs, length)`` applied along one axis."""
    if axis == x.ndim - 1:
        return ops.matmul(x, matrix.T)
    if axis == x.ndim - 2:
        return ops.matmul(matrix, x)
    flat = ops.matmul(matrix, reshaped(x, shape=(*x.shape[: axis + 1], math.prod(x.shape[axis + 1 :]))))
    return reshaped(flat, shape=(*x.shape[:axis], matrix.shape[0], *x.shape[axis + 1 :]))


def adaptive_avg_pool1d(input: Any, output_size: Any) -> Any:
    """The means of ``output_size`` pieces of ``([batch,] channels, length)``: from ``floor(i n / m)`` to the ceiling.

    Raises:
        ShapeError: another number of axes. ArgumentError: a size that is not positive.
    """
    return _adaptive("adaptive_avg_pool1d", input, 1, output_size)


def adaptive_avg_pool2d(input: Any, output_size: Any) -> Any:
    """As :func:`adaptive_avg_pool1d`, of ``([batch,] channels, height, width)``; None keeps the length of an axis."""
    return _adaptive("adaptive_avg_pool2d", input, 2, output_size)


def adaptive_avg_pool3d(input: Any, output_size: Any) -> Any:
    """As :func:`adaptive_avg_pool2d`, of ``([batch,] channels, depth, height, width)``."""
    return _adaptive("adaptive_avg_pool3d", input, 3, output_size)


def _adaptive_max(what: str, x: Any, axes: int, output_size: Any, return_indices: bool) -> Any:
    lengths, sizes = _pieces_wanted(what, x, axes, output_size)
    places = np.arange(math.prod(lengths)).reshape(lengths)
    values: list[Any] = []
    found: list[Any] = []
    # A piece at a time: they differ in length by up to one, and there are few of them.
    for which in np.ndindex(*sizes):
        piece = tuple(slice(i * n // m, -(-(i + 1) * n // m)) for i, n, m in zip(which, lengths, sizes, strict=True))
        part = ops.getitem(x, (..., *piece))
        if not return_indices:
            values.append(ops.amax(part, tuple(range(part.ndim - axes, part.ndim))))
            continue
        flat = reshaped(part, shape=(*part.shape[: part.ndim - axes], -1))
        best = ops.argmax(flat, -1, True)
        values.append(reshaped(take_along(flat, best, flat.ndim - 1), shape=tuple(flat.shape[:-1])))
        found.append(reshaped(ops.getitem(places[piece].reshape(-1), best), shape=tuple(flat.shape[:-1])))
    shape = (*x.shape[: x.ndim - axes], *sizes)
    pooled = reshaped(ops.stack(values, -1), shape=shape)
    return (pooled, _as_tensor(reshaped(ops.stack(found, -1), shape=shape), x)) if return_indices else pooled


def adaptive_max_pool1d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """The largest values of ``output_size`` pieces of ``([batch,] channels, length)``.

    The pieces are those of :func:`adaptive_avg_pool1d`; ``return_indices`` is that of :func:`max_pool1d`.

    Raises:
        ShapeError: another number of axes. ArgumentError: a size that is not positive.
    """
    return _adaptive_max("adaptive_max_pool1d", input, 1, output_size, return_indices)


def adaptive_max_pool2d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """As :func:`adaptive_max_pool1d`, for pictures; None keeps the length of an axis."""
    return _adaptive_max("adaptive_max_pool2d", input, 2, output_size, return_indices)


def adaptive_max_pool3d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """As :func:`adaptive_max_pool2d`, for ``([batch,] channels, depth, height, width)``."""
    return _adaptive_max("adaptive_max_pool3d", input, 3, output_size, return_indices)


# --- windows at random places ---------------------------------------------------------------------


def _random_starts(length: int, size: int, pieces: int, samples: Array) -> Array:
    """Where ``pieces`` windows of ``size`` begin, a row for each sample; two lengths of steps."""
    last = length - size
    if pieces == 1:
        return np.full((samples.size, 1), last)
    share = last / (pieces - 1)
    at = np.arange(pieces - 1)
    offsets = np.floor(samples[:, None] * share)
    starts = np.floor((at + samples[:, None]) * share) - offsets
    return np.concatenate([starts, np.full((samples.size, 1), last)], 1).astype(np.int64)


def _fractional(
    what: str,
    x: Any,
    axes: int,
    kernel_size: Any,
    output_size: Any,
    output_ratio: Any,
    return_indices: bool,
    samples: Any,
    rng: np.random.Generator | None,
    seed: int | None,
) -> Any:
    if x.ndim not in {axes + 1, axes + 2}:
        raise ShapeError(f"{what} expected ([batch,] channels, {', '.join(AXES[axes])}), got {tuple(x.shape)}")
    if output_size is None and output_ratio is None:
        raise ArgumentError(f"{what}: say how many windows, output_size=2, or their share, output_ratio=0.5")
    lengths = tuple(x.shape[x.ndim - axes :])
    windows = as_sizes(f"{what}: kernel_size", kernel_size, axes)
    if output_size is None:
        ratios = output_ratio if isinstance(output_ratio, (tuple, list)) else (output_ratio,) * axes
        output_size = tuple(int(n * ratio) for n, ratio in zip(lengths, ratios, strict=True))
    sizes = as_sizes(f"{what}: output_size", output_size, axes)
    if any(size + window - 1 > n for n, size, window in zip(lengths, sizes, windows, strict=True)):
        raise ShapeError(f"{what}: {sizes} windows of {windows} do not fit into {lengths}")
    batch = 1 if x.ndim == axes + 1 else x.shape[0]
    planes = batch * x.shape[x.ndim - axes - 1]
    if samples is None:
        samples = generator(rng, seed).random((planes, axes))
    drawn_at = np.asarray(values_of(samples), np.float64).reshape(planes, axes)
    # Of two axes torch's first number is that of the last one, of three that of the first.
    order = (1, 0) if axes == 2 else (0, 1, 2)
    starts = [_random_starts(lengths[i], windows[i], sizes[i], drawn_at[:, order[i]]) for i in range(axes)]
    flat = reshaped(x, shape=(planes, math.prod(lengths)))
    places: Any = np.zeros((planes, *[1] * (2 * axes)), np.int64)
    for i, (start, window) in enumerate(zip(starts, windows, strict=True)):
        # Axes: planes, one for the outputs along each axis, one for the places in each window.
        along = start[:, :, None] + np.arange(window)
        apart = [1] * (2 * axes)
        apart[i], apart[axes + i] = sizes[i], window
        places = places + along.reshape(planes, *apart) * math.prod(lengths[i + 1 :])
    places = places.reshape(planes, math.prod(sizes), math.prod(windows))
    seen = ops.getitem(flat, (np.arange(planes)[:, None, None], places))
    best = ops.argmax(seen, 2, True)
    shape = (*x.shape[: x.ndim - axes], *sizes)
    values = reshaped(take_along(seen, best, 2), shape=shape)
    if not return_indices:
        return values
    return values, _as_tensor(reshaped(take_along(places, best, 2), shape=shape), x)


def fractional_max_pool2d(
    input: Any,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Any = None,
    *,
    rng: np.random.Generator | None = None,
    seed: int | None = None,
) -> Any:
    """The largest elements of windows that begin at random places, apart by two neighbouring lengths.

    Args:
        input: ``([batch,] channels, height, width)``. output_size: how many windows, or by ``output_ratio`` their share
            of the lengths. return_indices: the places of the elements, counted in each channel, too.
        _random_samples: ``(batch, channels, 2)``, from 0 to 1, for width and height; drawn where it is not given.

    Raises:
        ShapeError: windows that do not fit. ArgumentError: neither ``output_size`` nor ``output_ratio``.

    Source: Graham, "Fractional max-pooling", 2014, arXiv:1412.6071.
    """
    return _fractional(
        "fractional_max_pool2d",
        input,
        2,
        kernel_size,
        output_size,
        output_ratio,
        return_indices,
        _random_samples,
        rng,
        seed,
    )


def fractional_max_pool3d(
    input: Any,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Any = None,
    *,
    rng: np.random.Generator | None = None,
    seed: int | None = None,
) -> Any:
    """:func:`fractional_max_pool2d` of ``([batch,] channels, depth, height, width)``."""
    return _fractional(
        "fractional_max_pool3d",
        input,
        3,
        kernel_size,
        output_size,
        output_ratio,
        return_indices,
        _random_samples,
        rng,
        seed,
    )
