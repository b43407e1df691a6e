"""Declaring an op: the decorators that turn a NumPy function and its rules into a polymorphic op function.

``primitive`` is the general form; ``elementwise`` (in :mod:`.elementwise`) adds broadcasting on top of it. The function
a decorator returns takes arrays and traced values alike: all arrays, and it is NumPy; any traced value, and the result
is traced and the step recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from ..dtypes import common_dtype, float_dtype_of
from ..errors import ArgumentError, DTypeError, did_you_mean
from ..samples import Reshaping
from ..tape import OPS, WHOLE, Array, Node, Op, Traced, recorder, wrap
from . import batched
from . import native as in_c

OpFunction = Callable[..., Any]
_F = TypeVar("_F", bound=Callable[..., Any])

_NUMERIC = frozenset("fiub")

NUMPY: dict[Callable[..., Any], OpFunction] = {}
"""Which of our functions answers when NumPy's is called on a tensor; filled by declaring."""


def stands_for(*functions: Callable[..., Any]) -> Callable[[_F], _F]:
    """Declare that a friendly function, written in terms of ops, answers for these NumPy functions."""

    def decorate(ours: _F) -> _F:
        for function in functions:
            NUMPY[function] = ours
        return ours

    return decorate


def plain_array(value: Any) -> Any:
    """An ndarray's numbers as an ndarray of no subclass, in native byte order; its memory is shared where that allows.

    Raises:
        DTypeError: masked, or not floats, integers or booleans.
    """
    if isinstance(value, np.ma.MaskedArray):
        raise DTypeError("a masked array would lose its mask; fill it first: x.filled(0)")
    if value.dtype.kind not in _NUMERIC:
        raise DTypeError(
            f"cannot compute with {type(value).__name__} of dtype {value.dtype}; expected floats, integers or booleans"
        )
    array = np.asarray(value)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def holds_masked(values: Any) -> bool:
    """Whether there is a masked array, or a masked element, somewhere in nested lists."""
    return isinstance(values, np.ma.MaskedArray) or (
        isinstance(values, (list, tuple)) and any(holds_masked(one) for one in values)
    )


def operand(value: Any) -> Any:
    """A constant operand as the ops take it: a Python number (which adopts the other operand's dtype) or an array.

    Raises:
        DTypeError: for anything that is not numbers: strings, objects, dates, complex or masked arrays.
    """
    kind = type(value)
    if kind is float or kind is int or kind is bool:
        return value
    if isinstance(value, (np.generic, np.ndarray)):
        array = plain_array(value)
        # NumPy's own scalars would impose their dtype; a bare number is meant to adopt the tensor's.
        return array.item() if array.ndim == 0 else array
    if isinstance(value, (list, tuple)):
        if holds_masked(value):
            raise DTypeError("a masked array in a list would lose its mask; fill it first: x.filled(0)")
        return operand(np.asarray(value))
    raise DTypeError(f"cannot compute with {kind.__module__}.{kind.__qualname__}; expected a tensor, array or number")


def declare(
    forward: Callable[..., Any],
    rules: tuple[Callable[..., Any] | None, ...] | Callable[[int], Callable[..., Any]],
    *,
    kernel: Callable[..., Any] | None = None,
    name: str | None = None,
    numpy: tuple[Callable[..., Any], ...] | Callable[..., Any] = (),
    reference: Callable[..., Any] | None = None,
    samples: object = None,
    scalar: str | None = None,
    latex: str | Callable[..., str] | None = None,
    text: str | None = None,
    elementwise: bool = False,
    saves: bool = False,
    passes_on: bool = False,
    pull_maker: Callable[..., Callable[..., tuple[Any, ...]]] | None = None,
    batch: Callable[..., Any] | None = None,
    native: Callable[..., Any] | None = None,
    calls: Callable[..., Any] | None = None,
    part: Callable[..., Any] | None = None,
    joint: Callable[..., Any] | None = None,
    multiply_adds: Callable[..., int] | None = None,
) -> Op:
    """Make the op record of ``forward`` and enter it in ``OPS``; see :class:`tinygrad_mlp.tape.Op` for the fields.

    ``kernel`` computes in the place of ``forward``, which then only names the operands.

    Declaring the same function anew (a notebook cell run twice, a reloaded module) replaces the op.

    Raises:
        ArgumentError: the name belongs to another op, NumPy's function is answered by another op, or a rule cannot be
            called with what it names.
    """
    code = forward.__code__
    params = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    op = Op(
        name or forward.__name__,
        kernel or forward,
        rules,
        operands=code.co_varnames[: code.co_argcount],
        params=tuple(name for name in params if name != "out"),
        numpy=numpy if isinstance(numpy, tuple) else (numpy,),
        reference=reference,
        samples=samples,
        scalar=scalar,
        latex=latex,
        text=text,
        elementwise=elementwise,
        saves=saves,
        passes_on=passes_on,
        pull_maker=pull_maker or _pull,
        batch=batch,
        native=native,
        calls=calls,
        part=part,
        joint=joint,
        multiply_adds=multiply_adds,
    )
    _refuse_rules(op)
    _make_room(op, forward)
    OPS[op.name] = op
    return op


_PACKAGE = __name__.partition(".")[0] + "."


def _is_ours(function: Callable[..., Any]) -> bool:
    return function.__module__.startswith(_PACKAGE)


def _refuse_rules(op: Op) -> None:
    """Refuse rules that cannot be called with what they name.

    Raises:
        ArgumentError: see :func:`declare`.
    """
    rules: Any = op.rules
    if callable(rules):
        # A function from position to rule takes one argument; what takes g as well is a rule, without its comma.
        if _parameters_of(rules)[:1] == ("g",):
            raise ArgumentError(f"op {op.name!r}: vjp is a tuple, one rule per operand: vjp=(lambda g, ...: ...,)")
        return
    if not isinstance(rules, tuple):
        raise ArgumentError(f"op {op.name!r}: vjp is a tuple, one rule per operand, got {type(rules).__name__}")
    if len(rules) != len(op.operands):
        raise ArgumentError(
            f"op {op.name!r}: vjp holds one rule per operand ({', '.join(op.operands)}), so {len(op.operands)}; got "
            f"{len(rules)}. Say None where no gradient goes"
        )
    known = ["y", *op.operands, *[f"{one}_shape" for one in op.operands], *op.params, *(["saved"] if op.saves else [])]
    for operand_name, rule in zip(op.operands, rules, strict=True):
        if rule is None:
            continue
        where = f"op {op.name!r}: the rule for operand {operand_name!r}"
        if not callable(rule):
            raise ArgumentError(f"{where} is a function or None, got {type(rule).__name__}")
        if not hasattr(rule, "__code__"):
            raise ArgumentError(f"{where} is {rule!r}, whose parameters have no names; write lambda g: ...")
        first, *reads = _parameters_of(rule) or ("",)
        if first != "g":
            raise ArgumentError(f"{where} has the incoming gradient g as its first parameter, got {first or 'none'!r}")
        for name in reads:
            if name not in known:
                raise ArgumentError(f"{where} reads {name!r}, which is none of {', '.join(known)}")


def _parameters_of(rule: Callable[..., Any]) -> tuple[str, ...]:
    code = getattr(rule, "__code__", None)
    return () if code is None else tuple(code.co_varnames[: code.co_argcount])


def _make_room(op: Op, forward: Callable[..., Any]) -> None:
    before = OPS[op.name].call if op.name in OPS else None
    again = before is not None and not _is_ours(forward) and _place(before) == _place(forward)
    if before is not None and not again:
        remedy = "" if _is_ours(before) else f", or undeclare({op.name!r}) first"
        raise ArgumentError(
            f"the op {op.name!r} is declared already, in {before.__module__}; choose another name (name=...){remedy}"
        )
    for function in op.numpy:
        answering = NUMPY.get(function)
        if answering is not None and answering is not before:
            raise ArgumentError(
                f"op {op.name!r}: NumPy's {function.__name__} on a tensor is answered by {answering.__name__} already; "
                "leave it out of numpy=, and write the body of the function in place of ufunc="
            )
    if again:
        undeclare(op.name)


def _place(function: Callable[..., Any]) -> tuple[str, str]:
    plain = getattr(function, "__wrapped__", function)
    return plain.__module__, plain.__qualname__


def undeclare(op: str | OpFunction) -> None:
    """Take back the declaration of an op of your own, by name or function; what was recorded with it stays valid.

    Raises:
        ArgumentError: no op of this name, or one that belongs to the package.
    """
    name = op if isinstance(op, str) else getattr(getattr(op, "op", None), "name", repr(op))
    if name not in OPS:
        raise ArgumentError(did_you_mean("op", name, OPS))
    function = OPS[name].call
    if _is_ours(function):
        raise ArgumentError(f"the op {name!r} belongs to the package, whose own functions are written with it")
    del OPS[name]
    for numpys in [one for one, answering in NUMPY.items() if answering is function]:
        del NUMPY[numpys]


def primitive(
    *,
    vjp: tuple[Callable[..., Any] | None, ...] | Callable[[int], Callable[..., Any]],
    name: str | None = None,
    numpy: tuple[Callable[..., Any], ...] | Callable[..., Any] = (),
    reference: Callable[..., Any] | None = None,
    samples: object = None,
    saves: bool = False,
    passes_on: bool = False,
    latex: str | Callable[..., str] | None = None,
    text: str | None = None,
    batch: Callable[..., Any] | None = None,
    native: Callable[..., Any] | None = None,
    calls: Callable[..., Any] | None = None,
    part: Callable[..., Any] | None = None,
    joint: Callable[..., Any] | None = None,
    multiply_adds: Callable[..., int] | None = None,
) -> Callable[[Callable[..., Any]], OpFunction]:
    """Declare an op whose rules answer for shapes themselves; the fields are those of :class:`tinygrad_mlp.tape.Op`.

    ``vjp`` holds one rule per array operand, or maps a position to its rule where ``forward`` takes ``*operands``.
    ``name`` is what people read in pictures and errors, where that is not the Python name.
    """

    def decorate(forward: Callable[..., Any]) -> OpFunction:
        op = declare(
            forward,
            vjp,
            name=name,
            numpy=numpy,
            reference=reference,
            samples=samples,
            saves=saves,
            passes_on=passes_on,
            latex=latex,
            text=text,
            batch=batch,
            native=native,
            calls=calls,
            part=part,
            joint=joint,
            multiply_adds=multiply_adds,
        )
        makers = {1: call_one, 2: call_two}
        make = call_general if callable(vjp) else makers.get(len(op.operands), call_general)
        return publish(make(op), op, forward)

    return decorate


def publish(call: OpFunction, op: Op, forward: Callable[..., Any]) -> OpFunction:
    """Give the op function the name, documentation and signature of the forward function that was declared."""
    call.__name__ = call.__qualname__ = forward.__name__
    call.__doc__ = forward.__doc__
    call.__module__ = forward.__module__
    call.__wrapped__ = forward  # type: ignore[attr-defined]
    call.op = op  # type: ignore[attr-defined]
    op.call = call
    for function in op.numpy:
        NUMPY[function] = call
    return call


def call_general(op: Op) -> OpFunction:
    """The op function for any number of operands and parameters.

    Operands with a rule meet in one dtype first: rules compute in the dtype of the gradient that comes in, the
    result's, and could not know that an operand had another one.
    """
    forward = op.forward
    saves = op.saves
    ruled = None if callable(op.rules) else tuple([i for i, rule in enumerate(op.rules) if rule is not None])
    several = ruled is None or len(ruled) > 1

    def call(*operands: Any, **params: Any) -> Any:
        kind: type[Traced] | None = None
        mask = 0
        bit = 1
        arrays = []
        inputs = []
        for value in operands:
            if isinstance(value, Traced):
                kind = type(value)
                arrays.append(value.data)
                node = value.node
                if node is not None:
                    mask |= bit
                    inputs.append(node)
            else:
                arrays.append(value)
            bit += bit
        if several and kind is not None:
            firm = arrays if ruled is None else [arrays[i] for i in ruled]
            dtype = firm[0].dtype
            if any([one.dtype is not dtype and one.dtype != dtype for one in firm]):  # noqa: C419 - as in _agree
                return call(*_met(operands, ruled or range(len(operands))), **params)
        y = forward(*arrays, **params)
        if kind is None:
            return y[0] if saves else y
        return record(op, kind, y, operands, arrays, mask, inputs, params)

    return call


def call_one(op: Op) -> OpFunction:
    """The op function of one operand."""
    forward = op.forward
    saves = op.saves

    def call(x: Any, **params: Any) -> Any:
        if isinstance(x, Traced):
            data = x.data
            inputs = () if x.node is None else (x.node,)
            return record(op, type(x), forward(data, **params), (x,), (data,), len(inputs), inputs, params)
        y = forward(x, **params)
        return y[0] if saves else y

    return call


def call_two(op: Op) -> OpFunction:
    """The op function of two operands: the rules of the products call it on arrays in every backward pass."""
    forward = op.forward
    saves = op.saves
    in_general = call_general(op)

    def call(a: Any, b: Any, **params: Any) -> Any:
        if saves or isinstance(a, Traced) or isinstance(b, Traced):
            return in_general(a, b, **params)
        return forward(a, b, **params)

    return call


def record(
    op: Op,
    kind: type[Traced],
    y: Any,
    operands: Sequence[Any],
    arrays: Sequence[Any],
    mask: int,
    inputs: Sequence[Node],
    params: dict[str, Any],
) -> Any:
    """Wrap what ``op.forward`` gave; where an operand wants a gradient, with the node that leads back to it.

    ``mask`` has the bits of the operands that have a node, ``inputs`` those nodes.
    """
    saved = None
    if op.saves:
        y, saved = y
    if type(y) is not np.ndarray:
        y = np.asarray(y)
    make = recorder() if mask or WHOLE else None
    if make is None or not (mask or (make.captures and make.whole)):  # type: ignore[attr-defined]
        return wrap(kind, y)
    if make is not Node and make.captures:
        return make.note(op, kind, y, saved, operands, arrays, params)  # type: ignore[attr-defined]
    plan = op.plan(mask, len(arrays))
    if len(plan.tracked) != len(inputs):  # some operand has no rule: no gradient goes there
        inputs = [operands[i].node for i in plan.tracked]
        if not inputs:
            return wrap(kind, y)
    values = (y, *arrays, saved)
    if plan.reads_params:
        values += tuple([params[name] if name in params else _defaults(op)[name] for name in op.params])
    node = make(plan, tuple(inputs), () if plan.keep is None else plan.keep(values), y.shape)
    if make is not Node:
        node.observe(y, operands, params)
    return wrap(kind, y, node)


def _defaults(op: Op) -> dict[str, Any]:
    return op.forward.__kwdefaults__ or {}


def _pull(rules: list[Callable[..., Any]]) -> Callable[..., tuple[Any, ...]]:
    if len(rules) == 1:
        rule = rules[0]
        return lambda g, kept, inputs: (rule(g, kept, inputs),)
    # Last operand first: a bias's gradient, with its temporaries, comes before the large one of the weight.
    backwards = rules[::-1]
    return lambda g, kept, inputs: tuple([rule(g, kept, inputs) for rule in backwards][::-1])


# --- mixed dtypes ---------------------------------------------------------------------------------


@primitive(
    vjp=(lambda g, source: cast(g, dtype=source, source=g.dtype),),
    reference=lambda np, x, *, dtype, source: np.array(x, dtype),
    samples=Reshaping("cast"),
    passes_on=True,
    latex=r"\operatorname{{{dtype}}}({0})",
    text="{x}.astype({dtype})",
    batch=batched.as_it_is,
    native=in_c.casting,
)
def cast(x: Array, *, dtype: np.dtype[Any], source: np.dtype[Any]) -> Array:
    """``x`` in another dtype; the gradient goes back in ``source``, the dtype it came from."""
    return x.astype(dtype)


def same_dtype(*values: Any) -> tuple[Any, ...]:
    """Tensors and arrays of one dtype, cast on the tape where they differ; numbers and lists of them adopt it."""
    if _agree(values):
        return values
    values = tuple([plain_array(one) if isinstance(one, np.ndarray) else one for one in values])
    firm = [one.data if isinstance(one, Traced) else one for one in values if isinstance(one, (Traced, np.ndarray))]
    target = meeting_dtype(firm) if firm else None
    settled = []
    for one in values:
        if not isinstance(one, (Traced, np.ndarray)):
            one = np.asarray(operand(one))
            if one.dtype.kind == "f" and (target is None or target.kind not in "fc"):
                target = float_dtype_of(np.dtype(bool))
        settled.append(one)
    wanted = settled[0].dtype if target is None else target
    return tuple([one if one.dtype == wanted else cast(one, dtype=wanted, source=one.dtype) for one in settled])


def _met(operands: Sequence[Any], places: Sequence[int]) -> list[Any]:
    """The operands, those at ``places`` cast to one dtype."""
    met = list(operands)
    for place, one in zip(places, same_dtype(*[operands[place] for place in places]), strict=True):
        met[place] = one
    return met


def _agree(values: tuple[Any, ...]) -> bool:
    """Whether all are tensors of one dtype already, as they are in nearly every call."""
    if not isinstance(values[0], Traced):
        return False
    dtype = values[0].data.dtype
    # A list, because a generator would cost more than the comparisons.
    return all([isinstance(one, Traced) and one.data.dtype is dtype for one in values])  # noqa: C419


def meeting_dtype(arrays: Sequence[Array]) -> np.dtype[Any]:
    """The dtype in which all of these arrays meet."""
    target = arrays[0].dtype
    widest = arrays[0]
    for array in arrays[1:]:
        if array.dtype is not target:
            target = common_dtype(widest, array)
            widest = array if array.dtype == target else widest
    return target
