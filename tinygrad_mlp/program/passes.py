"""What a captured program loses before it runs: steps nobody needs, steps done twice, copies nobody writes into.

No pass changes a bit of any result: only whole calls go, and calls of equal operands give equal bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .ir import Check, Feed, Program, SavedRef, Step, Value

__all__ = ["simplify"]


def simplify(program: Program) -> None:
    """Merge equal steps, drop copies and dead code; the program is changed in place."""
    _merge_equal(program)
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


def _merge_equal(program: Program) -> None:
    # Kept steps by what they compute. Operands are replaced on the way, so that chains of equal steps merge too.
    known: dict[Any, Step] = {}
    new: dict[Value, Value] = {}
    makers: dict[Step, Step] = {}
    kept = []
    for step in program.steps:
        operands = tuple([new.get(one, one) if isinstance(one, Value) else one for one in step.operands])
        result = step.result
        if _copies(step):
            (source,) = operands
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


def _copies(step: Step) -> bool:
    """Whether a step only makes a copy, which single assignment makes pointless."""
    source = step.operands[0] if step.operands else None
    return (
        step.op.name == "cast"
        and isinstance(source, Value)
        and source.dtype == step.result.dtype
        and source.strides == step.result.strides
    )


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
