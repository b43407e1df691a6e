"""The accuracy contract: errors in units in the last place (ULP) against mpmath with 60 digits, over whole domains.

The classes and bounds are those published in the documentation: A up to 2 ULP, B up to 4, second order up to 8, and
class C, whose bound grows with the argument because the argument's own rounding does. Each bound gets the allowance for
CPUs on which NumPy's vectorised functions err by up to 4 ULP.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest

from tinygrad_mlp import Tensor, autograd, ops

MP = mpmath.mp.clone()
MP.dps = 60
POINTS = 300
ELSEWHERE = 4
"""ULP that NumPy's own functions may add on another CPU than the one the contract was measured on."""


def both_signs(low: float, high: float) -> Any:
    half = np.logspace(np.log10(low), np.log10(high), POINTS // 2)
    return np.concatenate([-half[::-1], half])


def positive(low: float, high: float) -> Any:
    return np.logspace(np.log10(low), np.log10(high), POINTS)


def derivatives(fn: Callable[[Tensor], Any], x: Any, order: int) -> Any:
    """The value (order 0), or the first or second derivative by the engine, at every entry of ``x``."""
    at = Tensor(x, requires_grad=True)
    y = fn(at)
    for _ in range(order):
        (y,) = autograd.grad(y, at, [Tensor(np.ones_like(x))], create_graph=True)
    return y.data


def worst_ulp(got: Any, exact: list[Any], size: list[Any] | None = None) -> float:
    """The largest error in units in the last place of the exact value, or of the terms' size where that is given."""
    worst = 0.0
    for value, right, scale in zip(got, exact, size or exact, strict=True):
        if right == 0 and value == 0:
            continue
        assert np.isfinite(value), (value, right)
        unit = np.spacing(np.asarray(abs(float(scale)), got.dtype))
        if float(abs(right)) >= float(
            np.finfo(got.dtype).tiny
        ):  # below, results are subnormal and outside the contract
            worst = max(worst, float(abs(MP.mpf(float(value)) - right)) / float(unit))
    return worst


def s(x: Any) -> Any:
    return 1 / (1 + MP.exp(-x))


def cosh2(x: Any) -> Any:
    return MP.cosh(x) ** 2


WIDE = both_signs(1e-8, 700)
MIDDLE = both_signs(1e-8, 300)
UNIT = both_signs(1e-8, 20)

# name: (function, order, points, exact, ULP allowed in float64)
CONTRACT: dict[str, tuple[Callable[..., Any], int, Any, Callable[[Any], Any], float]] = {
    "exp": (ops.exp, 0, WIDE, MP.exp, 2),
    "exp'": (ops.exp, 1, WIDE, MP.exp, 2),
    "log": (ops.log, 0, positive(1e-300, 1e300), MP.log, 2),
    "log'": (ops.log, 1, positive(1e-300, 1e300), lambda x: 1 / x, 2),
    "log1p": (ops.log1p, 0, positive(1e-18, 1e18), MP.log1p, 2),
    "log1p'": (ops.log1p, 1, positive(1e-18, 1e18), lambda x: 1 / (1 + x), 2),
    "expm1": (ops.expm1, 0, WIDE, MP.expm1, 2),
    "expm1'": (ops.expm1, 1, WIDE, MP.exp, 2),
    "sin": (ops.sin, 0, both_signs(1e-8, 1e4), MP.sin, 2),
    "sin'": (ops.sin, 1, both_signs(1e-8, 1e4), MP.cos, 2),
    "cos": (ops.cos, 0, both_signs(1e-8, 1e4), MP.cos, 2),
    "cos'": (ops.cos, 1, both_signs(1e-8, 1e4), lambda x: -MP.sin(x), 2),
    "softplus": (ops.softplus, 0, WIDE, lambda x: MP.log1p(MP.exp(x)), 2),
    "softplus'": (ops.softplus, 1, WIDE, s, 2),
    "sigmoid": (ops.sigmoid, 0, WIDE, s, 2),
    "x^3'": (lambda x: x**3, 1, both_signs(1e-90, 1e90), lambda x: 3 * x * x, 2),
    "x^-2'": (lambda x: x**-2, 1, both_signs(1e-60, 1e60), lambda x: -2 / x**3, 2),
    "bce' at 1": (
        lambda x: ops.binary_cross_entropy_with_logits(x, np.ones(x.shape), reduction="none"),
        1,
        WIDE,
        lambda x: -s(-x),
        2,
    ),
    "bce' at 0": (
        lambda x: ops.binary_cross_entropy_with_logits(x, np.zeros(x.shape), reduction="none"),
        1,
        WIDE,
        s,
        2,
    ),
    "tanh": (ops.tanh, 0, MIDDLE, MP.tanh, 4),
    "tanh'": (ops.tanh, 1, MIDDLE, lambda x: 1 / cosh2(x), 4),
    "sigmoid'": (ops.sigmoid, 1, WIDE, lambda x: s(x) * s(-x), 4),
    "sqrt'": (ops.sqrt, 1, positive(1e-300, 1e300), lambda x: 1 / (2 * MP.sqrt(x)), 4),
    "tan": (ops.tan, 0, both_signs(1e-8, 1.5), MP.tan, 4),
    "tan'": (ops.tan, 1, both_signs(1e-8, 1.5), lambda x: 1 + MP.tan(x) ** 2, 4),
    "1/x'": (lambda x: 1.0 / x, 1, both_signs(1e-100, 1e100), lambda x: -1 / x**2, 4),
    "x^1.7'": (lambda x: x**1.7, 1, positive(1e-25, 1e25), lambda x: MP.mpf(1.7) * x ** (MP.mpf(1.7) - 1), 4),
    "x^.3'": (lambda x: x**0.3, 1, positive(1e-25, 1e25), lambda x: MP.mpf(0.3) * x ** (MP.mpf(0.3) - 1), 4),
    "x^y by x": (
        lambda x: ops.pow(x, Tensor(np.full(x.shape, 0.3))),
        1,
        positive(1e-25, 1e25),
        lambda x: MP.mpf(0.3) * x ** (MP.mpf(0.3) - 1),
        4,
    ),
    "2^x by x": (lambda x: ops.pow(2.0, x), 1, both_signs(1e-8, 900), lambda x: 2**x * MP.log(2), 4),
    "sigmoid''": (ops.sigmoid, 2, MIDDLE, lambda x: s(x) * s(-x) * (s(-x) - s(x)), 8),
    "tanh''": (ops.tanh, 2, MIDDLE, lambda x: -2 * MP.tanh(x) / cosh2(x), 8),
    "exp''": (ops.exp, 2, WIDE, MP.exp, 8),
    "expm1''": (ops.expm1, 2, WIDE, MP.exp, 8),
    "log''": (ops.log, 2, positive(1e-100, 1e100), lambda x: -1 / x**2, 8),
    "log1p''": (ops.log1p, 2, positive(1e-18, 1e18), lambda x: -1 / (1 + x) ** 2, 8),
    "softplus''": (ops.softplus, 2, MIDDLE, lambda x: s(x) * s(-x), 8),
    "sqrt''": (ops.sqrt, 2, positive(1e-150, 1e150), lambda x: -1 / (4 * MP.sqrt(x) ** 3), 8),
}


@pytest.mark.parametrize("name", CONTRACT)
def test_contract_in_float64(name: str) -> None:
    """Over the whole domain, both signs and into the tails, the error stays within the class of the function."""
    fn, order, points, exact, allowed = CONTRACT[name]
    worst = worst_ulp(derivatives(fn, points, order), [exact(MP.mpf(float(x))) for x in points])
    print(f"{name}: {worst:.2f} ULP, allowed {allowed}")
    assert worst <= allowed + ELSEWHERE


SINGLE = [name for name in CONTRACT if name not in {"log'", "x^3'", "x^-2'", "1/x'", "2^x by x"}]


@pytest.mark.parametrize("name", SINGLE)
def test_contract_in_float32(name: str) -> None:
    """In float32 the bounds are 4, 6 and 16 ULP for the classes A, B and second order."""
    fn, order, points, exact, allowed = CONTRACT[name]
    reach = 30.0 if order == 2 or "^" in name else 80.0
    points = points[(np.abs(points) < reach) & (np.abs(points) > 1e-6)].astype(np.float32)[::2]
    worst = worst_ulp(derivatives(fn, points, order), [exact(MP.mpf(float(x))) for x in points])
    print(f"{name}: {worst:.2f} ULP in float32")
    assert worst <= {2: 4, 4: 6, 8: 16}[allowed] + ELSEWHERE


def test_silu_slope() -> None:
    """silu' near its root is judged by the size of its two terms: class B, scaled."""
    exact = [s(x) + x * s(x) * s(-x) for x in map(MP.mpf, MIDDLE)]
    size = [s(x) + abs(x) * s(x) * s(-x) for x in map(MP.mpf, MIDDLE)]
    assert worst_ulp(derivatives(ops.silu, MIDDLE, 1), exact, size) <= 4 + ELSEWHERE
    second = [s(x) * s(-x) * (2 + x * (s(-x) - s(x))) for x in map(MP.mpf, MIDDLE)]
    size = [s(x) * s(-x) * (2 + abs(x)) for x in map(MP.mpf, MIDDLE)]
    assert worst_ulp(derivatives(ops.silu, MIDDLE, 2), second, size) <= 16 + ELSEWHERE


def phi(x: Any) -> Any:
    return MP.exp(-x * x / 2) / MP.sqrt(2 * MP.pi)


def test_gelu() -> None:
    """gelu in its left tail loses digits with x², as the rounding of its argument does: class C."""
    for x in np.concatenate([both_signs(1e-8, 26)]):
        exact = [MP.mpf(float(x)) * MP.erfc(-MP.mpf(float(x)) / MP.sqrt(2)) / 2]
        allowed = 2.0 if x >= 0 else 4 + 1.5 * x * x
        assert worst_ulp(ops.gelu(Tensor(np.array([x]))).data, exact) <= allowed + ELSEWHERE
    points = both_signs(1e-8, 12)
    terms = [(MP.erfc(-x / MP.sqrt(2)) / 2, x * phi(x)) for x in map(MP.mpf, points)]
    got = derivatives(ops.gelu, points, 1)
    for x, value, (first, second) in zip(points, got, terms, strict=True):
        allowed = 8.0 if abs(x) <= 5 else 4 + x * x
        assert worst_ulp(np.array([value]), [first + second], [abs(first) + abs(second)]) <= allowed + ELSEWHERE


@pytest.mark.parametrize("spread", [1.0, 8.0, 50.0])
@pytest.mark.parametrize("classes", [2, 10])
def test_softmax_family(classes: int, spread: float) -> None:
    """Class C: the error of softmax and of the loss's gradient follows the gap between logits, and nothing cancels."""
    rng = np.random.default_rng([classes, int(spread)])
    logits = rng.normal(0, spread, (40, classes))
    x = Tensor(logits, requires_grad=True)
    top = logits.argmax(1)
    gap = logits.max(1) - np.sort(logits, 1)[:, -2]
    p = ops.softmax(x, 1).data
    lp = ops.log_softmax(x, 1).data
    lse = ops.logsumexp(x, 1).data
    (slope,) = autograd.grad(ops.cross_entropy(x, top, reduction="sum"), x)
    for row in range(len(logits)):
        values = [MP.mpf(v) for v in logits[row]]
        total = MP.fsum([MP.exp(v) for v in values])
        others = MP.fsum([MP.exp(v) for i, v in enumerate(values) if i != top[row]])
        shifted = np.abs(logits[row] - logits[row].max())
        for k in range(classes):
            assert worst_ulp(p[row, k : k + 1], [MP.exp(values[k]) / total]) <= 10 + shifted[k] + ELSEWHERE
            # 60 digits are too few to subtract two logarithms that differ by 1e-56.
            exact = -MP.log1p(others / MP.exp(max(values))) + (values[k] - max(values))
            bound = 8 + gap[row] if k == top[row] else 4
            assert worst_ulp(lp[row, k : k + 1], [exact]) <= bound + ELSEWHERE
        assert worst_ulp(lse[row : row + 1], [MP.log(total)], [abs(max(values)) + MP.log(classes)]) <= 4 + ELSEWHERE
        exact = -others / total
        assert worst_ulp(slope.data[row, top[row] : top[row] + 1], [exact]) <= 8 + gap[row] + ELSEWHERE


def test_the_gate_sees_cancellation() -> None:
    """The textbook forms 1 - tanh², y (1 - y) and log(softmax) fail the same gate by orders of magnitude."""
    x = both_signs(1e-3, 30)
    exact = [1 / cosh2(MP.mpf(v)) for v in x]
    assert worst_ulp(1 - np.tanh(x) ** 2, exact) > 1e10
    exact = [s(MP.mpf(v)) * s(-MP.mpf(v)) for v in x]
    y = 1 / (1 + np.exp(-x))
    assert worst_ulp(y * (1 - y), exact) > 1e6
    with_hidden_single = (1 / x.astype(np.float32)).astype(np.float64)
    assert worst_ulp(with_hidden_single, [1 / MP.mpf(v) for v in x]) > 1e7


def test_products_are_within_their_bound() -> None:
    """Class E: matmul and its gradients, componentwise: k eps times the product of magnitudes."""
    rng = np.random.default_rng(5)
    a, b, g = rng.normal(size=(4, 50)), rng.normal(size=(50, 3)), rng.normal(size=(4, 3))
    x, y = Tensor(a, requires_grad=True), Tensor(b, requires_grad=True)
    z = x @ y
    by_x, by_y = autograd.grad(z, [x, y], [Tensor(g)])
    for got, left, right in ((z, a, b), (by_x, g, b.T), (by_y, a.T, g)):
        for i, j in np.ndindex(got.shape):
            terms = [MP.mpf(p) * MP.mpf(q) for p, q in zip(left[i], right[:, j], strict=True)]
            bound = len(terms) * np.finfo(float).eps * float(MP.fsum([abs(t) for t in terms]))
            assert abs(float(MP.mpf(float(got.data[i, j])) - MP.fsum(terms))) <= bound
