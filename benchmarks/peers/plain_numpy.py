"""The training step as a careful person writes it by hand in NumPy: chain rule by hand, every array reused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from workloads import TextWorkload, Workload

from . import plain_numpy_lstm

__all__ = ["make_step", "make_update"]


def make_step(workload: Workload | TextWorkload, optimizer: str = "SGD", dtype: Any = np.float32) -> Callable[..., Any]:
    """A function that does one training step on a batch and returns the loss before it."""
    if isinstance(workload, TextWorkload):
        return plain_numpy_lstm.make_step(workload, make_update, dtype)
    batch = workload.batch
    # Weights as (in, out): then no product of the forward pass has to read them across.
    weights = [np.ascontiguousarray(weight.T) for weight, _ in workload.weights(dtype)]
    biases = [bias for _, bias in workload.weights(dtype)]
    weight_gradients = [np.empty_like(weight) for weight in weights]
    bias_gradients = [np.empty_like(bias) for bias in biases]
    outputs = [np.empty((batch, size), dtype) for size in workload.sizes[1:]]
    # One gradient per hidden layer; that of the last layer is made by the loss.
    deltas = [np.empty((batch, size), dtype) for size in workload.sizes[1:-1]]
    slopes = [
        np.empty((batch, size), bool if workload.activation == "relu" else dtype) for size in workload.sizes[1:-1]
    ]
    loss_and_delta = _cross_entropy(batch) if workload.classifies else _squared_error
    update = make_update(optimizer, workload.rate(optimizer), weights + biases, weight_gradients + bias_gradients)
    last = len(weights) - 1
    relu = workload.activation == "relu"

    def step(x: Any, target: Any) -> Any:
        value = x
        for place in range(last + 1):
            output = outputs[place]
            np.matmul(value, weights[place], out=output)
            output += biases[place]
            if place < last:
                if relu:
                    np.maximum(output, 0, out=output)
                else:
                    np.tanh(output, out=output)
            value = output
        loss, delta = loss_and_delta(value, target)
        for place in range(last, -1, -1):
            below = outputs[place - 1] if place else x
            np.matmul(below.T, delta, out=weight_gradients[place])
            np.add.reduce(delta, axis=0, out=bias_gradients[place])
            if place:
                np.matmul(delta, weights[place].T, out=deltas[place - 1])
                delta = deltas[place - 1]
                slope = slopes[place - 1]
                if relu:
                    np.greater(below, 0, out=slope)
                else:
                    np.multiply(below, below, out=slope)
                    np.subtract(1, slope, out=slope)
                delta *= slope
        update()
        return loss

    return step


def make_update(optimizer: str, rate: float, values: Sequence[Any], gradients: Sequence[Any]) -> Callable[[], None]:
    """A function that changes the values in place by what is in the gradients then, and may use these up."""
    if optimizer == "SGD":
        scale = np.asarray(rate, values[0].dtype)

        def descend() -> None:
            for value, gradient in zip(values, gradients, strict=True):
                gradient *= scale
                value -= gradient

        return descend
    return _adam(rate, values, gradients)


def _adam(rate: float, values: Sequence[Any], gradients: Sequence[Any]) -> Callable[[], None]:
    """Adam (Kingma & Ba, 2015) with the usual betas 0.9 and 0.999 and epsilon 1e-8."""
    beta1, beta2, epsilon = 0.9, 0.999, 1e-8
    dtype = values[0].dtype
    means = [np.zeros_like(value) for value in values]
    squares = [np.zeros_like(value) for value in values]
    scratches = [np.empty_like(value) for value in values]
    old1, new1, old2, new2 = (np.asarray(one, dtype) for one in (beta1, 1 - beta1, beta2, 1 - beta2))
    count = 0

    def update() -> None:
        nonlocal count
        count += 1
        # rate * m / (1 - beta1**t) / (sqrt(v / (1 - beta2**t)) + epsilon), with the numbers taken together.
        correction = np.sqrt(1 - beta2**count)
        scale = np.asarray(rate * correction / (1 - beta1**count), dtype)
        floor = np.asarray(epsilon * correction, dtype)
        for value, gradient, mean, square, scratch in zip(values, gradients, means, squares, scratches, strict=True):
            np.multiply(gradient, gradient, out=scratch)
            scratch *= new2
            square *= old2
            square += scratch
            gradient *= new1
            mean *= old1
            mean += gradient
            np.sqrt(square, out=scratch)
            scratch += floor
            np.divide(mean, scratch, out=scratch)
            scratch *= scale
            value -= scratch

    return update


def _cross_entropy(batch: int) -> Callable[[Any, Any], tuple[Any, Any]]:
    rows = np.arange(batch)

    def loss_and_delta(logits: Any, target: Any) -> tuple[Any, Any]:
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


def _squared_error(prediction: Any, target: Any) -> tuple[Any, Any]:
    prediction -= target
    loss = np.square(prediction).mean()
    prediction *= 2 / prediction.size
    return loss, prediction
