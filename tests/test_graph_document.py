"""The JSON of a graph fits its schema and says what the graph says; other tools accept what is written for them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from random_graphs import random_program, run
from test_graphs_random import SIDE, SMOOTH

from tinygrad_mlp import Tensor, compile, nn, ops, optim, record_values
from tinygrad_mlp.errors import ArgumentError, GradientError
from tinygrad_mlp.graph import Graph, graph_of, schema
from tinygrad_mlp.graph.document import FORMAT, VERSION, _array
from tinygrad_mlp.graph.plain import Status

jsonschema = pytest.importorskip("jsonschema", reason="pip install jsonschema")
VALIDATOR = jsonschema.Draft202012Validator(schema())
ARRAYS = jsonschema.Draft202012Validator({"$ref": "#/$defs/array", "$defs": schema()["$defs"]})
GRAPHS = {20: 50, 100: 100, 2000: 1000}.get(settings().max_examples, 50)


def random_graph(number: int) -> Graph:
    """Recorded or not, walked or not, named or not, folded or not."""
    rng = np.random.default_rng([41, number])
    leaves = [Tensor(rng.normal(size=(SIDE, SIDE)), requires_grad=bool(rng.random() < 0.8) or not k) for k in range(3)]
    program = random_program(rng, SMOOTH, len(leaves), int(rng.integers(1, 30)))
    made = []

    def compute() -> Any:
        layer = nn.Linear(SIDE, SIDE, seed=number, dtype="float64")
        made.append(layer)
        y = layer(run(program, SMOOTH, ops, leaves) + leaves[0])
        return y.log() if rng.random() < 0.2 else y

    with np.errstate(all="ignore"):
        if rng.random() < 0.7:
            with record_values():
                y = compute()
        else:
            y = compute()
        if rng.random() < 0.6:
            y.backward(np.ones_like(y.data))
    names: Any = [made[0], {"x.y": leaves[0], 'a"<b>': y}] if rng.random() < 0.7 else None
    return graph_of(y, names=names)


@pytest.mark.parametrize("part", range(5))
def test_documents_of_random_graphs_fit_the_schema(part: int) -> None:
    """Whole, folded to three nodes, with steps where values were recorded; Graphviz accepts the DOT of the same."""
    pygraphviz = pytest.importorskip("pygraphviz", reason='pip install "tinygrad-mlp[graph]"')
    for number in range(part * GRAPHS // 5, (part + 1) * GRAPHS // 5):
        graph = random_graph(number)
        recorded = all(node.value_status is Status.KNOWN for node in graph.nodes if node.kind == "op")
        for text in (graph.to_json(title="t", steps=recorded), graph.to_json(max_nodes=3)):
            found = json.loads(text, parse_constant=pytest.fail)
            VALIDATOR.validate(found)
            assert (found["format"], found["version"]) == (FORMAT, VERSION)
        whole = graph.to_dict()
        assert [one["id"] for one in whole["nodes"]] == list(range(len(graph.nodes)))
        assert len(whole["edges"]) == len(graph.edges)
        for node, one in zip(graph.nodes, whole["nodes"], strict=True):
            assert one["gradient"]["status"] == str(node.gradient_status)
            assert ("elements" in one["gradient"]) == (node.gradient is not None)
        drawn = pygraphviz.AGraph(string=graph.to_dot())
        assert drawn.number_of_nodes() == len(graph.nodes)
        assert drawn.number_of_edges() == len(graph.edges)
        mermaid = graph.to_mermaid().splitlines()
        assert sum(":::" in line for line in mermaid) == len(graph.nodes)
        assert sum("-->" in line or "-.->" in line for line in mermaid) == len(graph.edges)


@given(
    npst.arrays(
        st.sampled_from([np.float64, np.float32, np.int64, np.bool_, np.uint8]),
        npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=40),
    )
)
@settings(max_examples=60)
def test_any_array_is_described_rightly(array: Any) -> None:
    """Statistics are NumPy's, the bins hold every finite element, blocks are means; nothing is NaN in JSON."""
    found = json.loads(json.dumps(_array(array, Status.KNOWN), allow_nan=False))
    ARRAYS.validate(found)
    if array.size <= 64:
        back = [float(one) for one in found["elements"]]
        np.testing.assert_array_equal(np.array(back), array.ravel().astype(np.float64))
    if array.size > 1:
        numbers = array.astype(np.float64)
        finite = numbers[np.isfinite(numbers)]
        stats = found["stats"]
        assert stats["count"] == array.size
        assert stats["nan"] == np.isnan(numbers).sum()
        assert stats["zeros"] == (numbers == 0).sum()
        if finite.size:
            assert (stats["min"], stats["max"]) == (finite.min(), finite.max())
            with np.errstate(over="ignore", invalid="ignore"):
                np.testing.assert_equal(float(stats["mean"]), float(finite.mean()))
        if "histogram" in found:
            assert sum(found["histogram"]["counts"]) == finite.size
        if "heat" in found and finite.size == numbers.size:
            heat = found["heat"]
            assert len(heat["values"]) == heat["rows"] * heat["columns"]
            if numbers.reshape(-1, numbers.shape[-1]).shape == (heat["rows"], heat["columns"]):
                np.testing.assert_array_equal(np.array(heat["values"], float), numbers.ravel())


def test_the_facts_of_a_node() -> None:
    """The line of the user's program, marks, parameters, bytes, the class of a folded module and how often it ran."""
    model = nn.MLP(3, 4, 2, seed=0)
    model[0].bias.requires_grad = False
    x = np.ones((5, 3), np.float32)
    with record_values():
        loss = nn.CrossEntropyLoss()(model(x), np.array([0, 1, 0, 1, 1]))
    found = loss.graph(names=[model, {"x": x, "loss": loss}]).to_dict()
    nodes = {one["name"] or one["op"]: one for one in found["nodes"]}
    assert nodes["linear"]["line"]["file"] == __file__
    assert nodes["linear"]["module"] == ["MLP", "2"]
    assert nodes["0.bias"]["marks"] == ["leaf", "frozen", "no grad"]
    assert nodes["0.weight"]["marks"] == ["leaf"]
    assert nodes["0.weight"]["bytes"] == 48
    assert nodes["loss"]["params"] == {"axes": "(0,)", "keepdims": "False"}
    assert nodes["loss"]["gradient"] == {"status": "not computed yet"}
    folded = loss.graph(names=model).collapsed(1).to_dict()["nodes"]
    assert {one["class"] for one in folded if one["kind"] == "module"} >= {"Linear", "ReLU"}


def test_a_cell_that_ran_twelve_times_says_so() -> None:
    """Time steps of a loop are one box of the module, with how often it ran."""
    cell = nn.RNNCell(2, 3, seed=0)
    state = Tensor(np.zeros((1, 3), np.float32))
    with record_values():
        for _ in range(12):
            state = cell(np.ones((1, 2), np.float32), state)
        loss = state.sum()
    (box,) = [one for one in loss.graph(names=cell).collapsed().to_dict()["nodes"] if one["kind"] == "module"]
    assert box["repeat"] == 12


def test_a_graph_of_many_nodes_is_linear() -> None:
    """Twice the nodes give twice the text, and a deep chain needs no deep stack."""
    sizes = []
    for length in (2000, 4000):
        x = Tensor(1.0, requires_grad=True)
        y = x
        for _ in range(length):
            y = y * 1.0001
        sizes.append(len(graph_of(y).to_json()))
    assert 1.9 < sizes[1] / sizes[0] < 2.1


def test_files(tmp_path: Any) -> None:
    """The file's name says what is written."""
    x = Tensor(3.0, requires_grad=True)
    graph = (x * x).graph(names={"x": x})
    graph.save(tmp_path / "g.json")
    VALIDATOR.validate(json.loads((tmp_path / "g.json").read_text()))
    graph.save(tmp_path / "g.mmd")
    assert (tmp_path / "g.mmd").read_text() == graph.to_mermaid()


def test_a_module_gives_the_graph_of_a_call() -> None:
    """Values are recorded, parameters, inputs and the names given are in it."""
    model = nn.MLP(3, 4, 2, seed=0)
    x = np.ones((5, 3), np.float32)
    graph = model.graph(x)
    assert {node.name for node in graph.nodes if node.kind == "parameter"} == {
        name for name, _ in model.named_parameters()
    }
    assert [node.name for node in graph.nodes if node.kind == "input"] == ["input"]
    assert all(node.value is not None for node in graph.nodes)
    np.testing.assert_array_equal(graph.nodes[graph.outputs[0]].value, model(x).data)
    assert [node.name for node in model.graph(x, names={"x": x}).nodes if node.kind == "input"] == ["x"]


def test_a_program_gives_its_graph() -> None:
    """A node for each step, by phase; every buffer, input and number; the same arrows as the calls have operands."""
    model = nn.MLP(3, 4, 2, seed=0)
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    @compile(backend="replay")
    def step(x: Any, t: Any) -> Any:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), t)
        loss.backward()
        optimizer.step()
        return loss

    step(np.ones((5, 3), np.float32), np.array([0, 1, 0, 1, 1]))
    program = step.program
    graph = program.graph()
    ops_of = [node for node in graph.nodes if node.kind == "op"]
    assert [(node.op, node.module[0]) for node in ops_of] == [(one.op.name, one.phase) for one in program.steps]
    assert len(graph.edges) == sum(len(one.operands) for one in program.steps)
    assert {node.name for node in graph.nodes if node.kind == "parameter"} >= {
        "0.weight",
        "0.bias",
        "2.weight",
        "2.bias",
    }
    VALIDATOR.validate(graph.to_dict())
    assert len(graph.collapsed(0).nodes) < len(graph.nodes)


def test_constants_can_be_left_out() -> None:
    """All other nodes and the arrows between them stay, in their order."""
    graph = random_graph(3)
    bare = graph.without_constants()
    assert [node.op for node in bare.nodes] == [node.op for node in graph.nodes if node.kind != "constant"]
    kept = {node.id for node in graph.nodes if node.kind != "constant"}
    assert len(bare.edges) == sum(edge.source in kept for edge in graph.edges)
    VALIDATOR.validate(bare.to_dict())


def test_times_are_measured_and_shown() -> None:
    """Every op of a recorded graph gets a time forward; one back where a gradient flows; the graph is the same else."""
    model = nn.MLP(3, 4, 2, seed=0)
    graph = model.graph(np.ones((5, 3), np.float32))
    timed = graph.timed(repeat=2)
    for node in timed.nodes:
        assert (node.seconds is None) == (node.kind != "op")
        if node.seconds is not None:
            forward, backward = node.seconds
            assert 0 < forward < 10
            assert backward is not None
            assert 0 < backward < 10
    VALIDATOR.validate(timed.to_dict())
    assert "µs" in timed.to_dot()
    assert [node.value is other.value for node, other in zip(graph.nodes, timed.nodes, strict=True)]
    with pytest.raises(ArgumentError, match="at least 1"):
        graph.timed(repeat=0)
    with pytest.raises(GradientError, match="record_values"):
        model(np.ones((5, 3), np.float32)).sum().graph().timed()


def test_model_explorer_gets_what_it_reads() -> None:
    """Its fields, by its names; namespaces are module paths; every arrow comes from a node that is there."""
    model = nn.MLP(3, 4, 2, seed=0)
    graph = model.graph(np.ones((5, 3), np.float32))
    found = json.loads(json.dumps(graph.to_model_explorer(title="mlp")))
    assert found["label"] == "mlp"
    (only,) = found["graphs"]
    ids = {node["id"] for node in only["nodes"]}
    assert len(ids) == len(graph.nodes)
    arrows = [(edge["sourceNodeId"], node["id"]) for node in only["nodes"] for edge in node["incomingEdges"]]
    assert arrows == [(str(edge.source), str(edge.target)) for edge in graph.edges]
    for node in only["nodes"]:
        assert node.keys() == {"id", "label", "namespace", "attrs", "incomingEdges"}
        assert all(isinstance(fact["value"], str) and fact["value"] for fact in node["attrs"])
    assert {node["namespace"] for node in only["nodes"] if node["label"] == "linear"} == {"MLP/0", "MLP/2"}
