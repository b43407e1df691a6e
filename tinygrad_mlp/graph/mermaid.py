"""Mermaid text of a graph: what GitHub, GitLab and many editors draw where it stands in a Markdown page."""

from __future__ import annotations

from .dot import Direction, check_direction
from .labels import printable, rows_of, shape_text, title
from .plain import GraphData, GraphNode, Kind

__all__ = ["mermaid_of"]

# What stands around a label: its shape. Colours as in the other pictures.
_SHAPES: dict[Kind, tuple[str, str]] = {
    "op": ("(", ")"),
    "parameter": ("[", "]"),
    "input": ("[/", "/]"),
    "constant": ("[", "]"),
    "module": ("[[", "]]"),
}
_LOOKS: dict[Kind, str] = {
    "op": "fill:#ffffff,stroke:#52606d,color:#1f2933",
    "parameter": "fill:#fdf0d5,stroke:#e69f00,color:#1f2933",
    "input": "fill:#dcedf9,stroke:#0072b2,color:#1f2933",
    "constant": "fill:#f1f3f5,stroke:#9aa5b1,color:#1f2933",
    "module": "fill:#f7e6f0,stroke:#cc79a7,color:#1f2933",
}
_HARMLESS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,:=+-_()±…×→")
_LONGEST = 60


def mermaid_of(data: GraphData, direction: Direction) -> str:
    """The graph as a Mermaid flowchart; node ``n7`` is ``data.nodes[7]``."""
    check_direction(direction)
    lines = [f"flowchart {direction}"]
    lines += [f"  {_node(node)}" for node in data.nodes]
    for edge in data.edges:
        arrow = "-->" if edge.carries_gradient else "-.->"
        lines.append(f"  n{edge.source} {arrow} n{edge.target}")
    lines += [f"  classDef {kind} {look}" for kind, look in _LOOKS.items() if any(n.kind == kind for n in data.nodes)]
    lines += [f"  style n{output} stroke-width:3px" for output in data.outputs]
    lines += [f"  %% {_escaped(note)}" for note in data.notes]
    return "\n".join(lines) + "\n"


def _node(node: GraphNode) -> str:
    rows = [title(node, short=True)]
    if node.kind == "module":
        rows += [f"{count} × {what}" for what, count in node.contains]
    if node.shape is not None and not (node.kind == "constant" and node.shape == ()):
        rows += [row for row in [shape_text(node)] if row]
        rows += [", ".join(lines) for lines in rows_of(node)]
    opened, closed = _SHAPES[node.kind]
    return f'n{node.id}{opened}"{"<br/>".join(map(_escaped, rows))}"{closed}:::{node.kind}'


def _escaped(text: str) -> str:
    """Text as a label: whatever could mean something to Mermaid, to Markdown or to HTML is written as a number."""
    shown = printable(text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…")
    return "".join(one if one in _HARMLESS else f"#{ord(one)};" for one in shown)
