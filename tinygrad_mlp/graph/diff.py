"""Two graphs side by side: which nodes came, went, or changed, and by how much."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from typing import Any

import numpy as np

from ..tape import Array
from .labels import number, title
from .plain import Change, GraphData, GraphEdge, GraphNode

__all__ = ["diff_of"]

_Key = tuple[Any, ...]


def diff_of(before: GraphData, after: GraphData) -> GraphData:
    """The nodes of both graphs; each says how it changed from ``before`` to ``after``.

    Nodes are the same if kind, op, name and module are, and they are the k-th of these. Changes are relative:
    ``|after - before| / max(|before|, |after|)`` in the Euclidean norm, infinite where the shape is another one.
    """
    old, new = _keys(before), _keys(after)
    place_before = dict(zip(old, before.nodes, strict=True))
    place_after = dict(zip(new, after.nodes, strict=True))
    order = _order(before, after, old, new)
    place = {key: k for k, key in enumerate(order)}
    nodes = []
    for key in order:
        was, is_now = place_before.get(key), place_after.get(key)
        nodes.append(_joined(place[key], was, is_now))
    edges: dict[GraphEdge, None] = {}
    for data, keys in ((after, new), (before, old)):
        for edge in data.edges:
            moved = replace(edge, source=place[keys[edge.source]], target=place[keys[edge.target]])
            edges.setdefault(moved)
    outputs = tuple(dict.fromkeys(place[new[one]] for one in after.outputs))
    return replace(
        after, nodes=tuple(nodes), edges=tuple(edges), outputs=outputs, notes=(_told(nodes), *after.notes), tensor=None
    )


def _keys(data: GraphData) -> list[_Key]:
    """What each node is known by."""
    seen: Counter[_Key] = Counter()
    keys = []
    for node in data.nodes:
        key = (node.kind, node.op, node.name, node.module)
        keys.append((*key, seen[key]))
        seen[key] += 1
    return keys


def _order(before: GraphData, after: GraphData, old: list[_Key], new: list[_Key]) -> list[_Key]:
    """All keys, sources first; where the two orders contradict each other, the new one and then what is gone."""
    sorter: TopologicalSorter[_Key] = TopologicalSorter()
    for data, keys in ((after, new), (before, old)):
        for key in keys:
            sorter.add(key)
        for edge in data.edges:
            sorter.add(keys[edge.target], keys[edge.source])
    try:
        ranked = {key: k for k, key in enumerate(sorter.static_order())}
    except CycleError:
        return list(dict.fromkeys([*new, *old]))
    return sorted(ranked, key=ranked.__getitem__)


def _joined(place: int, was: GraphNode | None, now: GraphNode | None) -> GraphNode:
    if now is None:
        assert was is not None
        return replace(was, id=place, change=Change("removed"))
    if was is None:
        return replace(now, id=place, change=Change("added"))
    value, gradient = _relative(was.value, now.value), _relative(was.gradient, now.gradient)
    same = not value and not gradient and was.shape == now.shape
    return replace(now, id=place, change=Change("same" if same else "changed", value, gradient))


def _relative(before: Array | None, after: Array | None) -> float | None:
    if before is None or after is None:
        return None
    if before.shape != after.shape:
        return float("inf")
    if before.dtype.kind not in "fiub" or after.dtype.kind not in "fiub":
        return 0.0 if np.array_equal(before, after) else float("inf")
    if np.array_equal(before, after, equal_nan=before.dtype.kind == "f" and after.dtype.kind == "f"):
        return 0.0
    with np.errstate(all="ignore"):
        moved = float(np.linalg.norm((after.astype(np.float64) - before).ravel()))
        size = max(float(np.linalg.norm(one.astype(np.float64).ravel())) for one in (before, after))
    return moved / size if size > 0 else float("inf")


def _told(nodes: list[GraphNode]) -> str:
    counts = Counter(node.change.kind for node in nodes if node.change is not None)
    parts = [f"{counts[kind]} {kind}" for kind in ("changed", "added", "removed", "same") if counts[kind]]
    measured = [(node.change.value, node) for node in nodes if node.change is not None and node.change.value]
    most = max(measured, key=lambda pair: pair[0] or 0.0, default=None)
    told = f"; most: {title(most[1])}, by {number(most[0])}" if most is not None else ""
    return f"Nodes: {', '.join(parts)}{told}."
