"""Loss and metrics over the epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .style import COLORS, SMALL, new_axes, new_figure, plain, tidy

__all__ = ["plot_curve", "plot_history"]

_TITLES = {"loss": "Loss", "accuracy": "Accuracy", "r2": "R²"}


def plot_curve(history: Mapping[str, Sequence[float]], metric: str = "loss", *, ax: Any = None) -> Any:
    """Draw one metric over the epochs: training as a line, validation (``val_<metric>``) dashed, with end values.

    Args:
        history: lists by name, one number per epoch, as ``History.history``.
        metric: a key of it.
        ax: axes to draw into; new ones by default.

    Returns:
        The matplotlib ``Axes``.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    ax = new_axes(ax, 4.8, 3.2)
    lines = (("training", metric, COLORS[0], "-"), ("validation", f"val_{metric}", COLORS[1], "--"))
    for name, key, color, dashes in lines:
        values = history.get(key)
        if values:
            epochs = range(1, len(values) + 1)
            marker = "o" if len(values) < 3 else ""
            last = f"{values[-1]:.2%}" if metric == "accuracy" else f"{values[-1]:.4f}"
            label = f"{name} (last {last})"
            ax.plot(epochs, values, color=color, linestyle=dashes, marker=marker, linewidth=1.8, label=label)
    ax.xaxis.get_major_locator().set_params(integer=True)
    tidy(ax, _TITLES.get(metric, plain(metric)), "epoch", grid=True)
    if metric == "accuracy":
        ax.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.4g}%")
    ax.legend(fontsize=SMALL, frameon=False)
    return ax


def plot_history(history: Mapping[str, Sequence[float]]) -> Any:
    """Draw every metric of a history, one panel each.

    Returns:
        The matplotlib ``Figure``.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    metrics = [name for name in history if not name.startswith("val_")]
    figure = new_figure(4.5 * max(len(metrics), 1), 3.2)
    for place, metric in enumerate(metrics, 1):
        plot_curve(history, metric, ax=figure.add_subplot(1, len(metrics), place))
    return figure
