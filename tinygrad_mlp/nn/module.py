"""Module: a tree of layers that knows its parameters, buffers and mode.

A parameter is any leaf tensor that wants gradients (or was made by :func:`Parameter`) and is assigned to an attribute;
a layer is any Module assigned to one. Attributes are ordinary instance attributes, so reading ``self.weight`` in
``forward`` costs what Python's cheapest attribute costs; the registries beside them only remember the order.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ..capture import whole_step
from ..errors import ArgumentError, DTypeError, StateError
from ..tape import Array, Leaf, Node, recorder, wrap, wrote
from ..tensor import RemovableHandle, Tensor, record_values
from ..tree import flatten
from ..watch import scoped
from .arguments import bound, make, noted
from .hooks import ModuleHooks, after_forward, before_forward
from .summary import Summary, summary_of

if TYPE_CHECKING:
    from ..graph import Graph

__all__ = ["IncompatibleKeys", "Module", "Parameter", "clear_gradient", "convert", "parameters_limited", "refuse_data"]

# Read when a parameter is made: how many more bytes of them there may be. A list, to be counted down in place.
_ROOM: ContextVar[list[int] | None] = ContextVar("room_for_parameters", default=None)


def Parameter(  # noqa: N802 - torch's name; a class there, but our Tensor is final
    data: ArrayLike | Tensor, requires_grad: bool = True, dtype: DTypeLike | None = None
) -> Tensor:
    """A tensor that a Module takes for one of its parameters; the data is copied.

    Args:
        data: numbers, an array or a tensor of floats; Python numbers become the default dtype.
        requires_grad: False makes it frozen: still a parameter, saved and loaded with the module, but not trained.
        dtype: convert to this dtype.

    Raises:
        DTypeError: the data is not floats.
    """
    room = _ROOM.get()
    if room is not None:
        room[0] -= int(getattr(data, "nbytes", 8))
        if room[0] < 0:
            raise StateError("there are more parameters here than there is room for; see parameters_limited")
    made = Tensor(data, requires_grad=True, dtype=dtype)
    made.requires_grad = requires_grad
    return made


@contextmanager
def parameters_limited(size: int) -> Iterator[None]:
    """Let the parameters made within this block have ``size`` bytes together, so that a file's claim costs nothing.

    Raises:
        StateError: when one is made for which there is no room, before its memory is touched.
    """
    token = _ROOM.set([size])
    try:
        yield
    finally:
        _ROOM.reset(token)


def _is_parameter(value: Tensor) -> bool:
    # A tensor keeps its leaf aside while it is frozen; that is how a frozen parameter differs from plain data.
    return isinstance(value.node, Leaf) or (value.node is None and getattr(value, "_parked", None) is not None)


def convert(parameter: Tensor, dtype: np.dtype[Any]) -> None:
    """Give a parameter another dtype, in place; its gradient is dropped."""
    trained = parameter.requires_grad
    parameter.requires_grad = True
    parameter.data = parameter.data.astype(dtype)
    parameter.node = Leaf(parameter.data)
    parameter.requires_grad = trained


def clear_gradient(parameter: Tensor, set_to_none: bool = True) -> None:
    """Forget the gradient of ``parameter``, or overwrite it with zeros in place."""
    noted = whole_step()
    if noted is not None and isinstance(parameter.node, Leaf):
        noted.cleared(parameter.node, set_to_none)
    if parameter.grad is None:
        return
    before = parameter.grad
    if set_to_none:
        parameter.grad = None
    elif before.node is None and before.data.flags.writeable:
        before.data.fill(0)
        wrote("zero_grad(set_to_none=False)", before.data)
    else:
        parameter.grad = wrap(Tensor, np.zeros_like(before.data))


def refuse_data(owner: Module, *options: object, call: str = "x") -> None:
    """Refuse data where options belong: ``nn.ReLU(x)`` is meant to be ``nn.ReLU()(x)``.

    Raises:
        ArgumentError: one of the options of the constructor is a tensor or an array with axes.
    """
    for given in options:
        if isinstance(given, (Tensor, np.ndarray)) and given.ndim:
            name = type(owner).__name__
            raise ArgumentError(
                f"{name}(...) makes the layer and takes its options, got data of shape {tuple(given.shape)}; "
                f"data comes when it is called: nn.{name}()({call})"
            )


class IncompatibleKeys(NamedTuple):
    """What ``load_state_dict(strict=False)`` passed over."""

    missing_keys: list[str]
    unexpected_keys: list[str]


# Only read while modules are noted: which one is running.
_RUNNING: ContextVar[Module | None] = ContextVar("running_module", default=None)


class Module:
    """Base of every layer, model and loss: write ``__init__`` and ``forward``, call the instance.

    Attributes:
        training: True in training mode, the start; Dropout and the like behave differently in evaluation.

    A layer gives a Tensor for a Tensor. For a NumPy array a layer with parameters gives a Tensor as well; one without
    (``ReLU``, ``Flatten``, …) is a plain function and gives an array, because looking at the type of every input would
    slow down every call.

    >>> from tinygrad_mlp import nn
    >>> class Scaled(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.layer = nn.Linear(2, 3, seed=0)
    ...         self.scale = nn.Parameter(2.0)
    ...
    ...     def forward(self, x):
    ...         return self.layer(x) * self.scale
    >>> [name for name, _ in Scaled().named_parameters()]
    ['scale', 'layer.weight', 'layer.bias']
    """

    training: bool
    _parameters: dict[str, Tensor | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Module | None]
    _transient: set[str]
    _hooks: ModuleHooks | None = None
    _arguments: tuple[tuple[Any, ...], dict[str, Any]]

    def __new__(cls, *args: Any, **options: Any) -> Self:  # noqa: D102 - classes describe their arguments themselves
        made = super().__new__(cls)
        made.__dict__["_arguments"] = noted(args, Module), noted(options, Module)
        return made

    def __init__(self) -> None:
        self.training = True
        self._parameters = {}
        self._buffers = {}
        self._modules = {}
        self._transient = set()

    def forward(self, *inputs: Any, **options: Any) -> Any:
        """What the module computes; written by each subclass, called by calling the module."""
        raise NotImplementedError(
            f"{type(self).__name__} has no forward(self, x); write one that returns the module's output"
        )

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """Run :meth:`forward`. An exception on the way gets a note that names the layer by its path."""
        if self._hooks is not None:
            return self._call_hooked(self._hooks, inputs, options)
        kind = recorder()
        if kind is not Node and kind is not None and kind.notes_modules:
            kind.enters(self)
            return self._call_recorded(kind, inputs, options)
        try:
            return self.forward(*inputs, **options)
        except Exception as error:
            self._note_place(error)
            raise

    def _call_hooked(self, hooks: ModuleHooks, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
        kind = recorder()
        watched = kind is not Node and kind is not None and kind.notes_modules
        if watched:
            kind.enters(self)  # type: ignore[union-attr]
        inputs, options, link = hooks.enter(self, inputs, options)
        # What runs is what runs without hooks, whose call is not to cost one more frame.
        if watched:
            assert kind is not None
            output = self._call_recorded(kind, inputs, options)
        else:
            try:
                output = self.forward(*inputs, **options)
            except Exception as error:
                self._note_place(error)
                raise
        return hooks.leave(self, inputs, options, output, link)

    def _call_recorded(self, kind: type[Node], inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
        outer = _RUNNING.get()
        if outer is None:
            for name, parameter in self.named_parameters():
                if isinstance(parameter.node, Leaf):
                    parameter.node.name = name
        token = _RUNNING.set(self)
        output = None
        try:
            with scoped(_name_within(outer, self)):
                output = self.forward(*inputs, **options)
        except Exception as error:
            self._note_place(error)
            raise
        finally:
            _RUNNING.reset(token)
            kind.leaves(self, output)
        return output

    def _note_place(self, error: Exception) -> None:
        """Say in a note of ``error`` where it was raised, as a path from the outermost module down to the layer."""
        trail: list[Module] = getattr(error, "modules", None) or []
        trail.append(self)
        outermost_first = trail[::-1]
        names = [type(self).__name__]
        names += [_name_within(outer, inner) for outer, inner in itertools.pairwise(outermost_first)]
        innermost = trail[0]
        head = f"{type(innermost).__name__}({innermost.extra_repr()})"
        note = f"in layer {'.'.join(names)}: {head}" if len(names) > 1 else f"in {head}"
        if len(trail) > 1:
            error.__notes__.remove(error.module_note)  # type: ignore[attr-defined]
        error.modules, error.module_note = trail, note  # type: ignore[attr-defined]
        error.add_note(note)

    # --- attributes ---

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Module):
            self._register(name, value, "_modules")
        elif isinstance(value, Tensor):
            self._set_tensor(name, value)
        elif isinstance(getattr(type(self), name, None), property):
            object.__setattr__(self, name, value)
            return
        else:
            self._set_plain(name, value)
        self.__dict__[name] = value

    def _set_tensor(self, name: str, value: Tensor) -> None:
        if name in self.__dict__.get("_buffers", ()):
            self._buffers[name] = value
        elif _is_parameter(value):
            self._register(name, value, "_parameters")
        elif name in self.__dict__.get("_parameters", ()):
            raise ArgumentError(
                f"{type(self).__name__}.{name} is a parameter, the new value wants no gradients; say "
                f"module.{name} = nn.Parameter(value)"
            )
        else:
            self._set_plain(name, value)

    def _set_plain(self, name: str, value: Any) -> None:
        for registry in ("_parameters", "_modules", "_buffers"):
            if name in self.__dict__.get(registry, ()):
                if value is not None:
                    what = {"_parameters": "parameter", "_modules": "layer", "_buffers": "buffer"}[registry]
                    raise ArgumentError(
                        f"{type(self).__name__}.{name} is a {what}, got {type(value).__name__}; del module.{name} first"
                    )
                self.__dict__[registry][name] = None
        if isinstance(value, (list, tuple, dict)) and name not in _OWN:
            members = value.values() if isinstance(value, dict) else value
            if any(isinstance(one, Module) or (isinstance(one, Tensor) and _is_parameter(one)) for one in members):
                raise ArgumentError(
                    f"{type(self).__name__}.{name}: layers in a {type(value).__name__} would stay untrained; say "
                    f"self.{name} = nn.ModuleList([...]), or nn.ParameterList([...]) for parameters"
                )

    def _register(self, name: str, value: Module | Tensor, registry: str) -> None:
        if registry not in self.__dict__:
            raise ArgumentError(
                f"{type(self).__name__}.{name} is set before the module is; make super().__init__() the first line of "
                f"{type(self).__name__}.__init__"
            )
        if isinstance(value, Module) and any(one is self for one in value.modules()):
            raise ArgumentError(f"{type(self).__name__}.{name}: a module cannot contain itself")
        if name not in self.__dict__[registry]:
            for other in ("_parameters", "_modules", "_buffers"):
                self.__dict__[other].pop(name, None)
        self.__dict__[registry][name] = value

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        for registry in ("_parameters", "_modules", "_buffers"):
            self.__dict__[registry].pop(name, None)

    def register_parameter(self, name: str, parameter: Tensor | None) -> None:
        """Declare a parameter that may be absent: with None the name keeps its place in the order.

        Raises:
            ArgumentError: the name is taken or not a name, or the tensor is not a parameter.
        """
        self._check_name(name)
        if parameter is not None and not _is_parameter(parameter):
            raise ArgumentError(f"{name}: this tensor wants no gradients; say nn.Parameter(value)")
        self._parameters[name] = parameter
        self.__dict__[name] = parameter

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Declare a tensor that belongs to the module's state but is not trained, such as a running mean.

        Args:
            name: the attribute. tensor: its value; None keeps the place. persistent: part of ``state_dict``.

        Raises:
            ArgumentError: the name is taken or not a name, or the value is not a plain tensor.
        """
        self._check_name(name)
        given: Any = tensor
        if given is not None and (not isinstance(given, Tensor) or given.requires_grad):
            raise ArgumentError(
                f"buffer {name!r} is a Tensor without gradients, got {type(tensor).__name__}; say Tensor(x)"
            )
        self._buffers[name] = tensor
        if not persistent:
            self._transient.add(name)
        self.__dict__[name] = tensor

    def add_module(self, name: str, module: Module) -> None:
        """Attach a layer under a name that need not be a Python identifier.

        Raises:
            ArgumentError: the name is taken or holds a dot, or ``module`` is not a Module.
        """
        self._check_name(name)
        given: Any = module
        if not isinstance(given, Module):
            raise ArgumentError(f"layer {name!r} is a Module, got {_described(given)}")
        setattr(self, name, given)

    def _check_name(self, name: str) -> None:
        if not name or "." in name or hasattr(self, name):
            raise ArgumentError(f"{type(self).__name__}: {name!r} is taken, empty or holds a dot; choose another name")

    # --- hooks ---

    def _hooked(self) -> ModuleHooks:
        if self._hooks is None:
            self.__dict__["_hooks"] = ModuleHooks()
        assert self._hooks is not None
        return self._hooks

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Have ``hook(module, args)`` called before each forward; what it returns, if not None, replaces the arguments.

        Args:
            prepend: before the hooks that are there. with_kwargs: call ``hook(module, args, kwargs)``, which returns
                None or ``(args, kwargs)``.

        Returns:
            A handle: ``handle.remove()`` takes the hook off. A compiled step refuses modules with hooks.
        """
        hooks = self._hooked()
        return hooks.add(hooks.before, before_forward(hook, with_kwargs=with_kwargs), prepend=prepend)

    def register_forward_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Have ``hook(module, args, output)`` called after each forward; what it returns, if not None, is the output.

        Arguments and result: :meth:`register_forward_pre_hook`; ``with_kwargs`` puts ``kwargs`` before ``output``.

        >>> from tinygrad_mlp import nn, zeros
        >>> layer, seen = nn.Linear(3, 2, seed=0), []
        >>> with layer.register_forward_hook(lambda module, args, output: seen.append(output.shape)):
        ...     _ = layer(zeros(5, 3))
        >>> seen
        [(5, 2)]
        """
        hooks = self._hooked()
        return hooks.add(hooks.after, after_forward(hook, with_kwargs=with_kwargs), prepend=prepend)

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Have ``hook(module, grad_input, grad_output)`` called when the gradients of a call's inputs are there.

        Both are tuples, with None for what has no gradient, ``grad_input`` one for each positional argument. What the
        hook returns, if not None, takes the place of ``grad_input``.
        """
        hooks = self._hooked()
        return hooks.add(hooks.backward, hook, prepend=prepend)

    def register_full_backward_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Have ``hook(module, grad_output)`` called before the backward pass of a call; it may return a replacement."""
        hooks = self._hooked()
        return hooks.add(hooks.backward_before, hook, prepend=prepend)

    # --- walking the tree ---

    def named_modules(self) -> Iterator[tuple[str, Module]]:
        """Every module below this one with its path, this one (``""``) first; each once, in definition order."""
        seen: set[Module] = set()
        stack: list[tuple[str, Module]] = [("", self)]
        while stack:
            path, module = stack.pop()
            if module in seen:
                continue
            seen.add(module)
            yield path, module
            stack.extend(
                [
                    (f"{path}.{name}" if path else name, child)
                    for name, child in reversed(module._modules.items())
                    if child is not None
                ]
            )

    def modules(self) -> Iterator[Module]:
        """Every module below this one, this one first; each once."""
        return (module for _, module in self.named_modules())

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The layers directly below this one with their names; each once."""
        seen: set[Module] = set()
        for name, child in self._modules.items():
            if child is not None and child not in seen:
                seen.add(child)
                yield name, child

    def children(self) -> Iterator[Module]:
        """The layers directly below this one; each once."""
        return (child for _, child in self.named_children())

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Every parameter with its path: a module's own before those of its layers, each tensor once."""
        return self._distinct("_parameters")

    def parameters(self) -> Iterator[Tensor]:
        """Every parameter, in the order of :meth:`named_parameters`; a tied one comes once."""
        return (parameter for _, parameter in self.named_parameters())

    def named_buffers(self) -> Iterator[tuple[str, Tensor]]:
        """Every buffer with its path, each tensor once."""
        return self._distinct("_buffers")

    def buffers(self) -> Iterator[Tensor]:
        """Every buffer, each once."""
        return (buffer for _, buffer in self.named_buffers())

    def _distinct(self, registry: str) -> Iterator[tuple[str, Tensor]]:
        seen: set[int] = set()
        for path, module in self.named_modules():
            for name, tensor in module.__dict__[registry].items():
                if tensor is not None and id(tensor) not in seen:
                    seen.add(id(tensor))
                    yield f"{path}.{name}" if path else name, tensor

    # --- mode ---

    def train(self, mode: bool = True) -> Self:
        """Put this module and all below it into training mode, or with False into evaluation mode."""
        for module in self.modules():
            module.__dict__["training"] = bool(mode)
        return self

    def eval(self) -> Self:
        """Put this module and all below it into evaluation mode."""
        return self.train(False)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or overwrite them with zeros in place."""
        for parameter in self.parameters():
            clear_gradient(parameter, set_to_none)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Freeze (False) or thaw all parameters; frozen ones stay parameters."""
        for parameter in self.parameters():
            parameter.requires_grad = requires_grad
        return self

    def apply(self, function: Callable[[Module], object]) -> Self:
        """Call ``function`` on every module below this one, layers before what holds them, then on this one."""
        for module in reversed(list(self.modules())):
            function(module)
        return self

    def astype(self, dtype: DTypeLike) -> Self:
        """Convert all parameters and float buffers in place; their gradients are dropped. Make optimizers afterwards.

        Raises:
            DTypeError: ``dtype`` is not a float dtype.
        """
        wanted = np.dtype(dtype)
        if wanted.kind != "f":
            raise DTypeError(f"parameters are floats, got dtype {wanted}; say module.astype('float32')")
        for parameter in self.parameters():
            convert(parameter, wanted)
        for buffer in self.buffers():
            if buffer.dtype.kind == "f":
                buffer.data = buffer.data.astype(wanted)
        return self

    def float(self) -> Self:
        """Convert to float32, see :meth:`astype`."""
        return self.astype(np.float32)

    def double(self) -> Self:
        """Convert to float64, see :meth:`astype`."""
        return self.astype(np.float64)

    # --- state ---

    def named_state(self) -> dict[str, Tensor]:
        """Every name of every parameter and persistent buffer: a tied one has several."""
        state: dict[str, Tensor] = {}
        stack: list[tuple[str, Module]] = [("", self)]
        while stack:
            path, module = stack.pop()
            own = {**module._parameters, **{k: v for k, v in module._buffers.items() if k not in module._transient}}
            state.update({path + name: tensor for name, tensor in own.items() if tensor is not None})
            children = [(f"{path}{name}.", child) for name, child in module._modules.items() if child is not None]
            stack.extend(reversed(children))
        return state

    def state_dict(self) -> dict[str, Tensor]:
        """A copy of all parameters and persistent buffers by path, in definition order.

        Unlike in torch the tensors are copies: training on does not change a state that was taken earlier. A tied
        parameter stands under each of its names with one and the same copy.
        """
        copies: dict[int, Tensor] = {}
        state: dict[str, Tensor] = {}
        for name, tensor in self.named_state().items():
            if id(tensor) not in copies:
                copies[id(tensor)] = wrap(Tensor, tensor.data.copy(order="K"))
            state[name] = copies[id(tensor)]
        return state

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> IncompatibleKeys:
        """Overwrite all parameters and buffers, in place, with the values of ``state``: all of them or none.

        Args:
            state: tensors or arrays by path, as :meth:`state_dict` gives them. Of a tied parameter one name suffices.
            strict: False passes over missing and unexpected names. Shapes and dtypes must fit either way.

        Returns:
            The names passed over.

        Raises:
            StateError: the state does not fit; the message lists every difference, and the module is unchanged.
        """
        targets = self.named_state()
        present = {id(tensor) for name, tensor in targets.items() if name in state}
        missing = [name for name, tensor in targets.items() if id(tensor) not in present]
        unexpected = [name for name in state if name not in targets]
        faults: list[str] = []
        values: dict[int, tuple[str, Tensor, Array]] = {}
        for name, tensor in targets.items():
            if name not in state:
                continue
            value, fault = _fitting(state[name], tensor)
            if fault is None:
                first, _, before = values.setdefault(id(tensor), (name, tensor, value))
                if not np.array_equal(before, value, equal_nan=True):
                    fault = f"is tied to {first!r}, but their values differ"
            if fault is not None:
                faults.append(f"{name!r}: {fault}")
        if strict:
            faults += [f"{name!r}: missing" for name in missing] + [f"{name!r}: unexpected" for name in unexpected]
        if faults:
            raise StateError(
                f"the state does not fit {type(self).__name__} ({len(faults)} differences, nothing was loaded):\n  "
                + "\n  ".join(faults)
                + (
                    "\nstrict=False passes over missing and unexpected names."
                    if strict and (missing or unexpected)
                    else ""
                )
            )
        for _, tensor, value in values.values():
            np.copyto(tensor.data, value)
            wrote("load_state_dict", tensor.data)
        return IncompatibleKeys(missing, unexpected)

    # --- configuration ---

    def config(self) -> dict[str, Any]:
        """The arguments that this module was made with, by name: plain data, dtypes, classes, arrays and layers.

        They are noted when the module is made. A class whose arguments are not data writes its own; it returns what
        makes an equal module.

        Raises:
            StateError: an argument is not data, such as a function.

        >>> from tinygrad_mlp import nn
        >>> nn.Linear(2, 3, bias=False).config()
        {'in_features': 2, 'out_features': 3, 'bias': False}
        >>> nn.Linear.from_config({"in_features": 2, "out_features": 3})
        Linear(in_features=2, out_features=3, bias=True)
        """
        return bound(type(self), *self._arguments)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """A new module made with these arguments.

        Raises:
            ArgumentError: the constructor has no such arguments, or does not take them.
        """
        made: Self = make(cls, config)
        return made

    # --- looking at it ---

    def extra_repr(self) -> str:
        """The arguments shown in ``repr``; a subclass may say its own."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        own = [] if extra else [(k, v) for k, v in self._parameters.items() if v is not None]
        lines = [f"({name}): parameter {tensor.shape} {tensor.dtype}" for name, tensor in own]
        lines += [f"({name}): {child!r}" for name, child in self._modules.items() if child is not None]
        if not lines:
            return f"{type(self).__name__}({extra})"
        body = "\n".join(lines).replace("\n", "\n  ")
        return f"{type(self).__name__}({extra}\n  {body}\n)"

    def graph(self, *inputs: Any, names: Mapping[str, Any] | None = None, max_nodes: int = 200) -> Graph:
        """Run the module on ``inputs`` and give the graph of what it computed, every value recorded.

        Args:
            inputs: as for a call.
            names: of data and tensors that the graph shall call by name; the parameters have theirs.
            max_nodes: drawings of more nodes fold modules into one box each, and say so.

        Raises:
            GradientError: nothing was recorded: the result is no tensor that wants a gradient.
            Whatever the module raises; inside :func:`record_values`, the error holds the graph up to it.

        >>> from tinygrad_mlp import nn
        >>> nn.MLP(2, 3, 1, seed=0).graph([[1.0, 2.0]])
        Graph(8 nodes: 3 ops, 4 parameters, 1 input; 7 edges)
        """
        from ..graph import graph_of  # noqa: PLC0415 - pictures are imported when the first one is drawn

        given = [Tensor(one) if isinstance(one, (list, tuple)) else one for one in inputs]
        with record_values():
            found = self(*given)
        roots = [one for one in flatten(found)[0] if isinstance(one, Tensor)]
        called = {f"input{k}" if len(given) > 1 else "input": one for k, one in enumerate(given)}
        return graph_of(roots, names=[self, dict(names or {}), called], max_nodes=max_nodes)

    def summary(
        self,
        input_shape: Iterable[int | None] | Iterable[Iterable[int | None]] | None = None,
        *,
        dtype: DTypeLike | None = None,
    ) -> Summary:
        """The table of layers, output shapes, parameter counts and multiply-adds; print it.

        Args:
            input_shape: the shape of one input without the batch axis, for instance ``(784,)``; of several inputs a
                list of shapes. By default the ``in_features`` of the first layer that has them. Where the shapes cannot
                be found they show as ``?``.
            dtype: of the inputs: ``int`` for a model that begins with an embedding. By default that of the parameters.

        Shapes and multiply-adds come from running the module on zeros, in evaluation mode and outside the tape; what
        it computes inside ``no_grad()`` is not seen. A multiply-add is one product that is added to a sum: of matrix
        products, convolutions, recurrent layers, attention. An embedding is looked up and has none, and what works
        element by element (activations, normalisation, pooling) is not counted.

        >>> from tinygrad_mlp import nn
        >>> table = nn.MLP(784, 300, 100, 10).summary()
        >>> [row.parameters for row in table.rows], table.total, table.multiply_adds
        ([235500, 0, 30100, 0, 1010], 266610, 266200)
        """
        sizes: list[Any] = [] if input_shape is None else list(input_shape)
        nested = any(isinstance(one, Iterable) for one in sizes)
        shapes = [tuple(one) for one in sizes] if nested else [tuple(sizes)]
        return summary_of(self, None if input_shape is None else shapes, None if dtype is None else np.dtype(dtype))


_OWN = frozenset({"_parameters", "_buffers", "_modules"})


def _name_within(outer: Module | None, inner: Module) -> str:
    if outer is not None:
        for name, module in outer.named_modules():
            if module is inner and name:
                return name
    return type(inner).__name__


def _described(value: object) -> str:
    return (
        f"the class {value.__name__}; make an instance: {value.__name__}()" if isinstance(value, type) else repr(value)
    )


def _fitting(given: Any, target: Tensor) -> tuple[Array, str | None]:
    """A copy of the given value, and what keeps it from being written into ``target``."""
    try:
        value = np.asarray(given.data if isinstance(given, Tensor) else given).copy()
    except ValueError:
        return target.data, f"expected an array, got {type(given).__name__}"
    if value.shape != target.shape:
        return value, f"expected shape {target.shape}, got {value.shape}"
    if value.dtype != target.dtype:
        return value, f"expected dtype {target.dtype}, got {value.dtype}; say value.astype('{target.dtype}')"
    if not target.data.flags.writeable:
        return value, "the module's own array is read-only"
    return value, None
