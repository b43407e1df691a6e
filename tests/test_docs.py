"""What the pages say is true: examples print what they show, the diff adds an operation, names and links exist."""

from __future__ import annotations

import ast
import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_compositions import CASES

from tinygrad_mlp import Tensor, autograd, ops
from tinygrad_mlp.tape import OPS

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<body>.*?)^```$", flags=re.MULTILINE | re.DOTALL)
FEATURES = (ROOT / "docs" / "features.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in FEATURES.splitlines()
    if re.match(r"\| [A-S]\d", line)
]


def fences(page: str) -> list[tuple[str, str]]:
    """The fenced blocks of a page: language and text, in order."""
    return [(found["language"], found["body"]) for found in FENCE.finditer((ROOT / page).read_text(encoding="utf-8"))]


def examples() -> list[tuple[str, str, str]]:
    """Each Python block of the pages with examples: where it is, its code, and the output shown right after it."""
    found = []
    for page in (
        "README.md",
        "CONTRIBUTING.md",
        *[
            f"docs/{name}.md"
            for name in (
                "optim",
                "testing",
                "checkpoints",
                "compile",
                "keras",
                "numpy",
                "profiler",
                "sklearn",
                "source",
            )
        ],
    ):
        blocks = [*fences(page), ("", "")]
        for place, (language, body) in enumerate(blocks):
            if language == "python":
                following, output = blocks[place + 1]
                found.append((f"{page} {place}", body, output if following == "text" else ""))
    return found


EXAMPLES = examples()


def run_python(code: str, package: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(package), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, env=environment, cwd=package, capture_output=True, text=True, check=False)


# --- examples --------------------------------------------------------------------------------------------------------


def marked(example: tuple[str, str, str]) -> Any:
    """An example as a parameter of the test; one that compiles a step needs a compiler."""
    marks = [pytest.mark.compiler] if "import compile" in example[1] else []
    return pytest.param(*example[1:], id=example[0], marks=marks)


@pytest.mark.parametrize(("code", "output"), [marked(one) for one in EXAMPLES])
def test_examples_print_what_the_page_says(code: str, output: str) -> None:
    """Each example runs on its own, without a warning, and prints what stands below it."""
    assert output, "an example without the output that it prints"
    if "import torch" in code:
        pytest.importorskip("torch")
    result = run_python(code)
    assert result.returncode == 0, result.stderr
    assert result.stdout == output


def test_a_page_that_is_one_program_prints_what_it_says() -> None:
    """The blocks of docs/see-inside.md follow on each other: run in this order, each prints what stands below it."""
    blocks = [*fences("docs/see-inside.md"), ("", "")]
    names: dict[str, Any] = {}
    shown = 0
    for (language, body), (following, output) in pairwise(blocks):
        if language == "python":
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(compile(body, "see-inside", "exec"), names)  # noqa: S102 - the page's own code
            assert printed.getvalue() == (output if following == "text" else "")
            shown += following == "text"
    assert shown


def test_the_first_example_has_fifteen_lines() -> None:
    """README promises fifteen lines, and keeps it."""
    assert "## Fifteen lines" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(EXAMPLES[0][1].splitlines()) <= 15


# --- the diff in CONTRIBUTING ----------------------------------------------------------------------------------------


def diff_of_contributing() -> str:
    (diff,) = [body for language, body in fences("CONTRIBUTING.md") if language == "diff"]
    return diff


def apply(diff: str, root: Path) -> list[Path]:
    """Apply a unified diff; each hunk must fit in exactly one place, wherever that is. Gives the changed files."""
    changed = []
    for part in re.split(r"^diff --git .*\n", diff, flags=re.MULTILINE)[1:]:
        head, *hunks = re.split(r"^@@ .*\n", part, flags=re.MULTILINE)
        path = root / re.findall(r"^\+\+\+ b/(.*)$", head, flags=re.MULTILINE)[0]
        text = path.read_text(encoding="utf-8")
        for hunk in hunks:
            lines = hunk.splitlines(keepends=True)
            before = "".join(line[1:] or "\n" for line in lines if not line.startswith("+"))
            after = "".join(line[1:] or "\n" for line in lines if not line.startswith("-"))
            assert text.count(before) == 1, f"{path.name}: this hunk does not fit any more:\n{hunk}"
            text = text.replace(before, after)
        path.write_text(text, encoding="utf-8")
        changed.append(path)
    return changed


@pytest.fixture
def extended(tmp_path: Path) -> Path:
    """A folder with a copy of the package to which the diff was applied."""
    shutil.copytree(ROOT / "tinygrad_mlp", tmp_path / "tinygrad_mlp", ignore=shutil.ignore_patterns("__pycache__"))
    apply(diff_of_contributing(), tmp_path)
    return tmp_path


TRY_RECIPROCAL = """
import numpy as np
import tinygrad_mlp as tg
from tinygrad_mlp import ops
from tinygrad_mlp.tape import OPS
from tinygrad_mlp.testing import gradcheck
print(tg.__file__)
print(len(OPS))
inputs = [np.array([[0.5, -2.0, 4.0]])]
for order in (1, 2):
    report = gradcheck(ops.reciprocal, inputs, order=order).raise_if_wrong()
    assert report.method == "complex"
x = tg.Tensor([0.5, -2.0], requires_grad=True)
assert np.reciprocal(x).tolist() == ops.reciprocal(x).tolist() == [2.0, -0.5]
np.reciprocal(x).sum().backward()
assert x.grad.tolist() == [-4.0, -0.25]
"""


def test_the_diff_adds_a_working_operation(extended: Path) -> None:
    """With the diff applied, the operation answers as function and through NumPy, and its gradients are right."""
    result = run_python(TRY_RECIPROCAL, extended)
    assert result.returncode == 0, result.stderr
    package, count = result.stdout.splitlines()
    assert Path(package).is_relative_to(extended)
    assert int(count) == len(OPS) + 1


def test_a_wrong_rule_in_the_diff_is_noticed(extended: Path) -> None:
    """The test above would see a rule that is wrong by 0.1 %."""
    path = extended / "tinygrad_mlp" / "ops" / "arithmetic.py"
    right, wrong = "zmul(zmul(g, y), y)", "zmul(zmul(g, y), y * 1.001)"
    text = path.read_text(encoding="utf-8")
    assert text.count(right) == 1
    assert wrong in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    path.write_text(text.replace(right, wrong), encoding="utf-8")
    result = run_python(TRY_RECIPROCAL, extended)
    assert result.returncode != 0
    assert "complex step" in result.stderr


def definitions(path: Path) -> dict[str, str]:
    """The functions of a module by name, as source without layout."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return {one.name: ast.dump(one) for one in body if isinstance(one, ast.FunctionDef)}


def test_the_diff_is_one_declaration_and_one_name(extended: Path) -> None:
    """Two files change: one gains one decorated function, and what else is added is that function's name in lists."""
    files = [path for path in (extended / "tinygrad_mlp").rglob("*") if path.is_file()]
    originals = {path: ROOT / path.relative_to(extended) for path in files}
    changed = sorted(path for path, original in originals.items() if path.read_bytes() != original.read_bytes())
    assert [path.name for path in changed] == ["__init__.py", "arithmetic.py"]
    rooms, declaring = changed
    before, after = definitions(originals[declaring]), definitions(declaring)
    (name,) = after.keys() - before.keys()
    assert {one: after[one] for one in before} == before
    assert definitions(rooms) == definitions(originals[rooms])
    words = {
        word for path in changed for word in words_outside_functions(path) - words_outside_functions(originals[path])
    }
    assert words == {name}


def words_outside_functions(path: Path) -> set[str]:
    """Every name and string of a module that is not inside a function or its decorators."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    rest = [one for one in tree.body if not isinstance(one, ast.FunctionDef)]
    nodes = [node for one in rest for node in ast.walk(one)]
    return {
        str(word)
        for node in nodes
        for word in (getattr(node, "id", None), getattr(node, "name", None), getattr(node, "value", None))
        if isinstance(word, str)
    }


# --- names, verbs, links ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    """Every relative link and picture exists, seen from the page that names it."""
    links = re.findall(r"\]\(([^)#]+)", FENCE.sub("", page.read_text(encoding="utf-8")))
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES[:2], ids=lambda page: page.name)
def test_make_verbs_exist(page: Path) -> None:
    """Every `make` command on the page is a target of the Makefile."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z]+)", page.read_text(encoding="utf-8"), flags=re.MULTILINE))
    assert "test" in named
    assert named - targets == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paths_in_code_marks_exist(page: Path) -> None:
    """A path inside the repository that a page puts in code marks is there."""
    text = page.read_text(encoding="utf-8")
    paths = re.findall(r"`((?:tinygrad_mlp|tests|docs|notebooks|benchmarks)/[\w./]*)", text)
    assert [path for path in paths if not (ROOT / path.partition("::")[0]).exists()] == []


def test_rooms_are_those_of_the_contract() -> None:
    """The picture of the rooms shows the layers that the imports are checked against, in their order."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (layers,) = [
        contract["layers"] for contract in pyproject["tool"]["importlinter"]["contracts"] if "layers" in contract
    ]
    checked = [set(re.findall(r"\w+", layer)) for layer in layers if "__main__" not in layer]
    (picture,) = [body for _, body in fences("CONTRIBUTING.md") if "the engine" in body]
    drawn = [set(re.findall(r"\w+", re.split(r"\s{2,}", line)[0])) for line in picture.splitlines()]
    assert drawn == checked


# --- docs/kinks.md ---------------------------------------------------------------------------------------------------

KINKS = re.findall(
    r"^\| `(.*?)` \| (\S+) \| (\S+) \|", (ROOT / "docs" / "kinks.md").read_text(encoding="utf-8"), flags=re.MULTILINE
)


@pytest.mark.parametrize(("expression", "at", "slope"), KINKS, ids=[f"{one[0]} at {one[1]}" for one in KINKS])
def test_derivatives_at_kinks_are_those_of_the_page(expression: str, at: str, slope: str) -> None:
    """The derivative of each expression in the tables is the number beside it."""
    x = Tensor(float(at), requires_grad=True, dtype="float64")
    names = {**vars(ops), "x": x}
    with np.errstate(divide="ignore"):
        y = eval(expression, names)  # noqa: S307 - our own page
        (found,) = autograd.grad(y, x, allow_unused=True) if y.requires_grad else (None,)
    assert (0.0 if found is None else found.item()) == float(slope)


def test_the_tables_of_kinks_are_read() -> None:
    """The pattern that reads the page finds its lines."""
    assert len(KINKS) > 20


# --- docs/features.md ------------------------------------------------------------------------------------------------


def test_every_feature_is_proved_by_a_test_that_exists() -> None:
    """Each row names at least one test function that is there; a name in brackets is one of its cases."""
    missing = []

    for row in ROWS:
        proofs = re.findall(r"`(tests/\w+\.py)::(\w+)(?:\[(\w+)\])?`", row[3])
        assert proofs, row
        for path, test, operation in proofs:
            file = ROOT / path
            if (
                not file.exists()
                or test not in definitions(file)
                or (operation and operation not in (CASES if path.endswith("test_compositions.py") else OPS))
            ):
                missing.append((row[0], path, test, operation))
    assert missing == []


def test_features_are_entered_once_and_completely() -> None:
    """A row has an id of its own and Y or p; a partial one says what is missing, and a complete one does not."""
    assert len(ROWS) > 50
    assert all(len(row) == 5 and row[2] in {"Y", "p"} for row in ROWS)
    assert len({row[0] for row in ROWS}) == len(ROWS)
    assert [row[0] for row in ROWS if bool(row[4]) != (row[2] == "p")] == []
