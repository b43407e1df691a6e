"""Callbacks that write down what happens, and one made of functions."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from ...errors import ArgumentError, did_you_mean
from ...extras import need
from .base import Callback, Logs

__all__ = ["CSVLogger", "LambdaCallback", "TensorBoard"]

_HOOKS = tuple(name for name in vars(Callback) if name.startswith("on_"))


class CSVLogger(Callback):
    """Write a line for every epoch into a CSV file: the epoch from 0, then the logs in alphabetical order, as Keras.

    The columns are those of the first epoch (and their ``val_`` twins where that was not validated); what an epoch has
    not got is ``NA``. Every line is on disk, as far as Python is concerned, when the next epoch begins.

    Args:
        filename: the file. separator: one character.
        append: go on behind what is in the file; else it is overwritten.
    """

    def __init__(self, filename: str | Path, separator: str = ",", append: bool = False) -> None:
        if len(separator) != 1:
            raise ArgumentError(f"CSVLogger: separator is one character, got {separator!r}; say separator=','")
        self.filename = Path(filename)
        self.separator = separator
        self.append = append
        self._file: TextIO | None = None
        self._columns: list[str] = []

    def on_train_begin(self, logs: Logs | None = None) -> None:  # noqa: ARG002
        """Open the file; of one that goes on, read the columns."""
        self._columns = []
        if self.append and self.filename.exists():
            with self.filename.open(newline="", encoding="utf-8") as file:
                self._columns = next(csv.reader(file, delimiter=self.separator), [])
        self._file = self.filename.open("a" if self.append else "w", newline="", encoding="utf-8")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write the line."""
        assert self._file is not None
        logs = logs or {}
        writer = csv.writer(self._file, delimiter=self.separator, lineterminator="\n")
        if not self._columns:
            names = sorted(logs)
            if not any(name.startswith("val_") for name in names):
                names += [f"val_{name}" for name in names] if self.run.validation is not None else []
            self._columns = ["epoch", *names]
            writer.writerow(self._columns)
        row: dict[str, Any] = {"epoch": epoch, **logs}
        writer.writerow([_plain(row[name]) if name in row else "NA" for name in self._columns])
        self._file.flush()

    def on_train_end(self, logs: Logs | None = None) -> None:  # noqa: ARG002
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


class LambdaCallback(Callback):
    """A callback made of functions, one for each hook that is named.

    >>> shout = LambdaCallback(on_epoch_end=lambda epoch, logs: print(f"{epoch}: {logs['loss']:.1f}"))

    Args:
        hooks: functions by the name of the hook, called with the hook's arguments.

    Raises:
        ArgumentError: a hook that does not exist.
    """

    def __init__(self, **hooks: Callable[..., Any]) -> None:
        for name, function in hooks.items():
            if name not in _HOOKS:
                raise ArgumentError(f"LambdaCallback: {did_you_mean('hook', name, _HOOKS)}")
            if function is not None:
                setattr(self, name, function)

    @property
    def per_batch(self) -> bool:
        """Whether a function for training batches was given."""
        return "on_train_batch_begin" in vars(self) or "on_train_batch_end" in vars(self)


class TensorBoard(Callback):
    """Write the logs for TensorBoard, in Keras' folders and under its names; needs the extra ``tensorboard``.

    ``<log_dir>/train`` and ``<log_dir>/validation`` get ``epoch_loss``, ``epoch_accuracy``, …, and the first also
    ``epoch_learning_rate``. Look at them with ``tensorboard --logdir <log_dir>``.

    Args:
        log_dir: the folder. histogram_freq: epochs between two histograms of all parameters; 0 for none.
        update_freq: ``"epoch"``; or ``"batch"``, or a number of batches, for ``batch_loss``, … as well.

    Raises:
        ArgumentError: another ``update_freq``; when training begins: MissingExtraError without tensorboardX.
    """

    def __init__(self, log_dir: str | Path = "logs", histogram_freq: int = 0, update_freq: str | int = "epoch") -> None:
        self.log_dir = Path(log_dir)
        self.histogram_freq = histogram_freq
        if update_freq not in {"epoch", "batch"} and (not isinstance(update_freq, int) or update_freq < 1):
            raise ArgumentError(
                f"TensorBoard: update_freq is 'epoch', 'batch' or a number of batches >= 1, got {update_freq!r}"
            )
        self.every = 1 if update_freq == "batch" else update_freq if isinstance(update_freq, int) else 0
        self._writers: dict[str, Any] = {}
        self._batches = 0

    @property
    def per_batch(self) -> bool:
        """Whether batches are written."""
        return self.every > 0

    def _writer(self, name: str) -> Any:
        if name not in self._writers:
            tensorboard = need("tensorboardX", extra="tensorboard", purpose="write logs for TensorBoard")
            self._writers[name] = tensorboard.SummaryWriter(str(self.log_dir / name))
        return self._writers[name]

    def on_train_begin(self, logs: Logs | None = None) -> None:  # noqa: ARG002
        """Open the first folder, so that a missing extra is found now."""
        self._writer("train")

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:  # noqa: ARG002
        """Write the logs of a batch."""
        self._batches += 1
        if self._batches % self.every == 0:
            for name, value in (logs or {}).items():
                self._scalar("train", f"batch_{name}", value, self._batches)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write the logs of an epoch, and histograms if it is their turn."""
        for name, value in (logs or {}).items():
            if name.startswith("val_"):
                self._scalar("validation", f"epoch_{name[4:]}", value, epoch)
            else:
                self._scalar("train", f"epoch_{name}", value, epoch)
        if "learning_rate" not in (logs or {}) and getattr(self.run.optimizer, "param_groups", None):
            self._scalar("train", "epoch_learning_rate", self.run.lr, epoch)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            for path, parameter in self.model.named_parameters():
                self._writer("train").add_histogram(path, parameter.data, epoch)
        for writer in self._writers.values():
            writer.flush()

    def _scalar(self, folder: str, tag: str, value: Any, step: int) -> None:
        if np.ndim(value) == 0:
            self._writer(folder).add_scalar(tag, float(value), step)

    def on_train_end(self, logs: Logs | None = None) -> None:  # noqa: ARG002
        """Close the files."""
        for writer in self._writers.values():
            writer.close()
        self._writers = {}
