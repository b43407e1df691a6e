"""What may be said by name: optimizers and losses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import ArgumentError, did_you_mean
from ..nn import BCEWithLogitsLoss, CrossEntropyLoss, Module, MSELoss
from ..optim import SGD, Adadelta, Adagrad, Adam, Adamax, AdamW, NAdam, RAdam, RMSprop, Rprop

__all__ = ["LOSSES", "OPTIMIZERS", "classifies", "loss_of", "optimizer_of"]

OPTIMIZERS: dict[str, Callable[..., Any]] = {
    one.__name__.lower(): one for one in (SGD, Adadelta, Adagrad, Adam, Adamax, AdamW, NAdam, RAdam, RMSprop, Rprop)
}
"""The optimizers that ``fit`` knows by name; each has torch's defaults."""

LOSSES: dict[str, Callable[[], Any]] = {
    "binary_cross_entropy": BCEWithLogitsLoss,
    "binary_crossentropy": BCEWithLogitsLoss,
    "categorical_crossentropy": CrossEntropyLoss,
    "cross_entropy": CrossEntropyLoss,
    "mean_squared_error": MSELoss,
    "mse": MSELoss,
    "sparse_categorical_crossentropy": CrossEntropyLoss,
}
"""The losses that ``fit`` knows by name, Keras' spellings included. All take logits, never probabilities."""


def optimizer_of(given: Any, model: Module, lr: float | None) -> Any:
    """The optimizer itself, or one made from its name for all parameters of ``model``.

    Raises:
        ArgumentError: an unknown name, something that cannot step, or ``lr`` beside a finished optimizer.
    """
    if isinstance(given, str):
        if given.lower() not in OPTIMIZERS:
            raise ArgumentError(did_you_mean("optimizer", given, OPTIMIZERS))
        make = OPTIMIZERS[given.lower()]
        return make(model.parameters()) if lr is None else make(model.parameters(), lr=lr)
    methods = [getattr(given, name, None) for name in ("zero_grad", "step")]
    if isinstance(given, type) or not all(map(callable, methods)):
        raise ArgumentError(
            f"expected the name of an optimizer ({', '.join(sorted(OPTIMIZERS))}) or one with step() and zero_grad(), "
            f"got {given!r}; say optimizer=optim.SGD(model.parameters(), lr=0.01)"
        )
    if lr is not None:
        raise ArgumentError("lr= goes with the name of an optimizer; a finished one has its learning rate already")
    return given


def loss_of(given: Any) -> Callable[[Any, Any], Any]:
    """The loss itself, or one made from its name.

    Raises:
        ArgumentError: an unknown name, a class instead of an instance, or ``reduction="none"``.
    """
    if isinstance(given, str):
        if given.lower() not in LOSSES:
            raise ArgumentError(did_you_mean("loss", given, LOSSES))
        made: Callable[[Any, Any], Any] = LOSSES[given.lower()]()
        return made
    if isinstance(given, type) or not callable(given):
        raise ArgumentError(
            f"expected the name of a loss or a callable(outputs, targets), got {given!r}; say loss='mse'"
        )
    if getattr(given, "reduction", "mean") == "none":
        raise ArgumentError("fit needs one number per batch, and reduction='none' gives many; say reduction='mean'")
    callable_loss: Callable[[Any, Any], Any] = given
    return callable_loss


def classifies(criterion: Any) -> bool:
    """Whether outputs under this loss are logits of classes, so that accuracy means something."""
    return isinstance(criterion, (CrossEntropyLoss, BCEWithLogitsLoss))
