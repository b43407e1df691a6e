"""Metrics that are fed batch by batch and exact at the end, whatever the sizes of the batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

import numpy as np

from ..errors import ArgumentError, ShapeError, did_you_mean
from ..tape import Array

__all__ = ["METRICS", "Accuracy", "Meters", "Metric", "RSquared"]


class Metric(Protocol):
    """Fed with outputs and targets of each batch; ``result`` is the value over everything seen.

    Attributes:
        counts: whether only whole numbers are added up, so that it does not matter how samples come in batches.
    """

    counts: bool

    def update(self, outputs: Array, targets: Array) -> None:
        """Take in one batch."""

    def result(self) -> float:
        """The value over everything seen."""
        ...


class Accuracy:
    """The share of right answers.

    With two or more columns the largest logit wins, against class ids ``(n,)`` or one column of targets per class; with
    one logit per sample, above 0 means class 1.
    """

    __slots__ = ("answers", "right")
    counts = True
    better = "max"

    def __init__(self) -> None:
        self.right = 0
        self.answers = 0

    def update(self, outputs: Array, targets: Array) -> None:
        """Count the right answers among outputs ``(n, classes)``, ``(n, classes, …)``, ``(n,)`` or ``(n, 1)``."""
        if outputs.ndim > 1 and outputs.shape[1] > 1:
            found = outputs.argmax(1)
            truth = targets.argmax(1) if targets.ndim == outputs.ndim else targets
        else:
            found, truth = outputs > 0, targets > 0.5
        if found.shape != truth.shape:
            raise ShapeError(f"accuracy: answers of shape {found.shape}, but targets of shape {truth.shape}")
        self.right += int(np.count_nonzero(found == truth))
        self.answers += truth.size

    def result(self) -> float:
        """Right answers / answers; NaN before the first batch."""
        return self.right / self.answers if self.answers else float("nan")


class RSquared:
    """The coefficient of determination, 1 - sum (y - p)^2 / sum (y - mean y)^2, over all outputs together.

    The sum of squares around the mean is merged batch by batch, which is exact and does not cancel. Source: Chan, Golub
    and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979.
    """

    __slots__ = ("answers", "centre", "residual", "spread")
    counts = False
    better = "max"

    def __init__(self) -> None:
        self.answers = 0
        self.centre = self.spread = self.residual = 0.0

    def update(self, outputs: Array, targets: Array) -> None:
        """Take in one batch; outputs and targets have one shape."""
        if outputs.shape != targets.shape:
            raise ShapeError(f"r2: outputs of shape {outputs.shape}, but targets of shape {targets.shape}")
        y = targets.astype(np.float64)
        mean = float(y.mean())
        total = self.answers + y.size
        apart = mean - self.centre
        self.residual += float(np.square(y - outputs).sum())
        self.spread += float(np.square(y - mean).sum()) + apart * apart * self.answers * y.size / total
        self.centre += apart * y.size / total
        self.answers = total

    def result(self) -> float:
        """1 for perfect predictions, 0 for those as good as the mean; NaN where all targets are equal."""
        return 1.0 - self.residual / self.spread if self.spread else float("nan")


METRICS: dict[str, Callable[[], Metric]] = {"accuracy": Accuracy, "r2": RSquared}
"""The metrics that ``fit`` and ``evaluate`` know by name."""


class Meters:
    """The loss and the metrics of one pass over the data."""

    __slots__ = ("loss", "metrics", "samples", "weighs")

    def __init__(self, names: Iterable[str], reduction: str) -> None:
        self.loss = 0.0
        self.samples = 0
        self.weighs = reduction != "sum"
        self.metrics: dict[str, Metric] = {}
        for name in names:
            if name not in METRICS:
                raise ArgumentError(did_you_mean("metric", name, METRICS))
            self.metrics[name] = METRICS[name]()

    def update(self, loss: float, outputs: Array, targets: Any) -> None:
        """Take in one batch; a mean over the batch counts with the number of samples it is the mean of."""
        samples = len(targets)
        self.loss += loss * samples if self.weighs else loss
        self.samples += samples
        for metric in self.metrics.values():
            metric.update(outputs, targets)

    def update_many(self, losses: Array, outputs: Array, targets: Array) -> None:
        """Take in several batches of one size, each argument with a first axis that counts them."""
        samples = targets.shape[1]
        for loss in losses.tolist():
            self.loss += loss * samples if self.weighs else loss
        self.samples += samples * len(losses)
        for metric in self.metrics.values():
            if metric.counts:
                metric.update(outputs.reshape(-1, *outputs.shape[2:]), targets.reshape(-1, *targets.shape[2:]))
            else:
                for one, truth in zip(outputs, targets, strict=True):
                    metric.update(one, truth)

    def results(self) -> dict[str, float]:
        """The mean loss per sample, then the metrics."""
        loss = self.loss / self.samples if self.samples else float("nan")
        return {"loss": loss} | {name: metric.result() for name, metric in self.metrics.items()}
