"""Peak memory of the batch-256 training step, each contender in a fresh process.

Two figures. Resident growth: how far the process's peak of resident memory rises over 50 steps, above what is resident
once a small model has run and the model and the batch are built. Array memory: the peak of live arrays within a step
above parameters and batch, as the allocators themselves count it (tracemalloc, to which NumPy reports; PyTorch's
profiler; unknown of JAX and of native code): also what is allocated and never touched, but not code, thread stacks and
the BLAS libraries' work space.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import json
import math
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from contenders import CONTENDERS, make_runner, reason_against
from harness import Column, Settings, Table, fresh_python, limit_threads, verdict
from workloads import WORKLOADS, Workload

__all__ = ["measure"]

GOAL = 1.1
WORKLOAD = dataclasses.replace(next(one for one in WORKLOADS if one.batch == 256), stack=1)
# Run first, so that code, thread pools and the BLAS libraries' work space are there already.
SMALL = dataclasses.replace(WORKLOAD, sizes=(784, 32, 10), batch=32)
BY_NAME = {one.name: one for one in CONTENDERS}
COLUMNS = (
    Column("contender", "peak memory of a step"),
    Column("resident_mb", "resident growth MB", ".2f"),
    Column("resident_over_torch", "of torch's", ".2f"),
    Column("array_mb", "array memory MB", ".2f"),
    Column("array_over_torch", "of torch's", ".2f"),
    Column("goal", "goal", ".1f"),
    Column("verdict", "verdict"),
)


def measure(settings: Settings) -> Table:
    """Median over several fresh processes per contender."""
    found: dict[str, dict[str, float | None]] = {}
    reasons: dict[str, str] = {}
    for name, contender in BY_NAME.items():
        reason = reason_against(contender, WORKLOAD, quick=settings.quick)
        if name in settings.without:
            reason = "left out"
        if reason is not None:
            reasons[name] = reason
            continue
        runs = [
            fresh_python("memory.py", name, str(settings.pick(50, 3)), str(settings.threads))
            for _ in range(settings.pick(3, 1))
        ]
        found[name] = {
            key: None if None in (values := [run[key] for run in runs]) else float(np.median(values)) / 1e6
            for key in ("resident", "arrays")
        }
    torch = found.get("torch")
    rows = []
    for name in BY_NAME:
        if name in reasons:
            rows.append({"contender": name, "resident_mb": reasons[name]})
            continue
        resident, arrays = found[name]["resident"], found[name]["arrays"]
        row: dict[str, Any] = {"contender": name, "resident_mb": resident, "array_mb": arrays}
        if name == "eager":
            row["goal"] = GOAL
        if torch:
            row["resident_over_torch"] = _over(resident, torch["resident"])
            row["array_over_torch"] = _over(arrays, torch["arrays"])
            if name == "eager":
                row["verdict"] = verdict((row["resident_over_torch"], GOAL), (row["array_over_torch"], GOAL))
        rows.append(row)
    notes = [
        "resident growth: peak over 50 steps above what is resident once a small model has run and this model and",
        "batch are built (JAX compiles after that, and it counts); array memory: peak of live arrays, as the",
        "allocators count them, above parameters and batch.",
    ]
    return Table("memory", f"Peak memory, {WORKLOAD.name}", COLUMNS, rows, notes)


def _over(figure: float | None, torch: float | None) -> float | None:
    """The ratio; where torch's is 0 (its steps fitted into memory it had already), 1 for no growth, else infinite."""
    if figure is None or torch is None:
        return None
    if torch > 0:
        return figure / torch
    return 1.0 if figure <= 0 else math.inf


def _make_step(contender: str, workload: Workload = WORKLOAD) -> Callable[[], Any]:
    return make_runner(BY_NAME[contender], workload, "SGD").run


def _status(key: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status has no {key}")


def _resident_growth(step: Callable[[], Any], count: int) -> int:
    status = Path("/proc/self/status")
    if status.exists():
        gc.collect()
        # Imports have a higher peak than a step; 5 sets the peak back to what is resident now (see man 5 proc).
        Path("/proc/self/clear_refs").write_text("5")
        before = _status("VmHWM")
        for _ in range(count):
            step()
        return _status("VmHWM") - before
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(count):
        step()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit


def _array_peak(contender: str) -> int | None:
    """Live array bytes at their peak in one step, above those of the parameters and the batch; None if unknown."""
    if contender.startswith("torch"):
        return _torch_peak(_make_step(contender))
    if contender.startswith(("jax", "native")):
        return None
    inputs = WORKLOAD.batches()[0].nbytes + sum(weight.nbytes + bias.nbytes for weight, bias in WORKLOAD.weights())
    tracemalloc.start()
    step = _make_step(contender)
    for _ in range(3):
        step()
    gc.collect()
    tracemalloc.reset_peak()
    step()
    return tracemalloc.get_traced_memory()[1] - inputs


def _torch_peak(step: Callable[[], Any]) -> int:
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as trace:
        for _ in range(3):
            step()
    changes: Any = [event for event in trace.profiler.kineto_results.events() if event.name() == "[memory]"]
    live = peak = 0
    for event in sorted(changes, key=lambda one: one.start_ns()):
        live += event.nbytes()
        peak = max(peak, live)
    return peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("contender", choices=BY_NAME)
    parser.add_argument("steps", type=int)
    parser.add_argument("threads", type=int)
    args = parser.parse_args()
    warm_up = _make_step(args.contender, SMALL)
    with limit_threads(args.threads):
        for _ in range(3):
            warm_up()
        resident = _resident_growth(_make_step(args.contender), args.steps)
        print(json.dumps({"resident": resident, "arrays": _array_peak(args.contender)}))


if __name__ == "__main__":
    main()
