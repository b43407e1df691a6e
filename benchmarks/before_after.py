"""Two states of the package beside each other: the time of a training step after, over the time before.

    git worktree add ../before SOME_COMMIT
    python benchmarks/before_after.py ../before

Fresh interpreters of both states take turns, so that what slows the machine down slows both; each runs every training
step of ``workloads.py``, eager, as a replay and in C. The ratio is that of the medians over all turns.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
OURS = ("eager", "replay", "native")


def seconds_per_step(package: str, block: float) -> dict[str, float]:
    """In this interpreter: the time of each step of ``package``, the median of nine blocks."""
    sys.path.insert(0, package)
    sys.path.append(str(HERE))
    from contenders import NAMES
    from harness import Settings, limit_threads, take_turns
    from steps import started
    from workloads import WORKLOADS

    found = {}
    others = tuple(name for name in NAMES if name not in OURS)
    with limit_threads(1):
        for workload in WORKLOADS:
            settings = Settings(rounds=9, block=block, without=others)
            _, runners = started(workload, "SGD", settings)
            steps = {name: runner.run for name, runner in runners.items() if name in OURS}
            seconds = take_turns(steps, settings)
            found.update({f"{workload.name}|{name}": statistics.median(values) for name, values in seconds.items()})
    return found


def compared(before: str, turns: int, block: float) -> dict[str, float]:
    """The time after over the time before, by workload and engine."""
    times: dict[str, list[dict[str, float]]] = {"before": [], "after": []}
    for turn in range(turns):
        order = [("before", before), ("after", str(HERE.parent))]
        for which, package in order if turn % 2 else order[::-1]:
            script = [sys.executable, __file__, before, "--measure", package, "--block", str(block)]
            done = subprocess.run(  # noqa: S603 - this script again
                script, capture_output=True, text=True, check=True, env=dict(os.environ)
            )
            times[which].append(json.loads(done.stdout.splitlines()[-1]))
            print(f"{which} {turn + 1} of {turns}", file=sys.stderr)
    medians = {
        which: {name: statistics.median(one[name] for one in runs) for name in runs[0]} for which, runs in times.items()
    }
    return {name: medians["after"][name] / medians["before"][name] for name in medians["after"]}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", help="a folder with the other state of the project")
    parser.add_argument("--turns", type=int, default=5, help="fresh interpreters of each (default 5)")
    parser.add_argument("--block", type=float, default=0.02, help="seconds of a timed block (default 0.02)")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(seconds_per_step(options.measure, options.block)))
        return
    ratios = compared(options.before, options.turns, options.block)
    names = list(dict.fromkeys(name.split("|")[0] for name in ratios))
    print(f"{'after / before':<36}" + "".join(f"{one:>9}" for one in OURS))
    for name in names:
        print(f"{name:<36}" + "".join(f"{ratios.get(f'{name}|{one}', float('nan')):>9.2f}" for one in OURS))


if __name__ == "__main__":
    main()
