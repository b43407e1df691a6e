"""Loaders with worker processes, streams, collate functions, and loaders that go on where they were."""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinygrad_mlp import nn
from tinygrad_mlp.data import DataLoader, IterableDataset, TensorDataset, sample_rng
from tinygrad_mlp.errors import ArgumentError, ShapeError, StateError, WorkerError
from tinygrad_mlp.train import fit

ROOT = Path(__file__).resolve().parents[1]
forks = pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork")


class Noisy:
    """Samples with noise drawn for each of them."""

    def __init__(self, samples: int = 23) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return self.samples

    def __getitem__(self, index: int) -> tuple[Any, int]:
        first = sample_rng().normal(size=3).astype(np.float32)
        return first + sample_rng().normal(size=3).astype(np.float32), index % 3


class Counting(IterableDataset):
    """Numbers."""

    def __iter__(self) -> Iterator[Any]:
        return ((np.float32(n), n % 2) for n in range(11))


class Bad(Noisy):
    """One sample that cannot be had."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how

    def __getitem__(self, index: int) -> Any:
        if index == 13:
            if self.how == "die":
                os.kill(os.getpid(), signal.SIGKILL)
            if self.how == "leave":
                os._exit(3)
            if self.how == "sleep":
                time.sleep(60)
            if self.how == "strange":
                raise type("Local", (Exception,), {})("not to be pickled")
            raise ValueError("no such picture")
        return super().__getitem__(index)


def dealt(loader: DataLoader, epochs: int = 2) -> list[bytes]:
    return [np.asarray(column).tobytes() for _ in range(epochs) for batch in loader for column in batch]


def children() -> int:
    gc.collect()
    return len(multiprocessing.active_children())


@forks
@pytest.mark.parametrize("options", [{}, {"shuffle": True}, {"drop_last": True}], ids=["plain", "shuffled", "full"])
def test_the_number_of_workers_changes_no_bit(options: dict[str, Any]) -> None:
    """Batches, their order and random changes to samples are the same with 0 to 3 workers; none is left behind."""
    first = dealt(DataLoader(Noisy(), 4, seed=7, **options))
    for workers in (1, 3):
        assert dealt(DataLoader(Noisy(), 4, seed=7, num_workers=workers, **options)) == first
    assert children() == 0
    assert dealt(DataLoader(Noisy(), 4, seed=8, **options)) != first
    assert (
        len(set(dealt(DataLoader(Noisy(), 1, seed=7)))) > 2 * 23
    )  # noise differs from sample to sample and epoch to epoch


def test_processes_that_start_afresh_give_the_same() -> None:
    """spawn, which macOS and Windows use; the data set goes there by its module."""
    code = (
        "import sys; sys.path.insert(0, 'tests')\n"
        "from test_data_workers import Noisy, dealt\n"
        "from tinygrad_mlp.data import DataLoader\n"
        "if __name__ == '__main__':\n"
        "    a = dealt(DataLoader(Noisy(9), 4, seed=7), 1)\n"
        "    print(a == dealt(DataLoader(Noisy(9), 4, seed=7, num_workers=1, start_method='spawn'), 1))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


@forks
def test_arrays_and_streams_can_be_fetched_by_workers_too() -> None:
    """Rows of arrays, and a stream, which one process reads."""
    x = np.arange(20.0).reshape(10, 2)
    assert dealt(DataLoader((x,), 3, num_workers=2)) == dealt(DataLoader((x,), 3))
    assert dealt(DataLoader(Counting(), 3, num_workers=2)) == dealt(DataLoader(Counting(), 3))
    assert [len(a) for a, _ in DataLoader(Counting(), 4)] == [4, 4, 3]
    assert [len(a) for a, _ in DataLoader(Counting(), 4, drop_last=True, num_workers=1)] == [4, 4]


@forks
@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_of_the_data_set_arrives_with_its_sample(workers: int) -> None:
    """Its own type and text; the notes have the index and, from a worker, the traceback there."""
    loader = DataLoader(Bad("raise"), 4, num_workers=workers)
    with pytest.raises(ValueError, match="no such picture") as caught:
        list(loader)
    notes = "\n".join(caught.value.__notes__)
    assert "while fetching sample 13 in epoch 0" in notes
    if workers:
        assert "in worker 1:" in notes
        assert 'raise ValueError("no such picture")' in notes
    assert children() == 0


@forks
def test_an_error_that_cannot_travel_arrives_as_text() -> None:
    """What pickle cannot carry is told."""
    with pytest.raises(
        WorkerError, match=r"(?s)^an error in worker 1:.*Local: not to be pickled.*sample 13 in epoch 0"
    ):
        list(DataLoader(Bad("strange"), 4, num_workers=2))


@forks
@pytest.mark.parametrize(
    ("how", "message"),
    [
        (
            "die",
            (
                r"worker 1 died by signal SIGKILL, while fetching samples 12, 13, 14, 15; the system may have run out "
                r"of memory; num_workers=0 shows what happens"
            ),
        ),
        ("leave", r"worker 1 died with exit code 3, while fetching samples 12, 13, 14, 15; num_workers=0 shows what"),
        ("sleep", r"worker 1 has not answered for 0.3 seconds, while fetching samples 12, 13, 14, 15; give it more"),
    ],
)
def test_a_worker_that_dies_is_noticed_at_once(how: str, message: str) -> None:
    """The message names the worker, how it ended and what it was fetching; nothing hangs and nothing is left."""
    began = time.perf_counter()
    with pytest.raises(WorkerError, match=message):
        list(DataLoader(Bad(how), 4, num_workers=2, timeout=0.3 if how == "sleep" else 0))
    assert time.perf_counter() - began < 5
    assert children() == 0


@forks
def test_a_loop_that_is_left_takes_its_workers_along() -> None:
    """break, an error in the body, and a fit that ends early."""
    for _ in DataLoader(Noisy(), 2, num_workers=2):
        break
    assert children() == 0
    loader = DataLoader(Noisy(), 2, num_workers=2, seed=0)
    model = nn.Linear(3, 3, seed=0)
    calls = []

    def interrupted(outputs: Any, targets: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return nn.CrossEntropyLoss()(outputs, targets)

    assert fit(model, loader, loss=interrupted, metrics=(), verbose=0).stopped == "interrupted"
    assert children() == 0


@forks
def test_ctrl_c_and_a_killed_parent_leave_no_process() -> None:
    """After SIGINT to the whole group, and after SIGKILL of the parent alone, the workers are gone within seconds."""
    code = (
        "import sys, time; sys.path.insert(0, 'tests')\n"
        "from test_data_workers import Noisy\n"
        "from tinygrad_mlp.data import DataLoader\n"
        "import multiprocessing\n"
        "for batch in DataLoader(Noisy(10**6), 4, num_workers=2):\n"
        "    print(*[one.pid for one in multiprocessing.active_children()], flush=True)\n"
        "    time.sleep(60)\n"
    )
    for number, whole_group in ((signal.SIGINT, True), (signal.SIGKILL, False)):
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        assert process.stdout is not None
        pids = [int(one) for one in process.stdout.readline().split()]
        assert len(pids) == 2
        (os.killpg if whole_group else os.kill)(process.pid, number)
        process.wait(10)
        process.stdout.close()
        deadline = time.monotonic() + 8
        while any(_alive(pid) for pid in pids) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not any(_alive(pid) for pid in pids)


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return state.rpartition(")")[2].split()[0] != "Z"


@forks
def test_training_gives_the_same_bits_whatever_the_workers() -> None:
    """fit over a data set with random changes: weights and History with 0 and 2 workers."""
    found = []
    for workers in (0, 2):
        model = nn.MLP(3, 8, 3, seed=0)
        loader = DataLoader(Noisy(), 4, shuffle=True, seed=3, num_workers=workers)
        history = fit(model, loader, epochs=2, verbose=0)
        found.append(([one.data.tobytes() for one in model.parameters()], history.history))
    assert found[0] == found[1]
    assert history.params["samples"] == 23


# --- going on -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=forks)])
@pytest.mark.parametrize("source", ["arrays", "samples", "stream"])
def test_a_state_taken_anywhere_goes_on_with_the_next_batch(source: str, workers: int) -> None:
    """After every number of batches: what a new loader with that state deals is what the first one had left."""

    def make(seed: int | None = None) -> DataLoader:
        dataset = {"arrays": TensorDataset(np.arange(11)), "samples": Noisy(11), "stream": Counting()}[source]
        return DataLoader(dataset, 3, shuffle=source != "stream", seed=seed, num_workers=workers)

    whole = [np.asarray(batch[0]).tobytes() for loader in [make(5)] for _ in range(3) for batch in loader]
    for count in range(0, 9, 1 if not workers else 3):
        first = make(5)
        given = 0
        while given < count:
            for _batch in first:
                given += 1
                if given == count:
                    break
        state = json.loads(json.dumps(first.state_dict()))
        second = make(99)
        second.load_state_dict(state)
        assert second.state_dict() == state
        rest = [np.asarray(batch[0]).tobytes() for _ in range(4 - count // 4) for batch in second]
        assert rest[: len(whole) - count] == whole[count:], count


def test_states_that_are_none_are_refused() -> None:
    """Missing and negative numbers."""
    loader = DataLoader((np.arange(3),), seed=0)
    with pytest.raises(StateError) as caught:
        loader.load_state_dict({"seed": 1, "epoch": -1, "batch": 0})
    assert str(caught.value) == ("the state of a DataLoader holds seed, epoch, batch as integers >= 0, got epoch=-1")
    assert loader.state_dict() == {"seed": 0, "epoch": 0, "batch": 0}


# --- batches ------------------------------------------------------------------------------------------


def test_samples_may_be_nested() -> None:
    """Dicts and tuples inside a sample are stacked leaf by leaf."""
    samples = [({"a": np.full(2, n), "b": n}, (n, [n, n])) for n in range(3)]
    ((x, y),) = list(DataLoader(samples))
    assert (x["a"].shape, x["b"].tolist()) == ((3, 2), [0, 1, 2])
    assert (y[0].shape, y[1].shape) == ((3,), (3, 2))


def test_collate_fn_makes_the_batch() -> None:
    """It gets the list of samples, of arrays side by side as well; whatever it gives is the batch."""
    words = [[1, 2, 3], [4], [5, 6]]

    def padded(samples: list[Any]) -> Any:
        width = max(len(one) for one in samples)
        return np.array([one + [0] * (width - len(one)) for one in samples])

    assert [batch.tolist() for batch in DataLoader(words, 2, collate_fn=padded)] == [[[1, 2, 3], [4, 0, 0]], [[5, 6]]]
    assert list(DataLoader((np.arange(2), np.arange(2)), 2, collate_fn=len)) == [2]
    with pytest.raises(ShapeError, match="what has to be padded needs a collate_fn"):
        list(DataLoader(words, 2))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: DataLoader(Counting(), shuffle=True),
            "Counting is a stream and comes in its own order; say shuffle=False, and let it shuffle itself",
        ),
        (
            lambda: DataLoader((np.arange(3),), num_workers=-1),
            "expected an integer num_workers >= 0, got num_workers=-1",
        ),
        (
            lambda: sample_rng(),
            "sample_rng() is for the __getitem__ of a data set while a DataLoader fetches from it",
        ),
        (
            lambda: list(DataLoader(Noisy(), num_workers=1, start_method="spoon")),
            f"start_method='spoon' does not exist here; valid: {', '.join(multiprocessing.get_all_start_methods())}",
        ),
        (
            lambda: DataLoader(3),
            (
                "expected arrays or a data set with len() and one sample per position, got int; write DataLoader((X, "
                "y)), or derive a stream of samples from IterableDataset"
            ),
        ),
    ],
)
def test_messages(make: Any, message: str) -> None:
    """Each says what is possible."""
    with pytest.raises(ArgumentError) as caught:
        make()
    assert str(caught.value) == message


def test_a_stream_has_no_length() -> None:
    """As in torch; steps and samples say so without an error, and the repr does without."""
    loader = DataLoader(Counting(), 4, seed=0)
    with pytest.raises(TypeError, match="Counting is a stream, which has no length"):
        len(loader)
    with pytest.raises(TypeError, match="Counting is a stream, which has no positions"):
        loader.order(0)
    assert (loader.steps, loader.samples) == (None, None)
    assert "batches of 4, shuffle=False" in repr(loader)


def test_a_data_set_that_cannot_be_sent_says_so() -> None:
    """A class of a function, to a process that starts afresh."""

    class Local(Noisy):
        pass

    with pytest.raises(ArgumentError, match=r"^the data set cannot be sent to a worker \(.*define it at the top of a"):
        list(DataLoader(Local(), num_workers=1, start_method="spawn"))
    assert children() == 0
