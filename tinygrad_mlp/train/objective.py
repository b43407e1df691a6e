"""The loss of a batch: of one output or several, of samples that count alike or not."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..errors import ArgumentError, did_you_mean
from ..nn import Module
from ..tensor import Tensor
from .advice import compared
from .choices import classifies, loss_of
from .feeds import Batch, Feed
from .meters import aligned, outputs_of

__all__ = ["Objective", "called"]

Criterion = Callable[[Any, Any], Any]


class Objective:
    """What a step makes smaller: the loss of every output, times its weight, added up.

    The weights of samples count as in Keras: the loss is ``sum(w_i * l_i) / n``, with n the number of samples and not
    the sum of the weights, so that a weight of 2 is the sample taken twice, but for n.

    Args:
        loss: a name or a callable for all outputs; or a list, tuple or dict of them, one per output.
        weights: numbers to multiply the losses of several outputs with, a list or dict; 1 by default.

    Raises:
        ArgumentError: an unknown name, ``reduction="none"``, weights that are no numbers.
    """

    def __init__(self, loss: Any, weights: Any = None) -> None:
        if isinstance(loss, Mapping):
            self.given: Any = {name: loss_of(one) for name, one in loss.items()}
        elif isinstance(loss, (list, tuple)):
            self.given = [loss_of(one) for one in loss]
        else:
            self.given = loss_of(loss)
        self.weights = weights
        self._each: dict[int, Criterion] = {}
        self._settled: tuple[list[str], list[Criterion], list[float]] = ([""], [self.given], [1.0])
        self.single = callable(self.given)

    @property
    def criteria(self) -> list[Criterion]:
        """All losses."""
        given = self.given
        return list(given.values()) if isinstance(given, dict) else given if isinstance(given, list) else [given]

    @property
    def reduction(self) -> str:
        """``"sum"`` if the losses are sums over the batch, else ``"mean"``."""
        return "sum" if all(_sums(one) for one in self.criteria) else "mean"

    def classifies(self) -> Any:
        """The metrics that make sense by default: accuracy where outputs are classes, nested like the losses."""
        given = self.given
        if isinstance(given, dict):
            return {name: ["accuracy"] if classifies(one) else [] for name, one in given.items()}
        if isinstance(given, list):
            return [["accuracy"] if classifies(one) else [] for one in given]
        return ["accuracy"] if classifies(given) else []

    def __call__(self, outputs: Any, batch: Batch, feed: Feed) -> tuple[Any, list[Any]]:
        """The loss of a batch, and those of its outputs where there are several."""
        if isinstance(outputs, Tensor) and self.single:
            return self._one(self.given, outputs, batch.y, batch.weights, feed), []
        names, found = outputs_of(outputs)
        criteria, weights = self._settle(names)
        targets = aligned(names, batch.y, outputs) if names != [""] else [batch.y]
        counted = batch.weights
        several = isinstance(counted, (tuple, list, dict))
        shares = aligned(names, counted, outputs) if several and names != [""] else [counted] * len(names)
        parts = [
            self._one(criterion, one, target, share, feed)
            for criterion, one, target, share in zip(criteria, found, targets, shares, strict=True)
        ]
        total: Any = None
        for weight, part in zip(weights, parts, strict=True):
            scaled = part if weight == 1.0 else part * weight
            total = scaled if total is None else total + scaled
        return total, parts

    def _settle(self, names: list[str]) -> tuple[list[Criterion], list[float]]:
        if self._settled[0] != names or not self.single:
            self._settled = (names, _spread("loss", self.given, names), _numbers(self.weights, names))
        return self._settled[1], self._settled[2]

    def _one(self, criterion: Criterion, outputs: Any, y: Any, weights: Any, feed: Feed) -> Any:
        if weights is None:
            return compared(criterion, outputs, y, feed.targets)
        if "sample_weight" in _parameters(criterion):
            return criterion(outputs, y, sample_weight=weights)  # type: ignore[call-arg]
        each = compared(self._unreduced(criterion), outputs, y, feed.targets)
        shape = (-1, *[1] * (each.ndim - 1))
        scaled = each * (weights.reshape(*shape) if each.ndim > 1 else weights)
        return scaled.sum() if _sums(criterion) else scaled.mean()

    def _unreduced(self, criterion: Criterion) -> Criterion:
        """The same loss with one number per sample."""
        if id(criterion) not in self._each:
            if not isinstance(getattr(criterion, "reduction", None), str):
                name = getattr(criterion, "__name__", type(criterion).__name__)
                raise ArgumentError(
                    f"the loss {name} gives one number per batch, which cannot be weighted; give it a parameter: "
                    f"def {name}(outputs, targets, sample_weight=None)"
                )
            twin: Any = copy.copy(criterion)
            twin.reduction = "none"
            self._each[id(criterion)] = twin
        return self._each[id(criterion)]


def called(model: Module, x: Any) -> Any:
    """The model's outputs for inputs that are one tensor, a tuple (``model(*x)``) or a dict (``model(**x)``)."""
    if isinstance(x, dict):
        return model(**x)
    return model(*x) if isinstance(x, tuple) else model(x)


def _sums(criterion: Any) -> bool:
    return getattr(criterion, "reduction", "mean") == "sum"


def _parameters(criterion: Any) -> Any:
    if isinstance(criterion, Module):
        criterion = type(criterion).forward
    try:
        return inspect.signature(criterion).parameters
    except (TypeError, ValueError):
        return ()


def _spread(what: str, given: Any, names: list[str]) -> list[Any]:
    """One of what was given for every output."""
    if isinstance(given, Mapping):
        for name in given:
            if name not in names:
                raise ArgumentError(f"{what} for an {did_you_mean('output', name, names)}")
        missing = [name for name in names if name not in given]
        if missing:
            raise ArgumentError(f"{what}: nothing is given for the outputs {missing}")
        return [given[name] for name in names]
    if isinstance(given, (list, tuple)):
        if len(given) != len(names):
            raise ArgumentError(
                f"{what}: {len(given)} are given, and the model has {len(names)} output{'s' * (len(names) != 1)}"
            )
        return list(given)
    return [given] * len(names)


def _numbers(given: Any, names: list[str]) -> list[float]:
    if given is None:
        return [1.0] * len(names)
    if isinstance(given, Mapping):
        given = dict.fromkeys(names, 1.0) | dict(given)
    found = [float(one) for one in _spread("loss_weights", given, names)]
    if not np.isfinite(found).all():
        raise ArgumentError(f"loss_weights are finite numbers, got {given!r}")
    return found
