"""What people see while a model trains: a bar on a terminal, one line per epoch in a file, or nothing."""

from __future__ import annotations

import sys
import time
from typing import Any, Protocol

from ..errors import ArgumentError, MissingExtraError
from ..extras import need
from .metrics import Meters

__all__ = ["BarProgress", "LineProgress", "Progress", "SilentProgress", "epoch_line", "progress_of"]

_REDRAW = 0.1  # seconds: often enough to look alive, rare enough to cost nothing


class Progress(Protocol):
    """Told what happens, in this order: ``start``, for each epoch ``batch``… and ``epoch``, and at last ``stop``."""

    def start(self, epochs: int, steps: int, /) -> None:
        """Training begins: how many epochs, of how many steps each."""

    def batch(self, step: int, meters: Meters, /) -> None:
        """A step is done, the ``step``-th of its epoch."""

    def epoch(self, number: int, logs: dict[str, float], seconds: float, /) -> None:
        """An epoch is done, counted from 0."""

    def stop(self, reason: str | None, /) -> None:
        """Training is over; ``reason`` says why it ended early."""


def epoch_line(number: int, epochs: int, logs: dict[str, float], seconds: float, samples: int) -> str:
    """One finished epoch in Keras' words.

    >>> epoch_line(2, 30, {"loss": 0.51234, "accuracy": 0.8}, 4.0, 55_000)
    'Epoch 3/30 - 4.0s - 13,750 samples/s - loss: 0.5123 - accuracy: 0.8000'
    """
    values = "".join(f" - {name}: {value:.4f}" for name, value in logs.items())
    return f"Epoch {number + 1}/{epochs} - {seconds:.1f}s - {samples / max(seconds, 1e-9):,.0f} samples/s{values}"


class SilentProgress:
    """Says nothing."""

    def start(self, epochs: int, steps: int) -> None:
        """Nothing."""

    def batch(self, step: int, meters: Meters) -> None:
        """Nothing."""

    def epoch(self, number: int, logs: dict[str, float], seconds: float) -> None:
        """Nothing."""

    def stop(self, reason: str | None) -> None:
        """Nothing."""


class LineProgress:
    """One plain line per epoch: for pipes, files and notebooks."""

    def __init__(self) -> None:
        self.epochs = 0
        self.samples = 0

    def start(self, epochs: int, _steps: int, /) -> None:
        """Note how many epochs there will be."""
        self.epochs = epochs

    def batch(self, _step: int, meters: Meters, /) -> None:
        """Note how many samples have gone by."""
        self.samples = meters.samples

    def epoch(self, number: int, logs: dict[str, float], seconds: float) -> None:
        """Print the line, and flush it: whoever follows a log file wants it now."""
        print(epoch_line(number, self.epochs, logs, seconds, self.samples), flush=True)

    def stop(self, reason: str | None) -> None:
        """Say why, if training ended early."""
        if reason:
            print(f"Stopped: {reason}", flush=True)


class BarProgress:
    """A bar over the whole training with what is measured so far; each finished epoch leaves a line above it.

    Args:
        console: a rich ``Console``; standard output by default.

    Raises:
        MissingExtraError: rich is not installed.
    """

    def __init__(self, console: Any = None) -> None:
        rich = need("rich.progress", extra="cli", purpose="draw progress bars")
        self.console = console or need("rich.console", extra="cli", purpose="draw progress bars").Console(
            highlight=False
        )
        self.bar = rich.Progress(
            rich.TextColumn("{task.description}"),
            rich.BarColumn(bar_width=24),
            rich.TaskProgressColumn(),
            rich.TextColumn("{task.fields[measured]}"),
            rich.TextColumn("ETA"),
            rich.TimeRemainingColumn(),
            console=self.console,
            auto_refresh=False,
            transient=True,
        )
        self.task = self.bar.add_task("Epoch 1", measured="", total=None)
        self.epochs = self.steps = self.samples = 0
        self.number = 0
        self.drawn = self.began = time.perf_counter()

    def start(self, epochs: int, steps: int) -> None:
        """Show the empty bar."""
        self.epochs, self.steps = epochs, steps
        self.bar.update(self.task, total=epochs * steps, description=f"Epoch 1/{epochs}")
        self.bar.start()
        self.drawn = self.began = time.perf_counter()

    def batch(self, step: int, meters: Meters) -> None:
        """Redraw, unless that was done a moment ago."""
        self.samples = meters.samples
        now = time.perf_counter()
        if now - self.drawn < _REDRAW:
            return
        self.drawn = now
        pace = f"{self.samples / (now - self.began):,.0f} samples/s"
        measured = " ".join(f"{name} {value:.4f}" for name, value in meters.results().items())
        done = self.number * self.steps + step
        self.bar.update(self.task, completed=done, measured=f"{measured} {pace}", refresh=True)

    def epoch(self, number: int, logs: dict[str, float], seconds: float) -> None:
        """Leave the epoch's line above the bar."""
        line = epoch_line(number, self.epochs, logs, seconds, self.samples)
        self.bar.console.print(line, markup=False, highlight=False, soft_wrap=True)
        self.number = number + 1
        self.began = time.perf_counter()
        description = f"Epoch {min(self.number + 1, self.epochs)}/{self.epochs}"
        self.bar.update(self.task, completed=self.number * self.steps, description=description)

    def stop(self, reason: str | None) -> None:
        """Take the bar away; say why, if training ended early."""
        self.bar.stop()
        if reason:
            self.bar.console.print(f"Stopped: {reason}", markup=False, highlight=False, soft_wrap=True)


def progress_of(verbose: str | int) -> Progress:
    """The view for Keras' ``verbose``: ``"auto"`` (a bar on a terminal, else lines), 0 nothing, 1 a bar, 2 lines.

    Raises:
        ArgumentError: another value; MissingExtraError: ``verbose=1`` without rich.
    """
    if verbose == 0:
        return SilentProgress()
    if verbose == 2:
        return LineProgress()
    if verbose == 1:
        return BarProgress()
    if verbose != "auto":
        raise ArgumentError(f"verbose is 'auto', 0 (silent), 1 (bar) or 2 (one line per epoch), got {verbose!r}")
    if sys.stdout.isatty():
        try:
            return BarProgress()
        except MissingExtraError:
            return LineProgress()
    return LineProgress()
