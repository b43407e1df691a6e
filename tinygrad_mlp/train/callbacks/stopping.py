"""Callbacks that end training."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...errors import ArgumentError
from .base import Callback, Logs
from .monitor import Monitor

__all__ = ["EarlyStopping", "TerminateOnNaN"]


class EarlyStopping(Callback):
    """Stop when a number has not improved for ``patience`` epochs, and go back to the best weights.

    Names, arguments and counting are Keras', but for one default: the best weights are restored. They are, in whatever
    way training ends: early, after the last epoch, on Ctrl-C, on a loss that is not finite, and when something raises.
    Weights are the parameters and the persistent buffers (the statistics of a BatchNorm).

    Args:
        monitor: the name in the logs that is watched.
        min_delta: an improvement is more than this.
        patience: epochs without an improvement after which training stops; with 0 the first such epoch stops it.
        verbose: 0, or 1 for a line when weights are restored.
        mode: ``"min"``, ``"max"`` or ``"auto"``.
        baseline: a value to beat; epochs count as without improvement until it is beaten.
        restore_best_weights: whether the model ends with the weights of the best epoch, or those of the last.
        start_from_epoch: epochs before this one are not looked at, from 0.

    Attributes:
        best: the best value. best_epoch: the epoch that had it, from 0. stopped_epoch: where it stopped, else 0.
        wait: epochs since the last improvement.

    Raises:
        ArgumentError: options out of range; at the beginning of training: a ``val_`` number, and nothing is validated.

    Source: Prechelt, "Early stopping - but when?", 1998; Keras 3 for the counting.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = True,
        start_from_epoch: int = 0,
    ) -> None:
        if patience < 0 or start_from_epoch < 0:
            raise ArgumentError(
                "EarlyStopping: patience and start_from_epoch are numbers of epochs >= 0, got "
                f"patience={patience!r} and start_from_epoch={start_from_epoch!r}"
            )
        self.watch = Monitor("EarlyStopping", monitor, mode, abs(min_delta))
        self.monitor = monitor
        self.patience = patience
        self.verbose = verbose
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = start_from_epoch
        self._forget()

    def _forget(self) -> None:
        self.wait = 0
        self.stopped_epoch = 0
        self.best: float | None = None
        self.best_epoch = 0
        self.best_weights: dict[str, Any] | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:  # noqa: ARG002
        """Forget an earlier run."""
        self._forget()
        self.watch.begin(self.run)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compare, keep the weights of the best epoch, and stop when patience is at its end."""
        value = self.watch.value(self.run, logs or {})
        if value is None or epoch < self.start_from_epoch:
            return
        if self.best_weights is None:  # the first epoch's, if there is never an improvement
            self._keep(epoch)
        self.wait += 1
        if self.watch.better(self.run, value, self.best):
            self.best = value
            self._keep(epoch)
            if self.baseline is None or self.watch.better(self.run, value, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            best = (
                "was never a number"
                if self.best is None
                else f"was best in epoch {self.best_epoch + 1}: {self.best:.4g}"
            )
            self.run.stop(
                f"{self.monitor} {best}"
                + (
                    "; the weights are those of that epoch"
                    if self.restore_best_weights and self.best is not None
                    else ""
                )
            )

    def _keep(self, epoch: int) -> None:
        self.best_epoch = epoch
        if self.restore_best_weights:
            self.best_weights = self.model.state_dict()

    def on_train_end(self, logs: Logs | None = None) -> None:  # noqa: ARG002
        """Restore the best weights."""
        if self.restore_best_weights and self.best_weights is not None:
            self.model.load_state_dict(self.best_weights)
            self.run.history.restored_epoch = self.best_epoch
            self.run.weights = f"restored to those of epoch {self.best_epoch + 1}"
            if self.verbose:
                print(f"Restored the weights of epoch {self.best_epoch + 1} ({self.monitor}: {self.best})")

    def state_dict(self) -> dict[str, Any]:
        """The best value, its epoch and weights, and the wait."""
        weights = self.best_weights
        return {
            "wait": self.wait,
            "best": self.best,
            "best_epoch": self.best_epoch,
            "best_weights": weights and {name: np.array(one.data) for name, one in weights.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on waiting where the state was taken."""
        self.wait, self.best, self.best_epoch = state["wait"], state["best"], state["best_epoch"]
        self.best_weights = state["best_weights"]


class TerminateOnNaN(Callback):
    """Stop when the loss, or a loss of validation, is not finite at the end of an epoch.

    ``fit`` itself ends at the first training loss or gradient that is not finite, before the step that would spoil the
    weights, with this callback or without; what is added here are the ``val_`` losses.
    """

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Look at every loss of the epoch."""
        for name, value in (logs or {}).items():
            if name.endswith("loss") and not math.isfinite(value):
                self.run.stop(f"{name} is {value} in epoch {epoch + 1}")
