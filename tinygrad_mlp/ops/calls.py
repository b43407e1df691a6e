"""The NumPy calls that a forward function makes for operands of known shapes, written out with memory for the results.

A rule is named in a declaration, as ``calls=``. It is called as ``rule(operands, params, result)`` with what has the
shapes and dtypes of one call, and gives the :class:`Calls`, or None where the forward function has to be called. A
replay makes them directly: a small network is nothing but the fixed cost of its calls. They are the calls of the
forward function, on the same memory layout, so they give the same bits; a law of the tests compares them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .kernels import _FEW

__all__ = ["Calls"]


@dataclass(frozen=True)
class Calls:
    """Lines of Python, with ``{0}``, ``{1}``, … for the operands, ``{y}`` for the result, ``{t0}``, … for scratch.

    Attributes:
        lines: the calls. scratch: shape and dtype of each scratch array. names: what the lines call besides.
    """

    lines: tuple[str, ...]
    scratch: tuple[tuple[tuple[int, ...], Any], ...] = ()
    names: dict[str, Any] = field(default_factory=dict)


def dense(operands: Sequence[Any], _params: dict[str, Any], _result: Any) -> Calls:
    """``x @ weight.T``, then the bias, if there is one, added in place."""
    lines = ["matmul({0}, {1}.T, {y})"]
    if len(operands) == 3:
        lines.append("add({y}, {2}, {y})")
    return Calls(tuple(lines), names={"matmul": np.matmul, "add": np.add})


def product(_operands: Sequence[Any], _params: dict[str, Any], _result: Any) -> Calls:
    """One call of matmul."""
    return Calls(("matmul({0}, {1}, {y})",), names={"matmul": np.matmul})


def weight_gradient(operands: Sequence[Any], params: dict[str, Any], _result: Any) -> Calls | None:
    """The product of two matrices, in the layout of the weight."""
    if len(operands[1].shape) != 2:
        return None
    line = "matmul({1}.T, {0}, {y}.T)" if params.get("by_columns") else "matmul({0}.T, {1}, {y})"
    return Calls((line,), names={"matmul": np.matmul})


def _sums_row_by_row(shape: tuple[int, ...], axes: Sequence[int], dtype: np.dtype[Any]) -> bool:
    """Whether the accurate sum is one call of NumPy's."""
    return all(axis == len(shape) - 1 or shape[axis] <= _FEW or dtype.kind not in "fc" for axis in axes)


def summing_to(operands: Sequence[Any], params: dict[str, Any], _result: Any) -> Calls | None:
    """One sum over the axes in front."""
    (x,) = operands
    shape = tuple(params["shape"])
    extra = len(x.shape) - len(shape)
    if not extra or x.shape[extra:] != shape:
        return None
    axes = tuple(range(extra))
    if not _sums_row_by_row(x.shape, axes, x.dtype):
        return _folded(x, shape, extra)
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


def rectifying(_operands: Sequence[Any], _params: dict[str, Any], result: Any) -> Calls:
    """One call of maximum."""
    return Calls(
        (f"maximum({{0}}, zero_{result.dtype}, out={{y}})",),
        names={"maximum": np.maximum, f"zero_{result.dtype}": result.dtype.type(0)},
    )


def gating(operands: Sequence[Any], _params: dict[str, Any], result: Any) -> Calls | None:
    """A mask, a product, and where that has a NaN, a choice."""
    from .arithmetic import _spoilt  # noqa: PLC0415 - arithmetic names this rule in its declarations

    z, switch = operands
    if not (hasattr(switch, "shape") and z.shape == switch.shape == result.shape):
        return None
    lines = (
        "greater({1}, 0, {t0})",
        "multiply({0}, {t0}, {y})",
        f"if spoilt({{y}}): copyto({{y}}, where({{t0}}, {{0}}, zero_{result.dtype}))",
    )
    names = {
        "greater": np.greater,
        "multiply": np.multiply,
        "spoilt": _spoilt,
        "copyto": np.copyto,
        "where": np.where,
        f"zero_{result.dtype}": result.dtype.type(0),
    }
    return Calls(lines, ((result.shape, np.dtype(bool)),), names)
