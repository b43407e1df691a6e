"""Learning rates as functions of the step, by Keras' names. A step is counted from 0."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Self

from ...errors import ArgumentError, did_you_mean

__all__ = [
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "LearningRateSchedule",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "deserialize",
    "serialize",
]


class LearningRateSchedule:
    """Base: called with the number of steps done, gives the learning rate of the next one.

    It has to be a function of that number alone: compiled training asks for the rates of many steps beforehand.
    """

    def __call__(self, step: Any) -> float:
        """The learning rate after ``step`` steps."""
        raise NotImplementedError(
            f"Learning rate schedule '{type(self).__name__}' must override `__call__(self, step)`."
        )

    def get_config(self) -> dict[str, Any]:
        """The arguments that make a schedule like this one."""
        return dict(vars(self))

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Make one from :meth:`get_config`."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.get_config().items())})"


def _steps(name: str, value: float) -> float:
    if value <= 0:
        raise ArgumentError(f"Argument `{name}` must be > 0. Received: {name}={value}")
    return value


class Called(LearningRateSchedule):
    """A function without arguments, asked in every step."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self.function = function

    def __call__(self, step: Any) -> float:  # noqa: ARG002 - the function is not told
        """What the function says now."""
        return float(self.function())


class ExponentialDecay(LearningRateSchedule):
    """``initial * rate ** (step / decay_steps)``; with ``staircase`` the exponent is rounded down."""

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str = "ExponentialDecay",
    ) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = _steps("decay_steps", decay_steps)
        self.decay_rate, self.staircase, self.name = decay_rate, staircase, name

    def __call__(self, step: Any) -> float:
        """The learning rate after ``step`` steps."""
        periods = float(step) / self.decay_steps
        exponent = math.floor(periods) if self.staircase else periods
        return float(self.initial_learning_rate * self.decay_rate**exponent)


class InverseTimeDecay(ExponentialDecay):
    """``initial / (1 + rate * step / decay_steps)``; with ``staircase`` the quotient is rounded down."""

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str = "InverseTimeDecay",
    ) -> None:
        super().__init__(initial_learning_rate, decay_steps, decay_rate, staircase, name)

    def __call__(self, step: Any) -> float:
        """The learning rate after ``step`` steps."""
        periods = float(step) / self.decay_steps
        return float(self.initial_learning_rate) / (
            1.0 + self.decay_rate * (math.floor(periods) if self.staircase else periods)
        )


class PiecewiseConstantDecay(LearningRateSchedule):
    """``values[0]`` up to step ``boundaries[0]``, included, then ``values[1]``, and so on.

    Raises:
        ArgumentError: there is not one value more than boundaries.
    """

    def __init__(self, boundaries: Sequence[float], values: Sequence[float], name: str = "PiecewiseConstant") -> None:
        if len(boundaries) != len(values) - 1:
            raise ArgumentError(
                "The length of boundaries should be 1 less than the length of values. Received: "
                f"boundaries={boundaries} of length {len(boundaries)}, and values={values} of length {len(values)}."
            )
        self.boundaries, self.values, self.name = boundaries, values, name

    def __call__(self, step: Any) -> float:
        """The learning rate after ``step`` steps."""
        return float(self.values[sum(float(step) > one for one in self.boundaries)])


class PolynomialDecay(LearningRateSchedule):
    """``(initial - end) * (1 - step / decay_steps) ** power + end``, the step being at most ``decay_steps``.

    Args:
        cycle: stretch ``decay_steps`` to the next multiple instead, so that the rate rises again.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str = "PolynomialDecay",
    ) -> None:
        self.initial_learning_rate, self.decay_steps = initial_learning_rate, _steps("decay_steps", decay_steps)
        self.end_learning_rate, self.power, self.cycle, self.name = end_learning_rate, power, cycle, name

    def __call__(self, step: Any) -> float:
        """The learning rate after ``step`` steps."""
        done, whole = float(step), float(self.decay_steps)
        if self.cycle:
            whole *= max(1.0, math.ceil(done / whole))
        else:
            done = min(done, whole)
        spread = self.initial_learning_rate - self.end_learning_rate
        return float(spread * (1.0 - done / whole) ** self.power + self.end_learning_rate)


class CosineDecay(LearningRateSchedule):
    """Half a cosine from the initial rate down to ``alpha`` times it, after a linear warm-up if one is asked for.

    Args:
        warmup_target: the rate that ``warmup_steps`` lead up to, and from which the cosine then falls.

    Source: Loshchilov & Hutter, ICLR 2017.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        alpha: float = 0.0,
        name: str = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: float = 0,
    ) -> None:
        self.initial_learning_rate, self.decay_steps = initial_learning_rate, _steps("decay_steps", decay_steps)
        self.alpha, self.name, self.warmup_target, self.warmup_steps = alpha, name, warmup_target, warmup_steps

    def __call__(self, step: Any) -> float:
        """The learning rate after ``step`` steps."""
        done, start, warm = float(step), self.initial_learning_rate, 0.0
        if self.warmup_target is not None:
            warm = float(self.warmup_steps)
            if done < warm:
                return float(start + (self.warmup_target - start) * done / warm)
            start = self.warmup_target
        share = min(done - warm, self.decay_steps) / self.decay_steps
        falling = 0.5 * (1.0 + math.cos(math.pi * share))
        return float(start * ((1.0 - self.alpha) * falling + self.alpha))


class CosineDecayRestarts(LearningRateSchedule):
    """Cosines one after the other, each ``t_mul`` times as long and ``m_mul`` times as high as the one before.

    Source: Loshchilov & Hutter, ICLR 2017 (SGDR).
    """

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: float,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str = "SGDRDecay",
    ) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.first_decay_steps = _steps("first_decay_steps", first_decay_steps)
        self.t_mul, self.m_mul, self.alpha, self.name = t_mul, m_mul, alpha, name

    def __call__(self, step: Any) -> float:
        """The learning rate after ``step`` steps."""
        left, length, restarts = float(step), float(self.first_decay_steps), 0
        while left >= length:
            left, length, restarts = left - length, length * self.t_mul, restarts + 1
        falling = 0.5 * self.m_mul**restarts * (1.0 + math.cos(math.pi * left / length))
        return float(self.initial_learning_rate * ((1.0 - self.alpha) * falling + self.alpha))


_CLASSES: dict[str, type[LearningRateSchedule]] = {
    one.__name__: one
    for one in (
        ExponentialDecay,
        InverseTimeDecay,
        PiecewiseConstantDecay,
        PolynomialDecay,
        CosineDecay,
        CosineDecayRestarts,
    )
}


def serialize(schedule: LearningRateSchedule) -> dict[str, Any]:
    """The class and the arguments, as plain data.

    Raises:
        ArgumentError: a class of one's own, which a file could not name.
    """
    if type(schedule).__name__ not in _CLASSES:
        raise ArgumentError(f"{schedule!r} cannot be saved; use a schedule of keras.optimizers.schedules")
    return {"class_name": type(schedule).__name__, "config": schedule.get_config()}


def deserialize(config: dict[str, Any]) -> LearningRateSchedule:
    """The other way round of :func:`serialize`.

    Raises:
        ArgumentError: an unknown class.
    """
    name = config.get("class_name")
    if name not in _CLASSES:
        raise ArgumentError(did_you_mean("schedule", name, _CLASSES))
    return _CLASSES[name].from_config(config.get("config", {}))
