"""What each part of a training run remembers between two steps, as plain data and arrays, and how to give it back."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..errors import FileFormatError, StateError
from ..nn.module import Module
from .history import History

__all__ = ["environment", "restore", "restore_module", "state_of", "state_of_module"]

State = dict[str, Any]


def state_of(part: Any) -> Any:
    """The state of one part of a run.

    Args:
        part: a Module, a random generator, a History; or anything with ``state_dict()`` and ``load_state_dict()``:
            optimizers, schedules, DataLoaders, metrics, callbacks.

    Raises:
        StateError: it is none of these.
    """
    if isinstance(part, Module):
        return {"weights": {name: one.data for name, one in part.named_state().items()}, **state_of_module(part)}
    if isinstance(part, np.random.Generator):
        return part.bit_generator.state
    if isinstance(part, History):
        return dict(vars(part))
    if callable(getattr(part, "state_dict", None)) and callable(getattr(part, "load_state_dict", None)):
        return part.state_dict()
    raise StateError(
        f"{type(part).__name__} cannot be part of a checkpoint: it has no state_dict() and load_state_dict(state)"
    )


def restore(part: Any, state: Any, where: str) -> None:
    """Give a part the state that :func:`state_of` took.

    Raises:
        StateError: it does not fit. ``where`` names the part.
    """
    try:
        if isinstance(part, Module):
            part.load_state_dict(state["weights"])
            restore_module(part, state)
        elif isinstance(part, np.random.Generator):
            part.bit_generator.state = state
        elif isinstance(part, History):
            # The object's own names are gone through, never those of the file.
            for name in vars(part):
                setattr(part, name, state[name])
        else:
            part.load_state_dict(state)
    except (StateError, FileFormatError):
        raise
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise StateError(f"{where}: the saved state does not fit {type(part).__name__}: {error!r}") from error


def state_of_module(model: Module) -> State:
    """What a module remembers beside its weights: passing buffers, random generators, what is frozen.

    A module that remembers more says so as in torch, with ``get_extra_state()`` and ``set_extra_state(state)``.
    """
    return {
        "buffers": {name: one.data for name, one in _passing_buffers(model)},
        "generators": {name: one.bit_generator.state for name, one in _generators(model)},
        "frozen": [name for name, one in model.named_parameters() if not one.requires_grad],
        "extra": {name: one.get_extra_state() for name, one in _with_extra(model)},
    }


def restore_module(model: Module, state: Mapping[str, Any]) -> None:
    """Give a module what :func:`state_of_module` took.

    Raises:
        StateError: it has other buffers or generators.
    """
    for what, ours in (
        ("buffers", dict(_passing_buffers(model))),
        ("generators", dict(_generators(model))),
        ("extra", dict(_with_extra(model))),
    ):
        if ours.keys() != state[what].keys():
            raise StateError(
                f"{type(model).__name__} has {what} {sorted(ours)}, but those of {sorted(state[what])} were saved; "
                "make the model as it was made for the run that saved them"
            )
    for name, buffer in _passing_buffers(model):
        saved = state["buffers"][name]
        if saved.shape != buffer.shape or saved.dtype != buffer.dtype:
            raise StateError(f"buffer {name!r} is {buffer.shape} {buffer.dtype}, saved was {saved.shape} {saved.dtype}")
        np.copyto(buffer.data, saved)
    for name, generator in _generators(model):
        restore(generator, state["generators"][name], f"generator {name!r}")
    for name, module in _with_extra(model):
        module.set_extra_state(state["extra"][name])
    frozen = set(state["frozen"])
    for name, parameter in model.named_parameters():
        if parameter.requires_grad is (name in frozen):
            parameter.requires_grad = name not in frozen


def _passing_buffers(model: Module) -> Iterator[tuple[str, Any]]:
    for path, module in model.named_modules():
        for name in sorted(module._transient):
            if module._buffers.get(name) is not None:
                yield f"{path}.{name}" if path else name, module._buffers[name]


def _generators(model: Module) -> Iterator[tuple[str, np.random.Generator]]:
    for path, module in model.named_modules():
        for name, value in vars(module).items():
            if isinstance(value, np.random.Generator):
                yield f"{path}.{name}" if path else name, value


def _with_extra(model: Module) -> Iterator[tuple[str, Any]]:
    return ((path, one) for path, one in model.named_modules() if hasattr(one, "get_extra_state"))


def environment() -> State:
    """What the last bits of a result can depend on, beside the numbers: versions, machine, threads."""
    try:
        version = importlib.metadata.version("tinygrad-mlp")
    except importlib.metadata.PackageNotFoundError:
        version = "unknown"
    limits = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return {
        "tinygrad_mlp": version,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "processors": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        **{name: os.environ.get(name) for name in limits},
    }
