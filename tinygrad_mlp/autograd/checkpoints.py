"""Checkpoints: forget what a part of the forward pass computed, and compute it again in the backward pass.

Source: Chen, Xu, Zhang & Guestrin, "Training deep nets with sublinear memory cost" (2016); Griewank & Walther,
"Algorithm 799: revolve" (2000).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..capture import capturing
from ..errors import DTypeError, GradientError
from ..tape import Node, Traced, recorder, recording_with, tick, walk
from ..tensor import Tensor
from ..tree import flatten, unflatten
from ..watch import checksum
from .steps import joint_step

__all__ = ["checkpoint"]


def checkpoint(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """``function(*args, **kwargs)``, keeping only its results; the backward pass runs it again for the rest.

    Memory for the values between falls away until then, at the price of a second forward pass. Gradients reach whatever
    ``function`` used: its arguments, and parameters and tensors that it got from elsewhere.

    Args:
        function: returns tensors, or nested dicts, lists and tuples of them; must give the same for the same arguments.
        args, kwargs: its arguments.

    Raises:
        DTypeError: the function returned something other than tensors.
        GradientError (in the backward pass): the second run gave something else, because of random numbers drawn
            inside, or because an argument or a parameter was changed in between.

    >>> x = Tensor([1.0, 2.0], requires_grad=True)
    >>> y = checkpoint(lambda x: (x * x).exp(), x).sum()
    >>> y.backward()
    """
    if recorder() is None or capturing():
        return function(*args, **kwargs)
    start = tick()
    results, shape = flatten(function(*args, **kwargs))
    for one in results:
        if not isinstance(one, Tensor):
            raise DTypeError(f"checkpoint: the function returns tensors, got {type(one).__name__}")
    nodes = [None if one.node is None or one.node.tick < start else one.node for one in results]
    inside = [node for node in nodes if node is not None]
    # Everything older than the call that the results depend on directly: arguments, parameters, whatever was captured.
    edge = list(
        dict.fromkeys(source for node in _since(inside, start) for source in node.inputs if source.tick < start)
    )
    sums = [checksum(one.data) for one in results]
    tracked = [node is not None for node in nodes]

    def rule(gradients: list[Any], _: tuple[Any, ...]) -> tuple[Any, ...]:
        on_tape = any(isinstance(one, Traced) for one in gradients)
        with recording_with(recorder() or Node):
            again, shape_again = flatten(function(*args, **kwargs))
            if shape_again != shape or [checksum(one.data) for one in again] != sums:
                raise GradientError(
                    "checkpoint: run again for the backward pass, the function gave something else. Random numbers "
                    "drawn inside, or arguments or parameters changed since; seed them inside the function, or call "
                    "it without checkpoint"
                )
            pairs = [
                (one.node, gradient)
                for one, gradient, wanted in zip(again, gradients, tracked, strict=True)
                if wanted and gradient is not None and one.node is not None
            ]
            found = walk(
                [node for node, _ in pairs],
                [gradient for _, gradient in pairs],
                targets=edge,
                retain=on_tape,
                through=False,
            )
        dtype = next(one.dtype for one in gradients if one is not None)
        return tuple([found[node] if node in found else np.zeros(node.shape, dtype) for node in edge])

    made = joint_step(
        f"checkpoint({getattr(function, '__name__', type(function).__name__)})",
        [one.data for one in results],
        edge,
        rule,
        tracked=tracked,
    )
    shown = [new if wanted else old for new, old, wanted in zip(made, results, tracked, strict=True)]
    return unflatten(shape, shown)


def _since(roots: Sequence[Node], start: int) -> list[Node]:
    """The nodes recorded since ``start`` that ``roots`` depend on."""
    found = set(roots)
    stack = list(found)
    while stack:
        for source in stack.pop().inputs:
            if source.tick >= start and source not in found:
                found.add(source)
                stack.append(source)
    return list(found)
