"""How weights, gradients and activations are distributed, and how that changes over the epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import ArgumentError
from ..tape import Array
from .style import SMALL, new_figure, plain, tidy

__all__ = ["plot_histograms"]


def plot_histograms(recorded: Mapping[str, Sequence[tuple[Array, Array]]], *, columns: int = 3) -> Any:
    """Draw distributions over the epochs as maps: an epoch is a column, darker is more frequent.

    Args:
        recorded: by name, for each epoch ``(counts, edges)`` as NumPy's ``histogram`` gives them, for instance
            ``Histograms().gradients`` of :mod:`tinygrad_mlp.train`.
        columns: panels in a row.

    Returns:
        The matplotlib ``Figure``.

    Raises:
        ArgumentError: nothing was recorded. MissingExtraError: matplotlib is not installed.
    """
    shown = {name: list(epochs) for name, epochs in recorded.items() if len(epochs)}
    if not shown:
        raise ArgumentError("nothing was recorded: give the callback to fit(callbacks=[…]) first")
    columns = min(columns, len(shown))
    rows = -(-len(shown) // columns)
    figure = new_figure(3.6 * columns, 2.7 * rows)
    for number, (name, epochs) in enumerate(shown.items(), 1):
        ax = figure.add_subplot(rows, columns, number)
        low = min(float(edges[0]) for _, edges in epochs)
        high = max(float(edges[-1]) for _, edges in epochs)
        bins = np.linspace(low, high, 61)
        table = np.array([_shares(counts, edges, bins) for counts, edges in epochs]).T
        # The square root shows tails beside a peak.
        ax.imshow(
            np.sqrt(table), origin="lower", aspect="auto", cmap="Blues", extent=(0.5, len(epochs) + 0.5, low, high)
        )
        ax.axhline(0, color="0.6", linewidth=0.8)
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.locator_params(axis="y", nbins=5)
        tidy(ax, plain(name, 28), "epoch" if number > len(shown) - columns else "")
        ax.tick_params(labelsize=SMALL - 1)
    return figure


def _shares(counts: Array, edges: Array, bins: Array) -> Array:
    """A histogram in other bins: shares of the total, by the piecewise linear cumulative distribution."""
    total = counts.sum()
    if not total:
        return np.zeros(len(bins) - 1)
    if edges[0] == edges[-1]:
        return np.histogram([edges[0]], bins)[0].astype(float)
    cumulative = np.concatenate([[0.0], np.cumsum(counts) / total])
    shares: Array = np.diff(np.interp(bins, edges, cumulative))
    return shares
