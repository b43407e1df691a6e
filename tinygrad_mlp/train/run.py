"""One call of ``fit``, ``evaluate`` or ``predict``, as callbacks see it."""

from __future__ import annotations

from typing import Any

from ..errors import ArgumentError
from ..nn import Module
from .feeds import Feed
from .history import History
from .meters import Meters
from .objective import Objective

__all__ = ["Run"]


class Run:
    """What is being trained, how far it is, and the way to end it early.

    Attributes:
        model: the module. optimizer: what steps, None in ``evaluate`` and ``predict``.
        objective: what a step makes smaller, :class:`Objective`; None in ``predict``.
        history: what ``fit`` will return. Its lists hold the finished epochs.
        params: ``epochs``, ``steps``, ``batch_size``, ``samples``, ``verbose``; also ``history.params``.
        feed: the batches; ``feed.loader`` is the DataLoader behind them, or None. validation: those held out, or None.
        callbacks: all of this run, in the order in which their hooks are called.
        epoch: the epoch that is running, or the next one, from 0. In ``on_train_begin`` a callback may set it, and
            training then begins there.
        batch: how many batches of this epoch are done. In ``on_train_begin`` it may be set, too, with ``meters``.
        pending: how many of them are in the gradients and not yet in the weights (``accumulate``).
        meters: the loss and the metrics of the epoch that is running.
        reason: why training is to end early, or None. diverged: whether that is a loss or gradient that is not finite.
        seed: of the order of the samples and of the split, or None where a DataLoader has its own.
        compiled: the compiled epochs, or None.
        weights: what the weights are after a run that diverged, for the warning; a callback that changes them says so.
    """

    def __init__(
        self,
        model: Module,
        *,
        params: dict[str, Any],
        feed: Feed,
        optimizer: Any = None,
        objective: Objective | None = None,
        history: History | None = None,
        validation: Feed | None = None,
        seed: int | None = None,
    ) -> None:
        self.model = model
        self.optimizer = optimizer
        self.objective = objective
        self.history = History(params) if history is None else history
        self.params = params
        self.feed = feed
        self.validation = validation
        self.seed = seed
        self.compiled: Any = None
        self.callbacks: list[Any] = []
        self.epoch = 0
        self.batch = 0
        self.pending = 0
        self.meters: Meters | None = None
        self.reason: str | None = None
        self.diverged = False
        self.weights = ""

    def stop(self, reason: str) -> None:
        """End training after the step (in a batch hook) or the epoch (in an epoch hook) that is running.

        Args:
            reason: a short statement for people; it becomes ``history.stopped`` and the last line that is printed.
        """
        if self.reason is None:
            self.reason = reason

    @property
    def stopping(self) -> bool:
        """Whether training is to end: by :meth:`stop`, or because ``model.stop_training`` was set, as in Keras."""
        if self.reason is None and getattr(self.model, "stop_training", False):
            self.stop("a callback set model.stop_training")
        return self.reason is not None

    def captured(self) -> list[str]:
        """The kinds of batches for which a step runs a program that has been captured already."""
        return [] if self.compiled is None else list(self.compiled.captured())

    @property
    def rate(self) -> float:
        """The learning rate, or NaN where there is none."""
        groups = getattr(self.optimizer, "param_groups", None) or [{}]
        return float(groups[0].get("lr", float("nan")))

    @property
    def lr(self) -> float:
        """The learning rate of the optimizer's first group; setting it sets that of every group.

        Raises:
            ArgumentError: there is no optimizer with ``param_groups`` that have a learning rate.
        """
        return float(self._groups()[0]["lr"])

    @lr.setter
    def lr(self, value: float) -> None:
        for group in self._groups():
            group["lr"] = value

    def _groups(self) -> list[dict[str, Any]]:
        groups: list[dict[str, Any]] = getattr(self.optimizer, "param_groups", [])
        if not groups or any("lr" not in group for group in groups):
            raise ArgumentError(
                f"expected an optimizer whose param_groups have a learning rate, got {type(self.optimizer).__name__}; "
                "say optimizer=optim.SGD(model.parameters(), lr=0.01)"
            )
        return groups
