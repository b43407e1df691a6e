"""The benchmarks compare equal work, and run. Nothing here looks at a time: that would test the neighbours."""

from __future__ import annotations

import dataclasses
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
OWN = {path.stem for path in FOLDER.glob("*.py")} | {"peers"}
NAMES = [
    "BMI 2-8-1 batch 1",
    "moons 2-16-16-2 batch 64",
    "spiral 2-64-5 batch 500",
    "Fashion 784-300-100-10 batch 32",
    "Fashion 784-300-100-10 batch 256",
    "wide 784-2048-2048-10 batch 512",
    "deep 16-32×(16)-2 tanh batch 32",
]
TEXT = "LSTM text 5000×32, 100, 100 steps, batch 64"
# Those that can compute in double precision without a setting of the whole process.
EXACT = {"eager", "replay", "native", "native epoch", "NumPy", "torch", "autograd", "mygrad"}


@pytest.fixture(autouse=True)
def benchmarks_importable(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The scripts import each other by file name, as they do when run; afterwards those names are free again."""
    monkeypatch.syspath_prepend(FOLDER)
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] in OWN]:
        sys.modules.pop(name)


def _settings(**given: Any) -> Any:
    return importlib.import_module("harness").Settings(quick=True, rounds=1, block=1e-4, **given)


def _started(name: str, optimizer: str, dtype: Any) -> tuple[Any, dict[str, Any]]:
    """The workload, small if its steps are long, and the runners of whoever is installed."""
    workload = importlib.import_module("workloads").BY_NAME[name]
    if name.startswith(("wide", "LSTM")):
        workload = workload.shrunk()
    names = importlib.import_module("contenders").NAMES
    without = tuple(set(names) - EXACT) if dtype is np.float64 else ()
    _, runners = importlib.import_module("steps").started(workload, optimizer, _settings(without=without), dtype)
    return workload, runners


CASES = [(name, optimizer) for name in NAMES for optimizer in ("SGD", "Adam")] + [(TEXT, "Adam")]


@pytest.mark.parametrize("name, optimizer", CASES)
def test_equal_work(name: str, optimizer: str) -> None:
    """20 steps in float64 give the losses of hand-written NumPy (and the peers', where installed) to 1e-8."""
    _, runners = _started(name, optimizer, np.float64)
    expected = np.array(runners.pop("NumPy").losses(20))
    assert len(set(expected)) == 20
    assert "eager" in runners
    for contender, runner in runners.items():
        np.testing.assert_allclose(runner.losses(20), expected, rtol=1e-8, atol=1e-12, err_msg=contender)


@pytest.mark.parametrize("name", NAMES)
def test_the_teacher_can_be_learnt(name: str) -> None:
    """The workloads are training: over all its batches the loss falls."""
    workload, runners = _started(name, "SGD", np.float64)
    losses = runners["NumPy"].losses(6 * min(workload.stack, 100))
    third = len(losses) // 3
    assert np.mean(losses[-third:]) < np.mean(losses[:third])


@pytest.mark.parametrize("name, optimizer", CASES)
def test_float32_stays_float32(name: str, optimizer: str) -> None:
    """No contender computes in double precision what the others compute in single."""
    for runner in _started(name, optimizer, np.float32)[1].values():
        assert str(runner.run().dtype).removeprefix("torch.") == "float32"


@pytest.mark.parametrize("name, optimizer", CASES)
def test_single_precision_agrees(name: str, optimizer: str) -> None:
    """The check before timing passes for everyone who takes part."""
    workload, runners = _started(name, optimizer, np.float32)
    worst, failures = importlib.import_module("steps").agree(workload, optimizer, runners)
    assert worst < 0.02
    assert failures == {}


def test_a_wrong_contender_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before timing, a contender whose learning rate is off by 1 % stops the run, by name."""
    steps, engine = importlib.import_module("steps"), importlib.import_module("engine")
    make = engine.make_step

    def make_wrong(workload: Any, *rest: Any) -> Any:
        return make(
            dataclasses.replace(workload, rates=tuple((name, 1.01 * rate) for name, rate in workload.rates)), *rest
        )

    monkeypatch.setattr(engine, "make_step", make_wrong)
    with pytest.raises(RuntimeError, match="SGD: eager and NumPy in float64 differ by"):
        steps.measure(_settings())


def test_a_contender_that_breaks_is_named_and_left_out() -> None:
    """One that raises gets the word "failed" and its message below the table, and the rest is measured."""
    steps = importlib.import_module("steps")
    workload, runners = _started(NAMES[1], "SGD", np.float32)

    class Broken:
        def losses(self, count: int) -> list[float]:
            raise ZeroDivisionError("no such luck")

    runners["torch"] = Broken()
    _, failures = steps.agree(workload, "SGD", runners)
    assert failures == {"torch": "ZeroDivisionError: no such luck"}
    assert "torch" not in runners
    assert "eager" in runners


def test_contenders_that_cannot_run_say_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that is not installed, and one that is left out by name, give a word and no figure."""
    steps, contenders = importlib.import_module("steps"), importlib.import_module("contenders")
    monkeypatch.setattr(contenders, "has", lambda name: name == "numpy")
    workload = importlib.import_module("workloads").BY_NAME[NAMES[1]]
    absent, runners = steps.started(workload, "SGD", _settings(without=("NumPy",)))
    assert absent["NumPy"] == "left out"
    assert {absent[name] for name in ("torch", "jax.jit", "jax scan", "sklearn", "autograd", "mygrad")} == {
        "not installed"
    }
    assert "eager" in runners


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


def _run(*args: str, hidden: Path | None = None) -> subprocess.CompletedProcess[str]:
    path = [str(hidden)] if hidden else []
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
    # Compiling for each workload is most of the time; that these two run and agree has its own tests above.
    done = _run("--quick", "--without", "jax.jit", "jax scan", "--json", str(file))
    assert done.returncode == 0, done.stderr
    for name in NAMES:
        assert any(line.strip().startswith(name) for line in done.stdout.splitlines()), done.stdout
    figures = json.loads(file.read_text())
    known = importlib.import_module("run").BENCHMARKS
    tables = {table["name"]: table["rows"] for table in figures["tables"]}
    assert known.keys() <= tables.keys()
    for name in tables:
        assert f"[{name}]" in done.stdout
    assert [row["workload"] for row in tables["steps"]] == NAMES
    assert [row["workload"] for row in tables["steps-adam"]] == [*NAMES, TEXT]
    assert all(row["eager"] > 0 and row["NumPy"] > 0 for row in tables["steps"] + tables["steps-adam"])
    assert {"cpu", "numpy", "torch", "blas", "threads"} <= set(figures["environment"])


def test_runs_without_any_peer(tmp_path: Path) -> None:
    """Where no peer is installed their columns say so, and the rest is measured."""
    peers = ("torch", "jax", "sklearn", "autograd", "mygrad", "micrograd", "keras")
    # Python runs a sitecustomize module on its path at start-up: this one hides the peers from the import system.
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as u\nfind = u.find_spec\n"
        f"u.find_spec = lambda name, package=None: None if name in {peers!r} else find(name, package)\n"
    )
    done = _run("--quick", "--only", "steps", "op", hidden=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.strip().startswith(tuple(NAMES))]
    assert len(rows) == 4 * len(NAMES)
    assert sum("not installed" in row for row in rows) == 2 * len(NAMES)


def test_the_picture_shows_every_contender_that_ran() -> None:
    """A panel per workload; in it a bar per figure, with its time and its multiple of our best written beside it."""
    plot = importlib.import_module("plot")
    rows = [
        {"workload": "one", "eager": 30.0, "native": 10.0, "NumPy": 20.0, "jax scan": 2.5, "torch": "not installed"},
        {"workload": "two", "eager": 2000.0, "replay": "failed", "NumPy": 1000.0},
    ]
    facts = {"cpu": "a", "cores": 2, "threads": 1, "clock": "b", "blas": "c"}
    figure = plot.draw({"environment": facts, "tables": [{"name": "steps", "rows": rows}]})
    first, second = [axes for axes in figure.axes if axes.get_title(loc="left")]
    assert [label.get_text() for label in first.get_yticklabels()] == ["eager", "NumPy", "native", "jax scan"]
    assert [text.get_text() for text in first.texts] == [
        "30 µs · 3.00×",
        "20 µs · 2.00×",
        "10 µs · 1.00×",
        "2.5 µs · 0.25×",
    ]
    assert [text.get_text() for text in second.texts] == ["2.0 ms · 1.00×", "1.0 ms · 0.50×"]
    importlib.import_module("matplotlib.pyplot").close(figure)
    with pytest.raises(LookupError, match="steps-adam"):
        plot.draw({"environment": facts, "tables": []}, "Adam")


def test_micrograds_demo_by_hand_and_on_the_tape() -> None:
    """All ways of writing micrograd's step give the losses of NumPy by hand, and micrograd does where installed."""
    points = 4
    demo = importlib.import_module("scalar_graph")
    expected = demo.by_hand(points, 4)
    assert expected[-1] < expected[0]
    ran = []
    for name, make in demo.contenders().items():
        step = make(points)
        if not isinstance(step, str) and "native" not in name:
            np.testing.assert_allclose([float(step()) for _ in range(4)], expected, rtol=0, atol=1e-12, err_msg=name)
            ran.append(name)
    assert {"ours, scalars, eager", "ours, arrays, eager"} <= set(ran)


def test_help_names_every_benchmark() -> None:
    """--help lists what --only takes."""
    done = _run("--help")
    assert done.returncode == 0
    for name in importlib.import_module("run").BENCHMARKS:
        assert f"\n  {name} " in done.stdout
