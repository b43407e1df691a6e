"""The intermediate form of a captured step: plain data that passes rewrite, back ends run and people read.

A :class:`Program` is a straight line of op calls in single-assignment form. Its values are immutable: what happens to a
parameter is a *write*, ``(buffer, new value)``, and every step that reads the buffer sees the value before the run.
Back ends may update in place where no later step reads the old value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..tables import Table
from ..tape import Array, Line, Op

if TYPE_CHECKING:
    from ..graph import Graph
    from .source import Source

__all__ = ["Check", "Feed", "Operand", "Program", "SavedRef", "Step", "Value"]

Kind = Literal["input", "buffer", "constant", "fed", "step"]
Phase = Literal["forward", "backward", "update"]


class Value:
    """One array of a program.

    Attributes:
        kind: ``"input"`` an argument of the call; ``"buffer"`` a named array that outlives the run and may be written
            (parameter, optimizer state, accumulated gradient); ``"constant"`` an array that is only read; ``"fed"``
            made by the host before each run (random numbers, learning rates); ``"step"`` made by a step.
        shape, dtype, strides: as the eager run made it. name: the user's name for it, or "".
        array: of a constant or buffer the user's own memory; None otherwise.
        fixed: a constant that nobody else holds, so that what is computed from it never changes.
        step: the step that makes it. alias: the operand whose memory it is a view of, if it is one.
    """

    __slots__ = ("alias", "array", "dtype", "fixed", "kind", "name", "shape", "step", "strides")

    def __init__(self, kind: Kind, like: Any, *, name: str = "", array: Array | None = None) -> None:
        self.kind: Kind = kind
        self.shape: tuple[int, ...] = like.shape
        self.dtype: np.dtype[Any] = like.dtype
        self.strides: tuple[int, ...] = like.strides
        self.name = name
        self.array = array
        self.step: Step | None = None
        self.alias: Value | None = None
        self.fixed = False

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the elements."""
        return self.size * self.dtype.itemsize

    @property
    def root(self) -> Value:
        """The value whose memory this one lies in: itself, unless it is a view."""
        value = self
        while value.alias is not None:
            value = value.alias
        return value

    def __repr__(self) -> str:
        made = f" = {self.step.op.name}" if self.step is not None else ""
        return f"<{self.kind} {self.name or '?'} {self.shape} {self.dtype}{made}>"


Operand = Value | int | float | bool


class SavedRef:
    """What the forward function of an earlier step saved on the side, where a parameter of a later step is that."""

    __slots__ = ("step",)

    def __init__(self, step: Step) -> None:
        self.step = step

    def __repr__(self) -> str:
        return f"<saved by {self.step.op.name}>"


class Step:
    """One call of an op.

    Attributes:
        op, operands, params: the call; a number among the operands is a bare Python number; a parameter that an
            earlier step saved is a :class:`SavedRef`.
        result: the value made. saved: whether a later step reads what the op saves.
        phase: ``"forward"``, ``"backward"`` (derived) or ``"update"`` (the optimizer). module: the path of the module.
        line: where in the user's program.
    """

    __slots__ = ("line", "module", "op", "operands", "params", "phase", "result", "saved")

    def __init__(
        self,
        op: Op,
        operands: Sequence[Operand],
        params: dict[str, Any],
        result: Value,
        phase: Phase,
        module: str,
        line: Line | None,
    ) -> None:
        self.op = op
        self.operands = tuple(operands)
        self.params = params
        self.result = result
        self.saved = False
        self.phase: Phase = phase
        self.module = module
        self.line = line
        result.step = self

    def reads(self) -> Iterator[Value]:
        """The values that the step reads; of what another step saved, that step's result."""
        for one in self.operands:
            if isinstance(one, Value):
                yield one
        for param in self.params.values():
            if isinstance(param, SavedRef):
                yield param.step.result

    def __repr__(self) -> str:
        names = ", ".join(one.name or "?" if isinstance(one, Value) else repr(one) for one in self.operands)
        return f"<{self.result.name or '?'} = {self.op.name}({names}), {self.phase}>"


class Feed:
    """Numbers that the host makes before each run, for one or several values.

    Attributes:
        values: what is fed, in order. draw: gives one array for each of them, of their shapes and dtypes.
        many: gives ``(count, len(values))`` numbers for as many runs in advance, where all values are without axes and
            that is possible; None where each run has to ask.
    """

    __slots__ = ("draw", "many", "values")

    def __init__(
        self,
        values: Sequence[Value],
        draw: Callable[[], Sequence[Array]],
        many: Callable[[int], Array] | None = None,
    ) -> None:
        self.values = tuple(values)
        self.draw = draw
        self.many = many


class Check:
    """A question about an input's values that the eager functions ask in Python, such as whether class ids are legal.

    ``ask(array)`` raises the eager error; it is called before a run changes anything.
    """

    __slots__ = ("ask", "value")

    def __init__(self, value: Value, ask: Callable[[Array], Any]) -> None:
        self.value = value
        self.ask = ask


class Program:
    """A captured step: what goes in, the op calls in order, what comes out and what is written.

    Attributes:
        name: of the function. inputs: the array arguments, flattened. buffers: arrays of the user's that are read and
            perhaps written. constants: arrays that are only read. feeds: numbers made by the host for each run.
        steps: the op calls in order. outputs: what the function returned, flattened.
        writes: ``(buffer, new value)`` pairs. checks: asked before each run.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.inputs: list[Value] = []
        self.buffers: list[Value] = []
        self.constants: list[Value] = []
        self.feeds: list[Feed] = []
        self.steps: list[Step] = []
        self.outputs: list[Value] = []
        self.writes: list[tuple[Value, Value]] = []
        self.checks: list[Check] = []

    @property
    def fed(self) -> list[Value]:
        """The values of all feeds."""
        return [value for feed in self.feeds for value in feed.values]

    @property
    def results(self) -> list[Value]:
        """What has to exist at the end of a run: the outputs and the new values of buffers."""
        return [*self.outputs, *[value for _, value in self.writes]]

    def last_uses(self, steps: Sequence[Step] | None = None) -> dict[Value, int]:
        """For each value that a step reads, the place of the last one; what the run must leave: ``len(steps)``.

        A view keeps the value alive that it is a view of. The steps may be given in another order.
        """
        last: dict[Value, int] = {}
        for place, step in enumerate(self.steps if steps is None else steps):
            for value in step.reads():
                last[value] = last[value.root] = place
        for value in self.results:
            last[value] = last[value.root] = len(self.steps)
        return last

    def source(self) -> Source:
        """The program as straight-line NumPy code that runs; see :func:`tinygrad_mlp.program.source.source`."""
        from .source import source  # noqa: PLC0415 - most programs are never read

        return source(self)

    def summary(self, times: Sequence[float] | None = None) -> Table:
        """The steps as a table, with ``times`` in seconds where they were measured."""
        from .summary import summary  # noqa: PLC0415 - most programs are never read

        return summary(self, times)

    def graph(self, *, max_nodes: int = 200) -> Graph:
        """The program as a graph to be drawn, with the derived backward pass and the update in it.

        Args:
            max_nodes: drawings of more nodes fold modules into one box each, and say so.
        """
        from .picture import graph_of_program  # noqa: PLC0415 - most programs are never drawn

        return graph_of_program(self, max_nodes)

    def __repr__(self) -> str:
        counts = {phase: sum(step.phase == phase for step in self.steps) for phase in ("forward", "backward", "update")}
        steps = ", ".join(f"{count} {phase}" for phase, count in counts.items() if count)
        return (
            f"<Program {self.name}: {len(self.inputs)} inputs, {len(self.buffers)} buffers, {steps or 'no'} steps, "
            f"{len(self.outputs)} outputs, {len(self.writes)} writes>"
        )
