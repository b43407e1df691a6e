"""The graph as plain data for other programs: a JSON document with a version, described by ``schema.json`` beside it.

What JSON cannot hold is text: ``"nan"``, ``"inf"``, ``"-inf"``. What was not computed has no number at all, never a 0.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable
from importlib import resources
from typing import Any

import numpy as np

from ..tape import Array
from .labels import printable, title
from .plain import LEAVES, Change, GraphData, GraphNode, Status, runs_of

__all__ = ["FORMAT", "VERSION", "document_of", "schema"]

FORMAT = "tinygrad-mlp-graph"
VERSION = 1

# Arrays of up to so many elements are written out.
_WRITTEN_OUT = 64
_BINS = 16
_SIDE = 16


def document_of(data: GraphData, *, title: str = "", steps: Iterable[dict[str, Any]] = ()) -> dict[str, Any]:
    """The document; docs/graph-json.md says what each entry means.

    Args:
        data: the graph, folded or not.
        title: what the picture is of.
        steps: how it was computed, one entry for each step, forward and backward.
    """
    return {
        "format": FORMAT,
        "version": VERSION,
        "title": title,
        "notes": list(data.notes),
        "outputs": list(data.outputs),
        "nodes": [_node(node, data) for node in data.nodes],
        "edges": [
            {
                "source": edge.source,
                "target": edge.target,
                "operand": edge.operand,
                "position": edge.position,
                "carries_gradient": edge.carries_gradient,
            }
            for edge in data.edges
        ],
        "groups": _groups(data),
        "steps": list(steps),
    }


def schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) that every document of this version fits."""
    text = resources.files(__package__).joinpath("schema.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def _node(node: GraphNode, data: GraphData) -> dict[str, Any]:
    path = tuple(node.name.split(".")) if node.kind == "module" and node.name is not None else None
    return {
        "id": node.id,
        "kind": node.kind,
        "op": node.op,
        "name": node.name,
        "title": title(node, short=True),
        "module": list(node.module),
        "class": None if path is None else data.module_classes.get(path),
        "shape": None if node.shape is None else list(node.shape),
        "dtype": node.dtype,
        "bytes": node.nbytes,
        "marks": list(node.marks),
        "value": _array(node.value, node.value_status),
        "gradient": _array(node.gradient, node.gradient_status),
        "params": {name: printable(repr(value))[:80] for name, value in node.params.items()},
        "line": None if node.line is None else {"file": node.line[0], "number": node.line[1]},
        "contains": [[what, count] for what, count in node.contains],
        "repeat": node.repeat,
        "health": [{"kind": one.kind, "text": one.text, "severity": one.severity} for one in node.health],
        "change": None if node.change is None else _change(node.change),
        "seconds": None if node.seconds is None else dict(zip(("forward", "backward"), node.seconds, strict=True)),
    }


def _change(change: Change) -> dict[str, Any]:
    amounts = {"value": change.value, "gradient": change.gradient}
    return {"kind": change.kind, **{what: None if one is None else _number(one) for what, one in amounts.items()}}


def _groups(data: GraphData) -> list[dict[str, Any]]:
    """Every module path that a node belongs to, outer ones first, and how often the module ran."""
    inside: dict[tuple[str, ...], Counter[str]] = {}
    for node in data.nodes:
        path: tuple[str, ...] = ()
        for part in node.module:
            path = (*path, part)
            counts = inside.setdefault(path, Counter())
            if node.kind == "op":
                counts[str(node.op)] += 1
            elif node.kind == "module":
                counts.update({what: count for what, count in node.contains if what not in LEAVES})
    return [
        {"path": list(path), "class": data.module_classes.get(path), "repeat": runs_of(inside[path].values())}
        for path in sorted(inside, key=lambda path: (len(path), path))
    ]


def _array(array: Array | None, status: Status) -> dict[str, Any]:
    if array is None:
        return {"status": str(status)}
    found: dict[str, Any] = {"status": str(status)}
    if array.size <= _WRITTEN_OUT:
        found["elements"] = [_number(one) for one in array.ravel().tolist()]
    if array.size > 1 and array.dtype.kind in "fiub":
        found |= _measured(array)
    return found


def _measured(array: Array) -> dict[str, Any]:
    """Statistics, histogram and a small picture of an array."""
    numbers = array.astype(np.float64)
    finite = numbers[np.isfinite(numbers)]
    stats: dict[str, Any] = {
        "count": int(array.size),
        "zeros": int((numbers == 0).sum()),
        "nan": int(np.isnan(numbers).sum()),
        "inf": int(np.isinf(numbers).sum()),
    }
    if not finite.size:
        return {"stats": stats}
    with np.errstate(all="ignore"):
        low, high = float(finite.min()), float(finite.max())
        stats |= {"min": low, "max": high, "mean": _number(finite.mean()), "std": _number(finite.std())}
        found: dict[str, Any] = {"stats": stats, "heat": _heat(numbers)}
        # Of a range that is no number, or no range, there are no bins.
        if math.isfinite(high - low) and high > low and (high - low) > 1e-12 * max(abs(low), abs(high)):
            counts, edges = np.histogram(finite, bins=_BINS, range=(low, high))
            found["histogram"] = {"edges": edges.tolist(), "counts": counts.tolist()}
    return found


def _heat(numbers: Array) -> dict[str, Any]:
    """Means of blocks, at most 16 by 16; the last axis goes to the right, all others down."""
    table = numbers.reshape(-1, numbers.shape[-1])
    rows, columns = (_starts(length) for length in table.shape)
    sums = np.add.reduceat(np.add.reduceat(table, rows, axis=0), columns, axis=1)
    heights, widths = np.diff([*rows, table.shape[0]]), np.diff([*columns, table.shape[1]])
    means = sums / np.outer(heights, widths)
    return {"rows": len(rows), "columns": len(columns), "values": [_number(one) for one in means.ravel().tolist()]}


def _starts(length: int) -> Array:
    return np.unique(np.linspace(0, length, min(length, _SIDE), endpoint=False).astype(int))


def _number(value: Any) -> Any:
    """A number as JSON can hold it."""
    if isinstance(value, (bool, int, np.integer, np.bool_)):
        return value.item() if isinstance(value, np.generic) else value
    if isinstance(value, complex):
        return str(value)
    plain = float(value)
    if math.isnan(plain):
        return "nan"
    return plain if math.isfinite(plain) else ("inf" if plain > 0 else "-inf")
