"""How Keras makes names of classes."""

from __future__ import annotations

import re

__all__ = ["snake"]


def snake(name: str) -> str:
    """``MeanSquaredError`` to ``mean_squared_error``.

    >>> snake("LSTM"), snake("BatchNormalization"), snake("GlorotUniform")
    ('lstm', 'batch_normalization', 'glorot_uniform')
    """
    found = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", found).lower()
