"""Questions with yes or no for an answer: comparisons and tests. Their results carry no gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..capture import noting
from ..samples import Domain, Elementwise, Reduction
from ..tape import Array, Traced, wrap
from . import batched, native
from .declare import primitive
from .elementwise import elementwise
from .kernels import chosen, normalise_axes, normalise_axis
from .names import both_names
from .shape import reshaped

_PAIR = Elementwise((Domain(), Domain()))


def _question(name: str, function: Callable[..., Any], arity: int, scalar: str, latex: str) -> Callable[..., Any]:
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
        latex=latex,
        floats=False,
    )
    return declared(forward)


eq = _question("eq", np.equal, 2, "({0} == {1})", "[{0} = {1}]")
ne = _question("ne", np.not_equal, 2, "({0} != {1})", r"[{0} \ne {1}]")
lt = _question("lt", np.less, 2, "({0} < {1})", "[{0} < {1}]")
le = _question("le", np.less_equal, 2, "({0} <= {1})", r"[{0} \le {1}]")
gt = _question("gt", np.greater, 2, "({0} > {1})", "[{0} > {1}]")
ge = _question("ge", np.greater_equal, 2, "({0} >= {1})", r"[{0} \ge {1}]")
logical_and = _question("logical_and", np.logical_and, 2, "({0} && {1})", r"[{0} \land {1}]")
logical_or = _question("logical_or", np.logical_or, 2, "({0} || {1})", r"[{0} \lor {1}]")
logical_not = _question("logical_not", np.logical_not, 1, "(!{0})", r"[\lnot {0}]")
isnan = _question("isnan", np.isnan, 1, "isnan({0})", r"\operatorname{{isnan}}({0})")
isinf = _question("isinf", np.isinf, 1, "isinf({0})", r"\operatorname{{isinf}}({0})")
isfinite = _question("isfinite", np.isfinite, 1, "isfinite({0})", r"\operatorname{{isfinite}}({0})")


# --- about several elements -----------------------------------------------------------------------


def _search(name: str, function: Callable[..., Any], rule: native.Rule) -> Callable[..., Any]:
    def forward(x: Array, *, axis: int, keepdims: bool) -> Array:
        return np.asarray(function(x, axis, keepdims=keepdims))

    forward.__name__ = name
    forward.__doc__ = f"``numpy.{function.__name__}`` along one axis, without gradient."
    sample = Reduction(single_axis=True, empty=False)
    latex = rf"\operatorname{{{{{name}}}}}({{0}})"
    return primitive(vjp=(None,), samples=sample, latex=latex, batch=batched.along_axis, native=rule)(forward)


def _verdict(name: str, function: Callable[..., Any], rule: native.Rule) -> Callable[..., Any]:
    def forward(x: Array, *, axes: tuple[int, ...], keepdims: bool) -> Array:
        return np.asarray(function(x, axes, keepdims=keepdims))

    forward.__name__ = name
    forward.__doc__ = f"``numpy.{function.__name__}`` over axes, without gradient."
    latex = rf"\operatorname{{{{{name}}}}}({{0}})"
    return primitive(vjp=(None,), samples=Reduction(), latex=latex, batch=batched.over_axes, native=rule)(forward)


_largest = _search("argmax", np.argmax, native.searching(largest=True))
_smallest = _search("argmin", np.argmin, native.searching(largest=False))
_some = _verdict("any", np.any, native.some)
_every = _verdict("all", np.all, native.every)


def _is_apart(x: Any) -> bool:
    # The answer is on no tape, except that of a captured run: without one NumPy is asked directly.
    return isinstance(x, Traced) and not noting(x)


def _found(search: Callable[..., Any], x: Any, axis: int | None, keepdims: bool) -> Any:
    if _is_apart(x):
        return wrap(type(x), np.asarray(getattr(x.data, search.__name__)(axis, keepdims=keepdims)))
    if axis is not None:
        return search(x, axis=normalise_axis(axis, x.ndim), keepdims=keepdims)
    flat = search(reshaped(x, shape=(x.size,)), axis=0, keepdims=False)
    return reshaped(flat, shape=(1,) * x.ndim) if keepdims else flat


def _judged(judge: Callable[..., Any], x: Any, axis: Any, keepdims: bool) -> Any:
    if _is_apart(x):
        return wrap(type(x), np.asarray(getattr(x.data, judge.__name__)(axis, keepdims=keepdims)))
    return judge(x, axes=normalise_axes(axis, x.ndim), keepdims=keepdims)


@both_names
def argmax(
    input: Any, axis: int | None = None, keepdims: bool = False, *, dim: Any = None, keepdim: bool = False
) -> Any:
    """The place of the (first) largest element, over ``axis`` or in the flattened tensor; no gradient."""
    return _found(_largest, input, chosen(axis, dim), bool(keepdims or keepdim))


@both_names
def argmin(
    input: Any, axis: int | None = None, keepdims: bool = False, *, dim: Any = None, keepdim: bool = False
) -> Any:
    """The place of the (first) smallest element, over ``axis`` or in the flattened tensor; no gradient."""
    return _found(_smallest, input, chosen(axis, dim), bool(keepdims or keepdim))


def some(x: Any, axis: Any = None, keepdims: bool = False, *, dim: Any = None, keepdim: bool = False) -> Any:
    """Whether some element is not zero."""
    return _judged(_some, x, chosen(axis, dim), bool(keepdims or keepdim))


def every(x: Any, axis: Any = None, keepdims: bool = False, *, dim: Any = None, keepdim: bool = False) -> Any:
    """Whether every element is not zero."""
    return _judged(_every, x, chosen(axis, dim), bool(keepdims or keepdim))
