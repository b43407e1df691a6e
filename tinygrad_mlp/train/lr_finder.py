"""A learning rate from one sweep: rates that grow from batch to batch, and the loss that answers to them."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data import DataLoader
from ..errors import ArgumentError
from ..nn import Module
from ..tensor import Tensor
from ..viz import plot_lr_find
from .choices import loss_of, optimizer_of

__all__ = ["LRFind", "lr_find"]

# How much the running mean of the loss keeps in each step, and how far it may rise above its best before the end.
_KEEP, _EXPLODED = 0.9, 4.0


@dataclass(frozen=True)
class LRFind:
    """What :func:`lr_find` has seen.

    Attributes:
        lrs: the rates tried. losses: of the batch at each rate, before its step. smoothed: their running mean.
        steepest: the rate at which the running mean falls fastest per decade, by a line fitted to the points around it.
        minimum: the rate at which it is least, divided by 10: at the minimum itself training is about to break.
        stopped: why the sweep ended.
    """

    lrs: list[float]
    losses: list[float]
    smoothed: list[float]
    steepest: float
    minimum: float
    stopped: str

    @property
    def suggestion(self) -> float:
        """The smaller of ``steepest`` and ``minimum``: both are large enough to learn fast, and this one is safer."""
        return min(self.steepest, self.minimum)

    def plot(self, *, ax: Any = None) -> Any:
        """Draw the loss over the rates, with both suggestions.

        Args:
            ax: matplotlib axes to draw into; new ones by default.

        Returns:
            The matplotlib ``Axes``.

        Raises:
            MissingExtraError: matplotlib is not installed.
        """
        marks = {"steepest": self.steepest, "minimum / 10": self.minimum}
        return plot_lr_find(self.lrs, self.losses, self.smoothed, marks, ax=ax)

    def __repr__(self) -> str:
        return (
            f"LRFind(suggestion={self.suggestion:.2e}: steepest at {self.steepest:.2e}, minimum / 10 at "
            f"{self.minimum:.2e}; {len(self.lrs)} rates from {self.lrs[0]:.1e} to {self.lrs[-1]:.1e}, {self.stopped})"
        )


def lr_find(
    model: Module,
    x: Any,
    y: Any = None,
    *,
    batch_size: int | None = None,
    optimizer: Any = "adam",
    loss: Any = "cross_entropy",
    start_lr: float = 1e-6,
    end_lr: float = 10.0,
    num_steps: int = 100,
    shuffle: bool = True,
    seed: int | None = None,
) -> LRFind:
    """Train a copy of ``model`` with a rate that grows from batch to batch, and see where the loss falls fastest.

    Rate ``i`` is ``start_lr * (end_lr / start_lr) ** (i / (num_steps - 1))``. The sweep ends early when the running
    mean of the loss is four times its best, or not finite. Model, optimizer, generators and data loader stay exactly
    as they were: what is trained is a copy.

    Args:
        model, x, y, batch_size, optimizer, loss, shuffle, seed: as in :func:`~tinygrad_mlp.train.fit`; give the
            optimizer and the batch size that will train, for the best rate depends on both.
        start_lr, end_lr: the range. num_steps: how many batches, of as many epochs as it takes.

    Returns:
        :class:`LRFind`: ``lrs``, ``losses``, ``suggestion``, ``plot()``.

    Raises:
        ArgumentError: a range that is none, less than 10 steps, or what :func:`~tinygrad_mlp.train.fit` refuses; a loss
            that is not finite before anything could be seen.

    Source: Smith, WACV 2017, section 3.3.

    >>> import numpy as np
    >>> from tinygrad_mlp import nn, train
    >>> x = np.random.default_rng(0).normal(size=(256, 2))
    >>> found = train.lr_find(nn.MLP(2, 16, 2, seed=0), x, (x[:, 0] * x[:, 1] > 0).astype(int), seed=0)
    >>> 1e-4 < found.suggestion < 1
    True
    """
    if not 0.0 < start_lr < end_lr:
        raise ArgumentError(f"expected 0 < start_lr < end_lr, got {start_lr!r} and {end_lr!r}")
    if num_steps < 10:
        raise ArgumentError(f"expected num_steps >= 10, got {num_steps!r}; fewer points show no curve")
    criterion = loss_of(loss)
    batches = _loader(x, y, 32 if batch_size is None else batch_size, shuffle=shuffle, seed=seed)
    dtype = next((one.dtype for one in model.parameters()), np.dtype(np.float32))
    trained, stepper = copy.deepcopy((model, None if isinstance(optimizer, str) else optimizer))
    stepper = optimizer_of(optimizer if stepper is None else stepper, trained, None)
    trained.train()
    lrs: list[float] = []
    losses: list[float] = []
    smoothed: list[float] = []
    mean, stopped = 0.0, "the whole range"
    for number, (given, wanted) in enumerate(itertools.islice(_endless(batches), num_steps)):
        rate = start_lr * (end_lr / start_lr) ** (number / (num_steps - 1))
        for group in stepper.param_groups:
            group["lr"] = rate
        stepper.zero_grad()
        found = criterion(trained(_tensor(given, dtype)), _tensor(wanted, dtype))
        value = float(found.item())
        mean = _KEEP * mean + (1.0 - _KEEP) * value
        running = mean / (1.0 - _KEEP ** (number + 1))
        if not math.isfinite(value) or (smoothed and running > _EXPLODED * abs(min(smoothed)) > 0):
            stopped = "until the loss exploded"
            break
        lrs.append(rate)
        losses.append(value)
        smoothed.append(running)
        found.backward()
        stepper.step()
    if len(lrs) < 10:
        raise ArgumentError(
            f"the loss exploded after {len(lrs)} steps, at a rate of {start_lr:g} already; scale the data, or give a "
            "smaller start_lr"
        )
    lowest = min(range(len(lrs)), key=smoothed.__getitem__)
    return LRFind(lrs, losses, smoothed, lrs[_steepest(smoothed, lowest)], lrs[lowest] / 10.0, stopped)


def _steepest(smoothed: list[float], lowest: int) -> int:
    """Where the curve falls fastest on its way to the minimum: lines fitted to a fifth of the points around each."""
    width = max(len(smoothed) // 10, 2)
    places = np.arange(-width, width + 1.0)
    middles = range(2 * width, max(min(lowest, len(smoothed) - width), 2 * width + 1))
    slopes = [float(places @ smoothed[i - width : i + width + 1]) for i in middles if i + width < len(smoothed)]
    return middles[int(np.argmin(slopes))] if slopes else lowest


def _loader(x: Any, y: Any, batch_size: int, *, shuffle: bool, seed: int | None) -> DataLoader:
    if isinstance(x, DataLoader):
        return x
    if y is None:
        raise ArgumentError("expected targets beside x; say lr_find(model, x, y), or give a DataLoader((x, y))")
    columns = tuple([one.data if isinstance(one, Tensor) else np.asarray(one) for one in (x, y)])
    return DataLoader(columns, batch_size, shuffle, seed=seed)


def _tensor(value: Any, dtype: np.dtype[Any]) -> Tensor:
    array = value.data if isinstance(value, Tensor) else value
    return Tensor(array.astype(dtype, copy=False) if array.dtype.kind == "f" else array)


def _endless(batches: DataLoader) -> Iterator[Any]:
    """Batches of one epoch after the other, without counting the loader's own epochs up."""
    for epoch in itertools.count(batches.epoch):
        yield from batches.batches(epoch)
