"""Along one axis: running sums, and the places that sorting and searching find."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..samples import Reduction
from ..tape import Array
from . import batched
from .declare import primitive


@primitive(
    name="cumsum",
    vjp=(lambda g, axis, backward: running_sum(g, axis=axis, backward=not backward),),
    reference=lambda np, x, *, axis, backward: _running(np, x, axis, backward),
    samples=Reduction(single_axis=True, params=((("backward", False),), (("backward", True),))),
    latex=r"\operatorname{{cumsum}}({0})",
    batch=batched.along_axis,
)
def running_sum(x: Array, *, axis: int, backward: bool) -> Array:
    """The sums up to each element along ``axis``; ``backward`` from each element on, which is the adjoint."""
    if not backward:
        return np.cumsum(x, axis, dtype=x.dtype)
    return np.flip(np.cumsum(np.flip(x, axis), axis, dtype=x.dtype), axis)


def _running(np_: Any, x: Any, axis: int, backward: bool) -> Any:
    rows = [x[(slice(None),) * axis + (slice(i, i + 1),)] for i in range(x.shape[axis])]
    order = range(len(rows))[::-1] if backward else range(len(rows))
    sums: dict[int, Any] = {}
    total: Any = 0
    for i in order:
        total = total + rows[i]
        sums[i] = total
    return np_.concatenate([sums[i] for i in range(len(rows))], axis) if rows else x


def _running_extreme(x: Array, axis: int, largest: bool) -> Array:
    """Where the largest, or smallest, element so far is: of several equals the last, as torch has it; NaN wins."""
    rows = np.moveaxis(x, axis, 0)
    places = np.zeros(rows.shape, np.int64)
    best = rows[0] if len(rows) else rows
    for i in range(1, len(rows)):
        better = rows[i] >= best if largest else rows[i] <= best
        taken = better | (rows[i] != rows[i])
        places[i] = np.where(taken, i, places[i - 1])
        best = np.where(taken, rows[i], best)
    return np.moveaxis(places, 0, axis)


_HOWS = ("rising", "falling", "running maximum", "running minimum")


@primitive(
    vjp=(None,),
    samples=Reduction(single_axis=True, params=tuple([(("how", how),) for how in _HOWS])),
    latex=r"\operatorname{{places}}({0}, \text{{{how}}})",
    batch=batched.along_axis,
)
def places_along(x: Array, *, axis: int, how: str) -> Array:
    """The places, along ``axis``, of the elements in ``rising`` or ``falling`` order, or of each running extreme."""
    if how == "rising":
        places = np.argsort(x, axis=axis, kind="stable")
    elif how == "falling":
        # Stable too: the order of the reversed row, read backwards.
        places = x.shape[axis] - 1 - np.flip(np.argsort(np.flip(x, axis), axis=axis, kind="stable"), axis)
    else:
        places = _running_extreme(x, axis, how == "running maximum")
    return np.asarray(places, np.int64)
