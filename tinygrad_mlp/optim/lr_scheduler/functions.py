"""Rates given by a function of the user's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...errors import ArgumentError
from ..optimizer import Optimizer
from .base import LRScheduler, checked_optimizer, per_group, state_of_functions, take_functions, take_state

__all__ = ["LambdaLR", "MultiplicativeLR"]

Factor = Callable[[int], float]


class _Functions(LRScheduler):
    _unsaved = frozenset({"optimizer", "lr_lambdas"})

    def __init__(self, optimizer: Optimizer, lr_lambda: Factor | Sequence[Factor], last_epoch: int = -1) -> None:
        owner = type(self).__name__
        self.lr_lambdas: list[Factor] = per_group(owner, "lr_lambda", checked_optimizer(owner, optimizer), lr_lambda)
        for one in self.lr_lambdas:
            if not callable(one):
                raise ArgumentError(f"{owner}: lr_lambda is a function of the step's number, got {one!r}")
        super().__init__(optimizer, last_epoch)

    def state_dict(self) -> dict[str, Any]:
        """All that is needed to go on; of the functions only what objects among them remember."""
        return {**super().state_dict(), "lr_lambdas": state_of_functions(self.lr_lambdas)}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a state, with the functions given to the constructor."""
        take_state(self, state_dict, also=frozenset({"lr_lambdas"}))
        take_functions(self.lr_lambdas, state_dict["lr_lambdas"])


class LambdaLR(_Functions):
    """``lr = base_lr * lr_lambda(t)`` in step ``t``, counted from 0.

    Args:
        optimizer, last_epoch: see :class:`LRScheduler`. lr_lambda: a function, or one for each group.

    >>> from tinygrad_mlp import Tensor, optim
    >>> optimizer = optim.SGD([Tensor([1.0], requires_grad=True)], lr=0.5)
    >>> schedule = optim.lr_scheduler.LambdaLR(optimizer, lambda t: 1 / (1 + t))
    >>> rates = []
    >>> for _ in range(3):
    ...     rates += schedule.get_last_lr()
    ...     optimizer.step()
    ...     schedule.step()
    >>> rates
    [0.5, 0.25, 0.16666666666666666]
    """

    def get_lr(self) -> list[float]:
        """See :class:`LRScheduler`."""
        self._warn_of_asking()
        return [base * factor(self.last_epoch) for factor, base in zip(self.lr_lambdas, self.base_lrs, strict=True)]


class MultiplicativeLR(_Functions):
    """``lr = lr * lr_lambda(t)`` in step ``t``, from 1.

    Args:
        optimizer, last_epoch: see :class:`LRScheduler`. lr_lambda: a function, or one for each group.
    """

    def get_lr(self) -> list[float]:
        """See :class:`LRScheduler`."""
        self._warn_of_asking()
        if self._is_initial:
            return self._lrs()
        return [rate * factor(self.last_epoch) for factor, rate in zip(self.lr_lambdas, self._lrs(), strict=True)]
