"""A parameter that is computed from others each time it is read, as in ``torch.nn.utils.parametrize``.

``layer.weight`` becomes a property: what was the parameter moves to ``layer.parametrizations.weight.original``, and a
module turns that into the value. Such a layer is an instance of a subclass that exists for the property alone; copies
and pickles are made through its base.
"""

from __future__ import annotations

from typing import Any

from ...errors import ArgumentError
from ...tape import Leaf
from ...tensor import Tensor, no_grad
from ..containers import ModuleDict
from ..module import Module, Parameter

__all__ = ["ParametrizationList", "is_parametrized", "register_parametrization", "remove_parametrizations"]


class ParametrizationList(Module):
    """The originals of one parameter and the module that computes it from them.

    Attributes:
        original: the parameter; original0, original1, …, where ``right_inverse`` gives several.
    """

    def __init__(self, parametrization: Module, original: Tensor) -> None:
        super().__init__()
        invert = getattr(parametrization, "right_inverse", None)
        with no_grad():
            given = original if invert is None else invert(original)
        self.several = isinstance(given, tuple)
        for place, one in enumerate(given if isinstance(given, tuple) else (given,)):
            name = f"original{place}" if self.several else "original"
            trained = original.requires_grad
            kept = one if one is original else Parameter(one.data, requires_grad=trained)
            self.register_parameter(name, kept)
        self.add_module("0", parametrization)

    def forward(self) -> Any:
        """The value."""
        compute: Any = self._modules["0"]
        return compute(*self._parameters.values())


_SUBCLASSES: dict[tuple[type[Module], tuple[str, ...]], type[Module]] = {}


def _subclass(base: type[Module], names: tuple[str, ...]) -> type[Module]:
    made = _SUBCLASSES.get((base, names))
    if made is None:
        made = _SUBCLASSES[base, names] = _make_subclass(base, names)
    return made


def _make_subclass(base: type[Module], names: tuple[str, ...]) -> type[Module]:
    def reading(name: str) -> property:
        return property(lambda self: self.parametrizations[name](), doc=f"The {name}, computed from its originals.")

    def __setattr__(self: Any, name: str, value: Any) -> None:  # noqa: N807 - goes into the class
        if name in names:
            raise ArgumentError(
                f"{type(self).__name__}.{name} is computed; write into parametrizations.{name}, or "
                f"remove_parametrizations(layer, {name!r}) first"
            )
        base.__setattr__(self, name, value)

    def __reduce_ex__(self: Any, _protocol: Any) -> Any:  # noqa: N807 - goes into the class
        return _empty, (base, names), self.__dict__

    body: dict[str, Any] = {name: reading(name) for name in names}
    body |= {"__setattr__": __setattr__, "__reduce_ex__": __reduce_ex__}
    body |= {"__module__": base.__module__, "__doc__": base.__doc__}
    return type(f"Parametrized{base.__name__}", (base,), body)


def _empty(base: type[Module], names: tuple[str, ...]) -> Module:
    made = _subclass(base, names)
    return made.__new__(made)


def _become(module: Module, kind: type[Module]) -> None:
    object.__setattr__(module, "__class__", kind)  # a Module's own would take it for an attribute


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether a parameter of ``module``, or the one of this name, is computed from others."""
    known: Any = module._modules.get("parametrizations")
    return known is not None and (len(known) > 0 if tensor_name is None else tensor_name in known)


def register_parametrization(module: Module, tensor_name: str, parametrization: Module) -> Module:
    """Have a parameter of ``module`` computed by ``parametrization`` each time it is read.

    Args:
        parametrization: called with the original. If it has ``right_inverse``, the originals are what that gives for
            the present value, a tensor or a tuple of them, and it is called with all of them.

    Returns:
        The module, which has changed.

    Raises:
        ArgumentError: there is no such parameter, or it is computed already.

    >>> from tinygrad_mlp import nn, ops
    >>> class Positive(nn.Module):
    ...     def forward(self, x):
    ...         return ops.exp(x)
    >>> layer = register_parametrization(nn.Linear(2, 2, seed=0), "weight", Positive())
    >>> bool((layer.weight.data > 0).all()), [name for name, _ in layer.named_parameters()]
    (True, ['bias', 'parametrizations.weight.original'])
    """
    original = module._parameters.get(tensor_name)
    if original is None:
        what = "is computed already" if is_parametrized(module, tensor_name) else "is not a parameter"
        raise ArgumentError(f"{type(module).__name__}.{tensor_name} {what}; its parameters: {[*module._parameters]}")
    entry = ParametrizationList(parametrization, original)
    holder: Any = module
    names: tuple[str, ...] = (tensor_name,)
    base = type(module)
    if is_parametrized(module):
        names = (*holder.parametrizations.keys(), tensor_name)
        base = type(module).__mro__[1]
    else:
        holder.parametrizations = ModuleDict()
    entry.train(module.training)
    delattr(module, tensor_name)
    holder.parametrizations[tensor_name] = entry
    _become(module, _subclass(base, names))
    return module


def remove_parametrizations(module: Module, tensor_name: str, leave_parametrized: bool = True) -> Module:
    """Make a parameter that is computed an ordinary one again, with the value that it has now.

    Args:
        leave_parametrized: False takes the original instead, where there is a single one.

    Raises:
        ArgumentError: it is not computed, or has several originals and ``leave_parametrized`` is False.
    """
    if not is_parametrized(module, tensor_name):
        raise ArgumentError(f"{type(module).__name__}.{tensor_name} is not computed from others")
    holder: Any = module
    known = holder.parametrizations
    entry = known[tensor_name]
    if not leave_parametrized and entry.several:
        raise ArgumentError(f"{tensor_name} has several originals; say leave_parametrized=True")
    if leave_parametrized:
        with no_grad():
            value = Parameter(entry().data, requires_grad=any(isinstance(one.node, Leaf) for one in entry.parameters()))
    else:
        value = entry.original
    base = type(module).__mro__[1]
    del known[tensor_name]
    names = tuple(known.keys())
    _become(module, _subclass(base, names) if names else base)
    if not names:
        del holder.parametrizations
    module.register_parameter(tensor_name, value)
    return module
