"""Penalties on weights by Keras' names: added to the loss of every batch."""

from __future__ import annotations

from typing import Any, Self

from .. import ops
from ..errors import ArgumentError, did_you_mean

__all__ = ["L1", "L1L2", "L2", "Regularizer", "deserialize", "get", "l1", "l1_l2", "l2", "serialize"]


class Regularizer:
    """Base: called with a weight, gives one number."""

    def __call__(self, x: Any) -> Any:
        """The penalty."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """The arguments that make a regularizer like this one."""
        return dict(vars(self))

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Make one from :meth:`get_config`."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.get_config().items())})"


def _factor(name: str, value: Any) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0.0 <= value < float("inf"):
        raise ArgumentError(f"{name} is a number >= 0, got {value!r}; say {name}=0.01")
    return float(value)


class L1(Regularizer):
    """``l1 * sum(|w|)``."""

    def __init__(self, l1: float = 0.01) -> None:
        self.l1 = _factor("l1", l1)

    def __call__(self, x: Any) -> Any:
        """The penalty."""
        return ops.mul(ops.sum(ops.abs(x)), self.l1)


class L2(Regularizer):
    """``l2 * sum(w ** 2)``."""

    def __init__(self, l2: float = 0.01) -> None:
        self.l2 = _factor("l2", l2)

    def __call__(self, x: Any) -> Any:
        """The penalty."""
        return ops.mul(ops.sum(ops.square(x)), self.l2)


class L1L2(Regularizer):
    """``l1 * sum(|w|) + l2 * sum(w ** 2)``."""

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1, self.l2 = _factor("l1", l1), _factor("l2", l2)

    def __call__(self, x: Any) -> Any:
        """The penalty."""
        return ops.add(L1(self.l1)(x), L2(self.l2)(x))


l1, l2, l1_l2 = L1, L2, L1L2

_CLASSES: dict[str, type[Regularizer]] = {"L1": L1, "L2": L2, "L1L2": L1L2}
_NAMES: dict[str, type[Regularizer]] = {"l1": L1, "l2": L2, "l1_l2": L1L2}


def get(identifier: Any) -> Any:
    """The regularizer that a name, a config, None or an instance stands for.

    Raises:
        ArgumentError: an unknown name, or something that cannot be called.
    """
    if identifier is None:
        return None
    if isinstance(identifier, str):
        found = _CLASSES.get(identifier) or _NAMES.get(identifier)
        if found is None:
            raise ArgumentError(did_you_mean("regularizer", identifier, _NAMES))
        return found()
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if not callable(identifier):
        raise ArgumentError(f"a regularizer is a name, a Regularizer or a function of a weight, got {identifier!r}")
    return identifier


def serialize(regularizer: Any) -> dict[str, Any] | None:
    """The class and the arguments, as plain data.

    Raises:
        ArgumentError: a function that is not a Regularizer, which a file could not name.
    """
    if regularizer is None:
        return None
    if not isinstance(regularizer, Regularizer):
        raise ArgumentError(f"{regularizer!r} cannot be saved; use a class of keras.regularizers")
    return {"class_name": type(regularizer).__name__, "config": regularizer.get_config()}


def deserialize(config: dict[str, Any]) -> Regularizer:
    """The other way round of :func:`serialize`.

    Raises:
        ArgumentError: an unknown class.
    """
    name = config.get("class_name")
    if name not in _CLASSES:
        raise ArgumentError(did_you_mean("regularizer", name, _CLASSES))
    return _CLASSES[name].from_config(config.get("config", {}))
