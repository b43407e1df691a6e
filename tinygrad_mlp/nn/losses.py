"""Losses as layers: call them with predictions and targets. All take logits, never probabilities."""

from __future__ import annotations

from typing import Any

from ..errors import ArgumentError, did_you_mean
from ..ops import binary_cross_entropy_with_logits, cross_entropy, mse_loss
from ..tensor import Tensor
from .module import Module, refuse_data

__all__ = ["BCEWithLogitsLoss", "CrossEntropyLoss", "MSELoss"]


class _Loss(Module):
    """A loss of one value per sample, then reduced."""

    def __init__(self, reduction: str = "mean", *data: object) -> None:
        super().__init__()
        given: object = reduction
        refuse_data(self, given, *data, call="pred, y")
        if data or not isinstance(given, str):
            name = type(self).__name__
            raise ArgumentError(
                f"{name}(...) takes one option, reduction='mean', 'sum' or 'none', got {(given, *data)!r}; predictions "
                f"and targets come when it is called: nn.{name}()(pred, y)"
            )
        if reduction not in {"mean", "sum", "none"}:
            raise ArgumentError(did_you_mean("reduction", reduction, ["mean", "sum", "none"]))
        self.reduction = reduction

    def extra_repr(self) -> str:
        """The reduction."""
        return f"reduction={self.reduction!r}"


class CrossEntropyLoss(_Loss):
    """Softmax and negative log-likelihood in one: ``-log(exp(logits[t]) / sum(exp(logits)))``.

    Called with logits ``(batch, classes)`` and class ids ``(batch,)`` or probabilities ``(batch, classes)``; see
    :func:`tinygrad_mlp.ops.cross_entropy` for more shapes and for the errors raised.

    Args:
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
    """

    def forward(self, logits: Any, target: Any) -> Any:
        """A number, or for ``"none"`` one per target."""
        return cross_entropy(logits, target, reduction=self.reduction)


class MSELoss(_Loss):
    """The mean of ``(prediction - target)**2``. Both have one shape: nothing is broadcast by accident.

    Args:
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
    """

    def forward(self, prediction: Any, target: Any) -> Any:
        """A number, or for ``"none"`` one per element."""
        return mse_loss(prediction, target, reduction=self.reduction)


class BCEWithLogitsLoss(_Loss):
    """Sigmoid and binary cross-entropy in one: ``-[w t log s(x) + (1 - t) log(1 - s(x))]``.

    ``s`` is the logistic function.

    Args:
        weight: a factor for each element, broadcast.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
        pos_weight: the factor ``w`` of the positive term, broadcast.
    """

    weight: Tensor | None
    pos_weight: Tensor | None

    def __init__(self, weight: Tensor | None = None, reduction: str = "mean", pos_weight: Tensor | None = None) -> None:
        # A weight is data, too: what shows the mistake of giving predictions and targets is the second argument.
        super().__init__(reduction)
        self.register_buffer("weight", weight)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, logits: Any, target: Any) -> Any:
        """A number, or for ``"none"`` one per element."""
        return binary_cross_entropy_with_logits(
            logits, target, weight=self.weight, pos_weight=self.pos_weight, reduction=self.reduction
        )
