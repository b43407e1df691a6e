"""Derivatives as functions of functions: ``grad(f)`` is a function, and may be given to ``grad`` again.

A function takes and returns tensors, or nested dicts, lists and tuples of them; the derivative has the same nesting.
Arrays and numbers are taken as tensors. A module among the arguments stands for its parameters: the derivative is a
dict of them by name, and the module stays as it is. Nothing is left behind in ``.grad``.

Forward mode is the backward walk, which is linear in its incoming gradient, differentiated by that gradient; it needs
no rules of its own. Jacobians and gradients per sample are one walk replayed for all rows at once: see
:mod:`tinygrad_mlp.replay`.

Source of the names: JAX and torch.func.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from . import autograd, ops, replay
from .autograd.gradients import pulled
from .capture import capturing, cut
from .errors import ArgumentError, GradientError, ShapeError
from .tape import Leaf, Node, Plan, consumers_first, wrap
from .tensor import Tensor, enable_grad
from .tree import flatten, map_leaves, spread, unflatten

__all__ = [
    "functional_call",
    "grad",
    "hessian",
    "hvp",
    "jacfwd",
    "jacrev",
    "jvp",
    "linearize",
    "per_sample_grad",
    "value_and_grad",
    "vjp",
    "vmap",
]

Function = Callable[..., Any]


# --- the point at which a function is differentiated ----------------------------------------------


class _Variable(Leaf):
    """A leaf of a transform's own; a plain Leaf belongs to the user."""

    __slots__ = ()


def _is_module(value: Any) -> bool:
    return callable(getattr(value, "named_parameters", None)) and callable(value)


class _Point:
    """The arguments that a function is differentiated by, as tensors of their own on the tape."""

    def __init__(self, name: str, function: Function, args: Sequence[Any], argnums: int | Sequence[int]) -> None:
        self.name = name
        self.function = function
        self.single = isinstance(argnums, int)
        self.args = list(args)
        self.tensors: list[Tensor] = []
        self.modules: list[Any] = []
        self.lent: list[tuple[Tensor, Tensor]] = []
        trees = []
        for place in _places(name, argnums, len(args)):
            leaves, shape = flatten(args[place])
            passed: list[Any] = []
            derivatives: list[Any] = []
            for leaf in leaves:
                if _is_module(leaf):
                    derivatives.append(self._borrow(leaf))
                    passed.append(leaf)
                else:
                    tensor = _tracked(name, place, leaf)
                    self.tensors.append(tensor)
                    derivatives.append(tensor)
                    passed.append(tensor)
            self.args[place] = unflatten(shape, passed)
            trees.append(unflatten(shape, derivatives))
        self.shape = flatten(trees[0] if self.single else tuple(trees))[1]

    def _borrow(self, module: Any) -> dict[str, Tensor]:
        if any(module is other for other in self.modules):
            raise ArgumentError(f"{self.name}: {type(module).__name__} is among the arguments twice")
        self.modules.append(module)
        fresh = {}
        for name, parameter in module.named_parameters():
            if parameter.requires_grad:
                fresh[name] = _own(parameter)
                self.lent.append((parameter, fresh[name]))
        self.tensors += fresh.values()
        return fresh

    def call(self, kwargs: Mapping[str, Any], has_aux: bool) -> tuple[Any, Any]:
        """What the function gives here, and its second result where it has one."""
        with _lending(self.lent):
            result = self.function(*self.args, **kwargs)
        if not has_aux:
            return result, None
        if not (isinstance(result, tuple) and len(result) == 2):
            raise ArgumentError(f"{self.name}: with has_aux=True the function returns a pair (output, aux)")
        return result

    def nested(self, values: Sequence[Any]) -> Any:
        """One value per tensor, put back into the nesting of the arguments."""
        return unflatten(self.shape, values)

    def is_alone(self, outputs: Sequence[Tensor]) -> bool:
        """Whether the outputs depend on these tensors only, so that their gradients need not be on the tape."""
        ours = {one.node for one in self.tensors if one.node is not None}
        if any(node.inputs for node in ours):
            return False
        roots = [one.node for one in outputs if one.node is not None and one.node.wants]
        return all(node in ours for node in consumers_first(roots) if not node.inputs)


def _places(name: str, argnums: int | Sequence[int], count: int) -> list[int]:
    given: Any = argnums
    chosen = [given] if isinstance(given, int) else given
    if not isinstance(chosen, (tuple, list)) or any(
        isinstance(one, bool) or not isinstance(one, int) for one in chosen
    ):
        raise ArgumentError(f"{name}: argnums is an int or several, got {argnums!r}; say argnums=0 or argnums=(0, 1)")
    for one in chosen:
        if not -count <= one < count:
            raise ArgumentError(f"{name}: argnums {one} with {count} arguments")
    places = [one % count for one in chosen]
    if len(set(places)) < len(places):
        raise ArgumentError(f"{name}: argnums {argnums} names an argument twice")
    return places


def _variable(tensor: Tensor) -> Tensor:
    made = tensor.detach()
    made.node = _Variable(made.data)
    return made


def _tracked(name: str, place: int, value: Any) -> Tensor:
    tensor = value if isinstance(value, Tensor) else Tensor(value)
    if tensor.dtype.kind != "f":
        raise GradientError(
            f"{name}: argument {place} holds {tensor.dtype}; only floats have derivatives. Say argnums=... for the "
            "arguments to differentiate by, or x.astype('float64')"
        )
    if tensor.node is None:
        return _variable(tensor)
    # A tensor on the tape already belongs to an outer derivative: ours starts from a copy that stays tied to it.
    copy = tensor.clone()
    assert copy.node is not None
    if not copy.node.wants:
        copy.node = cut(copy)
    return copy


def _own(parameter: Tensor) -> Tensor:
    """A module's parameter as a variable; its own leaf is not part of it, one lent to it by an outer derivative is."""
    outer = not isinstance(parameter.node, Leaf) or isinstance(parameter.node, _Variable)
    return _tracked("a module", 0, parameter) if outer else _variable(wrap(Tensor, parameter.data))


def _outputs(name: str, result: Any) -> tuple[list[Tensor], Any]:
    leaves, shape = flatten(result)
    for one in leaves:
        if not isinstance(one, Tensor):
            raise GradientError(
                f"{name}: the function returned {type(one).__name__}, expected tensors; results that come along "
                "without a derivative are returned second, with has_aux=True"
            )
        if one.dtype.kind != "f":
            raise GradientError(
                f"{name}: the function returned {one.dtype}, which has no derivative; return floats, or return it "
                "second, with has_aux=True"
            )
    return leaves, shape


def _zeros(like: Tensor) -> Tensor:
    return Tensor(np.zeros(like.shape, like.dtype))


def _gradients(
    point: _Point, outputs: list[Tensor], seeds: Sequence[Tensor], alone: bool, *, keep: bool = False
) -> list[Tensor]:
    pairs = [(y, seed) for y, seed in zip(outputs, seeds, strict=True) if y.requires_grad]
    if not pairs:
        return [_zeros(one) for one in point.tensors]
    # In a captured run everything is noted by the tape, and what need not be on it is cut off afterwards.
    apart = alone and not any(seed.requires_grad for _, seed in pairs)
    on_tape = not apart or capturing()
    found = autograd.grad(
        [y for y, _ in pairs],
        point.tensors,
        [seed for _, seed in pairs],
        create_graph=on_tape,
        retain_graph=on_tape or keep,
        allow_unused=True,
    )
    return [
        _zeros(one) if gradient is None else gradient.detach() if apart else gradient
        for one, gradient in zip(point.tensors, found, strict=True)
    ]


# --- reverse mode ---------------------------------------------------------------------------------


def value_and_grad(function: Function, argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Function:
    """The function that returns ``(f(*args), gradient)``, the gradient being by the arguments ``argnums``.

    With ``has_aux`` the function returns ``(output, aux)`` and the result is ``((output, aux), gradient)``. The output
    has one element.

    Raises (when called):
        GradientError: the output has several elements or is no float, or an argument holds integers.
        ArgumentError: ``argnums`` names no argument, or one twice.
    """

    def derived(*args: Any, **kwargs: Any) -> Any:
        with enable_grad():
            point = _Point("grad", function, args, argnums)
            output, aux = point.call(kwargs, has_aux)
            leaves, _ = _outputs("grad", output)
            if len(leaves) != 1 or leaves[0].size != 1:
                shapes = ", ".join(str(one.shape) for one in leaves)
                raise GradientError(
                    f"grad: the function returned {shapes or 'nothing'}; a gradient is of one number. Sum it, take "
                    "jacrev, or say has_aux=True for results that come along"
                )
            y = leaves[0]
            seed = wrap(Tensor, np.ones(y.shape, y.dtype))
            alone = point.is_alone(leaves)
            gradient = point.nested(_gradients(point, leaves, [seed], alone))
            value = y.detach() if alone else y
        return ((value, aux) if has_aux else value), gradient

    return derived


def grad(function: Function, argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Function:
    """The gradient of a function of one number, as a function; see :func:`value_and_grad`.

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


def vjp(function: Function, *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """``(f(*primals), pullback)``; ``pullback(g)`` gives ``gᵀ J`` by every primal, and may be called again.

    ``g`` has the nesting and the shapes of the output. With ``has_aux`` a third result is what came along.
    """
    with enable_grad():
        point = _Point("vjp", function, primals, tuple(range(len(primals))))
        output, aux = point.call({}, has_aux)
        outputs, shape = _outputs("vjp", output)
        alone = point.is_alone(outputs)
        value = map_leaves(lambda y: y.detach(), output) if alone else output

    def pullback(incoming: Any) -> Any:
        with enable_grad():
            seeds = _like("vjp", incoming, outputs, shape)
            return point.nested(_gradients(point, outputs, seeds, alone, keep=True))

    return (value, pullback, aux) if has_aux else (value, pullback)


def _like(name: str, given: Any, tensors: Sequence[Tensor], shape: Any) -> list[Tensor]:
    leaves, given_shape = flatten(given)
    if given_shape != shape:
        raise ShapeError(f"{name}: expected the nesting of the function's own values, got another")
    made = [one if isinstance(one, Tensor) else Tensor(np.asarray(one)) for one in leaves]
    for one, tensor in zip(made, tensors, strict=True):
        if one.shape != tensor.shape:
            raise ShapeError(f"{name}: expected shape {tensor.shape}, got {one.shape}")
    return [one if one.dtype == like.dtype else one.astype(like.dtype) for one, like in zip(made, tensors, strict=True)]


# --- forward mode ---------------------------------------------------------------------------------


class _Push:
    """``J · tangents`` at a point.

    The backward walk is ``uᵀJ``, linear in ``u``. Recorded with ``u`` as a leaf and walked once more, with the tangents
    coming in, it gives ``J · tangents``: forward mode without forward rules. ``u`` is no gradient, so hooks do not run.
    """

    def __init__(self, point: _Point, outputs: list[Tensor]) -> None:
        self.outputs = outputs
        self.dummies = [_variable(_zeros(y)) for y in outputs]
        live = [(y, u) for y, u in zip(outputs, self.dummies, strict=True) if y.requires_grad]
        self.transposed: tuple[Tensor | None, ...] = (None,) * len(point.tensors)
        self.alone = point.is_alone(outputs)
        if live:
            self.transposed = pulled(
                [y for y, _ in live],
                point.tensors,
                [u for _, u in live],
                create_graph=True,
                allow_unused=True,
                hooks=False,
            )

    def __call__(self, directions: Sequence[Tensor | None]) -> list[Tensor]:
        """One output tangent per output, from one per tensor of the point; None stands for zeros."""
        pairs = [
            (g, v)
            for g, v in zip(self.transposed, directions, strict=True)
            if g is not None and v is not None and g.requires_grad
        ]
        results: Sequence[Tensor | None] = [None] * len(self.dummies)
        if pairs:
            apart = self.alone and not any(v.requires_grad for _, v in pairs)
            results = pulled(
                [g for g, _ in pairs],
                self.dummies,
                [v for _, v in pairs],
                create_graph=not apart or capturing(),
                retain_graph=True,
                allow_unused=True,
                hooks=False,
            )
            if apart:
                results = [None if one is None else one.detach() for one in results]
        return [_zeros(y) if one is None else one for one, y in zip(results, self.outputs, strict=True)]


def linearize(function: Function, *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """``(f(*primals), push)``; ``push(*tangents)`` gives ``J · tangents``, and may be called again.

    With ``has_aux`` a third result is what came along.
    """
    with enable_grad():
        point = _Point("jvp", function, primals, tuple(range(len(primals))))
        output, aux = point.call({}, has_aux)
        outputs, shape = _outputs("jvp", output)
        push_all = _Push(point, outputs)
        value = map_leaves(lambda y: y.detach(), output) if push_all.alone else output

    def push(*tangents: Any) -> Any:
        if flatten(tuple(tangents))[1] != point.shape:
            raise ShapeError("jvp: the tangents have another nesting than the primals")
        with enable_grad():
            return unflatten(shape, push_all(_like("jvp", tuple(tangents), point.tensors, point.shape)))

    return (value, push, aux) if has_aux else (value, push)


def jvp(function: Function, primals: Sequence[Any], tangents: Sequence[Any], has_aux: bool = False) -> tuple[Any, ...]:
    """``(f(*primals), J · tangents)``: forward mode, one tangent for each primal, of its nesting and shapes.

    With ``has_aux`` a third result is what came along.
    """
    if not (isinstance(primals, (tuple, list)) and isinstance(tangents, (tuple, list))):
        raise ArgumentError("jvp(f, primals, tangents): both are tuples; for one argument say jvp(f, (x,), (v,))")
    value, push, *aux = linearize(function, *primals, has_aux=has_aux)
    return (value, push(*tangents), *aux)


# --- whole matrices -------------------------------------------------------------------------------


def _rows(
    linear: Callable[[Tensor], Sequence[Tensor]], like: Tensor, roots: Sequence[Tensor | None], chunk_size: int | None
) -> list[Tensor]:
    """The walk ``linear``, from ``roots``, of every unit vector shaped as ``like``: its results along a first axis."""
    size = like.size
    if size == 1:
        return [ops.unsqueeze(one, 0) for one in linear(Tensor(np.ones(like.shape, like.dtype)))]
    if size == 0:
        return [Tensor(np.zeros((0, *one.shape), one.dtype)) for one in linear(_zeros(like))]
    units = wrap(Tensor, np.eye(size, dtype=like.dtype).reshape(size, *like.shape))
    nodes = [one.node for one in roots if one is not None and one.node is not None]
    if chunk_size == 1 or not all(map(_is_declared, consumers_first(nodes))):
        return [ops.stack(list(column)) for column in zip(*[linear(unit) for unit in units], strict=True)]
    return replay.evaluate(lambda sample: linear(sample[0]), [units], chunk_size=chunk_size)


def _is_declared(node: Node) -> bool:
    """Whether a walk does only what ops declare here: no hooks, and no rules that are Python code of the user's."""
    return (node.plan is None or type(node.plan) is Plan) and (type(node) is Node or node.hooks is None)


def _pulling(point: _Point, y: Tensor) -> Callable[[Tensor], list[Tensor]]:
    alone = point.is_alone([y])
    return lambda seed: _gradients(point, [y], [seed], alone, keep=True)


def _pushing(push: _Push, place: int) -> Callable[[Tensor], list[Tensor]]:
    def along(unit: Tensor) -> list[Tensor]:
        directions: list[Tensor | None] = [None] * len(push.transposed)
        directions[place] = unit
        return push(directions)

    return along


def _check_chunk(name: str, chunk_size: int | None) -> None:
    given: Any = chunk_size
    if given is not None and (isinstance(given, bool) or not isinstance(given, int) or given < 1):
        raise ArgumentError(f"{name}: chunk_size is a positive int or None, got {chunk_size!r}")


def jacrev(
    function: Function, argnums: int | Sequence[int] = 0, has_aux: bool = False, *, chunk_size: int | None = None
) -> Function:
    """The Jacobian by one backward walk, replayed for all output elements at once: best for few outputs.

    For an output of shape ``s`` and an argument of shape ``t`` it has shape ``s + t``.

    Args:
        function: of tensors, to tensors. argnums: the arguments to differentiate by.
        has_aux: the function returns ``(output, aux)``, and the derivative ``(jacobian, aux)``.
        chunk_size: how many rows at a time; by default as many as keep each value below 16 million elements.

    Raises (when called):
        GradientError: an output or an argument that is no float; ArgumentError: ``argnums`` names no argument.

    >>> jacrev(lambda x: x * x)(np.array([1.0, 2.0])).tolist()
    [[2.0, 0.0], [0.0, 4.0]]
    """
    _check_chunk("jacrev", chunk_size)

    def derived(*args: Any, **kwargs: Any) -> Any:
        with enable_grad():
            point = _Point("jacrev", function, args, argnums)
            output, aux = point.call(kwargs, has_aux)
            outputs, shape = _outputs("jacrev", output)
            blocks = []
            for y in outputs:
                rows = _rows(_pulling(point, y), y, [y], chunk_size)
                blocks.append(
                    point.nested(
                        [
                            ops.reshape(block, (*y.shape, *one.shape))
                            for block, one in zip(rows, point.tensors, strict=True)
                        ]
                    )
                )
        return (unflatten(shape, blocks), aux) if has_aux else unflatten(shape, blocks)

    return derived


def jacfwd(
    function: Function, argnums: int | Sequence[int] = 0, has_aux: bool = False, *, chunk_size: int | None = None
) -> Function:
    """The Jacobian by one forward push, replayed for all input elements at once: best for few inputs.

    Arguments, shapes and errors as in :func:`jacrev`.
    """
    _check_chunk("jacfwd", chunk_size)

    def derived(*args: Any, **kwargs: Any) -> Any:
        with enable_grad():
            point = _Point("jacfwd", function, args, argnums)
            output, aux = point.call(kwargs, has_aux)
            outputs, shape = _outputs("jacfwd", output)
            push = _Push(point, outputs)
            parts: list[list[Tensor]] = [[] for _ in outputs]
            for place, one in enumerate(point.tensors):
                columns = _rows(_pushing(push, place), one, push.transposed, chunk_size)
                for y, column, row in zip(outputs, columns, parts, strict=True):
                    last = ops.permute(column, *range(1, column.ndim), 0)
                    row.append(ops.reshape(last, (*y.shape, *one.shape)))
            blocks = [point.nested(row) for row in parts]
        return (unflatten(shape, blocks), aux) if has_aux else unflatten(shape, blocks)

    return derived


def hessian(
    function: Function, argnums: int | Sequence[int] = 0, has_aux: bool = False, *, chunk_size: int | None = None
) -> Function:
    """The second derivatives, ``jacrev(jacrev(f))``: of shape ``s + t + t`` for an output of shape ``s``."""
    return jacrev(jacrev(function, argnums, has_aux), argnums, has_aux, chunk_size=chunk_size)


def hvp(function: Function, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, ...]:
    """``(gradient, H · tangents)`` of a function of one number: forward over reverse, without the matrix.

    For one primal both are of its nesting; for several, tuples.
    """
    argnums: int | tuple[int, ...] = 0 if len(primals) == 1 else tuple(range(len(primals)))
    return jvp(grad(function, argnums), primals, tangents)


# --- many samples ---------------------------------------------------------------------------------


def vmap(function: Function, in_axes: Any = 0, out_axes: Any = 0, *, chunk_size: int | None = None) -> Function:
    """The function of one sample, as a function of many that computes them all at once.

    The function runs for the first sample, and what it did is replayed for all of them in one pass; when it does
    something that it has not done before, it runs for the last sample as well, to see that this does the same. It may
    be a derivative: ``vmap(grad(f), in_axes=(None, 0, 0))`` gives gradients per sample. The result is on the tape
    where an argument is.

    Args:
        function: of tensors (nested as always), to tensors. Numbers among its results are the same for all samples.
        in_axes: which axis of an argument counts the samples, None for an argument that all share; one for all
            arguments, or a tuple with one for each, or nested like the argument.
        out_axes: the axis that counts the samples in the results.
        chunk_size: how many samples at a time; by default as many as keep values below 16 million elements. 1 runs the
            function itself for one sample after the other: it may then do anything.

    Raises (when called):
        CaptureError: the function does not do the same with each sample: it reads values (``item()``, ``if x > 0:``),
            takes ``x.data``, or draws random numbers. Choose with ``where()``, draw beforehand, or say chunk_size=1.
        ArgumentError: ``in_axes`` does not fit the arguments, or they disagree about the number of samples.

    >>> from tinygrad_mlp import ops
    >>> vmap(ops.mul, in_axes=(0, None))(np.ones((3, 2)), np.array([1.0, 2.0])).tolist()
    [[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]]
    """
    _check_chunk("vmap", chunk_size)
    checked: dict[Any, Any] = {}

    def mapped(*args: Any, **kwargs: Any) -> Any:
        if kwargs:
            raise ArgumentError(f"vmap: {', '.join(kwargs)} by name; give arguments by position, in_axes says which")
        if isinstance(in_axes, (tuple, list)) and len(in_axes) != len(args):
            raise ArgumentError(f"vmap: in_axes names {len(in_axes)} arguments, got {len(args)}")
        leaves, shape = flatten(args)
        axes = spread(tuple(in_axes) if isinstance(in_axes, list) else in_axes, args)
        batches = {
            i: _first(leaf, axis, i)
            for i, (leaf, axis) in enumerate(zip(leaves, axes, strict=True))
            if axis is not None
        }
        sizes = {one.shape[0] for one in batches.values()}
        if len(sizes) != 1 or 0 in sizes:
            raise ArgumentError(
                f"vmap: the arguments have {' and '.join(map(str, sorted(sizes))) or 'no'} samples along in_axes="
                f"{in_axes}; all need the same number, one at least"
            )
        (size,) = sizes
        nesting: list[Any] = []

        def of_sample(samples: Sequence[Tensor]) -> list[Tensor]:
            given = list(leaves)
            for place, sample in zip(batches, samples, strict=True):
                given[place] = sample
            results, nesting[:] = flatten(function(*unflatten(shape, given)))
            return [_as_result(one) for one in results]

        inputs = list(batches.values())
        if chunk_size == 1:
            rows = [of_sample([one[i] for one in inputs]) for i in range(size)]
            found = [ops.stack(list(column)) for column in zip(*rows, strict=True)]
        else:
            found = replay.evaluate(of_sample, inputs, chunk_size=chunk_size, checked=checked)
        ends = spread(out_axes, unflatten(nesting, found))
        return unflatten(nesting, [_last(one, axis) for one, axis in zip(found, ends, strict=True)])

    return mapped


def _first(leaf: Any, axis: Any, place: int) -> Tensor:
    if isinstance(axis, bool) or not isinstance(axis, int):
        raise ArgumentError(f"vmap: in_axes are ints or None, got {axis!r}")
    if _is_module(leaf):
        raise ArgumentError(f"vmap: {type(leaf).__name__} is one for all samples; say None for it in in_axes")
    tensor = leaf if isinstance(leaf, Tensor) else Tensor(leaf)
    if not -tensor.ndim <= axis < tensor.ndim:
        raise ArgumentError(
            f"vmap: value {place} of the arguments has shape {tensor.shape} and no axis {axis} of samples; say None "
            "for it in in_axes"
        )
    return _moved(tensor, axis % tensor.ndim, 0)


def _last(one: Tensor, axis: Any) -> Tensor:
    if isinstance(axis, bool) or not isinstance(axis, int) or not -one.ndim <= axis < one.ndim:
        raise ArgumentError(f"vmap: out_axes {axis!r} for a result of shape {one.shape}")
    return _moved(one, 0, axis % one.ndim)


def _moved(one: Tensor, source: int, target: int) -> Tensor:
    if source == target:
        return one
    order = [i for i in range(one.ndim) if i != source]
    order.insert(target, source)
    moved: Tensor = ops.permute(one, *order)
    return moved


def _as_result(value: Any) -> Tensor:
    if isinstance(value, Tensor):
        return value
    if isinstance(value, (np.ndarray, np.generic, float, int)):
        return Tensor(np.asarray(value))
    raise ArgumentError(f"vmap: the function returned {type(value).__name__}, expected tensors")


def per_sample_grad(
    function: Function,
    argnums: int | Sequence[int] = 0,
    in_axes: Any = None,
    has_aux: bool = False,
    *,
    chunk_size: int | None = None,
) -> Function:
    """The gradients of a loss of one sample, for many samples in one pass: ``vmap(grad(f), ...)``.

    Each gradient has the shape of its parameter behind a first axis of samples. The arguments ``argnums``, often a
    module, are shared; the others have one sample in each row, unless ``in_axes`` says otherwise, as in :func:`vmap`.

    >>> from tinygrad_mlp import nn, randn
    >>> model = nn.Linear(3, 2, seed=0)
    >>> gradients = per_sample_grad(lambda model, x: model(x).sum())(model, randn(5, 3, seed=0))
    >>> {name: gradient.shape for name, gradient in gradients.items()}
    {'weight': (5, 2, 3), 'bias': (5, 2)}
    """
    derived = grad(function, argnums, has_aux)
    mapped: dict[int, Function] = {}

    def gradients(*args: Any) -> Any:
        count = len(args)
        if count not in mapped:
            axes = in_axes
            if axes is None:
                shared = _places("per_sample_grad", argnums, count)
                axes = tuple([None if place in shared else 0 for place in range(count)])
            mapped[count] = vmap(derived, axes, chunk_size=chunk_size)
        return mapped[count](*args)

    return gradients


# --- modules --------------------------------------------------------------------------------------


@contextmanager
def _lending(pairs: Sequence[tuple[Tensor, Tensor]]) -> Iterator[None]:
    """Lend the first of each pair the value and the node of the second."""
    before = [(own.data, own.node) for own, _ in pairs]
    try:
        for own, lent in pairs:
            own.data, own.node = lent.data, lent.node
        yield
    finally:
        for (own, _), (data, node) in zip(pairs, before, strict=True):
            own.data, own.node = data, node


def functional_call(module: Any, parameters: Mapping[str, Any], args: Any = (), kwargs: Any = None) -> Any:
    """``module(*args, **kwargs)`` with these parameters (and buffers) by name in place of its own.

    The module is as before afterwards, also after an error.

    Raises:
        ArgumentError: a name that the module does not have; ShapeError: a value of another shape.
    """
    known = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    unknown = sorted(set(parameters) - set(known))
    if unknown:
        raise ArgumentError(f"functional_call: {type(module).__name__} has no parameter {', '.join(unknown)}")
    pairs = []
    for name, value in parameters.items():
        tensor = value if isinstance(value, Tensor) else Tensor(np.asarray(value))
        if tensor.shape != known[name].shape:
            raise ShapeError(f"functional_call: {name} has shape {known[name].shape}, got {tensor.shape}")
        pairs.append((known[name], tensor))
    with _lending(pairs):
        return module(*(args if isinstance(args, tuple) else (args,)), **(kwargs or {}))
