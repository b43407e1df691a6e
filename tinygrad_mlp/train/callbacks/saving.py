"""Callbacks that save: the best or every model, and what a run that was killed goes on from."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any, Literal

from ...errors import ArgumentError, did_you_mean
from ...io.atomic import DISK, Files, write
from ...io.series import Series
from ...io.weights import save_weights
from ..checkpoint import Checkpoint, Described, pack_run, read_checkpoint
from .base import Callback, Logs
from .monitor import Monitor

__all__ = ["BackupAndRestore", "ModelCheckpoint"]

Often = Literal["epoch"] | int


class _Saving(Callback):
    """Saves at the end of epochs, or whenever so many batches have been done since the last time."""

    save_freq: Often

    def _begin_saving(self, owner: str, save_freq: Often) -> None:
        if save_freq != "epoch" and (type(save_freq) is not int or save_freq < 1):
            raise ArgumentError(f"{owner}: save_freq is 'epoch' or a number of batches >= 1, got {save_freq!r}")
        self.save_freq = save_freq
        self._described = Described()
        self._since = 0
        self._seen = 0

    def checkpoint_matters(self) -> bool:
        """Saving changes nothing."""
        return False

    def on_epoch_recorded(self, epoch: int, logs: Logs | None = None) -> None:
        """Save after the epoch, with everything that the other callbacks have done."""
        self._seen = 0
        if self.save_freq == "epoch":
            self._save(epoch, 0, logs or {})

    def on_train_progress(self, done: int, logs: Logs | None = None) -> None:
        """Save within the epoch."""
        if self.save_freq == "epoch":
            return
        self._since += done - self._seen
        self._seen = done
        # Between the batches of one move of the optimizer the gradients would have to be saved, too.
        if self._since >= self.save_freq and not self.run.pending:
            self._since = 0
            self._save(self.run.epoch, done, logs or {})

    def _save(self, epoch: int, batch: int, logs: Logs) -> None:
        raise NotImplementedError


class ModelCheckpoint(_Saving):
    """Save the model after every epoch, after every so many batches, or whenever a number has improved.

    Arguments are Keras'. What is saved is a training checkpoint, from which ``fit(…, resume_from=path)`` goes on, and
    which ``io.load_weights`` and ``io.load_model`` read. Files are written whole or not at all, and durably.

    Args:
        filepath: where; it may have fields: ``"{epoch:02d}-{val_loss:.2f}.safetensors"`` with the epoch counted from 1,
            ``batch`` from 1, and any number of the logs. Folders are made.
        monitor: the name in the logs that is watched.
        verbose: 0, or 1 for a line about every file.
        save_best_only: save only when the number has improved. save_weights_only: weights and nothing else.
        mode: ``"min"``, ``"max"`` or ``"auto"``.
        save_freq: ``"epoch"`` or a number of batches. In compiled epochs it is the first moment after so many at which
            control comes back to Python.
        initial_value_threshold: a value that has to be improved on for the first file.
        keep: with fields in the path, how many of the files of this run stay; None for all.
        files: what is done on the disk, for tests.

    Raises:
        ArgumentError: options out of range, a field that is not in the logs. OSError: writing failed; the file that
            was there is untouched, and training ends.
    """

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: Often = "epoch",
        initial_value_threshold: float | None = None,
        *,
        keep: int | None = None,
        files: Files = DISK,
    ) -> None:
        if keep is not None and keep < 1:
            raise ArgumentError(f"ModelCheckpoint: keep is a number of files >= 1, or None for all, got {keep!r}")
        self.filepath = os.fspath(filepath)
        self.watch = Monitor("ModelCheckpoint", monitor, mode)
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        self.keep = keep
        self.best = initial_value_threshold
        self.paths: list[str] = []
        self._threshold = initial_value_threshold
        self._files = files
        self._begin_saving("ModelCheckpoint", save_freq)

    def on_train_begin(self, logs: Logs | None = None) -> None:  # noqa: ARG002
        """Forget an earlier run."""
        self.best, self.paths = self._threshold, []
        self._begin_saving("ModelCheckpoint", self.save_freq)
        if self.save_best_only:
            self.watch.begin(self.run)

    def _save(self, epoch: int, batch: int, logs: Logs) -> None:
        if self.save_best_only:
            value = self.watch.value(self.run, logs)
            if value is None or not self.watch.better(self.run, value, self.best):
                return
            self.best = value
        path = self._path(epoch, batch, logs)
        path.parent.mkdir(parents=True, exist_ok=True)
        # In the state that is saved this file is one of those written.
        self.paths = [*[one for one in self.paths if one != str(path)], str(path)]
        older = self.paths[: -self.keep] if self.keep else []
        self.paths = self.paths[len(older) :]
        self._write(path)
        for one in older:
            with contextlib.suppress(OSError):
                self._files.remove(Path(one))
        if self.verbose:
            print(f"Epoch {epoch + 1}: saved {path}")

    def _write(self, path: Path) -> None:
        if self.save_weights_only:
            save_weights(self.model, path, files=self._files)
        else:
            write(path, pack_run(self.run, self._described), files=self._files)

    def _path(self, epoch: int, batch: int, logs: Logs) -> Path:
        fields = {**logs, "epoch": epoch + 1, "batch": batch}
        try:
            return Path(self.filepath.format(**fields))
        except KeyError as error:
            raise ArgumentError(f"ModelCheckpoint: {did_you_mean('field', error.args[0], fields)}") from None
        except (ValueError, IndexError) as error:
            raise ArgumentError(f"ModelCheckpoint: filepath {self.filepath!r}: {error}") from None

    def state_dict(self) -> dict[str, Any]:
        """The best value so far, the files written, and the batches since the last one."""
        return {"best": self.best, "paths": self.paths, "since": self._since, "seen": self._seen}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.best, self.paths = state["best"], list(state["paths"])
        self._since, self._seen = state["since"], state["seen"]


class BackupAndRestore(_Saving):
    """Make a run that is killed go on where it was when it is started again: bit by bit as if nothing had happened.

    Start the same program again: ``fit`` finds the newest checkpoint in the folder that is whole, and begins there.
    When training is done the folder is emptied. One run per folder. Arguments are Keras', and ``keep``.

    Args:
        backup_dir: the folder; made if it is not there.
        save_freq: ``"epoch"`` or a number of batches, see :class:`ModelCheckpoint`.
        delete_checkpoint: whether the files are taken away when training is done. They stay when it is interrupted, or
            ends in an error.
        keep: how many checkpoints stay; with 2 there is one in reserve if the disk damages the newest.
        files: what is done on the disk, for tests.

    Raises:
        ArgumentError: options out of range. When training begins: DamagedFileError, if there are checkpoints and none
            can be read; StateError, if they are of another run.
    """

    def __init__(
        self,
        backup_dir: str | os.PathLike[str],
        save_freq: Often = "epoch",
        delete_checkpoint: bool = True,
        *,
        keep: int = 2,
        files: Files = DISK,
    ) -> None:
        self.delete_checkpoint = delete_checkpoint
        self._series = Series(backup_dir, keep=keep, files=files)
        self._files = files
        self._finished = 0
        self._begin_saving("BackupAndRestore", save_freq)

    def checkpoint(self) -> Checkpoint | None:
        """The newest checkpoint in the folder."""
        return read_checkpoint(self._series.folder) if self._series.numbers() else None

    def on_train_begin(self, logs: Logs | None = None) -> None:  # noqa: ARG002
        """Clear away what a writer that was killed has left."""
        self._begin_saving("BackupAndRestore", self.save_freq)
        self._finished = 0
        self._series.sweep()

    def _save(self, epoch: int, batch: int, logs: Logs) -> None:  # noqa: ARG002
        del epoch, batch
        run = self.run
        number = max([run.epoch * (run.feed.steps or 0) + run.batch, *(1 + one for one in self._series.numbers()[:1])])
        self._series.write(number, pack_run(run, self._described))

    def on_epoch_recorded(self, epoch: int, logs: Logs | None = None) -> None:
        """Save after the epoch."""
        super().on_epoch_recorded(epoch, logs)
        self._finished = epoch + 1

    def on_train_end(self, logs: Logs | None = None) -> None:  # noqa: ARG002
        """Empty the folder if training is done."""
        run = self.run
        done = self._finished >= run.params["epochs"] or (run.reason not in {None, "interrupted"} and not run.diverged)
        if done and self.delete_checkpoint:
            for number in self._series.numbers():
                with contextlib.suppress(OSError):
                    self._files.remove(self._series.path(number))
            with contextlib.suppress(OSError):
                self._series.folder.rmdir()

    def state_dict(self) -> dict[str, Any]:
        """The batches since the last checkpoint."""
        return {"since": self._since, "seen": self._seen}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self._since, self._seen = state["since"], state["seen"]
