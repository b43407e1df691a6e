"""RAdam: Adam that waits with its scaling until enough gradients were seen."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..tape import Array
from ..tensor import Tensor
from .optimizer import (
    Numbers,
    Optimizer,
    Rule,
    Steps,
    Structure,
    decays,
    each,
    entering,
    follow,
    follow_square,
    plain,
)

__all__ = ["RAdam"]


class RAdam(Optimizer):
    """RAdam: Adam with a rectified rate, which makes a warm-up unnecessary.

    In step ``t``, from the gradient ``g`` (``-g`` with ``maximize``), elementwise::

        g = g + weight_decay * p                            decoupled instead: p = p * (1 - lr * weight_decay)
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        R = 2 / (1 - beta2) - 1,   r = R - 2 * t * beta2**t / (1 - beta2**t)
        c = sqrt((r - 4) * (r - 2) * R / ((R - 4) * (R - 2) * r))
        p = p - lr * m / (1 - beta1**t) * c * sqrt(1 - beta2**t) / (sqrt(v) + eps)      if r > 5, else
        p = p - lr * m / (1 - beta1**t)

    Torch's formula and defaults; equal to it step by step.

    Args:
        params: parameters or groups of them, see :class:`Optimizer`.
        lr: the step size. betas: how much of the running means is kept. eps: added to the denominator.
        weight_decay: the factor of the L2 penalty's gradient, or of the weights.
        decoupled_weight_decay: shrink the weights themselves, as :class:`AdamW` does.
        maximize: climb instead of descend. hints: see :class:`Optimizer`.

    Raises:
        ArgumentError: a negative or non-finite option, a beta outside [0, 1).

    Source: Liu et al., ICLR 2020, algorithm 2.
    """

    _arrays = ("exp_avg", "exp_avg_sq")
    _counted = True

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[Mapping[str, Any]],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
        **hints: Any,
    ) -> None:
        options = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, options, hints)

    def _checked(self, options: dict[str, Any]) -> dict[str, Any]:
        options["betas"] = decays("RAdam", options["betas"])
        return plain("RAdam", options, ("lr", "eps", "weight_decay"), ("decoupled_weight_decay", "maximize"))

    @classmethod
    def _structure(cls, options: Mapping[str, Any], first: bool) -> Structure:  # noqa: ARG003 - zeros are a start too
        decayed, decoupled = bool(options["weight_decay"]), options["decoupled_weight_decay"]
        return decayed and decoupled, decayed and not decoupled, options["maximize"]

    @classmethod
    def _numbers(cls, options: Mapping[str, Any], step: int | Steps) -> Numbers:
        lr, decay, (beta1, beta2) = options["lr"], options["weight_decay"], options["betas"]
        rate = each(step, lambda t: lr * _rectified(beta2, t) / (1.0 - beta1**t))
        # The denominator is clamped to [low, high]: to 1 as long as the gradients are too few, else to itself.
        low = each(step, lambda t: 0.0 if _length(beta2, t) > 5.0 else 1.0)
        high = each(step, lambda t: math.inf if _length(beta2, t) > 5.0 else 1.0)
        shrink = 1.0 - lr * decay if options["decoupled_weight_decay"] else decay
        return rate, options["eps"], low, high, 1.0 - beta1, beta2, 1.0 - beta2, shrink

    @classmethod
    def _rule(cls, structure: Structure) -> Rule:
        shrinks, penalised, climbs = structure

        def rule(
            numbers: Numbers, data: Array, gradient: Array, state: Mapping[str, Any], scratch: Array, second: Array
        ) -> None:
            rate, floor, low, high, new1, old2, new2, shrink = numbers
            mean, square = state["exp_avg"], state["exp_avg_sq"]
            if shrinks:
                np.multiply(data, shrink, data)
            gradient = entering(climbs, penalised, shrink, data, gradient, scratch, second)
            follow(mean, gradient, new1, scratch)
            follow_square(square, gradient, old2, new2, scratch)
            np.sqrt(square, scratch)
            np.add(scratch, floor, scratch)
            np.maximum(scratch, low, out=scratch)
            np.minimum(scratch, high, out=scratch)
            np.divide(mean, scratch, scratch)
            np.multiply(scratch, rate, scratch)
            np.subtract(data, scratch, data)

        return rule


def _length(beta2: float, t: int) -> float:
    """How many gradients the running mean of squares stands for, in step ``t``: ``r`` of the formula."""
    return 2.0 / (1.0 - beta2) - 1.0 - 2.0 * t * beta2**t / (1.0 - beta2**t)


def _rectified(beta2: float, t: int) -> float:
    """The factor of the rate, with the second correction: ``c * sqrt(1 - beta2**t)``, or 1 for too few gradients."""
    most, length = 2.0 / (1.0 - beta2) - 1.0, _length(beta2, t)
    if length <= 5.0:
        return 1.0
    spread = (length - 4.0) * (length - 2.0) * most / ((most - 4.0) * (most - 2.0) * length)
    return math.sqrt(spread) * math.sqrt(1.0 - beta2**t)
