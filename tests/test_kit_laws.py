"""check_op is itself checked: ops with one planted mistake each, found by the law that is meant to find it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from tinygrad_mlp import Tensor, ops
from tinygrad_mlp.errors import ArgumentError, ConformanceError
from tinygrad_mlp.ops import batched
from tinygrad_mlp.ops.broadcast import sum_to
from tinygrad_mlp.ops.declare import NUMPY, call_general, declare, primitive, publish, undeclare
from tinygrad_mlp.ops.elementwise import elementwise
from tinygrad_mlp.samples import Domain, Elementwise, Layer, Product, Reduction
from tinygrad_mlp.tape import OPS, Array
from tinygrad_mlp.testing.cases import fixed_cases, function_of
from tinygrad_mlp.testing.laws import LAWS, check_op

ONE, TWO = Elementwise(), Elementwise((Domain(), Domain()))


@pytest.fixture(autouse=True)
def own_ops_are_taken_back() -> Iterator[None]:
    """What a test declares is gone after it."""
    before, answers = set(OPS), dict(NUMPY)
    yield
    for name in set(OPS) - before:
        undeclare(name)
    assert set(OPS) == before
    assert answers == NUMPY


# --- right ops pass -------------------------------------------------------------------------------


def bump() -> Any:
    @elementwise(
        vjp=(lambda g, y, x: ops.mul(g, ops.mul(ops.mul(x, -2.0), y)),),
        reference=lambda mp, x: mp.exp(-x * x),
        samples=ONE,
    )
    def bump(x: Array) -> Array:
        """``exp(-x**2)``."""
        return np.exp(-x * x)

    return bump


def without_reference() -> Any:
    @elementwise(vjp=(lambda g, x: ops.mul(g, ops.cos(x)),), samples=ONE)
    def wave(x: Array) -> Array:
        """``sin(x)``, known to nobody else."""
        return np.sin(x)

    return wave


def with_a_kink() -> Any:
    @elementwise(
        vjp=(lambda g, x, edge: ops.where(ops.gt(ops.abs(x), edge), 0.0, g),),
        samples=Elementwise((Domain(avoid=(-1.0, 1.0)),), params=((("edge", 1.0),),)),
        passes_on=True,
    )
    def clipped(x: Array, *, edge: float) -> Array:
        """``x`` between ``-edge`` and ``edge``; not analytic, so it is compared with central differences."""
        return np.clip(x, -edge, edge) if x.dtype.kind == "f" else np.abs(x)

    return clipped


def general() -> Any:
    @primitive(
        vjp=(
            lambda g, b, a_shape: sum_to(ops.matmul(g, ops.transpose(b, -1, -2)), shape=a_shape),
            lambda g, a, b_shape: sum_to(ops.matmul(ops.transpose(a, -1, -2), g), shape=b_shape),
        ),
        samples=Product(),
    )
    def product(a: Array, b: Array) -> Array:
        """``a @ b``."""
        return np.matmul(a, b)

    return product


@pytest.mark.parametrize("make", [bump, without_reference, with_a_kink, general])
def test_ops_that_users_declare_pass(make: Callable[[], Any]) -> None:
    """With and without a reference, analytic or not, elementwise or not."""
    op = make()
    report = check_op(op, examples=40)
    assert report.ok
    verdicts = {one.name: one.verdict for one in report.findings}
    assert list(verdicts) == list(LAWS)
    assert (verdicts["value"] == "passed") is (op.op.reference is not None)
    assert verdicts["first_derivative"] == verdicts["second_derivative"] == verdicts["forward_mode"] == "passed"
    assert verdicts["records_nothing"] == "not applicable"
    assert report["records_nothing"].detail == "it has gradient rules"
    assert check_op(op.op, examples=1, laws=["value"]).findings == check_op(op, examples=1, laws=["value"]).findings


# --- planted mistakes -----------------------------------------------------------------------------


def square(rule: Callable[..., Any], reference: bool = True) -> Any:
    @elementwise(vjp=(rule,), reference=(lambda mp, x: x * x) if reference else None, samples=ONE)
    def op(x: Array) -> Array:
        """``x**2``."""
        return x * x

    return op


def slope_of(x: Any, factor: float = 2.0) -> Any:
    return ops.mul(x, factor)


def forward_only(forward: Callable[[Array], Any], slope: float = 2.0) -> Any:
    @elementwise(vjp=(lambda g: ops.mul(g, slope),), reference=lambda mp, x: slope * x, samples=ONE)
    def op(x: Array) -> Any:
        """``2 x``, in some way."""
        return forward(x)

    return op


def pulled(pull_maker: Callable[..., Any]) -> Any:
    """``a * b``, elementwise, whose gradients pass through a way back of our own."""

    def op(a: Array, b: Array) -> Array:
        """``a * b``."""
        return a * b

    rules = (lambda g, b: ops.mul(g, b), lambda g, a: ops.mul(g, a))
    made = declare(op, rules, reference=lambda mp, a, b: a * b, samples=TWO, elementwise=True, pull_maker=pull_maker)
    return publish(call_general(made), made, op)


def averaging(rules: list[Any]) -> Any:
    def pull(g: Any, kept: Any, inputs: Any) -> tuple[Any, ...]:
        found = []
        for rule, node in zip(rules, inputs, strict=True):
            whole = rule(g, kept, inputs)
            part = sum_to(whole, shape=node.shape) if whole.shape != node.shape else whole
            # A mean where a sum belongs.
            found.append(part * (part.size / whole.size) if whole.size else part)
        return tuple(found)

    return pull


def summed(rules: list[Any], change: Callable[[list[Any], Any], list[Any]]) -> Any:
    def pull(g: Any, kept: Any, inputs: Any) -> tuple[Any, ...]:
        found = [rule(g, kept, inputs) for rule in rules]
        fitted = [
            one if one.shape == n.shape else sum_to(one, shape=n.shape) for one, n in zip(found, inputs, strict=True)
        ]
        return tuple(change(fitted, inputs))

    return pull


def sharing() -> Any:
    @elementwise(vjp=(lambda g: g, lambda g: g), reference=lambda mp, a, b: a + b, samples=TWO)
    def op(a: Array, b: Array) -> Array:
        """``a + b``, whose rules pass g on without saying so."""
        return a + b

    return op


def remembering() -> Any:
    answers: dict[bytes, Array] = {}

    def rule(g: Any) -> Any:
        if isinstance(g, Tensor):
            return ops.mul(g, 2.0)
        return answers.setdefault(g.tobytes() + str((g.shape, g.dtype, g.strides)).encode(), g * 2)

    return forward_only_with(rule)


def forward_only_with(rule: Callable[..., Any]) -> Any:
    @elementwise(vjp=(rule,), reference=lambda mp, x: 2 * x, samples=ONE)
    def op(x: Array) -> Array:
        """``2 x``."""
        return x + x

    return op


def in_place(x: Array) -> Array:
    np.multiply(x, 2, out=x)
    return x


def writing_rule(g: Any) -> Any:
    if isinstance(g, Tensor):
        return ops.mul(g, 2.0)
    g += g
    return g + 0.0


def tracking() -> Any:
    def op(x: Array) -> Array:
        """1 where positive, which wants no gradients and claims to."""
        return (x > 0).astype(x.dtype)

    made = declare(op, (None,), samples=ONE, elementwise=True)

    def call(x: Any) -> Any:
        return Tensor(op(x.data), requires_grad=x.requires_grad) if isinstance(x, Tensor) else op(x)

    return publish(call, made, op)


def ambiguous() -> Any:
    @elementwise(vjp=(lambda g, x: ops.mul(g, 2.0),), samples=Elementwise(params=((("y", 1.0),),)))
    def op(x: Array, *, y: float) -> Array:
        """A parameter has the name that rules have for the result."""
        return x + x

    return op


def batching(rule: Callable[..., Any]) -> Any:
    @primitive(vjp=(lambda g, x_shape: ops.broadcast_to(g, shape=x_shape),), samples=Reduction(), batch=rule)
    def op(x: Array, *, axes: tuple[int, ...], keepdims: bool) -> Array:
        """The sum over ``axes``."""
        return np.sum(x, axis=axes, keepdims=keepdims)

    return op


def product_for_many() -> Any:
    def rule(op: Any, values: Any, flags: Any, params: Any, size: int) -> Any:
        plain = [Tensor(one.data) if isinstance(one, Tensor) else one for one in values[:1]]
        return batched.multiplying(op, (*plain, *values[1:]), flags, params, size)

    @primitive(
        vjp=(
            lambda g, b, a_shape: sum_to(ops.matmul(g, ops.transpose(b, -1, -2)), shape=a_shape),
            lambda g, a, b_shape: sum_to(ops.matmul(ops.transpose(a, -1, -2), g), shape=b_shape),
        ),
        samples=Product(),
        batch=rule,
    )
    def op(a: Array, b: Array) -> Array:
        """``a @ b``; its batch rule loses the first operand's gradient."""
        return np.matmul(a, b)

    return op


def widening() -> Any:
    @primitive(vjp=(lambda g, weight: ops.matmul(g, weight), None), samples=Layer())
    def op(x: Array, weight: Array) -> Array:
        """``x @ weight.T``, no gradient going to ``weight``: nothing brings the two to one dtype."""
        return np.matmul(x, weight.T)

    return op


COUNT = itertools.count()

MISTAKES: dict[str, tuple[Callable[[], Any], set[str]]] = {
    "0.1 % too steep": (lambda: square(lambda g, x: ops.mul(g, slope_of(x, 2.002))), {"first_derivative"}),
    "a millionth too steep": (lambda: square(lambda g, x: ops.mul(g, slope_of(x, 2.000002))), {"first_derivative"}),
    "a millionth too steep, without reference": (
        lambda: square(lambda g, x: ops.mul(g, slope_of(x, 2.000002)), reference=False),
        {"first_derivative", "second_derivative"},
    ),
    "no gradient": (lambda: square(lambda g, x: ops.mul(g, ops.mul(x, 0.0))), {"first_derivative"}),
    "not linear in g": (
        lambda: square(lambda g, x: ops.mul(ops.mul(g, g), slope_of(x))),
        {"first_derivative", "second_derivative", "forward_mode"},
    ),
    "NumPy in a rule": (
        lambda: square(lambda g, x: ops.mul(g, 2.0 * (x.data if isinstance(x, Tensor) else x))),
        {"second_derivative"},
    ),
    "averaged over copies": (lambda: pulled(averaging), {"first_derivative", "broadcasting_is_undone"}),
    "shared gradients": (sharing, {"gradients_share_no_memory"}),
    "remembered gradients": (remembering, {"poisoned_gradient_reaches_nothing"}),
    "operand overwritten": (lambda: forward_only(in_place), {"nothing_given_is_written_to"}),
    "incoming gradient overwritten": (lambda: forward_only_with(writing_rule), {"nothing_given_is_written_to"}),
    "a constant of float64": (lambda: forward_only(lambda x: x * np.array([2.0])[0]), {"dtype_and_shape_stay"}),
    "a wider operand without a rule": (widening, {"each_gradient_has_its_own_dtype"}),
    "wrong value": (lambda: forward_only(lambda x: x * 2 * (1 + 1e-11)), {"value"}),
    "order of memory": (
        lambda: forward_only(lambda x: 2 * x.ravel("K").reshape(x.shape)),
        {"memory_layout_does_not_matter"},
    ),
    "an axis too many": (lambda: forward_only(lambda x: 2 * np.atleast_1d(x)), {"no_axes_and_empty"}),
    "one way for arrays": (
        lambda: forward_only_with(lambda g: ops.mul(g, 2.0 if isinstance(g, Tensor) else 2.0 + 2**-51)),
        {"both_ways_back_agree"},
    ),
    "depends on what is tracked": (
        lambda: pulled(lambda rules: summed(rules, lambda found, nodes: [one * len(found) * 0.5 for one in found])),
        {"any_subset_of_operands_can_be_tracked"},
    ),
    "once for the same operand": (
        lambda: pulled(
            lambda rules: summed(
                rules, lambda found, nodes: [one * (k == 0 or nodes[0] is not nodes[1]) for k, one in enumerate(found)]
            )
        ),
        {"twice_the_same_operand"},
    ),
    "another value each time": (
        lambda: forward_only(lambda x: x * 2 + 1e-16 * next(COUNT)),
        {"tensors_and_arrays_give_the_same_value"},
    ),
    "records without a rule": (tracking, {"records_nothing"}),
    "the axes of one sample": (lambda: batching(batched.as_it_is), {"samples_at_once"}),
    "samples cut off the tape": (lambda: product_for_many(), {"samples_at_once"}),
    "one name for two things": (ambiguous, {"declaration"}),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_planted_mistake_is_found_by_its_law(mistake: str) -> None:
    """The law named beside the mistake is among those that the report lists as broken, with an example."""
    make, expected = MISTAKES[mistake]
    op = make()
    report = check_op(op, laws=sorted(expected), examples=200, raise_on_failure=False)
    assert report.failed == sorted(expected), str(report)
    for found in report.findings:
        assert found.detail
        assert found.example.startswith("op(")
        assert found.example in str(report)


@pytest.mark.parametrize(
    ("mistake", "broken"),
    [
        ("0.1 % too steep", ["first_derivative", "second_derivative"]),
        ("NumPy in a rule", ["second_derivative"]),
        ("wrong value", ["value"]),
        ("remembered gradients", ["poisoned_gradient_reaches_nothing"]),
        ("records without a rule", ["records_nothing"]),
    ],
)
def test_the_other_laws_pass_beside_a_mistake(mistake: str, broken: list[str]) -> None:
    """Each law speaks of one thing: what a mistake leaves alone is not reported."""
    report = check_op(MISTAKES[mistake][0](), examples=40, raise_on_failure=False)
    assert report.failed == broken, str(report)


def test_a_broken_law_is_raised_with_its_example() -> None:
    """Unless a report is asked for."""
    op = MISTAKES["wrong value"][0]()
    with pytest.raises(
        ConformanceError, match=r"op fails 1 of 2 checks:\n(.|\n)*value(.|\n)*np.array\(1.0\)"
    ) as caught:
        check_op(op, laws=["value", "declaration"])
    assert isinstance(caught.value, AssertionError)
    assert isinstance(caught.value.__cause__, AssertionError)


def test_every_law_has_a_mistake_that_it_finds() -> None:
    """A law that has never failed proves nothing."""
    assert set().union(*(laws for _, laws in MISTAKES.values())) == set(LAWS)


@pytest.mark.parametrize(
    ("mistake", "law", "smallest"),
    [
        ("wrong value", "value", "op(np.array(1.0)), seed 0"),
        ("averaged over copies", "broadcasting_is_undone", ""),
        ("order of memory", "memory_layout_does_not_matter", ""),
    ],
)
def test_the_reported_call_is_small(mistake: str, law: str, smallest: str) -> None:
    """What is reported has been made small: few elements, simple numbers."""
    op = MISTAKES[mistake][0]()
    example = check_op(op, laws=[law], examples=200, raise_on_failure=False)[law].example
    assert example == smallest or not smallest
    assert len(example) < 90, example


def test_what_the_maker_of_calls_raises_is_no_finding() -> None:
    """A sample that does not fit its op is the declaration's fault, and is raised as such."""

    @elementwise(vjp=(lambda g: g,), samples=TWO)
    def op(x: Array) -> Array:
        """One operand, two domains."""
        return x

    with pytest.raises(ArgumentError, match="one Domain each"):
        check_op(op, laws=["first_derivative"])


def test_wrong_arguments_are_named() -> None:
    """Unknown laws and ops have a nearest neighbour; functions that are no ops are sent to gradcheck."""
    with pytest.raises(ArgumentError, match="did you mean 'value'"):
        check_op("exp", laws=["valeu"])
    with pytest.raises(ArgumentError, match="did you mean 'relu'"):
        check_op("reluu")
    with pytest.raises(ArgumentError, match="gradcheck"):
        check_op(np.exp)


def test_a_law_of_ones_own_runs_beside_the_others() -> None:
    """Laws are given by name or as Law."""

    def is_even(case: Any) -> None:
        np.testing.assert_array_equal(case.forward(), case.forward([-one for one in case.operands]))

    law = LAWS["value"]._replace(name="is_even", holds=is_even)
    assert check_op("cos", laws=[law], examples=20).ok
    report = check_op("sin", laws=["value", law], examples=20, raise_on_failure=False)
    assert report.failed == ["is_even"]


# --- declaring and taking back --------------------------------------------------------------------


def test_the_same_function_can_be_declared_anew() -> None:
    """As in a notebook cell that is run twice; the newer one counts, the older one still works."""
    old = bump()
    new = bump()
    assert OPS["bump"] is new.op is not old.op
    assert function_of("bump") is new
    assert old(Tensor([1.0], requires_grad=True)).node is not None
    with pytest.raises(ArgumentError, match="declared anew"):
        function_of(old.op)


def test_a_name_in_use_is_refused_with_the_remedy() -> None:
    """Neither an op of the package nor a foreign one is replaced by accident."""
    bump()
    with pytest.raises(ArgumentError, match=r"declared already.*undeclare\('bump'\)"):
        elementwise(vjp=(None,), samples=ONE, name="bump")(lambda x: x)
    with pytest.raises(ArgumentError, match="'exp' is declared already") as caught:
        elementwise(vjp=(None,), samples=ONE, name="exp")(lambda x: x)
    assert "undeclare" not in str(caught.value)
    undeclare("bump")
    assert "bump" not in OPS
    bump()


def test_numpys_functions_answer_for_one_op_only() -> None:
    """An op cannot take np.exp away from exp; an op for np.cbrt, a composition, comes before it until it goes."""
    with pytest.raises(ArgumentError, match="answered by exp already"):
        elementwise(vjp=(None,), samples=ONE, name="mine", ufunc=np.exp)(lambda x: x)
    assert "mine" not in OPS
    root = elementwise(vjp=(None,), samples=ONE, name="my_root", ufunc=np.cbrt)(lambda x: x)
    assert not np.cbrt(Tensor([8.0], requires_grad=True)).requires_grad
    undeclare(root)
    assert np.cbrt(Tensor([8.0], requires_grad=True)).requires_grad


def test_the_packages_ops_stay() -> None:
    """undeclare takes back one's own only, and knows what it is given."""
    with pytest.raises(ArgumentError, match="belongs to the package"):
        undeclare("exp")
    with pytest.raises(ArgumentError, match="did you mean 'relu'"):
        undeclare("reluu")


@pytest.mark.parametrize(
    ("vjp", "message"),
    [
        ((lambda g, z: g, None), r"op 'mine': the rule for operand 'a' reads 'z', which is none of y, a, b, a_shape"),
        ((None, lambda g, saved: g), r"operand 'b' reads 'saved'"),
        ((), r"one rule per operand \(a, b\), so 2; got 0"),
        ((lambda g: g,), r"so 2; got 1"),
        (lambda g: g, r"vjp is a tuple, one rule per operand: vjp=\(lambda g"),
        ([None, None], r"vjp is a tuple, one rule per operand, got list"),
        ((lambda a: a, None), r"operand 'a' has the incoming gradient g as its first parameter, got 'a'"),
        ((lambda: 0.0, None), r"first parameter, got 'none'"),
        ((2.0, None), r"operand 'a' is a function or None, got float"),
        ((np.negative, None), r"whose parameters have no names"),
    ],
)
@pytest.mark.parametrize("decorator", [elementwise, primitive])
def test_rules_that_cannot_be_called_are_refused(decorator: Any, vjp: Any, message: str) -> None:
    """At declaration, by op and rule; nothing is declared then."""

    def mine(a: Array, b: Array, *, edge: float = 1.0) -> Array:
        return a * b * edge

    with pytest.raises(ArgumentError, match=message):
        decorator(vjp=vjp, samples=TWO)(mine)
    assert "mine" not in OPS
    decorator(vjp=(lambda g, b, edge, a_shape: g, None))(mine)


def test_samples_may_be_left_out_until_they_are_needed() -> None:
    """An op of one's own works without; check_op then says which kinds there are."""
    for decorator in (elementwise, primitive):
        bare = decorator(vjp=(lambda g: ops.mul(g, 2.0),))(lambda x: 2 * x)
        assert bare(Tensor([1.0])).tolist() == [2.0]
        with pytest.raises(ArgumentError, match=r"declares no samples.*Elementwise.*Product, .*Reduction"):
            check_op(bare)
        undeclare(bare)


# --- fixed cases, without Hypothesis ---------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(OPS))
def test_every_op_has_fixed_cases(name: str) -> None:
    """Always the same for one seed, with elements to compare; the op answers on all of them."""
    made, again = list(fixed_cases(name, 3)), list(fixed_cases(name, 3))
    assert str(made) == str(again)
    assert len(made) >= 4
    assert sum(case.forward().size for case in made) >= 4


def test_fixed_cases_take_every_variant() -> None:
    """All equations of einsum, all slopes, all kinds of index have their turn."""
    equations = {case.params["equation"] for case in fixed_cases("einsum")}
    assert equations == set(OPS["einsum"].samples.equations)
    slopes = {case.params["slope"] for case in fixed_cases("leaky_relu")}
    assert slopes == {0.01, 0.2}
    assert {type(case.params["index"]) for case in fixed_cases("getitem")} == {tuple, np.ndarray}


def test_a_new_kind_of_sample_is_refused() -> None:
    """An op whose inputs nobody can make cannot slip through untested."""

    class Unknown:
        """A kind of sample nobody has heard of."""

    odd = elementwise(vjp=(lambda g: g,), samples=Unknown(), name="odd")(lambda x: x)
    for ask in (lambda: check_op(odd), lambda: list(fixed_cases(odd))):
        with pytest.raises(ArgumentError, match=r"op odd declares samples=.*no maker"):
            ask()
