"""Known ways such engines fail, at full size: what docs/failures.md lists and no other test file covers.

Sizes follow the Hypothesis profile: what takes seconds is smaller at a desk, and as large as the page says in nightly.
"""

from __future__ import annotations

import asyncio
import contextvars
import copy
import gc
import itertools
import pickle
import re
import subprocess
import sys
import threading
import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from limits import recursion_limit
from oracles import OURS, SHARED, draw
from random_graphs import run

import tinygrad_mlp as tg
from tinygrad_mlp import Tensor, autograd, nn, ops, optim
from tinygrad_mlp.errors import ChangedValueError, GradientError, ReleasedGraphError, ShapeError
from tinygrad_mlp.samples import Elementwise
from tinygrad_mlp.tape import OPS, consumers_first
from tinygrad_mlp.testing.cases import Case, differentiable, function_of, leaf
from tinygrad_mlp.testing.strategies import cases

EXAMPLES = settings().max_examples
NIGHTLY = EXAMPLES >= 2000
PAGE = Path(__file__).parent.parent / "docs" / "failures.md"


def float64(data: Any) -> Tensor:
    return Tensor(data, requires_grad=True, dtype=np.float64)


@contextmanager
def no_collector() -> Iterator[None]:
    """Everything alive is taken out of the collector's sight, and it runs when asked only."""
    gc.collect()
    gc.disable()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.enable()


# --- the page -------------------------------------------------------------------------------------

ROWS = [
    [cell.strip() for cell in line.strip().strip("|").split("|")]
    for line in PAGE.read_text(encoding="utf-8").splitlines()
    if re.match(r"\| F\d\d ", line)
]


def test_the_page_lists_every_class_once() -> None:
    """F01 to F36, and F41, each with its row; no cell is empty."""
    assert [row[0] for row in ROWS] == [f"F{k:02}" for k in [*range(1, 37), 41]]
    assert all(len(row) == 5 and all(row) for row in ROWS)


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_every_test_that_the_page_names_exists(row: list[str]) -> None:
    """Each `tests/file.py::name` is a function of that file; a class without one says that there is none."""
    named = re.findall(r"`(tests/\w+\.py)::(\w+)`", row[2])
    assert named or row[2].startswith("none")
    for path, name in named:
        text = (PAGE.parent.parent / path).read_text(encoding="utf-8")
        assert re.search(rf"^(?:def {name}\(|{name} = )", text, re.MULTILINE), f"{path} has no {name}"


# --- F01, F02: size -------------------------------------------------------------------------------


def ladder(levels: int) -> tuple[Tensor, Tensor]:
    x = float64(1.0)
    y = x
    for _ in range(levels):
        y = (y + y) * 0.5
    return x, y


def test_the_ladder_is_walked_printed_and_drawn_without_recursion() -> None:
    """F01: 2^30 paths through 61 nodes: each node is pulled through once; under a recursion limit of 200."""
    x, y = ladder(30)
    nodes = consumers_first([y.node])
    assert len(nodes) == 61
    with recursion_limit(200):
        assert len(repr(y)) < 200
        graph = y.graph()
        assert len(graph.nodes) == 61
        assert "mul" in graph.to_text()
        assert "mul" in graph.to_dot()
        counted: dict[str, int] = {}
        plans = {node.plan for node in nodes if node.plan}
        before = {plan: plan.pull for plan in plans}
        for plan in plans:
            plan.pull = counting(plan.pull, plan.op.name, counted)
        try:
            y.backward()
        finally:
            for plan, pull in before.items():
                plan.pull = pull
    assert counted == {"add": 30, "mul": 30}
    assert x.grad.item() == 1.0


def counting(pull: Callable[..., Any], name: str, counted: dict[str, int]) -> Callable[..., Any]:
    def counted_pull(*given: Any) -> Any:
        counted[name] = counted.get(name, 0) + 1
        return pull(*given)

    return counted_pull


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["joined", "added"])
def test_a_fan_in_of_many_needs_no_recursion(shape: str) -> None:
    """F01: 20,000 results (nightly a million) joined, or one value used as often; drawn, walked and freed."""
    width = 1_000_000 if NIGHTLY else 20_000
    x = float64([2.0])
    with recursion_limit(200):
        if shape == "joined":
            y = ops.cat([x * 3.0 for _ in range(width)]).sum()
        else:
            y = x * 3.0
            for _ in range(width - 1):
                y = y + x * 3.0
            y = y.sum()
        assert y.item() == 6.0 * width
        assert len(y.graph().nodes) > width
        y.backward()
        assert x.grad.item() == 3.0 * width
        del y


AGAINST_THE_LIMIT = """
import resource
from tinygrad_mlp import Tensor

with open("/proc/self/statm") as file:
    used = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 64 * 2**20,) * 2)
x = Tensor(1.0, requires_grad=True)
y = x
length = 0
try:
    while True:
        y = y * 1.0
        length += 1
except MemoryError:
    pass
assert length > 10_000, length
del y
z = (x * 2.0).sum()
z.backward()
assert x.grad.item() == 2.0
print("freed")
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc and limits the address space")
def test_a_graph_is_freed_where_memory_ran_out() -> None:
    """F02: with the address space limited, a chain grows until MemoryError; it is freed and the engine goes on."""
    done = subprocess.run([sys.executable, "-c", AGAINST_THE_LIMIT], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "freed\n"), done.stderr[-2000:]


@pytest.mark.slow
@pytest.mark.parametrize("where", ["main thread", "small stack"])
def test_a_million_links_are_freed(where: str) -> None:
    """F02: never walked, 10^6 deep (nightly; else 200,000), freed by the main thread or on a stack of 256 KiB."""
    held = [float64(1.0)]
    for _ in range(1_000_000 if NIGHTLY else 200_000):
        held[0] = held[0] * 1.0
    node = held[0].node
    assert node is not None
    del node
    if where == "main thread":
        held.clear()
    else:
        before = threading.stack_size(256 * 1024)
        try:
            thread = threading.Thread(target=held.clear)
            thread.start()
            thread.join()
        finally:
            threading.stack_size(before)
    assert held == []


# --- F03: memory ----------------------------------------------------------------------------------


class Accident(Exception):  # noqa: N818 - it is no error of the engine
    """Raised on purpose inside an op or inside a rule."""


@contextmanager
def accident_in(name: str, what: str) -> Iterator[None]:
    """The op of this name raises inside the block: its ``forward`` while recording, or its rule on the way back."""
    op = OPS[name]
    plan = op.plan(1, 1)
    before = plan.pull

    def fails(*given: Any) -> Any:
        raise Accident(what)

    plan.pull = fails
    try:
        yield
    finally:
        plan.pull = before


def training_step(model: Any, optimizer: Any, x: Tensor, target: Any) -> list[weakref.ref[Any]]:
    h = model[0](x).tanh()
    loss = ops.cross_entropy(model[1](h), target)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return [weakref.ref(one) for one in (loss, h, h.data)]


def fails_forward(model: Any, x: Tensor) -> list[weakref.ref[Any]]:
    h = model[0](x).tanh()
    try:
        ops.matmul(h, Tensor(np.ones((7, 7), "float32")))
    except ShapeError:
        return [weakref.ref(h), weakref.ref(h.data)]
    raise AssertionError


def fails_backward(model: Any, x: Tensor) -> list[weakref.ref[Any]]:
    loss = model[1](model[0](x).tanh()).exp().sum()
    with accident_in("tanh", "on the way back"):
        try:
            loss.backward()
        except Accident:
            return [weakref.ref(loss), weakref.ref(loss.data)]
    raise AssertionError


def twice(model: Any, x: Tensor) -> list[weakref.ref[Any]]:
    loss = model[1](model[0](x).tanh()).square().sum()
    weight = model[0].weight
    (first,) = autograd.grad(loss, weight, create_graph=True)
    (second,) = autograd.grad(first.square().sum(), weight)
    return [weakref.ref(one) for one in (loss, first, second, first.data)]


def retained(model: Any, x: Tensor) -> list[weakref.ref[Any]]:
    loss = model[1](model[0](x).tanh()).sum()
    loss.backward(retain_graph=True)
    return [weakref.ref(loss), weakref.ref(loss.data)]


@pytest.mark.slow
def test_ten_thousand_steps_with_accidents_leak_nothing() -> None:
    """F03: collector off; failures on the way and on the way back, double backward, retained graphs in between.

    Nothing grows, no loss, intermediate result or node outlives its step, and the collector finds nothing.
    """
    model = nn.Sequential(nn.Linear(4, 8, seed=0), nn.Linear(8, 3, seed=1))
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    rng = np.random.default_rng(0)
    x, target = Tensor(rng.normal(size=(5, 4)).astype("float32")), rng.integers(0, 3, 5)

    def round_of_ten() -> int:
        kinds = [fails_forward, fails_backward, twice, retained]
        alive = sum(one() is not None for kind in kinds for one in kind(model, x))
        for _ in range(6):
            alive += sum(one() is not None for one in training_step(model, optimizer, x, target))
        return alive

    with no_collector():
        for _ in range(20):
            round_of_ten()
        # Python keeps up to 2,000 freed tuples of each length; filled now, that store cannot look like growth.
        store = [tuple([None] * length) for length in range(1, 20) for _ in range(2000)]
        del store
        tracemalloc.start()
        try:
            round_of_ten()
            before = tracemalloc.get_traced_memory()[0]
            alive = sum(round_of_ten() for _ in range(1000 if NIGHTLY else 200))
            growth = tracemalloc.get_traced_memory()[0] - before
        finally:
            tracemalloc.stop()
        assert alive == 0
        assert growth <= 64 * 1024
        assert gc.collect() == 0


def test_a_rule_that_raises_leaves_everything_as_it_was() -> None:
    """F03, F06: an exception inside a rule: `.grad`, mode and values as before; the next pass is right."""
    x = float64([1.0, 2.0])
    (x * x).sum().backward()
    before, mode = x.grad.data.copy(), tg.is_grad_enabled()
    y = (ops.tanh(x) * x).sum()
    with accident_in("tanh", "on the way back"), pytest.raises(Accident):
        y.backward(retain_graph=True)
    np.testing.assert_array_equal(x.grad.data, before)
    assert tg.is_grad_enabled() == mode
    x.grad = None
    y.backward()
    np.testing.assert_allclose(x.grad.data, np.tanh(x.data) + x.data / np.cosh(x.data) ** 2, rtol=1e-15)


# --- F05: aliasing --------------------------------------------------------------------------------


def test_gradients_of_random_graphs_share_nothing() -> None:
    """F05: 500 graphs (nightly 5,000): leaf gradients overlap neither each other nor anything given, made or kept."""
    pairs = 0
    for number in range(5000 if NIGHTLY else 500):
        graph = draw(number)
        leaves = [leaf(one) for one in graph.leaves]
        y = run(graph.program, SHARED, OURS, leaves)
        made = [value for node in consumers_first([y.node]) for value in node.kept or () if type(value) is np.ndarray]
        y.backward(graph.incoming, retain_graph=True)
        gradients = [one.grad.data for one in leaves if one.grad is not None]
        strangers = [*graph.leaves, graph.incoming, y.data, *made]
        for one, other in itertools.chain(
            itertools.product(gradients, strangers), itertools.combinations(gradients, 2)
        ):
            assert not np.may_share_memory(one, other), graph
            pairs += 1
        before = [one.copy() for one in gradients]
        for one in leaves:
            if one.grad is not None:
                one.grad.data[...] = np.nan
                one.grad = None
        y.backward(graph.incoming)
        for one, right in zip([one.grad.data for one in leaves if one.grad is not None], before, strict=True):
            np.testing.assert_array_equal(one, right)
    assert pairs > 1000


# --- F06: any sequence of passes ------------------------------------------------------------------


@dataclass
class Model:
    """What the machine knows about one tensor: its exact value, its exact gradient by every leaf, its steps."""

    value: Fraction
    slopes: dict[int, Fraction]
    steps: frozenset[int] = frozenset()


@dataclass
class Known:
    """A tensor and its model."""

    tensor: Tensor
    model: Model
    step: int | None = None


LIMIT = 2**20


class Passes(RuleBasedStateMachine):
    """Everything that can be done to a graph, beside a model in exact fractions.

    Every step of the graph has a number; which of them lead to a leaf, and which of them were released, is all that
    decides whether a pass is refused.
    """

    def __init__(self) -> None:
        super().__init__()
        self.leaves = [float64(1.0), float64(-2.0), float64(0.5)]
        self.grads: list[Fraction | None] = [None] * 3
        self.known = [Known(one, Model(Fraction(one.item()), {i: Fraction(1)})) for i, one in enumerate(self.leaves)]
        self.steps = 0
        self.leads: dict[int, frozenset[int]] = {}
        self.released: set[int] = set()

    def pick(self, which: int) -> Known:
        """One of the tensors, whatever the number."""
        return self.known[which % len(self.known)]

    def add(self, tensor: Tensor, value: Fraction, slopes: dict[int, Fraction], sources: list[Known]) -> None:
        """Know one more result, unless its numbers grew too large to be exact in float64."""
        if any(max(abs(one), one.denominator) > LIMIT for one in [value, *slopes.values()]):
            return
        steps = frozenset[int]().union(*(one.model.steps for one in sources))
        if tensor.node is None:
            steps = frozenset()
        else:
            self.steps += 1
            self.leads[self.steps] = frozenset(slopes)
            steps |= {self.steps}
        self.known.append(Known(tensor, Model(value, slopes, steps)))

    @rule(a=st.integers(0, 99), b=st.integers(0, 99), how=st.sampled_from(["add", "sub", "mul", "maximum"]))
    def forward(self, a: int, b: int, how: str) -> None:
        """One more step; of two equal values maximum gives half to each."""
        one, other = self.pick(a), self.pick(b)
        left, right = one.model, other.model
        weights = {
            "add": (Fraction(1), Fraction(1)),
            "sub": (Fraction(1), Fraction(-1)),
            "mul": (right.value, left.value),
            "maximum": (
                Fraction(1, 2) if left.value == right.value else Fraction(left.value > right.value),
                Fraction(1, 2) if left.value == right.value else Fraction(left.value < right.value),
            ),
        }[how]
        if how == "maximum" and not (left.slopes and right.slopes):
            return  # beside a constant another rule holds at a tie: docs/kinks.md
        slopes = {
            i: weights[0] * left.slopes.get(i, 0) + weights[1] * right.slopes.get(i, 0)
            for i in left.slopes.keys() | right.slopes.keys()
        }
        value = {
            "add": left.value + right.value,
            "sub": left.value - right.value,
            "mul": left.value * right.value,
            "maximum": max(left.value, right.value),
        }[how]
        self.add(getattr(ops, how)(one.tensor, other.tensor), value, slopes, [one, other])

    @rule(a=st.integers(0, 99))
    def detach(self, a: int) -> None:
        """The same value, with nothing before it."""
        one = self.pick(a)
        self.add(one.tensor.detach(), one.model.value, {}, [])

    @rule(a=st.integers(0, 99))
    def under_no_grad(self, a: int) -> None:
        """A result that records nothing."""
        one = self.pick(a)
        with tg.no_grad():
            self.add(one.tensor * 3.0, one.model.value * 3, {}, [])

    @rule(a=st.integers(0, 99), retain=st.booleans(), factor=st.integers(-3, 3))
    def backward(self, a: int, retain: bool, factor: int) -> None:
        """Adds to `.grad` of every leaf below, or is refused and adds nothing."""
        one = self.pick(a)
        if one.tensor.node is None:
            with pytest.raises(GradientError):
                one.tensor.backward()
            return
        if one.model.steps & self.released:
            with pytest.raises(ReleasedGraphError):
                one.tensor.backward(np.array(float(factor)), retain_graph=retain)
            return
        one.tensor.backward(np.array(float(factor)), retain_graph=retain)
        for i, slope in one.model.slopes.items():
            self.grads[i] = (self.grads[i] or Fraction(0)) + factor * slope
        if not retain:
            self.released |= one.model.steps

    @rule(a=st.integers(0, 99), which=st.integers(0, 2), retain=st.booleans())
    def grad(self, a: int, which: int, retain: bool) -> None:
        """The gradient by one leaf, which goes nowhere else; only the steps that lead to that leaf are walked."""
        one = self.pick(a)
        if one.tensor.node is None or which not in one.model.slopes:
            with pytest.raises(GradientError):
                autograd.grad(one.tensor, self.leaves[which])
            return
        walked = {step for step in one.model.steps if which in self.leads[step]}
        if walked & self.released:
            with pytest.raises(ReleasedGraphError):
                autograd.grad(one.tensor, self.leaves[which])
            return
        (found,) = autograd.grad(one.tensor, self.leaves[which], retain_graph=retain)
        assert Fraction(found.item()) == one.model.slopes[which]
        if not retain:
            self.released |= walked

    @rule(which=st.integers(0, 2))
    def zero(self, which: int) -> None:
        """Forget."""
        self.leaves[which].grad = None
        self.grads[which] = None

    @rule(a=st.integers(0, 99), misuse=st.sampled_from(["shape", "op", "rule", "write"]))
    def misuse(self, a: int, misuse: str) -> None:
        """Each is refused with its own error; the invariant sees that nothing has changed."""
        one = self.pick(a)
        if one.tensor.node is None:
            return
        if misuse == "shape":
            with pytest.raises(ShapeError):
                one.tensor.backward(np.ones(2))
        elif misuse == "op":
            with pytest.raises(ShapeError):
                ops.matmul(ops.reshape(one.tensor, (1, 1)), np.ones((2, 2)))
        elif misuse == "rule":
            with accident_in("tanh", "on the way back"), pytest.raises((Accident, ReleasedGraphError)):
                ops.tanh(one.tensor).backward(retain_graph=True)
        else:
            with pytest.raises(GradientError):
                one.tensor[...] = 1.0

    @precondition(lambda self: len(self.known) > 12)
    @rule(which=st.integers(3, 99))
    def forget(self, which: int) -> None:
        """Drop a handle: what other results need stays."""
        if 3 <= which < len(self.known):
            del self.known[which]

    @invariant()
    def everything_is_as_the_model_says(self) -> None:
        """Values and `.grad` equal the fractions, exactly, and the mode is on."""
        assert tg.is_grad_enabled()
        for one in self.known:
            assert Fraction(one.tensor.item()) == one.model.value
            assert one.tensor.requires_grad == bool(one.model.slopes)
        for one, right in zip(self.leaves, self.grads, strict=True):
            assert (one.grad is None) == (right is None)
            assert right is None or Fraction(one.grad.item()) == right


TestPasses = Passes.TestCase
TestPasses.settings = settings(stateful_step_count=50, max_examples=min(EXAMPLES, 2000))


# --- F07: writes ----------------------------------------------------------------------------------


def _by_index(x: Tensor) -> None:
    x[...] = 7.5


def _in_place(x: Tensor) -> None:
    x += 1.5


def _through_a_view(x: Tensor) -> None:
    view = x.detach()[...]
    view -= 0.5


def _through_detach(x: Tensor) -> None:
    x.detach()[...] = 0.25


def _by_an_optimizer(x: Tensor) -> None:
    x.grad = Tensor(np.full(x.shape, 0.5))
    optim.SGD([x], lr=1.0).step()
    x.grad = None


def _by_an_initialiser(x: Tensor) -> None:
    nn.init.constant_(x, 0.75)


WRITES = [_by_index, _in_place, _through_a_view, _through_detach, _by_an_optimizer, _by_an_initialiser]


def example(name: str) -> Case:
    """One call of an op with elements in every operand."""
    return find(
        cases(OPS[name]),
        lambda case: all(one.size > 1 for one in case.operands) and np.asarray(case.forward()).size > 0,
        settings=settings(max_examples=5000, database=None, derandomize=True, phases=[Phase.generate]),
    )


@pytest.mark.parametrize("name", differentiable())
def test_no_write_gives_a_wrong_gradient_in_silence(name: str) -> None:
    """F07: each operand, and the result, written by every way of the library between the passes.

    The way back either refuses, naming the op, or gives the bits that it would have given before the write. Where the
    op keeps the operand it refuses.
    """
    case = example(name)
    incoming = np.random.default_rng(3).normal(size=np.shape(case.forward()))

    def recorded() -> tuple[list[Any], Tensor]:
        handles = [leaf(one.copy()) if i in case.differentiable else Tensor(one) for i, one in enumerate(case.operands)]
        return handles, case.call(*handles)

    handles, y = recorded()
    leaves = [handles[i] for i in case.differentiable]
    right = [one.data for one in autograd.grad(y, leaves, [Tensor(incoming)])]
    for write in WRITES:
        for position in range(len(handles)):
            handles, y = recorded()
            victim = handles[position]
            if victim.dtype.kind != "f" or (write is _by_an_optimizer and position not in case.differentiable):
                continue
            kept = any(np.may_share_memory(one, victim.data) for one in y.node.kept if isinstance(one, np.ndarray))
            with tg.no_grad():
                write(victim)
            check_write(y, [handles[i] for i in case.differentiable], incoming, right, kept)
    handles, y = recorded()
    if not y.data.flags.writeable:  # a view in which one number stands for several: NumPy refuses
        return
    kept = any(np.may_share_memory(one, y.data) for one in y.node.kept if isinstance(one, np.ndarray))
    with tg.no_grad():
        _through_detach(y)
    check_write(y, [handles[i] for i in case.differentiable], incoming, right, kept)


def check_write(y: Tensor, leaves: list[Tensor], incoming: Any, right: list[Any], kept: bool) -> None:
    try:
        found = autograd.grad(y, leaves, [Tensor(incoming)])
    except ChangedValueError as error:
        assert y.node is not None
        assert y.node.plan.op.name in str(error)  # noqa: PT017 - no error at all is right too, where nothing was kept
        assert kept
        return
    assert not kept
    for one, expected in zip(found, right, strict=True):
        np.testing.assert_array_equal(one.data, expected)


# --- F08: sharing ---------------------------------------------------------------------------------

# name: (what is made from an array, whether its memory is the array's own)
SHARING: dict[str, tuple[Callable[[Any], Any], bool]] = {
    "Tensor(a)": (Tensor, False),
    "Tensor(a, dtype=...)": (lambda a: Tensor(a, dtype=a.dtype), False),
    "Tensor(Tensor)": (lambda a: Tensor(tg.from_numpy(a)), False),
    "tensor(a)": (tg.tensor, False),
    "from_numpy(a)": (tg.from_numpy, True),
    "detach": (lambda a: tg.from_numpy(a).detach(), True),
    "clone": (lambda a: tg.from_numpy(a).clone(), False),
    "astype": (lambda a: tg.from_numpy(a).astype("float32"), False),
    "deepcopy": (lambda a: copy.deepcopy(tg.from_numpy(a)), False),
    "pickle": (lambda a: pickle.loads(pickle.dumps(tg.from_numpy(a))), False),  # noqa: S301 - our own bytes
    "Parameter": (nn.Parameter, False),
}
KINDS: dict[str, Callable[[], Any]] = {
    "contiguous": lambda: np.arange(6.0).reshape(2, 3),
    "Fortran": lambda: np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "slice": lambda: np.arange(12.0).reshape(2, 6)[:, ::2],
    "reversed": lambda: np.arange(6.0).reshape(2, 3)[::-1],
    "transposed": lambda: np.arange(6.0).reshape(3, 2).T,
    "float16": lambda: np.arange(6).astype("float16").reshape(2, 3),
    "integers": lambda: np.arange(6).reshape(2, 3),
    "booleans": lambda: np.arange(6).reshape(2, 3) > 2,
    "0-d": lambda: np.array(3.0),
    "empty": lambda: np.zeros((0, 3)),
}


# A parameter is of floats, and what is float32 already has nothing to be converted.
NO_CASE = {("Parameter", kind) for kind, make in KINDS.items() if make().dtype.kind != "f"}
NO_CASE |= {("astype", kind) for kind, make in KINDS.items() if make().dtype == np.float32}


@pytest.mark.parametrize(("name", "kind"), [one for one in itertools.product(SHARING, KINDS) if one not in NO_CASE])
def test_sharing_is_what_the_table_says(name: str, kind: str) -> None:
    """F08: whether a constructor shares never depends on the array's dtype or layout; a later write proves it."""
    make, shares = SHARING[name]
    a = KINDS[kind]()
    before = a.copy()
    made = make(a)
    assert np.may_share_memory(made.data, a) == (shares and a.size > 0)
    np.testing.assert_array_equal(made.data.astype(a.dtype), before)
    a[...] = 1 - a.astype("float64") if a.dtype.kind != "b" else ~a
    np.testing.assert_array_equal(made.data.astype(a.dtype), a if shares else before)


# --- F09, F10: broadcasting, nothing --------------------------------------------------------------


def shape_sets(rng: np.random.Generator, operands: int) -> list[tuple[int, ...]]:
    """Shapes that broadcast against each other: up to 5 axes, sides 0 to 4, missing and single axes."""
    full = [int(side) for side in rng.choice([0, 1, 2, 3, 4], rng.integers(0, 6), p=[0.06, 0.14, 0.35, 0.3, 0.15])]
    shapes = []
    for _ in range(operands):
        shape = [1 if rng.random() < 0.25 else side for side in full]
        shapes.append(tuple(shape[int(rng.integers(0, len(shape) + 1)) if rng.random() < 0.3 else 0 :]))
    return shapes


BROADCASTING = [
    name
    for name in differentiable()
    if OPS[name].elementwise and isinstance(OPS[name].samples, Elementwise) and len(OPS[name].operands) > 1
]


@pytest.mark.parametrize("name", [*BROADCASTING, "matmul"])
def test_five_hundred_shape_sets(name: str) -> None:
    """F09: the gradient of a broadcast operand is the gradient of explicit copies, summed; shape and dtype are its own.

    Among the 500 sets at least a fifth have an axis of length 1, and a tenth one of length 0.
    """
    rng = np.random.default_rng(9)
    op, function = OPS[name], function_of(name)
    params = dict(op.samples.params[0]) if isinstance(op.samples, Elementwise) and op.samples.params else {}
    single = empty = 0
    for _ in range(500):
        shapes = shape_sets(rng, len(op.operands))
        single += any(1 in shape for shape in shapes)
        empty += any(0 in shape for shape in shapes)
        core: tuple[tuple[int, ...], ...] = ((),) * len(shapes)
        if name == "matmul":
            n, k, m = (int(side) for side in rng.integers(1, 4, 3))
            core = ((n, k), (k, m))
        arrays = [np.asarray(rng.uniform(0.3, 2.0, (*a, *b))) for a, b in zip(shapes, core, strict=True)]
        if "condition" in op.operands:
            arrays[op.operands.index("condition")] = arrays[op.operands.index("condition")] > 1.0
        wanted = [i for i in range(len(arrays)) if op.rule(i) is not None]
        batch = np.broadcast_shapes(*shapes)
        spread = [np.broadcast_to(one, (*batch, *b)).copy() for one, b in zip(arrays, core, strict=True)]
        given = [leaf(one) if i in wanted else one for i, one in enumerate(arrays)]
        copies = [leaf(one) if i in wanted else one for i, one in enumerate(spread)]
        y, other = function(*given, **params), function(*copies, **params)
        incoming = Tensor(rng.normal(size=y.shape))
        assert y.shape == other.shape
        found = autograd.grad(y, [given[i] for i in wanted], [incoming])
        right = autograd.grad(other, [copies[i] for i in wanted], [incoming])
        for i, one, full in zip(wanted, found, right, strict=True):
            assert one.shape == arrays[i].shape
            assert one.dtype == arrays[i].dtype
            extra = full.ndim - one.ndim
            axes = tuple(k for k in range(full.ndim) if k < extra or one.shape[k - extra] != full.shape[k])
            size = float(np.abs(full.data).sum()) + 1.0
            np.testing.assert_allclose(
                one.data, full.data.sum(axes).reshape(one.shape), rtol=1e-13, atol=1e-14 * size, err_msg=str(shapes)
            )
    assert single >= 100
    assert empty >= 50


@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (3, 0), (1, 0, 2)])
@pytest.mark.parametrize("name", [name for name in differentiable() if isinstance(OPS[name].samples, Elementwise)])
def test_numbers_and_nothing_are_arrays_too(name: str, shape: tuple[int, ...]) -> None:
    """F10: on 0-d and empty operands values and gradients of both orders are ndarrays of the right shape."""
    op = OPS[name]
    domains = op.samples.operands
    given = [
        leaf(np.full(shape, max(0.5 + 0.25 * i, domains[min(i, len(domains) - 1)].low)))
        if op.rule(i) is not None
        else np.full(shape, True)
        for i in range(len(op.operands))
    ]
    params = dict(op.samples.params[0]) if isinstance(op.samples, Elementwise) and op.samples.params else {}
    y = function_of(name)(*given, **params)
    assert type(y.data) is np.ndarray
    assert y.shape == shape
    leaves = [one for one in given if isinstance(one, Tensor)]
    first = autograd.grad(y, leaves, [Tensor(np.ones(shape))], create_graph=True)
    for one in first:
        assert type(one.data) is np.ndarray
        assert one.shape == shape
        if one.node is not None:
            for second in autograd.grad(one, leaves, [Tensor(np.ones(shape))], retain_graph=True, allow_unused=True):
                assert second is None or (type(second.data) is np.ndarray and second.shape == shape)


# --- F24, F25: modes, threads, tasks --------------------------------------------------------------


class Modes(RuleBasedStateMachine):
    """Blocks, decorators and generators in any order, beside a plain stack."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = [True]
        self.open: list[Any] = []
        self.reused = tg.no_grad()
        self.generators: list[tuple[Iterator[bool], bool]] = []

    @rule(how=st.sampled_from([tg.no_grad, tg.enable_grad, None]))
    def enter(self, how: Any) -> None:
        """A block of its own, or one instance entered again."""
        block = self.reused if how is None else how()
        block.__enter__()
        self.open.append(block)
        self.stack.append(how is tg.enable_grad)

    @precondition(lambda self: self.open)
    @rule(fails=st.booleans())
    def leave(self, fails: bool) -> None:
        """In order or by an exception."""
        error = Accident("on purpose") if fails else None
        self.open.pop().__exit__(type(error) if error else None, error, None)
        self.stack.pop()

    @rule(on=st.booleans(), fails=st.booleans())
    def decorate(self, on: bool, fails: bool) -> None:
        """Decorating changes nothing, the call does, and its end undoes it."""

        @tg.set_grad_enabled(on)
        def inside() -> bool:
            if fails:
                raise Accident("on purpose")
            return tg.is_grad_enabled()

        self.the_mode_is_the_stacks()
        if fails:
            with pytest.raises(Accident):
                inside()
        else:
            assert inside() is on

    @rule(on=st.booleans())
    def start(self, on: bool) -> None:
        """A decorated generator, not yet begun."""

        @tg.set_grad_enabled(on)
        def steps() -> Iterator[bool]:
            while True:
                try:
                    yield tg.is_grad_enabled()
                except Accident:
                    assert tg.is_grad_enabled() is on

        self.generators.append((steps(), on))

    @precondition(lambda self: self.generators)
    @rule(which=st.integers(0, 9), how=st.sampled_from(["next", "throw", "close"]))
    def step(self, which: int, how: str) -> None:
        """Inside the generator its own mode holds."""
        generator, on = self.generators[which % len(self.generators)]
        if how == "next":
            assert next(generator) is on
        elif how == "throw":
            next(generator)
            assert generator.throw(Accident("into it")) is on  # type: ignore[attr-defined]
        else:
            generator.close()  # type: ignore[attr-defined]
            self.generators.remove((generator, on))

    @invariant()
    def the_mode_is_the_stacks(self) -> None:
        """After every move."""
        assert tg.is_grad_enabled() is self.stack[-1]
        assert (float64(1.0) * 2.0).requires_grad is self.stack[-1]

    def teardown(self) -> None:
        """Close what is open; the mode is as at the beginning."""
        for generator, _ in self.generators:
            generator.close()  # type: ignore[attr-defined]
        while self.open:
            self.open.pop().__exit__(None, None, None)
        assert tg.is_grad_enabled()


TestModes = Modes.TestCase
TestModes.settings = settings(stateful_step_count=30, max_examples=5000 if NIGHTLY else EXAMPLES)


def mode_program(seed: int) -> list[bool]:
    """Blocks nested at random; what was recorded within them."""
    rng = np.random.default_rng(seed)
    seen: list[bool] = []

    def nested(depth: int) -> None:
        for _ in range(int(rng.integers(1, 4))):
            with tg.set_grad_enabled(bool(rng.integers(2))):
                seen.append((float64(1.0) * 2.0).requires_grad)
                if depth:
                    nested(depth - 1)
            seen.append(tg.is_grad_enabled())

    nested(3)
    return seen


@contextmanager
def frequent_switches() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def in_threads(work: Callable[[int], None], count: int) -> None:
    failures: list[BaseException] = []

    def guarded(number: int) -> None:
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001 - handed to the thread that looks
            failures.append(error)

    with frequent_switches():
        threads = [threading.Thread(target=guarded, args=(k,)) for k in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []


def test_modes_in_threads_are_those_of_one_thread() -> None:
    """F25: 8 threads run random nestings of modes at once (nightly 1,000 each); each sees what it sees alone."""
    programs = 1000 if NIGHTLY else 25
    alone = [mode_program(seed) for seed in range(programs)]

    def work(number: int) -> None:
        for seed in range(programs):
            assert mode_program(seed) == alone[seed]

    in_threads(work, 8)
    assert tg.is_grad_enabled()


def test_modes_in_tasks_are_their_own() -> None:
    """F25: 50 asyncio tasks that wait inside no_grad leave each other's mode alone."""

    async def task(number: int) -> None:
        for step in range(20):
            on = (number + step) % 3 == 0
            with tg.set_grad_enabled(on):
                await asyncio.sleep(0)
                assert tg.is_grad_enabled() is on
            await asyncio.sleep(0)
            assert tg.is_grad_enabled()

    async def together() -> None:
        await asyncio.gather(*(task(number) for number in range(50)))

    asyncio.run(together())
    assert tg.is_grad_enabled()


def test_a_copied_context_carries_the_mode_into_a_thread() -> None:
    """F25: a new thread records; run in a copy of the caller's context it does as the caller."""
    seen: list[bool] = []
    with tg.no_grad():
        context = contextvars.copy_context()
        for target in (lambda: seen.append(tg.is_grad_enabled()), lambda: context.run(_note, seen)):
            thread = threading.Thread(target=target)
            thread.start()
            thread.join()
    assert seen == [True, False]


def _note(seen: list[bool]) -> None:
    seen.append(tg.is_grad_enabled())


def test_threads_that_share_parameters_compute_right_gradients() -> None:
    """F25: 4 threads differentiate functions of the same leaves by grad(), which adds to nothing; all are exact."""
    w = float64([1.0, 2.0, -3.0])

    def work(number: int) -> None:
        for step in range(100):
            factor = float(number * 100 + step)
            (found,) = autograd.grad((w * w * factor).sum(), w)
            np.testing.assert_array_equal(found.data, 2 * factor * w.data)

    in_threads(work, 4)
    assert w.grad is None


# --- F27, F28: copies, ties -----------------------------------------------------------------------


@pytest.mark.slow
def test_copies_of_a_deep_result_are_small_and_need_no_recursion() -> None:
    """F27: 10^6 steps deep (nightly; else 10^5): deepcopy and every protocol of pickle take the array alone."""
    y = float64(np.arange(100.0))
    for _ in range(1_000_000 if NIGHTLY else 100_000):
        y = y + 1.0
    with recursion_limit(200):
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
            stored = pickle.dumps(y, protocol)
            assert len(stored) <= y.data.nbytes + 2048
            np.testing.assert_array_equal(pickle.loads(stored).data, y.data)  # noqa: S301 - our own bytes
        np.testing.assert_array_equal(copy.deepcopy(y).data, y.data)


@st.composite
def tied_modules(draw_from: st.DrawFn) -> Any:
    """Layers of 2 in, 2 out, some of them one and the same, or with weight or bias of an earlier one, nested."""
    layers: list[Any] = []
    for number in range(draw_from(st.integers(1, 6))):
        how = draw_from(st.sampled_from(["new", "same layer", "same weight", "same bias"])) if layers else "new"
        if how == "same layer":
            layers.append(draw_from(st.sampled_from(layers)))
            continue
        layer = nn.Linear(2, 2, seed=number)
        if how != "new":
            name = how.removeprefix("same ")
            setattr(layer, name, getattr(draw_from(st.sampled_from(layers)), name))
        layers.append(layer)
    cut = draw_from(st.integers(0, len(layers)))
    parts = [nn.Sequential(*layers[:cut]), *layers[cut:]] if cut else layers
    return nn.Sequential(*parts)


@given(tied_modules(), st.integers(0, 100))
def test_ties_step_once_and_survive_copies_and_states(model: Any, seed: int) -> None:
    """F28: any tree with ties: parameters come once, a step is that of the summed gradient, copies keep the ties."""
    parameters = list(model.parameters())
    assert len({id(one) for one in parameters}) == len(parameters)
    x = Tensor(np.random.default_rng(seed).normal(size=(3, 2)).astype("float32"))
    model(x).square().sum().backward()
    expected = [one.data - np.float32(0.125) * one.grad.data for one in parameters]
    optim.SGD(model.parameters(), lr=0.125).step()
    for one, right in zip(parameters, expected, strict=True):
        np.testing.assert_array_equal(one.data, right)

    def ties(module: Any) -> list[int]:
        every = list(module.state_dict().values())
        return [next(k for k, other in enumerate(every) if other is one) for one in every]

    twin = copy.deepcopy(model)
    assert ties(twin) == ties(model)
    for one in twin.parameters():
        nn.init.zeros_(one)
    twin.load_state_dict(model.state_dict())
    assert ties(twin) == ties(model)
    assert twin(x).data.tobytes() == model(x).data.tobytes()
    with pytest.raises(tg.errors.ArgumentError, match="twice"):
        optim.SGD([*parameters, parameters[0]], lr=0.1)
