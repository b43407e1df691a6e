"""Stochastic gradient descent, with momentum."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..errors import ArgumentError
from ..tape import Array
from ..tensor import Tensor
from .optimizer import Numbers, Optimizer, Rule, Steps, Structure, plain

__all__ = ["SGD"]


class SGD(Optimizer):
    """Gradient descent: ``p -= lr * g``; with momentum a running sum of gradients takes the place of ``g``.

    In the order of the step, from the gradient ``g`` (``-g`` with ``maximize``)::

        g = g + weight_decay * p
        b = g in the first step, later momentum * b + (1 - dampening) * g
        g = g + momentum * b with nesterov, else b
        p = p - lr * g

    the second and third line only with momentum. Torch's formula and defaults; equal to it step by step.

    Args:
        params: parameters or groups of them, see :class:`Optimizer`.
        lr: the step size. momentum: the share of the old direction that is kept. dampening: how much less than the
            whole new gradient enters. weight_decay: the factor of the L2 penalty's gradient. nesterov: look ahead.
        maximize: climb instead of descend. hints: see :class:`Optimizer`.

    Raises:
        ArgumentError: a negative or non-finite option; nesterov without momentum or with dampening.

    Source: Robbins & Monro, 1951; Polyak, 1964 (momentum); Sutskever, Martens, Dahl, Hinton, ICML 2013 (Nesterov).
    """

    _arrays = ("momentum_buffer",)

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[Mapping[str, Any]],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        maximize: bool = False,
        **hints: Any,
    ) -> None:
        options = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
        }
        super().__init__(params, options, hints)

    def _checked(self, options: dict[str, Any]) -> dict[str, Any]:
        plain("SGD", options, ("lr", "momentum", "dampening", "weight_decay"), ("nesterov", "maximize"))
        if options["nesterov"] and (options["momentum"] == 0 or options["dampening"] != 0):
            raise ArgumentError(
                f"SGD: nesterov needs momentum > 0 and dampening = 0, got momentum={options['momentum']}, "
                f"dampening={options['dampening']}; say SGD(params, lr, momentum=0.9, nesterov=True)"
            )
        return options

    def _blockwise(self, options: Mapping[str, Any]) -> bool:
        return not (options["momentum"] or options["weight_decay"])

    def _needs(self, options: Mapping[str, Any]) -> tuple[str, ...]:
        return self._arrays if options["momentum"] else ()

    @classmethod
    def _structure(cls, options: Mapping[str, Any], first: bool) -> Structure:
        decays, moves = bool(options["weight_decay"]), bool(options["momentum"])
        climbs = options["maximize"] and (decays or moves)  # else the sign is in the rate
        dampens = moves and bool(options["dampening"]) and not first
        return decays, moves, climbs, options["nesterov"], dampens, moves and first

    @classmethod
    def _numbers(cls, options: Mapping[str, Any], step: int | Steps) -> Numbers:  # noqa: ARG003 - the same in every step
        rate, momentum, decay = options["lr"], options["momentum"], options["weight_decay"]
        if options["maximize"] and not (decay or momentum):
            rate = -rate
        return rate, momentum, decay, 1.0 - options["dampening"]

    @classmethod
    def _rule(cls, structure: Structure) -> Rule:
        add, multiply, subtract = np.add, np.multiply, np.subtract
        decays, moves, climbs, nesterov, dampens, first = structure

        def bare(
            numbers: Numbers, data: Array, gradient: Array, _state: Mapping[str, Any], scratch: Array, _second: Array
        ) -> None:
            multiply(gradient, numbers[0], scratch)
            subtract(data, scratch, data)

        def general(
            numbers: Numbers, data: Array, gradient: Array, state: Mapping[str, Any], scratch: Array, second: Array
        ) -> None:
            rate, keep, shrink, fresh = numbers
            if decays:
                multiply(data, shrink, scratch)
                (subtract if climbs else add)(scratch, gradient, scratch)
                gradient = scratch
            elif climbs:
                np.negative(gradient, scratch)
                gradient = scratch
            if moves:
                buffer = state["momentum_buffer"]
                if first:
                    np.positive(gradient, buffer)  # a copy, bit by bit
                else:
                    multiply(buffer, keep, buffer)
                    if dampens:
                        multiply(gradient, fresh, second)
                        add(buffer, second, buffer)
                    else:
                        add(buffer, gradient, buffer)
                if nesterov:
                    multiply(buffer, keep, second)
                    add(gradient, second, scratch)
                    gradient = scratch
                else:
                    gradient = buffer
            multiply(gradient, rate, second)
            subtract(data, second, data)

        return general if decays or moves else bare
