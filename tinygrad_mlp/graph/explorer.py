"""The graph in the format of Model Explorer, Google's viewer of large models: a collection with one graph.

Source: its class ``graph_builder.Graph``, version 0.1.34 (Apache-2.0); only what that needs is written.
"""

from __future__ import annotations

from typing import Any

from .labels import describe, shape_text, title
from .plain import GraphData, GraphNode, Status

__all__ = ["explorer_of"]


def explorer_of(data: GraphData, label: str) -> dict[str, Any]:
    """The collection; modules are its namespaces, and values and gradients attributes of the nodes."""
    incoming: dict[int, list[dict[str, str]]] = {node.id: [] for node in data.nodes}
    for edge in data.edges:
        incoming[edge.target].append(
            {
                "sourceNodeId": str(edge.source),
                "sourceNodeOutputId": "0",
                "targetNodeInputId": edge.operand or str(edge.position),
            }
        )
    nodes = [
        {
            "id": str(node.id),
            "label": title(node, short=True),
            # A slash would begin another namespace.
            "namespace": "/".join(part.replace("/", "∕") for part in node.module),
            "attrs": [{"key": key, "value": value} for key, value in _facts(node)],
            "incomingEdges": incoming[node.id],
        }
        for node in data.nodes
    ]
    return {"label": label, "graphs": [{"id": label or "graph", "nodes": nodes}]}


def _facts(node: GraphNode) -> list[tuple[str, str]]:
    facts = [("kind", ", ".join([node.kind, *node.marks])), ("name", node.name or ""), ("shape", shape_text(node))]
    facts.append(("value", ", ".join(describe(node.value, node.value_status))))
    if node.gradient_status is not Status.NOT_WANTED:
        facts.append(("gradient", ", ".join(describe(node.gradient, node.gradient_status))))
    if node.line is not None:
        facts.append(("line", f"{node.line[0]}:{node.line[1]}"))
    facts += [(one.severity, one.text) for one in node.health]
    return [(key, value) for key, value in facts if value]
