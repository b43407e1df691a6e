"""Recurrent layers, RNN, LSTM and GRU, and one step of each as a cell."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike

from ..capture import asked
from ..dtypes import get_default_dtype
from ..errors import ArgumentError, DTypeError, ShapeError, did_you_mean
from ..ops import add, astype, cat, getitem, gru, linear, lstm, lt, mul, reshape, rnn, stack, transpose, unsqueeze
from ..tensor import Tensor, generator
from . import init
from .functional import check_probability, dropout
from .module import Module, Parameter
from .utils.rnn import PackedSequence, check_lengths, pack_padded_sequence, pad_packed_sequence

__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNCell"]

State = Any


def _run(
    kind: str, x: Any, state: Any, cell: Any, weights: tuple[Any, ...], valid: Any = None, nonlinearity: str = "tanh"
) -> tuple[Any, Any, Any]:
    """One direction of one layer: the states of all times, the last state, and for the LSTM the last cell."""
    w_in, w_state, b_in, b_state = weights
    if kind == "GRU":
        states = gru(linear(x, w_in, b_in), state, w_state, b_state, valid)
        return states, getitem(states, -1), None
    # Both biases are added to the same sum, so they can be added to each other first.
    gates = linear(x, w_in, None if b_in is None else add(b_in, b_state))
    if kind == "LSTM":
        return lstm(gates, state, cell, w_state, valid)
    states = rnn(gates, state, w_state, valid=valid, nonlinearity=nonlinearity)
    return states, getitem(states, -1), None


def _positive(owner: str, **sizes: Any) -> None:
    for name, given in sizes.items():
        if isinstance(given, bool) or not isinstance(given, (int, np.integer)) or given < 1:
            raise ArgumentError(f"{owner}: {name} is a positive integer, got {given!r}; say {owner}(32, 100)")


def _nonlinearity(owner: str, given: str) -> str:
    if given not in ("tanh", "relu"):
        raise ArgumentError(f"{owner}: {did_you_mean('nonlinearity', given, ('tanh', 'relu'))}")
    return given


class _Weights(Module):
    """What layers and cells have in common: named weights drawn from U(-1 / sqrt(h), 1 / sqrt(h))."""

    kind: ClassVar[str]
    gates: ClassVar[int]
    hidden_size: int

    def _draw(self, shapes: dict[str, tuple[int, ...] | None], draws: np.random.Generator, dtype: Any) -> None:
        bound = 1.0 / math.sqrt(self.hidden_size)
        for name, shape in shapes.items():
            if shape is None:
                self.register_parameter(name, None)
                continue
            # Matrices are laid out column by column, as those of Linear are: products read them in order.
            made = Parameter(np.empty(shape[::-1], dtype or get_default_dtype()).T)
            setattr(self, name, init.uniform_(made, -bound, bound, rng=draws))

    def _weights(self, suffix: str) -> tuple[Any, Any, Any, Any]:
        own = self.__dict__
        return (
            own[f"weight_ih{suffix}"],
            own[f"weight_hh{suffix}"],
            own.get(f"bias_ih{suffix}"),
            own.get(f"bias_hh{suffix}"),
        )

    def _first_weight(self) -> Any:
        return next(iter(self.parameters()))

    def _floats(self, x: Any) -> Any:
        if not isinstance(x, (Tensor, np.ndarray)):
            raise DTypeError(f"{type(self).__name__} takes a Tensor or array, got {type(x).__name__}; say Tensor(x)")
        if x.dtype.kind != "f":
            raise DTypeError(
                f"{type(self).__name__} takes floats, got dtype {x.dtype}; word ids go through nn.Embedding(...) "
                "first, other numbers through x.astype('float32')"
            )
        dtype = self._first_weight().dtype
        return x if x.dtype == dtype else astype(x, dtype)

    def _state(self, given: Any, shape: tuple[int, ...], name: str, axes: str, zeros: Any) -> Any:
        if given is None:
            return zeros
        given = self._floats(given)
        if tuple(given.shape) != shape:
            raise ShapeError(
                f"{type(self).__name__} expected the state {name} of shape {axes} = {shape}, got {tuple(given.shape)}"
            )
        return given


class _Recurrent(_Weights):
    """Layers of recurrence over a batch of sequences; the public classes say which."""

    nonlinearity: str = "tanh"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        bias: bool,
        batch_first: bool,
        dropout: float,
        bidirectional: bool,
        rng: np.random.Generator | None,
        seed: int | None,
        dtype: DTypeLike | None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        _positive(name, input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        self.input_size, self.hidden_size, self.num_layers = int(input_size), int(hidden_size), int(num_layers)
        self.bias, self.batch_first, self.bidirectional = bool(bias), bool(batch_first), bool(bidirectional)
        self.dropout = check_probability(dropout)
        if self.dropout and self.num_layers == 1:
            warnings.warn(
                f"{name}: dropout acts between layers, and there is one layer, so dropout={dropout} does nothing; say "
                "num_layers=2, or put nn.Dropout behind the layer",
                UserWarning,
                stacklevel=3,
            )
        self.rng = generator(rng, seed)
        rows = self.gates * self.hidden_size
        shapes: dict[str, tuple[int, ...] | None] = {}
        for layer in range(self.num_layers):
            width = self.input_size if layer == 0 else self.hidden_size * (1 + self.bidirectional)
            for way in self._ways():
                suffix = f"_l{layer}{way}"
                shapes[f"weight_ih{suffix}"] = (rows, width)
                shapes[f"weight_hh{suffix}"] = (rows, self.hidden_size)
                if self.bias:
                    shapes[f"bias_ih{suffix}"] = shapes[f"bias_hh{suffix}"] = (rows,)
        self._draw(shapes, self.rng, dtype)

    def _ways(self) -> tuple[str, ...]:
        return ("", "_reverse") if self.bidirectional else ("",)

    def forward(self, input: Any, hx: State = None, *, lengths: Any = None) -> tuple[Any, State]:
        """Sequences, and the state to begin with, to the states of the last layer at all times and the last state.

        Args:
            input: ``(time, batch, input_size)``, ``(batch, time, input_size)`` if ``batch_first``, one sequence
                ``(time, input_size)``, or a :class:`~tinygrad_mlp.nn.utils.rnn.PackedSequence`.
            hx: the state before the first step, zeros by default: ``(layers · ways, batch, hidden_size)``, for the LSTM
                a pair of them.
            lengths: how many steps of each sequence count, ``(batch,)``: the others are padding, for which the output
                is 0 and the state stays. The same numbers as with a packed sequence; compiled steps take it as data.

        Returns:
            ``output (…, ways · hidden_size)``, laid out like the input, and the last state, laid out like ``hx``.
        """
        packed = input if isinstance(input, PackedSequence) else None
        batch_first = self.batch_first
        if packed is not None:
            if lengths is not None:
                raise ArgumentError(f"{type(self).__name__}: a packed sequence has its lengths already")
            input, lengths = pad_packed_sequence(packed)
            batch_first = False
        single = self._check_input(input)
        x = self._floats(input)
        if single:
            if lengths is not None:
                raise ArgumentError(f"{type(self).__name__}: lengths belong to a batch; slice the one sequence instead")
            x = unsqueeze(x, 1)
        elif batch_first:
            x = transpose(x, 0, 1)
        time, batch = x.shape[:2]
        if time == 0:
            raise ShapeError(f"{type(self).__name__}: the time axis of {tuple(input.shape)} is empty")
        valid = None if lengths is None else self._valid(lengths, time, batch)
        output, state = self._through(x, self._begin(hx, batch, single), valid)
        if single:
            return reshape(output, (time, output.shape[-1])), self._mapped(
                state, lambda one: reshape(one, (one.shape[0], one.shape[2]))
            )
        if packed is not None:
            output = pack_padded_sequence(output, lengths, enforce_sorted=packed.sorted_indices is None)
            return output, state
        return (transpose(output, 0, 1) if batch_first else output), state

    def _through(self, x: Any, begin: list[Any], valid: Any) -> tuple[Any, State]:
        lasts: list[Any] = []
        cells: list[Any] = []
        here = None if valid is None else astype(unsqueeze(valid, 2), x.dtype)
        for layer in range(self.num_layers):
            if layer and self.dropout:
                x = dropout(x, self.dropout, self.training, rng=self.rng)
            outputs = []
            for way in self._ways():
                place = len(lasts)
                backwards = slice(None, None, -1 if way else 1)
                states, last, cell = _run(
                    self.kind,
                    getitem(x, backwards) if way else x,
                    *self._begins(begin, place),
                    self._weights(f"_l{layer}{way}"),
                    getitem(valid, backwards) if way and valid is not None else valid,
                    self.nonlinearity,
                )
                outputs.append(getitem(states, backwards) if way else states)
                lasts.append(last)
                cells.append(cell)
            x = outputs[0] if len(outputs) == 1 else cat(outputs, 2)
            if here is not None:
                x = mul(x, here)
        return x, self._joined(lasts, cells)

    def _joined(self, lasts: list[Any], _cells: list[Any]) -> State:
        return stack(lasts, 0)

    def _begins(self, begin: list[Any], place: int) -> tuple[Any, Any]:
        return getitem(begin[0], place), None

    def _mapped(self, state: State, function: Any) -> State:
        return function(state)

    def _begin(self, hx: State, batch: int, single: bool) -> list[Any]:
        return [self._initial(hx, batch, single, "h_0")]

    def _initial(self, given: Any, batch: int, single: bool, name: str) -> Any:
        count = self.num_layers * (1 + self.bidirectional)
        zeros = np.zeros((count, batch, self.hidden_size), self._first_weight().dtype)
        shape: tuple[int, ...]
        if single:
            shape, axes = (count, self.hidden_size), "(layers · ways, hidden)"
        else:
            shape, axes = (count, batch, self.hidden_size), "(layers · ways, batch, hidden)"
        state = self._state(given, shape, name, axes, zeros)
        return unsqueeze(state, 1) if single and given is not None else state

    def _valid(self, lengths: Any, time: int, batch: int) -> Any:
        if not isinstance(lengths, Tensor):
            lengths = np.asarray(lengths)
        name = type(self).__name__
        if tuple(lengths.shape) != (batch,):
            raise ShapeError(
                f"{name}: lengths is one number for each of the {batch} sequences, got shape {tuple(lengths.shape)}"
            )
        plain = lengths.data if isinstance(lengths, Tensor) else lengths
        asked(lengths, plain, partial(check_lengths, time=time, what=name))
        return lt(np.arange(time)[:, None], lengths)

    def _check_input(self, x: Any) -> bool:
        """Whether the input is one sequence without a batch axis.

        Raises:
            ShapeError: it has neither two nor three axes, or the last is not ``input_size`` long. DTypeError: it is no
                tensor or array.
        """
        name, size = type(self).__name__, self.input_size
        if not isinstance(x, (Tensor, np.ndarray)):
            raise DTypeError(f"{name} takes a Tensor or array, got {type(x).__name__}; say layer(Tensor(x))")
        shape = tuple(x.shape)
        if len(shape) in (2, 3) and shape[-1] == size:
            return len(shape) == 2
        order = "batch, time" if self.batch_first else "time, batch"
        raise ShapeError(
            f"{name} expected input of shape ({order}, features) = (…, …, {size}), or one sequence (time, features) = "
            f"(…, {size}); got {_shown(shape, order)}. {next(_remedies(name, shape, size, self.hidden_size, order))}"
        )

    def extra_repr(self) -> str:
        """The sizes, and the options that are not the defaults."""
        parts = [f"{self.input_size}, {self.hidden_size}"]
        usual = {"num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0, "bidirectional": False}
        parts += [f"{name}={getattr(self, name)}" for name, value in usual.items() if getattr(self, name) != value]
        return ", ".join(parts)


def _remedies(name: str, shape: tuple[int, ...], size: int, hidden: int, order: str) -> Iterator[str]:
    """The lines that may make the input fit, the likeliest first."""
    wider = f"make the layer {name}({shape[-1] if shape else 1}, {hidden})"
    match shape:
        case ():
            yield "A batch of sequences has three axes"
        case (length,):
            if length % size == 0:
                yield f"If this is one sequence of {length // size} steps: x.reshape({length // size}, {size})"
            yield f"If these are the features of one step: x.reshape(1, {length}), and {wider}"
        case (rows, width):
            turned = "" if order.startswith("batch") or size == 1 else ".transpose(0, 1)"
            if size == 1:
                yield f"Sequences of single numbers get an axis of features: x.reshape({rows}, {width}, 1)"
            if width % size == 0:
                steps = width // size
                what = f"{steps} steps of {size} features each"
                yield f"If each row holds {what}: x.reshape({rows}, {steps}, {size}){turned}"
            yield f"Word ids go through nn.Embedding(words, {size}) first; otherwise {wider}"
        case (first, second, _):
            if size in (first, second):
                yield f"The axes may be swapped: x.transpose({shape.index(size)}, 2)"
            yield f"The features do not fit: {wider}"
        case (first, second, *rest):
            if rest[-1] == size:
                merged = math.prod(shape[1:-1])
                yield f"To make one time axis of those in the middle: x.reshape({first}, {merged}, {size})"
            width = math.prod(rest)
            wider = "" if width == size else f", and make the layer {name}({width}, {hidden})"
            yield f"To make features of all axes behind the second: x.reshape({first}, {second}, {width}){wider}"


def _shown(shape: tuple[int, ...], order: str) -> str:
    names = {1: "(features,)", 2: "(time, features)", 3: f"({order}, features)"}
    if not shape:
        return "a number without axes"
    if len(shape) in names:
        return f"{shape} = {names[len(shape)]}"
    return f"{shape}, which has {len(shape)} axes"


class RNN(_Recurrent):
    """A plain recurrent network: ``h = tanh(W_ih x + b_ih + W_hh h + b_hh)`` at every time step.

    ``batch_first`` is False as in torch: time is the first axis, the batch the second. Say ``batch_first=True`` for
    ``(batch, time, features)``, as Keras has it; the states stay ``(layers · ways, batch, hidden_size)``.

    Args:
        input_size, hidden_size: features of the input and of the state.
        num_layers: layers on top of each other.
        nonlinearity: ``"tanh"`` or ``"relu"``.
        bias: False leaves the biases out.
        batch_first: the input and the output are ``(batch, time, features)``.
        dropout: the probability of dropping between layers, in training.
        bidirectional: a second direction runs from the end; the outputs of both stand side by side.
        rng, seed: for the initial values and the dropout; fresh ones by default.
        dtype: of the parameters; the default dtype unless given.

    Attributes:
        weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0: ``(h, input)``, ``(h, h)``, ``(h,)``, ``(h,)``; further
            layers have ``_l1`` and so on, the second direction ``_l0_reverse``. All are drawn from
            U(-1 / sqrt(h), 1 / sqrt(h)).

    Calling it, and what it gives: see :meth:`forward`.

    Raises:
        ArgumentError: a size that is not a positive integer, an unknown nonlinearity, ``dropout`` outside [0, 1]. When
            called: ShapeError for an input with other axes or features, or a state of another shape; ArgumentError for
            lengths out of range.

    >>> from tinygrad_mlp import nn, zeros
    >>> output, last = nn.RNN(3, 5)(zeros((7, 2, 3)))
    >>> output.shape, last.shape
    ((7, 2, 5), (1, 2, 5))
    """

    kind = "RNN"
    gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        rng: np.random.Generator | None = None,
        seed: int | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, rng, seed, dtype
        )
        self.nonlinearity = _nonlinearity("RNN", nonlinearity)


class GRU(_Recurrent):
    """Gated recurrent units: gates decide how much of the state is replaced.

    ``r = σ(W_ir x + b_ir + W_hr h + b_hr)``, ``z`` alike, ``n = tanh(W_in x + b_in + r (W_hn h + b_hn))``,
    ``h = (1 - z) n + z h``. The arguments, the layout of inputs and results and the errors are those of :class:`RNN`,
    without ``nonlinearity``; ``batch_first`` is False as in torch. Weights have the rows of ``r, z, n`` in this order:
    ``weight_ih_l0 (3 h, input)``.

    Source: Cho et al., EMNLP 2014; the reset gate acts after the product, as in torch and cuDNN.
    """

    kind = "GRU"
    gates = 3

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        rng: np.random.Generator | None = None,
        seed: int | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, rng, seed, dtype
        )


class LSTM(_Recurrent):
    """Long short-term memory: a cell that gates write to, keep and read.

    ``i, f, o = σ(W x + b + W' h + b')`` of their own rows, ``g`` alike with tanh, ``c = f c + i g``,
    ``h = o tanh(c)``. The arguments, the layout of inputs and results and the errors are those of :class:`RNN`, without
    ``nonlinearity``; ``batch_first`` is False as in torch. The state is a pair ``(h, c)``: the layer gives
    ``output, (h_n, c_n)``. Weights have the rows of ``i, f, g, o`` in this order: ``weight_ih_l0 (4 h, input)``.
    ``proj_size`` is not available.

    Source: Hochreiter & Schmidhuber, Neural Computation 9, 1997; the forget gate: Gers et al., 2000.

    >>> from tinygrad_mlp import nn, zeros
    >>> output, (hidden, cell) = nn.LSTM(3, 5, batch_first=True, bidirectional=True)(zeros((2, 7, 3)))
    >>> output.shape, hidden.shape, cell.shape
    ((2, 7, 10), (2, 2, 5), (2, 2, 5))
    """

    kind = "LSTM"
    gates = 4

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        *,
        rng: np.random.Generator | None = None,
        seed: int | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        if proj_size:
            raise ArgumentError(
                f"LSTM: proj_size is not available, got {proj_size!r}; put nn.Linear({hidden_size}, {proj_size}) "
                "behind the layer"
            )
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, rng, seed, dtype
        )

    def _begin(self, hx: State, batch: int, single: bool) -> list[Any]:
        if hx is None:
            hx = (None, None)
        if not (isinstance(hx, (tuple, list)) and len(hx) == 2):
            raise ArgumentError("LSTM: the state is a pair (h_0, c_0); say layer(x, (h, c))")
        return [self._initial(given, batch, single, name) for given, name in zip(hx, ("h_0", "c_0"), strict=True)]

    def _begins(self, begin: list[Any], place: int) -> tuple[Any, Any]:
        return getitem(begin[0], place), getitem(begin[1], place)

    def _mapped(self, state: State, function: Any) -> State:
        return function(state[0]), function(state[1])

    def _joined(self, lasts: list[Any], cells: list[Any]) -> State:
        return stack(lasts, 0), stack(cells, 0)


# --- cells ----------------------------------------------------------------------------------------


class _Cell(_Weights):
    """One step of a recurrence on a batch."""

    nonlinearity: str = "tanh"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool,
        rng: np.random.Generator | None,
        seed: int | None,
        dtype: DTypeLike | None,
    ) -> None:
        super().__init__()
        _positive(type(self).__name__, input_size=input_size, hidden_size=hidden_size)
        self.input_size, self.hidden_size, self.bias = int(input_size), int(hidden_size), bool(bias)
        rows = self.gates * self.hidden_size
        shapes: dict[str, tuple[int, ...] | None] = {
            "weight_ih": (rows, self.input_size),
            "weight_hh": (rows, self.hidden_size),
            "bias_ih": (rows,) if self.bias else None,
            "bias_hh": (rows,) if self.bias else None,
        }
        self._draw(shapes, generator(rng, seed), dtype)

    def _step(self, input: Any, hidden: Any, cell: Any = None) -> tuple[Any, Any]:
        name, size = type(self).__name__, self.input_size
        x = self._floats(input)
        shape = tuple(x.shape)
        if len(shape) not in (1, 2) or shape[-1] != size:
            raise ShapeError(
                f"{name} expected input of shape (batch, features) = (…, {size}), one time step, got {shape}; a whole "
                f"sequence goes through nn.{self.kind}({size}, {self.hidden_size})"
            )
        single = len(shape) == 1
        held = (*shape[:-1], self.hidden_size)
        axes = "(hidden,)" if single else "(batch, hidden)"
        zeros = np.zeros(held, self._first_weight().dtype)
        begins = [self._state(given, held, label, axes, zeros) for given, label in ((hidden, "h"), (cell, "c"))]
        if single:
            x, begins = unsqueeze(x, 0), [unsqueeze(one, 0) for one in begins]
        hidden, cell = begins
        _, state, cell = _run(
            self.kind, unsqueeze(x, 0), hidden, cell, self._weights(""), nonlinearity=self.nonlinearity
        )
        if single:
            state = reshape(state, held)
            cell = None if cell is None else reshape(cell, held)
        return state, cell

    def forward(self, input: Any, hx: State = None) -> State:
        """One step: ``(batch, input_size)`` and the state ``(batch, hidden_size)``, by default zeros, to the next."""
        return self._step(input, hx)[0]

    def extra_repr(self) -> str:
        """The sizes, and whether there are biases."""
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")


class RNNCell(_Cell):
    """One step of an :class:`RNN`: ``h' = tanh(W_ih x + b_ih + W_hh h + b_hh)``.

    Args:
        input_size, hidden_size, bias, nonlinearity, rng, seed, dtype: as for :class:`RNN`.

    Attributes:
        weight_ih, weight_hh, bias_ih, bias_hh: as those of the layer.
    """

    kind = "RNN"
    gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        *,
        rng: np.random.Generator | None = None,
        seed: int | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, rng, seed, dtype)
        self.nonlinearity = _nonlinearity("RNNCell", nonlinearity)


class GRUCell(_Cell):
    """One step of a :class:`GRU`, whose formulas, arguments and rows of weights it has."""

    kind = "GRU"
    gates = 3

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        rng: np.random.Generator | None = None,
        seed: int | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, rng, seed, dtype)


class LSTMCell(_Cell):
    """One step of an :class:`LSTM`, whose formulas, arguments and rows of weights it has; its state is (h, c)."""

    kind = "LSTM"
    gates = 4

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        rng: np.random.Generator | None = None,
        seed: int | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, rng, seed, dtype)

    def forward(self, input: Any, hx: State = None) -> State:
        """One step: ``(batch, input_size)`` and the pair ``(h, c)``, zeros by default, to the next pair."""
        if hx is None:
            hx = (None, None)
        if not (isinstance(hx, (tuple, list)) and len(hx) == 2):
            raise ArgumentError("LSTMCell: the state is a pair (h, c); say cell(x, (h, c))")
        return self._step(input, *hx)
