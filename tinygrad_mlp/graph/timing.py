"""How long each op of a graph takes: measured on the values in the graph, forward and back."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from ..tape import OPS, Leaf, Traced, walk, wrap
from .plain import GraphData, GraphEdge, GraphNode

__all__ = ["seconds_of"]


def seconds_of(data: GraphData, kind: type[Traced], repeat: int) -> dict[int, tuple[float, float | None]]:
    """Of every op whose operands are known: the least time of its forward call, and of its gradient rules."""
    reads: dict[int, list[GraphEdge]] = {node.id: [] for node in data.nodes}
    for edge in data.edges:
        reads[edge.target].append(edge)
    found = {}
    for node in data.nodes:
        times = _times(node, reads[node.id], data, kind, repeat)
        if times is not None:
            found[node.id] = times
    return found


def _times(
    node: GraphNode, edges: list[GraphEdge], data: GraphData, kind: type[Traced], repeat: int
) -> tuple[float, float | None] | None:
    op = OPS.get(str(node.op)) if node.kind == "op" else None
    values = [data.nodes[edge.source].value for edge in edges]
    if op is None or node.value is None or any(value is None for value in values):
        return None
    arrays = [np.asarray(value) for value in values]
    with np.errstate(all="ignore"):
        forward = _least(lambda: op.forward(*arrays, **node.params), repeat)
        if not any(edge.carries_gradient for edge in edges):
            return forward, None
        operands: list[Any] = []
        leaves = []
        for edge, array in zip(edges, arrays, strict=True):
            leaf = Leaf(array)
            operands.append(wrap(kind, array, leaf) if edge.carries_gradient else array)
            leaves += [leaf] if edge.carries_gradient else []
        y = op.call(*operands, **node.params)
        seed = np.ones_like(node.value)
        return forward, _least(lambda: walk((y.node,), (seed,), targets=leaves, retain=True), repeat)


def _least(call: Callable[[], Any], repeat: int) -> float:
    best = float("inf")
    for _ in range(repeat):
        begin = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - begin)
    return best
