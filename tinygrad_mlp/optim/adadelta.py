"""Adadelta: steps of the size of the steps before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..tape import Array
from ..tensor import Tensor
from .optimizer import Numbers, Optimizer, Rule, Steps, Structure, entering, follow_square, number, plain

__all__ = ["Adadelta"]


class Adadelta(Optimizer):
    """Adadelta: the gradient in units of its running size, times the running size of the steps; no rate to be chosen.

    In every step, from the gradient ``g`` (``-g`` with ``maximize``), elementwise::

        g = g + weight_decay * p
        v = rho * v + (1 - rho) * g**2
        d = sqrt(u + eps) / sqrt(v + eps) * g
        u = rho * u + (1 - rho) * d**2
        p = p - lr * d

    Torch's formula and defaults; equal to it step by step.

    Args:
        params: parameters or groups of them, see :class:`Optimizer`.
        lr: a factor of the step, 1 in the paper. rho: how much of the running means is kept.
        eps: added under both roots; it decides the size of the first steps.
        weight_decay: the factor of the L2 penalty's gradient. maximize: climb instead of descend.
        hints: see :class:`Optimizer`.

    Raises:
        ArgumentError: a negative or non-finite option, a rho above 1.

    Source: Zeiler, arXiv:1212.5701, 2012, algorithm 1.
    """

    _arrays = ("square_avg", "acc_delta")
    _counted = True

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[Mapping[str, Any]],
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        **hints: Any,
    ) -> None:
        options = {"lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}
        super().__init__(params, options, hints)

    def _checked(self, options: dict[str, Any]) -> dict[str, Any]:
        plain("Adadelta", options, ("lr", "eps", "weight_decay"), ("maximize",))
        options["rho"] = number("Adadelta", "rho", options["rho"], most=1.0)
        return options

    @classmethod
    def _structure(cls, options: Mapping[str, Any], first: bool) -> Structure:  # noqa: ARG003 - zeros are a start too
        return bool(options["weight_decay"]), options["maximize"]

    @classmethod
    def _numbers(cls, options: Mapping[str, Any], step: int | Steps) -> Numbers:  # noqa: ARG003 - the same in every step
        rho = options["rho"]
        return options["lr"], options["eps"], rho, 1.0 - rho, options["weight_decay"]

    @classmethod
    def _rule(cls, structure: Structure) -> Rule:
        add, multiply, sqrt = np.add, np.multiply, np.sqrt
        penalised, climbs = structure

        def rule(
            numbers: Numbers, data: Array, gradient: Array, state: Mapping[str, Any], scratch: Array, second: Array
        ) -> None:
            rate, floor, old, new, decay = numbers
            square, steps = state["square_avg"], state["acc_delta"]
            gradient = entering(climbs, penalised, decay, data, gradient, scratch, second)
            follow_square(square, gradient, old, new, scratch)
            add(square, floor, scratch)
            sqrt(scratch, scratch)
            np.divide(gradient, scratch, second)
            add(steps, floor, scratch)
            sqrt(scratch, scratch)
            multiply(second, scratch, second)
            follow_square(steps, second, old, new, scratch)
            multiply(second, rate, second)
            np.subtract(data, second, data)

        return rule
