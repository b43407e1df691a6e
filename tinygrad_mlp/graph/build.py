"""From the tape to a :class:`Graph`: iterative, and linear in the number of recorded steps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from ..errors import ArgumentError, DTypeError, GradientError
from ..tape import Array, Leaf, Node, Traced, line_number, user_frame
from ..watch import Recorded
from .graph import Graph
from .plain import GraphEdge, GraphNode, Kind, Status

__all__ = ["HasParameters", "Names", "graph_of"]

# Position, name, the node it came from (None: no gradient wanted) and, where there is no node, the data.
_Operand = tuple[int, str, Node | None, Any]

_DRAW_RECORDED = "compute inside `with record_values():` to see them"


@runtime_checkable
class HasParameters(Protocol):
    """A module, or anything else that can list its parameters by name."""

    def named_parameters(self) -> Iterable[tuple[str, Any]]:
        """Pairs of dotted path and tensor."""
        ...


Names = Mapping[str, Any] | HasParameters | Sequence[Mapping[str, Any] | HasParameters]


def graph_of(root: Traced | Sequence[Traced], *, names: Names | None = None, max_nodes: int = 200) -> Graph:
    """The graph of everything that ``root`` was computed from, as plain data that can be drawn.

    Args:
        root: the result, or several of them.
        names: by default the variables of the caller that are tensors or modules. Or a module (anything with
            ``named_parameters()``), a mapping from name to tensor or array, such as ``locals()``, or a list of these.
            Tensors are recognised by identity; results of ops can be named too. A dotted name such as
            ``"layers.0.weight"`` puts the parameter, and the op that reads it, into the module ``layers.0``.
        max_nodes: drawings of more nodes fold modules into one box each, and say so. The data stays complete.

    Steps that ran inside ``record_values()`` know their value, their constants and, after ``backward()``, their
    gradient. Of other steps the values that the backward pass still needs are known, and nothing else: that is what
    the statuses ``"not kept"`` and ``"not computed yet"`` tell apart from a real 0.

    Raises:
        GradientError: a root was computed from nothing that requires gradients, so nothing was recorded.
        DTypeError: a root is not a tensor.
        ArgumentError: no roots, or ``max_nodes`` below 1.
    """
    roots = (root,) if isinstance(root, Traced) else tuple(root)
    _check(roots, max_nodes)
    naming = _Naming(_variables(), guessed=True) if names is None else _Naming(names)
    return _Builder(roots, naming).graph(max_nodes)


def _variables() -> list[Mapping[str, Any] | HasParameters]:
    """The modules and tensors among the variables of the first frame outside of this package."""
    frame = user_frame()
    variables = {} if frame is None else dict(frame.f_locals)
    shown = {name: one for name, one in variables.items() if not name.startswith("_") and not isinstance(one, type)}
    modules = [one for one in shown.values() if isinstance(one, HasParameters)]
    return [*modules, {name: one for name, one in shown.items() if isinstance(one, Traced)}]


def _check(roots: Sequence[Any], max_nodes: int) -> None:
    if max_nodes < 1:
        raise ArgumentError(f"max_nodes: expected at least 1, got {max_nodes}")
    if not roots:
        raise ArgumentError("graph_of needs at least one tensor, got an empty sequence; say graph_of(loss)")
    for one in roots:
        if not isinstance(one, Traced):
            raise DTypeError(f"graph_of draws what tensors were computed from, got {type(one).__name__}")
        if one.node is None:
            raise GradientError(
                f"nothing is recorded behind this tensor of shape {one.data.shape}, so there is no graph to draw. Make "
                "a leaf with requires_grad=True, and check for detach() and no_grad() on the way"
            )


@runtime_checkable
class _HasModules(Protocol):
    def named_modules(self) -> Iterable[tuple[str, Any]]: ...


class _Naming:
    """Who is called what: tensors by their node, data without a node by their array.

    Names that are ``guessed`` from variables count less than one that a leaf was given when it was made.
    """

    def __init__(self, names: Names, guessed: bool = False) -> None:
        self.guessed = guessed
        self.of_node: dict[Node, str] = {}
        self.of_array: dict[int, str] = {}
        # Parameters of modules that want no gradient.
        self.frozen: set[int] = set()
        # Held on to, so that no id is given to another array while names are being looked up.
        self._arrays: list[Any] = []
        self.class_of = _classes(names)
        for source in _sources(names):
            is_module = isinstance(source, HasParameters)
            for name, value in source.named_parameters() if isinstance(source, HasParameters) else source.items():
                node = value.node if isinstance(value, Traced) else None
                array = value.data if isinstance(value, Traced) else value
                if node is not None:
                    self.of_node.setdefault(node, str(name))
                else:
                    self._arrays.append(array)
                    self.of_array.setdefault(id(array), str(name))
                    if is_module:
                        self.frozen.add(id(array))

    def node(self, node: Node) -> str | None:
        """The name of a step or a leaf."""
        given = node.name if isinstance(node, Leaf) else None
        name = self.of_node.get(node)
        return (given or name) if self.guessed else (name or given)

    def is_frozen(self, data: Any) -> bool:
        """Whether it is a parameter that wants no gradient."""
        return id(data) in self.frozen

    def array(self, data: Any) -> str | None:
        """The name of data that has no node."""
        return self.of_array.get(id(data))


def _sources(names: Names) -> list[Mapping[str, Any] | HasParameters]:
    found: list[Any] = [*names] if isinstance(names, Sequence) and not isinstance(names, str) else [names]
    for one in found:
        if not isinstance(one, (Mapping, HasParameters)):
            raise DTypeError(
                "names: expected a module, a mapping such as {'x': x, 'loss': loss}, or a list of these, got "
                f"{type(one).__name__}"
            )
    return found


def _classes(names: Names) -> dict[tuple[str, ...], str]:
    """The class of each module by its path, both as the parameters name it and as it is recorded, below the root."""
    found: dict[tuple[str, ...], str] = {}
    for root in _sources(names):
        if isinstance(root, _HasModules):
            for name, module in root.named_modules():
                path = tuple(name.split(".")) if name else ()
                for one in (path, (type(root).__name__, *path)):
                    found.setdefault(one, type(module).__name__)
    return found


def module_of(name: str | None) -> tuple[str, ...]:
    """The module path in a dotted parameter name; a name with an empty part is no path."""
    parts = name.split(".") if name else []
    return tuple(parts[:-1]) if all(parts) else ()


class _Builder:
    """Nodes of one graph on their way from the tape to plain data."""

    def __init__(self, roots: Sequence[Traced], naming: _Naming) -> None:
        self.roots = roots
        self.naming = naming
        self.reads = _reads(root.node for root in roots if root.node is not None)
        self.order = list(self.reads)
        self.module = _modules(self.reads, naming)
        self.values = _kept_values(self.order)
        self.values.update((root.node, root.data) for root in roots if root.node is not None)
        self.walked = any(isinstance(node, Leaf) and node.gradient is not None for node in self.order)
        self.nodes: list[GraphNode] = []
        self.edges: list[GraphEdge] = []
        self.place: dict[Node, int] = {}
        self.constant_place: dict[int, int] = {}

    def graph(self, max_nodes: int) -> Graph:
        for node in self.order:
            operands = self.reads[node]
            sources = [
                self.place[source] if source is not None else self._constant(data, node, operand)
                for _, operand, source, data in operands
            ]
            here = len(self.nodes)
            self.place[node] = here
            self.nodes.append(self._leaf(node) if isinstance(node, Leaf) else self._op(node))
            reached = set(node.plan.tracked) if node.plan is not None else set()
            self.edges += [
                GraphEdge(source, here, name, position, position in reached)
                for (position, name, _, _), source in zip(operands, sources, strict=True)
            ]
        outputs = tuple(dict.fromkeys(self.place[root.node] for root in self.roots if root.node is not None))
        classes = self.naming.class_of
        kind = type(self.roots[0])
        return Graph(tuple(self.nodes), tuple(self.edges), outputs, self._notes(), max_nodes, classes, kind)

    def _leaf(self, node: Leaf) -> GraphNode:
        gradient = node.gradient.data if isinstance(node.gradient, Traced) else node.gradient
        return GraphNode(
            id=len(self.nodes),
            kind="parameter",
            name=self.naming.node(node),
            module=self.module[node],
            shape=node.shape,
            dtype=str(node.array.dtype),
            # Optimizers write into parameters and gradients in place; a picture stays as it was taken.
            value=_frozen(np.array(node.array)),
            value_status=Status.KNOWN,
            gradient=None if gradient is None else _frozen(np.array(gradient)),
            gradient_status=Status.NOT_YET if gradient is None else Status.KNOWN,
        )

    def _op(self, node: Node) -> GraphNode:
        assert node.plan is not None
        value = node.value if isinstance(node, Recorded) else self.values.get(node)
        gradient = node.gradient if isinstance(node, Recorded) else None
        if gradient is not None:
            status = Status.KNOWN
        elif isinstance(node, Recorded) or not (self.walked or node.kept is None):
            status = Status.NOT_YET
        else:
            status = Status.NOT_KEPT
        return GraphNode(
            id=len(self.nodes),
            kind="op",
            op=node.plan.op.name,
            name=self.naming.node(node),
            module=self.module[node],
            shape=node.shape,
            dtype=None if value is None else str(value.dtype),
            # The library writes into no result of an op, but a reshaped parameter is a view of what it does write into.
            value=None if value is None else _frozen(value if value.flags.owndata else value.copy()),
            value_status=Status.NOT_KEPT if value is None else Status.KNOWN,
            gradient=None if gradient is None else _frozen(gradient),
            gradient_status=status,
            params=dict(node.params) if isinstance(node, Recorded) else {},
            line=_line(node),
        )

    def _constant(self, data: Any, consumer: Node, operand: str) -> int:
        shared = isinstance(data, np.ndarray)
        if shared and id(data) in self.constant_place:
            return self.constant_place[id(data)]
        name = self.naming.array(data)
        array = np.array(data)
        kind: Kind = "input" if name else "constant"
        here = len(self.nodes)
        self.nodes.append(
            GraphNode(
                id=here,
                kind=kind,
                name=name or (self._purpose(consumer, operand) if array.ndim else None),
                # What has no name was most likely made where it is used, as a number or a mask in a layer's code.
                module=self.module[consumer] if name is None else module_of(name),
                shape=array.shape,
                dtype=str(array.dtype) if shared else None,
                value=_frozen(array),
                value_status=Status.KNOWN,
                gradient_status=Status.NOT_WANTED,
                frozen=self.naming.is_frozen(data),
            )
        )
        if shared:
            self.constant_place[id(data)] = here
        return here

    def _purpose(self, consumer: Node, operand: str) -> str | None:
        if self.naming.class_of.get(self.module[consumer]) == "Dropout":
            return "dropout mask"
        # One letter is mathematics, and no name of anything.
        return operand if len(operand) > 1 and not operand.isdigit() else None

    def _notes(self) -> tuple[str, ...]:
        ops = [node for node in self.nodes if node.kind == "op"]
        values = any(node.value_status is Status.NOT_KEPT for node in ops)
        gradients = any(node.gradient_status is Status.NOT_KEPT for node in ops)
        if not values and not gradients:
            return ()
        what = " and ".join(["values"] * values + ["gradients"] * gradients)
        return (f"Some {what} were not kept: {_DRAW_RECORDED}.",)


def _frozen(array: Array) -> Array:
    view = np.asarray(array).view()
    view.flags.writeable = False
    return view


def _line(node: Node) -> tuple[str, int] | None:
    line = node.line if isinstance(node, Recorded) else None
    return None if line is None else (line[0].co_filename, line_number(line))


def _operands(node: Node) -> list[_Operand]:
    """What the node read; of plain nodes only the operands that want a gradient are known."""
    if node.plan is None:
        return []
    names = node.plan.op.operands
    if isinstance(node, Recorded):
        found = [(position, source, data) for position, (source, data) in enumerate(node.operands)]
    else:
        found = [(position, source, None) for position, source in zip(node.plan.tracked, node.inputs, strict=True)]
    return [
        (position, names[position] if position < len(names) else str(position), source, data)
        for position, source, data in found
    ]


def _reads(roots: Iterable[Node]) -> dict[Node, list[_Operand]]:
    """What every node read, sources first."""
    # Not tape.consumers_first: that follows gradients only, a picture also shows masks and indices that carry none.
    found: dict[Node, list[_Operand]] = {}
    stack = list(roots)
    while stack:
        node = stack.pop()
        if node not in found:
            found[node] = _operands(node)
            stack += [source for _, _, source, _ in found[node] if source is not None]
    return {node: found[node] for node in sorted(found, key=lambda node: node.tick)}


def _kept_values(order: Iterable[Node]) -> dict[Node, Array]:
    """What plain nodes still hold for the backward pass: their own output, or that of a node they read."""
    values: dict[Node, Array] = {}
    for node in order:
        if node.plan is None or node.kept is None:
            continue
        for value, role in zip(node.kept, node.plan.roles, strict=True):
            if role is None:
                continue
            owner = node if role < 0 else node.inputs[role]
            if isinstance(value, np.ndarray) and value.shape == owner.shape:
                values.setdefault(owner, value)
    return values


def _modules(reads: Mapping[Node, list[_Operand]], naming: _Naming) -> dict[Node, tuple[str, ...]]:
    """The module of each node: where it was recorded, else that of the only parameters it reads."""
    module = {node: _scope(node) or module_of(naming.node(node)) for node in reads}
    for node, operands in reads.items():
        leaves = [source for _, _, source, _ in operands if isinstance(source, Leaf)]
        paths = {module[leaf] for leaf in leaves} - {()}
        if not module[node] and len(paths) == 1:
            module[node] = paths.pop()
        for leaf in leaves:
            # Scopes may start higher up than the names do, for instance at the class of the model.
            path = module_of(naming.node(leaf))
            if path and module[node][-len(path) :] == path:
                module[leaf] = module[node]
    return module


def _scope(node: Node) -> tuple[str, ...]:
    if not isinstance(node, Recorded):
        return ()
    return tuple(part for name in node.scope for part in (name.split(".") if module_of(f"{name}.x") else (name,)))
