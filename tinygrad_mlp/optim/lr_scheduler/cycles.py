"""Rates that rise and fall, with the momentum falling and rising against them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from ...errors import ArgumentError
from ..optimizer import Optimizer
from .base import LRScheduler, checked_optimizer, per_group, state_of_functions, take_functions, take_state

__all__ = ["CyclicLR", "OneCycleLR"]


def _uses_beta1(owner: str, optimizer: Optimizer) -> bool:
    """Whether the momentum of this optimizer is the first of its ``betas``.

    Raises:
        ArgumentError: it has neither.
    """
    if "betas" in optimizer.defaults:
        return True
    if "momentum" not in optimizer.defaults:
        raise ArgumentError(f"{owner}: {type(optimizer).__name__} has no momentum to cycle; say cycle_momentum=False")
    return False


def _set_momentum(group: dict[str, Any], value: float, *, beta1: bool) -> None:
    if beta1:
        group["betas"] = (value, *group["betas"][1:])
    else:
        group["momentum"] = value


def _start_momentum(
    owner: str, optimizer: Optimizer, base: Any, most: Any, last_epoch: int
) -> tuple[bool, list[float], list[float]]:
    """Give the groups their momentum; whether that is the first beta, and the limits of each group."""
    beta1 = _uses_beta1(owner, optimizer)
    bases = per_group(owner, "base_momentum", optimizer, base)
    mosts = per_group(owner, "max_momentum", optimizer, most)
    if last_epoch == -1:
        for low, high, group in zip(bases, mosts, optimizer.param_groups, strict=True):
            _set_momentum(group, high, beta1=beta1)
            group["max_momentum"], group["base_momentum"] = high, low
    return beta1, bases, mosts


class CyclicLR(LRScheduler):
    """Up from ``base_lr`` to ``max_lr`` in ``step_size_up`` steps, down in ``step_size_down``, again and again.

    ``mode="triangular2"`` halves the height in every cycle, ``"exp_range"`` multiplies it by ``gamma`` in every step.
    The momentum moves between ``max_momentum`` and ``base_momentum`` against it.

    Args:
        optimizer, last_epoch: see :class:`LRScheduler`. base_lr, max_lr: the limits, or one of each per group.
        step_size_up, step_size_down: steps of each side; equal by default. mode: see above. gamma: for ``exp_range``.
        scale_fn: the height instead of the mode's, a function of the cycle (from 1) or, with
            ``scale_mode="iterations"``, of the step. cycle_momentum: whether the momentum moves.
        base_momentum, max_momentum: its limits, or one of each per group.

    Raises:
        ArgumentError: an unknown mode; a momentum to cycle and an optimizer without.

    Source: Smith, WACV 2017.
    """

    _unsaved = frozenset({"optimizer", "_scale_fn_custom"})

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: float | list[float],
        max_lr: float | list[float],
        step_size_up: float = 2000,
        step_size_down: float | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.8,
        max_momentum: float | list[float] = 0.9,
        last_epoch: int = -1,
    ) -> None:
        checked_optimizer("CyclicLR", optimizer)
        bases = per_group("CyclicLR", "base_lr", optimizer, base_lr)
        self.max_lrs: list[float] = per_group("CyclicLR", "max_lr", optimizer, max_lr)
        if mode not in {"triangular", "triangular2", "exp_range"} and scale_fn is None:
            raise ArgumentError(f"CyclicLR: mode is 'triangular', 'triangular2' or 'exp_range', got {mode!r}")
        if last_epoch == -1:
            for rate, group in zip(bases, optimizer.param_groups, strict=True):
                group["lr"] = rate
        up = float(step_size_up)
        down = up if step_size_down is None else float(step_size_down)
        self.total_size = up + down
        self.step_ratio = up / self.total_size
        self.mode = mode
        self.gamma = gamma
        self._scale_fn_custom = scale_fn
        self.scale_mode = scale_mode
        if scale_fn is None:
            self.scale_mode = "iterations" if mode == "exp_range" else "cycle"
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self.use_beta1, self.base_momentums, self.max_momentums = _start_momentum(
                "CyclicLR", optimizer, base_momentum, max_momentum, last_epoch
            )
        super().__init__(optimizer, last_epoch)
        self.base_lrs = bases

    def scale_fn(self, x: float) -> float:
        """The height of the cycle or step ``x``."""
        if self._scale_fn_custom is not None:
            return self._scale_fn_custom(x)
        if self.mode == "triangular2":
            return float(1 / 2.0 ** (x - 1))
        return float(self.gamma**x) if self.mode == "exp_range" else 1.0

    def get_lr(self) -> list[float]:
        """See :class:`LRScheduler`. Sets the momentum."""
        self._warn_of_asking()
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        x = 1.0 + self.last_epoch / self.total_size - cycle
        share = x / self.step_ratio if x <= self.step_ratio else (x - 1) / (self.step_ratio - 1)
        scale = self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)
        if self.cycle_momentum:
            limits = zip(self.optimizer.param_groups, self.base_momentums, self.max_momentums, strict=True)
            for group, low, high in limits:
                _set_momentum(group, high - (high - low) * share * scale, beta1=self.use_beta1)
        return [low + (high - low) * share * scale for low, high in zip(self.base_lrs, self.max_lrs, strict=True)]

    def state_dict(self) -> dict[str, Any]:
        """All that is needed to go on; of ``scale_fn`` only what an object remembers."""
        return {**super().state_dict(), "_scale_fn_custom": state_of_functions([self._scale_fn_custom])[0]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a state, with the ``scale_fn`` given to the constructor."""
        take_state(self, state_dict, also=frozenset({"_scale_fn_custom"}))
        take_functions([self._scale_fn_custom], [state_dict["_scale_fn_custom"]])


class OneCycleLR(LRScheduler):
    """One rise from ``max_lr / div_factor`` to ``max_lr``, then a fall to ``max_lr / div_factor / final_div_factor``.

    Step it after every batch. The momentum falls while the rate rises, and rises while it falls. With ``three_phase``
    the fall is as long as the rise and ends where that began; what is left falls to the end.

    Args:
        optimizer, last_epoch: see :class:`LRScheduler`. max_lr: the highest rate, or one per group.
        total_steps: all steps; or ``epochs`` and ``steps_per_epoch``. pct_start: the share of the rise.
        anneal_strategy: ``"cos"`` or ``"linear"``. cycle_momentum: whether the momentum moves.
        base_momentum, max_momentum: its limits, or one of each per group. div_factor, final_div_factor: see above.
        three_phase: see above.

    Raises:
        ArgumentError: no number of steps, an option out of range, a momentum to cycle and an optimizer without; from
            :meth:`step`: more than ``total_steps`` steps.

    Source: Smith & Topin, arXiv:1708.07120, 2017.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | list[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.85,
        max_momentum: float | list[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        checked_optimizer("OneCycleLR", optimizer)
        self.total_steps = _total(total_steps, epochs, steps_per_epoch)
        if not 0 <= pct_start <= 1:
            raise ArgumentError(f"OneCycleLR: pct_start is a share in [0, 1], got {pct_start!r}")
        if anneal_strategy not in {"cos", "linear"}:
            raise ArgumentError(f"OneCycleLR: anneal_strategy is 'cos' or 'linear', got {anneal_strategy!r}")
        self._schedule_phases = _phases(self.total_steps, pct_start, three_phase=three_phase)
        self._anneal_func_type = anneal_strategy
        mosts = per_group("OneCycleLR", "max_lr", optimizer, max_lr)
        if last_epoch == -1:
            for most, group in zip(mosts, optimizer.param_groups, strict=True):
                group["initial_lr"] = most / div_factor
                group["max_lr"] = most
                group["min_lr"] = group["initial_lr"] / final_div_factor
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self.use_beta1, _, _ = _start_momentum("OneCycleLR", optimizer, base_momentum, max_momentum, last_epoch)
        super().__init__(optimizer, last_epoch)

    def _between(self, start: float, end: float, share: float) -> float:
        if self._anneal_func_type == "linear":
            return (end - start) * share + start
        return end + (start - end) / 2.0 * (math.cos(math.pi * share) + 1)

    def get_lr(self) -> list[float]:
        """See :class:`LRScheduler`. Sets the momentum."""
        self._warn_of_asking()
        if self.last_epoch > self.total_steps:
            raise ArgumentError(
                f"OneCycleLR: step {self.last_epoch} of a cycle of {self.total_steps}; make it with the number of all "
                "batches: OneCycleLR(optimizer, max_lr, epochs=…, steps_per_epoch=len(loader))"
            )
        ends = [one["end_step"] for one in self._schedule_phases[:-1]]
        place = next((place for place, end in enumerate(ends) if self.last_epoch <= end), len(ends))
        phase, begun = self._schedule_phases[place], ends[place - 1] if place else 0.0
        share = (self.last_epoch - begun) / (phase["end_step"] - begun)
        rates = []
        for group in self.optimizer.param_groups:
            rates.append(self._between(group[phase["start_lr"]], group[phase["end_lr"]], share))
            if self.cycle_momentum:
                value = self._between(group[phase["start_momentum"]], group[phase["end_momentum"]], share)
                _set_momentum(group, value, beta1=self.use_beta1)
        return rates


def _total(total_steps: Any, epochs: Any, steps_per_epoch: Any) -> int:
    given = {"total_steps": total_steps}
    if total_steps is None:
        given = {"epochs": epochs, "steps_per_epoch": steps_per_epoch}
    for name, value in given.items():
        if not isinstance(value, int) or value < 1:
            raise ArgumentError(
                f"OneCycleLR: {name} is a positive integer, got {value!r}; "
                "say total_steps=…, or epochs=… and steps_per_epoch=len(loader)"
            )
    return math.prod(given.values())


def _phases(total: int, share: float, *, three_phase: bool) -> list[dict[str, Any]]:
    """The parts of the cycle: the step that ends each, and which numbers of a group it goes from and to."""

    def phase(end_step: float, *names: str) -> dict[str, Any]:
        return {
            "end_step": end_step,
            **dict(zip(("start_lr", "end_lr", "start_momentum", "end_momentum"), names, strict=True)),
        }

    rise = phase(float(share * total) - 1, "initial_lr", "max_lr", "max_momentum", "base_momentum")
    if not three_phase:
        return [rise, phase(total - 1, "max_lr", "min_lr", "base_momentum", "max_momentum")]
    fall = phase(float(2 * share * total) - 2, "max_lr", "initial_lr", "base_momentum", "max_momentum")
    return [rise, fall, phase(total - 1, "initial_lr", "min_lr", "max_momentum", "max_momentum")]
