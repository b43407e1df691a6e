"""``tinygrad-mlp demo``: prove the gradients, train on real digits, write a report."""

from __future__ import annotations

import time
import webbrowser
from pathlib import Path

from ..errors import GradientError
from ..extras import need
from ..nn import MLP
from ..ops import cross_entropy
from ..tape import Array
from ..tensor import Tensor
from ..testing import GradcheckReport, gradcheck_module
from .checks import check_count, check_folder
from .run import train, write_files
from .tasks import make_ready, task_of

__all__ = ["run_demo"]

# Chosen on validation splits of the training samples; the held-out samples had no say.
_HIDDEN, _DROPOUT, _LR, _EPOCHS, _BATCH = (128,), 0.4, 0.002, 60, 32
_ALLOWED = 1e-10
_CHECKED_SAMPLES = 8


def run_demo(output: Path, *, open_report: bool, seed: int) -> int:
    """Run all of it and print what happens; return the exit code, 1 if a gradient is not right."""
    check_count("--seed", seed, least=0)
    check_folder("--output", output)
    threads = need("threadpoolctl", extra="cli", purpose="run the demo")
    # These products are too small to be shared: where other programs compete for the cores, a second BLAS thread
    # waits ten times longer than it works.
    with threads.threadpool_limits(limits=1, user_api="blas"):
        return _run(output, open_report=open_report, seed=seed)


def _run(output: Path, *, open_report: bool, seed: int) -> int:
    ready = make_ready(task_of("digits"), 0, seed)
    model = MLP(64, *_HIDDEN, 10, dropout=_DROPOUT, seed=seed)
    images = len(ready.x) + len(ready.x_test)
    print(f"{images:,} real handwritten digits, 8 x 8 pixels; {len(ready.x_test)} of them held out for the test.\n")
    print(model.summary())
    print("\nAre the gradients right? The derivative of the loss by every single parameter, the engine's against the")
    print("complex step's, in float64 …", flush=True)
    try:
        report = prove(model, ready.x[:_CHECKED_SAMPLES], ready.y[:_CHECKED_SAMPLES])
    except GradientError as error:
        print(error)
        return 1
    print(f"\nTraining: Adam, lr {_LR}, batches of {_BATCH}, {_EPOCHS} epochs", flush=True)
    result = train(ready, model, optimizer="adam", lr=_LR, epochs=_EPOCHS, batch_size=_BATCH, seed=seed)
    if result.history.stopped == "interrupted" and not result.history.epoch:
        raise KeyboardInterrupt
    accuracy, seconds = result.scores["accuracy"], sum(result.history.seconds)
    wrong = round((1 - accuracy) * len(ready.x_test))
    verdict = (
        f"{accuracy:.2%} of {len(ready.x_test)} held-out digits right ({wrong} wrong) after {seconds:.1f} seconds of "
        f"training; worst gradient error {report.worst:.0e}."
    )
    written = write_files(
        output,
        result,
        title="An MLP learns handwritten digits",
        lead=verdict,
        settings={
            "hidden": list(_HIDDEN),
            "activation": "relu",
            "dropout": _DROPOUT,
            "optimizer": "adam",
            "lr": _LR,
            "epochs": _EPOCHS,
            "batch_size": _BATCH,
            "seed": seed,
        },
        gradients=report,
    )
    if open_report:
        webbrowser.open(written.path.resolve().as_uri())
    drawn = f"graph drawn by {written.renderer}" if written.renderer else "graph as a list: no renderer is installed"
    print(f"\nReport: {written.path} ({drawn})")
    print(verdict)
    return 130 if result.history.stopped == "interrupted" else 0


def prove(model: MLP, x: Array, y: Array) -> GradcheckReport:
    """Check the gradient of the loss by every single parameter, print the worst of each, and return the report.

    Raises:
        GradientError: some derivative is further off than 1e-10.
    """
    began = time.perf_counter()
    model.eval()
    batch = Tensor(x, dtype="float64")
    report = gradcheck_module(
        model,
        lambda module: cross_entropy(module(batch), y),
        rtol=_ALLOWED,
        max_entries=model.summary().total,
    )
    model.train()
    for name, error in report.by_input.items():
        print(f"  {name:10s} {error:.1e}")
    seconds = time.perf_counter() - began
    print(
        f"  {report.compared:,} derivatives compared in {seconds:.1f} s, worst relative error {report.worst:.1e}",
        end="",
    )
    print(f" at {report.where} (allowed {_ALLOWED:.0e})")
    return report.raise_if_wrong()
