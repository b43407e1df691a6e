"""Keras' face: its programs run with their import lines changed, on this package's engine.

>>> from tinygrad_mlp.keras import Sequential
>>> from tinygrad_mlp.keras.layers import Dense, Flatten
>>> model = Sequential([Flatten(input_shape=(2,)), Dense(1, activation="sigmoid")])
>>> model.compile(optimizer="sgd", loss="BinaryCrossentropy", metrics=["accuracy"])
>>> model.count_params()
3

Names, arguments, defaults and numbers are those of Keras 3; ``docs/keras.md`` lists what differs.
"""

from __future__ import annotations

from . import (
    activations,
    callbacks,
    datasets,
    initializers,
    layers,
    losses,
    metrics,
    models,
    optimizers,
    preprocessing,
    regularizers,
    utils,
)
from .layers import Input, Layer
from .losses import Loss
from .metrics import Metric
from .models import Sequential
from .optimizers import Optimizer

__all__ = [
    "Input",
    "Layer",
    "Loss",
    "Metric",
    "Optimizer",
    "Sequential",
    "activations",
    "callbacks",
    "datasets",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    "optimizers",
    "preprocessing",
    "regularizers",
    "utils",
]
