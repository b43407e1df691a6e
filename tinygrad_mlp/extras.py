"""The one door to optional libraries: imported on first use, and missing ones name the extra to install."""

from __future__ import annotations

import importlib
from types import ModuleType

from .errors import MissingExtraError

__all__ = ["need"]


def need(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Import and return an optional module.

    Args:
        module: dotted name, for instance ``"matplotlib.pyplot"``.
        extra: the extra of this package that installs it, for instance ``"plot"``.
        purpose: what it is wanted for, as the end of the sentence "... is needed to".

    Raises:
        MissingExtraError: it is not installed; the message holds the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f'{module.partition(".")[0]} is needed to {purpose}: pip install "tinygrad-mlp[{extra}]"'
        ) from error
