"""The page of a graph, driven in a real browser: it shows what the graph says, asks for nothing, runs nothing else."""

from __future__ import annotations

import dataclasses
import html
import json
import re
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from browser import Browser, started
from test_graph import HOSTILE

from tinygrad_mlp import Tensor, nn, record_values
from tinygrad_mlp.graph import Graph
from tinygrad_mlp.graph.page import frame_of, page_of

ARROW_RIGHT, ARROW_LEFT, ENTER, ESCAPE = "\ue014", "\ue012", "\ue007", "\ue00c"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    yield from started()


def mlp_step() -> Graph:
    model = nn.MLP(8, 16, 16, 3, seed=0)
    x = np.random.default_rng(0).normal(size=(32, 8)).astype(np.float32)
    with record_values():
        loss = nn.CrossEntropyLoss()(model(x), np.arange(32) % 3)
    loss.backward()
    return loss.graph(names=[model, {"x": x, "loss": loss}])


def test_a_student_goes_through_an_mlp_step(browser: Browser, tmp_path: Path) -> None:
    """Modules close and open, ten steps and one back, search, the way to the loss, constants, light and dark."""
    graph = mlp_step()
    browser.open(graph.to_html(title="An MLP step"), tmp_path)
    assert browser.state("visible") == str(len(graph.nodes))
    browser.click("collapse")
    assert browser.state("visible") == "3"
    browser.run("document.querySelector('.node.module').dispatchEvent(new MouseEvent('click', {bubbles: true}))")
    assert int(browser.state("visible")) > 3
    browser.press("e")
    assert browser.state("visible") == str(len(graph.nodes))

    steps = list(graph.steps())
    browser.press(*[ARROW_RIGHT] * 10)
    assert browser.state("step") == "9"
    told = browser.run("return document.getElementById('told').textContent")
    assert told.startswith(steps[9].text.partition("\n")[0])
    for part in steps[9].into:
        assert part.formula in told
        assert part.numbers in told
    browser.press(ARROW_LEFT)
    assert browser.state("step") == "8"
    assert browser.state("selected") == str(steps[8].node)
    assert browser.run("return document.querySelectorAll('.node.now').length") == 1

    browser.click("collapse")
    browser.press(ARROW_RIGHT)
    assert browser.run("return document.querySelectorAll('.node.now:not(.module)').length") == 1
    browser.press("e")

    browser.press("/", *"weight", ENTER)
    assert browser.state("hits") == "3"
    weight = next(node for node in graph.nodes if node.name == "0.weight")
    assert browser.state("selected") == str(weight.id)
    card = browser.run("return document.getElementById('card').textContent")
    for fact in ("0.weight", "(16, 8) float32", "512", f"{weight.value.min():.4g}"):
        assert fact in card
    browser.run("document.activeElement.blur()")
    browser.press("w")
    # The weight, and every op from its layer to the loss.
    assert browser.state("trail") == "8"
    browser.press("h")
    assert browser.state("visible") == str(sum(node.kind != "constant" for node in graph.nodes))
    browser.press("t")
    dark = browser.run("return getComputedStyle(document.body).backgroundColor")
    browser.press("t")
    assert dark != browser.run("return getComputedStyle(document.body).backgroundColor")
    browser.press("?")
    assert browser.run("return !document.getElementById('help').hidden")
    browser.press(ESCAPE)
    assert browser.state("hits") == "0"
    assert browser.complaints() == []


def test_a_phone_shows_all_of_it(browser: Browser, tmp_path: Path) -> None:
    """Nothing is wider than the window, and the graph is inside."""
    browser.open(mlp_step().to_html(title="An MLP step"), tmp_path, 390, 800)
    width = browser.run("return window.innerWidth")
    assert browser.run("return document.documentElement.scrollWidth") <= width
    inside = "const r = document.querySelector('#stage svg > g').getBoundingClientRect(); return [r.left, r.right]"
    left, right = browser.run(inside)
    assert left >= -1
    assert right <= width + 1
    assert browser.complaints() == []


def test_a_large_graph_opens_closed_and_says_so(browser: Browser, tmp_path: Path) -> None:
    """A hundred thousand nodes are folded before they come to the page."""
    x = Tensor(1.0, requires_grad=True)
    y = x
    for _ in range(20_000):
        y = y * 1.0001
    browser.open(y.graph().to_html(max_nodes=300), tmp_path)
    assert int(browser.state("visible")) <= 300
    assert "20,0" in browser.run("return document.getElementById('note').textContent")
    assert browser.complaints() == []


def hostile_graph(text: str) -> Graph:
    """The text as name of a parameter, of data, of a result, of a module, and as a parameter of an op."""
    x = Tensor(np.ones((2, 3)), requires_grad=True)
    data = np.ones((2, 3))
    with record_values():
        y = (x * data).sum()
    y.backward()
    graph = y.graph(names={text: x, f"{text}.{text}": data, f"{text}!": y})
    # An op is applied again, with its parameters, when its step is told.
    nodes = tuple(
        dataclasses.replace(node, line=(text, 1), params=node.params if node.kind == "op" else {text: text})
        for node in graph.nodes
    )
    return Graph(nodes, graph.edges, graph.outputs, (text,), 200, {}, graph.tensor)


class _Shape(HTMLParser):
    """The tags and attribute names of a page, without its texts."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Any] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, [name for name, _ in attrs]))


def shape_of(page: str) -> list[Any]:
    parser = _Shape()
    parser.feed(page)
    return parser.found


PAYLOADS = [one for one in HOSTILE if "\ud800" not in one]


@pytest.mark.parametrize("text", PAYLOADS)
def test_no_text_adds_a_tag_or_an_attribute(text: str) -> None:
    """The page and the frame around it have the same elements whatever names, labels, notes and titles are."""
    harmless = page_of(hostile_graph("harmless").to_dict(title="harmless", steps=True))
    page = page_of(hostile_graph(text).to_dict(title=text, steps=True))
    assert shape_of(page) == shape_of(harmless)
    (embedded,) = re.findall(r'<script type="application/json" id="graph">(.*?)</script>', page, re.DOTALL)
    assert json.loads(embedded)["title"] == text
    assert shape_of(frame_of(page)) == shape_of(frame_of("x"))
    assert html.unescape(re.search('srcdoc="([^"]*)"', frame_of(page))[1]) == page  # type: ignore[index]


@pytest.mark.parametrize("text", PAYLOADS)
def test_no_text_changes_mermaid(text: str) -> None:
    """One line for each node, arrow, look and note, and no character of a name that Mermaid reads."""
    lines = hostile_graph(text).to_mermaid().splitlines()
    expected = hostile_graph("harmless").to_mermaid().splitlines()
    assert len(lines) == len(expected)
    for line, other in zip(lines, expected, strict=True):
        # Round brackets mean nothing to Mermaid inside of quotation marks.
        marks = r'[^"\[\]{}|<>]'
        assert re.sub(marks, "", line) == re.sub(marks, "", other)


def test_every_text_is_shown_as_it_is(browser: Browser, tmp_path: Path) -> None:
    """In a browser: all of them in one page; no element more than for harmless names, and none of them runs."""
    count = "return document.querySelectorAll('*').length"
    texts = [one for one in PAYLOADS if one.isprintable() and len(one) < 30]

    def page(names: list[str]) -> str:
        leaves = [Tensor(np.ones(2), requires_grad=True) for _ in names]
        with record_values():
            total = leaves[0]
            for one in leaves[1:]:
                total = total + one
        return total.graph(names=dict(zip(names, leaves, strict=True))).to_html(title=names[0])

    # Names whose end is what a dot leaves are shown by their end.
    texts = [one for one in texts if "." not in one]
    browser.open(page([f"x{k}" for k in range(len(texts))]), tmp_path)
    before = browser.run(count)
    browser.open(page(texts), tmp_path)
    assert browser.run(count) == before
    shown = browser.run("return [...document.querySelectorAll('text.title')].map((one) => one.textContent)")
    assert set(texts) <= set(shown)
    assert browser.complaints() == []


def test_the_policy_forbids_what_is_not_in_the_file() -> None:
    """Scripts and styles by their hashes, nothing from anywhere; no handler in any attribute."""
    page = mlp_step().to_html(title="t")
    (policy,) = re.findall('Content-Security-Policy" content="([^"]*)"', page)
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert not [attribute for _, attributes in shape_of(page) for attribute in attributes if attribute.startswith("on")]
    viewer = resources.files("tinygrad_mlp.graph.page").joinpath("viewer.js").read_text(encoding="utf-8")
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|https?://(?!www\.w3\.org)",
        viewer,
    )


def tags_of(svg: str) -> Counter[str]:
    return Counter(element.tag for element in ET.fromstring(svg).iter())  # noqa: S314 - our own picture


@pytest.mark.parametrize("text", PAYLOADS)
def test_no_text_changes_dot_svg_or_the_terminal(text: str) -> None:
    """Names, notes, lines and parameters: as many nodes, arrows, elements and lines as with harmless ones."""
    graph, harmless = hostile_graph(text), hostile_graph("harmless")
    terminal = graph.to_text()
    assert terminal.count("\n") == harmless.to_text().count("\n")
    assert all(one == "\n" or one.isprintable() for one in terminal)
    pygraphviz = pytest.importorskip("pygraphviz", reason='pip install "tinygrad-mlp[graph]"')
    drawn = pygraphviz.AGraph(string=graph.to_dot())
    assert (drawn.number_of_nodes(), drawn.number_of_edges()) == (len(graph.nodes), len(graph.edges))
    tags, expected = tags_of(graph.to_svg()), tags_of(harmless.to_svg())
    assert tags.keys() <= expected.keys()
    # What is empty or a space takes no line of its own, and a dot makes another module.
    for tag in expected.keys() - {"{http://www.w3.org/2000/svg}text"} if "." not in text else ():
        assert tags[tag] == expected[tag]


def test_what_an_error_says_is_text_everywhere() -> None:
    """The message of an error that an op raised stands in the pictures of what failed, and adds nothing to them."""
    x = Tensor(np.ones(3), requires_grad=True)

    def graph_of_message(text: str) -> Graph:
        with pytest.raises(ValueError, match="mul") as caught, record_values():
            x * Tensor(np.ones(4))
        graph = caught.value.graph  # type: ignore[attr-defined]
        return Graph(
            graph.nodes, graph.edges, graph.outputs, (f"mul raised ShapeError: {text}",), 200, {}, graph.tensor
        )

    harmless = graph_of_message("harmless")
    for text in PAYLOADS:
        graph = graph_of_message(text)
        assert shape_of(graph.to_html(title=text)) == shape_of(harmless.to_html(title="harmless"))
        assert graph.to_text().count("\n") == harmless.to_text().count("\n")
        assert len(graph.to_mermaid().splitlines()) == len(harmless.to_mermaid().splitlines())
