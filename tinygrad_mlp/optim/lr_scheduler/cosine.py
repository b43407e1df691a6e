"""Half a cosine from the first rate down to the least, once or again and again."""

from __future__ import annotations

import math
from typing import Any

from ...errors import ArgumentError
from ..optimizer import Optimizer
from .base import LRScheduler

__all__ = ["CosineAnnealingLR", "CosineAnnealingWarmRestarts"]


class CosineAnnealingLR(LRScheduler):
    """``lr = eta_min + (base_lr - eta_min) * (1 + cos(pi * t / T_max)) / 2``; after ``T_max`` steps it rises again.

    Args:
        optimizer, last_epoch: see :class:`LRScheduler`. T_max: the step that reaches the least rate.
        eta_min: the least rate.

    Source: Loshchilov & Hutter, ICLR 2017, equation 5.
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """See :class:`LRScheduler`."""
        self._warn_of_asking()
        t, least = self.last_epoch, self.eta_min
        if self._is_initial:
            return self._lrs()
        if self._step_count == 1 and t > 0:
            return [least + (base - least) * (1 + math.cos(t * math.pi / self.T_max)) / 2 for base in self.base_lrs]
        if (t - 1 - self.T_max) % (2 * self.T_max) == 0:
            rise = (1 - math.cos(math.pi / self.T_max)) / 2
            return [rate + (base - least) * rise for base, rate in zip(self.base_lrs, self._lrs(), strict=True)]
        now, before = (1 + math.cos(math.pi * one / self.T_max) for one in (t, t - 1))
        return [now / before * (rate - least) + least for rate in self._lrs()]

    def _get_closed_form_lr(self) -> list[float]:
        share = 1 + math.cos(math.pi * self.last_epoch / self.T_max)
        return [self.eta_min + (base - self.eta_min) * share / 2 for base in self.base_lrs]


class CosineAnnealingWarmRestarts(LRScheduler):
    """Cosines from the first rate down to ``eta_min``, one after the other.

    The first takes ``T_0`` steps, every next one ``T_mult`` times as many as the one before.

    Args:
        optimizer, last_epoch: see :class:`LRScheduler`. T_0: steps of the first cosine. T_mult: how much longer each
            next one is. eta_min: the least rate.

    Raises:
        ArgumentError: ``T_0`` or ``T_mult`` is not a positive integer.

    Source: Loshchilov & Hutter, ICLR 2017 (SGDR).
    """

    def __init__(
        self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        given: dict[str, Any] = {"T_0": T_0, "T_mult": T_mult}
        for name, value in given.items():
            if not isinstance(value, int) or value < 1:
                raise ArgumentError(f"CosineAnnealingWarmRestarts: {name} is a positive integer, got {value!r}")
        self.T_0 = T_0
        self.T_i = T_0
        self.T_mult = T_mult
        self.eta_min = eta_min
        self.T_cur: float = last_epoch
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """See :class:`LRScheduler`."""
        self._warn_of_asking()
        share = 1 + math.cos(math.pi * self.T_cur / self.T_i)
        return [self.eta_min + (base - self.eta_min) * share / 2 for base in self.base_lrs]

    def step(self, epoch: float | None = None) -> None:
        """Count one step and set the rates that belong to it.

        Args:
            epoch: go to this count instead, which may lie between two: ``epoch + batch / batches``, after every batch.

        Raises:
            ArgumentError: a negative count.
        """
        if epoch is None and self.last_epoch < 0:
            epoch = 0
        if epoch is None:
            epoch = self.last_epoch + 1
            self.T_cur += 1
            if self.T_cur >= self.T_i:
                self.T_cur %= self.T_i
                self.T_i *= self.T_mult
        elif epoch < 0:
            raise ArgumentError(f"CosineAnnealingWarmRestarts: step(epoch) counts from 0, got {epoch!r}")
        elif epoch < self.T_0:
            self.T_i, self.T_cur = self.T_0, epoch
        elif self.T_mult == 1:
            self.T_cur = epoch % self.T_0
        else:
            done = int(math.log(epoch / self.T_0 * (self.T_mult - 1) + 1, self.T_mult))
            self.T_cur = epoch - self.T_0 * (self.T_mult**done - 1) / (self.T_mult - 1)
            self.T_i = self.T_0 * self.T_mult**done
        self.last_epoch = math.floor(epoch)
        with self._asking():
            self._set(self.get_lr())
