"""Bits, divisors, membership and what tensors know of themselves: as in torch."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_mlp as tg
from tinygrad_mlp import Tensor
from tinygrad_mlp.errors import ArgumentError, DTypeError, ShapeError
from tinygrad_mlp.testing import gradcheck

torch = pytest.importorskip("torch", reason="pip install torch")

RNG = np.random.default_rng(4)
INTEGERS = RNG.integers(-20, 20, (3, 4))
OTHERS = RNG.integers(1, 6, (3, 4))
FLOATS = RNG.normal(size=(3, 4)) * 5
BOOLEANS = RNG.random((3, 4)) < 0.5


@pytest.mark.parametrize("name", ["and_", "or_", "xor", "lshift", "rshift", "floordiv", "mod"])
@pytest.mark.parametrize("kinds", ["ii", "i2", "2i", "bb", "ff", "f2", "2f"])
def test_operators(name: str, kinds: str) -> None:
    """Value and dtype of torch, or an error in both."""
    operands = {"i": (INTEGERS, OTHERS), "b": (BOOLEANS, ~BOOLEANS), "f": (FLOATS, FLOATS[::-1].copy()), "2": (2, 2)}
    pair = [operands[kind][place] for place, kind in enumerate(kinds)]
    function: Callable[[Any, Any], Any] = getattr(operator, name)
    mine = [Tensor(one) if isinstance(one, np.ndarray) else one for one in pair]
    theirs = [torch.tensor(one) if isinstance(one, np.ndarray) else one for one in pair]
    if (name in {"lshift", "rshift"} and kinds not in {"ii", "i2"}) or (kinds == "bb" and name in {"floordiv", "mod"}):
        return
    try:
        expected = function(*theirs)
    except RuntimeError:
        with pytest.raises((DTypeError, TypeError)):
            function(*mine)
        return
    found = function(*mine)
    assert found.dtype == expected.numpy().dtype
    np.testing.assert_array_equal(found.data, expected.numpy())


@pytest.mark.parametrize("name", ["gcd", "lcm", "bitwise_and", "bitwise_xor", "bitwise_or", "isin", "nextafter"])
def test_functions(name: str) -> None:
    """Of two tensors."""
    pair = (FLOATS, OTHERS.astype(float)) if name == "nextafter" else (INTEGERS, OTHERS)
    expected = getattr(torch, name)(*map(torch.tensor, pair)).numpy()
    found = getattr(tg, name)(*map(Tensor, pair))
    np.testing.assert_array_equal(found.data, expected)
    assert found.dtype == expected.dtype


def test_not() -> None:
    """Bits of integers, the contrary of booleans, an error for floats."""
    np.testing.assert_array_equal((~Tensor(INTEGERS)).data, ~INTEGERS)
    np.testing.assert_array_equal((~Tensor(BOOLEANS)).data, ~BOOLEANS)
    with pytest.raises(DTypeError, match="compare first"):
        ~Tensor(FLOATS)
    with pytest.raises(DTypeError, match="integers"):
        tg.gcd(Tensor(BOOLEANS), 2)


@pytest.mark.parametrize("dim", [None, 0, 1])
def test_unique_consecutive(dim: int | None) -> None:
    """Elements, or whole rows."""
    x = np.array([[1, 1, 2, 2], [1, 1, 2, 2], [0, 0, 2, 2]])
    expected = torch.unique_consecutive(torch.tensor(x), return_inverse=True, return_counts=True, dim=dim)
    found = tg.unique_consecutive(Tensor(x), True, True, dim)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a.data, b.numpy())


def test_frexp_and_histogram() -> None:
    """The parts give the number back; the mantissa is differentiable; counts and edges."""
    x = np.array([0.3, -5.0, 1e-300, 1e300, 0.0])
    found, expected = tg.frexp(Tensor(x)), torch.frexp(torch.tensor(x))
    np.testing.assert_array_equal(found.mantissa.data, expected.mantissa.numpy())
    np.testing.assert_array_equal(found.exponent.data, expected.exponent.numpy())
    assert found.exponent.dtype == np.int32
    gradcheck(lambda x: tg.frexp(x).mantissa, [np.array([0.3, -5.0])], method="central").raise_if_wrong()
    counts, edges = tg.histogram(Tensor(FLOATS), 5)
    theirs = torch.histogram(torch.tensor(FLOATS), 5)
    np.testing.assert_array_equal(counts.data, theirs.hist.numpy())
    np.testing.assert_allclose(edges.data, theirs.bin_edges.numpy())
    with pytest.raises(ShapeError, match="weight"):
        tg.histogram(Tensor(FLOATS), 5, weight=np.ones(2))


def test_facts() -> None:
    """What torch's tensors say of themselves."""
    x = Tensor(FLOATS.astype(np.float32), requires_grad=True)
    t = torch.tensor(FLOATS.astype(np.float32))
    for name in ("dim", "numel", "nelement", "ndimension", "element_size", "is_floating_point", "is_signed"):
        assert getattr(x, name)() == getattr(t, name)(), name
    assert (x.nbytes, x.itemsize, x.device, x.real is x) == (t.nbytes, t.itemsize, "cpu", True)
    assert x.contiguous() is x
    assert not tg.transpose(x).is_contiguous()
    assert tg.transpose(x).contiguous().is_contiguous()
    assert x.cpu() is x
    assert x.to("cpu") is x
    assert x.to(np.float64).dtype == x.to(Tensor(FLOATS)).dtype == np.float64
    assert [x.half().dtype, x.short().dtype, x.char().dtype, x.byte().dtype] == ["f2", "i2", "i1", "u1"]
    assert x.to(np.float32, copy=True) is not x
    assert [x.new_zeros(2, 3).shape, x.new_ones((2, 3)).shape, x.new_full((2,), 7).data.tolist()] == [
        (2, 3),
        (2, 3),
        [7.0, 7.0],
    ]
    assert x.new_tensor([1, 2]).dtype == x.new_empty(3).dtype == np.float32
    assert Tensor([2.0]).is_nonzero()
    with pytest.raises(ArgumentError, match="one device"):
        x.to("cuda")
    with pytest.raises(ShapeError, match="any"):
        x.is_nonzero()


def test_sum_to_size() -> None:
    """The adjoint of broadcasting, value and gradient."""
    x = Tensor(RNG.normal(size=(2, 3, 4)), requires_grad=True)
    found = x.sum_to_size(3, 1)
    np.testing.assert_allclose(found.data, x.data.sum((0, 2))[:, None])
    gradcheck(lambda x: x.sum_to_size(1, 4), [x]).raise_if_wrong()
    with pytest.raises(ShapeError, match="broadcast"):
        x.sum_to_size(5)


def test_divmod() -> None:
    """The quotient rounded down and what is left, whose derivative is 1 by the dividend."""
    x = Tensor(FLOATS, requires_grad=True)
    quotient, rest = divmod(x, 2.0)
    np.testing.assert_allclose(quotient.data * 2 + rest.data, FLOATS)
    rest.sum().backward()
    np.testing.assert_array_equal(x.grad.data, np.ones_like(FLOATS))  # type: ignore[union-attr]
