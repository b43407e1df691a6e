"""Multi-head attention."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from .. import ops
from ..dtypes import get_default_dtype
from ..errors import ArgumentError, ShapeError
from ..tape import Traced
from ..tensor import Tensor, generator
from . import init
from .functional import check_probability
from .functional.attention import as_bias, attention, causal_mask
from .layers import Linear, positive
from .module import Module, Parameter, refuse_data

__all__ = ["MultiheadAttention"]


class MultiheadAttention(Module):
    """Several attentions side by side: ``concat(heads) @ out_proj.weight.T + out_proj.bias``.

    Each head attends in a subspace of ``embed_dim / num_heads`` numbers.

    Args:
        embed_dim: the length of the query's and the output's last axis. num_heads: a divisor of it.
        dropout: the probability with which attention weights are dropped in training.
        bias: False leaves all biases out. add_bias_kv: one more key and value, which are learnt. add_zero_attn: one
            more key and value of zeros.
        kdim, vdim: the lengths of the last axes of key and value, embed_dim by default.
        batch_first: ``(batch, sequence, features)`` instead of torch's ``(sequence, batch, features)``.
        rng, seed: for the initial values and the dropout; fresh by default. dtype: of the parameters.

    Attributes:
        in_proj_weight: ``(3 embed_dim, embed_dim)``, for query, key and value; with other ``kdim`` or ``vdim`` instead
            q_proj_weight, k_proj_weight and v_proj_weight. in_proj_bias: ``(3 embed_dim,)`` or None.
        out_proj: the dense layer at the end. bias_k, bias_v: ``(1, 1, embed_dim)`` or None.

    Raises:
        ArgumentError: sizes that do not divide. When called: ShapeError for shapes that do not fit.

    Source: Vaswani et al., NeurIPS 2017, section 3.2.2.

    >>> from tinygrad_mlp import nn, zeros
    >>> layer = nn.MultiheadAttention(8, 2, batch_first=True, seed=0)
    >>> x = zeros(4, 5, 8)
    >>> output, weights = layer(x, x, x)
    >>> output.shape, weights.shape
    ((4, 5, 8), (4, 5, 5))
    """

    in_proj_weight: Tensor | None
    q_proj_weight: Tensor | None
    k_proj_weight: Tensor | None
    v_proj_weight: Tensor | None
    in_proj_bias: Tensor | None
    bias_k: Tensor | None
    bias_v: Tensor | None

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        *,
        rng: np.random.Generator | None = None,
        seed: int | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__()
        refuse_data(self, embed_dim, num_heads)
        positive(self, "MultiheadAttention(64, 4)", embed_dim=embed_dim, num_heads=num_heads)
        if embed_dim % num_heads:
            raise ArgumentError(
                f"MultiheadAttention: embed_dim {embed_dim} does not fall into {num_heads} equal heads; say "
                f"MultiheadAttention({-(-embed_dim // num_heads) * num_heads}, {num_heads})"
            )
        self.embed_dim, self.num_heads = int(embed_dim), int(num_heads)
        self.dropout, self.batch_first = check_probability(dropout), bool(batch_first)
        self.add_zero_attn = bool(add_zero_attn)
        self.kdim, self.vdim = int(kdim or embed_dim), int(vdim or embed_dim)
        draws = generator(rng, seed)
        self.rng = draws.spawn(1)[0]
        dtype = dtype or get_default_dtype()

        def made(*shape: int) -> Tensor:
            return init.xavier_uniform_(Parameter(np.empty(shape, dtype)), rng=draws)

        one = self.kdim == self.vdim == embed_dim
        self.register_parameter("in_proj_weight", made(3 * embed_dim, embed_dim) if one else None)
        self.register_parameter("q_proj_weight", None if one else made(embed_dim, embed_dim))
        self.register_parameter("k_proj_weight", None if one else made(embed_dim, self.kdim))
        self.register_parameter("v_proj_weight", None if one else made(embed_dim, self.vdim))
        self.register_parameter("in_proj_bias", Parameter(np.zeros(3 * embed_dim, dtype)) if bias else None)
        self.out_proj = Linear(embed_dim, embed_dim, bias, rng=draws, dtype=dtype)
        if self.out_proj.bias is not None:
            init.zeros_(self.out_proj.bias)
        for name in ("bias_k", "bias_v"):
            start = Parameter(np.empty((1, 1, embed_dim), dtype)) if add_bias_kv else None
            if start is not None:
                init.normal_(start, 0.0, (1.0 / embed_dim) ** 0.5, rng=draws)
            self.register_parameter(name, start)

    def forward(
        self,
        query: Any,
        key: Any,
        value: Any,
        key_padding_mask: Any = None,
        need_weights: bool = True,
        attn_mask: Any = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Any, Any]:
        """Output and attention weights.

        Args:
            query: ``(L, batch, embed_dim)``, or as ``batch_first`` says, or ``(L, embed_dim)`` without batch. key,
                value: the same with their own length S and ``kdim``, ``vdim``.
            key_padding_mask: ``(batch, S)``; True where a key is padding, which nothing attends to. Floats are added.
            need_weights: False gives None in the place of the weights.
            attn_mask: ``(L, S)`` or ``(batch * heads, L, S)``; True where attention may not go. Floats are added.
            average_attn_weights: the mean of the heads' weights, ``(batch, L, S)``; else ``(batch, heads, L, S)``.
            is_causal: position i attends to positions up to i.
        """
        self._check(query, key, value)
        single = query.ndim == 2
        q, k, v = self._projected(query, key, value)
        if single:
            q, k, v = (ops.unsqueeze(one, 1) for one in (q, k, v))
        elif self.batch_first:
            q, k, v = (ops.transpose(one, 0, 1) for one in (q, k, v))
        length, batch = q.shape[:2]
        sources = k.shape[0]
        if self.bias_k is not None and self.bias_v is not None:
            k, v = (
                ops.cat([one, ops.expand(more, 1, batch, self.embed_dim)])
                for one, more in ((k, self.bias_k), (v, self.bias_v))
            )
        if self.add_zero_attn:
            zeros = np.zeros((1, batch, self.embed_dim), q.dtype)
            k, v = ops.cat([k, zeros]), ops.cat([v, zeros])
        bias = self._bias(q, batch, length, sources, k.shape[0], attn_mask, key_padding_mask, is_causal, single)
        q, k, v = (self._by_heads(one) for one in (q, k, v))
        output, weights = attention(q, k, v, bias, self.dropout if self.training else 0.0, None, self.rng)
        output = ops.reshape(ops.permute(output, 2, 0, 1, 3), (length, batch, self.embed_dim))
        if self.batch_first and not single:
            output = ops.transpose(output, 0, 1)
        output = self.out_proj(ops.squeeze(output, 1) if single else output)
        if not need_weights:
            return output, None
        weights = ops.mean(weights, 1) if average_attn_weights else weights
        return output, ops.squeeze(weights, 0) if single else weights

    def _projected(self, query: Any, key: Any, value: Any) -> list[Any]:
        size = self.embed_dim
        if query is key and key is value and self.in_proj_weight is not None:
            together = ops.linear(query, self.in_proj_weight, self.in_proj_bias)
            return [ops.getitem(together, (..., slice(i * size, (i + 1) * size))) for i in range(3)]
        parts = [slice(i * size, (i + 1) * size) for i in range(3)]
        if self.in_proj_weight is not None:
            weights = [ops.getitem(self.in_proj_weight, part) for part in parts]
        else:
            weights = [self.q_proj_weight, self.k_proj_weight, self.v_proj_weight]
        biases = [None if self.in_proj_bias is None else ops.getitem(self.in_proj_bias, part) for part in parts]
        return [ops.linear(*three) for three in zip((query, key, value), weights, biases, strict=True)]

    def _by_heads(self, x: Any) -> Any:
        """``(length, batch, embed_dim)`` as ``(batch, heads, length, head_dim)``."""
        shape = (*x.shape[:2], self.num_heads, self.embed_dim // self.num_heads)
        return ops.permute(ops.reshape(x, shape), 1, 2, 0, 3)

    def _bias(
        self,
        q: Any,
        batch: int,
        length: int,
        sources: int,
        keys: int,
        attn_mask: Any,
        key_padding_mask: Any,
        is_causal: bool,
        single: bool,
    ) -> Any:
        """What both masks add to the scores, shaped to broadcast against ``(batch, heads, L, keys)``."""
        bias = None
        if attn_mask is not None:
            mask = _as_mask(attn_mask)
            if tuple(mask.shape) not in {(length, sources), (batch * self.num_heads, length, sources)}:
                raise ShapeError(
                    f"MultiheadAttention expected attn_mask of shape (L, S) = ({length}, {sources}) or (batch * heads, "
                    f"L, S) = ({batch * self.num_heads}, {length}, {sources}), got {tuple(mask.shape)}"
                )
            bias = as_bias(mask, q.dtype, attends=False)
            if bias.ndim == 3:
                bias = ops.reshape(bias, (batch, self.num_heads, length, sources))
        elif is_causal:
            bias = causal_mask(length, sources, q.dtype)
        if key_padding_mask is not None:
            padding = _as_mask(key_padding_mask)
            padding = ops.unsqueeze(padding, 0) if single else padding
            if tuple(padding.shape) != (batch, sources):
                raise ShapeError(
                    f"MultiheadAttention expected key_padding_mask of shape (batch, S) = ({batch}, {sources}), got "
                    f"{tuple(padding.shape)}"
                )
            more = ops.reshape(as_bias(padding, q.dtype, attends=False), (batch, 1, 1, sources))
            bias = more if bias is None else ops.add(bias, more)
        if bias is None or keys == sources:
            return bias
        free = np.zeros((*bias.shape[:-1], keys - sources), q.dtype)  # what was added can always be attended to
        return ops.cat([bias, free], -1)

    def _check(self, query: Any, key: Any, value: Any) -> None:
        shapes = [tuple(one.shape) for one in (query, key, value)]
        wanted = (self.embed_dim, self.kdim, self.vdim)
        rank = len(shapes[0])
        order = ("batch", "L", "features") if self.batch_first else ("L", "batch", "features")
        names = order if rank != 2 else ("L", "features")
        fits = rank in {2, 3} and all(
            len(shape) == rank and shape[-1] == size for shape, size in zip(shapes, wanted, strict=True)
        )
        place = names.index("batch") if rank == 3 else None
        if fits and shapes[1][:-1] == shapes[2][:-1] and (place is None or shapes[0][place] == shapes[1][place]):
            return
        fix = "give key and value one length and all three one batch"
        if shapes[0][-1:] != (self.embed_dim,):
            fix = f"make the layer MultiheadAttention({shapes[0][-1] if rank else 1}, {self.num_heads})"
        elif rank == 3 and not self.batch_first:
            fix += ", or, if the batch comes first, say batch_first=True"
        raise ShapeError(
            f"MultiheadAttention expected query of shape ({', '.join(names)}) with {self.embed_dim} features, key with "
            f"{self.kdim} and value with {self.vdim}, got {shapes[0]}, {shapes[1]} and {shapes[2]}; {fix}"
        )

    def extra_repr(self) -> str:
        """The sizes."""
        return f"{self.embed_dim}, {self.num_heads}, dropout={self.dropout}, batch_first={self.batch_first}"


def _as_mask(mask: Any) -> Any:
    return mask if isinstance(mask, Traced) else np.asarray(mask)
