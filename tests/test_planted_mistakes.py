"""The checker finds every planted mistake, in every library, and never complains about the operation unbroken."""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("planted_mistakes", ROOT / "benchmarks" / "planted_mistakes.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


PLANTED = _load()
MISTAKES = {mistake.name: mistake for mistake in PLANTED.MISTAKES}


@pytest.mark.parametrize(
    ("name", "library"),
    [(name, one) for name, mistake in MISTAKES.items() for one in PLANTED.MAKERS if one not in mistake.without],
)
def test_ours_finds_it_and_passes_the_right_gradient(name: str, library: str) -> None:
    """Wrong is called wrong, right is not, whoever's function it is."""
    if library != "tinygrad_mlp":
        pytest.importorskip(library)
    mistake = MISTAKES[name]
    complains = functools.partial(PLANTED.ours_complains, framework=library)
    assert PLANTED.verdict(mistake, library, complains) == "found"


@pytest.mark.parametrize("name", MISTAKES)
def test_the_page_says_what_the_checkers_say(name: str) -> None:
    """The line of the table in docs/testing.md is what comes out today."""
    page = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
    (line,) = [line for line in page.splitlines() if line.startswith(f"| {name} |")]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[1] == "found"
    for place, library in enumerate(PLANTED.CHECKERS):
        if library in PLANTED.installed():
            assert cells[2 + place] == PLANTED.verdict(MISTAKES[name], library, PLANTED.CHECKERS[library]), library


def test_a_wrong_factor_of_a_batch_is_missed_with_a_batch_of_one() -> None:
    """Why more than one point is needed: at the first one the mistake is no mistake."""
    mistake = MISTAKES["a factor 1/n forgotten (invisible for a batch of one)"]
    wrong = PLANTED.make_ours(mistake, mistake.wrong)
    found = [PLANTED.ours_complains(wrong, point, 1) for point in mistake.points]
    assert found == [False, True]
