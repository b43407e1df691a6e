"""Layers and functions that torch's own table has no inputs for, against torch; and what the new layers promise."""

from __future__ import annotations

import copy
import math
import pickle
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_mlp as tg
from tinygrad_mlp import Tensor, nn, ops, optim, randn, zeros
from tinygrad_mlp.errors import ArgumentError, CaptureError, GradientError, ShapeError
from tinygrad_mlp.nn import functional as F  # noqa: N812 - the name everybody gives it
from tinygrad_mlp.nn import init, penalties
from tinygrad_mlp.nn.utils import parametrize
from tinygrad_mlp.nn.utils.parametrizations import spectral_norm, weight_norm
from tinygrad_mlp.testing import gradcheck
from tinygrad_mlp.train import fit

torch = pytest.importorskip("torch")
TF = torch.nn.functional


def both(shape: tuple[int, ...], seed: int = 0, scale: float = 2.0) -> tuple[Tensor, Any]:
    array = np.random.default_rng(seed).normal(scale=scale, size=shape)
    return Tensor(array, requires_grad=True), torch.tensor(array, requires_grad=True)


def agree(ours: Any, theirs: Any, *pairs: tuple[Tensor, Any], rtol: float = 1e-10) -> None:
    """Values, and gradients of the pairs for one random incoming gradient."""
    np.testing.assert_allclose(ours.data, theirs.detach().numpy(), rtol=1e-11, atol=1e-12)
    incoming = np.random.default_rng(9).normal(size=ours.shape)
    ours.backward(incoming)
    theirs.backward(torch.tensor(incoming))
    for one, other in pairs:
        np.testing.assert_allclose(one.grad.data, other.grad.numpy(), rtol=rtol, atol=1e-12)


# --- functions -------------------------------------------------------------------------------------------------------

FUNCTIONS: dict[str, dict[str, Any]] = {
    "elu": {"alpha": 0.7},
    "selu": {},
    "celu": {"alpha": 0.5},
    "mish": {},
    "softsign": {},
    "hardtanh": {"min_val": -0.5, "max_val": 1.5},
    "relu6": {},
    "hardsigmoid": {},
    "hardswish": {},
    "logsigmoid": {},
    "tanhshrink": {},
    "softshrink": {"lambd": 0.7},
    "hardshrink": {"lambd": 0.7},
    "threshold": {"threshold": 0.3, "value": -2.0},
    "glu": {"dim": 1},
    "softmin": {"dim": 1},
    "rrelu": {"lower": 0.1, "upper": 0.3},
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_equal_torch_and_stay_finite(name: str) -> None:
    """Values and gradients; for huge inputs finite, float32 stays float32."""
    options = FUNCTIONS[name]
    x, tx = both((5, 6))
    # torch has 1/6 in single precision in this one's derivative.
    rtol = 1e-7 if name == "hardsigmoid" else 1e-10
    agree(getattr(F, name)(x, **options), getattr(TF, name)(tx, **options), (x, tx), rtol=rtol)
    wide = Tensor(np.array([[-1e30, 1e30], [-200.0, 200.0]], np.float32), requires_grad=True)
    y = getattr(F, name)(wide, **options)
    y.sum().backward()
    assert y.dtype == wide.grad.dtype == np.float32
    assert np.isfinite(y.data).all() or name == "tanhshrink"
    assert np.isfinite(wide.grad.data).all()


# name: (function, corner, derivative there)
KINKS: dict[str, tuple[Callable[[Any], Any], float, float]] = {
    "elu, steeper below": (lambda x: F.elu(x, 3.0), 0.0, 1.0),
    "elu, flatter below": (lambda x: F.elu(x, 0.25), 0.0, 0.25),
    "celu is smooth": (lambda x: F.celu(x, 3.0), 0.0, 1.0),
    "prelu": (lambda x: F.prelu(x, Tensor([0.25])), 0.0, 0.25),
    "prelu, falling": (lambda x: F.prelu(x, Tensor([-0.5])), 0.0, 0.0),
    "prelu, steeper": (lambda x: F.prelu(x, Tensor([2.0])), 0.0, 1.0),
    "hardtanh, left": (F.hardtanh, -1.0, 0.0),
    "hardtanh, right": (F.hardtanh, 1.0, 0.0),
    "relu6": (F.relu6, 6.0, 0.0),
    "hardswish, left": (F.hardswish, -3.0, 0.0),
    "hardswish, right": (F.hardswish, 3.0, 1.0),
    "softshrink": (F.softshrink, 0.5, 0.0),
    "huber": (lambda x: F.huber_loss(x, zeros(1, dtype="float64"), delta=2.0), 2.0, 2.0),
    "l1": (lambda x: F.l1_loss(x, zeros(1, dtype="float64")), 0.0, 0.0),
}


@pytest.mark.parametrize("name", KINKS)
def test_corners_have_the_derivative_nearest_to_zero(name: str) -> None:
    """The project's rule, also where torch has another value."""
    function, corner, expected = KINKS[name]
    x = Tensor(np.array([corner]), requires_grad=True)
    function(x).sum().backward()
    assert x.grad.data[0] == expected


def test_equal_maxima_of_a_window_share_the_gradient() -> None:
    """As amax does; padding never wins, not even against minus infinity's neighbours."""
    x = Tensor(np.zeros((1, 1, 2, 2)), requires_grad=True)
    F.max_pool2d(x, 2).sum().backward()
    assert x.grad.data.tolist() == [[[[0.25, 0.25], [0.25, 0.25]]]]
    assert F.max_pool1d(Tensor(np.full((1, 1, 3), -5.0)), 3, 1, 1).data.tolist() == [[[-5.0] * 3]]


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
@pytest.mark.parametrize("sides", [(1, 2), (2, 0, 1, 1), (0, 0, 2, 1)])
def test_padding_equals_torch(mode: str, sides: tuple[int, ...]) -> None:
    """All modes, one axis and two."""
    x, tx = both((2, 3, 4, 5) if len(sides) == 4 else (2, 3, 5))
    agree(F.pad(x, sides, mode), TF.pad(tx, sides, mode), (x, tx))


def test_padding_with_a_value_or_a_negative_size_equals_torch() -> None:
    """What only the constant mode can do."""
    x, tx = both((2, 3, 5))
    agree(F.pad(x, (-1, 2, 1, -1), value=1.5), TF.pad(tx, (-1, 2, 1, -1), value=1.5), (x, tx))


CONVOLUTIONS = [
    ((2, 4, 9), (6, 2, 3), {"stride": 2, "padding": 3, "dilation": 2, "groups": 2}),
    ((4, 9), (6, 4, 2), {"padding": "same"}),
    ((2, 4, 7), (4, 1, 4), {"padding": "same", "groups": 4, "dilation": 2}),
    ((2, 3, 6, 7), (4, 3, 3, 2), {"stride": (2, 1), "padding": (0, 2), "dilation": (1, 2)}),
    ((2, 4, 6, 7), (4, 2, 3, 3), {"padding": "valid", "groups": 2}),
    ((0, 3, 6, 7), (4, 3, 3, 2), {}),
]


@pytest.mark.filterwarnings("ignore:Using padding='same':UserWarning")
@pytest.mark.parametrize(("shape", "weight", "options"), CONVOLUTIONS)
def test_convolutions_equal_torch_in_both_orders(shape: Any, weight: Any, options: dict[str, Any]) -> None:
    """Strides, padding, dilation and groups, without batch and with an empty one; second derivatives as well."""
    x, tx = both(shape)
    w, tw = both(weight, 1)
    b, tb = both(weight[:1], 2)
    name = f"conv{len(weight) - 2}d"
    ours = getattr(F, name)(x, w, b, **options)
    agree(ours, getattr(TF, name)(tx, tw, tb, **options), (x, tx), (w, tw), (b, tb))
    if 0 < x.size < 80:
        plain = [Tensor(one.data) for one in (x, w, b)]
        assert gradcheck(lambda *three: getattr(F, name)(*three, **options), plain, order=2).ok


MASKS = {
    "none": lambda rng: {},
    "causal": lambda rng: {"is_causal": True},
    "booleans": lambda rng: {"attn_mask": rng.random((4, 5)) < 0.8},
    "floats": lambda rng: {"attn_mask": rng.normal(size=(2, 1, 4, 5)), "scale": 0.3},
}


@pytest.mark.parametrize("mask", MASKS)
def test_attention_equals_torch(mask: str) -> None:
    """With every kind of mask."""
    q, tq = both((2, 3, 4, 6))
    k, tk = both((2, 3, 5, 6), 1)
    v, tv = both((2, 3, 5, 7), 2)
    options = MASKS[mask](np.random.default_rng(0))
    theirs = {name: torch.tensor(one) if isinstance(one, np.ndarray) else one for name, one in options.items()}
    ours = F.scaled_dot_product_attention(q, k, v, **options)
    agree(ours, TF.scaled_dot_product_attention(tq, tk, tv, **theirs), (q, tq), (k, tk), (v, tv))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_cross_entropy_of_many_axes_ignores_and_weights_as_torch(reduction: str, smoothing: float) -> None:
    """Ids of shape (n, d1, d2, d3): classes and places were once mixed up there, in logits and in probabilities."""
    rng = np.random.default_rng(0)
    x, tx = both((2, 4, 3, 2, 2))
    ids = rng.integers(0, 4, (2, 3, 2, 2))
    ids[0, 0] = -100
    weight = rng.random(4)
    options = {"reduction": reduction, "label_smoothing": smoothing}
    theirs = TF.cross_entropy(tx, torch.tensor(ids), weight=torch.tensor(weight), **options)
    agree(F.cross_entropy(x, ids, weight=weight, **options), theirs, (x, tx))
    soft = rng.dirichlet(np.ones(4), (2, 3, 2, 2)).transpose(0, 4, 1, 2, 3)
    x, tx = both((2, 4, 3, 2, 2))
    agree(F.cross_entropy(x, soft, **options), TF.cross_entropy(tx, torch.tensor(soft), **options), (x, tx))


def test_rows_that_are_ignored_cannot_spoil_the_gradient() -> None:
    """NaN logits of a target that takes no part stay there."""
    x = Tensor(np.array([[1.0, 2.0], [np.nan, 0.0]]), requires_grad=True)
    loss = F.cross_entropy(x, np.array([0, -100]))
    loss.backward()
    assert math.isfinite(loss.item())
    assert x.grad.data[1].tolist() == [0.0, 0.0]


# --- dropout ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["AlphaDropout", "FeatureAlphaDropout"])
def test_alpha_dropout_keeps_mean_and_variance(name: str) -> None:
    """Of standard normal inputs, up to what 40,000 draws vary by; in evaluation nothing happens."""
    x = randn(400, 100, seed=0, dtype="float64")
    layer = getattr(nn, name)(0.2, seed=1)
    y = layer(x).data
    assert abs(y.mean()) < 0.03
    assert abs(y.var() - 1) < 0.05
    assert layer.eval()(x) is x


def test_channels_are_dropped_whole() -> None:
    """Each channel of each sample is all zero or scaled by 1 / (1 - p)."""
    x = Tensor(np.ones((50, 8, 3, 2)))
    y = nn.Dropout2d(0.25, seed=0)(x).data
    assert (y == y[:, :, :1, :1]).all()
    np.testing.assert_allclose(np.unique(y), [0.0, 4 / 3])
    assert nn.Dropout1d(0.5, seed=0)(Tensor(np.ones((4, 3)))).data.shape == (4, 3)


# --- state -----------------------------------------------------------------------------------------------------------

STATES: dict[str, tuple[Any, ...]] = {
    "Bilinear": (3, 4, 2),
    "BatchNorm1d": (3,),
    "BatchNorm2d": (3,),
    "LayerNorm": ((2, 3),),
    "GroupNorm": (2, 4),
    "RMSNorm": (3,),
    "InstanceNorm2d": (3, 1e-5, 0.1, True, True),
    "Conv1d": (2, 4, 3),
    "Conv2d": (2, 4, (3, 2)),
    "PReLU": (4,),
    "MultiheadAttention": (6, 2),
}


@pytest.mark.parametrize("name", STATES)
def test_states_go_both_ways_and_sizes_are_summed_up(name: str) -> None:
    """Names, shapes and order are torch's; the summary counts what torch has."""
    ours, theirs = getattr(nn, name)(*STATES[name]), getattr(torch.nn, name)(*STATES[name])
    expected = {key: tuple(one.shape) for key, one in theirs.state_dict().items()}
    assert {key: one.shape for key, one in ours.state_dict().items()} == expected
    assert [key for key, _ in ours.named_parameters()] == [key for key, _ in theirs.named_parameters()]
    ours.load_state_dict({key: one.numpy() for key, one in theirs.state_dict().items()})
    theirs.load_state_dict({key: torch.tensor(one.data) for key, one in ours.state_dict().items()}, strict=True)
    assert ours.summary().total == sum(one.numel() for one in theirs.parameters())


def test_containers_have_the_names_of_torch() -> None:
    """Also of Sequential with names, of dictionaries and of lists of parameters."""

    def made(room: Any, parameter: Callable[[Any], Any]) -> Any:
        net = room.Module()
        net.a = room.Sequential(OrderedDict([("first", room.Linear(2, 3)), ("act", room.Tanh())]))
        net.b = room.ModuleDict({"x": room.Linear(3, 1), "y": room.PReLU()})
        net.c = room.ParameterList([parameter(2), parameter(3)])
        net.d = room.ParameterDict({"w": parameter(4)})
        return net

    ours = made(nn, lambda size: nn.Parameter(np.zeros(size)))
    theirs = made(torch.nn, lambda size: torch.nn.Parameter(torch.zeros(size)))
    assert [*ours.state_dict()] == [*theirs.state_dict()]
    ours.b["x"] = nn.Linear(5, 1, seed=0)
    assert ours.b["x"].in_features == 5
    assert [*ours.b.keys()] == ["x", "y"]
    assert "y" in ours.b
    assert ours.b.pop("y").num_parameters == 1
    assert len(ours.b) == 1
    with pytest.raises(KeyError, match="x"):
        ours.b["z"]
    ours.a.insert(0, nn.Identity())
    assert [type(one).__name__ for one in ours.a] == ["Identity", "Linear", "Tanh"]


def test_a_shared_parameter_comes_once_and_its_gradients_add() -> None:
    """Tied embedding and output: parameters() once, state_dict twice, the gradient torch's."""
    x, tx = both((4, 3))

    def made(room: Any) -> Any:
        net = room.Sequential(room.Linear(3, 3, bias=False), room.Tanh(), room.Linear(3, 3, bias=False))
        net[2].weight = net[0].weight
        return net

    ours, theirs = made(nn).double(), made(torch.nn).double()
    ours.load_state_dict({key: one.numpy() for key, one in theirs.state_dict().items()})
    assert len([*ours.parameters()]) == 1
    assert [*ours.state_dict()] == ["0.weight", "2.weight"]
    agree(ours(x), theirs(tx), (x, tx), (ours[0].weight, theirs[0].weight))


# --- hooks -----------------------------------------------------------------------------------------------------------


def test_hooks_see_and_replace_what_torchs_do() -> None:
    """Before and after forward and backward, in torch's order, with torch's values."""

    def watched(room: Any, log: list[Any]) -> Any:
        net = room.Sequential(room.Linear(3, 4), room.Tanh(), room.Linear(4, 2)).double()

        def note(what: str) -> Callable[..., None]:
            def hook(module: Any, *values: Any) -> None:
                shapes = [[None if one is None else tuple(one.shape) for one in v] for v in values if type(v) is tuple]
                log.append((what, type(module).__name__, shapes))

            return hook

        net[0].register_forward_pre_hook(note("pre"))
        net[2].register_forward_hook(lambda module, args, output: output * 2)
        net[2].register_forward_hook(note("first"), prepend=True)
        net[1].register_forward_pre_hook(lambda module, args: (args[0] + 1,))
        net[1].register_full_backward_hook(note("backward"))
        net[1].register_full_backward_hook(lambda module, inward, outward: (inward[0] * outward[0],))
        net[0].register_full_backward_hook(note("last"))
        net[2].register_full_backward_pre_hook(lambda module, outward: (outward[0] * 3,))
        return net

    log: list[Any] = []
    their_log: list[Any] = []
    ours, theirs = watched(nn, log), watched(torch.nn, their_log)
    ours.load_state_dict({key: one.numpy() for key, one in theirs.state_dict().items()})
    x, tx = both((5, 3))
    agree(ours(x), theirs(tx), (x, tx), *zip(ours.parameters(), theirs.parameters(), strict=True))
    assert log == their_log


def test_hooks_come_off_and_know_keyword_arguments() -> None:
    """A handle removes its hook alone; with_kwargs shows and replaces them; a wrong number of gradients is refused."""

    class Scaled(nn.Module):
        def forward(self, x: Any, scale: float = 1.0) -> Any:
            return x * scale

    layer = Scaled()
    handle = layer.register_forward_pre_hook(lambda m, args, kw: (args, {"scale": kw["scale"] + 1}), with_kwargs=True)
    seen: list[Any] = []
    with layer.register_forward_hook(lambda m, args, kw, y: seen.append((kw, y.item())), with_kwargs=True):
        layer(Tensor(2.0), scale=2.0)
    assert seen == [({"scale": 3.0}, 6.0)]
    handle.remove()
    assert layer(Tensor(2.0), scale=2.0).item() == 4.0
    assert len(seen) == 1
    layer.register_full_backward_hook(lambda m, inward, outward: (inward[0], inward[0]))
    with pytest.raises(GradientError, match="returned 2 gradients for 1"):
        layer(Tensor(2.0, requires_grad=True)).backward()


def test_a_compiled_step_refuses_hooks_and_fit_goes_on_without_it() -> None:
    """Registered before or after the capture; fit(compile="auto") says why it does not compile."""
    model = nn.Sequential(nn.Linear(2, 2, seed=0), nn.ReLU(), nn.Linear(2, 2, seed=1))
    step = tg.compile(lambda x: model(x), backend="replay")
    before = step(zeros(3, 2)).data
    handle = model[1].register_forward_hook(lambda module, args, output: output + 1)
    with pytest.raises(CaptureError, match="ReLU has hooks"):
        step(zeros(3, 2))
    history = fit(model, np.zeros((64, 2), "float32"), np.zeros(64, int), epochs=300, verbose=0)
    assert history.compiled is None
    handle.remove()
    assert step(zeros(3, 2)).shape == before.shape


# --- computed weights ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dim", [0, 1, None])
def test_weight_norm_is_torchs(dim: int | None) -> None:
    """State, values, gradients of length and direction; it can be copied, pickled and taken off."""
    theirs = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(3, 2).double(), dim=dim)
    ours = weight_norm(nn.Linear(3, 2, dtype="float64"), dim=dim)
    state = {key: one.numpy() for key, one in theirs.state_dict().items()}
    assert [*ours.state_dict()] == [*state]
    ours.load_state_dict(state)
    x, tx = both((4, 3))
    agree(ours(x), theirs(tx), (x, tx), *zip(ours.parameters(), theirs.parameters(), strict=True))
    for other in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):  # noqa: S301 - written in the line itself
        assert np.array_equal(other(x).data, ours(x).data)
        assert type(other) is type(ours)
    value = ours.weight.data.copy()
    assert parametrize.is_parametrized(ours, "weight")
    parametrize.remove_parametrizations(ours, "weight")
    assert type(ours) is nn.Linear
    assert np.array_equal(ours.weight.data, value)
    assert {key for key, _ in ours.named_parameters()} == {"weight", "bias"}


def test_spectral_norm_is_torchs_over_several_steps() -> None:
    """Vectors, values and gradients, in training and in evaluation; the norm of the weight becomes 1."""
    theirs = torch.nn.utils.parametrizations.spectral_norm(torch.nn.Conv1d(2, 3, 2).double(), n_power_iterations=2)
    ours = spectral_norm(nn.Conv1d(2, 3, 2, dtype="float64"), n_power_iterations=2, seed=0)
    state = {key: one.numpy() for key, one in theirs.state_dict().items()}
    assert {key: one.shape for key, one in ours.state_dict().items()} == {k: v.shape for k, v in state.items()}
    ours.load_state_dict(state)
    for step in range(6):
        training = step < 5
        ours.train(training)
        theirs.train(training)
        x, tx = both((2, 2, 4), step)
        ours.zero_grad()
        theirs.zero_grad()
        agree(ours(x), theirs(tx), (x, tx), *zip(ours.parameters(), theirs.parameters(), strict=True))
        for key, one in theirs.state_dict().items():
            np.testing.assert_allclose(ours.state_dict()[key].data, one.numpy(), rtol=1e-10)
    assert abs(np.linalg.norm(ours.eval().weight.data.reshape(3, -1), 2) - 1) < 0.05


def test_computed_weights_refuse_what_they_cannot_do() -> None:
    """Assigning a computed weight, computing what is no parameter, taking off what is not there."""
    layer = weight_norm(nn.Linear(3, 2, seed=0))
    with pytest.raises(ArgumentError, match="weight is computed"):
        layer.weight = nn.Parameter(np.zeros((2, 3)))
    with pytest.raises(ArgumentError, match="is computed already"):
        weight_norm(layer)
    with pytest.raises(ArgumentError, match=r"scale is not a parameter; its parameters: \['weight', 'bias'\]"):
        weight_norm(nn.Linear(3, 2, seed=0), "scale")
    with pytest.raises(ArgumentError, match="is not computed"):
        parametrize.remove_parametrizations(nn.Linear(3, 2, seed=0), "weight")
    both_ways = weight_norm(layer, "bias", dim=None)
    assert [*both_ways.parametrizations.keys()] == ["weight", "bias"]
    assert both_ways(zeros(1, 3)).shape == (1, 2)


# --- initialisers ----------------------------------------------------------------------------------------------------


def test_every_initialiser_of_torch_is_there() -> None:
    """By name; what is not random has torch's values, and gains are torch's."""
    names = [one for one in dir(torch.nn.init) if one.endswith("_") and not one.startswith("_")]
    assert [one for one in names if not hasattr(init, one)] == []
    for shape in ((3, 5), (5, 3)):
        assert np.array_equal(init.eye_(nn.Parameter(np.ones(shape))).data, torch.nn.init.eye_(torch.ones(shape)))
    for shape, groups in (((4, 2, 3), 1), ((6, 2, 3, 2), 3)):
        ours, theirs = nn.Parameter(np.ones(shape)), torch.nn.init.dirac_(torch.ones(shape), groups)
        assert np.array_equal(init.dirac_(ours, groups).data, theirs)
    for name in ("linear", "conv2d", "conv_transpose1d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"):
        assert init.calculate_gain(name) == pytest.approx(torch.nn.init.calculate_gain(name))


@pytest.mark.parametrize("shape", [(4, 9), (9, 4), (4, 3, 3)])
def test_orthogonal_rows_or_columns(shape: tuple[int, ...]) -> None:
    """The shorter side is orthonormal times the gain."""
    w = init.orthogonal_(nn.Parameter(np.empty(shape)), 2.0, seed=0).data.reshape(shape[0], -1)
    product = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
    np.testing.assert_allclose(product, 4.0 * np.eye(len(product)), atol=1e-12)


@pytest.mark.parametrize(("a", "b"), [(-1.0, 2.0), (1.5, 1.7), (3.0, math.inf), (-math.inf, 5.0), (6.0, 7.0)])
def test_truncated_normal_has_its_moments(a: float, b: float) -> None:
    """Within the bounds, and with the mean and variance of the distribution, also far out.

    Source of the moments: Johnson, Kotz, Balakrishnan, "Continuous univariate distributions", 1994, section 13.10.
    """
    x = init.trunc_normal_(nn.Parameter(np.empty(20000)), 0.5, 2.0, 0.5 + 2 * a, 0.5 + 2 * b, seed=1).data

    def density(z: float) -> float:
        return math.exp(-z * z / 2) / math.sqrt(2 * math.pi)

    def weighted(z: float) -> float:
        return 0.0 if math.isinf(z) else z * density(z)

    inside = (math.erfc(a / math.sqrt(2)) - math.erfc(b / math.sqrt(2))) / 2
    mean = (density(a) - density(b)) / inside
    spread = math.sqrt(1 + (weighted(a) - weighted(b)) / inside - mean * mean)
    assert 0.5 + 2 * a <= x.min()
    assert x.max() <= 0.5 + 2 * b
    assert abs((x.mean() - 0.5) / 2 - mean) < 5 * spread / math.sqrt(len(x))
    assert abs(x.std() / 2 / spread - 1) < 0.05


def test_sparse_columns_have_their_zeros() -> None:
    """Exactly the asked number of zeros in each column."""
    w = init.sparse_(nn.Parameter(np.empty((10, 6))), 0.25, seed=0).data
    assert ((w == 0).sum(0) == 3).all()


# --- penalties -------------------------------------------------------------------------------------------------------


def test_penalties_leave_biases_alone_and_have_their_gradient() -> None:
    """Keras' formulas over weights with two axes or more."""
    model = nn.Sequential(nn.Linear(3, 2, seed=0, dtype="float64"), nn.BatchNorm1d(2, dtype="float64"))
    w = model[0].weight
    penalty = penalties.elastic_net(model, 0.1, 0.2)
    penalty.backward()
    np.testing.assert_allclose(penalty.item(), 0.1 * abs(w.data).sum() + 0.2 * (w.data**2).sum())
    np.testing.assert_allclose(w.grad.data, 0.1 * np.sign(w.data) + 0.4 * w.data)
    assert model[0].bias.grad is None
    assert model[1].weight.grad is None
    np.testing.assert_allclose(
        penalties.l1(model, 0.1).item() + penalties.l2([w], 0.2).item(), penalty.item(), rtol=1e-12
    )
    assert penalties.l2(nn.ReLU(), 0.1).item() == 0.0


def test_constraints_hold_after_they_were_enforced_also_in_a_compiled_step() -> None:
    """Rows longer than the limit get exactly its length, others stay; replay gives the bits of the eager step."""

    def trained(backend: str | None) -> Any:
        model = nn.MLP(3, 8, 2, seed=0)
        optimizer = optim.SGD(model.parameters(), lr=0.5)

        def step(x: Tensor) -> Any:
            optimizer.zero_grad()
            loss = model(x).square().mean() + penalties.l2(model, 1e-3)
            loss.backward()
            optimizer.step()
            penalties.max_norm_(model, 0.5)
            return loss

        run = step if backend is None else tg.compile(step, backend=backend)
        for i in range(4):
            run(randn(6, 3, seed=i))
        return model

    eager, replayed = trained(None), trained("replay")
    for one, other in zip(eager.parameters(), replayed.parameters(), strict=True):
        assert one.data.tobytes() == other.data.tobytes()
    lengths = np.linalg.norm(eager[0].weight.data, axis=1)
    assert lengths.max() <= 0.5 * (1 + 1e-6)
    penalties.unit_norm_(eager)
    np.testing.assert_allclose(np.linalg.norm(eager[0].weight.data, axis=1), 1.0, rtol=1e-6)
    penalties.non_negative_(eager)
    assert eager[0].weight.data.min() >= 0


# --- compiled training -----------------------------------------------------------------------------------------------


def convolutional() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, seed=0),
        nn.BatchNorm2d(4, momentum=None),
        nn.ELU(),
        nn.MaxPool2d(2),
        nn.Dropout2d(0.2, seed=1),
        spectral_norm(nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect", groups=2, seed=2), seed=3),
        nn.GroupNorm(2, 4),
        nn.AvgPool2d(2, padding=1),
        nn.Flatten(),
        nn.LayerNorm(16),
        nn.AlphaDropout(0.1, seed=4),
        nn.Linear(16, 8, seed=5),
        nn.BatchNorm1d(8),
        nn.RReLU(seed=6),
        nn.Linear(8, 3, seed=7),
    )


def attending() -> nn.Module:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2, dropout=0.1, batch_first=True, seed=0)
            self.norm = nn.RMSNorm(8)
            self.act = nn.PReLU(6)
            self.head = weight_norm(nn.Linear(8, 3, seed=1))

        def forward(self, x: Any) -> Any:
            x = ops.reshape(x, (x.shape[0], 6, 6))
            x = F.pad(x, (0, 2))
            return self.head(self.act(self.norm(x + self.attention(x, x, x, is_causal=True)[0])).mean(1))

    return Net()


@pytest.mark.parametrize("make", [convolutional, attending])
@pytest.mark.parametrize("backend", ["replay", "native"])
def test_compiled_training_moves_weights_statistics_and_draws_like_the_loop(
    make: Callable[[], nn.Module], backend: str
) -> None:
    """Replay to the bit: parameters, running statistics, singular vectors, counts. Native within rounding."""
    if backend == "native" and not _compiler():
        pytest.skip("no C compiler")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 1, 6, 6)).astype(np.float32), rng.integers(0, 3, 40)
    states = []
    for way in (False, backend):
        model = make()
        history = fit(model, x, y, epochs=3, batch_size=16, optimizer="sgd", lr=0.05, seed=0, compile=way, verbose=0)
        assert history.compiled == (None if way is False else way)
        states.append({key: one.data for key, one in model.state_dict().items()})
    for key, one in states[0].items():
        if backend == "replay":
            assert one.tobytes() == states[1][key].tobytes(), key
        else:
            np.testing.assert_allclose(states[1][key], one, rtol=2e-3, atol=2e-4, err_msg=key)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_statistics_of_a_piece_that_broke_are_put_back() -> None:
    """An infinity in the last batch: the compiled run goes back and ends where the loop does, statistics as well."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(64, 3)).astype(np.float32), rng.integers(0, 2, 64)
    x[-1] = np.inf
    states = []
    for way in (False, "replay"):
        model = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 2, seed=0))
        history = fit(model, x, y, epochs=2, batch_size=8, shuffle=False, compile=way, verbose=0)
        assert "non-finite" in str(history.stopped)
        states.append({key: one.data.tobytes() for key, one in model.state_dict().items()})
    assert states[0] == states[1]
    assert model[0].num_batches_tracked.item() == 8


def _compiler() -> bool:
    from tinygrad_mlp.train.compiled import _has_compiler

    return _has_compiler()


def test_evaluation_of_a_compiled_batch_norm_follows_the_statistics() -> None:
    """Captured once in evaluation, it reads the statistics of the moment."""
    layer = nn.BatchNorm1d(3)
    step = tg.compile(lambda x: layer(x), backend="replay")
    x = randn(5, 3, seed=0)
    step(x)
    layer.eval()
    assert np.array_equal(step(x).data, layer(x).data)
    layer.train()
    step(x)
    layer.eval()
    assert np.array_equal(step(x).data, layer(x).data)
    assert layer.num_batches_tracked.item() == 2
    assert len(step.captures) == 2


# --- messages --------------------------------------------------------------------------------------------------------

MESSAGES: list[tuple[Callable[[], Any], str]] = [
    (
        lambda: nn.Conv2d(3, 8, 3, seed=0)(zeros(2, 1, 8, 8)),
        (
            "Conv2d expected input of shape (batch, channels, height, width) with channels = 3, got (2, 1, 8, 8); "
            "make it "
            "1 input channels"
        ),
    ),
    (
        lambda: nn.Conv2d(3, 8, 3, seed=0)(zeros(2, 8, 8, 3)),
        (
            "Conv2d expected input of shape (batch, channels, height, width) with channels = 3, got (2, 8, 8, 3); if "
            "the "
            "channels come last: x.permute(0, 3, 1, 2)"
        ),
    ),
    (
        lambda: nn.Conv2d(1, 8, 3, seed=0)(zeros(16, 28, 28)),
        (
            "Conv2d expected input of shape (batch, channels, height, width) with channels = 1, got (16, 28, 28); "
            "pictures "
            "and sequences without channels get one: x.unsqueeze(1)"
        ),
    ),
    (
        lambda: nn.Conv1d(1, 8, 5, seed=0)(zeros(2, 1, 3)),
        (
            "Conv1d: the window is 5 long along length, the input (with padding) 3; take a smaller kernel_size, "
            "padding=1 "
            "more, or larger inputs"
        ),
    ),
    (
        lambda: nn.Conv1d(2, 4, 3, stride=2, padding="same", seed=0),
        "Conv1d: padding='same' keeps lengths, which a stride of (2,) cannot; say stride=1, or give numbers",
    ),
    (
        lambda: nn.MaxPool2d(2)(zeros(28, 28)),
        (
            "max_pool2d expected input of shape (batch, channels, height, width), or without batch, got (28, 28); "
            "x.unsqueeze(1) puts an axis of channels in"
        ),
    ),
    (
        lambda: nn.BatchNorm1d(4)(zeros(2, 3)),
        (
            "BatchNorm1d expected input of shape (batch, channels) or (batch, channels, length) with channels = 4, got "
            "(2, 3); make the layer BatchNorm1d(3)"
        ),
    ),
    (
        lambda: nn.BatchNorm1d(4)(zeros(2, 4, 5, 5)),
        (
            "BatchNorm1d expected input of shape (batch, channels) or (batch, channels, length) with channels = 4, got "
            "(2, 4, 5, 5); pictures have their own layer: BatchNorm2d(4)"
        ),
    ),
    (
        lambda: nn.BatchNorm2d(4)(zeros(2, 4)),
        (
            "BatchNorm2d expected input of shape (batch, channels, height, width) with channels = 4, got (2, 4); for "
            "features or sequences say BatchNorm1d(4); for one picture x.unsqueeze(0)"
        ),
    ),
    (
        lambda: nn.BatchNorm1d(4)(zeros(1, 4)),
        (
            "batch_norm: one value per channel has no variance, got shape (1, 4) in training; give batches of two "
            "samples "
            "or more (DataLoader(drop_last=True)), or say model.eval()"
        ),
    ),
    (
        lambda: nn.LayerNorm(4)(zeros(2, 3)),
        (
            "layer_norm expected input of shape (…, 4), got (2, 3); make it normalized_shape=3, the length of the last "
            "axis"
        ),
    ),
    (
        lambda: nn.GroupNorm(2, 4)(zeros(2, 3, 5)),
        (
            "GroupNorm expected input of shape (batch, channels, …) with channels = 4, got (2, 3, 5); make the layer "
            "GroupNorm(2, channels), or say x.transpose(1, -1) if the channels come last"
        ),
    ),
    (
        lambda: nn.MultiheadAttention(8, 2, seed=0)(zeros(4, 2, 6), zeros(4, 2, 6), zeros(4, 2, 6)),
        (
            "MultiheadAttention expected query of shape (L, batch, features) with 8 features, key with 8 and value "
            "with 8, "
            "got (4, 2, 6), (4, 2, 6) and (4, 2, 6); make the layer MultiheadAttention(6, 2)"
        ),
    ),
    (
        lambda: nn.MultiheadAttention(7, 2),
        "MultiheadAttention: embed_dim 7 does not fall into 2 equal heads; say MultiheadAttention(8, 2)",
    ),
    (
        lambda: nn.Bilinear(2, 3, 4, seed=0)(zeros(5, 2), zeros(5, 2)),
        (
            "bilinear expected inputs of shape (batch, features) = (…, 2) and (…, 3), with one batch, got (5, 2) and "
            "(5, 2); make the layer Bilinear(2, 2, 4), or give both inputs as many rows"
        ),
    ),
    (
        lambda: nn.Unflatten(1, (2, 4))(zeros(3, 6)),
        (
            "Unflatten splits axis 1 of shape (3, 6), which is 6 long, into (2, 4), which have 8 elements; say "
            "Unflatten"
            "(1, …) with sizes that multiply to 6"
        ),
    ),
    (
        lambda: nn.PReLU(3)(zeros(2, 4)),
        "prelu: expected a weight for each of 4 channels (axis 1 of (2, 4)) or a single one, got 3; say PReLU(4)",
    ),
    (
        lambda: nn.GLU()(zeros(2, 3)),
        (
            "glu: halves axis -1 of shape (2, 3), which is 3 long; make the layer before it give an even number, 4 for "
            "instance"
        ),
    ),
    (
        lambda: nn.Dropout2d(0.5)(zeros(2, 3)),
        (
            "dropout2d drops whole channels: expected (batch, channels, height, width), or the same without batch, got "
            "shape (2, 3); to drop single elements say Dropout"
        ),
    ),
    (
        lambda: nn.BCELoss()(Tensor([2.0]), Tensor([1.0])),
        (
            "binary_cross_entropy: probabilities lie in [0, 1], these run from 2 to 2; logits? "
            "binary_cross_entropy_with_logits (BCEWithLogitsLoss)"
        ),
    ),
    (
        lambda: nn.L1Loss()(zeros(3, 1), zeros(3)),
        "l1_loss: input (3, 1) and target (3,) differ in shape; target.reshape(3, 1)",
    ),
    (
        lambda: nn.CrossEntropyLoss(np.ones(2))(zeros(4, 3), np.zeros(4, int)),
        "cross_entropy: expected a weight for each of 3 classes, got shape (2,)",
    ),
]


@pytest.mark.parametrize("place", range(len(MESSAGES)))
def test_messages_say_what_was_expected_what_came_and_what_fixes_it(place: int) -> None:
    """Word for word."""
    call, message = MESSAGES[place]
    with pytest.raises((ShapeError, ArgumentError)) as caught:
        call()
    assert str(caught.value) == message


def test_a_summary_of_a_convolutional_network_has_shapes_and_sizes() -> None:
    """Output shapes without the batch, parameters as torch counts them."""
    table = convolutional().summary((1, 6, 6))
    convolutions = [row for row in table.rows if "Conv2d" in row.kind]
    assert convolutions[0].kind == "Conv2d"
    assert (convolutions[0].output_shape, convolutions[0].parameters) == ((None, 4, 6, 6), 40)
    assert convolutions[1].kind == "ParametrizedConv2d"
    assert convolutions[1].parameters == 76
    assert table.total == 343
