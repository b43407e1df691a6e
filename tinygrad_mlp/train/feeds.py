"""Whatever people train on, as batches of x, y and weights."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sized
from typing import Any, NamedTuple

import numpy as np

from ..data import DataLoader, TensorDataset
from ..errors import ArgumentError, ShapeError
from ..tape import Array
from ..tensor import Tensor, from_numpy
from ..tree import Structure, flatten, map_leaves, unflatten
from .advice import checked_inputs, checked_targets
from .weights import ClassWeight, sample_weights

__all__ = ["Batch", "Feed", "Inputs", "as_batch", "feed_of", "in_dtype", "tensors"]


class Batch(NamedTuple):
    """One batch: inputs and targets (one, or a tuple or dict of several), and a weight per sample or None."""

    x: Any
    y: Any
    weights: Any = None


_PAIR = flatten((0, 0))[1]


class Feed:
    """The batches of one epoch after the other.

    Attributes:
        loader: the DataLoader behind it, or None. steps, samples, batch_size: per epoch; None where nobody knows.
        targets: the targets of all samples where they are at hand, else None. Several: of the first output.
        inputs: the inputs of all samples, the same way.
        whole: whether a compiled step may go through the loader's batches by itself.
    """

    loader: DataLoader | None = None
    steps: int | None = None
    samples: int | None = None
    batch_size: int | None = None
    targets: Array | None = None
    inputs: Any = None
    whole = False

    def epoch(self, start: int = 0) -> Generator[Batch, None, None]:
        """The batches of the next epoch, from number ``start`` on."""
        raise NotImplementedError

    def unpack(self, columns: tuple[Any, ...]) -> Batch:
        """What the columns of one of the loader's batches are."""
        raise NotImplementedError


class _Loaded(Feed):
    """Batches of a DataLoader: (x, y), or (x, y, weights), or columns in the shape that ``fit`` was given."""

    def __init__(
        self,
        loader: DataLoader,
        shape: list[Structure] | None = None,
        class_weight: ClassWeight | None = None,
        steps: int | None = None,
    ) -> None:
        self.loader = loader
        self.batch_size = loader.batch_size
        self.samples = getattr(loader, "samples", None)
        total = loader.steps
        self.steps = total if steps is None else steps if total is None else min(steps, total)
        self._limit = steps
        self._shape = shape
        self._class_weight = class_weight
        columns = loader.dataset.columns if isinstance(loader.dataset, TensorDataset) else ()
        if len(columns) > 1 and loader.collate_fn is None:
            found = self._arranged(tuple(columns))
            self.inputs = found.x
            self.targets = np.asarray(_data(flatten(found.y)[0][0]))
        self.whole = class_weight is None and (steps is None or steps == total)

    def epoch(self, start: int = 0) -> Generator[Batch, None, None]:
        assert self.loader is not None
        if start:
            epoch = self.loader.epoch
            self.loader.set_epoch(epoch + 1)
            batches = self.loader.batches(epoch, start=start)
        else:
            batches = iter(self.loader)
        for number, columns in enumerate(batches, start):
            if number == self._limit:
                break
            yield self.unpack(columns)

    def unpack(self, columns: tuple[Any, ...]) -> Batch:
        batch = self._arranged(columns)
        if self._class_weight is not None:
            batch = batch._replace(weights=self._class_weight.times(batch.y, batch.weights))
        return batch

    def _arranged(self, columns: tuple[Any, ...]) -> Batch:
        if self._shape == _PAIR:  # nearly always, and cheaper
            return Batch(columns[0], columns[1])
        if self._shape is not None:
            return Batch(*unflatten(self._shape, columns))
        return as_batch(columns)


def as_batch(columns: Any) -> Batch:
    """``(x, y)`` or ``(x, y, weights)``.

    Raises:
        ArgumentError: something else.
    """
    if not isinstance(columns, (tuple, list)) or len(columns) not in {2, 3}:
        count = f"{len(columns)} columns" if isinstance(columns, (tuple, list)) else type(columns).__name__
        raise ArgumentError(
            f"expected batches (x, y) or (x, y, sample_weight), got {count}; say DataLoader((x, y)), and give several "
            "inputs as a tuple or dict: ((x1, x2), y)"
        )
    return Batch(*columns)


class _Yielded(Feed):
    """Batches that something yields: a generator, or an iterable that begins anew with every epoch."""

    def __init__(
        self, source: Iterable[Any], steps: int | None, dtype: np.dtype[Any], class_weight: ClassWeight | None
    ) -> None:
        self._source = source
        self._endless = isinstance(source, Iterator)
        self._dtype = dtype
        self._class_weight = class_weight
        self.steps = steps
        if steps is None and isinstance(source, Sized):
            self.steps = len(source)

    def epoch(self, start: int = 0) -> Generator[Batch, None, None]:
        number = start
        if start and not self._endless:
            raise ArgumentError("only a DataLoader can go on in the middle of an epoch")
        for given in self._source:
            batch = Batch(*(map_leaves(self._converted, one) for one in as_batch(given)))
            checked_inputs(batch.x)
            map_leaves(checked_targets, batch.y)
            if self._class_weight is not None:
                batch = batch._replace(weights=self._class_weight.times(batch.y, batch.weights))
            yield batch
            number += 1
            if number == self.steps:
                return
        if self.steps is not None and number < self.steps and self._endless:
            raise ArgumentError(
                f"the generator ended after {number} batches, and steps_per_epoch={self.steps} was asked for; let it "
                "yield for ever (while True:), or give a DataLoader"
            )

    def _converted(self, value: Any) -> Any:
        return None if value is None else in_dtype(value, self._dtype)


class Inputs(Feed):
    """Batches for ``predict``, which have inputs and nothing else."""

    def __init__(self, x: Any, batch_size: int, dtype: np.dtype[Any]) -> None:
        leaves, self._shape = flatten(_columns(x, dtype))
        checked_inputs(leaves)
        self.loader = DataLoader(TensorDataset(*leaves), batch_size)
        self.batch_size, self.samples, self.steps = batch_size, self.loader.samples, self.loader.steps

    def epoch(self, start: int = 0) -> Generator[Batch, None, None]:
        """The batches, in order."""
        assert self.loader is not None
        return (Batch(unflatten(self._shape, one), None) for one in self.loader.batches(0, start=start))


def feed_of(
    x: Any,
    y: Any,
    batch_size: int,
    dtype: np.dtype[Any],
    *,
    weights: Any = None,
    class_weight: Any = None,
    shuffle: bool = False,
    seed: int | None = None,
    steps: int | None = None,
) -> Feed:
    """The batches of whatever ``fit`` and ``evaluate`` are given.

    Raises:
        ArgumentError: no targets, or targets or weights beside something that brings its own. ShapeError: columns of
        different lengths. DTypeError: words.
    """
    if steps is not None and (steps < 1):
        raise ArgumentError(f"expected steps_per_epoch and validation_steps >= 1, got {steps!r}")
    if isinstance(x, (DataLoader, TensorDataset)) or _yields_batches(x):
        if y is not None or weights is not None:
            what = "targets" if y is not None else "weights"
            raise ArgumentError(
                f"a {type(x).__name__} brings its own {what}; leave {'y' if y is not None else 'sample_weight'} out, "
                "or give fit arrays: fit(model, x, y)"
            )
        balance = None if class_weight is None else ClassWeight(class_weight)
        if isinstance(x, TensorDataset):
            x = DataLoader(x, batch_size, shuffle, seed=seed)
        if isinstance(x, DataLoader):
            return _Loaded(x, None, balance, steps)
        return _Yielded(x, steps, dtype, balance)
    if y is None:
        raise ArgumentError("expected targets beside x; say fit(model, x, y), or give a DataLoader((x, y))")
    inputs, targets = _columns(x, dtype), map_leaves(checked_targets, _columns(y, dtype))
    checked_inputs(inputs)
    found = sample_weights(weights, class_weight, targets, dtype)
    leaves, shape = flatten((inputs, targets) if found is None else (inputs, targets, found))
    return _Loaded(DataLoader(TensorDataset(*leaves), batch_size, shuffle, seed=seed), shape, None, steps)


def _yields_batches(x: Any) -> bool:
    if isinstance(x, (Tensor, str, bytes, Mapping, list, tuple)) or hasattr(x, "__array__"):
        return False
    return isinstance(x, Iterator) or (hasattr(x, "__iter__") and not hasattr(x, "__getitem__"))


def _columns(value: Any, dtype: np.dtype[Any]) -> Any:
    """Arrays in place of whatever stands for them: one, or a tuple or dict of several."""
    if type(value) is dict:
        return {name: in_dtype(one, dtype) for name, one in value.items()}
    if isinstance(value, tuple) and value and all(_is_array(one) for one in value):
        return tuple(in_dtype(one, dtype) for one in value)
    return in_dtype(value, dtype)


def _is_array(value: Any) -> bool:
    """Whether it is an array with an axis of samples; a tuple of numbers, or of tuples, is data of one array."""
    return (isinstance(value, Tensor) or hasattr(value, "__array__")) and len(getattr(value, "shape", ())) > 0


def _data(value: Any) -> Any:
    return value.data if isinstance(value, Tensor) else value


def in_dtype(value: Any, dtype: np.dtype[Any]) -> Array:
    """An array, in the model's dtype where it is one of floats.

    Raises:
        ShapeError: rows of different lengths.
    """
    try:
        array = value.data if isinstance(value, Tensor) else np.asarray(value)
    except ValueError as error:
        raise ShapeError(
            f"expected rows of one length, got a {type(value).__name__} that is no array ({error}); pad the rows, or "
            "give a DataLoader with a collate_fn"
        ) from None
    # A float64 array would make every product of a float32 model a float64 one, at half the speed.
    return array.astype(dtype, copy=False) if array.dtype.kind == "f" else array


def tensors(tree: Any) -> Any:
    """Tensors in place of arrays."""
    if isinstance(tree, Tensor) or tree is None:
        return tree
    if isinstance(tree, np.ndarray):
        return from_numpy(tree)
    return map_leaves(lambda one: one if isinstance(one, Tensor) else from_numpy(np.asarray(one)), tree)
