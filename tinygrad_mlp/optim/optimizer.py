"""What every optimizer does; a concrete one adds its options and its update rule.

An update is written for one parameter, on arrays, in place, without allocating: a step over a small net is nothing but
the fixed cost of NumPy calls. Scalars enter as 0-d arrays of the parameter's dtype, which NumPy takes at half the cost
of a Python number and which cannot change the dtype of the result.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any, Literal

import numpy as np

from ..errors import ArgumentError, DTypeError, GradientError, StateError
from ..nn.module import Module, clear_gradient
from ..tape import Array, wrap, wrote
from ..tensor import Tensor, enable_grad

__all__ = ["Optimizer", "Update", "number"]

State = dict[str, Any]
Update = Callable[[Array, Array, State, Array, Array], None]
"""``update(data, gradient, state, scratch, second_scratch)`` changes ``data`` and ``state``, never ``gradient``."""

_Slot = tuple[Tensor, State, Array, Array]


def number(owner: str, name: str, value: Any, *, below: float = math.inf) -> float:
    """An option as a Python float, which adopts the dtype of whatever it meets.

    Raises:
        ArgumentError: not a number of [0, below).
    """
    try:
        plain: float | None = float(value)
    except (TypeError, ValueError):
        plain = None
    # float() reads text as well, and the "0.1" of a configuration file would go unnoticed.
    if plain is None or isinstance(value, (str, bytes, bytearray)):
        raise ArgumentError(f"{owner}: {name} is a number, got {value!r}; say {name}=0.01")
    if not 0.0 <= plain < below:
        raise ArgumentError(f"{owner}: {name} lies in [0, {below:g}), got {plain!r}")
    return plain


class Optimizer:
    """Base of the update rules: parameters in groups, their state, and the loop over them.

    Args:
        params: parameters, or groups ``{"params": [...], "lr": ...}`` with options of their own; in an order, each
            once. A parameter without a gradient, or frozen, is passed over by :meth:`step`.
        defaults: the options of groups that do not give them.

    Attributes:
        param_groups: one dictionary per group: ``"params"`` and the options, read again at each step, so a schedule
            changes ``group["lr"]``.

    Raises:
        ArgumentError: no parameters, none that requires gradients, a set of them (its order changes from run to run),
            one of them twice, an option that does not exist or is out of range. DTypeError: something is not a tensor
            of floats. GradientError: a tensor is not a leaf.
    """

    _arrays: tuple[str, ...] = ()
    """The names of the arrays that the rule keeps for each parameter."""
    _counted = False
    """Whether the rule also keeps the number of steps."""

    def __init__(self, params: Iterable[Tensor] | Iterable[Mapping[str, Any]], defaults: Mapping[str, Any]) -> None:
        self.defaults = self._checked(dict(defaults))
        self.param_groups: list[dict[str, Any]] = []
        self._slots: list[list[_Slot]] = []
        self._rules: list[tuple[tuple[Any, ...], dict[np.dtype[Any], Update]]] = []
        self._options = itemgetter(*self.defaults)
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

    def _update(self, options: dict[str, Any], dtype: np.dtype[Any]) -> Update:
        """The update rule for these options on parameters of this dtype."""
        raise NotImplementedError

    def _needs(self, options: Mapping[str, Any]) -> tuple[str, ...]:
        """The names of the arrays in the state of a parameter that was updated with these options."""
        raise NotImplementedError

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
        unknown = sorted(set(group) - {"params", *self.defaults})
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
        self.param_groups.append({"params": tensors, **options})
        limit = _BLOCK if self._blockwise(options) else None
        first = _shared_scratch(tensors, limit)
        second = first if limit else _shared_scratch(tensors, limit)
        self._slots.append([(one, {}, a, b) for one, a, b in zip(tensors, first, second, strict=True)])
        self._rules.append(((), {}))

    @property
    def state(self) -> dict[Tensor, State]:
        """What the rule remembers of each parameter that was updated at least once."""
        return {parameter: state for slots in self._slots for parameter, state, *_ in slots if state}

    def _blockwise(self, _options: Mapping[str, Any]) -> bool:
        """Whether large parameters are updated block by block, with scratch for one block and no second scratch."""
        return False

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or overwrite them with zeros in place."""
        for slots in self._slots:
            for parameter, *_ in slots:
                node: Any = parameter.node
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
        if closure is not None:
            with enable_grad():
                loss = closure()
        written: list[Array] = []
        try:
            for place, group in enumerate(self.param_groups):
                rules = self._rules_of(place, group)
                for parameter, state, scratch, second in self._slots[place]:
                    node: Any = parameter.node
                    if node is None or node.gradient is None:
                        continue
                    data = parameter.data
                    update = rules.get(data.dtype) or self._new_rule(rules, group, data.dtype)
                    written.append(data)
                    update(data, node.gradient.data, state, scratch, second)
        finally:
            wrote(self._what, *written)
        return loss

    def _rules_of(self, place: int, group: dict[str, Any]) -> dict[np.dtype[Any], Update]:
        options = self._options(group)
        before, rules = self._rules[place]
        if options != before:
            rules = {}
            self._rules[place] = options, rules
        return rules

    def _new_rule(self, rules: dict[np.dtype[Any], Update], group: dict[str, Any], dtype: np.dtype[Any]) -> Update:
        options = self._checked({name: group[name] for name in self.defaults})
        return rules.setdefault(dtype, self._update(options, dtype))

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
            groups.append(
                {**{name: group[name] for name in self.defaults}, "params": list(range(first, first + count))}
            )
            first += count
        return {
            "state": {
                index: {
                    name: wrap(Tensor, one.copy()) if isinstance(one, np.ndarray) else one
                    for name, one in state.items()
                }
                for index, state in enumerate(numbered)
                if state
            },
            "param_groups": groups,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over options and state from :meth:`state_dict`: all of it or nothing.

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
            group.update(new)
        for (_, kept, *_), entry in zip((slot for slots in self._slots for slot in slots), entries, strict=True):
            kept.clear()
            kept.update(entry)

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
            names = set(group) - {"params"}
            faults += [f"group {place}: option {name!r} missing" for name in sorted(set(self.defaults) - names)]
            faults += [
                f"group {place}: option {name!r} unexpected" for name in sorted(names - set(self.defaults), key=str)
            ]
            try:
                options.append(
                    self._checked({name: group.get(name, default) for name, default in self.defaults.items()})
                )
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
            array = np.asarray(value.data if isinstance(value, Tensor) else value).copy()
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
            elif array.shape != parameter.shape or array.dtype != parameter.dtype:
                faults.append(
                    f"{where}: {name!r}: expected {parameter.shape} {parameter.dtype}, got {array.shape} {array.dtype}"
                )
            else:
                kept[name] = array
        return kept

    def __getstate__(self) -> dict[str, Any]:
        # Rules are made again on demand: they hold scalars that two copies must not share.
        return {**self.__dict__, "_rules": [((), {}) for _ in self.param_groups]}

    def __repr__(self) -> str:
        groups = []
        for group in self.param_groups:
            options = ", ".join(f"{name}={group[name]!r}" for name in self.defaults)
            shapes = ", ".join(str(one.shape) for one in group["params"])
            groups.append(f"  {options}\n    {len(group['params'])} parameters: {shapes}\n")
        return f"{type(self).__name__}(\n{''.join(groups)})"


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


def blocks(data: Array, gradient: Array, size: int) -> Iterator[tuple[Array, Array]]:
    """Views of ``data``, in the order in which it lies in memory, and the same parts of ``gradient``."""
    order: Literal["C", "F"] = "C" if data.flags.c_contiguous else "F"
    values, slopes = data.reshape(-1, order=order), gradient.reshape(-1, order=order)
    for start in range(0, data.size, size):
        yield values[start : start + size], slopes[start : start + size]


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
