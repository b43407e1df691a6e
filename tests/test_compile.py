"""Compiled steps do what the eager function does: the same results, the same state, the same errors, after anything."""

from __future__ import annotations

import asyncio
import copy
import gc
import signal
import sys
import threading
import tracemalloc
import weakref
from collections import namedtuple
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from step_worlds import Twins, agree, classifier, given, network, snapshot

import tinygrad_mlp as tg
from tinygrad_mlp import Tensor, autograd, enable_grad, func, is_grad_enabled, nn, no_grad, optim
from tinygrad_mlp.data import DataLoader
from tinygrad_mlp.errors import AnomalyError, ArgumentError, CaptureError, ChangedValueError

BACKENDS = [pytest.param("replay"), pytest.param("native", marks=pytest.mark.compiler)]
backends = pytest.mark.parametrize("backend", BACKENDS)
Point = namedtuple("Point", ["x", "scale"])  # noqa: PYI024 - what users pass


def plain(function: Callable[..., Any], *watched: Tensor, optimizer: Any = None) -> Callable[[], SimpleNamespace]:
    """Makes worlds around a function that has no state of its own."""
    return lambda: SimpleNamespace(step=function, watched=list(watched), optimizer=optimizer)


def weights(
    step: Callable[..., Any], *shapes: tuple[int, ...], dtype: Any = np.float64
) -> Callable[[], SimpleNamespace]:
    """Makes worlds with parameters of these shapes; ``step(*parameters, *arguments)``."""

    def make() -> SimpleNamespace:
        rng = np.random.default_rng(8)
        mine = [nn.Parameter(rng.normal(size=shape).astype(dtype)) for shape in shapes]
        return SimpleNamespace(step=lambda *args, **kwargs: step(*mine, *args, **kwargs), watched=mine, optimizer=None)

    return make


def numbers(*shape: int, seed: int = 0, dtype: Any = np.float64) -> Any:
    return np.asarray(np.random.default_rng([9, seed]).normal(size=shape)).astype(dtype)


RULES: dict[str, Callable[[Any], optim.Optimizer]] = {
    "SGD": lambda ps: optim.SGD(ps, lr=0.1),
    "SGD maximize": lambda ps: optim.SGD(ps, lr=0.1, maximize=True),
    "SGD decay": lambda ps: optim.SGD(ps, lr=0.1, weight_decay=0.01),
    "momentum": lambda ps: optim.SGD(ps, lr=0.1, momentum=0.9),
    "dampened": lambda ps: optim.SGD(ps, lr=0.1, momentum=0.9, dampening=0.3, weight_decay=0.01),
    "nesterov": lambda ps: optim.SGD(ps, lr=0.1, momentum=0.9, nesterov=True),
    "Adam": lambda ps: optim.Adam(ps, lr=0.01),
    "Adam amsgrad": lambda ps: optim.Adam(ps, lr=0.01, amsgrad=True, weight_decay=0.1),
    "AdamW": lambda ps: optim.AdamW(ps, lr=0.01),
}


# --- values --------------------------------------------------------------------------------------


@backends
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rule", list(RULES))
def test_steps_are_those_of_eager(rule: str, dtype: Any, backend: str) -> None:
    """Ten steps of each optimizer: results, gradients, state; every result keeps its bytes."""
    twins = Twins(classifier(RULES[rule], dtype=dtype), backend)
    twins.calls(given(k, dtype=dtype) for k in range(10))
    assert twins.captures <= 2  # a first step of an optimizer with state is another program
    assert len(twins.held) == 20


@backends
@pytest.mark.parametrize("clear", ["first", "last", "never"])
def test_gradients_are_cleared_where_the_function_does_it(clear: str, backend: str) -> None:
    twins = Twins(classifier(RULES["momentum"], clear=clear), backend)
    twins.calls(given(k) for k in range(5))


@backends
@pytest.mark.parametrize("clear", ["first", "last", "never"])
def test_unkept_gradients_change_nothing_else(clear: str, backend: str) -> None:
    twins = Twins(classifier(RULES["Adam"], clear=clear), backend, gradients=False)
    twins.calls(given(k) for k in range(5))


@backends
@pytest.mark.parametrize("clear", ["first", "last", "never"])
def test_gradients_that_the_user_sets_in_between_count(clear: str, backend: str) -> None:
    def change(world: SimpleNamespace) -> None:
        world.watched[0].grad = Tensor(numbers(5, 3, dtype=np.float32))
        world.watched[1].grad = None

    twins = Twins(classifier(clear=clear), backend)
    for k in range(4):
        twins.call(*given(k))
        twins.both(change)
        twins.call(*given(k))


@backends
def test_one_array_twice_is_not_two(backend: str) -> None:
    """f(x, x) after f(x, y) and before it: the gradient by x is then a sum."""

    def f(w: Any, a: Any, b: Any) -> Any:
        a, b = a * w, b * w
        return (a * a * b).sum(), a is b, (a - b).sum()

    def g(a: Any, b: Any) -> Any:
        a.requires_grad_()
        b.requires_grad_()
        return autograd.grad((a * a * b).sum(), [a])[0]

    x, y = numbers(4), numbers(4, seed=1)
    for pairs in ([(x, x), (x, y), (y, y), (x, x.copy())], [(x, y), (x, x), (y, x)]):
        twins = Twins(weights(lambda w, a, b: f(w, a, b)[::2], (4,)), backend)
        twins.calls(pairs)
        step = tg.compile(g, backend=backend)
        for a, b in pairs:
            tensors = {id(one): Tensor(one) for one in (a, b)}
            mine = step(a, b)
            right = g(tensors[id(a)], tensors[id(b)])
            agree(mine.data, right.data, "gradient", exact=backend == "replay")


@backends
def test_results_that_are_arguments_or_parameters(backend: str) -> None:
    def f(w: Any, x: Any) -> Any:
        return x, w * 1.0, x + 0, x, x[1:], x.reshape(-1), x.T, x.clone(), None, 3, "text"

    twins = Twins(weights(f, (3,)), backend)
    twins.calls([(numbers(3, 3, seed=k),) for k in range(4)])
    w = nn.Parameter(np.ones(3))
    step = tg.compile(lambda x: (w, w * x), backend=backend)
    for k in range(3):
        assert step(numbers(3, seed=k))[0] is w


@backends
def test_what_a_parameter_was_before_the_step(backend: str) -> None:
    """Copies and views taken before an update and used or returned after it."""

    def make(view: bool) -> Callable[[], SimpleNamespace]:
        def step(w: Any, x: Any) -> Any:
            before = (w.detach() if view else w) * 1.0
            copy = w.clone().detach()
            loss = (w * x).sum()
            loss.backward()
            with no_grad():
                w -= 0.1 * w.grad
            w.grad = None
            return loss, before.detach(), copy, (copy * 2).sum(), w * 1.0

        return weights(step, (3,))

    for view in (False, True):
        twins = Twins(make(view), backend)
        twins.calls([(numbers(3, seed=k),) for k in range(4)])


@backends
def test_a_copy_of_a_parameter_goes_into_another_after_the_update(backend: str) -> None:
    """Two parameters swap their values: each new value reads the other's old one."""

    def step(v: Any, w: Any, x: Any) -> None:
        with no_grad():
            before = w.clone()
            w *= 0.0
            w += v * x
            v *= 0.5
            v += before

    twins = Twins(weights(step, (3,), (3,)), backend)
    twins.calls([(numbers(3, seed=k),) for k in range(4)])


@backends
def test_a_view_of_a_parameter_across_its_update(backend: str) -> None:
    """In eager it has the new values; a compiled step refuses, and puts the parameter back."""

    def step(w: Any, x: Any) -> Any:
        with no_grad():
            view = w[1:]
            w -= x
            return view * 2.0

    world = weights(step, (3,))()
    before = snapshot(world)
    with pytest.raises(CaptureError, match="view"):
        tg.compile(world.step, backend=backend)(numbers(3))
    for name, value in snapshot(world).items():
        agree(value, before[name], name, exact=True)


@backends
def test_nested_arguments_and_results(backend: str) -> None:
    def f(w: Any, batch: Any, *more: Any, options: Any = None, scale: Any = 1.0) -> Any:
        y = batch["x"] * w * scale + batch["parts"][0] + more[0].x * more[0].scale
        return {"y": y, "all": [y.sum(), (y.mean(), None)], "point": Point(y * 2, 4), "options": options}

    twins = Twins(weights(f, (3,)), backend)
    for k in range(3):
        batch = {"x": numbers(2, 3, seed=k), "parts": [numbers(3, seed=k + 10)]}
        twins.call(batch, Point(numbers(3, seed=k), 2.0), options={"a": 1}, scale=0.5)
        twins.call(batch, Point(numbers(3, seed=k), 2.0), options={"a": 1}, scale=0.25)
        twins.call(batch, Point(numbers(3, seed=k), -2.0))
    assert twins.captures == 3
    result = twins.step({"x": numbers(2, 3), "parts": [numbers(3)]}, Point(numbers(3), 2.0), scale=0.5)
    assert isinstance(result["point"], Point)
    assert isinstance(result["all"][1], tuple)


@backends
def test_python_values_are_part_of_the_kind(backend: str) -> None:
    """Each is told from the others, also 1 from True and 1.0, and 0.0 from -0.0."""

    def f(x: Any, n: Any) -> Any:
        return x * n, x / (n if not isinstance(n, str) and n else 1.0), str(n)

    def division(x: Any, n: Any) -> Any:
        return tg.where(x > 0, x, x) / tg.full((3,), n)

    twins = Twins(plain(lambda x, n: f(x, n)), backend)
    values = [1, True, 1.0, 2, 0.5, 1, np.float64(0.5), 10**12]
    for _ in range(2):
        for value in values:
            twins.call(numbers(3), value)
    zero = Twins(plain(division), backend)
    with np.errstate(divide="ignore"):
        zero.calls([(numbers(3), 0.0), (numbers(3), -0.0), (numbers(3), 0.0)])


@backends
def test_shapes_dtypes_and_layouts_may_change(backend: str) -> None:
    def f(w: Any, x: Any) -> Any:
        y = (x * w + x).tanh()
        return y.sum(), y.sum(0), y.sum(1), y.reshape(-1), y @ y.T, y.mean(), x.reshape(-1), x.sum(0)

    twins = Twins(weights(f, (2,), dtype=np.float64), backend)
    base = numbers(8, 8)
    readonly = base[:4, :2].copy()
    readonly.flags.writeable = False
    cases = [
        base[:4, :2].copy(),
        np.asfortranarray(base[:4, :2]),
        base[:4, :2],
        base[::2, ::4],
        base.T[::2, ::4],
        base[::-1][:4, :2],
        base.reshape(-1)[::8].reshape(4, 2),
        np.broadcast_to(base[:1, :2], (4, 2)),
        readonly,
        base[:1, :2],
        base[:0, :2].copy(),
        base[:4, :2].astype(np.float32),
        np.asfortranarray(base[:4, :2].astype(np.float32)),
        (base[:4, :2] * 10).astype(np.int32),
        base[:4, :2] > 0,
    ]
    for _ in range(2):
        for case in cases:
            twins.call(case)
            twins.call(Tensor(case) if case.size else case)


@backends
@pytest.mark.parametrize("shape", [(), (1,), (1, 1), (0,), (0, 3), (3, 0)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_and_nothing_are_arrays_too(shape: tuple[int, ...], dtype: Any, backend: str) -> None:
    def step(w: Any, x: Any) -> Any:
        y = (w * x).tanh() + w
        loss = y.sum()
        loss.backward()
        with no_grad():
            w -= 0.1 * w.grad
        w.grad = None
        return y, loss, y * x

    twins = Twins(weights(step, shape, dtype=dtype), backend)
    twins.calls([(numbers(*shape, seed=k, dtype=dtype),) for k in range(4)])


@backends
def test_integers_and_booleans(backend: str) -> None:
    def f(table: Any, ids: Any, mask: Any) -> Any:
        picked = table[ids]
        return tg.where(mask, picked, 0.0), ids * 2 + 1, ids > 1, ~mask, mask & (ids > 0), ids.sum(), picked.long()

    twins = Twins(weights(f, (5,)), backend)
    rng = np.random.default_rng(0)
    for dtype in (np.int64, np.int32, np.uint8):
        twins.calls([(rng.integers(0, 5, 6).astype(dtype), rng.random(6) > 0.5) for _ in range(4)])


@backends
def test_random_numbers_are_new_in_each_run_and_those_of_eager(backend: str) -> None:
    def make() -> SimpleNamespace:
        rng = np.random.default_rng(3)
        model = network(dropout=0.4)

        def step(x: Any) -> Any:
            noise = tg.randn(*x.shape, rng=rng) + tg.rand(*x.shape, rng=rng)
            return model(x + noise), noise, tg.rand(2, seed=7), tg.randn_like(x, rng=rng)

        return SimpleNamespace(model=model, step=step, watched=list(model.parameters()), optimizer=None)

    twins = Twins(make, backend)
    results = [twins.call(given(0)[0])[1].data for _ in range(5)]
    assert len({one.tobytes() for one in results}) == 5
    twins.both(lambda world: world.model.eval())
    twins.calls([(given(k)[0],) for k in range(3)])


# --- the world changes ------------------------------------------------------------------------------


def _frozen(world: SimpleNamespace) -> None:
    world.watched[0].requires_grad_(False)


def _thawed(world: SimpleNamespace) -> None:
    world.watched[0].requires_grad_(True)


def _new_weight(world: SimpleNamespace) -> None:
    world.model[0].weight = nn.Parameter(numbers(5, 3, dtype=np.float32))
    world.watched[0] = world.model[0].weight


def _new_layer(world: SimpleNamespace) -> None:
    world.model[1] = nn.ReLU()


def _new_data(world: SimpleNamespace) -> None:
    world.watched[0].data = numbers(5, 3, dtype=np.float32)


def _fortran_data(world: SimpleNamespace) -> None:
    world.watched[0].data = np.asfortranarray(numbers(5, 3, dtype=np.float32))


def _written_data(world: SimpleNamespace) -> None:
    world.watched[0].data[0] = 0.5


def _loaded(world: SimpleNamespace) -> None:
    state = network().state_dict()
    world.model.load_state_dict(dict(zip(world.model.state_dict(), state.values(), strict=True)))


def _optimizer_loaded(world: SimpleNamespace) -> None:
    world.optimizer.load_state_dict(world.optimizer.state_dict())


def _optimizer_forgets(world: SimpleNamespace) -> None:
    state = world.optimizer.state_dict()
    state["state"] = {}
    world.optimizer.load_state_dict(state)


def _option(name: str, value: Any) -> Callable[[SimpleNamespace], None]:
    def change(world: SimpleNamespace) -> None:
        world.optimizer.param_groups[0][name] = value

    return change


def _dropout(p: float) -> Callable[[SimpleNamespace], None]:
    def change(world: SimpleNamespace) -> None:
        for one in world.model.modules():
            if isinstance(one, nn.Dropout):
                one.p = p

    return change


def _eval(world: SimpleNamespace) -> None:
    world.model.eval()


def _train(world: SimpleNamespace) -> None:
    world.model.train()


CHANGES: dict[str, tuple[str, list[Callable[[SimpleNamespace], None]]]] = {
    "train and eval": ("SGD", [_eval, _train, _eval, _train]),
    "Dropout.p": ("SGD", [_dropout(0.1), _dropout(0.9), _dropout(0.0), _dropout(0.1)]),
    "a parameter re-assigned": ("SGD", [_new_weight, _new_weight]),
    "a layer replaced": ("SGD", [_new_layer]),
    "data re-assigned": ("momentum", [_new_data, _new_data, _fortran_data]),
    "data written": ("Adam", [_written_data]),
    "state loaded": ("Adam", [_loaded]),
    "frozen and thawed": ("Adam", [_frozen, _thawed, _frozen, _thawed]),
    "learning rate": ("Adam", [_option("lr", 0.5), _option("lr", 1e-3), _option("lr", 0)]),
    "momentum": ("SGD", [_option("momentum", 0.9), _option("momentum", 0.0), _option("momentum", 0.5)]),
    "weight decay": ("momentum", [_option("weight_decay", 0.1), _option("weight_decay", 0.0)]),
    "nesterov": ("momentum", [_option("nesterov", True), _option("dampening", 0.0), _option("nesterov", False)]),
    "maximize": ("SGD", [_option("maximize", True), _option("maximize", False)]),
    "betas": ("Adam", [_option("betas", (0.5, 0.9))]),
    "optimizer loaded": ("Adam", [_optimizer_loaded, _optimizer_forgets]),
    "momentum forgotten": ("dampened", [_optimizer_forgets, _optimizer_loaded, _optimizer_forgets]),
}


@backends
@pytest.mark.parametrize("change", list(CHANGES))
def test_a_change_of_the_world_is_obeyed(change: str, backend: str) -> None:
    """Each change, two calls after it; then everything once more, when programs for all of it are there already."""
    rule, changes = CHANGES[change]
    twins = Twins(classifier(RULES[rule], dropout=0.5), backend)
    twins.calls(given(k) for k in range(3))
    for turn in range(2):
        for place, one in enumerate(changes):
            twins.both(one)
            twins.calls(given(10 * turn + place + k) for k in range(2))


@backends
def test_a_rate_on_a_schedule_needs_no_new_program(backend: str) -> None:
    twins = Twins(classifier(RULES["AdamW"]), backend)
    for k in range(6):
        twins.both(_option("lr", 0.1 / (k + 1)))
        twins.call(*given(k))
    assert twins.captures <= 2


@backends
def test_train_and_eval_are_found_again(backend: str) -> None:
    twins = Twins(classifier(dropout=0.5), backend)
    for _ in range(3):
        twins.both(_train)
        twins.call(*given(0))
        twins.both(_eval)
        twins.call(*given(0))
    assert twins.captures == 2


@backends
def test_an_option_that_is_refused_changes_nothing(backend: str) -> None:
    twins = Twins(classifier(RULES["Adam"]), backend)
    twins.calls(given(k) for k in range(3))
    before = snapshot(twins.compiled)
    twins.both(_option("lr", -1.0))
    twins.eager.optimizer.param_groups[0]["lr"] = 0.01
    with pytest.raises(ArgumentError):
        twins.step(*given(3))
    after = snapshot(twins.compiled)
    for name, value in before.items():
        agree(after[name], value, name, exact=True)
    twins.both(_option("lr", 0.01))
    twins.call(*given(4))


@backends
def test_groups_with_options_of_their_own(backend: str) -> None:
    def rule(parameters: Any) -> optim.Optimizer:
        first, *rest = parameters
        return optim.SGD([{"params": [first], "lr": 0.5}, {"params": rest, "momentum": 0.9}], lr=0.1)

    twins = Twins(classifier(rule), backend)
    twins.calls(given(k) for k in range(3))
    twins.both(lambda world: world.optimizer.param_groups[1].update(lr=0.01))
    twins.calls(given(k) for k in range(3))


@backends
def test_a_group_added_later_is_trained(backend: str) -> None:
    def make() -> SimpleNamespace:
        return classifier(lambda ps: optim.Adam(list(ps)[:2], lr=0.1))()

    twins = Twins(make, backend)
    twins.calls(given(k) for k in range(3))
    twins.both(lambda world: world.model.zero_grad())
    twins.both(lambda world: world.optimizer.add_param_group({"params": world.watched[2:], "lr": 0.2}))
    twins.calls(given(k) for k in range(3))


@backends
def test_parameters_without_gradient_and_tied_ones(backend: str) -> None:
    def make() -> SimpleNamespace:
        first, second, unused = nn.Linear(3, 3, seed=0), nn.Linear(3, 3, seed=1), nn.Linear(2, 2, seed=2)
        second.weight = first.weight
        watched = [first.weight, first.bias, second.bias, *unused.parameters()]
        rule = optim.Adam(watched, lr=0.1)

        def step(x: Any) -> Any:
            rule.zero_grad()
            loss = second(first(x).tanh()).square().sum()
            loss.backward()
            rule.step()
            return loss

        return SimpleNamespace(step=step, watched=watched, optimizer=rule)

    twins = Twins(make, backend)
    twins.calls([(given(k)[0],) for k in range(3)])
    twins.both(lambda world: setattr(world.watched[3], "grad", tg.ones(2, 2)))
    twins.calls([(given(k)[0],) for k in range(3)])


@backends
@pytest.mark.parametrize("rule", ["SGD", "momentum", "Adam"])
def test_a_gradient_for_a_parameter_that_was_passed_over(rule: str, backend: str) -> None:
    """The optimizer has a parameter that the function does not use; someone gives it a gradient, or freezes it."""

    def make() -> SimpleNamespace:
        a, b = nn.Parameter(numbers(3)), nn.Parameter(numbers(3, seed=1))
        optimizer = RULES[rule]([a, b])

        def step(x: Any) -> Any:
            a.grad = None
            loss = (a * x).tanh().sum()
            loss.backward()
            optimizer.step()
            return loss

        return SimpleNamespace(step=step, watched=[a, b], optimizer=optimizer)

    twins = Twins(make, backend)
    for k in range(3):
        twins.calls([(numbers(3, seed=k),)] * 2)
        twins.both(lambda world, k=k: setattr(world.watched[1], "grad", Tensor(numbers(3, seed=20 + k))))
        twins.calls([(numbers(3, seed=k),)] * 2)
        twins.both(lambda world: world.watched[1].requires_grad_(False))
        twins.calls([(numbers(3, seed=k),)] * 2)
        twins.both(lambda world: world.watched[1].requires_grad_(True))
        twins.calls([(numbers(3, seed=k),)] * 2)
        twins.both(lambda world: setattr(world.watched[1], "grad", None))


@backends
@pytest.mark.parametrize("rule", ["momentum", "Adam"])
def test_parameters_that_were_stepped_differently_often(rule: str, backend: str) -> None:
    """One kind of call trains both, another only the first: the step counts part."""

    def make() -> SimpleNamespace:
        a, b = nn.Parameter(numbers(3)), nn.Parameter(numbers(3, seed=1))
        optimizer = RULES[rule]([a, b])

        def step(x: Any, both: bool) -> Any:
            optimizer.zero_grad()
            loss = ((a * x).tanh() + (b * x if both else x)).square().sum()
            loss.backward()
            optimizer.step()
            return loss

        return SimpleNamespace(step=step, watched=[a, b], optimizer=optimizer)

    twins = Twins(make, backend)
    for both in (True, True, True, False, False, True, True, False, True, True):
        twins.call(numbers(3, seed=5), both)


@backends
@pytest.mark.parametrize("rule", ["SGD", "momentum", "Adam"])
def test_two_optimizer_steps_in_one_function(rule: str, backend: str) -> None:
    def make() -> SimpleNamespace:
        w = nn.Parameter(numbers(3))
        optimizer = RULES[rule]([w])

        def step(x: Any) -> Any:
            for _ in range(2):
                optimizer.zero_grad()
                loss = (w * x).tanh().square().sum()
                loss.backward()
                optimizer.step()
            return loss

        return SimpleNamespace(step=step, watched=[w], optimizer=optimizer)

    twins = Twins(make, backend)
    twins.calls([(numbers(3, seed=k),) for k in range(6)])


@backends
def test_training_without_an_optimizer(backend: str) -> None:
    def step(w: Any, b: Any, x: Any) -> Any:
        loss = (x @ w + b).tanh().square().mean()
        loss.backward()
        with no_grad():
            w -= 0.1 * w.grad
            b -= 0.1 * b.grad
        w.grad = None
        b.grad = None
        return loss

    twins = Twins(weights(step, (3, 2), (2,)), backend)
    twins.calls([(numbers(4, 3, seed=k),) for k in range(5)])


@backends
def test_writing_through_data_is_refused_or_done(backend: str) -> None:
    def step(w: Any, x: Any) -> Any:
        loss = (x * w).tanh().square().mean()
        loss.backward()
        w.data -= 0.1 * w.grad.data
        w.grad = None
        return loss

    world = weights(step, (3,))()
    compiled = tg.compile(world.step, backend=backend)
    before = snapshot(world)
    with pytest.raises(CaptureError):
        compiled(numbers(3))
    for name, value in snapshot(world).items():
        agree(value, before[name], name, exact=True)


def test_numpy_writing_into_a_parameter_is_refused_and_put_back() -> None:
    def step(w: Any, x: Any) -> Any:
        y = (w * x).sum()
        w.data[0] = 100.0
        return y

    world = weights(step, (3,))()
    before = snapshot(world)
    with pytest.raises(CaptureError, match="written by NumPy"):
        tg.compile(world.step, backend="replay")(numbers(3))
    for name, value in snapshot(world).items():
        agree(value, before[name], name, exact=True)


@backends
@pytest.mark.parametrize("quiet", [False, True])
def test_writing_into_an_argument_is_done_or_refused(quiet: bool, backend: str) -> None:
    def step(x: Any) -> Any:
        with no_grad() if quiet else enable_grad():
            x += 1.0
        return x * 2

    compiled = tg.compile(step, backend=backend)
    for k in range(3):
        x = numbers(3, seed=k)
        right = Tensor(x)
        mine = Tensor(x)
        expected = step(right)
        try:
            got = compiled(mine)
        except CaptureError:
            agree(mine.data, x, "argument", exact=True)
            continue
        agree(got.data, expected.data, "result", exact=False)
        agree(mine.data, right.data, "argument", exact=False)


@backends
def test_the_default_dtype_and_the_mode_are_part_of_the_kind(backend: str) -> None:
    def f(w: Any, x: Any) -> Any:
        y = tg.zeros(3) + tg.full((3,), 0.1)
        return y, (w * x).sum(), is_grad_enabled()

    twins = Twins(weights(f, (3,)), backend)
    before = tg.get_default_dtype()
    try:
        for dtype in ("float32", "float64", "float32"):
            tg.set_default_dtype(dtype)
            twins.call(numbers(3))
            with no_grad():
                twins.call(numbers(3))
    finally:
        tg.set_default_dtype(before)
    assert twins.captures == 4


@backends
@pytest.mark.parametrize("rule", ["SGD", "momentum", "Adam"])
def test_a_step_that_is_only_the_update(rule: str, backend: str) -> None:
    """The gradients come from outside, new ones in each call."""

    def make() -> SimpleNamespace:
        w = nn.Parameter(numbers(3))
        optimizer = RULES[rule]([w])
        return SimpleNamespace(step=lambda: optimizer.step(), watched=[w], optimizer=optimizer)

    twins = Twins(make, backend)
    for k in range(5):
        if k % 2:
            twins.both(lambda world, k=k: setattr(world.watched[0], "grad", Tensor(numbers(3, seed=k))))
        else:
            twins.both(lambda world, k=k: (world.watched[0] * numbers(3, seed=k)).sum().backward())
        twins.call()


@backends
def test_an_update_by_hand_with_gradients_from_outside(backend: str) -> None:
    def step(w: Any) -> None:
        with no_grad():
            w -= 0.1 * w.grad

    twins = Twins(weights(step, (3,)), backend)
    for k in range(5):
        twins.both(lambda world, k=k: setattr(world.watched[0], "grad", Tensor(numbers(3, seed=k))))
        twins.call()
        twins.both(lambda world: (world.watched[0] * numbers(3)).sum().backward())
        twins.call()


@backends
def test_plain_data_that_changes_in_place_is_read_anew(backend: str) -> None:
    """A frozen weight, a buffer, an average that nothing records: what is computed from them alone is not kept."""

    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(numbers(3))
            self.register_buffer("scale", Tensor(numbers(3, seed=1)))

        def forward(self, x: Any) -> Any:
            return x * (self.scale * 2.0).exp() + (self.weight.detach() * 3.0).tanh() + self.weight

    def make() -> SimpleNamespace:
        model = Scaled()
        frozen = Tensor(numbers(3, seed=2))

        def step(x: Any) -> Any:
            y = model(x) + (frozen * frozen).sum()
            with no_grad():
                model.scale *= 0.9
                model.scale += x * 0.1
            return y, model.scale * 1.0

        return SimpleNamespace(step=step, watched=[model.weight, model.scale, frozen], optimizer=None, model=model)

    twins = Twins(make, backend)
    for k in range(3):
        twins.call(numbers(3, seed=k))
        for place in range(3):
            twins.both(lambda world, place=place, k=k: np.copyto(world.watched[place].data, numbers(3, seed=9 + k)))
            twins.call(numbers(3, seed=k))
    twins.both(lambda world: world.model.requires_grad_(False))
    twins.call(numbers(3))
    twins.both(lambda world: np.copyto(world.watched[0].data, numbers(3, seed=30)))
    twins.call(numbers(3))
    twins.call(numbers(3))
    assert twins.captures == 2


@backends
def test_a_rule_that_computes_with_plain_data_alone_is_noted(backend: str) -> None:
    """The gradient by soft targets is a log-softmax of the logits, here a frozen parameter that is written in place."""

    def step(logits: Any, w: Any, x: Any) -> Any:
        w.grad = None
        loss = nn.functional.cross_entropy(logits, (w * x).softmax(1))
        loss.backward()
        return loss

    twins = Twins(weights(step, (2, 3), (2, 3)), backend)
    twins.both(lambda world: world.watched[0].requires_grad_(False))
    for k in range(4):
        twins.call(numbers(2, 3, seed=k))
        twins.both(lambda world, k=k: np.copyto(world.watched[0].data, numbers(2, 3, seed=40 + k)))


def test_data_of_the_function_may_be_read() -> None:
    """Only what depends on arguments and parameters is out of reach."""

    def step(x: Any) -> Any:
        steps = tg.arange(4).sum().item()
        return x * steps if bool((tg.ones(2) * 2).sum() > 3) else x

    compiled = tg.compile(step, backend="replay")
    for k in range(3):
        agree(compiled(numbers(3, seed=k)).data, numbers(3, seed=k) * 6, "result", exact=True)


@pytest.mark.parametrize("profiler", [None, lambda *_: None])
def test_values_have_the_names_of_the_user(profiler: Any) -> None:
    """That of the call that ended first counts, a recursive one among them; profilers go on undisturbed."""

    def inner(x: Any, depth: int) -> Any:
        deep = x.sin() if depth == 0 else inner(x, depth - 1) * 2.0
        assert deep.shape == x.shape
        return deep

    def outer(x: Any) -> Any:
        first = inner(x, 1)
        again = first
        second, third = again * 3.0, again * 4.0
        values = [value.exp() for value in (second, third)]
        result = values[0] + values[1]
        assert result.shape == x.shape
        return result

    step = tg.compile(outer, backend="replay")
    sys.setprofile(profiler)
    try:
        step(numbers(3))
        assert sys.getprofile() is profiler
    finally:
        sys.setprofile(None)
    names = [one.result.name for one in step.program.steps]
    assert names == ["deep", "deep", "second", "third", "", "", "result"]


@pytest.mark.parametrize("on", [True, False])
def test_the_collector_waits_for_the_end_of_a_capture(on: bool) -> None:
    """It is as it was afterwards, whatever has happened."""
    seen = []

    def step(x: Any, fails: bool) -> Any:
        seen.append(gc.isenabled())
        if fails:
            raise ValueError("no")
        return x * 2.0

    compiled = tg.compile(step, backend="replay")
    before = gc.isenabled()
    (gc.enable if on else gc.disable)()
    try:
        with pytest.raises(ValueError, match="no"):
            compiled(numbers(3), True)
        assert gc.isenabled() is on
        compiled(numbers(3), False), compiled(numbers(3), False)
        assert gc.isenabled() is on
    finally:
        (gc.enable if before else gc.disable)()
    assert seen == [False, False]


# --- derivatives inside -----------------------------------------------------------------------------


def _penalty(w: Any, x: Any) -> Any:
    x.requires_grad_()
    y = (x @ w).tanh().sum()
    (slope,) = autograd.grad(y, [x], create_graph=True)
    loss = y + slope.square().sum()
    loss.backward()
    with no_grad():
        w -= 0.1 * w.grad
    w.grad = None
    return loss, slope


def _second(w: Any, x: Any) -> Any:
    y = (x @ w).tanh().square().sum()
    (g,) = autograd.grad(y, [w], create_graph=True)
    (h,) = autograd.grad((g * g).sum(), [w])
    return y, g, h


def _grad(w: Any, x: Any) -> Any:
    return func.grad(lambda v: (x @ v).tanh().sum())(w)


def _value_and_grad(w: Any, x: Any) -> Any:
    return func.value_and_grad(lambda v: (x @ v).tanh().sum())(w)


def _hessian(w: Any, x: Any) -> Any:
    return func.hessian(lambda v: (x @ v).tanh().sum())(w)


def _jvp(w: Any, x: Any) -> Any:
    return func.jvp(lambda v: (x @ v).tanh(), (w.detach(),), (w.detach() * 0.5,))


def _hvp(w: Any, x: Any) -> Any:
    return func.hvp(lambda v: (x @ v).tanh().sum(), (w.detach(),), (w.detach() * 0.5,))


def _vmap(w: Any, x: Any) -> Any:
    return func.vmap(lambda row: (row @ w).tanh().sum())(x)


def _checkpoint(w: Any, x: Any) -> Any:
    y = autograd.checkpoint(lambda v: (v @ w).tanh() @ w.T, x).sum()
    y.backward()
    return y


def _checkpoint_grad(w: Any, x: Any) -> Any:
    y = autograd.checkpoint(lambda v: (v @ w).tanh() @ w.T, x).sum()
    return autograd.grad(y, [w])[0]


INSIDE = {
    one.__name__.strip("_"): one
    for one in (_penalty, _second, _grad, _value_and_grad, _hessian, _jvp, _hvp, _vmap, _checkpoint, _checkpoint_grad)
}


@backends
@pytest.mark.parametrize("name", list(INSIDE))
def test_derivatives_inside(name: str, backend: str) -> None:
    """They work, or a CaptureError says what does not."""
    make = weights(INSIDE[name], (3, 2))
    twins = Twins(make, backend)
    arguments = [numbers(4, 3, seed=k) for k in range(4)]
    try:
        twins.step(Tensor(arguments[0]))
    except CaptureError:
        return
    twins.eager.step(Tensor(arguments[0]))
    twins.check_state()
    for one in arguments:
        twins.check(twins.step(Tensor(one)), twins.eager.step(Tensor(one)))


def test_which_derivatives_work_inside() -> None:
    """So that a lost one is noticed."""
    working = set()
    for name, function in INSIDE.items():
        try:
            tg.compile(weights(function, (3, 2))().step, backend="replay")(Tensor(numbers(4, 3)))
        except CaptureError:
            continue
        working.add(name)
    assert working == set(INSIDE)


# --- errors -------------------------------------------------------------------------------------------


def unchanged(world: SimpleNamespace, before: dict[str, Any]) -> None:
    after = snapshot(world)
    assert after.keys() == before.keys()
    for name, value in before.items():
        agree(after[name], value, name, exact=True)


@pytest.mark.parametrize("rule", ["SGD", "dampened", "Adam"])
@pytest.mark.parametrize("after", ["nothing", "zero_grad", "backward", "step"])
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, MemoryError])
def test_an_exception_in_the_first_call_puts_everything_back(rule: str, after: str, error: Any) -> None:
    """Wherever the function fails: parameters, optimizer state, gradients and mode are those of before."""
    world = classifier(RULES[rule])()
    world.watched[0].grad = tg.ones(5, 3)
    world.watched[3].grad = tg.ones(4)
    fails = [True]

    def step(x: Any, y: Any) -> Any:
        if fails[0] and after == "nothing":
            raise error
        world.optimizer.zero_grad()
        if fails[0] and after == "zero_grad":
            raise error
        loss = nn.CrossEntropyLoss()(world.model(x), y)
        loss.backward()
        if fails[0] and after == "backward":
            with no_grad():
                raise error
        world.optimizer.step()
        if fails[0]:
            raise error
        return loss

    compiled = tg.compile(step, backend="replay")
    before = snapshot(world)
    grads = [one.grad for one in world.watched]
    for _ in range(2):
        with pytest.raises(error):
            compiled(*given(0))
        unchanged(world, before)
        assert [one.grad is grad for one, grad in zip(world.watched, grads, strict=True)] == [True] * 4
        assert is_grad_enabled()
    fails[0] = False
    twin = classifier(RULES[rule])()
    for k in range(3):
        twin.step(*given(k))
        compiled(*given(k))
    for mine, right in zip(world.watched, twin.watched, strict=True):
        agree(mine.data, right.data, "parameter", exact=True)


@backends
@pytest.mark.parametrize("rule", ["SGD", "momentum", "Adam"])
def test_a_bad_batch_later_changes_nothing(rule: str, backend: str) -> None:
    """Class ids out of range at the fourth call; the run after it is as if there had been none."""
    twins = Twins(classifier(RULES[rule]), backend)
    twins.calls(given(k) for k in range(3))
    x, y = given(3)
    bad = y.copy()
    bad[2] = 4
    before = snapshot(twins.compiled)
    with pytest.raises(ArgumentError) as eager:
        twins.eager.step(Tensor(x), Tensor(bad))
    with pytest.raises(ArgumentError) as compiled:
        twins.step(x, bad)
    assert str(compiled.value) == str(eager.value)
    unchanged(twins.compiled, before)
    twins.calls(given(k) for k in range(4, 6))
    assert twins.captures <= 2


@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt])
def test_running_out_of_memory_before_the_update_changes_nothing(error: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An op's forward function fails in the third run, in each place before the update."""
    from tinygrad_mlp.program.numpy_replay import Replay

    places = len(tg.compile(classifier()().step).captures)
    twins = Twins(classifier(RULES["Adam"]), "replay")
    twins.calls(given(k) for k in range(3))
    (entries,) = twins.step._entries.values()
    replay = entries[0].replayed()
    run = replay._run
    before = snapshot(twins.compiled)
    update = [step.op.forward for step in replay.program.steps if step.phase == "update"]
    # Called in every run and harmless, or in rare cases only.
    others = {"run", "errstate", "asarray", "where", "copyto"}
    tried = 0
    for name in [name for name, thing in replay._space.items() if callable(thing) and name not in others]:
        original = replay._space[name]
        if name.startswith("f") and any(original is one for one in update):
            continue

        def fail(*_: Any, **__: Any) -> Any:
            raise error

        monkeypatch.setitem(replay._space, name, fail)
        with pytest.raises(error):
            twins.step(*given(7))
        monkeypatch.setitem(replay._space, name, original)
        unchanged(twins.compiled, before)
        tried += 1
    assert tried > 9
    assert isinstance(replay, Replay)
    assert replay._run is run
    assert places == 0
    twins.calls(given(k) for k in range(3, 5))


def _signalling(function: Callable[..., Any], number: int) -> Callable[..., Any]:
    def call(*args: Any, **options: Any) -> Any:
        result = function(*args, **options)
        signal.raise_signal(number)
        return result

    return call


def _called(replay: Any) -> list[str]:
    """The names of the functions that a replay calls."""
    return [
        name for name, thing in replay._space.items() if name != "run" and callable(thing) and f"{name}(" in replay.code
    ]


@pytest.mark.parametrize("rule", ["SGD", "nesterov", "Adam amsgrad"])
def test_ctrl_c_waits_for_the_end_of_a_replayed_step(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever call of the program it comes in: parameters, state and counts are those of the whole step."""
    twins = Twins(classifier(RULES[rule]), "replay")
    twins.calls(given(k) for k in range(3))
    (entries,) = twins.step._entries.values()
    replay = entries[0].replayed()
    names = _called(replay)
    assert len(names) > 5
    for k, name in enumerate(names):
        with monkeypatch.context() as patched:
            patched.setitem(replay._space, name, _signalling(replay._space[name], signal.SIGINT))
            with pytest.raises(KeyboardInterrupt):
                twins.step(*given(k))
        twins.eager.step(*map(Tensor, given(k)))
        unchanged(twins.compiled, snapshot(twins.eager))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    twins.calls(given(k) for k in range(3, 5))


@pytest.mark.compiler
@pytest.mark.parametrize("rule", ["SGD", "Adam"])
def test_ctrl_c_waits_for_the_end_of_a_native_step(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python hears of it when C returns: what is counted afterwards is counted, in single calls and in many."""
    world, twin = classifier(RULES[rule])(), classifier(RULES[rule])()
    compiled, counted = (tg.compile(one.step, backend="native") for one in (world, twin))
    for k in range(3):
        compiled(*given(k)), counted(*given(k))
    native = compiled._last.native
    for k in range(3):
        with monkeypatch.context() as patched:
            patched.setattr(native, "run", _signalling(native.run, signal.SIGINT))
            with pytest.raises(KeyboardInterrupt):
                compiled(*given(k))
        counted(*given(k))
        unchanged(world, snapshot(twin))
    x, y = given(0)
    columns = np.repeat(x, 40, axis=0), np.repeat(y, 40)
    told: list[int] = []
    loader = DataLoader(columns, batch_size=len(x))
    with monkeypatch.context() as patched:
        patched.setattr(native, "run_batches", _signalling(native.run_batches, signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            compiled.run(loader, progress=lambda done, _: told.append(done))
    assert told == []
    made = 16
    counted.run(DataLoader(tuple(one[: made * len(x)] for one in columns), batch_size=len(x)))
    unchanged(world, snapshot(twin))


def test_ctrl_c_while_a_capture_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends after that: everything is as before the call."""
    from tinygrad_mlp.program.trace import Trace

    world = classifier(RULES["Adam"])()

    def step(x: Any, y: Any) -> None:
        world.step(x, y)
        raise ValueError

    before = snapshot(world)
    monkeypatch.setattr(np, "copyto", _signalling(np.copyto, signal.SIGINT))
    monkeypatch.setattr(Trace, "put_back", Trace.put_back)
    with pytest.raises(KeyboardInterrupt):
        tg.compile(step, backend="replay")(*given(0))
    monkeypatch.undo()
    unchanged(world, before)


def test_another_signal_may_tear_a_step_and_says_what_it_has_torn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only Ctrl-C is held back: a handler of the user's that raises gets a note on what is written and what not."""

    def out_of_time(*_: Any) -> None:
        raise TimeoutError

    world = classifier(RULES["Adam"])()
    step = tg.compile(world.step, backend="replay")
    for k in range(3):
        step(*given(k))
    replay = step._last.replayed()
    handler = signal.signal(signal.SIGALRM, out_of_time)
    torn, said = 0, ""
    try:
        for name in _called(replay):
            before = snapshot(world)
            with monkeypatch.context() as patched:
                patched.setitem(replay._space, name, _signalling(replay._space[name], signal.SIGALRM))
                with pytest.raises(TimeoutError) as caught:
                    step(*given(3))
            after = snapshot(world)
            notes = "".join(getattr(caught.value, "__notes__", []))
            differs = any(not np.array_equal(after[key], one) for key, one in before.items() if "param" in key)
            assert not differs or "written: " in notes
            torn += bool(notes)
            said += notes
    finally:
        signal.signal(signal.SIGALRM, handler)
    assert torn > 0
    assert "not written: " in said
    assert "perhaps written: " in said


@backends
def test_class_ids_computed_inside_are_asked_too(backend: str) -> None:
    """The optimizer has stepped once when the second loss finds a bad class id: nothing of the run stays."""

    def make() -> SimpleNamespace:
        world = classifier(RULES["Adam"])()
        first = world.step

        def step(x: Any, y: Any, z: Any) -> Any:
            first(x, y)
            return nn.CrossEntropyLoss()(world.model(x), (z * 2).long())

        world.step = step
        return world

    twins = Twins(make, backend)
    x, y = given(0)
    z = np.array([0.1, 0.6, 1.2, 1.6, 0.0, 0.0], np.float32)
    twins.calls([(x, y, z)] * 3)
    before = snapshot(twins.compiled)
    with pytest.raises((ArgumentError, IndexError)):
        twins.step(x, y, z * 10)
    unchanged(twins.compiled, before)
    twins.calls([(x, y, z)])


READERS: dict[str, Callable[[Any], Any]] = {
    "item": lambda x: x.sum().item(),
    "bool": lambda x: bool(x.sum() > 0),
    "if": lambda x: 1 if x.sum() > 1 else 2,
    "float": lambda x: float(x.sum()),
    "int": lambda x: int(x.sum()),
    "numpy": lambda x: (x * 2).detach().numpy(),
    "asarray": lambda x: np.asarray(x * 2),
    "tolist": lambda x: (x * 2).tolist(),
    "data": lambda x: (x * 2).data + 1,
    "format": lambda x: f"{(x * 2).sum():.3f}",
    "print": lambda x: print((x * 2).sum().item()),
    "in": lambda x: 1.0 in x,
    "Tensor": lambda x: Tensor(x * 2),
    "argument": lambda x: x.data,
    "deepcopy": lambda x: copy.deepcopy(x * 2),
    "numpy.unique": lambda x: np.unique(x),
    "numpy.argpartition": lambda x: np.argpartition(x, 1),
    "numpy.i0": lambda x: np.i0(x),
    "numpy.histogram": lambda x: np.histogram(x, bins=3)[0],
    "a list of tensors": lambda x: np.lexsort([x, x]),
    "a keyword": lambda x: np.count_nonzero(a=x),
    "copyto": lambda x: np.copyto(np.zeros(3), x),
    "out": lambda x: np.multiply(x, 2.0, out=np.zeros(3)),
    "out, where": lambda x: np.multiply(x, 2.0, out=np.zeros(3), where=np.array([True, False, True])),
    "a sum in an array of its own": lambda x: np.zeros(3).__iadd__(x),
}


@pytest.mark.parametrize("name", list(READERS))
def test_reading_a_value_names_the_line(name: str) -> None:
    """A CaptureError with this file and the lambda's line; the eager function can."""
    function = READERS[name]
    function(Tensor(numbers(3)))
    with pytest.raises(CaptureError) as caught:
        tg.compile(lambda x: function(x), backend="replay")(numbers(3))
    line = function.__code__.co_firstlineno
    where = "copy.py" if name == "deepcopy" else f"test_compile.py:{line}"
    assert where in str(caught.value)


FROM_OUTSIDE: dict[str, tuple[Callable[[Any], Any], bool]] = {
    # What is computed from a tensor of the outside, and whether Python itself reads it.
    "numpy.exp": (lambda t: np.exp(t), False),
    "numpy.mean": (lambda t: np.mean(t), False),
    "numpy.zeros_like": (lambda t: np.zeros_like(t) + t, False),
    "shape": (lambda t: np.shape(t)[0] * np.size(t) * t, False),
    "argmax": (lambda t: t.argmax() * 1.0, False),
    "all": (lambda t: t.all() * 1.0, False),
    "integers": (lambda t: t.astype(int) * 1.0, False),
    "item": (lambda t: t.sum().item(), True),
    "if": (lambda t: 2.0 if t[0] > 1.5 else 1.0, True),
    "tolist": (lambda t: max(t.tolist()), True),
    "numpy()": (lambda t: t.numpy() * 2, True),
    "numpy.array": (lambda t: np.array(t), True),
    "Tensor": (lambda t: Tensor(t) * 2, True),
    "deepcopy": (lambda t: copy.deepcopy(t) * 2, True),
    "numpy.linalg.norm": (lambda t: np.linalg.norm(t), False),
    "numpy.sort": (lambda t: np.sort(t), False),
    "computed": (lambda t: float((t * 2).exp().sum()), True),
}


@pytest.mark.parametrize("name", list(FROM_OUTSIDE))
def test_a_tensor_of_the_outside_is_never_what_it_was(name: str) -> None:
    """What ops make of it is computed anew; what Python has read of it is asked before each run."""
    function, reads = FROM_OUTSIDE[name]
    outside = Tensor(numbers(3))
    step = tg.compile(lambda x: x * function(outside), backend="replay")
    for k, values in enumerate([(1, 2, 3), (2, 0, 1), (2, 0, 1), (1, 2, 3), (4, 1, 0)]):
        outside.data[...] = values
        x = numbers(3, seed=k)
        agree(step(x).data, x * np.asarray(getattr(function(outside), "data", function(outside))), "result", exact=True)
    assert len(step.captures) == (3 if reads else 1)
    assert not reads or "test_compile.py" in step.captures[1] or name == "deepcopy"


def test_what_the_step_writes_is_not_read_inside() -> None:
    """Neither before it is written nor after; everything is put back."""
    average = Tensor(np.zeros(3))

    def step(x: Any, early: bool) -> Any:
        nonlocal average
        scale = average.sum().item() if early else 1.0
        with no_grad():
            average += x
        return x * scale if early else x * average.sum().item()

    for early in (True, False):
        with pytest.raises(CaptureError, match=r"test_compile.py:\d+.* a tensor that the step itself writes"):
            tg.compile(step, backend="replay")(numbers(3), early)
        agree(average.data, np.zeros(3), "average", exact=True)


def test_a_seed_of_another_dtype_is_a_value_of_the_step() -> None:
    """As an argument it is another one in every run."""
    world = weights(lambda w, g: autograd.grad(w * 2.0, [w], [g])[0], (3,), dtype=np.float32)
    twins = Twins(world, "replay")
    twins.calls([(numbers(3, seed=k),) for k in range(4)])


@backends
def test_indexing_with_a_traced_tensor(backend: str) -> None:
    twins = Twins(weights(lambda w, i: (w[i], w[i] * 2, w[i].sum()), (5, 2)), backend)
    rng = np.random.default_rng(0)
    twins.calls([(rng.integers(-5, 5, 4),) for _ in range(4)])
    with pytest.raises(IndexError):
        twins.step(np.array([0, 1, 2, 5]))
    twins.calls([(rng.integers(-5, 5, 4),) for _ in range(4)])


def test_recorded_arguments_are_refused_each_time() -> None:
    w = nn.Parameter(np.ones(3))
    step = tg.compile(lambda x: x * 2, backend="replay")
    for _ in range(3):
        step(Tensor(numbers(3)))
        with pytest.raises(CaptureError, match="detach"):
            step(w * 1.0)


def test_hooks_are_refused_whenever_they_come() -> None:
    world = classifier()()
    compiled = tg.compile(world.step, backend="replay")
    compiled(*given(0))
    compiled(*given(1))
    before = snapshot(world)
    with world.watched[0].register_hook(lambda g: g * 0), pytest.raises(CaptureError, match="hook"):
        compiled(*given(2))
    unchanged(world, before)
    with (
        world.watched[0].register_post_accumulate_grad_hook(lambda _: None),
        pytest.raises(CaptureError, match="hook"),
    ):
        compiled(*given(2))
    unchanged(world, before)
    compiled(*given(2))

    def inside(w: Any, x: Any) -> Any:
        y = w * x
        y.register_hook(lambda g: g * 3)
        y.sum().backward()

    with pytest.raises(CaptureError, match="hook"):
        tg.compile(weights(inside, (3,))().step, backend="replay")(numbers(3))


def test_a_rule_in_python_is_refused() -> None:
    class Double(autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return g * 2

    step = tg.compile(weights(lambda w, x: Double.apply(w * x).sum().backward(), (3,))().step, backend="replay")
    with pytest.raises(CaptureError):
        step(numbers(3))


@backends
def test_a_graph_from_before_a_compiled_step_is_not_walked(backend: str) -> None:
    """The parameters that its rules read were written."""
    world = classifier()()
    compiled = tg.compile(world.step, backend=backend)
    for k in range(3):
        loss = (world.model(Tensor(given(0)[0])) * 2).sum()
        compiled(*given(k))
        with pytest.raises(ChangedValueError, match=r"compiled|step"):
            loss.backward()


@backends
def test_detecting_anomalies_around_a_compiled_call(backend: str) -> None:
    w = nn.Parameter(np.ones(3))
    compiled = tg.compile(lambda x: (w * x).log().sum(), backend=backend)
    for _ in range(3):
        compiled(np.ones(3))
        with autograd.detect_anomaly():
            compiled(np.ones(3))
            with pytest.raises(AnomalyError):
                compiled(np.array([1.0, 0.0, 1.0]))


@backends
def test_profiling_around_a_compiled_call_changes_nothing(backend: str) -> None:
    twins = Twins(classifier(RULES["Adam"]), backend)
    twins.calls(given(k) for k in range(2))
    with tg.profile():
        twins.calls(given(k) for k in range(4))
    twins.calls(given(k) for k in range(2))


# --- several at once ------------------------------------------------------------------------------------


@backends
def test_nested_and_recursive_functions(backend: str) -> None:
    inner = tg.compile(lambda x: (x * 2).tanh(), backend=backend)

    def outer(w: Any, x: Any) -> Any:
        return inner((w * x).detach()).sum() + inner(x).sum()

    twins = Twins(weights(outer, (3,)), backend)
    twins.calls([(numbers(3, seed=k),) for k in range(3)])
    assert len(inner.captures) == 1  # the eager twin's; inside the outer capture it is a function like any other

    @tg.compile(backend=backend)
    def power(x: Any, n: Any) -> Any:
        return x if n == 0 else x * power(x, n - 1)

    for k in range(3):
        agree(power(numbers(3, seed=k), 3).data, numbers(3, seed=k) ** 4, "power", exact=False)


@backends
def test_two_functions_share_a_model(backend: str) -> None:
    def make() -> SimpleNamespace:
        world = classifier(RULES["Adam"])()
        world.look = lambda x: world.model(x)
        return world

    twins = Twins(make, backend)
    look = tg.compile(twins.compiled.look, backend=backend)
    for k in range(4):
        x, y = given(k)
        twins.call(x, y)
        right, mine = twins.eager.look(Tensor(x)), look(x)
        agree(mine.data, right.data, "logits", exact=backend == "replay")
        twins.both(lambda world: world.step(*map(Tensor, given(9))))  # an eager step in between


@backends
def test_threads_calling_one_function_wait_for_each_other(backend: str) -> None:
    """200 steps from four threads move a counter 200 times, and each result is of its own arguments."""
    count = nn.Parameter(np.zeros(4))

    @tg.compile(backend=backend)
    def step(x: Any) -> Any:
        with no_grad():
            nonlocal count
            count += 1.0
        return (x * x).sum(), x * 2

    def work(k: int) -> bool:
        x = np.full(4, float(k))
        total, double = step(x)
        return total.item() == 4.0 * k * k and bool((double.data == 2.0 * k).all())

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(200)))
    assert count.data.tolist() == [200.0] * 4


def test_captures_in_threads_at_once_do_not_mix() -> None:
    gate = threading.Barrier(2)

    def work(k: int) -> list[Any]:
        world = classifier(RULES["Adam"])()

        def step(x: Any, y: Any) -> Any:
            gate.wait(10)
            found = world.step(x, y)
            gate.wait(10)
            return found

        compiled = tg.compile(step, backend="replay")
        results = [compiled(*given(k)) for _ in range(4)]
        eager = classifier(RULES["Adam"])()
        right = [eager.step(*map(Tensor, given(k))) for _ in range(4)]
        for mine, other in zip(results, right, strict=True):
            agree(mine["loss"].data, other["loss"].data, "loss", exact=True)
        return [len(entry.program.steps) for some in compiled._entries.values() for entry in some]

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(work, [1, 2])
    assert first == second


def test_tasks_do_not_mix() -> None:
    compiled = tg.compile(lambda x: ((x * 2).sum(), is_grad_enabled()), backend="replay")

    async def work(k: int) -> None:
        for _ in range(5):
            if k % 2:
                with no_grad():
                    await asyncio.sleep(0)
                    total, on = compiled(np.full(3, float(k)))
            else:
                await asyncio.sleep(0)
                total, on = compiled(np.full(3, float(k)))
            assert on == (k % 2 == 0)
            assert total.item() == 6.0 * k

    async def everything() -> None:
        await asyncio.gather(*[work(k) for k in range(20)])

    asyncio.run(everything())
    assert len(compiled.captures) == 2


# --- memory --------------------------------------------------------------------------------------------


@backends
def test_a_deleted_function_frees_what_it_had(backend: str) -> None:
    world = classifier(RULES["Adam"])()
    compiled = tg.compile(world.step, backend=backend)
    for k in range(4):
        compiled(*given(k))
    (entries,) = compiled._entries.values()
    alive = [weakref.ref(one.captured.program.steps[0].op.__class__) for one in entries]
    arena = weakref.ref(entries[0].captured.program.inputs[0].__class__)
    assert alive
    assert arena
    probes = [weakref.ref(one) for one in world.watched]
    seen = weakref.finalize(compiled, lambda: None)
    before = weakref.ref(world.model)
    del world, compiled, entries
    gc.collect()
    assert not seen.alive
    assert before() is None
    assert [one() for one in probes] == [None] * 4


@backends
def test_many_runs_leak_nothing(backend: str) -> None:
    world = classifier(RULES["Adam"], dropout=0.5)()
    compiled = tg.compile(world.step, backend=backend)
    batches = [given(k) for k in range(4)]
    for _ in range(50):
        for batch in batches:
            compiled(*batch)
    gc.collect()
    tracemalloc.start()
    try:
        for k in range(100):
            compiled(*batches[k % 4])
        before = tracemalloc.get_traced_memory()[0]
        for k in range(2_500):
            compiled(*batches[k % 4])
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert after - before < 64 * 1024


def test_ever_new_numbers_do_not_keep_ever_more_programs() -> None:
    compiled = tg.compile(lambda x, rate: x * rate, backend="replay")
    for k in range(400):
        compiled(np.ones(2), k * 0.001)
    assert sum(map(len, compiled._entries.values())) <= 256


# --- whole runs ------------------------------------------------------------------------------------------


class Flat:
    """A classifier whose step returns the loss first, in twins."""

    def __init__(self, rule: str, backend: str, rows: int = 50, **options: Any) -> None:
        rng = np.random.default_rng(4)
        self.x = rng.normal(size=(rows, 3)).astype(np.float32)
        self.y = rng.integers(0, 4, rows)
        self.options = options

        def make() -> SimpleNamespace:
            world = classifier(RULES[rule], dropout=0.2)()
            whole = world.step

            def step(x: Any, y: Any) -> Any:
                found = whole(x, y)
                return found["loss"], found["logits"]

            world.step = step
            return world

        self.twins = Twins(make, backend, gradients=False)

    def loader(self) -> DataLoader:
        return DataLoader((self.x, self.y), **{"seed": 6, **self.options})

    def both(self, epochs: int = 2) -> None:
        mine, other = self.loader(), self.loader()
        exact = self.twins.backend == "replay"
        for _ in range(epochs):
            right = [self.twins.eager.step(Tensor(x), Tensor(y)) for x, y in other]
            runs = self.twins.step.run(mine)
            assert mine.epoch == other.epoch
            assert len(runs) == len(right)
            assert runs.finite
            for (loss, logits), (right_loss, right_logits) in zip(runs, right, strict=True):
                agree(loss.data, right_loss.data, "loss", exact=exact)
                agree(logits.data, right_logits.data, "logits", exact=exact)
            for one in (0, -1, len(right) - 1):
                agree(runs[one][0].data, right[one][0].data, "loss", exact=exact)
            agree(
                np.concatenate([one.reshape(-1) for one in runs.arrays(0)]),
                np.array([loss.data for loss, _ in right]),
                "losses",
                exact=exact,
            )
            self.twins.check_state()
            with pytest.raises(IndexError):
                runs[len(right)]


@backends
@pytest.mark.parametrize("rule", ["SGD", "momentum", "Adam"])
@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 8},
        {"batch_size": 10, "shuffle": True},
        {"batch_size": 8, "shuffle": True, "drop_last": True},
        {"batch_size": 64},
        {"batch_size": 1, "shuffle": True},
        {"batch_size": 49},
    ],
    ids=lambda one: " ".join(f"{k}={v}" for k, v in one.items()),
)
def test_run_is_the_loop(rule: str, options: dict[str, Any], backend: str) -> None:
    Flat(rule, backend, **options).both()


@backends
def test_run_takes_any_batches(backend: str) -> None:
    flat = Flat("Adam", backend)
    batches = [given(k) for k in range(6)]
    right = [flat.twins.eager.step(Tensor(x), Tensor(y)) for x, y in batches]
    for source in (batches[:3], iter(batches[3:])):
        runs = flat.twins.step.run(source)
        for (loss, _), (other, _) in zip(runs, right[: len(runs)], strict=True):
            agree(loss.data, other.data, "loss", exact=backend == "replay")
        right = right[len(runs) :]
    assert not right
    flat.twins.check_state()
    assert len(flat.twins.step.run([])) == 0


@backends
@pytest.mark.parametrize("rule", ["SGD", "Adam"])
@pytest.mark.parametrize("place", [0, 1, 3, 5])
def test_run_stops_before_a_batch_that_is_not_finite(rule: str, place: int, backend: str) -> None:
    """The state is that from before the bad batch; its loss is the last result."""
    flat = Flat(rule, backend, rows=48, batch_size=8)
    flat.twins.calls([(flat.x[:8], flat.y[:8])] * 3)
    flat.x[place * 8 + 2] = np.nan
    for x, y in list(flat.loader())[:place]:
        flat.twins.eager.step(Tensor(x), Tensor(y))
    runs = flat.twins.step.run(flat.loader(), check_finite=True)
    assert not runs.finite
    assert len(runs) == place + 1
    assert np.isnan(runs[-1][0].item())
    flat.twins.check_state()


@backends
@pytest.mark.parametrize("rule", ["SGD", "Adam"])
@pytest.mark.parametrize("place", [0, 1, 3, 5])
def test_run_stops_at_a_bad_batch(rule: str, place: int, backend: str) -> None:
    """A class id out of range: the runs before it stay made, and nothing of the bad one is."""
    flat = Flat(rule, backend, rows=48, batch_size=8)
    flat.twins.calls([(flat.x[:8], flat.y[:8])] * 3)
    flat.y[place * 8 + 2] = 7
    for x, y in list(flat.loader())[:place]:
        flat.twins.eager.step(Tensor(x), Tensor(y))
    with pytest.raises(ArgumentError, match="class ids"):
        flat.twins.step.run(flat.loader())
    flat.twins.check_state()


@backends
def test_progress_may_stop_a_run(backend: str) -> None:
    flat = Flat("Adam", backend, rows=2000, batch_size=2)
    seen: list[int] = []

    def stop(done: int, runs: Any) -> None:
        seen.append(done)
        assert len(runs) == done
        if done > 100:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        flat.twins.step.run(flat.loader(), progress=stop)
    for x, y in list(flat.loader())[: seen[-1]]:
        flat.twins.eager.step(Tensor(x), Tensor(y))
    flat.twins.eager.model = flat.twins.compiled.model
    assert seen == sorted(seen)


@backends
def test_runs_draw_from_a_shared_generator_in_the_order_of_eager(backend: str) -> None:
    """Two Dropout layers with one generator take turns."""

    def make() -> SimpleNamespace:
        rng = np.random.default_rng(5)
        model = nn.Sequential(
            nn.Linear(3, 5, seed=1), nn.Dropout(0.5, rng=rng), nn.Linear(5, 4, seed=2), nn.Dropout(0.3, rng=rng)
        )
        optimizer = optim.SGD(model.parameters(), lr=0.1)

        def step(x: Any) -> Any:
            optimizer.zero_grad()
            loss = model(x).square().mean()
            loss.backward()
            optimizer.step()
            return loss

        return SimpleNamespace(step=step, watched=list(model.parameters()), optimizer=optimizer)

    twins = Twins(make, backend, gradients=False)
    x = numbers(40, 3, dtype=np.float32)
    for batch in (x[k : k + 4] for _ in range(2) for k in range(0, 40, 4)):
        twins.eager.step(Tensor(batch))
    for _ in range(2):
        twins.step.run(DataLoader((x,), batch_size=4))
    twins.check_state()


@backends
def test_progress_may_change_the_world(backend: str) -> None:
    """The rate and the mode that ``progress`` sets hold from the next run on."""

    def make() -> SimpleNamespace:
        return classifier(RULES["Adam"], dropout=0.5)()

    twins = Twins(make, backend, gradients=False)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(400, 3)).astype(np.float32), rng.integers(0, 4, 400)
    changed: list[int] = []

    def progress(done: int, _: Any) -> None:
        if done > 50 and not changed:
            changed.append(done)
            twins.compiled.model.eval()
            twins.compiled.optimizer.param_groups[0]["lr"] = 0.5

    twins.step.run(DataLoader((x, y), batch_size=4), progress=progress)
    for k, (a, b) in enumerate(DataLoader((x, y), batch_size=4)):
        if k == changed[0]:
            twins.eager.model.eval()
            twins.eager.optimizer.param_groups[0]["lr"] = 0.5
        twins.eager.step(Tensor(a), Tensor(b))
    twins.check_state()


@backends
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_times_one_is_left_out_and_changes_no_bit(backend: Any, dtype: Any) -> None:
    """It is no step of a program; -0.0, infinities and NaN stay what they are. An array that is held is read anew."""

    def scaled(x: Any) -> Any:
        return (x * 1.0 / 1.0) * 1

    x = np.array([[0.0, -0.0], [np.inf, -np.inf], [np.nan, -np.nan], [5e-324, -1e-40], [1 / 3, -2.5]], dtype)
    step = tg.compile(scaled, backend=backend)
    step(x)
    assert step(x).data.tobytes() == scaled(Tensor(x)).data.tobytes()
    assert not step.program.steps
    ones = np.ones((3, 5, 2))
    wider = tg.compile(lambda x: x * ones, backend=backend)
    wider(x)
    assert wider(x).data.tobytes() == (x * ones).tobytes()
    ones *= 2
    assert wider(x).data.tobytes() == (x * ones).tobytes()
