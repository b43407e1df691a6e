"""Gradients bounded before the optimizer moves, in steps that are written out and in compiled ones."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..errors import ArgumentError
from ..nn.utils import clip_grad_norm_, clip_grad_value_
from ..tensor import Tensor

__all__ = ["Clip"]


class Clip:
    """Called with the parameters between the backward pass and the move.

    Args:
        norm: the largest norm of all gradients together. value: the largest size of each number of them. At most one
            of the two; with neither, calling it does nothing.

    Raises:
        ArgumentError: both, or one that is not a positive number.
    """

    def __init__(self, norm: float | None, value: float | None) -> None:
        if norm is not None and value is not None:
            raise ArgumentError(f"expected clip_norm or clip_value, got both ({norm!r} and {value!r}); leave one out")
        for name, bound in (("clip_norm", norm), ("clip_value", value)):
            given: object = bound
            if given is not None and not (isinstance(given, (int, float)) and 0.0 < given < math.inf):
                raise ArgumentError(f"{name} is a positive number, got {bound!r}; say {name}=1.0")
        self.norm, self.value = norm, value

    def __call__(self, parameters: Sequence[Tensor]) -> None:
        """Bound the gradients, in place."""
        if self.norm is not None:
            clip_grad_norm_(parameters, self.norm)
        elif self.value is not None:
            clip_grad_value_(parameters, self.value)
