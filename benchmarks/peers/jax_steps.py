"""The training step in JAX: jit per step, and whole stacks of batches in one compiled scan with donated state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from workloads import TextWorkload, Workload

__all__ = ["make_epoch", "make_step", "prepare"]

Step = Callable[[Any, tuple[Any, Any]], tuple[Any, Any]]


def prepare(values: Any) -> Any:
    """Of one batch or a stack of them, on the device; ids are int32, JAX's own integers."""
    return jnp.asarray(values if values.dtype.kind == "f" else values.astype(np.int32))


def make_step(workload: Any, optimizer: str = "SGD", dtype: Any = np.float32) -> Callable[..., Any]:
    """A function that does one training step on a batch and returns the loss before it."""
    state, step = _pure(workload, optimizer, dtype)
    jitted = jax.jit(lambda state, x, target: step(state, (x, target)), donate_argnums=0)

    def run(x: Any, target: Any) -> Any:
        nonlocal state
        state, loss = jitted(state, x, target)
        return loss

    return run


def make_epoch(workload: Any, optimizer: str = "SGD", dtype: Any = np.float32) -> Callable[..., Any]:
    """A function that does a training step on each batch of a stack and returns their losses."""
    state, step = _pure(workload, optimizer, dtype)
    # Unrolling was measured with 1 and 4: it helps where a step is shorter than a turn of the loop.
    unroll = 4 if workload.batch == 1 else 1
    jitted = jax.jit(lambda state, xs, ys: lax.scan(step, state, (xs, ys), unroll=unroll), donate_argnums=0)

    def run(xs: Any, ys: Any) -> Any:
        nonlocal state
        state, losses = jitted(state, xs, ys)
        return losses

    return run


def _pure(workload: Workload | TextWorkload, optimizer: str, dtype: Any) -> tuple[Any, Step]:
    """The starting state, and the step as a pure function ``(state, batch) -> (state, loss)``."""
    values = jax.tree.map(jnp.asarray, workload.weights(dtype))
    net = _lstm(workload) if isinstance(workload, TextWorkload) else _mlp(workload)
    regresses = isinstance(workload, Workload) and not workload.classifies

    def loss_of(values: Any, x: Any, target: Any) -> Any:
        outputs = net(values, x)
        if regresses:
            return jnp.square(outputs - target).mean()
        # Level with or faster than taking along an axis and log_softmax on all workloads here.
        chosen = (outputs * jax.nn.one_hot(target, outputs.shape[1], dtype=outputs.dtype)).sum(axis=1)
        return (jax.nn.logsumexp(outputs, axis=1) - chosen).mean()

    rate = workload.rate(optimizer)
    if optimizer == "SGD":

        def descend(values: Any, batch: tuple[Any, Any]) -> tuple[Any, Any]:
            loss, slopes = jax.value_and_grad(loss_of)(values, *batch)
            return jax.tree.map(lambda value, slope: value - rate * slope, values, slopes), loss

        return values, descend

    def adam(state: Any, batch: tuple[Any, Any]) -> tuple[Any, Any]:
        values, means, squares, count = state
        loss, slopes = jax.value_and_grad(loss_of)(values, *batch)
        count = count + 1
        means = jax.tree.map(lambda mean, slope: 0.9 * mean + 0.1 * slope, means, slopes)
        squares = jax.tree.map(lambda square, slope: 0.999 * square + 0.001 * slope * slope, squares, slopes)
        correction = jnp.sqrt(1 - 0.999**count)
        scale, floor = rate * correction / (1 - 0.9**count), 1e-8 * correction
        values = jax.tree.map(
            lambda value, mean, square: value - scale * mean / (jnp.sqrt(square) + floor), values, means, squares
        )
        return (values, means, squares, count), loss

    # Two trees of zeros, because donated buffers may not be shared.
    zeros = [jax.tree.map(jnp.zeros_like, values) for _ in range(2)]
    return (values, *zeros, jnp.zeros((), dtype)), adam


def _mlp(workload: Workload) -> Callable[..., Any]:
    activation = jax.nn.relu if workload.activation == "relu" else jnp.tanh

    def net(values: Any, x: Any) -> Any:
        for weight, bias in values[:-1]:
            x = activation(x @ weight.T + bias)
        weight, bias = values[-1]
        return x @ weight.T + bias

    return net


def _lstm(workload: TextWorkload) -> Callable[..., Any]:
    def net(values: Any, tokens: Any) -> Any:
        # All look-ups and products with the input at once, before the scan over time.
        inputs = values["table"][tokens.T] @ values["gates_in"].T + values["gates_bias"]

        def tick(carry: Any, entering: Any) -> tuple[Any, None]:
            hidden, cell = carry
            gates = entering + hidden @ values["gates_state"].T
            enter, forget, candidate, leave = jnp.split(gates, 4, axis=1)
            cell = jax.nn.sigmoid(forget) * cell + jax.nn.sigmoid(enter) * jnp.tanh(candidate)
            return (jax.nn.sigmoid(leave) * jnp.tanh(cell), cell), None

        start = jnp.zeros((tokens.shape[0], workload.hidden), inputs.dtype)
        (hidden, _), _ = lax.scan(tick, (start, start), inputs)
        return hidden @ values["weight"].T + values["bias"]

    return net
