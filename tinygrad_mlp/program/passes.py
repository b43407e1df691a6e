"""What a captured program loses before it runs: steps nobody needs, steps done twice, copies nobody writes into.

No pass changes a bit of any result: only whole calls go, and calls of equal operands give equal bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..tape import OPS
from .ir import Check, Feed, Program, SavedRef, Step, Value

__all__ = ["simplify"]

# Larger arrays are not looked through.
_FEW = 4096


def simplify(program: Program) -> None:
    """Compute what never changes, merge equal steps, drop copies and dead code; the program is changed in place."""
    _fold_constants(program)
    _merge_equal(program)
    _drop_dead(program)
    if _join_parts(program):
        _drop_dead(program)


def _replaced(program: Program, new: dict[Value, Value], makers: dict[Step, Step]) -> None:
    """Read ``new[value]`` wherever ``value`` is read."""

    def of(one: Any) -> Any:
        return new.get(one, one) if isinstance(one, Value) else one

    for step in program.steps:
        step.operands = tuple(map(of, step.operands))
        for name, param in step.params.items():
            if isinstance(param, SavedRef) and param.step in makers:
                step.params = {**step.params, name: SavedRef(makers[param.step])}
        if step.result.alias is not None:
            step.result.alias = of(step.result.alias)
    program.outputs = list(map(of, program.outputs))
    program.writes = [(buffer, of(value)) for buffer, value in program.writes]
    program.checks = [Check(of(check.value), check.ask) for check in program.checks]


def _fold_constants(program: Program) -> None:
    new: dict[Value, Value] = {}
    kept = []
    for step in program.steps:
        operands = [new.get(one, one) if isinstance(one, Value) else one for one in step.operands]
        values = [one for one in operands if isinstance(one, Value)]
        if not values or step.op.saves or not all(one.fixed for one in values):
            kept.append(step)
            continue
        with np.errstate(all="ignore"):
            arrays = [one.array if isinstance(one, Value) else one for one in operands]
            array = np.asarray(step.op.forward(*arrays, **step.params))
        found = Value("constant", array, name=step.result.name, array=array)
        found.fixed = True
        program.constants.append(found)
        new[step.result] = found
    program.steps = kept
    _replaced(program, new, {})


def _merge_equal(program: Program) -> None:
    # Kept steps by what they compute. Operands are replaced on the way, so that chains of equal steps merge too.
    known: dict[Any, Step] = {}
    new: dict[Value, Value] = {}
    makers: dict[Step, Step] = {}
    kept = []
    for step in program.steps:
        operands = tuple([new.get(one, one) if isinstance(one, Value) else one for one in step.operands])
        result = step.result
        place = _copied(step)
        if place is not None:
            source = operands[place]
            assert isinstance(source, Value)
            new[result] = source
            source.name = source.name or result.name
            continue
        key = (
            step.op,
            tuple(map(_key, operands)),
            _key(
                {
                    name: makers.get(one.step, one.step) if isinstance(one, SavedRef) else one
                    for name, one in step.params.items()
                }
            ),
        )
        before = known.setdefault(key, step)
        if before is step:
            kept.append(step)
        else:
            new[result] = before.result
            makers[step] = before
            before.saved = before.saved or step.saved
            before.result.name = before.result.name or result.name
    program.steps = kept
    _replaced(program, new, makers)


def _copied(step: Step) -> int | None:
    """The operand that a step only copies, which single assignment makes pointless; None if it does something else.

    Times one and divided by one are copies to the bit.
    """
    place: int | None = None
    if step.op.name == "cast":
        place = 0
    elif step.op.forward is np.multiply and len(step.operands) == 2:
        place = next((1 - k for k in range(2) if _is_one(step.operands[k])), None)
    elif step.op.forward is np.true_divide and len(step.operands) == 2 and _is_one(step.operands[1]):
        place = 0
    source = None if place is None else step.operands[place]
    same = (
        isinstance(source, Value)
        and source.shape == step.result.shape
        and source.dtype == step.result.dtype
        and source.strides == step.result.strides
    )
    return place if same else None


def _is_one(operand: Any) -> bool:
    if not isinstance(operand, Value):
        return type(operand) in (int, float) and operand == 1
    array = operand.array if operand.fixed else None
    return array is not None and 0 < array.size <= _FEW and bool((array == 1).all())


def _key(one: Any) -> Any:
    """Something hashable, equal for equal parameters; arrays and unknown objects are equal to themselves alone."""
    if isinstance(one, dict):
        return tuple([(name, _key(value)) for name, value in one.items()])
    if isinstance(one, (tuple, list)):
        return type(one), tuple(map(_key, one))
    if isinstance(one, slice):
        return "slice", one.start, one.stop, one.step
    if isinstance(one, float):
        return "float", repr(one)  # 0.0 and -0.0 are equal, and NaN is not
    if isinstance(one, (bool, int, str, type(None), Step, Value, np.dtype)):
        return type(one), one
    return "object", id(one)


def _drop_dead(program: Program) -> None:
    needed = {value.root for value in program.results} | set(program.results)
    kept = []
    for step in reversed(program.steps):
        if step.result in needed:
            kept.append(step)
            for value in step.reads():
                needed.add(value)
                needed.add(value.root)
    program.steps = kept[::-1]
    for step in program.steps:
        step.saved = False
    for step in program.steps:
        for param in step.params.values():
            if isinstance(param, SavedRef):
                param.step.saved = True
    program.constants = [value for value in program.constants if value in needed]
    written = {buffer for buffer, _ in program.writes}
    program.buffers = [value for value in program.buffers if value in needed or value in written]
    made = {step.result for step in program.steps} | set(program.inputs)
    program.checks = [check for check in program.checks if check.value in made or check.value.root in made]
    program.feeds = [_fewer(feed, needed) for feed in program.feeds]


def _fewer(feed: Feed, needed: set[Value]) -> Feed:
    """The feed without the numbers that no step reads. A random draw stays: the ones after it depend on it."""
    places = [place for place, value in enumerate(feed.values) if value in needed]
    if len(places) == len(feed.values) or feed.many is None:
        return feed
    draw, many = feed.draw, feed.many

    def fewer() -> list[Any]:
        arrays = draw()
        return [arrays[place] for place in places]

    several: Callable[[int], Any] = lambda count: many(count)[:, places]
    return Feed([feed.values[place] for place in places], fewer, several)


# --- sums of parts --------------------------------------------------------------------------------


def _join_parts(program: Program) -> bool:
    """Where the parts of an array were read one by one, as ``x[:, t]``, their gradients are joined and not added up.

    Each arrives as an array of zeros with one part filled in, and all of them are added: for n parts, n times the work
    of joining them. Adding 0.0 afterwards gives the bits of the sum, which has no negative zeros.
    """
    makers = {step.result: step for step in program.steps}
    uses: dict[Value, int] = {}
    for step in program.steps:
        for value in step.reads():
            uses[value] = uses.get(value, 0) + 1
        if step.result.alias is not None:
            uses[step.result.alias] = uses.get(step.result.alias, 0) + 1
    for value in program.results:
        uses[value] = uses.get(value, 0) + 2
    inner = {
        one
        for step in program.steps
        if step.op.name == "add"
        for one in step.operands
        if isinstance(one, Value) and uses[one] == 1 and one in makers and makers[one].op.name == "add"
    }
    found = False
    steps: list[Step] = []
    for step in program.steps:
        joined = None if step.op.name != "add" or step.result in inner else _joined(step, makers, uses)
        if joined is not None:
            steps += joined
            found = True
        else:
            steps.append(step)
    program.steps = steps
    return found


def _joined(last: Step, makers: dict[Value, Step], uses: dict[Value, int]) -> list[Step] | None:
    """The steps that join the parts whose sum ``last`` completes; None where it is not such a sum."""
    parts: list[Step] = []
    stack: list[Any] = list(last.operands)
    while stack:
        one = stack.pop()
        step = makers.get(one) if isinstance(one, Value) and uses.get(one) == 1 else None
        if step is not None and step.op.name == "add":
            stack.extend(step.operands)
        elif step is not None and step.op.name == "put":
            parts.append(step)
        else:
            return None
    shape = last.result.shape
    spans = [_span(step.params["index"], shape) for step in parts]
    if len(parts) < 2 or any(span is None or span[0] != (spans[0] or (None,))[0] for span in spans):
        return None
    ordered = sorted(zip([span for span in spans if span is not None], range(len(parts)), strict=True))
    axis = ordered[0][0][0]
    ends = [stop for (_, _, stop), _ in ordered]
    if [start for (_, start, _), _ in ordered] != [0, *ends[:-1]] or ends[-1] != shape[axis]:
        return None
    made: list[Step] = []
    pieces: list[Value] = []
    for (_, start, stop), place in ordered:
        (source,) = parts[place].operands
        wanted = (*shape[:axis], stop - start, *shape[axis + 1 :])
        if not isinstance(source, Value) or source.dtype != last.result.dtype:
            return None
        if source.shape != wanted:
            if (*wanted[:axis], *wanted[axis + 1 :]) != source.shape:
                return None
            strides = (*source.strides[:axis], source.dtype.itemsize, *source.strides[axis:])
            view = Value("step", _Like(wanted, source.dtype, strides))
            view.alias = source
            made.append(_like_step(last, "reshape", [source], {"shape": wanted}, view))
            source = view
        pieces.append(source)
    whole = Value("step", _Like(shape, last.result.dtype, last.result.strides))
    made.append(_like_step(last, "cat", pieces, {"axis": axis, "ends": tuple(ends)}, whole))
    return [*made, _like_step(last, "add", [whole, 0.0], {}, last.result)]


class _Like:
    """What a value needs to know of an array that nobody has computed."""

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any], strides: tuple[int, ...]) -> None:
        self.shape = shape
        self.dtype = dtype
        self.strides = strides


def _like_step(last: Step, name: str, operands: list[Any], params: dict[str, Any], result: Value) -> Step:
    return Step(OPS[name], operands, params, result, last.phase, last.module, last.line)


def _span(index: Any, shape: tuple[int, ...]) -> tuple[int, int, int] | None:
    """``(axis, start, stop)`` of an index that takes a part of one axis and all of the others; None for any other."""
    parts = list(index) if isinstance(index, tuple) else [index]
    if Ellipsis in [one for one in parts if one is Ellipsis]:
        place = next(i for i, one in enumerate(parts) if one is Ellipsis)
        parts[place : place + 1] = [slice(None)] * (len(shape) - len(parts) + 1)
    parts += [slice(None)] * (len(shape) - len(parts))
    found = None
    for axis, one in enumerate(parts[: len(shape)]):
        if isinstance(one, slice):
            start, stop, step = one.indices(shape[axis])
            whole = (start, stop, step) == (0, shape[axis], 1)
        elif isinstance(one, int) and not isinstance(one, bool):
            start, stop, step, whole = one % shape[axis], one % shape[axis] + 1, 1, False
        else:
            return None
        if whole:
            continue
        if found is not None or step != 1 or stop <= start:
            return None
        found = axis, start, stop
    return found if len(parts) == len(shape) else None
