"""The training doctor: finds the usual mistakes, and says in plain words what they mean and which line mends them.

What costs nothing is looked at in every ``fit`` (:mod:`.first_look`). The rest is asked for with ``fit(…,
doctor=True)``: the steps are then not compiled, and now and then one of them is watched.
"""

from __future__ import annotations

import itertools
import math

import numpy as np

from ..nn import BCEWithLogitsLoss, CrossEntropyLoss, MSELoss
from ..tape import Array
from ..tree import map_leaves
from .activity import activations_of
from .callbacks.base import Callback, Logs
from .findings import Finding, Findings
from .first_look import some_rows

__all__ = ["Doctor"]

_ENOUGH = 5  # epochs before the course of the loss says something


class Doctor(Callback):
    """Watches a run, and warns of every mistake once (:class:`DoctorWarning`); ``fit(…, doctor=True)`` adds one.

    Found are: units of ReLU that are dead for all samples looked at; sigmoids and tanhs that are saturated; updates
    that are too large or too small for their weights; parameters that no gradient reaches; inputs of very different
    scales; a loss that does not fall, that jumps up and down, or that is no better than a guess.

    Args:
        every: batches between two looks at a step. share: of dead or saturated units from which on it is said.

    Attributes:
        findings: what was found, as (kind, where, text).

    Source of the rule of thumb about updates (about 1e-3 of the weights per step): Karpathy, CS231n notes, "Babysitting
    the learning process".
    """

    def __init__(self, every: int = 20, share: float = 0.4) -> None:
        self.every = every
        self.share = share
        self._findings = Findings()
        self._forget()

    def _forget(self) -> None:
        self._before: dict[str, Array] | None = None
        self._ratios: dict[str, list[float]] = {}
        self._reached: dict[str, bool] = {}
        self._losses: list[float] = []

    @property
    def findings(self) -> list[Finding]:
        """What was found so far."""
        return self._findings.all

    def on_train_begin(self, logs: Logs | None = None) -> None:  # noqa: ARG002
        """Forget the run before."""
        self._forget()

    # --- steps ---

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:  # noqa: ARG002
        """Note the weights before a step that is watched."""
        if batch % self.every == 0:
            self._before = {name: one.data.copy() for name, one in self.model.named_parameters() if one.ndim >= 2}

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:  # noqa: ARG002
        """Compare the weights with those before, and look for gradients that did not come."""
        for name, one in self.model.named_parameters():
            if one.requires_grad and not self._reached.get(name, False):
                self._reached[name] = one.grad is not None and bool(one.grad.data.any())
        if self._before is None or self.run.pending:
            return
        for name, one in self.model.named_parameters():
            before = self._before.get(name)
            size = 0.0 if before is None else float(np.linalg.norm(before))
            if before is not None and size:
                self._ratios.setdefault(name, []).append(float(np.linalg.norm(one.data - before)) / size)
        self._before = None

    # --- epochs ---

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Look at units, updates and gradients; note the loss."""
        self._losses.append(float((logs or {}).get("loss", math.nan)))
        for name, reached in self._reached.items():
            if not reached:
                self._findings.add("no gradient", name)
        self._updates()
        if epoch > 0 or self.params.get("epochs") == 1:
            self._units()

    def _updates(self) -> None:
        for name, ratios in self._ratios.items():
            middle = float(np.median(ratios[-5:]))  # the first steps of a run are larger
            if len(ratios) < 2 or not self._reached.get(name, False):
                continue
            if middle > 0.2:
                self._findings.add("large updates", name, ratio=middle, lr=self.run.rate)
            elif middle < 1e-6:
                self._findings.add("small updates", name, ratio=middle, lr=self.run.rate)

    def _units(self) -> None:
        """Send some samples through the model, and look at what its activations give."""
        if self.run.feed.inputs is None:
            return
        for where, kind, values in activations_of(self.model, map_leaves(some_rows, self.run.feed.inputs)):
            # Channels of pictures are units that are looked at in many places.
            units = np.moveaxis(values, 1, -1) if values.ndim == 4 else values
            units = units.reshape(-1, units.shape[-1])
            if kind == "relu":
                share = float((units <= 0).all(0).mean())
                if share > self.share:
                    self._findings.add("dead units", where, share=share, samples=len(units))
                continue
            outside = np.abs(units if kind == "tanh" else 2 * units - 1) > 0.98
            share = float((outside.mean(0) > 0.95).mean())
            if share > self.share:
                self._findings.add("saturated units", where, share=share, name=kind)

    # --- the whole run ---

    def on_train_end(self, logs: Logs | None = None) -> None:  # noqa: ARG002
        """Look at how the loss went."""
        losses = [one for one in self._losses if math.isfinite(one)]
        epochs = len(losses)
        if epochs < _ENOUGH:
            return
        rises = sum(b > 1.05 * a for a, b in itertools.pairwise(losses))
        if rises >= 0.4 * (epochs - 1):
            self._findings.add("oscillation", "loss", rises=rises, epochs=epochs - 1, lr=self.run.rate)
        chance, guess = self._guess()
        if min(losses) > 0.98 * chance:
            self._findings.add("chance level", "loss", epochs=epochs, loss=losses[-1], guess=guess, chance=chance)
        elif min(losses[1:]) > 0.99 * losses[0]:
            self._findings.add("no progress", "loss", epochs=epochs, loss=losses[-1], first=losses[0])

    def _guess(self) -> tuple[float, str]:
        """The loss of the best answer that does not look at the inputs, and what it is; infinity if nobody knows."""
        objective, y = self.run.objective, self.run.feed.targets
        if objective is None or not objective.single or y is None or objective.reduction == "sum" or not y.size:
            return math.inf, ""
        loss = objective.given
        if isinstance(loss, CrossEntropyLoss) and y.ndim == 1 and y.dtype.kind in "iu":
            shares = np.unique(y, return_counts=True)[1] / len(y)
            return float(-(shares * np.log(shares)).sum()), "always guessing the shares of the classes"
        if isinstance(loss, BCEWithLogitsLoss):
            share = np.clip(np.mean(y, axis=0, dtype=np.float64), 1e-12, 1 - 1e-12)
            each = -(share * np.log(share) + (1 - share) * np.log1p(-share))
            return float(np.mean(each)), "always guessing the share of the ones"
        if isinstance(loss, MSELoss):
            return float(np.var(y, axis=0, dtype=np.float64).mean()), "always predicting the mean"
        return math.inf, ""
