"""Windows that slide over the last axes, and the sum of what lies in them: each is the other's gradient.

Convolution and pooling are compositions of these two with products and reductions.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ShapeError
from ..samples import Windows
from ..tape import Array
from . import batched, native
from .declare import primitive

Sizes = tuple[int, ...]


def places_of_windows(lengths: Sizes, sizes: Sizes, steps: Sizes, gaps: Sizes) -> Sizes:
    """How many windows fit along each axis: ``(length - gap * (size - 1) - 1) // step + 1``, or 0."""
    return tuple(
        [
            max((length - gap * (size - 1) - 1) // step + 1, 0)
            for length, size, step, gap in zip(lengths, sizes, steps, gaps, strict=True)
        ]
    )


def _each_offset(sizes: Sizes, steps: Sizes, gaps: Sizes, places: Sizes) -> Any:
    """For each element of a window its index there, and the slices of the input that it runs over."""
    for offsets in np.ndindex(*sizes):
        spots = zip(offsets, gaps, steps, places, strict=True)
        yield (
            (..., *[slice(None)] * len(sizes), *offsets),
            (..., *[slice(at * gap, at * gap + step * count, step) for at, gap, step, count in spots]),
        )


def _windows_one_by_one(np_: Any, x: Any, sizes: Sizes, steps: Sizes, gaps: Sizes) -> Any:
    places = places_of_windows(x.shape[x.ndim - len(sizes) :], sizes, steps, gaps)
    out = np_.zeros((*x.shape[: x.ndim - len(sizes)], *places, *sizes), x.dtype)
    for place in np_.ndindex(*places):
        for offset in np_.ndindex(*sizes):
            spot = [p * step + o * gap for p, step, o, gap in zip(place, steps, offset, gaps, strict=True)]
            out[(..., *place, *offset)] = x[(..., *spot)]
    return out


def _fold_one_by_one(np_: Any, x: Any, lengths: Sizes, steps: Sizes, gaps: Sizes) -> Any:
    axes = len(lengths)
    places, sizes = x.shape[x.ndim - 2 * axes : x.ndim - axes], x.shape[x.ndim - axes :]
    out = np_.zeros((*x.shape[: x.ndim - 2 * axes], *lengths), x.dtype)
    for place in np_.ndindex(*places):
        for offset in np_.ndindex(*sizes):
            spot = [p * step + o * gap for p, step, o, gap in zip(place, steps, offset, gaps, strict=True)]
            out[(..., *spot)] += x[(..., *place, *offset)]
    return out


@primitive(
    name="unfold",
    vjp=(
        lambda g, x_shape, sizes, steps, gaps: fold(
            g, lengths=tuple(x_shape[len(x_shape) - len(sizes) :]), steps=steps, gaps=gaps
        ),
    ),
    reference=lambda np, x, *, sizes, steps, gaps: _windows_one_by_one(np, x, sizes, steps, gaps),
    samples=Windows("unfold"),
    latex=r"\operatorname{{windows}}({0})",
    batch=batched.as_it_is,
    native=native.unfolding,
)
def unfold(x: Array, *, sizes: Sizes, steps: Sizes, gaps: Sizes) -> Array:
    """Windows of ``sizes`` over the last axes, every ``steps``, their elements ``gaps`` apart: a view.

    ``(…, *lengths)`` becomes ``(…, *places, *sizes)``.
    """
    axes = len(sizes)
    before = x.ndim - axes
    places = places_of_windows(x.shape[before:], sizes, steps, gaps)
    own = x.strides[before:]
    moves = [stride * step for stride, step in zip(own, steps, strict=True)]
    inner = [stride * gap for stride, gap in zip(own, gaps, strict=True)]
    return np.lib.stride_tricks.as_strided(
        x, (*x.shape[:before], *places, *sizes), (*x.strides[:before], *moves, *inner), writeable=False
    )


@primitive(
    vjp=(
        lambda g, x_shape, steps, gaps: unfold(
            g, sizes=tuple(x_shape[len(x_shape) - len(steps) :]), steps=steps, gaps=gaps
        ),
    ),
    reference=lambda np, x, *, lengths, steps, gaps: _fold_one_by_one(np, x, lengths, steps, gaps),
    samples=Windows("fold"),
    passes_on=True,
    latex=r"\sum \operatorname{{windows}}({0})",
    batch=batched.as_it_is,
    native=native.folding,
)
def fold(x: Array, *, lengths: Sizes, steps: Sizes, gaps: Sizes) -> Array:
    """What lies in windows, added up where it came from: ``(…, *places, *sizes)`` becomes ``(…, *lengths)``."""
    axes = len(lengths)
    before = x.ndim - 2 * axes
    places, sizes = x.shape[before : before + axes], x.shape[before + axes :]
    out = np.zeros((*x.shape[:before], *lengths), x.dtype)
    if 0 not in places:
        for inside, outside in _each_offset(sizes, steps, gaps, places):
            out[outside] += x[inside]
    return out


def refuse_large_windows(what: str, lengths: Sizes, sizes: Sizes, gaps: Sizes, names: tuple[str, ...]) -> None:
    """Refuse windows that do not fit once.

    Raises:
        ShapeError: one is longer than its axis.
    """
    for name, length, size, gap in zip(names, lengths, sizes, gaps, strict=True):
        reach = gap * (size - 1) + 1
        if reach > length:
            raise ShapeError(
                f"{what}: the window is {reach} long along {name}, the input (with padding) {length}; take a smaller "
                f"kernel_size{' or dilation' if gap > 1 else ''}, padding={(reach - length + 1) // 2} more, or larger "
                "inputs"
            )
