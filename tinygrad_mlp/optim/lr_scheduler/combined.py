"""Schedules made of schedules: one after the other, or all at once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from ...errors import ArgumentError
from ..optimizer import Optimizer
from .base import LRScheduler, checked_optimizer, take_state
from .plateau import ReduceLROnPlateau

__all__ = ["ChainedScheduler", "SequentialLR"]


class _Combined(LRScheduler):
    _unsaved = frozenset({"optimizer", "_schedulers"})
    _schedulers: Sequence[LRScheduler]

    def state_dict(self) -> dict[str, Any]:
        """The states of all parts, and what this schedule counts itself."""
        return {**super().state_dict(), "_schedulers": [one.state_dict() for one in self._schedulers]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a state with the same parts.

        Raises:
            StateError: it does not fit.
        """
        take_state(self, state_dict, also=frozenset({"_schedulers"}))
        for one, state in zip(self._schedulers, state_dict["_schedulers"], strict=True):
            one.load_state_dict(state)


def _checked_parts(owner: str, optimizer: Any, schedulers: Sequence[Any]) -> None:
    if not schedulers:
        raise ArgumentError(f"{owner}: expected schedules, got none")
    for place, one in enumerate(schedulers):
        if not isinstance(one, LRScheduler):
            raise ArgumentError(f"{owner}: expected a schedule at {place}, got {type(one).__name__}")
        if isinstance(one, ReduceLROnPlateau):
            raise ArgumentError(
                f"{owner}: ReduceLROnPlateau at {place} wants a number in every step; step it by itself"
            )
        if one.optimizer is not optimizer:
            raise ArgumentError(f"{owner}: {type(one).__name__} at {place} is of another optimizer")


class SequentialLR(_Combined):
    """One schedule after the other: the next begins, with its own count from 0, at each milestone.

    Args:
        optimizer: the one that all parts were made with. schedulers: the parts, in order; the first rates of the
            optimizer are taken back. milestones: the steps at which the next one begins, one less than there are parts.
        last_epoch: see :class:`LRScheduler`.

    Raises:
        ArgumentError: no part, parts of other optimizers, ``ReduceLROnPlateau``, another number of milestones.

    >>> from tinygrad_mlp import Tensor, optim
    >>> from tinygrad_mlp.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR
    >>> optimizer = optim.SGD([Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> warm_up = LinearLR(optimizer, start_factor=0.25, total_iters=3)
    >>> schedule = SequentialLR(optimizer, [warm_up, CosineAnnealingLR(optimizer, T_max=4)], milestones=[3])
    >>> rates = []
    >>> for _ in range(7):
    ...     rates += schedule.get_last_lr()
    ...     optimizer.step()
    ...     schedule.step()
    >>> [round(one, 3) for one in rates]
    [0.25, 0.5, 0.75, 1.0, 0.854, 0.5, 0.146]
    """

    def __init__(
        self, optimizer: Optimizer, schedulers: Sequence[LRScheduler], milestones: Sequence[int], last_epoch: int = -1
    ) -> None:
        _checked_parts("SequentialLR", checked_optimizer("SequentialLR", optimizer), schedulers)
        if len(milestones) != len(schedulers) - 1:
            raise ArgumentError(
                f"SequentialLR: {len(schedulers)} schedules have {len(schedulers) - 1} milestones, got {milestones!r}"
            )
        self._schedulers = schedulers
        self._milestones = milestones
        self.last_epoch = last_epoch + 1
        self.optimizer = optimizer
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"]
        _take_back(schedulers)
        first = schedulers[bisect_right(milestones, 0)]
        first._initial_step()
        self._last_lr = first.get_last_lr()

    def step(self, epoch: int | None = None) -> None:
        """Step the schedule whose turn it is.

        Raises:
            ArgumentError: an epoch, which this schedule cannot go to.
        """
        if epoch is not None:
            raise ArgumentError("SequentialLR: it counts by itself; say step()")
        self.last_epoch += 1
        place = bisect_right(self._milestones, self.last_epoch)
        now = self._schedulers[place]
        if place and self._milestones[place - 1] == self.last_epoch:
            now._update_lr(0)
        else:
            now.step()
        self._last_lr = now.get_last_lr()


def _take_back(schedulers: Sequence[LRScheduler]) -> None:
    """Undo the step that making them has counted."""
    for one in schedulers:
        if isinstance(one, _Combined):
            _take_back(one._schedulers)
        else:
            one.last_epoch -= 1


class ChainedScheduler(_Combined):
    """All schedules step one after the other, each from the rate that the one before has set: factors multiply.

    Args:
        schedulers: the parts. optimizer: theirs; by default that of the first.

    Raises:
        ArgumentError: no part, parts of other optimizers, ``ReduceLROnPlateau``.
    """

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None) -> None:
        owner = optimizer or (schedulers[0].optimizer if schedulers else None)
        _checked_parts("ChainedScheduler", owner, schedulers)
        self._schedulers = schedulers
        self.optimizer = checked_optimizer("ChainedScheduler", owner)
        self._last_lr = self._lrs()

    def step(self, epoch: int | None = None) -> None:
        """Step all parts.

        Raises:
            ArgumentError: an epoch, which this schedule cannot go to.
        """
        if epoch is not None:
            raise ArgumentError("ChainedScheduler: it counts by itself; say step()")
        for one in self._schedulers:
            one.step()
        self._last_lr = self._lrs()
