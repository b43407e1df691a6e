"""The gradient checker is itself checked: with rules that are right, and with rules that are slightly wrong."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import Phase, find, settings

import tinygrad_mlp as tg
from tinygrad_mlp import Tensor, ops
from tinygrad_mlp.errors import ArgumentError, DTypeError, GradientError, ShapeError
from tinygrad_mlp.tape import OPS, Op
from tinygrad_mlp.testing import gradcheck, gradcheck_module
from tinygrad_mlp.testing.cases import Case, differentiable, gradients
from tinygrad_mlp.testing.strategies import cases

every_differentiable_op = pytest.mark.parametrize("name", differentiable())

# Their gradient is 0 everywhere, and 0.1 % of nothing is nothing.
FLAT = {"sign", "floor", "ceil", "trunc", "rint"}


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
        if not (2 <= y.size <= 16 and all(2 <= one.size <= 12 for one in case.operands)):
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


# --- functions of other libraries -----------------------------------------------------------------


def foreign(library: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """A smooth function of two inputs in that library, and the same with part of its gradient cut off."""
    if library == "torch":
        torch = pytest.importorskip("torch")
        return (
            lambda x, y: torch.tanh(x * y).sum(0) + torch.exp(x),
            lambda x, y: torch.tanh(x * y).sum(0) + torch.exp(x.detach()),
        )
    if library == "jax":
        jax = pytest.importorskip("jax")
        return (
            lambda x, y: jax.numpy.tanh(x * y).sum(0) + jax.numpy.exp(x),
            lambda x, y: jax.numpy.tanh(x * y).sum(0) + jax.numpy.exp(jax.lax.stop_gradient(x)),
        )
    anp = pytest.importorskip("autograd.numpy")
    getval = importlib.import_module("autograd.tracer").getval
    return (
        lambda x, y: anp.sum(anp.tanh(x * y), 0) + anp.exp(x),
        lambda x, y: anp.sum(anp.tanh(x * y), 0) + anp.exp(getval(x)),
    )


LIBRARIES = ("torch", "jax", "autograd")
TWO = [np.array([[0.3, -1.2, 0.7], [2.0, 0.4, -0.1]]), np.array([0.5, -1.0, 1.5])]


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("mode", ["reverse", "forward", "both"])
@pytest.mark.parametrize("order", [1, 2])
def test_functions_of_other_libraries_are_checked(library: str, mode: str, order: int) -> None:
    """The library is told from the code of the function; a right gradient passes, a cut-off one is named."""
    right, wrong = foreign(library)
    report = gradcheck(right, TWO, mode=mode, order=order).raise_if_wrong()
    assert report.framework == library
    report = gradcheck(wrong, TWO, mode=mode, order=order)
    assert not report.ok
    assert report.by_input["input 0"] > 1e-3
    assert report.where.startswith("input 0")


@pytest.mark.parametrize("order", [1, 2])
def test_forward_mode_of_ours(order: int) -> None:
    """J·v, and the change of the gradient along v, are compared too; several outputs count together."""
    report = gradcheck(lambda x, y: (ops.tanh(x * y), ops.exp(x).sum()), TWO, mode="both", order=order)
    assert report.verdict == "right"
    assert report.compared == 9
    broken = gradcheck(lambda x, y: (ops.tanh(x * y), ops.exp(x.detach()).sum()), TWO, mode="forward", order=order)
    assert not broken.ok
    assert broken.mode == "forward"


def test_analytic_functions_of_other_libraries_get_the_complex_step() -> None:
    """torch, JAX and HIPS functions run on complex numbers as well: ten digits instead of six."""
    for library in LIBRARIES:
        right, _ = foreign(library)
        assert gradcheck(right, TWO).method == "complex"


def test_torch_modules_are_checked_in_double() -> None:
    """A module in single precision is checked as a copy in double, and stays as it is."""
    torch = pytest.importorskip("torch")
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.LayerNorm(4))
    assert gradcheck(module, [TWO[0]], order=2).ok
    assert module[0].weight.dtype == torch.float32
    with pytest.raises(DTypeError, match=r"float32.*double"):
        gradcheck(lambda x: torch.tanh(x.float()), [TWO[0]])


def test_backward_pass_by_hand() -> None:
    """Plain NumPy with a gradient somebody wrote: with or without an incoming gradient, for one input or several."""

    def forward(x: Any, w: Any) -> Any:
        return np.tanh(x @ w)

    def backward(g: Any, x: Any, w: Any) -> tuple[Any, Any]:
        slope = g * (1.0 - np.tanh(x @ w) ** 2)
        return slope @ w.T, x.T @ slope

    inputs = [TWO[0], np.linspace(-1.0, 1.0, 6).reshape(3, 2)]
    report = gradcheck(forward, inputs, grad=backward).raise_if_wrong()
    assert (report.framework, report.method) == ("numpy", "complex")
    report = gradcheck(forward, inputs, grad=lambda g, x, w: (backward(g, x, w)[0], x.T @ g))
    assert not report.ok
    assert report.by_input["input 0"] < 1e-12 < report.by_input["input 1"]
    assert gradcheck(lambda x: np.sum(x**3), [TWO[1]], grad=lambda x: 3 * x**2).ok
    assert gradcheck(lambda x: (np.sin(x), np.sum(x)), [TWO[1]], grad=lambda g, x: g[0] * np.cos(x) + g[1]).ok


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"grad": lambda g, x: g[:2]}, ShapeError, r"input 0 has shape \(2,\)"),
        ({"grad": lambda g, x: (g, g)}, ArgumentError, "2 gradients for 1 inputs"),
        ({"grad": lambda x: x}, ArgumentError, "returns 3 numbers"),
        ({"framework": "numpy"}, ArgumentError, "needs its backward pass"),
        ({"framework": "tensorflow"}, ArgumentError, "unknown framework"),
        ({"framework": "torch", "grad": lambda g, x: g}, ArgumentError, "belongs to NumPy"),
        ({"grad": lambda g, x: g, "mode": "forward"}, ArgumentError, "no forward mode"),
        ({"grad": lambda g, x: g, "order": 2}, ArgumentError, "order 1 only"),
        ({"mode": "sideways"}, ArgumentError, "unknown mode"),
        ({}, ArgumentError, "returned numpy.ndarray"),
    ],
)
def test_misuse_is_one_named_error(options: dict[str, Any], error: type[Exception], message: str) -> None:
    """What cannot be checked is said before anything is compared."""
    with pytest.raises(error, match=message):
        gradcheck(lambda x: np.asarray(x.data if isinstance(x, Tensor) else x) * 1.0, [TWO[1]], **options)


def test_library_that_cannot_be_told_is_asked_for() -> None:
    """Two libraries in one function: no guess."""
    torch = pytest.importorskip("torch")
    with pytest.raises(ArgumentError, match=r"tinygrad_mlp, torch.*framework="):
        gradcheck(lambda x: ops.tanh(torch.tanh(x)), [TWO[1]])


def test_library_without_such_a_derivative_is_named() -> None:
    """An operation of torch without a forward rule is no wrong gradient but a named error."""
    torch = pytest.importorskip("torch")

    class Once(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2.0

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(ctx: Any, g: Any) -> Any:
            return g * 2.0

    assert gradcheck(Once.apply, [TWO[1]], framework="torch").ok
    with pytest.raises(GradientError, match="no forward mode"):
        gradcheck(Once.apply, [TWO[1]], framework="torch", mode="forward")


@pytest.mark.parametrize("value", [np.array([1, 2]), np.array([1j]), np.array(["a"])])
def test_integers_and_complex_numbers_are_refused(value: Any) -> None:
    """An array of integers has no gradient; plain Python numbers are taken as what they stand for."""
    with pytest.raises(DTypeError):
        gradcheck(lambda x: x * 1.0, [value])
    assert gradcheck(lambda x: x * 1.0, [[1, 2]]).ok


# --- error bars -----------------------------------------------------------------------------------

SMOOTH = {
    "exp": (np.exp, mpmath.exp),
    "sin 20x": (lambda x: np.sin(20 * x), lambda x: mpmath.sin(20 * x)),
    "cubic": (lambda x: x**3, lambda x: x**3),
    "cancelling": (lambda x: x - np.sin(x), lambda x: x - mpmath.sin(x)),
    "narrow": (lambda x: np.arctan(100 * x), lambda x: mpmath.atan(100 * x)),
    "pole": (lambda x: 1 / (x + 3.1), lambda x: 1 / (x + mpmath.mpf(3.1))),
    "large": (lambda x: np.exp(x) + 1e8, mpmath.exp),
    "log cosh": (lambda x: np.log(np.cosh(x)), lambda x: mpmath.log(mpmath.cosh(x))),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_true_error_is_within_the_error_bar(name: str) -> None:
    """Differences are no further off than they say, on functions that are steep, flat, noisy, or cancel."""
    function, exact = SMOOTH[name]
    points = np.random.default_rng(0).uniform(-3.0, 3.0, 25)
    report = gradcheck(function, [points], grad=lambda g, x: np.zeros_like(x) + np.nan, method="central")
    detail = report.details["input 0"]
    with mpmath.workdps(40):
        slopes = np.array([float(mpmath.diff(exact, float(point))) for point in points])
    # Both are weighted with the same incoming gradient, which a function with slope 1 shows.
    weights = gradcheck(lambda x: x, [points], grad=lambda g, x: g).details["input 0"].got
    assert np.all(np.abs(detail.expected - weights * slopes) <= detail.bar)
    assert np.median(detail.bar / np.abs(weights * slopes)) < 1e-3


def test_error_within_the_bar_is_undecided_and_not_wrong() -> None:
    """Where rounding hides a derivative, differences say so instead of accusing."""

    def noisy(x: Any) -> Any:
        return np.sin(x) + 1e9

    def almost(g: Any, x: Any) -> Any:
        return g * np.cos(x) * (1.0 + 1e-3)

    report = gradcheck(noisy, [TWO[1]], grad=almost, method="central", rtol=1e-6)
    assert report.undecided == 3
    assert report.wrong == 0
    assert report.verdict == "UNDECIDED"
    # The complex step, which subtracts nothing, decides it.
    assert not gradcheck(noisy, [TWO[1]], grad=almost).ok


def test_nothing_decided_is_not_ok() -> None:
    """A check that could tell nothing has not been passed: it says so, of how many numbers, and what to do."""

    def noisy(x: Any) -> Any:
        return np.sin(x.real) + 1e10

    def almost(g: Any, x: Any) -> Any:
        return g * np.cos(x) * (1.0 + 1e-3)

    report = gradcheck(noisy, [TWO[1][:1]], grad=almost, rtol=1e-6)
    assert not report.ok
    assert report.verdict == "UNDECIDED"
    for words in ("UNDECIDED", "0 of 1 numbers decided", "float64", "method="):
        assert words in str(report)
    assert "central differences 0" not in str(report)
    with pytest.raises(GradientError, match="UNDECIDED"):
        report.raise_if_wrong()
    # With one more that can be decided the check is passed, and says how far.
    mixed = gradcheck(
        lambda x, y: np.concatenate([noisy(x), y.real]),
        [TWO[1][:1], np.ones(2)],
        grad=lambda g, x, y: (almost(g[:1], x), g[1:]),
        rtol=1e-6,
    )
    assert mixed.ok
    assert mixed.verdict == "undecided"
    assert "2 of 3 numbers decided" in str(mixed)
    assert gradcheck(lambda x: x * 1.0, [np.zeros((0, 2))]).ok


@pytest.mark.parametrize("frequency", [1e5, 1e6, 1e7])
@pytest.mark.parametrize("x", [[0.3, 1.2], [1e-3, 7.0], list(np.random.default_rng(0).normal(size=20))])
def test_a_function_faster_than_the_steps_is_not_accused(frequency: float, x: list[float]) -> None:
    """Steps longer than the periods see a slope that is not there: scales that contradict each other accuse nobody."""

    def fast(x: Any) -> Any:
        return np.sin(frequency * x.real)

    report = gradcheck(fast, [x], grad=lambda g, x: g * frequency * np.cos(frequency * x))
    assert report.wrong == 0, str(report)
    assert not gradcheck(fast, [x], grad=lambda g, x: 2 * g * frequency * np.cos(frequency * x)).ok


def test_tolerance_is_taken_from_the_bar_where_that_is_sharper() -> None:
    """gelu has no complex continuation here; a rule wrong by one part in ten million is found all the same."""
    x = [-1.0, 0.3, 2.0]
    good = gradcheck(ops.gelu, [x])
    assert good.ok
    assert good.method == "central"
    with corrupted(OPS["gelu"], lambda gradient: gradient * (1.0 + 1e-7)):
        report = gradcheck(ops.gelu, [x])
    assert not report.ok
    assert report.rtol < 1e-7


def test_details_have_the_shape_of_the_input() -> None:
    """Every entry has its two numbers, its error, its bar and its verdict."""
    report = gradcheck(lambda x, y: ops.tanh(x * y), TWO)
    detail = report.details["input 0"]
    assert detail.got.shape == detail.expected.shape == detail.error.shape == detail.bar.shape == (2, 3)
    assert set(detail.verdict.ravel()) == {"right"}
    np.testing.assert_allclose(detail.got, detail.expected, rtol=1e-12)


def test_tiny_derivative_that_is_well_defined_is_judged_by_itself() -> None:
    """y(1 - y) is 0 at 40, where the slope of the sigmoid is 4e-18; a sum that cancels to 1e-18 is left in peace."""

    def textbook(g: Any, x: Any) -> Any:
        y = 1.0 / (1.0 + np.exp(-x))
        return g * y * (1.0 - y)

    report = gradcheck(lambda x: 1.0 / (1.0 + np.exp(-x)), [np.array([40.0, 0.5])], grad=textbook)
    assert not report.ok
    assert report.where == "input 0[0]"
    assert gradcheck(ops.sigmoid, [[40.0, -40.0, 0.5]], order=2).ok
    assert gradcheck(lambda x: ops.softmax(x).sum(), [[1.0, 2.0, 0.5]], order=2).ok


# --- kinks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fn", "x", "kinks"),
    [
        (ops.relu, [0.0, 1.0, -1.0], {(0,)}),
        (ops.abs, [0.0, 1.0], {(0,)}),
        (ops.amax, [1.0, 1.0, 0.5], {(0,), (1,)}),
        (lambda x: ops.clamp(x, 0.0, 1.0), [0.0, 0.5, 1.0], {(0,), (2,)}),
        (ops.sqrt, [0.0, 1.0], {(0,)}),
        (lambda x: ops.leaky_relu(x, 0.1), [0.0], {(0,)}),
        (lambda x: ops.relu(x) * ops.relu(x), [0.0, 1.0], set()),
        (lambda x: ops.abs(x) + ops.relu(x), [1e-10, -1e-5, 1e-3], set()),
    ],
)
def test_kinks_are_listed_and_are_no_failures(fn: Callable[..., Any], x: list[float], kinks: set[Any]) -> None:
    """Left and right derivative, what the engine gave, and that it lies between; near a kink is not at it."""
    report = gradcheck(fn, [x])
    assert report.ok
    assert {kink.entry for kink in report.kinks} == kinks
    assert report.verdict == ("kink" if kinks else "right")
    for kink in report.kinks:
        assert kink.inside
        assert kink.input == "input 0"
        assert f"kink at input 0[{kink.entry[0]}]" in str(report)


def test_kink_has_both_slopes() -> None:
    """The numbers are the derivatives from the left and from the right, times the incoming gradient."""
    (kink,) = gradcheck(lambda x: ops.leaky_relu(x, 0.25), [[0.0]]).kinks
    incoming = np.random.default_rng(0).standard_normal(1).item()
    assert kink.left == pytest.approx(0.25 * incoming, rel=1e-6)
    assert kink.right == pytest.approx(incoming, rel=1e-6)
    assert kink.got == 0.25 * incoming


def test_kink_of_two_inputs_at_once() -> None:
    """A tie of two tensors is a kink for both, and half of the gradient lies between."""
    report = gradcheck(ops.maximum, [[1.0, 2.0], [1.0, 0.0]], order=2)
    assert report.ok
    assert {(kink.input, kink.entry) for kink in report.kinks} == {("input 0", (0,)), ("input 1", (0,))}


def test_kink_of_second_order() -> None:
    """x·|x| is smooth once and has a kink in its slope."""
    report = gradcheck(lambda x: x * ops.abs(x), [[0.0, 1.0]], order=2)
    assert report.ok
    assert [(kink.entry, kink.order) for kink in report.kinks] == [((0,), 2)]


@pytest.mark.parametrize("slope", [-0.5, 1.5, np.nan])
def test_value_outside_of_the_kink_is_wrong(slope: float) -> None:
    """Between 0 and 1 all is defensible at the kink of relu; -0.5, 1.5 and NaN are not."""

    def backward(g: Any, x: Any) -> Any:
        return g * np.where(x == 0.0, slope, x > 0.0)

    report = gradcheck(lambda x: np.maximum(x, 0.0), [np.array([0.0, 1.0])], grad=backward)
    assert not report.ok
    assert report.where == "input 0[0]"
    if np.isfinite(slope):
        assert "OUTSIDE" in str(report)


@pytest.mark.parametrize("slope", [0.0, 0.3, 1.0])
def test_every_value_between_is_a_kink(slope: float) -> None:
    """No choice between the two slopes is called wrong."""
    report = gradcheck(
        lambda x: np.maximum(x, 0.0),
        [np.array([0.0, 1.0])],
        grad=lambda g, x: g * np.where(x == 0.0, slope, x > 0.0),
    )
    assert report.verdict == "kink"


def test_jump_is_undecided() -> None:
    """Where the value itself jumps there is no derivative to compare with."""
    report = gradcheck(ops.sign, [[0.0, 1.0]])
    assert report.ok
    assert report.verdict == "undecided"


# --- what is wrong besides numbers ----------------------------------------------------------------


def test_backward_pass_that_writes_into_its_incoming_gradient() -> None:
    """The numbers are right, and the next user of that gradient gets others."""

    def backward(g: Any, x: Any) -> Any:
        return np.multiply(g, np.cos(x), out=g)

    report = gradcheck(np.sin, [TWO[1]], grad=backward)
    assert not report.ok
    assert "incoming gradient" in str(report)


def test_gradients_that_share_memory_are_noted() -> None:
    """One array for two inputs is right until somebody adds into one of them."""
    report = gradcheck(lambda x, y: x + y, [TWO[1], TWO[1]], grad=lambda g, x, y: (g, g))
    assert report.ok
    assert "share memory" in str(report)


def test_gradient_that_changes_from_call_to_call_is_refused() -> None:
    """A backward pass with randomness of its own cannot be compared."""
    rng = np.random.default_rng(0)
    with pytest.raises(ArgumentError, match="gradient is another one"):
        gradcheck(np.sin, [TWO[1]], grad=lambda g, x: g * np.cos(x) + rng.random())
