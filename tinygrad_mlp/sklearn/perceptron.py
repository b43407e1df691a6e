"""Rosenblatt's perceptron, with scikit-learn's interface, order of samples and numbers."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from numbers import Integral, Real
from time import perf_counter
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model._base import LinearClassifierMixin, SparseCoefMixin
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.utils import check_random_state, compute_class_weight
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import _check_partial_fit_first_call
from sklearn.utils.validation import _check_sample_weight, validate_data

from ..tape import Array

__all__ = ["Perceptron"]

_MAX_INT = np.iinfo(np.int32).max
# Of sparse data scikit-learn trains the bias, which every sample moves, a hundred times slower than the weights.
_SPARSE_INTERCEPT_DECAY = 0.01
# Samples looked at together, while none of them is a mistake.
_MOST = 256


class Perceptron(LinearClassifierMixin, SparseCoefMixin, BaseEstimator):
    """A threshold unit and its learning rule: on a mistake, ``w += eta0 * y * x`` and ``b += eta0 * y``, y in {-1, 1}.

    A sample is a mistake where ``y (w·x + b) <= 0``; all others change nothing. With targets and outputs in {0, 1} this
    is the textbook's ``w += eta (y - step(w·x + b)) x``, for ``eta = eta0``. More than two classes are learned one
    against the rest. For one ``random_state`` the order of the samples is scikit-learn's, and so are the weights.

    Args:
        penalty, alpha, l1_ratio, fit_intercept, max_iter, tol, shuffle, verbose, eta0, random_state, early_stopping,
        validation_fraction, n_iter_no_change, class_weight, warm_start: as in ``sklearn.linear_model.Perceptron``.
        n_jobs: taken, and not used: classes are learned one after the other.

    Attributes:
        coef_, intercept_, classes_, n_iter_, t_, n_features_in_, feature_names_in_: as in scikit-learn.

    Raises:
        ValueError: as in scikit-learn: one class only, options out of range, weights that overflow.

    Source: Rosenblatt, "The perceptron", Psychological Review 65, 1958; convergence: Novikoff, 1962.

    >>> from tinygrad_mlp.sklearn import Perceptron
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 0, 0, 1]
    >>> Perceptron(tol=None, max_iter=20).fit(X, y).score(X, y)
    1.0
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "penalty": [StrOptions({"l2", "l1", "elasticnet"}), None],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "l1_ratio": [Interval(Real, 0, 1, closed="both")],
        "fit_intercept": ["boolean"],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left"), None],
        "shuffle": ["boolean"],
        "verbose": ["verbose"],
        "eta0": [Interval(Real, 0, None, closed="neither")],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "class_weight": [StrOptions({"balanced"}), dict, None],
        "warm_start": ["boolean"],
    }

    coef_: Array
    intercept_: Array
    n_iter_: int

    def __init__(
        self,
        *,
        penalty: str | None = None,
        alpha: float = 0.0001,
        l1_ratio: float = 0.15,
        fit_intercept: bool = True,
        max_iter: int = 1000,
        tol: float | None = 1e-3,
        shuffle: bool = True,
        verbose: bool | int = 0,
        eta0: float = 1.0,
        n_jobs: int | None = None,
        random_state: Any = 0,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 5,
        class_weight: dict[Any, float] | str | None = None,
        warm_start: bool = False,
    ) -> None:
        self.penalty = penalty
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.max_iter = max_iter
        self.tol = tol
        self.shuffle = shuffle
        self.verbose = verbose
        self.eta0 = eta0
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.class_weight = class_weight
        self.warm_start = warm_start

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, coef_init: Any = None, intercept_init: Any = None, sample_weight: Any = None) -> Any:
        """Go through the data until ``tol`` or ``max_iter`` stops it.

        Args:
            X: (n, features), dense or sparse. y: (n,), labels of any kind.
            coef_init, intercept_init: where to start, shaped like ``coef_`` and ``intercept_``; zeros by default.
            sample_weight: (n,), factors of the updates.
        """
        if hasattr(self, "classes_"):
            del self.classes_
        y = validate_data(self, y=y)
        if self.warm_start and hasattr(self, "coef_"):
            coef_init = self.coef_ if coef_init is None else coef_init
            intercept_init = self.intercept_ if intercept_init is None else intercept_init
        elif hasattr(self, "coef_"):
            del self.coef_, self.intercept_
        self.t_ = 1.0
        self._go_through(X, y, np.unique(y), sample_weight, self.max_iter, coef_init, intercept_init)
        if self.tol is not None and self.n_iter_ == self.max_iter:
            warnings.warn(
                "Maximum number of iteration reached before convergence. Consider increasing max_iter to improve the "
                "fit.",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Any:
        """Go through the data once more.

        Args:
            X, y, sample_weight: as for :meth:`fit`. classes: all that will come; needed in the first call.
        """
        if not hasattr(self, "classes_"):
            if self.early_stopping:
                raise ValueError("early_stopping should be False with partial_fit")
            if self.class_weight == "balanced":
                raise ValueError(
                    "class_weight 'balanced' is not supported for partial_fit. In order to use 'balanced' weights, use "
                    "compute_class_weight('balanced', classes=classes, y=y). In place of y you can use a large enough "
                    "sample of the full training set target to properly estimate the class frequency distributions. "
                    "Pass the resulting weights as the class_weight parameter."
                )
        self._go_through(X, y, classes, sample_weight, 1, None, None)
        return self

    def _go_through(
        self, X: Any, y: Any, classes: Any, sample_weight: Any, epochs: int, coef_init: Any, intercept_init: Any
    ) -> None:
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse="csr",
            dtype=[np.float64, np.float32],
            order="C",
            accept_large_sparse=False,
            reset=not hasattr(self, "classes_"),
        )
        _check_partial_fit_first_call(self, classes)
        count = len(self.classes_)
        if count < 2:
            raise ValueError(f"The number of classes has to be greater than one; got {count} class")
        factors = compute_class_weight(self.class_weight, classes=self.classes_, y=y)
        weights = _check_sample_weight(sample_weight, X, dtype=X.dtype)
        rows = 1 if count == 2 else count
        if not hasattr(self, "coef_") or coef_init is not None:
            self.coef_ = _start(coef_init, (rows, X.shape[1]), X.dtype, "coef_init")
            self.intercept_ = _start(intercept_init, (rows,), X.dtype, "intercept_init")
        if not hasattr(self, "t_"):
            self.t_ = 1.0
        if count == 2:
            self.n_iter_ = self._learn(0, 1, X, y, weights, (factors[1], factors[0]), epochs, self.random_state, None)
        else:
            held_out = self._split(y, weights)
            seeds = check_random_state(self.random_state).randint(_MAX_INT, size=count)
            self.n_iter_ = max(
                self._learn(place, place, X, y, weights, (factors[place], 1.0), epochs, seed, held_out)
                for place, seed in enumerate(seeds)
            )
        self.t_ += self.n_iter_ * X.shape[0]

    def _split(self, y: Array, weights: Array) -> Array:
        """Which samples are held out to score on."""
        held_out = np.zeros(len(y), dtype=bool)
        if self.early_stopping:
            split = StratifiedShuffleSplit(test_size=self.validation_fraction, random_state=self.random_state)
            _, places = next(split.split(np.zeros((len(y), 1)), y))
            if not np.any(weights[places] > 0):
                raise ValueError(
                    "The sample weights for validation set are all zero, consider using a different random state."
                )
            held_out[places] = True
        return held_out

    def _learn(
        self,
        row: int,
        positive: int,
        X: Any,
        y: Array,
        weights: Array,
        factors: tuple[float, float],
        epochs: int,
        random_state: Any,
        held_out: Array | None,
    ) -> int:
        """One class against the others, into one row of the weights; returns the number of epochs."""
        signs = np.where(y == self.classes_[positive], 1.0, -1.0)
        draws = check_random_state(random_state)
        draws.randint(1, _MAX_INT)  # scikit-learn's data set is given a seed of its own, which nothing uses
        if held_out is None:
            held_out = self._split(signs, weights)
        order = np.arange(len(signs))
        again = _permutation(int(draws.randint(_MAX_INT)), len(signs)) if self.shuffle else order
        steps = self.eta0 * signs * np.where(signs > 0, *factors) * weights
        unit = _Unit(self.coef_[row], float(self.intercept_[row]), bool(self.fit_intercept))
        samples = _Sparse(X, signs, steps) if not isinstance(X, np.ndarray) else _Dense(X, signs, steps)
        shrink = _Shrink.made(self, X.shape[1])
        best, patience = -np.inf, 0
        began = perf_counter()
        epoch = 0
        for epoch in range(1, epochs + 1):
            order = order[again]
            seen = order[~held_out[order]]
            loss = samples.epoch(unit, seen) if shrink is None else shrink.epoch(unit, samples, seen)
            if not (np.isfinite(unit.bias) and np.isfinite(unit.weights).all()):
                raise ValueError(
                    f"Floating-point under-/overflow occurred at epoch #{epoch}. Scaling input data with "
                    "StandardScaler or MinMaxScaler might help."
                )
            if self.early_stopping:
                right = (samples.values(unit, np.flatnonzero(held_out)) > 0) == (signs[held_out] > 0)
                reached = float(np.average(right, weights=weights[held_out]))
            else:
                reached = -loss / len(seen)
            if self.verbose:
                print(f"-- Epoch {epoch}")
                print(
                    f"Norm: {np.linalg.norm(unit.weights):.2f}, NNZs: {np.count_nonzero(unit.weights)}, "
                    f"Bias: {unit.bias:.6f}, T: {epoch * len(seen)}, Avg. loss: {loss / len(seen):f}"
                )
                print(f"Total training time: {perf_counter() - began:.2f} seconds.")
            patience = patience + 1 if self.tol is not None and reached < best + self.tol else 0
            best = max(best, reached)
            if patience >= self.n_iter_no_change:
                if self.verbose:
                    print(f"Convergence after {epoch} epochs took {perf_counter() - began:.2f} seconds")
                break
        self.intercept_[row] = unit.bias
        return epoch

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _start(given: Any, shape: tuple[int, ...], dtype: np.dtype[Any], what: str) -> Array:
    if given is None:
        return np.zeros(shape, dtype)
    array = np.array(given, dtype=dtype, order="C")
    if array.size != np.prod(shape):
        raise ValueError(f"Provided {what} does not match dataset.")
    return array.reshape(shape)


def _permutation(seed: int, count: int) -> Array:
    """scikit-learn's shuffle: Fisher and Yates with the xorshift generator of Marsaglia (2003), 32 bits.

    Each epoch starts the generator with the same seed, so each applies this permutation to the order before.
    """
    places = list(range(count))
    state = seed or 1
    for place in range(count - 1):
        state ^= (state << 13) & 0xFFFFFFFF
        state ^= state >> 17
        state ^= (state << 5) & 0xFFFFFFFF
        other = place + (state & _MAX_INT) % (count - place)
        places[place], places[other] = places[other], places[place]
    return np.array(places)


@dataclass
class _Unit:
    """One threshold unit; its weights are a row of ``coef_`` and change in place."""

    weights: Array
    bias: float
    has_bias: bool


class _Dense:
    """Samples as rows of an array. ``steps`` is what a mistake adds of a sample to the weights."""

    decay = 1.0

    def __init__(self, X: Any, signs: Array, steps: Array) -> None:
        self.X, self.signs, self.steps = X, signs, steps

    def values(self, unit: _Unit, places: Array) -> Array:
        """``w·x + b`` of some samples."""
        products: Array = self.X[places] @ unit.weights
        return products + unit.bias

    def row(self, place: int) -> tuple[Any, Any]:
        """Where one sample has values, and which."""
        return slice(None), self.X[place]

    def correct(self, unit: _Unit, place: int) -> None:
        """Learn from a mistake."""
        where, values = self.row(place)
        unit.weights[where] += self.steps[place] * values
        if unit.has_bias:
            unit.bias += self.steps[place] * self.decay

    def epoch(self, unit: _Unit, order: Array) -> float:
        """Go through the samples; returns the sum of the losses ``max(0, -y (w·x + b))``.

        Between two mistakes nothing changes, so samples are looked at together: the more, the longer none was wrong.
        """
        loss, start, size = 0.0, 0, 8
        while start < len(order):
            places = order[start : start + size]
            margins = self.signs[places] * self.values(unit, places)
            wrong = np.flatnonzero(margins <= 0)
            if not len(wrong):
                start += len(places)
                size = min(2 * size, _MOST)
                continue
            first = int(wrong[0])
            loss -= float(margins[first])
            self.correct(unit, places[first])
            start += first + 1
            size = max(min(2 * first, size), 8)
        return loss


class _Sparse(_Dense):
    """Samples as rows of a CSR matrix."""

    decay = _SPARSE_INTERCEPT_DECAY

    def row(self, place: int) -> tuple[Any, Any]:
        """The columns that are stored, and their values."""
        begin, end = self.X.indptr[place], self.X.indptr[place + 1]
        return self.X.indices[begin:end], self.X.data[begin:end]


class _Shrink:
    """A penalty: every sample shrinks the weights, so samples are taken one by one.

    L2 multiplies the weights by ``1 - eta alpha``; L1 moves them towards 0, no further than they would have been moved
    had all of the penalty so far been applied at once.

    Source: Tsuruoka, Tsujii, Ananiadou, ACL 2009 (cumulative L1 penalty).
    """

    def __init__(self, l1_ratio: float, alpha: float, eta0: float, features: int) -> None:
        self.l1_ratio, self.alpha = l1_ratio, alpha
        self.factor = max(0.0, 1.0 - (1.0 - l1_ratio) * eta0 * alpha)
        self.step = l1_ratio * eta0 * alpha
        self.due = 0.0
        self.paid = np.zeros(features)

    @classmethod
    def made(cls, of: Perceptron, features: int) -> _Shrink | None:
        """The penalty that was asked for."""
        if of.penalty is None:
            return None
        ratio = {"l2": 0.0, "l1": 1.0}.get(of.penalty, of.l1_ratio)
        return cls(ratio, of.alpha, of.eta0, features)

    def epoch(self, unit: _Unit, samples: _Dense, order: Array) -> float:
        """As :meth:`_Dense.epoch`; the sum has the penalty of the weights at each sample in it."""
        objective = 0.0
        weights = unit.weights
        for place in order:
            where, values = samples.row(place)
            margin = float(samples.signs[place] * (values @ weights[where] + unit.bias))
            size = 0.5 * (1.0 - self.l1_ratio) * float(weights @ weights)
            objective += self.alpha * (size + self.l1_ratio * float(np.abs(weights).sum()))
            if self.l1_ratio < 1.0:
                weights *= self.factor
            if margin <= 0:
                objective -= margin
                samples.correct(unit, place)
            if self.l1_ratio > 0.0:
                self.due += self.step
                self._clip(weights, where)
        return objective

    def _clip(self, weights: Array, where: Any) -> None:
        before = weights[where]
        above = np.maximum(0.0, before - (self.due + self.paid[where]))
        below = np.minimum(0.0, before + (self.due - self.paid[where]))
        after = np.where(before > 0, above, np.where(before < 0, below, before))
        self.paid[where] += after - before
        weights[where] = after
