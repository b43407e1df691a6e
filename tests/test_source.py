"""Programs as people read them: NumPy source that runs and gives the engine's bits, and the table of their steps."""

from __future__ import annotations

import ast
import itertools
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from programs import Builder, dense_data, mlp_step
from test_native import random_program

import tinygrad_mlp as tg
from tinygrad_mlp import nn, optim
from tinygrad_mlp.errors import CaptureError
from tinygrad_mlp.ops.declare import primitive, undeclare
from tinygrad_mlp.program.ir import Program, Value
from tinygrad_mlp.program.numpy_replay import Replay
from tinygrad_mlp.program.source import source
from tinygrad_mlp.program.summary import live_bytes, summary
from tinygrad_mlp.tape import OPS
from tinygrad_mlp.testing import strategies
from tinygrad_mlp.testing.cases import fixed_cases


def same_bits(one: Any, other: Any) -> bool:
    a, b = np.asarray(one), np.asarray(other)
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


def check(builder: Builder) -> str:
    """The source, run where there is nothing but NumPy, gives what each op's forward function gave."""
    program = builder.program
    printed = source(program)
    imported = {
        one.names[0].name for one in ast.walk(ast.parse(printed.text)) if isinstance(one, (ast.Import, ast.ImportFrom))
    }
    assert imported <= {"numpy", "math"}
    space: dict[str, Any] = {}
    exec(printed.text, space)  # noqa: S102 - our own code
    given = [builder.arrays[value] for _, value in printed.arguments]
    before = [one.tobytes() for one in given]
    with np.errstate(all="ignore"):
        outputs, writes = space[printed.name](*given)
    assert [one.tobytes() for one in given] == before
    for one, value in zip(outputs, program.outputs, strict=True):
        assert same_bits(one, builder.arrays[value])
    names = {value: name for name, value in printed.arguments}
    assert tuple(writes) == printed.writes
    assert list(writes) == [names[buffer] for buffer, _ in program.writes]
    for one, (_, value) in zip(writes.values(), program.writes, strict=True):
        assert same_bits(one, builder.arrays[value])
    return printed.text


@pytest.mark.parametrize("seed", range(60))
def test_random_programs(seed: int) -> None:
    """Views, broadcasting, reductions, products and writes: the same bits."""
    check(random_program(np.random.default_rng(seed), 40))


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("act", ["relu", "tanh", "gelu"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_training_steps(optimizer: str, act: str, dtype: Any) -> None:
    """Whole steps, with what a loss saves for its gradient, and optimizer state."""
    x, target, weights = dense_data((6, 5, 4), 7, dtype)
    text = check(mlp_step(x, target, weights, 0.1, optimizer, act))
    assert "= x @ layer0_weight.T + layer0_bias" in text or "linear1" in text


def test_it_reads_like_a_textbook() -> None:
    """Sections, the user's names, operators for operators, and the module of each line."""
    b = mlp_step(*dense_data((3, 4, 2), 5), 0.1)
    phases = ["forward"] * 5 + ["backward"] * (len(b.program.steps) - 5)
    for step, phase in zip(b.program.steps, phases, strict=True):
        step.phase = phase  # type: ignore[assignment]
    for value, _ in b.program.writes:
        assert value.name
    b.program.steps[0].module = "layers.0"
    b.program.outputs[0].name = "loss"
    text = check(b)
    body = text[text.index("def step(") :]
    assert body.index("# forward") < body.index("# layers.0") < body.index("# backward: derived")
    assert re.search(r"    loss = \w+\(\w+, axes=\(0,\), keepdims=False\)\n", body)
    assert "np.maximum(" in body
    assert "(loss,)" in body
    assert text.count("def ") == len(set(re.findall(r"def (\w+)", text)))


@pytest.mark.parametrize("optimizer", [optim.SGD, optim.Adam])
def test_a_compiled_step_is_printed(optimizer: Any) -> None:
    """The source of a captured step, run on copies, gives what the replay gives: loss, parameters and state."""
    model = nn.MLP(6, 8, 3, activation="tanh", dropout=0.25, seed=0)
    updates = optimizer(model.parameters(), lr=0.01)
    loss_of = nn.CrossEntropyLoss()

    @tg.compile(backend="replay")
    def step(x: Any, y: Any) -> Any:
        updates.zero_grad()
        loss = loss_of(model(x), y)
        loss.backward()
        updates.step()
        return loss

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(5, 6)).astype("float32"), rng.integers(0, 3, 5)
    step(tg.Tensor(x), y)
    program = step.program
    printed = program.source()
    fed = [array for feed in program.feeds for array in feed.draw()]
    arrays = dict(zip([*program.inputs, *program.fed], [x, y, *fed], strict=True))
    given = [arrays[one] if one in arrays else one.array.copy(order="K") for _, one in printed.arguments]
    space: dict[str, Any] = {}
    exec(printed.text, space)  # noqa: S102 - our own code
    outputs, writes = space[printed.name](*given)
    for one, other in zip(outputs, Replay(program).run([x, y], fed), strict=True):
        assert same_bits(one, other)
    buffers = dict(printed.arguments)
    assert len(writes) >= 4
    for name, one in writes.items():
        assert same_bits(one, buffers[name].array)
    assert "layer0_weight" in printed.text
    assert "    loss = " in printed.text
    assert "    d_layer0_weight = " in printed.text
    assert len(program.summary().rows) == len(program.steps)


OPS_WITH_TEXT = [name for name, op in OPS.items() if op.text is not None]


@pytest.mark.parametrize("name", OPS_WITH_TEXT)
@given(data=st.data())
@settings(max_examples=10)
def test_text_is_the_forward_function(name: str, data: st.DataObject) -> None:
    """What an op says in NumPy is what its forward function computes, bit for bit."""
    case = data.draw(strategies.cases(name))
    op = OPS[name]
    b = Builder()
    values = [b.input(one) for one in case.operands]
    b.output(b.call(op, *values, **case.params))
    check(b)


@pytest.mark.parametrize("name", list(OPS))
def test_every_op_can_be_printed(name: str) -> None:
    """The forward function of each op is found, with all that it calls."""
    op = OPS[name]
    for case in itertools.islice(fixed_cases(op), 3):
        b = Builder()
        values = [b.input(one) for one in case.operands]
        b.output(b.call(op, *values, **case.params))
        check(b)


def test_names_are_legal_and_distinct() -> None:
    """Names that Python does not allow, that two values share, or that something else has."""
    b = Builder("lambda")
    values = [
        b.buffer(np.full(2, float(k)), name) for k, name in enumerate(["0.w", "0.w", "class", "np", "a-b", "sum"])
    ]
    total = values[0]
    for value in values[1:]:
        total = b.call("add", total, value)
    b.output(b.call("softmax", total, axis=0))
    b.write(values[0], total)
    text = check(b)
    assert "def lambda_(layer0_w, layer0_w_2, class_, np_2, a_b, sum_2)" in text


def test_constants() -> None:
    """Small ones are written out to the last bit, in their layout; large ones are arguments."""
    b = Builder()
    x = b.input(np.ones((2, 3)))
    for constant in (
        np.array([[0.1, np.nan, -np.inf], [-0.0, 1e-300, 5e-324]]),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.zeros((0, 3)),
        np.array(0.1, np.float32),
        np.full((2, 3), -0.0),
        np.array([True, False, True]),
        np.arange(300.0).reshape(100, 3)[:2],
        np.arange(60.0).reshape(20, 3),
    ):
        y = b.constant(constant)
        b.output(y if constant.shape[:1] in {(0,), (20,)} else b.call("mul", x, y))
    check(b)
    assert len(source(b.program).arguments) == 2


def test_what_cannot_be_printed_is_named() -> None:
    """An op whose code uses an object of the program's is refused, and the object named."""
    table = Program("table")

    @primitive(vjp=(None,), name="looked_up")
    def looked_up(x: Any) -> Any:
        return x + len(table.steps)

    try:
        b = Builder()
        b.output(b.call("looked_up", b.input(np.ones(2))))
        with pytest.raises(CaptureError, match="table is <Program"):
            source(b.program)
    finally:
        undeclare(looked_up)


def test_summary() -> None:
    """One row per step, with its time where it was measured; the sums below are those of the program."""
    b = mlp_step(*dense_data((3, 4, 2), 5), 0.1)
    steps = b.program.steps
    table = summary(b.program)
    assert [row[2] for row in table.rows] == [step.op.name for step in steps]
    assert "buffers: 4, " in str(table)
    timed = summary(b.program, [1e-6] * len(steps))
    assert timed.head[-1] == "µs"
    assert f"{len(steps)}.0 µs" in str(timed)
    made = sum(step.result.nbytes for step in steps)
    assert max(step.result.nbytes for step in steps) <= live_bytes(b.program) < made


def test_live_bytes_of_a_chain() -> None:
    """Of a chain two results live at a time, and what is returned lives to the end."""
    b = Builder()
    value: Value = b.input(np.ones(100))
    first = value = b.call("neg", value)
    for _ in range(5):
        value = b.call("neg", value)
    b.output(value)
    assert live_bytes(b.program) == 1600
    b.output(first)
    assert live_bytes(b.program) == 2400
