"""Methods and functions of torch that are the other one here, or have another order of arguments."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..errors import ArgumentError, DTypeError
from ..tape import Traced
from ..tensor import Tensor
from .common import both_names
from .elementwise import polygamma as _polygamma


@both_names
def clone(input: Any) -> Any:
    """A copy that passes gradients on."""
    return input.clone()


@both_names
def detach(input: Any) -> Any:
    """The same array, cut off from the graph."""
    return input.detach()


@both_names
def fill(input: Any, value: Any) -> Any:
    """``value``, a number or a 0-d tensor, in the shape and dtype of ``input``.

    Raises:
        ArgumentError: a value with axes.
    """
    if np.ndim(value.data if isinstance(value, Traced) else value):
        raise ArgumentError(f"fill: value is a number or a 0-d tensor, got shape {tuple(value.shape)}")
    return ops.where(np.ones(input.shape, bool), value, input.detach())


def polygamma(self: Any, n: int) -> Any:
    """The ``n``-th derivative of ``digamma``."""
    return _polygamma(n, self)


def view(self: Any, *sizes: Any, size: Any = None, dtype: Any = None) -> Any:
    """This tensor under another shape, one of whose sizes may be -1; or its bits read as another dtype.

    Raises:
        DTypeError: another dtype for a tensor that records gradients: bits have none.
    """
    if dtype is None and len(sizes) == 1 and isinstance(sizes[0], (np.dtype, type, str)):
        dtype = sizes[0]
    if dtype is None:
        return ops.reshape(self, *sizes, shape=size)
    if self.requires_grad and np.dtype(dtype) != self.dtype:
        raise DTypeError("view(dtype): the bits of a tensor carry no gradient; say x.detach().view(dtype)")
    return Tensor(self.data.view(dtype)) if np.dtype(dtype) != self.dtype else self
