"""An op of a graph applied once more, to the values in the graph and on a tape of its own."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..tape import OPS, Array, Leaf, Op, Traced, wrap
from .plain import GraphData, GraphNode

__all__ = ["applied_again", "known_operands", "new_leaf"]


def known_operands(data: GraphData, node: GraphNode) -> tuple[Op, list[Array]] | None:
    """The op and the arrays that it read; None where it is no op, or where a value is not known."""
    op = OPS.get(str(node.op)) if node.kind == "op" else None
    values = [data.nodes[edge.source].value for edge in data.reads[node.id]]
    if op is None or node.value is None:
        return None
    known = [np.asarray(value) for value in values if value is not None]
    return (op, known) if len(known) == len(values) else None


def applied_again(
    data: GraphData, node: GraphNode, op: Op, arrays: list[Array], kind: type[Traced]
) -> tuple[Any, dict[int, Leaf]]:
    """The result, and by their positions the new leaves for the operands that get a gradient."""
    operands: list[Any] = list(arrays)
    leaves: dict[int, Leaf] = {}
    for k, edge in enumerate(data.reads[node.id]):
        if edge.carries_gradient:
            operands[k], leaves[k] = new_leaf(kind, arrays[k])
    return op.call(*operands, **node.params), leaves


def new_leaf(kind: type[Traced], array: Array) -> tuple[Traced, Leaf]:
    """A tensor that wants a gradient, and its node."""
    leaf = Leaf(array)
    return wrap(kind, array, leaf), leaf
