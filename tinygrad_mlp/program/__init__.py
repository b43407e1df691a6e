"""Captured steps: one run of a function becomes a :class:`Program`, which back ends run again without the function."""

from __future__ import annotations

from .compiled import Compiled, Runs, compile
from .ir import Program, Step, Value

__all__ = ["Compiled", "Program", "Runs", "Step", "Value", "compile"]
