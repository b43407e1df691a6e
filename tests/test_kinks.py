"""F15: one function has one derivative at its corner, however it is spelled, in every mode and order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_mlp as tg
from tinygrad_mlp import Tensor, autograd, func, nn, ops
from tinygrad_mlp.nn import functional

Spelling = Callable[[Tensor], Any]

# name: (the corner, value there, derivative there, spellings)
CORNERS: dict[str, tuple[float, float, float, dict[str, Spelling]]] = {
    "max(x, 0)": (
        0.0,
        0.0,
        0.0,
        {
            "relu": ops.relu,
            "tg.relu": tg.relu,
            ".relu()": lambda x: x.relu(),
            "nn.ReLU": nn.ReLU(),
            "functional.relu": functional.relu,
            "maximum(x, 0)": lambda x: ops.maximum(x, 0.0),
            "maximum(0, x)": lambda x: ops.maximum(0.0, x),
            "maximum(x, int)": lambda x: ops.maximum(x, 0),
            "maximum(x, array)": lambda x: ops.maximum(x, np.zeros(x.shape, x.dtype)),
            "maximum(x, tensor)": lambda x: ops.maximum(x, Tensor(np.zeros(x.shape, x.dtype))),
            "maximum(tensor, x)": lambda x: ops.maximum(Tensor(np.zeros(x.shape, x.dtype)), x),
            ".maximum(0)": lambda x: x.maximum(0.0),
            "np.maximum(x, 0)": lambda x: np.maximum(x, 0.0),
            "np.maximum(0, x)": lambda x: np.maximum(0.0, x),
            "clamp(min=0)": lambda x: ops.clamp(x, min=0.0),
            ".clamp(min=0)": lambda x: x.clamp(min=0.0),
            ".clip(0)": lambda x: x.clip(0.0),
            "np.clip(x, 0, None)": lambda x: np.clip(x, 0.0, None),
            "clamp(min=tensor)": lambda x: ops.clamp(x, min=Tensor(np.zeros((), x.dtype))),
            "where(x > 0, x, 0)": lambda x: ops.where(x > 0, x, 0.0),
            ".where(x > 0, 0)": lambda x: x.where(x > 0, 0.0),
            "np.where(x > 0, x, 0)": lambda x: np.where(x > 0, x, 0.0),
            "where(x <= 0, 0, x)": lambda x: ops.where(x <= 0, 0.0, x),
            "-minimum(-x, 0)": lambda x: -ops.minimum(-x, 0.0),
            "-np.minimum(-x, 0)": lambda x: -np.minimum(-x, 0.0),
            "leaky_relu(x, 0)": lambda x: ops.leaky_relu(x, 0.0),
            "nn.LeakyReLU(0)": nn.LeakyReLU(0.0),
        },
    ),
    "min(x, 0)": (
        0.0,
        0.0,
        0.0,
        {
            "minimum": lambda x: ops.minimum(x, 0.0),
            "minimum(0, x)": lambda x: ops.minimum(0.0, x),
            ".minimum": lambda x: x.minimum(0.0),
            "np.minimum": lambda x: np.minimum(x, 0.0),
            "clamp(max=0)": lambda x: ops.clamp(x, max=0.0),
            ".clip(max=0)": lambda x: x.clip(max=0.0),
            "np.clip": lambda x: np.clip(x, None, 0.0),
            "where": lambda x: ops.where(x < 0, x, 0.0),
            "-relu(-x)": lambda x: -ops.relu(-x),
        },
    ),
    "hinge": (
        1.0,
        0.0,
        0.0,
        {
            "relu": lambda x: ops.relu(1.0 - x),
            "maximum": lambda x: ops.maximum(1.0 - x, 0.0),
            "clamp": lambda x: (1.0 - x).clamp(min=0.0),
            "np.maximum": lambda x: np.maximum(0.0, 1.0 - x),
            "where": lambda x: ops.where(x < 1, 1.0 - x, 0.0),
        },
    ),
    "clip at its lower edge": (
        -1.0,
        -1.0,
        0.0,
        {
            "clamp": lambda x: ops.clamp(x, -1.0, 1.0),
            ".clip": lambda x: x.clip(-1.0, 1.0),
            "np.clip": lambda x: np.clip(x, -1.0, 1.0),
            "min of max": lambda x: ops.minimum(ops.maximum(x, -1.0), 1.0),
            "max of min": lambda x: np.maximum(np.minimum(x, 1.0), -1.0),
        },
    ),
    "clip at its upper edge": (
        6.0,
        6.0,
        0.0,
        {
            "clamp": lambda x: ops.clamp(x, 0.0, 6.0),
            ".clamp": lambda x: x.clamp(0.0, 6.0),
            "np.clip": lambda x: np.clip(x, 0.0, 6.0),
            "min of relu": lambda x: ops.minimum(ops.relu(x), 6.0),
            "where": lambda x: ops.where(x < 6, ops.relu(x), 6.0),
        },
    ),
    "|x|": (
        0.0,
        0.0,
        0.0,
        {
            "abs": ops.abs,
            "abs()": abs,
            ".abs()": lambda x: x.abs(),
            "np.abs": np.abs,
            "np.absolute": np.absolute,
            "np.fabs": np.fabs,
            "x sign(x)": lambda x: x * ops.sign(x),
            "relu(x) + relu(-x)": lambda x: ops.relu(x) + ops.relu(-x),
            "maximum(x, 0) - minimum(x, 0)": lambda x: np.maximum(x, 0.0) - np.minimum(x, 0.0),
            "L1 loss": lambda x: ops.abs(x - 0.0),
        },
    ),
    "sign(x)": (0.0, 0.0, 0.0, {"sign": ops.sign, ".sign()": lambda x: x.sign(), "np.sign": np.sign}),
    "leaky relu": (
        0.0,
        0.0,
        0.25,
        {
            "leaky_relu": lambda x: ops.leaky_relu(x, 0.25),
            "functional": lambda x: functional.leaky_relu(x, 0.25),
            "nn.LeakyReLU": nn.LeakyReLU(0.25),
        },
    ),
    "leaky relu of slope 2": (0.0, 0.0, 1.0, {"leaky_relu": lambda x: ops.leaky_relu(x, 2.0), "nn": nn.LeakyReLU(2.0)}),
    "leaky relu of slope -1": (0.0, 0.0, 0.0, {"leaky_relu": lambda x: ops.leaky_relu(x, -1.0)}),
    "both operands the same": (
        2.0,
        2.0,
        1.0,
        {
            "maximum": lambda x: ops.maximum(x, x),
            "np.maximum": lambda x: np.maximum(x, x),
            ".minimum": lambda x: x.minimum(x),
            "np.minimum": lambda x: np.minimum(x, x),
            "amax": lambda x: ops.amax(ops.stack([x, x]), 0),
            "np.max": lambda x: np.max(np.stack([x, x]), axis=0),
            ".amin": lambda x: ops.stack([x, x, x, x]).amin(0),
        },
    ),
    "deviation of equal numbers": (
        3.0,
        0.0,
        0.0,
        {
            "std": lambda x: ops.std(ops.stack([x, x, x]), 0),
            ".std": lambda x: ops.stack([x, x]).std(0),
            "np.std": lambda x: np.std(np.stack([x, x, x]), axis=0),
            "np.std of one": lambda x: np.std(np.stack([x]), axis=0),
        },
    ),
    "x |x|": (0.0, 0.0, 0.0, {"abs": lambda x: x * abs(x), "sign": lambda x: x * x * ops.sign(x)}),
    "relu(x)²": (0.0, 0.0, 0.0, {"square": lambda x: ops.square(ops.relu(x)), "**": lambda x: np.maximum(x, 0.0) ** 2}),
}
EVERY = [(name, spelling) for name, (*_, spellings) in CORNERS.items() for spelling in spellings]
every_spelling = pytest.mark.parametrize(("name", "spelling"), EVERY, ids=[f"{a}: {b}" for a, b in EVERY])


def corner(name: str, spelling: str, dtype: Any = np.float64) -> tuple[Spelling, Tensor, float, float]:
    """The function, a tensor with its corner in the middle of other numbers, and value and derivative at the corner."""
    at, value, slope, spellings = CORNERS[name]
    return spellings[spelling], Tensor(np.array([at - 2.5, at, at + 2.5], dtype), requires_grad=True), value, slope


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@every_spelling
def test_every_spelling_has_the_one_derivative(name: str, spelling: str, dtype: Any) -> None:
    """Value and derivative at the corner are the table's, for any incoming gradient, and scale with it."""
    fn, x, value, slope = corner(name, spelling, dtype)
    y = fn(x)
    assert y.dtype == dtype
    assert y.data[1] == value
    for incoming in (1.0, -3.0):
        seed = Tensor(np.array([1.0, incoming, 1.0], dtype))
        (found,) = autograd.grad(y, x, [seed], retain_graph=True)
        assert found.data[1] == incoming * slope


@every_spelling
def test_the_choice_at_a_corner_is_a_constant(name: str, spelling: str) -> None:
    """The second derivative at the corner is 0, except where the spelling's own function is not linear beside it."""
    fn, x, _, _ = corner(name, spelling)
    (first,) = autograd.grad(fn(x).sum(), x, create_graph=True)
    if first.node is not None:
        (second,) = autograd.grad(first.sum(), x, allow_unused=True)
        assert second is None or second.data[1] == 0


@every_spelling
def test_forward_mode_agrees_at_a_corner(name: str, spelling: str) -> None:
    """func.jvp gives the same derivative at the corner, and so does func.grad."""
    fn, x, _, slope = corner(name, spelling)
    at = x.detach()
    _, along = func.jvp(fn, (at,), (Tensor(np.array([1.0, -2.0, 1.0])),))
    assert along.data[1] == -2.0 * slope
    assert func.grad(lambda t: fn(t).sum())(at).data[1] == slope


@pytest.mark.parametrize("name", CORNERS)
def test_spellings_agree_beside_the_corner(name: str) -> None:
    """On both sides the spellings of one function have the same value and the same derivative."""
    found = []
    for spelling in CORNERS[name][3]:
        fn, x, _, _ = corner(name, spelling)
        y = fn(x)
        (slope,) = autograd.grad(y.sum(), x)
        found.append(np.array([y.data, slope.data]))
    for one in found[1:]:
        np.testing.assert_allclose(one, found[0], rtol=1e-15)


STEEP: dict[str, tuple[Spelling, float, float]] = {
    "sqrt": (ops.sqrt, 0.0, np.inf),
    ".sqrt()": (lambda x: x.sqrt(), 0.0, np.inf),
    "np.sqrt": (np.sqrt, -0.0, np.inf),
    "x ** 0.5": (lambda x: x**0.5, 0.0, np.inf),
    "pow(x, tensor)": (lambda x: ops.pow(x, Tensor(np.full(x.shape, 0.5))), 0.0, np.inf),
    "log": (ops.log, 0.0, np.inf),
    "np.log": (np.log, 0.0, np.inf),
    ".log1p()": (lambda x: x.log1p(), -1.0, np.inf),
    "np.log1p": (np.log1p, -1.0, np.inf),
    "1 / x": (lambda x: 1.0 / x, 0.0, -np.inf),
    "x ** -1": (lambda x: x**-1, 0.0, -np.inf),
}


@pytest.mark.parametrize("name", STEEP)
def test_infinite_slopes(name: str) -> None:
    """Where the derivative's limit is infinite it is that, in both modes; the numbers beside it are not touched."""
    fn, at, slope = STEEP[name]
    with np.errstate(all="ignore"):
        x = Tensor(np.array([0.5, at, 2.0]), requires_grad=True)
        (found,) = autograd.grad(fn(x).sum(), x)
        _, along = func.jvp(fn, (x.detach(),), (Tensor(np.ones(3)),))
    assert found.data[1] == along.data[1] == slope
    assert np.isfinite(found.data[[0, 2]]).all()
