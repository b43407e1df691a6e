"""The NumPy calls that ops write out for replays give the bits of their forward functions."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_mlp
from tinygrad_mlp.ops.kernels import slice_by_slice
from tinygrad_mlp.tape import OPS

ROWS = st.integers(1, 200)
SIDES = st.integers(1, 9)
DTYPES = st.sampled_from([np.float32, np.float64])


def run_calls(name: str, operands: list[Any], params: dict[str, Any]) -> tuple[Any, Any]:
    """The forward function's result, and that of the written calls in memory of the same layout; None without calls."""
    op = OPS[name]
    expected = op.forward(*operands, **params)
    saved = params.get("saved", ())
    if op.saves:
        expected, saved = expected
    expected = np.asarray(expected)
    result = SimpleNamespace(shape=expected.shape, dtype=expected.dtype)
    calls = op.calls(operands, params, result)
    if calls is None:
        return expected, None
    y = np.full_like(expected, 7)
    kept = [np.full(one[0], 7, one[1]) for one in calls.keeps] or list(params.get("saved", ()))
    space = {**calls.names, "y": y}
    space |= {f"x{i}": one for i, one in enumerate(operands)}
    space |= {f"t{i}": np.empty(*one) for i, one in enumerate(calls.scratch)}
    space |= {f"k{i}": one for i, one in enumerate(kept)}
    for line in calls.lines:
        text = re.sub(r"\{(\d+)\}", r"x\1", line)
        text = re.sub(r"\{(\w+)\}", r"\1", text)
        with np.errstate(all="ignore"):
            exec(text, space)  # noqa: S102 - the lines that ops declare
    if calls.keeps:
        for one, other in zip(kept, saved, strict=True):
            assert one.tobytes() == other.tobytes()
    return expected, y


def test_ops_with_calls_are_tested_here() -> None:
    """An op that writes its calls out is compared below."""
    assert {op.name for op in OPS.values() if op.calls} == {
        "cross_entropy", "cross_entropy_gradient", "gate", "linear", "linear_weight", "linear_without_bias", "matmul",
        "mean", "relu", "sigmoid", "sigmoid_slope", "squared_error", "sum_to", "tanh_slope",
    }  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(ROWS, SIDES, SIDES, DTYPES, st.booleans(), st.integers(0, 2**32 - 1))
def test_products(n: int, a: int, b: int, dtype: Any, by_columns: bool, seed: int) -> None:
    """Layers and their gradients, with weights in either layout."""
    rng = np.random.default_rng(seed)
    some = np.array([0.0, -0.0, 1.0, -2.0])
    draw = lambda *shape: (rng.choice(some, shape) if seed % 2 else rng.standard_normal(shape)).astype(dtype)
    weight = np.asarray(draw(b, a), order="F" if by_columns else "C")
    for name, operands, params in (
        ("linear", [draw(n, a), weight, draw(b)], {}),
        ("linear_without_bias", [draw(n, a), weight], {}),
        ("matmul", [draw(n, b), weight], {}),
        ("linear_weight", [draw(n, b), draw(n, a)], {"by_columns": by_columns}),
    ):
        expected, found = run_calls(name, operands, params)
        assert found is not None
        assert found.tobytes() == expected.tobytes()
        assert [s for s, n in zip(found.strides, found.shape, strict=True) if n > 1] == [
            s for s, n in zip(expected.strides, expected.shape, strict=True) if n > 1
        ]


@settings(max_examples=200, deadline=None)
@given(ROWS, st.lists(SIDES, max_size=2), DTYPES, st.integers(0, 2**32 - 1))
def test_sums(n: int, shape: list[int], dtype: Any, seed: int) -> None:
    """Sums down to a bias, however many rows there are."""
    x = np.random.default_rng(seed).standard_normal((n, *shape)).astype(dtype)
    x.flat[0] = -0.0
    expected, found = run_calls("sum_to", [x], {"shape": tuple(shape)})
    if found is not None:
        assert found.tobytes() == expected.tobytes()


@settings(max_examples=100, deadline=None)
@given(ROWS, SIDES, DTYPES, st.booleans(), st.integers(0, 2**32 - 1))
def test_gates(n: int, a: int, dtype: Any, hostile: bool, seed: int) -> None:
    """The gate of relu, and relu, with infinities and NaN too."""
    rng = np.random.default_rng(seed)
    z, x = (rng.standard_normal((n, a)).astype(dtype) for _ in range(2))
    if hostile:
        z.flat[0], x.flat[-1] = np.inf, np.nan
        z.flat[-1] = -0.0
    for name, operands in (("gate", [z, x]), ("relu", [z])):
        with np.errstate(all="ignore"):
            expected, found = run_calls(name, operands, {})
        assert found is not None
        assert found.tobytes() == expected.tobytes()


@settings(max_examples=100, deadline=None)
@given(ROWS, SIDES, DTYPES, st.booleans(), st.integers(0, 2**32 - 1))
def test_elementwise(n: int, a: int, dtype: Any, hostile: bool, seed: int) -> None:
    """Slopes and errors, where they saturate, at infinities and NaN too."""
    rng = np.random.default_rng(seed)
    x, y = (rng.standard_normal((n, a)).astype(dtype) * dtype(10.0 ** rng.integers(-3, 3)) for _ in range(2))
    if hostile:
        x.flat[0], x.flat[-1], y.flat[0] = np.inf, np.nan, -np.inf
    for name, operands in (("tanh_slope", [x]), ("sigmoid_slope", [x]), ("sigmoid", [x]), ("squared_error", [x, y])):
        with np.errstate(all="ignore"):
            expected, found = run_calls(name, operands, {})
        assert found is not None
        assert found.tobytes() == expected.tobytes()


@settings(max_examples=100, deadline=None)
@given(st.lists(SIDES, min_size=1, max_size=3), DTYPES, st.booleans(), st.data())
def test_means(shape: list[int], dtype: Any, keepdims: bool, data: st.DataObject) -> None:
    """Means over any axes."""
    axes = tuple(sorted(data.draw(st.sets(st.integers(0, len(shape) - 1), min_size=1))))
    x = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1))).standard_normal(shape).astype(dtype)
    x.flat[0] = -0.0
    expected, found = run_calls("mean", [x], {"axes": axes, "keepdims": keepdims})
    assert found is not None or slice_by_slice(tuple(shape), axes)
    if found is not None:
        assert found.tobytes() == expected.tobytes()


@settings(max_examples=100, deadline=None)
@given(ROWS, st.integers(2, 12), DTYPES, st.sampled_from(["u1", "i4", "i8"]), st.booleans(), st.integers(0, 2**32 - 1))
def test_cross_entropy(n: int, classes: int, dtype: Any, ids: str, hostile: bool, seed: int) -> None:
    """The loss, what it saves, and the gradient from that; also with ties, and logits that are not finite."""
    rng = np.random.default_rng(seed)
    logits = rng.standard_normal((n, classes)).astype(dtype).round(1)
    if hostile:
        logits.flat[0], logits.flat[-1] = np.inf, np.nan
    targets = rng.integers(0, classes, n).astype(ids)
    with np.errstate(all="ignore"):
        expected, found = run_calls("cross_entropy", [logits, targets], {})
        assert found.tobytes() == expected.tobytes()
        saved = OPS["cross_entropy"].forward(logits, targets)[1]
        expected, found = run_calls("cross_entropy_gradient", [logits, targets], {"saved": saved})
    assert found.tobytes() == expected.tobytes()


def test_a_wrong_call_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison can fail."""
    wrong = OPS["relu"].calls
    assert wrong is not None
    monkeypatch.setattr(
        OPS["relu"],
        "calls",
        lambda *given: SimpleNamespace(
            lines=("maximum(x0, 1, out=y)",), scratch=(), keeps=(), names={"maximum": np.maximum}
        ),
    )
    expected, found = run_calls("relu", [np.linspace(-1, 1, 5)], {})
    assert found.tobytes() != expected.tobytes()


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_a_product_of_two_numbers_has_the_sign_of_its_zero(sign: float) -> None:
    """Case 2395 of the random programs: ``matmul`` of 1 by 1 matrices never gives -0.0, ``dot`` does."""
    step = tinygrad_mlp.compile(lambda x, y: x @ y, backend="replay")
    x, y = np.full((1, 1), -0.0 * sign), np.full((1, 1), sign)
    step(x, y)
    assert step(x, y).data.tobytes() == np.matmul(x, y).tobytes()
