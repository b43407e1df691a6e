"""NumPy's elementwise functions, products, polynomials and linear algebra, for tensors, with NumPy's conventions."""

from __future__ import annotations

import math
import string
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import ops
from ..errors import ArgumentError, ShapeError
from ..tape import Traced
from . import elementwise, matrices, shapes
from .common import data_of, floats, like
from .numpy_shapes import expand_dims, trim_zeros
from .numpy_table import answers, array_like, constants, rearranged, refuse, swap_in, typed

# --- ufuncs that are compositions; NumPy gives them their operands by position ---

answers("cbrt")(elementwise.cbrt)
answers("copysign")(elementwise.copysign)
answers("deg2rad", "radians")(elementwise.deg2rad)
answers("rad2deg", "degrees")(elementwise.rad2deg)
answers("floor_divide")(elementwise.floor_divide)
answers("fmax")(elementwise.fmax)
answers("fmin")(elementwise.fmin)
answers("heaviside")(elementwise.heaviside)
answers("ldexp")(elementwise.ldexp)
answers("logaddexp")(elementwise.logaddexp)
answers("logaddexp2")(elementwise.logaddexp2)
answers("logical_xor")(elementwise.logical_xor)
answers("positive")(elementwise.positive)
answers("reciprocal")(elementwise.reciprocal)
answers("signbit")(elementwise.signbit)


@answers("conjugate")
def conjugate(x: Any) -> Any:
    """``x`` itself: there are no complex tensors."""
    return x


@answers("modf")
def modf(x: Any) -> tuple[Any, Any]:
    """The fraction, with derivative 1, and the whole part, both with the sign of ``x``."""
    whole = ops.trunc(floats(x))
    infinite = ops.isinf(x)
    fraction = ops.sub(x, ops.where(infinite, 0.0, whole))
    return elementwise.copysign(ops.where(infinite, 0.0, fraction), x), whole


@answers("divmod")
def divmod(a: Any, b: Any) -> tuple[Any, Any]:
    """The quotient rounded down, and the remainder."""
    return elementwise.floor_divide(a, b), ops.remainder(a, b)


@answers("frexp")
def frexp(x: Any) -> tuple[Any, Any]:
    """The mantissa, of magnitude 0.5 to 1, and the exponent: ``x = mantissa * 2**exponent``."""
    mantissa, exponent = np.frexp(data_of(x, "numpy.frexp()"))
    # In two halves, because the power of a subnormal number's exponent is too large for one float.
    half = exponent // 2
    scales = [np.ldexp(np.ones((), mantissa.dtype), -one) for one in (half, exponent - half)]
    return ops.mul(ops.mul(floats(x), scales[0]), scales[1]), like(None, exponent)


@answers("nextafter")
def nextafter(a: Any, b: Any) -> Any:
    """The next float after ``a`` towards ``b``; derivative 1 by ``a``, 0 by ``b``."""
    x = floats(a)
    start = data_of(x, "numpy.nextafter()")
    step = np.nextafter(start, data_of(b, "numpy.nextafter()").astype(start.dtype)) - start
    return ops.add(x, step)


@answers("vecdot")
def vecdot(x1: Any, x2: Any, *, axis: int = -1) -> Any:
    """The inner products of vectors along ``axis``."""
    return ops.sum(ops.mul(array_like(x1), array_like(x2)), axis)


@answers("linalg.vecdot")
def linalg_vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """The inner products of vectors along ``axis``."""
    return vecdot(x1, x2, axis=axis)


@answers("matvec")
def matvec(x1: Any, x2: Any) -> Any:
    """Matrices times vectors, both in stacks that broadcast."""
    return ops.squeeze(ops.matmul(array_like(x1), ops.unsqueeze(array_like(x2), -1)), -1)


@answers("vecmat")
def vecmat(x1: Any, x2: Any) -> Any:
    """Vectors times matrices, both in stacks that broadcast."""
    return ops.squeeze(ops.matmul(ops.unsqueeze(array_like(x1), -2), array_like(x2)), -2)


# --- elementwise functions ---


@answers("clip")
def clip(a: Any, a_min: Any = None, a_max: Any = None, out: None = None, *, min: Any = None, max: Any = None) -> Any:
    """``a`` limited to ``[a_min, a_max]``; the derivative is 0 at both edges."""
    if (a_min is not None and min is not None) or (a_max is not None and max is not None):
        raise ArgumentError("clip: a_min and min, a_max and max are two names of one argument; give one of them")
    return ops.clamp(array_like(a), a_min if min is None else min, a_max if max is None else max)


@answers("round", "around")
def round(a: Any, decimals: int = 0, out: None = None) -> Any:
    """To the nearest number of so many decimals, halves to the even one; the derivative is 0 everywhere."""
    x = array_like(a)
    return x if x.dtype.kind in "iu" and decimals >= 0 else elementwise.round(x, decimals=decimals)


@answers("fix")
def fix(x: Any, out: None = None) -> Any:
    """Rounded towards 0; the derivative is 0."""
    return ops.trunc(array_like(x))


@answers("sinc")
def sinc(x: Any) -> Any:
    """``sin(pi x) / (pi x)``, and 1 at 0."""
    return elementwise.sinc(array_like(x))


@answers("real", "real_if_close")
def real(val: Any, tol: float = 100) -> Any:
    """The tensor itself: there are no complex tensors."""
    return array_like(val)


@answers("unwrap")
def unwrap(p: Any, discont: Any = None, axis: int = -1, *, period: Any = 2 * math.pi) -> Any:
    """Whole periods added so that neighbours along ``axis`` are at most half a period apart."""
    constants("unwrap", discont, period)
    x = floats(array_like(p))
    numbers = data_of(x, "numpy.unwrap()")
    turns = np.unwrap(numbers, discont, axis, period=period) - numbers
    return ops.add(x, (np.rint(turns / period) * period).astype(x.dtype))


@answers("astype")
def astype(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
    """The elements in another dtype."""
    return ops.astype(array_like(x), dtype)


@answers("copy")
def copy(a: Any, order: str = "K", subok: bool = False) -> Any:
    """A copy that passes gradients on."""
    x = array_like(a)
    return ops.cast(x, dtype=x.dtype, source=x.dtype)


@answers("array")
def array(object: Any, dtype: Any = None, **options: Any) -> Any:
    """``numpy.array(x, like=tensor)``: a copy as a tensor, which passes gradients on."""
    return copy(typed(object, dtype))


@answers("asarray", "asanyarray", "ascontiguousarray", "asfortranarray", "require")
def asarray(a: Any, dtype: Any = None, *_: Any, **options: Any) -> Any:
    """``numpy.asarray(x, like=tensor)``: the tensor itself, or a new one."""
    x = typed(a, dtype)
    return x if isinstance(x, Traced) else like(None, x)


@answers("full_like")
def full_like(
    a: Any,
    fill_value: Any,
    dtype: Any = None,
    order: str = "K",
    subok: bool = True,
    shape: Any = None,
    *,
    device: Any = None,
) -> Any:
    """One value, which has a gradient, repeated in the shape and dtype of ``a``."""
    given = array_like(a)
    sizes = given.shape if shape is None else (shape,) if isinstance(shape, int) else tuple(shape)
    return full(sizes, fill_value, given.dtype if dtype is None else dtype)


@answers("full")
def full(shape: Any, fill_value: Any, dtype: Any = None, order: str = "C", *, device: Any = None) -> Any:
    """``numpy.full(shape, value, like=tensor)``: one value, which has a gradient, repeated."""
    sizes = (shape,) if isinstance(shape, int) else tuple(shape)
    value = typed(fill_value, dtype)
    # A copy, because a broadcast view would let one write change all elements.
    return copy(ops.expand(value, sizes)) if isinstance(value, Traced) else like(None, np.full(sizes, value))


def _on_reals(name: str, ours: Callable[..., Any], inside: Callable[..., Any]) -> None:
    def of(*operands: Any) -> Any:
        values = [array_like(one) for one in operands]
        if not np.all(inside(*[data_of(one, f"numpy.emath.{name}()") for one in values])):
            refuse(f"lib.scimath.{name} beyond the reals", "there are no complex tensors")
        return ours(*values)

    of.__name__ = of.__qualname__ = name
    of.__doc__ = f"``numpy.emath.{name}`` where its result is real."
    answers(f"lib.scimath.{name}")(of)


def _logarithm(n: Any, x: Any) -> Any:
    return ops.div(ops.log(floats(x)), ops.log(floats(n)))


_on_reals("sqrt", ops.sqrt, lambda x: x >= 0)
_on_reals("log", ops.log, lambda x: x >= 0)
_on_reals("log2", ops.log2, lambda x: x >= 0)
_on_reals("log10", ops.log10, lambda x: x >= 0)
_on_reals("logn", _logarithm, lambda n, x: (n >= 0) & (x >= 0))
_on_reals("power", ops.pow, lambda x, p: x >= 0)
_on_reals("arccos", ops.acos, lambda x: abs(x) <= 1)
_on_reals("arcsin", ops.asin, lambda x: abs(x) <= 1)
_on_reals("arctanh", ops.atanh, lambda x: abs(x) <= 1)


# --- products ---


@answers("dot")
def dot(a: Any, b: Any, out: None = None) -> Any:
    """The sum of products over the last axis of ``a`` and the last but one of ``b``, or its only one."""
    x, y = array_like(a), array_like(b)
    if x.ndim == 0 or y.ndim == 0:
        return ops.mul(x, y)
    if x.ndim <= 2 and y.ndim <= 2:
        return ops.matmul(x, y)
    return tensordot(x, y, (x.ndim - 1, y.ndim - 2 if y.ndim > 1 else 0))


@answers("inner")
def inner(a: Any, b: Any, /) -> Any:
    """The sum of products over the last axes of both."""
    return matrices.inner(array_like(a), array_like(b))


@answers("outer")
def outer(a: Any, b: Any, out: None = None) -> Any:
    """The products of every element of ``a`` with every one of ``b``, both flattened."""
    return ops.outer(swap_in(a, None)[0], swap_in(b, None)[0])


@answers("linalg.outer")
def linalg_outer(x1: Any, x2: Any, /) -> Any:
    """The outer product of two vectors."""
    return ops.outer(array_like(x1), array_like(x2))


@answers("vdot")
def vdot(a: Any, b: Any, /) -> Any:
    """The sum of the products of all elements."""
    return ops.matmul(swap_in(a, None)[0], swap_in(b, None)[0])


@answers("tensordot")
def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    """The sum of products over axes: the last of ``a`` and first of ``b``, or two lists.

    Raises:
        ShapeError: the axes differ in length.
    """
    x, y = array_like(a), array_like(b)
    count = axes if isinstance(axes, int) else None
    left, right = (
        ([*range(x.ndim - count, x.ndim)], [*range(count)])
        if count is not None
        else tuple([int(i) for i in np.atleast_1d(one)] for one in axes)
    )
    if [x.shape[i] for i in left] != [y.shape[i] for i in right]:
        raise ShapeError(f"tensordot: axes {left} of {tuple(x.shape)} and {right} of {tuple(y.shape)} differ in length")
    return matrices.tensordot(x, y, (left, right))


@answers("linalg.tensordot")
def linalg_tensordot(x1: Any, x2: Any, /, *, axes: Any = 2) -> Any:
    """The sum of products over axes."""
    return tensordot(x1, x2, axes)


@answers("linalg.matmul")
def linalg_matmul(x1: Any, x2: Any, /) -> Any:
    """The matrix product."""
    return ops.matmul(array_like(x1), array_like(x2))


@answers("kron")
def kron(a: Any, b: Any) -> Any:
    """Kronecker's product."""
    return matrices.kron(array_like(a), array_like(b))


@answers("cross")
def cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Any:
    """The cross product of vectors of three elements along ``axisa`` and ``axisb``, put along ``axisc``."""
    if axis is not None:
        axisa = axisb = axisc = axis
    x, y = shapes.movedim(array_like(a), axisa, -1), shapes.movedim(array_like(b), axisb, -1)
    if x.shape[-1] != 3 or y.shape[-1] != 3:
        raise ShapeError(f"cross: vectors of three elements, got {x.shape[-1]} and {y.shape[-1]}")
    return shapes.movedim(matrices.cross(x, y, -1), -1, axisc)


@answers("linalg.cross")
def linalg_cross(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """The cross product of vectors of three elements along ``axis``."""
    return cross(x1, x2, axis=axis)


@answers("einsum")
def einsum(*operands: Any, out: None = None, optimize: Any = False, **options: Any) -> Any:
    """Einstein's summation: ``einsum("ij,jk->ik", a, b)`` or ``einsum(a, [0, 1], b, [1, 2], [0, 2])``."""
    if options:
        refuse(f"einsum({', '.join(f'{one}=' for one in options)})")
    if isinstance(operands[0], str):
        equation, values = operands[0].replace(" ", ""), [array_like(one) for one in operands[1:]]
    else:
        pairs = [*zip(operands[::2], operands[1::2], strict=False)]
        values = [array_like(one) for one, _ in pairs]
        equation = ",".join(_letters(subscripts) for _, subscripts in pairs)
        if len(operands) % 2:
            equation += "->" + _letters(operands[-1])
    return ops.einsum(_without_dots(equation, values), *values)


def _letters(subscripts: Any) -> str:
    return "".join("..." if one is Ellipsis else string.ascii_letters[one] for one in subscripts)


def _without_dots(equation: str, values: list[Any]) -> str:
    """The equation with letters in the place of the dots: as many as the operands have axes that it does not name."""
    if "..." not in equation:
        return equation
    left, arrow, right = equation.partition("->")
    terms = left.split(",")
    named = [len(term.replace("...", "")) for term in terms]
    most = max(one.ndim - n for term, one, n in zip(terms, values, named, strict=True) if "..." in term)
    free = [letter for letter in string.ascii_letters if letter not in equation][:most]
    filled = []
    for term, one, n in zip(terms, values, named, strict=True):
        filled.append(term.replace("...", "".join(free[most - (one.ndim - n) :] if one.ndim > n else "")))
    if not arrow:
        letters = left.replace(",", "").replace(".", "")
        right = "..." + "".join(sorted(one for one in set(letters) if letters.count(one) == 1))
    return ",".join(filled) + "->" + right.replace("...", "".join(free))


@answers("convolve")
def convolve(a: Any, v: Any, mode: str = "full") -> Any:
    """The discrete convolution of two vectors: ``"full"``, ``"same"`` (as long as the longer) or ``"valid"``."""
    return _slid(a, v, mode, turned=True)


@answers("correlate")
def correlate(a: Any, v: Any, mode: str = "valid") -> Any:
    """The sums of products of ``a`` with ``v`` moved along it."""
    return _slid(a, v, mode, turned=False)


def _slid(a: Any, v: Any, mode: str, *, turned: bool) -> Any:
    x, y = ops.same_dtype(swap_in(a, None)[0], swap_in(v, None)[0])
    if not x.size or not y.size:
        raise ShapeError("convolve, correlate: no empty vectors")
    if mode not in {"full", "same", "valid"}:
        raise ArgumentError(f"convolve, correlate: mode is 'full', 'same' or 'valid', got {mode!r}")
    exchanged = y.size > x.size
    if exchanged:
        x, y = y, x
    if turned:
        y = ops.getitem(y, slice(None, None, -1))
    before, after = {
        "full": (y.size - 1, y.size - 1),
        "same": (y.size // 2, y.size - 1 - y.size // 2),
        "valid": (0, 0),
    }[mode]
    view = np.lib.stride_tricks.sliding_window_view
    found = ops.matmul(rearranged(lambda places: view(np.pad(places, (before, after)), y.size), x), y)
    # A correlation whose vectors were exchanged runs the other way.
    return ops.getitem(found, slice(None, None, -1)) if exchanged and not turned else found


# --- polynomials: coefficients of falling powers ---


def _coefficients(p: Any) -> Any:
    x = array_like(p)
    x = ops.reshape(x, (1,)) if x.ndim == 0 else x
    kept = trim_zeros(x, "f")
    return kept if kept.size else ops.getitem(x, slice(-1, None))


def _padded(p: Any, length: int) -> Any:
    return p if p.size >= length else ops.cat([np.zeros(length - p.size, p.dtype), p], 0)


def _aligned(a1: Any, a2: Any) -> tuple[Any, Any]:
    first, second = (ops.reshape(one, (-1,)) for one in (array_like(a1), array_like(a2)))
    length = max(first.size, second.size)
    return _padded(first, length), _padded(second, length)


@answers("polyadd")
def polyadd(a1: Any, a2: Any) -> Any:
    """The sum of two polynomials."""
    return ops.add(*_aligned(a1, a2))


@answers("polysub")
def polysub(a1: Any, a2: Any) -> Any:
    """The difference of two polynomials."""
    return ops.sub(*_aligned(a1, a2))


@answers("polymul")
def polymul(a1: Any, a2: Any) -> Any:
    """The product of two polynomials."""
    return convolve(_coefficients(a1), _coefficients(a2))


@answers("polydiv")
def polydiv(u: Any, v: Any) -> tuple[Any, Any]:
    """The quotient of two polynomials and what is left."""
    rest, by = ops.same_dtype(*[floats(ops.reshape(array_like(one), (-1,))) for one in (u, v)])
    steps = rest.size - by.size + 1
    if steps < 1:
        return like(None, np.zeros(1, rest.dtype)), rest
    quotient = []
    for _ in range(steps):
        factor = ops.div(ops.getitem(rest, slice(0, 1)), ops.getitem(by, slice(0, 1)))
        quotient.append(factor)
        first = ops.sub(ops.getitem(rest, slice(1, by.size)), ops.mul(ops.getitem(by, slice(1, None)), factor))
        rest = ops.cat([first, ops.getitem(rest, slice(by.size, None))], 0)
    # NumPy takes leading zeros up to rounding for zeros.
    small = np.isclose(data_of(rest), 0, rtol=1e-14)
    first_large = int(np.argmin(small)) if not small.all() else rest.size - 1
    left = ops.getitem(rest, slice(first_large, None)) if rest.size else like(None, np.zeros(1, rest.dtype))
    return ops.cat(quotient, 0), left


@answers("polyval")
def polyval(p: Any, x: Any) -> Any:
    """The polynomial at ``x``, by Horner's rule."""
    at, coefficients = array_like(x), array_like(p)
    found: Any = ops.mul(at, 0)
    for i in range(coefficients.size):
        found = ops.add(ops.mul(found, at), ops.getitem(coefficients, i))
    return found


@answers("polyder")
def polyder(p: Any, m: int = 1) -> Any:
    """The ``m``-th derivative of a polynomial."""
    x = array_like(p)
    for _ in range(m):
        x = ops.mul(ops.getitem(x, slice(0, -1)), np.arange(x.size - 1, 0, -1, dtype=x.dtype))
    return x


@answers("polyint")
def polyint(p: Any, m: int = 1, k: Any = None) -> Any:
    """The ``m``-th antiderivative of a polynomial, with the constants ``k``."""
    x = floats(array_like(p))
    added = [0.0] * m if k is None else [*ops.reshape(array_like(k), (-1,))]
    if len(added) == 1:
        added *= m
    for constant in added:
        raised = ops.div(x, np.arange(x.size, 0, -1, dtype=x.dtype))
        x = ops.cat([raised, ops.reshape(ops.astype(array_like(constant), x.dtype), (1,))], 0)
    return x


@answers("poly")
def poly(seq_of_zeros: Any) -> Any:
    """The polynomial with these roots and the first coefficient 1."""
    roots = array_like(seq_of_zeros)
    if roots.ndim == 2:
        refuse("poly of a matrix", "its eigenvalues may be complex")
    found: Any = np.ones(1, roots.dtype)
    for i in range(roots.size):
        root = ops.getitem(roots, slice(i, i + 1))
        # Times x, less the root times it.
        found = ops.sub(ops.cat([found, np.zeros(1, roots.dtype)], 0), ops.mul(_padded(found, found.size + 1), root))
    return found


@answers("polyfit")
def polyfit(x: Any, y: Any, deg: int, rcond: Any = None, full: bool = False, w: Any = None, cov: Any = False) -> Any:
    """The coefficients of the polynomial of degree ``deg`` that fits the points best, by least squares."""
    if full or cov:
        refuse("polyfit(full=True)" if full else "polyfit(cov=True)", "leave it out")
    at, values = ops.same_dtype(floats(array_like(x)), floats(array_like(y)))
    powers = shapes.vander(at, int(deg) + 1)
    if w is not None:
        weights = array_like(w)
        powers = ops.mul(powers, ops.unsqueeze(weights, 1))
        values = ops.mul(values, weights if values.ndim == 1 else ops.unsqueeze(weights, 1))
    # Columns of length 1, for numbers that can be divided; the answer does not depend on it, so it is a constant.
    scale = np.sqrt(np.square(data_of(powers, "numpy.polyfit()")).sum(0))
    bound = at.shape[0] * np.finfo(at.dtype).eps if rcond is None else rcond
    found = matrices.lstsq(ops.div(powers, scale), values, bound)
    return ops.div(found.solution, scale if values.ndim == 1 else scale[:, None])


# --- linear algebra ---


def _numpys(kind: str, *fields: Any) -> Any:
    """The fields in NumPy's own named tuple, which has no public name."""
    unit: Any = np.eye(1)
    return type(getattr(np.linalg, kind)(unit))(*fields)


@answers("linalg.cholesky")
def cholesky(a: Any, /, *, upper: bool = False) -> Any:
    """The triangular factor of symmetric positive definite matrices."""
    return matrices.cholesky(array_like(a), upper=upper)


@answers("linalg.inv")
def inv(a: Any) -> Any:
    """The inverse of square matrices."""
    return matrices.inv(array_like(a))


@answers("linalg.pinv")
def pinv(a: Any, rcond: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Any:
    """The pseudoinverse of Moore and Penrose; gradients while the rank stays."""
    x = array_like(a)
    bound = rtol if rtol is not None else 1e-15 if rcond is None else rcond
    return matrices.pinv(x, bound, hermitian)


@answers("linalg.det")
def det(a: Any) -> Any:
    """The determinant."""
    return matrices.det(array_like(a))


@answers("linalg.slogdet")
def slogdet(a: Any) -> Any:
    """The sign of the determinant, without gradient, and the logarithm of its magnitude."""
    return _numpys("slogdet", *matrices.slogdet(array_like(a)))


@answers("linalg.solve")
def solve(a: Any, b: Any) -> Any:
    """The x of ``a x = b``; ``b`` is a vector only where it has one axis."""
    x, y = array_like(a), array_like(b)
    if y.ndim == 1 or y.ndim > x.ndim - 1:
        return matrices.solve(x, y)
    return matrices.solve(x, expand_dims(y, tuple(range(x.ndim - y.ndim))))


@answers("linalg.matrix_power")
def matrix_power(a: Any, n: int) -> Any:
    """The product of ``n`` times the matrix; of a negative ``n`` that of its inverse."""
    return matrices.matrix_power(array_like(a), n)


@answers("linalg.multi_dot")
def multi_dot(arrays: Any, *, out: None = None) -> Any:
    """The product of several matrices."""
    return matrices.multi_dot([array_like(one) for one in arrays])


@answers("linalg.qr")
def qr(a: Any, mode: str = "reduced") -> Any:
    """An orthogonal and an upper triangular factor; of ``mode="r"`` the second alone."""
    if mode == "raw":
        refuse("linalg.qr(mode='raw')", "say mode='reduced', 'complete' or 'r'")
    q, r = matrices.qr(array_like(a), mode)
    return r if mode == "r" else _numpys("qr", q, r)


@answers("linalg.eigh")
def eigh(a: Any, UPLO: str = "L") -> Any:
    """Eigenvalues, rising, and eigenvectors as columns of symmetric matrices."""
    return _numpys("eigh", *matrices.eigh(array_like(a), UPLO))


@answers("linalg.eigvalsh")
def eigvalsh(a: Any, UPLO: str = "L") -> Any:
    """The eigenvalues of symmetric matrices, rising."""
    return matrices.eigvalsh(array_like(a), UPLO)


@answers("linalg.svd")
def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    """Singular vectors, singular values, falling, and singular vectors of the other side."""
    x = array_like(a)
    return _numpys("svd", *matrices.svd(x, full_matrices)) if compute_uv else matrices.svdvals(x)


@answers("linalg.svdvals")
def svdvals(x: Any, /) -> Any:
    """The singular values, falling."""
    return matrices.svdvals(array_like(x))


@answers("linalg.lstsq")
def lstsq(a: Any, b: Any, rcond: Any = None) -> tuple[Any, Any, Any, Any]:
    """The x that makes ``|a x - b|`` least; the squared residuals, the rank and the singular values."""
    x, y = ops.same_dtype(floats(array_like(a)), floats(array_like(b)))
    solution, residuals, rank, _ = matrices.lstsq(x, y, rcond)
    if y.ndim == 1 and residuals.size:
        residuals = ops.reshape(residuals, (1,))
    return solution, residuals, rank, matrices.svdvals(x)


@answers("linalg.cond")
def cond(x: Any, p: Any = None) -> Any:
    """The condition number."""
    return matrices.cond(array_like(x), p)


@answers("linalg.norm")
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """The norm of a vector or of matrices, by the number of axes."""
    values = array_like(x)
    if axis is not None and not isinstance(axis, (tuple, list)):
        axis = (axis,)
    if axis is None and ord is not None and values.ndim > 2:
        raise ShapeError(f"norm: an order of shape {tuple(values.shape)} needs an axis")
    return matrices.linalg_norm(values, ord, axis, keepdims)


@answers("linalg.vector_norm")
def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    """The norm of vectors over ``axis``, of all elements for None."""
    return matrices.vector_norm(array_like(x), ord, axis, keepdims)


@answers("linalg.matrix_norm")
def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    """The norm of matrices."""
    return matrices.matrix_norm(array_like(x), ord, (-2, -1), keepdims)


@answers("linalg.tensorinv")
def tensorinv(a: Any, ind: int = 2) -> Any:
    """The inverse of a tensor as a map from its last axes to the first ``ind``."""
    return matrices.tensorinv(array_like(a), ind)


@answers("linalg.tensorsolve")
def tensorsolve(a: Any, b: Any, axes: Any = None) -> Any:
    """The x of ``tensordot(a, x) = b``."""
    return matrices.tensorsolve(array_like(a), array_like(b), axes)
