"""Options are checked before anything is loaded or printed, and refused under their names on the command line."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from pathlib import Path

from ..errors import ArgumentError, did_you_mean

__all__ = ["check_choice", "check_count", "check_folder", "check_number", "check_validation"]


def check_count(option: str, value: int | None, *, least: int = 1) -> None:
    """A whole number from ``least``, where one is given.

    Raises:
        ArgumentError: it is smaller.
    """
    if value is not None and value < least:
        raise ArgumentError(f"{option} is a whole number from {least}, got {value}")


def check_number(option: str, value: float | None, *, low: float, high: float = math.inf, example: str) -> None:
    """A number of (low, high) where ``high`` is infinite, else of [low, high]; where one is given.

    Raises:
        ArgumentError: it lies outside.
    """
    if value is None:
        return
    open_ended = math.isinf(high)
    if open_ended and not low < value < high:
        raise ArgumentError(f"{option} is a number above {low:g}, got {value:g}; say {option} {example}")
    if not open_ended and not low <= value <= high:
        raise ArgumentError(f"{option} is a number from {low:g} to {high:g}, got {value:g}; say {option} {example}")


def check_choice(option: str, value: str | None, valid: Iterable[str]) -> None:
    """One of the names, where one is given.

    Raises:
        ArgumentError: another name; the message has the nearest and all of them.
    """
    names = list(valid)
    if value is not None and value.lower() not in names:
        raise ArgumentError(f"{option}: {did_you_mean(option.lstrip('-'), value, names)}")


def check_folder(option: str, folder: Path) -> None:
    """A folder that is there and can be written to, or that can be made.

    Raises:
        ArgumentError: neither.
    """
    nearest = next(one for one in (folder, *folder.absolute().parents) if one.exists())
    if not nearest.is_dir():
        raise ArgumentError(f"{option} {folder}: {nearest} is a file, not a folder; choose another folder")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise ArgumentError(f"{option} {folder}: {nearest} cannot be written to; choose another folder")


def check_validation(value: float | None) -> None:
    """A share below 1, or a whole number of samples; where one is given.

    Raises:
        ArgumentError: negative, not finite, or a broken number of samples.
    """
    if value is not None and not (0 <= value < 1 or (value >= 1 and math.isfinite(value) and value == int(value))):
        raise ArgumentError(
            f"--validation is a number of samples or a share below 1, got {value:g}; say --validation 0.1"
        )
