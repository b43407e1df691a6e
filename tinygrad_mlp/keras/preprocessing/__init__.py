"""Where Keras keeps its helpers for sequences."""

from __future__ import annotations

from . import sequence

__all__ = ["sequence"]
