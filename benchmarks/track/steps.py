"""A few training steps, as multiples of hand-written NumPy's time in the same process.

The benchmarks are those of today, the package is that of the commit that `asv` has installed. A ratio means the same on
a machine that was busier that day.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from contenders import CONTENDERS, REFERENCE, make_runner, reason_against
from harness import Settings, limit_threads, ratio_of, take_turns
from workloads import WORKLOADS

__all__ = ["OverNumPy"]

FOLLOWED = {one.name: one for one in WORKLOADS if one.label in {"BMI", "moons", "spiral"} or one.batch == 32}
BY_NAME = {one.name: one for one in CONTENDERS}


class OverNumPy:
    """Time of a step over that of hand-written NumPy, median of interleaved rounds."""

    params = (tuple(FOLLOWED), ("eager", "replay", "native", "native epoch"), ("SGD", "Adam"))
    param_names = ("workload", "contender", "optimizer")
    unit = "of hand-written NumPy's time"
    timeout = 300

    def setup(self, name: str, contender: str, optimizer: str) -> None:
        """Skip what the commit does not have.

        Raises:
            NotImplementedError: which is how asv is told.
        """
        if reason_against(BY_NAME[contender], FOLLOWED[name]) is not None:
            raise NotImplementedError
        workload = FOLLOWED[name]
        with limit_threads(1):
            self.runners = {one: make_runner(BY_NAME[one], workload, optimizer) for one in (contender, REFERENCE)}

    def track_ratio(self, _name: str, contender: str, _optimizer: str) -> float | None:
        """The ratio."""
        with limit_threads(1):
            found = take_turns({one: runner.run for one, runner in self.runners.items()}, Settings(rounds=15))
        seconds = {one: [value / self.runners[one].steps for value in values] for one, values in found.items()}
        return ratio_of(seconds, contender, REFERENCE)
