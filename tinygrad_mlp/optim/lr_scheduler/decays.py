"""Rates that follow one formula: steps, constants, lines, powers."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from ...errors import ArgumentError
from ..optimizer import Optimizer
from .base import LRScheduler

__all__ = ["ConstantLR", "ExponentialLR", "InverseTimeLR", "LinearLR", "MultiStepLR", "PolynomialLR", "StepLR"]


class StepLR(LRScheduler):
    """``lr = base_lr * gamma ** (t // step_size)``: a fall every ``step_size`` steps.

    Args:
        optimizer, last_epoch: see :class:`LRScheduler`. step_size: steps between falls. gamma: the factor of each.

    >>> from tinygrad_mlp import Tensor, optim
    >>> optimizer = optim.SGD([Tensor([1.0], requires_grad=True)], lr=8.0)
    >>> schedule = optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
    >>> for _ in range(5):
    ...     optimizer.step()
    ...     schedule.step()
    >>> schedule.get_last_lr()
    [2.0]
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.step_size = step_size
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """See :class:`LRScheduler`."""
        self._warn_of_asking()
        if self.last_epoch == 0 or self.last_epoch % self.step_size != 0:
            return self._lrs()
        return [rate * self.gamma for rate in self._lrs()]

    def _get_closed_form_lr(self) -> list[float]:
        return [base * self.gamma ** (self.last_epoch // self.step_size) for base in self.base_lrs]


class MultiStepLR(LRScheduler):
    """The rate times ``gamma`` at each of the ``milestones``.

    Args:
        optimizer, last_epoch: see :class:`LRScheduler`. milestones: numbers of steps; one named twice counts twice.
        gamma: the factor.
    """

    def __init__(
        self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.milestones = Counter(milestones)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """See :class:`LRScheduler`."""
        self._warn_of_asking()
        if self.last_epoch not in self.milestones:
            return self._lrs()
        return [rate * self.gamma ** self.milestones[self.last_epoch] for rate in self._lrs()]

    def _get_closed_form_lr(self) -> list[float]:
        passed = bisect_right(sorted(self.milestones.elements()), self.last_epoch)
        return [base * self.gamma**passed for base in self.base_lrs]

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """See :class:`LRScheduler`; the milestones may have become text on their way through JSON."""
        super().load_state_dict(state_dict)
        self.milestones = Counter({int(step): count for step, count in self.milestones.items()})


class ConstantLR(LRScheduler):
    """``factor * base_lr`` for the first ``total_iters`` steps, then ``base_lr``.

    Args:
        optimizer, last_epoch: see :class:`LRScheduler`. factor: in [0, 1]. total_iters: how long it holds.

    Raises:
        ArgumentError: a factor outside [0, 1].
    """

    def __init__(
        self, optimizer: Optimizer, factor: float = 1.0 / 3, total_iters: int = 5, last_epoch: int = -1
    ) -> None:
        if not 0.0 <= factor <= 1.0:
            raise ArgumentError(f"ConstantLR: factor lies in [0, 1], got {factor!r}")
        self.factor = factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """See :class:`LRScheduler`."""
        self._warn_of_asking()
        if self.last_epoch == 0:
            return [rate * self.factor for rate in self._lrs()]
        if self.last_epoch != self.total_iters:
            return self._lrs()
        return [rate * (1.0 / self.factor) for rate in self._lrs()]

    def _get_closed_form_lr(self) -> list[float]:
        over = self.last_epoch >= self.total_iters
        return [base * (self.factor + over * (1 - self.factor)) for base in self.base_lrs]


class LinearLR(LRScheduler):
    """From ``start_factor * base_lr`` to ``end_factor * base_lr`` in ``total_iters`` equal steps: a warm-up.

    Args:
        optimizer, last_epoch: see :class:`LRScheduler`. start_factor: in (0, 1]. end_factor: in [0, 1].
        total_iters: how many steps it takes.

    Raises:
        ArgumentError: a factor out of range.

    Source: Goyal et al., arXiv:1706.02677, 2017 (gradual warm-up).
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        if not 0.0 < start_factor <= 1.0:
            raise ArgumentError(f"LinearLR: start_factor lies in (0, 1], got {start_factor!r}")
        if not 0.0 <= end_factor <= 1.0:
            raise ArgumentError(f"LinearLR: end_factor lies in [0, 1], got {end_factor!r}")
        self.start_factor = start_factor
        self.end_factor = end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """See :class:`LRScheduler`."""
        self._warn_of_asking()
        if self.last_epoch == 0:
            return [rate * self.start_factor for rate in self._lrs()]
        if self._is_initial or self.last_epoch > self.total_iters:
            return self._lrs()
        rise = self.end_factor - self.start_factor
        before = self.total_iters * self.start_factor + (self.last_epoch - 1) * rise
        return [rate * (1.0 + rise / before) for rate in self._lrs()]

    def _get_closed_form_lr(self) -> list[float]:
        rise = self.end_factor - self.start_factor
        done = min(self.total_iters, self.last_epoch)
        return [base * (self.start_factor + rise * done / self.total_iters) for base in self.base_lrs]


class ExponentialLR(LRScheduler):
    """``lr = base_lr * gamma ** t``.

    Args:
        optimizer, last_epoch: see :class:`LRScheduler`. gamma: the factor of each step.
    """

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """See :class:`LRScheduler`."""
        self._warn_of_asking()
        return self._lrs() if self._is_initial else [rate * self.gamma for rate in self._lrs()]

    def _get_closed_form_lr(self) -> list[float]:
        return [base * self.gamma**self.last_epoch for base in self.base_lrs]


class PolynomialLR(LRScheduler):
    """``lr = base_lr * (1 - t / total_iters) ** power`` until it is 0.

    Args:
        optimizer, last_epoch: see :class:`LRScheduler`. total_iters: the step that reaches 0. power: 1 is a line.
    """

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1) -> None:
        self.total_iters = total_iters
        self.power = power
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """See :class:`LRScheduler`."""
        self._warn_of_asking()
        if self._is_initial or self.last_epoch > self.total_iters:
            return self._lrs()
        t, total = self.last_epoch, self.total_iters
        factor = ((1.0 - t / total) / (1.0 - (t - 1) / total)) ** self.power
        return [rate * factor for rate in self._lrs()]

    def _get_closed_form_lr(self) -> list[float]:
        left = 1.0 - min(self.total_iters, self.last_epoch) / self.total_iters
        return [base * left**self.power for base in self.base_lrs]


class InverseTimeLR(LRScheduler):
    """``lr = base_lr / (1 + decay_rate * t / decay_steps)``: Keras' ``InverseTimeDecay``; torch has no such schedule.

    Args:
        optimizer, last_epoch: see :class:`LRScheduler`. decay_steps: the unit of time. decay_rate: how fast it falls.
        staircase: count whole units only, ``t // decay_steps``.

    Raises:
        ArgumentError: ``decay_steps`` is not positive.

    >>> from tinygrad_mlp import Tensor, optim
    >>> optimizer = optim.SGD([Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = optim.lr_scheduler.InverseTimeLR(optimizer, decay_steps=1, decay_rate=0.5)
    >>> for _ in range(2):
    ...     optimizer.step()
    ...     schedule.step()
    >>> schedule.get_last_lr()
    [0.5]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        if not decay_steps > 0:
            raise ArgumentError(f"InverseTimeLR: decay_steps is positive, got {decay_steps!r}; say decay_steps=1")
        self.decay_steps = decay_steps
        self.decay_rate = decay_rate
        self.staircase = bool(staircase)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """See :class:`LRScheduler`."""
        self._warn_of_asking()
        time = self.last_epoch / self.decay_steps
        return [
            base / (1.0 + self.decay_rate * (math.floor(time) if self.staircase else time)) for base in self.base_lrs
        ]
