"""A pytest plugin: scikit-learn's own tests, from the installed package, with our classes in place of theirs.

``tests/test_sklearn_own.py`` starts pytest on scikit-learn's files with this plugin, in a process of its own. Should
one of their estimators be fitted all the same, the test that does so fails. The outcomes are written to the file that
the environment names.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.linear_model
import sklearn.neural_network

import tinygrad_mlp.sklearn as ours
from tinygrad_mlp.sklearn.descent import Objective, PackedObjective


class MLPClassifier(ours.MLPClassifier):
    """With the one private method that their ``test_gradient`` calls, answered by the objective that ours minimises."""

    def _loss_grad_lbfgs(self, packed, X, y, sample_weight, *buffers):
        columns = self._columns(X, np.asarray(y), sample_weight, np.dtype(np.float64))
        return PackedObjective(Objective(self._network(0), self._head, self.alpha), columns, 1)(packed)


REPLACED: dict[Any, type] = {
    sklearn.neural_network.MLPClassifier: MLPClassifier,
    sklearn.neural_network.MLPRegressor: ours.MLPRegressor,
    sklearn.linear_model.Perceptron: ours.Perceptron,
}
OUTCOMES: dict[str, str] = {}


def refuse(self, *arguments, **named):
    raise AssertionError(f"{type(self)} is scikit-learn's own")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for theirs in REPLACED:
        theirs.fit = theirs.partial_fit = refuse
    for item in items:
        for module in {item.module}:
            for name, value in list(vars(module).items()):
                if isinstance(value, type) and value in REPLACED:
                    setattr(module, name, REPLACED[value])
        for name, value in getattr(getattr(item, "callspec", None), "params", {}).items():
            if isinstance(value, type) and value in REPLACED:
                item.callspec.params[name] = REPLACED[value]


def pytest_runtest_logreport(report):
    name = report.nodeid.rpartition("::")[2]
    if report.when == "call" or report.outcome != "passed":
        OUTCOMES[name] = report.outcome if report.passed else f"{report.outcome}: {report.longreprtext[-2000:]}"


def pytest_sessionfinish():
    Path(os.environ["OUTCOMES"]).write_text(json.dumps(OUTCOMES), encoding="utf-8")
