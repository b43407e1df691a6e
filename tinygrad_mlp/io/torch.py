"""State dicts of PyTorch, read and written without PyTorch and without running what a file says.

A ``.pt`` file is a zip of raw storages and a pickle that says which tensor lies where in them. The pickle is read by
:mod:`tinygrad_mlp.io.opcodes`, which knows the forms that ``torch.save`` writes for tensors and refuses anything else.
The reasons are CVE-2025-32434 and CVE-2026-24747: ``torch.load(weights_only=True)`` ran code that a file named.
"""

from __future__ import annotations

import math
import os
import struct
import zipfile
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import DTypeError, FileFormatError, UnsafeFileError
from ..nn.module import Module
from ..tape import Array
from ..tensor import Tensor
from .archives import Archive
from .atomic import DISK, Files, write
from .opcodes import brief, read_opcodes

__all__ = ["load_state_dict", "read", "save_state_dict"]

_STORAGES = {
    "BoolStorage": "bool",
    "ByteStorage": "uint8",
    "CharStorage": "int8",
    "ComplexDoubleStorage": "complex128",
    "ComplexFloatStorage": "complex64",
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "IntStorage": "int32",
    "LongStorage": "int64",
    "ShortStorage": "int16",
}
_TYPES = {"float": "float32", "double": "float64", "half": "float16", "int": "int32", "long": "int64",
          "short": "int16", "uint8": "uint8", "int8": "int8", "uint16": "uint16", "uint32": "uint32",
          "uint64": "uint64", "bool": "bool"}  # fmt: skip
# NumPy has no bfloat16: the two bytes are the upper half of a float32.
_BFLOAT16 = "bfloat16"


class _Named(NamedTuple):
    """A class of storage or a dtype that the file names."""

    dtype: str


_NAMES: dict[str, Any] = {
    **{f"torch.{storage}": _Named(dtype) for storage, dtype in _STORAGES.items()},
    **{f"torch.{name}": _Named(dtype) for name, dtype in _TYPES.items()},
    **{f"torch.{dtype}": _Named(dtype) for dtype in _STORAGES.values()},
    "torch.BFloat16Storage": _Named(_BFLOAT16),
    "torch.bfloat16": _Named(_BFLOAT16),
    "torch.storage.UntypedStorage": _Named("uint8"),
}


class _Storage(NamedTuple):
    key: str
    data: bytearray
    dtype: str


def read(path: str | os.PathLike[str]) -> Any:
    """What ``torch.save`` wrote, with an array for every tensor: a state dict, or dictionaries and lists of them.

    Args:
        path: a ``.pt`` or ``.pth`` file of torch 1.6 or later.

    Returns:
        Dictionaries, lists, tuples, numbers, text, and arrays. Tensors that share a storage share its memory here too;
        strides are kept. bfloat16 comes as float32, exactly. Names of a state dict are torch's, and this package's.

    Raises:
        UnsafeFileError: the file names or calls anything but tensors, or claims memory that it does not hold.
        FileFormatError, DamagedFileError: not such a file, or a damaged one. FileNotFoundError: no file.
    """
    return _unpacked(Path(path).read_bytes(), str(path))


def load_state_dict(
    model: Module,
    path: str | os.PathLike[str],
    *,
    names: Mapping[str, str] | Callable[[str], str] | None = None,
    strict: bool = True,
) -> Any:
    """Overwrite the parameters and buffers of ``model`` with a state dict that torch saved: all or none.

    Args:
        model: a Module whose names and shapes are torch's, as those of this package are.
        path: see :func:`read`. strict: as in :meth:`~tinygrad_mlp.nn.Module.load_state_dict`.
        names: for a model with other names: a dictionary from the file's names to the model's, or a function.
            ``num_batches_tracked`` and the like are left out by mapping them to ``""``.

    Returns:
        The names passed over.

    Raises:
        StateError: it does not fit, and the model is unchanged. Otherwise as :func:`read`.
    """
    state = read(path)
    if not isinstance(state, dict) or not all(isinstance(one, np.ndarray) for one in state.values()):
        kinds = ", ".join(map(str, state)) if isinstance(state, dict) else type(state).__name__
        raise FileFormatError(
            f"{path} is not a state dict but holds {kinds:.80}; pick it out: "
            "model.load_state_dict(io.torch.read(path)['model'])"
        )
    return model.load_state_dict(_renamed(state, names), strict)


def _renamed(state: Mapping[str, Any], names: Mapping[str, str] | Callable[[str], str] | None) -> dict[str, Any]:
    if names is None:
        return dict(state)
    new = {name: names.get(name, name) if isinstance(names, Mapping) else names(name) for name in state}
    return {new[name]: value for name, value in state.items() if new[name]}


def _unpacked(data: bytes, source: str) -> Any:
    if data[:4] != b"PK\x03\x04":
        raise FileFormatError(
            f"{source} is not a zip file as torch.save writes it since version 1.6; load it in torch and save it anew: "
            "torch.save(model.state_dict(), path)"
        )
    archive = Archive(data, source, stored=True)
    pickles = [name for name in archive.names if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise FileFormatError(f"{source} is a zip file, but not of torch.save: it has {len(pickles)} members data.pkl")
    prefix = pickles[0].removesuffix("data.pkl")
    if f"{prefix}constants.pkl" in archive.names:
        raise UnsafeFileError(f"{source} is a TorchScript program, not a state dict; save model.state_dict()")
    order = archive.read(f"{prefix}byteorder") if f"{prefix}byteorder" in archive.names else b"little"
    if order != b"little":
        raise FileFormatError(f"{source} was written on a big-endian machine ({order!r:.20})")
    storages: dict[str, _Storage] = {}

    def stored(persistent: Any) -> _Storage:
        kind, named, key, _, count = persistent
        if kind != "storage" or not isinstance(named, _Named) or not isinstance(key, str):
            raise UnsafeFileError(f"{source} refers to {brief(persistent)}, which is not a storage of numbers")
        if key not in storages:
            storages[key] = _Storage(key, bytearray(archive.read(f"{prefix}data/{key}")), named.dtype)
        held = storages[key]
        if type(count) is not int or held.dtype != named.dtype or count * _itemsize(held.dtype) != len(held.data):
            raise UnsafeFileError(
                f"{source}: storage {brief(key)} is to hold {brief(count)} numbers of {named.dtype}, but has "
                f"{len(held.data)} bytes"
            )
        return held

    def tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> Array:
        return _viewed(storage, storage.dtype, offset, shape, strides, source)

    def typed_tensor(storage: Any, offset: Any, shape: Any, strides: Any, _grad: Any, _hooks: Any, dtype: Any) -> Array:
        return _viewed(storage, dtype.dtype, offset, shape, strides, source)

    forms: dict[str, Any] = {
        "collections.OrderedDict": _empty,
        "torch._utils._rebuild_tensor": tensor,
        "torch._utils._rebuild_tensor_v2": tensor,
        "torch._utils._rebuild_tensor_v3": typed_tensor,
        "torch._utils._rebuild_parameter": lambda data, _grad, _hooks: _checked(data),
        "torch.Size": tuple,
    }
    return read_opcodes(archive.read(pickles[0]), source, forms, _NAMES, stored)


def _empty() -> dict[Any, Any]:
    return {}


def _checked(value: Any) -> Array:
    if not isinstance(value, np.ndarray):
        raise TypeError("a parameter is made of a tensor")
    return value


def _itemsize(dtype: str) -> int:
    return 2 if dtype == _BFLOAT16 else np.dtype(dtype).itemsize


def _viewed(storage: Any, dtype: str, offset: Any, shape: Any, strides: Any, source: str) -> Array:
    """A view of the storage; every element it reaches lies within."""
    sizes = (*shape, *strides, offset)
    if not isinstance(storage, _Storage) or len(shape) != len(strides) or len(shape) > 32:
        raise FileFormatError(f"{source}: a tensor of shape {brief(shape)} and strides {brief(strides)}")
    if any(type(one) is not int or one < 0 for one in sizes):
        raise UnsafeFileError(
            f"{source}: a tensor of shape {brief(shape)}, strides {brief(strides)}, offset {brief(offset)}"
        )
    itemsize = _itemsize(dtype)
    held = len(storage.data) // itemsize
    count = math.prod(shape)
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True)) if count else offset
    if last >= held + (count == 0) or count > held:
        raise UnsafeFileError(
            f"{source}: a tensor of shape {brief(shape)} reaches element {last} of a storage that has {held}; "
            "save it as tensor.clone()"
        )
    if dtype == _BFLOAT16:
        whole: Array = (np.frombuffer(storage.data, "<u2").astype(np.uint32) << np.uint32(16)).view(np.float32)
        itemsize = 4
    elif dtype == "bool":  # a byte that is neither 0 nor 1 is true
        whole = np.frombuffer(storage.data, np.uint8) != 0
    else:
        wanted = np.dtype(dtype)
        whole = np.frombuffer(storage.data, wanted.newbyteorder("<"), held)
        whole = whole.view(wanted) if whole.dtype.isnative else whole.astype(wanted)
    if not count:
        return np.zeros(shape, whole.dtype)
    return np.lib.stride_tricks.as_strided(whole[offset:], shape, [one * itemsize for one in strides])


# --- writing ---


def save_state_dict(state: Module | Mapping[str, Any], path: str | os.PathLike[str], *, files: Files = DISK) -> None:
    """Write a state dict that torch reads: ``torch.load(path, weights_only=True)``.

    Args:
        state: a Module, or tensors and arrays by name. What shares memory (tied parameters) shares a storage there,
            and layouts in memory are kept as strides. path: where. files: what is done on the disk, for tests.

    Raises:
        DTypeError: a dtype that torch does not have. OSError: writing failed; what was there is untouched.
    """
    named = state.named_state() if isinstance(state, Module) else state
    arrays = {name: np.asarray(one.data if isinstance(one, Tensor) else one) for name, one in named.items()}
    write(path, _packed(arrays), files=files)


def _packed(arrays: Mapping[str, Array]) -> bytes:
    kinds = {dtype: name for name, dtype in _STORAGES.items()}
    storages: dict[tuple[int, int, str], tuple[str, Array]] = {}
    program = bytearray(b"\x80\x02}(" if arrays else b"\x80\x02}")
    for name, array in arrays.items():
        dtype = array.dtype.newbyteorder("=").name
        if dtype not in kinds:
            raise DTypeError(f"{name!r} is {array.dtype}, which torch cannot hold here; say .astype('float32')")
        dense = array if array.flags.forc else np.ascontiguousarray(array)
        flat = dense.ravel("K")
        # Tied parameters are one piece of memory, and become one storage.
        key, _ = storages.setdefault((flat.ctypes.data, flat.nbytes, dtype), (str(len(storages)), flat))
        strides = [step // dense.itemsize for step in dense.strides]
        program += _text(name) + b"ctorch._utils\n_rebuild_tensor_v2\n(("
        program += _text("storage") + f"ctorch\n{kinds[dtype]}\n".encode() + _text(key) + _text("cpu")
        program += _int(flat.size) + b"tQK\x00" + _ints(dense.shape) + _ints(strides)
        program += b"\x89ccollections\nOrderedDict\n)RtR"
    program += b"u." if arrays else b"."
    return _zipped(
        {
            "data.pkl": bytes(program),
            "byteorder": b"little",
            **{f"data/{key}": flat.astype(flat.dtype.newbyteorder("<")).tobytes() for key, flat in storages.values()},
            "version": b"3\n",
        }
    )


def _zipped(members: Mapping[str, bytes]) -> bytes:
    target = BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            # ZipInfo's fixed time, so that the same weights give the same bytes.
            archive.writestr(zipfile.ZipInfo(f"archive/{name}"), content)
    return target.getvalue()


def _text(value: str) -> bytes:
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def _int(value: int) -> bytes:
    if 0 <= value < 256:
        return b"K" + bytes([value])
    if -(1 << 31) <= value < 1 << 31:
        return b"J" + struct.pack("<i", value)
    return b"\x8a\x08" + struct.pack("<q", value)


def _ints(values: Any) -> bytes:
    return b"(" + b"".join(map(_int, values)) + b"t"
