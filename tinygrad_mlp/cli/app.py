"""The commands and their options; their docstrings are what ``--help`` shows."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from types import ModuleType
from typing import Any

import tinygrad_mlp

__all__ = ["make_app"]

# No line longer than 79 characters, which a terminal of 80 shows without breaking it.
_DEMO_EXAMPLES = """\
  tinygrad-mlp demo
      prove the gradients, train on 1,797 real digits, write a report

  tinygrad-mlp demo --open --output runs/first
      the same, show the report in the browser, keep it in another folder
"""
_TRAIN_EXAMPLES = """\
  tinygrad-mlp train moons
      any data set trains with settings that work for it

  tinygrad-mlp train digits --hidden 300 100 --optimizer sgd --lr 0.01
      two hidden layers and another optimizer
"""
_GRADCHECK_EXAMPLES = """\
  tinygrad-mlp gradcheck
      every op's gradient rule against an independent derivative

  tinygrad-mlp gradcheck --model 4 8 3 --activation tanh --order 2
      the second derivatives of a whole network
"""
_OPS_EXAMPLES = """\
  tinygrad-mlp ops tanh gelu
      what they compute, where, and how exactly

  tinygrad-mlp ops --write docs/ops.md
      the page of all of them
"""
# A test compares these numbers with those that are used: importing them here would make --help wait for the package.
_DEFAULTS = """\
Defaults by data set:

  data set       hidden   optimizer  lr     epochs  batch-size  validation
  digits         128 64   adam       0.002  30      32          0.1
  iris           64       adam       0.002  60      16          0.1
  wine           64       adam       0.002  60      16          0.1
  breast-cancer  64       adam       0.002  60      16          0.1
  diabetes       16       adam       0.002  40      16          0.1
  fashion-mnist  300 100  sgd        0.01   30      32          5000
  mnist          300 100  sgd        0.01   30      32          5000
  points         32 32    adam       0.01   100     32          0.1

Another --optimizer than that of the table comes with its own --lr:
0.001 for adam, adamw and sgd.

"""
_EPILOGUE = (
    f"Examples:\n\n{_DEMO_EXAMPLES}\n{_TRAIN_EXAMPLES}\n{_GRADCHECK_EXAMPLES}\n{_OPS_EXAMPLES}\n"
    "Each command explains its options: tinygrad-mlp train --help"
)


def make_app(cyclopts: ModuleType) -> Any:
    """The cyclopts application, built when a command line is to be read."""
    app = cyclopts.App(
        name="tinygrad-mlp",
        help="Neural networks from first principles: gradients derived, proved and visible.",
        help_epilogue=_EPILOGUE,
        help_format="plaintext",
        version=f"tinygrad-mlp {tinygrad_mlp.__version__}",
        # --hidden 300 100 reads better than --hidden 300 --hidden 100.
        default_parameter=cyclopts.Parameter(consume_multiple=True, negative_iterable=()),
        suppress_keyboard_interrupt=False,
    )
    app.command(demo, help_epilogue=f"Examples:\n\n{_DEMO_EXAMPLES}")
    app.command(train, help_epilogue=f"{_DEFAULTS}Examples:\n\n{_TRAIN_EXAMPLES}")
    app.command(gradcheck, help_epilogue=f"Examples:\n\n{_GRADCHECK_EXAMPLES}")
    app.command(ops, help_epilogue=f"Examples:\n\n{_OPS_EXAMPLES}")
    return app


# What the commands do is imported by the command that does it: --help and --version answer at once.


def demo(*, output: Path = Path("runs/demo"), open: bool = False, seed: int = 0) -> int:
    """Prove the gradients, train on real handwritten digits, write a report.

    Args:
        output: Folder for report.html, history.json and weights.npz.
        open: Show the report in the browser.
        seed: Of the initial weights, the order of the samples and the dropout; the held-out digits stay the same.
    """
    from .demo import run_demo  # noqa: PLC0415 - see above

    return run_demo(output, open_report=open, seed=seed)


def train(
    dataset: str | None = None,
    /,
    *,
    hidden: list[int] | None = None,
    activation: str = "relu",
    dropout: float = 0.0,
    optimizer: str | None = None,
    lr: float | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    validation: float | None = None,
    seed: int = 0,
    output: Path | None = None,
    open: bool = False,
    profile: Path | None = None,
    compile: bool | None = None,
) -> int:
    """Train a multilayer perceptron on a data set, by name, and write a report.

    What is not said is chosen to work for the data set, see the table below.
    Tables and points are standardised with the mean and scale of the training
    samples; pixels are divided by the largest possible value. The test samples
    are always the same ones.

    Args:
        dataset: Images: digits (bundled), fashion-mnist, mnist.
            Tables: iris, wine, breast-cancer, diabetes (a number to predict).
            Points: xor, spiral, moons, circles, gauss, bmi (a number to predict).
        hidden: Width of each hidden layer, as in --hidden 300 100. [default: by data set]
        activation: relu, leaky_relu, gelu, silu, softplus, tanh, sigmoid, identity.
        dropout: Probability of dropping a hidden value in training.
        optimizer: sgd, adam, adamw. [default: by data set]
        lr: Learning rate. [default: by data set, 0.002 to 0.01]
        epochs: How often to go through the training samples. [default: by data set, 30 to 100]
        batch_size: Samples per step. [default: by data set, 16 or 32]
        validation: Training samples to hold out and watch: a number, or a share below 1. [default: by data set]
        seed: Of the initial weights, the validation samples and the order; the same seed gives the same bits.
        output: Folder for report.html, history.json and weights.npz; runs/DATASET by default.
        open: Show the report in the browser.
        profile: Print where the time went, and write it to this file for chrome://tracing or ui.perfetto.dev.
        compile: Run the training steps as C, or not at all compiled. [default: what a run of this length gains from;
            not with --profile, which shows single operations]
    """
    from .training import run_training  # noqa: PLC0415 - see above

    code, report = run_training(
        dataset,
        hidden=hidden,
        activation=activation,
        dropout=dropout,
        optimizer=optimizer,
        lr=lr,
        epochs=epochs,
        batch_size=batch_size,
        validation=validation,
        seed=seed,
        output=output,
        profile=profile,
        compile=compile,
    )
    if open:
        webbrowser.open(report.resolve().as_uri())
    return code


def gradcheck(
    *ops: str, model: list[int] | None = None, activation: str = "tanh", order: int = 1, seed: int = 0
) -> int:
    """Compare the engine's gradients with derivatives it had no part in; exit code 1 if one is wrong.

    The complex step, Im f(x + ih)/h with h = 1e-20, where the function is analytic; extrapolated central differences
    elsewhere. Everything runs in float64, with random incoming gradients.

    Args:
        ops: Names of ops to check; all by default.
        model: Check a whole network of these sizes instead, as in --model 4 8 3.
        activation: Of that network.
        order: 2 checks the gradient of the gradient as well.
        seed: Of the inputs and the incoming gradients.
    """
    from .gradients import check_model, check_ops  # noqa: PLC0415 - see above

    return check_ops(ops, order, seed) if model is None else check_model(tuple(model), activation, order, seed)


def ops(*names: str, write: Path | None = None, check: Path | None = None, quick: bool = False, seed: int = 0) -> int:
    """List the operations: operands, formula, range, and the largest error found.

    Errors are those of value, first and second derivative, in float64 and float32, in units in the last place,
    against mpmath at as many digits as it takes. All operations take some minutes. Exit code 1 if an error is
    above its limit.

    Args:
        names: Operations to list; all by default.
        write: Write the page of all operations to this file instead.
        check: Only see whether the page in this file, figures apart, is what --write would write.
        quick: Measure at 40 operands instead of 300.
        seed: Of the pairing of operands and of the arrays.
    """
    from .op_table import check_page, show_ops, write_page  # noqa: PLC0415 - see above

    if check is not None:
        return check_page(check)
    return show_ops(names, quick, seed) if write is None else write_page(write, quick, seed)
