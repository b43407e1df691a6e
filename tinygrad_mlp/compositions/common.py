"""What the compositions share: either name of an argument, results in pairs, and data beside tensors."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .. import ops
from ..capture import reading
from ..errors import DTypeError
from ..ops.kernels import normalise_axes, normalise_axis
from ..ops.names import both_names
from ..tape import Array, Traced, wrap
from ..tensor import Tensor

__all__ = [
    "Extremes",
    "Sorted",
    "both_names",
    "data_of",
    "floats",
    "index_of",
    "like",
    "normalise_axes",
    "normalise_axis",
    "operand",
    "sizes_of",
    "values_of",
]


class Sorted(NamedTuple):
    """Values and where they were, as torch returns them: ``.values`` and ``.indices``, or unpacked."""

    values: Any
    indices: Any


class Extremes(NamedTuple):
    """The smallest and the largest."""

    min: Any
    max: Any


def operand(x: Any) -> Any:
    """A tensor or an array; a list becomes an array."""
    if isinstance(x, (Traced, np.ndarray)):
        return x
    return np.asarray(x)


def data_of(x: Any, what: str = "this function") -> Array:
    """The numbers, for what carries no gradient; a captured step is told that they were read."""
    if isinstance(x, Traced):
        reading(x, what)
        return x.data
    return np.asarray(x)


def values_of(x: Any) -> Array:
    """The numbers of what is data in any case: an index, a shape."""
    return data_of(x, "an index")


def like(x: Any, array: Any) -> Any:
    """A result without gradient, of the kind of ``x``: a tensor where that is one."""
    return wrap(type(x) if isinstance(x, Traced) else Tensor, np.asarray(array)) if not _is_array(x) else array


def _is_array(x: Any) -> bool:
    return isinstance(x, (np.ndarray, np.generic))


def index_of(x: Any, what: str) -> Any:
    """An index as getitem takes it: a tensor stays one; integers are checked.

    Raises:
        DTypeError: floats.
    """
    found = operand(x)
    kind = (found.data if isinstance(found, Traced) else found).dtype.kind
    if kind not in "iu":
        raise DTypeError(f"{what}: the index is made of integers, got {found.dtype}; say index.astype('int64')")
    return found


def floats(x: Any) -> Any:
    """Integers and booleans as floats of the default dtype."""
    x = operand(x)
    return x if x.dtype.kind in "fc" else ops.mul(x, 1.0)


def sizes_of(sizes: tuple[Any, ...]) -> tuple[int, ...]:
    """Sizes given as several ints or as one sequence."""
    if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)):
        sizes = tuple(sizes[0])
    return tuple([int(size) for size in sizes])
