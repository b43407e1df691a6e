"""What a metric is: fed batch by batch, exact at the end, and two of them can be put together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np

from ...errors import ArgumentError, ShapeError
from ...tape import Array

__all__ = ["MeanOf", "Metric", "per_sample", "same_shape"]


class Metric:
    """Fed with outputs and targets of each batch; :meth:`result` is the value over everything seen.

    Derive from it: name the attributes that are added up in ``sums`` (numbers, or arrays), set them in :meth:`reset`,
    and add to them in :meth:`update`. Where a result is more than a function of sums, override :meth:`merge` as well.

    Attributes:
        name: under which it appears in the logs.
        better: ``"max"`` if high values are the good ones, ``"min"``, or None where neither is.
        exact: whether the split of the samples into batches cannot even change the last bit.
        sums: the names of the attributes that make up its state.
    """

    name = "metric"
    better: str | None = None
    exact = False
    sums: tuple[str, ...] = ()

    def __init__(self, name: str | None = None) -> None:
        if name is not None:
            self.name = name
        self.reset()

    def reset(self) -> None:
        """Forget everything seen."""
        for attribute in self.sums:
            setattr(self, attribute, 0.0)

    def update(self, outputs: Array, targets: Array, weights: Array | None = None) -> None:
        """Take in one batch; ``weights`` has one number per sample."""
        raise NotImplementedError

    def result(self) -> Any:
        """The value over everything seen: a number, or an array."""
        raise NotImplementedError

    def merge(self, other: Self) -> None:
        """Take in what another one of the same kind has seen."""
        for attribute in self.sums:
            setattr(self, attribute, getattr(self, attribute) + getattr(other, attribute))

    def state_dict(self) -> dict[str, Any]:
        """Everything seen, as numbers and arrays."""
        return {name: np.array(getattr(self, name)) for name in self.sums}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state_dict` gave."""
        for name in self.sums:
            value = np.array(state[name])
            setattr(self, name, value if value.ndim else value.item())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.result()!r})"


class MeanOf(Metric):
    """The mean over the samples of what a function gives for a batch.

    Args:
        function: ``function(outputs, targets)`` on arrays, giving one number per sample (n, …), or their mean as one
            number. Something else than a mean of samples does not come out exactly this way; derive from ``Metric``.
        name: the function's own by default.
    """

    sums = ("total", "weight")
    total: float
    weight: float

    def __init__(self, function: Callable[[Array, Array], Any], name: str | None = None) -> None:
        self.function = function
        super().__init__(name or getattr(function, "__name__", type(function).__name__))

    def update(self, outputs: Array, targets: Array, weights: Array | None = None) -> None:
        """Call the function."""
        found = self.function(outputs, targets)
        values = np.asarray(getattr(found, "data", found) if not isinstance(found, np.ndarray) else found, np.float64)
        if values.ndim == 0:
            if weights is not None:
                raise ArgumentError(
                    f"the metric {self.name!r} gives one number per batch, which cannot be weighted; "
                    "return one number per sample"
                )
            self.total += float(values) * len(targets)
            self.weight += len(targets)
            return
        if len(values) != len(targets):
            raise ShapeError(
                f"the metric {self.name!r} gave shape {values.shape} for {len(targets)} samples; return one number per "
                "sample, or one for the batch"
            )
        each = values.reshape(len(values), -1).mean(1)
        share = np.ones(len(each)) if weights is None else np.asarray(weights, np.float64)
        self.total += float((each * share).sum())
        self.weight += float(share.sum())

    def result(self) -> float:
        """The mean; NaN before the first batch."""
        return self.total / self.weight if self.weight else float("nan")


def same_shape(name: str, outputs: Array, targets: Array) -> None:
    """Refuse what would broadcast.

    Raises:
        ShapeError: outputs and targets differ in shape.
    """
    if outputs.shape != targets.shape:
        fix = "; targets.reshape(-1, 1) has the outputs' shape" if outputs.shape == (*targets.shape, 1) else ""
        raise ShapeError(f"{name}: outputs of shape {outputs.shape}, but targets of shape {targets.shape}{fix}")


def per_sample(values: Array, weights: Array | None) -> Array | None:
    """The weights of the samples, for every one of ``values`` (n, …)."""
    if weights is None:
        return None
    return np.broadcast_to(np.asarray(weights, np.float64).reshape(-1, *[1] * (values.ndim - 1)), values.shape)
