"""The classic learners: Rosenblatt's perceptron and Adaline, against scikit-learn, the textbook and the theorems."""

from __future__ import annotations

import pickle
import re
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import sklearn.linear_model as theirs
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits, load_iris
from sklearn.multioutput import MultiOutputClassifier
from sklearn.preprocessing import scale

import tinygrad_mlp.sklearn as ours
from tinygrad_mlp import Tensor, nn

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

PETALS, SETOSA = scale(load_iris().data[:, 2:]), (load_iris().target == 0).astype(int)
OPTIONS: list[dict[str, Any]] = [
    {},
    {"shuffle": False, "tol": None, "max_iter": 3},
    {"class_weight": "balanced", "random_state": 3},
    {"fit_intercept": False, "eta0": 0.3},
    {"early_stopping": True},
    {"penalty": "l1", "max_iter": 4},
    {"penalty": "l2", "alpha": 1e-3, "max_iter": 4},
    {"penalty": "elasticnet", "l1_ratio": 0.4, "max_iter": 4},
]


# --- the perceptron ---


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
def test_weights_are_those_of_scikit_learn(options: dict[str, Any], sparse: bool) -> None:
    """For two classes and ten, every weight is equal; to the bit where no penalty rounds in another order."""
    digits = load_digits()
    for X, y in (
        (scale(load_breast_cancer().data), load_breast_cancer().target),
        (digits.data[:300], digits.target[:300]),
    ):
        X = scipy.sparse.csr_matrix(X) if sparse else X
        weights = np.random.default_rng(0).uniform(0.5, 2, len(y))
        a, b = (one.Perceptron(**options).fit(X, y, sample_weight=weights) for one in (theirs, ours))
        assert (a.n_iter_, a.t_) == (b.n_iter_, b.t_)
        equal = assert_allclose if "penalty" in options else assert_array_equal
        equal(b.coef_, a.coef_, **({"atol": 1e-9} if "penalty" in options else {}))
        equal(b.intercept_, a.intercept_, **({"atol": 1e-9} if "penalty" in options else {}))
        assert_array_equal(b.predict(X), a.predict(X))


def test_setosa_or_not() -> None:
    """L1: standardised petals of 75 irises are told apart by scikit-learn's line, and so are the other 75."""
    order = np.random.default_rng(0).permutation(150)
    train, test = order[:75], order[75:]
    a, b = (one.Perceptron(random_state=0).fit(PETALS[train], SETOSA[train]) for one in (theirs, ours))
    assert_array_equal(b.coef_, a.coef_)
    assert_array_equal(b.intercept_, a.intercept_)
    assert b.score(PETALS[train], SETOSA[train]) == b.score(PETALS[test], SETOSA[test]) == 1.0


def test_the_rule_is_the_textbooks() -> None:
    """Sample by sample ``w += eta (y - step(w·x)) x`` on augmented samples, one on the line being a mistake."""
    X, y = PETALS[40:70], SETOSA[40:70]
    w = np.zeros(3)
    for _ in range(3):
        for x, target in zip(np.c_[np.ones(30), X], y, strict=True):
            net = w @ x
            output = (1 - target) if net == 0 else int(net > 0)
            w += 0.5 * (target - output) * x
    model = ours.Perceptron(eta0=0.5, shuffle=False, tol=None, max_iter=3).fit(X, y)
    assert_allclose([model.intercept_[0], *model.coef_[0]], w, atol=1e-13)


def test_the_rule_is_descent_on_the_perceptron_loss() -> None:
    """A mistake moves the weights by minus eta times the tape's gradient of ``max(0, -y (w·x + b))``."""
    model = ours.Perceptron(eta0=0.3).partial_fit(PETALS[:1], SETOSA[:1], classes=[0, 1])
    for x, target in zip(PETALS[45:60], SETOSA[45:60], strict=True):
        w, b = (
            Tensor(one[None] if one.ndim == 1 else one, requires_grad=True) for one in (model.coef_, model.intercept_)
        )
        ((Tensor(x) @ w.T + b) * float(1 - 2 * target)).relu().sum().backward()
        before = model.coef_.copy(), model.intercept_.copy()
        model.partial_fit(x[None], [target])
        assert_allclose(model.coef_, before[0] - 0.3 * w.grad.numpy(), atol=1e-14)  # type: ignore[union-attr]
        assert_allclose(model.intercept_, before[1] - 0.3 * b.grad.numpy()[0], atol=1e-14)  # type: ignore[union-attr]


@settings(max_examples=8 if settings.default.max_examples <= 100 else 200)  # type: ignore[union-attr]
@given(st.integers(0, 10**6), st.floats(0.1, 0.6), st.integers(1, 4))
def test_the_convergence_theorem_holds(seed: int, margin: float, features: int) -> None:
    """On separable data mistakes stay below (R / gamma)^2, and end.

    R is the longest augmented sample, gamma the margin of some dividing plane (Novikoff, 1962).
    """
    draws = np.random.default_rng(seed)
    plane = draws.normal(size=features + 1)
    plane /= np.linalg.norm(plane)
    X = draws.uniform(-2, 2, (400, features))
    distance = np.c_[X, np.ones(400)] @ plane
    X, distance = X[np.abs(distance) > margin][:30], distance[np.abs(distance) > margin][:30]
    y = np.sign(distance)
    if len(set(y)) < 2:
        return
    bound = (np.linalg.norm(np.c_[X, np.ones(len(X))], axis=1).max() / np.abs(distance).min()) ** 2
    model = ours.Perceptron()
    mistakes = 0
    for _ in range(int(bound) + 1):
        before = mistakes
        for x, target in zip(X, y, strict=True):
            bias = getattr(model, "intercept_", np.zeros(1)).copy()
            # Every mistake moves the bias by one.
            mistakes += int(abs(model.partial_fit(x[None], [target], classes=[-1, 1]).intercept_[0] - bias[0]))
        if mistakes == before:
            break
    assert 0 < mistakes <= bound
    assert model.score(X, y) == 1.0


def test_xor_never_converges() -> None:
    """No line divides exclusive or: after each of 200 epochs a sample is on the wrong side."""
    X, y = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), [0, 1, 1, 0]
    model = ours.Perceptron()
    for _ in range(200):
        before = np.r_[model.coef_[0], model.intercept_] if hasattr(model, "coef_") else np.zeros(3)
        model.partial_fit(X, y, classes=[0, 1])
        assert model.score(X, y) < 1.0
    assert model.fit(X, y).n_iter_ < 1000  # tol gives up
    assert before.size == 3


def test_several_units_are_a_layer_for_labels() -> None:
    """L1: one unit per label, each with the weights that it has alone."""
    Y = np.c_[SETOSA, PETALS[:, 0] > 0.5]
    layer = MultiOutputClassifier(ours.Perceptron()).fit(PETALS, Y)
    for place, unit in enumerate(layer.estimators_):
        assert_array_equal(unit.coef_, ours.Perceptron().fit(PETALS, Y[:, place]).coef_)
    assert layer.predict(PETALS).shape == Y.shape


def test_perceptron_refuses_what_scikit_learn_refuses() -> None:
    """One class, wrong starts, overflow, classes that come late: the same messages."""
    huge = np.array([[1e308, 1e308], [-1e308, 1e308], [1e308, -1e308]] * 4)
    cases: list[tuple[dict[str, Any], tuple[Any, ...], dict[str, Any]]] = [
        ({}, (PETALS, np.zeros(150)), {}),
        ({"eta0": 100.0}, (huge, [0, 1, 1] * 4), {}),
        ({"eta0": -1.0}, (PETALS, SETOSA), {}),
    ]
    for options, data, more in cases:
        messages = []
        for library in (theirs, ours):
            with np.errstate(all="ignore"), pytest.raises(ValueError, match=r".") as caught:
                library.Perceptron(**options).fit(*data, **more)
            messages.append(re.sub(r"\s+", " ", str(caught.value)))
        assert messages[0] == messages[1]
    with pytest.raises(ValueError, match="coef_init"):
        ours.Perceptron().fit(PETALS, SETOSA, coef_init=np.zeros(5))
    for options in ({"early_stopping": True}, {"class_weight": "balanced"}):
        with pytest.raises(ValueError, match="partial_fit"):
            ours.Perceptron(**options).partial_fit(PETALS, SETOSA, classes=[0, 1])


def test_perceptron_goes_on() -> None:
    """warm_start, partial_fit and given starts go on where scikit-learn's does."""
    X, y = scale(load_digits().data[:200]), load_digits().target[:200]
    a, b = (one.Perceptron(warm_start=True, max_iter=2, tol=None).fit(X, y) for one in (theirs, ours))
    for one in (a, b):
        one.fit(X[:, ::-1].copy(), y)
        one.partial_fit(X, y)
    assert_array_equal(b.coef_, a.coef_)
    start = np.array([[1.0, -2.0]])  # scikit-learn trains this very array, hence the copies
    a, b = (
        one.Perceptron(max_iter=2, tol=None).fit(PETALS, SETOSA, coef_init=start.copy(), intercept_init=[0.5])
        for one in (theirs, ours)
    )
    assert_array_equal(b.coef_, a.coef_)
    assert_array_equal(pickle.loads(pickle.dumps(b)).predict(PETALS), a.predict(PETALS))  # noqa: S301 - our own


# --- Adaline ---


def test_adaline_descends_the_mean_squared_error() -> None:
    """One epoch moves w by eta times (2/n) sum (y - a) x: minus the gradient that the tape finds, and the formula."""
    X, y = PETALS, SETOSA
    start = np.random.RandomState(7).normal(0.0, 0.01, 2)
    model = ours.AdalineGD(eta=0.1, n_iter=1, random_state=7).fit(X, y)
    w, b = Tensor(start, requires_grad=True), Tensor(np.zeros(()), requires_grad=True)
    loss = nn.MSELoss()(Tensor(X) @ w + b, Tensor(y.astype(float)))
    loss.backward()
    formula = np.array([-2 / len(y) * np.sum((y - X @ start) * X[:, j]) for j in range(2)])
    assert_allclose(w.grad.numpy(), formula, rtol=1e-12)  # type: ignore[union-attr]
    assert_allclose(model.w_, start - 0.1 * formula, rtol=1e-12)
    assert_allclose(model.b_, -0.1 * b.grad.item(), rtol=1e-12)  # type: ignore[union-attr]
    assert_allclose(model.losses_, [loss.item()], rtol=1e-12)


def test_adaline_comes_to_least_squares() -> None:
    """In the limit full-batch descent is the closed form; too long a step grows without end (L2)."""
    A = np.c_[PETALS, np.ones(150)]
    for targets, weights in ((SETOSA, np.ones(150)), (1 - SETOSA, np.linspace(0, 2, 150))):
        root = np.sqrt(weights)[:, None]
        expected, *_ = np.linalg.lstsq(root * A, root[:, 0] * targets, rcond=None)
        model = ours.AdalineGD(eta=0.4, n_iter=4000).fit(PETALS, targets, sample_weight=weights)
        assert_allclose([*model.w_, model.b_], expected, atol=1e-9)
    longest = 1 / np.linalg.eigvalsh(A.T @ A / 150).max()
    calm, wild = (ours.AdalineGD(eta=rate * longest, n_iter=60).fit(PETALS, SETOSA).losses_ for rate in (0.9, 1.1))
    assert np.all(np.diff(calm) <= 1e-15)
    assert wild[-1] > wild[0]


def test_adaline_sgd_is_the_loop_of_the_book() -> None:
    """The same draws, updates and losses as the book's loop; partial_fit goes on with the weights."""
    X, y = PETALS, SETOSA
    draws = np.random.RandomState(1)
    w, b, losses = draws.normal(loc=0.0, scale=0.01, size=2), 0.0, []
    for _ in range(5):
        squares = []
        for place in draws.permutation(150):
            error = y[place] - (X[place] @ w + b)
            w = w + 0.01 * 2.0 * X[place] * error
            b = b + 0.01 * 2.0 * error
            squares.append(error**2)
        losses.append(np.mean(squares))
    model = ours.AdalineSGD(eta=0.01, n_iter=5, random_state=1).fit(X, y)
    assert_allclose([*model.w_, model.b_], [*w, b], rtol=1e-12)
    assert_allclose(model.losses_, losses, rtol=1e-12)
    error = y[60] - (X[60] @ model.w_ + model.b_)
    before = model.w_.copy()
    assert_allclose(model.partial_fit(X[60:61], y[60:61]).w_, before + 0.02 * error * X[60], rtol=1e-12)
    assert model.score(X, y) == 1.0


def test_adaline_takes_two_kinds_of_labels() -> None:
    """Labels of any kind, in order 0 and 1; one or three kinds, and kinds that come late, are refused."""
    names = np.where(SETOSA == 1, "setosa", "other")
    model = clone(ours.AdalineGD(eta=0.1)).fit(PETALS, names)
    assert_array_equal(model.predict(PETALS) == "setosa", model.decision_function(PETALS) >= 0)
    assert_array_equal(model.predict(PETALS), names)
    for labels in (np.zeros(150), load_iris().target):
        with pytest.raises(ValueError, match="class"):
            ours.AdalineSGD().fit(PETALS, labels)
    with pytest.raises(ValueError, match="first call did not name"):
        ours.AdalineSGD().partial_fit(PETALS, SETOSA).partial_fit(PETALS[:1], [2])
