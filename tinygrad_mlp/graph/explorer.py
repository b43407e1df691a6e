"""The graph in the format of Model Explorer, Google's viewer of large models: a collection with one graph.

Source: its class ``graph_builder.Graph``, version 0.1.34 (Apache-2.0); only what that needs is written.
"""

from __future__ import annotations

from typing import Any

from .labels import facts, shape_text, title
from .plain import GraphData, GraphNode

__all__ = ["explorer_of"]


def explorer_of(data: GraphData, label: str) -> dict[str, Any]:
    """The collection; modules are its namespaces, and values and gradients attributes of the nodes."""
    nodes = [
        {
            "id": str(node.id),
            "label": title(node, short=True),
            # A slash would begin another namespace.
            "namespace": "/".join(part.replace("/", "∕") for part in node.module),
            "attrs": [{"key": key, "value": value} for key, value in _attributes(node)],
            "incomingEdges": [
                {
                    "sourceNodeId": str(edge.source),
                    "sourceNodeOutputId": "0",
                    "targetNodeInputId": edge.operand or str(edge.position),
                }
                for edge in data.reads[node.id]
            ],
        }
        for node in data.nodes
    ]
    return {"label": label, "graphs": [{"id": label or "graph", "nodes": nodes}]}


def _attributes(node: GraphNode) -> list[tuple[str, str]]:
    found = [("kind", ", ".join([node.kind, *node.marks])), ("name", node.name or ""), ("shape", shape_text(node))]
    found += [("gradient" if kind == "grad" else kind, ", ".join(lines)) for kind, lines in facts(node)]
    if node.line is not None:
        found.append(("line", f"{node.line[0]}:{node.line[1]}"))
    return [(key, value) for key, value in found if value]
