"""Losses from logits, with gradients that never pass through a probability near 1."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ..capture import asked
from ..dtypes import float_dtype_of
from ..errors import ArgumentError, DTypeError, ShapeError
from ..samples import Classes, Domain, Elementwise
from ..tape import Array, Traced
from . import batched, calls, native
from .activations import bce_with_logits, softplus
from .arithmetic import add, div, mul, neg, sub, where
from .compare import ne
from .declare import cast, operand, primitive, same_dtype
from .elementwise import astype, elementwise
from .names import legacy_reduction
from .reductions import exponentials, log_softmax_along, mean, softmax_along, softmax_pull, sum
from .shape import getitem, permute, reshaped, unsqueeze


@primitive(
    name="cross_entropy",
    vjp=(
        lambda g, logits, targets, saved: mul(unsqueeze(g, -1), class_gradient(logits, targets, saved=saved)),
        None,
    ),
    reference=lambda np, logits, targets: np.log(np.exp(logits).sum(-1)) - logits[np.arange(len(targets)), targets],
    samples=Classes("ids"),
    saves=True,
    latex=r"-\ln \operatorname{{softmax}}({0})_{{{1}}}",
    batch=batched.classes,
    native=native.class_losses,
    calls=calls.class_losses,
)
def class_loss(logits: Array, targets: Array) -> tuple[Array, tuple[Array, Array, Array]]:
    """``-log softmax(logits)[target]`` per row: ``logits (n, classes)``, ``targets (n,)`` class ids, gives ``(n,)``.

    The row's largest logit is left out of the sum of exponentials (it is exactly 1), so that neither the loss nor its
    gradient cancels: ``log1p(rest)``, not ``log(1 + rest)``.
    """
    rows = np.arange(len(targets))
    top_place = logits.argmax(1)
    top = logits[rows, top_place]
    e = np.exp(logits - top[:, None])
    # 0; but a row whose largest logit is infinite is NaN, loss and gradient: a broken loss must not look like a trained
    # one.
    e[rows, top_place] = top - top
    rest = np.add.reduce(e, axis=1)
    return (top - logits[rows, targets]) + np.log1p(rest), (e, rest, top_place)


@primitive(
    name="cross_entropy_gradient",
    vjp=(lambda g, logits: _softmax_jacobian(g, logits), None),
    reference=lambda np, logits, targets, *, saved: (
        np.exp(logits) / np.exp(logits).sum(-1, keepdims=True) - np.eye(logits.shape[-1])[targets]
    ),
    samples=Classes("ids"),
    latex=r"(\operatorname{{softmax}}({0}) - 1_{{{1}}})",
    batch=batched.classes,
    native=native.class_gradients,
    calls=calls.class_gradients,
)
def class_gradient(logits: Array, targets: Array, *, saved: tuple[Array, Array, Array] | None = None) -> Array:
    """The derivative of :func:`class_loss` by the logits: probabilities, and at the target minus the sum of the others.

    ``saved`` is what the loss has already worked out of the same logits.
    """
    e, rest, top_place = class_loss.op.forward(logits, targets)[1] if saved is None else saved  # type: ignore[attr-defined]
    rows = np.arange(len(targets))
    whole = 1.0 + rest
    p = e / whole[:, None]
    p[rows, top_place] = 1.0 / whole
    p[rows, targets] = 0
    p[rows, targets] = -np.add.reduce(p, axis=1)
    return p


def _softmax_jacobian(g: Any, logits: Any) -> Any:
    return softmax_pull(g, softmax_along(logits, axis=logits.ndim - 1), logits.ndim - 1)


@primitive(
    vjp=(
        lambda g, logits, targets: mul(unsqueeze(g, -1), soft_class_gradient(logits, targets)),
        lambda g, logits: neg(mul(unsqueeze(g, -1), log_softmax_along(logits, axis=logits.ndim - 1))),
    ),
    reference=lambda np, logits, targets: (targets * (np.log(np.exp(logits).sum(-1))[..., None] - logits)).sum(-1),
    samples=Classes("probabilities"),
    latex=r"-\sum {1} \ln \operatorname{{softmax}}({0})",
    batch=batched.spread_out,
    native=native.soft_class("soft_class_loss"),
)
def soft_class_loss(logits: Array, targets: Array) -> Array:
    """``-sum(targets * log softmax(logits))`` over the last axis, ``targets`` being probabilities of the same shape."""
    logs = log_softmax_along.op.forward(logits, axis=logits.ndim - 1)  # type: ignore[attr-defined]
    with np.errstate(invalid="ignore"):
        products = targets * logs
    # A class of probability 0 takes no part, even where its logarithm is -inf.
    return -np.add.reduce(np.where(targets == 0, products.dtype.type(0), products), axis=-1)


@primitive(
    vjp=(
        lambda g, logits, targets: mul(sum(targets, -1, keepdims=True), _softmax_jacobian(g, logits)),
        lambda g, logits: sub(sum(mul(g, softmax_along(logits, axis=logits.ndim - 1)), -1, keepdims=True), g),
    ),
    reference=lambda np, logits, targets: (
        np.exp(logits) / np.exp(logits).sum(-1, keepdims=True) * targets.sum(-1, keepdims=True) - targets
    ),
    samples=Classes("probabilities"),
    latex=r"(\operatorname{{softmax}}({0}) - {1})",
    batch=batched.spread_out,
    native=native.soft_class("soft_class_gradient"),
)
def soft_class_gradient(logits: Array, targets: Array) -> Array:
    """The derivative of :func:`soft_class_loss` by the logits: ``p (T - t) - t (1 - p)`` with ``T = sum(t)``.

    ``1 - p`` of the row's largest logit is the sum of the other probabilities, never a difference.
    """
    e, rest, top = exponentials(logits, -1)
    place = np.expand_dims(logits.argmax(-1), -1)
    whole = 1.0 + rest + (top - top)  # NaN where the largest logit is infinite, as the loss
    p = e / whole
    np.put_along_axis(p, place, 1.0 / whole, -1)
    others = 1.0 - p
    np.put_along_axis(others, place, rest / whole, -1)
    return p * (np.add.reduce(targets, axis=-1, keepdims=True) - targets) - targets * others


def reduced(losses: Any, reduction: str) -> Any:
    """The mean or sum of losses, or with ``"none"`` the losses.

    Raises:
        ArgumentError: another ``reduction``.
    """
    if reduction == "mean":
        return mean(losses)
    if reduction == "sum":
        return sum(losses)
    if reduction == "none":
        return losses
    raise ArgumentError(f"reduction is 'mean', 'sum' or 'none', got {reduction!r}")


def reduced_by(losses: Any, weight: Any, reduction: str, what: str) -> Any:
    """Losses times a weight for each element, reduced; the mean is the weighted mean.

    Raises:
        ShapeError: a weight of another shape. ArgumentError: another ``reduction``.
    """
    if weight is None:
        return reduced(losses, reduction)
    if tuple(weight.shape) != tuple(losses.shape):
        raise ShapeError(
            f"{what}: a weight for each element, of shape {tuple(losses.shape)}, got {tuple(weight.shape)}"
        )
    total = reduced(mul(losses, weight), "sum" if reduction == "mean" else reduction)
    return div(total, sum(weight)) if reduction == "mean" else total


def _plain(value: Any) -> Array:
    return value.data if isinstance(value, Traced) else np.asarray(operand(value))


def _check_ids(ids: Array, classes: int, what: str = "cross_entropy", ignored: int | None = None) -> None:
    # As unsigned numbers, negative ones are larger than any other: one pass asks both questions.
    if ids.size and np.maximum.reduce(ids.view(f"u{ids.dtype.itemsize}"), axis=None) >= classes:
        if ignored is not None:
            _check_ids(ids[ids != ignored], classes, what)
            return
        raise ArgumentError(
            f"{what}: class ids run from {ids.min()} to {ids.max()}, but the logits have {classes} classes "
            f"(0 to {classes - 1})"
            + ("; ids counted from 1? target - 1" if ids.min() == 1 and ids.max() == classes else "")
            + ("; compiled from ids without ignore_index, say compile=False" if ids.min() == -100 else "")
        )


def _checked_ids(target: Any, ids: Array, classes: int, what: str, ignore_index: int) -> bool:
    """Ask that ids are classes; whether some may be ``ignore_index``."""
    try:
        asked(target, ids, partial(_check_ids, classes=classes, what=what))
    except ArgumentError:
        if not (ids == ignore_index).any():
            raise
        asked(target, ids, partial(_check_ids, classes=classes, what=what, ignored=ignore_index))
        return True
    return 0 <= ignore_index < classes


def _check_class_weight(weight: Any, x: Any, classes: int, what: str) -> Any:
    if tuple(weight.shape) != (classes,):
        raise ShapeError(f"{what}: expected a weight for each of {classes} classes, got shape {tuple(weight.shape)}")
    return weight if weight.dtype == x.dtype else astype(weight, x.dtype)


def _labels(logits: Any, target: Any, what: str) -> tuple[Array, Any]:
    """Class ids as an array, and as the ops take them.

    Raises:
        DTypeError: not integers. ShapeError: not one for each row of scores.
    """
    ids = _plain(target)
    axis = 0 if logits.ndim == 1 else 1
    expected = (*logits.shape[:axis], *logits.shape[axis + 1 :])
    if ids.dtype.kind not in "iu":
        raise DTypeError(f"{what}: class ids are integers, got dtype {ids.dtype}; say target.astype(int)")
    if ids.shape != expected:
        hint = ""
        if ids.shape == (*expected, 1):
            hint = "; drop the last axis: target.squeeze(-1)"
        elif ids.shape == tuple(logits.shape):
            hint = "; one-hot targets are floats: target.astype('float32'), or ids: target.argmax(1)"
        raise ShapeError(f"{what}: expected class ids of shape {expected}, got {ids.shape}{hint}")
    # Ids are on the tape in captured runs only; elsewhere the op takes the plain array.
    return ids, target if isinstance(target, Traced) and target.node is not None else ids


def _by_rows(
    x: Any,
    labels: Any,
    row_losses: Callable[[Any, Any], tuple[Any, Any]],
    reduction: str,
) -> Any:
    """Losses of scores ``(classes,)``, ``(n, classes)`` or ``(n, classes, d1, …)``, reduced.

    ``row_losses`` gives those of ``(n, classes)`` and ``(n,)``, and their shares in the mean: None where all are equal.
    """
    shape = tuple(labels.shape)
    if x.ndim != 2:
        x = _classes_last(x)
        rows = math.prod(shape)
        x, labels = reshaped(x, shape=(rows, x.shape[-1])), reshaped(labels, shape=(rows,))
    losses, shares = row_losses(x, labels)
    if reduction == "mean" and shares is not None:
        with np.errstate(invalid="ignore"):  # where nothing takes part the mean is NaN, as in torch
            return div(sum(losses), sum(shares))
    return reduced(losses if len(shape) == 1 or reduction != "none" else reshaped(losses, shape=shape), reduction)


def _classes_last(x: Any) -> Any:
    return x if x.ndim <= 2 else permute(x, (0, *range(2, x.ndim), 1))


def _shares(x: Any, labels: Any, weight: Any, ignore_index: int) -> tuple[Any, Any, Any]:
    """Which rows are kept, ids that are classes, and the share of each row in the mean."""
    kept = ne(labels, ignore_index)
    safe = where(kept, labels, 0)
    ones = np.ones((), x.dtype) if weight is None else getitem(weight, safe)
    return kept, safe, where(kept, ones, np.zeros((), x.dtype))


def cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Any:
    """Softmax and negative log-likelihood in one, from logits.

    Args:
        input: ``(n, classes)``, ``(classes,)`` or ``(n, classes, d1, …)`` unnormalised scores.
        target: class ids in [0, classes) of shape ``(n,)`` (``()``, ``(n, d1, …)``), or probabilities shaped like
            ``input``, in whose dtype they are taken, and which may want gradients too.
        weight: ``(classes,)``, a factor for each class; the mean of losses of ids is then the weighted mean.
        ignore_index: targets with this id take no part, nor in the mean.
        reduction: ``"mean"`` over all targets, ``"sum"`` or ``"none"``.
        label_smoothing: the part of each target, from 0 to 1, that is spread evenly over all classes.

    Formula: ``-log(exp(input[t]) / sum(exp(input)))``; gradient ``softmax(input) - onehot(t)``.

    Raises:
        ShapeError: shapes that do not fit; DTypeError: ids that are not integers; ArgumentError: ids out of range, or
            ``label_smoothing`` outside [0, 1].

    Source of label smoothing: Szegedy et al., CVPR 2016, section 7.
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    if input.ndim == 0:
        raise ShapeError("cross_entropy: logits need an axis of classes, got a 0-d tensor")
    if not 0.0 <= label_smoothing <= 1.0:
        raise ArgumentError(f"cross_entropy: label_smoothing is a part, from 0 to 1, got {label_smoothing}")
    classes = input.shape[0 if input.ndim == 1 else 1]
    if classes == 1:
        raise ArgumentError(
            "cross_entropy: the logits have one class, whose probability is always 1. A number to predict? mse_loss. "
            "Two classes? Two outputs, or binary_cross_entropy_with_logits"
        )
    if weight is not None:
        weight = _check_class_weight(weight, input, classes, "cross_entropy")
    if _plain(target).dtype.kind in "fc":
        return _soft_cross_entropy(input, target, weight, reduction, float(label_smoothing))
    ids, labels = _labels(input, target, "cross_entropy")
    ignoring = _checked_ids(target, ids, classes, "cross_entropy", ignore_index)
    if weight is None and not ignoring and not label_smoothing:
        if input.ndim == 2:
            return reduced(class_loss(input, labels), reduction)
        return _by_rows(input, labels, lambda x, rows: (class_loss(x, rows), None), reduction)

    def losses(x: Any, rows: Any) -> tuple[Any, Any]:
        kept, safe, shares = _shares(x, rows, weight, ignore_index)
        # What takes no part must not spoil the others' gradients either.
        x = where(unsqueeze(kept, 1), x, 0.0)
        found = mul(class_loss(x, safe), shares)
        if label_smoothing:
            logs = log_softmax_along(x, axis=1)
            spread = neg(sum(logs if weight is None else mul(logs, weight), 1))
            spread = mul(where(kept, spread, 0.0), label_smoothing / classes)
            found = add(mul(found, 1.0 - label_smoothing), spread)
        return found, shares

    return _by_rows(input, labels, losses, reduction)


def _soft_cross_entropy(logits: Any, target: Any, weight: Any, reduction: str, smoothing: float) -> Any:
    given = _plain(target)
    if given.shape != tuple(logits.shape):
        raise ShapeError(
            f"cross_entropy: probability targets have the logits' shape {tuple(logits.shape)}, got {given.shape}"
            + ("; class ids are integers: target.astype(int)" if given.ndim < logits.ndim else "")
        )
    dtype = float_dtype_of(logits.dtype)
    target = target if isinstance(target, Traced) else given
    if given.dtype != dtype:
        target = cast(target, dtype=dtype, source=given.dtype)
    logits, target = _classes_last(logits), _classes_last(target)
    if smoothing:
        target = add(mul(target, 1.0 - smoothing), smoothing / logits.shape[-1])
    if weight is not None:
        target = mul(target, weight)
    return reduced(soft_class_loss(logits, target), reduction)


def nll_loss(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Any:
    """The negative log-likelihood ``-input[t]`` of log-probabilities; from logits say :func:`cross_entropy`.

    Args:
        input: ``(n, classes)``, ``(classes,)`` or ``(n, classes, d1, …)``; the others as in :func:`cross_entropy`.

    Raises:
        ShapeError, DTypeError, ArgumentError: as :func:`cross_entropy`.
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    if input.ndim == 0:
        raise ShapeError("nll_loss: log-probabilities need an axis of classes, got a 0-d tensor")
    classes = input.shape[0 if input.ndim == 1 else 1]
    if weight is not None:
        weight = _check_class_weight(weight, input, classes, "nll_loss")
    ids, labels = _labels(input, target, "nll_loss")
    ignoring = _checked_ids(target, ids, classes, "nll_loss", ignore_index)

    def losses(x: Any, rows: Any) -> tuple[Any, Any]:
        places = np.arange(len(ids.ravel()))
        if weight is None and not ignoring:
            return neg(getitem(x, (places, rows))), None
        kept, safe, shares = _shares(x, rows, weight, ignore_index)
        return neg(mul(where(kept, getitem(x, (places, safe)), 0.0), shares)), shares

    return _by_rows(input, labels, losses, reduction)


def binary_cross_entropy_with_logits(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Any = None,
) -> Any:
    """Sigmoid and binary cross-entropy in one, from logits.

    Args:
        logits, target: one shape; targets in [0, 1].
        weight: a factor for each element, broadcast. pos_weight: a factor for the positive term, broadcast.

    Formula: ``-[pos_weight t log s(x) + (1 - t) log(1 - s(x))]``; gradient for ``pos_weight = 1``:
    ``(1 - t) s(x) - t s(-x)``.

    Raises:
        ShapeError: the shapes differ.
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    input, target = same_dtype(input, target)
    equal_shapes("binary_cross_entropy_with_logits", "logits", input, target)
    if pos_weight is None:
        losses = bce_with_logits(input, target)
    else:
        weighted = mul(
            mul(pos_weight if isinstance(pos_weight, Traced) else operand(pos_weight), target), softplus(neg(input))
        )
        losses = add(weighted, mul(sub(1.0, target), softplus(input)))
    return reduced(losses if weight is None else mul(losses, weight), reduction)


@elementwise(
    vjp=(lambda g, a, b: mul(g, mul(sub(a, b), 2.0)), lambda g, a, b: mul(g, mul(sub(b, a), 2.0))),
    reference=lambda mp, a, b: (a - b) ** 2,
    samples=Elementwise((Domain(reach=(-1e50, 1e50)), Domain(reach=(-1e50, 1e50)))),
    scalar="(({0} - {1}) * ({0} - {1}))",
    calls=calls.squaring_difference,
    latex=r"\left({0} - {1}\right)^2",
)
def squared_error(a: Array, b: Array) -> Array:
    """``(a - b)**2``, one op because the smallest nets spend a tenth of their time on its parts."""
    difference = a - b
    return difference * difference


def mse_loss(
    input: Any,
    target: Any,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Any = None,
) -> Any:
    """The squared error ``(input - target)**2``, averaged over all elements by default.

    Raises:
        ShapeError: the shapes differ. They are not broadcast: ``(n,)`` against ``(n, 1)`` would silently compare every
        prediction with every target.
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    input, target = same_dtype(input, target)
    equal_shapes("mse_loss", "input", input, target)
    return reduced_by(squared_error(input, target), weight, reduction, "mse_loss")


def equal_shapes(what: str, first: str, a: Any, b: Any) -> None:
    """Refuse predictions and targets of two shapes.

    Raises:
        ShapeError: they differ.
    """
    if a.shape != b.shape:
        line = f"target.reshape({', '.join(map(str, a.shape))})" if a.size == b.size else "predict one value per target"
        if a.size != b.size and len(a.shape) == 2 and tuple(b.shape) in {a.shape[:1], (a.shape[0], 1)}:
            line += f"; class ids go with cross_entropy, or with {what} as one_hot(target, {a.shape[1]})"
        raise ShapeError(f"{what}: {first} {tuple(a.shape)} and target {tuple(b.shape)} differ in shape; {line}")
