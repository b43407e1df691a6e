"""What training leaves behind: Keras' History, and a little more."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from ..errors import ArgumentError, MissingExtraError, StateError, did_you_mean
from ..extras import need
from ..viz import figure_svg, plot_curve, plot_history

__all__ = ["History"]


class History:
    """The course of one training run; what :func:`tinygrad_mlp.train.fit` returns.

    Attributes:
        history: lists by name, one number per finished epoch: ``loss``, ``accuracy``, ``val_loss``, ``val_accuracy``.
            An epoch that was not validated has NaN there (Keras leaves it out).
        epoch: the numbers of the finished epochs, from 0.
        params: ``epochs``, ``steps`` (batches per epoch), ``batch_size``, ``samples``, ``verbose``, as fit was called.
        seconds: how long each finished epoch took, validation included. lr: the learning rate at its beginning.
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
        self.lr: list[float] = []
        self.restored_epoch: int | None = None
        self.stopped: str | None = None
        self.compiled: str | None = None
        self.uncompiled: str | None = None

    def append(self, logs: dict[str, float], seconds: float, epoch: int | None = None, lr: float = math.nan) -> None:
        """Enter one finished epoch; its number is the next one, or ``epoch``."""
        self.epoch.append((self.epoch[-1] + 1 if self.epoch else 0) if epoch is None else epoch)
        self.seconds.append(seconds)
        self.lr.append(lr)
        self.add(logs)

    def add(self, logs: dict[str, Any]) -> None:
        """Enter ``logs`` for the last epoch; what an epoch has no value for is NaN, so that all lists stay level."""
        rows = len(self.epoch)
        for name in logs:
            self.history.setdefault(name, [])
        for name, column in self.history.items():
            column += [math.nan] * (rows - len(column))
            if name in logs:
                value = logs[name]
                column[-1] = value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value

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

    def to_pandas(self) -> Any:
        """A ``pandas.DataFrame``, one row per epoch: the metrics, ``seconds`` and ``lr``, with the epochs as index.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        pandas = need("pandas", extra="pandas", purpose="make a table of the History")
        index = pandas.Index(self.epoch, name="epoch")
        return pandas.DataFrame({**self.history, "seconds": self.seconds, "lr": self.lr}, index=index)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data, ready for ``json.dumps``, from which :meth:`from_dict` makes it again.

        JSON has no NaN and no infinity: they become ``"nan"``, ``"inf"`` and ``"-inf"``.
        """
        plain: dict[str, Any] = _plain(self._parts())
        return plain

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The History that :meth:`to_dict` was asked of.

        Raises:
            StateError: it was not a History.
        """
        found = cls()
        parts = found._parts()
        missing = sorted(set(parts) - {"best_epoch"} - set(data))
        if missing:
            raise StateError(f"expected the dict of a History, but {', '.join(map(repr, missing))} is missing")
        for name in parts:
            if name != "best_epoch":
                setattr(found, name, _restored(data[name]))
        return found

    def _parts(self) -> dict[str, Any]:
        return {
            "history": {name: list(values) for name, values in self.history.items()},
            "epoch": list(self.epoch),
            "params": dict(self.params),
            "seconds": list(self.seconds),
            "lr": list(self.lr),
            "best_epoch": self.best_epoch,
            "restored_epoch": self.restored_epoch,
            "stopped": self.stopped,
            "compiled": self.compiled,
            "uncompiled": self.uncompiled,
        }

    def __repr__(self) -> str:
        last = "".join(f", {name} {self.history[name][-1]:.4f}" for name in self._numbers())
        early = f", stopped: {self.stopped}" if self.stopped else ""
        epochs = f"{len(self.epoch)} of {self.params.get('epochs', len(self.epoch))} epochs"
        return f"History({epochs}, {sum(self.seconds):.1f} s{last}{early})"

    def _numbers(self) -> list[str]:
        """The names of what can be drawn: a confusion matrix per epoch is kept, and not shown in a line."""
        return [name for name, values in self.history.items() if all(isinstance(one, (int, float)) for one in values)]

    def _repr_html_(self) -> str:
        """The curves, where matplotlib is installed, and a table of the first, the best and the last epoch."""
        try:
            shown_names = {name: self.history[name] for name in self._numbers()}
            picture = figure_svg(plot_history(shown_names)) if self.epoch else ""
        except MissingExtraError:
            picture = ""
        best = self.best_epoch
        shown = sorted({0, len(self.epoch) - 1} | ({best} if best is not None else set())) if self.epoch else []
        names = self._numbers()
        head = "".join(f"<th>{html.escape(name)}</th>" for name in ("epoch", *names, "seconds", "lr"))
        columns = [self.history[name] for name in names]
        rows = "".join(
            f"<tr><td>{self.epoch[row] + 1}{' (best)' if row == best else ''}</td>"
            + "".join(f"<td>{values[row]:.4f}</td>" for values in columns)
            + f"<td>{self.seconds[row]:.2f}</td><td>{self.lr[row]:g}</td></tr>"
            for row in shown
        )
        return f"<div>{picture}<p>{html.escape(repr(self))}</p><table><tr>{head}</tr>{rows}</table></div>"


def _plain(value: Any) -> Any:
    """JSON in place of Python."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _restored(value: Any) -> Any:
    """Python in place of JSON."""
    if isinstance(value, dict):
        return {name: _restored(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_restored(one) for one in value]
    return float(value) if value in ("nan", "inf", "-inf") else value
