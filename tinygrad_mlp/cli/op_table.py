"""``tinygrad-mlp ops``: every declared op with its formula, range and measured errors, as a table or a page."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .. import ops
from ..errors import ArgumentError, MissingExtraError, did_you_mean
from ..extras import need
from ..samples import Domain, Elementwise, Reduction
from ..tape import OPS, Op
from ..testing.accuracy import Accuracy, Figure, Limit, contract_of, measure
from ..testing.laws import OpReport, check_op
from .op_reasons import WHY
from .text import table

__all__ = ["check_page", "show_ops", "write_page"]

# Operands for the errors and calls for each law: at length, and with --quick.
_EFFORT = {False: (300, 200), True: (40, 20)}
_DTYPES = (np.float64, np.float32)
_COLUMNS = ("f64", "f64'", "f64''", "f32", "f32'", "f32''")
_MEASURED = "## Errors measured"
# Other processors run other kernels of NumPy's: SVML's vectorised functions err by up to 4 ULP.
_ELSEWHERE = 4.0

_INTRODUCTION = """\
# Every operation

Written by `tinygrad-mlp ops --write docs/ops.md`; a test sees that every declared operation is here and within its
limits.

## What they are

`formula`: with the names of the operands. `range`: where the errors below were measured and the limits hold, for each
operand; that of a power of ten is for float64, float32 has the same share of its own exponents. Operations that are
not in `tinygrad_mlp.ops` by name are parts of those that are, and of their gradients. `why it is one`: everything else
in the package is a composition of these ([docs/reference](reference/README.md) says of which).

`class` says which errors are allowed, in units in the last place (ULP), in float64 / float32:

| class | value | first derivative | second derivative |
|---|---|---|---|
"""
_ERRORS = """\
`laws`: how many of the laws that apply to the operation hold (`tinygrad_mlp.testing.check_op`), each on {examples}
calls with drawn shapes and values: value and derivatives against another computation, both modes and both orders,
dtypes, empty and 0-d shapes, memory, broadcasting.

The largest error found, in ULP of the exact result: value, first derivative, second derivative. Exact values and
derivatives are computed from the reference of each declaration with mpmath, at up to 1,300 digits, at {points}
operands whose magnitudes are spread evenly over all powers of ten of the range, of both signs; for operations on
whole arrays, on small random ones. Incoming gradients are powers of two, so that a figure is the error of the rule
alone. A figure marked `s` is in ULP of the *scaled* size: the exact result plus what it changes by when each operand
changes by all of itself, `|f| + Σ |x ∂f/∂x|`. For sums and products that is the sum of the magnitudes of the terms;
near a root of a derivative, where terms cancel, the size of the terms. A dash: nothing to differentiate. Sample
maxima, not proofs: on another processor NumPy's functions may err by up to 4 ULP more.

"""


@dataclass(frozen=True)
class _Row:
    """What the declaration says of one op."""

    op: Op
    what: str
    public: bool

    @property
    def name(self) -> str:
        return self.op.name

    @property
    def operands(self) -> str:
        given = ", ".join(self.op.operands) if self.op.operands else "any number"
        return given if not self.op.params else f"{given}; {', '.join(self.op.params)}"

    @property
    def formula(self) -> str:
        template = self.op.formula()
        if template is None:
            return self.what
        named = {one: rf"\mathrm{{{one}}}".replace("_", r"\_") for one in self.op.params}
        operands = [one if len(one) == 1 else rf"\mathrm{{{one}}}" for one in self.op.operands] or ["x"]
        return "$`" + template.format(*operands, **{"operands": r"x_1, x_2, \ldots", **named}) + "`$"

    @property
    def range(self) -> str:
        sample = self.op.samples
        if isinstance(sample, Elementwise):
            conditions = [name == "condition" for name in self.op.operands]
            spans = ["true, false" if yes else _span(one) for yes, one in zip(conditions, sample.operands, strict=True)]
            return " × ".join(spans) if len(set(spans)) > 1 else spans[0]
        return _span(sample.domain) if isinstance(sample, Reduction) else "small arrays"

    @property
    def why(self) -> str:
        return WHY.get(self.name, "")

    @property
    def differentiable(self) -> bool:
        return callable(self.op.rules) or any(self.op.rules)

    @property
    def contract(self) -> str:
        return contract_of(self.op).name if self.differentiable else "exact"


def _span(domain: Domain) -> str:
    low, high = domain.reach or (domain.low, domain.high)
    holes = "".join(f", not {point:g}" for point in domain.avoid)
    return f"{low:g} … {high:g}{holes}"


def _rows() -> list[_Row]:
    found: dict[str, str] = {}
    for module in pkgutil.iter_modules(ops.__path__, ops.__name__ + "."):
        for value in vars(importlib.import_module(module.name)).values():
            op = getattr(value, "op", None)
            if callable(value) and isinstance(op, Op):
                found[op.name] = (inspect.getdoc(value) or "").partition("\n")[0].split(". ")[0].rstrip(".")
    rows = [_Row(op, found.get(name, ""), name in ops.__all__) for name, op in OPS.items()]
    return sorted(rows, key=lambda row: (not row.public, row.name))


# --- measuring ------------------------------------------------------------------------------------


class _Measurement(NamedTuple):
    """What the laws and the measurements say of one op; ops without a rule have no derivatives to measure."""

    laws: OpReport
    accuracies: tuple[Accuracy, ...]


_Measured = dict[str, _Measurement]


def _measured(rows: list[_Row], quick: bool, seed: int) -> _Measured:
    points, examples = _EFFORT[quick]
    with _progress(len(rows)) as advance:
        found: _Measured = {}
        for row in rows:
            advance(row.name)
            laws = check_op(row.name, examples=examples, raise_on_failure=False)
            dtypes = _DTYPES if row.differentiable else ()
            found[row.name] = _Measurement(
                laws, tuple([measure(row.name, dtype, points=points, seed=seed) for dtype in dtypes])
            )
        return found


@contextmanager
def _progress(total: int) -> Iterator[Callable[[str], None]]:
    """A bar on the terminal's error stream, where there is one; silence elsewhere."""
    try:
        rich = need("rich.progress", extra="cli", purpose="draw progress bars") if sys.stderr.isatty() else None
    except MissingExtraError:
        rich = None
    if rich is None:
        yield lambda name: None
        return
    console = need("rich.console", extra="cli", purpose="draw progress bars").Console(stderr=True)
    with rich.Progress(console=console, transient=True) as bar:
        task = bar.add_task("measuring", total=total)

        def advance(name: str) -> None:
            bar.update(task, advance=1, description=f"measuring {name}")

        yield advance


def _figures(row: _Row, measured: _Measured) -> list[str]:
    laws, accuracies = measured[row.name]
    verdicts = [one.verdict for one in laws.findings if one.verdict != "not applicable"]
    passed = f"{verdicts.count('passed')} of {len(verdicts)}"
    if not accuracies:
        return [passed, *["–"] * 6]
    limits = contract_of(row.op).limits
    return [
        passed,
        *[
            _shown(figure, limit)
            for accuracy in accuracies
            for figure, limit in zip(accuracy.figures, limits, strict=True)
        ],
    ]


def _shown(figure: Figure, limit: Limit) -> str:
    error = figure.by(limit)
    if np.isnan(error):
        return "–"
    # Rounded up: what is printed must hold.
    return f"{np.ceil(error * 100) / 100:.2f}{'s' if limit.scaled else ''}" if error else "0"


def _failures(rows: list[_Row], measured: _Measured) -> list[str]:
    lines = []
    for row in rows:
        laws, accuracies = measured[row.name]
        lines += [] if laws.ok else [str(laws)]
        for accuracy in accuracies:
            lines += accuracy.failures(contract_of(row.op), _ELSEWHERE)
    return lines


# --- the page -------------------------------------------------------------------------------------


def _declared(rows: list[_Row]) -> str:
    """The part of the page that follows from the declarations alone."""
    text = _INTRODUCTION
    kinds = {contract_of(row.op) for row in rows if row.differentiable}
    for contract in sorted(kinds, key=lambda one: one.name):
        text += f"| {contract.name} | " + " | ".join(_allowed(limit) for limit in contract.limits) + " |\n"
    text += (
        "\n| operation | operands; parameters | formula | range | class | why it is one |\n|---|---|---|---|---|---|\n"
    )
    for row in rows:
        name = f"`{row.name}`" if row.public else f"{row.name}"
        text += f"| {name} | {row.operands} | {_cell(row.formula)} | {row.range} | {row.contract} | {row.why} |\n"
    return text + "\n"


def _allowed(limit: Limit) -> str:
    return f"{limit.double:g} / {limit.single:g}{' s' if limit.scaled else ''}"


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


def _page(rows: list[_Row], measured: _Measured, quick: bool) -> str:
    points, examples = _EFFORT[quick]
    text = _declared(rows) + _MEASURED + "\n\n" + _ERRORS.format(points=points, examples=examples)
    text += "| operation | laws | float64 | | | float32 | | |\n|---|---|---|---|---|---|---|---|\n"
    for row in rows:
        text += f"| {row.name} | " + " | ".join(_figures(row, measured)) + " |\n"
    return text


def write_page(path: Path, quick: bool, seed: int) -> int:
    """Measure, and write the page; exit code 1 if a figure is above its limit."""
    rows = _rows()
    if not path.parent.is_dir():
        raise ArgumentError(f"--write {path}: there is no folder {path.parent}; make it first")
    measured = _measured(rows, quick, seed)
    path.write_text(_page(rows, measured, quick), encoding="utf-8")
    print(f"{path}: {len(rows)} operations.")
    return _told(_failures(rows, measured))


def check_page(path: Path) -> int:
    """Compare the page with the declarations, its measured figures apart; exit code 1 if it is stale."""
    if not path.is_file():
        raise ArgumentError(f"--check {path}: there is no such file; say tinygrad-mlp ops --write {path}")
    rows = _rows()
    declared, marker, figures = path.read_text(encoding="utf-8").partition(_MEASURED)
    listed = [line.split("|")[1].strip() for line in figures.splitlines() if line.startswith("| ")][1:]
    if declared == _declared(rows) and marker and listed == [row.name for row in rows]:
        print(f"{path} is up to date: {len(rows)} operations.")
        return 0
    print(f"{path} is stale; say tinygrad-mlp ops --write {path}", file=sys.stderr)
    return 1


# --- the terminal ---------------------------------------------------------------------------------


def show_ops(chosen: tuple[str, ...], quick: bool, seed: int) -> int:
    """Measure these ops, or all, and print the table; exit code 1 if a figure is above its limit."""
    rows = _rows()
    known = [row.name for row in rows]
    for name in chosen:
        if name not in known:
            raise ArgumentError(did_you_mean("op", name, known))
    rows = [row for row in rows if not chosen or row.name in chosen]
    measured = _measured(rows, quick, seed)
    cells = [
        (row.name, row.operands, _plain(row.what), row.range, row.contract, *_figures(row, measured)) for row in rows
    ]
    head = (
        "op",
        "operands; parameters",
        "what",
        "range",
        "class",
        "laws",
        "f64",
        "f64'",
        "f64''",
        "f32",
        "f32'",
        "f32''",
    )
    _print(head, cells)
    failures = _failures(rows, measured)
    print(
        f"\nErrors of value, first and second derivative in ULP (s: scaled, see docs/ops.md).\n"
        f"{len(measured)} ops measured, {len(failures)} figures above their limit."
    )
    return _told(failures)


def _told(failures: list[str]) -> int:
    for line in failures:
        print(line, file=sys.stderr)
    return 1 if failures else 0


def _plain(text: str) -> str:
    return text.replace("``", "")


def _print(head: tuple[str, ...], cells: list[tuple[str, ...]]) -> None:
    try:
        rich = need("rich.table", extra="cli", purpose="draw tables") if sys.stdout.isatty() else None
    except MissingExtraError:
        rich = None
    if rich is None:
        print(table(head, cells))
        return
    grid: Any = rich.Table(box=need("rich.box", extra="cli", purpose="draw tables").SIMPLE_HEAD)
    for place, name in enumerate(head):
        grid.add_column(name, justify="right" if place > 4 else "left", no_wrap=place in (0, *range(5, 11)))
    for row in cells:
        grid.add_row(*row)
    need("rich.console", extra="cli", purpose="draw tables").Console().print(grid)
