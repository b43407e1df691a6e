"""Limits under which tests run code that must not need more."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["recursion_limit"]


@contextmanager
def recursion_limit(limit: int) -> Iterator[None]:
    """Python's recursion limit, low enough that recursion over a graph would fail at once."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(limit)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)
