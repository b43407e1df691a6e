"""One direction of one LSTM layer over all time steps, as one operation.

Its gradient is one operation too, backpropagation through time; the gradient of that is composed of others.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np

from ..samples import Recurrence
from ..tape import Array
from . import batched, native_recurrent
from .activations import sigmoid, sigmoid_slope
from .arithmetic import add, mul, neg
from .declare import primitive
from .functions import tanh, tanh_slope
from .linalg import dense_without_bias, linear_weight, matmul
from .recurrent import carried, passed, rows_of
from .shape import getitem, joined, reshaped

__all__ = ["lstm", "lstm_gradient", "lstm_states"]


def lstm(gates: Any, state: Any, cell: Any, weight: Any, valid: Any = None) -> tuple[Any, Any, Any]:
    """The states ``(time, batch, h)``, the last state and the last cell ``(batch, h)``.

    ``i, f, g, o = gates[t] + weight h``; ``c = sigmoid(f) c + sigmoid(i) tanh(g)``; ``h = sigmoid(o) tanh(c)``.
    Source: Hochreiter & Schmidhuber, Neural Computation 9, 1997; the forget gate: Gers et al., 2000.

    Args:
        gates: the input's part, biases included, ``(time, batch, 4 h)``.
        state, cell: before the first step, ``(batch, h)``. weight: of the state's part, ``(4 h, h)``.
        valid: ``(time, batch)`` booleans; where False state and cell stay what they were.
    """
    packed = lstm_states(gates, state, cell, weight, _ALL if valid is None else valid)
    return packed[1:-1], packed[-2], packed[-1]


_ALL = np.empty(0, np.bool_)


_SHUT = {2: 10.0, 4: 80.0, 8: 700.0, 16: 700.0}
"""The largest exponents that are used, by the bytes of a number."""


def _columns(size: int) -> tuple[slice, slice, slice, slice]:
    return slice(0, size), slice(size, 2 * size), slice(2 * size, 3 * size), slice(3 * size, 4 * size)


def _logistic(x: Array, slope: Array) -> None:
    """``y = 1 / (1 + exp(-x))`` in place; ``slope`` becomes ``y`` times ``exp(-x) y``, which is ``1 - y`` exactly."""
    # Not np.negative: NumPy 2.4 gives wrong numbers in place where float32 numbers lie 16 bytes apart.
    np.multiply(x, -1, x)
    # Beyond it y is as good as 0, and the exponential would overflow.
    np.minimum(x, _SHUT[x.dtype.itemsize // (1 + (x.dtype.kind == "c"))], out=x)
    np.exp(x, slope)
    np.add(slope, 1, x)
    np.reciprocal(x, x)
    np.multiply(slope, x, slope)
    np.multiply(slope, x, slope)


@primitive(
    name="lstm",
    vjp=(
        lambda g: rows_of(g, slice(0, -1)),
        lambda g, state_shape: rows_of(g, -1, slice(0, state_shape[1])),
        lambda g, cell_shape: rows_of(g, -1, slice(cell_shape[1], 2 * cell_shape[1])),
        lambda g, y: linear_weight(rows_of(g, slice(0, -1)), rows_of(y, slice(0, -2))),
        None,
    ),
    joint=lambda g, gates, state, cell, weight, valid, saved: lstm_gradient(
        g, gates, state, cell, weight, valid, saved=saved
    ),
    reference=lambda np, *operands: _step_by_step(np, *operands)[0],
    samples=Recurrence(4, 2),
    saves=True,
    passes_on=True,
    latex=r"\operatorname{{lstm}}({0}, {1}, {2}; {3})",
    batch=batched.recurring,
    native=native_recurrent.lstm,
    multiply_adds=lambda gates, state, cell, weight, valid: math.prod(gates) * state[-1],
)
def lstm_states(
    gates: Array, state: Array, cell: Array, weight: Array, valid: Array
) -> tuple[Array, tuple[Array, ...]]:
    """``(time + 2, batch, h)``: the state before the first step and after each, then the last cell; see :func:`lstm`.

    ``valid (time, batch)`` has no elements where all steps count. Saved are the gates and their slopes, the
    cells, their tanh and its slope. No slope is computed from a value near 1.
    """
    time, batch, width = gates.shape
    size = width // 4
    dtype = np.result_type(gates, state, cell, weight)
    y = np.empty((time + 2, batch, size), dtype)
    opened = np.empty((time, batch, width), dtype)
    cells = np.empty((time + 1, batch, size), dtype)
    slopes, bent = np.empty_like(opened), np.empty((time, batch, size), dtype)
    bows = np.empty_like(bent)
    scratch = np.empty((batch, size), dtype)
    enter, forget, candidate, leave = _columns(size)
    across = weight.T
    y[0], cells[0] = state, cell
    for t in range(time):
        now, slope, old, new = opened[t], slopes[t], cells[t], cells[t + 1]
        np.matmul(y[t], across, now)
        np.add(now, gates[t], now)
        _logistic(now[:, : 2 * size], slope[:, : 2 * size])
        _logistic(now[:, leave], slope[:, leave])
        slope[:, candidate] = tanh_slope(now[:, candidate])
        np.tanh(now[:, candidate], now[:, candidate])
        np.multiply(now[:, forget], old, new)
        np.multiply(now[:, enter], now[:, candidate], scratch)
        np.add(new, scratch, new)
        np.tanh(new, bent[t])
        bows[t] = tanh_slope(new)
        np.multiply(now[:, leave], bent[t], y[t + 1])
        if valid.size:
            stays = ~valid[t]
            new[stays], y[t + 1][stays] = old[stays], y[t][stays]
    y[-1] = cells[-1]
    return y, (opened, slopes, cells, bent, bows)


@primitive(
    vjp=(
        lambda g: g.tangent,
        lambda g: g.adjoint[0],
        lambda g: g.adjoint[1],
        lambda g: g.adjoint[2],
        lambda g: g.adjoint[3],
        None,
    ),
    joint=lambda g, z, gates, state, cell, weight, valid: _Second(g, z, gates, state, cell, weight, valid),
    reference=lambda np, z, *operands, saved: _through_time(np, z, *operands),
    samples=Recurrence(4, 2),
    passes_on=True,
    latex=r"\operatorname{{lstm}}'({1}, {2}, {3}; {4})\,{0}",
    batch=batched.recurring,
    native=native_recurrent.lstm_gradient,
)
def lstm_gradient(
    z: Array,
    gates: Array,
    state: Array,
    cell: Array,
    weight: Array,
    valid: Array,
    *,
    saved: tuple[Array, ...] | None = None,
) -> Array:
    """What ``z``, the gradient of :func:`lstm_states`, becomes before the LSTM: ``(time + 1, batch, 4 h)``.

    The gradients of ``gates``, and in the last row those of ``state`` and of ``cell`` in the first columns. ``saved``
    is what :func:`lstm_states` has worked out of the same operands.
    """
    time, batch, width = gates.shape
    size = width // 4
    saved = lstm_states.op.forward(gates, state, cell, weight, valid)[1] if saved is None else saved  # type: ignore[attr-defined]
    opened, slopes, cells, bent, bows = saved
    dtype = np.result_type(z, opened)
    out = np.empty((time + 1, batch, width), dtype)
    enter, forget, candidate, leave = _columns(size)
    of_state = z[-2].astype(dtype)
    of_cell = z[-1].astype(dtype)
    for t in range(time - 1, -1, -1):
        now, delta = opened[t], out[t]
        if valid.size:
            stays = ~valid[t]
            kept = of_state[stays], of_cell[stays]
            of_state[stays], of_cell[stays] = 0, 0
        np.multiply(of_state, bent[t], delta[:, leave])
        np.multiply(of_state, now[:, leave], of_state)
        np.multiply(of_state, bows[t], of_state)
        np.add(of_cell, of_state, of_cell)
        np.multiply(of_cell, now[:, candidate], delta[:, enter])
        np.multiply(of_cell, cells[t], delta[:, forget])
        np.multiply(of_cell, now[:, enter], delta[:, candidate])
        np.multiply(delta, slopes[t], delta)
        np.multiply(of_cell, now[:, forget], of_cell)
        np.matmul(delta, weight, of_state)
        if valid.size:
            of_state[stays], of_cell[stays] = kept
        np.add(of_state, z[t], of_state)
    out[-1, :, :size] = of_state
    out[-1, :, size : 2 * size] = of_cell
    out[-1, :, 2 * size :] = 0
    return out


class _Second:
    """The derivatives of :func:`lstm_gradient`, composed of other ops, so that they can be differentiated again.

    With ``J`` the Jacobian of :func:`lstm_states`, the gradient is ``J' z``, and ``<u, J' z> = <z, J u>``: by ``z`` the
    derivative is the tangent ``J u``; the others are those of the number ``<z, J u>``, from the last time to the first.
    """

    def __init__(self, u: Any, z: Any, gates: Any, state: Any, cell: Any, weight: Any, valid: Any) -> None:
        self.u, self.z, self.weight, self.valid = u, z, weight, valid
        self.gates, self.state, self.cell = gates, state, cell
        self.time, _, width = gates.shape
        self.columns = [(slice(None), part) for part in _columns(width // 4)]

    def _split(self, x: Any) -> list[Any]:
        return [getitem(x, part) for part in self.columns]

    @cached_property
    def _steps(self) -> list[tuple[Any, ...]]:
        """Of each time step: the sums of the gates and their tangents; cell and state before it, and their tangents."""
        state, cell = self.state, self.cell
        moved, drift, *_ = self._split(getitem(self.u, -1))
        steps = []
        for t in range(self.time):
            sums = add(getitem(self.gates, t), dense_without_bias(state, self.weight))
            turns = add(getitem(self.u, t), dense_without_bias(moved, self.weight))
            enter, forget, candidate, leave = _opened(self._split(sums))
            d_enter, d_forget, d_candidate, d_leave = map(mul, _slopes(self._split(sums)), self._split(turns))
            new = add(mul(forget, cell), mul(enter, candidate))
            flow = add(
                add(mul(d_forget, cell), mul(forget, drift)), add(mul(d_enter, candidate), mul(enter, d_candidate))
            )
            bent = tanh(new)
            steps.append((sums, turns, cell, drift, new, flow, state, moved))
            state, moved = (
                carried(self.valid, t, mul(leave, bent), state),
                carried(self.valid, t, add(mul(d_leave, bent), mul(mul(leave, tanh_slope(new)), flow)), moved),
            )
            cell, drift = carried(self.valid, t, new, cell), carried(self.valid, t, flow, drift)
        self._end = moved, drift
        return steps

    @cached_property
    def tangent(self) -> Any:
        """How the states move with ``u``: what ``z`` is multiplied with."""
        moves = [step[7] for step in self._steps]
        return _stacked([*moves, *self._end])

    @cached_property
    def adjoint(self) -> tuple[Any, Any, Any, Any]:
        """The gradients of ``<z, J u>`` by gates, state, cell and weight."""
        zero = mul(self.state, 0.0)
        by_state, by_cell, by_weight = zero, zero, None
        to_state, to_cell = getitem(self.z, -2), getitem(self.z, -1)
        rows: list[Any] = []
        for t in range(self.time - 1, -1, -1):
            sums, turns, cell, drift, new, flow, state, moved = self._steps[t]
            enter, forget, candidate, leave = _opened(self._split(sums))
            slopes, bends = _slopes(self._split(sums)), _bends(self._split(sums))
            d_enter, d_forget, d_candidate, d_leave = map(mul, slopes, self._split(turns))
            bent, slope = tanh(new), tanh_slope(new)
            kept = by_state, by_cell, to_state, to_cell
            by_state, by_cell, to_state, to_cell = [passed(self.valid, t, one) for one in kept]
            # h = o tanh(c), and its tangent.
            by_leave = add(mul(by_state, bent), mul(mul(to_state, slope), flow))
            to_leave = mul(to_state, bent)
            by_new = add(
                by_cell,
                mul(
                    slope,
                    add(
                        mul(by_state, leave),
                        mul(to_state, add(d_leave, mul(mul(mul(leave, bent), flow), -2.0))),
                    ),
                ),
            )
            to_new = add(to_cell, mul(mul(to_state, leave), slope))
            # c = f c' + i g, and its tangent.
            by_gates = (
                add(mul(by_new, candidate), mul(to_new, d_candidate)),
                add(mul(by_new, cell), mul(to_new, drift)),
                add(mul(by_new, enter), mul(to_new, d_enter)),
                by_leave,
            )
            to_gates = mul(to_new, candidate), mul(to_new, cell), mul(to_new, enter), to_leave
            by_cell = add(mul(by_new, forget), mul(to_new, d_forget))
            to_cell = mul(to_new, forget)
            by_sums = _beside(
                [
                    add(mul(by, slope), mul(mul(to, bend), turn))
                    for by, to, slope, bend, turn in zip(
                        by_gates, to_gates, slopes, bends, self._split(turns), strict=True
                    )
                ]
            )
            to_sums = _beside(list(map(mul, to_gates, slopes)))
            by_state, to_state = matmul(by_sums, self.weight), matmul(to_sums, self.weight)
            share = add(linear_weight(by_sums, state), linear_weight(to_sums, moved))
            by_weight = share if by_weight is None else add(by_weight, share)
            by_state, by_cell, to_state, to_cell = [
                carried(self.valid, t, one, old)
                for one, old in zip((by_state, by_cell, to_state, to_cell), kept, strict=True)
            ]
            to_state = add(to_state, getitem(self.z, t))
            rows.append(by_sums)
        return _stacked(rows[::-1]), by_state, by_cell, by_weight


def _beside(parts: list[Any]) -> Any:
    size = parts[0].shape[1]
    return joined(*parts, axis=1, ends=tuple([size * (place + 1) for place in range(len(parts))]))


def _stacked(rows: list[Any]) -> Any:
    rows = [reshaped(one, shape=(1, *one.shape)) for one in rows]
    return joined(*rows, axis=0, ends=tuple(range(1, len(rows) + 1)))


def _opened(sums: list[Any]) -> tuple[Any, Any, Any, Any]:
    enter, forget, candidate, leave = sums
    return sigmoid(enter), sigmoid(forget), tanh(candidate), sigmoid(leave)


def _slopes(sums: list[Any]) -> tuple[Any, Any, Any, Any]:
    enter, forget, candidate, leave = sums
    return sigmoid_slope(enter), sigmoid_slope(forget), tanh_slope(candidate), sigmoid_slope(leave)


def _bends(sums: list[Any]) -> tuple[Any, Any, Any, Any]:
    """The second derivatives of the gates."""
    enter, forget, candidate, leave = sums
    logistic = [neg(mul(sigmoid_slope(x), tanh(mul(x, 0.5)))) for x in (enter, forget, leave)]
    return logistic[0], logistic[1], mul(mul(tanh_slope(candidate), tanh(candidate)), -2.0), logistic[2]


# --- the same in the words of a textbook, one sample at a time, for the tests ---------------------


def _tanh(np: Any, x: Any) -> Any:
    return (np.exp(2 * x) - 1) / (np.exp(2 * x) + 1)


def _step_by_step(np: Any, gates: Any, state: Any, cell: Any, weight: Any, valid: Any) -> tuple[Any, Any]:
    time, batch, _ = gates.shape
    states, notes = [state], []
    for t in range(time):
        h, c, noted = [], [], []
        for n in range(batch):
            counts = not valid.size or valid[t, n]
            i, f, g, o = np.split(gates[t, n] + weight @ state[n], 4)
            i, f, g, o = 1 / (1 + np.exp(-i)), 1 / (1 + np.exp(-f)), _tanh(np, g), 1 / (1 + np.exp(-o))
            new = f * cell[n] + i * g
            noted.append((counts, i, f, g, o, cell[n], new, state[n]))
            h.append(o * _tanh(np, new) if counts else state[n])
            c.append(new if counts else cell[n])
        state, cell = np.reshape(h, state.shape), np.reshape(c, cell.shape)
        states.append(state)
        notes.append(noted)
    return np.stack([*states, cell]), notes


def _through_time(np: Any, z: Any, gates: Any, state: Any, cell: Any, weight: Any, valid: Any) -> Any:
    _, notes = _step_by_step(np, gates, state, cell, weight, valid)
    time, batch, width = gates.shape
    size = width // 4
    out = np.zeros((time + 1, batch, width), np.result_type(z, gates, state, cell, weight))
    for n in range(batch):
        dh, dc = z[-2, n], z[-1, n]
        for t in reversed(range(time)):
            counts, i, f, g, o, before, new, _ = notes[t][n]
            if counts:
                dc = dc + dh * o * (1 - _tanh(np, new) ** 2)
                do = dh * _tanh(np, new) * o * (1 - o)
                di, df, dg = dc * g * i * (1 - i), dc * before * f * (1 - f), dc * i * (1 - g**2)
                out[t, n] = np.concatenate([di, df, dg, do])
                dh, dc = out[t, n] @ weight, dc * f
            dh = dh + z[t, n]
        out[-1, n, :size], out[-1, n, size : 2 * size] = dh, dc
    return out
