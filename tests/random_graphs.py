"""Random programs: straight lines of operations on earlier values, for any table of operations and any evaluator.

A table maps a name to ``(arity, function)``; ``function(m, pick, *values)`` writes the line down once, in terms of
``m``, whose names mean our operations, NumPy's, or those of another library.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Step", "Table", "as_text", "random_program", "run"]

Table = dict[str, tuple[int, Callable[..., Any]]]


@dataclass(frozen=True)
class Step:
    """One line of a program: the operation's name, which earlier values it takes, and a number to vary it."""

    name: str
    takes: tuple[int, ...]
    pick: int


def random_program(
    rng: np.random.Generator,
    table: Table,
    leaves: int,
    length: int,
    accepts: Callable[[Step], bool] = lambda step: True,
) -> list[Step]:
    """Lines that take earlier values at random; some programs have one value taken by many lines; f(x, x) is common.

    Args:
        rng: what all draws come from.
        table: the operations to draw from.
        leaves: how many values there are before the first line.
        length: how many lines.
        accepts: says once of each line drawn whether it can be computed; the line is drawn again until it can.
    """
    names = list(table)
    program: list[Step] = []
    hub = int(rng.integers(leaves)) if rng.random() < 0.4 else None
    for k in range(length):
        while True:
            name = names[rng.integers(len(names))]
            arity = table[name][0]
            takes = [int(rng.integers(leaves + k)) for _ in range(arity)]
            if rng.random() < 0.4:
                takes[0] = leaves + k - 1 if k else 0
            if hub is not None:
                takes[-1] = hub
            if arity == 2 and rng.random() < 0.25:
                takes[1] = takes[0]
            step = Step(name, tuple(takes), int(rng.integers(32)))
            if accepts(step):
                break
        program.append(step)
    return program


def run(program: Sequence[Step], table: Table, m: Any, leaves: Sequence[Any]) -> Any:
    """All lines in order; the answer is the sum of every value that no line takes."""
    values = list(leaves)
    for step in program:
        values.append(table[step.name][1](m, step.pick, *[values[i] for i in step.takes]))
    taken = {i for step in program for i in step.takes}
    loose = [value for i, value in enumerate(values) if i not in taken]
    total = loose[0]
    for value in loose[1:]:
        total = total + value
    return total


def as_text(program: Sequence[Step], leaves: int) -> str:
    """The program, one line per step, for the message of a failing test."""
    lines = [
        f"v{leaves + k} = {s.name}({', '.join(f'v{i}' for i in s.takes)}, pick={s.pick})" for k, s in enumerate(program)
    ]
    return "\n".join(lines)
