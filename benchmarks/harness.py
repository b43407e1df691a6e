"""What all benchmarks share: fair timing in turns, tables, what machine this is, fresh interpreters."""

from __future__ import annotations

import dataclasses
import gc
import importlib.metadata
import importlib.util
import itertools
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

__all__ = [
    "HERE",
    "NOT_INSTALLED",
    "ROOT",
    "Column",
    "Settings",
    "Table",
    "disturbed",
    "environment",
    "fresh_python",
    "has",
    "limit_threads",
    "pin",
    "ratio_of",
    "spread",
    "take_turns",
    "verdict",
]

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
NOT_INSTALLED = "not installed"
# Whose versions are written beside the figures.
LIBRARIES = ("torch", "jax", "scikit-learn", "autograd", "mygrad", "micrograd", "keras")

Step = Callable[[], Any]


@dataclasses.dataclass(frozen=True)
class Settings:
    """How much to measure: ``quick`` only shows that everything runs, its figures mean nothing."""

    quick: bool = False
    rounds: int = 40
    block: float = 0.012
    threads: int = 1
    #: of one comparison, roughly: long steps get fewer rounds, but never under five.
    seconds: float = 8.0
    #: names of contenders to leave out.
    without: tuple[str, ...] = ()

    @property
    def clock(self) -> Callable[[], float]:
        """Seconds: of this process on a core where one thread works, so that what else runs here does not count."""
        return time.process_time if self.threads == 1 else time.perf_counter

    def pick(self, usual: int, quick: int) -> int:
        """A count: ``usual``, or the smaller one with ``quick``."""
        return quick if self.quick else usual


def has(name: str) -> bool:
    """Whether a library can be imported, found out without importing it."""
    return importlib.util.find_spec(name) is not None


# --- timing ---------------------------------------------------------------------------------------


def take_turns(contenders: Mapping[str, Step], settings: Settings) -> dict[str, list[float]]:
    """Seconds per call of each contender, one figure per round.

    In each round every contender runs one block of calls, A B C, in the next B C A, and so on: what else the machine
    does then falls on all of them, and only figures of one round are compared. Each block begins with calls that are
    not timed, because the contender before has taken the caches, and with several threads its idle pool keeps a core
    busy for some 30 ms. What a contender only begins (JAX returns before the work is done) is waited for at the end of
    each block, once, as in a training loop that does not look at every loss.
    """
    names = list(contenders)
    clock = settings.clock
    counts = {name: _calls_per_block(contenders[name], settings.block, clock) for name in names}
    seconds: dict[str, list[float]] = {name: [] for name in names}
    gc.collect()
    least = min(settings.rounds, 5)
    begun = time.perf_counter()
    for number in range(settings.rounds):
        if number >= least and time.perf_counter() - begun > settings.seconds:
            break
        start = number % len(names)
        for name in names[start:] + names[:start]:
            step, count = contenders[name], counts[name]
            settled = time.perf_counter() + (0.05 if settings.threads > 1 else 0.0)
            for _ in range(1 + count // 20):
                found = step()
            while time.perf_counter() < settled:
                found = step()
            _wait_for(found)
            begin = clock()
            for _ in itertools.repeat(None, count):
                found = step()
            _wait_for(found)
            seconds[name].append((clock() - begin) / count)
    return seconds


def _calls_per_block(step: Step, block: float, clock: Callable[[], float]) -> int:
    for _ in range(2):
        _wait_for(step())
    count, begin = 0, clock()
    while (passed := clock() - begin) < block:
        _wait_for(step())
        count += 1
    return max(1, round(count * block / passed))


def _wait_for(result: Any) -> None:
    wait = getattr(result, "block_until_ready", None)
    if wait is not None:
        wait()


def ratio_of(seconds: Mapping[str, Sequence[float]], ours: str, other: str) -> float | None:
    """The median over the rounds of ``ours / other``; None where ``other`` did not run."""
    if other not in seconds:
        return None
    return float(np.median(np.divide(seconds[ours], seconds[other])))


def spread(seconds: Mapping[str, Sequence[float]], ours: str, other: str) -> str:
    """The middle half of the rounds' ratios, as text."""
    if other not in seconds:
        return "-"
    low, high = np.quantile(np.divide(seconds[ours], seconds[other]), [0.25, 0.75])
    return f"{low:.2f}-{high:.2f}"


def disturbed(seconds: Mapping[str, Sequence[float]]) -> bool:
    """Whether the machine was too busy to judge: a contender's median round took over 1.5 times its fastest."""
    return any(float(np.median(values)) > 1.5 * min(values) for values in seconds.values())


def verdict(*pairs: tuple[float | None, float | None], seconds: Mapping[str, Sequence[float]] | None = None) -> str:
    """Of (figure, goal) pairs where both are known: "met" if no figure is above its goal, else "missed".

    With the ``seconds`` that the figures are made of, "too noisy" where they cannot be trusted.
    """
    if seconds is not None and disturbed(seconds):
        return "too noisy"
    known = [(figure, goal) for figure, goal in pairs if figure is not None and goal is not None]
    if not known:
        return "-"
    return "met" if all(figure <= goal for figure, goal in known) else "missed"


# --- tables ---------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Column:
    """One column: the key of its values in the rows, the heading, and the format of numbers."""

    key: str
    heading: str
    form: str = ""

    def text(self, value: Any) -> str:
        """A value as it is printed: text as it is, None as a dash."""
        if value is None:
            return "-"
        return value if isinstance(value, str) else format(value, self.form)


@dataclasses.dataclass
class Table:
    """Figures of one benchmark: rows of raw values, how to print them, and remarks below."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: list[dict[str, Any]]
    notes: list[str] = dataclasses.field(default_factory=list)

    def __str__(self) -> str:
        grid = [[column.heading for column in self.columns]]
        grid += [[column.text(row.get(column.key)) for column in self.columns] for row in self.rows]
        widths = [max(map(len, cells)) for cells in zip(*grid, strict=True)]
        lines = [f"{self.title}  [{self.name}]"]
        for cells in grid:
            first, *rest = zip(cells, widths, strict=True)
            lines.append("  ".join(["  " + first[0].ljust(first[1]), *[cell.rjust(width) for cell, width in rest]]))
        lines.insert(2, "  " + "-" * (len(lines[1]) - 2))
        return "\n".join([*lines, *[f"  {note}" for note in self.notes]])

    def as_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return dataclasses.asdict(self)


# --- the machine ----------------------------------------------------------------------------------


def pin(threads: int) -> None:
    """With one thread, keep this process on one core; to be called before JAX is imported.

    JAX has no setting for its threads that all of it heeds, but it makes no more of them than there are cores to run
    on. The other libraries are told (:func:`limit_threads`). The last core, because the first serves the devices.
    """
    if threads == 1 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


@contextmanager
def limit_threads(threads: int) -> Iterator[None]:
    """Give NumPy's BLAS and, where it is loaded, PyTorch the same number of threads inside the block."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
    if has("threadpoolctl"):
        from threadpoolctl import threadpool_limits

        limits: Any = threadpool_limits(threads)
    else:
        limits = nullcontext()
    with limits:
        yield


def environment(settings: Settings) -> dict[str, Any]:
    """CPU, versions, BLAS kernel and threads: what a figure needs to be read."""
    facts: dict[str, Any] = {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "cores used": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load": [round(one, 2) for one in os.getloadavg()] if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        "numpy": np.__version__,
        **{name: _version(name) for name in LIBRARIES},
        "threads": settings.threads,
        "clock": "time of this process on a core" if settings.threads == 1 else "wall clock",
        "blas": "threadpoolctl not installed: kernel and threads unknown",
        "variables": {name: value for name, value in os.environ.items() if name.startswith(("OPENBLAS", "OMP", "MKL"))},
    }
    if has("threadpoolctl"):
        from threadpoolctl import threadpool_info

        facts["blas"] = "; ".join(
            f"{one['internal_api']} {one.get('version')} kernel {one.get('architecture')}, {one['num_threads']} threads"
            for one in threadpool_info()
            if one["user_api"] == "blas"
        )
    return facts


def _version(library: str) -> str:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return NOT_INSTALLED


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def fresh_python(script: str, *args: str, variables: Mapping[str, str | None] | None = None) -> Any:
    """Run one of our scripts in an interpreter of its own and return the JSON that it prints last.

    Args:
        script: its file name in this folder. args: for it.
        variables: to set in its environment, or with None to remove.

    Raises:
        RuntimeError: it failed, with what it wrote; a signal (a crash of the interpreter) too.
    """
    changes = {"PYTHONPATH": str(ROOT), **(variables or {})}
    env = {name: value for name, value in {**os.environ, **changes}.items() if value is not None}
    done = subprocess.run(  # noqa: S603 - our own scripts
        [sys.executable, str(HERE / script), *args], capture_output=True, text=True, env=env, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{script} {' '.join(args)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])
