"""What answers when NumPy is called on a tensor: its own functions by name, its ufuncs and their methods.

Of every function of NumPy one of three things is true. It is an operation or a composition of operations here, so it
differentiates. Or its result carries no gradient whatever the argument (a comparison, a count, an index, a shape), so
NumPy computes it from the values. Or it raises a ``TypeError`` that names it as soon as a gradient would be lost. Where
nothing is recorded nothing can be lost, and NumPy's own answer on the arrays is as good as ours.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import itertools
import sys
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

import numpy as np

from .. import ops
from ..capture import reading
from ..errors import DTypeError
from ..ops.declare import holds_masked
from ..tape import Traced, wrap
from ..tensor import Tensor
from . import numpy_maths, numpy_sums, reductions  # noqa: F401 - the first one fills the table
from .numpy_table import ANSWERS, answers, array_like, is_recorded

_FORMS = frozenset(f"numpy.{name}" for name in ["shape", "ndim", "size", "zeros_like", "ones_like", "empty_like"])
"""What these answer depends on the form of their first argument, not on its values."""

_PASSES = (
    "shape ndim size zeros_like ones_like empty_like result_type can_cast min_scalar_type common_type einsum_path "
    "may_share_memory shares_memory iscomplexobj isrealobj diag_indices_from tril_indices_from triu_indices_from "
    "array2string array_repr array_str allclose isclose array_equal array_equiv isneginf isposinf iscomplex isreal "
    "angle imag argpartition argwhere flatnonzero nonzero count_nonzero nanargmax nanargmin digitize searchsorted "
    "isin lexsort ravel_multi_index unravel_index packbits unpackbits spacing bitwise_and bitwise_or bitwise_xor "
    "bitwise_count invert left_shift right_shift gcd lcm _ones_like linalg.matrix_rank"
)
_MAKES = (
    "zeros ones empty eye identity tri arange frombuffer fromfile fromfunction fromiter fromstring loadtxt genfromtxt"
)
_MAKERS = frozenset(f"numpy.{name}" for name in _MAKES.split())
"""With ``like=tensor`` these make new numbers as a tensor; a recorded one among those it is made of would be lost."""

_PASSING = frozenset(f"numpy.{name}" for name in _PASSES.split()) | _MAKERS
"""Functions whose results carry no gradient; arrays among them become tensors."""

_WRITES = "copyto place put putmask put_along_axis fill_diagonal"
_WRITERS = frozenset(f"numpy.{name}" for name in _WRITES.split())

_HINTS = (
    (_WRITES, "it writes into its argument; say np.where(), or x[...] = value inside no_grad()"),
    ("linalg.eig linalg.eigvals roots", "its result may be complex; of symmetric matrices say np.linalg.eigh()"),
    ("sort_complex", "its result is complex; say np.sort()"),
    ("save savez savez_compressed savetxt", "tinygrad_mlp.io writes tensors"),
    ("histogram2d histogramdd", "of one axis say np.histogram()"),
)
_INSTEAD = {f"numpy.{name}": hint for names, hint in _HINTS for name in names.split()}

_PACKAGE = __name__.partition(".")[0] + "."


@answers("all")
def all(a: Any, axis: Any = None, out: None = None, keepdims: bool = False, *, where: Any = True) -> Any:
    """Whether every element over ``axis``, where ``where`` holds, is not zero; no gradient."""
    x = array_like(a)
    return ops.every(x if where is True else ops.where(where, x, 1), axis, keepdims)


@answers("any")
def any(a: Any, axis: Any = None, out: None = None, keepdims: bool = False, *, where: Any = True) -> Any:
    """Whether some element over ``axis``, where ``where`` holds, is not zero; no gradient."""
    x = array_like(a)
    return ops.some(x if where is True else ops.where(where, x, 0), axis, keepdims)


@answers("argmax")
def argmax(a: Any, axis: int | None = None, out: None = None, *, keepdims: bool = False) -> Any:
    """The place of the first largest element; no gradient."""
    return ops.argmax(array_like(a), axis, keepdims)


@answers("argmin")
def argmin(a: Any, axis: int | None = None, out: None = None, *, keepdims: bool = False) -> Any:
    """The place of the first smallest element; no gradient."""
    return ops.argmin(array_like(a), axis, keepdims)


# --- the dispatch ---


def _numpy_function(tensor: Any, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What ``func(*args, **kwargs)`` gives, one of the arguments being ``tensor``.

    Raises:
        DTypeError: a gradient would be lost, or a mask; the message names the function.
    """
    name = f"{func.__module__}.{func.__name__}"
    given = {key: value for key, value in kwargs.items() if value is not np._NoValue}
    arguments = (*args, *given.values())
    ours = _answering(func, name)
    loses = is_recorded(*arguments) or _is_masked(arguments)
    if ours is not None:
        if not _has_out(ours, args, given):
            try:
                return ours(*args, **given)
            except TypeError:
                if _fits(ours, args, given):
                    raise
        if loses or isinstance(given.get("out"), Traced):
            _no_such(f"{name} with {_described(ours, args, given)}")
    elif name in _WRITERS and isinstance(arguments[0], Traced):
        # NumPy writes into the first argument, whatever it is called.
        _no_such(name)
    elif name in _PASSING and not _is_masked(arguments) and not (loses and name in _MAKERS):
        return _as_tensors(_on_arrays(func, name, args, given))
    elif loses:
        _no_such(name)
    return _on_arrays(func, name, args, given)


def _numpy_ufunc(tensor: Any, ufunc: Any, method: str, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """What ``getattr(ufunc, method)(*inputs, **options)`` gives, one of the inputs being ``tensor``.

    Raises:
        DTypeError: no such function here, or an option that it does not take; the message names it.
    """
    name = f"numpy.{ufunc.__name__}"
    if method == "__call__":
        return _called(ufunc, name, inputs, options)
    if method == "outer" and ufunc.nin == 2 and ufunc.signature is None and not options:
        a, b = (array_like(one) for one in inputs)
        return _called(ufunc, name, (ops.reshape(a, (*a.shape, *(1,) * b.ndim)), b), {})
    found = _METHODS.get((ufunc.__name__, method))
    if found is None:
        _no_such(f"{name}.{method}")
    taken = {"axis": 0, **options}
    if taken.get("out") is not None or not _fits(found, inputs, taken):
        _no_such(f"{name}.{method} with {', '.join(options)}")
    return found(*inputs, **taken)


_METHODS: dict[tuple[str, str], Callable[..., Any]] = {
    ("add", "reduce"): numpy_sums.sum,
    ("multiply", "reduce"): numpy_sums.prod,
    ("maximum", "reduce"): numpy_sums.max,
    ("minimum", "reduce"): numpy_sums.min,
    ("logical_and", "reduce"): all,
    ("logical_or", "reduce"): any,
    ("add", "accumulate"): numpy_sums.cumsum,
    ("multiply", "accumulate"): numpy_sums.cumprod,
    ("maximum", "accumulate"): lambda array, axis: reductions.cummax(array, axis).values,
    ("minimum", "accumulate"): lambda array, axis: reductions.cummin(array, axis).values,
}


def _called(ufunc: Any, name: str, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    ours = _answering(ufunc, name)
    taken = {key: value for key, value in options.items() if not (key == "where" and value is True)}
    dtype = taken.pop("dtype", None)
    if taken and (ours is None or not _fits(ours, inputs, taken)):
        raise DTypeError(
            f"{name} on a tensor takes no {', '.join(taken)}: ops make new tensors; for values without gradient say "
            "x.detach().numpy()"
        )
    if dtype is not None:
        inputs = tuple(ops.astype(array_like(one), dtype) for one in inputs)
    if ours is not None:
        return ours(*inputs, **taken)
    if name not in _PASSING or _is_masked(inputs):
        _no_such(name)
    return _as_tensors(_on_arrays(ufunc, name, inputs, {}))


def _answering(function: Any, name: str) -> Callable[..., Any] | None:
    declared = ops.NUMPY.get(function)
    if declared is not None and not declared.__module__.startswith(_PACKAGE):
        # An operation that somebody declared for it.
        return declared
    return ANSWERS.get(name, declared)


@functools.cache
def _signature(function: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(function)


def _fits(function: Callable[..., Any], args: tuple[Any, ...], given: dict[str, Any]) -> bool:
    try:
        _signature(function).bind(*args, **given)
    except TypeError:
        return False
    return True


@functools.cache
def _place_of_out(function: Callable[..., Any]) -> int:
    by_place = [one for one in _signature(function).parameters.values() if one.kind is not one.KEYWORD_ONLY]
    names = [one.name for one in by_place if one.kind is not one.VAR_POSITIONAL]
    return names.index("out") if "out" in names else sys.maxsize


def _has_out(function: Callable[..., Any], args: tuple[Any, ...], given: dict[str, Any]) -> bool:
    place = _place_of_out(function)
    return given.get("out") is not None or (len(args) > place and args[place] is not None)


def _described(function: Callable[..., Any], args: tuple[Any, ...], given: dict[str, Any]) -> str:
    known = _signature(function).parameters
    unknown = [key for key in given if key not in known or key == "out"]
    return ", ".join(f"{key}=" for key in unknown) or f"these {len(args)} arguments"


# --- values without gradient ---


def _is_masked(values: Iterable[Any]) -> bool:
    return holds_masked([*values])


def _on_arrays(func: Any, name: str, args: tuple[Any, ...], given: dict[str, Any]) -> Any:
    """NumPy's own answer on the arrays, as ``np.asarray(t)`` would give it; a captured step is told of the reading."""
    _tell_of_reading(name, args[1 if name in _FORMS else 0 :], given.values())
    return func(*[_plain(one) for one in args], **{key: _plain(one) for key, one in given.items()})


def _tell_of_reading(what: str, *groups: Iterable[Any]) -> None:
    for value in itertools.chain(*groups):
        if isinstance(value, Traced):
            reading(value, what)
        elif isinstance(value, (list, tuple)):
            _tell_of_reading(what, value)


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(one) for one in value)
    return value.data if isinstance(value, Traced) else value


def _as_tensors(found: Any) -> Any:
    if isinstance(found, (np.ndarray, np.generic)) and found.dtype.kind in "fiub":
        return wrap(Tensor, np.asarray(found))
    return type(found)(_as_tensors(one) for one in found) if isinstance(found, (list, tuple)) else found


def _no_such(name: str) -> NoReturn:
    plain = name.partition(" ")[0]
    short = plain.rpartition(".")[2]
    known = {*ANSWERS, *_PASSING, *[f"numpy.{function.__name__}" for function in ops.NUMPY]}
    near = difflib.get_close_matches(plain, sorted(known - {plain}), n=1, cutoff=0.8)
    hint = _INSTEAD.get(plain, "")
    if not hint and plain == name:
        hint = f"say x.{short}(...)" if hasattr(Tensor, short) else f"nearest: {near[0]}" if near else ""
    raise DTypeError(
        f"{name} has no gradient rule here{'; ' if hint else ''}{hint}. tinygrad_mlp.ops holds what differentiates; "
        "for values without gradient say x.detach().numpy()"
    )
