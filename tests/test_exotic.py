"""F13: unusual arrays beside a tensor: the same bits as a plain copy, or a TypeError; nothing is lost in silence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinygrad_mlp import Tensor, autograd, ops
from tinygrad_mlp.errors import DTypeError, GradientError

BASE = np.array([[1.5, 2.0, 3.0], [0.25, 5.0, 6.0]])
PLAIN = np.array([[0.5, 1.0, 2.0], [3.0, 0.75, 4.0]])


class Branded(np.ndarray):
    """A subclass of ndarray, as pandas, astropy and others have them."""


def accepted(folder: Path) -> dict[str, Any]:
    """Arrays that say the same in an unusual way."""
    BASE.tofile(folder / "numbers")
    return {
        "Fortran order": np.asfortranarray(BASE),
        "sliced": np.repeat(np.repeat(BASE, 2, 0), 3, 1)[::2, ::3],
        "negative strides": BASE[::-1, ::-1].copy()[::-1, ::-1],
        "stride 0, read-only": np.broadcast_to(np.array([[1.5], [2.0]]), (2, 3)),
        "big-endian": BASE.astype(">f8"),
        "big-endian float32": BASE.astype(">f4"),
        "float16": BASE.astype(np.float16),
        "longdouble": BASE.astype(np.longdouble),
        "read-only memmap": np.memmap(folder / "numbers", dtype=float, mode="r", shape=BASE.shape),
        "np.matrix": BASE.view(np.matrix),
        "ndarray subclass": BASE.view(Branded),
        "big-endian integers": (4 * BASE).astype(">i8"),
        "uint8": (4 * BASE).astype(np.uint8),
        "booleans": BASE > 2,
    }


REFUSED: dict[str, Any] = {
    "complex": BASE + 1j,
    "objects": BASE.astype(object),
    "masked": np.ma.masked_array(BASE, BASE > 3),
    "masked without a mask": np.ma.masked_array(BASE),
    "strings": BASE.astype(str),
    "bytes": BASE.astype("S"),
    "dates": BASE.astype(int).astype("datetime64[s]"),
    "durations": BASE.astype(int).astype("timedelta64[s]"),
    "structured": np.zeros((2, 3), [("a", float), ("b", int)]),
    "records": np.zeros((2, 3), [("a", float), ("b", int)]).view(np.recarray),
    "raw memory": BASE.view("V8"),
}

# Each takes a tensor that records and an array of its shape.
BESIDE: dict[str, Callable[[Any, Any], Any]] = {
    "t + a": lambda t, a: t + a,
    "t - a": lambda t, a: t - a,
    "t * a": lambda t, a: t * a,
    "t / a": lambda t, a: t / a,
    "t ** a": lambda t, a: t**a,
    "t @ a": lambda t, a: t @ a.T,
    "add": lambda t, a: ops.add(a, t),
    "sub": lambda t, a: ops.sub(a, t),
    "mul": lambda t, a: ops.mul(a, t),
    "div": lambda t, a: ops.div(a, t),
    "pow": lambda t, a: ops.pow(a, t),
    "matmul": lambda t, a: ops.matmul(a, t.T),
    "maximum": ops.maximum,
    "minimum": lambda t, a: ops.minimum(a, t),
    "clamp": lambda t, a: t.clamp(max=a),
    "np.add": lambda t, a: np.add(t, a),
    "np.multiply": lambda t, a: np.multiply(t, a),
    "np.maximum": lambda t, a: np.maximum(t, a),
    "where": lambda t, a: ops.where(np.eye(2, 3) > 0, a, t),
    "np.where": lambda t, a: np.where(t > 1, t, a),
    "cat": lambda t, a: ops.cat([t, a]),
    "np.concatenate": lambda t, a: np.concatenate([a, t]),
    "stack": lambda t, a: ops.stack([a, t]),
    "einsum": lambda t, a: ops.einsum("ij,ij->i", t, a),
    "np.einsum": lambda t, a: np.einsum("ij,kj->ik", a, t),
    "outer": lambda t, a: ops.outer(t[0], a[0] if not isinstance(a, np.matrix) else np.asarray(a)[0]),
    "linear": lambda t, a: ops.linear(a, t),
    "mse_loss": ops.mse_loss,
    "binary cross-entropy": ops.binary_cross_entropy_with_logits,
}
every_way = pytest.mark.parametrize("way", BESIDE)


def recording(dtype: Any = np.float64) -> Tensor:
    return Tensor(PLAIN.astype(dtype), requires_grad=True)


def both(fn: Callable[[Any, Any], Any], array: Any, dtype: Any) -> tuple[Any, Any]:
    t = recording(dtype)
    y = fn(t, array)
    (gradient,) = autograd.grad(y, t, [Tensor(np.ones(y.shape, y.dtype))])
    return y.data, gradient.data


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@every_way
def test_unusual_arrays_give_the_bits_of_a_plain_copy(way: str, dtype: Any, tmp_path: Path) -> None:
    """Order, strides, byte order and subclass of an array beside a tensor change no bit of value and gradient."""
    with np.errstate(all="ignore"):
        for name, array in accepted(tmp_path).items():
            plain = np.array(array, array.dtype.newbyteorder("="), order="C", subok=False)
            for found, expected in zip(both(BESIDE[way], array, dtype), both(BESIDE[way], plain, dtype), strict=True):
                assert type(found) is np.ndarray, name
                assert found.dtype == expected.dtype, name
                assert found.dtype.isnative, name
                np.testing.assert_array_equal(found, expected, err_msg=name)


@pytest.mark.parametrize("name", REFUSED)
@every_way
def test_what_would_be_lost_is_refused(way: str, name: str) -> None:
    """Masks, imaginary parts, text, dates and objects beside a tensor are a DTypeError that names the kind."""
    kind = "mask" if "masked" in name else str(REFUSED[name].dtype)
    with pytest.raises(DTypeError) as error:
        BESIDE[way](recording(), REFUSED[name])
    assert kind in str(error.value)


ELSEWHERE: dict[str, Callable[[Any], object]] = {
    "class ids": lambda a: ops.cross_entropy(recording(), a),
    "x += a": lambda a: Tensor(PLAIN).__iadd__(a),
    "x *= a": lambda a: Tensor(PLAIN).__imul__(a),
    "x[...] = a": lambda a: Tensor(PLAIN).__setitem__(slice(None), a),
    "backward(a)": lambda a: (recording() * 1.0).backward(a),
    "in a list": lambda a: ops.add(recording(), [a, a]),
    "Tensor([a])": lambda a: Tensor([a, a]),
    "condition": lambda a: ops.where(a, recording(), 0.0),
    "comparison": lambda a: recording() > a,
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("way", ELSEWHERE)
def test_other_doors_refuse_as_well(way: str, name: str) -> None:
    """Targets, in-place operators, assignments, incoming gradients, lists and comparisons."""
    with pytest.raises(TypeError):
        ELSEWHERE[way](REFUSED[name])


@pytest.mark.parametrize("operation", [lambda a, t: a + t, lambda a, t: a * t, lambda a, t: a / t, lambda a, t: a > t])
def test_a_masked_array_on_the_left_of_a_recorded_tensor(operation: Any) -> None:
    """There NumPy's masked arithmetic goes first: it may not take the tensor off the tape."""
    with pytest.raises((TypeError, GradientError)):
        operation(REFUSED["masked"], recording())


NUMBERS: dict[str, Any] = {
    "complex": 1j,
    "NumPy complex": np.complex128(1j),
    "text": "1.5",
    "NumPy text": np.str_("1.5"),
    "bytes": b"1",
    "date": np.datetime64("2020-01-01"),
    "None": None,
    "masked": np.ma.masked,
    "object": object(),
    "list of text": ["1", "2", "3"],
    "list of None": [None, 1, 2],
    "list with a masked element": [np.ma.masked, 1.0, 2.0],
}


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize(
    "operation", ["__add__", "__rsub__", "__mul__", "__rtruediv__", "__pow__", "maximum", "__gt__"]
)
def test_single_values_that_are_no_numbers(operation: str, name: str) -> None:
    """The same for what is no array at all."""
    with pytest.raises(TypeError):
        getattr(recording(), operation)(NUMBERS[name])


def test_integers_do_not_swallow_fractions() -> None:
    """F12: neither an assignment nor an in-place operator rounds fractions to fit into an integer tensor."""
    x = Tensor(np.arange(3))
    for write in (lambda: x.__setitem__(0, 2.7), lambda: x.__isub__(0.5), lambda: x.__itruediv__(2)):
        with pytest.raises(TypeError):
            write()
    x[0] = 7
    x += 1
    assert x.tolist() == [8, 2, 3]
    flags = Tensor(np.array([True, False]))
    with pytest.raises(DTypeError, match="bool"):
        flags[0] = 0.5


def sequences() -> list[Any]:
    return [[[0.5, 1.0, 2.0]], ((1, 2, 3),), [np.float32(1), 2, 3.5]]


def test_lists_of_numbers_are_arrays() -> None:
    """Lists and tuples of numbers beside a tensor are the array that they spell."""
    for given in sequences():
        np.testing.assert_array_equal((recording() + given).data, PLAIN + np.array(given))
