"""Losses from logits, with gradients that never pass through a probability near 1."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from ..capture import asked
from ..errors import ArgumentError, DTypeError, ShapeError
from ..samples import Classes, Domain, Elementwise
from ..tape import Array, Traced
from . import batched, calls, native
from .activations import bce_with_logits, softplus
from .arithmetic import add, mul, neg, sub
from .declare import operand, primitive
from .elementwise import elementwise, same_dtype
from .reductions import exponentials, log_softmax_along, mean, softmax_along, softmax_pull, sum
from .shape import reshaped, transpose, unsqueeze


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


def _reduce(losses: Any, reduction: str) -> Any:
    if reduction == "mean":
        return mean(losses)
    if reduction == "sum":
        return sum(losses)
    if reduction == "none":
        return losses
    raise ArgumentError(f"reduction is 'mean', 'sum' or 'none', got {reduction!r}")


def _plain(value: Any) -> Array:
    return value.data if isinstance(value, Traced) else np.asarray(operand(value))


def _check_ids(ids: Array, classes: int) -> None:
    # As unsigned numbers, negative ones are larger than any other: one pass asks both questions.
    if ids.size and np.maximum.reduce(ids.view(f"u{ids.dtype.itemsize}"), axis=None) >= classes:
        raise ArgumentError(
            f"cross_entropy: class ids run from {ids.min()} to {ids.max()}, but the logits have {classes} classes "
            f"(0 to {classes - 1})"
            + ("; ids counted from 1? target - 1" if ids.min() == 1 and ids.max() == classes else "")
        )


def cross_entropy(logits: Any, target: Any, *, reduction: str = "mean") -> Any:
    """Softmax and negative log-likelihood in one, from logits.

    Args:
        logits: ``(n, classes)``, ``(classes,)`` or ``(n, classes, d1, …)`` unnormalised scores.
        target: class ids in [0, classes) of shape ``(n,)`` (``()``, ``(n, d1, …)``), or probabilities shaped like
            ``logits``, which may want gradients too.
        reduction: ``"mean"`` over all targets, ``"sum"`` or ``"none"``.

    Formula: ``-log(exp(logits[t]) / sum(exp(logits)))``; gradient ``softmax(logits) - onehot(t)``.

    Raises:
        ShapeError: shapes that do not fit; DTypeError: ids that are not integers; ArgumentError: ids out of range.
    """
    if logits.ndim == 0:
        raise ShapeError("cross_entropy: logits need an axis of classes, got a 0-d tensor")
    ids = _plain(target)
    axis = 0 if logits.ndim == 1 else 1
    classes = logits.shape[axis]
    if classes == 1:
        raise ArgumentError(
            "cross_entropy: the logits have one class, whose probability is always 1. A number to predict? mse_loss. "
            "Two classes? Two outputs, or binary_cross_entropy_with_logits"
        )
    if ids.dtype.kind in "fc":
        if ids.shape != tuple(logits.shape):
            raise ShapeError(
                f"cross_entropy: probability targets have the logits' shape {tuple(logits.shape)}, got {ids.shape}"
                + ("; class ids are integers: target.astype(int)" if ids.ndim < logits.ndim else "")
            )
        target = target if isinstance(target, Traced) else ids.astype(logits.dtype, copy=False)
        if logits.ndim <= 2:
            return _reduce(soft_class_loss(logits, target), reduction)
        losses = soft_class_loss(transpose(logits, 1, -1), transpose(target, 1, -1))
        return _reduce(transpose(losses, 1, -1) if losses.ndim > 2 else losses, reduction)
    expected = (*logits.shape[:axis], *logits.shape[axis + 1 :])
    if ids.dtype.kind not in "iu":
        raise DTypeError(f"cross_entropy: class ids are integers, got dtype {ids.dtype}; say target.astype(int)")
    if ids.shape != expected:
        hint = ""
        if ids.shape == (*expected, 1):
            hint = "; drop the last axis: target.squeeze(-1)"
        elif ids.shape == tuple(logits.shape):
            hint = "; one-hot targets are floats: target.astype('float32'), or ids: target.argmax(1)"
        raise ShapeError(f"cross_entropy: expected class ids of shape {expected}, got {ids.shape}{hint}")
    asked(target, ids, partial(_check_ids, classes=classes))
    # Ids are on the tape in captured runs only; elsewhere the op takes the plain array.
    labels: Any = target if isinstance(target, Traced) and target.node is not None else ids
    if logits.ndim == 1:
        losses = class_loss(unsqueeze(logits, 0), reshaped(labels, shape=(1,)))
        return reshaped(losses, shape=()) if reduction == "none" else _reduce(losses, reduction)
    if logits.ndim == 2:
        return _reduce(class_loss(logits, labels), reduction)
    last = transpose(logits, 1, -1)
    swapped = transpose(labels, 1, -1) if ids.ndim > 2 else labels
    losses = class_loss(reshaped(last, shape=(ids.size, classes)), reshaped(swapped, shape=(ids.size,)))
    losses = reshaped(losses, shape=swapped.shape)
    return _reduce(transpose(losses, 1, -1) if ids.ndim > 2 else losses, reduction)


def binary_cross_entropy_with_logits(
    logits: Any, target: Any, *, weight: Any = None, pos_weight: Any = None, reduction: str = "mean"
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
    logits, target = same_dtype(logits, target)
    _equal_shapes("binary_cross_entropy_with_logits", "logits", logits, target)
    if pos_weight is None:
        losses = bce_with_logits(logits, target)
    else:
        weighted = mul(
            mul(pos_weight if isinstance(pos_weight, Traced) else operand(pos_weight), target), softplus(neg(logits))
        )
        losses = add(weighted, mul(sub(1.0, target), softplus(logits)))
    return _reduce(losses if weight is None else mul(losses, weight), reduction)


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


def mse_loss(input: Any, target: Any, *, reduction: str = "mean") -> Any:
    """The squared error ``(input - target)**2``, averaged over all elements by default.

    Raises:
        ShapeError: the shapes differ. They are not broadcast: ``(n,)`` against ``(n, 1)`` would silently compare every
        prediction with every target.
    """
    input, target = same_dtype(input, target)
    _equal_shapes("mse_loss", "input", input, target)
    return _reduce(squared_error(input, target), reduction)


def _equal_shapes(what: str, first: str, a: Any, b: Any) -> None:
    if a.shape != b.shape:
        line = f"target.reshape({', '.join(map(str, a.shape))})" if a.size == b.size else "predict one value per target"
        raise ShapeError(f"{what}: {first} {tuple(a.shape)} and target {tuple(b.shape)} differ in shape; {line}")
