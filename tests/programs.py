"""Programs written down by hand, for the tests of what runs them: each call is computed eagerly as it is noted."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from tinygrad_mlp.program.ir import Feed, Program, SavedRef, Step, Value
from tinygrad_mlp.tape import OPS

Array = np.ndarray[Any, Any]


class Builder:
    """A program that grows call by call; ``arrays`` has what eager gives for each value."""

    def __init__(self, name: str = "test") -> None:
        self.program = Program(name)
        self.arrays: dict[Value, Array] = {}
        self.saved: dict[Step, Any] = {}

    def _leaf(self, kind: Any, array: Any, name: str, kept: bool) -> Value:
        array = np.asarray(array)
        value = Value(kind, array, name=name, array=array if kept else None)
        self.arrays[value] = array
        return value

    def input(self, array: Any, name: str = "x") -> Value:
        """An argument of the call."""
        value = self._leaf("input", array, name, kept=False)
        self.program.inputs.append(value)
        return value

    def buffer(self, array: Any, name: str = "w") -> Value:
        """An array that may be written; the program gets ``array`` itself."""
        value = self._leaf("buffer", array, name, kept=True)
        self.program.buffers.append(value)
        self.arrays[value] = value.array.copy(order="K")
        return value

    def constant(self, array: Any) -> Value:
        """An array that is only read."""
        value = self._leaf("constant", array, "", kept=True)
        self.program.constants.append(value)
        return value

    def fed(self, array: Any, name: str = "rate") -> Value:
        """What the host makes before each run."""
        value = self._leaf("fed", array, name, kept=False)
        self.program.feeds.append(Feed([value], lambda: [np.asarray(array)]))
        return value

    def call(self, op: Any, *operands: Any, **params: Any) -> Value:
        """One step."""
        op = OPS[op] if isinstance(op, str) else op
        arrays = [self.arrays[one] if isinstance(one, Value) else one for one in operands]
        given = {name: self.saved[one.step] if isinstance(one, SavedRef) else one for name, one in params.items()}
        complete = {name: (op.forward.__kwdefaults__ or {}).get(name) for name in op.params} | params
        with np.errstate(all="ignore"):
            y = op.forward(*arrays, **given)
        saved = None
        if op.saves:
            y, saved = y
        y = np.asarray(y)
        value = Value("step", y)
        step = Step(op, operands, complete, value, "forward", "", None)
        self.saved[step] = saved
        self.arrays[value] = y
        self.program.steps.append(step)
        for one in complete.values():
            if isinstance(one, SavedRef):
                one.step.saved = True
        return value

    def output(self, *values: Value) -> None:
        """What the function returns."""
        self.program.outputs += values

    def write(self, buffer: Value, value: Value) -> None:
        """A new value for a buffer."""
        self.program.writes.append((buffer, value))


def mlp_step(
    x: Array, target: Array, weights: list[tuple[Array, Array]], rate: float, optimizer: str = "sgd", act: str = "relu"
) -> Builder:
    """Forward, backward and update of a dense network, the calls as the engine's own rules make them."""
    b = Builder("step")
    dtype = x.dtype
    at, ids = b.input(x), b.input(target, "target")
    step_size = b.fed(np.asarray(rate, dtype))
    parameters = []
    for i, (weight, bias) in enumerate(weights):
        columns = np.ascontiguousarray(weight.T).T
        parameters.append((b.buffer(columns, f"{i}.weight"), b.buffer(bias.copy(), f"{i}.bias")))
    value, values = at, [at]
    last = len(weights) - 1
    linears, hidden = [], []
    for i, (weight, bias) in enumerate(parameters):
        value = b.call("linear", value, weight, bias)
        linears.append(value)
        if i < last:
            value = b.call(act, value)
            hidden.append(value)
            values.append(value)
    rows = len(x)
    if target.dtype.kind in "iu":
        losses = b.call("cross_entropy", value, ids)
        b.output(b.call("mean", losses, axes=(0,), keepdims=False))
        g = b.call("div", b.constant(np.ones((), dtype)), float(rows))
        g = b.call("broadcast_to", g, shape=(rows,))
        slope = b.call("cross_entropy_gradient", value, ids, saved=SavedRef(losses.step))
        g = b.call("mul", b.call("reshape", g, shape=(rows, 1)), slope)
    else:
        losses = b.call("squared_error", value, ids)
        b.output(b.call("mean", losses, axes=(0, 1), keepdims=False))
        g = b.call("div", b.constant(np.ones((), dtype)), float(target.size))
        g = b.call("broadcast_to", g, shape=target.shape)
        g = b.call("mul", g, b.call("mul", b.call("sub", value, ids), 2.0))
    updates = []
    for i in range(last, -1, -1):
        weight, bias = parameters[i]
        updates.append((bias, b.call("sum_to", g, shape=b.arrays[bias].shape)))
        updates.append((weight, b.call("linear_weight", g, values[i], by_columns=SavedRef(linears[i].step))))
        if i:
            g = b.call("matmul", g, weight)
            if act == "relu":
                g = b.call("gate", g, hidden[i - 1])
            else:
                g = b.call("mul", g, b.call(f"{act}_slope", linears[i - 1]))
    for number, (buffer, gradient) in enumerate(updates):
        if optimizer == "sgd":
            b.write(buffer, b.call("sub", buffer, b.call("mul", gradient, step_size)))
            continue
        shaped = b.arrays[buffer]
        first = b.buffer(np.zeros_like(shaped), f"exp_avg {number}")
        second = b.buffer(np.zeros_like(shaped), f"exp_avg_sq {number}")
        m = b.call("add", b.call("mul", first, 0.9), b.call("mul", gradient, 0.1))
        v = b.call("add", b.call("mul", second, 0.999), b.call("mul", b.call("square", gradient), 0.001))
        root = b.call("add", b.call("sqrt", v), 1e-8)
        b.write(first, m)
        b.write(second, v)
        b.write(buffer, b.call("sub", buffer, b.call("mul", b.call("div", m, root), step_size)))
    return b


def dense_data(sizes: tuple[int, ...], batch: int, dtype: Any = np.float32, seed: int = 1) -> Any:
    """Inputs, targets (class ids; numbers for one output), and weights of a dense network."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((batch, sizes[0])).astype(dtype)
    target = rng.integers(0, sizes[-1], batch) if sizes[-1] > 1 else rng.random((batch, 1)).astype(dtype)
    weights = [
        (
            rng.standard_normal((o, i)).astype(dtype) / np.sqrt(i, dtype=dtype),
            0.1 * rng.standard_normal(o).astype(dtype),
        )
        for i, o in itertools.pairwise(sizes)
    ]
    return x, target, weights
