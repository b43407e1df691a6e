"""Losses and targets that do not fit: what the engine's error cannot know, the loop can ask."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ArgumentError, DTypeError, ShapeError
from ..nn import CrossEntropyLoss
from ..tape import Array
from ..tensor import Tensor
from ..tree import flatten

__all__ = ["checked_inputs", "checked_targets", "compared"]

_WHICH = (
    "Is it a number to predict? loss='mse', one output, and y.reshape(-1, 1). "
    "Two classes? Two outputs and y.astype(int) of shape (n,); "
    "or one output, loss='binary_cross_entropy' and y.reshape(-1, 1)"
)


def checked_targets(y: Array) -> Array:
    """The targets, unless they are words.

    Raises:
        DTypeError: they are strings or other objects.
    """
    if y.dtype.kind in "USO":
        raise DTypeError(
            f"targets are numbers, got {_example(y)}; number the classes: "
            "names, y = np.unique(y, return_inverse=True), and names[predict(model, x).argmax(1)] turns them back"
        )
    return y


def checked_inputs(x: Any) -> None:
    """Refuse inputs that are words, or objects.

    Raises:
        DTypeError: they are.
    """
    for one in flatten(x)[0]:
        array = one.data if isinstance(one, Tensor) else one
        if array.dtype.kind in "USO":
            raise DTypeError(
                f"inputs are numbers, got {_example(array)}; turn words into numbers first, and give a table without "
                "its columns of words: table.drop(columns=['name'])"
            )


def _example(y: Array) -> str:
    return f"dtype {y.dtype}" + (
        f" such as {y.flat[0].item() if y.dtype.kind in 'US' else y.flat[0]!r}" if y.size else ""
    )


def compared(criterion: Any, outputs: Tensor, y: Any, targets: Array | None) -> Any:
    """``criterion(outputs, y)``; an error about class ids asks what was meant.

    Args:
        targets: those of the whole data set where they are at hand: one batch need not hold every class.

    Raises:
        ArgumentError: cross-entropy of a single output, which is 0 whatever the output. ShapeError, DTypeError,
        ArgumentError: those of the loss, with advice where its targets look like something else.
    """
    classes = isinstance(criterion, CrossEntropyLoss)
    if classes and outputs.ndim > 1 and outputs.shape[1] == 1:
        raise ArgumentError(f"cross_entropy chooses among two or more outputs, and the model has 1. {_WHICH}")
    try:
        return criterion(outputs, y)
    except (ArgumentError, DTypeError, ShapeError) as error:
        advice = _advice(outputs, np.asarray(getattr(y, "data", y)) if targets is None else targets) if classes else ""
        if not advice or "target - 1" in str(error):
            raise
        raise type(error)(f"{error}. {advice}") from None


def _advice(outputs: Tensor, y: Array) -> str:
    if y.dtype.kind == "f" and y.shape[1:] in {(), (1,)}:
        return _WHICH
    if y.dtype.kind in "iu" and y.size and outputs.ndim > 1 and (y.min(), y.max()) == (1, outputs.shape[1]):
        return f"Classes are counted from 0, and these labels run from 1 to {y.max()}: y - 1"
    return ""
