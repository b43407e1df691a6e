"""Bits, divisors and sets: functions of integers and of membership, which carry no gradient."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .. import ops
from ..errors import DTypeError, ShapeError
from ..tape import Array, Traced
from .common import both_names, data_of, like, operand

__all__ = [
    "bitwise_and",
    "bitwise_left_shift",
    "bitwise_not",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "frexp",
    "gcd",
    "histogram",
    "isin",
    "lcm",
    "nextafter",
    "unique_consecutive",
    "unravel_index",
]


class Frexp(NamedTuple):
    """A fraction from 0.5 to 1 and a power of two."""

    mantissa: Any
    exponent: Any


class Histogram(NamedTuple):
    """Counts and the edges between them."""

    hist: Any
    bin_edges: Any


def _first(*values: Any) -> Any:
    return next((one for one in values if isinstance(one, Traced)), values[0])


def _of_integers(name: str, function: Callable[..., Any], *values: Any, booleans: bool = True) -> Any:
    arrays = [data_of(one, f"{name}()") for one in values]
    # A Python number follows the other operand, as everywhere.
    weak = [one if isinstance(one, (int, bool)) else array for one, array in zip(values, arrays, strict=True)]
    wrong = [one.dtype for one in arrays if one.dtype.kind not in ("iub" if booleans else "iu")]
    if wrong:
        raise DTypeError(
            f"{name} is for {'booleans and integers' if booleans else 'integers'}, got {wrong[0]}; compare first, as "
            "in (x > 0) & (y > 0), or say x.astype('int64')"
        )
    return like(_first(*values), np.asarray(function(*weak)))


def _are_booleans(*values: Any) -> bool:
    return all(operand(one).dtype.kind == "b" for one in values)


@both_names
def bitwise_and(input: Any, other: Any) -> Any:
    """The bits that both have; of booleans the logical and.

    Raises:
        DTypeError: floats.
    """
    if _are_booleans(input, other):
        return ops.logical_and(input, other)
    return _of_integers("bitwise_and", np.bitwise_and, input, other)


@both_names
def bitwise_or(input: Any, other: Any) -> Any:
    """The bits that one has; of booleans the logical or.

    Raises:
        DTypeError: floats.
    """
    if _are_booleans(input, other):
        return ops.logical_or(input, other)
    return _of_integers("bitwise_or", np.bitwise_or, input, other)


@both_names
def bitwise_xor(input: Any, other: Any) -> Any:
    """The bits that exactly one has; of booleans whether they differ.

    Raises:
        DTypeError: floats.
    """
    if _are_booleans(input, other):
        return ops.ne(input, other)
    return _of_integers("bitwise_xor", np.bitwise_xor, input, other)


@both_names
def bitwise_not(input: Any) -> Any:
    """Every bit turned over, ``-x - 1``; of booleans the logical not.

    Raises:
        DTypeError: floats.
    """
    if _are_booleans(input):
        return ops.logical_not(input)
    return _of_integers("bitwise_not", np.invert, input)


@both_names
def bitwise_left_shift(input: Any, other: Any) -> Any:
    """``input * 2**other`` of integers.

    Raises:
        DTypeError: anything but integers.
    """
    return _of_integers("bitwise_left_shift", np.left_shift, input, other, booleans=False)


@both_names
def bitwise_right_shift(input: Any, other: Any) -> Any:
    """``floor(input / 2**other)`` of integers.

    Raises:
        DTypeError: anything but integers.
    """
    return _of_integers("bitwise_right_shift", np.right_shift, input, other, booleans=False)


@both_names
def gcd(input: Any, other: Any) -> Any:
    """The greatest common divisor.

    Raises:
        DTypeError: anything but integers.
    """
    return _of_integers("gcd", np.gcd, input, other, booleans=False)


@both_names
def lcm(input: Any, other: Any) -> Any:
    """The least common multiple.

    Raises:
        DTypeError: anything but integers.
    """
    return _of_integers("lcm", np.lcm, input, other, booleans=False)


@both_names(element="elements", test_element="test_elements")
def isin(elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False) -> Any:
    """Which ``elements`` are among ``test_elements`` (not among them with ``invert``)."""
    found = np.isin(data_of(elements, "isin()"), data_of(test_elements), assume_unique=assume_unique, invert=invert)
    return like(_first(elements, test_elements), found)


@both_names
def nextafter(input: Any, other: Any) -> Any:
    """The floating-point number next to ``input`` towards ``other``."""
    x, y = ops.same_dtype(operand(input), operand(other))
    return like(_first(input, other), np.nextafter(data_of(x, "nextafter()"), data_of(y)))


@both_names
def frexp(input: Any) -> Frexp:
    """``input = mantissa * 2**exponent`` with ``0.5 <= |mantissa| < 1``; the mantissa carries the gradient.

    Raises:
        DTypeError: integers.
    """
    x = operand(input)
    if x.dtype.kind != "f":
        raise DTypeError(f"frexp: floats have an exponent, got {x.dtype}; say x.astype('float32')")
    exponent = np.frexp(data_of(x, "frexp()"))[1]
    # In two halves, so that no power of two leaves the range.
    half = exponent // 2
    scaled = ops.mul(ops.mul(x, np.exp2(-half).astype(x.dtype)), np.exp2(half - exponent).astype(x.dtype))
    return Frexp(scaled, like(x, exponent.astype(np.int32)))


@both_names
def unique_consecutive(
    input: Any, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """``input`` without repetitions of what stands right before; with places and counts where asked for."""
    x = data_of(input, "unique_consecutive()")
    rows = x.reshape(-1, 1) if dim is None else np.moveaxis(x, dim, 0).reshape(x.shape[dim], -1)
    new = np.ones(len(rows), bool)
    new[1:] = (rows[1:] != rows[:-1]).any(1)
    kept = x.reshape(-1)[new] if dim is None else np.compress(new, x, dim)
    inverse = np.cumsum(new) - 1
    found: list[Array] = [kept]
    if return_inverse:
        found.append(inverse.reshape(x.shape) if dim is None else inverse)
    if return_counts:
        found.append(np.diff(np.append(np.flatnonzero(new), len(rows))))
    results = tuple(like(input, one) for one in found)
    return results if len(results) > 1 else results[0]


@both_names
def histogram(
    input: Any, bins: Any = 100, *, range: tuple[float, float] | None = None, weight: Any = None, density: bool = False
) -> Histogram:
    """How many elements lie between the edges ``bins`` (or in so many bins of equal width), and the edges.

    Raises:
        ShapeError: weights of another shape.
    """
    x = data_of(input, "histogram()")
    weights = None if weight is None else data_of(weight)
    if weights is not None and weights.shape != x.shape:
        raise ShapeError(f"histogram: a weight for each element of {x.shape}, got {weights.shape}")
    edges = bins if isinstance(bins, int) else data_of(bins)
    counts, found = np.histogram(x, edges, range, density, weights)
    return Histogram(like(input, counts.astype(x.dtype)), like(input, found.astype(x.dtype)))


@both_names
def unravel_index(indices: Any, shape: Any) -> tuple[Any, ...]:
    """Places of a flattened tensor, from its end where they are negative, as one index for each axis of ``shape``.

    Raises:
        ValueError: a place outside.
    """
    sizes = tuple(np.atleast_1d(data_of(shape)).tolist())
    places = data_of(indices, "unravel_index()")
    found = np.unravel_index(np.where(places < 0, places + math.prod(sizes), places), sizes)
    return tuple(like(indices, np.asarray(one)) for one in found)
