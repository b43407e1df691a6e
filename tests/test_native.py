"""Native code: every op's C form agrees with its forward function, and a step with the same step run eagerly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from programs import Builder, dense_data, mlp_step

from tinygrad_mlp.errors import ArgumentError, ShapeError
from tinygrad_mlp.program.native import Gathered, Native, Stacked
from tinygrad_mlp.program.native.lower import form_of
from tinygrad_mlp.tape import OPS
from tinygrad_mlp.samples import Elementwise
from tinygrad_mlp.testing import accuracy
from tinygrad_mlp.testing.cases import fixed_cases

FLOATS = (np.float64, np.float32)


def close(got: Any, right: Any, what: Any = "", factor: float = 64) -> None:
    """Equal but for rounding, relative to the size of the whole array; NaN, infinities and whole numbers exactly."""
    assert got.shape == right.shape, what
    assert got.dtype == right.dtype, what
    if got.dtype.kind != "f":
        np.testing.assert_array_equal(got, right, err_msg=str(what))
        return
    finite = np.isfinite(right)
    np.testing.assert_array_equal(got[~finite], right[~finite], err_msg=str(what))
    size = np.abs(right[finite]).max(initial=0)
    np.testing.assert_allclose(
        got[finite],
        right[finite],
        rtol=factor * np.finfo(got.dtype).eps,
        atol=factor * np.finfo(got.dtype).eps * size,
        err_msg=str(what),
    )


def check(builder: Builder, factor: float = 64) -> Native:
    """Run a program natively and compare outputs and written buffers with what eager gave."""
    program = builder.program
    native = Native(program)
    with np.errstate(all="ignore"):
        outputs = native.run([builder.arrays[one] for one in program.inputs], [builder.arrays[one] for one in program.fed])
    assert outputs is not None
    for value, got in zip(program.outputs, outputs, strict=True):
        close(got, builder.arrays[value], value, factor)
    for buffer, value in program.writes:
        close(buffer.array, builder.arrays[value], buffer, factor)
    return native


@pytest.mark.parametrize("name", list(OPS))
def test_every_op_agrees_with_its_forward_function(name: str) -> None:
    """All the fixed cases of an op, in both precisions, as one program."""
    b = Builder(name)
    rejected = 0
    for case in fixed_cases(OPS[name], seed=3, least=8):
        for dtype in FLOATS:
            operands = [one.astype(dtype) if one.dtype == np.float64 else one for one in case.operands]
            params = {k: np.dtype(dtype) if isinstance(v, np.dtype) and v.kind == "f" else v for k, v in case.params.items()}
            value = b.call(OPS[name], *[b.input(one) for one in operands], **params)
            assert value.step is not None
            rejected += form_of(value.step) is None
            b.output(value)
    native = check(b)
    assert rejected < len(b.program.steps) or name in native.missing


STEPS = {
    "one sample": ((2, 8, 1), 1),
    "moons": ((2, 16, 16, 2), 64),
    "spiral": ((2, 64, 5), 500),
    "images": ((784, 300, 100, 10), 32),
    "odd": ((3, 7, 33, 65, 11), 37),
    "narrow": ((1, 1, 2), 3),
}


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("act", ["relu", "tanh", "sigmoid"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("name", STEPS)
def test_training_steps(name: str, optimizer: str, act: str, dtype: Any) -> None:
    """Forward, backward and update."""
    sizes, batch = STEPS[name]
    x, target, weights = dense_data(sizes, batch, dtype)
    # Adam divides by the root of its own gradient: where that is nearly 0, rounding shows.
    native = check(mlp_step(x, target, weights, 0.01, optimizer, act), factor=64 if optimizer == "sgd" else 1e4)
    assert native.whole
    assert not native.missing


MEASURED = [
    name
    for name, op in OPS.items()
    if isinstance(op.samples, Elementwise) and op.reference is not None and op.elementwise and name != "ties"
]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", MEASURED)
def test_values_keep_the_accuracy_contract(name: str, dtype: Any) -> None:
    """Over the whole domain of every elementwise op, against mpmath, without an allowance for other CPUs."""
    op, wanted = OPS[name], np.dtype(dtype)
    assert isinstance(op.samples, Elementwise)
    exact = accuracy._Exact()
    worst = accuracy.Figure()
    for pairs in op.samples.params:
        params = {key: float(dtype(one)) if isinstance(one, float) else one for key, one in dict(pairs).items()}
        columns = accuracy._points(op, 200, wanted, 0)
        b = Builder(name)
        b.output(b.call(op, *[b.input(one) for one in columns], **params))
        (values,) = Native(b.program).run(columns) or ()
        tracked = [i for i in range(len(columns)) if op.rule(i) is not None]
        for place, got in enumerate(values):
            numbers = [one[place].item() for one in columns]
            figure = accuracy._judge(exact, op.reference, params, numbers, tracked, (), got)
            if figure is not None:
                worst = worst.worse(figure)
    limit = accuracy.contract_of(op).limits[0]
    error = worst.by(limit)
    print(f"{name} {wanted}: {error:.3g} ULP, allowed {limit.of(wanted)}, at {worst.scaled_at if limit.scaled else worst.at}")
    assert not error > limit.of(wanted)
