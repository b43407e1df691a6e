"""Where a model draws the line between classes of points, and how near its predictions of numbers come."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ShapeError
from .style import COLORS, SMALL, new_axes, tidy

__all__ = ["plot_decision_boundary", "plot_predictions"]


def plot_decision_boundary(
    classify: Callable[[NDArray[np.float32]], NDArray[Any]],
    points: ArrayLike,
    labels: ArrayLike,
    *,
    ax: Any = None,
    resolution: int = 160,
) -> Any:
    """Draw labelled points of the plane over the regions that a model assigns to each class; wrong ones are ringed.

    Args:
        classify: from points (n, 2) float32 to class ids (n,).
        points: (samples, 2). labels: (samples,) class ids from 0.
        ax: axes to draw into; new ones by default.
        resolution: how many points the model is asked about along each side.

    Returns:
        The matplotlib ``Axes``.

    Raises:
        ShapeError: the points have not two coordinates. MissingExtraError: matplotlib is not installed.
    """
    places, classes = np.asarray(points, dtype=np.float32), np.asarray(labels)
    if places.ndim != 2 or places.shape[1] != 2:
        raise ShapeError(f"expected points (samples, 2), got {places.shape}")
    ax = new_axes(ax, 5.0, 4.5)
    low, high = places.min(axis=0), places.max(axis=0)
    edge = 0.08 * (high - low) + 1e-3
    across = [np.linspace(*ends, resolution, dtype=np.float32) for ends in zip(low - edge, high + edge, strict=True)]
    grid = np.stack([side.ravel() for side in np.meshgrid(*across)], axis=1)
    regions = np.asarray(classify(grid)).reshape(resolution, resolution)
    colors = np.array([[int(one[i : i + 2], 16) / 255 for i in (1, 3, 5)] for one in COLORS])
    extent = (across[0][0], across[0][-1], across[1][0], across[1][-1])
    ax.imshow(1 - 0.28 * (1 - colors[regions % len(COLORS)]), extent=extent, origin="lower", aspect="auto")
    for one in np.unique(classes):
        x, y = places[classes == one].T
        ax.scatter(
            x, y, s=16, color=COLORS[int(one) % len(COLORS)], edgecolor="white", linewidth=0.5, label=f"class {one}"
        )
    wrong = np.asarray(classify(places)).reshape(classes.shape) != classes
    if wrong.any():
        x, y = places[wrong].T
        ring = {"facecolor": "none", "edgecolor": "black", "linewidth": 1.2}
        ax.scatter(x, y, s=70, label=f"misclassified ({int(wrong.sum())})", **ring)
    tidy(ax, "", "x₁", "x₂")
    # Above the axes, where no data can be.
    ax.legend(
        fontsize=SMALL,
        frameon=False,
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        ncols=3,
        borderaxespad=0.2,
        handletextpad=0.2,
        columnspacing=1.0,
    )
    return ax


def plot_predictions(y_true: ArrayLike, y_pred: ArrayLike, *, ax: Any = None) -> Any:
    """Draw predicted against true numbers; perfect predictions lie on the line.

    Args:
        y_true, y_pred: of one size.
        ax: axes to draw into; new ones by default.

    Returns:
        The matplotlib ``Axes``.

    Raises:
        ShapeError: the two differ in size. MissingExtraError: matplotlib is not installed.
    """
    truth, found = np.ravel(np.asarray(y_true)), np.ravel(np.asarray(y_pred))
    if truth.shape != found.shape:
        raise ShapeError(f"expected as many predictions as targets, got {found.shape} and {truth.shape}")
    ax = new_axes(ax, 4.5, 4.2)
    ends = [min(truth.min(), found.min()), max(truth.max(), found.max())]
    ax.plot(ends, ends, color="#999999", linewidth=1)
    ax.scatter(truth, found, s=14, color=COLORS[0], alpha=0.7, edgecolor="none")
    return tidy(ax, "", "true", "predicted", grid=True)
