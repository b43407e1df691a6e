"""How the time of a step grows with batch, width and depth: where overhead ends and arithmetic begins."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from contenders import CONTENDERS, NAMES, make_runner, reason_against
from harness import Column, Settings, Table, limit_threads, take_turns
from workloads import Workload

__all__ = ["measure"]

BASE = Workload("growth", (64, 64, 64, 10), 32, (("SGD", 0.01),), 20)
# The slowest by far, and those whose compiler takes longer than all the rest of this table.
LEFT_OUT = {"torch.compile", "sklearn", "autograd", "mygrad"}
SHOWN = tuple(name for name in NAMES if name not in LEFT_OUT)
COLUMNS = (
    Column("workload", "one step, SGD"),
    *(Column(name, name, ".2f") for name in SHOWN),
    Column("multiplications", "million mult.", ".2f"),
)


def measure(settings: Settings) -> Table:
    """Medians in µs per step; around 64-64-64-10 with batch 32 one of the three grows at a time."""
    few = dataclasses.replace(settings, rounds=settings.pick(9, 1), seconds=4.0)
    rows: list[dict[str, Any]] = []
    with limit_threads(settings.threads):
        for what, workload in _cases(settings.quick):
            row: dict[str, Any] = {
                "workload": f"{what}: {workload.name}",
                "multiplications": _multiplications(workload),
            }
            runners = {}
            for contender in CONTENDERS:
                if contender.name not in SHOWN:
                    continue
                reason = reason_against(contender, workload, quick=settings.quick)
                if contender.name in settings.without:
                    reason = "left out"
                if reason is not None:
                    row[contender.name] = reason
                    continue
                runner = make_runner(contender, workload, "SGD")
                try:
                    runner.run()
                except Exception as error:  # noqa: BLE001 - whatever stops one is no reason to stop the rest
                    row[contender.name] = "failed"
                    print(f"{workload.name}: {contender.name} failed, {type(error).__name__}: {error}")
                    continue
                runners[contender.name] = runner
            found = take_turns({name: runner.run for name, runner in runners.items()}, few)
            for name, values in found.items():
                row[name] = float(np.median(values)) * 1e6 / runners[name].steps
            rows.append(row)
    notes = ["million mult.: of the three products per layer, forward and backward, the first layer's two."]
    return Table("growth", "Growth with batch, width and depth: medians in µs", COLUMNS, rows, notes)


def _cases(quick: bool) -> list[tuple[str, Workload]]:
    batches = (1, 8) if quick else (1, 8, 64, 512)
    widths = (8, 16) if quick else (8, 32, 128, 512)
    depths = (1, 2) if quick else (1, 4, 16)
    return [
        *(("batch", _case((64, 64, 64, 10), batch)) for batch in batches),
        *(("width", _case((64, width, width, 10), 32)) for width in widths),
        *(("depth", _case((64, *[64] * depth, 10), 32, f"64-{depth}×(64)-10 batch 32")) for depth in depths),
    ]


def _case(sizes: tuple[int, ...], batch: int, spelled: str = "") -> Workload:
    return dataclasses.replace(
        BASE, sizes=sizes, batch=batch, spelled=spelled or f"{'-'.join(map(str, sizes))} batch {batch}"
    )


def _multiplications(workload: Workload) -> float:
    products = [a * b for a, b in zip(workload.sizes, workload.sizes[1:], strict=False)]
    return workload.batch * (3 * sum(products) - products[0]) / 1e6
