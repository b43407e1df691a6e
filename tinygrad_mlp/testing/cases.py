"""Legal calls of a declared op, made from the sample that its declaration carries.

There is one maker per kind of sample, and it decides nothing itself: what it leaves open it asks of a :class:`Choices`.
:class:`RandomChoices` answers from a NumPy generator (the command line's fixed cases); the strategies of
:mod:`.strategies` answer from Hypothesis, which can then make a failing case smaller.
"""

from __future__ import annotations

import inspect
import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from ..errors import ArgumentError, did_you_mean
from ..ops.declare import OpFunction
from ..ops.windows import places_of_windows
from ..samples import (
    Classes,
    Domain,
    Einsum,
    Elementwise,
    Indexing,
    Joining,
    Layer,
    Places,
    Product,
    Recurrence,
    Reduction,
    Reshaping,
    Rows,
    Standardising,
    System,
    Windows,
)
from ..tape import OPS, Array, Leaf, Op, walk, wrap
from ..tensor import Tensor

__all__ = [
    "Case",
    "Choices",
    "RandomChoices",
    "differentiable",
    "fixed_cases",
    "function_of",
    "gradients",
    "has_rule",
    "is_legal",
    "leaf",
    "make_case",
    "sample_shape",
]

_T = TypeVar("_T")


# --- one call -------------------------------------------------------------------------------------


@dataclass(repr=False)
class Case:
    """One legal call of an op: operands as float64 arrays (conditions as booleans), parameters as plain data.

    Printed it is the call, in Python.
    """

    function: OpFunction
    operands: list[Array]
    params: dict[str, Any] = field(default_factory=dict)
    seed: int = 0

    @property
    def op(self) -> Op:
        """The declaration that the function calls."""
        op: Op = self.function.op  # type: ignore[attr-defined]
        return op

    @property
    def rng(self) -> np.random.Generator:
        """A generator of this case's own, for incoming gradients and directions."""
        return np.random.default_rng([self.seed, 1])

    @property
    def differentiable(self) -> list[int]:
        """The positions of the operands that a rule leads to."""
        return [i for i in range(len(self.operands)) if self.op.rule(i) is not None]

    def forward(self, operands: Sequence[Array] | None = None) -> Array:
        """The op on plain arrays, without the values it saves for its rules."""
        return np.asarray(self.function(*(self.operands if operands is None else operands), **self.params))

    def reference(self, operands: Sequence[Array]) -> Array:
        """The declared reference of an op that is not elementwise; complex operands give complex answers."""
        assert self.op.reference is not None
        return np.asarray(self.op.reference(np, *operands, **self._params_for(operands)))

    def call(self, *operands: Any) -> Any:
        """The polymorphic op function with this case's parameters."""
        return self.function(*operands, **self._params_for(operands))

    def _params_for(self, operands: Sequence[Any]) -> dict[str, Any]:
        # A cast to float64 would drop what the complex step carries in the imaginary part.
        if not any(one.dtype.kind == "c" for one in operands):
            return self.params
        wide = np.dtype(np.complex128)
        return {name: wide if isinstance(value, np.dtype) else value for name, value in self.params.items()}

    def __str__(self) -> str:
        shown = [_as_python(one) for one in self.operands]
        shown += [f"{name}={_as_python(value)}" for name, value in self.params.items()]
        return f"{self.function.__name__}({', '.join(shown)})"

    __repr__ = __str__


def _as_python(value: Any) -> str:
    if isinstance(value, np.ndarray):
        # The shape of an empty array is not seen in its list.
        return f"np.array({value.tolist()})" if value.size else f"np.zeros({value.shape}, {value.dtype.name!r})"
    if type(value) is tuple:
        inner = ", ".join(map(_as_python, value))
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    return f"np.dtype({value.name!r})" if isinstance(value, np.dtype) else repr(value)


def sample_shape(module: Any) -> tuple[int, ...] | None:
    """The shape of one input of ``module`` without the batch axis, from its first layer; None where any will do.

    Raises:
        ArgumentError: it cannot be told.
    """
    name = type(module).__name__
    forward = inspect.signature(module.forward).parameters.values()
    needed = [one.name for one in forward if one.default is one.empty and one.kind is one.POSITIONAL_OR_KEYWORD]
    if len(needed) > 1:
        raise ArgumentError(f"{name} takes several inputs ({', '.join(needed)}); make them yourself, with inputs=(...)")
    features = next((one.in_features for one in module.modules() if hasattr(one, "in_features")), None)
    if features is not None:
        return (int(features),)
    if next(iter(module.parameters()), None) is not None:
        raise ArgumentError(
            f"cannot tell which inputs {name} takes: no layer of it has in_features. Say the shape of one input "
            "without the batch axis, for instance shape=(3,), or give inputs="
        )
    return None


def leaf(array: Array) -> Tensor:
    """A leaf on this very array, complex numbers included, which the constructor would refuse."""
    made = wrap(Tensor, array)
    made.node = Leaf(array)
    return made


def gradients(case: Case, incoming: Array, operands: Sequence[Array] | None = None) -> list[Array]:
    """The engine's gradient for every differentiable operand, in plain NumPy and through the walk."""
    arrays = list(case.operands if operands is None else operands)
    leaves = {i: leaf(arrays[i]) for i in case.differentiable}
    y = case.call(*[leaves.get(i, array) for i, array in enumerate(arrays)])
    nodes = [one.node for one in leaves.values() if one.node is not None]
    found = walk((y.node,), (incoming,), targets=nodes)
    return [found[node] for node in nodes]


def has_rule(op: Op) -> bool:
    """Whether a gradient goes to any operand of ``op``."""
    return callable(op.rules) or any(op.rules)


def differentiable() -> list[str]:
    """The names of the declared ops with at least one gradient rule."""
    return [op.name for op in OPS.values() if has_rule(op)]


def function_of(op: Op | OpFunction | str) -> OpFunction:
    """The op function of a declared op, given by name, declaration or function.

    Raises:
        ArgumentError: it is none, or was declared anew since.
    """
    if isinstance(op, str):
        if op not in OPS:
            raise ArgumentError(did_you_mean("op", op, OPS))
        return OPS[op].call
    if isinstance(op, Op):
        if OPS.get(op.name) is not op:
            raise ArgumentError(f"the op {op.name!r} was undeclared or declared anew since; give the op function")
        return op.call
    if not isinstance(getattr(op, "op", None), Op):
        raise ArgumentError(
            f"expected a declared op, got {op!r}; functions made with @elementwise or @primitive are ops, others are "
            "checked with gradcheck(function, inputs)"
        )
    return op


# --- what is left open ----------------------------------------------------------------------------

# What people would try first; the order in which a failing case becomes simpler.
_SIMPLE = (0.0, 1.0, 2.0, -1.0, 0.5, -2.0, -0.5, 3.0, -3.0, 0.25)
# One byte per element chooses from a table: the simple values, then values that are not simple at all.
_CODES = 256


class Choices(ABC):
    """The open decisions of a maker. Lower integers, earlier options and lower codes are simpler."""

    def __init__(self) -> None:
        self._arrays = itertools.count()
        self._seed: int | None = None

    @abstractmethod
    def integer(self, low: int, high: int) -> int:
        """An integer of ``low`` to ``high``, both included."""

    @abstractmethod
    def codes(self, count: int) -> Array:
        """So many integers of 0 to 255."""

    def pick(self, options: Sequence[_T]) -> _T:
        """One of the options."""
        return options[self.integer(0, len(options) - 1)]

    def variant(self, options: Sequence[_T]) -> _T:
        """One of the options, all of which should have their turn."""
        return self.pick(options)

    def rarely(self) -> bool:
        """Whether to do what would teach little if it were done often."""
        return self.pick((False,) * 5 + (True,))

    @property
    def seed(self) -> int:
        """One seed, chosen when it is first asked for."""
        if self._seed is None:
            self._seed = self.integer(0, 2**32 - 1)
        return self._seed

    def among(self, shape: tuple[int, ...], options: Sequence[Any]) -> Array:
        """An array of options."""
        return np.asarray(np.asarray(options)[self.codes(math.prod(shape)) % len(options)].reshape(shape))

    def values(self, shape: tuple[int, ...], domain: Domain, dtype: Any = np.float64) -> Array:
        """An array of legal values: now and then simple numbers or the ends of the domain, mostly any number.

        Raises:
            ArgumentError: the domain holds no value of this dtype.
        """
        wanted = np.dtype(dtype)
        if 0 in shape:
            return np.zeros(shape, wanted)
        if wanted.kind == "b":
            return self.among(shape, (False, True))
        pieces = _pieces(domain)
        rng = np.random.default_rng([self.seed, next(self._arrays)])
        simple = (*_SIMPLE, domain.low, domain.high)
        table = np.concatenate([simple, _spread(pieces, rng.random(_CODES - len(simple)))])
        if wanted.kind in "iu":
            limits = np.iinfo(wanted)
            table = np.rint(table)
            table = table[np.sort(np.unique(table, return_index=True)[1])]
            table = table[(table >= limits.min) & (table <= limits.max)]
        table = table.astype(wanted)
        # Rounding to a coarser dtype may have moved a value out of the domain.
        table = table[_within(table, pieces)]
        if not table.size:
            raise ArgumentError(f"no {wanted} is legal: {domain}")
        return np.asarray(table[self.codes(math.prod(shape)) % table.size].reshape(shape))

    def order(self, count: int) -> Array:
        """The numbers from 0 to below ``count`` in some order."""
        return np.argsort(self.codes(count), kind="stable")

    def side(self, low: int, high: int) -> int:
        """The length of an axis that is not empty, if it may be."""
        return self.integer(min(max(low, 1), high), high)

    def shape(self, min_dims: int, max_dims: int, min_side: int, max_side: int) -> tuple[int, ...]:
        """A shape; rarely with an empty axis."""
        shape = [self.side(min_side, max_side) for _ in range(self.integer(min_dims, max_dims))]
        if shape and min_side == 0 and self.rarely():
            shape[self.integer(0, len(shape) - 1)] = 0
        return tuple(shape)

    def broadcastable(
        self, count: int, min_dims: int = 0, max_dims: int = 3, min_side: int = 0, max_side: int = 3
    ) -> list[tuple[int, ...]]:
        """So many shapes that broadcast: each is the tail of one shape, with some lengths replaced by 1."""
        whole = self.shape(min_dims, max_dims, min_side, max_side)
        if count == 1:
            return [whole]
        shapes = []
        for _ in range(count):
            tail = whole[self.integer(0, len(whole) - min_dims) if self.pick((False, False, True)) else 0 :]
            shapes.append(tuple(self.pick((size, size, 1)) if min_side <= 1 else size for size in tail))
        return shapes

    def axes(self, ndim: int) -> tuple[int, ...]:
        """A sorted set of axes."""
        return tuple(i for i in range(ndim) if self.pick((False, True)))

    def index(self, shape: tuple[int, ...]) -> Any:
        """An index: basic, integer arrays with repeats, a boolean mask, or a mixture."""
        kind = self.variant(("basic", "arrays", "mask", "mixed"))
        if kind == "basic" or not shape or 0 in shape:
            return self._basic_index(shape)
        rank = self.integer(1, len(shape))
        if kind == "mask":
            return self.among(shape[:rank], (False, True))
        inner = self.shape(0, 2, 0, 4)
        parts: list[Any] = [self.among(inner, [*range(n), *range(-n, 0)]) for n in shape[:rank]]
        if kind == "mixed":
            place = self.integer(0, rank - 1)
            parts[place] = self.pick((slice(None), 0, -1, slice(None, None, -1), slice(1, None, 2)))
            if self.pick((False, True)):
                parts.insert(self.integer(0, len(parts)), None)
            if self.pick((False, True)):
                parts.append(Ellipsis)
        return tuple(parts)

    def _basic_index(self, shape: tuple[int, ...]) -> Any:
        parts: list[Any] = []
        for size in shape[: self.integer(0, len(shape))]:
            kinds = ("whole", "slice", "integer") if size else ("whole", "slice")
            kind = self.pick(kinds)
            if kind == "integer":
                parts.append(self.integer(-size, size - 1))
            elif kind == "slice":
                start, stop = (self.pick((None, self.integer(-size - 1, size + 1))) for _ in range(2))
                parts.append(slice(start, stop, self.pick((None, 2, -1, -2))))
            else:
                parts.append(slice(None))
        covered = len(parts)
        if self.rarely():
            parts.insert(self.integer(0, len(parts)), None)
        if self.rarely():
            # What stands behind the dots counts from the last axis: anything may only where every axis is named.
            parts.insert(self.integer(0 if covered == len(shape) else len(parts), len(parts)), Ellipsis)
        return parts[0] if len(parts) == 1 and self.pick((False, True)) else tuple(parts)


def _pieces(domain: Domain) -> list[tuple[float, float]]:
    """The intervals that make up the domain.

    Raises:
        ArgumentError: it is empty.
    """
    pieces = [(domain.low, domain.high)]
    for point in domain.avoid:
        left, right = point - domain.margin, point + domain.margin
        pieces = [end for a, b in pieces for end in ((a, min(b, left)), (max(a, right), b)) if end[0] <= end[1]]
    if not pieces or domain.low > domain.high:
        raise ArgumentError(f"no value is legal: {domain} leaves none between {domain.low} and {domain.high}")
    return pieces


def _within(values: Array, pieces: Sequence[tuple[float, float]]) -> Array:
    return np.asarray(np.any([(a <= values) & (values <= b) for a, b in pieces], axis=0))


def is_legal(values: Array, domain: Domain) -> bool:
    """Whether all values lie in the domain."""
    return bool(np.all(_within(values, _pieces(domain))))


def _spread(pieces: Sequence[tuple[float, float]], shares: Array) -> Array:
    """Numbers of [0, 1) laid out over the intervals, each in proportion to its length."""
    starts = np.array([a for a, _ in pieces])
    lengths = np.array([b - a for a, b in pieces])
    ends = np.cumsum(lengths)
    along = shares * ends[-1]
    which = np.minimum(np.searchsorted(ends, along, side="right"), len(pieces) - 1)
    return np.asarray(starts[which] + np.minimum(along - (ends - lengths)[which], lengths[which]))


class RandomChoices(Choices):
    """Answers from a generator: telling cases, without empty axes; ``turn`` goes through the variants."""

    def __init__(self, rng: np.random.Generator, turn: int = 0) -> None:
        super().__init__()
        self.rng = rng
        self.turn = turn
        self.variants = 1

    def integer(self, low: int, high: int) -> int:  # noqa: D102 - as in the base
        return int(self.rng.integers(low, high, endpoint=True))

    def codes(self, count: int) -> Array:  # noqa: D102 - as in the base
        return self.rng.integers(0, _CODES, count)

    def variant(self, options: Sequence[_T]) -> _T:  # noqa: D102 - as in the base
        self.variants = max(self.variants, len(options))
        return options[self.turn % len(options)]

    def rarely(self) -> bool:  # noqa: D102 - as in the base
        return False

    def shape(self, min_dims: int, max_dims: int, min_side: int, max_side: int) -> tuple[int, ...]:  # noqa: D102
        return super().shape(min(max(min_dims, 1), max_dims), max_dims, min_side, max_side)

    def side(self, low: int, high: int) -> int:  # noqa: D102 - as in the base
        return self.integer(min(max(low, 2), high), high)


# --- one maker per kind of sample -----------------------------------------------------------------

_Call = tuple[list[Array], dict[str, Any]]
_WIDE = Domain(-6.0, 6.0)
_ANY = Domain()


def _elementwise(op: Op, sample: Elementwise, choices: Choices) -> _Call:
    if len(sample.operands) != len(op.operands):
        raise ArgumentError(f"op {op.name}: {len(op.operands)} operands need one Domain each, got {sample.operands}")
    shapes = choices.broadcastable(len(op.operands))
    if not has_rule(op):
        # Questions are interesting where operands are equal, zero or not finite.
        return [choices.among(shape, (0.0, 1.0, -1.0, -0.0, np.nan, np.inf)) for shape in shapes], {}
    operands = [
        choices.among(shape, (False, True)) if name == "condition" else choices.values(shape, domain)
        for name, shape, domain in zip(op.operands, shapes, sample.operands, strict=True)
    ]
    if sample.apart:
        step = 4 * sample.apart
        operands = [np.round(one / step) * step + i * step / 2 for i, one in enumerate(operands)]
    return operands, dict(choices.variant(sample.params))


def _reduction(op: Op, sample: Reduction, choices: Choices) -> _Call:
    params: dict[str, Any] = dict(choices.variant(sample.params))
    shape = choices.shape(int(sample.single_axis), 3, 0, 4)
    if sample.single_axis:
        params["axis"] = choices.integer(0, len(shape) - 1)
        axes: tuple[int, ...] = (params["axis"],)
    else:
        params["axes"] = axes = choices.axes(len(shape))
    if "keepdims" in op.params:
        params["keepdims"] = choices.pick((False, True))
    if not sample.empty:
        shape = tuple(max(size, 1) if i in axes else size for i, size in enumerate(shape))
    if not sample.distinct:
        return [choices.values(shape, sample.domain)], params
    size = math.prod(shape)
    return [np.linspace(sample.domain.low, sample.domain.high, size)[choices.order(size)].reshape(shape)], params


def _reshaping(op: Op, sample: Reshaping, choices: Choices) -> _Call:
    shape = choices.shape(0, 3, 0, 4)
    params: dict[str, Any]
    if sample.how == "reshape":
        factors = [factor for size in shape for factor in ((2, 2) if size == 4 else (size,))]
        order = [[*factors, 1][i] for i in choices.order(len(factors) + 1)]
        cut = choices.integer(0, len(order))
        params = {"shape": (*order[:cut], math.prod(order[cut:]))}
    elif sample.how == "permute":
        params = {"axes": tuple(choices.order(len(shape)).tolist())}
    elif sample.how == "cast":
        params = {"dtype": np.dtype(np.float64), "source": np.dtype(np.float64)}
    elif sample.how in {"broadcast", "sum_to"}:
        base = tuple(choices.pick((size, 1)) for size in shape)
        base = base[choices.integer(0, len(base)) :]
        shape, wanted = (base, shape) if sample.how == "broadcast" else (shape, base)
        params = {"shape": wanted}
    else:
        raise ArgumentError(f"op {op.name} declares Reshaping({sample.how!r}), for which testing/cases.py has no maker")
    return [choices.values(shape, _ANY)], params


def _indexing(_op: Op, sample: Indexing, choices: Choices) -> _Call:
    shape = choices.shape(0, 3, 0, 4)
    index = choices.index(shape)
    if sample.adjoint:
        return [choices.values(np.zeros(shape)[index].shape, _ANY)], {"shape": shape, "index": index}
    return [choices.values(shape, _ANY)], {"index": index}


def _places(op: Op, sample: Places, choices: Choices) -> _Call:
    if sample.how == "index":
        shape = choices.shape(1, 3, 1, 4)
        index = choices.index(shape)
        parts = index if isinstance(index, tuple) else (index,)
        if not any(isinstance(part, np.ndarray) for part in parts):
            parts = (choices.among((3,), range(shape[0])),)
        arrays = [part for part in parts if isinstance(part, np.ndarray)]
        numbers = itertools.count()
        pattern = tuple((next(numbers),) if isinstance(part, np.ndarray) else part for part in parts)
        return arrays, {"shape": shape, "pattern": pattern}
    size = choices.side(1, 5)
    places = choices.among(choices.shape(0, 3, 0, 4), [*range(size), *range(-size, 0)])
    if sample.how == "pick":
        return [choices.values((size,), _ANY), places], {}
    if sample.how == "scatter":
        return [choices.values(places.shape, _ANY), places], {"shape": (size,)}
    raise ArgumentError(f"op {op.name} declares Places({sample.how!r}), for which testing/cases.py has no maker")


def _joining(_op: Op, _sample: Joining, choices: Choices) -> _Call:
    shape = choices.shape(1, 3, 0, 3)
    axis = choices.integer(0, len(shape) - 1)
    lengths = [choices.integer(0, 3) for _ in range(choices.integer(1, 4))]
    operands = [choices.values((*shape[:axis], length, *shape[axis + 1 :]), _ANY) for length in lengths]
    return operands, {"axis": axis, "ends": tuple(itertools.accumulate(lengths))}


def _product(_op: Op, _sample: Product, choices: Choices) -> _Call:
    left, right = choices.broadcastable(2, max_dims=2)
    n, k, m = _sides(choices, 3)
    return [choices.values((*left, n, k), _ANY), choices.values((*right, k, m), _ANY)], {}


def _system(_op: Op, sample: System, choices: Choices) -> _Call:
    batch, n = choices.shape(0, 1, 0, 2), choices.side(1, 3)
    found = choices.values((*batch, n, n), Domain(-1.0, 1.0))
    # A dominant diagonal: regular, whatever the rest is; and no two equal eigenvalues.
    matrix = 0.25 * (found + np.swapaxes(found, -1, -2)) + np.diag(np.arange(3.0, 3.0 + 2 * n, 2.0))
    operands = [matrix, choices.values((*batch, n, choices.side(1, 2)), _ANY)] if sample.right else [matrix]
    return operands, dict(choices.variant(sample.params))


def _sides(choices: Choices, count: int) -> list[int]:
    return [0 if choices.rarely() else choices.side(1, 3) for _ in range(count)]


def _layer(op: Op, _sample: Layer, choices: Choices) -> _Call:
    batch = choices.shape(0, 2, 0, 3)
    wide, narrow = _sides(choices, 2)
    shapes = {"x": (*batch, wide), "z": (*batch, narrow), "weight": (narrow, wide), "bias": (narrow,)}
    missing = set(op.operands) - set(shapes)
    if missing:
        raise ArgumentError(f"op {op.name} declares Layer, of which testing/cases.py knows no operand {missing}")
    return [choices.values(shapes[name], _ANY) for name in op.operands], {}


def _einsum(_op: Op, sample: Einsum, choices: Choices) -> _Call:
    equation = choices.variant(sample.equations)
    terms = equation.partition("->")[0].split(",")
    letters = sorted(set("".join(terms)))
    sizes = dict(zip(letters, _sides(choices, len(letters)), strict=True))
    return [choices.values(tuple(sizes[one] for one in term), _ANY) for term in terms], {"equation": equation}


def _classes(op: Op, sample: Classes, choices: Choices) -> _Call:
    rows = 0 if choices.rarely() else choices.side(1, 4)
    classes = choices.side(1, 5)
    logits = choices.values((rows, classes), _WIDE)
    if sample.targets == "ids":
        return [logits, choices.among((rows,), range(classes))], {}
    if sample.targets == "probabilities":
        weights = choices.values((rows, classes), Domain(0.01, 1.0))
        return [logits, weights / weights.sum(1, keepdims=True)], {}
    raise ArgumentError(f"op {op.name} declares Classes({sample.targets!r}), for which testing/cases.py has no maker")


# Beyond it gates are shut or open to the last digit.
_GATES = Domain(-2.0, 2.0)
# Time steps, sequences, length of the state, whether some steps do not count: few numbers, for all second derivatives.
_SEQUENCES = ((1, 1, 1, False), (1, 2, 1, True), (2, 2, 1, True), (1, 1, 2, False), (2, 2, 1, False))


def _rows(op: Op, sample: Rows, choices: Choices) -> _Call:
    rows, width = choices.side(1, 4), choices.side(1, 3)
    ids = choices.among(choices.shape(0, 2, 0, 4), range(rows))
    if sample.what == "table":
        return [choices.values((rows, width), _ANY), ids], {}
    if sample.what == "sums":
        return [choices.values((*ids.shape, width), _ANY), ids], {"rows": rows}
    raise ArgumentError(f"op {op.name} declares Rows({sample.what!r}), for which testing/cases.py has no maker")


def _recurrence(op: Op, sample: Recurrence, choices: Choices) -> _Call:
    time, batch, size, masked = choices.variant(_SEQUENCES)
    width = sample.gates * size
    shapes = {
        "z": (time + sample.more, batch, size),
        "gates": (time, batch, width),
        "state": (batch, size),
        "cell": (batch, size),
        "weight": (width, size),
        "bias": (width,),
    }
    missing = set(op.operands) - {*shapes, "valid"}
    if missing:
        raise ArgumentError(f"op {op.name} declares Recurrence, of which testing/cases.py knows no operand {missing}")
    valid = choices.among((time, batch) if masked else (0,), [False, True])
    return [valid.astype(bool) if name == "valid" else choices.values(shapes[name], _GATES) for name in op.operands], {}


def _windows(op: Op, sample: Windows, choices: Choices) -> _Call:
    axes = choices.integer(1, 2)
    sizes, steps, gaps = (tuple(choices.integer(1, most) for _ in range(axes)) for most in (3, 3, 2))
    lengths = tuple(
        gap * (size - 1) + choices.integer(0 if choices.rarely() else 1, 4)
        for size, gap in zip(sizes, gaps, strict=True)
    )
    before = choices.shape(0, 2, 0, 2)
    if sample.how == "unfold":
        return [choices.values((*before, *lengths), _ANY)], {"sizes": sizes, "steps": steps, "gaps": gaps}
    if sample.how == "fold":
        places = places_of_windows(lengths, sizes, steps, gaps)
        return [choices.values((*before, *places, *sizes), _ANY)], {"lengths": lengths, "steps": steps, "gaps": gaps}
    raise ArgumentError(f"op {op.name} declares Windows({sample.how!r}), for which testing/cases.py has no maker")


def _standardising(_op: Op, sample: Standardising, choices: Choices) -> _Call:
    shape = choices.shape(1, 3, 0, 4)
    axes = choices.axes(len(shape)) or (len(shape) - 1,)
    shape = tuple(max(size, 1) if i in axes else size for i, size in enumerate(shape))
    operands = [choices.values(shape, Domain()) for _ in range(1 + sample.incoming)]
    return operands, {"axes": axes, "eps": choices.pick((0.125, 1e-2))}


_MAKERS: dict[type, Callable[[Op, Any, Choices], _Call]] = {
    Classes: _classes,
    Einsum: _einsum,
    Elementwise: _elementwise,
    Indexing: _indexing,
    Joining: _joining,
    Layer: _layer,
    Places: _places,
    Product: _product,
    Recurrence: _recurrence,
    Reduction: _reduction,
    Reshaping: _reshaping,
    Rows: _rows,
    Standardising: _standardising,
    System: _system,
    Windows: _windows,
}


def check_sample(op: Op) -> None:
    """Refuse an op whose inputs cannot be made.

    Raises:
        ArgumentError: it declares no sample, or one of a kind that has no maker.
    """
    if op.samples is None:
        kinds = ", ".join(sorted(kind.__name__ for kind in _MAKERS))
        raise ArgumentError(
            f"op {op.name} declares no samples, so nobody knows which inputs are legal; say for instance "
            f"samples=Elementwise((Domain(-2.0, 2.0),)). The kinds of tinygrad_mlp.samples: {kinds}"
        )
    if type(op.samples) not in _MAKERS:
        raise ArgumentError(
            f"op {op.name} declares samples={op.samples!r}, for which testing/cases.py has no maker; say for instance "
            "samples=Elementwise((Domain(-2.0, 2.0),)), see tinygrad_mlp.samples"
        )


def make_case(function: OpFunction, choices: Choices) -> Case:
    """A legal call of a declared op.

    Raises:
        ArgumentError: the op declares no sample, one of an unknown kind, or one that does not fit its parameters.
    """
    op: Op = function.op  # type: ignore[attr-defined]
    check_sample(op)
    seed = choices.seed  # first, so that it becomes simple whatever else does
    operands, params = _MAKERS[type(op.samples)](op, op.samples, choices)
    params = _defaults(op) | params
    if set(params) != set(op.params):
        raise ArgumentError(
            f"op {op.name} has the parameters {sorted(op.params)}, its sample gives {sorted(params)}; list values to "
            "try in the sample's params"
        )
    return Case(function, [np.asarray(one) for one in operands], params, seed)


def _defaults(op: Op) -> dict[str, Any]:
    given: dict[str, Any] = getattr(op.forward, "__kwdefaults__", None) or {}
    return {name: value for name, value in given.items() if name in op.params}


def fixed_cases(op: Op | OpFunction | str, seed: int = 0, least: int = 4) -> Iterator[Case]:
    """At least so many calls, always the same for one seed, with every variant of the sample among them.

    Raises:
        ArgumentError: see :func:`function_of` and :func:`make_case`.
    """
    function = function_of(op)
    turn, turns = 0, least
    while turn < turns:
        choices = RandomChoices(np.random.default_rng([seed, turn]), turn)
        yield make_case(function, choices)
        turns = max(turns, choices.variants)
        turn += 1
