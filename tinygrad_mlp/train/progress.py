"""What people see while a model trains: a bar on a terminal, one line per epoch in a file, or nothing."""

from __future__ import annotations

import html
import sys
import time
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

import numpy as np

from ..errors import ArgumentError, MissingExtraError
from ..extras import need
from .meters import Meters

__all__ = [
    "BarProgress",
    "LineProgress",
    "NotebookProgress",
    "Progress",
    "SilentProgress",
    "epoch_line",
    "progress_of",
    "shown_epochs",
]

_REDRAW = 0.1  # seconds: often enough to look alive, rare enough to cost nothing
_REDRAW_HTML = 0.25  # a page takes longer to draw than a line


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


class NotebookProgress:
    """A table of epochs in a notebook, with a bar and the time left while it trains: one display that is updated.

    Args:
        display: makes the display of an HTML object and gives its handle; IPython's by default.
    """

    def __init__(self, display: Any = None) -> None:
        if display is None:
            ipython = sys.modules["IPython.display"]
            display = partial(ipython.display, display_id=True)
            self._html: Any = ipython.HTML
        else:
            self._html = str
        self._display = display
        self._handle: Any = None
        self._rows: list[tuple[int, dict[str, float], float]] = []
        self.epochs = self.steps = self.samples = 0
        self.shown: frozenset[int] = frozenset()
        self.drawn = self.began = self.started = time.perf_counter()

    def start(self, epochs: int, steps: int | None) -> None:
        """Show the empty bar."""
        self.epochs, self.steps = epochs, steps or 0
        self.shown = frozenset(shown_epochs(epochs))
        self.drawn = self.began = self.started = time.perf_counter()
        self._draw(0, "")

    def batch(self, step: int, meters: Meters) -> None:
        """Redraw, unless that was done a moment ago."""
        self.samples = meters.samples
        now = time.perf_counter()
        if now - self.drawn < _REDRAW_HTML:
            return
        done = len(self._rows) * self.steps + step
        left = (now - self.started) / done * (self.epochs * self.steps - done) if self.steps else 0.0
        pace = f"{self.samples / (now - self.began):,.0f} samples/s"
        eta = f" - ETA {left:.0f}s" if self.steps else ""
        found = meters.results().items()
        values = " - ".join(f"{name}: {value:.4f}" for name, value in found if np.ndim(value) == 0)
        self._draw(done, f"Epoch {len(self._rows) + 1}/{self.epochs} - {values} - {pace}{eta}")

    def epoch(self, number: int, logs: dict[str, float], seconds: float) -> None:
        """Add a row."""
        self._rows.append((number, {name: one for name, one in logs.items() if np.ndim(one) == 0}, seconds))
        self.began = time.perf_counter()
        if self.began - self.drawn >= _REDRAW_HTML:
            self._draw(len(self._rows) * self.steps, "")

    def stop(self, reason: str | None) -> None:
        """Leave the table, and say why training ended early."""
        self._draw(None, f"Stopped: {reason}" if reason else "")

    def _draw(self, done: int | None, note: str) -> None:
        self.drawn = time.perf_counter()
        bar = ""
        if done is not None:
            total = f' value="{done}" max="{self.epochs * self.steps}"' if self.steps else ""
            bar = f"<progress{total}></progress> "
        page = self._html(f"<div>{self._table()}<p>{bar}{html.escape(note)}</p></div>")
        if self._handle is None:
            self._handle = self._display(page)
        else:
            self._handle.update(page)

    def _table(self) -> str:
        if not self._rows:
            return ""
        names = list(dict.fromkeys(name for _, logs, _ in self._rows for name in logs))
        head = "".join(f"<th>{html.escape(name)}</th>" for name in ("epoch", *names, "seconds"))
        last = self._rows[-1][0]
        rows = "".join(
            f"<tr><td>{number + 1}</td>"
            + "".join(f"<td>{logs[name]:.4f}</td>" if name in logs else "<td></td>" for name in names)
            + f"<td>{seconds:.2f}</td></tr>"
            for number, logs, seconds in self._rows
            if number in self.shown or number == last
        )
        return f"<table><tr>{head}</tr>{rows}</table>"


def _in_notebook() -> bool:
    """Whether a notebook shows what is displayed: IPython runs there with a kernel."""
    module = sys.modules.get("IPython")
    shell = None if module is None else module.get_ipython()
    return shell is not None and hasattr(shell, "kernel")


def progress_of(verbose: str | int) -> Progress:
    """The view for Keras' ``verbose``: ``"auto"``, 0 nothing, 1 a bar, 2 every line.

    ``"auto"`` is a table in a notebook, a bar on a terminal, and else lines; 1 is the table in a notebook, too.

    Raises:
        ArgumentError: another value; MissingExtraError: ``verbose=1`` without rich.
    """
    if verbose not in (0, 1, 2, "auto"):
        raise ArgumentError(f"verbose is 'auto', 0 (silent), 1 (bar) or 2 (one line per epoch), got {verbose!r}")
    if verbose == 0:
        return SilentProgress()
    if verbose == 2:
        return LineProgress(every=True)
    if _in_notebook():
        return NotebookProgress()
    if verbose == 1:
        return BarProgress()
    if sys.stdout.isatty():
        with suppress(MissingExtraError):
            return BarProgress()
    return LineProgress()
