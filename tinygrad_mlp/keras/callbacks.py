"""Callbacks by Keras' names and with Keras' defaults; ``self.model`` is the model of this face."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ..train import callbacks as engine

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ReduceLROnPlateau",
    "TensorBoard",
    "TerminateOnNaN",
]


class _Alone:
    """The run of a callback whose hooks are called by hand: all it can do is to stop the model."""

    validation = "whatever"  # a callback that watches val_loss is given it by hand
    meters = None
    weights = ""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.history = SimpleNamespace()

    def stop(self, reason: str) -> None:  # noqa: ARG002 - nobody reads it
        """Set ``model.stop_training``."""
        self.model.stop_training = True


class _Face:
    """What callbacks of this face have in common: ``self.model`` is the Sequential."""

    model: Any
    run: Any

    def set_model(self, model: Any) -> None:
        """The model of this face, not the module that is trained in its place."""
        self.model = getattr(model, "face", model)
        if "run" not in vars(self):
            self.run = _Alone(self.model)


class Callback(_Face, engine.Callback):
    """Base of one's own: ``self.model`` is the Sequential, ``self.model.stop_training = True`` ends training."""


class History(Callback):
    """Keeps the logs of every epoch, as ``fit`` does anyway and returns."""

    def __init__(self) -> None:
        self.history: dict[str, list[Any]] = {}
        self.epoch: list[int] = []

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002
        """Begin the list of epochs."""
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Enter the logs."""
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)


class EarlyStopping(_Face, engine.EarlyStopping):
    """:class:`tinygrad_mlp.train.EarlyStopping` with Keras' default: the weights stay those of the last epoch."""

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, min_delta, patience, verbose, mode, baseline, restore_best_weights, start_from_epoch)


class BackupAndRestore(_Face, engine.BackupAndRestore):
    """:class:`tinygrad_mlp.train.BackupAndRestore`: a program that was killed goes on when it is started again."""


class ModelCheckpoint(_Face, engine.ModelCheckpoint):
    """Save the model after every epoch, or whenever a number has improved; :func:`..models.load_model` reads it.

    Arguments: those of :class:`tinygrad_mlp.train.ModelCheckpoint`. A file is what ``model.save`` writes, or what
    ``model.save_weights`` does with ``save_weights_only``; it says nothing about the run, as :class:`BackupAndRestore`
    does.
    """

    def _write(self, path: Path) -> None:
        (self.model.save_weights if self.save_weights_only else self.model.save)(path)


class CSVLogger(_Face, engine.CSVLogger):
    """:class:`tinygrad_mlp.train.CSVLogger`."""


class LambdaCallback(_Face, engine.LambdaCallback):
    """:class:`tinygrad_mlp.train.LambdaCallback`."""


class LearningRateScheduler(_Face, engine.LearningRateScheduler):
    """:class:`tinygrad_mlp.train.LearningRateScheduler`."""


class ReduceLROnPlateau(_Face, engine.ReduceLROnPlateau):
    """:class:`tinygrad_mlp.train.ReduceLROnPlateau`."""


class TensorBoard(_Face, engine.TensorBoard):
    """:class:`tinygrad_mlp.train.TensorBoard`."""


class TerminateOnNaN(_Face, engine.TerminateOnNaN):
    """:class:`tinygrad_mlp.train.TerminateOnNaN`; ``fit`` ends at a loss that is not finite with it or without."""
