"""Pictures show what was computed: every step once, real numbers or why they are absent, and any name unharmed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tracemalloc
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from limits import recursion_limit

from tinygrad_mlp import Tensor, nn, ops
from tinygrad_mlp.autograd import grad
from tinygrad_mlp.errors import ArgumentError, DTypeError, GradientError, MissingExtraError
from tinygrad_mlp.extras import need
from tinygrad_mlp.graph import Graph, GraphNode, Status, graph_of, render
from tinygrad_mlp.graph.labels import printable, summary
from tinygrad_mlp.tape import Leaf
from tinygrad_mlp.tensor import record_values
from tinygrad_mlp.watch import scoped

HAS_PYGRAPHVIZ = render._by_pygraphviz("digraph {}", "svg") is not None
needs_renderer = pytest.mark.skipif(not HAS_PYGRAPHVIZ, reason='pip install "tinygrad-mlp[graph]"')

HOSTILE = [
    '"', "'", "\\", '\\"', "a\\", '"];evil[label="', "]", "[", ";", "->", "--", "{", "}", "|", "<", ">",
    "a->b;c", "<script>alert(1)</script>", "</text><script>1</script>", "<b>bold</b>", "<!--", "-->", "]]>",
    "<![CDATA[", "<p0> port", "{x|y}", "\\{", "\\}", "\\|", "\n", "a\nb", "\r\n", "\t", "\0", "\x1b[31m",
    "\x7f", "\\n", "\\l", "\\N", "\\G", "\\E", "\\L", "&", "&lt;", "&amp;lt;", "&#60;", "&copy;", "%s",
    "%n", "{0}", "$(id)", "`id`", "#", "// c", "/* c */", "graph", "digraph", "subgraph", "node", "strict",
    "é ü ß", "漢字", "😀", "\u202eabc", "\u2028", "\u2029", "\ud800", "\u200b", "a.b", ".", "..", "a..b",
    "=1+1", "@x", "-1", "n0", "cluster_0", " ", "a  b", "javascript:alert(1)", "x" * 500,
]  # fmt: skip


def scalar(value: float, *, requires_grad: bool = True) -> Tensor:
    return Tensor(np.float64(value), requires_grad=requires_grad)


def names_of(graph: Graph, kind: str) -> list[str]:
    return [str(node.op or node.name) for node in graph.nodes if node.kind == kind]


def the_op(graph: Graph, op: str) -> GraphNode:
    (found,) = [node for node in graph.nodes if node.op == op]
    return found


def reads(graph: Graph, target: int) -> list[tuple[str, int]]:
    return [(edge.operand, edge.source) for edge in graph.edges if edge.target == target]


class Net:
    """A 2-3-1 net whose steps are recorded under the paths of its layers, as a module would record them."""

    def __init__(self) -> None:
        rng = np.random.default_rng(3)
        shapes = {"first.weight": (3, 2), "first.bias": (3,), "second.weight": (1, 3), "second.bias": (1,)}
        self.parameters = {name: Tensor(rng.normal(size=shape), requires_grad=True) for name, shape in shapes.items()}
        self.x = Tensor(rng.normal(size=(5, 2)))

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """As modules list them."""
        yield from self.parameters.items()

    def loss(self) -> Tensor:
        """One number from the net's five samples."""
        p = self.parameters
        with scoped("first"):
            hidden = ops.linear(self.x, p["first.weight"], p["first.bias"]).tanh()
        with scoped("second"):
            out = ops.linear(hidden, p["second.weight"], p["second.bias"])
        return out.square().mean()


# --- what is in it ---


@given(st.data())
def test_every_step_appears_once_and_edges_are_the_operands(data: st.DataObject) -> None:
    """In a random expression the ops and their operands, in order and repeated, are those that were computed."""
    made = [scalar(0.5), scalar(-1.5), scalar(2.0)]
    steps: list[tuple[str, tuple[int, ...]]] = []
    binary = {"add": ops.add, "mul": ops.mul, "sub": ops.sub, "maximum": ops.maximum}
    unary = {"tanh": ops.tanh, "neg": ops.neg, "sigmoid": ops.sigmoid}
    recorded = data.draw(st.booleans())
    with record_values() if recorded else nullcontext():
        for _ in range(data.draw(st.integers(1, 12))):
            name = data.draw(st.sampled_from([*binary, *unary]))
            pick = st.integers(0, len(made) - 1)
            chosen = (data.draw(pick), data.draw(pick)) if name in binary else (data.draw(pick),)
            made.append((binary | unary)[name](*(made[index] for index in chosen)))
            steps.append((name, chosen))
    graph = graph_of(made, names={f"t{index}": tensor for index, tensor in enumerate(made)})
    place = {str(node.name): node.id for node in graph.nodes}
    assert len(graph.nodes) == len(made)
    assert graph.outputs == tuple(place[f"t{index}"] for index in range(len(made)))
    for index, (name, chosen) in enumerate(steps, start=3):
        node = graph.nodes[place[f"t{index}"]]
        assert node.op == name
        assert [source for _, source in reads(graph, node.id)] == [place[f"t{one}"] for one in chosen]
    assert len(graph.edges) == sum(len(chosen) for _, chosen in steps)
    assert all(edge.source < edge.target for edge in graph.edges)


def test_an_operand_used_twice_has_two_edges() -> None:
    """x * x reads x twice, as a and as b."""
    x = scalar(3.0)
    graph = (x * x).graph()
    assert reads(graph, 1) == [("a", 0), ("b", 0)]
    assert graph.to_dot().count("n0 -> n1") == 2


def test_before_backward_gradients_are_not_computed_yet_rather_than_zero() -> None:
    """Nothing claims a gradient before there is one, in the data, the list or the picture."""
    for context in (record_values(), nullcontext()):
        x = scalar(3.0)
        with context:
            y = (x * 2.0).tanh()
        graph = y.graph(names={"x": x})
        wanted = [node for node in graph.nodes if node.kind != "constant"]
        assert all(node.gradient is None and node.gradient_status is Status.NOT_YET for node in wanted)
        assert graph.to_text().count("not computed yet") == 3
        assert graph.to_dot().count("grad\\ not\\ computed\\ yet") == 3
        assert "grad\\ 0" not in graph.to_dot()


def test_after_backward_leaves_show_their_grad() -> None:
    """A leaf's gradient in the picture is its .grad, also after accumulating twice."""
    x, w = scalar(3.0), scalar(-2.0)
    for _ in range(2):
        y = (x * w).exp()
        y.backward()
    graph = y.graph(names={"x": x, "w": w})
    for node, leaf in zip(graph.nodes, (x, w), strict=False):
        assert leaf.grad is not None
        assert node.gradient_status is Status.KNOWN
        np.testing.assert_array_equal(node.gradient, leaf.grad.data)


def test_recorded_steps_show_their_values_and_the_gradients_of_every_step() -> None:
    """Inside record_values, intermediate gradients equal those of autograd.grad for the same intermediate results."""
    x, w = scalar(0.7), scalar(-1.2)

    def steps() -> list[Tensor]:
        a = x * w
        b = a.tanh()
        c = a * b + 1.5
        return [a, b, c, c.exp()]

    with record_values():
        made = steps()
    made[-1].backward()
    graph = made[-1].graph(names=dict(zip("abcd", made, strict=True)))
    fresh = steps()
    for name, again, gradient in zip("abc", fresh, grad(fresh[-1], fresh[:3]), strict=False):
        (node,) = [one for one in graph.nodes if one.name == name]
        np.testing.assert_array_equal(node.value, again.data)
        np.testing.assert_allclose(node.gradient, gradient.data, rtol=1e-15)
    assert all(node.value_status is Status.KNOWN for node in graph.nodes)
    assert graph.notes == ()


def test_constants_and_data_appear_where_steps_were_recorded() -> None:
    """Numbers are one constant per use, an array read twice is one node, and named data is an input."""
    w, x, mask = Tensor(np.ones(3), requires_grad=True), np.arange(3.0), np.array([1.0, 0.0, 1.0])
    with record_values():
        y = ((w * x + x) * mask * 2.0 + 2.0).sum()
    graph = y.graph(names=[{"x": x}, {"w": w}])
    assert names_of(graph, "parameter") == ["w"]
    assert names_of(graph, "input") == ["x"]
    constants = [node for node in graph.nodes if node.kind == "constant"]
    assert [node.shape for node in constants] == [(3,), (), ()]
    assert all(node.gradient_status is Status.NOT_WANTED for node in constants)
    (x_node,) = [node.id for node in graph.nodes if node.name == "x"]
    assert [edge.carries_gradient for edge in graph.edges if edge.source == x_node] == [False, False]


def test_unknown_values_say_how_to_keep_them() -> None:
    """Plain steps show what the backward pass keeps, and after it nothing; the note names the cure."""
    x = Tensor(np.array([1.0, 2.0]), requires_grad=True)
    y = (x + 1.0).neg().exp().sum()
    before = y.graph()
    assert the_op(before, "add").value_status is Status.NOT_KEPT
    np.testing.assert_array_equal(the_op(before, "exp").value, np.exp([-2.0, -3.0]))
    assert "record_values" in before.notes[0]
    y.backward()
    after = y.graph()
    assert the_op(after, "exp").value_status is Status.NOT_KEPT
    assert the_op(after, "exp").gradient_status is Status.NOT_KEPT
    assert "values and gradients were not kept" in after.to_text()


def test_a_picture_stays_as_it_was_taken() -> None:
    """A later update in place of a parameter changes neither the value nor the gradient in an earlier graph."""
    x = Tensor(np.array([1.0, 2.0]), requires_grad=True)
    with record_values():
        y = x.reshape(2, 1).square().sum()
    y.backward()
    graph = y.graph()
    assert x.grad is not None
    x.data[:] = 9.0
    x.grad.data[:] = 9.0
    np.testing.assert_array_equal(graph.nodes[0].value, [1.0, 2.0])
    np.testing.assert_array_equal(graph.nodes[0].gradient, [2.0, 4.0])
    np.testing.assert_array_equal(graph.nodes[1].value, [[1.0], [2.0]])
    with pytest.raises(ValueError, match="read-only"):
        graph.nodes[0].value[:] = 0.0  # type: ignore[index]


def test_drawing_keeps_the_graph_usable() -> None:
    """Taking a picture before backward changes no gradient."""
    x = scalar(0.3)
    y = (x * x).sin()
    y.graph().to_dot()
    y.backward()
    assert x.grad is not None
    assert x.grad.item() == pytest.approx(np.cos(0.09) * 0.6)


def test_a_leaf_that_wants_a_gradient_is_a_parameter_named_or_not() -> None:
    """Whether somebody gave it a name does not make a leaf a parameter; wanting a gradient does."""
    w, x = scalar(1.0), scalar(2.0, requires_grad=False)
    with record_values():
        y = w * x
    kinds = [node.kind for node in y.graph(names={"x": x}).nodes]
    assert sorted(kinds) == ["input", "op", "parameter"]
    assert [node.kind for node in y.graph(names={"w": w}).nodes].count("parameter") == 1


def labels(graph: Graph) -> list[str]:
    arrows = re.findall(r"-> n\d+ \[(.*)\];", graph.to_dot())
    said = [re.search(r'label="([^"]*)"', one) for one in arrows]
    return [re.sub(r"&#160;|\\n", "", one[1]) for one in said if one]


def test_arrows_speak_only_where_the_order_matters() -> None:
    """Sums and products are unlabelled, differences have sides, and no label repeats the name of its source."""
    a, b, c = scalar(1.0), scalar(2.0), scalar(3.0)
    names = {"a": a, "b": b, "c": c}
    with record_values():
        assert labels((a * b + c).tanh().graph(names=names)) == []
        assert labels((a - b).graph(names=names)) == ["left", "right"]
        assert labels(ops.where(np.array(True), a, b).graph(names=names)) == ["condition", "if true", "if false"]
        x, weight, bias = Tensor(np.ones((4, 2))), Tensor(np.ones((3, 2)), requires_grad=True), Tensor(np.ones(3))
        y = ops.linear(x, weight, bias)
    assert labels(y.graph(names={"x": x, "layer.weight": weight, "bias": bias})) == []
    assert labels(y.graph(names={"x": x, "kernel": weight, "bias": bias})) == ["weight"]


def test_clusters_carry_classes_and_masks_their_purpose() -> None:
    """With names= a module, clusters are titled name and class, and what Dropout multiplies with stands inside it."""
    model = nn.MLP(2, 8, 3, dropout=0.5, seed=0)
    with record_values():
        loss = nn.CrossEntropyLoss()(model(Tensor(np.ones((4, 2), np.float32))), np.array([0, 1, 2, 0]))
    graph = loss.graph(names=model)
    titles = re.findall(r'graph \[label="([^"]*)", tooltip', graph.to_dot())
    assert sorted(titles) == ["0 Linear", "1 ReLU", "2 Dropout", "3 Linear", "CrossEntropyLoss", "MLP"]
    (mask,) = [node for node in graph.nodes if node.name == "dropout mask"]
    assert (mask.kind, mask.module) == ("constant", ("MLP", "2"))
    assert [label for label in labels(graph) if "mask" in label] == []
    assert '[label="{0\\ Linear|' in graph.collapsed(1).to_dot(direction="TB")
    assert "2 Dropout" not in loss.graph(names=dict(model.named_parameters())).to_dot()


def test_the_legend_explains_statistics_where_there_are_some() -> None:
    """Mean and deviation are explained once, in the picture or beside it, and only if a node shows them."""
    x = Tensor(np.arange(9.0), requires_grad=True)
    large, small = x.exp().graph(), scalar(1.0).exp().graph()
    explained = "numbers: mean ± standard deviation, min … max"
    assert explained in large.legend()
    assert large.to_dot().count(explained) == 1
    assert explained not in large.to_dot(legend=False)
    assert explained not in small.legend()


def test_what_cannot_be_drawn_says_so() -> None:
    """Wrong roots, names and options are named errors."""
    with pytest.raises(GradientError, match="requires_grad=True"):
        scalar(1.0, requires_grad=False).graph()
    with pytest.raises(DTypeError, match="ndarray"):
        graph_of([np.ones(2)])  # type: ignore[list-item]
    with pytest.raises(ArgumentError, match="at least one tensor"):
        graph_of([])
    with pytest.raises(ArgumentError, match="max_nodes"):
        scalar(1.0).graph(max_nodes=0)
    for names in (3, "w", [3]):
        with pytest.raises(DTypeError, match="names: expected a module"):
            scalar(1.0).graph(names=names)
    graph = scalar(1.0).graph()
    for wrong in (lambda: graph.to_dot(direction="XY"), lambda: graph.collapsed(-1), lambda: graph.to_dot(max_nodes=0)):
        with pytest.raises(ArgumentError):
            wrong()


# --- modules and large graphs ---


@pytest.mark.parametrize("recorded", [True, False])
def test_parameters_and_steps_are_grouped_by_module(recorded: bool) -> None:
    """Parameters stand in their module with the ops that read them, recorded in a scope or not."""
    net = Net()
    if recorded:
        with record_values():
            loss = net.loss()
    else:
        loss = net.loss()
    graph = loss.graph(names=[net, {"loss": loss, "x": net.x}])
    assert names_of(graph, "parameter") == list(net.parameters)
    inside = {path: [n.op or n.name for n in graph.nodes if n.module == path] for path in (("first",), ("second",))}
    assert inside["first",][:3] == ["first.weight", "first.bias", "linear"]
    assert inside["second",] == ["second.weight", "second.bias", "linear"]
    dot = graph.to_dot()
    assert dot.count("subgraph cluster_") == 2
    assert dot.count("{") == dot.count("}")


def test_scopes_that_start_above_the_names_meet_them() -> None:
    """A parameter named a.weight, read in the scope net.a, stands in net.a; clusters nest."""
    w = Tensor(np.ones(3), requires_grad=True)
    with record_values(), scoped("net"), scoped("a"):
        y = (w * 2.0).sum()
    graph = y.graph(names={"a.weight": w})
    assert {node.module for node in graph.nodes} == {("net", "a")}
    outer, inner = re.findall(r"^ *(?=subgraph cluster_)", graph.to_dot(), re.MULTILINE)
    assert len(outer) < len(inner)


def test_a_leaf_keeps_the_name_it_was_given() -> None:
    """Without names=, the name on the leaf is shown; names= wins over it."""
    w = scalar(1.0)
    assert isinstance(w.node, Leaf)
    w.node.name = "layer.weight"
    y = w.exp()
    assert y.graph().nodes[0].name == "layer.weight"
    assert y.graph().nodes[0].module == ("layer",)
    assert y.graph(names={"mine": w}).nodes[0].name == "mine"


def test_variables_of_the_caller_are_names() -> None:
    """Tensors and the parameters of modules, where nobody names them; what begins with an underscore is left out."""
    model = nn.Linear(2, 1, seed=0)
    weight, _hidden = scalar(2.0), scalar(3.0)
    with record_values():
        product = weight * _hidden
        loss = product + model(Tensor([[1.0, 2.0]])).sum()
    found = loss.graph()
    names = [node.name for node in found.nodes]
    assert {"weight", "product", "loss", "bias"} <= set(names)
    assert names.count("weight") == 2  # the variable, and the layer's
    assert not any(name and "hidden" in name for name in names)
    assert [node.name for node in loss.graph(names={}).nodes if node.kind == "op"] == [None] * 5


def test_a_folded_module_is_one_box_with_the_edges_that_leave_it() -> None:
    """Folding the layers leaves the chain x, first, second, square, mean; the boxes show what they give."""
    net = Net()
    with record_values():
        loss = net.loss()
    loss.backward()
    full = loss.graph(names=[net, {"x": net.x}])
    graph = full.collapsed()
    assert names_of(graph, "module") == ["first", "second"]
    assert [(edge.source, edge.target) for edge in graph.edges] == [(0, 1), (1, 2), (2, 3), (3, 4)]
    first = graph.nodes[1]
    assert dict(first.contains) == {"parameter": 2, "linear": 1, "tanh": 1}
    np.testing.assert_array_equal(first.value, the_op(full, "tanh").value)
    assert "2\\ ×\\ parameter" in graph.to_dot()
    assert "module first (2 parameter" in graph.to_text()


def test_above_the_budget_modules_are_folded_and_the_picture_says_so() -> None:
    """Inner modules fold first; the outer ones only where that is not enough."""
    x = scalar(1.0)
    y = x
    with record_values():
        for block in range(4):
            for layer in range(5):
                with scoped(f"block{block}"), scoped(f"layer{layer}"):
                    y = y.tanh().neg().tanh()
    graph = y.graph()
    assert len(graph.nodes) == 61
    for budget, boxes in ((61, 61), (60, 21), (21, 21), (20, 5), (5, 5), (4, 4), (1, 1)):
        dot = graph.to_dot(max_nodes=budget)
        assert len(re.findall(r"^ *n\d+ \[", dot, re.MULTILINE)) == boxes, budget
        assert ("max_nodes" in dot) == (budget < 61)
        assert ("max_nodes" in graph.to_text(max_nodes=budget)) == (budget < 61)
    assert len(y.graph(max_nodes=21).nodes) == 61
    assert "earlier steps" in graph.to_text(max_nodes=4)


def test_a_module_used_twice_may_depend_on_itself_through_others() -> None:
    """Folding a shared layer gives a cycle between boxes, which is drawn rather than followed."""
    x = scalar(1.0)
    with record_values():
        with scoped("shared"):
            y = x.tanh()
        y = y.exp()
        with scoped("shared"):
            y = y.tanh()
    graph = y.graph().collapsed()
    assert Counter(node.kind for node in graph.nodes) == {"parameter": 1, "op": 1, "module": 1}
    assert {(edge.source, edge.target) for edge in graph.edges} == {(0, 2), (2, 1), (1, 2)}


@pytest.mark.parametrize("recorded", [False, True])
def test_a_long_chain_needs_no_recursion(recorded: bool) -> None:
    """20,000 steps (nightly 100,000) are built and drawn under a recursion limit of 200, in memory linear in them."""

    def picture(length: int) -> Graph:
        y = scalar(1.0)
        with record_values() if recorded else nullcontext():
            for _ in range(length):
                y = y.neg()
        with recursion_limit(200):
            graph = y.graph()
            text, dot = graph.to_text(), graph.to_dot()
        assert (len(graph.nodes), len(graph.edges)) == (length + 1, length)
        assert len(re.findall(r"^ *n\d+ \[", dot, re.MULTILINE)) == 200
        assert text.count("\n") < 210
        return graph

    def peak(length: int) -> int:
        tracemalloc.start()
        picture(length)
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    picture(100_000 if settings().max_examples >= 2000 else 20_000)
    assert peak(8_000) < 6 * peak(2_000)


def test_a_deep_module_path_needs_no_recursion() -> None:
    """A step 500 modules deep gives 500 nested clusters under a recursion limit of 200."""
    w = scalar(1.0)
    y = w.exp()
    with recursion_limit(200):
        dot = y.graph(names={".".join(["m"] * 500 + ["w"]): w}).to_dot()
    assert dot.count("subgraph") == 500
    assert dot.count("{") == dot.count("}") == 501


# --- hostile names ---


def statements(dot: str) -> tuple[int, int, int]:
    """Nodes, edges and clusters of DOT text, read by hand: quoted strings, escapes respected, are taken out first."""
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', "Q", dot)
    assert '"' not in bare
    assert "Q Q" not in bare
    return (
        len(re.findall(r"^ *n\d+ \[[^\]]*\];$", bare, re.MULTILINE)),
        len(re.findall(r"^ *n\d+ -> n\d+(?: \[[^\]]*\])?;$", bare, re.MULTILINE)),
        len(re.findall(r"^ *subgraph cluster_\d+ \{$", bare, re.MULTILINE)),
    )


def named_everywhere(name: str) -> Graph:
    """A graph in which a parameter, an input, a result and a module are called ``name``."""
    w, x = scalar(2.0), Tensor(np.ones(9))
    with record_values(), scoped(name):
        y = (w * x).sum()
    return y.graph(names=[{name: w}, {name: x}, {name: y}])


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_no_name_breaks_the_graphviz_text(name: str) -> None:
    """Whatever the name, the text holds the nodes, edges and clusters of a harmless name, one line each."""
    harmless = named_everywhere("harmless").to_dot()
    dot = named_everywhere(name).to_dot()
    nodes, edges, clusters = statements(dot)
    assert (nodes, edges) == statements(harmless)[:2] == (4, 3)
    assert clusters == len(named_everywhere(name).nodes[-1].module)
    assert len(dot.splitlines()) - len(harmless.splitlines()) == 3 * (clusters - 1)
    assert not re.search(r"(label|tooltip)=\s*<", re.sub(r'"(?:[^"\\]|\\.)*"', "Q", dot))
    dot.encode("utf-8")


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_no_name_breaks_the_list(name: str) -> None:
    """In the list a name stays on its line and sends no control character to the terminal."""
    text = named_everywhere(name).to_text()
    assert len(text.split("\n")) == len(named_everywhere("harmless").to_text().split("\n"))
    assert all(one.isprintable() for one in text.replace("\n", ""))


@needs_renderer
@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_no_name_breaks_the_picture(name: str) -> None:
    """The SVG has the elements of a harmless name, no script and no link, and shows the name as it was given."""
    w = scalar(2.0)
    y = w * w

    def picture(shown: str) -> tuple[Counter[str], list[str]]:
        # Names of one length and without a path, so that only what the name does can change the elements.
        root = ET.fromstring(y.graph(names={shown: w}).to_svg())  # noqa: S314 - our own output
        elements = list(root.iter())
        assert not any(key.endswith("href") or key.startswith("on") for one in elements for key in one.attrib)
        tags = Counter(one.tag.rpartition("}")[2] for one in elements)
        return tags, [(one.text or "").replace("\xa0", " ") for one in elements if one.tag.endswith("text")]

    tags, texts = picture(name)
    if name != "a.b":  # a path: its module is drawn around the node
        assert tags == picture("harmless")[0]
        shown = printable(name)
        assert (shown if len(shown) <= 40 else shown[:39] + "…") in texts
    assert "script" not in tags
    pygraphviz = need("pygraphviz", extra="graph", purpose="parse")
    parsed = pygraphviz.AGraph(string=y.graph(names={name: w}).to_dot())
    assert (len(parsed.nodes()), len(parsed.edges())) == (2, 2)


# --- numbers on nodes ---


def test_numbers_are_short_and_tell_zero_from_nan() -> None:
    """Small arrays are shown whole, large ones in short; NaN and Inf are counted and outlined."""
    w = Tensor(np.zeros(8), requires_grad=True)
    bad = np.array([1.0, np.nan, np.inf, 2.0, 3.0, -np.inf, np.nan, 0.0])
    with record_values(), np.errstate(invalid="ignore"):
        total = (w * bad).sum()
    total.backward()
    dot = total.graph(names={"w": w}).to_dot()
    assert "value\\ all\\ 0\\l" in dot
    assert "2\\ NaN\\l" in dot
    assert "1\\ +Inf\\l" in dot
    assert "0\\ …\\ 3" in dot
    assert dot.count("#d55e00") == 3 + 1  # w (its gradient), the constant, the product, the sum
    small = (Tensor(np.array([[1 / 3, 2.0]]), requires_grad=True) * 1.0).graph()
    assert "[[0.3333, 2]]" in small.to_text()


@pytest.mark.parametrize(
    ("array", "shown"),
    [
        (np.zeros((0, 3)), ["empty"]),
        (np.float32(0.1), ["0.1"]),
        (np.array([[1, -2], [3, 4]]), ["[[1, -2], [3, 4]]"]),
        (np.array([True, False]), ["[True, False]"]),
        (np.arange(10) < 3, ["3 of 10 true"]),
        (np.arange(7), ["3 ± 2", "0 … 6"]),
        (np.full(9, np.nan), ["9 NaN"]),
        (np.full(9, 2.5), ["all 2.5"]),
        (np.array([0.0] * 8 + [np.inf]), ["0", "1 +Inf"]),
        (np.array([1e300, -1e300] * 5), ["0 ± inf", "-1e+300 … 1e+300"]),
    ],
)
def test_an_array_in_few_numbers(array: Any, shown: list[str]) -> None:
    """Every kind of array has its short form, without a warning from NumPy."""
    assert summary(np.asarray(array)) == shown


def test_the_size_in_bytes_is_that_of_the_value() -> None:
    """nbytes follows shape and dtype, and is None where the dtype is not known."""
    w = Tensor(np.zeros((3, 4), dtype=np.float32), requires_grad=True)
    y = (w + 1.0) + 1.0
    nodes = y.graph().nodes
    assert [node.nbytes for node in nodes] == [48, None, 48]


def test_the_repr_counts() -> None:
    """The repr tells sizes without drawing; str is the list."""
    x = scalar(1.0)
    graph = (x * x).graph(names={"x": x})
    assert repr(graph) == "Graph(2 nodes: 1 op, 1 parameter; 2 edges)"
    assert str(graph) == graph.to_text()


# --- renderers ---


@pytest.fixture
def graph() -> Graph:
    x = scalar(1.0)
    return x.exp().graph(names={"x": x})


@needs_renderer
def test_files_are_what_their_names_say(graph: Graph, tmp_path: Path) -> None:
    """svg, png and pdf begin as such files do; dot and txt are the two texts; anything else is an error."""
    for suffix, start in (
        ("svg", b"<?xml"),
        ("png", b"\x89PNG"),
        ("pdf", b"%PDF"),
        ("dot", b"digraph"),
        ("txt", b"2 no"),
    ):
        graph.render(tmp_path / f"picture.{suffix}")
        assert (tmp_path / f"picture.{suffix}").read_bytes().startswith(start)
    graph.render(str(tmp_path / "plain"), "PNG", direction="TB")
    assert (tmp_path / "plain").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ArgumentError, match="did you mean 'png'"):
        graph.render(tmp_path / "picture.pngg")


@needs_renderer
def test_a_notebook_shows_the_picture(graph: Graph) -> None:
    """The notebook gets an <svg> element on white, and the repr as text."""
    bundle = graph._repr_mimebundle_(include=None, exclude=None)
    assert bundle["image/svg+xml"].startswith("<svg")
    assert 'fill="#ffffff"' in bundle["image/svg+xml"]
    assert bundle["text/plain"] == repr(graph)
    assert bundle["text/html"].startswith('<iframe srcdoc="')


def test_without_a_renderer_texts_work_and_the_error_names_the_command(
    graph: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With no pygraphviz, no program and no graphviz package, a notebook shows the list and render says what to do."""
    monkeypatch.setattr(shutil, "which", lambda *args, **options: None)
    for module in ("pygraphviz", "graphviz"):
        monkeypatch.setitem(sys.modules, module, None)
    bundle = graph._repr_mimebundle_()
    assert bundle.keys() == {"text/html", "text/plain"}
    assert bundle["text/plain"] == graph.to_text()
    assert graph._repr_svg_() is None
    graph.render(tmp_path / "picture.dot")
    with pytest.raises(MissingExtraError, match=r'pip install "tinygrad-mlp\[graph\]"'):
        graph.render(tmp_path / "picture.svg")
    assert not (tmp_path / "picture.svg").exists()
    monkeypatch.setattr(shutil, "which", lambda program, **options: "/bin/" + program)
    assert render._by_dot("digraph {}", "svg") is None


def test_renderers_are_tried_in_order(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    """pygraphviz first, then graphviz-pure (which cannot write pdf), then dot through the graphviz package."""
    found = {"pygraphviz", "graphviz-pure", "dot"}

    class AGraph:
        def __init__(self, string: str) -> None:
            assert string.startswith("digraph")

        def draw(self, format: str, prog: str) -> bytes:
            return f"<svg by pygraphviz {format} {prog}".encode()

    def fake_need(module: str, **_: Any) -> Any:
        if module == "pygraphviz" and module not in found:
            raise MissingExtraError(module)
        source = SimpleNamespace(pipe=lambda **options: f"<svg by dot {options['format']}".encode())
        return SimpleNamespace(AGraph=AGraph, Source=lambda dot: source)

    def fake_run(command: list[str], **_: Any) -> Any:
        return SimpleNamespace(stdout=f"<svg by {' '.join(command)}".encode())

    monkeypatch.setattr(render, "need", fake_need)
    # The second look, beside the interpreter, is the one that finds it here.
    monkeypatch.setattr(
        shutil, "which", lambda program, path=None: program if program in found and (path or program == "dot") else None
    )
    monkeypatch.setattr(subprocess, "run", fake_run)
    assert graph.to_svg() == "<svg by pygraphviz svg dot"
    found.remove("pygraphviz")
    assert graph.to_svg() == "<svg by graphviz-pure -Tsvg"
    assert render.rendered(graph.to_dot(), "pdf") == b"<svg by dot pdf"
    found.remove("graphviz-pure")
    assert graph.to_svg() == "<svg by dot svg"
    found.remove("dot")
    with pytest.raises(MissingExtraError):
        graph.to_svg()


@pytest.mark.skipif(shutil.which("dot") is None, reason="no dot on PATH")
def test_dot_on_the_path_draws(graph: Graph) -> None:
    """The system's own program draws the same text."""
    picture = render._by_dot(graph.to_dot(), "svg")
    assert picture is not None
    assert b"<svg" in picture


def test_renderers_leave_the_terminal_alone(capfd: pytest.CaptureFixture[str]) -> None:
    """What a library writes to the error stream is held back, told if it fails, and the stream is as before."""
    with render._quiet_libraries():
        os.write(2, b"Fontconfig warning")

    def fail() -> None:
        with render._quiet_libraries():
            os.write(2, b"the reason")
            raise ValueError("no picture")

    with pytest.raises(ValueError, match="no picture") as caught:
        fail()
    assert caught.value.__notes__ == ["the reason"]
    os.write(2, b"after")
    assert capfd.readouterr().err == "after"


def test_texts_need_numpy_alone() -> None:
    """Building, listing and to_dot import no third-party library but NumPy."""
    code = """
import sys
from tinygrad_mlp import Tensor
x = Tensor(1.0, requires_grad=True)
graph = (x * x).graph(names={"x": x})
graph.to_dot(), graph.to_text(), repr(graph)
loaded = {name.partition(".")[0] for name in sys.modules}
assert not loaded & {"graphviz", "pygraphviz", "matplotlib", "rich"}, loaded
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", ["graph.svg", "mlp.svg"])
def test_the_pictures_of_the_readme_are_readable_in_light_and_dark(name: str) -> None:
    """They are well-formed, stand on white, hold known gradients and carry no script."""
    text = (Path(__file__).parent.parent / "docs" / "pictures" / name).read_text(encoding="utf-8")
    root = ET.fromstring(text)  # noqa: S314 - our own file
    assert 'fill="#ffffff" stroke="none"' in text
    assert "not computed yet" not in text
    assert not [one for one in root.iter() if one.tag.endswith("script")]
