"""LSTM, GRU and SimpleRNN with Keras' weights: one bias, kernels ``(inputs, gates)``, and padding that is skipped."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ... import ops
from ...errors import ArgumentError, ShapeError
from ...nn import Parameter, functional
from ...tape import Array
from ...tensor import Tensor
from .. import initializers, regularizers
from ..randomness import draws
from .base import Layer, Shape, Weight, shape_text
from .core import fill, positive

__all__ = ["GRU", "LSTM", "SimpleRNN"]


class _Recurrent(Layer):
    """Base: ``(batch, time, features)`` to ``(batch, units)``, or to all states ``(batch, time, units)``."""

    gates: ClassVar[int]
    order: ClassVar[tuple[int, ...] | None] = None
    """Where Keras' gates stand among the engine's, where that differs."""

    def __init__(
        self,
        units: int,
        return_sequences: bool,
        go_backwards: bool,
        dropout: float,
        use_bias: bool,
        kernel_initializer: Any,
        recurrent_initializer: Any,
        bias_initializer: Any,
        kernel_regularizer: Any,
        recurrent_regularizer: Any,
        bias_regularizer: Any,
        options: dict[str, Any],
    ) -> None:
        kind = type(self).__name__
        for name in ("recurrent_dropout", "return_state", "stateful"):
            if options.pop(name, False):
                raise ArgumentError(f"{kind}: {name} is not supported; leave it out")
        for name in ("unroll", "seed", "use_cudnn", "implementation"):  # how Keras runs it, not what it computes
            options.pop(name, None)
        super().__init__(**options)
        self.units = positive(kind, "units", units)
        self.return_sequences, self.go_backwards, self.use_bias = return_sequences, go_backwards, use_bias
        self.dropout = functional.check_probability(dropout)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.recurrent_initializer = initializers.get(recurrent_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.recurrent_regularizer = regularizers.get(recurrent_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.rng = draws()

    # --- weights ---

    def build(self, input_shape: Shape) -> None:
        """Make kernel, recurrent kernel and bias, each with the gates side by side."""
        features = self._features(input_shape)
        width = self.gates * self.units
        kernel = self.kernel_initializer((features, width), dtype=self.dtype)
        recurrent = self.recurrent_initializer((self.units, width), dtype=self.dtype)
        self.weight_ih = self._matrix("kernel", kernel)
        self.weight_hh = self._matrix("recurrent_kernel", recurrent)
        if self.use_bias:
            self._build_bias(width)

    def _matrix(self, name: str, values: Array) -> Tensor:
        made = Parameter(np.empty(values.shape, self.dtype).T)
        fill(made, self._engine_order(np.asarray(values)).T, f"{self.name}/{name}")
        return made

    def _engine_order(self, values: Array) -> Array:
        return values if self.order is None else values[..., _columns(self.order, self.units)]

    def _build_bias(self, width: int) -> None:
        self.bias_ih = Parameter(np.empty(width, self.dtype))
        fill(self.bias_ih, self._initial_bias(width), f"{self.name}/bias")

    def _initial_bias(self, width: int) -> Array:
        return np.asarray(self.bias_initializer((width,), dtype=self.dtype))

    def own_weights(self) -> list[Weight]:
        """kernel, recurrent_kernel, bias."""
        if not self.built:
            return []
        order = None if self.order is None else _columns(self.order, self.units)
        found = [
            Weight(self.name, "kernel", self.weight_ih, transposed=True, order=order),
            Weight(self.name, "recurrent_kernel", self.weight_hh, transposed=True, order=order),
        ]
        return found + self._bias_weights(order)

    def _bias_weights(self, order: Array | None) -> list[Weight]:
        return [Weight(self.name, "bias", self.bias_ih, order=order)] if self.use_bias else []

    def penalties(self) -> list[tuple[Any, Tensor]]:
        """Those of kernel, recurrent kernel and bias."""
        found = self.add_penalty(self.kernel_regularizer, self.weight_ih)
        found += self.add_penalty(self.recurrent_regularizer, self.weight_hh)
        return found + (self.add_penalty(self.bias_regularizer, self.bias_ih) if self.use_bias else [])

    # --- running ---

    def _features(self, shape: Shape) -> int:
        features = shape[-1] if len(shape) == 3 else None
        if features is None:
            fix = "say x.reshape(samples, steps, features)"
            if len(shape) == 2:
                fix = (
                    "for word ids put Embedding(words, 32) in front; single numbers need an axis of features: "
                    f"x.reshape(-1, {shape[1]}, 1)"
                )
            raise ShapeError(
                f"{self.name} ({type(self).__name__}) expected input of three axes (batch, time, features), got "
                f"{shape_text(shape, ('batch', 'features'))}; {fix}"
            )
        return features

    def call(self, x: Any, mask: Any = None) -> Any:
        """The last state, or all of them; steps where ``mask (batch, time)`` is False leave the state as it is."""
        shape = (None, *x.shape[1:])
        if self._features(shape) != self.weight_ih.shape[1]:
            raise ShapeError(
                f"{self.name} ({type(self).__name__}) was built for {self.weight_ih.shape[1]} features, got "
                f"{shape_text(shape, ('batch', 'time', 'features'))}"
            )
        if self.training and self.dropout:
            # One mask for all times: Gal & Ghahramani, NeurIPS 2016.
            ones = np.ones((x.shape[0], 1, x.shape[2]), x.dtype)
            x = ops.mul(x, functional.dropout(ones, self.dropout, rng=self.rng))
        x = ops.transpose(x, 0, 1)
        valid = None if mask is None else ops.transpose(mask, 0, 1)
        if self.go_backwards:
            x = ops.getitem(x, slice(None, None, -1))
            valid = None if valid is None else ops.getitem(valid, slice(None, None, -1))
        states = self.run(x, np.zeros((x.shape[1], self.units), x.dtype), valid)
        return ops.transpose(states, 0, 1) if self.return_sequences else ops.getitem(states, -1)

    def run(self, x: Any, zeros: Array, valid: Any) -> Any:
        """All states ``(time, batch, units)``."""
        raise NotImplementedError

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """``(batch, units)``, or ``(batch, time, units)``."""
        self._features(input_shape)
        return (*input_shape[:2], self.units) if self.return_sequences else (input_shape[0], self.units)

    def get_config(self) -> dict[str, Any]:
        """All arguments."""
        own: dict[str, Any] = {
            "units": self.units,
            "return_sequences": self.return_sequences,
            "go_backwards": self.go_backwards,
            "dropout": self.dropout,
            "use_bias": self.use_bias,
        }
        for name in ("kernel_initializer", "recurrent_initializer", "bias_initializer"):
            own[name] = initializers.serialize(getattr(self, name))
        for name in ("kernel_regularizer", "recurrent_regularizer", "bias_regularizer"):
            own[name] = regularizers.serialize(getattr(self, name))
        return super().get_config() | own

    def extra_repr(self) -> str:
        """Units, and whether all states are given."""
        return f"units={self.units}, return_sequences={self.return_sequences}"


def _columns(order: tuple[int, ...], units: int) -> Array:
    return np.concatenate([np.arange(units) + gate * units for gate in order])


def _default(kind: str, name: str, given: str, expected: str) -> None:
    if given != expected:
        raise ArgumentError(f"{kind}: {name} is {expected!r}, the only one there is here, got {given!r}")


class LSTM(_Recurrent):
    """Long short-term memory; gates in the order input, forget, cell, output.

    Args:
        units: the length of the state. activation, recurrent_activation: tanh and sigmoid.
        unit_forget_bias: the forget gate's bias starts at 1 (Jozefowicz et al., ICML 2015).
        return_sequences: give the states of all times. go_backwards: begin at the end.
        dropout: of the inputs, one mask for all times. The other arguments: see :class:`.core.Dense`.

    Raises:
        ArgumentError: an option that is not supported. When called: ShapeError for anything but
            ``(batch, time, features)``; it names the layer and the line that mends it.

    Source: Hochreiter & Schmidhuber, 1997; Gers, Schmidhuber, Cummins, 2000.
    """

    gates = 4

    def __init__(
        self,
        units: int,
        activation: str = "tanh",
        recurrent_activation: str = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        dropout: float = 0.0,
        return_sequences: bool = False,
        go_backwards: bool = False,
        **options: Any,
    ) -> None:
        _default("LSTM", "activation", activation, "tanh")
        _default("LSTM", "recurrent_activation", recurrent_activation, "sigmoid")
        self._forgets = bool(unit_forget_bias)
        super().__init__(
            units,
            return_sequences,
            go_backwards,
            dropout,
            use_bias,
            kernel_initializer,
            recurrent_initializer,
            bias_initializer,
            kernel_regularizer,
            recurrent_regularizer,
            bias_regularizer,
            options,
        )

    def _initial_bias(self, width: int) -> Array:
        bias = super()._initial_bias(width).copy()
        if self._forgets:
            bias[self.units : 2 * self.units] = 1.0
        return bias

    def run(self, x: Any, zeros: Array, valid: Any) -> Any:
        """All states ``(time, batch, units)``."""
        gates = ops.linear(x, self.weight_ih, self.bias_ih if self.use_bias else None)
        return ops.lstm(gates, zeros, zeros, self.weight_hh, valid)[0]

    def get_config(self) -> dict[str, Any]:
        """All arguments."""
        return super().get_config() | {"unit_forget_bias": self._forgets}


class GRU(_Recurrent):
    """Gated recurrent units with the reset gate behind the product, Keras' default; gates in the order z, r, h.

    Arguments and errors: :class:`LSTM`. The bias is ``(2, 3 units)``: one for the input, one for the state.

    Source: Cho et al., EMNLP 2014.
    """

    gates = 3
    order = (1, 0, 2)

    def __init__(
        self,
        units: int,
        activation: str = "tanh",
        recurrent_activation: str = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        dropout: float = 0.0,
        return_sequences: bool = False,
        go_backwards: bool = False,
        reset_after: bool = True,
        **options: Any,
    ) -> None:
        _default("GRU", "activation", activation, "tanh")
        _default("GRU", "recurrent_activation", recurrent_activation, "sigmoid")
        if not reset_after:
            raise ArgumentError("GRU: reset_after=True, Keras' default, is the only form there is here")
        super().__init__(
            units,
            return_sequences,
            go_backwards,
            dropout,
            use_bias,
            kernel_initializer,
            recurrent_initializer,
            bias_initializer,
            kernel_regularizer,
            recurrent_regularizer,
            bias_regularizer,
            options,
        )

    def _build_bias(self, width: int) -> None:
        both = np.asarray(self.bias_initializer((2, width), dtype=self.dtype))
        self.bias_ih = Parameter(np.empty((2, width), self.dtype))
        fill(self.bias_ih, self._engine_order(both), f"{self.name}/bias")

    def run(self, x: Any, zeros: Array, valid: Any) -> Any:
        """All states ``(time, batch, units)``."""
        ours = [ops.getitem(self.bias_ih, one) for one in range(2)] if self.use_bias else [None, None]
        return ops.gru(ops.linear(x, self.weight_ih, ours[0]), zeros, self.weight_hh, ours[1], valid)


class SimpleRNN(_Recurrent):
    """``h = tanh(x @ kernel + h @ recurrent_kernel + bias)``. Arguments and errors: :class:`LSTM`."""

    gates = 1

    def __init__(
        self,
        units: int,
        activation: str = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        dropout: float = 0.0,
        return_sequences: bool = False,
        go_backwards: bool = False,
        **options: Any,
    ) -> None:
        if activation not in {"tanh", "relu"}:
            raise ArgumentError(f"SimpleRNN: activation is 'tanh' or 'relu', got {activation!r}")
        super().__init__(
            units,
            return_sequences,
            go_backwards,
            dropout,
            use_bias,
            kernel_initializer,
            recurrent_initializer,
            bias_initializer,
            kernel_regularizer,
            recurrent_regularizer,
            bias_regularizer,
            options,
        )
        self.activation = activation

    def run(self, x: Any, zeros: Array, valid: Any) -> Any:
        """All states ``(time, batch, units)``."""
        gates = ops.linear(x, self.weight_ih, self.bias_ih if self.use_bias else None)
        return ops.rnn(gates, zeros, self.weight_hh, valid=valid, nonlinearity=self.activation)

    def get_config(self) -> dict[str, Any]:
        """All arguments."""
        return super().get_config() | {"activation": self.activation}
