"""``tinygrad-mlp ops`` and docs/ops.md: every declared operation is there, and its figures are within its contract."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from tinygrad_mlp.cli import main, op_table
from tinygrad_mlp.tape import OPS
from tinygrad_mlp.testing.accuracy import Accuracy, Figure, contract_of
from tinygrad_mlp.testing.laws import OpReport
from tinygrad_mlp.testing.report import Finding

pytest.importorskip("cyclopts", reason='cyclopts is missing: pip install "tinygrad-mlp[cli]"')
pytest.importorskip("mpmath", reason='mpmath is missing: pip install "tinygrad-mlp[testing]"')

PAGE = Path(__file__).resolve().parents[1] / "docs" / "ops.md"
FIGURES = {
    cells[0]: cells[1:]
    for line in PAGE.read_text(encoding="utf-8").partition("## Errors measured")[2].splitlines()
    if len(cells := [cell.strip() for cell in line.strip("|").split("|")]) == 8
}
ELSEWHERE = 4


def test_the_page_is_up_to_date() -> None:
    """Whoever declares an operation, or changes a formula, a range or a contract, writes the page again."""
    assert main(["ops", "--check", str(PAGE)]) == 0


@pytest.mark.parametrize("name", list(OPS))
def test_figures_on_the_page_are_within_the_contract(name: str) -> None:
    """Every law holds; six figures for each operation with a gradient, none above its limit; dashes for the others."""
    op = OPS[name]
    laws, *figures = FIGURES[name]
    passed, _, of = laws.partition(" of ")
    assert int(passed) == int(of) >= 3
    if not (callable(op.rules) or any(op.rules)):
        assert set(figures) == {"–"}
        return
    limits = contract_of(op).limits
    for place, (figure, limit) in enumerate(zip(figures, limits * 2, strict=True)):
        allowed = limit.double if place < 3 else limit.single
        assert re.fullmatch(r"\d+(\.\d\d)?s?", figure), figure
        assert float(figure.rstrip("s")) <= allowed
        assert figure == "0" or figure.endswith("s") == limit.scaled


def test_a_stale_page_is_noticed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A page without one operation, with another range, or without its figures, is stale: exit code 1."""
    text = PAGE.read_text(encoding="utf-8")
    page = tmp_path / "ops.md"
    for old, new in (("| `tanh` |", "| `tanhh` |"), ("-300 … 300", "-30 … 30"), ("\n| tanh |", "\n| tan h |")):
        assert old in text
        page.write_text(text.replace(old, new), encoding="utf-8")
        assert main(["ops", "--check", str(page)]) == 1
        assert "stale" in capsys.readouterr().err


def test_figures_may_differ(tmp_path: Path) -> None:
    """Another machine's figures do not make the page stale."""
    page = tmp_path / "ops.md"
    declared, marker, figures = PAGE.read_text(encoding="utf-8").partition("## Errors measured")
    page.write_text(declared + marker + re.sub(r"0\.\d\d", "0.33", figures), encoding="utf-8")
    assert main(["ops", "--check", str(page)]) == 0


def test_the_terminal_shows_what_was_measured(capsys: pytest.CaptureFixture[str]) -> None:
    """Named operations only, with their operands and six figures, and a sentence at the end."""
    assert main(["ops", "tanh", "eq", "--quick"]) == 0
    shown = capsys.readouterr().out
    (line,) = [line for line in shown.splitlines() if line.startswith("tanh ")]
    assert len(re.findall(r"\d\.\d\d", line)) == 6
    assert "eq  " in shown
    assert "sigmoid" not in shown
    assert "2 ops measured, 0 figures above their limit." in shown


def test_the_page_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """--write writes a page that --check accepts; a figure above its limit is told, and the exit code is 1."""
    page = tmp_path / "ops.md"
    error = 0.0

    def pretended(name: str, dtype: type, **options: int) -> Accuracy:
        figure = Figure(error, error)
        return Accuracy(name, np.dtype(dtype), (figure, figure, figure))

    monkeypatch.setattr(op_table, "measure", pretended)
    monkeypatch.setattr(op_table, "check_op", lambda name, **_: OpReport(name, (Finding("value", "passed"),)))
    assert main(["ops", "--write", str(page), "--quick"]) == 0
    assert main(["ops", "--check", str(page)]) == 0
    assert (
        page.read_text(encoding="utf-8").partition("## Errors")[0] == PAGE.read_text("utf-8").partition("## Errors")[0]
    )
    error = 1000.0
    assert main(["ops", "--write", str(page)]) == 1
    assert "tanh in float64: value 1e+03 ULP, allowed 4" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tanhh"], "unknown op 'tanhh'; did you mean 'tanh'?"),
        (["--check", "nowhere.md"], "there is no such file"),
        (["--write", "no/folder/ops.md"], "there is no folder"),
    ],
)
def test_mistakes_are_told(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Names and files that do not exist: one line, exit code 2."""
    assert main(["ops", *arguments]) == 2
    assert message in capsys.readouterr().err
