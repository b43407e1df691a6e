"""From nodes to kernels: what shares a loop, what goes to BLAS, what is updated in place, where memory is shared."""

from __future__ import annotations

import math
from collections.abc import Container, Sequence

from ...ops.native import Layout
from .lower import C_TYPES, CodeNode, Lowered, MapNode, MatmulNode, Node, ReduceNode, Storage, View

__all__ = [
    "CodeKernel",
    "HostKernel",
    "Kernel",
    "LoopKernel",
    "MatmulKernel",
    "Plan",
    "Update",
    "axes_of",
    "place",
    "plan",
]

# From so many multiplications on, BLAS is faster than our own loops: a call costs it about a microsecond, and below it
# packs more than it multiplies.
BLAS_FROM = 400_000
ALIGNMENT = 64
# Loops over so few elements are joined with others of their shape even where they read nothing in common.
FEW = 4096
# In programs of so many nodes, kernels stay small and alike: what is compiled must not grow with the number of steps.
LONG = 3000
MOST_ITEMS = 48
# How far back to look for a kernel to join that made none of the operands.
NEAR = 64


class Kernel:
    """One function of the generated code, or one call from Python.

    Attributes:
        shape: of the loops; items: the nodes that share them, in order. scratch: memory that lives during the kernel.
    """

    fusible = False

    def __init__(self, shape: tuple[int, ...], items: Sequence[Node]) -> None:
        self.shape = shape
        self.items = list(items)
        self.scratch: list[Storage] = []

    def reads(self) -> list[View]:
        """The views that the nodes read."""
        return [view for node in self.items for view in node.views]


class LoopKernel(Kernel):
    """Loops over the elements of ``shape`` that compute maps and reductions."""

    fusible = True


class MatmulKernel(Kernel):
    """A product; what follows it in ``items`` is done with each element as it comes.

    ``update``: the product is taken off a buffer instead.
    """

    def __init__(self, node: MatmulNode, blas: bool) -> None:
        super().__init__(node.target.layout.shape, [node])
        self.blas = blas
        self.fusible = not blas
        self.update: Update | None = None


class Update:
    """``buffer -= factor * product``, done by the product itself."""

    def __init__(self, buffer: View, factor: View | float, target: View) -> None:
        self.buffer = buffer
        self.factor = factor
        self.target = target


class CodeKernel(Kernel):
    """C code on whole arrays."""


class HostKernel(Kernel):
    """A call of Python."""


class Plan:
    """What :func:`plan` gives: the kernels in order.

    Attributes:
        arena: its bytes. commit: the place of the first kernel that writes to a buffer. kept: storages that somebody
            reads after the run. late: the copies into buffers that Python does.
    """

    def __init__(self, lowered: Lowered) -> None:
        self.lowered = lowered
        self.kernels: list[Kernel] = []
        self.arena = 0
        self.kept: set[Storage] = set()
        self.commit = 0
        self.late: list[tuple[View, View]] = []


# --- loops ----------------------------------------------------------------------------------------


def axes_of(shape: tuple[int, ...], layouts: Sequence[Layout]) -> tuple[list[int], list[list[int]]]:
    """Sizes of the fewest loops that visit all layouts of ``shape`` regularly, slowest first, and strides per layout.

    The first layout decides which axis is the fastest. Axes of length 1 go, and axes merge that all layouts step
    through evenly.
    """
    lead = layouts[0].strides if layouts else ()
    order = [axis for axis in range(len(shape)) if shape[axis] != 1]
    if layouts:
        order.sort(key=lambda axis: -lead[axis])
    sizes: list[int] = []
    strides: list[list[int]] = [[] for _ in layouts]
    for axis in order:
        steps = [layout.strides[axis] for layout in layouts]
        size = shape[axis]
        if sizes and all(before[-1] == step * size for before, step in zip(strides, steps, strict=True)):
            sizes[-1] *= size
            for before, step in zip(strides, steps, strict=True):
                before[-1] = step
        else:
            sizes.append(size)
            for before, step in zip(strides, steps, strict=True):
                before.append(step)
    return sizes, strides


def kept_layout(node: ReduceNode, target: View) -> Layout:
    """The target of a reduction as the loops over its argument see it: they stay in place along reduced axes."""
    shape = node.arguments[0].layout.shape  # type: ignore[union-attr]
    strides = [0 if axis in node.form.axes else stride for axis, stride in enumerate(target.layout.strides)]
    return Layout(shape, tuple(strides), target.layout.offset)


def layouts_of(kernel: Kernel) -> list[Layout]:
    """The layouts that the loops of a kernel visit, the leading one first."""
    leading, others = [], []
    made = {target.storage for node in kernel.items for target in node.targets}
    for node in kernel.items:
        others += [view.layout.broadcast(kernel.shape) for view in node.views if view.storage not in made]
        if isinstance(node, ReduceNode):
            others.append(kept_layout(node, node.target))
        else:
            leading.append(node.target.layout)
    if not leading:
        others.sort(key=lambda layout: -sum(bool(stride) for stride in layout.strides))
    return leading + others


def _regular(kernel: Kernel) -> bool:
    """Whether at most two loops do, which is what reductions that share loops can be written for."""
    reductions = [node for node in kernel.items if isinstance(node, ReduceNode)]
    return not reductions or len(axes_of(kernel.shape, layouts_of(kernel))[0]) <= 2


# --- grouping -------------------------------------------------------------------------------------


def _made_in(view: View) -> int:
    return max([node.kernel for node in view.storage.writers], default=-1)


def _flows(view: View, shape: tuple[int, ...], kernel: Kernel) -> bool:
    """Whether loops that make the storage can hand each element on to a reader of the view with loops of ``shape``."""
    writers = view.storage.writers
    return (
        len(writers) == 1
        and isinstance(writers[0], (MapNode, MatmulNode))
        and writers[0].target.whole
        and view.whole
        and view.layout.shape == shape == kernel.shape
    )


def _joins(group: Sequence[Node], shape: tuple[int, ...], kernels: list[Kernel], long: bool) -> bool:
    """Put nodes that feed each other into a kernel that exists, if there is one that can take them all."""
    if long and math.prod(shape) == 1:
        return False
    own = {node.target.storage for node in group}
    views = [view for node in group for view in node.views if view.storage not in own]
    made = [_made_in(view) for view in views]
    latest = max(made, default=-1)
    # A part of an array is written after what fills it.
    before = max([one.kernel for node in group for one in node.target.storage.writers if one is not node], default=-1)
    candidates = []
    if latest > before:
        there = [view for view, place in zip(views, made, strict=True) if place == latest]
        if all(_flows(view, shape, kernels[latest]) for view in there):
            candidates.append(latest)
    few = math.prod(shape) <= FEW
    read = {view.storage for view in views if math.prod(view.layout.shape) > 1}
    for place in range(len(kernels) - 1, max(latest, before, len(kernels) - NEAR), -1):
        kernel = kernels[place]
        alike = isinstance(kernel, LoopKernel) and kernel.shape == shape
        if alike and (few or any(view.storage in read for view in kernel.reads())):
            candidates.append(place)
            break
    for place in candidates:
        kernel = kernels[place]
        if not kernel.fusible or kernel.shape != shape or (long and len(kernel.items) >= MOST_ITEMS):
            continue
        count = len(kernel.items)
        kernel.items += group
        fits = not isinstance(kernel, MatmulKernel) or all(_fits_product(kernel, node) for node in group)
        if fits and _regular(kernel):
            for node in group:
                node.kernel = place
            return True
        del kernel.items[count:]
    return False


def _floats(node: Node, kept: set[Storage], apart: Container[Node]) -> bool:
    """Whether a map waits for its only reader, so that both are placed together."""
    storage = node.target.storage
    if not (isinstance(node, MapNode) and node.target.whole and len(storage.writers) == len(storage.readers) == 1):
        return False
    (reader,) = storage.readers
    if not isinstance(reader, MapNode) or reader in apart or storage in kept or storage.slot is not None:
        return False
    shape = reader.target.layout.shape
    return all(view.whole and view.layout.shape == shape for view in reader.views if view.storage is storage)


def _with_floating(node: Node, floating: dict[Storage, Node]) -> list[Node]:
    """The node after the maps that have waited for it, and those that have waited for them."""
    group: list[Node] = []
    stack = [node]
    while stack:
        one = stack.pop()
        group.append(one)
        stack += [floating.pop(view.storage) for view in one.views if view.storage in floating]
    return group[::-1]


def vector_axis(kernel: MatmulKernel) -> int:
    """Which axis of a product the vectors run along, -1 (columns) or -2 (rows): the one that costs less.

    Vectors of the axis are loaded from one operand, which is copied to be in order where it is not, and stored.
    """
    node = kernel.items[0]
    a, b = node.views
    m, k = a.layout.shape[-2:]
    n = b.layout.shape[-1]
    target = node.target.layout.strides
    lanes = 16 if node.target.dtype.itemsize == 4 else 8

    def cost(along: int, other: int, stride: int, store: int) -> float:
        padded = -(-along // min(lanes, 1 << max(along - 1, 1).bit_length())) * min(
            lanes, 1 << max(along - 1, 1).bit_length()
        )
        return padded * other * k / 8 + (0 if stride == 1 else 2 * k * along) + (0 if store == 1 else 2 * along * other)

    columns = cost(n, m, b.layout.strides[-1], target[-1])
    rows = cost(m, n, a.layout.strides[-2], target[-2])
    return -1 if columns <= rows else -2


def _fits_product(kernel: MatmulKernel, node: Node) -> bool:
    if not isinstance(node, ReduceNode):
        return True
    if len(kernel.shape) != 2 or node.form.how != "sum":
        return False
    across = 0 if vector_axis(kernel) == -1 else 1
    return node.form.axes in ((across,), (0, 1))


def _shape_of(node: Node) -> tuple[int, ...]:
    if isinstance(node, ReduceNode):
        return node.views[0].layout.shape
    return node.target.layout.shape


def _sunk(nodes: Sequence[Node]) -> list[Node]:
    """The nodes with each product just before its first reader, so that an update can be done by its product."""
    ready: list[Node] = []
    held: dict[Storage, Node] = {}

    def release(storage: Storage) -> None:
        node = held.pop(storage, None)
        if node is not None:
            for view in node.views:
                release(view.storage)
            ready.append(node)

    for node in nodes:
        if isinstance(node, MatmulNode):
            held[node.target.storage] = node
            continue
        for view in node.views:
            release(view.storage)
        ready.append(node)
    for storage in list(held):
        release(storage)
    return ready


def _is_number(argument: object) -> bool:
    if isinstance(argument, View):
        return math.prod(argument.layout.shape) == 1 or not any(argument.layout.strides)
    return isinstance(argument, (int, float))


def _folded(lowered: Lowered, nodes: list[Node], keep: set[Storage]) -> dict[Node, tuple[Node, Node, Update]]:
    """Products that only ever become ``buffer - number * product`` of a buffer that is written with it.

    Gives, by the last node of the three, the product, the node between and the update.
    """
    place = {node: i for i, node in enumerate(nodes)}
    found: dict[Node, tuple[Node, Node, Update]] = {}
    for buffer, value in lowered.copies:
        writers = value.storage.writers
        if len(writers) != 1 or not value.whole or value.storage in keep or value.dtype != buffer.dtype:
            continue
        last = writers[0]
        if not (isinstance(last, MapNode) and last.template == "({0} - {1})" and value.storage.slot is None):
            continue
        old, taken = last.arguments
        if not (isinstance(old, View) and isinstance(taken, View) and old.storage is buffer.storage):
            continue
        same = old.whole and old.layout.same_places(value.layout) and taken.layout.same_places(value.layout)
        scaled = taken.storage.writers[0] if len(taken.storage.writers) == 1 else None
        if not (same and isinstance(scaled, MapNode) and scaled.template == "({0} * {1})" and taken.whole):
            continue
        factors = [one for one in scaled.arguments if _is_number(one)]
        products = [one for one in scaled.arguments if not _is_number(one)]
        if len(factors) != 1 or len(products) != 1:
            continue
        (factor,), (product,) = factors, products
        maker = product.storage.writers[0] if isinstance(product, View) and product.storage.writers else None
        if not (isinstance(maker, MatmulNode) and isinstance(product, View) and product.whole and _goes_to_blas(maker)):
            continue
        alone = (
            product.storage.readers == [scaled]
            and taken.storage.readers == [last]
            and not ({product.storage, taken.storage} & keep)
        )
        later = any(place.get(reader, -1) > place[last] for reader in buffer.storage.readers)
        read_again = bool(value.storage.readers)
        if alone and not later and not read_again and product.layout.same_places(taken.layout):
            found[last] = (maker, scaled, Update(buffer, factor, value))
    return found


def _goes_to_blas(node: MatmulNode) -> bool:
    a, b = node.views
    *_, m, k = a.layout.shape
    n = b.layout.shape[-1]
    return m * n * k >= BLAS_FROM and min(m, n, k) > 1


def plan(lowered: Lowered, has_blas: bool) -> Plan:
    """Kernels for the nodes, and a place for every storage."""
    result = Plan(lowered)
    kernels = result.kernels
    keep = {view.storage for view in lowered.outputs}
    nodes = _sunk(lowered.nodes)
    folded = _folded(lowered, nodes, keep) if has_blas else {}
    skipped = {node for maker, scaled, _ in folded.values() for node in (maker, scaled)}
    result.kept = keep | {value.storage for _, value in lowered.copies}
    apart = skipped | folded.keys()
    floating: dict[Storage, Node] = {}
    sizes: dict[Storage, int] = {}
    for node in nodes:
        if node in skipped:
            continue
        if node not in folded and _floats(node, result.kept, apart):
            count = 1 + sum(sizes.get(view.storage, 0) for view in node.views)
            if count < MOST_ITEMS:
                floating[node.target.storage] = node
                sizes[node.target.storage] = count
                continue
        if node in folded:
            maker, scaled, update = folded[node]
            kernel: Kernel = MatmulKernel(maker, True)  # type: ignore[arg-type]
            kernel.update = update  # type: ignore[attr-defined]
            kernel.fusible = False
            for one in (scaled, node):
                one.forget()
        elif isinstance(node, (MapNode, ReduceNode)):
            shape = _shape_of(node)
            group = _with_floating(node, floating)
            if _joins(group, shape, kernels, len(nodes) > LONG):
                continue
            kernel = LoopKernel(shape, group)
        elif isinstance(node, MatmulNode):
            kernel = MatmulKernel(node, has_blas and _goes_to_blas(node))
        elif isinstance(node, CodeNode):
            kernel = CodeKernel((), [node])
        else:
            kernel = HostKernel((), [node])
        for one in kernel.items:
            one.kernel = len(kernels)
        kernels.append(kernel)
    _commit(result)
    return result


# --- memory ---------------------------------------------------------------------------------------


def _last_check(result: Plan) -> int:
    """The last kernel that may end a run early: buffers must not be written before it."""
    last = -1
    for place, kernel in enumerate(result.kernels):
        if isinstance(kernel, HostKernel) or any(isinstance(one, CodeNode) and one.form.fails for one in kernel.items):
            last = place
    if result.lowered.outputs:
        loss = result.lowered.outputs[0].storage
        last = max([last, *[node.kernel for node in loss.writers]])
    return last


def _commit(result: Plan) -> None:
    """Let new values of buffers be made in the buffers' own memory where nobody reads the old ones later."""
    kernels = result.kernels
    checked = _last_check(result)
    late: list[tuple[View, View]] = []
    for buffer, value in result.lowered.copies:
        storage = value.storage
        update = next(
            (one for one in kernels if isinstance(one, MatmulKernel) and one.update and one.update.target is value),
            None,
        )
        place = (
            kernels.index(update) if update is not None else max([node.kernel for node in storage.writers], default=-1)
        )
        writer = storage.writers[0] if len(storage.writers) == 1 else None
        fits = (
            place > checked
            and storage.bound is None
            and (
                update is not None
                or (
                    isinstance(writer, (MapNode, MatmulNode))
                    and writer.target.whole
                    and value.whole
                    and storage.slot is None
                    and storage.dtype == buffer.dtype
                    and value.layout.same_places(buffer.layout)
                )
            )
        )
        free = fits and all(
            reader.kernel < place
            or (
                reader.kernel == place
                and isinstance(reader, MapNode)
                and all(
                    view.layout.same_places(value.layout) for view in reader.views if view.storage is buffer.storage
                )
            )
            for reader in buffer.storage.readers
            if update is None or reader not in update.items
        )
        once = sum(other.storage is buffer.storage for other, _ in result.lowered.copies) == 1
        if free and once:
            storage.bound = buffer.storage
        else:
            late.append((buffer, value))
    first = [node.kernel for node in _writers_of_buffers(result)]
    result.commit = min(first, default=len(kernels))
    for buffer, value in late:
        unbound = next(
            (one for one in kernels if isinstance(one, MatmulKernel) and one.update and one.update.target is value),
            None,
        )
        if unbound is not None:  # not in place after all: on a copy of the old value
            kernels.insert(
                kernels.index(unbound), LoopKernel(value.layout.shape, [MapNode(None, "{0}", [buffer], value)])
            )
        if buffer.dtype in C_TYPES and value.dtype == buffer.dtype and value.layout.shape == buffer.layout.shape:
            kernels.append(LoopKernel(buffer.layout.shape, [MapNode(None, "{0}", [value], buffer)]))
        else:
            result.late.append((buffer, value))
    for place, kernel in enumerate(kernels):
        for node in kernel.items:
            node.kernel = place


def _writers_of_buffers(result: Plan) -> list[Node]:
    found: list[Node] = []
    for kernel in result.kernels:
        found += [node for node in kernel.items if any(target.storage.home.slot is not None for target in node.targets)]
        if isinstance(kernel, MatmulKernel) and kernel.update and kernel.update.target.storage.bound:
            found.append(kernel.items[0])
    return found


def needed(storage: Storage, place: int, kept: set[Storage]) -> bool:
    """Whether somebody outside the kernel at ``place`` reads what a node in it makes."""
    return storage.home.slot is not None or storage in kept or any(reader.kernel != place for reader in storage.readers)


def _passed_on(kernel: Kernel, place: int, kept: set[Storage]) -> set[Storage]:
    """What the loops of a kernel hand from node to node, and never store."""
    if not kernel.fusible:
        return set()
    maps = [node for node in kernel.items if isinstance(node, (MapNode, MatmulNode)) and node.target.whole]
    return {node.target.storage for node in maps if not needed(node.target.storage, place, kept)}


def place(result: Plan) -> None:
    """Give every storage of the arena its offset; those that are never alive at the same time share memory."""
    spans: dict[Storage, list[int]] = {}

    def touch(storage: Storage, place: int) -> None:
        storage = storage.home
        if storage.slot is None:
            span = spans.setdefault(storage, [place, place])
            span[0], span[1] = min(span[0], place), max(span[1], place)

    for place, kernel in enumerate(result.kernels):
        inside = _passed_on(kernel, place, result.kept)
        for node in kernel.items:
            for view in (*node.views, *node.targets):
                if view.storage not in inside:
                    touch(view.storage, place)
        if isinstance(kernel, MatmulKernel) and kernel.update is not None:
            touch(kernel.update.target.storage, place)
            touch(kernel.update.buffer.storage, place)
            if isinstance(kernel.update.factor, View):
                touch(kernel.update.factor.storage, place)
        for storage in kernel.scratch:
            touch(storage, place)
    end = len(result.kernels)
    for view in (*result.lowered.outputs, *[value for _, value in result.late]):
        touch(view.storage, end)
    free: list[tuple[int, int]] = []  # (offset, bytes), in order
    active: list[tuple[int, Storage]] = []
    top = 0
    for storage, (start, stop) in sorted(spans.items(), key=lambda item: (item[1][0], -item[0].nbytes)):
        for ended in [one for one in active if one[0] < start]:
            active.remove(ended)
            free.append((ended[1].offset, _padded(ended[1])))
        free = _merged(free)
        wanted = _padded(storage)
        fitting = [one for one in free if one[1] >= wanted]
        if fitting:
            hole = min(fitting, key=lambda one: one[1])
            free.remove(hole)
            storage.offset = hole[0]
            if hole[1] > wanted:
                free.append((hole[0] + wanted, hole[1] - wanted))
        else:
            storage.offset = top
            top += wanted
        active.append((stop, storage))
    result.arena = top


def _padded(storage: Storage) -> int:
    return max(-(-storage.nbytes // ALIGNMENT) * ALIGNMENT, ALIGNMENT)


def _merged(free: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for offset, size in sorted(free):
        if merged and sum(merged[-1]) == offset:
            merged[-1] = (merged[-1][0], merged[-1][1] + size)
        else:
            merged.append((offset, size))
    return merged
