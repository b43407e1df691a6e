"""How samples become a batch, in the loader's own process and in its workers alike."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import ArgumentError, ShapeError
from ..tree import flatten, unflatten
from .datasets import Batch, Dataset, TensorDataset

__all__ = ["Fetcher", "default_collate", "sample_rng"]


class _Here(threading.local):
    """Which sample is being fetched."""

    key: tuple[int, int, int] | None = None
    rng: np.random.Generator | None = None


_here = _Here()


def sample_rng() -> np.random.Generator:
    """The generator for random changes to the sample that a data set's ``__getitem__`` is fetching.

    Its draws depend on the loader's seed, the epoch and the index of the sample, and on nothing else: not on the batch,
    not on the number of workers, not on which of them fetches it.

    Raises:
        ArgumentError: no DataLoader is fetching a sample.
    """
    if _here.key is None:
        raise ArgumentError("sample_rng() is for the __getitem__ of a data set while a DataLoader fetches from it")
    if _here.rng is None:
        seed, epoch, index = _here.key
        # The key of an order is (epoch,); a longer one cannot meet it.
        _here.rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(epoch, index))))
    return _here.rng


def default_collate(samples: Sequence[Any]) -> Batch:
    """Stack samples column by column; a sample is a tuple of columns, or one column; a column may be a tuple or dict.

    Raises:
        ShapeError: they differ in shape or nesting.
    """
    rows = [sample if isinstance(sample, tuple) else (sample,) for sample in samples]
    found = [_flat(row) for row in rows]
    shape = found[0][1]
    try:
        if any(other != shape for _, other in found):
            raise ValueError("nesting")  # noqa: TRY301 - told like any other difference
        columns = [np.stack(column) for column in zip(*[leaves for leaves, _ in found], strict=True)]
    except ValueError as error:
        shapes = sorted({str(tuple(np.shape(value) for value in leaves)) for leaves, _ in found})
        raise ShapeError(
            f"expected samples of one shape, got samples of shapes {' and '.join(shapes)} in one batch; "
            "arrays side by side are given as a tuple: DataLoader((X, y)); what has to be padded needs a collate_fn"
        ) from error
    batch: Batch = unflatten(shape, columns)
    return batch


def _flat(row: tuple[Any, ...]) -> tuple[list[Any], Any]:
    """Leaves and nesting, where a list is a leaf: rows of numbers come as lists."""
    return flatten(_boxed(row))


def _boxed(value: Any) -> Any:
    if type(value) is tuple:
        return tuple(_boxed(one) for one in value)
    if type(value) is dict:
        return {name: _boxed(one) for name, one in value.items()}
    return np.asarray(value) if isinstance(value, list) else value


class Fetcher:
    """Fetches the samples at some positions as one batch.

    An error in the data set arrives as it is, with a note that names the sample.
    """

    def __init__(self, dataset: TensorDataset | Dataset, collate: Callable[[list[Any]], Any] | None, seed: int) -> None:
        self.dataset = dataset
        self.collate = collate
        self.seed = seed

    def fetch(self, epoch: int, indices: np.ndarray[Any, Any]) -> Any:
        """One batch."""
        if self.collate is None and isinstance(self.dataset, TensorDataset):
            return self.dataset.take(indices)
        samples = [self._sample(epoch, int(index)) for index in indices]
        return default_collate(samples) if self.collate is None else self.collate(samples)

    def _sample(self, epoch: int, index: int) -> Any:
        _here.key, _here.rng = (self.seed, epoch, index), None
        try:
            return self.dataset[index]
        except Exception as error:
            error.add_note(f"while fetching sample {index} in epoch {epoch}")
            raise
        finally:
            _here.key = _here.rng = None
