"""Shapes: splitting, joining, repeating, turning, diagonals and triangles, as compositions of operations."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import ops
from ..errors import ArgumentError, ShapeError
from ..ops.shape import put
from .common import both_names, data_of, floats, like, normalise_axis, operand, sizes_of
from .indexing import flip, index_select

concat, concatenate, broadcast_to = ops.cat, ops.cat, ops.expand
# What torch calls the places of cuts: how many parts, or where.
_PARTS = {"indices": "indices_or_sections", "sections": "indices_or_sections"}


@both_names
def expand_as(input: Any, other: Any) -> Any:
    """``input`` broadcast to the shape of ``other``."""
    return ops.expand(input, tuple(other.shape))


@both_names
def view_as(input: Any, other: Any) -> Any:
    """``input`` under the shape of ``other``."""
    return ops.reshape(input, tuple(other.shape))


reshape_as = view_as


@both_names
def ravel(input: Any) -> Any:
    """All elements in one axis."""
    return ops.reshape(operand(input), (-1,))


@both_names
def unflatten(input: Any, dim: int, sizes: Any) -> Any:
    """The axis ``dim`` as several of ``sizes``."""
    x = operand(input)
    place = normalise_axis(dim, x.ndim)
    return ops.reshape(x, (*x.shape[:place], *_filled(tuple(sizes), x.shape[place]), *x.shape[place + 1 :]))


def _filled(sizes: tuple[int, ...], total: int) -> tuple[int, ...]:
    known = math.prod(size for size in sizes if size != -1)
    return tuple(total // known if size == -1 else size for size in sizes)


# --- axes ---


def _moved(ndim: int, source: Any, destination: Any) -> tuple[int, ...]:
    old = [source] if isinstance(source, int) else [*source]
    new = [destination] if isinstance(destination, int) else [*destination]
    old, new = [normalise_axis(i, ndim) for i in old], [normalise_axis(i, ndim) for i in new]
    if len(old) != len(new) or len(set(old)) < len(old) or len(set(new)) < len(new):
        raise ShapeError(f"movedim: {source} to {destination}: as many axes on both sides, each of them once")
    order = [i for i in range(ndim) if i not in old]
    for place, axis in sorted(zip(new, old, strict=True)):
        order.insert(place, axis)
    return tuple(order)


@both_names
def movedim(input: Any, source: Any, destination: Any) -> Any:
    """Axes moved to other places; the others keep their order."""
    x = operand(input)
    return ops.permute(x, _moved(x.ndim, source, destination))


moveaxis = movedim


@both_names(dim0="axis0", dim1="axis1")
def swapaxes(input: Any, axis0: int, axis1: int) -> Any:
    """Two axes exchanged."""
    x = operand(input)
    return ops.transpose(x, axis0, axis1) if x.ndim else x


swapdims = swapaxes


@both_names
def t(input: Any) -> Any:
    """A matrix transposed; vectors and numbers as they are.

    Raises:
        ShapeError: more than two axes.
    """
    x = operand(input)
    if x.ndim > 2:
        raise ShapeError(f"t: expected at most two axes, got {tuple(x.shape)}; say x.transpose(0, 1) or x.mT")
    return ops.transpose(x) if x.ndim == 2 else x


@both_names
def adjoint(input: Any) -> Any:
    """The last two axes exchanged."""
    return ops.transpose(operand(input), -2, -1)


@both_names
def atleast_1d(*tensors: Any) -> Any:
    """With at least one axis."""
    return _each(tensors, lambda x: ops.reshape(x, (1,)) if x.ndim == 0 else x)


@both_names
def atleast_2d(*tensors: Any) -> Any:
    """With at least two axes; a vector is a row."""
    return _each(tensors, lambda x: ops.reshape(x, (1, *x.shape)[-2:] if x.ndim else (1, 1)) if x.ndim < 2 else x)


@both_names
def atleast_3d(*tensors: Any) -> Any:
    """With at least three axes; of a matrix the third is new."""

    def three(x: Any) -> Any:
        if x.ndim >= 3:
            return x
        return ops.reshape(x, [(1, 1, 1), (1, x.size, 1), (*x.shape, 1)][x.ndim])

    return _each(tensors, three)


def _each(tensors: tuple[Any, ...], function: Any) -> Any:
    if len(tensors) == 1 and not isinstance(tensors[0], (tuple, list)):
        return function(operand(tensors[0]))
    several = tensors[0] if len(tensors) == 1 else tensors
    return tuple(function(operand(one)) for one in several)


@both_names
def broadcast_tensors(*tensors: Any) -> Any:
    """All of one shape."""
    several = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)) else tensors
    shape = np.broadcast_shapes(*[tuple(operand(one).shape) for one in several])
    return tuple(ops.expand(operand(one), shape) for one in several)


def broadcast_shapes(*shapes: Any) -> tuple[int, ...]:
    """The shape that tensors of these shapes broadcast to.

    Raises:
        ShapeError: there is none.
    """
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        raise ShapeError(f"broadcast_shapes: {', '.join(map(str, shapes))} do not broadcast") from None


# --- splitting ---


def _cut(x: Any, ends: Sequence[int], place: int) -> tuple[Any, ...]:
    before = (slice(None),) * place
    starts = [0, *ends[:-1]]
    return tuple(ops.getitem(x, (*before, slice(a, b))) for a, b in zip(starts, ends, strict=True))


@both_names(split_size="split_size_or_sections", split_sizes="split_size_or_sections")
def split(tensor: Any, split_size_or_sections: Any, dim: int = 0) -> tuple[Any, ...]:
    """Parts of a size, the last one smaller where it does not fit, or of the sizes given, along ``dim``.

    Raises:
        ShapeError: sizes that do not add up to the length of the axis.
    """
    x = operand(tensor)
    place = normalise_axis(dim, x.ndim)
    length = x.shape[place]
    if isinstance(split_size_or_sections, (int, np.integer)):
        size = int(split_size_or_sections)
        if size < 1 and length:
            raise ShapeError(f"split: the size of a part is at least 1, got {size}")
        ends = [min(end, length) for end in range(size, length + size, size)] if length else [0]
        return _cut(x, ends, place)
    sections = [int(one) for one in split_size_or_sections]
    if sum(sections) != length:
        raise ShapeError(f"split: {sections} adds up to {sum(sections)}, the axis {dim} has length {length}")
    return _cut(x, [*itertools.accumulate(sections)], place)


@both_names
def split_with_sizes(input: Any, split_sizes: Any, dim: int = 0) -> tuple[Any, ...]:
    """Parts of the sizes given along ``dim``; see :func:`split`."""
    return split(input, list(split_sizes), dim)


@both_names
def chunk(input: Any, chunks: int, dim: int = 0) -> tuple[Any, ...]:
    """At most ``chunks`` parts of one size along ``dim``, the last one smaller where it does not fit."""
    x = operand(input)
    if chunks < 1:
        raise ArgumentError(f"chunk: at least 1 part, got {chunks}")
    length = x.shape[normalise_axis(dim, x.ndim)]
    return split(x, max(-(-length // chunks), 1), dim) if length else (x,) * chunks


# torch's names for those whose parts may be written into without telling the tape; here nothing may.
unsafe_split, unsafe_split_with_sizes, unsafe_chunk = split, split_with_sizes, chunk


@both_names(**_PARTS, tensor_indices_or_sections="indices_or_sections")
def tensor_split(input: Any, indices_or_sections: Any, dim: int = 0) -> tuple[Any, ...]:
    """So many parts, the first ones longer by one where it does not fit, or parts between indices, along ``dim``."""
    x = operand(input)
    if x.ndim == 0:
        raise ShapeError("tensor_split: a 0-d tensor cannot be split")
    place = normalise_axis(dim, x.ndim)
    length = x.shape[place]
    given = indices_or_sections if isinstance(indices_or_sections, (tuple, list)) else data_of(indices_or_sections)
    if not isinstance(given, (tuple, list)) and given.ndim == 0:
        count = int(given)
        small, more = divmod(length, count)
        ends = [*itertools.accumulate(small + (i < more) for i in range(count))]
    else:
        ends = [*[int(one) for one in given], length]
    before = (slice(None),) * place
    starts = [0, *ends[:-1]]
    return tuple(ops.getitem(x, (*before, slice(a, b))) for a, b in zip(starts, ends, strict=True))


@both_names(**_PARTS)
def hsplit(input: Any, indices_or_sections: Any) -> tuple[Any, ...]:
    """:func:`tensor_split` along the second axis, of vectors along the only one."""
    x = operand(input)
    return tensor_split(x, indices_or_sections, 0 if x.ndim == 1 else 1)


@both_names(**_PARTS)
def vsplit(input: Any, indices_or_sections: Any) -> tuple[Any, ...]:
    """:func:`tensor_split` along the first axis."""
    return tensor_split(input, indices_or_sections, 0)


@both_names(**_PARTS)
def dsplit(input: Any, indices_or_sections: Any) -> tuple[Any, ...]:
    """:func:`tensor_split` along the third axis."""
    return tensor_split(input, indices_or_sections, 2)


@both_names
def unbind(input: Any, dim: int = 0) -> tuple[Any, ...]:
    """The slices along ``dim``, which goes away."""
    x = operand(input)
    before = (slice(None),) * normalise_axis(dim, x.ndim)
    return tuple(ops.getitem(x, (*before, i)) for i in range(x.shape[len(before)]))


# --- joining and repeating ---


@both_names
def hstack(tensors: Any) -> Any:
    """Joined along the second axis, vectors along the only one."""
    parts = atleast_1d(list(tensors))
    return ops.cat(parts, 0 if parts[0].ndim == 1 else 1)


@both_names
def vstack(tensors: Any) -> Any:
    """Joined along the first axis, vectors as rows."""
    return ops.cat(atleast_2d(list(tensors)), 0)


row_stack = vstack


@both_names
def dstack(tensors: Any) -> Any:
    """Joined along the third axis."""
    return ops.cat(atleast_3d(list(tensors)), 2)


@both_names
def column_stack(tensors: Any) -> Any:
    """Joined along the second axis, vectors as columns."""
    parts = [operand(one) for one in tensors]
    return ops.cat([ops.reshape(one, (one.size, 1)) if one.ndim < 2 else one for one in parts], 1)


@both_names
def repeat(input: Any, *sizes: Any, repeats: Any = None) -> Any:
    """``input`` so many times along each axis; further sizes in front make new axes.

    Raises:
        ShapeError: fewer sizes than axes.
    """
    x, times = operand(input), sizes_of(sizes if repeats is None else (repeats,))
    if len(times) < x.ndim:
        raise ShapeError(f"repeat: {times} has fewer sizes than {tuple(x.shape)} has axes")
    shape = (1,) * (len(times) - x.ndim) + tuple(x.shape)
    spread = [size for pair in zip(times, shape, strict=True) for size in pair]
    columns = [size for one in shape for size in (1, one)]
    return ops.reshape(
        ops.expand(ops.reshape(x, tuple(columns)), tuple(spread)),
        tuple(a * b for a, b in zip(times, shape, strict=True)),
    )


@both_names
def tile(input: Any, *sizes: Any, dims: Any = None) -> Any:
    """``input`` so many times along each of the last axes."""
    x, times = operand(input), sizes_of(sizes if dims is None else (dims,))
    return repeat(x, (1,) * (x.ndim - len(times)) + times)


@both_names
def repeat_interleave(
    input: Any = None, repeats: Any = None, dim: int | None = None, *, output_size: int | None = None
) -> Any:
    """Each slice along ``dim`` so many times in a row (of the flattened input by default).

    Of ``repeats`` alone, the number of each place so many times.
    """
    del output_size
    if input is None or repeats is None:
        alone = repeats if input is None else input
        counts = data_of(alone, "repeat_interleave()")
        return like(alone, np.repeat(np.arange(counts.size), counts))
    x = operand(input)
    if dim is None:
        x, dim = ravel(x), 0
    place = normalise_axis(dim, x.ndim)
    counts = np.broadcast_to(np.asarray(data_of(repeats, "repeat_interleave()")).reshape(-1), (x.shape[place],))
    return index_select(x, place, np.repeat(np.arange(x.shape[place]), counts))


@both_names
def meshgrid(*tensors: Any, indexing: str | None = "ij") -> tuple[Any, ...]:
    """Coordinates of a grid over vectors; ``indexing="xy"`` exchanges the first two axes.

    Raises:
        ArgumentError: another ``indexing``. ShapeError: more than one axis.
    """
    several = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)) else tensors
    if indexing not in {"ij", "xy", None}:
        raise ArgumentError(f"meshgrid: indexing is 'ij' or 'xy', got {indexing!r}")
    parts = [operand(one) for one in several]
    if any(one.ndim > 1 for one in parts):
        raise ShapeError(f"meshgrid takes vectors, got shapes {[tuple(one.shape) for one in parts]}")
    swapped = indexing == "xy" and len(parts) > 1
    order = [1, 0, *range(2, len(parts))] if swapped else [*range(len(parts))]
    sizes = [parts[i].size for i in order]
    found = []
    for i, one in enumerate(parts):
        shape = [1] * len(parts)
        shape[order.index(i)] = one.size
        found.append(ops.expand(ops.reshape(one, tuple(shape)), tuple(sizes)))
    return tuple(found)


@both_names
def cartesian_prod(*tensors: Any) -> Any:
    """Every tuple of elements, one of each vector, as rows."""
    if len(tensors) == 1:
        return tensors[0]
    return ops.stack([ravel(one) for one in meshgrid(*tensors)], -1)


@both_names
def combinations(input: Any, r: int = 2, with_replacement: bool = False) -> Any:
    """Every choice of ``r`` elements of a vector, as rows."""
    x = operand(input)
    make = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    places = np.array(list(make(range(x.size), r)), np.int64).reshape(-1, r)
    return ops.getitem(x, places)


@both_names
def block_diag(*tensors: Any) -> Any:
    """Matrices along the diagonal of one, zeros elsewhere."""
    parts = [one if one.ndim == 2 else ops.reshape(one, (1, one.size)) for one in map(operand, tensors)]
    if not parts:
        return like(None, np.zeros((1, 0)))
    parts = list(ops.same_dtype(*parts)) if len(parts) > 1 else parts
    width = sum(one.shape[1] for one in parts)
    rows, start = [], 0
    for one in parts:
        left = np.zeros((one.shape[0], start), one.dtype)
        start += one.shape[1]
        rows.append(ops.cat([left, one, np.zeros((one.shape[0], width - start), one.dtype)], 1))
    return ops.cat(rows, 0)


# --- turning ---


@both_names
def fliplr(input: Any) -> Any:
    """The columns in reverse order."""
    return flip(input, (1,))


@both_names
def flipud(input: Any) -> Any:
    """The rows in reverse order."""
    return flip(input, (0,))


@both_names
def roll(input: Any, shifts: Any, dims: Any = None) -> Any:
    """The elements moved on along axes, the last ones to the front; without ``dims`` in the flattened input."""
    x = operand(input)
    if dims is None or (isinstance(dims, (tuple, list)) and not dims):
        total = int(shifts) if isinstance(shifts, int) else int(sum(shifts))
        return ops.reshape(roll(ravel(x), total, 0), tuple(x.shape))
    several = [shifts] if isinstance(shifts, int) else [*shifts]
    axes = [dims] if isinstance(dims, int) else [*dims]
    if len(several) != len(axes):
        raise ShapeError(f"roll: {len(several)} shifts for {len(axes)} axes")
    for shift, axis in zip(several, axes, strict=True):
        place = normalise_axis(axis, x.ndim)
        length = x.shape[place]
        cut = -shift % length if length else 0
        before = (slice(None),) * place
        if cut:
            x = ops.cat([ops.getitem(x, (*before, slice(cut, None))), ops.getitem(x, (*before, slice(0, cut)))], place)
    return x


@both_names
def rot90(input: Any, k: int = 1, dims: Any = (0, 1)) -> Any:
    """Turned by 90 degrees ``k`` times in the plane of two axes, from the first towards the second."""
    x = operand(input)
    first, second = (normalise_axis(axis, x.ndim) for axis in dims)
    k %= 4
    if k == 0:
        return x
    if k == 2:
        return flip(x, (first, second))
    return (
        ops.transpose(flip(x, (second,)), first, second) if k == 1 else flip(ops.transpose(x, first, second), (second,))
    )


# --- diagonals and triangles ---


def _diagonal_places(rows: int, columns: int, offset: int) -> tuple[Any, Any]:
    length = max(min(rows + min(offset, 0), columns - max(offset, 0)), 0)
    steps = np.arange(length)
    return steps - min(offset, 0), steps + max(offset, 0)


def _diagonal(x: Any, offset: int, dim1: int, dim2: int) -> Any:
    first, second = normalise_axis(dim1, x.ndim), normalise_axis(dim2, x.ndim)
    if first == second:
        raise ShapeError("diagonal: two different axes")
    rest = [i for i in range(x.ndim) if i not in {first, second}]
    turned = ops.permute(x, (*rest, first, second))
    rows, columns = _diagonal_places(x.shape[first], x.shape[second], offset)
    return ops.getitem(turned, (..., rows, columns))


@both_names
def diagonal(input: Any, offset: int = 0, dim1: int = 0, dim2: int = 1, *, axis1: Any = None, axis2: Any = None) -> Any:
    """The diagonal over two axes, as a new last axis; ``offset`` above 0 is above the main one."""
    first, second = (dim1 if axis1 is None else axis1), (dim2 if axis2 is None else axis2)
    return _diagonal(operand(input), offset, first, second)


@both_names
def diag_embed(input: Any, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
    """Matrices with the last axis on their diagonal and zeros elsewhere."""
    x = operand(input)
    size = x.shape[-1] + abs(offset)
    first, second = normalise_axis(dim1, x.ndim + 1), normalise_axis(dim2, x.ndim + 1)
    rows, columns = _diagonal_places(size, size, offset)
    made = put(x, shape=(*x.shape[:-1], size, size), index=(..., rows, columns))
    if first > second:
        made, (first, second) = ops.transpose(made, -2, -1), (second, first)
    return movedim(made, (-2, -1), (first, second))


@both_names
def diag(input: Any, diagonal: int = 0) -> Any:
    """Of a matrix its diagonal, of a vector the matrix with it on the diagonal.

    Raises:
        ShapeError: other than one or two axes.
    """
    x = operand(input)
    if x.ndim not in {1, 2}:
        raise ShapeError(f"diag: expected a vector or a matrix, got {tuple(x.shape)}")
    return diag_embed(x, diagonal) if x.ndim == 1 else _diagonal(x, diagonal, 0, 1)


@both_names
def diagflat(input: Any, offset: int = 0) -> Any:
    """The matrix with all elements on its diagonal."""
    return diag_embed(ravel(input), offset)


@both_names
def diagonal_scatter(input: Any, src: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
    """``input`` with ``src`` on the diagonal over two axes."""
    from .indexing import index_put  # noqa: PLC0415 - one use

    x = operand(input)
    first, second = normalise_axis(dim1, x.ndim), normalise_axis(dim2, x.ndim)
    rows, columns = _diagonal_places(x.shape[first], x.shape[second], offset)
    rest = [i for i in range(x.ndim) if i not in {first, second}]
    turned = movedim(x, (*rest, first, second), tuple(range(x.ndim)))
    grid = np.indices([x.shape[i] for i in rest])
    index = (*[g[..., None] for g in grid], rows, columns)
    made = index_put(turned, index, src)
    return movedim(made, tuple(range(x.ndim)), (*rest, first, second))


def _triangle(x: Any, diagonal: int, upper: bool) -> Any:
    x = operand(x)
    if x.ndim < 2:
        raise ShapeError(f"tril, triu: expected matrices, got {tuple(x.shape)}")
    rows, columns = np.arange(x.shape[-2])[:, None], np.arange(x.shape[-1])
    kept = columns - rows >= diagonal if upper else columns - rows <= diagonal
    return ops.where(kept, x, 0)


@both_names
def tril(input: Any, diagonal: int = 0) -> Any:
    """Matrices with zeros above a diagonal."""
    return _triangle(input, diagonal, upper=False)


@both_names
def triu(input: Any, diagonal: int = 0) -> Any:
    """Matrices with zeros below a diagonal."""
    return _triangle(input, diagonal, upper=True)


@both_names
def tril_indices(row: int, col: int, offset: int = 0, *, dtype: Any = np.int64) -> Any:
    """Rows and columns of the places on and below a diagonal, (2, n)."""
    return like(None, np.stack(np.tril_indices(row, offset, col)).astype(dtype))


@both_names
def triu_indices(row: int, col: int, offset: int = 0, *, dtype: Any = np.int64) -> Any:
    """Rows and columns of the places on and above a diagonal, (2, n)."""
    return like(None, np.stack(np.triu_indices(row, offset, col)).astype(dtype))


@both_names
def trace(input: Any) -> Any:
    """The sum of the diagonal of a matrix.

    Raises:
        ShapeError: not a matrix.
    """
    x = operand(input)
    if x.ndim != 2:
        raise ShapeError(f"trace: expected a matrix, got {tuple(x.shape)}")
    return ops.sum(_diagonal(x, 0, 0, 1))


@both_names
def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    """The Vandermonde matrix: powers of a vector as columns, falling by default."""
    x = floats(x)
    count = x.shape[-1] if N is None else N
    order = range(count) if increasing else range(count)[::-1]
    return ops.stack([ops.pow(x, float(k)) for k in order], -1)


@both_names
def unfold(input: Any, dimension: int, size: int, step: int) -> Any:
    """Windows of ``size`` elements, ``step`` apart, along ``dimension``; the window is a new last axis."""
    x = operand(input)
    if x.ndim == 0:
        return ops.reshape(x, (1,))
    place = normalise_axis(dimension, x.ndim)
    starts = np.arange(0, x.shape[place] - size + 1, step)
    picked = ops.getitem(x, (slice(None),) * place + (starts[:, None] + np.arange(size),))
    return movedim(picked, place + 1, -1)
