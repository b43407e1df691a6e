"""The losses of scikit-learn's MLP: what is differentiated, and the number that is reported.

A head compares the net's last outputs (logits, before the output activation) with targets, element by element. The
two numbers made of that differ: the reported loss of ``squared_error`` is a mean over outputs, while its gradient is
that of the sum; and scikit-learn clips probabilities to ``[eps, 1 - eps]`` before it takes their logarithm, which
bounds the reported loss but not the gradient.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from .. import ops
from ..nn import functional as F  # noqa: N812 - torch's name
from ..tape import Array

__all__ = ["HEADS", "Head", "Logistic", "Poisson", "Softmax", "SquaredError"]


class Head(ABC):
    """An output activation and the loss that belongs to it (its canonical link).

    Attributes:
        activation: scikit-learn's name for it, the value of ``out_activation_``.
    """

    activation: str

    def targets(self, y: Array, dtype: np.dtype[Any]) -> Array:
        """What the net's outputs are compared with, from ``y (n, outputs)``."""
        return y.astype(dtype)

    @abstractmethod
    def losses(self, z: Any, y: Any) -> Any:
        """The loss of every element: ``z (n, outputs)`` and targets to ``(n, outputs)`` or ``(n,)``."""

    @abstractmethod
    def outputs(self, z: Array) -> Array:
        """The output activation of ``z (n, outputs)``."""

    def reported(self, losses: Array, targets: Array, weights: Array | None) -> float:  # noqa: ARG002 - Poisson asks
        """scikit-learn's loss of one batch, from the losses of its elements."""
        return float(_mean(losses, weights).sum())


def _mean(losses: Array, weights: Array | None) -> Array:
    # For small batches np.average costs several times as much where there are no weights.
    found: Array = losses.mean(axis=0) if weights is None else np.average(losses, weights=weights, axis=0)
    return found


class SquaredError(Head):
    """``(z - y)**2 / 2``."""

    activation = "identity"

    def losses(self, z: Any, y: Any) -> Any:
        """Half the squared error of each element."""
        return F.mse_loss(z, y, reduction="none") * 0.5

    def outputs(self, z: Array) -> Array:
        """``z`` itself."""
        return z

    def reported(self, losses: Array, targets: Array, weights: Array | None) -> float:  # noqa: ARG002 - as declared
        """The mean over outputs as well."""
        return float(_mean(losses, weights).mean())


class Poisson(Head):
    """``exp(z) - y z``, half of the Poisson deviance up to a term that depends on ``y`` alone."""

    activation = "exp"

    def losses(self, z: Any, y: Any) -> Any:
        """The part that depends on ``z``."""
        return ops.exp(z) - y * z

    def outputs(self, z: Array) -> Array:
        """``exp(z)``, the mean of the distribution."""
        return np.exp(z)

    def reported(self, losses: Array, targets: Array, weights: Array | None) -> float:
        """With the part that depends on ``y``: ``y log y - y``."""
        log = np.log(targets, out=np.zeros_like(targets), where=targets != 0)
        return super().reported(losses + targets * log - targets, targets, weights)


class _LogLoss(Head):
    def reported(self, losses: Array, targets: Array, weights: Array | None) -> float:
        """The loss of probabilities that are clipped to ``[eps, 1 - eps]``."""
        eps = np.finfo(losses.dtype).eps
        return super().reported(np.clip(losses, eps, -np.log(eps)), targets, weights)


class Softmax(_LogLoss):
    """Cross-entropy of one class out of many."""

    activation = "softmax"

    def targets(self, y: Array, dtype: np.dtype[Any]) -> Array:  # noqa: ARG002 - class ids have their own
        """Class ids ``(n,)`` from the one-hot rows of ``y``."""
        return y.argmax(axis=1)

    def losses(self, z: Any, y: Any) -> Any:
        """``-log softmax(z)[y]``, ``(n,)``."""
        return F.cross_entropy(z, y, reduction="none")

    def outputs(self, z: Array) -> Array:
        """Probabilities, each row with the sum 1."""
        return F.softmax(z)


class Logistic(_LogLoss):
    """Cross-entropy of yes or no, for each output by itself: two classes, or many labels."""

    activation = "logistic"

    def losses(self, z: Any, y: Any) -> Any:
        """``-y log s(z) - (1 - y) log(1 - s(z))``, ``(n, outputs)``."""
        return F.binary_cross_entropy_with_logits(z, y, reduction="none")

    def outputs(self, z: Array) -> Array:
        """The logistic function."""
        return F.sigmoid(z)


HEADS: dict[str, Head] = {one.activation: one for one in (SquaredError(), Poisson(), Softmax(), Logistic())}
"""The heads by the name of their output activation."""
