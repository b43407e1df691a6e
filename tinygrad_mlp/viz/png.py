"""Grey images as PNG with the standard library alone, for pages that show samples where matplotlib is not installed."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np
from numpy.typing import ArrayLike

from ..errors import ShapeError

__all__ = ["grey_png", "png_data_uri"]


def grey_png(image: ArrayLike) -> bytes:
    """A PNG file of an image (height, width), its smallest value white and its largest black.

    Raises:
        ShapeError: not two axes, or no pixels.

    Source: W3C, "Portable Network Graphics", 2003: eight-bit grey, filter 0 before each row.
    """
    values = np.asarray(image, dtype=np.float64)
    if values.ndim != 2 or values.size == 0:
        raise ShapeError(f"expected an image (height, width), got shape {values.shape}")
    low, high = values.min(), values.max()
    ink = (values - low) / (high - low) if high > low else np.zeros_like(values)
    grey = np.rint(255 * (1 - ink)).astype(np.uint8)
    height, width = grey.shape
    rows = np.hstack([np.zeros((height, 1), np.uint8), grey]).tobytes()
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows, 9)) + _chunk(b"IEND", b"")
    )


def png_data_uri(image: ArrayLike) -> str:
    """:func:`grey_png` as the address of an ``<img>``."""
    return "data:image/png;base64," + base64.b64encode(grey_png(image)).decode("ascii")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
