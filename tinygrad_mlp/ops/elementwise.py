"""Declaring elementwise ops: broadcasting, mixed dtypes and bare numbers are handled here, once, for all of them.

The walk's gradients of an elementwise op have the shape of its output; :func:`_fit` sums them back to the operand's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..capture import noting, quietly
from ..dtypes import float_dtype_of
from ..errors import DTypeError, ShapeError
from ..tape import WHOLE, Node, Op, Traced, recorder, wrap
from . import batched
from .broadcast import sum_to
from .declare import OpFunction, cast, declare, meeting_dtype, operand, publish, record
from .names import refuse_out


def astype(x: Any, dtype: Any) -> Any:
    """``x`` in another dtype. Between floats the gradient passes and comes back in the old dtype.

    Integers and booleans carry no gradient: the result is cut off from the graph.

    Raises:
        DTypeError: not a dtype of floats, integers or booleans.
    """
    wanted = np.dtype(object if dtype is None else dtype)
    if wanted.kind not in "fiub":
        raise DTypeError(f"astype: expected a dtype of floats, integers or booleans, got {dtype!r}")
    if isinstance(x, Traced) and wanted.kind != "f":
        if noting(x):
            return quietly(f"astype({wanted})", cast, x, dtype=wanted, source=x.data.dtype)
        return wrap(type(x), x.data.astype(wanted))
    return cast(x, dtype=wanted, source=x.dtype)


def elementwise(
    *,
    vjp: tuple[Callable[..., Any] | None, ...],
    name: str | None = None,
    ufunc: np.ufunc | None = None,
    numpy: tuple[Callable[..., Any], ...] | Callable[..., Any] = (),
    reference: Callable[..., Any] | None = None,
    samples: object = None,
    scalar: str | None = None,
    native: Callable[..., Any] | None = None,
    calls: Callable[..., Any] | None = None,
    latex: str | Callable[..., str] | None = None,
    passes_on: bool = False,
    floats: bool = True,
    text: str | None = None,
) -> Callable[[Callable[..., Any]], OpFunction]:
    """Declare an elementwise op; the fields are those of :class:`tinygrad_mlp.tape.Op`.

    ``ufunc``: the op is exactly this NumPy function, and the decorated one has no body of its own.
    ``floats``: the op answers in floats only, so integer and boolean tensors become the default dtype first.
    """
    if ufunc is not None:
        numpy = (ufunc, *(numpy if isinstance(numpy, tuple) else (numpy,)))

    def decorate(forward: Callable[..., Any]) -> OpFunction:
        op = declare(
            forward,
            vjp,
            kernel=ufunc,
            name=name,
            numpy=numpy,
            reference=reference,
            samples=samples,
            scalar=scalar,
            latex=latex,
            elementwise=True,
            text=text,
            passes_on=passes_on,
            pull_maker=_pull,
            batch=batched.aligned,
            native=native,
            calls=calls,
        )
        shapes_of = {1: _call_unary, 2: _call_binary}
        make = shapes_of.get(len(op.operands), _call_any) if not op.params else _call_any
        return publish(make(op, floats), op, forward)

    return decorate


def _fit(gradient: Any, shape: tuple[int, ...]) -> Any:
    return gradient if gradient.shape == shape else sum_to(gradient, shape=shape)


def _pull(rules: list[Callable[..., Any]]) -> Callable[..., tuple[Any, ...]]:
    if len(rules) == 1:
        only = rules[0]

        def pull_one(g: Any, kept: tuple[Any, ...], inputs: tuple[Node, ...]) -> tuple[Any, ...]:
            gradient = only(g, kept, inputs)
            shape = inputs[0].shape
            return (gradient if gradient.shape == shape else sum_to(gradient, shape=shape),)

        return pull_one
    if len(rules) == 2:
        first, second = rules

        def pull_two(g: Any, kept: tuple[Any, ...], inputs: tuple[Node, ...]) -> tuple[Any, ...]:
            a, b = inputs
            left = first(g, kept, inputs)
            right = second(g, kept, inputs)
            if left.shape != a.shape:
                left = sum_to(left, shape=a.shape)
            if right.shape != b.shape:
                right = sum_to(right, shape=b.shape)
            return left, right

        return pull_two
    return lambda g, kept, inputs: tuple(
        [_fit(rule(g, kept, inputs), source.shape) for rule, source in zip(rules, inputs, strict=True)]
    )


_new = object.__new__
_NOTHING: dict[str, Any] = {}


def _call_unary(op: Op, floats: bool) -> OpFunction:
    forward = op.forward
    plan = op.plan(1, 1)
    keep = plan.keep
    differentiable = bool(plan.tracked)
    at_length = _call_any(op, floats)

    def call(input: Any, *, out: Any = None) -> Any:
        if out is not None:
            refuse_out(op.name)
        if not isinstance(input, Traced):
            return forward(input if isinstance(input, (np.ndarray, np.generic)) else np.asarray(input))
        data = input.data
        source = input.node
        make = None
        if source is not None:
            make = recorder()
            if make is not Node and floats and data.dtype.kind not in "fc":
                return at_length(input)  # a captured run records integers, and their cast
        elif WHOLE:
            return at_length(input)
        elif floats and data.dtype.kind not in "fc":
            data = data.astype(float_dtype_of(data.dtype))
        y = forward(data)
        if type(y) is not np.ndarray:
            y = np.asarray(y)
        if make is not Node and make is not None and make.captures:
            return make.note(op, type(input), y, None, (input,), (data,), _NOTHING)  # type: ignore[attr-defined]
        handle = _new(type(input))
        handle.data = y
        handle.node = None
        if make is not None and differentiable:
            assert source is not None
            node = make(plan, (source,), () if keep is None else keep((y, data)), y.shape)
            if make is not Node:
                node.observe(y, (input,), {})
            handle.node = node
        return handle

    return call


_NUMBERS = (float, int)


def _call_binary(op: Op, floats: bool) -> OpFunction:
    """The op function of two operands: tensors of one dtype, or a tensor and a number, go straight through."""
    forward = op.forward
    plans = [op.plan(mask, 2) for mask in range(4)]
    complete = isinstance(op.rules, tuple) and None not in op.rules
    at_length = _call_any(op, floats)

    def call(input: Any, other: Any, *, out: Any = None) -> Any:
        if out is not None:
            refuse_out(op.name)
        left: Node | None
        right: Node | None
        if isinstance(input, Traced):
            kind = type(input)
            x: Any = input.data
            left = input.node
            if isinstance(other, Traced):
                y: Any = other.data
                right = other.node
                straight = x.dtype is y.dtype
            else:
                y, right = other, None
                straight = type(other) in _NUMBERS or (type(other) is np.ndarray and other.dtype is x.dtype)
        elif isinstance(other, Traced):
            kind = type(other)
            x = input
            left = None
            y = other.data
            right = other.node
            straight = type(input) in _NUMBERS or (type(input) is np.ndarray and input.dtype is y.dtype)
        else:
            return forward(input, other)
        # Where neither is tracked, integers may have to become floats first; tracked tensors are floats.
        mask = (left is not None) + 2 * (right is not None)
        if not (straight and mask and complete):
            return at_length(input, other)
        make = recorder()
        if make is not Node and (y if left is None else x).dtype.kind not in "fc":
            return at_length(input, other)  # a captured run records integers, and their cast
        try:
            value = forward(x, y)
        except ValueError as error:
            raise _misfit(op, (x, y), error) from None
        if type(value) is not np.ndarray:
            value = np.asarray(value)
        if make is not Node and make is not None and make.captures:
            return make.note(op, kind, value, None, (input, other), (x, y), _NOTHING)  # type: ignore[attr-defined]
        handle = _new(kind)
        handle.data, handle.node = value, None
        if make is not None:
            plan = plans[mask]
            inputs: tuple[Any, ...] = (left, right) if mask == 3 else (left or right,)
            keep = plan.keep
            node = make(plan, inputs, () if keep is None else keep((value, x, y)), value.shape)
            if make is not Node:
                node.observe(value, (input, other), {})
            handle.node = node
        return handle

    return call


def _call_any(op: Op, floats: bool) -> OpFunction:
    forward = op.forward

    def call(*operands: Any, **params: Any) -> Any:
        kind = next((type(value) for value in operands if isinstance(value, Traced)), None)
        if kind is None:
            return forward(*operands, **params)
        handles = tuple([one if isinstance(one, Traced) else operand(one) for one in operands])
        if any(type(one) in (list, tuple) for one in operands):
            handles = _adopting(operands, handles)
        arrays = tuple([one.data if isinstance(one, Traced) else one for one in handles])
        handles, arrays = _meet(kind, handles, arrays, floats)
        try:
            y = forward(*arrays, **params)
        except ValueError as error:
            raise _misfit(op, arrays, error) from None
        nodes = [one.node if isinstance(one, Traced) else None for one in handles]
        mask = sum(1 << i for i, node in enumerate(nodes) if node is not None)
        return record(op, kind, y, handles, arrays, mask, [node for node in nodes if node is not None], params)

    return call


def _adopting(operands: Sequence[Any], handles: tuple[Any, ...]) -> tuple[Any, ...]:
    """Lists of floats take the dtype of the tensor beside them, like bare numbers."""
    like = float_dtype_of(next(one.data.dtype for one in operands if isinstance(one, Traced)))
    return tuple(
        [
            handle.astype(like) if type(one) in (list, tuple) and np.asarray(handle).dtype.kind == "f" else handle
            for one, handle in zip(operands, handles, strict=True)
        ]
    )


def _meet(
    kind: type[Traced], handles: tuple[Any, ...], arrays: tuple[Any, ...], floats: bool
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Bring the operands to one dtype, on the tape. Bare numbers adopt it; conditions (boolean) stay what they are."""
    everything = [array for array in arrays if isinstance(array, np.ndarray)]
    present = [array for array in everything if array.dtype.kind != "b"] or everything
    target = meeting_dtype(present)
    if target.kind not in "fc" and (floats or any(type(one) is float for one in arrays)):
        target = float_dtype_of(target)
    if all(array.dtype is target for array in present):
        return handles, arrays
    met = []
    for handle, array in zip(handles, arrays, strict=True):
        if any(array is one for one in present) and array.dtype != target:
            handle = cast(handle, dtype=target, source=array.dtype)
        met.append(handle)
    return tuple(met), tuple([one.data if isinstance(one, Traced) else one for one in met])


def _misfit(op: Op, arrays: tuple[Any, ...], error: ValueError) -> ValueError:
    shapes = [np.shape(array) for array in arrays]
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        return ShapeError(
            f"{op.name}: shapes {' and '.join(map(str, shapes))} do not broadcast; counted from the last axis, two "
            "lengths must be equal or one of them 1. reshape(), unsqueeze() or transpose() one of them."
        )
    return error
