"""Ctrl-C that never tears a step, and modes that come back however training ends."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Self

from ..nn import Module

__all__ = ["Interrupts", "modes_restored"]


@contextmanager
def modes_restored(model: Module) -> Iterator[None]:
    """Leave every module of the model in the mode it was in, however the block ends."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


class Interrupts:
    """Turn the first Ctrl-C into a question asked between two steps, so that no step is torn; the second breaks out.

    Where signals belong to somebody else (another thread, a handler of the user's own) nothing is changed.
    """

    pending = False
    _replaced = False

    def obey(self) -> None:
        """Raise KeyboardInterrupt if Ctrl-C was pressed."""
        if self.pending:
            raise KeyboardInterrupt

    def __enter__(self) -> Self:
        main = threading.current_thread() is threading.main_thread()
        if main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._note)
            self._replaced = True
        return self

    def __exit__(self, *_: object) -> None:
        if self._replaced:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.pending:
            signal.default_int_handler(number, frame)
        self.pending = True
