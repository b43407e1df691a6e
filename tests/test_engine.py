"""The tape itself: depth, width, memory, misuse, writes, modes. Numbers like F03 name known ways such engines fail."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
import time
import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from limits import recursion_limit

import tinygrad_mlp as tg
from tinygrad_mlp import Tensor, autograd, ops
from tinygrad_mlp.errors import ChangedValueError, DTypeError, GradientError, ReleasedGraphError, ShapeError
from tinygrad_mlp.ops.declare import primitive
from tinygrad_mlp.tape import OPS, consumers_first, wrote
from tinygrad_mlp.testing.cases import leaf


def float64(data: Any) -> Tensor:
    return Tensor(data, requires_grad=True, dtype=np.float64)


# --- F01, F02: depth and width --------------------------------------------------------------------


def chain(length: int) -> tuple[Tensor, Tensor]:
    x = float64(1.0)
    y = x
    for _ in range(length // 2):
        y = y * 1.0 + 0.5
    return x, y


@pytest.mark.parametrize("length", [1000, 100_000])
def test_chain_needs_no_recursion(length: int) -> None:
    """F01: a chain of ops is built, walked, printed, copied and freed under a recursion limit of 200."""
    x, y = chain(length)
    with recursion_limit(200):
        y.backward(retain_graph=True)
        assert x.grad.item() == 1.0
        assert "op=add" in repr(y)
        assert copy.deepcopy(y).item() == y.item()
        assert pickle.loads(pickle.dumps(y)).item() == y.item()  # noqa: S301 -- our own bytes
        assert len(consumers_first([y.node])) == length + 1
        del y


@pytest.mark.slow
def test_chain_of_a_million_is_linear_in_time() -> None:
    """F01: an op costs at 10^6 about what it costs at 10^4 (caches apart), building, walking and freeing together.

    The exact ratio is measured in benchmarks/; here neighbours on a shared machine must not matter.
    """

    def seconds_per_op(length: int) -> float:
        start = time.perf_counter()
        x, y = chain(length)
        y.backward()
        assert x.grad.item() == 1.0
        del x, y
        return (time.perf_counter() - start) / length

    gc.disable()
    try:
        with recursion_limit(200):
            short = min(seconds_per_op(10_000) for _ in range(5))
            long = seconds_per_op(1_000_000)
    finally:
        gc.enable()
    assert long <= 3 * short


@pytest.mark.parametrize("walked", [False, True])
def test_deep_graph_is_freed_on_a_small_stack(walked: bool) -> None:
    """F02: a chain of 10^5 ops is freed in a thread with a 256 KiB stack, walked or not."""
    finished = []

    def work() -> None:
        x, y = chain(100_000)
        if walked:
            y.backward()
        del x, y
        finished.append(True)

    before = threading.stack_size(256 * 1024)
    try:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    assert finished == [True]


def test_diamond_ladder_visits_each_node_once() -> None:
    """F01: 30 diamonds have 2^30 paths and 91 nodes; each node is visited once and each rule runs once."""
    x = float64(1.0)
    y = x
    for _ in range(30):
        y = y * 0.5 + y * 0.5
    assert len(consumers_first([y.node])) == 91
    plan = OPS["mul"].plan(1, 2)
    calls = []
    pull = plan.pull
    plan.pull = lambda g, kept, inputs: (calls.append(1), pull(g, kept, inputs))[1]
    try:
        y.backward()
    finally:
        plan.pull = pull
    assert len(calls) == 60
    assert x.grad.item() == 1.0


def test_wide_fan_in_and_fan_out() -> None:
    """F01: one value used 50,000 times, and as many values joined, give exact gradients."""
    x = float64(2.0)
    parts = [x * 3.0 for _ in range(50_000)]
    with recursion_limit(200):
        ops.stack(parts).sum().backward()
    assert x.grad.item() == 150_000.0


# --- F03: memory ----------------------------------------------------------------------------------


def training_step(weights: list[Tensor], x: Tensor, t: np.ndarray) -> weakref.ref[Any]:
    h = ops.tanh(ops.linear(x, weights[0], weights[1]))
    loss = ops.cross_entropy(ops.linear(h, weights[2]), t)
    loss.backward()
    for one in weights:
        one.data -= 0.01 * one.grad.data
        wrote("the step", one.data)
        one.grad = None
    return weakref.ref(loss)


def test_training_steps_leak_nothing() -> None:
    """F03: 2,000 steps with the collector off: no growth beyond 64 KiB, nothing for the collector, no loss alive."""
    rng = np.random.default_rng(0)
    weights = [Tensor(rng.normal(size=shape), requires_grad=True) for shape in [(8, 4), (8,), (3, 8)]]
    x, t = Tensor(rng.normal(size=(5, 4))), rng.integers(0, 3, 5)
    gc.collect()
    gc.disable()
    try:
        for _ in range(200):
            training_step(weights, x, t)
        tracemalloc.start()
        training_step(weights, x, t)
        before = tracemalloc.get_traced_memory()[0]
        alive = [reference for _ in range(2000) if (reference := training_step(weights, x, t))() is not None]
        growth = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        assert alive == []
        assert growth <= 64 * 1024
        assert gc.collect() == 0
    finally:
        gc.enable()
        tracemalloc.stop()


SITUATIONS: dict[str, Callable[[Tensor], Any]] = {
    "forward only": lambda x: ops.tanh(x * x),
    "backward": lambda x: (x * x).sum().backward(),
    "retained": lambda x: (x * x).sum().backward(retain_graph=True),
    "gradient of gradient": lambda x: autograd.grad(autograd.grad((x * x * x).sum(), x, create_graph=True)[0].sum(), x),
    "recorded gradient dropped": lambda x: autograd.grad((x * x * x).sum(), x, create_graph=True),
    "exception on the way back": lambda x: _fails(lambda: (x * x).backward()),
    "exception on the way": lambda x: _fails(lambda: ops.matmul(x * x, Tensor(np.ones((7, 7))))),
    "recorded values": lambda x: _recorded(x),
    "no_grad": lambda x: _without(x),
}


def _fails(call: Callable[[], Any]) -> None:
    try:
        call()
    except (GradientError, ShapeError):
        return
    raise AssertionError("expected an error")


def _recorded(x: Tensor) -> None:
    with tg.record_values():
        y = (x * x).sum()
    y.backward()


def _without(x: Tensor) -> None:
    with tg.no_grad():
        ops.tanh(x * x)


@pytest.mark.parametrize("name", SITUATIONS)
def test_no_reference_cycles(name: str) -> None:
    """F03: nothing that happens to a graph leaves anything for the cyclic collector."""
    x = float64([[1.0, 2.0], [3.0, 4.0]])
    SITUATIONS[name](x)
    x.grad = None
    gc.collect()
    gc.disable()
    try:
        for _ in range(5):
            SITUATIONS[name](x)
            x.grad = None
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_intermediate_results_die_with_their_last_handle() -> None:
    """F03: what no rule reads is freed at once, and the graph when its last handle goes."""
    x = float64(np.ones(1000))
    first = x + 1.0
    array = weakref.ref(first.data)
    second = first + 1.0
    node = weakref.ref(first)
    del first
    assert node() is None
    assert array() is None
    assert second.requires_grad


def test_walk_releases_what_rules_kept() -> None:
    """Without retain_graph the kept arrays are gone after the walk, though the result is still held."""
    x = float64(np.ones(1000))
    h = ops.exp(x)
    array = weakref.ref(h.data)
    y = h.sum()
    del h
    assert array() is not None
    y.backward()
    assert array() is None


# --- F05: aliasing --------------------------------------------------------------------------------


def test_leaf_gradients_share_nothing() -> None:
    """F05: a + b + c gives one gradient to three leaves; overwriting one of them reaches no other, nor the seed."""
    leaves = [float64([1.0, 2.0]) for _ in range(3)]
    seed = Tensor(np.array([1.0, -1.0]))
    (leaves[0] + leaves[1] + leaves[2]).backward(seed)
    leaves[0].grad.data[...] = np.nan
    for other in leaves[1:]:
        np.testing.assert_array_equal(other.grad.data, [1.0, -1.0])
    np.testing.assert_array_equal(seed.data, [1.0, -1.0])


def test_recorded_leaf_gradients_share_nothing() -> None:
    """F05: the same after backward(create_graph=True)."""
    leaves = [float64([1.0, 2.0]) for _ in range(3)]
    seed = Tensor(np.array([1.0, -1.0]))
    with pytest.warns(UserWarning, match="cycle"):
        (leaves[0] + leaves[1] + leaves[2]).backward(seed, create_graph=True)
    leaves[0].grad.data[...] = np.nan
    for other in leaves[1:]:
        np.testing.assert_array_equal(other.grad.data, [1.0, -1.0])
    np.testing.assert_array_equal(seed.data, [1.0, -1.0])


def test_root_that_is_a_leaf_gets_a_copy_of_the_seed() -> None:
    """F05: backward() on a leaf itself does not hand out the caller's array."""
    x = float64([1.0, 2.0])
    seed = np.array([3.0, 4.0])
    x.backward(seed)
    x.backward(seed)
    np.testing.assert_array_equal(x.grad.data, [6.0, 8.0])
    np.testing.assert_array_equal(seed, [3.0, 4.0])


def test_accumulating_does_not_change_gradients_handed_out() -> None:
    """F05: `.grad` taken from autograd.grad and `.grad` accumulated by backward are different arrays."""
    x = float64([1.0, 2.0])
    (first,) = autograd.grad((x * 2.0).sum(), x)
    (x * 3.0).sum().backward()
    (x * 3.0).sum().backward()
    np.testing.assert_array_equal(first.data, [2.0, 2.0])
    np.testing.assert_array_equal(x.grad.data, [6.0, 6.0])


def test_views_on_the_way_back_do_not_alias() -> None:
    """F05: gradients that pass through reshape, transpose, slices and expand are arrays of their own, and writable."""
    x = float64(np.arange(6.0).reshape(2, 3))
    b = float64(np.arange(6.0).reshape(2, 3))
    y = ops.transpose(ops.reshape(x + b, 3, 2)) + 0.0
    seed = np.ones((2, 3))
    y.backward(seed)
    s = float64(1.0)
    ops.expand(s, 200, 100).sum().backward()
    big = float64(np.zeros((200, 100)))
    big.sum().backward()
    for one in (x, b, big, s):
        assert one.grad.data.flags.writeable
    assert not np.shares_memory(x.grad.data, b.grad.data)
    assert not np.shares_memory(x.grad.data, seed)


# --- F06: misuse ----------------------------------------------------------------------------------


def test_second_walk_is_refused_and_changes_nothing() -> None:
    """F06: a released graph cannot be walked again; the message says how; gradients stay as they were."""
    x = float64([1.0, 2.0])
    y = (x * x).sum()
    y.backward()
    before = x.grad.data.copy()
    with pytest.raises(ReleasedGraphError, match="retain_graph=True"):
        y.backward()
    with pytest.raises(ReleasedGraphError):
        autograd.grad(y, x)
    np.testing.assert_array_equal(x.grad.data, before)


def test_partly_released_graph_is_refused_before_anything_is_added() -> None:
    """F06: where only a part of the graph has been released, no leaf of the other part gets a gradient."""
    x, z = float64([1.0]), float64([1.0])
    shared = x * x
    (shared * 2.0).sum().backward()
    before = x.grad.data.copy()
    with pytest.raises(ReleasedGraphError):
        (shared * z).sum().backward()
    assert z.grad is None
    np.testing.assert_array_equal(x.grad.data, before)


def test_retained_graph_can_be_walked_again() -> None:
    """retain_graph=True keeps the graph, and gradients add up."""
    x = float64([1.0, 2.0])
    y = (x * x).sum()
    for times in (1, 2, 3):
        y.backward(retain_graph=True)
        np.testing.assert_array_equal(x.grad.data, times * 2 * x.data)


MISUSES: dict[str, tuple[type[Exception], Callable[[Tensor], Any]]] = {
    "several elements and no gradient": (GradientError, lambda x: (x * x).backward()),
    "gradient of another shape": (ShapeError, lambda x: (x * x).backward(np.ones(3))),
    "gradient of another rank": (ShapeError, lambda x: (x * x).sum().backward(np.ones((1, 1)))),
    "complex gradient": (DTypeError, lambda x: (x * x).backward(np.ones(2, complex))),
    "strings for a gradient": (DTypeError, lambda x: (x * x).backward(np.array(["a", "b"]))),
    "nothing recorded": (GradientError, lambda x: (x.detach() * 2.0).sum().backward()),
    "grad of a constant": (GradientError, lambda x: autograd.grad((x * x).sum(), Tensor([1.0]))),
    "grad of something unused": (GradientError, lambda x: autograd.grad((x * x).sum(), float64([1.0]))),
    "grad with too many incoming": (ValueError, lambda x: autograd.grad(x * x, x, [x.detach(), x.detach()])),
    "grad of another shape assigned": (ShapeError, lambda x: setattr(x, "grad", Tensor([1.0]))),
    "requires_grad taken from a result": (GradientError, lambda x: setattr(x * x, "requires_grad", False)),
    "item of several": (ShapeError, lambda x: x.item()),
    "NumPy asked for a recorded array": (GradientError, lambda x: np.asarray(x)),
    "numpy() of a recorded tensor": (GradientError, lambda x: x.numpy()),
    "write into a leaf": (GradientError, lambda x: x.__setitem__(0, 1.0)),
    "write into a result": (GradientError, lambda x: (x * x).__setitem__(0, 1.0)),
}


@pytest.mark.parametrize("name", MISUSES)
def test_misuse_is_one_named_error_and_changes_nothing(name: str) -> None:
    """F06: each misuse raises its documented error; values, `.grad` and the mode stay as they were."""
    expected, misuse = MISUSES[name]
    x = float64([1.0, 2.0])
    (x * x).sum().backward()
    before = x.grad.data.copy()
    with pytest.raises(expected):
        misuse(x)
    np.testing.assert_array_equal(x.grad.data, before)
    np.testing.assert_array_equal(x.data, [1.0, 2.0])
    assert tg.is_grad_enabled()
    assert x.requires_grad


def test_unused_input_can_be_allowed() -> None:
    """allow_unused=True gives None for what the outputs do not depend on."""
    x, z = float64([1.0]), float64([1.0])
    assert autograd.grad((x * x).sum(), [x, z], allow_unused=True)[1] is None


def test_grad_of_intermediate_and_of_several_outputs() -> None:
    """grad() reaches results in the middle of the graph, adds several outputs up and leaves `.grad` alone."""
    x = float64([1.0, 2.0])
    h = x * 3.0
    y, z = (h * h).sum(), h.sum()
    by_h, by_x = autograd.grad([y, z], [h, x])
    np.testing.assert_array_equal(by_h.data, 2 * h.data + 1)
    np.testing.assert_array_equal(by_x.data, 3 * (2 * h.data + 1))
    assert x.grad is None


def test_same_input_asked_for_twice_and_output_as_input() -> None:
    """The gradient of y by y is the incoming gradient; an input named twice is answered twice."""
    x = float64([1.0, 2.0])
    y = x * 3.0
    first, second, itself = autograd.grad(y, [x, x, y], [Tensor(np.array([1.0, -1.0]))])
    np.testing.assert_array_equal(first.data, [3.0, -3.0])
    np.testing.assert_array_equal(second.data, [3.0, -3.0])
    np.testing.assert_array_equal(itself.data, [1.0, -1.0])


@given(st.lists(st.sampled_from(["backward", "retain", "grad", "again", "zero", "misuse"]), max_size=30), st.data())
def test_any_sequence_of_passes_adds_up_exactly(moves: list[str], data: st.DataObject) -> None:
    """F06: after any sequence of passes `.grad` is the exact integer sum of what was added since it was zeroed."""
    x = float64([1.0, -2.0])
    expected: list[int] | None = None
    last, factor, alive = None, 0, False
    for move in moves:
        if move in {"backward", "retain", "grad"}:
            factor = data.draw(st.integers(-4, 4))
            last = (x * x * float(factor)).sum()
            if move == "grad":
                (found,) = autograd.grad(last, x)
                assert found.tolist() == [2.0 * factor, -4.0 * factor]
            else:
                last.backward(retain_graph=move == "retain")
                expected = [a + b for a, b in zip(expected or [0, 0], (2 * factor, -4 * factor), strict=True)]
            alive = move == "retain"
        elif move == "again" and last is not None:
            if alive:
                last.backward(retain_graph=True)
                expected = [a + b for a, b in zip(expected or [0, 0], (2 * factor, -4 * factor), strict=True)]
            else:
                with pytest.raises(ReleasedGraphError):
                    last.backward()
        elif move == "zero":
            x.grad = None
            expected = None
        elif move == "misuse":
            with pytest.raises(GradientError):
                (x * x).backward()
        assert (x.grad is None) == (expected is None)
        assert expected is None or x.grad.tolist() == expected


# --- F07: writes between forward and backward -----------------------------------------------------


def _set(x: Tensor) -> None:
    x[0] = 5.0


def _add(x: Tensor) -> None:
    x += 1.0


def _divide(x: Tensor) -> None:
    x /= 2.0


def _subtract_view(x: Tensor) -> None:
    view = x[:1]
    view -= 1.0


def _optimizer(x: Tensor) -> None:
    x.data -= 0.1
    wrote("an optimizer's step", x.data)


WRITES = [_set, _add, _divide, _subtract_view, _optimizer]


@pytest.mark.parametrize("write", WRITES)
def test_write_between_forward_and_backward_is_noticed(write: Callable[[Tensor], None]) -> None:
    """F07: a rule that would read an overwritten value raises and names both; nothing has been added."""
    x, z = float64([1.0, 2.0]), float64([1.0, 2.0])
    y = (x * z).sum()
    with tg.no_grad():
        write(x)
    with pytest.raises(ChangedValueError, match="mul"):
        y.backward()
    assert x.grad is None
    assert z.grad is None


@pytest.mark.parametrize("write", WRITES)
def test_write_that_no_rule_would_read_is_allowed(write: Callable[[Tensor], None]) -> None:
    """F07: no false alarm where the rules do not read the value, nor where the write came before or after."""
    x = float64([1.0, 2.0])
    with tg.no_grad():
        write(x)
    y = (x + 1.0).sum()
    with tg.no_grad():
        write(x)
    y.backward()
    np.testing.assert_array_equal(x.grad.data, [1.0, 1.0])
    with tg.no_grad():
        write(x)
    (x * x).sum().backward()


def test_write_into_a_constant_is_noticed() -> None:
    """F07: an input that wants no gradient itself is read by the rules of others."""
    x, c = float64([1.0, 2.0]), Tensor(np.array([3.0, 4.0]))
    y = (x * c).sum()
    c[0] = 7.0
    with pytest.raises(ChangedValueError):
        y.backward()


# --- F24: modes -----------------------------------------------------------------------------------


@given(st.lists(st.sampled_from(["no", "yes", "exit", "raise"]), max_size=40))
def test_modes_nest(moves: list[str]) -> None:
    """F24: after any sequence of entering, leaving and raising, the mode is what a plain stack says."""
    stack = [True]
    open_blocks: list[Any] = []
    for move in moves:
        if move in {"no", "yes"}:
            block = tg.no_grad() if move == "no" else tg.enable_grad()
            block.__enter__()
            open_blocks.append(block)
            stack.append(move == "yes")
        elif open_blocks:
            error = RuntimeError("on purpose") if move == "raise" else None
            open_blocks.pop().__exit__(None if error is None else RuntimeError, error, None)
            stack.pop()
        assert tg.is_grad_enabled() == stack[-1]
        assert (float64(1.0) * 2.0).requires_grad == stack[-1]
    while open_blocks:
        open_blocks.pop().__exit__(None, None, None)
    assert tg.is_grad_enabled()


def test_mode_is_restored_after_an_exception() -> None:
    """F24: an exception leaves the mode of before the block."""
    with pytest.raises(ZeroDivisionError), tg.no_grad():
        _ = 1 / 0
    assert tg.is_grad_enabled()


def test_decorating_changes_nothing_until_the_call() -> None:
    """F24: the decorator works per call, nests, and keeps the function's name."""

    @tg.no_grad()
    def inside(depth: int) -> bool:
        """Whether anything is recorded, some calls deep."""
        return inside(depth - 1) if depth else tg.is_grad_enabled()

    assert tg.is_grad_enabled()
    assert inside(3) is False
    assert inside.__name__ == "inside"
    assert tg.is_grad_enabled()


def test_one_block_can_be_entered_twice() -> None:
    """F24: one instance nested in itself restores both times what was before."""
    block = tg.no_grad()
    with tg.enable_grad(), block:
        with tg.enable_grad(), block:
            assert not tg.is_grad_enabled()
        assert not tg.is_grad_enabled()
    assert tg.is_grad_enabled()


@pytest.mark.parametrize("mode", [True, False])
def test_mode_can_be_set_by_a_flag(mode: bool) -> None:
    """set_grad_enabled(flag) is no_grad or enable_grad."""
    with tg.set_grad_enabled(mode):
        assert tg.is_grad_enabled() is mode
    assert tg.is_grad_enabled()


def test_decorated_generator_does_not_leak_its_mode() -> None:
    """F24: between the steps of a decorated generator the caller's mode holds, and within them the decorator's."""

    @tg.no_grad()
    def steps() -> Iterator[bool]:
        yield tg.is_grad_enabled()
        yield tg.is_grad_enabled()

    seen = [(inside, tg.is_grad_enabled()) for inside in steps()]
    assert seen == [(False, True), (False, True)]


def test_new_thread_starts_recording() -> None:
    """F25: the mode belongs to the context: a thread started inside no_grad records, and changes nothing outside."""
    seen = []

    def work() -> None:
        seen.append(tg.is_grad_enabled())
        tg.no_grad().__enter__()

    with tg.enable_grad():
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert tg.is_grad_enabled()
    assert seen == [True]


def test_recording_of_values_survives_enable_grad_and_not_no_grad() -> None:
    """record_values notes values and gradients of what is recorded; inside no_grad nothing is."""
    x = float64([1.0, 2.0])
    with tg.record_values():
        with tg.enable_grad():
            y = x * 3.0
        with tg.no_grad():
            assert (x * 3.0).node is None
        z = y.sum()
    z.backward()
    np.testing.assert_array_equal(y.node.value, [3.0, 6.0])
    np.testing.assert_array_equal(y.node.gradient, [1.0, 1.0])


# --- higher orders --------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5, 6])
def test_derivatives_of_any_order(order: int) -> None:
    """The n-th derivative of exp(2x) sin(x) is the imaginary part of (2 + i)^n exp((2 + i) x)."""
    x = float64(0.3)
    y = ops.exp(x * 2.0) * ops.sin(x)
    for _ in range(order):
        (y,) = autograd.grad(y, x, create_graph=True)
    expected = ((2 + 1j) ** order * np.exp((2 + 1j) * 0.3)).imag
    assert y.item() == pytest.approx(expected, rel=1e-13)


def test_backward_with_create_graph_can_be_differentiated() -> None:
    """`.grad` from backward(create_graph=True) leads back to the leaf."""
    x = float64([1.0, 2.0])
    with pytest.warns(UserWarning, match="cycle"):
        (x * x * x).sum().backward(create_graph=True)
    (second,) = autograd.grad(x.grad.sum(), x)
    np.testing.assert_array_equal(second.data, 6 * x.data)
    x.grad = None


def test_complex_leaf_keeps_its_array() -> None:
    """What the other tests use for the complex step: a leaf on exactly the array given."""
    array = np.array([1.0 + 1e-20j])
    assert leaf(array).data is array


def test_a_rule_may_read_a_parameter_left_at_its_default() -> None:
    """A parameter that the caller leaves out reaches the rule with the default that the op declares."""

    def scaled(x: Any, *, factor: float = 3.0) -> Any:
        return x * factor

    op_function = primitive(vjp=(lambda g, factor: g * factor,), samples=None)(scaled)
    try:
        x = Tensor([1.0, 2.0], requires_grad=True)
        (op_function(x) * op_function(x, factor=5.0)).sum().backward()
        np.testing.assert_array_equal(x.grad.data, [30.0, 60.0])
    finally:
        del OPS["scaled"]


# --- gradients of parts -----------------------------------------------------------------------------


@st.composite
def reads(draw: st.DrawFn) -> tuple[tuple[int, ...], list[Any]]:
    """A shape and indices into it, basic ones with overlaps and others; None stands for the whole array."""
    shape = tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=3)))
    basic = st.one_of(
        hnp.basic_indices(shape, allow_newaxis=True),
        st.integers(0, shape[0] - 1),
        st.just(True),
        st.just(None),
    )
    others = hnp.integer_array_indices(shape, result_shape=hnp.array_shapes(max_dims=1, max_side=3))
    return shape, draw(st.lists(st.one_of(basic, basic, basic, others), min_size=1, max_size=6))


@settings(max_examples=150, deadline=None)
@given(reads(), st.integers(0, 2**32 - 1), st.booleans())
def test_parts_added_in_place_give_the_bits_of_whole_arrays(
    case: tuple[tuple[int, ...], list[Any]], seed: int, targeted: bool
) -> None:
    """Negative zeros included, on leaves and on what is computed, with and without targets."""
    shape, places = case
    rng = np.random.default_rng(seed)
    x = Tensor(rng.normal(size=shape), requires_grad=True)
    y = x * 1.0 if seed % 2 else x
    seeds, terms, whole = [], [], []
    for where in places:
        term = y * 1.0 if where is None else y[where]
        g = np.where(rng.random(term.shape) < 0.6, -0.0, np.asarray(rng.normal(size=term.shape)))
        dense = np.zeros(shape)
        if where is None:
            dense = g * 1.0
        elif isinstance(where, tuple) and any(isinstance(one, np.ndarray) for one in where):
            np.add.at(dense, where, g)
        else:
            dense[where] = g
        terms.append(term)
        seeds.append(g)
        whole.append(dense)
    expected = whole[-1]
    for one in whole[-2::-1]:  # consumers first
        expected = expected + one
    expected = expected * 1.0
    if targeted:
        found = autograd.grad(terms, [x], seeds)[0].data
    else:
        total = sum(((term * g).sum() for term, g in zip(terms, seeds, strict=True)), start=Tensor(0.0))
        total.backward()
        found = x.grad.data
    assert found.tobytes() == expected.tobytes()


def test_many_parts_of_one_tensor_cost_one_array(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not one for each part: a sequence read step by step has a backward pass that grows with its length alone."""
    from tinygrad_mlp.ops import shape

    made = []
    put = shape.put
    monkeypatch.setattr(shape, "put", lambda *args, **options: made.append(1) or put(*args, **options))
    x = Tensor(np.ones((2, 50, 3)), requires_grad=True)
    sum((x[:, t].tanh() for t in range(50)), start=Tensor(0.0)).sum().backward()
    assert len(made) == 1
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.data, 1 / np.cosh(np.ones((2, 50, 3))) ** 2)
