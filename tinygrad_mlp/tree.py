"""Nested containers of values: dicts, lists, tuples and named tuples, to any depth, without recursion.

A value that is none of these is a leaf. Dicts keep their order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .errors import ArgumentError

__all__ = ["flatten", "map_leaves", "spread", "unflatten"]

Structure = tuple[Any, ...]
_LEAF: Structure = ("leaf",)


def _parts(tree: Any) -> tuple[Structure, list[Any]] | None:
    if type(tree) is dict:
        return ("dict", tuple(tree)), list(tree.values())
    if type(tree) in (list, tuple):
        return (type(tree).__name__, len(tree)), list(tree)
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return ("named", type(tree), len(tree)), list(tree)
    return None


def flatten(tree: Any) -> tuple[list[Any], list[Structure]]:
    """The leaves from left to right, and the shape of the tree as a list that :func:`unflatten` reads.

    >>> flatten({"w": [1, 2], "b": 3})[0]
    [1, 2, 3]
    """
    leaves: list[Any] = []
    shape: list[Structure] = []
    stack = [tree]
    while stack:
        here = stack.pop()
        parts = _parts(here)
        if parts is None:
            leaves.append(here)
            shape.append(_LEAF)
        else:
            shape.append(parts[0])
            stack.extend(reversed(parts[1]))
    return leaves, shape


def unflatten(shape: Sequence[Structure], leaves: Sequence[Any]) -> Any:
    """The tree of this shape with these leaves.

    Raises:
        ArgumentError: not as many leaves as the shape has places.

    >>> leaves, shape = flatten({"w": [1, 2], "b": 3})
    >>> unflatten(shape, [10, 20, 30])
    {'w': [10, 20], 'b': 30}
    """
    places = sum(one == _LEAF for one in shape)
    if places != len(leaves):
        raise ArgumentError(f"a tree with {places} leaves cannot be filled with {len(leaves)}")
    rest = list(leaves)
    built: list[Any] = []
    # From the right, every container finds its finished parts on top of the stack, first part uppermost.
    for kind, *facts in reversed(shape):
        if kind == "leaf":
            built.append(rest.pop())
            continue
        count = len(facts[0]) if kind == "dict" else facts[-1]
        parts = [built.pop() for _ in range(count)]
        if kind == "dict":
            built.append(dict(zip(facts[0], parts, strict=True)))
        elif kind == "named":
            built.append(facts[0](*parts))
        else:
            built.append(parts if kind == "list" else tuple(parts))
    (tree,) = built
    return tree


def map_leaves(function: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """The tree with ``function(leaf, *the leaves of others at the same place)`` in place of each leaf.

    Raises:
        ArgumentError: the trees differ in shape.
    """
    leaves, shape = flatten(tree)
    columns = [leaves]
    for other in others:
        more, other_shape = flatten(other)
        if other_shape != shape:
            raise ArgumentError("the trees differ in shape: each must have the same keys and lengths throughout")
        columns.append(more)
    return unflatten(shape, [function(*row) for row in zip(*columns, strict=True)])


def spread(prefix: Any, tree: Any) -> list[Any]:
    """One value for every leaf of ``tree``: ``prefix`` has its nesting, or stops earlier with one value for a part.

    Raises:
        ArgumentError: ``prefix`` is nested otherwise.

    >>> spread({"w": 0, "b": None}, {"w": [1, 2], "b": 3})
    [0, 0, None]
    """
    values: list[Any] = []
    stack = [(prefix, tree)]
    while stack:
        value, here = stack.pop()
        wanted = _parts(value)
        if wanted is None:
            values += [value] * len(flatten(here)[0])
            continue
        parts = _parts(here)
        if parts is None or parts[0][1:] != wanted[0][1:]:
            raise ArgumentError(f"{value!r} is not nested like the values it is for")
        stack.extend(reversed(list(zip(wanted[1], parts[1], strict=True))))
    return values
