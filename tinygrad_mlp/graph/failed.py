"""The graph up to an op that raised: found in the error's traceback, so that no op pays for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from types import FrameType, TracebackType
from typing import Any

import numpy as np

from ..tape import Op, Traced
from .build import graph_of
from .graph import Graph
from .labels import printable
from .plain import GraphEdge, GraphNode, Status

__all__ = ["attach", "graph_of_error"]

_PACKAGE = __name__.partition(".")[0]
_LONGEST = 300


def attach(error: BaseException) -> None:
    """Give ``error`` the attribute ``graph``: what had been computed when an op raised it, with that op marked."""
    if getattr(error, "graph", None) is None:
        graph = graph_of_error(error)
        if graph is not None:
            with suppress(AttributeError):
                error.graph = graph  # type: ignore[attr-defined]
                error.add_note("The graph up to the operation that failed is this error's attribute `graph`.")


def graph_of_error(error: BaseException) -> Graph | None:
    """The graph of the operands of the op that raised, and that op; None where no op of this package did."""
    for one in _causes(error):
        for frame in reversed(list(_frames(one.__traceback__))):
            found = _operands(frame)
            if any(_is_recorded(value) for _, value in found):
                return _graph(_name(frame), found, error)
    return None


def _causes(error: BaseException) -> list[BaseException]:
    """The error and those that it was raised in the place of, the first one first: a layer says more than its op."""
    found: list[BaseException] = []
    one: BaseException | None = error
    while one is not None and one not in found:
        found.append(one)
        one = one.__context__
    return found[::-1]


def _frames(traceback: TracebackType | None) -> Iterator[FrameType]:
    while traceback is not None:
        if traceback.tb_frame.f_globals.get("__name__", "").startswith(f"{_PACKAGE}.ops"):
            yield traceback.tb_frame
        traceback = traceback.tb_next


def _name(frame: FrameType) -> str:
    op = frame.f_locals.get("op")
    return op.name if isinstance(op, Op) else frame.f_code.co_name


def _operands(frame: FrameType) -> list[tuple[str, Any]]:
    """The arguments of a call that are tensors or arrays, with their names."""
    code, values = frame.f_code, frame.f_locals
    op = values.get("op")
    names = op.operands if isinstance(op, Op) else ()
    if "operands" in values and isinstance(values["operands"], tuple):
        given = [(names[k] if k < len(names) else str(k), one) for k, one in enumerate(values["operands"])]
    else:
        given = [(name, values.get(name)) for name in code.co_varnames[: code.co_argcount]]
    return [(name, one) for name, one in given if isinstance(one, (Traced, np.ndarray))]


def _is_recorded(value: Any) -> bool:
    return isinstance(value, Traced) and value.node is not None


def _graph(op: str, operands: list[tuple[str, Any]], error: BaseException) -> Graph:
    roots = [value for _, value in operands if _is_recorded(value)]
    whole = graph_of(roots)
    nodes, edges = list(whole.nodes), list(whole.edges)
    # The outputs of a graph are its roots in their order, each once.
    found = dict(zip(dict.fromkeys(id(root.node) for root in roots), whole.outputs, strict=True))
    reads: list[GraphEdge] = []
    here = len(nodes) + sum(not _is_recorded(value) for _, value in operands)
    for position, (name, value) in enumerate(operands):
        if _is_recorded(value):
            place = found[id(value.node)]
        else:
            array = np.array(value.data if isinstance(value, Traced) else value)
            array.flags.writeable = False
            place = len(nodes)
            nodes.append(
                GraphNode(
                    id=place,
                    kind="constant" if isinstance(value, np.ndarray) else "input",
                    name=name,
                    shape=array.shape,
                    dtype=str(array.dtype),
                    value=array,
                    value_status=Status.KNOWN,
                    gradient_status=Status.NOT_WANTED,
                )
            )
        reads.append(GraphEdge(place, here, name, position))
    for edge in reads:
        nodes[edge.source] = replace(nodes[edge.source], failed=True)
    nodes.append(GraphNode(id=here, kind="op", op=op, value_status=Status.NOT_YET, failed=True))
    said = printable(str(error).partition("\n")[0])
    note = f"{op} raised {type(error).__name__}: {said[:_LONGEST]}"
    return Graph(tuple(nodes), (*edges, *reads), (here,), (note,), whole.max_nodes, whole.module_classes, whole.tensor)
