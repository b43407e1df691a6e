"""Along one axis: running sums, and the places that sorting and searching find."""

from __future__ import annotations

from collections.abc import Callable
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


def _first_places(better: Callable[[Any, Any], Any]) -> Callable[[Array, int], Array]:
    def search(x: Array, axis: int) -> Array:
        rows = np.moveaxis(x, axis, 0)
        places = np.zeros(rows.shape, np.int64)
        best = rows[0] if len(rows) else rows
        for i in range(1, len(rows)):
            # As torch has it, the last of several equals; NaN is beyond everything, and stays.
            taken = better(rows[i], best) | (rows[i] != rows[i])
            places[i] = np.where(taken, i, places[i - 1])
            best = np.where(taken, rows[i], best)
        return np.moveaxis(places, 0, axis)

    return search


def _falling(x: Array, axis: int) -> Array:
    # Stable, and NaN first, where rising order has it last.
    turned = np.flip(x, axis)
    order = np.flip(np.argsort(turned, axis=axis, kind="stable"), axis)
    return x.shape[axis] - 1 - order


_SEARCHES: dict[str, Callable[[Array, int], Array]] = {
    "rising": lambda x, axis: np.argsort(x, axis=axis, kind="stable"),
    "falling": _falling,
    "running maximum": _first_places(np.greater_equal),
    "running minimum": _first_places(np.less_equal),
}


@primitive(
    vjp=(None,),
    samples=Reduction(single_axis=True, params=tuple([(("how", how),) for how in _SEARCHES])),
    latex=r"\operatorname{{places}}({0}, \text{{{how}}})",
    batch=batched.along_axis,
)
def places_along(x: Array, *, axis: int, how: str) -> Array:
    """The places, along ``axis``, of the elements in ``rising`` or ``falling`` order, or of each running extreme."""
    return np.asarray(_SEARCHES[how](x, axis), np.int64)
