"""Picking and putting: gather and scatter, along axes and by masks, written with NumPy's indexing and its adjoint."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..errors import ArgumentError, ShapeError
from ..ops.shape import put as put_at
from .common import both_names, data_of, index_of, like, normalise_axis, operand, values_of
from .elementwise import as_kind, div


def _mesh(index: Any, dim: int) -> tuple[Any, ...]:
    """NumPy's index for the places ``index`` along ``dim`` and every place along the other axes."""
    shape = index.shape
    grid: list[Any] = [
        np.arange(size).reshape((1,) * i + (-1,) + (1,) * (len(shape) - 1 - i)) for i, size in enumerate(shape)
    ]
    grid[dim] = index
    return tuple(grid)


def take_along(x: Any, places: Any, dim: int) -> Any:
    """The elements of ``x`` at ``places`` along ``dim``; the other axes are of one length."""
    return ops.getitem(x, _mesh(places, dim))


def _fitting(x: Any, index: Any, dim: int, what: str) -> int:
    if index.ndim != x.ndim:
        raise ShapeError(f"{what}: the index {tuple(index.shape)} and the tensor {tuple(x.shape)} have different axes")
    place = normalise_axis(dim, x.ndim)
    for i, (size, limit) in enumerate(zip(index.shape, x.shape, strict=True)):
        if i != place and size > limit:
            raise ShapeError(f"{what}: the index {tuple(index.shape)} is longer than {tuple(x.shape)} along axis {i}")
    return place


def _checked(index: Any, length: int, what: str) -> None:
    found = values_of(index)
    if found.size and (found.min() < 0 or found.max() >= length):
        raise IndexError(f"{what}: index {int(found.min())} … {int(found.max())} of an axis of length {length}")


@both_names
def gather(input: Any, dim: int, index: Any, *, sparse_grad: bool = False) -> Any:
    """The elements of ``input`` at ``index`` along ``dim``, ``out[i][j] = input[index[i][j]][j]`` for ``dim = 0``.

    Raises:
        ShapeError: an index of other axes, or longer than ``input``. DTypeError: no integers.
        IndexError: an index outside.
    """
    del sparse_grad
    x, index = operand(input), index_of(index, "gather")
    if x.ndim == 0 or index.ndim == 0:
        flat = gather(ops.reshape(x, (-1,)), 0, ops.reshape(index, (-1,)))
        return ops.reshape(flat, index.shape)
    place = _fitting(x, index, dim, "gather")
    _checked(index, x.shape[place], "gather")
    return ops.getitem(x, _mesh(index, place))


@both_names
def take_along_dim(input: Any, indices: Any, dim: int | None = None) -> Any:
    """The elements at ``indices`` along ``dim``, the other axes broadcast; without ``dim`` of the flattened input."""
    x, index = operand(input), index_of(indices, "take_along_dim")
    if dim is None:
        return gather(ops.reshape(x, (-1,)), 0, ops.reshape(index, (-1,)))
    place = normalise_axis(dim, x.ndim)
    rest = np.broadcast_shapes(
        tuple(1 if i == place else n for i, n in enumerate(x.shape)),
        tuple(1 if i == place else n for i, n in enumerate(index.shape)),
    )
    wide = [*rest]
    wide[place] = x.shape[place]
    tall = [*rest]
    tall[place] = index.shape[place]
    return take_along(ops.expand(x, tuple(wide)), ops.expand(index, tuple(tall)), place)


def _source(value: Any, index: Any, x: Any) -> Any:
    """The part of a source that the index speaks of; a number everywhere."""
    if isinstance(value, (int, float)):
        return np.full(index.shape, value, x.dtype)
    if value.ndim == 0 and index.ndim:
        return ops.expand(value, index.shape)
    return ops.getitem(value, tuple(slice(0, size) for size in index.shape)) if value.ndim else value


def _flat_places(x: Any, index: Any, place: int) -> Any:
    """Of every element of the index its place in ``x``, flattened."""
    grid = np.broadcast_arrays(*_mesh(values_of(index), place))
    return np.ravel_multi_index(grid, tuple(x.shape)) if values_of(index).size else np.zeros(index.shape, np.int64)


def _winners(places: Any) -> Any:
    """Of several elements that go to one place, the last."""
    flat = places.ravel()
    last = np.zeros(flat.size, bool)
    _, first_from_behind = np.unique(flat[::-1], return_index=True)
    last[flat.size - 1 - first_from_behind] = True
    return last


def _put_over(x: Any, places: Any, source: Any) -> Any:
    """``x`` with the elements of ``source`` at ``places`` of it, flattened; of several for one place the last."""
    winners = _winners(places)
    chosen = places.ravel()[winners]
    covered = np.zeros(int(np.prod(x.shape)), bool)
    covered[chosen] = True
    covered = covered.reshape(x.shape)
    new = put_at(ops.getitem(ops.reshape(source, (-1,)), winners), shape=(covered.size,), index=chosen)
    return ops.where(covered, as_kind(ops.reshape(new, x.shape), x.dtype), x)


@both_names
def scatter(input: Any, dim: int, index: Any, src: Any = None, *, value: Any = None, reduce: str | None = None) -> Any:
    """``input`` with ``src`` (a tensor or a number) written at ``index`` along ``dim``; of several the last stays.

    Args:
        reduce: ``"add"`` or ``"multiply"`` instead of writing.

    Raises:
        ShapeError, DTypeError, IndexError: as :func:`gather`. ArgumentError: no source, or an unknown ``reduce``.
    """
    src = value if src is None else src
    if src is None:
        raise ArgumentError("scatter: give src=, a tensor, or value=, a number")
    if reduce is not None:
        if reduce not in {"add", "multiply"}:
            raise ArgumentError(f"scatter: reduce is 'add' or 'multiply', got {reduce!r}")
        return scatter_reduce(input, dim, index, src, "sum" if reduce == "add" else "prod")
    x, index = operand(input), index_of(index, "scatter")
    if x.ndim == 0 or index.ndim == 0:
        flat = scatter(ops.reshape(x, (-1,)), 0, ops.reshape(index, (-1,)), _flat(src))
        return ops.reshape(flat, x.shape)
    place = _fitting(x, index, dim, "scatter")
    _checked(index, x.shape[place], "scatter")
    return _put_over(x, _flat_places(x, index, place), _source(src, index, x))


def _flat(src: Any) -> Any:
    return src if isinstance(src, (int, float)) else ops.reshape(operand(src), (-1,))


@both_names
def scatter_add(input: Any, dim: int, index: Any, src: Any) -> Any:
    """``input`` with ``src`` added at ``index`` along ``dim``; repeated places add up."""
    x, index = operand(input), index_of(index, "scatter_add")
    if x.ndim == 0 or index.ndim == 0:
        flat = scatter_add(ops.reshape(x, (-1,)), 0, ops.reshape(index, (-1,)), _flat(src))
        return ops.reshape(flat, x.shape)
    place = _fitting(x, index, dim, "scatter_add")
    _checked(index, x.shape[place], "scatter_add")
    source = _source(src, index, x)
    mesh = tuple(np.broadcast_to(values_of(one), index.shape) for one in _mesh(index, place))
    return ops.add(x, put_at(source, shape=tuple(x.shape), index=mesh))


_REDUCTIONS = ("sum", "prod", "mean", "amax", "amin")


@both_names
def scatter_reduce(input: Any, dim: int, index: Any, src: Any, reduce: str, *, include_self: bool = True) -> Any:
    """``src`` brought together at ``index`` along ``dim`` by ``reduce``: sum, prod, mean, amax or amin.

    Args:
        include_self: whether the elements of ``input`` count, too.

    Raises:
        ArgumentError: an unknown ``reduce``.
    """
    if reduce not in _REDUCTIONS:
        raise ArgumentError(f"scatter_reduce: reduce is one of {', '.join(_REDUCTIONS)}, got {reduce!r}")
    x, index = operand(input), index_of(index, "scatter_reduce")
    if x.ndim == 0 or index.ndim == 0:
        flat = scatter_reduce(
            ops.reshape(x, (-1,)), 0, ops.reshape(index, (-1,)), _flat(src), reduce, include_self=include_self
        )
        return ops.reshape(flat, x.shape)
    place = _fitting(x, index, dim, "scatter_reduce")
    _checked(index, x.shape[place], "scatter_reduce")
    source = ops.reshape(_source(src, index, x), (-1,))
    places = _flat_places(x, index, place).ravel()
    return _brought_together(x, places, source, reduce, include_self)


def _brought_together(x: Any, places: Any, source: Any, reduce: str, include_self: bool) -> Any:
    size = int(np.prod(x.shape))
    counts = np.bincount(places, minlength=size) if places.size else np.zeros(size, np.int64)
    touched = counts > 0
    flat = ops.reshape(x, (-1,))
    # A table with a row for each place: the element of input first, then those of the source in their order.
    depth = int(counts.max(initial=0))
    order = np.argsort(places, kind="stable")
    starts = np.cumsum(counts) - counts
    rank = np.empty(places.size, np.int64)
    rank[order] = np.arange(places.size) - starts[places[order]]
    rounding = None if x.dtype.kind == "f" else "floor"
    if x.dtype.kind == "b":
        table_of = {"sum": "amax", "prod": "amin"}
        numbers = _brought_together(
            ops.astype(x, np.int8), places, ops.astype(source, np.int8), table_of.get(reduce, reduce), include_self
        )
        return ops.astype(numbers, np.bool_)
    neutral = {"sum": 0.0, "mean": 0.0, "prod": 1.0, "amax": -np.inf, "amin": np.inf}[reduce]
    if x.dtype.kind in "iu" and not np.isfinite(neutral):
        limits = np.iinfo(x.dtype)
        neutral = limits.min if reduce == "amax" else limits.max
    column = ops.unsqueeze(flat, 1)
    if not include_self:
        column = ops.where(touched[:, None], np.asarray(neutral, x.dtype), column)
    filled = np.zeros((size, depth), bool)
    filled[places, rank] = True
    rows = (
        put_at(source, shape=(size, depth), index=(places, rank)) if places.size else np.zeros((size, depth), x.dtype)
    )
    table = ops.cat([column, ops.where(filled, rows, np.asarray(neutral, x.dtype))], 1)
    if reduce in {"sum", "mean"}:
        found = ops.sum(table, 1)
        if reduce == "mean":
            found = div(found, np.maximum(counts + include_self * touched, 1).astype(x.dtype), rounding_mode=rounding)
    else:
        found = {"prod": ops.prod, "amax": ops.amax, "amin": ops.amin}[reduce](table, 1)
    return ops.reshape(ops.where(touched, as_kind(found, x.dtype), flat), x.shape)


# --- along one axis ---


@both_names
def index_select(input: Any, dim: int, index: Any) -> Any:
    """The slices of ``input`` at ``index``, a vector of integers, along ``dim``."""
    x, index = operand(input), index_of(index, "index_select")
    if x.ndim == 0:
        return x
    place = normalise_axis(dim, x.ndim)
    _checked(index, x.shape[place], "index_select")
    return ops.getitem(x, (slice(None),) * place + (ops.reshape(index, (-1,)),))


def _along(x: Any, dim: int, index: Any, what: str) -> tuple[int, Any]:
    place = normalise_axis(dim, x.ndim)
    found = values_of(index_of(index, what)).reshape(-1)
    _checked(found, x.shape[place], what)
    return place, found


@both_names
def index_add(input: Any, dim: int, index: Any, source: Any, *, alpha: Any = 1) -> Any:
    """``input`` with ``alpha`` times the slices of ``source`` added at ``index`` along ``dim``."""
    x = operand(input)
    if x.ndim == 0:
        return ops.add(x, ops.mul(ops.reshape(source, ()), alpha))
    place, found = _along(x, dim, index, "index_add")
    source = ops.reshape(source, (*x.shape[:place], found.size, *x.shape[place + 1 :]))
    added = put_at(source, shape=tuple(x.shape), index=(slice(None),) * place + (found,))
    return ops.add(x, added if alpha == 1 else ops.mul(added, alpha))


@both_names
def index_copy(input: Any, dim: int, index: Any, source: Any) -> Any:
    """``input`` with the slices of ``source`` written at ``index`` along ``dim``; of several the last stays."""
    x = operand(input)
    if x.ndim == 0:
        return ops.reshape(source, ())
    place, found = _along(x, dim, index, "index_copy")
    source = ops.reshape(source, (*x.shape[:place], found.size, *x.shape[place + 1 :]))
    columns = np.arange(int(np.prod(x.shape))).reshape(x.shape)
    return _put_over(x, np.take(columns, found, place), source)


@both_names
def index_fill(input: Any, dim: int, index: Any, value: Any) -> Any:
    """``input`` with a number written at ``index`` along ``dim``."""
    x = operand(input)
    if x.ndim == 0:
        return ops.where(True, value, x)
    place, found = _along(x, dim, index, "index_fill")
    mask = np.zeros(x.shape[place], bool)
    mask[found] = True
    return ops.where(mask.reshape((-1,) + (1,) * (x.ndim - 1 - place)), value, x)


@both_names
def take(input: Any, index: Any) -> Any:
    """The elements of the flattened ``input`` at ``index``, in its shape."""
    x = operand(input)
    return ops.getitem(ops.reshape(x, (-1,)), index_of(index, "take"))


@both_names
def index_put(input: Any, indices: Any, values: Any, accumulate: bool = False) -> Any:
    """``input`` with ``values`` written (or added) at ``indices``, a tuple as in NumPy's indexing."""
    x = operand(input)
    picked = tuple(values_of(one) for one in indices)
    columns = np.arange(int(np.prod(x.shape))).reshape(x.shape)[picked]
    source = ops.expand(operand(values), columns.shape)
    if accumulate:
        return ops.add(x, put_at(source, shape=tuple(x.shape), index=picked))
    return _put_over(x, columns, source)


@both_names
def put(input: Any, index: Any, source: Any, accumulate: bool = False) -> Any:
    """``input`` with the elements of ``source`` written (or added) at ``index``, counted in the flattened tensor."""
    x = operand(input)
    places = index_of(index, "put").reshape(-1)
    flat = index_put(ops.reshape(x, (-1,)), (places,), ops.reshape(operand(source), (-1,)), accumulate)
    return ops.reshape(flat, tuple(x.shape))


@both_names
def index_reduce(input: Any, dim: int, index: Any, source: Any, reduce: str, *, include_self: bool = True) -> Any:
    """The slices of ``source`` brought together at ``index`` along ``dim`` by ``reduce``: prod, mean, amax or amin.

    Raises:
        ArgumentError: another ``reduce``.
    """
    if reduce not in {"prod", "mean", "amax", "amin"}:
        raise ArgumentError(f"index_reduce: reduce is one of prod, mean, amax, amin, got {reduce!r}")
    x, source = operand(input), operand(source)
    if x.ndim == 0:
        return scatter_reduce(x, 0, index, source, reduce, include_self=include_self)
    place, found = _along(x, dim, index, "index_reduce")
    shape = (-1,) + (1,) * (x.ndim - 1 - place)
    everywhere = np.broadcast_to(found.reshape(shape), source.shape)
    return scatter_reduce(x, place, everywhere, source, reduce, include_self=include_self)


# --- by masks ---


@both_names
def masked_select(input: Any, mask: Any) -> Any:
    """The elements where ``mask`` holds, as a vector."""
    x, chosen = operand(input), data_of(mask, "a mask")
    shape = np.broadcast_shapes(x.shape, chosen.shape)
    wide = x if tuple(x.shape) == shape else ops.expand(x, shape)
    return ops.getitem(wide, np.broadcast_to(chosen, shape))


@both_names
def masked_scatter(input: Any, mask: Any, source: Any) -> Any:
    """``input`` with the elements of ``source``, in their order, where ``mask`` holds."""
    x, chosen = operand(input), data_of(mask, "a mask")
    shape = np.broadcast_shapes(x.shape, chosen.shape)
    wide = x if tuple(x.shape) == shape else ops.expand(x, shape)
    places = np.flatnonzero(np.broadcast_to(chosen, shape))
    first = ops.getitem(ops.reshape(operand(source), (-1,)), slice(0, places.size))
    return _put_over(wide, places, first)


@both_names
def nonzero(input: Any, *, as_tuple: bool = False) -> Any:
    """The places of elements that are not zero: a row for each, or as a tuple for indexing; no gradient."""
    found = np.nonzero(np.atleast_1d(data_of(input, "nonzero()")))
    if as_tuple:
        return tuple(like(input, one) for one in found)
    table = np.stack(found, 1) if operand(input).ndim else np.zeros((found[0].size, 0), np.int64)
    return like(input, table)


argwhere = nonzero


@both_names
def nonzero_static(input: Any, *, size: int, fill_value: int = -1) -> Any:
    """:func:`nonzero` with ``size`` rows: further ones are cut off, missing ones are ``fill_value``."""
    found = data_of(nonzero(input))[:size]
    table = np.full((size, found.shape[1]), fill_value, np.int64)
    table[: len(found)] = found
    return like(input, table)


@both_names
def where(condition: Any, input: Any = None, other: Any = None) -> Any:
    """``input`` where ``condition`` holds, else ``other``; with the condition alone, its places as a tuple."""
    if input is None and other is None:
        return nonzero(condition, as_tuple=True)
    return ops.where(condition, input, other)


# --- parts of an axis ---


@both_names
def narrow(input: Any, dim: int, start: Any, length: int) -> Any:
    """``length`` slices from ``start`` on along ``dim``.

    Raises:
        ShapeError: they are not all inside.
    """
    x = operand(input)
    place, first = normalise_axis(dim, x.ndim), int(start)
    size = x.shape[place]
    first += size * (first < 0)
    if not (first >= 0 and length >= 0 and first + length <= size):
        raise ShapeError(f"narrow: start {start} and length {length} of an axis of length {size}")
    return ops.getitem(x, (slice(None),) * place + (slice(first, first + length),))


@both_names
def select(input: Any, dim: int, index: int) -> Any:
    """The slice at one index of ``dim``, which goes away."""
    x = operand(input)
    return ops.getitem(x, (slice(None),) * normalise_axis(dim, x.ndim) + (int(index),))


def _one_axis(x: Any, dim: int, where: Any) -> tuple[Any, ...]:
    return (slice(None),) * normalise_axis(dim, x.ndim) + (where,)


def _written(x: Any, where: tuple[Any, ...], source: Any) -> Any:
    columns = np.arange(int(np.prod(x.shape))).reshape(x.shape)[where]
    return _put_over(x, columns, ops.expand(operand(source), columns.shape))


@both_names
def select_scatter(input: Any, src: Any, dim: int, index: int) -> Any:
    """``input`` with ``src`` in the place of the slice at ``index`` of ``dim``."""
    x = operand(input)
    return _written(x, _one_axis(x, dim, int(index)), src)


@both_names
def slice_scatter(
    input: Any, src: Any, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Any:
    """``input`` with ``src`` in the place of the slices from ``start`` to ``end`` of ``dim``."""
    x = operand(input)
    return _written(x, _one_axis(x, dim, slice(start, end, step)), src)


@both_names
def flip(input: Any, *axes: Any, dims: Any = None) -> Any:
    """The elements in reverse order along the axes given."""
    x = operand(input)
    given = axes if dims is None else (dims,)
    chosen = given[0] if len(given) == 1 and isinstance(given[0], (tuple, list)) else given
    turned = {normalise_axis(axis, x.ndim) for axis in chosen}
    if len(turned) < len(chosen):
        raise ShapeError(f"flip: an axis appears twice in {tuple(chosen)}")
    return ops.getitem(x, tuple(slice(None, None, -1 if i in turned else None) for i in range(x.ndim))) if turned else x
