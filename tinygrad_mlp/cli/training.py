"""``tinygrad-mlp train``: one data set, one network, one report."""

from __future__ import annotations

import sys
from pathlib import Path

from ..nn import MLP
from .run import train, write_files
from .tasks import make_ready, task_of

__all__ = ["run_training"]


def run_training(
    dataset: str,
    *,
    hidden: list[int] | None,
    activation: str,
    dropout: float,
    optimizer: str | None,
    lr: float | None,
    epochs: int | None,
    batch_size: int | None,
    validation: float | None,
    seed: int,
    output: Path,
) -> tuple[int, Path]:
    """Train, write the files, print the result; None means what works for the data set.

    Returns:
        The exit code (130 if training was interrupted, 2 if the loss was not finite) and where the report is.
    """
    task = task_of(dataset)
    usual = task.settings
    held_out = usual.validation if validation is None else validation
    ready = make_ready(task, held_out, seed)
    widths = list(usual.hidden) if hidden is None else hidden
    model = MLP(ready.x.shape[1], *widths, ready.outputs, activation=activation, dropout=dropout, seed=seed)
    # Another optimizer than the usual one comes with its own learning rate.
    rate = usual.lr if lr is None and optimizer in {None, usual.optimizer} else lr
    settings = {
        "hidden": widths,
        "activation": activation,
        "dropout": dropout,
        "optimizer": optimizer or usual.optimizer,
        "lr": rate,
        "epochs": usual.epochs if epochs is None else epochs,
        "batch_size": usual.batch_size if batch_size is None else batch_size,
    }
    validated = 0 if ready.validation is None else len(ready.validation[0])
    print(f"{dataset}: {len(ready.x):,} training, {validated:,} validation, {len(ready.x_test):,} test samples\n")
    print(model.summary())
    print(flush=True)
    result = train(
        ready,
        model,
        optimizer=optimizer or usual.optimizer,
        lr=rate,
        epochs=usual.epochs if epochs is None else epochs,
        batch_size=usual.batch_size if batch_size is None else batch_size,
        seed=seed,
    )
    name, value = result.headline
    done, seconds = len(result.history.epoch), sum(result.history.seconds)
    verdict = f"{dataset}: {name} {value} after {done} epochs in {seconds:.1f} s"
    if result.history.stopped:
        verdict += f"; stopped early: {result.history.stopped}"
    written = write_files(
        output,
        result,
        title=f"An MLP learns {dataset}",
        lead=verdict + ".",
        settings=settings | {"validation": held_out, "seed": seed},
    )
    print(f"\nReport: {written.path}")
    print(verdict + ".")
    if result.history.stopped == "interrupted":
        print("Interrupted: the finished epochs were kept.", file=sys.stderr)
        return 130, written.path
    return (2 if result.history.stopped else 0), written.path
