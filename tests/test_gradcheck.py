"""The gradient checker is itself checked: with rules that are right, and with rules that are slightly wrong."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, find, settings
from strategies import DIFFERENTIABLE, Case, cases, gradients

import tinygrad_mlp as tg
from tinygrad_mlp import Tensor, ops
from tinygrad_mlp.errors import ArgumentError, DTypeError, GradientError
from tinygrad_mlp.tape import OPS, Op
from tinygrad_mlp.testing import gradcheck, gradcheck_module

every_differentiable_op = pytest.mark.parametrize("name", DIFFERENTIABLE)

# Their gradient is 0 everywhere, and 0.1 % of nothing is nothing.
FLAT = {"sign"}


@contextmanager
def corrupted(op: Op, damage: Callable[[Any], Any]) -> Iterator[None]:
    """Let every gradient that the op's rules give be damaged, inside the block."""
    plans = list(op._plans.values())
    before = [plan.pull for plan in plans]

    def spoil(pull: Callable[..., tuple[Any, ...]]) -> Callable[..., tuple[Any, ...]]:
        return lambda g, kept, inputs: tuple(damage(gradient) for gradient in pull(g, kept, inputs))

    for plan, pull in zip(plans, before, strict=True):
        plan.pull = spoil(pull)
    try:
        yield
    finally:
        for plan, pull in zip(plans, before, strict=True):
            plan.pull = pull


@functools.cache
def sample(name: str) -> Case:
    """One call of the op with a few elements and gradients that are not all 0, always the same."""

    def is_telling(case: Case) -> bool:
        y = case.forward()
        if not (2 <= y.size <= 12 and all(2 <= one.size <= 12 for one in case.operands)):
            return False
        found = gradients(case, np.arange(1.0, y.size + 1).reshape(y.shape))
        return name in FLAT or all(np.abs(one).max() > 1e-2 for one in found)

    only_draw = settings(max_examples=2000, derandomize=True, database=None, phases=[Phase.generate])
    return find(cases(OPS[name]), is_telling, settings=only_draw)


def function_of(case: Case) -> tuple[Callable[..., Tensor], list[Any]]:
    """The op as a function of its differentiable operands alone, and those operands."""
    wanted = case.differentiable

    def fn(*tensors: Tensor) -> Any:
        full: list[Any] = list(case.operands)
        for position, tensor in zip(wanted, tensors, strict=True):
            full[position] = tensor
        return case.call(*full)

    return fn, [case.operands[i] for i in wanted]


@every_differentiable_op
@pytest.mark.parametrize("order", [1, 2])
def test_right_rules_pass(name: str, order: int) -> None:
    """The checker finds no fault with any op, in either order."""
    fn, inputs = function_of(sample(name))
    gradcheck(fn, inputs, order=order).raise_if_wrong()


@every_differentiable_op
def test_rule_wrong_by_a_thousandth_is_found(name: str) -> None:
    """0.1 % too much in the gradient of any op is noticed, and what is reported is that 0.1 %."""
    fn, inputs = function_of(sample(name))
    fn(*[Tensor(one, requires_grad=True) for one in inputs])
    if name in FLAT:
        with corrupted(OPS[name], lambda gradient: gradient + 1e-3):
            assert not gradcheck(fn, inputs).ok
        return
    with corrupted(OPS[name], lambda gradient: gradient * 1.001):
        report = gradcheck(fn, inputs)
    assert not report.ok
    assert report.worst == pytest.approx(1e-3, rel=0.02)
    assert gradcheck(fn, inputs).ok


@every_differentiable_op
def test_dropped_gradient_is_found(name: str) -> None:
    """A rule that gives zeros is noticed."""
    if name in FLAT:
        return
    fn, inputs = function_of(sample(name))
    fn(*[Tensor(one, requires_grad=True) for one in inputs])
    with corrupted(OPS[name], lambda gradient: gradient * 0.0):
        assert not gradcheck(fn, inputs).ok


def test_dropped_term_of_the_second_order_is_found() -> None:
    """Where only the derivative of the rule is wrong, order 1 passes and order 2 does not."""

    def fn(x: Tensor) -> Any:
        return ops.tanh(x)

    x = [0.3, -0.8]
    slope = OPS["tanh_slope"]
    assert gradcheck(fn, [x], order=2).ok
    with corrupted(slope, lambda gradient: gradient * 1.001):
        assert gradcheck(fn, [x], order=1).ok
        report = gradcheck(fn, [x], order=2)
    assert not report.ok
    assert report.order == 2


def test_gradient_of_ones_would_not_have_been_enough() -> None:
    """A rule that permutes the incoming gradient is noticed: the incoming gradient is random, not ones."""
    fn, inputs = (lambda x: x * 3.0), [np.arange(1.0, 5.0)]
    fn(Tensor(inputs[0], requires_grad=True))
    with corrupted(OPS["mul"], lambda gradient: gradient[::-1]):
        assert not gradcheck(fn, inputs).ok


def test_wrong_broadcasting_is_found() -> None:
    """A gradient averaged where it should be summed is noticed."""

    def fn(x: Tensor, y: Tensor) -> Any:
        return x * y

    inputs = [np.arange(1.0, 7.0).reshape(2, 3), np.array([2.0, -1.0, 0.5])]
    assert gradcheck(fn, inputs).ok
    fn(*[Tensor(one, requires_grad=True) for one in inputs])

    def average(gradient: Any) -> Any:
        return gradient / 2 if gradient.shape == (3,) else gradient

    with corrupted(OPS["mul"], average):
        report = gradcheck(fn, inputs)
    assert not report.ok
    assert report.where.startswith("input 1")
    assert report.by_input["input 0"] < 1e-12


def test_one_wrong_parameter_among_many_is_named() -> None:
    """The report names the input and the entry with the error, and both numbers."""

    def fn(a: Tensor, b: Tensor) -> Any:
        off_the_record = ops.getitem(a.detach(), (1, 0))
        return ops.matmul(a, b) + off_the_record * 0.25

    report = gradcheck(fn, [np.eye(2) + 0.5, np.ones((2, 2))])
    assert not report.ok
    assert report.where == "input 0[1, 0]"
    assert abs(report.expected - report.got) > 0.01
    assert "input 0[1, 0]" in repr(report)
    assert "WRONG" in repr(report)
    with pytest.raises(GradientError, match=r"input 0\[1, 0\]"):
        report.raise_if_wrong()


# --- methods --------------------------------------------------------------------------------------


def test_complex_step_is_used_where_it_can_be() -> None:
    """Analytic functions are checked to the last digits."""
    report = gradcheck(lambda x: (x.exp() + x.log()).sum(), [[0.5, 2.0]])
    assert report.method == "complex"
    assert report.worst < 1e-14


def test_functions_without_complex_numbers_are_checked_by_differences() -> None:
    """gelu rests on erfc, which takes real numbers only: the checker turns to differences by itself."""
    report = gradcheck(ops.gelu, [[-1.0, 0.3, 2.0]], order=2)
    assert report.ok
    assert report.method == "central"


def test_functions_that_are_not_analytic_are_checked_by_differences() -> None:
    """A function may run on complex numbers without being analytic; a right gradient is not called wrong for it."""

    def fn(x: Tensor) -> Any:
        return x * Tensor(np.sign(np.abs(x.data.real)))

    report = gradcheck(lambda x: fn(x) * x.sign(), [[-1.0, 0.3, 2.0]])
    assert report.ok


def test_differences_find_a_thousandth_too() -> None:
    """Extrapolated differences are good to about nine digits, so 0.1 % cannot hide."""
    x = [[0.4, -0.7, 1.2]]
    good = gradcheck(lambda x: x.tanh() * x.exp(), x, method="central")
    assert good.ok
    assert good.worst < 1e-8
    with corrupted(OPS["tanh"], lambda gradient: gradient * 1.001):
        assert not gradcheck(lambda x: x.tanh() * x.exp(), x, method="central").ok


def test_complex_step_on_demand_refuses_what_it_cannot_do() -> None:
    """method="complex" never falls back in silence."""
    with pytest.raises(GradientError, match="analytic"):
        gradcheck(ops.gelu, [[1.0]], method="complex")


@pytest.mark.parametrize("options", [{"method": "magic"}, {"order": 3}])
def test_unknown_options_are_refused(options: dict[str, Any]) -> None:
    """A misspelt method or an order nobody implemented is an ArgumentError."""
    with pytest.raises(ArgumentError):
        gradcheck(lambda x: x, [1.0], **options)


def test_functions_that_change_their_answer_are_refused() -> None:
    """Randomness inside the function would make every comparison meaningless."""
    rng = np.random.default_rng(0)
    with pytest.raises(ArgumentError, match="another value"):
        gradcheck(lambda x: x * float(rng.random()), [1.0])


def test_inputs_that_are_not_real_numbers_are_refused() -> None:
    """Booleans and complex numbers have no gradient to check."""
    with pytest.raises(DTypeError):
        gradcheck(lambda x: x, [np.array([True])])


def test_inside_no_grad_the_check_refuses() -> None:
    """Where nothing is recorded there is no gradient to check, and saying "right" would be a lie."""
    with tg.no_grad(), pytest.raises(GradientError, match="no_grad"):
        gradcheck(lambda x: x, [1.0])


def test_nan_is_never_right() -> None:
    """A NaN gradient cannot be confirmed by anything: the derivative of (-2)**y by y."""
    report = gradcheck(lambda y: ops.pow(Tensor([-2.0], dtype=np.float64), y), [[2.0]])
    assert np.isnan(report.got)
    assert not report.ok
    assert report.worst == np.inf


def test_value_that_is_not_finite_is_refused() -> None:
    """At a point where the function has no finite value there is nothing to compare."""
    with pytest.raises(ArgumentError, match="not finite"):
        gradcheck(lambda x: (x - 1.0).log(), [[0.5]])


def test_constant_function_has_gradient_zero() -> None:
    """A function that ignores an input, or all of them, is compared with zeros."""
    assert gradcheck(lambda x, y: x * 2.0, [[1.0], [2.0]], order=2).ok
    assert gradcheck(lambda x: Tensor([3.0]), [[1.0]], order=2).ok


def test_empty_input_passes() -> None:
    """Nothing to compare is no error."""
    report = gradcheck(lambda x: x * x, [np.zeros((0, 3))], order=2)
    assert report.ok
    assert report.compared == 0


def test_single_input_needs_no_list() -> None:
    """One tensor or array may be given as it is; float32 is checked in float64."""
    report = gradcheck(lambda x: x.exp(), Tensor([1.0, 2.0]))
    assert report.compared == 2
    assert report.worst < 1e-14
    assert bool(report)


def test_inputs_are_left_alone() -> None:
    """The check neither writes into the given tensors nor leaves gradients on them."""
    x = Tensor([1.0, 2.0], requires_grad=True)
    gradcheck(lambda x: x.exp(), [x], order=2)
    assert x.grad is None
    np.testing.assert_array_equal(x.data, [1.0, 2.0])


def test_large_inputs_are_checked_along_a_direction_and_at_some_entries() -> None:
    """One wrong entry among thousands is found by the random direction, which involves all of them."""
    x = np.linspace(-1.0, 1.0, 3000)
    report = gradcheck(lambda x: x.tanh(), [x], max_entries=10)
    assert report.ok
    assert report.compared == 11

    def spoil(gradient: Any) -> Any:
        gradient = gradient.copy()
        gradient[1234] *= 1.5
        return gradient

    with corrupted(OPS["tanh"], spoil):
        report = gradcheck(lambda x: x.tanh(), [x], max_entries=10)
    assert not report.ok
    assert "random direction" in report.where


def test_same_seed_same_report() -> None:
    """The check is repeatable, and leaves NumPy's global random state alone."""
    before = np.random.get_state()[1].copy()
    first = gradcheck(lambda x: x.exp(), [[1.0, 2.0]], seed=3)
    assert first == gradcheck(lambda x: x.exp(), [[1.0, 2.0]], seed=3)
    assert first.got != gradcheck(lambda x: x.exp(), [[1.0, 2.0]], seed=4).got
    np.testing.assert_array_equal(before, np.random.get_state()[1])


# --- modules --------------------------------------------------------------------------------------


class TwoLayers:
    """The smallest thing with `named_parameters`."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.parameters = {
            "first.weight": Tensor(rng.normal(size=(3, 2)).astype(np.float32), requires_grad=True),
            "first.bias": Tensor(np.zeros(3, np.float32), requires_grad=True),
            "second.weight": Tensor(rng.normal(size=(2, 3)).astype(np.float32), requires_grad=True),
            "frozen": Tensor(np.ones(2, np.float32)),
        }

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Names and tensors."""
        yield from self.parameters.items()

    def __call__(self, x: Tensor) -> Any:
        """Two layers without the last bias."""
        weight, bias, second, frozen = self.parameters.values()
        return ops.linear(ops.tanh(ops.linear(x, weight, bias)), second) * frozen


INPUT = Tensor(np.random.default_rng(1).normal(size=(4, 2)).astype(np.float32))
TARGET = np.array([0, 1, 1, 0])


def loss_of(module: TwoLayers) -> Any:
    return ops.cross_entropy(module(INPUT), TARGET)


@pytest.mark.parametrize("order", [1, 2])
def test_every_parameter_of_a_module_is_checked(order: int) -> None:
    """All parameters that require gradients are compared, entry by entry, in float64 whatever their dtype."""
    module = TwoLayers()
    report = gradcheck_module(module, loss_of, order=order).raise_if_wrong()
    assert report.method == "complex"
    assert report.worst < 1e-10
    assert set(report.by_input) == {"first.weight", "first.bias", "second.weight"}
    assert report.compared == 6 + 3 + 6


def test_module_is_as_before_the_check() -> None:
    """Arrays, gradients and leaves of the parameters are the same objects after the check, also after an error."""
    module = TwoLayers()
    loss_of(module).backward()
    before = [(one.data, one.node, one.grad) for one in module.parameters.values()]
    gradcheck_module(module, loss_of, order=2)

    def failing(module: TwoLayers) -> Any:
        if module.parameters["first.bias"].data.dtype.kind == "c":
            raise RuntimeError("in the middle")
        return loss_of(module)

    with pytest.raises(RuntimeError, match="in the middle"):
        gradcheck_module(module, failing)
    after = [(one.data, one.node, one.grad) for one in module.parameters.values()]
    assert all(a is b for x, y in zip(before, after, strict=True) for a, b in zip(x, y, strict=True))


def test_wrong_layer_of_a_module_is_named() -> None:
    """An error of 0.1 % in one rule shows at the parameters behind it."""
    module = TwoLayers()
    loss_of(module)
    with corrupted(OPS["tanh"], lambda gradient: gradient * 1.001):
        report = gradcheck_module(module, loss_of)
    assert not report.ok
    assert report.where.startswith("first.")
    assert report.by_input["second.weight"] < 1e-10


def test_module_without_parameters_is_refused() -> None:
    """Nothing to check is more likely a mistake than a wish."""
    module = TwoLayers()
    for one in module.parameters.values():
        one.requires_grad = False
    with pytest.raises(ArgumentError, match="no parameter"):
        gradcheck_module(module, loss_of)


def test_differences_do_not_overrule_the_complex_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule wrong by 1e-8 on an analytic op is refused by default: coarse differences cannot vouch for it."""
    softmax = OPS["softmax"]
    (rule,) = softmax.rules
    wrong = (lambda g, y, axis: rule(g, y, axis) * (1.0 + 1e-8),)
    monkeypatch.setattr(softmax, "rules", wrong)
    monkeypatch.setattr(softmax, "_plans", {})
    x = Tensor(np.random.default_rng(0).normal(size=(3, 4)))
    assert not gradcheck(lambda t: t.softmax(), [x]).ok
