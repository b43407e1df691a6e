"""Keras' update rules where they are not torch's: where ``epsilon`` stands, what momentum holds, how weights decay.

Written in the three parts of :class:`tinygrad_mlp.optim.Optimizer`, so that compiled steps run them too. Options have
Keras' names but for the learning rate, which is ``lr`` as everywhere: whatever changes rates finds it there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from ...errors import ArgumentError
from ...optim.optimizer import Numbers, Optimizer, Rule, Steps, Structure, each, follow, number
from ...tape import Array
from ...tensor import Tensor
from .schedules import LearningRateSchedule

__all__ = ["SGD", "Adadelta", "Adagrad", "Adam", "Adamax", "KerasRule", "Nadam", "RMSprop"]

NOT_SETTABLE = (
    "this optimizer was made with a schedule as its learning_rate, so the learning rate cannot be set; make it with a "
    "number to change it yourself"
)
_FLAGS = frozenset({"amsgrad", "centered", "nesterov"})
# What is above 1 or negative would make a running mean explode.
_SHARES = frozenset({"beta_1", "beta_2", "rho"})


class KerasRule(Optimizer):
    """Base: every option is a number or a flag, and ``weight_decay`` shrinks the weight before the step."""

    _counted = True
    schedule: LearningRateSchedule | None = None
    """Asked for the rate of every step instead of ``lr``, where a subclass has one."""
    begins = 0.0
    """The first rate of the schedule, which ``lr`` then has; another was set in vain."""

    def __init__(self, params: Iterable[Tensor], **options: Any) -> None:
        super().__init__(params, options)

    def _checked(self, options: dict[str, Any]) -> dict[str, Any]:
        owner = type(self).__name__
        for name, value in options.items():
            if name in _FLAGS:
                options[name] = bool(value)
            elif value is not None or name != "weight_decay":
                options[name] = number(owner, name, value, **({"below": 1.0} if name in _SHARES else {}))
        return options

    def _needs(self, options: Mapping[str, Any]) -> tuple[str, ...]:  # noqa: ARG002 - for those that depend on them
        return self._arrays

    @classmethod
    def _structure(cls, options: Mapping[str, Any], first: bool) -> Structure:  # noqa: ARG003 - zeros are a start too
        return (bool(options["weight_decay"]),)

    @classmethod
    def rates(cls, options: Mapping[str, Any], step: int | Steps) -> tuple[Any, Any]:
        """The learning rate of a step, and what weight decay leaves of a weight in it."""
        schedule, decay = cls.schedule, options["weight_decay"] or 0.0
        if schedule is None:
            rate = options["lr"]
        elif options["lr"] != cls.begins:
            raise ArgumentError(NOT_SETTABLE)
        else:
            rate = each(step, lambda t: schedule(t - 1))
        return rate, 1.0 - rate * decay


class SGD(KerasRule):
    """``v = momentum * v - lr * g``, ``p += v``; with nesterov ``p += momentum * v - lr * g``."""

    _arrays = ("momentum",)

    def _needs(self, options: Mapping[str, Any]) -> tuple[str, ...]:
        return self._arrays if options["momentum"] else ()

    @classmethod
    def _structure(cls, options: Mapping[str, Any], first: bool) -> Structure:  # noqa: ARG003 - zeros are a start too
        return bool(options["weight_decay"]), bool(options["momentum"]), options["nesterov"]

    @classmethod
    def _numbers(cls, options: Mapping[str, Any], step: int | Steps) -> Numbers:
        rate, shrink = cls.rates(options, step)
        return rate, shrink, options["momentum"]

    @classmethod
    def _rule(cls, structure: Structure) -> Rule:
        add, multiply, subtract = np.add, np.multiply, np.subtract
        decays, moves, nesterov = structure

        def rule(
            numbers: Numbers, data: Array, gradient: Array, state: Mapping[str, Any], scratch: Array, second: Array
        ) -> None:
            rate, shrink, keep = numbers
            if decays:
                multiply(data, shrink, data)
            multiply(gradient, rate, scratch)
            if not moves:
                subtract(data, scratch, data)
                return
            velocity = state["momentum"]
            multiply(velocity, keep, velocity)
            subtract(velocity, scratch, velocity)
            if nesterov:
                multiply(velocity, keep, second)
                subtract(second, scratch, second)
                add(data, second, data)
            else:
                add(data, velocity, data)

        return rule


class Adam(KerasRule):
    """Adam with ``epsilon`` beside the uncorrected root: the "epsilon hat" of Kingma & Ba, section 2."""

    _arrays = ("momentum", "velocity", "velocity_hat")

    def _needs(self, options: Mapping[str, Any]) -> tuple[str, ...]:
        return self._arrays if options["amsgrad"] else self._arrays[:2]

    @classmethod
    def _structure(cls, options: Mapping[str, Any], first: bool) -> Structure:  # noqa: ARG003 - zeros are a start too
        return bool(options["weight_decay"]), options["amsgrad"]

    @classmethod
    def _numbers(cls, options: Mapping[str, Any], step: int | Steps) -> Numbers:
        rate, shrink = cls.rates(options, step)
        beta1, beta2 = options["beta_1"], options["beta_2"]
        corrected = rate * each(step, lambda t: math.sqrt(1.0 - beta2**t) / (1.0 - beta1**t))
        return corrected, shrink, 1.0 - beta1, 1.0 - beta2, options["epsilon"]

    @classmethod
    def _rule(cls, structure: Structure) -> Rule:
        add, divide, multiply, subtract, sqrt = np.add, np.divide, np.multiply, np.subtract, np.sqrt
        decays, amsgrad = structure

        def rule(
            numbers: Numbers, data: Array, gradient: Array, state: Mapping[str, Any], scratch: Array, second: Array
        ) -> None:
            rate, shrink, new1, new2, floor = numbers
            mean, square = state["momentum"], state["velocity"]
            if decays:
                multiply(data, shrink, data)
            follow(mean, gradient, new1, scratch)
            multiply(gradient, gradient, second)
            follow(square, second, new2, scratch)
            if amsgrad:
                largest = state["velocity_hat"]
                np.maximum(largest, square, out=largest)
                square = largest
            sqrt(square, scratch)
            add(scratch, floor, scratch)
            multiply(mean, rate, second)
            divide(second, scratch, scratch)
            subtract(data, scratch, data)

        return rule


class RMSprop(KerasRule):
    """``v = rho v + (1 - rho) g^2``, ``p -= lr g / sqrt(v + epsilon)``; centred, and with momentum, if asked for."""

    _arrays = ("velocity", "momentum", "average_gradient")

    def _needs(self, options: Mapping[str, Any]) -> tuple[str, ...]:
        wanted = (True, bool(options["momentum"]), options["centered"])
        return tuple([name for name, used in zip(self._arrays, wanted, strict=True) if used])

    @classmethod
    def _structure(cls, options: Mapping[str, Any], first: bool) -> Structure:  # noqa: ARG003 - zeros are a start too
        return bool(options["weight_decay"]), bool(options["momentum"]), options["centered"]

    @classmethod
    def _numbers(cls, options: Mapping[str, Any], step: int | Steps) -> Numbers:
        rate, shrink = cls.rates(options, step)
        return rate, shrink, options["rho"], 1.0 - options["rho"], options["epsilon"], options["momentum"]

    @classmethod
    def _rule(cls, structure: Structure) -> Rule:
        add, divide, multiply, subtract, sqrt = np.add, np.divide, np.multiply, np.subtract, np.sqrt
        decays, moves, centred = structure

        def rule(
            numbers: Numbers, data: Array, gradient: Array, state: Mapping[str, Any], scratch: Array, second: Array
        ) -> None:
            rate, shrink, old, new, floor, keep = numbers
            square = state["velocity"]
            if decays:
                multiply(data, shrink, data)
            multiply(gradient, gradient, scratch)
            multiply(scratch, new, scratch)
            multiply(square, old, square)
            add(square, scratch, square)
            if centred:
                mean = state["average_gradient"]
                multiply(mean, old, mean)
                multiply(gradient, new, scratch)
                add(mean, scratch, mean)
                multiply(mean, mean, scratch)
                subtract(square, scratch, scratch)
                add(scratch, floor, scratch)
            else:
                add(square, floor, scratch)
            sqrt(scratch, scratch)
            multiply(gradient, rate, second)
            divide(second, scratch, scratch)
            if moves:
                momentum = state["momentum"]
                multiply(momentum, keep, momentum)
                add(momentum, scratch, momentum)
                subtract(data, momentum, data)
            else:
                subtract(data, scratch, data)

        return rule


class Adagrad(KerasRule):
    """``s += g^2``, ``p -= lr g / sqrt(s + epsilon)``, ``s`` starting at ``initial_accumulator_value``."""

    _arrays = ("accumulator",)

    @classmethod
    def _starts(cls, options: Mapping[str, Any]) -> Mapping[str, float]:
        return {"accumulator": options["initial_accumulator_value"]}

    @classmethod
    def _numbers(cls, options: Mapping[str, Any], step: int | Steps) -> Numbers:
        rate, shrink = cls.rates(options, step)
        return rate, shrink, options["epsilon"]

    @classmethod
    def _rule(cls, structure: Structure) -> Rule:
        add, divide, multiply, subtract, sqrt = np.add, np.divide, np.multiply, np.subtract, np.sqrt
        (decays,) = structure

        def rule(
            numbers: Numbers, data: Array, gradient: Array, state: Mapping[str, Any], scratch: Array, second: Array
        ) -> None:
            rate, shrink, floor = numbers
            total = state["accumulator"]
            if decays:
                multiply(data, shrink, data)
            multiply(gradient, gradient, scratch)
            add(total, scratch, total)
            add(total, floor, scratch)
            sqrt(scratch, scratch)
            multiply(gradient, rate, second)
            divide(second, scratch, scratch)
            subtract(data, scratch, data)

        return rule


class Adadelta(KerasRule):
    """Steps in the ratio of two running root mean squares: of the steps and of the gradients. Source: Zeiler, 2012."""

    _arrays = ("accumulated_grad", "accumulated_delta_var")

    @classmethod
    def _numbers(cls, options: Mapping[str, Any], step: int | Steps) -> Numbers:
        rate, shrink = cls.rates(options, step)
        return rate, shrink, options["rho"], 1.0 - options["rho"], options["epsilon"]

    @classmethod
    def _rule(cls, structure: Structure) -> Rule:
        add, divide, multiply, subtract, sqrt = np.add, np.divide, np.multiply, np.subtract, np.sqrt
        (decays,) = structure

        def rule(
            numbers: Numbers, data: Array, gradient: Array, state: Mapping[str, Any], scratch: Array, second: Array
        ) -> None:
            rate, shrink, old, new, floor = numbers
            squares, moves = state["accumulated_grad"], state["accumulated_delta_var"]
            if decays:
                multiply(data, shrink, data)
            multiply(gradient, gradient, scratch)
            multiply(scratch, new, scratch)
            multiply(squares, old, squares)
            add(squares, scratch, squares)
            add(moves, floor, scratch)
            sqrt(scratch, scratch)
            multiply(scratch, gradient, scratch)
            add(squares, floor, second)
            sqrt(second, second)
            divide(scratch, second, scratch)  # the step, with the sign of the gradient
            multiply(scratch, scratch, second)
            multiply(second, new, second)
            multiply(moves, old, moves)
            add(moves, second, moves)
            multiply(scratch, rate, scratch)
            subtract(data, scratch, data)

        return rule


class Adamax(KerasRule):
    """Adam with the largest of the decaying gradients in the place of the root. Source: Kingma & Ba, section 7.1."""

    _arrays = ("momentum", "norm")

    @classmethod
    def _numbers(cls, options: Mapping[str, Any], step: int | Steps) -> Numbers:
        rate, shrink = cls.rates(options, step)
        beta1 = options["beta_1"]
        corrected = rate / each(step, lambda t: 1.0 - beta1**t)
        return corrected, shrink, 1.0 - beta1, options["beta_2"], options["epsilon"]

    @classmethod
    def _rule(cls, structure: Structure) -> Rule:
        add, divide, multiply, subtract = np.add, np.divide, np.multiply, np.subtract
        (decays,) = structure

        def rule(
            numbers: Numbers, data: Array, gradient: Array, state: Mapping[str, Any], scratch: Array, second: Array
        ) -> None:
            rate, shrink, new1, old2, floor = numbers
            mean, norm = state["momentum"], state["norm"]
            if decays:
                multiply(data, shrink, data)
            follow(mean, gradient, new1, scratch)
            np.absolute(gradient, scratch)
            multiply(norm, old2, norm)
            np.maximum(norm, scratch, out=norm)
            add(norm, floor, scratch)
            multiply(mean, rate, second)
            divide(second, scratch, scratch)
            subtract(data, scratch, data)

        return rule


class Nadam(KerasRule):
    """Adam with Nesterov's look ahead. Source: Dozat, 2016; the schedule of its momentum is that of the paper."""

    _arrays = ("momentum", "velocity")

    @classmethod
    def _numbers(cls, options: Mapping[str, Any], step: int | Steps) -> Numbers:
        rate, shrink = cls.rates(options, step)
        beta1, beta2 = options["beta_1"], options["beta_2"]
        u = _momentum(beta1)
        now = each(step, lambda t: (1.0 - u(t)) / (1.0 - _product(beta1, t)))
        ahead = each(step, lambda t: u(t + 1) / (1.0 - _product(beta1, t + 1)))
        root = each(step, lambda t: 1.0 / math.sqrt(1.0 - beta2**t))
        return rate * now, rate * ahead, shrink, 1.0 - beta1, 1.0 - beta2, root, options["epsilon"]

    @classmethod
    def _rule(cls, structure: Structure) -> Rule:
        add, divide, multiply, subtract, sqrt = np.add, np.divide, np.multiply, np.subtract, np.sqrt
        (decays,) = structure

        def rule(
            numbers: Numbers, data: Array, gradient: Array, state: Mapping[str, Any], scratch: Array, second: Array
        ) -> None:
            now, ahead, shrink, new1, new2, root, floor = numbers
            mean, square = state["momentum"], state["velocity"]
            if decays:
                multiply(data, shrink, data)
            follow(mean, gradient, new1, scratch)
            multiply(gradient, gradient, second)
            follow(square, second, new2, scratch)
            multiply(mean, ahead, second)
            multiply(gradient, now, scratch)
            add(second, scratch, second)
            sqrt(square, scratch)
            multiply(scratch, root, scratch)
            add(scratch, floor, scratch)
            divide(second, scratch, second)
            subtract(data, second, data)

        return rule


def _momentum(beta1: float) -> Callable[[int], float]:
    return lambda t: beta1 * (1.0 - 0.5 * 0.96**t)


# After so many steps the product of the momenta, each below 1, no longer changes the last bit of 1 minus it.
_PRODUCTS: dict[float, list[float]] = {}


def _product(beta1: float, step: int) -> float:
    """The product of the momenta of the first ``step`` steps."""
    found, u = _PRODUCTS.setdefault(beta1, [1.0]), _momentum(beta1)
    while len(found) <= step:
        found.append(found[-1] * u(len(found)))
    return found[step]
