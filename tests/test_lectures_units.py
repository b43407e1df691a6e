"""The lectures' single units and single layers: perceptron (L1), Adaline (L2), the layer of sigmoid units (L3).

Weights and bounds of the perceptron, and Adaline's formula and least squares, are in test_sklearn_classic.py.
"""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import sklearn.linear_model as theirs
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.multioutput import MultiOutputClassifier

import tinygrad_mlp.sklearn as ours
from tinygrad_mlp import Tensor, compile, nn, ops, optim
from tinygrad_mlp.datasets import load_iris

HUE = [0.62, 0.32, 1.00, 0.60, 0.45, 0.74, 0.70, 0.62, 0.30, 0.52, 0.96, 0.25]
ELONGATION = [3.0, 1.9, 2.7, 2.0, 1.4, 1.7, 2.8, 1.1, 1.4, 2.2, 1.8, 1.5]
BANANA = np.array([1, 0, 1, 1, 0, 0, 1, 0, 0, 1, 1, 0])


def petals() -> tuple[np.ndarray, np.ndarray]:
    """Length and width of the petals, standardised, and whether the plant is a setosa."""
    iris = load_iris()
    X = iris.data[:, 2:].astype(np.float64)
    return (X - X.mean(axis=0)) / X.std(axis=0), (iris.target == 0).astype(int)


# --- L1: the perceptron ---


def test_bananas_and_apples() -> None:
    """The toy of hue and elongation is learnt, with the weights that scikit-learn finds in the same order of fruits."""
    X = np.c_[HUE, ELONGATION]
    options = {"shuffle": False, "tol": None, "max_iter": 100}
    a, b = (one.Perceptron(**options).fit(X, BANANA) for one in (theirs, ours))
    assert_array_equal(b.coef_, a.coef_)
    assert_array_equal(b.intercept_, a.intercept_)
    assert b.score(X, BANANA) == 1.0


def test_the_line_divides_the_plane() -> None:
    """Points just above and below x1 = -(w0/w1) x0 - b/w1 get different answers, all along the line."""
    X, y = petals()
    model = ours.Perceptron().fit(X, y)
    (w0, w1), b = model.coef_[0], model.intercept_[0]
    across = np.linspace(-3, 3, 50)
    line = -w0 / w1 * across - b / w1
    above, below = (model.predict(np.c_[across, line + push]) for push in (1e-9, -1e-9))
    assert_array_equal(above, np.full(50, w1 > 0))
    assert_array_equal(below, np.full(50, w1 < 0))


def test_two_labels_at_once() -> None:
    """A layer of two units answers two questions; each row of weights is scikit-learn's for that question alone."""
    X, labels = np.c_[HUE, ELONGATION], np.c_[BANANA, np.array(HUE) > 0.65].astype(int)
    layer = MultiOutputClassifier(ours.Perceptron(tol=None, max_iter=400)).fit(X, labels)
    assert_array_equal(layer.predict(X), labels)
    for place, unit in enumerate(layer.estimators_):
        assert_array_equal(unit.coef_, theirs.Perceptron(tol=None, max_iter=400).fit(X, labels[:, place]).coef_)


def test_on_exclusive_or_the_weights_come_back() -> None:
    """A proof that it never ends: whole numbers, one order, and an epoch that ends where an earlier one ended."""
    X, y = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), [0, 1, 1, 0]
    model, states = ours.Perceptron(), []
    while not states or states[-1] not in states[:-1]:
        model.partial_fit(X, y, classes=[0, 1])
        states.append((*model.coef_[0], *model.intercept_))
        assert len(states) < 50
        assert all(float(one).is_integer() for one in states[-1])


# --- L2: Adaline ---


@pytest.mark.parametrize("size", [1, 10, 32, 150])
def test_mini_batches_descend_by_the_formula(size: int) -> None:
    """One sample, some and all: w moves by (2 eta / n) sum (y - a) x, in eager, replayed and compiled steps."""
    X, y = petals()
    A = np.c_[X, np.ones(len(X))]
    expected = np.zeros(3)
    orders = [np.random.default_rng(epoch).permutation(150) for epoch in range(2)]
    batches = [order[first : first + size] for order in orders for first in range(0, 150 - size + 1, size)]
    for batch in batches:
        expected = expected + 0.02 * 2 / size * A[batch].T @ (y[batch] - A[batch] @ expected)
    for backend in (None, "replay"):
        unit = nn.Linear(2, 1, dtype="float64")
        for one in unit.parameters():
            nn.init.zeros_(one)
        optimizer = optim.SGD(unit.parameters(), lr=0.02)
        loss_of = nn.MSELoss()

        def step(x: Tensor, target: Tensor, unit=unit, optimizer=optimizer, loss_of=loss_of) -> Tensor:  # type: ignore[no-untyped-def]
            optimizer.zero_grad()
            loss = loss_of(unit(x)[:, 0], target)
            loss.backward()
            optimizer.step()
            return loss

        run = step if backend is None else compile(step, backend=backend)
        for batch in batches:
            run(Tensor(X[batch]), Tensor(y[batch].astype(np.float64)))
        assert_allclose([*unit.weight.data[0], *unit.bias.data], expected, rtol=1e-11, atol=1e-14)


def test_the_largest_learning_rate_is_two_over_the_curvature() -> None:
    """A hundredth below 2 / lambda the loss falls in every epoch; a hundredth above it ends by growing."""
    X, y = petals()
    A = np.c_[X, np.ones(150)]
    border = 2 / np.linalg.eigvalsh(2 / 150 * A.T @ A).max()
    small, large = (ours.AdalineGD(eta=rate * border, n_iter=400).fit(X, y).losses_ for rate in (0.99, 1.01))
    assert np.all(np.diff(small) < 0)
    assert np.all(np.diff(large)[300:] > 0)
    assert large[-1] > large[0]
    assert small[-1] < 0.1
    tiny = ours.AdalineGD(eta=1e-5, n_iter=400).fit(X, y).losses_
    assert tiny[-1] > 0.95 * tiny[0]


def test_a_threshold_of_0_and_one_of_a_half_are_one_line() -> None:
    """Targets -1 and 1 with the threshold 0 answer as targets 0 and 1 with the threshold 1/2, at the closed form."""
    X, y = petals()
    signed, *_ = np.linalg.lstsq(np.c_[X, np.ones(150)], 2.0 * y - 1, rcond=None)
    model = ours.AdalineGD(eta=0.4, n_iter=3000).fit(X, y)
    assert_allclose(np.r_[2 * model.w_, 2 * model.b_ - 1], signed, atol=1e-9)
    assert_array_equal(model.predict(X), np.c_[X, np.ones(150)] @ signed >= 0)


# --- L3: a layer of sigmoid units ---


@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(1, 4), st.floats(0.1, 3.0))
def test_a_sigmoid_layer_has_the_gradient_of_the_formula(seed: int, inputs: int, units: int, scale: float) -> None:
    """dL/dw_ij = (y_hat_j - y_j) y_hat_j (1 - y_hat_j) x_i with 40 digits; the tape has all but the last of sixteen."""
    draws = np.random.default_rng(seed)
    x, b = draws.normal(size=inputs), draws.normal(size=units)
    W, y = scale * draws.normal(size=(inputs, units)), draws.integers(0, 2, units).astype(np.float64)
    weight, bias = Tensor(W, requires_grad=True), Tensor(b, requires_grad=True)
    loss = 0.5 * ((ops.sigmoid(Tensor(x) @ weight + bias) - Tensor(y)) ** 2).sum()
    loss.backward()
    with mpmath.workdps(40):
        for j in range(units):
            terms = [mpmath.mpf(W[i, j]) * mpmath.mpf(x[i]) for i in range(inputs)]
            output = 1 / (1 + mpmath.exp(-(mpmath.fsum(terms) + mpmath.mpf(b[j]))))
            delta = (output - y[j]) * output * (1 - output)
            # The sum z is rounded, by at most this; sigma' and the error each pass on no more than its size.
            lost = 2.0**-52 * (8 + (inputs + 2) * float(mpmath.fsum(map(abs, terms)) + abs(b[j])))
            # Where the output is near its target, the difference of the two has lost digits that the output had.
            lost *= 1 + float(output / abs(output - y[j]))
            assert abs(bias.grad.data[j] - delta) <= lost * abs(delta)  # type: ignore[union-attr]
            for i in range(inputs):
                exact = delta * mpmath.mpf(x[i])
                assert abs(weight.grad.data[i, j] - exact) <= lost * abs(exact)  # type: ignore[union-attr]


def test_a_sigmoid_layer_trains_as_the_formula_does() -> None:
    """nn.Linear and nn.Sigmoid under SGD, on three species: after 500 steps the weights of the loop by hand."""
    X, _ = petals()
    Y = np.eye(3)[load_iris().target]
    W, b = np.zeros((2, 3)), np.zeros(3)
    layer = nn.Sequential(nn.Linear(2, 3, dtype="float64"), nn.Sigmoid())
    for one in layer.parameters():
        nn.init.zeros_(one)
    optimizer = optim.SGD(layer.parameters(), lr=2.0)
    for _ in range(500):
        output = 1 / (1 + np.exp(-(X @ W + b)))
        delta = (output - Y) * output * (1 - output) / 150
        W, b = W - 2.0 * X.T @ delta, b - 2.0 * delta.sum(axis=0)
        optimizer.zero_grad()
        (0.5 * ((layer(Tensor(X)) - Tensor(Y)) ** 2).sum() / 150).backward()
        optimizer.step()
    assert_allclose(layer[0].weight.data.T, W, rtol=1e-10)
    assert_allclose(layer[0].bias.data, b, rtol=1e-10)
