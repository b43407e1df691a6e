"""The training step with MyGrad."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mygrad
import numpy as np
from mygrad.nnet.activations import relu
from mygrad.nnet.losses import softmax_crossentropy
from workloads import Workload

from .plain_numpy import make_update

__all__ = ["make_step"]


def make_step(workload: Workload, optimizer: str = "SGD", dtype: Any = np.float32) -> Callable[..., Any]:
    """A function that does one training step on a batch and returns the loss before it."""
    # Its documentation's own advice for speed: do not lock the arrays of the graph.
    mygrad.turn_memory_guarding_off()
    values = [
        (mygrad.tensor(np.ascontiguousarray(weight.T)), mygrad.tensor(bias)) for weight, bias in workload.weights(dtype)
    ]
    flat = [value for pair in values for value in pair]
    slopes: list[Any] = [np.empty_like(value.data) for value in flat]
    update = make_update(optimizer, workload.rate(optimizer), [value.data for value in flat], slopes)
    activation = relu if workload.activation == "relu" else mygrad.tanh

    def step(x: Any, target: Any) -> Any:
        for weight, bias in values[:-1]:
            x = activation(mygrad.matmul(x, weight) + bias)
        weight, bias = values[-1]
        x = mygrad.matmul(x, weight) + bias
        loss = softmax_crossentropy(x, target) if workload.classifies else mygrad.mean(mygrad.square(x - target))
        loss.backward()
        slopes[:] = [value.grad for value in flat]
        update()
        for value in flat:
            value.null_grad()
        return loss.data

    return step
