"""Promises about the project as a whole, each of them checked by a machine."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import tinygrad_mlp

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "tinygrad_mlp"
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]

# Each pattern has a bracket in it, so that this file does not match itself.
REGISTRY_HOST = rb"py[p]i\.org|py[t]honhosted\.org|np[m]js\.(org|com)|yar[n]pkg\.com|anacon[d]a\.(org|com)|crat[e]s\.io"
HOME_PATH = rb"/hom[e]/\w|/roo[t]/|/User[s]/\w|[A-Z]:\\+User[s]\\"

ONLY_NUMPY = """
import importlib, importlib.abc, pkgutil, sys

class OnlyNumpy(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in sys.stdlib_module_names | {"numpy", "tinygrad_mlp"}:
            raise ModuleNotFoundError(f"blocked by the test: {name}", name=name)

sys.meta_path.insert(0, OnlyNumpy())
"""


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)


def tracked_files() -> list[Path]:
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a git clone: no list of tracked files")
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [path for name in listing.split("\0") if name and (path := ROOT / name).is_file()]


def modules() -> list[str]:
    paths = [path.relative_to(ROOT).with_suffix("") for path in PACKAGE.rglob("*.py") if path.name != "__main__.py"]
    return sorted(".".join(path.parts).removesuffix(".__init__") for path in paths)


def test_every_public_name_exists() -> None:
    """What `__all__` lists can be taken from the package, and nothing is listed twice."""
    assert [name for name in tinygrad_mlp.__all__ if not hasattr(tinygrad_mlp, name)] == []
    assert len(set(tinygrad_mlp.__all__)) == len(tinygrad_mlp.__all__)


def test_every_public_name_is_listed() -> None:
    """No name without underscore, submodules apart, that neither `__all__` nor the table of compositions lists."""
    found = {
        name
        for name, value in vars(tinygrad_mlp).items()
        if not name.startswith("_") and not isinstance(value, ModuleType) and name != "annotations"
    }
    assert found - set(tinygrad_mlp.__all__) - set(tinygrad_mlp.compositions.HOMES) == set()


def test_version_is_stated_once_in_effect() -> None:
    """The version that pip sees is the version that Python sees."""
    assert tinygrad_mlp.__version__ == PROJECT["version"]


@pytest.mark.parametrize("pattern", [REGISTRY_HOST, HOME_PATH], ids=["package registry", "home folder"])
def test_no_tracked_file_names_a_machine(pattern: bytes) -> None:
    """Nobody's package registry or home folder is written into the repository."""
    found = {
        str(path.relative_to(ROOT)): match[0]
        for path in tracked_files()
        if (match := re.search(pattern, path.read_bytes()))
    }
    assert found == {}


def test_no_tracked_file_names_this_folder() -> None:
    """Nothing is tied to the place where this clone happens to be."""
    found = [path for path in tracked_files() if re.search(rb"%s\b" % re.escape(str(ROOT)).encode(), path.read_bytes())]
    assert found == []


def test_import_needs_numpy_alone() -> None:
    """`import tinygrad_mlp` works where no third-party library but NumPy can be imported."""
    result = run_python(ONLY_NUMPY + "import tinygrad_mlp")
    assert result.returncode == 0, result.stderr


def test_every_module_imports_with_numpy_alone() -> None:
    """Below the faces no module asks for an optional library when it is imported, only on first use.

    Estimators are classes derived from scikit-learn's, so their room needs it; the room says what to install.
    """
    faces = ("tinygrad_mlp.cli.", "tinygrad_mlp.sklearn")
    wanted = [name for name in modules() if not name.startswith(faces)]
    result = run_python(ONLY_NUMPY + f"for name in {wanted!r}:\n    importlib.import_module(name)")
    assert result.returncode == 0, result.stderr


def test_the_room_of_estimators_names_its_extra() -> None:
    """Without scikit-learn the room cannot be imported, and the error holds the command that installs it."""
    result = run_python(ONLY_NUMPY + "import tinygrad_mlp.sklearn")
    assert "MissingExtraError: sklearn is needed to use the estimators" in result.stderr
    assert 'pip install "tinygrad-mlp[sklearn]"' in result.stderr


def test_the_blocker_blocks() -> None:
    """The two tests above would notice an import of another library."""
    assert "blocked by the test: hypothesis" in run_python(ONLY_NUMPY + "import hypothesis").stderr


def test_every_extra_that_an_error_names_exists() -> None:
    """The command in a MissingExtraError can be followed: `need(..., extra=...)` names an extra of pyproject.toml."""
    named = {
        (str(path.relative_to(ROOT)), keyword.value.value)
        for path in PACKAGE.rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call)
        for keyword in call.keywords
        if keyword.arg == "extra" and isinstance(keyword.value, ast.Constant)
    }
    assert {(path, extra) for path, extra in named if extra not in EXTRAS} == set()


def test_all_holds_every_extra_but_the_documented_ones() -> None:
    """The extra `all` names the others, except the compiler, the MPI runtime, peers and the development tools."""
    listed = set(re.findall(r"[\w-]+", EXTRAS["all"][0].partition("[")[2]))
    assert listed == EXTRAS.keys() - {"all", "dev", "jit", "mpi-runtime", "parity", "bench"}


def test_imports_point_down() -> None:
    """The rooms of the package import only the rooms below them, as the contract in pyproject.toml says."""
    pytest.importorskip("importlinter", reason='import-linter is missing: pip install "tinygrad-mlp[dev]"')
    result = run_python("import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))")
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_explains_its_verbs() -> None:
    """`make` alone lists the verbs that people and CI use."""
    environment = {"PATH": "/usr/bin:/bin"}
    result = subprocess.run(["make"], cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    verbs = re.findall(r"^make (\w+)", result.stdout, flags=re.MULTILINE)
    assert verbs == ["help", "demo", "test", "lint", "types", "bench", "oracles", "notebook", "clean"]


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize(
    ("given", "options"),
    [((), "--cov=tinygrad_mlp"), (("ARGS=tests/x.py",), "tests/x.py"), (("ARGS=-k exp",), "-k exp")],
)
def test_make_test_measures_coverage_of_the_whole_only(given: tuple[str, ...], options: str) -> None:
    """A path in ARGS reaches pytest as a path; coverage, which is of all tests together, is left out beside ARGS."""
    environment = {"PATH": "/usr/bin:/bin"}
    command = ["make", "-n", "test", *given]
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1].endswith(f"-m pytest -n auto --dist worksteal {options}")


def test_the_notebook_command_has_what_it_needs() -> None:
    """jupytext executes by way of nbconvert, in a kernel of ipykernel: all three come with the development tools."""
    named = {re.split(r"[<>=\[]", one)[0] for one in EXTRAS["dev"]}
    assert {"ipykernel", "jupytext", "nbconvert"} <= named
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"-m jupytext .*--set-kernel python3 --execute", makefile)


@pytest.fixture
def sample(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A folder with this suite's conftest.py, in which to run pytest."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makeconftest((ROOT / "tests" / "conftest.py").read_text(encoding="utf-8"))
    return pytester


def test_a_leaked_error_state_fails_the_test_that_leaked_it(sample: pytest.Pytester) -> None:
    """`np.seterr` without restoring fails its own test and does not reach the next one."""
    sample.makepyfile("""
        import numpy as np

        def test_leak():
            np.seterr(over="ignore", divide="raise")

        def test_next():
            assert np.geterr()["divide"] == "warn"
    """)
    sample.runpytest_subprocess().assert_outcomes(passed=2, errors=1)


def run_with_data_error(sample: pytest.Pytester, error: str) -> pytest.RunResult:
    sample.makepyfile(f"""
        import sys
        from types import SimpleNamespace
        from tinygrad_mlp.errors import {error}

        def load_data(download):
            raise {error}("from the loader")

        sys.modules["tinygrad_mlp.datasets"] = SimpleNamespace(__path__=[])
        sys.modules["tinygrad_mlp.datasets.fashion_mnist"] = SimpleNamespace(load_data=load_data)

        def test_needs_data(real_data):
            real_data("fashion_mnist")
    """)
    return sample.runpytest_subprocess("-rs", "-W", "ignore")


@pytest.mark.parametrize(("ci", "outcome"), [("", {"skipped": 1}), ("true", {"failed": 1})], ids=["at a desk", "on CI"])
def test_missing_data_is_a_skip_at_a_desk_and_a_failure_on_ci(
    sample: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, ci: str, outcome: dict[str, int]
) -> None:
    """The skip names the command that provides the data; CI never passes by skipping."""
    monkeypatch.setenv("CI", ci)
    result = run_with_data_error(sample, "DataNotFoundError")
    result.assert_outcomes(**outcome)
    result.stdout.fnmatch_lines(["*apt-get install dataset-fashion-mnist*"])


def test_damaged_data_is_a_failure_everywhere(sample: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong checksum is never taken for a missing file."""
    monkeypatch.setenv("CI", "")
    run_with_data_error(sample, "ChecksumError").assert_outcomes(failed=1)
