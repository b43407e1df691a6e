"""Training with Keras' verbs: fit, evaluate, predict, and the History that fit returns."""

from __future__ import annotations

from .callbacks import BackupAndRestore, Callback, ModelCheckpoint
from .checkpoint import load_checkpoint, save_checkpoint
from .choices import LOSSES, OPTIMIZERS
from .history import History
from .loop import evaluate, fit, predict
from .lr_finder import LRFind, lr_find
from .metrics import METRICS
from .run import Run

__all__ = [
    "LOSSES",
    "METRICS",
    "OPTIMIZERS",
    "BackupAndRestore",
    "Callback",
    "History",
    "LRFind",
    "ModelCheckpoint",
    "Run",
    "evaluate",
    "fit",
    "load_checkpoint",
    "lr_find",
    "predict",
    "save_checkpoint",
]
