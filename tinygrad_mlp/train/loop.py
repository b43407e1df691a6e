"""The three verbs: fit, evaluate, predict."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..data import DataLoader, TensorDataset
from ..datasets import train_test_split
from ..errors import ArgumentError
from ..nn import Module
from ..optim import Optimizer
from ..tensor import Tensor, no_grad
from ..tree import flatten, map_leaves
from .callbacks import Callback, Callbacks, LearningRateScheduler
from .checkpoint import Checkpoint, read_checkpoint, seed_in
from .choices import optimizer_of
from .compiled import Epochs, Way, chosen
from .doctor import Doctor
from .feeds import Feed, Inputs, feed_of, tensors
from .first_look import FirstLook
from .history import History
from .interrupts import modes_restored
from .meters import Meters
from .objective import Objective, called
from .progress import progress_of
from .run import Run
from .steps import Stepper, arrays_of
from .trainer import Trainer, evaluated

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
    loss_weights: Any = None,
    metrics: Any = None,
    weighted_metrics: Any = (),
    sample_weight: Any = None,
    class_weight: Any = None,
    validation_data: Any = None,
    validation_split: float = 0.0,
    validation_freq: int = 1,
    validation_steps: int | None = None,
    steps_per_epoch: int | None = None,
    accumulate: int = 1,
    shuffle: bool = True,
    seed: int | None = None,
    verbose: str | int = "auto",
    callbacks: Callback | Iterable[Callback] | None = None,
    doctor: bool = False,
    scheduler: Any = None,
    initial_epoch: int = 0,
    resume_from: str | os.PathLike[str] | None = None,
    compile: Way = "auto",
) -> History:
    """Train ``model`` with the loop that one writes by hand; the arguments are Keras' where Keras has them.

    Args:
        model: any Module. It trains in training mode and has its own modes back afterwards.
        x, y: arrays (samples, …), or anything that ``numpy.asarray`` takes (lists, pandas); a tuple or dict of them for
            several inputs (``model(*x)``, ``model(**x)``) or outputs. Or ``x`` is a DataLoader, a TensorDataset, or an
            iterable or generator of batches ``(x, y)`` or ``(x, y, sample_weight)``, which bring their own batch size,
            order and seed. Floats of arrays are converted to the dtype of the model's parameters.
        epochs: how often to go through the data.
        batch_size: samples per step, 32 by default; the last batch of an epoch holds what is left.
        optimizer: ``"sgd"``, ``"adam"``, ``"adamw"`` with torch's defaults, or an optimizer of the model's parameters.
        lr: the learning rate for an optimizer given by name.
        loss: ``"cross_entropy"``, ``"binary_cross_entropy"``, ``"mse"`` (Keras' spellings work too), or a callable
            ``loss(outputs, targets)`` that gives the mean over the batch (or the sum, and says ``reduction="sum"``).
            With several outputs also a list or dict of them.
        loss_weights: what the losses of several outputs are multiplied with before they are added, a list or dict.
        metrics: names out of ``METRICS``, Metrics, or functions ``(outputs, targets)`` on arrays; with several outputs
            also a dict or a list of lists. By default the accuracy where the loss is one of classes. Training metrics
            are those of the outputs that the steps were computed from, exact over a ragged last batch.
        weighted_metrics: more of them, which take the weights of the samples into account.
        sample_weight: one number >= 0 per sample, (samples,), or one array per output. The loss of a batch of n is
            ``sum(w_i * l_i) / n``, as in Keras; a loss of your own takes them as ``sample_weight=``.
        class_weight: ``{class: weight}``, or ``"balanced"``: samples / (classes * samples of the class). Multiplied
            with ``sample_weight``.
        validation_data: ``(x, y)``, ``(x, y, sample_weight)``, a DataLoader or batches, evaluated in evaluation mode
            and recording nothing; after every ``validation_freq`` epochs, at most ``validation_steps`` batches of it.
        validation_split: a share of the samples to hold out instead: drawn at random with ``seed``, and in proportion
            to the classes where ``y`` holds class ids. Keras takes the last samples, whatever their order.
        steps_per_epoch: batches that make an epoch; a generator goes on where it stopped.
        accumulate: batches for each move of the optimizer, whose gradient is that of their samples together: a large
            batch in the memory of a small one.
        shuffle: a new order in every epoch.
        seed: of the orders and of the split; the same seed and model give the same bits.
        verbose: ``"auto"`` (a bar on a terminal, and lines), 0 nothing, 1 a bar and lines, 2 a line for every epoch.
            But for 2, a run of more than 20 epochs prints at most a dozen lines: its first epoch, its last, and about
            ten evenly between; the History keeps all.
        callbacks: :class:`~tinygrad_mlp.train.callbacks.Callback` objects, told what happens in the order given.
        doctor: watch the run for the usual mistakes (:class:`~tinygrad_mlp.train.doctor.Doctor`), step by step and
            not compiled. Without it only what costs nothing is looked at: pixels that are not scaled, a softmax before
            a loss of logits, weights that are all equal, ``(n,)`` against ``(n, 1)``.
        scheduler: a function of the epoch, or an object of ``optim.lr_scheduler``; see ``LearningRateScheduler``.
        initial_epoch: the number of the first epoch, to go on with an earlier run; ``epochs`` is where it ends.
        resume_from: a training checkpoint (:class:`~tinygrad_mlp.train.callbacks.ModelCheckpoint`), or a folder of
            them, of which the newest readable one is taken. The run goes on there, between two epochs or within one,
            with the same bits as if it had never stopped: give everything else as it was given to the run that was
            saved.
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
    objective = Objective(loss, loss_weights)
    meters = _meters(metrics, weighted_metrics, objective)
    hooks = Callbacks(callbacks)
    more = [LearningRateScheduler(scheduler)] if scheduler is not None else []
    hooks = Callbacks([*more, *hooks.all, *([Doctor()] if doctor else [])])
    dtype = _dtype_of(model)
    checkpoint = _checkpoint(resume_from, hooks, initial_epoch)
    seed = seed_in(checkpoint, seed)
    if seed is None:
        # Drawn here, not where it is used, so that a checkpoint can keep it.
        seed = int(np.random.SeedSequence().generate_state(1, np.uint64)[0] >> np.uint64(1))
    x, y, sample_weight, validation_data = _held_out(x, y, sample_weight, validation_data, validation_split, seed)
    feed = feed_of(
        x,
        y,
        32 if batch_size is None else batch_size,
        dtype,
        weights=sample_weight,
        class_weight=class_weight,
        shuffle=shuffle,
        seed=seed,
        steps=steps_per_epoch,
    )
    validation = None if validation_data is None else _validation(validation_data, dtype, validation_steps)
    stepper = optimizer_of(optimizer, model, lr)
    _check_counts(epochs, initial_epoch, accumulate, validation_freq)
    run = Run(
        model,
        params=_params(epochs, feed, verbose),
        feed=feed,
        optimizer=stepper,
        objective=objective,
        validation=validation,
        seed=seed,
    )
    run.epoch = initial_epoch
    if initial_epoch and feed.loader is not None and feed.loader is not x:
        feed.loader.set_epoch(initial_epoch)
    progress = progress_of(verbose)
    look = FirstLook(run)
    look.before()
    meters.first = look.batch
    compiled, run.history.uncompiled = _compiled(compile, run, hooks, epochs - initial_epoch, accumulate)
    trainer = Trainer(run, hooks, progress, meters, Stepper(run, accumulate), compiled, validation_freq, checkpoint)
    return trainer.train(epochs)


def _checkpoint(resume_from: str | os.PathLike[str] | None, hooks: Callbacks, initial_epoch: int) -> Checkpoint | None:
    """What to go on from: what the caller names, or else what a callback has found."""
    if resume_from is None:
        return next((found for found in (one.checkpoint() for one in hooks.all) if found is not None), None)
    if initial_epoch:
        raise ArgumentError("a checkpoint says in which epoch the run goes on; leave initial_epoch out")
    return read_checkpoint(resume_from)


def _check_counts(epochs: int, initial_epoch: int, accumulate: int, validation_freq: int) -> None:
    if not 0 <= initial_epoch < epochs:
        raise ArgumentError(_epochs_wanted(epochs, initial_epoch))
    if accumulate < 1 or validation_freq < 1:
        raise ArgumentError(
            f"expected accumulate >= 1 and validation_freq >= 1, got {accumulate!r} and {validation_freq!r}"
        )


def _epochs_wanted(epochs: int, initial_epoch: int) -> str:
    if epochs < 1 or initial_epoch < 0:
        return f"expected epochs >= 1, got {epochs!r}, and initial_epoch >= 0, got {initial_epoch!r}"
    return (
        f"expected epochs > initial_epoch, got epochs={epochs} and initial_epoch={initial_epoch}: epochs is the number "
        f"of the last epoch, not how many follow; say epochs={initial_epoch + epochs}"
    )


def _compiled(way: Way, run: Run, hooks: Callbacks, epochs: int, accumulate: int) -> tuple[Epochs | None, str | None]:
    """The compiled epochs, or None and why there are none."""
    model, optimizer, objective, feed = run.model, run.optimizer, run.objective, run.feed
    assert objective is not None
    backend = chosen(way, model, epochs, feed)
    why = None
    if backend is None:
        why = "compile=False" if way is False else "too short to gain from it, or no C compiler"
    elif hooks.per_batch:
        why = f"{type(hooks.per_batch[0]).__name__} wants to be told about every batch"
    elif accumulate > 1:
        why = "gradients are accumulated over several batches"
    elif not feed.whole:
        why = "the batches are not all those of a DataLoader, as it gives them"
    if backend is None or why is not None:
        return None, why
    if way == "auto":
        for part in (*model.modules(), *objective.criteria, optimizer):
            if not _is_ours(part):
                name = getattr(part, "__name__", type(part).__name__)
                return None, f"{name} is not of this package and may do more than compute; say compile=True"
        if any(isinstance(part, Module) and part._hooks for part in (*model.modules(), *objective.criteria)):
            return None, "a module has hooks"
        if any(one.node is not None and one.node.hooks is not None for one in model.parameters()):
            return None, "a parameter has hooks"
    if not isinstance(optimizer, Optimizer):
        raise ArgumentError(
            f"compile={way!r} needs an optimizer of tinygrad_mlp.optim, got {type(optimizer).__name__}; "
            "say compile=False"
        )
    return Epochs(model, optimizer, objective, feed, backend, insists=way != "auto"), None


def _is_ours(part: Any) -> bool:
    return type(part).__module__.partition(".")[0] == __name__.partition(".")[0]


def evaluate(
    model: Module,
    x: Any,
    y: Any = None,
    *,
    batch_size: int | None = None,
    loss: Any = "cross_entropy",
    loss_weights: Any = None,
    metrics: Any = None,
    weighted_metrics: Any = (),
    sample_weight: Any = None,
    steps: int | None = None,
    callbacks: Callback | Iterable[Callback] | None = None,
) -> dict[str, Any]:
    """The loss and metrics of ``model`` on data, in evaluation mode and recording nothing.

    Args:
        model, x, y, loss, loss_weights, metrics, weighted_metrics, sample_weight, callbacks: as in :func:`fit`.
        batch_size: samples at a time, 1024 by default; it changes the memory needed, not the answer.
        steps: at most so many batches.

    Returns:
        ``{"loss": …, "accuracy": …}``; numbers, and arrays for metrics that are more than one number.

    Raises:
        As :func:`fit`.
    """
    objective = Objective(loss, loss_weights)
    meters = _meters(metrics, weighted_metrics, objective)
    hooks = Callbacks(callbacks)
    size = _LARGE_BATCH if batch_size is None else batch_size
    feed = feed_of(x, y, size, _dtype_of(model), weights=sample_weight, steps=steps)
    run = Run(model, params=_params(1, feed, 0), feed=feed, objective=objective)
    hooks.attach(run)
    return evaluated(run, hooks, feed, meters)


def predict(
    model: Module,
    x: Any,
    *,
    batch_size: int | None = None,
    callbacks: Callback | Iterable[Callback] | None = None,
) -> Any:
    """The outputs of ``model`` (logits, not probabilities) for all samples, in evaluation mode and recording nothing.

    Args:
        model: any Module.
        x: (samples, …), or a tuple or dict of them for several inputs.
        batch_size: samples at a time, 1024 by default.
        callbacks: as in :func:`fit`.

    Returns:
        An array (samples, …); a tuple or dict of them where the model gives one.

    Raises:
        ArgumentError: no samples, or ``batch_size`` below 1.
    """
    feed = Inputs(x, _LARGE_BATCH if batch_size is None else batch_size, _dtype_of(model))
    hooks = Callbacks(callbacks)
    hooks.attach(Run(model, params=_params(1, feed, 0), feed=feed))
    hooks.call("on_predict_begin", {})
    parts = []
    with modes_restored(model), no_grad():
        model.eval()
        for number, batch in enumerate(feed.epoch()):
            hooks.call("on_predict_batch_begin", number, {})
            parts.append(arrays_of(called(model, tensors(batch.x))))
            hooks.call("on_predict_batch_end", number, {"outputs": parts[-1]})
    hooks.call("on_predict_end", {})
    return map_leaves(lambda *rows: np.concatenate(rows), *parts)


def _meters(metrics: Any, weighted: Any, objective: Objective) -> Meters:
    given = objective.classifies() if metrics is None else metrics
    return Meters(given, objective.reduction, weighted, objective.given)


def _dtype_of(model: Module) -> np.dtype[Any]:
    return next((one.dtype for one in model.parameters()), np.dtype(np.float32))


def _validation(given: Any, dtype: np.dtype[Any], steps: int | None) -> Feed:
    if isinstance(given, (tuple, list)) and len(given) in {2, 3}:
        x, y, weights = given if len(given) == 3 else (*given, None)
        return feed_of(x, y, _LARGE_BATCH, dtype, weights=weights, steps=steps)
    if isinstance(given, (DataLoader, TensorDataset)) or (hasattr(given, "__iter__") and not hasattr(given, "__len__")):
        return feed_of(given, None, _LARGE_BATCH, dtype, steps=steps)
    raise ArgumentError(
        f"validation_data is a pair (x, y), also with weights (x, y, w), or a DataLoader, got {type(given).__name__}"
    )


def _held_out(
    x: Any, y: Any, weights: Any, validation_data: Any, share: float, seed: int | None
) -> tuple[Any, Any, Any, Any]:
    """Training x, y and weights, and what to validate on."""
    if not share:
        return x, y, weights, validation_data
    if validation_data is not None or isinstance(x, (DataLoader, TensorDataset)) or y is None:
        raise ArgumentError(
            "validation_split splits the arrays x and y; leave it out beside validation_data or a DataLoader"
        )
    several = [one for one in (x, y) if isinstance(one, (dict, tuple))]
    inputs, targets = (one if isinstance(one, (dict, tuple)) else np.asarray(_data(one)) for one in (x, y))
    first = np.asarray(flatten(targets)[0][0])
    classes = not several and first.ndim == 1 and first.dtype.kind in "iu"
    places = np.arange(len(first))
    train, held = train_test_split(places, test_size=share, stratify=first if classes else None, seed=seed)

    def rows(tree: Any, chosen_rows: Any) -> Any:
        return map_leaves(lambda one: np.asarray(_data(one))[chosen_rows], tree)

    there = (rows(inputs, held), rows(targets, held))
    mine = None if weights is None else rows(weights, train)
    if weights is not None:
        there = (*there, rows(weights, held))  # type: ignore[assignment]
    return rows(inputs, train), rows(targets, train), mine, there


def _data(value: Any) -> Any:
    return value.data if isinstance(value, Tensor) else value


def _params(epochs: int, feed: Feed, verbose: str | int) -> dict[str, Any]:
    return {
        "epochs": epochs,
        "steps": feed.steps,
        "batch_size": feed.batch_size,
        "samples": feed.samples,
        "verbose": verbose,
    }
