"""Metrics of numbers: squared and absolute errors, and R²."""

from __future__ import annotations

import math
from typing import Self

import numpy as np

from ...tape import Array
from .base import Metric, per_sample, same_shape

__all__ = ["MeanAbsoluteError", "MeanSquaredError", "RSquared", "RootMeanSquaredError"]


class _MeanError(Metric):
    better = "min"
    sums = ("total", "weight")
    total: float
    weight: float

    def update(self, outputs: Array, targets: Array, weights: Array | None = None) -> None:
        """Take in one batch; outputs and targets have one shape.

        Raises:
            ShapeError: they have not.
        """
        same_shape(self.name, outputs, targets)
        errors = self._errors(np.subtract(outputs, targets, dtype=np.float64))
        share = per_sample(errors, weights)
        self.total += float(errors.sum() if share is None else (errors * share).sum())
        self.weight += errors.size if share is None else float(share.sum())

    def _errors(self, differences: Array) -> Array:
        raise NotImplementedError

    def result(self) -> float:
        """The mean over all outputs together; NaN before the first batch."""
        return self.total / self.weight if self.weight else float("nan")


class MeanAbsoluteError(_MeanError):
    """The mean of ``|p - y|``."""

    name = "mae"

    def _errors(self, differences: Array) -> Array:
        return np.abs(differences)


class MeanSquaredError(_MeanError):
    """The mean of ``(p - y)**2``."""

    name = "mse"

    def _errors(self, differences: Array) -> Array:
        return np.square(differences)


class RootMeanSquaredError(MeanSquaredError):
    """The root of the mean of ``(p - y)**2``, over all outputs together."""

    name = "rmse"

    def result(self) -> float:
        """The root; NaN before the first batch."""
        return math.sqrt(super().result())


class RSquared(Metric):
    """The coefficient of determination, 1 - sum (y - p)^2 / sum (y - mean y)^2, over all outputs together.

    The sum of squares around the mean is merged batch by batch, which is exact and does not cancel. Source: Chan, Golub
    and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979.
    """

    name = "r2"
    better = "max"
    sums = ("answers", "centre", "spread", "residual")
    answers: float
    centre: float
    spread: float
    residual: float

    def update(self, outputs: Array, targets: Array, weights: Array | None = None) -> None:
        """Take in one batch; outputs and targets have one shape.

        Raises:
            ShapeError: they have not.
        """
        same_shape(self.name, outputs, targets)
        y = targets.astype(np.float64)
        share = per_sample(y, weights)
        if share is None:
            share = np.ones_like(y)
        weight = float(share.sum())
        if not weight:
            return
        mean = float((y * share).sum()) / weight
        self.residual += float((share * np.square(y - outputs)).sum())
        self._join(weight, mean, float((share * np.square(y - mean)).sum()))

    def _join(self, weight: float, centre: float, spread: float) -> None:
        total = self.answers + weight
        apart = centre - self.centre
        self.spread += spread + apart * apart * self.answers * weight / total
        self.centre += apart * weight / total
        self.answers = total

    def merge(self, other: Self) -> None:
        """Take in what another one has seen."""
        if other.answers:
            self.residual += other.residual
            self._join(other.answers, other.centre, other.spread)

    def result(self) -> float:
        """1 for perfect predictions, 0 for those as good as the mean; NaN where all targets are equal."""
        return 1.0 - self.residual / self.spread if self.spread else float("nan")
