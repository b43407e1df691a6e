"""How an op is written in C: forms that ops name in their declaration, as ``native=``.

A rule is called as ``rule(operands, params, result)`` with the shapes and dtypes of one call, and gives the form of
that call, which the code generator knows how to place, fuse and run; or None where the call has no native form, and the
op's ``forward`` is called from Python. An elementwise op needs no rule: its ``scalar`` template is its form.

The forms say what is computed, never how loops are ordered or where memory lies. C functions that they name are in
``tinygrad_mlp/program/native/kernels.h``.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

__all__ = ["FLOATS", "Code", "Form", "Layout", "Map", "Matmul", "Parts", "Reduce", "Spec", "SumOfProducts", "View"]

Shape = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Spec:
    """Shape and dtype of an operand or result; bare numbers have the shape ``()`` and the result's dtype."""

    shape: Shape
    dtype: np.dtype[Any]


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where the elements of an array lie in a block of memory: strides and offset count elements."""

    shape: Shape
    strides: tuple[int, ...]
    offset: int = 0

    @staticmethod
    def dense(shape: Shape, order: Sequence[int] | None = None) -> Layout:
        """Without gaps, the axes from slowest to fastest in ``order`` (C order by default)."""
        strides = [0] * len(shape)
        step = 1
        for axis in reversed(range(len(shape)) if order is None else order):
            strides[axis] = step
            step *= max(shape[axis], 1)
        return Layout(shape, tuple(strides))

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def contiguous(self) -> bool:
        """Whether the elements lie in C order without gaps."""
        step = 1
        for size, stride in zip(reversed(self.shape), reversed(self.strides), strict=True):
            if size != 1 and stride != step:
                return False
            step *= size
        return True

    def same_places(self, other: Layout) -> bool:
        """Whether an index means the same place in both."""
        return (
            self.shape == other.shape
            and self.offset == other.offset
            and all(
                size <= 1 or mine == theirs
                for size, mine, theirs in zip(self.shape, self.strides, other.strides, strict=True)
            )
        )

    def permute(self, axes: Sequence[int]) -> Layout:
        """The axes in another order."""
        return Layout(tuple([self.shape[i] for i in axes]), tuple([self.strides[i] for i in axes]), self.offset)

    def broadcast(self, shape: Shape) -> Layout:
        """Repeated along new and length-1 axes."""
        extra = len(shape) - len(self.shape)
        strides = [0] * extra + [
            0 if old == 1 and new != 1 else stride
            for old, new, stride in zip(self.shape, shape[extra:], self.strides, strict=True)
        ]
        return Layout(shape, tuple(strides), self.offset)

    def reshape(self, shape: Shape) -> Layout | None:
        """The elements in C order under another shape; None where that is no regular pattern."""
        if self.size == 0:
            return dataclasses.replace(Layout.dense(shape), offset=self.offset)
        # Runs of axes that one stride describes, slowest first.
        runs: list[tuple[int, int]] = []
        for size, stride in zip(self.shape, self.strides, strict=True):
            if size == 1:
                continue
            if runs and runs[-1][1] == size * stride:
                runs[-1] = (runs[-1][0] * size, stride)
            else:
                runs.append((size, stride))
        strides = [0] * len(shape)
        place = len(shape) - 1
        for count, stride in reversed(runs):
            left, step = count, stride
            while left > 1:
                while place >= 0 and shape[place] == 1:
                    place -= 1
                if place < 0 or left % shape[place]:
                    return None
                strides[place] = step
                step *= shape[place]
                left //= shape[place]
                place -= 1
        return Layout(shape, tuple(strides), self.offset)

    def index(self, index: Any) -> Layout:
        """What basic indexing (integers, slices, None, Ellipsis) leaves."""
        # NumPy's own arithmetic on an array of the same strides whose elements are never touched.
        base = np.empty(1, np.int8)
        array = np.lib.stride_tricks.as_strided(base, self.shape, self.strides)
        parts = index if isinstance(index, tuple) else (index,)
        # With an Ellipsis the answer is a view even where it has no axes left.
        found = array[parts if Ellipsis in parts else (*parts, ...)]
        start = found.__array_interface__["data"][0] - array.__array_interface__["data"][0]
        return Layout(found.shape, found.strides, self.offset + start)


Place = Callable[[Layout], "Layout | None"]


def same(layout: Layout) -> Layout:
    """The operand as it is."""
    return layout


@dataclasses.dataclass(frozen=True)
class View:
    """The operand's own memory under another layout; where ``place`` gives None, of a copy in C order."""

    place: Place


@dataclasses.dataclass(frozen=True)
class Map:
    """Each number from one number of each operand: a C expression of ``{0}``, ``{1}``, …, and ``{type}``."""

    template: str


@dataclasses.dataclass(frozen=True)
class Reduce:
    """Over ``axes``: ``how`` is ``sum``, ``max``, ``min``, ``any`` or ``all``; ``finish`` a template of the outcome."""

    axes: tuple[int, ...]
    how: str = "sum"
    finish: str = "{0}"


@dataclasses.dataclass(frozen=True)
class Matmul:
    """``(…, m, k) @ (…, k, n)`` of two operands under other layouts, plus operand 2 if ``bias``.

    ``result`` is the place of the ``(…, m, n)`` product in the result's memory, the identity but for reshapes.
    """

    a: Place
    b: Place
    shape: Shape
    bias: bool = False
    operands: tuple[int, int] = (0, 1)


@dataclasses.dataclass(frozen=True)
class SumOfProducts:
    """``sum over axes of a * b``, both under layouts of ``shape``."""

    a: Place
    b: Place
    shape: Shape
    axes: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Parts:
    """The result put together: ``fill`` everywhere if given, then each operand at its place in the result."""

    places: tuple[Place, ...]
    fill: bool = False


@dataclasses.dataclass(frozen=True)
class Code:
    """A C statement on whole arrays in C order: operands ``A0``, ``A1``, …, result ``Y``, saved ``S0``, ``S1``, ….

    ``{type}`` is the result's (or else the first operand's) C type. A statement that may fail returns from the kernel
    with a value other than 0; ``fails`` is then the message.

    Attributes:
        order: axes of operand 0, and of the result if that has as many, in the order in which the code sees them.
        dtypes: of the operands as the code wants them; None: as they are. saves: what it saves, readable by later calls
            whose ``saved`` operands come after the others. constants: further operands, after those.
    """

    text: str
    order: tuple[int, ...] | None = None
    dtypes: tuple[Any, ...] | None = None
    saves: tuple[Spec, ...] = ()
    constants: tuple[Any, ...] = ()
    fails: str | None = None
    reads_saved: bool = False


Form = View | Map | Reduce | Matmul | SumOfProducts | Parts | Code
Rule = Callable[[Sequence[Spec], dict[str, Any], Spec], "Form | None"]

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
INT64 = np.dtype(np.int64)


# --- elementwise ----------------------------------------------------------------------------------


def casting(operands: Sequence[Spec], params: dict[str, Any], result: Spec) -> Form | None:
    """Another dtype."""
    return Map("({0} != 0)" if result.dtype.kind == "b" else "(({type}){0})")


def powering(operands: Sequence[Spec], params: dict[str, Any], result: Spec) -> Form | None:
    """A power with a plain number as exponent."""
    exponent = params["exponent"]
    if result.dtype not in FLOATS:
        return None
    small = {0: "({type})1", 1: "{0}", 2: "({0} * {0})", -1: "(1 / {0})", 0.5: "sqrt({0})"}
    return Map(small.get(exponent, f"pow({{0}}, ({{type}}){float(exponent)!r})"))


# --- shapes ---------------------------------------------------------------------------------------


def reshaping(operands: Sequence[Spec], params: dict[str, Any], result: Spec) -> Form | None:
    """Another shape."""
    return View(lambda layout: layout.reshape(result.shape))


def permuting(operands: Sequence[Spec], params: dict[str, Any], result: Spec) -> Form | None:
    """The axes in another order."""
    return View(lambda layout: layout.permute(params["axes"]))


def broadcasting(operands: Sequence[Spec], params: dict[str, Any], result: Spec) -> Form | None:
    """Repeated along axes."""
    return View(lambda layout: layout.broadcast(result.shape))


def is_basic(index: Any) -> bool:
    """Whether an index picks a regular pattern."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(part is None or part is Ellipsis or type(part) in (int, slice) for part in parts)


def _places(shape: Shape, index: Any) -> Any:
    return np.ascontiguousarray(np.arange(math.prod(shape), dtype=np.int64).reshape(shape)[index])


def picking(operands: Sequence[Spec], params: dict[str, Any], result: Spec) -> Form | None:
    """A fixed index."""
    index = params["index"]
    if is_basic(index):
        return View(lambda layout: layout.index(index))
    places = _places(operands[0].shape, index)
    return Code(f"for (int64_t i = 0; i < {places.size}; i++) Y[i] = A0[A1[i]];", constants=(places,))


def putting(operands: Sequence[Spec], params: dict[str, Any], result: Spec) -> Form | None:
    """The adjoint of :func:`picking`."""
    index = params["index"]
    if is_basic(index):
        return Parts((lambda layout: layout.index(index),), fill=True)
    places = _places(result.shape, index)
    if operands[0].shape != places.shape:
        return None
    return Code(
        f"for (int64_t i = 0; i < {math.prod(result.shape)}; i++) Y[i] = 0; "
        f"for (int64_t i = 0; i < {places.size}; i++) Y[A1[i]] += A0[i];",
        constants=(places,),
    )


_OUT_OF_RANGE = "an index is out of range for an axis of {0}"


def picking_each(operands: Sequence[Spec], params: dict[str, Any], result: Spec) -> Form | None:
    """Elements of a vector at places that are only known when the program runs."""
    count, places = operands[0].shape[0], math.prod(operands[1].shape)
    return Code(
        f"for (int64_t i = 0; i < {places}; i++) {{{{ int64_t p = A1[i] + (A1[i] < 0 ? {count} : 0); "
        f"if (p < 0 || p >= {count}) return 1; Y[i] = A0[p]; }}}}",
        dtypes=(None, INT64),
        fails=_OUT_OF_RANGE.format(count),
    )


def putting_each(operands: Sequence[Spec], params: dict[str, Any], result: Spec) -> Form | None:
    """The adjoint of :func:`picking_each`."""
    (count,) = params["shape"]
    if operands[0].shape != operands[1].shape:
        return None
    return Code(
        f"for (int64_t i = 0; i < {count}; i++) Y[i] = 0; "
        f"for (int64_t i = 0; i < {math.prod(operands[1].shape)}; i++) {{{{ "
        f"int64_t p = A1[i] + (A1[i] < 0 ? {count} : 0); if (p < 0 || p >= {count}) return 1; Y[p] += A0[i]; }}}}",
        dtypes=(None, INT64),
        fails=_OUT_OF_RANGE.format(count),
    )


def indexing_each(operands: Sequence[Spec], params: dict[str, Any], result: Spec) -> Form | None:
    """The places that one array of integers picks on the first axis, as rows of an embedding are."""
    if (
        len(operands) != 1
        or operands[0].dtype.kind not in "iu"
        or tuple(params["pattern"]) not in (((0,),), ((0,), ...))
    ):
        return None
    count, *rest = params["shape"]
    width = math.prod(rest)
    return Code(
        f"for (int64_t i = 0; i < {math.prod(operands[0].shape)}; i++) {{{{ "
        f"int64_t p = A0[i] + (A0[i] < 0 ? {count} : 0); if (p < 0 || p >= {count}) return 1; "
        f"for (int64_t j = 0; j < {width}; j++) Y[i * {width} + j] = p * {width} + j; }}}}",
        dtypes=(INT64,),
        fails=_OUT_OF_RANGE.format(count),
    )


def _row_of(count: int) -> str:
    return f"int64_t p = A1[i]; if (p < 0 || p >= {count}) return 1; "


def looking_up(operands: Sequence[Spec], params: dict[str, Any], result: Spec) -> Form | None:
    """Rows of a table at places that are only known when the program runs."""
    count, width = operands[0].shape
    return Code(
        f"for (int64_t i = 0; i < {math.prod(operands[1].shape)}; i++) {{{{ {_row_of(count)}"
        f"for (int64_t j = 0; j < {width}; j++) Y[i * {width} + j] = A0[p * {width} + j]; }}}}",
        dtypes=(None, INT64),
        fails=_OUT_OF_RANGE.format(count),
    )


def summing_rows(operands: Sequence[Spec], params: dict[str, Any], result: Spec) -> Form | None:
    """The adjoint of :func:`looking_up`."""
    count, width = result.shape
    return Code(
        f"for (int64_t i = 0; i < {count * width}; i++) Y[i] = 0; "
        f"for (int64_t i = 0; i < {math.prod(operands[1].shape)}; i++) {{{{ {_row_of(count)}"
        f"for (int64_t j = 0; j < {width}; j++) Y[p * {width} + j] += A0[i * {width} + j]; }}}}",
        dtypes=(None, INT64),
        fails=_OUT_OF_RANGE.format(count),
    )


def joining(operands: Sequence[Spec], params: dict[str, Any], result: Spec) -> Form | None:
    """One after the other along an axis."""
    axis, ends = params["axis"], params["ends"]

    def place(start: int, stop: int) -> Place:
        return lambda layout: layout.index((slice(None),) * axis + (slice(start, stop),))

    starts = (0, *ends[:-1])
    return Parts(tuple([place(start, stop) for start, stop in zip(starts, ends, strict=True)]))


def unfolding(operands: Sequence[Spec], params: dict[str, Any], result: Spec) -> Form | None:
    """Windows over the last axes: the same memory under other strides."""
    before = len(operands[0].shape) - len(params["sizes"])

    def place(layout: Layout) -> Layout:
        own = layout.strides[before:]
        moves = [stride * step for stride, step in zip(own, params["steps"], strict=True)]
        inner = [stride * gap for stride, gap in zip(own, params["gaps"], strict=True)]
        return Layout(result.shape, (*layout.strides[:before], *moves, *inner), layout.offset)

    return View(place)


def folding(operands: Sequence[Spec], params: dict[str, Any], result: Spec) -> Form | None:
    """The adjoint of :func:`unfolding`: element by element of the windows, in order."""
    lengths, steps, gaps = params["lengths"], params["steps"], params["gaps"]
    axes = len(lengths)
    shape = operands[0].shape
    before = len(shape) - 2 * axes
    rows = math.prod(shape[:before])
    count = math.prod(lengths)
    if not rows * count or 0 in shape:
        return None
    # The innermost loop runs along the input, so that the compiler can add many at once.
    places, sizes = shape[before : before + axes], shape[before + axes :]
    inside = [f"in{i}" for i in range(axes)]
    spots = [f"at{i}" for i in range(axes)]
    sized = [*zip(inside, sizes, strict=True), *zip(spots, places, strict=True)]
    heads = [f"for (int64_t {name} = 0; {name} < {size}; {name}++)" for name, size in sized]
    source = target = "row"
    for name, size in [*zip(spots, places, strict=True), *zip(inside, sizes, strict=True)]:
        source = f"({source} * {size} + {name})"
    for i, length in enumerate(lengths):
        target = f"({target} * {length} + {spots[i]} * {steps[i]} + {inside[i]} * {gaps[i]})"
    return Code(
        f"for (int64_t i = 0; i < {rows * count}; i++) Y[i] = 0; "
        f"for (int64_t row = 0; row < {rows}; row++) {' '.join(heads)} Y[{target}] += A0[{source}];"
    )


# --- reductions -----------------------------------------------------------------------------------


def summing(operands: Sequence[Spec], params: dict[str, Any], result: Spec) -> Form | None:
    """The sum over axes; integers and booleans as NumPy widens them."""
    return Reduce(tuple(params["axes"]))


def averaging(operands: Sequence[Spec], params: dict[str, Any], result: Spec) -> Form | None:
    """The mean over axes."""
    if operands[0].dtype not in FLOATS:
        return None
    count = math.prod([operands[0].shape[axis] for axis in params["axes"]])
    return Reduce(tuple(params["axes"]), finish=f"({{0}} / ({{type}}){count})")


def largest(operands: Sequence[Spec], params: dict[str, Any], result: Spec) -> Form | None:
    """The largest over axes; NaN wins."""
    return Reduce(tuple(params["axes"]), "max")


def smallest(operands: Sequence[Spec], params: dict[str, Any], result: Spec) -> Form | None:
    """The smallest over axes; NaN wins."""
    return Reduce(tuple(params["axes"]), "min")


def some(operands: Sequence[Spec], params: dict[str, Any], result: Spec) -> Form | None:
    """Whether some element is not 0."""
    return Reduce(tuple(params["axes"]), "any")


def every(operands: Sequence[Spec], params: dict[str, Any], result: Spec) -> Form | None:
    """Whether no element is 0."""
    return Reduce(tuple(params["axes"]), "all")


def summing_to(operands: Sequence[Spec], params: dict[str, Any], result: Spec) -> Form | None:
    """The sum over the axes that broadcasting made."""
    shape, kept = operands[0].shape, result.shape
    extra = len(shape) - len(kept)
    return Reduce(tuple([i for i, size in enumerate(shape) if i < extra or (kept[i - extra] == 1 and size != 1)]))


def _last(spec: Spec, axis: int) -> tuple[int, ...]:
    return (*[i for i in range(len(spec.shape)) if i != axis], axis)


def _rows(spec: Spec, axis: int) -> tuple[int, int]:
    count = spec.shape[axis]
    return (math.prod(spec.shape) // count if count else 0), count


@dataclasses.dataclass(frozen=True)
class _Groups:
    """C loops over groups of elements of an array in C order: those that agree in all but some axes."""

    shape: Shape
    axes: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many elements a group has."""
        return math.prod([self.shape[axis] for axis in self.axes])

    def _heads(self, axes: Sequence[int]) -> list[str]:
        return [f"for (int64_t n{i} = 0; n{i} < {self.shape[i]}; n{i}++)" for i in axes]

    def _kept(self) -> list[int]:
        return [i for i in range(len(self.shape)) if i not in self.axes]

    def each(self) -> str:
        """The loops over the groups; ``row`` is the number of one."""
        row = "0"
        for i in self._kept():
            row = f"({row} * {self.shape[i]} + n{i})"
        return f"{' '.join(self._heads(self._kept()))} {{{{ int64_t row = {row}; "

    def within(self, sums: str = "") -> str:
        """The loops over the elements of a group, ``sums`` being what is added up in the innermost."""
        *outer, inner = self._heads(self.axes)
        pragma = f'_Pragma("omp simd reduction(+:{sums})") ' if sums else ""
        return f"{' '.join(outer)} {pragma}{inner}"

    @property
    def place(self) -> str:
        """Where the element lies."""
        place = "0"
        for i, size in enumerate(self.shape):
            place = f"({place} * {size} + n{i})"
        return place


def standardising(operands: Sequence[Spec], params: dict[str, Any], result: Spec) -> Form | None:
    """Mean 0 and variance 1 over axes; the sums are double. Saves means and one over the roots of the variances."""
    axes = tuple(params["axes"])
    if result.dtype not in FLOATS or not math.prod(result.shape):
        return None
    groups = _Groups(result.shape, axes)
    each = Spec(tuple([1 if i in axes else size for i, size in enumerate(result.shape)]), result.dtype)
    n, x = groups.count, f"A0[{groups.place}]"
    return Code(
        f"{groups.each()} double sum = 0, squares = 0; {groups.within('sum')} sum += {x}; double mean = sum / {n}; "
        f"{groups.within('squares')} squares += ({x} - mean) * ({x} - mean); "
        f"double rate = 1 / sqrt(squares / {n} + {float(params['eps'])!r}); S0[row] = mean; S1[row] = rate; "
        f"{groups.within()} Y[{groups.place}] = ({x} - mean) * rate; }}}}",
        saves=(each, each),
    )


def standardising_gradients(operands: Sequence[Spec], params: dict[str, Any], result: Spec) -> Form | None:
    """The gradient of :func:`standardising`, from what that has saved."""
    same_dtypes = all(one.dtype == result.dtype for one in operands)
    if result.dtype not in FLOATS or not same_dtypes or not math.prod(result.shape) or params.get("saved") is None:
        return None
    groups = _Groups(result.shape, tuple(params["axes"]))
    n, z, y = groups.count, f"A0[{groups.place}]", f"((A1[{groups.place}] - mean) * rate)"
    return Code(
        f"{groups.each()} double mean = A2[row], rate = A3[row], sum = 0, along = 0; "
        f"{groups.within('sum, along')} {{{{ sum += {z}; along += {z} * {y}; }}}} sum /= {n}; along /= {n}; "
        f"{groups.within()} Y[{groups.place}] = ({z} - sum - {y} * along) * rate; }}}}",
        reads_saved=True,
    )


def searching(largest: bool) -> Rule:
    """The place of the first largest or smallest element along an axis."""

    def rule(operands: Sequence[Spec], params: dict[str, Any], result: Spec) -> Form | None:
        rows, count = _rows(operands[0], params["axis"])
        sign = ">" if largest else "<"
        return Code(
            f"for (int64_t i = 0; i < {rows}; i++) {{{{ int64_t at = 0; for (int64_t j = 1; j < {count}; j++) "
            f"if (A0[i * {count} + at] == A0[i * {count} + at] && (A0[i * {count} + j] {sign} A0[i * {count} + at] || "
            f"A0[i * {count} + j] != A0[i * {count} + j])) at = j; Y[i] = at; }}}}",
            order=_last(operands[0], params["axis"]),
        )

    return rule


def along_rows(name: str) -> Rule:
    """A C function of rows: ``name(A0, Y, rows, count)``, along ``axis``, the result shaped like the operand."""

    def rule(operands: Sequence[Spec], params: dict[str, Any], result: Spec) -> Form | None:
        rows, count = _rows(operands[0], params["axis"])
        if result.dtype not in FLOATS:
            return None
        return Code(f"{name}_{{type}}(A0, Y, {rows}, {count});", order=_last(operands[0], params["axis"]))

    return rule


def exponential_sums(operands: Sequence[Spec], params: dict[str, Any], result: Spec) -> Form | None:
    """``log(sum(exp))`` over axes."""
    (x,) = operands
    axes = tuple(params["axes"])
    if result.dtype not in FLOATS:
        return None
    count = math.prod([x.shape[axis] for axis in axes])
    order = (*[i for i in range(len(x.shape)) if i not in axes], *axes)
    return Code(f"logsumexp_{{type}}(A0, Y, {math.prod(x.shape) // max(count, 1)}, {count});", order=order)


# --- products -------------------------------------------------------------------------------------


def multiplying(operands: Sequence[Spec], params: dict[str, Any], result: Spec) -> Form | None:
    """Stacks of matrices."""
    if result.dtype not in FLOATS or any(one.dtype != result.dtype for one in operands):
        return None
    stack = result.shape[:-2]
    a, b = operands
    if len(b.shape) == 2 and len(a.shape) > 2:  # one matrix for all rows of the stack
        rows = math.prod(a.shape[:-1])
        return Matmul(lambda x: x.reshape((rows, a.shape[-1])), same, (rows, b.shape[1]))
    return Matmul(
        lambda x: x.broadcast((*stack, *a.shape[-2:])), lambda x: x.broadcast((*stack, *b.shape[-2:])), result.shape
    )


def dense_layers(operands: Sequence[Spec], params: dict[str, Any], result: Spec) -> Form | None:
    """``x @ weight.T``, plus the bias if there is one."""
    if result.dtype not in FLOATS or any(one.dtype != result.dtype for one in operands):
        return None
    x, weight = operands[:2]
    rows = math.prod(x.shape[:-1])
    return Matmul(
        lambda layout: layout.reshape((rows, x.shape[-1])),
        lambda layout: layout.permute((1, 0)),
        (rows, weight.shape[0]),
        bias=len(operands) == 3,
    )


def weight_gradients(operands: Sequence[Spec], params: dict[str, Any], result: Spec) -> Form | None:
    """``z.T @ x`` over all batch axes."""
    if result.dtype not in FLOATS or any(one.dtype != result.dtype for one in operands):
        return None
    z, x = operands
    rows = math.prod(x.shape[:-1])

    def turned(layout: Layout) -> Layout | None:
        flat = layout.reshape((rows, z.shape[-1]))
        return None if flat is None else flat.permute((1, 0))

    return Matmul(turned, lambda layout: layout.reshape((rows, x.shape[-1])), (z.shape[-1], x.shape[-1]))


def contracting(operands: Sequence[Spec], params: dict[str, Any], result: Spec) -> Form | None:
    """Einstein sums of two operands."""
    if result.dtype not in FLOATS or any(one.dtype != result.dtype for one in operands):
        return None
    left, out = params["equation"].split("->")
    terms = left.split(",")
    sizes = {
        letter: size
        for term, one in zip(terms, operands, strict=True)
        for letter, size in zip(term, one.shape, strict=True)
    }
    summed = "".join(letter for letter in sizes if letter not in out)
    first, second = terms
    if len(summed) == 1 and len(out) == 2 and len(first) == len(second) == 2 and out[0] in first and out[1] in second:
        return Matmul(
            lambda x: x.permute([first.index(one) for one in out[0] + summed]),
            lambda x: x.permute([second.index(one) for one in summed + out[1]]),
            result.shape,
        )
    letters = out + summed

    def spread(term: str) -> Place:
        def place(layout: Layout) -> Layout:
            strides = [layout.strides[term.index(one)] if one in term else 0 for one in letters]
            return Layout(tuple([sizes[one] for one in letters]), tuple(strides), layout.offset)

        return place

    return SumOfProducts(
        spread(first),
        spread(second),
        tuple([sizes[one] for one in letters]),
        tuple(range(len(out), len(letters))),
    )


# --- losses ---------------------------------------------------------------------------------------

_NO_CLASS = "cross_entropy: a class id is out of range, the logits have {0} classes (0 to {1})"


def class_losses(operands: Sequence[Spec], params: dict[str, Any], result: Spec) -> Form | None:
    """Cross-entropy of class ids, which saves exponentials, their sums and the places of the largest logits."""
    rows, count = operands[0].shape
    if result.dtype not in FLOATS:
        return None
    saves = (Spec((rows, count), result.dtype), Spec((rows,), result.dtype), Spec((rows,), INT64))
    return Code(
        f"if (class_loss_{{type}}(A0, A1, Y, S0, S1, S2, {rows}, {count})) return 1;",
        dtypes=(None, INT64),
        saves=saves,
        fails=_NO_CLASS.format(count, count - 1),
    )


def class_gradients(operands: Sequence[Spec], params: dict[str, Any], result: Spec) -> Form | None:
    """The gradient of :func:`class_losses`, from what that has saved where it has."""
    rows, count = operands[0].shape
    if result.dtype not in FLOATS:
        return None
    fails = _NO_CLASS.format(count, count - 1)
    if params.get("saved") is None:
        text = f"if (class_gradient_{{type}}(A0, A1, Y, {rows}, {count})) return 1;"
        return Code(text, dtypes=(None, INT64), fails=fails)
    text = f"if (class_gradient_saved_{{type}}(A1, A2, A3, A4, Y, {rows}, {count})) return 1;"
    return Code(text, dtypes=(None, INT64), fails=fails, reads_saved=True)


def soft_class(name: str) -> Rule:
    """Cross-entropy of probabilities, or its gradient: ``name(A0, A1, Y, rows, count)``."""

    def rule(operands: Sequence[Spec], params: dict[str, Any], result: Spec) -> Form | None:
        if result.dtype not in FLOATS or operands[0].shape != operands[1].shape:
            return None
        rows, count = _rows(operands[0], len(operands[0].shape) - 1)
        return Code(f"{name}_{{type}}(A0, A1, Y, {rows}, {count});", dtypes=(None, operands[0].dtype))

    return rule
