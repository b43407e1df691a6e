"""Which dtype a result has. The rules are PyTorch's, so that float32 stays float32.

* A Python number adopts the dtype of the tensor beside it.
* Between categories (boolean < integer < float) the higher category's dtype wins: an int64 tensor times a float32
  tensor is float32, not NumPy's float64.
* Within a category a tensor with axes wins over one without; otherwise the wider dtype wins.
* Where integers meet a function or a number that only floats can answer, they become the default dtype first.

Source: PyTorch documentation, "Tensor Attributes: type promotion"; NumPy Enhancement Proposal 50.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .errors import DTypeError

__all__ = ["common_dtype", "float_dtype_of", "get_default_dtype", "set_default_dtype"]

_DEFAULT: ContextVar[np.dtype[Any]] = ContextVar("default_dtype", default=np.dtype(np.float32))
_CATEGORY = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}


def get_default_dtype() -> np.dtype[Any]:
    """The dtype that Python floats and lists of them get; float32 unless :func:`set_default_dtype` said otherwise."""
    return _DEFAULT.get()


def set_default_dtype(dtype: DTypeLike) -> None:
    """Set the dtype that Python floats and lists of them get in this context (thread or asyncio task).

    Raises:
        DTypeError: ``dtype`` is not a floating-point dtype.
    """
    new = np.dtype(dtype)
    if new.kind != "f":
        raise DTypeError(f"the default dtype must be a float, got {new}; say set_default_dtype('float32')")
    _DEFAULT.set(new)


def common_dtype(a: NDArray[Any], b: NDArray[Any]) -> np.dtype[Any]:
    """The dtype in which two arrays of different dtypes meet."""
    rank_a, rank_b = _CATEGORY[a.dtype.kind], _CATEGORY[b.dtype.kind]
    if rank_a != rank_b:
        return a.dtype if rank_a > rank_b else b.dtype
    if (a.ndim == 0) != (b.ndim == 0):
        return a.dtype if b.ndim == 0 else b.dtype
    return np.promote_types(a.dtype, b.dtype)


def float_dtype_of(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """``dtype`` itself if it is a float (or complex), else the default dtype."""
    return dtype if dtype.kind in "fc" else _DEFAULT.get()
