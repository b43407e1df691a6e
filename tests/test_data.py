"""DataLoader and TensorDataset: the laws of dealing a data set out in batches."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_mlp.data import DataLoader, TensorDataset
from tinygrad_mlp.errors import ArgumentError, ShapeError
from tinygrad_mlp.tensor import Tensor

X = np.arange(20, dtype=np.float32).reshape(10, 2)
Y = np.arange(10)


class Handle:
    """The least that is a tensor to a loader: a handle with an array in ``.data`` that indexes to a handle."""

    def __init__(self, data: np.ndarray[Any, Any]) -> None:
        self.data = data
        self.shape = data.shape
        self.dtype = data.dtype

    def __getitem__(self, index: Any) -> Handle:
        return Handle(self.data[index])


@given(
    samples=st.integers(1, 70),
    batch_size=st.integers(1, 80),
    drop_last=st.booleans(),
    shuffle=st.booleans(),
    seed=st.integers(0, 2**64),
)
def test_an_epoch_deals_every_sample_once(
    samples: int, batch_size: int, drop_last: bool, shuffle: bool, seed: int
) -> None:
    """Batches are full but the last, len() counts them, rows stay side by side, each sample comes once."""
    rows = np.arange(samples)
    if drop_last and batch_size > samples:
        with pytest.raises(ArgumentError, match=f"drops all {samples} samples"):
            DataLoader(rows, batch_size, drop_last=True)
        return
    loader = DataLoader((rows, -rows.astype(np.float32)), batch_size, shuffle, drop_last, seed=seed)
    batches = list(loader)
    assert len(batches) == len(loader)
    assert all(np.array_equal(x, -y) for x, y in batches)
    sizes = [len(x) for x, _ in batches]
    whole, rest = divmod(samples, batch_size)
    assert sizes == [batch_size] * whole + [rest] * bool(rest and not drop_last)
    dealt = np.concatenate([x for x, _ in batches])
    assert len(set(dealt.tolist())) == len(dealt)
    if not shuffle:
        assert np.array_equal(dealt, rows[: len(dealt)])


def orders(loader: DataLoader, epochs: int) -> list[list[int]]:
    """Run a loader over labels for some epochs and give the order of each."""
    return [np.concatenate([batch[-1] for batch in loader]).tolist() for _ in range(epochs)]


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    """Same seed, same orders, each epoch another; batch size, data and NumPy's global state have no part in it."""
    first = orders(DataLoader((X, Y), 3, shuffle=True, seed=7), 3)
    np.random.seed(0)
    assert orders(DataLoader((X * 2, Y), 4, shuffle=True, seed=7), 3) == first
    assert len({tuple(order) for order in first}) == 3
    assert orders(DataLoader((X, Y), shuffle=True, seed=8), 3) != first
    assert all(sorted(order) == list(range(10)) for order in first)


def test_epoch_0_does_not_repeat_other_draws_from_the_same_seed() -> None:
    """A split and a loader with one seed must not shuffle alike."""
    keys = np.random.default_rng(0).bit_generator.random_raw(100)
    assert not np.array_equal(DataLoader(np.arange(100), shuffle=True, seed=0).order(0), np.argsort(keys))


def test_the_order_is_the_same_on_every_machine() -> None:
    """These numbers are promised: a change of them breaks every stored run."""
    loader = DataLoader(Y, shuffle=True, seed=0)
    assert loader.order(0).tolist() == [6, 3, 8, 1, 4, 5, 9, 2, 7, 0]
    assert loader.order(1).tolist() == [1, 3, 8, 6, 2, 0, 7, 5, 4, 9]


def test_every_position_is_equally_likely() -> None:
    """Over 3,000 epochs each sample stands at each position about as often (chi-square far below any doubt)."""
    loader = DataLoader(np.arange(6), shuffle=True, seed=1)
    counts = np.zeros((6, 6))
    for epoch in range(3000):
        counts[np.arange(6), loader.order(epoch)] += 1
    assert np.sum((counts - 500) ** 2 / 500) < 60


def test_a_run_goes_on_where_it_stopped() -> None:
    """A new loader with the old seed and epoch, or batches(epoch, start), gives what would have come."""
    straight = DataLoader((X, Y), 3, shuffle=True, seed=3)
    wanted = [batch[1].tolist() for batch in itertools.chain(straight, straight, straight)]
    resumed = DataLoader((X, Y), 3, shuffle=True, seed=straight.seed)
    resumed.set_epoch(1)
    assert [batch[1].tolist() for batch in resumed.batches(1, start=2)] == wanted[6:8]
    assert resumed.epoch == 1
    assert [batch[1].tolist() for batch in itertools.chain(resumed, resumed)] == wanted[4:]
    assert resumed.epoch == 3


def test_a_broken_off_epoch_counts() -> None:
    """A loop that breaks after one batch does not see the same first batch again."""
    loader = DataLoader(np.arange(1000), 10, shuffle=True, seed=0)
    first, second = next(iter(loader))[0], next(iter(loader))[0]
    assert loader.epoch == 2
    assert not np.array_equal(first, second)


def test_two_loops_at_once_do_not_disturb_each_other() -> None:
    """Each loop over the loader is an epoch of its own."""
    loader = DataLoader(Y, 1, shuffle=True, seed=0)
    pairs = list(zip(loader, loader, strict=True))
    assert [int(a[0][0]) for a, _ in pairs] == loader.order(0).tolist()
    assert [int(b[0][0]) for _, b in pairs] == loader.order(1).tolist()


def test_without_a_seed_one_is_drawn_and_kept() -> None:
    """Two loaders differ; the kept seed repeats the run; a generator gives the same seed as its twin."""
    one, other = DataLoader(Y, shuffle=True), DataLoader(Y, shuffle=True)
    assert one.seed != other.seed
    assert orders(DataLoader(Y, shuffle=True, seed=one.seed), 2) == orders(one, 2)
    twins = [DataLoader(Y, shuffle=True, rng=np.random.default_rng(4)) for _ in range(2)]
    assert orders(twins[0], 2) == orders(twins[1], 2)


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_batch_can_be_written_to(shuffle: bool) -> None:
    """Batches are fresh arrays: the data set stays as it was. Dtypes stay too."""
    data = X.copy()
    for (batch,) in DataLoader(data, 4, shuffle=shuffle):
        assert batch.dtype == np.float32
        assert batch.flags.writeable
        batch[:] = -1
    assert np.array_equal(data, X)


@pytest.mark.parametrize("kind", [Handle, Tensor])
def test_tensors_come_out_as_tensors(kind: type[Any]) -> None:
    """What came as a handle on an array is dealt out as such handles, beside arrays."""
    loader = DataLoader((kind(X), Y), 4, shuffle=True, seed=0)
    for x, y in loader:
        assert isinstance(x, kind)
        assert isinstance(y, np.ndarray)
        assert np.array_equal(x.data[:, 0], 2 * y)
    (batch,) = next(iter(DataLoader(kind(X), 4)))
    assert isinstance(batch, kind)
    assert batch.data.tolist() == X[:4].tolist()
    assert "(2,) float32" in repr(loader)


def test_whatever_numpy_can_read_is_a_column() -> None:
    """Lists in a tuple, array-likes and non-contiguous arrays are dealt out like arrays."""

    class Frame:
        def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray[Any, Any]:
            return np.array(X, dtype=dtype, copy=True if copy is None else copy)

    strided = np.asfortranarray(X)[::-1]
    for x, frame, labels in DataLoader((strided, Frame(), Y.tolist()), 4, shuffle=True, seed=0):
        assert np.array_equal(x[:, 0], 18 - 2 * labels)
        assert np.array_equal(frame[:, 0], 2 * labels)
    assert len(DataLoader(Frame(), 4)) == 3


class Squares:
    """A data set that makes its samples on request."""

    def __len__(self) -> int:
        return 7

    def __getitem__(self, index: int) -> tuple[np.ndarray[Any, Any], int]:
        return np.full(3, index, dtype=np.float32), index**2


def test_any_data_set_with_len_and_getitem_works() -> None:
    """Samples are stacked column by column; a list of samples is a data set too; a bare sample gives one column."""
    loader = DataLoader(Squares(), 3, shuffle=True, seed=0)
    for x, y in loader:
        assert x.shape == (len(y), 3)
        assert x.dtype == np.float32
        assert np.array_equal(x[:, 0] ** 2, y)
    assert [x.tolist() for x, _ in DataLoader([([1, 2], 0), ([3, 4], 1)], 2)] == [[[1, 2], [3, 4]]]
    assert [x.tolist() for (x,) in DataLoader([1, 2, 3], 2)] == [[1, 2], [3]]


def test_samples_of_different_shapes_are_an_error() -> None:
    """A list of two arrays is read as two samples; the error says how to give columns."""
    with pytest.raises(ShapeError, match=r"\(10, 2\),.* and .*\(10,\),.*DataLoader\(\(X, y\)\)"):
        list(DataLoader([X, Y]))


def test_tensor_dataset_is_a_row_of_columns() -> None:
    """len, indexing and repr; the arrays are not copied."""
    dataset = TensorDataset(X, Y)
    assert len(dataset) == 10
    x, y = dataset[3]
    assert x.tolist() == [6, 7]
    assert y == 3
    assert [part.shape for part in dataset[2:5]] == [(3, 2), (3,)]
    assert dataset.columns[0] is X
    assert repr(dataset) == f"TensorDataset(10 samples: (2,) float32, () {Y.dtype})"
    assert len(list(iter(DataLoader(dataset, 5)))) == 2


def test_the_repr_tells_what_will_be_dealt() -> None:
    """Samples, batches, order, seed and epoch."""
    loader = DataLoader((X, Y), 4, shuffle=True, seed=5)
    loader.set_epoch(2)
    assert repr(loader) == (
        f"DataLoader(TensorDataset(10 samples: (2,) float32, () {Y.dtype}), 3 batches of 4, shuffle=True, "
        "drop_last=False, seed=5, epoch=2)"
    )


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"dataset": (X, Y[:9])}, ShapeError, "got 10 and 9 from shapes"),
        ({"dataset": ()}, ShapeError, "got none"),
        ({"dataset": (X, 3.0)}, ShapeError, "with a first axis of samples"),
        ({"dataset": X[:0]}, ShapeError, "at least one sample, got the empty TensorDataset"),
        ({"dataset": []}, ShapeError, "at least one sample"),
        ({"dataset": 3}, ArgumentError, r"got int; write DataLoader\(\(X, y\)\)"),
        ({"dataset": X, "batch_size": 0}, ArgumentError, "batch_size=0"),
        ({"dataset": X, "batch_size": 2.0}, ArgumentError, r"batch_size=2\.0"),
        ({"dataset": X, "batch_size": 11, "drop_last": True}, ArgumentError, "use batch_size <= 10"),
        ({"dataset": X, "seed": -1}, ArgumentError, "seed=-1"),
        ({"dataset": X, "seed": 1, "rng": np.random.default_rng(1)}, ArgumentError, "got both"),
    ],
)
def test_what_cannot_be_dealt_is_refused(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    """On construction, with the numbers that are wrong."""
    with pytest.raises(error, match=message):
        DataLoader(**arguments)
