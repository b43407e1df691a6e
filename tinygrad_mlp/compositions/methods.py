"""Methods of Tensor by torch's names that are no functions of torch: conversions, questions, tensors like this one."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..errors import ArgumentError, DTypeError
from ..tape import Traced
from ..tensor import Tensor, full, ones, tensor, zeros
from .common import both_names, sizes_of
from .elementwise import is_complex, is_floating_point, is_nonzero, is_same_size, is_signed, numel
from .elementwise import polygamma as _polygamma

__all__ = ["is_complex", "is_floating_point", "is_nonzero", "is_same_size", "is_signed", "numel"]

nelement = numel


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


def dim(self: Any) -> int:
    """The number of axes."""
    return int(self.ndim)


ndimension = dim


def element_size(self: Any) -> int:
    """The bytes of an element."""
    return int(self.dtype.itemsize)


def contiguous(self: Any) -> Any:
    """This tensor: how its memory is laid out is NumPy's business."""
    return self


def is_contiguous(self: Any) -> bool:
    """Whether the elements lie in memory in the order of their indices."""
    return bool(self.data.flags.c_contiguous)


def cpu(self: Any) -> Any:
    """This tensor: there is one device."""
    return self


def short(self: Any) -> Any:
    """As int16, rounded towards zero."""
    return self.astype(np.int16)


def byte(self: Any) -> Any:
    """As uint8, rounded towards zero."""
    return self.astype(np.uint8)


def half(self: Any) -> Any:
    """As float16."""
    return self.astype(np.float16)


def to(
    self: Any, *target: Any, dtype: Any = None, device: Any = None, non_blocking: bool = False, copy: bool = False
) -> Any:
    """This tensor in another dtype, given as such or as that of another tensor; itself where it has it.

    Args:
        target: a dtype, a tensor, or the device ``"cpu"``, the only one, and a dtype after it; then torch's
            ``non_blocking``, which has no meaning here, and ``copy``. copy: a new tensor in any case.

    Raises:
        ArgumentError: another device.
    """
    del non_blocking
    flags = [one for one in target if isinstance(one, bool)]
    copy = copy or (len(flags) > 1 and flags[1])
    for one in [*target[: len(target) - len(flags)], device]:
        if isinstance(one, Traced):
            dtype = one.data.dtype
        elif isinstance(one, str) and one.partition(":")[0] in {"cpu", "cuda", "mps", "meta", "xpu"}:
            if one.partition(":")[0] != "cpu":
                raise ArgumentError(f"to: there is one device, 'cpu', got {one!r}")
        elif one is not None:
            dtype = one
    same = dtype is None or self.dtype == np.dtype(dtype)
    return (self.clone() if copy else self) if same else self.astype(dtype)


@both_names
def type_as(self: Any, other: Any) -> Any:
    """This tensor in the dtype of another."""
    return self if self.dtype == other.dtype else self.astype(other.dtype)


def new_tensor(self: Any, data: Any, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """``data`` as a tensor of this one's dtype."""
    return tensor(data, dtype=self.dtype if dtype is None else dtype, requires_grad=requires_grad)


def new_zeros(self: Any, *sizes: Any, size: Any = None, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Zeros of a shape and of this tensor's dtype."""
    shape = sizes_of(sizes if size is None else (size,))
    return zeros(shape, dtype=self.dtype if dtype is None else dtype, requires_grad=requires_grad)


new_empty = new_zeros


def new_ones(self: Any, *sizes: Any, size: Any = None, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Ones of a shape and of this tensor's dtype."""
    shape = sizes_of(sizes if size is None else (size,))
    return ones(shape, dtype=self.dtype if dtype is None else dtype, requires_grad=requires_grad)


def new_full(self: Any, size: Any, fill_value: Any, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """One number in a shape and in this tensor's dtype."""
    return full(size, fill_value, dtype=self.dtype if dtype is None else dtype, requires_grad=requires_grad)


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
