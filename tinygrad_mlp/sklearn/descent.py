"""The inner loops of scikit-learn's MLP: one epoch of batches, and the function that L-BFGS minimises."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..autograd import grad
from ..data import DataLoader
from ..nn import MLP, Linear
from ..optim import Optimizer
from ..program import compile as compiled_step
from ..tape import Array
from ..tensor import Tensor, from_numpy
from ..train.compiled import chosen
from .heads import Head

__all__ = ["Epochs", "Objective", "PackedObjective", "dense_layers", "unpack"]


# Capturing a step costs as much as ten of them; replay, bit by bit the same, then saves a fifth of each.
_MANY = 100


def dense_layers(net: MLP) -> list[Linear]:
    """The layers with weights, in order."""
    return [layer for layer in net if isinstance(layer, Linear)]


class Objective:
    """The loss of a batch as a function of tensors: mean of the head's losses, and the L2 penalty of the weights.

    ``(sum_i w_i l_i + alpha / 2 * sum_k W_k**2) / sum_i w_i``: biases are not penalised, and the penalty is divided by
    the weight of the batch, so that an epoch weighs it the same whatever the batch size.
    """

    def __init__(self, net: MLP, head: Head, alpha: float) -> None:
        self.net, self.head, self.alpha = net, head, float(alpha)
        self._weights = [layer.weight for layer in dense_layers(net)]

    def __call__(self, x: Any, y: Any, weights: Any = None) -> tuple[Any, Any, Any]:
        """What is differentiated; the losses of the elements; and the penalty's part of the loss."""
        losses = self.head.losses(self.net(x), y)
        total: Any = x.shape[0]
        weighed = losses
        if weights is not None:
            total = ops.sum(weights)
            weighed = losses * (ops.unsqueeze(weights, 1) if losses.ndim > 1 else weights)
        value = ops.sum(weighed) / total
        if not self.alpha:
            return value, losses, 0.0
        # The gradient of w·w is 2w, made in three passes; that of w·v, with v a w held fixed, is v: one pass.
        products: Any = 0.0
        for weight in self._weights:
            flat = ops.reshape(weight.T, (-1,))
            products = products + ops.matmul(flat.detach(), flat)
        scale = self.alpha / total
        return value + products * scale, losses, products * (0.5 * scale)

    def reported(self, losses: Array, penalty: Any, targets: Array, weights: Array | None) -> float:
        """The number that scikit-learn gives for the loss of a batch."""
        return self.head.reported(losses, targets, weights) + float(penalty)

    def slopes(self, *batch: Tensor) -> tuple[Any, ...]:
        """The losses of the elements, the penalty, and the gradients of all weights and then all biases."""
        value, losses, penalty = self(*batch)
        biases: list[Any] = [layer.bias for layer in dense_layers(self.net)]
        return losses, penalty, *grad(value, [*self._weights, *biases])


class PackedObjective:
    """An objective over all data as a function of one vector, weights first and then biases.

    Args:
        objective: of the net that the vector's numbers are written into. columns: the data. calls: how many to expect.
    """

    def __init__(self, objective: Objective, columns: tuple[Array, ...], calls: int) -> None:
        self._objective, self._columns = objective, columns
        self._slopes: Any = objective.slopes
        loader = DataLoader(columns, len(columns[0]))
        backend: Any = chosen("auto", objective.net, calls, loader) or ("replay" if calls >= _MANY else None)
        if backend is not None:
            self._slopes = compiled_step(objective.slopes, backend=backend)

    def __call__(self, packed: Array) -> tuple[float, Array]:
        """The reported loss, and the gradient."""
        unpack(self._objective.net, packed)
        losses, penalty, *slopes = self._slopes(*[from_numpy(one) for one in self._columns])
        reported = self._objective.reported(
            losses.data, getattr(penalty, "data", penalty), *_two(list(self._columns[1:]))
        )
        return reported, np.concatenate([one.data.T.ravel() for one in slopes])


def unpack(net: MLP, packed: Array) -> None:
    """Overwrite all weights, then all biases, by the numbers of one vector; weights in scikit-learn's layout."""
    layers = dense_layers(net)
    arrays = [layer.weight.data.T for layer in layers] + [layer.bias.data for layer in layers if layer.bias is not None]
    start = 0
    for array in arrays:
        np.copyto(array, packed[start : start + array.size].reshape(array.shape))
        start += array.size


class _Dealt(DataLoader):
    """Batches in an order that comes from outside."""

    places: Array

    def order(self, epoch: int) -> Array:  # noqa: ARG002 - a new order is set before every epoch
        """Return the order that was set."""
        return self.places


class Epochs:
    """Epochs of stochastic steps: step by step, or compiled where the run is long enough to gain from it."""

    def __init__(
        self, objective: Objective, optimizer: Optimizer, columns: tuple[Any, ...], batch_size: int, epochs: int
    ) -> None:
        self._objective, self._optimizer = objective, optimizer
        self._columns, self._size = columns, batch_size
        self._loader: _Dealt | None = None
        self._run_step: Any = self._step
        samples = columns[0].shape[0]
        if isinstance(columns[0], np.ndarray):
            loader = _Dealt(columns, batch_size)
            if chosen("auto", objective.net, epochs, loader):
                self._loader = loader
                self._compiled = compiled_step(self._step, backend="native")
        if self._loader is None and epochs * -(-samples // batch_size) >= _MANY:
            self._run_step = compiled_step(self._step, backend="replay")

    def _step(self, *batch: Tensor) -> tuple[Any, Any]:
        self._optimizer.zero_grad()
        value, losses, penalty = self._objective(*batch)
        value.backward()
        self._optimizer.step()
        return losses, penalty

    def run(self, order: Array | None) -> float:
        """One epoch.

        Args:
            order: the places of the samples; None takes them as they lie.

        Returns:
            The loss, averaged over the samples as the weights changed.
        """
        if self._loader is not None:
            return self._run_compiled(order)
        samples = self._columns[0].shape[0]
        total = 0.0
        for start in range(0, samples, self._size):
            part: Any = slice(start, min(start + self._size, samples))
            count = part.stop - start
            x, *rest = [one[part if order is None else order[part]] for one in self._columns]
            if not isinstance(x, np.ndarray):
                x = x.toarray()  # the engine is dense; this much of a sparse matrix at a time
            losses, penalty = self._run_step(*[from_numpy(one) for one in (x, *rest)])
            total += count * self._objective.reported(losses.data, getattr(penalty, "data", penalty), *_two(rest))
        return total / samples

    def _run_compiled(self, order: Array | None) -> float:
        assert self._loader is not None
        samples = self._columns[0].shape[0]
        self._loader.places = np.arange(samples) if order is None else order
        runs = self._compiled.run(self._loader)
        rest = [one[self._loader.places] for one in self._columns[1:]]
        start, total = 0, 0.0
        penalised = bool(self._objective.alpha)
        pieces = (
            zip(runs.arrays(0), runs.arrays(1), strict=True) if penalised else ((one, None) for one in runs.arrays(0))
        )
        for losses, penalties in pieces:
            for place, one in enumerate(losses):
                stop = start + one.shape[0]
                batch = [column[start:stop] for column in rest]
                penalty = 0.0 if penalties is None else penalties[place]
                total += one.shape[0] * self._objective.reported(one, penalty, *_two(batch))
                start = stop
        return total / samples


def _two(rest: list[Array]) -> tuple[Array, Array | None]:
    return rest[0], rest[1] if len(rest) > 1 else None
