"""A callback that notes how weights, gradients and activations are distributed."""

from __future__ import annotations

import numpy as np

from ...errors import ArgumentError
from ...tape import Array
from ...tree import map_leaves
from ..activity import activations_of
from ..first_look import some_rows
from .base import Callback, Logs

__all__ = ["Histograms"]

_Counted = dict[str, list[tuple[Array, Array]]]


class Histograms(Callback):
    """Note the distribution of every weight, its gradient, and what the activations give, after each epoch.

    :func:`tinygrad_mlp.viz.plot_histograms` draws one of the three. Gradients are those of the last batch; where
    ``fit`` compiles the steps there are none, ``fit(compile=False)`` has them. The run is not changed.

    Args:
        bins: how many, between the least and the largest number.

    Attributes:
        weights, gradients, activations: by name, for each epoch ``(counts, edges)`` as ``numpy.histogram`` gives them.

    Raises:
        ArgumentError: fewer than one bin.
    """

    def __init__(self, bins: int = 40) -> None:
        if bins < 1:
            raise ArgumentError(f"Histograms: expected at least 1 bin, got {bins}; say bins=40")
        self.bins = bins
        self.weights: _Counted = {}
        self.gradients: _Counted = {}
        self.activations: _Counted = {}

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:  # noqa: ARG002
        """Note the distributions."""
        for name, parameter in self.model.named_parameters():
            self._note(self.weights, name, parameter.data)
            if parameter.grad is not None:
                self._note(self.gradients, name, parameter.grad.data)
        if self.run.feed.inputs is not None:
            for where, _, values in activations_of(self.model, map_leaves(some_rows, self.run.feed.inputs)):
                self._note(self.activations, where, values)

    def _note(self, into: _Counted, name: str, values: Array) -> None:
        finite = values[np.isfinite(values)]
        if finite.size:
            into.setdefault(name, []).append(np.histogram(finite, self.bins))
