"""Rprop: a step size of its own for every weight, from the signs of gradients alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..errors import ArgumentError
from ..tape import Array
from ..tensor import Tensor
from .optimizer import Numbers, Optimizer, Rule, Steps, Structure, number, plain

__all__ = ["Rprop"]


class Rprop(Optimizer):
    """Rprop: steps grow while the gradient keeps its sign and shrink when it turns. For full batches.

    In every step, from the gradient ``g`` (``-g`` with ``maximize``), elementwise, ``s`` starting at ``lr``::

        s = clip(s * etaplus, *step_sizes) where g * before > 0
        s = clip(s * etaminus, *step_sizes), and g = 0, where g * before < 0
        p = p - s * sign(g)
        before = g

    Torch's formula and defaults; equal to it step by step. ``lr`` is read in the first step only, so a schedule of it
    has no effect.

    Args:
        params: parameters or groups of them, see :class:`Optimizer`.
        lr: the first step size. etas: the factors ``(etaminus, etaplus)``. step_sizes: the smallest and the largest.
        maximize: climb instead of descend. hints: see :class:`Optimizer`.

    Raises:
        ArgumentError: a negative or non-finite option, etas that are not ``0 < etaminus < 1 < etaplus``.

    Source: Riedmiller & Braun, ICNN 1993; Igel & Hüsken, 2000 (without going back: iRprop-).
    """

    _arrays = ("prev", "step_size")
    _counted = True

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[Mapping[str, Any]],
        lr: float = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50.0),
        *,
        maximize: bool = False,
        **hints: Any,
    ) -> None:
        options = {"lr": lr, "etas": etas, "step_sizes": step_sizes, "maximize": maximize}
        super().__init__(params, options, hints)

    def _checked(self, options: dict[str, Any]) -> dict[str, Any]:
        for name, example in (("etas", "(0.5, 1.2)"), ("step_sizes", "(1e-6, 50)")):
            if not isinstance(options[name], (tuple, list)) or len(options[name]) != 2:
                raise ArgumentError(f"Rprop: {name} are two numbers, got {options[name]!r}; say {name}={example}")
            low, high = options[name]
            options[name] = number("Rprop", f"{name}[0]", low), number("Rprop", f"{name}[1]", high)
        if not 0.0 < options["etas"][0] < 1.0 < options["etas"][1]:
            raise ArgumentError(f"Rprop: etas lie in (0, 1) and above 1, got {options['etas']}; say etas=(0.5, 1.2)")
        return plain("Rprop", options, ("lr",), ("maximize",))

    @classmethod
    def _starts(cls, options: Mapping[str, Any]) -> Mapping[str, float]:
        return {"step_size": options["lr"]}

    @classmethod
    def _structure(cls, options: Mapping[str, Any], first: bool) -> Structure:  # noqa: ARG003 - the first is like all
        return (options["maximize"],)

    @classmethod
    def _numbers(cls, options: Mapping[str, Any], step: int | Steps) -> Numbers:  # noqa: ARG003 - the same in every step
        (down, up), (smallest, largest) = options["etas"], options["step_sizes"]
        return up, -down, smallest, largest, 0.0, 1.0

    @classmethod
    def _rule(cls, structure: Structure) -> Rule:
        add, maximum, minimum, multiply, subtract = np.add, np.maximum, np.minimum, np.multiply, np.subtract
        (climbs,) = structure

        def rule(
            numbers: Numbers, data: Array, gradient: Array, state: Mapping[str, Any], scratch: Array, second: Array
        ) -> None:
            up, minus_down, smallest, largest, zero, one = numbers
            before, size = state["prev"], state["step_size"]
            multiply(gradient, before, scratch)
            np.sign(scratch, scratch)
            if climbs:
                np.negative(scratch, scratch)
            # The factor has a part for each of the signs 0, 1 and -1. Two are exactly 0, so their sum is exact. The
            # array of the gradient before is a third scratch until it is written at the end.
            np.absolute(scratch, second)
            subtract(one, second, second)
            maximum(scratch, zero, out=before)
            multiply(before, up, before)
            add(second, before, second)
            minimum(scratch, zero, out=scratch)
            multiply(scratch, minus_down, before)
            add(second, before, second)
            multiply(size, second, size)
            maximum(size, smallest, out=size)
            minimum(size, largest, out=size)
            # 0 where the sign has turned, so that there is no step now and no turn in the next.
            add(scratch, one, scratch)
            multiply(gradient, scratch, before)
            if climbs:
                np.negative(before, before)
            np.sign(before, scratch)
            multiply(scratch, size, scratch)
            subtract(data, scratch, data)

        return rule
