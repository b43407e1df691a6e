"""Callbacks by Keras' names and with Keras' defaults; ``self.model`` is the model of this face."""

from __future__ import annotations

from typing import Any

from ..train import callbacks as engine

__all__ = [
    "CSVLogger",
    "Callback",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ReduceLROnPlateau",
    "TensorBoard",
    "TerminateOnNaN",
]


class Callback(engine.Callback):
    """Base of one's own: ``self.model`` is the Sequential, ``self.model.stop_training = True`` ends training."""

    def set_model(self, model: Any) -> None:
        """The model of this face, not the module that is trained in its place."""
        super().set_model(getattr(model, "face", model))


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


class EarlyStopping(engine.EarlyStopping):
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


CSVLogger = engine.CSVLogger
LambdaCallback = engine.LambdaCallback
LearningRateScheduler = engine.LearningRateScheduler
ReduceLROnPlateau = engine.ReduceLROnPlateau
TensorBoard = engine.TensorBoard
TerminateOnNaN = engine.TerminateOnNaN
