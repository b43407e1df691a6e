"""Values that are checked as they pass: in eager runs, and in every run of a compiled step."""

from __future__ import annotations

import numpy as np

from ..errors import ArgumentError
from ..samples import Elementwise
from ..tape import Array
from .elementwise import elementwise

__all__ = ["checked_finite"]


@elementwise(vjp=(lambda g: g,), reference=lambda mp, x: x, samples=Elementwise(), passes_on=True, latex="{0}")
def checked_finite(x: Array) -> Array:
    """The values of ``x``; for values that nothing may follow from unless they are finite.

    Raises:
        ArgumentError: a NaN or an infinity. A compiled step that meets one changes nothing.
    """
    if not np.isfinite(x).all():
        raise ArgumentError(
            f"expected finite numbers (of clip_grad_norm_: the norm of the gradients), but of {x.size} "
            f"{np.count_nonzero(~np.isfinite(x))} are NaN or infinite; autograd.detect_anomaly() finds where the first "
            "one comes from"
        )
    return x.copy()
