"""From kernels to C.

Sizes and strides are constants of the text, addresses are arguments: equal kernels are one text.
"""

from __future__ import annotations

import functools
import itertools
import math
import re
from collections.abc import Callable, Sequence
from importlib import resources
from typing import Any

import numpy as np

from ...ops.kernels import _MILLS
from ...ops.native import Layout
from .fuse import (
    CodeKernel,
    HostKernel,
    Kernel,
    LoopKernel,
    MatmulKernel,
    Plan,
    axes_of,
    kept_layout,
    layouts_of,
    needed,
    vector_axis,
)
from .lower import CodeNode, MapNode, Node, ReduceNode, Storage, View, c_type
from .toolchain import cpu_features

__all__ = ["source_of"]

# As many rows, and as many elements of a row, are added in the arrays' own precision before the sum goes to a total.
ROWS, BLOCK = 32, 512
ON_STACK = 256
# Calls are written out one after the other up to this many; more become a table, so that compiling takes no longer.
STRAIGHT = 400
# Products of fewer multiplications are plain loops, which the compiler unrolls.
TINY = 600
# For so many rows it pays to copy the operand that vectors are loaded from to where they do not straddle cache lines.
PACK_FROM = 24


@functools.cache
def vector_bytes() -> int:
    """The bytes of the vectors that this processor computes with."""
    features = cpu_features().lower().split()
    return 64 if "avx512f" in features else 32 if "avx2" in features else 16


def literal(number: Any, kind: str) -> str:
    """A number in C, of the C type ``kind``."""
    if isinstance(number, (bool, int)):
        return f"(({kind}){int(number)})" if kind in ("float", "double") else f"{int(number)}"
    if math.isnan(number):
        return f"(({kind})NAN)"
    if math.isinf(number):
        return f"(({kind}){'-' if number < 0 else ''}INFINITY)"
    return f"(({kind}){number!r})"


def _times(stride: int, name: str) -> str:
    return name if stride == 1 else f"{name} * {stride}"


def _at(strides: Sequence[int], names: Sequence[str]) -> str:
    terms = [_times(stride, name) for stride, name in zip(strides, names, strict=True) if stride]
    return " + ".join(terms) or "0"


class Function:
    """The text of one kernel: its arguments, and lines."""

    def __init__(self) -> None:
        self.arguments: list[tuple[str, Storage, int]] = []
        self.lines: list[str] = []
        self.depth = 1
        self._names: dict[tuple[Storage, int, str], str] = {}
        self._count = itertools.count()

    def pointer(self, storage: Storage, offset: int = 0, kind: str | None = None) -> str:
        """The name of the argument that points to an element of a storage."""
        kind = kind or c_type(storage.dtype)
        key = (storage.home, offset, kind)
        if key not in self._names:
            self._names[key] = f"p{len(self.arguments)}"
            self.arguments.append((kind, storage, offset))
        return self._names[key]

    def name(self, letter: str = "v") -> str:
        """A name not used before."""
        return f"{letter}{next(self._count)}"

    def put(self, line: str) -> None:
        """Append a line."""
        self.lines.append("    " * self.depth + line)

    def open(self, line: str) -> None:
        """Append a line that opens a block."""
        self.put(line + " {")
        self.depth += 1

    def close(self) -> None:
        """Close a block."""
        self.depth -= 1
        self.put("}")

    def text(self) -> tuple[str, str]:
        """Parameters and body."""
        return ", ".join(f"{kind}* p{i}" for i, (kind, _, _) in enumerate(self.arguments)), "\n".join(self.lines)


class Body:
    """What a kernel does with one element: the maps in order, on what was loaded or is at hand already."""

    def __init__(self, function: Function, kernel: Kernel, kept: set[Storage], place: int) -> None:
        self.function = function
        self.kernel = kernel
        self.kept = kept
        self.place = place
        self.local: dict[Storage, str] = {}

    def needed(self, storage: Storage) -> bool:
        """Whether something outside this kernel reads what a node in it makes."""
        return needed(storage, self.place, self.kept)

    def compute(self, node: MapNode, load: Callable[[View], str]) -> str:
        """Append the line that computes a map; its variable."""
        result = node.target.dtype
        arrays = [view.dtype for view in node.views]
        firm = [dtype for dtype in arrays if dtype.kind != "b"] or arrays
        common = result if result.kind == "f" else np.result_type(*firm) if firm else result
        kind = c_type(common)
        texts = []
        for one in node.arguments:
            if isinstance(one, View):
                text = load(one)
                mixed = one.dtype != common and one.dtype.kind != "b" and len(set(firm)) > 1
                texts.append(f"(({kind}){text})" if mixed else text)
            else:
                wide = isinstance(one, float) and common.kind != "f"
                texts.append(literal(one, "double" if wide else kind))
        template = node.template.replace("{type}", c_type(result) if "){0}" in node.template else kind)
        name = self.function.name()
        self.function.put(f"const {c_type(result)} {name} = {_filled(template, texts)};")
        if node.target.whole:
            self.local[node.target.storage] = name
        return name


def _filled(template: str, texts: Sequence[str]) -> str:
    return re.sub(r"\{(\d+)\}", lambda match: texts[int(match[1])], template)


# --- loops ----------------------------------------------------------------------------------------


def _loop_kernel(function: Function, kernel: LoopKernel, kept: set[Storage], place: int) -> None:
    reductions = [node for node in kernel.items if isinstance(node, ReduceNode)]
    layouts = layouts_of(kernel)
    sizes, strides = axes_of(kernel.shape, layouts)
    if math.prod(kernel.shape) == 0 and not reductions:
        return
    if len(sizes) > 2 and reductions:
        _one_reduction(function, kernel)
        return
    steps = dict(zip(layouts, strides, strict=True))
    body = Body(function, kernel, kept, place)
    if reductions:
        _reducing_loops(body, sizes, steps)
    else:
        _plain_loops(body, sizes, steps)


class _Loads:
    """Loads of a kernel's views, each put before the innermost loop that it depends on."""

    def __init__(self, body: Body, steps: dict[Layout, list[int]], names: Sequence[str]) -> None:
        self.body = body
        self.names = names
        self.levels: list[list[tuple[str, str]]] = [[] for _ in range(len(names) + 1)]
        self.found: dict[tuple[Storage, Layout], str] = {}
        made = {target.storage for node in body.kernel.items for target in node.targets}
        for node in body.kernel.items:
            for view in node.views:
                key = (view.storage.home, view.layout)
                if view.storage in made or key in self.found:
                    continue
                stride = steps[view.layout.broadcast(body.kernel.shape)]
                level = max([i + 1 for i, one in enumerate(stride) if one], default=0)
                name = body.function.name("x")
                pointer = body.function.pointer(view.storage, view.layout.offset)
                text = f"const {c_type(view.dtype)} {name} = {pointer}[{_at(stride, names)}];"
                self.levels[level].append((name, text))
                self.found[key] = name

    def put(self, level: int) -> None:
        """Append the loads that depend on so many loops."""
        for _, text in self.levels[level]:
            self.body.function.put(text)

    def __call__(self, view: View) -> str:
        return self.body.local.get(view.storage) or self.found[view.storage.home, view.layout]


def _plain_loops(body: Body, sizes: list[int], steps: dict[Layout, list[int]]) -> None:
    function = body.function
    names = [f"i{k}" for k in range(len(sizes))]
    loads = _Loads(body, steps, names)
    loads.put(0)
    for level, (name, size) in enumerate(zip(names, sizes, strict=True)):
        if level == len(sizes) - 1:
            function.lines.append("    #pragma omp simd")
        function.open(f"for (int64_t {name} = 0; {name} < {size}; {name}++)")
        loads.put(level + 1)
    for node in body.kernel.items:
        if isinstance(node, MapNode):
            _mapped(body, node, steps, names, loads)
    for _ in sizes:
        function.close()


def _mapped(
    body: Body,
    node: MapNode,
    steps: dict[Layout, list[int]],
    names: Sequence[str],
    load: Callable[[View], str],
) -> None:
    """Compute a map, and store it where somebody reads it."""
    value = body.compute(node, load)
    if body.needed(node.target.storage) or not node.target.whole:
        pointer = body.function.pointer(node.target.storage, node.target.layout.offset)
        body.function.put(f"{pointer}[{_at(steps[node.target.layout], names)}] = {value};")


START = {"sum": "0", "max": "-INFINITY", "min": "INFINITY", "any": "0", "all": "1"}
STEP = {
    "sum": "{0} += {1}",
    "max": "{0} = larger({1}, {0})",
    "min": "{0} = smaller({1}, {0})",
    "any": "{0} |= ({1} != 0)",
    "all": "{0} &= ({1} != 0)",
}


def _start(node: ReduceNode) -> str:
    dtype = node.views[0].dtype
    if node.form.how in ("max", "min") and dtype.kind in "iub":
        if dtype.kind == "b":
            return "0" if node.form.how == "max" else "1"
        limits = np.iinfo(dtype)
        # The least int64 cannot be written as one literal.
        return (
            f"({limits.min + 1} - 1)"
            if node.form.how == "max" and limits.min
            else str(limits.min if node.form.how == "max" else limits.max)
        )
    return START[node.form.how]


def _exact(node: ReduceNode) -> bool:
    """Whether partial sums need no total of higher precision."""
    return node.form.how != "sum" or node.target.dtype.kind != "f"


def _partial_type(node: ReduceNode) -> str:
    return "int" if node.form.how in ("any", "all") else c_type(node.target.dtype)


def _finished(node: ReduceNode, value: str) -> str:
    kind = c_type(node.target.dtype)
    return node.form.finish.replace("{type}", kind).replace("{0}", f"(({kind})({value}))")


class _Reduction:
    """One of the reductions that share a pair of loops: over the rows (``down``), along them, or over everything."""

    def __init__(self, function: Function, kernel: Kernel, node: ReduceNode, how: str, width: int, rows: int) -> None:
        self.node = node
        self.how = how
        self.function = function
        self.kind = _partial_type(node)
        self.name = function.name("s")
        self.total = function.name("t")
        self.width = width
        self.totalled = not _exact(node) and (how != "down" or rows > ROWS)
        self.double = c_type(node.target.dtype) == "double"
        self.arrays = how == "down"
        if self.arrays and width > ON_STACK:
            # Arrays too large for the stack: the running sums, and the totals behind them.
            sums = Storage(Layout.dense((width,)), node.target.dtype)
            kernel.scratch.append(sums)
            self.name = function.pointer(sums, 0, self.kind)
            if self.totalled:
                totals = Storage(Layout.dense((2 * width,)), np.dtype(np.float64))
                kernel.scratch.append(totals)
                self.total = function.pointer(totals, 0, "Total" if self.double else "double")
        elif self.arrays:
            function.put(f"{self.kind} {self.name}[{width}];")
            if self.totalled:
                function.put(f"{'Total' if self.double else 'double'} {self.total}[{width}];")

    def clear(self) -> None:
        """Before everything."""
        put, zero = self.function.put, "(Total){0, 0}" if self.double or not self.arrays else "0"
        if self.arrays and self.totalled:
            put(f"for (int64_t j = 0; j < {self.width}; j++) {self.total}[j] = {zero};")
        elif self.totalled and self.how == "all":
            put(f"Total {self.total} = {zero};")
        elif self.how == "all":
            put(f"{self.kind} {self.name} = {_start(self.node)};")
        if self.arrays and not self.totalled:
            self.clear_rows()

    def clear_rows(self) -> None:
        """Before a group of rows."""
        if self.arrays:
            self.function.put(f"for (int64_t j = 0; j < {self.width}; j++) {self.name}[j] = {_start(self.node)};")

    def flush_rows(self) -> None:
        """After a group of rows."""
        if self.arrays and self.totalled:
            add = f"add_to(&{self.total}[j], {self.name}[j])" if self.double else f"{self.total}[j] += {self.name}[j]"
            self.function.put(f"for (int64_t j = 0; j < {self.width}; j++) {add};")

    def clear_row(self) -> None:
        """Before a row."""
        if self.how == "along":
            self.function.put(
                f"Total {self.total} = {{0, 0}};"
                if self.totalled
                else f"{self.kind} {self.name} = {_start(self.node)};"
            )

    def clear_block(self) -> None:
        """Before a block of a row."""
        if self.totalled and not self.arrays:
            self.function.put(f"{self.kind} {self.name} = 0;")

    def flush_block(self) -> None:
        """After a block of a row."""
        if self.totalled and not self.arrays:
            self.function.put(f"add_to(&{self.total}, {self.name});")

    def add(self, value: str, place: str) -> None:
        """For each element."""
        self.function.put(
            STEP[self.node.form.how].format(f"{self.name}[{place}]" if self.arrays else self.name, value) + ";"
        )

    def outcome(self, place: str) -> str:
        """The value at the end."""
        if not self.totalled:
            return f"{self.name}[{place}]" if self.arrays else self.name
        if self.arrays:
            return f"total_of({self.total}[{place}])" if self.double else f"{self.total}[{place}]"
        return f"total_of({self.total})"


def _reducing_loops(body: Body, sizes: list[int], steps: dict[Layout, list[int]]) -> None:
    function, kernel = body.function, body.kernel
    if len(sizes) < 2:  # one row
        lacking = 2 - len(sizes)
        sizes = [1] * lacking + sizes
        steps = {layout: [0] * lacking + one for layout, one in steps.items()}
    rows, width = sizes
    loads = _Loads(body, steps, ["i", "j"])
    reductions: dict[Node, _Reduction] = {}
    for node in kernel.items:
        if isinstance(node, ReduceNode):
            stride = steps[kept_layout(node, node.target)]
            how = "along" if stride[0] else "down" if stride[1] else "all"
            reductions[node] = _Reduction(function, kernel, node, how, width, rows)
    every = list(reductions.values())
    grouped = rows > ROWS and any(one.arrays and one.totalled for one in every)
    loads.put(0)
    for one in every:
        one.clear()
    if grouped:
        function.open(f"for (int64_t start = 0; start < {rows}; start += {ROWS})")
        for one in every:
            if one.totalled:
                one.clear_rows()
        function.open(f"for (int64_t i = start; i < (start + {ROWS} < {rows} ? start + {ROWS} : {rows}); i++)")
    else:
        function.open(f"for (int64_t i = 0; i < {rows}; i++)")
    loads.put(1)
    _one_row(body, width, steps, loads, reductions)
    for node, one in reductions.items():
        if one.how == "along":
            _store_reduced(function, node, one.outcome(""), _at(steps[kept_layout(one.node, node.target)], ["i", "j"]))
    function.close()
    if grouped:
        for one in every:
            one.flush_rows()
        function.close()
    for node, one in reductions.items():
        if one.how == "all":
            _store_reduced(function, node, one.outcome(""), "0")
        elif one.how == "down":
            function.open(f"for (int64_t j = 0; j < {width}; j++)")
            _store_reduced(function, node, one.outcome("j"), _at(steps[kept_layout(one.node, node.target)], ["i", "j"]))
            function.close()


def _one_row(
    body: Body, width: int, steps: dict[Layout, list[int]], loads: _Loads, reductions: dict[Node, _Reduction]
) -> None:
    function = body.function
    every = list(reductions.values())
    blocked = width > BLOCK and any(one.totalled and not one.arrays for one in every)
    for one in every:
        one.clear_row()
    if blocked:
        function.open(f"for (int64_t first = 0; first < {width}; first += {BLOCK})")
        function.put(f"const int64_t end = first + {BLOCK} < {width} ? first + {BLOCK} : {width};")
    for one in every:
        one.clear_block()
    scalars = [one for one in every if not one.arrays]
    if all(one.node.form.how == "sum" for one in scalars):
        names = ", ".join(one.name for one in scalars)
        function.lines.append("    #pragma omp simd" + (f" reduction(+:{names})" if names else ""))
    limits = ("first", "end") if blocked else ("0", str(width))
    function.open(f"for (int64_t j = {limits[0]}; j < {limits[1]}; j++)")
    loads.put(2)
    for node in body.kernel.items:
        if isinstance(node, MapNode):
            _mapped(body, node, steps, ["i", "j"], loads)
        else:
            reductions[node].add(loads(node.views[0]), "j")
    function.close()
    for one in every:
        one.flush_block()
    if blocked:
        function.close()


def _store_reduced(function: Function, node: Node, value: str, place: str) -> None:
    assert isinstance(node, ReduceNode)
    pointer = function.pointer(node.target.storage, node.target.layout.offset)
    function.put(f"{pointer}[{place}] = {_finished(node, value)};")


def _one_reduction(function: Function, kernel: LoopKernel) -> None:
    """A reduction whose loops do not come down to two: kept axes outside, reduced axes inside."""
    (node,) = kernel.items
    assert isinstance(node, ReduceNode)
    view = node.views[0]
    layout, kept = view.layout, kept_layout(node, node.target)
    outside = [axis for axis in range(len(layout.shape)) if axis not in node.form.axes and layout.shape[axis] != 1]
    inside = sorted(
        [axis for axis in node.form.axes if layout.shape[axis] != 1], key=lambda axis: -layout.strides[axis]
    )
    source, target = function.pointer(view.storage, layout.offset), function.pointer(node.target.storage, kept.offset)
    for axis in outside:
        function.open(f"for (int64_t i{axis} = 0; i{axis} < {layout.shape[axis]}; i{axis}++)")
    exact = _exact(node)
    function.put("Total total = {0, 0};" if not exact else f"{_partial_type(node)} part = {_start(node)};")
    for axis in inside[:-1]:
        function.open(f"for (int64_t i{axis} = 0; i{axis} < {layout.shape[axis]}; i{axis}++)")
    last = inside[-1]
    place = _at([layout.strides[axis] for axis in (*outside, *inside)], [f"i{axis}" for axis in (*outside, *inside)])
    size = layout.shape[last]
    if exact:
        function.open(f"for (int64_t i{last} = 0; i{last} < {size}; i{last}++)")
        function.put(STEP[node.form.how].format("part", f"{source}[{place}]") + ";")
        function.close()
    else:
        function.open(f"for (int64_t first = 0; first < {size}; first += {BLOCK})")
        function.put(f"const int64_t end = first + {BLOCK} < {size} ? first + {BLOCK} : {size};")
        function.put(f"{_partial_type(node)} part = 0;")
        function.lines.append("    #pragma omp simd reduction(+:part)")
        function.put(f"for (int64_t i{last} = first; i{last} < end; i{last}++) part += {source}[{place}];")
        function.put("add_to(&total, part);")
        function.close()
    for _ in inside[:-1]:
        function.close()
    where = _at([kept.strides[axis] for axis in outside], [f"i{axis}" for axis in outside])
    function.put(f"{target}[{where}] = {_finished(node, 'part' if exact else 'total_of(total)')};")
    for _ in outside:
        function.close()


# --- products -------------------------------------------------------------------------------------


def _product_kernel(function: Function, kernel: MatmulKernel, kept: set[Storage], place: int) -> None:
    if kernel.blas:
        _blas(function, kernel)
        return
    node = kernel.items[0]
    a, b = node.views
    stack = kernel.shape[:-2]
    m, k = a.layout.shape[-2:]
    n = b.layout.shape[-1]
    if 0 in (*stack, m, n):
        return
    product = _Product(function, kernel, kept, place)
    for axis, size in enumerate(stack):
        function.open(f"for (int64_t b{axis} = 0; b{axis} < {size}; b{axis}++)")
    if m * n * k <= TINY or min(m, n) == 1 or k <= 1:
        product.plainly()
    else:
        product.in_tiles()
    for _ in stack:
        function.close()


class _Product:
    """A product in our own loops: ``u`` counts along the axis of scalars, ``v`` along the axis of vectors."""

    def __init__(self, function: Function, kernel: MatmulKernel, kept: set[Storage], place: int) -> None:
        self.function = function
        self.kernel = kernel
        self.body = Body(function, kernel, kept, place)
        node = kernel.items[0]
        a, b = node.views
        self.along = vector_axis(kernel.items[0])
        self.columns = self.along == -1
        self.node = node
        self.kind = c_type(node.target.dtype)
        self.k = a.layout.shape[-1]
        # (view, stride along u or v, stride along k)
        left = (a, a.layout.strides[-2], a.layout.strides[-1])
        right = (b, b.layout.strides[-1], b.layout.strides[-2])
        self.scalars, self.vectors = (left, right) if self.columns else (right, left)
        rows, columns = kernel.shape[-2:]
        self.u, self.v = (rows, columns) if self.columns else (columns, rows)

    def stacked(self, layout: Layout) -> str:
        """The part of an address that the axes of a stack contribute."""
        count = len(self.kernel.shape) - 2
        return _at(layout.strides[:count], [f"b{axis}" for axis in range(count)])

    def address(self, view: View) -> str:
        """The address of a matrix of a stack."""
        pointer = self.function.pointer(view.storage, view.layout.offset)
        more = self.stacked(view.layout)
        return pointer if more == "0" else f"({pointer} + {more})"

    def place_of(self, layout: Layout, u: str, v: str) -> str:
        """Where element (u, v) lies in a layout that broadcasts to the result."""
        spread = layout.broadcast(self.kernel.shape)
        su, sv = spread.strides[-2:] if self.columns else spread.strides[:-3:-1]
        parts = [_at([su, sv], [f"({u})", f"({v})"]), self.stacked(spread)]
        return " + ".join([one for one in parts if one != "0"]) or "0"

    def finish(self, value: str, u: str, v: str, sums: dict[Node, tuple[str, str]]) -> None:
        """Append what is done with one element of the product."""
        function, body = self.function, self.body
        body.local = {self.node.target.storage: value}

        def load(view: View) -> str:
            known = body.local.get(view.storage)
            if known is not None:
                return known
            return f"{function.pointer(view.storage, view.layout.offset)}[{self.place_of(view.layout, u, v)}]"

        for node in self.kernel.items:
            if isinstance(node, ReduceNode):
                sum_name, at = sums[node]
                function.put(f"{sum_name}{at} += {load(node.views[0])};")
                continue
            if isinstance(node, MapNode):
                value = body.compute(node, load)
            if body.needed(node.target.storage):
                pointer = function.pointer(node.target.storage, node.target.layout.offset)
                function.put(f"{pointer}[{self.place_of(node.target.layout, u, v)}] = {value};")

    def reductions(self) -> list[ReduceNode]:
        """The reductions done on the way."""
        return [node for node in self.kernel.items if isinstance(node, ReduceNode)]

    def store_sums(self, sums: dict[Node, tuple[str, str]], v: str, total: Callable[[str], str]) -> None:
        """Append the lines that store sums over ``u`` at the end of a group of columns."""
        for node in self.reductions():
            name, at = sums[node]
            if at:
                target = kept_layout(node, node.target)
                stride = target.strides[-1 if self.columns else -2]
                _store_reduced(self.function, node, total(f"{name}{at}"), _at([stride], [f"({v})"]))

    def plainly(self) -> None:
        """Three loops."""
        function = self.function
        scalar, su, sk = self.scalars
        vector, sv, vk = self.vectors
        x, y = self.address(scalar), self.address(vector)
        sums: dict[Node, tuple[str, str]] = {}
        for node in self.reductions():
            name = function.name("s")
            both = len(node.form.axes) == 2
            sums[node] = (name, "" if both else "[v]")
            function.put(f"double {name} = 0;" if both else f"double {name}[{self.v}];")
            if not both:
                function.put(f"for (int64_t v = 0; v < {self.v}; v++) {name}[v] = 0;")
        function.open(f"for (int64_t u = 0; u < {self.u}; u++)")
        whole = [name for name, at in sums.values() if not at]
        if self.v > 1 and (self.k == 1 or sv == 1):
            # Without it the compiler would have to know that ten addresses do not overlap.
            function.lines.append("    #pragma omp simd" + (f" reduction(+:{', '.join(whole)})" if whole else ""))
        function.open(f"for (int64_t v = 0; v < {self.v}; v++)")
        product = f"{x}[{_at([su, sk], ['u', 'l'])}] * {y}[{_at([sv, vk], ['v', 'l'])}]"
        if self.k == 1:
            value = product.replace("l * ", "0 * ")
            function.put(f"const int64_t l = 0; const {self.kind} sum = {value};")
        else:
            function.put(f"{self.kind} sum = 0;")
            if sk == vk == 1 and sv != 1 and self.k >= 16:
                function.lines.append("    #pragma omp simd reduction(+:sum)")
            function.put(f"for (int64_t l = 0; l < {self.k}; l++) sum += {product};")
        self.finish("sum", "u", "v", sums)
        function.close()
        function.close()
        for node in self.reductions():
            if not sums[node][1]:
                _store_reduced(function, node, sums[node][0], "0")
        if any(at for _, at in sums.values()):
            function.open(f"for (int64_t v = 0; v < {self.v}; v++)")
            self.store_sums(sums, "v", lambda text: text)
            function.close()

    def in_tiles(self) -> None:
        """Tiles of the result that are held in registers while k goes by."""
        function, kind = self.function, self.kind
        itemsize = self.node.target.dtype.itemsize
        lanes = vector_bytes() // itemsize
        while lanes > 4 and lanes >= 2 * self.v:
            lanes //= 2
        vectors = -(-self.v // lanes)
        registers = 24 if vector_bytes() == 64 else 12
        across = next(one for one in (4, 3, 2, 1) if vectors % one == 0 or one == 1)
        if across == 1 and vectors > 4:
            across = 4
        vector, sv, vk = self.vectors
        padded = vectors * lanes
        vector_type = f"{kind}_{lanes}"
        y = self.address(vector)
        if sv != 1 or self.v % lanes or self.u >= PACK_FROM:
            packed = Storage(Layout.dense((self.k, padded)), self.node.target.dtype)
            self.kernel.scratch.append(packed)
            name = function.pointer(packed)
            function.open(f"for (int64_t l = 0; l < {self.k}; l++)")
            function.put(
                f"for (int64_t v = 0; v < {self.v}; v++) {name}[l * {padded} + v] = {y}[{_at([vk, sv], ['l', 'v'])}];"
            )
            if padded > self.v:
                function.put(f"for (int64_t v = {self.v}; v < {padded}; v++) {name}[l * {padded} + v] = 0;")
            function.close()
            y, vk = name, padded
        sums: dict[Node, tuple[str, str]] = {}
        for node in self.reductions():
            if len(node.form.axes) == 2:
                sums[node] = (function.name("s"), "")
                function.put(f"double {sums[node][0]} = 0;")
        full, rest = divmod(vectors, across)
        groups = [(0, full, across)] if full else []
        groups += [(full * across, 1, rest)] if rest else []
        for first, count, wide in groups:
            start = str(first * lanes)
            most = min(max(registers // wide, 1), 10)
            tall = next(
                (one for one in range(min(most, self.u), most // 2, -1) if self.u % one == 0), min(most, self.u)
            )
            if count > 1:
                function.open(f"for (int64_t c = 0; c < {count}; c++)")
                start = f"c * {wide * lanes}" if not first else f"{first * lanes} + c * {wide * lanes}"
            self.column_group(
                start, wide, lanes, tall, vector_type, y, vk, sums, self.v - first * lanes if count == 1 else None
            )
            if count > 1:
                function.close()
        for node in self.reductions():
            if not sums[node][1]:
                _store_reduced(function, node, sums[node][0], "0")

    def column_group(
        self,
        start: str,
        wide: int,
        lanes: int,
        tall: int,
        vector_type: str,
        y: str,
        vk: int,
        sums: dict[Node, tuple[str, str]],
        left: int | None,
    ) -> None:
        """All rows of as many columns as a tile is wide."""
        function, kind = self.function, self.kind
        width = wide * lanes
        uneven = self.v % width if left is None else 0
        columns = min(width, left) if left is not None else width
        limit = str(columns)
        if left is None and uneven:
            limit = f"({self.v} - ({start}) < {width} ? {self.v} - ({start}) : {width})"
        downwards = [node for node in self.reductions() if len(node.form.axes) == 1]
        function.open("")
        for node in downwards:
            part, total = function.name("s"), function.name("t")
            sums[node] = (part, "[j]")
            function.put(f"{kind} {part}[{width}]; double {total}[{width}];")
            function.put(f"for (int64_t j = 0; j < {width}; j++) {part}[j] = 0, {total}[j] = 0;")
            sums[node] = (part, "[j]")
            self.totals = getattr(self, "totals", {}) | {part: total}
        full, rest = divmod(self.u, tall)
        if full:
            function.open(f"for (int64_t u = 0; u < {full * tall}; u += {tall})")
            self.tile("u", tall, wide, lanes, vector_type, start, y, vk, sums, limit)
            if downwards and self.u > ROWS:
                every = max(ROWS // tall, 1) * tall
                function.open(f"if (u % {every} == {every - tall})")
                for node in downwards:
                    part = sums[node][0]
                    total = self.totals[part]
                    function.put(f"for (int64_t j = 0; j < {width}; j++) {total}[j] += {part}[j], {part}[j] = 0;")
                function.close()
            function.close()
        if rest:
            self.tile(str(full * tall), rest, wide, lanes, vector_type, start, y, vk, sums, limit)
        if downwards:
            function.open(f"for (int64_t j = 0; j < {limit}; j++)")
            self.store_sums(sums, f"{start} + j", lambda text: f"({self.totals[text.partition('[')[0]]}[j] + {text})")
            function.close()
        function.close()

    def tile(
        self,
        u: str,
        tall: int,
        wide: int,
        lanes: int,
        vector_type: str,
        start: str,
        y: str,
        vk: int,
        sums: dict[Node, tuple[str, str]],
        limit: str,
    ) -> None:
        """One tile: accumulate over k, then finish its elements."""
        function, kind = self.function, self.kind
        scalar, su, sk = self.scalars
        x = self.address(scalar)
        function.open("")
        function.put(f"const {kind}* x = {x} + {_at([su], [f'({u})'])};")
        function.put(f"const {kind}* y = {y} + {start};")
        names = [[f"a{r}_{c}" for c in range(wide)] for r in range(tall)]
        for row in names:
            function.put(f"{vector_type} " + ", ".join(f"{name} = {{0}}" for name in row) + ";")
        function.open(f"for (int64_t l = 0; l < {self.k}; l++)")
        loads = " ".join(
            f"const {vector_type} y{c} = load_{vector_type}(y + l * {vk} + {c * lanes});" for c in range(wide)
        )
        function.put(loads)
        for r, row in enumerate(names):
            function.put(
                f"{{ const {kind} s = x[{_at([sk], ['l'])} + {r * su}]; "
                + " ".join(f"{name} += s * y{c};" for c, name in enumerate(row))
                + " }"
            )
        function.close()
        width = wide * lanes
        target = self.node.target
        straight = limit == str(width) and target.layout.strides[self.along] == 1
        if straight and len(self.kernel.items) == 1 and self.body.needed(target.storage):
            pointer = function.pointer(target.storage, target.layout.offset)
            for r, row in enumerate(names):
                place = self.place_of(target.layout, f"{u} + {r}", start)
                function.put(
                    " ".join(
                        f"store_{vector_type}({pointer} + {place} + {c * lanes}, {one});" for c, one in enumerate(row)
                    )
                )
            function.close()
            return
        function.put(f"{kind} tile[{tall}][{width}] __attribute__((aligned(64)));")
        for r, row in enumerate(names):
            function.put(
                " ".join(f"store_{vector_type}(&tile[{r}][{c * lanes}], {name});" for c, name in enumerate(row))
            )
        function.open(f"for (int64_t r = 0; r < {tall}; r++)")
        whole = [sums[node][0] for node in self.reductions() if not sums[node][1]]
        function.lines.append("    #pragma omp simd" + (f" reduction(+:{', '.join(whole)})" if whole else ""))
        function.open(f"for (int64_t j = 0; j < {limit}; j++)")
        function.put(f"const {kind} sum = tile[r][j];")
        self.finish("sum", f"{u} + r", f"{start} + j", sums)
        function.close()
        function.close()
        function.close()


def _matrix(function: Function, view: View, layout: Layout, kernel: Kernel) -> tuple[str, str, int]:
    """A matrix as BLAS takes it: its address, 111 (by rows) or 112 (by columns), and its leading dimension."""
    rows, columns = layout.shape[-2:]
    down, along = layout.strides[-2:]
    stack = len(layout.shape) - 2
    more = _at(layout.strides[:stack], [f"b{axis}" for axis in range(stack)])
    pointer = f"({function.pointer(view.storage, layout.offset)} + {more})"
    if (along == 1 or columns == 1) and (down >= columns or rows == 1):
        return pointer, "111", max(down if rows > 1 else columns, columns, 1)
    if (down == 1 or rows == 1) and (along >= rows or columns == 1):
        return pointer, "112", max(along if columns > 1 else rows, rows, 1)
    packed = Storage(Layout.dense((rows, columns)), view.dtype)
    kernel.scratch.append(packed)
    name = function.pointer(packed)
    place = _at([down, along], ["i", "j"])
    function.put(
        f"for (int64_t i = 0; i < {rows}; i++) for (int64_t j = 0; j < {columns}; j++) "
        f"{name}[i * {columns} + j] = {pointer}[{place}];"
    )
    return name, "111", columns


def _blas(function: Function, kernel: MatmulKernel) -> None:
    node = kernel.items[0]
    a, b = node.views
    update = kernel.update
    target = update.target if update is not None else node.target
    m, k = a.layout.shape[-2:]
    n = b.layout.shape[-1]
    stack = kernel.shape[:-2]
    kind = c_type(target.dtype)
    for axis, size in enumerate(stack):
        function.open(f"for (int64_t b{axis} = 0; b{axis} < {size}; b{axis}++)")
    alpha, beta = "1", "0"
    if update is not None:
        beta = "1"
        factor = update.factor
        text = (
            f"{function.pointer(factor.storage, factor.layout.offset)}[0]"
            if isinstance(factor, View)
            else literal(factor, kind)
        )
        alpha = f"-({kind})({text})"
    left = _matrix(function, a, a.layout, kernel)
    right = _matrix(function, b, b.layout, kernel)
    down, along = target.layout.strides[-2:]
    more = _at(target.layout.strides[: len(stack)], [f"b{axis}" for axis in range(len(stack))])
    out = f"{function.pointer(target.storage, target.layout.offset)} + {more}"
    flip = {"111": "112", "112": "111"}
    if along == 1 or n == 1:
        call = (left[1], right[1], m, n, left, right, max(down, n))
    else:  # by columns: the transposed product
        call = (flip[right[1]], flip[left[1]], n, m, right, left, max(along, m))
    first, second, rows, columns, one, two, leading = call
    function.put(
        f"gemm_{kind}(101, {first}, {second}, {rows}, {columns}, {k}, {alpha}, {one[0]}, {one[2]}, {two[0]}, {two[2]}, "
        f"{beta}, {out}, {leading});"
    )
    for _ in stack:
        function.close()


# --- code -----------------------------------------------------------------------------------------


def _code_kernel(function: Function, kernel: CodeKernel) -> None:
    (node,) = kernel.items
    assert isinstance(node, CodeNode)
    names: dict[str, View] = {f"A{i}": view for i, view in enumerate(node.views)}
    names["Y"] = node.targets[0]
    names |= {f"S{i}": view for i, view in enumerate(node.targets[1:])}
    kind = c_type(node.target.dtype)
    text = node.form.text.replace("{type}", kind).replace("{{", "{").replace("}}", "}")
    pointers = {name: function.pointer(view.storage, view.layout.offset) for name, view in names.items()}
    function.put(re.sub(r"\b([AS]\d+|Y)\b", lambda match: pointers.get(match[1], match[1]), text))


# --- the whole text -------------------------------------------------------------------------------


@functools.cache
def _header() -> tuple[str, str, str]:
    text = resources.files(__package__).joinpath("kernels.h").read_text()
    text = text.replace("{MILLS}", "{" + ", ".join(map(repr, _MILLS)) + "}")
    before, typed, after = re.split(r"/\*-- (?:once per type|end) --\*/\n", text)
    return before, typed, after


def _preamble(wide: bool) -> str:
    before, typed, after = _header()
    integer = "int64_t" if wide else "int"
    parts = [before, typed.replace("REAL", "float"), typed.replace("REAL", "double"), after]
    for kind, size in (("float", 4), ("double", 8)):
        parts.append(
            f"typedef void (*Gemm_{kind})(int, int, int, {integer}, {integer}, {integer}, {kind}, const {kind}*, "
            f"{integer}, const {kind}*, {integer}, {kind}, {kind}*, {integer});\nstatic Gemm_{kind} gemm_{kind};"
        )
        lanes = 2 if size == 8 else 4
        while lanes * size <= 64:
            name = f"{kind}_{lanes}"
            parts.append(
                f"typedef {kind} {name} __attribute__((vector_size({lanes * size})));\n"
                f"INLINE {name} load_{name}(const {kind}* p) {{ {name} v; memcpy(&v, p, sizeof v); return v; }}\n"
                f"INLINE void store_{name}({kind}* p, {name} v) {{ memcpy(p, &v, sizeof v); }}"
            )
            lanes *= 2
    recurrent = resources.files(__package__).joinpath("recurrent.h").read_text()
    parts += [recurrent.replace("REAL", "float"), recurrent.replace("REAL", "double")]
    parts.append("void set_blas(void* s, void* d) { gemm_float = (Gemm_float)s; gemm_double = (Gemm_double)d; }")
    return "\n".join(parts)


ADDRESS = "#define AT(x) (P[(x) >> 40] + ((x) & 0xffffffffff))"

BATCHES = """
typedef struct { int64_t slot, mode, bytes, rows, limit; char* base; const int64_t* order; char* into; } Feed;
typedef struct { int64_t slot, offset, bytes; char* into; } Result;
/* One run per batch. 0: all done, or the value that a run ended with; *done counts the runs that were completed. */
int64_t run_batches(char** P, int64_t count, int64_t feeds, const Feed* f, int64_t results, const Result* r,
                    int64_t check, int64_t* done) {
    for (int64_t k = 0; k < count; k++) {
        for (int64_t i = 0; i < feeds; i++) {
            if (f[i].mode == 1) P[f[i].slot] = f[i].base + k * f[i].bytes;
            if (f[i].mode == 2) {
                const int64_t* order = f[i].order + k * f[i].rows;
                for (int64_t j = 0; j < f[i].rows; j++) {
                    if (order[j] < 0 || order[j] >= f[i].limit) { *done = k; return -2; }
                    memcpy(f[i].into + j * f[i].bytes, f[i].base + order[j] * f[i].bytes, f[i].bytes);
                }
                P[f[i].slot] = f[i].into;
            }
        }
        int64_t code = run(P, check);
        *done = k;
        for (int64_t i = 0; i < (code == 0 ? results : code == -1); i++)
            memcpy(r[i].into + k * r[i].bytes, P[r[i].slot] + r[i].offset, r[i].bytes);
        if (code) return code;
    }
    *done = count;
    return 0;
}
"""


def source_of(plan: Plan, wide: bool, settle: Callable[[Plan], None]) -> tuple[str, list[tuple[int, int]]]:
    """The C text, and the ranges of kernels that its parts run: ``part_0``, ``part_1``, … between calls of Python.

    ``settle`` gives storages their places once all scratch memory is known.
    """
    functions: dict[tuple[str, str], str] = {}
    calls: list[tuple[str, Function, bool] | None] = []
    texts = []
    for place, kernel in enumerate(plan.kernels):
        if isinstance(kernel, HostKernel):
            calls.append(None)
            continue
        function = Function()
        if isinstance(kernel, LoopKernel):
            _loop_kernel(function, kernel, plan.kept, place)
        elif isinstance(kernel, MatmulKernel):
            _product_kernel(function, kernel, plan.kept, place)
        else:
            assert isinstance(kernel, CodeKernel)
            _code_kernel(function, kernel)
        text = function.text()
        fails = any(isinstance(node, CodeNode) and node.form.fails is not None for node in kernel.items)
        if text not in functions:
            functions[text] = name = f"k{len(functions)}"
            result, end = ("int", "\n    return 0;") if fails else ("void", "")
            texts.append(f"static {result} {name}({text[0]}) {{\n{text[1]}{end}\n}}")
        calls.append((functions[text], function, fails))
    settle(plan)
    # Called from many places, a kernel stays one piece of code.
    counts: dict[str, int] = {}
    for call in calls:
        if call is not None:
            counts[call[0]] = counts.get(call[0], 0) + 1
    texts = [
        text.replace("static ", "static __attribute__((noinline)) ", 1) if counts[f"k{i}"] > 1 else text
        for i, text in enumerate(texts)
    ]
    ranges: list[tuple[int, int]] = []
    bodies = []
    start = 0
    for place, call in enumerate([*calls, None]):
        if call is None:
            if start < place:
                bodies.append(_part(plan, calls, start, place, len(ranges)))
                ranges.append((start, place))
            start = place + 1
    whole = (
        "int64_t run(char** P, int64_t check) { return 0; }"
        if not ranges
        else "static int64_t run(char** P, int64_t check) { return part_0(P, check); }"
    )
    return "\n".join([_preamble(wide), ADDRESS, *texts, *bodies, whole, BATCHES]), ranges


def address(storage: Storage, offset: int) -> tuple[int, int]:
    """Which pointer of the caller's, and how many bytes from it."""
    home = storage.home
    start = offset * storage.dtype.itemsize
    return (home.slot, start) if home.slot is not None else (0, home.offset + start)


def _check(plan: Plan) -> str | None:
    """The line that ends a run whose first output is not finite; None where that is no single number."""
    if not plan.lowered.outputs:
        return None
    view = plan.lowered.outputs[0]
    if view.dtype.kind != "f" or view.layout.size != 1 or view.dtype.itemsize < 4:
        return None
    slot, start = address(view.storage, view.layout.offset)
    kind = c_type(view.dtype)
    loss = f"const {kind} loss = *({kind}*)(P[{slot}] + {start});"
    return f"if (check) {{ {loss} if (loss - loss != 0) return -1; }}"


def _part(plan: Plan, calls: Sequence[tuple[str, Function, bool] | None], start: int, stop: int, number: int) -> str:
    lines = []
    check = _check(plan)
    at = max(plan.commit, *[node.kernel + 1 for node in plan.lowered.outputs[0].storage.writers], 0) if check else -1
    many = stop - start > STRAIGHT
    table = []
    for place in range(start, stop):
        call = calls[place]
        assert call is not None
        name, function, fails = call
        if place == at:
            lines.append(f"    {check}")
        spots = [address(storage, offset) for _, storage, offset in function.arguments]
        if many:
            table.append((name, fails, [kind for kind, _, _ in function.arguments], spots))
            if place + 1 == at or place + 1 == stop:
                lines.append(_table(plan, table, place + 1 - len(table)))
                table = []
            continue
        arguments = ", ".join(
            f"({kind}*)(P[{slot}] + {byte})"
            for (kind, _, _), (slot, byte) in zip(function.arguments, spots, strict=True)
        )
        lines.append(f"    if ({name}({arguments})) return {place + 1};" if fails else f"    {name}({arguments});")
    if check and at == stop:
        lines.append(f"    {check}")
    return f"int64_t part_{number}(char** P, int64_t check) {{\n" + "\n".join(lines) + "\n    return 0;\n}"


def _table(plan: Plan, rows: Sequence[tuple[str, bool, list[str], list[tuple[int, int]]]], first: int) -> str:
    """Calls as data that the library is given: each the number of its kernel, its place if it may fail, addresses."""
    kinds: dict[tuple[str, bool, tuple[str, ...]], int] = {}
    numbers: list[int] = []
    for place, (kernel, fails, types, spots) in enumerate(rows, first):
        numbers.append(kinds.setdefault((kernel, fails, tuple(types)), len(kinds)))
        if fails:
            numbers.append(place + 1)
        numbers += [slot << 40 | byte for slot, byte in spots]
    plan.lowered.slots.append(np.array(numbers, np.int64))
    cases = []
    for (kernel, fails, wanted), number in kinds.items():
        begin = 2 if fails else 1
        arguments = ", ".join(f"({kind}*)AT(t[{i}])" for i, kind in enumerate(wanted, begin))
        run = f"if ({kernel}({arguments})) return t[1];" if fails else f"{kernel}({arguments});"
        cases.append(f"        case {number}: {run} t += {begin + len(wanted)}; break;")
    table = f"const int64_t* t = (const int64_t*)P[{len(plan.lowered.slots)}], *end = t + {len(numbers)}"
    return "\n".join([f"    for ({table}; t < end;) switch (*t) {{", *cases, "    }"])
