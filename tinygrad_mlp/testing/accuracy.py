"""How accurate every op is: errors of value, first and second derivative against exact arithmetic.

Exact values and derivatives come from the op's own declaration: its ``reference``, evaluated with mpmath at as many
digits as it takes, and differentiated by central differences whose error lies beyond the digits that are compared. The
engine has no part in them.

Two measures, both in units in the last place (ULP) of the dtype:

* plain: ``|got - exact| / spacing(|exact|)``;
* scaled: ``|got - exact| / spacing(|exact| + sum_k |x_k d exact / d x_k|)``. The sum is what half of the last bit of
  each operand is worth. For sums, means and products it is the componentwise bound's ``sum |terms|``; near a root of
  a derivative (``silu'`` at -1.28), where terms cancel, it is the size of the terms.

Results outside the normal range of the dtype (subnormal, overflowing) are no subject of the contract.

Source of the measure: Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., chapters 1 and 3.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..autograd import grad
from ..extras import need
from ..samples import (
    Domain,
    Elementwise,
)
from ..tape import OPS, Array, Op
from ..tensor import Tensor
from .cases import fixed_cases, function_of

__all__ = ["CONTRACT", "ORDERS", "Accuracy", "Contract", "Figure", "Limit", "contract_of", "measure"]

ORDERS = ("value", "first derivative", "second derivative")

# --- the contract ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Limit:
    """The largest error allowed, in ULP, in float64 and in float32; ``scaled`` says by which of the two measures."""

    double: float
    single: float
    scaled: bool = False

    def of(self, dtype: np.dtype[Any]) -> float:
        """The limit in this dtype."""
        return self.double if dtype == np.float64 else self.single


@dataclass(frozen=True)
class Contract:
    """The class by which an op goes, and the limits of value, first and second derivative."""

    name: str
    limits: tuple[Limit, Limit, Limit]


_EXACT = Limit(0, 0)
_ROUNDED = Limit(0.5, 0.5)
_A = Limit(2, 4)
_B = Limit(4, 6)
_B_SCALED = Limit(4, 6, scaled=True)
_CLOSED = Limit(8, 16)
_SECOND = Limit(16, 32, scaled=True)

_CONTRACTS = {
    "exact": Contract("exact", (_EXACT, _EXACT, _EXACT)),
    "rounded": Contract("rounded", (_ROUNDED, _EXACT, _EXACT)),
    "A": Contract("A", (_A, _A, _CLOSED)),
    "B": Contract("B", (_B, _B, _CLOSED)),
    "quotient": Contract("B (quotient)", (_ROUNDED, _B, _SECOND)),
    "root": Contract("B (root)", (_ROUNDED, _B, _CLOSED)),
    "periodic": Contract("A (periodic)", (_A, _A, _SECOND)),
    "power": Contract("B (power)", (_B, _B, _SECOND)),
    "slope": Contract("B (slope)", (_B, _CLOSED, _SECOND)),
    "steep": Contract("A (steep)", (_A, _B, _SECOND)),
    # Differences from a mean of a few numbers: what cancels there is divided by what is left of it.
    "standardised": Contract(
        "C (standardised)", (Limit(64, 128, scaled=True), Limit(64, 128, scaled=True), Limit(128, 512, scaled=True))
    ),
    "scaled": Contract("B (scaled)", (_B_SCALED, _B_SCALED, _SECOND)),
    "loss": Contract("A (loss)", (_A, _B_SCALED, _CLOSED)),
    "linear": Contract("D", (Limit(8, 8, scaled=True),) * 3),
    "product": Contract("E", (Limit(8, 8, scaled=True),) * 3),
    "softmax": Contract("C (scaled)", (Limit(8, 16, scaled=True), Limit(8, 16, scaled=True), _SECOND)),
}

_MEMBERS: dict[str, str] = {
    "exact": "neg sign abs where gate at_least at_most maximum minimum relu"
    " broadcast_to cast reshape permute getitem cat checked_finite",
    "rounded": "add sub mul zmul square leaky_relu leaky_gate",
    "quotient": "div zdiv",
    "root": "sqrt",
    "A": "exp expm1 log log1p softplus",
    "periodic": "sin cos",
    "power": "tan pow pow_by_number",
    "B": "tanh",
    "steep": "sigmoid",
    "slope": "tanh_slope sigmoid_slope",
    "loss": "bce_with_logits",
    "linear": "sum_to put sum mean amax amin cumsum",
    "product": "matmul linear linear_weight linear_without_bias einsum",
    "standardised": "standardise standardise_gradient solve_square log_abs_det",
    "softmax": "logsumexp softmax log_softmax cross_entropy cross_entropy_gradient soft_class_loss soft_class_gradient",
}

CONTRACT: dict[str, str] = {op: name for name, ops in _MEMBERS.items() for op in ops.split()}
"""Which contract each op is held to. What is not listed is held to class B by the scaled measure."""


def contract_of(op: Op) -> Contract:
    """The contract of an op."""
    return _CONTRACTS[CONTRACT.get(op.name, "scaled")]


# --- figures --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Figure:
    """The worst error found, by both measures, and the operands where the plain one was found; NaN: nothing to see."""

    ulp: float = math.nan
    scaled: float = math.nan
    at: tuple[float, ...] = ()
    scaled_at: tuple[float, ...] = ()

    def by(self, limit: Limit) -> float:
        """The error by the measure of ``limit``."""
        return self.scaled if limit.scaled else self.ulp

    def worse(self, other: Figure) -> Figure:
        """The worse of the two, by each measure."""
        plain = other if _above(other.ulp, self.ulp) else self
        scaled = other if _above(other.scaled, self.scaled) else self
        return Figure(plain.ulp, scaled.scaled, plain.at, scaled.scaled_at)


def _above(new: float, old: float) -> bool:
    return math.isnan(old) or new > old


@dataclass(frozen=True)
class Accuracy:
    """What was measured of one op in one dtype: a figure for the value, the first and the second derivative."""

    op: str
    dtype: np.dtype[Any]
    figures: tuple[Figure, Figure, Figure]

    def failures(self, contract: Contract, allowance: float = 0.0) -> list[str]:
        """A line for each figure above its limit; ``allowance`` ULP are added to limits other than exact ones."""
        lines = []
        for order, figure, limit in zip(ORDERS, self.figures, contract.limits, strict=True):
            error, allowed = figure.by(limit), limit.of(self.dtype)
            if error > allowed + (allowance if allowed > 0.5 else 0.0):
                where = figure.scaled_at if limit.scaled else figure.at
                lines.append(f"{self.op} in {self.dtype}: {order} {error:.3g} ULP, allowed {allowed:g}, at {where}")
        return lines


def measure(name: str, dtype: Any = np.float64, *, points: int = 300, seed: int = 0) -> Accuracy:
    """Measure one declared op.

    Elementwise ops are measured at ``points`` log-spaced operands of both signs over the whole range that their
    declaration calls precise (``Domain.reach``), with incoming gradients that are powers of two, so that a figure is
    the rule's error alone; other ops on small arrays.

    Args:
        name: of an op with a gradient rule.
        dtype: float64 or float32.
        points: how many operands; the cost is proportional. Other ops are measured in four calls, below 100 in two.
        seed: of the pairing of operands, of array values, and of incoming gradients.

    Raises:
        MissingExtraError: mpmath is not installed.
    """
    op = OPS[name]
    wanted = np.dtype(dtype)
    exact = _Exact()
    call = function_of(name)
    figures = [Figure(), Figure(), Figure()]
    found: Iterator[tuple[int, Figure]]
    if isinstance(op.samples, Elementwise):
        found = itertools.chain.from_iterable(
            _elementwise(exact, op, call, dict(params), wanted, points, seed) for params in op.samples.params
        )
    else:
        least = 4 if points >= 100 else 2
        found = itertools.chain.from_iterable(
            _general(exact, op, call, case.operands, case.params, wanted, seed) for case in fixed_cases(op, seed, least)
        )
    for order, figure in found:
        figures[order] = figures[order].worse(figure)
    return Accuracy(name, wanted, (figures[0], figures[1], figures[2]))


# --- exact values and derivatives -----------------------------------------------------------------

# Digits to work with, in turn, until two results agree; half of them are lost to the differences.
_DIGITS = (100, 160, 320, 640, 1300)
_AGREED = 25
_ZERO_FROM = 320
_DUST = 1e-20
_HUGE = 1e20


class _Exact:
    """mpmath at changing precision, and NumPy as references call it but on arrays of mpmath numbers."""

    def __init__(self) -> None:
        mpmath = need("mpmath", extra="testing", purpose="measure errors against exact values")
        self.mp = mpmath.mp.clone()
        self.numpy = _ExactNumPy(self.mp)

    def converged(self, function: Callable[[Any], Any], likely_zero: bool) -> Any:
        """``function(step)`` at more and more digits until it no longer changes; the step is a relative one."""
        mp = self.mp
        before = None
        for digits in _DIGITS:
            mp.dps = digits
            value = function(mp.mpf(10) ** (-digits // 4))
            if before is not None and value is not None:
                if value != 0 and abs(value - before) <= abs(value) * mp.mpf(10) ** -_AGREED:
                    return value
                # What is 0 at every precision is taken to be 0; a result that is not 0 has it tried at all of them.
                negligible = abs(value) < mp.mpf(10) ** (-digits // 3) and abs(value) <= abs(before)
                if negligible and ((likely_zero and digits >= _ZERO_FROM) or digits == _DIGITS[-1]):
                    return mp.mpf(0)
            before = value
        return before


class _ExactNumPy:
    """NumPy for references of ops on arrays: its functions work on arrays of objects, exp and log excepted."""

    def __init__(self, mp: Any) -> None:
        self.exp = np.frompyfunc(mp.exp, 1, 1)
        self.log = np.frompyfunc(mp.log, 1, 1)

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


def _moved(numbers: Sequence[Any], steps: dict[int, Any]) -> list[Any]:
    return [one * (1 + steps[i]) if i in steps else one for i, one in enumerate(numbers)]


def _partial(f: Callable[..., Any], numbers: Sequence[Any], by: tuple[int, ...], h: Any) -> Any:
    """The derivative of ``f`` by the operands ``by``, none, one or two of them: central differences of step ``h x``."""
    if not by:
        return f(*numbers)
    if len(by) == 1:
        (i,) = by
        return (f(*_moved(numbers, {i: h})) - f(*_moved(numbers, {i: -h}))) / (2 * h * numbers[i])
    i, j = by
    if i == j:
        outer = f(*_moved(numbers, {i: h})) + f(*_moved(numbers, {i: -h}))
        return (outer - 2 * f(*numbers)) / (h * numbers[i]) ** 2
    corners = [s * t * f(*_moved(numbers, {i: s * h, j: t * h})) for s in (1, -1) for t in (1, -1)]
    return (corners[0] + corners[1] + corners[2] + corners[3]) / (4 * h * h * numbers[i] * numbers[j])


# --- elementwise ops ------------------------------------------------------------------------------


def _grid(domain: Domain, count: int, dtype: np.dtype[Any]) -> Array:
    """Log-spaced numbers of both signs, as far as the domain goes and from its least magnitude on."""
    low, high, least = (_for_dtype(one, dtype) for one in (*(domain.reach or (domain.low, domain.high)), domain.least))
    sides = [(bound, sign) for bound, sign in ((high, 1.0), (-low, -1.0)) if bound > 0]
    parts = []
    for bound, sign in sides:
        start = max(least, low if low > 0 else 0.0)
        parts.append(sign * np.geomspace(start, bound, max(count // len(sides), 2)))
    x = np.concatenate(parts).astype(dtype)
    return x[[bool(np.all(np.abs(x[i] - np.array(domain.avoid)) > 0)) for i in range(len(x))]]


def _for_dtype(bound: float, dtype: np.dtype[Any]) -> float:
    """A bound that is a share of float64's range of exponents, as the same share of the dtype's."""
    if dtype == np.float64 or not (abs(bound) >= _HUGE or 0 < abs(bound) <= 1 / _HUGE):
        return bound
    return math.copysign(abs(bound) ** 0.125, bound)


def _points(op: Op, count: int, dtype: np.dtype[Any], seed: int) -> list[Array]:
    rng = np.random.default_rng(seed)
    assert isinstance(op.samples, Elementwise)
    grids = [_grid(domain, count, dtype) for domain in op.samples.operands]
    n = min(len(grid) for grid in grids)
    # Where operands must be apart there is a kink between them, which equal numbers would sit on.
    columns = [grids[0][:n] if len(grids) == 1 else rng.choice(grids[0], n)]
    columns += [rng.choice(grid, n) for grid in grids[1:]]
    if op.samples.apart:
        columns = [one[columns[0] != columns[1]] for one in columns]
    return [one > 0 if name == "condition" else one for name, one in zip(op.operands, columns, strict=True)]


def _elementwise(
    exact: _Exact,
    op: Op,
    call: Callable[..., Any],
    params: dict[str, Any],
    dtype: np.dtype[Any],
    count: int,
    seed: int,
) -> Iterator[tuple[int, Figure]]:
    columns = _points(op, count, dtype, seed)
    # A parameter that the dtype cannot hold is rounded when it meets the array, and that is the parameter meant.
    params = {name: float(dtype.type(one)) if isinstance(one, float) else one for name, one in params.items()}
    tracked = [i for i in range(len(columns)) if op.rule(i) is not None]
    incoming = _powers_of_two(np.random.default_rng(seed + 1), columns[0].shape, dtype)
    reference = op.reference
    assert reference is not None
    answers = _answers(lambda *handles: call(*handles, **params), columns, tracked, incoming)
    for by, values in answers.items():
        with np.errstate(over="ignore"):
            results = values / incoming if by else values
        for place, result in enumerate(results):
            numbers = [one[place].item() for one in columns]
            figure = _judge(exact, reference, params, numbers, tracked, by, result)
            if figure is not None:
                yield len(by), figure


def _powers_of_two(rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    return np.asarray(rng.choice([-2.0, -1.0, -0.5, 0.5, 1.0, 2.0], shape)).astype(dtype)


def _answers(
    call: Callable[..., Any], arrays: Sequence[Array], tracked: Sequence[int], incoming: Array
) -> dict[tuple[int, ...], Array]:
    """The engine's value and partial derivatives, by the operands they are taken by."""
    with np.errstate(all="ignore"):
        handles: list[Any] = list(arrays)
        for i in tracked:
            handles[i] = Tensor(arrays[i], requires_grad=True)
        leaves = [handles[i] for i in tracked]
        y = call(*handles)
        found: dict[tuple[int, ...], Array] = {(): y.data}
        first: tuple[Any, ...] = grad(y, leaves, [Tensor(incoming)], create_graph=True)
        for i, slope in zip(tracked, first, strict=True):
            found[(i,)] = slope.data
            if slope.node is None:
                second: Sequence[Any] = [None] * len(leaves)
            else:
                ones = Tensor(np.ones(slope.shape, slope.dtype))
                second = grad(slope, leaves, [ones], retain_graph=True, allow_unused=True)
            for j, bend in zip(tracked, second, strict=True):
                found[i, j] = np.zeros_like(incoming) if bend is None else bend.data
    return found


def _judge(
    exact: _Exact,
    reference: Callable[..., Any],
    params: dict[str, Any],
    numbers: list[Any],
    tracked: Sequence[int],
    by: tuple[int, ...],
    got: Any,
) -> Figure | None:
    """The error of one number; None where the exact result is outside the dtype's normal range."""
    mp = exact.mp
    info = np.finfo(got.dtype)
    likely_zero = got == 0

    def at(h: Any) -> Any:
        lifted = [mp.mpf(one) if isinstance(one, float) else one for one in numbers]
        return _partial(lambda *x: mp.mpf(reference(mp, *x, **params)), lifted, by, h)

    right = exact.converged(at, likely_zero)
    size = abs(right)
    # The engine's own number has been multiplied by an incoming gradient of at most 2.
    if right != 0 and not float(info.tiny) <= size <= float(info.max) / 4:
        return None

    def changes(h: Any) -> Any:
        lifted = [mp.mpf(one) if isinstance(one, float) else one for one in numbers]
        total = mp.mpf(0)
        for k in tracked:
            moved = _moved(lifted, {k: mp.mpf(10) ** -20})
            there = _partial(lambda *x: mp.mpf(reference(mp, *x, **params)), moved, by, h)
            total += abs(there - right) * mp.mpf(10) ** 20
        return total

    where = tuple(float(one) for one in numbers)
    if got == right:
        return Figure(0.0, 0.0, where, where)
    if not np.isfinite(got):
        return Figure(math.inf, math.inf, where, where)
    mp.dps = 160
    error = abs(mp.mpf(float(got)) - right)
    mp.dps = _DIGITS[-1] if right == 0 else _digits_for(size, mp)
    scale = size + changes(mp.mpf(10) ** (-mp.dps // 4))
    return Figure(_in_units(error, size, got.dtype), _in_units(error, scale, got.dtype), where, where)


def _digits_for(size: Any, mp: Any) -> int:
    return int(max(160, 2 * -mp.log10(size) + 160)) if size < 1 else 160


def _in_units(error: Any, size: Any, dtype: np.dtype[Any]) -> float:
    info = np.finfo(dtype)
    clipped = min(max(float(size), float(info.tiny)), float(info.max) / 2)
    units = float(error / float(np.spacing(dtype.type(clipped))))
    # Differences at finitely many digits leave dust where they should give 0.
    return units if units > _DUST else 0.0


# --- other ops ------------------------------------------------------------------------------------


# Beyond this many numbers second derivatives take too long; without them the scale of the first is too small.
_SECOND_UP_TO = 40
_FIXED_DIGITS = 200


def _general(
    exact: _Exact,
    op: Op,
    call: Callable[..., Any],
    arrays: list[Array],
    given: dict[str, Any],
    dtype: np.dtype[Any],
    seed: int,
) -> Iterator[tuple[int, Figure]]:
    mp = exact.mp
    mp.dps = _FIXED_DIGITS
    operands = [one.astype(dtype) if one.dtype.kind == "f" else one for one in arrays]
    tracked = [i for i in range(len(arrays)) if op.rule(i) is not None]
    optional = getattr(op.forward, "__kwdefaults__", None) or {}
    params = {name: value for name, value in optional.items() if name in op.params} | given
    params = {name: dtype if isinstance(value, np.dtype) else value for name, value in params.items()}
    exact_params = {name: np.dtype(object) if isinstance(value, np.dtype) else value for name, value in params.items()}
    lifted = [_lift(mp, one) for one in operands]
    reference = op.reference
    assert reference is not None

    def flat(arrays: Sequence[Any]) -> Array:
        return np.ravel(np.asarray(reference(exact.numpy, *arrays, **exact_params), object))

    rng = np.random.default_rng(seed + 1)
    value = np.asarray(call(*operands, **params))
    incoming = _powers_of_two(rng, value.shape, dtype)
    places = [(i, k) for i in tracked for k in range(operands[i].size)]
    h = mp.mpf(10) ** (-_FIXED_DIGITS // 4)
    right = flat(lifted)
    jacobian = np.array([(flat(_nudged(lifted, {p: h})) - flat(_nudged(lifted, {p: -h}))) / (2 * h) for p in places])
    jacobian = jacobian.reshape(len(places), right.size)
    entries = np.array([lifted[i].flat[k] for i, k in places], object)
    terms = [
        np.abs(jacobian[[n for n, (i, _) in enumerate(places) if i == one]].T)
        @ np.abs(entries[[n for n, (i, _) in enumerate(places) if i == one]])
        for one in tracked
    ]
    scale = np.abs(right) + np.maximum.reduce(terms)
    yield from _compare(0, value.ravel(), right, scale, dtype)
    weights = [_powers_of_two(rng, operands[i].shape, dtype) for i in tracked]
    first, second = _general_answers(call, tracked, operands, params, incoming, weights)
    c = _lift(mp, incoming).ravel()
    w = _lift(mp, np.concatenate([one.ravel() for one in weights]))
    size = np.abs(jacobian) @ np.abs(c)
    if len(places) <= _SECOND_UP_TO:
        bends = np.empty((len(places), len(places)), object)
        for (m, p), (n, q) in itertools.combinations_with_replacement(enumerate(places), 2):
            bends[m, n] = bends[n, m] = _bend(flat, lifted, right, p, q, h) * c
        total = np.array([np.sum(one) for one in bends.ravel()], object).reshape(bends.shape)
        sizes = np.array([np.sum(np.abs(one)) for one in bends.ravel()], object).reshape(bends.shape)
        # The rule of the second derivative multiplies first derivatives too: what rounds is as large as both.
        yield from _compare(2, second, w @ total, np.abs(w) @ sizes + size, dtype)
        size = size + np.abs(entries) @ sizes
    yield from _compare(1, first, jacobian @ c, size, dtype)


def _lift(mp: Any, array: Array) -> Array:
    if array.dtype.kind != "f":
        return array
    return np.asarray(np.frompyfunc(lambda one: mp.mpf(float(one)), 1, 1)(array), object)


def _nudged(arrays: Sequence[Array], steps: dict[tuple[int, int], Any]) -> list[Array]:
    moved = list(arrays)
    for (i, k), step in steps.items():
        moved[i] = moved[i].copy()
        moved[i].flat[k] = moved[i].flat[k] + step
    return moved


def _bend(
    flat: Callable[[Sequence[Any]], Array],
    at: list[Array],
    middle: Array,
    p: tuple[int, int],
    q: tuple[int, int],
    h: Any,
) -> Array:
    if p == q:
        bend = flat(_nudged(at, {p: h})) + flat(_nudged(at, {p: -h})) - 2 * middle
        return np.asarray(bend / (h * h))
    corners = [s * t * flat(_nudged(at, {p: s * h, q: t * h})) for s in (1, -1) for t in (1, -1)]
    return np.asarray((corners[0] + corners[1] + corners[2] + corners[3]) / (4 * h * h))


def _general_answers(
    call: Callable[..., Any],
    tracked: Sequence[int],
    operands: list[Array],
    params: dict[str, Any],
    incoming: Array,
    weights: list[Array],
) -> tuple[Array, Array]:
    with np.errstate(all="ignore"):
        handles: list[Any] = list(operands)
        for i in tracked:
            handles[i] = Tensor(operands[i], requires_grad=True)
        leaves = [handles[i] for i in tracked]
        first: tuple[Any, ...] = grad(call(*handles, **params), leaves, [Tensor(incoming)], create_graph=True)
        live = [(one, weight) for one, weight in zip(first, weights, strict=True) if one.node is not None]
        second: Sequence[Any] = [None] * len(leaves)
        if live:
            seeds = [Tensor(weight) for _, weight in live]
            second = grad([one for one, _ in live], leaves, seeds, allow_unused=True)
    bends = [np.zeros_like(x.data) if one is None else one.data for one, x in zip(second, leaves, strict=True)]
    return np.concatenate([one.data.ravel() for one in first]), np.concatenate([one.ravel() for one in bends])


def _compare(order: int, got: Array, right: Array, scale: Array, dtype: np.dtype[Any]) -> Iterator[tuple[int, Figure]]:
    info = np.finfo(dtype)
    for place, (value, one, size) in enumerate(zip(got, right, scale, strict=True)):
        # Differences at 200 digits leave dust where the exact value is 0.
        if abs(one) <= size * 1e-60:
            one = one * 0
        if one != 0 and not float(info.tiny) <= abs(one) <= float(info.max):
            continue
        where = (float(place),)
        if value == one:
            yield order, Figure(0.0, 0.0, where, where)
        elif not np.isfinite(value):
            yield order, Figure(math.inf, math.inf, where, where)
        else:
            error = abs(float(value) - one)
            yield order, Figure(_in_units(error, abs(one), dtype), _in_units(error, size, dtype), where, where)
