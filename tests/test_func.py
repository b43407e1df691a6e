"""Derivatives as functions: every transform against the complex step, and any nesting of them against another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_mlp as tg
from tinygrad_mlp import Tensor, func, nn, ops
from tinygrad_mlp.errors import ArgumentError, GradientError, ShapeError
from tinygrad_mlp.tree import flatten, map_leaves, unflatten


class Pair(NamedTuple):
    """A named tuple, to see that its type survives."""

    left: Any
    right: Any


trees = st.recursive(
    st.integers(),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(st.text(max_size=3), inner, max_size=4),
        st.builds(Pair, inner, inner),
    ),
    max_leaves=20,
)


@given(trees)
def test_unflatten_undoes_flatten(tree: Any) -> None:
    """Any nesting comes back as it was, and mapping touches every leaf once."""
    leaves, shape = flatten(tree)
    assert unflatten(shape, leaves) == tree
    assert flatten(map_leaves(lambda leaf: leaf + 1, tree))[0] == [leaf + 1 for leaf in leaves]


def test_deep_trees_need_no_recursion() -> None:
    """Ten thousand levels of lists flatten and come back."""
    tree: Any = 7
    for _ in range(10_000):
        tree = [tree]
    leaves, shape = flatten(tree)
    back = unflatten(shape, leaves)
    for _ in range(10_000):
        (back,) = back
    assert leaves == [7]
    assert back == 7


def test_trees_of_another_shape_are_refused() -> None:
    """Too few leaves, or trees that differ, raise."""
    with pytest.raises(ArgumentError):
        unflatten(flatten([1, 2])[1], [1])
    with pytest.raises(ArgumentError):
        map_leaves(lambda a, b: a + b, [1, 2], [1])


# --- functions of R^4, analytic, so that the complex step is exact ----------------------------------


def one_number(x: Any) -> Any:
    return ops.sum(ops.sin(x) * ops.exp(x * 0.5)) + x[0] * x[1] * x[2]


def several(x: Any) -> Any:
    return ops.stack([x[0] * x[1], ops.tanh(x[2]) * x[3], ops.exp(x[0] * x[3])])


def complex_jacobian(function: Callable[[Any], Any], x: np.ndarray) -> np.ndarray:
    columns = []
    for i in range(x.size):
        moved = x.astype(complex)
        moved.flat[i] += 1e-20j
        columns.append(np.asarray(function(moved)).imag / 1e-20)
    return np.stack(columns, axis=-1)


def several_numpy(x: np.ndarray) -> np.ndarray:
    return np.stack([x[0] * x[1], np.tanh(x[2]) * x[3], np.exp(x[0] * x[3])])


def one_number_numpy(x: np.ndarray) -> Any:
    return np.sum(np.sin(x) * np.exp(x * 0.5)) + x[0] * x[1] * x[2]


def gradient_numpy(x: np.ndarray) -> np.ndarray:
    products = np.stack([x[1] * x[2], x[0] * x[2], x[0] * x[1], 0 * x[3]])
    return np.exp(x * 0.5) * (np.cos(x) + 0.5 * np.sin(x)) + products


POINTS = [np.random.default_rng(seed).normal(size=4) for seed in range(5)]


@pytest.mark.parametrize("x", POINTS)
def test_first_derivatives_agree_with_the_complex_step(x: np.ndarray) -> None:
    """grad, jacrev and jacfwd give the complex step's numbers."""
    np.testing.assert_allclose(func.grad(one_number)(x).data, complex_jacobian(one_number_numpy, x), rtol=1e-13)
    expected = complex_jacobian(several_numpy, x)
    np.testing.assert_allclose(func.jacrev(several)(x).data, expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(func.jacfwd(several)(x).data, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("x", POINTS)
def test_second_derivatives_agree_with_the_complex_step_of_the_gradient(x: np.ndarray) -> None:
    """hessian, and every nesting of forward and reverse, give the complex step of the hand-written gradient."""
    expected = complex_jacobian(gradient_numpy, x)
    found = {
        "hessian": func.hessian(one_number),
        "forward over reverse": func.jacfwd(func.grad(one_number)),
        "reverse over forward": func.jacrev(func.jacfwd(one_number)),
        "forward over forward": func.jacfwd(func.jacfwd(one_number)),
        "reverse over reverse": func.jacrev(func.jacrev(one_number)),
    }
    for name, derived in found.items():
        np.testing.assert_allclose(derived(x).data, expected, rtol=1e-11, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("x", POINTS)
def test_pushing_and_pulling_are_adjoint(x: np.ndarray) -> None:
    """<u, J v> equals <J^T u, v>, and both may be asked again; the hessian times v is hvp."""
    rng = np.random.default_rng(9)
    value, pull = func.vjp(several, x)
    _, push = func.linearize(several, x)
    np.testing.assert_allclose(value.data, several_numpy(x), rtol=1e-15)
    for _ in range(2):
        u, v = rng.normal(size=3), rng.normal(size=4)
        np.testing.assert_allclose(np.sum(u * push(v).data), np.sum(pull(u)[0].data * v), rtol=1e-12)
    gradient, product = func.hvp(one_number, (x,), (v,))
    np.testing.assert_allclose(gradient.data, gradient_numpy(x), rtol=1e-13)
    np.testing.assert_allclose(product.data, complex_jacobian(gradient_numpy, x) @ v, rtol=1e-11)


def test_derivatives_nest_through_closures() -> None:
    """An inner derivative of a function that uses the outer variable keeps the outer one's gradient."""

    def outer(a: Any, b: Any) -> Any:
        return a * func.grad(lambda c: c**3 * a)(b)

    by_a, by_b = func.grad(outer, argnums=(0, 1))(2.0, 3.0)
    assert (by_a.item(), by_b.item()) == (2 * 2 * 27, 2 * 2 * 2 * 9)
    fifth = lambda x: x**5
    assert func.grad(func.grad(func.grad(fifth)))(2.0).item() == 60 * 4


def test_nested_arguments_and_auxiliary_results() -> None:
    """Gradients have the nesting of the argument; has_aux passes a second result through untouched."""
    params = {"w": np.array([1.0, 2.0]), "inner": [np.array(3.0)]}

    def loss(p: Any) -> Any:
        value = (p["w"] * p["w"]).sum() * p["inner"][0]
        return value, {"seen": value.shape}

    gradient, aux = func.grad(loss, has_aux=True)(params)
    np.testing.assert_array_equal(gradient["w"].data, [6.0, 12.0])
    assert gradient["inner"][0].item() == 5.0
    assert aux == {"seen": ()}
    (value, _), _ = func.value_and_grad(loss, has_aux=True)(params)
    assert value.item() == 15.0
    assert value.node is None


def test_unused_arguments_get_zeros_and_integers_are_refused() -> None:
    """What the result does not depend on has gradient 0; integers have none."""
    by_a, by_b = func.grad(lambda a, b: (a * a).sum(), argnums=(0, 1))(np.ones(2), np.ones(3))
    np.testing.assert_array_equal(by_a.data, [2.0, 2.0])
    np.testing.assert_array_equal(by_b.data, np.zeros(3))
    assert func.jvp(lambda x: tg.ones(2), (np.ones(3),), (np.ones(3),))[1].tolist() == [0.0, 0.0]
    with pytest.raises(GradientError, match="argument 0 holds int64"):
        func.grad(lambda x: x.sum())(np.arange(3))


def test_misuse_says_what_was_expected() -> None:
    """Several outputs, wrong tangents, wrong argnums and wrong results of the function raise named errors."""
    with pytest.raises(GradientError, match="take jacrev"):
        func.grad(several)(POINTS[0])
    with pytest.raises(ShapeError, match=r"expected shape \(4,\)"):
        func.jvp(several, (POINTS[0],), (np.ones(3),))
    with pytest.raises(ShapeError, match="nesting"):
        func.jvp(several, (POINTS[0],), ({"x": np.ones(4)},))
    with pytest.raises(ArgumentError, match="argnums 2"):
        func.grad(one_number, argnums=2)(POINTS[0])
    with pytest.raises(GradientError, match="returned float"):
        func.grad(lambda x: 1.0)(POINTS[0])
    with pytest.raises(ArgumentError, match="has_aux"):
        func.grad(one_number, has_aux=True)(POINTS[0])


def test_functional_call_equals_the_module_and_restores_it() -> None:
    """The gradient by parameters given by name equals backward()'s, and the module is as before, after errors too."""
    model = nn.MLP(3, 5, 2, seed=0, activation="tanh")
    x = tg.randn(7, 3, seed=1)
    own = dict(model.named_parameters())
    nodes = {name: tensor.node for name, tensor in own.items()}
    given_parameters = {name: tensor.detach() for name, tensor in own.items()}

    def loss(parameters: Any) -> Any:
        return (func.functional_call(model, parameters, (x,)) ** 2).sum()

    gradient = func.grad(loss)(given_parameters)
    (model(x) ** 2).sum().backward()
    for name, tensor in own.items():
        assert tensor.node is nodes[name]
        np.testing.assert_array_equal(gradient[name].data, tensor.grad.data)
    with pytest.raises(ArgumentError, match="has no parameter nothing"):
        func.functional_call(model, {"nothing": x}, (x,))
    with pytest.raises(ShapeError, match=r"0\.weight has shape \(5, 3\)"):
        func.functional_call(model, {"0.weight": x}, (x,))
    assert all(tensor.node is nodes[name] for name, tensor in own.items())


def test_transforms_leave_no_gradient_behind() -> None:
    """Nothing is accumulated in .grad of tensors that the function uses."""
    w = Tensor([2.0], requires_grad=True)
    func.grad(lambda x: (x * w).sum())(Tensor([3.0], requires_grad=True))
    assert w.grad is None


def test_a_third_derivative_at_an_exact_zero_is_whole() -> None:
    """Where the gradient that comes in is exactly 0, the product rule still has two terms: `(a/b)²` at `a = 0`."""

    def square(a: Any, b: Any) -> Any:
        return (a / b) * (a / b)

    mixed = func.grad(func.grad(func.grad(square, 1), 0), 0)
    for a in (0.0, 1e-9):
        assert mixed(Tensor(a, dtype="float64"), Tensor(2.0, dtype="float64")).item() == pytest.approx(-4 / 2.0**3)
