"""Input, Dense, Activation, Embedding, Flatten, Reshape, Dropout."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from ... import nn
from ...errors import ArgumentError, ShapeError
from ...ops import reshape
from ...tape import wrote
from ...tensor import Tensor
from .. import activations, initializers, regularizers
from ..randomness import draws
from .base import Layer, Shape, Weight, shape_text

__all__ = ["Activation", "Dense", "Dropout", "Embedding", "Flatten", "Input", "InputLayer", "LeakyReLU", "ReLU"]
__all__ += ["Reshape", "Softmax", "fill"]


def fill(tensor: Tensor, values: Any, name: str) -> None:
    """Write initial values into a parameter, in place."""
    tensor.data[...] = values
    wrote(name, tensor.data)


def positive(owner: str, name: str, value: Any) -> int:
    """A size as an int.

    Raises:
        ArgumentError: not a positive integer.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ArgumentError(f"{owner}: {name} is a positive integer, got {value!r}; say {owner}(10)")
    return int(value)


class InputLayer(Layer):
    """The shape of one sample, in front of the layers; it computes nothing and has no line in the summary.

    Args:
        shape: without the batch axis; None for lengths that vary.
    """

    def __init__(
        self,
        shape: Iterable[int | None] | int | None = None,
        batch_size: int | None = None,
        dtype: str | None = None,
        name: str | None = None,
    ) -> None:
        if shape is None:
            raise ArgumentError("Input takes the shape of one sample, without the batch axis; say Input(shape=(784,))")
        super().__init__(name=name, dtype=dtype)
        sizes = (shape,) if isinstance(shape, int) else tuple(shape)
        self.batch_size = batch_size
        self.batch_input_shape = (batch_size, *sizes)
        self.built = True

    def call(self, x: Any) -> Any:
        """``x`` itself."""
        return x

    def get_config(self) -> dict[str, Any]:
        """The shape and the name."""
        assert self.batch_input_shape is not None
        shape = list(self.batch_input_shape[1:])
        return {"shape": shape, "batch_size": self.batch_size, "dtype": self.dtype, "name": self.name}


def Input(  # noqa: N802 - Keras' name
    shape: Iterable[int | None] | int | None = None,
    batch_size: int | None = None,
    dtype: str | None = None,
    name: str | None = None,
) -> InputLayer:
    """The shape of one sample, to begin a Sequential with: ``Sequential([Input(shape=(784,)), Dense(10)])``.

    Raises:
        ArgumentError: no shape.
    """
    return InputLayer(shape, batch_size, dtype, name)


class Dense(Layer):
    """``activation(x @ kernel + bias)``: ``(batch, …, inputs)`` to ``(batch, …, units)``.

    Args:
        units: the number of outputs.
        activation: a name (``"relu"``), a function, or None for none.
        use_bias: False leaves the bias out.
        kernel_initializer: Glorot uniform by default, as in Keras (torch's Linear differs). bias_initializer: zeros.
        kernel_regularizer, bias_regularizer: ``"l2"`` and the like; their penalty is added to the loss.

    Raises:
        ArgumentError: ``units`` is not a positive integer, an unknown name. When called: ShapeError for an input whose
            last axis has another length than the one it was built for.
    """

    inner: nn.Linear

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.units = positive("Dense", "units", units)
        self.activation = activations.get(activation)
        self.use_bias = bool(use_bias)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)

    def build(self, input_shape: Shape) -> None:
        """Make kernel ``(inputs, units)`` and bias ``(units,)``."""
        features = input_shape[-1] if len(input_shape) > 1 else None
        if features is None:
            raise ShapeError(
                f"{self.name} (Dense) expected input (batch, features) with a known number of features, got "
                f"{shape_text(input_shape)}; say Input(shape=(784,)), and put Flatten() in front of images"
            )
        self.inner = nn.Linear(features, self.units, self.use_bias, rng=draws(0), dtype=self.dtype)
        kernel = self.kernel_initializer((features, self.units), dtype=self.dtype)
        fill(self.inner.weight, np.asarray(kernel).T, f"{self.name}/kernel")
        if self.inner.bias is not None:
            fill(self.inner.bias, self.bias_initializer((self.units,), dtype=self.dtype), f"{self.name}/bias")

    def affine(self, x: Any) -> Any:
        """``x @ kernel + bias``, before the activation."""
        features = self.inner.in_features
        if x.shape[-1] != features:
            raise ShapeError(
                f"{self.name} (Dense) was built for {features} features along the last axis, got {tuple(x.shape)}; "
                "give it such data, or make the model anew with Input(shape=…) of one sample of these"
            )
        return self.inner(x)

    def call(self, x: Any) -> Any:
        """The activation of the affine map."""
        return self.activation(self.affine(x))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The last axis becomes ``units``."""
        return (*input_shape[:-1], self.units)

    def own_weights(self) -> list[Weight]:
        """kernel, bias."""
        if not self.built:
            return []
        kernel = Weight(self.name, "kernel", self.inner.weight, transposed=True)
        bias = self.inner.bias
        return [kernel] if bias is None else [kernel, Weight(self.name, "bias", bias)]

    @property
    def kernel(self) -> Weight:
        """The weight ``(inputs, units)``."""
        return self._built_weights()[0]

    @property
    def bias(self) -> Weight | None:
        """The bias ``(units,)``, or None."""
        return self._built_weights()[1] if self.use_bias else None

    def _built_weights(self) -> list[Weight]:
        self.count_params()  # raises where there are none yet
        return self.own_weights()

    def penalties(self) -> list[tuple[Any, Tensor]]:
        """Those of kernel and bias."""
        kernel = self.add_penalty(self.kernel_regularizer, self.inner.weight)
        return kernel + self.add_penalty(self.bias_regularizer, self.inner.bias)

    def get_config(self) -> dict[str, Any]:
        """All arguments."""
        return super().get_config() | {
            "units": self.units,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),  # type: ignore[arg-type]
            "bias_initializer": initializers.serialize(self.bias_initializer),  # type: ignore[arg-type]
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": regularizers.serialize(self.bias_regularizer),
        }

    def extra_repr(self) -> str:
        """Units and activation."""
        return f"units={self.units}, activation={getattr(self.activation, '__name__', self.activation)}"


class Activation(Layer):
    """An activation as a layer of its own.

    Args:
        activation: a name or a function.
    """

    def __init__(self, activation: Any, **options: Any) -> None:
        super().__init__(**options)
        self.activation = activations.get(activation)

    def call(self, x: Any) -> Any:
        """The activation of ``x``."""
        return self.activation(x)

    def get_config(self) -> dict[str, Any]:
        """The activation's name."""
        return super().get_config() | {"activation": activations.serialize(self.activation)}


class ReLU(Layer):
    """``max(x, 0)``, with Keras' options.

    Args:
        max_value: the largest output. negative_slope: the slope below the threshold. threshold: where it begins.
    """

    def __init__(
        self, max_value: float | None = None, negative_slope: float = 0.0, threshold: float = 0.0, **options: Any
    ) -> None:
        super().__init__(**options)
        self.max_value, self.negative_slope, self.threshold = max_value, negative_slope, threshold

    def call(self, x: Any) -> Any:
        """The activation of ``x``."""
        return activations.relu(x, self.negative_slope, self.max_value, self.threshold)

    def get_config(self) -> dict[str, Any]:
        """All arguments."""
        own = {"max_value": self.max_value, "negative_slope": self.negative_slope, "threshold": self.threshold}
        return super().get_config() | own


class LeakyReLU(Layer):
    """``x`` where it is positive, else ``negative_slope * x``.

    Args:
        negative_slope: Keras' default is 0.3.
    """

    def __init__(self, negative_slope: float = 0.3, **options: Any) -> None:
        super().__init__(**options)
        self.negative_slope = negative_slope

    def call(self, x: Any) -> Any:
        """The activation of ``x``."""
        return activations.leaky_relu(x, self.negative_slope)

    def get_config(self) -> dict[str, Any]:
        """The slope."""
        return super().get_config() | {"negative_slope": self.negative_slope}


class Softmax(Layer):
    """Class probabilities along an axis."""

    def __init__(self, axis: int = -1, **options: Any) -> None:
        super().__init__(**options)
        self.axis = axis

    def call(self, x: Any) -> Any:
        """The probabilities."""
        return activations.softmax(x, self.axis)

    def get_config(self) -> dict[str, Any]:
        """The axis."""
        return super().get_config() | {"axis": self.axis}


class Flatten(Layer):
    """``(batch, …)`` to ``(batch, features)``."""

    def call(self, x: Any) -> Any:
        """The same values with two axes."""
        return reshape(x, (x.shape[0], math.prod(x.shape[1:])))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """All axes but the first in one."""
        rest = input_shape[1:]
        return (input_shape[0], None if None in rest else math.prod(size for size in rest if size is not None))


class Reshape(Layer):
    """``(batch, …)`` to ``(batch, *target_shape)``; one length may be -1."""

    def __init__(self, target_shape: Iterable[int], **options: Any) -> None:
        super().__init__(**options)
        self.target_shape = tuple(target_shape)

    def call(self, x: Any) -> Any:
        """The same values in another shape."""
        return reshape(x, (x.shape[0], *self.target_shape))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The target, with -1 worked out."""
        rest, known = input_shape[1:], math.prod(size for size in self.target_shape if size != -1)
        if -1 not in self.target_shape:
            return (input_shape[0], *self.target_shape)
        left = None if None in rest else math.prod(size for size in rest if size is not None) // max(known, 1)
        return (input_shape[0], *[left if size == -1 else size for size in self.target_shape])

    def get_config(self) -> dict[str, Any]:
        """The target."""
        return super().get_config() | {"target_shape": list(self.target_shape)}


class Dropout(Layer):
    """In training, set each value to 0 with probability ``rate`` and scale the others by ``1 / (1 - rate)``.

    Args:
        rate: from 0 to 1. seed: of the masks.

    Source: Srivastava et al., JMLR 15, 2014.
    """

    def __init__(self, rate: float, noise_shape: None = None, seed: int | None = None, **options: Any) -> None:
        super().__init__(**options)
        if noise_shape is not None:
            raise ArgumentError("Dropout: noise_shape is not supported; leave it out")
        self.rate, self.seed = rate, seed
        self.inner = nn.Dropout(rate, rng=draws(seed))

    def call(self, x: Any) -> Any:
        """``x`` with values dropped."""
        return self.inner(x)

    def get_config(self) -> dict[str, Any]:
        """Rate and seed."""
        return super().get_config() | {"rate": self.rate, "seed": self.seed}

    def extra_repr(self) -> str:
        """The rate."""
        return f"rate={self.rate}"


class Embedding(Layer):
    """Ids ``(batch, …)`` to rows ``(batch, …, output_dim)`` of a table that is trained.

    Args:
        input_dim: the number of rows: the largest id + 1. output_dim: the length of a row.
        embeddings_initializer: ``U(-0.05, 0.05)`` by default.
        embeddings_regularizer: its penalty is added to the loss.
        mask_zero: id 0 is padding, and recurrent layers behind skip it.
        input_length: the number of ids in a sample, where it is fixed.

    Raises:
        ArgumentError: when called, for an id outside the table.
    """

    inner: Any

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        mask_zero: bool = False,
        input_length: int | None = None,
        **options: Any,
    ) -> None:
        if input_length is not None and "input_shape" not in options:
            options["input_shape"] = (input_length,)
        super().__init__(**options)
        self.input_dim = positive("Embedding", "input_dim", input_dim)
        self.output_dim = positive("Embedding", "output_dim", output_dim)
        self.embeddings_initializer = initializers.get(embeddings_initializer)
        self.embeddings_regularizer = regularizers.get(embeddings_regularizer)
        self.mask_zero = bool(mask_zero)

    def build(self, input_shape: Shape) -> None:  # noqa: ARG002 - the table does not depend on it
        """Make the table ``(input_dim, output_dim)``."""
        self.inner = nn.Embedding(self.input_dim, self.output_dim, dtype=self.dtype)
        table = self.embeddings_initializer((self.input_dim, self.output_dim), dtype=self.dtype)
        fill(self.inner.weight, table, f"{self.name}/embeddings")

    def call(self, x: Any) -> Any:
        """The rows of the ids."""
        return self.inner(x)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """One axis more."""
        return (*input_shape, self.output_dim)

    def own_weights(self) -> list[Weight]:
        """The table."""
        return [Weight(self.name, "embeddings", self.inner.weight)] if self.built else []

    def penalties(self) -> list[tuple[Any, Tensor]]:
        """That of the table."""
        return self.add_penalty(self.embeddings_regularizer, self.inner.weight)

    def get_config(self) -> dict[str, Any]:
        """All arguments."""
        return super().get_config() | {
            "input_dim": self.input_dim,
            "output_dim": self.output_dim,
            "embeddings_initializer": initializers.serialize(self.embeddings_initializer),  # type: ignore[arg-type]
            "embeddings_regularizer": regularizers.serialize(self.embeddings_regularizer),
            "mask_zero": self.mask_zero,
        }
