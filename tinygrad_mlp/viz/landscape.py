"""The loss as a landscape over two directions, and the way that training took through it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ArgumentError, ShapeError
from ..nn import Module
from ..tape import Array
from ..tensor import Tensor, no_grad
from .style import COLORS, INK, SMALL, new_axes, tidy

__all__ = ["Landscape", "loss_landscape", "parameters_of", "plot_loss_landscape"]


def parameters_of(model: Module) -> Array:
    """All parameters of a model in one array (parameters,), float64: a place in the landscape."""
    return np.concatenate([np.ravel(one.data).astype(np.float64) for one in model.parameters()])


@dataclass(frozen=True, eq=False)
class Landscape:
    """The loss over a plane through the space of all parameters.

    Attributes:
        across, up: where the loss was computed along the two directions; (size,) each.
        loss: (size, size); ``loss[i, j]`` at ``up[i]``, ``across[j]``.
        centre: the parameters at (0, 0). directions: (2, parameters).
        path: the way of training as points (n, 2) of the plane; None without one.
        share: how much of the way's variance lies in the plane, 0 to 1; None without one.
    """

    across: Array
    up: Array
    loss: Array
    centre: Array
    directions: Array
    path: Array | None = None
    share: float | None = None


def loss_landscape(
    model: Module,
    loss_of: Callable[[], Tensor | float],
    *,
    path: Sequence[Array] | Array | None = None,
    seed: int = 0,
    reach: float = 1.0,
    size: int = 41,
) -> Landscape:
    """Compute the loss over a plane; the model is afterwards as before, bit by bit.

    With a ``path`` the plane is the one in which it is longest: its two principal components through its last point.
    Without one it is spanned by two random directions, in which every row of a weight matrix has the norm of that row,
    so that layers of different scales can be compared.

    Args:
        model: whose parameters are moved.
        loss_of: computes the loss of ``model`` as it is, for instance ``lambda: loss_of(model(x), y)``.
        path: :func:`parameters_of` after each step or epoch, at least two.
        seed: of the random directions. reach: how far they go, 1.0 being the norm of the weights themselves.
        size: points along each side.

    Raises:
        ShapeError: the path is not (n, parameters). ArgumentError: fewer than two points, or a size below 2.

    Source: H. Li, Z. Xu, G. Taylor, C. Studer and T. Goldstein, "Visualizing the Loss Landscape of Neural Nets",
    NeurIPS (2018).
    """
    if size < 2:
        raise ArgumentError(f"size: expected at least 2 points along each side, got {size}")
    now = parameters_of(model)
    if path is None:
        centre, directions, points, share = now, _random_directions(model, seed), None, None
        across = up = np.linspace(-reach, reach, size)
    else:
        places = np.asarray(path, dtype=np.float64)
        if places.ndim != 2 or places.shape[1] != now.size:
            raise ShapeError(f"path: expected (points, {now.size}), a row for each place, got {places.shape}")
        if len(places) < 2:
            raise ArgumentError("path: expected at least 2 points; note parameters_of(model) before and after training")
        centre = places[-1]
        directions, share = _principal(places)
        points = (places - centre) @ directions.T
        low, high = points.min(axis=0), points.max(axis=0)
        margin = 0.35 * np.maximum(high - low, 0.25 * (high - low).max() + 1e-9)
        across, up = (np.linspace(low[k] - margin[k], high[k] + margin[k], size) for k in range(2))
    try:
        loss = np.array(
            [[_loss_at(model, loss_of, centre + u * directions[0] + v * directions[1]) for u in across] for v in up]
        )
    finally:
        _move(model, now)
    return Landscape(across, up, loss, centre, directions, points, share)


def _principal(places: Array) -> tuple[Array, float]:
    """The two directions in which the points are spread most, and the share of the spread that lies in them."""
    _, strength, directions = np.linalg.svd(places - places.mean(axis=0), full_matrices=False)
    if len(directions) < 2:
        directions = np.vstack([directions, np.zeros_like(directions)])
    spread = float((strength**2).sum())
    return directions[:2], float((strength[:2] ** 2).sum()) / spread if spread else 1.0


def _random_directions(model: Module, seed: int) -> Array:
    rng = np.random.default_rng(seed)
    directions = []
    for _ in range(2):
        parts = []
        for parameter in model.parameters():
            part = rng.normal(size=parameter.shape)
            weight = parameter.data.astype(np.float64)
            if weight.ndim < 2:
                # Biases and scales stay: a random direction for them says nothing about the weights.
                part = np.zeros_like(part)
            else:
                axes = tuple(range(1, weight.ndim))
                norms = np.sqrt((part**2).sum(axis=axes, keepdims=True))
                part *= np.sqrt((weight**2).sum(axis=axes, keepdims=True)) / np.maximum(norms, 1e-300)
            parts.append(part.ravel())
        directions.append(np.concatenate(parts))
    return np.array(directions)


def _loss_at(model: Module, loss_of: Callable[[], Tensor | float], place: Array) -> float:
    _move(model, place)
    with no_grad(), np.errstate(all="ignore"):
        found = loss_of()
    return float(found.item() if isinstance(found, Tensor) else found)


def _move(model: Module, place: Array) -> None:
    begin = 0
    with no_grad():
        for parameter in model.parameters():
            part = place[begin : begin + parameter.size].reshape(parameter.shape)
            parameter[...] = part.astype(parameter.dtype)
            begin += parameter.size


def plot_loss_landscape(landscape: Landscape, *, ax: Any = None, levels: int = 24) -> Any:
    """Draw a landscape as contours, dark where the loss is low, and the way through it.

    Args:
        landscape: of :func:`loss_landscape`.
        ax: axes to draw into; new ones by default.
        levels: how many contours, spaced evenly in the logarithm where all losses are above 0.

    Returns:
        The matplotlib ``Axes``.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    ax = new_axes(ax, 5.6, 4.6)
    loss = np.where(np.isfinite(landscape.loss), landscape.loss, np.nan)
    low, high = float(np.nanmin(loss)), float(np.nanmax(loss))
    logarithmic = low > 0 and high > 5 * low
    height = np.log10(loss) if logarithmic else loss
    edges = np.linspace(np.nanmin(height), np.nanmax(height) + 1e-12, levels)
    ax.contourf(landscape.across, landscape.up, height, edges, cmap="Blues_r")
    ax.contour(landscape.across, landscape.up, height, edges, colors="white", linewidths=0.4)
    if landscape.path is not None:
        x, y = landscape.path.T
        ax.plot(x, y, color=COLORS[1], linewidth=2)
        for place, name in ((0, "start"), (-1, "end")):
            ax.plot(x[place], y[place], "o", color="white", markeredgecolor=COLORS[1], markeredgewidth=2, markersize=8)
            # On white, because below it is anything from pale to dark.
            paper = {"boxstyle": "round,pad=0.2", "facecolor": "white", "edgecolor": "none", "alpha": 0.85}
            ax.annotate(
                name, (x[place], y[place]), (8, 8), textcoords="offset points", fontsize=SMALL, color=INK, bbox=paper
            )
    first = "first direction"
    if landscape.share is not None:
        first = f"longest direction (the plane holds {landscape.share:.0%} of the way)"
    return tidy(ax, f"Loss from {low:.2g} (dark) to {high:.2g}", first, "second direction")
