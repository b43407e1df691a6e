"""Stochastic gradient descent, with momentum."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..errors import ArgumentError
from ..tape import Array
from ..tensor import Tensor
from .optimizer import Optimizer, State, Update, blocks, number

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
        maximize: climb instead of descend.

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
    ) -> None:
        options = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
        }
        super().__init__(params, options)

    def _checked(self, options: dict[str, Any]) -> dict[str, Any]:
        for name in ("lr", "momentum", "dampening", "weight_decay"):
            options[name] = number("SGD", name, options[name])
        options["nesterov"], options["maximize"] = bool(options["nesterov"]), bool(options["maximize"])
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

    def _update(self, options: dict[str, Any], dtype: np.dtype[Any]) -> Update:
        add, multiply, subtract = np.add, np.multiply, np.subtract
        maximize, momentum, decay = options["maximize"], options["momentum"], options["weight_decay"]
        nesterov, dampening = options["nesterov"], options["dampening"]
        rate = np.array(options["lr"], dtype)
        ascent = np.array(-options["lr"] if maximize else options["lr"], dtype)
        keep, shrink, fresh = np.array(momentum, dtype), np.array(decay, dtype), np.array(1.0 - dampening, dtype)

        def plain(data: Array, gradient: Array, _state: State, scratch: Array, _second: Array) -> None:
            if scratch.size == data.size:
                multiply(gradient, ascent, scratch)
                subtract(data, scratch, data)
                return
            if not data.flags.forc:  # no way to walk through it in blocks
                subtract(data, multiply(gradient, ascent), data)
                return
            for values, slopes in blocks(data, gradient, scratch.size):
                part = scratch[: values.size]
                multiply(slopes, ascent, part)
                subtract(values, part, values)

        def general(data: Array, gradient: Array, state: State, scratch: Array, second: Array) -> None:
            if second is scratch:  # the group had no momentum and no decay when it was made
                scratch, second = np.empty_like(data), np.empty_like(data)
            if decay:
                multiply(data, shrink, scratch)
                (subtract if maximize else add)(scratch, gradient, scratch)
                gradient = scratch
            elif maximize:
                gradient = np.negative(gradient, scratch)
            if momentum:
                buffer = state.get("momentum_buffer")
                if buffer is None:
                    buffer = state["momentum_buffer"] = np.array(gradient, dtype)
                else:
                    multiply(buffer, keep, buffer)
                    add(buffer, multiply(gradient, fresh, second) if dampening else gradient, buffer)
                gradient = add(gradient, multiply(buffer, keep, second), scratch) if nesterov else buffer
            multiply(gradient, rate, second)
            subtract(data, second, data)

        return general if decay or momentum else plain
