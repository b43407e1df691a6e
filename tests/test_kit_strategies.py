"""The strategies draw what they promise, all of it, and shrink to what a person would have tried first."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from tinygrad_mlp import Tensor, nn
from tinygrad_mlp.errors import ArgumentError
from tinygrad_mlp.samples import Domain, Recurrence
from tinygrad_mlp.tape import OPS
from tinygrad_mlp.testing import strategies
from tinygrad_mlp.testing.cases import is_legal

ROOT = Path(__file__).resolve().parents[1]
QUICK = settings(max_examples=2000, database=None, derandomize=True)


def smallest(strategy: Any, condition: Any = lambda value: True) -> Any:
    return find(strategy, condition, settings=QUICK)


def many(strategy: Any, count: int = 400) -> list[Any]:
    drawn: list[Any] = []

    @settings(max_examples=count, database=None, derandomize=True, phases=[Phase.generate])
    @given(strategy)
    def collect(value: Any) -> None:
        drawn.append(value)

    collect()
    return drawn


# --- shapes, axes, indices ------------------------------------------------------------------------


@given(st.data())
def test_shapes_stay_within_their_bounds(data: st.DataObject) -> None:
    """Whatever the bounds are, also those that leave one shape only."""
    low, side = data.draw(st.integers(0, 2)), data.draw(st.integers(0, 3))
    high, longest = low + data.draw(st.integers(0, 2)), side + data.draw(st.integers(0, 3))
    shape = data.draw(strategies.shapes(low, high, side, longest))
    assert low <= len(shape) <= high
    assert all(side <= size <= longest for size in shape)
    assert all(type(size) is int for size in shape)


def test_lengths_of_0_and_1_are_frequent_but_not_the_rule() -> None:
    """At least one shape in twelve is empty, at most one in four; half or more have an axis of length 1 or none."""
    drawn = many(strategies.shapes())
    assert 1 / 12 <= np.mean([0 in shape for shape in drawn]) <= 1 / 4
    assert {len(shape) for shape in drawn} == {0, 1, 2, 3, 4}
    assert {size for shape in drawn for size in shape} == {0, 1, 2, 3, 4}
    assert np.mean([1 in shape for shape in drawn]) > 1 / 4


@given(st.integers(1, 4).flatmap(strategies.broadcastable_shapes))
def test_broadcastable_shapes_broadcast(shapes: Any) -> None:
    """NumPy agrees, for any number of them."""
    np.broadcast_shapes(*shapes)


def test_broadcasting_really_happens() -> None:
    """Missing axes, axes stretched from 1, on either side, and empty ones occur; so do equal shapes."""
    drawn = many(strategies.broadcastable_shapes(2))
    found = Counter[str]()
    for a, b in drawn:
        found["fewer axes"] += len(a) != len(b)
        found["stretched"] += any(x != y for x, y in zip(a[::-1], b[::-1], strict=False))
        found["empty against 1"] += any({x, y} == {0, 1} for x, y in zip(a[::-1], b[::-1], strict=False))
        found["equal"] += a == b != ()
    assert min(found.values()) >= 5, found
    a, b = smallest(strategies.broadcastable_shapes(2), lambda pair: 2 in pair[0] and pair[0] != pair[1])
    assert len(a) + len(b) <= 4
    assert {*a, *b} <= {1, 2}


def test_axes_are_what_axis_takes() -> None:
    """None, integers and tuples, negative too, never out of range or twice; sums accept them all."""
    x = np.ones((2, 3, 4))
    drawn = many(strategies.axes(3))
    for axis in drawn:
        x.sum(axis)
    kinds = {type(axis) for axis in drawn}
    assert kinds == {type(None), int, tuple}
    assert {axis for axis in drawn if isinstance(axis, int)} == set(range(-3, 3))
    assert {len(axis) for axis in drawn if isinstance(axis, tuple)} == {0, 1, 2, 3}
    assert any(axis != tuple(sorted(axis)) for axis in drawn if isinstance(axis, tuple))
    plain = many(strategies.axes(2, none=False, tuples=False, negative=False), 50)
    assert set(plain) == {0, 1}
    assert set(many(strategies.axes(0), 50)) == {None, ()}


@given(strategies.shapes(max_dims=3).flatmap(lambda shape: st.tuples(st.just(shape), strategies.indices(shape))))
def test_indices_fit(pair: Any) -> None:
    """NumPy takes every index for its shape."""
    shape, index = pair
    np.zeros(shape)[index]


def test_indices_are_of_all_kinds() -> None:
    """Slices, integers, None and Ellipsis, integer arrays with repeats, boolean masks."""
    drawn = many(strategies.indices((3, 4)))
    flat = [part for index in drawn for part in (index if isinstance(index, tuple) else (index,))]
    assert {type(part) for part in flat} == {slice, int, type(None), type(Ellipsis), np.ndarray}
    masks = [part for part in flat if isinstance(part, np.ndarray) and part.dtype == bool]
    repeats = [part for part in flat if isinstance(part, np.ndarray) and part.dtype != bool and part.size > 1]
    assert masks
    assert any(len(np.unique(part)) < part.size for part in repeats)
    assert any(part.step == -1 for part in flat if isinstance(part, slice))


# --- values ---------------------------------------------------------------------------------------


@given(st.data(), strategies.dtypes())
def test_arrays_keep_their_promises(data: st.DataObject, dtype: Any) -> None:
    """Shape, dtype, bounds, and distance from the points to avoid, in every dtype."""
    shape = data.draw(strategies.shapes(max_dims=2))
    low = data.draw(st.sampled_from([-3.0, 0.1, -40.0, 1e-4]))
    domain = Domain(low, low + data.draw(st.sampled_from([60.0, 100.0])), (1.0, low), 0.3)
    array = data.draw(strategies.arrays(shape, dtype, domain.low, domain.high, domain.avoid, domain.margin))
    assert array.shape == shape
    assert array.dtype == dtype
    if dtype != np.bool_:
        assert is_legal(array.astype(np.float64), domain)


def test_values_are_varied_and_reach_the_ends() -> None:
    """Mostly numbers that are not simple, now and then 0, 1 or an end of the domain."""
    drawn = np.concatenate([one.ravel() for one in many(strategies.arrays((5,), low=-2.0, high=7.0))])
    assert {-2.0, 7.0, 0.0, 1.0} <= set(drawn.tolist())
    assert np.mean(drawn == np.rint(drawn)) < 0.3
    counts, _ = np.histogram(drawn, 9)
    assert counts.min() > drawn.size / 30


def test_arrays_take_strategies_for_shape_and_dtype() -> None:
    """Nested draws, a bare length, and any shape by default."""
    drawn = many(strategies.arrays(strategies.shapes(1, 2), strategies.float_dtypes()), 100)
    assert {one.dtype for one in drawn} == {np.dtype(f"float{bits}") for bits in (16, 32, 64)}
    assert {one.ndim for one in drawn} == {1, 2}
    assert smallest(strategies.arrays(3)).shape == (3,)
    assert {one.ndim for one in many(strategies.arrays(), 100)} == {0, 1, 2, 3, 4}


@pytest.mark.parametrize(
    ("options", "condition", "expected"),
    [
        ({}, lambda x: True, 0.0),
        ({}, lambda x: x.any(), [1.0]),
        ({"shape": (2, 2)}, lambda x: (x > 0.7).any(), [[0.0, 0.0], [0.0, 1.0]]),
        ({"shape": (3,)}, lambda x: len(set(x.tolist())) == 3, [0.0, 1.0, 2.0]),
        ({"shape": (2,), "low": 0.5}, lambda x: True, [1.0, 1.0]),
        ({"shape": (), "dtype": "int64"}, lambda x: x < 0, -1),
    ],
)
def test_values_shrink_to_simple_numbers(options: Any, condition: Any, expected: Any) -> None:
    """0 first, then 1, 2 and so on; as few elements as the condition allows."""
    found = smallest(strategies.arrays(**options), lambda x: x.size > 0 and condition(x))
    assert sorted(np.ravel(found).tolist()) == sorted(np.ravel(expected).tolist())
    assert found.size == np.size(expected)


def test_an_empty_domain_is_an_error() -> None:
    """Bounds that leave no value are named."""
    with pytest.raises(ArgumentError, match="no value is legal"):
        smallest(strategies.arrays((2,), low=0.0, high=1.0, avoid=(0.5,), margin=0.6))
    with pytest.raises(ArgumentError, match="no int64 is legal"):
        smallest(strategies.arrays((2,), "int64", low=0.2, high=0.8))


def test_tensors_are_leaves() -> None:
    """Of floats they want gradients, unless told otherwise; of integers they cannot."""
    for one in many(strategies.tensors(dtype=strategies.dtypes()), 60):
        assert isinstance(one, Tensor)
        assert one.is_leaf
        assert one.requires_grad is (one.dtype.kind == "f")
    assert not smallest(strategies.tensors(requires_grad=False)).requires_grad


def test_generators_are_shown_by_their_seed() -> None:
    """A failing example can be written down."""
    first = smallest(strategies.rngs())
    assert first.random() == np.random.default_rng(0).random()
    assert len({one.random() for one in many(strategies.rngs(), 20)}) > 10


# --- modules and ops ------------------------------------------------------------------------------


@given(st.data())
def test_module_inputs_are_accepted(data: st.DataObject) -> None:
    """By a network, by a layer without parameters, and with a shape given by hand."""
    model = nn.Sequential(nn.Tanh(), nn.Linear(3, 2, seed=0, dtype="float64"))
    x = data.draw(strategies.module_inputs(model, min_batch=0))
    assert x.dtype == np.float64
    assert model(x).shape == (len(x.data), 2)
    nn.ReLU()(data.draw(strategies.module_inputs(nn.ReLU())))
    wanted = data.draw(strategies.module_inputs(nn.Flatten(), shape=(2, 3), dtype="float16", requires_grad=True))
    assert wanted.shape[1:] == (2, 3)
    assert (wanted.dtype, wanted.requires_grad) == (np.float16, True)


def test_module_inputs_say_when_they_cannot_be_told() -> None:
    """A loss takes two; a module of its own kind has no in_features."""
    with pytest.raises(ArgumentError, match=r"several inputs \(logits, target\)|several inputs"):
        strategies.module_inputs(nn.CrossEntropyLoss())

    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(1.0)

        def forward(self, x: Any) -> Any:
            return x * self.scale

    with pytest.raises(ArgumentError, match="cannot tell which inputs Own takes"):
        strategies.module_inputs(Own())


@pytest.mark.parametrize("name", sorted(OPS))
def test_cases_shrink_to_one_small_element(name: str) -> None:
    """The least call with an element in its result has few of them, and it prints as Python that gives the same."""
    case = smallest(strategies.cases(name), lambda case: case.forward().size > 0)
    few = 13 if isinstance(OPS[name].samples, Recurrence) else 4  # four gates, and weights for each
    assert sum(one.size for one in case.operands) <= few, case
    printed = str(case)
    again = eval(printed, {"np": np, case.function.__name__: case.function})  # noqa: S307 - our own print
    np.testing.assert_array_equal(np.asarray(again), case.forward())


def test_cases_take_an_op_in_any_form() -> None:
    """Name, declaration or function."""
    by_name = smallest(strategies.cases("exp"))
    assert str(by_name) == str(smallest(strategies.cases(OPS["exp"]))) == "exp(np.array(0.0))"


def test_the_error_names_the_extra_where_hypothesis_is_missing() -> None:
    """Importing works without it; making a strategy says what to install."""
    code = """
import sys
sys.modules["hypothesis"] = None
sys.modules["mpmath"] = None
from tinygrad_mlp.testing import check_op, strategies
from tinygrad_mlp.errors import MissingExtraError
for ask in (strategies.shapes, strategies.rngs, lambda: check_op("exp")):
    try:
        ask()
    except MissingExtraError as error:
        print("tinygrad-mlp[testing]" in str(error))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout.split(), done.stderr) == (["True"] * 3, "")
