"""The embedding as a function: rows of a table."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from ... import ops
from ...capture import asked, reading, whole_step
from ...compositions.common import operand, values_of
from ...errors import ArgumentError, CaptureError, DTypeError, ShapeError, did_you_mean
from ...ops.names import both_names
from ...tape import Array, wrote
from ...tensor import Tensor

__all__ = ["embedding", "embedding_bag", "one_hot", "padding_row"]


def embedding(
    input: Any,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Any:
    """The rows of ``weight (rows, dim)`` at the ids ``input (…)``: ``(…, dim)``.

    The gradient of a row is the sum over all places where its id stands. The options are those of
    :class:`tinygrad_mlp.nn.Embedding`.

    Raises:
        DTypeError: ids that are not integers. ArgumentError: an id outside the table, ``padding_idx`` outside it, or
            ``sparse=True``. CaptureError: ``max_norm`` or ``scale_grad_by_freq`` in a compiled step.
    """
    if sparse:
        raise ArgumentError("embedding: gradients are dense arrays here; leave sparse out")
    padding_idx = padding_row(padding_idx, weight.shape[0])
    ids: Any = input if isinstance(input, Tensor) else np.asarray(input)
    plain: Array = ids.data if isinstance(ids, Tensor) else ids
    if plain.dtype.kind not in "iu":
        raise DTypeError(f"Embedding takes ids, whole numbers, got dtype {plain.dtype}; say x.astype('int64')")
    asked(ids, plain, partial(_check_ids, rows=weight.shape[0]))
    if max_norm is not None:
        _shorten(weight, np.unique(plain), max_norm, norm_type)
    if not (isinstance(ids, Tensor) and ids.node is not None):
        ids = plain
    rows = ops.embedding(weight, ids)
    if scale_grad_by_freq:
        if isinstance(input, Tensor):
            reading(input, "scale_grad_by_freq")
        shares = 1.0 / np.bincount(plain.reshape(-1), minlength=1)[plain]
        fixed = rows.detach()
        # The value as it is, and only a share of its gradient.
        rows = fixed + (rows - fixed) * shares.astype(weight.dtype)[..., None]
    if padding_idx is not None:
        rows = ops.where(ops.unsqueeze(ops.eq(ids, padding_idx), -1), rows.detach(), rows)
    return rows


def embedding_bag(
    input: Any,
    weight: Any,
    offsets: Any = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Any = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Any:
    """The sum, mean or maximum of the rows of ``weight (rows, dim)`` in each bag of ids: ``(bags, dim)``.

    Args:
        input: ids ``(bags, length)``, or all of them one after the other with ``offsets (bags,)``, where each bag
            begins. mode: ``"sum"``, ``"mean"`` or ``"max"``; an empty bag is 0. per_sample_weights: a factor for each
            id, with ``"sum"``. include_last_offset: the last offset is the end. padding_idx: an id that is left out.

    Raises:
        As :func:`embedding`. ArgumentError: an unknown mode, or weights with another mode. ShapeError: offsets where
        the ids have two axes, or none where they have one.
    """
    if mode not in {"sum", "mean", "max"}:
        raise ArgumentError(did_you_mean("mode", mode, ["sum", "mean", "max"]))
    if per_sample_weights is not None and mode != "sum":
        raise ArgumentError(f"embedding_bag: per_sample_weights are for mode='sum', not {mode!r}")
    ids = values_of(input)
    if (ids.ndim, offsets is None) not in {(1, False), (2, True)}:
        raise ShapeError(
            f"embedding_bag: ids (bags, length) without offsets, or ids of one axis with them; got {ids.shape} "
            f"{'without' if offsets is None else 'with'} offsets"
        )
    if offsets is None:
        starts, flat = np.arange(ids.shape[0]) * ids.shape[1], ids.reshape(-1)
    else:
        starts, flat = values_of(offsets).astype(np.int64), ids
        starts = starts[:-1] if include_last_offset else starts
    padding_idx = padding_row(padding_idx, weight.shape[0])
    rows = embedding(flat, weight, None, max_norm, norm_type, scale_grad_by_freq, sparse)
    bag = np.searchsorted(starts, np.arange(flat.size), "right") - 1
    counted = np.ones(flat.size, bool) if padding_idx is None else flat != padding_idx
    bags = len(starts)
    sizes = np.bincount(bag[counted], minlength=bags)
    if mode == "max":
        found = []
        for one in range(bags):
            places = np.flatnonzero((bag == one) & counted)
            found.append(ops.amax(ops.getitem(rows, places), 0) if places.size else np.zeros_like(weight.data[0]))
        return ops.stack(found, 0) if found else ops.getitem(rows, slice(0, 0))
    if per_sample_weights is not None:
        rows = ops.mul(rows, ops.reshape(per_sample_weights, (-1, 1)))
    members: Array = np.zeros((bags, flat.size), weight.dtype)
    members[bag[counted], np.flatnonzero(counted)] = 1.0
    if mode == "mean":
        members = members / np.maximum(sizes, 1)[:, None].astype(weight.dtype)
    return ops.matmul(members, rows)


@both_names
def one_hot(tensor: Any, num_classes: int = -1) -> Any:
    """1 at each id and 0 elsewhere: ids ``(…)`` become integers ``(…, num_classes)``, by default as many as are seen.

    Raises:
        DTypeError: ids that are not integers. ArgumentError: an id outside of the classes.
    """
    ids = values_of(tensor)
    if ids.dtype.kind not in "iu":
        raise DTypeError(f"one_hot takes ids, whole numbers, got dtype {ids.dtype}; say x.astype('int64')")
    if num_classes == -1 and not ids.size:
        raise ArgumentError("one_hot: no ids to count the classes from; give num_classes")
    count = int(ids.max()) + 1 if num_classes == -1 else int(num_classes)
    if ids.size and not 0 <= ids.min() <= ids.max() < count:
        raise ArgumentError(f"one_hot: ids are 0 to {count - 1}, these run from {int(ids.min())} to {int(ids.max())}")
    return ops.astype(ops.eq(ops.unsqueeze(operand(tensor), -1), np.arange(count)), np.int64)


def padding_row(padding_idx: int | None, rows: int) -> int | None:
    """``padding_idx`` counted from the front.

    Raises:
        ArgumentError: it lies outside the table.
    """
    if padding_idx is None:
        return None
    if not -rows <= padding_idx < rows:
        raise ArgumentError(f"embedding: padding_idx lies in the table, from 0 to {rows - 1}, got {padding_idx}")
    return int(padding_idx) + rows if padding_idx < 0 else int(padding_idx)


def _check_ids(ids: Array, rows: int) -> None:
    if ids.size and not (ids.min() >= 0 and ids.max() < rows):
        wrong = (ids < 0) | (ids >= rows)
        place = tuple([int(one) for one in np.argwhere(wrong)[0]])
        found, count = int(ids[place]), int(wrong.sum())
        more = f" ({count - 1} more like it)" if count > 1 else ""
        fix = f"make the layer Embedding({int(ids.max()) + 1}, …)" if found >= rows else "ids count from 0"
        raise ArgumentError(
            f"Embedding: id {found} at position {place} of ids of shape {ids.shape}{more} is outside the vocabulary of "
            f"{rows} ids, 0 to {rows - 1}; {fix}, or give all words beyond the vocabulary one id of their own"
        )


def _shorten(weight: Tensor, used: Array, longest: float, norm_type: float) -> None:
    """Shorten rows of a table in place."""
    if whole_step() is not None:
        raise CaptureError(
            "Embedding(max_norm=...) writes into its table while it looks up, which a compiled step cannot repeat; run "
            "the step without compile, or shorten the rows after optimizer.step()"
        )
    table = weight.data
    norms = np.linalg.norm(table[used], norm_type, axis=1)
    long = norms > longest
    if long.any():
        # torch adds 1e-7 as well.
        table[used[long]] *= (longest / (norms[long] + 1e-7)).astype(table.dtype)[:, None]
        wrote("Embedding(max_norm=...)", table)
