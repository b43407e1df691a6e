"""Jacobians, Hessians and gradients per sample with JAX, interpreted or compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

__all__ = ["make"]


def make(task: Any, *, jit: bool) -> Callable[[], Any]:
    """A function that computes the derivative the task asks for, and waits for it."""
    weights = [(jnp.asarray(weight), jnp.asarray(bias)) for weight, bias in task.weights]
    x, targets = jnp.asarray(task.x), jnp.asarray(task.targets)

    def net(weights: Any, x: Any) -> Any:
        for weight, bias in weights[:-1]:
            x = jnp.tanh(weight @ x + bias)
        weight, bias = weights[-1]
        return weight @ x + bias

    def loss(weights: Any, x: Any, target: Any) -> Any:
        return -jax.nn.log_softmax(net(weights, x))[target]

    derived: Callable[..., Any]
    if task.kind == "samples":
        derived = jax.vmap(jax.grad(loss), (None, 0, 0))
        args: tuple[Any, ...] = (weights, x, targets)
    else:
        one = (lambda x: net(weights, x)) if task.kind == "jacobian" else (lambda x: net(weights, x).sum())
        derived = jax.jacrev(one) if task.kind == "jacobian" else jax.hessian(one)
        args = (x,)
    if jit:
        derived = jax.jit(derived)
    return lambda: jax.tree_util.tree_leaves(jax.block_until_ready(derived(*args)))
