"""Adamax: Adam with the largest gradient in the place of the mean square."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..tape import Array
from ..tensor import Tensor
from .optimizer import Numbers, Optimizer, Rule, Steps, Structure, decays, entering, follow, plain

__all__ = ["Adamax"]


class Adamax(Optimizer):
    """Adamax: the running mean of the gradient over its largest size so far, which is slowly forgotten.

    In step ``t``, from the gradient ``g`` (``-g`` with ``maximize``), elementwise::

        g = g + weight_decay * p
        m = beta1 * m + (1 - beta1) * g
        u = max(beta2 * u, |g| + eps)
        p = p - lr / (1 - beta1**t) * m / u

    Torch's formula and defaults; equal to it step by step.

    Args:
        params: parameters or groups of them, see :class:`Optimizer`.
        lr: the step size. betas: how much is kept of the running mean and of the largest size.
        eps: added to the gradient's size. weight_decay: the factor of the L2 penalty's gradient.
        maximize: climb instead of descend. hints: see :class:`Optimizer`.

    Raises:
        ArgumentError: a negative or non-finite option, a beta outside [0, 1).

    Source: Kingma & Ba, ICLR 2015, algorithm 2.
    """

    _arrays = ("exp_avg", "exp_inf")
    _counted = True

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[Mapping[str, Any]],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        **hints: Any,
    ) -> None:
        options = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}
        super().__init__(params, options, hints)

    def _checked(self, options: dict[str, Any]) -> dict[str, Any]:
        options["betas"] = decays("Adamax", options["betas"])
        return plain("Adamax", options, ("lr", "eps", "weight_decay"), ("maximize",))

    @classmethod
    def _structure(cls, options: Mapping[str, Any], first: bool) -> Structure:  # noqa: ARG003 - zeros are a start too
        return bool(options["weight_decay"]), options["maximize"]

    @classmethod
    def _numbers(cls, options: Mapping[str, Any], step: int | Steps) -> Numbers:
        beta1, beta2 = options["betas"]
        rate = options["lr"] / (1.0 - beta1**step)
        return rate, options["eps"], 1.0 - beta1, beta2, options["weight_decay"]

    @classmethod
    def _rule(cls, structure: Structure) -> Rule:
        multiply = np.multiply
        penalised, climbs = structure

        def rule(
            numbers: Numbers, data: Array, gradient: Array, state: Mapping[str, Any], scratch: Array, second: Array
        ) -> None:
            rate, floor, new1, old2, decay = numbers
            mean, largest = state["exp_avg"], state["exp_inf"]
            gradient = entering(climbs, penalised, decay, data, gradient, scratch, second)
            follow(mean, gradient, new1, scratch)
            np.absolute(gradient, scratch)
            np.add(scratch, floor, scratch)
            multiply(largest, old2, largest)
            np.maximum(largest, scratch, out=largest)
            np.divide(mean, largest, scratch)
            multiply(scratch, rate, scratch)
            np.subtract(data, scratch, data)

        return rule
