"""Attention as a function: scores, softmax, weighted sum."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ... import ops
from ...compositions.shapes import repeat_interleave
from ...errors import ArgumentError, ShapeError
from ...tape import Traced
from .dropout import dropout

__all__ = ["scaled_dot_product_attention"]


def attention(
    query: Any,
    key: Any,
    value: Any,
    bias: Any,
    dropout_p: float,
    scale: float | None,
    rng: np.random.Generator | None = None,
) -> tuple[Any, Any]:
    """Output and weights; ``bias``, if any, is added to the scores, minus infinity where no attention is to go."""
    scale = 1.0 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = ops.matmul(ops.mul(query, scale), ops.transpose(key, -2, -1))
    if bias is not None:
        scores = ops.add(scores, bias)
    weights = ops.softmax(scores, -1)
    weights = dropout(weights, dropout_p, rng=rng) if dropout_p else weights
    return ops.matmul(weights, value), weights


def causal_mask(rows: int, columns: int, dtype: Any) -> Any:
    """0 where a row may look, at itself and before, and minus infinity after it: ``(rows, columns)``."""
    return np.triu(np.full((rows, columns), -math.inf, dtype), 1)


def as_bias(mask: Any, dtype: Any, *, attends: bool) -> Any:
    """A mask as what is added to scores; a boolean one says where attention goes (``attends``) or does not go.

    Raises:
        ArgumentError: neither booleans nor floats.
    """
    kind = mask.dtype.kind
    if kind == "b":
        allowed = mask if attends else ops.logical_not(mask)
        zero, never = np.zeros((), dtype), np.full((), -math.inf, dtype)
        return ops.where(allowed, zero, never)
    if kind != "f":
        raise ArgumentError(f"an attention mask is made of booleans or floats, got {mask.dtype}; say mask.astype(bool)")
    return mask if mask.dtype == dtype else ops.astype(mask, dtype)


def _for_heads(x: Any, query: Any) -> Any:
    """Each head as often as the query's heads are more."""
    times, over = divmod(query.shape[-3], x.shape[-3])
    if over:
        raise ShapeError(
            f"scaled_dot_product_attention: {query.shape[-3]} heads of the query are no multiple of {x.shape[-3]}"
        )
    return repeat_interleave(x, times, -3) if times > 1 else x


def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    *,
    rng: np.random.Generator | None = None,
) -> Any:
    """``softmax(query @ key.T * scale + mask) @ value``.

    Args:
        query: ``(…, L, E)``. key: ``(…, S, E)``. value: ``(…, S, V)``.
        attn_mask: broadcasts to ``(…, L, S)``; booleans say where attention may go (True), floats are added.
        dropout_p: the probability with which weights are dropped, whatever the mode. is_causal: row i sees columns up
            to i. scale: ``1 / sqrt(E)`` by default. enable_gqa: each head of key and value (axis -3) serves several
            neighbouring ones of the query. rng: for the dropout.

    Returns:
        ``(…, L, V)``.

    Raises:
        ShapeError: shapes or heads that do not fit. ArgumentError: a mask and ``is_causal``, or a mask of integers.

    Source: Vaswani et al., "Attention is all you need", NeurIPS 2017, eq. 1.
    """
    if enable_gqa:
        key, value = (_for_heads(one, query) for one in (key, value))
    if query.shape[-1] != key.shape[-1] or key.shape[-2] != value.shape[-2]:
        raise ShapeError(
            "scaled_dot_product_attention expected query (…, L, E), key (…, S, E), value (…, S, V), got "
            f"{tuple(query.shape)}, {tuple(key.shape)}, {tuple(value.shape)}"
        )
    bias = None
    if is_causal:
        if attn_mask is not None:
            raise ArgumentError("scaled_dot_product_attention: give attn_mask or is_causal=True, not both")
        bias = causal_mask(query.shape[-2], key.shape[-2], query.dtype)
    elif attn_mask is not None:
        attn_mask = attn_mask if isinstance(attn_mask, Traced) else np.asarray(attn_mask)
        bias = as_bias(attn_mask, query.dtype, attends=True)
    return attention(query, key, value, bias, dropout_p, scale, rng)[0]
