"""The bilinear form as a function."""

from __future__ import annotations

from typing import Any

from ... import ops
from ...errors import ShapeError

__all__ = ["bilinear"]


def bilinear(input1: Any, input2: Any, weight: Any, bias: Any = None) -> Any:
    """``y[…, k] = input1 @ weight[k] @ input2 + bias[k]``.

    Args:
        input1, input2: ``(…, in1)`` and ``(…, in2)``. weight: ``(out, in1, in2)``. bias: ``(out,)`` or None.

    Raises:
        ShapeError: shapes that do not fit.
    """
    out, in1, in2 = weight.shape
    if (*input1.shape[-1:], *input2.shape[-1:]) != (in1, in2) or input1.shape[:-1] != input2.shape[:-1]:
        raise ShapeError(
            f"bilinear expected inputs of shape (batch, features) = (…, {in1}) and (…, {in2}), with one batch, got "
            f"{tuple(input1.shape)} and {tuple(input2.shape)}; make the layer Bilinear({input1.shape[-1]}, "
            f"{input2.shape[-1]}, {out}), or give both inputs as many rows"
        )
    # One product with all weights side by side, then a scalar product for each output.
    side_by_side = ops.reshape(ops.transpose(weight, 0, 1), (in1, out * in2))
    left = ops.reshape(ops.matmul(input1, side_by_side), (*input1.shape[:-1], out, in2))
    y = ops.squeeze(ops.matmul(left, ops.unsqueeze(input2, -1)), -1)
    return y if bias is None else ops.add(y, bias)
