"""Metrics by Keras' names: objects with ``update_state``, ``result`` and ``reset_state``."""

from __future__ import annotations

from typing import Any

from ...errors import ArgumentError, did_you_mean
from . import confusion, means
from .base import Mean, MeanMetricWrapper, Metric, Sum
from .confusion import (
    AUC,
    F1Score,
    FalseNegatives,
    FalsePositives,
    FBetaScore,
    Precision,
    PrecisionAtRecall,
    Recall,
    RecallAtPrecision,
    SensitivityAtSpecificity,
    SpecificityAtSensitivity,
    TrueNegatives,
    TruePositives,
)
from .means import (
    Accuracy,
    BinaryAccuracy,
    BinaryCrossentropy,
    CategoricalAccuracy,
    CategoricalCrossentropy,
    CategoricalHinge,
    CosineSimilarity,
    Hinge,
    KLDivergence,
    LogCoshError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
    R2Score,
    RootMeanSquaredError,
    SparseCategoricalAccuracy,
    SparseCategoricalCrossentropy,
    SparseTopKCategoricalAccuracy,
    SquaredHinge,
    TopKCategoricalAccuracy,
    binary_accuracy,
    categorical_accuracy,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)

__all__ = [
    "AUC",
    "Accuracy",
    "BinaryAccuracy",
    "BinaryCrossentropy",
    "CategoricalAccuracy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "CosineSimilarity",
    "F1Score",
    "FBetaScore",
    "FalseNegatives",
    "FalsePositives",
    "Hinge",
    "KLDivergence",
    "LogCoshError",
    "Mean",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanMetricWrapper",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Metric",
    "Poisson",
    "Precision",
    "PrecisionAtRecall",
    "R2Score",
    "Recall",
    "RecallAtPrecision",
    "RootMeanSquaredError",
    "SensitivityAtSpecificity",
    "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy",
    "SparseTopKCategoricalAccuracy",
    "SpecificityAtSensitivity",
    "SquaredHinge",
    "Sum",
    "TopKCategoricalAccuracy",
    "TrueNegatives",
    "TruePositives",
    "binary_accuracy",
    "categorical_accuracy",
    "deserialize",
    "get",
    "serialize",
    "sparse_categorical_accuracy",
    "sparse_top_k_categorical_accuracy",
    "top_k_categorical_accuracy",
]

_CLASSES: dict[str, Any] = {name: getattr(room, name) for room in (confusion, means) for name in room.__all__} | {
    "Mean": Mean,
    "Sum": Sum,
}

_DEFAULT_NEEDED = {
    "SensitivityAtSpecificity",
    "SpecificityAtSensitivity",
    "PrecisionAtRecall",
    "RecallAtPrecision",
}
_NAMES = {make().name: make for name, make in _CLASSES.items() if name not in _DEFAULT_NEEDED} | {
    "bce": BinaryCrossentropy,
    "mse": MeanSquaredError,
    "mae": MeanAbsoluteError,
    "mape": MeanAbsolutePercentageError,
    "msle": MeanSquaredLogarithmicError,
    "kld": KLDivergence,
    "rmse": RootMeanSquaredError,
}


def get(identifier: Any) -> Any:
    """The metric that a name, a config, an object or a function stands for.

    Raises:
        ArgumentError: an unknown name, or something that cannot be called.
    """
    if identifier is None:
        return None
    if isinstance(identifier, str):
        make = _CLASSES.get(identifier) or _NAMES.get(identifier) or _NAMES.get(identifier.lower())
        if make is None:
            raise ArgumentError(did_you_mean("metric", identifier, [*_NAMES, "accuracy", "acc"]))
        return make()
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, type):
        identifier = identifier()
    if isinstance(identifier, Metric):
        return identifier
    if not callable(identifier):
        raise ArgumentError(f"a metric is a name, a Metric or a function of (y_true, y_pred), got {identifier!r}")
    return MeanMetricWrapper(identifier, getattr(identifier, "__name__", "metric"))


def serialize(metric: Any) -> Any:
    """A name, or the class and the arguments, as plain data.

    Raises:
        ArgumentError: a metric of one's own, which a file could not name.
    """
    if metric is None or isinstance(metric, str):
        return metric
    if type(metric).__name__ in _CLASSES:
        return {"class_name": type(metric).__name__, "config": metric.get_config()}
    raise ArgumentError(f"{metric!r} cannot be saved; use a metric of keras.metrics")


def deserialize(config: dict[str, Any]) -> Metric:
    """The other way round of :func:`serialize`.

    Raises:
        ArgumentError: an unknown class.
    """
    name = config.get("class_name")
    if name not in _CLASSES:
        raise ArgumentError(did_you_mean("metric", name, _CLASSES))
    made: Metric = _CLASSES[name].from_config(config.get("config", {}))
    return made
