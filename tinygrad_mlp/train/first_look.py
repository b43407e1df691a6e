"""What is looked at in every ``fit``, because it costs nothing: inputs, first outputs, the weights at the beginning."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..nn import (
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    LogSoftmax,
    Module,
    MSELoss,
    ReLU,
    Sequential,
    Sigmoid,
    Softmax,
    Tanh,
)
from ..tape import Array
from ..tensor import Tensor
from ..tree import flatten
from .findings import Findings
from .run import Run

__all__ = ["FirstLook", "arrays_in", "some_rows"]

_ROWS = 256
_OURS = (CrossEntropyLoss, BCEWithLogitsLoss, MSELoss)


class FirstLook:
    """Looks once, in less time than a few steps take.

    Args:
        run: the run that is about to begin. findings: where to enter what is found.
    """

    def __init__(self, run: Run, findings: Findings | None = None) -> None:
        self.run = run
        self.findings = Findings() if findings is None else findings

    def before(self) -> None:
        """Look at the data and the model before the first step."""
        for array in arrays_in(self.run.feed.inputs):
            if not self._pixels(array):
                self._scales(array)
        self._equal_weights(self.run.model)
        self._last_layer(self.run.model)

    def _pixels(self, x: Array) -> bool:
        if x.ndim < 2 or x.dtype.kind not in "fu" or not x.size:
            return False
        some = some_rows(x)
        low, high = float(some.min()), float(some.max())
        # Whole numbers up to 255 that use the upper half of their range.
        found = low >= 0 and 128 <= high <= 255 and bool((some == np.round(some)).all())
        if found:
            self.findings.add("pixels", "x", low=low, high=high)
        return found

    def _scales(self, x: Array) -> None:
        if x.ndim != 2 or x.dtype.kind != "f" or x.shape[1] < 2:
            return
        spread = some_rows(x).std(0, dtype=np.float64)
        known = spread[spread > 0]
        if known.size > 1 and float(known.max()) > 30:
            self.findings.add("scales", "x", widest=int(spread.argmax()), most=known.max(), least=known.min())

    def _equal_weights(self, model: Module) -> None:
        matrices = [(name, one.data) for name, one in model.named_parameters() if one.ndim >= 2 and len(one.data) > 1]
        if len(matrices) < 2:
            return  # without a hidden layer there are no units that have to differ
        for name, array in matrices:
            if array.size and (array == array.flat[0]).all():
                self.findings.add("equal weights", name, value=float(array.flat[0]))

    def _last_layer(self, model: Module) -> None:
        objective = self.run.objective
        if objective is None or not objective.single:
            return
        last = model
        while isinstance(last, Sequential) and len(last):
            last = last[len(last) - 1]
        name = f"nn.{type(last).__name__}"
        squeezes = isinstance(last, (Softmax, Sigmoid, ReLU, Tanh))
        if isinstance(objective.given, CrossEntropyLoss) and squeezes:
            self.findings.add("softmax", "model", name=name)
        if isinstance(objective.given, BCEWithLogitsLoss) and (squeezes or isinstance(last, LogSoftmax)):
            self.findings.add("sigmoid", "model", name=name)

    def batch(self, outputs: Any, targets: Any) -> None:
        """Look at the outputs of the first batch.

        Args:
            outputs, targets: arrays; several in tuples or dicts, which are passed over.
        """
        objective = self.run.objective
        if objective is None or not isinstance(outputs, np.ndarray) or not isinstance(targets, np.ndarray):
            return
        n = len(targets)
        if isinstance(objective.given, CrossEntropyLoss) and outputs.ndim == 2 and n > 1 and outputs.shape[1] > 1:
            sums = outputs.sum(1, dtype=np.float64)
            if bool((outputs >= 0).all()) and np.allclose(sums, 1.0, atol=1e-4):
                self.findings.add("softmax", "model", name="a softmax")
        # A loss that makes the shapes equal by itself says so.
        careful = isinstance(objective.given, _OURS) or getattr(objective.given, "aligns", False)
        if not careful and n > 1 and {outputs.shape, targets.shape} == {(n,), (n, 1)}:
            shape = "-1, 1" if outputs.ndim == 2 else "-1"
            shapes = {"outputs": outputs.shape, "targets": targets.shape, "square": (n, n)}
            self.findings.add("broadcast", "loss", shape=shape, **shapes)


def some_rows(x: Array) -> Array:
    """A few hundred samples, from everywhere in the data."""
    return x[:: max(1, len(x) // _ROWS)]


def arrays_in(tree: Any) -> Iterator[Array]:
    """The arrays in one input or several."""
    for one in flatten(tree)[0]:
        array = one.data if isinstance(one, Tensor) else one
        if isinstance(array, np.ndarray):
            yield array
