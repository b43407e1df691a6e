"""Training steps against PyTorch eager and hand-written NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import engine
import numpy as np
from harness import (
    NOT_INSTALLED,
    Column,
    Settings,
    Table,
    has,
    limit_threads,
    ratio_of,
    spread,
    take_turns,
    verdict,
)
from peers import plain_numpy
from workloads import WORKLOADS, Workload

__all__ = ["contenders", "losses", "measure"]

COLUMNS = (
    Column("workload", "training step"),
    Column("ours_us", "ours µs", ".0f"),
    Column("torch_us", "torch µs", ".0f"),
    Column("numpy_us", "NumPy µs", ".0f"),
    Column("ours_over_torch", "ours/torch", ".2f"),
    Column("torch_spread", "middle half"),
    Column("torch_goal", "goal", ".1f"),
    Column("ours_over_numpy", "ours/NumPy", ".2f"),
    Column("numpy_spread", "middle half"),
    Column("numpy_goal", "goal", ".1f"),
    Column("verdict", "verdict"),
)


def contenders(workload: Workload, dtype: Any = np.float32) -> dict[str, Callable[[], Any]]:
    """One step function per contender that is installed, all from the same weights on the same batch."""
    steps = {"ours": engine.make_step(workload, dtype)}
    if has("torch"):
        from peers import pytorch

        steps["torch"] = pytorch.make_step(workload, dtype)
    steps["numpy"] = plain_numpy.make_step(workload, dtype)
    return steps


def losses(step: Callable[[], Any], count: int) -> list[float]:
    """The losses of the first ``count`` steps."""
    return [float(step().item()) for _ in range(count)]


def measure(settings: Settings) -> Table:
    """Time all workloads; before that, see that all contenders compute the same losses over 20 steps.

    Raises:
        RuntimeError: they do not.
    """
    rows = []
    worst = 0.0
    with limit_threads(settings.threads):
        for workload in WORKLOADS:
            steps = contenders(workload)
            histories = {name: losses(step, 20) for name, step in steps.items()}
            for name, history in histories.items():
                gap = max(abs(a - b) / max(1.0, abs(b)) for a, b in zip(history, histories["numpy"], strict=True))
                worst = max(worst, gap)
                if not gap <= 1e-4:
                    raise RuntimeError(f"{workload.name}: {name} and numpy differ by {gap:.1e} in 20 steps")
            rows.append(_row(workload, take_turns(steps, settings)))
    notes = [
        f"Checked first: the losses of 20 steps agree to 1e-4 (largest difference {worst:.0e}).",
        "Ratios are medians over rounds; only blocks of the same round are compared. goal: at most.",
        "too noisy: some contender's median round took over 1.5 times its fastest, so that its figures are not judged.",
    ]
    return Table("steps", "One training step, float32, ReLU, plain SGD", COLUMNS, rows, notes)


def _row(workload: Workload, seconds: dict[str, list[float]]) -> dict[str, Any]:
    micro = {name: float(np.median(values)) * 1e6 for name, values in seconds.items()}
    over_torch, over_numpy = ratio_of(seconds, "ours", "torch"), ratio_of(seconds, "ours", "numpy")
    return {
        "workload": workload.name,
        "ours_us": micro["ours"],
        "torch_us": micro.get("torch", NOT_INSTALLED),
        "numpy_us": micro["numpy"],
        "ours_over_torch": over_torch,
        "torch_spread": spread(seconds, "ours", "torch"),
        "torch_goal": workload.torch_goal,
        "ours_over_numpy": over_numpy,
        "numpy_spread": spread(seconds, "ours", "numpy"),
        "numpy_goal": workload.numpy_goal,
        "verdict": verdict((over_torch, workload.torch_goal), (over_numpy, workload.numpy_goal), seconds=seconds),
    }
