"""NumPy's ``.npz`` read without trusting its headers: no objects, and no memory that the file does not hold."""

from __future__ import annotations

import io
import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DamagedFileError, FileFormatError, UnsafeFileError
from ..tape import Array
from .archives import Archive

__all__ = ["read_npz"]

_HEADER = 10_000
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def read_npz(path: str | os.PathLike[str]) -> dict[str, Array]:
    """The arrays of a file of ``numpy.savez`` or ``savez_compressed``.

    Raises:
        UnsafeFileError: Python objects, a zip bomb, a header that claims more than there is. FileFormatError,
            DamagedFileError: not an npz file, or a damaged one. FileNotFoundError: no file.
    """
    archive = Archive(Path(path).read_bytes(), str(path), stored=False)
    found = {}
    for name in archive.names:
        if not name.endswith(".npy"):
            raise FileFormatError(f"{path}: member {name!r:.60} is not an array")
        found[name.removesuffix(".npy")] = _array(archive.read(name), f"{path}: {name}")
    return found


def _array(data: bytes, where: str) -> Array:
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        # Version 3 is for structured arrays with names beyond Latin-1, which are refused anyway.
        reader: Any = _HEADERS[version]
        shape, in_columns, dtype = reader(stream, max_header_size=_HEADER)
    except (ValueError, KeyError, TypeError, SyntaxError, MemoryError, RecursionError, OverflowError) as error:
        raise DamagedFileError(f"{where} has no header of an array: {error!s:.80}") from None
    if dtype.hasobject or dtype.kind not in "biufcU":
        raise UnsafeFileError(f"{where} is of dtype {dtype!s:.40}; only numbers and text are read")
    rest = data[stream.tell() :]
    if any(size < 0 for size in shape) or math.prod(shape) * dtype.itemsize != len(rest):
        raise UnsafeFileError(f"{where} claims shape {shape!r:.80} of {dtype}, but holds {len(rest)} bytes")
    made = np.frombuffer(rest, dtype) if dtype.itemsize else np.zeros(math.prod(shape), dtype)
    return made.reshape(shape, order="F" if in_columns else "C").copy(order="K")
