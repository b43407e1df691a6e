"""Training with Keras' verbs: fit, evaluate, predict, and the History that fit returns."""

from __future__ import annotations

from .callbacks import Callback
from .choices import LOSSES, OPTIMIZERS
from .history import History
from .loop import evaluate, fit, predict
from .metrics import METRICS
from .run import Run

__all__ = ["LOSSES", "METRICS", "OPTIMIZERS", "Callback", "History", "Run", "evaluate", "fit", "predict"]
