"""Ctrl-C waits for the end of a step: parameters are those of before it or those of after it, never some of each."""

from __future__ import annotations

import threading

# The C functions themselves: what signal.signal puts around them costs as much as a small step.
from _signal import SIGINT, getsignal, signal  # type: ignore[import-not-found]
from types import FrameType
from typing import Any

__all__ = ["Held"]


class Held:
    """``with Held():`` a Ctrl-C that comes inside is obeyed on the way out, by whatever handler there was.

    Signals reach the main thread alone; elsewhere, and where Ctrl-C is ignored or ends the process, nothing is changed.
    """

    __slots__ = ("_before", "_came")

    def __init__(self) -> None:
        self._before: Any = None
        self._came: tuple[int, FrameType | None] | None = None

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            before = getsignal(SIGINT)
            if callable(before):
                # Known before it is replaced: from then on every Ctrl-C finds it here.
                self._before = before
                signal(SIGINT, self._note)

    def __exit__(self, *_: object) -> None:
        before = self._before
        if before is not None:
            signal(SIGINT, before)
            if self._came is not None:
                before(*self._came)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._came = number, frame
