"""Two graphs beside each other, what is wrong in one, and the graph of what failed."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import tinygrad_mlp as tg
from tinygrad_mlp import Tensor, nn, optim, record_values
from tinygrad_mlp.errors import ShapeError
from tinygrad_mlp.graph import Graph, graph_of_error

jsonschema = pytest.importorskip("jsonschema", reason="pip install jsonschema")
X = np.random.default_rng(0).normal(size=(32, 8)).astype(np.float32)
T = np.arange(32) % 3


def fits(graph: Graph) -> dict[str, Any]:
    """The document of a graph, after a look at its schema; its other pictures can be made."""
    found = json.loads(graph.to_json(), parse_constant=pytest.fail)
    jsonschema.validate(found, tg.graph.schema())
    assert graph.to_dot().count("[label=") >= len(graph.nodes)
    assert len(graph.to_html()) > len(graph.to_json())
    assert graph.to_text()
    return found


def step_of(model: Any) -> Graph:
    model.zero_grad()
    with record_values():
        loss = nn.CrossEntropyLoss()(model(X), T)
    loss.backward()
    return loss.graph(names=[model, {"x": X, "loss": loss}])


# --- comparing ---------------------------------------------------------------------------------------


def test_a_step_of_gradient_descent_changes_what_numpy_says() -> None:
    """Of every parameter the relative change is lr·|g| over the larger norm; inputs and targets are the same."""
    model = nn.MLP(8, 16, 3, seed=0)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    before = step_of(model)
    optimizer.step()
    compared = before.diff(step_of(model))
    fits(compared)
    old = {node.name: node for node in before.nodes if node.name}
    for node in compared.nodes:
        assert node.change is not None
        if node.kind == "parameter":
            was = old[node.name].value
            moved = np.linalg.norm((node.value - was).astype(float)) / max(
                np.linalg.norm(was), np.linalg.norm(node.value)
            )
            assert node.change.kind == "changed"
            assert node.change.value == pytest.approx(moved, rel=1e-5)
        elif node.kind in {"input", "constant"}:
            assert node.change.kind == "same"
    assert compared.notes[0].startswith("Nodes: ")


def test_a_graph_beside_itself_is_the_same() -> None:
    """Nothing changed, nothing came, nothing went; the nodes and arrows are those of the graph."""
    graph = step_of(nn.MLP(8, 16, 3, seed=0))
    compared = graph.diff(graph)
    assert {node.change.kind for node in compared.nodes if node.change} == {"same"}
    assert len(compared.nodes) == len(graph.nodes)
    assert len(compared.edges) == len(graph.edges)


@pytest.mark.parametrize("turned", [False, True])
def test_another_layer_is_added_or_removed(turned: bool) -> None:
    """Its ops and parameters are marked, with their arrows, sources first; all others are found again."""
    small, large = step_of(nn.MLP(8, 16, 3, seed=0)), step_of(nn.MLP(8, 16, 16, 3, seed=0))
    compared = large.diff(small) if turned else small.diff(large)
    found = fits(compared)
    marked = {
        node["name"] or node["op"]
        for node in found["nodes"]
        if node["change"]["kind"] == ("removed" if turned else "added")
    }
    assert {"4.weight", "4.bias", "linear", "relu"} <= marked
    assert not any(
        node["change"]["kind"] == ("added" if turned else "removed") and node["kind"] == "parameter"
        for node in found["nodes"]
    )
    assert all(edge["source"] < edge["target"] for edge in found["edges"])
    assert len({(edge["target"], edge["position"], edge["source"]) for edge in found["edges"]}) == len(found["edges"])


def test_compiled_and_eager_weights_are_compared() -> None:
    """Replay changes no bit: the graphs after five steps of each are the same."""
    graphs = []
    for compiled in (False, True):
        model = nn.MLP(8, 16, 3, seed=0)
        optimizer = optim.SGD(model.parameters(), lr=0.1)

        def step(model: Any = model, optimizer: Any = optimizer) -> Any:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(Tensor(X)), T)
            loss.backward()
            optimizer.step()
            return loss

        run = tg.compile(step, backend="replay") if compiled else step
        for _ in range(5):
            run()
        graphs.append(step_of(model))
    assert {node.change.kind for node in graphs[0].diff(graphs[1]).nodes if node.change} == {"same"}


# --- health ------------------------------------------------------------------------------------------


def kinds(graph: Graph, **options: Any) -> dict[str, set[str]]:
    """The kinds found, by the name or the op of the node."""
    found: dict[str, set[str]] = {}
    for place, finding in graph.health(**options).findings:
        node = graph.nodes[place]
        found.setdefault(node.name or node.op or "", set()).add(finding.kind)
    return found


def test_a_healthy_step_has_no_findings() -> None:
    """A fresh network on scaled data."""
    graph = step_of(nn.MLP(8, 16, 16, 3, seed=0))
    assert not [one for _, one in graph.health(lr=0.1).findings if one.severity != "info"]
    assert str(step_of(nn.MLP(8, 3, seed=0)).health()) == "nothing found"


def test_dead_units_are_counted() -> None:
    """Ten of sixteen, pushed below zero by their biases."""
    model = nn.MLP(8, 16, 3, seed=0)
    model[0].bias.data[:10] = -100
    (finding,) = [one for _, one in step_of(model).health().findings if one.kind == "dead"]
    assert finding.text == "10 of 16 units are 0 for all 32 samples"
    assert finding.severity == "warning"


@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
def test_saturation_and_what_follows_from_it(activation: str) -> None:
    """Large first weights saturate; gradients behind many small layers vanish."""
    model = nn.MLP(8, 16, 16, 16, 16, 3, activation=activation, seed=0)
    model[0].weight.data *= 100
    for parameter in list(model.parameters())[2:-2]:
        parameter.data *= 0.003
    found = kinds(step_of(model), lr=0.1)
    assert "saturated" in found[activation]
    assert "vanishing" in found["0.weight"]
    assert "update ratio" in found["0.weight"]
    assert "8.bias" not in found


def test_the_first_nan_is_named_on_both_ways() -> None:
    """Not those that follow from it."""
    w = Tensor(np.array([1.0, -2.0, 3.0]), requires_grad=True)
    with record_values(), np.errstate(all="ignore"):
        loss = (w.log() * 2.0).sum()
    graph = loss.graph(names={"w": w})
    assert kinds(graph) == {"log": {"first bad"}}
    x = Tensor(np.array([0.0, 4.0]), requires_grad=True)
    with record_values(), np.errstate(all="ignore"):
        loss = (x**0.5).sum()
        loss.backward()
    assert kinds(loss.graph(names={"x": x})) == {"x": {"first bad"}}


def test_exploding_gradients_are_told() -> None:
    """A root mean square above ten thousand."""
    w = Tensor(np.ones(4), requires_grad=True)
    with record_values():
        loss = (w * 1e6).sum()
    loss.backward()
    graph = loss.graph(names={"w": w})
    assert kinds(graph) == {"w": {"exploding"}}
    shown = graph.with_health()
    assert fits(shown)["nodes"][0]["health"][0]["kind"] == "exploding"
    assert "1e+06" in shown.to_dot()


# --- what failed -------------------------------------------------------------------------------------


def test_a_shape_error_of_an_op_has_the_graph_up_to_it() -> None:
    """The op and both operands are marked, everything before is there, and the message is a note."""
    a = Tensor(np.ones((2, 3)), requires_grad=True)
    with pytest.raises(ShapeError) as caught, record_values():
        (a * 2.0) @ Tensor(np.ones((4, 5)))
    graph = caught.value.graph  # type: ignore[attr-defined]
    found = fits(graph)
    failed = [node for node in found["nodes"] if "failed" in node["marks"]]
    assert [(node["op"], node["shape"]) for node in failed] == [("mul", [2, 3]), (None, [4, 5]), ("matmul", None)]
    assert graph.nodes[graph.outputs[0]].op == "matmul"
    assert "raised ShapeError" in graph.notes[0]
    assert "(2, 3) @ (4, 5)" in graph.notes[0]
    assert any("attribute `graph`" in note for note in caught.value.__notes__)


def test_a_layer_that_does_not_fit_has_the_graph_up_to_it() -> None:
    """The error is the layer's, the graph that of the op; the layers before it are in the graph."""
    model = nn.Sequential(nn.Linear(8, 16, seed=0), nn.ReLU(), nn.Linear(10, 3, seed=1))
    with pytest.raises(ShapeError, match=r"Linear\(16, 3\)") as caught:
        model.graph(X)
    graph = caught.value.graph  # type: ignore[attr-defined]
    assert [node.op for node in graph.nodes if node.kind == "op"] == ["linear", "relu", "linear"]
    assert {node.shape for node in graph.nodes if node.failed and node.shape} == {(32, 16), (3, 10), (3,)}


def test_errors_of_others_are_left_alone() -> None:
    """No graph where no op raised, none outside of the block, and an exception is never replaced by another one."""

    def mine() -> None:
        with record_values():
            found = Tensor(1.0, requires_grad=True) * 2.0
            raise KeyError(found)

    with pytest.raises(KeyError) as caught:
        mine()
    assert not hasattr(caught.value, "graph")
    assert getattr(caught.value, "__notes__", []) == []
    with pytest.raises(ShapeError) as outside:
        Tensor(np.ones(3), requires_grad=True) + Tensor(np.ones(4))
    assert not hasattr(outside.value, "graph")
    later = graph_of_error(outside.value)
    assert later is not None
    assert later.nodes[-1].op == "add"
