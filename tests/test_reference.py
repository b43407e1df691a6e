"""docs/reference: written from the code, complete, and its examples print what stands there."""

from __future__ import annotations

import importlib.util
import re
from collections import Counter
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import tinygrad_mlp as tg
from tinygrad_mlp import compositions, linalg
from tinygrad_mlp.nn import functional

pytest.importorskip("cyclopts", reason='cyclopts is missing: pip install "tinygrad-mlp[cli]"')
pytest.importorskip("mpmath", reason='mpmath is missing: pip install "tinygrad-mlp[testing]"')

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "reference"
NUMBER = re.compile(r"-?\d+(?:\.\d*)?(?:e[+-]?\d+)?")


def _writer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("write_reference", FOLDER / "write.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


write = _writer()
PAGES = write.texts()


def _skeleton(text: str) -> tuple[str, list[float]]:
    """What stands between the numbers, spaces and signs of zeros apart, and the numbers."""
    return re.sub(r"\s+", "", NUMBER.sub("#", text)), [float(one) for one in NUMBER.findall(text)]


@pytest.mark.parametrize("page", sorted(PAGES))
def test_pages_are_up_to_date(page: str) -> None:
    """Signatures, sentences, formulas and examples are those of the code; the last digits are the processor's."""
    found, numbers = _skeleton((FOLDER / page).read_text(encoding="utf-8"))
    expected, fresh = _skeleton(PAGES[page])
    assert found == expected, "run python docs/reference/write.py"
    np.testing.assert_allclose(numbers, fresh, rtol=1e-3, atol=1e-3, err_msg="run python docs/reference/write.py")


def test_no_page_is_left_over() -> None:
    """Every file of the folder is written by the script."""
    assert {path.name for path in FOLDER.glob("*.md")} == set(PAGES)


def test_every_name_has_an_entry() -> None:
    """Operations, compositions, linear algebra and functions of layers: each once on its page."""
    entries = {page: Counter(re.findall(r"^### (\w+)$", text, re.MULTILINE)) for page, text in PAGES.items()}
    assert all(count == 1 for page in entries.values() for count in page.values())
    assert set(write.WHY) == set(entries["operations.md"])
    assert set(linalg.__all__) == set(entries["linalg.md"])
    assert set(functional.__all__) == set(entries["functional.md"])
    everywhere = set().union(*entries.values())
    assert set(compositions.HOMES) <= everywhere
    assert {name for name in compositions.METHODS if not name.startswith("_")} <= everywhere
    modules = {"Tensor", "compile", "profile", "enable_grad", "no_grad", "set_grad_enabled"}
    dtypes = {"get_default_dtype", "set_default_dtype"}
    assert {name for name in tg.__all__ if callable(getattr(tg, name))} - modules - dtypes <= everywhere


def test_every_operation_says_its_gradient() -> None:
    """A formula for it, and for each operand that a rule leads to; none is a bare name."""
    counts: Counter[str] = Counter()
    for part in re.split(r"^### ", PAGES["operations.md"], flags=re.MULTILINE)[1:]:
        name = part.partition("\n")[0]
        formula = re.search(r"^- Formula: (.+)$", part, re.MULTILINE)
        assert formula is not None, name
        assert formula[1] != f"$`\\operatorname{{{name}}}`$", name
        slopes = re.findall(r"^- Gradient by `\w+`: \$`(.+)`\$$", part, re.MULTILINE)
        counts["gradients"] += len(slopes)
        counts["operations"] += 1
        counts["without"] += "- Gradient: none." in part
        assert slopes or "- Gradient: none." in part, name
    print(dict(counts))
    assert counts["operations"] == len(write.WHY)
    assert counts["gradients"] > 100
    assert counts["without"] < 40


def test_every_entry_says_something() -> None:
    """A sentence for each; an example for each that is the same in every run."""
    for page, text in PAGES.items():
        if page in {"README.md", "operations.md"}:
            continue
        for part in re.split(r"^### ", text, flags=re.MULTILINE)[1:]:
            name = part.partition("\n")[0]
            said = re.sub(r"```.*?```", "", part, flags=re.DOTALL).partition("\n")[2].strip()
            assert len(said) > 10, f"{page}: {name}"
            assert ">>>" in part or name in write.NOT_RUN or "`Tensor." in part, f"{page}: {name}"
