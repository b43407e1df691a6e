"""The hooks, and the list that calls them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ...errors import ArgumentError
from ...tables import as_called
from ..run import Run

__all__ = ["Callback", "Callbacks", "Logs"]

Logs = dict[str, float]


class Callback:
    """Something that is told what happens during training; derive from it and override what matters.

    The hooks are Keras', by name and argument. ``logs`` is a dict of numbers by name: in ``on_train_batch_end`` and
    ``on_test_batch_end`` the mean loss and the metrics so far in this epoch; in ``on_epoch_end`` those of the epoch
    with the ``val_`` ones; in ``on_test_end`` those of the evaluation; in ``on_train_end`` those of the last epoch.
    What an ``on_epoch_end`` adds to its ``logs`` is entered in the History. ``on_train_end`` is called however
    training ends: after the last epoch, on Ctrl-C, on a loss that is not finite, and when something raises.

    Whoever overrides a hook of batches gets every batch from the loop that is written out: steps are then not compiled
    in whole epochs, and ``history.uncompiled`` says so. Hooks of epochs leave compiling as it is.

    Attributes:
        model: the module, set before ``on_train_begin``. params: ``epochs``, ``steps``, ``batch_size``, ``samples``.
        run: the :class:`Run`: optimizer, history, epoch, and ``run.stop(reason)`` to end training.

    >>> class Until(Callback):
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         if logs["loss"] < 0.5:
    ...             self.run.stop(f"the loss is below 0.5 after epoch {epoch + 1}")
    """

    model: Any = None
    params: dict[str, Any] = {}  # noqa: RUF012 - replaced as a whole, by set_params
    run: Run

    def __repr__(self) -> str:
        return as_called(self)

    def set_model(self, model: Any) -> None:
        """Called first, with the module that is trained."""
        self.model = model

    def set_params(self, params: dict[str, Any]) -> None:
        """Called with ``epochs``, ``steps`` (batches per epoch), ``batch_size``, ``samples`` and ``verbose``."""
        self.params = params

    def set_run(self, run: Run) -> None:
        """Called with the run, before the first hook."""
        self.run = run

    @property
    def per_batch(self) -> bool:
        """Whether it wants to be told about every training batch: it overrides one of the two hooks."""
        mine = type(self)
        return (
            mine.on_train_batch_begin is not Callback.on_train_batch_begin
            or mine.on_train_batch_end is not Callback.on_train_batch_end
        )

    def state_dict(self) -> dict[str, Any]:
        """What its later decisions depend on, as plain data and arrays; a checkpoint keeps it. Nothing by default."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state_dict` gave; called after ``on_train_begin`` of the run that resumes."""

    @property
    def wants_progress(self) -> bool:
        """Whether ``on_train_progress`` is to be called: it is overridden."""
        return type(self).on_train_progress is not Callback.on_train_progress

    def checkpoint(self) -> Any:
        """The checkpoint that ``fit`` is to go on from, asked for before anything else; None by default."""
        return None

    def checkpoint_matters(self) -> bool:
        """Whether a run that goes on without this callback is another run; not if it only looks on or saves."""
        return True

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Training begins."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Training is over, in whatever way."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """An epoch begins, counted from 0."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """An epoch is done and validated. It is in the History; what is added to ``logs`` is entered, too."""

    def on_epoch_recorded(self, epoch: int, logs: Logs | None = None) -> None:
        """All have had their ``on_epoch_end``, and ``run.epoch`` is the next epoch: the moment to save a checkpoint.

        Keras has no such hook: there, what a checkpoint holds depends on its place among the callbacks.
        """

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """A batch is about to be trained on, counted from 0 in its epoch."""

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """A batch has been trained on."""

    def on_train_progress(self, done: int, logs: Logs | None = None) -> None:
        """So many batches of the epoch are done, and all have had their ``on_train_batch_end``: a moment to save.

        It is called after every batch by the loop that is written out, and now and then by compiled epochs.
        """

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """An evaluation begins: ``evaluate``, or the validation inside ``fit``."""

    def on_test_end(self, logs: Logs | None = None) -> None:
        """An evaluation is over."""

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """A batch is about to be evaluated."""

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """A batch has been evaluated."""

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """``predict`` begins."""

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """``predict`` is over."""

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """A batch is about to be predicted."""

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """A batch has been predicted; ``logs["outputs"]`` holds its outputs."""


class Callbacks:
    """The callbacks of one run, called together; those who override no hook of batches cost nothing there.

    Args:
        given: one callback, or several in the order in which they are called.

    Raises:
        ArgumentError: something is not a callback.
    """

    def __init__(self, given: Callback | Iterable[Callback] | None = ()) -> None:
        self.all: list[Callback] = [given] if isinstance(given, Callback) else list(given or ())
        for one in self.all:
            if not isinstance(one, Callback):
                fix = f"write {one.__name__}(…) with brackets" if isinstance(one, type) else "derive it from Callback"
                raise ArgumentError(f"expected callbacks, got {one!r}; {fix}")
        self.per_batch = [one for one in self.all if one.per_batch]
        self.progressing = [one for one in self.all if one.wants_progress]
        self.tests = bool([one for one in self.all if _overrides(one, "on_test_batch_begin", "on_test_batch_end")])

    def attach(self, run: Run) -> None:
        """Tell every callback what it will be about."""
        run.callbacks = self.all
        for one in self.all:
            one.set_params(run.params)
            one.set_model(run.model)
            one.set_run(run)

    def call(self, hook: str, *arguments: Any) -> None:
        """Call one hook of all."""
        for one in self.all:
            getattr(one, hook)(*arguments)

    def batch(self, hook: str, number: int, logs: Logs) -> None:
        """Call a hook of training batches, of those that want it."""
        for one in self.per_batch:
            getattr(one, hook)(number, logs)

    def progress(self, done: int, meters: Any) -> None:
        """Tell those who want to know how far the epoch is."""
        for one in self.progressing:
            one.on_train_progress(done, meters.results())

    def end(self, hook: str, logs: Logs) -> None:
        """Call a last hook of all, also where one of them raises; the first error is raised at the end."""
        errors = []
        for one in self.all:
            try:
                getattr(one, hook)(logs)
            except Exception as error:  # noqa: BLE001 - raised again below
                errors.append(error)
        if errors:
            raise errors[0]


def _overrides(one: Callback, *hooks: str) -> bool:
    return any(getattr(type(one), hook) is not getattr(Callback, hook) for hook in hooks)
