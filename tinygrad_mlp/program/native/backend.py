"""Running a program as C: compiled once, called with the caller's arrays, one batch or many."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import ArgumentError, ShapeError
from ...tape import Array
from ..ir import Program, SavedRef, Step, Value
from .blas import find_blas
from .cache import load
from .emit import address, source_of
from .fuse import ALIGNMENT, HostKernel, place, plan
from .lower import CodeNode, HostNode, View, lower

__all__ = ["Batches", "Gathered", "Native", "Stacked"]

_FINITE = -1
_ORDER = -2


@dataclass(frozen=True)
class Stacked:
    """An input of many batches, one after the other: ``(batches, *shape)``."""

    array: Array


@dataclass(frozen=True)
class Gathered:
    """An input whose rows are picked from a data set: batch k takes ``array[order[k]]``.

    ``order`` has the shape ``(batches, rows)``.
    """

    array: Array
    order: Array


@dataclass(frozen=True)
class Batches:
    """What a run over many batches gives.

    Attributes:
        done: how many were completed; less than asked for if a loss was not finite: then the buffers are as before that
            batch, and the first output has its loss. outputs: each with a first axis that counts batches.
    """

    done: int
    outputs: list[Array]


class _Feed(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int64) for name in ("slot", "mode", "bytes", "rows", "limit")] + [
        (name, ctypes.c_void_p) for name in ("base", "order", "into")
    ]


class _Result(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int64) for name in ("slot", "offset", "bytes")] + [("into", ctypes.c_void_p)]


class _Frame:
    """What one run works with: the arrays that the pointers point into, the arena first."""

    __slots__ = ("arrays", "outputs", "pointers")

    def __init__(self, arrays: list[Array | None], pointers: Any) -> None:
        self.arrays = arrays
        self.pointers = pointers
        self.outputs: list[Array | None] | None = None


class Native:
    """A program as compiled C.

    Attributes:
        whole: whether all of it is C, so that many batches run without Python. missing: the names of the ops that have
            no native form, and are called from Python.

    Raises:
        CompilerError: there is no C compiler, or it failed.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        blas = find_blas()
        self._plan = plan(lower(program), blas is not None)
        self.source, self._ranges = source_of(self._plan, blas is None or blas.wide, place)
        library = load(self.source)
        library.set_blas(ctypes.c_void_p(blas.sgemm if blas else 0), ctypes.c_void_p(blas.dgemm if blas else 0))
        self._parts = [getattr(library, f"part_{i}") for i in range(len(self._ranges))]
        for part in self._parts:
            part.restype = ctypes.c_int64
        self._run_batches = library.run_batches
        self._run_batches.restype = ctypes.c_int64
        hosts = [kernel for kernel in self._plan.kernels if isinstance(kernel, HostKernel)]
        self.missing = sorted({node.step.op.name for kernel in hosts for node in kernel.items if node.step is not None})
        self.whole = not hosts and not self._plan.late and len(self._ranges) <= 1
        self._slots: list[Value | Array] = list(self._plan.lowered.slots)
        self._index = {one: i + 1 for i, one in enumerate(self._slots) if isinstance(one, Value)}
        self._given = [(value, self._index.get(value, 0)) for value in (*program.inputs, *program.fed)]
        # Frames that no run is using: each run, in whatever thread, takes one or makes one.
        self._frames: list[_Frame] = []
        self._lock = threading.Lock()

    def _frame(self) -> _Frame:
        """An arena, and pointers of which only those of inputs and fed values are still to be set."""
        with self._lock:
            if self._frames:
                return self._frames.pop()
        memory = np.empty(self._plan.arena + ALIGNMENT, np.uint8)
        start = -memory.ctypes.data % ALIGNMENT
        arrays: list[Array | None] = [memory[start : start + self._plan.arena]]
        arrays += [one if isinstance(one, np.ndarray) else one.array for one in self._slots]
        pointers = (ctypes.c_void_p * len(arrays))(*[0 if array is None else array.ctypes.data for array in arrays])
        return _Frame(arrays, pointers)

    def _back(self, frame: _Frame) -> None:
        with self._lock:
            self._frames.append(frame)

    def _accept(self, value: Value, array: Array) -> Array:
        if type(array) is not np.ndarray:
            array = np.asarray(array)
        if array.shape != value.shape or array.dtype != value.dtype:
            raise ShapeError(
                f"{value.name or 'an input'}: compiled for {value.dtype} of shape {value.shape}, got {array.dtype} of "
                f"shape {array.shape}"
            )
        return array if array.flags.c_contiguous else np.ascontiguousarray(array)

    def _array(self, arrays: Sequence[Array], view: View) -> Array:
        """A view of the program's as NumPy's."""
        slot, start = address(view.storage, view.layout.offset)
        strides = tuple([stride * view.dtype.itemsize for stride in view.layout.strides])
        if slot == 0:
            return np.ndarray(view.layout.shape, view.dtype, arrays[0].data, start, strides)
        base = arrays[slot]
        if not start and base.shape == view.layout.shape and base.strides == strides:
            return base
        if not start and base.size == view.layout.size:
            return np.lib.stride_tricks.as_strided(base, view.layout.shape, strides)
        flat = np.lib.stride_tricks.as_strided(base, (start // base.itemsize + 1,), (base.itemsize,))
        return np.lib.stride_tricks.as_strided(flat[start // base.itemsize :], view.layout.shape, strides)

    def run(self, inputs: Sequence[Array], fed: Sequence[Array] = (), *, check: bool = False) -> list[Array] | None:
        """One run: writes the buffers, gives copies of the outputs.

        Args:
            inputs, fed: arrays for the program's inputs and fed values.
            check: give None, with the buffers as they were, if the first output is not finite.

        Raises:
            ShapeError: an array of another shape or dtype than the program was captured with.
            IndexError: an index or class id out of range; the buffers are then as they were.
        """
        frame = self._frame()
        arrays, pointers = frame.arrays, frame.pointers
        try:
            for (value, slot), array in zip(self._given, (*inputs, *fed), strict=True):
                arrays[slot] = accepted = self._accept(value, array)
                pointers[slot] = accepted.ctypes.data
            if self.whole:
                code = self._parts[0](pointers, int(check)) if self._parts else 0
                if code == _FINITE:
                    return None
                if code:
                    raise self._error(code)
            elif not self._go(pointers, arrays, check):  # type: ignore[arg-type]
                return None
            if frame.outputs is None:
                frame.outputs = [self._kept(arrays, view) for view in self._plan.lowered.outputs]
            return [
                self._array(arrays, view).copy() if kept is None else kept.copy()  # type: ignore[arg-type]
                for kept, view in zip(frame.outputs, self._plan.lowered.outputs, strict=True)
            ]
        finally:
            self._back(frame)

    def _kept(self, arrays: Sequence[Any], view: View) -> Array | None:
        """A view of the frame's own memory, which is the same in every run; None for a view of anything else."""
        return self._array(arrays, view) if address(view.storage, view.layout.offset)[0] == 0 else None

    def _go(self, pointers: Any, arrays: list[Array], check: bool) -> bool:
        """Run everything; whether the first output was finite, if that was asked."""
        parts = dict(zip([start for start, _ in self._ranges], self._parts, strict=True))
        stops = dict(self._ranges)
        saved: dict[Step, Any] = {}
        at, end = 0, len(self._plan.kernels)
        while at < end:
            part = parts.get(at)
            if part is not None:
                code = part(pointers, ctypes.c_int64(check))
                if code == _FINITE:
                    return False
                if code:
                    raise self._error(code)
                at = stops[at]
            else:
                (node,) = self._plan.kernels[at].items
                assert isinstance(node, HostNode)
                self._call(node, arrays, saved)
                at += 1
        for buffer, value in self._plan.late:
            np.copyto(self._array(arrays, buffer), self._array(arrays, value))
        return True

    def _call(self, node: HostNode, arrays: list[Array], saved: dict[Step, Any]) -> None:
        step = node.step
        operands = [self._array(arrays, one) if isinstance(one, View) else one for one in node.arguments]
        params = {
            name: saved.get(one.step, False) if isinstance(one, SavedRef) else one for name, one in step.params.items()
        }
        with np.errstate(all="ignore"):
            result = step.op.forward(*operands, **params)
        if step.op.saves:
            result, saved[step] = result
        self._array(arrays, node.target)[...] = result

    def _error(self, code: int) -> Exception:
        for node in self._plan.kernels[code - 1].items:
            if isinstance(node, CodeNode) and node.form.fails is not None:
                return IndexError(node.form.fails)
        return AssertionError(f"kernel {code} of {self.program.name} failed")

    def run_batches(
        self,
        count: int,
        inputs: Sequence[Array | Stacked | Gathered],
        fed: Sequence[Array | Stacked] = (),
        *,
        check: bool = False,
    ) -> Batches:
        """``count`` runs without Python between them.

        Args:
            inputs, fed: for each input and fed value an array that all runs share, or one of :class:`Stacked` and
                :class:`Gathered`.
            check: end before the first run whose first output is not finite has changed a buffer.

        Raises:
            ArgumentError: some op runs in Python (see ``missing``), so that runs cannot follow each other in C.
            ShapeError: shapes or dtypes that do not fit. IndexError: as :meth:`run`, or a place in ``order``.
        """
        if not self.whole:
            raise ArgumentError(f"{', '.join(self.missing) or 'a copy'} runs in Python; call run() for each batch")
        values = (*self.program.inputs, *self.program.fed)
        given: dict[Value, Array] = {}
        feeds: list[_Feed] = []
        alive: list[Array] = []
        for value, one in zip(values, (*inputs, *fed), strict=True):
            slot = self._index[value]
            if isinstance(one, Gathered):
                feed, memory = _gathered(value, one, count, slot)
                alive += memory
                given[value] = memory[-1]
                feeds.append(feed)
            elif isinstance(one, Stacked):
                array = np.ascontiguousarray(one.array)
                if array.shape != (count, *value.shape) or array.dtype != value.dtype:
                    raise _misfit(value, array, (count, *value.shape))
                alive.append(array)
                given[value] = array
                feeds.append(_Feed(slot, 1, value.nbytes, 0, 0, array.ctypes.data, None, None))
            else:
                given[value] = self._accept(value, one)
        frame = self._frame()
        pointers = frame.pointers
        try:
            for value, array in given.items():
                pointers[self._index[value]] = array.ctypes.data
            outputs, results = [], []
            for view in self._plan.lowered.outputs:
                into = np.empty((count, *view.layout.shape), view.dtype)
                slot, start = address(view.storage, view.layout.offset)
                outputs.append(into)
                results.append(_Result(slot, start, view.layout.size * view.dtype.itemsize, into.ctypes.data))
            done = ctypes.c_int64(0)
            code = self._run_batches(
                pointers,
                ctypes.c_int64(count),
                ctypes.c_int64(len(feeds)),
                (_Feed * len(feeds))(*feeds),
                ctypes.c_int64(len(results)),
                (_Result * len(results))(*results),
                ctypes.c_int64(check),
                ctypes.byref(done),
            )
        finally:
            self._back(frame)
        if code == _ORDER:
            raise IndexError(f"batch {done.value}: the order names a row that the data set does not have")
        if code not in (0, _FINITE):
            error = self._error(code)
            error.add_note(f"in batch {done.value}")
            error.done = done.value  # type: ignore[attr-defined]
            raise error
        return Batches(done.value, outputs)


def _misfit(value: Value, array: Array, expected: tuple[int, ...]) -> ShapeError:
    return ShapeError(
        f"{value.name or 'an input'}: expected {value.dtype} of shape {expected}, got {array.dtype} of shape "
        f"{array.shape}"
    )


def _gathered(value: Value, one: Gathered, count: int, slot: int) -> tuple[_Feed, list[Array]]:
    array = np.ascontiguousarray(one.array)
    order = np.ascontiguousarray(one.order, np.int64)
    rows = value.shape[0] if value.shape else 0
    if array.shape[1:] != value.shape[1:] or array.dtype != value.dtype or not value.shape:
        raise _misfit(value, array, ("rows", *value.shape[1:]))  # type: ignore[arg-type]
    if order.shape != (count, rows):
        raise ShapeError(f"{value.name or 'an input'}: expected an order of shape {(count, rows)}, got {order.shape}")
    into = np.empty(value.shape, value.dtype)
    width = value.nbytes // max(rows, 1)
    feed = _Feed(slot, 2, width, rows, len(array), array.ctypes.data, order.ctypes.data, into.ctypes.data)
    return feed, [array, order, into]
