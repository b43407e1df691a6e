"""Memory for what an optimizer remembers of small parameters: side by side, so that one call can serve them all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..tape import Array

__all__ = ["Room"]

# Larger arrays cost more than the calls that go over them, and have memory of their own.
_SMALL = 1 << 12


class Room:
    """Gives zeros; those of one name and dtype follow each other in memory, in the order in which they are asked."""

    def __init__(self) -> None:
        self._free: dict[Any, Array] = {}
        self._expected: dict[Any, int] = {}

    def expect(self, arrays: Iterable[Array]) -> None:
        """Zeros like these will be asked for, of each name once."""
        for one in arrays:
            if one.size <= _SMALL:
                self._expected[one.dtype] = self._expected.get(one.dtype, 0) + one.size

    def zeros_like(self, name: str, data: Array) -> Array:
        """An array of zeros, laid out in memory as ``data`` is."""
        dense = data.flags.c_contiguous or data.flags.f_contiguous
        if not dense or not 0 < data.size <= _SMALL:
            return np.zeros_like(data)
        key = name, data.dtype
        free = self._free.get(key)
        if free is None or free.size < data.size:
            free = np.zeros(max(self._expected.get(data.dtype, 0), data.size), data.dtype)
        # What is full is let go of: it lives as long as the arrays in it.
        self._free[key] = free[data.size :] if free.size > data.size else np.zeros(0, data.dtype)
        return free[: data.size].reshape(data.shape, order="C" if data.flags.c_contiguous else "F")
