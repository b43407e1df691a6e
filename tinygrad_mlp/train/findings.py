"""What can be found about a training run, in the words that people read."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

__all__ = ["TEXTS", "DoctorWarning", "Finding", "Findings"]


class DoctorWarning(UserWarning):
    """Something about a training run that is probably a mistake."""


class Finding(NamedTuple):
    """One mistake: its kind, where it is, and what to say about it."""

    kind: str
    where: str
    text: str


TEXTS = {
    "pixels": """
        the inputs are whole numbers from {low:g} to {high:g}, as pixels come. Steps that suit the weights of the first
        layer are then far too small or too large for the others, and learning is slow or breaks off. Scale them to
        0..1: x = x / 255""",
    "scales": """
        column {widest} of the inputs varies by {most:.3g}, another by {least:.3g}. The largest column alone decides how
        the weights move, and steps that suit it are too small for the others. Standardise the columns: scaler =
        StandardScaler.fit(x_train); x_train = scaler.transform(x_train)""",
    "equal weights": """
        all weights in {where} are {value:g}. Units that begin alike get the same gradient and stay alike, so that the
        layer works like a single unit. Leave the initial values as they are, or draw them at random:
        nn.init.kaiming_uniform_(model.{where})""",
    "softmax": """
        the model ends in {name}, and cross_entropy applies a softmax itself. Outputs are squeezed twice, and the loss
        can no longer become small. Take it out of the model: its last layer is nn.Linear(…), and for probabilities
        apply the softmax after predict""",
    "sigmoid": """
        the model ends in {name}, and binary_cross_entropy applies a sigmoid itself. Outputs are squeezed twice, and the
        loss can no longer become small. Take it out of the model: its last layer is nn.Linear(…), and for probabilities
        apply the sigmoid after predict""",
    "broadcast": """
        the model gives shape {outputs} and the targets have shape {targets}. Their difference has shape {square}: every
        output is compared with every target, and the model learns their mean. Give the targets the outputs' shape:
        y = y.reshape({shape})""",
    "no gradient": """
        no gradient reached {where} in a whole epoch, so it is never trained. Either forward does not use it, or
        something on its way to the loss passes no gradient (detach, argmax, a ReLU that is always off).
        explain_grad(loss) shows where it ends""",
    "large updates": """
        a step changes {where} by {ratio:.0%} of its size; about 0.1 % is usual, and with steps this large training
        jumps about instead of descending. Make the learning rate (now {lr:g}) ten times smaller""",
    "small updates": """
        a step changes {where} by {ratio:.1e} of its size; 1e-3 is usual. It will take for ever. Make the learning rate
        (now {lr:g}) ten times larger, or look why gradients vanish on the way""",
    "dead units": """
        {share:.0%} of the ReLU units in {where} are off for all {samples} samples looked at. A unit that is off gets no
        gradient and cannot come back: it is dead. Take a smaller learning rate, smaller initial weights, or
        nn.LeakyReLU()""",
    "saturated units": """
        {share:.0%} of the {name} units in {where} are at an end of their range for nearly all samples. The curve is
        flat there, and hardly any gradient comes through. Scale the inputs, make the initial weights smaller, or use
        nn.ReLU()""",
    "oscillation": """
        the loss rose in {rises} of {epochs} epochs: it jumps up and down. The steps are too long for the valley. Make
        the learning rate (now {lr:g}) three to ten times smaller""",
    "chance level": """
        after {epochs} epochs the loss is {loss:.4g}, and {guess} gives {chance:.4g}: the model has learnt nothing from
        the inputs. Look whether x and y still belong together (were both shuffled the same way?), whether the inputs
        are scaled, and try a larger learning rate""",
    "no progress": """
        the loss has not fallen in {epochs} epochs ({first:.4g} to {loss:.4g}). Look for a model that is frozen, and try
        a learning rate ten times larger and one ten times smaller""",
}
"""The text of every kind of finding; each says what was seen, what it does, and the line that mends it."""


class Findings:
    """Warns of every finding once.

    Attributes:
        all: what was found.
    """

    def __init__(self) -> None:
        self.all: list[Finding] = []

    def __contains__(self, kind: str) -> bool:
        return any(one.kind == kind for one in self.all)

    def add(self, kind: str, where: str, **facts: Any) -> None:
        """Enter a finding, and warn, unless it is known."""
        if not any((one.kind, one.where) == (kind, where) for one in self.all):
            text = " ".join(TEXTS[kind].split()).format(where=where, **facts)
            self.all.append(Finding(kind, where, text))
            warnings.warn(text, DoctorWarning, stacklevel=3)
