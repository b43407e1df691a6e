"""Random expression graphs: the engine against another evaluation of the same graph, which knows nothing of gradients.

Smooth graphs are compared with the complex step, integer graphs with Python's own integers, bit for bit. A failing
graph is printed as a program.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from random_graphs import Step, Table, as_text, random_program, run

from tinygrad_mlp import Tensor, autograd, func, ops
from tinygrad_mlp.tape import consumers_first, walk
from tinygrad_mlp.testing.cases import leaf as leaf_on
from tinygrad_mlp.tree import flatten

GRAPHS = {20: 100, 100: 1000, 2000: 10_000}.get(settings().max_examples, 100)
"""How many graphs: 100, 1,000 or 10,000 in the profiles dev, ci and nightly."""

STEP = 1e-20
SIDE = 3


def _softmax(np_or_ops: Any, x: Any) -> Any:
    if np_or_ops is ops:
        return ops.softmax(x, 1)
    e = np.exp(x - x.real.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def _pick(pick: int) -> Any:
    return np.array([pick % SIDE, (pick // 3) % SIDE, pick % SIDE])


# m is NumPy or our ops, p a small number. Every step maps matrices (SIDE, SIDE) to such a matrix, of moderate values.
SMOOTH: Table = {
    "add": (2, lambda m, p, a, b: a + b),
    "sub": (2, lambda m, p, a, b: a - b),
    "mul": (2, lambda m, p, a, b: m.tanh(a) * b),
    "div": (2, lambda m, p, a, b: a / (b * b + 1.5)),
    "matmul": (2, lambda m, p, a, b: m.matmul(m.tanh(a), b) * 0.5),
    "tanh": (1, lambda m, p, a: m.tanh(a)),
    "sin": (1, lambda m, p, a: m.sin(a)),
    "exp": (1, lambda m, p, a: m.exp(m.tanh(a))),
    "log": (1, lambda m, p, a: m.log(a * a + 1.0)),
    "softmax": (1, lambda m, p, a: _softmax(m, a)),
    "sum": (1, lambda m, p, a: m.tanh(m.sum(a, p % 2, keepdims=True)) + a),
    "mean": (1, lambda m, p, a: a - m.mean(a, p % 2, keepdims=True)),
    "transpose": (1, lambda m, p, a: m.transpose(a)),
    "reshape": (1, lambda m, p, a: m.reshape(m.transpose(a), (SIDE, SIDE))),
    "rows": (1, lambda m, p, a: a[_pick(p)] * 0.5 + a),
    "reverse": (1, lambda m, p, a: a[::-1, :]),
    "twins": (1, lambda m, p, a: _join(m, [a, a])[p % SIDE : p % SIDE + SIDE]),
    "joined": (2, lambda m, p, a, b: _join(m, [a[:1], b, a])[1 : 1 + SIDE]),
    "scale": (1, lambda m, p, a: a * (0.5 + p / 64)),
    "constant": (1, lambda m, p, a: a + np.full((1, SIDE), p / 32)),
}

INTEGER: Table = {
    "add": (2, lambda m, p, a, b: a + b),
    "sub": (2, lambda m, p, a, b: a - b),
    "mul": (2, lambda m, p, a, b: a * b),
    "matmul": (2, lambda m, p, a, b: m.matmul(a, b)),
    "sum": (1, lambda m, p, a: m.sum(a, p % 2, keepdims=True) + a),
    "transpose": (1, lambda m, p, a: m.transpose(a)),
    "rows": (1, lambda m, p, a: a[_pick(p)]),
    "twins": (1, lambda m, p, a: _join(m, [a, a])[p % SIDE : p % SIDE + SIDE]),
}


def _join(m: Any, parts: list[Any]) -> Any:
    return m.cat(parts, 0) if m is ops else np.concatenate(parts, 0)


@pytest.mark.parametrize("part", range(10))
def test_smooth_graphs_agree_with_the_complex_step(part: int) -> None:
    """1 to 40 ops with repeated operands and fan-out up to 32: value and gradient to 1e-10 of the complex step's."""
    for number in range(part * GRAPHS // 10, (part + 1) * GRAPHS // 10):
        rng = np.random.default_rng([7, number])
        leaves = [rng.normal(size=(SIDE, SIDE)) for _ in range(int(rng.integers(1, 4)))]
        program = random_program(rng, SMOOTH, len(leaves), int(rng.integers(1, 41)))
        tensors = [Tensor(one, requires_grad=True) for one in leaves]
        y = run(program, SMOOTH, ops, tensors)
        incoming = rng.normal(size=y.shape)
        text = as_text(program, len(leaves))
        np.testing.assert_allclose(y.data, run(program, SMOOTH, np, leaves), rtol=1e-12, atol=1e-12, err_msg=text)
        found = autograd.grad(y, tensors, [Tensor(incoming)], allow_unused=True)
        expected = [np.zeros_like(one) for one in leaves]
        for which, leaf in enumerate(leaves):
            for place in np.ndindex(leaf.shape):
                moved = [one.astype(complex) for one in leaves]
                moved[which][place] += 1j * STEP
                expected[which][place] = np.sum(incoming * run(program, SMOOTH, np, moved).imag / STEP)
        scale = max(float(np.abs(one).max()) for one in expected) + 1.0
        for one, right in zip(found, expected, strict=True):
            got = np.zeros_like(right) if one is None else one.data
            np.testing.assert_allclose(got, right, rtol=1e-10, atol=1e-10 * scale, err_msg=text)


def first_order(program: list[Step], array: Any, incoming: Any) -> Any:
    x = leaf_on(array)
    y = run(program, SMOOTH, ops, [x])
    return walk((y.node,), (incoming.astype(complex),), targets=[x.node])[x.node]


@pytest.mark.parametrize("part", range(10))
def test_recorded_walks_agree_with_the_complex_step(part: int) -> None:
    """The gradient of a random combination of the gradients, through the same graphs."""
    for number in range(part * GRAPHS // 50, (part + 1) * GRAPHS // 50):
        rng = np.random.default_rng([8, number])
        point = rng.normal(size=(SIDE, SIDE))
        program = random_program(rng, SMOOTH, 1, int(rng.integers(1, 16)))
        weights, incoming = rng.normal(size=point.shape), rng.normal(size=(SIDE, SIDE))

        x = Tensor(point, requires_grad=True)
        (first,) = autograd.grad(run(program, SMOOTH, ops, [x]), x, [Tensor(incoming)], create_graph=True)
        text = as_text(program, 1)
        if first.node is None:
            second = np.zeros_like(point)
        else:
            (found,) = autograd.grad(first, x, [Tensor(weights)], allow_unused=True)
            second = np.zeros_like(point) if found is None else found.data
        expected = np.zeros_like(point)
        for place in np.ndindex(point.shape):
            moved = point.astype(complex)
            moved[place] += 1j * STEP
            expected[place] = np.sum(weights * first_order(program, moved, incoming).imag / STEP)
        scale = float(np.abs(expected).max()) + 1.0
        np.testing.assert_allclose(second, expected, rtol=1e-9, atol=1e-10 * scale, err_msg=text)


def python_integers(array: Any) -> Any:
    return np.vectorize(int, otypes=[object])(array)


@pytest.mark.parametrize("part", range(10))
def test_integer_graphs_are_exact(part: int) -> None:
    """On small integers float64 is exact, so the gradient of every leaf equals Python's integers bit for bit.

    The independent derivative is the coefficient of t in the value at ``x + t``, by polynomials in t cut off after t.
    """
    for number in range(part * GRAPHS // 10, (part + 1) * GRAPHS // 10):
        rng = np.random.default_rng([9, number])
        leaves = [rng.integers(-2, 3, (SIDE, SIDE)) for _ in range(int(rng.integers(1, 4)))]
        program = random_program(rng, INTEGER, len(leaves), int(rng.integers(1, 9)))
        tensors = [Tensor(one.astype(float), requires_grad=True) for one in leaves]
        y = run(program, INTEGER, ops, tensors)
        incoming = rng.integers(-3, 4, y.shape)
        text = as_text(program, len(leaves))
        found = autograd.grad(y, tensors, [Tensor(incoming.astype(float))], allow_unused=True)
        exact = [python_integers(one) for one in leaves]
        value = run(program, INTEGER, np, exact)
        # Beyond 2**53 float64 itself rounds; such graphs are left out, and counted by the test below.
        if max(abs(one) for one in value.ravel()) >= 2**40:
            continue
        assert (python_integers(y.data) == value).all(), text
        for which, (one, leaf) in enumerate(zip(found, exact, strict=True)):
            got = np.zeros(leaf.shape) if one is None else one.data
            for place in np.ndindex(leaf.shape):
                moved = [dual(array) for array in exact]
                moved[which][place] = Dual(leaf[place], 1)
                slopes = np.vectorize(lambda d: d.slope, otypes=[object])(run(program, INTEGER, np, moved))
                right = int((incoming.astype(object) * slopes).sum())
                if abs(right) < 2**40:
                    assert got[place] == right, (text, which, place)


@dataclass(frozen=True)
class Dual:
    """``value + slope t`` with t**2 = 0, on Python integers."""

    value: int
    slope: int = 0

    def __add__(self, other: Dual) -> Dual:
        return Dual(self.value + other.value, self.slope + other.slope)

    def __sub__(self, other: Dual) -> Dual:
        return Dual(self.value - other.value, self.slope - other.slope)

    def __mul__(self, other: Dual) -> Dual:
        return Dual(self.value * other.value, self.value * other.slope + self.slope * other.value)


def dual(array: Any) -> Any:
    return np.vectorize(Dual, otypes=[object])(array)


def test_generator_makes_what_it_promises() -> None:
    """Among the graphs are f(x, x), wide fan-out, 40 ops, and integer graphs that stay small enough to be exact."""
    repeated, widest, longest = 0, 0, 0
    for number in range(100):
        rng = np.random.default_rng([7, number])
        leaves = [rng.normal(size=(SIDE, SIDE)) for _ in range(int(rng.integers(1, 4)))]
        program = random_program(rng, SMOOTH, len(leaves), int(rng.integers(1, 41)))
        repeated += any(len(step.takes) == 2 and step.takes[0] == step.takes[1] for step in program)
        uses = [sum(step.takes.count(i) for step in program) for i in range(len(leaves) + len(program))]
        widest, longest = max(widest, *uses), max(longest, len(program))
    assert repeated > 20
    assert widest >= 20
    assert longest == 40


@pytest.mark.parametrize("uses", range(1, 65))
def test_fan_out_is_counted_exactly(uses: int) -> None:
    """A value used n times gets the sum of n gradients, exactly, and each node is visited once."""
    x = Tensor([3.0, -2.0], requires_grad=True, dtype=np.float64)
    hub = x * 1.0
    total = hub * 1.0
    for k in range(2, uses + 1):
        total = total + hub * float(k)
    total.backward(np.array([1.0, 2.0]))
    factor = uses * (uses + 1) // 2
    np.testing.assert_array_equal(x.grad.data, [factor, 2 * factor])
    nodes = consumers_first([total.node])
    assert len(nodes) == len(set(nodes)) == 2 + uses + (uses - 1)


@pytest.mark.parametrize(
    ("fn", "slope"),
    [
        (lambda x: x + x, lambda x: 2 + 0 * x),
        (lambda x: x * x, lambda x: 2 * x),
        (lambda x: x - x, lambda x: 0 * x),
        (lambda x: x / x, lambda x: 0 * x),
        (lambda x: ops.maximum(x, x), lambda x: 1 + 0 * x),
        (lambda x: ops.minimum(x, x), lambda x: 1 + 0 * x),
        (lambda x: ops.cat([x, x]), lambda x: 2 + 0 * x),
        (lambda x: ops.stack([x, x, x]), lambda x: 3 + 0 * x),
        (lambda x: ops.where(x > 0, x, x), lambda x: 1 + 0 * x),
        (lambda x: ops.matmul(x, x), lambda x: 2 * x),
        (lambda x: x * x[::-1], lambda x: 2 * x[::-1]),
        (lambda x: ops.outer(x, x), lambda x: 2 * x.sum() + 0 * x),
    ],
)
def test_both_operands_the_same(fn: Any, slope: Any) -> None:
    """f(x, x) and f(x, reversed x): the gradient is the sum over both places, exactly on integers."""
    x = Tensor([4.0, -2.0, 8.0], requires_grad=True, dtype=np.float64)
    fn(x).sum().backward()
    np.testing.assert_array_equal(x.grad.data, slope(x.data))


def test_many_samples_at_once_equal_one_at_a_time() -> None:
    """Values, gradients and products with the Hessian per sample: one replay against one run per sample."""
    for number in range(GRAPHS // 4):
        rng = np.random.default_rng([13, number])
        leaves = [rng.normal(size=(SIDE, SIDE)) for _ in range(int(rng.integers(1, 4)))]
        program = random_program(rng, SMOOTH, len(leaves), int(rng.integers(1, 15)))
        batched = [bool(rng.integers(2)) for _ in leaves]
        batched[int(rng.integers(len(leaves)))] = True
        given = [rng.normal(size=(3, SIDE, SIDE)) if one else leaf for one, leaf in zip(batched, leaves, strict=True)]
        axes = tuple([0 if one else None for one in batched])
        every = tuple(range(len(leaves)))
        weights = rng.normal(size=(SIDE, SIDE))

        def scalar(*values: Any, program: list[Step] = program, weights: np.ndarray = weights) -> Any:
            return (run(program, SMOOTH, ops, list(values)) * weights).sum()

        def bend(*values: Any, every: tuple[int, ...] = every, scalar: Callable[..., Any] = scalar) -> Any:
            return func.hvp(scalar, values, values)[1]

        for function in (scalar, func.grad(scalar, every), bend):
            once = flatten(func.vmap(function, axes)(*given))[0]
            looped = flatten(func.vmap(function, axes, chunk_size=1)(*given))[0]
            for one, other in zip(once, looped, strict=True):
                text = as_text(program, len(leaves))
                np.testing.assert_allclose(one.data, other.data, rtol=1e-9, atol=1e-9, err_msg=text)
