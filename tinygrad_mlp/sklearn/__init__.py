"""scikit-learn's face: estimators with its arguments, attributes and behaviour, that train on this engine.

They are scikit-learn estimators (``BaseEstimator`` and mixins), so pipelines, searches, ``clone`` and pickling work;
what computes is :mod:`tinygrad_mlp.nn`, :mod:`tinygrad_mlp.optim` and the tape. The room needs the extra ``sklearn``.
"""

from __future__ import annotations

from ..extras import need

# What is missing is said before it is imported.
need("sklearn", extra="sklearn", purpose="use the estimators of tinygrad_mlp.sklearn")

from .adaline import AdalineGD, AdalineSGD  # noqa: E402
from .mlp import MLPClassifier, MLPRegressor  # noqa: E402
from .neural import NeuralClassifier, NeuralRegressor  # noqa: E402
from .perceptron import Perceptron  # noqa: E402

__all__ = [
    "AdalineGD",
    "AdalineSGD",
    "MLPClassifier",
    "MLPRegressor",
    "NeuralClassifier",
    "NeuralRegressor",
    "Perceptron",
]
