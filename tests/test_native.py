"""Native code: every op's C form agrees with its forward function, and a step with the same step run eagerly."""

from __future__ import annotations

import itertools
import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from programs import Builder, dense_data, mlp_step

from tinygrad_mlp import Tensor, autograd, compile
from tinygrad_mlp.errors import ArgumentError, ShapeError
from tinygrad_mlp.ops.declare import primitive, undeclare
from tinygrad_mlp.program.native import Gathered, Native, Stacked, fuse
from tinygrad_mlp.program.native.lower import form_of
from tinygrad_mlp.samples import Elementwise
from tinygrad_mlp.tape import OPS
from tinygrad_mlp.testing import accuracy
from tinygrad_mlp.testing.cases import fixed_cases

pytestmark = pytest.mark.compiler

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
        outputs = native.run(
            [builder.arrays[one] for one in program.inputs], [builder.arrays[one] for one in program.fed]
        )
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
            params = {
                k: np.dtype(dtype) if isinstance(v, np.dtype) and v.kind == "f" else v for k, v in case.params.items()
            }
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


# mpmath takes most of the time.
NIGHTLY = settings().max_examples >= 2000
MEASURED = [
    name
    for name, op in OPS.items()
    if isinstance(op.samples, Elementwise)
    and op.reference is not None
    and op.elementwise
    and name not in {"ties", "checked_finite"}
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
        columns = accuracy._points(op, 200 if NIGHTLY else 100, wanted, 0)
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
    where = worst.scaled_at if limit.scaled else worst.at
    print(f"{name} {wanted}: {error:.3g} ULP, allowed {limit.of(wanted)}, at {where}")
    assert not error > limit.of(wanted)


def compiled_answers(call: Any, arrays: Any, tracked: Any, incoming: Any) -> dict[tuple[int, ...], Any]:
    """As ``accuracy._answers``: value, first and second derivatives; but of the native program."""
    operands = [Tensor(one, requires_grad=True) if i in tracked else one for i, one in enumerate(arrays)]
    leaves = [operands[i] for i in tracked]
    places: list[tuple[int, ...]] = []

    def function(incoming: Any) -> list[Any]:
        y = call(*operands)
        results, places[:] = [y], [()]
        for i, slope in zip(tracked, autograd.grad(y, leaves, [incoming], create_graph=True), strict=True):
            results.append(slope)
            places.append((i,))
            if slope.requires_grad:
                ones = Tensor(np.ones(slope.shape, slope.dtype))
                bends = autograd.grad(slope, leaves, [ones], retain_graph=True, allow_unused=True)
                known = [(j, bend) for j, bend in zip(tracked, bends, strict=True) if bend is not None]
                results += [bend for _, bend in known]
                places.extend((i, j) for j, _ in known)
        return results

    compiled = compile(function, backend="native")  # a warning, which is an error here, if it were not
    with np.errstate(all="ignore"):
        compiled(incoming)
        values = [one.data for one in compiled(incoming)]
    found = {(i, j): np.zeros_like(incoming) for i in tracked for j in tracked}
    return {**found, **dict(zip(places, values, strict=True))}


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", [name for name in MEASURED if any(OPS[name].rules)])  # type: ignore[arg-type]
def test_derivatives_keep_the_accuracy_contract(name: str, dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """First and second order, as a captured program and in C; again without an allowance."""
    monkeypatch.setattr(accuracy, "_answers", compiled_answers)
    measured = accuracy.measure(name, dtype, points=100 if NIGHTLY else 15)
    assert not measured.failures(accuracy.contract_of(OPS[name]))


@pytest.mark.parametrize("limit", [0, 10**15])
def test_products_by_blas_and_by_our_own_tiles(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever multiplies, and however operands and result lie in memory."""
    monkeypatch.setattr(fuse, "BLAS_FROM", limit)
    for name in ("moons", "odd", "images"):
        x, target, weights = dense_data(*STEPS[name])
        check(mlp_step(x, target, weights, 0.01))
    rng = np.random.default_rng(0)
    for m, n, k, stack in itertools.product((2, 5, 16, 65), (2, 7, 16, 100), (2, 33), ((), (3,))):
        b = Builder()
        for turned in itertools.product((False, True), repeat=2):
            shapes = [(k, m) if turned[0] else (m, k), (n, k) if turned[1] else (k, n)]
            pair = [b.input(rng.standard_normal((*stack, *shape))) for shape in shapes]
            axes = (*range(len(stack)), len(stack) + 1, len(stack))
            sides = [b.call("permute", one, axes=axes) if t else one for one, t in zip(pair, turned, strict=True)]
            b.output(b.call("matmul", *sides))
        by_columns = b.buffer(np.asfortranarray(rng.standard_normal((m, n)))) if not stack else None
        if by_columns is not None:
            b.write(by_columns, b.call("matmul", *pair_of(b, rng, m, n, k)))
        check(b)


def pair_of(b: Builder, rng: np.random.Generator, m: int, n: int, k: int) -> list[Any]:
    """Two matrices that can be multiplied."""
    return [b.input(rng.standard_normal((m, k))), b.input(rng.standard_normal((k, n)))]


# --- many batches ---------------------------------------------------------------------------------


def small(optimizer: str = "sgd", batch: int = 16, **more: Any) -> tuple[Builder, Any, Any]:
    """A small classifier's step, and data to feed it."""
    x, target, weights = dense_data((3, 9, 4), batch)
    return mlp_step(x, target, weights, 0.1, optimizer, **more), x, target


def states(builder: Builder) -> list[Any]:
    """Copies of all buffers."""
    return [one.array.copy() for one in builder.program.buffers if one.array is not None]


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_batches_are_runs_one_after_the_other(optimizer: str) -> None:
    """Rows gathered in C, rates of each batch, and results of each batch: the very numbers of single runs."""
    rng = np.random.default_rng(0)
    data, labels = rng.standard_normal((100, 3)).astype(np.float32), rng.integers(0, 4, 100)
    order = rng.permutation(96).reshape(6, 16)
    rates = np.linspace(0.1, 0.01, 6, dtype=np.float32)
    one, *_ = small(optimizer)
    native = Native(one.program)
    losses = [native.run([data[rows], labels[rows]], [rate]) for rows, rate in zip(order, rates, strict=True)]
    two, *_ = small(optimizer)
    found = Native(two.program).run_batches(6, [Gathered(data, order), Gathered(labels, order)], [Stacked(rates)])
    assert found.done == 6
    np.testing.assert_array_equal(found.outputs[0], [loss[0] for loss in losses if loss is not None])
    for mine, theirs in zip(states(two), states(one), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    three, *_ = small(optimizer)
    again = Native(three.program).run_batches(6, [Stacked(data[order]), Stacked(labels[order])], [Stacked(rates)])
    np.testing.assert_array_equal(again.outputs[0], found.outputs[0])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_loss_that_is_not_finite_ends_before_the_update(bad: float) -> None:
    """F21: with ``check`` the buffers are as before that batch; the losses so far, and the bad one, are there."""
    b, x, target = small()
    native = Native(b.program)
    rate = np.float32(0.1)
    xs = np.stack([x, x, x])
    xs[1, 2, 0] = bad
    found = native.run_batches(1, [x, target], [rate])
    once = states(b)
    fresh, *_ = small()
    native = Native(fresh.program)
    found = native.run_batches(3, [Stacked(xs), target], [rate], check=True)
    assert found.done == 1
    assert np.isfinite(found.outputs[0][0])
    assert not np.isfinite(found.outputs[0][1])
    for mine, theirs in zip(states(fresh), once, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert native.run([xs[1], target], [rate], check=True) is None
    for mine, theirs in zip(states(fresh), once, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    native.run([xs[1], target], [rate])
    assert not all(np.isfinite(one).all() for one in states(fresh))


@pytest.mark.parametrize("wrong", [4, -1, 2**40])
def test_class_ids_out_of_range_are_caught(wrong: int) -> None:
    """Never read out of bounds: an error, and the buffers as they were."""
    b, x, target = small()
    before = states(b)
    native = Native(b.program)
    target = target.copy()
    target[3] = wrong
    with pytest.raises(IndexError, match="4 classes"):
        native.run([x, target], [np.float32(0.1)])
    with pytest.raises(IndexError, match="4 classes"):
        native.run_batches(2, [x, target], [np.float32(0.1)])
    for mine, theirs in zip(states(b), before, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_rows_that_the_data_set_does_not_have_are_caught() -> None:
    """An order with a place out of range."""
    b, x, target = small()
    order = np.zeros((2, 16), np.int64)
    order[1, 5] = 16
    with pytest.raises(IndexError, match="batch 1"):
        Native(b.program).run_batches(2, [Gathered(x, order), target], [np.float32(0.1)])


def test_arrays_that_do_not_fit_are_refused() -> None:
    """Shapes and dtypes are compiled in."""
    b, x, target = small()
    native = Native(b.program)
    rate = np.float32(0.1)
    with pytest.raises(ShapeError, match="compiled for float32"):
        native.run([x[:5], target], [rate])
    with pytest.raises(ShapeError, match="float64"):
        native.run([x.astype(np.float64), target], [rate])
    with pytest.raises(ShapeError, match="order"):
        native.run_batches(2, [Gathered(x, np.zeros((1, 16), np.int64)), target], [rate])
    with pytest.raises(ShapeError, match=r"\(2, 16, 3\)"):
        native.run_batches(2, [Stacked(x), target], [rate])


def test_threads_do_not_meet() -> None:
    """Programs that write nothing run in several threads at once, each in memory of its own."""
    b = Builder()
    x = b.input(np.arange(5000.0))
    b.output(b.call("sum", b.call("exp", b.call("mul", x, 1e-4)), axes=(0,), keepdims=False))
    native = Native(b.program)
    inputs = [np.arange(5000.0) * k for k in range(8)]
    alone = [native.run([one]) for one in inputs]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(50):
            assert list(pool.map(lambda one: native.run([one]), inputs)) == alone


# --- buffers --------------------------------------------------------------------------------------


def test_all_reads_of_a_buffer_see_its_old_value() -> None:
    """Swaps, new values that read later, outputs of what is then written, one buffer's value in another."""
    rng = np.random.default_rng(0)
    b = Builder()
    one, two, three = (b.buffer(rng.standard_normal((4, 5))) for _ in range(3))
    b.output(one)
    b.write(one, two)
    b.write(two, one)
    doubled = b.call("mul", three, 2.0)
    b.write(three, doubled)
    b.output(b.call("add", three, doubled))
    b.output(doubled)
    b.output(b.call("matmul", three, b.call("permute", three, axes=(1, 0))))
    check(b)


def test_a_buffer_is_updated_after_the_last_reader() -> None:
    """The gradient through a weight needs the weight from before its update, in whatever order it is written down."""
    rng = np.random.default_rng(0)
    for size in (8, 300):
        b = Builder()
        w = b.buffer(rng.standard_normal((size, size)))
        x, g = b.input(rng.standard_normal((40, size))), b.input(rng.standard_normal((40, size)))
        gradient = b.call("linear_weight", g, x, by_columns=False)
        new = b.call("sub", w, b.call("mul", gradient, 0.1))
        b.output(b.call("matmul", g, w))
        b.write(w, new)
        check(b)


def test_a_product_that_is_read_again_is_not_folded_away() -> None:
    """The update ``w - rate * product`` becomes one call of BLAS only where nobody else reads its parts."""
    rng = np.random.default_rng(0)
    for again in range(4):
        b = Builder()
        w = b.buffer(rng.standard_normal((150, 150)))
        x, g = b.input(rng.standard_normal((140, 150))), b.input(rng.standard_normal((140, 150)))
        rate = b.fed(np.float64(0.5))
        gradient = b.call("linear_weight", g, x, by_columns=False)
        scaled = b.call("mul", rate, gradient)
        new = b.call("sub", w, scaled)
        b.write(w, new)
        if again == 1:
            b.output(b.call("square", gradient))
        if again == 2:
            b.output(scaled)
        if again == 3:
            b.output(b.call("sum", new, axes=(0, 1), keepdims=False))
        native = check(b)
        assert ("-(double)(p" in native.source) == (again == 0), again


# --- what has no native form ----------------------------------------------------------------------


def test_ops_without_a_native_form_run_in_python() -> None:
    """A program is split at them, and right all the same; only runs of many batches need all of it in C."""

    @primitive(vjp=(None,), name="turned_round")
    def turned_round(x: Any) -> Any:
        return x[::-1] + 1

    try:
        b = Builder()
        x = b.input(np.arange(6.0))
        w = b.buffer(np.ones(6))
        y = b.call("mul", b.call("turned_round", b.call("exp", x)), 2.0)
        b.output(y, b.call("turned_round", y))
        b.write(w, b.call("add", w, y))
        native = check(b)
        assert native.missing == ["turned_round"]
        assert not native.whole
        with pytest.raises(ArgumentError, match="turned_round"):
            native.run_batches(2, [np.arange(6.0)])
    finally:
        undeclare("turned_round")


def test_other_dtypes_run_in_python() -> None:
    """Half precision has no C type here; what follows in single precision is C again."""
    b = Builder()
    x = b.input(np.arange(6, dtype=np.float16))
    half = b.call("mul", x, x)
    b.output(half, b.call("exp", b.call("cast", half, dtype=np.dtype(np.float32), source=half.dtype)))
    w = b.buffer(np.ones(6, np.float16))
    b.write(w, half)
    assert check(b).missing == ["cast", "mul"]


# --- hostile numbers ------------------------------------------------------------------------------

HOSTILE = np.array([0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e-310, -1e-310, 1e308, 800.0, -800.0, 0.5, 3.0])


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", [name for name in MEASURED if len(OPS[name].operands) <= 2])
def test_nan_infinities_and_zeros_as_in_numpy(name: str, dtype: Any) -> None:
    """Every pair of awkward numbers gives what the forward function gives, NaN and infinities included."""
    op = OPS[name]
    with np.errstate(all="ignore"):
        values = HOSTILE.astype(dtype)
        grids = [one.ravel() for one in np.meshgrid(*[values] * len(op.operands))]
    for pairs in op.samples.params:  # type: ignore[attr-defined]
        b = Builder(name)
        y = b.call(op, *[b.input(one) for one in grids], **dict(pairs))
        b.output(y)
        (got,) = Native(b.program).run(grids) or ()
        right = b.arrays[y]
        np.testing.assert_array_equal(np.isnan(got), np.isnan(right), err_msg=str(grids))
        np.testing.assert_array_equal(got[np.isinf(right)], right[np.isinf(right)])
        fine = np.isfinite(right)
        np.testing.assert_allclose(
            got[fine], right[fine], rtol=1e-6 if dtype == np.float32 else 1e-14, atol=float(np.finfo(dtype).tiny)
        )


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", [(7,), (3, 700), (700, 3), (100, 1000), (3, 4, 5)])
@pytest.mark.parametrize("op", ["sum", "mean", "amax", "amin"])
def test_reductions_pass_nan_and_infinities_on(op: str, shape: tuple[int, ...], dtype: Any) -> None:
    """Over every set of axes, with an infinity, both infinities, and a NaN somewhere."""
    rng = np.random.default_rng(0)
    axes = [axes for n in range(1, len(shape) + 1) for axes in itertools.combinations(range(len(shape)), n)]
    for bad in ([], [np.inf], [np.inf, -np.inf], [np.nan]):
        x = rng.standard_normal(shape).astype(dtype)
        x.ravel()[rng.permutation(x.size)[: len(bad)]] = bad
        b = Builder()
        at = b.input(x)
        for one in axes:
            for keepdims in (False, True):
                b.output(b.call(op, at, axes=one, keepdims=keepdims))
        check(b)


@pytest.mark.parametrize("dtype", FLOATS)
def test_long_sums_keep_the_bound(dtype: Any) -> None:
    """Class D: at most (log2 n + 2) eps times the sum of magnitudes, along rows, down columns, and of everything."""
    rng = np.random.default_rng(0)
    for shape in ((100_003,), (70_001, 3), (3, 70_001), (300, 300), (33, 50, 70)):
        for x in (rng.random(shape).astype(dtype), rng.standard_normal(shape).astype(dtype)):
            b = Builder()
            at = b.input(x)
            every = [axes for n in range(1, len(shape) + 1) for axes in itertools.combinations(range(len(shape)), n)]
            for axes in every:
                b.output(b.call("sum", at, axes=axes, keepdims=False))
            for axes, got in zip(every, Native(b.program).run([x]) or (), strict=True):
                wide = x.astype(np.longdouble)
                count = math.prod([shape[axis] for axis in axes])
                bound = (np.log2(count) + 2) * np.finfo(dtype).eps * np.abs(wide).sum(axes)
                assert np.all(np.abs(got - wide.sum(axes)) <= bound), (shape, axes)


# --- programs drawn at random ---------------------------------------------------------------------

UNARY = ("neg", "exp", "tanh", "sigmoid", "relu", "square", "abs", "softplus", "tanh_slope", "sign")
BINARY = ("add", "sub", "mul", "zmul", "maximum", "minimum", "gate", "squared_error")


def random_program(rng: np.random.Generator, steps: int) -> Builder:  # noqa: C901, PLR0912 - one case per kind
    """Views, broadcasting, reductions, products and writes, each on values drawn from all that there are so far."""
    b = Builder("random")
    dtype = rng.choice(FLOATS)
    sizes = [int(one) for one in rng.choice([1, 2, 3, 5, 8, 17, 40], 3)]

    def shape() -> tuple[int, ...]:
        return tuple(int(one) for one in rng.choice(sizes, rng.integers(0, 4)))

    def fresh(shape: tuple[int, ...]) -> Any:
        array = rng.standard_normal(shape).astype(dtype)
        return np.asfortranarray(array) if rng.random() < 0.3 else array

    values = [b.input(np.ascontiguousarray(fresh(shape()))) for _ in range(3)] + [b.constant(fresh(shape()))]
    buffers = [b.buffer(fresh(shape())) for _ in range(3)]
    values += buffers

    def any_value(least: int = 0) -> Any:
        fitting = [one for one in values if len(one.shape) >= least and one.dtype == dtype]
        late = fitting[-6:] if rng.random() < 0.7 else fitting
        return late[rng.integers(len(late))] if late else b.constant(fresh(tuple(sizes[:least])))

    def like(value: Any) -> Any:
        fitting = [one for one in values if one.shape == value.shape and one.dtype == dtype]
        if rng.random() < 0.7:
            return fitting[rng.integers(len(fitting))]
        cut = value.shape[rng.integers(len(value.shape) + 1) :]
        return b.constant(fresh(tuple(1 if rng.random() < 0.3 else size for size in cut)))

    def tame(value: Any) -> Any:
        size = np.abs(b.arrays[value]).max(initial=0)
        if not np.isfinite(size) or size > 50:
            return b.call("tanh", b.call("mul", value, float(1 / size) if np.isfinite(size) else 0.0))
        return value

    for _ in range(steps):
        kind = rng.integers(11)
        x = any_value()
        rank = len(x.shape)
        if kind < 2:
            y = b.call(str(rng.choice(UNARY)), x)
        elif kind < 5:
            pair = [x, like(x) if rng.random() < 0.85 else float(rng.standard_normal())]
            y = b.call(str(rng.choice(BINARY)), *pair)
        elif kind == 5:
            axes = tuple(axis for axis in range(rank) if rng.random() < 0.5)
            if 0 in x.shape:
                continue
            op = str(rng.choice(["sum", "mean", "amax", "amin"])) if axes else "sum"
            y = b.call(op, x, axes=axes, keepdims=bool(rng.random() < 0.5))
        elif kind == 6:
            choice = rng.integers(4)
            if choice == 0:
                y = b.call("permute", x, axes=tuple(int(one) for one in rng.permutation(rank)))
            elif choice == 1:
                y = b.call("reshape", x, shape=(math.prod(x.shape),) if rng.random() < 0.5 else (*x.shape[::-1],))
            elif choice == 2:
                y = b.call("broadcast_to", x, shape=(int(rng.choice(sizes)), *x.shape))
            elif rank:
                index = tuple(
                    slice(None, None, -1)
                    if rng.random() < 0.3
                    else slice(0, max(size // 2, 1))
                    if rng.random() < 0.5
                    else 0
                    for size in x.shape
                )
                y = b.call("getitem", x, index=index)
            else:
                continue
            if math.prod(y.shape) > 20_000:
                continue
        elif kind == 7:
            x = any_value(2)
            if x.shape[-1] == 0:
                continue
            w = b.constant(fresh((int(rng.choice([1, 3, 8, 33, 70])), x.shape[-1])))
            y = (
                b.call("linear", x, w, b.constant(fresh(w.shape[:1])))
                if rng.random() < 0.5
                else b.call("linear_without_bias", x, w)
            )
        elif kind == 8:
            x = any_value(2)
            other = b.call("permute", x, axes=(*range(len(x.shape) - 2), len(x.shape) - 1, len(x.shape) - 2))
            y = b.call("matmul", x, other)
        elif kind == 9 and rank:
            axis = int(rng.integers(rank))
            choice = rng.integers(3)
            if choice == 0:
                y = b.call("cat", x, x, axis=axis, ends=(x.shape[axis], 2 * x.shape[axis]))
            elif choice == 1:
                y = b.call(str(rng.choice(["softmax", "log_softmax"])), x, axis=axis)
            else:
                y = b.call("sum_to", x, shape=tuple(1 if i == axis else size for i, size in enumerate(x.shape)))
        else:
            gate = b.call(str(rng.choice(["gt", "le", "ne"])), x, like(x))
            y = b.call("where", gate, x, 0.5)
        values.append(tame(y))
    for buffer in buffers:
        fitting = [one for one in values if one.shape == buffer.shape and one.dtype == dtype]
        if rng.random() < 0.8:
            b.write(buffer, fitting[rng.integers(len(fitting))])
    for _ in range(4):
        b.output(any_value())
    return b


@pytest.mark.parametrize("seed", range(40))
def test_random_programs(seed: int) -> None:
    """Whatever is fused, shared or updated in place: the values are eager's."""
    check(random_program(np.random.default_rng(seed), 40), factor=2000)
