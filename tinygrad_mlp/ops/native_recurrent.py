"""How recurrent layers are written in C: functions of ``tinygrad_mlp/program/native/recurrent.h``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .native import FLOATS, Code, Form, Spec

__all__ = ["lstm", "lstm_gradient"]


def _pointer(valid: Spec, name: str) -> str:
    return name if all(valid.shape) else "(const uint8_t*)0"


def _one_type(operands: Sequence[Spec], result: Spec) -> bool:
    return result.dtype in FLOATS and all(one.dtype in (result.dtype, "bool") for one in operands)


def lstm(operands: Sequence[Spec], params: dict[str, Any], result: Spec) -> Form | None:
    """All time steps of an LSTM."""
    if not _one_type(operands, result):
        return None
    time, batch, width = operands[0].shape
    size = width // 4
    valid = _pointer(operands[4], "A4")
    wide, narrow = (time, batch, width), (time, batch, size)
    saves = wide, wide, (time + 1, batch, size), narrow, narrow
    return Code(
        f"lstm_{{type}}(A0, A1, A2, A3, {valid}, Y, S0, S1, S2, S3, S4, {time}, {batch}, {size});",
        saves=tuple([Spec(shape, result.dtype) for shape in saves]),
    )


def lstm_gradient(operands: Sequence[Spec], params: dict[str, Any], result: Spec) -> Form | None:
    """Backpropagation through time, with what the forward pass has saved; without it Python is called."""
    if not _one_type(operands, result) or params["saved"] is None:
        return None
    time, batch, width = operands[1].shape
    valid = _pointer(operands[5], "A5")
    return Code(
        f"lstm_gradient_{{type}}(A0, A4, {valid}, A6, A7, A8, A9, A10, Y, {time}, {batch}, {width // 4});",
        reads_saved=True,
    )
