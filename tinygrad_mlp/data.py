"""Batches for training: :class:`TensorDataset` holds arrays side by side, :class:`DataLoader` deals them out.

Names as in torch. What differs: the order of the samples is a function of (seed, epoch) and of nothing else, so an
interrupted run can go on with the batch that came next.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .errors import ArgumentError, ShapeError

__all__ = ["DataLoader", "TensorDataset"]

Batch: TypeAlias = tuple[Any, ...]
Indices: TypeAlias = NDArray[np.intp]


class Dataset(Protocol):
    """What :class:`DataLoader` asks of a data set: a length, and one sample per position."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


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


class DataLoader:
    """Deal a data set out in batches, epoch after epoch.

    >>> loader = DataLoader((np.arange(5.0), np.arange(5)), batch_size=2)
    >>> [len(x) for x, y in loader]
    [2, 2, 1]

    Every batch is a tuple of fresh arrays (tensors where the source was a tensor), one per column, with the batch as
    first axis; writing to a batch never changes the data set.

    The order of epoch e depends on (seed, e) alone: it sorts one raw 64-bit draw per sample from
    ``PCG64(SeedSequence(seed, spawn_key=(e,)))``, which is the same on every machine and with every release of NumPy.
    Each ``for`` loop over the loader is one epoch and counts ``epoch`` up as it starts. To resume, give a new loader
    the old ``seed`` and ``epoch``, or ask for the rest of an epoch with ``loader.batches(epoch, start=batches_done)``.

    Args:
        dataset: a :class:`TensorDataset`; a tuple of arrays, ``(X, y)``; one array; or any object with ``len`` and one
            sample per position, a list of samples too, whose samples are then stacked.
        batch_size: samples per batch; the last batch holds what is left.
        shuffle: a new order in every epoch; else the data set's own.
        drop_last: leave out a last batch that is not full.
        seed: a non-negative integer. None draws one from the operating system; it is kept in ``loader.seed``.
        rng: a generator to draw the seed from, instead of ``seed``.

    Attributes:
        dataset, batch_size, shuffle, drop_last, seed: as given.
        epoch: number of the epoch that the next ``for`` loop runs, from 0.

    Raises:
        ShapeError: an empty data set, or columns of different lengths.
        ArgumentError: ``batch_size`` below 1; a negative seed; both ``seed`` and ``rng``; or ``drop_last`` with fewer
            samples than one batch, which would train on nothing.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int = 32,
        shuffle: bool = False,
        drop_last: bool = False,
        *,
        seed: int | None = None,
        rng: np.random.Generator | None = None,
    ) -> None:
        self.dataset: TensorDataset | Dataset = _as_dataset(dataset)
        self.batch_size = _as_batch_size(batch_size)
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.seed = _as_seed(seed, rng)
        self.epoch = 0
        samples = len(self.dataset)
        if samples == 0:
            raise ShapeError(f"expected at least one sample, got the empty {self.dataset!r}")
        if len(self) == 0:
            raise ArgumentError(
                f"drop_last=True with batch_size={batch_size} drops all {samples} samples; "
                f"use batch_size <= {samples} or drop_last=False"
            )

    def __len__(self) -> int:
        """Return the number of batches in one epoch."""
        full, rest = divmod(len(self.dataset), self.batch_size)
        return full + bool(rest and not self.drop_last)

    def __iter__(self) -> Iterator[Batch]:
        epoch, self.epoch = self.epoch, self.epoch + 1
        return self.batches(epoch)

    def set_epoch(self, epoch: int) -> None:
        """Make ``epoch`` the one that the next ``for`` loop runs."""
        self.epoch = epoch

    def order(self, epoch: int) -> Indices:
        """Return the positions of the samples in the order of one epoch, (samples,)."""
        samples = len(self.dataset)
        if not self.shuffle:
            return np.arange(samples)
        # The epoch is a spawn key, not a second seed: SeedSequence([seed, 0]) is SeedSequence(seed), and epoch 0 would
        # then repeat the draws of whatever else the same seed was used for.
        source = np.random.SeedSequence(self.seed, spawn_key=(epoch,))
        keys: NDArray[np.uint64] = np.random.PCG64(source).random_raw(samples)
        return np.argsort(keys, kind="stable")

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Yield the batches of one epoch from number ``start`` on, without counting ``epoch`` up."""
        order = self.order(epoch)
        take = self.dataset.take if isinstance(self.dataset, TensorDataset) else self._stack
        for batch in range(start, len(self)):
            yield take(order[batch * self.batch_size : (batch + 1) * self.batch_size])

    def _stack(self, indices: Indices) -> Batch:
        """Fetch the samples one by one and stack them, column by column."""
        samples = [self.dataset[int(index)] for index in indices]
        rows = [sample if isinstance(sample, tuple) else (sample,) for sample in samples]
        try:
            return tuple(np.stack(column) for column in zip(*rows, strict=True))
        except ValueError as error:
            shapes = sorted({str(tuple(np.shape(value) for value in row)) for row in rows})
            raise ShapeError(
                f"expected samples of one shape, got samples of shapes {' and '.join(shapes)} in one batch; "
                "arrays side by side are given as a tuple: DataLoader((X, y))"
            ) from error

    def __repr__(self) -> str:
        return (
            f"DataLoader({self.dataset!r}, {len(self)} batches of {self.batch_size}, shuffle={self.shuffle}, "
            f"drop_last={self.drop_last}, seed={self.seed}, epoch={self.epoch})"
        )


def _as_dataset(dataset: Any) -> TensorDataset | Dataset:
    if isinstance(dataset, TensorDataset):
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
        "write DataLoader((X, y))"
    )


def _as_column(column: Any) -> Any:
    return column if isinstance(column, np.ndarray) or _is_tensor(column) else np.asarray(column)


def _is_tensor(value: Any) -> bool:
    """Tell whether ``value`` is a handle on an array, to be indexed as it is so that batches are of its type."""
    return not isinstance(value, np.ndarray) and isinstance(getattr(value, "data", None), np.ndarray)


def _as_batch_size(batch_size: object) -> int:
    if not isinstance(batch_size, int | np.integer) or batch_size < 1:
        raise ArgumentError(f"expected an integer batch_size >= 1, got batch_size={batch_size!r}")
    return int(batch_size)


def _as_seed(seed: int | None, rng: np.random.Generator | None) -> int:
    if rng is not None:
        if seed is not None:
            raise ArgumentError(f"expected seed= or rng=, got both (seed={seed!r}); leave one of them out")
        return int(rng.integers(2**63))
    if seed is None:
        return int(np.random.SeedSequence().generate_state(1, np.uint64)[0])
    if seed < 0:
        raise ArgumentError(f"expected a seed >= 0, got seed={seed!r}")
    return int(seed)


def _row(column: Any) -> str:
    return f"{tuple(column.shape[1:])} {column.dtype}"
