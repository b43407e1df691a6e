"""One training run as one HTML file: nothing is loaded, nothing is executed, and it can be mailed or archived."""

from __future__ import annotations

import html
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import MissingExtraError
from ..graph import Graph
from ..graph.render import RENDERERS
from ..nn import Summary
from ..testing import GradcheckReport
from .confusion import plot_confusion_matrix
from .curves import plot_curve
from .page import STYLE
from .pictures import mistakes_of
from .png import png_data_uri
from .style import figure_svg

__all__ = ["Answers", "Written", "write_report"]

Pairs = Iterable[tuple[str, str]]
_MISTAKES = 12
# A browser may end a line at the hyphen of 1e-10 and at the spaces of an equation.
_FORMULA = re.compile(r"Im f\(x \+ ih\)/h|(?:\b[a-z] = )?\d+(?:\.\d+)?e-\d+|layer \d+")


@dataclass(frozen=True, eq=False)
class Answers:
    """What a classifier said about the test samples.

    Attributes:
        truth: (samples,) class ids.
        probabilities: (samples, classes).
        class_names: one name per class.
        images: (samples, height, width) where the samples are images.
    """

    truth: NDArray[Any]
    probabilities: NDArray[Any]
    class_names: Sequence[str]
    images: NDArray[Any] | None = None


@dataclass(frozen=True)
class Written:
    """Where the report is, and what drew the graph in it: a renderer's name, or None where the list stands instead."""

    path: Path
    renderer: str | None


@dataclass
class _Page:
    """Sections in order; every text that enters has been escaped."""

    parts: list[str] = field(default_factory=list)

    def section(self, heading: str, note: str, *blocks: str) -> None:
        text = f'<p class="note">{_prose(note[:1].upper() + note[1:])}</p>' if note else ""
        self.parts.append(f"<section><h2>{_text(heading)}</h2>{text}{''.join(blocks)}</section>")


def write_report(
    path: str | os.PathLike[str],
    *,
    title: str,
    lead: str = "",
    numbers: Pairs = (),
    data: Pairs = (),
    summary: Summary | None = None,
    history: Mapping[str, Sequence[float]] | None = None,
    answers: Answers | None = None,
    figures: Iterable[tuple[str, str, Any]] = (),
    gradients: GradcheckReport | None = None,
    graph: Graph | None = None,
    settings: Pairs = (),
    environment: Pairs = (),
) -> Written:
    """Write one self-contained page about one training run; sections without content are left out.

    Args:
        path: of the HTML file; missing folders are made.
        title, lead: the heading, and the result in one sentence.
        numbers: label and value of the few numbers to be seen first.
        data: label and value of the facts about the data.
        summary: of the model.
        history: lists by name, as ``History.history``.
        answers: of a classifier on the test samples: gives the confusion matrix and, for images, the wrong ones.
        figures: heading, note and matplotlib ``Figure`` of further sections.
        gradients: what the gradient checker found.
        graph: of one training step.
        settings: label and value of what was chosen: widths, learning rate, seed.
        environment: label and value: versions, threads, seconds; the time of writing is put first.

    Returns:
        The path, and which renderer drew the graph.

    Where matplotlib is missing the curves are left out with a line that says how to install it.
    """
    page = _Page()
    if gradients is not None:
        page.section("Are the gradients right?", _gradient_note(gradients), _gradient_table(gradients))
    if history:
        metrics = [name for name in history if not name.startswith("val_")]
        curves = "".join(
            _drawn(lambda one=one: plot_curve(history, one).figure, f"{one} over the epochs", "card lines")
            for one in metrics
        )
        page.section("Training", "", f'<div class="curves">{curves}</div>')
    if answers is not None:
        _answer_sections(page, answers)
    for heading, note, figure in figures:
        page.section(heading, note, _drawn(lambda figure=figure: figure, heading))
    if summary is not None:
        page.section("The model", "", f'<div class="wide">{_summary_table(summary)}</div>')
    renderer = None
    if graph is not None:
        picture, renderer = _graph_picture(graph)
        page.section("The graph of one training step", _graph_note(renderer), picture)
    where = list(environment)
    if where:
        where.insert(0, ("written", f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"))
    for heading, pairs in (("The data", data), ("Settings", settings), ("Where and when", where)):
        rows = [_row("th", [key], "td", [value]) for key, value in pairs]
        if rows:
            page.section(heading, "", f'<table class="facts">{"".join(rows)}</table>')
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(_document(title, lead, numbers, page), encoding="utf-8")
    return Written(target, renderer)


def _document(title: str, lead: str, numbers: Pairs, page: _Page) -> str:
    tiles = "".join(f"<div><dd>{_text(value)}</dd><dt>{_text(label)}</dt></div>" for label, value in numbers)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{_text(title)}</title><style>{STYLE}</style></head>\n<body><main>"
        f'<header><h1>{_text(title)}</h1><p class="lead">{_prose(lead)}</p>'
        f"{f'<dl>{tiles}</dl>' if tiles else ''}</header>\n" + "\n".join(page.parts) + "\n</main></body></html>\n"
    )


def _text(value: object) -> str:
    return html.escape(str(value))


def _prose(value: str) -> str:
    return _FORMULA.sub(r'<span class="formula">\g<0></span>', _text(value))


def _row(head: str, heads: Sequence[object], cell: str, cells: Sequence[object]) -> str:
    return (
        "<tr>"
        + "".join(f"<{head}>{_text(one)}</{head}>" for one in heads)
        + "".join(f"<{cell}>{_text(one)}</{cell}>" for one in cells)
        + "</tr>"
    )


def _drawn(make: Any, label: str, look: str = "card") -> str:
    try:
        return f'<div class="{look}">{figure_svg(make(), label)}</div>'
    except MissingExtraError as error:
        return f'<p class="note">{_text(error)}</p>'


def _answer_sections(page: _Page, answers: Answers) -> None:
    names = answers.class_names
    found = answers.probabilities.argmax(1)
    wrong = mistakes_of(answers.truth, answers.probabilities)
    samples = len(answers.truth)
    page.section(
        "Which classes are mistaken for which",
        f"{samples - len(wrong):,} of {samples:,} test samples are right. Rows are the true class, columns the answer.",
        _drawn(lambda: plot_confusion_matrix(answers.truth, found, names).figure, "confusion matrix"),
    )
    if answers.images is not None and wrong:
        shown = wrong[:_MISTAKES]
        what = "All the mistakes" if len(shown) == len(wrong) else f"{len(shown)} of {len(wrong):,} mistakes"
        cards = "".join(_mistake(answers, answers.images[one], one) for one in shown)
        note = f"{what}, the surest first. The bars are the model's probabilities."
        page.section("What it got wrong", note, f'<div class="mistakes">{cards}</div>')


def _mistake(answers: Answers, image: NDArray[Any], sample: int) -> str:
    shares, truth = answers.probabilities[sample], int(answers.truth[sample])
    found = int(shares.argmax())
    considered = [int(one) for one in np.argsort(-shares, kind="stable")[:3]]
    considered = considered if truth in considered else [*considered[:2], truth]
    bars = "".join(
        f'<li class="{"right" if one == truth else "wrong" if one == found else "other"}">'
        f"<span>{_text(answers.class_names[one])}</span>"
        f'<span class="bar"><i style="width:{100 * float(shares[one]):.1f}%"></i></span>'
        f"<b>{float(shares[one]):.1%}</b></li>"
        for one in considered
    )
    name, said = _text(answers.class_names[truth]), _text(answers.class_names[found])
    return (
        f'<figure><img src="{png_data_uri(image)}" alt="{name}, taken for {said}">'
        f"<figcaption>taken for <strong>{said}</strong>, is <strong>{name}</strong><ul>{bars}</ul></figcaption>"
        "</figure>"
    )


def _gradient_note(report: GradcheckReport) -> str:
    how = {
        "complex": "the complex step, Im f(x + ih)/h with h = 1e-20, which involves none of the engine's rules",
        "central": "extrapolated central differences, which involve none of the engine's rules",
    }[report.method]
    return (
        f"Before training, {report.compared:,} derivatives of the loss by the model's parameters were computed twice "
        f"in float64: by the engine, backwards, and by {how}. The worst relative error is {report.worst:.1e} at "
        f"{report.where}; {report.rtol:.0e} is allowed.{_naming_note(report.by_input)}"
    )


def _naming_note(names: Iterable[str]) -> str:
    """How to read a parameter's path, told of the first one that has a layer in it."""
    for name in names:
        layer, dot, last = name.rpartition(".")
        if dot:
            return f" The name {name} means the {last} of layer {layer}."
    return ""


def _gradient_table(report: GradcheckReport) -> str:
    rows = [
        _row("th", [name], "td", [f"{error:.1e}", "right" if error <= report.rtol else "WRONG"])
        for name, error in report.by_input.items()
    ]
    head = _row("th", ["parameter", "worst relative error", "verdict"], "td", [])
    return f'<div class="wide"><table class="numbers">{head}{"".join(rows)}</table></div>'


def _summary_table(summary: Summary) -> str:
    rows = [
        _row(
            "th",
            [f"{row.name} ({row.kind})"],
            "td",
            [
                "?" if row.output_shape is None else row.output_shape,
                f"{row.parameters:,}",
                "?" if row.multiply_adds is None else f"{row.multiply_adds:,}",
            ],
        )
        for row in summary.rows
    ]
    head = _row("th", ["layer", "output shape", "parameters", "multiply-adds"], "td", [])
    work = "?" if summary.multiply_adds is None else f"{summary.multiply_adds:,}"
    total = _row("th", ["total"], "td", ["", f"{summary.total:,}", work])
    return f'<table class="numbers">{head}{"".join(rows)}{total}</table>'


def _graph_picture(graph: Graph) -> tuple[str, str | None]:
    """The first renderer's picture, and its name; the list where there is none."""
    # The legend is text of the page, which wraps on a narrow screen where the picture scrolls.
    dot = graph.to_dot(direction="TB", legend=False)
    for renderer in RENDERERS:
        drawn = renderer.draw(dot, "svg")
        text = "" if drawn is None else drawn.decode("utf-8")
        # A renderer is another program: what it hands over must not be able to do more than a picture can.
        if "<svg" in text and "<script" not in text.lower():
            legend = "".join(
                f'<p class="note legend">{_text(line)}</p>' for line in (" · ".join(graph.legend()), *graph.notes)
            )
            return f'<div class="card graph">{text[text.index("<svg") :]}</div>{legend}', renderer.name
    return f"<pre>{_text(graph.to_text())}</pre>", None


def _graph_note(renderer: str | None) -> str:
    made = (
        f"Drawn by {renderer}." if renderer else 'No renderer is installed: pip install "tinygrad-mlp[graph]" draws it.'
    )
    return f"What the engine recorded on the way forward, and the gradients it found on the way back. {made}"
