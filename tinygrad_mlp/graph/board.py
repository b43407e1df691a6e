"""A training step as a lecturer writes it on the board: z, a, δ of every layer, gradients, new weights, with numbers.

Nothing here knows a network or a formula: the steps come from the graph, the formulas from the ops' own declarations.
What is added is what people call things: the weights of the first layer W₁, its weighted sums z₁, its outputs a₁, and
δ₁ for what the loss would change by if z₁ did.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ArgumentError, DTypeError, GradientError
from ..tape import Array, Traced
from .build import Names, graph_of
from .formulas import Formula, in_brackets, named, plain, small, told
from .graph import Graph
from .plain import GraphNode, Status
from .steps import Step, steps_of

__all__ = ["Board", "Line", "explain"]

_MOST = 24
_LETTERS = {"weight": "W", "bias": "b"}


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """One line of the board.

    Attributes:
        part: ``"Forward"``, ``"Backward"`` or ``"Update"``.
        latex, text: the formula. numbers: the same with numbers, as text.
        value: what it gives; None where no number is known.
    """

    part: str
    latex: str
    text: str
    numbers: str
    value: Array | None


class Board:
    """A training step in symbols and numbers; ``print(board)``, or leave it at the end of a notebook's cell.

    Attributes:
        lines: in the order in which they are computed.
    """

    def __init__(self, lines: tuple[Line, ...]) -> None:
        self.lines = lines

    def text(self) -> str:
        """For terminals."""
        found: list[str] = []
        for part, lines in self._parts():
            found += [*([""] if found else []), part, "-" * len(part)]
            found += [f"{line.text} = {line.numbers}" if line.numbers else line.text for line in lines]
        return "\n".join(found)

    def markdown(self) -> str:
        """Markdown with formulas in LaTeX."""
        found: list[str] = []
        for part, lines in self._parts():
            found.append(f"**{part}**\n")
            for line in lines:
                value = "" if line.value is None else f" = {_latex_of(line.value)}"
                found.append(f"$${line.latex}{value}$$\n")
        return "\n".join(found)

    def html(self) -> str:
        """A table: formula, and the same with numbers."""
        rows = []
        for part, lines in self._parts():
            rows.append(f'<tr><th colspan="2" style="text-align:left">{html.escape(part)}</th></tr>')
            for line in lines:
                cells = "".join(
                    f'<td style="text-align:left"><code>{html.escape(one)}</code></td>'
                    for one in (line.text, line.numbers)
                )
                rows.append(f"<tr>{cells}</tr>")
        return f"<table>{''.join(rows)}</table>"

    def _parts(self) -> Iterator[tuple[str, list[Line]]]:
        for part in dict.fromkeys(line.part for line in self.lines):
            yield part, [line for line in self.lines if line.part == part]

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        counts = ", ".join(f"{len(lines)} {part.lower()}" for part, lines in self._parts())
        return f"Board({counts})"

    def _repr_markdown_(self) -> str:
        return self.markdown()


def explain(loss: Traced, *, names: Names | None = None, lr: float | None = None) -> Board:
    """One training step, as a lecturer writes it on the board, from the tape alone.

    Args:
        loss: a scalar, computed inside ``with record_values():``. Where ``backward()`` has not been called it is now.
        names: a module, or what :func:`graph_of` takes: parameters get their letters from it, data its names.
        lr: the learning rate of a step of plain gradient descent, ``W ← W - η dL/dW``, which is
            shown and not made; None: no update.

    Returns:
        A :class:`Board`.

    Raises:
        GradientError: the values were not recorded.
        DTypeError: not a tensor.
        ArgumentError: a learning rate that is not a finite number above 0.

    Source: the notation of M. Nielsen, *Neural Networks and Deep Learning* (2015), chapter 2.

    >>> from tinygrad_mlp import Tensor, record_values
    >>> w = Tensor(2.0, requires_grad=True, dtype="float64")
    >>> with record_values():
    ...     loss = (w * 3.0 - 5.0) ** 2
    >>> print(explain(loss, names={"w": w}, lr=0.1))
    Forward
    -------
    v2 = w · 3 = 2 · 3 = 6
    v4 = v2 - 5 = 6 - 5 = 1
    L = v4² = 1² = 1
    <BLANKLINE>
    Backward
    --------
    dL/dv4 = dL/dL · v4 · 2 = 1 · 1 · 2 = 2
    dL/dv2 = dL/dv4 = 2
    dL/dw = dL/dv2 · 3 = 2 · 3 = 6
    <BLANKLINE>
    Update
    ------
    w ← w - η dL/dw = 2 - 0.1 · 6 = 1.4
    """
    if not isinstance(loss, Traced):
        raise DTypeError(f"explain takes the loss as a tensor, got {type(loss).__name__}")
    if lr is not None and not (np.isfinite(lr) and lr > 0):
        raise ArgumentError(f"lr: expected a finite number above 0, got {lr}")
    backward: Any = getattr(loss, "backward", None)
    graph = graph_of(loss, names=names)
    if any(node.kind == "op" and node.value_status is not Status.KNOWN for node in graph.nodes):
        raise GradientError(
            "explain needs the values on the way to the loss; compute it inside `with record_values():`"
        )
    if graph.nodes[graph.outputs[0]].gradient is None:
        backward(retain_graph=True)
        graph = graph_of(loss, names=names)
    return Board(tuple(_lines(graph, type(loss), lr)))


def _lines(graph: Graph, kind: type[Traced], lr: float | None) -> Iterator[Line]:
    symbols, slopes = _letters(graph)
    steps = list(steps_of(graph, kind, symbols=symbols, slopes=slopes, written_out=_MOST))
    nodes = graph.nodes
    for step in steps:
        if step.phase == "forward":
            yield Line("Forward", step.latex, step.formula, step.numbers, nodes[step.node].value)
    for step in steps:
        if step.phase == "backward":
            yield from _backward(step)
    if lr is not None:
        yield from _updates(graph, steps, lr)


def _backward(step: Step) -> Iterator[Line]:
    for part in step.into:
        yield Line("Backward", part.latex, part.formula, part.numbers, part.value)
        if part.so_far and part.last:
            latex = f"{part.slope.latex} = {part.terms}" if part.terms else part.slope.latex
            yield Line("Backward", latex, part.slope.text, str(part.sum), np.sum(part.so_far, axis=0))


def _updates(graph: Graph, steps: list[Step], lr: float) -> Iterator[Line]:
    parts = {part.node: part for step in steps for part in step.into}
    for node in graph.nodes:
        if node.kind != "parameter" or node.gradient is None or node.value is None or node.id not in parts:
            continue
        symbol, slope = parts[node.id].symbol.latex, parts[node.id].slope.latex
        new = node.value - np.asarray(lr, node.value.dtype) * node.gradient
        latex = rf"{symbol} \leftarrow {symbol} - \eta\,{slope}"
        numbers = told(new, _MOST)
        if node.value.size <= _MOST:
            gradient = in_brackets(told(node.gradient, _MOST))
            numbers = f"{told(node.value, _MOST)} - {lr:g} · {gradient} = {numbers}"
        yield Line("Update", latex, plain(latex), numbers, new)


def _latex_of(value: Array) -> str:
    few = small(value, _MOST)
    return few.latex if few is not None and value.size > 1 else rf"\text{{{told(value, _MOST)}}}"


def _letters(graph: Graph) -> tuple[dict[int, Formula], dict[int, Formula]]:
    """What a lecturer calls the nodes of a network, and the gradients that reach them."""
    symbols: dict[int, Formula] = {}
    slopes: dict[int, Formula] = {}
    layers: dict[tuple[str, ...], int] = {}
    for node in graph.nodes:
        if node.kind != "op":
            continue
        reads = [edge.source for edge in graph.reads[node.id]]
        weights = [graph.nodes[source] for source in reads if _letter(graph.nodes[source])]
        if weights:
            layer = layers.setdefault(node.module or weights[0].module, len(layers) + 1)
            for one in weights:
                symbols[one.id] = Formula(f"{_letter(one)}_{{{layer}}}")
            symbols[node.id] = Formula(f"z_{{{layer}}}")
            slopes[node.id] = Formula(rf"\delta_{{{layer}}}")
        else:
            # The activation: what is computed from z alone.
            sources = [source for source in reads if graph.nodes[source].kind == "op"]
            before = symbols.get(sources[0]) if len(sources) == len(reads) == 1 else None
            if before is not None and before.latex.startswith("z_") and node.shape == graph.nodes[sources[0]].shape:
                symbols[node.id] = Formula(before.latex.replace("z_", "a_"))
    if len(graph.outputs) == 1:
        output = graph.nodes[graph.outputs[0]]
        symbols[output.id] = named(output.name.rpartition(".")[2] or "L") if output.name else Formula("L")
        slopes.pop(output.id, None)
    return symbols, slopes


def _letter(node: GraphNode) -> str | None:
    """W or b, for the weights and the bias of a layer."""
    if node.kind != "parameter" or not node.name or not node.module:
        return None
    return _LETTERS.get(node.name.rpartition(".")[2])
