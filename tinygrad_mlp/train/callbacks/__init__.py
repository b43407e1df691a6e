"""Callbacks: what can be told about a run while it trains, and act on it. Names, hooks and arguments are Keras'."""

from __future__ import annotations

from .base import Callback, Callbacks, Logs
from .histograms import Histograms
from .monitor import Monitor
from .notes import CSVLogger, LambdaCallback, TensorBoard
from .rates import LearningRateScheduler, ReduceLROnPlateau
from .saving import BackupAndRestore, ModelCheckpoint
from .stopping import EarlyStopping, TerminateOnNaN

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "Callbacks",
    "EarlyStopping",
    "Histograms",
    "LambdaCallback",
    "LearningRateScheduler",
    "Logs",
    "ModelCheckpoint",
    "Monitor",
    "ReduceLROnPlateau",
    "TensorBoard",
    "TerminateOnNaN",
]
