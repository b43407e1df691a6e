"""Adaline, the adaptive linear neuron: by gradient descent on all samples, and sample by sample."""

from __future__ import annotations

from abc import abstractmethod
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, _fit_context
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from ..tape import Array

__all__ = ["AdalineGD", "AdalineSGD"]


class _Adaline(ClassifierMixin, BaseEstimator):
    """What the two have in common: the linear unit, the threshold at 1/2, and two classes numbered 0 and 1."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "eta": [Interval(Real, 0, None, closed="neither")],
        "n_iter": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    }

    def net_input(self, X: Any) -> Array:
        """``X w + b``, ``(n,)``; the activation is the identity."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return X @ self.w_ + self.b_

    def decision_function(self, X: Any) -> Array:
        """How far :meth:`net_input` lies above the threshold 1/2."""
        return self.net_input(X) - 0.5

    def predict(self, X: Any) -> Array:
        """The second class where the net input is at least 1/2, else the first."""
        check_is_fitted(self)
        return self.classes_[(self.net_input(X) >= 0.5).astype(int)]

    def _targets(self, X: Any, y: Any, classes: Any = None, reset: bool = True) -> tuple[Array, Array]:
        X, y = validate_data(self, X, y, dtype=np.float64, reset=reset)
        if reset:
            check_classification_targets(y)
            kind = type_of_target(y if classes is None else classes, input_name="y")
            if kind != "binary":
                raise ValueError(f"Only binary classification is supported. The type of the target is {kind}.")
            self.classes_ = unique_labels(y if classes is None else classes)
            if len(self.classes_) != 2:
                raise ValueError(f"{type(self).__name__} needs two classes, got one class: {self.classes_[0]!r}")
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown):
            raise ValueError(f"y has classes {unknown} that the first call did not name: {self.classes_}")
        return X, (y == self.classes_[1]).astype(np.float64)

    def _draw(self, features: int) -> Any:
        source = check_random_state(self.random_state)
        self.w_: Array = source.normal(loc=0.0, scale=0.01, size=features)
        self.b_ = 0.0
        self.losses_: list[float] = []
        return source

    @abstractmethod
    def fit(self, X: Any, y: Any) -> Any:
        """Learn from all data, from new weights."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags


class AdalineGD(_Adaline):
    """Adaline by full-batch gradient descent on the mean squared error of the net input.

    In each of ``n_iter`` epochs, with ``a = X w + b`` and targets 0 and 1::

        w = w - eta * (-2 / n) * X.T @ (y - a)
        b = b - eta * (-2 / n) * sum(y - a)

    Args:
        eta: the learning rate. n_iter: epochs. random_state: of the first weights, normal with a spread of 0.01.

    Attributes:
        w_, b_: weights ``(features,)`` and bias. losses_: the mean squared error before each update.
        classes_: the two labels, in order; the second is 1. n_features_in_, feature_names_in_: as in scikit-learn.

    Raises:
        ValueError: more or fewer than two classes, options out of range.

    Source: Widrow & Hoff, "Adaptive switching circuits", 1960; names as in Raschka et al., Machine Learning with
    PyTorch and Scikit-Learn, 2022, chapter 2.

    >>> from tinygrad_mlp.sklearn import AdalineGD
    >>> model = AdalineGD(eta=0.1, n_iter=100).fit([[-2.0], [-1.0], [1.0], [2.0]], [0, 0, 1, 1])
    >>> model.w_.round(4).item(), round(model.b_, 4)  # least squares: 0.3, 0.5
    (0.3, 0.5)
    """

    def __init__(self, eta: float = 0.01, n_iter: int = 50, random_state: Any = 1) -> None:
        self.eta = eta
        self.n_iter = n_iter
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Learn.

        Args:
            X: (n, features). y: (n,), two kinds of labels. sample_weight: (n,), shares in the means above.
        """
        X, targets = self._targets(X, y)
        weights = _check_sample_weight(sample_weight, X)
        share = weights / weights.sum()
        self._draw(X.shape[1])
        for _ in range(self.n_iter):
            errors = targets - (X @ self.w_ + self.b_)
            weighed = share * errors
            self.w_ += self.eta * 2.0 * (X.T @ weighed)
            self.b_ += float(self.eta * 2.0 * weighed.sum())
            self.losses_.append(float(weighed @ errors))
        return self


class AdalineSGD(_Adaline):
    """Adaline sample by sample: after each one ``w += eta * 2 (y - a) x`` and ``b += eta * 2 (y - a)``.

    Args:
        eta, n_iter: as for :class:`AdalineGD`. shuffle: a new order in every epoch.
        random_state: of the first weights and the orders.

    Attributes:
        w_, b_, classes_, n_features_in_, feature_names_in_: as of :class:`AdalineGD`.
        losses_: for each epoch the mean of the squared errors, each before the update that it caused.

    Raises:
        ValueError: as :class:`AdalineGD`.

    >>> from tinygrad_mlp.sklearn import AdalineSGD
    >>> model = AdalineSGD(random_state=0).fit([[-2.0], [-1.0], [1.0], [2.0]], ["a", "a", "b", "b"])
    >>> model.predict([[-3.0], [3.0]]).tolist()
    ['a', 'b']
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {**_Adaline._parameter_constraints, "shuffle": ["boolean"]}

    def __init__(self, eta: float = 0.01, n_iter: int = 10, shuffle: bool = True, random_state: Any = None) -> None:
        self.eta = eta
        self.n_iter = n_iter
        self.shuffle = shuffle
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any) -> Any:
        """Learn from (n, features) and (n,) labels."""
        X, targets = self._targets(X, y)
        source = self._draw(X.shape[1])
        for _ in range(self.n_iter):
            order = source.permutation(len(targets)) if self.shuffle else range(len(targets))
            self.losses_.append(self._pass(X, targets, order))
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> Any:
        """Learn from more samples, once each and in the order given, keeping the weights.

        Args:
            X: (n, features). y: (n,). classes: both labels; in the first call, where ``y`` does not hold both.
        """
        first = not hasattr(self, "w_")
        X, targets = self._targets(X, y, classes, reset=first)
        if first:
            self._draw(X.shape[1])
        self._pass(X, targets, range(len(targets)))
        return self

    def _pass(self, X: Array, targets: Array, order: Any) -> float:
        total = 0.0
        for place in order:
            x = X[place]
            error = float(targets[place] - (x @ self.w_ + self.b_))
            self.w_ += self.eta * 2.0 * error * x
            self.b_ += self.eta * 2.0 * error
            total += error * error
        return total / len(targets)
