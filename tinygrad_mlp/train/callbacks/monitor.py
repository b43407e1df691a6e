"""Which of two values is better: what early stopping, checkpoints and a rate that is lowered all ask."""

from __future__ import annotations

import math
import warnings

from ...errors import ArgumentError, did_you_mean
from ..metrics import METRICS
from ..run import Run
from .base import Logs

__all__ = ["Monitor"]

_MODES = ("auto", "min", "max")


class Monitor:
    """A number out of the logs, and the direction in which it gets better.

    Args:
        owner: the callback's name, for messages. monitor: the name in the logs, such as ``"val_loss"``.
        mode: ``"min"``, ``"max"``, or ``"auto"``: min for losses, for metrics what the metric says.
        min_delta: what counts as an improvement is at least so much better.

    Raises:
        ArgumentError: another mode, a negative ``min_delta``.
    """

    def __init__(self, owner: str, monitor: str, mode: str, min_delta: float = 0.0) -> None:
        if mode not in _MODES:
            raise ArgumentError(f"{owner}: {did_you_mean('mode', mode, _MODES)}")
        if not min_delta >= 0:
            raise ArgumentError(f"{owner}: min_delta is a difference >= 0, got {min_delta!r}")
        self.owner = owner
        self.monitor = monitor
        self.mode = mode
        self.min_delta = float(min_delta)
        self._said = False

    def begin(self, run: Run) -> None:
        """Ask whether the number can come at all.

        Raises:
            ArgumentError: it is one of validation, and nothing is validated.
        """
        self._said = False
        if self.monitor.startswith("val_") and run.validation is None:
            raise ArgumentError(
                f"{self.owner} watches {self.monitor!r}, but nothing is validated; "
                f"say fit(…, validation_split=0.2), or monitor={self.monitor[4:]!r}"
            )

    def value(self, run: Run, logs: Logs) -> float | None:
        """The number of this epoch; None, with a warning, if there is none and the epoch was validated."""
        if self.monitor in logs:
            return float(logs[self.monitor])
        validated = any(name.startswith("val_") for name in logs) or run.validation is None
        if not self._said and (validated or not self.monitor.startswith("val_")):
            self._said = True
            warnings.warn(
                f"{self.owner} does nothing: {did_you_mean('monitor', self.monitor, logs)}",
                RuntimeWarning,
                stacklevel=2,
            )
        return None

    def better(self, run: Run, value: float, than: float | None) -> bool:
        """Whether ``value`` improves on ``than`` by more than ``min_delta``; NaN never does, and anything beats None.

        Raises:
            ArgumentError: ``mode="auto"``, and nobody knows the direction.
        """
        lowest = self.lowest(run)
        if math.isnan(value):
            return False
        if than is None or math.isnan(than):
            return True
        return value + self.min_delta < than if lowest else value - self.min_delta > than

    def lowest(self, run: Run) -> bool:
        """Whether low values are the good ones."""
        if self.mode == "auto":
            self.mode = self._direction(run)
        return self.mode == "min"

    def _direction(self, run: Run) -> str:
        name = self.monitor.removeprefix("val_")
        if name == "loss" or name.endswith("_loss"):
            return "min"
        known = {} if run.meters is None else run.meters.metrics
        metric = known.get(name) or (METRICS[name]() if name in METRICS else None)
        direction: str | None = getattr(metric, "better", None)
        if direction is None:
            raise ArgumentError(
                f"{self.owner}: whether high or low values of {self.monitor!r} are good is not known; "
                "say mode='max' or mode='min'"
            )
        return direction
