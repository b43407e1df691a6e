"""Losses by Keras' names, of ``(y_true, y_pred)``: functions that give one number per sample, and classes that reduce.

All take tensors and arrays. The formulas and their guards (``epsilon`` is 1e-7) are those of Keras 3; a model of this
face computes cross-entropy behind a softmax or a sigmoid from the logits instead, where nothing has to be guarded.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Self

import numpy as np

from .. import ops
from ..errors import ArgumentError, ShapeError, did_you_mean
from ..nn import functional
from ..tensor import Tensor
from .naming import snake

__all__ = [
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy",
    "CategoricalGeneralizedCrossEntropy",
    "CategoricalHinge",
    "CosineSimilarity",
    "Dice",
    "Hinge",
    "Huber",
    "KLDivergence",
    "LogCosh",
    "Loss",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
    "Tversky",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_generalized_cross_entropy",
    "categorical_hinge",
    "cosine_similarity",
    "deserialize",
    "dice",
    "get",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "poisson",
    "serialize",
    "sparse_categorical_crossentropy",
    "squared_hinge",
    "tversky",
]

EPSILON = 1e-7

REDUCTIONS = ("sum_over_batch_size", "mean", "mean_with_sample_weight", "sum", "none")


# --- what they have in common ---


def operands(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """Both as tensors or arrays of one float dtype."""
    if not isinstance(y_pred, Tensor):
        y_pred = np.asarray(y_pred)
        y_pred = y_pred if y_pred.dtype.kind == "f" else y_pred.astype(np.float32)
    if not isinstance(y_true, Tensor):
        return np.asarray(y_true).astype(y_pred.dtype, copy=False), y_pred
    return y_true if y_true.dtype == y_pred.dtype else ops.astype(y_true, y_pred.dtype), y_pred


def same_rank(a: Any, b: Any, expand: bool = True) -> tuple[Any, Any]:
    """Where one has one axis more, of length 1, drop it, or give it to the other if that has one axis alone."""
    if a.ndim == b.ndim + 1 and a.shape[-1] == 1:
        return (a, ops.unsqueeze(b, -1)) if b.ndim == 1 and expand else (ops.squeeze(a, -1), b)
    if b.ndim == a.ndim + 1 and b.shape[-1] == 1:
        return (ops.unsqueeze(a, -1), b) if a.ndim == 1 and expand else (a, ops.squeeze(b, -1))
    return a, b


def _pair(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    return same_rank(*operands(y_true, y_pred))


def _mean(x: Any) -> Any:
    return ops.mean(x, axis=-1)


def _signs(y_true: Any) -> Any:
    """Labels of 0 and 1 as -1 and 1; others as they are."""
    plain = y_true.data if isinstance(y_true, Tensor) else y_true
    return ops.sub(ops.mul(y_true, 2.0), 1.0) if np.isin(plain, (0, 1)).all() else y_true


def _smoothed(y_true: Any, smoothing: float, classes: float) -> Any:
    return ops.add(ops.mul(y_true, 1.0 - smoothing), smoothing / classes) if smoothing else y_true


def _guarded(p: Any) -> Any:
    return ops.clamp(p, EPSILON, 1.0 - EPSILON)


def _shares(p: Any, axis: int) -> Any:
    return _guarded(ops.div(p, ops.sum(p, axis, keepdims=True)))


# --- one number per sample ---


def mean_squared_error(y_true: Any, y_pred: Any) -> Any:
    """``mean((y_true - y_pred) ** 2)`` over the last axis."""
    y_true, y_pred = _pair(y_true, y_pred)
    return _mean(ops.square(ops.sub(y_true, y_pred)))


def mean_absolute_error(y_true: Any, y_pred: Any) -> Any:
    """``mean(|y_true - y_pred|)`` over the last axis."""
    y_true, y_pred = _pair(y_true, y_pred)
    return _mean(ops.abs(ops.sub(y_true, y_pred)))


def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Any:
    """``100 mean(|y_true - y_pred| / max(|y_true|, epsilon))`` over the last axis."""
    y_true, y_pred = _pair(y_true, y_pred)
    share = ops.div(ops.sub(y_true, y_pred), ops.maximum(ops.abs(y_true), EPSILON))
    return ops.mul(_mean(ops.abs(share)), 100.0)


def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Any:
    """``mean((log(y_true + 1) - log(y_pred + 1)) ** 2)`` over the last axis; negative numbers count as 0."""
    y_true, y_pred = _pair(y_true, y_pred)
    logs = [ops.log1p(ops.maximum(one, EPSILON)) for one in (y_true, y_pred)]
    return _mean(ops.square(ops.sub(logs[0], logs[1])))


def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """Minus the cosine of the angle between the two, along ``axis``: -1 is the same direction."""
    y_true, y_pred = _pair(y_true, y_pred)
    unit = [
        ops.div(one, ops.sqrt(ops.maximum(ops.sum(ops.square(one), axis, keepdims=True), 1e-12)))
        for one in (y_true, y_pred)
    ]
    return ops.neg(ops.sum(ops.mul(unit[0], unit[1]), axis))


def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Any:
    """Half the square of an error up to ``delta``, beyond it linear. Source: Huber, 1964."""
    y_true, y_pred = _pair(y_true, y_pred)
    size = ops.abs(ops.sub(y_pred, y_true))
    line = ops.sub(ops.mul(size, delta), 0.5 * delta * delta)
    return _mean(ops.where(ops.le(size, delta), ops.mul(ops.square(size), 0.5), line))


def log_cosh(y_true: Any, y_pred: Any) -> Any:
    """``mean(log(cosh(y_pred - y_true)))``: like half a square near 0, like a distance far away."""
    y_true, y_pred = _pair(y_true, y_pred)
    x = ops.sub(y_pred, y_true)
    return _mean(ops.sub(ops.add(x, ops.softplus(ops.mul(x, -2.0))), math.log(2.0)))


def hinge(y_true: Any, y_pred: Any) -> Any:
    """``mean(max(1 - y_true * y_pred, 0))``; labels -1 and 1, or 0 and 1."""
    y_true, y_pred = operands(y_true, y_pred)
    return _mean(ops.relu(ops.sub(1.0, ops.mul(_signs(y_true), y_pred))))


def squared_hinge(y_true: Any, y_pred: Any) -> Any:
    """``mean(max(1 - y_true * y_pred, 0) ** 2)``; labels -1 and 1, or 0 and 1."""
    y_true, y_pred = operands(y_true, y_pred)
    return _mean(ops.square(ops.relu(ops.sub(1.0, ops.mul(_signs(y_true), y_pred)))))


def categorical_hinge(y_true: Any, y_pred: Any) -> Any:
    """``max(largest wrong - right + 1, 0)`` for one-hot ``y_true``."""
    y_true, y_pred = operands(y_true, y_pred)
    right = ops.sum(ops.mul(y_true, y_pred), -1)
    wrong = ops.amax(ops.mul(ops.sub(1.0, y_true), y_pred), -1)
    return ops.relu(ops.add(ops.sub(wrong, right), 1.0))


def kl_divergence(y_true: Any, y_pred: Any) -> Any:
    """``sum(y_true * log(y_true / y_pred))`` over the last axis."""
    y_true, y_pred = operands(y_true, y_pred)
    p, q = ops.clamp(y_true, EPSILON, 1.0), ops.clamp(y_pred, EPSILON, 1.0)
    return ops.sum(ops.mul(p, ops.log(ops.div(p, q))), -1)


def poisson(y_true: Any, y_pred: Any) -> Any:
    """``mean(y_pred - y_true * log(y_pred))`` over the last axis."""
    y_true, y_pred = operands(y_true, y_pred)
    return _mean(ops.sub(y_pred, ops.mul(y_true, ops.log(ops.add(y_pred, EPSILON)))))


def _binary_terms(y_true: Any, y_pred: Any, from_logits: bool) -> Any:
    if from_logits:
        return functional.binary_cross_entropy_with_logits(y_pred, y_true, reduction="none")
    if tuple(y_true.shape) != tuple(y_pred.shape):
        raise ShapeError(
            "binary_crossentropy: y_true and y_pred must have the same shape, got "
            f"{tuple(y_true.shape)} and {tuple(y_pred.shape)}; say y.reshape(-1, 1) for one output"
        )
    p = _guarded(y_pred)
    rest = ops.mul(ops.sub(1.0, y_true), ops.log(ops.sub(1.0, p)))
    return ops.neg(ops.add(ops.mul(y_true, ops.log(p)), rest))


def binary_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Any:
    """``mean(-(y log p + (1 - y) log(1 - p)))`` along ``axis``.

    Args:
        from_logits: ``y_pred`` is not yet a probability. label_smoothing: how far the labels move towards 1/2.
    """
    y_true, y_pred = operands(y_true, y_pred)
    return ops.mean(_binary_terms(_smoothed(y_true, label_smoothing, 2.0), y_pred, from_logits), axis)


def binary_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """:func:`binary_crossentropy`, each term times ``(1 - p of its label) ** gamma``. Source: Lin et al., ICCV 2017."""
    y_true, y_pred = operands(y_true, y_pred)
    y_true = _smoothed(y_true, label_smoothing, 2.0)
    p = ops.sigmoid(y_pred) if from_logits else y_pred
    terms = _binary_terms(y_true, p, False)
    of_label = ops.add(ops.mul(y_true, p), ops.mul(ops.sub(1.0, y_true), ops.sub(1.0, p)))
    terms = ops.mul(ops.pow(ops.sub(1.0, of_label), gamma), terms)
    if apply_class_balancing:
        terms = ops.mul(ops.add(ops.mul(y_true, alpha), ops.mul(ops.sub(1.0, y_true), 1.0 - alpha)), terms)
    return ops.mean(terms, axis)


def categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Any:
    """``-sum(y_true * log(y_pred))`` along ``axis``; ``y_true`` are one-hot labels or probabilities."""
    y_true, y_pred = operands(y_true, y_pred)
    if tuple(y_true.shape) != tuple(y_pred.shape):
        ids = y_true.ndim < y_pred.ndim or y_true.shape[-1] == 1
        raise ShapeError(
            "categorical_crossentropy: y_true and y_pred must have the same shape, got "
            f"{tuple(y_true.shape)} and {tuple(y_pred.shape)}"
            + ("; class ids go with loss='sparse_categorical_crossentropy', or say to_categorical(y)" if ids else "")
        )
    y_true = _smoothed(y_true, label_smoothing, y_pred.shape[-1])
    logs = ops.log_softmax(y_pred, axis) if from_logits else ops.log(_shares(y_pred, axis))
    return ops.neg(ops.sum(ops.mul(y_true, logs), axis))


def categorical_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    alpha: Any = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """``-sum(alpha (1 - p) ** gamma y_true log p)`` along ``axis``. Source: Lin et al., ICCV 2017."""
    y_true, y_pred = operands(y_true, y_pred)
    y_true = _smoothed(y_true, label_smoothing, y_pred.shape[-1])
    p = _shares(ops.softmax(y_pred, axis) if from_logits else y_pred, axis)
    weight = ops.mul(ops.pow(ops.sub(1.0, p), gamma), np.asarray(alpha, p.dtype))
    return ops.sum(ops.mul(weight, ops.mul(ops.neg(y_true), ops.log(p))), axis)


def sparse_categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, ignore_class: int | None = None, axis: int = -1
) -> Any:
    """``-log(y_pred[y_true])``: the classes lie along ``axis``, ``y_true`` holds their ids.

    Args:
        ignore_class: samples of this id count 0.

    Raises:
        ShapeError: one-hot labels, or shapes that do not fit. ArgumentError: ids outside the classes.
    """
    if not isinstance(y_pred, Tensor):
        y_pred = operands(0, y_pred)[1]
    ids = y_true if isinstance(y_true, Tensor) else np.asarray(y_true)
    if axis not in {-1, y_pred.ndim - 1}:
        y_pred = _moved_last(y_pred, axis)
        ids = _moved_last(ids, axis) if ids.ndim == y_pred.ndim else ids
    if ids.ndim == y_pred.ndim and ids.shape[-1] == 1:
        ids = ops.squeeze(ids, -1)
    if tuple(ids.shape) != tuple(y_pred.shape[:-1]):
        one_hot = tuple(ids.shape) == tuple(y_pred.shape)
        raise ShapeError(
            f"sparse_categorical_crossentropy: y_true holds class ids of shape {tuple(y_pred.shape[:-1])}, got "
            f"{tuple(ids.shape)}"
            + ("; one-hot labels go with loss='categorical_crossentropy', or say y.argmax(1)" if one_hot else "")
        )
    if ids.dtype.kind not in "iu":
        ids = ops.astype(ids, np.int64)
    ignored = None
    if ignore_class is not None:
        plain = ids.data if isinstance(ids, Tensor) else ids
        ignored = plain == ignore_class
        ids = np.where(ignored, 0, plain)
    classes = y_pred.shape[-1]
    logits = y_pred if from_logits else ops.log(_shares(y_pred, -1))
    flat = ops.reshape(logits, (-1, classes))
    losses = functional.cross_entropy(flat, ops.reshape(ids, (-1,)), reduction="none")
    if not from_logits:  # the guards leave a sum that is not exactly 1
        losses = ops.sub(losses, ops.logsumexp(flat, -1))
    losses = ops.reshape(losses, tuple(ids.shape))
    return losses if ignored is None else ops.mul(losses, (~ignored).astype(losses.dtype))


def _moved_last(x: Any, axis: int) -> Any:
    places = [place for place in range(x.ndim) if place != axis % x.ndim]
    return ops.permute(x, (*places, axis % x.ndim))


def categorical_generalized_cross_entropy(y_true: Any, y_pred: Any, q: float) -> Any:
    """``(1 - p ** q) / q`` of the probability ``p`` of the class of that id. Source: Zhang & Sabuncu, NeurIPS 2018."""
    ids = np.asarray(y_true.data if isinstance(y_true, Tensor) else y_true).astype(np.int64)
    y_pred = operands(0, y_pred)[1]
    chosen = ops.sum(ops.mul(y_pred, np.eye(y_pred.shape[-1], dtype=y_pred.dtype)[ids]), -1)
    return ops.div(ops.sub(1.0, ops.pow(chosen, q)), q)


def dice(y_true: Any, y_pred: Any, axis: Any = None) -> Any:
    """``1 - 2 sum(y_true y_pred) / (sum(y_true) + sum(y_pred))``."""
    y_true, y_pred = operands(y_true, y_pred)
    both = ops.mul(ops.sum(ops.mul(y_true, y_pred), axis), 2.0)
    whole = ops.add(ops.add(ops.sum(y_true, axis), ops.sum(y_pred, axis)), EPSILON)
    return ops.sub(1.0, ops.div(both, whole))


def tversky(y_true: Any, y_pred: Any, alpha: float = 0.5, beta: float = 0.5, axis: Any = None) -> Any:
    """:func:`dice` with weights for what is missed (``alpha``) and what is too much (``beta``)."""
    y_true, y_pred = operands(y_true, y_pred)
    both = ops.sum(ops.mul(y_true, y_pred), axis)
    missed = ops.sum(ops.mul(ops.sub(1.0, y_pred), y_true), axis)
    extra = ops.sum(ops.mul(y_pred, ops.sub(1.0, y_true)), axis)
    whole = ops.add(ops.add(ops.add(both, ops.mul(missed, alpha)), ops.mul(extra, beta)), EPSILON)
    return ops.sub(1.0, ops.div(both, whole))


# --- reduced to one number ---


def check_reduction(reduction: str | None) -> str | None:
    """The reduction itself.

    Raises:
        ArgumentError: one that does not exist.
    """
    if reduction is not None and reduction not in REDUCTIONS:
        raise ArgumentError(
            f"Invalid value for argument `reduction`: {did_you_mean('reduction', reduction, REDUCTIONS)}"
        )
    return reduction


def reduced(values: Any, weight: Any, reduction: str | None) -> Any:
    """``values`` times their weights, then summed, averaged over their number or their weights, or left as they are."""
    if weight is not None:
        weight = weight if isinstance(weight, Tensor) else np.asarray(weight, values.dtype)
        values, weight = same_rank(values, weight)
        values = ops.mul(values, weight)
    if reduction in {None, "none"} or tuple(values.shape) in {(), (0,)}:
        return values
    total = ops.sum(values)
    if reduction == "sum":
        return total
    if reduction == "mean_with_sample_weight" and weight is not None:
        whole = ops.sum(weight)
        return ops.div(total, whole) if float(whole.data if isinstance(whole, Tensor) else whole) else total
    return ops.div(total, float(math.prod(values.shape)))


class Loss:
    """Base of the losses: a subclass writes :meth:`call`, which gives one number per sample.

    Args:
        name: of the loss. reduction: ``"sum_over_batch_size"`` (the mean over all numbers), ``"mean"`` (the same),
            ``"mean_with_sample_weight"``, ``"sum"``, or None.
        dtype: what arrays are converted to; float32 unless given.

    Raises:
        ArgumentError: an unknown reduction.
    """

    def __init__(
        self, name: str | None = None, reduction: str | None = "sum_over_batch_size", dtype: Any = None
    ) -> None:
        self.name = name or snake(type(self).__name__)
        self.reduction = check_reduction(reduction)
        self.dtype = str(np.dtype(dtype or np.float32))

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """One number per sample."""
        raise NotImplementedError(f"{type(self).__name__} has no call(self, y_true, y_pred)")

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The loss of a batch.

        Args:
            y_true, y_pred: tensors or arrays. sample_weight: a number, or one per sample (or per value).
        """
        if not isinstance(y_pred, Tensor):
            y_pred = np.asarray(y_pred, self.dtype)
        if not isinstance(y_true, Tensor):
            y_true = np.asarray(y_true)
        return reduced(self.call(y_true, y_pred), self.weight(y_true, sample_weight), self.reduction)

    def weight(self, y_true: Any, sample_weight: Any) -> Any:  # noqa: ARG002 - for those that leave samples out
        """The weights of the samples."""
        return sample_weight

    def get_config(self) -> dict[str, Any]:
        """The arguments that make a loss like this one."""
        return {"name": self.name, "reduction": self.reduction}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Make one from :meth:`get_config`."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name} reduction={self.reduction}>"


class LossFunctionWrapper(Loss):
    """A function of ``(y_true, y_pred, **options)`` as a loss."""

    def __init__(
        self,
        fn: Callable[..., Any],
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(name or getattr(fn, "__name__", None), reduction, dtype)
        self.fn, self.options = fn, options

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The function's numbers."""
        if y_true.ndim != y_pred.ndim:
            y_true, y_pred = same_rank(y_true, y_pred)
        return self.fn(y_true, y_pred, **self.options)

    def weight(self, y_true: Any, sample_weight: Any) -> Any:
        """The weights of the samples; those of ``ignore_class`` count nothing, nor in the mean."""
        ignored = self.options.get("ignore_class")
        if ignored is None:
            return sample_weight
        kept = (np.asarray(y_true.data if isinstance(y_true, Tensor) else y_true) != ignored).astype(np.float32)
        if self.reduction in {"sum_over_batch_size", "mean"}:
            kept = kept * (kept.size / max(kept.sum(), 1.0))
        if sample_weight is None:
            return kept
        kept, weight = same_rank(kept, np.asarray(sample_weight, np.float32))
        return kept * weight

    def get_config(self) -> dict[str, Any]:
        """The options, name and reduction."""
        return super().get_config() | self.options


def _loss(name: str, function: Callable[..., Any], **defaults: Any) -> type[LossFunctionWrapper]:
    """The class of a function: its options first, then reduction, name and dtype, all with Keras' defaults."""
    order = [*defaults, "reduction", "name", "dtype"]

    def __init__(self: LossFunctionWrapper, *given: Any, **named: Any) -> None:  # noqa: N807 - becomes the class's
        if len(given) > len(order):
            raise ArgumentError(f"{name} takes {', '.join(order)}, got {len(given)} arguments")
        for key, value in zip(order, given, strict=False):
            if key in named:
                raise ArgumentError(f"{name}: {key} is given twice")
            named[key] = value
        for key in named:
            if key not in order:
                raise ArgumentError(did_you_mean(f"argument of {name}", key, order))
        general = {
            "reduction": named.pop("reduction", "sum_over_batch_size"),
            "name": named.pop("name", None) or function.__name__,
            "dtype": named.pop("dtype", None),
        }
        LossFunctionWrapper.__init__(self, function, **general, **(defaults | named))

    body = {"__init__": __init__, "__doc__": f"The mean over a batch of :func:`{function.__name__}`."}
    return type(name, (LossFunctionWrapper,), body)


MeanSquaredError = _loss("MeanSquaredError", mean_squared_error)
MeanAbsoluteError = _loss("MeanAbsoluteError", mean_absolute_error)
MeanAbsolutePercentageError = _loss("MeanAbsolutePercentageError", mean_absolute_percentage_error)
MeanSquaredLogarithmicError = _loss("MeanSquaredLogarithmicError", mean_squared_logarithmic_error)
CosineSimilarity = _loss("CosineSimilarity", cosine_similarity, axis=-1)
Huber = _loss("Huber", huber, delta=1.0)
LogCosh = _loss("LogCosh", log_cosh)
Hinge = _loss("Hinge", hinge)
SquaredHinge = _loss("SquaredHinge", squared_hinge)
CategoricalHinge = _loss("CategoricalHinge", categorical_hinge)
KLDivergence = _loss("KLDivergence", kl_divergence)
Poisson = _loss("Poisson", poisson)
BinaryCrossentropy = _loss("BinaryCrossentropy", binary_crossentropy, from_logits=False, label_smoothing=0.0, axis=-1)
BinaryFocalCrossentropy = _loss(
    "BinaryFocalCrossentropy",
    binary_focal_crossentropy,
    apply_class_balancing=False,
    alpha=0.25,
    gamma=2.0,
    from_logits=False,
    label_smoothing=0.0,
    axis=-1,
)
CategoricalCrossentropy = _loss(
    "CategoricalCrossentropy", categorical_crossentropy, from_logits=False, label_smoothing=0.0, axis=-1
)
CategoricalFocalCrossentropy = _loss(
    "CategoricalFocalCrossentropy",
    categorical_focal_crossentropy,
    alpha=0.25,
    gamma=2.0,
    from_logits=False,
    label_smoothing=0.0,
    axis=-1,
)
SparseCategoricalCrossentropy = _loss(
    "SparseCategoricalCrossentropy", sparse_categorical_crossentropy, from_logits=False, ignore_class=None, axis=-1
)
CategoricalGeneralizedCrossEntropy = _loss(
    "CategoricalGeneralizedCrossEntropy", categorical_generalized_cross_entropy, q=0.5
)
Dice = _loss("Dice", dice, axis=None)
Tversky = _loss("Tversky", tversky, alpha=0.5, beta=0.5, axis=None)

_CLASSES: dict[str, Any] = {
    one.__name__: one
    for one in (
        MeanSquaredError,
        MeanAbsoluteError,
        MeanAbsolutePercentageError,
        MeanSquaredLogarithmicError,
        CosineSimilarity,
        Huber,
        LogCosh,
        Hinge,
        SquaredHinge,
        CategoricalHinge,
        KLDivergence,
        Poisson,
        BinaryCrossentropy,
        BinaryFocalCrossentropy,
        CategoricalCrossentropy,
        CategoricalFocalCrossentropy,
        SparseCategoricalCrossentropy,
        CategoricalGeneralizedCrossEntropy,
        Dice,
        Tversky,
    )
}
_SHORT = {
    "bce": "BinaryCrossentropy",
    "kld": "KLDivergence",
    "mae": "MeanAbsoluteError",
    "mape": "MeanAbsolutePercentageError",
    "mse": "MeanSquaredError",
    "msle": "MeanSquaredLogarithmicError",
    "logcosh": "LogCosh",
}
_NAMES: dict[str, Any] = (
    {one().fn.__name__: one for one in _CLASSES.values()}
    | {short: _CLASSES[name] for short, name in _SHORT.items()}
    | {short.upper(): _CLASSES[name] for short, name in _SHORT.items()}
)


def get(identifier: Any) -> Any:
    """The loss that a name, a config, None or an object stands for; a class's name gives an instance.

    Raises:
        ArgumentError: an unknown name, or something that cannot be called.
    """
    if identifier is None:
        return None
    if isinstance(identifier, str):
        if identifier in _CLASSES:
            return _CLASSES[identifier]()
        if identifier not in _NAMES:
            raise ArgumentError(did_you_mean("loss", identifier, [name for name in _NAMES if name.islower()]))
        return _NAMES[identifier]().fn
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, type) and issubclass(identifier, Loss):
        return identifier()
    if not callable(identifier):
        raise ArgumentError(f"a loss is a name, a Loss or a function of (y_true, y_pred), got {identifier!r}")
    return identifier


def as_loss(identifier: Any) -> Loss:
    """The same as an object with a reduction."""
    found = get(identifier)
    if isinstance(found, Loss):
        return found
    for one in _CLASSES.values():
        made: Loss = one()
        if getattr(made, "fn", None) is found:
            return made
    return LossFunctionWrapper(found)


def serialize(loss: Any) -> Any:
    """A name, or the class and the arguments, as plain data.

    Raises:
        ArgumentError: a function of one's own, which a file could not name.
    """
    if loss is None or isinstance(loss, str):
        return loss
    if isinstance(loss, Loss) and type(loss).__name__ in _CLASSES:
        return {"class_name": type(loss).__name__, "config": loss.get_config()}
    for name, one in _NAMES.items():
        if one().fn is loss:
            return name
    raise ArgumentError(f"{loss!r} cannot be saved; use a loss of keras.losses")


def deserialize(config: dict[str, Any]) -> Loss:
    """The other way round of :func:`serialize`.

    Raises:
        ArgumentError: an unknown class.
    """
    name = config.get("class_name")
    if name not in _CLASSES:
        raise ArgumentError(did_you_mean("loss", name, _CLASSES))
    made: Loss = _CLASSES[name].from_config(config.get("config", {}))
    return made
