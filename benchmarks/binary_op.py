"""A binary op on arrays of four float32 numbers, recorded and walked back: what an op costs beyond its arithmetic."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

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

from tinygrad_mlp import from_numpy

__all__ = ["measure"]

GOAL = 0.6
COLUMNS = (
    Column("case", "binary op, 4 elements"),
    Column("ours_us", "ours µs/op", ".2f"),
    Column("torch_us", "torch µs/op", ".2f"),
    Column("mygrad_us", "mygrad µs/op", ".2f"),
    Column("micrograd_us", "micrograd µs/op (one float)", ".2f"),
    Column("ours_over_torch", "ours/torch", ".2f"),
    Column("torch_spread", "middle half"),
    Column("torch_goal", "goal", ".1f"),
    Column("verdict", "verdict"),
)
CASES = (("chain of 100 mul", operator.mul, 100), ("chain of 100 add", operator.add, 100), ("one mul", operator.mul, 1))


def measure(settings: Settings) -> Table:
    """Time ``y = op(y, x)`` repeated and then ``y.backward(seed)``, per op; both operands want gradients."""
    rows = []
    with limit_threads(settings.threads):
        for name, op, length in CASES:
            kinds: dict[str, Callable[[Any], Any]] = {"ours": from_numpy}
            if has("torch"):
                import torch

                kinds["torch"] = torch.from_numpy
            chains = {kind: _make_chain(make, op, length) for kind, make in kinds.items()}
            if has("mygrad"):
                chains["mygrad"] = _mygrad_chain(op, length)
            if has("micrograd"):
                chains["micrograd"] = _micrograd_chain(op, length)
            seconds = take_turns(chains, settings)
            micro = {kind: float(np.median(values)) * 1e6 / length for kind, values in seconds.items()}
            ratio = ratio_of(seconds, "ours", "torch")
            rows.append(
                {
                    "case": name,
                    "ours_us": micro["ours"],
                    "torch_us": micro.get("torch", NOT_INSTALLED),
                    "mygrad_us": micro.get("mygrad", NOT_INSTALLED),
                    "micrograd_us": micro.get("micrograd", NOT_INSTALLED),
                    "ours_over_torch": ratio,
                    "torch_spread": spread(seconds, "ours", "torch"),
                    "torch_goal": GOAL,
                    "verdict": verdict((ratio, GOAL), seconds=seconds),
                }
            )
    return Table("op", "A binary op, recorded and walked back", COLUMNS, rows)


def _make_chain(make: Callable[[Any], Any], op: Callable[[Any, Any], Any], length: int) -> Callable[[], None]:
    # Leaves made through the detour of a property, which both libraries have, so that one line serves both.
    start, factor, seed = make(np.ones(4, "f")), make(np.ones(4, "f")), make(np.ones(4, "f"))
    start.requires_grad = factor.requires_grad = True

    def chain() -> None:
        y = start
        for _ in range(length):
            y = op(y, factor)
        y.backward(seed)
        start.grad = factor.grad = None

    return chain


def _mygrad_chain(op: Callable[[Any, Any], Any], length: int) -> Callable[[], None]:
    import mygrad

    mygrad.turn_memory_guarding_off()
    start, factor, seed = mygrad.tensor(np.ones(4, "f")), mygrad.tensor(np.ones(4, "f")), np.ones(4, "f")

    def chain() -> None:
        y = start
        for _ in range(length):
            y = op(y, factor)
        y.backward(seed)
        start.null_grad()
        factor.null_grad()

    return chain


def _micrograd_chain(op: Callable[[Any, Any], Any], length: int) -> Callable[[], None]:
    """On one number, which is all it has."""
    from micrograd.engine import Value

    start, factor = Value(1.0), Value(1.0)

    def chain() -> None:
        y = start
        for _ in range(length):
            y = op(y, factor)
        y.backward()
        start.grad = factor.grad = 0

    return chain
