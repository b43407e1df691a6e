"""Metrics of what is counted at thresholds: positives and negatives, precision, recall, AUC, F scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...errors import ArgumentError, ShapeError, did_you_mean
from ...tape import Array
from ..losses import same_rank
from .base import Metric, plain, ratio

__all__ = [
    "AUC",
    "F1Score",
    "FBetaScore",
    "FalseNegatives",
    "FalsePositives",
    "Precision",
    "PrecisionAtRecall",
    "Recall",
    "RecallAtPrecision",
    "SensitivityAtSpecificity",
    "SpecificityAtSensitivity",
    "TrueNegatives",
    "TruePositives",
]

_LOWEST = -1e10
_EPSILON = 1e-7
_CURVES = ("ROC", "PR", "PRGAIN")


def _as_thresholds(given: Any, default: float) -> list[float]:
    raw = list(given) if isinstance(given, (list, tuple, np.ndarray)) else [default if given is None else given]
    wrong = [one for one in raw if one is None or (one != _LOWEST and not 0.0 <= one <= 1.0)]
    if wrong:
        raise ArgumentError(f"Threshold values must be in [0, 1]. Received: {wrong}")
    return [float(one) for one in raw]


def _counts(labels: Array, outputs: Array, weights: Array, thresholds: Array) -> tuple[Array, Array, Array, Array]:
    """True positives, false positives, true negatives and false negatives at every threshold, by one sort.

    An output is positive at a threshold that it exceeds, so those exceeded by ``k`` of them lie before place ``k``.
    """
    order = np.argsort(thresholds, kind="stable")
    exceeded = np.searchsorted(thresholds[order], outputs, side="left")
    found = []
    for chosen in (labels, ~labels):
        each = np.bincount(exceeded[chosen], weights[chosen], len(thresholds) + 1)
        above = each[::-1].cumsum()[::-1][1:]
        back = np.empty_like(above)
        back[order] = above
        found.append((back, each.sum() - back))
    (tp, fn), (fp, tn) = found
    return tp, fp, tn, fn


def _only_top(outputs: Array, k: int) -> Array:
    """All but the ``k`` largest of each row (of equal ones the first) far below every threshold."""
    kept = np.argsort(-outputs, axis=-1, kind="stable")[..., :k]
    made = np.full_like(outputs, _LOWEST)
    np.put_along_axis(made, kept, np.take_along_axis(outputs, kept, -1), -1)
    return made


class _Counted(Metric):
    """Base: the four counts at every threshold."""

    sums = ("true_positives", "false_positives", "true_negatives", "false_negatives")
    true_positives: Array
    false_positives: Array
    true_negatives: Array
    false_negatives: Array
    shown: tuple[str, ...] = ()

    def __init__(
        self,
        thresholds: list[float],
        name: str | None,
        dtype: Any,
        top_k: int | None = None,
        class_id: int | None = None,
    ) -> None:
        self.thresholds, self.top_k, self.class_id = thresholds, top_k, class_id
        super().__init__(name, dtype)

    def zeros(self) -> Array:
        """One number for each threshold."""
        return np.zeros(len(self.thresholds))

    @property
    def variables(self) -> list[Any]:
        """The counts that this metric reads."""
        return [getattr(self, name) for name in self.shown or self.sums]

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Count one batch."""
        for name, more in zip(self.sums, self._counted(y_true, y_pred, sample_weight), strict=True):
            setattr(self, name, getattr(self, name) + more)

    def _counted(self, y_true: Any, y_pred: Any, sample_weight: Any) -> tuple[Array, ...]:
        y_pred, y_true = map(np.asarray, same_rank(plain(y_pred).astype(np.float64), plain(y_true)))
        weight = np.ones((1,) * y_true.ndim)
        if sample_weight is not None:
            weight = plain(sample_weight).astype(np.float64)[..., None]
            weight = np.asarray(same_rank(y_true, weight, expand=False)[1])
        if self.top_k is not None:
            y_pred = _only_top(y_pred, self.top_k)
        if self.class_id is not None:
            if y_pred.ndim == 1:
                raise ShapeError(
                    "When class_id is provided, y_pred must be a 2D array with shape (num_samples, num_classes), found "
                    f"shape: {y_pred.shape}"
                )
            y_true, y_pred = y_true[..., self.class_id, None], y_pred[..., self.class_id, None]
        weight = np.broadcast_to(weight, y_pred.shape)
        return _counts(
            y_true.astype(bool).ravel(), y_pred.ravel(), weight.ravel(), np.asarray(self.thresholds, np.float64)
        )

    def _one_or_all(self, found: Array) -> Any:
        return found[0] if len(self.thresholds) == 1 else found


class _Count(_Counted):
    """One of the four counts."""

    which = ""

    def __init__(self, thresholds: Any = None, name: str | None = None, dtype: Any = None) -> None:
        self.init_thresholds = thresholds
        self.shown = (self.which,)
        super().__init__(_as_thresholds(thresholds, 0.5), name, dtype)

    def result(self) -> Any:
        """The count; one for each threshold where several were given."""
        return self._one_or_all(getattr(self, self.which))

    def get_config(self) -> dict[str, Any]:
        """All arguments."""
        return super().get_config() | {"thresholds": self.init_thresholds}


class TruePositives(_Count):
    """How many positives were found."""

    which = "true_positives"


class TrueNegatives(_Count):
    """How many negatives were left alone."""

    which = "true_negatives"


class FalsePositives(_Count):
    """How many negatives were taken for positives."""

    which = "false_positives"


class FalseNegatives(_Count):
    """How many positives were missed."""

    which = "false_negatives"


class _Share(_Counted):
    """True positives over themselves and something else."""

    other = ""

    def __init__(
        self,
        thresholds: Any = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        self.init_thresholds = thresholds
        self.shown = ("true_positives", self.other)
        found = _as_thresholds(thresholds, 0.5 if top_k is None else _LOWEST)
        super().__init__(found, name, dtype, top_k, class_id)

    def result(self) -> Any:
        """The share; 0 where there is nothing to share."""
        found = ratio(self.true_positives, self.true_positives + getattr(self, self.other))
        return self._one_or_all(found)

    def get_config(self) -> dict[str, Any]:
        """All arguments."""
        own = {"thresholds": self.init_thresholds, "top_k": self.top_k, "class_id": self.class_id}
        return super().get_config() | own


class Precision(_Share):
    """How many of those taken for positive are: ``TP / (TP + FP)``.

    Args:
        thresholds: a number or several; 0.5 by default. top_k: only the largest outputs count as positive.
        class_id: only this column.
    """

    other = "false_positives"


class Recall(_Share):
    """How many of the positives were found: ``TP / (TP + FN)``. Arguments: :class:`Precision`."""

    other = "false_negatives"


def _evenly(count: int) -> list[float]:
    if count < 1:
        raise ArgumentError(f"Argument `num_thresholds` must be an integer > 0. Received: num_thresholds={count}")
    return [0.5] if count == 1 else [i / (count - 1) for i in range(count)]


class _Constrained(_Counted):
    """The best of one share while another keeps a bound, over evenly spaced thresholds."""

    bound = ""

    def __init__(
        self,
        value: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        if not 0.0 <= value <= 1.0:
            raise ArgumentError(f"Argument `{self.bound}` must be in the range [0, 1]. Received: {self.bound}={value}")
        self.value, self.num_thresholds = value, num_thresholds
        setattr(self, self.bound, value)
        super().__init__(_evenly(num_thresholds), name, dtype, class_id=class_id)

    def _shares(self) -> dict[str, Array]:
        tp, fp, tn, fn = (getattr(self, name) for name in self.sums)
        return {
            "sensitivity": ratio(tp, tp + fn),
            "recall": ratio(tp, tp + fn),
            "specificity": ratio(tn, tn + fp),
            "precision": ratio(tp, tp + fp),
        }

    def _best(self, of: str) -> Any:
        shares = self._shares()
        return np.where(shares[self.bound] >= self.value, shares[of], 0.0).max(initial=0.0)

    def get_config(self) -> dict[str, Any]:
        """All arguments."""
        own = {"num_thresholds": self.num_thresholds, self.bound: self.value, "class_id": self.class_id}
        return super().get_config() | own


class SensitivityAtSpecificity(_Constrained):
    """The best sensitivity at a specificity of at least ``specificity``."""

    bound = "specificity"

    def __init__(self, specificity: float, *args: Any, **options: Any) -> None:
        super().__init__(specificity, *args, **options)

    def result(self) -> Any:
        """The sensitivity."""
        return self._best("sensitivity")


class SpecificityAtSensitivity(_Constrained):
    """The best specificity at a sensitivity of at least ``sensitivity``."""

    bound = "sensitivity"

    def __init__(self, sensitivity: float, *args: Any, **options: Any) -> None:
        super().__init__(sensitivity, *args, **options)

    def result(self) -> Any:
        """The specificity."""
        return self._best("specificity")


class PrecisionAtRecall(_Constrained):
    """The best precision at a recall of at least ``recall``."""

    bound = "recall"

    def __init__(self, recall: float, *args: Any, **options: Any) -> None:
        super().__init__(recall, *args, **options)

    def result(self) -> Any:
        """The precision."""
        return self._best("precision")


class RecallAtPrecision(_Constrained):
    """The best recall at a precision of at least ``precision``."""

    bound = "precision"

    def __init__(self, precision: float, *args: Any, **options: Any) -> None:
        super().__init__(precision, *args, **options)

    def result(self) -> Any:
        """The recall."""
        return self._best("recall")


class AUC(_Counted):
    """The area under the ROC or the precision-recall curve, summed over thresholds as Keras does.

    :func:`tinygrad_mlp.train` has the exact area (no thresholds) under the name ``"auc"``.

    Args:
        num_thresholds: how many, evenly between 0 and 1. thresholds: these instead.
        curve: ``"ROC"``, ``"PR"`` or ``"PRGAIN"``.
        summation_method: ``"interpolation"`` (trapezoids; for PR the hyperbola of Davis & Goadrich, 2006),
            ``"minoring"`` or ``"majoring"``.
        multi_label: one area for each column, then their (weighted) mean; ``num_labels`` columns.
        label_weights: of the columns. from_logits: the outputs still need a sigmoid.
    """

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: Any = None,
        thresholds: Sequence[float] | None = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Sequence[float] | None = None,
        from_logits: bool = False,
    ) -> None:
        if thresholds is None and num_thresholds <= 1:
            raise ArgumentError(
                f"Argument `num_thresholds` must be an integer > 1. Received: num_thresholds={num_thresholds}"
            )
        ways = ["interpolation", "minoring", "majoring"]
        if curve not in _CURVES:
            raise ArgumentError(f'Invalid AUC curve value: "{curve}". {did_you_mean("curve", curve, _CURVES)}')
        if summation_method not in ways:
            raise ArgumentError(
                f'Invalid AUC summation method value: "{summation_method}". '
                + did_you_mean("summation_method", summation_method, ways)
            )
        if num_labels and not multi_label:
            raise ArgumentError("`num_labels` is needed only when `multi_label` is True.")
        inner = sorted(thresholds) if thresholds is not None else _evenly(num_thresholds)[1:-1]
        self._given = thresholds is not None
        self.num_thresholds = len(inner) + 2
        self.curve, self.summation_method = curve, summation_method
        self.multi_label, self.num_labels, self.from_logits = multi_label, num_labels, from_logits
        self.label_weights = None if label_weights is None else np.asarray(label_weights, np.float64)
        super().__init__([-_EPSILON, *map(float, inner), 1.0 + _EPSILON], name, dtype)

    def zeros(self) -> Array:
        """One number for each threshold, and with ``multi_label`` for each column."""
        many = (len(self.thresholds), self.num_labels or 1) if self.multi_label else (len(self.thresholds),)
        return np.zeros(many)

    def _counted(self, y_true: Any, y_pred: Any, sample_weight: Any) -> tuple[Array, ...]:
        y_true, y_pred = plain(y_true), plain(y_pred).astype(np.float64)
        if self.from_logits:
            y_pred = np.where(y_pred >= 0, 1.0, np.exp(-np.abs(y_pred))) / (1.0 + np.exp(-np.abs(y_pred)))
        if y_pred.size and not ((y_pred >= 0).all() and (y_pred <= 1).all()):
            raise ArgumentError(
                f"AUC takes probabilities, got outputs from {y_pred.min():.3g} to {y_pred.max():.3g}; say AUC("
                "from_logits=True) for outputs without a sigmoid"
            )
        if not self.multi_label:
            if self.label_weights is not None:
                weights = np.ones(len(y_true)) if sample_weight is None else plain(sample_weight)
                return self._flat(y_true, y_pred, weights.reshape(-1, 1) * self.label_weights)
            return super()._counted(y_true, y_pred, sample_weight)
        if self.num_labels is None:
            self.num_labels = y_pred.shape[-1]
            self.reset_state()
        weights = np.ones(len(y_true)) if sample_weight is None else plain(sample_weight).reshape(-1)
        thresholds = np.asarray(self.thresholds)
        columns = [
            _counts(y_true[:, one].astype(bool), y_pred[:, one], weights, thresholds) for one in range(self.num_labels)
        ]
        return tuple([np.stack(kind, -1) for kind in zip(*columns, strict=True)])

    def _flat(self, y_true: Array, y_pred: Array, weights: Array) -> tuple[Array, ...]:
        weights = np.broadcast_to(weights, y_pred.shape)
        found = (y_true.astype(bool).ravel(), y_pred.ravel(), weights.ravel())
        return _counts(*found, np.asarray(self.thresholds))

    def result(self) -> Any:
        """The area."""
        if self.curve == "PR" and self.summation_method == "interpolation":
            areas = self._hyperbolas()
        else:
            recall = ratio(self.true_positives, self.true_positives + self.false_negatives)
            if self.curve == "ROC":
                x, y = ratio(self.false_positives, self.false_positives + self.true_negatives), recall
            elif self.curve == "PRGAIN":
                x, y = self._gains()
            else:
                x, y = recall, ratio(self.true_positives, self.true_positives + self.false_positives)
            heights = {
                "interpolation": (y[:-1] + y[1:]) / 2.0,
                "minoring": np.minimum(y[:-1], y[1:]),
                "majoring": np.maximum(y[:-1], y[1:]),
            }[self.summation_method]
            areas = ((x[:-1] - x[1:]) * heights).sum(0)
        if not self.multi_label:
            return areas
        return areas.mean() if self.label_weights is None else ratio((areas * self.label_weights).sum(), self._whole())

    def _gains(self) -> tuple[Array, Array]:
        """Recall and precision on a scale where the share of positives is 0. Source: Flach & Kull, NeurIPS 2015."""
        scale = ratio(self.true_positives + self.false_negatives, self.true_negatives + self.false_positives)
        recall = 1.0 - scale * ratio(self.false_negatives, self.true_positives)
        precision = 1.0 - scale * ratio(self.false_positives, self.true_positives)
        none = self.true_positives == 0
        return np.maximum(np.where(none, 0.0, recall), 0.0), np.where(none, 1.0, precision)

    def _whole(self) -> Any:
        assert self.label_weights is not None
        return self.label_weights.sum()

    def _hyperbolas(self) -> Any:
        tp, p = self.true_positives, self.true_positives + self.false_positives
        more, wider = tp[:-1] - tp[1:], p[:-1] - p[1:]
        slope = ratio(more, np.maximum(wider, 0))
        start = tp[1:] - slope * p[1:]
        both = (p[:-1] > 0) & (p[1:] > 0)
        growth = np.where(both, ratio(p[:-1], np.maximum(p[1:], 0)), 1.0)
        positives = np.maximum(tp[1:] + self.false_negatives[1:], 0)
        pieces = ratio(slope * (more + start * np.log(np.where(both, growth, 1.0))), positives)
        return pieces.sum(0)

    def get_config(self) -> dict[str, Any]:
        """All arguments."""
        own: dict[str, Any] = {
            "num_thresholds": self.num_thresholds,
            "curve": self.curve,
            "summation_method": self.summation_method,
            "multi_label": self.multi_label,
            "num_labels": self.num_labels,
            "label_weights": None if self.label_weights is None else self.label_weights.tolist(),
            "from_logits": self.from_logits,
        }
        if self._given:
            own["thresholds"] = self.thresholds[1:-1]
        return super().get_config() | own


class FBetaScore(Metric):
    """``(1 + b^2) P R / (b^2 P + R)`` of precision and recall; of each class, then averaged.

    Args:
        average: None (one score per class), ``"micro"``, ``"macro"`` or ``"weighted"``. beta: the weight of recall.
        threshold: above it a class counts as predicted; by default only the largest output does.

    Raises:
        ArgumentError: an option out of range. When called: ShapeError for anything but ``(batch, classes)``.
    """

    sums = ("true_positives", "false_positives", "false_negatives", "intermediate_weights")

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str = "fbeta_score",
        dtype: Any = None,
    ) -> None:
        if average not in {None, "micro", "macro", "weighted"}:
            raise ArgumentError(
                "Invalid `average` argument value. Expected one of: {None, 'micro', 'macro', 'weighted'}. "
                f"Received: average={average}"
            )
        if not isinstance(beta, float):
            raise ArgumentError(
                f"Invalid `beta` argument value. It should be a Python float. Received: beta={beta} of type "
                f"'{type(beta)}'"
            )
        if beta <= 0.0:
            raise ArgumentError(f"Invalid `beta` argument value. It should be > 0. Received: beta={beta}")
        if threshold is not None and not isinstance(threshold, float):
            raise ArgumentError(
                "Invalid `threshold` argument value. It should be a Python float. Received: threshold="
                f"{threshold} of type '{type(threshold)}'"
            )
        if threshold is not None and not 0.0 < threshold <= 1.0:
            raise ArgumentError(
                "Invalid `threshold` argument value. It should verify 0 < threshold <= 1. Received: threshold="
                f"{threshold}"
            )
        self.average, self.beta, self.threshold = average, beta, threshold
        super().__init__(name, dtype)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Count one batch."""
        y_true, y_pred = plain(y_true).astype(np.float64), plain(y_pred)
        if y_true.ndim != 2 or y_pred.ndim != 2:
            raise ShapeError(
                f"{type(self).__name__} expects 2D inputs with shape (batch_size, output_dim), got y_pred.shape="
                f"{y_pred.shape} and y_true.shape={y_true.shape}"
            )
        if self.threshold is None:
            found = (y_pred >= y_pred.max(-1, keepdims=True)) & (np.abs(y_pred) > 1e-9)
        else:
            found = y_pred > self.threshold
        axis = None if self.average == "micro" else 0
        weight = np.ones((len(y_true), 1)) if sample_weight is None else plain(sample_weight).reshape(-1, 1)
        parts = (found * y_true, found * (1 - y_true), (1 - found) * y_true, y_true)
        for name, part in zip(self.sums, parts, strict=True):
            setattr(self, name, getattr(self, name) + (part * weight).sum(axis))

    def result(self) -> Any:
        """The score or the scores."""
        tp, fp, fn, weight = (getattr(self, name) for name in self.sums)
        precision, recall = tp / (tp + fp + _EPSILON), tp / (tp + fn + _EPSILON)
        square = self.beta**2
        scores = (1 + square) * precision * recall / (square * precision + recall + _EPSILON)
        if self.average == "weighted":
            return (scores * weight / (weight.sum() + _EPSILON)).sum()
        return scores if self.average is None else scores.mean()

    def get_config(self) -> dict[str, Any]:
        """All arguments."""
        return super().get_config() | {"average": self.average, "beta": self.beta, "threshold": self.threshold}


class F1Score(FBetaScore):
    """:class:`FBetaScore` with ``beta = 1``: the harmonic mean of precision and recall."""

    def __init__(
        self, average: str | None = None, threshold: float | None = None, name: str = "f1_score", dtype: Any = None
    ) -> None:
        super().__init__(average, 1.0, threshold, name, dtype)

    def get_config(self) -> dict[str, Any]:
        """All arguments."""
        config = super().get_config()
        del config["beta"]
        return config
