"""Graphviz text of a graph: a pure function from data to a string.

Every string that a user can influence goes through :func:`_plain` or :func:`_in_record`; labels are never HTML-like.
Colours are tints of the palette of Okabe & Ito (2008), which stays distinct under colour blindness; the
shapes differ too.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from typing import Literal

from ..errors import ArgumentError, did_you_mean
from .labels import has_nonfinite, has_statistics, number, printable, rows_of, shape_text, title
from .plain import Change, GraphData, GraphEdge, GraphNode, Kind

__all__ = ["Direction", "check_direction", "dot_of", "legend_of"]

Direction = Literal["LR", "TB"]

_FONT = "Helvetica,Arial,sans-serif"
_INK = "#1f2933"
_MUTED = "#6b7785"
_ALARM = "#d55e00"
_LONGEST = 40
_ADDED = "#d8f3e8"
_WARMTH = ("#fff7ec", "#fee8c8", "#fdd49e", "#fdbb84", "#fc8d59")
_GAP = "&#160;&#160;"

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

# Which operand is which says something only where they cannot be exchanged.
_COMMUTATIVE = frozenset({"add", "mul", "larger", "smaller", "maximum", "minimum", "ties", "equal", "not_equal"})
_UNTOLD = frozenset({"x", "z"})
_SIDES = {"a": "left", "b": "right"}
_SIDES_OF = {"where": {"a": "if true", "b": "if false"}}


def dot_of(data: GraphData, direction: Direction, legend: bool = True) -> str:
    """The graph in the DOT language; node ``n7`` is ``data.nodes[7]``."""
    check_direction(direction)
    caption = f", labelloc=b, label={_caption(data)}" if legend else ""
    frame = (
        f'graph [rankdir={direction}, charset="UTF-8", bgcolor="#ffffff", pad="0.06", nodesep="0.22", ranksep="0.42",'
        f" {_font(11, _MUTED)}, labeljust=l{caption}];"
    )
    boxes = f'node [shape=record, {_font(11, _INK)}, margin="0.12,0.05", height=0.3];'
    arrows = f'edge [color="{_MUTED}", penwidth=1.1, arrowsize=0.6, {_font(9, _MUTED)}];'
    body = [frame, boxes, arrows, *_clusters(data, direction), *_edges(data, direction)]
    return "\n".join(["digraph computation {", *(f"  {line}" for line in body), "}"]) + "\n"


def check_direction(direction: str) -> None:
    """An error for anything but the two directions of a picture."""
    if direction not in {"LR", "TB"}:
        raise ArgumentError(did_you_mean("direction", direction, ["LR", "TB"]))


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


def legend_of(data: GraphData) -> tuple[str, ...]:
    """What is in the picture, in words because colours alone tell some readers nothing."""
    kinds = {node.kind for node in data.nodes}
    legend = ["thick outline: result", *(meaning for kind, meaning in _MEANINGS.items() if kind in kinds)]
    if any(not edge.carries_gradient for edge in data.edges):
        legend.append("dashed arrow: no gradient flows back")
    if any(has_statistics(array) for node in data.nodes for array in (node.value, node.gradient)):
        legend.append("numbers: mean ± standard deviation, min … max")
    return tuple(legend)


def _caption(data: GraphData) -> str:
    # Lines of three phrases are about as wide as a narrow picture, which a longer line would widen.
    legend = legend_of(data)
    lines = [" · ".join(legend[first : first + 3]) for first in range(0, len(legend), 3)]
    return _quoted("".join(f"{_plain(line)}\\l" for line in [*lines, *data.notes]))


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
            label = _quoted(_plain(_with_class(path[-1], data.module_classes.get(path))))
            tooltip = _quoted(_plain(".".join(path)))
            lines.append(f"{indent[2:]}subgraph cluster_{number_of[path]} {{")
            lines.append(
                f'{indent}graph [label={label}, tooltip={tooltip}, labelloc=t, style="rounded,filled", color="#cbd2d9",'
                f' fillcolor="{_tint(len(path))}", margin=10];'
            )
            stack.append(f"{indent[2:]}}}")
        lines += [
            f"{indent}{_node(node, direction, node.id in outputs, usual_dtype, _class_of(node, data))}"
            for node in inside[path]
        ]
        stack += reversed(children[path])
    return lines


def _tint(depth: int) -> str:
    return "#f8f9fb" if depth % 2 else "#eff2f5"


def _with_class(name: str, class_name: str | None) -> str:
    return name if class_name is None or class_name == name else f"{name} {class_name}"


def _class_of(node: GraphNode, data: GraphData) -> str | None:
    """Of a folded module its class."""
    if node.kind != "module" or node.name is None:
        return None
    return data.module_classes.get(tuple(node.name.split(".")))


def _node(node: GraphNode, direction: Direction, output: bool, usual_dtype: str | None, class_name: str | None) -> str:
    fill, outline, style = _LOOKS[node.kind]
    alarmed = node.failed or any(one.severity != "info" for one in node.health)
    alarmed = alarmed or has_nonfinite(node.value) or has_nonfinite(node.gradient)
    if node.change is not None:
        fill, outline, style = _changed(node.change, outline, style)
    fields = "|".join(_fields(node, usual_dtype, class_name))
    width = 2.4 if alarmed or output else 1.2
    return (
        f"n{node.id} [label={_quoted(fields if direction == 'LR' else f'{{{fields}}}')}, style={_quoted(style)},"
        f' fillcolor="{fill}", color="{_ALARM if alarmed else outline}", penwidth={width},'
        f" tooltip={_quoted(_plain(_tooltip(node)))}];"
    )


def _changed(change: Change, outline: str, style: str) -> tuple[str, str, str]:
    """Added green, removed dashed grey; what changed the more orange, the more it changed."""
    if change.kind == "added":
        return _ADDED, "#009e73", style
    if change.kind == "removed":
        return "#f1f3f5", "#9aa5b1", f"{style},dashed"
    most = change.value if change.value is not None else change.gradient
    if not most:
        return "#ffffff", outline, style
    # A thousandth and less is pale, the size of the value itself and more is deep.
    return (
        _WARMTH[min(max(int(4 + math.log10(most)), 0), len(_WARMTH) - 1)] if most < math.inf else _WARMTH[-1],
        _ALARM,
        style,
    )


def _fields(node: GraphNode, usual_dtype: str | None, class_name: str | None) -> list[str]:
    repeated = f" ×{node.repeat}" if node.repeat > 1 and node.kind == "module" else ""
    fields = [_in_record(_with_class(title(node, short=True), class_name) + repeated)]
    if node.kind == "constant" and node.shape == ():
        return fields
    if node.kind == "module":
        fields.append(_lines([f"{count} × {what}" for what, count in node.contains]))
    if node.shape is None:
        return [*fields, _lines(["failed"])] if node.failed else fields
    rows = [] if node.shape == () and node.dtype in {None, usual_dtype} else [shape_text(node)]
    for first, *more in rows_of(node):
        rows += [first, *(f"    {row}" for row in more)]
    return [*fields, _lines(rows)]


def _lines(rows: list[str]) -> str:
    return "".join(f"{_in_record(row)}\\l" for row in rows)


def _tooltip(node: GraphNode) -> str:
    parts = [f"{node.kind} {title(node)}", shape_text(node)]
    if node.nbytes is not None:
        parts.append(f"{number(node.nbytes)} bytes")
    if node.module:
        parts.append(f"in {'.'.join(node.module)}")
    if node.line is not None:
        parts.append(f"{os.path.basename(node.line[0])}:{node.line[1]}")  # noqa: PTH119 - a string, whatever it holds
    return ", ".join(part for part in parts if part)


def _edges(data: GraphData, direction: Direction) -> list[str]:
    several = Counter(edge.target for edge in data.edges)
    labels = (_operand_label(edge, data) if several[edge.target] > 1 else "" for edge in data.edges)
    return [f"  {_edge(edge, label, direction)}" for edge, label in zip(data.edges, labels, strict=True)]


def _operand_label(edge: GraphEdge, data: GraphData) -> str:
    """What the arrow has to say: nothing where the operands can be exchanged, or where its source says it already."""
    op = data.nodes[edge.target].op or ""
    if edge.operand in _UNTOLD or op in _COMMUTATIVE:
        return ""
    label = _SIDES_OF.get(op, _SIDES).get(edge.operand, edge.operand)
    return "" if label == title(data.nodes[edge.source], short=True) else label


def _edge(edge: GraphEdge, label: str, direction: Direction) -> str:
    # The line runs along the label's left edge, or below it where the picture goes from left to right.
    gap = "\\n\\n" if direction == "LR" else _GAP
    attributes = [f"label={_quoted(f'{_GAP}{_plain(label)}{gap}')}"] if label else []
    if not edge.carries_gradient:
        attributes.append("style=dashed")
    return f"n{edge.source} -> n{edge.target}" + (f" [{', '.join(attributes)}];" if attributes else ";")
