"""Captured steps: one run of a function becomes a :class:`Program`, which back ends run again without the function."""

from __future__ import annotations

from .ir import Program, Step, Value

__all__ = ["Program", "Step", "Value"]
