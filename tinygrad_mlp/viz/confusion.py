"""Which classes are taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ArgumentError, ShapeError
from .style import SMALL, new_axes, plain, tidy

__all__ = ["confusion_matrix", "draw_confusion_matrix", "plot_confusion_matrix"]


def confusion_matrix(y_true: ArrayLike, y_pred: ArrayLike, classes: int | None = None) -> NDArray[np.int64]:
    """Count the pairs of true and predicted class.

    >>> confusion_matrix([0, 0, 1], [0, 1, 1])
    array([[1, 1],
           [0, 1]])

    Args:
        y_true, y_pred: (samples,) class ids from 0.
        classes: how many there are; by default the largest id + 1.

    Returns:
        (classes, classes): the row is the true class, the column the predicted one.

    Raises:
        ShapeError: the two differ in length; ArgumentError: an id outside 0 .. classes - 1.
    """
    truth, found = np.asarray(y_true, dtype=np.int64), np.asarray(y_pred, dtype=np.int64)
    if truth.shape != found.shape or truth.ndim != 1:
        raise ShapeError(f"expected class ids of one shape (samples,), got {truth.shape} and {found.shape}")
    both = np.concatenate([truth, found])
    width = (int(both.max()) + 1 if both.size else 0) if classes is None else classes
    if both.size and not (both.min() >= 0 and both.max() < width):
        raise ArgumentError(f"expected class ids in 0..{width - 1}, got {both.min()}..{both.max()}")
    return np.bincount(truth * width + found, minlength=width * width).astype(np.int64).reshape(width, width)


def plot_confusion_matrix(
    y_true: ArrayLike, y_pred: ArrayLike, class_names: Sequence[str] | None = None, *, ax: Any = None
) -> Any:
    """Draw the confusion matrix: right answers blue, mistakes orange, both darker the larger their share of the row.

    Args:
        y_true, y_pred: (samples,) class ids from 0.
        class_names: one name per class; the ids by default.
        ax: axes to draw into; new ones by default.

    Returns:
        The matplotlib ``Axes``.

    Raises:
        ShapeError, ArgumentError: as :func:`confusion_matrix`. MissingExtraError: matplotlib is not installed.
    """
    counts = confusion_matrix(y_true, y_pred, None if class_names is None else len(class_names))
    return draw_confusion_matrix(counts, class_names, ax=ax)


def draw_confusion_matrix(
    counts: NDArray[np.int64], class_names: Sequence[str] | None = None, *, ax: Any = None
) -> Any:
    """Draw counts (classes, classes) as :func:`plot_confusion_matrix` does."""
    names = [str(i) for i in range(len(counts))] if class_names is None else [plain(one) for one in class_names]
    long = max(map(len, names), default=0) > 2
    side = (2.2 if long else 1.0) + 0.38 * len(counts)
    ax = new_axes(ax, side, side)
    ax.imshow(_cell_colors(counts), aspect="equal")
    for row, column in np.ndindex(*counts.shape):
        if counts[row, column]:
            dark = row == column and counts[row, column] > 0.5 * counts[row].sum()
            ax.text(
                column,
                row,
                f"{counts[row, column]}",
                ha="center",
                va="center",
                fontsize=SMALL,
                color="white" if dark else "black",
            )
    ticks = range(len(names))
    ax.set_xticks(
        ticks,
        names,
        rotation=45 if long else 0,
        ha="right" if long else "center",
        rotation_mode="anchor" if long else None,
    )
    ax.set_yticks(ticks, names)
    ax.set_xticks(np.arange(len(names) + 1) - 0.5, minor=True)
    ax.set_yticks(np.arange(len(names) + 1) - 0.5, minor=True)
    ax.grid(which="minor", color="white", linewidth=1.2)
    tidy(ax, "", "predicted", "true")
    ax.tick_params(which="both", length=0)
    ax.spines[:].set_visible(False)
    return ax


_BLUE = np.array([0.0, 114.0, 178.0]) / 255
_ORANGE = np.array([230.0, 129.0, 0.0]) / 255
_PAPER = np.array([0.955, 0.96, 0.965])


def _cell_colors(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    right = np.eye(len(counts), dtype=bool)
    # A single mistake among a hundred answers has to be seen: its share is drawn on a root scale.
    strength = np.where(right, share, np.sqrt(share))[..., None]
    colors: NDArray[np.float64] = _PAPER + strength * (np.where(right[..., None], _BLUE, _ORANGE) - _PAPER)
    return colors
