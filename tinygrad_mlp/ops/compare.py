"""Questions with yes or no for an answer: comparisons and tests. Their results carry no gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..samples import Domain, Elementwise
from ..tape import Array
from .elementwise import elementwise

_PAIR = Elementwise((Domain(), Domain()))


def _question(name: str, function: Callable[..., Any], arity: int, scalar: str) -> Callable[..., Any]:
    def one(x: Array) -> Array:
        return function(x)

    def two(a: Array, b: Array) -> Array:
        return function(a, b)

    forward = one if arity == 1 else two
    forward.__name__ = name
    forward.__doc__ = f"``numpy.{function.__name__}``, elementwise, as booleans without gradient."
    declared = elementwise(
        vjp=(None,) * arity,
        numpy=function,
        samples=_PAIR if arity == 2 else Elementwise(),
        scalar=scalar,
        floats=False,
    )
    return declared(forward)


eq = _question("eq", np.equal, 2, "({0} == {1})")
ne = _question("ne", np.not_equal, 2, "({0} != {1})")
lt = _question("lt", np.less, 2, "({0} < {1})")
le = _question("le", np.less_equal, 2, "({0} <= {1})")
gt = _question("gt", np.greater, 2, "({0} > {1})")
ge = _question("ge", np.greater_equal, 2, "({0} >= {1})")
logical_and = _question("logical_and", np.logical_and, 2, "({0} && {1})")
logical_or = _question("logical_or", np.logical_or, 2, "({0} || {1})")
logical_not = _question("logical_not", np.logical_not, 1, "(!{0})")
isnan = _question("isnan", np.isnan, 1, "isnan({0})")
isinf = _question("isinf", np.isinf, 1, "isinf({0})")
isfinite = _question("isfinite", np.isfinite, 1, "isfinite({0})")
