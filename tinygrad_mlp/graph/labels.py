"""What is written on a node: names made safe to print, and arrays in few numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..tape import Array
from .plain import GraphNode, Status

__all__ = [
    "describe",
    "facts",
    "has_nonfinite",
    "has_statistics",
    "number",
    "printable",
    "rows_of",
    "shape_text",
    "summary",
    "title",
]

_WHOLE = 6


def printable(text: str) -> str:
    r"""``text`` on one line: control characters, line ends, bidirectional overrides and the like become escapes.

    >>> print(printable("w\n\x1b[31m"))
    w\n\x1b[31m
    """
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def number(value: Any) -> str:
    """Four significant digits; integers and truth values in full.

    >>> number(np.float32(1 / 3)), number(12), number(-1.5e-9)
    ('0.3333', '12', '-1.5e-09')
    """
    plain = value.item() if isinstance(value, np.generic) else value
    return f"{plain:.4g}" if isinstance(plain, float) else str(plain)


def summary(array: Array) -> list[str]:
    """An array in few numbers: all of them up to six, else mean ± standard deviation, and the range.

    >>> summary(np.array([1.0, 2.5]))
    ['[1, 2.5]']
    >>> summary(np.arange(8.0))
    ['3.5 ± 2.291', '0 … 7']
    >>> summary(np.zeros(100))
    ['all 0']
    """
    if array.size == 0:
        return ["empty"]
    if array.size <= _WHOLE:
        return [_nested(array)]
    if array.dtype.kind == "b":
        return [f"{int(array.sum())} of {array.size} true"]
    finite = array[np.isfinite(array)]
    if finite.size == 0:
        return _nonfinite(array)
    low, high = finite.min(), finite.max()
    if low == high:
        return [f"all {number(low)}" if finite.size == array.size else number(low), *_nonfinite(array)]
    with np.errstate(all="ignore"):
        mean, deviation = finite.mean(dtype=np.float64), finite.std(dtype=np.float64)
    return [f"{number(mean)} ± {number(deviation)}", f"{number(low)} … {number(high)}", *_nonfinite(array)]


def has_statistics(array: Array | None) -> bool:
    """Whether :func:`summary` gives mean, deviation and range of it rather than its elements."""
    return array is not None and array.size > _WHOLE and array.dtype.kind != "b"


def has_nonfinite(array: Array | None) -> bool:
    """Whether there is a NaN or an infinity in it."""
    return array is not None and array.dtype.kind == "f" and not bool(np.isfinite(array).all())


def _nested(array: Array) -> str:
    # At most six elements, but any number of axes: depth is bounded by NumPy's own limit of 64.
    if array.ndim == 0:
        return number(array.item())
    return f"[{', '.join(_nested(np.asarray(row)) for row in array)}]"


def _nonfinite(array: Array) -> list[str]:
    if not has_nonfinite(array):
        return []
    counts = (("NaN", np.isnan(array)), ("+Inf", np.isposinf(array)), ("-Inf", np.isneginf(array)))
    return [f"{int(where.sum())} {name}" for name, where in counts if where.any()]


def title(node: GraphNode, *, short: bool = False) -> str:
    """What the node is called; ``short`` leaves out the module path."""
    name = printable(node.name) if node.name is not None else None
    if name is not None and short and node.name is not None:
        name = printable(_last(node.name))
    if node.kind == "op":
        return f"{name} = {node.op}" if name else str(node.op)
    if node.kind == "constant" and node.value is not None and node.value.ndim == 0:
        return number(node.value.item())
    return name if name is not None else {"input": "input", "constant": "constant"}.get(node.kind, node.kind)


def _last(name: str) -> str:
    parts = name.split(".")
    return parts[-1] if all(parts) else name


def shape_text(node: GraphNode) -> str:
    """Shape and dtype, as far as known: ``(32, 10) float32``."""
    if node.shape is None:
        return ""
    shape = "scalar" if node.shape == () else str(node.shape)
    return f"{shape} {node.dtype}" if node.dtype else shape


def facts(node: GraphNode) -> list[tuple[str, list[str]]]:
    """What is known of a node besides its name and shape: of what kind each fact is, and its lines."""
    found = []
    if node.kind != "constant" or node.shape != ():
        found.append(("value", describe(node.value, node.value_status)))
    if node.gradient_status is not Status.NOT_WANTED:
        found.append(("grad", describe(node.gradient, node.gradient_status)))
    if node.seconds is not None:
        back = "" if node.seconds[1] is None else f", back {number(node.seconds[1] * 1e6)} µs"
        found.append(("time", [f"{number(node.seconds[0] * 1e6)} µs{back}"]))
    found += [(one.severity, [one.text]) for one in node.health]
    if node.change is not None and node.change.kind == "changed":
        amounts = (("value", node.change.value), ("grad", node.change.gradient))
        found += [("change", [f"{what} changed by {number(one)}"]) for what, one in amounts if one]
    elif node.change is not None and node.change.kind != "same":
        found.append(("change", [node.change.kind]))
    return found


def rows_of(node: GraphNode) -> list[list[str]]:
    """:func:`facts` as the rows of a box: numbers say what they are the numbers of."""
    named = {"value", "grad"}
    return [[f"{kind} {lines[0]}", *lines[1:]] if kind in named else lines for kind, lines in facts(node)]


def describe(array: Array | None, status: Status) -> list[str]:
    """The numbers, or why there are none."""
    return summary(array) if array is not None else [str(status)]
