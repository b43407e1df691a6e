"""A program as a graph: the same picture as of a tape, with the derived backward pass and the update in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..graph import Graph, GraphEdge, GraphNode, Status
from ..graph.plain import Kind
from ..tape import line_number
from .ir import Program, Step, Value

__all__ = ["graph_of_program"]

_NOTE = "A program holds shapes and no values: they are other ones in every run."


def graph_of_program(program: Program, max_nodes: int = 200) -> Graph:
    """A node for every input, buffer, constant that is read, and step; forward, backward and update are modules."""
    nodes: list[GraphNode] = []
    edges: list[GraphEdge] = []
    place: dict[Value, int] = {}

    def add(**facts: Any) -> int:
        nodes.append(GraphNode(id=len(nodes), gradient_status=Status.NOT_WANTED, **facts))
        return len(nodes) - 1

    read = {value for step in program.steps for value in step.reads()}
    kinds: tuple[tuple[Kind, list[Value]], ...] = (
        ("input", [*program.inputs, *program.fed]),
        ("parameter", program.buffers),
        ("constant", program.constants),
    )
    for kind, values in kinds:
        for value in values:
            if value in read:
                known = {"value": value.array, "value_status": Status.KNOWN} if kind == "constant" else {}
                place[value] = add(
                    kind=kind, name=value.name or None, shape=value.shape, dtype=str(value.dtype), **known
                )
    for step in program.steps:
        here = add(
            kind="op",
            op=step.op.name,
            name=step.result.name or None,
            module=(step.phase, *(step.module.split(".") if step.module else ())),
            shape=step.result.shape,
            dtype=str(step.result.dtype),
            line=None if step.line is None else (step.line[0].co_filename, line_number(step.line)),
        )
        place[step.result] = here
        for position, (name, source) in enumerate(_operands(step)):
            if isinstance(source, Value):
                at = place[source]
            else:
                at = add(kind="constant", shape=(), value=np.asarray(source), value_status=Status.KNOWN)
            edges.append(GraphEdge(at, here, name, position, False))
    outputs = tuple(dict.fromkeys(place[value] for value in program.results if value in place))
    return Graph(tuple(nodes), tuple(edges), outputs, (_NOTE,), max_nodes)


def _operands(step: Step) -> Iterator[tuple[str, Any]]:
    names = step.op.operands
    for position, one in enumerate(step.operands):
        yield names[position] if position < len(names) else str(position), one
