"""Laws of optimizers: equal to PyTorch step by step, and one set of promises that every update rule keeps."""

from __future__ import annotations

import copy
import importlib.util
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_mlp as tg
from tinygrad_mlp import Tensor, nn, optim, randn
from tinygrad_mlp.errors import ArgumentError, ChangedValueError, DTypeError, GradientError, StateError

DATA = Path(__file__).parent / "data"
STORED = np.load(DATA / "optim.npz")
CASES: list[tuple[str, dict[str, Any]]] = [(name, options) for name, options in json.loads(str(STORED["cases"]))]
NAMES = [f"{name} {', '.join(f'{k}={v}' for k, v in options.items())}" for name, options in CASES]

# Largest difference over largest value. Both compute the same formula, rounding each product in the last place or two:
# a hundred steps came out within 2e-15 and 9e-7, so these bounds leave less than a factor of 10.
TOLERANCE = {"float64": 1e-14, "float32": 5e-6}


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


def our_trajectory(name: str, options: dict[str, Any], seed: int, dtype: str) -> np.ndarray:
    """All parameters after each step, flattened: the counterpart of ``torch_trajectory``."""
    start, noise, curvature = MAKER.problem(seed, dtype)
    params = [nn.Parameter(one) for one in start]
    optimizer = getattr(optim, name)(params, **options)
    rows = []
    for step in range(MAKER.STEPS):
        for place, (parameter, part, bend) in enumerate(zip(params, noise, curvature, strict=True)):
            gradient = Tensor(part[step] + bend * parameter.data, dtype=dtype)
            parameter.grad = gradient if MAKER.has_gradient(place, step) else None
        optimizer.step()
        rows.append(np.concatenate([one.data.ravel() for one in params]))
    return np.array(rows)


def check_close(ours: np.ndarray, theirs: np.ndarray, dtype: str) -> None:
    assert ours.dtype == theirs.dtype == dtype
    assert np.abs(ours - theirs).max() <= TOLERANCE[dtype] * np.abs(theirs).max()


# --- against PyTorch -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("place", range(len(CASES)), ids=NAMES)
def test_every_option_equals_the_stored_steps_of_torch(place: int, dtype: str) -> None:
    """Over 100 steps, some of them without a gradient for one parameter."""
    ours = our_trajectory(*CASES[place], seed=0, dtype=dtype)
    check_close(ours[np.array(MAKER.STORED_STEPS) - 1], STORED[dtype][place], dtype)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("place", range(len(CASES)), ids=NAMES)
def test_every_option_equals_torch_at_every_step(place: int, dtype: str) -> None:
    """The same with other numbers, at each of the 100 steps, against the PyTorch that is installed."""
    pytest.importorskip("torch")
    name, options = CASES[place]
    check_close(
        our_trajectory(name, options, seed=1, dtype=dtype),
        MAKER.torch_trajectory(name, options, seed=1, dtype=dtype),
        dtype,
    )


def test_the_stored_grid_is_that_of_the_script() -> None:
    """Nobody changed the script without making the file again; both dtypes have every case."""
    assert json.loads(json.dumps(MAKER.optimizer_cases())) == [list(case) for case in CASES]
    assert all(STORED[dtype].shape == (len(CASES), len(MAKER.STORED_STEPS), 11) for dtype in TOLERANCE)


def test_defaults_are_those_of_torch() -> None:
    """Every option that torch has too starts with torch's value."""
    torch = pytest.importorskip("torch")
    for name in [name for name, one in vars(optim).items() if isinstance(one, type) and name != "Optimizer"]:
        theirs = getattr(torch.optim, name)([torch.zeros(1, requires_grad=True)]).defaults
        for option, value in getattr(optim, name)([nn.Parameter(1.0)]).defaults.items():
            assert value == theirs[option], (name, option)


# --- laws of every optimizer -----------------------------------------------------------------------------------------

Make = Callable[..., optim.Optimizer]
MAKES: dict[str, Make] = {
    "SGD": lambda params, lr=0.05: optim.SGD(params, lr),
    "SGD, momentum": lambda params, lr=0.05: optim.SGD(params, lr, momentum=0.9, dampening=0.1, weight_decay=0.01),
    "SGD, Nesterov": lambda params, lr=0.05: optim.SGD(params, lr, momentum=0.9, nesterov=True),
    "Adam": lambda params, lr=0.05: optim.Adam(params, lr, weight_decay=0.01),
    "Adam, amsgrad": lambda params, lr=0.05: optim.Adam(params, lr, amsgrad=True),
    "AdamW": lambda params, lr=0.05: optim.AdamW(params, lr),
    "Adadelta": lambda params, lr=0.5: optim.Adadelta(params, lr, rho=0.8, eps=1e-3),
    "Adagrad": lambda params, lr=0.05: optim.Adagrad(params, lr, lr_decay=0.01, initial_accumulator_value=0.1),
    "Adamax": lambda params, lr=0.05: optim.Adamax(params, lr),
    "NAdam": lambda params, lr=0.05: optim.NAdam(params, lr, weight_decay=0.01, decoupled_weight_decay=True),
    "RAdam": lambda params, lr=0.05: optim.RAdam(params, lr, betas=(0.8, 0.9)),
    "RMSprop": lambda params, lr=0.05: optim.RMSprop(params, lr, momentum=0.5, centered=True, eps=1e-2),
    "Rprop": lambda params, lr=0.01: optim.Rprop(params, lr),
}


@pytest.fixture(params=list(MAKES))
def make(request: pytest.FixtureRequest) -> Make:
    return MAKES[request.param]


def train(model: nn.Module, optimizer: optim.Optimizer, steps: int, seed: int = 0) -> list[float]:
    rng = np.random.default_rng(seed)
    losses = []
    for _ in range(steps):
        x = rng.normal(size=(8, 2)).astype(next(model.parameters()).dtype)
        optimizer.zero_grad()
        loss = nn.MSELoss()(model(Tensor(x)), Tensor(np.sin(x.sum(1, keepdims=True))))
        loss.backward()
        optimizer.step()
        losses.append(float(loss.item()))
    return losses


def flat(model: nn.Module) -> bytes:
    return b"".join(one.data.tobytes() for one in model.parameters())


def test_training_lowers_the_loss(make: Make) -> None:
    """An end to end check: a small net learns."""
    model = nn.MLP(2, 8, 1, activation="tanh", seed=0)
    losses = train(model, make(model.parameters()), 60)
    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:10])


@pytest.mark.parametrize("lr", [0.05, np.float64(0.05), np.float32(0.05), np.array(0.05), Tensor(0.05), 1])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_no_learning_rate_changes_a_dtype(make: Make, dtype: str, lr: Any) -> None:
    """Parameters and state keep the parameters' dtype; arrays keep their identity; gradients are only read."""
    params = [nn.Parameter(np.linspace(-1, 1, 6).reshape(2, 3).astype(dtype)), nn.Parameter(np.array(0.5, dtype))]
    arrays = [one.data for one in params]
    optimizer = make(params, lr)
    for step in range(3):
        optimizer.param_groups[0]["lr"] = lr
        for one in params:
            one.grad = Tensor(np.full(one.shape, 0.5 + step, dtype))
        before = [one.grad.data.copy() for one in params if one.grad is not None]
        optimizer.step()
        after = [one.grad.data for one in params if one.grad is not None]
        assert all(np.array_equal(new, old) for new, old in zip(after, before, strict=True))
    assert all(one.data is array for one, array in zip(params, arrays, strict=True))
    assert {one.dtype for one in params} == {np.dtype(dtype)}
    held = [one for state in optimizer.state.values() for one in state.values() if isinstance(one, np.ndarray)]
    assert all(one.dtype == dtype for one in held)


def test_stopping_and_resuming_changes_no_bit(make: Make) -> None:
    """Model and optimizer states taken at any step and loaded into fresh ones lead to the same bits."""
    for cut in (0, 1, 4):
        model = nn.MLP(2, 4, 1, activation="tanh", seed=0)
        optimizer = make(model.parameters())
        train(model, optimizer, cut, seed=cut)
        state = copy.deepcopy((model.state_dict(), optimizer.state_dict()))
        resumed = nn.MLP(2, 4, 1, activation="tanh", seed=1)
        second = make(resumed.parameters(), 0.9)
        resumed.load_state_dict(state[0])
        second.load_state_dict(state[1])
        assert repr(second) == repr(optimizer)
        train(model, optimizer, 5)
        train(resumed, second, 5)
        assert flat(model) == flat(resumed)
        assert json.dumps(plain(second.state_dict())) == json.dumps(plain(optimizer.state_dict()))


def plain(state: Any) -> Any:
    if isinstance(state, dict):
        return {str(key): plain(value) for key, value in state.items()}
    if isinstance(state, (list, tuple)):
        return [plain(value) for value in state]
    return state.tolist() if isinstance(state, Tensor) else state


@pytest.mark.parametrize("how", [copy.deepcopy, pickled_and_back])
def test_copies_train_on_by_themselves(make: Make, how: Callable[[Any], Any]) -> None:
    """A copied pair of model and optimizer goes on to the same bits, and neither disturbs the other."""
    model = nn.MLP(2, 4, 1, activation="tanh", seed=0)
    optimizer = make(model.parameters())
    train(model, optimizer, 3)
    other_model, other = how((model, optimizer))
    before = flat(model)
    train(other_model, other, 3)
    assert flat(model) == before
    train(model, optimizer, 3)
    assert flat(model) == flat(other_model) != before


def test_tied_parameters_are_updated_once(make: Make) -> None:
    """model.parameters() gives a tied one once; its step is that of the sum of both gradients."""
    model = nn.Sequential(nn.Linear(2, 2, False, seed=0), nn.Linear(2, 2, False, seed=1))
    model[1].weight = model[0].weight
    single = nn.Parameter(model[0].weight.data)
    tied, alone = make(model.parameters()), make([single])
    for step in range(3):
        x = randn(4, 2, seed=step)
        for one in (tied, alone):
            one.zero_grad()
        model(x).sum().backward()
        nn.functional.linear(nn.functional.linear(x, single), single).sum().backward()
        tied.step()
        alone.step()
    assert np.array_equal(single.data, model[1].weight.data)


def test_the_tape_knows_about_the_update(make: Make) -> None:
    """A backward pass through values that step() overwrote is refused and names the optimizer."""
    layer = nn.Linear(2, 1, seed=0)
    optimizer = make(layer.parameters())
    x = Tensor([[1.0, 2.0]], requires_grad=True)
    layer(x).sum().backward()
    stale = layer(x).sum()
    optimizer.step()
    with pytest.raises(ChangedValueError, match=type(optimizer).__name__ + r"\.step"):
        stale.backward()


def test_without_gradient_or_frozen_nothing_moves(make: Make) -> None:
    """Also with weight decay; a thawed parameter goes on."""
    params = [nn.Parameter([1.0, 2.0]), nn.Parameter([3.0])]
    optimizer = make(params)
    optimizer.step()
    assert optimizer.state == {}
    for one in params:
        one.grad = Tensor(np.ones(one.shape, "float32"))
    params[1].requires_grad = False
    optimizer.step()
    assert params[0].tolist() != [1, 2]
    assert params[1].tolist() == [3]
    params[1].requires_grad = True
    optimizer.step()
    assert params[1].tolist() != [3]


def test_changed_options_hold_from_the_next_step(make: Make) -> None:
    """A schedule writes into param_groups; lr=0 stops."""
    parameter = nn.Parameter([1.0, -2.0])
    optimizer = make([parameter])
    parameter.grad = Tensor([1.0, 1.0])
    optimizer.step()
    moved = parameter.data.copy()
    if not isinstance(optimizer, optim.Rprop):  # which has left its first rate behind
        optimizer.param_groups[0]["lr"] = 0.0
        optimizer.step()
        assert np.array_equal(parameter.data, moved)
    optimizer.param_groups[0]["lr"] = -1.0
    with pytest.raises(ArgumentError, match="lr"):
        optimizer.step()


def test_zero_grad_forgets_or_overwrites(make: Make) -> None:
    """By default gradients become None, also of frozen parameters; else zeros in the same memory."""
    params = [nn.Parameter([1.0]), nn.Parameter([2.0]), nn.Parameter([2.0], requires_grad=False)]
    optimizer = make(params)
    (params[0] * params[1]).sum().backward()
    gradient = params[0].grad
    optimizer.zero_grad(set_to_none=False)
    assert params[0].grad is gradient
    assert gradient is not None
    assert gradient.tolist() == [0]
    params[1].requires_grad = False
    optimizer.zero_grad()
    assert [one.grad for one in params] == [None, None, None]


def test_a_closure_runs_with_recording_on(make: Make) -> None:
    """step(closure) returns the closure's loss and uses its gradients."""
    parameter = nn.Parameter([2.0])
    optimizer = make([parameter])

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = (parameter * parameter).sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 4.0
    assert parameter.item() < 2.0
    assert optimizer.step() is None


def test_groups_have_options_of_their_own() -> None:
    """Each group steps with its own rate; later groups may be added; options left out take the defaults."""
    a, b, c = (nn.Parameter([1.0]) for _ in range(3))
    optimizer = optim.SGD([{"params": [a], "lr": 0.5}, {"params": b}], lr=0.25)
    optimizer.add_param_group({"params": [c], "lr": np.float64(0.125)})
    for one in (a, b, c):
        one.grad = Tensor([1.0])
    optimizer.step()
    assert [one.item() for one in (a, b, c)] == [0.5, 0.75, 0.875]
    assert optimizer.state_dict()["param_groups"][2]["params"] == [2]
    assert "lr=0.125" in repr(optimizer)


# --- refusals --------------------------------------------------------------------------------------------------------

P = nn.Parameter([1.0])


@pytest.mark.parametrize(
    ("params", "error", "match"),
    [
        ([], ArgumentError, "no parameters"),
        (iter(()), ArgumentError, "no parameters"),
        ({P}, ArgumentError, "set"),
        (frozenset([P]), ArgumentError, "set"),
        ([{"params": {P}}], ArgumentError, "set"),
        ([P, P], ArgumentError, "given twice"),
        ([{"params": [P]}, {"params": [P]}], ArgumentError, "given twice"),
        ([{"params": []}], ArgumentError, "no parameters"),
        (P, ArgumentError, "expected a list"),
        (3, ArgumentError, "expected a list"),
        ([{"lr": 1.0}], ArgumentError, "'params'"),
        ([{"params": [P], "momemtum": 1}], ArgumentError, "momemtum"),
        ([P, 3.0], DTypeError, "parameter 1 is a Tensor, got float"),
        (nn.Linear(1, 1, seed=0).named_parameters(), DTypeError, "second of each pair"),
        ([Tensor(np.array([1]))], DTypeError, "int64"),
        ([P * 2], GradientError, "leaves"),
        (nn.MLP(2, 3, 1), ArgumentError, r"the module MLP itself; say SGD\(model\.parameters\(\)\)"),
        (nn.Linear(1, 1), ArgumentError, r"the module Linear itself; say SGD\(model\.parameters\(\)\)"),
        ([nn.Linear(1, 1)], DTypeError, r"got the module Linear; take what it holds: layer\.parameters\(\)"),
        ([Tensor([1.0])], ArgumentError, "nothing in the parameters requires gradients"),
        (nn.MLP(2, 1).requires_grad_(False).parameters(), ArgumentError, r"model\.requires_grad_\(\)"),
    ],
)
def test_parameters_that_cannot_be_trained_are_refused(params: Any, error: type[Exception], match: str) -> None:
    """Empty, unordered, repeated, misspelled, of the wrong kind: each with its own message."""
    with pytest.raises(error, match=match):
        optim.SGD(params, lr=0.1)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: optim.SGD([P], lr=-0.1), r"lr lies in \[0, inf\), got -0.1"),
        (lambda: optim.SGD([P], lr=float("nan")), "lr lies"),
        (lambda: optim.SGD([P], lr=float("inf")), "lr lies"),
        (lambda: optim.SGD([P], lr="fast"), "lr is a number, got 'fast'"),
        (lambda: optim.SGD([P], lr="0.1"), "lr is a number, got '0.1'"),
        (lambda: optim.Adam([P], lr=b"0.1"), "lr is a number"),
        (lambda: optim.SGD([P], momentum=-1), "momentum"),
        (lambda: optim.SGD([P], weight_decay=-1), "weight_decay"),
        (lambda: optim.SGD([P], nesterov=True), "nesterov needs momentum"),
        (lambda: optim.SGD([P], momentum=0.9, dampening=0.1, nesterov=True), "dampening = 0"),
        (lambda: optim.Adam([P], betas=(0.9, 1.0)), r"betas\[1\] lies in \[0, 1\)"),
        (lambda: optim.Adam([P], betas=0.9), "two numbers"),
        (lambda: optim.AdamW([P], eps=-1e-8), "AdamW: eps"),
        (lambda: optim.AdamW([{"params": [P], "weight_decay": -1}]), "weight_decay"),
    ],
)
def test_options_out_of_range_are_refused(make: Callable[[], Any], match: str) -> None:
    """At construction, with the name, the range and the value."""
    with pytest.raises(ArgumentError, match=match):
        make()


def test_one_parameter_that_wants_gradients_is_enough() -> None:
    """Frozen parameters beside a trained one are passed over, not refused."""
    frozen, trained = nn.Parameter([1.0], requires_grad=False), nn.Parameter([1.0])
    trained.grad = Tensor([1.0])
    optim.SGD([frozen, trained], lr=0.5).step()
    assert (frozen.item(), trained.item()) == (1.0, 0.5)


def test_a_refused_group_leaves_the_optimizer_as_it_was() -> None:
    """add_param_group is all or nothing."""
    optimizer = optim.SGD([P])
    before = repr(optimizer)
    for group in ({"params": [nn.Parameter([1.0]), P]}, {"params": [nn.Parameter([1.0])], "lr": -1}, {}, [P]):
        with pytest.raises(ArgumentError):
            optimizer.add_param_group(group)
    assert repr(optimizer) == before


def trained_adam(seed: int) -> tuple[nn.Module, optim.Optimizer]:
    model = nn.MLP(2, 3, 1, seed=seed)
    optimizer = optim.Adam([{"params": model[0].parameters()}, {"params": model[2].parameters(), "lr": 0.1}], lr=0.01)
    train(model, optimizer, 2)
    return model, optimizer


def _set(path: tuple[Any, ...], value: Any) -> Callable[[Any], None]:
    def edit(state: Any) -> None:
        for key in path[:-1]:
            state = state[key]
        state[path[-1]] = value

    return edit


def _drop(*path: Any) -> Callable[[Any], None]:
    def edit(state: Any) -> None:
        for key in path[:-1]:
            state = state[key]
        del state[path[-1]]

    return edit


STATE_EDITS: dict[str, tuple[Callable[[Any], None], str]] = {
    "array missing": (_drop("state", 0, "exp_avg"), "parameter 0: 'exp_avg' missing"),
    "step missing": (_drop("state", 1, "step"), "parameter 1: 'step' missing"),
    "array unexpected": (_set(("state", 2, "momentum_buffer"), 1.0), "parameter 2: 'momentum_buffer' unexpected"),
    "shape": (_set(("state", 3, "exp_avg_sq"), np.zeros((7,), "float32")), "parameter 3: 'exp_avg_sq': expected"),
    "dtype": (_set(("state", 3, "exp_avg"), np.zeros(1, "float64")), "(1,) float64"),
    "negative step": (_set(("state", 3, "step"), -1), "'step' is a count, got -1"),
    "half a step": (_set(("state", 0, "step"), 1.5), "'step' is a count, got 1.5"),
    "one parameter too many": (_set(("state", 4), {}), "parameter 4: unexpected"),
    "not a dictionary": (_set(("state", 2), 3), "parameter 2: expected a dictionary"),
}
GROUP_EDITS: dict[str, tuple[Callable[[Any], None], str]] = {
    "option missing": (_drop("param_groups", 0, "eps"), "group 0: option 'eps' missing"),
    "option unexpected": (_set(("param_groups", 1, "momentum"), 0.9), "group 1: option 'momentum' unexpected"),
    "option out of range": (_set(("param_groups", 1, "lr"), -1.0), "group 1: Adam: lr lies in"),
    "other number of parameters": (_set(("param_groups", 0, "params"), [0]), "group 0: expected 2 parameters, got 1"),
}
LONE_EDITS: dict[str, tuple[Callable[[Any], None], str]] = {
    "group dropped": (_drop("param_groups", 1), "expected 2 parameter groups, got 1"),
    "groups gone": (_drop("param_groups"), "expected a dictionary with 'param_groups' and 'state'"),
    "state gone": (_drop("state"), "expected a dictionary with 'param_groups' and 'state'"),
    "group is a number": (_set(("param_groups", 0), 3), "group 0: expected a dictionary"),
}


def check_refused(edits: list[tuple[Callable[[Any], None], str]]) -> None:
    (model, optimizer), (_, other) = trained_adam(0), trained_adam(1)
    state = other.state_dict()
    for edit, _ in edits:
        edit(state)
    before = json.dumps(plain(optimizer.state_dict())), flat(model)
    with pytest.raises(StateError) as caught:
        optimizer.load_state_dict(state)
    assert all(text in str(caught.value) for _, text in edits)
    assert (json.dumps(plain(optimizer.state_dict())), flat(model)) == before


@given(st.sets(st.sampled_from(sorted(set(STATE_EDITS) - {"not a dictionary"})), min_size=1))
def test_a_state_that_does_not_fit_is_refused_whole(names: set[str]) -> None:
    """Every difference in one message, options and state untouched."""
    check_refused([STATE_EDITS[name] for name in sorted(names)])


@given(st.sets(st.sampled_from(sorted(GROUP_EDITS)), min_size=1))
def test_groups_that_do_not_fit_are_refused_whole(names: set[str]) -> None:
    """Options are checked like those of the constructor."""
    check_refused([GROUP_EDITS[name] for name in sorted(names)])


@pytest.mark.parametrize("name", [*LONE_EDITS, "not a dictionary"])
def test_states_without_their_parts_are_refused(name: str) -> None:
    """Missing groups, missing state, numbers where dictionaries belong."""
    check_refused([{**LONE_EDITS, **STATE_EDITS}[name]])


def test_a_state_is_a_copy_on_the_way_out_and_on_the_way_in() -> None:
    """Training on changes neither a state taken earlier nor one that was loaded."""
    model, optimizer = trained_adam(0)
    state = optimizer.state_dict()
    before = json.dumps(plain(state))
    train(model, optimizer, 2)
    assert json.dumps(plain(state)) == before
    optimizer.load_state_dict(state)
    train(model, optimizer, 2)
    assert json.dumps(plain(state)) == before
    assert json.dumps(plain(optimizer.state_dict())) != before


def test_a_state_from_before_the_first_step_starts_anew() -> None:
    """What the rule remembered is gone after loading a state that remembers nothing."""
    _, optimizer = trained_adam(0)
    assert optimizer.state
    optimizer.load_state_dict({**optimizer.state_dict(), "state": {}})
    assert not optimizer.state


def test_torchs_own_state_loads() -> None:
    """The layout is torch's: a state dict of torch.optim.SGD, arrays as tensors, gives the same next steps."""
    torch = pytest.importorskip("torch")
    theirs_parameter = torch.tensor([1.0, 2.0], requires_grad=True)
    theirs = torch.optim.Adam([theirs_parameter], lr=0.1)
    for _ in range(2):
        theirs_parameter.grad = torch.tensor([0.5, -1.0])
        theirs.step()
    exported = theirs.state_dict()
    ours_parameter = nn.Parameter(theirs_parameter.detach().numpy())
    ours = optim.Adam([ours_parameter])
    groups = [{name: group[name] for name in (*ours.defaults, "params")} for group in exported["param_groups"]]
    ours.load_state_dict({"state": exported["state"], "param_groups": groups})
    theirs.step()
    ours_parameter.grad = Tensor([0.5, -1.0])
    ours.step()
    np.testing.assert_allclose(ours_parameter.data, theirs_parameter.detach().numpy(), rtol=1e-6)


@pytest.mark.parametrize("layout", ["rows", "columns", "neither"])
def test_plain_sgd_updates_large_parameters_block_by_block(layout: str) -> None:
    """A parameter larger than a block is updated exactly like a small one, however it lies in memory."""
    rng = np.random.default_rng(3)
    values = rng.normal(size=(300, 400))
    start = {"rows": values, "columns": np.asfortranarray(values), "neither": values[::2]}[layout]
    parameter = tg.from_numpy(start if layout != "neither" else np.repeat(start, 2, axis=0)[::2])
    parameter.requires_grad = True
    before = parameter.data.copy()
    gradient = rng.normal(size=parameter.shape)
    parameter.grad = tg.Tensor(gradient)
    optim.SGD([parameter], lr=0.25).step()
    np.testing.assert_array_equal(parameter.data, before - 0.25 * gradient)


def test_momentum_given_later_still_updates_large_parameters() -> None:
    """Scratch set aside for plain descent does not limit a group that is given momentum afterwards."""
    parameter = tg.ones(300, 400, requires_grad=True)
    optimizer = optim.SGD([parameter], lr=0.5)
    optimizer.param_groups[0]["momentum"] = 0.5
    for _ in range(2):
        parameter.grad = tg.ones(300, 400)
        optimizer.step()
    np.testing.assert_array_equal(parameter.data, np.full((300, 400), 1 - 0.5 - 0.5 * 1.5, np.float32))


# --- the rule behind the step ----------------------------------------------------------------------------------------


class Recorded:
    """Stands in for an array of a rule: computes on it, and notes each ufunc with the names of what it got."""

    def __init__(self, name: str, array: np.ndarray, calls: list[tuple[str, ...]]) -> None:
        self.name, self.array, self.calls = name, array, calls

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, out: tuple[Any]) -> Any:
        assert method == "__call__"
        assert all(isinstance(one, Recorded) for one in (*inputs, *out))
        self.calls.append((ufunc.__name__, *(one.name for one in inputs), out[0].name))
        ufunc(*(one.array for one in inputs), out=out[0].array)
        return out[0]


def run_on_stand_ins(optimizer: optim.Optimizer) -> list[tuple[tuple[Any, ...], list[tuple[str, ...]]]]:
    """One step through ``updates()``; the structures, each with the ufunc calls of its rule."""
    done = []
    for update in optimizer.updates():
        calls: list[tuple[str, ...]] = []
        data = update.parameter.data
        update.begin()
        arrays = {name: Recorded(name, update.state[name], calls) for name in update.arrays}
        numbers = tuple(
            Recorded(f"number {place}", np.array(value, data.dtype), calls)
            for place, value in enumerate(update.numbers(update.count()))
        )
        held = Recorded("data", data, calls), Recorded("gradient", update.gradient, calls)
        scratch = [Recorded(name, np.full_like(data, np.nan), calls) for name in ("scratch", "second")]
        update.rule(numbers, *held, arrays, *scratch)  # type: ignore[arg-type]
        done.append(((type(optimizer), update.structure), calls))
    return done


STRUCTURES: dict[tuple[Any, ...], list[tuple[str, ...]]] = {}
"""The calls of each structure met so far, by whichever case met it first."""


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("place", range(len(CASES)), ids=NAMES)
def test_the_rule_on_stand_ins_is_the_step(place: int, dtype: str) -> None:
    """The same bits in parameters and state; the calls depend on the structure alone, not on other numbers."""
    name, options = CASES[place]
    scaled = {key: 0.5 * value if type(value) is float else value for key, value in options.items()}
    for chosen in (options, scaled):
        start, noise, _ = MAKER.problem(2, dtype)
        ours, theirs = ([nn.Parameter(one) for one in start] for _ in range(2))
        stepped, recorded = (getattr(optim, name)(params, **chosen) for params in (ours, theirs))
        for step in range(6):
            for number, (one, other, part) in enumerate(zip(ours, theirs, noise, strict=True)):
                gradient = np.where(part[step] > 1, -0.0, part[step]).astype(dtype)
                for parameter in (one, other):
                    parameter.grad = Tensor(gradient.copy()) if MAKER.has_gradient(number, step) else None
            if step == 4:
                for optimizer in (stepped, recorded):
                    optimizer.param_groups[0]["lr"] *= 0.1
            stepped.step()
            for structure, calls in run_on_stand_ins(recorded):
                assert STRUCTURES.setdefault(structure, calls) == calls
            assert [one.data.tobytes() for one in ours] == [one.data.tobytes() for one in theirs]
            assert states_of(stepped) == states_of(recorded)


def states_of(optimizer: optim.Optimizer) -> list[Any]:
    return [
        [(key, one.tobytes() if isinstance(one, np.ndarray) else one) for key, one in state.items()]
        for state in optimizer.state.values()
    ]


@pytest.mark.parametrize("place", range(len(CASES)), ids=NAMES)
def test_numbers_of_many_steps_are_those_of_each(place: int) -> None:
    """Bit by bit, as float64."""
    name, options = CASES[place]
    parameter = nn.Parameter([1.0])
    parameter.grad = Tensor([1.0])
    (update,) = getattr(optim, name)([parameter], **options).updates()
    steps = np.arange(1, 200, 7)
    together = [np.broadcast_to(one, steps.shape) for one in update.numbers(steps)]
    for row, step in zip(zip(*together, strict=True), steps.tolist(), strict=True):
        assert [float(one).hex() for one in row] == [float(one).hex() for one in update.numbers(step)]


def test_the_first_momentum_is_the_gradient_bit_by_bit() -> None:
    """Signed zeros and the bits of a NaN, those of a signalling one too, survive the copy."""
    for dtype, bits in (("float16", 0x7C01), ("float32", 0x7F800001), ("float64", 0x7FF0000000000001)):
        gradient = np.zeros(3, dtype)
        gradient.view(f"uint{8 * gradient.itemsize}")[:2] = bits, bits + 5
        gradient[2] = -0.0
        parameter = nn.Parameter(np.ones(3, dtype))
        parameter.grad = Tensor(gradient)
        optimizer = optim.SGD([parameter], momentum=0.9)
        with np.errstate(invalid="ignore"):
            optimizer.step()
        (state,) = optimizer.state.values()
        assert state["momentum_buffer"].tobytes() == gradient.tobytes()


def test_asking_for_updates_changes_nothing(make: Make) -> None:
    """Not the state either: it is made by begin() and counted by count()."""
    params = [nn.Parameter([1.0]), nn.Parameter([2.0])]
    params[1].grad = Tensor([1.0])
    optimizer = make(params)
    (update,) = optimizer.updates()
    assert optimizer.state == {}
    assert update.parameter is params[1]
    assert (update.group, update.gradient.tolist()) == (0, [1.0])
    update.begin()
    counts = [update.count(), update.count(3)]
    assert counts == ([0, 0] if type(optimizer) is optim.SGD else [1, 4])
