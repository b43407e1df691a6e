"""Callbacks: what can be told about a run while it trains, and act on it. Names and hooks as in Keras."""

from __future__ import annotations

from .base import Callback, Callbacks, Logs

__all__ = ["Callback", "Callbacks", "Logs"]
