"""What every schedule does: it writes ``group["lr"]`` of an optimizer, once when it is made and then at each step."""

from __future__ import annotations

import copy
import types
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from ...errors import ArgumentError, StateError
from ...tables import as_called
from ..optimizer import Optimizer

__all__ = ["LRScheduler", "per_group", "state_of_functions", "take_functions", "take_state"]


class LRScheduler:
    """Base of the schedules.

    Make it after the optimizer and call :meth:`step` after ``optimizer.step()``, once per epoch or batch, whatever the
    numbers of the schedule count. Making it sets the first rate. A compiled step reads the rate anew in each call.

    Args:
        optimizer: whose groups get their ``"lr"``. last_epoch: -1 to begin; else the count to go on from, with groups
            that have their ``"initial_lr"``.

    Attributes:
        base_lrs: the rate that each group began with. last_epoch: how many steps were done.

    Raises:
        ArgumentError: not an optimizer of this package; a group without ``"initial_lr"``, with ``last_epoch``.
    """

    _unsaved: frozenset[str] = frozenset({"optimizer"})
    """Attributes that :meth:`state_dict` leaves out."""
    _is_initial = False
    _get_lr_called_within_step = False

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        self.optimizer = checked_optimizer(type(self).__name__, optimizer)
        for place, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", float(group["lr"]))
            elif "initial_lr" not in group:
                raise ArgumentError(
                    f"{type(self).__name__}: group {place} has no 'initial_lr', which last_epoch={last_epoch} goes on "
                    "from; load the optimizer's state first, or leave last_epoch=-1 and load the schedule's state"
                )
        self.base_lrs: list[float] = [float(group["initial_lr"]) for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._step_count = 0
        self._last_lr: list[float] = []
        self._initial_step()

    def __repr__(self) -> str:
        rates = ", ".join(f"{rate:g}" for rate in self._last_lr)
        return f"<{as_called(self)}: lr {rates}>"

    def _initial_step(self) -> None:
        """Set the first rates."""
        self._step_count = 0
        self._is_initial = True
        try:
            self.step()
        finally:
            self._is_initial = False

    def get_last_lr(self) -> list[float]:
        """The rates of the groups that this schedule has set last."""
        return self._last_lr

    def get_lr(self) -> list[float]:
        """The rates of the groups for ``last_epoch``, from the present ones. For schedules; see :meth:`get_last_lr`."""
        raise NotImplementedError

    def step(self, epoch: int | None = None) -> None:
        """Count one step and set the rates that belong to it.

        Args:
            epoch: go to this count instead. Out of date in torch, and warned of as there.
        """
        self._warn_of_order()
        self._step_count += 1
        if epoch is not None:
            warn_of_epoch()
        self._update_lr(epoch)

    def _warn_of_order(self) -> None:
        if self._step_count == 1 and not self.optimizer._stepped:
            warnings.warn(
                f"{type(self).__name__}.step() came before optimizer.step(), so the first rate of the schedule was "
                "never used; call optimizer.step() first",
                UserWarning,
                stacklevel=3,
            )

    def _update_lr(self, epoch: int | None = None) -> None:
        with self._asking():
            if epoch is None:
                self.last_epoch += 1
                values = self.get_lr()
            else:
                self.last_epoch = epoch
                values = self._get_closed_form_lr()
        self._set(values)

    def _get_closed_form_lr(self) -> list[float]:
        """The rates for ``last_epoch`` from the first ones; where there is no such form, as :meth:`get_lr`."""
        return self.get_lr()

    def _set(self, values: Sequence[float]) -> None:
        for group, value in zip(self.optimizer.param_groups, values, strict=True):
            group["lr"] = value
        self._last_lr = self._lrs()

    def _lrs(self) -> list[float]:
        return [float(group["lr"]) for group in self.optimizer.param_groups]

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Let :meth:`get_lr` be called without its warning."""
        self._get_lr_called_within_step = True
        try:
            yield
        finally:
            self._get_lr_called_within_step = False

    def _warn_of_asking(self) -> None:
        if not self._get_lr_called_within_step:
            warnings.warn(
                f"{type(self).__name__}.get_lr() computes the next rates from the present ones; for those that hold "
                "now, say get_last_lr()",
                UserWarning,
                stacklevel=3,
            )

    def state_dict(self) -> dict[str, Any]:
        """All that is needed to go on, without the optimizer; torch's layout."""
        return {name: copy.deepcopy(value) for name, value in vars(self).items() if name not in self._unsaved}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a state. The rate itself is in the optimizer's state: load that too.

        Raises:
            StateError: other entries than those of :meth:`state_dict`; nothing was loaded.
        """
        take_state(self, state_dict)


def checked_optimizer(owner: str, optimizer: Any) -> Optimizer:
    """The optimizer itself.

    Raises:
        ArgumentError: it is none.
    """
    if not isinstance(optimizer, Optimizer):
        raise ArgumentError(
            f"{owner}: expected an optimizer, got {type(optimizer).__name__}; "
            f"say {owner}(optim.SGD(model.parameters()), …)"
        )
    return optimizer


def warn_of_epoch() -> None:
    """Say that a count given to ``step`` is out of date."""
    warnings.warn(
        "step(epoch) is out of date, as in torch: a schedule counts by itself; say step()", UserWarning, stacklevel=3
    )


def per_group(owner: str, name: str, optimizer: Optimizer, value: Any) -> list[Any]:
    """One value for each group of the optimizer.

    Raises:
        ArgumentError: a list of another length.
    """
    groups = len(optimizer.param_groups)
    if not isinstance(value, (list, tuple)):
        return [value] * groups
    if len(value) != groups:
        raise ArgumentError(f"{owner}: {name} has {len(value)} values for {groups} groups of parameters")
    return list(value)


def take_state(schedule: Any, state: Any, *, also: frozenset[str] = frozenset()) -> None:
    """Set the attributes of ``schedule`` from its state.

    Args:
        also: entries of the state that the caller takes.

    Raises:
        StateError: entries are missing or unexpected; nothing was set.
    """
    owner = type(schedule).__name__
    if not isinstance(state, Mapping):
        raise StateError(f"{owner}: expected a dictionary as state_dict() gives it, got {type(state).__name__}")
    wanted = set(vars(schedule)) - schedule._unsaved
    faults = [f"{name!r} missing" for name in sorted((wanted | also) - set(state))]
    faults += [f"{name!r} unexpected" for name in sorted(set(state) - wanted - also, key=str)]
    if faults:
        raise StateError(f"the state does not fit {owner}, nothing was loaded: {', '.join(faults)}")
    vars(schedule).update({name: copy.deepcopy(state[name]) for name in wanted - also})


def state_of_functions(functions: Sequence[Callable[..., Any] | None]) -> list[dict[str, Any] | None]:
    """What objects that are called remember; None for functions, which are code and not saved."""
    return [
        None if one is None or isinstance(one, types.FunctionType) else copy.deepcopy(vars(one)) for one in functions
    ]


def take_functions(functions: Sequence[Any], states: Sequence[Mapping[str, Any] | None]) -> None:
    """Give them back what :func:`state_of_functions` has found."""
    for one, state in zip(functions, states, strict=True):
        if state is not None:
            vars(one).update(copy.deepcopy(state))
