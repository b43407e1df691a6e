"""Capturing a run: every op on a traced value is noted, with all its operands, so that it can be run again.

An ordinary tape has a node only where a gradient is wanted. While a run is captured everything that depends on a sample
has one, integers and comparisons too: replayed for other samples, none of them may stay what it was for the first.
``wants`` tells the two apart, so that gradients go exactly where they would without the capture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any, ClassVar

from .errors import CaptureError
from .tape import Array, Node, Op, Plan, Traced, recorder, recording_with, wrap

__all__ = [
    "Captured",
    "Sample",
    "Silent",
    "asked",
    "capturing",
    "cut",
    "drawing",
    "drawn",
    "noting",
    "quietly",
    "reading",
    "reason",
    "whole_step",
]


_new = object.__new__
_set_data: Callable[[Traced, Array], None] = Traced.__dict__["data"].__set__


class Captured(Node):
    """A step of a captured run.

    Attributes:
        value: what it gave. operands: the node (or None) and the value of each. params: all of them.
        varies: whether it depends on a :class:`Sample`.
    """

    __slots__ = ("operands", "params", "value", "varies", "wants")  # the last two are constants of other nodes

    captures = True
    whole = False
    """Whether this kind notes whole training steps, which write; then every value varies, in every run."""
    silent = False
    """Whether steps noted by this kind want no gradients, as inside ``no_grad``."""

    varying: ClassVar[Any]
    """The kind of handle on values that vary: reading its ``data`` outside the package counts as reading it."""

    quiet: ClassVar[type[Captured]]
    loud: ClassVar[type[Captured]]
    """The kinds that go on inside ``no_grad`` and ``enable_grad``."""

    operands: Sequence[tuple[Node | None, Any]]
    params: dict[str, Any]
    value: Array
    varies: bool
    wants: bool

    @classmethod
    def note(
        cls,
        op: Op,
        kind: type[Traced],
        y: Array,
        saved: Any,
        operands: Sequence[Any],
        arrays: Sequence[Any],
        params: dict[str, Any],
    ) -> Traced:
        """The handle on what ``op`` gave, with a node that notes everything."""
        noted = []
        mask = 0
        bit = 1
        varies = cls.whole
        for one, array in zip(operands, arrays, strict=True):
            source = one.node if isinstance(one, Traced) else None
            noted.append((source, array))
            if source is not None:
                if source.wants:
                    mask |= bit
                varies = varies or source.varies
            bit += bit
        plan = op.plan(0 if cls.silent else mask, len(noted))
        if len(params) < len(op.params):
            given = (op.forward.__kwdefaults__ or {}) | params
            params = {name: given[name] for name in op.params}
        kept: tuple[Any, ...] = ()
        if plan.keep is not None:
            kept = plan.keep((y, *arrays, saved, *[params[name] for name in op.params]))
        inputs: tuple[Any, ...] = tuple([noted[place][0] for place in plan.tracked])
        node = cls(plan, inputs, kept, y.shape)
        node.value = y
        node.operands = noted
        node.params = params
        node.hooks = None
        node.varies = varies
        node.wants = bool(inputs)
        if not varies:
            return wrap(kind, y, node)
        handle: Traced = _new(cls.varying)
        _set_data(handle, y)  # past the property that watches over it
        handle.node = node
        return handle

    def observe(self, *_: Any) -> None:
        """Called for a step that is code of the user's, which cannot be run again for other samples.

        Raises:
            CaptureError: always.
        """
        assert self.plan is not None
        raise CaptureError(
            f"{self.plan.op.name} runs Python code of yours, which cannot be replayed for many samples; say "
            "chunk_size=1, which runs the function for one sample after the other"
        )

    @classmethod
    def draws(cls) -> None:
        """Random numbers are about to be drawn.

        Raises:
            CaptureError: always; every sample would get the same.
        """
        raise CaptureError(
            "random numbers drawn inside would be the same for all samples, because the function runs once for all of "
            "them; draw them outside, one for each sample, put Dropout into eval(), or say chunk_size=1"
        )

    @classmethod
    def detached(cls, value: Traced) -> Node | None:
        """The node of ``value`` if detaching it has to be noted."""
        return value.node if value.node is not None and value.node.captures else None

    @classmethod
    def read(cls, value: Traced, what: str) -> None:
        """Python or NumPy is about to read ``value``.

        Raises:
            CaptureError: it is different for every sample.
        """
        if value.node is not None and value.node.varies:
            raise CaptureError(
                f"{what} reads a value that differs from sample to sample, while the function runs once for all of "
                "them; choose with where(), or say chunk_size=1, which runs the function for one sample after the other"
            )

    def revive(self, kind: type[Traced], _kept: tuple[Any, ...]) -> tuple[Any, ...]:
        """What the rules read, with everything that varies on the tape: data as well, but nothing saved on the side."""
        assert self.plan is not None
        op = self.plan.op
        names = op.operands if not callable(op.rules) else tuple(f"operand{i}" for i in range(len(self.operands)))
        values: dict[str, Any] = {
            name: value if node is None else wrap(kind, value, node)
            for name, (node, value) in zip(names, self.operands, strict=True)
        }
        values |= {"y": wrap(kind, self.value, self), "saved": None, **self.params}
        return tuple([values[name] for name in self.plan.reads])


class Silent(Captured):
    """Steps noted inside ``no_grad``: replayed like any other, but no gradient passes."""

    __slots__ = ()

    silent = True


class Sample(Captured):
    """Where a captured run begins: one sample of an argument."""

    __slots__ = ()

    def __init__(self, value: Array, wants: bool) -> None:
        super().__init__(None, (), (), value.shape)
        self.value = value
        self.operands = ()
        self.params = {}
        self.hooks = None
        self.varies = True
        self.wants = wants


def capturing() -> bool:
    """Whether this run is captured."""
    make = recorder()
    return make is not None and make.captures


def noting(x: Traced) -> bool:
    """Whether an op on ``x`` is noted: a whole step has nodes for what is computed from plain data too."""
    make: Any = recorder()
    return capturing() and (x.node is not None or make.whole)


_REASON: ContextVar[str] = ContextVar("reason", default="no_grad()")
reason: Callable[[], str] = _REASON.get
"""Why steps that pass no gradient are being noted, in the words of the program."""


def quietly(why: str, function: Callable[..., Any], *args: Any, **params: Any) -> Any:
    """Call an op during a capture so that it is noted, but passes no gradient; ``why`` says what the user wrote."""
    make = recorder()
    assert make is not None
    token = _REASON.set(why)
    try:
        with recording_with(make.quiet):  # type: ignore[attr-defined]
            return function(*args, **params)
    finally:
        _REASON.reset(token)


def cut(fresh: Traced) -> Node:
    """The node of ``fresh``, a copy made by an op just now, as the beginning of a gradient's way, like a leaf."""
    node = fresh.node
    assert isinstance(node, Captured)
    assert node.plan is not None
    node.plan = Plan(node.plan.op, (), len(node.operands))
    node.inputs = ()
    node.wants = True
    return node


def reading(value: Traced, what: str) -> None:
    """Tell the capture, if there is one, that Python or NumPy is about to read ``value``.

    Raises:
        CaptureError: the value differs from sample to sample.
    """
    make = recorder()
    if make is not None and make.captures:
        make.read(value, what)  # type: ignore[attr-defined]


def drawing() -> None:
    """Tell the capture, if there is one, that random numbers are about to be drawn.

    Raises:
        CaptureError: they would be the same for all samples.
    """
    make = recorder()
    if make is not None and make.captures:
        make.draws()  # type: ignore[attr-defined]


def drawn(draw: Callable[[], Array]) -> Any:
    """What ``draw`` gives: the array, or where a whole step is captured a handle on what each run will draw anew."""
    make: Any = recorder()
    return make.drawn(draw) if capturing() and make.whole else draw()


def asked(value: Any, array: Array, question: Callable[[Array], Any]) -> None:
    """Ask ``question``, which may raise, of ``array``; where a whole step is captured, every run asks it of its own."""
    question(array)
    make: Any = recorder()
    if make is not Node and capturing() and make.whole:
        make.asks(value, question)


def whole_step() -> Any:
    """The kind of node that notes the whole step being captured; None where there is no such capture."""
    make: Any = recorder()
    return make if make is not Node and make is not None and make.captures and make.whole else None


Captured.quiet = Silent
Captured.loud = Captured
