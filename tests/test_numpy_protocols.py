"""NumPy's protocols: every function that NumPy lets others take over differentiates, passes, or says why it cannot."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

# NumPy's list grows with what is imported: with these it is the same in every run.
import numpy.char
import numpy.fft
import numpy.lib.recfunctions
import numpy.polynomial
import pytest
from numpy.testing.overrides import get_overridable_numpy_array_functions, get_overridable_numpy_ufuncs
from numpy_calls import FUNCTIONS, UFUNCS, Call, World

import tinygrad_mlp as tg
from tinygrad_mlp import Tensor
from tinygrad_mlp.errors import DTypeError, GradientError, SharingError
from tinygrad_mlp.testing import gradcheck

pytest.importorskip("numpy.strings", reason="NumPy 2 has these lists")
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
    *[
        ("function", name, function, FUNCTIONS[name])
        for name, function in sorted(functions().items())
        if name in FUNCTIONS
    ],
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
def test_a_function_differentiates_passes_or_refuses(
    kind: str, name: str, function: Any, calls: tuple[Call, ...]
) -> None:
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


# --- ufunc methods and options ---


X = np.array([[0.5, -1.5, 2.0], [3.0, 0.25, -0.75]])

METHODS: dict[str, Any] = {
    "add.reduce": lambda x: np.add.reduce(x),
    "add.reduce axis": lambda x: np.add.reduce(x, 1, keepdims=True),
    "add.reduce where": lambda x: np.add.reduce(x, axis=None, initial=2.0, where=X > 0),
    "multiply.reduce": lambda x: np.multiply.reduce(x, axis=(0, 1)),
    "maximum.reduce": lambda x: np.maximum.reduce(x, 1),
    "minimum.reduce": lambda x: np.minimum.reduce(x, 0, initial=0.0),
    "add.accumulate": lambda x: np.add.accumulate(x),
    "multiply.accumulate": lambda x: np.multiply.accumulate(x, 1),
    "maximum.accumulate": lambda x: np.maximum.accumulate(x, axis=1),
    "minimum.accumulate": lambda x: np.minimum.accumulate(x),
    "subtract.outer": lambda x: np.subtract.outer(x, X[0] * 0.3),
    "logaddexp.outer": lambda x: np.logaddexp.outer(X[0], x),
    "dtype": lambda x: np.multiply(x, 3, dtype=np.float64),
    "vecdot axis": lambda x: np.vecdot(x, X, axis=0),
}


@pytest.mark.parametrize("name", list(METHODS))
def test_methods_of_ufuncs(name: str) -> None:
    """Reductions, running reductions and outer products have NumPy's values and right gradients."""
    if not hasattr(np, name.partition(" ")[0].partition(".")[0]) and name != "dtype":
        pytest.skip("not in this NumPy")
    call = METHODS[name]
    found = call(recorded(X))
    assert is_recorded(found)
    same(found, call(X))
    gradcheck(call, [X])


def test_answers_of_methods_carry_no_gradient() -> None:
    """Whether all or any is not zero."""
    x = recorded(X)
    same(np.logical_and.reduce(x, 1), np.logical_and.reduce(X, 1))
    same(np.logical_or.reduce(x > 1.0), np.logical_or.reduce(X > 1.0))


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda x: np.subtract.reduce(x), "numpy.subtract.reduce"),
        (lambda x: np.add.reduceat(x, [0, 1]), "numpy.add.reduceat"),
        (lambda x: np.add.at(x, [0], 1.0), "numpy.add.at"),
        (lambda x: np.add.at(X.copy(), [0], x), "numpy.add.at"),
        (lambda x: np.cumsum(x, out=X.copy()), "numpy.cumsum with out="),
        (lambda x: np.mean(x, None, None, np.zeros(())), "numpy.mean"),
        (lambda x: np.mean(x, out=Tensor(0.0)), "numpy.mean with out="),
        (lambda x: np.mean(X, out=x), "numpy.mean with out="),
        (lambda x: np.add.reduce(x, out=np.zeros(3)), "numpy.add.reduce with"),
        (lambda x: np.exp(x, out=X.copy()), "numpy.exp on a tensor takes no out"),
        (lambda x: np.exp(x, where=X > 0, out=None), "numpy.exp on a tensor takes no"),
        (lambda x: np.exp(X.copy(), out=x), "numpy.exp on a tensor takes no out"),
        (lambda x: np.pad(x, 1, "linear_ramp"), "numpy.pad"),
        (lambda x: np.pad(x, 1, "reflect", reflect_type="odd"), "numpy.pad"),
        (lambda x: np.quantile(x, 0.5, weights=X, method="inverted_cdf"), "numpy.quantile"),
        (lambda x: np.percentile(X, abs(x) * 10), "numpy.percentile"),
        (lambda x: np.arange(1.0, x[1, 0], like=Tensor(X)), "numpy.arange"),
        (lambda x: np.histogram(x, 3, (-2.0, x[1, 0])), "numpy.histogram"),
        (lambda x: np.nan_to_num(x, nan=x[0, 0]), "numpy.nan_to_num"),
        (lambda x: np.nanstd(x, ddof=x[0, 0]), "numpy.var"),
        (lambda x: np.unwrap(x, period=x[1, 0]), "numpy.unwrap"),
        (lambda x: np.interp(x[0], [0.0, 1.0], [0.0, 1.0], period=x[1, 0]), "numpy.interp"),
        (lambda x: np.histogram(x, "auto"), "numpy.histogram"),
        (lambda x: np.polyfit(x[0], X[0], 1, full=True), "numpy.polyfit"),
        (lambda x: np.linalg.qr(x, "raw"), "numpy.linalg.qr"),
        (lambda x: np.emath.sqrt(x), "numpy.lib.scimath.sqrt"),
        (lambda x: np.trim_zeros(x), "numpy.trim_zeros"),
        (lambda x: np.put(Tensor(X), [0], 1.0), "numpy.put"),
        (lambda x: np.full_like(X, x[0, 0]), "numpy.copyto"),
        (lambda x: np.isclose(x, np.ma.masked_array(X, X > 1)), "numpy.isclose"),
        (lambda x: np.sum(x, surprise=1), "surprise"),
    ],
)
def test_what_cannot_be_is_a_named_type_error(call: Any, name: str) -> None:
    """Nothing is written, nothing lost, and the message says where."""
    x = recorded(X)
    with pytest.raises(TypeError) as caught:
        call(x)
    assert name in str(caught.value)
    np.testing.assert_array_equal(x.data, X)


def test_lists_of_tensors_keep_their_gradients() -> None:
    """A list among the arguments of a function is stacked, not read."""
    a, b = recorded(np.array(2.0)), recorded(np.array(3.0))
    found = np.append(recorded(X[0]), [a, b])
    assert tg.autograd.grad(np.dot(found, np.arange(5.0)), [a, b])[1].item() == 4.0


def test_where_nothing_is_recorded_numpy_answers() -> None:
    """Options that no composition takes, and functions without one."""
    x = Tensor(X)
    out = np.empty(3)
    assert np.sum(x, axis=0, out=out) is out
    np.testing.assert_array_equal(out, X.sum(0))
    same(np.i0(x), np.i0(X))
    same(np.linalg.eig(Tensor(X[:, :2]))[0], np.linalg.eig(X[:, :2])[0])
    assert type(np.sort(x)) is Tensor
    assert not np.sort(x).requires_grad


# --- DLPack and arrays ---


def test_dlpack_shares_the_memory() -> None:
    """Both ways, with NumPy's arrays; the device is the CPU."""
    t = Tensor(X)
    assert t.__dlpack_device__() == (1, 0)
    view = np.from_dlpack(t)
    assert np.shares_memory(view, t.data)
    back = tg.from_dlpack(t.data)
    back.data[0, 0] = 7.0
    assert view[0, 0] == 7.0
    assert np.shares_memory(tg.from_dlpack(t).data, t.data)


def test_torch_takes_and_gives_memory() -> None:
    """torch.from_dlpack reads a tensor, from_dlpack one of torch's."""
    torch = pytest.importorskip("torch")
    t = Tensor(X)
    theirs = torch.from_dlpack(t)
    theirs[0, 0] = 5.0
    assert t[0, 0].item() == 5.0
    assert tg.from_dlpack(theirs)[0, 0].item() == 5.0


def test_recorded_memory_is_not_shared() -> None:
    """What another library did with it would be on no tape: the error says detach()."""
    t = recorded(X)
    with pytest.raises(SharingError, match=r"x\.detach\(\)"):
        np.from_dlpack(t)
    with pytest.raises(BufferError):
        tg.from_dlpack(t)
    for read in (np.asarray, np.array, lambda x: np.array([x, x]), lambda x: np.array([x.sum(), 1.0], dtype=object)):
        with pytest.raises(GradientError, match=r"x\.detach\(\)"):
            read(t)
    assert np.shares_memory(np.from_dlpack(t.detach()), t.data)


def test_from_dlpack_wants_a_dlpack() -> None:
    """Numbers in lists have none, and complex numbers are of no kind that tensors hold."""
    with pytest.raises(DTypeError, match="no __dlpack__"):
        tg.from_dlpack([1.0])
    with pytest.raises(DTypeError):
        tg.from_dlpack(np.array([1j]))


# --- how many there are ---

LEAST = {
    "ufunc": {DIFFERENTIATES: 66, PASSES: 25},
    "function": {DIFFERENTIATES: 188, PASSES: 66},
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
            lines += [
                "",
                f"{len(found[kind][one])} {what}: " + ", ".join(f"`{name}`" for name in found[kind][one]) + ".",
            ]
    return "\n".join(lines) + "\n"


def test_the_counts_do_not_fall() -> None:
    """At least so many differentiate, of the functions that this NumPy has."""
    older = tuple(int(part) for part in np.__version__.split(".")[:2]) < KNOWN_NUMPY
    for kind, classes in table().items():
        counts = {one: len(names) for one, names in classes.items()}
        print(kind, counts)
        for one, least in LEAST[kind].items():
            assert counts[one] >= least * (0.8 if older else 1.0), (kind, one, classes)


def test_the_page_has_these_lists() -> None:
    """docs/numpy.md lists what was counted; `python tests/test_numpy_protocols.py` writes it."""
    if tuple(int(part) for part in np.__version__.split(".")[:2]) != KNOWN_NUMPY:
        pytest.skip("the page is about another version of NumPy")
    assert PAGE.read_text(encoding="utf-8").partition("<!-- counted -->\n")[2] == lists()


if __name__ == "__main__":
    head, mark, _ = PAGE.read_text(encoding="utf-8").partition("<!-- counted -->\n")
    PAGE.write_text(head + mark + lists(), encoding="utf-8")
