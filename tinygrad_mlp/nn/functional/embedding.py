"""The embedding as a function: rows of a table."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from ... import ops
from ...capture import asked, reading, whole_step
from ...errors import ArgumentError, CaptureError, DTypeError
from ...tape import Array, wrote
from ...tensor import Tensor

__all__ = ["embedding", "padding_row"]


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
