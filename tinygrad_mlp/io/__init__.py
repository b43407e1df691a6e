"""Files: weights and models as safetensors, torch's state dicts, scikit-learn's weights. No pickle, no foreign code.

:func:`save_weights` and :func:`load_weights` for the numbers, :func:`save_model` and :func:`load_model` for the modules
that hold them as well. What a file says is data: it can neither run code nor take more memory than its size warrants.
"""

from __future__ import annotations

from . import torch
from .models import load_model, save_model
from .sklearn import from_sklearn, to_sklearn_weights
from .weights import load_weights, save_weights

__all__ = [
    "from_sklearn",
    "load_model",
    "load_weights",
    "save_model",
    "save_weights",
    "to_sklearn_weights",
    "torch",
]
