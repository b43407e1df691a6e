"""NumPy's ``.npz`` read without trusting its headers: no objects, and no memory that the file does not hold."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path

import numpy as np

from ..errors import FileFormatError, UnsafeFileError
from ..tape import Array
from .archives import Archive

__all__ = ["read_npz"]

# NumPy evaluates the header as a Python literal. It writes this one form for numbers and text, and no other is needed.
_HEADER = re.compile(
    rb"\{'descr': '(?P<dtype>[<>|=][biufcU]\d{1,9})', 'fortran_order': (?P<columns>True|False), "
    rb"'shape': \((?P<shape>(\d{1,18}, ?)*(\d{1,18})?)\), \} *\n"
)
_LONGEST = 2000
_AXES = 32


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
    length_bytes = {b"\x93NUMPY\1\0": 2, b"\x93NUMPY\2\0": 4}.get(data[:8])
    if length_bytes is None:
        raise FileFormatError(f"{where} is not an array of numbers as NumPy writes it: it begins with {data[:8]!r}")
    begin = 8 + length_bytes
    length = int.from_bytes(data[8:begin], "little")
    header = _HEADER.fullmatch(data[begin : begin + min(length, _LONGEST)])
    if header is None:
        raise UnsafeFileError(
            f"{where} has a header that is not one of numbers or text: {data[begin : begin + 60]!r}; objects and "
            "records are not read"
        )
    dtype = np.dtype(header["dtype"].decode())
    shape = tuple([int(size) for size in header["shape"].replace(b",", b" ").split()])
    rest = memoryview(data)[begin + length :]
    if math.prod(shape) * dtype.itemsize != len(rest) or len(shape) > _AXES:
        raise UnsafeFileError(f"{where} claims shape {shape} of {dtype}, but holds {len(rest)} bytes")
    made = np.frombuffer(rest, dtype) if rest else np.zeros(math.prod(shape), dtype)
    return made.reshape(shape, order="F" if header["columns"] == b"True" else "C").copy(order="K")
