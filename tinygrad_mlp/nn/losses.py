"""Losses as layers: call them with predictions and targets.

CrossEntropyLoss and BCEWithLogitsLoss take logits and are the ones to use; NLLLoss takes log-probabilities, BCELoss
probabilities.
"""

from __future__ import annotations

from typing import Any

from ..errors import ArgumentError, did_you_mean
from ..ops import binary_cross_entropy_with_logits, cross_entropy, mse_loss
from ..tensor import Tensor
from . import functional
from .module import Module, refuse_data

__all__ = [
    "BCELoss",
    "BCEWithLogitsLoss",
    "CosineEmbeddingLoss",
    "CrossEntropyLoss",
    "GaussianNLLLoss",
    "HingeEmbeddingLoss",
    "HuberLoss",
    "KLDivLoss",
    "L1Loss",
    "MSELoss",
    "MarginRankingLoss",
    "MultiMarginLoss",
    "NLLLoss",
    "PoissonNLLLoss",
    "SmoothL1Loss",
    "SoftMarginLoss",
    "TripletMarginLoss",
]


class _Loss(Module):
    """A loss of one value per sample, then reduced."""

    _reductions: tuple[str, ...] = ("mean", "sum", "none")

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
        if reduction not in self._reductions:
            raise ArgumentError(did_you_mean("reduction", reduction, self._reductions))
        self.reduction = reduction

    def extra_repr(self) -> str:
        """The reduction."""
        return f"reduction={self.reduction!r}"


def _as_buffer(weight: Any) -> Tensor | None:
    return weight if weight is None or isinstance(weight, Tensor) else Tensor(weight)


class _ClassLoss(_Loss):
    """A loss of class ids, with a factor for each class that is state but not trained."""

    weight: Tensor | None

    def __init__(self, weight: Any, ignore_index: Any, reduction: str) -> None:
        wrong = isinstance(weight, str) or getattr(weight, "ndim", 1) != 1 or getattr(ignore_index, "ndim", 0) != 0
        if wrong:
            name = type(self).__name__
            raise ArgumentError(
                f"{name}(...) takes options: weight, one number for each class, ignore_index, and by name "
                f"reduction='mean', 'sum' or 'none'; predictions and targets come when it is called: "
                f"nn.{name}()(pred, y)"
            )
        super().__init__(reduction)
        self.register_buffer("weight", _as_buffer(weight))
        self.ignore_index = int(ignore_index)


class CrossEntropyLoss(_ClassLoss):
    """Softmax and negative log-likelihood in one: ``-log(exp(logits[t]) / sum(exp(logits)))``.

    Called with logits ``(batch, classes)`` and class ids ``(batch,)`` or probabilities ``(batch, classes)``; see
    :func:`tinygrad_mlp.ops.cross_entropy` for more shapes and for the errors raised.

    Args:
        weight: ``(classes,)``, a factor for each class. ignore_index: targets that take no part.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
        label_smoothing: the part of each target that is spread evenly over all classes.
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(weight, ignore_index, reduction)
        self.label_smoothing = float(label_smoothing)

    def forward(self, logits: Any, target: Any) -> Any:
        """A number, or for ``"none"`` one per target."""
        return cross_entropy(
            logits,
            target,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class NLLLoss(_ClassLoss):
    """The negative log-likelihood ``-input[t]`` of log-probabilities, such as those of LogSoftmax.

    Args:
        weight, ignore_index, reduction: as in :class:`CrossEntropyLoss`.
    """

    def __init__(self, weight: Tensor | None = None, ignore_index: int = -100, reduction: str = "mean") -> None:
        super().__init__(weight, ignore_index, reduction)

    def forward(self, input: Any, target: Any) -> Any:
        """A number, or for ``"none"`` one per target."""
        return functional.nll_loss(
            input, target, weight=self.weight, ignore_index=self.ignore_index, reduction=self.reduction
        )


class MSELoss(_Loss):
    """The mean of ``(prediction - target)**2``. Both have one shape: nothing is broadcast by accident.

    Args:
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
    """

    def forward(self, prediction: Any, target: Any) -> Any:
        """A number, or for ``"none"`` one per element."""
        return mse_loss(prediction, target, reduction=self.reduction)


class L1Loss(_Loss):
    """The absolute error ``|input - target|``."""

    def forward(self, input: Any, target: Any) -> Any:
        """A number, or for ``"none"`` one per element or sample."""
        return functional.l1_loss(input, target, reduction=self.reduction)


class SmoothL1Loss(_Loss):
    """``d**2 / (2 beta)`` up to ``|d| = beta``, from there ``|d| - beta / 2``. Source: Girshick, ICCV 2015."""

    def __init__(self, reduction: str = "mean", beta: float = 1.0) -> None:
        super().__init__(reduction)
        self.beta = float(beta)

    def forward(self, input: Any, target: Any) -> Any:
        """A number, or for ``"none"`` one per element or sample."""
        return functional.smooth_l1_loss(input, target, beta=self.beta, reduction=self.reduction)


class HuberLoss(_Loss):
    """``d**2 / 2`` up to ``|d| = delta``, from there ``delta (|d| - delta / 2)``. Source: Huber, 1964."""

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction)
        self.delta = float(delta)

    def forward(self, input: Any, target: Any) -> Any:
        """A number, or for ``"none"`` one per element or sample."""
        return functional.huber_loss(input, target, delta=self.delta, reduction=self.reduction)


class KLDivLoss(_Loss):
    """The Kullback-Leibler divergence ``t (log t - input)`` of log-probabilities.

    Args:
        reduction: also ``"batchmean"``, which is the divergence; ``"mean"`` divides by the number of elements.
        log_target: the targets are logarithms too.
    """

    _reductions = ("mean", "batchmean", "sum", "none")

    def __init__(self, reduction: str = "mean", log_target: bool = False) -> None:
        super().__init__(reduction)
        self.log_target = bool(log_target)

    def forward(self, input: Any, target: Any) -> Any:
        """A number, or for ``"none"`` one per element or sample."""
        return functional.kl_div(input, target, log_target=self.log_target, reduction=self.reduction)


class BCELoss(_Loss):
    """``-[t log p + (1 - t) log(1 - p)]`` of probabilities; from logits BCEWithLogitsLoss is exact.

    Args:
        weight: a factor for each element, broadcast.
    """

    weight: Tensor | None

    def __init__(self, weight: Tensor | None = None, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.register_buffer("weight", _as_buffer(weight))

    def forward(self, input: Any, target: Any) -> Any:
        """A number, or for ``"none"`` one per element or sample."""
        return functional.binary_cross_entropy(input, target, weight=self.weight, reduction=self.reduction)


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


class PoissonNLLLoss(_Loss):
    """``exp(x) - t x``, or without ``log_input`` ``x - t log(x + eps)``; ``full`` adds Stirling's term."""

    def __init__(self, log_input: bool = True, full: bool = False, eps: float = 1e-8, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.log_input = bool(log_input)
        self.full = bool(full)
        self.eps = float(eps)

    def forward(self, input: Any, target: Any) -> Any:
        """A number, or for ``"none"`` one per element or sample."""
        return functional.poisson_nll_loss(
            input, target, log_input=self.log_input, full=self.full, eps=self.eps, reduction=self.reduction
        )


class GaussianNLLLoss(_Loss):
    """``(log v + (input - target)**2 / v) / 2`` with ``v = max(var, eps)``. Source: Nix & Weigend, 1994."""

    def __init__(self, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.full = bool(full)
        self.eps = float(eps)

    def forward(self, input: Any, target: Any, var: Any) -> Any:
        """A number, or for ``"none"`` one per element or sample."""
        return functional.gaussian_nll_loss(input, target, var, full=self.full, eps=self.eps, reduction=self.reduction)


class SoftMarginLoss(_Loss):
    """``log(1 + exp(-target * input))`` for targets 1 and -1."""

    def forward(self, input: Any, target: Any) -> Any:
        """A number, or for ``"none"`` one per element or sample."""
        return functional.soft_margin_loss(input, target, reduction=self.reduction)


class HingeEmbeddingLoss(_Loss):
    """``input`` where the target is 1, ``max(0, margin - input)`` where it is -1."""

    def __init__(self, margin: float = 1.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.margin = float(margin)

    def forward(self, input: Any, target: Any) -> Any:
        """A number, or for ``"none"`` one per element or sample."""
        return functional.hinge_embedding_loss(input, target, margin=self.margin, reduction=self.reduction)


class MarginRankingLoss(_Loss):
    """``max(0, -target (input1 - input2) + margin)``."""

    def __init__(self, margin: float = 0.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.margin = float(margin)

    def forward(self, input1: Any, input2: Any, target: Any) -> Any:
        """A number, or for ``"none"`` one per element or sample."""
        return functional.margin_ranking_loss(input1, input2, target, margin=self.margin, reduction=self.reduction)


class MultiMarginLoss(_Loss):
    """``sum over i != t of max(0, margin - x[t] + x[i])**p / classes``. Source: Crammer & Singer, JMLR 2, 2001."""

    weight: Tensor | None

    def __init__(self, p: int = 1, margin: float = 1.0, weight: Tensor | None = None, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.p = int(p)
        self.margin = float(margin)
        self.register_buffer("weight", _as_buffer(weight))

    def forward(self, input: Any, target: Any) -> Any:
        """A number, or for ``"none"`` one per element or sample."""
        return functional.multi_margin_loss(
            input, target, p=self.p, margin=self.margin, weight=self.weight, reduction=self.reduction
        )


class CosineEmbeddingLoss(_Loss):
    """``1 - cos(input1, input2)`` where the target is 1, ``max(0, cos - margin)`` where it is -1."""

    def __init__(self, margin: float = 0.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.margin = float(margin)

    def forward(self, input1: Any, input2: Any, target: Any) -> Any:
        """A number, or for ``"none"`` one per element or sample."""
        return functional.cosine_embedding_loss(input1, input2, target, margin=self.margin, reduction=self.reduction)


class TripletMarginLoss(_Loss):
    """``max(0, d(anchor, positive) - d(anchor, negative) + margin)`` with the ``p``-norm. Source: Balntas, 2016."""

    def __init__(
        self, margin: float = 1.0, p: float = 2.0, eps: float = 1e-6, swap: bool = False, reduction: str = "mean"
    ) -> None:
        super().__init__(reduction)
        self.margin = float(margin)
        self.p = float(p)
        self.eps = float(eps)
        self.swap = bool(swap)

    def forward(self, anchor: Any, positive: Any, negative: Any) -> Any:
        """A number, or for ``"none"`` one per element or sample."""
        return functional.triplet_margin_loss(
            anchor,
            positive,
            negative,
            margin=self.margin,
            p=self.p,
            eps=self.eps,
            swap=self.swap,
            reduction=self.reduction,
        )
