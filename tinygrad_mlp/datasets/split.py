"""Preparing arrays for training: hold-out split, standardisation, one-hot targets. Names as in scikit-learn."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from ..errors import ArgumentError, DTypeError, ShapeError
from .randomness import as_generator, shuffled_indices

__all__ = ["StandardScaler", "one_hot", "to_categorical", "train_test_split"]


def train_test_split(
    *arrays: ArrayLike,
    test_size: float = 0.25,
    stratify: ArrayLike | None = None,
    seed: int | None = None,
    rng: np.random.Generator | None = None,
) -> list[NDArray[Any]]:
    """Shuffle the samples and hold some of them out.

    >>> X_train, X_test, y_train, y_test = train_test_split([[0], [1], [2], [3]], [0, 1, 0, 1], test_size=2, seed=0)
    >>> len(X_train), len(X_test)
    (2, 2)

    Args:
        arrays: arrays of one length along their first axis.
        test_size: an integer is a number of samples; a float between 0 and 1 is a share, rounded up to whole samples.
        stratify: (samples,) class labels. Each class then gets its share of the test samples, exact to less than one
            sample, and the total is still exactly ``test_size``: every class first gets the whole part of its share,
            and what is left goes to the largest remainders, ties to the lower class.
        seed, rng: an integer or a generator; not both. The same seed gives the same split.

    Returns:
        ``[a_train, a_test, b_train, b_test, ...]``, copies, in a shuffled order that is the same for all arrays.

    Raises:
        ShapeError: no arrays, different lengths, or labels of another length.
        ArgumentError: a ``test_size`` that leaves one side empty, or a class that would be missing on one side.
    """
    columns = [np.asarray(array) for array in arrays]
    samples = _common_length(columns)
    held_out = _held_out(test_size, samples)
    random = as_generator(seed, rng)
    order = shuffled_indices(samples, random)
    test = order[:held_out] if stratify is None else _stratified(order, np.asarray(stratify), held_out)
    in_test = np.zeros(samples, dtype=bool)
    in_test[test] = True
    halves = order[~in_test[order]], order[in_test[order]]
    return [column[half] for column in columns for half in halves]


def _common_length(columns: list[NDArray[Any]]) -> int:
    if not columns:
        raise ShapeError("expected at least one array, got none; write train_test_split(X, y)")
    lengths = [column.shape[0] if column.ndim else None for column in columns]
    if None in lengths or len(set(lengths)) > 1:
        raise ShapeError(f"expected arrays of one length along the first axis, got shapes {[c.shape for c in columns]}")
    return len(columns[0])


def _held_out(test_size: float, samples: int) -> int:
    # The product is rounded first: 0.07 * 100 is 7.000000000000001, and its ceiling would hold out one sample too many.
    share = isinstance(test_size, float | np.floating)
    held_out = math.ceil(round(test_size * samples, 9)) if share else int(test_size)
    if (share and not 0 < test_size < 1) or not 0 < held_out < samples:
        raise ArgumentError(
            f"expected a share 0 < test_size < 1 or a number of samples 1..{samples - 1} that "
            f"leaves both sides filled, got test_size={test_size!r} for {samples} samples"
        )
    return held_out


def _stratified(order: NDArray[np.intp], labels: NDArray[Any], held_out: int) -> NDArray[np.intp]:
    """Return the test indices: of each class, the first ones in the shuffled order."""
    if labels.shape != order.shape:
        raise ShapeError(f"expected stratify of shape (samples,) = {order.shape}, got {labels.shape}")
    classes, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    # Integer arithmetic keeps the shares exact, and so the ties between remainders too.
    taken, remainder = np.divmod(counts * held_out, order.size)
    largest = np.argsort(-remainder, kind="stable")[: held_out - taken.sum()]
    taken[largest] += 1
    missing = np.flatnonzero((taken == 0) | (taken == counts))
    if missing.size:
        where = missing[0]
        raise ArgumentError(
            f"class {classes[where].item()!r} has {counts[where]} samples, and a test set of {held_out} out of "
            f"{order.size} would leave it on one side only; choose another test_size or leave out stratify="
        )
    shuffled_codes = codes[order]
    return np.concatenate([order[shuffled_codes == code][:count] for code, count in enumerate(taken)])


@dataclass(frozen=True, eq=False)
class StandardScaler:
    """Columns with mean 0 and standard deviation 1: z = (x - mean) / scale, with mean and scale of the training set.

    >>> scaler = StandardScaler.fit([[0.0, 5.0], [2.0, 5.0]])
    >>> scaler.transform([[4.0, 5.0]])
    array([[3., 0.]])

    There is no unfitted scaler: :meth:`fit` makes one from the training data, and the same numbers then serve the test
    data. ``scale`` is the population standard deviation (divisor n), and 1 for a column that never changes.

    Attributes:
        mean, scale: (features,) float64.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    @classmethod
    def fit(cls, X: ArrayLike) -> StandardScaler:
        """Measure mean and scale of X, (samples, ...), over its first axis, in float64.

        Raises:
            ShapeError: X has no samples.
        """
        samples = np.asarray(X, dtype=np.float64)
        if samples.ndim == 0 or len(samples) == 0:
            raise ShapeError(f"expected X of shape (samples, features) with at least one sample, got {samples.shape}")
        mean = samples.mean(axis=0)
        deviation = samples.std(axis=0)
        # A constant column may come out as 1e-17 instead of 0; dividing by that would blow rounding up to size 1.
        constant = deviation <= np.abs(mean) * (10 * np.finfo(np.float64).eps)
        return cls(mean=mean, scale=np.where(constant, 1.0, deviation))

    def transform(self, X: ArrayLike) -> NDArray[Any]:
        """Return (X - mean) / scale; float64 stays float64, every other dtype gives float32."""
        values = self._checked(X)
        return ((values - self.mean) / self.scale).astype(_float_kind(values))

    def inverse_transform(self, Z: ArrayLike) -> NDArray[Any]:
        """Return Z * scale + mean, the way back; dtypes as in :meth:`transform`."""
        values = self._checked(Z)
        return (values * self.scale + self.mean).astype(_float_kind(values))

    def _checked(self, X: ArrayLike) -> NDArray[Any]:
        values = np.asarray(X)
        if values.shape[1:] != self.mean.shape or values.ndim == 0:
            raise ShapeError(
                f"expected (samples, features) with features = {self.mean.shape}, as in fit; got {values.shape}"
            )
        return values


def _float_kind(values: NDArray[Any]) -> type[np.floating[Any]]:
    return np.float64 if values.dtype == np.float64 else np.float32


def one_hot(labels: ArrayLike, classes: int | None = None, dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """Write class numbers as rows of zeros with a single one.

    >>> one_hot([0, 2], classes=3)
    array([[1., 0., 0.],
           [0., 0., 1.]], dtype=float32)

    Args:
        labels: integers of any shape, 0 .. classes - 1.
        classes: number of classes; None: the largest label + 1.
        dtype: of the result.

    Returns:
        ``labels.shape + (classes,)``.

    Raises:
        DTypeError: the labels are not integers.
        ArgumentError: a label outside 0 .. classes - 1.
    """
    numbers = np.asarray(labels)
    if numbers.dtype.kind not in "iu":
        raise DTypeError(f"expected integer class labels, got dtype {numbers.dtype}; write labels.astype(int)")
    lowest, highest = (int(numbers.min()), int(numbers.max())) if numbers.size else (0, -1)
    width = highest + 1 if classes is None else classes
    if lowest < 0 or highest >= width:
        outside = lowest if lowest < 0 else highest
        raise ArgumentError(f"expected labels in 0..{width - 1} for {width} classes, got {outside}")
    rows = np.zeros((numbers.size, width), dtype=dtype)
    rows[np.arange(numbers.size), numbers.ravel()] = 1
    return rows.reshape(*numbers.shape, width)


to_categorical = one_hot
