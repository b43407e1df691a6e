"""The epochs of one ``fit``: steps, validation, hooks, and every way in which they can end."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import Any

from ..errors import ArgumentError
from ..tensor import no_grad
from .callbacks import Callbacks
from .checkpoint import Checkpoint, restore_callbacks, restore_run, run_in
from .compiled import Epochs
from .feeds import Batch, Feed, tensors
from .history import History
from .interrupts import Interrupts, modes_restored
from .meters import Meters
from .objective import called
from .progress import Progress
from .run import Run
from .steps import NotFiniteError, Stepper, arrays_of

__all__ = ["Trainer", "evaluated"]


class Trainer:
    """What carries a :class:`Run` through its epochs.

    Args:
        run: the model, the optimizer, the loss and the batches. hooks: its callbacks. progress: what people see.
        meters: those of a pass over the data. stepper: makes the steps of the loop that is written out.
        compiled: the compiled epochs, or None.
        validation_freq: epochs between two validations.
        checkpoint: where to go on from, or None to begin.
    """

    def __init__(
        self,
        run: Run,
        hooks: Callbacks,
        progress: Progress,
        meters: Meters,
        stepper: Stepper,
        compiled: Epochs | None,
        validation_freq: int,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        self.run = run
        self.hooks = hooks
        self.progress = progress
        self.meters = meters
        self.stepper = stepper
        self.compiled = run.compiled = compiled
        self.checkpoint = checkpoint
        self.validation_freq = validation_freq
        self.interrupts = Interrupts()

    def train(self, epochs: int) -> History:
        """Train up to epoch number ``epochs``; the History, whatever ended the run."""
        run, hooks, progress = self.run, self.hooks, self.progress
        history = run.history
        vars(run.model).pop("stop_training", None)
        hooks.attach(run)
        progress.start(epochs, run.feed.steps)
        logs: dict[str, Any] = {}
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
                except NotFiniteError as error:
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
            run.meters = self.meters.fresh()
        else:
            self._restore()

    def _restore(self) -> None:
        if self.checkpoint is None:
            return
        restore_run(self.run, self.checkpoint)
        restore_callbacks(self.run, self.checkpoint)
        if self.compiled is not None:
            self.compiled.capture_first(run_in(self.checkpoint)["captured"])
        self.checkpoint = None

    def _epoch(self, number: int) -> dict[str, Any]:
        run, hooks, history = self.run, self.hooks, self.run.history
        began = time.perf_counter()
        run.model.train()
        hooks.call("on_epoch_begin", number, {})
        # Within an epoch: the hook has had its effect on the run that was saved, and must not have it twice.
        self._restore()
        rate = run.rate
        run.meters = run.meters if run.batch and run.meters is not None else self.meters.fresh()
        if self.compiled is None or self.compiled.ran is None:
            with closing(run.feed.epoch(run.batch)) as batches:
                self._batches(enumerate(batches, run.batch + 1), run.meters)
        else:
            run.meters = self.compiled.run(run.meters, self._told, self._by_hand, run.batch)
        if self.compiled is not None:
            history.compiled, history.uncompiled = self.compiled.ran, self.compiled.why
        logs = run.meters.results()
        if run.validation is not None and (number + 1) % self.validation_freq == 0:
            found = evaluated(run, hooks, run.validation, self.meters.fresh())
            logs |= {f"val_{name}": value for name, value in found.items()}
        seconds = time.perf_counter() - began
        history.append(logs, seconds, number, rate)
        run.epoch, run.batch = number + 1, 0
        hooks.call("on_epoch_end", number, logs)
        history.add(logs)
        hooks.call("on_epoch_recorded", number, logs)
        self.progress.epoch(number, logs, seconds)
        return logs

    def _told(self, done: int) -> None:
        assert self.run.meters is not None
        self.run.batch = done
        self.hooks.progress(done, self.run.meters)
        self.progress.batch(done, self.run.meters)
        self.interrupts.obey()

    def _by_hand(self, into: Meters, rest: Iterator[tuple[int, Batch]]) -> None:
        self.run.meters = into
        self._batches(rest, into)

    def _batches(self, numbered: Iterable[tuple[int, Batch]], meters: Meters) -> None:
        run, hooks = self.run, self.hooks
        watched = bool(hooks.per_batch)
        step = run.batch
        for step, batch, moves in self.stepper.marked(numbered):
            if watched:
                hooks.batch("on_train_batch_begin", step - 1, {})
            self.stepper(step, batch, meters, moves)
            run.batch = step
            if watched:
                hooks.batch("on_train_batch_end", step - 1, meters.results())
            if not run.pending:  # gradients of half a group cannot be saved
                hooks.progress(step, meters)
            self.progress.batch(step, meters)
            self.interrupts.obey()
            if watched and run.stopping:
                break
        if not step:
            raise ArgumentError("the training data gave no batch; a generator that has ended cannot begin a new epoch")


def evaluated(run: Run, hooks: Callbacks, feed: Feed, meters: Meters) -> dict[str, Any]:
    """The loss and the metrics of the run's model over some batches, in evaluation mode and recording nothing.

    Raises:
        ArgumentError: there is no batch.
    """
    model, objective = run.model, run.objective
    assert objective is not None
    hooks.call("on_test_begin", {})
    with modes_restored(model), no_grad(), closing(feed.epoch()) as batches:
        model.eval()
        for number, batch in enumerate(batches):
            if hooks.tests:
                hooks.call("on_test_batch_begin", number, {})
            x, y, weights = tensors(batch.x), tensors(batch.y), tensors(batch.weights)
            outputs = called(model, x)
            loss, parts = objective(outputs, Batch(x, y, weights), feed)
            meters.update(
                float(loss.data),
                arrays_of(outputs),
                arrays_of(y),
                arrays_of(weights),
                [float(one.data) for one in parts],
            )
            if hooks.tests:
                hooks.call("on_test_batch_end", number, meters.results())
    if not meters.samples:
        raise ArgumentError(
            "the validation data gave no batch; a generator that has ended cannot begin anew: give validation_steps, "
            "or arrays"
        )
    found = meters.results()
    hooks.call("on_test_end", found)
    return found
