"""Derivatives as functions of functions: ``grad(f)`` is a function, and may be given to ``grad`` again.

A function takes and returns tensors, or nested dicts, lists and tuples of them; the derivative has the same nesting.
Arrays and numbers are taken as tensors. Nothing is left behind in ``.grad``. Forward mode is the backward walk, which
is linear in its incoming gradient, differentiated by that gradient; it needs no rules of its own.

Source of the names: JAX and torch.func.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from . import autograd, ops
from .errors import ArgumentError, GradientError, ShapeError
from .tape import Leaf, consumers_first
from .tensor import Tensor, enable_grad
from .tree import flatten, map_leaves, unflatten

__all__ = [
    "functional_call",
    "grad",
    "hessian",
    "hvp",
    "jacfwd",
    "jacrev",
    "jvp",
    "linearize",
    "value_and_grad",
    "vjp",
]


class _Point:
    """The arguments that a function is differentiated by, as tensors of their own on the tape."""

    def __init__(self, function: str, args: Sequence[Any], argnums: int | Sequence[int]) -> None:
        self.single = isinstance(argnums, int)
        chosen = [argnums] if isinstance(argnums, int) else list(argnums)
        for one in chosen:
            if not -len(args) <= one < len(args):
                raise ArgumentError(f"{function}: argnums {one} with {len(args)} arguments")
        places = [one % len(args) for one in chosen]
        self.tensors: list[Tensor] = []
        self.shapes = []
        self.counts = []
        self.args = list(args)
        for place in places:
            leaves, shape = flatten(args[place])
            fresh = [_tracked(function, place, leaf) for leaf in leaves]
            self.args[place] = unflatten(shape, fresh)
            self.tensors += fresh
            self.shapes.append(shape)
            self.counts.append(len(fresh))

    def nested(self, values: Sequence[Any]) -> Any:
        """One value per tensor, put back into the nesting of the arguments."""
        trees = []
        first = 0
        for shape, count in zip(self.shapes, self.counts, strict=True):
            trees.append(unflatten(shape, values[first : first + count]))
            first += count
        return trees[0] if self.single else tuple(trees)

    def is_alone(self, outputs: Sequence[Tensor]) -> bool:
        """Whether the outputs depend on these tensors only, so that their gradients need not be on the tape."""
        ours = {one.node for one in self.tensors}
        if any(not isinstance(node, Leaf) for node in ours):
            return False
        roots = [one.node for one in outputs if one.node is not None]
        return all(node in ours for node in consumers_first(roots) if isinstance(node, Leaf))


def _tracked(function: str, place: int, value: Any) -> Tensor:
    tensor = value if isinstance(value, Tensor) else Tensor(value)
    if tensor.dtype.kind != "f":
        raise GradientError(
            f"{function}: argument {place} holds {tensor.dtype}; only floats have derivatives. Say argnums=... for the "
            "arguments to differentiate by, or x.astype('float64')"
        )
    # A tensor on the tape already belongs to an outer derivative: ours starts from a copy that stays tied to it.
    return tensor.clone() if tensor.node is not None else tensor.detach().requires_grad_()


def _split(function: str, result: Any, has_aux: bool) -> tuple[Any, Any]:
    if not has_aux:
        return result, None
    if not (isinstance(result, tuple) and len(result) == 2):
        raise ArgumentError(f"{function}: with has_aux=True the function returns a pair (output, aux)")
    return result


def _outputs(function: str, result: Any) -> tuple[list[Tensor], Any]:
    leaves, shape = flatten(result)
    for one in leaves:
        if not isinstance(one, Tensor):
            raise GradientError(f"{function}: the function returned {type(one).__name__}, expected tensors")
    return leaves, shape


def _gradients(point: _Point, outputs: list[Tensor], seeds: Sequence[Tensor], *, keep: bool = False) -> list[Tensor]:
    pairs = [(y, seed) for y, seed in zip(outputs, seeds, strict=True) if y.node is not None]
    if not pairs:
        return [ops.mul(one, 0.0).detach() for one in point.tensors]
    on_tape = not point.is_alone(outputs) or any(seed.node is not None for _, seed in pairs)
    found = autograd.grad(
        [y for y, _ in pairs],
        point.tensors,
        [seed for _, seed in pairs],
        create_graph=on_tape,
        retain_graph=on_tape or keep,
        allow_unused=True,
    )
    return [
        Tensor(np.zeros(one.shape, one.dtype)) if gradient is None else gradient
        for one, gradient in zip(point.tensors, found, strict=True)
    ]


def value_and_grad(
    function: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """The function that returns ``(f(*args), gradient)``, the gradient being by the arguments ``argnums``.

    With ``has_aux`` the function returns ``(output, aux)`` and the result is ``((output, aux), gradient)``. The output
    has one element.

    Raises (when called):
        GradientError: the output has several elements, or an argument holds integers.
    """

    def derived(*args: Any, **kwargs: Any) -> Any:
        with enable_grad():
            point = _Point("grad", args, argnums)
            result = function(*point.args, **kwargs)
            output, aux = _split("grad", result, has_aux)
            leaves, _ = _outputs("grad", output)
            if len(leaves) != 1 or leaves[0].size != 1:
                shapes = ", ".join(str(one.shape) for one in leaves)
                raise GradientError(
                    f"grad: the function returned {shapes or 'nothing'}; a gradient is of one number. Sum it, take "
                    "jacrev, or say has_aux=True for results that come along"
                )
            y = leaves[0]
            seed = Tensor(np.ones(y.shape, y.dtype))
            alone = point.is_alone([y])
            gradient = point.nested(_gradients(point, [y], [seed]))
        value = y.detach() if alone else y
        return ((value, aux) if has_aux else value), gradient

    return derived


def grad(function: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Callable[..., Any]:
    """The gradient of a function of one number, as a function.

    >>> grad(lambda x: x**3)(2.0)
    tensor(12.)
    >>> grad(grad(lambda x: x**3))(2.0).item()
    12.0
    """
    both = value_and_grad(function, argnums, has_aux)

    def derived(*args: Any, **kwargs: Any) -> Any:
        value, gradient = both(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return derived


def vjp(function: Callable[..., Any], *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """``(f(*primals), pullback)``; ``pullback(g)`` gives ``gᵀ J`` by every primal, and may be called again.

    ``g`` has the nesting and the shapes of the output.
    """
    with enable_grad():
        point = _Point("vjp", primals, tuple(range(len(primals))))
        output, aux = _split("vjp", function(*point.args), has_aux)
        outputs, shape = _outputs("vjp", output)

    def pullback(incoming: Any) -> Any:
        with enable_grad():
            seeds = _like("vjp", incoming, outputs, shape)
            return point.nested(_gradients(point, outputs, seeds, keep=True))

    value = map_leaves(lambda y: y.detach(), output) if point.is_alone(outputs) else output
    return (value, pullback, aux) if has_aux else (value, pullback)


def _like(function: str, given: Any, tensors: Sequence[Tensor], shape: Any) -> list[Tensor]:
    leaves, given_shape = flatten(given)
    if given_shape != shape:
        raise ShapeError(f"{function}: expected the nesting of the function's own values, got another")
    made = [one if isinstance(one, Tensor) else Tensor(np.asarray(one)) for one in leaves]
    for one, tensor in zip(made, tensors, strict=True):
        if one.shape != tensor.shape:
            raise ShapeError(f"{function}: expected shape {tensor.shape}, got {one.shape}")
    return [one if one.dtype == like.dtype else one.astype(like.dtype) for one, like in zip(made, tensors, strict=True)]


def linearize(function: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., Any]]:
    """``(f(*primals), push)``; ``push(*tangents)`` gives ``J · tangents``, and may be called again.

    The backward walk is ``uᵀJ``, linear in ``u``. Recorded with ``u`` as a leaf and walked once more, with the tangents
    coming in, it gives ``J · tangents``: forward mode without forward rules.
    """
    with enable_grad():
        point = _Point("jvp", primals, tuple(range(len(primals))))
        output = function(*point.args)
        outputs, shape = _outputs("jvp", output)
        dummies = [Tensor(np.zeros(y.shape, y.dtype), requires_grad=True) for y in outputs]
        live = [(y, u) for y, u in zip(outputs, dummies, strict=True) if y.node is not None]
        transposed: tuple[Any, ...] = (None,) * len(point.tensors)
        if live:
            transposed = autograd.grad(
                [y for y, _ in live], point.tensors, [u for _, u in live], create_graph=True, allow_unused=True
            )
        alone = point.is_alone(outputs)

    def push(*tangents: Any) -> Any:
        given, given_shape = flatten(tuple(tangents))
        if given_shape != flatten(tuple(point.nested(point.tensors)))[1]:
            raise ShapeError("jvp: the tangents have another nesting than the primals")
        with enable_grad():
            directions = _like("jvp", tuple(given), point.tensors, flatten(tuple(point.tensors))[1])
            pairs = [
                (g, v) for g, v in zip(transposed, directions, strict=True) if g is not None and g.node is not None
            ]
            results: Sequence[Tensor | None] = [None] * len(dummies)
            if pairs:
                results = autograd.grad(
                    [g for g, _ in pairs],
                    dummies,
                    [v for _, v in pairs],
                    create_graph=not alone or any(v.node is not None for _, v in pairs),
                    retain_graph=True,
                    allow_unused=True,
                )
            values = [
                Tensor(np.zeros(y.shape, y.dtype)) if one is None else one
                for one, y in zip(results, outputs, strict=True)
            ]
        return unflatten(shape, values)

    return (map_leaves(lambda y: y.detach(), output) if alone else output), push


def jvp(function: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """``(f(*primals), J · tangents)``: forward mode, one tangent for each primal, of its nesting and shapes."""
    value, push = linearize(function, *primals)
    return value, push(*tangents)


def _basis(tensors: Sequence[Tensor]) -> Iterator[tuple[int, list[Tensor]]]:
    for i, one in enumerate(tensors):
        for place in range(one.size):
            units = [np.zeros(other.shape, other.dtype) for other in tensors]
            units[i].flat[place] = 1
            yield i, [Tensor(unit) for unit in units]


def jacrev(function: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """The Jacobian, one backward walk per output element: best for few outputs.

    For an output of shape ``s`` and an argument of shape ``t`` it has shape ``s + t``.
    """

    def derived(*args: Any, **kwargs: Any) -> Any:
        with enable_grad():
            point = _Point("jacrev", args, argnums)
            outputs, shape = _outputs("jacrev", function(*point.args, **kwargs))
            rows: list[list[list[Tensor]]] = [[] for _ in outputs]
            for i, seeds in _basis(outputs):
                rows[i].append(_gradients(point, outputs, seeds, keep=True))
            blocks = [
                point.nested([_stacked([row[k] for row in found], y.shape, one) for k, one in enumerate(point.tensors)])
                for y, found in zip(outputs, rows, strict=True)
            ]
        return unflatten(shape, blocks)

    return derived


def _stacked(rows: Sequence[Tensor], shape: tuple[int, ...], like: Tensor) -> Tensor:
    if not rows:
        return Tensor(np.zeros((*shape, *like.shape), like.dtype))
    stacked: Tensor = ops.reshape(ops.stack(list(rows)), (*shape, *like.shape))
    return stacked


def jacfwd(function: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """The Jacobian, one forward push per input element: best for few inputs. Shapes as in :func:`jacrev`."""

    def derived(*args: Any, **kwargs: Any) -> Any:
        single = isinstance(argnums, int)
        chosen = [argnums % len(args)] if isinstance(argnums, int) else [one % len(args) for one in argnums]

        def of_chosen(*values: Any) -> Any:
            full = list(args)
            for place, value in zip(chosen, values, strict=True):
                full[place] = value
            return function(*full, **kwargs)

        primals = [args[place] for place in chosen]
        value, push = linearize(of_chosen, *primals)
        outputs, shape = flatten(value)
        leaves, nesting = flatten(tuple(primals))
        tensors = [one if isinstance(one, Tensor) else Tensor(np.asarray(one)) for one in leaves]
        columns: list[list[list[Tensor]]] = [[] for _ in tensors]
        for i, units in _basis([one.detach() for one in tensors]):
            columns[i].append(flatten(push(*unflatten(nesting, units)))[0])
        blocks = []
        for k, y in enumerate(outputs):
            parts = []
            for one, found in zip(tensors, columns, strict=True):
                if not found:
                    parts.append(Tensor(np.zeros((*y.shape, *one.shape), y.dtype)))
                    continue
                block = ops.stack([column[k] for column in found], axis=y.ndim)
                parts.append(ops.reshape(block, (*y.shape, *one.shape)))
            whole = unflatten(nesting, parts)
            blocks.append(whole[0] if single else whole)
        return unflatten(shape, blocks)

    return derived


def hessian(function: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """The second derivatives of a function of one number, ``jacrev(grad(f))``, of shape ``t + t``."""
    return jacrev(grad(function, argnums), argnums)


def hvp(function: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """``(gradient, H · tangents)`` of a function of one number: forward over reverse, without the matrix.

    For one primal both are of its nesting; for several, tuples.
    """
    argnums: int | tuple[int, ...] = 0 if len(primals) == 1 else tuple(range(len(primals)))
    return jvp(grad(function, argnums), primals, tangents)


@contextmanager
def _borrowed(module: Any, values: Mapping[str, Any]) -> Iterator[None]:
    known = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise ArgumentError(f"functional_call: {type(module).__name__} has no parameter {', '.join(unknown)}")
    before = {name: (known[name].data, known[name].node) for name in values}
    try:
        for name, value in values.items():
            tensor = value if isinstance(value, Tensor) else Tensor(np.asarray(value))
            if tensor.shape != known[name].shape:
                raise ShapeError(f"functional_call: {name} has shape {known[name].shape}, got {tensor.shape}")
            known[name].data, known[name].node = tensor.data, tensor.node
        yield
    finally:
        for name, (data, node) in before.items():
            known[name].data, known[name].node = data, node


def functional_call(module: Any, parameters: Mapping[str, Any], args: Any = (), kwargs: Any = None) -> Any:
    """``module(*args, **kwargs)`` with these parameters (and buffers) by name in place of its own.

    The module is as before afterwards, also after an error.

    Raises:
        ArgumentError: a name that the module does not have; ShapeError: a value of another shape.
    """
    with _borrowed(module, parameters):
        return module(*(args if isinstance(args, tuple) else (args,)), **(kwargs or {}))
