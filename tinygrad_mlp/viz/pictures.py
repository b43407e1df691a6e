"""Samples and weights that are images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..errors import ShapeError
from .style import COLORS, new_figure, plain

__all__ = ["mistakes_of", "plot_mistakes", "plot_weights"]


def mistakes_of(y_true: ArrayLike, probabilities: ArrayLike, limit: int | None = None) -> list[int]:
    """The positions of wrongly classified samples, those that the model was surest about first.

    Args:
        y_true: (samples,) class ids. probabilities: (samples, classes).
        limit: at most this many.

    >>> mistakes_of([0, 1, 1], [[0.9, 0.1], [0.6, 0.4], [0.8, 0.2]])
    [2, 1]
    """
    truth, shares = np.asarray(y_true), np.asarray(probabilities)
    found = shares.argmax(1)
    wrong = np.flatnonzero(found != truth)
    sure = shares[wrong, found[wrong]]
    order: list[int] = wrong[np.argsort(-sure, kind="stable")].tolist()
    return order[:limit]


def plot_mistakes(
    images: ArrayLike,
    y_true: ArrayLike,
    probabilities: ArrayLike,
    class_names: Sequence[str] | None = None,
    *,
    limit: int = 12,
) -> Any:
    """Draw wrongly classified images, the surest mistakes first, each with the classes that the model considered.

    Args:
        images: (samples, height, width), dark ink being large values.
        y_true: (samples,) class ids. probabilities: (samples, classes).
        class_names: one name per class; the ids by default.
        limit: at most this many.

    Returns:
        The matplotlib ``Figure``.

    Raises:
        ShapeError: the three differ in length. MissingExtraError: matplotlib is not installed.
    """
    pictures, truth, shares = np.asarray(images), np.asarray(y_true), np.asarray(probabilities)
    if not len(pictures) == len(truth) == len(shares):
        raise ShapeError(f"expected one length, got {len(pictures)} images, {len(truth)} labels, {len(shares)} rows")
    names = [str(i) for i in range(shares.shape[1])] if class_names is None else [plain(one) for one in class_names]
    wrong = mistakes_of(truth, shares, limit)
    columns = min(4, max(len(wrong), 1))
    rows = max(math.ceil(len(wrong) / columns), 1)
    figure = new_figure(1.7 * columns, 2.0 * rows)
    if not wrong:
        figure.text(0.5, 0.5, "no mistakes", ha="center", va="center", fontsize=9)
    for place, sample in enumerate(wrong, 1):
        ax = figure.add_subplot(rows, columns, place)
        ax.imshow(pictures[sample], cmap="gray_r", interpolation="nearest")
        ax.set_axis_off()
        found, real = int(shares[sample].argmax()), int(truth[sample])
        ax.set_title(
            f"{names[found]}: {shares[sample, found]:.0%}\ntrue {names[real]}: {shares[sample, real]:.0%}",
            fontsize=8,
            color=COLORS[1],
        )
    return figure


def plot_weights(weight: Any, image_shape: tuple[int, int], *, columns: int = 8, limit: int = 32) -> Any:
    """Draw the weights of a first layer as images, one per unit: purple adds, orange subtracts, white does nothing.

    Args:
        weight: (units, height * width), a Tensor or an array.
        image_shape: (height, width).
        columns: pictures per row.
        limit: at most this many units.

    Returns:
        The matplotlib ``Figure``.

    Raises:
        ShapeError: the rows are no images of this shape. MissingExtraError: matplotlib is not installed.
    """
    rows_of = np.asarray(getattr(weight, "data", weight), dtype=np.float64)
    if rows_of.ndim != 2 or rows_of.shape[1] != math.prod(image_shape):
        raise ShapeError(
            f"expected weights (units, {math.prod(image_shape)}) for images {image_shape}, got {rows_of.shape}"
        )
    shown = rows_of[:limit]
    largest = float(np.abs(shown).max(initial=0.0)) or 1.0
    rows = max(math.ceil(len(shown) / columns), 1)
    figure = new_figure(0.85 * columns, 0.85 * rows)
    for place, row in enumerate(shown, 1):
        ax = figure.add_subplot(rows, columns, place)
        ax.imshow(row.reshape(image_shape), cmap="PuOr", vmin=-largest, vmax=largest, interpolation="nearest")
        ax.set_axis_off()
    return figure
