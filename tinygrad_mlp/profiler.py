"""Where the time goes: ``with profile() as p:`` times every op, gradient rule, module and optimizer step in the block.

Nothing of this is on the path of an op while no profile is open. The op functions are closures over their NumPy
function; opening the first profile of the process exchanges what those closures hold for a timed wrapper, and closing
the last one puts the originals back, however the block ends. Modules and optimizers are timed in the same way, at the
methods of their base classes. What a gradient rule takes is noted by the nodes themselves, :class:`Profiled`, which
also know the module that their forward step ran in.

A profile belongs to the context that opened it (:mod:`contextvars`): threads that open one each do not see each
other's work, and a thread that is started with a copy of the context counts, under its own thread id.
"""

from __future__ import annotations

import contextvars
import functools
import json
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from pathlib import Path
from types import CellType, FunctionType, TracebackType
from typing import Any, NamedTuple, Self

import numpy as np

from .errors import ArgumentError, StateError
from .nn import MLP, Module
from .optim.optimizer import Optimizer
from .tables import Table, size_text
from .tape import _RECORDER, OPS, PACKAGE, Line, Node, Op, Plan, line_text, recorder, user_line, walk, wrap
from .tensor import Tensor

__all__ = ["Event", "Profile", "active", "profile", "spanned"]

Shapes = tuple[tuple[int, ...], ...]
_Sums = dict[tuple[str, str, str, str, Line | None], list[int]]
"""Calls, duration, own time and bytes, by kind, name, phase, module and line."""


class Event(NamedTuple):
    """One thing that was timed.

    Attributes:
        kind: "op", "rule" (a gradient rule, with the ops that it calls), "walk" (a backward pass), "module", "step" (of
            an optimizer), "program" (a call of a compiled function) or "span" (a block that was named).
        name: of the op, the op whose rule it is, the class of the module or optimizer, the function or the span.
        phase: "forward", "backward" or "update"; of a program "all".
        module: the path of the module it ran in, as in "MLP.layers.0", "" outside; of a rule, where its op ran.
        start: nanoseconds since the profile began. duration: nanoseconds.
        own: the duration without what is timed inside it; the ``own`` of all events of a thread add up to its time.
        shapes: of the operands. bytes: of the result.
        thread: the id of the thread.
        line: where in the user's program, with ``profile(lines=True)``; of a rule, the line of its op.
    """

    kind: str
    name: str
    phase: str
    module: str
    start: int
    duration: int
    own: int
    shapes: Shapes
    bytes: int
    thread: int
    line: Line | None


class _State(threading.local):
    """What is running in this thread; ``inner`` is what has been timed so far inside the innermost open event."""

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.inner = 0
        self.phase = "forward"
        self.module = ""
        self.root: Module | None = None
        self.line: Line | None = None


_STATE = _State()
_ACTIVE: ContextVar[Profile | None] = ContextVar("profile", default=None)
active: Callable[[], Profile | None] = _ACTIVE.get
"""The innermost open profile of this context, or None; for back ends that time their own steps."""

_now = time.perf_counter_ns

# So many events are kept as they came before they are added up; more would only be memory.
_CHUNK = 1 << 13


class Profile:
    """What :func:`profile` gives: a context manager that can be entered again, and then goes on adding up."""

    def __init__(self, *, lines: bool = False, max_events: int = 200_000) -> None:
        if max_events < 0:
            raise ArgumentError(f"profile: max_events is a number of events to keep, got {max_events!r}")
        self.lines = lines
        self.max_events = max_events
        self._waiting: deque[Event] = deque()
        self._kept: list[Event] = []
        self._sums: _Sums = {}
        self._count = 0
        self._wall = 0
        self._begun: int | None = None
        self._entered: tuple[int, Profile | None, type[Node] | None, _Sums, int] | None = None
        self._paths: dict[int, tuple[Module, dict[int, str]]] = {}
        self._folding = threading.Lock()

    # --- the block ---

    def __enter__(self) -> Self:
        if self._entered is not None:
            raise StateError("this profile is open already; for a block inside it say: with profile() as inner:")
        outer = active()
        if outer is not None:
            self._paths = outer._paths
        kind = recorder()
        _install()
        # Other kinds of node note what they are for; then rules count for the walk, and for no module.
        _RECORDER.set(Profiled if kind is Node else kind)
        _ACTIVE.set(self)
        # What an outer profile has counted already, if this one is entered again inside it.
        earlier = {key: list(one) for key, one in self._sums.items()}
        self._entered = _now(), outer, kind, earlier, len(self._kept)
        self._begun = self._begun or self._entered[0]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._entered is not None
        start, outer, before, earlier, kept = self._entered
        self._wall += _now() - start
        self._entered = None
        _ACTIVE.set(outer)
        _RECORDER.set(before)
        _remove()
        self._fold()
        if outer is not None:
            outer._take_over(self, earlier, kept)

    def _take_over(self, inner: Profile, earlier: _Sums, kept: int) -> None:
        """Count what ``inner``, which is closed now, has counted above ``earlier``."""
        with self._folding:
            for key, sums in inner._sums.items():
                then = earlier.get(key, (0, 0, 0, 0))
                calls, *rest = [a - b for a, b in zip(sums, then, strict=True)]
                self._count += calls
                if calls:
                    _add(self._sums, key, calls, *rest)
            room = max(self.max_events - len(self._kept), 0)
            self._kept += inner._kept[kept:][:room]

    def _note(self, event: Event) -> None:
        waiting = self._waiting
        waiting.append(event)
        if len(waiting) >= _CHUNK:
            self._fold()

    def _fold(self) -> None:
        with self._folding:
            for _ in range(len(self._waiting)):
                event = self._waiting.popleft()
                kind, name, phase, module, _, duration, own, _, size, _, line = event
                self._count += 1
                _add(self._sums, (kind, name, phase, module, line), 1, duration, own, size)
                if len(self._kept) < self.max_events:
                    self._kept.append(event)

    def _path(self, module: Module) -> str:
        """The path of a module that is about to run, as error messages name it: "MLP.layers.0"."""
        root = _STATE.root
        if root is None:
            _STATE.root = root = module
        known = self._paths.get(id(root))
        if known is None or id(module) not in known[1]:
            if known is None:
                name = type(root).__name__
                alike = sum(type(one).__name__ == name for one, _ in self._paths.values())
                name = f"{name}({alike + 1})" if alike else name
            else:  # a layer that was added, or is held by no module
                name = known[1][id(root)]
            paths = {id(one): f"{name}.{path}" if path else name for path, one in root.named_modules()}
            paths.setdefault(id(module), f"{_STATE.module}.{type(module).__name__}")
            known = self._paths[id(root)] = (root, paths)  # the root is held, so that its id stays its own
        return known[1][id(module)]

    # --- what others time ---

    def record(
        self,
        name: str,
        phase: str,
        module: str,
        start: int,
        duration: int,
        *,
        kind: str = "op",
        shapes: Shapes = (),
        bytes: int = 0,
        line: Line | None = None,
    ) -> None:
        """Enter something that was timed elsewhere: a step of a compiled program.

        Args:
            name, phase, module, kind, shapes, bytes, line: see :class:`Event`.
            start: when it began, by ``time.perf_counter_ns()``.
            duration: nanoseconds.
        """
        _STATE.inner += duration
        self._note(Event(kind, name, phase, module, start, duration, duration, shapes, bytes, _STATE.thread, line))

    @contextmanager
    def span(self, name: str, *, kind: str = "span", phase: str | None = None) -> Iterator[None]:
        """Time a block of the program under a name; what is timed inside it lies inside it in the trace."""
        state = _STATE
        outer, before = state.inner, state.phase
        state.inner = 0
        state.phase = phase or before
        start = _now()
        try:
            yield
        finally:
            _close(self, kind, name, state, start, outer)
            state.phase = before

    # --- the answers ---

    @property
    def total(self) -> float:
        """Seconds of wall time that the block took."""
        running = 0 if self._entered is None else _now() - self._entered[0]
        return (self._wall + running) / 1e9

    @property
    def events(self) -> list[Event]:
        """What was timed, in the order in which it began; the first ``max_events`` of it (the sums have all)."""
        self._fold()
        begun = self._begun or 0
        events = [one._replace(start=one.start - begun) for one in self._kept]
        return sorted(events, key=lambda one: (one.start, -one.duration))

    @property
    def count(self) -> int:
        """How many events there were."""
        self._fold()
        return self._count

    @property
    def overhead(self) -> float:
        """Seconds that the profiler itself took, about: the number of events times the measured cost of one."""
        return self.count * cost_per_call()

    def calls(self) -> dict[str, int]:
        """How often the forward function of each op was called, by the name of the op."""
        self._fold()
        found: dict[str, int] = {}
        for (kind, name, *_), (calls, *_) in self._sums.items():
            if kind == "op":
                found[name] = found.get(name, 0) + calls
        return found

    def table(self, sort: str = "self", rows: int | None = None) -> Table:
        """Time per op and phase.

        ``total`` includes, ``self`` excludes what is timed inside: the ops that a rule calls, the ops of a module.

        Args:
            sort: "self", "total", "calls" or "bytes", largest first.
            rows: how many rows to show; all by default.

        Raises:
            ArgumentError: another ``sort``.
        """
        place = {"calls": 0, "total": 1, "self": 2, "bytes": 3}
        if sort not in place:
            raise ArgumentError(f"table: sort is one of {', '.join(map(repr, place))}, got {sort!r}")
        sums = self._summed(lambda kind, name, phase, module, line: (_label(kind, name), phase))
        for (name, _), one in sums.items():
            if name == _MODULES:  # a module's time is in that of the module around it already
                one[1] = one[2]
        ordered = sorted(sums.items(), key=lambda item: (-item[1][place[sort]], item[0]))
        lines = [
            (
                name,
                phase,
                f"{calls:,}",
                _ms(total),
                _ms(own),
                self._share(own),
                f"{own / 1e3 / calls:.1f}",
                size_text(size) if size else "",
            )
            for (name, phase), (calls, total, own, size) in ordered[:rows]
        ]
        head = ("op", "phase", "calls", "total ms", "self ms", "share", "self µs/call", "bytes")
        return Table("", head, tuple(lines), 2, self._foot(len(ordered) - len(lines)))

    def by_module(self) -> Table:
        """Time per module: ``total`` is its calls with the layers inside, the phases count what ran in it directly."""
        sums = self._summed(lambda kind, name, phase, module, line: (module, phase))
        phases = ["forward", "backward", "update", *dict.fromkeys(phase for _, phase in sums if phase == "all")]
        calls = self._summed(lambda kind, name, phase, module, line: (module, name) if kind == "module" else None)
        owns = {path: [sums.get((path, phase), (0, 0, 0, 0))[2] for phase in phases] for path, _ in sums}
        kinds = {path: (name, count, total) for (path, name), (count, total, *_) in calls.items()}
        lines = []
        for path, own in sorted(owns.items(), key=lambda item: (-sum(item[1]), item[0])):
            kind, count, total = kinds.get(path, ("", 0, 0))
            shown = (f"{count:,}", _ms(total)) if count else ("", "")
            lines.append((path or "(outside)", kind, *shown, *map(_ms, own), self._share(sum(own))))
        head = ("module", "class", "calls", "total ms", *[f"{phase} ms" for phase in phases], "share")
        return Table("", head, tuple(lines), 2, self._foot(0))

    def by_line(self) -> Table:
        """Time per line of the user's program; a rule counts for the line of its op.

        Raises:
            StateError: the profile was taken without ``lines=True``.
        """
        if not self.lines:
            raise StateError("lines were not noted; say profile(lines=True)")
        sums = self._summed(lambda kind, name, phase, module, line: line_text(line) if line else None)
        ordered = sorted(sums.items(), key=lambda item: -item[1][2])
        lines = [
            (where, f"{calls:,}", _ms(own), self._share(own), size_text(size))
            for where, (calls, _, own, size) in ordered
        ]
        return Table("", ("line", "calls", "self ms", "share", "bytes"), tuple(lines), 1, self._foot(0))

    def _summed(self, key: Callable[..., Any]) -> dict[Any, list[int]]:
        self._fold()
        found: dict[Any, list[int]] = {}
        for facts, sums in self._sums.items():
            group = key(*facts)
            if group is not None:
                _add(found, group, *sums)
        return found

    def _share(self, own: int) -> str:
        return f"{own / 1e9 / self.total:.1%}" if self.total else ""

    def _foot(self, hidden: int) -> tuple[str, ...]:
        timed = sum(own for _, _, own, _ in self._sums.values())
        timing = (
            f"wall {self.total * 1e3:.3f} ms, timed {timed / 1e6:.3f} ms in {self._count:,} events; the profiler took "
            f"about {self.overhead * 1e3:.3f} ms of it ({cost_per_call() * 1e6:.2f} µs per event)"
        )
        return (f"and {hidden} more rows", timing) if hidden else (timing,)

    def __str__(self) -> str:
        return str(self.table())

    def __repr__(self) -> str:
        return f"<Profile of {self.total * 1e3:.3f} ms, {self.count:,} events>"

    def __rich__(self) -> Any:
        return self.table().__rich__()

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()

    def export_chrome_trace(self, path: str | os.PathLike[str]) -> None:
        """Write the events for chrome://tracing and https://ui.perfetto.dev, as JSON.

        One complete event ("ph": "X") each, times in microseconds, a track per thread.
        """
        pid = os.getpid()
        events = sorted(self.events, key=lambda one: (one.thread, one.start, -one.duration))
        names = {one.ident: one.name for one in threading.enumerate()}
        threads = dict.fromkeys(one.thread for one in events)
        trace: list[dict[str, Any]] = [
            {"name": "process_name", "ph": "M", "pid": pid, "tid": 0, "args": {"name": "tinygrad_mlp"}},
            *[
                {"name": "thread_name", "ph": "M", "pid": pid, "tid": one, "args": {"name": names.get(one, str(one))}}
                for one in threads
            ],
        ]
        for one in events:
            args: dict[str, Any] = {"phase": one.phase, "self_us": one.own / 1e3}
            if one.module:
                args["module"] = one.module
            if one.shapes:
                args["shapes"] = [list(shape) for shape in one.shapes]
            if one.bytes:
                args["bytes"] = one.bytes
            if one.line:
                args["line"] = line_text(one.line)
            name = one.module if one.kind == "module" else _label(one.kind, one.name)
            times = {"ts": one.start / 1e3, "dur": one.duration / 1e3}
            trace.append(
                {"name": name, "cat": one.kind, "ph": "X", **times, "pid": pid, "tid": one.thread, "args": args}
            )
        facts = {"events": self.count, "left out": self.count - len(events), "overhead_us": self.overhead * 1e6}
        text = json.dumps({"traceEvents": trace, "displayTimeUnit": "ms", "otherData": facts})
        Path(path).write_text(text, encoding="utf-8")


def profile(*, lines: bool = False, max_events: int = 200_000) -> Profile:
    """Time what runs in a ``with`` block: every op, gradient rule, module call and optimizer step.

    The numbers that the program computes stay the same bits.

    Args:
        lines: note the line of the user's program for each op; about a microsecond more per op.
        max_events: how many single events to keep for ``events`` and the trace; the tables count all.

    >>> import tinygrad_mlp as tg
    >>> x = tg.ones(3, requires_grad=True)
    >>> with tg.profile() as p:
    ...     (x * x).sum().backward()
    >>> p.calls()["mul"] > 0
    True
    """
    return Profile(lines=lines, max_events=max_events)


def spanned(name: str, *, kind: str = "span") -> AbstractContextManager[None]:
    """A :meth:`Profile.span` of the open profile; nothing where there is none."""
    profile = active()
    return _NOTHING if profile is None else profile.span(name, kind=kind, phase="all" if kind == "program" else None)


_NOTHING = nullcontext()


def _add(sums: dict[Any, list[int]], key: Any, *amounts: int) -> None:
    found = sums.get(key)
    if found is None:
        sums[key] = list(amounts)
    else:
        for place, amount in enumerate(amounts):
            found[place] += amount


_MODULES = "(modules)"


def _label(kind: str, name: str) -> str:
    if kind == "module":
        return _MODULES
    names = {"rule": f"rule of {name}", "program": f"{name} (compiled)", "walk": "(walk)", "step": f"{name}.step"}
    return names.get(kind, name)


def _ms(nanoseconds: int) -> str:
    return f"{nanoseconds / 1e6:.3f}"


# --- what is exchanged while a profile is open -----------------------------------------------------


def _close(
    profile: Profile,
    kind: str,
    name: str,
    state: _State,
    start: int,
    outer: int,
    shapes: Shapes = (),
    size: int = 0,
    line: Line | None = None,
) -> None:
    """End what began at ``start``, when ``outer`` had been timed inside what lies around it."""
    duration = _now() - start
    own = duration - state.inner
    state.inner = outer + duration
    profile._note(Event(kind, name, state.phase, state.module, start, duration, own, shapes, size, state.thread, line))


def _timed_op(op: Op, forward: Callable[..., Any]) -> Callable[..., Any]:
    name = op.name
    saves = op.saves

    def timed(*arrays: Any, **params: Any) -> Any:
        profile = active()
        if profile is None:
            return forward(*arrays, **params)
        state = _STATE
        outer = state.inner
        state.inner = 0
        start = _now()
        try:
            y = forward(*arrays, **params)
        except BaseException:
            state.inner = outer + _now() - start
            raise
        duration = _now() - start
        own = duration - state.inner
        state.inner = outer + duration
        shapes = tuple([getattr(one, "shape", ()) for one in arrays])
        size = getattr(y[0] if saves else y, "nbytes", 0)
        line = (state.line or user_line()) if profile.lines else None
        profile._note(
            Event("op", name, state.phase, state.module, start, duration, own, shapes, size, state.thread, line)
        )
        return y

    return timed


class Profiled(Node):
    """A node that knows the module, and with ``lines`` the line, that it was recorded in, and times its rules."""

    __slots__ = ("before", "line", "module")

    def __init__(
        self, plan: Plan | None, inputs: tuple[Node, ...], kept: tuple[Any, ...] | None, shape: tuple[int, ...]
    ) -> None:
        super().__init__(plan, inputs, kept, shape)
        self.hooks = None
        self.module = _STATE.module
        profile = active()
        self.line = (_STATE.line or user_line()) if profile is not None and profile.lines else None
        self.before: tuple[int, str, Line | None, int] | None = None

    def saw(self, _gradient: Any) -> None:
        """The rules begin."""
        if active() is None:
            return
        state = _STATE
        self.before = state.inner, state.module, state.line, _now()
        state.inner = 0
        state.module = self.module
        state.line = self.line

    def gave(self, results: Any) -> None:
        """The rules have ended."""
        profile = active()
        if self.before is None or profile is None:
            return
        state = _STATE
        outer, module, line, start = self.before
        self.before = None
        assert self.plan is not None
        size = sum([getattr(one, "nbytes", 0) for one in results])
        _close(profile, "rule", self.plan.op.name, state, start, outer, (self.shape,), size, self.line)
        state.module = module
        state.line = line


def _timed_walk(*args: Any, **options: Any) -> Any:
    profile = active()
    if profile is None:
        return walk(*args, **options)
    state = _STATE
    outer, phase, module, line = state.inner, state.phase, state.module, state.line
    state.inner = 0
    state.phase = "backward"
    start = _now()
    try:
        return walk(*args, **options)
    finally:
        # A rule that raised has left its own behind.
        state.module = module
        state.line = line
        _close(profile, "walk", "walk", state, start, outer)
        state.phase = phase


def _timed_module(call: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(call)
    def timed(module: Module, /, *inputs: Any, **options: Any) -> Any:
        profile = active()
        if profile is None:
            return call(module, *inputs, **options)
        state = _STATE
        before, root, outer = state.module, state.root, state.inner
        state.module = profile._path(module)
        state.inner = 0
        start = _now()
        try:
            return call(module, *inputs, **options)
        finally:
            _close(profile, "module", type(module).__name__, state, start, outer)
            state.module = before
            state.root = root

    return timed


def _timed_step(step: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(step)
    def timed(optimizer: Optimizer, /, *args: Any, **options: Any) -> Any:
        profile = active()
        if profile is None:
            return step(optimizer, *args, **options)
        state = _STATE
        outer = state.inner
        state.inner = 0
        start = _now()
        try:
            return step(optimizer, *args, **options)
        finally:
            # Only the event is an update: what a closure computes on the way is forward and backward.
            phase, state.phase = state.phase, "update"
            _close(profile, "step", type(optimizer).__name__, state, start, outer)
            state.phase = phase

    return timed


_installing = threading.Lock()
_open = 0
_undo: list[Callable[[], None]] = []


def _install() -> None:
    """Exchange the functions for timed ones, for the first profile that is open in the process."""
    global _open  # noqa: PLW0603 - one count for the process
    with _installing:
        _open += 1
        if _open > 1:
            return
        for op in OPS.values():
            for cell in _cells(op):
                _exchange_cell(cell, _timed_op(op, cell.cell_contents))
        for owner, name, timed in (
            (Module, "__call__", _timed_module),
            (Optimizer, "step", _timed_step),
        ):
            original = vars(owner)[name]
            setattr(owner, name, timed(original))
            _undo.append(functools.partial(setattr, owner, name, original))
        for module in _walkers():
            vars(module)["walk"] = _timed_walk
            _undo.append(functools.partial(setattr, module, "walk", walk))


def _remove() -> None:
    """Put everything back, after the last profile."""
    global _open  # noqa: PLW0603 - one count for the process
    with _installing:
        _open -= 1
        if not _open:
            while _undo:
                _undo.pop()()


def _exchange_cell(cell: CellType, timed: Callable[..., Any]) -> None:
    _undo.append(functools.partial(setattr, cell, "cell_contents", cell.cell_contents))
    cell.cell_contents = timed


def _cells(op: Op) -> Iterable[CellType]:
    """The closure cells through which an op function reaches its NumPy function."""
    waiting = [op.call]
    while waiting:
        function = waiting.pop()
        names = function.__code__.co_freevars
        for name, cell in zip(names, function.__closure__ or (), strict=True):
            if name == "forward":
                yield cell
            elif isinstance(cell.cell_contents, FunctionType) and name in _LONGER_WAYS:
                waiting.append(cell.cell_contents)


# What the op functions of declare.py and elementwise.py call where their own short way does not do.
_LONGER_WAYS = frozenset({"at_length", "in_general"})


def _walkers() -> list[Any]:
    """The modules of the package that call the walk by a name of their own.

    The tape keeps the plain one, so that a module that is imported while a profile is open gets that.
    """
    mine = {__name__, walk.__module__}
    return [
        module
        for name, module in list(sys.modules.items())
        if name not in mine
        and (getattr(module, "__file__", None) or "").startswith(PACKAGE)
        and vars(module).get("walk") is walk
    ]


@functools.cache
def cost_per_call() -> float:
    """Seconds that one event costs, measured on a small network: the smallest of several means."""
    # In a context of its own, where no profile is open; one that is goes on as if nothing had been timed.
    inner = _STATE.inner
    try:
        return contextvars.copy_context().run(_measured_cost)
    finally:
        _STATE.inner = inner


def _measured_cost() -> float:
    _ACTIVE.set(None)
    _RECORDER.set(Node)
    model = MLP(2, 4, 4, 1, seed=0)
    x = wrap(Tensor, np.ones((2, 2), np.float32))

    def seconds() -> float:
        start = _now()
        for _ in range(40):
            model(x).sum().backward()
        return (_now() - start) / 1e9

    costs = []
    for _ in range(5):
        plain = seconds()
        with Profile() as p:
            profiled = seconds()
        costs.append((profiled - plain) / p.count)
    return max(min(costs), 0.0)
