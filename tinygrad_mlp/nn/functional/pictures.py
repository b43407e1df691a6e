"""Functions of pictures: windows as columns, channels and places exchanged, other sizes, sampling at a grid."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ... import ops
from ...errors import ArgumentError, ShapeError, did_you_mean
from ...ops import windows as sliding
from ...ops.declare import same_dtype
from ...ops.shape import permuted, reshaped
from ...tape import Array
from .pooling import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d, along_axis
from .windows import as_sizes, padded

__all__ = [
    "affine_grid",
    "channel_shuffle",
    "fold",
    "grid_sample",
    "interpolate",
    "pixel_shuffle",
    "pixel_unshuffle",
    "unfold",
    "upsample",
    "upsample_bilinear",
    "upsample_nearest",
]


# --- windows as columns ---------------------------------------------------------------------------


def unfold(input: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Any:
    """The windows of ``([batch,] channels, height, width)`` as columns, ``([batch,] channels * window, places)``.

    Raises:
        ShapeError: another number of axes, or a window that does not fit. ArgumentError: sizes that are not positive.
    """
    if input.ndim not in {3, 4}:
        raise ShapeError(
            f"unfold expected input of shape (batch, channels, height, width), or without batch, got "
            f"{tuple(input.shape)}; reshape it"
        )
    sizes, gaps = as_sizes("unfold: kernel_size", kernel_size, 2), as_sizes("unfold: dilation", dilation, 2)
    borders, steps = as_sizes("unfold: padding", padding, 2, 0), as_sizes("unfold: stride", stride, 2)
    x = ops.unsqueeze(input, 0) if input.ndim == 3 else input
    x = padded(x, [(0, 0), (0, 0), *[(one, one) for one in borders]])
    sliding.refuse_large_windows("unfold", tuple(x.shape[2:]), sizes, gaps, ("height", "width"))
    found = permuted(sliding.unfold(x, sizes=sizes, steps=steps, gaps=gaps), axes=(0, 1, 4, 5, 2, 3))
    places = math.prod(found.shape[4:])
    columns = reshaped(found, shape=(x.shape[0], x.shape[1] * math.prod(sizes), places))
    return ops.squeeze(columns, 0) if input.ndim == 3 else columns


def fold(input: Any, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Any:
    """The adjoint of :func:`unfold`: columns added up where their windows lie in pictures of ``output_size``.

    Raises:
        ShapeError: columns of another length, or another number of them. ArgumentError: sizes that are not positive.
    """
    if input.ndim not in {2, 3}:
        raise ShapeError(
            f"fold expected input of shape (batch, channels * window, places), or without batch, got "
            f"{tuple(input.shape)}; unfold gives such columns"
        )
    lengths = as_sizes("fold: output_size", output_size, 2)
    sizes, gaps = as_sizes("fold: kernel_size", kernel_size, 2), as_sizes("fold: dilation", dilation, 2)
    borders, steps = as_sizes("fold: padding", padding, 2, 0), as_sizes("fold: stride", stride, 2)
    x = ops.unsqueeze(input, 0) if input.ndim == 2 else input
    wide = tuple([n + 2 * border for n, border in zip(lengths, borders, strict=True)])
    places = sliding.places_of_windows(wide, sizes, steps, gaps)
    window, count = math.prod(sizes), math.prod(places)
    if x.shape[1] % window or x.shape[2] != count:
        raise ShapeError(
            f"fold: columns of a multiple of {window} elements for each of {places[0]} x {places[1]} places, got "
            f"{tuple(input.shape)}"
        )
    x = reshaped(x, shape=(x.shape[0], x.shape[1] // window, *sizes, *places))
    whole = sliding.fold(permuted(x, axes=(0, 1, 4, 5, 2, 3)), lengths=wide, steps=steps, gaps=gaps)
    inside = tuple([slice(border, border + n) for n, border in zip(lengths, borders, strict=True)])
    picture = ops.getitem(whole, (..., *inside)) if any(borders) else whole
    return ops.squeeze(picture, 0) if input.ndim == 2 else picture


# --- channels and places --------------------------------------------------------------------------


def pixel_shuffle(input: Any, upscale_factor: int) -> Any:
    """``(…, c r r, h, w)`` to ``(…, c, h r, w r)``: each r x r block of a picture comes from as many channels.

    Raises:
        ShapeError: channels that are no multiple of ``r r``.

    Source: Shi et al., "Real-time single image and video super-resolution", CVPR 2016.
    """
    factor = int(upscale_factor)
    if input.ndim < 3 or factor < 1 or input.shape[-3] % factor**2:
        raise ShapeError(
            f"pixel_shuffle: (…, channels, height, width) with channels a multiple of {factor}² = {factor**2}, got "
            f"{tuple(input.shape)}"
        )
    *front, channels, height, width = input.shape
    b = len(front)
    x = reshaped(input, shape=(*front, channels // factor**2, factor, factor, height, width))
    x = permuted(x, axes=(*range(b), b, b + 3, b + 1, b + 4, b + 2))
    return reshaped(x, shape=(*front, channels // factor**2, height * factor, width * factor))


def pixel_unshuffle(input: Any, downscale_factor: int) -> Any:
    """The inverse of :func:`pixel_shuffle`: ``(…, c, h r, w r)`` to ``(…, c r r, h, w)``.

    Raises:
        ShapeError: a height or width that is no multiple of r.
    """
    factor = int(downscale_factor)
    if input.ndim < 3 or factor < 1 or input.shape[-1] % factor or input.shape[-2] % factor:
        raise ShapeError(
            f"pixel_unshuffle: (…, channels, height, width) with multiples of {factor}, got {tuple(input.shape)}"
        )
    *front, channels, height, width = input.shape
    b = len(front)
    x = reshaped(input, shape=(*front, channels, height // factor, factor, width // factor, factor))
    x = permuted(x, axes=(*range(b), b, b + 2, b + 4, b + 1, b + 3))
    return reshaped(x, shape=(*front, channels * factor**2, height // factor, width // factor))


def channel_shuffle(input: Any, groups: int) -> Any:
    """The channels of ``(batch, channels, …)``, dealt out: one of each group in turn.

    Raises:
        ShapeError: channels that do not fall into ``groups``.

    Source: Zhang et al., "ShuffleNet", CVPR 2018.
    """
    if input.ndim < 3 or groups < 1 or input.shape[1] % groups:
        raise ShapeError(
            f"channel_shuffle: (batch, channels, …) with channels a multiple of {groups}, got {tuple(input.shape)}"
        )
    batch, channels, *rest = input.shape
    x = reshaped(input, shape=(batch, groups, channels // groups, *rest))
    return reshaped(permuted(x, axes=(0, 2, 1, *range(3, 3 + len(rest)))), shape=(batch, channels, *rest))


# --- other sizes ----------------------------------------------------------------------------------

_LINEAR = {"linear": 1, "bilinear": 2, "trilinear": 3, "bicubic": 2}
_MODES = ["nearest", "nearest-exact", *_LINEAR, "area"]
# Keys' cubic convolution has a free parameter; torch takes -0.75, and -0.5 where it smooths.
_CUBIC, _SMOOTHING_CUBIC = -0.75, -0.5


def _cubic(distance: Array, a: float) -> Array:
    near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
    far = a * (((distance - 5) * distance + 8) * distance - 4)
    found: Array = np.where(distance <= 1, near, np.where(distance < 2, far, 0.0))
    return found


def _triangle(distance: Array) -> Array:
    return np.maximum(1.0 - distance, 0.0)


def _centres(length: int, size: int, corners: bool, scale: float | None) -> Array:
    """Where each of ``size`` new elements lies among ``length`` old ones."""
    at = np.arange(size, dtype=np.float64)
    if corners:
        return at * ((length - 1) / (size - 1) if size > 1 else 0.0)
    ratio = length / size if scale is None else 1.0 / scale
    return (at + 0.5) * ratio - 0.5


def _weights(length: int, size: int, mode: str, corners: bool, scale: float | None, dtype: Any) -> Array:
    """The matrix ``(size, length)`` of a linear or cubic interpolation."""
    centres = _centres(length, size, corners, scale)
    matrix = np.zeros((size, length))
    rows = np.arange(size)
    if mode == "bicubic":
        first = np.floor(centres).astype(int)
        for step in range(-1, 3):
            share = _cubic(np.abs(centres - (first + step)), _CUBIC)
            np.add.at(matrix, (rows, np.clip(first + step, 0, length - 1)), share)
        return matrix.astype(dtype)
    centres = np.clip(centres, 0, None)
    first = np.minimum(np.floor(centres).astype(int), length - 1)
    share = np.clip(centres - first, 0.0, 1.0)
    np.add.at(matrix, (rows, first), 1.0 - share)
    np.add.at(matrix, (rows, np.minimum(first + 1, length - 1)), share)
    return matrix.astype(dtype)


def _smoothing_weights(length: int, size: int, mode: str, corners: bool, scale: float | None, dtype: Any) -> Array:
    """As :func:`_weights`, the kernel as wide as the new elements are, so that shrinking does not alias."""
    if corners:
        ratio = (length - 1) / (size - 1) if size > 1 else 0.0
    else:
        ratio = length / size if scale is None else 1.0 / scale
    kernel: Callable[[Array], Array] = _triangle if mode == "bilinear" else lambda d: _cubic(d, _SMOOTHING_CUBIC)
    stretch = max(ratio, 1.0)
    support = (1.0 if mode == "bilinear" else 2.0) * stretch
    matrix = np.zeros((size, length))
    for i in range(size):
        centre = ratio * (i + 0.5)
        low, high = max(int(centre - support + 0.5), 0), min(int(centre + support + 0.5), length)
        places = np.arange(low, high)
        share = kernel(np.abs((places - centre + 0.5) / stretch))
        matrix[i, low:high] = share / share.sum() if share.sum() else share
    return matrix.astype(dtype)


def _new_sizes(
    lengths: Sequence[int], size: Any, scale_factor: Any, recompute: bool | None
) -> tuple[list[int], list[float | None]]:
    axes = len(lengths)
    if (size is None) == (scale_factor is None):
        raise ArgumentError("interpolate: either size or scale_factor is given")
    if size is not None:
        sizes = [int(one) for one in size] if isinstance(size, (tuple, list)) else [int(size)] * axes
        if len(sizes) != axes or min(sizes) < 1:
            raise ArgumentError(f"interpolate: size is positive, one number or {axes} of them, got {size!r}")
        return sizes, [None] * axes
    factors = list(scale_factor) if isinstance(scale_factor, (tuple, list)) else [scale_factor] * axes
    if len(factors) != axes or min(factors) <= 0:
        raise ArgumentError(f"interpolate: scale_factor is positive, one number or {axes}, got {scale_factor!r}")
    sizes = [math.floor(length * float(factor)) for length, factor in zip(lengths, factors, strict=True)]
    if min(sizes) < 1:
        raise ArgumentError(f"interpolate: scale_factor={scale_factor!r} leaves nothing of {tuple(lengths)}")
    return sizes, [None if recompute else float(factor) for factor in factors]


def interpolate(
    input: Any,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Any:
    """``(batch, channels, *lengths)`` with other lengths: each axis is multiplied by a matrix of weights.

    Args:
        size: the new lengths. scale_factor: or what the old ones are multiplied with.
        mode: ``"nearest"``, ``"nearest-exact"``, ``"linear"`` (one axis), ``"bilinear"``, ``"bicubic"`` (two),
            ``"trilinear"`` (three) or ``"area"``, the means of pieces.
        align_corners: True puts the first and the last element of both on top of each other; else elements are
            squares, whose outer edges coincide.
        recompute_scale_factor: True takes the factor from the rounded lengths.
        antialias: True widens the kernel where a picture gets smaller; for ``"bilinear"`` and ``"bicubic"``.

    Raises:
        ArgumentError: options that contradict each other. ShapeError: another number of axes than the mode has.

    Source: Keys, "Cubic convolution interpolation for digital image processing", IEEE ASSP 29, 1981.
    """
    axes = input.ndim - 2
    if mode not in _MODES:
        raise ArgumentError(did_you_mean("mode", mode, _MODES))
    if axes not in {1, 2, 3} or _LINEAR.get(mode, axes) != axes:
        raise ShapeError(
            f"interpolate: mode {mode!r} takes (batch, channels) and {_LINEAR.get(mode, '1 to 3')} more axes, got "
            f"{tuple(input.shape)}"
        )
    if align_corners is not None and mode not in _LINEAR:
        raise ArgumentError(f"interpolate: align_corners is for {', '.join(_LINEAR)}; mode {mode!r} has no corners")
    if antialias and mode not in {"bilinear", "bicubic"}:
        raise ArgumentError(f"interpolate: antialias is for 'bilinear' and 'bicubic', not {mode!r}")
    lengths = [int(n) for n in input.shape[2:]]
    sizes, factors = _new_sizes(lengths, size, scale_factor, recompute_scale_factor)
    if mode == "area":
        pools = (adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d)
        return pools[axes - 1](input, tuple(sizes))
    x = input
    make = _smoothing_weights if antialias else _weights
    for axis, (length, new, factor) in enumerate(zip(lengths, sizes, factors, strict=True), start=2):
        if mode.startswith("nearest"):
            ratio = length / new if factor is None else 1.0 / factor
            at = np.arange(new) + (0.5 if mode == "nearest-exact" else 0.0)
            places = np.minimum(np.floor(at * ratio).astype(np.int64), length - 1)
            x = ops.getitem(x, (*[slice(None)] * axis, places))
        else:
            x = along_axis(x, axis, make(length, new, mode, bool(align_corners), factor, x.dtype))
    return x


def upsample(
    input: Any, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: bool | None = None
) -> Any:
    """:func:`interpolate`, by its older name."""
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input: Any, size: Any = None, scale_factor: Any = None) -> Any:
    """:func:`interpolate` with ``mode="nearest"``."""
    return interpolate(input, size, scale_factor, "nearest")


def upsample_bilinear(input: Any, size: Any = None, scale_factor: Any = None) -> Any:
    """:func:`interpolate` with ``mode="bilinear", align_corners=True``."""
    return interpolate(input, size, scale_factor, "bilinear", True)


# --- sampling at a grid ---------------------------------------------------------------------------


def affine_grid(theta: Any, size: Sequence[int], align_corners: bool | None = None) -> Any:
    """Where each element of a picture comes from under an affine map, for :func:`grid_sample`.

    Args:
        theta: ``(batch, 2, 3)``, or ``(batch, 3, 4)`` for three axes, applied to coordinates from -1 to 1.
        size: ``(batch, channels, height, width)`` of the picture to be made, or five sizes.

    Raises:
        ShapeError: matrices of another shape.

    Source: Jaderberg et al., "Spatial transformer networks", NeurIPS 2015.
    """
    axes = len(size) - 2
    if axes not in {2, 3} or tuple(theta.shape) != (size[0], axes, axes + 1):
        raise ShapeError(
            f"affine_grid: theta of shape (batch, 2, 3) for four sizes, (batch, 3, 4) for five, got "
            f"{tuple(theta.shape)} for {tuple(size)}"
        )
    lines = []
    for n in size[2:]:
        line = np.linspace(-1.0, 1.0, n) if n > 1 else np.zeros(1)
        lines.append((line if align_corners else line * ((n - 1) / n)).astype(theta.dtype))
    # x, the last axis, comes first.
    mesh = np.meshgrid(*lines, indexing="ij")[::-1]
    base = np.stack([*mesh, np.ones_like(mesh[0])], -1).reshape(1, -1, axes + 1)
    found = ops.matmul(base, permuted(theta, axes=(0, 2, 1)))
    return reshaped(found, shape=(size[0], *size[2:], axes))


def _reflected(x: Any, low: float, high: float) -> Any:
    """Mirrored at ``low`` and ``high`` until it lies between them."""
    if high <= low:
        return ops.mul(x, 0.0)
    span = high - low
    beyond = ops.abs(ops.sub(x, low))
    turns = ops.floor(ops.div(beyond, span))
    rest = ops.sub(beyond, ops.mul(turns, span))
    return ops.where(ops.eq(ops.remainder(turns, 2.0), 0.0), ops.add(rest, low), ops.sub(high, rest))


def _inside(x: Any, length: int, padding_mode: str, corners: bool) -> Any:
    if padding_mode == "zeros":
        return x
    if padding_mode == "reflection":
        x = _reflected(x, 0.0, length - 1.0) if corners else _reflected(x, -0.5, length - 0.5)
    return ops.clamp(x, 0.0, length - 1.0)


def grid_sample(
    input: Any, grid: Any, mode: str = "bilinear", padding_mode: str = "zeros", align_corners: bool | None = None
) -> Any:
    """The values of ``(batch, channels, height, width)`` at the places of a grid, with gradients for both.

    Args:
        input: four axes, or five. grid: ``(batch, height, width, 2)`` of pairs x, y from -1 to 1 across the picture
            (``(…, 3)`` of x, y, z for five axes).
        mode: ``"bilinear"``, ``"nearest"`` or ``"bicubic"`` (two axes only).
        padding_mode: what lies outside: ``"zeros"``, ``"border"``, the nearest element, or ``"reflection"``.
        align_corners: whether -1 and 1 are the centres of the outer elements, instead of their outer edges.

    Raises:
        ShapeError: shapes that do not fit. ArgumentError: an unknown mode.

    Source: Jaderberg et al., "Spatial transformer networks", NeurIPS 2015.
    """
    if mode not in {"bilinear", "nearest", "bicubic"}:
        raise ArgumentError(did_you_mean("mode", mode, ["bilinear", "nearest", "bicubic"]))
    if padding_mode not in {"zeros", "border", "reflection"}:
        raise ArgumentError(did_you_mean("padding_mode", padding_mode, ["zeros", "border", "reflection"]))
    axes = input.ndim - 2
    if axes not in {2, 3} or (grid.ndim, grid.shape[0], grid.shape[-1]) != (input.ndim, input.shape[0], axes):
        raise ShapeError(
            f"grid_sample: input (batch, channels, height, width) and grid (batch, height, width, 2), or one axis more "
            f"of both, got {tuple(input.shape)} and {tuple(grid.shape)}"
        )
    if mode == "bicubic" and axes == 3:
        raise ArgumentError("grid_sample: mode 'bicubic' is for pictures, not for five axes; say 'bilinear'")
    input, grid = same_dtype(input, grid)
    corners, lengths = bool(align_corners), [int(n) for n in input.shape[2:]]
    at = []
    for k, length in enumerate(reversed(lengths)):
        place = ops.add(ops.getitem(grid, (..., k)), 1.0)
        halves = ops.mul(place, (length - corners) / 2.0)
        place = halves if corners else ops.sub(halves, 0.5)
        at.append(place if mode == "bicubic" else _inside(place, length, padding_mode, corners))
    return _sampled(input, at[::-1], lengths, mode, padding_mode, corners)


def _sampled(x: Any, at: list[Any], lengths: list[int], mode: str, padding_mode: str, corners: bool) -> Any:
    """The weighted sum of the neighbours of each place."""
    around = {"nearest": (0,), "bilinear": (0, 1), "bicubic": (-1, 0, 1, 2)}[mode]
    firsts = [ops.rint(one) if mode == "nearest" else ops.floor(one) for one in at]
    rests = [ops.sub(one, first) for one, first in zip(at, firsts, strict=True)]
    total: Any = None
    batch = np.arange(x.shape[0]).reshape(-1, *[1] * len(lengths))
    for offsets in np.ndindex(*[len(around)] * len(lengths)):
        weight: Any = 1.0
        seen: Any = True
        index = []
        for axis, which in enumerate(offsets):
            step = around[which]
            spot = ops.add(firsts[axis], float(step))
            if mode == "bicubic":
                spot = _inside(spot, lengths[axis], padding_mode, corners)
            if mode != "nearest":
                share = _share(rests[axis], step, mode)
                weight = share if isinstance(weight, float) else ops.mul(weight, share)
            held = ops.clamp(spot, 0.0, lengths[axis] - 1.0)
            inside = ops.eq(held, spot)
            seen = inside if seen is True else ops.logical_and(seen, inside)
            index.append(ops.astype(ops.where(inside, held, 0.0), np.int64))
        # Batch and places in front, the channels behind.
        values = ops.getitem(permuted(x, axes=(0, *range(2, x.ndim), 1)), (batch, *index))
        share = ops.unsqueeze(ops.where(seen, weight, 0.0), -1)
        part = ops.mul(values, share)
        total = part if total is None else ops.add(total, part)
    return permuted(total, axes=(0, total.ndim - 1, *range(1, total.ndim - 1)))


def _share(rest: Any, step: int, mode: str) -> Any:
    """The weight of the neighbour ``step`` away of a place ``rest`` behind its first one."""
    if mode == "bilinear":
        return rest if step else ops.sub(1.0, rest)
    a = _CUBIC
    distance = ops.add(rest, 1.0) if step == -1 else rest if step == 0 else ops.sub(float(step), rest)
    square = ops.mul(distance, distance)
    if step in {0, 1}:
        return ops.add(ops.mul(square, ops.sub(ops.mul(distance, a + 2), a + 3)), 1.0)
    inner = ops.add(ops.mul(distance, ops.sub(distance, 5.0)), 8.0)
    return ops.mul(ops.sub(ops.mul(inner, distance), 4.0), a)
