"""Training checkpoints: everything that the next step depends on, in one file.

A checkpoint is a safetensors file like those of :func:`tinygrad_mlp.io.save_model`: the weights stand in it under their
own names, so that ``io.load_weights`` and, where the model can be described, ``io.load_model`` read it too. Beside them
stand arrays named ``training/…``, and a JSON document with what is not an array.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import ArgumentError, FileFormatError, StateError
from ..io.atomic import DISK, Files, write
from ..io.models import described
from ..io.plain import decoded, encoded
from ..io.series import Series
from ..io.tensors import Content, packed, read
from ..io.weights import named_weights, stored
from ..nn.module import Module
from ..tape import Array
from .feeds import Feed
from .run import Run
from .states import environment, restore, restore_module, state_of, state_of_module

__all__ = [
    "Checkpoint",
    "Described",
    "load_checkpoint",
    "pack_run",
    "read_checkpoint",
    "restore_run",
    "save_checkpoint",
]

_KIND = "checkpoint"
_SERIES = "checkpoint"


class Checkpoint:
    """What a file holds of a run, read and checked, not yet given to anything.

    Attributes:
        path: the file. weights: the arrays of the model by name. state: the states of the other parts by name.
    """

    def __init__(self, path: Path, content: Content) -> None:
        document = content.document
        if document is None or document.get("kind") != _KIND:
            raise FileFormatError(
                f"{path} is not a training checkpoint; weights are read with io.load_weights(model, path)"
            )
        self.path = path
        self.weights = named_weights(content, str(path))
        self.state: dict[str, Any] = decoded(document.get("training"), content.arrays)
        if not isinstance(self.state, dict):
            raise FileFormatError(f"{path} is a checkpoint without the state of training")


def read_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a checkpoint, or the newest one in a folder that is whole.

    Raises:
        FileNotFoundError: nothing there. FileFormatError, DamagedFileError: no checkpoint that can be read.

    Warns:
        RuntimeWarning: a newer file in the folder is damaged; it is named, and passed over.
    """
    path = Path(path)
    if not path.is_dir():
        return Checkpoint(path, read(path))
    found = Series(path, _SERIES).newest(lambda one: Checkpoint(one, read(one)))
    if found is None:
        raise FileNotFoundError(f"there is no {_SERIES}-*.safetensors in the folder {path}")
    return found[1]


class Described:
    """The description of a model for its checkpoints, made once: it takes as long as making the model does."""

    def __init__(self) -> None:
        self._known: dict[str, Any] | None = None
        self._more: dict[str, Array] = {}

    def of(self, model: Module) -> tuple[dict[str, Array], dict[str, Any]]:
        """The arrays and the document of a model; without ``"model"`` if it cannot be described."""
        arrays, about = stored(model)
        if self._known is None:
            self._known = {}
            try:
                everything, document = described(model)
            except StateError:
                pass  # a model of functions and files; its weights are saved all the same
            else:
                self._known = {"model": document["model"]}
                self._more = {name: one for name, one in everything.items() if name not in arrays}
        return {**arrays, **self._more}, {**about, **self._known}


def _packed(weights: Mapping[str, Array], about: Mapping[str, Any], state: Mapping[str, Any]) -> bytearray:
    arrays = dict(weights)

    def keep(array: Array) -> str:
        name = f"training/{len(arrays)}"
        arrays[name] = array
        return name

    document = {"kind": _KIND, **about, "training": encoded(state, keep, "the state of training")}
    return packed(arrays, document)


# --- loops written by hand ---


def save_checkpoint(
    path: str | os.PathLike[str], model: Module, *, keep: int = 2, files: Files = DISK, **parts: Any
) -> None:
    """Save a model and whatever else the next step of a loop of your own depends on.

    Args:
        path: a file; or a folder (that exists, or has no suffix) in which numbered checkpoints are kept.
        model: the Module. keep: how many checkpoints stay in a folder. files: what is done on the disk, for tests.
        parts: by name: optimizers, schedules, DataLoaders, generators, other Modules, a History, anything with
            ``state_dict()`` and ``load_state_dict()``; and numbers, text, lists and dictionaries of them.

    Raises:
        StateError: a part that cannot be saved. OSError: writing failed; what was there is untouched.
            MissingExtraError: safetensors is not installed.

    >>> import tempfile
    >>> from tinygrad_mlp import nn, optim, train
    >>> model = nn.Linear(2, 1, seed=0)
    >>> optimizer = optim.Adam(model.parameters())
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     train.save_checkpoint(folder, model, optimizer=optimizer, step=7)
    ...     again = nn.Linear(2, 1)
    ...     train.load_checkpoint(folder, again, optimizer=optim.Adam(again.parameters()))["step"]
    7
    """
    state = {name: _plain_or_state(part) for name, part in parts.items()}
    data = _packed(*Described().of(model), {"parts": state, "model": state_of_module(model)})
    path = Path(path)
    if path.is_dir() or not path.suffix:
        series = Series(path, _SERIES, keep=keep, files=files)
        series.sweep()
        series.write(max(series.numbers(), default=0) + 1, data)
    else:
        write(path, data, files=files)


def _plain_or_state(part: Any) -> Any:
    if part is None or isinstance(part, (bool, int, float, str, list, tuple, dict)):
        return {"plain": part}
    return {"state": state_of(part)}


def load_checkpoint(path: str | os.PathLike[str], model: Module, **parts: Any) -> dict[str, Any]:
    """Give a model and the other parts of a loop the state they had when :func:`save_checkpoint` was called.

    Args:
        path: the file, or the folder, of which the newest readable checkpoint is taken.
        model: a Module of the same shape. parts: the objects that are to get their state, by the names of then.

    Returns:
        The numbers, text, lists and dictionaries that were saved, by name.

    Raises:
        StateError: something does not fit, or a part was not saved. FileNotFoundError, FileFormatError,
            DamagedFileError: no checkpoint there that can be read.
    """
    checkpoint = read_checkpoint(path)
    saved = checkpoint.state.get("parts")
    if not isinstance(saved, dict):
        raise StateError(f"{checkpoint.path} was saved by fit; go on with it: fit(…, resume_from={str(path)!r})")
    held = {name: one["state"] for name, one in saved.items() if "state" in one}
    if held.keys() != parts.keys():
        raise StateError(
            f"{checkpoint.path} holds the states of {sorted(held)}, but {sorted(parts)} are to be loaded; give all of "
            "them by name, as for save_checkpoint"
        )
    model.load_state_dict(checkpoint.weights)
    restore_module(model, checkpoint.state["model"])
    for name, part in parts.items():
        restore(part, held[name], name)
    return {name: one["plain"] for name, one in saved.items() if "plain" in one}


# --- fit ---


def pack_run(run: Run, description: Described) -> bytearray:
    """The bytes of a checkpoint of a run, between two steps."""
    running = int(run.batch > 0)
    state = {
        "epoch": run.epoch,
        "batch": run.batch,
        "reason": run.reason,
        "seed": run.seed,
        "captured": run.captured(),
        "compiled": run.history.compiled,
        "data": _data_of(run),
        "environment": environment(),
        "model": state_of_module(run.model),
        "optimizer": {"class": type(run.optimizer).__name__, "state": state_of(run.optimizer)},
        "losses": [state_of(one) for one in _losses(run)],
        # An epoch that is running has been counted by the loader already.
        "batches": _place(run.feed, running),
        "validation": None if run.validation is None else _place(run.validation, 0),
        "meters": state_of(run.meters) if running else None,
        "history": state_of(run.history),
        "callbacks": [[type(one).__name__, one.state_dict(), one.checkpoint_matters()] for one in run.callbacks],
    }
    return _packed(*description.of(run.model), {"run": state})


def _losses(run: Run) -> list[Module]:
    return [] if run.objective is None else [one for one in run.objective.criteria if isinstance(one, Module)]


def _place(feed: Feed, running: int) -> dict[str, int] | None:
    """Which epoch the loader is in; the batch is the run's."""
    return None if feed.loader is None else {"seed": feed.loader.seed, "epoch": feed.loader.epoch - running}


def _go_to(feed: Feed, place: Any, path: Path) -> None:
    if feed.loader is not None and isinstance(place, dict):
        restore(feed.loader, {**place, "batch": 0}, "batches")
    elif feed.loader is not None or place is not None:
        raise StateError(f"{path} is of a run whose batches came from another kind of data; give the same")


def _data_of(run: Run) -> dict[str, Any]:
    return {name: run.params[name] for name in ("steps", "batch_size", "samples")}


def run_in(checkpoint: Checkpoint) -> dict[str, Any]:
    """The state of a run of ``fit`` in a checkpoint.

    Raises:
        StateError: it is one of a loop written by hand.
    """
    found = checkpoint.state.get("run")
    if not isinstance(found, dict):
        raise StateError(
            f"{checkpoint.path} was saved by save_checkpoint; load it with load_checkpoint, and go on with that loop"
        )
    return found


def seed_in(checkpoint: Checkpoint | None, seed: int | None) -> int | None:
    """The seed that a run goes on with.

    Raises:
        ArgumentError: another one was given.
    """
    if checkpoint is None:
        return seed
    saved = run_in(checkpoint)["seed"]
    if seed is not None and seed != saved:
        raise ArgumentError(
            f"seed={seed}, but the run in {checkpoint.path} was begun with seed={saved}, which its order and its split "
            "of the data follow from; leave seed out"
        )
    return None if saved is None else int(saved)


def restore_run(run: Run, checkpoint: Checkpoint) -> None:
    """Put a run where it was when the checkpoint was taken, but for its callbacks.

    Raises:
        StateError: the run is another one: its data, model or optimizer do not fit.
    """
    saved, path = run_in(checkpoint), checkpoint.path
    if saved["data"] != _data_of(run):
        raise StateError(f"{path} is of a run on other data: {saved['data']} there, {_data_of(run)} here")
    optimizer = type(run.optimizer).__name__
    if saved["optimizer"]["class"] != optimizer:
        raise StateError(f"{path} is of a run with {saved['optimizer']['class']}, but this one is with {optimizer}")
    run.model.load_state_dict(checkpoint.weights)
    restore_module(run.model, saved["model"])
    restore(run.optimizer, saved["optimizer"]["state"], "optimizer")
    losses = _losses(run)
    if len(losses) != len(saved["losses"]):
        raise StateError(f"{path} is of a run with {len(saved['losses'])} losses that are modules, not {len(losses)}")
    for place, one in enumerate(losses):
        restore(one, saved["losses"][place], f"loss {place}")
    _go_to(run.feed, saved["batches"], path)
    if run.feed.loader is None:
        warnings.warn(
            f"{path} cannot say where in its data a generator was: the run goes on with what it yields first; give a "
            "DataLoader for a run that can be resumed",
            RuntimeWarning,
            stacklevel=2,
        )
    if run.validation is not None:
        _go_to(run.validation, saved["validation"], path)
    if run.meters is not None and saved["meters"] is not None:
        restore(run.meters, saved["meters"], "metrics")
    params = run.history.params
    restore(run.history, {**saved["history"], "params": params, "stopped": None}, "history")
    _warn_of_differences(saved["environment"], path)


def restore_callbacks(run: Run, checkpoint: Checkpoint) -> None:
    """Give the callbacks their states: the first of each class what the first of it had, and so on.

    Raises:
        StateError: a state that does not fit.

    Warns:
        RuntimeWarning: there is a state of a callback that this run does not have.
    """
    waiting = [tuple(one) for one in run_in(checkpoint)["callbacks"]]
    for one in run.callbacks:
        place = next((at for at, (name, *_) in enumerate(waiting) if name == type(one).__name__), None)
        if place is not None:
            restore(one, waiting.pop(place)[1], type(one).__name__)
    left = sorted({name for name, state, matters in waiting if state and matters})
    if left:
        warnings.warn(
            f"{checkpoint.path} holds the states of {', '.join(left)}, which this run does without; give fit the "
            "callbacks of the run that it goes on with",
            RuntimeWarning,
            stacklevel=2,
        )


def _warn_of_differences(saved: Mapping[str, Any], path: Path) -> None:
    now = environment()
    differences = [f"{name} {saved.get(name)} (now {value})" for name, value in now.items() if saved.get(name) != value]
    if differences:
        warnings.warn(
            f"{path} was written with {', '.join(differences)}; the run goes on, but its last bits may differ from "
            "those of a run that was not interrupted",
            RuntimeWarning,
            stacklevel=2,
        )
