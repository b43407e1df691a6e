"""scikit-learn's own tests, from the installed package, with our classes in place of theirs.

``pytest tests/sklearn_own.py`` is not how it runs: ``tests/test_sklearn_own.py`` starts pytest on scikit-learn's files
with this module as a plugin, in a process of its own, and compares what passed with the list it holds.
"""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_mlp.sklearn as ours
from tinygrad_mlp.sklearn.descent import Objective

NAMES = ("MLPClassifier", "MLPRegressor", "Perceptron")


class MLPClassifier(ours.MLPClassifier):
    """With the one private method that scikit-learn's ``test_gradient`` calls, answered by our own objective."""

    def _loss_grad_lbfgs(self, packed, X, y, sample_weight, *buffers):
        net = self._network(0)
        columns = self._columns(X, np.asarray(y), sample_weight, np.dtype(np.float64))
        return Objective(net, self._head, self.alpha).value_and_gradient(packed, *columns)


REPLACED = {"MLPClassifier": MLPClassifier}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Put our classes under the names that the test functions read, and into their parameters."""
    known = {name: REPLACED.get(name) or getattr(ours, name) for name in NAMES if hasattr(ours, name)}
    theirs = {
        getattr(item.module, name): new for item in items for name, new in known.items() if hasattr(item.module, name)
    }
    for item in items:
        for name, new in known.items():
            if hasattr(item.module, name):
                setattr(item.module, name, new)
        if hasattr(item, "callspec"):
            for name, value in item.callspec.params.items():
                if isinstance(value, type) and value in theirs:
                    item.callspec.params[name] = theirs[value]
