"""A function becomes a property-based test of its gradient: :func:`gradient_test`."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

import numpy as np

from ..errors import ArgumentError, GradientError, did_you_mean
from ..extras import need
from ..samples import Domain
from .gradcheck import gradcheck
from .gradcheck_report import GradcheckReport
from .reproducer import is_input, reproducer

__all__ = ["Listener", "gradient_test", "listener"]

_LARGEST_SEED = 2**32 - 1
# Values on this grid have short literals; half of what is drawn lies on it.
_GRID = 64

Test = Callable[[], None]


@dataclass
class Listener:
    """What a test runner wants of gradient tests, and hears from them; the pytest plugin sets it.

    Attributes:
        examples, seed: in place of the tests' own, or None.
        heard: called at the end of each test with its figures (plain data), also when it fails.
    """

    examples: int | None = None
    seed: int | None = None
    heard: Callable[[dict[str, Any]], None] = field(default=lambda figures: None)


listener = Listener()
"""The one listener of this process."""


@overload
def gradient_test(function: Callable[..., Any], /) -> Test: ...


@overload
def gradient_test(
    *,
    low: float = ...,
    high: float = ...,
    avoid: Sequence[float] = ...,
    margin: float = ...,
    order: int = ...,
    mode: str = ...,
    method: str = ...,
    framework: str = ...,
    grad: Callable[..., Any] | None = ...,
    rtol: float | None = ...,
    examples: int | None = ...,
    **domains: Any,
) -> Callable[[Callable[..., Any]], Test]: ...


def gradient_test(
    function: Callable[..., Any] | None = None,
    /,
    *,
    low: float = -3.0,
    high: float = 3.0,
    avoid: Sequence[float] = (),
    margin: float = 0.05,
    order: int = 1,
    mode: str = "reverse",
    method: str = "auto",
    framework: str = "auto",
    grad: Callable[..., Any] | None = None,
    rtol: float | None = None,
    examples: int | None = None,
    **domains: Any,
) -> Any:
    """Make a function of arrays a test of its gradient at inputs that Hypothesis draws.

    pytest collects it as an ordinary test. For every example the parameters get arrays whose shapes broadcast against
    each other, among them shapes without axes and without elements, with values of their domain; the incoming gradient
    is random; and :func:`.gradcheck` decides. A failure is shrunk to small arrays, and its message holds a script that
    fails in the same way when it is pasted into a file.

    Args:
        function: the function, of tensors of this package or of another library's arrays, as for ``gradcheck``.
        low, high, avoid, margin: the values that parameters take: between ``low`` and ``high``, not within ``margin``
            of a point in ``avoid``. Kinks need not be avoided, they are recognised.
        order, mode, method, framework, grad, rtol: as for ``gradcheck``.
        examples: how many; by default as many as the Hypothesis profile says.
        **domains: for single parameters, by name: a ``Domain``, a pair ``(low, high)``, or a Hypothesis strategy. A
            strategy's arrays of floats are inputs like the others; anything else it draws is handed through as it is.
            An annotation (``x: Domain(0.1, 3.0)``) does the same.

    Raises (when the test runs):
        GradientError: a gradient is wrong; the message has the report and the script.
        ArgumentError: a domain that is none, or a name that is no parameter (on decoration).
        MissingExtraError: Hypothesis is not installed.

    >>> @gradient_test(low=0.1, high=3.0, order=2, examples=20)
    ... def test_logarithm(x, y):
    ...     return (x * y).log()
    >>> test_logarithm()
    """

    def decorate(inner: Callable[..., Any]) -> Test:
        options = {"order": order, "mode": mode, "method": method, "framework": framework, "grad": grad, "rtol": rtol}
        parameters = _parameters(inner, Domain(low, high, tuple(avoid), margin), domains)
        return _test(inner, parameters, options, examples)

    return decorate if function is None else decorate(function)


# --- what is drawn --------------------------------------------------------------------------------------------------


def _parameters(function: Callable[..., Any], everywhere: Domain, given: Mapping[str, Any]) -> dict[str, Any]:
    """A domain or a strategy for each parameter."""
    name = getattr(function, "__name__", repr(function))
    try:
        signature = inspect.signature(function, eval_str=True)
    except NameError:  # an annotation that is there for type checkers only
        signature = inspect.signature(function)
    parameters = {
        one.name: one.annotation
        for one in signature.parameters.values()
        if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD) and one.default is one.empty
    }
    if not parameters:
        raise ArgumentError(f"gradient_test: {name} takes no parameters to draw arrays for")
    unknown = sorted(set(given) - set(parameters))
    if unknown:
        raise ArgumentError(did_you_mean(f"parameter of {name}", unknown[0], parameters))
    return {one: _domain(name, one, given.get(one, annotation), everywhere) for one, annotation in parameters.items()}


def _domain(function: str, parameter: str, given: Any, everywhere: Domain) -> Any:
    for one in (given, *getattr(given, "__metadata__", ())):
        if isinstance(one, Domain) or hasattr(one, "example"):  # the second: a strategy
            return one
        if isinstance(one, tuple) and len(one) == 2:
            low, high = one
            return Domain(float(low), float(high), everywhere.avoid, everywhere.margin)
    if isinstance(given, (int, float, list, dict, set)):
        raise ArgumentError(
            f"gradient_test: {parameter} of {function} is {given!r}; expected a Domain, (low, high) or a strategy"
        )
    return everywhere


def _strategy(parameters: Mapping[str, Any]) -> Any:
    """Draws one value for each parameter, and a seed."""
    st = need("hypothesis.strategies", extra="testing", purpose="draw inputs for gradient tests")
    hnp = need("hypothesis.extra.numpy", extra="testing", purpose="draw inputs for gradient tests")
    # Imported here because it imports Hypothesis.
    from .strategies import broadcastable_shapes  # noqa: PLC0415

    arrays = [name for name, one in parameters.items() if isinstance(one, Domain)]

    def elements(domain: Domain) -> Any:
        # Six decimals: a distance of 1e-300 from a kink is no test of a gradient.
        anywhere = st.floats(domain.low, domain.high).map(lambda x: min(max(round(x, 6), domain.low), domain.high))
        first, last = math.ceil(domain.low * _GRID), math.floor(domain.high * _GRID)
        if first <= last:
            anywhere = st.integers(first, last).map(lambda k: k / _GRID) | anywhere
        return anywhere.filter(lambda x: all(abs(x - point) >= domain.margin for point in domain.avoid))

    @st.composite  # type: ignore[untyped-decorator]
    def example(draw: Callable[[Any], Any]) -> tuple[dict[str, Any], int]:
        shapes: dict[str, tuple[int, ...]] = {}
        if arrays:
            drawn = draw(broadcastable_shapes(len(arrays), max_dims=3, max_side=3))
            shapes = dict(zip(arrays, drawn, strict=True))
        values = {
            name: draw(hnp.arrays(np.float64, shapes[name], elements=elements(one)) if name in shapes else one)
            for name, one in parameters.items()
        }
        return values, draw(st.integers(0, _LARGEST_SEED))

    return example()


# --- the test -------------------------------------------------------------------------------------------------------


def _test(
    function: Callable[..., Any], parameters: Mapping[str, Any], options: Mapping[str, Any], examples: int | None
) -> Test:
    changed = {name: value for name, value in options.items() if value != _DEFAULTS[name].default}

    def test() -> None:
        hypothesis = need("hypothesis", extra="testing", purpose="run gradient tests")
        figures: dict[str, Any] = {"examples": 0, "worst": 0.0, "where": "", "kinks": 0, "undecided": 0, "script": ""}
        # Numbers and text only: pytest's parallel workers send them to each other.
        figures |= {"told": 0, "blind": ""}

        def one_example(drawn: tuple[dict[str, Any], int]) -> None:
            values, seed = drawn
            try:
                report = _checked(function, values, {**changed, "seed": seed})
            except Exception as error:
                figures["script"] = reproducer(function, values, {**changed, "seed": seed})
                error.add_note(f"\nThis script fails in the same way:\n\n{figures['script']}")
                raise
            figures["examples"] += 1
            figures["kinks"] += len(report.kinks)
            figures["undecided"] += report.undecided
            if report.worst >= figures["worst"]:
                figures["worst"], figures["where"] = report.worst, report.where
            # A point at which nothing can be told is no failure; a test without any other is.
            figures["told"] += bool(report.ok and report.compared)
            figures["blind"] = str(report) if report.verdict == "UNDECIDED" else figures["blind"]
            if report.verdict == "WRONG":
                figures["script"] = reproducer(function, values, {**changed, "seed": seed})
                raise GradientError(f"{report}\n\nThis script fails in the same way:\n\n{figures['script']}")

        # Hypothesis keeps failing examples, and with derandomize its seed, by the name of the test.
        one_example.__name__ = test.__name__ if test.__name__.isidentifier() else "gradient_test"
        one_example.__qualname__ = test.__qualname__
        one_example.__module__ = test.__module__
        wanted = listener.examples or examples
        number = {} if wanted is None else {"max_examples": wanted}
        run = hypothesis.settings(
            deadline=None,
            print_blob=False,
            phases=[phase for phase in hypothesis.settings.default.phases if phase.name != "explain"],
            report_multiple_bugs=False,
            suppress_health_check=[hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.nested_given],
            **number,
        )(hypothesis.given(_strategy(parameters))(one_example))
        if listener.seed is not None:
            run = hypothesis.seed(listener.seed)(run)
        try:
            run()
        finally:
            listener.heard(figures)
        if figures["blind"] and not figures["told"]:
            raise GradientError(f"at none of {figures['examples']} points anything could be told: {figures['blind']}")

    test.__name__ = getattr(function, "__name__", type(function).__name__)
    test.__qualname__ = getattr(function, "__qualname__", test.__name__)
    test.__module__ = function.__module__
    test.__doc__ = function.__doc__
    test.function = function  # type: ignore[attr-defined]
    return test


def _checked(function: Callable[..., Any], values: Mapping[str, Any], options: Mapping[str, Any]) -> GradcheckReport:
    inputs = [value for value in values.values() if is_input(value)]
    if len(inputs) == len(values):
        return gradcheck(function, inputs, **options)

    def of_inputs(*given: Any) -> Any:
        left = iter(given)
        return function(*[next(left) if is_input(value) else value for value in values.values()])

    return gradcheck(of_inputs, inputs, **options)


_DEFAULTS = inspect.signature(gradcheck).parameters
