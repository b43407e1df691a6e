"""Processes that fetch batches ahead: the same batches, in the same order, however many there are.

Batch number b is fetched by worker b % count, and batches are taken from the workers in that order. A worker answers
over a pipe of its own, which ends when it dies; it looks now and then whether its parent still lives. Workers belong to
one pass over the loader and are gone when that ends, in whatever way.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from multiprocessing.connection import Connection, wait
from typing import Any

from ..errors import ArgumentError, WorkerError
from .fetching import Fetcher

__all__ = ["fetched_by_workers"]

_AHEAD = 2  # batches that wait in each worker: one is on its way while the next is made
_LOOK = 1.0  # seconds between two looks at the parent
_PATIENCE = 2.0  # seconds a worker has to leave before it is made to


def _work(pipe: Connection, fetch: Callable[..., Any], number: int, parent: int, others: list[Connection]) -> None:
    """The life of a worker: a task comes, its batch goes out."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    for one in others:  # ends of pipes that a fork copied: while they are open, nobody notices that a pipe has ended
        one.close()
    try:
        while True:
            while not pipe.poll(_LOOK):
                if os.getppid() != parent:
                    return
            task = pipe.recv()
            try:
                answer = (True, fetch(*task))
            except BaseException as error:  # noqa: BLE001 - whatever it is, the parent is waiting
                answer = (False, _packed(error, number))
            pipe.send(answer)
    except (EOFError, OSError):  # the parent has closed its end
        pass


def _packed(error: BaseException, number: int) -> tuple[BaseException | None, str]:
    """An error as it can travel, and its traceback."""
    text = f"in worker {number}:\n{''.join(traceback.format_exception(error))}"
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes, to see whether the other side can read them
    except Exception:  # noqa: BLE001 - whatever stops it
        return None, text
    return error, text


class _Stream:
    """Fetches by reading on: for data sets without positions."""

    def __init__(self, batches: Callable[[int], Iterator[Any]]) -> None:
        self._batches = batches
        self._running: Iterator[Any] | None = None

    def fetch(self, epoch: int, _number: Any) -> Any:
        """The next batch, or None at the end."""
        if self._running is None:
            self._running = self._batches(epoch)
        return next(self._running, None)


def _context(name: str | None) -> Any:
    """``fork`` where it is safe: data sets of a notebook or a script cannot be sent to processes that start afresh."""
    if name is None:
        name = "fork" if sys.platform == "linux" else "spawn"
    if name not in multiprocessing.get_all_start_methods():
        raise ArgumentError(
            f"start_method={name!r} does not exist here; valid: {', '.join(multiprocessing.get_all_start_methods())}"
        )
    return multiprocessing.get_context(name)


class _Crew:
    """The workers of one pass."""

    def __init__(self, fetch: Callable[..., Any], count: int, start_method: str | None) -> None:
        context = _context(start_method)
        forks = context.get_start_method() == "fork"
        self.pipes: list[Connection] = []
        self.processes: list[Any] = []
        try:
            for number in range(count):
                mine, theirs = context.Pipe()
                self.pipes.append(mine)
                process = context.Process(
                    target=_work,
                    args=(theirs, fetch, number, os.getpid(), list(self.pipes) if forks else []),
                    name=f"DataLoader worker {number}",
                    daemon=True,
                )
                with warnings.catch_warnings():
                    # Python warns where threads run beside a fork. Workers use none of what those may hold: they index
                    # arrays and answer.
                    warnings.simplefilter("ignore", DeprecationWarning)
                    process.start()
                theirs.close()
                self.processes.append(process)
        except BaseException as error:
            self.dismiss()
            if isinstance(error, (pickle.PicklingError, AttributeError, TypeError)) and not forks:
                raise ArgumentError(
                    f"the data set cannot be sent to a worker ({error}); define it at the top of a module, or say "
                    "num_workers=0"
                ) from error
            raise

    def ask(self, worker: int, *task: Any) -> None:
        with suppress(OSError):  # it has died over an earlier task, whose turn to be told comes first
            self.pipes[worker].send(task)

    def answer(self, worker: int, task: tuple[Any, ...], timeout: float | None) -> Any:
        pipe, process = self.pipes[worker], self.processes[worker]
        ready = wait([pipe, process.sentinel], timeout)
        if not ready:
            raise WorkerError(
                f"worker {worker} has not answered for {timeout:g} seconds, {_about(task)}; give it more with "
                "timeout=, or look with num_workers=0 what takes so long"
            )
        if pipe not in ready and not pipe.poll(0):
            self._died(worker, task)
        try:
            good, found = pipe.recv()
        except (EOFError, OSError):
            self._died(worker, task)
        if good:
            return found
        error, text = found
        if error is None:
            raise WorkerError(f"an error {text}")
        error.add_note(text)
        raise error

    def _died(self, worker: int, task: tuple[Any, ...]) -> None:
        process = self.processes[worker]
        process.join(_PATIENCE)
        code = process.exitcode
        how = f"by signal {signal.Signals(-code).name}" if code is not None and code < 0 else f"with exit code {code}"
        memory = "; the system may have run out of memory" if code == -signal.SIGKILL.value else ""
        raise WorkerError(f"worker {worker} died {how}, {_about(task)}{memory}; num_workers=0 shows what happens")

    def dismiss(self) -> None:
        for pipe in self.pipes:
            pipe.close()
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.join(_PATIENCE)
            if process.is_alive():
                process.kill()
                process.join()
            process.close()


def _about(task: tuple[Any, ...]) -> str:
    indices = task[1]
    if indices is None:
        return "while reading the stream"
    few = ", ".join(str(int(one)) for one in indices[:8]) + (", …" if len(indices) > 8 else "")
    return f"while fetching samples {few}"


def fetched_by_workers(
    source: Fetcher | Callable[[int], Iterator[Any]],
    tasks: Iterator[tuple[Any, ...]],
    count: int,
    *,
    timeout: float | None,
    start_method: str | None,
) -> Iterator[Any]:
    """The batches of these tasks in order, fetched ahead by ``count`` processes; by one of a stream.

    Args:
        source: fetches ``(epoch, indices)``; or gives the batches of an epoch, for a stream, which ends it itself.
        tasks: ``(epoch, indices)`` of every batch.
        timeout: seconds to wait for a batch; None for ever, as long as the worker lives.

    Raises:
        WorkerError: a worker died, or took too long. Whatever the data set raises, with the worker's traceback as note.
    """
    stream = not isinstance(source, Fetcher)
    fetch = _Stream(source).fetch if stream else source.fetch  # type: ignore[union-attr, arg-type]
    crew = _Crew(fetch, 1 if stream else count, start_method)
    count = len(crew.pipes)
    try:
        waiting: list[tuple[int, tuple[Any, ...]]] = []
        numbered = enumerate(tasks)
        for number, task in islice(numbered, count * _AHEAD):
            crew.ask(number % count, *task)
            waiting.append((number % count, task))
        while waiting:
            worker, task = waiting.pop(0)
            batch = crew.answer(worker, task, timeout)
            if batch is None and stream:
                return
            following = next(numbered, None)
            if following is not None:
                crew.ask(worker, *following[1])
                waiting.append((worker, following[1]))
            yield batch
    finally:
        crew.dismiss()
