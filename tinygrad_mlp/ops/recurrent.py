"""Recurrent networks: what one direction of one layer computes over all time steps, and what its forms share.

All take the input's part of the gates for all time steps, made with one product, and go through the time steps with the
state's part. ``valid (time, batch)`` says where a sequence still goes on; elsewhere the state stays.
"""

from __future__ import annotations

from typing import Any

from .activations import relu, sigmoid
from .arithmetic import add, mul, sub, where
from .functions import tanh
from .linalg import linear
from .shape import getitem, stack, unsqueeze

__all__ = ["carried", "gru", "passed", "rnn", "rows_of"]


def carried(valid: Any, time: int, new: Any, old: Any) -> Any:
    """``new`` where the step counts, ``old`` elsewhere; ``valid`` without elements: it counts everywhere."""
    return new if valid is None or not valid.size else where(unsqueeze(getitem(valid, time), 1), new, old)


def passed(valid: Any, time: int, gradient: Any) -> Any:
    """``gradient`` where the step counts, 0 elsewhere."""
    return carried(valid, time, gradient, 0.0)


def rows_of(x: Any, *index: Any) -> Any:
    """``x[index]`` of time, and of features."""
    return getitem(x, index if len(index) == 1 else (index[0], slice(None), index[1]))


def rnn(gates: Any, state: Any, weight: Any, bias: Any = None, valid: Any = None, *, nonlinearity: str = "tanh") -> Any:
    """``h = tanh(gates[t] + weight h + bias)``: ``gates (time, batch, h)`` give the states ``(time, batch, h)``.

    Args:
        state: before the first step, ``(batch, h)``. weight: ``(h, h)``. bias: ``(h,)`` or None.
        valid: ``(time, batch)`` booleans; where False the state stays what it was.
        nonlinearity: ``"tanh"`` or ``"relu"``.
    """
    bend = tanh if nonlinearity == "tanh" else relu
    states = []
    for time in range(gates.shape[0]):
        new = bend(add(getitem(gates, time), linear(state, weight, bias)))
        state = carried(valid, time, new, state)
        states.append(state)
    return stack(states, 0)


def gru(gates: Any, state: Any, weight: Any, bias: Any = None, valid: Any = None) -> Any:
    """``h = (1 - z) n + z h``, with ``r, z, n`` from ``gates (time, batch, 3 h)``, gives ``(time, batch, h)``.

    ``r = sigmoid(gates_r + W_r h + b_r)``, ``z`` alike, ``n = tanh(gates_n + r (W_n h + b_n))``. The reset gate acts
    after the product, as in torch and cuDNN. Source: Cho et al., EMNLP 2014.

    Args:
        state: before the first step, ``(batch, h)``. weight: ``(3 h, h)``. bias: ``(3 h,)`` or None.
        valid: ``(time, batch)`` booleans; where False the state stays what it was.
    """
    size = state.shape[-1]
    states = []
    for time in range(gates.shape[0]):
        mine, past = getitem(gates, time), linear(state, weight, bias)
        both = sigmoid(add(mine[:, : 2 * size], past[:, : 2 * size]))
        reset, update = both[:, :size], both[:, size:]
        new = tanh(add(mine[:, 2 * size :], mul(reset, past[:, 2 * size :])))
        state = carried(valid, time, add(new, mul(update, sub(state, new))), state)
        states.append(state)
    return stack(states, 0)
