"""RMSprop: steps scaled by a running mean of the gradient's square."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..tape import Array
from ..tensor import Tensor
from .optimizer import Numbers, Optimizer, Rule, Steps, Structure, entering, follow, follow_square, plain

__all__ = ["RMSprop"]


class RMSprop(Optimizer):
    """RMSprop: the gradient over the root of a running mean of its square.

    In every step, from the gradient ``g`` (``-g`` with ``maximize``), elementwise::

        g = g + weight_decay * p
        v = alpha * v + (1 - alpha) * g**2
        a = alpha * a + (1 - alpha) * g                    only if centered
        d = g / (sqrt(v) + eps), centered: g / (sqrt(v - a**2) + eps)
        b = momentum * b + d                               only with momentum, then b takes the place of d
        p = p - lr * d

    Torch's formula and defaults; equal to it step by step. A variance ``v - a**2`` that rounding makes negative counts
    as 0, where torch goes on with NaN.

    Args:
        params: parameters or groups of them, see :class:`Optimizer`.
        lr: the step size. alpha: how much of the running means is kept. eps: added to the denominator.
        weight_decay: the factor of the L2 penalty's gradient. momentum: the share of the old direction that is kept.
        centered: divide by the standard deviation of the gradient. maximize: climb instead of descend.
        hints: see :class:`Optimizer`.

    Raises:
        ArgumentError: a negative or non-finite option.

    Source: Tieleman & Hinton, Neural Networks for Machine Learning, lecture 6.5, 2012; Graves, 2013 (centered).
    """

    _arrays = ("square_avg", "momentum_buffer", "grad_avg")
    _counted = True

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[Mapping[str, Any]],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        maximize: bool = False,
        **hints: Any,
    ) -> None:
        options = {
            "lr": lr,
            "momentum": momentum,
            "alpha": alpha,
            "eps": eps,
            "centered": centered,
            "weight_decay": weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, options, hints)

    def _checked(self, options: dict[str, Any]) -> dict[str, Any]:
        return plain("RMSprop", options, ("lr", "momentum", "alpha", "eps", "weight_decay"), ("centered", "maximize"))

    def _needs(self, options: Mapping[str, Any]) -> tuple[str, ...]:
        moves, centered = options["momentum"], options["centered"]
        wanted = {"square_avg": True, "momentum_buffer": moves, "grad_avg": centered}
        return tuple([name for name in self._arrays if wanted[name]])

    @classmethod
    def _structure(cls, options: Mapping[str, Any], first: bool) -> Structure:  # noqa: ARG003 - zeros are a start too
        return bool(options["weight_decay"]), bool(options["momentum"]), options["centered"], options["maximize"]

    @classmethod
    def _numbers(cls, options: Mapping[str, Any], step: int | Steps) -> Numbers:  # noqa: ARG003 - the same in every step
        alpha = options["alpha"]
        return options["lr"], options["eps"], alpha, 1.0 - alpha, options["momentum"], options["weight_decay"], 0.0

    @classmethod
    def _rule(cls, structure: Structure) -> Rule:
        add, divide, multiply, subtract, sqrt = np.add, np.divide, np.multiply, np.subtract, np.sqrt
        penalised, moves, centered, climbs = structure

        def rule(
            numbers: Numbers, data: Array, gradient: Array, state: Mapping[str, Any], scratch: Array, second: Array
        ) -> None:
            rate, floor, old, new, keep, decay, zero = numbers
            square = state["square_avg"]
            gradient = entering(climbs, penalised, decay, data, gradient, scratch, second)
            follow_square(square, gradient, old, new, scratch)
            if centered:
                mean = state["grad_avg"]
                follow(mean, gradient, new, scratch)
                multiply(mean, mean, scratch)
                subtract(square, scratch, scratch)
                np.maximum(scratch, zero, out=scratch)
                sqrt(scratch, scratch)
            else:
                sqrt(square, scratch)
            add(scratch, floor, scratch)
            divide(gradient, scratch, scratch)
            if moves:
                buffer = state["momentum_buffer"]
                multiply(buffer, keep, buffer)
                add(buffer, scratch, buffer)
                multiply(buffer, rate, scratch)
            else:
                multiply(scratch, rate, scratch)
            subtract(data, scratch, data)

        return rule
