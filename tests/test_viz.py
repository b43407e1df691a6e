"""The figures and the report: what they show, what they refuse, and that nothing in them can run."""

from __future__ import annotations

import html.parser
import re
import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinygrad_mlp import Tensor, nn, record_values, viz
from tinygrad_mlp.errors import ArgumentError, MissingExtraError, ShapeError
from tinygrad_mlp.graph import render
from tinygrad_mlp.testing import GradcheckReport, gradcheck
from tinygrad_mlp.viz.pictures import mistakes_of
from tinygrad_mlp.viz.png import grey_png

HOSTILE = "<script>alert('&\"')</script><img src=x onerror=alert(1)>"


@pytest.fixture
def matplotlib() -> Any:
    return pytest.importorskip("matplotlib", reason='matplotlib is missing: pip install "tinygrad-mlp[plot]"')


class Page(html.parser.HTMLParser):
    """Collects tags, attributes and text, and checks that every tag is closed in its place."""

    VOID = frozenset({"meta", "img", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the tag, and that it is open."""
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag that needs no closing."""
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        """It closes the tag opened last."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Note the text."""
        self.text.append(data)


def answers(name: str = "zero") -> viz.Answers:
    shares = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    return viz.Answers(np.array([0, 1, 1]), shares, [name, "one"], np.arange(3 * 16.0).reshape(3, 4, 4))


def graph(name: str = "x") -> Any:
    x = Tensor([[1.0, 2.0]], requires_grad=True)
    with record_values():
        loss = (x * x).sum()
        loss.backward()
    return loss.graph(names={name: x})


def checked() -> GradcheckReport:
    return gradcheck(lambda x: (x * x).sum(), [[1.0, 2.0]])


def write(path: Path, text: str = "plain") -> tuple[viz.Written, Page, str]:
    written = viz.write_report(
        path / "deep" / "report.html",
        title=text,
        lead=text,
        numbers=[(text, text)],
        data=[(text, text)],
        summary=nn.MLP(2, 3, 2, seed=0).summary(),
        history={"loss": [2.0, 1.0], "val_loss": [2.5, 1.5]},
        answers=answers(text),
        gradients=checked(),
        graph=graph(text),
        settings=[(text, text)],
        environment=[(text, text)],
    )
    content = written.path.read_text(encoding="utf-8")
    return written, Page(content), content


# --- the report ---------------------------------------------------------------------------------------


def test_the_report_is_one_wellformed_page_with_every_section(tmp_path: Path) -> None:
    """All sections are there, in order, in HTML whose tags are closed in their places."""
    _, page, _ = write(tmp_path)
    text = "".join(page.text)
    places = [
        text.index(heading)
        for heading in (
            "Are the gradients right?",
            "Training",
            "Which classes are mistaken for which",
            "What it got wrong",
            "The model",
            "The graph of one training step",
            "The data",
            "Settings",
            "Where and when",
        )
    ]
    assert places == sorted(places)
    assert "2 of 3 test samples are right" in text
    assert "taken for plain, is one" in text


def test_the_legend_of_the_graph_is_text_of_the_page(tmp_path: Path) -> None:
    """The picture scrolls on a narrow screen and is drawn without words that would scroll away with it."""
    pytest.importorskip("pygraphviz", reason='pip install "tinygrad-mlp[graph]"')
    _, page, content = write(tmp_path)
    assert "".join(page.text).count("amber: parameter") == 1
    assert content.index("amber: parameter") > content.rindex("</svg>")


def test_formulas_and_parameter_names_can_be_read(tmp_path: Path) -> None:
    """No line ends inside a number or an equation, and the first path is spelt out."""
    report = GradcheckReport(
        ok=True,
        worst=1e-14,
        where="0.weight[1, 2]",
        got=1.0,
        expected=1.0,
        method="complex",
        order=1,
        rtol=1e-10,
        compared=6,
        by_input={"0.weight": 1e-14},
    )
    viz.write_report(tmp_path / "r.html", title="t", lead="worst 1e-14", gradients=report)
    content = (tmp_path / "r.html").read_text(encoding="utf-8")
    for formula in ("1e-14", "h = 1e-20", "1e-10", "Im f(x + ih)/h"):
        assert f'<span class="formula">{formula}</span>' in content
    assert "The name 0.weight means the weight of " in content


def test_bars_and_percentages_stand_in_columns_of_their_own(tmp_path: Path) -> None:
    """Name, bar and share are three cells of a grid."""
    _, _, content = write(tmp_path)
    cell = '<span>plain</span><span class="bar"><i style="width:60.0%"></i></span><b>60.0%</b></li>'
    assert cell in content


def test_facts_of_the_run_have_one_time_and_settings_stand_apart(tmp_path: Path) -> None:
    """The time of writing is the first fact about where and when; notes begin with a capital letter."""
    viz.write_report(tmp_path / "r.html", title="t", settings=[("lr", "0.1")], environment=[("Python", "3")])
    content = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert re.search(
        r"Settings</h2><table class=.facts.><tr><th>lr</th>.*Where and when</h2><table class=.facts.>"
        r"<tr><th>written</th><td>\d{4}-\d\d-\d\d \d\d:\d\d UTC</td></tr><tr><th>Python</th>",
        content,
        re.DOTALL,
    )


def test_nothing_in_the_report_can_run_or_load(tmp_path: Path) -> None:
    """No script, no event handler, no address that leaves the page; a policy forbids them besides."""
    _, page, content = write(tmp_path)
    assert not {"script", "iframe", "object", "embed", "link", "form", "foreignobject"} & set(page.tags)
    assert [name for name, _ in page.attributes if name.startswith("on")] == []
    addresses = [value or "" for name, value in page.attributes if name in {"href", "src", "xlink:href", "action"}]
    assert [one for one in addresses if not one.startswith(("#", "data:image/png"))] == []
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    assert ("content", policy) in page.attributes
    assert "@import" not in content


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    """Titles, facts, class names and tensor names full of markup are shown as they are and never become tags."""
    _, page, content = write(tmp_path, HOSTILE)
    assert "<script" not in content.lower()
    assert [name for name, _ in page.attributes if name.startswith("on")] == []
    assert HOSTILE in "".join(page.text)


def test_a_renderer_that_hands_over_a_script_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The graph then stands as a list, and the report says so."""
    monkeypatch.setattr(
        "tinygrad_mlp.viz.report.RENDERERS",
        (render.Renderer("wicked", lambda _dot, _format: b"<svg><script>alert(1)</script></svg>"),),
    )
    written, page, content = write(tmp_path)
    assert written.renderer is None
    assert "<script" not in content
    assert "pre" in page.tags
    assert "No renderer is installed" in "".join(page.text)


def test_the_report_names_what_drew_its_graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first renderer that answers is used and named, in the result and on the page."""

    def by_hand(dot: str, format: str) -> bytes:
        assert dot.startswith("digraph")
        assert format == "svg"
        return b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><g></g></svg>'

    renderers = (render.Renderer("absent", lambda _dot, _format: None), render.Renderer("hand", by_hand))
    monkeypatch.setattr("tinygrad_mlp.viz.report.RENDERERS", renderers)
    written, page, content = write(tmp_path)
    assert written.renderer == "hand"
    assert "Drawn by hand." in "".join(page.text)
    assert "<?xml" not in content


def test_every_renderer_has_its_own_name() -> None:
    """The names that reports print are those that installers know, each once."""
    assert [one.name for one in render.RENDERERS] == ["pygraphviz", "graphviz-pure", "dot"]


def test_without_matplotlib_the_report_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Curves are replaced by one line; everything that needs no figure is there."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    _, page, _ = write(tmp_path)
    text = "".join(page.text)
    assert 'pip install "tinygrad-mlp[plot]"' in text
    assert "taken for plain, is one" in text


def test_sections_without_content_are_left_out(tmp_path: Path) -> None:
    """A report of a title alone has no section."""
    viz.write_report(tmp_path / "r.html", title="t")
    assert "section" not in Page((tmp_path / "r.html").read_text(encoding="utf-8")).tags


def test_dollars_in_names_are_no_mathematics(matplotlib: Any) -> None:
    """A class called "$" or "$x" is drawn as it is called, and a long name is cut."""
    ax = viz.plot_confusion_matrix([0, 1, 2], [0, 1, 2], ["$", "a $x", "x" * 40])
    assert "<svg" in viz.figure_svg(ax.figure)
    assert [label.get_text() for label in ax.get_xticklabels()] == [r"\$", r"a \$x", "x" * 19 + "…"]


# --- images -------------------------------------------------------------------------------------------


def pixels(png: bytes) -> np.ndarray:
    width, height = struct.unpack(">II", png[16:24])
    start = png.index(b"IDAT")
    (length,) = struct.unpack(">I", png[start - 4 : start])
    rows = np.frombuffer(zlib.decompress(png[start + 4 : start + 4 + length]), np.uint8).reshape(height, width + 1)
    assert not rows[:, 0].any()
    return rows[:, 1:]


def test_grey_png_holds_the_image() -> None:
    """Largest value black, smallest white, every chunk with its checksum."""
    png = grey_png([[0, 8, 16], [4, 0, 0]])
    assert pixels(png).tolist() == [[255, 128, 0], [191, 255, 255]]
    place = 8
    while place < len(png):
        (length,) = struct.unpack(">I", png[place : place + 4])
        content = png[place + 4 : place + 8 + length]
        (crc,) = struct.unpack(">I", png[place + 8 + length : place + 12 + length])
        assert crc == zlib.crc32(content)
        place += 12 + length
    assert content == b"IEND"


def test_grey_png_of_one_value_is_white_and_of_no_image_is_refused() -> None:
    """A constant image divides by no range."""
    assert (pixels(grey_png(np.full((2, 2), 7.0))) == 255).all()
    with pytest.raises(ShapeError, match=r"got shape \(4,\)"):
        grey_png(np.zeros(4))


# --- figures ------------------------------------------------------------------------------------------


def test_confusion_matrix_is_scikit_learns() -> None:
    """Rows are the truth, columns the answers."""
    metrics = pytest.importorskip("sklearn.metrics", reason='scikit-learn is missing: pip install "tinygrad-mlp[dev]"')
    rng = np.random.default_rng(0)
    truth, found = rng.integers(0, 4, 50), rng.integers(0, 4, 50)
    assert (
        viz.confusion_matrix(truth, found, 5).tolist()
        == metrics.confusion_matrix(truth, found, labels=range(5)).tolist()
    )


def test_confusion_matrix_refuses_what_it_cannot_count() -> None:
    """Other lengths and ids outside the classes are named."""
    with pytest.raises(ShapeError, match="of one shape"):
        viz.confusion_matrix([0, 1], [0])
    with pytest.raises(ArgumentError, match=r"in 0\.\.1, got 0\.\.2"):
        viz.confusion_matrix([0, 2], [0, 1], 2)


def test_the_confusion_matrix_shows_its_counts(matplotlib: Any) -> None:
    """Every count that is not zero is written into its cell, and the classes stand at the ticks."""
    ax = viz.plot_confusion_matrix([0, 0, 1, 1], [0, 1, 1, 1], ["cat", "dog"])
    assert {(text.get_position(), text.get_text()) for text in ax.texts} == {
        ((0, 0), "1"),
        ((1, 0), "1"),
        ((1, 1), "2"),
    }
    assert [label.get_text() for label in ax.get_xticklabels()] == ["cat", "dog"]


def test_the_surest_mistakes_come_first() -> None:
    """Right answers are no mistakes; limit cuts the tail."""
    shares = np.array([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7], [0.8, 0.2]])
    assert mistakes_of([0, 1, 1, 1], shares) == [3, 1]
    assert mistakes_of([0, 1, 1, 1], shares, 1) == [3]


def test_mistakes_are_drawn_with_both_labels(matplotlib: Any) -> None:
    """One picture per mistake; none at all is said; lengths that differ are refused."""
    told = answers()
    figure = viz.plot_mistakes(told.images, told.truth, told.probabilities, told.class_names)
    assert [ax.get_title() for ax in figure.axes] == ["zero: 60%\ntrue one: 40%"]
    assert viz.plot_mistakes(told.images[:1], told.truth[:1], told.probabilities[:1]).axes == []
    with pytest.raises(ShapeError, match="3 images, 2 labels"):
        viz.plot_mistakes(told.images, told.truth[:2], told.probabilities)


def test_weights_are_drawn_on_a_scale_centred_at_zero(matplotlib: Any) -> None:
    """White means zero: the colour scale is symmetric and one for all pictures."""
    figure = viz.plot_weights(nn.Linear(16, 3, seed=0).weight, (4, 4))
    limits = {ax.images[0].get_clim() for ax in figure.axes}
    assert len(figure.axes) == 3
    assert len(limits) == 1
    assert sum(limits.pop()) == 0
    with pytest.raises(ShapeError, match=r"weights \(units, 9\)"):
        viz.plot_weights(np.zeros((3, 16)), (3, 3))


def test_curves_show_training_and_validation(matplotlib: Any) -> None:
    """plot_history has a panel per metric; plot_curve draws into the axes it is given and returns them."""
    history = {"loss": [2.0, 1.0], "val_loss": [3.0, 2.0], "accuracy": [0.5, 0.6]}
    figure = viz.plot_history(history)
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["Loss", "Accuracy"]
    ax = figure.axes[1]
    assert viz.plot_curve(history, "accuracy", ax=ax) is ax
    assert ax.get_legend().get_texts()[0].get_text() == "training (last 60.00%)"
    assert ax.yaxis.get_major_formatter()(0.525, 0) == "52.5%"


def test_the_decision_boundary_colours_the_answers(matplotlib: Any) -> None:
    """Left and right of the line have the colours of class 0 and class 1."""
    points, labels = np.array([[-1.0, 0.0], [1.0, 1.0]]), np.array([0, 1])
    ax = viz.plot_decision_boundary(lambda p: (p[:, 0] > 0).astype(int), points, labels, resolution=10)
    colors = ax.images[0].get_array()
    assert len({tuple(colors[row, column]) for row in range(10) for column in range(5)}) == 1
    assert tuple(colors[0, 0]) != tuple(colors[0, 9])
    with pytest.raises(ShapeError, match=r"points \(samples, 2\)"):
        viz.plot_decision_boundary(lambda p: p, np.zeros((2, 3)), labels)


def test_misclassified_points_are_ringed_and_the_legend_covers_nothing(matplotlib: Any) -> None:
    """One ring per wrong answer, and the legend ends above the axes."""
    points = np.array([[-1.0, 0.0], [1.0, 1.0], [0.5, 0.5]])
    ax = viz.plot_decision_boundary(lambda p: (p[:, 0] > 0).astype(int), points, [0, 1, 0], resolution=10)
    assert ax.collections[-1].get_offsets().tolist() == [[0.5, 0.5]]
    assert ax.collections[-1].get_label() == "misclassified (1)"
    ax.figure.draw_without_rendering()
    assert ax.get_legend().get_window_extent().y0 >= ax.get_window_extent().y1
    right = viz.plot_decision_boundary(lambda p: (p[:, 0] > 0).astype(int), points[:2], [0, 1], resolution=10)
    assert len(right.collections) == 2


def test_predictions_lie_beside_the_truth(matplotlib: Any) -> None:
    """Columns of one number each are taken too; sizes that differ are refused."""
    ax = viz.plot_predictions([[1.0], [2.0]], [1.5, 2.5])
    assert ax.collections[0].get_offsets().tolist() == [[1.0, 1.5], [2.0, 2.5]]
    with pytest.raises(ShapeError, match="as many predictions"):
        viz.plot_predictions([1.0], [1.0, 2.0])


def test_a_figure_as_svg_is_the_same_every_time(matplotlib: Any) -> None:
    """No date, no random names, no comments; settings of the caller are as before."""
    before = dict(matplotlib.rcParams)
    one, two = (viz.figure_svg(viz.plot_history({"loss": [2.0, 1.0]}), "loss") for _ in range(2))
    assert one == two
    assert one.startswith('<svg role="img"')
    assert "<!--" not in one
    assert dict(matplotlib.rcParams) == before


def test_figures_name_the_extra_when_matplotlib_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error holds the command that installs it."""
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=re.escape('pip install "tinygrad-mlp[plot]"')):
        viz.plot_history({"loss": [1.0]})
