"""Memory for the values of a replay, set aside once: what is alive at the same time lies apart, the rest is shared."""

from __future__ import annotations

import bisect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..ops.calls import Calls
from ..tape import Array
from .ir import Program, SavedRef, Step, Value
from .side_by_side import Row, joined, lined_up, same_order

__all__ = ["Memory"]

_ALIGNMENT = 64


def _written_out(program: Program) -> dict[Step, Calls]:
    """The NumPy calls of the steps whose ops write them out."""
    found: dict[Step, Calls] = {}
    for step in program.steps:
        if step.op.calls is None or not step.result.size or not all(isinstance(one, Value) for one in step.operands):
            continue
        makers = [param.step for param in step.params.values() if isinstance(param, SavedRef)]
        calls: Calls | None = step.op.calls(step.operands, step.params, step.result)
        if calls is not None and all(one in found for one in makers) and (calls.keeps or not step.saved):
            found[step] = calls
    return found


def _takes_out(step: Step) -> bool:
    """Whether the op's function can write into memory that it is given."""
    op = step.op
    code = getattr(op.forward, "__code__", None)
    if code is None:
        return isinstance(op.forward, np.ufunc)
    return "out" in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]


class Memory:
    """Which values have memory that stays between runs, and where."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.fixed: dict[Value, Array] = {}
        """Values that are the same array in every run."""
        self.direct: set[Value] = set()
        """Buffers whose new value is computed in their own memory."""
        self.bytes = 0
        # Memory that nobody uses, by its size, and the sizes in order.
        self._free: dict[int, list[Array]] = {}
        self._sizes: list[int] = []
        self._scratch: dict[Any, Array] = {}
        self.calls = _written_out(program)
        self.kept: dict[Step, list[Array]] = {}
        """What steps that are written out save for later ones."""
        self._raw: dict[Value, Array] = {}
        for value in [*program.buffers, *program.constants]:
            assert value.array is not None
            self.fixed[value] = value.array
        self.steps, self.rows = lined_up(program.steps)
        """The steps in the order in which they run, and those among them that may be one call."""
        last = program.last_uses(self.steps)
        self.targets = _direct_targets(program, self.steps, last, self.calls)
        """The buffer in whose memory a value may be computed."""
        self._aside: dict[Value, Array] = {}
        places = {step: place for place, step in enumerate(self.steps)}
        for row in self.rows:
            self._lay_side_by_side(row, places, last)
        dying: dict[int, list[Value]] = {}
        for value, place in last.items():
            dying.setdefault(place, []).append(value)
        for place, step in enumerate(self.steps):
            self._place(step, last, place)
            for value in dying.get(place, ()):
                raw = self._raw.pop(value, None)
                if raw is not None:
                    self._release(raw)

    def _place(self, step: Step, last: dict[Value, int], place: int) -> None:
        result = step.result
        if result.alias is not None:
            if result.alias in self.fixed:
                self.fixed[result] = _view(step, self.fixed)
            return
        calls = self.calls.get(step)
        if (calls is None and not _takes_out(step)) or result.size == 0:
            return
        if calls is not None and calls.keeps:
            self.kept[step] = [np.empty(*one) for one in calls.keeps]
            self.bytes += sum(one.nbytes for one in self.kept[step])
        if result in self._aside:
            self.fixed[result] = self._aside[result]
            return
        buffer = self.targets.get(result)
        if buffer is not None:
            assert buffer.array is not None
            self.fixed[result] = buffer.array
            self.direct.add(buffer)
            return
        if isinstance(step.op.forward, np.ufunc):
            for one in step.operands:
                # An elementwise function may write over an operand that nobody reads any more.
                if isinstance(one, Value) and one in self._raw and last.get(one) == place and _like(one, result):
                    self._raw[result] = self._raw.pop(one)
                    self.fixed[result] = self.fixed[one]
                    return
        self.fixed[result] = self._allocate(result)
        if result not in last:
            self._release(self._raw.pop(result))

    def _lay_side_by_side(self, row: Row, places: Mapping[Step, int], last: Mapping[Value, int]) -> None:
        """Set memory aside for a row's operands and results, so that those of one place follow each other."""
        free: list[list[Value]] = []
        for column in map(row.column, row.arrays):
            if len({*column}) == len(column) and all(self._can_lie(one) for one in column):
                self._aside.update(zip(column, self._joined(column), strict=True))
            dying = all(last.get(one) == places[step] for one, step in zip(column, row.steps, strict=True))
            if dying and all(one in self._aside for one in column):
                free.append(column)
        results = [step.result for step in row.steps]
        if any(one in self.targets or not self._can_lie(one) for one in results):
            return
        for column in free:
            if all(_like(one, result) for one, result in zip(column, results, strict=True)):
                self._aside.update({result: self._aside[one] for one, result in zip(column, results, strict=True)})
                return
        self._aside.update(zip(results, self._joined(results), strict=True))

    def _can_lie(self, value: Value) -> bool:
        """Whether the memory of a value can be chosen."""
        step = value.step
        if step is None or value in self._aside or value in self.targets or value.alias is not None or not value.size:
            return False
        return step in self.calls or _takes_out(step)

    def _joined(self, values: Sequence[Value]) -> list[Array]:
        size = sum(one.nbytes for one in values)
        memory = np.empty(size + _ALIGNMENT, np.uint8)
        self.bytes += size
        found, start = [], -memory.ctypes.data % _ALIGNMENT
        for one in values:
            found.append(np.ndarray(one.shape, one.dtype, memory, start, _dense(one)))
            start += one.nbytes
        return found

    def one_call(self, row: Row) -> tuple[dict[int, Array], Array] | None:
        """The operands at their places, and the result, of a call that does what a row of steps does."""
        columns = {place: row.column(place) for place in row.arrays}
        results = [step.result for step in row.steps]
        for column in columns.values():
            for one, result in zip(column, results, strict=True):
                if one not in self.fixed or result not in self.fixed:
                    return None
                if not same_order(self.fixed[one], self.fixed[result]):
                    return None
        found = {place: joined([self.fixed[one] for one in column]) for place, column in columns.items()}
        out = joined([self.fixed[one] for one in results])
        given = {place: one for place, one in found.items() if one is not None}
        return (given, out) if out is not None and len(given) == len(found) else None

    def scratch(self, wanted: Sequence[tuple[tuple[int, ...], Any]]) -> list[Array]:
        """Memory for within one step; steps that ask for the same share it."""
        found: list[Array] = []
        for shape, dtype in wanted:
            # The second array of a kind within a step is another one.
            key = shape, np.dtype(dtype), sum(one.shape == shape and one.dtype == dtype for one in found)
            if key not in self._scratch:
                self._scratch[key] = np.empty(shape, dtype)
                self.bytes += self._scratch[key].nbytes
            found.append(self._scratch[key])
        return found

    def _release(self, raw: Array) -> None:
        if raw.nbytes not in self._free:
            bisect.insort(self._sizes, raw.nbytes)
        self._free.setdefault(raw.nbytes, []).append(raw)

    def _allocate(self, value: Value) -> Array:
        size = max(-(-value.nbytes // _ALIGNMENT), 1) * _ALIGNMENT
        place = bisect.bisect_left(self._sizes, size)
        if place < len(self._sizes):
            found = self._sizes[place]
            raw = self._free[found].pop()
            if not self._free[found]:
                del self._free[found], self._sizes[place]
        else:
            memory = np.empty(size + _ALIGNMENT, np.uint8)
            start = -memory.ctypes.data % _ALIGNMENT
            raw = memory[start : start + size]
            self.bytes += size
        self._raw[value] = raw
        return np.ndarray(value.shape, value.dtype, raw, strides=_dense(value))


def _dense(value: Value) -> tuple[int, ...]:
    """Strides of an array without gaps whose axes lie in memory in the order in which the eager result's do."""
    order = sorted(range(len(value.shape)), key=lambda axis: (-abs(value.strides[axis]), axis))
    strides = [0] * len(value.shape)
    step = value.dtype.itemsize
    for axis in reversed(order):
        strides[axis] = step
        step *= value.shape[axis]
    return tuple(strides)


def _like(one: Value, other: Value) -> bool:
    return one.shape == other.shape and one.dtype == other.dtype and _dense(one) == _dense(other)


def _direct_targets(
    program: Program, steps: Sequence[Step], last: dict[Value, int], calls: Mapping[Step, Calls]
) -> dict[Value, Value]:
    """New values of buffers that can be computed in the buffer's own memory: nothing reads the old one any more."""
    places = {step.result: place for place, step in enumerate(steps)}
    found: dict[Value, Value] = {}
    outputs = {value.root for value in program.outputs} | {value.root for _, value in program.writes}
    # What can raise must come before the first write, so that a run that fails leaves everything as it was.
    asked = {check.value for check in program.checks}
    raises = [place for result, place in places.items() if result in asked or not _cannot_raise(steps[place])]
    earliest = max(raises, default=-1)
    for buffer, value in program.writes:
        place = places.get(value)
        if place is None or place < earliest or value in found or value.alias is not None or buffer in outputs:
            continue
        step = steps[place]
        ufunc = isinstance(step.op.forward, np.ufunc)
        free = last.get(buffer, -1) <= place if ufunc else last.get(buffer, -1) < place
        alike = value.shape == buffer.shape and value.dtype == buffer.dtype
        # A product in another layout may add in another order.
        if free and alike and (ufunc or ((step in calls or _takes_out(step)) and _dense(value) == buffer.strides)):
            found[value] = buffer
            if ufunc:
                _go_before(value, buffer, found, places, last, earliest, outputs)
    return found


def _go_before(
    value: Value,
    buffer: Value,
    found: dict[Value, Value],
    places: Mapping[Value, int],
    last: Mapping[Value, int],
    earliest: int,
    outputs: set[Value],
) -> None:
    """Put what the last step of an update alone reads into the buffer's memory too, as ``v *= b; v += s`` does."""
    assert value.step is not None
    for one in value.step.operands:
        if not isinstance(one, Value) or one.step is None or one.alias is not None or one in found or one in outputs:
            continue
        place = places[one]
        ufunc = isinstance(one.step.op.forward, np.ufunc)
        if ufunc and last[one] == places[value] and last.get(buffer, -1) <= place >= earliest and _like(one, value):
            found[one] = buffer
            return


def _cannot_raise(step: Step) -> bool:
    """Whether the call only goes over memory that is there, in shapes that fit."""
    return step.phase == "update" or isinstance(step.op.forward, np.ufunc)


def _view(step: Step, fixed: dict[Value, Array]) -> Array:
    operands = [fixed[one] if isinstance(one, Value) else one for one in step.operands]
    result: Any = step.op.forward(*operands, **step.params)
    array: Array = result[0] if step.op.saves else result
    return array
