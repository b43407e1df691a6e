"""Nested Python data as JSON and arrays, and back, exactly: what the files of this package keep beside the weights.

JSON knows no tuples, no integer keys, no infinities and no arrays. These become dictionaries with one key that begins
with ``$``; arrays of any size are handed out to be stored as tensors. Reading accepts these forms alone: numbers, text,
lists, dictionaries, arrays. It makes no objects of any class, imports nothing and calls nothing that a file names.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from reprlib import repr as brief
from typing import Any

import numpy as np

from ..errors import FileFormatError, StateError
from ..tape import Array
from ..tensor import Tensor, from_numpy

__all__ = ["decoded", "encoded", "from_json", "to_json"]

# Deeper than any state is, and far less deep than what Python's own recursion allows.
_DEEPEST = 40

Keep = Callable[[Array], str]
"""Stores an array and returns the name it goes by."""
Other = Callable[[Any], Any]
"""Says how something of another kind is written, ``{"$kind": …}``; None if it does not know."""
Reader = Callable[[str, Any], Any]
"""Makes something of another kind from its mark and what stands under it."""


def _nothing(_: Any) -> Any:
    return None


def _unknown(mark: str, _: Any) -> Any:
    raise FileFormatError(f"{mark} is not a kind of value that belongs there")


def encoded(value: Any, keep: Keep, where: str = "value", other: Other = _nothing) -> Any:
    """``value`` as data for JSON.

    Args:
        value: None, bools, integers, floats, text, arrays, tensors, NumPy numbers and dtypes; lists, tuples and
            dictionaries of these, with text or integers as keys.
        keep: is given each array and returns a name for it. where: what the value is, for errors.
        other: is asked first how to write something.

    Raises:
        StateError: anything else is in it.
    """
    return _encoded(value, keep, where, other, 0)


def _encoded(value: Any, keep: Keep, where: str, other: Other, depth: int) -> Any:
    if depth > _DEEPEST:
        raise StateError(f"{where} is nested more than {_DEEPEST} deep, or contains itself; save a flatter state")
    made = other(value)
    if made is not None or value is None:
        return made
    if isinstance(value, (bool, str)):
        made = value
    elif isinstance(value, (int, np.integer, np.bool_)):
        made = value.item() if isinstance(value, np.generic) else int(value)
    elif isinstance(value, (float, np.floating)) and not isinstance(value, np.longdouble):
        made = float(value) if math.isfinite(value) else {"$float": str(float(value))}
    elif isinstance(value, (Tensor, np.ndarray)):
        made = _array(value.data, "$tensor", keep) if isinstance(value, Tensor) else _array(value, "$array", keep)
    elif isinstance(value, np.dtype):
        made = {"$dtype": value.name}
    elif isinstance(value, (list, tuple)):
        parts = [_encoded(one, keep, f"{where}[{place}]", other, depth + 1) for place, one in enumerate(value)]
        made = parts if type(value) is list else {"$tuple": parts}
    elif isinstance(value, Mapping) and all(isinstance(key, (str, int)) for key in value):
        pairs = [(key, _encoded(one, keep, f"{where}[{key!r}]", other, depth + 1)) for key, one in value.items()]
        plain = all(isinstance(key, str) and not key.startswith("$") for key in value)
        made = dict(pairs) if plain else {"$items": [list(pair) for pair in pairs]}
    else:
        raise StateError(
            f"{where} is {type(value).__name__} {value!r:.80}, which cannot be saved as plain data; use numbers, text, "
            "arrays, and lists, tuples and dictionaries of them"
        )
    return made


def _array(array: Array, mark: str, keep: Keep) -> dict[str, Any]:
    # The layout stays what it was: sums over an array can depend on it in the last bit.
    in_columns = array.flags.f_contiguous and not array.flags.c_contiguous
    return {mark: [keep(array), "F"] if in_columns else keep(array)}


def decoded(value: Any, arrays: Mapping[str, Array], other: Reader = _unknown) -> Any:
    """What :func:`encoded` was given, with arrays taken from ``arrays`` by name.

    Args:
        value: data from JSON. arrays: by name. other: reads the forms that are not those of this file.

    Raises:
        FileFormatError: a form that is not known, an array that is missing.
    """
    return _Decoder(arrays, other).decode(value, 0)


class _Decoder:
    def __init__(self, arrays: Mapping[str, Array], other: Reader) -> None:
        self.arrays = arrays
        self.other = other

    def decode(self, value: Any, depth: int) -> Any:
        if depth > 4 * _DEEPEST:
            raise FileFormatError("values are nested more deeply than this package writes them; the file is damaged")
        if isinstance(value, list):
            return [self.decode(one, depth + 1) for one in value]
        if not isinstance(value, dict):
            return value
        marks = [key for key in value if key.startswith("$")]
        if not marks:
            return {key: self.decode(one, depth + 1) for key, one in value.items()}
        if len(value) > 1:
            raise FileFormatError(f"{marks} stand beside other keys; the file is damaged")
        ((mark, content),) = value.items()
        try:
            return self._special(mark, content, depth + 1)
        except (TypeError, KeyError, ValueError, IndexError) as error:
            if isinstance(error, FileFormatError):
                raise
            raise FileFormatError(f"{mark} of {brief(content)} means nothing: {error!r:.80}") from None

    def _special(self, mark: str, content: Any, depth: int) -> Any:
        made: Any
        match mark:
            case "$array":
                made = self._array(content)
            case "$tensor":
                made = from_numpy(self._array(content))
            case "$dtype":
                made = _dtype(content)
            case "$float":
                made = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}[content]
            case "$items":
                made = {key: self.decode(one, depth) for key, one in content}
            case "$tuple":
                made = tuple([self.decode(one, depth) for one in content])
            case _:
                made = self.other(mark, content)
        return made

    def _array(self, content: Any) -> Array:
        if isinstance(content, str):
            return self.arrays[content]
        name, order = content
        if order != "F":
            raise ValueError(order)
        return np.asfortranarray(self.arrays[name])


_NUMBERS = frozenset(
    {"bool", "complex64", "complex128"}
    | {f"float{bits}" for bits in (16, 32, 64)}
    | {f"{sign}int{bits}" for bits in (8, 16, 32, 64) for sign in ("", "u")}
)


def _dtype(name: Any) -> np.dtype[Any]:
    if name not in _NUMBERS:
        raise FileFormatError(f"{name!r:.40} is not a dtype of numbers")
    found: np.dtype[Any] = np.dtype(name)
    return found


def to_json(value: Any) -> str:
    """Strict JSON without spaces."""
    return json.dumps(value, allow_nan=False, ensure_ascii=True, separators=(",", ":"))


def from_json(text: str | bytes, what: str) -> Any:
    """Strict JSON: no NaN, no key twice, no deep nesting, no numbers of thousands of digits.

    Raises:
        FileFormatError: it is not that.
    """
    try:
        return json.loads(text, object_pairs_hook=_distinct, parse_constant=_no_constant)
    except RecursionError:
        raise FileFormatError(f"{what} is JSON nested too deeply to have been written by this package") from None
    except ValueError as error:
        raise FileFormatError(f"{what} is not the JSON that belongs there: {error}") from None


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key stands there twice")
    return made


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number of JSON")
