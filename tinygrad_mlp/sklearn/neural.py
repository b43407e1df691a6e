"""Any module as an estimator: NeuralClassifier and NeuralRegressor."""

from __future__ import annotations

import copy
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets, unique_labels
from sklearn.utils.validation import check_is_fitted, validate_data

from ..errors import ArgumentError, did_you_mean
from ..nn import MLP, BCEWithLogitsLoss, Module
from ..nn.functional import sigmoid, softmax
from ..tape import Array
from ..train import OPTIMIZERS, fit, predict
from ..train.choices import loss_of

__all__ = ["NeuralClassifier", "NeuralRegressor"]

_PREFIXES = ("module", "optimizer", "criterion", "fit")


def _default_net(in_features: int, out_features: int, seed: int, dtype: Any) -> MLP:
    return MLP(in_features, 100, out_features, seed=seed, dtype=dtype)


class _Neural(BaseEstimator, ABC):
    """What classifier and regressor have in common."""

    _loss: str

    def __init__(
        self,
        module: Any = None,
        *,
        criterion: Any = None,
        optimizer: Any = "adam",
        lr: float | None = None,
        max_epochs: int = 100,
        batch_size: int = 32,
        shuffle: bool = True,
        validation_fraction: float = 0.0,
        warm_start: bool = False,
        random_state: Any = None,
        dtype: Any = None,
        verbose: bool | int = 0,
        **options: Any,
    ) -> None:
        self.module = module
        self.criterion = criterion
        self.optimizer = optimizer
        self.lr = lr
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.validation_fraction = validation_fraction
        self.warm_start = warm_start
        self.random_state = random_state
        self.dtype = dtype
        self.verbose = verbose
        for name, value in options.items():
            setattr(self, name, value)

    # --- parameters: those of the signature, and module__…, optimizer__…, criterion__…, fit__… ---

    def _check_name(self, name: str) -> None:
        prefix, _, rest = name.partition("__")
        if prefix not in _PREFIXES or not rest:
            valid = [*self._get_param_names(), *[f"{one}__…" for one in _PREFIXES]]
            raise ArgumentError(did_you_mean(f"argument of {type(self).__name__}", name, valid))

    def _extra(self) -> dict[str, Any]:
        """The arguments that the signature does not name."""
        named = self._get_param_names()
        return {name: value for name, value in vars(self).items() if name not in named and name.strip("_") == name}

    def _options(self, prefix: str) -> dict[str, Any]:
        start = prefix + "__"
        return {name[len(start) :]: value for name, value in vars(self).items() if name.startswith(start)}

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002 - a module has no parameters of this kind
        """All arguments by name, those with a prefix too."""
        return {**{name: getattr(self, name) for name in self._get_param_names()}, **self._extra()}

    def set_params(self, **params: Any) -> Self:
        """Set arguments by name.

        Raises:
            ArgumentError: there is no such argument; nothing is set.
        """
        known = self.get_params()
        for name in params:
            if name not in known:
                self._check_name(name)
        for name, value in params.items():
            setattr(self, name, value)
        return self

    # --- making the parts ---

    @abstractmethod
    def _targets(self, X: Any, y: Any, classes: Any, reset: bool) -> tuple[Array, Array, int]:
        """Validated X, what the criterion compares with, and the number of outputs."""

    def _criterion(self) -> Callable[[Any, Any], Any]:
        given = self._loss if self.criterion is None else self.criterion
        return loss_of(given(**self._options("criterion")) if isinstance(given, type) else given)

    def _module(self, X: Array, outputs: int, seed: int) -> Module:
        given = _default_net if self.module is None else self.module
        options = self._options("module")
        if isinstance(given, Module):
            if options:
                raise ArgumentError(
                    f"module__{next(iter(options))} is for what makes the module, and module is one already; give "
                    "its class, or a function"
                )
            return copy.deepcopy(given)
        if not callable(given):
            raise ArgumentError(f"module is a Module, or a class or function that makes one, got {given!r}")
        known = {"in_features": X.shape[-1], "out_features": outputs, "seed": seed, "dtype": X.dtype}
        asked = inspect.signature(given).parameters
        made = given(**{**{name: value for name, value in known.items() if name in asked}, **options})
        if not isinstance(made, Module):
            raise ArgumentError(f"module makes a Module when called, got {type(made).__name__}")
        return made

    def _made_optimizer(self, net: Module) -> Any:
        given = self.optimizer
        if isinstance(given, str):
            if given.lower() not in OPTIMIZERS:
                raise ArgumentError(did_you_mean("optimizer", given, OPTIMIZERS))
            given = OPTIMIZERS[given.lower()]
        if not callable(given):
            raise ArgumentError(
                f"optimizer is a name or a class, made for the parameters of each fit, got {type(given).__name__}; "
                "say optimizer=optim.SGD"
            )
        options = self._options("optimizer")
        return given(net.parameters(), **(options if self.lr is None else {"lr": self.lr, **options}))

    # --- fitting ---

    def fit(self, X: Any, y: Any, **arguments: Any) -> Self:
        """Train a new module (with ``warm_start`` the one of the last fit) for ``max_epochs``.

        Args:
            X: (n, …). y: (n,) labels, or (n,) or (n, outputs) numbers.
            arguments: of :func:`tinygrad_mlp.train.fit` for this call, such as ``sample_weight``.
        """
        return self._fit(X, y, None, self.max_epochs, self.warm_start, arguments)

    def partial_fit(self, X: Any, y: Any, classes: Any = None, **arguments: Any) -> Self:
        """Train the module for one epoch more.

        Args:
            X, y, arguments: as for :meth:`fit`. classes: all that will come; in a classifier's first call.
        """
        return self._fit(X, y, classes, 1, True, arguments)

    def _fit(self, X: Any, y: Any, classes: Any, epochs: int, goes_on: bool, arguments: dict[str, Any]) -> Self:
        # Here and not before: scikit-learn makes estimators from any arguments, and looks at them in fit.
        for name in self._extra():
            self._check_name(name)
        fresh = not goes_on or not hasattr(self, "module_")
        X, targets, outputs = self._targets(X, y, classes, fresh)
        source = check_random_state(self.random_state)
        seeds = [int(one) for one in source.randint(2**31, size=2)]
        if fresh:
            self.module_ = self._module(X, outputs, seeds[0])
            self.optimizer_ = self._made_optimizer(self.module_)
            self.n_iter_ = 0
        options = {
            "epochs": epochs,
            "batch_size": self.batch_size,
            "loss": self._criterion(),
            "shuffle": self.shuffle,
            "validation_split": self.validation_fraction,
            # Each epoch of partial_fit needs an order of its own.
            "seed": seeds[1] + self.n_iter_,
            "verbose": int(self.verbose),
        }
        # What fit__… or this call names wins over what has a name of its own here.
        given = {**options, **self._options("fit"), **arguments}
        self.history_ = fit(self.module_, X, targets, optimizer=self.optimizer_, **given)
        self.n_iter_ += len(self.history_.epoch)
        return self

    def _checked(self, X: Any, y: Any, reset: bool, **options: Any) -> tuple[Array, Array]:
        given = [np.float64, np.float32] if self.dtype is None else self.dtype
        return validate_data(self, X, y, reset=reset, allow_nd=True, dtype=given, **options)

    def _outputs(self, X: Any) -> Array:
        check_is_fitted(self)
        given = [np.float64, np.float32] if self.dtype is None else self.dtype
        X = validate_data(self, X, reset=False, allow_nd=True, dtype=given)
        return predict(self.module_, X)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "module_")


class NeuralClassifier(ClassifierMixin, _Neural):
    """Any module as a classifier: it gives logits ``(n, classes)``, and a loss of classes trains it.

    Args:
        module: what makes the module, a class or a function: of the arguments ``in_features``, ``out_features``,
            ``seed`` and ``dtype`` it is given those that it takes, and ``module__…``. Or a finished Module, of which
            every fit trains a copy. By default an MLP with 100 hidden units.
        criterion: a loss by name, instance or class (made with ``criterion__…``); cross-entropy by default. With
            ``"binary_cross_entropy"`` the module gives one logit, ``(n, 1)``, of the second of two classes.
        optimizer: a name, or a class that is made for the parameters with ``lr`` and ``optimizer__…``.
        lr: the learning rate; the optimizer's default if None.
        max_epochs, batch_size, shuffle: of training. validation_fraction: a share of the samples to validate on.
        warm_start: go on with the module of the last fit.
        random_state: of the module's first weights (where it takes ``seed``) and of the order of samples.
        dtype: what X is converted to: floats as they come by default; say ``int`` for modules that look up rows.
        verbose: as for :func:`tinygrad_mlp.train.fit`.
        options: ``module__…``, ``optimizer__…``, ``criterion__…``; and ``fit__…``, passed to
            :func:`tinygrad_mlp.train.fit`, for instance ``fit__compile=False``.

    Attributes:
        module_, optimizer_, history_: the trained module, its optimizer, and the History of the last fit.
        classes_, n_features_in_, feature_names_in_: as in scikit-learn. n_iter_: the number of epochs in all.

    Raises:
        ArgumentError: an unknown option; something that does not make a module or an optimizer. ValueError: data that
            scikit-learn refuses as well.

    >>> from sklearn.datasets import load_iris
    >>> from tinygrad_mlp import nn
    >>> from tinygrad_mlp.sklearn import NeuralClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = NeuralClassifier(nn.Linear, optimizer="adam", lr=0.1, max_epochs=50, random_state=0)
    >>> round(model.fit(X, y).score(X, y), 2) > 0.95
    True
    """

    _loss = "cross_entropy"

    def _one_logit(self) -> bool:
        return isinstance(self._criterion(), BCEWithLogitsLoss)

    def _targets(self, X: Any, y: Any, classes: Any, reset: bool) -> tuple[Array, Array, int]:
        X, y = self._checked(X, y, reset)
        if reset:
            check_classification_targets(y)
            self.classes_ = unique_labels(y if classes is None else classes)
        if len(self.classes_) < 2:
            raise ValueError(f"{type(self).__name__} needs at least two classes, got one class: {self.classes_[0]!r}")
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown):
            raise ValueError(f"y has classes {unknown} that were not there in the first call: {self.classes_}")
        ids = np.searchsorted(self.classes_, y)
        if not self._one_logit():
            return X, ids, len(self.classes_)
        if len(self.classes_) != 2:
            raise ValueError(f"binary_cross_entropy needs two classes, got {len(self.classes_)}; say 'cross_entropy'")
        return X, ids.reshape(-1, 1).astype(X.dtype if X.dtype.kind == "f" else np.float32), 1

    def predict_proba(self, X: Any) -> Array:
        """The probability of each class, ``(n, classes)``, in the order of ``classes_``."""
        logits = self._outputs(X)
        if self._one_logit():
            return np.concatenate([sigmoid(-logits), sigmoid(logits)], axis=1)
        return softmax(logits)

    def predict(self, X: Any) -> Array:
        """The most probable class of each sample, ``(n,)``."""
        check_is_fitted(self)
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


class NeuralRegressor(RegressorMixin, _Neural):
    """Any module as a regressor: it gives numbers ``(n, outputs)``, and the squared error trains it.

    Arguments, attributes and errors: :class:`NeuralClassifier`, without ``classes_``; ``criterion`` is ``"mse"`` by
    default. Where ``y`` has one axis, predictions have one.

    >>> import numpy as np
    >>> from tinygrad_mlp import nn
    >>> from tinygrad_mlp.sklearn import NeuralRegressor
    >>> X = np.linspace(-1, 1, 64).reshape(-1, 1)
    >>> model = NeuralRegressor(nn.Linear, optimizer="sgd", lr=0.1, max_epochs=50, random_state=0)
    >>> model.fit(X, 3 * X.ravel() + 1).predict([[0.0], [1.0]]).round(1).tolist()
    [1.0, 4.0]
    """

    _loss = "mse"

    def _targets(self, X: Any, y: Any, classes: Any, reset: bool) -> tuple[Array, Array, int]:  # noqa: ARG002 - numbers
        X, y = self._checked(X, y, reset, multi_output=True, y_numeric=True)
        self._flat = y.ndim == 1
        y = y.astype(X.dtype if X.dtype.kind == "f" else np.float32).reshape(len(y), -1)
        return X, y, y.shape[1]

    def predict(self, X: Any) -> Array:
        """The predicted numbers, shaped like ``y`` in :meth:`fit`."""
        outputs = self._outputs(X)
        return outputs.ravel() if self._flat and outputs.shape[1:] == (1,) else outputs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
