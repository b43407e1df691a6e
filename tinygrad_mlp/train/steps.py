"""One training step, written out: forward, backward, a look at the numbers, and the optimizer's move."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from ..tensor import Tensor
from ..tree import map_leaves
from .feeds import Batch, tensors
from .meters import Meters
from .objective import called
from .run import Run

__all__ = ["NotFiniteError", "Stepper", "arrays_of"]


class NotFiniteError(Exception):
    """The loss of a batch, or a gradient of it, is NaN or infinite."""

    def __init__(self, what: str, where: str) -> None:
        super().__init__(where)
        self.what = what


class Stepper:
    """Makes the steps of a run.

    With ``accumulate`` = k the optimizer moves after every k batches and after the last one, by the gradient of the
    mean over all their samples: that of one batch of k times the size, but for rounding (and for layers that look at a
    whole batch, as BatchNorm does).

    Args:
        run: the run. accumulate: batches per move of the optimizer.
    """

    def __init__(self, run: Run, accumulate: int = 1) -> None:
        self.run = run
        self.accumulate = accumulate
        self.parameters = list(run.model.parameters())
        self._samples = 0

    def marked(self, numbered: Iterable[tuple[int, Batch]]) -> Iterator[tuple[int, Batch, bool]]:
        """Batches with their numbers, and whether the optimizer moves after each."""
        self.run.pending = self._samples = 0
        if self.accumulate == 1:
            for step, batch in numbered:
                yield step, batch, True
            return
        held: tuple[int, Batch] | None = None
        for count, (step, batch) in enumerate(numbered):
            if held is not None:
                yield *held, count % self.accumulate == 0
            held = step, batch
        if held is not None:
            yield *held, True

    def __call__(self, step: int, batch: Batch, meters: Meters, moves: bool) -> None:
        """Make one step.

        Args:
            step: the number of the batch, from 1. meters: take in what it gave.
            moves: whether the optimizer moves after it.

        Raises:
            NotFiniteError: a loss or a gradient that is not finite, before anything is changed.
        """
        run = self.run
        assert run.objective is not None
        x, y = tensors(batch.x), tensors(batch.y)
        weights = None if batch.weights is None else tensors(batch.weights)
        if not run.pending:
            run.optimizer.zero_grad()
        outputs = called(run.model, x)
        loss, parts = run.objective(outputs, Batch(x, y, weights), run.feed)
        value = float(loss.data)
        if not math.isfinite(value):
            raise NotFiniteError("loss", f"{self._where(step)}: {value}")
        if self.accumulate == 1:
            loss.backward()
            self._move(step)
        else:
            self._add(step, loss, len(_first(y)), moves)
        if weights is None and not parts:
            meters.update(value, arrays_of(outputs), arrays_of(y))
            return
        meters.update(value, arrays_of(outputs), arrays_of(y), arrays_of(weights), [float(one.data) for one in parts])

    def _add(self, step: int, loss: Any, samples: int, moves: bool) -> None:
        """Add a batch to the gradients, and move if it was the last of its group."""
        assert self.run.objective is not None
        mean = self.run.objective.reduction == "mean"
        (loss * samples if mean else loss).backward()
        self.run.pending += 1
        self._samples += samples
        if not moves:
            return
        if mean:
            for parameter in self.parameters:
                if parameter.grad is not None:
                    parameter.grad.data[...] /= self._samples
        self._move(step)
        self.run.pending = self._samples = 0

    def _move(self, step: int) -> None:
        if not _all_finite(self.parameters):
            raise NotFiniteError("gradient", self._where(step))
        self.run.optimizer.step()

    def _where(self, step: int) -> str:
        steps = self.run.feed.steps
        return f"batch {step}" if steps is None else f"batch {step} of {steps}"


def arrays_of(tree: Any) -> Any:
    """Arrays in place of tensors."""
    if isinstance(tree, Tensor):
        return tree.data
    return tree if tree is None else map_leaves(lambda one: one.data if isinstance(one, Tensor) else one, tree)


def _first(y: Any) -> Any:
    while isinstance(y, (tuple, list, dict)):
        y = next(iter(y.values())) if isinstance(y, dict) else y[0]
    return y


def _all_finite(parameters: list[Tensor]) -> bool:
    for parameter in parameters:
        gradient = parameter.grad
        if gradient is not None:
            flat = gradient.data.ravel("K")
            # One product tells in nearly all cases; squares can overflow where the gradient itself does not.
            if not math.isfinite(flat.dot(flat)) and not np.isfinite(flat).all():
                return False
    return True
