"""Kinds of node that note more than training needs: for pictures, and to find the step where something went wrong.

:class:`Recorded` notes values, gradients, the module path and the line of the user's program. Under ``finite`` it
raises at the first NaN or infinity, forward or backward; under ``sealed`` it notices kept values that somebody
overwrote behind the library's back. Training records plain nodes and pays for none of this.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import numpy as np

from .errors import AnomalyError, ChangedValueError
from .tape import Array, Line, Node, Plan, Traced, line_text, recorder, recording_with, user_line, walking

__all__ = ["Recorded", "checking", "checksum", "first_bad", "index_text", "scope", "scoped", "watched"]


class Checks(NamedTuple):
    """What recorded nodes check on their way."""

    finite: bool = False
    sealed: bool = False


_NONE = Checks()
_CHECKS: ContextVar[Checks] = ContextVar("checks", default=_NONE)
_SCOPE: ContextVar[tuple[str, ...]] = ContextVar("scope", default=())


def scope() -> tuple[str, ...]:
    """The module path that is running."""
    return _SCOPE.get()


@contextmanager
def scoped(name: str) -> Iterator[None]:
    """Nodes recorded inside the block belong to the module path extended by ``name``."""
    token = _SCOPE.set((*_SCOPE.get(), name))
    try:
        yield
    finally:
        _SCOPE.reset(token)


def watched() -> bool:
    """Whether single ops are being checked in this context."""
    return _CHECKS.get() is not _NONE


@contextmanager
def checking(**wanted: bool) -> Iterator[None]:
    """Record with :class:`Recorded` inside the block, and check what is ``wanted`` besides what is checked already."""
    token = _CHECKS.set(_CHECKS.get()._replace(**wanted))
    try:
        make = recorder()
        if make is None or make.captures:
            yield
        else:
            with recording_with(Recorded):
                yield
    finally:
        _CHECKS.reset(token)


class Recorded(Node):
    """A node that also notes its value, all its operands, its gradient, its module and the line that made it."""

    __slots__ = ("checks", "gradient", "line", "operands", "params", "scope", "seals", "value")

    notes_modules = True

    def __init__(
        self, plan: Plan | None, inputs: tuple[Node, ...], kept: tuple[Any, ...] | None, shape: tuple[int, ...]
    ) -> None:
        super().__init__(plan, inputs, kept, shape)
        self.hooks = None
        self.value: Array | None = None
        self.operands: tuple[tuple[Node | None, Any], ...] = ()
        self.params: dict[str, Any] = {}
        self.gradient: Any = None
        self.scope: tuple[str, ...] = scope()
        self.line: Line | None = user_line()
        self.checks = _CHECKS.get()
        self.seals: tuple[int, ...] = ()

    def observe(self, y: Array, operands: Sequence[Any], params: dict[str, Any]) -> None:
        """Note the value, the operands (with their nodes, where they have one) and the parameters.

        Raises:
            AnomalyError: under ``finite``, the value is not finite while every operand is.
        """
        self.value = y
        self.operands = tuple(
            (operand.node, operand.data) if isinstance(operand, Traced) else (None, operand) for operand in operands
        )
        self.params = params
        if self.checks.sealed:
            self.seals = tuple(map(checksum, self.kept or ()))
        # Inside a recorded walk it is for the node whose rules are running to say what they made of a gradient.
        if self.checks.finite and not walking():
            self._check_value(y)

    def saw(self, gradient: Any) -> None:
        """Note the gradient.

        Raises:
            ChangedValueError: under ``sealed``, a kept value is not what it was.
            AnomalyError: under ``finite``, the walk was started with a gradient that is not finite.
        """
        self.gradient = gradient.data if isinstance(gradient, Traced) else np.array(gradient)
        if self.seals:
            self._check_seals()
        place = first_bad(self.gradient) if self.checks.finite else None
        if place is not None:
            raise AnomalyError(
                f"the gradient that reached {self.title} is {self.gradient[place]} at {index_text(place)}: the "
                f"backward pass was started with it, or a hook made it. Recorded at {line_text(self.line)}"
            )

    def gave(self, results: Sequence[Any]) -> None:
        """Under ``finite``, raise AnomalyError where a finite gradient came in and one that is not goes on."""
        if not self.checks.finite:
            return
        assert self.plan is not None
        for position, result in zip(self.plan.tracked, results, strict=True):
            array = result.data if isinstance(result, Traced) else np.asarray(result)
            place = first_bad(array)
            if place is not None:
                raise AnomalyError(
                    f"backward: the gradient of {self.title} by {self._operand(position, array.shape, place)} is "
                    f"{array[place]} at {index_text(place)}, while the gradient that came in is finite. "
                    f"Recorded at {line_text(self.line)}{_inside(self.scope)}"
                )

    @property
    def title(self) -> str:
        """The name of the op."""
        return self.plan.op.name if self.plan else "leaf"

    def _check_value(self, y: Array) -> None:
        place = first_bad(y)
        if place is None or any(first_bad(np.asarray(data)) is not None for _, data in self.operands):
            return
        given = ", ".join(self._operand(i, y.shape, place) for i in range(len(self.operands)))
        raise AnomalyError(
            f"forward: {self.title} gave {y[place]} at {index_text(place)} from finite operands ({given}), "
            f"at {line_text(self.line)}{_inside(self.scope)}"
        )

    def _operand(self, position: int, shape: tuple[int, ...], place: tuple[int, ...]) -> str:
        """The operand's name, and its value at ``place`` of ``shape`` where that is one of its elements."""
        assert self.plan is not None
        op = self.plan.op
        name = op.operands[position] if position < len(op.operands) else f"operand {position}"
        if position >= len(self.operands):
            return name
        data = np.asarray(self.operands[position][1])
        try:
            value = np.broadcast_to(data, shape)[place]
        except ValueError:
            return f"{name} of shape {data.shape}"
        return f"{name} = {value:.9g}" if data.dtype.kind == "f" else f"{name} = {value}"

    def _check_seals(self) -> None:
        for value, seal in zip(self.kept or (), self.seals, strict=True):
            if checksum(value) != seal:
                raise ChangedValueError(
                    f"the gradient of {self.title} needs a value of shape {np.shape(value)} that was overwritten after "
                    f"{self.title} read it, by code outside the library: through x.data, a NumPy view, or the array "
                    f"that a tensor shares. The op ran at {line_text(self.line)}{_inside(self.scope)}. Call backward() "
                    "before writing, or compute with a copy (x.clone())."
                )


def checksum(value: Any) -> int:
    """A checksum of an array's content, or of those in a tuple; 0 for anything else."""
    if isinstance(value, tuple):
        return hash(tuple(map(checksum, value)))
    if not isinstance(value, np.ndarray) or value.dtype.hasobject:
        return 0
    return zlib.crc32(np.ascontiguousarray(value).reshape(-1).view(np.uint8).data)


def first_bad(array: Array) -> tuple[int, ...] | None:
    """The index of the first element that is NaN or infinite."""
    if array.dtype.kind not in "fc":
        return None
    good = np.isfinite(array)
    if good.all():
        return None
    return tuple(int(i) for i in np.unravel_index(int(np.argmin(good)), array.shape))


def index_text(place: tuple[int, ...]) -> str:
    """``[1, 0]``, as messages name an element."""
    return f"[{', '.join(map(str, place))}]" if place else "its only element"


def _inside(path: tuple[str, ...]) -> str:
    return f", in module {'.'.join(path)}" if path else ""
