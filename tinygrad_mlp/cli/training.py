"""``tinygrad-mlp train``: one data set, one network, one report."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path

from .. import profiler
from ..errors import ArgumentError, did_you_mean
from ..nn import ACTIVATIONS, MLP
from ..train import History
from ..train.choices import OPTIMIZERS
from .checks import check_choice, check_count, check_folder, check_number, check_validation
from .run import train, write_files
from .tasks import TASKS, Ready, Task, make_ready, task_of

__all__ = ["run_training"]

# What takes less than the first of these is seldom worth a look.
_PROFILED_ROWS = 20


def run_training(
    dataset: str | None,
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
    output: Path | None,
    profile: Path | None = None,
    compile: bool | None = None,
) -> tuple[int, Path]:
    """Train, write the files, print the result; None means what works for the data set.

    ``profile`` is where the Chrome trace goes; what is profiled is compiled on request only.

    Raises:
        ArgumentError: an option that cannot be right; nothing has been printed or written then.

    Returns:
        The exit code (130 if training was interrupted, 2 if the loss was not finite) and where the report is.
    """
    dataset = _checked_name(dataset)
    output = output or Path("runs") / dataset
    for width in hidden or []:
        check_count("--hidden", width)
    check_choice("--activation", activation, ACTIVATIONS)
    check_number("--dropout", dropout, low=0, high=1, example="0.2")
    check_choice("--optimizer", optimizer, OPTIMIZERS)
    check_number("--lr", lr, low=0, example="0.01")
    check_count("--epochs", epochs)
    check_count("--batch-size", batch_size)
    check_validation(validation)
    check_count("--seed", seed, least=0)
    check_folder("--output", output)
    if profile is not None:
        check_folder("--profile", profile.parent)
    task = task_of(dataset)
    usual = task.settings
    held_out = usual.validation if validation is None else validation
    ready = _ready(task, held_out, seed)
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
    profiled = profiler.profile()
    with nullcontext() if profile is None else profiled:
        result = train(
            ready,
            model,
            optimizer=optimizer or usual.optimizer,
            lr=rate,
            epochs=usual.epochs if epochs is None else epochs,
            batch_size=usual.batch_size if batch_size is None else batch_size,
            seed=seed,
            compile=compile if compile is not None else "auto" if profile is None else False,
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
    if profile is not None:
        profile.parent.mkdir(parents=True, exist_ok=True)
        profiled.export_chrome_trace(profile)
        print(f"\n{profiled.table(rows=_PROFILED_ROWS)}\n\n{profiled.by_module()}\n\nTrace: {profile}")
    print(f"\n{_way(result.history)}\nReport: {written.path}")
    print(verdict + ".")
    if result.history.stopped == "interrupted":
        print("Interrupted: the finished epochs were kept.", file=sys.stderr)
        return 130, written.path
    return (2 if result.history.stopped else 0), written.path


def _checked_name(dataset: str | None) -> str:
    if dataset is None:
        raise ArgumentError(f"train needs a data set: tinygrad-mlp train moons. There are: {', '.join(sorted(TASKS))}")
    if dataset not in TASKS:
        raise ArgumentError(did_you_mean("data set", dataset, TASKS))
    return dataset


def _way(history: History) -> str:
    """The line that says what ran the steps."""
    if history.compiled is None:
        return f"Steps: not compiled ({(history.uncompiled or 'none was finished').partition(chr(10))[0]})"
    return f"Steps: compiled, {'native code' if history.compiled == 'native' else 'replayed with NumPy'}"


def _ready(task: Task, held_out: float, seed: int) -> Ready:
    there = len(task.x_train)
    if held_out >= there:
        raise ArgumentError(
            f"--validation {held_out:g}: {task.name} has {there:,} training samples, some must be left to train on; "
            "say --validation 0.1 for a tenth"
        )
    try:
        return make_ready(task, held_out, seed)
    except ArgumentError as error:
        raise ArgumentError(
            f"--validation {held_out:g}: that part of the {there:,} training samples of {task.name} cannot be held out "
            "with some of every class on both sides; say --validation 0.1 for a tenth"
        ) from error
