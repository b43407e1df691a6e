"""Adam and AdamW: steps scaled by running means of the gradient and of its square."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..tape import Array
from ..tensor import Tensor
from .optimizer import Numbers, Optimizer, Rule, Steps, Structure, decays, entering, follow, follow_square, plain

__all__ = ["Adam", "AdamW"]


class _Adam(Optimizer):
    """What Adam and AdamW have in common; they differ in where the weight decay enters."""

    _arrays = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")
    _counted = True
    _decoupled = False
    _implied: Mapping[str, Any] = {"decoupled_weight_decay": False}

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[Mapping[str, Any]],
        lr: float,
        betas: tuple[float, float],
        eps: float,
        weight_decay: float,
        amsgrad: bool,
        maximize: bool,
        hints: Mapping[str, Any],
    ) -> None:
        options = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
        }
        super().__init__(params, options, hints)

    def _checked(self, options: dict[str, Any]) -> dict[str, Any]:
        owner = type(self).__name__
        options["betas"] = decays(owner, options["betas"])
        return plain(owner, options, ("lr", "eps", "weight_decay"), ("amsgrad", "maximize"))

    def _needs(self, options: Mapping[str, Any]) -> tuple[str, ...]:
        return self._arrays if options["amsgrad"] else self._arrays[:2]

    @classmethod
    def _structure(cls, options: Mapping[str, Any], first: bool) -> Structure:  # noqa: ARG003 - zeros are a start too
        decays = bool(options["weight_decay"])
        return decays and cls._decoupled, decays and not cls._decoupled, options["amsgrad"], options["maximize"]

    @classmethod
    def _numbers(cls, options: Mapping[str, Any], step: int | Steps) -> Numbers:
        lr, decay, (beta1, beta2) = options["lr"], options["weight_decay"], options["betas"]
        rest = 1.0 - beta2**step
        root = math.sqrt(rest) if isinstance(rest, float) else np.sqrt(rest)
        rate, floor = lr * root / (1.0 - beta1**step), options["eps"] * root
        return rate, floor, 1.0 - beta1, beta2, 1.0 - beta2, 1.0 - lr * decay if cls._decoupled else decay

    @classmethod
    def _rule(cls, structure: Structure) -> Rule:
        add, divide, multiply, subtract, sqrt = np.add, np.divide, np.multiply, np.subtract, np.sqrt
        shrinks, penalised, amsgrad, maximize = structure

        def rule(
            numbers: Numbers, data: Array, gradient: Array, state: Mapping[str, Any], scratch: Array, second: Array
        ) -> None:
            rate, floor, new1, old2, new2, shrink = numbers
            mean, square = state["exp_avg"], state["exp_avg_sq"]
            if shrinks:
                multiply(data, shrink, data)
            gradient = entering(maximize, penalised, shrink, data, gradient, scratch, second)
            follow(mean, gradient, new1, scratch)
            follow_square(square, gradient, old2, new2, scratch)
            if amsgrad:
                largest = state["max_exp_avg_sq"]
                np.maximum(largest, square, out=largest)
                square = largest
            # Numerator and denominator both times the root of the second correction: one array operation less.
            sqrt(square, scratch)
            add(scratch, floor, scratch)
            divide(mean, scratch, scratch)
            multiply(scratch, rate, scratch)
            subtract(data, scratch, data)

        return rule


class Adam(_Adam):
    """Adam: the step is the running mean of the gradient over the root of the running mean of its square.

    In step ``t``, from the gradient ``g`` (``-g`` with ``maximize``), elementwise::

        g = g + weight_decay * p
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        p = p - lr * (m / (1 - beta1**t)) / (sqrt(v / (1 - beta2**t)) + eps)

    With ``amsgrad`` the largest ``v`` so far takes the place of ``v`` in the last line. Torch's formula and defaults;
    equal to it step by step. :class:`AdamW` decays the weights themselves, which is usually wanted.

    Args:
        params: parameters or groups of them, see :class:`Optimizer`.
        lr: the step size. betas: how much of the running means is kept. eps: added to the denominator.
        weight_decay: the factor of the L2 penalty's gradient. amsgrad: never let the denominator shrink.
        maximize: climb instead of descend. hints: see :class:`Optimizer`.

    Raises:
        ArgumentError: a negative or non-finite option, a beta outside [0, 1).

    Source: Kingma & Ba, ICLR 2015, algorithm 1; Reddi, Kale, Kumar, ICLR 2018 (amsgrad).
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[Mapping[str, Any]],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        **hints: Any,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize, hints)


class AdamW(_Adam):
    """Adam with decoupled weight decay: ``p *= 1 - lr * weight_decay`` before Adam's step without a penalty.

    The decay then does not pass through the running means, so all weights shrink at the same rate. Formula otherwise,
    arguments and errors: :class:`Adam`; the default ``weight_decay`` is 0.01, as in torch.

    Source: Loshchilov & Hutter, ICLR 2019, algorithm 2.
    """

    _decoupled = True
    _implied: Mapping[str, Any] = {"decoupled_weight_decay": True}

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[Mapping[str, Any]],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        **hints: Any,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize, hints)
