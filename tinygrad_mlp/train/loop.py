"""The training loop, and the two passes without gradients: evaluate and predict."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..data import DataLoader, TensorDataset
from ..datasets import train_test_split
from ..errors import ArgumentError
from ..nn import Module
from ..optim import Optimizer
from ..tape import Array
from ..tensor import Tensor, no_grad
from .advice import checked_targets, compared
from .callbacks import Callback, Callbacks
from .checkpoint import Checkpoint, read_checkpoint, seed_in
from .choices import classifies, loss_of, optimizer_of
from .compiled import Epochs, Way, chosen
from .history import History
from .interrupts import modes_restored
from .metrics import Meters
from .progress import progress_of
from .run import Run
from .trainer import Trainer, evaluated, tensor

__all__ = ["evaluate", "fit", "predict"]

# Passes without gradients keep nothing, so their batches may be large: fewer calls, the same answer.
_LARGE_BATCH = 1024


def fit(
    model: Module,
    x: Any,
    y: Any = None,
    *,
    epochs: int = 1,
    batch_size: int | None = None,
    optimizer: Any = "adam",
    lr: float | None = None,
    loss: Any = "cross_entropy",
    metrics: Sequence[str] | None = None,
    validation_data: Any = None,
    validation_split: float = 0.0,
    shuffle: bool = True,
    seed: int | None = None,
    verbose: str | int = "auto",
    callbacks: Callback | Iterable[Callback] | None = None,
    initial_epoch: int = 0,
    resume_from: str | os.PathLike[str] | None = None,
    compile: Way = "auto",
) -> History:
    """Train ``model`` with the loop that one writes by hand; the arguments are Keras' where Keras has them.

    Args:
        model: any Module. It trains in training mode and has its own modes back afterwards.
        x, y: arrays (samples, …), or anything that ``numpy.asarray`` takes; or ``x`` is a DataLoader of ``(x, y)`` and
            brings its own batch size, order and seed. Floats are converted to the dtype of the model's parameters.
        epochs: how often to go through the data.
        batch_size: samples per step, 32 by default; the last batch of an epoch holds what is left.
        optimizer: ``"sgd"``, ``"adam"``, ``"adamw"`` with torch's defaults, or an optimizer of the model's parameters.
        lr: the learning rate for an optimizer given by name.
        loss: ``"cross_entropy"``, ``"binary_cross_entropy"``, ``"mse"`` (Keras' spellings work too), or a callable
            ``loss(outputs, targets)`` that gives the mean over the batch (or the sum, and says ``reduction="sum"``).
        metrics: names out of ``"accuracy"``, ``"r2"``; by default the accuracy where the loss is one of classes.
            Training metrics are those of the outputs that the steps were computed from, exact over a ragged last
            batch.
        validation_data: ``(x, y)`` or a DataLoader, evaluated after each epoch, in evaluation mode and recording
            nothing.
        validation_split: a share of the samples to hold out instead: drawn at random with ``seed``, and in proportion
            to the classes where ``y`` holds class ids. Keras takes the last samples, whatever their order.
        shuffle: a new order in every epoch.
        seed: of the orders and of the split; the same seed and model give the same bits.
        verbose: ``"auto"`` (a bar on a terminal, and lines), 0 nothing, 1 a bar and lines, 2 a line for every epoch.
            But for 2, a run of more than 20 epochs prints at most a dozen lines: its first epoch, its last, and about
            ten evenly between; the History keeps all.
        callbacks: :class:`~tinygrad_mlp.train.callbacks.Callback` objects, told what happens in the order given.
        initial_epoch: the number of the first epoch, to go on with an earlier run; ``epochs`` is where it ends.
        resume_from: a training checkpoint (:class:`~tinygrad_mlp.train.callbacks.ModelCheckpoint`), or a folder of
            them, of which the newest readable one is taken. The run goes on there, between two epochs or within one, with the
            same bits as if it had never stopped: give everything else as it was given to the run that was saved.
        compile: whether the training step is compiled (:func:`tinygrad_mlp.compile`). ``"auto"``: where the run is long
            enough to gain from a C compiler, and model, loss and optimizer are made of this package's parts alone,
            whose Python does the same in every step (a model class of your own may count or print, which a compiled
            step does once); ``True`` or ``"native"``: as C, with NumPy where there is no compiler; ``"replay"``: with
            NumPy, bit by bit as uncompiled; ``False``: not. Native code gives the same History but for rounding.
            ``history.compiled`` says what ran, ``history.uncompiled`` why nothing was compiled. A compiled step leaves
            no ``.grad``.

    Returns:
        The :class:`History`. Training ends early, with ``history.stopped`` saying why, on Ctrl-C (after the step that
        is running; press again to break out of it) and on a loss or a gradient that is not finite, which also warns and
        leaves the weights as they were before that step. Only finished epochs are entered.

    Raises:
        ArgumentError: an unknown name, no samples, options out of range or that contradict each other.
        ShapeError, DTypeError: data that does not fit the model or the loss.
        CaptureError: ``compile`` is not ``"auto"``, and the step does something that cannot be captured.
        StateError, FileFormatError, FileNotFoundError: ``resume_from`` is not a checkpoint of this run.
    """
    criterion = loss_of(loss)
    names = _metric_names(metrics, criterion)
    hooks = Callbacks(callbacks)
    dtype = _dtype_of(model)
    checkpoint = _checkpoint(resume_from, hooks, initial_epoch)
    seed = seed_in(checkpoint, seed)
    if seed is None and not isinstance(x, DataLoader):
        # Drawn here, not where it is used, so that a checkpoint can keep it.
        seed = int(np.random.SeedSequence().generate_state(1, np.uint64)[0] >> np.uint64(1))
    x, y, validation_data = _held_out(x, y, validation_data, validation_split, seed)
    batches = _batches(x, y, 32 if batch_size is None else batch_size, dtype, shuffle=shuffle, seed=seed)
    held_out = None if validation_data is None else _pass_over(*_pair(validation_data), None, dtype)
    stepper = optimizer_of(optimizer, model, lr)
    if not 0 <= initial_epoch < epochs:
        raise ArgumentError(_epochs_wanted(epochs, initial_epoch))
    run = Run(
        model,
        params=_params(epochs, batches, verbose),
        optimizer=stepper,
        loss=criterion,
        batches=batches,
        validation=held_out,
        seed=seed,
    )
    run.epoch = initial_epoch
    if initial_epoch and not isinstance(x, DataLoader):
        batches.set_epoch(initial_epoch)
    progress = progress_of(verbose)
    _meters(names, criterion)
    compiled, run.history.uncompiled = _compiled(compile, run, hooks, epochs - initial_epoch)
    return Trainer(run, hooks, progress, lambda: _meters(names, criterion), compiled, checkpoint).train(epochs)


def _checkpoint(resume_from: str | os.PathLike[str] | None, hooks: Callbacks, initial_epoch: int) -> Checkpoint | None:
    """What to go on from: what the caller names, or else what a callback has found."""
    if resume_from is None:
        return next((found for found in (one.checkpoint() for one in hooks.all) if found is not None), None)
    if initial_epoch:
        raise ArgumentError("a checkpoint says in which epoch the run goes on; leave initial_epoch out")
    return read_checkpoint(resume_from)


def _epochs_wanted(epochs: int, initial_epoch: int) -> str:
    if epochs < 1 or initial_epoch < 0:
        return f"expected epochs >= 1, got {epochs!r}, and initial_epoch >= 0, got {initial_epoch!r}"
    return (
        f"expected epochs > initial_epoch, got epochs={epochs} and initial_epoch={initial_epoch}: epochs is the number "
        f"of the last epoch, not how many follow; say epochs={initial_epoch + epochs}"
    )


def _compiled(way: Way, run: Run, hooks: Callbacks, epochs: int) -> tuple[Epochs | None, str | None]:
    """The compiled epochs, or None and why there are none."""
    model, optimizer, criterion, batches = run.model, run.optimizer, run.loss, run.batches
    backend = chosen(way, model, epochs, batches)
    if backend is None:
        return None, "compile=False" if way is False else "too short to gain from it, or no C compiler"
    if hooks.per_batch:
        return None, f"{type(hooks.per_batch[0]).__name__} wants to be told about every batch"
    if way == "auto":
        for part in (*model.modules(), criterion, optimizer):
            if not _is_ours(part):
                name = getattr(part, "__name__", type(part).__name__)
                return None, f"{name} is not of this package and may do more than compute; say compile=True"
        if any(one.node is not None and one.node.hooks is not None for one in model.parameters()):
            return None, "a parameter has hooks"
    if not isinstance(optimizer, Optimizer):
        raise ArgumentError(
            f"compile={way!r} needs an optimizer of tinygrad_mlp.optim, got {type(optimizer).__name__}; "
            "say compile=False"
        )
    step = Epochs(
        model, optimizer, lambda outputs, y: compared(criterion, outputs, y, batches), backend, insists=way != "auto"
    )
    return step, None


def _is_ours(part: Any) -> bool:
    return type(part).__module__.partition(".")[0] == __name__.partition(".")[0]


def evaluate(
    model: Module,
    x: Any,
    y: Any = None,
    *,
    batch_size: int | None = None,
    loss: Any = "cross_entropy",
    metrics: Sequence[str] | None = None,
    callbacks: Callback | Iterable[Callback] | None = None,
) -> dict[str, float]:
    """The loss and metrics of ``model`` on data, in evaluation mode and recording nothing.

    Args:
        model, x, y, loss, metrics, callbacks: as in :func:`fit`.
        batch_size: samples at a time, 1024 by default; it changes the memory needed, not the answer.

    Returns:
        ``{"loss": …, "accuracy": …}``.

    Raises:
        As :func:`fit`.
    """
    criterion = loss_of(loss)
    meters = _meters(_metric_names(metrics, criterion), criterion)
    hooks = Callbacks(callbacks)
    batches = _pass_over(x, y, batch_size, _dtype_of(model))
    run = Run(model, params=_params(1, batches, 0), loss=criterion, batches=batches)
    hooks.attach(run)
    return evaluated(run, hooks, batches, meters)


def predict(
    model: Module,
    x: Any,
    *,
    batch_size: int | None = None,
    callbacks: Callback | Iterable[Callback] | None = None,
) -> Array:
    """The outputs of ``model`` (logits, not probabilities) for all samples, in evaluation mode and recording nothing.

    Args:
        model: any Module.
        x: (samples, …).
        batch_size: samples at a time, 1024 by default.
        callbacks: as in :func:`fit`.

    Returns:
        An array (samples, …).

    Raises:
        ArgumentError: no samples, or ``batch_size`` below 1.
    """
    batches = DataLoader(_column(x, _dtype_of(model)), _LARGE_BATCH if batch_size is None else batch_size)
    hooks = Callbacks(callbacks)
    hooks.attach(Run(model, params=_params(1, batches, 0), batches=batches))
    hooks.call("on_predict_begin", {})
    parts = []
    with modes_restored(model), no_grad():
        model.eval()
        for number, batch in enumerate(batches):
            hooks.call("on_predict_batch_begin", number, {})
            parts.append(model(tensor(batch[0])).data)
            hooks.call("on_predict_batch_end", number, {"outputs": parts[-1]})
    hooks.call("on_predict_end", {})
    return np.concatenate(parts)


def _metric_names(metrics: Sequence[str] | None, criterion: Any) -> tuple[str, ...]:
    if metrics is None:
        return ("accuracy",) if classifies(criterion) else ()
    return (metrics,) if isinstance(metrics, str) else tuple(metrics)


def _meters(names: Iterable[str], criterion: Any) -> Meters:
    return Meters(names, getattr(criterion, "reduction", "mean"))


def _dtype_of(model: Module) -> np.dtype[Any]:
    return next((one.dtype for one in model.parameters()), np.dtype(np.float32))


def _column(value: Any, dtype: np.dtype[Any]) -> Array:
    array = value.data if isinstance(value, Tensor) else np.asarray(value)
    # A float64 array would make every product of a float32 model a float64 one, at half the speed.
    return array.astype(dtype, copy=False) if array.dtype.kind == "f" else array


def _batches(
    x: Any, y: Any, batch_size: int, dtype: np.dtype[Any], *, shuffle: bool = False, seed: int | None = None
) -> DataLoader:
    if isinstance(x, DataLoader):
        if y is not None:
            raise ArgumentError(
                "a DataLoader brings its own targets; leave y out, or give fit arrays: fit(model, x, y)"
            )
        return x
    if y is None:
        raise ArgumentError("expected targets beside x; say fit(model, x, y), or give a DataLoader((x, y))")
    columns = TensorDataset(_column(x, dtype), checked_targets(_column(y, dtype)))
    return DataLoader(columns, batch_size, shuffle, seed=seed)


def _pass_over(x: Any, y: Any, batch_size: int | None, dtype: np.dtype[Any]) -> DataLoader:
    return _batches(x, y, _LARGE_BATCH if batch_size is None else batch_size, dtype)


def _pair(given: Any) -> tuple[Any, Any]:
    if isinstance(given, DataLoader):
        return given, None
    if isinstance(given, (tuple, list)) and len(given) == 2:
        return given[0], given[1]
    raise ArgumentError(f"validation_data is a pair (x, y) or a DataLoader, got {type(given).__name__}")


def _held_out(x: Any, y: Any, validation_data: Any, share: float, seed: int | None) -> tuple[Any, Any, Any]:
    """Training x and y, and what to validate on."""
    if not share:
        return x, y, validation_data
    if validation_data is not None or isinstance(x, DataLoader) or y is None:
        raise ArgumentError(
            "validation_split splits the arrays x and y; leave it out beside validation_data or a DataLoader"
        )
    inputs, targets = np.asarray(x), np.asarray(y)
    classes = targets.ndim == 1 and targets.dtype.kind in "iu"
    x_train, x_val, y_train, y_val = train_test_split(
        inputs, targets, test_size=share, stratify=targets if classes else None, seed=seed
    )
    return x_train, y_train, (x_val, y_val)


def _params(epochs: int, batches: DataLoader, verbose: str | int) -> dict[str, Any]:
    return {
        "epochs": epochs,
        "steps": len(batches),
        "batch_size": batches.batch_size,
        "samples": len(batches.dataset),
        "verbose": verbose,
    }
