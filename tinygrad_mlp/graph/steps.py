"""How a graph was computed, step by step: forward, then backward in the order of the tape, as formulas with numbers.

The formula of a local derivative is nowhere written down: the op is applied again to its operands, its rule is recorded
as any computation is, and what was recorded is printed with the ops' own templates.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..tape import OPS, Array, Node, Traced, consumers_first, walk
from ..watch import Recorded, checking
from .again import applied_again, known_operands, new_leaf
from .formulas import ATOM, Formula, in_brackets, named, of_op, one_number, small, told
from .plain import GraphData, GraphNode, Status

__all__ = ["Part", "Step", "derivation_of", "steps_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """What one operand gets in a step of the backward pass.

    Attributes:
        node: the operand's node. operand: what the op calls it.
        symbol: what the operand is called. slope: what its gradient is called.
        right: what it gets. alone: whether nothing else contributes to its gradient.
        numbers: ``"0.5 · 0.42 = 0.21"``, or how large it is.
        value: the contribution itself; None where no gradient is known.
        so_far: where several steps contribute, these contributions up to this one; empty for the first.
        together: their sum: ``"0.51"``. last: whether this one is the last.
    """

    node: int
    operand: str
    symbol: Formula
    slope: Formula
    right: Formula
    alone: bool
    numbers: str
    value: Array | None
    so_far: tuple[Array, ...] = ()
    together: str = ""
    last: bool = True

    @property
    def formula(self) -> str:
        """``"dL/dx = dL/dy · w"``; with an arrow where this is not all that comes to ``x``."""
        return f"{self.slope.text} {'=' if self.alone else '←'} {self.right.text}"

    @property
    def latex(self) -> str:
        """:attr:`formula` in LaTeX."""
        return rf"{self.slope.latex} {'=' if self.alone else chr(92) + 'leftarrow'} {self.right.latex}"

    @property
    def terms(self) -> str:
        """The contributions so far, ``"0.21 + 0.3"``; nothing where they are arrays."""
        return " + ".join(in_brackets(one_number(one)) for one in self.so_far if not one.ndim)

    @property
    def sum(self) -> str | None:
        """What has come together so far, ``"0.21 + 0.3 = 0.51"``; None where it is the contribution alone."""
        if not self.so_far:
            return None
        return f"{self.terms} = {self.together}" if self.terms else self.together

    def to_dict(self) -> dict[str, Any]:
        """As docs/graph-json.md has it."""
        names = ("node", "operand", "formula", "numbers", "sum")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One op, on the way forward or back.

    Attributes:
        phase: ``"forward"`` or ``"backward"``. node: the op's node. op: its name.
        formula: ``"y = w · x"``; backward the incoming gradient, ``"dL/dy"``. latex: the same.
        numbers: the same with numbers, ``"2 · 3 = 6"``.
        into: backward, what each operand gets.
    """

    phase: str
    node: int
    op: str
    formula: str
    latex: str
    numbers: str
    into: tuple[Part, ...] = ()

    @property
    def headline(self) -> str:
        """The step in one line."""
        return _equation(self.formula, self.numbers)

    @property
    def text(self) -> str:
        """The step in one line, and one more for each operand."""
        lines = [self.headline]
        for part in self.into:
            lines.append(f"    {_equation(part.formula, part.numbers)}")
            lines += [f"        together {part.sum}"] if part.sum else []
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """As docs/graph-json.md has it."""
        into = [part.to_dict() for part in self.into]
        return {
            "phase": self.phase,
            "node": self.node,
            "text": self.headline,
            "formula": self.formula,
            "numbers": self.numbers,
            "into": into,
        }

    def __str__(self) -> str:
        return self.text


def steps_of(
    data: GraphData,
    kind: type[Traced],
    *,
    symbols: Mapping[int, Formula] | None = None,
    slopes: Mapping[int, Formula] | None = None,
    written_out: int = 1,
) -> Iterator[Step]:
    """All steps of a graph whose values were recorded, in the order in which they ran.

    Args:
        data: the graph, not folded.
        kind: the class of tensors.
        symbols, slopes: what nodes are called by their ids, and what the gradients that reach them are called.
        written_out: arrays of up to so many numbers are put into the formulas.
    """
    teller = _Teller(data, kind, symbols or {}, slopes or {}, written_out)
    ops = [node for node in data.nodes if node.kind == "op"]
    for node in ops:
        yield teller.forward(node)
    for node in reversed(ops):
        if node.gradient_status is not Status.NOT_WANTED:
            yield teller.backward(node)


def derivation_of(steps: Sequence[Step]) -> str:
    """The steps as a text for reading: first forward, then backward."""
    lines: list[str] = []
    phase = ""
    for step in steps:
        if step.phase != phase:
            phase = step.phase
            lines += [*([""] if lines else []), phase.upper()]
        lines.append(step.text)
    return "\n".join(lines)


class _Teller:
    """Names every node and tells what each step does."""

    def __init__(
        self,
        data: GraphData,
        kind: type[Traced],
        symbols: Mapping[int, Formula],
        slopes: Mapping[int, Formula],
        written_out: int,
    ) -> None:
        self.data = data
        self.kind = kind
        self.slopes = slopes
        self.written_out = written_out
        self.consumers = Counter(edge.source for edge in data.edges if edge.carries_gradient)
        self.collected: dict[int, list[Array]] = {}
        self.symbols = [symbols.get(place) or named(name) for place, name in enumerate(_symbols(data))]
        self.top = self._symbol(data.outputs[0]) if len(data.outputs) == 1 else named("L")

    # --- forward ---

    def forward(self, node: GraphNode) -> Step:
        sources = [edge.source for edge in self.data.reads[node.id]]
        right = self._applied(node, [self._symbol(source) for source in sources])
        left = self._symbol(node.id)
        given = [self._number(source) for source in sources]
        filled = self._applied(node, [one or Formula("") for one in given]) if all(given) else None
        numbers = self._numbers(filled, node.value)
        formula = f"{left.latex} = {right.latex}"
        return Step("forward", node.id, str(node.op), f"{left.text} = {right.text}", formula, numbers)

    def _numbers(self, filled: Formula | None, value: Array | None) -> str:
        """``2 · 3 = 6``; without the left side where there is none, or where it says the same."""
        if value is None:
            return ""
        result = told(value, self.written_out)
        return f"{filled.text} = {result}" if filled is not None and filled.text != result else result

    def _applied(self, node: GraphNode, operands: list[Formula]) -> Formula:
        op = OPS.get(str(node.op))
        return of_op(None if op is None else op.formula(node.params), str(node.op), operands, node.params)

    # --- backward ---

    def backward(self, node: GraphNode) -> Step:
        incoming = self._slope(node.id)
        numbers = "not computed yet" if node.gradient is None else told(node.gradient, self.written_out)
        if node.gradient is None and node.gradient_status is Status.NOT_KEPT:
            numbers = str(node.gradient_status)
        into = tuple(self._parts(node))
        return Step("backward", node.id, str(node.op), incoming.text, incoming.latex, numbers, into)

    def _parts(self, node: GraphNode) -> Iterator[Part]:
        edges = [edge for edge in self.data.reads[node.id] if edge.carries_gradient]
        for edge, (right, filled, value) in zip(edges, self._pulled(node), strict=False):
            so_far = self._so_far(edge.source, value)
            yield Part(
                edge.source,
                edge.operand,
                self._symbol(edge.source),
                self._slope(edge.source),
                right,
                alone=self.consumers[edge.source] == 1,
                numbers=self._numbers(filled, value),
                value=value,
                so_far=so_far,
                together=told(np.sum(so_far, axis=0), self.written_out) if so_far else "",
                last=len(so_far) == self.consumers[edge.source] or self.consumers[edge.source] == 1,
            )

    def _so_far(self, source: int, value: Array | None) -> tuple[Array, ...]:
        """What has come together at a node with several consumers; nothing where it is the first contribution."""
        if value is None or self.consumers[source] < 2:
            return ()
        so_far = self.collected.setdefault(source, [])
        so_far.append(value)
        return tuple(so_far) if len(so_far) > 1 else ()

    def _pulled(self, node: GraphNode) -> Iterator[tuple[Formula, Formula | None, Array | None]]:
        """For each operand that gets a gradient: the formula, the formula with numbers, and the contribution."""
        known = known_operands(self.data, node)
        if known is None:
            return
        op, values = known
        edges = self.data.reads[node.id]
        seed = np.array(np.ones_like(node.value) if node.gradient is None else node.gradient)
        start, seed_node = new_leaf(self.kind, seed)
        with checking(), np.errstate(all="ignore"):
            y, nodes = applied_again(self.data, node, op, values, self.kind)
            found = walk((y.node,), (start,), targets=nodes.values())
        symbols: dict[Node, Formula] = {y.node: self._symbol(node.id), seed_node: self._slope(node.id)}
        numbers: dict[Node, Formula | None] = {y.node: self._number(node.id), seed_node: self._small(seed)}
        for k, leaf in nodes.items():
            symbols[leaf] = self._symbol(edges[k].source)
            numbers[leaf] = self._number(edges[k].source)
        plain = {id(one): self._symbol(edge.source) for edge, one in zip(edges, values, strict=True)}
        filled_plain = {id(one): self._small(one) or plain[id(one)] for one in values}
        filled_in = {key: value for key, value in numbers.items() if value is not None}
        for leaf in nodes.values():
            result = found.get(leaf)
            formula = _printed(result, symbols, plain)
            filled = _printed(result, filled_in, filled_plain) if len(filled_in) == len(numbers) else None
            contribution = None
            if node.gradient is not None:
                contribution = np.array(result.data if isinstance(result, Traced) else result)
            yield formula, filled, contribution

    # --- names ---

    def _symbol(self, place: int) -> Formula:
        node = self.data.nodes[place]
        if node.kind == "constant" and node.value is not None and node.value.size == 1:
            return small(node.value) or named("c")
        return self.symbols[place]

    def _number(self, place: int) -> Formula | None:
        """The numbers of a node as a formula, where they are few."""
        value = self.data.nodes[place].value
        return None if value is None else self._small(value)

    def _small(self, value: Any) -> Formula | None:
        return small(value, self.written_out)

    def _slope(self, place: int) -> Formula:
        return self.slopes.get(place) or Formula(rf"d{self.top.latex}/d{self._symbol(place).latex}", ATOM)


def _symbols(data: GraphData) -> list[str]:
    """A name for each node: the user's, without the module path where that is enough; else ``v`` and its number."""
    ends = Counter(node.name.rpartition(".")[2] for node in data.nodes if node.name)
    found = []
    for node in data.nodes:
        end = node.name.rpartition(".")[2] if node.name else ""
        found.append(f"v{node.id}" if not node.name else end if end and ends[end] == 1 else node.name)
    if len(data.outputs) == 1 and not data.nodes[data.outputs[0]].name:
        found[data.outputs[0]] = "L" if "L" not in found else found[data.outputs[0]]
    return found


def _equation(left: str, right: str) -> str:
    return f"{left} = {right}" if right else left


def _printed(result: Any, known: dict[Node, Formula], plain: dict[int, Formula]) -> Formula:
    """What was recorded, from ``known`` nodes on, as one formula."""
    if not isinstance(result, Traced) or result.node is None:
        array = np.asarray(result.data if isinstance(result, Traced) else result)
        return small(array) or named("0" if not array.any() else "c")
    formulas = dict(known)
    order = [node for node in consumers_first([result.node]) if node not in formulas]
    for node in reversed(order):
        operands = [
            formulas[source] if source is not None and source in formulas else plain.get(id(data)) or _constant(data)
            for source, data in (node.operands if isinstance(node, Recorded) else ())
        ]
        op = node.plan.op if node.plan is not None else None
        params = node.params if isinstance(node, Recorded) else {}
        template = None if op is None else op.formula(params)
        formulas[node] = of_op(template, "" if op is None else op.name, operands, params)
    return formulas[result.node]


def _constant(data: Any) -> Formula:
    array = np.asarray(data.data if isinstance(data, Traced) else data)
    if array.size and (array == array.flat[0]).all():
        return small(array.flat[0]) or named("c")
    return named("c")
