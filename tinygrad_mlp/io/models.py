"""Whole models as one file: weights, and how to make the modules that hold them.

The file says of each module its class and the arguments it was made with, and which modules it holds; not how it
computes. Classes are looked up by name among those of :mod:`tinygrad_mlp.nn` and those that the caller passes. Nothing
else is called, and nothing is imported: a file cannot make this package do what its reader did not offer.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from .. import nn
from ..errors import ArgumentError, FileFormatError, StateError, TinygradMlpError, UnsafeFileError, did_you_mean
from ..nn.module import Module, convert, parameters_limited
from ..tape import Array
from .atomic import DISK, Files
from .plain import decoded, encoded
from .tensors import Content, read, write_tensors
from .weights import named_weights, stored

__all__ = ["described", "load_model", "model_in", "registry", "save_model"]

CustomObjects = Mapping[str, type] | Iterable[type] | None

# Sizes and counts up to this are let through whatever the size of the file.
_SMALL = 1 << 10


def registry() -> dict[str, type[Module]]:
    """The layers of this package by name: the classes that a file may name."""
    found = {name: getattr(nn, name) for name in nn.__all__}
    return {name: one for name, one in found.items() if isinstance(one, type) and issubclass(one, Module)}


def _custom(given: CustomObjects) -> dict[str, type]:
    named = dict(given) if isinstance(given, Mapping) else {one.__name__: one for one in given or ()}
    for name, one in named.items():
        if not isinstance(one, type):
            raise ArgumentError(f"custom_objects are classes by name, got {name!r}: {one!r}; say [MyModel]")
    return named


# --- writing ---


def save_model(model: Module, path: str | os.PathLike[str], *, files: Files = DISK) -> None:
    """Write a model: its weights as :func:`~tinygrad_mlp.io.save_weights` does, and how to make it again.

    Stored are the classes of all modules, their arguments (:meth:`~tinygrad_mlp.nn.Module.config`), layers added or
    replaced later, ties, dtypes, which parameters are frozen and which modules are in evaluation mode. The model is
    made again from this once, before anything is written: what is saved can be loaded.

    Args:
        model: any Module. path: where; a file that is there is replaced. files: what is done on the disk, for tests.

    Raises:
        StateError: a module was made with what is not data, or differs from what its arguments make. OSError: writing
            failed; what was there is untouched. MissingExtraError: safetensors is not installed.
    """
    arrays, document = described(model)
    write_tensors(path, arrays, {"kind": "model", **document}, files=files)


def described(model: Module) -> tuple[dict[str, Array], dict[str, Any]]:
    """The arrays of a model and its document: the weights, and under ``"model"`` how it is made.

    Raises:
        StateError: it cannot be made again.
    """
    arrays, about = stored(model)
    table, more = _table(model)
    frozen = [name for name, one in model.named_parameters() if not one.requires_grad]
    document = {**about, "model": {"modules": table, "frozen": frozen}}
    again = _made(document, more, _classes_in(model), room=None, source=type(model).__name__)
    ours, theirs = _shapes(model), _shapes(again)
    if ours != theirs:
        names = sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))
        raise StateError(
            f"{type(model).__name__} made again from its arguments has other parameters: {', '.join(names[:5])}; give "
            "the class that holds them a method config() that returns the arguments they follow from, or save the "
            "weights alone: io.save_weights(model, path)"
        )
    return {**arrays, **more}, document


def _shapes(model: Module) -> dict[str, tuple[int, ...]]:
    return {name: tensor.shape for name, tensor in model.named_state().items()}


def _classes_in(model: Module) -> dict[str, type]:
    """The classes of the users' own that the model is made of, by name.

    Raises:
        StateError: two of one name.
    """
    found: dict[str, type] = {}
    for module in model.modules():
        todo: list[Any] = [type(module), *module.config().values()]
        while todo:
            one = todo.pop()
            if isinstance(one, type) and "custom" in _class_name(one):
                if found.setdefault(one.__name__, one) is not one:
                    raise StateError(f"two classes of this model are called {one.__name__}; give one another name")
            elif isinstance(one, (list, tuple)):
                todo += one
            elif isinstance(one, dict):
                todo += one.values()
    return found


def _table(model: Module) -> tuple[list[dict[str, Any]], dict[str, Array]]:
    """One entry per module, the model itself first; modules name each other by their places in the table."""
    modules = list(model.named_modules())
    places = {module: place for place, (_, module) in enumerate(modules)}
    more: dict[str, Array] = {}
    table = []
    for place, (path, module) in enumerate(modules):
        where = path or type(module).__name__
        entry = {
            **_class_name(type(module)),
            "arguments": _arguments(module, place, places, more, where),
            "children": {name: places[child] for name, child in module._modules.items() if child is not None},
        }
        table.append(entry if module.training else {**entry, "eval": True})
    return table, more


def _class_name(cls: type) -> dict[str, Any]:
    ours = registry().get(cls.__name__) is cls
    return {"class": cls.__name__} if ours else {"class": cls.__name__, "custom": True}


def _arguments(module: Module, place: int, places: Mapping[Module, int], more: dict[str, Array], where: str) -> Any:
    def keep(array: Array) -> str:
        name = f"arguments/{place}/{len(more)}"
        more[name] = array
        return name

    def other(value: Any) -> Any:
        if isinstance(value, Module):
            if value not in places:
                raise StateError(
                    f"{where} was made with a {type(value).__name__} that is not part of the model any more; give "
                    f"{type(module).__name__} a method config(), or save the weights alone"
                )
            return {"$module": places[value]}
        return {"$class": _class_name(value)} if isinstance(value, type) else None

    return encoded(_current(module), keep, f"the configuration of {where}", other)


def _current(module: Module) -> dict[str, Any]:
    """The arguments, with those replaced that the module holds under their own names and that were changed since."""
    config = module.config()
    for name, given in config.items():
        now = vars(module).get(name, given)
        kinds = (bool, int, float, str)
        if type(given) in kinds and type(now) in kinds and now != given and not isinstance(now, bool):
            config[name] = now
    return config


# --- reading ---


def load_model(path: str | os.PathLike[str], *, custom_objects: CustomObjects = None) -> Any:
    """Make the model that a file describes, with the weights it holds.

    Args:
        path: a file of :func:`save_model`, or a checkpoint of a model that can be saved so.
        custom_objects: classes of your own that the model is made of, in a list or by name.

    Returns:
        The model; without anything of an optimizer.

    Raises:
        UnsafeFileError: the file names a class that is neither of this package nor passed, or describes a model that
            is larger than the file. FileFormatError: not a file with a model. DamagedFileError: not what was written.
        StateError: the weights do not fit the model. FileNotFoundError: no file. MissingExtraError: no safetensors.
    """
    content = read(path)
    return model_in(content, str(path), custom_objects)


def model_in(content: Content, source: str, custom_objects: CustomObjects = None) -> Any:
    """The model in the content of a file; arguments and errors as of :func:`load_model`."""
    document = content.document
    if document is None or document.get("model") is None:
        raise FileFormatError(
            f"{source} holds weights without a model; make the model, then io.load_weights(model, {source!r})"
        )
    state = named_weights(content, source)
    model = _made(document, content.arrays, _custom(custom_objects), room=content.arrays, source=source)
    _same_dtypes(model, state)
    model.load_state_dict(state)
    return model


def _made(
    document: Mapping[str, Any],
    arrays: Mapping[str, Array],
    custom: Mapping[str, type],
    *,
    room: Mapping[str, Array] | None,
    source: str,
) -> Module:
    """The model of a document.

    Args:
        room: the arrays of the file, which the parameters may be twice as large as; None for no limit.
    """
    try:
        described = document["model"]
        builder = _Builder(described["modules"], arrays, custom, room, source)
        if room is None:
            model = builder.model()
        else:
            # A tied parameter exists twice until it is tied, and float16 weights may be made as float64.
            with parameters_limited(8 * sum(one.nbytes for one in room.values()) + 8 * _SMALL):
                model = builder.model()
        for name, first in document["ties"].items():
            _tie(model, name, first)
        named = dict(model.named_parameters())
        for name in described["frozen"]:
            named[name].requires_grad = False
    except FileFormatError:
        raise
    except TinygradMlpError as error:
        raise UnsafeFileError(f"{source} describes a model that cannot be made: {error}") from error
    except MemoryError:
        raise UnsafeFileError(f"{source} describes a model larger than this machine's memory") from None
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        raise FileFormatError(f"{source} does not describe a model: {type(error).__name__}: {error}") from error
    return model


class _Builder:
    """Makes modules from a table of them, each once, without recursion."""

    def __init__(
        self,
        table: list[dict[str, Any]],
        arrays: Mapping[str, Array],
        custom: Mapping[str, type],
        room: Mapping[str, Array] | None,
        source: str,
    ) -> None:
        self._table = table
        self._arrays = arrays
        self._custom = custom
        self._largest = None if room is None else max(_SMALL, sum(one.size for one in room.values()))
        self._source = source
        self._done: dict[int, Module] = {}

    def model(self) -> Module:
        """The module of the first entry."""
        root = self._make(0)
        queue = [0]
        for place in queue:
            module, children = self._done[place], self._table[place]["children"]
            for name in [name for name in module._modules if name not in children]:
                delattr(module, name)
            for name, child in children.items():
                have = module._modules.get(name)
                if child not in self._done:
                    fits = have is not None and have not in self._done.values() and self._fits(have, child)
                    if fits:
                        self._done[child] = have  # type: ignore[assignment]
                    else:
                        self._make(child)
                if have is not self._done[child]:
                    _attach(module, name, self._done[child])
                if child not in queue:
                    queue.append(child)
            in_order = {name: module._modules[name] for name in children}
            module._modules.clear()
            module._modules.update(in_order)
            if self._table[place].get("eval"):
                module.__dict__["training"] = False
        return root

    def _make(self, wanted: int) -> Module:
        """Make one module; the modules among its arguments first."""
        waiting = [wanted]
        while waiting:
            place = waiting[-1]
            missing = [one for one in _needed(self._table[place]["arguments"]) if one not in self._done]
            if any(one in waiting for one in missing):
                raise FileFormatError(f"{self._source}: modules are made of each other in a circle")
            if missing:
                waiting += missing
                continue
            entry = self._table[place]
            arguments = decoded(entry["arguments"], self._arrays, self._other)
            if self._largest is not None:
                _check_sizes(arguments, self._largest, f"{self._source}: {entry['class']}")
            self._done[place] = self._class(entry).from_config(arguments)
            waiting.pop()
        return self._done[wanted]

    def _fits(self, module: Module, place: int) -> bool:
        """Whether what a constructor has made is what the table says."""
        entry = self._table[place]
        if type(module) is not self._class(entry) or any(True for _ in _needed(entry["arguments"])):
            return False
        return bool(_arguments_alike(module.config(), decoded(entry["arguments"], self._arrays, self._other)))

    def _class(self, entry: Mapping[str, Any]) -> Any:
        name = entry["class"]
        ours = registry()
        if entry.get("custom"):
            if name not in self._custom:
                raise UnsafeFileError(
                    f"{self._source} asks for the class {name!r:.60}, which is not of this package; if you have it, "
                    f"say load_model(path, custom_objects=[{name}])"
                )
            return self._custom[name]
        if name not in ours:
            raise UnsafeFileError(f"{self._source}: {did_you_mean('class', name, ours)}")
        return ours[name]

    def _other(self, mark: str, content: Any) -> Any:
        return self._done[content] if mark == "$module" else self._class(content)


def _needed(arguments: Any) -> Iterable[int]:
    """The places of modules among encoded arguments."""
    todo = [arguments]
    while todo:
        one = todo.pop()
        if isinstance(one, list):
            todo += reversed(one)
        elif isinstance(one, dict):
            if "$module" in one:
                yield one["$module"]
            else:
                todo += one.values()


def _arguments_alike(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> bool:
    if ours.keys() != theirs.keys():
        return False
    plain = (type(None), bool, int, float, str, type, np.dtype, tuple)
    return all(isinstance(one, plain) and type(one) is type(theirs[name]) and one == theirs[name]
               for name, one in ours.items())  # fmt: skip


def _check_sizes(arguments: Mapping[str, Any], largest: int, where: str) -> None:
    """Refuse sizes that nothing in the file can account for, before a constructor makes arrays of them."""
    todo = [value for name, value in arguments.items() if name != "seed"]
    while todo:
        one = todo.pop()
        if isinstance(one, (list, tuple)):
            todo += one
        elif isinstance(one, int) and abs(one) > largest:
            raise UnsafeFileError(f"{where} is to be made with {one}, but the whole file holds {largest} numbers")


def _attach(module: Module, name: str, child: Module) -> None:
    if name in module._modules:
        setattr(module, name, child)
    else:
        module.add_module(name, child)


def _tie(model: Module, name: str, first: str) -> None:
    tensor = model.named_state()[first]
    *path, last = name.split(".")
    holder: Any = model
    for part in path:
        holder = holder._modules[part]
    if last not in holder._parameters and last not in holder._buffers:
        raise KeyError(name)
    if vars(holder)[last] is not tensor:
        setattr(holder, last, tensor)


def _same_dtypes(model: Module, state: Mapping[str, Array]) -> None:
    parameters = set(model.parameters())
    for name, tensor in model.named_state().items():
        wanted = state[name].dtype if name in state else tensor.dtype
        if wanted == tensor.dtype or wanted.kind != "f":
            continue
        if tensor in parameters:
            convert(tensor, wanted)
        elif tensor.dtype.kind == "f":
            tensor.data = tensor.data.astype(wanted)
