"""What passes do to a program changes no bit of what it gives."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygrad_mlp import Tensor, autograd, compile, exp, ops, sin
from tinygrad_mlp.program import Compiled


def ops_of(step: Compiled) -> list[str]:
    return [one.op.name for one in step.program.steps]


@st.composite
def partitions(draw: st.DrawFn) -> tuple[tuple[int, ...], int, list[Any]]:
    """A shape, an axis, and indices that take that axis apart, in any order."""
    shape = tuple(draw(st.lists(st.integers(1, 6), min_size=1, max_size=3)))
    axis = draw(st.integers(0, len(shape) - 1))
    cuts = sorted(draw(st.sets(st.integers(1, max(shape[axis] - 1, 1)), max_size=4)) | {0, shape[axis]})
    parts: list[Any] = []
    for start, stop in itertools.pairwise(cuts):
        single = stop - start == 1 and draw(st.booleans())
        parts.append((slice(None),) * axis + ((start if single else slice(start, stop)),))
    return shape, axis, draw(st.permutations(parts))


def gradient(x: Any, parts: list[Any], weights: list[Any]) -> Any:
    """The gradient of a function that reads ``x`` part by part; some of its elements are negative zeros."""
    total = sum((sin(x[part]) * weight).sum() for part, weight in zip(parts, weights, strict=True))
    return autograd.grad(total, x)[0]


@settings(max_examples=60, deadline=None)
@given(partitions(), st.integers(0, 2**32 - 1))
def test_gradients_of_parts_are_joined(case: tuple[Any, int, list[Any]], seed: int) -> None:
    """Bit by bit what adding arrays of zeros gives, negative zeros among the parts included."""
    shape, _, parts = case
    rng = np.random.default_rng(seed)
    array = rng.normal(size=shape)
    weights = [
        np.where(rng.random(array[part].shape) < 0.3, -0.0, rng.normal(size=array[part].shape)) for part in parts
    ]
    x = Tensor(array, requires_grad=True)
    step = compile(lambda: gradient(x, parts, weights), backend="replay")
    expected = gradient(x, parts, weights)
    step()
    assert step().data.tobytes() == expected.data.tobytes()
    if len(parts) > 1:
        assert "put" not in ops_of(step)
        assert ops_of(step).count("cat") == 1


@pytest.mark.parametrize(
    "parts",
    [
        [slice(0, 2), slice(3, 5)],  # the third element is in none
        [slice(0, 3), slice(2, 5)],  # and here in both
        [slice(0, 5, 2), slice(1, 5, 2)],
        [slice(0, 3), slice(3, 5), slice(0, 5)],
    ],
)
def test_parts_that_are_no_partition_are_added(parts: list[Any]) -> None:
    """Gaps, overlaps and strides stay sums."""
    x = Tensor(np.linspace(-1, 1, 5), requires_grad=True)
    weights = [np.arange(1.0, 1 + len(range(5)[part])) for part in parts]
    step = compile(lambda: gradient(x, parts, weights), backend="replay")
    step()
    assert step().data.tobytes() == gradient(x, parts, weights).data.tobytes()
    assert "cat" not in ops_of(step)


def test_equal_steps_are_made_once_and_unneeded_ones_never() -> None:
    """What is computed twice is one step; what nobody reads is none."""

    @compile(backend="replay")
    def step(x: Tensor) -> Tensor:
        exp(x * 3)
        return exp(x) + exp(x)

    x = Tensor([1.0, 2.0])
    step(x)
    assert ops_of(step) == ["exp", "add"]
    np.testing.assert_array_equal(step(x).data, (exp(x) + exp(x)).data)


def test_numbers_that_only_look_equal_stay_apart() -> None:
    """0.0 and -0.0, 1 and 1.0 and True are not merged."""

    @compile(backend="replay")
    def step(x: Tensor) -> tuple[Tensor, Tensor]:
        return x * 0.0, x * -0.0

    x = Tensor([1.0])
    for _ in range(2):
        plus, minus = step(x)
        assert not np.signbit(plus.data[0])
        assert np.signbit(minus.data[0])


VIEWS: dict[str, Any] = {
    "itself": lambda x: x * 1.0,
    "transposed": lambda x: x.T,
    "every second row": lambda x: x[::2],
    "every second column": lambda x: x[:, ::2],
    "rows backwards": lambda x: x[::-1],
    "columns backwards": lambda x: x[:, ::-1],
    "all backwards": lambda x: x[::-1, ::-1],
    "some columns": lambda x: x[:, 3:11],
    "one row for all": lambda x: x[:1].expand(48, 48),
}
# The order of additions, and with negative strides the kernel, are NumPy's choice by the layout.
USES: dict[str, Any] = {
    "product with itself": lambda x: x.T @ x,
    "product with a vector": lambda x: x @ x[0],
    "einsum": lambda x: ops.einsum("ij,ij->i", x, x),
    "exp": lambda x: x.exp(),
    "sums": lambda x: (x.sum(), x.sum(0), x.sum(1)),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("use", list(USES))
@pytest.mark.parametrize("view", list(VIEWS))
def test_a_copy_goes_only_where_the_layout_stays(view: str, use: str, dtype: Any) -> None:
    """What reads the copy finds the layout that it has eagerly, and so gives the same bits."""
    array = np.random.default_rng(0).normal(size=(48, 48)).astype(dtype)

    def function(x: Tensor) -> Any:
        copy = VIEWS[view](x).clone()
        found = USES[use](copy)
        return (*found, copy) if isinstance(found, tuple) else (found, copy)

    step = compile(function, backend="replay")
    step(Tensor(array))
    for mine, right in zip(step(Tensor(array)), function(Tensor(array)), strict=True):
        assert mine.data.tobytes() == right.data.tobytes()
        assert mine.data.strides == right.data.strides
    kept = VIEWS[view](Tensor(array)).data.strides != function(Tensor(array))[-1].data.strides
    assert ops_of(step).count("cast") == kept
