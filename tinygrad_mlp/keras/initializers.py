"""Initialisers by Keras' names. Each is called with a shape in Keras' layout (inputs first) and gives an array."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Self

import numpy as np

from ..errors import ArgumentError, did_you_mean
from ..tape import Array
from .naming import snake
from .randomness import draws

__all__ = [
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "deserialize",
    "get",
    "serialize",
]

# The standard deviation of a normal distribution cut off at two of them, by which Keras divides.
_TRUNCATED = 0.87962566103423978


class Initializer:
    """Base: a subclass keeps its options in attributes of their names and writes :meth:`draw`."""

    options: tuple[str, ...] = ()

    def __call__(self, shape: tuple[int, ...], dtype: Any = None) -> Array:
        """An array of ``shape``; float32 unless ``dtype`` says otherwise."""
        return np.asarray(self.draw(tuple(shape)), np.dtype(dtype or np.float32))

    def draw(self, shape: tuple[int, ...]) -> Array:
        """The numbers, in float64."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an initialiser like this one."""
        return {name: getattr(self, name) for name in self.options}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Make one from :meth:`get_config`."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.get_config().items())})"


class Zeros(Initializer):
    """All 0."""

    def draw(self, shape: tuple[int, ...]) -> Array:
        """Zeros."""
        return np.zeros(shape)


class Ones(Initializer):
    """All 1."""

    def draw(self, shape: tuple[int, ...]) -> Array:
        """Ones."""
        return np.ones(shape)


class Constant(Initializer):
    """All one number."""

    options = ("value",)

    def __init__(self, value: float = 0.0) -> None:
        self.value = value

    def draw(self, shape: tuple[int, ...]) -> Array:
        """The number everywhere."""
        return np.full(shape, self.value)


class Identity(Initializer):
    """``gain`` on the diagonal of a matrix, 0 elsewhere."""

    options = ("gain",)

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def draw(self, shape: tuple[int, ...]) -> Array:
        """The matrix.

        Raises:
            ArgumentError: ``shape`` has not two axes.
        """
        if len(shape) != 2:
            raise ArgumentError(f"Identity makes a matrix, got shape {shape}")
        return self.gain * np.eye(*shape)


class _Drawn(Initializer):
    """Base of those that draw: with a ``seed`` every call gives the same numbers, as in Keras."""

    def __init__(self, seed: int | None = None) -> None:
        self.seed = seed

    def _draws(self) -> np.random.Generator:
        return draws(self.seed)


class RandomNormal(_Drawn):
    """Normal with this mean and standard deviation."""

    options = ("mean", "stddev", "seed")

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.mean, self.stddev = mean, stddev

    def draw(self, shape: tuple[int, ...]) -> Array:
        """Normal numbers."""
        return self._draws().normal(self.mean, self.stddev, shape)


class TruncatedNormal(RandomNormal):
    """Normal, but numbers further than two standard deviations from the mean are drawn again."""

    def draw(self, shape: tuple[int, ...]) -> Array:
        """Normal numbers of the middle."""
        return self.mean + self.stddev * _truncated(self._draws(), shape)


class RandomUniform(_Drawn):
    """Uniform between two numbers."""

    options = ("minval", "maxval", "seed")

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.minval, self.maxval = minval, maxval

    def draw(self, shape: tuple[int, ...]) -> Array:
        """Uniform numbers."""
        return self._draws().uniform(self.minval, self.maxval, shape)


class VarianceScaling(_Drawn):
    """Mean 0 and variance ``scale / n``, where ``n`` is ``fan_in``, ``fan_out`` or their mean (``fan_avg``).

    ``distribution``: ``"truncated_normal"``, ``"untruncated_normal"`` or ``"uniform"``. The fans of a kernel
    ``(*field, in, out)`` are ``field * in`` and ``field * out``.
    """

    options = ("scale", "mode", "distribution", "seed")

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: int | None = None,
    ) -> None:
        super().__init__(seed)
        if mode not in {"fan_in", "fan_out", "fan_avg"}:
            raise ArgumentError(did_you_mean("mode", mode, ["fan_in", "fan_out", "fan_avg"]))
        kinds = ["truncated_normal", "untruncated_normal", "uniform"]
        distribution = kinds[0] if distribution == "normal" else distribution
        if distribution not in kinds:
            raise ArgumentError(did_you_mean("distribution", distribution, kinds))
        self.scale, self.mode, self.distribution = scale, mode, distribution

    def draw(self, shape: tuple[int, ...]) -> Array:
        """Numbers of that variance."""
        fan_in, fan_out = _fans(shape)
        count = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2.0}[self.mode]
        std = math.sqrt(self.scale / max(1.0, count))
        if self.distribution == "uniform":
            bound = math.sqrt(3.0) * std
            return self._draws().uniform(-bound, bound, shape)
        if self.distribution == "untruncated_normal":
            return self._draws().normal(0.0, std, shape)
        return std / _TRUNCATED * _truncated(self._draws(), shape)


def _fixed(name: str, scale: float, mode: str, distribution: str, formula: str) -> type[VarianceScaling]:
    def __init__(self: VarianceScaling, seed: int | None = None) -> None:  # noqa: N807 - it becomes the class's
        VarianceScaling.__init__(self, scale, mode, distribution, seed)

    return type(name, (VarianceScaling,), {"__init__": __init__, "__doc__": formula, "options": ("seed",)})


GlorotUniform = _fixed(
    "GlorotUniform",
    1.0,
    "fan_avg",
    "uniform",
    "``U(-a, a)`` with ``a = sqrt(6 / (fan_in + fan_out))``; for Dense.",
)
GlorotNormal = _fixed(
    "GlorotNormal", 1.0, "fan_avg", "truncated_normal", "Normal, cut off, with variance ``2 / (fan_in + fan_out)``."
)
HeUniform = _fixed("HeUniform", 2.0, "fan_in", "uniform", "``U(-a, a)`` with ``a = sqrt(6 / fan_in)``, for ReLU.")
HeNormal = _fixed(
    "HeNormal", 2.0, "fan_in", "truncated_normal", "Normal, cut off, with variance ``2 / fan_in``, for ReLU."
)
LecunUniform = _fixed("LecunUniform", 1.0, "fan_in", "uniform", "``U(-a, a)`` with ``a = sqrt(3 / fan_in)``.")
LecunNormal = _fixed("LecunNormal", 1.0, "fan_in", "truncated_normal", "Normal, cut off, with variance ``1 / fan_in``.")


class Orthogonal(_Drawn):
    """A matrix with orthonormal rows or columns, times ``gain``; the default of recurrent kernels.

    Source: Saxe, McClelland, Ganguli, ICLR 2014.
    """

    options = ("gain", "seed")

    def __init__(self, gain: float = 1.0, seed: int | None = None) -> None:
        super().__init__(seed)
        self.gain = gain

    def draw(self, shape: tuple[int, ...]) -> Array:
        """The matrix, all axes but the last being its rows.

        Raises:
            ArgumentError: fewer than two axes.
        """
        if len(shape) < 2:
            raise ArgumentError(f"Orthogonal needs two axes or more, got shape {shape}")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        q, r = np.linalg.qr(self._draws().normal(size=(max(rows, columns), min(rows, columns))))
        q = q * np.sign(np.diag(r))
        return self.gain * (q.T if rows < columns else q).reshape(shape)


def _fans(shape: tuple[int, ...]) -> tuple[float, float]:
    if len(shape) < 2:
        size = shape[0] if shape else 1
        return size, size
    field = math.prod(shape[:-2])
    return shape[-2] * field, shape[-1] * field


def _truncated(source: np.random.Generator, shape: tuple[int, ...]) -> Array:
    numbers = source.normal(size=shape)
    while (far := np.abs(numbers) > 2.0).any():
        numbers[far] = source.normal(size=int(far.sum()))
    return numbers


_CLASSES: dict[str, type[Initializer]] = {
    one.__name__: one
    for one in (
        Zeros,
        Ones,
        Constant,
        Identity,
        RandomNormal,
        TruncatedNormal,
        RandomUniform,
        VarianceScaling,
        GlorotUniform,
        GlorotNormal,
        HeUniform,
        HeNormal,
        LecunUniform,
        LecunNormal,
        Orthogonal,
    )
}


_NAMES = {snake(name): one for name, one in _CLASSES.items()} | {"uniform": RandomUniform, "normal": RandomNormal}


def get(identifier: Any) -> Callable[..., Any]:
    """The initialiser that a name, a config, a class or an instance stands for.

    Raises:
        ArgumentError: an unknown name, or something that cannot be called.
    """
    if isinstance(identifier, str):
        found = _CLASSES.get(identifier) or _NAMES.get(identifier.lower())
        if found is None:
            raise ArgumentError(did_you_mean("initializer", identifier, _NAMES))
        return found()
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, type):
        identifier = identifier()
    if not callable(identifier):
        raise ArgumentError(f"an initializer is a name, an Initializer or a function of a shape, got {identifier!r}")
    made: Callable[..., Any] = identifier
    return made


def serialize(initializer: Initializer) -> dict[str, Any]:
    """The class and the arguments, as plain data.

    Raises:
        ArgumentError: a function that is not an Initializer, which a file could not name.
    """
    if not isinstance(initializer, Initializer):
        raise ArgumentError(f"{initializer!r} cannot be saved; use a class of keras.initializers")
    return {"class_name": type(initializer).__name__, "config": initializer.get_config()}


def deserialize(config: dict[str, Any]) -> Initializer:
    """The other way round of :func:`serialize`.

    Raises:
        ArgumentError: an unknown class.
    """
    name = config.get("class_name")
    if name not in _CLASSES:
        raise ArgumentError(did_you_mean("initializer", name, _CLASSES))
    return _CLASSES[name].from_config(config.get("config", {}))
