"""The laws that every op keeps, and :func:`check_op`, which tries them all on one op.

A law is a function of one legal call (:class:`.cases.Case`) that raises where the op breaks it. Hypothesis looks for
such a call and makes it small. Where an op declares a reference, derivatives are compared with the reference's: by
mpmath for elementwise ops, by the complex step for others. Where it declares none, the checker of
:mod:`.gradcheck` compares the rule with the op's own values.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from ..autograd import grad
from ..errors import ArgumentError, did_you_mean
from ..extras import need
from ..func import jvp
from ..ops import batched
from ..ops.declare import OpFunction
from ..samples import System
from ..tape import Array, Op, walk
from ..tensor import Tensor
from .cases import Case, function_of, gradients, has_rule, is_legal, leaf
from .gradcheck import gradcheck
from .report import Finding, Report, failure, require, require_same
from .strategies import cases

__all__ = ["LAWS", "Law", "OpReport", "check_op"]


class Law(NamedTuple):
    """One law.

    Attributes:
        name: as it is asked for and reported.
        says: what it demands, in one line.
        holds: ``holds(case)``, or ``holds(case, option)`` where there are options; raises where the law is broken.
        applies: why the law says nothing about an op; None where it does.
        options: what else is varied: dtypes, memory layouts.
        largest: the most elements a result may have, for laws that take long.
    """

    name: str
    says: str
    holds: Callable[..., None]
    applies: Callable[[Op], str | None]
    options: tuple[Any, ...] = ()
    largest: float = math.inf


# Of so many operands every subset is batched; further ones go with the first.
_SUBSETS = 4

LAWS: dict[str, Law] = {}
"""The laws by name."""


def _always(_op: Op) -> str | None:
    return None


def _with_rule(op: Op) -> str | None:
    return None if has_rule(op) else "no operand has a gradient rule"


def _without_rule(op: Op) -> str | None:
    return "it has gradient rules" if has_rule(op) else None


def _with_reference(op: Op) -> str | None:
    return None if op.reference is not None else "it declares no reference"


def _elementwise(op: Op) -> str | None:
    return _with_rule(op) or (None if op.elementwise else "it is not elementwise")


def _with_batch(op: Op) -> str | None:
    return None if op.batch is not None else "it declares no batch rule, and is called one by one"


def _with_several(op: Op) -> str | None:
    return _with_rule(op) or ("it has one operand" if len(op.operands) == 1 else None)


def _with_equals(op: Op) -> str | None:
    reason = _elementwise(op)
    if reason is not None:
        return reason
    if sum(rule is not None for rule in map(op.rule, range(len(op.operands)))) < 2:
        return "fewer than two operands have a gradient rule"
    return "its operands must stay apart" if getattr(op.samples, "apart", 0) else None


def _law(
    applies: Callable[[Op], str | None], options: tuple[Any, ...] = (), largest: float = math.inf
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    def enter(holds: Callable[..., None]) -> Callable[..., None]:
        says = (holds.__doc__ or "").partition("\n")[0]
        LAWS[holds.__name__] = Law(holds.__name__, says, holds, applies, options, largest)
        return holds

    return enter


# --- the declaration ------------------------------------------------------------------------------


@_law(_always)
def declaration(case: Case) -> None:
    """Operands, parameters and what rules read have names of their own, and every operand has a rule or None."""
    op = case.op
    names = ["g", "y", *(["saved"] if op.saves else []), *op.operands, *op.params]
    twice = sorted({one for one in names if names.count(one) > 1})
    require(not twice, f"a rule names what it reads, and {twice} can mean two things; rename the operand or parameter")
    if not callable(op.rules):
        require(
            len(op.rules) == len(op.operands),
            f"{len(op.operands)} operands need as many rules in vjp, got {len(op.rules)}; None where no gradient goes",
        )
    if has_rule(op):
        op.plan((1 << len(case.operands)) - 1, len(case.operands))


# --- values and derivatives -----------------------------------------------------------------------


@functools.cache
def _mp() -> Any:
    made = need("mpmath", extra="testing", purpose="compare with references").mp.clone()
    made.dps = 32
    return made


def _exactly(case: Case, function: Callable[..., Any]) -> Array:
    """An mpmath function of one number per operand, over the broadcast operands, as an object array."""
    number = _mp().mpf
    spread = np.broadcast_arrays(*case.operands)
    out = np.empty(spread[0].shape, object)
    for place in np.ndindex(out.shape):
        numbers = [one[place].item() for one in spread]
        out[place] = function(*[number(one) if isinstance(one, float) else one for one in numbers])
    return out


def _derivative(case: Case, *orders: int) -> Array:
    """The partial derivative of the reference, once per number in ``orders`` by that operand, in mpmath."""
    reference = case.op.reference
    assert reference is not None
    times = tuple(orders.count(i) for i in range(len(case.operands)))
    moving = [i for i, count in enumerate(times) if count]
    counts = tuple(times[i] for i in moving)
    mp = _mp()

    def at(*numbers: Any) -> Any:
        def along(*values: Any) -> Any:
            full = list(numbers)
            for i, value in zip(moving, values, strict=True):
                full[i] = value
            return reference(mp, *full, **case.params)

        point = tuple(numbers[i] for i in moving)
        return mp.diff(along, point, counts) if len(moving) > 1 else mp.diff(along, point[0], counts[0])

    return _exactly(case, at)


def _summed_to(terms: Any, shape: tuple[int, ...]) -> Array:
    """Exact sums of mpmath numbers over the axes along which ``shape`` was broadcast."""
    terms = np.asarray(terms, object)
    extra = terms.ndim - len(shape)
    axes = tuple(i for i in range(terms.ndim) if i < extra or (shape[i - extra] == 1 and terms.shape[i] != 1))
    total = terms.sum(axes, keepdims=True) if axes else terms
    return np.asarray(total, object).reshape(shape)


def _require_close(got: Any, exact: Any, size: Any, rtol: float, what: str) -> None:
    """``got`` is ``exact`` within ``rtol`` of the size of the terms that it is made of."""
    got, exact, size = np.asarray(got), np.asarray(exact, object), np.asarray(size, object)
    require(got.shape == exact.shape, f"{what}: expected shape {exact.shape}, got {got.shape}")
    for place in np.ndindex(exact.shape):
        error = abs(_mp().mpf(float(got[place])) - exact[place])
        where = f"[{', '.join(map(str, place))}]" if place else ""
        require(
            error <= rtol * size[place] + 1e-300,
            f"{what}{where}: expected {float(exact[place])!r}, got {float(got[place])!r}",
        )


def _near(got: Any, expected: Any, rtol: float, atol: float, what: str) -> None:
    np.testing.assert_allclose(got, expected, rtol=rtol, atol=atol, err_msg=what)


def _incoming(case: Case, y: Any) -> Array:
    return np.asarray(case.rng.standard_normal(np.shape(y)))


def _named(case: Case, position: int) -> str:
    names = case.op.operands
    name = names[position] if not callable(case.op.rules) else f"{names[0] if names else 'operand'} {position}"
    return f"the gradient by {name}"


def _handles(case: Case) -> tuple[list[Any], list[Tensor]]:
    """The operands, as leaves where a rule leads to them; and those leaves."""
    handles: list[Any] = [leaf(one) if i in case.differentiable else one for i, one in enumerate(case.operands)]
    return handles, [handles[i] for i in case.differentiable]


def _against_own_values(case: Case, order: int) -> None:
    """The rules against a derivative of the op's own values."""
    wanted = case.differentiable

    def function(*tensors: Tensor) -> Any:
        full: list[Any] = list(case.operands)
        for position, tensor in zip(wanted, tensors, strict=True):
            full[position] = tensor
        return case.call(*full)

    report = gradcheck(function, [case.operands[i] for i in wanted], order=order, seed=case.seed)
    # One call at which nothing can be told breaks no law: there are many calls.
    require(report.verdict != "WRONG", str(report))


_STEP = 1e-20


def _reference_is_analytic(case: Case) -> bool:
    """Whether the reference of an op that is not elementwise carries imaginary parts through."""
    moved = [one.astype(complex) if one.dtype.kind == "f" else one for one in case.operands]
    try:
        return case.reference(moved).dtype.kind == "c"
    except (TypeError, ValueError, np.exceptions.ComplexWarning):
        return False


@_law(_with_reference)
def value(case: Case) -> None:
    """The op computes what its reference computes, to the last digits."""
    y = case.forward()
    if not case.op.elementwise:
        expected = case.reference(case.operands)
        require(y.shape == expected.shape, f"the value: expected shape {expected.shape}, got {y.shape}")
        _near(y, expected, 1e-12, 1e-13, "the value")
        return
    mp, reference = _mp(), case.op.reference
    assert reference is not None
    if not has_rule(case.op):
        # Questions are also asked about NaN and infinities, of which a reference in numbers knows nothing.
        case = replace(case, operands=[np.nan_to_num(one, nan=0.0, posinf=1.0, neginf=-1.0) for one in case.operands])
        y = case.forward()
    exact = _exactly(case, lambda *numbers: mp.mpf(reference(mp, *numbers, **case.params)))
    spread = np.broadcast_arrays(*case.operands)
    size = np.array([1e-3 * max(abs(float(one[i])) for one in spread) for i in np.ndindex(exact.shape)])
    _require_close(y, exact, np.abs(exact) + size.reshape(exact.shape), 1e-13, "the value")


@_law(_with_rule)
def first_derivative(case: Case) -> None:
    """Each rule gives the derivative, for random incoming gradients."""
    if case.op.reference is None or not (case.op.elementwise or _reference_is_analytic(case)):
        return _against_own_values(case, 1)
    incoming = _incoming(case, case.forward())
    for position, gradient in zip(case.differentiable, gradients(case, incoming), strict=True):
        shape = case.operands[position].shape
        what = _named(case, position)
        require(gradient.shape == shape, f"{what}: expected shape {shape}, got {gradient.shape}")
        if case.op.elementwise:
            terms = _derivative(case, position) * incoming
            size = _summed_to(np.abs(terms) + 1e-3 * np.abs(incoming), shape)
            _require_close(gradient, _summed_to(terms, shape), size, 1e-13, what)
            continue
        for place in np.ndindex(shape):
            moved = [one.astype(complex) if one.dtype.kind == "f" else one for one in case.operands]
            moved[position][place] += 1j * _STEP
            expected = math.fsum((incoming * case.reference(moved).imag / _STEP).ravel())
            _near(gradient[place], expected, 1e-12, 1e-12, f"{what} at {place}")
    return None


def _second_gradients(case: Case, incoming: Array) -> tuple[list[Array], list[Array]]:
    """Random weights, and the engine's gradients of the weighted first gradients by operands and incoming gradient."""
    handles, leaves = _handles(case)
    seed = leaf(incoming)
    first = grad(case.call(*handles), leaves, [seed], create_graph=True)
    rng = np.random.default_rng([case.seed, 2])
    weights = [rng.standard_normal(one.shape) for one in first if one is not None]
    tracked = [(one, w) for one, w in zip(first, weights, strict=True) if one is not None and one.node is not None]
    found: Sequence[Tensor | None] = [None] * (len(leaves) + 1)
    if tracked:
        found = grad([one for one, _ in tracked], [*leaves, seed], [Tensor(w) for _, w in tracked], allow_unused=True)
    return weights, [
        np.zeros(one.shape) if gradient is None else gradient.data
        for one, gradient in zip([*leaves, seed], found, strict=True)
    ]


@_law(_with_rule, largest=12)
def second_derivative(case: Case) -> None:
    """The rules can be differentiated again, by operands and by incoming gradient, and that is right too."""
    op = case.op
    if op.reference is None or not (op.elementwise or _reference_is_analytic(case)):
        return _against_own_values(case, 2)
    incoming = _incoming(case, case.forward())
    weights, found = _second_gradients(case, incoming)
    if op.elementwise:
        return _second_by_reference(case, incoming, weights, found)
    wanted = case.differentiable

    def first_order(operands: list[Array], seed: Array) -> complex:
        with np.errstate(all="ignore"):
            parts = gradients(case, seed, operands)
        return complex(sum((np.sum(w * part) for w, part in zip(weights, parts, strict=True)), 0j))

    still = [one.astype(complex) if k in wanted else one for k, one in enumerate(case.operands)]
    rng = np.random.default_rng([case.seed, 3])
    for position, gradient in zip(wanted, found[:-1], strict=True):
        places = list(np.ndindex(gradient.shape))
        for i in rng.permutation(len(places))[:6]:
            moved = [one.copy() for one in still]
            moved[position][places[i]] += 1j * _STEP
            expected = first_order(moved, incoming.astype(complex)).imag / _STEP
            what = f"the second derivative by {op.operands[position:] or 'operand'} at {places[i]}"
            _near(gradient[places[i]], expected, 1e-11, 1e-11, what)
    direction = rng.standard_normal(incoming.shape)
    expected = first_order(still, incoming + 1j * _STEP * direction).imag / _STEP
    _near(np.sum(found[-1] * direction), expected, 1e-11, 1e-11, "the derivative of the gradient by what comes in")
    return None


def _second_by_reference(case: Case, incoming: Array, weights: list[Array], found: list[Array]) -> None:
    wanted = case.differentiable
    spread = [np.broadcast_to(w, incoming.shape) for w in weights]
    first = [_derivative(case, i) for i in wanted]
    slopes = sum((w * d for w, d in zip(spread, first, strict=True)), np.zeros(incoming.shape, object))
    what = "the derivative of the gradient by what comes in"
    _require_close(found[-1], slopes, slopes * 0 + 1 + np.abs(slopes), 1e-12, what)
    for position, gradient in zip(wanted, found[:-1], strict=True):
        terms = [w * incoming * _derivative(case, position, i) for w, i in zip(spread, wanted, strict=True)]
        shape = case.operands[position].shape
        total = _summed_to(sum(terms[1:], terms[0]), shape)
        size = _summed_to(sum((np.abs(one) for one in terms), 1e-2 * np.abs(incoming)), shape)
        _require_close(gradient, total, size, 1e-12, f"the derivative of {_named(case, position)}")


@_law(_with_rule)
def forward_mode(case: Case) -> None:
    """Forward mode is reverse mode seen from the other side: ``g · (J v) = (Jᵀ g) · v`` for random ``g`` and ``v``."""
    wanted = case.differentiable
    y = case.forward()
    incoming = _incoming(case, y)
    rng = np.random.default_rng([case.seed, 4])
    directions = [rng.standard_normal(case.operands[i].shape) for i in wanted]

    def function(*tensors: Tensor) -> Any:
        full: list[Any] = list(case.operands)
        for position, tensor in zip(wanted, tensors, strict=True):
            full[position] = tensor
        return case.call(*full)

    _, pushed = jvp(function, tuple(Tensor(case.operands[i]) for i in wanted), tuple(map(Tensor, directions)))
    require(pushed.shape == y.shape, f"J v has shape {pushed.shape}, the value {y.shape}")
    ahead = incoming * pushed.data
    back = [part * v for part, v in zip(gradients(case, incoming), directions, strict=True)]
    size = float(np.sum(np.abs(ahead)) + sum(np.sum(np.abs(one)) for one in back))
    _near(np.sum(ahead), sum(np.sum(one) for one in back), 0.0, 1e-12 * size + 1e-300, "g · (J v) against (Jᵀ g) · v")


# --- dtypes, shapes, memory -----------------------------------------------------------------------


def _in_both_orders(case: Case) -> tuple[Any, list[tuple[str, Tensor, Tensor]]]:
    """The value, and each gradient of first and second order with its name and what it is the gradient of."""
    with np.errstate(all="ignore"):
        handles, leaves = _handles(case)
        y = case.call(*handles)
        seed = leaf(_incoming(case, y.data).astype(y.dtype))
        plain = grad(y, leaves, [seed.detach()], retain_graph=True)
        first = grad(y, leaves, [seed], create_graph=True)
        tracked = [one for one in first if one is not None and one.node is not None]
        second: Sequence[Tensor | None] = ()
        if tracked:
            second = grad(tracked, [*leaves, seed], [one.detach() for one in tracked], allow_unused=True)
    return y, [
        (f"a gradient of order {order}", one, operand)
        for order, found in ((1, plain), (1, first), (2, second))
        for one, operand in zip(found, [*leaves, seed], strict=False)
        if one is not None
    ]


def _require_alike(found: list[tuple[str, Tensor, Tensor]], where: str) -> None:
    for what, one, operand in found:
        require(type(one.data) is np.ndarray, f"{where}{what} holds {type(one.data).__name__}")
        require(one.dtype == operand.dtype, f"{where}{what} is {one.dtype}, its operand {operand.dtype}")
        require(one.shape == operand.shape, f"{where}{what} has shape {one.shape}, its operand {operand.shape}")


@_law(_with_rule, options=(np.float32, np.float64, np.float16))
def dtype_and_shape_stay(case: Case, dtype: type) -> None:
    """Value, gradient and second gradient have the operands' dtype; gradients have the operands' shapes."""
    operands = [one.astype(dtype) if one.dtype.kind == "f" else one for one in case.operands]
    params = {name: np.dtype(dtype) if isinstance(one, np.dtype) else one for name, one in case.params.items()}
    y, found = _in_both_orders(replace(case, operands=operands, params=params))
    require(y.dtype == dtype, f"the value of {np.dtype(dtype)} operands is {y.dtype}")
    _require_alike(found, "")


@_law(_with_several, options=(("float32", "float64"), ("float64", "float32"), ("float16", "float32")))
def each_gradient_has_its_own_dtype(case: Case, dtypes: tuple[str, str]) -> None:
    """Where one operand has another dtype than the rest, every gradient has the dtype and shape of its operand."""
    odd, usual = dtypes
    floats = [i for i, one in enumerate(case.operands) if one.dtype.kind == "f"]
    for place in floats if len(floats) > 1 else ():
        operands = [
            one.astype(odd if i == place else usual) if i in floats else one for i, one in enumerate(case.operands)
        ]
        _, found = _in_both_orders(replace(case, operands=operands))
        _require_alike(found, f"operand {place} is {odd}, the rest {usual}: ")


@_law(_elementwise)
def no_axes_and_empty(case: Case) -> None:
    """An entry alone, without axes, gives what it gives among others; nothing gives nothing, with gradients of zero."""
    y = case.forward()
    spread = np.broadcast_arrays(*case.operands)
    size = max([1.0, *(float(np.max(np.abs(one), initial=0.0)) for one in case.operands)])
    for place in itertools.islice(np.ndindex(y.shape), 3):
        alone = replace(case, operands=[np.asarray(one[place]) for one in spread])
        single = alone.call(*_handles(alone)[0])
        require(single.shape == () and type(single.data) is np.ndarray, f"without axes it gives shape {single.shape}")
        _near(single.data, y[place], 1e-13, 1e-14 * size, f"the entry at {place}, alone and among others")
    for shapes in ([(0, 2)] * len(spread), [(0, 2), *[()] * (len(spread) - 1)]):
        nothing = replace(case, operands=[np.ones(shape, one.dtype) for shape, one in zip(shapes, spread, strict=True)])
        require(nothing.forward().shape == (0, 2), f"on an empty array it gives shape {nothing.forward().shape}")
        for position, gradient in zip(nothing.differentiable, gradients(nothing, np.zeros((0, 2))), strict=True):
            what = f"{_named(case, position)} on an empty array"
            require_same(gradient, np.zeros(shapes[position]), what)


@_law(_with_rule)
def both_ways_back_agree(case: Case) -> None:
    """The walk on arrays and the recorded walk give the same bits: they run the same rules."""
    incoming = _incoming(case, case.forward())
    handles, leaves = _handles(case)
    recorded = grad(case.call(*handles), leaves, [Tensor(incoming)], create_graph=True)
    for position, one, other in zip(case.differentiable, recorded, gradients(case, incoming), strict=True):
        assert one is not None
        require_same(one.data, other, f"{_named(case, position)}, recorded and on arrays")


def _frozen(array: Array) -> Array:
    array = array.copy()
    array.flags.writeable = False
    return array


@_law(_with_rule)
def nothing_given_is_written_to(case: Case) -> None:
    """Operands and incoming gradient are only read, by the function and by the rules, in both orders."""
    incoming = _incoming(case, case.forward([one.copy() for one in case.operands]))
    case = replace(case, operands=[_frozen(one) for one in case.operands])
    try:
        gradients(case, _frozen(incoming))
        _second_gradients(case, _frozen(incoming))
    except ValueError as error:
        require("read-only" not in str(error), f"it writes into an operand or into the incoming gradient: {error}")
        raise


@_law(_with_rule)
def gradients_share_no_memory(case: Case) -> None:
    """Gradients share memory neither with each other, nor with operands, output, incoming gradient or kept values."""
    handles, leaves = _handles(case)
    y = case.call(*handles)
    incoming = _incoming(case, y.data)
    kept = [one for one in y.node.kept if isinstance(one, np.ndarray)]
    found = grad(y, leaves, [Tensor(incoming)], retain_graph=True)
    nodes = [one.node for one in leaves if one.node is not None]
    through_walk = walk((y.node,), (incoming,), targets=nodes)
    strangers = [*case.operands, y.data, incoming, *kept]
    for given in ([one.data for one in found if one is not None], [through_walk[node] for node in nodes]):
        for position, one in zip(case.differentiable, given, strict=True):
            what = _named(case, position)
            require(one.flags.writeable, f"{what} is read-only")
            require(
                not any(np.may_share_memory(one, other) for other in strangers if other.size and one.size),
                f"{what} shares memory with an operand, the output, the incoming gradient or a kept value; a rule that "
                "passes one of them on needs passes_on=True",
            )
        for one, other in itertools.combinations(given, 2):
            require(not np.may_share_memory(one, other) or not one.size, "two gradients share memory")


@_law(_with_rule)
def poisoned_gradient_reaches_nothing(case: Case) -> None:
    """Overwriting the ``.grad`` of a leaf changes no other gradient, no value and no later backward pass."""
    operands = [one.copy() for one in case.operands]
    handles, leaves = _handles(replace(case, operands=operands))
    y = case.call(*handles)
    incoming = _incoming(case, y.data)
    values = [one.copy() for one in (*operands, y.data, incoming)]
    y.backward(incoming, retain_graph=True)
    before = [one.grad.data.copy() for one in leaves if one.grad is not None]
    for one in leaves:
        if one.grad is not None:
            one.grad.data[...] = np.nan
            one.grad = None
    for array, expected in zip((*operands, y.data, incoming), values, strict=True):
        require_same(array, expected, "an operand, the value or the incoming gradient after writing into .grad")
    y.backward(incoming)
    for position, one, expected in zip(case.differentiable, leaves, before, strict=True):
        require(one.grad is not None, f"{_named(case, position)} is missing in the second pass")
        if one.grad is not None:
            require_same(one.grad.data, expected, f"{_named(case, position)} after writing into an earlier .grad")


def stretch(array: Array, layout: str) -> Array:
    """The same values in another memory layout, or read-only."""
    if layout == "fortran":
        return np.array(array, order="F")
    if layout == "strided":
        wide = (
            np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype) if array.ndim else np.zeros((), array.dtype)
        )
        view = wide[..., ::2] if array.ndim else wide
    elif layout == "reversed":
        backwards: tuple[Any, ...] = (..., *[slice(None, None, -1)] * array.ndim)
        view = np.zeros_like(array, order="C")[backwards]
    elif layout == "transposed":
        view = np.zeros(array.shape[::-1], array.dtype).T
    else:
        return _frozen(array)
    view[...] = array
    return view


@_law(_with_rule, options=("fortran", "strided", "reversed", "transposed", "read-only"))
def memory_layout_does_not_matter(case: Case, layout: str) -> None:
    """Other strides give the same bits, in value and gradient; sums and products may add in another order.

    Negative strides may cost the last bit: there NumPy's own exp and pow run through another kernel.
    """
    y = case.forward()
    incoming = _incoming(case, y)
    moved = [stretch(one, layout) for one in case.operands]
    straight = [y, *gradients(case, incoming)]
    bent = [case.forward(moved), *gradients(case, stretch(incoming, layout), moved)]
    for one, other in zip(bent, straight, strict=True):
        if case.op.elementwise and layout != "reversed" and one.shape == y.shape:
            require_same(one, other, f"with {layout} operands")
        else:
            _near(one, other, 1e-13, 1e-13, f"with {layout} operands")


@_law(_with_rule)
def any_subset_of_operands_can_be_tracked(case: Case) -> None:
    """A gradient does not depend on which other operands want one, nor on whether these are tensors or arrays."""
    wanted = case.differentiable
    incoming = _incoming(case, case.forward())
    whole = dict(zip(wanted, gradients(case, incoming), strict=True))
    for chosen in itertools.chain.from_iterable(itertools.combinations(wanted, n) for n in range(1, len(wanted) + 1)):
        for plain in (np.asarray, Tensor):
            handles: list[Any] = [leaf(one) if i in chosen else plain(one) for i, one in enumerate(case.operands)]
            y = case.call(*handles)
            require(len(y.node.inputs) == len(chosen), f"{len(chosen)} operands tracked, {len(y.node.inputs)} recorded")
            found = walk((y.node,), (incoming,), targets=[handles[i].node for i in chosen])
            for i in chosen:
                require_same(found[handles[i].node], whole[i], f"{_named(case, i)} with operands {chosen} tracked")


@_law(_always)
def tensors_and_arrays_give_the_same_value(case: Case) -> None:
    """On arrays an op is NumPy; on tensors it computes the same bits, as a Tensor around an ndarray."""
    y = case.call(*[Tensor(one) for one in case.operands])
    require(type(y) is Tensor, f"on tensors it gives {type(y).__name__}")
    require(type(y.data) is np.ndarray, f"on tensors it gives a Tensor around {type(y.data).__name__}")
    require(not y.requires_grad, "the result of constants wants gradients")
    require_same(y.data, case.forward(), "on tensors, compared with arrays")


@_law(_without_rule)
def records_nothing(case: Case) -> None:
    """An op without rules records nothing, even on operands that want gradients."""
    y = case.call(*[Tensor(one, requires_grad=one.dtype.kind == "f") for one in case.operands])
    require(y.node is None, "the result wants gradients")


@_law(_with_equals)
def twice_the_same_operand(case: Case) -> None:
    """``f(x, x)`` gets the sum of both operands' gradients."""
    wanted = case.differentiable
    domains = [case.op.samples.operands[i] for i in wanted]  # type: ignore[attr-defined]
    legal = [i for i in wanted if all(is_legal(case.operands[i], domain) for domain in domains)]
    if not legal:
        return
    shared = np.broadcast_to(case.operands[legal[0]], case.forward().shape).copy()
    case = replace(case, operands=[shared if i in wanted else one for i, one in enumerate(case.operands)])
    incoming = case.rng.standard_normal(shared.shape)
    apart = gradients(case, incoming)
    x = leaf(shared)
    y = case.call(*[x if i in wanted else one for i, one in enumerate(case.operands)])
    (both,) = grad(y, x, [Tensor(incoming)])
    if both is not None:
        require_same(both.data, sum(apart[1:], apart[0]), "the gradient of f(x, x)")


@_law(_elementwise)
def broadcasting_is_undone(case: Case) -> None:
    """The gradient of a broadcast operand is the gradient of its explicit copies, summed."""
    y = case.forward()
    incoming = _incoming(case, y)
    spread = [np.broadcast_to(one, y.shape).copy() for one in case.operands]
    for position, one, other in zip(
        case.differentiable, gradients(case, incoming), gradients(case, incoming, spread), strict=True
    ):
        shape = case.operands[position].shape
        extra = other.ndim - len(shape)
        axes = tuple(i for i in range(other.ndim) if i < extra or shape[i - extra] != other.shape[i])
        summed = other.sum(axes).reshape(shape)
        size = 1e-13 * float(np.sum(np.abs(other)) + 1)
        require(one.shape == shape, f"{_named(case, position)}: expected shape {shape}, got {one.shape}")
        _near(one, summed, 1e-13, size, f"{_named(case, position)}, against the sum over explicit copies")


def _resampled(case: Case, position: int, count: int) -> Array:
    """Samples of one operand that are as legal as the drawn one: its own values in another order."""
    operand = case.operands[position]
    if case.op.elementwise or operand.ndim == 0 or operand.dtype.kind != "f":
        return np.stack([operand] * count)
    rng = np.random.default_rng([case.seed, position])
    if isinstance(case.op.samples, System) and position == 0:
        # Rows and columns in one other order: what is symmetric and regular stays it.
        orders = [rng.permutation(operand.shape[-1]) for _ in range(count)]
        return np.stack([operand[..., order[:, None], order] for order in orders])
    return np.stack([rng.permutation(operand.ravel()).reshape(operand.shape) for _ in range(count)])


@_law(_with_batch, options=(1, 2, 3))
def samples_at_once(case: Case, count: int) -> None:
    """The batch rule gives the stack of the single answers and gradients, whichever operands are batched."""
    op, arity = case.op, len(case.operands)
    rng = np.random.default_rng([case.seed, 4])
    subsets = [flags for flags in itertools.product((True, False), repeat=min(arity, _SUBSETS)) if any(flags)]
    for subset in subsets:
        flags = (*subset, *[subset[0]] * (arity - len(subset)))
        stacked = [_resampled(case, i, count) if flag else case.operands[i] for i, flag in enumerate(flags)]
        what = f"{count} samples at once, of operands {[i for i, flag in enumerate(flags) if flag]}"
        singles = [
            case.forward([one[k] if flag else one for one, flag in zip(stacked, flags, strict=True)])
            for k in range(count)
        ]
        expected = np.stack(singles)
        found = batched.apply(op, stacked, flags, case.params, count)
        require(type(found) is np.ndarray, f"{what}: on arrays it gives {type(found).__name__}")
        traced = batched.apply(op, [Tensor(one) for one in stacked], flags, case.params, count)
        for answer in (found, traced.data):
            require(answer.shape == expected.shape, f"{what}: expected shape {expected.shape}, got {answer.shape}")
            require(answer.dtype == expected.dtype, f"{what}: expected {expected.dtype}, got {answer.dtype}")
            _near(answer, expected, 1e-12, 1e-13, what)
        wanted = [i for i in case.differentiable if stacked[i].dtype.kind == "f"] if has_rule(op) else []
        if not wanted:
            continue
        incoming = Tensor(rng.standard_normal(expected.shape))
        both = []
        for way in (batched.apply, batched.one_by_one):
            handles: list[Any] = [leaf(one) if i in wanted else one for i, one in enumerate(stacked)]
            y = way(op, handles, flags, case.params, count)
            require(y.node is not None, f"{what}: nothing is recorded")
            gradients_found = grad(y, [handles[i] for i in wanted], [incoming], allow_unused=True)
            both.append(
                [
                    np.zeros(handles[i].shape) if g is None else g.data
                    for i, g in zip(wanted, gradients_found, strict=True)
                ]
            )
        for position, one, other in zip(wanted, *both, strict=True):
            _near(one, other, 1e-11, 1e-12, f"{_named(case, position)}, {what}")


# --- all of them on one op ------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class OpReport(Report):
    """What the laws of ops found; see :class:`.report.Report`."""


def check_op(
    op: Op | OpFunction | str,
    *,
    examples: int | None = None,
    laws: Iterable[str | Law] | None = None,
    raise_on_failure: bool = True,
) -> OpReport:
    """Try every law on a declared op, as scikit-learn's ``check_estimator`` does on an estimator.

    Args:
        op: the function that ``@elementwise`` or ``@primitive`` made, its declaration, or its name.
        examples: how many legal calls to try for each law; by default as many as the Hypothesis profile says.
        laws: names out of :data:`LAWS`, or laws of your own; all by default.
        raise_on_failure: False gives the report of an op that breaks laws.

    Returns:
        One finding per law: passed, failed with the smallest call that shows it, or not applicable with the reason.

    Raises:
        ConformanceError: a law is broken. ArgumentError: no declared op, a sample of unknown kind, an unknown law.
        MissingExtraError: Hypothesis or mpmath is not installed.

    >>> print(check_op("exp", examples=5, laws=["value", "first_derivative", "records_nothing"]))
    exp: 2 passed, 0 failed, 1 not applicable
    passed          value
    passed          first_derivative
    not applicable  records_nothing
        it has gradient rules
    """
    function = function_of(op)
    declared: Op = function.op  # type: ignore[attr-defined]
    chosen = [_law_named(one) for one in (LAWS if laws is None else laws)]
    report = OpReport(declared.name, tuple(_found(law, function, declared, examples) for law in chosen))
    return report.raise_if_failed() if raise_on_failure else report


def _law_named(law: str | Law) -> Law:
    if isinstance(law, Law):
        return law
    if law not in LAWS:
        raise ArgumentError(did_you_mean("law", law, LAWS))
    return LAWS[law]


def _found(law: Law, function: OpFunction, op: Op, examples: int | None) -> Finding:
    reason = law.applies(op)
    if reason is not None:
        return Finding(law.name, "not applicable", reason)
    hypothesis = need("hypothesis", extra="testing", purpose="try laws on examples")
    last = _Last()
    try:
        _search(law, function, examples, last)()
    except hypothesis.errors.Flaky as error:
        detail = "the same call breaks the law in one run and keeps it in another: the op gives different answers"
        return Finding(law.name, "failed", detail, last.shown(law), error)
    except Exception as error:
        # What another than the law raises, such as the maker of the calls, is no finding about the op.
        if error is not last.error:
            raise
        return failure(law.name, error, last.shown(law))
    return Finding(law.name, "passed")


@dataclass
class _Last:
    """What was tried last: after a search that failed, the smallest call that breaks the law."""

    case: Case | None = None
    option: Any = None
    error: Exception | None = None

    def shown(self, law: Law) -> str:
        if self.case is None:
            return ""
        option = [f"with {_plain(self.option)}"] if law.options else []
        return ", ".join([str(self.case), *option, f"seed {self.case.seed}"])


def _plain(option: Any) -> str:
    return option.__name__ if isinstance(option, type) else str(option)


def _search(law: Law, function: OpFunction, examples: int | None, last: _Last) -> Callable[[], None]:
    """Hypothesis's search for a call that breaks the law."""
    hypothesis = need("hypothesis", extra="testing", purpose="try laws on examples")
    st = need("hypothesis.strategies", extra="testing", purpose="try laws on examples")
    profile = hypothesis.settings()

    def attempt(case: Case, option: Any) -> None:
        last.case, last.option = case, option
        try:
            if law.largest < math.inf and case.forward().size > law.largest:
                hypothesis.reject()
            law.holds(case, *([option] if law.options else []))
        except Exception as error:
            last.error = error
            raise

    settings = hypothesis.settings(
        max_examples=profile.max_examples if examples is None else examples,
        database=None,
        deadline=None,
        derandomize=profile.derandomize,
        phases=(hypothesis.Phase.generate, hypothesis.Phase.shrink),
        print_blob=False,
        report_multiple_bugs=False,
        suppress_health_check=list(hypothesis.HealthCheck),
        verbosity=hypothesis.Verbosity.quiet,
    )
    search: Callable[[], None] = settings(
        hypothesis.given(cases(function), st.sampled_from(law.options or (None,)))(attempt)
    )
    return search
