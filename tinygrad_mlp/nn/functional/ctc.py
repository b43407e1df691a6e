"""The loss of a sequence whose places are not known: connectionist temporal classification."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ... import ops
from ...compositions.common import values_of
from ...compositions.indexing import take_along
from ...errors import ArgumentError, ShapeError
from ...tape import Array

__all__ = ["ctc_loss"]

# Far below any log-probability, and finite, so that sums of nothing keep derivatives.
_NEVER = -1e30


def _rows(targets: Array, lengths: Array) -> Array:
    """Targets one after the other as a table, padded with 0."""
    table = np.zeros((len(lengths), int(lengths.max(initial=0))), np.int64)
    ends = np.cumsum(lengths)
    for row, (end, length) in enumerate(zip(ends, lengths, strict=True)):
        table[row, :length] = targets[end - length : end]
    return table


def _check(log_probs: Any, targets: Array, inputs: Array, lengths: Array, blank: int, reduction: str) -> None:
    if log_probs.ndim not in {2, 3}:
        raise ShapeError(f"ctc_loss: log_probs (time, batch, classes) or (time, classes), got {tuple(log_probs.shape)}")
    if reduction not in {"none", "mean", "sum"}:
        raise ArgumentError(f"reduction is 'mean', 'sum' or 'none', got {reduction!r}")
    time, classes = log_probs.shape[0], log_probs.shape[-1]
    if not 0 <= blank < classes:
        raise ArgumentError(f"ctc_loss: blank is a class, 0 to {classes - 1}, got {blank}")
    if inputs.size and inputs.max() > time:
        raise ArgumentError(f"ctc_loss: an input_length of {int(inputs.max())}, and log_probs has {time} steps")
    if targets.ndim == 1 and targets.size < int(lengths.sum()):
        raise ArgumentError(f"ctc_loss: target_lengths add up to {int(lengths.sum())}, and targets has {targets.size}")


def ctc_loss(
    log_probs: Any,
    targets: Any,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Any:
    """``-log`` of the probability of all ways to spread the targets over time, blanks and repetitions between them.

    Args:
        log_probs: ``(time, batch, classes)`` or ``(time, classes)``, of :func:`log_softmax`.
        targets: class ids ``(batch, longest)``, or all of them one after the other. input_lengths, target_lengths:
            ``(batch,)``. reduction: ``"mean"`` divides each loss by its target's length first.
        zero_infinity: losses of targets that are too long for their input are 0 instead of infinite.

    The gradient is that of this formula for any ``log_probs``; torch's holds only for normalised ones, and is that with
    respect to the scores before ``log_softmax``.

    Raises:
        ShapeError, ArgumentError: lengths that do not fit.

    Source: Graves et al., "Connectionist temporal classification", ICML 2006.
    """
    ids = values_of(targets).astype(np.int64)
    inputs = np.atleast_1d(values_of(input_lengths)).astype(np.int64)
    lengths = np.atleast_1d(values_of(target_lengths)).astype(np.int64)
    _check(log_probs, ids, inputs, lengths, blank, reduction)
    single = log_probs.ndim == 2
    scores = ops.unsqueeze(log_probs, 1) if single else log_probs
    if single and ids.ndim == 1:
        ids = ids[None]
    ids = _rows(ids, lengths) if ids.ndim == 1 else ids
    losses = _losses(scores, ids, inputs, lengths, blank)
    if zero_infinity:
        losses = ops.where(ops.eq(losses, math.inf), 0.0, losses)
    if reduction == "mean":
        return ops.mean(ops.div(losses, np.maximum(lengths, 1).astype(losses.dtype)))
    if reduction == "sum":
        return ops.sum(losses)
    return ops.reshape(losses, ()) if single else losses


def _losses(scores: Any, ids: Array, inputs: Array, lengths: Array, blank: int) -> Any:
    time, batch, _ = scores.shape
    longest = ids.shape[1]
    # blank, first, blank, second, …, blank
    path = np.full((batch, 2 * longest + 1), blank, np.int64)
    path[:, 1::2] = ids
    # A blank between two targets may be left out where they differ.
    skips = np.zeros(path.shape, bool)
    skips[:, 3::2] = ids[:, 1:] != ids[:, :-1]
    width = path.shape[1]
    never = np.full((batch, width), _NEVER, scores.dtype)
    start = np.arange(width) < 2
    alpha: Any = None
    for t in range(time):
        here = take_along(ops.getitem(scores, t), path, 1)
        if alpha is None:
            moved = ops.where(start, here, never)
        else:
            one = _later(alpha, never, 1)
            two = ops.where(skips, _later(alpha, never, 2), never)
            moved = ops.add(ops.logsumexp(ops.stack([alpha, one, two], 0), 0), here)
            # Sequences that have ended keep what they have.
            moved = ops.where((t < inputs)[:, None], moved, alpha)
        alpha = ops.maximum(moved, _NEVER)
    if alpha is None:
        alpha = ops.where(start, 0.0, never)
    # Without any input only the empty target is possible.
    alpha = ops.where((inputs == 0)[:, None], np.where(np.arange(width) == 0, 0.0, _NEVER).astype(scores.dtype), alpha)
    last = (2 * lengths)[:, None]
    ends = [take_along(alpha, last, 1), take_along(alpha, np.maximum(last - 1, 0), 1)]
    both = ops.logsumexp(ops.cat(ends, 1), 1)
    found = ops.neg(ops.where(lengths > 0, both, ops.reshape(ends[0], (batch,))))
    return ops.where(ops.gt(found, -_NEVER / 10), math.inf, found)


def _later(alpha: Any, never: Array, by: int) -> Any:
    """What was ``by`` places before."""
    kept = max(alpha.shape[1] - by, 0)
    return ops.cat([never[:, : alpha.shape[1] - kept], ops.getitem(alpha, (slice(None), slice(0, kept)))], 1)
