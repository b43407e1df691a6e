"""Steps of the tape whose rule is Python code of the user's: several results, one rule for all of them.

A node of the tape has one result. A step with several is one node for the rule, and one node per result that passes its
gradient on to it in a bundle: ``{1: g}``. Bundles add up as gradients do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..tape import Array, Node, Op, Plan, Traced, recorder, wrap
from ..tensor import Tensor

__all__ = ["Saved", "joint_step"]

Rule = Callable[[list[Any], tuple[Any, ...]], tuple[Any, ...]]
"""From one gradient per result (None: none arrived) and the kept values to one gradient per input node."""

Saved = tuple[str, int] | None
"""What a kept value was: ``("input", place)``, ``("result", place)``, or None for anything else."""


class _Bundle:
    """The gradients of the results of one step, by position; missing ones have not arrived."""

    __slots__ = ("parts",)

    def __init__(self, parts: dict[int, Any]) -> None:
        self.parts = parts

    def __add__(self, other: _Bundle) -> _Bundle:
        both = dict(self.parts)
        for place, gradient in other.parts.items():
            both[place] = both[place] + gradient if place in both else gradient
        return _Bundle(both)


class _RulePlan(Plan):
    """A plan whose rule is given, not declared, and whose kept values are given with it."""

    __slots__ = ("results", "saved")

    def __init__(
        self,
        name: str,
        pull: Callable[[Any, Any, Any], tuple[Any, ...]],
        count: int,
        saved: Sequence[Saved] = (),
        results: int = 1,
    ) -> None:
        self.op = Op(
            name,
            _ran,
            (None,) * count,
            operands=tuple(f"input{i}" for i in range(count)),
            params=(),
            numpy=(),
            reference=None,
            samples=None,
            scalar=None,
            latex=None,
            elementwise=False,
            saves=False,
            passes_on=True,
            pull_maker=_ran,
        )
        self.tracked = tuple(range(count))
        self.fresh = False
        self.part = None
        self.keep = None
        self.reads_params = False
        self.roles = (None,) * len(saved)
        self.pull = pull
        self.saved = saved
        self.results = results

    def revive(self, _: type[Traced], node: Node, kept: tuple[Any, ...]) -> tuple[Any, ...]:
        """The kept values as traced values; arguments and results among them are on the tape again."""

        def source(was: Saved, value: Array) -> Node | None:
            if was is None:
                return None
            what, place = was
            if what == "input":
                return node.inputs[place]
            if self.results == 1:
                return node
            # The result's own node must not be held by what it depends on; another one with the same rule does.
            return Node(_RulePlan(self.op.name, _tie(place), 1), (node,), (), value.shape)

        return tuple(
            [
                None if value is None else wrap(Tensor, value, source(was, value))
                for was, value in zip(self.saved, kept, strict=True)
            ]
        )


def _ran(*_: Any, **__: Any) -> Any:
    raise NotImplementedError("this step ran as Python code of the user's; it cannot be run again from the tape")


def joint_step(
    name: str,
    results: Sequence[Array],
    inputs: Sequence[Node],
    rule: Rule,
    *,
    tracked: Sequence[bool],
    kept: tuple[Any, ...] = (),
    saved: Sequence[Saved] = (),
    operands: Sequence[Tensor] = (),
) -> list[Tensor]:
    """The results as tensors, recorded: ``rule(gradients, kept)`` gives one gradient for each of ``inputs``.

    Args:
        name: what pictures and errors call the step.
        results: the arrays it gave.
        inputs: the nodes that gradients go to.
        rule: see ``Rule``.
        tracked: which results have a gradient; the others are plain.
        kept: arrays that the rule reads; the walk checks that nobody overwrites them, and gives them up.
        saved: for each of ``kept``, what it was.
        operands: the tensors behind ``inputs``, for pictures and messages.
    """
    make = recorder()
    if make is None or not inputs or not any(tracked):
        return [wrap(Tensor, array) for array in results]
    if len(results) == 1:
        array = results[0]
        plan = _RulePlan(name, lambda g, values, _: rule([g], values), len(inputs), saved)
        return [wrap(Tensor, array, _noted(make(plan, tuple(inputs), kept, array.shape), array, operands))]
    count = len(results)

    def pull(bundle: Any, values: tuple[Any, ...], _: Any) -> tuple[Any, ...]:
        return rule([bundle.parts.get(place) for place in range(count)], values)

    plan = _RulePlan(name, pull, len(inputs), saved, count)
    joint = _noted(make(plan, tuple(inputs), kept, ()), np.empty(0), operands)
    tensors = []
    for place, array in enumerate(results):
        node = None
        if tracked[place]:
            plan = _RulePlan(f"{name}[{place}]", _tie(place), 1)
            node = _noted(make(plan, (joint,), (), array.shape), array, [wrap(Tensor, np.empty(0), joint)])
        tensors.append(wrap(Tensor, array, node))
    return tensors


def _noted(node: Node, array: Array, operands: Sequence[Tensor]) -> Node:
    if type(node) is not Node:
        node.observe(array, operands, {})
    return node


def _tie(place: int) -> Callable[[Any, Any, Any], tuple[Any, ...]]:
    return lambda g, kept, inputs: (_Bundle({place: g}),)
