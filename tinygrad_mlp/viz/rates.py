"""Learning rates: how the loss answers to them, and how schedules move them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from .style import COLORS, SMALL, new_axes, new_figure, tidy

__all__ = ["plot_lr_find", "plot_schedules"]


def plot_lr_find(
    lrs: Sequence[float],
    losses: Sequence[float],
    smoothed: Sequence[float],
    marks: Mapping[str, float],
    *,
    ax: Any = None,
) -> Any:
    """Draw the loss over the learning rate, on a logarithmic axis, with rates marked in it.

    Args:
        lrs, losses, smoothed: the rates tried, the loss of each batch, and its running mean.
        marks: rates to point at, by what they are called.
        ax: axes to draw into; new ones by default.

    Returns:
        The matplotlib ``Axes``.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    ax = new_axes(ax, 5.6, 3.6)
    ax.plot(lrs, losses, ".", color="#bbbbbb", markersize=3, label="loss of a batch")
    ax.plot(lrs, smoothed, color=COLORS[0], linewidth=1.8, label="running mean")
    for (name, rate), color in zip(marks.items(), COLORS[1:], strict=False):
        place = min(range(len(lrs)), key=lambda i, rate=rate: abs(math.log(lrs[i] / rate)))  # type: ignore[misc]
        ax.axvline(rate, color=color, linewidth=0.8, linestyle=":")
        ax.plot([rate], [smoothed[place]], "o", color=color, markersize=6, label=f"{name}: {rate:.1e}")
    ax.set_xscale("log")
    low, high = min(smoothed), max(smoothed[0], min(smoothed))
    room = max(high - low, 1e-12)
    # What is left of a loss that explodes would press the rest of the curve to the ground.
    ax.set_ylim(low - 0.1 * room, high + 0.6 * room)
    tidy(ax, "Loss over the learning rate", "learning rate", "loss", grid=True)
    ax.legend(fontsize=SMALL - 1, frameon=False)
    return ax


def plot_schedules(schedules: Mapping[str, Sequence[float]]) -> Any:
    """Draw learning rates over the steps, one small panel for each schedule.

    Args:
        schedules: the rate of every step, from step 0, by the schedule's name.

    Returns:
        The matplotlib ``Figure``.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    columns = min(4, len(schedules))
    rows = -(-len(schedules) // columns)
    figure = new_figure(2.6 * columns, 1.9 * rows)
    for place, (name, rates) in enumerate(schedules.items(), 1):
        ax = figure.add_subplot(rows, columns, place)
        ax.plot(range(len(rates)), rates, color=COLORS[0], linewidth=1.6)
        ax.set_ylim(0.0, 1.08 * max(rates))
        below, left = place + columns > len(schedules), (place - 1) % columns == 0
        tidy(ax, name, "step" if below else "", "rate" if left else "", grid=True)
        ax.set_title(name, loc="left", fontsize=SMALL, fontweight="bold")
    return figure
