"""Linear systems, determinants and factorisations of stacks of matrices.

The factors themselves carry no gradient. What people differentiate is made of them by :mod:`tinygrad_mlp.linalg`, which
writes each factorisation as the fixed point of an iteration that has converged.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import ArgumentError
from ..samples import System
from ..tape import Array
from . import batched
from .arithmetic import mul, neg
from .declare import primitive
from .linalg import _swap_last, product
from .shape import unsqueeze


def _solved(a: Any, b: Any) -> tuple[list[Any], Any]:
    """Solutions, row by row, and the product of the pivots, by elimination; for any kind of number."""
    rows = [[*left, *right] for left, right in zip(a, b, strict=True)]
    size, pivots = len(rows), 1
    for k in range(size):
        pivot = rows[k][k]
        pivots = pivots * pivot
        for i in range(k + 1, size):
            factor = rows[i][k] / pivot
            rows[i] = [one - factor * other for one, other in zip(rows[i], rows[k], strict=True)]
    for k in reversed(range(size)):
        rows[k] = [one / rows[k][k] for one in rows[k]]
        for i in range(k):
            factor = rows[i][k]
            rows[i] = [one - factor * other for one, other in zip(rows[i], rows[k], strict=True)]
    return [row[size:] for row in rows], pivots


def _for_each(np_: Any, a: Any, b: Any, pick: int) -> Any:
    stack = list(itertools.product(*map(range, a.shape[:-2])))
    found = [_solved(a[one].tolist() if hasattr(a[one], "tolist") else a[one], b[one].tolist())[pick] for one in stack]
    return np_.array(found).reshape(b.shape if pick == 0 else a.shape[:-2])


def _checked(function: Callable[..., Array], *arrays: Array) -> Array:
    # LAPACK knows no half precision.
    half = arrays[0].dtype == np.float16
    try:
        found = function(*[one.astype(np.float32) if half else one for one in arrays])
        return np.asarray(found, np.float16) if half else np.asarray(found)
    except np.linalg.LinAlgError as error:
        raise ArgumentError(
            f"{error}: of matrices of shape {arrays[0].shape}. A tiny multiple of the identity makes a matrix regular: "
            "a + 1e-6 * eye(n); pinv and lstsq take singular ones"
        ) from None


@primitive(
    vjp=(
        lambda g, a, y: neg(product(solve_square(_swap_last(a), g), _swap_last(y))),
        lambda g, a: solve_square(_swap_last(a), g),
    ),
    reference=lambda np, a, b: _for_each(np, a, b, 0),
    samples=System(right=True),
    latex=r"{0}^{{-1}}\,{1}",
    batch=batched.spread_out,
)
def solve_square(a: Array, b: Array) -> Array:
    """The ``x`` of ``a x = b``, for ``a`` (…, n, n) and ``b`` (…, n, k) of the same batch axes.

    Source of the gradients: Giles, "Collected matrix derivative results", 2008, section 2.3.
    """
    return _checked(np.linalg.solve, a, b) if b.size else np.zeros(b.shape, np.result_type(a, b))


@primitive(
    vjp=(lambda g, a: _log_det_rule(g, a),),
    reference=lambda np, a: np.log(_for_each(np, a, a, 1)),
    samples=System(),
    latex=r"\ln \lvert \det {0} \rvert",
    batch=batched.as_it_is,
)
def log_abs_det(a: Array) -> Array:
    """``log |det a|`` of matrices (…, n, n); -inf where a matrix is singular."""
    return _checked(lambda a: np.linalg.slogdet(a)[1], a)


def _log_det_rule(g: Any, a: Any) -> Any:
    size = a.shape[-1]
    unit = np.broadcast_to(np.eye(size, dtype=a.dtype), a.shape)
    return mul(unsqueeze(unsqueeze(g, g.ndim), g.ndim + 1), solve_square(_swap_last(a), unit))


def _packed_svd(a: Array) -> Array:
    u, s, vh = np.linalg.svd(a, full_matrices=False)
    return np.concatenate([u, np.swapaxes(vh, -1, -2), s[..., None, :]], -2)


def _packed_eigh(a: Array) -> Array:
    w, v = np.linalg.eigh(a)
    return np.concatenate([v, w[..., None, :]], -2)


def _packed_lu(a: Array) -> Array:
    """Elimination with row exchanges, by columns: NumPy has none that gives the factors."""
    *stack, m, n = a.shape
    rows = a.reshape(math.prod(a.shape[:-2]), m, n).copy()
    swaps = np.zeros((len(rows), m, 1), a.dtype)
    each = np.arange(len(rows))
    for k in range(min(m, n)):
        best = k + np.abs(rows[:, k:, k]).argmax(1)
        swaps[:, k, 0] = best + 1
        first, second = rows[:, k].copy(), rows[each, best].copy()
        rows[:, k], rows[each, best] = second, first
        pivot = rows[:, k, k]
        below = rows[:, k + 1 :, k]
        # A pivot of 0 is the largest of its column: nothing is left to eliminate.
        below /= np.where(pivot == 0, 1, pivot)[:, None]
        rows[:, k + 1 :, k + 1 :] -= below[:, :, None] * rows[:, k, None, k + 1 :]
    return np.concatenate([rows, swaps], -1).reshape(*stack, m, n + 1)


def _factor(a: Array, how: str) -> Array:
    if how == "svd":
        return _packed_svd(a)
    if how == "eigh":
        return _packed_eigh(a)
    if how == "sign of det":
        return np.asarray(np.linalg.slogdet(a)[0])
    if how == "cholesky":
        return np.linalg.cholesky(a)
    if how == "lu":
        return _packed_lu(a)
    return np.linalg.qr(a, mode="complete" if how == "qr complete" else "reduced")[0]


_HOWS = ("cholesky", "eigh", "lu", "qr", "qr complete", "sign of det", "svd")


@primitive(
    vjp=(None,),
    samples=System(params=tuple([(("how", how),) for how in _HOWS])),
    latex=r"\operatorname{{factors}}({0}, \text{{{how}}})",
    batch=batched.as_it_is,
)
def factors(a: Array, *, how: str) -> Array:
    """A factor of matrices (…, n, m), without gradient.

    ``L`` of Cholesky; ``Q`` of QR; ``L`` below and ``U`` above of LU, and in a last column the row, counted from 1,
    that each row was exchanged with; eigenvectors as columns and below them the eigenvalues; left singular vectors,
    below them the right ones, and below those the singular values; the sign of the determinant (…).
    """
    return _checked(lambda one: _factor(one, how), a)
