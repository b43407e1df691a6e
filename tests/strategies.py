"""Legal inputs of every op, drawn from the sample that its declaration carries.

One strategy per kind of sample. A kind, an arrangement or an operand name without a strategy raises LookupError when
the tests are collected, so an op cannot be added and stay untested.
"""

from __future__ import annotations

import importlib
import math
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinygrad_mlp import Tensor, ops
from tinygrad_mlp.samples import (
    Classes,
    Domain,
    Einsum,
    Elementwise,
    Indexing,
    Joining,
    Layer,
    Places,
    Product,
    Reduction,
    Reshaping,
)
from tinygrad_mlp.tape import OPS, Array, Leaf, Op, walk, wrap

__all__ = [
    "BY_NAME",
    "DIFFERENTIABLE",
    "Case",
    "cases",
    "gradients",
    "leaf",
    "random_generators",
    "stretch",
]


def _functions() -> dict[str, Callable[..., Any]]:
    found: dict[str, Callable[..., Any]] = {}
    for module in pkgutil.iter_modules(ops.__path__, "tinygrad_mlp.ops."):
        for value in vars(importlib.import_module(module.name)).values():
            if callable(value) and isinstance(getattr(value, "op", None), Op):
                found[value.op.name] = value
    return found


BY_NAME = _functions()
"""The polymorphic function of every declared op."""

DIFFERENTIABLE = [op.name for op in OPS.values() if callable(op.rules) or any(op.rules)]
"""The ops with at least one gradient rule."""


@dataclass
class Case:
    """One legal call of an op: operands as float64 arrays, parameters as plain data."""

    op: Op
    operands: list[Array]
    params: dict[str, Any] = field(default_factory=dict)
    seed: int = 0

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
        return np.asarray(BY_NAME[self.op.name](*(self.operands if operands is None else operands), **self.params))

    def reference(self, operands: Sequence[Array]) -> Array:
        """The declared reference of an op that is not elementwise; complex operands give complex answers."""
        assert self.op.reference is not None
        return np.asarray(self.op.reference(np, *operands, **self._params_for(operands)))

    def call(self, *operands: Any) -> Any:
        """The polymorphic op function with this case's parameters."""
        return BY_NAME[self.op.name](*operands, **self._params_for(operands))

    def _params_for(self, operands: Sequence[Any]) -> dict[str, Any]:
        # A cast to float64 would drop what the complex step carries in the imaginary part.
        if not any(one.dtype.kind == "c" for one in operands):
            return self.params
        wide = np.dtype(np.complex128)
        return {name: wide if isinstance(value, np.dtype) else value for name, value in self.params.items()}


def leaf(array: Array) -> Tensor:
    """A leaf on this very array, complex numbers included, which the constructor would refuse."""
    made = wrap(Tensor, array)
    made.node = Leaf(array)
    return made


def gradients(case: Case, incoming: Array, operands: Sequence[Array] | None = None) -> list[Array]:
    """The engine's gradient for every differentiable operand, in plain NumPy and through the walk."""
    arrays = list(case.operands if operands is None else operands)
    wanted = case.differentiable
    handles = [leaf(array) if i in wanted else array for i, array in enumerate(arrays)]
    y = case.call(*handles)
    found = walk((y.node,), (incoming,), targets=[handles[i].node for i in wanted])
    return [found[handles[i].node] for i in wanted]


# --- values ---------------------------------------------------------------------------------------

random_generators = st.integers(0, 2**32 - 1)


def _values(rng: np.random.Generator, shape: tuple[int, ...], domain: Domain) -> Array:
    values = rng.uniform(domain.low, domain.high, shape)
    for point in domain.avoid:
        # A step to the side of its own sign, and two margins long, leaves the neighbourhood of the point.
        near = np.abs(values - point) < domain.margin
        values = np.where(near, values + np.copysign(2 * domain.margin, values - point), values)
    return np.asarray(np.clip(values, domain.low, domain.high))


def stretch(array: Array, layout: str) -> Array:
    """The same values in another memory layout, or read-only."""
    if layout == "fortran":
        return np.array(array, order="F")
    if layout == "strided":
        wide = (
            np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype) if array.ndim else np.zeros((), array.dtype)
        )
        view = wide[..., ::2] if array.ndim else wide
    elif layout == "reversed":
        view = np.zeros_like(array, order="C")[(..., *[slice(None, None, -1)] * array.ndim)]
    elif layout == "transposed":
        view = np.zeros(array.shape[::-1], array.dtype).T
    elif layout == "read-only":
        view = np.zeros_like(array, order="C")
    else:
        raise LookupError(layout)
    view[...] = array
    if layout == "read-only":
        view.flags.writeable = False
    return view


# --- one strategy per kind of sample --------------------------------------------------------------

_shapes = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)


@st.composite
def _elementwise(draw: st.DrawFn, op: Op, sample: Elementwise) -> Case:
    count = len(op.operands)
    assert len(sample.operands) == count, f"{op.name}: one Domain per operand"
    shapes = draw(hnp.mutually_broadcastable_shapes(num_shapes=count, min_side=0, max_side=3, max_dims=3)).input_shapes
    seed = draw(random_generators)
    rng = np.random.default_rng(seed)
    if op.name not in DIFFERENTIABLE:
        # Questions are interesting where operands are equal, zero or not finite.
        operands = [rng.choice([-1.0, -0.0, 0.0, 1.0, np.nan, np.inf], shape) for shape in shapes]
        return Case(op, [np.asarray(one) for one in operands], seed=seed)
    operands = [_values(rng, shape, domain) for shape, domain in zip(shapes, sample.operands, strict=True)]
    operands = [
        rng.random(shape) < 0.5 if name == "condition" else array
        for name, shape, array in zip(op.operands, shapes, operands, strict=True)
    ]
    if sample.apart:
        step = 4 * sample.apart
        operands = [np.round(one / step) * step + i * step / 2 for i, one in enumerate(operands)]
    params = dict(draw(st.sampled_from(sample.params)))
    return Case(op, [np.asarray(one) for one in operands], params, seed)


@st.composite
def _reduction(draw: st.DrawFn, op: Op, sample: Reduction) -> Case:
    shape = draw(hnp.array_shapes(min_dims=int(sample.single_axis), max_dims=3, min_side=0, max_side=4))
    params: dict[str, Any] = dict(draw(st.sampled_from(sample.params)))
    if sample.single_axis:
        params["axis"] = draw(st.integers(0, len(shape) - 1))
        axes: tuple[int, ...] = (params["axis"],)
    else:
        axes = tuple(sorted(draw(st.sets(st.integers(0, len(shape) - 1))))) if shape else ()
        params["axes"] = axes
    if "keepdims" in op.params:
        params["keepdims"] = draw(st.booleans())
    if not sample.empty:
        shape = tuple(max(size, 1) if i in axes else size for i, size in enumerate(shape))
    seed = draw(random_generators)
    rng = np.random.default_rng(seed)
    domain = sample.domain
    if sample.distinct:
        size = math.prod(shape)
        x = rng.permutation(np.linspace(domain.low, domain.high, size)).reshape(shape)
    else:
        x = _values(rng, shape, domain)
    return Case(op, [x], params, seed)


@st.composite
def _reshaping(draw: st.DrawFn, op: Op, sample: Reshaping) -> Case:
    shape = draw(_shapes)
    seed = draw(random_generators)
    rng = np.random.default_rng(seed)
    params: dict[str, Any]
    if sample.how == "reshape":
        factors = [factor for size in shape for factor in ((2, 2) if size == 4 else (size,))]
        order = draw(st.permutations([*factors, 1]))
        cut = draw(st.integers(0, len(order)))
        params = {"shape": (*order[:cut], math.prod(order[cut:]))}
    elif sample.how == "permute":
        params = {"axes": tuple(draw(st.permutations(range(len(shape)))))}
    elif sample.how == "cast":
        params = {"dtype": np.dtype(np.float64), "source": np.dtype(np.float64)}
    elif sample.how in {"broadcast", "sum_to"}:
        base = tuple(draw(st.sampled_from([size, 1])) for size in shape)
        base = base[draw(st.integers(0, len(base))) :]
        shape, wanted = (base, shape) if sample.how == "broadcast" else (shape, base)
        params = {"shape": wanted}
    else:
        raise LookupError(f"no strategy for Reshaping({sample.how!r}), which op {op.name} declares")
    return Case(op, [rng.uniform(-3, 3, shape)], params, seed)


@st.composite
def indices(draw: st.DrawFn, shape: tuple[int, ...]) -> Any:
    """Basic indices, integer arrays with repeats, boolean masks, and mixtures of them."""
    kind = draw(st.sampled_from(["basic", "arrays", "mask", "mixed"]))
    if kind == "basic" or not shape or 0 in shape:
        return draw(hnp.basic_indices(shape, allow_newaxis=True, max_dims=4))
    if kind == "mask":
        rank = draw(st.integers(1, len(shape)))
        return draw(hnp.arrays(np.bool_, shape[:rank]))
    rank = draw(st.integers(1, len(shape)))
    inner = draw(hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=4))
    parts: list[Any] = [draw(hnp.arrays(np.int64, inner, elements=st.integers(-n, n - 1))) for n in shape[:rank]]
    if kind == "mixed":
        place = draw(st.integers(0, rank - 1))
        choices: list[Any] = [slice(None), slice(None, None, -1), slice(1, None, 2), -1, 0]
        parts[place] = draw(st.sampled_from(choices))
        if draw(st.booleans()):
            parts.insert(draw(st.integers(0, len(parts))), None)
        if draw(st.booleans()):
            parts.append(Ellipsis)
    return tuple(parts)


@st.composite
def _indexing(draw: st.DrawFn, op: Op, sample: Indexing) -> Case:
    shape = draw(_shapes)
    index = draw(indices(shape))
    seed = draw(random_generators)
    rng = np.random.default_rng(seed)
    if sample.adjoint:
        return Case(op, [rng.uniform(-3, 3, np.zeros(shape)[index].shape)], {"shape": shape, "index": index}, seed)
    return Case(op, [rng.uniform(-3, 3, shape)], {"index": index}, seed)


@st.composite
def _places(draw: st.DrawFn, op: Op, sample: Places) -> Case:
    if sample.how == "index":
        shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4))
        index = draw(indices(shape))
        parts = index if isinstance(index, tuple) else (index,)
        if not any(isinstance(part, np.ndarray) for part in parts):
            parts = (draw(hnp.arrays(np.int64, 3, elements=st.integers(0, shape[0] - 1))),)
        arrays = [part for part in parts if isinstance(part, np.ndarray)]
        numbers = iter(range(len(arrays)))
        pattern = tuple((next(numbers),) if isinstance(part, np.ndarray) else part for part in parts)
        return Case(op, arrays, {"shape": shape, "pattern": pattern})
    size, seed = draw(st.integers(1, 5)), draw(random_generators)
    rng = np.random.default_rng(seed)
    places = rng.integers(-size, size, draw(_shapes))
    if sample.how == "pick":
        return Case(op, [rng.uniform(-3, 3, size), places], {}, seed)
    return Case(op, [rng.uniform(-3, 3, places.shape), places], {"shape": (size,)}, seed)


@st.composite
def _joining(draw: st.DrawFn, op: Op, sample: Joining) -> Case:
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=3))
    axis = draw(st.integers(0, len(shape) - 1))
    lengths = draw(st.lists(st.integers(0, 3), min_size=1, max_size=4))
    seed = draw(random_generators)
    rng = np.random.default_rng(seed)
    operands = [rng.uniform(-3, 3, (*shape[:axis], length, *shape[axis + 1 :])) for length in lengths]
    return Case(op, operands, {"axis": axis, "ends": tuple(np.cumsum(lengths).tolist())}, seed)


_sides = st.integers(0, 3)


@st.composite
def _product(draw: st.DrawFn, op: Op, sample: Product) -> Case:
    batch = draw(hnp.mutually_broadcastable_shapes(num_shapes=2, min_side=0, max_side=3, max_dims=2)).input_shapes
    n, k, m = draw(_sides), draw(_sides), draw(_sides)
    seed = draw(random_generators)
    rng = np.random.default_rng(seed)
    return Case(op, [rng.uniform(-3, 3, (*batch[0], n, k)), rng.uniform(-3, 3, (*batch[1], k, m))], seed=seed)


@st.composite
def _layer(draw: st.DrawFn, op: Op, sample: Layer) -> Case:
    batch = draw(hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3))
    wide, narrow = draw(_sides), draw(_sides)
    shapes = {"x": (*batch, wide), "z": (*batch, narrow), "weight": (narrow, wide), "bias": (narrow,)}
    missing = set(op.operands) - set(shapes)
    if missing:
        raise LookupError(f"no strategy for operands {missing} of Layer, which op {op.name} declares")
    seed = draw(random_generators)
    rng = np.random.default_rng(seed)
    return Case(op, [rng.uniform(-3, 3, shapes[name]) for name in op.operands], seed=seed)


@st.composite
def _einsum(draw: st.DrawFn, op: Op, sample: Einsum) -> Case:
    equation = draw(st.sampled_from(sample.equations))
    terms = equation.partition("->")[0].split(",")
    sizes = {letter: draw(_sides) for letter in sorted(set("".join(terms)))}
    seed = draw(random_generators)
    rng = np.random.default_rng(seed)
    operands = [rng.uniform(-3, 3, tuple(sizes[letter] for letter in term)) for term in terms]
    return Case(op, operands, {"equation": equation}, seed)


@st.composite
def _classes(draw: st.DrawFn, op: Op, sample: Classes) -> Case:
    if sample.targets not in ("ids", "probabilities"):
        raise LookupError(f"no strategy for Classes({sample.targets!r}), which op {op.name} declares")
    rows, classes = draw(st.integers(0, 4)), draw(st.integers(1, 5))
    seed = draw(random_generators)
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 3, (rows, classes))
    if sample.targets == "probabilities":
        return Case(op, [logits, rng.dirichlet(np.ones(classes), rows).reshape(rows, classes)], {}, seed)
    return Case(op, [logits, rng.integers(0, classes, rows)], {}, seed)


_STRATEGIES: dict[type, Callable[[Op, Any], st.SearchStrategy[Case]]] = {
    Classes: _classes,
    Einsum: _einsum,
    Elementwise: _elementwise,
    Indexing: _indexing,
    Joining: _joining,
    Layer: _layer,
    Places: _places,
    Product: _product,
    Reduction: _reduction,
    Reshaping: _reshaping,
}


def cases(op: Op) -> st.SearchStrategy[Case]:
    """Legal calls of ``op``.

    Raises:
        LookupError: the op declares no sample, or one of a kind that nothing here can draw.
    """
    make = _STRATEGIES.get(type(op.samples))
    if make is None:
        raise LookupError(f"op {op.name} declares samples={op.samples!r}: tests/strategies.py has no strategy for it")
    optional = {
        name: value for name, value in (getattr(op.forward, "__kwdefaults__", None) or {}).items() if name in op.params
    }

    def complete(case: Case) -> Case:
        case.params = optional | case.params
        assert set(case.params) == set(op.params), f"{op.name}: parameters {op.params}, drawn {set(case.params)}"
        return case

    return make(op, op.samples).map(complete)
