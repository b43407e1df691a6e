"""Batches for training: :class:`TensorDataset` holds arrays side by side, :class:`DataLoader` deals them out.

Names as in torch. What differs: the order of the samples is a function of (seed, epoch) and of nothing else, so an
interrupted run can go on with the batch that came next.
"""

from __future__ import annotations

from .datasets import Dataset, IterableDataset, TensorDataset
from .fetching import default_collate, sample_rng
from .loader import DataLoader

__all__ = ["DataLoader", "Dataset", "IterableDataset", "TensorDataset", "default_collate", "sample_rng"]
