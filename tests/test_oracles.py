"""Value, gradient, JVP and HVP of random graphs, against the libraries that are installed. See ``oracles``."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import settings
from oracles import LIBRARIES, SHARED, TOLERANCE, Tally, compare, draw, ours

from tinygrad_mlp.tape import OPS

NIGHTLY = settings().max_examples >= 2000


def tally(library: str, graphs: int) -> Tally:
    return Tally().add(range(graphs), [library])


def test_random_graphs_agree_with_torch() -> None:
    """300 graphs (nightly 10,000), every shared operation among them: no error above 1e-10."""
    pytest.importorskip("torch")
    found = tally("torch", 10_000 if NIGHTLY else 300)
    assert found.mismatches == []
    assert set(found.operations) == set(SHARED)


@pytest.mark.slow
def test_random_graphs_agree_with_jax() -> None:
    """12 graphs (nightly 10,000): JAX compiles each of its operations for each shape, which takes most of the time."""
    jax = pytest.importorskip("jax")
    with jax.disable_jit(not NIGHTLY):
        assert tally("jax", 10_000 if NIGHTLY else 12).mismatches == []


def test_a_wrong_rule_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the rule of exp wrong by a millionth, graphs that contain exp are mismatches, and no others are."""
    pytest.importorskip("torch")
    plan = OPS["exp"].plan(1, 1)
    pull = plan.pull
    monkeypatch.setattr(plan, "pull", lambda *given: tuple(one * (1 + 1e-6) for one in pull(*given)))
    graphs = [draw(number) for number in range(60)]
    wrong = [graph for graph in graphs if compare(ours(graph), LIBRARIES["torch"](graph))["gradient"] > TOLERANCE]
    assert 3 < len(wrong) < 60
    assert all("exp" in {step.name for step in graph.program} for graph in wrong)


def test_the_error_is_relative_to_the_quantity() -> None:
    """A difference counts against 1 plus the largest magnitude of all leaves; NaN is never right."""
    mine = {"gradient": [np.array([1e6 + 1.0]), np.array([0.0])]}
    assert compare(mine, {"gradient": [np.array([1e6]), np.array([0.0])]})["gradient"] == 1.0 / (1.0 + 1e6)
    assert compare(mine, {"gradient": [np.array([np.nan]), np.array([0.0])]})["gradient"] == np.inf


def test_graphs_are_numbered() -> None:
    """A number gives the same graph again: what a mismatch prints can be looked at."""
    first, again = draw(17), draw(17)
    assert str(first) == str(again)
    np.testing.assert_array_equal(first.incoming, again.incoming)
