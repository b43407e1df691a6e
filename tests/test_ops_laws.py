"""The laws that every op obeys, checked on every op: each test here runs once per declaration in OPS."""

from __future__ import annotations

import itertools
import math
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import BY_NAME, DIFFERENTIABLE, Case, cases, gradients, leaf, stretch

from tinygrad_mlp import Tensor, autograd
from tinygrad_mlp.tape import OPS, Array, Op, walk

MP = mpmath.mp.clone()
MP.dps = 32

every_op = pytest.mark.parametrize("name", list(OPS))
every_differentiable_op = pytest.mark.parametrize("name", DIFFERENTIABLE)
ELEMENTWISE = [name for name in DIFFERENTIABLE if OPS[name].elementwise]
elementwise_op = pytest.mark.parametrize("name", ELEMENTWISE)
general_op = pytest.mark.parametrize("name", [name for name in DIFFERENTIABLE if not OPS[name].elementwise])


def drawn(data: st.DataObject, name: str) -> Case:
    return data.draw(cases(OPS[name]))


def can_be_equal(op: Op) -> bool:
    """Whether two operands want gradients and no kink lies where they are equal."""
    return sum(rule is not None for rule in op.rules) > 1 and not op.samples.apart


def incoming_for(case: Case, y: Any) -> Array:
    return case.rng.standard_normal(np.shape(y))


# --- the declarations are complete ----------------------------------------------------------------


@every_op
def test_op_has_a_strategy(name: str) -> None:
    """Every declaration carries a sample of a kind that the tests can draw."""
    assert cases(OPS[name]) is not None


@every_op
def test_op_has_a_function(name: str) -> None:
    """Every op is reached through a polymorphic function of the ops room."""
    assert BY_NAME[name].op is OPS[name]


@every_differentiable_op
def test_op_with_a_rule_has_a_reference(name: str) -> None:
    """What has a gradient rule also says, in somebody else's words, what it computes."""
    assert OPS[name].reference is not None


def test_sample_without_strategy_is_refused() -> None:
    """An op whose sample is of an unknown kind cannot slip through untested."""

    class Unknown:
        """A kind of sample nobody has heard of."""

    genuine = OPS["exp"]
    odd = Op(
        "odd",
        genuine.forward,
        genuine.rules,
        operands=genuine.operands,
        params=(),
        numpy=(),
        reference=None,
        samples=Unknown(),
        scalar=None,
        latex=None,
        elementwise=True,
        saves=False,
        passes_on=False,
        pull_maker=genuine.pull_maker,
    )
    with pytest.raises(LookupError, match="odd"):
        cases(odd)


@every_op
def test_names_of_operands_and_parameters_differ(name: str) -> None:
    """A rule names what it reads, so no name can mean two things."""
    op = OPS[name]
    names = ["g", "y", "saved", *op.operands, *op.params]
    names = [one for one in names if one != "saved" or op.saves]
    assert len(set(names)) == len(names)


# --- values and first derivatives -----------------------------------------------------------------


def exactly(case: Case, function: Any) -> Array:
    """An mpmath function of one number per operand, over the broadcast operands, as an object array."""
    spread = np.broadcast_arrays(*case.operands)
    out = np.empty(spread[0].shape, object)
    for place in np.ndindex(out.shape):
        numbers = [one[place].item() for one in spread]
        out[place] = function(*[MP.mpf(one) if isinstance(one, float) else one for one in numbers])
    return out


def derivative(case: Case, *orders: int) -> Array:
    """The partial derivative of the reference, once per number in ``orders`` by that operand, in mpmath."""
    reference = case.op.reference
    assert reference is not None
    times = tuple(orders.count(i) for i in range(len(case.operands)))

    def at(*numbers: Any) -> Any:
        moving = [i for i, count in enumerate(times) if count]

        def along(*values: Any) -> Any:
            full = list(numbers)
            for i, value in zip(moving, values, strict=True):
                full[i] = value
            return reference(MP, *full, **case.params)

        point = tuple(numbers[i] for i in moving)
        counts = tuple(times[i] for i in moving)
        return MP.diff(along, point, counts) if len(moving) > 1 else MP.diff(along, point[0], counts[0])

    return exactly(case, at)


def summed_to(terms: Array, shape: tuple[int, ...]) -> Array:
    """Exact sums of mpmath numbers over the axes along which ``shape`` was broadcast."""
    terms = np.asarray(terms, object)
    extra = terms.ndim - len(shape)
    axes = tuple(i for i in range(terms.ndim) if i < extra or (shape[i - extra] == 1 and terms.shape[i] != 1))
    total = terms.sum(axes, keepdims=True) if axes else terms
    return np.asarray(total, object).reshape(shape)


def assert_close(got: Array, exact: Array, size: Array, rtol: float) -> None:
    """``got`` is ``exact`` within ``rtol`` of the size of the terms that it is made of."""
    got, exact, size = np.asarray(got), np.asarray(exact, object), np.asarray(size, object)
    assert got.shape == exact.shape
    for place in np.ndindex(exact.shape):
        error = abs(MP.mpf(float(got[place])) - exact[place])
        assert error <= rtol * size[place] + 1e-300, (place, got[place], float(exact[place]))


@elementwise_op
@given(data=st.data())
def test_elementwise_value(name: str, data: st.DataObject) -> None:
    """The forward function agrees with mpmath to the last digits."""
    case = drawn(data, name)
    y = case.forward()
    exact = exactly(case, lambda *numbers: MP.mpf(case.op.reference(MP, *numbers, **case.params)))
    spread = np.broadcast_arrays(*case.operands)
    size = np.array([1e-3 * max(abs(float(one[i])) for one in spread) for i in np.ndindex(exact.shape)])
    size = np.abs(exact) + size.reshape(exact.shape)
    assert_close(y, exact, size, 1e-13)


@elementwise_op
@given(data=st.data())
def test_elementwise_first_derivative(name: str, data: st.DataObject) -> None:
    """Each rule agrees with mpmath's derivative of the reference, for random incoming gradients and shapes."""
    case = drawn(data, name)
    incoming = incoming_for(case, case.forward())
    found = gradients(case, incoming)
    for position, gradient in zip(case.differentiable, found, strict=True):
        terms = derivative(case, position) * incoming
        shape = case.operands[position].shape
        size = summed_to(np.abs(terms) + 1e-3 * np.abs(incoming), shape)
        assert_close(gradient, summed_to(terms, shape), size, 1e-13)


@elementwise_op
@given(data=st.data())
def test_elementwise_second_derivative(name: str, data: st.DataObject) -> None:
    """The rules can be differentiated again, by operands and by incoming gradient, and that is right too."""
    case = drawn(data, name)
    assume(case.forward().size <= 12)
    incoming = incoming_for(case, case.forward())
    weights, found = second_gradients(case, incoming)
    wanted = case.differentiable
    spread = [np.broadcast_to(w, incoming.shape) for w in weights]
    first = [derivative(case, i) for i in wanted]
    slopes = sum((w * d for w, d in zip(spread, first, strict=True)), np.zeros(incoming.shape, object))
    assert_close(found[-1], slopes, slopes * 0 + 1 + np.abs(slopes), 1e-12)
    for position, gradient in zip(wanted, found[:-1], strict=True):
        terms = [w * incoming * derivative(case, position, i) for w, i in zip(spread, wanted, strict=True)]
        shape = case.operands[position].shape
        total = summed_to(sum(terms[1:], terms[0]), shape)
        size = summed_to(sum((np.abs(one) for one in terms), 1e-2 * np.abs(incoming)), shape)
        assert_close(gradient, total, size, 1e-12)


def second_gradients(case: Case, incoming: Array) -> tuple[list[Array], list[Array]]:
    """Random weights, and the engine's gradients of the weighted first gradients by operands and incoming gradient."""
    wanted = case.differentiable
    handles = [leaf(one) if i in wanted else one for i, one in enumerate(case.operands)]
    seed = leaf(incoming)
    leaves = [handles[i] for i in wanted]
    y = case.call(*handles)
    first = autograd.grad(y, leaves, [seed], create_graph=True)
    rng = np.random.default_rng([case.seed, 2])
    weights = [rng.standard_normal(one.shape) for one in first]
    tracked = [(one, w) for one, w in zip(first, weights, strict=True) if one.node is not None]
    found = (
        autograd.grad([one for one, _ in tracked], [*leaves, seed], [Tensor(w) for _, w in tracked], allow_unused=True)
        if tracked
        else (None,) * (len(leaves) + 1)
    )
    return weights, [
        np.zeros(one.shape) if gradient is None else gradient.data
        for one, gradient in zip([*leaves, seed], found, strict=True)
    ]


# --- the same for ops that are not elementwise: the complex step ----------------------------------

STEP = 1e-20


@general_op
@given(data=st.data())
def test_general_value(name: str, data: st.DataObject) -> None:
    """The forward function agrees with the declared reference."""
    case = drawn(data, name)
    y, expected = case.forward(), case.reference(case.operands)
    assert y.shape == expected.shape
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-13)


@general_op
@given(data=st.data())
def test_general_first_derivative(name: str, data: st.DataObject) -> None:
    """Each rule agrees with the complex step of the reference, entry by entry, for random incoming gradients."""
    case = drawn(data, name)
    incoming = incoming_for(case, case.forward())
    for position, gradient in zip(case.differentiable, gradients(case, incoming), strict=True):
        assert gradient.shape == case.operands[position].shape
        for place in np.ndindex(gradient.shape):
            moved = [one.astype(complex) if one.dtype.kind == "f" else one for one in case.operands]
            moved[position][place] += 1j * STEP
            expected = math.fsum((incoming * case.reference(moved).imag / STEP).ravel())
            assert gradient[place] == pytest.approx(expected, rel=1e-12, abs=1e-12)


@general_op
@given(data=st.data())
def test_general_second_derivative(name: str, data: st.DataObject) -> None:
    """The rules can be differentiated again: against the complex step of our own first-order rules."""
    case = drawn(data, name)
    incoming = incoming_for(case, case.forward())
    weights, found = second_gradients(case, incoming)
    wanted = case.differentiable

    def first_order(operands: list[Array], seed: Array) -> complex:
        with np.errstate(all="ignore"):
            parts = gradients(case, seed, operands)
        return complex(sum((np.sum(w * part) for w, part in zip(weights, parts, strict=True)), 0j))

    rng = np.random.default_rng([case.seed, 3])
    for position, gradient in zip(wanted, found[:-1], strict=True):
        places = list(np.ndindex(gradient.shape))
        for i in rng.permutation(len(places))[:6]:
            moved = [one.astype(complex) if k in wanted else one for k, one in enumerate(case.operands)]
            moved[position][places[i]] += 1j * STEP
            expected = first_order(moved, incoming.astype(complex)).imag / STEP
            assert gradient[places[i]] == pytest.approx(expected, rel=1e-11, abs=1e-11)
    direction = rng.standard_normal(incoming.shape)
    still = [one.astype(complex) if k in wanted else one for k, one in enumerate(case.operands)]
    expected = first_order(still, incoming + 1j * STEP * direction).imag / STEP
    assert np.sum(found[-1] * direction) == pytest.approx(expected, rel=1e-11, abs=1e-11)


# --- questions ------------------------------------------------------------------------------------

ANSWERS: dict[str, Any] = {
    "ties": lambda a, b: a == b or (math.isnan(a) and math.isnan(b)),
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
    "logical_and": lambda a, b: bool(a) and bool(b),
    "logical_or": lambda a, b: bool(a) or bool(b),
    "logical_not": lambda a: not a,
    "isnan": math.isnan,
    "isinf": math.isinf,
    "isfinite": math.isfinite,
}


@pytest.mark.parametrize("name", [name for name in OPS if name not in DIFFERENTIABLE and OPS[name].elementwise])
@given(data=st.data())
def test_question(name: str, data: st.DataObject) -> None:
    """Ops without gradient answer as Python does, in booleans, and record nothing even on tracked operands."""
    case = drawn(data, name)
    y = case.call(*[Tensor(one, requires_grad=True) for one in case.operands])
    assert y.node is None
    assert y.dtype == np.bool_
    spread = np.broadcast_arrays(*case.operands)
    assert y.shape == spread[0].shape
    for place in np.ndindex(y.shape):
        assert y.data[place] == ANSWERS[name](*[one[place].item() for one in spread])


# --- shapes, dtypes, memory -----------------------------------------------------------------------


@every_differentiable_op
@given(data=st.data(), dtype=st.sampled_from([np.float32, np.float64, np.float16]))
def test_dtype_and_shape_stay(name: str, dtype: type, data: st.DataObject) -> None:
    """Value, gradient and second gradient have the operands' dtype; gradients have the operands' shapes."""
    case = drawn(data, name)
    case.operands = [one.astype(dtype) if one.dtype.kind == "f" else one for one in case.operands]
    case.params = {k: np.dtype(dtype) if isinstance(v, np.dtype) else v for k, v in case.params.items()}
    wanted = case.differentiable
    with np.errstate(all="ignore"):
        handles = [leaf(one) if i in wanted else one for i, one in enumerate(case.operands)]
        y = case.call(*handles)
        assert y.dtype == dtype
        seed = leaf(incoming_for(case, y.data).astype(dtype))
        leaves = [handles[i] for i in wanted]
        plain = autograd.grad(y, leaves, [seed.detach()], retain_graph=True)
        first = autograd.grad(y, leaves, [seed], create_graph=True)
        for one, also, operand in zip(plain, first, leaves, strict=True):
            assert one.shape == also.shape == operand.shape
            assert one.dtype == also.dtype == dtype
            assert type(one.data) is type(also.data) is np.ndarray
        tracked = [one for one in first if one.node is not None]
        if tracked:
            second = autograd.grad(tracked, [*leaves, seed], [one.detach() for one in tracked], allow_unused=True)
            assert {one.dtype for one in second if one is not None} <= {np.dtype(dtype)}
            assert all(one is None or one.shape == x.shape for one, x in zip(second, [*leaves, seed], strict=True))


@every_differentiable_op
@given(data=st.data())
def test_both_ways_back_agree(name: str, data: st.DataObject) -> None:
    """The walk on arrays and the recorded walk give the same bits: they run the same rules."""
    case = drawn(data, name)
    incoming = incoming_for(case, case.forward())
    handles = [leaf(one) if i in case.differentiable else one for i, one in enumerate(case.operands)]
    leaves = [handles[i] for i in case.differentiable]
    recorded = autograd.grad(case.call(*handles), leaves, [Tensor(incoming)], create_graph=True)
    for one, other in zip(recorded, gradients(case, incoming), strict=True):
        np.testing.assert_array_equal(one.data, other)


def frozen(array: Array) -> Array:
    array = array.copy()
    array.flags.writeable = False
    return array


@every_differentiable_op
@given(data=st.data())
def test_nothing_given_is_written_to(name: str, data: st.DataObject) -> None:
    """Operands and incoming gradient are read-only to forward function and rules, in both orders."""
    case = drawn(data, name)
    case.operands = [frozen(one) for one in case.operands]
    incoming = frozen(incoming_for(case, case.forward()))
    gradients(case, incoming)
    second_gradients(case, incoming)


@every_differentiable_op
@given(data=st.data())
def test_gradients_share_no_memory(name: str, data: st.DataObject) -> None:
    """Gradients share memory neither with each other, nor with operands, output, incoming gradient or kept values."""
    case = drawn(data, name)
    handles = [leaf(one) if i in case.differentiable else one for i, one in enumerate(case.operands)]
    leaves = [handles[i] for i in case.differentiable]
    y = case.call(*handles)
    incoming = incoming_for(case, y.data)
    kept = [one for one in y.node.kept if isinstance(one, np.ndarray)]
    found = autograd.grad(y, leaves, [Tensor(incoming)], retain_graph=True)
    through_walk = walk((y.node,), (incoming,), targets=[one.node for one in leaves])
    strangers = [*case.operands, y.data, incoming, *kept]
    for given_back in ([one.data for one in found], [through_walk[one.node] for one in leaves]):
        for one in given_back:
            assert one.flags.writeable
            assert not any(np.may_share_memory(one, other) for other in strangers if other.size and one.size)
        for one, other in itertools.combinations(given_back, 2):
            assert not np.may_share_memory(one, other) or not one.size


@every_differentiable_op
@given(data=st.data())
def test_poisoned_gradient_reaches_nothing(name: str, data: st.DataObject) -> None:
    """Overwriting the `.grad` of one leaf changes no other gradient, no value and no later backward pass."""
    case = drawn(data, name)
    handles = [leaf(one) if i in case.differentiable else one for i, one in enumerate(case.operands)]
    leaves = [handles[i] for i in case.differentiable]
    y = case.call(*handles)
    incoming = incoming_for(case, y.data)
    y.backward(incoming, retain_graph=True)
    before = [one.grad.data.copy() for one in leaves]
    values = [one.copy() for one in [*case.operands, y.data, incoming]]
    for one in leaves:
        one.grad.data[...] = np.nan
        one.grad = None
    y.backward(incoming)
    for one, expected in zip(leaves, before, strict=True):
        np.testing.assert_array_equal(one.grad.data, expected)
    for array, expected in zip([*case.operands, y.data, incoming], values, strict=True):
        np.testing.assert_array_equal(array, expected)


@every_differentiable_op
@given(data=st.data(), layout=st.sampled_from(["fortran", "strided", "reversed", "transposed", "read-only"]))
def test_memory_layout_does_not_matter(name: str, layout: str, data: st.DataObject) -> None:
    """Other strides give the same bits, in value and gradient; sums and products may add in another order.

    Negative strides may cost the last bit: there NumPy's own exp and pow run through another kernel.
    """
    case = drawn(data, name)
    y = case.forward()
    incoming = incoming_for(case, y)
    found = gradients(case, incoming)
    moved = [stretch(one, layout) for one in case.operands]
    exact = case.op.elementwise and layout != "reversed"
    for one, other in zip(
        [case.forward(moved), *gradients(case, stretch(incoming, layout), moved)], [y, *found], strict=True
    ):
        if exact and one.shape == y.shape:
            np.testing.assert_array_equal(one, other)
        else:
            np.testing.assert_allclose(one, other, rtol=1e-13, atol=1e-13)


@every_differentiable_op
@given(data=st.data())
def test_any_subset_of_operands_can_be_tracked(name: str, data: st.DataObject) -> None:
    """A gradient does not depend on which other operands want one, nor on whether the others are tensors or arrays."""
    case = drawn(data, name)
    wanted = case.differentiable
    incoming = incoming_for(case, case.forward())
    whole = dict(zip(wanted, gradients(case, incoming), strict=True))
    for chosen in itertools.chain.from_iterable(itertools.combinations(wanted, n) for n in range(1, len(wanted) + 1)):
        for plain in (lambda array: array, Tensor):
            handles = [leaf(one) if i in chosen else plain(one) for i, one in enumerate(case.operands)]
            y = case.call(*handles)
            assert len(y.node.inputs) == len(chosen)
            found = walk((y.node,), (incoming,), targets=[handles[i].node for i in chosen])
            for i in chosen:
                np.testing.assert_array_equal(found[handles[i].node], whole[i])


@every_op
@given(data=st.data())
def test_tensors_and_arrays_give_the_same_value(name: str, data: st.DataObject) -> None:
    """On arrays an op is NumPy; on tensors it computes the same bits, as a Tensor around an ndarray."""
    case = drawn(data, name)
    y = case.call(*[Tensor(one) for one in case.operands])
    assert type(y) is Tensor
    assert type(y.data) is np.ndarray
    assert not y.requires_grad
    np.testing.assert_array_equal(y.data, case.forward())


@pytest.mark.parametrize("name", [name for name in ELEMENTWISE if can_be_equal(OPS[name])])
@given(data=st.data())
def test_twice_the_same_operand(name: str, data: st.DataObject) -> None:
    """f(x, x) gets the sum of both operands' gradients."""
    case = drawn(data, name)
    wanted = case.differentiable
    shared = np.broadcast_to(case.operands[wanted[0]], case.forward().shape).copy()
    case.operands = [shared if i in wanted else one for i, one in enumerate(case.operands)]
    incoming = case.rng.standard_normal(shared.shape)
    apart = gradients(case, incoming)
    x = leaf(shared)
    y = case.call(*[x if i in wanted else one for i, one in enumerate(case.operands)])
    (both,) = autograd.grad(y, x, [Tensor(incoming)])
    np.testing.assert_array_equal(both.data, sum(apart[1:], apart[0]))


@elementwise_op
@given(data=st.data())
def test_broadcasting_is_undone(name: str, data: st.DataObject) -> None:
    """The gradient of a broadcast operand is the gradient of its explicit copies, summed."""
    case = drawn(data, name)
    y = case.forward()
    incoming = incoming_for(case, y)
    spread = [np.broadcast_to(one, y.shape).copy() for one in case.operands]
    for position, one, other in zip(
        case.differentiable, gradients(case, incoming), gradients(case, incoming, spread), strict=True
    ):
        shape = case.operands[position].shape
        extra = other.ndim - len(shape)
        axes = tuple(i for i in range(other.ndim) if i < extra or shape[i - extra] != other.shape[i])
        np.testing.assert_allclose(
            one, other.sum(axes).reshape(shape), rtol=1e-13, atol=1e-13 * float(np.sum(np.abs(other)) + 1)
        )
