"""The training step as a careful person writes it by hand in NumPy: chain rule by hand, every array reused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from workloads import Workload

__all__ = ["make_step"]


def make_step(workload: Workload, dtype: Any = np.float32) -> Callable[[], Any]:
    """A function that does one training step and returns the loss before it."""
    x, target = workload.data(dtype)
    batch = workload.batch
    # Weights as (in, out): then no product of the forward pass has to read them across.
    weights = [np.ascontiguousarray(weight.T) for weight, _ in workload.weights(dtype)]
    biases = [bias for _, bias in workload.weights(dtype)]
    weight_gradients = [np.empty_like(weight) for weight in weights]
    bias_gradients = [np.empty_like(bias) for bias in biases]
    outputs = [np.empty((batch, size), dtype) for size in workload.sizes[1:]]
    # One gradient per hidden layer; that of the last layer is made by the loss.
    deltas = [np.empty((batch, size), dtype) for size in workload.sizes[1:-1]]
    masks = [np.empty((batch, size), bool) for size in workload.sizes[1:-1]]
    loss_and_delta = _cross_entropy(target, batch) if workload.classifies else _squared_error(target)
    rate = np.asarray(workload.lr, dtype)
    last = len(weights) - 1

    def step() -> Any:
        value = x
        for place in range(last + 1):
            output = outputs[place]
            np.matmul(value, weights[place], out=output)
            output += biases[place]
            if place < last:
                np.maximum(output, 0, out=output)
            value = output
        loss, delta = loss_and_delta(value)
        for place in range(last, -1, -1):
            below = outputs[place - 1] if place else x
            np.matmul(below.T, delta, out=weight_gradients[place])
            np.add.reduce(delta, axis=0, out=bias_gradients[place])
            if place:
                np.matmul(delta, weights[place].T, out=deltas[place - 1])
                delta = deltas[place - 1]
                delta *= np.greater(below, 0, out=masks[place - 1])
        for value, gradient in zip(weights, weight_gradients, strict=True):
            gradient *= rate
            value -= gradient
        for value, gradient in zip(biases, bias_gradients, strict=True):
            gradient *= rate
            value -= gradient
        return loss

    return step


def _cross_entropy(target: Any, batch: int) -> Callable[[Any], tuple[Any, Any]]:
    rows = np.arange(batch)

    def loss_and_delta(logits: Any) -> tuple[Any, Any]:
        logits -= logits.max(axis=1, keepdims=True)
        chosen = logits[rows, target]
        np.exp(logits, out=logits)
        total = logits.sum(axis=1, keepdims=True)
        loss = np.log(total[:, 0]).mean() - chosen.mean()
        logits /= total
        logits[rows, target] -= 1
        logits *= 1 / batch
        return loss, logits

    return loss_and_delta


def _squared_error(target: Any) -> Callable[[Any], tuple[Any, Any]]:
    def loss_and_delta(prediction: Any) -> tuple[Any, Any]:
        prediction -= target
        loss = np.square(prediction).mean()
        prediction *= 2 / prediction.size
        return loss, prediction

    return loss_and_delta
