"""Callbacks that change the learning rate."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from ...errors import ArgumentError
from .base import Callback, Logs
from .monitor import Monitor

__all__ = ["LearningRateScheduler", "ReduceLROnPlateau"]


class ReduceLROnPlateau(Callback):
    """Lower the learning rate when a number has stopped improving. Arguments and counting are Keras'.

    Args:
        monitor: the name in the logs that is watched.
        factor: what the rates of all parameter groups are multiplied with, below 1.
        patience: epochs without an improvement before that.
        verbose: 0, or 1 for a line at every change.
        mode: ``"min"``, ``"max"`` or ``"auto"``.
        min_delta: an improvement is more than this.
        cooldown: epochs after a change in which nothing is counted.
        min_lr: no rate is made lower than this.

    Raises:
        ArgumentError: options out of range; at the beginning of training: a ``val_`` number, and nothing is validated.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        if not 0 < factor < 1:
            raise ArgumentError(
                f"ReduceLROnPlateau: factor lies in (0, 1), got {factor!r}; 0.1 makes a tenth of the rate"
            )
        if patience < 0 or cooldown < 0:
            raise ArgumentError(
                "ReduceLROnPlateau: patience and cooldown are numbers of epochs >= 0, got "
                f"patience={patience!r} and cooldown={cooldown!r}"
            )
        self.watch = Monitor("ReduceLROnPlateau", monitor, mode, min_delta)
        self.factor = factor
        self.patience = patience
        self.verbose = verbose
        self.cooldown = cooldown
        self.min_lr = min_lr
        self._forget()

    def _forget(self) -> None:
        self.best: float | None = None
        self.wait = 0
        self.cooldown_counter = 0

    def on_train_begin(self, logs: Logs | None = None) -> None:  # noqa: ARG002
        """Forget an earlier run."""
        self._forget()
        self.watch.begin(self.run)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compare, and lower the rates when patience is at its end."""
        logs = {} if logs is None else logs
        logs["learning_rate"] = self.run.lr
        value = self.watch.value(self.run, logs)
        if value is None:
            return
        if self.cooldown_counter:
            self.cooldown_counter -= 1
            self.wait = 0
        if self.watch.better(self.run, value, self.best):
            self.best = value
            self.wait = 0
        elif not self.cooldown_counter:
            self.wait += 1
            if self.wait >= self.patience:
                self._lower(epoch)

    def _lower(self, epoch: int) -> None:
        before = self.run.lr
        if before <= self.min_lr:
            return
        for group in self.run.optimizer.param_groups:
            group["lr"] = max(group["lr"] * self.factor, self.min_lr)
        self.cooldown_counter = self.cooldown
        self.wait = 0
        if self.verbose:
            print(f"Epoch {epoch + 1}: the learning rate goes from {before:g} to {self.run.lr:g}")

    def state_dict(self) -> dict[str, Any]:
        """The best value and the two counts."""
        return {"best": self.best, "wait": self.wait, "cooldown_counter": self.cooldown_counter}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on counting where the state was taken."""
        self.best, self.wait, self.cooldown_counter = state["best"], state["wait"], state["cooldown_counter"]


class LearningRateScheduler(Callback):
    """Set the learning rate before every epoch by a function, or step one of torch's schedulers after it.

    Args:
        schedule: ``schedule(epoch, lr)`` or ``schedule(epoch)`` that gives the rate of the epoch, counted from 0, for
            all parameter groups (``lr`` is the present one); or an object of ``optim.lr_scheduler`` with ``step()``.
        verbose: 0, or 1 for a line before every epoch.
        monitor: the number that a scheduler gets whose ``step`` asks for one (a plateau scheduler).

    Raises:
        ArgumentError: neither a function nor a scheduler; during training: a rate that is not a number.
    """

    def __init__(self, schedule: Any, verbose: int = 0, monitor: str = "val_loss") -> None:
        self.verbose = verbose
        self.monitor = monitor
        self.scheduler: Any = None
        self.schedule: Callable[..., float] | None = None
        step = getattr(schedule, "step", None)
        if callable(step):
            self.scheduler = schedule
            required = [
                one.name
                for one in inspect.signature(step).parameters.values()
                if one.default is one.empty and one.kind in {one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD}
            ]
            self._wants_value = bool(required)
        elif callable(schedule) and not isinstance(schedule, type):
            self.schedule = schedule
        else:
            raise ArgumentError(
                "LearningRateScheduler: expected a function of the epoch, or a scheduler with step(), got "
                f"{schedule!r}; say LearningRateScheduler(lambda epoch, lr: 0.95 * lr)"
            )

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:  # noqa: ARG002
        """Ask the function."""
        if self.schedule is None:
            return
        try:
            inspect.signature(self.schedule).bind(epoch, 0.0)
        except TypeError:
            rate = self.schedule(epoch)
        except ValueError:  # a function of C tells nothing about itself
            rate = self.schedule(epoch, self.run.lr)
        else:
            rate = self.schedule(epoch, self.run.lr)
        try:
            self.run.lr = float(rate)
        except (TypeError, ValueError):
            raise ArgumentError(
                f"LearningRateScheduler: expected a number from the schedule, got {rate!r} for epoch {epoch}"
            ) from None
        if self.verbose:
            print(f"Epoch {epoch + 1}: the learning rate is {self.run.lr:g}")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:  # noqa: ARG002
        """Enter the rate, then step the scheduler."""
        logs = {} if logs is None else logs
        logs["learning_rate"] = self.run.lr
        if self.scheduler is None:
            return
        if not self._wants_value:
            self.scheduler.step()
        elif self.monitor in logs:
            self.scheduler.step(logs[self.monitor])
        elif self.run.validation is None:
            self.scheduler.step(logs["loss"])

    def state_dict(self) -> dict[str, Any]:
        """The scheduler's own."""
        return {} if self.scheduler is None else {"scheduler": self.scheduler.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Hand it back to the scheduler."""
        if self.scheduler is not None:
            self.scheduler.load_state_dict(state["scheduler"])
