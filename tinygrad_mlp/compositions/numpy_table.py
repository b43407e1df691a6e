"""Who answers for NumPy's functions, by NumPy's names, and what the answers share.

The table goes by names and not by NumPy's functions themselves, because older versions of NumPy lack some of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

import numpy as np

from .. import ops
from ..errors import DTypeError
from ..ops.declare import plain_array
from ..tape import Array, Traced
from .common import normalise_axis, operand

__all__ = ["ANSWERS", "answers", "array_like", "constants", "is_recorded", "rearranged", "refuse", "swap_in", "typed"]

_F = TypeVar("_F", bound=Callable[..., Any])

ANSWERS: dict[str, Callable[..., Any]] = {}
"""The functions of NumPy's signature, by the full name of NumPy's: ``numpy.linalg.inv``."""


def answers(*names: str) -> Callable[[_F], _F]:
    """Declare that a function answers for these of NumPy: ``answers("sum", "linalg.inv")``."""

    def decorate(function: _F) -> _F:
        for name in names:
            ANSWERS[f"numpy.{name}"] = function
        return function

    return decorate


def refuse(what: str, instead: str = "") -> NoReturn:
    """Raise the error of what NumPy can and tensors cannot, with what to say instead.

    Raises:
        DTypeError: always.
    """
    hint = f"; {instead}" if instead else ""
    raise DTypeError(f"numpy.{what} of a tensor has no gradient rule here{hint}; for values say x.detach().numpy()")


def is_recorded(*values: Any) -> bool:
    """Whether a gradient could go to one of the values, or to one in a list among them."""
    return any(
        value.node is not None and value.node.wants
        if isinstance(value, Traced)
        else isinstance(value, (list, tuple)) and is_recorded(*value)
        for value in values
    )


def constants(what: str, *values: Any) -> None:
    """Refuse options that no gradient goes to, where one of them wants it.

    Raises:
        DTypeError: one is recorded.
    """
    if is_recorded(*values):
        refuse(f"{what} of a recorded option")


def _holds_tensors(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and any(isinstance(one, Traced) or _holds_tensors(one) for one in value)


def array_like(x: Any) -> Any:
    """A tensor or an array; nested lists with tensors in them are stacked, so that none of them is lost.

    Raises:
        DTypeError: masked, or no numbers.
    """
    if _holds_tensors(x):
        return ops.stack([array_like(one) if isinstance(one, (list, tuple)) else one for one in x], 0)
    x = operand(x)
    return plain_array(x) if isinstance(x, np.ndarray) else x


def typed(x: Any, dtype: Any) -> Any:
    """``x`` in the dtype asked for, if one is."""
    x = array_like(x)
    return x if dtype is None or x.dtype == np.dtype(dtype) else ops.astype(x, dtype)


def swap_in(values: Any, axis: int | None) -> tuple[Any, int]:
    """The array and its axis as NumPy reads ``axis=None``: the flattened array along its only axis."""
    x = array_like(values)
    return (ops.reshape(x, (-1,)), 0) if axis is None else (x, normalise_axis(axis, x.ndim))


def rearranged(make: Callable[..., Any], *values: Any) -> Any:
    """What ``make``, a function that only moves elements and fills up with 0, gives for ``values``.

    It is called on arrays of places, whose shapes are those of the values, and moves these; so NumPy's own function
    says which element goes where, and indexing, which has a gradient, moves the elements.
    """
    parts = [array_like(value) for value in values]
    places: list[Array] = []
    start = 1
    for part in parts:
        places.append(np.arange(start, start + part.size).reshape(part.shape))
        start += part.size
    found = make(*places)
    flat = [ops.reshape(part, (-1,)) for part in parts]

    def moved(where: Any) -> Any:
        where = np.asarray(where)
        first = 0 if where.size and where.min() == 0 else 1
        # The element 0 of the row is the zero that fills up.
        row = flat if first else [np.zeros(1, flat[0].dtype), *flat]
        joined = ops.cat(row, 0) if len(row) > 1 else row[0]
        return ops.getitem(joined, where - first)

    if isinstance(found, (list, tuple)):
        return type(found)(moved(one) for one in found)
    return moved(found)
