"""Keras' data sets, those that are here: each a module with ``load_data()``."""

from __future__ import annotations

from ..datasets import fashion_mnist, mnist

__all__ = ["fashion_mnist", "mnist"]
