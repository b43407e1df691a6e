"""Dropout layers: in training they drop, in evaluation they are the identity. Each draws from its own generator."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..tensor import generator
from .functional import (
    alpha_dropout,
    check_probability,
    dropout,
    dropout1d,
    dropout2d,
    feature_alpha_dropout,
)
from .module import Module, refuse_data

__all__ = ["AlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "FeatureAlphaDropout"]


class _Dropping(Module):
    """A layer with a probability and a generator."""

    def __init__(self, p: float = 0.5, *, rng: np.random.Generator | None = None, seed: int | None = None) -> None:
        super().__init__()
        refuse_data(self, p)
        self.p = check_probability(p)
        self.rng = generator(rng, seed)

    def extra_repr(self) -> str:
        """The probability."""
        return f"p={self.p}"


class Dropout(_Dropping):
    """In training set each element to 0 with probability ``p`` and scale the others by ``1 / (1 - p)``.

    In evaluation it is the identity. Each Dropout draws from its own generator.

    Args:
        p: the probability of dropping, from 0 to 1; 1 gives zeros.
        rng, seed: for the masks; fresh by default.

    Raises:
        ArgumentError: ``p`` outside [0, 1].

    Source: Srivastava et al., JMLR 15, 2014.
    """

    def forward(self, x: Any) -> Any:
        """``x`` with elements dropped, of the same shape and dtype."""
        return dropout(x, self.p, self.training, rng=self.rng)


class Dropout1d(_Dropping):
    """Dropout of whole channels of ``(batch, channels, length)`` or ``(channels, length)``.

    Args, errors: as :class:`Dropout`; ShapeError for another number of axes. Source: Tompson et al., CVPR 2015.
    """

    def forward(self, x: Any) -> Any:
        """``x`` with channels dropped, of the same shape and dtype."""
        return dropout1d(x, self.p, self.training, rng=self.rng)


class Dropout2d(_Dropping):
    """Dropout of whole channels of ``(batch, channels, height, width)`` or ``(channels, height, width)``.

    Args, errors: as :class:`Dropout`; ShapeError for another number of axes. Source: Tompson et al., CVPR 2015.
    """

    def forward(self, x: Any) -> Any:
        """``x`` with channels dropped, of the same shape and dtype."""
        return dropout2d(x, self.p, self.training, rng=self.rng)


class AlphaDropout(_Dropping):
    """Dropout for SELU networks: dropped elements get SELU's lowest value, mean 0 and variance 1 are kept.

    Args, errors: as :class:`Dropout`. Source: Klambauer et al., NeurIPS 2017.
    """

    def forward(self, x: Any) -> Any:
        """``x`` with elements dropped, of the same shape and dtype."""
        return alpha_dropout(x, self.p, self.training, rng=self.rng)


class FeatureAlphaDropout(_Dropping):
    """:class:`AlphaDropout` of whole channels (axis 1). Args, errors, source: as there; ShapeError below two axes."""

    def forward(self, x: Any) -> Any:
        """``x`` with channels dropped, of the same shape and dtype."""
        return feature_alpha_dropout(x, self.p, self.training, rng=self.rng)
