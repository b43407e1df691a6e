"""Deep graphs: chains of up to a million ops with the recursion limit at 200, freed in a small stack too.

python benchmarks/deep.py                     as JSON, one line
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import threading
import time
import tracemalloc
from typing import Any

import numpy as np
from harness import Column, Settings, Table, fresh_python, verdict

from tinygrad_mlp import Tensor

__all__ = ["measure"]

GOAL = 1.3
RECURSION_LIMIT = 200
SMALL_STACK = 256 * 1024
COLUMNS = (
    Column("ops", "ops in the chain", ",d"),
    Column("build", "build µs/op", ".2f"),
    Column("backward", "backward µs/op", ".2f"),
    Column("free", "free µs/op", ".2f"),
    Column("total", "total µs/op", ".2f"),
    Column("ratio", "over the shortest", ".2f"),
    Column("goal", "goal", ".1f"),
    Column("bytes", "bytes/op", ".0f"),
    Column("verdict", "verdict"),
)


def measure(settings: Settings) -> Table:
    """Run the chains in a fresh process; the last row is the longest chain, freed in a thread with a 256 KiB stack."""
    lengths = [10_000, 100_000, 1_000_000][: settings.pick(3, 1)]
    found = fresh_python("deep.py", "--rounds", str(settings.pick(3, 1)), *map(str, lengths))
    rows: list[dict[str, Any]] = found["rows"]
    if len(rows) > 1:
        rows[-1]["goal"] = GOAL
        rows[-1]["verdict"] = verdict((rows[-1]["ratio"], GOAL))
    longest = lengths[-1]
    freed = fresh_python("deep.py", "--free-in-thread", str(longest))
    notes = [
        f"Recursion limit {RECURSION_LIMIT}; medians of rounds taken in turns, short chains repeated within a round.",
        f"The collector runs as users have it; without it, longest over shortest: {found['ratio_collector_off']:.2f}.",
        f"{longest:,} ops freed in a thread with a {SMALL_STACK // 1024} KiB stack: {freed['seconds']:.2f} s.",
        f"Left after that: {freed['left']} bytes per op.",
    ]
    return Table("deep", "A chain y = y * x of 0-d float32", COLUMNS, rows, notes)


def _run(length: int) -> tuple[float, float, float]:
    """Seconds to build a chain, walk it back and free it."""
    x = Tensor(1.0, requires_grad=True)
    y = x
    begin = time.process_time()
    for _ in range(length):
        y = y * x
    built = time.process_time()
    y.backward()
    walked = time.process_time()
    del y
    freed = time.process_time()
    if x.grad is None or x.grad.item() != length + 1:
        raise RuntimeError(f"d(x**{length + 1})/dx at 1 is {length + 1}, got {x.grad}")
    return built - begin, walked - built, freed - walked


def _per_op(lengths: list[int], rounds: int) -> list[np.ndarray[Any, Any]]:
    figures: dict[int, list[Any]] = {length: [] for length in lengths}
    for _ in range(rounds):
        for length in lengths:
            # As many short chains as take about a second, in each round: one alone would measure a moment.
            runs = [_run(length) for _ in range(max(1, 200_000 // length))]
            figures[length].append(np.median(runs, axis=0) / length)
    return [np.median(figures[length], axis=0) * 1e6 for length in lengths]


def _bytes_per_op(length: int) -> float:
    tracemalloc.start()
    x = Tensor(1.0, requires_grad=True)
    y = x
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(length):
        y = y * x
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return (after - before) / length


def _free_in_thread(length: int) -> dict[str, float]:
    x = Tensor(1.0, requires_grad=True)
    held = [x]
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(length):
        held[0] = held[0] * x
    begin = time.process_time()
    threading.stack_size(SMALL_STACK)
    thread = threading.Thread(target=held.clear)
    thread.start()
    thread.join()
    left = (tracemalloc.get_traced_memory()[0] - before) / length
    return {"seconds": time.process_time() - begin, "left": round(left, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lengths", type=int, nargs="*", default=[10_000, 100_000, 1_000_000], help="of the chains")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--free-in-thread", action="store_true", help="only free the longest chain, in a small stack")
    args = parser.parse_args()
    sys.setrecursionlimit(RECURSION_LIMIT)
    if args.free_in_thread:
        print(json.dumps(_free_in_thread(max(args.lengths))))
        return
    _run(1000)
    per_op = _per_op(args.lengths, args.rounds)
    rows = []
    for length, parts in zip(args.lengths, per_op, strict=True):
        rows.append(
            {
                "ops": length,
                **dict(zip(("build", "backward", "free"), parts.tolist(), strict=True)),
                "total": float(parts.sum()),
                "ratio": float(parts.sum() / per_op[0].sum()),
                "bytes": _bytes_per_op(min(length, 100_000)),
            }
        )
    gc.disable()
    ends = _per_op([args.lengths[0], args.lengths[-1]], args.rounds)
    print(json.dumps({"rows": rows, "ratio_collector_off": float(ends[-1].sum() / ends[0].sum())}))


if __name__ == "__main__":
    main()
