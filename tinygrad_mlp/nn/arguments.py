"""The arguments a module was made with, as data: what a saved model is made again from.

They are noted once, when the module is made, and cost nothing when it is called. What can stand in a file is kept:
numbers, text, dtypes, small arrays, classes, and layers; of anything else only its type, to be named in an error.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ..errors import ArgumentError, StateError
from ..tape import wrap
from ..tensor import Tensor

__all__ = ["NotData", "bound", "make", "noted"]

# An array that was given to a constructor may be the weights; they are saved elsewhere, and not to be kept alive here.
_LARGEST = 1 << 16
_PLAIN = (type(None), bool, int, float, str, np.number, np.bool_, np.dtype, type)


class NotData(NamedTuple):
    """Stands for an argument that was not kept."""

    what: str


def noted(value: Any, layer: type) -> Any:
    """``value`` as far as it can stand in a file; ``layer`` is the class of modules, which are kept as they are."""
    if isinstance(value, (*_PLAIN, layer)):
        return value
    if isinstance(value, (list, tuple)):
        return type(value)(noted(one, layer) for one in value) if type(value) in {list, tuple} else _named(value)
    if type(value) is dict:
        return {key: noted(one, layer) for key, one in value.items()}
    if isinstance(value, (Tensor, np.ndarray)) and value.size <= _LARGEST:
        # Not the tensor itself: it would keep the graph that computed it.
        return wrap(Tensor, value.data) if isinstance(value, Tensor) else value
    return _named(value)


def _named(value: Any) -> NotData:
    if isinstance(value, (Tensor, np.ndarray)):
        return NotData(f"{type(value).__name__} of {value.size} elements")
    return NotData(type(value).__name__)


def bound(cls: type, args: tuple[Any, ...], options: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments by the names of the constructor's parameters; ``*args`` and ``**options`` under theirs.

    Random generators are left out: they are state, not configuration.

    Raises:
        StateError: one of them is not data.
    """
    found: dict[str, Any] = {}
    for name, value in _signature(cls).bind(*args, **options).arguments.items():
        if isinstance(value, NotData) and value.what == np.random.Generator.__name__:
            continue
        if _has_not_data(value):
            raise StateError(
                f"{cls.__name__} was made with {name}= {value!r:.80}, which is not data and cannot be saved; give "
                f"{cls.__name__} a method config() that returns its arguments as data, or save the weights alone"
            )
        found[name] = value
    return found


def _signature(cls: type) -> inspect.Signature:
    own = inspect.signature(cls.__init__)  # type: ignore[misc]
    return own.replace(parameters=list(own.parameters.values())[1:])


def _has_not_data(value: Any) -> bool:
    if isinstance(value, NotData):
        return True
    parts = value if isinstance(value, (list, tuple)) else value.values() if isinstance(value, dict) else ()
    return any(map(_has_not_data, parts))


def make(cls: type, config: Mapping[str, Any]) -> Any:
    """Call ``cls`` with the arguments that :func:`bound` gave.

    Raises:
        ArgumentError: the class has no such parameters.
    """
    signature = _signature(cls)
    unknown = sorted(set(config) - set(signature.parameters))
    if unknown:
        raise ArgumentError(f"{cls.__name__} has no arguments {unknown}; valid: {sorted(signature.parameters)}")
    given = inspect.BoundArguments(signature, {name: config[name] for name in signature.parameters if name in config})
    if any(one.kind is one.VAR_POSITIONAL and config.get(name) for name, one in signature.parameters.items()):
        # What comes before *args has to be given by position.
        given.apply_defaults()
    return cls(*given.args, **given.kwargs)
