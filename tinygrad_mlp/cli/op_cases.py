"""A few fixed legal calls of every op, made from the sample that its declaration carries."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from .. import ops
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
    Reduction,
    Reshaping,
)
from ..tape import OPS, Array, Op

__all__ = ["Case", "cases_of", "functions", "names"]


class Case(NamedTuple):
    """One call: operands, keyword parameters, and which operands the op has a gradient rule for."""

    operands: list[Array]
    params: dict[str, Any]
    tracked: list[int]


def functions() -> dict[str, Callable[..., Any]]:
    """The polymorphic function of every declared op, by the op's name."""
    found: dict[str, Callable[..., Any]] = {}
    for module in pkgutil.iter_modules(ops.__path__, ops.__name__ + "."):
        for value in vars(importlib.import_module(module.name)).values():
            op = getattr(value, "op", None)
            if callable(value) and isinstance(op, Op):
                found[op.name] = value
    return found


def names() -> list[str]:
    """The ops with at least one gradient rule."""
    return sorted(op.name for op in OPS.values() if callable(op.rules) or any(op.rules))


def cases_of(op: Op, seed: int) -> Iterator[Case]:
    """The calls.

    Raises:
        LookupError: the op declares a sample of a kind that nothing here can make.
    """
    make = _MAKERS.get(type(op.samples))
    if make is None:
        raise LookupError(f"op {op.name} declares samples={op.samples!r}: cli/op_cases.py has no maker for it")
    for operands, params in make(op, op.samples, np.random.default_rng(seed)):
        yield Case(operands, params, [i for i in range(len(operands)) if op.rule(i) is not None])


_Calls = Iterator[tuple[list[Array], dict[str, Any]]]


def _values(rng: np.random.Generator, shape: tuple[int, ...], domain: Domain) -> Array:
    values = rng.uniform(domain.low, domain.high, shape)
    for point in domain.avoid:
        near = np.abs(values - point) < domain.margin
        values = np.where(near, values + np.copysign(2 * domain.margin, values - point), values)
    return np.asarray(np.clip(values, domain.low, domain.high))


def _elementwise(op: Op, sample: Elementwise, rng: np.random.Generator) -> _Calls:
    shapes = [(3, 1), (1, 4), (4,)]
    for params in sample.params:
        operands = [_values(rng, shape, domain) for shape, domain in zip(shapes, sample.operands, strict=False)]
        if sample.apart:
            step = 4 * sample.apart
            operands = [np.round(one / step) * step + i * step / 2 for i, one in enumerate(operands)]
        chosen = [one > 0 if name == "condition" else one for name, one in zip(op.operands, operands, strict=True)]
        yield chosen, dict(params)


def _reduction(op: Op, sample: Reduction, rng: np.random.Generator) -> _Calls:
    shape = (2, 3, 4)
    for params in sample.params:
        x = _values(rng, shape, sample.domain)
        if sample.distinct:
            x = rng.permutation(np.linspace(sample.domain.low, sample.domain.high, x.size)).reshape(shape)
        axes: dict[str, Any] = {"axis": 1} if sample.single_axis else {"axes": (0, 2)}
        keep = {"keepdims": True} if "keepdims" in op.params else {}
        yield [x], dict(params) | axes | keep


def _reshaping(_op: Op, sample: Reshaping, rng: np.random.Generator) -> _Calls:
    float64 = np.dtype(np.float64)
    arrangements: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
        "reshape": ((2, 6), {"shape": (3, 4)}),
        "permute": ((2, 3, 4), {"axes": (2, 0, 1)}),
        "broadcast": ((3, 1), {"shape": (2, 3, 4)}),
        "sum_to": ((2, 3, 4), {"shape": (3, 1)}),
        "cast": ((2, 3), {"dtype": float64, "source": float64}),
    }
    shape, params = arrangements[sample.how]
    yield [rng.uniform(-3, 3, shape)], params


def _indexing(_op: Op, sample: Indexing, rng: np.random.Generator) -> _Calls:
    whole = (4, 3)
    chosen: tuple[Any, ...] = (
        (slice(None, None, -2), 1),
        (np.array([0, 2, 0, 3]),),
        rng.random(whole) < 0.5,
    )
    for index in chosen:
        if sample.adjoint:
            yield [rng.uniform(-3, 3, np.zeros(whole)[index].shape)], {"shape": whole, "index": index}
        else:
            yield [rng.uniform(-3, 3, whole)], {"index": index}


def _places(_op: Op, sample: Places, rng: np.random.Generator) -> _Calls:
    places = np.array([[2, 0, -1], [2, 2, 1]])
    calls: dict[str, tuple[list[Array], dict[str, Any]]] = {
        "pick": ([rng.uniform(-3, 3, 5), places], {}),
        "scatter": ([rng.uniform(-3, 3, places.shape), places], {"shape": (5,)}),
        "index": ([places], {"shape": (3, 4), "pattern": ((0,), slice(None, None, 2))}),
    }
    yield calls[sample.how]


def _joining(_op: Op, _sample: Joining, rng: np.random.Generator) -> _Calls:
    yield [rng.uniform(-3, 3, (2, length)) for length in (1, 3, 2)], {"axis": 1, "ends": (1, 4, 6)}


def _product(_op: Op, _sample: Product, rng: np.random.Generator) -> _Calls:
    for left, right in (((3, 4), (4, 2)), ((2, 1, 3, 4), (5, 4, 2))):
        yield [rng.uniform(-3, 3, left), rng.uniform(-3, 3, right)], {}


def _layer(op: Op, _sample: Layer, rng: np.random.Generator) -> _Calls:
    shapes = {"x": (5, 4), "z": (5, 3), "weight": (3, 4), "bias": (3,)}
    yield [rng.uniform(-3, 3, shapes[name]) for name in op.operands], {}


def _einsum(_op: Op, sample: Einsum, rng: np.random.Generator) -> _Calls:
    for equation in sample.equations:
        terms = equation.partition("->")[0].split(",")
        sizes = {letter: 2 + i % 3 for i, letter in enumerate(sorted(set("".join(terms))))}
        yield [rng.uniform(-3, 3, tuple(sizes[letter] for letter in term)) for term in terms], {"equation": equation}


def _classes(_op: Op, sample: Classes, rng: np.random.Generator) -> _Calls:
    logits = rng.normal(0, 3, (6, 5))
    if sample.targets == "probabilities":
        yield [logits, rng.dirichlet(np.ones(5), 6)], {}
    else:
        yield [logits, rng.integers(0, 5, 6)], {}


_MAKERS: dict[type, Callable[[Op, Any, np.random.Generator], _Calls]] = {
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
