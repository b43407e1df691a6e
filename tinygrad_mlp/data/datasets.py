"""What can be dealt out: arrays side by side, anything with positions, and streams."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentError, ShapeError

__all__ = ["Batch", "Dataset", "Indices", "IterableDataset", "TensorDataset", "as_dataset"]

Batch: TypeAlias = tuple[Any, ...]
Indices: TypeAlias = NDArray[np.intp]


class Dataset(Protocol):
    """What :class:`DataLoader` asks of a data set: a length, and one sample per position."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


class IterableDataset:
    """A stream of samples: derive from it and write ``__iter__``, which begins anew with every epoch.

    >>> class Squares(IterableDataset):
    ...     def __iter__(self):
    ...         return (float(n * n) for n in range(5))

    It has no length and no positions, so it is dealt out in its own order.
    """

    def __iter__(self) -> Iterator[Any]:
        """The samples of one epoch."""
        raise NotImplementedError


class TensorDataset:
    """Arrays of one length, side by side: sample i is the tuple of their i-th rows.

    >>> dataset = TensorDataset(np.eye(3, dtype=np.float32), [0, 1, 2])
    >>> dataset[1][0]
    array([0., 1., 0.], dtype=float32)

    Args:
        columns: arrays, tensors, or anything that ``numpy.asarray`` takes, equal in the length of their first axis.
            Arrays are not copied. A tensor gives tensors, everything else gives arrays.

    Raises:
        ShapeError: no columns, a column without a first axis, or different lengths.
    """

    def __init__(self, *columns: Any) -> None:
        self.columns: tuple[Any, ...] = tuple(_as_column(column) for column in columns)
        shapes = [column.shape for column in self.columns]
        if not shapes:
            raise ShapeError("expected at least one array, got none; write TensorDataset(X, y)")
        if () in shapes:
            raise ShapeError(f"expected arrays with a first axis of samples, got shapes {shapes}")
        lengths = [shape[0] for shape in shapes]
        if len(set(lengths)) > 1:
            raise ShapeError(
                f"expected arrays of one length along the first axis (samples), got {' and '.join(map(str, lengths))} "
                f"from shapes {shapes}"
            )

    def __len__(self) -> int:
        length: int = self.columns[0].shape[0]
        return length

    def __getitem__(self, index: Any) -> Batch:
        return tuple(column[index] for column in self.columns)

    def take(self, indices: Indices) -> Batch:
        """Return the rows at ``indices`` of every column, as copies."""
        return tuple(
            # For small batches take costs a quarter of what indexing by an integer array does.
            column.take(indices, axis=0) if isinstance(column, np.ndarray) else column[indices]
            for column in self.columns
        )

    def __repr__(self) -> str:
        return f"TensorDataset({len(self)} samples: {', '.join(_row(column) for column in self.columns)})"


def as_dataset(dataset: Any) -> TensorDataset | Dataset | IterableDataset:
    """The data set itself, or one of the arrays given.

    Raises:
        ArgumentError: neither.
    """
    if isinstance(dataset, (TensorDataset, IterableDataset)):
        return dataset
    if isinstance(dataset, tuple):
        return TensorDataset(*dataset)
    if hasattr(dataset, "__array__") or _is_tensor(dataset):
        return TensorDataset(dataset)
    if hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__"):
        mapped: Dataset = dataset
        return mapped
    raise ArgumentError(
        f"expected arrays or a data set with len() and one sample per position, got {type(dataset).__name__}; "
        "write DataLoader((X, y)), or derive a stream of samples from IterableDataset"
    )


def _as_column(column: Any) -> Any:
    return column if isinstance(column, np.ndarray) or _is_tensor(column) else np.asarray(column)


def _is_tensor(value: Any) -> bool:
    """Tell whether ``value`` is a handle on an array, to be indexed as it is so that batches are of its type."""
    return not isinstance(value, np.ndarray) and isinstance(getattr(value, "data", None), np.ndarray)


def _row(column: Any) -> str:
    return f"{tuple(column.shape[1:])} {column.dtype}"
