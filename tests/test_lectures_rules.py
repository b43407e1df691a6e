"""The lectures' calculus: rules of differentiation (L9) against SymPy, the table of activations (L7) against mpmath."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy
from numpy.testing import assert_array_equal

import tinygrad_mlp as tg
from tinygrad_mlp import Tensor, autograd, nn

# --- L9: rules of differentiation ---

x = sympy.Symbol("x", real=True)
RULES: dict[str, tuple[Any, tuple[float, float]]] = {
    "constant": (7 + 0.0 * x, (-2, 2)),
    "power": (x**5, (-2, 2)),
    "negative power": (x**-3, (0.3, 2)),
    "fractional power": (x ** sympy.Rational(3, 2), (0.3, 3)),
    "generalised power": ((sympy.sin(x) + 2) ** 3, (-4, 4)),
    "sum": (x**2 + sympy.sin(4 * x), (-2, 2)),
    "difference": (sympy.exp(x) - x**3, (-2, 3)),
    "product": (x**2 * sympy.cos(x), (-5, 5)),
    "quotient": (sympy.sin(3 * x) / (x**2 + 1), (-3, 3)),
    "chain of two": (sympy.sin(x**2), (-3, 3)),
    "chain of five": (sympy.sqrt(sympy.log(1 + sympy.exp(sympy.sin(x**2)))), (-2.5, 2.5)),
    "exp": (sympy.exp(x), (-3, 3)),
    "exp of a function": (sympy.exp(-(x**2) / 2), (-3, 3)),
    "a to the x": (sympy.Float(2.5) ** x, (-3, 3)),
    "ln": (sympy.log(x), (0.1, 5)),
    "sin": (sympy.sin(x), (-6, 6)),
    "cos": (sympy.cos(x), (-6, 6)),
    "tan": (sympy.tan(x), (-1.3, 1.3)),
}
ENGINE = {"sin": tg.sin, "cos": tg.cos, "tan": tg.tan, "exp": tg.exp, "log": tg.log, "sqrt": tg.sqrt}


@pytest.mark.parametrize("name", RULES)
def test_the_tape_follows_the_rule(name: str) -> None:
    """First and second derivative are those that SymPy finds, with the digits that float64 has."""
    formula, (low, high) = RULES[name]
    points = np.random.default_rng(0).uniform(low, high, 50)
    place = Tensor(points, requires_grad=True)
    function = sympy.lambdify(x, formula, modules=ENGINE)
    value = function(place) if name != "constant" else 7.0 + 0.0 * place
    (first,) = autograd.grad(value.sum(), [place], create_graph=True)
    # A straight line's gradient does not depend on x: there is nothing on the tape, or no way on it to x.
    (second,) = autograd.grad(first.sum(), [place], allow_unused=True) if first.requires_grad else (None,)
    second = tg.zeros_like(place) if second is None else second
    for order, found in ((0, value), (1, first), (2, second)):
        exact = sympy.lambdify(x, sympy.diff(formula, x, order), modules="mpmath")
        with mpmath.workdps(40):
            expected = np.array([float(exact(mpmath.mpf(point))) for point in points])
        assert np.abs(found.data - expected).max() <= 16 * 2.0**-52 * max(np.abs(expected).max(), 1.0), order


def test_rules_hold_for_any_two_functions() -> None:
    """Sum, product, quotient and chain, put together from the gradients of u and v as SymPy puts them together."""
    u, v = (sympy.Function(name) for name in "uv")
    points = np.random.default_rng(1).uniform(0.2, 1.0, 20)

    def u_of(z: Any) -> Any:
        return tg.tanh(z) * z

    def v_of(z: Any) -> Any:
        return tg.exp(z) + 1.0

    def slope(function: Callable[[Any], Any], at: np.ndarray) -> np.ndarray:
        place = Tensor(at, requires_grad=True)
        function(place).sum().backward()
        return place.grad.data  # type: ignore[union-attr]

    known = {"u": u_of(points), "v": v_of(points), "du": slope(u_of, points), "dv": slope(v_of, points)}
    known["du_at_v"] = slope(u_of, known["v"])
    letters = sympy.symbols("u v du dv du_at_v")
    combinations: dict[str, tuple[Any, Callable[[Any], Any]]] = {
        "sum": (u(x) + v(x), lambda z: u_of(z) + v_of(z)),
        "difference": (u(x) - v(x), lambda z: u_of(z) - v_of(z)),
        "product": (u(x) * v(x), lambda z: u_of(z) * v_of(z)),
        "quotient": (u(x) / v(x), lambda z: u_of(z) / v_of(z)),
        "power": (u(x) ** 3, lambda z: u_of(z) ** 3),
        "chain": (u(v(x)), lambda z: u_of(v_of(z))),
    }
    for name, (formula, function) in combinations.items():
        rule = sympy.diff(formula, x).doit()
        inner = sympy.Subs(
            sympy.Derivative(u(sympy.Symbol("_xi_1")), sympy.Symbol("_xi_1")), sympy.Symbol("_xi_1"), v(x)
        )
        for derivative, letter in (
            (inner.doit(), letters[4]),
            (sympy.diff(u(v(x)), v(x)), letters[4]),
            (sympy.diff(u(x), x), letters[2]),
            (sympy.diff(v(x), x), letters[3]),
            (u(x), letters[0]),
            (v(x), letters[1]),
        ):
            rule = rule.subs(derivative, letter)
        assert rule.free_symbols <= set(letters), name
        expected = sympy.lambdify(letters, rule, modules="numpy")(*(known[str(one)] for one in letters))
        np.testing.assert_allclose(slope(function, points), expected, rtol=1e-13, err_msg=name)


# --- L7: activations ---


def softmax_of_three(z: Any) -> Any:
    """The first share, when the two other scores are 1 and -1."""
    return tg.softmax(tg.stack([z, tg.ones_like(z), -tg.ones_like(z)], dim=1), axis=1)[:, 0]


mpf = mpmath.mpf
# name: (with the engine, with mpmath, where there is no derivative)
ACTIVATIONS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any], tuple[float, ...]]] = {
    "linear": (nn.Identity(), lambda z: z, ()),
    "unit step": (lambda z: (tg.sign(z) + 1.0) / 2.0, lambda z: (mpmath.sign(z) + 1) / 2, (0.0,)),
    "sign": (tg.sign, mpmath.sign, (0.0,)),
    "piece-wise linear": (lambda z: tg.clamp(z + 0.5, 0.0, 1.0), lambda z: min(max(z + mpf(0.5), 0), 1), (-0.5, 0.5)),
    "logistic": (nn.Sigmoid(), lambda z: 1 / (1 + mpmath.exp(-z)), ()),
    "tanh": (nn.Tanh(), mpmath.tanh, ()),
    "ReLU": (nn.ReLU(), lambda z: max(z, 0), (0.0,)),
    "leaky ReLU": (nn.LeakyReLU(0.25), lambda z: z if z > 0 else z / 4, (0.0,)),
    "softmax": (softmax_of_three, lambda z: mpmath.exp(z) / (mpmath.exp(z) + mpmath.e + 1 / mpmath.e), ()),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_table_of_activations(name: str) -> None:
    """Values everywhere, derivatives where they exist, within a few units of the last place of mpmath's."""
    function, reference, corners = ACTIVATIONS[name]
    points = np.r_[-700, -40, np.linspace(-6, 6, 49), 40, 700]
    place = Tensor(points, requires_grad=True)
    value = function(place) * 1.0
    value.sum().backward()
    with mpmath.workdps(400):  # digits enough for 1 - tanh(700)^2
        for point, found, slope in zip(points.tolist(), value.tolist(), place.grad.tolist(), strict=True):  # type: ignore[union-attr]
            exact = mpf(reference(mpf(point)))
            assert abs(found - exact) <= 4 * 2.0**-52 * abs(exact), point
            if point not in corners:
                derivative = mpmath.diff(reference, mpf(point), h=mpf(10) ** -60)
                assert abs(slope - derivative) <= 8 * 2.0**-52 * abs(derivative) + mpf(10) ** -50, point


def test_the_step_is_a_half_at_0_and_has_no_slope_anywhere() -> None:
    """L7's convention for the jump; and the derivative that keeps layers below a step from learning."""
    place = Tensor([-1e-300, -0.0, 0.0, 1e-300], requires_grad=True, dtype="float64")
    step = ACTIVATIONS["unit step"][0](place)
    step.sum().backward()
    assert step.tolist() == [0.0, 0.5, 0.5, 1.0]
    assert_array_equal(place.grad.data, np.zeros(4))  # type: ignore[union-attr]
