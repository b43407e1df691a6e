"""Many samples at once: every op's batching rule, vmap, and gradients per sample, against one sample at a time."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_mlp as tg
from tinygrad_mlp import Tensor, autograd, func, nn, ops, randn
from tinygrad_mlp.errors import ArgumentError, CaptureError, GradientError
from tinygrad_mlp.tape import OPS
from tinygrad_mlp.testing.cases import leaf
from tinygrad_mlp.testing.strategies import cases
from tinygrad_mlp.tree import flatten

# --- what ops declare: the law is samples_at_once ------------------------------------------------


def test_every_op_declares_how_it_answers_for_many() -> None:
    """No op of the package is left to the slow way."""
    assert [name for name, op in OPS.items() if op.batch is None] == []


def test_an_op_without_a_rule_is_called_per_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """An op that declares nothing is right all the same."""
    x = np.random.default_rng(0).normal(size=(4, 3))
    expected = func.vmap(func.grad(lambda x: ops.tanh(x).sum()))(x)
    monkeypatch.setattr(OPS["tanh"], "batch", None)
    monkeypatch.setattr(OPS["sum"], "batch", None)
    monkeypatch.setattr(OPS["mul"], "batch", None)
    np.testing.assert_array_equal(func.vmap(func.grad(lambda x: ops.tanh(x).sum()))(x).data, expected.data)


@pytest.mark.parametrize("name", ["argmax", "argmin", "any", "all"])
@given(data=st.data())
def test_questions_about_several_elements(name: str, data: st.DataObject) -> None:
    """They answer as NumPy does, and record nothing on tracked operands."""
    case = data.draw(cases(OPS[name]))
    y = OPS[name].call(leaf(case.operands[0]), **case.params)
    axis = case.params.get("axis", case.params.get("axes"))
    np.testing.assert_array_equal(
        y.data, getattr(np, name)(case.operands[0], axis=axis, keepdims=case.params["keepdims"])
    )
    assert y.node is None


# --- vmap -----------------------------------------------------------------------------------------

X = np.random.default_rng(1).normal(size=(6, 4))

FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "mask chosen per sample": lambda x: ops.where(x > 0, x, x * 0.1).sum(),
    "relu by a cast mask": lambda x: (x * (x > 0.3).astype("float64")).sum(),
    "largest by its place": lambda x: x[x.argmax()] * 2.0,
    "place kept as a slice": lambda x: ops.stack([x, x * 2.0])[:, x.argmin()],
    "several places": lambda x: x[ops.stack([x.argmax(), x.argmin()])] ** 2,
    "detached": lambda x: (x.detach() * x).sum(),
    "inside no_grad": lambda x: in_no_grad(x) * x,
    "integers": lambda x: (x * 10.0).astype(int) * 2,
    "any": lambda x: ops.where((x > 1.0).any(), x, -x),
    "standard deviation": lambda x: x.std(),
    "softmax": lambda x: ops.softmax(x)[0],
    "tie": lambda x: ops.maximum(x, x.detach()),
    "constant": lambda x: tg.ones(3, dtype="float64"),
    "itself": lambda x: x,
    "clamped": lambda x: x.clamp(-0.5, 0.5).prod(),
    "einsum": lambda x: ops.einsum("i,j,k->", x, x, x),
    "gradient inside": lambda x: autograd.grad((x.requires_grad_() ** 3).sum(), x)[0],
    "gradient of a detached copy": lambda x: gradient_of_copy(x),
    "integer floor": lambda x: x.astype("int64").astype("float64") + x,
}


def in_no_grad(x: Any) -> Any:
    with tg.no_grad():
        return ops.tanh(x)


def gradient_of_copy(x: Any) -> Any:
    copy = x.detach().requires_grad_()
    return autograd.grad(ops.sin(copy).sum(), copy)[0] * x


@pytest.mark.parametrize("name", FUNCTIONS)
def test_vmap_equals_a_loop(name: str) -> None:
    """Whatever the function does with its sample, all of them at once give what one at a time gives."""
    function = FUNCTIONS[name]
    found = func.vmap(function)(X)
    looped = func.vmap(function, chunk_size=1)(X)
    assert found.dtype == looped.dtype
    np.testing.assert_allclose(found.data, looped.data, rtol=1e-13, atol=1e-15)
    np.testing.assert_array_equal(func.vmap(function, chunk_size=4)(X).data, found.data)


@pytest.mark.parametrize(
    "name", [name for name in FUNCTIONS if name not in {"integers", "constant", "gradient inside"}]
)
def test_gradients_through_vmap_equal_those_of_a_loop(name: str) -> None:
    """The replay is on the tape: gradients and second derivatives through it are the loop's."""
    function = FUNCTIONS[name]

    def total(x: Any, chunk_size: int | None) -> Any:
        y = func.vmap(function, chunk_size=chunk_size)(x)
        return (y * y * y).sum()

    for derive in (func.grad, func.hessian):
        once = derive(lambda x: total(x, None))(X)
        looped = derive(lambda x: total(x, 1))(X)
        np.testing.assert_allclose(once.data, looped.data, rtol=1e-11, atol=1e-12, err_msg=derive.__name__)


def test_axes_of_samples() -> None:
    """in_axes and out_axes name the axis of the samples, shared arguments have none, nesting is followed."""
    a, b = np.random.default_rng(2).normal(size=(2, 3, 5)), np.random.default_rng(3).normal(size=(3, 4))
    np.testing.assert_allclose(func.vmap(ops.matmul, (2, None))(a, b).data, np.einsum("ijs,jk->sik", a, b))
    np.testing.assert_allclose(func.vmap(ops.matmul, (-1, None), -1)(a, b).data, np.einsum("ijs,jk->iks", a, b))
    tree = {"a": a, "rest": [b, 2.0]}
    found = func.vmap(
        lambda t: {"y": t["a"].sum() * t["rest"][1], "z": t["rest"][0][0]},
        in_axes=({"a": 1, "rest": [0, None]},),
        out_axes={"y": 0, "z": 0},
    )(tree)
    np.testing.assert_allclose(found["y"].data, 2 * a.sum((0, 2)))
    np.testing.assert_allclose(found["z"].data, b[:, 0])


def test_nested_vmap() -> None:
    """vmap of vmap is a table over both."""
    table = func.vmap(func.vmap(lambda a, b: ops.tanh(a @ b), (None, 0)), (0, None))(X, X[:3])
    np.testing.assert_allclose(table.data, np.tanh(X @ X[:3].T), rtol=1e-13)
    weighted = lambda w: func.vmap(lambda a: func.vmap(lambda b: ops.tanh((a * b * w).sum()))(X).sum())(X).sum()
    expected = np.einsum("ij,ik,jk->k", 1 - np.tanh(X @ X.T) ** 2, X, X)
    np.testing.assert_allclose(func.grad(weighted)(np.ones(4)).data, expected, rtol=1e-11)


def test_detaching_holds_in_nested_runs() -> None:
    """What is detached inside an inner vmap stays so under a gradient under an outer one."""
    weights = np.random.default_rng(5).normal(size=(3, 4))

    def of_sample(x: Any) -> Any:
        rows = func.vmap(lambda row: (row.detach() * row + in_no_grad(row) * row).sum())
        return func.grad(lambda z: rows(z * weights).sum())(x)

    expected = [((weights * x + np.tanh(weights * x)) * weights).sum(0) for x in X]
    np.testing.assert_allclose(func.vmap(of_sample)(X).data, np.stack(expected), rtol=1e-12)


def sum_of_squares(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x: (function(x) ** 2).sum()


def test_derivatives_inside_and_outside_vmap() -> None:
    """Every transform inside vmap, and vmap inside every transform, equal the loop."""
    f = lambda x: ops.stack([ops.sin(x[0]) * x[1], ops.exp(x[2] * x[3])])
    scalar = lambda x: f(x).sum()
    inside: dict[str, Callable[..., Any]] = {
        "jacrev": func.jacrev(f),
        "jacfwd": func.jacfwd(f),
        "hessian": func.hessian(scalar),
        "hvp": lambda x: func.hvp(scalar, (x,), (x * x,))[1],
        "vjp": lambda x: func.vjp(f, x)[1](f(x))[0],
        "jvp": lambda x: func.jvp(f, (x,), (ops.cos(x),))[1],
    }
    for name, function in inside.items():
        found, looped = func.vmap(function)(X), func.vmap(function, chunk_size=1)(X)
        np.testing.assert_allclose(found.data, looped.data, rtol=1e-12, atol=1e-14, err_msg=name)
        once, one_by_one = [func.grad(sum_of_squares(func.vmap(function, chunk_size=size)))(X) for size in (None, 1)]
        np.testing.assert_allclose(once.data, one_by_one.data, rtol=1e-10, atol=1e-12, err_msg=name)


REFUSED: dict[str, Callable[[Any], Any]] = {
    "bool": lambda x: x.sum() if x.sum() > 0 else -x.sum(),
    "item": lambda x: x * x[0].item(),
    "float": lambda x: x * float(x[0]),
    "int": lambda x: x * int(x[0]),
    "tolist": lambda x: x * x.tolist()[0],
    "numpy": lambda x: x * x.detach().numpy(),
    "asarray": lambda x: x * np.asarray(x.detach()),
    "index": lambda x: x * [1, 2, 3][x[:3].argmax()],
    "index to write at": lambda x: written_at(x),
    "in": lambda x: x if 0.5 in x else -x,
    "data": lambda x: x * x.data,
    "random": lambda x: x * np.random.default_rng().normal(),
    "mask of another size": lambda x: x[x > 0.0].sum(),
}


def written_at(x: Any) -> Any:
    y = tg.zeros(4, dtype="float64")
    y[x.argmax()] = 1.0
    return x * y


@pytest.mark.parametrize("name", REFUSED)
def test_what_depends_on_values_is_refused_not_guessed(name: str) -> None:
    """Reading a sample's value, or doing something else for the last sample, raises and says what to do."""
    with pytest.raises(CaptureError, match="chunk_size=1"):
        func.vmap(REFUSED[name])(X)
    if name != "random":
        rows = [REFUSED[name](Tensor(row)).data for row in X]
        np.testing.assert_allclose(func.vmap(REFUSED[name], chunk_size=1)(X).data, np.stack(rows))


def test_the_line_that_reads_is_in_the_traceback() -> None:
    """The error points at the line of the user's function."""
    with pytest.raises(CaptureError) as caught:
        func.vmap(REFUSED["item"])(X)
    assert any("x[0].item()" in str(entry.statement) for entry in caught.traceback)


def test_values_that_samples_share_may_be_read() -> None:
    """Shared arguments are the same for all: reading them specialises to nothing."""
    y = func.vmap(lambda x, w: x * w.item() if w > 0 else x, (0, None))(X, Tensor(2.0))
    np.testing.assert_allclose(y.data, 2 * X)


def test_misuse_of_vmap() -> None:
    """Wrong axes, disagreeing lengths, batched modules, keyword arguments and odd results are named errors."""
    f = lambda *args: ops.sum(args[0])
    for call, message in (
        (lambda: func.vmap(f)(X, X[:2]), "2 and 6 samples"),
        (lambda: func.vmap(f)(np.zeros((0, 2))), "one at least"),
        (lambda: func.vmap(f)(1.0), "no axis 0"),
        (lambda: func.vmap(f, in_axes=None)(X), "no samples"),
        (lambda: func.vmap(f, in_axes=(0, 0))(X), "names 2 arguments"),
        (lambda: func.vmap(f, in_axes=True)(X), "ints or None"),
        (lambda: func.vmap(f, out_axes=1)(X), "out_axes 1"),
        (lambda: func.vmap(f)(X, y=2), "y by name"),
        (lambda: func.vmap(f)(nn.ReLU()), "one for all samples"),
        (lambda: func.vmap(lambda x: "text")(X), "returned str"),
        (lambda: func.vmap(f, chunk_size=0), "chunk_size"),
    ):
        with pytest.raises(ArgumentError, match=message):
            call()
    with pytest.raises(CaptureError, match="backward"):
        func.vmap(lambda x: (x * 2).sum().backward())(X)
    with pytest.raises(ArgumentError, match="run from 0 to 7"):
        func.vmap(ops.cross_entropy)(X, np.array([0, 1, 7, 1, 2, 3]))


def test_vmap_under_no_grad_records_nothing() -> None:
    """Results are off the tape inside no_grad, and on it outside."""
    w = Tensor(2.0, requires_grad=True)
    with tg.no_grad():
        assert func.vmap(lambda x: x * w)(X).node is None
        assert not tg.is_grad_enabled()
    y = func.vmap(lambda x: x * w)(X)
    y.sum().backward()
    assert w.grad.item() == pytest.approx(X.sum(), abs=1e-5)


# --- gradients per sample -------------------------------------------------------------------------

CLASSES = np.array([0, 2, 1, 1, 0])
LOSSES: dict[str, tuple[Callable[[Any, Any], Any], Any]] = {
    "cross_entropy": (ops.cross_entropy, CLASSES),
    "cross_entropy of probabilities": (ops.cross_entropy, np.random.default_rng(4).dirichlet(np.ones(3), 5)),
    "mse_loss": (ops.mse_loss, np.random.default_rng(5).normal(size=(5, 3))),
    "binary_cross_entropy": (ops.binary_cross_entropy_with_logits, np.random.default_rng(6).random((5, 3))),
    "weighted binary_cross_entropy": (
        lambda y, t: ops.binary_cross_entropy_with_logits(y, t, pos_weight=np.array([1.0, 2.0, 3.0])),
        np.random.default_rng(6).random((5, 3)),
    ),
    "own": (lambda y, t: -ops.log_softmax(y)[t], CLASSES),
}


@pytest.mark.parametrize(("activation", "loss"), list(itertools.product(sorted(nn.ACTIVATIONS), LOSSES)))
@pytest.mark.parametrize("rows", [None, 1])
def test_gradients_per_sample_equal_a_loop(activation: str, loss: str, rows: int | None) -> None:
    """Row i is the gradient that backward() leaves for sample i alone; the module is as before."""
    model = nn.MLP(4, 6, 5, 3, seed=0, activation=activation).double()
    function, targets = LOSSES[loss]
    x = np.random.default_rng(7).normal(size=(5, 4) if rows is None else (5, rows, 4))
    targets = targets if rows is None else targets[:, None]
    if loss == "own" and rows:
        return
    nodes = [one.node for one in model.parameters()]
    of_sample = lambda model, x, t: function(model(x), t)
    found = func.per_sample_grad(of_sample)(model, x, targets)
    assert list(found) == [name for name, _ in model.named_parameters()]
    assert [one.node for one in model.parameters()] == nodes
    for i in range(5):
        model.zero_grad()
        of_sample(model, Tensor(x[i]), tg.tensor(targets[i])).backward()
        for name, parameter in model.named_parameters():
            np.testing.assert_allclose(found[name].data[i], parameter.grad.data, rtol=1e-12, atol=1e-15)
            assert found[name].node is None


def test_gradients_per_sample_of_a_wide_layer() -> None:
    """Outer products large enough to be computed another way, differentiated once more."""
    model = nn.Linear(64, 48, seed=0).double()
    x = np.random.default_rng(0).normal(size=(40, 64))
    found = func.per_sample_grad(lambda m, x: (m(x) ** 2).sum())(model, x)["weight"]
    y = x @ model.weight.data.T + model.bias.data
    np.testing.assert_allclose(found.data, np.einsum("no,ni->noi", 2 * y, x), rtol=1e-11, atol=1e-13)
    total = lambda m: (func.per_sample_grad(lambda m, x: (m(x) ** 2).sum())(m, x)["weight"] ** 2).sum()
    by_bias = 8 * np.einsum("no,ni->o", y, x * x)
    np.testing.assert_allclose(func.grad(total)(model)["bias"].data, by_bias, rtol=1e-10)


def test_vmap_of_grad_is_per_sample_grad() -> None:
    """The long form gives the same, with parameters in a dict and auxiliary results per sample."""
    model = nn.MLP(4, 6, 3, seed=0)
    x, t = tg.randn(5, 4, seed=1), tg.tensor([0, 1, 2, 0, 1])
    parameters = {name: one.detach() for name, one in model.named_parameters()}

    def loss(p: Any, x: Any, t: Any) -> Any:
        logits = func.functional_call(model, p, x)
        return ops.cross_entropy(logits, t), (logits.argmax() == t, 7)

    by_dict, (right, seven) = func.vmap(func.grad(loss, has_aux=True), (None, 0, 0))(parameters, x, t)
    by_module = func.per_sample_grad(lambda m, x, t: ops.cross_entropy(m(x), t))(model, x, t)
    for name in parameters:
        np.testing.assert_array_equal(by_dict[name].data, by_module[name].data)
    np.testing.assert_array_equal(right.data, model(x).argmax(1).data == t.data)
    assert seven.tolist() == [7] * 5


def test_dropout_per_sample() -> None:
    """Random masks are refused in one pass, drawn per sample with chunk_size=1, and absent in evaluation."""
    model = nn.Sequential(nn.Linear(4, 8, seed=0), nn.Dropout(0.5, seed=0), nn.Linear(8, 1, seed=1))
    gradients = func.per_sample_grad(lambda m, x: m(x).sum())
    with pytest.raises(CaptureError, match="random"):
        gradients(model, tg.randn(5, 4, seed=0))
    looped = func.per_sample_grad(lambda m, x: m(x).sum(), chunk_size=1)(model, tg.randn(5, 4, seed=0))
    assert len({tuple(row) for row in (looped["2.weight"].data == 0).reshape(5, -1).tolist()}) > 1
    assert gradients(model.eval(), tg.randn(5, 4, seed=0))["0.weight"].shape == (5, 8, 4)


def test_frozen_and_tied_parameters() -> None:
    """Frozen parameters are constants; a tied one comes once, with the whole gradient."""
    model = nn.Sequential(nn.Linear(3, 3, seed=0), nn.Tanh(), nn.Linear(3, 3, seed=1)).double()
    model[2].weight = model[0].weight
    model[2].bias.requires_grad = False
    x = np.random.default_rng(0).normal(size=(4, 3))
    found = func.per_sample_grad(lambda m, x: (m(x) ** 2).sum())(model, x)
    assert list(found) == ["0.weight", "0.bias"]
    for i in range(4):
        model.zero_grad()
        (model(Tensor(x[i])) ** 2).sum().backward()
        np.testing.assert_allclose(found["0.weight"].data[i], model[0].weight.grad.data, rtol=1e-12)


def test_modules_in_every_transform() -> None:
    """A module stands for its parameters, by name, nested among other arguments, to any order."""
    model = nn.MLP(2, 3, 1, seed=0, activation="tanh").double()
    x = np.random.default_rng(0).normal(size=(7, 2))
    loss = lambda arguments, x: (arguments["model"](x) ** 2).sum() * arguments["scale"]
    gradient = func.grad(loss)({"model": model, "scale": np.array(2.0)}, x)
    np.testing.assert_allclose(gradient["scale"].data, (model(x) ** 2).sum().data)
    (2.0 * (model(x) ** 2).sum()).backward()
    for name, one in model.named_parameters():
        np.testing.assert_allclose(gradient["model"][name].data, one.grad.data, rtol=1e-12)
    jacobian = func.jacrev(lambda m: m(x))(model)
    pushed = func.jacfwd(lambda m: m(x))(model)
    for name, one in model.named_parameters():
        assert jacobian[name].shape == (7, 1, *one.shape)
        np.testing.assert_allclose(jacobian[name].data, pushed[name].data, rtol=1e-10, atol=1e-13)
    tangents = {name: np.ones(one.shape) for name, one in model.named_parameters()}
    _, tangent = func.jvp(lambda m: m(x), (model,), (tangents,))
    total = sum(jacobian[name].data.reshape(7, 1, -1).sum(-1) for name in tangents)
    np.testing.assert_allclose(tangent.data, total, rtol=1e-10)
    second = func.hessian(lambda m: (m(x) ** 2).sum())(model)
    np.testing.assert_allclose(
        second["0.weight"]["0.bias"].data, second["0.bias"]["0.weight"].data.transpose(1, 2, 0), rtol=1e-9, atol=1e-12
    )
    with pytest.raises(ArgumentError, match="twice"):
        func.grad(lambda a, b: a(x).sum(), (0, 1))(model, model)


def test_penalties_on_gradients_nest() -> None:
    """The gradient of the sum of squared per-sample gradient norms equals the loop's."""
    model = nn.MLP(3, 4, 2, seed=0, activation="softplus").double()
    x, t = np.random.default_rng(0).normal(size=(5, 3)), np.array([0, 1, 1, 0, 1])
    loss = lambda m, x, t: ops.cross_entropy(m(x), t)

    def penalty(size: int | None) -> Callable[[Any], Any]:
        rows = func.per_sample_grad(loss, chunk_size=size)
        return lambda m: sum((one * one).sum() for one in rows(m, x, t).values())

    once, looped = [func.grad(penalty(size))(model) for size in (None, 1)]
    for name in once:
        np.testing.assert_allclose(once[name].data, looped[name].data, rtol=1e-11, atol=1e-13)


# --- Jacobians ------------------------------------------------------------------------------------


def test_third_derivatives_in_every_order_of_modes() -> None:
    """Eight nestings of forward and reverse give one tensor of third derivatives."""
    f = lambda x: ops.sum(ops.tanh(x) * ops.exp(x[0] * x)) * x[2]
    x = X[0]
    found = [a(b(c(f)))(x).data for a, b, c in itertools.product((func.jacrev, func.jacfwd), repeat=3)]
    for one in found[1:]:
        np.testing.assert_allclose(one, found[0], rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(found[0], found[0].transpose(2, 0, 1), rtol=1e-9, atol=1e-11)


def test_jacobians_do_not_depend_on_the_chunk() -> None:
    """Chunks of rows, one row, all rows: the same matrix, for several outputs and arguments, empty ones too."""
    f = lambda a, b: {"y": ops.tanh(a * b[0]), "z": [ops.outer(a, b), a.sum()], "none": a[:0]}
    for derive in (func.jacrev, func.jacfwd):
        whole = derive(f, (0, 1))(X[0], X[1])
        for size in (1, 3):
            parts = derive(f, (0, 1), chunk_size=size)(X[0], X[1])
            for one, other in zip(*(flatten(tree)[0] for tree in (whole, parts)), strict=True):
                np.testing.assert_allclose(one.data, other.data, rtol=1e-13, atol=1e-15)
        assert whole["none"][0].shape == (0, 4)
        assert whole["z"][0][1].shape == (4, 4, 4)
    assert func.jacrev(lambda x: x.sum(), has_aux=False)(np.zeros((0, 2))).shape == (0, 2)


def test_auxiliary_results_everywhere() -> None:
    """has_aux passes a second result through every transform."""
    f = lambda x: (ops.sum(x**3), "aux")
    x = X[0]
    assert func.jacrev(f, has_aux=True)(x)[1] == "aux"
    assert func.jacfwd(f, has_aux=True)(x)[1] == "aux"
    matrix, aux = func.hessian(f, has_aux=True)(x)
    np.testing.assert_allclose(matrix.data, np.diag(6 * x))
    assert aux == "aux"
    assert func.vjp(f, x, has_aux=True)[2] == "aux"
    assert func.jvp(f, (x,), (x,), has_aux=True)[2] == "aux"
    assert func.linearize(f, x, has_aux=True)[2] == "aux"


def test_branches_on_values_are_fine_in_jacobians() -> None:
    """A Jacobian is taken at one point: the function may look at its values."""
    f = lambda x: x * 2.0 if x.sum() > 0 else x * float(x[0])
    for sign in (1.0, -1.0):
        x = np.abs(X[0]) * sign
        np.testing.assert_allclose(func.jacrev(f)(x).data, func.jacfwd(f)(x).data, rtol=1e-13)


def test_hooks_and_rules_in_python_are_walked_row_by_row() -> None:
    """A walk that runs the user's own code is not replayed for all rows: the code may do anything with a gradient."""

    class Cube(autograd.Function):
        """Its backward leaves the tape, as old code does."""

        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            """x cubed."""
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        @autograd.once_differentiable
        def backward(ctx: Any, g: Tensor) -> Tensor:
            """Plain NumPy."""
            (x,) = ctx.saved_tensors
            return Tensor(3 * x.data**2 * g.data)

    def hooked(x: Any) -> Any:
        y = x * 2.0
        y.register_hook(lambda g: Tensor(np.round(g.data * 10)))
        return y * x

    x = X[0]
    np.testing.assert_allclose(func.jacrev(Cube.apply)(x).data, np.diag(3 * x**2))
    np.testing.assert_allclose(func.jacrev(hooked)(x).data, np.diag(2 * x + 2 * np.round(x * 10)))
    with pytest.raises(CaptureError, match="Cube runs Python code"):
        func.vmap(Cube.apply)(X)
    np.testing.assert_allclose(func.vmap(Cube.apply, chunk_size=1)(X).data, X**3)
    checkpointed = lambda x: (autograd.checkpoint(ops.tanh, x) * x).sum()
    np.testing.assert_allclose(func.vmap(func.grad(checkpointed))(X).data, np.tanh(X) + X / np.cosh(X) ** 2, rtol=1e-12)


def test_anomaly_detection_leaves_vmap_alone() -> None:
    """Inside detect_anomaly, and inside record_values, many samples at once give the same."""
    expected = func.vmap(func.grad(lambda x: ops.tanh(x).sum()))(X)
    for mode in (autograd.detect_anomaly, tg.record_values):
        with mode():
            found = func.vmap(func.grad(lambda x: ops.tanh(x).sum()))(X)
        np.testing.assert_array_equal(found.data, expected.data)

    def inside(x: Any) -> Any:
        with tg.record_values():
            return ops.tanh(x).sum()

    np.testing.assert_array_equal(func.vmap(func.grad(inside))(X).data, expected.data)


def test_bad_arguments_of_transforms() -> None:
    """argnums that are no ints, twice the same or out of range, integers in and out: errors that name them."""
    f = lambda x: ops.sum(x)
    for argnums, message in (
        ("0", "an int or several"),
        (True, "an int or several"),
        ((0, -1), "twice"),
        (3, "argnums 3"),
    ):
        for derive in (func.grad, func.jacrev, func.jacfwd, func.hessian, func.per_sample_grad):
            with pytest.raises(ArgumentError, match=message):
                derive(f, argnums)(X[0])
    for derive in (func.jacrev, func.jacfwd, func.hessian):
        with pytest.raises(GradientError, match="holds int64"):
            derive(f)(np.arange(3))
        with pytest.raises(GradientError, match="returned int64"):
            derive(lambda x: x.astype(int))(X[0])
        with pytest.raises(GradientError, match="returned str"):
            derive(lambda x: "text")(X[0])
    with pytest.raises(ArgumentError, match="both are tuples"):
        func.jvp(f, X[0], X[0])


# --- other people's code --------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch's own making
def test_against_torch() -> None:
    """vmap(grad), jacrev, jacfwd and hessian equal torch.func's."""
    torch = pytest.importorskip("torch")
    tf = torch.func
    model = nn.MLP(4, 6, 3, seed=0, activation="gelu").double()
    parameters = {name: torch.tensor(one.data) for name, one in model.named_parameters()}
    x, t = np.random.default_rng(0).normal(size=(5, 4)), np.array([0, 2, 1, 1, 0])

    def forward(p: Any, x: Any) -> Any:
        hidden = torch.nn.functional.gelu(torch.nn.functional.linear(x, p["0.weight"], p["0.bias"]))
        return torch.nn.functional.linear(hidden, p["2.weight"], p["2.bias"])

    theirs = tf.vmap(tf.grad(lambda p, x, t: torch.nn.functional.cross_entropy(forward(p, x), t)), (None, 0, 0))(
        parameters, torch.tensor(x), torch.tensor(t)
    )
    ours = func.per_sample_grad(lambda m, x, t: ops.cross_entropy(m(x), t))(model, x, t)
    for name in parameters:
        np.testing.assert_allclose(ours[name].data, theirs[name].numpy(), rtol=1e-10, atol=1e-14)
    for mine, other in ((func.jacrev, tf.jacrev), (func.jacfwd, tf.jacrev), (func.hessian, tf.hessian)):
        expected = other(lambda x: forward(parameters, x))(torch.tensor(x[0])).numpy()
        np.testing.assert_allclose(mine(model)(x[0]).data, expected, rtol=1e-9, atol=1e-13)


def test_against_jax() -> None:
    """vmap with axes, and hessians under it, equal JAX's."""
    jax = pytest.importorskip("jax")
    jnp = jax.numpy
    with jax.enable_x64(True):
        ours = func.vmap(func.hessian(lambda x, w: ops.logsumexp(ops.sin(w @ x))), (1, None), 2)(X.T, X[:3])
        theirs = jax.vmap(jax.hessian(lambda x, w: jax.scipy.special.logsumexp(jnp.sin(w @ x))), (1, None), 2)(
            jnp.asarray(X.T), jnp.asarray(X[:3])
        )
        np.testing.assert_allclose(ours.data, np.asarray(theirs), rtol=1e-10, atol=1e-13)


def test_a_sample_is_not_read_behind_the_back() -> None:
    """x.data inside is noticed, also in a hook and also where first and last sample would agree."""
    x = np.array([[1.0, 2.0], [-1.0, 2.0], [5.0, 6.0]])

    def deciding(x: Tensor) -> Tensor:
        return (x * 2.0).sum() if x.data[0] > 0 else (x * 3.0).sum()

    def hooked(x: Tensor) -> Tensor:
        y = x * x
        y.register_hook(lambda g: g * float(g.data.sum()))
        return (y * y).sum()

    for function in (deciding, func.grad(deciding), func.grad(hooked)):
        with pytest.raises(CaptureError, match=r"x\.data reads a value that differs"):
            func.vmap(function)(x)
        one_by_one = [function(row) for row in x]
        np.testing.assert_array_equal(
            func.vmap(function, chunk_size=1)(x).data, np.stack([one.data for one in one_by_one])
        )


def test_random_numbers_inside_are_refused() -> None:
    """They would be the same for every sample, whatever first and last happen to draw."""
    x = np.ones((50, 2))
    dropout = nn.Dropout(0.5, seed=0)
    for draws in (dropout, lambda x: x * randn(2), lambda x: x * randn(2, rng=np.random.default_rng(0))):
        with pytest.raises(CaptureError, match="random numbers drawn inside"):
            func.vmap(draws)(x)
    func.vmap(dropout.eval())(x)


@pytest.mark.parametrize("draw", [lambda rng: rng.normal(), lambda rng: rng.normal(size=2)])
def test_a_function_once_believed_is_watched_on(draw: Any) -> None:
    """Constants that stay are believed; ones that are new are compared again, and drawn ones found out."""
    rng = np.random.default_rng(0)
    fixed = draw(rng)
    drawing = [False]
    mapped = func.vmap(lambda x: x * (draw(rng) if drawing[0] else fixed))
    x = np.ones((3, 2))
    for _ in range(2):
        np.testing.assert_array_equal(mapped(x).data, x * fixed)
    drawing[0] = True
    with pytest.raises(CaptureError, match="something else for the last sample"):
        mapped(x)
