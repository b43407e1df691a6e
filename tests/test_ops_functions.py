"""The friendly functions over the ops: every spelling of axes, indices, products, losses; kinks and saturation."""

from __future__ import annotations

import itertools
import math
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinygrad_mlp import Tensor, autograd, ops
from tinygrad_mlp.errors import ArgumentError, DTypeError, ShapeError
from tinygrad_mlp.ops.arithmetic import ties
from tinygrad_mlp.testing import gradcheck
from tinygrad_mlp.testing.strategies import indices

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 3, 4))


def float64(data: Any) -> Tensor:
    return Tensor(data, requires_grad=True, dtype=np.float64)


def slope(fn: Any, at: Any) -> Any:
    """The gradient of ``fn(x).sum()`` at a number or array."""
    x = float64(at)
    y = fn(x)
    (found,) = autograd.grad(y, x, [Tensor(np.ones(y.shape))])
    return found.data


# --- reductions -----------------------------------------------------------------------------------

AXES = [None, 0, 1, 2, -1, (0, 2), (1, -1), (0, 1, 2), [0, 1]]

REDUCTIONS: dict[str, Any] = {
    "sum": np.sum,
    "mean": np.mean,
    "var": lambda x, axis, keepdims: np.var(x, axis=axis, keepdims=keepdims, ddof=1),
    "std": lambda x, axis, keepdims: np.std(x, axis=axis, keepdims=keepdims, ddof=1),
    "amax": np.max,
    "amin": np.min,
    "prod": np.prod,
    "logsumexp": lambda x, axis, keepdims: np.log(np.sum(np.exp(x), axis=axis, keepdims=keepdims)),
}


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("keepdims", [False, True])
def test_reductions_take_every_axis(name: str, axis: Any, keepdims: bool) -> None:
    """Value and both derivatives of each reduction, over one, several and all axes, under either name of the axis."""
    plain = tuple(axis) if isinstance(axis, list) else axis
    expected = REDUCTIONS[name](X, axis=plain, keepdims=keepdims)
    made = getattr(Tensor(X), name)(axis, keepdims=keepdims)
    also = getattr(Tensor(X), name)(dim=axis, keepdim=keepdims)
    assert made.shape == also.shape == np.shape(expected)
    np.testing.assert_allclose(made.data, expected, rtol=1e-13)
    np.testing.assert_array_equal(made.data, also.data)
    gradcheck(lambda x: getattr(ops, name)(x, axis, keepdims=keepdims), X, order=2).raise_if_wrong()


@pytest.mark.parametrize("name", REDUCTIONS)
def test_reductions_refuse_axes_that_are_not_there(name: str) -> None:
    """An axis outside the shape, or one named twice, is an error that NumPy's users know."""
    for axis in (3, -4, (0, 3), (1, 1)):
        with pytest.raises(ValueError, match="axis"):
            getattr(ops, name)(Tensor(X), axis)


@pytest.mark.parametrize("correction", [0, 1, 2])
def test_variance_takes_a_correction(correction: int) -> None:
    """correction= is NumPy's ddof."""
    np.testing.assert_allclose(ops.var(Tensor(X), 1, correction=correction).data, X.var(1, ddof=correction), rtol=1e-13)
    np.testing.assert_allclose(ops.std(Tensor(X), 1, correction=correction).data, X.std(1, ddof=correction), rtol=1e-13)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("axis", [0, 1, 2, -1, -3])
def test_softmax_takes_every_axis(name: str, axis: int) -> None:
    """Probabilities along any axis add up to 1, their logarithms match, and both derivatives are right."""
    p = np.exp(X) / np.exp(X).sum(axis, keepdims=True)
    made = getattr(Tensor(X), name)(dim=axis)
    np.testing.assert_allclose(made.data, p if name == "softmax" else np.log(p), rtol=1e-13)
    gradcheck(lambda x: getattr(ops, name)(x, axis), X, order=2).raise_if_wrong()


@pytest.mark.parametrize("zeros", [(), (0,), (0, 2), (0, 1, 2, 3, 4)])
def test_product_with_zeros(zeros: tuple[int, ...]) -> None:
    """The gradient of a product is the product of the others, also where factors are 0: exact on integers."""
    x = np.array([2.0, 3.0, -1.0, 4.0, 5.0])
    x[list(zeros)] = 0.0
    expected = [math.prod(np.delete(x, i)) for i in range(5)]
    np.testing.assert_array_equal(slope(ops.prod, x), expected)
    gradcheck(ops.prod, x, order=2).raise_if_wrong()


def test_reductions_of_nothing() -> None:
    """F10: sums of no elements are 0 and products 1, with empty gradients; maxima of nothing are errors, means NaN."""
    x = float64(np.zeros((0, 3)))
    assert ops.sum(x).item() == 0.0
    assert ops.sum(x, 0).tolist() == [0.0, 0.0, 0.0]
    assert ops.prod(x, 0).tolist() == [1.0, 1.0, 1.0]
    for y in (ops.sum(x), ops.prod(x), ops.sum(x * 2.0)):
        (found,) = autograd.grad(y, x)
        assert found.shape == (0, 3)
    with pytest.raises(ValueError, match="zero-size"):
        ops.amax(x)
    with np.errstate(invalid="ignore"):
        assert np.isnan(ops.mean(x).data)


# --- indexing -------------------------------------------------------------------------------------


@given(data=st.data(), shape=hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
def test_indexing_agrees_with_a_loop(data: st.DataObject, shape: tuple[int, ...]) -> None:
    """F14: value and gradient of any index, repeats included, bit for bit against a loop over single elements."""
    where = data.draw(indices(shape))
    places = np.arange(math.prod(shape)).reshape(shape)[where]
    x = float64(np.arange(1.0, 1.0 + math.prod(shape)).reshape(shape))
    y = x[where]
    assert type(y.data) is np.ndarray
    assert y.shape == np.shape(places)
    incoming = np.arange(1.0, 1.0 + y.size).reshape(y.shape)
    (found,) = autograd.grad(y, x, [Tensor(incoming)])
    expected = np.zeros(math.prod(shape))
    for place in np.ndindex(y.shape):
        assert y.data[place] == 1.0 + np.asarray(places)[place]
        expected[np.asarray(places)[place]] += incoming[place]
    np.testing.assert_array_equal(found.data, expected.reshape(shape))


@pytest.mark.parametrize(
    "where",
    [[0, 1, 1], Tensor(np.array([0, 1, 1])), (Tensor(np.array(1)), slice(None)), [True, False], [], np.int64(1), True],
)
def test_indices_may_be_lists_and_tensors(where: Any) -> None:
    """Lists, integer tensors and NumPy integers index as the arrays they stand for."""
    x = np.arange(6.0).reshape(2, 3)
    plain = tuple(one.data if isinstance(one, Tensor) else one for one in where) if isinstance(where, tuple) else where
    plain = plain.data if isinstance(plain, Tensor) else plain
    plain = np.array(plain, dtype=int) if isinstance(plain, list) and not plain else plain
    np.testing.assert_array_equal(Tensor(x)[where].data, x[plain])


def test_indices_that_are_no_integers_are_refused() -> None:
    """A float index is a TypeError that says how to convert; an index out of range is NumPy's IndexError."""
    x = float64([1.0, 2.0])
    with pytest.raises(DTypeError, match="astype"):
        x[Tensor([0.0, 1.0])]
    with pytest.raises(IndexError):
        x[5]


# --- shapes ---------------------------------------------------------------------------------------

ARRANGEMENTS: dict[str, tuple[Any, Any]] = {
    "reshape": (lambda x: ops.reshape(x, 4, 6), lambda x: x.reshape(4, 6)),
    "reshape -1": (lambda x: ops.reshape(x, (3, -1)), lambda x: x.reshape(3, -1)),
    "view": (lambda x: x.view(24), lambda x: x.reshape(24)),
    "flatten": (lambda x: x.flatten(), lambda x: x.reshape(24)),
    "flatten from 1": (lambda x: x.flatten(1), lambda x: x.reshape(2, 12)),
    "flatten to -2": (lambda x: x.flatten(0, -2), lambda x: x.reshape(6, 4)),
    "transpose": (lambda x: x.transpose(), lambda x: x.transpose()),
    "transpose 0 -1": (lambda x: x.transpose(0, -1), lambda x: np.swapaxes(x, 0, -1)),
    "T": (lambda x: x.T, lambda x: x.T),
    "mT": (lambda x: x.mT, lambda x: np.swapaxes(x, -1, -2)),
    "permute": (lambda x: x.permute(2, 0, 1), lambda x: x.transpose(2, 0, 1)),
    "permute tuple": (lambda x: x.permute((-1, 0, 1)), lambda x: x.transpose(2, 0, 1)),
    "unsqueeze": (lambda x: x.unsqueeze(1), lambda x: x[:, None]),
    "unsqueeze -1": (lambda x: x.unsqueeze(dim=-1), lambda x: x[..., None]),
    "squeeze": (lambda x: x.unsqueeze(0).unsqueeze(2).squeeze(), lambda x: x),
    "squeeze one": (lambda x: x.unsqueeze(0).unsqueeze(2).squeeze(2), lambda x: x[None]),
    "squeeze no": (lambda x: x.squeeze(0), lambda x: x),
    "expand": (lambda x: x[:, :1].expand(5, 2, -1, 4), lambda x: np.broadcast_to(x[:, :1], (5, 2, 1, 4))),
    "cat": (lambda x: ops.cat([x, x * 2.0], 1), lambda x: np.concatenate([x, x * 2], 1)),
    "cat -1": (lambda x: ops.cat([x, x[..., :1]], -1), lambda x: np.concatenate([x, x[..., :1]], -1)),
    "cat of one": (lambda x: ops.cat([x]), lambda x: x),
    "stack": (lambda x: ops.stack([x, x * 2.0]), lambda x: np.stack([x, x * 2])),
    "stack -1": (lambda x: ops.stack([x, x * 2.0], -1), lambda x: np.stack([x, x * 2], -1)),
    "stack with constant": (
        lambda x: ops.stack([x, np.ones((2, 3, 4))], 1),
        lambda x: np.stack([x, np.ones((2, 3, 4))], 1),
    ),
}


@pytest.mark.parametrize("name", ARRANGEMENTS)
def test_arrangements(name: str) -> None:
    """Each way to rearrange or join gives NumPy's values, and gradients that are right in both orders."""
    ours, numpys = ARRANGEMENTS[name]
    np.testing.assert_array_equal(ours(Tensor(X)).data, numpys(X))
    gradcheck(lambda x: ours(x) * ours(x), X, order=2).raise_if_wrong()


WRONG: dict[str, Any] = {
    "reshape": lambda x: x.reshape(5, 5),
    "permute": lambda x: x.permute(0, 0, 1),
    "permute few": lambda x: x.permute(0, 1),
    "expand": lambda x: x.expand(2, 3, 5),
    "expand fewer axes": lambda x: x.expand(3, 4),
    "flatten": lambda x: x.flatten(2, 0),
    "cat nothing": lambda x: ops.cat([]),
    "cat shapes": lambda x: ops.cat([x, x.T]),
    "cat numbers": lambda x: ops.cat([x.sum(), x.sum()]),
    "stack shapes": lambda x: ops.stack([x, x.T]),
    "stack nothing": lambda x: ops.stack([]),
    "broadcast": lambda x: x + np.ones(5),
    "broadcast where": lambda x: ops.where(np.ones(5, bool), x, 0.0),
    "matmul": lambda x: x @ np.ones((3, 2)),
    "matmul vector": lambda x: x @ np.ones(3),
    "matmul number": lambda x: x @ Tensor(2.0),
    "outer": lambda x: ops.outer(x, x),
    "linear": lambda x: ops.linear(x, Tensor(np.ones((2, 3)))),
    "linear bias": lambda x: ops.linear(x, Tensor(np.ones((2, 4))), Tensor(np.ones(3))),
    "einsum letters": lambda x: ops.einsum("ij->i", x),
    "einsum operands": lambda x: ops.einsum("ijk,kl->il", x),
    "einsum lengths": lambda x: ops.einsum("ijk,jk->i", x, np.ones((4, 3))),
    "einsum result": lambda x: ops.einsum("ijk->iz", x),
    "einsum dots": lambda x: ops.einsum("...k->...", x),
    "mse": lambda x: ops.mse_loss(x, np.ones((2, 3))),
    "bce": lambda x: ops.binary_cross_entropy_with_logits(x, np.ones((2, 3))),
}


@pytest.mark.parametrize("name", WRONG)
def test_shapes_that_do_not_fit_are_shape_errors(name: str) -> None:
    """What does not fit is a ShapeError that names the shapes, and still a ValueError."""
    with pytest.raises(ShapeError, match=r"\(|einsum|tensor"):
        WRONG[name](Tensor(X))


# --- products -------------------------------------------------------------------------------------

PAIRS = [
    ((3,), (3,)),
    ((3,), (3, 2)),
    ((2, 3), (3,)),
    ((2, 3), (3, 4)),
    ((5, 2, 3), (3, 4)),
    ((2, 3), (5, 3, 4)),
    ((5, 1, 2, 3), (4, 3, 2)),
    ((3,), (5, 3, 4)),
    ((5, 2, 3), (3,)),
    ((0, 3), (3, 2)),
    ((2, 0), (0, 3)),
]


@pytest.mark.parametrize("shapes", PAIRS)
def test_matmul(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    """Vectors, matrices and stacks of them: NumPy's values and shapes, right in both orders."""
    a, b = (RNG.normal(size=shape) for shape in shapes)
    made = Tensor(a) @ Tensor(b)
    assert made.shape == np.shape(a @ b)
    np.testing.assert_allclose(made.data, a @ b, rtol=1e-13)
    np.testing.assert_allclose((Tensor(a) @ b).data, a @ b, rtol=1e-13)
    np.testing.assert_allclose((a @ Tensor(b)).data, a @ b, rtol=1e-13)
    gradcheck(ops.matmul, [a, b], order=2).raise_if_wrong()


@pytest.mark.parametrize("batch", [(), (5,), (2, 3), (0,), (2, 0)])
@pytest.mark.parametrize("with_bias", [True, False])
def test_linear(batch: tuple[int, ...], with_bias: bool) -> None:
    """A dense layer on any number of batch axes; its own op, with the value and derivatives of the formula."""
    x, w, b = RNG.normal(size=(*batch, 4)), RNG.normal(size=(3, 4)), RNG.normal(size=3)
    inputs = [x, w, b] if with_bias else [x, w]
    made = ops.linear(*[Tensor(one) for one in inputs])
    np.testing.assert_allclose(made.data, x @ w.T + (b if with_bias else 0.0), rtol=1e-13, atol=1e-15)
    gradcheck(ops.linear, inputs, order=2).raise_if_wrong()


def test_linear_of_integers_and_mixed_floats() -> None:
    """Integer inputs take the weight's dtype; a float64 input beside float32 weights gives float64."""
    w, b = Tensor(np.ones((3, 4), np.float32), requires_grad=True), Tensor(np.ones(3, np.float32))
    assert ops.linear(Tensor(np.ones((2, 4), np.int64)), w, b).dtype == np.float32
    y = ops.linear(Tensor(np.ones((2, 4))), w, b)
    assert y.dtype == np.float64
    y.sum().backward()
    assert w.grad.dtype == np.float32


EQUATIONS = [
    ("ij,jk->ik", [(2, 3), (3, 4)]),
    ("ij,jk", [(2, 3), (3, 4)]),
    ("ij", [(2, 3)]),
    ("ji", [(2, 3)]),
    ("ij->ji", [(2, 3)]),
    ("ij->", [(2, 3)]),
    ("ii->i", [(3, 3)]),
    ("ii", [(3, 3)]),
    ("iji->j", [(3, 2, 3)]),
    ("iii->i", [(3, 3, 3)]),
    ("i,i->", [(3,), (3,)]),
    ("i,j->ij", [(3,), (2,)]),
    ("i,j->ji", [(3,), (2,)]),
    ("ij,kl->il", [(2, 3), (4, 5)]),
    ("bij,bjk->bik", [(2, 3, 4), (2, 4, 2)]),
    ("bij,bjk->ki", [(2, 3, 4), (2, 4, 2)]),
    ("ij,jk,kl->il", [(2, 3), (3, 4), (4, 2)]),
    ("i,i,i->i", [(3,), (3,), (3,)]),
    ("ij,ik,il->jkl", [(2, 3), (2, 2), (2, 2)]),
    ("ii,ij->j", [(3, 3), (3, 2)]),
    ("ijk,jik->k", [(2, 3, 4), (3, 2, 4)]),
    (" ij , jk -> ik ", [(2, 3), (3, 4)]),
    ("a,ab,abc->abc", [(2,), (2, 3), (2, 3, 2)]),
]


@pytest.mark.parametrize(("equation", "shapes"), EQUATIONS)
def test_einsum(equation: str, shapes: list[tuple[int, ...]]) -> None:
    """Diagonals, lone letters, three operands, implicit results: np.einsum's values, right in both orders."""
    arrays = [RNG.normal(size=shape) for shape in shapes]
    made = ops.einsum(equation, *[Tensor(one) for one in arrays])
    expected = np.einsum(equation, *arrays)
    assert made.shape == np.shape(expected)
    np.testing.assert_allclose(made.data, expected, rtol=1e-12, atol=1e-14)
    gradcheck(lambda *tensors: ops.einsum(equation, *tensors), arrays, order=2).raise_if_wrong()


def test_outer() -> None:
    """The outer product of two vectors."""
    a, b = RNG.normal(size=3), RNG.normal(size=4)
    np.testing.assert_array_equal(ops.outer(Tensor(a), Tensor(b)).data, np.outer(a, b))
    gradcheck(ops.outer, [a, b], order=2).raise_if_wrong()


# --- losses ---------------------------------------------------------------------------------------


def log_p(logits: Any, axis: int) -> Any:
    return logits - np.log(np.exp(logits).sum(axis, keepdims=True))


REDUCE: dict[str, Any] = {"mean": np.mean, "sum": np.sum, "none": lambda x: x}


@pytest.mark.parametrize("reduction", REDUCE)
@pytest.mark.parametrize("shape", [(5,), (4, 5), (2, 5, 3), (2, 5, 3, 2)])
def test_cross_entropy_of_ids(shape: tuple[int, ...], reduction: str) -> None:
    """Class ids with the classes on axis 1 (0 for a single row) and any further axes."""
    logits = RNG.normal(size=shape)
    axis = 0 if len(shape) == 1 else 1
    ids = RNG.integers(0, 5, (*shape[:axis], *shape[axis + 1 :]))
    losses = np.zeros(ids.shape)
    for place in np.ndindex(ids.shape):
        losses[place] = -log_p(logits, axis)[(*place[:axis], ids[place], *place[axis:])]
    made = ops.cross_entropy(Tensor(logits), ids, reduction=reduction)
    np.testing.assert_allclose(made.data, REDUCE[reduction](losses), rtol=1e-12)
    gradcheck(lambda x: ops.cross_entropy(x, ids, reduction=reduction), logits, order=2).raise_if_wrong()


@pytest.mark.parametrize("reduction", REDUCE)
@pytest.mark.parametrize("shape", [(5,), (4, 5), (2, 5, 3), (2, 5, 3, 2)])
def test_cross_entropy_of_probabilities(shape: tuple[int, ...], reduction: str) -> None:
    """Probability targets of the logits' shape, which may want gradients too."""
    logits, targets = RNG.normal(size=shape), RNG.random(shape)
    axis = 0 if len(shape) == 1 else 1
    losses = -(targets * log_p(logits, axis)).sum(axis)
    made = ops.cross_entropy(Tensor(logits), targets, reduction=reduction)
    np.testing.assert_allclose(made.data, REDUCE[reduction](losses), rtol=1e-12)
    gradcheck(lambda x, t: ops.cross_entropy(x, t, reduction=reduction), [logits, targets], order=2).raise_if_wrong()


def test_cross_entropy_agrees_with_one_hot() -> None:
    """Class ids and their one-hot probabilities give the same loss and gradient."""
    logits, ids = RNG.normal(0, 5, (6, 4)), RNG.integers(0, 4, 6)
    first = slope(lambda x: ops.cross_entropy(x, ids), logits)
    second = slope(lambda x: ops.cross_entropy(x, np.eye(4)[ids]), logits)
    np.testing.assert_allclose(first, second, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(
    ("target", "error"),
    [
        (np.array([0, 1, 5]), ArgumentError),
        (np.array([0, 1, -1]), ArgumentError),
        (np.array([0, 1]), ShapeError),
        (np.array([[0], [1], [2]]), ShapeError),
        (np.eye(4, dtype=int)[:3], ShapeError),
        (np.array([0.0, 1.0, 2.0]), ShapeError),
        (np.array([True, False, True]), DTypeError),
    ],
)
def test_cross_entropy_refuses_targets_that_do_not_fit(target: Any, error: type[Exception]) -> None:
    """Ids out of range, of another shape or not integers are named errors."""
    with pytest.raises(error):
        ops.cross_entropy(Tensor(np.zeros((3, 4))), target)


def test_losses_refuse_unknown_reductions() -> None:
    """A misspelt reduction is an ArgumentError."""
    with pytest.raises(ArgumentError, match="mean"):
        ops.mse_loss(Tensor([1.0]), [1.0], reduction="average")
    with pytest.raises(ShapeError):
        ops.cross_entropy(Tensor(1.0), 0)


@pytest.mark.parametrize("reduction", REDUCE)
@pytest.mark.parametrize(
    "options", [{}, {"weight": 2.5}, {"pos_weight": 3.0}, {"weight": [1.0, 2.0], "pos_weight": [0.5, 4.0]}]
)
def test_binary_cross_entropy(options: dict[str, Any], reduction: str) -> None:
    """The formula with weights, from logits, right in both orders and for both operands."""
    x, t = RNG.normal(0, 3, (3, 2)), RNG.random((3, 2))
    p = 1 / (1 + np.exp(-x))
    weight, positive = (np.asarray(options.get(name, 1.0)) for name in ("weight", "pos_weight"))
    losses = -weight * (positive * t * np.log(p) + (1 - t) * np.log(1 - p))
    made = ops.binary_cross_entropy_with_logits(Tensor(x), Tensor(t), **options, reduction=reduction)
    np.testing.assert_allclose(made.data, REDUCE[reduction](losses), rtol=1e-12)

    def fn(x: Tensor, t: Tensor) -> Any:
        return ops.binary_cross_entropy_with_logits(x, t, **options, reduction=reduction)

    gradcheck(fn, [x, t], order=2).raise_if_wrong()


@pytest.mark.parametrize("reduction", REDUCE)
def test_mean_squared_error(reduction: str) -> None:
    """The squared difference."""
    x, t = RNG.normal(size=(3, 2)), RNG.normal(size=(3, 2))
    made = ops.mse_loss(Tensor(x), t, reduction=reduction)
    np.testing.assert_allclose(made.data, REDUCE[reduction]((x - t) ** 2), rtol=1e-13)
    gradcheck(lambda x, t: ops.mse_loss(x, t, reduction=reduction), [x, t], order=2).raise_if_wrong()


def test_losses_of_nothing() -> None:
    """F10: the sum over an empty batch is 0 with an empty gradient."""
    x = float64(np.zeros((0, 4)))
    for y in (
        ops.cross_entropy(x, np.zeros(0, int), reduction="sum"),
        ops.cross_entropy(x, np.zeros((0, 4)), reduction="sum"),
        ops.mse_loss(x, np.zeros((0, 4)), reduction="sum"),
        ops.binary_cross_entropy_with_logits(x, np.zeros((0, 4)), reduction="sum"),
    ):
        assert y.item() == 0.0
        assert autograd.grad(y, x)[0].shape == (0, 4)


# --- F15: kinks and ties --------------------------------------------------------------------------

KINKS: dict[str, tuple[Any, float, float]] = {
    # name: (function of x, the kink, the derivative there)
    "relu": (ops.relu, 0.0, 0.0),
    "maximum(x, 0)": (lambda x: ops.maximum(x, 0.0), 0.0, 0.0),
    "maximum(0, x)": (lambda x: ops.maximum(0.0, x), 0.0, 0.0),
    "maximum(x, tensor)": (lambda x: ops.maximum(x, Tensor(0.0)), 0.0, 0.0),
    "maximum(x, detached)": (lambda x: ops.maximum(x, x.detach()), 2.0, 0.0),
    "np.maximum": (lambda x: np.maximum(x, 0.0), 0.0, 0.0),
    "clamp min": (lambda x: ops.clamp(x, 0.0, None), 0.0, 0.0),
    "clamp max": (lambda x: ops.clamp(x, None, 0.0), 0.0, 0.0),
    "clamp lower edge": (lambda x: ops.clamp(x, 0.0, 1.0), 0.0, 0.0),
    "clamp upper edge": (lambda x: ops.clamp(x, 0.0, 1.0), 1.0, 0.0),
    "np.clip": (lambda x: np.clip(x, 0.0, 1.0), 0.0, 0.0),
    "minus minimum": (lambda x: -ops.minimum(-x, 0.0), 0.0, 0.0),
    "minimum(x, 0)": (lambda x: ops.minimum(x, 0.0), 0.0, 0.0),
    "where": (lambda x: ops.where(x > 0.0, x, 0.0), 0.0, 0.0),
    "where >=": (lambda x: ops.where(x >= 0.0, x, 0.0), 0.0, 1.0),
    "leaky slope 0": (lambda x: ops.leaky_relu(x, 0.0), 0.0, 0.0),
    "leaky .01": (lambda x: ops.leaky_relu(x, 0.01), 0.0, 0.01),
    "leaky -1": (lambda x: ops.leaky_relu(x, -1.0), 0.0, 0.0),
    "leaky 2": (lambda x: ops.leaky_relu(x, 2.0), 0.0, 1.0),
    "abs": (ops.abs, 0.0, 0.0),
    "(x + |x|) / 2": (lambda x: (x + abs(x)) / 2.0, 0.0, 0.5),
    "sign": (ops.sign, 0.0, 0.0),
    "x |x|": (lambda x: x * abs(x), 0.0, 0.0),
    "maximum(x, x)": (lambda x: ops.maximum(x, x), 2.0, 1.0),
    "amax of stacked": (lambda x: ops.amax(ops.stack([x, x * 0.0])), 0.0, 0.5),
    "std of constants": (lambda x: ops.std(ops.stack([x, x, x])), 3.0, 0.0),
    "sqrt": (ops.sqrt, 0.0, np.inf),
    "sqrt of -0": (ops.sqrt, -0.0, np.inf),
    "log": (ops.log, 0.0, np.inf),
    "log1p": (ops.log1p, -1.0, np.inf),
}


@pytest.mark.parametrize("name", KINKS)
def test_derivative_at_the_kink(name: str) -> None:
    """F15, F16: the table of kinks: the subgradient of least norm, and infinite limits where there is no other."""
    fn, kink, expected = KINKS[name]
    with np.errstate(divide="ignore"):
        assert slope(fn, kink) == expected


def test_both_tracked_operands_share_a_tie() -> None:
    """maximum and minimum of two tracked operands give half to each at a tie; the sum is the incoming gradient."""
    for fn in (ops.maximum, ops.minimum):
        a, b = float64([1.0, 2.0, 3.0]), float64([1.0, 3.0, 2.0])
        fn(a, b).backward(np.array([3.0, 5.0, 7.0]))
        np.testing.assert_array_equal(a.grad.data + b.grad.data, [3.0, 5.0, 7.0])
        assert a.grad.data[0] == b.grad.data[0] == 1.5


@pytest.mark.parametrize("equal", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("fn", [ops.amax, lambda x: -ops.amin(-x)])
def test_equal_extremes_share_the_gradient(equal: int, fn: Any) -> None:
    """k equal extremes get g / k each, also of several axes and with NaN, where all NaN share."""
    x = np.array([5.0] * equal + [1.0, -2.0])
    np.testing.assert_allclose(slope(fn, x), [1 / equal] * equal + [0, 0], rtol=1e-15)
    x[0] = np.nan
    np.testing.assert_array_equal(slope(fn, x), [1.0] + [0.0] * (len(x) - 1))


@pytest.mark.parametrize(
    "name", ["relu", "maximum", "minimum", "clamp", "abs", "amax", "amin", "leaky_relu", "sigmoid", "gelu"]
)
def test_nan_in_nan_out(name: str) -> None:
    """F21: no op hides a NaN."""
    fn: Any = {
        "maximum": lambda x: ops.maximum(x, 0.0),
        "minimum": lambda x: ops.minimum(x, 0.0),
        "clamp": lambda x: ops.clamp(x, -1.0, 1.0),
    }.get(name, getattr(ops, name, None))
    assert np.isnan(fn(Tensor([np.nan])).data).all()


# --- F17: powers ----------------------------------------------------------------------------------


def power_table(x: float, y: float) -> tuple[float, float, float]:
    """x ** y and both derivatives: limits at the singular points, a zero coefficient before an infinite factor."""
    with np.errstate(all="ignore"):
        value = float(np.power(x, y))
        vanishing = y == 0 or (x == np.inf and 0 < y < 1) or (np.isinf(y) and 0 <= x < 1)
        by_x = 0.0 if vanishing else float(y * np.power(x, y - 1))
        vanishing = (x == 0 and y >= 0) or (x == np.inf and y < 0) or (0 < x < 1 and y == np.inf) or x == 1
        by_y = 0.0 if vanishing else float(value * np.log(x))
    return value, by_x, by_y


BASES = [-2.0, -1.0, -0.0, 0.0, 1e-300, 0.5, 1.0, 2.0, np.inf, np.nan]
EXPONENTS = [-2.0, -1.0, -0.5, 0.0, 0.25, 0.5, 1.0, 2.0, 3.0, np.inf]


@pytest.mark.parametrize("x", BASES)
@pytest.mark.parametrize("y", EXPONENTS)
def test_power_table(x: float, y: float) -> None:
    """F17: value and both first derivatives on the grid of singular and ordinary points."""
    value, by_x, by_y = power_table(x, y)
    base, exponent = float64([x]), float64([y])
    with np.errstate(all="ignore"):
        made = base**exponent
        constant = base**y
        first = autograd.grad(made, [base, exponent])
        (alone,) = autograd.grad(constant, base)
    np.testing.assert_allclose(made.data, [value], rtol=1e-15)
    np.testing.assert_allclose(constant.data, [value], rtol=1e-15)
    np.testing.assert_allclose(first[0].data, [by_x], rtol=1e-14)
    np.testing.assert_allclose(alone.data, [by_x], rtol=1e-14)
    np.testing.assert_allclose(first[1].data, [by_y], rtol=1e-14)


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 5, -1, -3, 0.5, 1.5, -0.5, 0.1])
def test_constant_powers_in_both_orders(exponent: float) -> None:
    """x ** number, as operator and as function, right in both orders; integers also on negative numbers."""
    x = np.array([0.3, 1.7, 2.4]) if exponent != int(exponent) else np.array([-1.3, 0.4, 2.0])
    gradcheck(lambda x: x**exponent, x, order=2).raise_if_wrong()
    gradcheck(lambda y: np.array([0.5, 1.0, 3.0]) ** y, [[0.3, 1.1, -2.0]], order=2).raise_if_wrong()


# --- F18: the branch not taken --------------------------------------------------------------------

SINGULAR: dict[str, tuple[Any, float]] = {
    # a function whose value or derivative is not finite at the point given
    "log": (ops.log, 0.0),
    "log of negative": (ops.log, -1.0),
    "sqrt": (ops.sqrt, 0.0),
    "sqrt of negative": (ops.sqrt, -1.0),
    "1/x": (lambda x: 1.0 / x, 0.0),
    "x / |x|": (lambda x: x / abs(x), 0.0),
    "x ** -1": (lambda x: x**-1, 0.0),
    "x ** -2": (lambda x: x**-2, 0.0),
    "x ** .5": (lambda x: x**0.5, 0.0),
    "x ** .3": (lambda x: x**0.3, 0.0),
    "x ** y": (lambda x: x ** (x - 0.5), 0.0),
    "2 ** (1/x)": (lambda x: 2.0 ** (1.0 / x), 0.0),
    "log1p": (ops.log1p, -1.0),
    "sin(x)/x": (lambda x: ops.sin(x) / x, 0.0),
    "exp overflow": (ops.exp, 1000.0),
    "expm1 overflow": (ops.expm1, 1000.0),
    "norm": (lambda x: ops.sqrt(x * x), 0.0),
    "log of log": (lambda x: ops.log(ops.log(x)), 1.0),
    "sqrt of log": (lambda x: ops.sqrt(ops.log(x)), 1.0),
    "exp / exp": (lambda x: ops.exp(x) / ops.exp(x), 1000.0),
    "logistic by hand": (lambda x: 1.0 / (1.0 + ops.exp(-x)), -1000.0),
}


@pytest.mark.parametrize("name", SINGULAR)
def test_branch_not_taken_is_silent(name: str) -> None:
    """F18: where() over a singular function that is not chosen: both derivatives are those of the chosen branch.

    Plain products are outside this policy, because they are everywhere: x * log(x) at 0 still gives NaN.
    """
    singular, at = SINGULAR[name]
    x = float64([at, 2.0])
    with np.errstate(all="ignore"):
        y = ops.where(x == at, x * x * 3.0, singular(x) if name != "log of log" else singular(x + 0.0))
        (first,) = autograd.grad(y, x, [Tensor(np.array([1.0, 0.0]))], create_graph=True)
        assert first.data[0] == 6.0 * at
        (second,) = autograd.grad(first, x, [Tensor(np.array([1.0, 0.0]))])
    assert second.data[0] == 6.0
    assert np.isfinite(first.data).all()


# --- F19: saturation ------------------------------------------------------------------------------

SATURATING: dict[str, Any] = {
    "sigmoid": ops.sigmoid,
    "tanh": ops.tanh,
    "softplus": ops.softplus,
    "silu": ops.silu,
    "gelu": ops.gelu,
    "relu": ops.relu,
    "softmax": lambda x: ops.softmax(ops.stack([x, x * 0.0, -x]), 0),
    "log_softmax": lambda x: ops.log_softmax(ops.stack([x, x * 0.0, -x]), 0),
    "logsumexp": lambda x: ops.logsumexp(ops.stack([x, x * 0.0, -x]), 0),
    "cross_entropy": lambda x: ops.cross_entropy(
        ops.stack([x, x * 0.0, -x], 1), np.arange(len(x)) % 3, reduction="none"
    ),
    "soft cross_entropy": lambda x: ops.cross_entropy(
        ops.stack([x, x * 0.0, -x], 1), np.full((len(x), 3), 1 / 3), reduction="none"
    ),
    "bce 0": lambda x: ops.binary_cross_entropy_with_logits(x, np.zeros(len(x)), reduction="none"),
    "bce .3": lambda x: ops.binary_cross_entropy_with_logits(x, np.full(len(x), 0.3), reduction="none"),
    "bce 1": lambda x: ops.binary_cross_entropy_with_logits(x, np.ones(len(x)), reduction="none"),
}
LARGE = [0.0, 1e-300, 88.7, 89.0, 709.7, 710.0, 745.2, 1e4, 1e38, 1e150]


@pytest.mark.parametrize("name", SATURATING)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_saturation_is_finite_and_silent(name: str, dtype: Any) -> None:
    """F19: huge finite inputs give finite values and gradients, without a floating-point warning anywhere."""
    points = np.array([sign * one for one in LARGE for sign in (1, -1) if one < float(np.finfo(dtype).max) / 3], dtype)
    x = Tensor(points, requires_grad=True)
    with np.errstate(all="raise", under="ignore"):
        y = SATURATING[name](x)
        (first,) = autograd.grad(y, x, [Tensor(np.ones(y.shape, dtype))])
    assert np.isfinite(y.data).all()
    assert np.isfinite(first.data).all()


def test_rows_of_infinities() -> None:
    """F19: logsumexp of all -inf is -inf with gradient 0; one -inf among numbers has weight 0."""
    rows = np.array([[-np.inf, -np.inf], [-np.inf, 1.0]])
    x = float64(rows)
    with np.errstate(invalid="ignore"):
        y = ops.logsumexp(x, 1)
        assert y.tolist() == [-np.inf, 1.0]
        (first,) = autograd.grad(y, x, [Tensor(np.ones(2))])
    np.testing.assert_array_equal(first.data, [[0.0, 0.0], [0.0, 1.0]])


# --- spellings ------------------------------------------------------------------------------------


def test_activations_have_options() -> None:
    """softplus takes beta, gelu the tanh formula; both are right in both orders."""
    x = np.linspace(-3, 3, 7)
    np.testing.assert_allclose(ops.softplus(Tensor(x), beta=2.0).data, np.log1p(np.exp(2 * x)) / 2, rtol=1e-14)
    gradcheck(lambda x: ops.softplus(x, beta=2.0), x, order=2).raise_if_wrong()
    approximate = 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    np.testing.assert_allclose(ops.gelu(Tensor(x), approximate="tanh").data, approximate, rtol=1e-13, atol=1e-16)
    gradcheck(lambda x: ops.gelu(x, approximate="tanh"), x, order=2).raise_if_wrong()
    with pytest.raises(ArgumentError):
        ops.gelu(Tensor(x), approximate="erf")


@pytest.mark.parametrize(
    "name",
    [
        "exp",
        "expm1",
        "log1p",
        "sin",
        "cos",
        "tan",
        "tanh",
        "sigmoid",
        "relu",
        "neg",
        "square",
        "abs",
        "sign",
        "sqrt",
        "log",
    ],
)
def test_methods_are_spellings_of_ops(name: str) -> None:
    """Tensor.exp() is ops.exp, and so on: the same bits, the same recorded op."""
    x = float64([0.5, 1.25])
    method, function = getattr(x, name)(), getattr(ops, name)(x)
    np.testing.assert_array_equal(method.data, function.data)
    assert method.node.plan is function.node.plan


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div", "pow", "maximum", "minimum"])
def test_binary_methods_are_spellings_of_ops(name: str) -> None:
    """Tensor.add(y) is ops.add, and so on."""
    x, y = float64([0.5, 1.25]), float64([2.0, 3.0])
    method, function = getattr(x, name)(y), getattr(ops, name)(x, y)
    np.testing.assert_array_equal(method.data, function.data)
    assert method.node.plan is function.node.plan


def test_clamp_takes_tensors_and_either_bound() -> None:
    """Bounds are numbers, tensors or None; tracked bounds get the gradient of what they cut off."""
    x, low = float64([-2.0, 0.5, 2.0]), float64([-1.0, -1.0, -1.0])
    y = x.clamp(low, 1.0)
    assert y.tolist() == [-1.0, 0.5, 1.0]
    y.sum().backward()
    assert x.grad.tolist() == [0.0, 1.0, 0.0]
    assert low.grad.tolist() == [1.0, 0.0, 0.0]
    assert x.clip(max=0.0).tolist() == [-2.0, 0.0, 0.0]


def test_where_takes_boolean_tensors_and_numbers() -> None:
    """The condition carries no gradient; either branch may be a number; shapes broadcast."""
    x = float64([[1.0], [2.0]])
    y = ops.where(Tensor(np.array([True, False])), x, 0.0)
    assert y.tolist() == [[1.0, 0.0], [2.0, 0.0]]
    y.sum().backward()
    assert x.grad.tolist() == [[1.0], [1.0]]
    assert x.where(x > 1.0, -1.0).tolist() == [[-1.0], [2.0]]


def test_summation_is_accurate() -> None:
    """Class D: sums over any axis have an error of at most (log2 n + 2) eps times the sum of magnitudes."""
    n = 20_000
    x = np.random.default_rng(3).normal(size=(n, 3)) * np.logspace(-3, 3, n)[:, None]
    for array, axis in itertools.product([x, np.ascontiguousarray(x.T).T, x[::-1]], [0, None]):
        for fn, count in ((ops.sum, 1), (ops.mean, n if axis == 0 else 3 * n)):
            got = np.atleast_1d(fn(Tensor(array), axis).data)
            columns = [array[:, i] for i in range(3)] if axis == 0 else [array.ravel()]
            for value, column in zip(got, columns, strict=True):
                bound = (math.log2(column.size) + 2) * np.finfo(float).eps * math.fsum(np.abs(column)) / count
                assert abs(float(value) - math.fsum(column) / count) <= bound


def test_float32_sums_are_accurate() -> None:
    """Class D in float32: a million equal numbers along a slow axis do not lose digits."""
    x = np.full((1_000_000, 2), np.float32(0.1))
    got = ops.sum(Tensor(x), 0).data
    exact = float(mpmath.mpf(float(np.float32(0.1))) * 1_000_000)
    assert np.abs(got - exact).max() <= 22 * np.finfo(np.float32).eps * exact


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("size", [3, 200])
def test_choosing_a_value_or_zero_is_numpys_where_to_the_bit(dtype: type, size: int) -> None:
    """Infinities, NaN and -0 too, and whatever the strides; large masks take another way than small ones."""
    rng = np.random.default_rng(size)
    x = rng.normal(size=(size, 2 * size)).astype(dtype)
    x.flat[::5], x.flat[::7], x.flat[::9] = -np.inf, np.nan, -0.0
    mask = rng.random((3, size, 2 * size)) < 0.5
    for condition, value in ((mask, x), (mask[0].T, x.T), (mask[:, ::-1, ::2], x[:, 1::2]), (mask[:1], x[None])):
        expected = np.where(condition, value, 0.0)
        got = ops.where(Tensor(condition), Tensor(value), 0.0).data
        assert got.dtype == expected.dtype == dtype
        assert got.shape == expected.shape
        signed = ops.where(Tensor(condition), Tensor(value), -0.0).data
        # Not in the assertion: pytest would work for minutes on the difference of two long byte strings.
        same = got.tobytes() == expected.tobytes()
        same_signed = signed.tobytes() == np.where(condition, value, -0.0).tobytes()
        assert same
        assert same_signed


@pytest.mark.parametrize("swapped", [False, True])
def test_nan_ties_with_nan(swapped: bool) -> None:
    """On whichever side the smaller operand stands, and where only one has NaN."""
    a, b = np.array([[1.0, np.nan, 2.0], [np.nan, 1.0, np.nan]]), np.array([1.0, np.nan, 3.0])
    expected = [[True, True, False], [False, False, False]]
    assert (ties(b, a) if swapped else ties(a, b)).tolist() == expected
    assert not (ties(1.0, a) if swapped else ties(a, 1.0))[0, 1]
    assert ties(np.nan, a).tolist() == ties(a, np.nan).tolist() == np.isnan(a).tolist()
