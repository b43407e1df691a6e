"""What is done with a recorded graph: gradients as a function, one's own rules, less memory, finding mistakes."""

from __future__ import annotations

from .checkpoints import checkpoint
from .explain import Explanation, explain_grad
from .function import Function, FunctionContext, once_differentiable
from .gradients import grad
from .modes import detect_anomaly, detect_writes

__all__ = [
    "Explanation",
    "Function",
    "FunctionContext",
    "checkpoint",
    "detect_anomaly",
    "detect_writes",
    "explain_grad",
    "grad",
    "once_differentiable",
]
