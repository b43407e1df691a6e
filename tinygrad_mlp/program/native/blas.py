"""Matrix products from the BLAS that NumPy has loaded: its addresses, looked up in NumPy's own extension module.

Nothing is installed or linked for it, and threads are those that NumPy's products use.
"""

from __future__ import annotations

import ctypes
import functools
from dataclasses import dataclass

from .toolchain import numpy_extension

__all__ = ["Blas", "find_blas"]

# NumPy's wheels rename OpenBLAS' functions (scipy_ and 64_); other builds link a system BLAS under the plain names.
# 64_ and ILP64: sizes are 64-bit integers.
_NAMES = (
    ("scipy_cblas_{0}gemm64_", True),
    ("cblas_{0}gemm64_", True),
    ("cblas_{0}gemm$NEWLAPACK$ILP64", True),
    ("scipy_cblas_{0}gemm", False),
    ("cblas_{0}gemm$NEWLAPACK", False),
    ("cblas_{0}gemm", False),
)


@dataclass(frozen=True)
class Blas:
    """The addresses of ``cblas_sgemm`` and ``cblas_dgemm``, and whether they take 64-bit sizes."""

    sgemm: int
    dgemm: int
    wide: bool


@functools.cache
def find_blas() -> Blas | None:
    """NumPy's BLAS; None where NumPy was built without one, or it is hidden."""
    try:
        library = ctypes.CDLL(numpy_extension().__file__)
    except OSError:
        return None
    for name, wide in _NAMES:
        try:
            addresses = [
                ctypes.cast(getattr(library, name.format(letter)), ctypes.c_void_p).value for letter in ("s", "d")
            ]
        except AttributeError:
            continue
        single, double = addresses
        if single and double:
            return Blas(single, double, wide)
    return None
