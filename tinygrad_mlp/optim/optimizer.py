"""What every optimizer does; a concrete one adds its options and its update rule.

A rule is written once, in three parts, so that :meth:`Optimizer.step` and the compiler run the same code:

* the *structure*: the yes-or-no questions about the options that decide which NumPy calls are made;
* the *numbers*: what the options and the step count contribute, as Python floats;
* the *rule* of a structure: the NumPy calls for one parameter, on arrays, in place, reading nothing but its arguments.

A step over a small net is nothing but the fixed cost of these calls. The numbers enter as 0-d arrays of the parameter's
dtype, which NumPy takes at half the cost of a Python number and which cannot change the dtype of the result.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from typing import Any, Literal

import numpy as np

from ..capture import whole_step
from ..errors import ArgumentError, DTypeError, GradientError, StateError, did_you_mean
from ..nn.module import Module, clear_gradient
from ..tape import Array, wrap, wrote
from ..tensor import Tensor, enable_grad
from .room import Room

__all__ = [
    "Numbers",
    "Optimizer",
    "Rule",
    "State",
    "Steps",
    "Structure",
    "Update",
    "decays",
    "each",
    "entering",
    "follow",
    "follow_square",
    "number",
    "plain",
    "taken_in",
]

Options = Mapping[str, Any]
State = dict[str, Any]
Structure = tuple[bool, ...]
"""What the branches of a rule depend on; rules of equal structure make the same NumPy calls."""
Numbers = tuple[Any, ...]
"""The numbers of a rule, in its order: floats, or 0-d arrays of the parameter's dtype where the rule gets them."""
Rule = Callable[[Numbers, Array, Array, Mapping[str, Any], Array, Array], None]
"""``rule(numbers, data, gradient, state, scratch, second_scratch)`` writes ``data``, the arrays of ``state`` and the
scratch, never ``gradient``. It only calls ufuncs, as ``multiply(a, b, out)``, and uses nothing they return, so whatever
defines ``__array_ufunc__`` can take the place of the arrays."""

_Move = Callable[[Array, Array, State, Array, Array], None]
"""``move(data, gradient, state, scratch, second_scratch)``: a rule with its numbers, for one dtype."""
_Slot = tuple[Tensor, State, Array, Array, bool]
"""A parameter, its state, two arrays of scratch, and whether they are as large as the parameter."""


TORCH_ONLY = frozenset({"capturable", "differentiable", "foreach", "fused"})
"""How torch may run a step, which changes no number of it."""
SCHEDULED = frozenset({"initial_lr", "max_lr", "min_lr", "base_momentum", "max_momentum", "swa_lr"})
"""What schedules write into a group beside its options."""


def number(owner: str, name: str, value: Any, *, below: float = math.inf, most: float | None = None) -> float:
    """An option as a Python float, which adopts the dtype of whatever it meets.

    Raises:
        ArgumentError: not a number of [0, below), or of [0, most].
    """
    try:
        made: float | None = float(value)
    except (TypeError, ValueError):
        made = None
    # float() reads text as well, and the "0.1" of a configuration file would go unnoticed.
    if made is None or isinstance(value, (str, bytes, bytearray)):
        raise ArgumentError(f"{owner}: {name} is a number, got {value!r}; say {name}=0.01")
    if not (0.0 <= made < below if most is None else 0.0 <= made <= most):
        valid = f"[0, {below:g})" if most is None else f"[0, {most:g}]"
        raise ArgumentError(f"{owner}: {name} lies in {valid}, got {made!r}")
    return made


def plain(owner: str, options: dict[str, Any], numbers: Sequence[str], flags: Sequence[str]) -> dict[str, Any]:
    """``options`` itself, with these made floats of [0, inf) and those made bools.

    Raises:
        ArgumentError: a number that is none, or out of range.
    """
    for name in numbers:
        options[name] = number(owner, name, options[name])
    for name in flags:
        options[name] = bool(options[name])
    return options


def decays(owner: str, betas: Any) -> tuple[float, float]:
    """The pair of decay rates of two running means.

    Raises:
        ArgumentError: not two numbers of [0, 1).
    """
    if not isinstance(betas, (tuple, list)) or len(betas) != 2:
        raise ArgumentError(f"{owner}: betas are two numbers, got {betas!r}; say betas=(0.9, 0.999)")
    return number(owner, "betas[0]", betas[0], below=1.0), number(owner, "betas[1]", betas[1], below=1.0)


def entering(
    climbs: bool, penalised: bool, factor: Array, data: Array, gradient: Array, scratch: Array, second: Array
) -> Array:
    """What a rule takes for the gradient, in ``second`` if it is not ``gradient``: ``±g + factor * data``."""
    if climbs:
        np.negative(gradient, second)
        gradient = second
    if penalised:
        np.multiply(data, factor, scratch)
        np.add(gradient, scratch, second)
        gradient = second
    return gradient


def follow(mean: Array, gradient: Array, new: Array, scratch: Array) -> None:
    """``mean += new * (gradient - mean)``: a running mean of gradients."""
    np.subtract(gradient, mean, scratch)
    np.multiply(scratch, new, scratch)
    np.add(mean, scratch, mean)


def follow_square(square: Array, gradient: Array, old: Array, new: Array, scratch: Array) -> None:
    """``square = old * square + new * gradient**2``: a running mean of squares."""
    np.multiply(square, old, square)
    np.multiply(gradient, new, scratch)
    np.multiply(scratch, gradient, scratch)
    np.add(square, scratch, square)


class Steps:
    """The numbers of many steps, in the place of one step's number: ``beta ** steps`` gives an array of powers.

    They are Python's powers, which NumPy's differ from in the last bit.
    """

    __slots__ = ("steps",)

    def __init__(self, steps: list[int]) -> None:
        self.steps = steps

    def __rpow__(self, base: float) -> Array:
        return np.array([base**step for step in self.steps])


def each(step: int | Steps, of: Callable[[int], float]) -> Any:
    """``of(step)``, for one step or for many; what more than a power of the step's number is made of, in Python."""
    return np.array([of(one) for one in step.steps]) if isinstance(step, Steps) else of(step)


@dataclass(frozen=True, eq=False, slots=True)
class Update:
    """How the next step would move one parameter, for those who run the rule on something else than arrays.

    Call :meth:`begin`, run ``rule`` on stand-ins for the parameter's data, ``gradient``, the arrays of ``state`` and
    the numbers (0-d, of the parameter's dtype), and for each time that the recorded calls are run: :meth:`count`, then
    :meth:`numbers` of that count. Equal ``structure`` (of one class of optimizer) means equal calls.

    Attributes:
        optimizer, group: whose update it is; the place in ``optimizer.param_groups``.
        parameter, gradient: as they are now. state: what the optimizer remembers of the parameter, not a copy.
        structure, rule: of this update. The structure of the first step can differ from that of later ones.
        arrays: the names of the arrays in ``state`` that the rule reads and writes.
    """

    optimizer: Optimizer
    group: int
    parameter: Tensor
    gradient: Array
    state: State
    structure: Structure
    rule: Rule
    arrays: tuple[str, ...]

    def begin(self) -> None:
        """Add to ``state`` what is missing before a first step: arrays of zeros, the step count 0."""
        optimizer = self.optimizer
        options = optimizer._plan_of(self.group)[1]
        optimizer._initial(self.arrays, self.parameter.data, self.state, options, optimizer._room)

    def count(self, steps: int = 1) -> int:
        """Count steps that are about to be done; returns the number of the last one, 0 if the rule does not count."""
        if not self.optimizer._counted:
            return 0
        self.state["step"] = reached = self.state.get("step", 0) + steps
        return int(reached)

    def numbers(self, step: int | Array) -> Numbers:
        """The numbers of the rule with the group's present options in the ``step``-th step, counted from 1.

        Args:
            step: one step, or many as integers (T,); then each number is an array (T,) of float64.

        Raises:
            ArgumentError: an option is out of range.
        """
        optimizer = self.optimizer
        options = optimizer._plan_of(self.group)[1]
        if not isinstance(step, np.ndarray):
            return optimizer._numbers(options, step)
        found = optimizer._numbers(options, Steps(step.tolist()))
        return tuple([np.broadcast_to(np.asarray(one, np.float64), step.shape) for one in found])


class Optimizer:
    """Base of the update rules: parameters in groups, their state, and the loop over them.

    Args:
        params: parameters, or groups ``{"params": [...], "lr": ...}`` with options of their own; in an order, each
            once. A parameter without a gradient, or frozen, is passed over by :meth:`step`.
        defaults: the options of groups that do not give them.
        hints: torch's ``foreach``, ``fused``, ``capturable`` and ``differentiable``, which say how torch runs a step;
            None and False, its defaults, are taken and mean nothing here.

    Attributes:
        param_groups: one dictionary per group: ``"params"`` and the options, read again at each step, so a schedule
            changes ``group["lr"]``. What schedules keep there too (``initial_lr``, …) is part of the state.

    Raises:
        ArgumentError: no parameters, none that requires gradients, a set of them (its order changes from run to run),
            one of them twice, an option that does not exist or is out of range, a hint that asks for what there is not
            on NumPy. DTypeError: something is not a tensor
            of floats. GradientError: a tensor is not a leaf.
    """

    _arrays: tuple[str, ...] = ()
    """The names of the arrays that the rule keeps for each parameter."""
    _counted = False
    """Whether the rule also keeps the number of steps."""
    _scalars: frozenset[str] = frozenset()
    """Those of the arrays that are one number for the whole parameter, without axes."""
    _implied: Mapping[str, Any] = {}
    """Options in a state of torch's that are no choice of this class, each with the value that it stands for."""

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[Mapping[str, Any]],
        defaults: Mapping[str, Any],
        hints: Mapping[str, Any] | None = None,
    ) -> None:
        _refuse_hints(type(self).__name__, hints or {}, defaults)
        self.defaults = self._checked(dict(defaults))
        self.param_groups: list[dict[str, Any]] = []
        self._slots: list[list[_Slot]] = []
        self._room = Room()
        # Per group: the options as they were read, as they were checked, and what they make of the rule for each dtype.
        self._plans: list[tuple[tuple[Any, ...], Options, dict[np.dtype[Any], _Move]]] = []
        self._options = itemgetter(*self.defaults)
        self._stepped = False  # asked for by schedules, which come after the step
        self._what = f"{type(self).__name__}.step"
        given = _listed(params, type(self).__name__)
        groups = given if given and isinstance(given[0], Mapping) else [{"params": given}]
        for group in groups:
            self.add_param_group(group)
        if not any(self._slots):
            raise ArgumentError(
                f"{type(self).__name__}: no parameters to train; say {type(self).__name__}(model.parameters())"
            )
        if not any(parameter.requires_grad for slots in self._slots for parameter, *_ in slots):
            raise ArgumentError(
                f"{type(self).__name__}: nothing in the parameters requires gradients, so no step would change them; "
                "say Tensor(x, requires_grad=True), nn.Parameter(x), or model.requires_grad_() for a frozen model"
            )

    def _checked(self, options: dict[str, Any]) -> dict[str, Any]:
        """The options as plain numbers; raises ArgumentError for those out of range."""
        raise NotImplementedError

    @classmethod
    def _structure(cls, options: Options, first: bool) -> Structure:  # noqa: ARG003 - for those that branch
        """What the branches of the rule depend on.

        Args:
            options: the group's, checked. first: whether the state has just been made by :meth:`_initial`.
        """
        return ()

    @classmethod
    def _numbers(cls, options: Options, step: int | Steps) -> Numbers:
        """All numbers of the rule in the ``step``-th step (from 1; 0 where steps are not counted), as floats.

        For many :class:`Steps` the numbers that depend on the step are arrays.
        """
        raise NotImplementedError

    @classmethod
    def _rule(cls, structure: Structure) -> Rule:
        """The NumPy calls for one parameter; a function that reads nothing but its arguments."""
        raise NotImplementedError

    @classmethod
    def _starts(cls, options: Options) -> Mapping[str, float]:  # noqa: ARG003 - for those that start elsewhere
        """The values that fill the arrays of the state at first, for those that are not zero."""
        return {}

    @classmethod
    def _initial(cls, needs: Sequence[str], data: Array, state: State, options: Options, room: Room) -> None:
        """Add to ``state`` what is missing of the step count and the arrays ``needs``, like ``data``."""
        if cls._counted:
            state.setdefault("step", 0)
        starts = cls._starts(options)
        for name in needs:
            if name not in state:
                start = starts.get(name, 0.0)
                if name in cls._scalars or start:
                    state[name] = np.full_like(data, start, shape=() if name in cls._scalars else None)
                else:
                    state[name] = room.zeros_like(name, data)

    def _needs(self, options: Mapping[str, Any]) -> tuple[str, ...]:  # noqa: ARG002 - for those that need less
        """The names of the arrays in the state of a parameter that was updated with these options; by default all."""
        return self._arrays

    def add_param_group(self, group: Any) -> None:
        """Train more parameters, with options of their own; for instance layers that were frozen at first.

        Args:
            group: ``{"params": [...], "lr": ...}``; options left out take the defaults.

        Raises:
            ArgumentError, DTypeError, GradientError: as for the class; the optimizer is unchanged.
        """
        owner = type(self).__name__
        if not isinstance(group, Mapping) or "params" not in group:
            raise ArgumentError(f"{owner}: a group is a dictionary with 'params', got {group!r}")
        unknown = sorted(set(group) - {"params", *self.defaults} - SCHEDULED)
        if unknown:
            raise ArgumentError(f"{owner}: unknown options {unknown} in a group; valid: {sorted(self.defaults)}")
        members = group["params"]
        tensors = [members] if isinstance(members, Tensor) else _listed(members, owner)
        known = {parameter for slots in self._slots for parameter, *_ in slots}
        for place, one in enumerate(tensors):
            _check_parameter(one, f"{owner}: parameter {place}")
            if one in known:
                raise ArgumentError(
                    f"{owner}: parameter {place} (shape {one.shape}) is given twice and would be updated twice; "
                    "model.parameters() gives each once"
                )
            known.add(one)
        options = self._checked({**self.defaults, **{name: group[name] for name in self.defaults if name in group}})
        self.param_groups.append({"params": tensors, **options, **_scheduled(group)})
        self._slots.append(_slots([(one, {}) for one in tensors], blockwise=self._blockwise(options)))
        self._room.expect([one.data for one in tensors])
        self._plans.append(((), {}, {}))

    @property
    def state(self) -> dict[Tensor, State]:
        """What the rule remembers of each parameter that was updated at least once."""
        return {parameter: state for slots in self._slots for parameter, state, *_ in slots if state}

    def _blockwise(self, _options: Mapping[str, Any]) -> bool:
        """Whether large parameters are updated block by block: the rule has no state and leaves the second scratch."""
        return False

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or overwrite them with zeros in place."""
        noted = whole_step()
        for slots in self._slots:
            for parameter, *_ in slots:
                node: Any = parameter.node
                if noted is not None and node is not None:
                    noted.cleared(node, set_to_none)
                if set_to_none and node is not None:
                    node.gradient = None
                else:
                    clear_gradient(parameter, set_to_none)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient.

        Args:
            closure: called first, with recording on, to compute the loss and its gradients.

        Returns:
            What the closure returned.
        """
        loss = None
        self._stepped = True
        noted = whole_step()
        if closure is not None:
            with enable_grad():
                loss = closure()
        if noted is not None:
            noted.updates(self)
            return loss
        written: list[Array] = []
        try:
            for place in range(len(self.param_groups)):
                _, options, moves = self._plan_of(place)
                for parameter, state, scratch, second, whole in self._slots[place]:
                    node: Any = parameter.node
                    if node is None or node.gradient is None:
                        continue
                    data = parameter.data
                    move = moves.get(data.dtype) or moves.setdefault(data.dtype, self._move(options, data.dtype))
                    written.append(data)
                    if whole:
                        move(data, node.gradient.data, state, scratch, second)
                    else:
                        _in_blocks(move, data, node.gradient.data, scratch)
        finally:
            wrote(self._what, *written)
        return loss

    def updates(self) -> list[Update]:
        """What :meth:`step` would do now: one entry per parameter with a gradient, in order. Nothing is changed.

        Raises:
            ArgumentError: an option is out of range.
        """
        found = []
        for place, slots in enumerate(self._slots):
            options = self._plan_of(place)[1]
            needs = self._needs(options)
            for parameter, state, *_ in slots:
                node: Any = parameter.node
                if node is None or node.gradient is None:
                    continue
                structure = self._structure(options, not state.keys() >= set(needs))
                rule = self._rule(structure)
                found.append(Update(self, place, parameter, node.gradient.data, state, structure, rule, needs))
        return found

    def _plan_of(self, place: int) -> tuple[tuple[Any, ...], Options, dict[np.dtype[Any], _Move]]:
        group = self.param_groups[place]
        given = self._options(group)
        plan = self._plans[place]
        if given == plan[0]:
            return plan
        options = self._checked({name: group[name] for name in self.defaults})
        slots = self._slots[place]
        if not self._blockwise(options) and any(first is second for _, _, first, second, _ in slots):
            # Scratch for one block is too little for the rule that the new options ask for.
            self._slots[place] = _slots([(one, state) for one, state, *_ in slots], blockwise=False)
        self._plans[place] = plan = given, options, {}
        return plan

    def _move(self, options: Options, dtype: np.dtype[Any]) -> _Move:
        """The rule for parameters of this dtype, with numbers that are set again whenever the step count changes."""
        needs, counted = self._needs(options), self._counted
        rule = self._rule(self._structure(options, first=False))
        values = self._numbers(options, int(counted))
        numbers = tuple([np.array(value, dtype) for value in values])
        if not needs and not counted:
            return partial(rule, numbers)
        opening = self._rule(self._structure(options, first=True))
        # Class methods: a bound method would tie the optimizer and its plans into a cycle.
        numbers_of, initial, room = self._numbers, self._initial, self._room
        made_for = 1

        def move(data: Array, gradient: Array, state: State, scratch: Array, second: Array) -> None:
            nonlocal made_for, values
            now = rule
            for name in needs:
                if name not in state:
                    initial(needs, data, state, options, room)
                    now = opening
                    break
            if counted:
                step = state["step"] = state.get("step", 0) + 1  # a rule may count and keep no arrays
                # Most often the count is that of the parameter before, and most numbers do not depend on it.
                if step != made_for:
                    fresh = numbers_of(options, step)
                    for number, value, before in zip(numbers, fresh, values):  # noqa: B905 - strict=True costs as much
                        if value != before:
                            number[()] = value
                    made_for, values = step, fresh
            now(numbers, data, gradient, state, scratch, second)

        return move

    # --- state ---

    def state_dict(self) -> dict[str, Any]:
        """A copy of all that is needed to continue: ``{"state": {index: …}, "param_groups": [...]}``, as in torch.

        Parameters are numbered through the groups; the arrays come as tensors.
        """
        numbered = [state for slots in self._slots for _, state, *_ in slots]
        first = 0
        groups = []
        for group in self.param_groups:
            count = len(group["params"])
            kept = {name: group[name] for name in self.defaults} | _scheduled(group)
            groups.append({**kept, "params": list(range(first, first + count))})
            first += count
        return {
            "state": {
                index: {name: _given_out(one) for name, one in state.items()}
                for index, state in enumerate(numbered)
                if state
            },
            "param_groups": groups,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over options and state from :meth:`state_dict`: all of it or nothing.

        A state of torch's optimizer of the same name fits as it is; its arrays may be tensors of torch's on the CPU.

        Raises:
            StateError: it does not fit; the message lists every difference, and the optimizer is unchanged.
        """
        faults: list[str] = []
        options = self._fitting_options(state, faults)
        entries = self._fitting_entries(state, options, faults) if not faults else []
        if faults:
            raise StateError(
                f"the state does not fit {type(self).__name__} ({len(faults)} differences, nothing was loaded):\n  "
                + "\n  ".join(faults)
            )
        for group, new in zip(self.param_groups, options, strict=True):
            for name in SCHEDULED - set(new):
                group.pop(name, None)
            group.update(new)
        for (_, kept, *_), entry in zip((slot for slots in self._slots for slot in slots), entries, strict=True):
            kept.clear()
            kept.update(entry)
        self._stepped = True  # a state is taken between two steps: schedules have nothing to warn of

    def _fitting_options(self, state: Any, faults: list[str]) -> list[dict[str, Any]]:
        groups = state.get("param_groups") if isinstance(state, Mapping) else None
        if not isinstance(groups, Sequence) or not isinstance(state.get("state"), Mapping):
            faults.append("expected a dictionary with 'param_groups' and 'state', as state_dict() gives it")
            return []
        if len(groups) != len(self.param_groups):
            faults.append(f"expected {len(self.param_groups)} parameter groups, got {len(groups)}")
            return []
        options = []
        for place, (group, ours) in enumerate(zip(groups, self.param_groups, strict=True)):
            if not isinstance(group, Mapping) or not isinstance(group.get("params"), Sequence):
                faults.append(f"group {place}: expected a dictionary with 'params', got {group!r}")
                continue
            if len(group["params"]) != len(ours["params"]):
                faults.append(f"group {place}: expected {len(ours['params'])} parameters, got {len(group['params'])}")
            names = set(group) - {"params"} - TORCH_ONLY - SCHEDULED
            for name, value in self._implied.items():
                if name in names - set(self.defaults):
                    names.remove(name)
                    if group[name] != value:
                        faults.append(f"group {place}: {name}={group[name]!r} is not {type(self).__name__}")
            faults += [f"group {place}: option {name!r} missing" for name in sorted(set(self.defaults) - names)]
            faults += [
                f"group {place}: option {name!r} unexpected" for name in sorted(names - set(self.defaults), key=str)
            ]
            try:
                chosen = self._checked({name: group.get(name, default) for name, default in self.defaults.items()})
                options.append({**chosen, **_scheduled(group)})
            except ArgumentError as error:
                faults.append(f"group {place}: {error}")
        return options

    def _fitting_entries(self, state: Any, options: Sequence[Mapping[str, Any]], faults: list[str]) -> list[State]:
        given = state["state"]
        slots = [(slot[0], options[place]) for place, slots in enumerate(self._slots) for slot in slots]
        faults += [f"state of parameter {key!r}: unexpected" for key in given if key not in range(len(slots))]
        entries: list[State] = []
        for index, (parameter, chosen) in enumerate(slots):
            entry = given.get(index, {})
            entries.append(self._fitting_entry(f"state of parameter {index}", entry, parameter, chosen, faults))
        return entries

    def _fitting_entry(
        self, where: str, entry: Any, parameter: Tensor, options: Mapping[str, Any], faults: list[str]
    ) -> State:
        if not isinstance(entry, Mapping):
            faults.append(f"{where}: expected a dictionary, got {type(entry).__name__}")
            return {}
        if not entry:
            return {}
        wanted = {*self._needs(options), *(("step",) if self._counted else ())}
        faults += [f"{where}: {name!r} missing" for name in sorted(wanted - set(entry))]
        faults += [f"{where}: {name!r} unexpected" for name in sorted(set(entry) - wanted, key=str)]
        kept: State = {}
        # In the order of the rule, so that a loaded state is written again exactly as it was.
        for name in ("step", *self._arrays):
            if name not in wanted or name not in entry:
                continue
            value = entry[name]
            array = taken_in(value)
            if name == "step":
                if (
                    array.size != 1
                    or array.dtype.kind not in "iuf"
                    or array.item() < 0
                    or array.item() != int(array.item())
                ):
                    faults.append(f"{where}: 'step' is a count, got {value!r}")
                else:
                    kept[name] = int(array.item())
            elif name in self._scalars and array.shape == () and array.dtype.kind == "f":
                kept[name] = array.astype(parameter.dtype)  # torch's is of the default dtype
            elif array.shape != parameter.shape or array.dtype != parameter.dtype:
                faults.append(
                    f"{where}: {name!r}: expected {parameter.shape} {parameter.dtype}, got {array.shape} {array.dtype}"
                )
            else:
                kept[name] = array
        return kept

    def __getstate__(self) -> dict[str, Any]:
        # Plans are made again on demand: they hold numbers that two copies must not share.
        return {**self.__dict__, "_plans": [((), {}, {}) for _ in self.param_groups]}

    def __repr__(self) -> str:
        groups = []
        for group in self.param_groups:
            options = ", ".join(f"{name}={group[name]!r}" for name in self.defaults)
            shapes = ", ".join(str(one.shape) for one in group["params"])
            groups.append(f"  {options}\n    {len(group['params'])} parameters: {shapes}\n")
        return f"{type(self).__name__}(\n{''.join(groups)})"


def _refuse_hints(owner: str, hints: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    for name, value in hints.items():
        if name not in TORCH_ONLY:
            raise ArgumentError(f"{owner}: {did_you_mean('option', name, options)}")
        if value:
            raise ArgumentError(
                f"{owner}: {name}={value!r} says how torch runs a step, and NumPy has one way only; leave {name} out"
            )


def _scheduled(group: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in group.items() if name in SCHEDULED}


def _given_out(one: Any) -> Any:
    """A value of the state as :meth:`Optimizer.state_dict` shows it."""
    if isinstance(one, list):
        return [_given_out(each) for each in one]
    return wrap(Tensor, one.copy("K")) if isinstance(one, np.ndarray) else one


def taken_in(value: Any) -> Array:
    """A copy of what a state holds: a tensor of ours or torch's, an array, or a number."""
    # Not np.array(), which warns of torch's tensors.
    return np.asarray(value.data if isinstance(value, Tensor) else value).copy(order="K")


def _listed(params: Any, owner: str) -> list[Any]:
    fix = f"say {owner}(model.parameters())"
    if isinstance(params, Module):
        raise ArgumentError(
            f"{owner}: expected parameters, got the module {type(params).__name__} itself; say "
            f"{owner}(model.parameters())"
        )
    if isinstance(params, (set, frozenset)):
        raise ArgumentError(f"{owner}: a set of parameters has another order in every run; give a list, or {fix}")
    if isinstance(params, (Tensor, str, Mapping)) or not isinstance(params, Iterable):
        raise ArgumentError(f"{owner}: expected a list of parameters, got {type(params).__name__}; {fix}")
    return list(params)


# A block of this many elements and what is read beside it stay in the processor's cache.
_BLOCK = 3 << 13


def _shared_scratch(tensors: Sequence[Tensor], limit: int | None) -> list[Array]:
    """An array like each tensor's, of its shape and layout, all of them views of one buffer per dtype.

    Parameters are updated one after the other, so the largest one's worth of scratch serves them all. A tensor of more
    than ``limit`` elements gets the whole buffer, 1-d: its update goes block by block.
    """
    largest: dict[np.dtype[Any], int] = {}
    for one in tensors:
        largest[one.dtype] = max(min(one.size, limit or one.size), largest.get(one.dtype, 0))
    buffers = {dtype: np.empty(size, dtype) for dtype, size in largest.items()}
    return [
        buffers[one.dtype]
        if one.size > buffers[one.dtype].size
        else buffers[one.dtype][: one.size].reshape(one.shape, order="C" if one.data.flags.c_contiguous else "F")
        for one in tensors
    ]


def _slots(members: Sequence[tuple[Tensor, State]], *, blockwise: bool) -> list[_Slot]:
    tensors = [one for one, _ in members]
    first = _shared_scratch(tensors, _BLOCK if blockwise else None)
    second = first if blockwise else _shared_scratch(tensors, None)
    return [(one, state, a, b, a.size == one.size) for (one, state), a, b in zip(members, first, second, strict=True)]


def _in_blocks(move: _Move, data: Array, gradient: Array, scratch: Array) -> None:
    """A move without state, part by part in the order in which ``data`` lies in memory."""
    if not data.flags.forc:  # no way to walk through it in blocks
        scratch = np.empty_like(data)
        move(data, gradient, {}, scratch, scratch)
        return
    order: Literal["C", "F"] = "C" if data.flags.c_contiguous else "F"
    values, slopes = data.reshape(-1, order=order), gradient.reshape(-1, order=order)
    for start in range(0, data.size, scratch.size):
        part = values[start : start + scratch.size]
        space = scratch[: part.size]
        move(part, slopes[start : start + scratch.size], {}, space, space)


def _check_parameter(one: Any, where: str) -> None:
    if isinstance(one, Module):
        raise DTypeError(
            f"{where} is a Tensor, got the module {type(one).__name__}; take what it holds: layer.parameters()"
        )
    if not isinstance(one, Tensor):
        raise DTypeError(
            f"{where} is a Tensor, got {type(one).__name__}; from named_parameters() take the second of each pair"
        )
    if not one.is_leaf:
        raise GradientError(f"{where} was computed from other tensors; only leaves can be trained: x.detach().clone()")
    if one.dtype.kind != "f":
        raise DTypeError(f"{where} is {one.dtype}; only floats can be trained: x.astype('float32')")
