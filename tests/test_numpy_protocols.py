"""NumPy's protocols: every function that NumPy lets others take over differentiates, passes, or says why it cannot."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing.overrides import get_overridable_numpy_array_functions, get_overridable_numpy_ufuncs

import tinygrad_mlp as tg
from tinygrad_mlp import Tensor
from tinygrad_mlp.errors import DTypeError, GradientError, SharingError
from tinygrad_mlp.testing import gradcheck

from numpy_calls import FUNCTIONS, UFUNCS, Call, World

KNOWN_NUMPY = (2, 4)
"""The newest NumPy whose lists were read: a name of a newer one is reported, not an error."""

DIFFERENTIATES, PASSES, REFUSES = "differentiates", "passes", "refuses"
CLASSES = (DIFFERENTIATES, PASSES, REFUSES)


def functions() -> dict[str, Any]:
    """NumPy's functions by name, as this package's table has them."""
    found = {}
    for function in get_overridable_numpy_array_functions():
        name = f"{function.__module__}.{function.__name__}".removeprefix("numpy.")
        # `numpy.eye` with `like=` is a function of its own in the list: the public one stands for both.
        found[name] = getattr(np, name, function) if "." not in name else function
    return found


def ufuncs() -> dict[str, Any]:
    """NumPy's ufuncs by name."""
    return {function.__name__: function for function in get_overridable_numpy_ufuncs()}


ALL: list[tuple[str, str, Any, tuple[Call, ...]]] = [
    *[("ufunc", name, function, (UFUNCS[name],)) for name, function in sorted(ufuncs().items()) if name in UFUNCS],
    *[("function", name, function, FUNCTIONS[name]) for name, function in sorted(functions().items()) if name in FUNCTIONS],
]
IDS = [f"{kind}-{name}" for kind, name, _, _ in ALL]


def recorded(value: Any) -> Any:
    """A tensor of it, which requires gradients where it is made of floats."""
    made = Tensor(value)
    return made.requires_grad_() if made.dtype.kind == "f" else made


def leaves(found: Any) -> list[Any]:
    """The parts of nested tuples and lists."""
    return [leaf for one in found for leaf in leaves(one)] if isinstance(found, (tuple, list)) else [found]


def is_recorded(value: Any) -> bool:
    return isinstance(value, Tensor) and value.requires_grad


def tried(function: Any, call: Call) -> tuple[str, Any, dict[str, Any]]:
    """The class of a call on tensors, what it gave, and the tensors it took."""
    world = World({}, recorded)
    try:
        found = call(function, world)
    except (DTypeError, GradientError) as error:
        return REFUSES, error, world.made
    return (DIFFERENTIATES if any(map(is_recorded, leaves(found))) else PASSES), found, world.made


def classified(function: Any, calls: tuple[Call, ...]) -> str:
    """The class of a function: of all its calls the one that says most."""
    return min((tried(function, call)[0] for call in calls), key=CLASSES.index)


def same(found: Any, expected: Any) -> None:
    """Values, shapes, kinds of dtype and the form of the result are NumPy's."""
    if isinstance(expected, (tuple, list)):
        assert len(found) == len(expected)
        assert isinstance(found, type(expected)) or type(expected) is list
        for one, other in zip(found, expected, strict=True):
            same(one, other)
        return
    if not isinstance(expected, (np.ndarray, np.generic, float, int)):
        assert found == expected
        return
    values = found.data if isinstance(found, Tensor) else np.asarray(found)
    assert values.dtype != object
    assert values.shape == np.shape(expected)
    assert values.dtype.kind == np.asarray(expected).dtype.kind
    np.testing.assert_allclose(values, expected, rtol=1e-10, atol=1e-12)


def test_every_function_of_numpy_has_a_call() -> None:
    """A function that a new NumPy adds is noticed here."""
    missing = [*sorted(ufuncs().keys() - UFUNCS.keys()), *sorted(functions().keys() - FUNCTIONS.keys())]
    if tuple(int(part) for part in np.__version__.split(".")[:2]) > KNOWN_NUMPY:
        if missing:
            warnings.warn(f"NumPy {np.__version__} has new functions: {missing}", stacklevel=1)
    else:
        assert missing == []


@pytest.mark.parametrize(("kind", "name", "function", "calls"), ALL, ids=IDS)
def test_a_function_differentiates_passes_or_refuses(kind: str, name: str, function: Any, calls: tuple[Call, ...]) -> None:
    """Its values are NumPy's, its gradients those of differences, and what it refuses it names."""
    for call in calls:
        verdict, found, taken = tried(function, call)
        if verdict == REFUSES:
            assert isinstance(found, TypeError)
            assert f"numpy.{name}" in str(found)
            assert "detach()" in str(found)
            continue
        with np.errstate(all="ignore"):
            same(found, call(function, World({}, np.asarray)))
        outputs = leaves(found)
        if verdict == PASSES:
            assert_constant(function, call, outputs, taken)
            continue
        check_gradient(function, call, outputs, taken)


def check_gradient(function: Any, call: Call, outputs: list[Any], taken: dict[str, Any]) -> None:
    """The gradients by every tensor, for random incoming gradients, against an independent derivative."""
    names = [name for name, leaf in taken.items() if leaf.dtype.kind == "f"]
    wanted = [place for place, one in enumerate(outputs) if is_recorded(one)]
    reached = tg.autograd.grad(sum(outputs[i].sum() for i in wanted), [taken[n] for n in names], allow_unused=True)
    names = [name for name, found in zip(names, reached, strict=True) if found is not None]

    def run(*tensors: Any) -> Any:
        world = World({**taken, **dict(zip(names, tensors, strict=True))}, recorded)
        found = leaves(call(function, world))
        return tuple(found[place] for place in wanted)

    gradcheck(run, [taken[name].data for name in names], method="central", rtol=1e-6)


def assert_constant(function: Any, call: Call, outputs: list[Any], taken: dict[str, Any]) -> None:
    """A result without a gradient does not move when its arguments do."""
    moved = {n: recorded(t.data * (1 + 1e-9)) if t.dtype.kind == "f" else t for n, t in taken.items()}
    for one, other in zip(outputs, leaves(call(function, World(moved, recorded))), strict=True):
        if isinstance(one, Tensor) and one.dtype.kind == "f":
            np.testing.assert_allclose(one.data, other.data, rtol=1e-12, atol=0)


# --- how many there are ---

LEAST = {
    "ufunc": {DIFFERENTIATES: 50, PASSES: 30},
    "function": {DIFFERENTIATES: 160, PASSES: 60},
}
PAGE = Path(__file__).parent.parent / "docs" / "numpy.md"


def table() -> dict[str, dict[str, list[str]]]:
    """Names by kind and class."""
    found: dict[str, dict[str, list[str]]] = {kind: {one: [] for one in CLASSES} for kind in ("ufunc", "function")}
    for kind, name, function, calls in ALL:
        found[kind][classified(function, calls)].append(name)
    return found


def lists() -> str:
    """The part of docs/numpy.md that is counted."""
    found = table()
    lines = ["| | differentiates | passes through | TypeError |", "|---|---|---|---|"]
    for kind, title in (("ufunc", "ufuncs"), ("function", "functions")):
        lines.append(f"| {title} | {' | '.join(str(len(found[kind][one])) for one in CLASSES)} |")
    titles = {DIFFERENTIATES: "Differentiate", PASSES: "Pass through, without a gradient", REFUSES: "Raise a TypeError"}
    for one, title in titles.items():
        lines += ["", f"### {title}"]
        for kind, what in (("ufunc", "ufuncs"), ("function", "functions")):
            lines += ["", f"{len(found[kind][one])} {what}: " + ", ".join(f"`{name}`" for name in found[kind][one]) + "."]
    return "\n".join(lines) + "\n"


def test_the_counts_do_not_fall() -> None:
    """At least so many differentiate, and none gives an object array."""
    for kind, classes in table().items():
        counts = {one: len(names) for one, names in classes.items()}
        print(kind, counts)
        for one, least in LEAST[kind].items():
            assert counts[one] >= least, (kind, one, classes)


def test_the_page_has_these_lists() -> None:
    """docs/numpy.md lists what was counted; `python tests/test_numpy_protocols.py` writes it."""
    if tuple(int(part) for part in np.__version__.split(".")[:2]) != KNOWN_NUMPY:
        pytest.skip("the page is about another version of NumPy")
    assert PAGE.read_text(encoding="utf-8").partition("<!-- counted -->\n")[2] == lists()


if __name__ == "__main__":
    head, mark, _ = PAGE.read_text(encoding="utf-8").partition("<!-- counted -->\n")
    PAGE.write_text(head + mark + lists(), encoding="utf-8")
