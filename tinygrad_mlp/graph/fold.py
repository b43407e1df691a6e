"""Making large graphs small enough to read: modules become one box each."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from ..errors import ArgumentError
from .plain import GraphData, GraphEdge, GraphNode, Status

__all__ = ["fold_below", "fold_to"]

_Key = Callable[[GraphNode], int | tuple[str, ...]]
"""Nodes with the same path become one box; a number is a node that stays by itself."""

_EARLIER = ("earlier steps",)


def fold_below(data: GraphData, depth: int) -> GraphData:
    """The graph with everything inside a module at nesting level ``depth`` or deeper folded into that module."""
    if depth < 0:
        raise ArgumentError(f"depth: expected 0 or more, got {depth}")
    return _folded(data, _key_at(depth))


def fold_to(data: GraphData, max_nodes: int) -> GraphData:
    """The graph folded as little as it takes to have at most ``max_nodes`` nodes, with a note of what was done."""
    if max_nodes < 1:
        raise ArgumentError(f"max_nodes: expected at least 1, got {max_nodes}")
    total = len(data.nodes)
    if total <= max_nodes:
        return data
    deepest = max(len(node.module) for node in data.nodes)
    # Folding at a deeper level never shows fewer nodes, so the deepest level that fits is found by bisection.
    fitting = bisect_right(range(deepest), max_nodes, key=lambda depth: _size_at(data, depth))
    folded = _folded(data, _key_at(max(fitting - 1, 0))) if deepest else data
    note = f"{total:,} nodes are more than max_nodes={max_nodes}: modules are folded into one box each."
    if len(folded.nodes) > max_nodes:
        first = len(folded.nodes) - (max_nodes - 1)
        folded = _folded(folded, lambda node: _EARLIER if node.id < first else node.id)
        note = f"{total:,} nodes are more than max_nodes={max_nodes}: the first box stands for all the earlier ones."
    return replace(folded, notes=(*data.notes, note), max_nodes=max_nodes)


def _size_at(data: GraphData, depth: int) -> int:
    key = _key_at(depth)
    return len({key(node) for node in data.nodes})


def _key_at(depth: int) -> _Key:
    return lambda node: node.module[: depth + 1] if len(node.module) > depth else node.id


def _folded(data: GraphData, key: _Key) -> GraphData:
    """The quotient graph: nodes of one key become one; edges inside it go, edges between two boxes are drawn once."""
    groups: dict[int | tuple[str, ...], list[GraphNode]] = {}
    for node in data.nodes:
        groups.setdefault(key(node), []).append(node)
    home = {node.id: name for name, members in groups.items() for node in members}
    leaving = {edge.source for edge in data.edges if home[edge.source] != home[edge.target]} | set(data.outputs)
    # By its last member, a module comes after what it reads.
    ordered = sorted(groups, key=lambda name: groups[name][-1].id)
    place = {name: number for number, name in enumerate(ordered)}
    nodes = tuple(
        replace(groups[name][0], id=place[name])
        if isinstance(name, int)
        else _box(place[name], name, groups[name], leaving)
        for name in ordered
    )
    edges = tuple(
        dict.fromkeys(
            _between(edge, place[home[edge.source]], place[home[edge.target]], nodes)
            for edge in data.edges
            if home[edge.source] != home[edge.target]
        )
    )
    outputs = tuple(dict.fromkeys(place[home[output]] for output in data.outputs))
    return replace(data, nodes=nodes, edges=edges, outputs=outputs)


def _between(edge: GraphEdge, source: int, target: int, nodes: Sequence[GraphNode]) -> GraphEdge:
    if nodes[target].kind == "module":
        return GraphEdge(source, target, "", 0, edge.carries_gradient)
    return replace(edge, source=source, target=target)


def _box(number: int, path: tuple[str, ...], members: list[GraphNode], leaving: set[int]) -> GraphNode:
    inside: Counter[str] = Counter()
    for node in members:
        inside.update(dict(node.contains) or {node.op or node.kind: 1})
    contains = tuple(inside.items())
    ends = [node for node in members if node.id in leaving]
    if len(ends) != 1:
        return GraphNode(
            number, "module", name=".".join(path), module=path[:-1], gradient_status=Status.NOT_KEPT, contains=contains
        )
    return replace(
        ends[0], id=number, kind="module", op=None, name=".".join(path), module=path[:-1], params={}, contains=contains
    )
