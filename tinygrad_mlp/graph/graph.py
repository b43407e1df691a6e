"""The graph that people hold: plain data, and one method for each way to look at it."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

from ..errors import MissingExtraError
from .dot import Direction, dot_of, legend_of
from .fold import fold_below, fold_to
from .plain import GraphData
from .render import draw, svg_of
from .text import text_of

__all__ = ["Graph"]

_KINDS = ("op", "parameter", "input", "constant", "module")


class Graph(GraphData):
    """A picture of a computation as plain data; see :class:`tinygrad_mlp.graph.plain.GraphData` for its fields.

    Made by ``tensor.graph()`` or :func:`tinygrad_mlp.graph.graph_of`. In a notebook it shows itself.
    """

    def collapsed(self, depth: int = 0) -> Graph:
        """The graph with every module at nesting level ``depth`` drawn as one box (0: the outermost modules)."""
        return self._with(fold_below(self, depth))

    def legend(self, *, max_nodes: int | None = None) -> tuple[str, ...]:
        """What the colours, outlines and numbers of the picture mean, as phrases to stand beside it."""
        return legend_of(fold_to(self, self.max_nodes if max_nodes is None else max_nodes))

    def to_dot(self, *, direction: Direction = "LR", max_nodes: int | None = None, legend: bool = True) -> str:
        """The picture in Graphviz's language; needs nothing but this package.

        Args:
            direction: ``"LR"`` from left to right, ``"TB"`` from top to bottom.
            max_nodes: fold modules until there are at most this many boxes; default: ``self.max_nodes``.
            legend: whether :meth:`legend` and the notes stand below the picture.
        """
        return dot_of(fold_to(self, self.max_nodes if max_nodes is None else max_nodes), direction, legend)

    def to_text(self, *, max_nodes: int | None = None) -> str:
        """The picture as a numbered list for terminals, one line per node, operands by number."""
        return text_of(fold_to(self, self.max_nodes if max_nodes is None else max_nodes))

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
        """Write the picture to a file: svg, png or pdf by the file's name or ``format``; dot and txt always work.

        Raises:
            MissingExtraError: no renderer for this format is installed; the message holds the command to install one.
            ArgumentError: an unknown format.
        """
        draw(
            path,
            format,
            dot=lambda: self.to_dot(direction=direction, max_nodes=max_nodes),
            text=lambda: self.to_text(max_nodes=max_nodes),
        )

    def _with(self, data: GraphData) -> Graph:
        return Graph(data.nodes, data.edges, data.outputs, data.notes, data.max_nodes, data.module_classes)

    def _repr_svg_(self) -> str | None:
        try:
            return self.to_svg()
        except MissingExtraError:
            return None

    def _repr_mimebundle_(self, **_options: Any) -> dict[str, str]:
        """What a notebook shows: the picture, or the list where nothing can draw it."""
        svg = self._repr_svg_()
        bundle = {"text/plain": repr(self) if svg else self.to_text()}
        return {"image/svg+xml": svg, **bundle} if svg else bundle

    def __str__(self) -> str:
        return self.to_text()

    def __repr__(self) -> str:
        counts: Counter[str] = Counter(node.kind for node in self.nodes)
        kinds = [f"{counts[kind]} {kind}{'s' * (counts[kind] != 1)}" for kind in _KINDS if counts[kind]]
        return f"Graph({len(self.nodes)} nodes: {', '.join(kinds)}; {len(self.edges)} edges)"
