"""The training step with scikit-learn's MLPClassifier and MLPRegressor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.neural_network import MLPClassifier, MLPRegressor
from workloads import Workload

__all__ = ["make_epoch", "make_step"]


def make_step(workload: Workload, optimizer: str = "SGD", dtype: Any = np.float32) -> Callable[..., Any]:
    """A function that does one training step on a batch and returns the loss before it."""
    model, targets_of, scale = _make_model(workload, optimizer, dtype)

    def step(x: Any, target: Any) -> Any:
        model.partial_fit(x, targets_of(target))
        return np.asarray(model.loss_ * scale, dtype)

    return step


def make_epoch(workload: Workload, optimizer: str = "SGD", dtype: Any = np.float32) -> Callable[..., Any]:
    """A function that does a training step on each batch of a stack and returns their mean loss.

    One call for the whole stack, so that the checks of its arguments are paid once.
    """
    model, targets_of, scale = _make_model(workload, optimizer, dtype)

    def run(xs: Any, ys: Any) -> Any:
        model.partial_fit(xs.reshape(-1, xs.shape[-1]), targets_of(ys))
        return np.asarray([model.loss_ * scale], dtype)

    return run


def _make_model(workload: Workload, optimizer: str, dtype: Any) -> tuple[Any, Callable[[Any], Any], float]:
    """The model, what turns class ids into its targets, and the factor that makes its loss ours.

    Three things are set that are not arguments. The starting weights are written into `coefs_` and `intercepts_`. The
    optimizer made by the call that shapes them is removed, so that it starts anew. And two classes, for which the
    library would make one logistic output, are given as two outputs with a softmax. Its squared error is halved.
    """
    halved = not workload.classifies
    rate = workload.rate(optimizer)
    model = (MLPClassifier if workload.classifies else MLPRegressor)(
        hidden_layer_sizes=workload.sizes[1:-1],
        activation=workload.activation,
        solver=optimizer.lower(),
        alpha=0.0,
        momentum=0.0,
        nesterovs_momentum=False,
        batch_size=workload.batch,
        learning_rate_init=rate * 2 if halved and optimizer == "SGD" else rate,
        shuffle=False,
        # Added to the root of the uncorrected mean: this is everybody's 1e-8 as it stands after ten steps.
        epsilon=1e-9,
        random_state=0,
    )
    eye = np.eye(workload.sizes[-1], dtype=np.int64)
    xs, ys = workload.batches(dtype)

    def targets_of(target: Any) -> Any:
        return eye[target.reshape(-1)] if workload.classifies else target.reshape(-1)

    first = xs[0]
    if workload.classifies:
        # Each class has to occur, and only indicators of several at once are taken for more than one of two.
        some = np.ones((len(first), workload.sizes[-1]), np.int64)
        if len(first) > 1:
            some[0] = 0
        model.partial_fit(first, some, classes=np.arange(workload.sizes[-1]))
        model.out_activation_ = "softmax"
    else:
        model.partial_fit(first, targets_of(ys[0]))
    for place, (weight, bias) in enumerate(workload.weights(dtype)):
        model.coefs_[place] = np.ascontiguousarray(weight.T)
        model.intercepts_[place] = bias
    del model._optimizer
    return model, targets_of, 2.0 if halved else 1.0
