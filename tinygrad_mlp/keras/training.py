"""How a model is handed to :mod:`tinygrad_mlp.train`: as a module that gives logits, with a loss of logits.

Keras computes cross-entropy of probabilities, and guards the logarithm. Behind a softmax or a sigmoid the same loss can
be had from what went into it, exactly and with gradients that never vanish: the last activation is left out while
training, and only metrics see the probabilities.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import ops
from ..errors import ArgumentError
from ..nn import Module
from ..tape import Array
from ..train import metrics as engine_metrics
from . import activations, losses, metrics
from .layers import Activation, Dense, Layer, Softmax

if TYPE_CHECKING:
    from .models import Sequential

__all__ = ["Criterion", "Seen", "Trained", "metrics_of"]

_FUSED: dict[Any, Any] = {
    activations.softmax: (losses.categorical_crossentropy, losses.sparse_categorical_crossentropy),
    activations.sigmoid: (losses.binary_crossentropy,),
}


def last_activation(model: Sequential) -> Any:
    """The function that makes probabilities of logits at the end of a model, or None."""
    last: Layer | None = model.layers[-1] if model.layers else None
    if isinstance(last, (Dense, Activation)):
        return last.activation
    return activations.softmax if isinstance(last, Softmax) and last.axis == -1 else None


class Trained(Module):
    """What is trained: the model, up to its last activation where the loss takes logits.

    Attributes:
        face: the model. logits: whether the last activation is left out.
    """

    face: Any

    def __init__(self, face: Sequential, *, logits: bool) -> None:
        super().__init__()
        self.face = face
        self.logits = logits

    def forward(self, x: Any) -> Any:
        """Logits, or the model's outputs."""
        return self.face.run_layers(x, logits=self.logits)

    def _note_place(self, error: Exception) -> None:
        # A user knows the model, and not what is trained in its place.
        self.face._note_place(error)


class Criterion:
    """A Keras loss as the training loop calls it: outputs first, penalties on weights added.

    Attributes:
        aligns: whether the loss compares outputs ``(n, 1)`` with targets ``(n,)`` as they are meant.

    Args:
        loss: what compares. logits: whether outputs still lack their activation. penalties: regularizers and weights.
    """

    def __init__(self, loss: losses.Loss, *, logits: bool, penalties: Sequence[tuple[Any, Any]]) -> None:
        self.loss = loss
        self.reduction = "sum" if loss.reduction == "sum" else "mean"
        self.penalties = list(penalties)
        self.aligns = isinstance(loss, losses.LossFunctionWrapper)
        self._logits = logits

    def __call__(self, outputs: Any, y: Any, sample_weight: Any = None) -> Any:
        """One number for the batch."""
        found = losses.reduced(self.values(outputs, y), sample_weight, self.loss.reduction)
        for regularizer, weight in self.penalties:
            found = ops.add(found, regularizer(weight))
        return found

    def values(self, outputs: Any, y: Any) -> Any:
        """One number per sample, without penalties."""
        if not self._logits:
            return self.loss.call(y, outputs)
        assert isinstance(self.loss, losses.LossFunctionWrapper)
        options = self.loss.options | {"from_logits": True}
        a, b = losses.same_rank(y, outputs) if y.ndim != outputs.ndim else (y, outputs)
        return self.loss.fn(a, b, **options)


def fuses(model: Sequential, loss: losses.Loss) -> bool:
    """Whether the loss can be computed from what goes into the last activation."""
    if not isinstance(loss, losses.LossFunctionWrapper) or loss.options.get("from_logits"):
        return False
    return loss.fn in _FUSED.get(last_activation(model), ())


class Seen(engine_metrics.Metric):
    """A Keras metric as the training loop feeds it: outputs first, and of logits the probabilities."""

    def __init__(self, metric: metrics.Metric, activation: Callable[[Any], Any] | None) -> None:
        self.metric = metric
        self._activation = activation
        self.better = _direction(metric)
        self.exact = isinstance(metric, metrics.MeanMetricWrapper) and metric.name.endswith(("accuracy", "acc"))
        super().__init__(metric.name)

    def reset(self) -> None:
        """Forget everything seen."""
        self.metric.reset_state()

    def update(self, outputs: Array, targets: Array, weights: Array | None = None) -> None:
        """Take in one batch."""
        shown = outputs if self._activation is None else self._activation(outputs)
        self.metric.update_state(targets, shown, sample_weight=weights)

    def result(self) -> Any:
        """The value over everything seen."""
        found = np.asarray(self.metric.result())
        return float(found) if found.ndim == 0 else found

    def state_dict(self) -> dict[str, Any]:
        """Everything seen."""
        return {name: np.array(getattr(self.metric, name)) for name in self.metric.sums}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state_dict` gave."""
        for name in self.metric.sums:
            setattr(self.metric, name, np.array(state[name]))


def _direction(metric: metrics.Metric) -> str | None:
    """Which values are the good ones: low ones of errors and losses, high ones of accuracies and scores."""
    if isinstance(metric, (metrics.FalseNegatives, metrics.FalsePositives, metrics.RootMeanSquaredError)):
        return "min"
    if not isinstance(metric, metrics.MeanMetricWrapper):
        return None if type(metric) in {metrics.Mean, metrics.Sum} else "max"
    if type(metric) is metrics.MeanMetricWrapper:
        return None
    upwards = isinstance(metric, metrics.CosineSimilarity) or "accuracy" in type(metric).__name__.lower()
    return "max" if upwards else "min"


_ACCURACIES: dict[str, tuple[Any, Any, Any]] = dict.fromkeys(
    ("accuracy", "acc"), (metrics.BinaryAccuracy, metrics.SparseCategoricalAccuracy, metrics.CategoricalAccuracy)
) | dict.fromkeys(
    ("crossentropy", "ce"),
    (metrics.BinaryCrossentropy, metrics.SparseCategoricalCrossentropy, metrics.CategoricalCrossentropy),
)
"""What a name stands for with one output, with class ids, with one-hot labels."""


def _of_name(given: str, loss: losses.Loss, outputs: int | None, rank: int, y: Any) -> metrics.Metric:
    """What ``"accuracy"`` means beside this loss and these outputs, by Keras' rules."""
    if given.lower() not in _ACCURACIES:
        found: metrics.Metric = metrics.get(given)
        return type(found).from_config({**found.get_config(), "name": given}) if given.islower() else found
    binary, sparse, categorical = _ACCURACIES[given.lower()]
    fn = getattr(loss, "fn", None)
    if outputs == 1:
        return binary(name=given)  # type: ignore[no-any-return]
    ids = fn is losses.sparse_categorical_crossentropy
    if fn not in {losses.sparse_categorical_crossentropy, losses.categorical_crossentropy} and y is not None:
        shape = np.shape(y)
        ids = len(shape) < rank or shape[-1] == 1
    return (sparse if ids else categorical)(name=given)  # type: ignore[no-any-return]


def metrics_of(given: Any, loss: losses.Loss, model: Sequential, y: Any) -> list[metrics.Metric]:
    """The metrics that ``compile(metrics=...)`` asked for.

    Raises:
        ArgumentError: an unknown name, or something that is not a metric.
    """
    if isinstance(given, Mapping):
        raise ArgumentError("metrics by output need a model with several outputs; say metrics=['accuracy']")
    wanted = [given] if isinstance(given, str) or not isinstance(given, Sequence) else list(given)
    shape = model.output_shape or (None,)
    found = []
    for one in _flat(wanted):
        made = _of_name(one, loss, shape[-1], len(shape), y) if isinstance(one, str) else metrics.get(one)
        if made is not None:
            found.append(made)
    return found


def _flat(given: Sequence[Any]) -> Iterator[Any]:
    for one in given:
        if isinstance(one, (list, tuple)):
            yield from _flat(one)
        else:
            yield one
