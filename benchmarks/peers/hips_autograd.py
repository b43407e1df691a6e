"""The training step with HIPS autograd."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import autograd.numpy as anp
import numpy as np
from autograd import value_and_grad
from workloads import Workload

from .plain_numpy import make_update

__all__ = ["make_step"]


def make_step(workload: Workload, optimizer: str = "SGD", dtype: Any = np.float32) -> Callable[..., Any]:
    """A function that does one training step on a batch and returns the loss before it."""
    values = workload.weights(dtype)
    flat = [value for pair in values for value in pair]
    slopes: list[Any] = [np.empty_like(value) for value in flat]
    update = make_update(optimizer, workload.rate(optimizer), flat, slopes)
    rows = np.arange(workload.batch)
    relu = workload.activation == "relu"
    share = np.asarray(1 / workload.batch, dtype)

    def loss_of(values: Any, x: Any, target: Any) -> Any:
        for weight, bias in values[:-1]:
            x = anp.dot(x, weight.T) + bias
            x = anp.maximum(x, 0) if relu else anp.tanh(x)
        weight, bias = values[-1]
        x = anp.dot(x, weight.T) + bias
        if not workload.classifies:
            return anp.sum((x - target) ** 2) * share
        x = x - anp.max(x, axis=1, keepdims=True)
        return anp.sum(anp.log(anp.sum(anp.exp(x), axis=1)) - x[rows, target]) * share

    derived = value_and_grad(loss_of)

    def step(x: Any, target: Any) -> Any:
        loss, found = derived(values, x, target)
        slopes[:] = [slope for pair in found for slope in pair]
        update()
        return loss

    return step
