"""What every module and every optimizer promises, tried on one of them: for layers and update rules of your own.

Both are taken by what they can do, not by their class: a module has ``forward``, ``modules()``, ``named_parameters()``,
``state_dict()`` and so on; an optimizer has ``param_groups``, ``step()``, ``zero_grad()`` and a state.
"""

from __future__ import annotations

import copy
import functools
import inspect
import itertools
import pickle
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np

from ..dtypes import get_default_dtype
from ..errors import ArgumentError, ChangedValueError, did_you_mean
from ..ops import cat
from ..tape import Array
from ..tensor import Tensor
from ..tree import flatten
from .cases import sample_shape
from .gradcheck import gradcheck, gradcheck_module
from .report import NotApplicableError, Report, finding, require, require_same

__all__ = ["MODULE_CHECKS", "OPTIMIZER_CHECKS", "ModuleLike", "OptimizerLike", "check_module", "check_optimizer"]


class ModuleLike(Protocol):
    """What :func:`check_module` asks of a module: an ``nn.Module`` has it all, and nothing else is asked."""

    training: bool

    def __call__(self, *inputs: Any) -> Any:
        """Run forward."""

    def modules(self) -> Iterable[Any]:
        """The module itself and every layer below it."""

    def parameters(self) -> Iterable[Tensor]:
        """Every parameter once."""

    def named_parameters(self) -> Iterable[tuple[str, Tensor]]:
        """The same with names."""

    def state_dict(self) -> dict[str, Any]:
        """A copy of parameters and buffers by name."""

    def load_state_dict(self, state: Mapping[str, Any], /) -> Any:
        """Overwrite parameters and buffers."""

    def train(self) -> Any:
        """Switch to training mode."""

    def eval(self) -> Any:
        """Switch to evaluation mode."""

    def zero_grad(self) -> None:
        """Forget the gradients."""


class OptimizerLike(Protocol):
    """What :func:`check_optimizer` asks of an optimizer."""

    param_groups: list[dict[str, Any]]

    def step(self) -> Any:
        """Move every parameter that has a gradient."""

    def zero_grad(self) -> None:
        """Forget the gradients."""

    def state_dict(self) -> dict[str, Any]:
        """All that is needed to continue."""

    def load_state_dict(self, state: Mapping[str, Any], /) -> Any:
        """Continue from such a state."""


_Check = TypeVar("_Check", bound=Callable[..., None])

MODULE_CHECKS: dict[str, Callable[[_Trial], None]] = {}
"""The checks of modules by name."""

OPTIMIZER_CHECKS: dict[str, Callable[[_Race], None]] = {}
"""The checks of optimizers by name."""


def _in(checks: dict[str, Any]) -> Callable[[_Check], _Check]:
    def enter(check: _Check) -> _Check:
        checks[check.__name__] = check
        return check

    return enter


def _chosen(known: dict[str, Any], names: Iterable[str] | None) -> list[str]:
    chosen = list(known if names is None else names)
    for name in chosen:
        if name not in known:
            raise ArgumentError(did_you_mean("check", name, known))
    return chosen


def _shares(a: Array, b: Array) -> bool:
    return bool(a.size and b.size and np.may_share_memory(a, b))


# --- modules --------------------------------------------------------------------------------------

_BATCH = 4


@dataclass
class _Trial:
    """A module that stays as it is, the inputs to run copies of it on, and a seed."""

    module: Any
    inputs: tuple[Array, ...]
    seed: int

    def fresh(self, dtype: Any = None) -> Any:
        """A copy to do anything with, converted to a dtype if it can be."""
        made = copy.deepcopy(self.module)
        if dtype is not None and hasattr(made, "astype"):
            made.astype(dtype)
        return made

    def tensors(self, dtype: Any = None, batch: int | None = None) -> list[Tensor]:
        """The inputs as tensors of their own; those of floats want gradients."""
        length = self.batch
        made = []
        for array in self.inputs:
            one = array[:batch] if batch is not None and array.ndim and len(array) == length else array
            floats = one.dtype.kind == "f"
            made.append(Tensor(one.astype(dtype or one.dtype) if floats else one, requires_grad=floats))
        return made

    @property
    def batch(self) -> int:
        """The length of the first axis of the first input that has axes."""
        return next((len(one) for one in self.inputs if one.ndim), 0)

    def weights(self, outputs: Sequence[Tensor]) -> list[Array]:
        """Random incoming gradients, always the same."""
        rng = np.random.default_rng([self.seed, 1])
        return [rng.standard_normal(one.shape).astype(one.dtype) for one in outputs]

    def backward(self, module: Any, inputs: Sequence[Tensor]) -> list[Tensor]:
        """Run forward and backward; give the outputs."""
        outputs = _outputs(module(*inputs))
        for one, weight in zip(outputs, self.weights(outputs), strict=True):
            if one.requires_grad:
                one.backward(weight, retain_graph=True)
        return outputs


def _outputs(result: Any) -> list[Tensor]:
    found = [one for one in flatten(result)[0] if isinstance(one, Tensor)]
    require(found, f"forward gives no tensor but {type(result).__name__}")
    return found


def _values(result: Any) -> list[Array]:
    return [one.data.copy() for one in _outputs(result)]


def _require_same_values(got: list[Array], expected: list[Array], message: str) -> None:
    require(len(got) == len(expected), f"{message}: {len(expected)} outputs became {len(got)}")
    for one, other in zip(got, expected, strict=True):
        require_same(one, other, message)


def _trained(module: Any) -> dict[str, Tensor]:
    return {name: one for name, one in module.named_parameters() if one.requires_grad}


def _disturb(module: Any) -> None:
    """Other values in all parameters and float buffers, in the same arrays."""
    buffers = module.buffers() if hasattr(module, "buffers") else ()
    for one in itertools.chain(module.parameters(), buffers):
        if one.dtype.kind == "f":
            one.data[...] = one.data * 0.5 + 0.25


@_in(MODULE_CHECKS)
def deterministic_in_evaluation(trial: _Trial) -> None:
    """In evaluation mode the same inputs give the same bits."""
    module = trial.fresh()
    module.eval()
    first, second = _values(module(*trial.tensors())), _values(module(*trial.tensors()))
    _require_same_values(second, first, "in eval() a second run on the same inputs differs")


@_in(MODULE_CHECKS)
def forward_only_reads(trial: _Trial) -> None:
    """Neither inputs nor parameters are written to, in both modes, forward and backward."""
    for mode in ("train", "eval"):
        module = trial.fresh()
        getattr(module, mode)()
        inputs = trial.tensors()
        before = {name: one.data.copy() for name, one in module.named_parameters()}
        trial.backward(module, inputs)
        for place, (one, array) in enumerate(zip(inputs, trial.tensors(), strict=True)):
            require_same(one.data, array.data, f"input {place} after {mode}()")
        for name, one in module.named_parameters():
            require_same(one.data, before[name], f"parameter {name} after a run in {mode}()")


def _hidden(part: Any) -> Iterator[tuple[str, Any]]:
    """What an object's attributes hold, with the containers and plain objects among them opened."""
    for name, value in vars(part).items():
        for one in flatten(value)[0]:
            yield name, one
            if (
                hasattr(one, "__dict__")
                and not isinstance(one, (Tensor, type))
                and not hasattr(one, "named_parameters")
            ):
                yield from ((f"{name}.{inner}", held) for inner, held in vars(one).items())


@_in(MODULE_CHECKS)
def parameters_are_registered(trial: _Trial) -> None:
    """Every parameter and layer that an attribute holds is found by named_parameters() and modules(), once."""
    module = trial.module
    named = list(module.named_parameters())
    names = [name for name, _ in named]
    known = {id(one) for _, one in named}
    parts = list(module.modules())
    require(len(set(names)) == len(names), f"names occur twice: {sorted(names)}")
    require(len(known) == len(named), "named_parameters() gives a parameter twice")
    require({id(one) for one in module.parameters()} == known, "parameters() and named_parameters() differ")
    for part in parts:
        for attribute, value in _hidden(part):
            where = f"{type(part).__name__}.{attribute}"
            if isinstance(value, Tensor) and value.is_leaf and value.requires_grad:
                require(
                    id(value) in known,
                    f"{where} wants gradients and is not among named_parameters(), so no optimizer trains it; assign "
                    "it to an attribute of the module, as nn.Parameter",
                )
            elif hasattr(value, "named_parameters"):
                require(
                    any(value is one for one in parts),
                    f"{where} is a layer that modules() does not find; use nn.ModuleList or an attribute",
                )


def _joined(result: Any) -> Any:
    outputs = _outputs(result)
    return outputs[0] if len(outputs) == 1 else cat([one.reshape(-1) for one in outputs])


@_in(MODULE_CHECKS)
def gradients_are_right(trial: _Trial) -> None:
    """In evaluation mode the gradients by parameters and inputs are those of an independent derivative."""
    module = trial.fresh(np.float64)
    module.eval()
    inputs = [one.detach() for one in trial.tensors(np.float64)]
    moving = [i for i, one in enumerate(inputs) if one.dtype.kind == "f"]
    if _trained(module):
        report = gradcheck_module(module, lambda made: _joined(made(*inputs)), seed=trial.seed)
        require(report.ok, f"by the parameters: {report}")
    elif not moving:
        raise NotApplicableError("it has neither parameters that want gradients nor inputs of floats")

    def of_inputs(*tensors: Tensor) -> Any:
        full: list[Any] = list(inputs)
        for place, tensor in zip(moving, tensors, strict=True):
            full[place] = tensor
        return _joined(module(*full))

    if moving:
        report = gradcheck(of_inputs, [inputs[i] for i in moving], seed=trial.seed, max_entries=64)
        require(report.ok, f"by the inputs: {report}")


@_in(MODULE_CHECKS)
def every_parameter_is_reached(trial: _Trial) -> None:
    """In training every parameter that wants a gradient gets one, and no other."""
    module = trial.fresh()
    module.train()
    if not list(module.named_parameters()):
        raise NotApplicableError("it has no parameters")
    trial.backward(module, trial.tensors())
    missing = [name for name, one in _trained(module).items() if one.grad is None]
    require(not missing, f"no gradient reaches {', '.join(missing)}: forward does not use it, or cuts it off")
    frozen = [name for name, one in module.named_parameters() if not one.requires_grad and one.grad is not None]
    require(not frozen, f"frozen parameters got a gradient: {', '.join(frozen)}")


@_in(MODULE_CHECKS)
def dtypes_stay(trial: _Trial) -> None:
    """With parameters and inputs of float32 everything is float32, and likewise float64, in both modes."""
    for dtype, mode in itertools.product((np.float32, np.float64), ("train", "eval")):
        module = trial.fresh(dtype)
        getattr(module, mode)()
        held = {name: one for name, one in module.state_dict().items() if one.dtype.kind == "f"}
        if any(one.dtype != dtype for one in held.values()):
            continue  # it has no astype() and was made for another dtype
        inputs = trial.tensors(dtype)
        outputs = trial.backward(module, inputs)
        after = [(f"{name} of the state", one) for name, one in module.state_dict().items() if name in held]
        after += [(f"output {i}", one) for i, one in enumerate(outputs) if one.dtype.kind == "f"]
        after += [
            (f"the gradient of {name}", one.grad) for name, one in _trained(module).items() if one.grad is not None
        ]
        after += [(f"the gradient of input {i}", one.grad) for i, one in enumerate(inputs) if one.grad is not None]
        for what, one in after:
            require(one.dtype == dtype, f"from {np.dtype(dtype)}, in {mode}(), {what} is {one.dtype}")


@_in(MODULE_CHECKS)
def modes_reach_every_layer(trial: _Trial) -> None:
    """train() and eval() switch every layer and return the module; a run, or switching to and fro, changes nothing."""
    module = trial.fresh()
    for mode, expected in (("train", True), ("eval", False)):
        require(getattr(module, mode)() is module, f"{mode}() does not return the module")
        for _ in range(2):
            wrong = [type(one).__name__ for one in module.modules() if one.training is not expected]
            require(not wrong, f"after {mode}(), or a run in it, training is not {expected} in {', '.join(wrong)}")
            values = _values(module(*trial.tensors()))
    module.train()
    module.eval()
    _require_same_values(_values(module(*trial.tensors())), values, "after train() and eval() the output differs")


@_in(MODULE_CHECKS)
def state_goes_round(trial: _Trial) -> None:
    """A state loaded into a copy with other values makes it compute the same bits, and is a state of its own."""
    first, second = trial.fresh(), trial.fresh()
    first.eval(), second.eval()
    expected = _values(first(*trial.tensors()))
    state = first.state_dict()
    missing = [name for name, _ in first.named_parameters() if name not in state]
    require(not missing, f"state_dict() leaves out {', '.join(missing)}")
    before = {name: np.array(one.data) for name, one in state.items()}
    _disturb(second)
    second.load_state_dict(state)
    _require_same_values(_values(second(*trial.tensors())), expected, "after load_state_dict() the output differs")
    _disturb(first)
    _disturb(second)
    for name, value in before.items():
        require_same(state[name].data, value, f"{name} of a state taken earlier changes with the module")


@_in(MODULE_CHECKS)
def copies_are_equal_and_independent(trial: _Trial) -> None:
    """A deep copy and a pickled copy compute the same bits and share no memory with the original."""
    original = trial.fresh()
    original.eval()
    expected = _values(original(*trial.tensors()))
    local = any("<locals>" in type(one).__qualname__ for one in original.modules())
    made = {"copy.deepcopy": copy.deepcopy(original)}
    if not local:  # pickle finds no class that a function made
        made["pickle"] = pickle.loads(pickle.dumps(original))  # noqa: S301 - written in the line itself
    for how, other in made.items():
        _require_same_values(_values(other(*trial.tensors())), expected, f"the copy by {how} computes something else")
        names = [name for name, _ in original.named_parameters()]
        require([name for name, _ in other.named_parameters()] == names, f"the copy by {how} has other names")
        for (name, one), mine in itertools.product(other.named_parameters(), original.parameters()):
            require(not _shares(one.data, mine.data), f"{name} of the copy by {how} shares memory with the original")
        _disturb(other)
        _require_same_values(_values(original(*trial.tensors())), expected, f"changing the copy by {how} changes it")


@_in(MODULE_CHECKS)
def zero_grad_forgets(trial: _Trial) -> None:
    """After zero_grad() no parameter has a gradient, or one of zeros if asked for, and the next pass starts anew."""
    module = trial.fresh()
    module.eval()
    if not _trained(module):
        raise NotApplicableError("it has no parameters that want gradients")
    options: list[dict[str, bool]] = [{}]
    if "set_to_none" in inspect.signature(module.zero_grad).parameters:
        options.append({"set_to_none": False})
    trial.backward(module, trial.tensors())
    first = {name: one.grad.data.copy() for name, one in _trained(module).items() if one.grad is not None}
    for option in options:
        module.zero_grad(**option)
        for name, one in _trained(module).items():
            left = one.grad is not None and (not option or one.grad.data.any())
            require(not left, f"{name} keeps its gradient after zero_grad({', '.join(map(str, option.items()))})")
        trial.backward(module, trial.tensors())
        for name, one in _trained(module).items():
            if name in first and one.grad is not None:
                require_same(one.grad.data, first[name], f"the gradient of {name} in the pass after zero_grad()")


@_in(MODULE_CHECKS)
def gradients_share_no_memory(trial: _Trial) -> None:
    """Gradients share memory with nothing: not with each other, parameters, inputs or outputs."""
    module = trial.fresh()
    inputs = trial.tensors()
    outputs = trial.backward(module, inputs)
    named = [*_trained(module).items(), *((f"input {i}", one) for i, one in enumerate(inputs))]
    found = [(name, one.grad.data) for name, one in named if one.grad is not None]
    strangers = [*((name, one.data) for name, one in named), *((f"output {i}", y.data) for i, y in enumerate(outputs))]
    for (name, one), (other, array) in itertools.chain(
        itertools.product(found, strangers), itertools.combinations(found, 2)
    ):
        require(not _shares(one, array), f"the gradient of {name} shares memory with {other} or its gradient")


@_in(MODULE_CHECKS)
def any_batch(trial: _Trial) -> None:
    """Batches of one and of none pass forward and backward; none gives outputs without rows and gradients of zero."""
    if not trial.batch:
        raise NotApplicableError("its inputs have no batch axis")
    module = trial.fresh()
    module.eval()
    usual = [one.shape for one in _outputs(module(*trial.tensors()))]
    for batch in (1, 0):
        module.zero_grad()
        inputs = trial.tensors(batch=batch)
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            # The mean over nothing is NaN, and NumPy says so.
            warnings.simplefilter("ignore", RuntimeWarning)
            outputs = trial.backward(module, inputs)
        batched = [shape[:1] == (trial.batch,) for shape in usual]
        for i, (one, shape) in enumerate(zip(outputs, usual, strict=True)):
            expected = (batch, *shape[1:]) if batched[i] else shape
            require(one.shape == expected, f"a batch of {batch} gives output {i} the shape {one.shape}, not {expected}")
        for name, one in _trained(module).items():
            if all(batched) and one.grad is not None:
                wrong = one.grad.data.any() if batch == 0 else not np.isfinite(one.grad.data).all()
                require(not wrong, f"after a batch of {batch} the gradient of {name} is {one.grad.data}")


def _arrays(module: ModuleLike, inputs: Any, shape: tuple[int, ...] | None, seed: int) -> tuple[Array, ...]:
    if inputs is None:
        one = sample_shape(module) if shape is None else tuple(shape)
        dtype = next((p.dtype for p in module.parameters()), get_default_dtype())
        values = np.random.default_rng([seed, 0]).standard_normal((_BATCH, *((3,) if one is None else one)))
        return (values.astype(dtype),)
    given = inputs if isinstance(inputs, (tuple, list)) else (inputs,)
    return tuple(np.array(one.data if isinstance(one, Tensor) else one) for one in given)


def check_module(
    module: ModuleLike,
    inputs: Any = None,
    *,
    shape: tuple[int, ...] | None = None,
    checks: Iterable[str] | None = None,
    seed: int = 0,
    raise_on_failure: bool = True,
) -> Report:
    """Try on a module what every module promises, as scikit-learn's ``check_estimator`` does on an estimator.

    Args:
        module: any ``nn.Module``; it stays as it is, the checks run on deep copies.
        inputs: a tensor or array, or a tuple of them where ``forward`` takes several; their first axis is the batch. By
            default four random rows of ``in_features`` numbers, for the first layer that has them.
        shape: of one input without the batch axis, in place of ``inputs``.
        checks: names out of :data:`MODULE_CHECKS`; all by default.
        seed: of inputs and incoming gradients.
        raise_on_failure: False gives the report of a module that fails.

    Raises:
        ConformanceError: a check failed; the message says which and why. ArgumentError: an unknown check, a class in
            place of a module, or inputs that cannot be told from the module.

    >>> from tinygrad_mlp import nn
    >>> check_module(nn.Linear(3, 2, seed=0)).ok
    True
    """
    if isinstance(module, type):
        raise ArgumentError(
            f"check_module: {module.__name__} is a class; give an instance: check_module({module.__name__}())"
        )
    chosen = _chosen(MODULE_CHECKS, checks)
    trial = _Trial(module, _arrays(module, inputs, shape, seed), seed)
    found = tuple(finding(name, functools.partial(MODULE_CHECKS[name], trial)) for name in chosen)
    report = Report(type(module).__name__, found)
    return report.raise_if_failed() if raise_on_failure else report


# --- optimizers -----------------------------------------------------------------------------------


@dataclass
class _Race:
    """A way to make optimizers, and parameters to let them run on."""

    factory: Callable[[list[Tensor]], Any]
    seed: int
    shapes: tuple[tuple[int, ...], ...] = field(default=((2, 3), (4,), ()))

    def start(self, dtype: Any = np.float32) -> tuple[list[Tensor], Any]:
        """Parameters of 0.5 to 1.5 in size, and an optimizer of them."""
        rng = np.random.default_rng([self.seed, 0])
        params = []
        for shape in self.shapes:
            size, sign = rng.uniform(0.5, 1.5, shape), rng.choice([-1.0, 1.0], shape)
            params.append(Tensor(np.asarray(size * sign, dtype), requires_grad=True))
        return params, self.factory(list(params))

    def gradients(self, step: int, dtype: Any = np.float32) -> list[Array]:
        """The same random gradients for the same step."""
        rng = np.random.default_rng([self.seed, 1, step])
        return [np.asarray(rng.standard_normal(shape), dtype) for shape in self.shapes]

    def run(self, params: Sequence[Tensor], optimizer: Any, steps: Iterable[int]) -> None:
        """So many steps with gradients that do not depend on the parameters."""
        for step in steps:
            for one, gradient in zip(params, self.gradients(step, params[0].dtype), strict=True):
                one.grad = Tensor(gradient)
            optimizer.step()


def _copies(params: Sequence[Tensor]) -> list[Array]:
    return [one.data.copy() for one in params]


def _options(optimizer: Any, name: str) -> list[dict[str, Any]]:
    groups = [group for group in optimizer.param_groups if name in group]
    if not groups:
        raise NotApplicableError(f"its param_groups have no {name!r}")
    return groups


def _climbs(optimizer: Any) -> bool:
    return any(group.get("maximize") for group in optimizer.param_groups)


def _decays(optimizer: Any) -> bool:
    return any(group.get("weight_decay") for group in optimizer.param_groups)


@_in(OPTIMIZER_CHECKS)
def steps_go_downhill(race: _Race) -> None:
    """A hundred steps lower a convex quadratic (or raise a concave one, with maximize)."""
    params, optimizer = race.start()
    sign = -1.0 if _climbs(optimizer) else 1.0
    rng = np.random.default_rng([race.seed, 2])
    bends = [np.asarray(rng.uniform(0.5, 2.0, shape), np.float32) for shape in race.shapes]

    def height() -> float:
        return float(sum(np.sum(bend * one.data**2) for bend, one in zip(bends, params, strict=True)) / 2)

    before = height()
    for _ in range(100):
        for one, bend in zip(params, bends, strict=True):
            one.grad = Tensor(np.asarray(sign * bend * one.data, np.float32))
        optimizer.step()
    after = height()
    require(after < before, f"a quadratic of {before:.4g} is {after:.4g} after a hundred steps; sign, or a large lr?")


@_in(OPTIMIZER_CHECKS)
def resuming_changes_no_bit(race: _Race) -> None:
    """State and parameters given to a fresh optimizer after any number of steps lead on to the same bits."""
    for cut in (0, 1, 3):
        params, optimizer = race.start()
        race.run(params, optimizer, range(cut))
        state, values = copy.deepcopy(optimizer.state_dict()), _copies(params)
        others, second = race.start()
        for one, value in zip(others, values, strict=True):
            one.data[...] = value
        second.load_state_dict(state)
        race.run(params, optimizer, range(cut, cut + 4))
        race.run(others, second, range(cut, cut + 4))
        for one, other in zip(params, others, strict=True):
            require_same(other.data, one.data, f"resumed after {cut} steps from state_dict(), a parameter differs")


@_in(OPTIMIZER_CHECKS)
def parameters_without_gradient_stay(race: _Race) -> None:
    """A parameter without a gradient, or frozen, is left alone, whatever the weight decay; the others move."""
    params, optimizer = race.start()
    race.run(params, optimizer, range(2))
    params[0].grad = None
    params[1].requires_grad = False
    before = _copies(params)
    optimizer.step()
    require_same(params[0].data, before[0], "a parameter without a gradient")
    require_same(params[1].data, before[1], "a frozen parameter")
    require(not np.array_equal(params[2].data, before[2]), "a parameter with a gradient was left alone too")


@_in(OPTIMIZER_CHECKS)
def parameters_and_state_keep_their_dtype(race: _Race) -> None:
    """Parameters stay what they are, float32 or float64, and so do the arrays of the state."""
    for dtype in (np.float32, np.float64):
        params, optimizer = race.start(dtype)
        race.run(params, optimizer, range(3))
        _require_dtype(params, optimizer, dtype, "")


def _require_dtype(params: Sequence[Tensor], optimizer: Any, dtype: Any, when: str) -> None:
    for one in params:
        require(one.data.dtype == dtype, f"a {np.dtype(dtype)} parameter became {one.data.dtype}{when}")
    held = [one for state in optimizer.state_dict().get("state", {}).values() for one in state.values()]
    for one in held:
        if isinstance(one, (Tensor, np.ndarray)) and one.ndim and one.dtype.kind == "f":
            require(one.dtype == dtype, f"the state of a {np.dtype(dtype)} parameter holds {one.dtype}{when}")


@_in(OPTIMIZER_CHECKS)
def any_kind_of_learning_rate(race: _Race) -> None:
    """A learning rate that is a NumPy scalar or array changes no dtype, and no step."""
    expected: list[Array] = []
    for kind in (float, np.float64, np.float32, np.array):
        params, optimizer = race.start()
        for group in _options(optimizer, "lr"):
            group["lr"] = kind(0.0625)  # a power of two, the same number in every dtype
        race.run(params, optimizer, range(2))
        _require_dtype(params, optimizer, np.float32, f" with lr={kind.__name__}(...)")
        expected = expected or _copies(params)
        for one, value in zip(params, expected, strict=True):
            require_same(one.data, value, f"a parameter with lr={kind.__name__}(0.0625) in place of 0.0625")


@_in(OPTIMIZER_CHECKS)
def parameters_are_updated_in_place(race: _Race) -> None:
    """A step writes into the parameter's own array, which others may hold, and leaves the parameter a leaf."""
    params, optimizer = race.start()
    arrays = [one.data for one in params]
    before = _copies(params)
    race.run(params, optimizer, range(2))
    for one, array, value in zip(params, arrays, before, strict=True):
        require(one.data is array, "a step gives a parameter another array in place of writing into its own")
        require(not np.array_equal(array, value), "a step with a gradient changes nothing")
        require(one.is_leaf and one.requires_grad, "after a step a parameter is no leaf that wants gradients")


@_in(OPTIMIZER_CHECKS)
def the_tape_is_told(race: _Race) -> None:
    """A backward pass through values that a step overwrote is refused, in place of giving a wrong gradient."""
    params, optimizer = race.start()
    stale = sum((one * one).sum() for one in params)
    race.run(params, optimizer, range(1))
    try:
        stale.backward()  # type: ignore[union-attr]
    except ChangedValueError:
        return
    require(False, "a stale graph gives a gradient after a step; say tinygrad_mlp.tape.wrote('step', p.data) in it")


@_in(OPTIMIZER_CHECKS)
def zero_gradients_do_no_harm(race: _Race) -> None:
    """A first step with gradients of zero moves nothing unless there is weight decay, and makes no NaN."""
    params, optimizer = race.start()
    before = _copies(params)
    for one in params:
        one.grad = Tensor(np.zeros(one.shape, one.dtype))
    optimizer.step()
    for one, value in zip(params, before, strict=True):
        require(np.isfinite(one.data).all(), f"a gradient of zero makes {one.data}")
        if not _decays(optimizer):
            require_same(one.data, value, "a parameter after a step with a gradient of zero")


@_in(OPTIMIZER_CHECKS)
def gradients_are_only_read(race: _Race) -> None:
    """A step changes no gradient and keeps none: writing into it afterwards changes no later step."""
    params, optimizer = race.start()
    others, second = race.start()
    for step in range(3):
        race.run(params, optimizer, [step])
        for one, gradient in zip(params, race.gradients(step), strict=True):
            require(one.grad is not None, "a step takes a gradient away")
            if one.grad is not None:
                require_same(one.grad.data, gradient, "a gradient after a step")
                one.grad.data[...] = np.nan
        race.run(others, second, [step])
    for one, other in zip(params, others, strict=True):
        require_same(one.data, other.data, "writing into a gradient after the step changed a later step; a parameter")


@_in(OPTIMIZER_CHECKS)
def maximize_climbs(race: _Race) -> None:
    """With maximize a step is the step on the negative gradient, to the bit."""
    params, optimizer = race.start()
    others, second = race.start()
    for chosen, climbs in ((optimizer, True), (second, False)):
        for group in _options(chosen, "maximize"):
            group["maximize"] = climbs
    for step in range(3):
        for one, other, gradient in zip(params, others, race.gradients(step), strict=True):
            one.grad, other.grad = Tensor(gradient), Tensor(-gradient)
        optimizer.step()
        second.step()
    for one, other in zip(params, others, strict=True):
        require_same(one.data, other.data, "with maximize, against minimizing with the negative gradient, a parameter")


@_in(OPTIMIZER_CHECKS)
def weight_decay_shrinks(race: _Race) -> None:
    """With weight decay and gradients of zero every parameter comes nearer to 0."""
    params, optimizer = race.start()
    for group in _options(optimizer, "weight_decay"):
        group["weight_decay"] = 0.1
    before = _copies(params)
    for one in params:
        one.grad = Tensor(np.zeros(one.shape, one.dtype))
    optimizer.step()
    for one, value in zip(params, before, strict=True):
        shrunk = np.all(np.abs(one.data) < np.abs(value)) and np.all(one.data * value >= 0)
        require(shrunk, f"with weight_decay=0.1 and no gradient {value} became {one.data}")


@_in(OPTIMIZER_CHECKS)
def zero_grad_clears(race: _Race) -> None:
    """After zero_grad() no parameter has a gradient."""
    params, optimizer = race.start()
    race.run(params, optimizer, range(1))
    optimizer.zero_grad()
    require(all(one.grad is None or not one.grad.data.any() for one in params), "a gradient is left after zero_grad()")


def check_optimizer(
    factory: Callable[[list[Tensor]], OptimizerLike],
    *,
    checks: Iterable[str] | None = None,
    seed: int = 0,
    raise_on_failure: bool = True,
) -> Report:
    """Try on an optimizer what every optimizer promises.

    Args:
        factory: makes an optimizer of a list of parameters, for instance ``lambda params: SGD(params, lr=0.05)``.
        checks: names out of :data:`OPTIMIZER_CHECKS`; all by default.
        seed: of parameters and gradients.
        raise_on_failure: False gives the report of an optimizer that fails.

    Raises:
        ConformanceError: a check failed; the message says which and why. ArgumentError: an unknown check, or an
            optimizer in place of a function that makes one.

    >>> from tinygrad_mlp import optim
    >>> check_optimizer(lambda params: optim.SGD(params, lr=0.05, momentum=0.9)).ok
    True
    """
    if not callable(factory):
        name = type(factory).__name__
        raise ArgumentError(
            f"check_optimizer: expected a function that makes optimizers, got {name}; give a factory: "
            f"check_optimizer(lambda params: {name}(params, lr=0.05))"
        )
    chosen = _chosen(OPTIMIZER_CHECKS, checks)
    race = _Race(factory, seed)
    found = tuple(finding(name, functools.partial(OPTIMIZER_CHECKS[name], race)) for name in chosen)
    report = Report(type(race.start()[1]).__name__, found)
    return report.raise_if_failed() if raise_on_failure else report
