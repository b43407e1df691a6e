"""Steps of a run that is watched for :func:`explain_grad`: a captured run that notes lines, gradients and cuts."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any, NamedTuple

import numpy as np

from ..capture import Captured, reason
from ..tape import Array, Line, Node, Plan, Traced, user_line
from ..watch import scope

__all__ = ["Diary", "Muted", "Reading", "Watched", "diary"]


class Reading(NamedTuple):
    """A value taken off the tape by Python or NumPy: how, where, and the node it was read from."""

    what: str
    line: Line | None
    node: Node


class Diary:
    """Everything that a watched run did, in order."""

    def __init__(self) -> None:
        self.steps: list[Watched] = []
        self.readings: list[Reading] = []


diary: ContextVar[Diary] = ContextVar("diary")


class Watched(Captured):
    """A step of a watched run.

    Attributes:
        line: of the user's program. scope: the module path.
        gradient: what reached it in the walk. passed: what its rules sent on, one for each of ``plan.tracked``.
        why: for a step that passes no gradient, what made it so.
    """

    __slots__ = ("gradient", "line", "passed", "scope", "why")

    notes_modules = True

    def __init__(
        self, plan: Plan | None, inputs: tuple[Node, ...], kept: tuple[Any, ...] | None, shape: tuple[int, ...]
    ) -> None:
        super().__init__(plan, inputs, kept, shape)
        self.line: Line | None = user_line()
        self.scope = scope()
        self.gradient: Array | None = None
        self.passed: tuple[Array, ...] = ()
        self.why = ""
        diary.get().steps.append(self)

    @property
    def name(self) -> str:
        """The name of the op."""
        return self.plan.op.name if self.plan else "a step"

    def observe(self, y: Array, operands: Sequence[Any], params: dict[str, Any]) -> None:
        """Called for steps whose rule is the user's code."""
        self.value = y
        self.operands = [(one.node, one.data) if isinstance(one, Traced) else (None, one) for one in operands]
        self.params = params
        self.varies = False
        self.wants = True
        self.hooks = None

    def saw(self, gradient: Any) -> None:
        """Note the gradient."""
        self.gradient = np.array(gradient) if isinstance(gradient, (np.ndarray, np.generic)) else None

    def gave(self, results: Sequence[Any]) -> None:
        """Note what was sent on."""
        self.passed = tuple(
            [np.array(one) if isinstance(one, (np.ndarray, np.generic)) else np.empty(0) for one in results]
        )

    @classmethod
    def draws(cls) -> None:
        """Random numbers are welcome: the run is that of one program."""

    @classmethod
    def detached(cls, value: Traced) -> Node | None:
        """Also for leaves: where x was detached is what people want to know."""
        return value.node

    @classmethod
    def read(cls, value: Traced, what: str) -> None:
        """Note that a value left the tape."""
        if value.node is not None:
            diary.get().readings.append(Reading(what, user_line(), value.node))


class Muted(Watched):
    """A step that passes no gradient: inside ``no_grad``, or a ``detach``."""

    __slots__ = ()

    silent = True

    def __init__(
        self, plan: Plan | None, inputs: tuple[Node, ...], kept: tuple[Any, ...] | None, shape: tuple[int, ...]
    ) -> None:
        super().__init__(plan, inputs, kept, shape)
        self.why = reason()

    def observe(self, y: Array, operands: Sequence[Any], params: dict[str, Any]) -> None:
        """The rule of the user's is not run."""
        super().observe(y, operands, params)
        self.inputs, self.wants = (), False


Watched.quiet = Muted
Watched.loud = Watched
