"""Activation functions and their derivatives, which the engine finds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np

from .. import ops
from ..autograd import grad
from ..errors import ArgumentError, did_you_mean
from ..tape import Array
from ..tensor import Tensor
from .style import COLORS, SMALL, new_figure, plain, tidy

__all__ = ["activation_curves", "plot_activations"]

_KNOWN: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": ops.sigmoid,
    "tanh": ops.tanh,
    "relu": ops.relu,
    "leaky_relu": lambda x: ops.leaky_relu(x, 0.1),
    "softplus": ops.softplus,
    "silu": ops.silu,
    "gelu": ops.gelu,
    "softsign": ops.softsign,
}


def activation_curves(function: Callable[[Tensor], Tensor], places: Array) -> tuple[Array, Array]:
    """Values and derivatives of an elementwise function at ``places`` (n,); both (n,)."""
    x = Tensor(np.asarray(places, np.float64), requires_grad=True)
    y = function(x)
    (slope,) = grad(y.sum(), [x])
    return y.data, cast("Tensor", slope).data


def plot_activations(
    functions: Sequence[str] | Mapping[str, Callable[[Tensor], Tensor]] = ("sigmoid", "tanh", "relu", "leaky_relu"),
    *,
    low: float = -5.0,
    high: float = 5.0,
) -> Any:
    """Draw functions as lines and their derivatives, found by the engine, dashed, one panel each.

    Args:
        functions: names, or functions of one tensor by name.
        low, high: from where to where.

    Returns:
        The matplotlib ``Figure``.

    Raises:
        ArgumentError: a name that is not known. MissingExtraError: matplotlib is not installed.
    """
    chosen: dict[str, Callable[[Tensor], Tensor]] = {}
    for name in functions:
        if isinstance(functions, Mapping):
            chosen[name] = functions[name]
        elif name in _KNOWN:
            chosen[name] = _KNOWN[name]
        else:
            raise ArgumentError(did_you_mean("activation", name, _KNOWN))
    columns = min(len(chosen), 4) or 1
    rows = -(-len(chosen) // columns) or 1
    figure = new_figure(3.1 * columns, 2.9 * rows)
    places = np.linspace(low, high, 401)
    for number, (name, function) in enumerate(chosen.items(), 1):
        ax = figure.add_subplot(rows, columns, number)
        value, slope = activation_curves(function, places)
        ax.plot(places, value, color=COLORS[0], linewidth=2, label="value")
        ax.plot(places, slope, color=COLORS[1], linewidth=2, linestyle="--", label="derivative")
        tidy(ax, plain(name), "z", grid=True)
        if number == 1:
            ax.legend(fontsize=SMALL, frameon=False)
    return figure
