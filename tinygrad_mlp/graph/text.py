"""The picture as a list for terminals: one line per node, so that its length is linear in the graph."""

from __future__ import annotations

from collections import Counter

from .labels import describe, facts, printable, shape_text, title
from .plain import GraphData, GraphEdge, GraphNode, Status

__all__ = ["text_of"]

_WIDEST = 46


def text_of(data: GraphData) -> str:
    """A table: number, what it is with its operands by number, shape and dtype, value, gradient, module, findings."""
    rows = [
        _row(node, [_operand(edge) for edge in data.reads[node.id]], node.id in data.outputs) for node in data.nodes
    ]
    rows.insert(0, ("", "", "shape, dtype", "value", "gradient", "module", "notes" if any(r[-1] for r in rows) else ""))
    widths = [min(max(map(len, column)), _WIDEST) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    counts = Counter(node.kind for node in data.nodes)
    kinds = ", ".join(f"{count} {kind}{'s' * (count != 1)}" for kind, count in counts.items())
    return "\n".join(
        [f"{len(data.nodes)} nodes ({kinds}), {len(data.edges)} edges", *lines, *map(printable, data.notes)]
    )


def _operand(edge: GraphEdge) -> str:
    return f"{edge.operand}=%{edge.source}" if edge.operand and not edge.operand.isdigit() else f"%{edge.source}"


def _row(node: GraphNode, reads: list[str], output: bool) -> tuple[str, ...]:
    name = title(node)
    if node.kind == "op":
        what = f"{name}({', '.join(reads)})"
    elif node.kind == "module":
        inside = ", ".join(f"{count} {op}" for op, count in node.contains)
        what = f"module {name} ({inside}) reads {', '.join(dict.fromkeys(reads)) or 'nothing'}"
    elif node.kind in (name, "constant"):
        what = name
    else:
        what = f"{node.kind} {name}"
    return (
        f"{'→' if output else ' '} %{node.id}",
        what,
        shape_text(node),
        ", ".join(describe(node.value, node.value_status)),
        "-" if node.gradient_status is Status.NOT_WANTED else ", ".join(describe(node.gradient, node.gradient_status)),
        printable(".".join(node.module)),
        "; ".join(line for kind, lines in facts(node) if kind not in {"value", "grad"} for line in lines),
    )
