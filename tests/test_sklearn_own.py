"""scikit-learn's own ``test_mlp.py`` and ``test_perceptron.py`` pass with our classes in place of theirs."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]
FILES = ("sklearn.neural_network.tests.test_mlp", "sklearn.linear_model.tests.test_perceptron")
# How many tests the two files of a release hold; all of them apply. Only test_gradient needs help, see sklearn_own.py.
COLLECTED = {"1.9.1": 65}
FAILURES: dict[str, str] = {}
"""Tests that do not pass, and why."""
# Some twenty seconds of training, which the parity tests cover in less; they run in the nightly profile.
LONG = (
    "test_partial_fit_classification",
    "test_partial_fit_regression",
    "test_multioutput_regression",
    "test_n_iter_no_change",
    "test_lbfgs",
    "test_warm_start",
    "test_early_stopping",
    "test_multilabel_classification",
    "test_mlp_vs_poisson",
)


@pytest.mark.slow
def test_own_tests_of_scikit_learn_pass(tmp_path: Path) -> None:
    """Every test passes that is not listed above with its reason, and none of them fits a class of theirs."""
    nightly = settings.get_current_profile_name() == "nightly"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "tests.sklearn_own"]
    command += ["-c", os.devnull, "--rootdir", str(tmp_path), "-W", "ignore::pytest.PytestAssertRewriteWarning"]
    command += [] if nightly else ["-k", " and ".join(f"not {name}" for name in LONG)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OUTCOMES": str(tmp_path / "outcomes.json")}
    run = subprocess.run(
        [*command, "--pyargs", *FILES], env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (tmp_path / "outcomes.json").exists(), run.stdout + run.stderr
    outcomes = json.loads((tmp_path / "outcomes.json").read_text(encoding="utf-8"))
    failed = {name: outcome for name, outcome in outcomes.items() if outcome != "passed"}
    assert set(failed) == set(FAILURES), "\n".join(f"{name}: {outcome}" for name, outcome in failed.items())
    if nightly:
        version = importlib.metadata.version("scikit-learn")
        assert len(outcomes) == COLLECTED.get(version, len(outcomes))
    else:
        assert len(outcomes) >= 30
