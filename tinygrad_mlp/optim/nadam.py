"""NAdam: Adam that looks ahead, as Nesterov's momentum does."""

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

__all__ = ["NAdam"]


class NAdam(Optimizer):
    """NAdam: Adam whose numerator already contains the next step's share of the momentum.

    In step ``t``, from the gradient ``g`` (``-g`` with ``maximize``), elementwise::

        g = g + weight_decay * p                            decoupled instead: p = p * (1 - lr * weight_decay)
        mu[t] = beta1 * (1 - 0.96**(t * momentum_decay) / 2)
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        n = mu[t+1] * m / (1 - mu[1]…mu[t+1]) + (1 - mu[t]) * g / (1 - mu[1]…mu[t])
        p = p - lr * n / (sqrt(v / (1 - beta2**t)) + eps)

    Torch's formula and defaults; equal to it step by step. The product of all ``mu`` is kept in the parameter's dtype
    (torch: in the default dtype).

    Args:
        params: parameters or groups of them, see :class:`Optimizer`.
        lr: the step size. betas: how much of the running means is kept. eps: added to the denominator.
        weight_decay: the factor of the L2 penalty's gradient, or of the weights. momentum_decay: how fast ``mu`` rises.
        decoupled_weight_decay: shrink the weights themselves, as :class:`AdamW` does.
        maximize: climb instead of descend. hints: see :class:`Optimizer`.

    Raises:
        ArgumentError: a negative or non-finite option, a beta outside [0, 1).

    Source: Dozat, ICLR workshop 2016, algorithm 2.
    """

    _arrays = ("mu_product", "exp_avg", "exp_avg_sq")
    _scalars = frozenset({"mu_product"})
    _counted = True

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[Mapping[str, Any]],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
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
            "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
        }
        super().__init__(params, options, hints)

    def _checked(self, options: dict[str, Any]) -> dict[str, Any]:
        options["betas"] = decays("NAdam", options["betas"])
        numbers = ("lr", "eps", "weight_decay", "momentum_decay")
        return plain("NAdam", options, numbers, ("decoupled_weight_decay", "maximize"))

    @classmethod
    def _starts(cls, options: Mapping[str, Any]) -> Mapping[str, float]:  # noqa: ARG003 - the same whatever they are
        return {"mu_product": 1.0}

    @classmethod
    def _structure(cls, options: Mapping[str, Any], first: bool) -> Structure:  # noqa: ARG003 - the first is like all
        decayed, decoupled = bool(options["weight_decay"]), options["decoupled_weight_decay"]
        return decayed and decoupled, decayed and not decoupled, options["maximize"]

    @classmethod
    def _numbers(cls, options: Mapping[str, Any], step: int | Steps) -> Numbers:
        lr, decay, slope, (beta1, beta2) = (
            options["lr"],
            options["weight_decay"],
            options["momentum_decay"],
            options["betas"],
        )
        root = each(step, lambda t: math.sqrt(1.0 - beta2**t))
        mu = each(step, lambda t: beta1 * (1.0 - 0.5 * 0.96 ** (t * slope)))
        ahead = each(step, lambda t: beta1 * (1.0 - 0.5 * 0.96 ** ((t + 1) * slope)))
        shrink = 1.0 - lr * decay if options["decoupled_weight_decay"] else decay
        rates = lr * root * (1.0 - mu), lr * root * ahead
        return *rates, options["eps"] * root, mu, ahead, 1.0 - beta1, beta2, 1.0 - beta2, shrink, 1.0

    @classmethod
    def _rule(cls, structure: Structure) -> Rule:
        add, divide, multiply, subtract = np.add, np.divide, np.multiply, np.subtract
        shrinks, penalised, climbs = structure

        def rule(
            numbers: Numbers, data: Array, gradient: Array, state: Mapping[str, Any], scratch: Array, second: Array
        ) -> None:
            rate, rate_ahead, floor, mu, ahead, new1, old2, new2, shrink, one = numbers
            mean, square, product = state["exp_avg"], state["exp_avg_sq"], state["mu_product"]
            if shrinks:
                multiply(data, shrink, data)
            gradient = entering(climbs, penalised, shrink, data, gradient, scratch, second)
            follow(mean, gradient, new1, scratch)
            follow_square(square, gradient, old2, new2, scratch)
            multiply(product, mu, product)
            subtract(one, product, scratch)
            divide(rate, scratch, scratch)
            multiply(gradient, scratch, second)
            multiply(product, ahead, scratch)
            subtract(one, scratch, scratch)
            divide(rate_ahead, scratch, scratch)
            multiply(mean, scratch, scratch)
            add(second, scratch, second)
            # Numerator and denominator both times the root of the second correction, as in Adam.
            np.sqrt(square, scratch)
            add(scratch, floor, scratch)
            divide(second, scratch, second)
            subtract(data, second, data)

        return rule
