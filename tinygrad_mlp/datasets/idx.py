"""The IDX format of the MNIST family, read against a published shape and SHA-256.

A file: two zero bytes, a type byte (8: unsigned byte), the number of axes, then each axis length as a big-endian 32-bit
integer, then the values in C order. It may be gzip-compressed; distributors re-wrap the gzip container freely, so the
checksum is always that of the content.

Source: Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits", section on file formats.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..errors import ChecksumError

__all__ = ["IdxFile"]

UNSIGNED_BYTE = 8
GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True)
class IdxFile:
    """One published file: its name without ``.gz``, its shape, and the SHA-256 of its decompressed bytes."""

    name: str
    shape: tuple[int, ...]
    sha256: str

    @property
    def header(self) -> bytes:
        """The bytes that a file of this shape must begin with."""
        axes = b"".join(length.to_bytes(4, "big") for length in self.shape)
        return bytes([0, 0, UNSIGNED_BYTE, len(self.shape)]) + axes

    @property
    def size(self) -> int:
        """Length in bytes of the decompressed file."""
        return len(self.header) + math.prod(self.shape)

    def find(self, folder: Path) -> Path | None:
        """Return the file in ``folder``, uncompressed or ``.gz``, or None."""
        for path in (folder / self.name, folder / f"{self.name}.gz"):
            if path.is_file():
                return path
        return None

    def read(self, path: Path) -> NDArray[np.uint8]:
        """Read and verify ``path``; return a writable uint8 array of the published shape.

        The header is compared before anything is allocated, at most one byte more than the published size is ever
        decompressed, and the SHA-256 of header and values decides at the end.

        Raises:
            ChecksumError: another header, length or content, or a broken gzip container.
        """
        with path.open("rb") as raw:
            compressed = raw.read(2) == GZIP_MAGIC
            raw.seek(0)
            try:
                # GzipFile is itself a readable binary stream, only its class is not declared so.
                return self._read(gzip.GzipFile(fileobj=raw) if compressed else raw, path)  # type: ignore[arg-type]
            except (gzip.BadGzipFile, zlib.error, EOFError) as error:
                raise self._wrong(path, "a complete gzip stream", str(error)) from error

    def _read(self, stream: BinaryIO, path: Path) -> NDArray[np.uint8]:
        header = stream.read(len(self.header))
        if header != self.header:
            raise self._wrong(path, f"the IDX header {_describe(self.header)}", _describe(header))
        values = np.empty(self.shape, dtype=np.uint8)
        filled = _fill(values.data.cast("B"), stream)
        surplus = len(stream.read(1))
        if filled < values.size or surplus:
            got = f"more than {self.size} bytes" if surplus else f"{len(header) + filled} bytes"
            raise self._wrong(path, f"{self.size} bytes decompressed", got)
        digest = hashlib.sha256(header)
        digest.update(values.data.cast("B"))
        if digest.hexdigest() != self.sha256:
            raise self._wrong(path, f"SHA-256 {self.sha256} of the decompressed bytes", digest.hexdigest())
        return values

    def _wrong(self, path: Path, expected: str, got: str) -> ChecksumError:
        return ChecksumError(
            f"{path}: expected {expected}, got {got}. "
            "Replace it with the published file, or name another folder with path=."
        )


def _fill(target: memoryview, stream: BinaryIO) -> int:
    """Read into ``target`` until it is full or the stream ends; return the number of bytes."""
    filled = 0
    while filled < len(target):
        # Pieces, because a gzip stream allocates what it is asked for before it knows whether so much will come.
        piece = stream.read(min(1 << 20, len(target) - filled))
        if not piece:
            break
        target[filled : filled + len(piece)] = piece
        filled += len(piece)
    return filled


def _describe(header: bytes) -> str:
    """Say what a header states: the magic number (its first four bytes) and the lengths of the axes."""
    magic, *axes = (int.from_bytes(header[start : start + 4], "big") for start in range(0, max(len(header), 1), 4))
    return f"magic {magic}, axes {axes}"
