"""Shapes: rearranging, joining and picking, each with its adjoint."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..capture import capturing, reading
from ..errors import DTypeError, ShapeError
from ..samples import Indexing, Joining, Places, Reshaping
from ..tape import Array, Traced
from . import batched, native
from .broadcast import broadcast_to
from .declare import primitive, same_dtype, stands_for
from .kernels import chosen, normalise_axes, normalise_axis
from .names import both_names


@primitive(
    name="reshape",
    vjp=(lambda g, x_shape: reshaped(g, shape=x_shape),),
    reference=lambda np, x, *, shape: np.reshape(x, shape),
    samples=Reshaping("reshape"),
    passes_on=True,
    latex=r"\operatorname{{reshape}}({0}, {shape})",
    batch=batched.reshaping,
    text="{x}.reshape({shape})",
    native=native.reshaping,
)
def reshaped(x: Array, *, shape: tuple[int, ...]) -> Array:
    """The same values in C order under another shape."""
    return x.reshape(shape)


def _as_sizes(sizes: tuple[Any, ...]) -> tuple[int, ...]:
    if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)):
        sizes = tuple(sizes[0])
    return tuple([int(size) for size in sizes])


@stands_for(np.reshape)
def reshape(input: Any, *sizes: Any, shape: Any = None) -> Any:
    """``input`` under another shape, given as one tuple or as several ints; one of them may be -1.

    Raises:
        ShapeError: the number of elements differs.
    """
    sizes = _as_sizes(sizes if shape is None else (shape,))
    try:
        return reshaped(input, shape=sizes)
    except ValueError:
        raise ShapeError(f"cannot reshape {input.size} elements of shape {tuple(input.shape)} into {sizes}") from None


def flatten(input: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    """Merge the axes from ``start_dim`` to ``end_dim`` into one; a 0-d input becomes 1-d."""
    if input.ndim == 0:
        return reshaped(input, shape=(1,))
    first, last = normalise_axis(start_dim, input.ndim), normalise_axis(end_dim, input.ndim)
    if first > last:
        raise ShapeError(f"flatten: start_dim {start_dim} lies after end_dim {end_dim} in shape {tuple(input.shape)}")
    merged = 1
    for size in input.shape[first : last + 1]:
        merged *= size
    return reshaped(input, shape=(*input.shape[:first], merged, *input.shape[last + 1 :]))


@stands_for(np.squeeze)
def squeeze(input: Any, axis: int | tuple[int, ...] | None = None, *, dim: int | tuple[int, ...] | None = None) -> Any:
    """Drop axes of length 1: all of them, or those named that have it."""
    axes = set(normalise_axes(chosen(axis, dim), input.ndim))
    return reshaped(input, shape=tuple([size for i, size in enumerate(input.shape) if size != 1 or i not in axes]))


@stands_for(np.expand_dims)
def unsqueeze(input: Any, axis: int | None = None, *, dim: int | None = None) -> Any:
    """Insert an axis of length 1 at ``axis``."""
    place = normalise_axis(chosen(axis, dim), input.ndim + 1)
    return reshaped(input, shape=(*input.shape[:place], 1, *input.shape[place:]))


@stands_for(np.broadcast_to)
def expand(input: Any, *sizes: Any, size: Any = None) -> Any:
    """``input`` broadcast to a shape; -1 leaves an axis as it is.

    Raises:
        ShapeError: an axis of another length than 1 would have to grow.
    """
    sizes = _as_sizes(sizes if size is None else (size,))
    extra = len(sizes) - input.ndim
    full = tuple([input.shape[i - extra] if size == -1 and i >= extra else size for i, size in enumerate(sizes)])
    grown = zip(input.shape, full[max(extra, 0) :], strict=False)
    if extra < 0 or any(old not in (1, new) for old, new in grown):
        raise ShapeError(f"cannot expand shape {tuple(input.shape)} to {sizes}: only axes of length 1 can grow")
    return broadcast_to(input, shape=full)


def _inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    back = [0] * len(axes)
    for new, old in enumerate(axes):
        back[old] = new
    return tuple(back)


def _turned(axes: tuple[int, ...] = (1, 0)) -> str:
    """A transpose where all axes are reversed, as those of a matrix are."""
    return r"{0}^\top" if axes == tuple(reversed(range(len(axes)))) else r"\operatorname{{permute}}({0}, {axes})"


@primitive(
    name="permute",
    vjp=(lambda g, axes: permuted(g, axes=_inverse(axes)),),
    reference=lambda np, x, *, axes: np.transpose(x, axes),
    samples=Reshaping("permute"),
    passes_on=True,
    latex=_turned,
    batch=batched.permuting,
    text="{x}.transpose({axes})",
    native=native.permuting,
)
def permuted(x: Array, *, axes: tuple[int, ...]) -> Array:
    """The axes in another order."""
    return x.transpose(axes)


def permute(input: Any, *axes: Any, dims: Any = None) -> Any:
    """The axes in the order given, as one tuple or as several ints.

    Raises:
        ShapeError: the axes given are not each axis once.
    """
    order = tuple([normalise_axis(axis, input.ndim) for axis in _as_sizes(axes if dims is None else (dims,))])
    if sorted(order) != list(range(input.ndim)):
        raise ShapeError(f"permute: {order} does not name each of the {input.ndim} axes of {tuple(input.shape)} once")
    return permuted(input, axes=order)


@stands_for(np.swapaxes)
def transpose(
    input: Any,
    axis0: int | None = None,
    axis1: int | None = None,
    *,
    dim0: int | None = None,
    dim1: int | None = None,
) -> Any:
    """Swap two axes; without arguments reverse them all."""
    axis0, axis1 = chosen(axis0, dim0), chosen(axis1, dim1)
    order = list(range(input.ndim))
    if axis0 is None or axis1 is None:
        return permuted(input, axes=tuple(reversed(order)))
    a, b = normalise_axis(axis0, input.ndim), normalise_axis(axis1, input.ndim)
    order[a], order[b] = b, a
    return permuted(input, axes=tuple(order))


# --- picking --------------------------------------------------------------------------------------


def _is_basic(index: Any) -> bool:
    parts = index if isinstance(index, tuple) else (index,)
    return all(part is None or part is Ellipsis or isinstance(part, (int, slice)) for part in parts)


@primitive(
    name="getitem",
    vjp=(lambda g, x_shape, index: put(g, shape=x_shape, index=index),),
    reference=lambda np, x, *, index: np.array(x)[index],
    samples=Indexing(),
    latex="{0}[{index}]",
    batch=batched.picking,
    text="{x}[{index}]",
    native=native.picking,
    part=lambda index: index if _is_basic(index) else None,
)
def index(x: Array, *, index: Any) -> Array:
    """NumPy's indexing: integers, slices, None, Ellipsis, integer arrays, boolean masks."""
    return x[index]


@primitive(
    vjp=(lambda g, index: getitem(g, index),),
    reference=lambda np, x, *, shape, index: _put_one_by_one(np, x, shape, index),
    samples=Indexing(adjoint=True),
    passes_on=True,
    latex=r"\operatorname{{put}}({0}, [{index}])",
    batch=batched.putting,
    native=native.putting,
)
def put(x: Array, *, shape: tuple[int, ...], index: Any) -> Array:
    """Zeros of ``shape`` with ``x`` added at ``index``; repeated indices add up. The adjoint of indexing."""
    out = np.zeros(shape, x.dtype)
    if _is_basic(index):
        out[index] = x
    else:
        np.add.at(out, index, x)
    return out


def _put_one_by_one(np: Any, x: Any, shape: tuple[int, ...], where: Any) -> Any:
    places = np.arange(int(np.prod(shape))).reshape(shape)[where]
    out = np.zeros(shape, x.dtype)
    for place, value in zip(np.ravel(places), np.ravel(np.broadcast_to(x, np.shape(places))), strict=True):
        out.flat[place] += value
    return out


def _plain_part(part: Any) -> Any:
    if isinstance(part, Traced):
        reading(part, "an index")
        part = part.data
    return _untraced_part(part)


def _untraced_part(part: Any) -> Any:
    if isinstance(part, list):
        part = np.asarray(part, dtype=None if part else np.intp)
    if isinstance(part, (np.ndarray, np.generic)):
        if part.dtype.kind not in "iub":
            raise DTypeError(f"indices are integers or booleans, got dtype {part.dtype}; say index.astype(int)")
        return int(part) if part.ndim == 0 and part.dtype.kind != "b" else part
    return part


def getitem(x: Any, where: Any) -> Any:
    """``x[where]`` with all of NumPy's indexing; gradients of repeated indices add up.

    Raises:
        IndexError: as NumPy does. DTypeError: an index that is not made of integers or booleans.
    """
    if not isinstance(where, (Traced, tuple)):
        return index(x, index=_plain_part(where))
    if capturing():
        parts = where if isinstance(where, tuple) else (where,)
        if any(isinstance(part, Traced) and part.node is not None for part in parts):
            return _pick_at(x, parts)
    return index(x, index=plain_index(where))


def plain_index(where: Any) -> Any:
    """An index as NumPy takes it: tensors and lists in it become integer or boolean arrays."""
    return tuple([_plain_part(part) for part in where]) if isinstance(where, tuple) else _plain_part(where)


# Indices are plain data, except in a captured run, where each sample may have its own: there they become operands.


@primitive(
    vjp=(lambda g, x_shape, places: scatter(g, places, shape=x_shape), None),
    reference=lambda np, x, places: np.take(x, places),
    samples=Places("pick"),
    latex="{0}[{1}]",
    batch=batched.picking_each,
    text="{x}[{places}]",
    native=native.picking_each,
)
def pick(x: Array, places: Array) -> Array:
    """The elements of a vector at ``places``, an integer array of any shape."""
    return x[places]


@primitive(
    vjp=(lambda g, places: pick(g, places), None),
    reference=lambda np, x, places, *, shape: _put_one_by_one(np, x, shape, places),
    samples=Places("scatter"),
    latex=r"\operatorname{{put}}({0}, {1})",
    batch=batched.putting_each,
    native=native.putting_each,
)
def scatter(x: Array, places: Array, *, shape: tuple[int, ...]) -> Array:
    """A vector of zeros with ``x`` added at ``places``: the adjoint of :func:`pick`."""
    out = np.zeros(shape, x.dtype)
    np.add.at(out, places, x)
    return out


@primitive(
    vjp=(),
    samples=Places("index"),
    latex=r"\operatorname{{places}}({operands})",
    batch=batched.indexing_each,
    native=native.indexing_each,
)
def places_of(*arrays: Array, shape: tuple[int, ...], pattern: tuple[Any, ...]) -> Array:
    """Which elements of an array of ``shape``, flattened, an index picks.

    ``pattern`` is the index, with ``(k,)`` in the place of ``arrays[k]``.
    """
    parts = [_untraced_part(arrays[part[0]] if isinstance(part, tuple) else part) for part in pattern]
    return np.asarray(np.arange(math.prod(shape)).reshape(shape)[tuple(parts)])


def _pick_at(x: Any, parts: tuple[Any, ...]) -> Any:
    arrays: list[Any] = []
    pattern: list[Any] = []
    for part in parts:
        if isinstance(part, Traced) and part.node is not None:
            pattern.append((len(arrays),))
            arrays.append(part)
        else:
            pattern.append(_plain_part(part))
    places = places_of(*arrays, shape=tuple(x.shape), pattern=tuple(pattern))
    flat = reshaped(x, shape=(math.prod(x.shape),))
    return pick(flat, places)


def select(x: Any, axis: int, which: int | slice) -> Any:
    """``x`` at one index, or at a slice, of one axis."""
    return index(x, index=(*([slice(None)] * axis), which))


# --- joining --------------------------------------------------------------------------------------


def _cat_rule(position: int) -> Any:
    return lambda g, axis, ends: select(g, axis, slice(ends[position - 1] if position else 0, ends[position]))


@primitive(
    name="cat",
    vjp=_cat_rule,
    reference=lambda np, *arrays, axis, ends: np.concatenate(arrays, axis),
    samples=Joining(),
    passes_on=True,
    latex=r"\operatorname{{cat}}({operands}, {axis})",
    batch=batched.joining,
    native=native.joining,
)
def joined(*arrays: Array, axis: int, ends: tuple[int, ...], out: Array | None = None) -> Array:
    """Arrays one after the other along ``axis``; ``ends`` says where each ends."""
    return np.concatenate(arrays, axis, out=out)


@stands_for(np.concatenate)
@both_names
def cat(tensors: Sequence[Any], axis: int | None = None, *, dim: int | None = None) -> Any:
    """Tensors one after the other along ``axis`` (0 by default); their other axes must agree.

    Raises:
        ShapeError: no tensors, or shapes that differ in another axis.
    """
    axis = chosen(axis, dim, 0)
    if len(tensors) == 0:
        raise ShapeError("cat needs at least one tensor")
    tensors = same_dtype(*tensors)
    shapes = [tuple(one.shape) for one in tensors]
    if len(shapes[0]) == 0:
        raise ShapeError("cat: 0-d tensors have no axis to join along; use stack")
    place = normalise_axis(axis, len(shapes[0]))
    if len({(*shape[:place], *shape[place + 1 :]) for shape in shapes}) > 1 or len({len(s) for s in shapes}) > 1:
        raise ShapeError(f"cat along axis {axis}: shapes {shapes} differ in another axis")
    ends = np.cumsum([shape[place] for shape in shapes]).tolist()
    return joined(*tensors, axis=place, ends=tuple(ends))


@stands_for(np.stack)
@both_names
def stack(tensors: Sequence[Any], axis: int | None = None, *, dim: int | None = None) -> Any:
    """Tensors of one shape side by side along a new ``axis`` (0 by default).

    Raises:
        ShapeError: no tensors, or shapes that differ.
    """
    axis = chosen(axis, dim, 0)
    if len(tensors) == 0:
        raise ShapeError("stack needs at least one tensor")
    tensors = same_dtype(*tensors)
    if len({tuple(one.shape) for one in tensors}) != 1:
        raise ShapeError(f"stack needs tensors of one shape, got {[tuple(one.shape) for one in tensors]}")
    return cat([unsqueeze(one, axis) for one in tensors], axis)
