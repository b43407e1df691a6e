"""explain_grad: broken programs, one per cause. The line that is at fault ends in ``# here`` and has to be named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_mlp import Tensor, is_grad_enabled, nn, no_grad, ops
from tinygrad_mlp.autograd import Explanation, Function, explain_grad, grad
from tinygrad_mlp.errors import ArgumentError, DTypeError

Program = Callable[[], Explanation]
RNG = np.random.default_rng(0)


def leaf(*shape: int) -> Tensor:
    return Tensor(RNG.uniform(0.5, 1.5, shape), requires_grad=True)


X, W = leaf(4), leaf(3, 3)
DATA = Tensor(RNG.normal(size=(5, 3)))


def not_asked_for() -> Explanation:
    return explain_grad(Tensor([1.0, 2.0]))


def integer() -> Explanation:
    return explain_grad(Tensor(np.arange(3)))


def frozen() -> Explanation:
    x = leaf(2)
    x.requires_grad = False
    return explain_grad(x)


def result() -> Explanation:
    return explain_grad(X * 2.0)


def no_backward() -> Explanation:
    return explain_grad(leaf(2))


def zero_without_a_run() -> Explanation:
    x = leaf(2)
    (x * 0.0).sum().backward()
    return explain_grad(x)


def nan_without_a_run() -> Explanation:
    x = leaf(2)
    (x * np.nan).sum().backward()
    return explain_grad(x)


def unused() -> Explanation:
    return explain_grad(X, lambda: (W * 2.0).sum())


def unused_because_computed_before() -> Explanation:
    h = X * 2.0
    return explain_grad(h, lambda: (X * 2.0).sum())


def lost() -> Explanation:
    def loss() -> Tensor:
        X.exp()  # here
        return W.sum()

    return explain_grad(X, loss)


def read_by_item() -> Explanation:
    def loss() -> Tensor:
        factor = X.sum().item()  # here
        return W.sum() * factor

    return explain_grad(X, loss)


def read_by_numpy() -> Explanation:
    def loss() -> Tensor:
        h = Tensor(X.detach().numpy() ** 2)  # here
        return W.sum() + h.sum()

    return explain_grad(X, loss)


def copied() -> Explanation:
    def loss() -> Tensor:
        h = Tensor(X, requires_grad=True)  # here
        return (h * h).sum()

    return explain_grad(X, loss)


def detached() -> Explanation:
    def loss() -> Tensor:
        h = (X * 2.0).detach()  # here
        return (h * 3.0).sum() + W.sum()

    return explain_grad(X, loss)


def detached_leaf() -> Explanation:
    def loss() -> Tensor:
        return (X.detach() * W[0, 0]).sum()  # here

    return explain_grad(X, loss)


def inside_no_grad() -> Explanation:
    def loss() -> Tensor:
        with no_grad():
            h = X.exp()  # here
        return (h * W[0, 0]).sum()

    return explain_grad(X, loss)


def made_integers() -> Explanation:
    def loss() -> Tensor:
        h = X.astype("int64")  # here
        return (h * W[0, 0]).sum()

    return explain_grad(X, loss)


def a_question() -> Explanation:
    def loss() -> Tensor:
        right = X > 0.9  # here
        return (right * W[0, 0]).sum()

    return explain_grad(X, loss)


def masked() -> Explanation:
    def loss() -> Tensor:
        return ops.where(X > 100.0, X, 0.0).sum()  # here

    return explain_grad(X, loss)


def clamped() -> Explanation:
    def loss() -> Tensor:
        return X.clamp(50.0, 60.0).sum()  # here

    return explain_grad(X, loss)


def never_chosen() -> Explanation:
    def loss() -> Tensor:
        return ops.maximum(X, W[0, 0] + 100.0).sum()  # here

    return explain_grad(X, loss)


def dead() -> Explanation:
    def loss() -> Tensor:
        h = (X - 100.0).relu()  # here
        return h.sum()

    return explain_grad(X, loss)


def partly_dead() -> Explanation:
    model = nn.Sequential(nn.Linear(3, 6, seed=0), nn.ReLU(), nn.Linear(6, 1, seed=1))
    with no_grad():
        model[0].bias[2:4] = -100.0

    def loss() -> Tensor:
        h = model[0](DATA.float())
        return model[2](h.relu()).square().mean()  # here

    return explain_grad(model[0].weight, loss)


def saturated() -> Explanation:
    def loss() -> Tensor:
        p = (X * 50.0).sigmoid()  # here
        return (p - 0.5).square().mean()

    return explain_grad(X, loss)


def vanishing() -> Explanation:
    model = nn.MLP(3, *[8] * 30, 1, activation="sigmoid", seed=0)
    return explain_grad(next(model.parameters()), lambda: model(DATA.float()).square().mean())


def times_zero() -> Explanation:
    def loss() -> Tensor:
        return (X * 2.0).sum() * 0.0 + W.sum()  # here

    return explain_grad(X, loss)


def cancelling_uses() -> Explanation:
    def loss() -> Tensor:
        return (X - X).sum()  # here

    return explain_grad(X, loss)


def cancelling_softmax() -> Explanation:
    def loss() -> Tensor:
        return X.softmax(axis=-1).sum()  # here

    return explain_grad(X, loss)


def flat() -> Explanation:
    def loss() -> Tensor:
        return X.sign().sum()  # here

    return explain_grad(X, loss)


def not_selected() -> Explanation:
    def loss() -> Tensor:
        both = ops.cat([X, W[0]])  # here
        return both[5:].sum()

    return explain_grad(X, loss)


def bad_data() -> Explanation:
    def loss() -> Tensor:
        return (X * Tensor([1.0, np.nan, 1.0, 1.0])).sum()  # here

    return explain_grad(X, loss)


def bad_weights() -> Explanation:
    x = Tensor([1.0, np.inf], requires_grad=True)

    def loss() -> Tensor:
        return (x * x).sum()  # here

    return explain_grad(x, loss)


def outside_the_domain() -> Explanation:
    def loss() -> Tensor:
        return (X - 100.0).log().sum()  # here

    return explain_grad(X, loss)


def division_by_zero() -> Explanation:
    def loss() -> Tensor:
        return (X / (X - X.detach())).sum()  # here

    return explain_grad(X, loss)


def infinite_slope() -> Explanation:
    def loss() -> Tensor:
        return (X - X.detach()).square().sum().sqrt()  # here

    return explain_grad(X, loss)


def hooked_leaf() -> Explanation:
    x = leaf(3)
    x.register_hook(lambda g: g * 0.0)
    return explain_grad(x, lambda: x.sum())


def hooked_result() -> Explanation:
    def loss() -> Tensor:
        h = X.exp()  # here
        h.register_hook(lambda g: g * 0.0)
        return h.sum()

    return explain_grad(X, loss)


class Stop(Function):
    """Passes no gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x * 2.0

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> None:
        return None


def own_rule() -> Explanation:
    def loss() -> Tensor:
        return Stop.apply(X).sum()  # here

    return explain_grad(X, loss)


def tiny_factor() -> Explanation:
    def loss() -> Tensor:
        return (X * 1e-30).sum()  # here

    return explain_grad(X, loss)


def healthy_after_an_update_off_the_tape() -> Explanation:
    p = leaf(3)
    (p * p).sum().backward()
    assert p.grad is not None
    p = p - 0.1 * p.grad
    (p * p).sum().backward()
    return explain_grad(p, lambda: (p * p).sum())


def healthy() -> Explanation:
    return explain_grad(X, lambda: X.exp().sum())


PROGRAMS: list[tuple[Program, str, str]] = [
    (not_asked_for, "not asked for", "does not require one"),
    (integer, "integer", "holds int64"),
    (frozen, "frozen", "requires_grad was switched off"),
    (result, "result", "the result of mul"),
    (no_backward, "no backward", "no backward() has reached it"),
    (zero_without_a_run, "zero", "all 2 elements of its gradient are 0"),
    (nan_without_a_run, "not finite", "its gradient is nan at [0]"),
    (unused, "unused", "computes the loss without it"),
    (unused_because_computed_before, "unused", "computed before the function ran"),
    (lost, "lost", "exp uses it, but nothing of the result"),
    (read_by_item, "read", "left the tape by item()"),
    (read_by_numpy, "read", "left the tape by numpy()"),
    (copied, "read", "left the tape by Tensor(x)"),
    (detached, "detached", "detach() cuts the way"),
    (detached_leaf, "detached", "detach() cuts the way"),
    (inside_no_grad, "no_grad", "exp ran inside no_grad()"),
    (made_integers, "integer", "astype(int64) cuts the way"),
    (a_question, "step", "gt answers a question"),
    (masked, "masked", "the condition is False for all 4 elements"),
    (clamped, "masked", "clamp holds every element at its bound"),
    (never_chosen, "masked", "maximum never chooses its operand a"),
    (dead, "dead", "all 4 of its inputs are at or below 0"),
    (partly_dead, "partly dead", "2 of 6 units of relu (numbers 2, 3)"),
    (saturated, "saturated", "sigmoid is saturated"),
    (vanishing, "vanishing", "30 steps of sigmoid"),
    (times_zero, "times zero", "mul multiplies its operand a with zeros only"),
    (cancelling_uses, "cancels", "x is used 2 times, by sub and sub"),
    (cancelling_softmax, "cancels", "always add up to the same"),
    (flat, "flat", "sign is a staircase"),
    (not_selected, "not selected", "after cat, only parts that do not depend on x"),
    (bad_data, "not finite before", "which is data, holds nan at [1] already"),
    (bad_weights, "not finite before", "which is x, holds inf at [1] already"),
    (outside_the_domain, "not finite here", "the loss is nan: log is the first to give nan, at [0]"),
    (division_by_zero, "not finite here", "div is the first to give inf, at [0]"),
    (infinite_slope, "infinite slope", "the derivative of sqrt by its operand x is not, for x = 0"),
    (hooked_leaf, "hook", "a hook on x returns it"),
    (hooked_result, "hook", "a hook on the result of exp"),
    (own_rule, "own rule", "the backward of Stop"),
    (tiny_factor, "tiny factor", "mul passes on less than a millionth of it to its operand a"),
    (healthy_after_an_update_off_the_tape, "healthy", "nothing is wrong"),
    (healthy, "healthy", "nothing is wrong"),
]


@pytest.mark.parametrize(("program", "cause", "words"), PROGRAMS, ids=[one[0].__name__ for one in PROGRAMS])
def test_the_cause_is_named_with_its_line(program: Program, cause: str, words: str) -> None:
    """Cause, words, a remedy, and the line at fault where there is one."""
    found = program()
    assert found.cause == cause, str(found)
    assert words in found.words
    assert found.remedy
    source = program.__code__
    marked = [one for one in source.co_consts if hasattr(one, "co_code")]
    if found.line is not None and cause != "vanishing":
        assert marked
        assert found.line.endswith("# here`"), found.line
    assert found.words in str(found)
    assert found.remedy in repr(found)


def test_programs_cover_every_cause() -> None:
    """No cause in the documentation without a program, and the other way round."""
    documented = Explanation.__doc__ or ""
    for _, cause, _ in PROGRAMS:
        assert f'``"{cause}"``' in documented
    assert documented.count('``"') == len({cause for _, cause, _ in PROGRAMS})


@given(st.integers(0, 2**32 - 1))
def test_explaining_changes_nothing_and_finds_the_gradient(seed: int) -> None:
    """On a net of random weights the gradient reported is autograd's, bit for bit; `.grad` and modes stay."""
    rng = np.random.default_rng(seed)
    x = Tensor(rng.normal(size=(3, 4)), requires_grad=True)
    w = Tensor(rng.normal(size=(4, 2)), requires_grad=True)

    def loss() -> Tensor:
        with no_grad():
            scale = x.amax()
        return ((x @ w).tanh() * scale.detach() + x[:, :2]).softmax(axis=-1)[:, 0].log().sum()

    before = x.data.copy()
    found = explain_grad(x, loss)
    assert found.cause == "healthy"
    assert x.grad is None
    assert is_grad_enabled()
    np.testing.assert_array_equal(x.data, before)
    (expected,) = grad(loss(), x)
    assert expected is not None
    assert found.gradient is not None
    np.testing.assert_array_equal(found.gradient.data, expected.data)


def test_a_module_is_named() -> None:
    """The path of the layer stands beside the op."""
    model = nn.Sequential(nn.Linear(3, 4, seed=0), nn.ReLU())
    with no_grad():
        model[0].bias -= 100.0
    found = explain_grad(model[0].weight, lambda: model(DATA.float()).sum())
    assert found.cause == "dead"
    assert "relu (in Sequential.1)" in found.words


def test_misuse_is_named() -> None:
    """A tensor for the function, several numbers, another result, another x; errors of the function come through."""
    with pytest.raises(ArgumentError, match="give it as a function"):
        explain_grad(X, X.sum())  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match=r"got shape \(4,\); say .sum\(\)"):
        explain_grad(X, lambda: X * 2.0)
    with pytest.raises(DTypeError, match="returns the loss as a tensor, got float"):
        explain_grad(X, lambda: 1.0)  # type: ignore[arg-type, return-value]
    with pytest.raises(DTypeError, match="x is a tensor, got ndarray"):
        explain_grad(np.zeros(3))  # type: ignore[arg-type]
    with pytest.raises(ZeroDivisionError):
        explain_grad(X, lambda: X.sum() / (1 // 0))
    assert (X * 2.0).requires_grad
    assert type((X * 2.0).node).__name__ == "Node"
