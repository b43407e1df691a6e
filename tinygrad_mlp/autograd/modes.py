"""Modes for finding mistakes. They cost time and memory, so they are switched on around the code in question."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from ..watch import checking

__all__ = ["detect_anomaly", "detect_writes"]


@contextmanager
def detect_anomaly() -> Iterator[None]:
    """Raise at the first op that makes a NaN or an infinity out of finite numbers, in the forward or backward pass.

    The error names the op, the index, the operands there, and the line of your program that ran the op, also where the
    backward pass is what failed. Run the forward pass *and* ``backward()`` inside the block. An infinity that you put
    in yourself, as a mask of ``-inf`` is, raises nothing. Values are kept as in ``record_values()``: several times the
    memory and time of a normal pass.

    Raises (inside the block):
        AnomalyError: the first such op.

    >>> from tinygrad_mlp import Tensor
    >>> x = Tensor([1.0, 0.0], requires_grad=True)
    >>> with detect_anomaly():
    ...     y = x.log()
    Traceback (most recent call last):
    ...
    tinygrad_mlp.errors.AnomalyError: forward: log gave -inf at [1] from finite operands (x = 0), at ...
    """
    # The error takes the place of NumPy's warnings, which name no line of the user's.
    with checking(finite=True), np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        yield


@contextmanager
def detect_writes() -> Iterator[None]:
    """Raise in the backward pass where a value that a rule needs was overwritten behind the library's back.

    Writes through the library (``x[...] = …``, ``optimizer.step()``) are always noticed. Writes through ``x.data``, a
    NumPy view or the array given to ``from_numpy`` are not, unless the op ran inside this block: then a checksum of
    every kept value is compared before its rule runs.

    Raises (in ``backward()``):
        ChangedValueError: the op whose value was overwritten, with the line that ran it.

    >>> from tinygrad_mlp import Tensor
    >>> x = Tensor([1.0, 2.0], requires_grad=True)
    >>> with detect_writes():
    ...     y = (x * x).sum()
    >>> x.data[0] = 5.0
    >>> y.backward()
    Traceback (most recent call last):
    ...
    tinygrad_mlp.errors.ChangedValueError: the gradient of mul needs a value of shape (2,) that was overwritten ...
    """
    with checking(sealed=True):
        yield
