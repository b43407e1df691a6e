"""A picture of the training steps: who takes how long, relative to our best, per workload.

python benchmarks/plot.py figures.json picture.png     figures.json is what `run.py --json` wrote
"""

from __future__ import annotations

import argparse
import json
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from contenders import NAMES, OURS

__all__ = ["draw"]

# Okabe and Ito's colours, which people with any kind of colour vision tell apart; ours are the strong ones.
OURS_COLOUR, PEER_COLOUR, FASTEST_COLOUR = "#0072B2", "#B8B8B8", "#E69F00"
INK = "#222222"
COLUMNS = 4


def draw(figures: Mapping[str, Any], optimizer: str = "SGD") -> Any:
    """A matplotlib figure with a panel per workload and a bar per contender.

    Args:
        figures: the contents of a file that ``run.py --json`` wrote. optimizer: "SGD" or "Adam".

    Raises:
        LookupError: the file has no such table.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    wanted = "steps" if optimizer == "SGD" else f"steps-{optimizer.lower()}"
    table = next((one for one in figures["tables"] if one["name"] == wanted), None)
    if table is None:
        raise LookupError(f"the figures have no table {wanted!r}; write them with: run.py --only steps --json FILE")
    panels = table["rows"]
    rows = -(-len(panels) // COLUMNS)
    style = {"font.family": "DejaVu Sans", "font.size": 10, "axes.edgecolor": INK, "text.color": INK}
    with plt.rc_context(style):
        height = 4.1 * rows + 1.6
        figure, grid = plt.subplots(rows, COLUMNS, figsize=(19, height), squeeze=False)
        for place, axes in enumerate(grid.flat):
            if place < len(panels):
                _panel(axes, panels[place])
            else:
                axes.axis("off")
        threads = figures["environment"]["threads"]
        many = f"{threads} thread{'s' if threads > 1 else ''}"
        title = f"One training step, float32, {optimizer}, {many}: time relative to tinygrad_mlp's best"
        figure.text(0.015, 1 - 0.18 / height, title, fontsize=18, weight="bold", va="top")
        _legend(figure, 1 - 0.68 / height)
        figure.text(0.015, 0.12 / height, textwrap.fill(_caption(figures), 225), fontsize=9, va="bottom")
        figure.tight_layout(rect=(0.005, 0.5 / height, 0.995, 1 - 0.85 / height), h_pad=1.4, w_pad=1.6)
    return figure


def _panel(axes: Any, row: Mapping[str, Any]) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter

    known = {name: row[name] for name in NAMES if isinstance(row.get(name), (int, float)) and row[name] > 0}
    best = min(value for name, value in known.items() if name in OURS)
    peers = {name: value for name, value in known.items() if name not in OURS}
    fastest = min(peers, key=peers.__getitem__) if peers else None
    ordered = sorted(known, key=known.__getitem__, reverse=True)
    for height, name in enumerate(ordered):
        colour = OURS_COLOUR if name in OURS else FASTEST_COLOUR if name == fastest else PEER_COLOUR
        ratio = known[name] / best
        # On a logarithmic axis bars have no natural foot: they start at our best, to the left is faster than that.
        axes.barh(height, ratio - 1 if ratio > 1 else -(1 - ratio), left=1, color=colour, height=0.72, zorder=2)
        if ratio == 1:
            axes.plot(1, height, marker="D", color=colour, zorder=3, markersize=5)
        text = f"{_time(known[name])} · {_times(ratio)}"
        axes.annotate(
            text, (max(ratio, 1), height), xytext=(6, 0), textcoords="offset points", va="center", fontsize=9, zorder=3
        )
    low = min(1, *(value / best for value in known.values()))
    high = max(value / best for value in known.values())
    axes.set_xscale("log")
    # Room on the right for the longest text, as a share of the axis' length.
    axes.set_xlim(low / 1.12, max(high, 2) * (max(high, 2) / low) ** 0.5)
    axes.axvline(1, color=INK, linewidth=0.9, zorder=4)
    axes.set_yticks(range(len(ordered)), ordered)
    for label in axes.get_yticklabels():
        if label.get_text() in OURS:
            label.set_color(OURS_COLOUR)
            label.set_weight("bold")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}×")
    axes.xaxis.set_minor_formatter(NullFormatter())
    few = high / low < 20
    axes.xaxis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5) if few else (1,), numticks=12))
    axes.grid(axis="x", color="#E4E4E4", linewidth=0.8, zorder=0)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_title(textwrap.fill(row["workload"], 34), fontsize=12, loc="left", weight="bold")


def _time(micro: float) -> str:
    if micro < 1000:
        return f"{micro:.2g} µs" if micro < 10 else f"{micro:.0f} µs"
    return f"{micro / 1000:.1f} ms" if micro < 100_000 else f"{micro / 1000:.0f} ms"


def _times(ratio: float) -> str:
    return f"{ratio:.2f}×" if ratio < 10 else f"{ratio:.0f}×"


def _legend(figure: Any, y: float) -> None:
    from matplotlib.patches import Patch

    handles = [
        Patch(color=OURS_COLOUR, label="tinygrad_mlp (eager, replay, native, whole epochs)"),
        Patch(color=FASTEST_COLOUR, label="the fastest peer"),
        Patch(color=PEER_COLOUR, label="other peers"),
    ]
    figure.legend(handles=handles, loc="center left", bbox_to_anchor=(0.01, y), ncols=3, frameon=False, fontsize=12)


def _caption(figures: Mapping[str, Any]) -> str:
    facts = figures["environment"]
    libraries = ("python", "numpy", "torch", "jax", "scikit-learn", "autograd", "mygrad")
    versions = ", ".join(f"{name} {facts[name]}" for name in libraries if name in facts)
    return (
        f"{facts['cpu']}, {facts['cores']} cores, {facts['threads']} used; {facts['clock']}; {versions}; "
        f"BLAS {facts['blas']}. Medians of at least five interleaved rounds; loss curves compared before timing. "
        "Bars start at our best (1×); the axis is logarithmic."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figures", type=Path, help="what `run.py --json` wrote")
    parser.add_argument("picture", type=Path, help="the file to write, .png or .svg")
    parser.add_argument("--optimizer", choices=("SGD", "Adam"), default="SGD")
    args = parser.parse_args()
    figure = draw(json.loads(args.figures.read_text()), args.optimizer)
    args.picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(args.picture, dpi=130)


if __name__ == "__main__":
    main()
