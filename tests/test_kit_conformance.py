"""check_module and check_optimizer: everything of the package passes, and planted mistakes are found by name."""

# ruff: noqa: D101 - the names of the broken classes say what is broken

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from test_nn import MODULES as MORE
from test_nn import LastOutput

from tinygrad_mlp import Tensor, nn, ops, optim
from tinygrad_mlp.errors import ArgumentError, ConformanceError
from tinygrad_mlp.tape import wrote
from tinygrad_mlp.testing import check_module, check_optimizer
from tinygrad_mlp.testing.conformance import MODULE_CHECKS, OPTIMIZER_CHECKS

RNG = np.random.default_rng(0)
X = RNG.normal(size=(4, 3)).astype("float32")

# --- modules of the package -----------------------------------------------------------------------

ROWS = RNG.normal(size=(4, 4)).astype("float32")
SERIES = RNG.normal(size=(4, 2, 2)).astype("float32")
IMAGES = RNG.normal(size=(4, 2, 2, 2)).astype("float32")
SHARES = (np.exp(ROWS) / np.exp(ROWS).sum(1, keepdims=True)).astype("float32")
SIGNS = np.array([1.0, -1.0, 1.0, -1.0], "float32")
MODULES: dict[str, tuple[nn.Module, Any]] = {
    **{name: (kind(), ROWS) for name, kind in nn.ACTIVATIONS.items() if isinstance(kind, type)},
    "GELU": (nn.GELU(), None),
    "LeakyReLU": (nn.LeakyReLU(0.2), None),
    "LogSoftmax": (nn.LogSoftmax(-1), None),
    "ReLU": (nn.ReLU(), None),
    "Sigmoid": (nn.Sigmoid(), None),
    "SiLU": (nn.SiLU(), None),
    "Softmax": (nn.Softmax(-1), None),
    "Softplus": (nn.Softplus(), None),
    "Tanh": (nn.Tanh(), None),
    "Dropout": (nn.Dropout(0.4, seed=0), None),
    "Flatten": (nn.Flatten(), RNG.normal(size=(4, 2, 3))),
    "Identity": (nn.Identity(), None),
    "Linear": (nn.Linear(3, 2, seed=0), None),
    "Linear without bias": (nn.Linear(3, 2, bias=False, seed=0), None),
    "MLP": (nn.MLP(3, 5, 2, activation="gelu", dropout=0.5, seed=0), None),
    "Sequential": (nn.Sequential(nn.Flatten(), nn.Linear(3, 2, seed=0), nn.Tanh()), None),
    "MSELoss": (nn.MSELoss(), (X, X[::-1])),
    "CrossEntropyLoss": (nn.CrossEntropyLoss(), (X, np.array([0, 2, 1, 1]))),
    "BCEWithLogitsLoss": (nn.BCEWithLogitsLoss(), (X, (X > 0.3).astype("float32"))),
    **{name: (getattr(nn, name)(), ROWS) for name in ("Hardshrink", "Softmin", "PReLU", "ELU", "GLU")},
    "Threshold": (nn.Threshold(0.1, -1.0), ROWS),
    "Softmax2d": (nn.Softmax2d(), IMAGES),
    "Bilinear": (nn.Bilinear(4, 4, 2, seed=0), (ROWS, ROWS[::-1])),
    "Embedding": (nn.Embedding(5, 3, seed=0), np.array([[0, 4], [1, 1], [2, 3], [4, 0]])),
    "LSTMCell": (nn.LSTMCell(4, 2, seed=0), ROWS),
    "GRU": (LastOutput(nn.GRU(2, 3, batch_first=True, seed=0)), SERIES),
    "RNNCell": (nn.RNNCell(4, 2, seed=0), ROWS),
    "Dropout2d": (nn.Dropout2d(0.5, seed=0), IMAGES),
    "FeatureAlphaDropout": (nn.FeatureAlphaDropout(0.5, seed=0), IMAGES),
    "AdaptiveAvgPool1d": (nn.AdaptiveAvgPool1d(2), SERIES),
    "AvgPool2d": (nn.AvgPool2d(2), IMAGES),
    "MaxPool1d": (nn.MaxPool1d(2), SERIES),
    "InstanceNorm2d": (nn.InstanceNorm2d(2), IMAGES),
    **{
        name: (getattr(nn, name)(), (ROWS, ROWS[::-1].copy()))
        for name in ("L1Loss", "SmoothL1Loss", "HuberLoss", "PoissonNLLLoss")
    },
    "BCELoss": (nn.BCELoss(), (SHARES, SHARES[::-1].copy())),
    "KLDivLoss": (nn.KLDivLoss(reduction="batchmean"), (np.log(SHARES), SHARES[::-1].copy())),
    "NLLLoss": (nn.NLLLoss(), (np.log(SHARES), np.array([0, 2, 1, 3]))),
    "MultiMarginLoss": (nn.MultiMarginLoss(), (ROWS, np.array([0, 2, 1, 3]))),
    "GaussianNLLLoss": (nn.GaussianNLLLoss(), (ROWS, ROWS[::-1].copy(), SHARES)),
    "HingeEmbeddingLoss": (nn.HingeEmbeddingLoss(), (ROWS, SIGNS[:, None] * np.ones_like(ROWS))),
    "SoftMarginLoss": (nn.SoftMarginLoss(), (ROWS, SIGNS[:, None] * np.ones_like(ROWS))),
    "MarginRankingLoss": (nn.MarginRankingLoss(0.1), (ROWS[:, 0], ROWS[:, 1], SIGNS)),
    "CosineEmbeddingLoss": (nn.CosineEmbeddingLoss(0.1), (ROWS, ROWS[::-1].copy(), SIGNS)),
    "TripletMarginLoss": (nn.TripletMarginLoss(), (ROWS, ROWS[::-1].copy(), ROWS[[1, 0, 3, 2]])),
}
NOT_LAYERS = {"Module", "ModuleList", "Summary", "IncompatibleKeys", "Parameter", "ACTIVATIONS", "functional", "init"}
NOT_LAYERS |= {"ModuleDict", "ParameterDict", "ParameterList", "penalties", "utils"}


@pytest.mark.parametrize("name", MODULES)
def test_every_module_of_the_package_passes(name: str) -> None:
    """Layers, containers, activations and losses."""
    module, inputs = MODULES[name]
    before = {key: one.data.copy() for key, one in module.state_dict().items()}
    assert check_module(module, inputs).ok
    assert all(np.array_equal(one.data, before[key]) for key, one in module.state_dict().items())
    assert all(one.grad is None for one in module.parameters())
    assert module.training


def test_no_module_is_forgotten() -> None:
    """What nn exports as a module is in the list above, or among those that the laws of tests/test_nn.py are run on."""
    networks = [module for module, _ in MODULES.values()] + [make("float32") for make, _ in MORE.values()]
    tried = {type(module).__name__ for network in networks for module in network.modules()}
    assert set(nn.__all__) - NOT_LAYERS <= tried


# --- planted mistakes in modules ------------------------------------------------------------------


class Scaled(nn.Module):
    """``x * weight``, the right one; those below differ in one thing."""

    in_features = 3

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(np.array([0.5, -1.5, 2.0], "float32"))

    def forward(self, x: Any) -> Any:
        return x * self.weight


class Moody(Scaled):
    def forward(self, x: Any) -> Any:
        return x * self.weight + float(np.random.default_rng().random())


class Greedy(Scaled):
    def forward(self, x: Any) -> Any:
        y = x.detach() * self.weight
        np.multiply(x.data, 2, out=x.data)
        return y


class Drifting(Scaled):
    def forward(self, x: Any) -> Any:
        self.weight.data[...] *= 0.5
        return x * self.weight.detach()


class Hiding(Scaled):
    def __init__(self) -> None:
        super().__init__()
        self.__dict__["extra"] = {"shift": nn.Parameter(np.zeros(3, "float32"))}

    def forward(self, x: Any) -> Any:
        return x * self.weight + self.extra["shift"]


class HidingALayer(Scaled):
    def __init__(self) -> None:
        super().__init__()
        self.__dict__["layers"] = [nn.Linear(3, 3, seed=0)]

    def forward(self, x: Any) -> Any:
        return self.layers[0](x) * self.weight


class Detached(Scaled):
    def forward(self, x: Any) -> Any:
        return x * self.weight + x * Tensor(np.tanh(self.weight.data))


class Unused(Scaled):
    def __init__(self) -> None:
        super().__init__()
        self.spare = nn.Parameter(np.ones(2, "float32"))


class Widening(Scaled):
    def forward(self, x: Any) -> Any:
        return x * self.weight * np.array([1.0, 2.0, 3.0])


class Stuck(Scaled):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Dropout(0.5, seed=0)

    def train(self, mode: bool = True) -> Any:
        self.__dict__["training"] = mode
        return self


class Forgetful(Scaled):
    def state_dict(self) -> Any:
        return {}

    def load_state_dict(self, state: Any, strict: bool = True) -> Any:
        return None


class Lending(Scaled):
    def state_dict(self) -> Any:
        return {"weight": Tensor(0.0), **self.named_state()}


class Clinging(Scaled):
    def __deepcopy__(self, memo: Any) -> Any:
        made = Clinging()
        made.weight = self.weight
        return made


class Hoarding(Scaled):
    def zero_grad(self, set_to_none: bool = True) -> None:
        """Nothing happens."""


class Fixed(Scaled):
    def forward(self, x: Any) -> Any:
        return ops.reshape(x * self.weight, (4, 3))


BROKEN: dict[str, tuple[Callable[[], nn.Module], str, str]] = {
    "random in evaluation": (Moody, "deterministic_in_evaluation", "second run"),
    "writes into its input": (Greedy, "forward_only_reads", "input 0"),
    "writes into its parameter": (Drifting, "forward_only_reads", "parameter weight"),
    "hides a parameter": (Hiding, "parameters_are_registered", "Hiding.extra"),
    "hides a layer": (HidingALayer, "parameters_are_registered", "HidingALayer.layers"),
    "cuts a gradient off": (Detached, "gradients_are_right", "by the parameters"),
    "leaves a parameter out": (Unused, "every_parameter_is_reached", "spare"),
    "widens to float64": (Widening, "dtypes_stay", "output 0 is float64"),
    "train() stops at the top": (Stuck, "modes_reach_every_layer", "Dropout"),
    "state without parameters": (Forgetful, "state_goes_round", "leaves out weight"),
    "state that is not a copy": (Lending, "state_goes_round", "changes with the module"),
    "copy that shares": (Clinging, "copies_are_equal_and_independent", "shares memory"),
    "zero_grad() does nothing": (Hoarding, "zero_grad_forgets", "weight keeps its gradient"),
    "a batch of four only": (Fixed, "any_batch", "ShapeError"),
}


def test_the_module_without_mistake_passes() -> None:
    """What the broken ones are compared with."""
    assert check_module(Scaled()).ok


@pytest.mark.parametrize("name", BROKEN)
def test_a_mistake_in_a_module_is_found_by_name(name: str) -> None:
    """The check beside the mistake is among those that fail, and says what is wrong."""
    make, check, words = BROKEN[name]
    report = check_module(make(), raise_on_failure=False)
    assert check in report.failed, str(report)
    assert words in report[check].detail, str(report)
    with pytest.raises(ConformanceError, match=check):
        check_module(make(), checks=[check])


def test_shared_gradients_of_a_module_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A backward pass that hands the same array to two parameters."""

    class Two(Scaled):
        def __init__(self) -> None:
            super().__init__()
            self.second = nn.Parameter(np.zeros(3, "float32"))

        def forward(self, x: Any) -> Any:
            return x * self.weight + self.second

    right = Tensor.backward

    def sharing(self: Tensor, *args: Any, **options: Any) -> None:
        right(self, *args, **options)
        leaves = [node for node in _leaves(self) if node.array.shape == (3,)]
        for node in leaves:
            node.gradient = leaves[0].gradient

    assert check_module(Two(), checks=["gradients_share_no_memory"]).ok
    monkeypatch.setattr(Tensor, "backward", sharing)
    report = check_module(Two(), checks=["gradients_share_no_memory"], raise_on_failure=False)
    assert report.failed == ["gradients_share_no_memory"]


def _leaves(y: Tensor) -> list[Any]:
    seen, stack = [], [y.node]
    while stack:
        node: Any = stack.pop()
        if hasattr(node, "gradient"):
            seen.append(node)
        stack.extend(node.inputs)
    return seen


def test_every_check_of_modules_has_found_a_mistake() -> None:
    """A check that has never failed proves nothing."""
    assert {check for _, check, _ in BROKEN.values()} | {"gradients_share_no_memory"} == set(MODULE_CHECKS)


def test_inputs_are_worked_out_or_asked_for() -> None:
    """A module whose inputs cannot be told says so, and takes a shape or inputs."""

    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(np.ones((2, 5), "float32"))

        def forward(self, x: Any) -> Any:
            return x * self.weight

    with pytest.raises(ArgumentError, match=r"shape=\(3,\)"):
        check_module(Own())
    assert check_module(Own(), shape=(2, 5)).ok
    assert check_module(Own(), np.ones((3, 2, 5), "float32")).ok
    with pytest.raises(ArgumentError, match="several inputs"):
        check_module(nn.MSELoss())
    with pytest.raises(ArgumentError, match="did you mean 'any_batch'"):
        check_module(Own(), shape=(2, 5), checks=["any_batsh"])


def test_several_outputs_are_all_checked() -> None:
    """A tuple or dictionary of tensors is taken apart; something that gives no tensor is refused."""

    class Heads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(3, 2, seed=0), nn.Linear(3, 1, seed=1)

        def forward(self, x: Any) -> Any:
            return {"a": self.a(x), "b": (self.b(x), x)}

    assert check_module(Heads()).ok

    class Silent(Scaled):
        def forward(self, x: Any) -> Any:
            return None

    assert "no tensor" in check_module(Silent(), raise_on_failure=False)["forward_only_reads"].detail


# --- optimizers of the package --------------------------------------------------------------------

OPTIMIZERS: dict[str, Callable[..., Any]] = {
    "SGD": lambda params: optim.SGD(params, 0.05),
    "SGD, momentum": lambda params: optim.SGD(params, 0.05, momentum=0.9, dampening=0.1, weight_decay=0.01),
    "SGD, Nesterov": lambda params: optim.SGD(params, 0.05, momentum=0.9, nesterov=True),
    "SGD, maximize": lambda params: optim.SGD(params, 0.05, maximize=True),
    "Adam": lambda params: optim.Adam(params),
    "Adam, amsgrad and decay": lambda params: optim.Adam(params, 0.05, weight_decay=0.01, amsgrad=True),
    "AdamW": lambda params: optim.AdamW(params, 0.05),
    "RMSprop": lambda params: optim.RMSprop(params, 0.05, momentum=0.5, centered=True),
    "Adagrad": lambda params: optim.Adagrad(params, 0.05, lr_decay=0.1),
    "Adadelta": lambda params: optim.Adadelta(params, 0.5),
    "Adamax": lambda params: optim.Adamax(params, 0.05),
    "NAdam": lambda params: optim.NAdam(params, 0.05),
    "RAdam": lambda params: optim.RAdam(params, 0.05),
    "Rprop": lambda params: optim.Rprop(params, 0.05),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_of_the_package_passes(name: str) -> None:
    """In all its ways; nothing is passed over but what there is not."""
    report = check_optimizer(OPTIMIZERS[name])
    passed_over = {one.name for one in report.findings if one.verdict != "passed"}
    assert passed_over == ({"weight_decay_shrinks"} if name == "Rprop" else set())  # it has none
    assert [one.name for one in report.findings] == list(OPTIMIZER_CHECKS)


def test_no_optimizer_is_forgotten() -> None:
    """What optim exports is in the list above, but for L-BFGS, which asks for the loss several times in a step."""
    made = {type(make([nn.Parameter(1.0)])).__name__ for make in OPTIMIZERS.values()}
    kinds = {name for name in optim.__all__ if isinstance(getattr(optim, name), type)}
    assert made == kinds - {"Optimizer", "LBFGS"}


# --- planted mistakes in optimizers ---------------------------------------------------------------


class Momentum:
    """A plain optimizer with momentum, written outside the package; those below differ in one thing."""

    def __init__(self, params: list[Tensor]) -> None:
        self.param_groups: list[dict[str, Any]] = [
            {"params": params, "lr": 0.05, "weight_decay": 0.0, "maximize": False}
        ]
        self.state: dict[int, dict[str, Any]] = {}

    def step(self) -> None:
        group = self.param_groups[0]
        for place, one in enumerate(group["params"]):
            if one.grad is not None and one.requires_grad:
                self.update(one, one.grad.data, self.state.setdefault(place, {}), group)
                wrote("Momentum.step", one.data)

    def direction(self, one: Tensor, gradient: Any, group: dict[str, Any]) -> Any:
        signed = -gradient if group["maximize"] else gradient
        return signed + np.asarray(group["weight_decay"], one.dtype) * one.data

    def update(self, one: Tensor, gradient: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        rate = np.asarray(group["lr"], one.dtype)
        moved = self.direction(one, gradient, group)
        before = state.get("momentum")
        state["momentum"] = np.array(moved) if before is None else before * one.dtype.type(0.9) + moved
        one.data[...] -= rate * state["momentum"]

    def zero_grad(self) -> None:
        for one in self.param_groups[0]["params"]:
            one.grad = None

    def state_dict(self) -> dict[str, Any]:
        return {"state": {k: {n: np.array(v) for n, v in s.items()} for k, s in self.state.items()}}

    def load_state_dict(self, state: Any) -> None:
        self.state = {k: dict(s) for k, s in state["state"].items()}


class Uphill(Momentum):
    def direction(self, one: Tensor, gradient: Any, group: dict[str, Any]) -> Any:
        return -super().direction(one, gradient, group)


class Amnesiac(Momentum):
    def state_dict(self) -> dict[str, Any]:
        return {"state": {}}


class Restless(Momentum):
    def step(self) -> None:
        super().step()
        for place, one in enumerate(self.param_groups[0]["params"]):
            one.data[...] -= 0.01 * np.asarray(self.state.get(place, {}).get("momentum", 0.0))


class Promoting(Momentum):
    def update(self, one: Tensor, gradient: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        super().update(one, gradient, state, group)
        state["momentum"] = state["momentum"].astype(np.float64)


class Replacing(Momentum):
    def update(self, one: Tensor, gradient: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        moved = one.dtype.type(group["lr"]) * self.direction(one, gradient, group)
        one.data = np.asarray(one.data - moved)


class Secretive(Momentum):
    def step(self) -> None:
        group = self.param_groups[0]
        for place, one in enumerate(group["params"]):
            if one.grad is not None and one.requires_grad:
                self.update(one, one.grad.data, self.state.setdefault(place, {}), group)


class Normalizing(Momentum):
    def direction(self, one: Tensor, gradient: Any, group: dict[str, Any]) -> Any:
        with np.errstate(invalid="ignore", divide="ignore"):
            return super().direction(one, gradient / np.sqrt(np.sum(gradient * gradient)), group)


class Keeping(Momentum):
    def update(self, one: Tensor, gradient: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        if "momentum" not in state and not group["weight_decay"] and not group["maximize"]:
            state["momentum"] = gradient
            one.data[...] -= np.asarray(group["lr"], one.dtype) * gradient
        else:
            super().update(one, gradient, state, group)


class Clipping(Momentum):
    def direction(self, one: Tensor, gradient: Any, group: dict[str, Any]) -> Any:
        np.clip(gradient, -0.5, 0.5, out=gradient)
        return super().direction(one, gradient, group)


class Descending(Momentum):
    def direction(self, one: Tensor, gradient: Any, group: dict[str, Any]) -> Any:
        return super().direction(one, gradient, {**group, "maximize": False})


class Growing(Momentum):
    def direction(self, one: Tensor, gradient: Any, group: dict[str, Any]) -> Any:
        return super().direction(one, gradient, {**group, "weight_decay": -group["weight_decay"]})


class Leaving(Momentum):
    def zero_grad(self) -> None:
        """Nothing happens."""


class Rating(Momentum):
    def update(self, one: Tensor, gradient: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        # A rate that is an array makes the momentum float64.
        before = state.get("momentum", np.zeros_like(one.data))
        state["momentum"] = before * one.dtype.type(0.9) + group["lr"] * self.direction(one, gradient, group)
        one.data[...] -= state["momentum"]


BROKEN_OPTIMIZERS: dict[str, tuple[type, str, str]] = {
    "climbs": (Uphill, "steps_go_downhill", "a quadratic of"),
    "forgets its state": (Amnesiac, "resuming_changes_no_bit", "resumed after 1 steps"),
    "moves what has no gradient": (Restless, "parameters_without_gradient_stay", "a parameter without a gradient"),
    "state of float64": (Promoting, "parameters_and_state_keep_their_dtype", "holds float64"),
    "a rate of float64 spreads": (Rating, "any_kind_of_learning_rate", "holds float64 with lr="),
    "replaces the arrays": (Replacing, "parameters_are_updated_in_place", "another array"),
    "does not tell the tape": (Secretive, "the_tape_is_told", "stale graph"),
    "divides by nothing": (Normalizing, "zero_gradients_do_no_harm", "nan"),
    "keeps the gradient": (Keeping, "gradients_are_only_read", "changed a later step"),
    "clips the gradient in place": (Clipping, "gradients_are_only_read", "a gradient after a step"),
    "does not maximize": (Descending, "maximize_climbs", "with maximize"),
    "decays upwards": (Growing, "weight_decay_shrinks", "with weight_decay=0.1"),
    "zero_grad() does nothing": (Leaving, "zero_grad_clears", "left after zero_grad"),
}


def test_the_optimizer_without_mistake_passes() -> None:
    """What the broken ones are compared with; it is no Optimizer, only like one."""
    assert {one.verdict for one in check_optimizer(Momentum).findings} == {"passed"}


@pytest.mark.parametrize("name", BROKEN_OPTIMIZERS)
def test_a_mistake_in_an_optimizer_is_found_by_name(name: str) -> None:
    """The check beside the mistake is among those that fail, and says what is wrong."""
    make, check, words = BROKEN_OPTIMIZERS[name]
    report = check_optimizer(make, raise_on_failure=False)
    assert check in report.failed, str(report)
    assert words in report[check].detail, str(report)
    with pytest.raises(ConformanceError, match=f"{make.__name__} fails 1 of 1 checks:\n.*{check}"):
        check_optimizer(make, checks=[check])


def test_every_check_of_optimizers_has_found_a_mistake() -> None:
    """A check that has never failed proves nothing."""
    assert {check for _, check, _ in BROKEN_OPTIMIZERS.values()} == set(OPTIMIZER_CHECKS)


def test_options_that_an_optimizer_has_not_are_passed_over_with_the_reason() -> None:
    """Not applicable is not passed."""

    class Bare(Momentum):
        def __init__(self, params: list[Tensor]) -> None:
            super().__init__(params)
            del self.param_groups[0]["maximize"], self.param_groups[0]["weight_decay"]

        def direction(self, one: Tensor, gradient: Any, group: dict[str, Any]) -> Any:
            return gradient

    report = check_optimizer(Bare)
    assert report["maximize_climbs"].verdict == report["weight_decay_shrinks"].verdict == "not applicable"
    assert "'maximize'" in str(report["maximize_climbs"])
    assert str(report).startswith("Bare: 10 passed, 0 failed, 2 not applicable\n")


def test_a_report_is_a_table_that_can_be_asked() -> None:
    """Truth, names of what failed, one finding by its name."""
    report = check_module(Unused(), raise_on_failure=False)
    assert not report
    assert report.failed == ["every_parameter_is_reached"]
    assert len(str(report).splitlines()) == 2 + len(MODULE_CHECKS)
    with pytest.raises(ConformanceError, match="Unused fails 1 of 12 checks"):
        report.raise_if_failed()


def test_a_class_or_an_instance_in_the_wrong_place_is_named() -> None:
    """Modules are checked as instances, optimizers through a function that makes them: one line says so."""
    with pytest.raises(ArgumentError, match=r"give an instance: check_module\(ReLU\(\)\)"):
        check_module(nn.ReLU)  # type: ignore[arg-type]
    made = optim.SGD([Tensor([1.0], requires_grad=True)], lr=0.1)
    with pytest.raises(ArgumentError, match=r"check_optimizer\(lambda params: SGD\(params, lr=0.05\)\)"):
        check_optimizer(made)  # type: ignore[arg-type]
