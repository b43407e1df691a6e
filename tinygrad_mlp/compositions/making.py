"""Making tensors: from data, by a rule, and at random with a generator."""

from __future__ import annotations

import secrets
from typing import Any

import numpy as np

from ..dtypes import get_default_dtype
from ..errors import ArgumentError, DTypeError
from ..tape import Traced, wrap
from ..tensor import Tensor, from_numpy, generator, tensor
from .common import both_names, data_of, operand, sizes_of


class Generator:
    """A source of random numbers with torch's face; what draws is ``numpy.random.Generator``.

    >>> g = Generator().manual_seed(0)
    >>> randint(10, (3,), generator=g).shape
    (3,)
    """

    def __init__(self, device: str = "cpu") -> None:
        if device != "cpu":
            raise ArgumentError(f"Generator: there is one device, 'cpu', got {device!r}")
        self.device = device
        self._seed = secrets.randbits(64)
        self.numpy = np.random.default_rng(self._seed)

    def manual_seed(self, seed: int) -> Generator:
        """Begin again from a seed."""
        self._seed = int(seed)
        self.numpy = np.random.default_rng(self._seed)
        return self

    def initial_seed(self) -> int:
        """The seed that it began from."""
        return self._seed

    def seed(self) -> int:
        """Begin again from a seed that nobody knows, and say it."""
        self.manual_seed(secrets.randbits(63))
        return self._seed

    def get_state(self) -> Tensor:
        """Where it is, as bytes: :meth:`set_state` goes on from there."""
        state: Any = self.numpy.bit_generator.state
        words = [state["state"]["state"], state["state"]["inc"]]
        rest = [state["has_uint32"], state["uinteger"]]
        packed = b"".join(
            [*[one.to_bytes(16, "little") for one in words], *[one.to_bytes(4, "little") for one in rest]]
        )
        return wrap(Tensor, np.frombuffer(packed, np.uint8).copy())

    def set_state(self, new_state: Any) -> None:
        """Go on from where :meth:`get_state` was asked.

        Raises:
            ArgumentError: not such a state.
        """
        packed = np.asarray(data_of(new_state))
        if packed.dtype != np.uint8 or packed.shape != (40,):
            raise ArgumentError(f"set_state: the 40 bytes of get_state(), got {packed.dtype} of shape {packed.shape}")
        words = [int.from_bytes(packed[i : i + 16].tobytes(), "little") for i in (0, 16)]
        rest = [int.from_bytes(packed[i : i + 4].tobytes(), "little") for i in (32, 36)]
        self.numpy.bit_generator.state = {
            "bit_generator": "PCG64",
            "state": {"state": words[0], "inc": words[1]},
            "has_uint32": rest[0],
            "uinteger": rest[1],
        }

    def __repr__(self) -> str:
        return f"Generator(seed={self._seed})"


default_generator = Generator()


def manual_seed(seed: int) -> Generator:
    """Seed the generator that the functions of this module draw from by default.

    ``rand``, ``randn`` and layers have ``seed=`` and ``rng=`` of their own, and do not draw from it.
    """
    return default_generator.manual_seed(seed)


def seed() -> int:
    """Seed the default generator with what nobody knows, and say it."""
    return default_generator.seed()


def initial_seed() -> int:
    """The seed of the default generator."""
    return default_generator.initial_seed()


def get_rng_state() -> Tensor:
    """Where the default generator is, as bytes."""
    return default_generator.get_state()


def set_rng_state(new_state: Any) -> None:
    """Let the default generator go on from where :func:`get_rng_state` was asked.

    Raises:
        ArgumentError: not such a state.
    """
    default_generator.set_state(new_state)


def _source(given: Any) -> np.random.Generator:
    if given is None:
        return generator(default_generator.numpy, None)
    return given.numpy if isinstance(given, Generator) else generator(given, None)


def _made(array: Any, dtype: Any, requires_grad: bool) -> Tensor:
    made = wrap(Tensor, np.asarray(array) if dtype is None else np.asarray(array).astype(dtype))
    made.requires_grad = requires_grad
    return made


def _floats(dtype: Any) -> Any:
    return get_default_dtype() if dtype is None else dtype


@both_names
def as_tensor(data: Any, dtype: Any = None) -> Tensor:
    """``data`` as a tensor: a tensor of the dtype asked for stays itself, an array shares its memory."""
    if isinstance(data, Tensor):
        return data if dtype is None or data.dtype == np.dtype(dtype) else data.astype(dtype)
    if isinstance(data, np.ndarray) and data.dtype.kind in "fiub" and (dtype is None or data.dtype == np.dtype(dtype)):
        return wrap(Tensor, np.asarray(data))
    return tensor(data, dtype=dtype)


@both_names
def asarray(obj: Any, *, dtype: Any = None, copy: bool | None = None, requires_grad: bool = False) -> Tensor:
    """``obj`` as a tensor, copied where that is asked for."""
    made = tensor(data_of(obj) if isinstance(obj, Traced) else obj, dtype=dtype) if copy else as_tensor(obj, dtype)
    if requires_grad:
        made.requires_grad = True
    return made


def from_dlpack(ext_tensor: Any, *, device: Any = None, copy: bool | None = None) -> Tensor:
    """A tensor that shares the memory of another library's array on the CPU, through DLPack.

    Raises:
        DTypeError: it has no ``__dlpack__``, or its numbers are of a kind that tensors do not hold.
        BufferError: its memory is not on the CPU, or must not be written to and is not shared then.
        ArgumentError: another device than ``"cpu"``.

    >>> import numpy as np
    >>> row = np.zeros(2)
    >>> t = from_dlpack(row)
    >>> row[0] = 1.0
    >>> t
    tensor([1., 0.], dtype=float64)
    """
    if not hasattr(ext_tensor, "__dlpack__"):
        raise DTypeError(f"from_dlpack: {type(ext_tensor).__name__} has no __dlpack__; tensor(x) copies numbers")
    if device not in {None, "cpu"}:
        raise ArgumentError(f"from_dlpack: there is one device, 'cpu', got {device!r}")
    shared = np.from_dlpack(ext_tensor)
    return tensor(shared) if copy else from_numpy(shared)


@both_names(s="value")
def scalar_tensor(value: float, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """A number as a 0-d tensor."""
    return _made(np.asarray(value, _floats(dtype)), None, requires_grad)


@both_names
def empty(*sizes: Any, size: Any = None, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Zeros of a shape: memory that holds anything would make a program's bugs depend on chance."""
    return _made(np.zeros(sizes_of(sizes if size is None else (size,)), _floats(dtype)), None, requires_grad)


@both_names
def empty_like(input: Any, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Zeros in the shape and dtype of ``input``."""
    return _made(np.zeros(input.shape, input.dtype if dtype is None else dtype), None, requires_grad)


@both_names
def logspace(
    start: float, end: float, steps: int, base: float = 10.0, *, dtype: Any = None, requires_grad: bool = False
) -> Tensor:
    """``base`` to the powers from ``start`` to ``end``, evenly spaced."""
    return _made(np.logspace(start, end, steps, base=base), _floats(dtype), requires_grad)


# --- at random ---


@both_names
def randint(low: int = 0, high: Any = None, size: Any = None, *, generator: Any = None, dtype: Any = None) -> Tensor:
    """Integers from ``low`` (0 by default) up to but without ``high``; ``randint(high, size)`` is understood.

    Raises:
        ArgumentError: no size, or nothing between ``low`` and ``high``.
    """
    if size is None:
        low, high, size = 0, low, high
    elif high is None:
        low, high = 0, low
    if size is None or isinstance(size, int):
        raise ArgumentError("randint: give the size as a tuple: randint(10, (2, 3)) or randint(0, 10, (2, 3))")
    if low >= high:
        raise ArgumentError(f"randint: expected low < high, got {low} and {high}")
    return _made(_source(generator).integers(low, high, tuple(size)), np.int64 if dtype is None else dtype, False)


@both_names
def randint_like(input: Any, low: int, high: Any = None, *, generator: Any = None, dtype: Any = None) -> Tensor:
    """:func:`randint` in the shape and dtype of ``input``."""
    low, high = (0, low) if high is None else (low, high)
    return randint(low, high, tuple(input.shape), generator=generator, dtype=input.dtype if dtype is None else dtype)


@both_names
def randperm(n: int, *, generator: Any = None, dtype: Any = None) -> Tensor:
    """The numbers 0 … n - 1 in random order."""
    return _made(_source(generator).permutation(n), np.int64 if dtype is None else dtype, False)


@both_names
def normal(mean: Any, std: Any = 1.0, size: Any = None, *, generator: Any = None, dtype: Any = None) -> Tensor:
    """Normal numbers of a mean and a standard deviation, numbers or tensors; ``size`` where both are numbers."""
    means, widths = data_of(mean), data_of(std)
    if (widths < 0).any():
        raise ArgumentError("normal: a standard deviation is not negative")
    shape = np.broadcast_shapes(means.shape, widths.shape) if size is None else tuple(size)
    kinds = [one.dtype for one in (means, widths) if one.ndim and one.dtype.kind == "f"]
    drawn = _source(generator).standard_normal(shape) * widths + means
    return _made(drawn, dtype or (kinds[0] if kinds else get_default_dtype()), False)


@both_names
def bernoulli(input: Any, p: float | None = None, *, generator: Any = None) -> Tensor:
    """0 or 1, with the probability of 1 at each place of ``input``, or ``p`` everywhere.

    Raises:
        ArgumentError: a probability outside 0 … 1.
    """
    shares = np.full(input.shape, p) if p is not None else data_of(input)
    if ((shares < 0) | (shares > 1)).any():
        raise ArgumentError("bernoulli: a probability is in 0 … 1")
    return _made(_source(generator).random(shares.shape) < shares, input.dtype, False)


@both_names
def multinomial(input: Any, num_samples: int, replacement: bool = False, *, generator: Any = None) -> Tensor:
    """Places drawn with the probabilities that the weights of each row give.

    Raises:
        ArgumentError: negative weights, or fewer of them above 0 than samples without replacement.
    """
    weights = np.asarray(data_of(input), np.float64)
    rows = np.atleast_2d(weights)
    if (rows < 0).any() or (rows.sum(-1) <= 0).any():
        raise ArgumentError("multinomial: weights are not negative and not all 0")
    if not replacement and ((rows > 0).sum(-1) < num_samples).any():
        raise ArgumentError(f"multinomial: {num_samples} samples without replacement of fewer weights above 0")
    source = _source(generator)
    found = [source.choice(row.size, num_samples, replacement, row / row.sum()) for row in rows]
    return _made(np.stack(found) if weights.ndim > 1 else found[0], np.int64, False)


@both_names
def poisson(input: Any, generator: Any = None) -> Tensor:
    """Counts of Poisson's distribution with the rate at each place of ``input``."""
    return _made(_source(generator).poisson(data_of(input)), input.dtype, False)


@both_names
def binomial(count: Any, prob: Any, generator: Any = None) -> Tensor:
    """How often something of probability ``prob`` happens in ``count`` trials, at each place.

    Raises:
        ArgumentError: a probability outside 0 … 1, or a negative count.
    """
    trials, share = np.broadcast_arrays(data_of(count), data_of(prob))
    if ((share < 0) | (share > 1) | (trials < 0)).any():
        raise ArgumentError("binomial: a count is not negative, and a probability is in 0 … 1")
    return _made(_source(generator).binomial(trials.astype(np.int64), share), operand(count).dtype, False)


# --- windows ---


def _window(length: int, periodic: bool, shape: Any, dtype: Any, requires_grad: bool) -> Tensor:
    """A window as a function of the place, from 0 to 1; a periodic one leaves out its last element."""
    if length < 0:
        raise ArgumentError(f"a window is not shorter than 0, got {length}")
    last = length if periodic else length - 1
    at = np.arange(length) / last if last > 0 else np.full(length, 0.5)
    return _made(shape(at) if length > 1 else np.ones(length), _floats(dtype), requires_grad)


def hann_window(window_length: int, periodic: bool = True, *, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Hann's window, ``sin(pi n / N)**2``; ``periodic`` for the Fourier transform, else symmetric.

    Source: Harris, "On the use of windows for harmonic analysis", Proc. IEEE 66, 1978, as for the others.
    """
    return _window(window_length, periodic, lambda t: np.sin(np.pi * t) ** 2, dtype, requires_grad)


def hamming_window(
    window_length: int,
    periodic: bool = True,
    alpha: float = 0.54,
    beta: float = 0.46,
    *,
    dtype: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Hamming's window, ``alpha - beta cos(2 pi n / N)``; see :func:`hann_window`."""
    return _window(window_length, periodic, lambda t: alpha - beta * np.cos(2 * np.pi * t), dtype, requires_grad)


def blackman_window(
    window_length: int, periodic: bool = True, *, dtype: Any = None, requires_grad: bool = False
) -> Tensor:
    """Blackman's window, ``0.42 - cos(2 pi n / N) / 2 + 0.08 cos(4 pi n / N)``; see :func:`hann_window`."""

    def shape(t: Any) -> Any:
        return 0.42 - 0.5 * np.cos(2 * np.pi * t) + 0.08 * np.cos(4 * np.pi * t)

    return _window(window_length, periodic, shape, dtype, requires_grad)


def bartlett_window(
    window_length: int, periodic: bool = True, *, dtype: Any = None, requires_grad: bool = False
) -> Tensor:
    """Bartlett's triangle, ``1 - |2 n / N - 1|``; see :func:`hann_window`."""
    return _window(window_length, periodic, lambda t: 1.0 - np.abs(2.0 * t - 1.0), dtype, requires_grad)


def kaiser_window(
    window_length: int, periodic: bool = True, beta: float = 12.0, *, dtype: Any = None, requires_grad: bool = False
) -> Tensor:
    """Kaiser's window, ``I0(beta sqrt(1 - (2 n / N - 1)**2)) / I0(beta)``; see :func:`hann_window`."""

    def shape(t: Any) -> Any:
        return np.i0(beta * np.sqrt(np.maximum(1.0 - (2.0 * t - 1.0) ** 2, 0.0))) / np.i0(beta)

    return _window(window_length, periodic, shape, dtype, requires_grad)
