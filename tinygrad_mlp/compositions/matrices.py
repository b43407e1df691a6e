"""Products of vectors and matrices, and linear algebra by PyTorch's names.

A factorisation starts from NumPy's factors, which carry no gradient, and takes two steps of a Newton iteration whose
fixed point it is. The value stays what it was, up to rounding; the derivatives of the steps are those of the factors,
exact up to the third order, because each step doubles the order that is right.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from .. import ops
from ..errors import ArgumentError, ShapeError
from ..ops.arithmetic import square
from ..tensor import Tensor
from .common import both_names, data_of, floats, like, normalise_axis, operand
from .elementwise import constant, reciprocal
from .indexing import take_along
from .reductions import p_norm
from .shapes import diagonal as diagonal_of
from .shapes import movedim, tril, triu, vander

outer, matmul, einsum = ops.outer, ops.matmul, ops.einsum
ger = ops.outer


class SlogDet(NamedTuple):
    """The sign of the determinant and the logarithm of its magnitude."""

    sign: Any
    logabsdet: Any


class QR(NamedTuple):
    """An orthogonal and a triangular factor."""

    Q: Any
    R: Any


class Eigh(NamedTuple):
    """Eigenvalues in rising order and eigenvectors as columns."""

    eigenvalues: Any
    eigenvectors: Any


class SVD(NamedTuple):
    """Singular vectors, singular values in falling order, singular vectors of the other side."""

    U: Any
    S: Any
    Vh: Any


class LU(NamedTuple):
    """A permutation, a lower triangle with ones on its diagonal, and an upper triangle: ``A = P L U``."""

    P: Any
    L: Any
    U: Any


class LUFactor(NamedTuple):
    """Both triangles in one matrix, and the row, counted from 1, that each row was exchanged with."""

    LU: Any
    pivots: Any


class LUFactorEx(NamedTuple):
    """:class:`LUFactor`, and for each matrix 0 or the number of the first pivot that is 0."""

    LU: Any
    pivots: Any
    info: Any


class InvEx(NamedTuple):
    """The inverse, and for each matrix 0 or the number of the first pivot that is 0."""

    inverse: Any
    info: Any


class SolveEx(NamedTuple):
    """The solution, and for each matrix 0 or the number of the first pivot that is 0."""

    result: Any
    info: Any


class CholeskyEx(NamedTuple):
    """The factor, and for each matrix 0 or the order of the first leading minor that is not positive."""

    L: Any
    info: Any


class Lstsq(NamedTuple):
    """What least squares gives."""

    solution: Any
    residuals: Any
    rank: Any
    singular_values: Any


# --- products ---


def _vectors(name: str, a: Any, b: Any) -> None:
    if operand(a).ndim != 1 or operand(b).ndim != 1:
        raise ShapeError(f"{name}: two vectors, got {tuple(operand(a).shape)} and {tuple(operand(b).shape)}")


@both_names
def dot(input: Any, tensor: Any) -> Any:
    """The inner product of two vectors.

    Raises:
        ShapeError: anything but vectors of one length.
    """
    _vectors("dot", input, tensor)
    return ops.matmul(input, tensor)


@both_names
def vdot(input: Any, other: Any) -> Any:
    """The inner product of two vectors; see :func:`dot`."""
    _vectors("vdot", input, other)
    return ops.matmul(input, other)


def _axes_are(name: str, *pairs: tuple[Any, int]) -> None:
    for value, axes in pairs:
        if operand(value).ndim != axes:
            kind = {1: "a vector", 2: "a matrix", 3: "a stack of matrices"}[axes]
            raise ShapeError(f"{name}: expected {kind}, got shape {tuple(operand(value).shape)}")


@both_names
def mv(input: Any, vec: Any) -> Any:
    """A matrix times a vector."""
    _axes_are("mv", (input, 2), (vec, 1))
    return ops.matmul(input, vec)


@both_names
def mm(input: Any, mat2: Any) -> Any:
    """A matrix times a matrix."""
    _axes_are("mm", (input, 2), (mat2, 2))
    return ops.matmul(input, mat2)


@both_names
def bmm(input: Any, mat2: Any) -> Any:
    """Matrices times matrices, in stacks of one length."""
    _axes_are("bmm", (input, 3), (mat2, 3))
    return ops.matmul(input, mat2)


def _plus(input: Any, product: Any, beta: Any, alpha: Any) -> Any:
    product = product if alpha == 1 else ops.mul(product, alpha)
    if beta == 0:
        return product
    return ops.add(input if beta == 1 else ops.mul(input, beta), product)


@both_names
def addmm(input: Any, mat1: Any, mat2: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """``beta * input + alpha * (mat1 @ mat2)``."""
    return _plus(input, mm(mat1, mat2), beta, alpha)


@both_names
def addmv(input: Any, mat: Any, vec: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """``beta * input + alpha * (mat @ vec)``."""
    return _plus(input, mv(mat, vec), beta, alpha)


@both_names
def addr(input: Any, vec1: Any, vec2: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """``beta * input + alpha * outer(vec1, vec2)``."""
    return _plus(input, ops.outer(vec1, vec2), beta, alpha)


@both_names
def baddbmm(input: Any, batch1: Any, batch2: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """``beta * input + alpha * (batch1 @ batch2)`` for stacks."""
    return _plus(input, bmm(batch1, batch2), beta, alpha)


@both_names
def addbmm(input: Any, batch1: Any, batch2: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """``beta * input + alpha * (the sum of batch1 @ batch2 over the stack)``."""
    return _plus(input, ops.sum(bmm(batch1, batch2), 0), beta, alpha)


@both_names
def inner(input: Any, other: Any) -> Any:
    """The sum of products over the last axes of both."""
    a, b = operand(input), operand(other)
    if a.ndim == 0 or b.ndim == 0:
        return ops.mul(a, b)
    return tensordot(a, b, ([a.ndim - 1], [b.ndim - 1]))


@both_names
def tensordot(a: Any, b: Any, dims: Any = 2) -> Any:
    """The sum of products over axes: the last ``dims`` of ``a`` and first of ``b``, or the two lists given."""
    a, b = operand(a), operand(b)
    if isinstance(dims, (int, np.integer)):
        left, right = [*range(a.ndim - int(dims), a.ndim)], [*range(int(dims))]
    else:
        left, right = ([int(one)] if np.ndim(one) == 0 else [int(i) for i in one] for one in dims)
    left, right = [normalise_axis(i, a.ndim) for i in left], [normalise_axis(i, b.ndim) for i in right]
    for i, j in zip(left, right, strict=False):
        # As torch has it: against an axis of length 1 the other is summed up.
        if a.shape[i] == 1 != b.shape[j]:
            b = ops.sum(b, j, True)
        elif b.shape[j] == 1 != a.shape[i]:
            a = ops.sum(a, i, True)
    if [a.shape[i] for i in left] != [b.shape[i] for i in right]:
        raise ShapeError(f"tensordot: axes {left} of {tuple(a.shape)} and {right} of {tuple(b.shape)} differ in length")
    rest_a, rest_b = [i for i in range(a.ndim) if i not in left], [i for i in range(b.ndim) if i not in right]
    length = math.prod(a.shape[i] for i in left)
    rows, columns = math.prod(a.shape[i] for i in rest_a), math.prod(b.shape[i] for i in rest_b)
    product = ops.matmul(
        ops.reshape(ops.permute(a, (*rest_a, *left)), (rows, length)),
        ops.reshape(ops.permute(b, (*right, *rest_b)), (length, columns)),
    )
    return ops.reshape(product, (*[a.shape[i] for i in rest_a], *[b.shape[i] for i in rest_b]))


@both_names
def kron(input: Any, other: Any) -> Any:
    """Kronecker's product: every element of ``input`` times the whole of ``other``."""
    a, b = operand(input), operand(other)
    rank = max(a.ndim, b.ndim)
    left, right = ((1,) * (rank - one.ndim) + tuple(one.shape) for one in (a, b))
    wide = tuple(n for size in left for n in (size, 1))
    tall = tuple(n for size in right for n in (1, size))
    return ops.reshape(
        ops.mul(ops.reshape(a, wide), ops.reshape(b, tall)), tuple(m * n for m, n in zip(left, right, strict=True))
    )


@both_names
def cross(input: Any, other: Any, dim: int | None = None) -> Any:
    """The cross product of vectors of three elements along ``dim``, by default the first axis of that length."""
    a, b = operand(input), operand(other)
    shape = np.broadcast_shapes(a.shape, b.shape)
    a, b = ops.expand(a, shape), ops.expand(b, shape)
    place = next((i for i, n in enumerate(shape) if n == 3), None) if dim is None else normalise_axis(dim, len(shape))
    if place is None or shape[place] != 3:
        raise ShapeError(f"cross: an axis of length 3, got shape {shape}")
    before = (slice(None),) * place

    def turned(x: Any, by: int) -> Any:
        return ops.getitem(x, (*before, np.array([by % 3, (by + 1) % 3, (by + 2) % 3])))

    return ops.sub(ops.mul(turned(a, 1), turned(b, 2)), ops.mul(turned(a, 2), turned(b, 1)))


@both_names
def multi_dot(tensors: Any) -> Any:
    """The product of several matrices; the first and the last may be vectors."""
    found = tensors[0]
    for one in tensors[1:]:
        found = ops.matmul(found, one)
    return found


@both_names
def chain_matmul(*matrices: Any) -> Any:
    """The product of several matrices."""
    return multi_dot(matrices)


@both_names
def vecdot(x: Any, y: Any, *, dim: int = -1) -> Any:
    """The inner products of vectors along ``dim``."""
    return ops.sum(ops.mul(x, y), dim)


# --- systems and determinants ---


def _square(x: Any, name: str) -> Any:
    x = floats(x)
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise ShapeError(f"{name}: expected square matrices (…, n, n), got {tuple(x.shape)}")
    return x


def _mt(x: Any) -> Any:
    return ops.transpose(x, -2, -1)


def _eye(n: int, like_this: Any) -> Any:
    return np.eye(n, dtype=like_this.dtype)


@both_names
def solve(A: Any, B: Any, *, left: bool = True) -> Any:
    """The X of ``A X = B`` (``X A = B`` for ``left=False``), for A (…, n, n) and B (…, n), (n,) or (…, n, k).

    Raises:
        ShapeError: not square, or of another length. ArgumentError: singular.
    """
    a, b = ops.same_dtype(_square(A, "solve"), floats(B))
    vector = b.ndim == 1 or (b.ndim == a.ndim - 1 and tuple(b.shape) == tuple(a.shape[:-1]))
    if vector:
        b = ops.unsqueeze(b, -1)
    if not left:
        return _mt(solve(_mt(a), _mt(b)))
    if a.shape[-1] != b.shape[-2]:
        raise ShapeError(f"solve: {tuple(a.shape)} and {tuple(b.shape)} differ in the number of rows")
    stack = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    x = ops.solve_square(_spread(a, stack), _spread(b, stack))
    return ops.reshape(x, tuple(x.shape[:-1])) if vector else x


def _spread(x: Any, stack: tuple[int, ...]) -> Any:
    shape = (*stack, *x.shape[-2:])
    return x if tuple(x.shape) == shape else ops.expand(x, shape)


@both_names
def inv(A: Any) -> Any:
    """The inverse of square matrices.

    Raises:
        ArgumentError: singular.
    """
    a = _square(A, "inv")
    return solve(a, np.broadcast_to(_eye(a.shape[-1], a), a.shape))


inverse = inv


@both_names
def solve_triangular(A: Any, B: Any, *, upper: bool, left: bool = True, unitriangular: bool = False) -> Any:
    """:func:`solve` that reads only a triangle of ``A``."""
    a = triu(A) if upper else tril(A)
    if unitriangular:
        size = a.shape[-1]
        a = ops.where(np.eye(size, dtype=bool), 1.0, a)
    return solve(a, B, left=left)


@both_names
def slogdet(A: Any) -> SlogDet:
    """The sign of the determinant, without gradient, and the logarithm of its magnitude."""
    a = _square(A, "slogdet")
    return SlogDet(ops.factors(a, how="sign of det"), ops.log_abs_det(a))


@both_names
def logdet(A: Any) -> Any:
    """The logarithm of the determinant; NaN where it is negative."""
    found = slogdet(A)
    return ops.where(ops.lt(found.sign, 0.0), math.nan, found.logabsdet)


@both_names
def det(A: Any) -> Any:
    """The determinant, by expansion along the rows up to size 3, else from singular values where it is 0."""
    a = _square(A, "det")
    n = a.shape[-1]

    def at(i: int, j: int) -> Any:
        return ops.getitem(a, (..., i, j))

    if n == 1:
        return at(0, 0)
    if n == 2:
        return ops.sub(ops.mul(at(0, 0), at(1, 1)), ops.mul(at(0, 1), at(1, 0)))
    if n == 3:
        rows = [ops.getitem(a, (..., i, slice(None))) for i in range(3)]
        return ops.sum(ops.mul(rows[0], cross(rows[1], rows[2], -1)), -1)
    numbers = data_of(a, "det()")
    if (np.linalg.slogdet(numbers)[0] == 0).any():
        u, s, vh = svd(a, full_matrices=False)
        sign = np.linalg.det(data_of(u)) * np.linalg.det(data_of(vh))
        return ops.mul(ops.prod(s, -1), np.rint(sign).astype(a.dtype))
    found = slogdet(a)
    return ops.mul(found.sign, ops.exp(found.logabsdet))


@both_names
def matrix_power(A: Any, n: int) -> Any:
    """The product of ``n`` times the matrix; of a negative ``n`` that of its inverse."""
    a = _square(A, "matrix_power")
    if n < 0:
        return matrix_power(inv(a), -n)
    found: Any = None
    while n:
        if n & 1:
            found = a if found is None else ops.matmul(found, a)
        n >>= 1
        a = ops.matmul(a, a) if n else a
    return like(a, np.broadcast_to(_eye(a.shape[-1], a), a.shape).copy()) if found is None else found


@both_names
def matrix_exp(A: Any) -> Any:
    """The matrix exponential: scaled down, its power series, and squared again."""
    a = _square(A, "matrix_exp")
    size = float(np.abs(data_of(a, "matrix_exp()")).sum(-1).max(initial=0.0))
    halvings = max(math.ceil(math.log2(size)) + 2, 0) if size > 0 else 0
    x = ops.mul(a, 0.5**halvings)
    unit = _eye(a.shape[-1], a)
    total: Any = unit
    for k in range(18, 0, -1):
        total = ops.add(ops.mul(ops.matmul(x, total), 1.0 / k), unit)
    for _ in range(halvings):
        total = ops.matmul(total, total)
    return total


# --- factorisations ---

_STEPS = 2


def _symmetric(a: Any) -> Any:
    return ops.mul(ops.add(a, _mt(a)), 0.5)


def _read_symmetric(a: Any, upper: bool) -> Any:
    """The symmetric matrix of one triangle; its gradient is symmetric, as torch's is, half of it for each triangle."""
    triangle = triu(a, 1) if upper else tril(a, -1)
    read = ops.add(ops.add(triangle, _mt(triangle)), ops.mul(a, _eye(a.shape[-1], a)))
    mean = _symmetric(a)
    return ops.add(mean, constant(ops.sub(read, mean)))


def _lower_half(x: Any) -> Any:
    return ops.sub(tril(x), ops.mul(x, 0.5 * _eye(x.shape[-1], x)))


@both_names
def cholesky(A: Any, upper: bool = False) -> Any:
    """The triangular L of ``A = L L^T`` for symmetric positive definite matrices.

    Raises:
        ArgumentError: not positive definite.

    Source of the gradient: Murray, "Differentiation of the Cholesky decomposition", 2016.
    """
    a = _square(A, "cholesky")
    whole = _read_symmetric(a, upper)
    factor = ops.factors(whole, how="cholesky")
    for _ in range(_STEPS):
        rest = ops.solve_square(factor, _mt(ops.solve_square(factor, whole)))
        factor = ops.matmul(factor, _lower_half(ops.add(_symmetric(rest), _eye(a.shape[-1], a))))
    factor = tril(factor)
    return _mt(factor) if upper else factor


@both_names(input2="L")
def cholesky_solve(B: Any, L: Any, upper: bool = False) -> Any:
    """The X of ``A X = B``, given the Cholesky factor of A."""
    lower = _mt(L) if upper else L
    return solve(_mt(lower), solve(lower, B))


@both_names
def cholesky_inverse(L: Any, upper: bool = False) -> Any:
    """The inverse of a matrix, given its Cholesky factor."""
    l = floats(L)
    return cholesky_solve(np.broadcast_to(_eye(l.shape[-1], l), l.shape), l, upper)


@both_names
def qr(A: Any, mode: str = "reduced") -> QR:
    """An orthogonal Q and an upper triangular R with ``A = Q R``; gradients where A has full column rank.

    Args:
        mode: ``"reduced"``, ``"complete"`` or ``"r"``.
    """
    if mode not in {"reduced", "complete", "r"}:
        raise ArgumentError(f"qr: mode is 'reduced', 'complete' or 'r', got {mode!r}")
    a = floats(A)
    q = ops.factors(a, how="qr complete" if mode == "complete" else "qr")
    if a.shape[-2] < a.shape[-1]:
        # Wide: the left square decides Q, and R follows for all columns.
        square_part = ops.getitem(a, (..., slice(0, a.shape[-2])))
        q = _polished_q(square_part, q)
    elif mode == "complete" and a.shape[-2] > a.shape[-1]:
        r = ops.matmul(_mt(q), a)
        return QR(q, triu(r))
    else:
        q = _polished_q(a, q)
    r = triu(ops.matmul(_mt(q), a))
    return QR(like(a, np.empty(0, a.dtype)) if mode == "r" else q, r)


def _polished_q(a: Any, q: Any) -> Any:
    unit = _eye(a.shape[-1], a)
    for _ in range(_STEPS):
        r = triu(ops.matmul(_mt(q), a))
        # A R^-1 should have orthonormal columns: Cholesky's factor of its square is close to the identity.
        basis = _mt(ops.solve_square(_mt(r), _mt(a)))
        defect = ops.sub(ops.matmul(_mt(basis), basis), unit)
        correction = ops.add(unit, _mt(_lower_half(defect)))
        q = _mt(ops.solve_square(_mt(correction), _mt(basis)))
    return q


def _gaps(w: Any) -> Any:
    """``1 / (w_j - w_i)``; 0 on the diagonal and between equal values."""
    apart = ops.sub(ops.unsqueeze(w, -2), ops.unsqueeze(w, -1))
    scale: Any = ops.unsqueeze(ops.amax(ops.abs(w), -1, True), -1) if w.size else 1.0
    close = ops.le(ops.abs(apart), ops.mul(scale, 4 * float(np.finfo(w.dtype).eps)))
    return ops.where(close, 0.0, reciprocal(ops.where(close, 1.0, apart)))


@both_names
def eigh(A: Any, UPLO: str = "L") -> Eigh:
    """Eigenvalues, rising, and eigenvectors of symmetric matrices, of which the triangle ``UPLO`` is read.

    The gradient of eigenvectors exists where eigenvalues differ; between equal ones it is taken as 0.
    """
    a = _square(A, "eigh")
    a = _read_symmetric(a, UPLO.upper() == "U")
    packed = ops.factors(a, how="eigh")
    size = a.shape[-1]
    w, v = ops.getitem(packed, (..., size, slice(None))), ops.getitem(packed, (..., slice(0, size), slice(None)))
    for _ in range(_STEPS):
        inside = ops.matmul(_mt(v), ops.matmul(a, v))
        lengths = ops.matmul(_mt(v), v)
        w = ops.div(diagonal_of(inside, 0, -2, -1), diagonal_of(lengths, 0, -2, -1))
        # The rotation that makes V^T A V diagonal, and what keeps V orthonormal, to first order.
        off = ops.sub(inside, ops.mul(lengths, ops.unsqueeze(w, -2)))
        turned = ops.mul(off, _gaps(w))
        slack = ops.mul(ops.sub(lengths, _eye(size, a)), 0.5)
        diagonal = ops.mul(slack, _eye(size, a))
        v = ops.matmul(v, ops.sub(ops.add(turned, _eye(size, a)), diagonal))
    inside = ops.matmul(_mt(v), ops.matmul(a, v))
    lengths = diagonal_of(ops.matmul(_mt(v), v), 0, -2, -1)
    return Eigh(ops.div(diagonal_of(inside, 0, -2, -1), lengths), v)


@both_names
def eigvalsh(A: Any, UPLO: str = "L") -> Any:
    """The eigenvalues of symmetric matrices, rising."""
    return eigh(A, UPLO).eigenvalues


@both_names
def svd(A: Any, full_matrices: bool = True, *, driver: str | None = None) -> SVD:
    """``A = U diag(S) Vh`` with singular values falling; gradients for matrices of full rank with different values.

    Full matrices beyond the reduced ones carry no gradient; there is one driver.
    """
    del driver
    a = floats(A)
    m, n = a.shape[-2:]
    k = min(m, n)
    if m < n:
        u, s, vh = svd(_mt(a), full_matrices)
        return SVD(_mt(vh), s, _mt(u))
    packed = ops.factors(a, how="svd")
    u0 = ops.getitem(packed, (..., slice(0, m), slice(None)))
    v = ops.getitem(packed, (..., slice(m, m + n), slice(None)))
    # V and S**2 are those of A^T A; U follows, column by column.
    u = u0
    s = ops.getitem(packed, (..., m + n, slice(None)))
    for _ in range(_STEPS):
        b = ops.matmul(a, v)
        s = diagonal_of(ops.matmul(_mt(u), b), 0, -2, -1)
        inside, lengths = ops.matmul(_mt(b), b), ops.matmul(_mt(v), v)
        values = ops.div(diagonal_of(inside, 0, -2, -1), diagonal_of(lengths, 0, -2, -1))
        off = ops.sub(inside, ops.mul(lengths, ops.unsqueeze(values, -2)))
        diagonal = ops.mul(ops.mul(ops.sub(lengths, _eye(k, a)), 0.5), _eye(k, a))
        v = ops.matmul(v, ops.sub(ops.add(ops.mul(off, _gaps(values)), _eye(k, a)), diagonal))
        b = ops.matmul(a, v)
        total = ops.sum(square(b), -2)
        zero = ops.eq(total, 0.0)
        # At 0, a kink, the derivative is 0.
        safe = ops.sqrt(ops.where(zero, 1.0, total))
        s = ops.where(zero, 0.0, safe)
        u = ops.where(ops.unsqueeze(zero, -2), u0, ops.div(b, ops.unsqueeze(safe, -2)))
    if full_matrices and m > n:
        rest = np.linalg.svd(data_of(a), full_matrices=True)[0][..., n:]
        u = ops.cat([u, rest], -1)
    return SVD(u, s, _mt(v))


@both_names
def svdvals(A: Any, *, driver: str | None = None) -> Any:
    """The singular values, falling; there is one driver."""
    del driver
    return svd(A, False).S


@both_names
def matrix_rank(A: Any, tol: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None) -> Any:
    """The number of singular values above a bound; no gradient."""
    del hermitian
    numbers = data_of(A, "matrix_rank()")
    bound = atol if atol is not None else tol
    s = np.linalg.svd(numbers, compute_uv=False)
    largest = s.max(-1, keepdims=True, initial=0.0)
    usual = max(numbers.shape[-2:]) * np.finfo(s.dtype).eps if bound is None else 0.0
    relative = np.asarray(usual if rtol is None else data_of(rtol))[..., None]
    limit = np.maximum(np.asarray(0.0 if bound is None else data_of(bound))[..., None], relative * largest)
    return like(A, np.asarray((s > limit).sum(-1), np.int64))


@both_names
def pinv(A: Any, rcond: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None) -> Any:
    """The pseudoinverse of Moore and Penrose; gradients while the rank stays.

    From the normal equations where the rank is full, else from singular values, those below the bound being left out.
    """
    del hermitian
    a = floats(A)
    numbers = data_of(a, "pinv()")
    m, n = a.shape[-2:]
    if 0 in {m, n}:
        return _mt(a)
    relative = rtol if rtol is not None else rcond if rcond is not None else max(m, n) * np.finfo(a.dtype).eps
    s = np.linalg.svd(numbers, compute_uv=False)
    bound = max(float(relative) * float(s.max(initial=0.0)), float(atol or 0.0))
    if (s > max(bound, 1e-3 * float(s.max(initial=0.0)))).all():
        at = _mt(a)
        return solve(ops.matmul(at, a), at) if m >= n else _mt(solve(ops.matmul(a, at), a))
    u, values, vh = svd(a, False)
    kept = data_of(values) > bound
    turned = ops.where(kept, reciprocal(ops.where(kept, values, 1.0)), 0.0)
    return ops.matmul(ops.mul(_mt(vh), ops.unsqueeze(turned, -2)), _mt(u))


@both_names(b="B")
def lstsq(A: Any, B: Any, rcond: Any = None, *, driver: str | None = None) -> Lstsq:
    """The X that makes ``|A X - B|`` least, of several the shortest."""
    del driver
    a, b = ops.same_dtype(floats(A), floats(B))
    vector = b.ndim == a.ndim - 1
    right = ops.unsqueeze(b, -1) if vector else b
    x = ops.matmul(pinv(a, rcond), right)
    rank = matrix_rank(a)
    residual = ops.sum(square(ops.sub(ops.matmul(a, x), right)), -2)
    m, n = a.shape[-2:]
    full = m > n and bool((data_of(rank) == n).all())
    empty = like(a, np.empty(0, a.dtype))
    solution = ops.reshape(x, tuple(x.shape[:-1])) if vector else x
    return Lstsq(solution, residual if full else empty, rank, empty)


@both_names
def cond(A: Any, p: Any = None) -> Any:
    """The condition number: the norm of the matrix times that of its inverse."""
    if p in {None, 2, -2}:
        s = svdvals(A)
        first, last = ops.getitem(s, (..., 0)), ops.getitem(s, (..., -1))
        return ops.div(last, first) if p == -2 else ops.div(first, last)
    return ops.mul(matrix_norm(A, p), matrix_norm(inv(A), p))


# --- norms ---


@both_names
def vector_norm(x: Any, ord: Any = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """The norm of order ``ord`` of the elements over ``dim`` (all by default)."""
    x = floats(x if dtype is None else ops.astype(operand(x), dtype))
    if isinstance(dim, (tuple, list)) and not dim:
        return ops.sign(ops.abs(x)) if ord == 0 else ops.abs(x)
    return p_norm(x, float(ord), dim, keepdim)


@both_names
def matrix_norm(A: Any, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False, *, dtype: Any = None) -> Any:
    """The norm of matrices: ``"fro"``, ``"nuc"``, ±1, ±2 or ±inf.

    Raises:
        ArgumentError: another order.
    """
    a = floats(A if dtype is None else ops.astype(operand(A), dtype))
    rows, columns = (normalise_axis(axis, a.ndim) for axis in dim)
    if ord == "fro":
        return p_norm(a, 2.0, (rows, columns), keepdim)
    if ord in {1, -1, math.inf, -math.inf}:
        inner_axis, outer_axis = (rows, columns) if abs(ord) == 1 else (columns, rows)
        sums = ops.sum(ops.abs(a), inner_axis, True)
        found = (ops.amax if ord > 0 else ops.amin)(sums, outer_axis, True)
    elif ord in {"nuc", 2, -2}:
        s = svdvals(movedim(a, (rows, columns), (-2, -1)))
        found = ops.sum(s, -1) if ord == "nuc" else ops.getitem(s, (..., 0 if ord == 2 else -1))
        shape = [1 if i in {rows, columns} else n for i, n in enumerate(a.shape)]
        found = ops.reshape(found, tuple(shape))
    else:
        raise ArgumentError(f"matrix_norm: the order is 'fro', 'nuc', ±1, ±2 or ±inf, got {ord!r}")
    kept = tuple(n for i, n in enumerate(a.shape) if i not in {rows, columns})
    return found if keepdim else ops.reshape(found, kept)


@both_names
def linalg_norm(A: Any, ord: Any = None, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """The norm of a vector or of matrices, by the number of axes in ``dim``."""
    x = operand(A)
    if ord is None:
        return vector_norm(x, 2, dim, keepdim, dtype=dtype)
    if isinstance(dim, (tuple, list)) and len(dim) == 2:
        return matrix_norm(x, ord, tuple(dim), keepdim, dtype=dtype)
    if dim is None and x.ndim == 2:
        return matrix_norm(x, ord, (-2, -1), keepdim, dtype=dtype)
    return vector_norm(x, ord, dim, keepdim, dtype=dtype)


@both_names
def tensorinv(A: Any, ind: int = 2) -> Any:
    """The inverse of a tensor as a map from its last axes to the first ``ind``."""
    a = operand(A)
    first, last = a.shape[:ind], a.shape[ind:]
    return ops.reshape(inv(ops.reshape(a, (math.prod(first), -1))), (*last, *first))


@both_names(other="B")
def tensorsolve(A: Any, B: Any, dims: Any = None) -> Any:
    """The X of ``tensordot(A, X) = B``."""
    a, b = operand(A), operand(B)
    if dims is not None:
        a = movedim(a, tuple(dims), tuple(range(a.ndim - len(dims), a.ndim)))
    rest = tuple(a.shape[b.ndim :])
    return ops.reshape(solve(ops.reshape(a, (b.size, -1)), ops.reshape(b, (-1,))), rest)


@both_names(input2="tau")
def householder_product(A: Any, tau: Any) -> Any:
    """The product of the reflections ``I - tau v v^T`` stored below the diagonal of ``A``, its first columns."""
    a, scale = floats(A), floats(tau)
    found = ops.getitem(_reflections(a, scale), (..., slice(0, a.shape[-1])))
    return found if scale.shape[-1] else ops.add(found, ops.mul(a, 0.0))


@both_names(input2="tau", input3="other")
def ormqr(A: Any, tau: Any, other: Any, left: bool = True, transpose: bool = False) -> Any:
    """``Q @ other``, or ``other @ Q``, with the whole Q of the reflections that ``A`` and ``tau`` hold.

    Args:
        left: False multiplies from the right. transpose: the transpose of Q in its place.
    """
    q = _reflections(floats(A), floats(tau))
    q = _mt(q) if transpose else q
    return ops.matmul(q, other) if left else ops.matmul(other, q)


def _reflections(a: Any, scale: Any) -> Any:
    m = a.shape[-2]
    found: Any = like(a, np.broadcast_to(np.eye(m, dtype=a.dtype), (*a.shape[:-2], m, m)).copy())
    for k in range(scale.shape[-1]):
        below = np.arange(m)
        column = ops.getitem(a, (..., slice(None), slice(k, k + 1)))
        v = ops.where((below == k)[:, None], 1.0, ops.where((below > k)[:, None], column, 0.0))
        weight = ops.unsqueeze(ops.unsqueeze(ops.getitem(scale, (..., k)), -1), -1)
        found = ops.sub(found, ops.mul(weight, ops.matmul(ops.matmul(found, v), _mt(v))))
    return found


# --- LU ---


def _pivoted(pivot: bool, name: str) -> None:
    if not pivot:
        raise ArgumentError(f"{name}: rows are exchanged for the sake of accuracy; there is no pivot=False")


def _order_of(swaps: Any, rows: int) -> Any:
    """Which row of the matrix each row of the product ``L U`` is, from the exchanges one after the other."""
    *stack, count = swaps.shape
    flat = swaps.reshape(-1, count).astype(np.int64) - 1
    order = np.tile(np.arange(rows), (len(flat), 1))
    each = np.arange(len(flat))
    for k in range(count):
        order[:, k], order[each, flat[:, k]] = order[each, flat[:, k]].copy(), order[:, k].copy()
    return order.reshape(*stack, rows)


def _lower_of(packed: Any, k: int) -> Any:
    part = ops.getitem(packed, (..., slice(0, k)))
    return ops.add(tril(part, -1), np.eye(part.shape[-2], k, dtype=part.dtype))


def _upper_of(packed: Any, k: int) -> Any:
    return triu(ops.getitem(packed, (..., slice(0, k), slice(None))))


def _right_solve(a: Any, u: Any) -> Any:
    """``a u^-1``."""
    return _mt(ops.solve_square(_mt(u), _mt(a)))


def _triangles(a: Any) -> tuple[Any, Any, Any]:
    """``L``, ``U`` and the exchanges of rows of matrices (…, m, n)."""
    m, n = a.shape[-2:]
    k = min(m, n)
    packed = ops.factors(a, how="lu")
    swaps = data_of(ops.getitem(packed, (..., slice(0, k), n)), "lu()").astype(np.int32)
    both = ops.getitem(packed, (..., slice(0, n)))
    lower, upper = _lower_of(both, k), _upper_of(both, k)
    if not (isinstance(a, Tensor) and a.requires_grad):
        return lower, upper, swaps
    order = _order_of(swaps, m)
    rows = take_along(a, np.broadcast_to(order[..., None], a.shape), a.ndim - 2)
    square_part = ops.getitem(rows, (..., slice(0, k), slice(0, k)))
    first, second = ops.getitem(lower, (..., slice(0, k), slice(None))), ops.getitem(upper, (..., slice(0, k)))
    for _ in range(_STEPS):
        # L^-1 A U^-1 is close to the identity; its triangles correct both factors.
        middle = _right_solve(ops.solve_square(first, square_part), second)
        first = ops.matmul(first, ops.add(tril(middle, -1), _eye(k, a)))
        second = ops.matmul(triu(middle), second)
    # The products of triangles are triangles, but for rounding.
    first, second = ops.add(tril(first, -1), _eye(k, a)), triu(second)
    if m > n:
        rest = _right_solve(ops.getitem(rows, (..., slice(k, None), slice(None))), second)
        return ops.cat([first, rest], -2), second, swaps
    if m < n:
        rest = ops.solve_square(first, ops.getitem(rows, (..., slice(k, None))))
        return first, ops.cat([second, rest], -1), swaps
    return first, second, swaps


def _permutation(swaps: Any, rows: int, dtype: Any) -> Any:
    return np.swapaxes(np.eye(rows, dtype=dtype)[_order_of(swaps, rows)], -1, -2)


@both_names
def lu(A: Any, *, pivot: bool = True) -> LU:
    """``A = P L U``: a permutation of rows, a lower triangle with ones on its diagonal, an upper triangle.

    Args:
        A: (…, m, n); L is (…, m, k) and U (…, k, n) with the smaller k of both.

    Raises:
        ArgumentError: ``pivot=False``; or a gradient of a matrix whose U is singular, where there is none.

    Source: Golub & Van Loan, "Matrix computations", 4th edition, section 3.4.
    """
    _pivoted(pivot, "lu")
    a = floats(A)
    lower, upper, swaps = _triangles(a)
    return LU(like(a, _permutation(swaps, a.shape[-2], a.dtype)), lower, upper)


@both_names
def lu_factor(A: Any, *, pivot: bool = True) -> LUFactor:
    """Both triangles of :func:`lu` in one matrix, and the exchanges of rows; :func:`lu_solve` takes them.

    Raises:
        ArgumentError: as :func:`lu`.
    """
    _pivoted(pivot, "lu_factor")
    a = floats(A)
    m, n = a.shape[-2:]
    lower, upper, swaps = _triangles(a)
    lower = tril(lower, -1)
    if m > n:
        upper = ops.cat([upper, np.zeros((*a.shape[:-2], m - n, n), a.dtype)], -2)
    elif m < n:
        lower = ops.cat([lower, np.zeros((*a.shape[:-2], m, n - m), a.dtype)], -1)
    return LUFactor(ops.add(lower, upper), like(a, swaps))


def _first_zero(packed: Any) -> Any:
    """The number of the first pivot that is 0, from 1 on, or 0."""
    zero = np.diagonal(packed, axis1=-2, axis2=-1) == 0
    return np.where(zero.any(-1), zero.argmax(-1) + 1, 0).astype(np.int32) if zero.shape[-1] else np.int32(0)


@both_names
def lu_factor_ex(A: Any, *, pivot: bool = True, check_errors: bool = False) -> LUFactorEx:
    """:func:`lu_factor`, and where a pivot is 0.

    Raises:
        ArgumentError: as :func:`lu`; with ``check_errors`` a pivot that is 0.
    """
    found = lu_factor(A, pivot=pivot)
    info = _first_zero(data_of(found.LU, "lu_factor_ex()"))
    if check_errors:
        _check_info(info, "lu_factor_ex")
    return LUFactorEx(found.LU, found.pivots, like(found.LU, np.asarray(info)))


def _check_info(info: Any, name: str) -> None:
    if np.any(info):
        raise ArgumentError(f"{name}: the matrix is singular, pivot {int(np.max(info))} is 0")


@both_names
def lu_solve(LU: Any, pivots: Any, B: Any, *, left: bool = True, adjoint: bool = False) -> Any:
    """The X of ``A X = B``, given what :func:`lu_factor` made of A.

    Args:
        B: (…, n, k). left: False solves ``X A = B``. adjoint: the transpose of A in its place.
    """
    packed, b = ops.same_dtype(floats(LU), floats(B))
    if not left:
        return _mt(lu_solve(packed, pivots, _mt(b), adjoint=not adjoint))
    size = packed.shape[-1]
    stack = np.broadcast_shapes(packed.shape[:-2], b.shape[:-2])
    packed, b = _spread(packed, stack), _spread(b, stack)
    swaps = np.broadcast_to(data_of(pivots, "lu_solve()"), (*stack, size))
    turn = _permutation(swaps, size, packed.dtype)
    lower, upper = _lower_of(packed, size), _upper_of(packed, size)
    if adjoint:
        return ops.matmul(turn, ops.solve_square(_mt(lower), ops.solve_square(_mt(upper), b)))
    return ops.solve_square(upper, ops.solve_square(lower, ops.matmul(np.swapaxes(turn, -1, -2), b)))


@both_names
def lu_unpack(LU_data: Any, LU_pivots: Any, unpack_data: bool = True, unpack_pivots: bool = True) -> LU:
    """The three matrices of :func:`lu` from what :func:`lu_factor` gives; what is not asked for is empty."""
    packed = floats(LU_data)
    k = min(packed.shape[-2:])
    empty = like(packed, np.empty(0, packed.dtype))
    turn = _permutation(data_of(LU_pivots, "lu_unpack()"), packed.shape[-2], packed.dtype) if unpack_pivots else None
    return LU(
        empty if turn is None else like(packed, turn),
        _lower_of(packed, k) if unpack_data else empty,
        _upper_of(packed, k) if unpack_data else empty,
    )


# --- with what went wrong as a number ---


def _regular(a: Any, name: str) -> tuple[Any, Any]:
    """Where a matrix is singular the identity, and the numbers of pivots that are 0."""
    info = _first_zero(np.asarray(data_of(ops.factors(a, how="lu"), name))[..., :-1])
    wrong = np.asarray(info != 0)[..., None, None]
    return (ops.where(wrong, _eye(a.shape[-1], a), a) if wrong.any() else a), np.asarray(info)


def _or_nan(found: Any, info: Any, axes: int) -> Any:
    wrong = (info != 0).reshape(*info.shape, *[1] * axes)
    return ops.where(wrong, math.nan, found) if wrong.any() else found


@both_names
def inv_ex(A: Any, *, check_errors: bool = False) -> InvEx:
    """:func:`inv`, and which matrices are singular: their inverse is NaN.

    Raises:
        ArgumentError: with ``check_errors`` a singular matrix.
    """
    a, info = _regular(_square(A, "inv_ex"), "inv_ex()")
    if check_errors:
        _check_info(info, "inv_ex")
    return InvEx(_or_nan(inv(a), info, 2), like(a, info))


@both_names
def solve_ex(A: Any, B: Any, *, left: bool = True, check_errors: bool = False) -> SolveEx:
    """:func:`solve`, and which matrices are singular: their solution is NaN.

    Raises:
        ArgumentError: with ``check_errors`` a singular matrix.
    """
    a, info = _regular(_square(A, "solve_ex"), "solve_ex()")
    if check_errors:
        _check_info(info, "solve_ex")
    x = solve(a, B, left=left)
    return SolveEx(_or_nan(x, info, x.ndim - info.ndim), like(a, info))


@both_names
def cholesky_ex(A: Any, *, upper: bool = False, check_errors: bool = False) -> CholeskyEx:
    """:func:`cholesky`, and which matrices are not positive definite: their factor is NaN.

    Raises:
        ArgumentError: with ``check_errors`` a matrix that is not positive definite.
    """
    a = _square(A, "cholesky_ex")
    numbers = data_of(a, "cholesky_ex()")
    numbers = np.swapaxes(numbers, -1, -2) if upper else numbers
    info = np.zeros(numbers.shape[:-2], np.int32)
    for which in np.ndindex(*info.shape):
        info[which] = _first_not_positive(numbers[which])
    if check_errors and info.any():
        raise ArgumentError(f"cholesky_ex: the leading minor of order {info.max()} is not positive definite")
    wrong = (info != 0)[..., None, None]
    safe = ops.where(wrong, _eye(a.shape[-1], a), a) if wrong.any() else a
    return CholeskyEx(_or_nan(cholesky(safe, upper=upper), info, 2), like(a, info))


def _first_not_positive(matrix: Any) -> int:
    for order in range(1, len(matrix) + 1):
        try:
            np.linalg.cholesky(matrix[:order, :order])
        except np.linalg.LinAlgError:
            return order
    return 0


# --- where torch.linalg means something else than torch does ---


@both_names
def linalg_cross(input: Any, other: Any, *, dim: int = -1) -> Any:
    """The cross product of vectors of three elements along ``dim``, the last axis by default."""
    return cross(input, other, dim)


@both_names
def linalg_diagonal(A: Any, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
    """The diagonals of matrices, as a new last axis; ``offset`` above 0 is above the main one."""
    return diagonal_of(A, offset, dim1, dim2)


@both_names
def linalg_vander(x: Any, *, N: int | None = None) -> Any:
    """Vandermonde's matrix: the powers 0, 1, … of a vector as columns, as many as it has elements by default."""
    return vander(x, N, increasing=True)
