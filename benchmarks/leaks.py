"""Training steps with the garbage collector off: does memory grow, and did anything need the collector?

python benchmarks/leaks.py 10000              as JSON, one line
"""

from __future__ import annotations

import argparse
import gc
import json
import tracemalloc

from contenders import CONTENDERS, make_runner
from harness import Column, Settings, Table, fresh_python, verdict
from workloads import WORKLOADS

__all__ = ["measure"]

ARENA = 1 << 20  # what CPython takes from the system at once
WORKLOAD = next(one for one in WORKLOADS if one.label == "moons")
COLUMNS = (
    Column("workload", "training steps, collector off"),
    Column("steps", "steps", ",d"),
    Column("growth", "growth, bytes", ",d"),
    Column("goal", "goal, at most", ",d"),
    Column("collected", "gc.collect()", ",d"),
    Column("verdict", "verdict"),
)


def measure(settings: Settings) -> Table:
    """Run the steps in a fresh process."""
    found = fresh_python("leaks.py", str(settings.pick(10_000, 100)))
    row = {
        "workload": WORKLOAD.name,
        **found,
        "goal": ARENA,
        "verdict": verdict((found["growth"], ARENA), (found["collected"], 0)),
    }
    return Table("leaks", "Memory without the garbage collector", COLUMNS, [row])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("steps", type=int, nargs="?", default=10_000)
    steps = parser.parse_args().steps
    step = make_runner(CONTENDERS[0], WORKLOAD, "SGD").run
    tracemalloc.start()
    for _ in range(100):
        step()
    gc.collect()
    gc.disable()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(steps):
        step()
    growth = tracemalloc.get_traced_memory()[0] - before
    print(json.dumps({"steps": steps, "growth": growth, "collected": gc.collect()}))


if __name__ == "__main__":
    main()
