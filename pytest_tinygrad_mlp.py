"""The pytest plugin of tinygrad_mlp: options, a fixture and a summary for gradient tests.

It stands beside the package and not in it, because pytest imports plugins before anything else: a plugin inside would
bring NumPy and the whole engine into every test run on the machine, and would hide the package's import from coverage.
This file imports nothing but what pytest has imported already; the package follows when a test uses it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

__all__: list[str] = []

_PROPERTY = "gradcheck"
_SHOWN = 20


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options, in a group of their own."""
    group = parser.getgroup("gradcheck", "gradient tests (tinygrad_mlp.testing)")
    group.addoption("--gradcheck-examples", type=int, metavar="N", help="how many examples each @gradient_test draws")
    group.addoption(
        "--gradcheck-seed", type=int, metavar="N", help="seed of @gradient_test and of the fixture gradcheck"
    )
    group.addoption(
        "--gradcheck-save", type=Path, metavar="DIR", help="write the script of each failing gradient test into DIR"
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Let gradient tests hear the options, and note their figures with the test."""
    room: Any = sys.modules.get("tinygrad_mlp.testing.property")
    if room is None:
        return (yield)
    before, room.listener = (
        room.listener,
        room.Listener(
            examples=item.config.getoption("gradcheck_examples"),
            seed=item.config.getoption("gradcheck_seed"),
            heard=lambda figures: item.user_properties.append((_PROPERTY, figures)),
        ),
    )
    try:
        return (yield)
    finally:
        room.listener = before


@pytest.fixture
def gradcheck(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """``tinygrad_mlp.testing.gradcheck`` that raises where a gradient is wrong, and counts in the summary."""
    from tinygrad_mlp.testing import gradcheck as check  # noqa: PLC0415 - not before a test asks for it

    seed = request.config.getoption("gradcheck_seed")

    def checked(*args: Any, **options: Any) -> Any:
        if seed is not None:
            options.setdefault("seed", seed)
        report = check(*args, **options)
        figures = {
            "examples": 1,
            "worst": report.worst,
            "where": report.where,
            "kinks": len(report.kinks),
            "undecided": report.undecided,
            "script": "",
        }
        request.node.user_properties.append((_PROPERTY, figures))
        return report.raise_if_wrong()

    return checked


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """One line per test that checked gradients, the largest errors first; and where the scripts are."""
    reports = [
        report
        for name in ("passed", "failed")
        for report in terminalreporter.stats.get(name, [])
        if getattr(report, "when", "") == "call"
    ]
    found = [(report.nodeid, _together(report.user_properties)) for report in reports]
    rows = sorted(((node, one) for node, one in found if one), key=lambda row: -row[1]["worst"])
    if not rows:
        return
    terminalreporter.section("gradient tests")
    shown = rows if config.option.verbose > 0 else rows[:_SHOWN]
    for node, one in shown:
        extras = "".join(f", {name}: {one[name]}" for name in ("kinks", "undecided") if one[name])
        failed = ", FAILED" if one["script"] else ""
        worst = f"worst error {one['worst']:.1e} at {one['where'] or '-'}"
        terminalreporter.line(f"{node}: {one['examples']} checked, {worst}{extras}{failed}")
    if len(rows) > len(shown):
        terminalreporter.line(f"and {len(rows) - len(shown)} more with smaller errors (all with -v)")
    folder = config.getoption("gradcheck_save")
    for node, one in rows if folder is not None else []:
        if one["script"]:
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"{re.sub(r'[^A-Za-z0-9]+', '_', node).strip('_')}.py"
            path.write_text(one["script"], encoding="utf-8")
            terminalreporter.line(f"script: {path}")


def _together(properties: list[tuple[str, Any]]) -> dict[str, Any]:
    """The figures of one test, which may have checked several times."""
    figures = [value for name, value in properties if name == _PROPERTY]
    if not figures:
        return {}
    worst = max(figures, key=lambda one: one["worst"])
    together = {**worst, "script": next((one["script"] for one in figures if one["script"]), "")}
    return together | {name: sum(one[name] for one in figures) for name in ("examples", "kinks", "undecided")}
