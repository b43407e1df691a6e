"""One run of a step function, noted op by op and flattened to a :class:`~.ir.Program`.

The run is real: it computes, and what it writes into parameters, optimizer state and gradients stays written. It is
also complete: the backward pass is walked on the tape, and optimizers run their own rules on stand-ins that note every
NumPy call. If the function raises, or does something that could not be run again, everything written is put back.
"""

from __future__ import annotations

import inspect
import zlib
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from functools import partial
from operator import attrgetter
from types import FrameType
from typing import Any

import numpy as np

from ..capture import Captured
from ..errors import CaptureError
from ..nn.module import Module
from ..ops import NUMPY
from ..optim import Optimizer
from ..optim.optimizer import State, Update
from ..tape import (
    WHOLE,
    Array,
    Leaf,
    Node,
    Op,
    Traced,
    line_text,
    recording_with,
    user_frame,
    user_line,
    walking,
    wrap,
    wrote,
)
from ..tensor import Tensor
from ..tree import Structure, flatten, unflatten
from ..watch import scope
from .collector import collector_paused
from .guards import Guard
from .interrupts import Held
from .ir import Check, Feed, Kind, Operand, Program, SavedRef, Step, Value
from .passes import simplify

__all__ = ["Capture", "Noted", "Trace", "capture"]

_hooks = attrgetter("hooks")

_TRACE: ContextVar[Trace | None] = ContextVar("trace", default=None)


def _now() -> Trace:
    trace = _TRACE.get()
    assert trace is not None, "noting outside of a trace"
    return trace


class Noted(Captured):
    """A step of a function that is being captured whole: forward, backward and update."""

    __slots__ = ("fixed", "module", "result", "saved")

    whole = True
    notes_modules = True

    result: Value
    saved: Any
    module: str
    fixed: bool
    """Whether nothing but data of the program went into it, so that it may be read as it is now."""

    @classmethod
    def note(
        cls,
        op: Op,
        kind: type[Traced],
        y: Array,
        saved: Any,
        operands: Sequence[Any],
        arrays: Sequence[Any],
        params: dict[str, Any],
    ) -> Traced:
        """The handle on what ``op`` gave; the step is entered in the program."""
        handle = super().note(op, kind, y, saved, operands, arrays, params)
        node: Any = handle.node
        trace = _now()
        node.saved = saved
        node.module = trace.module()
        node.fixed = all(source.fixed if isinstance(source, Noted) else source is None for source, _ in node.operands)
        node.result = trace.add(
            op, [trace.operand(*pair) for pair in zip(operands, arrays, strict=True)], node.params, y
        )
        if isinstance(saved, tuple):
            trace.saved[id(saved)] = node.result.step
            trace.alive.append(saved)
        return handle

    def observe(self, *_: Any) -> None:
        """Called for a step that is code of the user's.

        Raises:
            CaptureError: always; only ops can be run again without Python.
        """
        assert self.plan is not None
        raise CaptureError(
            f"compile: {self.plan.op.name}, at {line_text(user_line())}, runs Python code of yours in its "
            "backward pass, which a compiled step cannot call. Declare it as an op, or leave it "
            "outside"
        )

    @classmethod
    def draws(cls) -> None:
        """Random numbers are about to be drawn: :meth:`drawn` notes them."""

    @classmethod
    def drawn(cls, draw: Callable[[], Array]) -> Traced:
        """What ``draw`` gives now, to be drawn anew before each run."""
        return _now().source("fed", draw(), draw)

    @classmethod
    def asks(cls, value: Any, question: Callable[[Array], Any]) -> None:
        """``question`` was just asked of the values, and has to be asked of other ones before they are used."""
        if isinstance(value, Traced) and isinstance(value.node, Noted):
            _now().program.checks.append(Check(value.node.result, question))

    @classmethod
    def read(cls, value: Traced, what: str) -> None:
        """Python or NumPy is about to read ``value``: the program is good for as long as it would be read again.

        Raises:
            CaptureError: it is another one in every run.
        """
        node = value.node
        if node is None or (isinstance(node, Noted) and node.fixed):
            _now().rely_on(value, what)
        else:
            raise CaptureError(
                f"compile: {what} reads a value of the step, at {line_text(user_line())}. The compiled step runs "
                "without Python, so nothing can be decided or printed inside: return the tensor and read it outside, "
                "choose with where(), or leave this function uncompiled"
            )

    @classmethod
    def fixes(cls, array: Array) -> None:
        """``array`` was made for this step and is the same in every run."""
        _now().value_of(array).fixed = True

    @classmethod
    def enters(cls, module: Any) -> None:
        """A module begins to run: its mode and options are part of what was captured."""
        _now().enter(module)

    @classmethod
    def cleared(cls, leaf: Node, set_to_none: bool) -> None:
        """The gradient of ``leaf`` is about to be forgotten.

        Raises:
            CaptureError: it is to be overwritten with zeros.
        """
        if not set_to_none:
            raise CaptureError(
                f"compile: zero_grad(set_to_none=False), at {line_text(user_line())}, writes zeros into memory that "
                "the compiled step does not keep; say zero_grad()"
            )
        _now().clear(leaf)

    @classmethod
    def looks(cls, leaf: Leaf) -> None:
        """The gradient of ``leaf`` is about to be read."""
        _now().watch_gradient(leaf)

    @classmethod
    def accumulates(cls, found: dict[Node, Any]) -> None:
        """Add what a walk found to the leaves' gradients."""
        _now().accumulate(found)

    @classmethod
    def assigns(cls, target: Array, ufunc: Any, *operands: Any) -> None:
        """``ufunc(*operands, out=target)``, into memory that belongs to the user."""
        trace = _now()
        cells = [trace.cell(one) for one in operands]
        out = Cell(trace, target, trace.value_of(target))
        trace.note_in_place(ufunc, cells, out)
        trace.write(target, out)

    @classmethod
    def fills(cls, out: Sequence[Array], ufunc: Any, *operands: Any) -> None:
        """``ufunc(*operands, out=out)`` was called on plain arrays; ``ufunc`` is None if in a way that is not noted.

        Raises:
            CaptureError: that cannot be done again in each run.
        """
        trace = _now()
        if ufunc is not None and len(out) == 1 and trace.owns(out[0]):
            cls.assigns(out[0], ufunc, *operands)
            return
        raise CaptureError(
            f"compile: NumPy computes with a tensor into an array, at {line_text(user_line())}. If the array is made "
            "inside the function, no run would make it anew: say a = a + x. If it is to be kept from run to run, make "
            "it a Tensor t and say `with no_grad(): t += x`"
        )

    @classmethod
    def rewrites(cls, target: Traced, made: Traced, what: str) -> Traced:
        """``target``, a value of the step, is to be what ``made`` is from now on, under all its names.

        Raises:
            CaptureError: it is an argument, which the compiled step does not write, or its dtype would change.
        """
        before, after = target.node, made.node
        assert isinstance(before, Noted)
        assert isinstance(after, Noted)
        if before.plan is None:
            raise CaptureError(
                f"compile: {what}, at {line_text(user_line())}, writes into an argument, which a compiled step does "
                "not do; say x = x + value, and return it"
            )
        old, new = before.result, after.result
        if (old.shape, old.dtype) != (new.shape, new.dtype):
            raise CaptureError(
                f"compile: {what}, at {line_text(user_line())}, would make {new.dtype} {new.shape} of {old.dtype} "
                f"{old.shape}; say x = x + value"
            )
        Traced.__dict__["data"].__set__(target, after.value)
        target.node = after
        return target

    @classmethod
    def sets(cls, target: Traced, value: Any) -> None:
        """``target[...] = value`` is about to be done.

        Raises:
            CaptureError: a run has to do it again.
        """
        noted = any(isinstance(one, Traced) and isinstance(one.node, Noted) for one in (target, value))
        if noted or isinstance(target.node, Leaf) or id(target.data) in _now().values:
            raise CaptureError(
                f"compile: x[...] = value, at {line_text(user_line())}, writes in a way that a compiled step cannot do "
                "again; build the tensor with where(), cat() or stack(), or write with `with no_grad(): x -= ...`"
            )

    @classmethod
    def updates(cls, optimizer: Optimizer) -> None:
        """Run the optimizer's rules on stand-ins, which note every NumPy call."""
        _now().update(optimizer)

    def revive(self, kind: type[Traced], kept: tuple[Any, ...]) -> tuple[Any, ...]:
        """What the rules read, all of it on the tape, and what the forward function saved."""
        assert self.plan is not None
        values = super().revive(kind, kept)
        trace = _now()
        plain = {id(array) for node, array in self.operands if node is None and isinstance(array, np.ndarray)}
        # A rule may compute with plain data alone, which has to be noted too: it may be written between the runs.
        return tuple(
            [
                self.saved
                if name == "saved"
                else trace.handle(trace.value_of(value), value)
                if id(value) in plain
                else value
                for name, value in zip(self.plan.reads, values, strict=True)
            ]
        )

    def saw(self, _gradient: Any) -> None:
        """Steps noted from now on belong to the module of this one.

        Raises:
            CaptureError: the step has hooks.
        """
        if _has_hooks(self):
            raise _hooked(f"the result of {self.plan.op.name}" if self.plan is not None else "a tensor")
        _now().walked = self.module

    @classmethod
    def holds(cls, leaf: Traced) -> Traced:
        """What ``leaf`` holds, without its gradient: a handle on its memory, which shows what is written there."""
        trace = _now()
        return trace.handle(trace.value_of(leaf.data, leaf), leaf.data)

    def gave(self, _results: Sequence[Any]) -> None:
        """They no longer do."""
        _now().walked = None


def _data_under(node: Node | None, array: Array) -> list[Array]:
    """The arrays that a value was computed from: plain data alone; of data itself the one array."""
    found: list[Array] = []
    waiting: list[tuple[Any, Any]] = [(node, array)]
    seen: set[Node] = set()
    while waiting:
        source, given = waiting.pop()
        if source is None:
            if isinstance(given, np.ndarray):
                found.append(given)
        elif source not in seen:
            seen.add(source)
            waiting += source.operands
    return found


class _Quietly(Noted):
    """Steps noted where no gradient passes: inside ``no_grad``, in the backward pass."""

    __slots__ = ()

    silent = True


Noted.quiet = _Quietly
Noted.loud = Noted


class Cell:
    """A stand-in for an array in an optimizer's rule: NumPy's functions compute on the array and are noted."""

    __slots__ = ("array", "trace", "value")

    def __init__(self, trace: Trace, array: Array, value: Operand) -> None:
        self.trace = trace
        self.array = array
        self.value = value

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: tuple[Cell, ...] = ()) -> Cell:
        assert method == "__call__", f"an optimizer's rule calls numpy.{ufunc.__name__}.{method}"
        (target,) = out
        self.trace.note_in_place(ufunc, [self.trace.cell(one) for one in inputs], target)
        return target


class Trace:
    """What is known of the run that is being captured."""

    def __init__(self, name: str, names: dict[int, str]) -> None:
        self.program = Program(name)
        self.names = names
        self.values: dict[int, Value] = {}
        self.first: dict[int, Value] = {}
        self.alive: list[Any] = []
        self.saved: dict[int, Step | None] = {}
        self.sums: dict[int, tuple[Array, int]] = {}
        self.backups: dict[int, tuple[Array, Array]] = {}
        self.undo: list[Callable[[], Any]] = []
        self.tensors: set[int] = set()
        self.reads: dict[int, tuple[Array, int, str]] = {}
        self.written: dict[int, tuple[Array, str]] = {}
        self.guards: list[Guard] = []
        self.entered: set[Any] = set()
        self.leaves: dict[Leaf, Tensor | None] = {}
        self.cleared: set[Node] = set()
        self.reached: set[Leaf] = set()
        self.lived: dict[int, list[Value]] = {}
        self.grown: dict[Any, Any] = {}
        self.stale: set[Value] = set()
        self.consumed: set[Leaf] = set()
        self.counted: list[Update] = []
        self.calls: list[FrameType] = []
        self.walked: str | None = None
        self.updating = False
        self.handed: list[tuple[Leaf, Any]] = []
        self._arrays: dict[Value, Array] = {}
        self.views: list[Value] = []
        self._counts: dict[int, int] = {}
        self._feeds: dict[Any, tuple[Feed, list[Array], list[State]]] = {}

    # --- values ---

    def module(self) -> str:
        """The path of the module that runs now, or whose step the walk is at."""
        if self.walked is not None:
            return self.walked
        path = scope()
        return ".".join(path[1:]) or ".".join(path)

    def register(self, value: Value, array: Array) -> Value:
        """Know ``array`` as ``value`` from now on."""
        self.values[id(array)] = value
        self.alive.append(array)
        return value

    def source(self, kind: Kind, array: Array, draw: Callable[[], Array] | None = None, name: str = "") -> Traced:
        """A handle on an array that comes from outside in every run."""
        value = self.register(Value(kind, array, name=name), array)
        self._arrays[value] = array
        if draw is not None:
            made = draw
            self.program.feeds.append(Feed([value], lambda: [made()]))
        return self.handle(value, array)

    def handle(self, value: Value, array: Array) -> Traced:
        """A handle on ``value``, which is ``array`` in this run; nothing that it is made of is on the tape."""
        node = Noted(None, (), (), array.shape)
        node.value, node.operands, node.params, node.hooks = array, (), {}, None
        node.varies, node.wants = True, False
        node.result, node.saved, node.module, node.fixed = value, None, "", False
        handle: Traced = object.__new__(Captured.varying)
        Traced.__dict__["data"].__set__(handle, array)
        handle.node = node
        return handle

    def operand(self, given: Any, array: Any) -> Operand:
        """The value of what an op was given, ``array`` being what its forward function got."""
        if isinstance(given, Traced):
            if isinstance(given.node, Noted):
                if array is not given.node.value:
                    raise CaptureError(
                        f"compile: an op converted {given.node.result!r} on its own, at {line_text(user_line())}; "
                        "convert it first: x.astype(...)"
                    )
                return self.present(given.node.result)
            return self.value_of(array, given)
        if isinstance(array, (bool, int, float)):
            return array
        return self.value_of(np.asarray(array))

    def present(self, value: Value) -> Value:
        """What a handle on ``value`` reads now.

        Raises:
            CaptureError: it is a view of memory that was written since; in the eager run it shows what was written.
        """
        if value in self.stale:
            raise CaptureError(
                f"compile: {value.name or 'a value'}, read at {line_text(user_line())}, is a view of memory that was "
                "written after the view was taken; take it anew, or take a copy: x[...].clone()"
            )
        return value if value.array is None else self.values[id(value.array)]

    def value_of(self, array: Array, tensor: Any = None) -> Value:
        """The present value of memory that belongs to the user."""
        known = self.values.get(id(array))
        if known is not None:
            return known
        leaf = tensor.node if tensor is not None and isinstance(tensor.node, Leaf) else None
        name = (
            (leaf.name if leaf is not None else None) or self.names.get(id(tensor), "") or self.names.get(id(array), "")
        )
        value = Value("constant" if leaf is None else "buffer", array, name=name, array=array)
        self.first[id(array)] = value
        self.sums[id(array)] = array, _checksum(array)
        if leaf is not None:
            self.back_up(array)
        (self.program.constants if leaf is None else self.program.buffers).append(value)
        if tensor is not None and tensor.data is array and type(tensor) is Tensor:
            node = tensor.node
            self.tensors.add(id(array))
            if leaf is not None:
                self.leaves[leaf] = tensor
            self.guards.append(
                Guard(
                    f"{name or 'a tensor'} has another array or another requires_grad",
                    attributes=[(tensor, "data", array), (tensor, "node", node)],
                )
            )
        return self.register(value, array)

    def add(self, op: Op, operands: list[Operand], params: dict[str, Any], y: Array) -> Value:
        """A step of the program; its result."""
        if any(id(one) in self.saved for one in params.values()):
            params = dict(params)
            for name, one in params.items():
                maker = self.saved.get(id(one))
                if maker is not None:
                    maker.saved = True
                    params[name] = SavedRef(maker)
        value = Value("step", y)
        for one in operands:
            if isinstance(one, Value):
                array = self._array_of(one)
                if array is not None and y.size and np.may_share_memory(y, array):
                    value.alias = one
                    self.views.append(value)
                    break
        phase = "update" if self.updating else "backward" if walking() else "forward"
        frame = user_frame()
        if frame is not None and (not self.calls or self.calls[-1] is not frame):
            self.follow(frame)
        line = None if frame is None else (frame.f_code, frame.f_lasti)
        self.program.steps.append(Step(op, operands, params, value, phase, self.module(), line))  # type: ignore[arg-type]
        self._arrays[value] = y
        return self.register(value, y)

    def follow(self, frame: FrameType | None) -> None:
        """The user's code is in ``frame`` now: what the calls that have ended since called the values are their names.

        A call's variables are there for as long as its frame is held, so they need not be read while it returns.
        """
        open_calls = set()
        caller = frame
        while caller is not None:
            open_calls.add(caller)
            caller = caller.f_back
        while self.calls and self.calls[-1] not in open_calls:
            ended = self.calls.pop()
            # Comprehensions and the like call their variables what is of no interest outside.
            for name, one in ended.f_locals.items() if "<" not in ended.f_code.co_name else ():
                value = _made_in(one)
                if value is not None and not value.name:
                    value.name = name
        if frame is not None and (not self.calls or self.calls[-1] is not frame):
            self.calls.append(frame)

    def _array_of(self, value: Value) -> Array | None:
        return value.array if value.array is not None else self._arrays.get(value)

    # --- writes ---

    def rely_on(self, value: Traced, what: str) -> None:
        """Python decides by what ``value`` holds, plain data or computed from it, which has to be so in every run."""
        if not isinstance(value.node, Noted):
            self.value_of(value.data, value)
        for array in _data_under(value.node, value.data):
            if id(array) not in self.reads:
                self.reads[id(array)] = array, _checksum(array), f"{what} reads, at {line_text(user_line())}"

    def owns(self, array: Array) -> bool:
        """Whether this very array is a tensor's that the function has used, or one that it finds outside by a name."""
        return (
            id(array) in self.names or id(array) in self.tensors or any(leaf.array is array for leaf, _ in self.handed)
        )

    def cell(self, one: Any) -> Cell:
        """What a NumPy call was given, as array and value."""
        if isinstance(one, Cell):
            return one
        if isinstance(one, Traced):
            return Cell(self, one.data, self.operand(one, one.data))
        if isinstance(one, (bool, int, float)):
            return Cell(self, np.asarray(one), one)
        array = np.asarray(one)
        return Cell(self, array, self.value_of(array))

    def note_in_place(self, ufunc: Any, inputs: Sequence[Cell], out: Cell) -> None:
        """Compute ``ufunc`` into the array of ``out`` and note it, through the op function that answers for it."""
        self.back_up(out.array)
        if ufunc is np.positive:  # a copy
            np.copyto(out.array, inputs[0].array)
            out.value = inputs[0].value
            return
        handles = [self.handle(one.value, one.array) if isinstance(one.value, Value) else one.value for one in inputs]
        with recording_with(_Quietly):
            made = NUMPY[ufunc](*handles)
        if made.data.shape != out.array.shape:  # a number that would be spread over a rule's scratch stays a number
            out.array, out.value = made.data, made.node.result
            return
        np.copyto(out.array, made.data)
        value: Value = made.node.result
        value.strides = out.array.strides
        out.value = value

    def back_up(self, array: Array) -> None:
        """Keep what ``array`` holds, to put it back if the capture fails."""
        if id(array) not in self.backups:
            self.backups[id(array)] = array, array.copy()

    def write(self, array: Array, cell: Cell, what: str = "a write") -> None:
        """``array``, the user's memory, now holds the value of ``cell``."""
        assert isinstance(cell.value, Value)
        before = self.first[id(array)]
        if before.kind == "constant":
            before.kind = "buffer"
            self.program.constants.remove(before)
            self.program.buffers.append(before)
        lived = self.lived.setdefault(id(array), [before])
        self.stale |= {one for one in self.views if one.root in lived}
        lived.append(cell.value)
        self.values[id(array)] = cell.value
        self._arrays[cell.value] = array
        self.written[id(array)] = array, what
        self.sums[id(array)] = array, _checksum(array)
        wrote(what, array)

    def clear(self, leaf: Any) -> None:
        """The gradient of ``leaf`` is about to be forgotten."""
        if leaf not in self.cleared and all(one is not leaf for one, _ in self.handed):
            self.handed.append((leaf, leaf.gradient))
        self.cleared.add(leaf)

    def accumulate(self, found: dict[Node, Any]) -> None:
        """Add gradients to those that the leaves have."""
        for leaf, new in found.items():
            assert isinstance(leaf, Leaf)
            if _has_hooks(leaf):
                raise _hooked(leaf.name or "a leaf")
            self.reached.add(leaf)
            made = new if isinstance(new, Traced) else wrap(Tensor, np.array(new))
            before = leaf.gradient
            self.watch_gradient(leaf)
            if before is None:
                leaf.gradient = made
            elif (before.node is None or before in self.grown) and before.data.flags.writeable:
                before = self.grown.get(before, before)
                value = self.value_of(before.data)
                value.name = value.name or f"{leaf.name or 'leaf'}.grad"
                out = Cell(self, before.data, value)
                self.note_in_place(np.add, [out, self.cell(made)], out)
                self.write(before.data, out, "an accumulating backward()")
                # What reads the gradient from now on has to be noted.
                assert isinstance(out.value, Value)
                assert isinstance(out.value, Value)
                handle = self.handle(out.value, before.data)
                leaf.gradient = handle
                self.grown[handle] = before
            else:
                leaf.gradient = before + made

    def watch_gradient(self, leaf: Leaf, *, anew: bool = False) -> None:
        """Rely on the gradient that ``leaf`` has, or has not, before anything that was captured."""
        if not anew and (leaf in self.cleared or any(leaf is one for one, _ in self.handed)):
            return
        before = leaf.gradient
        self.handed.append((leaf, before))
        name = leaf.name or "a leaf"
        if before is None:
            self.guards.append(Guard(f"the gradient of {name} was there", attributes=[(leaf, "gradient", None)]))
            return
        array = before.data
        self.guards.append(
            Guard(
                f"the gradient of {name} was absent or another",
                lambda: leaf.gradient is not None and leaf.gradient.data is array,
            )
        )

    def update(self, optimizer: Optimizer) -> None:
        """Run the rules of ``optimizer`` on stand-ins."""
        updates = optimizer.updates()
        self.guards.append(
            Guard(
                f"the options or the state of {type(optimizer).__name__} ask for another rule",
                _structure_guard(optimizer, updates),
            )
        )
        self.guards.append(
            Guard(
                f"{type(optimizer).__name__} has other parameters to update",
                _members_guard(optimizer, updates, self.cleared),
            )
        )
        self.updating = True
        try:
            for one in updates:
                self._run_rule(one)
        finally:
            self.updating = False

    def _run_rule(self, update: Update) -> None:
        state, parameter = update.state, update.parameter
        leaf: Any = parameter.node
        saved = dict(state)
        self.undo.append(partial(_restore, state, saved))
        update.begin()
        self.consumed.add(leaf)
        gradient = leaf.gradient
        if gradient.node is None:
            self.watch_gradient(leaf, anew=True)
        data = Cell(self, parameter.data, self.value_of(parameter.data, parameter))
        name = leaf.name or self.names.get(id(parameter), "") or "parameter"
        arrays = {}
        for key in update.arrays:
            array = state[key]
            value = self.value_of(array)
            value.name = value.name or f"{key} of {name}"
            arrays[key] = Cell(self, array, value)
            self.guards.append(Guard(f"{value.name} is another array", entries=[(state, key, array)]))
        before = {key: cell.value for key, cell in arrays.items()}
        numbers = self._numbers(update)
        scratch, second = (Cell(self, np.empty_like(parameter.data), 0.0) for _ in range(2))
        given, started = self.cell(gradient), data.value
        update.rule(numbers, data, given, arrays, scratch, second)  # type: ignore[arg-type]
        what = f"{type(update.optimizer).__name__}.step"
        if data.value is not started:
            self.write(parameter.data, data, what)
        for key, cell in arrays.items():
            if cell.value is not before[key]:
                self.write(state[key], cell, what)

    def _numbers(self, update: Update) -> tuple[Cell, ...]:
        """Stand-ins for the numbers of the rule, fed anew in each run."""
        step = update.count()
        self.counted.append(update)
        dtype = update.parameter.dtype
        turn = self._counts[id(update.state)] = self._counts.get(id(update.state), 0) + 1
        key = id(update.optimizer), update.group, dtype, step, turn
        if key not in self._feeds:
            made = [np.array(one, dtype) for one in update.numbers(step)]
            values = [self.register(Value("fed", one, name=f"number {i}"), one) for i, one in enumerate(made)]
            numbers = _Numbers(update, dtype, turn, self._counts)
            feed = Feed(values, numbers.draw, numbers.many)
            self.program.feeds.append(feed)
            states = [update.state]
            self._feeds[key] = feed, made, states
            if "step" in update.state:
                self.guards.append(Guard("parameters were stepped differently often", partial(_equal_steps, states)))
        feed, made, states = self._feeds[key]
        states.append(update.state)
        return tuple([Cell(self, one, value) for one, value in zip(made, feed.values, strict=True)])

    # --- modules ---

    def enter(self, module: Module) -> None:
        """Note what of ``module`` the captured steps depend on, besides its parameters."""
        if module in self.entered:
            return
        for one in module.modules():
            if one not in self.entered:
                self.entered.add(one)
                self._watch_module(one)

    def _watch_module(self, module: Module) -> None:
        if module._hooks:
            raise CaptureError(
                f"compile: {type(module).__name__} has hooks, which are Python code of yours that a compiled step "
                "would not call; remove them, or leave this function uncompiled"
            )
        plain = {
            name: value
            for name, value in module.__dict__.items()
            if isinstance(value, (bool, int, float, str, tuple, type(None))) and not name.startswith("_")
        }
        space = module.__dict__
        self.guards.append(
            Guard(
                f"{type(module).__name__}: an option, its training mode or its hooks have changed",
                attributes=[(module, "_hooks", module._hooks)],
                entries=[(space, name, value) for name, value in plain.items()],
                members=[
                    *[space[name] for name in ("_parameters", "_modules", "_buffers")],
                    *(module._hooks.kinds() if module._hooks is not None else ()),
                ],
            )
        )

    # --- the end ---

    def check_untouched(self) -> None:
        """Refuse what was written past the library while the function ran, and what was read that the program writes.

        Raises:
            CaptureError: an array that the program reads was overwritten by NumPy alone, or Python has read one that
                every run overwrites.
        """
        for array, total, what in self.reads.values():
            if any(np.may_share_memory(array, one) for one, _ in self.written.values()):
                raise CaptureError(
                    f"compile: {what}, a tensor that the step itself writes. The compiled step runs without Python: "
                    "return the tensor and read it outside"
                )
            self.guards.append(Guard(f"a tensor that {what}, holds other values", _unchanged(array, total)))
        for array, total in self.sums.values():
            if _checksum(array) != total:
                value = self.values[id(array)]
                raise CaptureError(
                    f"compile: {value.name or 'an array'} of shape {array.shape} was written by NumPy inside "
                    "the function, which a compiled step would not do again; write with `with no_grad(): x -= ...`, "
                    "or an optimizer"
                )

    def put_back(self) -> None:
        """Undo everything that the run has written."""
        for array, before in self.backups.values():
            np.copyto(array, before)
        for action in reversed(self.undo):
            action()
        for leaf in {*self.leaves, *[one for one, _ in self.handed]}:
            if leaf.gradient is not None and leaf.gradient.node is not None and isinstance(leaf.gradient.node, Noted):
                leaf.gradient = None
        for leaf, gradient in reversed(self.handed):
            leaf.gradient = gradient


class _Numbers:
    """The numbers of an optimizer's rule, for the run that is about to be made."""

    def __init__(self, update: Update, dtype: np.dtype[Any], turn: int, counts: dict[int, int]) -> None:
        self.update = update
        self.dtype = dtype
        self._turn = turn
        self._counts = counts
        self._known: tuple[Any, int] = (None, -1)
        self._values: tuple[Any, ...] = ()
        self._arrays: list[Array] = []

    def draw(self) -> list[Array]:
        """Those of the present step count and options."""
        plan = self.update.optimizer._plan_of(self.update.group)[0]
        step = self.update.state.get("step", 0)
        if step:
            step -= self._counts[id(self.update.state)] - self._turn
        if self._known[0] is not plan or self._known[1] != step:
            values = self.update.numbers(step)
            if len(values) != len(self._arrays):
                self._arrays = [np.array(one, self.dtype) for one in values]
            else:  # most of them do not depend on the step
                for array, value, before in zip(self._arrays, values, self._values, strict=True):
                    if value != before:
                        array[()] = value
            self._known, self._values = (plan, step), values
        return self._arrays

    def many(self, count: int) -> Array:
        """Those of ``count`` steps that are counted already, the last being the present one, ``(count, numbers)``."""
        step = self.update.state.get("step", 0)
        if "step" not in self.update.state:
            return np.broadcast_to(np.array(self.update.numbers(0), self.dtype), (count, len(self.update.numbers(0))))
        each = self._counts[id(self.update.state)]
        columns = self.update.numbers(step - each * np.arange(count)[::-1] - (each - self._turn))
        return np.stack(columns, axis=1).astype(self.dtype)


def _equal_steps(states: Sequence[State]) -> bool:
    steps = [state.get("step") for state in states]
    return steps.count(steps[0]) == len(steps)


def _members_guard(optimizer: Optimizer, updates: Sequence[Update], cleared: set[Node]) -> Callable[[], bool]:
    # Those that were passed over must be passed over again.
    groups = len(optimizer.param_groups)
    moved = {id(one.parameter) for one in updates}
    passed = [
        (one, one.node, one.node in cleared)
        for group in optimizer.param_groups
        for one in group["params"]
        if id(one) not in moved
    ]

    def holds() -> bool:
        if len(optimizer.param_groups) != groups:
            return False
        for parameter, node, forgotten in passed:
            if parameter.node is not node or not (node is None or forgotten or node.gradient is None):
                return False
        return True

    return holds


def _structure_guard(optimizer: Optimizer, updates: Sequence[Update]) -> Callable[[], bool]:
    # After the run that is captured, the state of a first step is there.
    wanted = [(one.group, one.state, one.structure, frozenset(one.arrays)) for one in updates]
    groups = sorted({one.group for one in updates})
    plan_of = optimizer._plan_of
    known: list[Any] = [None]

    def holds() -> bool:
        options = [plan_of(place)[0] for place in groups]
        if options == known[0]:
            return True
        for group, state, structure, needs in wanted:
            chosen = optimizer._plan_of(group)[1]
            if optimizer._structure(chosen, not state.keys() >= needs) != structure:
                return False
        known[0] = options
        return True

    return holds


def _restore(state: dict[str, Any], saved: dict[str, Any]) -> None:
    state.clear()
    state.update(saved)


def _checksum(array: Array) -> int:
    flat = array if array.flags.c_contiguous else array.T if array.T.flags.c_contiguous else np.ascontiguousarray(array)
    return zlib.crc32(flat.data) if flat.size else 0


def _unchanged(array: Array, total: int) -> Callable[[], bool]:
    return lambda: _checksum(array) == total


def _has_hooks(node: Node) -> bool:
    hooks = node.hooks
    return hooks is not None and bool(hooks.before or hooks.after or hooks.retains is not None)


def _none_has_hooks(nodes: Sequence[Node]) -> bool:
    return [*map(_hooks, nodes)].count(None) == len(nodes) or not any(map(_has_hooks, nodes))


def _hooked(what: str) -> CaptureError:
    return CaptureError(
        f"compile: hooks on {what} run Python code of yours in the backward pass; remove them, or leave this function "
        "uncompiled"
    )


# --- capturing ------------------------------------------------------------------------------------


class NotKeptError(Exception):
    """The caller refused what the captured run gave, ``args[0]``; everything was put back."""


class Capture:
    """A captured program and what surrounds it.

    Attributes:
        program: the program. guards: what it relies on. gradients: the leaves whose gradients a run sets: to the output
            at a place, or to None.
        result: what the captured run returned. counts: whether updates count their steps.
    """

    __slots__ = ("_fixed", "_places", "_shape", "_states", "counts", "gradients", "guards", "program", "result")

    _fixed: list[Any]
    _places: list[int | None]
    gradients: list[tuple[Leaf, int | None]]

    def __init__(self, trace: Trace, result: Any, *, keep_gradients: bool) -> None:
        program = self.program = trace.program
        self.guards = trace.guards
        # An optimizer that steps twice in the function counts twice in each run.
        self._states = [one.state for one in trace.counted if "step" in one.state]
        self.counts = bool(self._states)
        leaves, self._shape = flatten(result)
        self._fixed = []
        self._places = []
        shown: list[Any] = []
        for one in leaves:
            value = _made_in(one)
            if value is not None:
                value = trace.present(value)
            self._places.append(None if value is None else len(program.outputs))
            self._fixed.append(one if value is None else None)
            shown.append(_own(one) if value is None else wrap(Tensor, np.array(one.node.value)))
            if value is not None:
                program.outputs.append(value)
        self.result = unflatten(self._shape, shown)
        self.gradients = []
        trace.guards.append(Guard("hooks were registered", partial(_none_has_hooks, list(trace.reached))))
        for leaf in {**trace.leaves, **dict.fromkeys([one for one, _ in trace.handed])}:
            self._settle(leaf, trace, keep_gradients)
        for key in trace.written:
            program.writes.append((trace.first[key], trace.values[key]))
        simplify(program)

    def _settle(self, leaf: Leaf, trace: Trace, keep: bool) -> None:
        gradient = leaf.gradient = trace.grown.get(leaf.gradient, leaf.gradient)
        value = None if gradient is None else _made_in(gradient)
        if value is None:
            if gradient is None and leaf in trace.cleared:
                self.gradients.append((leaf, None))
            return
        if leaf in trace.consumed and leaf in trace.cleared and not keep:
            leaf.gradient = None
            self.gradients.append((leaf, None))
            return
        leaf.gradient = wrap(Tensor, np.array(gradient.node.value))
        self.gradients.append((leaf, len(self.program.outputs)))
        self.program.outputs.append(value)

    def count(self, steps: int = 1) -> None:
        """Move on the step counts of the optimizers' states, or back."""
        for state in self._states:
            state["step"] += steps

    @property
    def gradients_kept(self) -> bool:
        """Whether a run leaves gradients behind."""
        return any(place is not None for _, place in self.gradients)

    def fill(self, arrays: Sequence[Array]) -> Any:
        """What the function returns, from the outputs of a run."""
        if len(self._shape) == 1 and self._places[0] is not None:
            return wrap(Tensor, arrays[self._places[0]])
        leaves = [
            _own(fixed) if place is None else wrap(Tensor, arrays[place])
            for fixed, place in zip(self._fixed, self._places, strict=True)
        ]
        return unflatten(self._shape, leaves)


def _own(one: Any) -> Any:
    """A result that no step made: parameters and plain objects as they are, of data a copy for each call."""
    if isinstance(one, Tensor) and one.node is None:
        return wrap(Tensor, one.data.copy("K"))
    return one.copy("K") if isinstance(one, np.ndarray) else one


def _made_in(one: Any) -> Value | None:
    return one.node.result if isinstance(one, Traced) and isinstance(one.node, Noted) else None


def capture(
    function: Callable[..., Any],
    leaves: Sequence[Any],
    shape: Sequence[Structure],
    *,
    recording: bool = True,
    keep_gradients: bool = False,
    refuses: Callable[[Any], bool] | None = None,
) -> Capture:
    """Run ``function`` once, for real, and note all of it.

    Args:
        function: takes the arguments that ``leaves`` are, nested as ``shape`` says: ``(args, kwargs)``.
        leaves: tensors and arrays become inputs; everything else is part of the program.
        recording: whether gradients are recorded, as outside of ``no_grad``.
        keep_gradients: leave ``.grad`` set even where an optimizer has used it.
        refuses: called with the result; True puts everything back.

    Raises:
        NotKeptError: ``refuses`` said so.
        CaptureError: it does something that could not be run again; nothing it wrote stays written.
    """
    trace = Trace(getattr(function, "__name__", type(function).__name__), _names_around(function))
    token = _TRACE.set(trace)
    WHOLE.append(trace)
    seen: dict[int, Any] = {}
    given = []
    for one, name in zip(leaves, _argument_names(function, leaves, shape), strict=True):
        if id(one) not in seen:
            seen[id(one)] = _argument(trace, one, name)
        given.append(seen[id(one)])
    args, kwargs = unflatten(shape, given)
    try:
        with collector_paused(), recording_with(Noted if recording else _Quietly):
            result = function(*args, **kwargs)
            trace.follow(None)
            trace.check_untouched()
            captured = Capture(trace, result, keep_gradients=keep_gradients)
            if refuses is not None and refuses(captured.result):
                raise NotKeptError(captured.result)  # noqa: TRY301 - put back like any other failure
            return captured
    except BaseException:
        with Held():
            trace.put_back()
        raise
    finally:
        WHOLE.remove(trace)
        _TRACE.reset(token)


def _argument(trace: Trace, one: Any, name: str) -> Any:
    if isinstance(one, np.ndarray):
        handle = trace.source("input", one, name=name)
    elif isinstance(one, Tensor) and one.node is None:
        handle = trace.source("input", one.data, name=name)
    elif isinstance(one, Tensor) and not isinstance(one.node, Leaf):
        raise CaptureError(
            f"compile: argument {name} was computed outside by ops that record gradients, which would have to go "
            "through the compiled step; say x.detach(), or compute it inside"
        )
    else:
        if isinstance(one, Tensor):
            trace.names.setdefault(id(one), name)
        return one
    trace.program.inputs.append(handle.node.result)  # type: ignore[union-attr]
    return handle


# --- names ----------------------------------------------------------------------------------------


def _names_around(function: Any) -> dict[int, str]:
    """The names of the tensors that a function finds outside of itself, by identity."""
    plain = inspect.unwrap(function)
    code = getattr(plain, "__code__", None)
    if code is None:
        return {}
    space = {name: plain.__globals__[name] for name in code.co_names if name in plain.__globals__}
    for name, cell in zip(code.co_freevars, plain.__closure__ or (), strict=True):
        try:
            space[name] = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    return {id(value): name for name, value in space.items() if isinstance(value, (Tensor, np.ndarray))}


def _argument_names(function: Any, leaves: Sequence[Any], shape: Sequence[Structure]) -> list[str]:
    """A name for each leaf of ``(args, kwargs)``: the parameter's, with a number where it is nested."""
    args, kwargs = unflatten(shape, list(range(len(leaves))))
    try:
        bound = dict(inspect.signature(function).bind(*args, **kwargs).arguments)
    except (TypeError, ValueError):
        bound = {f"argument{i}": one for i, one in enumerate(args)} | kwargs
    names = [""] * len(leaves)
    for name, value in bound.items():
        places = flatten(value)[0]
        for i, place in enumerate(places):
            names[place] = name if len(places) == 1 else f"{name}_{i}"
    return names
