"""A function run once on one sample, and its steps run again for all samples at once.

The run is captured (:mod:`.capture`); what depends on the sample is then replayed with one more axis in front, each op
through the batching rule of its own declaration. What does not depend on it is a constant and is not computed again.
The replay goes through the polymorphic op functions where gradients are wanted from outside, and is plain NumPy
elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np

from . import ops
from .capture import Captured, Sample, capturing, whole_step
from .errors import CaptureError
from .ops import batched
from .tape import Array, Node, Op, recorder, recording_with, tick, wrap
from .tensor import Tensor

__all__ = ["evaluate"]

# How many elements the largest value of a replay may have where the caller does not say how many samples go at once.
_MOST = 1 << 24

Function = Callable[[list[Tensor]], Sequence[Tensor]]


class _Step(NamedTuple):
    """One op call of the program: constants as they are, what varies by the node that gave it."""

    node: Captured
    op: Op
    operands: tuple[Any, ...]
    batched: tuple[bool, ...]
    live: bool


class _Program:
    """The steps of one captured run that depend on the sample, in order."""

    def __init__(self, samples: Sequence[Sample], alive: Sequence[bool], outputs: Sequence[Tensor], start: int) -> None:
        self.samples = samples
        self.outputs = outputs
        outer = capturing()
        # A captured step is run again whole: there the sample's own run, which is not noted, leaves no constants.
        whole = whole_step() is not None
        again = set[Node]()
        # What an outer derivative, or an outer captured run, has to see: only that is run on its tape.
        self.live = live = dict[Node, bool](zip(samples, alive, strict=True))
        self.varying = varying = set[Node](samples)
        self.steps: list[_Step] = []
        self.widest = max([1, *[one.value.size for one in samples]])
        last: dict[Node, int] = {}
        for node in _captured_since(start, [one.node for one in outputs]):
            if node in varying:
                continue
            seen = False
            for source in [source for source, _ in node.operands] if outer else node.inputs:
                if source is not None:
                    seen = seen or (live.get(source, False) if source.tick > start else outer or source.wants)
            live[node] = seen
            operands: list[Any] = []
            flags: list[bool] = []
            for source, value in node.operands:
                varies = source in varying
                flags.append(varies)
                if source is None:
                    operands.append(value)
                elif varies or source in again:
                    operands.append(source)
                    last[source] = len(self.steps)
                else:
                    operands.append(_constant(source, value, live, start))
            if True in flags or (seen and whole):
                assert node.plan is not None
                if True in flags:
                    varying.add(node)
                else:
                    again.add(node)
                self.steps.append(_Step(node, node.plan.op, tuple(operands), tuple(flags), seen))
                self.widest = max(self.widest, node.value.size)
        self.constants = [
            None if one.node in varying or one.node in again else _constant(one.node, one.data, live, start)
            for one in outputs
        ]
        # A value goes as soon as the last step that reads it is done.
        kept = {one.node for one in outputs}
        self.done: list[list[Node]] = [[] for _ in self.steps]
        for source, place in last.items():
            if source not in kept:
                self.done[place].append(source)

    def fixed(self) -> list[Any]:
        """What does not vary: the operands that are data, and the parameters of the ops."""
        found: list[Any] = []
        for step in self.steps:
            found += [
                one.data if isinstance(one, Tensor) else one for one in step.operands if not isinstance(one, Node)
            ]
            found += step.node.params.values()
        return found + [one.data for one in self.constants if one is not None]

    @property
    def signature(self) -> tuple[Any, ...]:
        """The ops in their order, and which operands vary."""
        return tuple([(step.op, step.batched, step.node.shape) for step in self.steps])

    def run(self, inputs: Sequence[Tensor], size: int) -> list[Any]:
        """The outputs for ``size`` samples."""
        made: dict[Node, Any] = {
            node: one if self.live[node] else one.data for node, one in zip(self.samples, inputs, strict=True)
        }
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            for step, done in zip(self.steps, self.done, strict=True):
                values = [made[one] if isinstance(one, Node) else one for one in step.operands]
                made[step.node] = _replayed(step, values, size)
                for one in done:
                    del made[one]
        results = []
        for output, constant in zip(self.outputs, self.constants, strict=True):
            if output.node in self.varying:
                results.append(made[output.node])
            elif output.node in made:
                results.append(ops.broadcast_to(made[output.node], shape=(size, *output.shape)))
            else:
                results.append(ops.broadcast_to(constant, shape=(size, *output.shape)))
        return results

    def differs(self, other: _Program) -> bool:
        """Whether another run did not do the same ops with the same constants on its own sample."""
        names: dict[Node | None, Node] = dict(zip(self.samples, other.samples, strict=True))

        def agree(one: Any, two: Any) -> bool:
            return names[one] is two if isinstance(one, Node) else _same(one, two)

        for mine, theirs in zip(self.steps, other.steps, strict=False):
            same_call = mine.op is theirs.op and mine.batched == theirs.batched
            if not (same_call and _same(mine.node.params, theirs.node.params)):
                return True
            if not all(map(agree, mine.operands, theirs.operands)):
                return True
            names[mine.node] = theirs.node
        results = [one.node if one.node in self.varying else one.data for one in self.outputs]
        others = [one.node if one.node in other.varying else one.data for one in other.outputs]
        return len(self.steps) != len(other.steps) or not all(map(agree, results, others))


def _captured_since(start: int, roots: Sequence[Node | None]) -> list[Captured]:
    seen: set[Captured] = set()
    stack = list(roots)
    while stack:
        node = stack.pop()
        if isinstance(node, Captured) and node.tick > start and node not in seen:
            seen.add(node)
            stack.extend([source for source, _ in node.operands])
    return sorted(seen, key=attrgetter("tick"))


def _constant(node: Node | None, value: Any, live: dict[Node, bool], start: int) -> Any:
    if node is None:
        return value
    alive = live.get(node, False) if node.tick > start else capturing() or node.wants
    return wrap(Tensor, value, node) if alive else value


def _replayed(step: _Step, values: list[Any], size: int) -> Any:
    params = step.node.params
    if True not in step.batched:
        if step.node.wants:
            return step.op.call(*values, **params)
        with recording_with(_silent()):
            return step.op.call(*values, **params)
    if not step.live:
        values = [one.data if isinstance(one, Tensor) else one for one in values]
        if step.op.name == "cast" and params["dtype"] == values[0].dtype:
            return values[0]  # a copy that keeps gradients from passing; here none do
        return batched.apply(step.op, values, step.batched, params, size)
    if step.node.wants:
        return batched.apply(step.op, values, step.batched, params, size)
    with recording_with(_silent()):
        return batched.apply(step.op, values, step.batched, params, size)


def _silent() -> Any:
    """The kind of node for steps that pass no gradient, where all that is live has to be noted."""
    make: Any = recorder()
    return make.quiet if capturing() else None


def _same(a: Any, b: Any) -> bool:
    if a is b:
        return True
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        a, b = a.data, b.data
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    if type(a) is not type(b):
        return False
    if isinstance(a, (tuple, list)):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    return bool(a == b) or (a != a and b != b)  # noqa: PLR0124 - NaN


def _known(program: _Program, checked: dict[Any, Any]) -> bool:
    before = checked.get(program.signature)
    # A parameter, though updated in place, is the same array; what is drawn or decided anew has other values.
    return before is not None and all(map(_same, before, program.fixed()))


def _captured(function: Function, inputs: Sequence[Tensor], place: int) -> _Program:
    start = tick()
    outer = capturing()
    alive = [one.node is not None and (outer or one.node.wants) for one in inputs]
    samples = [Sample(np.asarray(one.data[place]), one.node is not None and one.node.wants) for one in inputs]
    with recording_with(Captured):
        outputs = function([wrap(Captured.varying, sample.value, sample) for sample in samples])
    return _Program(samples, alive, outputs, start)


def evaluate(
    function: Function,
    inputs: Sequence[Tensor],
    *,
    chunk_size: int | None = None,
    checked: dict[Any, Any] | None = None,
) -> list[Tensor]:
    """``function`` of every sample, its results stacked along a first axis.

    Args:
        function: takes the list of one sample of each of ``inputs`` and returns tensors.
        inputs: tensors whose first axis, of one length of at least 1, counts the samples.
        chunk_size: how many samples are replayed at a time; by default as many as keep values below 16 million
            elements.
        checked: None if the function is known to do the same with every sample. Otherwise it runs for the last sample
            as well, and both runs must have done the same; the sequence of ops and its constants are then noted here,
            and believed as long as the constants are the same objects or equal.

    Raises:
        CaptureError: the function reads values that differ from sample to sample, or makes something else of each.
    """
    size = inputs[0].shape[0]
    program = _captured(function, inputs, 0)
    if checked is not None and size > 1 and not _known(program, checked):
        if program.differs(_captured(function, inputs, size - 1)):
            raise CaptureError(
                "the function does something else for the last sample than for the first: it draws random numbers, "
                "decides by values, or reads x.data. It runs once for all samples; say chunk_size=1 to run it for one "
                "sample after the other"
            )
        checked[program.signature] = program.fixed()
    rows = chunk_size or max(1, _MOST // program.widest)
    if rows >= size:
        parts = [program.run(inputs, size)]
    else:
        parts = []
        for begin in range(0, size, rows):
            some = [one[begin : begin + rows] for one in inputs]
            parts.append(program.run(some, some[0].shape[0]))
    results: list[Tensor] = []
    for column in zip(*parts, strict=True):
        one = _joined(column)
        shared = any(one.data is other.data for other in results)
        results.append(one.clone() if shared else one)
    return results


def _joined(parts: Sequence[Any]) -> Tensor:
    if isinstance(parts[0], Tensor):
        return parts[0] if len(parts) == 1 else ops.cat(list(parts))
    array: Array = parts[0] if len(parts) == 1 else np.concatenate(parts)
    return wrap(Tensor, array if array.flags.writeable else array.copy())
