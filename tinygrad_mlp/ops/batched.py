"""How an op answers for many samples at once: rules that ops name in their declaration, as ``batch=``.

A rule is called as ``rule(op, values, batched, params, size)``. ``values`` are the operands, arrays or traced values;
those for which ``batched`` is true have one more axis than in the call for one sample, the first, ``size`` long.
``params`` are those of one sample. It gives the results of all samples, stacked along a first axis, by calling
polymorphic op functions, so that what it does is on the tape where its operands are.

An op without a rule is called :func:`one_by_one`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from string import ascii_letters
from typing import Any

import numpy as np

from ..errors import ArgumentError, CaptureError
from ..tape import OPS, Op, Traced

# From so many elements on NumPy's Einstein sum writes outer products faster than a broadcasting multiplication does.
_MANY = 1 << 16

Rule = Callable[[Op, Sequence[Any], Sequence[bool], dict[str, Any], int], Any]


def apply(op: Op, values: Sequence[Any], batched: Sequence[bool], params: dict[str, Any], size: int) -> Any:
    """The op for all samples, through its own rule or one sample after the other."""
    return (op.batch or one_by_one)(op, values, batched, params, size)


def one_by_one(op: Op, values: Sequence[Any], batched: Sequence[bool], params: dict[str, Any], size: int) -> Any:
    """Call the op once per sample and stack the results: right for every op, and slow."""
    rows = []
    for i in range(size):
        row: Any = op.call(*[_sample(v, i) if b else v for v, b in zip(values, batched, strict=True)], **params)
        row = row if isinstance(row, Traced) else np.asarray(row)
        rows.append(_reshape(row, (1, *row.shape)))
    return OPS["cat"].call(*rows, axis=0, ends=tuple(range(1, size + 1)))


def _sample(value: Any, i: int) -> Any:
    return OPS["getitem"].call(value, index=i) if isinstance(value, Traced) else np.asarray(value[i])


def _reshape(x: Any, shape: tuple[int, ...]) -> Any:
    return x if x.shape == shape else OPS["reshape"].call(x, shape=shape)


def _swap_last(x: Any) -> Any:
    return OPS["permute"].call(x, axes=(*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


def spread(value: Any, batched: bool, size: int) -> Any:
    """A value with the first axis that all batched values have."""
    return value if batched else OPS["broadcast_to"].call(value, shape=(size, *value.shape))


def widen(x: Any, rank: int) -> Any:
    """A batched value whose samples get axes of length 1 in front until they have ``rank`` axes."""
    missing = rank + 1 - x.ndim
    return x if missing <= 0 else _reshape(x, (x.shape[0], *[1] * missing, *x.shape[1:]))


def aligned(op: Op, values: Sequence[Any], batched: Sequence[bool], params: dict[str, Any], _size: int) -> Any:
    """Elementwise ops: samples broadcast against each other from the last axis, so the first must stay the first."""
    rank = max([getattr(v, "ndim", 0) - b for v, b in zip(values, batched, strict=True)])
    return op.call(*[widen(v, rank) if b else v for v, b in zip(values, batched, strict=True)], **params)


def as_it_is(op: Op, values: Sequence[Any], _batched: Sequence[bool], params: dict[str, Any], _size: int) -> Any:
    """Ops to which one more axis makes no difference."""
    return op.call(*values, **params)


def spread_out(op: Op, values: Sequence[Any], batched: Sequence[bool], params: dict[str, Any], size: int) -> Any:
    """Ops that compute along the last axes, operands being of one shape otherwise."""
    return op.call(*[spread(v, b, size) for v, b in zip(values, batched, strict=True)], **params)


def over_axes(op: Op, values: Sequence[Any], _batched: Sequence[bool], params: dict[str, Any], _size: int) -> Any:
    """Reductions over ``axes``."""
    return op.call(*values, **{**params, "axes": tuple([axis + 1 for axis in params["axes"]])})


def spread_over_axes(op: Op, values: Sequence[Any], batched: Sequence[bool], params: dict[str, Any], size: int) -> Any:
    """What works over ``axes`` on several operands of one shape; what was saved is that of one sample."""
    rows = [spread(v, b, size) for v, b in zip(values, batched, strict=True)]
    return op.call(*rows, **{**params, "axes": tuple([axis + 1 for axis in params["axes"]]), "saved": None})


def along_axis(op: Op, values: Sequence[Any], _batched: Sequence[bool], params: dict[str, Any], _size: int) -> Any:
    """What works along one ``axis``."""
    return op.call(*values, **{**params, "axis": params["axis"] + 1})


def joining(op: Op, values: Sequence[Any], batched: Sequence[bool], params: dict[str, Any], size: int) -> Any:
    """Joining along ``axis``."""
    rows = [spread(v, b, size) for v, b in zip(values, batched, strict=True)]
    return op.call(*rows, **{**params, "axis": params["axis"] + 1})


# --- shapes ---------------------------------------------------------------------------------------


def reshaping(op: Op, values: Sequence[Any], _batched: Sequence[bool], params: dict[str, Any], size: int) -> Any:
    """Another shape of each sample."""
    return op.call(values[0], shape=(size, *params["shape"]))


def permuting(op: Op, values: Sequence[Any], _batched: Sequence[bool], params: dict[str, Any], _size: int) -> Any:
    """The axes of each sample in another order."""
    return op.call(values[0], axes=(0, *[axis + 1 for axis in params["axes"]]))


def broadcasting(op: Op, values: Sequence[Any], _batched: Sequence[bool], params: dict[str, Any], size: int) -> Any:
    """Each sample spread out."""
    shape = params["shape"]
    return op.call(widen(values[0], len(shape)), shape=(size, *shape))


def summing_to(op: Op, values: Sequence[Any], _batched: Sequence[bool], params: dict[str, Any], size: int) -> Any:
    """Each sample summed to a shape it was broadcast from."""
    (x,) = values
    shape = params["shape"]
    missing = x.ndim - 1 - len(shape)
    return _reshape(op.call(x, shape=(size, *[1] * missing, *shape)), (size, *shape))


def _is_basic(index: tuple[Any, ...]) -> bool:
    return all(part is None or part is Ellipsis or type(part) in (int, slice) for part in index)


def _places(shape: tuple[int, ...], index: Any) -> Any:
    return np.asarray(np.arange(math.prod(shape)).reshape(shape)[index])


def picking(op: Op, values: Sequence[Any], _batched: Sequence[bool], params: dict[str, Any], size: int) -> Any:
    """One index for all samples.

    Arrays in an index may move its axes to the front; places in the flattened sample say the same without that.
    """
    (x,) = values
    index = params["index"] if isinstance(params["index"], tuple) else (params["index"],)
    if _is_basic(index):
        return op.call(x, index=(slice(None), *index))
    shape = x.shape[1:]
    return op.call(_reshape(x, (size, math.prod(shape))), index=(slice(None), _places(shape, params["index"])))


def putting(op: Op, values: Sequence[Any], _batched: Sequence[bool], params: dict[str, Any], size: int) -> Any:
    """The adjoint of :func:`picking`."""
    (x,) = values
    shape = params["shape"]
    index = params["index"] if isinstance(params["index"], tuple) else (params["index"],)
    if _is_basic(index):
        return op.call(x, shape=(size, *shape), index=(slice(None), *index))
    flat = op.call(x, shape=(size, math.prod(shape)), index=(slice(None), _places(shape, params["index"])))
    return _reshape(flat, (size, *shape))


def _offsets(places: Any, size: int, count: int) -> Any:
    """Places in each of ``size`` vectors of ``count`` elements as places in all of them, one after the other."""
    if places.size and not (places.min() >= -count and places.max() < count):
        raise IndexError(f"indices from {places.min()} to {places.max()} into an axis of {count}")
    return np.where(places < 0, places + count, places) + (np.arange(size) * count).reshape(
        size, *[1] * (places.ndim - 1)
    )


def _plain(value: Any) -> Any:
    return value.data if isinstance(value, Traced) else np.asarray(value)


def picking_each(op: Op, values: Sequence[Any], batched: Sequence[bool], _params: dict[str, Any], size: int) -> Any:
    """Places of its own for each sample, a vector of its own, or both."""
    x, places = values[0], _plain(values[1])
    if not batched[1]:
        return OPS["getitem"].call(x, index=(slice(None), places))
    if not batched[0]:
        return op.call(x, places)
    return op.call(_reshape(x, (math.prod(x.shape),)), _offsets(places, size, x.shape[1]))


def putting_each(op: Op, values: Sequence[Any], batched: Sequence[bool], params: dict[str, Any], size: int) -> Any:
    """The adjoint of :func:`picking_each`."""
    x, places = spread(values[0], batched[0], size), spread(_plain(values[1]), batched[1], size)
    (count,) = params["shape"]
    return _reshape(op.call(x, _offsets(places, size, count), shape=(size * count,)), (size, count))


def indexing_each(op: Op, values: Sequence[Any], batched: Sequence[bool], params: dict[str, Any], size: int) -> Any:
    """The places that the index of each sample picks.

    Raises:
        CaptureError: they are not equally many, as with boolean masks.
    """
    found = [op.call(*[v[i] if b else v for v, b in zip(values, batched, strict=True)], **params) for i in range(size)]
    shapes = {np.shape(one) for one in found}
    if len(shapes) > 1:
        raise CaptureError(
            "a boolean mask picks another number of elements from each sample; choose with where(), or say "
            "chunk_size=1, which runs the function for one sample after the other"
        )
    return np.stack(found)


def looking_up(op: Op, values: Sequence[Any], batched: Sequence[bool], params: dict[str, Any], size: int) -> Any:
    """Rows of one table: the ids of all samples at once."""
    return one_by_one(op, values, batched, params, size) if batched[0] else op.call(*values, **params)


def summing_rows(op: Op, values: Sequence[Any], batched: Sequence[bool], params: dict[str, Any], size: int) -> Any:
    """The adjoint of :func:`looking_up`: a table for each sample, one after the other."""
    z, ids = spread(values[0], batched[0], size), spread(_plain(values[1]), batched[1], size)
    rows = params["rows"]
    return _reshape(op.call(z, _offsets(ids, size, rows), rows=size * rows), (size, rows, z.shape[-1]))


# --- recurrence -----------------------------------------------------------------------------------


def recurring(op: Op, values: Sequence[Any], batched: Sequence[bool], params: dict[str, Any], size: int) -> Any:
    """Recurrent layers whose weights all samples share: all sequences of all samples are one batch.

    Of the operands the states and the weights are matrices, and weights have no batch axis; all others are
    ``(time, batch, …)``.
    """
    names = dict(zip(op.operands, zip(values, batched, strict=True), strict=True))
    if any(names[name][1] for name in ("weight", "bias") if name in names):
        return one_by_one(op, values, batched, params, size)
    merged: list[Any] = []
    for name, (value, one) in names.items():
        if name in ("weight", "bias") or not math.prod(value.shape[one:]):
            merged.append(value if name in ("weight", "bias") else np.empty(0, np.bool_))
            continue
        wide = spread(value, one, size)
        if name not in ("state", "cell"):
            wide = OPS["permute"].call(wide, axes=(1, 0, *range(2, wide.ndim)))
        first = 0 if name in ("state", "cell") else 1
        shape = wide.shape
        merged.append(_reshape(wide, (*shape[:first], shape[first] * shape[first + 1], *shape[first + 2 :])))
    y = op.call(*merged, **{name: None if name == "saved" else value for name, value in params.items()})
    y = _reshape(y, (y.shape[0], size, y.shape[1] // size, y.shape[2]))
    return OPS["permute"].call(y, axes=(1, 0, 2, 3))


# --- products -------------------------------------------------------------------------------------


def _rows(x: Any) -> Any:
    """All axes but the last merged into one."""
    return _reshape(x, (math.prod(x.shape[:-1]), x.shape[-1]))


def multiplying(op: Op, values: Sequence[Any], batched: Sequence[bool], params: dict[str, Any], size: int) -> Any:
    """Stacks of matrices; a matrix that all samples share is multiplied with all of them in one product."""
    a, b = values
    if batched[0] and not batched[1] and b.ndim == 2:
        return _reshape(op.call(_rows(a), b), (*a.shape[:-1], b.shape[1]))
    if batched[1] and not batched[0] and a.ndim == 2 and b.ndim == 3:
        turned = _swap_last(b) if b.shape[-1] != 1 else _reshape(b, (b.shape[0], 1, b.shape[1]))
        flipped = _reshape(op.call(_rows(turned), _swap_last(a)), (*turned.shape[:-1], a.shape[0]))
        return _swap_last(flipped) if b.shape[-1] != 1 else _reshape(flipped, (size, a.shape[0], 1))
    rank = max(a.ndim - batched[0], b.ndim - batched[1])
    return op.call(*[widen(v, rank) if one else v for v, one in zip(values, batched, strict=True)])


def dense_layers(op: Op, values: Sequence[Any], batched: Sequence[bool], params: dict[str, Any], size: int) -> Any:
    """Dense layers, with one weight for all samples or one for each."""
    x, weight, *bias = values
    if not any(batched[1:]):
        return _reshape(op.call(_rows(x), weight, *bias), (*x.shape[:-1], weight.shape[0]))
    x_rank = x.ndim - batched[0]
    lead = x.shape[batched[0] : -1]
    rows = _reshape(x, (*x.shape[: batched[0]], math.prod(lead), x.shape[-1]))
    product = OPS["matmul"]
    y = multiplying(product, (rows, _swap_last(weight)), batched[:2], {}, size) if any(batched[:2]) else None
    if y is None:
        y = product.call(rows, _swap_last(weight))
    y = _reshape(y, (*y.shape[:-2], *lead, y.shape[-1]))
    if not bias:
        return y
    summands = (y, bias[0])
    return aligned(OPS["add"], summands, (y.ndim == x_rank + 1, batched[2]), {}, size)


def weight_gradients(op: Op, values: Sequence[Any], batched: Sequence[bool], params: dict[str, Any], size: int) -> Any:
    """``z.T @ x`` per sample; for a single row the outer product, which is exact."""
    z, x = values
    lead = x.shape[batched[1] : -1]
    count = math.prod(lead)
    if count == 1:
        flat = [_reshape(one, (*one.shape[:b], one.shape[-1])) for one, b in zip(values, batched, strict=True)]
        if all(batched) and size * z.shape[-1] * x.shape[-1] >= _MANY:
            return OPS["einsum"].call(*flat, equation="no,ni->noi")
        return OPS["mul"].call(
            _reshape(flat[0], (*flat[0].shape, 1)), _reshape(flat[1], (*x.shape[: batched[1]], 1, x.shape[-1]))
        )
    flat_z = _reshape(z, (*z.shape[: batched[0]], count, z.shape[-1]))
    flat_x = _reshape(x, (*x.shape[: batched[1]], count, x.shape[-1]))
    return multiplying(OPS["matmul"], (_swap_last(flat_z), flat_x), batched, {}, size)


def contracting(op: Op, values: Sequence[Any], batched: Sequence[bool], params: dict[str, Any], _size: int) -> Any:
    """Einstein sums get a letter for the samples."""
    left, out = params["equation"].split("->")
    letter = next(one for one in ascii_letters if one not in left)
    terms = [letter * bool(b) + term for term, b in zip(left.split(","), batched, strict=True)]
    return op.call(*values, equation=f"{','.join(terms)}->{letter}{out}")


# --- losses ---------------------------------------------------------------------------------------


def classes(op: Op, values: Sequence[Any], batched: Sequence[bool], params: dict[str, Any], size: int) -> Any:
    """Losses of class ids: the rows of all samples one after the other.

    Raises:
        ArgumentError: some sample's id is out of range; the loss itself has seen the ids of one sample only.
    """
    logits, targets = [spread(v, b, size) for v, b in zip(values, batched, strict=True)]
    ids = targets.data if isinstance(targets, Traced) else targets
    if ids.size and not (ids.min() >= 0 and ids.max() < logits.shape[-1]):
        raise ArgumentError(
            f"cross_entropy: class ids run from {ids.min()} to {ids.max()}, but the logits have {logits.shape[-1]} "
            f"classes (0 to {logits.shape[-1] - 1})"
        )
    y = op.call(_rows(logits), _reshape(targets, (math.prod(targets.shape),)), **params)
    return _reshape(y, (*logits.shape[:-1], *y.shape[1:]))
