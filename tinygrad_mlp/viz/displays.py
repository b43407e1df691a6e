"""Pictures as scikit-learn has them: a display holds what was computed, and ``plot`` draws it, as often as it is asked.

Each is made by a class method, ``from_estimator``, ``from_predictions``, ``from_history`` and so on, which draws it
once; afterwards ``figure_`` is the matplotlib figure, and ``ax_``, or ``axes_`` where there are several panels, what it
is drawn into. At the end of a notebook's cell a display shows itself.

Source: the pattern is that of scikit-learn's visualisation API, "Developing with the Plotting API".
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from ..errors import ArgumentError, did_you_mean
from ..nn import Module
from ..tape import Array
from ..tensor import Tensor, no_grad
from .activations import plot_activations
from .confusion import confusion_matrix, draw_confusion_matrix
from .curves import plot_curve, plot_history
from .histograms import plot_histograms
from .landscape import Landscape, loss_landscape, plot_loss_landscape
from .pictures import plot_mistakes, plot_weights
from .planes import plot_decision_boundary, plot_predictions
from .style import plain

__all__ = [
    "ActivationDisplay",
    "ConfusionMatrixDisplay",
    "DecisionBoundaryDisplay",
    "Display",
    "HistogramDisplay",
    "HistoryDisplay",
    "LRFindDisplay",
    "LossLandscapeDisplay",
    "MistakesDisplay",
    "PredictionErrorDisplay",
    "WeightsDisplay",
]


class Display:
    """What all displays have.

    Attributes:
        figure_: the matplotlib ``Figure``, after ``plot``.
        axes_: its ``Axes``, in reading order. ax_: the first of them; None of a figure without any.
    """

    figure_: Any
    ax_: Any
    axes_: tuple[Any, ...]

    def _drawn(self, what: Any) -> Self:
        """Keep what was drawn: axes, or a figure of its own."""
        alone = hasattr(what, "figure") and hasattr(what, "get_xlabel")
        self.figure_ = what.figure if alone else what
        self.axes_ = (what,) if alone else tuple(what.axes)
        self.ax_ = self.axes_[0] if self.axes_ else None
        return self

    def _repr_png_(self) -> bytes | None:
        if not hasattr(self, "figure_"):
            return None
        buffer = io.BytesIO()
        self.figure_.savefig(buffer, format="png")
        return buffer.getvalue()


def _classes_of(estimator: Any, x: Any) -> tuple[Array, Sequence[Any] | None]:
    """The class ids that a model gives, and what the classes are called, where it knows.

    A scikit-learn classifier says so itself; of a network or any other function of ``x`` the largest output counts.
    """
    known = getattr(estimator, "classes_", None)
    if known is not None:
        return np.searchsorted(known, estimator.predict(x)), list(known)
    outputs = outputs_of(estimator, x)
    if outputs.ndim < 2 or outputs.shape[-1] < 2:
        raise ArgumentError(
            f"expected a classifier of scikit-learn, or one output for each class, got outputs of {outputs.shape}; "
            "make the classes yourself and use from_predictions, or from_function for a decision boundary"
        )
    found: Array = outputs.argmax(axis=-1)
    return found, None


def outputs_of(model: Any, x: Any) -> Array:
    """What a network in evaluation mode, or any function, gives for ``x``; the network is afterwards as before."""
    if not isinstance(model, Module):
        found = (model.predict if hasattr(model, "predict") else model)(x)
        return np.asarray(getattr(found, "data", found))
    modes = [(one, one.training) for one in model.modules()]
    kind = next((one.dtype for one in model.parameters()), None)
    array = np.asarray(x)
    try:
        model.eval()
        with no_grad():
            output = model(Tensor(array.astype(kind) if array.dtype.kind == "f" and kind is not None else array))
    finally:
        for one, training in modes:
            one.training = training
    return np.asarray(output.data)


class HistoryDisplay(Display):
    """Loss and metrics over the epochs.

    Args:
        history: lists by name, one number for each epoch.

    >>> display = HistoryDisplay.from_history({"loss": [2.0, 1.0], "val_loss": [2.1, 1.3]})
    >>> display.ax_.get_title(loc="left")
    'Loss'
    """

    def __init__(self, history: Mapping[str, Sequence[float]]) -> None:
        self.history = history

    @classmethod
    def from_history(cls, history: Any, metric: str | None = None, *, ax: Any = None) -> Self:
        """From what ``fit`` returns, or its ``history``; one ``metric``, or all in one panel each.

        Raises:
            ArgumentError: a metric that was not recorded, or axes without a metric. MissingExtraError: no matplotlib.
        """
        return cls(getattr(history, "history", history)).plot(metric, ax=ax)

    def plot(self, metric: str | None = None, *, ax: Any = None) -> Self:
        """Draw one metric, training and validation, into ``ax``; without ``metric`` all, into a figure of their own."""
        names = [name for name in self.history if not name.startswith("val_")]
        if metric is None and ax is None:
            return self._drawn(plot_history(self.history))
        if metric not in names:
            raise ArgumentError(did_you_mean("metric", str(metric), names))
        return self._drawn(plot_curve(self.history, metric, ax=ax))


class ConfusionMatrixDisplay(Display):
    """Which classes are taken for which; arguments and methods as scikit-learn's class of this name.

    Args:
        confusion_matrix: (classes, classes), the row is the true class.
        display_labels: a name for each class; the ids by default.

    >>> display = ConfusionMatrixDisplay.from_predictions([0, 0, 1], [0, 1, 1], display_labels=["cat", "dog"])
    >>> display.confusion_matrix
    array([[1, 1],
           [0, 1]])
    """

    def __init__(self, confusion_matrix: ArrayLike, *, display_labels: Sequence[Any] | None = None) -> None:
        self.confusion_matrix = np.asarray(confusion_matrix)
        self.display_labels = display_labels

    @classmethod
    def from_predictions(
        cls, y_true: ArrayLike, y_pred: ArrayLike, *, display_labels: Sequence[Any] | None = None, ax: Any = None
    ) -> Self:
        """From class ids (samples,) from 0.

        Raises:
            ShapeError: the two differ in length. ArgumentError: ids out of range. MissingExtraError: no matplotlib.
        """
        counts = confusion_matrix(y_true, y_pred, None if display_labels is None else len(display_labels))
        return cls(counts, display_labels=display_labels).plot(ax=ax)

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, y: ArrayLike, *, display_labels: Sequence[Any] | None = None, ax: Any = None
    ) -> Self:
        """From a classifier of scikit-learn or a network with an output for each class; the rest as above."""
        found, names = _classes_of(estimator, X)
        truth = np.asarray(y) if names is None else np.searchsorted(names, y)
        return cls.from_predictions(truth, found, display_labels=display_labels or names, ax=ax)

    def plot(self, *, ax: Any = None) -> Self:
        """Draw it: right answers blue, mistakes orange, both darker the larger their share of the row."""
        labels = self.display_labels
        names = None if labels is None else [str(one) for one in labels]
        return self._drawn(draw_confusion_matrix(self.confusion_matrix, names, ax=ax))


class DecisionBoundaryDisplay(Display):
    """Points of the plane over the regions that a model assigns to each class.

    Args:
        classify: from points (n, 2) to class ids (n,). X: (samples, 2). y: (samples,) class ids.
        feature_names: what the two axes are called.
    """

    def __init__(
        self, classify: Callable[[Array], Array], X: ArrayLike, y: ArrayLike, *, feature_names: Sequence[str] = ()
    ) -> None:
        self.classify = classify
        self.X, self.y = np.asarray(X), np.asarray(y)
        self.feature_names = tuple(feature_names)

    @classmethod
    def from_estimator(cls, estimator: Any, X: ArrayLike, y: ArrayLike, *, ax: Any = None, **options: Any) -> Self:
        """From a classifier of scikit-learn or a network with an output for each class.

        Args:
            options: ``feature_names``; ``resolution``, points along each side that the model is asked about.

        Raises:
            ShapeError: the points have not two coordinates. ArgumentError: a model with a single output.
            MissingExtraError: no matplotlib.
        """
        known = getattr(estimator, "classes_", None)
        ids = np.asarray(y) if known is None else np.searchsorted(known, y)
        return cls.from_function(lambda points: _classes_of(estimator, points)[0], X, ids, ax=ax, **options)

    @classmethod
    def from_function(
        cls,
        classify: Callable[[Array], Array],
        X: ArrayLike,
        y: ArrayLike,
        *,
        ax: Any = None,
        feature_names: Sequence[str] = (),
        resolution: int = 160,
    ) -> Self:
        """From any function of points (n, 2) that gives class ids (n,)."""
        return cls(classify, X, y, feature_names=feature_names).plot(ax=ax, resolution=resolution)

    def plot(self, *, ax: Any = None, resolution: int = 160) -> Self:
        """Draw it; wrong points are ringed."""
        drawn = plot_decision_boundary(self.classify, self.X, self.y, ax=ax, resolution=resolution)
        if self.feature_names:
            drawn.set_xlabel(plain(self.feature_names[0], 40))
            drawn.set_ylabel(plain(self.feature_names[1], 40))
        return self._drawn(drawn)


class PredictionErrorDisplay(Display):
    """Predicted against true numbers; perfect predictions lie on the line. Arguments: y_true, y_pred of one size."""

    def __init__(self, *, y_true: ArrayLike, y_pred: ArrayLike) -> None:
        self.y_true, self.y_pred = np.asarray(y_true), np.asarray(y_pred)

    @classmethod
    def from_predictions(cls, y_true: ArrayLike, y_pred: ArrayLike, *, ax: Any = None) -> Self:
        """From numbers. Raises ShapeError where they differ in size, MissingExtraError without matplotlib."""
        return cls(y_true=y_true, y_pred=y_pred).plot(ax=ax)

    @classmethod
    def from_estimator(cls, estimator: Any, X: Any, y: ArrayLike, *, ax: Any = None) -> Self:
        """From a regressor of scikit-learn or a network."""
        return cls.from_predictions(y, outputs_of(estimator, X), ax=ax)

    def plot(self, *, ax: Any = None) -> Self:
        """Draw it."""
        return self._drawn(plot_predictions(self.y_true, self.y_pred, ax=ax))


class MistakesDisplay(Display):
    """Wrongly classified images with the classes that the model considered, the surest mistakes first.

    Args:
        images: (samples, height, width). y_true: (samples,) class ids. probabilities: (samples, classes).
        display_labels: a name for each class; the ids by default.
    """

    def __init__(
        self,
        images: ArrayLike,
        y_true: ArrayLike,
        probabilities: ArrayLike,
        *,
        display_labels: Sequence[str] | None = None,
    ) -> None:
        self.images, self.y_true = np.asarray(images), np.asarray(y_true)
        self.probabilities = np.asarray(probabilities)
        self.display_labels = display_labels

    @classmethod
    def from_predictions(
        cls,
        images: ArrayLike,
        y_true: ArrayLike,
        probabilities: ArrayLike,
        *,
        display_labels: Sequence[str] | None = None,
        limit: int = 12,
    ) -> Self:
        """From probabilities. Raises ShapeError where lengths differ, MissingExtraError without matplotlib."""
        return cls(images, y_true, probabilities, display_labels=display_labels).plot(limit=limit)

    def plot(self, *, limit: int = 12) -> Self:
        """Draw at most ``limit`` of them."""
        labels = self.display_labels
        return self._drawn(plot_mistakes(self.images, self.y_true, self.probabilities, labels, limit=limit))


class WeightsDisplay(Display):
    """The weights of a first layer as images, one for each unit.

    Args:
        weight: (units, height * width). image_shape: (height, width).
    """

    def __init__(self, weight: Any, image_shape: tuple[int, int]) -> None:
        self.weight = np.asarray(getattr(weight, "data", weight))
        self.image_shape = image_shape

    @classmethod
    def from_weights(cls, weight: Any, image_shape: tuple[int, int], *, columns: int = 8, limit: int = 32) -> Self:
        """From a Tensor or an array. Raises ShapeError where rows are no such images, MissingExtraError."""
        return cls(weight, image_shape).plot(columns=columns, limit=limit)

    @classmethod
    def from_model(cls, model: Module, image_shape: tuple[int, int], *, columns: int = 8, limit: int = 32) -> Self:
        """From the first matrix among the parameters of a network."""
        matrices = [one for one in model.parameters() if one.ndim == 2]
        if not matrices:
            raise ArgumentError(f"{type(model).__name__} has no matrix of weights that could be images")
        return cls.from_weights(matrices[0], image_shape, columns=columns, limit=limit)

    def plot(self, *, columns: int = 8, limit: int = 32) -> Self:
        """Draw at most ``limit`` units: purple adds, orange subtracts, white does nothing."""
        return self._drawn(plot_weights(self.weight, self.image_shape, columns=columns, limit=limit))


class ActivationDisplay(Display):
    """Activation functions and their derivatives, which the engine finds. Arguments: names, or functions by name."""

    def __init__(self, functions: Sequence[str] | Mapping[str, Callable[[Tensor], Tensor]]) -> None:
        self.functions = functions

    @classmethod
    def from_functions(
        cls,
        functions: Sequence[str] | Mapping[str, Callable[[Tensor], Tensor]] = ("sigmoid", "tanh", "relu", "leaky_relu"),
        *,
        low: float = -5.0,
        high: float = 5.0,
    ) -> Self:
        """From names or functions. Raises ArgumentError for a name that is not known, MissingExtraError."""
        return cls(functions).plot(low=low, high=high)

    def plot(self, *, low: float = -5.0, high: float = 5.0) -> Self:
        """Draw functions as lines, derivatives dashed, a panel each."""
        return self._drawn(plot_activations(self.functions, low=low, high=high))


class LossLandscapeDisplay(Display):
    """The loss over a plane through the space of the parameters, and the way that training took. Argument: it."""

    def __init__(self, landscape: Landscape) -> None:
        self.landscape = landscape

    @classmethod
    def from_model(
        cls, model: Module, loss_of: Callable[[], Tensor | float], *, ax: Any = None, **options: Any
    ) -> Self:
        """Compute it as :func:`loss_landscape` does, with its options ``path``, ``seed``, ``reach``, ``size``."""
        return cls(loss_landscape(model, loss_of, **options)).plot(ax=ax)

    def plot(self, *, ax: Any = None, levels: int = 24) -> Self:
        """Draw contours, dark where the loss is low."""
        return self._drawn(plot_loss_landscape(self.landscape, ax=ax, levels=levels))


class HistogramDisplay(Display):
    """Distributions of weights, gradients or activations over the epochs. Argument: ``(counts, edges)`` by name."""

    def __init__(self, recorded: Mapping[str, Sequence[tuple[Array, Array]]]) -> None:
        self.recorded = recorded

    @classmethod
    def from_callback(cls, callback: Any, what: str = "weights", *, columns: int = 3) -> Self:
        """From :class:`tinygrad_mlp.train.Histograms` after ``fit``.

        Args:
            what: ``"weights"``, ``"gradients"`` or ``"activations"``.

        Raises:
            ArgumentError: another word, or nothing recorded. MissingExtraError: no matplotlib.
        """
        kinds = ("weights", "gradients", "activations")
        if what not in kinds:
            raise ArgumentError(did_you_mean("what", what, kinds))
        return cls(getattr(callback, what)).plot(columns=columns)

    def plot(self, *, columns: int = 3) -> Self:
        """Draw a map for each name: an epoch is a column, darker is more frequent."""
        return self._drawn(plot_histograms(self.recorded, columns=columns))


class LRFindDisplay(Display):
    """The loss over the learning rate. Argument: what :func:`tinygrad_mlp.train.lr_find` returns."""

    def __init__(self, found: Any) -> None:
        self.found = found

    @classmethod
    def from_lr_find(cls, found: Any, *, ax: Any = None) -> Self:
        """From what ``lr_find`` returns. Raises MissingExtraError without matplotlib."""
        return cls(found).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> Self:
        """Draw it, with both suggestions marked."""
        return self._drawn(self.found.plot(ax=ax))
