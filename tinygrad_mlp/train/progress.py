"""What people see while a model trains: a bar on a terminal, one line per epoch in a file, or nothing."""

from __future__ import annotations

import sys
import time
from typing import Any, Protocol

import numpy as np

from ..errors import ArgumentError, MissingExtraError
from ..extras import need
from .meters import Meters

__all__ = ["BarProgress", "LineProgress", "Progress", "SilentProgress", "epoch_line", "progress_of", "shown_epochs"]

_REDRAW = 0.1  # seconds: often enough to look alive, rare enough to cost nothing


class Progress(Protocol):
    """Told what happens, in this order: ``start``, for each epoch ``batch``… and ``epoch``, and at last ``stop``."""

    def start(self, epochs: int, steps: int | None, /) -> None:
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
    >>> epoch_line(0, 2, {"loss": 0.5}, 0.0123, 270)
    'Epoch 1/2 - 12ms - 21,951 samples/s - loss: 0.5000'
    """
    taken = f"{seconds:.1f}s" if seconds >= 0.9995 else f"{seconds * 1000:.{0 if seconds >= 0.01 else 1}f}ms"
    values = "".join(f" - {name}: {value:.4f}" for name, value in logs.items() if np.ndim(value) == 0)
    return f"Epoch {number + 1}/{epochs} - {taken} - {samples / max(seconds, 1e-9):,.0f} samples/s{values}"


def shown_epochs(epochs: int, every: bool = False) -> range | list[int]:
    """The epochs, counted from 0, that get a line: all of up to 20, else the first, the last and about ten between.

    >>> [number + 1 for number in shown_epochs(60)]
    [1, 10, 20, 30, 40, 50, 60]
    """
    if every or epochs <= 20:
        return range(epochs)
    # The smallest round step that leaves at most eleven.
    step = next(
        step for power in range(20) for step in (10**power, 2 * 10**power, 5 * 10**power) if epochs <= 11 * step
    )
    return sorted({0, epochs - 1, *range(step - 1, epochs, step)})


class SilentProgress:
    """Says nothing."""

    def start(self, epochs: int, steps: int | None) -> None:
        """Nothing."""

    def batch(self, step: int, meters: Meters) -> None:
        """Nothing."""

    def epoch(self, number: int, logs: dict[str, float], seconds: float) -> None:
        """Nothing."""

    def stop(self, reason: str | None) -> None:
        """Nothing."""


class LineProgress:
    """Plain lines: for pipes, files and notebooks.

    Args:
        every: a line for every epoch, also in a long run.
    """

    def __init__(self, every: bool = False) -> None:
        self.every = every
        self.epochs = 0
        self.samples = 0
        self.shown: frozenset[int] = frozenset()
        self.unshown = ""

    def start(self, epochs: int, _steps: int | None, /) -> None:
        """Note how many epochs there will be."""
        self.epochs = epochs
        self.shown = frozenset(shown_epochs(epochs, self.every))

    def batch(self, _step: int, meters: Meters, /) -> None:
        """Note how many samples have gone by."""
        self.samples = meters.samples

    def epoch(self, number: int, logs: dict[str, float], seconds: float) -> None:
        """Print the line, and flush it: whoever follows a log file wants it now."""
        line = epoch_line(number, self.epochs, logs, seconds, self.samples)
        self.unshown = "" if number in self.shown else line
        if not self.unshown:
            print(line, flush=True)

    def stop(self, reason: str | None) -> None:
        """If training ended early, show its last epoch and say why."""
        if reason:
            if self.unshown:
                print(self.unshown)
            print(f"Stopped: {reason}", flush=True)


class BarProgress:
    """A bar over the whole training with what is measured so far; finished epochs leave lines above it.

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
        self.shown: frozenset[int] = frozenset()
        self.unshown = ""
        self.drawn = self.began = time.perf_counter()

    def start(self, epochs: int, steps: int | None) -> None:
        """Show the empty bar."""
        self.epochs, self.steps = epochs, steps or 0
        self.shown = frozenset(shown_epochs(epochs))
        self.bar.update(self.task, total=epochs * steps if steps else None, description=f"Epoch 1/{epochs}")
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
        measured = " ".join(
            f"{name} {value:.4f}" for name, value in meters.results().items() if isinstance(value, float)
        )
        done = self.number * self.steps + step
        self.bar.update(self.task, completed=done, measured=f"{measured} {pace}", refresh=True)

    def epoch(self, number: int, logs: dict[str, float], seconds: float) -> None:
        """Leave the epoch's line above the bar, if it is one of those shown."""
        line = epoch_line(number, self.epochs, logs, seconds, self.samples)
        self.unshown = "" if number in self.shown else line
        if not self.unshown:
            self._print(line)
        self.number = number + 1
        self.began = time.perf_counter()
        description = f"Epoch {min(self.number + 1, self.epochs)}/{self.epochs}"
        self.bar.update(self.task, completed=self.number * self.steps, description=description)

    def stop(self, reason: str | None) -> None:
        """Take the bar away; if training ended early, show its last epoch and say why."""
        self.bar.stop()
        if reason:
            if self.unshown:
                self._print(self.unshown)
            self._print(f"Stopped: {reason}")

    def _print(self, line: str) -> None:
        self.bar.console.print(line, markup=False, highlight=False, soft_wrap=True)


def progress_of(verbose: str | int) -> Progress:
    """The view for Keras' ``verbose``: ``"auto"`` (a bar on a terminal, else lines), 0 nothing, 1 a bar, 2 every line.

    Raises:
        ArgumentError: another value; MissingExtraError: ``verbose=1`` without rich.
    """
    if verbose == 0:
        return SilentProgress()
    if verbose == 2:
        return LineProgress(every=True)
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
