"""Helpers around layers, under torch's names."""

from __future__ import annotations

from . import rnn

__all__ = ["rnn"]
