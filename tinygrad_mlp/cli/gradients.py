"""``tinygrad-mlp gradcheck``: every gradient rule against a derivative that does not come from the engine."""

from __future__ import annotations

import numpy as np

from .. import ops
from ..errors import ArgumentError, did_you_mean
from ..nn import ACTIVATIONS, MLP
from ..ops import cross_entropy
from ..tensor import Tensor
from ..testing import GradcheckReport, gradcheck, gradcheck_module
from ..testing.cases import Case, differentiable, fixed_cases
from .checks import check_choice, check_count
from .text import table

__all__ = ["check_model", "check_ops"]

# What an error is relative to, where the expected value is tiny: see `floor` in the gradient checker.
_FOOTNOTE = (
    "error: |engine - expected| relative to |expected|, or to a thousandth of the largest derivative or value of the\n"
    "same check where that is larger: sums that cancel would otherwise look wrong."
)
_HOW = {"complex": "complex step", "central": "central differences"}


def check_ops(chosen: tuple[str, ...], order: int, seed: int) -> int:
    """Check these ops, or all, and print a line for each; return the exit code."""
    check_order(order, seed)
    known = sorted(differentiable())
    for name in chosen:
        if name not in known:
            raise ArgumentError(did_you_mean("op", name, known))
    rows = []
    wrong = []
    for name in chosen or known:
        reports = [_check(case, order, seed) for case in fixed_cases(name, seed)]
        worst = max(reports, key=lambda report: (not report.ok, report.worst))
        compared = sum(report.compared for report in reports)
        rows.append((name, f"{worst.worst:.1e}", _HOW[worst.method], f"{compared}", _verdict(worst)))
        wrong += [] if worst.ok else [name]
    internal = sum(not _is_public(row[0]) for row in rows)
    print(table(("op", "worst error", "against", "numbers", "verdict"), rows))
    print(f"\n{_FOOTNOTE}")
    print(
        f"{len(rows) - len(wrong)} of {len(rows)} ops right, order {order}, float64: "
        f"{len(rows) - internal} of tinygrad_mlp.ops, {internal} internal (parts of those, and of their rules)."
    )
    return 1 if wrong else 0


def check_model(sizes: tuple[int, ...], activation: str, order: int, seed: int) -> int:
    """Check the loss of a freshly made MLP by all its parameters; return the exit code."""
    check_order(order, seed)
    for size in sizes:
        check_count("--model", size)
    if len(sizes) < 2:
        raise ArgumentError("--model is a list of two or more sizes, from inputs to outputs; say --model 4 8 3")
    check_choice("--activation", activation, ACTIVATIONS)
    model = MLP(*sizes, activation=activation, seed=seed)
    rng = np.random.default_rng(seed)
    x, targets = rng.standard_normal((8, sizes[0])), rng.integers(0, sizes[-1], 8)
    report = gradcheck_module(model, lambda module: cross_entropy(module(Tensor(x)), targets), order=order, seed=seed)
    rows = [
        (name, f"{error:.1e}", "right" if error <= report.rtol else "WRONG") for name, error in report.by_input.items()
    ]
    print(table(("parameter", "worst error", "verdict"), rows))
    print(f"\n{_FOOTNOTE}\n{report}")
    return 0 if report.ok else 1


def check_order(order: int, seed: int) -> None:
    """Refuse orders that are not checked, and seeds that are none.

    Raises:
        ArgumentError: one of them is out of range.
    """
    if order not in {1, 2}:
        raise ArgumentError(f"--order is 1 or 2, got {order}")
    check_count("--seed", seed, least=0)


def _is_public(name: str) -> bool:
    """Whether the op is one to call, and not a part that others are written with."""
    return name in ops.__all__


def _check(case: Case, order: int, seed: int) -> GradcheckReport:
    operands: list[object] = list(case.operands)
    tracked = case.differentiable

    def call(*tensors: Tensor) -> Tensor:
        for place, tensor in zip(tracked, tensors, strict=True):
            operands[place] = tensor
        answer: Tensor = case.function(*operands, **case.params)
        return answer

    return gradcheck(call, [case.operands[place] for place in tracked], order=order, seed=seed)


def _verdict(report: GradcheckReport) -> str:
    if report.verdict == "UNDECIDED":
        return report.verdict
    return "right" if report.ok else f"WRONG at {report.where}"
