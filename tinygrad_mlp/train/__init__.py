"""Training with Keras' verbs: fit, evaluate, predict, and the History that fit returns."""

from __future__ import annotations

from .callbacks import (
    BackupAndRestore,
    Callback,
    CSVLogger,
    EarlyStopping,
    Histograms,
    LambdaCallback,
    LearningRateScheduler,
    ModelCheckpoint,
    ReduceLROnPlateau,
    TensorBoard,
    TerminateOnNaN,
)
from .checkpoint import load_checkpoint, save_checkpoint
from .choices import LOSSES, OPTIMIZERS
from .doctor import Doctor
from .findings import DoctorWarning
from .history import History
from .loop import evaluate, fit, predict
from .lr_finder import LRFind, lr_find
from .metrics import METRICS, Metric
from .run import Run

__all__ = [
    "LOSSES",
    "METRICS",
    "OPTIMIZERS",
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "Doctor",
    "DoctorWarning",
    "EarlyStopping",
    "Histograms",
    "History",
    "LRFind",
    "LambdaCallback",
    "LearningRateScheduler",
    "Metric",
    "ModelCheckpoint",
    "ReduceLROnPlateau",
    "Run",
    "TensorBoard",
    "TerminateOnNaN",
    "evaluate",
    "fit",
    "load_checkpoint",
    "lr_find",
    "predict",
    "save_checkpoint",
]
