"""Adagrad: steps scaled by the sum of all squared gradients so far."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..tape import Array
from ..tensor import Tensor
from .optimizer import Numbers, Optimizer, Rule, Steps, Structure, each, entering, plain

__all__ = ["Adagrad"]


class Adagrad(Optimizer):
    """Adagrad: the gradient over the root of the sum of its squares; weights seldom used keep their large steps.

    In step ``t``, from the gradient ``g`` (``-g`` with ``maximize``), elementwise, ``s`` starting at
    ``initial_accumulator_value``::

        g = g + weight_decay * p
        s = s + g**2
        p = p - lr / (1 + (t - 1) * lr_decay) * g / (sqrt(s) + eps)

    Torch's formula and defaults; equal to it step by step. The state is made in a parameter's first step, where torch
    makes it with the optimizer; a state from before the first step loads either way.

    Args:
        params: parameters or groups of them, see :class:`Optimizer`.
        lr: the step size. lr_decay: how fast it falls. weight_decay: the factor of the L2 penalty's gradient.
        initial_accumulator_value: the start of ``s``. eps: added to the denominator.
        maximize: climb instead of descend. hints: see :class:`Optimizer`.

    Raises:
        ArgumentError: a negative or non-finite option.

    Source: Duchi, Hazan, Singer, JMLR 12, 2011.
    """

    _arrays = ("sum",)
    _counted = True

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[Mapping[str, Any]],
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
        **hints: Any,
    ) -> None:
        options = {
            "lr": lr,
            "lr_decay": lr_decay,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "maximize": maximize,
        }
        super().__init__(params, options, hints)

    def _checked(self, options: dict[str, Any]) -> dict[str, Any]:
        names = ("lr", "lr_decay", "eps", "weight_decay", "initial_accumulator_value")
        return plain("Adagrad", options, names, ("maximize",))

    @classmethod
    def _starts(cls, options: Mapping[str, Any]) -> Mapping[str, float]:
        return {"sum": options["initial_accumulator_value"]}

    @classmethod
    def _structure(cls, options: Mapping[str, Any], first: bool) -> Structure:  # noqa: ARG003 - the first is like all
        return bool(options["weight_decay"]), options["maximize"]

    @classmethod
    def _numbers(cls, options: Mapping[str, Any], step: int | Steps) -> Numbers:
        lr, decay = options["lr"], options["lr_decay"]
        rate = each(step, lambda t: lr / (1.0 + (t - 1) * decay)) if decay else lr
        return rate, options["eps"], options["weight_decay"]

    @classmethod
    def _rule(cls, structure: Structure) -> Rule:
        add, divide, multiply, subtract, sqrt = np.add, np.divide, np.multiply, np.subtract, np.sqrt
        penalised, climbs = structure

        def rule(
            numbers: Numbers, data: Array, gradient: Array, state: Mapping[str, Any], scratch: Array, second: Array
        ) -> None:
            rate, floor, decay = numbers
            total = state["sum"]
            gradient = entering(climbs, penalised, decay, data, gradient, scratch, second)
            multiply(gradient, gradient, scratch)
            add(total, scratch, total)
            sqrt(total, scratch)
            add(scratch, floor, scratch)
            divide(gradient, scratch, scratch)
            multiply(scratch, rate, scratch)
            subtract(data, scratch, data)

        return rule
