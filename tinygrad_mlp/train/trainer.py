"""The epochs of one ``fit``: steps, validation, hooks, and every way in which they can end."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from ..data import DataLoader
from ..nn import Module
from ..tensor import Tensor, from_numpy, no_grad
from .advice import compared
from .callbacks import Callbacks
from .checkpoint import Checkpoint, restore_callbacks, restore_run, run_in
from .compiled import Epochs, pair_of
from .history import History
from .interrupts import Interrupts, modes_restored
from .metrics import Meters
from .progress import Progress
from .run import Run

__all__ = ["Trainer", "evaluated"]

Numbered = Iterable[tuple[int, tuple[Any, ...]]]


class Trainer:
    """What carries a :class:`Run` through its epochs.

    Args:
        run: the model, the optimizer, the loss and the batches. hooks: its callbacks. progress: what people see.
        meters: makes fresh meters, for one pass over the data.
        compiled: the compiled epochs, or None for the loop that is written out.
        checkpoint: where to go on from, or None to begin.
    """

    def __init__(
        self,
        run: Run,
        hooks: Callbacks,
        progress: Progress,
        meters: Callable[[], Meters],
        compiled: Epochs | None,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        self.run = run
        self.hooks = hooks
        self.progress = progress
        self.meters = meters
        self.compiled = run.compiled = compiled
        self.checkpoint = checkpoint
        self.interrupts = Interrupts()
        self.parameters = list(run.model.parameters())

    def train(self, epochs: int) -> History:
        """Train up to epoch number ``epochs``; the History, whatever ended the run."""
        run, hooks, progress = self.run, self.hooks, self.progress
        history = run.history
        vars(run.model).pop("stop_training", None)
        hooks.attach(run)
        progress.start(epochs, len(run.batches))
        logs: dict[str, float] = {}
        try:
            with modes_restored(run.model), self.interrupts:
                try:
                    hooks.call("on_train_begin", {})
                    self._find_place()
                    while run.epoch < epochs and not run.stopping:
                        logs = self._epoch(run.epoch)
                        self.interrupts.obey()  # one that came while the epoch was being judged
                except KeyboardInterrupt:
                    run.stop("interrupted")
                except _NotFiniteError as error:
                    run.weights = "those before that step"
                    run.stop(f"non-finite {error.what} in epoch {run.epoch + 1}, {error}")
                    run.diverged = True
                finally:
                    hooks.end("on_train_end", logs)
        finally:
            vars(run.model).pop("stop_training", None)
            history.stopped = run.reason
            progress.stop(run.reason)
        if run.diverged:
            warnings.warn(
                f"{run.reason}; the weights are {run.weights}. Lower the learning rate, and look for "
                "infinities in the data",
                RuntimeWarning,
                stacklevel=3,
            )
        return history

    def _find_place(self) -> None:
        """Go to the epoch and batch of the checkpoint."""
        if self.checkpoint is None:
            return
        run, saved = self.run, run_in(self.checkpoint)
        run.epoch, run.batch, run.reason = saved["epoch"], saved["batch"], saved["reason"]
        if run.batch:
            run.meters = self.meters()
        else:
            self._restore()

    def _restore(self) -> None:
        if self.checkpoint is None:
            return
        restore_run(self.run, self.checkpoint)
        restore_callbacks(self.run, self.checkpoint)
        if self.compiled is not None and run_in(self.checkpoint)["captured"]:
            self.compiled.capture_first()
        self.checkpoint = None

    def _epoch(self, number: int) -> dict[str, float]:
        run, hooks, history = self.run, self.hooks, self.run.history
        began = time.perf_counter()
        run.model.train()
        hooks.call("on_epoch_begin", number, {})
        # Within an epoch: the hook has had its effect on the run that was saved, and must not have it twice.
        self._restore()
        run.meters = run.meters if run.batch and run.meters is not None else self.meters()
        if self.compiled is None or self.compiled.ran is None:
            self._batches(self._rest_of_epoch(), run.meters)
        else:
            run.meters = self.compiled.run(run.batches, run.meters, self._told, self._by_hand, run.batch)
        if self.compiled is not None:
            history.compiled, history.uncompiled = self.compiled.ran, self.compiled.why
        logs = run.meters.results()
        if run.validation is not None:
            found = evaluated(run, hooks, run.validation, self.meters())
            logs |= {f"val_{name}": value for name, value in found.items()}
        seconds = time.perf_counter() - began
        history.append(logs, seconds, number)
        run.epoch, run.batch = number + 1, 0
        hooks.call("on_epoch_end", number, logs)
        history.add(logs)
        hooks.call("on_epoch_recorded", number, logs)
        self.progress.epoch(number, logs, seconds)
        return logs

    def _rest_of_epoch(self) -> Numbered:
        """The batches from ``run.batch`` on, numbered from 1."""
        batches, done = self.run.batches, self.run.batch
        if not done:
            return enumerate(batches, 1)
        epoch = batches.epoch
        batches.set_epoch(epoch + 1)
        return enumerate(batches.batches(epoch, start=done), done + 1)

    def _told(self, done: int) -> None:
        assert self.run.meters is not None
        self.run.batch = done
        self.hooks.progress(done, self.run.meters)
        self.progress.batch(done, self.run.meters)
        self.interrupts.obey()

    def _by_hand(self, into: Meters, rest: Iterator[tuple[int, Any]]) -> None:
        self.run.meters = into
        self._batches(rest, into)

    def _batches(self, numbered: Numbered, meters: Meters) -> None:
        run, hooks = self.run, self.hooks
        watched = bool(hooks.per_batch)
        for step, batch in numbered:
            if watched:
                hooks.batch("on_train_batch_begin", step - 1, {})
            self._step(step, batch, meters)
            run.batch = step
            if watched:
                hooks.batch("on_train_batch_end", step - 1, meters.results())
            hooks.progress(step, meters)
            self.progress.batch(step, meters)
            self.interrupts.obey()
            if watched and run.stopping:
                break

    def _step(self, step: int, batch: tuple[Any, ...], meters: Meters) -> None:
        run = self.run
        x, y = tensors(batch)
        run.optimizer.zero_grad()
        outputs = run.model(x)
        loss = compared(run.loss, outputs, y, run.batches)
        value = float(loss.data)
        if not math.isfinite(value):
            raise _NotFiniteError("loss", f"batch {step} of {len(run.batches)}: {value}")
        loss.backward()
        if not _all_finite(self.parameters):
            raise _NotFiniteError("gradient", f"batch {step} of {len(run.batches)}")
        run.optimizer.step()
        meters.update(value, outputs.data, y.data)


class _NotFiniteError(Exception):
    """The loss of a batch, or a gradient of it, is NaN or infinite."""

    def __init__(self, what: str, where: str) -> None:
        super().__init__(where)
        self.what = what


def _all_finite(parameters: list[Tensor]) -> bool:
    for parameter in parameters:
        gradient = parameter.grad
        if gradient is not None:
            flat = gradient.data.ravel("K")
            # One product tells in nearly all cases; squares can overflow where the gradient itself does not.
            if not math.isfinite(flat.dot(flat)) and not np.isfinite(flat).all():
                return False
    return True


def evaluated(run: Run, hooks: Callbacks, batches: DataLoader, meters: Meters) -> dict[str, float]:
    """The loss and the metrics of the run's model over some batches, in evaluation mode and recording nothing."""
    model: Module = run.model
    hooks.call("on_test_begin", {})
    with modes_restored(model), no_grad():
        model.eval()
        for number, batch in enumerate(batches):
            if hooks.tests:
                hooks.call("on_test_batch_begin", number, {})
            x, y = tensors(batch)
            outputs = model(x)
            meters.update(float(compared(run.loss, outputs, y, batches).data), outputs.data, y.data)
            if hooks.tests:
                hooks.call("on_test_batch_end", number, meters.results())
    found = meters.results()
    hooks.call("on_test_end", found)
    return found


def tensors(batch: tuple[Any, ...]) -> tuple[Tensor, Tensor]:
    x, y = pair_of(batch)
    return tensor(x), tensor(y)


def tensor(value: Any) -> Tensor:
    return value if isinstance(value, Tensor) else from_numpy(value)
