"""Is a gradient right? An answer that does not come from the rules that are checked.

The gradient, of this engine or of another library, is compared entry by entry with a derivative made of function values
alone (:mod:`.differences`): the complex step where the function is analytic, extrapolated differences where it is not.
Both come with an error bar, and the bar takes part in the verdict:

* a difference that is allowed is right, and what is allowed is no more than the bar makes necessary;
* a larger one that still lies within the bar is undecided, never a false alarm;
* at a corner, where the derivatives from left and right differ, there is nothing to compare with: the entry is a kink,
  and only a value outside the interval between the two is wrong;
* everything else is wrong, unless shorter steps contradict the longer ones and side with the gradient: then it is
  undecided too. A check that could decide nothing has not been passed.

Everything is evaluated in float64, whatever the dtype of the inputs: the rules are checked, not the rounding.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import numpy as np

from .. import func, ops
from ..autograd import grad as gradients_of
from ..errors import ArgumentError, DTypeError, GradientError, TinygradMlpError, did_you_mean
from ..tape import Array, Leaf, Node, recorder, recording_with, walk, wrap
from ..tensor import Tensor, no_grad
from ..tree import flatten
from .differences import (
    Estimate,
    NotAnalyticError,
    at_short_steps,
    central,
    complex_step,
    jump_of_slope,
    noise,
    one_sided,
)
from .foreign import FRAMEWORKS, Autograd, Jax, Numpy, Subject, Torch, guess, no_such_mode
from .gradcheck_report import GradcheckReport, InputDetail, Kink

__all__ = ["gradcheck", "gradcheck_module"]

_METHODS = ("auto", "complex", "central")
_MODES = ("reverse", "forward", "both")
_TOLERANCE = {"complex": 1e-10, "central": 1e-6}
# Extrapolated differences may ask for more than their tolerance: ten error bars, and never more than nine digits.
_BARS = 10.0
_SHARPEST = 1e-9
# Entries smaller than this share of the largest are judged against that share: they are sums that cancelled.
_SMALL = 1e-3
# The engine's own rounding, in units of the last place of what the function's value lets one expect of a gradient: an
# entry may be a sum of numbers of that size that cancelled, as in softmax(x).sum().
_ROUNDING = 64.0
# Unless they are small and yet well defined (see _Pass.in_the_tail); then by themselves, to this many digits.
_TAIL = 1e-6
_TAIL_ENTRIES = 32
# Corners are looked for at no more wrong entries than this: a wrong rule is wrong everywhere, and would cost too much.
_CORNERS = 64
# Scales contradict each other if their derivatives differ by a tenth beyond the bars, as they do where a function turns
# faster than the steps; a scale sides with the engine if it gives the same three digits.
_APART = 0.1
_SAME = 1e-3


class HasParameters(Protocol):
    """Anything with parameters by name: an ``nn.Module``."""

    def named_parameters(self) -> Any:
        """Pairs of name and tensor."""


def gradcheck(
    fn: Callable[..., Any],
    inputs: Any,
    *,
    grad: Callable[..., Any] | None = None,
    framework: str = "auto",
    order: int = 1,
    mode: str = "reverse",
    method: str = "auto",
    rtol: float | None = None,
    seed: int = 0,
    max_entries: int = 256,
    names: Sequence[str] | None = None,
) -> GradcheckReport:
    """Compare the gradient of ``fn`` by every input with an independent derivative.

    Args:
        fn: takes as many tensors as there are inputs and returns one tensor of any shape, or several in a tuple; a
            random incoming gradient is used, since a gradient of ones hides whole classes of errors. It may be a
            function of another library, on that library's arrays.
        inputs: tensors, or arrays to make them from; a list or tuple of them where there are several.
        grad: the backward pass of a plain NumPy function, written by hand: ``grad(g, *inputs)`` returns the gradient
            by every input for the incoming gradient ``g``; ``grad(*inputs)`` will do where ``fn`` returns one number.
        framework: ``"tinygrad_mlp"``, ``"torch"``, ``"jax"``, ``"autograd"`` (HIPS), ``"numpy"`` (with ``grad``), or
            ``"auto"``: by the inputs, else by the libraries that the code of ``fn`` names.
        order: 2 checks the gradient of the gradient as well (both orders are compared, the worse is reported).
        mode: ``"reverse"`` checks gradients, ``"forward"`` the library's forward mode, ``"both"`` both.
        method: ``"complex"``, ``"central"``, or ``"auto"``: the complex step, unless ``fn`` cannot run on complex
            numbers or turns out not to be analytic.
        rtol: the relative error allowed; 1e-10 by complex step, and by differences 1e-6 or what the error bar allows.
        seed: of the incoming gradient and of the directions.
        max_entries: inputs with more entries than this are checked along one random direction, which involves every
            entry, and at this many randomly chosen entries.
        names: what the report calls the inputs; ``"input 0"`` and so on by default.

    Raises:
        ArgumentError: an unknown option, or ``fn`` is not finite at the inputs, or it or its gradient answers
            differently the second time, or its library cannot be told.
        GradientError: ``method="complex"`` and ``fn`` drops the imaginary part; nothing is recorded here; or the
            library has no forward mode or no second derivative of this function.
        DTypeError: an input is not real floating-point numbers, or a function of another library answers in less than
            float64.
        MissingExtraError: the library of ``fn`` is not installed.

    >>> gradcheck(lambda x, y: (x * y).tanh(), [[1.0, 2.0], [0.5, -1.0]]).ok
    True

    A backward pass by hand, with a term missing:

    >>> import numpy as np
    >>> report = gradcheck(lambda x: x * np.exp(x), [np.array([0.0, 1.0])], grad=lambda g, x: g * np.exp(x))
    >>> report.verdict, report.where
    ('WRONG', 'input 0[1]')
    """
    _refuse_unknown(order, mode, method)
    given = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
    points = [_as_float64(one) for one in given]
    subject = _subject(fn, given, points, grad, framework)
    called = [f"input {i}" for i in range(len(points))] if names is None else list(names)
    if len(called) != len(points):
        raise ArgumentError(f"gradcheck: {len(called)} names for {len(points)} inputs")
    check = _Check(subject, points, called, np.random.default_rng(seed), max_entries)
    return _run(check, order, mode, method, rtol)


def gradcheck_module(
    module: HasParameters,
    loss_fn: Callable[[Any], Tensor],
    *,
    order: int = 1,
    mode: str = "reverse",
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
    _refuse_unknown(order, mode, method)
    named = [(name, parameter) for name, parameter in module.named_parameters() if parameter.requires_grad]
    if not named:
        raise ArgumentError("gradcheck_module: the module has no parameter that requires gradients")
    parameters = [parameter for _, parameter in named]

    def call(*tensors: Tensor) -> Any:
        with _standing_in(parameters, tensors):
            return loss_fn(module)

    points = [_as_float64(parameter) for parameter in parameters]
    check = _Check(_Ours(call), points, [name for name, _ in named], np.random.default_rng(seed), max_entries)
    return _run(check, order, mode, method, rtol)


def _refuse_unknown(order: int, mode: str, method: str) -> None:
    if method not in _METHODS:
        raise ArgumentError(did_you_mean("method", method, _METHODS))
    if mode not in _MODES:
        raise ArgumentError(did_you_mean("mode", mode, _MODES))
    if order not in (1, 2):
        raise ArgumentError(f"gradcheck: order is 1 or 2, got {order!r}")


def _as_float64(value: Any) -> Array:
    if isinstance(value, Tensor):
        array = value.data
    elif hasattr(value, "detach"):  # a torch tensor
        array = np.asarray(value.detach().cpu())
    else:
        array = np.asarray(value)
    if array.dtype.kind in "iu" and hasattr(value, "dtype"):
        raise DTypeError(
            f"gradcheck: integers have no gradient, got an input of dtype {array.dtype}; say .astype(float), or keep "
            "it out of the inputs: lambda x: fn(x, indices)"
        )
    if array.dtype.kind not in "fiu":
        raise DTypeError(f"gradcheck: inputs are real numbers, got dtype {array.dtype}")
    return array.astype(np.float64)


def _subject(
    fn: Callable[..., Any], given: Sequence[Any], points: Sequence[Array], grad: Any, framework: str
) -> Subject:
    if framework not in FRAMEWORKS:
        raise ArgumentError(did_you_mean("framework", framework, FRAMEWORKS))
    if framework == "auto":
        framework = "numpy" if grad is not None else guess(fn, given) or "tinygrad_mlp"
    if framework == "numpy":
        if grad is None:
            raise ArgumentError("gradcheck: a NumPy function needs its backward pass: grad=lambda g, *inputs: ...")
        return Numpy(fn, grad, len(points))
    if grad is not None:
        raise ArgumentError(f"gradcheck: grad= belongs to NumPy functions; {framework} makes gradients of its own")
    kinds: dict[str, Callable[..., Subject]] = {"torch": Torch, "jax": Jax, "autograd": Autograd}
    return kinds.get(framework, _Ours)(fn)


@contextmanager
def _standing_in(tensors: Sequence[Tensor], others: Sequence[Tensor]) -> Iterator[None]:
    """Let the tensors be the others inside the block."""
    before = [(tensor.data, tensor.node) for tensor in tensors]
    try:
        for tensor, other in zip(tensors, others, strict=True):
            tensor.data, tensor.node = other.data, other.node
        yield
    finally:
        for tensor, (data, node) in zip(tensors, before, strict=True):
            tensor.data, tensor.node = data, node


class _Ours:
    """A function of this package's tensors. See :class:`.foreign.Subject`."""

    framework = "tinygrad_mlp"
    refusals: tuple[type[Exception], ...] = (TypeError,)
    complex_gradients = True

    def __init__(self, fn: Callable[..., Any]) -> None:
        self.fn = fn

    def _outputs(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        result = self.fn(*tensors)
        outputs = flatten(result)[0]
        for one in outputs:
            if not isinstance(one, Tensor):
                raise ArgumentError(
                    f"gradcheck: the function returned {type(one).__module__}.{type(one).__name__} for tensors of "
                    "tinygrad_mlp; say whose function it is, framework=..., or for plain NumPy, grad=..."
                )
        return outputs

    def value(self, points: Sequence[Array]) -> Array:
        # Past the checks of the constructor, which would refuse complex numbers.
        with no_grad():
            outputs = self._outputs([wrap(Tensor, point) for point in points])
        return np.concatenate([one.data.ravel() for one in outputs]) if outputs else np.zeros(0)

    def _recorded(self, points: Sequence[Array], incoming: Array) -> tuple[list[Tensor], list[tuple[Tensor, Array]]]:
        tensors = [wrap(Tensor, point, Leaf(point)) for point in points]
        outputs = self._outputs(tensors)
        parts = np.split(incoming, np.cumsum([one.size for one in outputs])[:-1])
        pairs = [(y, part.reshape(y.shape)) for y, part in zip(outputs, parts, strict=True) if y.node is not None]
        return tensors, pairs

    def gradient(self, points: Sequence[Array], incoming: Array) -> list[Array]:
        with recording_with(Node):
            tensors, pairs = self._recorded(points, incoming)
            leaves = [tensor.node for tensor in tensors if tensor.node is not None]
            # The walk adds contributions in place, so a complex one must not meet a real one.
            seeds = [part.astype(y.data.dtype, copy=False) for y, part in pairs]
            found = walk([y.node for y, _ in pairs if y.node is not None], seeds, targets=leaves) if pairs else {}
        return [found.get(one, np.zeros(point.shape)) for one, point in zip(leaves, points, strict=True)]

    def push(self, points: Sequence[Array], tangents: Sequence[Array]) -> Array:
        _, out = func.jvp(
            lambda *xs: tuple(self._outputs(xs)), [Tensor(one) for one in points], [Tensor(one) for one in tangents]
        )
        return np.concatenate([one.data.ravel() for one in out]) if out else np.zeros(0)

    def second(self, points: Sequence[Array], incoming: Array, weights: Sequence[Array]) -> list[Array]:
        with recording_with(Node):
            tensors, pairs = self._recorded([point.copy() for point in points], incoming)
            if not pairs:
                return [np.zeros(point.shape) for point in points]
            first = gradients_of(
                [y for y, _ in pairs], tensors, [Tensor(g) for _, g in pairs], create_graph=True, allow_unused=True
            )
            terms = [
                (one * weight).sum()
                for one, weight in zip(first, weights, strict=True)
                if one is not None and one.node is not None
            ]
            if not terms:
                return [np.zeros(point.shape) for point in points]
            found = gradients_of(sum(terms[1:], terms[0]), tensors, allow_unused=True)
        return [np.zeros(point.shape) if one is None else one.data for one, point in zip(found, points, strict=True)]

    def second_push(self, points: Sequence[Array], incoming: Array, tangents: Sequence[Array]) -> list[Array]:
        def scalar(*xs: Tensor) -> Any:
            outputs = self._outputs(xs)
            parts = np.split(incoming, np.cumsum([one.size for one in outputs])[:-1])
            terms = [ops.sum(y * part.reshape(y.shape)) for y, part in zip(outputs, parts, strict=True)]
            return sum(terms[1:], terms[0])

        _, out = func.jvp(
            func.grad(scalar, tuple(range(len(points)))),
            [Tensor(one) for one in points],
            [Tensor(one) for one in tangents],
        )
        return [one.data for one in out]


class _Check:
    """One function of several inputs, and the derivatives of it that are to be compared."""

    def __init__(
        self,
        subject: Subject,
        points: Sequence[Array],
        names: Sequence[str],
        rng: np.random.Generator,
        max_entries: int,
    ) -> None:
        self.subject = subject
        self.points = list(points)
        self.names = names
        self.rng = rng
        self.value = self.evaluate(self.points)
        if not np.all(np.isfinite(self.value)):
            raise ArgumentError("gradcheck: the function's value is not finite here; choose other inputs")
        if not np.array_equal(self.value, self.evaluate(self.points)):
            raise ArgumentError(
                "gradcheck: the function gives another value for the same inputs; fix its seed, or put it into eval()"
            )
        self.incoming = rng.standard_normal(self.value.shape)
        self.weights = [rng.standard_normal(point.shape) for point in self.points]
        self.probes = [
            (which, probe)
            for which, point in enumerate(self.points)
            for probe in _probes(point.shape, rng, max_entries)
        ]
        # For the search of corners: all entries of all inputs move at once.
        self.everywhere = [
            np.asarray(rng.choice([-1.0, 1.0], point.shape) * rng.uniform(0.5, 1.0, point.shape)) for point in points
        ]
        self.reach = max([1.0, *[float(np.max(np.abs(point), initial=0.0)) for point in self.points]])
        self.faults: list[str] = []
        self.notes: list[str] = []

    def evaluate(self, points: Sequence[Array]) -> Array:
        """The function at these points; nothing is recorded."""
        # Probes may step outside the domain; what matters is whether the derivatives agree.
        with np.errstate(all="ignore"):
            return self.subject.value(points)

    def gradient(self, points: Sequence[Array]) -> list[Array]:
        """The gradients at these points, which may be complex."""
        with np.errstate(all="ignore"):
            return self.subject.gradient(points, self.incoming.copy())

    def weighted(self, points: Sequence[Array]) -> Array:
        """The gradients, multiplied with fixed random weights and added up: what order 2 differentiates."""
        terms = [np.sum(w * g) for w, g in zip(self.weights, self.gradient(points), strict=True)]
        return np.reshape(sum(terms[1:], terms[0]) if terms else 0.0, 1)

    def second(self) -> list[Array]:
        """The gradients of :meth:`weighted`."""
        with np.errstate(all="ignore"):
            return self.subject.second(self.points, self.incoming.copy(), self.weights)

    def inspected_gradient(self) -> list[Array]:
        """The gradients at the inputs; and whether making them wrote into anything, or changes from call to call.

        Raises:
            ArgumentError: the second call gives other gradients.
        """
        incoming = self.incoming.copy()
        points = [point.copy() for point in self.points]
        with np.errstate(all="ignore"):
            found = self.subject.gradient(points, incoming)
        if not np.array_equal(incoming, self.incoming, equal_nan=True):
            self.faults.append("the backward pass writes into its incoming gradient; give the result memory of its own")
        for name, point, before in zip(self.names, points, self.points, strict=True):
            if not np.array_equal(point, before, equal_nan=True):
                self.faults.append(f"the function or its backward pass writes into {name}")
        kept = [np.array(one) for one in found]
        for (i, one), (j, other) in itertools.combinations(enumerate(found), 2):
            if np.shares_memory(one, other):
                message = (
                    f"the gradients of {self.names[i]} and {self.names[j]} share memory: adding to one changes both"
                )
                if self.subject.framework == "tinygrad_mlp":
                    self.faults.append(message)
                elif self.subject.framework == "numpy":
                    self.notes.append(f"{message}; return a copy")
        for one, again in zip(kept, self.gradient([point.copy() for point in self.points]), strict=True):
            if not np.allclose(one, again, rtol=1e-9, atol=1e-12 * self.largest(one), equal_nan=True):
                raise ArgumentError("gradcheck: the gradient is another one for the same inputs; fix its seed")
        return kept

    @staticmethod
    def largest(array: Array) -> float:
        """The largest finite magnitude."""
        return float(np.max(np.abs(array), initial=0.0, where=np.isfinite(array)))


class _Probe(NamedTuple):
    """A direction to differentiate along: one entry, or a mixture of all of them."""

    where: str
    entry: tuple[int, ...]
    mixture: Array | None = None

    def direction(self, shape: tuple[int, ...]) -> Array:
        """The direction as an array."""
        if self.mixture is not None:
            return self.mixture
        unit = np.zeros(shape)
        unit[self.entry] = 1.0
        return unit

    def component(self, gradient: Array) -> float:
        """The derivative along this direction that ``gradient`` stands for."""
        return float(gradient[self.entry] if self.mixture is None else np.sum(gradient * self.mixture))

    def length(self, point: Array) -> float:
        """The size of what is moved."""
        return float(np.max(np.abs(point), initial=0.0) if self.mixture is not None else abs(point[self.entry]))


def _probes(shape: tuple[int, ...], rng: np.random.Generator, max_entries: int) -> list[_Probe]:
    """Directions to differentiate along: every entry, or one random mixture of all and a random choice of them."""
    size = int(np.prod(shape))
    probes = []
    places: Any = range(size)
    if size > max_entries:
        probes.append(_Probe(" along a random direction", (), rng.choice([-1.0, 1.0], shape)))
        places = np.sort(rng.choice(size, max_entries, replace=False))
    for place in places:
        index = tuple(int(i) for i in np.unravel_index(place, shape))
        probes.append(_Probe(f"[{', '.join(map(str, index))}]" if shape else "", index))
    return probes


class _Row:
    """One number of the engine's, the independent one beside it, and what is thought of the pair."""

    __slots__ = ("allowed", "bar", "error", "expected", "got", "kink", "method", "name", "probe", "verdict", "which")

    def __init__(self, name: str, which: int, probe: _Probe, got: float, expected: float, bar: float, method: str):
        self.name = name
        self.which = which
        self.probe = probe
        self.got = got
        self.expected = expected
        self.bar = bar
        self.method = method
        self.error = 0.0
        self.allowed = 0.0
        self.verdict = ""
        self.kink: Kink | None = None

    def judge(self, floor: float, rtol: float | None) -> None:
        """Compare; entries below ``floor`` are compared relative to it."""
        size = max(abs(self.expected), floor) if np.isfinite(self.expected) else floor
        distance = abs(self.got - self.expected)
        if rtol is not None:
            self.allowed = rtol * size
        elif self.method == "complex":
            self.allowed = _TOLERANCE["complex"] * size
        else:
            self.allowed = min(_TOLERANCE["central"] * size, max(_BARS * self.bar, _SHARPEST * size))
        # NaN on one side or on both is no match: a gradient that cannot be confirmed is not right.
        self.error = float(distance / size) if np.isfinite(distance) else np.inf
        if distance <= self.allowed:
            self.verdict = "right"
        elif np.isfinite(self.got) and (distance <= self.bar or np.isinf(self.bar)):
            self.verdict = "undecided"
        else:
            self.verdict = "WRONG"


class _Pass:
    """One order and one mode: all comparisons of it."""

    def __init__(self, check: _Check, order: int, mode: str, method: str, rtol: float | None, usual: float) -> None:
        self.check = check
        self.order = order
        self.mode = mode
        self.method = method
        self.rtol = rtol
        self.usual = usual
        self.function = check.evaluate if order == 1 else check.weighted
        self.incoming = check.incoming if order == 1 else np.ones(1)
        # A foreign backward pass on complex numbers may conjugate, which no longer is the function continued.
        self.analytic = order == 1 or check.subject.complex_gradients
        self.largest = 0.0
        self._rounding: Array | None = None

    # --- the two sides of the comparison ---

    def engine(self) -> list[float]:
        """The engine's number for each probe."""
        check, subject = self.check, self.check.subject
        if self.mode == "reverse":
            gradients = check.inspected_gradient() if self.order == 1 else check.second()
            return [probe.component(gradients[which]) for which, probe in check.probes]
        found = []
        for which, probe in check.probes:
            tangents = [np.zeros(point.shape) for point in check.points]
            tangents[which] = probe.direction(tangents[which].shape)
            with np.errstate(all="ignore"):
                if self.order == 1:
                    found.append(float(np.sum(check.incoming * subject.push(check.points, tangents))))
                    continue
                changes = subject.second_push(check.points, check.incoming.copy(), tangents)
            found.append(float(sum(np.sum(w * change) for w, change in zip(check.weights, changes, strict=True))))
        return found

    def line(self, which: int, probe: _Probe, points: Sequence[Array] | None = None) -> Callable[[Any], Array]:
        """The function along a probe."""
        start = self.check.points if points is None else points

        def along(t: Any) -> Array:
            moved = [point.astype(complex) for point in start] if isinstance(t, complex) else list(start)
            moved[which] = np.array(moved[which])
            if probe.mixture is None:
                moved[which][probe.entry] += t
            else:
                moved[which] += t * probe.mixture
            return self.function(moved)

        return along

    def diagonal(self, directions: Sequence[Array]) -> Callable[[float], Array]:
        """The function along a line on which all inputs move."""
        points = self.check.points
        return lambda t: self.function([np.asarray(p + t * d) for p, d in zip(points, directions, strict=True)])

    def rounding(self) -> Array:
        """The noise in the function's values, measured once."""
        if self._rounding is None:
            points, directions = self.check.points, self.check.everywhere

            def along(offset: float, t: float) -> Array:
                moved = []
                for point, direction in zip(points, directions, strict=True):
                    unit = np.maximum(1.0, np.abs(point))
                    if not offset:
                        unit = np.where(point == 0.0, 1.0, np.abs(point))
                    moved.append(np.asarray(point + direction * (offset + t) * unit))
                return self.function(moved)

            self._rounding = noise(along)
        return self._rounding

    def length(self, which: int, probe: _Probe) -> float:
        """How far from zero the point is, along a probe."""
        return probe.length(self.check.points[which])

    def contracted(self, estimate: Estimate) -> tuple[float, float]:
        """A derivative of all outputs and its bar, weighted with the incoming gradient."""
        weights = np.abs(self.incoming)
        return float(np.sum(self.incoming * estimate.value)), float(np.sum(weights * estimate.bar))

    def by_complex_step(self, which: int, probe: _Probe, points: Sequence[Array] | None = None) -> tuple[float, float]:
        """The independent derivative along a probe, and its bar."""
        return self.contracted(complex_step(self.line(which, probe, points), self.check.subject.refusals))

    def by_differences(self, which: int, probe: _Probe) -> tuple[float, float]:
        """The same from real values."""
        return self.contracted(central(self.line(which, probe), self.length(which, probe), self.rounding()))

    # --- the verdicts ---

    def run(self) -> list[_Row]:
        """Every probe, judged.

        Raises:
            NotAnalyticError: the complex step was demanded and is not possible.
        """
        check = self.check
        numbers = self.engine()
        rows: list[_Row] = []
        if self.method == "complex" or (self.method == "auto" and self.analytic):
            try:
                rows = self.rows(numbers, "complex")
            except NotAnalyticError:
                if self.method == "complex":
                    raise
        if not rows:
            rows = self.rows(numbers, "central")
        self.judge(rows)
        # An absurd answer of the complex step hides other entries behind its size: ask until nothing changes.
        while self.method == "auto" and self.ask_again(rows):
            self.judge(rows)
        self.look_for_corners(rows)
        self.in_the_tail(rows)
        self.compare_scales(rows)
        assert len(rows) == len(check.probes)
        return rows

    def rows(self, numbers: Sequence[float], method: str) -> list[_Row]:
        """Every probe, not yet judged."""
        oracle = self.by_complex_step if method == "complex" else self.by_differences
        return [
            _Row(self.check.names[which], which, probe, got, *oracle(which, probe), method)
            for (which, probe), got in zip(self.check.probes, numbers, strict=True)
        ]

    def judge(self, rows: Sequence[_Row]) -> None:
        """Judge all rows."""
        self.largest = max([abs(row.expected) for row in rows if np.isfinite(row.expected)], default=0.0)
        for row in rows:
            row.judge(self.floor(row.method), self.rtol)

    def floor(self, method: str) -> float:
        """The size below which entries are judged relative to it."""
        rounding = _ROUNDING * float(np.finfo(float).eps) * self.usual / _TOLERANCE[method]
        return max(_SMALL * self.largest, rounding, float(np.finfo(float).tiny))

    def ask_again(self, rows: Sequence[_Row]) -> bool:
        """A second opinion, from differences, on entries that the complex step calls wrong; whether it was heeded.

        The gradient is wrong, or the function runs on complex numbers without being analytic. It is the second only if
        differences contradict the complex step beyond their error bar: they are too coarse to overrule it otherwise.
        """
        doubtful = [row for row in rows if row.method == "complex" and row.verdict == "WRONG"]
        opinions = [self.by_differences(row.which, row.probe) for row in doubtful]
        least = _SMALL * max([abs(value) for value, _ in opinions if np.isfinite(value)], default=0.0)
        overruled = [
            not np.isfinite(row.expected) or abs(row.expected - value) > bar + _SHARPEST * max(abs(value), least)
            for row, (value, bar) in zip(doubtful, opinions, strict=True)
        ]
        for row, (value, bar), against in zip(doubtful, opinions, overruled, strict=True):
            # Where the complex step has failed elsewhere, differences without an answer do not confirm it here.
            if against or (any(overruled) and bar > _SMALL * max(abs(row.expected), least)):
                row.expected, row.bar, row.method = value, bar, "central"
        return any(overruled)

    def look_for_corners(self, rows: Sequence[_Row]) -> None:
        """Turn entries whose derivatives from left and right differ into kinks."""
        check = self.check
        somewhere = jump_of_slope(self.diagonal(check.everywhere), check.reach, self.rounding)
        candidates = list(rows) if somewhere else [row for row in rows if row.verdict == "WRONG"][:_CORNERS]
        for row in candidates:
            along, length = self.line(row.which, row.probe), self.length(row.which, row.probe)
            if not jump_of_slope(along, max(1.0, length), self.rounding):
                continue
            left = one_sided(along, length, self.rounding(), -1)
            right = one_sided(along, length, self.rounding(), 1)
            self.judge_corner(row, left, right)

    def judge_corner(self, row: _Row, left: Estimate, right: Estimate) -> None:
        """The entry is a kink if the two sides differ beyond their bars; wrong only outside the interval."""
        floor = self.floor("central")
        # Where the function lives on one side only, that side is all there is.
        missing = np.isnan(left.value), np.isnan(right.value)
        if np.any(missing[0] & missing[1]):
            return
        lower = np.where(missing[0], right.value, left.value)
        upper = np.where(missing[1], left.value, right.value)
        bars = np.where(missing[0], 0.0, left.bar) + np.where(missing[1], 0.0, right.bar)
        size = np.maximum(np.abs(lower), np.abs(upper))
        with np.errstate(invalid="ignore"):
            differ = (np.abs(lower - upper) > bars + _TOLERANCE["central"] * size) | np.isinf(lower) | np.isinf(upper)
        weights = self.incoming
        if not np.any((differ | missing[0] | missing[1]) & (weights != 0.0)):
            # No corner after all, or one too near for the steps that gave the expected value.
            value, bar = self.contracted(Estimate((lower + upper) / 2.0, bars + np.abs(upper - lower)))
            if abs(value - row.expected) > bar + row.bar:
                row.expected, row.bar, row.method = value, bar, "central"
                row.judge(self.floor("central"), self.rtol)
            return
        with np.errstate(invalid="ignore"):
            ends = np.where(weights == 0.0, 0.0, np.array([weights * lower, weights * upper]))
            low, high = float(ends.min(axis=0).sum()), float(ends.max(axis=0).sum())
            slack = float(np.sum(np.abs(weights) * bars)) + _TOLERANCE["central"] * max(
                floor, *[abs(one) for one in (low, high) if np.isfinite(one)], 0.0
            )
            inside = bool(low - slack <= row.got <= high + slack)
        if row.probe.mixture is not None:
            # Several corners at once: the derivative along a mixture need not lie between the two sides.
            row.verdict = "undecided" if np.isfinite(row.got) else "WRONG"
            return
        outside = 0.0 if inside else max(low - row.got, row.got - high)
        row.expected, row.bar, row.method = min(max(row.got, low), high), slack, "central"
        row.error = outside / max(abs(row.expected), floor) if np.isfinite(outside) else np.inf
        row.allowed = slack
        row.verdict = "kink" if inside else "WRONG"
        if not np.any(differ):
            row.verdict = "right" if inside else "WRONG"
            return
        with np.errstate(invalid="ignore"):
            from_left, from_right = [
                float(np.sum(np.where(weights == 0.0, 0.0, weights * side.value))) for side in (left, right)
            ]
        row.kink = Kink(
            row.name, row.probe.entry, from_left, from_right, row.got, low, high, inside=inside, order=self.order
        )

    def compare_scales(self, rows: Sequence[_Row]) -> None:
        """Take back what differences call wrong where their scales contradict each other: it is undecided.

        Steps longer than the periods of the function see a slope that is not there, with a bar that knows nothing of
        it, or a corner. Only scales that side with the engine count: in a rounded function shorter steps see noise, and
        differ too.
        """
        for row in [one for one in rows if one.method == "central" and one.verdict == "WRONG"]:
            estimates = at_short_steps(self.line(row.which, row.probe), self.length(row.which, row.probe))
            for value, bar in map(self.contracted, estimates):
                # A derivative of exactly 0: the values stand still, and tell nothing.
                if value == 0.0 or not np.isfinite(value + bar):
                    continue
                contradicts = abs(value - row.expected) > row.bar + bar + _APART * abs(value)
                if contradicts and abs(row.got - value) <= _SAME * abs(value):
                    row.bar, row.verdict, row.kink = np.inf, "undecided", None
                    break

    def in_the_tail(self, rows: Sequence[_Row]) -> None:
        """Find derivatives that are tiny, well defined, and not what the engine says.

        An entry far below the others is as a rule a sum that cancelled, in which neither side has a digit right. It is
        something else if the complex step gives nearly the same number a small step away: noise would give another
        number altogether, or exactly the same. Then it is judged by itself.
        """
        floor = self.floor("complex")
        candidates = [
            row
            for row in rows
            if row.method == "complex"
            and row.verdict == "right"
            and 0.0 < abs(row.expected) < floor
            and abs(row.got - row.expected) > _TAIL * abs(row.expected)
        ]
        for row in candidates[:_TAIL_ENTRIES]:
            changes = []
            for _ in range(3):
                nearby = [
                    np.asarray(point * (1.0 + 1e-4 * self.check.rng.uniform(0.3, 1.0, point.shape)))
                    for point in self.check.points
                ]
                changes.append(abs(self.by_complex_step(row.which, row.probe, nearby)[0] / row.expected - 1.0))
            if all(0.0 < change < 0.05 for change in changes):
                row.error = abs(row.got - row.expected) / abs(row.expected)
                row.allowed = _TAIL * abs(row.expected)
                row.verdict = "WRONG"


def _run(check: _Check, order: int, mode: str, method: str, rtol: float | None) -> GradcheckReport:
    if recorder() is None and check.subject.framework == "tinygrad_mlp":
        raise GradientError("gradcheck: nothing is recorded inside no_grad(); call it outside")
    usual = float(np.max(np.abs(check.incoming * check.value), initial=0.0)) / check.reach
    reports = []
    for degree in range(1, order + 1):
        for one in ("reverse", "forward") if mode == "both" else (mode,):
            part = _Pass(check, degree, one, method, rtol, usual)
            try:
                rows = part.run()
            except NotAnalyticError as error:
                raise GradientError(f"gradcheck: the complex step needs an analytic function: {error}") from error
            except TinygradMlpError:
                raise
            except part.check.subject.refusals as error:
                if check.subject.framework == "tinygrad_mlp" or (degree == 1 and one == "reverse"):
                    raise
                what = "forward mode" if one == "forward" else "second derivative"
                raise no_such_mode(check.subject.framework, what, error) from error
            usual = max(usual, part.largest)
            reports.append(_reported(check, part, rows))
    return _merged(check, reports)


def _reported(check: _Check, part: _Pass, rows: Sequence[_Row]) -> GradcheckReport:
    by_input = dict.fromkeys(check.names, 0.0)
    decided = [row for row in rows if row.verdict != "undecided"]
    for row in decided:
        by_input[row.name] = max(by_input[row.name], row.error)
    worst = max(decided, key=lambda row: (row.verdict == "WRONG", row.error), default=None)
    wrong = sum(row.verdict == "WRONG" for row in rows)
    at = worst or _Row("nothing", 0, _Probe("", ()), 0.0, 0.0, 0.0, rows[0].method if rows else "complex")
    nominal = _TOLERANCE[at.method] if part.rtol is None else part.rtol
    sharper = at.error > 0.0 and at.verdict == "WRONG" and at.error <= nominal
    return GradcheckReport(
        ok=not wrong and bool(decided or not rows),
        worst=at.error,
        where=at.name + at.probe.where,
        got=at.got,
        expected=at.expected,
        method=at.method,
        order=part.order,
        rtol=at.allowed / abs(at.got - at.expected) * at.error if sharper else nominal,
        compared=len(rows),
        by_input=by_input,
        bar=at.bar,
        mode=part.mode,
        kinks=tuple(row.kink for row in rows if row.kink is not None),
        undecided=sum(row.verdict == "undecided" for row in rows),
        wrong=wrong,
        framework=check.subject.framework,
        details=_details(check, rows),
    )


def _details(check: _Check, rows: Sequence[_Row]) -> dict[str, InputDetail]:
    details = {}
    for which, (name, point) in enumerate(zip(check.names, check.points, strict=True)):
        got, expected, error, bar, allowed = (np.full(point.shape, np.nan) for _ in range(5))
        verdict = np.full(point.shape, "", dtype="<U9")
        for row in rows:
            if row.which == which and row.probe.mixture is None:
                at = row.probe.entry
                got[at], expected[at], error[at], bar[at] = row.got, row.expected, row.error, row.bar
                allowed[at], verdict[at] = row.allowed, row.verdict
        details[name] = InputDetail(got, expected, error, bar, allowed, verdict)
    return details


def _merged(check: _Check, reports: Sequence[GradcheckReport]) -> GradcheckReport:
    """The worst of the parts, with what the others found besides."""
    worst = max(reports, key=lambda report: (report.wrong > 0, not report.ok, report.worst))
    kinks = {(kink.order, kink.input, kink.entry, kink.inside): kink for report in reports for kink in report.kinks}
    return dataclasses.replace(
        worst,
        ok=all(report.ok for report in reports) and not check.faults,
        kinks=tuple(kinks.values()),
        undecided=sum(report.undecided for report in reports),
        compared_in_all=sum(report.compared for report in reports),
        wrong=sum(report.wrong for report in reports),
        faults=tuple(dict.fromkeys(check.faults)),
        notes=tuple(dict.fromkeys(check.notes)),
    )
