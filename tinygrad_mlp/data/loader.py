"""The loader: whose turn it is, and who fetches it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice, repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentError, ShapeError, StateError
from .datasets import Batch, Dataset, Indices, IterableDataset, TensorDataset, as_dataset
from .fetching import Fetcher, default_collate

__all__ = ["DataLoader"]


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
    the old ``seed`` and ``epoch``, or ask for the rest of an epoch with ``loader.batches(epoch, start=batches_done)``;
    or take ``loader.state_dict()`` at any moment: the loop over a loader that was given it begins with the next batch.

    Args:
        dataset: a :class:`TensorDataset`; a tuple of arrays, ``(X, y)``; one array; any object with ``len`` and one
            sample per position, a list of samples too, whose samples are then stacked; or an
            :class:`IterableDataset`.
        batch_size: samples per batch; the last batch holds what is left.
        shuffle: a new order in every epoch; else the data set's own.
        drop_last: leave out a last batch that is not full.
        seed: a non-negative integer. None draws one from the operating system; it is kept in ``loader.seed``.
        rng: a generator to draw the seed from, instead of ``seed``.
        num_workers: how many processes fetch batches ahead; 0 fetches them here. Batches, their order and their bits
            are the same whatever the number, :func:`sample_rng` included. Worth it where fetching a sample takes long
            (reading and decoding files); rows of arrays are faster without. A stream is read by one process.
        collate_fn: makes a batch of a list of samples; by default they are stacked column by column.
        timeout: seconds to wait for a batch of a worker; 0 for as long as the worker lives.
        start_method: of the workers, as in :mod:`multiprocessing`; by default ``"fork"`` on Linux, else ``"spawn"``,
            for which the data set must be defined at the top of a module.

    Attributes:
        dataset, batch_size, shuffle, drop_last, seed, num_workers, collate_fn: as given.
        epoch: number of the epoch that the next ``for`` loop runs, from 0.
        samples, steps: samples and batches per epoch; None for a stream.
        plain: whether batches are rows of arrays, so that whoever knows :meth:`order` can pick them too.

    Raises:
        ShapeError: an empty data set, or columns of different lengths.
        ArgumentError: ``batch_size`` below 1; a negative seed; both ``seed`` and ``rng``; a stream that is to be
            shuffled; or ``drop_last`` with fewer samples than one batch, which would train on nothing.
        WorkerError: while looping: a worker died, or took longer than ``timeout``. What the data set raises comes as it
            is, with the index of the sample and the worker's traceback in its notes.
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
        num_workers: int = 0,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        timeout: float = 0.0,
        start_method: str | None = None,
    ) -> None:
        self.dataset: TensorDataset | Dataset | IterableDataset = as_dataset(dataset)
        self.batch_size = _as_batch_size(batch_size)
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.seed = _as_seed(seed, rng)
        self.epoch = 0
        self.num_workers = _as_count("num_workers", num_workers)
        self.collate_fn = collate_fn
        self.timeout = timeout
        self.start_method = start_method
        self._start = 0
        self._running: tuple[int, int] | None = None
        if isinstance(self.dataset, IterableDataset):
            if shuffle:
                raise ArgumentError(
                    f"{type(self.dataset).__name__} is a stream and comes in its own order; say shuffle=False, and let "
                    "it shuffle itself"
                )
            return
        samples = len(self.dataset)
        if samples == 0:
            raise ShapeError(f"expected at least one sample, got the empty {self.dataset!r}")
        if len(self) == 0:
            raise ArgumentError(
                f"drop_last=True with batch_size={batch_size} drops all {samples} samples; "
                f"use batch_size <= {samples} or drop_last=False"
            )

    @property
    def samples(self) -> int | None:
        """Samples per epoch; None for a stream."""
        return None if isinstance(self.dataset, IterableDataset) else len(self.dataset)

    @property
    def steps(self) -> int | None:
        """Batches per epoch; None for a stream."""
        return None if isinstance(self.dataset, IterableDataset) else len(self)

    @property
    def plain(self) -> bool:
        """Whether batches are rows of arrays, in the places that :meth:`order` says."""
        return isinstance(self.dataset, TensorDataset) and self.collate_fn is None

    def __len__(self) -> int:
        """Return the number of batches in one epoch.

        Raises:
            TypeError: it deals out a stream.
        """
        if isinstance(self.dataset, IterableDataset):
            raise TypeError(f"{type(self.dataset).__name__} is a stream, which has no length")
        full, rest = divmod(len(self.dataset), self.batch_size)
        return full + bool(rest and not self.drop_last)

    def __iter__(self) -> Iterator[Batch]:
        start, self._start = self._start, 0
        epoch, self.epoch = self.epoch, self.epoch + 1
        return self._noted(epoch, start)

    def _noted(self, epoch: int, start: int) -> Iterator[Batch]:
        """The batches of an epoch; the state knows how many have been given."""
        self._running = (epoch, start)
        for number, batch in enumerate(self.batches(epoch, start), start + 1):
            self._running = (epoch, number)
            yield batch
        self._running = None

    def set_epoch(self, epoch: int) -> None:
        """Make ``epoch`` the one that the next ``for`` loop runs, from its first batch."""
        self.epoch = epoch
        self._start = 0
        self._running = None

    def state_dict(self) -> dict[str, int]:
        """Where it is: ``seed``, ``epoch``, and ``batch``, how many batches of that epoch have been given."""
        epoch, batch = (self.epoch, self._start) if self._running is None else self._running
        if batch and batch == self.steps:
            epoch, batch = epoch + 1, 0
        return {"seed": self.seed, "epoch": epoch, "batch": batch}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Let the next ``for`` loop begin with the batch that came after ``state`` was taken.

        Raises:
            StateError: something is missing, or is not a count.
        """
        names = ("seed", "epoch", "batch")
        wrong = [name for name in names if not isinstance(state.get(name), int | np.integer) or state[name] < 0]
        if wrong:
            raise StateError(
                f"the state of a DataLoader holds {', '.join(names)} as integers >= 0, got "
                f"{wrong[0]}={state.get(wrong[0])!r}"
            )
        self.seed = int(state["seed"])
        self.set_epoch(int(state["epoch"]))
        self._start = int(state["batch"])

    def order(self, epoch: int) -> Indices:
        """Return the positions of the samples in the order of one epoch, (samples,).

        Raises:
            TypeError: it deals out a stream.
        """
        if isinstance(self.dataset, IterableDataset):
            raise TypeError(f"{type(self.dataset).__name__} is a stream, which has no positions")
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
        if isinstance(self.dataset, IterableDataset):
            return self._streamed(epoch, start)
        order = self.order(epoch)
        places = [order[one * self.batch_size : (one + 1) * self.batch_size] for one in range(start, len(self))]
        fetcher = Fetcher(self.dataset, self.collate_fn, self.seed)
        if not self.num_workers:
            return (fetcher.fetch(epoch, indices) for indices in places)
        from .workers import fetched_by_workers  # noqa: PLC0415 - multiprocessing takes long to import

        return fetched_by_workers(
            fetcher,
            ((epoch, indices) for indices in places),
            min(self.num_workers, len(places)),
            timeout=self.timeout or None,
            start_method=self.start_method,
        )

    def _streamed(self, epoch: int, start: int) -> Iterator[Batch]:
        if not self.num_workers:
            return self._read(epoch, start)
        from .workers import fetched_by_workers  # noqa: PLC0415 - as above

        return fetched_by_workers(
            partial(self._read, start=start),
            repeat((epoch, None)),
            1,
            timeout=self.timeout or None,
            start_method=self.start_method,
        )

    def _read(self, _epoch: int, start: int) -> Iterator[Batch]:
        """Batches of a stream; those before ``start`` are read and dropped."""
        samples = iter(self.dataset)
        number = 0
        while True:
            found = list(islice(samples, self.batch_size))
            if not found or (self.drop_last and len(found) < self.batch_size):
                return
            if number >= start:
                yield default_collate(found) if self.collate_fn is None else self.collate_fn(found)
            number += 1

    def __repr__(self) -> str:
        many = "" if self.steps is None else f"{self.steps} "
        return (
            f"DataLoader({self.dataset!r}, {many}batches of {self.batch_size}, shuffle={self.shuffle}, "
            f"drop_last={self.drop_last}, seed={self.seed}, epoch={self.epoch})"
        )


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


def _as_count(name: str, value: object) -> int:
    if not isinstance(value, int | np.integer) or value < 0:
        raise ArgumentError(f"expected an integer {name} >= 0, got {name}={value!r}")
    return int(value)
