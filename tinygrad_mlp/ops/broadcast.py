"""Broadcasting and its undoing: each is the other's gradient."""

from __future__ import annotations

from ..samples import Reshaping
from ..tape import Array
from . import batched, calls, native
from .declare import primitive
from .kernels import broadcast, sum_down


@primitive(
    vjp=(lambda g, x_shape: sum_to(g, shape=x_shape),),
    reference=lambda np, x, *, shape: np.zeros(shape, x.dtype) + x,
    samples=Reshaping("broadcast"),
    passes_on=True,
    latex=r"\operatorname{{broadcast}}({0})",
    batch=batched.broadcasting,
    native=native.broadcasting,
)
def broadcast_to(x: Array, *, shape: tuple[int, ...]) -> Array:
    """``x`` repeated along new and length-1 axes until it has ``shape``; NumPy's broadcasting rule."""
    return broadcast(x, shape)


@primitive(
    vjp=(lambda g, x_shape: broadcast_to(g, shape=x_shape),),
    reference=lambda np, x, *, shape: np.reshape(np.einsum(x, [*range(x.ndim)], _surviving(x.shape, shape)), shape),
    samples=Reshaping("sum_to"),
    passes_on=True,
    latex=r"\sum {0}",
    calls=calls.summing_to,
    batch=batched.summing_to,
    native=native.summing_to,
)
def sum_to(x: Array, *, shape: tuple[int, ...]) -> Array:
    """The sum of ``x`` over the axes along which an array of ``shape`` was broadcast; the adjoint of broadcasting."""
    return sum_down(x, shape)


def _surviving(shape: tuple[int, ...], kept: tuple[int, ...]) -> list[int]:
    extra = len(shape) - len(kept)
    return [i for i, size in enumerate(shape) if i >= extra and kept[i - extra] == size]
