"""The benchmarks compare equal work, and run. Nothing here looks at a time: that would test the neighbours."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "benchmarks"
OWN = {path.stem for path in FOLDER.glob("*.py")} | {"peers", "peers.plain_numpy", "peers.pytorch"}
NAMES = [
    "2-8-1 batch 1",
    "2-64-5 batch 500",
    "2-16-16-2 batch 64",
    "784-300-100-10 batch 32",
    "784-300-100-10 batch 256",
]


@pytest.fixture(autouse=True)
def benchmarks_importable(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The scripts import each other by file name, as they do when run; afterwards those names are free again."""
    monkeypatch.syspath_prepend(FOLDER)
    yield
    for name in OWN:
        sys.modules.pop(name, None)


def _steps(name: str, dtype: Any) -> dict[str, Any]:
    workloads = {workload.name: workload for workload in importlib.import_module("workloads").WORKLOADS}
    steps: dict[str, Any] = importlib.import_module("steps").contenders(workloads[name], dtype)
    return steps


def _losses(step: Any, count: int = 20) -> Any:
    return np.array(importlib.import_module("steps").losses(step, count))


@pytest.mark.parametrize("name", NAMES)
def test_equal_work(name: str) -> None:
    """20 steps in float64 give the losses of hand-written NumPy (and PyTorch's, where installed) to 1e-10."""
    steps = _steps(name, np.float64)
    expected = _losses(steps.pop("numpy"))
    assert expected[-1] < expected[0]
    assert "ours" in steps
    for step in steps.values():
        np.testing.assert_allclose(_losses(step), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_float32_stays_float32(name: str) -> None:
    """No contender computes in double precision what the others compute in single."""
    for step in _steps(name, np.float32).values():
        assert str(step().dtype).removeprefix("torch.") == "float32"


def test_a_wrong_contender_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before timing, a contender whose learning rate is off by 1 % stops the run."""
    steps, harness = importlib.import_module("steps"), importlib.import_module("harness")
    dataclasses = importlib.import_module("dataclasses")
    make = steps.engine.make_step
    monkeypatch.setattr(
        steps.engine,
        "make_step",
        lambda workload, dtype: make(dataclasses.replace(workload, lr=workload.lr * 1.01), dtype),
    )
    with pytest.raises(RuntimeError, match="differ by"):
        steps.measure(harness.Settings(quick=True, rounds=1, block=1e-4))


def test_ratios_compare_blocks_of_one_round() -> None:
    """A neighbour that slows whole rounds down changes no ratio; a contender that did not run has none."""
    harness = importlib.import_module("harness")
    seconds = {"ours": [1.0, 10.0, 2.0], "torch": [2.0, 20.0, 4.0]}
    assert harness.ratio_of(seconds, "ours", "torch") == 0.5
    assert harness.ratio_of(seconds, "ours", "numpy") is None
    assert harness.verdict((0.5, 0.5), (None, 0.1), (3.0, None)) == "met"
    assert harness.verdict((0.5, 0.5), (0.2, 0.1)) == "missed"
    assert harness.verdict((None, 0.4)) == "-"
    assert harness.verdict((0.5, 0.6), seconds={"ours": [1.0, 1.1, 1.2]}) == "met"
    assert harness.verdict((0.5, 0.6), seconds={"ours": [1.0, 2.0, 2.1]}) == "too noisy"


def test_turns_are_rotated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every contender is timed once per round, and each comes first equally often."""
    harness = importlib.import_module("harness")
    monkeypatch.setattr(harness, "_calls_per_block", lambda step, block, clock: 1)
    calls: list[str] = []
    settings = harness.Settings(rounds=3)
    seconds = harness.take_turns({name: lambda name=name: calls.append(name) for name in "abc"}, settings)
    assert {name: len(values) for name, values in seconds.items()} == {"a": 3, "b": 3, "c": 3}
    # Each block is one untimed and one timed call.
    assert "".join(calls) == "aabbccbbccaaccaabb"


def _run(*args: str, without_torch: Path | None = None) -> subprocess.CompletedProcess[str]:
    path = [str(without_torch)] if without_torch else []
    return subprocess.run(
        [sys.executable, str(FOLDER / "run.py"), *args],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([*path, str(ROOT)])},
    )


@pytest.mark.slow
def test_quick_run_prints_every_row(tmp_path: Path) -> None:
    """`run.py --quick` ends well, prints every workload and benchmark, and writes the same figures as JSON."""
    file = tmp_path / "figures.json"
    done = _run("--quick", "--json", str(file))
    assert done.returncode == 0, done.stderr
    for name in NAMES:
        assert any(line.strip().startswith(name) for line in done.stdout.splitlines()), done.stdout
    figures = json.loads(file.read_text())
    known = importlib.import_module("run").BENCHMARKS
    assert [table["name"] for table in figures["tables"]] == list(known)
    for name in known:
        assert f"[{name}]" in done.stdout
    assert [row["workload"] for row in figures["tables"][0]["rows"]] == NAMES
    assert all(row["ours_us"] > 0 and row["numpy_us"] > 0 for row in figures["tables"][0]["rows"])
    assert {"cpu", "numpy", "torch", "blas", "threads"} <= set(figures["environment"])


def test_runs_without_torch(tmp_path: Path) -> None:
    """Where PyTorch is absent its columns say so, and the rest is measured."""
    # Python runs a sitecustomize module on its path at start-up: this one hides PyTorch from the import system.
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as u\nfind = u.find_spec\n"
        "u.find_spec = lambda name, package=None: None if name == 'torch' else find(name, package)\n"
    )
    done = _run("--quick", "--only", "steps", "op", without_torch=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.strip().startswith(tuple(NAMES))]
    assert len(rows) == len(NAMES)
    assert all("not installed" in row for row in rows)


def test_help_names_every_benchmark() -> None:
    """--help lists what --only takes."""
    done = _run("--help")
    assert done.returncode == 0
    for name in importlib.import_module("run").BENCHMARKS:
        assert f"\n  {name} " in done.stdout
