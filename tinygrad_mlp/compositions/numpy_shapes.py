"""NumPy's functions of shapes and places, for tensors: the arguments, defaults and results are NumPy's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import ops
from ..errors import ArgumentError, ShapeError
from ..tape import Traced
from . import indexing, reductions, shapes
from .common import data_of, like, normalise_axes, normalise_axis
from .numpy_table import answers, array_like, is_recorded, rearranged, refuse, swap_in, typed


def _is_fortran(order: str, what: str) -> bool:
    if order not in {"C", "F", "A", "K"}:
        raise ArgumentError(f"{what}: order is 'C', 'F', 'A' or 'K', got {order!r}")
    return order == "F"


@answers("reshape")
def reshape(a: Any, /, shape: Any, order: str = "C", *, copy: Any = None) -> Any:
    """``a`` under another shape, its elements read and written in ``order``."""
    x = array_like(a)
    sizes = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    if _is_fortran(order, "reshape"):
        return ops.transpose(ops.reshape(ops.transpose(x), sizes[::-1]))
    return ops.reshape(x, sizes)


@answers("ravel")
def ravel(a: Any, order: str = "C") -> Any:
    """All elements in one axis, in ``order``."""
    return reshape(a, -1, order)


@answers("squeeze")
def squeeze(a: Any, axis: Any = None) -> Any:
    """Without the axes of length 1, or those named.

    Raises:
        ShapeError: a named axis is longer.
    """
    x = array_like(a)
    if axis is not None and any(x.shape[i] != 1 for i in normalise_axes(axis, x.ndim)):
        raise ShapeError(f"squeeze: axis {axis} of shape {tuple(x.shape)} is longer than 1")
    return ops.squeeze(x, axis)


@answers("expand_dims")
def expand_dims(a: Any, axis: Any) -> Any:
    """With new axes of length 1 at ``axis`` of the result."""
    x = array_like(a)
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    return ops.reshape(x, np.expand_dims(np.broadcast_to(0, x.shape), tuple(axes)).shape)


@answers("broadcast_to")
def broadcast_to(array: Any, shape: Any, subok: bool = False) -> Any:
    """``array`` broadcast to ``shape``."""
    return ops.expand(array_like(array), tuple(np.broadcast_shapes(shape)))


@answers("broadcast_arrays")
def broadcast_arrays(*args: Any, subok: bool = False) -> tuple[Any, ...]:
    """All of one shape."""
    parts = [array_like(one) for one in args]
    shape = np.broadcast_shapes(*[tuple(one.shape) for one in parts])
    return tuple(ops.expand(one, shape) for one in parts)


@answers("transpose")
def transpose(a: Any, axes: Any = None) -> Any:
    """The axes in reverse order, or in that of ``axes``."""
    x = array_like(a)
    return ops.transpose(x) if axes is None else ops.permute(x, tuple(axes))


@answers("matrix_transpose", "linalg.matrix_transpose")
def matrix_transpose(x: Any, /) -> Any:
    """The last two axes exchanged."""
    return ops.transpose(array_like(x), -2, -1)


@answers("swapaxes")
def swapaxes(a: Any, axis1: int, axis2: int) -> Any:
    """Two axes exchanged."""
    return shapes.swapaxes(array_like(a), axis1, axis2)


@answers("moveaxis")
def moveaxis(a: Any, source: Any, destination: Any) -> Any:
    """Axes moved to other places; the others keep their order."""
    return shapes.movedim(array_like(a), source, destination)


@answers("rollaxis")
def rollaxis(a: Any, axis: int, start: int = 0) -> Any:
    """The axis moved back until it lies before ``start``."""
    x = array_like(a)
    axis, start = normalise_axis(axis, x.ndim), start + x.ndim * (start < 0)
    rest = [i for i in range(x.ndim) if i != axis]
    rest.insert(start - (axis < start), axis)
    return ops.permute(x, tuple(rest))


@answers("atleast_1d")
def atleast_1d(*arys: Any) -> Any:
    """With at least one axis."""
    return _each(np.atleast_1d, arys)


@answers("atleast_2d")
def atleast_2d(*arys: Any) -> Any:
    """With at least two axes; a vector is a row."""
    return _each(np.atleast_2d, arys)


@answers("atleast_3d")
def atleast_3d(*arys: Any) -> Any:
    """With at least three axes."""
    return _each(np.atleast_3d, arys)


def _each(shaping: Callable[..., Any], values: tuple[Any, ...]) -> Any:
    """NumPy's function of a shape alone, on each value."""
    parts = [array_like(one) for one in values]
    found = tuple(ops.reshape(one, shaping(np.broadcast_to(0, one.shape)).shape) for one in parts)
    return found[0] if len(found) == 1 else found


# --- joining and splitting ---


@answers("concatenate")
def concatenate(
    arrays: Any, /, axis: int | None = 0, out: None = None, *, dtype: Any = None, casting: str = "same_kind"
) -> Any:
    """The arrays one after the other along ``axis``, flattened for None."""
    parts = [typed(one, dtype) for one in arrays]
    if axis is None:
        return ops.cat([ops.reshape(one, (-1,)) for one in parts], 0)
    return ops.cat(parts, axis)


@answers("stack")
def stack(arrays: Any, axis: int = 0, out: None = None, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    """The arrays of one shape side by side along a new axis."""
    return ops.stack([typed(one, dtype) for one in arrays], axis)


@answers("vstack", "row_stack")
def vstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    """Joined along the first axis, vectors as rows."""
    return shapes.vstack([typed(one, dtype) for one in tup])


@answers("hstack")
def hstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    """Joined along the second axis, vectors along the only one."""
    return shapes.hstack([typed(one, dtype) for one in tup])


@answers("dstack")
def dstack(tup: Any) -> Any:
    """Joined along the third axis."""
    return shapes.dstack([array_like(one) for one in tup])


@answers("column_stack")
def column_stack(tup: Any) -> Any:
    """Joined along the second axis, vectors as columns."""
    return shapes.column_stack([array_like(one) for one in tup])


@answers("block")
def block(arrays: Any) -> Any:
    """Nested lists of blocks as one array, the innermost joined along the last axis."""
    leaves: list[Any] = []

    def collect(one: Any) -> None:
        if isinstance(one, list):
            for inner in one:
                collect(inner)
        else:
            leaves.append(one)

    collect(arrays)

    def make(*places: Any) -> Any:
        left = iter(places)

        def rebuilt(one: Any) -> Any:
            return [rebuilt(inner) for inner in one] if isinstance(one, list) else next(left)

        return np.block(rebuilt(arrays))

    return rearranged(make, *leaves)


@answers("append")
def append(arr: Any, values: Any, axis: int | None = None) -> Any:
    """``arr`` followed by ``values`` along ``axis``, both flattened for None."""
    return concatenate([arr, values], axis)


@answers("insert")
def insert(arr: Any, obj: Any, values: Any, axis: int | None = None) -> Any:
    """``arr`` with ``values`` put in before the places ``obj`` along ``axis``."""
    where = obj if isinstance(obj, slice) else data_of(obj)
    return rearranged(lambda a, v: np.insert(a, where, v, axis), arr, values)


@answers("delete")
def delete(arr: Any, obj: Any, axis: int | None = None) -> Any:
    """``arr`` without the places ``obj`` along ``axis``."""
    where = obj if isinstance(obj, slice) else data_of(obj)
    return rearranged(lambda a: np.delete(a, where, axis), arr)


def _ends(indices_or_sections: Any) -> Any:
    return data_of(indices_or_sections) if isinstance(indices_or_sections, Traced) else indices_or_sections


@answers("array_split")
def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """So many parts, the first ones longer by one where it does not fit, or the parts between indices."""
    x = array_like(ary)
    sections = _ends(indices_or_sections)
    return [*shapes.tensor_split(x, [*sections] if np.ndim(sections) else int(sections), axis)]


@answers("split")
def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """So many parts of one length, or the parts between indices.

    Raises:
        ShapeError: the axis does not divide into so many.
    """
    x = array_like(ary)
    sections = _ends(indices_or_sections)
    if np.ndim(sections) == 0 and x.shape[normalise_axis(axis, x.ndim)] % int(sections):
        raise ShapeError(f"split: axis {axis} of shape {tuple(x.shape)} does not divide into {sections} equal parts")
    return array_split(x, sections, axis)


@answers("hsplit")
def hsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    """:func:`split` along the second axis, of vectors along the only one."""
    x = array_like(ary)
    return split(x, indices_or_sections, 1 if x.ndim > 1 else 0)


@answers("vsplit")
def vsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    """:func:`split` along the first axis."""
    return split(ary, indices_or_sections, 0)


@answers("dsplit")
def dsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    """:func:`split` along the third axis."""
    return split(ary, indices_or_sections, 2)


@answers("unstack")
def unstack(x: Any, /, *, axis: int = 0) -> tuple[Any, ...]:
    """The slices along ``axis``, which goes away."""
    return shapes.unbind(array_like(x), axis)


@answers("meshgrid")
def meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> Any:
    """Coordinates of a grid over vectors, as NumPy orders them: ``"xy"`` exchanges the first two axes."""
    make: Any = np.meshgrid
    return rearranged(lambda *places: make(*places, sparse=sparse, indexing=indexing), *xi)


# --- repeating, turning, filling up ---


@answers("tile")
def tile(A: Any, reps: Any) -> Any:
    """``A`` so many times along each of the last axes."""
    return shapes.tile(array_like(A), *([int(reps)] if np.ndim(reps) == 0 else [int(one) for one in reps]))


@answers("repeat")
def repeat(a: Any, repeats: Any, axis: int | None = None) -> Any:
    """Each slice along ``axis`` so many times in a row."""
    return shapes.repeat_interleave(array_like(a), repeats, axis)


@answers("resize")
def resize(a: Any, new_shape: Any) -> Any:
    """As many copies of ``a``, one after the other, as ``new_shape`` has room for."""
    return rearranged(lambda places: np.resize(places, new_shape), a)


@answers("flip")
def flip(m: Any, axis: Any = None) -> Any:
    """In reverse order along ``axis``, along all for None."""
    x = array_like(m)
    return indexing.flip(x, normalise_axes(axis, x.ndim))


@answers("fliplr")
def fliplr(m: Any) -> Any:
    """The columns in reverse order."""
    return shapes.fliplr(array_like(m))


@answers("flipud")
def flipud(m: Any) -> Any:
    """The rows in reverse order."""
    return shapes.flipud(array_like(m))


@answers("roll")
def roll(a: Any, shift: Any, axis: Any = None) -> Any:
    """The elements moved on along axes, the last ones to the front."""
    return rearranged(lambda places: np.roll(places, shift, axis), a)


@answers("rot90")
def rot90(m: Any, k: int = 1, axes: Any = (0, 1)) -> Any:
    """Turned by 90 degrees ``k`` times, from the first towards the second axis."""
    return shapes.rot90(array_like(m), k, axes)


_BY_PLACES = ("edge", "reflect", "symmetric", "wrap")


@answers("pad")
def pad(array: Any, pad_width: Any, mode: Any = "constant", **kwargs: Any) -> Any:
    """More elements on every side: a constant, or the elements themselves (edge, reflect, symmetric, wrap).

    Raises:
        DTypeError: another mode, an odd reflection, or a constant that wants a gradient.
    """
    x = array_like(array)
    if mode == "constant":
        constants = kwargs.pop("constant_values", 0)
        if is_recorded(constants) or kwargs:
            refuse(f"pad(mode='constant') with {', '.join(kwargs) or 'recorded constants'}", "say np.concatenate")
        filled: Any = rearranged(lambda places: np.pad(places, pad_width), x)
        around = np.pad(np.zeros(x.shape, x.dtype), pad_width, constant_values=data_of(constants))
        return ops.add(filled, around) if around.any() else filled
    if mode not in _BY_PLACES or kwargs:
        kinds = ", ".join(("constant", *_BY_PLACES))
        refuse(f"pad(mode={mode!r}{''.join(f', {one}=' for one in kwargs)})", f"the modes here are {kinds}")
    return rearranged(lambda places: np.pad(places, pad_width, mode), x)


@answers("lib.stride_tricks.sliding_window_view")
def sliding_window_view(
    x: Any, window_shape: Any, axis: Any = None, *, subok: bool = False, writeable: bool = False
) -> Any:
    """Every window of a size, in new last axes; a copy."""
    view = np.lib.stride_tricks.sliding_window_view
    return rearranged(lambda places: view(places, window_shape, axis), x)


@answers("trim_zeros")
def trim_zeros(filt: Any, trim: str = "fb", axis: Any = None) -> Any:
    """A vector without the zeros at its front (``"f"``) and back (``"b"``)."""
    x = array_like(filt)
    if x.ndim != 1:
        refuse("trim_zeros of more than one axis", "take a slice of it")
    found = np.flatnonzero(data_of(x, "numpy.trim_zeros()"))
    sides = trim.lower()
    first = int(found[0]) if found.size and "f" in sides else 0
    last = int(found[-1]) + 1 if found.size and "b" in sides else x.size
    return ops.getitem(x, slice(first, last) if found.size else slice(0, 0))


# --- diagonals ---


@answers("diag")
def diag(v: Any, k: int = 0) -> Any:
    """Of a matrix its diagonal, of a vector the matrix with it on the diagonal."""
    return shapes.diag(array_like(v), k)


@answers("diagflat")
def diagflat(v: Any, k: int = 0) -> Any:
    """The matrix with all elements on its diagonal."""
    return shapes.diagflat(array_like(v), k)


@answers("diagonal")
def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The diagonal over two axes, as a new last axis."""
    return shapes.diagonal(array_like(a), offset, axis1, axis2)


@answers("linalg.diagonal")
def linalg_diagonal(x: Any, /, *, offset: int = 0) -> Any:
    """The diagonals of matrices."""
    return shapes.diagonal(array_like(x), offset, -2, -1)


@answers("trace")
def trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: None = None) -> Any:
    """The sum of the diagonal over two axes."""
    return ops.sum(typed(shapes.diagonal(array_like(a), offset, axis1, axis2), dtype), -1)


@answers("linalg.trace")
def linalg_trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    """The traces of matrices."""
    return trace(x, offset, -2, -1, dtype)


@answers("tril")
def tril(m: Any, k: int = 0) -> Any:
    """Zeros above a diagonal."""
    return _triangle(np.tril, m, k)


@answers("triu")
def triu(m: Any, k: int = 0) -> Any:
    """Zeros below a diagonal."""
    return _triangle(np.triu, m, k)


def _triangle(half: Callable[..., Any], m: Any, k: int) -> Any:
    x = array_like(m)
    kept = half(np.ones(x.shape[-2:] if x.ndim > 1 else (x.size, x.size), bool), k)
    return ops.where(kept, x, 0)


@answers("vander")
def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    """The matrix of a vector's powers, falling by default."""
    return shapes.vander(array_like(x), N, increasing)


# --- choosing ---


@answers("where")
def where(condition: Any, x: Any = None, y: Any = None, /) -> Any:
    """``x`` where ``condition`` holds, else ``y``; of a condition alone the places where it holds."""
    if x is None and y is None:
        return indexing.nonzero(condition, as_tuple=True)
    chosen = condition if isinstance(condition, Traced) else np.asarray(condition)
    return ops.where(chosen, *[one if isinstance(one, (int, float)) else array_like(one) for one in (x, y)])


@answers("take")
def take(a: Any, indices: Any, axis: int | None = None, out: None = None, mode: str = "raise") -> Any:
    """The slices at ``indices`` along ``axis``; of the flattened array for None."""
    x, place = swap_in(a, axis)
    pick: Any = np.take
    found = pick(np.arange(x.shape[place]), data_of(indices, "numpy.take()"), mode=mode)
    return ops.getitem(x, (slice(None),) * place + (found,))


@answers("take_along_axis")
def take_along_axis(arr: Any, indices: Any, axis: int | None = -1) -> Any:
    """The elements at ``indices`` along ``axis``, one list of them for each vector."""
    x, place = swap_in(arr, axis)
    # One of both may be of length 1 along the other axes.
    where = data_of(indices, "numpy.take_along_axis()")
    return rearranged(lambda places: np.take_along_axis(places, where, place), x)


@answers("compress")
def compress(condition: Any, a: Any, axis: int | None = None, out: None = None) -> Any:
    """The slices along ``axis`` where ``condition`` holds."""
    x, place = swap_in(a, axis)
    kept = np.flatnonzero(data_of(condition, "numpy.compress()"))
    return ops.getitem(x, (slice(None),) * place + (kept,))


@answers("extract")
def extract(condition: Any, arr: Any) -> Any:
    """The elements where ``condition`` holds."""
    kept = data_of(condition, "numpy.extract()")
    return rearranged(lambda places: np.extract(kept, places), arr)


@answers("choose")
def choose(a: Any, choices: Any, out: None = None, mode: str = "raise") -> Any:
    """At every place the element of the choice that ``a`` names."""
    which: Any = data_of(a, "numpy.choose()")
    several = [array_like(one) for one in (choices if isinstance(choices, (list, tuple)) else [*choices])]
    pick: Any = np.choose
    return rearranged(lambda *places: pick(which, places, mode=mode), *several)


@answers("select")
def select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    """At every place the element of the first choice whose condition holds there, else ``default``."""
    conditions = [data_of(one, "numpy.select()") for one in condlist]
    parts = ops.same_dtype(*[array_like(one) for one in choicelist], default)
    return rearranged(lambda *places: np.select(conditions, [*places[:-1]], places[-1]), *parts)


@answers("piecewise")
def piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **kw: Any) -> Any:
    """``funclist[i](x[condlist[i]])`` where ``condlist[i]`` holds, the function left over elsewhere, else 0."""
    x = array_like(x)
    rows = data_of(condlist, "numpy.piecewise()") if isinstance(condlist, Traced) else condlist
    alone = not isinstance(rows, (list, tuple)) and np.ndim(rows) == x.ndim
    single = alone or isinstance(rows[0], (bool, np.bool_))
    conditions = [np.asarray(data_of(one), bool) for one in ([rows] if single else rows)]
    if len(funclist) == len(conditions) + 1:
        conditions.append(~np.any(conditions, axis=0))
    if len(funclist) != len(conditions):
        raise ArgumentError(f"piecewise: {len(conditions)} conditions and {len(funclist)} functions")
    made: Any = like(x, np.zeros(x.shape, x.dtype))
    for holds, function in zip(conditions, funclist, strict=True):
        picked = ops.getitem(x, holds)
        if picked.size:
            values = function(picked, *args, **kw) if callable(function) else function
            made = indexing.index_put(made, (holds,), ops.astype(array_like(values), x.dtype))
    return made


@answers("apply_along_axis")
def apply_along_axis(func1d: Any, axis: int, arr: Any, *args: Any, **kwargs: Any) -> Any:
    """``func1d`` of each vector along ``axis``; the axes of its result stand in the place of that axis."""
    x = array_like(arr)
    place = normalise_axis(axis, x.ndim)
    rest = tuple(n for i, n in enumerate(x.shape) if i != place)
    rows = ops.reshape(shapes.movedim(x, place, -1), (-1, x.shape[place]))
    found = [array_like(func1d(ops.getitem(rows, i), *args, **kwargs)) for i in range(rows.shape[0])]
    if not found:
        raise ShapeError("apply_along_axis: no vectors to apply it to")
    new = tuple(found[0].shape)
    made = ops.reshape(ops.stack(found, 0), (*rest, *new))
    last = tuple(range(len(rest), len(rest) + len(new)))
    return shapes.movedim(made, last, tuple(range(place, place + len(new))))


@answers("apply_over_axes")
def apply_over_axes(func: Any, a: Any, axes: Any) -> Any:
    """``func(a, axis)`` for one axis after the other; axes that it drops are put back with length 1."""
    x = array_like(a)
    for axis in [axes] if np.ndim(axes) == 0 else [*axes]:
        found = func(x, int(axis))
        x = found if found.ndim == x.ndim else expand_dims(found, int(axis))
    return x


# --- sets: the elements keep their gradients ---


def _unique(ar: Any, axis: int | None, equal_nan: bool, **wanted: bool) -> tuple[Any, list[Any]]:
    x = array_like(ar)
    find: Any = np.unique
    _, first, *rest = find(data_of(x, "numpy.unique()"), return_index=True, axis=axis, equal_nan=equal_nan, **wanted)
    return take(x, first, axis), [like(None, one) for one in (first, *rest)]


@answers("unique")
def unique(
    ar: Any,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    *,
    equal_nan: bool = True,
    sorted: bool = True,
) -> Any:
    """The different elements in rising order: the first of each kind gets the gradient."""
    values, rest = _unique(ar, axis, equal_nan, return_inverse=return_inverse, return_counts=return_counts)
    rest = rest if return_index else rest[1:]
    return (values, *rest) if rest else values


@answers("unique_values")
def unique_values(x: Any, /) -> Any:
    """The different elements in rising order."""
    return _unique(x, None, False)[0]


def _like_numpys(name: str, *fields: Any) -> Any:
    """The fields in NumPy's own named tuple, which has no public name."""
    empty: Any = getattr(np, name)(np.zeros(1))
    return type(empty)(*fields)


@answers("unique_counts")
def unique_counts(x: Any, /) -> Any:
    """The different elements in rising order, and how often each occurs."""
    values, rest = _unique(x, None, False, return_counts=True)
    return _like_numpys("unique_counts", values, rest[1])


@answers("unique_inverse")
def unique_inverse(x: Any, /) -> Any:
    """The different elements in rising order, and for each element of ``x`` its place among them."""
    values, rest = _unique(x, None, False, return_inverse=True)
    return _like_numpys("unique_inverse", values, rest[1])


@answers("unique_all")
def unique_all(x: Any, /) -> Any:
    """The different elements, where each was first, each element's place among them, and the counts."""
    values, rest = _unique(x, None, False, return_inverse=True, return_counts=True)
    return _like_numpys("unique_all", values, *rest)


@answers("union1d")
def union1d(ar1: Any, ar2: Any) -> Any:
    """The different elements of both."""
    return unique(concatenate([ar1, ar2], None))


@answers("intersect1d")
def intersect1d(ar1: Any, ar2: Any, assume_unique: bool = False, return_indices: bool = False) -> Any:
    """The elements that are in both, those of ``ar1``."""
    x, _ = swap_in(ar1, None)
    find: Any = np.intersect1d
    _, first, second = find(data_of(x), data_of(ar2), assume_unique=assume_unique, return_indices=True)
    values = ops.getitem(x, first)
    return (values, like(None, first), like(None, second)) if return_indices else values


@answers("setdiff1d")
def setdiff1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Any:
    """The elements of ``ar1`` that are not in ``ar2``."""
    x = swap_in(ar1, None)[0] if assume_unique else unique(ar1)
    return ops.getitem(x, ~np.isin(data_of(x), data_of(ar2)))


@answers("setxor1d")
def setxor1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Any:
    """The elements that are in exactly one of both, in rising order."""
    both = concatenate([setdiff1d(ar1, ar2), setdiff1d(ar2, ar1)])
    return reductions.sort(both).values
