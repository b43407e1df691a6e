"""The NumPy calls that a forward function makes for operands of known shapes, written out with memory for the results.

A rule is named in a declaration, as ``calls=``. It is called as ``rule(operands, params, result)`` with what has the
shapes and dtypes of one call, and gives the :class:`Calls`, or None where the forward function has to be called. A
replay makes them directly: a small network is nothing but the fixed cost of its calls. They are the calls of the
forward function, on the same memory layout, so they give the same bits; a law of the tests compares them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .kernels import _FEW, slice_by_slice

__all__ = ["Calls"]


@dataclass(frozen=True)
class Calls:
    """Lines of Python, with ``{0}``, ``{1}``, … for the operands, ``{y}`` for the result, ``{t0}``, … for scratch.

    ``{k0}``, ``{k1}``, … is what the step saves for a later one, or what an earlier one has saved for it.

    Attributes:
        lines: the calls. Views and methods of memory that stays, as in ``{0}.T`` or ``{t0}[:3]``, are taken once.
        scratch: shape and dtype of each scratch array. names: what the lines call besides.
        keeps: shape and dtype of each array that is saved.
    """

    lines: tuple[str, ...]
    scratch: tuple[tuple[tuple[int, ...], Any], ...] = ()
    names: dict[str, Any] = field(default_factory=dict)
    keeps: tuple[tuple[tuple[int, ...], Any], ...] = ()


# Up to this many multiplications the call itself takes a good part of a product's time.
_BRIEF = 1 << 16
_REAL = (np.dtype(np.float32), np.dtype(np.float64))


def _numbers(dtype: Any, **values: float) -> dict[str, Any]:
    """Numbers as NumPy takes them fastest, arrays without axes, by their names and the dtype: ``one_float32``."""
    return {f"{name}_{dtype}": np.array(value, dtype) for name, value in values.items()}


def _times(first: Any, second: Any, work: int) -> dict[str, Any]:
    """``matmul``, or for brief products of matrices ``dot``, which makes the same BLAS call at half the cost."""
    # By a single number dot multiplies in another way, which gives zeros another sign.
    single = first.size == 1 or second.size == 1
    brief = not single and work <= _BRIEF and first.dtype == second.dtype and first.dtype in _REAL
    chosen = np.dot if brief and _is_matrix(first) and _is_matrix(second) else np.matmul
    return {chosen.__name__: chosen}


def _is_matrix(one: Any) -> bool:
    """Whether it is a matrix with elements, whose rows or columns follow each other without a gap."""
    if len(one.shape) != 2 or 0 in one.shape:
        return False
    (rows, columns), size = one.shape, one.dtype.itemsize
    return tuple(one.strides) in ((columns * size, size), (size, rows * size))


def dense(operands: Sequence[Any], _params: dict[str, Any], _result: Any) -> Calls:
    """``x @ weight.T``, then the bias, if there is one, added in place."""
    x, weight = operands[:2]
    times = _times(x, weight, x.shape[0] * weight.size)
    (name,) = times
    lines = [f"{name}({{0}}, {{1}}.T, {{y}})"]
    if len(operands) == 3:
        lines.append("add({y}, {2}, {y})")
    return Calls(tuple(lines), names={**times, "add": np.add})


def product(operands: Sequence[Any], _params: dict[str, Any], _result: Any) -> Calls:
    """One product."""
    first, second = operands
    times = _times(first, second, first.shape[0] * second.size)
    (name,) = times
    return Calls((f"{name}({{0}}, {{1}}, {{y}})",), names=times)


def weight_gradient(operands: Sequence[Any], params: dict[str, Any], _result: Any) -> Calls | None:
    """The product of two matrices, in the layout of the weight."""
    z, x = operands
    if len(x.shape) != 2:
        return None
    times = _times(z, x, z.size * x.shape[1])
    (name,) = times
    line = f"{name}({{1}}.T, {{0}}, {{y}}.T)" if params.get("by_columns") else f"{name}({{0}}.T, {{1}}, {{y}})"
    return Calls((line,), names=times)


def _sums_row_by_row(shape: tuple[int, ...], axes: Sequence[int], dtype: np.dtype[Any]) -> bool:
    """Whether the accurate sum is one call of NumPy's."""
    return all(axis == len(shape) - 1 or shape[axis] <= _FEW or dtype.kind not in "fc" for axis in axes)


def _slices(shape: tuple[int, ...], axes: tuple[int, ...], target: str) -> list[str]:
    """The additions of ``kernels.over_slices``."""
    first, second, *rest = [list(place) for place in np.ndindex(*shape[: len(axes)])]
    return [f"add({{0}}{first}, {{0}}{second}, {target})", *[f"add({target}, {{0}}{one}, {target})" for one in rest]]


# What a sum begins with: 0, or -0.0, which leaves the sign of a zero.
_START = float(np.add.reduce(np.array([-0.0])))


def _alone(x: Any, axes: Sequence[int], result: Any) -> Calls:
    """The sum over axes of length 1."""
    picked = ", ".join(["0" if axis in axes else ":" for axis in range(len(x.shape))])
    line = f"add({{0}}[{picked}, ...], start_{result.dtype}, {{y}})"
    return Calls((line,), names={"add": np.add, **_numbers(result.dtype, start=_START)})


def averaging(operands: Sequence[Any], params: dict[str, Any], result: Any) -> Calls | None:
    """A sum and a division."""
    (x,) = operands
    axes, keepdims = params["axes"], params["keepdims"]
    if x.dtype not in _REAL or not x.size or not _sums_row_by_row(x.shape, axes, x.dtype):
        return None
    count = math.prod([x.shape[axis] for axis in axes])
    if count == 1:
        return _alone(x, () if keepdims else axes, result)
    sums = [f"total({{0}}, {axes}, None, {{y}}, {keepdims})"]
    if slice_by_slice(x.shape, axes):
        sums = _slices(x.shape, axes, f"{{y}}{[0] * len(axes)}" if keepdims else "{y}")
    names = {"total": np.add.reduce, "add": np.add, "divide": np.divide}
    names |= _numbers(result.dtype, **{f"n{count}": count})
    return Calls((*sums, f"divide({{y}}, n{count}_{result.dtype}, {{y}})"), names=names)


def summing_to(operands: Sequence[Any], params: dict[str, Any], result: Any) -> Calls | None:
    """One sum over the axes in front."""
    (x,) = operands
    shape = tuple(params["shape"])
    extra = len(x.shape) - len(shape)
    if not extra or x.shape[extra:] != shape:
        return None
    axes = tuple(range(extra))
    if x.dtype in _REAL and math.prod(x.shape[:extra]) == 1:
        return _alone(x, axes, result)
    if not _sums_row_by_row(x.shape, axes, x.dtype):
        return _folded(x, shape, extra)
    if slice_by_slice(x.shape, axes):
        return Calls(tuple(_slices(x.shape, axes, "{y}")), names={"add": np.add})
    return Calls((f"total({{0}}, {axes}, None, {{y}})",), names={"total": np.add.reduce})


def _folded(x: Any, shape: tuple[int, ...], extra: int) -> Calls | None:
    """Rows folded in half until few are left, as ``kernels.sum_axes`` does it."""
    if extra != 1:
        return None
    lines, rows, source = [], x.shape[0], "{0}"
    while rows > _FEW:
        half = rows // 2
        lines.append(f"add({source}[:{half}], {source}[{half}:{2 * half}], {{t0}}[:{half}])")
        if rows % 2:
            lines.append(f"add({{t0}}[0], {source}[{rows - 1}], {{t0}}[0])")
        source, rows = "{t0}", half
    lines.append(f"total({{t0}}[:{rows}], (0,), None, {{y}})")
    if lines and x.shape[0] % 2 and len(lines) > 2 and "[0]" in "".join(lines[2:-1]):
        # The last row of a later fold lies in the scratch that the fold has just written over.
        return None
    return Calls(tuple(lines), (((x.shape[0] // 2, *shape), x.dtype),), {"add": np.add, "total": np.add.reduce})


def _alike(operands: Sequence[Any], result: Any) -> bool:
    """Whether all are real and of one dtype."""
    return result.dtype in _REAL and all(one.dtype == result.dtype for one in operands)


def rectifying(_operands: Sequence[Any], _params: dict[str, Any], result: Any) -> Calls:
    """One call of maximum."""
    names = {"maximum": np.maximum, **_numbers(result.dtype, zero=0)}
    return Calls((f"maximum({{0}}, zero_{result.dtype}, out={{y}})",), names=names)


def gating(operands: Sequence[Any], _params: dict[str, Any], result: Any) -> Calls | None:
    """A mask, a product, and where that has a NaN, a choice."""
    z, switch = operands
    if not (z.shape == switch.shape == result.shape):
        return None
    lines = (
        f"greater({{1}}, zero_{switch.dtype}, {{t0}})",
        "multiply({0}, {t0}, {y})",
        # A sum of squares is NaN exactly when some element is.
        "total_ = {y}.ravel('K').dot({y}.ravel('K'))",
        f"if total_ != total_: copyto({{y}}, where({{t0}}, {{0}}, zero_{result.dtype}))",
    )
    names = {"greater": np.greater, "multiply": np.multiply, "copyto": np.copyto, "where": np.where}
    numbers = _numbers(result.dtype, zero=0) | _numbers(switch.dtype, zero=0)
    return Calls(lines, ((result.shape, np.dtype(bool)),), names | numbers)


def squaring_difference(operands: Sequence[Any], _params: dict[str, Any], result: Any) -> Calls | None:
    """A difference, times itself."""
    if not _alike(operands, result):
        return None
    lines = "subtract({0}, {1}, {y})", "multiply({y}, {y}, {y})"
    return Calls(lines, names={"subtract": np.subtract, "multiply": np.multiply})


_DECAY = "absolute({0}, {y})", "negative({y}, {y})", "exp({y}, {y})"
_SLOPES = {
    "absolute": np.absolute,
    "negative": np.negative,
    "exp": np.exp,
    "multiply": np.multiply,
    "add": np.add,
    "square": np.square,
    "divide": np.divide,
}


def tanh_slope(operands: Sequence[Any], _params: dict[str, Any], result: Any) -> Calls | None:
    """``4 e / (1 + e)**2`` with ``e = exp(-|x|)**2``."""
    if not _alike(operands, result):
        return None
    lines = (
        *_DECAY,
        "multiply({y}, {y}, {y})",
        f"add({{y}}, one_{result.dtype}, {{t0}})",
        f"multiply({{y}}, four_{result.dtype}, {{y}})",
        "square({t0}, {t0})",
        "divide({y}, {t0}, {y})",
    )
    return Calls(lines, ((result.shape, result.dtype),), _SLOPES | _numbers(result.dtype, one=1, four=4))


def sigmoid_slope(operands: Sequence[Any], _params: dict[str, Any], result: Any) -> Calls | None:
    """``e / (1 + e)**2`` with ``e = exp(-|x|)``."""
    if not _alike(operands, result):
        return None
    lines = *_DECAY, f"add({{y}}, one_{result.dtype}, {{t0}})", "square({t0}, {t0})", "divide({y}, {t0}, {y})"
    return Calls(lines, ((result.shape, result.dtype),), _SLOPES | _numbers(result.dtype, one=1))


def sigmoid(operands: Sequence[Any], _params: dict[str, Any], result: Any) -> Calls | None:
    """``1 / (1 + e)`` for positive numbers, ``e / (1 + e)`` for others, with ``e = exp(-|x|)``."""
    if not _alike(operands, result):
        return None
    lines = (
        *_DECAY,
        f"add({{y}}, one_{result.dtype}, {{t0}})",
        f"greater_equal({{0}}, zero_{result.dtype}, {{t1}})",
        f"copyto({{y}}, one_{result.dtype}, 'same_kind', {{t1}})",
        "divide({y}, {t0}, {y})",
    )
    names = {"greater_equal": np.greater_equal, "copyto": np.copyto, **_SLOPES}
    scratch = (result.shape, result.dtype), (result.shape, np.dtype(bool))
    return Calls(lines, scratch, names | _numbers(result.dtype, one=1, zero=0))


# --- cross-entropy of class ids -------------------------------------------------------------------


def _picks(operands: Sequence[Any]) -> dict[str, Any] | None:
    """The place of each row's first logit in memory; None where elements cannot be picked by places in memory."""
    logits, targets = operands
    (rows, classes), size = logits.shape, logits.dtype.itemsize
    if logits.dtype not in _REAL or tuple(logits.strides) != (classes * size, size) or not rows:
        return None
    if np.result_type(targets.dtype, np.int64) != np.int64:
        return None
    return {f"starts_{rows}_{classes}": np.arange(rows) * classes}


def class_losses(operands: Sequence[Any], _params: dict[str, Any], result: Any) -> Calls | None:
    """The loss of each row; saves exponentials, their sums and the places of the largest logits."""
    starts = _picks(operands)
    if starts is None:
        return None
    (start,) = starts
    shape, dtype, place = operands[0].shape, result.dtype, np.dtype(np.intp)
    lines = (
        "{0}.argmax(1, {k2})",
        f"add({start}, {{k2}}, {{t0}})",
        "{0}.ravel().take({t0}, None, {t1}, 'clip')",
        "subtract({0}, {t1}[:, None], {k0})",
        "exp({k0}, {k0})",
        # 0, or NaN in a row whose largest logit is infinite.
        "subtract({t1}, {t1}, {t2})",
        "{k0}.ravel()[{t0}] = {t2}",
        "total({k0}, 1, None, {k1})",
        f"add({start}, {{1}}, {{t0}})",
        "{0}.ravel().take({t0}, None, {t2}, 'clip')",
        "subtract({t1}, {t2}, {t1})",
        "log1p({k1}, {t2})",
        "add({t1}, {t2}, {y})",
    )
    names = {"add": np.add, "subtract": np.subtract, "exp": np.exp, "total": np.add.reduce, "log1p": np.log1p}
    rows = (shape[0],)
    scratch = (rows, place), (rows, dtype), (rows, dtype)
    return Calls(lines, scratch, starts | names, ((shape, dtype), (rows, dtype), (rows, place)))


def class_gradients(operands: Sequence[Any], params: dict[str, Any], result: Any) -> Calls | None:
    """The gradient of :func:`class_losses`, from what that has saved."""
    starts = _picks(operands)
    if starts is None or params.get("saved") is None:
        return None
    (start,) = starts
    dtype, rows = result.dtype, (operands[0].shape[0],)
    lines = (
        f"add({{k1}}, one_{dtype}, {{t1}})",
        "divide({k0}, {t1}[:, None], {y})",
        f"divide(one_{dtype}, {{t1}}, {{t1}})",
        f"add({start}, {{k2}}, {{t0}})",
        "{y}.ravel()[{t0}] = {t1}",
        f"add({start}, {{1}}, {{t0}})",
        "{y}.ravel()[{t0}] = 0",
        "total({y}, 1, None, {t1})",
        "negative({t1}, {t1})",
        "{y}.ravel()[{t0}] = {t1}",
    )
    names = {"add": np.add, "divide": np.divide, "total": np.add.reduce, "negative": np.negative}
    return Calls(lines, ((rows, np.dtype(np.intp)), (rows, dtype)), starts | names | _numbers(dtype, one=1))
