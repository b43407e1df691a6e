"""What training leaves behind: Keras' History, and a little more."""

from __future__ import annotations

import html
import math
from typing import Any

from ..errors import ArgumentError, MissingExtraError, did_you_mean
from ..viz import figure_svg, plot_curve, plot_history

__all__ = ["History"]


class History:
    """The course of one training run; what :func:`tinygrad_mlp.train.fit` returns.

    Attributes:
        history: lists by name, one number per finished epoch: ``loss``, ``accuracy``, ``val_loss``, ``val_accuracy``.
        epoch: the numbers of the finished epochs, from 0.
        params: ``epochs``, ``steps`` (batches per epoch), ``batch_size``, ``samples``, ``verbose``, as fit was called.
        seconds: how long each finished epoch took, validation included.
        restored_epoch: the epoch, from 0, whose weights a callback has put back at the end; None for the last one's.
        stopped: why training ended early, ``"interrupted"`` or ``"non-finite loss …"``; None after a full run.
        compiled: ``"native"`` or ``"replay"`` if the steps of the last epoch were compiled, else None.
        uncompiled: why they were not, where they were not.

    >>> run = History({"epochs": 2})
    >>> run.append({"loss": 0.9, "accuracy": 0.5}, seconds=0.1)
    >>> run.append({"loss": 0.4, "accuracy": 0.8}, seconds=0.1)
    >>> run
    History(2 of 2 epochs, 0.2 s, loss 0.4000, accuracy 0.8000)
    >>> run.best_epoch
    1
    """

    def __init__(self, params: dict[str, Any] | None = None) -> None:
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []
        self.params: dict[str, Any] = params or {}
        self.seconds: list[float] = []
        self.restored_epoch: int | None = None
        self.stopped: str | None = None
        self.compiled: str | None = None
        self.uncompiled: str | None = None

    def append(self, logs: dict[str, float], seconds: float, epoch: int | None = None) -> None:
        """Enter one finished epoch; its number is the next one, or ``epoch``."""
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value)
        self.epoch.append((self.epoch[-1] + 1 if self.epoch else 0) if epoch is None else epoch)
        self.seconds.append(seconds)

    def add(self, logs: dict[str, float]) -> None:
        """Enter more about the last epoch: the values of ``logs`` under names it has not got yet."""
        rows = len(self.epoch)
        for name, value in logs.items():
            column = self.history.setdefault(name, [])
            if len(column) < rows:
                column += [math.nan] * (rows - 1 - len(column))
                column.append(value)

    @property
    def best_epoch(self) -> int | None:
        """The epoch with the lowest ``val_loss`` (``loss`` where nothing was validated), from 0; first of equals."""
        losses = self.history.get("val_loss") or self.history.get("loss") or []
        finite = [epoch for epoch, loss in enumerate(losses) if math.isfinite(loss)]
        return min(finite, key=losses.__getitem__, default=None)

    def plot(self, metric: str = "loss", ax: Any = None) -> Any:
        """Draw one metric and its validation twin over the epochs.

        Args:
            metric: ``"loss"``, ``"accuracy"``, …: a key of ``history`` without ``val_``.
            ax: matplotlib axes to draw into; new ones by default.

        Returns:
            The matplotlib ``Axes``; the picture is ``ax.figure``.

        Raises:
            ArgumentError: a metric that was not recorded.
            MissingExtraError: matplotlib is not installed.
        """
        if metric not in self.history:
            names = [name for name in self.history if not name.startswith("val_")]
            raise ArgumentError(did_you_mean("metric", metric, names))
        return plot_curve(self.history, metric, ax=ax)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data, ready for ``json.dumps``."""
        return {
            "history": {name: list(values) for name, values in self.history.items()},
            "epoch": list(self.epoch),
            "params": dict(self.params),
            "seconds": list(self.seconds),
            "best_epoch": self.best_epoch,
            "restored_epoch": self.restored_epoch,
            "stopped": self.stopped,
            "compiled": self.compiled,
            "uncompiled": self.uncompiled,
        }

    def __repr__(self) -> str:
        last = "".join(f", {name} {values[-1]:.4f}" for name, values in self.history.items())
        early = f", stopped: {self.stopped}" if self.stopped else ""
        epochs = f"{len(self.epoch)} of {self.params.get('epochs', len(self.epoch))} epochs"
        return f"History({epochs}, {sum(self.seconds):.1f} s{last}{early})"

    def _repr_html_(self) -> str:
        """The curves, where matplotlib is installed, and a table of the first, the best and the last epoch."""
        try:
            picture = figure_svg(plot_history(self.history)) if self.epoch else ""
        except MissingExtraError:
            picture = ""
        best = self.best_epoch
        shown = sorted({0, len(self.epoch) - 1} | ({best} if best is not None else set())) if self.epoch else []
        head = "".join(f"<th>{html.escape(name)}</th>" for name in ("epoch", *self.history))
        rows = "".join(
            f"<tr><td>{epoch + 1}{' (best)' if epoch == best else ''}</td>"
            + "".join(f"<td>{values[epoch]:.4f}</td>" for values in self.history.values())
            + "</tr>"
            for epoch in shown
        )
        return f"<div>{picture}<p>{html.escape(repr(self))}</p><table><tr>{head}</tr>{rows}</table></div>"
