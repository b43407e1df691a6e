"""MLPClassifier and MLPRegressor: scikit-learn's numbers step by step, and what we add to its options."""

from __future__ import annotations

import copy
import pickle
import re
import warnings
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import sklearn.neural_network as theirs
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale
from sklearn.utils import compute_sample_weight

import tinygrad_mlp.sklearn as ours
from tinygrad_mlp import Tensor, nn
from tinygrad_mlp.errors import ArgumentError
from tinygrad_mlp.sklearn import descent

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

IRIS = scale(load_iris().data), load_iris().target
DATA: dict[str, tuple[Any, Any]] = {
    "iris": IRIS,
    "cancer": (scale(load_breast_cancer().data), load_breast_cancer().target),
    "names": (IRIS[0], np.array(["setosa", "versicolor", "virginica"])[IRIS[1]]),
    "labels": make_multilabel_classification(n_samples=60, n_features=8, random_state=0),
    "diabetes": (scale(load_diabetes().data), load_diabetes().target / 100),
    "three": (IRIS[0][:, :2], IRIS[0][:, 1:]),
    "counts": (IRIS[0], np.arange(150) % 5),
}
# Each takes 100 steps at least: the data as one batch and 100 epochs, or small batches and fewer.
STEPS = {"max_iter": 100, "batch_size": 10_000, "tol": 0.0, "n_iter_no_change": 1_000, "random_state": 0}
CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "adam": ("MLPClassifier", "iris", {}),
    "two classes": ("MLPClassifier", "cancer", {"activation": "tanh"}),
    "logistic": ("MLPClassifier", "names", {"activation": "logistic", "hidden_layer_sizes": (20, 10)}),
    "labels": ("MLPClassifier", "labels", {"learning_rate_init": 0.01}),
    "sgd": ("MLPClassifier", "iris", {"solver": "sgd", "learning_rate_init": 0.1}),
    "plain sgd": ("MLPClassifier", "iris", {"solver": "sgd", "momentum": 0.0, "learning_rate_init": 0.1}),
    "heavy ball": ("MLPClassifier", "cancer", {"solver": "sgd", "nesterovs_momentum": False}),
    "invscaling": (
        "MLPClassifier",
        "iris",
        {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 1.0, "power_t": 0.3},
    ),
    "adaptive": (
        "MLPClassifier",
        "iris",
        {"solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.5, "tol": 1e-2, "n_iter_no_change": 2},
    ),
    "batches": ("MLPClassifier", "iris", {"batch_size": 16, "max_iter": 11}),
    "in order": ("MLPClassifier", "iris", {"batch_size": 16, "max_iter": 11, "shuffle": False, "alpha": 0.0}),
    "few steps": ("MLPClassifier", "iris", {"batch_size": 16, "max_iter": 4, "alpha": 1.0}),
    "early stopping": ("MLPClassifier", "iris", {"early_stopping": True, "batch_size": 16, "n_iter_no_change": 3}),
    "epsilon": ("MLPClassifier", "iris", {"epsilon": 0.1, "beta_1": 0.5, "beta_2": 0.9}),
    "lbfgs": ("MLPClassifier", "iris", {"solver": "lbfgs", "max_iter": 20}),
    "regression": ("MLPRegressor", "diabetes", {"batch_size": 32, "max_iter": 8}),
    "three numbers": ("MLPRegressor", "three", {"solver": "sgd", "activation": "tanh"}),
    "poisson": ("MLPRegressor", "counts", {"loss": "poisson", "hidden_layer_sizes": 5, "activation": "tanh"}),
    "validated": ("MLPRegressor", "three", {"early_stopping": True, "n_iter_no_change": 5}),
    "poisson lbfgs": ("MLPRegressor", "counts", {"loss": "poisson", "solver": "lbfgs", "max_iter": 10}),
}


def pair(case: str, *, sparse: bool = False, weighed: bool = False) -> tuple[Any, Any]:
    """scikit-learn's estimator and ours, fitted alike."""
    kind, data, options = CASES[case]
    X, y = DATA[data]
    X = scipy.sparse.csr_array(X) if sparse else X
    weights = np.random.default_rng(0).uniform(0.1, 2, len(y)) if weighed else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a batch size that is clipped
        return tuple(  # type: ignore[return-value]
            getattr(library, kind)(**{**STEPS, **options}).fit(X, y, sample_weight=weights)
            for library in (theirs, ours)
        )


def compare(a: Any, b: Any, atol: float = 1e-12) -> None:
    """Equal losses at each step, weights, scores and counts."""
    assert (a.n_iter_, a.t_, a.n_layers_, a.n_outputs_, a.out_activation_, a.n_features_in_) == (
        b.n_iter_,
        b.t_,
        b.n_layers_,
        b.n_outputs_,
        b.out_activation_,
        b.n_features_in_,
    )
    np.testing.assert_allclose(b.loss_, a.loss_, rtol=0, atol=atol)
    if a.solver != "lbfgs":
        np.testing.assert_allclose(b.loss_curve_, a.loss_curve_, rtol=0, atol=atol)
        for name in ("best_loss_", "validation_scores_", "best_validation_score_"):
            expected = getattr(a, name)
            assert (getattr(b, name) is None) is (expected is None)
            if expected is not None:
                np.testing.assert_allclose(getattr(b, name), expected, rtol=0, atol=atol)
    for expected, found in zip(a.coefs_ + a.intercepts_, b.coefs_ + b.intercepts_, strict=True):
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1000 * atol)


@pytest.mark.parametrize("case", CASES)
def test_losses_are_those_of_scikit_learn_at_every_step(case: str) -> None:
    """Over 100 steps from one random_state the losses differ by less than 1e-12, in every solver and schedule."""
    # The line search of L-BFGS multiplies rounding errors from one step to the next.
    compare(*pair(case), atol=1e-9 if "lbfgs" in case else 1e-12)


@pytest.mark.parametrize(
    "case", ["two classes", "batches", "labels", "early stopping", "regression", "poisson", "lbfgs"]
)
def test_weighed_samples_count_as_in_scikit_learn(case: str) -> None:
    """The same with random sample weights."""
    compare(*pair(case, weighed=True), atol=1e-9 if "lbfgs" in case else 1e-12)


@pytest.mark.parametrize("case", ["adam", "batches", "early stopping", "lbfgs"])
def test_sparse_data_are_dense_data_with_zeros_left_out(case: str) -> None:
    """A sparse matrix gives scikit-learn's numbers, and what it predicts is what the dense one does."""
    a, b = pair(case, sparse=True)
    compare(a, b, atol=1e-9)
    X = DATA["iris"][0]
    np.testing.assert_array_equal(b.predict(scipy.sparse.csr_array(X)), b.predict(X))


@pytest.mark.compiler
@pytest.mark.parametrize("case", ["batches", "plain sgd", "labels", "regression", "poisson"])
@pytest.mark.parametrize("weighed", [False, True])
def test_compiled_steps_give_the_same_numbers(case: str, weighed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """As C, whole epochs at a time, the losses are those of scikit-learn as well."""
    monkeypatch.setattr(descent, "chosen", lambda *given: "native")
    compare(*pair(case, weighed=weighed), atol=1e-11)


def test_replayed_steps_are_bit_identical(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many steps are replayed, few are not, and nobody sees the difference."""
    _, replayed = pair("batches")
    monkeypatch.setattr(descent, "_MANY", 10**9)
    _, eager = pair("batches")
    assert replayed.loss_curve_ == eager.loss_curve_
    for one, other in zip(replayed.coefs_, eager.coefs_, strict=True):
        np.testing.assert_array_equal(one, other)


def test_losses_of_certain_mistakes_are_bounded_as_in_scikit_learn() -> None:
    """Where a probability underflows the reported loss stops at -log(eps), and the gradient does not."""
    X, y = 1e4 * IRIS[0], IRIS[1]
    for kind in ("adam", "sgd"):
        options: dict[str, Any] = {"solver": kind, "max_iter": 3, "random_state": 1}
        a = theirs.MLPClassifier(**options).fit(X, y)
        compare(a, ours.MLPClassifier(**options).fit(X, y), atol=1e-9)
        assert a.loss_curve_[0] > 10


def test_float32_stays_float32() -> None:
    """Weights, losses and outputs of float32 data are float32, and near scikit-learn's."""
    X = IRIS[0].astype(np.float32)
    a, b = (one.MLPClassifier(random_state=0, max_iter=30).fit(X, IRIS[1]) for one in (theirs, ours))
    assert b.predict_proba(X).dtype == np.float32 == b.coefs_[0].dtype
    np.testing.assert_allclose(b.predict_proba(X), a.predict_proba(X), atol=2e-5)


@pytest.mark.parametrize("case", ["adaptive", "early stopping", "invscaling"])
def test_verbose_prints_what_scikit_learn_prints(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The same lines, to the character."""
    kind, data, options = CASES[case]
    printed = []
    for library in (theirs, ours):
        getattr(library, kind)(**{**STEPS, "batch_size": "auto", **options, "verbose": True}).fit(*DATA[data])
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1] != ""


def test_going_on_is_going_on_in_scikit_learn() -> None:
    """partial_fit and warm_start keep weights, optimizer, counts and curves; through a pickle as well."""
    X, y = IRIS
    for options in ({"solver": "sgd", "learning_rate": "invscaling"}, {}):
        a, b = (one.MLPClassifier(random_state=3, **options) for one in (theirs, ours))
        for turn in range(4):
            a.partial_fit(X[turn::2], y[turn::2], classes=[0, 1, 2])
            b.partial_fit(X[turn::2], y[turn::2], classes=[0, 1, 2])
            b = pickle.loads(pickle.dumps(b)) if turn % 2 else copy.deepcopy(b)  # noqa: S301 - our own
        compare(a, b)
        a, b = (one.MLPClassifier(random_state=3, warm_start=True, max_iter=3, **options) for one in (theirs, ours))
        for _ in range(2):
            a.fit(X, y)
            b.fit(X, y)
        compare(a, b)


# --- what scikit-learn's own do not have ---


def test_each_hidden_layer_may_have_its_own_activation() -> None:
    """A list of equal names is the name; other names and classes are ours; a list of another length is explained."""
    options: dict[str, Any] = {"hidden_layer_sizes": (6, 5), "max_iter": 5, "random_state": 0}
    one, many = (ours.MLPClassifier(activation=given, **options).fit(*IRIS) for given in ("tanh", ["tanh", "tanh"]))
    assert one.loss_curve_ == many.loss_curve_
    mixed = ours.MLPClassifier(activation=["gelu", nn.LeakyReLU], **options).fit(*IRIS)
    assert [type(layer).__name__ for layer in mixed.network()][1::2] == ["GELU", "LeakyReLU"]
    np.testing.assert_allclose(
        nn.functional.softmax(mixed.network()(Tensor(IRIS[0])).detach()).numpy(),
        mixed.predict_proba(IRIS[0]),
        atol=1e-12,
    )
    with pytest.raises(ArgumentError, match="expected 2, got 1; say activation="):
        ours.MLPClassifier(activation=["relu"], **options).fit(*IRIS)
    with pytest.raises(ValueError, match="activation"):
        ours.MLPClassifier(activation="rleu").fit(*IRIS)


def test_dropout_drops_in_training_only() -> None:
    """It changes the losses, comes again with the random_state, and predictions drop nothing."""
    options: dict[str, Any] = {"max_iter": 30, "random_state": 0, "learning_rate_init": 0.01}
    plain, first, second = (ours.MLPClassifier(dropout=rate, **options).fit(*IRIS) for rate in (0.0, 0.5, 0.5))
    assert first.loss_curve_ == second.loss_curve_ != plain.loss_curve_
    np.testing.assert_array_equal(first.predict_proba(IRIS[0]), first.predict_proba(IRIS[0]))
    assert first.score(*IRIS) > 0.9
    with pytest.raises(ArgumentError, match="say solver='adam', or dropout"):
        ours.MLPClassifier(dropout=0.5, solver="lbfgs").fit(*IRIS)


@pytest.mark.parametrize("weights", ["balanced", {0: 5.0, 1: 1.0, 2: 0.5}])
def test_class_weights_are_sample_weights(weights: Any) -> None:
    """They give what scikit-learn gives for each sample weighed by its class."""
    X, y = IRIS[0][:120], IRIS[1][:120]
    options: dict[str, Any] = {"max_iter": 20, "random_state": 0}
    expected = theirs.MLPClassifier(**options).fit(X, y, sample_weight=compute_sample_weight(weights, y))
    compare(expected, ours.MLPClassifier(class_weight=weights, **options).fit(X, y))


def test_class_weights_of_labels_and_of_parts() -> None:
    """Labels multiply; ``"balanced"`` needs all data; with sample weights a weight of 2 is a sample given twice."""
    X, y = DATA["labels"]
    options: dict[str, Any] = {"max_iter": 20, "random_state": 0, "class_weight": "balanced"}
    expected = theirs.MLPClassifier(max_iter=20, random_state=0)
    expected.fit(X, y, sample_weight=compute_sample_weight("balanced", y))
    compare(expected, ours.MLPClassifier(**options).fit(X, y))
    with pytest.raises(ValueError, match="needs all the data"):
        ours.MLPClassifier(**options).partial_fit(*IRIS, classes=[0, 1, 2])
    counts = np.arange(150) % 3
    options |= {"shuffle": False, "batch_size": 150, "solver": "sgd"}
    weighed = ours.MLPClassifier(**options).fit(*IRIS, sample_weight=counts)
    repeated = ours.MLPClassifier(**options).fit(IRIS[0].repeat(counts, axis=0), IRIS[1].repeat(counts))
    np.testing.assert_allclose(weighed.predict_proba(IRIS[0]), repeated.predict_proba(IRIS[0]), rtol=1e-9)


def test_gradients_of_the_fitted_net_can_be_asked_for() -> None:
    """``network()`` is a module with a copy of the weights: what an input contributes is its gradient."""
    model = ours.MLPRegressor(hidden_layer_sizes=8, activation="tanh", solver="lbfgs", max_iter=50, random_state=0).fit(
        *DATA["diabetes"]
    )
    x = Tensor(DATA["diabetes"][0][:1], requires_grad=True)
    model.network()(x).sum().backward()
    step = 1e-6
    moved = [DATA["diabetes"][0][:1] + sign * step * np.eye(10)[[2]] for sign in (1, -1)]
    slope = (model.predict(moved[0]) - model.predict(moved[1])) / (2 * step)
    np.testing.assert_allclose(x.grad.numpy()[0, 2], slope[0], rtol=1e-6)  # type: ignore[union-attr]
    with pytest.raises(NotFittedError):
        ours.MLPRegressor().network()


# --- in scikit-learn's company ---


def test_pipelines_searches_and_copies() -> None:
    """Pipeline, GridSearchCV over our own options too, cross_val_score, clone, pickle."""
    pipeline = make_pipeline(StandardScaler(), ours.MLPClassifier(8, solver="lbfgs", max_iter=40, random_state=0))
    assert cross_val_score(pipeline, *load_iris(return_X_y=True), cv=3).mean() > 0.9
    grid = {"mlpclassifier__activation": ["relu", ["tanh"]], "mlpclassifier__alpha": [1e-4, 1.0]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(*load_iris(return_X_y=True))
    assert search.best_score_ > 0.9
    again = pickle.loads(pickle.dumps(search))  # noqa: S301 - our own
    np.testing.assert_array_equal(again.predict(IRIS[0]), search.predict(IRIS[0]))
    assert clone(pipeline).get_params()["mlpclassifier__max_iter"] == 40


def test_data_frames_bring_names() -> None:
    """Names of columns are kept and checked, and early stopping goes without them."""
    pandas = pytest.importorskip("pandas")
    frame = load_iris(as_frame=True).frame
    X, y = frame.drop(columns="target"), frame["target"]
    model = make_pipeline(
        StandardScaler().set_output(transform="pandas"), ours.MLPClassifier(early_stopping=True, random_state=0)
    ).fit(X, y)
    assert list(model[-1].feature_names_in_) == list(X.columns)
    assert isinstance(model[0].transform(X), pandas.DataFrame)
    with pytest.raises(ValueError, match="feature names"):
        model[-1].predict(X.rename(columns=str.upper))


def test_decision_boundaries_are_drawn() -> None:
    """``DecisionBoundaryDisplay.from_estimator`` takes ours like any other."""
    pyplot = pytest.importorskip("matplotlib.pyplot")
    from sklearn.inspection import DecisionBoundaryDisplay

    pyplot.switch_backend("agg")
    for model in (
        ours.MLPClassifier(8, solver="lbfgs", max_iter=30, random_state=0),
        ours.Perceptron(tol=None, max_iter=5),
    ):
        shown = DecisionBoundaryDisplay.from_estimator(model.fit(IRIS[0][:, 2:], IRIS[1] == 0), IRIS[0][:, 2:])
        assert shown.response.shape == (100, 100)
    pyplot.close("all")


def test_notebooks_show_the_diagram() -> None:
    """The repr names what was set, and notebooks get scikit-learn's diagram."""
    model = ours.MLPClassifier(activation=["relu"], dropout=0.1)
    assert repr(model) == "MLPClassifier(activation=['relu'], dropout=0.1)"
    assert "MLPClassifier" in model._repr_html_()


def test_interrupts_and_limits_warn_as_in_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends training with a warning and leaves the weights; too few epochs are a ConvergenceWarning."""
    X, y = load_digits(return_X_y=True)
    with pytest.warns(ConvergenceWarning, match=re.escape("Maximum iterations (2) reached")):
        ours.MLPClassifier(max_iter=2, random_state=0).fit(X, y)

    def interrupted(self: object, order: object) -> float:
        raise KeyboardInterrupt

    monkeypatch.setattr(descent.Epochs, "run", interrupted)
    with pytest.warns(UserWarning, match="interrupted by user"):
        assert ours.MLPClassifier(random_state=0).fit(X, y).predict(X).shape == y.shape
