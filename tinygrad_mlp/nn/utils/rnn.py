"""Sequences of different lengths in one batch: padded and packed, as torch does it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ...capture import reading
from ...errors import ArgumentError, ShapeError
from ...ops import getitem, transpose
from ...ops import stack as stacked
from ...ops.shape import put
from ...tape import Array
from ...tensor import Tensor

__all__ = ["PackedSequence", "pack_padded_sequence", "pack_sequence", "pad_packed_sequence", "pad_sequence"]


class PackedSequence(NamedTuple):
    """A batch of sequences without padding, time after time; a recurrent layer takes it in the place of its input.

    Attributes:
        data: ``(all steps of all sequences, …)``: the first steps of all sequences, longest first, then the second.
        batch_sizes: how many sequences reach each time, ``(time,)``.
        sorted_indices: which sequence of the batch came first, second, … when the longest come first; None: in order.
        unsorted_indices: the way back.
    """

    data: Any
    batch_sizes: Array
    sorted_indices: Array | None = None
    unsorted_indices: Array | None = None

    @property
    def lengths(self) -> Array:
        """The length of each sequence, in the order of the batch."""
        places = np.arange(self.batch_sizes[0])
        longest_first: Array = (self.batch_sizes[:, None] > places).sum(0)
        return longest_first if self.unsorted_indices is None else longest_first[self.unsorted_indices]


def plain_lengths(lengths: Any, batch: int, time: int | None, what: str) -> Array:
    """Lengths as whole numbers, one for each sequence.

    Raises:
        ShapeError: not one for each sequence. ArgumentError: not whole numbers from 1 to ``time``. CaptureError: they
            differ from run to run of a compiled step.
    """
    if isinstance(lengths, Tensor):
        reading(lengths, what)
        lengths = lengths.data
    found = np.asarray(lengths)
    if found.shape != (batch,):
        raise ShapeError(f"{what}: lengths is one number for each of the {batch} sequences, got shape {found.shape}")
    check_lengths(found, time, what)
    return found


def check_lengths(lengths: Array, time: int | None, what: str) -> None:
    """Refuse lengths that are not whole numbers from 1 to ``time``.

    Raises:
        ArgumentError: they are not; the message names the first that is wrong.
    """
    if lengths.dtype.kind not in "iu":
        raise ArgumentError(f"{what}: lengths are whole numbers, got dtype {lengths.dtype}; say x.astype('int64')")
    wrong = (lengths < 1) | (lengths > (np.inf if time is None else time))
    if wrong.any():
        place = int(wrong.argmax())
        upper = "" if time is None else f" to {time}, the length of the time axis"
        raise ArgumentError(f"{what}: lengths run from 1{upper}; got {int(lengths[place])} for sequence {place}")


def _where(batch_sizes: Array) -> tuple[Array, Array]:
    """Time and rank of every packed step."""
    times = np.repeat(np.arange(len(batch_sizes)), batch_sizes)
    ranks = np.concatenate([np.arange(size) for size in batch_sizes])
    return times, ranks


def pack_padded_sequence(
    input: Any, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Leave the padding out.

    Args:
        input: ``(time, batch, …)``, or ``(batch, time, …)`` if ``batch_first``.
        lengths: of each sequence, from 1 to ``time``.
        enforce_sorted: the sequences are expected to come longest first; False sorts them.

    Raises:
        ShapeError: fewer than two axes, or not one length for each sequence. ArgumentError: lengths out of range, or
            not sorted although that is expected.
    """
    if input.ndim < 2:
        raise ShapeError(f"pack_padded_sequence takes (time, batch, …), got shape {tuple(input.shape)}")
    if batch_first:
        input = transpose(input, 0, 1)
    time, batch = input.shape[:2]
    sizes = plain_lengths(lengths, batch, time, "pack_padded_sequence")
    order: Array | None = None
    if enforce_sorted:
        if (np.diff(sizes) > 0).any():
            raise ArgumentError(
                f"pack_padded_sequence: lengths fall when enforce_sorted=True, got {sizes.tolist()}; say "
                "enforce_sorted=False"
            )
    else:
        order = np.argsort(-sizes, kind="stable")
        sizes = sizes[order]
    batch_sizes = (sizes[None, :] > np.arange(sizes[0])[:, None]).sum(1)
    times, ranks = _where(batch_sizes)
    data = getitem(input, (times, ranks if order is None else order[ranks]))
    return PackedSequence(data, batch_sizes, order, None if order is None else np.argsort(order))


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Any, Array]:
    """The inverse of :func:`pack_padded_sequence`: the padded batch and the lengths.

    Args:
        sequence: the packed batch. padding_value: what stands behind the end of a sequence.
        total_length: the length of the time axis; that of the longest sequence by default.

    Raises:
        ArgumentError: ``total_length`` is less than the longest sequence.
    """
    time = len(sequence.batch_sizes)
    if total_length is not None:
        if total_length < time:
            raise ArgumentError(
                f"pad_packed_sequence: total_length is at least {time}, the longest sequence, got {total_length}"
            )
        time = total_length
    times, ranks = _where(sequence.batch_sizes)
    rows = ranks if sequence.sorted_indices is None else sequence.sorted_indices[ranks]
    batch = int(sequence.batch_sizes[0])
    shape = (time, batch, *sequence.data.shape[1:])
    padded = put(sequence.data, shape=shape, index=(times, rows))
    if padding_value:
        behind = np.full(shape, padding_value, sequence.data.dtype)
        behind[times, rows] = 0
        padded = padded + behind
    return (transpose(padded, 0, 1) if batch_first else padded), sequence.lengths


def pad_sequence(
    sequences: Sequence[Any], batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right"
) -> Any:
    """Sequences ``(length, …)`` in one batch ``(time, batch, …)``, filled up to the longest.

    Args:
        sequences: tensors or arrays that agree in every axis but the first. batch_first: give ``(batch, time, …)``.
        padding_value: what is filled in. padding_side: ``"right"``, behind the end, or ``"left"``.

    Raises:
        ArgumentError: no sequences, or an unknown side. ShapeError: they differ in another axis.
    """
    if padding_side not in ("right", "left"):
        raise ArgumentError(f"pad_sequence: padding_side is 'right' or 'left', got {padding_side!r}")
    if len(sequences) == 0:
        raise ArgumentError("pad_sequence needs at least one sequence")
    values = [one if isinstance(one, Tensor) else np.asarray(one) for one in sequences]
    shapes = [tuple(one.shape) for one in values]
    if any(not shape for shape in shapes) or len({shape[1:] for shape in shapes}) > 1:
        raise ShapeError(f"pad_sequence takes sequences (length, …) of one kind, got shapes {shapes}")
    time = max(shape[0] for shape in shapes)
    rows = []
    for value in values:
        missing = time - value.shape[0]
        place = slice(missing, time) if padding_side == "left" else slice(0, value.shape[0])
        row = put(value, shape=(time, *value.shape[1:]), index=place)
        if padding_value and missing:
            behind = np.full(row.shape, padding_value, row.dtype)
            behind[place] = 0
            row = row + behind
        rows.append(row)
    return stacked(rows, 0 if batch_first else 1)


def pack_sequence(sequences: Sequence[Any], enforce_sorted: bool = True) -> PackedSequence:
    """Sequences ``(length, …)``, packed.

    Raises:
        ArgumentError: no sequences, or not longest first although that is expected. ShapeError: they differ in another
            axis.
    """
    lengths = np.asarray([len(one) for one in sequences])
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)
