"""MLPClassifier and MLPRegressor: scikit-learn's, to the letter, on this engine."""

from __future__ import annotations

import itertools
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import scipy.optimize
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, _fit_context, is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import check_random_state, column_or_1d, compute_class_weight, compute_sample_weight, shuffle
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call, type_of_target, unique_labels
from sklearn.utils.optimize import _check_optimize_result
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from ..errors import ArgumentError
from ..nn import MLP, Module
from ..nn.activations import ACTIVATIONS, make_activation
from ..ops import linear
from ..tape import Array
from ..tensor import no_grad
from .descent import Epochs, Objective, PackedObjective, dense_layers, unpack
from .heads import HEADS, Head
from .solvers import AdamSolver, SGDSolver, Solver

__all__ = ["MLPClassifier", "MLPRegressor"]

_Activation = str | Callable[[], Module]
_STOCHASTIC = ("sgd", "adam")
# scikit-learn's name for it.
_NAMES = {"logistic": "sigmoid"}
_DTYPES = (np.float64, np.float32)


class _MLP(BaseEstimator, ABC):
    """What classifier and regressor have in common."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions({*ACTIVATIONS, *_NAMES}), callable, list, tuple],
        "solver": [StrOptions({"lbfgs", "sgd", "adam"})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
    }

    coefs_: list[Array]
    intercepts_: list[Array]
    loss_curve_: list[float]
    # These are None as scikit-learn has it, depending on early_stopping.
    validation_scores_: Any
    best_validation_score_: Any
    best_loss_: Any

    def _take(self, given: dict[str, Any]) -> None:
        """Keep the constructor's arguments as they are, under their names, as every estimator does."""
        for name in self._get_param_names():
            setattr(self, name, given[name])

    # --- what the two differ in ---

    @abstractmethod
    def _validate_input(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Array]: ...

    @abstractmethod
    def _output_activation(self) -> str: ...

    @abstractmethod
    def _predict(self, X: Any, check_input: bool = True) -> Array: ...

    @abstractmethod
    def _score(self, X: Any, y: Array, sample_weight: Array | None) -> float: ...

    def _weights_of(self, y: Array, sample_weight: Array | None) -> Array | None:  # noqa: ARG002 - classes have weights
        return sample_weight

    # --- the net ---

    @property
    def _head(self) -> Head:
        return HEADS[self.out_activation_]

    def _activations(self) -> list[_Activation]:
        given = self.activation
        count = self.n_layers_ - 2
        each: Sequence[_Activation] = given if isinstance(given, (list, tuple)) else [given] * count
        if len(each) != count:
            raise ArgumentError(
                f"{type(self).__name__}: activation is one for all hidden layers or a list of one for each, expected "
                f"{count}, got {len(each)}; say activation={['relu'] * count!r}"
            )
        return [_NAMES.get(one, one) if isinstance(one, str) else one for one in each]

    def network(self) -> MLP:
        """The fitted net as a module with a copy of the weights, to be looked into, drawn or trained on.

        It gives logits, without the output activation.
        """
        check_is_fitted(self)
        return self._network(None)

    def _network(self, seed: int | None) -> MLP:
        sizes = [self.coefs_[0].shape[0], *[one.shape[1] for one in self.coefs_]]
        net = MLP(*sizes, activation=self._activations(), dropout=self.dropout, seed=seed, dtype=self.coefs_[0].dtype)
        for layer, coef, intercept in zip(dense_layers(net), self.coefs_, self.intercepts_, strict=True):
            np.copyto(layer.weight.data.T, coef)
            np.copyto(layer.bias.data, intercept)  # type: ignore[union-attr]
        return net

    def _show(self, net: MLP) -> None:
        """Make ``coefs_`` and ``intercepts_`` views of the net's weights."""
        layers = dense_layers(net)
        self.coefs_ = [layer.weight.data.T for layer in layers]
        self.intercepts_ = [layer.bias.data for layer in layers if layer.bias is not None]

    def _forward(self, X: Any, check_input: bool = True) -> Array:
        if check_input:
            X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        if not isinstance(X, np.ndarray):
            X = X.toarray()
        dtype = np.result_type(X.dtype, self.coefs_[0].dtype)
        x = X.astype(dtype if dtype in _DTYPES else np.float64, copy=False)
        hidden = [make_activation(one) for one in self._activations()]
        with no_grad():
            for place, (coef, intercept) in enumerate(zip(self.coefs_, self.intercepts_, strict=True)):
                x = linear(x, coef.T.astype(x.dtype, copy=False), intercept.astype(x.dtype, copy=False))
                if place < len(hidden):
                    x = hidden[place](x)
            return self._head.outputs(x)

    # --- fitting ---

    def _initialize(self, y: Array, sizes: list[int], dtype: np.dtype[Any]) -> None:
        self.n_iter_ = 0
        self.t_ = 0
        self.n_outputs_ = y.shape[1]
        self.n_layers_ = len(sizes)
        self.out_activation_ = self._output_activation()
        names = self._activations()
        self.coefs_, self.intercepts_ = [], []
        for place, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes)):
            # The output layer is drawn like the hidden one before it.
            name = names[min(place, len(names) - 1)] if names else self.activation
            bound = np.sqrt((2.0 if name in {"sigmoid", "logistic"} else 6.0) / (fan_in + fan_out))
            coef = self._random_state.uniform(-bound, bound, (fan_in, fan_out))
            intercept = self._random_state.uniform(-bound, bound, fan_out)
            self.coefs_.append(coef.astype(dtype, copy=False))
            self.intercepts_.append(intercept.astype(dtype, copy=False))
        if self.solver in _STOCHASTIC:
            self.loss_curve_ = []
            self._no_improvement_count = 0
            self.validation_scores_ = [] if self.early_stopping else None
            self.best_validation_score_ = -np.inf if self.early_stopping else None
            self.best_loss_ = None if self.early_stopping else np.inf

    def _fit(self, X: Any, y: Any, sample_weight: Any = None, incremental: bool = False) -> Any:
        given = self.hidden_layer_sizes
        hidden = list(given) if hasattr(given, "__iter__") else [given]
        if np.any(np.array(hidden) <= 0):
            raise ValueError(f"hidden_layer_sizes must be > 0, got {hidden}.")
        first_pass = not hasattr(self, "coefs_") or (not self.warm_start and not incremental)
        X, y = self._validate_input(X, y, incremental, reset=first_pass)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X)
        if y.ndim == 1:
            y = y.reshape((-1, 1))
        self.n_outputs_ = y.shape[1]
        sample_weight = self._weights_of(y, sample_weight)
        self._random_state = check_random_state(self.random_state)
        if first_pass:
            self._initialize(y, [X.shape[1], *[int(size) for size in hidden], self.n_outputs_], X.dtype)
        if self.solver == "lbfgs":
            self._fit_lbfgs(X, y, sample_weight)
        else:
            self._fit_stochastic(X, y, sample_weight, incremental)
        if not all(np.isfinite(one).all() for one in (*self.coefs_, *self.intercepts_)):
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may contain large values and need to be "
                "preprocessed."
            )
        return self

    def _columns(self, X: Any, y: Array, weights: Array | None, dtype: np.dtype[Any]) -> tuple[Any, ...]:
        targets = self._head.targets(y, dtype)
        X = X.astype(dtype, copy=False)
        return (X, targets) if weights is None else (X, targets, weights.astype(dtype, copy=False))

    def _fit_lbfgs(self, X: Any, y: Array, weights: Array | None) -> None:
        if self.dropout:
            raise ArgumentError(
                f"{type(self).__name__}: L-BFGS compares losses, and dropout makes another one in every call; "
                "say solver='adam', or dropout=0.0"
            )
        # SciPy's vectors are float64, whatever the data.
        packed = np.concatenate([one.ravel() for one in (*self.coefs_, *self.intercepts_)]).astype(np.float64)
        self.coefs_ = [one.astype(np.float64) for one in self.coefs_]
        net = self._network(0)
        dense = X if isinstance(X, np.ndarray) else X.toarray()
        columns = self._columns(dense, y, weights, np.dtype(np.float64))
        found = scipy.optimize.minimize(
            PackedObjective(Objective(net, self._head, self.alpha), columns, min(self.max_iter, self.max_fun)),
            packed,
            method="L-BFGS-B",
            jac=True,
            options={"maxfun": self.max_fun, "maxiter": self.max_iter, "gtol": self.tol},
        )
        self.n_iter_ = _check_optimize_result("lbfgs", found, self.max_iter)
        self.loss_ = found.fun
        unpack(net, found.x)
        self._show(net)

    def _solver(self) -> Solver:
        if self.solver == "adam":
            return AdamSolver(self.learning_rate_init, self.beta_1, self.beta_2, self.epsilon)
        return SGDSolver(
            self.learning_rate_init, self.learning_rate, self.momentum, self.nesterovs_momentum, self.power_t
        )

    def _fit_stochastic(self, X: Any, y: Array, weights: Array | None, incremental: bool) -> None:
        if not incremental or not hasattr(self, "_optimizer"):
            self._optimizer = self._solver()
        if self.early_stopping and incremental:
            raise ValueError("partial_fit does not support early_stopping=True")
        held_out = None
        if self.early_stopping:
            X, y, weights, held_out = self._split(X, y, weights)
        samples = X.shape[0]
        if self.batch_size == "auto":
            batch_size = min(200, samples)
        else:
            if self.batch_size > samples:
                warnings.warn(
                    "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped", stacklevel=2
                )
            batch_size = int(np.clip(self.batch_size, 1, samples))
        net = self._network(int(self._random_state.randint(2**31)) if self.dropout else 0)
        self._show(net)
        columns = self._columns(X, y, weights, self.coefs_[0].dtype)
        objective = Objective(net, self._head, self.alpha)
        rounds = 1 if incremental else self.max_iter
        epochs = Epochs(objective, self._optimizer.bind(net), columns, batch_size, rounds)
        try:
            self._descend(epochs, samples, held_out, incremental)
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=2)
        finally:
            self._optimizer.release()
        if self.early_stopping:
            self.coefs_, self.intercepts_ = self._best
            del self._best

    def _split(self, X: Any, y: Array, weights: Array | None) -> tuple[Any, Array, Array | None, tuple[Any, ...]]:
        given = [X, y] if weights is None else [X, y, weights]
        # Labels are not in proportion to anything.
        stratify = y if is_classifier(self) and self.n_outputs_ == 1 else None
        parts = train_test_split(
            *given, random_state=self._random_state, test_size=self.validation_fraction, stratify=stratify
        )
        (X, X_val, y, y_val), weighed = parts[:4], parts[4:] or [None, None]
        if X_val.shape[0] < 2:
            raise ValueError(
                "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
            )
        if is_classifier(self):
            y_val = self._label_binarizer.inverse_transform(y_val)
        return X, y, weighed[0], (X_val, y_val, weighed[1])

    def _descend(self, epochs: Epochs, samples: int, held_out: tuple[Any, ...] | None, incremental: bool) -> None:
        if held_out is not None:
            self._best = [one.copy() for one in self.coefs_], [one.copy() for one in self.intercepts_]
        order = np.arange(samples) if self.shuffle else None
        self.n_iter_ = 0
        for _ in range(self.max_iter):
            if order is not None:
                order = shuffle(order, random_state=self._random_state)
            self.loss_ = epochs.run(order)
            self.n_iter_ += 1
            self.t_ += samples
            self.loss_curve_.append(self.loss_)
            if self.verbose:
                print(f"Iteration {self.n_iter_}, loss = {self.loss_:.8f}")
            self._judge(held_out)
            self._optimizer.epoch_ends(self.t_)
            if self._no_improvement_count > self.n_iter_no_change:
                what = "Validation score" if held_out is not None else "Training loss"
                message = (
                    f"{what} did not improve more than tol={self.tol:f} for {self.n_iter_no_change} consecutive epochs."
                )
                if self._optimizer.stops(message, self.verbose):
                    break
                self._no_improvement_count = 0
            if incremental:
                break
            if self.n_iter_ == self.max_iter:
                warnings.warn(
                    f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and the optimization hasn't "
                    "converged yet.",
                    ConvergenceWarning,
                    stacklevel=2,
                )

    def _judge(self, held_out: tuple[Any, ...] | None) -> None:
        """Count the epochs since the last one that was better by ``tol``."""
        if held_out is None:
            better = not self.loss_curve_[-1] > self.best_loss_ - self.tol
            self.best_loss_ = min(self.best_loss_, self.loss_curve_[-1])
        else:
            score = self._score(*held_out)
            self.validation_scores_.append(score)
            if self.verbose:
                print(f"Validation score: {score:f}")
            better = not score < self.best_validation_score_ + self.tol
            if score > self.best_validation_score_:
                self.best_validation_score_ = score
                self._best = [one.copy() for one in self.coefs_], [one.copy() for one in self.intercepts_]
        self._no_improvement_count = 0 if better else self._no_improvement_count + 1

    def _scored(self, by: Callable[..., float], X: Any, y: Array, sample_weight: Array | None) -> float:
        # Input validation would ask for the feature names, which the arrays of a split have lost.
        predicted = self._predict(X, check_input=False)
        if np.issubdtype(predicted.dtype, np.floating) and not np.isfinite(predicted).all():
            return float(np.nan)
        return by(y, predicted, sample_weight=sample_weight)

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Fit the net to data.

        Args:
            X: (n, features), an array, a data frame or a sparse matrix (which is made dense batch by batch).
            y: (n,) or (n, outputs). sample_weight: (n,), 1 for each sample by default.

        Returns:
            The estimator itself.

        Raises:
            ValueError: data or options that scikit-learn refuses as well; weights that are not finite any more.
        """
        return self._fit(X, y, sample_weight=sample_weight)

    def _check_solver(self) -> bool:
        if self.solver not in _STOCHASTIC:
            raise AttributeError(
                f"partial_fit is only available for stochastic optimizers. {self.solver} is not stochastic."
            )
        return True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


class MLPClassifier(ClassifierMixin, _MLP):
    """A multilayer perceptron that classifies: scikit-learn's arguments, attributes, numbers, and three more.

    For one ``random_state`` the initial weights, the batches and so the losses are scikit-learn's, to rounding.

    Args:
        hidden_layer_sizes, solver, alpha, batch_size, learning_rate, learning_rate_init, power_t, max_iter, shuffle,
        random_state, tol, verbose, warm_start, momentum, nesterovs_momentum, early_stopping, validation_fraction,
        beta_1, beta_2, epsilon, n_iter_no_change, max_fun: as in ``sklearn.neural_network.MLPClassifier``.
        activation: ``"identity"``, ``"logistic"``, ``"tanh"``, ``"relu"``, and here also any other activation of
            :class:`~tinygrad_mlp.nn.MLP` by name or class, or a list with one for each hidden layer.
        dropout: the probability of dropping a hidden value in training.
        class_weight: ``{class: weight}`` or ``"balanced"``, factors of the samples' weights.

    Attributes:
        classes_, loss_, best_loss_, loss_curve_, validation_scores_, best_validation_score_, t_, coefs_, intercepts_,
        n_features_in_, feature_names_in_, n_iter_, n_layers_, n_outputs_, out_activation_: as in scikit-learn.

    Raises:
        ValueError: as in scikit-learn. ArgumentError (a ValueError): a list of activations of the wrong length, dropout
            with L-BFGS.

    >>> from sklearn.datasets import load_iris
    >>> from tinygrad_mlp.sklearn import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier((8, 8), activation=["relu", "tanh"], solver="lbfgs", random_state=0, max_iter=500)
    >>> round(model.fit(X, y).score(X, y), 2)
    0.99
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **_MLP._parameter_constraints,
        "class_weight": [StrOptions({"balanced"}), dict, None],
    }
    loss = "log_loss"

    def __init__(
        self,
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        dropout: float = 0.0,
        class_weight: dict[Any, float] | str | None = None,
    ) -> None:
        self._take(locals())

    def _output_activation(self) -> str:
        return "softmax" if self._label_binarizer.y_type_ == "multiclass" else "logistic"

    def _weights_of(self, y: Array, sample_weight: Array | None) -> Array | None:
        if self.class_weight is None:
            return sample_weight
        outputs = y.astype(int)
        if self._label_binarizer.y_type_.startswith("multilabel"):
            factors = compute_sample_weight(self.class_weight, outputs)
        else:
            labels = self._label_binarizer.inverse_transform(outputs.ravel() if self.n_outputs_ == 1 else outputs)
            # Where samples weigh, a class counts as much as they do, so that 2 stands for a sample given twice, and 0
            # for one left out.
            kept = np.ones(len(labels), bool) if sample_weight is None else sample_weight > 0
            weights = None if sample_weight is None else sample_weight[kept]
            classes, ids = np.unique(labels[kept], return_inverse=True)
            factors = np.zeros(len(labels))
            factors[kept] = compute_class_weight(
                self.class_weight, classes=classes, y=labels[kept], sample_weight=weights
            )[ids]
        return factors if sample_weight is None else sample_weight * factors

    def _validate_input(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Array]:
        X, y = validate_data(self, X, y, accept_sparse=["csr", "csc"], multi_output=True, dtype=_DTYPES, reset=reset)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if not hasattr(self, "classes_") or (not self.warm_start and not incremental):
            self._label_binarizer = LabelBinarizer()
            self._label_binarizer.fit(y)
            self.classes_ = self._label_binarizer.classes_
        else:
            classes = unique_labels(y)
            if self.warm_start:
                if set(classes) != set(self.classes_):
                    raise ValueError(
                        "warm_start can only be used where `y` has the same classes as in the previous call to fit. "
                        f"Previously got {self.classes_}, `y` has {classes}"
                    )
            elif len(np.setdiff1d(classes, self.classes_, assume_unique=True)):
                raise ValueError(
                    f"`y` has classes not in `self.classes_`. `self.classes_` has {self.classes_}. 'y' has {classes}."
                )
        return X, self._label_binarizer.transform(y).astype(bool)

    def predict(self, X: Any) -> Array:
        """The most probable class of each sample, ``(n,)``; of labels those more probable than not, ``(n, labels)``."""
        check_is_fitted(self)
        return self._predict(X)

    def _predict(self, X: Any, check_input: bool = True) -> Array:
        outputs = self._forward(X, check_input)
        return self._label_binarizer.inverse_transform(outputs.ravel() if self.n_outputs_ == 1 else outputs)

    def _score(self, X: Any, y: Array, sample_weight: Array | None) -> float:
        return self._scored(accuracy_score, X, y, sample_weight)

    @available_if(lambda estimator: estimator._check_solver())
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Any:
        """Go through the data once more.

        Args:
            X, y, sample_weight: as for :meth:`fit`.
            classes: all classes that will come; needed in the first call.
        """
        if self.class_weight == "balanced":
            raise ValueError(
                "class_weight='balanced' needs all the data at once, and partial_fit sees a part; say "
                "class_weight={class: weight}"
            )
        if _check_partial_fit_first_call(self, classes):
            self._label_binarizer = LabelBinarizer()
            self._label_binarizer.fit(y if type_of_target(y).startswith("multilabel") else classes)
        return self._fit(X, y, sample_weight=sample_weight, incremental=True)

    def predict_log_proba(self, X: Any) -> Array:
        """The logarithm of :meth:`predict_proba`."""
        probabilities = self.predict_proba(X)
        return np.log(probabilities, out=probabilities)

    def predict_proba(self, X: Any) -> Array:
        """The probability of each class (or label), ``(n, classes)``, in the order of ``classes_``."""
        check_is_fitted(self)
        outputs = self._forward(X)
        return np.column_stack([1 - outputs, outputs]) if self.n_outputs_ == 1 else outputs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class MLPRegressor(RegressorMixin, _MLP):
    """A multilayer perceptron that predicts numbers: scikit-learn's arguments, attributes, numbers, and two more.

    Args:
        loss: ``"squared_error"``, or ``"poisson"`` for counts: half the deviance, with ``exp`` as output activation.
        activation, dropout: as for :class:`MLPClassifier`.
        The others: as in ``sklearn.neural_network.MLPRegressor``.

    Attributes:
        As of :class:`MLPClassifier`, without ``classes_``; scores are those of R².

    Raises:
        As :class:`MLPClassifier`.

    >>> import numpy as np
    >>> from tinygrad_mlp.sklearn import MLPRegressor
    >>> X = np.linspace(-3, 3, 100).reshape(-1, 1)
    >>> model = MLPRegressor(hidden_layer_sizes=16, activation="tanh", solver="lbfgs", random_state=0, max_iter=1000)
    >>> model.fit(X, np.sin(X).ravel()).score(X, np.sin(X).ravel()) > 0.999
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **_MLP._parameter_constraints,
        "loss": [StrOptions({"squared_error", "poisson"})],
    }

    def __init__(
        self,
        loss: str = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        dropout: float = 0.0,
    ) -> None:
        self._take(locals())

    def _output_activation(self) -> str:
        return "exp" if self.loss == "poisson" else "identity"

    def _validate_input(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Array]:  # noqa: ARG002
        X, y = validate_data(
            self, X, y, accept_sparse=["csr", "csc"], multi_output=True, y_numeric=True, dtype=_DTYPES, reset=reset
        )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return X, y

    def predict(self, X: Any) -> Array:
        """The predicted numbers, ``(n,)`` or ``(n, outputs)``."""
        check_is_fitted(self)
        return self._predict(X)

    def _predict(self, X: Any, check_input: bool = True) -> Array:
        outputs = self._forward(X, check_input)
        return outputs.ravel() if outputs.shape[1] == 1 else outputs

    def _score(self, X: Any, y: Array, sample_weight: Array | None) -> float:
        return self._scored(r2_score, X, y, sample_weight)

    @available_if(lambda estimator: estimator._check_solver())
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Go through the data once more; arguments as for :meth:`fit`."""
        return self._fit(X, y, sample_weight=sample_weight, incremental=True)
