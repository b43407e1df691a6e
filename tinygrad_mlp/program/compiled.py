"""``compile``: a step function that is captured once per kind of call and then runs without Python."""

from __future__ import annotations

import functools
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Any, Literal, overload

import numpy as np

from ..data import DataLoader, TensorDataset
from ..dtypes import get_default_dtype
from ..errors import ArgumentError, CompilerError, did_you_mean
from ..profiler import active, spanned
from ..tape import Array, Leaf, recorder, wrap, writer
from ..tensor import Tensor
from ..tree import flatten, unflatten
from ..watch import watched
from .collector import collector_paused
from .guards import Guards
from .interrupts import Held
from .ir import Program
from .numpy_replay import Replay
from .trace import Capture, NotKeptError, capture

__all__ = ["Compiled", "Runs", "compile"]

Backend = Literal["auto", "native", "replay"]
_BACKENDS = ("auto", "native", "replay")
# Programs kept for one kind of call: those of a first optimizer step and of later ones, of training and evaluation, …
_VARIANTS = 8
# Kinds of call whose programs are kept.
_KINDS = 128
# In "auto", what ran this often is worth the compiler's time.
_WORTH = 2
# Whole runs go in pieces of about this many seconds, so that progress can be shown and Ctrl-C is obeyed.
_PIECE = 0.1


class _Entry:
    """One captured program, and the back ends made for it so far."""

    def __init__(self, captured: Capture) -> None:
        self.captured = captured
        self.program = captured.program
        guards = Guards(captured.guards)
        self.valid, self.broken = guards.hold, guards.broken
        self.written = [buffer.array for buffer, _ in captured.program.writes if buffer.array is not None]
        self.wrote = writer(f"{captured.program.name}, which is compiled", self.written)
        # What is asked first of a call whose arguments are all arrays, or tensors that are nothing else.
        self.layouts: list[Any] | None = None
        self.recording, self.default = recorder() is not None, get_default_dtype()
        # Whether a run leaves anything behind but its results: then it is made whole or not at all.
        self.changes = bool(captured.program.writes or captured.gradients or captured.counts)
        self.arguments: list[Any] = []
        self.runs = 0
        self.replay: Replay | None = None
        self.native: Any = None
        self.refused = False
        # Made for the last batch of an epoch, where that is not full: one run per epoch never pays for a compiler.
        self.rare = False
        # How many runs go in one piece.
        self.piece = 16

    def fits(self, arrays: list[Array], make: Any) -> bool:
        """Whether a call with these arguments is of the kind that was captured; False also where it is not known."""
        return (
            [*map(_layout_of, arrays)] == self.layouts
            and len({*map(id, arrays)}) == len(arrays)
            and (make is not None) is self.recording
            and get_default_dtype() is self.default
        )

    def draw(self) -> Sequence[Array]:
        """What is fed to the next run."""
        feeds = self.program.feeds
        return feeds[0].draw() if len(feeds) == 1 else [array for feed in feeds for array in feed.draw()]

    def replayed(self) -> Replay:
        if self.replay is None:
            with collector_paused():
                self.replay = Replay(self.program)
        return self.replay

    def compiled(self, backend: Backend) -> Any:
        """The native program, or None: not wanted, not yet worth it, or there is no compiler."""
        if (
            self.native is None
            and not self.refused
            and not self.rare
            and (backend == "native" or (backend == "auto" and self.runs >= _WORTH))
        ):
            from .native import Native  # noqa: PLC0415 - most programs never need a compiler

            try:
                with collector_paused():
                    self.native = Native(self.program)
            except CompilerError as error:
                self.refused = True
                _say_once(error)
        return self.native


_said: set[str] = set()


def _say_once(error: CompilerError) -> None:
    text = str(error).partition("\n")[0]
    if text not in _said:
        _said.add(text)
        warnings.warn(
            f"compile: {text}; running with NumPy instead, with the same results", RuntimeWarning, stacklevel=4
        )


class Runs:
    """What a step gave in each of many runs, in order.

    Iterate over it, or take one by its number, for the results as the function returns them; :meth:`stack` joins them.

    Attributes:
        finite: whether every run was made; False if one was stopped because its first result was not finite. Nothing of
            that run was written; its results are the last ones.
    """

    def __init__(self) -> None:
        self.finite = True
        self._parts: list[tuple[Capture | None, Any]] = []
        self._ends: list[int] = []
        self._forgotten = 0

    def _add(self, captured: Capture | None, results: Any, count: int) -> None:
        self._parts.append((captured, results))
        self._ends.append(len(self) + count)

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else self._forgotten

    def forget(self) -> None:
        """Let go of the results so far; runs are still counted from the first one."""
        self._forgotten = len(self)
        self._parts.clear()
        self._ends.clear()

    def __getitem__(self, place: int) -> Any:
        if not -len(self) <= place < len(self):
            raise IndexError(f"run {place} of {len(self)}")
        place %= len(self)
        begin = self._forgotten
        if place < begin:
            raise IndexError(f"run {place}: its results were forgotten")
        for (captured, results), end in zip(self._parts, self._ends, strict=True):
            if place < end:
                return results if captured is None else captured.fill([np.array(one[place - begin]) for one in results])
            begin = end
        raise AssertionError

    def __iter__(self) -> Iterator[Any]:
        return (self[place] for place in range(self._forgotten, len(self)))

    def arrays(self, place: int = 0) -> list[Array]:
        """The ``place``-th tensor of the results, as arrays whose first axis counts runs, a few of them.

        All of them together are the runs in order; full batches come many at a time, a ragged last one alone.
        """
        found = []
        for captured, results in self._parts:
            if captured is None:
                one = flatten(results)[0][place]
                found.append(np.asarray(one.data if isinstance(one, Tensor) else one)[None])
            else:
                found.append(results[place])
        return found

    def __repr__(self) -> str:
        return f"<{len(self)} runs{'' if self.finite else ', the last one not finite'}>"


class Compiled:
    """A function that runs as a captured program; see :func:`compile`.

    Attributes:
        function: the original. backend: as given. captures: how often it was captured, and why again.
    """

    def __init__(self, function: Callable[..., Any], backend: Backend, keep_gradients: bool) -> None:
        functools.update_wrapper(self, function)
        self.__name__: str = getattr(function, "__name__", type(function).__name__)
        self.function = function
        self.backend = backend
        self.keep_gradients = keep_gradients
        self.captures: list[str] = []
        self._entries: dict[Any, list[_Entry]] = {}
        self._lock = threading.RLock()
        self._last: _Entry | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The function's result: the first call of a kind runs and captures it, later ones run the program."""
        make = recorder()
        if make is not None and make.captures:
            return self.function(*args, **kwargs)
        if watched():  # every single op is to be looked at
            return _eagerly(self.function, args, kwargs)
        arrays = None if kwargs else _arrays_of(args)
        with self._lock:
            # The usual call is like the one before.
            entry = self._last
            if arrays is None or entry is None or not entry.fits(arrays, make) or not entry.valid():
                leaves, shape = (list(args), _shape_of(len(args))) if arrays is not None else flatten((args, kwargs))
                entry = self._entry_for(leaves, shape)
                if entry is None:
                    return self._capture(leaves, shape)
                # An argument given twice is one input.
                arrays = list({id(one): _array_in(one) for one in leaves if _is_input(one)}.values())
            if active() is None:  # a context manager would cost as much as a small step
                return self._once(entry, arrays)
            with spanned(self.__name__, kind="program"):
                return self._once(entry, arrays)

    # --- which program ---

    def knows(self, *args: Any) -> bool:
        """Whether a call with arguments like these runs a program that has been captured already."""
        leaves, shape = flatten((args, {}))
        with self._lock:
            return self._entry_for(leaves, shape) is not None

    def _entry_for(self, leaves: Sequence[Any], shape: Sequence[Any]) -> _Entry | None:
        for entry in self._entries.get(_kind_of(leaves, shape), ()):
            if entry.valid():
                self._last = entry
                return entry
        return None

    def _capture(
        self, leaves: Sequence[Any], shape: Sequence[Any], refuses: Callable[[Any], bool] | None = None
    ) -> Any:
        kind = _kind_of(leaves, shape)
        entries = self._entries.setdefault(kind, [])
        if len(self._entries) > _KINDS:  # a number that is another one in every call
            self._entries.pop(next(iter(self._entries)))
        reason = "another kind of arguments" if self.captures else "the first call"
        if entries:
            reason = "; ".join(entries[0].broken()) or "nothing fitted"
        captured = capture(
            self.function,
            leaves,
            shape,
            recording=recorder() is not None,
            keep_gradients=self.keep_gradients,
            refuses=refuses,
        )
        entry = _Entry(captured)
        entry.runs = 1
        # What the arguments were stays alive with the entry: they are known by identity.
        entry.arguments = [one for one in leaves if not _is_input(one)]
        arrays = _arrays_of(leaves)
        if (
            arrays is not None
            and len(arrays) == len(entry.program.inputs)
            and tuple(shape) == tuple(_shape_of(len(arrays)))
        ):
            entry.layouts = [*map(_layout_of, arrays)]
        entries.insert(0, entry)
        del entries[_VARIANTS:]
        self.captures.append(reason)
        self._last = entry
        result, captured.result = captured.result, None
        return result

    # --- running it ---

    def _once(self, entry: _Entry, inputs: list[Array]) -> Any:
        if not entry.changes:
            return self._wholly(entry, inputs)
        with Held():
            return self._wholly(entry, inputs)

    def _wholly(self, entry: _Entry, inputs: list[Array]) -> Any:
        captured = entry.captured
        captured.count()
        try:
            fed = entry.draw()
            native = entry.native or entry.compiled(self.backend)
            outputs = entry.replayed().run(inputs, fed) if native is None else _natively(native, entry, inputs, fed)
        except BaseException as error:
            torn = entry.replay.torn(error) if entry.replay is not None else ""
            if torn:
                error.add_note(
                    f"{self.__name__}, which is compiled, was torn by this while it wrote its results: {torn}. Load "
                    "parameters and optimizer state from before the step"
                )
            captured.count(-1)
            raise
        entry.runs += 1
        self._settle(entry, outputs)
        return captured.fill(outputs)

    def _settle(self, entry: _Entry, outputs: Sequence[Array]) -> None:
        for leaf, place in entry.captured.gradients:
            leaf.gradient = None if place is None else wrap(Tensor, outputs[place])
        entry.wrote()

    def run(
        self,
        batches: Iterable[Any],
        *,
        check_finite: bool = False,
        progress: Callable[[int, Runs], Any] | None = None,
    ) -> Runs:
        """Call the step with every batch, as ``for batch in batches: step(*batch)`` does, without returning to Python.

        Args:
            batches: a :class:`~tinygrad_mlp.data.DataLoader` over arrays, whose batches are picked by the program
                itself; or anything that gives tuples of arguments, for which the step is called one by one.
            check_finite: stop before the first run whose first result (the loss) is not finite changes anything.
            progress: called now and then with the number of runs made and the results so far.

        Returns:
            The results of each run.

        Raises:
            As the function; the runs before stay made.
        """
        runs = Runs()
        source = _Source(batches)
        with self._lock, spanned(f"{self.__name__}.run", kind="program"):
            while source.left:
                entry = self._ready(source)
                if entry is None or source.columns is None:
                    if not self._single(source, runs, check_finite):
                        break
                elif not self._many(entry, source, runs, check_finite, progress):
                    break
                if progress is not None:
                    progress(len(runs), runs)
        return runs

    def _ready(self, source: _Source) -> _Entry | None:
        """The entry for the next batches, if many of them can run as one."""
        leaves = source.example()
        if leaves is None:
            return None
        args, shape = flatten((leaves, {}))
        entry = self._entry_for(args, shape)
        if entry is None or any(feed.many is None and feed.values[0].size > _LARGE for feed in entry.program.feeds):
            return None
        native = entry.compiled(
            self.backend if entry.runs < _WORTH else "native" if self.backend != "replay" else "replay"
        )
        return entry if native is not None and native.whole and not entry.captured.gradients_kept else None

    def _single(self, source: _Source, runs: Runs, check: bool) -> bool:
        batch = source.next()
        leaves, shape = flatten((batch, {}))
        entry = self._entry_for(leaves, shape)
        if not check:
            if entry is not None:
                entry.rare = entry.rare or source.ragged(batch)
            runs._add(None, self(*batch), 1)
            return True
        if entry is None:
            # A captured run can be put back by itself.
            try:
                result = self._capture(leaves, shape, refuses=lambda found: not _finite(found))
            except NotKeptError as refused:
                (result,) = refused.args
        else:
            entry.rare = entry.rare or source.ragged(batch)
            with Held():
                result = self._unless_broken(entry, batch)
        runs._add(None, result, 1)
        runs.finite = _finite(result)
        return runs.finite

    def _unless_broken(self, entry: _Entry, batch: tuple[Any, ...]) -> Any:
        """The step on ``batch``; everything is as before if its result is not finite."""
        before = [(array, array.copy()) for array in entry.written]
        gradients = [(leaf, leaf.gradient) for leaf, _ in entry.captured.gradients]
        result = self(*batch)
        if not _finite(result):
            for array, values in before:
                np.copyto(array, values)
            for leaf, gradient in gradients:
                leaf.gradient = gradient
            entry.captured.count(-1)
        return result

    def _many(
        self, entry: _Entry, source: _Source, runs: Runs, check: bool, progress: Callable[[int, Runs], Any] | None
    ) -> bool:
        while source.full:
            count = min(entry.piece, source.full)
            began = time.perf_counter()
            with Held():
                stopped = self._piece(entry, source, runs, count, check)
            if stopped:
                runs.finite = False
                return False
            spent = time.perf_counter() - began
            # A last piece that is small says little about how many there is time for.
            entry.piece = int(min(max(count * _PIECE / max(spent, 1e-6), 1), max(4 * count, entry.piece), 1 << 20))
            if progress is not None:
                progress(len(runs), runs)
                if not entry.valid():
                    break
        return True

    def _piece(self, entry: _Entry, source: _Source, runs: Runs, count: int, check: bool) -> bool:
        """The next ``count`` full batches; whether they stopped before one whose result is not finite."""
        captured = entry.captured
        captured.count(count)
        done = 0
        try:
            fed = _fed_many(entry.program, count)
            found = entry.native.run_batches(count, source.gathered(count), fed, check=check)
            done = found.done
        except IndexError as error:
            done = getattr(error, "done", 0)
            source.advance(done)
            _ask(entry, source.next())
            raise
        finally:
            captured.count(done - count)
            if done:
                entry.wrote()
        stopped: bool = done < count
        runs._add(captured, [one[: done + stopped] for one in found.outputs], done + stopped)
        source.advance(done + stopped)
        entry.runs += done
        self._settle(entry, [one[max(done - 1, 0)] for one in found.outputs])
        return stopped

    # --- for people ---

    @property
    def program(self) -> Program:
        """The program that ran last.

        Raises:
            ArgumentError: the function was not called yet.
        """
        if self._last is None:
            raise ArgumentError(f"{self.__name__} was not captured yet: call it once, then look at its program")
        return self._last.program

    @property
    def running(self) -> Literal["native", "replay"]:
        """What runs the programs: compiled C for one of them at least, or NumPy for all."""
        entries = [entry for kind in self._entries.values() for entry in kind]
        return "native" if any(entry.native is not None for entry in entries) else "replay"

    def __repr__(self) -> str:
        count = sum(map(len, self._entries.values()))
        return f"<compiled {self.__name__}, backend={self.backend!r}, {count} program{'s' * (count != 1)}>"


_LARGE = 1 << 22


def _natively(native: Any, entry: _Entry, inputs: list[Array], fed: Sequence[Array]) -> list[Array]:
    try:
        outputs: list[Array] = native.run(inputs, fed)
    except IndexError:
        # The eager functions ask before they compute, and say more.
        _ask(entry, inputs)
        raise
    return outputs


def _ask(entry: _Entry, inputs: Sequence[Array]) -> None:
    """What the eager functions ask before they compute: their errors say more than that of a compiled step."""
    given = dict(zip(entry.program.inputs, inputs, strict=True))
    for check in entry.program.checks:
        if check.value in given:
            check.ask(given[check.value])


def _finite(result: Any) -> bool:
    """Whether the first tensor of a result is finite."""
    first = next((one for one in flatten(result)[0] if isinstance(one, Tensor)), None)
    return first is None or bool(np.isfinite(first.data).all())


def _eagerly(function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """The function as it is: arrays arrive as tensors, results have no graph."""
    leaves, shape = flatten((args, kwargs))
    made = {id(one): wrap(Tensor, one) for one in leaves if isinstance(one, np.ndarray)}
    positional, named = unflatten(shape, [made.get(id(one), one) for one in leaves])
    results, shape = flatten(function(*positional, **named))
    cut = [wrap(Tensor, one.data.copy("K")) if isinstance(one, Tensor) and not one.is_leaf else one for one in results]
    return unflatten(shape, cut)


def _fed_many(program: Program, count: int) -> list[Any]:
    from .native import Stacked  # noqa: PLC0415 - whole runs are native

    # Draws come run by run, as eagerly: they may share a generator.
    single = [feed for feed in program.feeds if feed.many is None]
    drawn = [[feed.draw() for feed in single] for _ in range(count)] if single else []
    found: list[Any] = []
    for feed in program.feeds:
        if feed.many is not None:
            table = feed.many(count)
            constant = table.strides[0] == 0
            for place in range(len(feed.values)):
                column = table[0, place] if constant else np.ascontiguousarray(table[:, place])
                found.append(np.asarray(column) if constant else Stacked(column))
        else:
            rows = [run[single.index(feed)] for run in drawn]
            found += [Stacked(np.stack(column)) for column in zip(*rows, strict=True)]
    return found


class _Source:
    """Batches still to be run: by their places in arrays where that is known, else one after the other."""

    def __init__(self, batches: Iterable[Any]) -> None:
        self.columns: tuple[Array, ...] | None = None
        self._iterator: Iterator[Any] | None = None
        self._at = 0
        if isinstance(batches, DataLoader) and isinstance(batches.dataset, TensorDataset) and batches.plain:
            columns = batches.dataset.columns
            if all(isinstance(one, np.ndarray) for one in columns):
                self.columns = tuple(columns)
                self._order = batches.order(batches.epoch)
                batches.epoch += 1
                self._size = batches.batch_size
                self._count = len(batches)
                return
        self._iterator = iter(batches)
        self._pending: list[Any] = []
        self._peek()

    def _peek(self) -> None:
        assert self._iterator is not None
        self._pending = [one for one in [next(self._iterator, None)] if one is not None]

    @property
    def left(self) -> bool:
        """Whether there is another batch."""
        return bool(self._pending) if self.columns is None else self._at < self._count

    @property
    def full(self) -> int:
        """How many full batches follow."""
        return len(self._order) // self._size - self._at

    def example(self) -> tuple[Any, ...] | None:
        """Arrays like those of the next batch, if full batches follow."""
        if self.columns is None or self.full < 1:
            return None
        return tuple([one[: self._size] for one in self.columns])

    def next(self) -> tuple[Any, ...]:
        """The next batch."""
        if self.columns is None:
            (batch,) = self._pending
            self._peek()
            return batch if isinstance(batch, tuple) else (batch,)
        places = self._order[self._at * self._size : (self._at + 1) * self._size]
        self._at += 1
        return tuple([one.take(places, axis=0) for one in self.columns])

    def ragged(self, batch: tuple[Any, ...]) -> bool:
        """Whether ``batch`` is what is left behind full ones."""
        return self.columns is not None and len(self._order) > self._size > len(batch[0])

    def gathered(self, count: int) -> list[Any]:
        """The next ``count`` batches, by their places."""
        from .native import Gathered  # noqa: PLC0415 - whole runs are native

        assert self.columns is not None
        begin = self._at * self._size
        order = self._order[begin : begin + count * self._size].reshape(count, self._size)
        return [Gathered(one, order) for one in self.columns]

    def advance(self, count: int) -> None:
        """``count`` batches were run."""
        self._at += count


_layout_of = attrgetter("shape", "dtype", "strides")


def _arrays_of(args: Sequence[Any]) -> list[Array] | None:
    """The arrays in arguments that are nothing but arrays and tensors of data; None if there are others."""
    arrays: list[Array] = []
    for one in args:
        if type(one) is np.ndarray:
            arrays.append(one)
        elif type(one) is Tensor and one.node is None:
            arrays.append(one.data)
        else:
            return None
    return arrays


def _array_in(one: Any) -> Array:
    array: Array = one.data if isinstance(one, Tensor) else one
    return array


@functools.cache
def _shape_of(count: int) -> list[Any]:
    """The shape of ``count`` positional arguments, none of them nested."""
    return flatten((tuple(range(count)), {}))[1]


def _is_input(one: Any) -> bool:
    return isinstance(one, np.ndarray) or (isinstance(one, Tensor) and not isinstance(one.node, Leaf))


def _kind_of(leaves: Sequence[Any], shape: Sequence[Any]) -> tuple[Any, ...]:
    """What decides which program a call can use: equal kinds can use the same."""
    kinds: list[Any] = [recorder() is not None, get_default_dtype(), tuple(shape)]
    seen: dict[int, int] = {}
    for place, one in enumerate(leaves):
        array = one.data if isinstance(one, Tensor) else one
        if not isinstance(array, np.ndarray) or not _is_input(one):
            kinds.append((type(one), _known_by(one)))
            continue
        recorded = isinstance(one, Tensor) and one.node is not None
        kinds.append((array.shape, array.dtype, _layout(array), recorded, seen.setdefault(id(one), place)))
    return tuple(kinds)


def _known_by(one: Any) -> Any:
    if isinstance(one, float):
        return repr(one)  # 0.0 and -0.0 are equal, and NaN is not
    return one if isinstance(one, (bool, int, str, bytes, type(None))) else id(one)


def _layout(array: Array) -> Any:
    """What decides how NumPy lays out results, and which of them are views."""
    flags = array.flags
    return "C" if flags.c_contiguous else "F" if flags.f_contiguous else array.strides


@overload
def compile(function: Callable[..., Any], *, backend: Backend = "auto", keep_gradients: bool = False) -> Compiled: ...
@overload
def compile(
    function: None = None, *, backend: Backend = "auto", keep_gradients: bool = False
) -> Callable[[Callable[..., Any]], Compiled]: ...


def compile(function: Any = None, *, backend: Backend = "auto", keep_gradients: bool = False) -> Any:
    """Make a function of tensors run without Python: usually a whole training step.

    The first call of each kind runs the function as it is and captures every op: forward, derived backward, optimizer
    update. Later calls of the same kind run the captured program. A kind is: shapes and dtypes of the arrays among the
    arguments, the values of all other arguments, and whether gradients are recorded. What else the program relies on is
    checked in every call (training mode and options of the modules, identity of parameters, options of the optimizer
    that ask for another formula), and where it does not hold any more the function is captured again.

    Learning rates, step counts, random masks and numbers drawn with this package's functions are new in every run. All
    else that Python computes is as it was in the captured run: numbers, lists, random numbers that NumPy drew.

    Args:
        function: takes tensors, arrays, numbers, nested dicts, lists and tuples of them; arrays arrive as tensors. May
            call modules, losses, ``backward()``, optimizers, ``autograd.grad``, and write with ``x -= ...`` inside
            ``no_grad``.
        backend: ``"replay"`` calls NumPy, bit by bit as eager. ``"native"`` is compiled C, equal to the accuracy of the
            ops, or replay with a warning where there is no compiler. ``"auto"``: native for what runs more than once.
        keep_gradients: leave ``.grad`` set even where the function clears it, computes it and has an optimizer use it.
            Otherwise it is None afterwards, and need not exist at all.

    Returns:
        A :class:`Compiled`, called like the function; results are tensors without a graph. ``run(loader)`` makes many
        steps without returning to Python.

    Raises:
        CaptureError: (on a call) the function reads a tensor's value, calls a rule written in Python, or writes past
            the library; the message names the line, and nothing that it wrote stays written.
        ArgumentError: no such backend.

    >>> from tinygrad_mlp import nn, optim, compile
    >>> model = nn.Linear(2, 1, seed=0)
    >>> optimizer = optim.SGD(model.parameters(), lr=0.1)
    >>> @compile
    ... def step(x, y):
    ...     optimizer.zero_grad()
    ...     loss = nn.MSELoss()(model(x), y)
    ...     loss.backward()
    ...     optimizer.step()
    ...     return loss
    >>> x, y = np.ones((4, 2), np.float32), np.ones((4, 1), np.float32)
    >>> losses = [step(x, y).item() for _ in range(3)]
    >>> losses[2] < losses[0]
    True
    """
    if backend not in _BACKENDS:
        raise ArgumentError(did_you_mean("backend", backend, _BACKENDS))
    if function is None:
        return lambda given: Compiled(given, backend, keep_gradients)
    return Compiled(function, backend, keep_gradients)
