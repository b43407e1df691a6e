"""Epochs of a compiled step: the same metrics, interruptions and promises as the loop that is written out.

A compiled step makes many batches in one go and never makes the gradients. Whether a loss or a weight stopped being
finite is therefore asked after each piece; if it did, everything is put back to where the piece began, and the loop
that is written out goes through it again and stops where it always does.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from itertools import chain
from typing import Any

import numpy as np

from ..data import DataLoader
from ..errors import ArgumentError, CaptureError, CompilerError, did_you_mean
from ..nn import Module
from ..optim import Optimizer
from ..program import Compiled, Runs
from ..program import compile as compiled_step
from ..tape import Array, wrote
from ..tensor import Tensor
from ..tree import Structure, flatten, unflatten
from .feeds import Batch, Feed, tensors
from .meters import Meters
from .objective import Objective, called

__all__ = ["Epochs", "Way", "chosen"]

Way = bool | str
_WAYS = ("auto", "native", "replay")

# What an uncompiled step costs, in seconds: its calls, and so much for each multiplication and addition. Estimated, so
# that equal runs take equal ways. Measured: 0.15 ms (2-32-32-2, Adam), 0.18 ms (64-128-64-10, Adam), 0.45 ms
# (784-300-100-10, SGD), batches of 32, on a machine of 120 GFLOP/s; others have half of that and less.
_CALLS = 130e-6
_OPERATION = 1 / 8e10
# C halves the time of a step and takes 0.5 s to compile, once for each network, optimizer and batch size: longer runs
# gain. Replay is no alternative for the others: it gains a tenth at most, and loses as much in short runs.
_LONG = 1.2
# Batches made one by one between two looks at the weights.
_LOOK = 32
# More kinds of batches than this are not remembered: each is a program of its own.
_KINDS = 64


def chosen(way: Way, model: Module, epochs: int, batches: Feed | DataLoader) -> str | None:
    """``"native"``, ``"replay"``, or None for the loop that is written out.

    Raises:
        ArgumentError: not True, False, or one of the names.
    """
    if way is False:
        return None
    if way is True:
        return "native"
    if way not in _WAYS:
        raise ArgumentError(did_you_mean("compile", way, ("True", "False", *_WAYS)))
    if way != "auto":
        return way
    weights = sum(one.size for one in model.parameters())
    each = _CALLS + 6 * weights * (batches.batch_size or 0) * _OPERATION
    return "native" if epochs * (batches.steps or 0) * each > _LONG and _has_compiler() else None


def _has_compiler() -> bool:
    from ..program.native.toolchain import find_compiler  # noqa: PLC0415 - most runs are too short to ask

    try:
        find_compiler()
    except CompilerError:
        return False
    return True


class _Batches:
    """The batches of one epoch, each of which can be had again until it is let go.

    A data set that is not arrays may give something else when it is asked a second time: what it has given is kept.
    """

    def __init__(self, feed: Feed, start: int, before: Callable[[Any], None]) -> None:
        assert feed.loader is not None
        batches = feed.loader
        self.plain = type(batches) is DataLoader and batches.plain and not batches.num_workers
        self._feed = feed
        self._loader = batches
        self._epoch = batches.epoch
        self._kept: list[Any] = []
        self._start = self._first = start
        self._before = before
        self._source: Iterator[Any] = iter(())

    @property
    def example(self) -> Any:
        """Of a data set of arrays: a full batch, to see what kind it is."""
        dataset: Any = self._loader.dataset
        return dataset.take(np.arange(min(self._loader.batch_size, len(dataset))))

    def given(self) -> Iterable[Any]:
        """What a compiled step runs over."""
        if self._start:
            self._loader.set_epoch(self._epoch + 1)
            self._source = self._loader.batches(self._epoch, start=self._start)
        elif self.plain:
            return self._loader
        else:
            self._source = iter(self._loader)
        return self._noted()

    def _noted(self) -> Iterator[Any]:
        for batch in self._source:
            self._kept.append(batch)
            self._feed.unpack(batch)  # an error about columns is ours
            self._before(batch)
            yield batch

    def let_go(self, done: int) -> None:
        """The first ``done`` batches of the epoch will not be asked for again."""
        del self._kept[: done - self._first]
        self._first = done

    def close(self) -> None:
        """Let the loader's workers go, if it has any."""
        if isinstance(self._source, Generator):
            self._source.close()

    def rest(self) -> Iterator[tuple[int, Batch]]:
        """The batches after those let go, with their numbers from 1."""
        rest: Iterator[Any] = chain(self._kept, self._source)
        if self.plain:
            self._loader.set_epoch(self._epoch + 1)
            rest = self._loader.batches(self._epoch, start=self._first)
        return enumerate(map(self._feed.unpack, rest), self._first + 1)


def _kind_of(batch: Any) -> str:
    """Shapes and dtypes, as one word."""
    return " ".join(f"{getattr(one, 'dtype', '')}{getattr(one, 'shape', '')}" for one in batch)


class _Snapshot:
    """Everything that training changes, as it is now."""

    def __init__(self, model: Module, optimizer: Optimizer, meters: Meters | None, at: int) -> None:
        self.at = at
        self.meters: Any = copy.deepcopy(meters)
        self._arrays = [(one.data, one.data.copy(order="K")) for one in (*model.parameters(), *model.buffers())]
        self._states = []
        for entry in optimizer.state.values():
            self._states.append((entry, dict(entry)))
            self._arrays += [(one, one.copy(order="K")) for one in entry.values() if isinstance(one, np.ndarray)]
        self._known = {id(entry) for entry, _ in self._states}
        self._optimizer = optimizer
        draws = [one for module in model.modules() for one in vars(module).values()]
        self._draws = [
            (one.bit_generator, copy.deepcopy(one.bit_generator.state))
            for one in draws
            if isinstance(one, np.random.Generator)
        ]

    def put_back(self) -> None:
        """Make it so again."""
        for array, content in self._arrays:
            np.copyto(array, content)
        for state in self._optimizer.state.values():
            if id(state) not in self._known:
                state.clear()
        for state, before in self._states:
            state.clear()
            state.update(before)
        for source, where in self._draws:
            source.state = where
        wrote("fit, which puts back the weights of before", *[array for array, _ in self._arrays])


class _BrokenError(Exception):
    """Something is not finite any more."""


class Epochs:
    """A compiled step and what is needed to run epochs of it.

    Attributes:
        ran: ``"native"`` or ``"replay"``, once an epoch has run; None if the step could not be captured, and ``why``.
    """

    def __init__(
        self,
        model: Module,
        optimizer: Optimizer,
        objective: Objective,
        feed: Feed,
        backend: str,
        *,
        insists: bool,
    ) -> None:
        self._model = model
        self._optimizer = optimizer
        self._insists = insists
        self.ran: str | None = backend
        self._stops = backend == "native"
        self.why: str | None = None
        # Kinds of batches whose programs are to be captured before they are needed; examples of those that came.
        self._waiting: set[str] = set()
        self._seen: dict[str, Any] = {}
        self._now: _Batches | None = None

        self._feed = feed
        # How the leaves of a run's results are nested, and whether they are a loss, outputs and targets alone.
        self._shape: list[Structure] = []
        self._places = range(0)
        self._plain = True

        def step(*columns: Any) -> tuple[Any, ...]:
            x, y, weights = (tensors(one) for one in feed.unpack(columns))
            optimizer.zero_grad()
            outputs = called(model, x)
            loss, parts = objective(outputs, Batch(x, y, weights), feed)
            loss.backward()
            optimizer.step()
            results = (loss, parts, outputs, y) if weights is None else (loss, parts, outputs, y, weights)
            leaves, self._shape = flatten(results)
            self._places = range(len(leaves))
            self._plain = not parts and weights is None and isinstance(outputs, Tensor)
            return results

        self._step: Compiled = compiled_step(step, backend=backend)  # type: ignore[call-overload]

    def captured(self) -> list[str]:
        """The kinds of batches for which the next step runs a program that has been captured already."""
        seen = self._seen if self._now is None or not self._now.plain else {"": self._now.example}
        return [_kind_of(batch) for batch in seen.values() if self._step.knows(*batch)]

    def capture_first(self, kinds: Iterable[str]) -> None:
        """Before a step with a batch of these kinds capture it, and undo it: they had been captured in the run before.

        A step that is captured runs in NumPy, those after it in C. In the run that is continued the next step ran in
        C, and it must here as well.
        """
        self._waiting = set(kinds)

    def _before(self, batch: Any) -> None:
        kind = _kind_of(batch)
        if self._now is not None and not self._now.plain and len(self._seen) < _KINDS:
            # Asking a data set that is not arrays once more could give something else.
            self._seen.setdefault(kind, batch)
        if kind not in self._waiting:
            return
        self._waiting.discard(kind)
        before = _Snapshot(self._model, self._optimizer, None, 0)
        try:
            self._step(*batch)
        except CaptureError:
            pass  # the run itself will find out, and say so
        finally:
            before.put_back()

    def run(
        self,
        meters: Meters,
        told: Callable[[int], None],
        by_hand: Callable[[Meters, Iterator[tuple[int, Batch]]], None],
        start: int = 0,
    ) -> Meters:
        """One epoch; the meters that have seen all of it.

        Args:
            meters: fresh ones. told: called with the number of batches done.
            by_hand: goes through numbered batches with the loop that is written out, into meters.
            start: how many batches of the epoch are done already; the meters have seen them.

        Raises:
            CaptureError: the step cannot be captured, and the caller insisted. Whatever ``told`` and ``by_hand`` raise.
        """
        with closing(_Batches(self._feed, start, self._before)) as source:
            self._now = source
            return self._run(source, meters, told, by_hand, start)

    def _run(
        self,
        source: _Batches,
        meters: Meters,
        told: Callable[[int], None],
        by_hand: Callable[[Meters, Iterator[tuple[int, Batch]]], None],
        start: int,
    ) -> Meters:
        model, optimizer = self._model, self._optimizer
        given = source.given()
        if source.plain:
            self._before(source.example)
        safe = _Snapshot(model, optimizer, meters, start)

        def look(done: int, runs: Runs) -> None:
            nonlocal safe
            done += start
            columns = [runs.arrays(place) for place in self._places]
            runs.forget()
            for several in zip(*columns, strict=True):
                if not np.isfinite(several[0]).all():
                    raise _BrokenError
                self._measure(meters, several)
            if done - safe.at >= _LOOK:
                if not self._finite():
                    raise _BrokenError
                safe = _Snapshot(model, optimizer, meters, done)
                source.let_go(done)
            told(done)

        try:
            # Runs that come one by one are looked at one by one; only those of a whole piece have to stop themselves.
            runs = self._step.run(given, check_finite=self._stops, progress=look)
            if runs.finite and self._finite():
                # Without a compiler, "native" is NumPy after all.
                self.ran = self._step.running
                return meters
        except _BrokenError:
            pass
        except CaptureError as error:
            if self._insists:
                safe.put_back()
                raise
            self.ran, self.why = None, str(error)
        safe.put_back()
        by_hand(safe.meters, source.rest())
        found: Meters = safe.meters
        return found

    def _measure(self, meters: Meters, columns: tuple[Array, ...]) -> None:
        """Hand several runs to the meters, as one if they can take it."""
        if self._plain:
            meters.update_many(*columns)
            return
        for leaves in zip(*columns, strict=True):
            loss, parts, outputs, y, *weights = unflatten(self._shape, leaves)
            meters.update(float(loss), outputs, y, weights[0] if weights else None, [float(one) for one in parts])

    def _finite(self) -> bool:
        arrays: list[Array] = [one.data for one in self._model.parameters()]
        arrays += [
            one for state in self._optimizer.state.values() for one in state.values() if isinstance(one, np.ndarray)
        ]
        for array in arrays:
            flat = array.ravel("K")
            # One product tells in nearly all cases; squares can overflow where the values themselves do not.
            if not math.isfinite(flat.dot(flat)) and not np.isfinite(flat).all():
                return False
        return True
