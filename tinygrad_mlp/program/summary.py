"""A program as a table: the op calls in order, what they make, and the memory of it."""

from __future__ import annotations

from collections.abc import Sequence

from ..tables import Table, size_text
from .ir import Program, Value

__all__ = ["live_bytes", "summary"]


def summary(program: Program, times: Sequence[float] | None = None) -> Table:
    """One row per step: phase, op, shapes, bytes of the result, module, and seconds where they were measured.

    Args:
        program: what to show.
        times: seconds for each step.
    """
    rows = []
    for place, step in enumerate(program.steps):
        shapes = ", ".join(_shape(one) if isinstance(one, Value) else repr(one) for one in step.operands)
        view = step.result.alias is not None
        row = (str(place), step.phase, step.op.name, step.module, f"{shapes} -> {_shape(step.result)}")
        size = "view" if view else size_text(step.result.nbytes)
        rows.append((*row, size, *([f"{times[place] * 1e6:.1f}"] if times is not None else [])))
    head = ("#", "phase", "op", "module", "shapes", "bytes", *(["µs"] if times is not None else []))
    foot = [
        f"{what}: {len(values)}, {size_text(sum(one.nbytes for one in values))}"
        for what, values in (
            ("inputs", program.inputs),
            ("buffers", program.buffers),
            ("constants", program.constants),
            ("fed", program.fed),
        )
        if values
    ]
    made = [step.result for step in program.steps if step.result.alias is None]
    foot.append(
        f"made by steps: {len(made)}, {size_text(sum(one.nbytes for one in made))}; at most "
        f"{size_text(live_bytes(program))} at a time"
    )
    if times is not None:
        foot.append(f"time of all steps: {sum(times) * 1e6:.1f} µs")
    return Table(repr(program)[1:-1], head, tuple(rows), 5, tuple(foot))


def live_bytes(program: Program) -> int:
    """The most bytes that results of steps take at one time, where each is let go after its last use."""
    last = program.last_uses()
    ends: dict[int, int] = {}
    now = most = 0
    for place, step in enumerate(program.steps):
        if step.result.alias is None:
            now += step.result.nbytes
            end = last.get(step.result, place)
            ends[end] = ends.get(end, 0) + step.result.nbytes
        most = max(most, now)
        now -= ends.pop(place, 0)
    return most


def _shape(value: Value) -> str:
    return f"{value.dtype.name}{list(value.shape)}"
