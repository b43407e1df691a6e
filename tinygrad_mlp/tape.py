"""The tape: what an op is, what a recorded step keeps, and the walk that applies the chain rule.

Read this file and you know how the engine works.

* A :class:`Traced` value is a handle: an array and the :class:`Node` that made it. A node points to the nodes of its
  inputs and never to its own output, so there are no reference cycles: memory goes with the last handle.
* An :class:`Op` is declared once (``tinygrad_mlp.ops``). For each set of inputs that want a gradient it has one
  :class:`Plan`: which values the rules read, and the function that turns the gradient of the output into the
  gradients of those inputs.
* :func:`walk` visits the nodes consumers first, so each node is visited once, with its whole gradient.

Rules are written with the polymorphic op functions. Seed the walk with arrays and it runs in plain NumPy; seed it with
traced values and every rule is itself recorded, which is how derivatives of any order are made.
"""

from __future__ import annotations

import itertools
import linecache
import sys
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from operator import attrgetter, itemgetter
from types import CodeType, FrameType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from .errors import ChangedValueError, ReleasedGraphError

__all__ = [
    "OPS",
    "PACKAGE",
    "Array",
    "Hooks",
    "Leaf",
    "Line",
    "Node",
    "Op",
    "Plan",
    "Traced",
    "consumers_first",
    "line_number",
    "line_text",
    "recorder",
    "recording_with",
    "tick",
    "user_frame",
    "user_line",
    "walk",
    "walking",
    "wrap",
    "writer",
    "wrote",
]

Array = NDArray[Any]

# The logical clock: nodes and library writes take the next tick. A consumer's tick is always above its inputs' ticks,
# so sorting by tick is a topological order, and "was this array written after that op ran?" is one comparison.
tick: Callable[[], int] = itertools.count(1).__next__


class Traced:
    """A handle on an array and on the node that made it; ``node`` is None where nothing is recorded.

    Abstract: ``Tensor`` is its one final subclass.
    """

    __slots__ = ("__weakref__", "data", "node")

    data: Array
    node: Node | None


_new = object.__new__
_Handle = TypeVar("_Handle", bound=Traced)


def wrap(kind: type[_Handle], data: Array, node: Node | None = None) -> _Handle:
    """A new handle of the given kind, without the checks of its constructor."""
    handle = _new(kind)
    handle.data = data
    handle.node = node
    return handle


# --- what is declared -----------------------------------------------------------------------------


class Op:
    """One operation: everything the package knows about it, written down once.

    Attributes:
        name: the name of the op function, torch's where torch has one.
        forward: NumPy arrays in, NumPy array out; keyword parameters are plain data.
        rules: one vector-Jacobian rule per array operand (None: no gradient goes there), or for ops with any number of
            operands a function from position to rule. A rule's first parameter is the incoming gradient ``g``; each
            further one names what it reads: ``y`` (the output), an operand, ``<operand>_shape``, or a parameter.
            Nothing else is kept alive.
        operands, params: the names of the array operands and of the keyword parameters of ``forward``.
        numpy: the NumPy functions that this op is.
        reference: the same function computed by somebody else, for the tests: ``reference(mp, *operands)`` on mpmath
            numbers for elementwise ops, ``reference(np, *arrays, **params)`` otherwise.
        samples: which inputs are legal, see :mod:`tinygrad_mlp.samples`.
        scalar: a template for code generators, ``{0}``, ``{1}`` being the operands; None: call ``forward``.
        latex: a template for formulas, or a function that makes one from the parameters; see ``formula``.
        text: a template for the NumPy expression that ``forward`` is, ``{x}`` being operand or parameter ``x``;
            None: the name of the ufunc, or a call of the function.
        elementwise: operands broadcast against each other, and gradients are summed back to their shapes.
        saves: ``forward`` returns ``(y, saved)``; rules may read ``saved``, plain data that only saves them work.
        joint: work that the rules share: a function of the incoming gradient and of what it names, as a rule; each rule
            then gets what it gave in the place of the gradient.
        passes_on: some rule may return the incoming gradient itself, a view of it, or a kept value; otherwise every
            rule returns memory of its own, which the walk may then add to and hand over without a copy.
        batch: how the op answers for many samples at once, see :mod:`tinygrad_mlp.ops.batched`; None: one by one.
        calls: the NumPy calls of ``forward`` written out, see :mod:`tinygrad_mlp.ops.calls`; None: it is called.
        part: for an op of one operand whose gradient is ``g`` at an index without repeats and 0 elsewhere: gives that
            index from what the rule reads besides ``g`` and shapes, or None where it is another; the walk then adds
            ``g`` in place. None: the rule makes the whole array.
        native: how the op is written in C, see :mod:`tinygrad_mlp.ops.native`; None: by ``scalar``, or not at all.
        multiply_adds: for a sum of products: how many of them ``forward`` adds up, from the shapes of its operands (and
            its parameters by name); None: it is none.
        call: the polymorphic op function; set when it is published.
    """

    __slots__ = (
        "_plans",
        "batch",
        "call",
        "calls",
        "elementwise",
        "forward",
        "joint",
        "latex",
        "multiply_adds",
        "name",
        "native",
        "numpy",
        "operands",
        "params",
        "part",
        "passes_on",
        "pull_maker",
        "reference",
        "rules",
        "samples",
        "saves",
        "scalar",
        "text",
    )

    def __init__(
        self,
        name: str,
        forward: Callable[..., Any],
        rules: tuple[Callable[..., Any] | None, ...] | Callable[[int], Callable[..., Any]],
        *,
        operands: tuple[str, ...],
        params: tuple[str, ...],
        numpy: tuple[Callable[..., Any], ...],
        reference: Callable[..., Any] | None,
        samples: object,
        scalar: str | None,
        latex: str | Callable[..., str] | None,
        elementwise: bool,
        saves: bool,
        passes_on: bool,
        pull_maker: Callable[..., Callable[..., tuple[Any, ...]]],
        text: str | None = None,
        batch: Callable[..., Any] | None = None,
        native: Callable[..., Any] | None = None,
        calls: Callable[..., Any] | None = None,
        part: Callable[..., Any] | None = None,
        joint: Callable[..., Any] | None = None,
        multiply_adds: Callable[..., int] | None = None,
    ) -> None:
        self.name = name
        self.forward = forward
        self.rules = rules
        self.operands = operands
        self.params = params
        self.numpy = numpy
        self.reference = reference
        self.samples = samples
        self.scalar = scalar
        self.latex = latex
        self.text = text
        self.elementwise = elementwise
        self.saves = saves
        self.passes_on = passes_on
        self.pull_maker = pull_maker
        self.batch = batch
        self.native = native
        self.calls = calls
        self.part = part
        self.joint = joint
        self.multiply_adds = multiply_adds
        self.call: Callable[..., Any] = forward
        self._plans: dict[tuple[int, int], Plan] = {}

    def __repr__(self) -> str:
        return f"<Op {self.name}({', '.join(self.operands)})>"

    def formula(self, params: Mapping[str, Any] | None = None) -> str | None:
        """The template of its formula, which may depend on its parameters; without them the usual one."""
        return self.latex(**(params or {})) if callable(self.latex) else self.latex

    def rule(self, position: int) -> Callable[..., Any] | None:
        """The rule for the operand at ``position``."""
        return self.rules(position) if callable(self.rules) else self.rules[position]

    def plan(self, mask: int, arity: int) -> Plan:
        """The plan for ``arity`` operands of which those whose bit is set in ``mask`` want gradients."""
        plan = self._plans.get((mask, arity))
        if plan is None:
            tracked = tuple(i for i in range(arity) if mask >> i & 1 and self.rule(i) is not None)
            plan = Plan(self, tracked, arity)
            if arity <= _REMEMBERED:
                self._plans[mask, arity] = plan
        return plan


# Joining ever more tensors would otherwise leave a plan behind for every number of them.
_REMEMBERED = 32

OPS: dict[str, Op] = {}
"""Every declared op by name; filled by declaring, by nothing else."""


class Plan:
    """What one op does on the way back when the operands at ``tracked`` want gradients.

    ``keep`` picks what the rules read out of ``(y, *operands, saved, *params)`` (None: they read nothing); an operand's
    own shape need not be kept, its node has it. ``pull(g, kept, inputs)`` gives one gradient per tracked operand.
    ``roles`` says which kept value is the output (-1), a tracked operand (its place among ``inputs``) or plain data
    (None), so that a recorded walk can put the first two back on the tape. ``reads`` has their names.
    """

    pull: Callable[..., tuple[Any, ...]]

    __slots__ = ("fresh", "keep", "op", "part", "pull", "reads", "reads_params", "roles", "tracked")

    def __init__(self, op: Op, tracked: tuple[int, ...], arity: int) -> None:
        operands = op.operands if not callable(op.rules) else tuple(f"operand{i}" for i in range(arity))
        places = ["y", *operands, "saved", *op.params]
        rules = [rule for rule in map(op.rule, tracked) if rule is not None]
        reads = [_parameters(rule) for rule in rules]
        if op.joint is not None and rules:
            rules.append(op.joint)
            reads.append(_parameters(op.joint))
        names = [name for name in dict.fromkeys(itertools.chain(*reads)) if not name.endswith("_shape")]
        self.op = op
        self.tracked = tracked
        self.fresh = not op.passes_on
        self.part = op.part
        self.reads = tuple(names)
        self.keep = _picker([places.index(name) for name in names])
        self.reads_params = not set(op.params).isdisjoint(names)
        rank = {operands[i]: k for k, i in enumerate(tracked)}
        self.roles = tuple(-1 if name == "y" else rank.get(name) for name in names)
        adapted = [_adapt(rule, read, names, rank) for rule, read in zip(rules, reads, strict=True)]
        if op.joint is not None and rules:
            shared = adapted.pop()
            pull = op.pull_maker(adapted)
            self.pull = lambda g, kept, inputs: pull(shared(g, kept, inputs), kept, inputs)
        else:
            self.pull = op.pull_maker(adapted)

    def revive(self, kind: type[Traced], node: Node, kept: tuple[Any, ...]) -> tuple[Any, ...]:
        """The kept values of ``node`` as traced values, so that rules applied to them are recorded."""
        return tuple(
            value if role is None else wrap(kind, value, node if role < 0 else node.inputs[role])
            for value, role in zip(kept, self.roles, strict=True)
        )


def _parameters(rule: Callable[..., Any]) -> tuple[str, ...]:
    code = rule.__code__
    return tuple(code.co_varnames[1 : code.co_argcount])


def _picker(places: Sequence[int]) -> Callable[[tuple[Any, ...]], tuple[Any, ...]] | None:
    if not places:
        return None
    if len(places) == 1:
        # itemgetter of one index gives the bare item; of a slice, a tuple.
        return itemgetter(slice(places[0], places[0] + 1))
    return itemgetter(*places)


def _adapt(  # noqa: PLR0911 - one return per pattern
    rule: Callable[..., Any], reads: Sequence[str], names: Sequence[str], rank: dict[str, int]
) -> Callable[[Any, tuple[Any, ...], tuple[Node, ...]], Any]:
    # One closure per pattern of what is read: a call with * costs more than the smallest array operation.
    shapes = [name.removesuffix("_shape") for name in reads if name.endswith("_shape")]
    own = rank[shapes[0]] if shapes else 0
    picks = [names.index(name) for name in reads if not name.endswith("_shape")]
    shape_last = bool(shapes) and reads[-1].endswith("_shape")
    match len(shapes), picks:
        case 0, []:
            return lambda g, kept, inputs: rule(g)
        case 0, [a]:
            return lambda g, kept, inputs: rule(g, kept[a])
        case 0, [a, b]:
            return lambda g, kept, inputs: rule(g, kept[a], kept[b])
        case 0, _:
            return lambda g, kept, inputs: rule(g, *[kept[place] for place in picks])
        case 1, []:
            return lambda g, kept, inputs: rule(g, inputs[own].shape)
        case 1, [a] if shape_last:
            return lambda g, kept, inputs: rule(g, kept[a], inputs[own].shape)
    assert reads[0].endswith("_shape"), f"a rule reads one shape, first or last: {reads}"
    return lambda g, kept, inputs: rule(g, inputs[own].shape, *[kept[place] for place in picks])


# --- what is recorded -----------------------------------------------------------------------------


class Node:
    """One recorded step: its plan, the nodes of the tracked operands, what the rules read, the output's shape.

    ``kept`` is None once a walk has released it.

    Attributes:
        captures: this kind of node is made for every op on a value that has a node, see :mod:`tinygrad_mlp.capture`.
        notes_modules: whether this kind of node notes the path of the module that it was recorded in.
        wants: whether a gradient is wanted here; only a capture has nodes for data as well.
        varies: whether the value depends on the sample of a captured run.
    """

    __slots__ = ("hooks", "inputs", "kept", "plan", "shape", "tick")

    # Left unset in plain nodes, which have none: one store less for every op.
    hooks: Hooks | None

    captures: bool = False
    notes_modules: bool = False
    wants: bool = True
    varies: bool = False

    def __init__(
        self, plan: Plan | None, inputs: tuple[Node, ...], kept: tuple[Any, ...] | None, shape: tuple[int, ...]
    ) -> None:
        self.plan = plan
        self.inputs = inputs
        self.kept = kept
        self.shape = shape
        self.tick = tick()

    def __repr__(self) -> str:
        return f"<{self.plan.op.name if self.plan else 'leaf'} node, shape {self.shape}>"

    def observe(self, y: Array, operands: Sequence[Any], params: dict[str, Any]) -> None:
        """Called after recording under a recorder of another kind than Node; here there is nothing to note."""

    @classmethod
    def enters(cls, module: Any) -> None:
        """Called when a module begins to run, for kinds that note modules."""

    @classmethod
    def leaves(cls, module: Any, output: Any) -> None:
        """Called when a module has run, for kinds that note modules; ``output`` is None where it raised."""

    def saw(self, gradient: Any) -> None:
        """Called by the walk with the whole gradient of this step, before its rules run, for other kinds than Node.

        They may raise here or in :meth:`gave`: no leaf has been given anything by then.
        """

    def revive(self, kind: type[Traced], kept: tuple[Any, ...]) -> tuple[Any, ...]:
        """What the rules read, as traced values, so that a walk that is itself recorded has it on the tape."""
        assert self.plan is not None
        return self.plan.revive(kind, self, kept)

    def gave(self, results: Sequence[Any]) -> None:
        """Called by the walk with what the rules made of the gradient, one result for each of ``inputs``."""


class Hooked(Node):
    """A plain node that hooks were put on: ``node.__class__ = Hooked``, so that other nodes pay nothing for hooks."""

    __slots__ = ()


class Leaf(Node):
    """Where gradients arrive: a tensor that the user asked gradients for. Holds the gradient, not the tensor."""

    __slots__ = ("array", "gradient", "name")

    def __init__(self, array: Array) -> None:
        super().__init__(None, (), (), array.shape)
        self.array = array
        self.gradient: Any = None
        self.name: str | None = None
        self.hooks = None


class Hooks:
    """What users hung on one node.

    Attributes:
        before: functions of the node's gradient, by key, run in order by the walk; each may return a replacement.
        after: functions run once ``backward()`` has added to a leaf's gradient.
        retains: called with the gradient that ``backward()`` brings to this node, which is no leaf, after ``before``.
        gradient: where ``retains`` puts it.
    """

    __slots__ = ("after", "before", "gradient", "retains")

    def __init__(self) -> None:
        self.before: dict[int, Callable[[Any], Any]] = {}
        self.after: dict[int, Callable[[], None]] = {}
        self.retains: Callable[[Any], None] | None = None
        self.gradient: Any = None

    @staticmethod
    def of(node: Node) -> Hooks:
        """The hooks of ``node``, made now if there were none."""
        if type(node) is Node:
            node.__class__ = Hooked
            node.hooks = None
        if node.hooks is None:
            node.hooks = Hooks()
        return node.hooks

    def run(self, gradient: Any) -> Any:
        """The gradient after all functions of ``before``."""
        for function in tuple(self.before.values()):
            gradient = function(gradient)
        return gradient


_RECORDER: ContextVar[type[Node] | None] = ContextVar("recorder", default=Node)
recorder: Callable[[], type[Node] | None] = _RECORDER.get
"""The kind of node that ops record in this context; None where they record nothing (``no_grad``)."""

WHOLE: list[Any] = []
"""Has an entry for each whole step being captured, in whatever thread: there, ops on plain data are noted too."""

_WALKING: ContextVar[bool] = ContextVar("walking", default=False)
walking: Callable[[], bool] = _WALKING.get
"""Whether the rules of a walk that is itself recorded are running in this context."""


@contextmanager
def recording_with(kind: type[Node] | None) -> Iterator[None]:
    """Record with this kind of node inside the block; the previous kind is restored however the block ends."""
    token = _RECORDER.set(kind)
    try:
        yield
    finally:
        _RECORDER.reset(token)


# --- where in the user's program ------------------------------------------------------------------

Line = tuple[CodeType, int]
"""A place in a program: its code object and the offset of the instruction, which is had faster than its line."""

# pathlib would take a tenth of the import time.
PACKAGE = __file__.removesuffix("tape.py")


def user_frame() -> FrameType | None:
    """The innermost call on the stack that is not this package's own; None if all are."""
    # inspect's way to the frames would read source files on every call.
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(PACKAGE):
        frame = frame.f_back
    return frame


def user_line() -> Line | None:
    """The line that :func:`user_frame` is at."""
    frame = user_frame()
    return None if frame is None else (frame.f_code, frame.f_lasti)


def line_number(line: Line) -> int:
    """The number of a line in its file."""
    code, offset = line
    return next((n for start, end, n in code.co_lines() if start <= offset < end and n), code.co_firstlineno)


def line_text(line: Line | None) -> str:
    """``file.py:12, in train: `y = x.log()```, as error messages name a line."""
    if line is None:
        return "an unknown line"
    code, _ = line
    number = line_number(line)
    source = linecache.getline(code.co_filename, number).strip()
    inside = "" if code.co_name == "<module>" else f", in {code.co_name}"
    return f"{code.co_filename}:{number}{inside}" + (f": `{source}`" if source else "")


# --- writes ---------------------------------------------------------------------------------------

# Which arrays the library has written into, and when. One dictionary entry per written array and one comparison per
# backward pass replace a version counter on every tensor and every kept value.
_writes: dict[int, Any] = {}
# How often an entry was put there.
_noted = 0
_last_write = 0


def wrote(what: str, *arrays: Array) -> None:
    """Note that ``arrays`` were just written into by ``what``, a few words for the error message."""
    global _last_write
    _last_write = tick()
    _note((_last_write, what, user_line()), arrays)


def _note(entry: Any, arrays: Sequence[Array]) -> None:
    global _noted
    _noted += 1
    for array in arrays:
        owner = array if array.base is None else _owner(array)
        key = id(owner)
        if key not in _writes:
            weakref.finalize(owner, _writes.pop, key, None).atexit = False
        _writes[key] = entry


def writer(what: str, arrays: Sequence[Array]) -> Callable[[], None]:
    """``wrote(what, *arrays)`` for arrays that are written again and again, in a time that does not grow with them."""
    entry: list[Any] = [0, what, None]
    at = -1

    def note() -> None:
        nonlocal at
        global _last_write
        # All arrays share one entry, which is changed in place as long as nobody has noted anything else.
        entry[0] = _last_write = tick()
        entry[2] = user_line()
        if at != _noted:
            _note(entry, arrays)
            at = _noted

    return note if arrays else lambda: None


def _owner(array: Array) -> Array:
    base = array.base
    while isinstance(base, np.ndarray):
        array, base = base, base.base
    return array


def _check_walkable(order: Sequence[Node]) -> None:
    """Raise before anything is changed if what the rules need was released or overwritten."""
    oldest = _last_write
    for node in order:
        if node.kept is None:
            raise ReleasedGraphError(_released(node))
        if node.plan is not None:
            oldest = node.tick
    if _last_write <= oldest:
        return
    for node in order:
        for value in node.kept or ():
            if not isinstance(value, np.ndarray) or node.plan is None:
                continue
            when, what, where = _writes.get(id(_owner(value)), (0, "", None))
            if when > node.tick:
                raise ChangedValueError(
                    f"the gradient of {node.plan.op.name} needs a value of shape {value.shape} that was overwritten "
                    f"by {what} after {node.plan.op.name} read it, at {line_text(where)}. Call backward() before "
                    "writing, or write into a copy (x.clone())."
                )


# --- the walk -------------------------------------------------------------------------------------

_by_tick = attrgetter("tick")


def consumers_first(roots: Iterable[Node], stops: set[Node] | None = None) -> list[Node]:
    """Every node that ``roots`` depend on, each once, consumers before what they consume; nothing from ``stops`` on."""
    seen = set(roots)
    if stops:
        seen -= stops
    stack = list(seen)
    if stops:
        seen |= stops
    pop = stack.pop
    while stack:
        for source in pop().inputs:
            if source not in seen:
                seen.add(source)
                stack.append(source)
    if stops:
        seen -= stops
    order = list(seen)
    order.sort(key=_by_tick, reverse=True)
    return order


def walk(
    roots: Sequence[Node],
    seeds: Sequence[Any],
    *,
    targets: Iterable[Node] | None = None,
    retain: bool = False,
    through: bool = True,
    hooks: bool = True,
) -> dict[Node, Any]:
    """The gradients of ``roots``, seeded with ``seeds``, with respect to the leaves or to ``targets``.

    Args:
        roots: where to start, one seed each: arrays for plain NumPy, traced values to record the walk itself.
        targets: the nodes wanted; None for every leaf that is reached.
        retain: keep what the rules read, so that the graph can be walked again.
        through: False ends the walk at the targets: neither their rules nor their hooks run.
        hooks: False leaves out the users' hooks: for a walk whose seed stands for no gradient, as in forward mode.

    Returns:
        A gradient for every wanted node that the roots depend on. Arrays among them share memory with nothing else.

    Raises:
        ReleasedGraphError: an earlier walk released this graph; nothing has been changed.
        ChangedValueError: a kept value was overwritten since; nothing has been changed.
    """
    wanted = None if targets is None else set(targets)
    order = consumers_first(roots, None if through else wanted)
    if wanted is not None:
        order = _leading_to(wanted, order)
    needed = None if wanted is None else wanted.union(order)
    _check_walkable(order)
    pending: dict[Node, Any] = {}
    owned: set[Node] = set()
    for root, seed in zip(roots, seeds, strict=True):
        if needed is None or root in needed:
            pending[root] = pending[root] + seed if root in pending else seed
    found: dict[Node, Any] = {}
    # Where gradients of parts were added in place: the indices, by the node whose gradient it is.
    parts: dict[Node, list[Any]] = {}
    recorded = any(isinstance(seed, Traced) for seed in seeds)
    token = _WALKING.set(True) if recorded else None
    try:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            for node in order:
                g = pending.pop(node)
                if parts and node in parts:
                    _settle(g, parts.pop(node))
                plan = node.plan
                plain = type(node) is Node
                if not plain:
                    if node.hooks is not None and hooks:
                        g = node.hooks.run(g)
                        owned.discard(node)  # a hook may have kept it
                        if wanted is None and node.hooks.retains is not None:
                            node.hooks.retains(g)
                    if plan is not None:
                        node.saw(g)
                if plan is None if wanted is None else node in wanted:
                    found[node] = g if isinstance(g, Traced) else np.asarray(g) if node in owned else np.array(g)
                if plan is None:
                    continue
                inputs = node.inputs
                kept = node.kept
                if kept is None:  # another thread is walking the same graph, and was faster
                    raise ReleasedGraphError(_released(node))
                if not retain:
                    node.kept = None
                if recorded and not isinstance(g, (np.ndarray, np.generic)):
                    kept = node.revive(type(g), kept)
                fresh = plan.fresh
                if plan.part is not None and plain and inputs[0] in owned and type(g) is np.ndarray:
                    where = plan.part(*kept)
                    before = pending.get(inputs[0])
                    if where is not None and type(before) is np.ndarray:
                        before[where] += g
                        parts.setdefault(inputs[0], []).append(where)
                        continue
                gradients = plan.pull(g, kept, inputs)
                if not plain:
                    node.gave(gradients)
                for source, gradient in zip(inputs, gradients):  # noqa: B905 - plans guarantee it
                    if source in pending:
                        before = pending[source]
                        if source in owned and type(before) is np.ndarray and not isinstance(gradient, Traced):
                            before += gradient
                        else:
                            pending[source] = before + gradient
                            owned.add(source)
                    elif needed is None or source in needed:
                        pending[source] = gradient
                        if fresh:
                            owned.add(source)
    finally:
        if token is not None:
            _WALKING.reset(token)
    for node, places in parts.items():
        _settle(pending[node], places)
    if not through:  # what is still waiting has arrived at targets
        found |= {node: g if isinstance(g, Traced) else np.array(g) for node, g in pending.items()}
    return found


def _settle(gradient: Array, places: Sequence[Any]) -> None:
    """Make of sums of parts the bits that adding whole arrays gives: those have 0.0 around the part.

    Adding 0.0 changes one number alone, -0.0, which it makes 0.0. So an element that is -0.0 now is 0.0 if it lies
    outside of some part; where it lies in all of them, every addition was made.
    """
    if gradient.dtype.kind == "c":
        _settle(gradient.real, places)
        _settle(gradient.imag, places)
        return
    negative = (gradient == 0) & np.signbit(gradient)
    if negative.any():
        inside = np.zeros(gradient.shape, np.intp)
        for where in places:
            inside[where] += 1
        gradient[negative & (inside < len(places))] = 0.0


def _leading_to(wanted: set[Node], order: Sequence[Node]) -> list[Node]:
    leads = set(wanted)
    for node in reversed(order):
        if node not in leads and not leads.isdisjoint(node.inputs):
            leads.add(node)
    return [node for node in order if node in leads]


def _released(node: Node) -> str:
    name = node.plan.op.name if node.plan else "leaf"
    return (
        f"this graph has been walked before and what its rules read (first: {name}, output shape {node.shape}) was "
        "released on the way. For a second backward pass say backward(retain_graph=True) in the first, or run the "
        "forward pass again."
    )
