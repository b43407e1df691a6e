"""What a picture of a computation is made of: plain, frozen data that holds no tape and can be drawn at any time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, Literal

import numpy as np

from ..tape import Array, Traced

__all__ = ["LEAVES", "Change", "Finding", "GraphData", "GraphEdge", "GraphNode", "Kind", "Status", "runs_of"]

Kind = Literal["op", "parameter", "input", "constant", "module"]


LEAVES = frozenset({"parameter", "input", "constant"})
"""The kinds that nothing is computed in."""


class Status(StrEnum):
    """Why a value or a gradient is there, or is not."""

    KNOWN = "known"
    NOT_YET = "not computed yet"
    NOT_KEPT = "not kept"
    NOT_WANTED = "not wanted"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong with a node: of which kind, in words, and ``"info"``, ``"warning"`` or ``"error"``."""

    kind: str
    text: str
    severity: str


@dataclass(frozen=True, slots=True)
class Change:
    """How a node changed: ``"same"``, ``"changed"``, ``"added"``, ``"removed"``; value and gradient, relatively."""

    kind: str
    value: float | None = None
    gradient: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class GraphNode:
    """One box of the picture.

    Attributes:
        id: the place in ``Graph.nodes``; sources come before what is computed from them, in the order of the tape.
        kind: ``op``; ``parameter``, a leaf that wants a gradient; ``input``, named data that wants none; ``constant``,
            any other number or array that wants none; ``module``, several nodes folded into one.
        op: the name of the op, None for everything else.
        name: the name the user gave it, with the whole module path (``"layers.0.weight"``), or None; of a constant
            array, what its consumer takes it for (``"dropout mask"``, ``"target"``), where that is known.
        module: the path of the module that it belongs to, ``()`` outside all modules.
        shape: None for a module that does not end in one node.
        dtype: the dtype's name; None where no value is known, and for bare Python numbers, which adopt one.
        value, gradient: read-only arrays, or None where the status is not ``known``.
        params: the op's parameters that are not operands, where they were recorded.
        contains: for modules, what is folded into it and how often: ``(("linear", 2), ("relu", 1), …)``.
        line: the file and the line of the user's program that made it, where that was recorded.
        frozen: a parameter that wants no gradient.
        failed: an op that raised, and the operands that it was given.
        health: what is wrong here, see :meth:`Graph.health`.
        change: in a comparison of two graphs, how it changed.
        seconds: how long the op takes, forward and back, where :meth:`Graph.timed` has measured it.
    """

    id: int
    kind: Kind
    op: str | None = None
    name: str | None = None
    module: tuple[str, ...] = ()
    shape: tuple[int, ...] | None = None
    dtype: str | None = None
    value: Array | None = None
    value_status: Status = Status.NOT_KEPT
    gradient: Array | None = None
    gradient_status: Status = Status.NOT_YET
    params: Mapping[str, Any] = field(default_factory=dict)
    contains: tuple[tuple[str, int], ...] = ()
    line: tuple[str, int] | None = None
    frozen: bool = False
    failed: bool = False
    health: tuple[Finding, ...] = ()
    change: Change | None = None
    seconds: tuple[float, float | None] | None = None

    @property
    def marks(self) -> tuple[str, ...]:
        """What it is besides its kind: ``leaf``, ``frozen``, ``no grad``, ``failed``."""
        marks = ["leaf"] if self.kind not in {"op", "module"} else []
        if self.frozen:
            marks.append("frozen")
        if self.gradient_status is Status.NOT_WANTED:
            marks.append("no grad")
        if self.failed:
            marks.append("failed")
        return tuple(marks)

    @property
    def repeat(self) -> int:
        """Of a module how often it ran: what all the counts of ``contains`` have in common."""
        return runs_of(count for what, count in self.contains if what not in LEAVES)

    @property
    def nbytes(self) -> int | None:
        """The size of the value in bytes; None where the dtype is not known."""
        if self.dtype is None or self.shape is None:
            return None
        size = np.dtype(self.dtype).itemsize
        for length in self.shape:
            size *= length
        return size


def runs_of(counts: Iterable[int]) -> int:
    """How often a module ran, of how often each of its ops did: what all these counts have in common."""
    return math.gcd(*counts) or 1


@dataclass(frozen=True, slots=True)
class GraphEdge:
    """``source`` is read by ``target`` as ``operand``, its operand number ``position``.

    ``f(x, x)`` has two edges. ``carries_gradient`` is False where nothing flows back: constants, masks, indices.
    """

    source: int
    target: int
    operand: str
    position: int
    carries_gradient: bool = True


@dataclass(frozen=True, eq=False, repr=False)
class GraphData:
    """The nodes and edges of a picture, without the ways to draw it.

    Attributes:
        nodes: sources first.
        edges: grouped by target, in the order of the operands.
        outputs: the ids of what was asked for.
        notes: sentences for the reader, for instance that values were not kept and how to keep them.
        max_nodes: drawings with more nodes than this are folded.
        module_classes: the class of the module at a path, where it is known: ``{("MLP", "0"): "Linear"}``.
        tensor: the class of the tensors that it was made from.
    """

    nodes: tuple[GraphNode, ...]
    edges: tuple[GraphEdge, ...]
    outputs: tuple[int, ...]
    notes: tuple[str, ...] = ()
    max_nodes: int = 200
    module_classes: Mapping[tuple[str, ...], str] = field(default_factory=dict)
    tensor: type[Traced] | None = None

    @cached_property
    def reads(self) -> Mapping[int, list[GraphEdge]]:
        """Of every node the edges that end in it, in the order of its operands."""
        found: dict[int, list[GraphEdge]] = {node.id: [] for node in self.nodes}
        for edge in self.edges:
            found[edge.target].append(edge)
        return found

    @cached_property
    def readers(self) -> Mapping[int, list[GraphEdge]]:
        """Of every node the edges that begin in it."""
        found: dict[int, list[GraphEdge]] = {node.id: [] for node in self.nodes}
        for edge in self.edges:
            found[edge.source].append(edge)
        return found
