"""The graph that people hold: plain data, and one method for each way to look at it."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from ..errors import ArgumentError, GradientError, MissingExtraError
from ..tape import Traced
from .diff import diff_of
from .document import document_of
from .dot import Direction, dot_of, legend_of
from .explorer import explorer_of
from .fold import fold_below, fold_to
from .health import Health, findings_of
from .mermaid import mermaid_of
from .page import frame_of, page_of
from .plain import Finding, GraphData, Status
from .render import draw, svg_of
from .steps import Step, derivation_of, steps_of
from .text import text_of
from .timing import seconds_of

__all__ = ["Graph"]

_KINDS = ("op", "parameter", "input", "constant", "module")


class Graph(GraphData):
    """A picture of a computation as plain data; see :class:`tinygrad_mlp.graph.plain.GraphData` for its fields.

    Made by ``tensor.graph()`` or :func:`tinygrad_mlp.graph.graph_of`. In a notebook it shows itself.
    """

    def collapsed(self, depth: int = 0) -> Graph:
        """The graph with every module at nesting level ``depth`` drawn as one box (0: the outermost modules)."""
        return self._with(fold_below(self, depth))

    def without_constants(self) -> Graph:
        """The graph without numbers, masks and other arrays that have no name."""
        kept = [node for node in self.nodes if node.kind != "constant"]
        place = {node.id: k for k, node in enumerate(kept)}
        return self._with(
            replace(
                self,
                nodes=tuple(replace(node, id=place[node.id]) for node in kept),
                edges=tuple(
                    replace(edge, source=place[edge.source], target=place[edge.target])
                    for edge in self.edges
                    if edge.source in place
                ),
                outputs=tuple(place[one] for one in self.outputs if one in place),
                tensor=None,
            )
        )

    def legend(self, *, max_nodes: int | None = None) -> tuple[str, ...]:
        """What the colours, outlines and numbers of the picture mean, as phrases to stand beside it."""
        return legend_of(self._drawn(max_nodes))

    def to_dot(self, *, direction: Direction = "LR", max_nodes: int | None = None, legend: bool = True) -> str:
        """The picture in Graphviz's language; needs nothing but this package.

        Args:
            direction: ``"LR"`` from left to right, ``"TB"`` from top to bottom.
            max_nodes: fold modules until there are at most this many boxes; default: ``self.max_nodes``.
            legend: whether :meth:`legend` and the notes stand below the picture.
        """
        return dot_of(self._drawn(max_nodes), direction, legend)

    def to_text(self, *, max_nodes: int | None = None) -> str:
        """The picture as a numbered list for terminals, one line per node, operands by number."""
        return text_of(self._drawn(max_nodes))

    def to_mermaid(self, *, direction: Direction = "LR", max_nodes: int | None = None) -> str:
        """The picture in Mermaid's language, which GitHub and many editors draw inside Markdown."""
        return mermaid_of(self._drawn(max_nodes), direction)

    def health(self, *, lr: float | None = None) -> Health:
        """What is wrong, node by node: the first NaN, gradients that vanish or explode, dead and saturated units.

        Args:
            lr: also how much a step of this rate changes each parameter, relative to its size.
        """
        return Health(tuple(findings_of(self, lr)))

    def with_health(self, *, lr: float | None = None) -> Graph:
        """The graph with :meth:`health` in it, so that pictures show it."""
        found: dict[int, list[Finding]] = {}
        for place, finding in findings_of(self, lr):
            found.setdefault(place, []).append(finding)
        nodes = tuple(replace(node, health=tuple(found.get(node.id, ()))) for node in self.nodes)
        return self._with(replace(self, nodes=nodes))

    def timed(self, *, repeat: int = 5) -> Graph:
        """The graph with the time that each op takes, forward and back, measured anew on the values in it.

        Args:
            repeat: how often each is measured; the least counts.

        Raises:
            GradientError: values were not recorded. ArgumentError: ``repeat`` below 1.
        """
        if repeat < 1:
            raise ArgumentError(f"repeat: expected at least 1, got {repeat}")
        found = seconds_of(self, self._recorded("measured"), repeat)
        nodes = tuple(replace(node, seconds=found.get(node.id)) for node in self.nodes)
        return self._with(replace(self, nodes=nodes))

    def diff(self, after: Graph) -> Graph:
        """Both graphs in one, in which each node says how it changed from this graph to ``after``.

        For a step of an optimizer, two models, or a compiled and an eager run. Pictures colour what changed.

        >>> from tinygrad_mlp import Tensor, record_values
        >>> graphs = []
        >>> for value in (1.0, 1.1):
        ...     with record_values():
        ...         y = Tensor(value, requires_grad=True) * 2.0
        ...     graphs.append(y.graph())
        >>> graphs[0].diff(graphs[1]).notes[0]
        'Nodes: 2 changed, 1 same; most: parameter, by 0.09091.'
        """
        return self._with(diff_of(self, after))

    def steps(self) -> Iterator[Step]:
        """How it was computed: forward, then backward in the order of the tape, as formulas with numbers.

        Raises:
            GradientError: values were not recorded.

        >>> from tinygrad_mlp import Tensor, record_values
        >>> x = Tensor(3.0, requires_grad=True)
        >>> with record_values():
        ...     y = x * x
        >>> y.backward()
        >>> for step in y.graph(names={"x": x, "y": y}).steps():
        ...     print(step)
        y = x · x = 3 · 3 = 9
        dy/dy = 1
            dy/dx ← dy/dy · x = 1 · 3 = 3
            dy/dx ← dy/dy · x = 1 · 3 = 3
                together 3 + 3 = 6
        """
        return steps_of(self, self._recorded("told"))

    def _recorded(self, what: str) -> type[Traced]:
        """The class of tensors; an error where there are no values to go through the ops with."""
        why = self._why_no_steps()
        if why is not None or self.tensor is None:
            raise GradientError(str(why).format(what=what))
        return self.tensor

    def _why_no_steps(self) -> str | None:
        if self.tensor is None or any(node.kind == "module" for node in self.nodes):
            return "a folded graph has no steps to be {what}: ask the graph that tensor.graph() gave"
        if any(node.kind == "op" and node.value_status is not Status.KNOWN for node in self.nodes):
            return (
                "the values of this graph were not recorded, so there are no steps to be {what}; compute inside "
                "`with record_values():`"
            )
        return None

    def derivation(self) -> str:
        """:meth:`steps` as one text."""
        return derivation_of(list(self.steps()))

    def to_dict(self, *, title: str = "", max_nodes: int | None = None, steps: bool = False) -> dict[str, Any]:
        """The graph as plain data for other programs; see docs/graph-json.md.

        Args:
            title: what it is a graph of.
            max_nodes: fold modules until there are at most so many nodes; None: whole.
            steps: with :meth:`steps`; of a graph that is whole and whose values were recorded.
        """
        data = self if max_nodes is None else fold_to(self, max_nodes)
        return document_of(data, title=title, steps=[one.to_dict() for one in self.steps()] if steps else ())

    def to_json(
        self, *, title: str = "", max_nodes: int | None = None, steps: bool = False, indent: int | None = None
    ) -> str:
        """:meth:`to_dict` as a JSON text. The schema is ``tinygrad_mlp.graph.schema()``."""
        found = self.to_dict(title=title, max_nodes=max_nodes, steps=steps)
        return json.dumps(found, indent=indent, allow_nan=False, ensure_ascii=True)

    def to_model_explorer(self, *, title: str = "graph") -> dict[str, Any]:
        """The graph for Google's Model Explorer, to be written with ``json.dump``; modules are its layers."""
        return explorer_of(self, title)

    def to_html(self, *, title: str = "", max_nodes: int = 1500) -> str:
        """One page with everything in it, which needs no network: zoom, search, modules to open, steps, dark and light.

        Args:
            title: what stands above.
            max_nodes: a larger graph is folded; a page of more boxes is slow to draw.
        """
        whole = len(self.nodes) <= max_nodes
        steps = whole and self._why_no_steps() is None
        return page_of(self.to_dict(title=title, max_nodes=None if whole else max_nodes, steps=steps))

    def show(self, *, title: str = "") -> Path:
        """Write the page to a temporary file, open it in the browser, and say where it is."""
        import tempfile  # noqa: PLC0415 - for this alone
        import webbrowser  # noqa: PLC0415 - for this alone

        path = Path(tempfile.mkdtemp(prefix="tinygrad-mlp-")) / "graph.html"
        path.write_text(self.to_html(title=title), encoding="utf-8")
        webbrowser.open(path.as_uri())
        return path

    def to_svg(self, *, direction: Direction = "LR", max_nodes: int | None = None) -> str:
        """The picture as an ``<svg>`` element.

        Raises:
            MissingExtraError: no renderer is installed; the message holds the command that installs one.
        """
        return svg_of(self.to_dot(direction=direction, max_nodes=max_nodes))

    def render(
        self,
        path: str | os.PathLike[str],
        format: str | None = None,
        *,
        direction: Direction = "LR",
        max_nodes: int | None = None,
    ) -> None:
        """Write the picture to a file, as its name or ``format`` says: html, json, dot, mmd, txt; svg, png, pdf.

        Raises:
            MissingExtraError: no renderer for this format is installed; the message holds the command to install one.
            ArgumentError: an unknown format.
        """
        draw(
            path,
            format,
            dot=lambda: self.to_dot(direction=direction, max_nodes=max_nodes),
            texts={
                "txt": lambda: self.to_text(max_nodes=max_nodes) + "\n",
                "mmd": lambda: self.to_mermaid(direction=direction, max_nodes=max_nodes),
                "html": lambda: self.to_html(title=Path(path).stem),
                "json": lambda: self.to_json(title=Path(path).stem, max_nodes=max_nodes) + "\n",
            },
        )

    save = render

    def _drawn(self, max_nodes: int | None) -> GraphData:
        """What a drawing shows: folded to its size budget."""
        return fold_to(self, self.max_nodes if max_nodes is None else max_nodes)

    def _with(self, data: GraphData) -> Graph:
        return Graph(**{one.name: getattr(data, one.name) for one in fields(data)})

    def _repr_svg_(self) -> str | None:
        try:
            return self.to_svg()
        except MissingExtraError:
            return None

    def _repr_mimebundle_(self, **_options: Any) -> dict[str, str]:
        """What a notebook shows: the page in a frame; where pages cannot run the picture, or else the list."""
        svg = self._repr_svg_()
        bundle = {"text/html": frame_of(self.to_html()), "text/plain": repr(self) if svg else self.to_text()}
        return {"image/svg+xml": svg, **bundle} if svg else bundle

    def __str__(self) -> str:
        return self.to_text()

    def __repr__(self) -> str:
        counts: Counter[str] = Counter(node.kind for node in self.nodes)
        kinds = [f"{counts[kind]} {kind}{'s' * (counts[kind] != 1)}" for kind in _KINDS if counts[kind]]
        return f"Graph({len(self.nodes)} nodes: {', '.join(kinds)}; {len(self.edges)} edges)"
