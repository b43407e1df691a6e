"""Graphviz text of a graph: a pure function from data to a string.

Every string that a user can influence goes through :func:`_plain` or :func:`_in_record`; labels are never HTML-like.
Colours are tints of the palette of Okabe & Ito (2008), which stays distinct under colour blindness; the
shapes differ too.
"""

from __future__ import annotations

from collections import Counter
from typing import Literal

from ..errors import ArgumentError, did_you_mean
from ..tape import Array
from .labels import describe, has_nonfinite, number, printable, shape_text, title
from .plain import GraphData, GraphEdge, GraphNode, Kind, Status

__all__ = ["Direction", "dot_of"]

Direction = Literal["LR", "TB"]

_FONT = "Helvetica,Arial,sans-serif"
_INK = "#1f2933"
_MUTED = "#6b7785"
_ALARM = "#d55e00"
_LONGEST = 40

# Fill, outline, further attributes.
_LOOKS: dict[Kind, tuple[str, str, str]] = {
    "op": ("#ffffff", "#52606d", "rounded,filled"),
    "parameter": ("#fdf0d5", "#e69f00", "filled"),
    "input": ("#dcedf9", "#0072b2", "filled"),
    "constant": ("#f1f3f5", "#9aa5b1", "filled"),
    "module": ("#f7e6f0", "#cc79a7", "rounded,filled"),
}
_MEANINGS: dict[Kind, str] = {
    "op": "rounded: operation",
    "parameter": "amber: parameter",
    "input": "blue: input",
    "constant": "grey: constant",
    "module": "pink: module, folded",
}


def dot_of(data: GraphData, direction: Direction) -> str:
    """The graph in the DOT language; node ``n7`` is ``data.nodes[7]``."""
    if direction not in {"LR", "TB"}:
        raise ArgumentError(did_you_mean("direction", direction, ["LR", "TB"]))
    frame = (
        f'graph [rankdir={direction}, charset="UTF-8", bgcolor="#ffffff", pad="0.25", nodesep="0.22", ranksep="0.42",'
        f" {_font(11, _MUTED)}, labelloc=b, labeljust=l, label={_caption(data)}];"
    )
    boxes = f'node [shape=record, {_font(11, _INK)}, margin="0.12,0.05", height=0.3];'
    arrows = f'edge [color="{_MUTED}", penwidth=1.1, arrowsize=0.6, {_font(9, _MUTED)}];'
    body = [frame, boxes, arrows, *_clusters(data, direction), *_edges(data)]
    return "\n".join(["digraph computation {", *(f"  {line}" for line in body), "}"]) + "\n"


def _font(size: int, color: str) -> str:
    return f'fontname="{_FONT}", fontsize={size}, fontcolor="{color}"'


def _quoted(label: str) -> str:
    return f'"{label}"'


def _plain(text: str) -> str:
    """Text as a part of a label or tooltip: printed as it is, whatever it contains."""
    return printable(text).replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"')


def _in_record(text: str) -> str:
    """Text as a part of a record's field, where braces, bars, angle brackets and spaces mean something too."""
    shown = _plain(text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…")
    return "".join(f"\\{one}" if one in "{}|<> " else one for one in shown)


def _caption(data: GraphData) -> str:
    """The legend of what is in the picture, in words because colours alone tell some readers nothing, and the notes."""
    kinds = {node.kind for node in data.nodes}
    legend = [meaning for kind, meaning in _MEANINGS.items() if kind in kinds]
    if any(not edge.carries_gradient for edge in data.edges):
        legend.append("dashed arrow: no gradient flows back")
    lines = [" ", " · ".join(["thick outline: result", *legend]), *data.notes]
    return _quoted("".join(f"{_plain(line)}\\l" for line in lines))


def _clusters(data: GraphData, direction: Direction) -> list[str]:
    """Nodes, nested in one cluster per module; an explicit stack, because module paths can be deep."""
    inside: dict[tuple[str, ...], list[GraphNode]] = {(): []}
    children: dict[tuple[str, ...], list[tuple[str, ...]]] = {(): []}
    for node in data.nodes:
        path = node.module
        inside.setdefault(path, []).append(node)
        while path and path not in children:
            children[path] = []
            inside.setdefault(path, [])
            path = path[:-1]
    for path in children:
        if path:
            children[path[:-1]].append(path)
    number_of = {path: number for number, path in enumerate(children)}
    outputs = set(data.outputs)
    dtypes = Counter(node.dtype for node in data.nodes if node.dtype)
    usual_dtype = dtypes.most_common(1)[0][0] if dtypes else None
    lines: list[str] = []
    stack: list[tuple[str, ...] | str] = [()]
    while stack:
        path_or_end = stack.pop()
        if isinstance(path_or_end, str):
            lines.append(path_or_end)
            continue
        path = path_or_end
        indent = "  " * (len(path) + 1)
        if path:
            label, tooltip = _quoted(_plain(path[-1])), _quoted(_plain(".".join(path)))
            lines.append(f"{indent[2:]}subgraph cluster_{number_of[path]} {{")
            lines.append(
                f'{indent}graph [label={label}, tooltip={tooltip}, labelloc=t, style="rounded,filled", color="#cbd2d9",'
                f' fillcolor="{_tint(len(path))}", margin=10];'
            )
            stack.append(f"{indent[2:]}}}")
        lines += [f"{indent}{_node(node, direction, node.id in outputs, usual_dtype)}" for node in inside[path]]
        stack += reversed(children[path])
    return lines


def _tint(depth: int) -> str:
    return "#f8f9fb" if depth % 2 else "#eff2f5"


def _node(node: GraphNode, direction: Direction, output: bool, usual_dtype: str | None) -> str:
    fill, outline, style = _LOOKS[node.kind]
    alarmed = has_nonfinite(node.value) or has_nonfinite(node.gradient)
    fields = "|".join(_fields(node, usual_dtype))
    width = 2.4 if alarmed or output else 1.2
    return (
        f"n{node.id} [label={_quoted(fields if direction == 'LR' else f'{{{fields}}}')}, style={_quoted(style)},"
        f' fillcolor="{fill}", color="{_ALARM if alarmed else outline}", penwidth={width},'
        f" tooltip={_quoted(_plain(_tooltip(node)))}];"
    )


def _fields(node: GraphNode, usual_dtype: str | None) -> list[str]:
    fields = [_in_record(title(node, short=True))]
    if node.kind == "constant" and node.shape == ():
        return fields
    if node.kind == "module":
        fields.append(_lines([f"{count} × {what}" for what, count in node.contains]))
    if node.shape is None:
        return fields
    rows = [] if node.shape == () and node.dtype in {None, usual_dtype} else [shape_text(node)]
    rows += _numbers("value", node.value, node.value_status)
    if node.gradient_status is not Status.NOT_WANTED:
        rows += _numbers("grad", node.gradient, node.gradient_status)
    return [*fields, _lines(rows)]


def _numbers(what: str, array: Array | None, status: Status) -> list[str]:
    first, *more = describe(array, status)
    return [f"{what} {first}", *(f"    {row}" for row in more)]


def _lines(rows: list[str]) -> str:
    return "".join(f"{_in_record(row)}\\l" for row in rows)


def _tooltip(node: GraphNode) -> str:
    parts = [f"{node.kind} {title(node)}", shape_text(node)]
    if node.nbytes is not None:
        parts.append(f"{number(node.nbytes)} bytes")
    if node.module:
        parts.append(f"in {'.'.join(node.module)}")
    return ", ".join(part for part in parts if part)


def _edges(data: GraphData) -> list[str]:
    several = Counter(edge.target for edge in data.edges)
    return [f"  {_edge(edge, several[edge.target] > 1)}" for edge in data.edges]


def _edge(edge: GraphEdge, labelled: bool) -> str:
    attributes = [f"label={_quoted(_plain(edge.operand))}"] if labelled and edge.operand else []
    if not edge.carries_gradient:
        attributes.append("style=dashed")
    return f"n{edge.source} -> n{edge.target}" + (f" [{', '.join(attributes)}];" if attributes else ";")
