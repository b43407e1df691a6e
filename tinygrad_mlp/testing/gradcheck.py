"""Is a gradient right? An answer that does not come from the engine's own rules.

Two ways to a derivative that needs forward evaluations only:

* **Complex step.** ``f(x + i h v)`` has the imaginary part ``h`` times the derivative along ``v``. Nothing is
  subtracted, so ``h`` can be 1e-20 and the result is right to the last digits. It needs ``f`` to be analytic and to run
  on complex numbers, as the op functions do. Source: Squire & Trapp, "Using complex variables to estimate derivatives
  of real functions", SIAM Review 40 (1998).
* **Central differences**, extrapolated to step 0 (Richardson, 1911; Ridders, 1982): for functions that have no complex
  continuation. Good to about 1e-9.

Everything is evaluated in float64, whatever the dtype of the inputs: the rules are checked, not the rounding.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike

from ..autograd import grad
from ..errors import ArgumentError, DTypeError, GradientError, did_you_mean
from ..tape import Array, Leaf, Node, recorder, recording_with, walk
from ..tensor import Tensor, no_grad

__all__ = ["GradcheckReport", "gradcheck", "gradcheck_module"]

_METHODS = ("auto", "complex", "central")
_COMPLEX_STEP = 1e-20
_TOLERANCE = {"complex": 1e-10, "central": 1e-6}
# Entries smaller than this share of the largest are judged against that share: they are sums that cancelled.
_SMALL = 1e-3


class HasParameters(Protocol):
    """Anything with parameters by name: an ``nn.Module``."""

    def named_parameters(self) -> Any:
        """Pairs of name and tensor."""


@dataclass(frozen=True)
class GradcheckReport:
    """What a gradient check found.

    Attributes:
        ok: every comparison was within ``rtol``.
        worst: the largest error, relative to the expected value (or to a thousandth of the largest one).
        where: the input and the entry with the largest error, for instance ``"weight[3, 0]"``.
        got, expected: the engine's derivative there, and the independent one.
        method: ``"complex"`` (complex step) or ``"central"`` (extrapolated central differences).
        order: 1 or 2, the order of derivative checked.
        rtol: the error allowed.
        compared: how many numbers were compared.
        by_input: the worst error of each input.
    """

    ok: bool
    worst: float
    where: str
    got: float
    expected: float
    method: str
    order: int
    rtol: float
    compared: int
    by_input: dict[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        verdict = "right" if self.ok else "WRONG"
        how = {"complex": "complex step", "central": "central differences"}[self.method]
        return (
            f"gradient {verdict}: order {self.order}, worst relative error {self.worst:.2e} (allowed {self.rtol:.0e}) "
            f"at {self.where}: engine {self.got:.17g}, {how} {self.expected:.17g}; {self.compared} numbers compared"
        )

    __repr__ = __str__

    def __bool__(self) -> bool:
        return self.ok

    def raise_if_wrong(self) -> GradcheckReport:
        """The report itself.

        Raises:
            GradientError: the check failed; the message is the report.
        """
        if not self.ok:
            raise GradientError(str(self))
        return self


def gradcheck(
    fn: Callable[..., Tensor],
    inputs: Tensor | ArrayLike | Sequence[Tensor | ArrayLike],
    *,
    order: int = 1,
    method: str = "auto",
    rtol: float | None = None,
    seed: int = 0,
    max_entries: int = 256,
) -> GradcheckReport:
    """Compare the engine's gradient of ``fn`` by every input with an independent derivative.

    Args:
        fn: takes as many tensors as there are inputs and returns one tensor of any shape; a random incoming gradient is
            used, since a gradient of ones hides whole classes of errors.
        inputs: tensors, or arrays to make them from; a list or tuple of them where there are several.
        order: 2 checks the gradient of the gradient as well (both orders are compared, the worse is reported).
        method: ``"complex"``, ``"central"``, or ``"auto"``: the complex step, unless ``fn`` cannot run on complex
            numbers or turns out not to be analytic.
        rtol: the relative error allowed; 1e-10 by complex step and 1e-6 by differences.
        seed: of the incoming gradient and of the directions.
        max_entries: inputs with more entries than this are checked along one random direction, which involves every
            entry, and at this many randomly chosen entries.

    Raises:
        ArgumentError: an unknown method or order, or ``fn`` is not finite at the inputs, or answers differently the
            second time.
        GradientError: ``method="complex"`` and ``fn`` drops the imaginary part.
        DTypeError: an input is not real numbers.

    >>> gradcheck(lambda x, y: (x * y).tanh(), [[1.0, 2.0], [0.5, -1.0]]).ok
    True
    """
    given = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
    tensors = [Tensor(_as_float64(one)) for one in given]
    names = [f"input {i}" for i in range(len(tensors))]
    check = _Check(lambda: fn(*tensors), tensors, names, np.random.default_rng(seed), max_entries)
    return _run(check, order, method, rtol)


def gradcheck_module(
    module: HasParameters,
    loss_fn: Callable[[Any], Tensor],
    *,
    order: int = 1,
    method: str = "auto",
    rtol: float | None = None,
    seed: int = 0,
    max_entries: int = 64,
) -> GradcheckReport:
    """Compare the engine's gradient by every parameter of ``module`` with an independent derivative.

    ``loss_fn(module)`` computes the tensor to differentiate, from data of its own. The parameters stand in float64 (and
    complex) copies during the check and have their own arrays and gradients back afterwards, also after an error.
    The other arguments, and what is raised, are those of :func:`gradcheck`. Put modules with random parts into
    ``eval()``.
    """
    named = [(name, parameter) for name, parameter in module.named_parameters() if parameter.requires_grad]
    if not named:
        raise ArgumentError("gradcheck_module: the module has no parameter that requires gradients")
    tensors = [parameter for _, parameter in named]
    before = [_as_float64(parameter) for parameter in tensors]
    with _standing_in(tensors, before, leaves=False):
        check = _Check(
            lambda: loss_fn(module), tensors, [name for name, _ in named], np.random.default_rng(seed), max_entries
        )
        return _run(check, order, method, rtol)


def _as_float64(value: Any) -> Array:
    array = value.data if isinstance(value, Tensor) else np.asarray(value)
    if array.dtype.kind not in "fiu":
        raise DTypeError(f"gradcheck: inputs are real numbers, got dtype {array.dtype}")
    return array.astype(np.float64)


@contextmanager
def _standing_in(tensors: Sequence[Tensor], arrays: Sequence[Array], *, leaves: bool) -> Iterator[None]:
    """Let the tensors hold these arrays inside the block, as fresh leaves or as constants."""
    before = [(tensor.data, tensor.node) for tensor in tensors]
    try:
        for tensor, array in zip(tensors, arrays, strict=True):
            # Past the checks of the constructor, which would refuse complex numbers.
            tensor.data = array
            tensor.node = Leaf(array) if leaves else None
        yield
    finally:
        for tensor, (data, node) in zip(tensors, before, strict=True):
            tensor.data, tensor.node = data, node


class _NotAnalyticError(Exception):
    """The function does not carry the imaginary part through."""


class _Check:
    """One function of several tensors, and the derivatives of it that are to be compared."""

    def __init__(
        self,
        run: Callable[[], Tensor],
        tensors: Sequence[Tensor],
        names: Sequence[str],
        rng: np.random.Generator,
        max_entries: int,
    ) -> None:
        self.run = run
        self.tensors = tensors
        self.names = names
        self.rng = rng
        self.points = [tensor.data for tensor in tensors]
        self.value = self.evaluate(self.points)
        if not np.all(np.isfinite(self.value)):
            raise ArgumentError("gradcheck: the function's value is not finite here; choose other inputs")
        if not np.array_equal(self.value, self.evaluate(self.points)):
            raise ArgumentError(
                "gradcheck: the function gives another value for the same inputs; fix its seed, or put it into eval()"
            )
        self.incoming = rng.standard_normal(self.value.shape)
        self.weights = [rng.standard_normal(point.shape) for point in self.points]
        self.complex_points = [point.astype(np.complex128) for point in self.points]
        self.probes = [_probes(point.shape, rng, max_entries) for point in self.points]

    def evaluate(self, points: Sequence[Array]) -> Array:
        """The function at these points; nothing is recorded."""
        # Probes may step outside the domain; what matters is whether the derivatives agree.
        with no_grad(), np.errstate(all="ignore"), _standing_in(self.tensors, points, leaves=False):
            return np.asarray(self.run().data)

    def gradient(self, points: Sequence[Array]) -> list[Array]:
        """The engine's gradients at these points, which may be complex."""
        with recording_with(Node), _standing_in(self.tensors, points, leaves=True):
            y = self.run()
            leaves = [tensor.node for tensor in self.tensors if tensor.node is not None]
            # The walk adds contributions in place, so a complex one must not meet a real one.
            seed = self.incoming.astype(y.data.dtype)
            found = {} if y.node is None else walk((y.node,), (seed,), targets=leaves)
        return [found.get(one, np.zeros(point.shape)) for one, point in zip(leaves, points, strict=True)]

    def weighted(self, points: Sequence[Array]) -> Array:
        """The engine's gradients, multiplied with fixed random weights and added up: what order 2 differentiates."""
        terms = [np.sum(w * g) for w, g in zip(self.weights, self.gradient(points), strict=True)]
        return np.asarray(sum(terms[1:], terms[0]))

    def second(self) -> list[Array]:
        """The engine's gradients of :meth:`weighted`."""
        with recording_with(Node), _standing_in(self.tensors, [point.copy() for point in self.points], leaves=True):
            y = self.run()
            if y.node is None:
                return [np.zeros(point.shape) for point in self.points]
            first = grad(y, self.tensors, [Tensor(self.incoming)], create_graph=True, allow_unused=True)
            terms = [
                (one * weight).sum()
                for one, weight in zip(first, self.weights, strict=True)
                if one is not None and one.node is not None
            ]
            if not terms:
                return [np.zeros(point.shape) for point in self.points]
            found = grad(sum(terms[1:], terms[0]), self.tensors, allow_unused=True)
        return [
            np.zeros(point.shape) if one is None else one.data for one, point in zip(found, self.points, strict=True)
        ]


class _Probe(NamedTuple):
    """A direction to differentiate along: one entry, or a mixture of all of them."""

    where: str
    place: int
    mixture: Array | None = None

    def step(self, point: Array, length: complex) -> Array:
        """A copy of ``point``, moved by ``length`` along this direction."""
        if self.mixture is not None:
            return np.asarray(point + length * self.mixture)
        moved = point.copy()
        moved.flat[self.place] += length
        return moved

    def component(self, gradient: Array) -> float:
        """The derivative along this direction that ``gradient`` stands for."""
        if self.mixture is not None:
            return float(np.sum(gradient * self.mixture))
        return float(gradient.flat[self.place])


def _probes(shape: tuple[int, ...], rng: np.random.Generator, max_entries: int) -> list[_Probe]:
    """Directions to differentiate along: every entry, or one random mixture of all and a random choice of them."""
    size = int(np.prod(shape))
    probes = []
    places: Any = range(size)
    if size > max_entries:
        probes.append(_Probe(" along a random direction", 0, rng.choice([-1.0, 1.0], shape)))
        places = np.sort(rng.choice(size, max_entries, replace=False))
    for place in places:
        entry = ", ".join(str(int(i)) for i in np.unravel_index(place, shape))
        probes.append(_Probe(f"[{entry}]" if shape else "", int(place)))
    return probes


def _along_complex(function: Callable[[Sequence[Array]], Array], check: _Check, which: int, probe: _Probe) -> Array:
    moved = list(check.complex_points)
    moved[which] = probe.step(moved[which], 1j * _COMPLEX_STEP)
    with warnings.catch_warnings():
        warnings.simplefilter("error", np.exceptions.ComplexWarning)
        try:
            result = function(moved)
        except (np.exceptions.ComplexWarning, TypeError, DTypeError) as error:
            raise _NotAnalyticError(str(error)) from error
    if result.dtype.kind != "c":
        raise _NotAnalyticError(f"the result is {result.dtype} though the inputs are complex")
    return np.asarray(result.imag / _COMPLEX_STEP)


def _along_central(function: Callable[[Sequence[Array]], Array], check: _Check, which: int, probe: _Probe) -> Array:
    """Ridders' table: steps shrink by 1.4; each column removes one more even power of the step."""
    points = check.points
    scale = max(1.0, float(np.max(np.abs(points[which]), initial=0.0)))

    def difference(step: float) -> Array:
        ahead, behind = list(points), list(points)
        ahead[which], behind[which] = probe.step(points[which], step), probe.step(points[which], -step)
        return np.asarray((function(ahead) - function(behind)) / (2.0 * step))

    step = 1e-2 * scale
    previous = [difference(step)]
    best, error = previous[0], np.full(previous[0].shape, np.inf)
    for _ in range(7):
        step /= 1.4
        row = [difference(step)]
        factor = 1.96
        for coarse in previous:
            row.append(row[-1] + (row[-1] - coarse) / (factor - 1.0))
            guess = np.maximum(np.abs(row[-1] - row[-2]), np.abs(row[-1] - coarse))
            best, error = np.where(guess < error, row[-1], best), np.minimum(guess, error)
            factor *= 1.96
        previous = row
    return np.asarray(best)


_ALONG = {"complex": _along_complex, "central": _along_central}


def _run(check: _Check, order: int, method: str, rtol: float | None) -> GradcheckReport:
    if method not in _METHODS:
        raise ArgumentError(did_you_mean("method", method, _METHODS))
    if order not in (1, 2):
        raise ArgumentError(f"gradcheck: order is 1 or 2, got {order!r}")
    if recorder() is None:
        raise GradientError("gradcheck: nothing is recorded inside no_grad(); call it outside")
    if method != "auto":
        try:
            return _report(check, order, method, rtol)[0]
        except _NotAnalyticError as error:
            raise GradientError(f"gradcheck: the complex step needs an analytic function: {error}") from error
    try:
        report, rows = _report(check, order, "complex", rtol)
    except _NotAnalyticError:
        return _report(check, order, "central", rtol)[0]
    if report.ok:
        return report
    # Either the gradient is wrong, or the function runs on complex numbers without being analytic. It is the second
    # only if differences give other derivatives than the complex step: they are too coarse to overrule it otherwise.
    second_opinion, other_rows = _report(check, order, "central", rtol)
    return report if _agree(rows, other_rows) else second_opinion


def _agree(rows: Sequence[_Row], others: Sequence[_Row]) -> bool:
    exact = np.array([row.expected for row in rows])
    coarse = np.array([row.expected for row in others])
    if exact.shape != coarse.shape or not np.all(np.isfinite(exact)):
        return False
    return bool(np.max(np.abs(exact - coarse), initial=0.0) <= 1e-5 * np.max(np.abs(coarse), initial=0.0))


def _report(check: _Check, order: int, method: str, rtol: float | None) -> tuple[GradcheckReport, list[_Row]]:
    allowed = _TOLERANCE[method] if rtol is None else rtol
    along = _ALONG[method]
    rows = _rows(check, check.gradient(check.points), check.evaluate, check.incoming, along)
    # What the output itself would let one expect: gradients far below are sums that cancelled, as softmax(x).sum()'s.
    reach = max([1.0, *[float(np.max(np.abs(point), initial=0.0)) for point in check.points]])
    usual = float(np.max(np.abs(check.incoming * check.value), initial=0.0)) / reach
    usual = max([usual, *[abs(row.expected) for row in rows if np.isfinite(row.expected)]])
    first = _judge(check, 1, method, allowed, rows, usual)
    if order == 1:
        return first, rows
    first_rows = rows
    rows = _rows(check, check.second(), check.weighted, np.ones(()), along)
    usual = max([usual, *[abs(row.expected) for row in rows if np.isfinite(row.expected)]])
    second = _judge(check, 2, method, allowed, rows, usual)
    return max(second, first, key=lambda report: report.worst), first_rows + rows


class _Row(NamedTuple):
    name: str
    where: str
    got: float
    expected: float

    def error(self, floor: float) -> float:
        error = abs(self.got - self.expected) / max(abs(self.expected), floor)
        # NaN on one side or on both is no match: a gradient that cannot be confirmed is not right.
        return float(error) if np.isfinite(error) else np.inf


def _rows(
    check: _Check,
    gradients: Sequence[Array],
    function: Callable[[Sequence[Array]], Array],
    incoming: Array,
    along: Callable[..., Array],
) -> list[_Row]:
    return [
        _Row(
            name,
            name + probe.where,
            probe.component(gradients[which]),
            float(np.sum(incoming * along(function, check, which, probe))),
        )
        for which, (name, probes) in enumerate(zip(check.names, check.probes, strict=True))
        for probe in probes
    ]


def _judge(check: _Check, order: int, method: str, rtol: float, rows: list[_Row], usual: float) -> GradcheckReport:
    floor = _SMALL * usual + np.finfo(float).tiny
    errors = [row.error(floor) for row in rows]
    by_input = dict.fromkeys(check.names, 0.0)
    for error, row in zip(errors, rows, strict=True):
        by_input[row.name] = max(by_input[row.name], error)
    worst = max(errors, default=0.0)
    at = rows[errors.index(worst)] if rows else _Row("", "nothing", 0.0, 0.0)
    return GradcheckReport(
        worst <= rtol, worst, at.where, at.got, at.expected, method, order, rtol, len(rows), by_input
    )
