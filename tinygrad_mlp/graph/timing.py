"""How long each op of a graph takes: measured on the values in the graph, forward and back."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from ..tape import Traced, walk
from .again import applied_again, known_operands
from .plain import GraphData, GraphNode

__all__ = ["seconds_of"]


def seconds_of(data: GraphData, kind: type[Traced], repeat: int) -> dict[int, tuple[float, float | None]]:
    """Of every op whose operands are known: the least time of its forward call, and of its gradient rules."""
    found = {}
    for node in data.nodes:
        times = _times(node, data, kind, repeat)
        if times is not None:
            found[node.id] = times
    return found


def _times(node: GraphNode, data: GraphData, kind: type[Traced], repeat: int) -> tuple[float, float | None] | None:
    known = known_operands(data, node)
    if known is None:
        return None
    op, arrays = known
    with np.errstate(all="ignore"):
        forward = _least(lambda: op.forward(*arrays, **node.params), repeat)
        y, leaves = applied_again(data, node, op, arrays, kind)
        if not leaves:
            return forward, None
        seed = np.ones_like(node.value)
        return forward, _least(lambda: walk((y.node,), (seed,), targets=leaves.values(), retain=True), repeat)


def _least(call: Callable[[], Any], repeat: int) -> float:
    best = float("inf")
    for _ in range(repeat):
        begin = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - begin)
    return best
