"""Rows of a table, looked up by number: how words become vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ..dtypes import get_default_dtype
from ..errors import ArgumentError, ShapeError
from ..tensor import Tensor, generator
from . import init
from .functional import embedding, padding_row
from .module import Module, Parameter

__all__ = ["Embedding"]


class Embedding(Module):
    """A table of vectors, looked up by id: ids of any shape ``(…)`` give vectors ``(…, embedding_dim)``.

    The gradient of a row is the sum over all places where its id stands.

    Args:
        num_embeddings: how many rows; ids run from 0 to ``num_embeddings - 1``.
        embedding_dim: the length of each.
        padding_idx: the row of this id starts as zeros and is never trained; counted from the end if negative.
        max_norm: before each call, rows that are looked up and longer than this are shortened to it, in place.
        norm_type: which norm that is, 2 by default.
        scale_grad_by_freq: divide the gradient of a row by how often its id stands in the batch.
        sparse: not available; gradients are dense arrays here.
        rng, seed: for the initial values; fresh ones by default.
        dtype: of the weight; the default dtype unless given.

    Attributes:
        weight: ``(num_embeddings, embedding_dim)``, drawn from N(0, 1) as torch does.

    Raises:
        ArgumentError: a size that is not a positive integer, ``padding_idx`` outside the table, ``sparse=True``. When
            called: DTypeError for ids that are not integers; ArgumentError for an id outside the table, which names the
            id, its position and the size of the table; CaptureError for ``max_norm`` in a compiled step.

    >>> from tinygrad_mlp import nn
    >>> table = nn.Embedding(10, 3, padding_idx=0, seed=0)
    >>> table([[1, 2, 0], [4, 4, 0]]).shape
    (2, 3, 3)
    """

    weight: Tensor

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        *,
        rng: np.random.Generator | None = None,
        seed: int | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__()
        given: Any
        for name, given in (("num_embeddings", num_embeddings), ("embedding_dim", embedding_dim)):
            if isinstance(given, bool) or not isinstance(given, (int, np.integer)) or given < 1:
                raise ArgumentError(f"Embedding: {name} is a positive integer, got {given!r}; say Embedding(1000, 32)")
        self.sparse = sparse
        self.num_embeddings, self.embedding_dim = int(num_embeddings), int(embedding_dim)
        self.padding_idx = padding_row(padding_idx, self.num_embeddings)
        self.max_norm, self.norm_type, self.scale_grad_by_freq = max_norm, float(norm_type), bool(scale_grad_by_freq)
        self.weight = Parameter(np.empty((self.num_embeddings, self.embedding_dim), dtype or get_default_dtype()))
        init.normal_(self.weight, rng=generator(rng, seed))
        if self.padding_idx is not None:
            self.weight.data[self.padding_idx] = 0

    @classmethod
    def from_pretrained(
        cls,
        embeddings: ArrayLike | Tensor,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Embedding:
        """A layer whose table is a copy of ``embeddings (rows, dim)``, frozen unless ``freeze=False``.

        Raises:
            ShapeError: ``embeddings`` is no matrix.
        """
        table = Parameter(embeddings, requires_grad=not freeze)
        if table.ndim != 2:
            raise ShapeError(f"Embedding.from_pretrained takes a table (rows, dim), got shape {table.shape}")
        rows, width = table.shape
        layer = cls(
            rows, width, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse, seed=0, dtype=table.dtype
        )
        layer.weight = table
        return layer

    def forward(self, ids: Any) -> Any:
        """Ids ``(…)`` to vectors ``(…, embedding_dim)``."""
        return embedding(
            ids, self.weight, self.padding_idx, self.max_norm, self.norm_type, self.scale_grad_by_freq, self.sparse
        )

    def extra_repr(self) -> str:
        """The sizes, and the options that are not the defaults."""
        options = [f"{self.num_embeddings}, {self.embedding_dim}"]
        if self.padding_idx is not None:
            options.append(f"padding_idx={self.padding_idx}")
        if self.max_norm is not None:
            options.append(f"max_norm={self.max_norm}")
        if self.norm_type != 2.0:
            options.append(f"norm_type={self.norm_type}")
        if self.scale_grad_by_freq:
            options.append("scale_grad_by_freq=True")
        return ", ".join(options)
