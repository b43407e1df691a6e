"""Any module as an estimator: it trains what fit would, and behaves like scikit-learn's own."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_iris, make_moons
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale

from tinygrad_mlp import nn, optim
from tinygrad_mlp.errors import ArgumentError
from tinygrad_mlp.sklearn import NeuralClassifier, NeuralRegressor
from tinygrad_mlp.train import fit

X, Y = scale(load_iris().data), load_iris().target
NAMES = load_iris().target_names[Y]


def small(in_features: int, out_features: int, hidden: int = 8, seed: int | None = None, dtype: Any = None) -> nn.MLP:
    """A net whose sizes come from the data."""
    return nn.MLP(in_features, hidden, out_features, activation="tanh", seed=seed, dtype=dtype)


def test_fit_is_the_fit_of_this_package() -> None:
    """The same module, optimizer, seed and data through ``train.fit`` give the same weights and History."""
    net = small(4, 3, seed=0, dtype=np.float64)
    model = NeuralClassifier(net, optimizer=optim.SGD, optimizer__momentum=0.9, lr=0.1, max_epochs=3, fit__seed=5)
    model.fit(X, Y)
    twin = copy.deepcopy(net)
    history = fit(twin, X, Y, optimizer=optim.SGD(twin.parameters(), 0.1, 0.9), epochs=3, seed=5, verbose=0)
    assert model.history_.history == history.history
    for mine, theirs in zip(model.module_.parameters(), twin.parameters(), strict=True):
        assert_array_equal(mine.data, theirs.data)
    assert_array_equal(net[0].weight.data, small(4, 3, seed=0, dtype=np.float64)[0].weight.data)


def test_a_linear_layer_is_logistic_regression() -> None:
    """What makes a module gets its sizes from the data: ``nn.Linear`` is logistic regression, and finds its minimum."""
    model = NeuralClassifier(nn.Linear, optimizer="adam", lr=0.05, max_epochs=300, batch_size=150, random_state=0)
    subset = np.flatnonzero(Y > 0)
    rows, labels = X[subset][:, :2], NAMES[subset]  # not separable: the minimum is finite
    expected = LogisticRegression(C=np.inf, tol=1e-10).fit(rows, labels).predict_proba(rows)
    assert_allclose(model.fit(rows, labels).predict_proba(rows), expected, atol=1e-3)
    one = NeuralClassifier(nn.Linear, criterion="binary_cross_entropy", lr=0.05, max_epochs=300, batch_size=150)
    assert_allclose(one.fit(rows, labels).predict_proba(rows), expected, atol=1e-3)
    assert one.module_.out_features == 1
    assert set(one.predict(rows)) == {"versicolor", "virginica"}


def test_a_linear_layer_is_linear_regression() -> None:
    """The same of the regressor, for one and for two numbers; predictions have the shape of the targets."""
    for targets in (X[:, 0], X[:, :2]):
        model = NeuralRegressor(nn.Linear, optimizer="sgd", lr=0.4, max_epochs=800, batch_size=150, random_state=0)
        model.fit(X[:, 2:], targets)
        assert_allclose(model.predict(X[:, 2:]), LinearRegression().fit(X[:, 2:], targets).predict(X[:, 2:]), atol=1e-4)
        assert model.predict(X[:, 2:]).shape == targets.shape


def test_arguments_with_a_prefix_go_where_it_says() -> None:
    """module__, optimizer__, criterion__ and fit__ are got, set, cloned, searched and checked."""
    model = NeuralClassifier(small, module__hidden=3, optimizer="sgd", optimizer__lr=0.5, max_epochs=5, random_state=1)
    assert clone(model).get_params()["module__hidden"] == 3
    assert model.set_params(module__hidden=5).fit(X, Y).module_[0].out_features == 5
    assert model.optimizer_.param_groups[0]["lr"] == 0.5
    pipeline = make_pipeline(StandardScaler(), model)
    grid = {"neuralclassifier__module__hidden": [2, 16], "neuralclassifier__optimizer__lr": [1e-9, 0.5]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(load_iris().data, NAMES)
    assert search.best_params_["neuralclassifier__optimizer__lr"] == 0.5
    assert cross_val_score(pipeline, load_iris().data, NAMES, cv=2).mean() > 0.7
    with pytest.raises(
        ArgumentError, match=r"unknown argument of NeuralClassifier 'max_epoch'; did you mean 'max_epochs'\?"
    ):
        NeuralClassifier(max_epoch=3).fit(X, Y)
    with pytest.raises(ArgumentError, match=r"did you mean 'batch_size'\?"):
        NeuralClassifier().set_params(batchsize=3)
    assert NeuralClassifier(max_epochs=1, fit__compile="replay").fit(X, Y).history_.compiled == "replay"


def test_copies_go_on_alike() -> None:
    """A pickled and a deep-copied estimator predict the same, and train on to the same bits."""
    model = NeuralClassifier(small, random_state=0, max_epochs=3).fit(X, NAMES)
    others = [pickle.loads(pickle.dumps(model)), copy.deepcopy(model)]  # noqa: S301 - our own
    for _ in range(2):
        model.partial_fit(X, NAMES)
        for other in others:
            other.partial_fit(X, NAMES)
            assert_array_equal(other.predict_proba(X), model.predict_proba(X))
            assert other.n_iter_ == model.n_iter_
    assert not hasattr(clone(model), "module_")


def test_random_state_decides_weights_and_orders() -> None:
    """Equal for equal random_state, through a fresh fit and one after another; otherwise not."""
    first, second, third = (NeuralClassifier(small, random_state=seed, max_epochs=2).fit(X, Y) for seed in (0, 0, 1))
    assert_array_equal(first.predict_proba(X), second.predict_proba(X))
    assert_array_equal(first.fit(X, Y).predict_proba(X), second.predict_proba(X))
    assert not np.array_equal(first.predict_proba(X), third.predict_proba(X))


def test_partial_fit_and_warm_start_go_on() -> None:
    """partial_fit learns one epoch at a time, from parts that lack a class too; warm_start keeps the module."""
    model = NeuralClassifier(small, random_state=0, lr=0.05)
    for _ in range(30):
        for part in (slice(0, 60), slice(60, 150)):
            model.partial_fit(X[part], NAMES[part], classes=np.unique(NAMES))
    assert model.n_iter_ == 60
    assert model.score(X, NAMES) > 0.7
    with pytest.raises(ValueError, match="not there in the first call"):
        model.partial_fit(X[:1], ["rose"])
    warm = NeuralClassifier(small, random_state=0, max_epochs=2, warm_start=True).fit(X, Y)
    module = warm.module_
    assert warm.fit(X, Y).module_ is module
    assert warm.n_iter_ == 4


def test_data_of_more_axes_and_whole_numbers() -> None:
    """Pictures go to a module that flattens; with ``dtype`` whole numbers stay what they are."""
    pictures = X.reshape(150, 2, 2)
    net = nn.Sequential(nn.Flatten(), nn.MLP(4, 8, 3, seed=0))
    assert NeuralClassifier(net, max_epochs=30, lr=0.01, random_state=0).fit(pictures, Y).score(pictures, Y) > 0.7

    class Table(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Parameter(np.zeros((2, 2)))

        def forward(self, x: Any) -> Any:
            return self.table[x[:, 0].data]

    ids = np.arange(40).reshape(-1, 1) % 2
    model = NeuralClassifier(Table(), dtype=np.int64, lr=0.1, max_epochs=5, random_state=0)
    assert model.fit(ids, ids.ravel()).score(ids, ids.ravel()) == 1.0


def test_samples_can_weigh() -> None:
    """fit passes further arguments on: weights of 0 leave samples out, in cross-validation as well."""
    weights = (np.arange(150) % 2).astype(float)
    wrong = np.where(weights == 0, (Y + 1) % 3, Y)
    model = NeuralClassifier(nn.Linear, lr=0.1, max_epochs=40, random_state=0)
    assert model.fit(X, wrong, sample_weight=weights).score(X, Y) > 0.9
    assert cross_val_score(model, X, wrong, cv=2, params={"sample_weight": weights}).mean() < 0.6


def test_validation_and_curves() -> None:
    """validation_fraction holds samples out, and the History has both curves."""
    moons = make_moons(200, noise=0.1, random_state=0)
    model = NeuralClassifier(validation_fraction=0.25, max_epochs=40, lr=0.02, random_state=0).fit(*moons)
    assert {"loss", "accuracy", "val_loss", "val_accuracy"} == set(model.history_.history)
    assert model.history_.params["samples"] == 150
    assert model.score(*moons) > 0.85


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"module": 3}, "module is a Module, or a class or function"),
        ({"module": lambda: 3}, "module makes a Module when called, got int"),
        ({"module": nn.Linear(4, 3), "module__bias": False}, "give its class, or a function"),
        ({"optimizer": "adma"}, "did you mean 'adam'?"),
        ({"optimizer": 3}, "say optimizer=optim.SGD"),
        ({"criterion": "mes"}, "did you mean 'mse'?"),
        ({"criterion": "binary_cross_entropy"}, "needs two classes, got 3"),
    ],
)
def test_mistakes_are_explained(options: dict[str, Any], message: str) -> None:
    """What is wrong, and the line that fixes it."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is asked for below, as it is
        NeuralClassifier(**options).fit(X, Y)
    assert message in str(caught.value)
