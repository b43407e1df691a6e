"""Training with Keras' verbs: fit, evaluate, predict, and the History that fit returns."""

from __future__ import annotations

from .choices import LOSSES, OPTIMIZERS
from .history import History
from .loop import evaluate, fit, predict
from .metrics import METRICS

__all__ = ["LOSSES", "METRICS", "OPTIMIZERS", "History", "evaluate", "fit", "predict"]
