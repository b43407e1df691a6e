"""Laws of modules: every layer, model and loss passes the same checks; then what Module itself promises."""

from __future__ import annotations

import copy
import importlib.util
import json
import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_mlp import Tensor, enable_grad, nn, no_grad, ops, randn, record_values, set_default_dtype, zeros
from tinygrad_mlp.errors import (
    ArgumentError,
    ChangedValueError,
    DTypeError,
    GradientError,
    ShapeError,
    StateError,
)
from tinygrad_mlp.nn import functional as F  # noqa: N812 - the name everybody gives it
from tinygrad_mlp.nn import init
from tinygrad_mlp.nn.utils.parametrizations import spectral_norm, weight_norm
from tinygrad_mlp.testing import gradcheck, gradcheck_module

DATA = Path(__file__).parent / "data"
STORED = np.load(DATA / "nn.npz")
LAYERS, LOSSES = json.loads(str(STORED["cases"]))


def load_maker() -> Any:
    spec = importlib.util.spec_from_file_location("make_parity", DATA / "make_parity.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MAKER = load_maker()


def pickled_and_back(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))  # noqa: S301 - written in the line itself


class Residual(nn.Module):
    """A module as users write them: a parameter and a buffer of its own, a layer used twice."""

    def __init__(self, dtype: str = "float32") -> None:
        super().__init__()
        self.scale = nn.Parameter(np.array([0.5, -1.5, 2.0], dtype))
        self.register_buffer("shift", Tensor(np.array([1.0, 2.0, 3.0], dtype)))
        self.layer = nn.Linear(3, 3, seed=1, dtype=dtype)

    def forward(self, x: Any) -> Any:
        """The layer twice, scaled and shifted."""
        return x + self.scale * self.layer(ops.tanh(self.layer(x))) - self.shift


class SelfAttention(nn.Module):
    """Attention of a sequence to itself."""

    def __init__(self, dtype: str = "float32") -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True, seed=0, dtype=dtype)

    def forward(self, x: Any) -> Any:
        """The output alone."""
        return self.attention(x, x, x, is_causal=True)[0]


class Branches(nn.Module):
    """Layers and parameters in all containers, one layer in two places."""

    def __init__(self, dtype: str = "float32") -> None:
        super().__init__()
        shared = nn.Linear(3, 3, seed=0, dtype=dtype)
        self.steps = nn.ModuleList([shared, nn.ReLU()])
        self.heads = nn.ModuleDict({"a": nn.Sequential({"first": nn.Tanh(), "last": shared})})
        self.scales = nn.ParameterList([np.ones(3, dtype), np.full(3, 2.0, dtype)])
        self.shifts = nn.ParameterDict({"shift": np.zeros(3, dtype)})

    def forward(self, x: Any) -> Any:
        """Everything once."""
        for step in self.steps:
            x = step(x)
        return self.heads["a"](x * self.scales[0] * self.scales[1]) + self.shifts["shift"]


Make = Callable[[str], nn.Module]


class LastOutput(nn.Module):
    """What a recurrent layer gives for the last time step."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer
        self.last = nn.Identity()

    def forward(self, x: Any) -> Any:
        return self.last(self.layer(x)[0][:, -1])


MODULES: dict[str, tuple[Make, tuple[int, ...]]] = {
    "Linear": (lambda dtype: nn.Linear(3, 2, seed=0, dtype=dtype), (4, 3)),
    "Linear without bias": (lambda dtype: nn.Linear(3, 2, bias=False, seed=0, dtype=dtype), (2, 4, 3)),
    "Sequential": (lambda dtype: nn.Sequential([nn.Linear(3, 2, seed=0, dtype=dtype), nn.Tanh()]), (4, 3)),
    "MLP": (lambda dtype: nn.MLP(3, 5, 4, 2, activation="gelu", dropout=0.5, seed=0, dtype=dtype), (4, 3)),
    "user's own": (lambda dtype: Residual(dtype), (4, 3)),
    "GRUCell": (lambda dtype: nn.GRUCell(3, 2, seed=0, dtype=dtype), (4, 3)),
    "LSTM": (
        lambda dtype: LastOutput(nn.LSTM(3, 2, batch_first=True, bidirectional=True, seed=0, dtype=dtype)),
        (2, 4, 3),
    ),
    "RNN": (lambda dtype: LastOutput(nn.RNN(3, 2, 2, batch_first=True, seed=0, dtype=dtype)), (2, 4, 3)),
    "Dropout": (lambda dtype: nn.Dropout(0.3, seed=0), (4, 3)),
    "BatchNorm1d": (lambda dtype: nn.BatchNorm1d(3, dtype=dtype), (4, 3)),
    "BatchNorm2d without statistics": (
        lambda dtype: nn.BatchNorm2d(2, track_running_stats=False, dtype=dtype),
        (2, 2, 2, 2),
    ),
    "InstanceNorm1d": (
        lambda dtype: nn.InstanceNorm1d(2, affine=True, track_running_stats=True, dtype=dtype),
        (2, 2, 3),
    ),
    "LayerNorm": (lambda dtype: nn.LayerNorm(3, dtype=dtype), (4, 3)),
    "RMSNorm": (lambda dtype: nn.RMSNorm(3, dtype=dtype), (4, 3)),
    "GroupNorm": (lambda dtype: nn.GroupNorm(2, 4, dtype=dtype), (2, 4, 2)),
    "Conv1d": (lambda dtype: nn.Conv1d(2, 4, 3, padding="same", groups=2, seed=0, dtype=dtype), (2, 2, 5)),
    "Conv2d": (
        lambda dtype: nn.Conv2d(2, 3, 2, stride=2, padding=1, padding_mode="reflect", seed=0, dtype=dtype),
        (2, 2, 3, 4),
    ),
    "MaxPool2d": (lambda dtype: nn.MaxPool2d(2, stride=1, padding=1), (1, 2, 3, 2)),
    "AvgPool1d": (lambda dtype: nn.AvgPool1d(3, stride=2, padding=1, count_include_pad=False), (1, 2, 5)),
    "AdaptiveAvgPool2d": (lambda dtype: nn.AdaptiveAvgPool2d((2, None)), (1, 2, 3, 2)),
    "Unflatten": (lambda dtype: nn.Unflatten(1, (2, -1)), (2, 6)),
    "PReLU": (lambda dtype: nn.PReLU(3, dtype=dtype), (4, 3)),
    "RReLU": (lambda dtype: nn.RReLU(seed=0), (4, 3)),
    "AlphaDropout": (lambda dtype: nn.AlphaDropout(0.3, seed=0), (4, 3)),
    "Dropout1d": (lambda dtype: nn.Dropout1d(0.3, seed=0), (4, 3, 2)),
    "attention": (lambda dtype: SelfAttention(dtype), (2, 3, 4)),
    "weight_norm": (lambda dtype: weight_norm(nn.Linear(3, 2, seed=0, dtype=dtype)), (4, 3)),
    "spectral_norm": (lambda dtype: spectral_norm(nn.Linear(3, 2, seed=0, dtype=dtype), seed=1), (4, 3)),
    "in containers": (lambda dtype: Branches(dtype), (4, 3)),
    **{
        name: (lambda dtype, name=name: getattr(nn, name)(), (4, 4))
        for name in ("ELU", "SELU", "Mish", "Softsign", "Hardswish", "GLU", "LogSigmoid", "Softshrink", "Tanhshrink")
    },
    **{
        f"{name} {options}": (lambda dtype, name=name, options=options: getattr(nn, name)(**options), (4, 3))
        for name, options in LAYERS
    },
}


@pytest.fixture(params=list(MODULES))
def case(request: pytest.FixtureRequest) -> tuple[Make, tuple[int, ...]]:
    return MODULES[request.param]


def values(module: nn.Module) -> dict[str, np.ndarray]:
    return {name: one.data.copy() for name, one in module.state_dict().items()}


def same(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    return a.keys() == b.keys() and all(
        a[name].dtype == b[name].dtype and a[name].tobytes() == b[name].tobytes() for name in a
    )


# --- laws of every module --------------------------------------------------------------------------------------------


def test_gradients_agree_with_an_independent_derivative(case: tuple[Make, tuple[int, ...]]) -> None:
    """By the input and by every parameter, first and second order, with random incoming gradients."""
    make, shape = case
    module = make("float64").eval()
    x = randn(*shape, seed=3, dtype="float64")
    assert gradcheck(module, x, order=2).ok
    if list(module.parameters()):
        assert gradcheck_module(module, lambda m: m(x), order=2).ok


@pytest.mark.parametrize("mode", ["training", "evaluation"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_dtypes_never_drift(case: tuple[Make, tuple[int, ...]], dtype: str, mode: str) -> None:
    """Output and all gradients have the dtype of input and parameters."""
    make, shape = case
    module = make(dtype).train(mode == "training")
    x = Tensor(np.random.default_rng(0).normal(size=shape).astype(dtype), requires_grad=True)
    y = module(x)
    y.backward(np.ones(y.shape))
    gradients = [x.grad, *(one.grad for one in module.parameters())]
    assert [y.dtype, *(one.dtype for one in gradients if one is not None)] == [dtype] * (1 + len(gradients))


def test_a_state_goes_into_another_instance(case: tuple[Make, tuple[int, ...]]) -> None:
    """After loading, an instance with other values computes the same bits; the state taken earlier does not change."""
    make, shape = case
    x = randn(*shape, seed=3)
    first, second = make("float32").eval(), make("float32").eval()
    for parameter in second.parameters():
        init.normal_(parameter, seed=9)
    state = first.state_dict()
    before = values(first)
    assert second.load_state_dict(state) == nn.IncompatibleKeys([], [])
    assert second(x).data.tobytes() == first(x).data.tobytes()
    for parameter in (*first.parameters(), *second.parameters()):
        init.zeros_(parameter)
    assert same({name: one.data for name, one in state.items()}, before)
    assert all(one.node is None for one in state.values())


@pytest.mark.parametrize("how", [copy.deepcopy, pickled_and_back])
def test_copies_are_equal_and_independent(case: tuple[Make, tuple[int, ...]], how: Callable[[Any], Any]) -> None:
    """A copy computes the same and shares no memory with the original."""
    make, shape = case
    module = make("float32").eval()
    other = how(module)
    x = randn(*shape, seed=3)
    before = module(x).data.copy()
    assert np.array_equal(other(x).data, before)
    assert [name for name, _ in other.named_parameters()] == [name for name, _ in module.named_parameters()]
    for parameter in other.parameters():
        init.constant_(parameter, 7.0)
    assert np.array_equal(module(x).data, before)
    assert repr(other) == repr(module)


def test_watching_and_summing_up_change_nothing(case: tuple[Make, tuple[int, ...]]) -> None:
    """The output under record_values, and the module after summary(), are what they were; modes are restored."""
    make, shape = case
    module = make("float32")
    module.eval()
    x = randn(*shape, seed=3)
    expected = module(x).data.copy()
    before = values(module)
    with record_values():
        assert np.array_equal(module(x).data, expected)
    for one in module.modules():
        one.train(one is module)
    modes = [one.training for one in module.modules()]
    table = module.summary(shape[1:])
    assert [one.training for one in module.modules()] == modes
    assert same(values(module), before)
    assert table.total == sum(one.size for one in module.parameters()) == sum(row.parameters for row in table.rows)
    assert (None, *expected.shape[1:]) in [row.output_shape for row in table.rows]


# --- against PyTorch -------------------------------------------------------------------------------------------------


def close(ours: list[Any], theirs: list[np.ndarray]) -> None:
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a.data, b, rtol=1e-12, atol=1e-13)


def our_network(layer: str, options: dict[str, Any], seed: int) -> list[Any]:
    arrays = MAKER.network_arrays(seed)
    a, b, c = [nn.Linear(i, o, dtype="float64") for i, o in zip(MAKER.WIDTHS, MAKER.WIDTHS[1:], strict=False)]
    for place, one in enumerate((a, b, c)):
        one.load_state_dict({k: arrays[f"{k}{place}"] for k in ("weight", "bias")})
    between = getattr(nn, layer)
    model = nn.Sequential(a, between(**options), b, between(**options), c)
    x = Tensor(arrays["x"], requires_grad=True)
    logits = model(x)
    loss = nn.CrossEntropyLoss()(logits, arrays["ids"])
    loss.backward()
    return [logits, loss, x.grad, *(one.grad for one in model.parameters())]


def our_loss(name: str, options: dict[str, Any], seed: int) -> list[Any]:
    predictions, targets, incoming = MAKER.loss_arrays(name, seed)
    x = Tensor(predictions, requires_grad=True)
    loss = getattr(nn, name)(**options)(x, targets)
    loss.backward(incoming if loss.ndim else None)
    return [loss, x.grad]


ASKED = [("layer", our_network, place, case) for place, case in enumerate(LAYERS)]
ASKED += [("loss", our_loss, place, case) for place, case in enumerate(LOSSES)]


@pytest.mark.parametrize(("kind", "ask", "place", "question"), ASKED, ids=[f"{c[0]} {c[1]}" for *_, c in ASKED])
def test_networks_and_losses_equal_the_stored_values_of_torch(
    kind: str, ask: Callable[..., list[Any]], place: int, question: tuple[str, dict[str, Any]]
) -> None:
    """Outputs, losses, and the gradients of inputs and parameters."""
    ours = ask(*question, seed=0)
    close(ours, [STORED[f"{kind}{place}_{part}"] for part in range(len(ours))])
    assert f"{kind}{place}_{len(ours)}" not in STORED


@pytest.mark.parametrize(("kind", "ask", "place", "question"), ASKED, ids=[f"{c[0]} {c[1]}" for *_, c in ASKED])
def test_networks_and_losses_equal_torch(
    kind: str, ask: Callable[..., list[Any]], place: int, question: tuple[str, dict[str, Any]]
) -> None:
    """The same with other numbers, against the PyTorch that is installed."""
    pytest.importorskip("torch")
    theirs = MAKER.torch_network if kind == "layer" else MAKER.torch_loss
    for seed in (1, 2):
        close(ask(*question, seed=seed), theirs(*question, seed=seed))


def test_the_stored_questions_are_those_of_the_script() -> None:
    """Nobody changed the script without making the files again."""
    assert json.loads(json.dumps([MAKER.LAYERS, MAKER.LOSSES])) == [LAYERS, LOSSES]


# --- losses ----------------------------------------------------------------------------------------------------------

LOSS_CASES = {
    "CrossEntropyLoss ids": (nn.CrossEntropyLoss, np.array([0, 2, 1, 2])),
    "CrossEntropyLoss probabilities": (nn.CrossEntropyLoss, np.full((4, 3), 1 / 3)),
    "MSELoss": (nn.MSELoss, np.linspace(-1, 1, 12).reshape(4, 3)),
    "BCEWithLogitsLoss": (nn.BCEWithLogitsLoss, np.linspace(0, 1, 12).reshape(4, 3)),
}


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", LOSS_CASES)
def test_every_loss_has_the_gradient_of_its_value(name: str, reduction: str) -> None:
    """Against an independent derivative to second order; reductions are consistent; float32 stays float32."""
    kind, target = LOSS_CASES[name]
    loss = kind(reduction=reduction)
    x = randn(4, 3, seed=5, dtype="float64")
    assert gradcheck(lambda predictions: loss(predictions, target), x, order=2).ok
    each = kind(reduction="none")(x, target).data
    expected = {"mean": each.mean(), "sum": each.sum(), "none": each}[reduction]
    np.testing.assert_allclose(loss(x, target).data, expected, rtol=1e-14)
    small = Tensor(x.data.astype("float32"), requires_grad=True)
    value = loss(small, target.astype("float32") if target.dtype.kind == "f" else target)
    value.backward(np.ones(value.shape))
    assert small.grad is not None
    assert value.dtype == small.grad.dtype == np.float32


def test_the_weights_of_the_binary_loss_are_state_but_not_parameters() -> None:
    """weight and pos_weight are buffers: saved, not trained."""
    loss = nn.BCEWithLogitsLoss(pos_weight=Tensor([3.0]))
    assert list(loss.state_dict()) == ["pos_weight"]
    assert not list(loss.parameters())
    plain = nn.BCEWithLogitsLoss(reduction="sum")
    one, none = zeros(2, 1), Tensor([[1.0], [0.0]])
    assert loss(one, none).item() * 2 == pytest.approx(plain(one, none).item() * 2)


@pytest.mark.parametrize("kind", [nn.CrossEntropyLoss, nn.MSELoss, nn.BCEWithLogitsLoss])
def test_an_unknown_reduction_is_refused_with_its_nearest_neighbour(kind: Any) -> None:
    """At construction, not in the middle of training."""
    with pytest.raises(ArgumentError, match="did you mean 'mean'"):
        kind(reduction="means")


# --- parameters ------------------------------------------------------------------------------------------------------


def test_parameters_come_in_definition_order_and_once() -> None:
    """A module's own before those of its layers; a tied one under its first name only."""

    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(3, 3, seed=0)
            self.gain = nn.Parameter(1.0)
            self.second = nn.Linear(3, 3, seed=1)
            self.second.weight = self.first.weight
            self.again = self.first

    model = Tied()
    names = [name for name, _ in model.named_parameters()]
    assert names == ["gain", "first.weight", "first.bias", "second.bias"]
    assert model.summary().total == 1 + 9 + 3 + 3
    assert [name for name, _ in model.named_modules()] == ["", "first", "second"]
    assert [name for name, _ in model.named_children()] == ["first", "second"]
    assert list(model.state_dict()) == [
        "gain", "first.weight", "first.bias", "second.weight", "second.bias", "again.weight", "again.bias",
    ]  # fmt: skip
    assert model.state_dict()["second.weight"] is not model.second.weight
    again = copy.deepcopy(model)
    assert again.second.weight is again.first.weight is again.again.weight


def test_what_counts_as_a_parameter() -> None:
    """Leaves that want gradients, frozen or not; never plain data, never results."""
    module = nn.Module()
    with pytest.raises(ArgumentError, match=r"nn\.Parameter"):
        module.register_parameter("constant", Tensor([1.0]))
    module.trained = Tensor([1.0], requires_grad=True)
    module.frozen = nn.Parameter([1.0], requires_grad=False)
    module.constant = Tensor([1.0])
    module.number = 3
    module.result = module.trained * 2
    assert [name for name, _ in module.named_parameters()] == ["trained", "frozen"]
    assert not module.frozen.requires_grad
    assert copy.deepcopy(module).requires_grad_().frozen.requires_grad
    with pytest.raises(DTypeError):
        nn.Parameter(np.array([1, 2]))


def test_frozen_parameters_stay_parameters_but_are_not_reached() -> None:
    """requires_grad_(False) stops gradients; the state and the counts keep the parameters."""
    model = nn.Sequential(nn.Linear(2, 2, seed=0), nn.Linear(2, 1, seed=1))
    model[0].requires_grad_(False)
    assert len(list(model.parameters())) == len(model.state_dict()) == 4
    model(randn(3, 2, seed=0)).sum().backward()
    assert [one.grad is None for one in model.parameters()] == [True, True, False, False]
    table = model.summary()
    assert (table.trainable, table.frozen, table.total) == (3, 6, 9)
    model[0].requires_grad_()
    assert all(one.requires_grad for one in model.parameters())


def test_attributes_replace_and_remove_what_is_registered() -> None:
    """Assigning keeps the place in the order, deleting forgets, None keeps the name; wrong kinds are refused."""
    layer = nn.Linear(2, 2, seed=0)
    layer.weight = nn.Parameter([[1.0, 2.0]])
    assert [name for name, _ in layer.named_parameters()] == ["weight", "bias"]
    layer.bias = None
    assert list(layer.state_dict()) == ["weight"]
    assert layer(Tensor([[1.0, 1.0]])).tolist() == [[3.0]]
    with pytest.raises(ArgumentError, match=r"nn\.Parameter"):
        layer.weight = Tensor([[1.0, 2.0]])
    with pytest.raises(ArgumentError, match="is a parameter, got ndarray"):
        layer.weight = np.ones((1, 2))
    with pytest.raises(ArgumentError, match="is a layer, got str"):
        nn.Sequential(nn.ReLU()).__setattr__("0", "relu")
    del layer.weight
    assert not layer.state_dict()
    layer.weight = 3
    assert layer.weight == 3
    module = nn.Sequential(nn.Linear(1, 1, seed=0))
    setattr(module, "0", nn.Parameter([1.0]))
    assert list(module.state_dict()) == ["0"]
    assert not list(module.children())


def test_buffers_are_state_but_not_parameters() -> None:
    """Saved unless persistent=False; replaced by assignment; never registered over a taken name."""
    module = Residual()
    module.register_buffer("scratch", Tensor([0.0]), persistent=False)
    assert [name for name, _ in module.named_buffers()] == ["shift", "scratch"]
    assert all(a is b for a, b in zip(module.buffers(), (module.shift, module.scratch), strict=True))
    assert "shift" in module.state_dict()
    assert "scratch" not in module.state_dict()
    module.shift = Tensor([4.0, 5.0, 6.0])
    assert module.state_dict()["shift"].tolist() == [4, 5, 6]
    for name, value in (("scale", Tensor([1.0])), ("a.b", Tensor([1.0])), ("", None), ("new", nn.Parameter([1.0]))):
        with pytest.raises(ArgumentError):
            module.register_buffer(name, value)


def test_modules_in_a_list_would_stay_untrained_and_are_refused() -> None:
    """The list that PyTorch silently ignores; ModuleList is seen."""
    module = nn.Module()
    for hidden in ([nn.ReLU()], (nn.Linear(1, 1),), {"a": nn.ReLU()}, [nn.Parameter(1.0)]):
        with pytest.raises(ArgumentError, match="ModuleList"):
            module.layers = hidden
    module.sizes = [1, 2]
    module.layers = nn.ModuleList([nn.Linear(1, 1), nn.ReLU()])
    assert [name for name, _ in module.named_parameters()] == ["layers.0.weight", "layers.0.bias"]


def test_forgetting_super_init_is_explained() -> None:
    """The error names the class, the attribute and the missing line."""

    class Net(nn.Module):
        def __init__(self) -> None:
            self.layer = nn.Linear(2, 2)

    with pytest.raises(ArgumentError, match=r"Net\.layer.*super\(\).__init__\(\)"):
        Net()


def test_a_module_cannot_contain_itself() -> None:
    """Neither directly nor further down."""
    outer, inner = nn.Sequential(), nn.Sequential()
    outer.add(inner)
    for one in (inner, outer):
        with pytest.raises(ArgumentError, match="contain itself"):
            inner.back = one


def test_modes_zero_grad_and_apply_reach_everything() -> None:
    """train, eval, zero_grad and apply visit every module; apply comes to the parts before the whole."""
    model = nn.Sequential(nn.Linear(2, 2, seed=0), nn.Sequential(nn.Dropout(), nn.Linear(2, 1, seed=0)))
    assert all(not one.training for one in model.eval().modules())
    assert all(one.training for one in model.train().modules())
    model(randn(3, 2, seed=0)).sum().backward()
    gradients = [one.grad for one in model.parameters()]
    model.zero_grad(set_to_none=False)
    assert all(one.grad is old for one, old in zip(model.parameters(), gradients, strict=True))
    assert not any(old.data.any() for old in gradients if old is not None)
    model.zero_grad()
    assert all(one.grad is None for one in model.parameters())
    order: list[nn.Module] = []
    assert model.apply(order.append) is model
    assert set(order) == set(model.modules())
    assert order.index(model[1][1]) < order.index(model[1]) < order.index(model)


def test_zeroing_in_place_never_writes_into_a_recorded_gradient() -> None:
    """A gradient that is itself on the tape is replaced, and stays what it was for whoever holds it."""
    layer = nn.Linear(1, 1, seed=0, dtype="float64")
    x = Tensor(np.array([[2.0]]))
    with pytest.warns(UserWarning, match="cycle"):
        (layer(x) ** 2).sum().backward(create_graph=True)
    recorded = layer.weight.grad
    assert recorded is not None
    before = recorded.data.copy()
    layer.zero_grad(set_to_none=False)
    assert np.array_equal(recorded.data, before)
    assert layer.weight.grad is not recorded
    assert layer.weight.grad is not None
    assert not layer.weight.grad.data.any()


def test_converting_keeps_identity_names_and_frozen_parameters() -> None:
    """astype changes arrays in place of the same tensors; gradients come in the new dtype."""
    model = Residual()
    model.scale.requires_grad = False
    before = list(model.parameters())
    assert model.double() is model
    assert all(a is b for a, b in zip(model.parameters(), before, strict=True))
    assert {one.dtype for one in [*before, *model.buffers()]} == {np.dtype("float64")}
    model(randn(2, 3, seed=0, dtype="float64")).sum().backward()
    assert [one.grad is None for one in before] == [True, False, False]
    assert before[1].grad is not None
    assert before[1].grad.dtype == np.float64
    assert model.float().scale.dtype == np.float32
    with pytest.raises(DTypeError, match="float32"):
        model.astype("int64")


# --- states ----------------------------------------------------------------------------------------------------------

EDITS = ("drop", "add", "rename", "reshape", "dtype", "not an array", "not a name")


def edited(state: dict[Any, Any], kind: str, name: str) -> list[str]:
    """Damage one entry; gives what the error message must mention."""
    value = state[name]
    replacements = {
        "reshape": (value.data[..., None], "expected shape"),
        "dtype": (value.astype("float64"), "expected dtype float32, got float64"),
        "not an array": ([[1.0], [1.0, 2.0]], "expected an array"),
    }
    additions = {"add": name + "s", "rename": "new." + name, "not a name": 7}
    expected = []
    if kind in replacements:
        state[name], text = replacements[kind]
        expected.append(f"{name!r}: {text}")
    if kind in additions:
        state[additions[kind]] = value
        expected.append(f"{additions[kind]!r}: unexpected")
    if kind in {"drop", "rename"}:
        del state[name]
        expected.append(f"{name!r}: missing")
    return expected


STATE_NAMES = list(nn.MLP(3, 4, 4, 2, seed=0).state_dict())


@given(st.dictionaries(st.sampled_from(STATE_NAMES), st.sampled_from(EDITS), min_size=1), st.randoms())
def test_a_state_that_does_not_fit_is_refused_whole(edits: dict[str, str], order: Any) -> None:
    """Every difference is in one message, and the model is bit-identical afterwards."""
    model, other = nn.MLP(3, 4, 4, 2, seed=0), nn.MLP(3, 4, 4, 2, seed=1)
    state: dict[Any, Any] = dict(other.state_dict())
    expected = [text for name, kind in edits.items() for text in edited(state, kind, name)]
    shuffled = list(state.items())
    order.shuffle(shuffled)
    before = values(model)
    with pytest.raises(StateError) as caught:
        model.load_state_dict(dict(shuffled))
    assert all(text in str(caught.value) for text in expected)
    assert same(values(model), before)
    assert "nothing was loaded" in str(caught.value)


def test_not_strict_passes_over_names_but_not_over_shapes() -> None:
    """The names passed over are returned; a wrong shape is still refused."""
    model, other = nn.MLP(3, 4, 2, seed=0), nn.MLP(3, 4, 2, seed=1)
    state: dict[str, Any] = dict(other.state_dict())
    del state["0.bias"]
    state["extra"] = 1
    assert model.load_state_dict(state, strict=False) == nn.IncompatibleKeys(["0.bias"], ["extra"])
    assert np.array_equal(model[2].weight.data, other[2].weight.data)
    state["2.weight"] = np.zeros((1, 1), "float32")
    with pytest.raises(StateError, match=r"2\.weight"):
        model.load_state_dict(state, strict=False)


def test_loading_writes_into_the_same_arrays_and_the_tape_knows() -> None:
    """Parameters keep their identity; a backward pass over values that were overwritten is refused."""
    model = nn.Sequential(nn.Linear(2, 2, seed=0), nn.Linear(2, 1, seed=1))
    arrays = [one.data for one in model.parameters()]
    loss = model(Tensor([[1.0, 2.0]], requires_grad=True)).sum()
    model.load_state_dict(model.state_dict())
    assert all(one.data is old for one, old in zip(model.parameters(), arrays, strict=True))
    with pytest.raises(ChangedValueError, match="load_state_dict"):
        loss.backward()


def test_loading_the_models_own_arrays_crosswise_swaps_them() -> None:
    """All values are read before the first is written."""
    model = nn.Sequential(nn.Linear(2, 2, False, seed=0), nn.Linear(2, 2, False, seed=1))
    a, b = model[0].weight.data.copy(), model[1].weight.data.copy()
    model.load_state_dict({"0.weight": model[1].weight.data, "1.weight": model[0].weight})
    assert np.array_equal(model[0].weight.data, b)
    assert np.array_equal(model[1].weight.data, a)


def test_tied_parameters_load_from_one_name_and_refuse_two_values() -> None:
    """Files that store each tensor once load; contradictory values for one tensor do not."""
    model = nn.Sequential(nn.Linear(2, 2, False, seed=0), nn.Linear(2, 2, False, seed=1))
    model[1].weight = model[0].weight
    state: dict[str, Any] = dict(model.state_dict())
    assert state["0.weight"] is state["1.weight"]
    model.load_state_dict({"1.weight": np.eye(2, dtype="float32")})
    assert model[0].weight is model[1].weight
    assert model[0].weight.tolist() == [[1, 0], [0, 1]]
    state["1.weight"] = np.full((2, 2), 5, "float32")
    with pytest.raises(StateError, match=r"tied to '0.weight'"):
        model.load_state_dict(state)
    assert model[0].weight.tolist() == [[1, 0], [0, 1]]


def test_read_only_memory_is_refused_before_anything_is_written() -> None:
    """Also the parameters before the read-only one stay as they are."""
    model = nn.MLP(2, 3, 1, seed=0)
    before = values(model)
    model[2].bias.data.flags.writeable = False
    with pytest.raises(StateError, match="read-only"):
        model.load_state_dict(nn.MLP(2, 3, 1, seed=1).state_dict())
    assert same(values(model), before)


# --- layers ----------------------------------------------------------------------------------------------------------


def test_linear_starts_uniform_within_one_over_the_root_of_fan_in() -> None:
    """Bounds, mean and variance of torch's default; repeatable from a seed; fresh without one."""
    layer = nn.Linear(400, 300, seed=0)
    bound = 1 / math.sqrt(400)
    for one in (layer.weight, layer.bias):
        assert one is not None
        assert np.abs(one.data).max() <= bound
        assert one.dtype == np.float32
    assert layer.weight.shape == (300, 400)
    check_moments(layer.weight.data, 0.0, bound / math.sqrt(3), fourth=1.8)
    assert np.array_equal(nn.Linear(400, 300, seed=0).weight.data, layer.weight.data)
    assert not np.array_equal(nn.Linear(4, 3).weight.data, nn.Linear(4, 3).weight.data)


@pytest.mark.parametrize("sizes", [(0, 1), (1, 0), (2.0, 1), (True, 1), (-3, 2), ("2", 1)])
def test_sizes_are_positive_integers(sizes: tuple[Any, Any]) -> None:
    """Anything else is refused where the layer is made."""
    with pytest.raises(ArgumentError, match="positive integer"):
        nn.Linear(*sizes)


def test_a_shape_error_names_layer_axes_and_remedy() -> None:
    """The message has expected and given shape with axis names; the note has the path of the layer."""
    model = nn.Sequential(nn.Flatten(), nn.Sequential(nn.ReLU(), nn.Linear(6, 2, seed=0)))
    with pytest.raises(ShapeError, match=r"\(batch, features\) = \(…, 6\), got \(3, 5\).*Linear\(5, 2\)") as caught:
        model(zeros(3, 5))
    assert caught.value.__notes__ == ["in layer Sequential.1.1: Linear(in_features=6, out_features=2, bias=True)"]
    layer = model[1][1]
    for x, remedy in (
        (zeros(4, 2, 3), "Flatten"),
        (zeros(6, 4), r"x\.T"),
        (zeros(()), "without axes"),
        (zeros(5), "features,"),
    ):
        with pytest.raises(ShapeError, match=remedy) as caught:
            layer(x)
        assert caught.value.__notes__ == ["in Linear(in_features=6, out_features=2, bias=True)"]
    with pytest.raises(DTypeError, match=r"got list; say layer\(Tensor\(x\)\)"):
        layer([[1.0] * 6])
    layer.bias = nn.Parameter([1.0, 2.0, 3.0])
    with pytest.raises(ShapeError, match="bias"):
        layer(zeros(4, 6))


def test_a_row_of_numbers_is_never_told_to_flatten() -> None:
    """One axis may be many samples of one number or one sample of the wrong length: the message says what fits."""
    with pytest.raises(ShapeError, match=r"5 samples of one number each are x\.reshape\(-1, 1\)") as caught:
        nn.Linear(1, 2, seed=0)(zeros(5))
    assert "Flatten" not in str(caught.value)
    assert nn.Linear(1, 2, seed=0)(zeros(5).reshape(-1, 1)).shape == (5, 2)
    with pytest.raises(ShapeError, match=r"one sample has 3 numbers here, so make the layer Linear\(5, 2\)") as caught:
        nn.Linear(3, 2, seed=0)(zeros(5))
    assert "Flatten" not in str(caught.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda x, y: nn.CrossEntropyLoss(x, y), r"nn\.CrossEntropyLoss\(\)\(pred, y\)"),
        (lambda x, y: nn.CrossEntropyLoss(x), r"nn\.CrossEntropyLoss\(\)\(pred, y\)"),
        (lambda x, y: nn.CrossEntropyLoss("mean", 3), r"nn\.CrossEntropyLoss\(\)\(pred, y\)"),
        (lambda x, y: nn.MSELoss(x.data, y), r"nn\.MSELoss\(\)\(pred, y\)"),
        (lambda x, y: nn.BCEWithLogitsLoss(x, y), r"nn\.BCEWithLogitsLoss\(\)\(pred, y\)"),
        (lambda x, y: nn.ReLU(x), r"nn\.ReLU\(\)\(x\)"),
        (lambda x, y: nn.Tanh([1.0]), r"nn\.Tanh\(\)\(x\)"),
        (lambda x, y: nn.LeakyReLU(x), r"nn\.LeakyReLU\(\)\(x\)"),
        (lambda x, y: nn.Softplus(x), r"nn\.Softplus\(\)\(x\)"),
        (lambda x, y: nn.GELU(x), r"nn\.GELU\(\)\(x\)"),
        (lambda x, y: nn.Softmax(x), r"nn\.Softmax\(\)\(x\)"),
        (lambda x, y: nn.LogSoftmax(x), r"nn\.LogSoftmax\(\)\(x\)"),
        (lambda x, y: nn.Flatten(x), r"nn\.Flatten\(\)\(x\)"),
        (lambda x, y: nn.Dropout(x), r"nn\.Dropout\(\)\(x\)"),
    ],
)
def test_data_given_to_a_constructor_is_sent_to_the_call(make: Callable[[Tensor, Any], Any], message: str) -> None:
    """A layer that is made with data says that it is made first and called then."""
    with pytest.raises(ArgumentError, match=message):
        make(zeros(4, 3), np.array([0, 1, 2, 0]))


def test_an_array_stays_an_array_in_layers_without_parameters() -> None:
    """What Module's docstring says: ReLU and Flatten are plain functions, Linear gives a Tensor."""
    x = np.ones((2, 3), np.float32)
    assert type(nn.ReLU()(x)) is np.ndarray
    assert type(nn.Flatten()(x)) is np.ndarray
    assert type(nn.Linear(3, 1, seed=0)(x)) is Tensor


def test_the_place_is_noted_for_every_error_also_while_pictures_are_made() -> None:
    """A user's own exception keeps its type and gets one note; a layer in two places is named by the call's parents."""

    class Picky(nn.Module):
        def forward(self, x: Any) -> Any:
            raise KeyError("no")

    shared = Picky()
    left, right = nn.Sequential(shared), nn.Sequential(nn.Identity(), shared)
    for model, path in ((left, "Sequential.0"), (right, "Sequential.1")):
        for watching in (False, True):
            with pytest.raises(KeyError) as caught, record_values() if watching else enable_grad():
                model(zeros(1))
            assert caught.value.__notes__ == [f"in layer {path}: Picky()"]
    with pytest.raises(NotImplementedError, match="forward"):
        nn.Module()(1)


def test_pictures_get_the_path_of_module_and_parameter() -> None:
    """Under record_values nodes carry the module path, leaves the parameter's name."""
    model = nn.Sequential(nn.Linear(2, 3, seed=0), nn.Sequential(nn.Tanh(), nn.Linear(3, 1, seed=1)))
    with record_values():
        y = model(zeros(1, 2))
        loss = nn.MSELoss()(y, zeros(1, 1))
    scopes = []
    stack, seen = [loss.node], set()
    while stack:
        node = stack.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        stack.extend(node.inputs)
        if node.plan is not None:
            scopes.append((node.plan.op.name, node.scope))
    assert ("linear", ("Sequential", "0")) in scopes
    assert ("tanh", ("Sequential", "1", "0")) in scopes
    assert ("linear", ("Sequential", "1", "1")) in scopes
    assert any(scope == ("MSELoss",) for _, scope in scopes)
    assert [one.node.name for one in model.parameters()] == ["0.weight", "0.bias", "1.1.weight", "1.1.bias"]


def test_dropout_drops_in_training_only_and_keeps_the_expectation() -> None:
    """Survivors are scaled by 1 / (1 - p), their share is 1 - p, gradients follow the same mask, seeds repeat."""
    p, n = 0.3, 200_000
    layer = nn.Dropout(p, seed=0)
    x = Tensor(np.ones(n, "float32"), requires_grad=True)
    y = layer(x)
    assert set(np.unique(y.data)) == {np.float32(0), np.float32(1 / (1 - p))}
    dropped = (y.data == 0).mean()
    assert abs(dropped - p) < 5 * math.sqrt(p * (1 - p) / n)
    incoming = np.random.default_rng(1).normal(size=n).astype("float32")
    y.backward(incoming)
    assert x.grad is not None
    assert np.array_equal(x.grad.data, incoming * y.data)
    assert np.array_equal(y.data == 0, np.random.default_rng(0).random(n, np.float32) < p)
    again = nn.Dropout(p, seed=0)
    assert np.array_equal(again(x).data, y.data)
    assert not np.array_equal(again(x).data, y.data)
    assert layer.eval()(x) is x
    assert nn.Dropout(0.0)(x) is x
    assert F.dropout(x, 0.9, training=False) is x


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_dropping_everything_gives_zeros(dtype: str) -> None:
    """p = 1 is 0, not 0/0, and so is the gradient; the dtype stays."""
    x = Tensor(np.ones((2, 3), dtype), requires_grad=True)
    y = nn.Dropout(1.0)(x)
    y.sum().backward()
    assert x.grad is not None
    assert y.dtype == x.grad.dtype == dtype
    assert not y.data.any()
    assert not x.grad.data.any()


@pytest.mark.parametrize("p", [-0.1, 1.1, math.nan])
def test_probabilities_outside_zero_to_one_are_refused(p: float) -> None:
    """In the layer and in the function."""
    for call in (lambda: nn.Dropout(p), lambda: F.dropout(zeros(2), p)):
        with pytest.raises(ArgumentError, match="from 0 to 1"):
            call()


def test_sequential_is_a_list_of_layers() -> None:
    """Length, indexing, slices that share layers, iteration, replacement, and layers added later."""
    model = nn.Sequential([nn.Linear(2, 3, seed=0), nn.ReLU()])
    last = nn.Linear(3, 1, seed=1)
    assert model.add(nn.Tanh()).append(last) is model
    assert len(model) == 4
    assert model[-1] is model[3] is last
    assert all(a is b for a, b in zip(model[1:], (model[1], model[2], last), strict=True))
    model[2] = nn.Identity()
    x = randn(5, 2, seed=0)
    assert np.array_equal(model(x).data, last(F.relu(model[0](x))).data)
    assert len(nn.Sequential()) == 0
    assert nn.Sequential()(x) is x
    with pytest.raises(IndexError, match="4 layers"):
        model[4]
    for wrong, remedy in ((nn.ReLU, r"ReLU\(\)"), (F.relu, "Module"), (3, "Module")):
        with pytest.raises(ArgumentError, match=remedy):
            nn.Sequential(wrong)
    with pytest.raises(NotImplementedError):
        nn.ModuleList([last])(x)


@pytest.mark.parametrize("activation", sorted(nn.ACTIVATIONS))
def test_mlp_starts_with_the_variance_its_activation_wants(activation: str) -> None:
    """He before the ReLU family, Glorot elsewhere and in the last layer; biases 0."""
    model = nn.MLP(200, 300, 100, activation=activation, seed=0)
    assert [type(one) for one in model] == [nn.Linear, type(nn.ACTIVATIONS[activation]()), nn.Linear]
    first, last = model[0].weight.data, model[2].weight.data
    glorot = math.sqrt(2 / 500)
    he = math.sqrt(2 / ((1 + 0.01**2 if activation == "leaky_relu" else 1) * 200))
    if activation in {"relu", "leaky_relu", "gelu", "silu", "softplus"}:
        check_moments(first, 0.0, he, fourth=3.0)
    else:
        check_moments(first, 0.0, glorot, fourth=1.8)
    check_moments(last, 0.0, math.sqrt(2 / 400), fourth=1.8)
    assert not model[0].bias.data.any()


def test_mlp_takes_classes_dropout_and_seeds() -> None:
    """Layers in order, one Dropout after each activation, the same values from the same seed."""
    model = nn.MLP(2, 4, 3, 1, activation=nn.Tanh, dropout=0.5, bias=False, seed=3, dtype="float64")
    kinds = [type(one).__name__ for one in model]
    assert kinds == ["Linear", "Tanh", "Dropout", "Linear", "Tanh", "Dropout", "Linear"]
    assert all(one.dtype == np.float64 for one in model.parameters())
    assert model[0].bias is None
    x = randn(6, 2, seed=0, dtype="float64")
    twin = nn.MLP(2, 4, 3, 1, activation="Tanh", dropout=0.5, bias=False, seed=3, dtype="float64")
    assert np.array_equal(twin(x).data, model(x).data)
    assert [type(one) for one in nn.MLP(3, 2)] == [nn.Linear]


def test_a_wrong_activation_is_explained() -> None:
    """Misspelled names get their nearest neighbour; layers and other things get the remedy."""
    with pytest.raises(ArgumentError, match="did you mean 'relu'"):
        nn.MLP(2, 3, 1, activation="rellu")
    for wrong in (nn.ReLU(), 3, dict):
        with pytest.raises(ArgumentError, match="activation"):
            nn.MLP(2, 3, 1, activation=wrong)
    for sizes in ((), (3,), ([3, 2],)):
        with pytest.raises(ArgumentError, match=r"MLP\(784, 300, 100, 10\)"):
            nn.MLP(*sizes)
    with pytest.raises(ArgumentError, match="beta is positive"):
        nn.Softplus(beta=0)
    with pytest.raises(ArgumentError, match="did you mean 'tanh'"):
        nn.GELU("tan")


def test_layers_compute_what_the_functions_do() -> None:
    """The functional names are the layers' own."""
    x = randn(3, 4, seed=0)
    pairs = [
        (nn.ReLU(), F.relu), (nn.LeakyReLU(0.3), lambda x: F.leaky_relu(x, 0.3)), (nn.Sigmoid(), F.sigmoid),
        (nn.Tanh(), F.tanh), (nn.Softplus(), F.softplus), (nn.GELU(), F.gelu), (nn.SiLU(), F.silu),
        (nn.Softmax(0), lambda x: F.softmax(x, dim=0)), (nn.LogSoftmax(), F.log_softmax),
    ]  # fmt: skip
    for layer, function in pairs:
        assert np.array_equal(layer(x).data, function(x).data)
    assert all(callable(getattr(F, name)) for name in F.__all__)


def test_the_default_dtype_reaches_new_layers() -> None:
    """set_default_dtype decides what new parameters are."""
    try:
        set_default_dtype("float64")
        assert nn.MLP(2, 3, 1).state_dict()["0.weight"].dtype == np.float64
    finally:
        set_default_dtype("float32")


def test_the_global_random_state_is_not_touched() -> None:
    """Making and running layers neither reads nor advances NumPy's global generator."""
    np.random.seed(0)
    expected = np.random.random(3)
    np.random.seed(0)
    nn.MLP(3, 4, 2, dropout=0.5)(zeros(2, 3))
    assert np.array_equal(np.random.random(3), expected)


# --- the table and the tree ------------------------------------------------------------------------------------------


def test_the_summary_has_kerass_numbers() -> None:
    """The example of the textbooks: 235,500 / 30,100 / 1,010 / 266,610, with output shapes."""
    text = str(nn.MLP(784, 300, 100, 10, seed=0).summary())
    assert "│ 0 (Linear)   │ (None, 300)  │ 235,500 │       235,200 │" in text
    assert "│ 2 (Linear)   │ (None, 100)  │  30,100 │        30,000 │" in text
    assert "│ 4 (Linear)   │ (None, 10)   │   1,010 │         1,000 │" in text
    assert "Total params: 266,610" in text
    assert nn.Sequential(nn.Flatten(), nn.Linear(784, 10)).summary((None, 28, 28)).rows[0].output_shape == (None, 784)


def test_a_summary_draws_no_random_numbers() -> None:
    """Asking for the table in the middle of training does not change what training does."""
    asked, left_alone = (nn.MLP(3, 50, 2, dropout=0.5, seed=0) for _ in range(2))
    asked.summary()
    x = randn(4, 3, seed=0)
    assert np.array_equal(asked(x).data, left_alone(x).data)


def test_unknown_shapes_show_as_question_marks() -> None:
    """Where nothing says what goes in, or the guess fails, the table says ?; a shape given must fit."""
    assert "│ 0 (ReLU)     │ ?            │       0 │             ? │" in str(nn.Sequential(nn.ReLU()).summary())

    class TwoInputs(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 2, seed=0)

        def forward(self, a: Any, b: Any) -> Any:
            return self.layer(a) + b

    table = TwoInputs().summary()
    assert [row.output_shape for row in table.rows] == [None]
    assert table.total == 8
    with pytest.raises(ShapeError):
        nn.Linear(3, 2).summary((4,))


def test_the_repr_shows_the_tree_with_sizes() -> None:
    """Nested as in torch; parameters of a user's module with their shapes."""
    assert repr(nn.Sequential(Residual(), nn.Dropout(0.2))) == (
        "Sequential(\n"
        "  (0): Residual(\n"
        "    (scale): parameter (3,) float32\n"
        "    (layer): Linear(in_features=3, out_features=3, bias=True)\n"
        "  )\n"
        "  (1): Dropout(p=0.2)\n"
        ")"
    )
    assert repr(nn.MSELoss("sum")) == "MSELoss(reduction='sum')"


# --- initialisers ----------------------------------------------------------------------------------------------------


def check_moments(sample: np.ndarray, mean: float, std: float, *, fourth: float) -> None:
    """Mean and variance within 6 standard errors; ``fourth`` is the fourth moment over the squared variance."""
    n = sample.size
    sample = sample.astype("float64")
    assert abs(sample.mean() - mean) < 6 * std / math.sqrt(n)
    assert abs(((sample - mean) ** 2).mean() / std**2 - 1) < 6 * math.sqrt((fourth - 1) / n)


UNIFORM, NORMAL = 1.8, 3.0
FAN_IN, FAN_OUT = 200 * 3, 100 * 3
RULES: dict[str, tuple[Callable[[Tensor], Tensor], float, float]] = {
    "xavier_uniform_": (lambda w: init.xavier_uniform_(w, seed=1), math.sqrt(2 / (FAN_IN + FAN_OUT)), UNIFORM),
    "xavier_normal_ gain": (lambda w: init.glorot_normal_(w, 3, seed=1), 3 * math.sqrt(2 / (FAN_IN + FAN_OUT)), NORMAL),
    "kaiming_uniform_": (lambda w: init.kaiming_uniform_(w, seed=1), math.sqrt(2 / FAN_IN), UNIFORM),
    "kaiming_normal_ out": (lambda w: init.he_normal_(w, mode="fan_out", seed=1), math.sqrt(2 / FAN_OUT), NORMAL),
    "kaiming_normal_ leaky": (lambda w: init.kaiming_normal_(w, 2.0, seed=1), math.sqrt(2 / 5 / FAN_IN), NORMAL),
    "kaiming_uniform_ tanh": (
        lambda w: init.he_uniform_(w, nonlinearity="tanh", seed=1), 5 / 3 / math.sqrt(FAN_IN), UNIFORM,
    ),
    "lecun_uniform_": (lambda w: init.lecun_uniform_(w, seed=1), 1 / math.sqrt(FAN_IN), UNIFORM),
    "lecun_normal_": (lambda w: init.lecun_normal_(w, seed=1), 1 / math.sqrt(FAN_IN), NORMAL),
    "uniform_": (lambda w: init.uniform_(w, -3.0, 3.0, seed=1), math.sqrt(3), UNIFORM),
    "normal_": (lambda w: init.normal_(w, 0.0, 0.2, seed=1), 0.2, NORMAL),
}  # fmt: skip


@pytest.mark.parametrize("name", RULES)
def test_initialisers_have_the_variance_of_their_formula(name: str) -> None:
    """Fans of (out, in, receptive field); the bounds are 6 standard errors of mean and variance."""
    rule, std, fourth = RULES[name]
    weight = nn.Parameter(np.zeros((100, 200, 3), "float32"))
    assert rule(weight) is weight
    assert weight.dtype == np.float32
    check_moments(weight.data, 0.0, std, fourth=fourth)
    if fourth == UNIFORM:
        assert np.abs(weight.data).max() <= math.sqrt(3) * std * (1 + 1e-6)
    again = nn.Parameter(np.zeros((100, 200, 3), "float32"))
    assert np.array_equal(rule(again).data, weight.data)


def test_constants_and_generators() -> None:
    """zeros_, ones_, constant_ fill; rng= goes on from call to call."""
    weight = nn.Parameter(np.empty((2, 2), "float32"))
    assert init.ones_(weight).tolist() == [[1, 1], [1, 1]]
    assert init.constant_(weight, 0.5).tolist() == [[0.5, 0.5], [0.5, 0.5]]
    assert init.zeros_(weight).tolist() == [[0, 0], [0, 0]]
    rng = np.random.default_rng(0)
    first = init.normal_(weight, rng=rng).data.copy()
    assert not np.array_equal(init.normal_(weight, rng=rng).data, first)


def test_gains_are_those_of_torch() -> None:
    """The documented table; unknown names get their nearest neighbour."""
    gains = {"linear": 1, "identity": 1, "sigmoid": 1, "tanh": 5 / 3, "relu": math.sqrt(2), "selu": 0.75}
    assert {name: init.calculate_gain(name) for name in gains} == pytest.approx(gains)
    assert init.calculate_gain("leaky_relu", 1.0) == 1.0
    assert init.calculate_gain("leaky_relu") == pytest.approx(math.sqrt(2 / (1 + 1e-4)))
    with pytest.raises(ArgumentError, match="did you mean 'tanh'"):
        init.calculate_gain("tahn")
    with pytest.raises(ArgumentError, match="did you mean 'fan_in'"):
        init.kaiming_uniform_(nn.Parameter(np.ones((2, 2))), mode="fanin")


def test_initialisers_refuse_what_they_cannot_fill() -> None:
    """Vectors have no fans, results are on the tape, integers hold no draws; empty weights stay empty."""
    for rule in (init.xavier_uniform_, init.he_normal_, init.lecun_normal_):
        with pytest.raises(ShapeError, match=r"\(out, in"):
            rule(nn.Parameter(np.ones(3)))
        assert rule(nn.Parameter(np.ones((0, 0)))).shape == (0, 0)
    with pytest.raises(GradientError, match="leaves"):
        init.zeros_(nn.Parameter([1.0]) * 2)
    with pytest.raises(DTypeError, match="int64"):
        init.zeros_(Tensor(np.array([1, 2])))


def test_initialising_between_forward_and_backward_is_noticed() -> None:
    """The tape refuses to use a weight that was filled anew after the forward pass read it."""
    layer = nn.Linear(2, 1, seed=0)
    loss = layer(Tensor([[1.0, 2.0]], requires_grad=True)).sum()
    init.xavier_normal_(layer.weight)
    with pytest.raises(ChangedValueError, match=r"init\.normal_"):
        loss.backward()


def test_public_names_exist_and_evaluation_records_nothing() -> None:
    """Every name in __all__ is there; under no_grad a module's output is not on the tape."""
    for room in (nn, init, F):
        assert all(hasattr(room, name) for name in room.__all__)
    with no_grad():
        assert nn.MLP(2, 3, 1, seed=0)(zeros(1, 2)).node is None


def test_a_property_of_a_module_is_set_as_one() -> None:
    """Its setter runs; nothing lands beside it in the instance."""

    class Scaled(nn.Module):
        """A module with a property."""

        def __init__(self) -> None:
            super().__init__()
            self.seen: list[float] = []

        @property
        def scale(self) -> float:
            return self.seen[-1]

        @scale.setter
        def scale(self, value: float) -> None:
            self.seen.append(value)

    module = Scaled()
    module.scale = 2.0
    assert module.scale == 2.0
    assert "scale" not in vars(module)


@pytest.mark.parametrize("value", [2.5, -0.5, math.inf, -math.inf, math.nan])
def test_padding_changes_nothing_inside(value: float) -> None:
    """Not even the sign of a zero; and what lies outside gets no gradient."""
    x = Tensor(np.array([[0.0, -0.0, np.inf, -np.inf, 1.5]]), requires_grad=True)
    y = F.pad(x, (1, 2), value=value)
    assert y.data[:, 1:6].tobytes() == x.data.tobytes()
    np.testing.assert_array_equal(y.data[:, [0, 6, 7]], value)
    seed = np.random.default_rng(0).normal(size=(1, 8))
    y.backward(Tensor(seed))
    np.testing.assert_array_equal(x.grad.data, seed[:, 1:6])
