"""Every estimator keeps scikit-learn's conventions, as its own checks ask for them."""

from __future__ import annotations

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from tinygrad_mlp import nn, sklearn

ESTIMATORS = [
    sklearn.MLPClassifier(),
    sklearn.MLPRegressor(),
    sklearn.Perceptron(),
    sklearn.AdalineGD(),
    sklearn.AdalineSGD(),
    sklearn.NeuralClassifier(),
    sklearn.NeuralRegressor(),
    sklearn.NeuralClassifier(nn.Linear, optimizer="sgd", lr=0.5, max_epochs=30),
]
# Learning from mistakes, one sample after the other, tells a sample that weighs 2 from one that comes twice.
# scikit-learn excuses its own Perceptron from the same two checks, and its weights are ours.
EXCUSED = {
    "check_sample_weight_equivalence_on_dense_data": "an online rule: a weight is not a repetition",
    "check_sample_weight_equivalence_on_sparse_data": "an online rule: a weight is not a repetition",
}


def excused(estimator: object) -> dict[str, str]:
    return EXCUSED if isinstance(estimator, sklearn.Perceptron) else {}


# The checks train on too little to converge, and on data that is not scaled.
@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(ESTIMATORS, expected_failed_checks=excused)
def test_estimator_checks(estimator: object, check: object) -> None:
    """One convention."""
    check(estimator)  # type: ignore[operator]
