"""Layer: a Module that learns the size of its input from the first input, as Keras' layers do.

A layer holds the engine's own layer; the kernel that Keras would show, ``(inputs, units)``, is a view of its weight.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import numpy as np

from ...errors import ArgumentError, ShapeError, StateError
from ...nn import Module
from ...tape import Array, wrote
from ...tensor import Tensor
from ..naming import snake
from ..randomness import unique_name

__all__ = ["Layer", "Shape", "Weight", "shape_text"]

Shape = tuple[int | None, ...]


def shape_text(shape: Sequence[int | None], names: Sequence[str] = ()) -> str:
    """``(None, 784) = (batch, features)``: a shape with the names of its axes."""
    known = tuple(shape)
    return f"{known} = ({', '.join(names)})" if names and len(names) == len(known) else str(known)


class Weight:
    """One weight of a layer in Keras' layout, read from and written into the array of the engine's parameter.

    ``order`` says which column of the engine's each column of Keras' is.

    Attributes:
        name, path: as Keras gives them. trainable: whether it is trained.
    """

    __slots__ = ("_order", "_transposed", "name", "path", "tensor", "trainable")

    def __init__(
        self,
        layer: str,
        name: str,
        tensor: Tensor,
        *,
        transposed: bool = False,
        order: Array | None = None,
        trainable: bool = True,
    ) -> None:
        self.name, self.path = name, f"{layer}/{name}"
        self.tensor, self._transposed, self._order, self.trainable = tensor, transposed, order, trainable

    def _laid_out(self) -> Array:
        data = self.tensor.data
        return data.T if self._transposed else data

    @property
    def value(self) -> Array:
        """The numbers, in Keras' layout."""
        data = self._laid_out()
        return data if self._order is None else data[..., self._order]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape in Keras' layout."""
        return tuple(self.value.shape)

    @property
    def dtype(self) -> str:
        """The name of the dtype."""
        return str(self.tensor.dtype)

    def numpy(self) -> Array:
        """A copy of the numbers."""
        return self.value.copy()

    def assign(self, value: Any) -> None:
        """Overwrite the numbers, in place.

        Raises:
            ShapeError: another shape.
        """
        given = np.asarray(value.data if isinstance(value, Tensor) else value)
        if given.shape != self.shape:
            raise ShapeError(f"{self.path} has shape {self.shape}, got {given.shape}")
        self._laid_out()[..., slice(None) if self._order is None else self._order] = given
        wrote(f"{self.path}.assign", self.tensor.data)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self.value, dtype, copy=True if copy is None else copy)

    def __repr__(self) -> str:
        return f"<Weight path={self.path} shape={self.shape} dtype={self.dtype}>"


class Layer(Module):
    """Base of the layers of this face: :meth:`build` makes the weights, :meth:`call` computes.

    Args:
        name: unique by default: ``dense``, ``dense_1``, ….
        trainable: False keeps the weights as they are.
        dtype: of the weights; float32 unless given.
        input_shape: of one sample without the batch axis; a model that begins with it is built at once.

    Raises:
        ArgumentError: an unknown argument.
    """

    built: bool

    def __init__(
        self,
        *,
        name: str | None = None,
        trainable: bool = True,
        dtype: str | None = None,
        input_shape: Iterable[int | None] | None = None,
        input_dim: int | None = None,
        **unknown: Any,
    ) -> None:
        super().__init__()
        if unknown:
            raise ArgumentError(
                f"{type(self).__name__}: unknown argument {min(unknown)!r}; it takes those of Keras' layer, and "
                "name, trainable, dtype, input_shape"
            )
        self.name = name or unique_name(snake(type(self).__name__))
        self.dtype = dtype or "float32"
        self.built = False
        self.input_shape: Shape | None = None
        self.output_shape: Shape | None = None
        if input_dim is not None:
            input_shape = (input_dim,)
        self.batch_input_shape: Shape | None = None if input_shape is None else (None, *input_shape)
        self._trainable = trainable

    # --- what a subclass writes ---

    def build(self, input_shape: Shape) -> None:
        """Make the weights for inputs ``(batch, …)``; lengths that vary are None."""

    def call(self, x: Any) -> Any:
        """What the layer computes; ``self.training`` says whether it is in training."""
        raise NotImplementedError(f"{type(self).__name__} has no call(self, x); write one that returns the output")

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The shape of the output for one of the input; None where a length varies."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """The arguments that make a layer like this one, as plain data."""
        config: dict[str, Any] = {"name": self.name, "trainable": self.trainable, "dtype": self.dtype}
        if self.batch_input_shape is not None:
            config["input_shape"] = list(self.batch_input_shape[1:])
        return config

    # --- what all of them do ---

    def build_for(self, input_shape: Shape) -> Shape:
        """Build once, and keep the shapes; returns that of the output."""
        if not self.built:
            self.build(input_shape)
            self.built = True
            if not self._trainable:
                self.requires_grad_(False)
        self.input_shape, self.output_shape = input_shape, self.compute_output_shape(input_shape)
        return self.output_shape

    def forward(self, x: Any, training: bool | None = None, **options: Any) -> Any:
        """The output; the first call builds the layer. ``training`` overrides the mode that the layer is in.

        ``options`` go to :meth:`call`, for layers that take more than their input.
        """
        if not self.built:
            self.build_for((None, *x.shape[1:]))
        if training is None or training == self.training:
            return self.call(x, **options)
        before = self.training
        self.train(training)
        try:
            return self.call(x, **options)
        finally:
            self.train(before)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Make one from :meth:`get_config`."""
        return cls(**config)

    @property
    def trainable(self) -> bool:
        """Whether the weights are trained."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        for layer in self.modules():
            if isinstance(layer, Layer):
                layer.__dict__["_trainable"] = self._trainable
        if self.built:
            self.requires_grad_(self._trainable)

    def own_weights(self) -> list[Weight]:
        """The weights of this layer, in Keras' order and layout."""
        return []

    @property
    def weights(self) -> list[Weight]:
        """All weights, in Keras' order: those that are trained, then those that are not."""
        found = self._all_weights()
        return [one for one in found if one.trainable] + [one for one in found if not one.trainable]

    def _all_weights(self) -> list[Weight]:
        return [one for layer in self.modules() if isinstance(layer, Layer) for one in layer.own_weights()]

    @property
    def trainable_weights(self) -> list[Weight]:
        """The weights that are trained."""
        return [one for one in self.weights if one.trainable and one.tensor.requires_grad]

    @property
    def non_trainable_weights(self) -> list[Weight]:
        """The weights that are not."""
        return [one for one in self.weights if not (one.trainable and one.tensor.requires_grad)]

    trainable_variables = trainable_weights
    variables = weights

    def get_weights(self) -> list[Array]:
        """Copies of all weights, in Keras' order and layout: kernels ``(inputs, units)``."""
        return [one.numpy() for one in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Overwrite all weights with arrays in the order and layout of :meth:`get_weights`; all of them or none.

        Raises:
            StateError: a wrong number of them, or a shape that does not fit.
        """
        targets = self.weights
        given = [np.asarray(one) for one in weights]
        if len(given) != len(targets):
            built = "" if self.built else "; it is not built yet: call it, or give it an input_shape"
            raise StateError(f"{self.name} has {len(targets)} weights, got {len(given)}{built}")
        for one, value in zip(targets, given, strict=True):
            if one.shape != value.shape:
                raise StateError(f"{one.path} has shape {one.shape}, got {value.shape}; nothing was changed")
        for one, value in zip(targets, given, strict=True):
            one.assign(value)

    def count_params(self) -> int:
        """The number of elements of all weights.

        Raises:
            StateError: the layer is not built, so nobody knows.
        """
        if not self.built:
            raise StateError(
                f"{self.name} is not built, so its weights are unknown; call it, or say input_shape=(…,) at its making"
            )
        return sum(one.value.size for one in self.weights)

    def penalties(self) -> list[tuple[Any, Tensor]]:
        """Regularizers with the weights they look at."""
        return []

    def add_penalty(self, regularizer: Any, tensor: Tensor | None) -> list[tuple[Any, Tensor]]:
        """One entry of :meth:`penalties`, or none."""
        return [] if regularizer is None or tensor is None else [(regularizer, tensor)]
