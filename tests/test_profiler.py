"""The profiler: it changes no number, leaves nothing behind, and its times and counts add up."""

from __future__ import annotations

import contextvars
import io
import json
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_mlp as tg
from tinygrad_mlp import Tensor, autograd, func, nn, ops, optim, profiler
from tinygrad_mlp.errors import ArgumentError, ShapeError, StateError
from tinygrad_mlp.ops.declare import primitive, undeclare
from tinygrad_mlp.profiler import Event, Profile, profile
from tinygrad_mlp.tape import OPS, Node, recorder, walk
from tinygrad_mlp.testing import strategies
from tinygrad_mlp.testing.cases import gradients, has_rule, leaf


def cells() -> dict[str, list[Any]]:
    """What the op functions reach their NumPy functions through, found here without the profiler."""
    found: dict[str, list[Any]] = {}
    for name, op in OPS.items():
        waiting, seen = [op.call], set()
        while waiting:
            function = waiting.pop()
            if id(function) in seen:
                continue
            seen.add(id(function))
            free = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
            if "forward" in free:
                found.setdefault(name, []).append(free["forward"].cell_contents)
            waiting += [one for one in (free.get(k) for k in ("at_length", "in_general")) if one is not None]
            waiting = [getattr(one, "cell_contents", one) for one in waiting]
    return found


@pytest.fixture(autouse=True)
def nothing_is_left_behind() -> Iterator[None]:
    """Every op's functions, the methods of the base classes, the walk and the recorder are the same objects after."""
    before = cells()
    assert all(one is OPS[name].forward for name, ones in before.items() for one in ones)
    assert before.keys() == OPS.keys()
    call, step = vars(nn.Module)["__call__"], vars(optim.Optimizer)["step"]
    yield
    after = cells()
    assert all(a is b for name in before for a, b in zip(before[name], after[name], strict=True))
    assert vars(nn.Module)["__call__"] is call
    assert vars(optim.Optimizer)["step"] is step
    assert vars(sys.modules["tinygrad_mlp.tensor"])["walk"] is walk
    assert recorder() is Node
    assert profiler.active() is None


def problem(seed: int = 0) -> tuple[nn.MLP, Callable[[], float]]:
    model = nn.MLP(6, 16, 8, 3, activation="gelu", dropout=0.2, seed=seed)
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    loss = nn.CrossEntropyLoss()
    rng = np.random.default_rng(seed)
    x, y = Tensor(rng.normal(size=(20, 6))), rng.integers(0, 3, 20)

    def step() -> float:
        optimizer.zero_grad()
        value = loss(model(x), y)
        value.backward()
        optimizer.step()
        return value.item()

    return model, step


def state(model: nn.Module) -> list[bytes]:
    return [one.data.tobytes() for one in model.parameters()]


# --- numbers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lines", [False, True])
def test_training_gives_the_same_bits(lines: bool) -> None:
    """Losses and parameters of a profiled run are those of a run without, bit for bit."""
    model, step = problem()
    plain = [step() for _ in range(5)]
    other, step = problem()
    with profile(lines=lines):
        profiled = [step() for _ in range(5)]
    assert profiled == plain
    assert state(other) == state(model)


def test_hooks_gradients_of_gradients_and_transforms_stay() -> None:
    """Second derivatives, hooks, retained gradients, rules of one's own and vmap give what they give without."""

    class Cube(autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            ctx.save_for_backward(x)
            return x * x * x

        @staticmethod
        def backward(ctx: Any, g: Tensor) -> Tensor:
            (x,) = ctx.saved_tensors
            return g * x * x * 3

    def everything() -> list[list[float]]:
        x = Tensor([0.5, 1.5], requires_grad=True)
        y = x.tanh()
        y.retain_grad()
        y.register_hook(lambda g: g * 2)
        z = (Cube.apply(y) * x).sum()
        (first,) = autograd.grad(z, x, create_graph=True, retain_graph=True)
        (second,) = autograd.grad(first.sum(), x, retain_graph=True)
        (Cube.apply(y) * x).sum().backward()
        rows = func.vmap(lambda one: one.exp().sum())(Tensor(np.eye(3)))
        hessian = func.hessian(lambda one: (one**3).sum())(Tensor([1.0, 2.0]))
        assert y.grad is not None
        assert x.grad is not None
        return [one.tolist() for one in (first, second, x.grad, y.grad, rows, hessian)]

    plain = everything()
    with profile() as p:
        profiled = everything()
    assert profiled == plain
    assert {one.kind for one in p.events} == {"op", "rule", "walk"}


# --- counts ----------------------------------------------------------------------------------------------------------


def test_calls_are_those_of_the_graph() -> None:
    """As many forward calls and rules of each op as the graph of the same computation has steps of it."""
    w = Tensor(np.arange(6.0).reshape(2, 3), requires_grad=True)

    def compute() -> Tensor:
        return ((w.tanh() @ w.T) * w.sum() + w.exp().mean()).sum()

    steps: Counter[str] = Counter()
    seen: set[Node] = set()
    waiting = [compute().node]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen or node.plan is None:
            continue
        seen.add(node)
        steps[node.plan.op.name] += 1
        waiting += node.inputs
    with profile() as p:
        y = compute()
    assert p.calls() == steps
    with p:
        y.backward()
    assert Counter(one.name for one in p.events if one.kind == "rule") == steps
    assert Counter(one.name for one in p.events if one.kind == "op" and one.phase == "forward") == steps


@pytest.mark.parametrize("name", [name for name, op in OPS.items() if has_rule(op) or op.elementwise])
@given(data=st.data())
@settings(max_examples=3)
def test_every_op_is_timed(name: str, data: st.DataObject) -> None:
    """A call of any op, on arrays and on tensors, is one more call of it; values and gradients are the same bits."""
    case = data.draw(strategies.cases(name))

    def everything() -> list[Any]:
        plain = case.call(*case.operands)
        if not case.differentiable:
            return [plain]
        return [plain, *gradients(case, np.ones_like(case.forward()))]

    before = everything()
    with profile() as p:
        after = everything()
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other, strict=True)
    with profile() as p:
        case.call(*case.operands)
    assert p.calls()[name] == 1
    if case.differentiable:
        with profile() as p:
            case.call(*[leaf(one) if i in case.differentiable else one for i, one in enumerate(case.operands)])
        assert p.calls()[name] == 1


def test_facts_of_a_call() -> None:
    """Shapes of the operands, bytes of the result, the phase, the module and the line."""
    layer = nn.Linear(3, 2, seed=0)
    x = tg.ones(5, 3)
    with profile(lines=True) as p:
        y = layer(x)
        y.sum().backward()
    (op,) = [one for one in p.events if one.name == "linear" and one.kind == "op"]
    assert op.shapes == ((5, 3), (2, 3), (2,))
    assert op.bytes == y.data.nbytes
    assert (op.phase, op.module) == ("forward", "Linear")
    (rule,) = [one for one in p.events if one.name == "linear" and one.kind == "rule"]
    assert (rule.phase, rule.module) == ("backward", "Linear")
    assert "y = layer(x)" in str(p.by_line())
    assert rule.line is not None
    assert rule.line[0].co_filename == __file__


def test_modules_have_paths_forward_and_backward() -> None:
    """Each layer's ops and rules count for it, two models of one class are two, and a loss stands beside them."""
    model, step = problem()
    other, _ = problem()
    with profile() as p:
        step()
        other.eval()(tg.ones(1, 6))
    paths = {f"MLP.{path}" if path else "MLP" for path, _ in model.named_modules()}
    assert {one.module for one in p.events if one.kind == "module"} >= paths | {
        "CrossEntropyLoss",
        "MLP(2)",
        "MLP(2).0",
    }
    linear = [one.module for one in p.events if one.name == "linear" and one.kind == "rule"]
    layers = [f"MLP.{path}" for path, one in model.named_modules() if isinstance(one, nn.Linear)]
    assert linear == layers[::-1]
    (update,) = [one for one in p.events if one.phase == "update"]
    assert (update.kind, update.name) == ("step", "Adam")


# --- times -----------------------------------------------------------------------------------------------------------


def check_nesting(events: list[Event]) -> None:
    """Events of a thread lie inside or beside each other, and what lies directly inside is what ``own`` leaves out."""
    for thread in {one.thread for one in events}:
        stack: list[tuple[Event, list[int]]] = []
        mine = sorted([one for one in events if one.thread == thread], key=lambda one: (one.start, -one.duration))
        inside: list[tuple[Event, list[int]]] = []
        for one in mine:
            while stack and stack[-1][0].start + stack[-1][0].duration <= one.start:
                stack.pop()
            if stack:
                parent, durations = stack[-1]
                assert one.start + one.duration <= parent.start + parent.duration
                durations.append(one.duration)
            stack.append((one, []))
            inside.append(stack[-1])
        for one, durations in inside:
            assert one.own == one.duration - sum(durations), one
            assert one.own >= 0


def test_times_add_up() -> None:
    """Own times are durations without what is inside, and all of them together take no longer than the wall clock."""
    _, step = problem()
    start = time.perf_counter()
    with profile() as p:
        for _ in range(3):
            step()
    wall = time.perf_counter() - start
    check_nesting(p.events)
    assert sum(one.own for one in p.events) / 1e9 <= p.total <= wall
    assert p.count == len(p.events)
    assert p.overhead == pytest.approx(p.count * profiler.cost_per_call())


def test_a_slow_op_is_the_first_row() -> None:
    """An op that sleeps has the time of its sleep, as an op, and neither its module nor the walk has it."""

    @primitive(vjp=(lambda g: ops.mul(g, 2.0),), name="dawdle")
    def dawdle(x: Any) -> Any:
        time.sleep(0.05)
        return x * 2

    class Lazy(nn.Module):
        def forward(self, x: Tensor) -> Any:
            return dawdle(x)

    try:
        with profile() as p:
            Lazy()(Tensor([1.0], requires_grad=True)).sum().backward()
    finally:
        undeclare(dawdle)
    assert p.table().rows[0][0] == "dawdle"
    (op,) = [one for one in p.events if one.name == "dawdle" and one.kind == "op"]
    assert op.own >= 50e6
    assert op.module == "Lazy"
    assert sum(one.own for one in p.events if one != op) < 40e6


# --- nested, threads, exceptions -------------------------------------------------------------------------------------


def test_nested_profiles() -> None:
    """The inner one sees its block, the outer one everything; paths of modules go on."""
    x = Tensor([1.0, 2.0], requires_grad=True)
    with profile() as outer:
        x.exp()
        with profile() as inner:
            x.tanh()
        x.exp()
    assert inner.calls() == {"tanh": 1}
    assert outer.calls() == {"exp": 2, "tanh": 1}
    assert [one.name for one in outer.events] == ["exp", "tanh", "exp"]


def test_a_profile_goes_on() -> None:
    """Entered again it adds up, alone or inside another, where only the new part is new."""
    x = Tensor([1.0])
    p = profile()
    with p:
        x.exp()
    first = p.total
    with profile() as outer, p:
        x.tanh()
        with pytest.raises(StateError, match="open already"), p:
            pass
    assert p.calls() == {"exp": 1, "tanh": 1}
    assert outer.calls() == {"tanh": 1}
    assert outer.count == 1
    assert p.total > first


def test_threads_are_kept_apart() -> None:
    """Two threads with a profile each see their own ops only; one that runs in a copied context counts, by its id."""
    gate = threading.Barrier(3)
    found: dict[str, Profile] = {}

    def work(name: str, count: int) -> None:
        gate.wait()
        with profile() as p:
            for _ in range(count):
                getattr(Tensor([0.5], requires_grad=True), name)().sum().backward()
        found[name] = p

    threads = [threading.Thread(target=work, args=args) for args in (("exp", 200), ("tanh", 300))]
    with profile() as mine:
        for one in threads:
            one.start()
        gate.wait()
        for _ in range(100):
            Tensor([0.5]).sin()
        for one in threads:
            one.join()
    assert mine.calls() == {"sin": 100}
    assert (found["exp"].calls()["exp"], found["tanh"].calls()["tanh"]) == (200, 300)
    assert "tanh" not in found["exp"].calls()

    with profile() as p:
        Tensor([0.5]).exp()
        context = contextvars.copy_context()
        helper = threading.Thread(target=context.run, args=(lambda: nn.Linear(1, 1)(Tensor([[0.5]])).sum().backward(),))
        helper.start()
        helper.join()
    assert len({one.thread for one in p.events}) == 2
    check_nesting(p.events)


def test_exceptions_leave_nothing_behind() -> None:
    """Whatever raises, an op, a module, a rule or the block: the next event is in no module, and forward."""

    @primitive(vjp=(lambda g: 1 / 0,), name="broken")
    def broken(x: Any) -> Any:
        return x * 2

    class Breaks(nn.Module):
        def forward(self, x: Tensor) -> Any:
            return broken(x).sum()

    try:
        with profile() as p:
            y = Breaks()(Tensor([1.0], requires_grad=True))
            with pytest.raises(ZeroDivisionError):
                y.backward()
            with pytest.raises(ShapeError):
                ops.add(Tensor([1.0, 2.0]), Tensor([1.0, 2.0, 3.0]))
            with pytest.raises(ShapeError):
                nn.Linear(3, 2)(tg.ones(1, 4))
            Tensor([1.0]).exp()
        with pytest.raises(ZeroDivisionError), profile():
            raise ZeroDivisionError
    finally:
        undeclare(broken)
    last = p.events[-1]
    assert (last.name, last.phase, last.module) == ("exp", "forward", "")
    assert sum(one.own for one in p.events) / 1e9 <= p.total


def test_nodes_outlive_the_profile() -> None:
    """What was recorded in the block can be walked after it, and what was recorded before it inside."""
    x = Tensor([2.0], requires_grad=True)
    before = x * x
    with profile() as p:
        inside = x.exp()
        before.sum().backward()
    inside.sum().backward()
    assert x.grad is not None
    assert x.grad.item() == pytest.approx(4 + np.exp(2.0))
    assert p.calls()["exp"] == 1


def test_other_recorders_stay() -> None:
    """Pictures and no_grad work inside a profile, and a profile inside them."""
    x = Tensor([2.0], requires_grad=True)
    with ExitStack() as stack:
        p = stack.enter_context(profile())
        with tg.no_grad():
            assert not x.exp().requires_grad
            with tg.enable_grad():
                assert x.exp().requires_grad
        with tg.record_values():
            x.tanh().sum().backward()
    with tg.no_grad(), profile() as q:
        assert not x.exp().requires_grad
    assert p.calls()["exp"] == 2
    assert q.calls() == {"exp": 1}


# --- answers ---------------------------------------------------------------------------------------------------------


def test_tables() -> None:
    """The sums of the tables are those of the events; text, rich and HTML hold every row."""
    _, step = problem()
    with profile() as p:
        step()
    table = p.table()
    assert sum(int(row[2]) for row in table.rows) == p.count
    owns = [float(row[4]) for row in table.rows]
    assert owns == sorted(owns, reverse=True)
    assert sum(owns) == pytest.approx(sum(one.own for one in p.events) / 1e6, abs=0.001 * len(owns))
    assert str(p) == str(table)
    assert all(row[0] in str(p) and row[0] in p._repr_html_() for row in table.rows)
    assert len(p.table(rows=3).rows) == 3
    assert f"and {len(table.rows) - 3} more rows" in str(p.table(rows=3))
    assert {row[0] for row in p.by_module().rows} == {one.module or "(outside)" for one in p.events}
    with pytest.raises(ArgumentError, match="got 'fast'"):
        p.table(sort="fast")
    with pytest.raises(StateError, match="lines=True"):
        p.by_line()


def test_rich_table() -> None:
    """Rich draws every row."""
    rich = pytest.importorskip("rich.console")
    with profile() as p:
        Tensor([1.0]).exp()
    shown = io.StringIO()
    rich.Console(width=120, file=shown).print(p)
    assert "exp" in shown.getvalue()
    assert "wall" in shown.getvalue()


def test_sums_count_all_where_events_are_not_kept() -> None:
    """Beyond ``max_events`` no event is kept, and every one is counted."""
    with profile(max_events=10) as p:
        for _ in range(10_000):
            ops.exp(1.0)
    assert len(p.events) == 10
    assert p.calls() == {"exp": 10_000}
    with pytest.raises(ArgumentError, match="max_events"):
        profile(max_events=-1)


def test_what_others_time() -> None:
    """A back end's steps and named blocks stand beside the ops, and a span leaves out what is inside."""
    with profile() as p, p.span("epoch"):
        assert profiler.active() is p
        start = time.perf_counter_ns()
        Tensor([1.0]).exp()
        p.record("matmul", "backward", "MLP.0", time.perf_counter_ns(), 0, shapes=((2, 2), (2, 2)), bytes=32)
    assert start
    assert [one.name for one in p.events][:2] == ["epoch", "exp"]
    (entry,) = [one for one in p.events if one.name == "matmul"]
    assert (entry.phase, entry.module, entry.bytes, entry.kind) == ("backward", "MLP.0", 32, "op")
    check_nesting(p.events)


@pytest.mark.parametrize("backend", ["replay", "native"])
def test_compiled_programs(backend: Any) -> None:
    """A replay enters each of its steps, with module and phase, inside one entry per call; native programs one."""
    if backend == "native":
        pytest.importorskip("tinygrad_mlp.program.native")
    model, _ = problem()
    other, _ = problem()
    compiled = tg.compile(step_of(other), backend=backend)
    x, y = np.random.default_rng(1).normal(size=(20, 6)).astype("float32"), np.arange(20) % 3
    plain = step_of(model)
    expected = [plain(Tensor(x), y).item() for _ in range(4)]
    first = compiled(Tensor(x), y).item()
    with warnings.catch_warnings(), profile(lines=True) as p:
        warnings.simplefilter("ignore", RuntimeWarning)
        losses = [first, *[compiled(Tensor(x), y).item() for _ in range(3)]]
    np.testing.assert_allclose(losses, expected, rtol=0 if backend == "replay" else 1e-5)
    calls = [one for one in p.events if one.kind == "program"]
    assert [(one.name, one.phase) for one in calls] == [("step", "all")] * 3
    assert "step (compiled)" in str(p)
    assert p.by_module().head[-2] == "all ms"
    check_nesting(p.events)
    if backend == "replay":
        steps = compiled._last.replayed().steps
        inside = [one for one in p.events if one.kind == "op"]
        assert [(one.name, one.phase, one.module) for one in inside] == [
            (one.op.name, one.phase, one.module) for one in steps
        ] * 3


def step_of(model: nn.MLP) -> Callable[..., Tensor]:
    """A whole step without random numbers, of new loss and optimizer."""
    model.eval()
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    loss_of = nn.CrossEntropyLoss()

    def step(x: Tensor, y: Any) -> Tensor:
        optimizer.zero_grad()
        loss = loss_of(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


def test_chrome_trace(tmp_path: Path) -> None:
    """Complete events with the fields of the format, in order of time, each inside what called it."""
    _, step = problem()
    with profile(lines=True) as p:
        step()
    p.export_chrome_trace(tmp_path / "trace.json")
    trace = json.loads((tmp_path / "trace.json").read_text(encoding="utf-8"))
    complete = [one for one in trace["traceEvents"] if one["ph"] == "X"]
    assert {one["ph"] for one in trace["traceEvents"]} == {"M", "X"}
    assert len(complete) == p.count
    stack: list[dict[str, Any]] = []
    latest = 0.0
    for one in complete:
        assert {type(one[key]) for key in ("ts", "dur")} == {float}
        assert {type(one[key]) for key in ("pid", "tid")} == {int}
        assert one["ts"] >= latest
        latest = one["ts"]
        while stack and stack[-1]["ts"] + stack[-1]["dur"] <= one["ts"] + 1e-4:
            stack.pop()
        if stack:
            assert one["ts"] + one["dur"] <= stack[-1]["ts"] + stack[-1]["dur"] + 1e-4
        stack.append(one)
    assert any(
        "step()" in one["args"].get("line", "") or "loss(model(x), y)" in one["args"].get("line", "")
        for one in complete
    )
