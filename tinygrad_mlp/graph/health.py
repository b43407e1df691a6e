"""What is wrong with a computation, node by node: where numbers broke, gradients that vanish, units that do nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..tape import Array
from .labels import has_nonfinite, number
from .plain import Finding, GraphData, GraphNode

__all__ = ["Health", "findings_of"]

# A gradient this much smaller than the largest of all parameters moves nothing; one this large breaks what it moves.
_VANISHING = 1e-6
_EXPLODING = 1e4
# Of too few samples nothing follows.
_SAMPLES = 8
_SATURATED = {"sigmoid": (0.5, 0.49), "tanh": (0.0, 0.99)}
_MOST_SATURATED = 0.5
# Usual is a thousandth of a weight's size; a tenth is a leap, a millionth is standing still.
_RATIOS = (1e-6, 0.1)


@dataclass(frozen=True, slots=True)
class Health:
    """What was found; ``print`` it.

    Attributes:
        findings: pairs of a node's id and what was found there, in the order of the tape.
    """

    findings: tuple[tuple[int, Finding], ...]

    def __bool__(self) -> bool:
        """Whether anything was found."""
        return bool(self.findings)

    def __str__(self) -> str:
        if not self.findings:
            return "nothing found"
        return "\n".join(f"{one.severity}: %{place}: {one.text}" for place, one in self.findings)


def findings_of(data: GraphData, lr: float | None = None) -> Iterator[tuple[int, Finding]]:
    """Every finding with its node's id, in the order of the tape."""
    sizes = {
        node.id: _size(node.gradient) for node in data.nodes if node.kind == "parameter" and node.gradient is not None
    }
    largest = max((size for size in sizes.values() if np.isfinite(size)), default=0.0)
    for node in data.nodes:
        sources = [data.nodes[edge.source] for edge in data.reads[node.id]]
        targets = [data.nodes[edge.target] for edge in data.readers[node.id]]
        yield from ((node.id, one) for one in _numbers(node, sources, targets))
        yield from ((node.id, one) for one in _units(node))
        if node.id in sizes:
            yield from ((node.id, one) for one in _gradient(node, sizes[node.id], largest, lr))


def _numbers(node: GraphNode, sources: list[GraphNode], targets: list[GraphNode]) -> Iterator[Finding]:
    if has_nonfinite(node.value) and not any(has_nonfinite(one.value) for one in sources):
        yield Finding("first bad", f"the first NaN or infinity is made here, by {node.op or node.kind}", "error")
    if has_nonfinite(node.gradient) and not any(has_nonfinite(one.gradient) for one in targets):
        yield Finding("first bad", "on the way back, the first NaN or infinity arrives here", "error")


def _units(node: GraphNode) -> Iterator[Finding]:
    value = node.value
    if node.kind != "op" or value is None or value.ndim < 2 or len(value) < _SAMPLES:
        return
    table = value.reshape(-1, value.shape[-1])
    if node.op == "relu":
        dead = int((table <= 0).all(axis=0).sum())
        if dead:
            severity = "warning" if 2 * dead >= table.shape[1] else "info"
            yield Finding("dead", f"{dead} of {table.shape[1]} units are 0 for all {len(table)} samples", severity)
    if node.op in _SATURATED:
        middle, reach = _SATURATED[node.op]
        share = float((np.abs(table - middle) > reach).mean())
        if share > _MOST_SATURATED:
            yield Finding("saturated", f"{share:.0%} of the outputs of {node.op} are at an end of its range", "warning")


def _gradient(node: GraphNode, size: float, largest: float, lr: float | None) -> Iterator[Finding]:
    if not np.isfinite(size):
        return
    if size > _EXPLODING:
        yield Finding("exploding", f"the gradient is {number(size)} large (root mean square)", "warning")
    elif size == 0.0:
        yield Finding("vanishing", "the gradient is 0 everywhere: this parameter does not learn", "warning")
    elif size < _VANISHING * largest:
        text = f"the gradient is {number(size)} large, {number(largest / size)} times smaller than the largest"
        yield Finding("vanishing", text, "warning")
    weight = _size(node.value) if node.value is not None else 0.0
    if lr is not None and weight > 0 and size > 0:
        ratio = lr * size / weight
        if not _RATIOS[0] <= ratio <= _RATIOS[1]:
            how = "small" if ratio < _RATIOS[0] else "large"
            text = f"a step of rate {lr:g} changes it by {number(ratio)} of its size, which is {how}"
            yield Finding("update ratio", text, "warning")


def _size(array: Array | None) -> float:
    if array is None or not array.size:
        return 0.0
    with np.errstate(all="ignore"):
        return float(np.sqrt(np.mean(np.square(array, dtype=np.float64))))
