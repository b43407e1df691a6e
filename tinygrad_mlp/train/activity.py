"""What the activations of a model give for some samples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..nn import Module
from ..tape import Array
from ..tensor import Tensor, enable_grad
from ..tree import flatten
from ..watch import Recorded, checking
from .feeds import tensors
from .interrupts import modes_restored
from .objective import called

__all__ = ["activations_of"]


def activations_of(model: Module, x: Any) -> Iterator[tuple[str, str, Array]]:
    """What every relu, sigmoid and tanh of a model gives for some samples, in evaluation mode: where, kind, values."""
    values = [one for module in model.modules() for one in vars(module).values()]
    sources = [one.bit_generator for one in values if isinstance(one, np.random.Generator)]
    states = [source.state for source in sources]
    with modes_restored(model), enable_grad(), checking():
        model.eval()
        outputs = called(model, tensors(x))
    for source, state in zip(sources, states, strict=True):
        source.state = state  # looking changes nothing
    stack = [one.node for one in flatten(outputs)[0] if isinstance(one, Tensor) and one.node is not None]
    known = set()
    found = []
    while stack:
        node = stack.pop()
        if id(node) in known:
            continue
        known.add(id(node))
        stack += node.inputs
        if not isinstance(node, Recorded) or node.plan is None or node.value is None or node.value.ndim < 2:
            continue
        if node.plan.op.name in {"relu", "sigmoid", "tanh"}:
            found.append((".".join(node.scope) or "the model", node.plan.op.name, node.value))
    yield from reversed(found)
