"""Linear algebra as ``torch`` itself has it, where ``torch.linalg`` took the name for another meaning."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .. import ops
from . import matrices
from .common import both_names, data_of, floats, like

orgqr = matrices.householder_product


class OlderSVD(NamedTuple):
    """Singular vectors as columns on both sides, and singular values in falling order: ``A = U diag(S) V^T``."""

    U: Any
    S: Any
    V: Any


class Triangular(NamedTuple):
    """A solution, and the triangular matrix that was read."""

    solution: Any
    cloned_coefficient: Any


@both_names
def svd(input: Any, some: bool = True, compute_uv: bool = True) -> OlderSVD:
    """``A = U diag(S) V^T`` with V, not its transpose, as :func:`torch.svd` has it; see :func:`linalg.svd`.

    Args:
        some: only the columns that belong to a singular value. compute_uv: False leaves U and V at zero.
    """
    a = floats(input)
    if not compute_uv:
        m, n = a.shape[-2:]
        zeros = [like(a, np.zeros((*a.shape[:-2], size, size), a.dtype)) for size in (m, n)]
        return OlderSVD(zeros[0], matrices.svdvals(a), zeros[1])
    u, s, vh = matrices.svd(a, not some)
    return OlderSVD(u, s, ops.transpose(vh, -2, -1))


@both_names
def qr(input: Any, some: bool | str = True) -> matrices.QR:
    """An orthogonal Q and an upper triangular R; see :func:`linalg.qr`.

    Args:
        some: True for as many columns as Q needs, False for a square Q, or a ``mode`` of :func:`linalg.qr`.
    """
    return matrices.qr(input, some if isinstance(some, str) else "reduced" if some else "complete")


@both_names
def pinverse(input: Any, rcond: float = 1e-15) -> Any:
    """The pseudoinverse; singular values below ``rcond`` times the largest count as 0."""
    return matrices.pinv(input, rcond)


@both_names
def triangular_solve(
    b: Any, A: Any, upper: bool = True, transpose: bool = False, unitriangular: bool = False
) -> Triangular:
    """The X of ``A X = b`` for a triangular A, and A.

    Args:
        upper: which triangle is read. transpose: that of A in its place. unitriangular: ones on the diagonal.
    """
    a = floats(A)
    turned = ops.transpose(a, -2, -1) if transpose else a
    solution = matrices.solve_triangular(turned, b, upper=upper != transpose, unitriangular=unitriangular)
    return Triangular(solution, a)


@both_names
def lu(A: Any, pivot: bool = True, get_infos: bool = False) -> Any:
    """Both triangles in one matrix and the exchanges of rows, see :func:`linalg.lu_factor`; with ``get_infos`` three.

    Raises:
        ArgumentError: ``pivot=False``.
    """
    found = matrices.lu_factor_ex(A, pivot=pivot)
    return tuple(found) if get_infos else (found.LU, found.pivots)


@both_names
def lu_solve(b: Any, LU_data: Any, LU_pivots: Any) -> Any:
    """The X of ``A X = b``, given what :func:`lu` made of A."""
    return matrices.lu_solve(LU_data, data_of(LU_pivots), b)
