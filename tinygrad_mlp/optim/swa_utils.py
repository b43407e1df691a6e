"""Averages of weights over the course of training: SWA, the plain mean, and EMA, which forgets."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ..capture import whole_step
from ..errors import ArgumentError, CaptureError
from ..nn.module import Module
from ..tape import wrap, wrote
from ..tensor import Tensor, no_grad
from .lr_scheduler.base import LRScheduler, checked_optimizer, per_group
from .optimizer import Optimizer

__all__ = [
    "SWALR",
    "AveragedModel",
    "get_ema_avg_fn",
    "get_ema_multi_avg_fn",
    "get_swa_avg_fn",
    "get_swa_multi_avg_fn",
    "update_bn",
]

Average = Callable[[Tensor, Tensor, int], Any]
"""``average(averaged, current, n_averaged)`` gives the new average, as a tensor, of one parameter."""
AverageAll = Callable[[Sequence[Tensor], Sequence[Tensor], int], None]
"""The same for all parameters, in place."""


def get_swa_avg_fn() -> Average:
    """``averaged + (current - averaged) / (n_averaged + 1)``: the mean of all models so far."""

    def average(averaged: Tensor, current: Tensor, n_averaged: int) -> Tensor:
        return averaged + (current - averaged) / (n_averaged + 1)

    return average


def get_ema_avg_fn(decay: float = 0.999) -> Average:
    """``decay * averaged + (1 - decay) * current``: a mean that forgets.

    Raises:
        ArgumentError: a decay outside [0, 1].
    """
    _check_decay(decay)

    def average(averaged: Tensor, current: Tensor, _: int) -> Tensor:
        return decay * averaged + (1 - decay) * current

    return average


def _check_decay(decay: float) -> None:
    if not 0.0 <= decay <= 1.0:
        raise ArgumentError(f"the decay of a running mean lies in [0, 1], got {decay!r}; say decay=0.999")


def _for_all(average: Average) -> AverageAll:
    def average_all(averaged: Sequence[Tensor], current: Sequence[Tensor], n_averaged: int) -> None:
        for one, new in zip(averaged, current, strict=True):
            _overwrite(one, average(one, new, n_averaged))

    return average_all


def get_swa_multi_avg_fn() -> AverageAll:
    """:func:`get_swa_avg_fn` for lists of parameters, in place."""
    return _for_all(get_swa_avg_fn())


def get_ema_multi_avg_fn(decay: float = 0.999) -> AverageAll:
    """:func:`get_ema_avg_fn` for lists of parameters, in place.

    Raises:
        ArgumentError: a decay outside [0, 1].
    """
    return _for_all(get_ema_avg_fn(decay))


def _overwrite(target: Tensor, value: Any) -> None:
    np.copyto(target.data, value.data if isinstance(value, Tensor) else value, casting="same_kind")
    wrote("AveragedModel.update_parameters", target.data)


class AveragedModel(Module):
    """A copy of a model whose weights are an average of the model's over time.

    Call :meth:`update_parameters` after steps of the optimizer, or after epochs. The first call copies. Then predict
    with the averaged model; if it has batch normalisation, after :func:`update_bn`.

    Args:
        model: what is averaged; the copy is independent of it.
        avg_fn: the average of one parameter; the plain mean by default. multi_avg_fn: instead, for all at once.
        use_buffers: average the buffers too; else they are copied in each update.

    Attributes:
        module: the copy. n_averaged: how many models are in the average, a buffer.

    Raises:
        ArgumentError: both functions given.

    >>> from tinygrad_mlp import nn, optim
    >>> model = nn.Linear(1, 1, bias=False)
    >>> mean = optim.swa_utils.AveragedModel(model)
    >>> for weight in (1.0, 2.0, 6.0):
    ...     _ = nn.init.constant_(model.weight, weight)
    ...     mean.update_parameters(model)
    >>> mean.module.weight.item(), int(mean.n_averaged.item())
    (3.0, 3)

    Source: Izmailov et al., UAI 2018 (SWA); Polyak & Juditsky, 1992.
    """

    n_averaged: Tensor

    def __init__(
        self,
        model: Module,
        avg_fn: Average | None = None,
        multi_avg_fn: AverageAll | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise ArgumentError("AveragedModel: give avg_fn or multi_avg_fn, not both")
        self.module = copy.deepcopy(model)
        self.register_buffer("n_averaged", Tensor(np.zeros((), np.int64)))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the averaged model computes."""
        return self.module(*args, **kwargs)

    @no_grad()
    def update_parameters(self, model: Module) -> None:
        """Take the present weights of ``model`` into the average.

        Raises:
            CaptureError: inside a step that is being compiled; call it after the step.
        """
        if whole_step() is not None:
            raise CaptureError(
                "AveragedModel.update_parameters counts in Python what it has averaged, which a compiled step would "
                "not do again; call it after the step"
            )
        averaged, current = list(self.module.parameters()), list(model.parameters())
        if self.use_buffers:
            averaged += self.module.buffers()
            current += model.buffers()
        pairs = [(wrap(Tensor, one.data), wrap(Tensor, new.data)) for one, new in zip(averaged, current, strict=True)]
        count = int(self.n_averaged.item())
        if count == 0:
            for one, new in pairs:
                _overwrite(one, new)
        else:
            average = self.multi_avg_fn or _for_all(self.avg_fn or get_swa_avg_fn())
            average([one for one, _ in pairs], [new for _, new in pairs], count)
        if not self.use_buffers:
            for one, new in zip(self.module.buffers(), model.buffers(), strict=True):
                _overwrite(one, new)
        _overwrite(self.n_averaged, np.array(count + 1))


@no_grad()
def update_bn(loader: Iterable[Any], model: Module) -> None:
    """Compute the running statistics of all batch normalisation in ``model`` anew, with its present weights.

    Args:
        loader: batches; of a tuple or list the first member is the input. model: modules that have
            ``reset_running_stats`` are reset, and see the plain mean over all batches; without such modules nothing
            is done.
    """
    layers: list[Any] = [one for one in model.modules() if hasattr(one, "reset_running_stats")]
    if not layers:
        return
    training, momenta = model.training, [one.momentum for one in layers]
    for one in layers:
        one.reset_running_stats()
        one.momentum = None
    model.train()
    try:
        for batch in loader:
            model(batch[0] if isinstance(batch, (list, tuple)) else batch)
    finally:
        for one, momentum in zip(layers, momenta, strict=True):
            one.momentum = momentum
        model.train(training)


class SWALR(LRScheduler):
    """From the present rate to ``swa_lr`` in ``anneal_epochs`` steps, and constant from there.

    Args:
        optimizer, last_epoch: see :class:`~tinygrad_mlp.optim.lr_scheduler.LRScheduler`. swa_lr: the rate at the end,
            or one per group. anneal_epochs: steps of the way. anneal_strategy: ``"cos"`` or ``"linear"``.

    Raises:
        ArgumentError: an unknown strategy, a negative number of steps.

    Source: Izmailov et al., UAI 2018.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: float | list[float],
        anneal_epochs: int = 10,
        anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ) -> None:
        rates = per_group("SWALR", "swa_lr", checked_optimizer("SWALR", optimizer), swa_lr)
        if anneal_strategy not in {"cos", "linear"}:
            raise ArgumentError(f"SWALR: anneal_strategy is 'cos' or 'linear', got {anneal_strategy!r}")
        if anneal_epochs < 0 or anneal_epochs != int(anneal_epochs):
            raise ArgumentError(f"SWALR: anneal_epochs counts steps from 0, got {anneal_epochs!r}")
        for rate, group in zip(rates, optimizer.param_groups, strict=True):
            group["swa_lr"] = rate
        self._anneal_strategy = anneal_strategy
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def _share(self, step: int) -> float:
        """How much of the way is done."""
        t = max(0.0, min(1.0, step / max(1, self.anneal_epochs)))
        return t if self._anneal_strategy == "linear" else (1 - math.cos(math.pi * t)) / 2

    def get_lr(self) -> list[float]:
        """See :class:`~tinygrad_mlp.optim.lr_scheduler.LRScheduler`."""
        self._warn_of_asking()
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = self._share(step - 1), self._share(step)
        rates = []
        for group, rate in zip(self.optimizer.param_groups, self._lrs(), strict=True):
            end = group["swa_lr"]
            start = end if before == 1 else (rate - before * end) / (1 - before)
            rates.append(end * now + start * (1 - now))
        return rates
