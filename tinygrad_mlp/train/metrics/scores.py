"""Metrics of scores rather than of decisions: areas under curves, and the log loss."""

from __future__ import annotations

from typing import Self

import numpy as np

from ...errors import ArgumentError, ShapeError
from ...tape import Array
from .base import Metric

__all__ = ["AUC", "AveragePrecision", "LogLoss"]


def _probabilities(outputs: Array, from_logits: bool) -> Array:
    """Shares of classes (n, classes) in float64."""
    values = np.asarray(outputs, np.float64)
    if not from_logits:
        return values
    shares = np.exp(values - values.max(1, keepdims=True))
    return np.asarray(shares / shares.sum(1, keepdims=True))


class _Scored(Metric):
    """Keeps every score, for what depends on their order."""

    better = "max"
    exact = True

    def __init__(self, from_logits: bool = True, name: str | None = None) -> None:
        self.from_logits = from_logits
        super().__init__(name)

    def reset(self) -> None:
        """Forget everything seen."""
        self._kept: list[tuple[Array, Array, Array]] = []

    def update(self, outputs: Array, targets: Array, weights: Array | None = None) -> None:
        """Keep a copy of outputs ``(n,)``, ``(n, 1)`` or ``(n, classes)`` and of targets.

        Raises:
            ShapeError: not one target per sample.
        """
        scores = np.asarray(outputs, np.float64)
        scores = scores.reshape(len(scores), -1)
        truth = targets.argmax(1) if targets.ndim == 2 and targets.shape[1] > 1 else np.asarray(targets).reshape(-1)
        if truth.shape != (len(scores),):
            raise ShapeError(f"{self.name}: outputs of shape {outputs.shape}, but targets of shape {targets.shape}")
        if scores.shape[1] == 2:
            scores = scores[:, 1:] - scores[:, :1] if self.from_logits else scores[:, 1:]
        elif scores.shape[1] > 2:
            scores = _probabilities(scores, self.from_logits)
        share = np.ones(len(scores)) if weights is None else np.array(weights, np.float64)
        self._kept.append((scores.copy(), np.array(truth > 0.5 if scores.shape[1] == 1 else truth), share))

    def merge(self, other: Self) -> None:
        """Take in what another one has seen."""
        self._kept += other._kept

    def _all(self) -> tuple[Array, Array, Array]:
        scores, truth, weights = (np.concatenate(column) for column in zip(*self._kept, strict=True))
        return scores, truth, weights

    def state_dict(self) -> dict[str, Array]:
        """The scores, targets and weights."""
        return dict(zip(("scores", "truth", "weights"), self._all(), strict=True)) if self._kept else {}

    def load_state_dict(self, state: dict[str, Array]) -> None:
        """Go on from there."""
        self._kept = [(state["scores"], state["truth"], state["weights"])] if state else []

    def result(self) -> float:
        """The area; for three or more classes the mean over one class against the rest.

        NaN where all samples belong to one side, and before the first batch.
        """
        if not self._kept:
            return float("nan")
        scores, truth, weights = self._all()
        if scores.shape[1] == 1:
            return self._area(scores[:, 0], truth, weights)
        return float(np.mean([self._area(scores[:, one], truth == one, weights) for one in range(scores.shape[1])]))

    def _area(self, scores: Array, truth: Array, weights: Array) -> float:
        raise NotImplementedError

    @staticmethod
    def _steps(scores: Array, truth: Array, weights: Array) -> tuple[Array, Array]:
        """The weight of the positives and of the negatives at every distinct score, the highest first."""
        _, place = np.unique(-scores, return_inverse=True)
        yes = np.bincount(place, weights * truth)
        no = np.bincount(place, weights * ~truth)
        return yes, no


class AUC(_Scored):
    """The area under the ROC curve: how often a positive sample scores above a negative one, a tie counting half.

    Exact, ties and weights included; every score is kept. Two columns of outputs are compared with each other, three
    and more are made probabilities and judged one class against the rest, as scikit-learn's ``roc_auc_score(…,
    multi_class="ovr")``.

    Args:
        from_logits: whether outputs are logits, or probabilities.

    Source: Hanley and McNeil, "The meaning and use of the area under a ROC curve", 1982.
    """

    name = "auc"

    def _area(self, scores: Array, truth: Array, weights: Array) -> float:
        yes, no = self._steps(scores, truth, weights)
        below = no.sum() - no.cumsum()
        pairs = yes.sum() * no.sum()
        return float((yes * (below + no / 2)).sum() / pairs) if pairs else float("nan")


class AveragePrecision(_Scored):
    """The mean of the precision at every threshold, weighted with the gain in recall: sum (R_k - R_(k-1)) P_k.

    Exact, with scikit-learn's definition (no interpolation). Arguments as for AUC.
    """

    name = "average_precision"

    def _area(self, scores: Array, truth: Array, weights: Array) -> float:
        yes, no = self._steps(scores, truth, weights)
        hits, answered = yes.cumsum(), (yes + no).cumsum()
        share = np.divide(hits, answered, out=np.zeros_like(hits), where=answered > 0)
        return float((yes / yes.sum() * share).sum()) if yes.sum() else float("nan")


class LogLoss(Metric):
    """The mean of -log(probability of the right class), in float64; scikit-learn's ``log_loss``.

    Args:
        from_logits: whether outputs are logits, or probabilities.
    """

    name = "log_loss"
    better = "min"
    sums = ("total", "weight")
    total: float
    weight: float

    def __init__(self, from_logits: bool = True, name: str | None = None) -> None:
        self.from_logits = from_logits
        super().__init__(name)

    def update(self, outputs: Array, targets: Array, weights: Array | None = None) -> None:
        """Take in outputs ``(n,)``, ``(n, 1)`` or ``(n, classes)`` and class ids, or one column of targets per class.

        Raises:
            ArgumentError: a class id that has no column. ShapeError: not one target per sample.
        """
        values = np.asarray(outputs, np.float64)
        values = values.reshape(len(values), -1)
        if values.shape[1] == 1:
            values = np.hstack([np.zeros_like(values), values]) if self.from_logits else np.hstack([1 - values, values])
        if self.from_logits:
            top = values.max(1, keepdims=True)
            logs = values - top - np.log(np.exp(values - top).sum(1, keepdims=True))
        else:
            tiny = np.finfo(np.asarray(outputs).dtype if np.asarray(outputs).dtype.kind == "f" else np.float64).eps
            logs = np.log(np.clip(values, tiny, 1 - tiny))
        if targets.ndim == 2 and targets.shape[1] > 1:
            if targets.shape != values.shape:
                raise ShapeError(f"{self.name}: outputs of shape {outputs.shape}, but targets of shape {targets.shape}")
            each = -(logs * targets).sum(1)
        else:
            truth = np.asarray(targets).reshape(-1).astype(np.intp)
            if truth.shape != (len(values),):
                raise ShapeError(f"{self.name}: outputs of shape {outputs.shape}, but targets of shape {targets.shape}")
            if truth.size and not 0 <= truth.min() <= truth.max() < values.shape[1]:
                raise ArgumentError(
                    f"{self.name}: targets from {truth.min()} to {truth.max()}, but there are {values.shape[1]} classes"
                )
            each = -np.take_along_axis(logs, truth[:, None], 1)[:, 0]
        share = np.ones(len(each)) if weights is None else np.asarray(weights, np.float64)
        self.total += float((each * share).sum())
        self.weight += float(share.sum())

    def result(self) -> float:
        """The mean; NaN before the first batch."""
        return self.total / self.weight if self.weight else float("nan")
