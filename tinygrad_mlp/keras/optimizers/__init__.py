"""Optimizers by Keras' names, arguments and numbers: made without parameters, bound to a model when it is compiled."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from typing import Any, Self

import numpy as np

from ...errors import ArgumentError, StateError, did_you_mean
from ...nn.utils import clip_grad_norm_, clip_grad_value_
from ...tape import Array, wrap
from ...tensor import Tensor
from ..naming import snake
from ..randomness import unique_name
from . import rules, schedules

__all__ = [
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Nadam",
    "Optimizer",
    "RMSprop",
    "deserialize",
    "get",
    "schedules",
    "serialize",
]


class LearningRate(float):
    """A learning rate that can be read like a number and, as Keras' variables, set with ``assign``."""

    _owner: Optimizer

    def __new__(cls, value: float, owner: Optimizer) -> Self:
        made = super().__new__(cls, value)
        made._owner = owner
        return made

    @property
    def value(self) -> Any:
        """The number, as float32."""
        return np.float32(self)

    def assign(self, value: float) -> None:
        """Set the optimizer's learning rate."""
        self._owner.learning_rate = value

    def numpy(self) -> Any:
        """The number, as float32."""
        return np.float32(self)


class Optimizer:
    """Base: the options, and once bound the engine's update rule.

    Args:
        learning_rate: a number, or a schedule of :mod:`schedules`.
        weight_decay: the share (times the learning rate) by which weights shrink in each step.
        clipnorm, global_clipnorm, clipvalue: bounds for the norm of each gradient, of all of them together, and for
            each value; at most one of them.
        gradient_accumulation_steps: batches per step.
        use_ema: not here; :mod:`tinygrad_mlp.optim` has averaged models.

    Raises:
        ArgumentError: an unknown option, or one out of range.
    """

    rule: type[rules.KerasRule]
    defaults: dict[str, Any] = {}  # noqa: RUF012 - of the class, never written

    def __init__(self, learning_rate: Any, options: dict[str, Any], general: dict[str, Any]) -> None:
        known = {
            "weight_decay": None,
            "clipnorm": None,
            "clipvalue": None,
            "global_clipnorm": None,
            "use_ema": False,
            "ema_momentum": 0.99,
            "ema_overwrite_frequency": None,
            "loss_scale_factor": None,
            "gradient_accumulation_steps": None,
            "name": None,
        }
        owner = type(self).__name__
        for name in general:
            if name not in known:
                raise ArgumentError(did_you_mean(f"argument of {owner}", name, [*known, *options, "learning_rate"]))
        given = known | general
        if given["use_ema"] or given["loss_scale_factor"]:
            raise ArgumentError(f"{owner}: use_ema and loss_scale_factor are not supported; leave them out")
        bounds = {name: given[name] for name in ("clipnorm", "clipvalue", "global_clipnorm") if given[name] is not None}
        if len(bounds) > 1:
            raise ArgumentError(
                f"Only one of `clipnorm`, `clipvalue` and `global_clipnorm` can be set. Received: {bounds}"
            )
        for name, bound in bounds.items():
            if bound <= 0:
                raise ArgumentError(f"{owner}: {name} is positive, got {bound}")
        self.bounds = bounds
        self.clipnorm, self.clipvalue = given["clipnorm"], given["clipvalue"]
        self.global_clipnorm = given["global_clipnorm"]
        steps = given["gradient_accumulation_steps"]
        if steps is not None and steps < 2:
            raise ArgumentError(
                f"`gradient_accumulation_steps` must be an integer >= 2. Received: gradient_accumulation_steps={steps}"
            )
        self.gradient_accumulation_steps: int | None = steps
        self.name = given["name"] or unique_name(snake(owner))
        self._spared: tuple[set[int], str | None] = (set(), None)
        self._waiting: list[list[Array]] = []
        self._options = {"weight_decay": given["weight_decay"], **options}
        self._rate = self._checked_rate(learning_rate)
        self._bound: rules.KerasRule | None = None
        self._variables: list[Tensor] = []

    def _checked_rate(self, rate: Any) -> Any:
        """The learning rate itself; what is out of range is refused here, not at the first step."""
        if callable(rate) and not isinstance(rate, schedules.LearningRateSchedule):
            rate = schedules.Called(rate)
        first = rate(0) if callable(rate) else rate
        self.rule([Tensor(0.0, requires_grad=True)], lr=first, **self._options)
        return rate

    # --- binding ---

    def build(self, variables: Iterable[Any]) -> Any:
        """Bind to the weights that will be trained, and give the engine's rule; a second time does nothing.

        Raises:
            StateError: it is bound to other weights already.
        """
        given = list(variables)
        tensors = [getattr(one, "tensor", one) for one in given]
        if self._bound is None and not tensors:
            return None
        if self._bound is None:
            self._variables = tensors
            rate = self._rate
            made = _specialised(self.rule, self.bounds, rate if callable(rate) else None)
            self._bound = made(self._groups(given), lr=float(self.learning_rate), **self._options)
        elif [id(one) for one in tensors] != [id(one) for one in self._variables]:
            raise StateError(
                f"this {type(self).__name__} already trains other weights, and remembers their gradients; make a new "
                "one for this model"
            )
        return self._bound

    def _groups(self, given: list[Any]) -> list[Any]:
        """The weights in two groups, where some of them are spared from weight decay."""
        spared, pattern = self._spared
        kept: list[Any] = []
        without: list[Any] = []
        for one in given:
            named = pattern is not None and re.search(pattern, getattr(one, "path", "")) is not None
            tensor = getattr(one, "tensor", one)
            (without if named or id(tensor) in spared else kept).append(tensor)
        if not without:
            return kept
        groups = [{"params": kept}] if kept else []
        return [*groups, {"params": without, "weight_decay": None}]

    def exclude_from_weight_decay(self, var_list: Any = None, var_names: Any = None) -> None:
        """Spare weights from weight decay: these, and those whose path holds one of the names (``["bias"]``).

        Raises:
            StateError: the optimizer is bound already.
        """
        if self._bound is not None:
            raise StateError("`exclude_from_weight_decay()` can only be configured before the optimizer is built.")
        spared = {id(getattr(one, "tensor", one)) for one in var_list or ()}
        self._spared = spared, "|".join(sorted(set(var_names))) if var_names else None

    @property
    def bound(self) -> rules.KerasRule | None:
        """The engine's optimizer, once it is bound."""
        return self._bound

    @property
    def built(self) -> bool:
        """Whether it is bound to weights."""
        return self._bound is not None

    # --- what a loop of one's own calls ---

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Any]]) -> int:
        """One step from pairs of gradient and weight; returns the number of steps done."""
        pairs = list(grads_and_vars)
        self.apply([grad for grad, _ in pairs], [one for _, one in pairs])
        return self.iterations

    def _accumulated(self, grads: list[Any]) -> list[Any] | None:
        """The mean of the gradients of the last calls, or None while the step is not due yet."""
        if self.gradient_accumulation_steps is None:
            return grads
        self._waiting.append([np.asarray(getattr(one, "data", one)) for one in grads])
        if len(self._waiting) < self.gradient_accumulation_steps:
            return None
        waited, self._waiting = self._waiting, []
        return [sum(parts) / len(waited) for parts in zip(*waited, strict=True)]

    def apply(self, grads: Iterable[Any], trainable_variables: Iterable[Any] | None = None) -> None:
        """One step from gradients, in the order of the weights.

        Raises:
            ArgumentError: not one gradient per weight.
        """
        trainable_variables = None if trainable_variables is None else list(trainable_variables)
        tensors = self._variables if trainable_variables is None else trainable_variables
        tensors = [getattr(one, "tensor", one) for one in tensors]
        given = list(grads)
        if len(given) != len(tensors):
            raise ArgumentError(f"expected one gradient per weight ({len(tensors)}), got {len(given)}")
        if all(grad is None for grad in given):
            raise ArgumentError("No gradients provided for any variable.")
        if any(grad is None for grad in given):
            warnings.warn("Gradients do not exist for some weights; they stay as they are.", UserWarning, stacklevel=2)
        due = self._accumulated(given)
        if due is None:
            return
        given = due
        bound = self.build(list(self._variables if trainable_variables is None else trainable_variables))
        before = [one.grad for one in tensors]
        for one, grad in zip(tensors, given, strict=True):
            value = None if grad is None else np.array(getattr(grad, "data", grad), one.dtype)
            one.grad = None if value is None else wrap(Tensor, value.reshape(one.shape))
        try:
            bound.step()
        finally:
            for one, grad in zip(tensors, before, strict=True):
                one.grad = grad

    # --- looking at it ---

    @property
    def iterations(self) -> int:
        """The number of steps done."""
        states = [] if self._bound is None else list(self._bound.state.values())
        return max((int(state["step"]) for state in states), default=0)

    @property
    def learning_rate(self) -> LearningRate:
        """The learning rate of the next step."""
        if callable(self._rate):
            return LearningRate(self._rate(self.iterations), self)
        return LearningRate(self._rate if self._bound is None else self._bound.param_groups[0]["lr"], self)

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        if callable(self._rate) and not callable(value):
            raise ArgumentError(rules.NOT_SETTABLE)
        if callable(value):
            if self._bound is not None:
                raise StateError("a schedule has to be given before training; make a new optimizer with it")
            self._rate = self._checked_rate(value)
            return
        self._rate = self._checked_rate(float(value))
        if self._bound is not None:
            for group in self._bound.param_groups:
                group["lr"] = self._rate

    @property
    def variables(self) -> list[Array]:
        """The arrays that it remembers: the number of steps first."""
        states = [] if self._bound is None else [self._bound.state.get(one, {}) for one in self._variables]
        arrays = [one for state in states for one in state.values() if isinstance(one, np.ndarray)]
        rate = [] if callable(self._rate) else [np.asarray(self.learning_rate, np.float32)]
        return [np.asarray(self.iterations), *rate, *arrays]

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an optimizer like this one, as plain data."""
        plain = schedules.serialize(self._rate) if callable(self._rate) else float(self.learning_rate)
        accumulated = {"gradient_accumulation_steps": self.gradient_accumulation_steps}
        return {"name": self.name} | self._options | {"learning_rate": plain} | self.bounds | accumulated

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Make one from :meth:`get_config`."""
        rate = config.get("learning_rate")
        if isinstance(rate, dict):
            config = config | {"learning_rate": schedules.deserialize(rate)}
        return cls(**config)

    def __getattr__(self, name: str) -> Any:
        options = self.__dict__.get("_options", {})
        if name in options:
            return options[name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __repr__(self) -> str:
        options = {"learning_rate": self._rate} | self._options
        shown = {name: value for name, value in options.items() if value is not None}
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in shown.items())})"


def _specialised(
    rule: type[rules.KerasRule], bounds: dict[str, float], schedule: schedules.LearningRateSchedule | None
) -> type[rules.KerasRule]:
    """The rule, with gradients bounded before each step, and with rates of a schedule."""
    if schedule is not None:
        rule = type(rule.__name__, (rule,), {"schedule": schedule, "begins": schedule(0), "__doc__": rule.__doc__})
    if not bounds:
        return rule

    class Clipping(rule):  # type: ignore[misc,valid-type]
        """A rule whose gradients are bounded first."""

        def step(self, closure: Any = None) -> Any:
            """Bound the gradients, then step."""
            bound_gradients([one for group in self.param_groups for one in group["params"]], bounds)
            return super().step(closure)

    Clipping.__name__ = Clipping.__qualname__ = rule.__name__
    return Clipping


def bound_gradients(members: list[Tensor], bounds: dict[str, float]) -> None:
    """Bound the gradients of some weights, in place: by value, by the norm of each, or by the norm of all together."""
    for way, bound in bounds.items():
        if way == "clipvalue":
            clip_grad_value_(members, bound)
        else:
            for together in [members] if way == "global_clipnorm" else [[one] for one in members]:
                clip_grad_norm_(together, bound)


class SGD(Optimizer):
    """Gradient descent, ``p -= learning_rate * g``; with momentum ``v = momentum * v - lr * g``, ``p += v``."""

    rule = rules.SGD

    def __init__(
        self, learning_rate: Any = 0.01, momentum: float = 0.0, nesterov: bool = False, **general: Any
    ) -> None:
        if not 0.0 <= momentum <= 1.0:
            raise ArgumentError("`momentum` must be a float between [0, 1].")
        super().__init__(learning_rate, {"momentum": momentum, "nesterov": nesterov}, general)


class RMSprop(Optimizer):
    """Steps over the root of a running mean of squares. Source: Tieleman & Hinton, 2012."""

    rule = rules.RMSprop

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        **general: Any,
    ) -> None:
        options = {"rho": rho, "momentum": momentum, "epsilon": epsilon, "centered": centered}
        super().__init__(learning_rate, options, general)


class Adam(Optimizer):
    """Adam, with Keras' ``epsilon`` of 1e-7 and its place in the formula. Source: Kingma & Ba, ICLR 2015."""

    rule = rules.Adam

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **general: Any,
    ) -> None:
        options = {"beta_1": beta_1, "beta_2": beta_2, "epsilon": epsilon, "amsgrad": amsgrad}
        super().__init__(learning_rate, options, general)


class AdamW(Adam):
    """Adam whose weights shrink by 0.004 of the learning rate in each step. Source: Loshchilov & Hutter, ICLR 2019."""

    def __init__(
        self,
        learning_rate: Any = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **general: Any,
    ) -> None:
        if weight_decay is None:
            raise ArgumentError("Argument `weight_decay` must be a float. Received: weight_decay=None")
        super().__init__(learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay=weight_decay, **general)


class Adagrad(Optimizer):
    """Steps over the root of the sum of all squares. Source: Duchi, Hazan, Singer, JMLR 12, 2011."""

    rule = rules.Adagrad

    def __init__(
        self,
        learning_rate: Any = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        **general: Any,
    ) -> None:
        options = {"initial_accumulator_value": initial_accumulator_value, "epsilon": epsilon}
        super().__init__(learning_rate, options, general)


class Adadelta(Optimizer):
    """Steps in the ratio of two running root mean squares. Source: Zeiler, 2012."""

    rule = rules.Adadelta

    def __init__(self, learning_rate: Any = 0.001, rho: float = 0.95, epsilon: float = 1e-7, **general: Any) -> None:
        super().__init__(learning_rate, {"rho": rho, "epsilon": epsilon}, general)


class _Plain(Optimizer):
    """Base of those with two shares and a floor."""

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **general: Any,
    ) -> None:
        super().__init__(learning_rate, {"beta_1": beta_1, "beta_2": beta_2, "epsilon": epsilon}, general)


class Adamax(_Plain):
    """Adam with a maximum in the place of the root. Source: Kingma & Ba, ICLR 2015, section 7.1."""

    rule = rules.Adamax


class Nadam(_Plain):
    """Adam with Nesterov's look ahead. Source: Dozat, 2016."""

    rule = rules.Nadam


_CLASSES: dict[str, type[Optimizer]] = {
    one.__name__.lower(): one for one in (SGD, RMSprop, Adam, AdamW, Adagrad, Adadelta, Adamax, Nadam)
}


def get(identifier: Any) -> Any:
    """The optimizer that a name (with Keras' defaults), a config, an object or None stands for.

    Raises:
        ArgumentError: an unknown name, or something else.
    """
    if identifier is None:
        return None
    if isinstance(identifier, str):
        if identifier.lower() not in _CLASSES:
            raise ArgumentError(did_you_mean("optimizer", identifier, _CLASSES))
        return _CLASSES[identifier.lower()]()  # type: ignore[call-arg]
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, Optimizer):
        return identifier
    raise ArgumentError(
        f"an optimizer is a name or an object of keras.optimizers, got {identifier!r}; say optimizer='adam'"
    )


def serialize(optimizer: Optimizer) -> dict[str, Any]:
    """The class and the arguments, as plain data."""
    return {"class_name": type(optimizer).__name__, "config": optimizer.get_config()}


def deserialize(config: dict[str, Any]) -> Optimizer:
    """The other way round of :func:`serialize`.

    Raises:
        ArgumentError: an unknown class.
    """
    name = str(config.get("class_name"))
    if name.lower() not in _CLASSES:
        raise ArgumentError(did_you_mean("optimizer", name, _CLASSES))
    return _CLASSES[name.lower()].from_config(config.get("config", {}))
