"""The LSTM classifier by hand in NumPy: backpropagation through time written out, every array reused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from workloads import TextWorkload

__all__ = ["make_step"]


def make_step(  # noqa: PLR0915 - written out is the point
    workload: TextWorkload, make_update: Callable[..., Callable[[], None]], dtype: Any
) -> Callable[..., Any]:
    """A function that does one training step on a batch and returns the loss before it."""
    length, batch, size = workload.length, workload.batch, workload.hidden
    values = workload.weights(dtype)
    slopes = {name: np.zeros_like(value) for name, value in values.items()}
    update = make_update("Adam", workload.rate("Adam"), list(values.values()), list(slopes.values()))
    gates = np.empty((length, batch, 4 * size), dtype)
    cells = np.zeros((length + 1, batch, size), dtype)
    states = np.zeros((length + 1, batch, size), dtype)
    tanh_cells = np.empty((length, batch, size), dtype)
    gate_deltas = np.empty((length, batch, 4 * size), dtype)
    product = np.empty((batch, 4 * size), dtype)
    scratch = np.empty((batch, size), dtype)
    rows = np.arange(batch)

    def step(tokens: Any, target: Any) -> Any:
        words = tokens.T.reshape(-1)
        embedded = values["table"][words]
        np.matmul(embedded, values["gates_in"].T, out=gates.reshape(length * batch, 4 * size))
        np.add(gates, values["gates_bias"], out=gates)
        for time in range(length):
            gate = gates[time]
            np.matmul(states[time], values["gates_state"].T, out=product)
            gate += product
            for part in (gate[:, : 2 * size], gate[:, 3 * size :]):
                _sigmoid(part)
            candidate = gate[:, 2 * size : 3 * size]
            np.tanh(candidate, out=candidate)
            np.multiply(gate[:, size : 2 * size], cells[time], out=cells[time + 1])
            np.multiply(gate[:, :size], candidate, out=scratch)
            cells[time + 1] += scratch
            np.tanh(cells[time + 1], out=tanh_cells[time])
            np.multiply(gate[:, 3 * size :], tanh_cells[time], out=states[time + 1])
        logits = states[length] @ values["weight"].T + values["bias"]
        logits -= logits.max(axis=1, keepdims=True)
        chosen = logits[rows, target]
        np.exp(logits, out=logits)
        total = logits.sum(axis=1, keepdims=True)
        loss = np.log(total[:, 0]).mean() - chosen.mean()
        logits /= total
        logits[rows, target] -= 1
        logits *= 1 / batch
        np.matmul(logits.T, states[length], out=slopes["weight"])
        np.add.reduce(logits, axis=0, out=slopes["bias"])
        _back(logits @ values["weight"])
        flat = gate_deltas.reshape(length * batch, 4 * size)
        np.matmul(flat.T, states[:length].reshape(length * batch, size), out=slopes["gates_state"])
        np.matmul(flat.T, embedded, out=slopes["gates_in"])
        np.add.reduce(flat, axis=0, out=slopes["gates_bias"])
        slopes["table"].fill(0)
        np.add.at(slopes["table"], words, flat @ values["gates_in"])
        update()
        return loss

    def _back(delta_state: Any) -> None:
        delta_cell = np.zeros((batch, size), dtype)
        for time in range(length - 1, -1, -1):
            gate, delta, bent = gates[time], gate_deltas[time], tanh_cells[time]
            enter, forget, candidate, leave = (gate[:, k * size : (k + 1) * size] for k in range(4))
            np.multiply(delta_state, bent, out=scratch)
            np.multiply(scratch, leave * (1 - leave), out=delta[:, 3 * size :])
            np.multiply(bent, bent, out=scratch)
            np.subtract(1, scratch, out=scratch)
            np.multiply(scratch, leave, out=scratch)
            np.multiply(scratch, delta_state, out=scratch)
            np.add(delta_cell, scratch, out=delta_cell)
            np.multiply(delta_cell, candidate, out=scratch)
            np.multiply(scratch, enter * (1 - enter), out=delta[:, :size])
            np.multiply(delta_cell, cells[time], out=scratch)
            np.multiply(scratch, forget * (1 - forget), out=delta[:, size : 2 * size])
            np.multiply(delta_cell, enter, out=scratch)
            np.multiply(scratch, 1 - candidate * candidate, out=delta[:, 2 * size : 3 * size])
            np.multiply(delta_cell, forget, out=delta_cell)
            delta_state = delta @ values["gates_state"]

    return step


def _sigmoid(value: Any) -> None:
    """1 / (1 + exp(-x)) as (1 + tanh(x / 2)) / 2, in place: one pass that cannot overflow."""
    value *= 0.5
    np.tanh(value, out=value)
    value += 1
    value *= 0.5
