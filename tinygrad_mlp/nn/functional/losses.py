"""Losses as functions, composed of ops. Predictions and targets have one shape: nothing is broadcast by accident."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ... import ops
from ...capture import asked
from ...compositions.common import values_of
from ...compositions.indexing import take_along
from ...errors import ArgumentError, ShapeError
from ...ops.declare import same_dtype
from ...ops.losses import equal_shapes, nll_loss, reduced, reduced_by
from ...ops.names import legacy_reduction
from ...tape import Array, Traced
from ...tensor import Tensor

__all__ = [
    "binary_cross_entropy",
    "cosine_embedding_loss",
    "cosine_similarity",
    "gaussian_nll_loss",
    "hinge_embedding_loss",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "linear_cross_entropy",
    "margin_ranking_loss",
    "multi_margin_loss",
    "multilabel_margin_loss",
    "multilabel_soft_margin_loss",
    "nll_loss",
    "pairwise_distance",
    "poisson_nll_loss",
    "smooth_l1_loss",
    "soft_margin_loss",
    "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
]

# Where the logarithm of a probability is cut off, as in torch.
_LOWEST_LOG = -100.0
_COSINE_EPS = 1e-12


def _pair(what: str, input: Any, target: Any) -> tuple[Any, Any]:
    input, target = same_dtype(input, target)
    equal_shapes(what, "input", input, target)
    return input, target


def l1_loss(
    input: Any,
    target: Any,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Any = None,
) -> Any:
    """The absolute error ``|input - target|``; derivative 0 where they are equal.

    Raises:
        ShapeError: the shapes differ.
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    input, target = _pair("l1_loss", input, target)
    return reduced_by(ops.abs(ops.sub(input, target)), weight, reduction, "l1_loss")


def _huber(input: Any, target: Any, delta: float) -> Any:
    difference = ops.sub(input, target)
    # With c the difference cut off at ±delta, c (d - c / 2) is both pieces, and c its derivative.
    near = ops.clamp(difference, -delta, delta)
    return ops.mul(near, ops.sub(difference, ops.mul(near, 0.5)))


def huber_loss(input: Any, target: Any, reduction: str = "mean", delta: float = 1.0, weight: Any = None) -> Any:
    """``d**2 / 2`` up to ``|d| = delta``, from there on ``delta (|d| - delta / 2)``, with ``d = input - target``.

    Raises:
        ShapeError: the shapes differ. ArgumentError: ``delta`` is not positive.

    Source: Huber, "Robust estimation of a location parameter", Ann. Math. Statist. 35, 1964.
    """
    if not delta > 0:
        raise ArgumentError(f"huber_loss: delta is positive, got {delta}; for the absolute error say l1_loss")
    losses = _huber(*_pair("huber_loss", input, target), float(delta))
    if weight is None:
        return reduced(losses, reduction)
    equal_shapes("huber_loss", "input", losses, weight)
    return reduced(ops.mul(losses, weight), reduction)


def smooth_l1_loss(
    input: Any,
    target: Any,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Any:
    """``d**2 / (2 beta)`` up to ``|d| = beta``, from there on ``|d| - beta / 2``; with ``beta = 0`` the absolute error.

    Raises:
        ShapeError: the shapes differ. ArgumentError: ``beta`` is negative.

    Source: Girshick, "Fast R-CNN", ICCV 2015.
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    if not beta >= 0:
        raise ArgumentError(f"smooth_l1_loss: beta is 0 or more, got {beta}")
    if beta == 0:
        return l1_loss(input, target, reduction=reduction)
    return reduced(ops.div(_huber(*_pair("smooth_l1_loss", input, target), float(beta)), float(beta)), reduction)


def _safe_log(p: Any) -> Any:
    positive = ops.gt(p, 0.0)
    logs = ops.log(ops.where(positive, p, 1.0))
    return ops.where(positive, ops.clamp(logs, _LOWEST_LOG), _LOWEST_LOG)


def _check_probabilities(p: Array) -> None:
    if p.size and (p.min() < 0 or p.max() > 1):
        raise ArgumentError(
            f"binary_cross_entropy: probabilities lie in [0, 1], these run from {p.min():.4g} to {p.max():.4g}; "
            "logits? binary_cross_entropy_with_logits (BCEWithLogitsLoss)"
        )


def binary_cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Any:
    """``-[t log p + (1 - t) log(1 - p)]`` of probabilities; logarithms are cut off at -100, as in torch.

    From logits say :func:`binary_cross_entropy_with_logits`, whose gradient does not vanish where a probability has
    been rounded to 0 or 1.

    Raises:
        ShapeError: the shapes differ. ArgumentError: ``input`` outside [0, 1].
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    input, target = _pair("binary_cross_entropy", input, target)
    asked(input, input.data if isinstance(input, Traced) else input, _check_probabilities)
    hit = ops.mul(target, _safe_log(input))
    miss = ops.mul(ops.sub(1.0, target), _safe_log(ops.sub(1.0, input)))
    losses = ops.neg(ops.add(hit, miss))
    return reduced(losses if weight is None else ops.mul(losses, weight), reduction)


def _x_log_x(t: Any) -> Any:
    """``t log t``, 0 at 0, NaN for negative numbers."""
    return ops.mul(t, ops.log(ops.where(ops.eq(t, 0.0), 1.0, t)))


def kl_div(
    input: Any,
    target: Any,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Any:
    """The Kullback-Leibler divergence ``t (log t - input)``, ``input`` being log-probabilities.

    Args:
        reduction: ``"batchmean"``, the sum over the number of samples, is the divergence; ``"mean"`` divides by the
            number of elements. log_target: the targets are logarithms too.

    Raises:
        ShapeError: the shapes differ.

    Source: Kullback & Leibler, Ann. Math. Statist. 22, 1951.
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    input, target = _pair("kl_div", input, target)
    if log_target:
        losses = ops.mul(ops.exp(target), ops.sub(target, input))
    else:
        losses = ops.sub(_x_log_x(target), ops.mul(target, input))
    if reduction == "batchmean":
        return ops.div(ops.sum(losses), float(input.shape[0] if input.ndim else 1))
    return reduced(losses, reduction)


def poisson_nll_loss(
    input: Any,
    target: Any,
    log_input: bool = True,
    full: bool = False,
    size_average: bool | None = None,
    eps: float = 1e-8,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Any:
    """The negative log-likelihood of counts: ``exp(x) - t x``, or without ``log_input`` ``x - t log(x + eps)``.

    ``full`` adds Stirling's ``t log t - t + log(2 pi t) / 2`` for ``t > 1``.

    Raises:
        ShapeError: the shapes differ.
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    input, target = _pair("poisson_nll_loss", input, target)
    if log_input:
        losses = ops.sub(ops.exp(input), ops.mul(target, input))
    else:
        losses = ops.sub(input, ops.mul(target, ops.log(ops.add(input, float(eps)))))
    if full:
        large = ops.gt(target, 1.0)
        t = ops.where(large, target, 1.0)
        logs = ops.log(t)
        stirling = ops.add(ops.sub(ops.mul(t, logs), t), ops.mul(ops.add(logs, math.log(2.0 * math.pi)), 0.5))
        losses = ops.add(losses, ops.where(large, stirling, 0.0))
    return reduced(losses, reduction)


def _check_variances(variance: Array) -> None:
    if variance.size and variance.min() < 0:
        raise ArgumentError(f"gaussian_nll_loss: a variance is negative ({variance.min():.4g}); say var=softplus(x)")


def _constant(value: Any) -> Any:
    """The value without its gradient."""
    return value.detach() if isinstance(value, Tensor) else value


def gaussian_nll_loss(
    input: Any, target: Any, var: Any, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> Any:
    """``(log v + (input - target)**2 / v) / 2`` with ``v = max(var, eps)``, through which gradients pass unchanged.

    Args:
        var: of the shape of ``input``, or without its last axis, or with axes of length 1.
        full: adds ``log(2 pi) / 2``.

    Raises:
        ShapeError: the shapes do not fit. ArgumentError: a negative variance.

    Source: Nix & Weigend, ICNN 1994.
    """
    input, target = _pair("gaussian_nll_loss", input, target)
    var = var if isinstance(var, Traced) else np.asarray(var, input.dtype)
    if var.shape != input.shape:
        if var.shape == input.shape[:-1]:
            var = ops.unsqueeze(var, -1)
        elif np.broadcast_shapes(var.shape, input.shape) != tuple(input.shape):
            raise ShapeError(
                f"gaussian_nll_loss: expected var of shape {tuple(input.shape)}, {tuple(input.shape[:-1])} or one that "
                f"broadcasts to it, got {tuple(var.shape)}"
            )
    asked(var, var.data if isinstance(var, Traced) else var, _check_variances)
    small = ops.lt(var, float(eps))
    # The smallest variance is a constant, but the gradient of the variance is taken there, as in torch.
    v = ops.add(var, ops.where(small, _constant(ops.sub(float(eps), var)), 0.0))
    losses = ops.mul(ops.add(ops.log(v), ops.div(ops.square(ops.sub(input, target)), v)), 0.5)
    return reduced(ops.add(losses, 0.5 * math.log(2.0 * math.pi)) if full else losses, reduction)


def soft_margin_loss(
    input: Any, target: Any, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean"
) -> Any:
    """``log(1 + exp(-target * input))`` for targets 1 and -1.

    Raises:
        ShapeError: the shapes differ.
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    input, target = _pair("soft_margin_loss", input, target)
    return reduced(ops.softplus(ops.neg(ops.mul(target, input))), reduction)


def hinge_embedding_loss(
    input: Any,
    target: Any,
    margin: float = 1.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Any:
    """``input`` where the target is 1, ``max(0, margin - input)`` where it is -1.

    Raises:
        ShapeError: the shapes differ.
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    input, target = _pair("hinge_embedding_loss", input, target)
    hinge = ops.relu(ops.sub(float(margin), input))
    near, far = ops.eq(target, 1.0), ops.eq(target, -1.0)
    # Any other target gets both, as in torch.
    losses = ops.add(ops.where(far, 0.0, input), ops.where(near, 0.0, hinge))
    return reduced(losses, reduction)


def margin_ranking_loss(
    input1: Any,
    input2: Any,
    target: Any,
    margin: float = 0.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Any:
    """``max(0, -target (input1 - input2) + margin)``: with target 1 the first is to be the larger one.

    Raises:
        ShapeError: the shapes differ.
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    input1, input2 = _pair("margin_ranking_loss", input1, input2)
    input1, target = _pair("margin_ranking_loss", input1, target)
    losses = ops.relu(ops.sub(float(margin), ops.mul(target, ops.sub(input1, input2))))
    return reduced(losses, reduction)


def multi_margin_loss(
    input: Any,
    target: Any,
    p: int = 1,
    margin: float = 1.0,
    weight: Any = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Any:
    """``sum over i != t of max(0, margin - x[t] + x[i])**p / classes``, times the weight of class ``t``.

    Args:
        input: ``(batch, classes)`` or ``(classes,)``; target: class ids ``(batch,)`` or ``()``; p: 1 or 2.

    Raises:
        ArgumentError: another ``p``. ShapeError: the shapes do not fit.

    Source: Crammer & Singer, JMLR 2, 2001.
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    if p not in {1, 2}:
        raise ArgumentError(f"multi_margin_loss: p is 1 or 2, got {p!r}")
    if input.ndim < 2:
        losses = multi_margin_loss(
            ops.reshape(input, (1, -1)),
            ops.reshape(target, 1),
            p=p,
            margin=margin,
            weight=weight,
            reduction="none",
        )
        return reduced(ops.reshape(losses, ()), reduction)
    if input.ndim != 2 or tuple(target.shape) != tuple(input.shape[:1]):
        raise ShapeError(
            f"multi_margin_loss: expected input (batch, classes) and target (batch,), got {tuple(input.shape)} and "
            f"{tuple(target.shape)}"
        )
    ids = ops.unsqueeze(target, 1)
    own = ops.eq(ids, np.arange(input.shape[1]))
    right = ops.sum(ops.where(own, input, 0.0), 1, keepdims=True)
    hinges = ops.where(own, 0.0, ops.relu(ops.add(ops.sub(float(margin), right), input)))
    losses = ops.mean(hinges if p == 1 else ops.square(hinges), 1)
    if weight is not None:
        losses = ops.mul(losses, ops.getitem(weight, target))
    return reduced(losses, reduction)


def cosine_similarity(x1: Any, x2: Any, dim: int = 1, eps: float = 1e-8) -> Any:
    """``x1 . x2 / (max(|x1|, eps) max(|x2|, eps))`` along ``dim``."""
    x1, x2 = same_dtype(x1, x2)
    product = ops.sum(ops.mul(x1, x2), dim)
    lengths = [_length(one, dim, eps) for one in (x1, x2)]
    return ops.div(product, ops.mul(*lengths))


def _length(x: Any, dim: int, eps: float) -> Any:
    # The root is taken of the larger square, so that its slope stays finite at 0.
    return ops.sqrt(ops.maximum(ops.sum(ops.square(x), dim), eps * eps))


def cosine_embedding_loss(
    input1: Any,
    input2: Any,
    target: Any,
    margin: float = 0.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Any:
    """``1 - cos(input1, input2)`` where the target is 1, ``max(0, cos - margin)`` where it is -1.

    Args:
        input1, input2: ``(batch, features)`` or ``(features,)``; target: ``(batch,)`` or ``()``.

    Raises:
        ShapeError: the shapes do not fit.
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    input1, input2 = _pair("cosine_embedding_loss", input1, input2)
    if tuple(target.shape) != tuple(input1.shape[:-1]):
        raise ShapeError(
            f"cosine_embedding_loss: expected a target for each pair, shape {tuple(input1.shape[:-1])}, got "
            f"{tuple(target.shape)}"
        )
    first, second = (ops.add(ops.sum(ops.square(one), -1), _COSINE_EPS) for one in (input1, input2))
    cosine = ops.div(ops.sum(ops.mul(input1, input2), -1), ops.sqrt(ops.mul(first, second)))
    near = ops.where(ops.eq(target, 1), ops.sub(1.0, cosine), 0.0)
    far = ops.where(ops.eq(target, -1), ops.relu(ops.sub(cosine, float(margin))), 0.0)
    return reduced(ops.add(near, far), reduction)


def pairwise_distance(x1: Any, x2: Any, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Any:
    """The ``p``-norm of ``x1 - x2 + eps`` along the last axis."""
    difference = ops.add(ops.sub(x1, x2), float(eps))
    if p == 2:
        return ops.sqrt(ops.sum(ops.square(difference), -1, keepdims=keepdim))
    if p == 1:
        return ops.sum(ops.abs(difference), -1, keepdims=keepdim)
    if p == math.inf:
        return ops.amax(ops.abs(difference), -1, keepdims=keepdim)
    return ops.pow(ops.sum(ops.pow(ops.abs(difference), float(p)), -1, keepdims=keepdim), 1.0 / p)


def triplet_margin_loss(
    anchor: Any,
    positive: Any,
    negative: Any,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Any:
    """``max(0, d(anchor, positive) - d(anchor, negative) + margin)`` with :func:`pairwise_distance`.

    ``swap`` takes the distance of positive and negative where that is smaller.

    Raises:
        ShapeError: the shapes differ. ArgumentError: ``margin`` is not positive.

    Source: Balntas et al., "Learning local feature descriptors with triplets", BMVC 2016.
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    if not margin > 0:
        raise ArgumentError(f"triplet_margin_loss: margin is positive, got {margin}; say margin=1.0")
    anchor, positive = _pair("triplet_margin_loss", anchor, positive)
    anchor, negative = _pair("triplet_margin_loss", anchor, negative)
    distance: Callable[..., Any] = partial(pairwise_distance, p=p, eps=eps)
    far = distance(anchor, negative)
    if swap:
        far = ops.minimum(far, distance(positive, negative))
    losses = ops.relu(ops.add(ops.sub(distance(anchor, positive), far), float(margin)))
    return reduced(losses, reduction)


def triplet_margin_with_distance_loss(
    anchor: Any,
    positive: Any,
    negative: Any,
    *,
    distance_function: Callable[[Any, Any], Any] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Any:
    """:func:`triplet_margin_loss` with a distance of one's own, by default :func:`pairwise_distance`.

    Raises:
        ShapeError: the shapes differ. ArgumentError: ``margin`` is not positive.
    """
    if not margin > 0:
        raise ArgumentError(f"triplet_margin_with_distance_loss: margin is positive, got {margin}; say margin=1.0")
    distance = pairwise_distance if distance_function is None else distance_function
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = ops.minimum(far, distance(positive, negative))
    return reduced(ops.relu(ops.add(ops.sub(near, far), float(margin))), reduction)


def multilabel_soft_margin_loss(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Any:
    """``-mean over classes of [t log sigmoid(x) + (1 - t) log sigmoid(-x)]``, each class times its weight.

    Args:
        input, target: ``(…, classes)``, the target of numbers from 0 to 1; weight: ``(classes,)``.

    Raises:
        ShapeError: the shapes differ.
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    input, target = _pair("multilabel_soft_margin_loss", input, target)
    # -log sigmoid(x) = softplus(-x), and 1 - t of it less is x.
    losses = ops.sub(ops.softplus(input), ops.mul(target, input))
    if weight is not None:
        losses = ops.mul(losses, weight)
    return reduced(ops.mean(losses, -1), reduction)


def multilabel_margin_loss(
    input: Any, target: Any, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean"
) -> Any:
    """``sum over targets t, other classes i of max(0, 1 - (x[t] - x[i])) / classes``.

    Args:
        input: ``(batch, classes)`` or ``(classes,)``. target: class ids of the same shape; those before the first -1
            count.

    Raises:
        ShapeError: the shapes differ. ArgumentError: an id outside of the classes.
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    equal_shapes("multilabel_margin_loss", "input", input, target)
    ids = values_of(target)
    classes = input.shape[-1] if input.ndim else 1
    if ids.size and (ids.max() >= classes or ids.min() < -1):
        raise ArgumentError(f"multilabel_margin_loss: class ids are 0 to {classes - 1}, or -1 for no more; got {ids}")
    rows, places = ops.reshape(input, (-1, classes)), ids.reshape(-1, classes)
    counted = np.logical_and.accumulate(places >= 0, axis=1)
    is_target = np.zeros(places.shape, bool)
    np.put_along_axis(is_target, np.where(counted, places, 0), counted, axis=1)
    is_target[np.nonzero(counted)[0], places[counted]] = True
    own = take_along(rows, np.where(counted, places, 0), 1)
    hinges = ops.relu(ops.sub(1.0, ops.sub(ops.unsqueeze(own, 2), ops.unsqueeze(rows, 1))))
    pairs = ops.where(counted[:, :, None] & ~is_target[:, None, :], hinges, 0.0)
    losses = ops.div(ops.sum(pairs, (1, 2)), float(classes))
    return reduced(ops.reshape(losses, () if input.ndim < 2 else (-1,)), reduction)


def _over_places(bias: Any, shape: tuple[int, ...]) -> Any:
    """A bias for each class, the same at all places."""
    if bias.ndim == len(shape):
        return bias
    return ops.expand(ops.reshape(bias, (-1, *[1] * (len(shape) - 1))), shape)


def linear_cross_entropy(
    input: Any,
    linear_weight: Any,
    target: Any,
    *,
    linear_bias: Any = None,
    weight: Any = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    options: Any = None,
) -> Any:
    """``cross_entropy(linear(input, linear_weight, linear_bias), target)``.

    Args:
        input: ``(n, features)`` or ``(features,)``. linear_weight: ``(classes, features)``, or with more axes
            ``(classes, d1, …, features)`` for a class at each place. linear_bias: the same without features, or
            ``(classes,)``. ignore_index: -100 by default. options: how torch would split the work up; there is one way.

    Raises:
        ShapeError: places, and no axis of samples. ShapeError, DTypeError, ArgumentError: as :func:`cross_entropy`.
    """
    del options
    classes, features = tuple(linear_weight.shape[:-1]), linear_weight.shape[-1]
    if len(classes) > 1 and input.ndim != 2:
        raise ShapeError(
            f"linear_cross_entropy: with classes {classes} the input is (n, features), got {tuple(input.shape)}"
        )
    bias = None if linear_bias is None else ops.reshape(_over_places(linear_bias, classes), (-1,))
    logits = ops.linear(input, ops.reshape(linear_weight, (-1, features)), bias)
    if len(classes) > 1:
        logits = ops.reshape(logits, (input.shape[0], *classes))
    ignored = -100 if ignore_index is None else ignore_index
    return ops.cross_entropy(
        logits, target, weight, ignore_index=ignored, reduction=reduction, label_smoothing=label_smoothing
    )
