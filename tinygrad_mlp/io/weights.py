"""Weights of a module as a safetensors file, and back."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ..errors import FileFormatError
from ..nn import IncompatibleKeys, Module
from ..tape import Array
from .atomic import DISK, Files
from .tensors import Content, read, write_tensors

__all__ = ["load_weights", "named_weights", "save_weights", "stored", "tied_names"]


def tied_names(model: Module) -> dict[str, str]:
    """Further names of parameters and buffers that have several, each with the first."""
    first: dict[int, str] = {}
    return {
        name: first[id(tensor)]
        for name, tensor in model.named_state().items()
        if first.setdefault(id(tensor), name) != name
    }


def stored(model: Module) -> tuple[dict[str, Array], dict[str, Any]]:
    """The arrays of a module, each once, and what a document says of them: their order, and the ties."""
    ties = tied_names(model)
    arrays = {name: tensor.data for name, tensor in model.named_state().items() if name not in ties}
    return arrays, {"weights": list(arrays), "ties": ties}


def save_weights(model: Module, path: str | os.PathLike[str], *, files: Files = DISK) -> None:
    """Write all parameters and persistent buffers as a safetensors file: whole or not at all, durably, sealed.

    Names and shapes are those of ``model.state_dict()``, which are torch's; a tied parameter is stored once. The file
    opens in every reader of safetensors. The same weights give the same bytes.

    Args:
        model: any Module. path: where; a file that is there is replaced. files: what is done on the disk, for tests.

    Raises:
        OSError: writing failed; what was there is untouched. MissingExtraError: safetensors is not installed.

    >>> import tempfile, pathlib
    >>> from tinygrad_mlp import io, nn
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name, "m.safetensors")
    >>> io.save_weights(nn.Linear(2, 1, seed=0), path)
    >>> io.load_weights(nn.Linear(2, 1), path)
    IncompatibleKeys(missing_keys=[], unexpected_keys=[])
    >>> folder.cleanup()
    """
    arrays, about = stored(model)
    write_tensors(path, arrays, {"kind": "weights", **about}, files=files)


def load_weights(model: Module, path: str | os.PathLike[str], strict: bool = True) -> IncompatibleKeys:
    """Overwrite the parameters and buffers of ``model``, in place, with those of a safetensors file: all or none.

    Args:
        model: a Module of the same names and shapes. path: a file of :func:`save_weights`,
            :func:`~tinygrad_mlp.io.save_model`, a checkpoint, or any safetensors file with these names. bfloat16 is
            read as float32.
        strict: False passes over missing and unexpected names.

    Returns:
        The names passed over.

    Raises:
        StateError: it does not fit; the message lists every difference, and the module is unchanged.
        FileFormatError, DamagedFileError: not a safetensors file, or not what was written. FileNotFoundError: no file.
        MissingExtraError: safetensors is not installed.
    """
    return model.load_state_dict(named_weights(read(path), str(path)), strict)


def named_weights(content: Content, source: str) -> dict[str, Array]:
    """The weights in a file under all of their names.

    Raises:
        FileFormatError: the document does not say which arrays they are.
    """
    document: Mapping[str, Any] | None = content.document
    if document is None:
        return content.arrays
    names, ties = document.get("weights"), document.get("ties")
    if not isinstance(names, list) or not isinstance(ties, dict):
        raise FileFormatError(f"{source} does not say which of its arrays are weights; it holds {document.get('kind')}")
    try:
        found = {name: content.arrays[name] for name in names}
        return found | {name: found[first] for name, first in ties.items()}
    except (KeyError, TypeError) as error:
        raise FileFormatError(f"{source} names weights that it does not hold: {error}") from None
