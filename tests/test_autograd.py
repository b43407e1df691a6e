"""Hooks, retained gradients, functions with their own rule, checkpoints, modes that find mistakes, copies of graphs."""

from __future__ import annotations

import asyncio
import copy
import pickle
import sys
import threading
import weakref
from collections.abc import Callable
from functools import partial, reduce
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from limits import recursion_limit

from tinygrad_mlp import Tensor, enable_grad, from_numpy, func, is_grad_enabled, nn, no_grad, ops
from tinygrad_mlp.autograd import Function, checkpoint, detect_anomaly, detect_writes, grad, once_differentiable
from tinygrad_mlp.errors import (
    AnomalyError,
    ChangedValueError,
    DTypeError,
    GradientError,
    ReleasedGraphError,
    ShapeError,
)
from tinygrad_mlp.optim import SGD
from tinygrad_mlp.testing import gradcheck


def leaf(*shape: int, seed: int = 0) -> Tensor:
    return Tensor(np.random.default_rng(seed).normal(size=shape), requires_grad=True)


def here() -> str:
    """This file and the caller's line, as messages name it."""
    return f"{__file__}:{sys._getframe(1).f_lineno}"


# --- hooks ----------------------------------------------------------------------------------------


@given(st.integers(1, 8), st.integers(0, 2**32 - 1))
def test_a_hook_sees_the_whole_gradient_once_and_may_replace_it(uses: int, seed: int) -> None:
    """However often a result is used: one call, with the sum; what it returns goes on in its place."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(uses, 3))
    x = Tensor(rng.normal(size=3), requires_grad=True)
    y = x * 2.0
    seen: list[Any] = []

    def hook(g: Tensor) -> Tensor:
        seen.append(g.data.copy())
        return g * 10.0

    y.register_hook(hook)
    total = (y * Tensor(weights[0])).sum()
    for weight in weights[1:]:
        total = total + (y * Tensor(weight)).sum()
    total.backward()
    assert len(seen) == 1
    np.testing.assert_allclose(seen[0], weights.sum(axis=0), rtol=1e-12)
    assert x.grad is not None
    np.testing.assert_array_equal(x.grad.data, seen[0] * 10.0 * 2.0)


def test_hooks_run_in_order_until_removed() -> None:
    """Each sees what the one before it returned; a removed one is gone; removing twice is harmless."""
    x = leaf(3)
    order: list[str] = []
    first = x.register_hook(lambda g: order.append("first") or g + 1.0)  # type: ignore[func-returns-value]
    x.register_hook(lambda g: order.append("second") or g * 2.0)  # type: ignore[func-returns-value]
    x.sum().backward()
    assert order == ["first", "second"]
    assert x.grad is not None
    np.testing.assert_array_equal(x.grad.data, np.full(3, 4.0))
    first.remove()
    first.remove()
    x.grad = None
    x.sum().backward()
    np.testing.assert_array_equal(x.grad.data, np.full(3, 2.0))
    with x.register_hook(lambda g: g * 0.0):
        (gradient,) = grad(x.sum(), x)
    assert gradient is not None
    np.testing.assert_array_equal(gradient.data, np.zeros(3))
    np.testing.assert_array_equal(grad(x.sum(), x)[0].data, np.full(3, 2.0))  # type: ignore[union-attr]


def test_what_a_hook_is_given_is_read_only_and_stays_what_it_was() -> None:
    """Writing into it raises; keeping it is safe, though the leaf's gradient is accumulated in place later."""
    x = leaf(3)
    kept: list[Tensor] = []
    x.register_hook(kept.append)
    (x * 2.0 + x * 3.0).sum().backward()
    before = kept[0].data.copy()
    with pytest.raises(ValueError, match="read-only"):
        kept[0].data[0] = 9.0
    (x * 7.0).sum().backward()
    np.testing.assert_array_equal(kept[0].data, before)
    assert x.grad is not None
    np.testing.assert_array_equal(x.grad.data, np.full(3, 12.0))


def test_hooks_on_a_recorded_pass_are_recorded() -> None:
    """d/dx of (10 · dL/dx) where a hook made the 10: second derivatives go through hooks."""
    x = leaf(4)
    y = x.exp()
    with y.register_hook(lambda g: g * x * 10.0):  # the second pass comes through y again
        (first,) = grad(y.sum(), x, create_graph=True)
    assert first is not None
    np.testing.assert_allclose(first.data, 10.0 * x.data * np.exp(x.data), rtol=1e-14)
    (second,) = grad(first.sum(), x)
    assert second is not None
    np.testing.assert_allclose(second.data, 10.0 * np.exp(x.data) * (1.0 + x.data), rtol=1e-14)


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (lambda g: np.zeros(3), DTypeError, "returns a Tensor or None, got ndarray"),
        (lambda g: g[:2], ShapeError, r"returned shape \(2,\) for a gradient of shape \(3,\)"),
        (lambda g: g.float(), DTypeError, r"float32 for a gradient of float64; say .astype\('float64'\)"),
    ],
)
def test_what_a_hook_returns_is_checked(answer: Callable[[Tensor], Any], error: type[Exception], words: str) -> None:
    """A replacement of another kind, shape or dtype is named; the leaf is left as it was."""
    x = leaf(3)
    (x * 2.0).register_hook(answer)
    y = x * 2.0
    y.register_hook(answer)
    with pytest.raises(error, match=words):
        y.sum().backward()
    assert x.grad is None


def test_hooks_need_a_gradient_to_come() -> None:
    """Plain data has none; a result has no accumulation to hook."""
    for name in ("register_hook", "register_post_accumulate_grad_hook"):
        with pytest.raises(GradientError, match=f"{name}: this tensor requires no gradient"):
            getattr(Tensor([1.0]), name)(print)
    with pytest.raises(GradientError, match="gradients accumulate in leaves"):
        (leaf(2) * 2.0).register_post_accumulate_grad_hook(print)
    with pytest.raises(GradientError, match="retain_grad: this tensor requires no gradient"):
        Tensor([1.0]).retain_grad()


def test_a_hook_after_accumulation_can_be_the_optimizer() -> None:
    """It is called with the leaf once per backward pass, gradient in place: the update needs no loop."""
    x = leaf(3)
    start = x.data.copy()

    def update(parameter: Tensor) -> None:
        assert parameter is x
        with no_grad():
            parameter -= 0.1 * parameter.grad  # type: ignore[operator]
        parameter.grad = None

    handle = x.register_post_accumulate_grad_hook(update)
    for _ in range(3):
        (x * 2.0).sum().backward()
    np.testing.assert_allclose(x.data, start - 3 * 0.2, rtol=1e-14)
    handle.remove()
    (x * 2.0).sum().backward()
    assert x.grad is not None


def test_hooks_make_no_cycles() -> None:
    """A tensor with every kind of hook is freed with its last handle."""
    x = leaf(3)
    x.register_post_accumulate_grad_hook(lambda parameter: None)
    y = x * 2.0
    y.register_hook(lambda g: g)
    y.retain_grad()
    y.sum().backward()
    gone = weakref.ref(x), weakref.ref(y)
    del x, y
    assert [one() for one in gone] == [None, None]


# --- retained gradients ---------------------------------------------------------------------------


def test_a_result_keeps_its_gradient_when_asked() -> None:
    """As a leaf does: passes add up, None forgets; after hooks; without being asked there is None and a warning."""
    x = leaf(3)
    y = x * 2.0
    assert y.retains_grad is False
    y.retain_grad()
    y.retain_grad()
    assert y.retains_grad is True
    assert y.grad is None
    y.register_hook(lambda g: g * 5.0)
    total = (y * y).sum()
    total.backward(retain_graph=True)
    assert y.grad is not None
    np.testing.assert_allclose(y.grad.data, 5.0 * 2.0 * y.data, rtol=1e-15)
    total.backward()
    np.testing.assert_allclose(y.grad.data, 2 * 5.0 * 2.0 * y.data, rtol=1e-15)
    y.grad = None
    assert y.grad is None
    assert not x.retains_grad
    x.retain_grad()
    assert not x.retains_grad
    with pytest.warns(UserWarning, match="say x.retain_grad"):
        assert (x * 1.0).grad is None


def test_grad_of_a_function_leaves_retained_gradients_alone() -> None:
    """autograd.grad accumulates nowhere."""
    x = leaf(3)
    y = x * 2.0
    y.retain_grad()
    grad(y.sum(), x)
    assert y.grad is None


# --- Function -------------------------------------------------------------------------------------


class Scaled(Function):
    """(k x y, x + y): two results, a constant argument, saved arguments."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, k: float) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(x, y)
        ctx.k = k
        return x * y * k, x + y

    @staticmethod
    def backward(ctx: Any, g: Tensor, h: Tensor) -> tuple[Tensor, Tensor, None]:
        x, y = ctx.saved_tensors
        return g * y * ctx.k + h, g * x * ctx.k + h, None


class Exp(Function):
    """e^x with its result saved."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = x.exp()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        return g * y


class Pair(Function):
    """(e^x, e^x · sin x) with a result saved that need not be the one a gradient arrives for."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        y = x.exp()
        ctx.save_for_backward(x, y)
        return y, y * x.sin()

    @staticmethod
    def backward(ctx: Any, g: Tensor, h: Tensor) -> Tensor:
        x, y = ctx.saved_tensors
        return g * y + h * y * (x.sin() + x.cos())


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize(
    "fn",
    [
        lambda x, y: Scaled.apply(x, y, 3.0)[0] * Scaled.apply(y, x, 0.5)[1].sin(),
        lambda x, y: Scaled.apply(x, x, 3.0)[0] * y,
        lambda x, y: Exp.apply(Exp.apply(x * 0.3)) * y,
        lambda x, y: Pair.apply(x)[0] * y,
        lambda x, y: Pair.apply(x)[1] * y,
        lambda x, y: Pair.apply(x)[0] * Pair.apply(y)[1] + Pair.apply(x)[1],
    ],
)
def test_own_rules_differentiate_as_declared_ones(fn: Callable[..., Tensor], order: int) -> None:
    """First and second derivative against an independent one."""
    rng = np.random.default_rng(1)
    report = gradcheck(fn, [rng.normal(size=(2, 3)), rng.normal(size=(2, 3))], order=order)
    assert report.ok, str(report)


def test_own_rules_work_in_forward_mode_and_under_transforms() -> None:
    """jvp, hessian and jacrev go through a Function."""
    x = np.array([0.3, -0.2])
    value, tangent = func.jvp(lambda x: Exp.apply(x) * x, [x], [np.array([1.0, 2.0])])
    np.testing.assert_allclose(tangent.data, np.exp(x) * (1 + x) * [1.0, 2.0], rtol=1e-14)
    np.testing.assert_allclose(value.data, np.exp(x) * x, rtol=1e-14)
    np.testing.assert_allclose(
        func.hessian(lambda x: Exp.apply(x).sum())(x).data, np.diag(np.exp(x)), rtol=1e-14, atol=1e-300
    )


class Cube(Function):
    """x³ with its argument kept as an attribute, as ported code does."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.x = x
        return x**3

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        return g * 3.0 * ctx.x**2


def test_tensors_kept_as_attributes_are_differentiated_too() -> None:
    """The second derivative of x⁴ written as Cube(x) · x is 12 x², and a change of the value is noticed."""
    x = np.array([2.0, -0.5])
    _, second = func.hvp(lambda x: (Cube.apply(x) * x).sum(), [x], [np.ones(2)])
    np.testing.assert_allclose(second.data, 12.0 * x**2, rtol=1e-14)
    v = leaf(2)
    y = Cube.apply(v).sum()
    with no_grad():
        v[0] = 9.0
    with pytest.raises(ChangedValueError):
        y.backward()


def test_a_backward_off_the_tape_is_refused_where_it_would_give_zeros() -> None:
    """Right in reverse mode; in forward mode an error instead of zeros."""

    class Sine(Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            ctx.save_for_backward(x)
            return x.sin()

        @staticmethod
        def backward(ctx: Any, g: Tensor) -> Tensor:
            (x,) = ctx.saved_tensors
            return Tensor(g.data * np.cos(x.data))

    x = leaf(3)
    Sine.apply(x).sum().backward()
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.data, np.cos(x.data), rtol=1e-15)
    words = r"Sine\.backward: the gradient for argument 0 was computed off the tape"
    for derivative in (func.jacfwd(Sine.apply), lambda x: func.jvp(Sine.apply, [x], [x])):
        with pytest.raises(GradientError, match=words):
            derivative(x)


def test_forward_mode_runs_no_hooks() -> None:
    """What is walked there is no gradient: hooks neither see it nor change it."""
    seen: list[Any] = []

    def function(x: Tensor) -> Tensor:
        h = x * x
        h.register_hook(lambda g: seen.append(g) or g * 3.0)  # type: ignore[func-returns-value]
        return h.sum()

    _, tangent = func.jvp(function, [np.array([1.0, 2.0])], [np.array([1.0, 1.0])])
    assert tangent.item() == 6.0
    assert seen == []
    np.testing.assert_array_equal(func.grad(function)(np.array([1.0, 2.0])).data, [6.0, 12.0])


def test_only_wanted_gradients_are_computed() -> None:
    """needs_input_grad says which; a result without gradient is plain; None in place of a gradient means zero."""
    seen = {}

    class Pick(Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
            places = x.argmax(axis=-1)
            ctx.mark_non_differentiable(places)
            ctx.set_materialize_grads(False)
            seen["needs"] = ctx.needs_input_grad
            return x * y, places

        @staticmethod
        def backward(ctx: Any, g: Tensor, none: Any) -> tuple[Any, Any]:
            seen["second"] = none
            return None, None

    x = leaf(2, 3)
    product, places = Pick.apply(x, Tensor(np.ones((2, 3))))
    assert seen["needs"] == (True, False)
    assert product.requires_grad
    assert not places.requires_grad
    product.sum().backward()
    assert seen["second"] is None
    assert x.grad is not None
    np.testing.assert_array_equal(x.grad.data, np.zeros((2, 3)))
    with no_grad():
        assert not Exp.apply(x).requires_grad


def test_once_differentiable_gives_no_wrong_second_derivative() -> None:
    """A backward computed with NumPy: the first derivative is right, the second is an error instead of zero."""

    class NumPyCube(Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        @once_differentiable
        def backward(ctx: Any, g: Tensor) -> Tensor:
            (x,) = ctx.saved_tensors
            return from_numpy(3 * x.data**2 * g.data)

    x = leaf(3)
    (first,) = grad(NumPyCube.apply(x).sum(), x, create_graph=True)
    assert first is not None
    np.testing.assert_allclose(first.data, 3 * x.data**2, rtol=1e-15)
    with pytest.raises(GradientError, match=r"NumPyCube\.backward is marked once_differentiable"):
        first.sum().backward()


def test_mistakes_in_a_function_are_named() -> None:
    """Wrong number, shape and kind of gradients; other results than tensors; writing into an argument; instances."""

    def made(name: str, forward: Any, backward: Any) -> Any:
        return type(name, (Function,), {"forward": staticmethod(forward), "backward": staticmethod(backward)})

    x, y = leaf(3), leaf(3, seed=1)
    double = lambda ctx, x, *rest: x * 2.0
    cases: list[tuple[Any, tuple[Any, ...], type[Exception], str]] = [
        (made("Few", double, lambda ctx, g: g), (x, y), GradientError, "Few.backward returned 1 gradients for 2 arg"),
        (made("Long", double, lambda ctx, g: (g, g)), (x,), GradientError, "Long.backward returned 2 gradients for 1"),
        (made("Bent", double, lambda ctx, g: g.sum()), (x,), ShapeError, r"shape \(\) for argument 0 of shape \(3,\)"),
        (made("Bare", double, lambda ctx, g: g.data), (x,), DTypeError, "Bare.backward returned ndarray for arg"),
    ]
    for function, args, error, words in cases:
        result = function.apply(*args)
        with pytest.raises(error, match=words):
            result.sum().backward()
        assert x.grad is None
    with pytest.raises(DTypeError, match=r"Raw\.forward returns tensors, got ndarray"):
        made("Raw", lambda ctx, x: x.data, None).apply(x)

    def writing(ctx: Any, x: Tensor) -> Tensor:
        x.data[0] = 5.0
        return x

    with pytest.raises(ValueError, match="read-only"):
        made("Writing", writing, None).apply(x)
    with pytest.raises(DTypeError, match="save_for_backward takes tensors, got float"):
        made("Saving", lambda ctx, x: ctx.save_for_backward(1.0), None).apply(x)
    with pytest.raises(GradientError, match=r"say Exp.apply\(x\)"):
        Exp()


def test_a_saved_tensor_that_was_overwritten_is_noticed() -> None:
    """Saved tensors are checked like what declared ops keep; released ones too."""
    x = leaf(3)
    y = Scaled.apply(x, x, 1.0)[0]
    with no_grad():
        x[0] = 7.0
    with pytest.raises(ChangedValueError, match="Scaled needs a value"):
        y.sum().backward()
    z = Exp.apply(x).sum()
    z.backward()
    with pytest.raises(ReleasedGraphError):
        z.backward()


def test_functions_make_no_cycles() -> None:
    """Graphs through a Function go with the last handle, saved results included."""
    x = leaf(3)
    for make in (lambda: Exp.apply(x), lambda: Pair.apply(x)[1], lambda: checkpoint(lambda z: z.exp(), x)):
        y = make()
        array = weakref.ref(y.data)
        del y
        assert array() is None


# --- checkpoints ----------------------------------------------------------------------------------


@given(st.integers(0, 2**32 - 1))
def test_a_checkpoint_changes_no_gradient(seed: int) -> None:
    """Bit for bit, with parameters and an intermediate result captured, several results, and one nested in another."""
    rng = np.random.default_rng(seed)
    x, w = (Tensor(rng.normal(size=3), requires_grad=True) for _ in range(2))

    def run(call: Callable[..., Any]) -> list[Any]:
        x.grad = w.grad = None
        h = x * 2.0
        inner = lambda z: {"a": (z * w).tanh(), "b": h * z}
        outer = lambda z: call(inner, z.exp())["a"] * h
        both = call(inner, h)
        (both["a"] * both["b"] + call(outer, x) * h).sum().backward()
        assert x.grad is not None
        assert w.grad is not None
        return [x.grad.data, w.grad.data]

    plain = run(lambda function, *args: function(*args))
    for mine, theirs in zip(run(checkpoint), plain, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-13)


def test_checkpoints_differentiate_twice() -> None:
    """Second order against an independent derivative."""
    rng = np.random.default_rng(0)
    report = gradcheck(
        lambda x, y: checkpoint(lambda x: (x * y).sin() * x, x) * y, rng.normal(size=(2, 4)).tolist(), order=2
    )
    assert report.ok, str(report)


def test_a_checkpoint_keeps_nothing_between() -> None:
    """The values inside are gone after the forward pass, and the function runs once more in the backward pass."""
    x = leaf(1000)
    inside: list[Any] = []
    calls = []

    def deep(z: Tensor) -> Tensor:
        calls.append(1)
        for _ in range(10):
            z = z.sin()
            inside.append(weakref.ref(z.data))
        return z * 1.0

    y = checkpoint(deep, x).sum()
    assert [one() for one in inside] == [None] * 10
    assert len(calls) == 1
    y.backward()
    assert len(calls) == 2


def test_a_checkpoint_notices_another_second_run() -> None:
    """Randomness and changed parameters would give the gradient of something else."""
    rng = np.random.default_rng(0)
    x = leaf(3)
    noisy = checkpoint(lambda z: z * Tensor(rng.normal(size=3)), x).sum()
    with pytest.raises(GradientError, match="the function gave something else"):
        noisy.backward()
    assert x.grad is None
    changed = checkpoint(lambda z: z * z, x).sum()
    x.data[0] += 1.0
    with pytest.raises(GradientError, match="the function gave something else"):
        changed.backward()
    with pytest.raises(DTypeError, match="returns tensors, got float"):
        checkpoint(lambda z: 1.0, x)
    with no_grad():
        assert not checkpoint(lambda z: z * z, x).requires_grad


def test_float32_stays_through_checkpoints_and_functions() -> None:
    """Also for a captured tensor that only a result without gradient depends on."""
    x = Tensor(np.ones(3, np.float32), requires_grad=True)
    w = Tensor(np.ones(3, np.float32), requires_grad=True)
    used, _unused = checkpoint(lambda z: (z * 2.0, z * w), x)
    used.sum().backward()
    Exp.apply(x).sum().backward()
    assert x.grad is not None
    assert w.grad is not None
    assert x.grad.dtype == w.grad.dtype == np.float32


# --- modes that find mistakes ---------------------------------------------------------------------


def test_the_first_op_that_leaves_the_numbers_is_named_forward() -> None:
    """Op, index, operands there, the line, and the module."""
    x = Tensor([[1.0, 2.0], [-3.0, 4.0]], requires_grad=True)

    class Bad(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.exp().sum() + x.log().sum()

    model = nn.Sequential(nn.Identity(), Bad())
    words = r"forward: log gave nan at \[1, 0\] .*x = -3.*return x.exp.*in module Sequential\.1"
    with pytest.raises(AnomalyError, match=words), detect_anomaly(), np.errstate(all="ignore"):
        model(x)


def test_the_first_op_that_leaves_the_numbers_is_named_backward() -> None:
    """The line of the forward pass that recorded the op, not the line of backward()."""
    x = Tensor([4.0, 0.0], requires_grad=True)
    with detect_anomaly():
        y = x.sqrt()
        line = here()
        with pytest.raises(AnomalyError) as caught:
            (y * 3.0).sum().backward()
    file, _, number = line.rpartition(":")
    assert "backward: the gradient of sqrt by x = 0 is inf at [1]" in str(caught.value)
    assert f"{file}:{int(number) - 1}, in test_the_first" in str(caught.value)
    assert "`y = x.sqrt()`" in str(caught.value)
    assert x.grad is None


TAME = [
    lambda x: x.tanh(),
    lambda x: x.sigmoid() * 2.0 - 0.5,
    lambda x: x.sin() + 0.1,
    lambda x: (x * 0.5).exp().log1p(),
    lambda x: x[::-1] * 1.5,
    lambda x: ops.softplus(x) - 0.5,
]
# Bad at the element where ``spoilt`` is 0 or -1: in the value, or in the slope only.
PLANTS: dict[tuple[str, str], Callable[[Tensor, Tensor], Tensor]] = {
    ("forward", "log"): lambda x, spoilt: (x.sigmoid() * spoilt).log(),
    ("forward", "sqrt"): lambda x, spoilt: (x.sigmoid() + (spoilt - 1.0) * 9.0).sqrt(),
    ("forward", "div"): lambda x, spoilt: x / spoilt,
    ("backward", "sqrt"): lambda x, spoilt: (x.sigmoid() * spoilt).sqrt(),
}


def test_planted_anomalies_are_found_where_they_are() -> None:
    """F21: 1,000 random chains with one bad step at a random place: its op, its index and the phase are named."""
    rng = np.random.default_rng(0)
    plants = list(PLANTS.items())
    for _ in range(1000):
        (phase, op), plant = plants[rng.integers(len(plants))]
        place = int(rng.integers(5))
        spoilt = np.ones(5)
        spoilt[place] = 0.0
        x = Tensor(rng.normal(size=5), requires_grad=True)
        before, after = ([TAME[k] for k in rng.integers(len(TAME), size=rng.integers(n))] for n in (6, 4))
        steps = [*before, partial(plant, spoilt=Tensor(spoilt)), *after, lambda x: x.sum()]
        with pytest.raises(AnomalyError) as caught, detect_anomaly():
            reduce(lambda y, step: step(y), steps, x).backward()
        said = str(caught.value)
        assert said.startswith(f"{phase}: "), said
        assert op in said.split(" at [", maxsplit=1)[0], said
        assert f"at [{place}]" in said, said
        assert x.grad is None


def test_infinities_given_on_purpose_are_no_anomaly() -> None:
    """A mask of -inf goes through; so does everything finite."""
    x = leaf(2, 3)
    mask = np.array([[0.0, -np.inf, 0.0], [0.0, 0.0, 0.0]])
    with detect_anomaly():
        (x + Tensor(mask)).softmax(axis=-1).sum().backward()
        ((x * 2.0).exp() / 3.0).tanh().mean().backward()
    words = r"that reached mul is inf at \[0\]: the backward pass was started with it"
    with pytest.raises(AnomalyError, match=words), detect_anomaly():
        (leaf(2) * 2.0).backward(Tensor([np.inf, 1.0]))


def test_an_anomaly_inside_a_recorded_pass_is_the_ops_own() -> None:
    """With create_graph the rules are recorded, and the op whose rule they are is named, once."""
    x = Tensor([0.0], requires_grad=True)
    with detect_anomaly(), pytest.raises(AnomalyError, match="backward: the gradient of sqrt by x = 0"):
        grad(x.sqrt().sum(), x, create_graph=True)


def test_anomalies_in_own_rules_are_named() -> None:
    """A Function whose backward makes a NaN."""

    class Hole(Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return x * 1.0

        @staticmethod
        def backward(ctx: Any, g: Tensor) -> Tensor:
            return g * np.nan

    with detect_anomaly(), pytest.raises(AnomalyError, match="backward: the gradient of Hole by"):
        Hole.apply(leaf(2)).sum().backward()


MUTATIONS: dict[str, Callable[[Tensor, Any], Any]] = {
    "data": lambda x, array: x.data.__setitem__(0, 9.0),
    "view": lambda x, array: array.__setitem__(0, 9.0),
    "out": lambda x, array: np.add(array, 1.0, out=array),
    "numpy of detached": lambda x, array: x.detach().numpy().__setitem__(0, 9.0),
}


@pytest.mark.parametrize("how", MUTATIONS)
@pytest.mark.parametrize(
    "op", [lambda x, y: x * x * y, lambda x, y: y / x, lambda x, y: x.log() * y, lambda x, y: ops.maximum(x, y)]
)
def test_foreign_writes_are_noticed_in_their_mode(how: str, op: Callable[..., Tensor]) -> None:
    """Whatever route: the op and the line that ran it are named. Without the write nothing is."""
    for write in (False, True):
        shared = np.array([1.0, 2.0, 3.0])
        x = from_numpy(shared).requires_grad_()
        with detect_writes():
            y = op(x, Tensor([0.5, 2.5, 1.5])).sum()
        if write:
            MUTATIONS[how](x, shared[:])
            with pytest.raises(ChangedValueError, match=r"outside the library.*The op ran at .*test_autograd.py"):
                y.backward()
            assert x.grad is None
        else:
            y.backward()


def test_constants_overwritten_by_their_owner_are_noticed() -> None:
    """The user's own array on the other side of an operator."""
    constant = np.array([1.0, 2.0])
    x = leaf(2)
    with detect_writes():
        y = (x * constant).sum()
    constant[:] = 0.0
    with pytest.raises(ChangedValueError, match="outside the library"):
        y.backward()


def test_a_write_through_the_library_names_its_line() -> None:
    """In the normal mode: the op that kept the value, what wrote, and where."""
    x = leaf(3)
    optimizer = SGD([x], lr=0.1)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    optimizer.step()
    line = here()
    file, _, number = line.rpartition(":")
    with pytest.raises(ChangedValueError) as caught:
        y.backward()
    assert f"SGD.step after mul read it, at {file}:{int(number) - 1}" in str(caught.value).replace("()", "")
    assert "`optimizer.step()`" in str(caught.value)


def test_modes_nest_and_end() -> None:
    """Both checks at once; no_grad records nothing, enable_grad in it goes on checking; afterwards all is plain."""
    x = leaf(2)
    with detect_anomaly():
        with detect_writes():
            y = (x * x).sum()
            with no_grad():
                assert not (x * x).requires_grad
                assert not is_grad_enabled()
                with enable_grad(), pytest.raises(AnomalyError), np.errstate(all="ignore"):
                    (x * 0.0).log()
        with no_grad(), detect_anomaly():
            assert not (x * x).requires_grad
    x.data[0] = 5.0
    with pytest.raises(ChangedValueError):
        y.backward()
    with np.errstate(all="ignore"):
        (x * 0.0).log().sum().backward()


def test_modes_belong_to_their_context() -> None:
    """Another thread or task is not checked."""
    x = leaf(2)
    errors: list[Exception] = []

    def elsewhere() -> None:
        try:
            with np.errstate(all="ignore"):
                (x * 0.0).log()
        except AnomalyError as error:
            errors.append(error)

    async def together() -> None:
        async def checked() -> None:
            with detect_anomaly():
                await asyncio.sleep(0)
                await asyncio.sleep(0)

        async def free() -> None:
            await asyncio.sleep(0)
            elsewhere()

        await asyncio.gather(checked(), free())

    with detect_anomaly():
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
    asyncio.run(together())
    assert errors == []


# --- several threads ------------------------------------------------------------------------------


def test_backward_passes_at_once_over_shared_leaves_lose_nothing() -> None:
    """Each of 8 threads adds 300 integer gradients to the same leaves: the sum is exact."""
    shared = [Tensor(np.zeros(5), requires_grad=True) for _ in range(3)]
    start = threading.Barrier(8)

    def work(k: int) -> None:
        start.wait()
        for i in range(300):
            total = shared[0] * float(k) + shared[1] * float(i) + shared[2]
            (total + shared[0]).sum().backward()

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    found = [one.grad.data[0] for one in shared]  # type: ignore[union-attr]
    assert found == [300 * sum(k + 1 for k in range(8)), 8 * sum(range(300)), 8 * 300]


def test_one_graph_walked_by_two_threads() -> None:
    """Retained, both get the gradient; else one does and the other an error that says so. Never a wrong number."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for retain in (True, False) * 20:
            x = leaf(50)
            y = x
            for _ in range(60):
                y = y * 1.01
            (expected,) = grad(y.sum(), x, retain_graph=True)
            root = y.sum()
            results: list[Any] = []

            def walk(root: Tensor = root, x: Tensor = x, retain: bool = retain, results: list[Any] = results) -> None:
                try:
                    results.append(grad(root, x, retain_graph=retain)[0])
                except ReleasedGraphError as error:
                    results.append(error)

            threads = [threading.Thread(target=walk) for _ in range(2)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            good = [one for one in results if isinstance(one, Tensor)]
            assert len(results) == 2
            assert len(good) >= (2 if retain else 1) or not retain
            assert expected is not None
            for one in good:
                np.testing.assert_array_equal(one.data, expected.data)
    finally:
        sys.setswitchinterval(before)


def test_graphs_of_any_depth_are_copied_and_pickled() -> None:
    """F27: tensors are copied without their graph; the graph as data is copied whole, without recursion."""
    x = leaf(1)
    y = x
    for _ in range(20_000):
        y = y * 1.0
    graph = y.graph()
    with recursion_limit(250):
        twins = [copy.deepcopy(graph), pickle.loads(pickle.dumps(graph))]  # noqa: S301 - our own bytes
    for twin in twins:
        assert [node.op for node in twin.nodes] == [node.op for node in graph.nodes]
        assert len(twin.edges) == len(graph.edges) == 20_000
