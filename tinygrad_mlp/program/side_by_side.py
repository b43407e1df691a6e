"""Updates that are made together: those of many small parameters in one call, those of a large one part by part.

An optimizer makes the same calls for each parameter, and for a small one a call is all that it costs. So the steps that
differ in nothing but their arrays are put in a row, their arrays are laid side by side in memory, and where that
succeeds for all operands, one call serves the row. The calls for a large parameter all go over the same arrays: made
for a part of them after the other, they find it in the cache. The results are those of the single calls, bit by bit:
only functions that IEEE 754 rounds exactly take part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from ..tape import Array
from .ir import Step, Value

__all__ = ["STRIP", "Row", "joined", "lined_up", "same_order", "strips"]

_EXACT = (
    np.absolute,
    np.add,
    np.divide,
    np.multiply,
    np.negative,
    np.sqrt,
    np.square,
    np.subtract,
)
# Beyond these numbers of elements the arrays themselves cost more than the calls.
_SMALL = 1 << 12
_MANY = 1 << 15
STRIP = 1 << 16
"""How many elements of each array are gone over at a time, where steps go over large arrays one after the other."""


class Row:
    """Steps that can be one: the same function, with the same numbers, of arrays that are not among its results.

    Attributes:
        steps: in order. arrays: the places of the operands that are an array of each step's own.
    """

    def __init__(self, arrays: tuple[int, ...]) -> None:
        self.steps: list[Step] = []
        self.arrays = arrays
        self.size = 0

    def column(self, place: int) -> list[Value]:
        """The operands at one place, of all steps."""
        found = [step.operands[place] for step in self.steps]
        return [one for one in found if isinstance(one, Value)]


def lined_up(steps: Sequence[Step]) -> tuple[list[Step], list[Row]]:
    """The steps with those of a row after one another, and the rows of several.

    Only updates are moved: they come last, cannot fail, and each parameter's depend on nothing of another's.
    """
    start = len(steps)
    while start and steps[start - 1].phase == "update":
        start -= 1
    rows: list[Row] = []
    row_of: dict[Step, int] = {}
    known: dict[Any, int] = {}
    for step in steps[start:]:
        key = _key(step, row_of)
        place = known.get(key) if key is not None else None
        if place is None or rows[place].size + step.result.size > _MANY:
            place = len(rows)
            rows.append(Row(() if key is None else _arrays(step)))
            if key is not None:
                known[key] = place
        rows[place].steps.append(step)
        rows[place].size += step.result.size
        row_of[step] = place
    return [*steps[:start], *[step for row in rows for step in row.steps]], [row for row in rows if len(row.steps) > 1]


def _arrays(step: Step) -> tuple[int, ...]:
    return tuple(
        [i for i, one in enumerate(step.operands) if isinstance(one, Value) and one.shape == step.result.shape]
    )


def _key(step: Step, row_of: dict[Step, int]) -> Any:
    """What steps of one row have in common; None for a step that stays alone."""
    result = step.result
    single = step.op.forward not in _EXACT or step.params or result.alias is not None
    if single or not 0 < result.size <= _SMALL or result.dtype not in (np.float32, np.float64):
        return None
    parts: list[Any] = [step.op.forward, result.dtype]
    for one in step.operands:
        if not isinstance(one, Value):
            parts.append((type(one), repr(one)))
        elif one.dtype != result.dtype:
            return None
        elif one.shape == result.shape and one.shape:
            parts.append(row_of.get(one.step, -1) if one.step is not None else one.kind)
        elif one.shape == ():
            parts.append(one)
        else:
            return None
    return tuple(parts) if any(isinstance(one, (int, str)) for one in parts) else None


def joined(arrays: Sequence[Array]) -> Array | None:
    """One array without shape over arrays that follow each other in memory; None if they do not."""
    first = arrays[0]
    root = _root(first)
    for one in arrays:
        if one.dtype != first.dtype or not (one.flags.c_contiguous or one.flags.f_contiguous) or _root(one) is not root:
            return None
    places = [one.__array_interface__["data"][0] for one in arrays]
    for (before, place), one in zip(pairwise(places), arrays, strict=False):
        if before + one.nbytes != place:
            return None
    size = sum(one.size for one in arrays)
    return np.lib.stride_tricks.as_strided(first, (size,), (first.itemsize,))


def _root(array: Array) -> Any:
    base: Any = array
    while isinstance(base, np.ndarray) and base.base is not None:
        base = base.base
    return base


def same_order(first: Array, second: Array) -> bool:
    """Whether the elements of two arrays of one shape lie in the same order."""
    pairs = zip(first.shape, first.strides, second.strides, strict=True)
    return all(one == other for size, one, other in pairs if size > 1)


def strips(steps: Sequence[Step], fixed: Mapping[Value, Array]) -> list[list[Step]]:
    """Updates one after the other that go over large arrays of one shape, element by element."""
    found: list[list[Step]] = []
    shape = None
    for step in steps:
        if step.phase != "update" or not _goes_over(step, fixed):
            shape = None
            continue
        array = fixed[step.result]
        if shape is None or shape.shape != array.shape or not same_order(shape, array):
            shape = array
            found.append([])
        found[-1].append(step)
    return [some for some in found if len(some) > 1]


def _goes_over(step: Step, fixed: Mapping[Value, Array]) -> bool:
    result = step.result
    if step.op.forward not in _EXACT or step.params or result.alias is not None or result.size < 2 * STRIP:
        return False
    values = [one for one in step.operands if isinstance(one, Value) and one.shape != ()]
    if any(one.shape != result.shape or one not in fixed for one in values) or result not in fixed:
        return False
    dense = all(fixed[one].flags.c_contiguous or fixed[one].flags.f_contiguous for one in [*values, result])
    return dense and all(same_order(fixed[one], fixed[result]) for one in values)
