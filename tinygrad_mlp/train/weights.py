"""Weights of samples and of classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import ArgumentError, ShapeError
from ..tape import Array
from ..tensor import Tensor
from ..tree import flatten

__all__ = ["ClassWeight", "sample_weights"]


def sample_weights(weights: Any, class_weight: Any, targets: Any, dtype: np.dtype[Any]) -> Any:
    """One weight per sample, or None; those of the samples times those of their classes.

    Raises:
        ShapeError: not one number per sample. ArgumentError: negative or not finite; as :class:`ClassWeight`.
    """
    found: Any = None
    if weights is not None:
        samples = len(flatten(targets)[0][0])
        several = type(weights) is dict or (isinstance(weights, tuple) and np.ndim(weights[0]) > 0)
        pairs = weights.items() if type(weights) is dict else enumerate(weights) if several else [("", weights)]
        checked = {name: _checked(one, samples, dtype) for name, one in pairs}
        found = checked if type(weights) is dict else tuple(checked.values()) if several else checked[""]
    if class_weight is None:
        return found
    by_class = ClassWeight(class_weight).times(targets, found)
    return np.asarray(by_class, dtype)


def _checked(given: Any, samples: int, dtype: np.dtype[Any]) -> Array:
    weights = np.asarray(given.data if isinstance(given, Tensor) else given)
    if weights.shape not in {(samples,), (samples, 1)}:
        raise ShapeError(f"sample_weight is one number per sample, ({samples},), got shape {weights.shape}")
    weights = weights.reshape(samples).astype(dtype)
    if not np.isfinite(weights).all() or (weights < 0).any():
        worst = int(np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))[0])
        raise ArgumentError(f"sample_weight holds numbers >= 0, got {weights[worst]} for sample {worst}")
    return weights


class ClassWeight:
    """What a sample counts by its class.

    Args:
        given: ``{class: weight}``, classes that are missing count 1; or ``"balanced"``: samples / (classes * samples
            of the class), as in scikit-learn, which needs the targets of all samples.

    Raises:
        ArgumentError: neither; a weight that is negative or not finite.
    """

    def __init__(self, given: Any) -> None:
        self.table: dict[int, float] | None = None
        if isinstance(given, Mapping):
            self.table = {int(one): float(weight) for one, weight in given.items()}
            for one, weight in self.table.items():
                if not (np.isfinite(weight) and weight >= 0):
                    raise ArgumentError(f"class_weight holds numbers >= 0, got {weight} for class {one}")
        elif given != "balanced":
            raise ArgumentError(
                f"class_weight is a dict of weights by class, or 'balanced', got {given!r}; "
                "say class_weight={0: 1.0, 1: 5.0}"
            )

    def times(self, targets: Any, weights: Any) -> Array:
        """The weights of these samples, multiplied with others if there are any.

        Raises:
            ArgumentError: several outputs, or targets that are not classes.
        """
        leaves = flatten(targets)[0]
        if len(leaves) != 1:
            raise ArgumentError(
                f"class_weight is for one output, and there are {len(leaves)}; give sample_weight, one per output"
            )
        y = np.asarray(leaves[0].data if isinstance(leaves[0], Tensor) else leaves[0])
        ids = y.argmax(1) if y.ndim == 2 and y.shape[1] > 1 else y.reshape(len(y), -1)[:, 0]
        if (y.ndim > 2 or y[:1].size > 1) and y.ndim != 2:
            raise ArgumentError(f"class_weight needs one class per sample, got targets of shape {y.shape}")
        if ids.dtype.kind == "f" and not np.array_equal(ids, np.round(ids)):
            raise ArgumentError("class_weight needs classes as targets, got numbers that are not whole")
        ids = ids.astype(np.intp)
        if self.table is None:
            classes, place, counts = np.unique(ids, return_inverse=True, return_counts=True)
            found = (len(ids) / (len(classes) * counts))[place]
        else:
            known, place = np.unique(ids, return_inverse=True)
            found = np.array([self.table.get(int(one), 1.0) for one in known])[place]
        return (
            found
            if weights is None
            else found
            * np.asarray(getattr(weights, "data", weights) if not isinstance(weights, np.ndarray) else weights)
        )
