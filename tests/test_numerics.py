"""The accuracy contract: errors in units in the last place (ULP) against mpmath, over whole domains.

Every declared op is held to its contract by the package's own measuring code (``tinygrad_mlp.testing.accuracy``);
closed formulas written down here check that code, and what is composed of several ops. Each bound gets the allowance
for CPUs on which NumPy's vectorised functions err by up to 4 ULP.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import settings

from tinygrad_mlp import Tensor, autograd, ops
from tinygrad_mlp.errors import MissingExtraError
from tinygrad_mlp.ops import functions
from tinygrad_mlp.ops.declare import undeclare
from tinygrad_mlp.ops.elementwise import elementwise
from tinygrad_mlp.ops.kernels import _CENTRE, _MILLS
from tinygrad_mlp.samples import Domain, Elementwise
from tinygrad_mlp.tape import OPS
from tinygrad_mlp.testing import accuracy

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


# --- every declared op ----------------------------------------------------------------------------

MEASURED = [op.name for op in OPS.values() if callable(op.rules) or any(op.rules)]
# mpmath takes most of the time. docs/ops.md is measured at 300.
POINTS = {20: 8, 100: 8}.get(settings().max_examples, 100)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", MEASURED)
def test_every_op_keeps_its_contract(name: str, dtype: str) -> None:
    """Value, first and second derivative are within the op's limits over the range that its declaration gives."""
    found = accuracy.measure(name, dtype, points=POINTS)
    assert found.failures(accuracy.contract_of(OPS[name]), ELSEWHERE) == []
    assert not np.isnan(found.figures[0].ulp)


def test_contracts_are_for_ops_that_exist() -> None:
    """A renamed op cannot leave its contract behind."""
    assert set(accuracy.CONTRACT) <= set(OPS)


def tanh_in_single(x: Any) -> Any:
    return np.tanh(x.astype(np.float32)).astype(x.dtype)


def tanh_without_small_ones(x: Any) -> Any:
    return 1.0 - 2.0 / (np.exp(2.0 * x) + 1.0)


def textbook_slope(g: Any, y: Any) -> Any:
    return ops.mul(g, ops.sub(1.0, ops.mul(y, y)))


@pytest.mark.parametrize(
    ("forward", "rule", "wrong"),
    [
        (tanh_without_small_ones, OPS["tanh"].rules[0], "value"),
        (tanh_in_single, OPS["tanh"].rules[0], "value"),
        (lambda x: np.tanh(x), textbook_slope, "first derivative"),
        (lambda x: np.tanh(x), lambda g, x: ops.mul(ops.abs(g), functions.tanh_slope(x)), "first derivative"),
        (
            lambda x: np.tanh(x),
            lambda g, x: ops.mul(g, Tensor(functions.tanh_slope(x.data)) if isinstance(x, Tensor) else 1.0),
            "second derivative",
        ),
    ],
    ids=["cancels", "in float32", "1 - y²", "deaf to the sign of g", "constant slope"],
)
def test_the_gate_refuses(forward: Any, rule: Any, wrong: str) -> None:
    """A declaration of tanh with a bad formula is refused, and for the order that it spoils."""
    declare = elementwise(
        name="odd",
        vjp=(rule,),
        reference=lambda mp, x: mp.tanh(x),
        samples=Elementwise((Domain(reach=(-15.0, 15.0)),)),
    )
    declare(forward)
    try:
        (line,) = accuracy.measure("odd", points=24).failures(accuracy.contract_of(OPS["odd"]), ELSEWHERE)[:1]
    finally:
        undeclare("odd")
    assert wrong in line


def test_measuring_without_mpmath_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where mpmath is missing, the error has the command that installs it."""
    monkeypatch.setitem(sys.modules, "mpmath", None)
    with pytest.raises(MissingExtraError, match=r"tinygrad-mlp\[testing\]"):
        accuracy.measure("exp", points=4)


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
    """gelu keeps its digits in the left tail too: 4 ULP, where the textbook's erfc loses them with x²."""
    x = both_signs(1e-8, 26)
    exact = [v * MP.erfc(-v / MP.sqrt(2)) / 2 for v in map(MP.mpf, x)]
    assert worst_ulp(ops.gelu(Tensor(x)).data, exact) <= 4 + ELSEWHERE
    terms = [(MP.erfc(-v / MP.sqrt(2)) / 2, v * phi(v)) for v in map(MP.mpf, x)]
    size = [abs(first) + abs(second) for first, second in terms]
    assert worst_ulp(derivatives(ops.gelu, x, 1), [a + b for a, b in terms], size) <= 4 + ELSEWHERE
    bends = [phi(v) * (2 - v * v) for v in map(MP.mpf, x)]
    size = [phi(v) * (2 + v * v) for v in map(MP.mpf, x)]
    assert worst_ulp(derivatives(ops.gelu, x, 2), bends, size) <= 4 + ELSEWHERE


def test_coefficients_of_the_normal_tail() -> None:
    """The polynomial in the kernel is the Chebyshev interpolation that its comment describes."""
    n, k = len(_MILLS), MP.mpf(_CENTRE)
    angles = [MP.pi * (2 * j + 1) / (2 * n) for j in range(n)]
    values = []
    for angle in angles:
        x = k * (1 + MP.cos(angle)) / (1 - MP.cos(angle))
        values.append((x + k) * MP.erfc(x / MP.sqrt(2)) * MP.exp(x * x / 2) * MP.sqrt(MP.pi / 2))
    series = [2 * MP.fsum(v * MP.cos(i * a) for v, a in zip(values, angles, strict=True)) / n for i in range(n)]
    series[0] /= 2
    powers = np.array([0] * n, object)
    before, now = np.array([1] + [0] * (n - 1), object), np.array([0, 1] + [0] * (n - 2), object)
    for coefficient in series:
        powers = powers + coefficient * before
        before, now = now, 2 * np.concatenate([[0], now[:-1]]) - before
    np.testing.assert_allclose(np.array(powers, float), _MILLS, rtol=1e-15, atol=1e-24)


def test_cross_entropy_of_a_sure_bit_does_not_cancel() -> None:
    """The binary cross-entropy of targets just below 1 is a sum of positive terms: no digit is lost."""
    x = np.repeat(positive(1e-3, 700), 3)
    target = np.tile(1 - np.array([1e-3, 1e-9, 1e-15]), len(x) // 3)
    y = ops.binary_cross_entropy_with_logits(Tensor(x), target, reduction="none")
    exact = [(1 - MP.mpf(t)) * MP.mpf(v) + MP.log1p(MP.exp(-MP.mpf(v))) for v, t in zip(x, target, strict=True)]
    assert worst_ulp(y.data, exact) <= 2 + ELSEWHERE


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
    rows = np.arange(len(logits))
    (by_hand,) = autograd.grad(-ops.log_softmax(x, 1)[rows, top].sum(), x)
    (of_p,) = autograd.grad(ops.softmax(x, 1)[rows, top].sum(), x)
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
        place = slice(top[row], top[row] + 1)
        assert worst_ulp(slope.data[row, place], [exact]) <= 8 + gap[row] + ELSEWHERE
        assert worst_ulp(by_hand.data[row, place], [exact]) <= 8 + gap[row] + ELSEWHERE
        exact = others / total * MP.exp(max(values)) / total
        assert worst_ulp(of_p.data[row, place], [exact]) <= 16 + gap[row] + ELSEWHERE


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
