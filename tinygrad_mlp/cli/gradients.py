"""``tinygrad-mlp gradcheck``: every gradient rule against a derivative that does not come from the engine."""

from __future__ import annotations

import numpy as np

from ..errors import ArgumentError, did_you_mean
from ..nn import MLP
from ..ops import cross_entropy
from ..tape import OPS
from ..tensor import Tensor
from ..testing import GradcheckReport, gradcheck, gradcheck_module
from .op_cases import Case, cases_of, functions, names
from .text import table

__all__ = ["check_model", "check_ops"]

_HOW = {"complex": "complex step", "central": "central differences"}


def check_ops(chosen: tuple[str, ...], order: int, seed: int) -> int:
    """Check these ops, or all, and print a line for each; return the exit code."""
    known = names()
    for name in chosen:
        if name not in known:
            raise ArgumentError(did_you_mean("op", name, known))
    call = functions()
    rows = []
    wrong = []
    for name in chosen or known:
        reports = [_check(call[name], case, order, seed) for case in cases_of(OPS[name], seed)]
        worst = max(reports, key=lambda report: (not report.ok, report.worst))
        compared = sum(report.compared for report in reports)
        rows.append((name, f"{worst.worst:.1e}", _HOW[worst.method], f"{compared}", _verdict(worst)))
        wrong += [] if worst.ok else [name]
    print(table(("op", "worst relative error", "against", "numbers", "verdict"), rows))
    print(f"\n{len(rows) - len(wrong)} of {len(rows)} ops right, order {order}, float64.")
    return 1 if wrong else 0


def check_model(sizes: tuple[int, ...], activation: str, order: int, seed: int) -> int:
    """Check the loss of a freshly made MLP by all its parameters; return the exit code."""
    model = MLP(*sizes, activation=activation, seed=seed)
    rng = np.random.default_rng(seed)
    x, targets = rng.standard_normal((8, sizes[0])), rng.integers(0, sizes[-1], 8)
    report = gradcheck_module(model, lambda module: cross_entropy(module(Tensor(x)), targets), order=order, seed=seed)
    rows = [
        (name, f"{error:.1e}", "right" if error <= report.rtol else "WRONG") for name, error in report.by_input.items()
    ]
    print(table(("parameter", "worst relative error", "verdict"), rows))
    print(f"\n{report}")
    return 0 if report.ok else 1


def _check(function: object, case: Case, order: int, seed: int) -> GradcheckReport:
    operands: list[object] = list(case.operands)

    def call(*tensors: Tensor) -> Tensor:
        for place, tensor in zip(case.tracked, tensors, strict=True):
            operands[place] = tensor
        assert callable(function)
        answer: Tensor = function(*operands, **case.params)
        return answer

    return gradcheck(call, [case.operands[place] for place in case.tracked], order=order, seed=seed)


def _verdict(report: GradcheckReport) -> str:
    return "right" if report.ok else f"WRONG at {report.where}"
