"""Metrics that are fed batch by batch and exact at the end, whatever the sizes of the batches.

Outputs are taken for logits, as the losses take them. By name, in ``fit(metrics=[…])``: those of :data:`METRICS`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...errors import ArgumentError, did_you_mean
from ...nn import BCEWithLogitsLoss
from .base import MeanOf, Metric
from .decisions import Accuracy, CohenKappa, ConfusionMatrix, F1Score, Precision, Recall, TopKAccuracy
from .regression import MeanAbsoluteError, MeanSquaredError, RootMeanSquaredError, RSquared
from .scores import AUC, AveragePrecision, LogLoss

__all__ = [
    "AUC",
    "METRICS",
    "Accuracy",
    "AveragePrecision",
    "CohenKappa",
    "ConfusionMatrix",
    "F1Score",
    "LogLoss",
    "MeanAbsoluteError",
    "MeanOf",
    "MeanSquaredError",
    "Metric",
    "Precision",
    "RSquared",
    "Recall",
    "RootMeanSquaredError",
    "TopKAccuracy",
    "metric_of",
]

METRICS: dict[str, Callable[[], Metric]] = {
    "accuracy": Accuracy,
    "auc": AUC,
    "average_precision": AveragePrecision,
    "cohen_kappa": CohenKappa,
    "confusion_matrix": ConfusionMatrix,
    "f1": F1Score,
    "log_loss": LogLoss,
    "mae": MeanAbsoluteError,
    "mse": MeanSquaredError,
    "precision": Precision,
    "r2": RSquared,
    "recall": Recall,
    "rmse": RootMeanSquaredError,
    "top_k": TopKAccuracy,
}
"""The metrics that ``fit`` and ``evaluate`` know by name."""

_ALSO = {
    "acc": "accuracy",
    "mean_absolute_error": "mae",
    "mean_squared_error": "mse",
    "r2_score": "r2",
    "roc_auc": "auc",
    "root_mean_squared_error": "rmse",
}


def metric_of(given: Any, criterion: Any = None) -> Metric:
    """The metric itself, or one made from its name or from a function.

    Args:
        given: a name, a Metric, or ``function(outputs, targets)`` on arrays; see :class:`MeanOf`.
        criterion: the loss: under binary cross-entropy every output is a yes-or-no answer of its own.

    Raises:
        ArgumentError: an unknown name, a class instead of an instance.
    """
    if isinstance(given, str):
        key = _ALSO.get(given.lower(), given.lower())
        if key not in METRICS:
            raise ArgumentError(did_you_mean("metric", given, METRICS))
        if key == "accuracy":
            return Accuracy(multilabel=isinstance(criterion, BCEWithLogitsLoss), name=given.lower())
        made = METRICS[key]()
        made.name = given.lower()
        return made
    if isinstance(given, Metric):
        return given
    if isinstance(given, type) or not callable(given):
        fix = f"say {given.__name__}()" if isinstance(given, type) else "say metrics=['accuracy']"
        raise ArgumentError(f"expected the name of a metric, a Metric or a function, got {given!r}; {fix}")
    return MeanOf(given)
