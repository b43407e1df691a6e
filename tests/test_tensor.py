"""The class people hold: what it accepts, what it shares, how it looks, and NumPy on either side of it."""

from __future__ import annotations

import asyncio
import copy
import datetime as dt
import pickle
import threading
from typing import Any

import numpy as np
import pytest

import tinygrad_mlp as tg
from tinygrad_mlp import Tensor, einsum, from_numpy, no_grad, ops, tensor
from tinygrad_mlp.autograd import grad
from tinygrad_mlp.errors import ArgumentError, DTypeError, GradientError, ShapeError
from tinygrad_mlp.tape import OPS


def float64(data: Any) -> Tensor:
    return Tensor(data, requires_grad=True, dtype=np.float64)


# --- F11, F12, F13: what the constructor takes ----------------------------------------------------

F4 = np.arange(6, dtype=np.float32).reshape(2, 3)

TAKEN: dict[str, tuple[Any, Any, Any]] = {
    # name: (input, dtype of Tensor(input), dtype of tensor(input))
    "float": (1.5, np.float32, np.float32),
    "int": (3, np.float32, np.int64),
    "bool": (True, np.float32, np.bool_),
    "list of floats": ([1.5, 2.0], np.float32, np.float32),
    "list of ints": ([[1, 2], [3, 4]], np.float32, np.int64),
    "list of bools": ([True, False], np.float32, np.bool_),
    "empty list": ([], np.float32, np.float32),
    "tuple": ((1.0, 2.0), np.float32, np.float32),
    "float16": (np.ones(3, np.float16), np.float16, np.float16),
    "float32": (F4, np.float32, np.float32),
    "float64": (np.ones(3), np.float64, np.float64),
    "longdouble": (np.ones(3, np.longdouble), np.longdouble, np.longdouble),
    "int8": (np.ones(3, np.int8), np.int8, np.int8),
    "uint8": (np.ones(3, np.uint8), np.uint8, np.uint8),
    "int64": (np.ones(3, np.int64), np.int64, np.int64),
    "bool array": (np.ones(3, bool), np.bool_, np.bool_),
    "NumPy scalar": (np.float64(2.0), np.float64, np.float64),
    "0-d array": (np.array(2.0), np.float64, np.float64),
    "empty array": (np.zeros((0, 3)), np.float64, np.float64),
    "sliced": (np.arange(10.0)[::3], np.float64, np.float64),
    "negative stride": (np.arange(10.0)[::-1], np.float64, np.float64),
    "stride 0, read-only": (np.broadcast_to(np.arange(3.0), (2, 3)), np.float64, np.float64),
    "Fortran order": (np.asfortranarray(F4), np.float32, np.float32),
    "big-endian": (np.arange(3.0).astype(">f8"), np.float64, np.float64),
    "little-endian": (np.arange(3).astype("<i4"), np.int32, np.int32),
    "np.matrix": (np.asarray([[1.0, 2.0]]).view(np.matrix), np.float64, np.float64),
    "tensor": (Tensor(F4), np.float32, np.float32),
}

REFUSED: dict[str, Any] = {
    "complex": np.ones(3, complex),
    "Python complex": 1j,
    "object": np.array([1.0, None], object),
    "masked": np.ma.masked_array([1.0, 2.0], [True, False]),
    "str": "1.5",
    "list of str": ["1.5", "2"],
    "bytes": b"1",
    "datetime64": np.array(["2020-01-01"], "datetime64[D]"),
    "datetime": dt.date(2020, 1, 1),
    "structured": np.zeros(2, [("a", float)]),
    "None": None,
    "dict": {"a": 1},
    "list of tensors": [Tensor([1.0]), Tensor([2.0])],
}


@pytest.mark.parametrize("name", TAKEN)
def test_constructor_takes(name: str) -> None:
    """F13: every legal kind of input is copied value for value; Python's numbers get the default dtype."""
    given, strict, inferred = TAKEN[name]
    plain = np.asarray(given.data if isinstance(given, Tensor) else given)
    for make, dtype in ((Tensor, strict), (tg.tensor, inferred)):
        made = make(given)
        assert made.dtype == dtype
        assert made.dtype.isnative
        assert type(made.data) is np.ndarray
        assert made.data.flags.writeable
        assert made.shape == plain.shape
        np.testing.assert_array_equal(made.data, plain)
        assert not np.shares_memory(made.data, plain)


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("make", [Tensor, tg.tensor, from_numpy])
def test_constructor_refuses(name: str, make: Any) -> None:
    """F13: what would be lost or misread in silence (masks, imaginary parts, strings, dates) is a TypeError."""
    with pytest.raises(TypeError):
        make(REFUSED[name])


@pytest.mark.parametrize(
    ("name", "operation"),
    [
        (name, operation)
        for name in REFUSED
        for operation in (lambda x, other: x + other, lambda x, other: other * x)
        if name != "list of tensors" and not (name == "masked" and operation(2, 3) == 6)
    ],
)
def test_operators_refuse(name: str, operation: Any) -> None:
    """F13: the same kinds beside a tensor, on either side of an operator."""
    with pytest.raises(TypeError):
        operation(Tensor([1.0]), REFUSED[name])


@pytest.mark.parametrize("dtype", [complex, "U1", object, "datetime64[s]"])
def test_dtype_that_is_no_number_is_refused(dtype: Any) -> None:
    """A dtype the engine cannot differentiate is refused at the door."""
    with pytest.raises(TypeError):
        Tensor([1.0], dtype=dtype)


@pytest.mark.parametrize("dtype", [np.bool_, np.int8, np.int64, np.uint8])
def test_integers_have_no_gradients(dtype: Any) -> None:
    """F12: asking for the gradient of integers is an immediate TypeError, however it is asked."""
    with pytest.raises(TypeError, match="astype"):
        Tensor(np.ones(2, dtype), requires_grad=True)
    with pytest.raises(DTypeError):
        Tensor(np.ones(2, dtype)).requires_grad_()


def test_constructor_copies_and_from_numpy_shares() -> None:
    """F08: Tensor(a) is a copy whatever the dtype of a; from_numpy(a) is the same memory."""
    for dtype in (np.float32, np.float64, np.int64):
        a = np.arange(6).astype(dtype).reshape(2, 3)
        copied, shared = Tensor(a), from_numpy(a)
        also = Tensor(a, dtype=dtype)
        assert not np.shares_memory(copied.data, a)
        assert not np.shares_memory(also.data, a)
        assert not np.shares_memory(Tensor(copied).data, copied.data)
        assert np.shares_memory(shared.data, a)
        a[0, 0] = 100
        assert copied[0, 0].item() == also[0, 0].item() == 0
        assert shared[0, 0].item() == 100
        shared[1, 1] = 50
        assert a[1, 1] == 50


def test_from_numpy_keeps_layout_and_views() -> None:
    """F08: slices, transposes and reversed arrays are shared as they are."""
    a = np.arange(12.0).reshape(3, 4)
    for view in (a[::2], a.T, a[::-1, ::-1], a[1]):
        shared = from_numpy(view)
        assert np.shares_memory(shared.data, a)
        np.testing.assert_array_equal(shared.data, view)


@pytest.mark.parametrize("given", [np.arange(3.0).astype(">f8"), [1.0], 1.0, np.float64(1.0)])
def test_from_numpy_refuses_what_it_cannot_share(given: Any) -> None:
    """F08: swapped bytes and Python lists cannot be shared, and from_numpy never copies in silence."""
    with pytest.raises(DTypeError):
        from_numpy(given)


def test_sharing_of_the_ways_out() -> None:
    """F08: detach() and numpy() share; clone(), astype() and copies do not."""
    x = Tensor([1.0, 2.0])
    assert np.shares_memory(x.detach().data, x.data)
    assert np.shares_memory(x.numpy(), x.data)
    assert np.shares_memory(np.asarray(x), x.data)
    assert not np.shares_memory(np.array(x), x.data)
    assert not np.shares_memory(x.clone().data, x.data)
    assert not np.shares_memory(x.astype(np.float32).data, x.data)
    assert not np.shares_memory(copy.deepcopy(x).data, x.data)


# --- F11: dtypes never drift ----------------------------------------------------------------------

SCALARS: dict[str, Any] = {
    "int": 2,
    "float": 2.5,
    "bool": True,
    "np.float32": np.float32(2.5),
    "np.float64": np.float64(2.5),
    "np.int64": np.int64(2),
    "0-d float64": np.array(2.5),
    "0-d int64": np.array(2),
    "np.pi": np.pi,
    "0-d float64 tensor": Tensor(np.array(2.5)),
    "int64 array": np.array([1, 2, 3]),
    "int64 tensor": Tensor(np.array([1, 2, 3])),
    "bool array": np.array([True, False, True]),
}

OPERATIONS: dict[str, Any] = {
    "x + s": lambda x, s: x + s,
    "s + x": lambda x, s: s + x,
    "x - s": lambda x, s: x - s,
    "s - x": lambda x, s: s - x,
    "x * s": lambda x, s: x * s,
    "s * x": lambda x, s: s * x,
    "x / s": lambda x, s: x / (s + 1),
    "s / x": lambda x, s: s / x,
    "x ** s": lambda x, s: x**s,
    "maximum": lambda x, s: ops.maximum(x, s),
    "minimum": lambda x, s: ops.minimum(s, x),
    "where": lambda x, s: ops.where(x > 1.5, x, s),
    "clamp": lambda x, s: ops.clamp(x, s, None),
    "np.multiply": lambda x, s: np.multiply(s, x),
}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("scalar", SCALARS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_operand_kinds_do_not_change_the_dtype(operation: str, scalar: str, dtype: Any) -> None:
    """F11: numbers, NumPy scalars, 0-d and integer arrays beside a tensor: value and gradients keep its dtype."""
    x = Tensor(np.array([1.0, 2.0, 3.0], dtype), requires_grad=True)
    y = OPERATIONS[operation](x, SCALARS[scalar])
    assert type(y) is Tensor
    assert y.dtype == dtype
    (first,) = tg.autograd.grad(y.sum(), x, create_graph=True)
    assert first.dtype == dtype
    if first.requires_grad:
        (second,) = tg.autograd.grad(first.sum(), x, allow_unused=True)
        assert second is None or second.dtype == dtype


def test_wider_arrays_do_promote() -> None:
    """A float64 array with axes beside a float32 tensor gives float64, and each gradient its own dtype."""
    x = Tensor(np.ones(3, np.float32), requires_grad=True)
    y = float64(np.ones(3))
    z = x * y
    assert z.dtype == np.float64
    z.sum().backward()
    assert x.grad.dtype == np.float32
    assert y.grad.dtype == np.float64


@pytest.mark.parametrize("dtype", [np.bool_, np.int8, np.uint8, np.int64])
def test_float_functions_of_integers_give_the_default_dtype(dtype: Any) -> None:
    """F12: exp of int8 is float32, not NumPy's float16; means of integers are not truncated."""
    x = Tensor(np.array([0, 1, 1], dtype))
    for made in (x.exp(), x.mean(), x / 2, x.softmax(), ops.sigmoid(x), x * 0.5):
        assert made.dtype == np.float32
    assert x.mean().item() == pytest.approx(2 / 3)


def test_default_dtype_can_be_changed() -> None:
    """set_default_dtype decides what Python's floats become, and refuses integers."""
    try:
        tg.set_default_dtype(np.float64)
        assert Tensor([1.0]).dtype == tg.zeros(2).dtype == tg.randn(2, seed=0).dtype == np.float64
        with pytest.raises(DTypeError):
            tg.set_default_dtype(np.int64)
    finally:
        tg.set_default_dtype(np.float32)
    assert Tensor([1.0]).dtype == np.float32


def test_integers_in_place_do_not_truncate_in_silence() -> None:
    """F12: `x_int -= 0.5` raises instead of storing rounded values."""
    x = Tensor(np.array([1, 2]))
    with pytest.raises(TypeError):
        x -= 0.5


# --- F27: copies ----------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("how", ["leaf", "leaf with gradient", "result", "0-d", "view", "integers"])
def test_pickle_keeps_values_and_leaves_the_graph(protocol: int, how: str) -> None:
    """F27: a copy has the values, requires_grad of leaves and `.grad`, and no graph."""
    x = float64([[1.0, 2.0], [3.0, 4.0]])
    if how == "leaf with gradient":
        (x * x).sum().backward()
    made = {"result": x * x, "0-d": float64(1.0), "view": x.T, "integers": Tensor(np.arange(3))}.get(how, x)
    unpickled = pickle.loads(pickle.dumps(made, protocol))  # noqa: S301 -- our own bytes
    for twin in (unpickled, copy.deepcopy(made)):
        np.testing.assert_array_equal(twin.data, made.data)
        assert twin.dtype == made.dtype
        assert twin.requires_grad == (made.requires_grad and made.is_leaf)
        assert twin.is_leaf
        assert not np.shares_memory(twin.data, made.data)
        if how == "leaf with gradient":
            np.testing.assert_array_equal(twin.grad.data, made.grad.data)
            assert not np.shares_memory(twin.grad.data, made.grad.data)
        else:
            assert not twin.requires_grad or twin.grad is None


def test_pickle_of_a_result_is_small() -> None:
    """F27: a pickled result is its array and at most 2 KiB."""
    x = float64(np.zeros(1000))
    y = x
    for _ in range(1000):
        y = y + 1.0
    assert len(pickle.dumps(y)) <= 8000 + 2048


def test_deepcopy_keeps_ties() -> None:
    """F27: the same tensor twice in a structure is the same tensor twice in its copy."""
    x = float64([1.0])
    first, second = copy.deepcopy([x, x])
    assert first is second
    assert first is not x


# --- requires_grad --------------------------------------------------------------------------------


def test_frozen_leaf_keeps_its_gradient() -> None:
    """A parameter frozen and thawed keeps `.grad`; while frozen nothing is recorded."""
    x = float64([1.0, 2.0])
    (x * x).sum().backward()
    before = x.grad
    x.requires_grad = False
    assert (x * 2.0).node is None
    assert x.grad is before
    x.requires_grad_(True)
    (x * x).sum().backward()
    np.testing.assert_array_equal(x.grad.data, [4.0, 8.0])


def test_leaves_and_results() -> None:
    """is_leaf and requires_grad say whether something recorded made a tensor."""
    x = float64([1.0])
    y = x * 2.0
    assert (x.is_leaf, x.requires_grad) == (True, True)
    assert (y.is_leaf, y.requires_grad) == (False, True)
    z = y.detach()
    assert (z.is_leaf, z.requires_grad) == (True, False)
    assert Tensor([1.0]).grad is None
    y.requires_grad = True
    with pytest.raises(GradientError):
        Tensor([1.0]).grad = Tensor([1.0])


# --- NumPy on either side -------------------------------------------------------------------------


def test_numpy_functions_differentiate() -> None:
    """np.sin(t), np.mean(t) and friends are recorded, through NumPy's own protocols."""
    x = float64([[0.5, 1.0], [1.5, 2.0]])
    for made, expected in [
        (np.sin(x), np.cos(x.data)),
        (np.mean(x), np.full((2, 2), 0.25)),
        (np.sum(x, axis=0), np.ones((2, 2))),
        (np.exp(x), np.exp(x.data)),
        (np.maximum(x, 1.2), (x.data > 1.2) * 1.0),
        (np.clip(x, 0.7, 1.7), ((x.data > 0.7) & (x.data < 1.7)) * 1.0),
        (np.where(x.data > 1.2, x, 0.0), (x.data > 1.2) * 1.0),
        (np.concatenate([x, x]), np.full((2, 2), 2.0)),
        (np.transpose(x), np.ones((2, 2))),
        (np.reshape(x, (4,)), np.ones((2, 2))),
        (np.power(x, 2), 2 * x.data),
        (np.square(x), 2 * x.data),
        (np.matmul(np.ones((1, 2)), x), np.ones((2, 2))),
        (np.dot(x, np.ones(2)), np.ones((2, 2))),
        (np.einsum("ij->i", x), np.ones((2, 2))),
        (np.var(x, ddof=0), (x.data - x.data.mean()) / 2),
    ]:
        assert type(made) is Tensor
        (found,) = tg.autograd.grad(made.sum(), x)
        np.testing.assert_allclose(found.data, expected, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize(
    "left", [np.array([2.0, 3.0]), np.float64(2.0), np.float32(2.0), np.int64(2), np.array(2.0), [2.0, 3.0], 2, 2.0]
)
def test_numpy_on_the_left_of_an_operator(left: Any) -> None:
    """F13: array * t, np.float64 * t and list * t are Tensors, never object arrays, and differentiate."""
    x = float64([0.5, 0.25])
    plain = np.asarray(left, np.float64)
    for made, value, slope in [
        (left * x, plain * x.data, plain),
        (left + x, plain + x.data, 1.0),
        (left - x, plain - x.data, -1.0),
        (left / x, plain / x.data, -plain / x.data**2),
        (left**x, plain**x.data, plain**x.data * np.log(plain)),
    ]:
        assert type(made) is Tensor
        assert made.dtype == np.float64
        np.testing.assert_allclose(made.data, value, rtol=1e-15)
        (found,) = tg.autograd.grad(made.sum(), x)
        np.testing.assert_allclose(found.data, np.broadcast_to(slope, 2), rtol=1e-14)
    assert type(left < x) is Tensor
    assert type(np.ones((3, 2)) @ x) is Tensor


@pytest.mark.parametrize(
    "call",
    [
        lambda x: np.i0(x),
        lambda x: np.linalg.eig(x),
        lambda x: np.add.reduceat(x, [0, 1]),
        lambda x: np.subtract.reduce(x),
        lambda x: np.add.at(x, [0], 1.0),
        lambda x: np.add(x, x, out=np.zeros((2, 2))),
        lambda x: np.add(np.zeros((2, 2)), x, where=np.eye(2, dtype=bool)),
        lambda x: np.sum(x, out=np.zeros(())),
        lambda x: np.sum(x, None, None, np.zeros(())),
        lambda x: np.strings.upper(x),
        lambda x: np.put(x, [0], 1.0),
        lambda x: np.asarray(x),
        lambda x: np.array([x, x]),
        lambda x: np.vectorize(float)(x),
    ],
)
def test_numpy_function_without_an_op_is_a_type_error(call: Any) -> None:
    """NumPy functions that have no op raise, and say what to write instead; never an object array."""
    with pytest.raises((TypeError, GradientError), match=r"detach\(\)|nearest"):
        call(float64([[0.5, 1.0], [1.5, 2.0]]))


def test_in_place_operators_of_numpy_arrays_do_not_swallow_tensors() -> None:
    """`array += tensor` either gives a Tensor or raises; the array never becomes an object array."""
    x = float64([1.0, 2.0])
    a = np.zeros(2)
    with pytest.raises((TypeError, GradientError)):
        a += x
    assert a.dtype == np.float64


# --- how it looks and behaves as a container ------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (Tensor([1.0, 2.5]), "tensor([1. , 2.5])"),
        (Tensor(3.0), "tensor(3.)"),
        (tg.tensor([1, 2]), "tensor([1, 2])"),
        (tg.tensor([True]), "tensor([ True])"),
        (Tensor([1.0], requires_grad=True), "tensor([1.], requires_grad=True)"),
        (Tensor([1.0], requires_grad=True) * 2.0, "tensor([2.], op=mul)"),
        (Tensor([1.0], dtype=np.float64), "tensor([1.], dtype=float64)"),
        (tg.zeros(0, 3), "tensor([], shape=(0, 3), dtype=float32)"),
    ],
)
def test_repr(made: Tensor, text: str) -> None:
    """The repr shows values, the dtype where it is not the default, requires_grad, and the op that made it."""
    assert repr(made) == text


def test_format_of_numbers() -> None:
    """One number formats like a number."""
    assert f"{Tensor(0.25):.1%}" == "25.0%"
    assert f"{Tensor([0.25])}" == "tensor([0.25])"


def test_container_protocol() -> None:
    """len, iteration, membership, bool, float, int, index and hash mean what they mean for arrays."""
    x = float64([[1.0, 2.0], [3.0, 4.0]])
    assert len(x) == 2
    rows = list(x)
    assert [row.tolist() for row in rows] == x.tolist()
    rows[1].sum().backward()
    np.testing.assert_array_equal(x.grad.data, [[0.0, 0.0], [1.0, 1.0]])
    assert 3.0 in x
    assert 9.0 not in x
    assert bool(Tensor(1.0))
    assert not bool(Tensor(0.0))
    assert float(Tensor([2.5])) == 2.5
    assert int(Tensor(3.0)) == 3
    assert [10, 20, 30][tg.tensor(1)] == 20
    assert len({x, x, float64([1.0])}) == 2
    for wrong in (lambda: len(Tensor(1.0)), lambda: iter(Tensor(1.0)), lambda: bool(x)):
        with pytest.raises((TypeError, ValueError)):
            wrong()
    with pytest.raises(ShapeError):
        x.item()


def test_comparisons_are_boolean_tensors_without_gradient() -> None:
    """x < y is a tensor of booleans that can be combined with ~, & and |."""
    x = float64([1.0, 2.0, 3.0])
    made = ~((x > 1.0) & (x <= 2.0)) | (x == 2.0)
    assert made.dtype == np.bool_
    assert not made.requires_grad
    assert made.tolist() == [True, True, True]
    assert (x != x.detach()).tolist() == [False] * 3
    assert not (x < 1).any()
    assert (x >= 1).all()


# --- factories ------------------------------------------------------------------------------------


def test_factories() -> None:
    """Factories give the default dtype, take a dtype and requires_grad, and shapes as ints or as a tuple."""
    assert tg.zeros(2, 3).shape == tg.zeros((2, 3)).shape == (2, 3)
    assert tg.ones(2).tolist() == [1.0, 1.0]
    assert tg.full((2,), 7.0, dtype=np.float64).dtype == np.float64
    assert tg.eye(2, 3).tolist() == [[1, 0, 0], [0, 1, 0]]
    assert tg.arange(5).dtype == np.int64
    assert tg.arange(0.0, 1.0, 0.5).dtype == np.float32
    assert tg.arange(1, 7, 2).tolist() == [1, 3, 5]
    assert tg.linspace(0, 1, 3).tolist() == [0.0, 0.5, 1.0]
    x = Tensor(np.ones((2, 3)))
    for make in (tg.zeros_like, tg.ones_like, tg.rand_like, tg.randn_like, lambda x: tg.full_like(x, 2.0)):
        made = make(x)
        assert (made.shape, made.dtype) == (x.shape, x.dtype)
        assert not np.shares_memory(made.data, x.data)
    assert tg.zeros(2, requires_grad=True).requires_grad


def test_random_factories_are_repeatable_and_leave_the_global_state_alone() -> None:
    """seed= and rng= make numbers repeatable; NumPy's global random state is not touched."""
    before = np.random.get_state()[1].copy()
    for make in (tg.rand, tg.randn):
        np.testing.assert_array_equal(make(4, seed=3).data, make(4, seed=3).data)
        assert (make(4, seed=3).data != make(4, seed=4).data).any()
        rng = np.random.default_rng(3)
        first, second = make(4, rng=rng), make(4, rng=rng)
        np.testing.assert_array_equal(first.data, make(4, seed=3).data)
        assert (first.data != second.data).any()
        assert (make(4).data != make(4).data).any()
        assert make(()).shape == ()
    np.testing.assert_array_equal(before, np.random.get_state()[1])


# --- assignment -----------------------------------------------------------------------------------


def test_assignment_where_nothing_is_recorded() -> None:
    """Constants can be assigned into, with every index and with tensors; leaves inside no_grad."""
    x = Tensor(np.zeros((3, 3)))
    x[0] = 1.0
    x[tg.tensor([1, 2]), [0, 1]] = Tensor(np.array([5.0, 6.0]))
    x[x > 5] = -1.0
    np.testing.assert_array_equal(x.data, [[1, 1, 1], [5, 0, 0], [0, -1, 0]])
    leaf = float64([1.0, 2.0])
    with tg.no_grad():
        leaf[0] = 9.0
        leaf *= 2.0
        leaf -= np.array([1.0, 1.0])
    assert leaf.tolist() == [17.0, 3.0]
    assert leaf.is_leaf


def test_augmented_assignment_on_a_result_is_recorded() -> None:
    """`y += x` on a recorded result makes a new tensor under the same name; the old one is untouched."""
    x = float64([1.0, 2.0])
    y = before = x * 3.0
    y += x
    y *= x
    assert before.tolist() == [3.0, 6.0]
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.data, 8 * x.data)


# --- the rarer paths --------------------------------------------------------------------------------


def test_one_output_given_twice_counts_twice() -> None:
    """grad([y, y], x) is the gradient of y + y."""
    x = Tensor([1.0, 2.0], requires_grad=True)
    y = (x * x).sum()
    (gradient,) = grad([y, y], x)
    np.testing.assert_array_equal(gradient.data, [4.0, 8.0])


def test_nodes_say_what_they_are() -> None:
    """The repr of a node names its op, or that it is a leaf, and its shape."""
    x = Tensor([1.0, 2.0], requires_grad=True)
    assert repr(x.node) == "<leaf node, shape (2,)>"
    assert repr(x.exp().node) == "<exp node, shape (2,)>"


def test_functions_of_tracked_tensors_record_nothing_under_no_grad() -> None:
    """A function of one operand gives an untracked tensor inside no_grad()."""
    x = Tensor([1.0, 2.0], requires_grad=True)
    with no_grad():
        assert x.exp().node is None
        assert (x + x).node is None


@pytest.mark.parametrize("left", [True, False])
def test_shapes_that_do_not_broadcast_are_named(left: bool) -> None:
    """The error of an elementwise op holds its name and both shapes, and changes nothing."""
    x, y = Tensor(np.ones((2, 3)), requires_grad=left), Tensor(np.ones((4, 3)), requires_grad=not left)
    with pytest.raises(ShapeError, match=r"mul: shapes \(2, 3\) and \(4, 3\) do not broadcast"):
        x * y


def test_other_value_errors_of_numpy_pass_through() -> None:
    """Integers to negative powers stay NumPy's own error."""
    with pytest.raises(ValueError, match="negative integer powers"):
        tensor([2, 3]) ** tensor([-1, -2])


def test_numpy_spellings_of_standard_deviation_and_ravel() -> None:
    """np.std and np.ravel arrive at the ops, with NumPy's defaults, and carry gradients."""
    x = Tensor([[1.0, 2.0], [4.0, 9.0]], requires_grad=True, dtype="float64")
    assert np.std(x).item() == pytest.approx(np.std(x.data), rel=1e-15)
    flat = np.ravel(x)
    assert flat.shape == (4,)
    flat.sum().backward()
    np.testing.assert_array_equal(x.grad.data, np.ones((2, 2)))


def test_a_number_flattens_to_one_element() -> None:
    """flatten of a 0-d tensor has one axis, as in torch."""
    assert Tensor(3.0).flatten().shape == (1,)


def test_einsum_asks_for_axes_written_out() -> None:
    """An ellipsis is refused with the equation in the message."""
    with pytest.raises(ShapeError, match=r"write the axes of '\.\.\.i->i' out"):
        einsum("...i->i", Tensor(np.ones((2, 3))))


def test_integers_raised_to_fractions_become_floats() -> None:
    """An integer tensor to a float power is the default float, like every function of integers."""
    power = tensor([4, 9]) ** 0.5
    assert power.dtype == np.float32
    np.testing.assert_array_equal(power.data, [2.0, 3.0])


# --- messages that a student can act on ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda: Tensor(1.0, 2.0), ArgumentError, r"Tensor\(\[1\.0, 2\.0\]\)"),
        (lambda: Tensor([[1.0, 2.0], [3.0]]), ShapeError, "rows of different length"),
        (lambda: float(Tensor([1.0, 2.0])), ShapeError, r"x\[i\]\.item\(\)"),
        (lambda: np.linalg.eigvals(Tensor([[1.0]], requires_grad=True)), DTypeError, r"say np\.linalg\.eigh\(\)"),
        (lambda: np.add(Tensor([1.0], requires_grad=True), 1.0, out=np.empty(1)), DTypeError, "takes no out"),
        (lambda: ops.cross_entropy(Tensor([[1.0], [2.0]]), np.array([0, 0])), ArgumentError, "mse_loss"),
        (lambda: ops.cross_entropy(Tensor(np.ones((3, 3))), np.array([1, 2, 3])), ArgumentError, "target - 1"),
    ],
)
def test_messages_name_the_line_that_fixes_it(call: Any, kind: type[Exception], words: str) -> None:
    """Mistakes of a first lesson are answered with what to write instead."""
    with pytest.raises(kind, match=words):
        call()


def test_writing_into_a_leaf_is_named_as_it_was_written() -> None:
    """The message of x += 1 on a leaf speaks of x += value."""
    x = Tensor([1.0], requires_grad=True)
    with pytest.raises(GradientError, match=r"x \+= value"):
        x += 1.0


def test_asking_a_result_for_its_gradient_warns() -> None:
    """Results keep no gradient; None comes with a warning that says how to get it."""
    y = Tensor([1.0], requires_grad=True) * 2.0
    with pytest.warns(UserWarning, match="only leaves keep their gradient"):
        assert y.grad is None


def test_the_update_of_the_first_lesson_works_on_data() -> None:
    """w.data -= lr * w.grad writes into the parameter, as in torch."""
    w = Tensor([1.0, 2.0], requires_grad=True)
    (w * w).sum().backward()
    w.data -= 0.5 * w.grad
    np.testing.assert_array_equal(w.data, [0.0, 0.0])


def test_numpy_answers_for_tensors_that_record_nothing() -> None:
    """Functions without an op work on plain data, and refuse tensors whose gradient they would lose."""
    assert np.allclose(Tensor([1.0, 2.0]), [1.0, 2.0])
    assert np.argmax(Tensor([1.0, 3.0, 2.0])) == 1
    assert np.i0(Tensor([0.0])).shape == (1,)
    with pytest.raises(TypeError):
        np.i0(Tensor([1.0], requires_grad=True))


def test_assigning_a_recorded_value_is_refused() -> None:
    """x[i] = value with a recorded value would lose its gradient, so it raises and changes nothing."""
    w = Tensor([3.0], requires_grad=True)
    x = tg.zeros(3)
    with pytest.raises(GradientError, match="its gradient would be lost"):
        x[0] = (w * 2.0)[0]
    np.testing.assert_array_equal(x.data, np.zeros(3))


@pytest.mark.parametrize("convert", [Tensor.int, Tensor.long, Tensor.bool])
def test_integers_leave_the_tape(convert: Any) -> None:
    """Rounding has no gradient: the result records nothing."""
    assert not convert(Tensor([1.7], requires_grad=True)).requires_grad


def test_float_conversions_stay_on_the_tape() -> None:
    """Between float dtypes the gradient comes back in the dtype of the input."""
    x = Tensor([1.5], requires_grad=True)
    x.double().float().astype("float16").sum().backward()
    assert x.grad.dtype == np.float32
    with pytest.raises(DTypeError, match="complex64"):
        x.astype("complex64")


def test_inputs_given_twice_get_gradients_of_their_own() -> None:
    """grad(y, [w, w]) returns two tensors that share no memory."""
    w = Tensor([1.0], requires_grad=True)
    first, second = grad((w * w).sum(), [w, w])
    assert not np.shares_memory(first.data, second.data)


@pytest.mark.parametrize("order", [1, -1])
def test_sign_beside_other_paths_in_a_recorded_walk(order: int) -> None:
    """The zero gradient of sign meets recorded gradients in either order."""
    x = Tensor([1.0, 2.0], requires_grad=True)
    terms = [lambda: (x**3).sum(), lambda: tg.sign(x).sum()][::order]
    (gradient,) = grad(terms[0]() + terms[1](), x, create_graph=True)
    np.testing.assert_allclose(gradient.data, [3.0, 12.0])


@pytest.mark.parametrize("value", [[1.0, 2.0], (0.5, 3.0)])
def test_lists_adopt_the_dtype_of_the_tensor(value: Any) -> None:
    """F11: a list beside a float32 tensor stays float32, in operators, cat, stack and losses."""
    x = Tensor([1.0, 2.0], requires_grad=True)
    assert (x + value).dtype == np.float32
    assert ops.maximum(x, value).dtype == np.float32
    assert ops.mse_loss(x, value).dtype == np.float32
    assert tg.cat([tensor([1, 2]), x]).dtype == np.float32
    assert tg.stack([x[0], 1.0]).dtype == np.float32


def test_comparing_with_something_else_is_not_an_error() -> None:
    """t == None is False and t != "a" is True, as for any object."""
    x = Tensor([1.0])
    assert (x == None) is False  # noqa: E711 - the comparison is what is tested
    assert (x != "a") is True


def test_gradients_are_set_as_tensors_of_the_same_kind() -> None:
    """x.grad = value takes a Tensor of the tensor's own shape and dtype, or None."""
    x = Tensor([1.0], requires_grad=True)
    with pytest.raises(DTypeError, match="say Tensor"):
        x.grad = np.ones(1)
    with pytest.raises(DTypeError, match="float64"):
        x.grad = Tensor(np.ones(1))


def test_a_masked_array_on_the_left_keeps_its_mask() -> None:
    """A masked array times plain data is NumPy's masked product; beside a recorded tensor it is refused."""
    masked = np.ma.masked_array([1.0, 2.0], [False, True])
    assert list((masked * Tensor([3.0, 4.0])).mask) == [False, True]
    with pytest.raises((TypeError, GradientError)):
        masked * Tensor([3.0, 4.0], requires_grad=True)


# --- names, modes, templates ------------------------------------------------------------------------


def test_dim_and_axis_are_one_argument() -> None:
    """Functions and methods take torch's dim/keepdim for NumPy's axis/keepdims, and refuse both at once."""
    x = Tensor(np.arange(6.0).reshape(2, 3))
    for name in ("sum", "mean", "var", "std", "amax", "amin", "prod", "logsumexp"):
        by_axis = getattr(tg, name)(x, axis=1, keepdims=True)
        for other in (getattr(tg, name)(x, dim=1, keepdim=True), getattr(x, name)(dim=1, keepdim=True)):
            np.testing.assert_array_equal(by_axis.data, other.data)
    assert tg.cat([x, x], dim=1).shape == (2, 6)
    assert tg.stack([x, x], dim=-1).shape == (2, 3, 2)
    assert tg.softmax(x, dim=0).data.sum(0).tolist() == pytest.approx([1.0, 1.0, 1.0])
    assert x.argmax(dim=1, keepdim=True).shape == (2, 1)
    assert x.any(dim=0).shape == (3,)
    with pytest.raises(ArgumentError, match="two names of one argument"):
        x.sum(0, dim=1)


def test_no_grad_without_parentheses_and_on_coroutines() -> None:
    """@no_grad decorates like @no_grad(), coroutines included; the mode outside stays as it was."""

    @no_grad
    def plain() -> bool:
        return tg.is_grad_enabled()

    @no_grad()
    async def later() -> bool:
        await asyncio.sleep(0)
        return tg.is_grad_enabled()

    assert plain() is False
    assert asyncio.run(later()) is False
    assert tg.is_grad_enabled()


def test_one_instance_of_a_mode_serves_several_threads() -> None:
    """Entering one no_grad() object in two threads at once leaves each thread's own mode intact."""
    mode = no_grad()
    inside, ready = threading.Event(), threading.Event()
    seen: list[bool] = []

    def other() -> None:
        with mode:
            ready.set()
            inside.wait(10)
        seen.append(tg.is_grad_enabled())

    thread = threading.Thread(target=other)
    thread.start()
    ready.wait(10)
    with mode:
        assert not tg.is_grad_enabled()
    inside.set()
    thread.join()
    assert seen == [True]
    assert tg.is_grad_enabled()


@pytest.mark.parametrize("name", sorted(name for name, op in OPS.items() if op.latex))
def test_every_formula_template_holds_its_operands(name: str) -> None:
    """A latex template formats, with balanced braces, and shows the operands it is given."""
    op = OPS[name]
    marks = [f"<{i}>" for i in range(len(op.operands) or 2)]
    text = str(op.formula()).format(*marks, **{"operands": "<0>", **dict.fromkeys(op.params, "<p>")})
    assert text.count("{") == text.count("}")
    assert not op.operands or marks[0] in text or marks[-1] in text


def test_numpy_dot_is_matmul_up_to_matrices() -> None:
    """np.dot multiplies by numbers and by matrices; of stacks it is another function, as in NumPy."""
    x = Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    np.testing.assert_array_equal(np.dot(x, 2.0).data, 2.0 * x.data)
    np.testing.assert_array_equal(np.dot(x, x.data).data, x.data @ x.data)
    stack = x.reshape(1, 2, 2)
    np.testing.assert_array_equal(np.dot(x, stack).data, np.dot(x.data, stack.data))


def test_lists_alone_join_in_the_default_dtype() -> None:
    """cat and stack of plain numbers give the default dtype, like Tensor of them."""
    assert np.asarray(tg.cat([[1.0], [2.0]])).dtype == np.float32
