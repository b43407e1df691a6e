"""Several names of one argument: torch's and NumPy's, and ``out=``, which there is none of."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar, overload

from ..errors import ArgumentError

__all__ = ["both_names", "legacy_reduction", "refuse_in_place", "refuse_out"]

_F = TypeVar("_F", bound=Callable[..., Any])
_NUMPYS = {"axis": "dim", "keepdims": "keepdim", "axes": "dims"}


def refuse_out(name: str) -> NoReturn:
    """Say that nothing is written into ``out=``.

    Raises:
        ArgumentError: always.
    """
    raise ArgumentError(f"{name}: results are new tensors, so there is no out=; say out = {name}(...)")


def refuse_in_place(name: str, inplace: bool) -> None:
    """Say that ``inplace=True`` is not done, because the tape may still need the values that would be overwritten.

    Raises:
        ArgumentError: ``inplace`` is True.
    """
    if inplace:
        raise ArgumentError(f"{name}: results are new tensors, so there is no inplace=True; say x = {name}(x)")


def legacy_reduction(size_average: bool | None, reduce: bool | None, reduction: str) -> str:
    """The reduction that torch's older pair of arguments means: both are True where one of them is given alone."""
    if size_average is None and reduce is None:
        return reduction
    if reduce is False:
        return "none"
    return "sum" if size_average is False else "mean"


@overload
def both_names(function: _F, /) -> _F: ...
@overload
def both_names(**also: str) -> Callable[[_F], _F]: ...
def both_names(function: Any = None, /, **also: str) -> Any:
    """Take NumPy's ``axis``, ``axes`` and ``keepdims`` for torch's ``dim``, ``dims`` and ``keepdim``.

    The first argument can be called ``input`` or ``self``, whatever its name is. ``also`` has further names, each with
    the parameter that it stands for. The function returned tells them in its attribute ``renames``.

    Raises:
        ArgumentError: when it is called with two names of one argument, or with ``out=``.
    """
    if function is None:
        return functools.partial(_named, also=also)
    return _named(function, {})


def _named(function: Callable[..., Any], also: dict[str, str]) -> Callable[..., Any]:
    code = function.__code__
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    first = names[0] if code.co_argcount else None
    renames = {}
    for theirs, ours in _NUMPYS.items():
        target = "dims" if ours == "dim" and "dim" not in names else ours
        if target in names:
            renames[theirs] = target
    if first is not None:
        renames |= {"input": first, "self": first}
    renames |= also
    renames = {theirs: ours for theirs, ours in renames.items() if theirs not in names}
    takes_out = "out" in names

    @functools.wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        if options:
            for theirs in [name for name in options if name in renames]:
                ours = renames[theirs]
                if ours in options or (ours == first and args):
                    raise ArgumentError(f"{function.__name__}: {theirs} and {ours} are two names of one argument")
                options[ours] = options.pop(theirs)
            if not takes_out and options.pop("out", None) is not None:
                refuse_out(function.__name__)
        return function(*args, **options)

    call.renames = renames  # type: ignore[attr-defined]
    return call
