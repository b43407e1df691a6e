"""Training steps of tinygrad_mlp and its peers, for SGD and for Adam."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
from contenders import (
    CONTENDERS,
    NAMES,
    OURS,
    PEERS,
    REFERENCE,
    Runner,
    make_runner,
    reason_against,
    tolerance,
)
from harness import Column, Settings, Table, disturbed, limit_threads, ratio_of, spread, take_turns, verdict
from workloads import TEXT, WORKLOADS, TextWorkload, Workload

__all__ = ["agree", "measure", "started"]

OPTIMIZERS = ("SGD", "Adam")
CHECKED_STEPS = 20
TIMES = (Column("workload", "training step"), *(Column(name, name, ".2f") for name in NAMES))
RATIOS = (
    Column("workload", "ratios"),
    Column("eager_over_torch", "eager/torch", ".2f"),
    Column("torch_spread", "middle half"),
    Column("torch_goal", "goal", ".1f"),
    Column("eager_over_numpy", "eager/NumPy", ".2f"),
    Column("numpy_goal", "goal", ".1f"),
    Column("replay_over_numpy", "replay/NumPy", ".2f"),
    Column("replay_goal", "goal", ".1f"),
    Column("fastest", "fastest peer"),
    Column("best", "our best"),
    Column("best_over_fastest", "best/fastest", ".2f"),
    Column("best_spread", "middle half"),
    Column("best_goal", "goal", ".1f"),
    Column("verdict", "verdict"),
)


def measure(settings: Settings) -> list[Table]:
    """Time all workloads; before that, see that all contenders compute the same losses over 20 steps.

    Raises:
        RuntimeError: they do not; it names the contender.
    """
    tables = []
    with limit_threads(settings.threads):
        for optimizer in OPTIMIZERS:
            times, ratios, failed, worst = [], [], [], 0.0
            for usual in (*WORKLOADS, TEXT):
                if optimizer not in usual.optimizers:
                    continue
                workload = usual.shrunk() if settings.quick else usual
                cells, runners = started(workload, optimizer, settings)
                gap, failures = agree(workload, optimizer, runners)
                worst = max(worst, gap)
                cells.update(dict.fromkeys(failures, "failed"))
                failed += [f"{usual.name}: {name} failed, {text}" for name, text in failures.items()]
                seconds = _per_step(runners, settings)
                del runners
                gc.collect()
                times.append(_times(workload, cells, seconds))
                ratios.append(_ratios(workload, optimizer, seconds))
            tables += _tables(optimizer, times, ratios, worst, failed)
    return tables


def started(
    workload: Workload | TextWorkload, optimizer: str, settings: Settings, dtype: Any = np.float32
) -> tuple[dict[str, str], dict[str, Runner]]:
    """Of those who do not take part the reason, by name; of the others their runners."""
    absent: dict[str, str] = {}
    runners: dict[str, Runner] = {}
    for contender in CONTENDERS:
        reason = reason_against(contender, workload, quick=settings.quick)
        if contender.name in settings.without:
            reason = "left out"
        if reason is None:
            runners[contender.name] = make_runner(contender, workload, optimizer, dtype)
        else:
            absent[contender.name] = reason
    return absent, runners


def agree(
    workload: Workload | TextWorkload, optimizer: str, runners: dict[str, Runner]
) -> tuple[float, dict[str, str]]:
    """The largest relative difference of a loss in 20 steps from hand-written NumPy in float64; who failed, and how.

    Who failed is taken out of the ``runners``.

    Raises:
        RuntimeError: a difference is larger than the tolerance; the message names the contender.
    """
    failures: dict[str, str] = {}
    reference = next(one for one in CONTENDERS if one.name == REFERENCE)
    expected = make_runner(reference, workload, optimizer, np.float64).losses(CHECKED_STEPS)
    worst = 0.0
    for contender in CONTENDERS:
        if contender.name not in runners:
            continue
        try:
            found = runners[contender.name].losses(CHECKED_STEPS)
        except Exception as error:  # noqa: BLE001 - whatever stops one of the others is no reason to stop the rest
            failures[contender.name] = f"{type(error).__name__}: {error}".partition("\n")[0]
            del runners[contender.name]
            continue
        gap = max(abs(a - b) / max(1.0, abs(b)) for a, b in zip(found, expected, strict=True))
        worst = max(worst, gap)
        if not gap <= tolerance(contender, optimizer):
            raise RuntimeError(
                f"{workload.name}, {optimizer}: {contender.name} and NumPy in float64 differ by {gap:.1e} in "
                f"{CHECKED_STEPS} steps"
            )
    return worst, failures


def _per_step(runners: dict[str, Runner], settings: Settings) -> dict[str, list[float]]:
    found = take_turns({name: runner.run for name, runner in runners.items()}, settings)
    return {name: [value / runners[name].steps for value in values] for name, values in found.items()}


def _times(
    workload: Workload | TextWorkload, absent: dict[str, str], seconds: dict[str, list[float]]
) -> dict[str, Any]:
    row: dict[str, Any] = {"workload": workload.name, **absent}
    spreads = {}
    for name, values in seconds.items():
        low, middle, high = (float(one) * 1e6 for one in np.quantile(values, [0.25, 0.5, 0.75]))
        row[name] = middle
        spreads[name] = {"least": min(values) * 1e6, "low": low, "median": middle, "high": high}
    return row | {"spreads": spreads, "rounds": len(next(iter(seconds.values())))}


def _ratios(workload: Workload | TextWorkload, optimizer: str, seconds: dict[str, list[float]]) -> dict[str, Any]:
    medians = {name: float(np.median(values)) for name, values in seconds.items()}
    best = min((name for name in OURS if name in medians), key=medians.__getitem__)
    fastest = min((name for name in PEERS if name in medians), key=medians.__getitem__)
    row: dict[str, Any] = {
        "workload": workload.name,
        "eager_over_torch": ratio_of(seconds, "eager", "torch"),
        "torch_spread": spread(seconds, "eager", "torch"),
        "torch_goal": workload.torch_goal if optimizer == "SGD" else None,
        "eager_over_numpy": ratio_of(seconds, "eager", REFERENCE),
        "numpy_goal": workload.numpy_goal if optimizer == "SGD" else None,
        "replay_over_numpy": ratio_of(seconds, "replay", REFERENCE) if "replay" in seconds else None,
        "replay_goal": 1.0 if "replay" in seconds and isinstance(workload, Workload) else None,
        "fastest": fastest,
        "best": best,
        "best_over_fastest": ratio_of(seconds, best, fastest),
        "best_spread": spread(seconds, best, fastest),
        "best_goal": 1.0 if "native" in seconds or "native epoch" in seconds else None,
    }
    judged = {name: values for name, values in seconds.items() if name in {*OURS, "torch", REFERENCE, fastest}}
    pairs = (
        ("eager_over_torch", "torch_goal"),
        ("eager_over_numpy", "numpy_goal"),
        ("replay_over_numpy", "replay_goal"),
        ("best_over_fastest", "best_goal"),
    )
    row["verdict"] = verdict(*((row[figure], row[goal]) for figure, goal in pairs), seconds=judged)
    row["disturbed"] = disturbed(judged)
    return row


def _tables(optimizer: str, times: list[Any], ratios: list[Any], worst: float, failed: list[str]) -> list[Table]:
    title = f"One training step, float32, {optimizer}"
    notes = [
        (
            f"Checked first: the losses of {CHECKED_STEPS} steps agree with hand-written NumPy in float64 to "
            f"{tolerance(CONTENDERS[0], optimizer):g} (largest difference {worst:.0e})."
        ),
        "All go round the same stack of batches. jax scan, sklearn and native epoch take the stack in one call.",
    ]
    if optimizer == "Adam":
        notes.append("scikit-learn's Adam adds its epsilon before the bias correction: its losses agree to 0.02.")
    remarks = [
        "Ratios are medians over rounds; only blocks of the same round are compared. goal: at most.",
        "too noisy: some contender's median round took over 1.5 times its fastest, so that its figures are not judged.",
    ]
    name = "steps" if optimizer == "SGD" else f"steps-{optimizer.lower()}"
    return [
        Table(name, f"{title}: medians in µs", TIMES, times, notes + failed),
        Table(f"{name}-ratios", f"{title}: ratios", RATIOS, ratios, remarks),
    ]
