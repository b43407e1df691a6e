"""Every notebook runs from top to bottom, and its own assertions hold."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tinygrad_mlp import get_default_dtype, set_default_dtype

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.py"))
# What reads a real data set, and the name by which the fixture `real_data` knows it.
READS = {
    "fashion_mnist": r"\bfashion_mnist\.load_data\(",
    "mnist": r"\bmnist\.load_data\(",
    "reviews": r"\bload_movie_reviews\(",
}
CELL = re.compile(r"^# %%(?P<kind>.*)\n", flags=re.MULTILINE)


def real_sets(path: Path) -> list[str]:
    """The real data sets that a notebook reads."""
    text = path.read_text(encoding="utf-8")
    return [name for name, call in READS.items() if re.search(call, text)]


def cells_of(text: str) -> list[tuple[bool, int, str]]:
    """The cells of a notebook in percent format: whether it is code, the line it starts on, and its lines."""
    marks = list(CELL.finditer(text))
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    return [
        ("[markdown]" not in mark["kind"], text.count("\n", 0, mark.end()), text[mark.end() : end].strip("\n"))
        for mark, end in zip(marks, ends, strict=True)
    ]


def shown(value: Any) -> str:
    """What a notebook would show for the last expression of a cell."""
    bundle = getattr(value, "_repr_mimebundle_", None)
    return repr(value) if bundle is None else bundle()["text/plain"]


def run(path: Path) -> list[str]:
    """Execute all cells in one namespace, as a notebook does; the reprs of what the cells show."""
    scope: dict[str, Any] = {"__name__": "__main__"}
    outputs = []
    for is_code, line, source in cells_of(path.read_text(encoding="utf-8")):
        if not is_code:
            continue
        # Empty lines in front, so that a traceback names the line of the file.
        body = ast.parse("\n" * line + source, str(path)).body
        last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
        exec(compile(ast.Module(body, []), path, "exec"), scope)  # noqa: S102 - our own notebook
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), path, "eval"), scope)  # noqa: S307 - our own notebook
            if value is not None:
                outputs.append(shown(value))
    return outputs


@pytest.fixture(autouse=True)
def drawings(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """The figures that a notebook showed, each of them drawn; nothing opens a window."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figures: list[Any] = []

    def show() -> None:
        for number in plt.get_fignums():
            figure = plt.figure(number)
            figure.canvas.draw()
            figures.append(figure)
        plt.close("all")

    monkeypatch.setattr(plt, "show", show)
    dtype = get_default_dtype()
    yield figures
    set_default_dtype(dtype)
    plt.close("all")


def test_there_are_notebooks() -> None:
    """The tests below are about something."""
    assert NOTEBOOKS


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=[pytest.mark.realdata] if real_sets(path) else [], id=path.stem) for path in NOTEBOOKS],
)
def test_notebook_runs(path: Path, drawings: list[Any], request: pytest.FixtureRequest) -> None:
    """No cell raises, no assertion fails, and every figure that was made can be drawn and has something in it."""
    for name in real_sets(path):
        # Where it is missing, this skips or fails before the notebook would download it.
        request.getfixturevalue("real_data")(name)
    assert run(path) or drawings
    assert all(axes.has_data() for figure in drawings for axes in figure.axes)


def test_the_tape_by_hand_shows_its_graphs_and_its_figure(drawings: list[Any]) -> None:
    """The first notebook shows three graphs: without gradients, with them, and with a fan-out."""
    graphs = [one for one in run(FOLDER / "01_the_tape_by_hand.py") if one.startswith(("Graph(", "6 nodes", "3 nodes"))]
    assert len(graphs) == 3
    assert len(drawings) == 1


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("grad_u = grad_p * -3.0", "grad_u = grad_p * -3.003"),
        ("(probability - truth).mean(axis=0)", "(probability - truth).sum(axis=0)"),
        ("L.backward()\n\nfor", "L.no_such_method()\n\nfor"),
    ],
    ids=["hand-made number off by 0.1 %", "another formula", "a cell that raises"],
)
def test_a_mistake_is_noticed(right: str, wrong: str, tmp_path: Path) -> None:
    """A notebook whose numbers by hand differ from the engine's fails, and so does one that raises."""
    text = (FOLDER / "01_the_tape_by_hand.py").read_text(encoding="utf-8")
    assert text.count(right) == 1
    (tmp_path / "broken.py").write_text(text.replace(right, wrong), encoding="utf-8")
    with pytest.raises((AssertionError, AttributeError)):
        run(tmp_path / "broken.py")
