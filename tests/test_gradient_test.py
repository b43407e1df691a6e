"""``@gradient_test`` and the pytest plugin: what is drawn, what a failure says, and that its script really fails."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from tinygrad_mlp import Tensor, ops
from tinygrad_mlp.autograd import Function
from tinygrad_mlp.errors import ArgumentError, GradientError, ShapeError
from tinygrad_mlp.samples import Domain
from tinygrad_mlp.testing import gradient_test
from tinygrad_mlp.testing import property as property_module

ROOT = Path(__file__).resolve().parents[1]
SCALE = np.array([2.0])
Seen = list[dict[str, Any]]


@gradient_test
def test_softplus_of_a_product(x: Tensor, y: Tensor) -> Any:
    """A bare decorator makes a test, which pytest collects."""
    return (x * y).exp().log1p()


@gradient_test(low=0.1, high=3.0, order=2, examples=20)
def test_logarithm_of_a_product(x: Tensor, y: Tensor) -> Any:
    """Options of the domain and of the check."""
    return (x * y).log()


@gradient_test(examples=30, order=2)
def test_kinks_need_not_be_avoided(x: Tensor, y: Tensor) -> Any:
    """Ties and corners are drawn often, and are no failures."""
    return ops.maximum(x, y) + ops.relu(x) * 2.0


class Slope(Function):
    """Half of the kink's neighbourhood has the wrong slope."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return ops.relu(x)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        (x,) = ctx.saved_tensors
        return g * (x.data > -1.0)


def scaled(x: Any) -> Any:
    return Slope.apply(x) * SCALE[0]


def watched(seen: Seen, **options: Any) -> Callable[[Callable[..., Any]], Callable[[], None]]:
    """The decorator around a function that notes what it was called with."""

    def decorate(function: Callable[..., Any]) -> Callable[[], None]:
        def noting(x: Any, y: Any) -> Any:
            seen.append({"x": x, "y": y})
            return function(x, y)

        return gradient_test(**options)(noting)

    return decorate


def test_shapes_broadcast_and_include_numbers_and_nothing() -> None:
    """Among the shapes drawn are 0-d ones, empty ones, equal ones and ones that stretch each other."""
    seen: Seen = []
    watched(seen, examples=200)(lambda x, y: x * y)()
    shapes = {(one["x"].shape, one["y"].shape) for one in seen}
    flat = {shape for pair in shapes for shape in pair}
    assert () in flat
    assert any(0 in shape for shape in flat)
    assert any(a == b and len(a) > 0 for a, b in shapes)
    assert any(a != b for a, b in shapes)


def test_values_stay_in_their_domains() -> None:
    """``low``, ``high``, ``avoid`` and ``margin`` hold for all parameters, a domain of its own for one."""
    seen: Seen = []
    watched(seen, low=-2.0, high=2.0, avoid=[0.0], margin=0.5, y=(5.0, 6.0), method="complex", examples=50)(
        lambda x, y: x * y
    )()
    x = np.concatenate([one["x"].data.real.ravel() for one in seen])
    y = np.concatenate([one["y"].data.real.ravel() for one in seen])
    assert np.all((np.abs(x) >= 0.49) & (np.abs(x) <= 2.01))
    assert np.all((y >= 4.99) & (y <= 6.01))


def test_annotations_and_strategies() -> None:
    """A Domain as annotation and a strategy as keyword; what is no array of floats is handed through."""
    axes = set()

    @gradient_test(axis=st.sampled_from([0, 1]), y=st.just(np.ones((2, 2))), examples=20)
    def summed(x: Domain(1.0, 2.0), axis: int, y: Any) -> Any:  # type: ignore[valid-type]
        axes.add(axis)
        return (x.log().sum() * y).sum(axis)  # type: ignore[attr-defined]

    # Annotations of this file are text; the one that is given is what a file without that import would have.
    summed.function.__annotations__["x"] = Domain(1.0, 2.0)  # type: ignore[attr-defined]
    gradient_test(axis=st.sampled_from([0, 1]), y=st.just(np.ones((2, 2))), examples=20)(summed.function)()  # type: ignore[attr-defined]
    assert axes == {0, 1}


@pytest.mark.parametrize(
    ("domains", "message"), [({"z": (0, 1)}, "unknown parameter of"), ({"x": 3}, "expected a Domain")]
)
def test_wrong_domains_are_refused_at_once(domains: dict[str, Any], message: str) -> None:
    """A name that is no parameter, or a domain that is none, is an error where it is written."""
    with pytest.raises(ArgumentError, match=message):
        gradient_test(**domains)(lambda x: x)
    with pytest.raises(ArgumentError, match="no parameters"):
        gradient_test(lambda: 1.0)


# --- failures ---------------------------------------------------------------------------------------


def script_of(error: BaseException) -> str:
    text = str(error) + "".join(getattr(error, "__notes__", []))
    found: str = text.partition("This script fails in the same way:\n\n")[2]
    return found[: found.index("raise_if_wrong()") + len("raise_if_wrong()\n")]


def run(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Paste it into a file and run it, far from this test."""
    path = folder / "pasted.py"
    path.write_text(script, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, path], env=environment, cwd=folder, capture_output=True, text=True, check=False
    )


def test_script_of_a_wrong_gradient_runs_and_fails(tmp_path: Path) -> None:
    """Helpers, classes and data come along; the arrays are shrunk; repaired, the same script passes."""

    @gradient_test(examples=200)
    def wrong(x: Any) -> Any:
        return scaled(x)

    with pytest.raises(GradientError, match="WRONG") as caught:
        wrong()
    script = script_of(caught.value)
    (literal,) = re.findall(r"^x = np\.array\((.*)\)$", script, flags=re.MULTILINE)
    assert np.size(eval(literal)) == 1  # noqa: S307 - our own script
    result = run(script, tmp_path)
    assert result.returncode == 1
    assert "GradientError: gradient WRONG" in result.stderr
    repaired = run(script.replace("x.data > -1.0", "x.data > 0.0"), tmp_path)
    assert repaired.returncode == 0, repaired.stderr


def test_script_of_an_error_runs_and_raises_it(tmp_path: Path) -> None:
    """A function that cannot take the shapes drawn leaves the same kind of script."""

    @gradient_test(y=st.just(np.ones(2)))
    def product(x: Any, y: Any) -> Any:
        return x @ y

    with pytest.raises(ShapeError) as caught:
        product()
    result = run(script_of(caught.value), tmp_path)
    assert result.returncode == 1
    assert "ShapeError" in result.stderr


def test_script_of_a_torch_function(tmp_path: Path) -> None:
    """A function of another library brings its imports."""
    torch = pytest.importorskip("torch")

    @gradient_test(examples=50, order=2)
    def cut(x: Any) -> Any:
        return torch.exp(x) * x.detach()

    with pytest.raises(GradientError) as caught:
        cut()
    script = script_of(caught.value)
    assert "import torch" in script
    result = run(script, tmp_path)
    assert "GradientError: gradient WRONG" in result.stderr


def test_script_of_what_cannot_be_written_down_loads_the_file(tmp_path: Path) -> None:
    """An object that is neither source nor literal: the script takes the whole file."""
    path = tmp_path / "shapes.py"
    path.write_text(
        "from tinygrad_mlp import ops\n"
        "from tinygrad_mlp.testing import gradient_test\n"
        "class Box:\n"
        "    factor = 2.0\n"
        "BOX = Box()\n"
        "@gradient_test\n"
        "def wrong(x):\n"
        "    return ops.exp(x) * x.detach() * BOX.factor\n"
    )
    sys.path.insert(0, str(tmp_path))
    try:
        import shapes  # type: ignore[import-not-found]

        with pytest.raises(GradientError) as caught:
            shapes.wrong()
    finally:
        sys.path.remove(str(tmp_path))
    script = script_of(caught.value)
    assert "The whole file is loaded" in script
    assert "GradientError: gradient WRONG" in run(script, tmp_path).stderr


# --- the plugin -------------------------------------------------------------------------------------

SUITE = """
    import numpy as np
    from tinygrad_mlp import ops
    from tinygrad_mlp.testing import gradient_test

    calls = []

    @gradient_test
    def test_right(x, y):
        calls.append(1)
        return ops.relu(x) * y

    @gradient_test
    def test_wrong(x):
        return x.exp() + x.detach()

    def test_fixture(gradcheck):
        assert gradcheck(ops.relu, [[0.0, 0.5]]).ok

    def test_plain():
        pass
"""


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:cacheprovider -p pytest_tinygrad_mlp")
    pytester.makepyfile(SUITE)
    return pytester


@pytest.mark.parametrize("workers", [[], ["-n", "1"]])
def test_summary_lists_gradient_tests(suite: pytest.Pytester, workers: list[str]) -> None:
    """Worst error and kinks of each, also with xdist; tests that check no gradients are not mentioned."""
    folder = suite.path / "scripts"
    result = suite.runpytest_subprocess("--gradcheck-examples=10", f"--gradcheck-save={folder}", *workers)
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.re_match_lines_random(
        [
            r"=+ gradient tests =+",
            r".*::test_right: 10 checked, worst error \d\.\de[-+]\d\d at .*",
            r".*::test_wrong: .*, FAILED",
            r".*::test_fixture: 1 checked, worst error .*, kinks: 1",
            r"script: .*test_wrong\.py",
        ]
    )
    section = result.stdout.str().partition("= gradient tests =")[2].partition("short test summary")[0]
    assert "test_plain" not in section
    (script,) = folder.glob("*.py")
    assert "GradientError" in run(script.read_text(encoding="utf-8"), suite.path).stderr


def test_seed_of_the_command_line_repeats_a_run(suite: pytest.Pytester) -> None:
    """The same seed gives the same summary, another one another."""

    def summary(seed: int) -> str:
        out = suite.runpytest_subprocess("-k", "right", "--gradcheck-examples=10", f"--gradcheck-seed={seed}")
        (line,) = [line for line in out.outlines if "test_right:" in line]
        return line

    assert summary(1) == summary(1) != summary(2)


def test_other_peoples_tests_do_not_pay(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run without gradient tests imports neither the package, nor NumPy, nor Hypothesis, and shows no section."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(
        """
        import sys

        def test_imports():
            roots = {name.partition(".")[0] for name in sys.modules}
            assert "pytest_tinygrad_mlp" in roots
            assert not roots & {"tinygrad_mlp", "numpy", "hypothesis"}
        """
    )
    result = pytester.runpytest_subprocess("-p", "pytest_tinygrad_mlp")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*gradient tests*")


def test_a_test_that_can_tell_nothing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """One point at which nothing can be told is no failure; a test of such points alone is."""
    heard: list[Any] = []
    monkeypatch.setattr(property_module.listener, "heard", heard.append)

    @gradient_test(low=0.5, high=1.0, examples=5, rtol=1e-9)
    def test_hidden(x: Any) -> Any:
        return Tensor(np.asarray(1e9)) + x.sin() * 1.0 if x.size else x

    @gradient_test(low=0.5, high=1.0, examples=5, method="central", rtol=1e-14)
    def test_too_sharp(x: Any) -> Any:
        return x.sin() + 1e6 * (x * 0.0 + 1.0)

    test_hidden()
    with pytest.raises(GradientError, match=r"at none of \d+ points"):
        test_too_sharp()
    # What the plugin passes on has to get through pytest's parallel workers.
    assert json.loads(json.dumps(heard)) == heard
