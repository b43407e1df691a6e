"""The training loop, and the two passes without gradients: evaluate and predict."""

from __future__ import annotations

import math
import signal
import threading
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any, Self

import numpy as np

from ..data import DataLoader, TensorDataset
from ..datasets import train_test_split
from ..errors import ArgumentError
from ..nn import Module
from ..optim import Optimizer
from ..tape import Array
from ..tensor import Tensor, from_numpy, no_grad
from .advice import checked_targets, compared
from .choices import classifies, loss_of, optimizer_of
from .compiled import Epochs, Way, chosen, pair_of
from .history import History
from .metrics import Meters
from .progress import Progress, progress_of

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
    """
    criterion = loss_of(loss)
    names = _metric_names(metrics, criterion)
    dtype = _dtype_of(model)
    x, y, validation_data = _held_out(x, y, validation_data, validation_split, seed)
    batches = _batches(x, y, 32 if batch_size is None else batch_size, dtype, shuffle=shuffle, seed=seed)
    held_out = None if validation_data is None else _pass_over(*_pair(validation_data), None, dtype)
    stepper = optimizer_of(optimizer, model, lr)
    if epochs < 1:
        raise ArgumentError(f"expected epochs >= 1, got {epochs!r}")
    history = History(_params(epochs, batches, verbose))
    progress = progress_of(verbose)
    _meters(names, criterion)
    compiled, history.uncompiled = _compiled(compile, model, criterion, stepper, epochs, batches)
    progress.start(epochs, len(batches))
    try:
        with _modes_restored(model), _Interrupts() as interrupts:
            for epoch in range(epochs):
                began = time.perf_counter()
                model.train()
                meters = _meters(names, criterion)
                if compiled is None or compiled.ran is None:
                    _train_epoch(model, criterion, stepper, batches, meters, progress, interrupts)
                else:
                    meters = _compiled_epoch(compiled, model, criterion, stepper, batches, meters, progress, interrupts)
                if compiled is not None:
                    history.compiled, history.uncompiled = compiled.ran, compiled.why
                logs = meters.results()
                if held_out is not None:
                    found = _evaluated(model, criterion, held_out, _meters(names, criterion))
                    logs |= {f"val_{name}": value for name, value in found.items()}
                seconds = time.perf_counter() - began
                history.append(logs, seconds)
                progress.epoch(epoch, logs, seconds)
                interrupts.obey()  # one that came while the epoch was being judged
    except KeyboardInterrupt:
        history.stopped = "interrupted"
    except _NotFiniteError as error:
        history.stopped = f"non-finite {error.what} in epoch {len(history.epoch) + 1}, {error}"
    finally:
        progress.stop(history.stopped)
    if history.stopped and history.stopped != "interrupted":
        warnings.warn(
            f"{history.stopped}; the weights are those before that step. Lower the learning rate, and look for "
            "infinities in the data",
            RuntimeWarning,
            stacklevel=2,
        )
    return history


def _train_epoch(
    model: Module,
    criterion: Any,
    optimizer: Any,
    batches: DataLoader,
    meters: Meters,
    progress: Progress,
    interrupts: _Interrupts,
) -> None:
    _train_batches(model, criterion, optimizer, batches, enumerate(batches, 1), meters, progress, interrupts)


def _compiled(
    way: Way, model: Module, criterion: Any, optimizer: Any, epochs: int, batches: DataLoader
) -> tuple[Epochs | None, str | None]:
    """The compiled epochs, or None and why there are none."""
    backend = chosen(way, model, epochs, batches)
    if backend is None:
        return None, "compile=False" if way is False else "too short to gain from it, or no C compiler"
    if way == "auto":
        for part in (*model.modules(), criterion, optimizer):
            if not _is_ours(part):
                name = getattr(part, "__name__", type(part).__name__)
                return None, f"{name} is not of this package and may do more than compute; say compile=True"
        if any(isinstance(part, Module) and part._hooks for part in (*model.modules(), criterion)):
            return None, "a module has hooks"
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


def _compiled_epoch(
    compiled: Epochs,
    model: Module,
    criterion: Any,
    optimizer: Any,
    batches: DataLoader,
    meters: Meters,
    progress: Progress,
    interrupts: _Interrupts,
) -> Meters:

    def told(done: int) -> None:
        progress.batch(done, meters)
        interrupts.obey()

    def by_hand(into: Meters, rest: Iterator[tuple[int, Any]]) -> None:
        _train_batches(model, criterion, optimizer, batches, rest, into, progress, interrupts)

    return compiled.run(batches, meters, told, by_hand)


def _train_batches(
    model: Module,
    criterion: Any,
    optimizer: Any,
    batches: DataLoader,
    numbered: Iterable[tuple[int, tuple[Any, ...]]],
    meters: Meters,
    progress: Progress,
    interrupts: _Interrupts,
) -> None:
    parameters = list(model.parameters())
    for step, batch in numbered:
        x, y = _tensors(batch)
        optimizer.zero_grad()
        outputs = model(x)
        loss = compared(criterion, outputs, y, batches)
        value = float(loss.data)
        if not math.isfinite(value):
            raise _NotFiniteError("loss", f"batch {step} of {len(batches)}: {value}")
        loss.backward()
        if not _all_finite(parameters):
            raise _NotFiniteError("gradient", f"batch {step} of {len(batches)}")
        optimizer.step()
        meters.update(value, outputs.data, y.data)
        progress.batch(step, meters)
        interrupts.obey()


class _NotFiniteError(Exception):
    """The loss of a batch, or a gradient of it, is NaN or infinite."""

    def __init__(self, what: str, where: str) -> None:
        super().__init__(where)
        self.what = what


def _all_finite(parameters: list[Tensor]) -> bool:
    for parameter in parameters:
        gradient = parameter.grad
        if gradient is not None:
            flat = gradient.data.ravel("K")
            # One product tells in nearly all cases; squares can overflow where the gradient itself does not.
            if not math.isfinite(flat.dot(flat)) and not np.isfinite(flat).all():
                return False
    return True


def evaluate(
    model: Module,
    x: Any,
    y: Any = None,
    *,
    batch_size: int | None = None,
    loss: Any = "cross_entropy",
    metrics: Sequence[str] | None = None,
) -> dict[str, float]:
    """The loss and metrics of ``model`` on data, in evaluation mode and recording nothing.

    Args:
        model, x, y, loss, metrics: as in :func:`fit`.
        batch_size: samples at a time, 1024 by default; it changes the memory needed, not the answer.

    Returns:
        ``{"loss": …, "accuracy": …}``.

    Raises:
        As :func:`fit`.
    """
    criterion = loss_of(loss)
    meters = _meters(_metric_names(metrics, criterion), criterion)
    return _evaluated(model, criterion, _pass_over(x, y, batch_size, _dtype_of(model)), meters)


def predict(model: Module, x: Any, *, batch_size: int | None = None) -> Array:
    """The outputs of ``model`` (logits, not probabilities) for all samples, in evaluation mode and recording nothing.

    Args:
        model: any Module.
        x: (samples, …).
        batch_size: samples at a time, 1024 by default.

    Returns:
        An array (samples, …).

    Raises:
        ArgumentError: no samples, or ``batch_size`` below 1.
    """
    batches = DataLoader(_column(x, _dtype_of(model)), _LARGE_BATCH if batch_size is None else batch_size)
    with _modes_restored(model), no_grad():
        model.eval()
        return np.concatenate([model(_tensor(batch[0])).data for batch in batches])


def _evaluated(model: Module, criterion: Any, batches: DataLoader, meters: Meters) -> dict[str, float]:
    with _modes_restored(model), no_grad():
        model.eval()
        for batch in batches:
            x, y = _tensors(batch)
            outputs = model(x)
            meters.update(float(compared(criterion, outputs, y, batches).data), outputs.data, y.data)
    return meters.results()


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


def _tensors(batch: tuple[Any, ...]) -> tuple[Tensor, Tensor]:
    x, y = pair_of(batch)
    return _tensor(x), _tensor(y)


def _tensor(value: Any) -> Tensor:
    return value if isinstance(value, Tensor) else from_numpy(value)


def _params(epochs: int, batches: DataLoader, verbose: str | int) -> dict[str, Any]:
    return {
        "epochs": epochs,
        "steps": len(batches),
        "batch_size": batches.batch_size,
        "samples": len(batches.dataset),
        "verbose": verbose,
    }


@contextmanager
def _modes_restored(model: Module) -> Iterator[None]:
    """Leave every module of the model in the mode it was in, however the block ends."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


class _Interrupts:
    """Turn the first Ctrl-C into a question asked between two steps, so that no step is torn; the second breaks out.

    Where signals belong to somebody else (another thread, a handler of the user's own) nothing is changed.
    """

    pending = False
    _replaced = False

    def obey(self) -> None:
        """Raise KeyboardInterrupt if Ctrl-C was pressed."""
        if self.pending:
            raise KeyboardInterrupt

    def __enter__(self) -> Self:
        main = threading.current_thread() is threading.main_thread()
        if main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._note)
            self._replaced = True
        return self

    def __exit__(self, *_: object) -> None:
        if self._replaced:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.pending:
            signal.default_int_handler(number, frame)
        self.pending = True
