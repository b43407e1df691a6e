"""Means of one value per sample: accuracies, errors, and the losses once more as metrics."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ...errors import ArgumentError, ShapeError, did_you_mean
from ...tape import Array
from .. import losses
from ..losses import same_rank
from .base import Mean, MeanMetricWrapper, Metric, plain

__all__ = [
    "Accuracy",
    "BinaryAccuracy",
    "BinaryCrossentropy",
    "CategoricalAccuracy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "CosineSimilarity",
    "Hinge",
    "KLDivergence",
    "LogCoshError",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "R2Score",
    "RootMeanSquaredError",
    "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy",
    "SparseTopKCategoricalAccuracy",
    "SquaredHinge",
    "TopKCategoricalAccuracy",
]


def _pair(y_true: Any, y_pred: Any) -> tuple[Array, Array]:
    a, b = same_rank(plain(y_true), plain(y_pred))
    return np.asarray(a), np.asarray(b)


def _told(matches: Any) -> Array:
    return np.asarray(matches, np.float64)


def accuracy(y_true: Any, y_pred: Any) -> Array:
    """1 where the two are equal."""
    y_true, y_pred = _pair(y_true, y_pred)
    return _told(y_true == y_pred)


def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Array:
    """1 where ``y_pred > threshold`` says what ``y_true`` says."""
    y_true, y_pred = _pair(y_true, y_pred)
    return _told((y_pred > threshold) == y_true)


def categorical_accuracy(y_true: Any, y_pred: Any) -> Array:
    """1 where the largest output is the class of the one-hot label."""
    return _told(plain(y_true).argmax(-1) == plain(y_pred).argmax(-1))


def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Array:
    """1 where the largest output is the class of that id."""
    y_true, y_pred = plain(y_true), plain(y_pred)
    if y_true.ndim == y_pred.ndim and y_true.shape[-1] == 1:
        y_true = y_true[..., 0]
    matches = _told(y_true == y_pred.argmax(-1))
    return matches[..., 0] if matches.ndim > 1 and matches.shape[-1] == 1 else matches


def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Array:
    """1 where the class of the one-hot label is among the ``k`` largest outputs."""
    y_true = plain(y_true)
    return sparse_top_k_categorical_accuracy(y_true.argmax(-1), y_pred, k)


def sparse_top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5, from_sorted_ids: bool = False) -> Array:
    """1 where the class of that id is among the ``k`` largest outputs.

    Args:
        from_sorted_ids: ``y_pred`` holds ids, best first, instead of outputs.
    """
    y_true, y_pred = plain(y_true), plain(y_pred)
    ids, rows = y_true.reshape(-1), y_pred.reshape(-1, y_pred.shape[-1])
    if from_sorted_ids:
        found = (rows[:, :k] == ids[:, None]).any(1)
    else:
        own = np.take_along_axis(rows, ids.astype(np.int64)[:, None], 1)
        found = ((rows > own).sum(1) < k) & np.isfinite(own[:, 0])
    return _told(found).reshape(y_true.shape)


def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Array:
    """The cosine of the angle between the two; as a metric it has the sign that the loss has not."""
    return -plain(losses.cosine_similarity(y_true, y_pred, axis))


def _mean_of(title: str, function: Callable[..., Any], key: str, /, **defaults: Any) -> type[MeanMetricWrapper]:
    order = list(defaults)

    def __init__(self: MeanMetricWrapper, *given: Any, **named: Any) -> None:  # noqa: N807 - becomes the class's
        # In Keras name and dtype come first, but for k.
        lead = [one for one in order if one in {"k", "fn"}]
        names = [*lead, "name", "dtype", *[one for one in order if one not in lead]]
        named |= dict(zip(names, given, strict=False))
        for one in named:
            if one not in names:
                raise ArgumentError(did_you_mean(f"argument of {title}", one, names))
        label = named.pop("name", key)
        MeanMetricWrapper.__init__(self, function, label or key, named.pop("dtype", None), **(defaults | named))

    body = {"__init__": __init__, "__doc__": f"The mean of :func:`{function.__name__}` over everything seen."}
    return type(title, (MeanMetricWrapper,), body)


Accuracy = _mean_of("Accuracy", accuracy, "accuracy")
BinaryAccuracy = _mean_of("BinaryAccuracy", binary_accuracy, "binary_accuracy", threshold=0.5)
CategoricalAccuracy = _mean_of("CategoricalAccuracy", categorical_accuracy, "categorical_accuracy")
SparseCategoricalAccuracy = _mean_of(
    "SparseCategoricalAccuracy", sparse_categorical_accuracy, "sparse_categorical_accuracy"
)
TopKCategoricalAccuracy = _mean_of(
    "TopKCategoricalAccuracy", top_k_categorical_accuracy, "top_k_categorical_accuracy", k=5
)
SparseTopKCategoricalAccuracy = _mean_of(
    "SparseTopKCategoricalAccuracy",
    sparse_top_k_categorical_accuracy,
    "sparse_top_k_categorical_accuracy",
    k=5,
    from_sorted_ids=False,
)
MeanSquaredError = _mean_of("MeanSquaredError", losses.mean_squared_error, "mean_squared_error")
MeanAbsoluteError = _mean_of("MeanAbsoluteError", losses.mean_absolute_error, "mean_absolute_error")
MeanAbsolutePercentageError = _mean_of(
    "MeanAbsolutePercentageError", losses.mean_absolute_percentage_error, "mean_absolute_percentage_error"
)
MeanSquaredLogarithmicError = _mean_of(
    "MeanSquaredLogarithmicError", losses.mean_squared_logarithmic_error, "mean_squared_logarithmic_error"
)
CosineSimilarity = _mean_of("CosineSimilarity", cosine_similarity, "cosine_similarity", axis=-1)
LogCoshError = _mean_of("LogCoshError", losses.log_cosh, "logcosh")
Hinge = _mean_of("Hinge", losses.hinge, "hinge")
SquaredHinge = _mean_of("SquaredHinge", losses.squared_hinge, "squared_hinge")
CategoricalHinge = _mean_of("CategoricalHinge", losses.categorical_hinge, "categorical_hinge")
KLDivergence = _mean_of("KLDivergence", losses.kl_divergence, "kl_divergence")
Poisson = _mean_of("Poisson", losses.poisson, "poisson")
BinaryCrossentropy = _mean_of(
    "BinaryCrossentropy", losses.binary_crossentropy, "binary_crossentropy", from_logits=False, label_smoothing=0
)
CategoricalCrossentropy = _mean_of(
    "CategoricalCrossentropy",
    losses.categorical_crossentropy,
    "categorical_crossentropy",
    from_logits=False,
    label_smoothing=0,
    axis=-1,
)
SparseCategoricalCrossentropy = _mean_of(
    "SparseCategoricalCrossentropy",
    losses.sparse_categorical_crossentropy,
    "sparse_categorical_crossentropy",
    from_logits=False,
    ignore_class=None,
    axis=-1,
)


class RootMeanSquaredError(Mean):
    """``sqrt(mean((y_true - y_pred) ** 2))`` over everything seen."""

    def __init__(self, name: str = "root_mean_squared_error", dtype: Any = None) -> None:
        super().__init__(name, dtype)

    def update_state(  # type: ignore[override]
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        """Take in one batch."""
        y_true, y_pred = _pair(y_true, y_pred)
        super().update_state(np.square(y_true.astype(np.float64) - y_pred), sample_weight)

    def result(self) -> Any:
        """The root of the mean."""
        return np.sqrt(super().result())


class R2Score(Metric):
    """The coefficient of determination, ``1 - residual / total``, of each output, then averaged.

    Args:
        class_aggregation: ``"uniform_average"``, ``"variance_weighted_average"`` or None. num_regressors: for the
            adjusted score.

    Raises:
        ArgumentError: an option out of range. When called: ShapeError for anything but ``(batch, outputs)``.
    """

    sums = ("squared_sum", "sum", "total_mse", "count", "num_samples")
    squared_sum: Array
    sum: Array
    total_mse: Array
    count: Array
    num_samples: Array

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors: int = 0,
        name: str = "r2_score",
        dtype: Any = None,
    ) -> None:
        ways = (None, "uniform_average", "variance_weighted_average")
        if class_aggregation not in ways:
            raise ArgumentError(
                f"Invalid value for argument `class_aggregation`: expected one of {ways}, got {class_aggregation!r}"
            )
        if num_regressors < 0:
            raise ArgumentError(
                f"Invalid value for argument `num_regressors`: expected a value >= 0, got {num_regressors}"
            )
        self.class_aggregation, self.num_regressors = class_aggregation, num_regressors
        super().__init__(name, dtype)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in one batch."""
        y_true, y_pred = _pair(y_true, y_pred)
        if y_true.ndim != 2 or y_pred.ndim != 2:
            raise ShapeError(
                "R2Score expects 2D inputs with shape (batch_size, output_dim), got y_pred.shape="
                f"{y_pred.shape} and y_true.shape={y_true.shape}"
            )
        weight = np.ones(()) if sample_weight is None else plain(sample_weight).astype(np.float64)
        weight = np.broadcast_to(weight[:, None] if weight.ndim == 1 else weight, y_true.shape)
        y_true = y_true.astype(np.float64)
        self.sum = self.sum + (y_true * weight).sum(0)
        self.squared_sum = self.squared_sum + (y_true * y_true * weight).sum(0)
        self.total_mse = self.total_mse + (np.square(y_true - y_pred) * weight).sum(0)
        self.count = self.count + weight.sum(0)
        self.num_samples = self.num_samples + y_true.size

    def result(self) -> Any:
        """The score; NaN before the first batch."""
        with np.errstate(divide="ignore", invalid="ignore"):
            total = self.squared_sum - self.sum * (self.sum / self.count)
            scores = 1 - self.total_mse / total
        scores = np.where(np.isinf(scores), 0.0, scores)
        if self.class_aggregation == "uniform_average":
            scores = scores.mean()
        elif self.class_aggregation == "variance_weighted_average":
            scores = (total * scores).sum() / total.sum()
        return self._adjusted(scores)

    def _adjusted(self, score: Any) -> Any:
        if not self.num_regressors:
            return score
        free = float(self.num_samples) - self.num_regressors - 1
        if free <= 0:
            what = "More independent predictors than datapoints" if free < 0 else "Division by zero"
            warnings.warn(f"{what} in adjusted R2 score. Falling back to standard R2 score.", UserWarning, stacklevel=3)
            return score
        return 1.0 - (1.0 - score) * (float(self.num_samples) - 1.0) / free

    def get_config(self) -> dict[str, Any]:
        """All arguments."""
        own = {"class_aggregation": self.class_aggregation, "num_regressors": self.num_regressors}
        return super().get_config() | own
