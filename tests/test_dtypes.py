"""F11, F12: docs/dtypes.md, line by line: no dtype drifts, in values, gradients and gradients of gradients."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_mlp as tg
from tinygrad_mlp import Tensor, autograd, nn, ops, optim
from tinygrad_mlp.errors import DTypeError

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "dtypes.md").read_text(encoding="utf-8")
WITH_GRADIENT = re.findall(r"^\| `(.*?)` \| (\w+) \| (\w+) \|$", PAGE, flags=re.MULTILINE)
DATA = re.findall(r"^\| `(.*?)` \| ([^|]+?) \|$", PAGE, flags=re.MULTILINE)
NAMES: dict[str, Any] = {
    **{name: getattr(ops, name) for name in ops.__all__},
    "np": np,
    "tg": tg,
    "nn": nn,
    "integers": np.array([1, 2, 0]),
    "flags": np.array([True, False, True]),
}


def value_of(expression: str, dtype: str) -> tuple[Tensor, Any]:
    x = Tensor(np.array([1.0, 2.0, 3.0], dtype), requires_grad=True)
    names = {"x": x, "i": Tensor(np.array([1, 2, 3])), "b": Tensor(np.array([True, False, True]))}
    return x, eval(expression, NAMES | names)  # noqa: S307 - the expressions stand on our own page


def test_the_page_is_read() -> None:
    """Both tables are found."""
    assert len(WITH_GRADIENT) > 40
    assert len(DATA) > 25


@pytest.mark.parametrize("place", [1, 2], ids=["float32", "float64"])
@pytest.mark.parametrize("row", WITH_GRADIENT, ids=[row[0] for row in WITH_GRADIENT])
def test_expression_with_gradient(row: tuple[str, str, str], place: int) -> None:
    """The value has the dtype of the page; both gradients have that of x."""
    dtype = ("", "float32", "float64")[place]
    x, y = value_of(row[0], dtype)
    assert y.dtype == row[place]
    (first,) = autograd.grad(y.sum(), x, create_graph=True)
    assert first.dtype == dtype
    assert first.shape == x.shape
    if first.requires_grad:
        (second,) = autograd.grad(first.sum(), x, allow_unused=True)
        assert second is None or second.dtype == dtype


@pytest.mark.parametrize(("expression", "expected"), DATA, ids=[row[0] for row in DATA])
def test_expression_of_data(expression: str, expected: str) -> None:
    """Integers and booleans come out as the page says, beside x of either dtype."""
    for dtype in ("float32", "float64"):
        if expected == "TypeError":
            with pytest.raises(TypeError):
                value_of(expression, dtype)
        else:
            assert value_of(expression, dtype)[1].dtype == (dtype if expected == "that of `x`" else expected)


SCALARS = [
    2,
    0.5,
    True,
    np.float32(0.5),
    np.float64(0.5),
    np.int64(2),
    np.array(0.5),
    np.array(2),
    np.pi,
    np.float16(2),
]


@pytest.mark.parametrize("scalar", SCALARS, ids=[f"{type(one).__name__} {one}" for one in SCALARS])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_hyperparameters_of_any_kind(dtype: str, scalar: Any) -> None:
    """A slope, a factor, a weight of the loss: whatever number it is, value and gradients keep the dtype of x."""
    rng = np.random.default_rng(0)
    x = Tensor(rng.normal(size=(4, 3)).astype(dtype), requires_grad=True)
    target = rng.random((4, 3)).astype(dtype)
    bce = ops.binary_cross_entropy_with_logits
    programs = {
        "leaky_relu": lambda: ops.leaky_relu(x, scalar),
        "softplus": lambda: ops.softplus(x, scalar),
        "LeakyReLU": lambda: nn.LeakyReLU(scalar)(x),
        "pos_weight": lambda: bce(x, target, pos_weight=scalar),
        "weight": lambda: bce(x, target, weight=scalar),
        "temperature": lambda: ops.cross_entropy(x / scalar, np.array([0, 1, 2, 0])),
        "scaled": lambda: ops.mse_loss(x * scalar, target),
    }
    for name, program in programs.items():
        y = program()
        assert y.dtype == dtype, name
        (first,) = autograd.grad(y.sum(), x, create_graph=True)
        assert first.dtype == dtype, name
        if first.requires_grad:
            (second,) = autograd.grad(first.sum(), x, allow_unused=True)
            assert second is None or second.dtype == dtype, name


@pytest.mark.parametrize("rate", [0.1, np.float64(0.1), np.float32(0.1), np.array(0.1), 1], ids=str)
@pytest.mark.parametrize("make", [optim.SGD, optim.Adam, optim.AdamW])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_network_keeps_its_dtype(dtype: str, make: Any, rate: Any) -> None:
    """Data, parameters, gradients and loss of a network in training have one dtype, for any kind of learning rate."""
    model = nn.Sequential(nn.Linear(3, 4, seed=0), nn.Tanh(), nn.Dropout(0.25, seed=1), nn.Linear(4, 2, seed=2))
    model.astype(dtype)
    optimizer = make(list(model.parameters()), lr=rate)
    rng = np.random.default_rng(0)
    for _ in range(3):
        loss = ops.cross_entropy(model(Tensor(rng.normal(size=(5, 3)).astype(dtype))), rng.integers(0, 2, 5))
        loss.backward()
        assert loss.dtype == dtype
        assert {one.grad.dtype for one in model.parameters()} == {np.dtype(dtype)}
        optimizer.step()
        optimizer.zero_grad()
    assert {one.dtype for one in model.parameters()} == {np.dtype(dtype)}


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int64, np.bool_])
def test_integers_carry_no_gradient(kind: Any) -> None:
    """Asking integers or booleans for gradients is an error, and as operands they leave those of others alone."""
    with pytest.raises(DTypeError):
        Tensor(np.ones(3, kind), requires_grad=True)
    x = Tensor(np.array([1.0, 2.0, 3.0], np.float32), requires_grad=True)
    y = x * Tensor(np.array([1, 0, 1], kind))
    y.backward(np.ones(3))
    assert y.dtype == x.grad.dtype == np.float32
    assert x.grad.tolist() == [1.0, 0.0, 1.0]
