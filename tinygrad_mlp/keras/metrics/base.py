"""Metric, Mean and Sum: what is fed batch by batch and read at the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np

from ...errors import ArgumentError
from ...tape import Array
from ...tensor import Tensor
from ..losses import same_rank
from ..naming import snake

__all__ = ["Mean", "MeanMetricWrapper", "Metric", "Sum", "plain", "ratio"]


def plain(value: Any) -> Array:
    """A tensor's array, or the value as an array."""
    array: Array = np.asarray(value.data if isinstance(value, Tensor) else value)
    return array


def ratio(a: Any, b: Any) -> Array:
    """``a / b``, 0 where ``b`` is 0."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    found: Array = np.divide(a, b, out=np.zeros(np.broadcast_shapes(a.shape, b.shape)), where=b != 0)
    return found


class Metric:
    """Base of the metrics: a subclass names its sums in ``sums`` and writes :meth:`update_state` and :meth:`result`.

    Sums are kept in float64 whatever the dtype of the data, so that they do not depend on the sizes of the batches but
    for the last bits. Keras keeps float32.

    Args:
        name: the metric's key in the logs. dtype: accepted for Keras' sake.
    """

    sums: tuple[str, ...] = ()

    def __init__(self, name: str | None = None, dtype: Any = None) -> None:
        self.name = name or snake(type(self).__name__)
        self.dtype = str(np.dtype(dtype or np.float32))
        self._dtype = self.dtype
        self.reset_state()

    def zeros(self) -> Array:
        """What every sum starts from."""
        return np.zeros(())

    def reset_state(self) -> None:
        """Forget everything."""
        for name in self.sums:
            setattr(self, name, self.zeros())

    def update_state(self, *args: Any, **options: Any) -> None:
        """Take in one batch."""
        raise NotImplementedError(f"{type(self).__name__} has no update_state(self, y_true, y_pred, sample_weight)")

    def result(self) -> Any:
        """The value over everything seen."""
        raise NotImplementedError(f"{type(self).__name__} has no result(self)")

    @property
    def variables(self) -> list[Any]:
        """The sums."""
        return [getattr(self, name) for name in self.sums]

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Take in one batch, then give the value over everything seen."""
        self.update_state(*args, **options)
        return self.result()

    def get_config(self) -> dict[str, Any]:
        """The arguments that make a metric like this one."""
        return {"name": self.name, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Make one from :meth:`get_config`."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


def _per_sample(values: Any, weight: Any, reduce: Callable[..., Any]) -> tuple[Array, Array | None]:
    """One value for each sample, and its weight: Keras' way to bring the two to one shape."""
    values = plain(values).astype(np.float64)
    if weight is not None:
        found = same_rank(values, plain(weight).astype(np.float64))
        values, weight = np.asarray(found[0]), np.asarray(found[1])
        if values.ndim > weight.ndim:
            values = reduce(values, axis=tuple(range(weight.ndim, values.ndim)))
        many = weight.ndim
        weight = np.broadcast_to(weight, values.shape)
        values = values * weight
        if many > 1:
            weight = reduce(weight, axis=tuple(range(1, many)))
    if values.ndim > 1:
        values = reduce(values, axis=tuple(range(1, values.ndim)))
    return values, weight


class Sum(Metric):
    """The (weighted) sum of the values."""

    sums = ("total",)
    total: Array

    def __init__(self, name: str = "sum", dtype: Any = None) -> None:
        super().__init__(name, dtype)

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Add the values of one batch."""
        self.total = self.total + _per_sample(values, sample_weight, np.sum)[0].sum()

    def result(self) -> Any:
        """The sum."""
        return self.total


class Mean(Metric):
    """The (weighted) mean of the values: of the first axis, after a mean over the others."""

    sums = ("total", "count")
    total: Array
    count: Array

    def __init__(self, name: str = "mean", dtype: Any = None) -> None:
        super().__init__(name, dtype)

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Take in the values of one batch."""
        found, weight = _per_sample(values, sample_weight, np.mean)
        self.total = self.total + found.sum()
        self.count = self.count + (weight.sum() if weight is not None else float(found.shape[0] if found.ndim else 1))

    def result(self) -> Any:
        """The mean; 0 before the first batch, as in Keras."""
        return ratio(self.total, self.count)


class MeanMetricWrapper(Mean):
    """The mean of a function of ``(y_true, y_pred, **options)`` that gives one value per sample."""

    def __init__(self, fn: Callable[..., Any], name: str | None = None, dtype: Any = None, **options: Any) -> None:
        super().__init__(name or str(getattr(fn, "__name__", "mean")), dtype)
        if not callable(fn):
            raise ArgumentError(f"expected a function of (y_true, y_pred), got {fn!r}")
        self._fn, self._options = fn, options
        for option, value in options.items():
            setattr(self, option, value)

    def update_state(  # type: ignore[override]
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        """Take in one batch."""
        y_true = plain(y_true)
        ignored = self._options.get("ignore_class")
        if ignored is not None and sample_weight is not None:  # Keras leaves them in where nothing is weighted
            kept, weight = same_rank((y_true != ignored).astype(np.float64), plain(sample_weight).astype(np.float64))
            sample_weight = np.asarray(kept * weight)
        super().update_state(self._fn(y_true, plain(y_pred), **self._options), sample_weight)

    def get_config(self) -> dict[str, Any]:
        """Name, dtype and the function's options."""
        return {"name": self.name, "dtype": self.dtype} | self._options
