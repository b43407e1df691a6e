"""Products: matrices, dense layers, Einstein sums."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..samples import Einsum, Layer, Product
from ..tape import Array, Traced
from . import batched, calls, native
from .arithmetic import mul
from .broadcast import sum_to
from .declare import plain_array, primitive, same_dtype, stands_for
from .names import both_names, refuse_out
from .reductions import reduce_sum
from .shape import getitem, permuted, reshaped, unsqueeze


def _back_to(gradient: Any, shape: tuple[int, ...]) -> Any:
    return gradient if gradient.shape == shape else sum_to(gradient, shape=shape)


def _swap_last(x: Any) -> Any:
    order = list(range(x.ndim))
    order[-2:] = order[:-3:-1]
    return permuted(x, axes=tuple(order))


@primitive(
    name="matmul",
    vjp=(
        lambda g, b, a_shape: _back_to(product(g, _swap_last(b)), a_shape),
        lambda g, a, b_shape: _back_to(product(_swap_last(a), g), b_shape),
    ),
    reference=lambda np, a, b: (a[..., :, :, None] * b[..., None, :, :]).sum(-2),
    samples=Product(),
    latex=r"{0}\,{1}",
    calls=calls.product,
    batch=batched.multiplying,
    text="{a} @ {b}",
    native=native.multiplying,
    multiply_adds=lambda a, b: math.prod(np.broadcast_shapes(a[:-2], b[:-2])) * a[-2] * a[-1] * b[-1],
)
def product(a: Array, b: Array) -> Array:
    """Matrix products of stacks of matrices, ``(…, n, k) @ (…, k, m)``; batch axes broadcast."""
    return np.matmul(a, b)


@stands_for(np.matmul)
def matmul(input: Any, other: Any, *, out: Any = None) -> Any:
    """The matrix product: vectors, matrices, and stacks of matrices whose batch axes broadcast.

    Raises:
        ShapeError: an operand without axes, or inner lengths that differ.
    """
    if out is not None:
        refuse_out("matmul")
    if not (isinstance(input, Traced) or isinstance(other, Traced)):
        return np.matmul(input, other)
    input, other = same_dtype(input, other)
    if input.ndim == 0 or other.ndim == 0:
        raise ShapeError(f"matmul: shapes {tuple(input.shape)} and {tuple(other.shape)}; numbers multiply with *")
    if input.shape[-1] != other.shape[-2 if other.ndim > 1 else 0]:
        raise ShapeError(
            f"matmul: {tuple(input.shape)} @ {tuple(other.shape)}: the last axis of the first "
            f"({input.shape[-1]}) must be as long as the {'second to last' if other.ndim > 1 else 'only'} axis of the "
            f"second ({other.shape[-2:][0]})"
        )
    row, column = input.ndim == 1, other.ndim == 1
    y = product(unsqueeze(input, 0) if row else input, unsqueeze(other, 1) if column else other)
    if not (row or column):
        return y
    shape = y.shape[:-2] if row and column else (*y.shape[:-2], y.shape[-1] if row else y.shape[-2])
    return reshaped(y, shape=shape)


@primitive(
    name="linear",
    vjp=(
        lambda g, weight: matmul(g, weight),
        lambda g, x, saved: linear_weight(g, x, by_columns=saved),
        lambda g, bias_shape: sum_to(g, shape=bias_shape),
    ),
    reference=lambda np, x, weight, bias: np.einsum("...i,oi->...o", x, weight) + bias,
    samples=Layer(),
    saves=True,
    latex=r"{0}\,{1}^\top + {2}",
    calls=calls.dense,
    batch=batched.dense_layers,
    text="{x} @ {weight}.T + {bias}",
    native=native.dense_layers,
    multiply_adds=lambda x, weight, bias: math.prod(x) * weight[0],
)
def dense(x: Array, weight: Array, bias: Array) -> tuple[Array, bool]:
    """``x @ weight.T + bias`` in one op: the product's own memory takes the bias."""
    y = np.matmul(x, weight.T)
    y += bias
    return y, not weight.flags.c_contiguous


@primitive(
    vjp=(lambda g, x: dense_without_bias(x, g), lambda g, z: matmul(z, g)),
    reference=lambda np, z, x, *, by_columns: np.tensordot(z, x, (range(z.ndim - 1), range(x.ndim - 1))),
    samples=Layer(),
    latex=r"{0}^\top {1}",
    calls=calls.weight_gradient,
    batch=batched.weight_gradients,
    native=native.weight_gradients,
    multiply_adds=lambda z, x, by_columns=False: math.prod(z) * x[-1],
)
def linear_weight(z: Array, x: Array, *, by_columns: bool = False) -> Array:
    """The gradient of a dense layer's weight: ``z.T @ x`` summed over all batch axes, ``(out, in)``.

    ``by_columns`` lays it out in memory column by column, like a weight that is: updates then read both in order.
    """
    if x.ndim != 2:
        # Sizes written out: -1 cannot be inferred where an axis is empty.
        rows = math.prod(x.shape[:-1])
        z, x = z.reshape(rows, z.shape[-1]), x.reshape(rows, x.shape[-1])
    return np.matmul(x.T, z).T if by_columns else np.matmul(z.T, x)


@primitive(
    name="linear_without_bias",
    vjp=(lambda g, weight: matmul(g, weight), lambda g, x, saved: linear_weight(g, x, by_columns=saved)),
    reference=lambda np, x, weight: np.einsum("...i,oi->...o", x, weight),
    samples=Layer(),
    saves=True,
    latex=r"{0}\,{1}^\top",
    calls=calls.dense,
    batch=batched.dense_layers,
    native=native.dense_layers,
    multiply_adds=lambda x, weight: math.prod(x) * weight[0],
)
def dense_without_bias(x: Array, weight: Array) -> tuple[Array, bool]:
    """``x @ weight.T``."""
    return np.matmul(x, weight.T), not weight.flags.c_contiguous


def linear(input: Any, weight: Any, bias: Any = None) -> Any:
    """A dense layer: ``input (…, in)``, ``weight (out, in)``, ``bias (out,)`` or None gives ``(…, out)``.

    Raises:
        ShapeError: the last axis of ``input`` is not as long as that of ``weight``, or the bias has another length.
    """
    if not isinstance(input, Traced):
        input = plain_array(input)
    if input.shape[-1:] != weight.shape[1:]:
        raise ShapeError(
            f"linear: expected input (…, {weight.shape[-1]}) for weight {tuple(weight.shape)} (out, in), got shape "
            f"{tuple(input.shape)}"
        )
    if bias is None:
        return dense_without_bias(input, weight)
    if bias.shape != weight.shape[:1]:
        raise ShapeError(f"linear: bias {tuple(bias.shape)} does not fit weight {tuple(weight.shape)} (out, in)")
    return dense(input, weight, bias)


@stands_for(np.outer)
@both_names
def outer(input: Any, vec2: Any) -> Any:
    """The outer product of two vectors, ``(n,)`` and ``(m,)`` to ``(n, m)``."""
    input, vec2 = same_dtype(input, vec2)
    if input.ndim != 1 or vec2.ndim != 1:
        raise ShapeError(f"outer: expected two vectors, got shapes {tuple(input.shape)} and {tuple(vec2.shape)}")
    return mul(unsqueeze(input, 1), vec2)


# --- Einstein sums --------------------------------------------------------------------------------


def _products_of(equation: str, *shapes: tuple[int, ...]) -> int:
    terms = equation.partition("->")[0].split(",")
    lengths: dict[str, int] = {}
    for term, shape in zip(terms, shapes, strict=True):
        lengths |= dict(zip(term, shape, strict=True))
    return math.prod(lengths.values())


def _turned(equation: str, wanted: int) -> str:
    left, out = equation.split("->")
    pair = left.split(",")
    other = pair[1 - wanted]
    return f"{out},{other}->{pair[wanted]}"


@primitive(
    name="einsum",
    vjp=(
        lambda g, b, equation: contract(g, b, equation=_turned(equation, 0)),
        lambda g, a, equation: contract(g, a, equation=_turned(equation, 1)),
    ),
    reference=lambda np, a, b, *, equation: np.einsum(equation, a, b),
    samples=Einsum(("ij,jk->ik", "ij,ij->ij", "bij,bjk->bik", "i,j->ij", "ij,j->i", "ijk,kl->lij")),
    latex=r"\operatorname{{einsum}}(\text{{{equation}}}, {0}, {1})",
    batch=batched.contracting,
    native=native.contracting,
    multiply_adds=lambda a, b, equation: _products_of(equation, a, b),
)
def contract(a: Array, b: Array, *, equation: str) -> Array:
    """A sum of products; every letter stands once in an operand and again in the other or in the result."""
    return np.einsum(equation, a, b, optimize=True)


@stands_for(np.einsum)
def einsum(equation: str, *operands: Any) -> Any:
    """Einstein summation over any number of operands: ``einsum("ij,jk->ik", a, b)``.

    Repeated letters within an operand take its diagonal; letters of one operand alone are summed; then the operands
    are contracted from left to right. Without ``->`` the result has the letters that occur once, in alphabetical order.

    Raises:
        ShapeError: the equation does not fit the operands.
    """
    left, arrow, out = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(operands) or not set(out) <= set(left) or len(set(out)) != len(out):
        raise ShapeError(f"einsum: {equation!r} does not fit {len(operands)} operands")
    if "." in left:
        raise ShapeError(f"einsum: write the axes of {equation!r} out; '...' is not understood")
    if not arrow:
        letters = left.replace(",", "")
        out = "".join(sorted({letter for letter in letters if letters.count(letter) == 1}))
    values = same_dtype(*operands)
    sizes: dict[str, int] = {}
    for term, value in zip(terms, values, strict=True):
        if len(term) != value.ndim:
            raise ShapeError(f"einsum: {term!r} names {len(term)} axes of an operand of shape {tuple(value.shape)}")
        for letter, size in zip(term, value.shape, strict=True):
            if sizes.setdefault(letter, size) != size:
                raise ShapeError(
                    f"einsum: axis {letter!r} is {sizes[letter]} long in one operand and {size} in another"
                )
    pairs = [_diagonal(term, value) for term, value in zip(terms, values, strict=True)]
    term, result = pairs[0]
    for place, (other, value) in enumerate(pairs[1:], start=2):
        later = set(out).union(*(one for one, _ in pairs[place:]))
        term, result = _alone(term, result, set(other) | later)
        other, value = _alone(other, value, set(term) | later)
        joint = "".join(dict.fromkeys(letter for letter in term + other if letter in later))
        term, result = joint, contract(result, value, equation=f"{term},{other}->{joint}")
    term, result = _alone(term, result, set(out))
    return permuted(result, axes=tuple([term.index(letter) for letter in out]))


def _diagonal(term: str, value: Any) -> tuple[str, Any]:
    for letter in dict.fromkeys(term):
        while term.count(letter) > 1:
            first = term.index(letter)
            second = term.index(letter, first + 1)
            steps = np.arange(value.shape[first])
            order = [i for i in range(value.ndim) if i not in (first, second)]
            value = getitem(permuted(value, axes=(first, second, *order)), (steps, steps))
            term = letter + "".join(term[i] for i in order)
    return term, value


def _alone(term: str, value: Any, needed: set[str]) -> tuple[str, Any]:
    axes = tuple([i for i, letter in enumerate(term) if letter not in needed])
    if not axes:
        return term, value
    value = reduce_sum(value, axes=axes, keepdims=False)
    return "".join(letter for letter in term if letter in needed), value
