"""Wrappers around parameters, under torch's names."""

from __future__ import annotations

from . import parametrizations, parametrize

__all__ = ["parametrizations", "parametrize"]
