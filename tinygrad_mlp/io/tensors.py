"""Safetensors files: named arrays and one JSON document about them, sealed with a checksum.

The format is 8 bytes with the length of a JSON header, the header, the data (https://github.com/huggingface/safetensors).
It is read and written by the library of that name, which is audited and checks every offset. What this package adds is
one entry of the header's metadata, ``tinygrad_mlp``: JSON that begins with the SHA-256 of the whole file, computed with
the 64 digits in question being zeros. So the file stays one that every reader of safetensors opens, and every bit of
it, the header included, is covered.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import DamagedFileError, DTypeError, FileFormatError
from ..extras import need
from ..tape import Array
from .atomic import DISK, Files, write
from .plain import from_json, to_json

__all__ = ["FORMAT", "Content", "packed", "read", "unpacked", "write_tensors"]

FORMAT = 1
"""The version of the document. Files of earlier ones stay readable; there are none yet."""

_KEY = "tinygrad_mlp"
# As it stands in the header, where the JSON document is text within JSON.
_SEAL = rb"{\"sha256\":\""
_DIGITS = 64

_DTYPES = {
    "BOOL": np.dtype(np.bool_),
    "C64": np.dtype(np.complex64),
    "F16": np.dtype(np.float16),
    "F32": np.dtype(np.float32),
    "F64": np.dtype(np.float64),
    **{f"{sign}{8 * size}": np.dtype(f"{sign.lower()}{size}") for sign in "IU" for size in (1, 2, 4, 8)},
}


class Content(NamedTuple):
    """What a safetensors file holds.

    Attributes:
        arrays: by name, each with memory of its own. bfloat16, which NumPy does not have, comes as float32, exactly.
        document: the JSON that this package put there, or None in a file from elsewhere.
        metadata: the other entries of the header's metadata, text by name.
    """

    arrays: dict[str, Array]
    document: dict[str, Any] | None
    metadata: dict[str, str]


def _library(purpose: str) -> Any:
    return need("safetensors", extra="files", purpose=purpose)


def packed(arrays: Mapping[str, Array], document: Mapping[str, Any]) -> bytearray:
    """The bytes of a safetensors file: the same for the same content.

    Args:
        arrays: by name; of any layout in memory, 0-d and empty ones too. document: data for JSON.

    Raises:
        DTypeError: an array is of a dtype that the format does not have. MissingExtraError: no safetensors.
    """
    _library("write safetensors files")
    numpy_face = need("safetensors.numpy", extra="files", purpose="write safetensors files")
    flat = {}
    for name, array in arrays.items():
        if array.dtype.newbyteorder("=") not in _DTYPES.values():
            raise DTypeError(f"{name!r} is {array.dtype}, which safetensors cannot hold; say .astype('float32')")
        flat[name] = np.asarray(array, order="C")
    text = to_json({"sha256": "0" * _DIGITS, "format": FORMAT, **document})
    data = bytearray(numpy_face.save(flat, metadata={_KEY: text}))
    place = _seal_of(data)
    assert place is not None
    data[place : place + _DIGITS] = hashlib.sha256(data).hexdigest().encode()
    return data


def _seal_of(data: bytes | bytearray) -> int | None:
    """Where the digits of the checksum begin."""
    found = data.find(_SEAL, 8, 8 + int.from_bytes(data[:8], "little"))
    return None if found < 0 else found + len(_SEAL)


def unpacked(data: bytes, source: str) -> Content:
    """The content of a safetensors file, checked.

    Args:
        data: the bytes of the file. source: its name, for errors.

    Raises:
        FileFormatError: not a safetensors file, or one with a dtype that NumPy does not have. DamagedFileError: the
            checksum does not fit. MissingExtraError: no safetensors.
    """
    library = _library("read safetensors files")
    try:
        tensors = library.deserialize(data)
    except library.SafetensorError as error:
        raise DamagedFileError(
            f"{source} is not a safetensors file, or a damaged one ({error}); {len(data)} bytes were read"
        ) from None
    header = from_json(data[8 : 8 + int.from_bytes(data[:8], "little")], f"the header of {source}")
    metadata: dict[str, str] = dict(header.get("__metadata__") or {})
    text = metadata.pop(_KEY, None)
    document = None
    if text is not None or _seal_of(data) is not None:
        _check_seal(data, source)
        if text is None:
            raise DamagedFileError(f"{source} has lost its document; take another copy")
        document = from_json(text, f"the document in {source}")
        if not isinstance(document, dict):
            raise FileFormatError(f"the document in {source} is not a JSON object")
        del document["sha256"]
        if document.get("format", FORMAT) != FORMAT:
            raise FileFormatError(
                f"{source} is of format {document['format']!r:.20}, and this version reads format {FORMAT}; it was "
                "written by a later version of tinygrad-mlp, which reads it"
            )
    arrays = {name: _as_array(name, tensor, source) for name, tensor in tensors}
    return Content({name: arrays[name] for name in header if name in arrays}, document, metadata)


def _check_seal(data: bytes, source: str) -> None:
    place = _seal_of(data)
    if place is None:
        raise DamagedFileError(f"{source} has lost its checksum; take another copy")
    digest = hashlib.sha256(memoryview(data)[:place])
    digest.update(b"0" * _DIGITS)
    digest.update(memoryview(data)[place + _DIGITS :])
    if digest.hexdigest().encode() != data[place : place + _DIGITS]:
        raise DamagedFileError(
            f"{source} is damaged: its SHA-256 is not the one it was written with; take another copy"
        )


def _as_array(name: str, tensor: Mapping[str, Any], source: str) -> Array:
    kind = tensor["dtype"]
    if kind == "BF16":
        # The upper half of a float32; the lower half is zeros.
        wide = np.frombuffer(tensor["data"], "<u2").astype(np.uint32) << np.uint32(16)
        return wide.view(np.float32).reshape(tensor["shape"])
    if kind not in _DTYPES:
        raise FileFormatError(f"{source}: {name!r} is of dtype {kind}, which NumPy does not have; save it as F32")
    wanted = _DTYPES[kind]
    made: Array
    if kind == "BOOL":  # a byte that is neither 0 nor 1 is true
        made = np.frombuffer(tensor["data"], np.uint8) != 0
        return made.reshape(tensor["shape"])
    made = np.frombuffer(tensor["data"], wanted.newbyteorder("<")).reshape(tensor["shape"])
    # "<f4" is float32, but is not called so; a copy only where the library gave memory that cannot be written.
    made = made.view(wanted) if made.dtype.isnative else made.astype(wanted)
    return made if made.flags.writeable else made.copy()


def write_tensors(
    path: str | os.PathLike[str], arrays: Mapping[str, Array], document: Mapping[str, Any], *, files: Files = DISK
) -> None:
    """Write a sealed safetensors file, whole or not at all: :func:`packed` and :func:`tinygrad_mlp.io.atomic.write`."""
    write(path, packed(arrays, document), files=files)


def read(path: str | os.PathLike[str]) -> Content:
    """Read and check a safetensors file; errors as of :func:`unpacked`, and FileNotFoundError."""
    return unpacked(Path(path).read_bytes(), str(path))
