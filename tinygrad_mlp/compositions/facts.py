"""Methods that torch's tensors have about themselves: sizes, dtypes, and new tensors of the same kind."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..errors import ArgumentError, ShapeError
from ..tape import Traced
from ..tensor import Tensor, full, ones, tensor, zeros
from .common import both_names, operand, sizes_of

__all__ = [
    "byte",
    "char",
    "contiguous",
    "cpu",
    "device",
    "dim",
    "element_size",
    "half",
    "is_contiguous",
    "is_floating_point",
    "is_nonzero",
    "is_same_size",
    "is_signed",
    "itemsize",
    "nbytes",
    "ndimension",
    "nelement",
    "new_empty",
    "new_full",
    "new_ones",
    "new_tensor",
    "new_zeros",
    "numel",
    "real",
    "short",
    "sum_to_size",
    "to",
    "type_as",
]


def dim(input: Any) -> int:
    """The number of axes, as ``ndim``."""
    return int(input.ndim)


ndimension = dim


@both_names
def numel(input: Any) -> int:
    """The number of elements, as ``size``."""
    return int(operand(input).size)


nelement = numel


def element_size(input: Any) -> int:
    """The bytes of an element."""
    return int(input.dtype.itemsize)


nbytes = property(lambda self: self.data.nbytes, doc="The bytes of the elements.")
itemsize = property(element_size, doc="The bytes of an element.")
device = property(lambda _: "cpu", doc="Where the elements are: there is one device.")
real = property(lambda self: self, doc="The tensor itself: there are no complex ones.")


@both_names
def is_floating_point(input: Any) -> bool:
    """Whether the elements are floating-point numbers."""
    return bool(operand(input).dtype.kind == "f")


@both_names
def is_signed(input: Any) -> bool:
    """Whether the elements can be negative."""
    return bool(operand(input).dtype.kind in "fi")


@both_names
def is_same_size(input: Any, other: Any) -> bool:
    """Whether both have the same shape."""
    return tuple(operand(input).shape) == tuple(operand(other).shape)


@both_names
def is_nonzero(input: Any) -> bool:
    """Whether the single element is not zero.

    Raises:
        ShapeError: more or fewer elements than one.
    """
    if operand(input).size != 1:
        raise ShapeError(f"is_nonzero: one element, got shape {tuple(operand(input).shape)}; any() or all() takes more")
    return bool(input)


def is_contiguous(input: Any) -> bool:
    """Whether the elements lie in memory in the order of their axes."""
    return bool(input.data.flags.c_contiguous)


def contiguous(input: Any) -> Any:
    """The same elements, in the order of their axes in memory: itself where they are."""
    if is_contiguous(input):
        return input
    return ops.reshape(ops.reshape(input, (-1,)), tuple(input.shape))


def cpu(input: Any) -> Any:
    """Itself: everything is there."""
    return input


def to(input: Any, *args: Any, dtype: Any = None, device: Any = None, copy: bool = False, **_: Any) -> Any:
    """The tensor in another dtype; itself where it has that already and no copy is asked for.

    Args:
        args: a dtype, a tensor whose dtype is taken, or ``"cpu"``.

    Raises:
        ArgumentError: another device.
    """
    for one in args:
        if isinstance(one, bool):
            continue
        if isinstance(one, Traced):
            dtype = one.data.dtype
        elif isinstance(one, str) and (one in {"cpu", "meta"} or one.startswith(("cuda", "mps", "xpu"))):
            device = one
        else:
            dtype = one
    if device not in {None, "cpu"} and str(device) != "cpu":
        raise ArgumentError(f"to: there is one device, 'cpu', got {device!r}")
    if dtype is not None and np.dtype(dtype) != input.dtype:
        return input.astype(dtype)
    return input.clone() if copy else input


@both_names
def type_as(input: Any, other: Any) -> Any:
    """The tensor in the dtype of ``other``."""
    return to(input, dtype=other.dtype)


def half(input: Any) -> Any:
    """As float16."""
    return to(input, dtype=np.float16)


def short(input: Any) -> Any:
    """As int16, rounded towards zero."""
    return to(input, dtype=np.int16)


def char(input: Any) -> Any:
    """As int8, rounded towards zero."""
    return to(input, dtype=np.int8)


def byte(input: Any) -> Any:
    """As uint8, rounded towards zero."""
    return to(input, dtype=np.uint8)


def new_tensor(input: Any, data: Any, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """``data`` as a tensor of the dtype of this one."""
    return tensor(data, dtype=input.dtype if dtype is None else dtype, requires_grad=requires_grad)


def new_zeros(input: Any, *sizes: Any, size: Any = None, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Zeros of a shape, of the dtype of this tensor."""
    return zeros(
        *sizes_of(sizes if size is None else (size,)),
        dtype=input.dtype if dtype is None else dtype,
        requires_grad=requires_grad,
    )


def new_ones(input: Any, *sizes: Any, size: Any = None, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Ones of a shape, of the dtype of this tensor."""
    return ones(
        *sizes_of(sizes if size is None else (size,)),
        dtype=input.dtype if dtype is None else dtype,
        requires_grad=requires_grad,
    )


def new_empty(input: Any, *sizes: Any, size: Any = None, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Zeros, as :func:`empty` gives them, of the dtype of this tensor."""
    return new_zeros(input, *sizes, size=size, dtype=dtype, requires_grad=requires_grad)


def new_full(input: Any, size: Any, fill_value: Any, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """One number everywhere, of the dtype of this tensor."""
    return full(
        sizes_of((size,)), fill_value, dtype=input.dtype if dtype is None else dtype, requires_grad=requires_grad
    )


def sum_to_size(input: Any, *sizes: Any, size: Any = None) -> Any:
    """The sums over the axes that broadcasting from ``size`` to this shape would repeat.

    Raises:
        ShapeError: a size that does not broadcast to this shape.
    """
    wanted, shape = sizes_of(sizes if size is None else (size,)), tuple(input.shape)
    front = len(shape) - len(wanted)
    fits = front >= 0 and all(a in {1, b} for a, b in zip(wanted, shape[max(front, 0) :], strict=False))
    if not fits:
        raise ShapeError(f"sum_to_size: {wanted} does not broadcast to {shape}")
    axes = [*range(front), *[front + i for i, n in enumerate(wanted) if n == 1 != shape[front + i]]]
    if not shape:
        # A sum of one, as torch has it: a boolean becomes a count.
        return ops.sum(input)
    return ops.reshape(ops.sum(input, tuple(axes), True), wanted) if axes else input
