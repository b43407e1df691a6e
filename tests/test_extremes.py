"""The ends of the number line: no warning and no NaN from finite numbers, and branches not taken stay silent."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_mlp as tg
from tinygrad_mlp import Tensor, autograd, func, ops, tape
from tinygrad_mlp.errors import ShapeError

DTYPES = pytest.mark.parametrize("dtype", [np.float64, np.float32])
MARKS = [5e-324, 1e-310, 2.3e-308, 1e-300, 1e-45, 1e-38, 1e-16, 0.5, 1, 19, 37, 88.7, 89, 104, 709.7, 710, 745.2, 1e4]
MARKS += [1.8e19, 1e38, 1.3e154, 1e200, 1e308, 1.7976931348623157e308]


class _NumpyThatWarns:
    """NumPy, except that the walk's own ``errstate`` does nothing."""

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    @staticmethod
    def errstate(**settings: Any) -> Any:
        return contextlib.nullcontext()


@contextlib.contextmanager
def nothing_is_ignored() -> Any:
    """Every floating-point warning but underflow is an error, also inside the backward walk."""
    with pytest.MonkeyPatch.context() as patch, np.errstate(all="raise", under="ignore"):
        patch.setattr(tape, "np", _NumpyThatWarns())
        yield


def extreme_numbers(dtype: Any, share: float = 1.0) -> st.SearchStrategy[float]:
    """Finite numbers of the dtype up to a share of the largest: landmarks of both signs, zeros, and any others."""
    top = float(np.finfo(dtype).max) * share
    width = np.dtype(dtype).itemsize * 8
    marks = [sign * float(np.asarray(min(mark, top), dtype)) for mark in [0.0, *MARKS] for sign in (1, -1)]
    top = float(np.nextafter(np.asarray(top, dtype), np.asarray(0, dtype)))
    return st.sampled_from(marks) | st.floats(-top, top, width=width)


def all_finite(fn: Callable[[Tensor], Any], x: Any, incoming: Any) -> None:
    at = Tensor(x, requires_grad=True)
    y = fn(at)
    assert np.isfinite(y.data).all()
    seed = np.broadcast_to(incoming, y.shape).astype(y.dtype)
    (first,) = autograd.grad(y, at, [Tensor(seed)], create_graph=True)
    assert np.isfinite(first.data).all()
    if first.node is not None:
        (second,) = autograd.grad(first, at, [Tensor(np.ones_like(x))], allow_unused=True)
        assert second is None or np.isfinite(second.data).all()


ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "relu": ops.relu,
    "leaky_relu": ops.leaky_relu,
    "sigmoid": ops.sigmoid,
    "tanh": ops.tanh,
    "softplus": ops.softplus,
    "softplus, beta 2": lambda x: ops.softplus(x, 2.0),
    "softplus, beta 0.5": lambda x: ops.softplus(x, 0.5),
    "silu": ops.silu,
    "gelu": ops.gelu,
    "gelu, tanh": lambda x: ops.gelu(x, "tanh"),
}


@DTYPES
@pytest.mark.parametrize("name", ACTIVATIONS)
@given(data=st.data())
def test_activations_are_finite_and_silent(name: str, dtype: Any, data: st.DataObject) -> None:
    """Any finite number goes through an activation, both derivatives included, without warning, NaN or infinity."""
    x = np.array(data.draw(st.lists(extreme_numbers(dtype), min_size=1, max_size=5)), dtype)
    with nothing_is_ignored():
        all_finite(ACTIVATIONS[name], x, data.draw(st.sampled_from([1.0, -0.75, 0.0])))


ROWS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "softmax": lambda x, ids, p: ops.softmax(x, 1),
    "log_softmax": lambda x, ids, p: ops.log_softmax(x, 1),
    "logsumexp": lambda x, ids, p: ops.logsumexp(x, 1),
    "cross_entropy": lambda x, ids, p: ops.cross_entropy(x, ids, reduction="none"),
    "cross_entropy of probabilities": lambda x, ids, p: ops.cross_entropy(x, p, reduction="none"),
}


@DTYPES
@pytest.mark.parametrize("name", ROWS)
@given(data=st.data())
def test_rows_of_logits_are_finite_and_silent(name: str, dtype: Any, data: st.DataObject) -> None:
    """The softmax family, for logits whose differences the dtype can hold; targets that are 0 and 1 among them."""
    rows, classes = data.draw(st.integers(1, 3)), data.draw(st.integers(2, 4))
    numbers = st.lists(extreme_numbers(dtype, 0.45), min_size=rows * classes, max_size=rows * classes)
    x = np.array(data.draw(numbers), dtype).reshape(rows, classes)
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    p = rng.dirichlet(np.ones(classes), rows).astype(dtype)
    p[0] = np.eye(classes)[0]
    with nothing_is_ignored():
        all_finite(lambda at: ROWS[name](at, rng.integers(0, classes, rows), p), x, rng.choice([1.0, -0.5]))


@DTYPES
@pytest.mark.parametrize("options", [{}, {"pos_weight": 0.5}, {"weight": 0.25}], ids=["plain", "pos_weight", "weight"])
@given(data=st.data())
def test_binary_cross_entropy_is_finite_and_silent(options: Any, dtype: Any, data: st.DataObject) -> None:
    """Any finite logit, any target from 0 to 1."""
    x = np.array(data.draw(st.lists(extreme_numbers(dtype), min_size=1, max_size=5)), dtype)
    target = np.full(x.shape, data.draw(st.sampled_from([0.0, 1e-30, 0.3, 1 - 1e-7, 1.0])), dtype)
    loss = ops.binary_cross_entropy_with_logits
    with nothing_is_ignored():
        all_finite(lambda at: loss(at, target, reduction="none", **options), x, 1.0)


@DTYPES
@given(data=st.data())
def test_squared_error_is_finite_and_silent(dtype: Any, data: st.DataObject) -> None:
    """As long as the square itself can be held."""
    top = float(np.sqrt(np.finfo(dtype).max)) / 2
    pair = [np.clip(data.draw(extreme_numbers(dtype)), -top, top) for _ in range(2)]
    x, target = (np.array([one], dtype) for one in pair)
    with nothing_is_ignored():
        all_finite(lambda at: ops.mse_loss(at, target, reduction="none"), x, 1.0)


def test_the_guard_reaches_into_the_walk() -> None:
    """The tests above would notice an overflow inside the backward walk, which the engine itself keeps silent."""
    x = Tensor(np.array([1e-200]), requires_grad=True)
    y = 1.0 / x
    y.backward(np.ones(1), retain_graph=True)
    with nothing_is_ignored(), pytest.raises(FloatingPointError):
        y.backward(np.ones(1))


@pytest.mark.parametrize("row", [[1.0, np.inf, 2.0], [-np.inf] * 3, [np.inf, np.inf, 0.0], [np.nan, 1.0, 2.0]])
@pytest.mark.parametrize("target", [0, 1])
def test_a_broken_loss_does_not_look_trained(row: list[float], target: int) -> None:
    """A row with an infinite largest logit or a NaN: where the loss is NaN, no gradient of that row is a number."""
    for targets in (np.array([target]), np.eye(3)[[target]]):
        x = Tensor(np.array([row]), requires_grad=True)
        with np.errstate(all="ignore"):
            loss = ops.cross_entropy(x, targets, reduction="sum")
            loss.backward()
        assert not np.isfinite(loss.item())
        assert np.isnan(x.grad.data).all()


def test_a_masked_logit_takes_no_part() -> None:
    """A logit of -inf has probability 0 and gradient 0 as long as another class is the target."""
    x = Tensor(np.array([[-np.inf, 1.0, 2.0]]), requires_grad=True)
    with np.errstate(all="raise"):
        loss = ops.cross_entropy(x, np.array([2]))
    loss.backward()
    shorter = Tensor(np.array([[1.0, 2.0]]), requires_grad=True)
    ops.cross_entropy(shorter, np.array([1])).backward()
    assert x.grad.data[0, 0] == 0
    np.testing.assert_array_equal(x.grad.data[:, 1:], shorter.grad.data)


# --- branches that are not taken ------------------------------------------------------------------

# name: (the branch, a number at which it or its derivatives are not finite)
BRANCHES: dict[str, tuple[Callable[[Any], Any], float]] = {
    "log x": (ops.log, 0.0),
    "sqrt x": (ops.sqrt, 0.0),
    "1/x": (lambda x: 1.0 / x, 0.0),
    "x/|x|": (lambda x: x / ops.abs(x), 0.0),
    "x**0.5": (lambda x: x**0.5, 0.0),
    "x**-1": (lambda x: x**-1, 0.0),
    "x**-0.5": (lambda x: x**-0.5, 0.0),
    "x**x": (lambda x: ops.pow(x, x), 0.0),
    "2**(1/x)": (lambda x: ops.pow(2.0, 1.0 / x), 0.0),
    "log1p x": (ops.log1p, -1.0),
    "exp x": (ops.exp, 1000.0),
    "expm1 x": (ops.expm1, 1000.0),
    "exp exp x": (lambda x: ops.exp(ops.exp(x)), 10.0),
    "sin(x)/x": (lambda x: ops.sin(x) / x, 0.0),
    "expm1(x)/x": (lambda x: ops.expm1(x) / x, 0.0),
    "sqrt(1 - x²)": (lambda x: ops.sqrt(1.0 - ops.square(x)), 1.0),
    "sqrt(x²)": (lambda x: ops.sqrt(ops.square(x)), 0.0),
    "log sigmoid x": (lambda x: ops.log(ops.sigmoid(x)), -1e4),
    "logit x": (lambda x: ops.log(x / (1.0 - x)), 1.0),
    "log expm1 x": (lambda x: ops.log(ops.expm1(x)), 0.0),
    "relu log x": (lambda x: ops.relu(ops.log(x)), 0.0),
    "max(log x, 1/x)": (lambda x: ops.maximum(ops.log(x), 1.0 / x), 0.0),
}
HIDDEN: dict[str, tuple[Callable[[Any], Any], float]] = {
    "x log x": (lambda x: x * ops.log(x), 0.0),
    "exp(x) exp(-x)": (lambda x: ops.exp(x) * ops.exp(-x), 1000.0),
    "(1/x)²": (lambda x: ops.square(1.0 / x), 0.0),
    "softmax of 1/x": (lambda x: ops.softmax(ops.stack([1.0 / x, x]), 0)[0], 0.0),
}
ACTIVE = 0.7


def plainly(branch: Callable[[Any], Any], condition: Any) -> Callable[[Any], Any]:
    return lambda x: ops.where(condition, branch(x), ops.sin(x))


def safely(branch: Callable[[Any], Any], condition: Any) -> Callable[[Any], Any]:
    return lambda x: tg.safe_where(condition, x, branch, ops.sin)


def orders(fn: Callable[[Any], Any], numbers: list[float]) -> list[Any]:
    """Value, first and second derivative by reverse mode, and the first by forward mode."""
    x = Tensor(np.array(numbers), requires_grad=True)
    y = fn(x)
    (first,) = autograd.grad(y.sum(), x, create_graph=True)
    (second,) = autograd.grad(first.sum(), x)
    _, along = func.jvp(fn, (Tensor(np.array(numbers)),), (Tensor(np.ones(len(numbers))),))
    return [one.data for one in (y, first, second, along)]


@pytest.mark.parametrize("spelling", [plainly, safely])
@pytest.mark.parametrize("name", BRANCHES)
def test_a_branch_not_taken_is_silent(name: str, spelling: Any) -> None:
    """Programs of two branches give what each branch alone gives, however singular the other one is there."""
    branch, singular = BRANCHES[name]
    with np.errstate(all="ignore" if spelling is plainly else "raise", under="ignore"):
        both = orders(spelling(branch, np.array([True, False])), [ACTIVE, singular])
        first, second = orders(branch, [ACTIVE]), orders(ops.sin, [singular])
    for found, one, other in zip(both, first, second, strict=True):
        np.testing.assert_allclose(found, np.concatenate([one, other]), rtol=1e-13)


@pytest.mark.parametrize("name", HIDDEN)
def test_safe_where_holds_behind_plain_products(name: str) -> None:
    """Where a product of infinite factors hides the zero, safe_where does what the plain spelling cannot."""
    branch, singular = HIDDEN[name]
    condition = np.array([True, False])
    with np.errstate(all="raise", under="ignore"):
        both = orders(safely(branch, condition), [ACTIVE, singular])
        first, second = orders(branch, [ACTIVE]), orders(ops.sin, [singular])
    for found, one, other in zip(both, first, second, strict=True):
        np.testing.assert_allclose(found, np.concatenate([one, other]), rtol=1e-13)
    with np.errstate(all="ignore"):
        assert np.isnan(orders(plainly(branch, condition), [ACTIVE, singular])[1][1]), "no longer a limitation: say so"


def test_safe_where_with_one_branch_only() -> None:
    """A branch that no element is meant for is not called, and conditions broadcast."""

    def never(x: Any) -> Any:
        raise AssertionError("called")

    x = Tensor(np.array([[1.0, 2.0], [3.0, 4.0]]), requires_grad=True)
    assert tg.safe_where(x > 0, x, ops.log, never).tolist() == ops.log(x).tolist()
    assert tg.safe_where(False, x, never, ops.sin).tolist() == ops.sin(x).tolist()
    mixed = tg.safe_where(np.array([True, False]), x, ops.log, ops.sin)
    np.testing.assert_array_equal(mixed.data[:, 0], np.log([1.0, 3.0]))
    np.testing.assert_array_equal(mixed.data[:, 1], np.sin([2.0, 4.0]))
    assert tg.safe_where(Tensor(np.zeros(0)) > 0, Tensor(np.zeros(0)), ops.log, ops.sin).shape == (0,)
    with pytest.raises(ShapeError, match=r"\(3,\)"):
        tg.safe_where(np.ones(3, bool), x, ops.log, ops.sin)
