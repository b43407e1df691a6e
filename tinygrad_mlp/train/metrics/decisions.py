"""Metrics of classes that were decided on: accuracy, precision, recall, F1, the confusion matrix, kappa."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from ...errors import ArgumentError, ShapeError, did_you_mean
from ...tape import Array
from .base import Metric, per_sample

__all__ = ["Accuracy", "CohenKappa", "ConfusionMatrix", "F1Score", "Precision", "Recall", "TopKAccuracy"]

_AVERAGES = ("auto", "binary", "macro", "micro", "weighted", "none")


def decided(name: str, outputs: Array, targets: Array, threshold: float, multilabel: bool) -> tuple[Array, Array]:
    """What was answered and what is right: class ids, or yes and no.

    Raises:
        ShapeError: there is not one target for each answer.
    """
    if outputs.ndim > 1 and outputs.shape[1] > 1 and not multilabel:
        found = outputs.argmax(1)
        truth = targets.argmax(1) if targets.ndim == outputs.ndim and targets.shape[1] > 1 else targets
    else:
        found, truth = outputs > threshold, targets > 0.5
    if found.shape != truth.shape:
        fix = "; targets.ravel() fits" if found.shape == truth.shape[:1] and truth.size == len(truth) else ""
        raise ShapeError(f"{name}: answers of shape {found.shape}, but targets of shape {truth.shape}{fix}")
    return found, truth


class Accuracy(Metric):
    """The share of right answers.

    With two or more columns the largest output wins, against class ids ``(n,)`` or one column of targets per class;
    with one output per sample, above the threshold means class 1.

    Args:
        threshold: between class 0 and class 1, for logits 0; for probabilities say 0.5.
        multilabel: every column is a yes-or-no answer of its own, as under binary cross-entropy.
    """

    name = "accuracy"
    better = "max"
    exact = True
    sums = ("right", "answers")
    right: float
    answers: float

    def __init__(self, threshold: float = 0.0, multilabel: bool = False, name: str | None = None) -> None:
        self.threshold = threshold
        self.multilabel = multilabel
        super().__init__(name)

    def reset(self) -> None:
        """Forget everything seen."""
        self.right = self.answers = 0

    def update(self, outputs: Array, targets: Array, weights: Array | None = None) -> None:
        """Count the right answers among outputs ``(n, classes)``, ``(n, classes, …)``, ``(n,)`` or ``(n, 1)``."""
        found, truth = decided(self.name, outputs, targets, self.threshold, self.multilabel)
        if weights is None:
            self.right += int(np.count_nonzero(found == truth))
            self.answers += truth.size
        else:
            each = per_sample(truth, weights)
            assert each is not None
            self.right += float(each[found == truth].sum())
            self.answers += float(each.sum())

    def result(self) -> float:
        """Right answers / answers; NaN before the first batch."""
        return self.right / self.answers if self.answers else float("nan")


class TopKAccuracy(Metric):
    """The share of samples whose right class is among the ``k`` largest outputs; one that ties with the k-th counts.

    Args:
        k: how many answers are allowed.

    Raises:
        ArgumentError: ``k`` below 1; in ``update``: outputs that are not one column per class.
    """

    better = "max"
    exact = True
    sums = ("right", "answers")
    right: float
    answers: float

    def __init__(self, k: int = 5, name: str | None = None) -> None:
        if int(k) != k or k < 1:
            raise ArgumentError(f"TopKAccuracy: k is an integer >= 1, got {k!r}")
        self.k = int(k)
        super().__init__(name or f"top_{k}")

    def reset(self) -> None:
        """Forget everything seen."""
        self.right = self.answers = 0

    def update(self, outputs: Array, targets: Array, weights: Array | None = None) -> None:
        """Count the outputs ``(n, classes)`` that have fewer than ``k`` larger than the right class's."""
        if outputs.ndim != 2 or outputs.shape[1] < 2:
            raise ArgumentError(f"{self.name}: expected one output per class, got outputs of shape {outputs.shape}")
        truth = targets.argmax(1) if targets.ndim == 2 else targets
        if truth.shape != (len(outputs),):
            raise ShapeError(f"{self.name}: outputs of shape {outputs.shape}, but targets of shape {targets.shape}")
        mine = np.take_along_axis(outputs, truth[:, None].astype(np.intp), 1)
        right = (outputs > mine).sum(1) < self.k
        self.right += int(np.count_nonzero(right)) if weights is None else float(np.asarray(weights)[right].sum())
        self.answers += len(outputs) if weights is None else float(np.sum(weights))

    def result(self) -> float:
        """Right answers / answers; NaN before the first batch."""
        return self.right / self.answers if self.answers else float("nan")


class ConfusionMatrix(Metric):
    """How many samples of class i (row) were taken for class j (column); scikit-learn's ``confusion_matrix``.

    Outputs are one column per class, or one per sample, which makes two classes. With weights, weights are added up.

    Args:
        threshold: between class 0 and class 1 where there is one output per sample.
    """

    name = "confusion_matrix"
    exact = True
    sums = ("counts",)
    counts: Array

    def __init__(self, threshold: float = 0.0, name: str | None = None) -> None:
        self.threshold = threshold
        super().__init__(name)

    def reset(self) -> None:
        """Forget everything seen."""
        self.counts = np.zeros((0, 0), np.int64)

    def update(self, outputs: Array, targets: Array, weights: Array | None = None) -> None:
        """Count pairs of truth and answer.

        Raises:
            ArgumentError: a target that is not a class id. ShapeError: not one target per answer.
        """
        classes = outputs.shape[1] if outputs.ndim > 1 and outputs.shape[1] > 1 else 2
        found, truth = decided(self.name, outputs, targets, self.threshold, multilabel=False)
        found, truth = found.ravel().astype(np.intp), np.asarray(truth).ravel().astype(np.intp)
        if truth.size and not 0 <= truth.min() <= truth.max() < classes:
            raise ArgumentError(
                f"{self.name}: targets from {truth.min()} to {truth.max()}, but there are {classes} classes, "
                f"numbered 0 to {classes - 1}"
            )
        if weights is not None:
            weights = np.repeat(np.asarray(weights, np.float64), truth.size // max(len(outputs), 1))
        seen = np.bincount(truth * classes + found, weights, classes * classes).reshape(classes, classes)
        self._add(seen)

    def _add(self, seen: Array) -> None:
        self.counts = seen + self.counts if self.counts.size else seen

    def merge(self, other: Self) -> None:
        """Take in what another one has seen."""
        if other.counts.size:
            self._add(other.counts)

    def result(self) -> Any:
        """The matrix (classes, classes); (0, 0) before the first batch."""
        return self.counts


class _Rates(ConfusionMatrix):
    """One number per class out of the confusion matrix, averaged as scikit-learn does."""

    better = "max"

    def __init__(
        self, average: str | None = "auto", threshold: float = 0.0, zero_division: float = 0.0, name: str | None = None
    ) -> None:
        average = "none" if average is None else average
        if average not in _AVERAGES:
            raise ArgumentError(f"{type(self).__name__}: {did_you_mean('average', average, _AVERAGES)}")
        self.average = average
        self.zero_division = zero_division
        super().__init__(threshold, name)

    def _rate(self, hits: Array, answered: Array, true: Array) -> Array:
        raise NotImplementedError

    def _divided(self, above: Array, below: Array) -> Array:
        return np.asarray(
            np.divide(above, below, out=np.full(np.shape(below), float(self.zero_division)), where=below != 0)
        )

    def result(self) -> Any:
        """The rate; an array of one per class for ``average=None``; NaN before the first batch.

        Raises:
            ArgumentError: ``average="binary"`` with more than two classes.
        """
        counts = np.asarray(self.counts, np.float64)
        if not counts.size:
            return float("nan")
        hits, answered, true = np.diag(counts), counts.sum(0), counts.sum(1)
        average = self.average
        if average == "auto":
            average = "binary" if len(counts) == 2 else "macro"
        if average == "binary":
            if len(counts) != 2:
                raise ArgumentError(
                    f"{self.name}: average='binary' is for two classes, and there are {len(counts)}; "
                    "say average='macro'"
                )
            return float(self._rate(hits, answered, true)[1])
        if average == "micro":
            return float(self._rate(hits.sum()[None], answered.sum()[None], true.sum()[None])[0])
        rates = self._rate(hits, answered, true)
        if average == "none":
            return rates
        # As in scikit-learn, a class that neither occurs nor was answered takes no part.
        known = (answered + true) > 0
        weights = true[known] if average == "weighted" else np.ones(int(known.sum()))
        return float(np.average(rates[known], weights=weights)) if weights.sum() else float(self.zero_division)


class Precision(_Rates):
    """Of the samples that were taken for a class, the share that belongs to it: TP / (TP + FP).

    Args:
        average: ``"binary"`` (class 1 of two), ``"macro"`` (the mean over the classes that occur or were answered),
            ``"micro"`` (all decisions together), ``"weighted"`` (by the number of samples of each class), None (an
            array, one per class), or ``"auto"``: binary for two classes, else macro. All as in scikit-learn.
        threshold: between class 0 and class 1 where there is one output per sample; for logits 0.
        zero_division: the value where nothing was taken for a class.
    """

    name = "precision"

    def _rate(self, hits: Array, answered: Array, true: Array) -> Array:  # noqa: ARG002
        return self._divided(hits, answered)


class Recall(_Rates):
    """Of the samples of a class, the share that was taken for it: TP / (TP + FN). Arguments as for Precision."""

    name = "recall"

    def _rate(self, hits: Array, answered: Array, true: Array) -> Array:  # noqa: ARG002
        return self._divided(hits, true)


class F1Score(_Rates):
    """The harmonic mean of precision and recall: 2 TP / (2 TP + FP + FN). Arguments as for Precision."""

    name = "f1"

    def _rate(self, hits: Array, answered: Array, true: Array) -> Array:
        return self._divided(2 * hits, answered + true)


class CohenKappa(ConfusionMatrix):
    """Agreement beyond chance: (p_o - p_e) / (1 - p_e).

    Source: Cohen, "A coefficient of agreement for nominal scales", 1960.
    """

    name = "cohen_kappa"
    better = "max"

    def result(self) -> float:
        """1 for perfect agreement, 0 for that of chance; NaN where chance alone would agree."""
        counts = np.asarray(self.counts, np.float64)
        total = counts.sum()
        if not total:
            return float("nan")
        observed = np.trace(counts) / total
        chance = float(counts.sum(0) @ counts.sum(1)) / total**2
        return float((observed - chance) / (1 - chance)) if chance < 1 else float("nan")
