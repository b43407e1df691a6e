"""``Function``: a forward and a backward of one's own, in torch's shape, for code that is being ported.

An op that is meant to stay is better declared (``tinygrad_mlp.ops.elementwise`` and ``primitive``): its rule is then
tested by the same laws as the engine's own ops.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import DTypeError, GradientError, ShapeError
from ..tape import Traced, recorder, recording_with, wrap
from ..tensor import Tensor, no_grad
from .steps import Saved, joint_step

__all__ = ["Function", "FunctionContext", "once_differentiable"]


class FunctionContext:
    """What ``forward`` leaves for ``backward``: saved tensors, and any attribute you set.

    Attributes:
        needs_input_grad: for each argument of ``apply``, whether a gradient of it is wanted.
    """

    def __init__(self, needs_input_grad: tuple[bool, ...]) -> None:
        self.needs_input_grad = needs_input_grad
        self._saved: tuple[Any, ...] = ()
        self._without: tuple[Tensor, ...] = ()
        self._attached: list[str] = []
        self._materialize = True
        self._results: list[tuple[tuple[int, ...], np.dtype[Any]]] = []
        self._inputs: list[tuple[int, tuple[int, ...], np.dtype[Any]]] = []

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep tensors for ``backward``: arguments, results, or anything between them.

        Writing into one of them before the backward pass is noticed there, and arguments and results come back on the
        tape, so that ``backward`` can itself be differentiated.
        """
        for one in tensors:
            if one is not None and not isinstance(one, Tensor):
                raise DTypeError(
                    f"save_for_backward takes tensors, got {type(one).__name__}; set other data as an attribute of ctx"
                )
        self._saved = tensors

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What ``save_for_backward`` was given."""
        return self._saved

    def mark_non_differentiable(self, *tensors: Tensor) -> None:
        """These results have no gradient: class ids, masks."""
        self._without = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """With False, ``backward`` is given None instead of zeros for a result that no gradient arrived for."""
        self._materialize = value


class Function:
    """Base of operations with a rule of your own; call them by ``apply``.

    ``forward(ctx, *args)`` computes with the tensors (nothing is recorded while it runs) and returns a tensor or a
    tuple of them. ``backward(ctx, *gradients)`` is given one gradient per result and returns one gradient per argument,
    None for those that are no tensors. Written with tensor operations on ``ctx.saved_tensors`` it can be differentiated
    again.

    The shape of the interface is torch.autograd.Function's.

    >>> class Cube(Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x**3
    ...
    ...     @staticmethod
    ...     def backward(ctx, g):
    ...         (x,) = ctx.saved_tensors
    ...         return 3 * x**2 * g
    >>> x = Tensor(2.0, requires_grad=True)
    >>> Cube.apply(x).backward()
    >>> x.grad.item()
    12.0
    """

    def __init__(self) -> None:
        raise GradientError(f"{type(self).__name__} is not instantiated; say {type(self).__name__}.apply(x)")

    @staticmethod
    def forward(ctx: Any, *args: Any) -> Any:
        """Compute; written by the subclass."""
        raise NotImplementedError("a Function needs @staticmethod forward(ctx, *args)")

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        """The vector-Jacobian product; written by the subclass."""
        raise NotImplementedError("a Function needs @staticmethod backward(ctx, *gradients)")

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Run ``forward`` and record it as one step.

        Raises:
            DTypeError: ``forward`` returned something other than tensors, ``backward`` something other than gradients.
            ShapeError: ``backward`` returned a gradient of another shape than its argument.
            GradientError: ``backward`` returned another number of gradients than there are arguments.
        """
        needs = tuple([isinstance(one, Tensor) and one.node is not None for one in args])
        ctx = FunctionContext(needs)
        given = [_shown(one) if isinstance(one, Tensor) else one for one in args]
        with no_grad():
            returned = cls.forward(ctx, *given)
        results = returned if isinstance(returned, tuple) else (returned,)
        for one in results:
            if not isinstance(one, Tensor):
                raise DTypeError(f"{cls.__name__}.forward returns tensors, got {type(one).__name__}")
        wanted = [place for place, need in enumerate(needs) if need]
        # Tensors set as attributes, as ``ctx.x = x``, are kept and brought back on the tape like saved ones.
        ctx._attached = [name for name, value in vars(ctx).items() if isinstance(value, Tensor)]
        keeping = [*ctx._saved, *[getattr(ctx, name) for name in ctx._attached]]
        saved = [_role(one, [given[place] for place in wanted], results) for one in keeping]
        kept = tuple([None if one is None else one.data for one in keeping])
        for name in ctx._attached:
            delattr(ctx, name)
        # What ctx refers to from now on lives as long as the graph does, so the tensors go into the node instead.
        ctx._saved = ()
        ctx._results = [(one.shape, one.dtype) for one in results]
        ctx._inputs = [(place, args[place].shape, args[place].dtype) for place in wanted]
        tracked = [one.dtype.kind == "f" and not any(one is other for other in ctx._without) for one in results]
        ctx._without = ()
        made = joint_step(
            cls.__name__,
            [one.data for one in results],
            [args[place].node for place in wanted],
            functools.partial(_gradients, cls, ctx, len(args)),
            tracked=tracked,
            kept=kept,
            saved=saved,
            operands=[args[place] for place in wanted],
        )
        return tuple(made) if isinstance(returned, tuple) else made[0]


def _shown(argument: Tensor) -> Tensor:
    """The argument for ``forward`` to read: off the tape, and writing into it is an error, not a damaged argument."""
    view = argument.data.view()
    view.flags.writeable = False
    return wrap(Tensor, view)


def _role(one: Tensor | None, given: Sequence[Any], results: Sequence[Tensor]) -> Saved:
    for what, candidates in (("input", given), ("result", results)):
        for place, candidate in enumerate(candidates):
            if one is candidate and one is not None:
                return what, place
    return None


def _gradients(
    cls: type[Function], ctx: FunctionContext, arguments: int, gradients: list[Any], kept: tuple[Any, ...]
) -> tuple[Any, ...]:
    """Run ``backward`` on what arrived; the gradients for the inputs, on the tape exactly where those coming in are."""
    on_tape = any(isinstance(one, Traced) for one in gradients)
    mine = copy.copy(ctx)  # several threads may walk at once
    values = [one if one is None or isinstance(one, Traced) else wrap(Tensor, one) for one in kept]
    mine._saved = tuple(values[: len(values) - len(mine._attached)])
    for name, value in zip(mine._attached, values[len(mine._saved) :], strict=True):
        setattr(mine, name, value)
    coming: list[Any] = []
    for one, (shape, dtype) in zip(gradients, ctx._results, strict=True):
        if one is None:
            coming.append(Tensor(np.zeros(shape, dtype)) if ctx._materialize else None)
        else:
            coming.append(one if isinstance(one, Traced) else wrap(Tensor, np.asarray(one)))
    backward = cls.backward
    once = getattr(backward, "once_differentiable", False)
    with recording_with(recorder() if on_tape and not once else None):
        returned = backward(mine, *coming)
    answers = list(returned) if isinstance(returned, (tuple, list)) else [returned]
    surplus = answers[arguments:]
    if len(answers) < arguments or any(one is not None for one in surplus):
        raise GradientError(
            f"{cls.__name__}.backward returned {len(answers)} gradients for {arguments} arguments of apply(); return "
            "one for each, None for those that need none"
        )
    made = tuple([_checked(cls, answers[place], place, shape, dtype) for place, shape, dtype in ctx._inputs])
    if on_tape and not once and any(one is not None and one.node is not None for one in coming):
        lost = [place for place, *_ in ctx._inputs if answers[place] is not None and answers[place].node is None]
        if lost:
            raise GradientError(
                f"{cls.__name__}.backward: the gradient for argument {lost[0]} was computed off the tape (by .data, "
                "numpy() or detach()), and this pass is differentiated again, as in forward mode and second "
                "derivatives. Compute it from the incoming gradient with tensor operations, or mark backward "
                "@once_differentiable; None stands for a gradient of 0"
            )
    if on_tape and once:
        sources = [one.node for one in (*coming, *mine._saved) if one is not None and one.node is not None]
        arrays = [one.data for one in made]
        return tuple(
            joint_step(cls.__name__, arrays, sources, functools.partial(_refuse, cls), tracked=[True] * len(arrays))
        )
    return made if on_tape else tuple([one.data for one in made])


def _checked(cls: type[Function], answer: Any, place: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Tensor:
    if answer is None:
        return Tensor(np.zeros(shape, dtype))
    if not isinstance(answer, Tensor):
        raise DTypeError(
            f"{cls.__name__}.backward returned {type(answer).__name__} for argument {place}; expected a Tensor or None"
        )
    if answer.shape != shape:
        raise ShapeError(
            f"{cls.__name__}.backward returned a gradient of shape {answer.shape} for argument {place} of shape {shape}"
        )
    return answer if answer.dtype == dtype else answer.astype(dtype)


def _refuse(cls: type[Function], *_: Any) -> Any:
    raise GradientError(
        f"{cls.__name__}.backward is marked once_differentiable: its gradient has no gradient. Write it with tensor "
        "operations on ctx.saved_tensors and take the mark off"
    )


def once_differentiable(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a ``backward`` that computes off the tape: differentiating its result raises, instead of giving zeros.

    Goes below ``@staticmethod``.
    """
    backward.once_differentiable = True  # type: ignore[attr-defined]
    return backward
