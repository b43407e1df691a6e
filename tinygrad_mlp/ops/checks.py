"""Values that are checked as they pass: in eager runs, and in every run of a compiled step."""

from __future__ import annotations

import numpy as np

from ..errors import ArgumentError
from ..samples import Elementwise
from ..tape import Array
from .elementwise import elementwise

__all__ = ["require_finite"]


@elementwise(
    vjp=(lambda g: g,),
    reference=lambda mp, x, *, what: x,
    samples=Elementwise(params=((("what", "x"),),)),
    passes_on=True,
)
def require_finite(x: Array, *, what: str) -> Array:
    """``x`` itself, where all of it is finite.

    Args:
        what: what ``x`` is, for the message.

    Raises:
        ArgumentError: a NaN or an infinity. A compiled step that meets one has changed nothing.
    """
    if not np.isfinite(x).all():
        raise ArgumentError(
            f"{what} is not finite ({np.count_nonzero(~np.isfinite(x))} of {x.size} numbers are NaN or infinite); "
            "tinygrad_mlp.autograd.detect_anomaly() finds where the first one comes from"
        )
    return x.copy()
