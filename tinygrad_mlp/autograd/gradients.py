"""Gradients as a function: of which outputs, by which inputs, without touching ``.grad``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..capture import Captured, capturing, whole_step
from ..errors import ArgumentError, GradientError
from ..tape import Node, Traced, recorder, recording_with, walk, wrap
from ..tensor import Tensor, seed_for

__all__ = ["grad", "pulled"]


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Any = None,
    *,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Tensor | None, ...]:
    """The gradients of ``outputs`` by each of ``inputs``; nothing is accumulated anywhere.

    Args:
        outputs: one tensor or several; their gradients add up.
        inputs: the tensors to differentiate by, leaves or not; they must require gradients.
        grad_outputs: one incoming gradient per output, each of its shape; ones where an output has one element.
        retain_graph: keep the graph for another pass (default: the value of ``create_graph``).
        create_graph: record the pass, so that its results can be differentiated again.
        allow_unused: give None for an input that the outputs do not depend on, instead of raising.

    Raises:
        GradientError: an output or input records nothing, or an input is unused and ``allow_unused`` is False.

    >>> x = Tensor(3.0, requires_grad=True)
    >>> (first,) = grad(x**3, x, create_graph=True)
    >>> grad(first, x)[0].item()
    18.0
    """
    return pulled(
        outputs,
        inputs,
        grad_outputs,
        retain_graph=retain_graph,
        create_graph=create_graph,
        allow_unused=allow_unused,
    )


def pulled(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Any = None,
    *,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool = False,
    hooks: bool = True,
) -> tuple[Tensor | None, ...]:
    """:func:`grad`, with or without the users' hooks."""
    roots = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    wanted = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    given = [grad_outputs] if isinstance(grad_outputs, Tensor) or grad_outputs is None else list(grad_outputs)
    if grad_outputs is None:
        given = [None] * len(roots)
    if len(given) != len(roots):
        raise ArgumentError(f"grad: {len(roots)} outputs need {len(roots)} grad_outputs, got {len(given)}")
    nodes: list[Node] = []
    whole = whole_step() is not None  # which has nodes for data as well
    for name, tensors in (("output", roots), ("input", wanted)):
        for i, one in enumerate(tensors):
            if one.node is None or (whole and not one.node.wants):
                raise GradientError(
                    f"grad: {name} {i} (shape {one.shape}) does not require gradients; set requires_grad=True before "
                    "computing with it"
                )
            nodes.append(one.node)
    seeds = [seed_for(root, one) for root, one in zip(roots, given, strict=True)]
    targets = nodes[len(roots) :]
    noted = capturing()
    if create_graph or noted:
        starts = [one if isinstance(one, Traced) else wrap(Tensor, one) for one in seeds]
        step = whole_step()
        kind: Any = Captured if noted else recorder() or Node
        if step is not None:
            kind = step.loud if create_graph else step.quiet
            for start, asked in zip(starts, given, strict=True):
                if asked is None:
                    step.fixes(start.data)
        with recording_with(kind):
            found = walk(
                nodes[: len(roots)], starts, targets=targets, retain=noted or retain_graph is not False, hooks=hooks
            )
    else:
        plain = [one.data if isinstance(one, Traced) else one for one in seeds]
        found = walk(nodes[: len(roots)], plain, targets=targets, retain=bool(retain_graph), hooks=hooks)
    gradients = [found.get(node) for node in targets]
    for i, (one, gradient) in enumerate(zip(wanted, gradients, strict=True)):
        if gradient is None and not allow_unused:
            raise GradientError(
                f"grad: the outputs do not depend on input {i} (shape {one.shape}); allow_unused=True gives None for it"
            )
    if noted and not create_graph and whole_step() is None:
        gradients = [None if one is None else one.detach() for one in gradients]
    handed_out: set[int] = set()
    results: list[Tensor | None] = []
    for found_one in gradients:
        mine: Any = found_one
        if mine is not None and id(mine) in handed_out:  # an input given twice: memory of its own for each
            mine = mine.clone() if isinstance(mine, Tensor) else mine.copy()
        handed_out.add(id(mine))
        results.append(mine if mine is None or isinstance(mine, Tensor) else wrap(Tensor, mine))
    return tuple(results)
