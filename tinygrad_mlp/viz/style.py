"""The house style: colours that everybody can tell apart, thin axes, no global state."""

from __future__ import annotations

import io
import re
from typing import Any

from ..extras import need

__all__ = ["COLORS", "INK", "SMALL", "figure_svg", "new_axes", "new_figure", "plain", "tidy"]

# Source: Okabe and Ito, "Color Universal Design", 2008; black is left to text, and yellow is too pale for lines.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
# In points: a figure of five inches is a little wider than a phone, and its smallest text is to be read there too.
SMALL = 10
INK = "#333333"
_GRID = "#e3e3e3"
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)


def new_figure(width: float, height: float) -> Any:
    """An empty matplotlib ``Figure`` of this size in inches, which pyplot never hears of.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figures = need("matplotlib.figure", extra="plot", purpose="draw figures")
    return figures.Figure(figsize=(width, height), dpi=100, layout="constrained", facecolor="white")


def new_axes(ax: Any, width: float, height: float) -> Any:
    """The axes given, or the only axes of a new figure."""
    return new_figure(width, height).add_subplot() if ax is None else ax


def tidy(ax: Any, title: str, xlabel: str = "", ylabel: str = "", *, grid: bool = False) -> Any:
    """Give axes their title, labels, thin spines and small ticks."""
    ax.set_title(title, loc="left", fontsize=12, fontweight="bold", color=INK)
    ax.set_xlabel(xlabel, fontsize=SMALL, color=INK)
    ax.set_ylabel(ylabel, fontsize=SMALL, color=INK)
    ax.tick_params(labelsize=SMALL, colors=INK, length=2)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color("#999999")
    if grid:
        ax.grid(color=_GRID, linewidth=0.8)
        ax.set_axisbelow(True)
    return ax


def plain(text: str, longest: int = 20) -> str:
    """Text as matplotlib shall show it: cut to a length that fits a label, and no dollar taken for mathematics."""
    shown = text if len(text) <= longest else text[: longest - 1] + "…"
    return shown.replace("$", r"\$")


def figure_svg(figure: Any, label: str = "") -> str:
    """The figure as one ``<svg>`` element to stand inside a page; text is drawn as outlines, alike on every machine.

    Args:
        figure: a matplotlib ``Figure``.
        label: what the picture shows, for those who hear the page.
    """
    matplotlib = need("matplotlib", extra="plot", purpose="draw figures")
    buffer = io.StringIO()
    # A fixed salt makes the names inside the file, and so the file, the same for the same figure.
    with matplotlib.rc_context({"svg.fonttype": "path", "svg.hashsalt": label or "figure"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Title": label})
    # Each text drawn as outlines is repeated in a comment, which nobody reads and which may hold anything.
    text = _COMMENT.sub("", buffer.getvalue())
    return text[text.index("<svg") :].replace("<svg ", '<svg role="img" ', 1)
