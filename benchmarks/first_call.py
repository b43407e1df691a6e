"""What the first calls of a compiled step cost: capture, and C from the compiler or from the cache on disk.

Every figure is of a process of its own: the first two calls of the step, of which the first runs it eagerly and
captures it. *Cold* finds an empty cache, *warm* what the cold one has left there.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from harness import Column, Settings, Table, verdict
from workloads import BY_NAME, TEXT, WORKLOADS

__all__ = ["measure"]

COLD_GOAL, WARM_GOAL = 500.0, 50.0
COLUMNS = (
    Column("workload", "first two calls, ms"),
    Column("optimizer", "optimizer"),
    Column("cold", "cold", ".0f"),
    Column("cold_goal", "goal", ".0f"),
    Column("warm", "warm", ".0f"),
    Column("warm_goal", "goal", ".0f"),
    Column("verdict", "verdict"),
)
HERE = Path(__file__).resolve().parent


def measure(settings: Settings) -> Table:
    """Medians of three processes each."""
    rows = []
    workloads = WORKLOADS[:1] if settings.quick else (*WORKLOADS, TEXT)
    for workload in workloads:
        for optimizer in workload.optimizers[: settings.pick(2, 1)]:
            cold, warm = [], []
            for _ in range(settings.pick(3, 1)):
                with tempfile.TemporaryDirectory() as cache:
                    cold.append(_seconds(workload.name, optimizer, cache))
                    warm.append(_seconds(workload.name, optimizer, cache))
            found = float(np.median(cold)) * 1e3, float(np.median(warm)) * 1e3
            rows.append(
                {
                    "workload": workload.name,
                    "optimizer": optimizer,
                    "cold": found[0],
                    "cold_goal": COLD_GOAL,
                    "warm": found[1],
                    "warm_goal": WARM_GOAL,
                    "verdict": verdict((found[0], COLD_GOAL), (found[1], WARM_GOAL)),
                }
            )
    notes = ["The first two calls hold one eager step and one compiled one: wide and LSTM spend most of warm in these."]
    return Table("first", "The first calls of a compiled step", COLUMNS, rows, notes)


def _seconds(name: str, optimizer: str, cache: str) -> float:
    env = {**os.environ, "TINYGRAD_MLP_NATIVE_CACHE": cache, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, str(HERE / "first_call.py"), name, optimizer]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)  # noqa: S603 - our own
    return float(done.stdout.split()[-1])


def _once(name: str, optimizer: str) -> float:
    """In a process of its own: seconds of the first two calls."""
    import time

    from engine import make_native

    workload = BY_NAME[name]
    xs, targets = workload.batches()
    step = make_native(workload, optimizer)
    begin = time.perf_counter()
    for place in range(2):
        step(xs[place], targets[place])
    return time.perf_counter() - begin


if __name__ == "__main__":
    print(_once(*sys.argv[1:]))
