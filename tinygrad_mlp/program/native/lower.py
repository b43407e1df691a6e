"""From a program to nodes: op calls become forms on memory, and views become layouts of the memory they show.

A *storage* is the memory of one array, a *view* a layout of it. Nothing is decided here about loops or about which
storages share memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...ops import native as forms
from ...ops.native import Layout, Spec
from ..ir import Program, SavedRef, Step, Value

__all__ = ["CodeNode", "HostNode", "Lowered", "MapNode", "MatmulNode", "Node", "ReduceNode", "Storage", "View", "lower"]

Number = int | float | bool

C_TYPES: dict[np.dtype[Any], str] = {
    np.dtype(np.float32): "float",
    np.dtype(np.float64): "double",
    np.dtype(np.bool_): "uint8_t",
    **{np.dtype(f"{kind}{8 * size}"): f"{kind}{8 * size}_t" for kind in ("int", "uint") for size in (1, 2, 4, 8)},
}


class Storage:
    """The memory of one array.

    Attributes:
        layout: how its elements lie in it. slot: which of the caller's pointers it is; None: a place in the arena.
        writers, readers: the nodes. bound: the storage that it is put into the memory of. offset: bytes into the arena.
    """

    __slots__ = ("bound", "dtype", "layout", "offset", "readers", "slot", "writers")

    def __init__(self, layout: Layout, dtype: np.dtype[Any], slot: int | None = None) -> None:
        self.layout = layout
        self.dtype = dtype
        self.slot = slot
        self.offset = -1
        self.writers: list[Node] = []
        self.readers: list[Node] = []
        self.bound: Storage | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of the elements."""
        return self.layout.size * self.dtype.itemsize

    @property
    def home(self) -> Storage:
        """The storage whose memory this is."""
        return self if self.bound is None else self.bound.home


class View:
    """A storage under a layout."""

    __slots__ = ("layout", "storage")

    def __init__(self, storage: Storage, layout: Layout | None = None) -> None:
        self.storage = storage
        self.layout = storage.layout if layout is None else layout

    @property
    def whole(self) -> bool:
        """Whether this is the storage just as its node wrote it."""
        return self.layout.same_places(self.storage.layout)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the elements."""
        return self.storage.dtype


Argument = View | Number


class Node:
    """Something that computes ``targets`` from ``arguments``. ``step``: the step it is part of, for messages."""

    def __init__(self, step: Step | None, arguments: Sequence[Argument], targets: Sequence[View]) -> None:
        self.step = step
        self.arguments = tuple(arguments)
        self.targets = tuple(targets)
        self.kernel = -1
        for one in self.views:
            one.storage.readers.append(self)
        for target in targets:
            target.storage.writers.append(self)

    @property
    def views(self) -> list[View]:
        """The arguments that are arrays."""
        return [one for one in self.arguments if isinstance(one, View)]

    @property
    def target(self) -> View:
        """The first of the targets."""
        return self.targets[0]

    def forget(self) -> None:
        """Take the node out of its storages' lists."""
        for one in self.views:
            one.storage.readers.remove(self)
        for target in self.targets:
            target.storage.writers.remove(self)


class MapNode(Node):
    """A C expression for each element of the target, which has the layout that the arguments broadcast to."""

    def __init__(self, step: Step | None, template: str, arguments: Sequence[Argument], target: View) -> None:
        super().__init__(step, arguments, [target])
        self.template = template


class ReduceNode(Node):
    """A reduction of its only argument; the target keeps the reduced axes, with length 1."""

    def __init__(self, step: Step | None, form: forms.Reduce, argument: View, target: View) -> None:
        super().__init__(step, [argument], [target])
        self.form = form


class MatmulNode(Node):
    """``(…, m, k) @ (…, k, n)``."""


class CodeNode(Node):
    """C code on whole arrays."""

    def __init__(
        self,
        step: Step,
        form: forms.Code,
        arguments: Sequence[View],
        targets: Sequence[View],
        constants: Sequence[View],
    ) -> None:
        super().__init__(step, [*arguments, *constants], targets)
        self.form = form


class HostNode(Node):
    """A call of the op's own function, from Python."""

    step: Step


class Lowered:
    """What :func:`lower` gives.

    Attributes:
        nodes: in order. slots: what the caller's pointers point to, from 1 on: values of the program, or fixed arrays
            that forms brought. outputs: where each output is found at the end. copies: the nodes that write buffers.
        saved: whose results on the side are arrays.
    """

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.slots: list[Value | np.ndarray[Any, Any]] = []
        self.outputs: list[View] = []
        self.copies: list[tuple[View, View]] = []
        self.views: dict[Value, View] = {}


def dense_layout(shape: tuple[int, ...], strides: Sequence[int], itemsize: int) -> Layout | None:
    """The layout of a NumPy array that has no gaps, in whatever order of axes; None if it has."""
    order = sorted(range(len(shape)), key=lambda axis: -strides[axis] if shape[axis] > 1 else 0)
    layout = Layout.dense(shape, order)
    given = Layout(shape, tuple([stride // itemsize for stride in strides]))
    return layout if layout.same_places(given) else None


def _strided(value: Value) -> Layout:
    size = value.dtype.itemsize
    return Layout(value.shape, tuple([stride // size for stride in value.strides]))


def c_type(dtype: np.dtype[Any]) -> str:
    """The C type of a dtype that native code knows."""
    return C_TYPES[dtype]


class _Lowering:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.out = Lowered()
        self.saved: dict[Step, list[View]] = {}
        self.wanted = {value: buffer for buffer, value in program.writes}
        for value in (*program.inputs, *program.buffers, *program.constants, *program.fed):
            regular = all(stride % value.dtype.itemsize == 0 for stride in value.strides)
            layout = _strided(value) if value.kind in ("buffer", "constant") and regular else Layout.dense(value.shape)
            self.out.views[value] = View(self._slot(value, layout, value.dtype))

    def _slot(self, content: Value | np.ndarray[Any, Any], layout: Layout, dtype: np.dtype[Any]) -> Storage:
        self.out.slots.append(content)
        return Storage(layout, dtype, len(self.out.slots))

    def constant(self, array: np.ndarray[Any, Any]) -> View:
        """A view of a fixed array that a form brought."""
        array = np.ascontiguousarray(array)
        return View(self._slot(array, Layout.dense(array.shape), array.dtype))

    def add(self, node: Node) -> Node:
        """Append a node."""
        self.out.nodes.append(node)
        return node

    def fresh(self, shape: tuple[int, ...], dtype: np.dtype[Any], layout: Layout | None = None) -> View:
        """New memory."""
        return View(Storage(layout or Layout.dense(shape), dtype))

    def copied(self, step: Step | None, view: View, layout: Layout | None = None, dtype: Any = None) -> View:
        """A copy of a view: in C order, or of another layout or dtype."""
        target = self.fresh(view.layout.shape, dtype or view.dtype, layout)
        self.add(MapNode(step, "{0}" if dtype is None else "(({type}){0})", [view], target))
        return target

    def placed(self, step: Step, argument: Argument, place: forms.Place, like: Spec) -> View:
        """An operand under another layout, copied first where that needs it."""
        view = self.array(argument, like)
        layout = place(view.layout)
        if layout is None:
            view = self.copied(step, view)
            layout = place(view.layout)
            assert layout is not None, f"{step}: a form has no layout for an array in C order"
        return View(view.storage, layout)

    def array(self, argument: Argument, like: Spec) -> View:
        """An operand as an array, where a bare number stands for one."""
        if isinstance(argument, View):
            return argument
        return self.constant(np.asarray(argument, like.dtype))

    def result(self, step: Step) -> View:
        """Memory for the result of a step, laid out like the buffer that it is written to, or else like eager's."""
        value = step.result
        buffer = self.wanted.get(value)
        strides = value.strides if buffer is None else buffer.strides
        return self.fresh(value.shape, value.dtype, dense_layout(value.shape, strides, value.dtype.itemsize))


def _lower_map(work: _Lowering, step: Step, arguments: list[Argument], template: str) -> View:
    target = work.result(step)
    for name in step.op.params:
        if f"{{{name}}}" not in template:
            continue
        number = step.params[name]
        text = repr(number) if isinstance(number, int) else f"({{type}}){float(number)!r}"
        template = template.replace(f"{{{name}}}", text)
    work.add(MapNode(step, template, arguments, target))
    return target


def _lower_form(  # noqa: PLR0911 - one return per form
    work: _Lowering, step: Step, arguments: list[Argument], form: forms.Form
) -> View:
    value = step.result
    specs = _specs(step)
    match form:
        case forms.Map(template):
            return _lower_map(work, step, arguments, template)
        case forms.View(place):
            return work.placed(step, arguments[0], place, specs[0])
        case forms.Reduce():
            view = work.array(arguments[0], specs[0])
            if form.how == "sum" and view.dtype != value.dtype:
                view = work.copied(step, view, dtype=value.dtype)
            kept = tuple([1 if i in form.axes else size for i, size in enumerate(view.layout.shape)])
            target = work.fresh(kept, value.dtype)
            if kept == view.layout.shape:
                template = "({0} != 0)" if form.how in ("any", "all") else form.finish
                work.add(MapNode(step, template, [view], target))
            else:
                work.add(ReduceNode(step, form, view, target))
            return _reshaped(target, value.shape)
        case forms.Matmul():
            first, second = form.operands
            a = work.placed(step, arguments[first], form.a, specs[first])
            b = work.placed(step, arguments[second], form.b, specs[second])
            target = work.result(step) if form.shape == value.shape else work.fresh(form.shape, value.dtype)
            work.add(MatmulNode(step, [a, b], [target]))
            if form.bias:
                product, bias = target, arguments[2]
                target = work.fresh(form.shape, value.dtype, product.layout)
                work.add(MapNode(step, "({0} + {1})", [product, bias], target))
            return _reshaped(target, value.shape)
        case forms.SumOfProducts():
            a = work.placed(step, arguments[0], form.a, specs[0])
            b = work.placed(step, arguments[1], form.b, specs[1])
            products = work.fresh(form.shape, value.dtype)
            work.add(MapNode(step, "({0} * {1})", [a, b], products))
            kept = tuple([1 if i in form.axes else size for i, size in enumerate(form.shape)])
            if kept == form.shape:
                return _reshaped(products, value.shape)
            target = work.fresh(kept, value.dtype)
            work.add(ReduceNode(step, forms.Reduce(form.axes), products, target))
            return _reshaped(target, value.shape)
        case forms.Parts():
            target = work.fresh(value.shape, value.dtype)
            if form.fill:
                work.add(MapNode(step, "0", [], target))
            for place, argument in zip(form.places, arguments, strict=True):
                part = place(target.layout)
                assert part is not None
                work.add(MapNode(step, "{0}", [argument], View(target.storage, part)))
            return target
        case forms.Code():
            return _lower_code(work, step, arguments, form, specs)


def _reshaped(view: View, shape: tuple[int, ...]) -> View:
    layout = view.layout.reshape(shape)
    assert layout is not None
    return View(view.storage, layout)


def _lower_code(
    work: _Lowering, step: Step, arguments: list[Argument], form: forms.Code, specs: Sequence[Spec]
) -> View:
    value = step.result
    views = []
    for place, argument in enumerate(arguments):
        view = work.array(argument, specs[place])
        if place == 0 and form.order is not None:
            view = View(view.storage, view.layout.permute(form.order))
        wanted = form.dtypes[place] if form.dtypes is not None else None
        if wanted is not None and wanted != view.dtype:
            view = work.copied(step, view, dtype=wanted)
        elif not view.layout.contiguous:
            view = work.copied(step, view)
        views.append(view)
    if form.reads_saved:
        for param in step.params.values():
            if isinstance(param, SavedRef):
                views += work.saved[param.step]
    ordered = form.order is not None and len(form.order) == len(value.shape)
    target = work.fresh(value.shape, value.dtype, Layout.dense(value.shape, form.order) if ordered else None)
    saves = [work.fresh(one.shape, one.dtype) for one in form.saves]
    work.saved[step] = saves
    constants = [work.constant(one) for one in form.constants]
    work.add(CodeNode(step, form, views, [target, *saves], constants))
    return target


def _specs(step: Step) -> list[Spec]:
    return [
        Spec(one.shape, one.dtype) if isinstance(one, Value) else Spec((), step.result.dtype) for one in step.operands
    ]


def form_of(step: Step) -> forms.Form | None:
    """The native form of one call; None where it has none."""
    values = [one for one in step.operands if isinstance(one, Value)]
    if any(one.dtype not in C_TYPES for one in (*values, step.result)):
        return None
    op = step.op
    result = Spec(step.result.shape, step.result.dtype)
    if op.native is not None:
        return op.native(_specs(step), step.params, result)  # type: ignore[no-any-return]
    if op.scalar is not None and op.elementwise:
        return forms.Map(op.scalar)
    return None


def _forms(program: Program) -> dict[Step, forms.Form | None]:
    found = {step: form_of(step) for step in program.steps}
    # What one side saves the other cannot read: such pairs stay on one side.
    for _ in range(2):
        for step in program.steps:
            for param in step.params.values():
                if not isinstance(param, SavedRef):
                    continue
                form, maker = found[step], found[param.step]
                if form is None:
                    found[param.step] = None
                elif maker is None and isinstance(form, forms.Code) and form.reads_saved:
                    found[step] = None
    return found


def lower(program: Program) -> Lowered:
    """The program as nodes on memory."""
    work = _Lowering(program)
    out = work.out
    found = _forms(program)
    for step in program.steps:
        arguments: list[Argument] = [out.views[one] if isinstance(one, Value) else one for one in step.operands]
        form = found[step]
        if form is None:
            target = work.result(step)
            work.add(HostNode(step, arguments, [target]))
            out.views[step.result] = target
        else:
            out.views[step.result] = _lower_form(work, step, arguments, form)
    for value in program.outputs:
        view = out.views[value]
        plain = view.storage.slot is None and view.layout.contiguous
        out.outputs.append(view if plain or value.dtype not in C_TYPES else work.copied(None, view))
    for buffer, value in program.writes:
        view = out.views[value]
        if view.storage.slot is not None and value.dtype in C_TYPES:
            view = work.copied(None, view)  # a buffer written with the old value of another: both reads come first
        out.copies.append((out.views[buffer], view))
    return out
