"""Functions of the user's that a module calls before and after its forward, and in the backward pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..autograd import Function
from ..errors import GradientError
from ..tensor import RemovableHandle, Tensor

__all__ = ["ModuleHooks"]

Hook = Callable[..., Any]


class ModuleHooks:
    """The hooks of one module, by kind; each kind is called in the order of registering.

    Attributes:
        before, after: around ``forward``. backward, backward_before: in the backward pass, after and before that of
            the module.
    """

    def __init__(self) -> None:
        self.before: dict[int, Hook] = {}
        self.after: dict[int, Hook] = {}
        self.backward: dict[int, Hook] = {}
        self.backward_before: dict[int, Hook] = {}

    def kinds(self) -> tuple[dict[Any, Any], ...]:
        """The hooks of each kind by key."""
        return self.before, self.after, self.backward, self.backward_before

    def __bool__(self) -> bool:
        return any(self.kinds())

    @staticmethod
    def add(hooks: dict[int, Hook], hook: Hook, *, prepend: bool) -> RemovableHandle:
        """Register ``hook`` as the last or the first one."""
        others = dict(hooks)
        handle = RemovableHandle(hooks, hook)
        if prepend:
            for key, other in others.items():  # what is put in again comes last
                del hooks[key]
                hooks[key] = other
        return handle

    def enter(
        self, module: Any, inputs: tuple[Any, ...], options: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any], _Link | None]:
        """The arguments after the hooks before forward, tied to the backward hooks if there are any."""
        for hook in tuple(self.before.values()):
            inputs, options = hook(module, inputs, options)
        if not (self.backward or self.backward_before):
            return inputs, options, None
        link = _Link(module, tuple(self.backward.values()), tuple(self.backward_before.values()), inputs)
        return link.tie(inputs), options, link

    def leave(
        self, module: Any, inputs: tuple[Any, ...], options: dict[str, Any], output: Any, link: _Link | None
    ) -> Any:
        """The output after the hooks after forward."""
        for hook in tuple(self.after.values()):
            replaced = hook(module, inputs, options, output)
            output = output if replaced is None else replaced
        return output if link is None else link.untie(output)


def before_forward(hook: Hook, *, with_kwargs: bool) -> Hook:
    """A hook before forward as :meth:`ModuleHooks.enter` calls it: arguments in, arguments out."""

    def run(module: Any, inputs: tuple[Any, ...], options: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        replaced = hook(module, inputs, options) if with_kwargs else hook(module, inputs)
        if replaced is None:
            return inputs, options
        if with_kwargs:
            return replaced[0], replaced[1]
        return replaced if isinstance(replaced, tuple) else (replaced,), options

    return run


def after_forward(hook: Hook, *, with_kwargs: bool) -> Hook:
    """A hook after forward as :meth:`ModuleHooks.leave` calls it."""
    if with_kwargs:
        return hook
    return lambda module, inputs, options, output: hook(module, inputs, output)


def _recorded(value: Any) -> bool:
    return isinstance(value, Tensor) and value.node is not None


class _Link:
    """One call of a module with backward hooks: what its backward pass begins and ends with."""

    def __init__(self, module: Any, hooks: tuple[Hook, ...], first: tuple[Hook, ...], inputs: tuple[Any, ...]) -> None:
        self.module = module
        self.hooks = hooks
        self.first = first
        self.count = len(inputs)
        self.places = [place for place, one in enumerate(inputs) if _recorded(one)]
        self.outputs = 0
        self.made: list[int] = []
        self.gradients: tuple[Any, ...] = ()

    def tie(self, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments, with a step in front of which the module's backward pass ends."""
        if not self.places:
            return inputs
        tied = dict(zip(self.places, _Ends.apply(self, *[inputs[place] for place in self.places]), strict=True))
        return tuple([tied.get(place, one) for place, one in enumerate(inputs)])

    def untie(self, output: Any) -> Any:
        """The output, with a step behind it at which the module's backward pass begins."""
        results = output if isinstance(output, tuple) else (output,)
        self.outputs = len(results)
        self.made = [place for place, one in enumerate(results) if _recorded(one)]
        if not self.made:
            return output
        made = dict(zip(self.made, _Begins.apply(self, *[results[place] for place in self.made]), strict=True))
        fresh = tuple([made.get(place, one) for place, one in enumerate(results)])
        return fresh if isinstance(output, tuple) else fresh[0]

    def begin(self, gradients: tuple[Any, ...]) -> tuple[Any, ...]:
        """The gradients of the output have come."""
        full = self._spread(gradients, self.made, self.outputs)
        for hook in self.first:
            replaced = hook(self.module, full)
            if replaced is not None:
                full = self._fitting(replaced, full, "grad_output")
        self.gradients = full
        if not self.places:  # nothing will come out at the other end
            for hook in self.hooks:
                hook(self.module, (None,) * self.count, full)
        return tuple([full[place] for place in self.made])

    def end(self, gradients: tuple[Any, ...]) -> tuple[Any, ...]:
        """The gradients of the inputs have come."""
        full = self._spread(gradients, self.places, self.count)
        for hook in self.hooks:
            replaced = hook(self.module, full, self.gradients)
            if replaced is not None:
                full = self._fitting(replaced, full, "grad_input")
        return tuple([full[place] for place in self.places])

    @staticmethod
    def _spread(values: tuple[Any, ...], places: list[int], count: int) -> tuple[Any, ...]:
        known = dict(zip(places, values, strict=True))
        return tuple([known.get(place) for place in range(count)])

    def _fitting(self, replaced: Any, before: tuple[Any, ...], what: str) -> tuple[Any, ...]:
        made = replaced if isinstance(replaced, tuple) else (replaced,)
        if len(made) != len(before):
            raise GradientError(
                f"a backward hook of {type(self.module).__name__} returned {len(made)} gradients for {len(before)}; "
                f"return None, or a tuple like {what}"
            )
        return made


class _Ends(Function):
    """The inputs as they are; in the backward pass the last step of the module."""

    @staticmethod
    def forward(ctx: Any, link: _Link, *inputs: Tensor) -> tuple[Tensor, ...]:
        """The same values."""
        ctx.link = link
        return inputs

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        """What the hooks make of the gradients."""
        return None, *ctx.link.end(gradients)


class _Begins(Function):
    """The outputs as they are; in the backward pass the first step of the module."""

    @staticmethod
    def forward(ctx: Any, link: _Link, *outputs: Tensor) -> tuple[Tensor, ...]:
        """The same values."""
        ctx.link = link
        return outputs

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        """What the hooks make of the gradients."""
        return None, *ctx.link.begin(gradients)
