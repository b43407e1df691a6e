"""A program as NumPy code that a person can read and run: forward, derived backward, update, as textbooks write them.

Each step is one line. An op that is a NumPy expression says so in its declaration (``text``), or is a ufunc; any other
is called by name, and its forward function is printed above, with what that calls. Nothing here knows any single op.
"""

from __future__ import annotations

import ast
import builtins
import html
import inspect
import itertools
import keyword
import math
import re
import textwrap
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

from ..errors import CaptureError
from .ir import Program, SavedRef, Step, Value

__all__ = ["Source", "source"]

# A constant of up to so many elements is written out; a larger one is an argument.
_WRITTEN_OUT = 16

_WIDTH = 100

_TITLES = {"forward": "forward", "backward": "backward: derived", "update": "update"}


@dataclass(frozen=True)
class Source:
    """NumPy code; ``str()`` is the text of a module that needs NumPy alone and defines one function.

    Attributes:
        text: the module. name: of the function.
        arguments: what it takes, in order: names and the values of the program they stand for.
        writes: the names of the buffers whose new values it gives.

    The function gives ``(outputs, {buffer: new value})`` and changes none of its arguments.
    """

    text: str
    name: str
    arguments: tuple[tuple[str, Value], ...]
    writes: tuple[str, ...]

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"<source of {self.name}({', '.join(name for name, _ in self.arguments)})>"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.text)}</pre>"


def source(program: Program) -> Source:
    """The program as straight-line NumPy code, with the user's names where values have them.

    Raises:
        CaptureError: the forward function of an op cannot be printed: it was typed at a prompt, or uses an object that
            is neither a function nor plain data.
    """
    helpers = _Helpers()
    names = _Names({"np", *dir(builtins)})
    function = names.fresh(_identifier(program.name or "step"))
    large = [one for one in program.constants if one.size > _WRITTEN_OUT]
    arguments = tuple([(names.of(one, "x"), one) for one in [*program.inputs, *program.buffers, *program.fed, *large]])
    writer = _Writer(helpers, names)
    body = [
        f"{names.of(one, 'c')} = {_constant(one.array, one.dtype)}"
        for one in program.constants
        if one.size <= _WRITTEN_OUT and one.array is not None
    ]
    targets = {value: f"{names.known[buffer]}_new" for buffer, value in program.writes}
    targets |= {value: f"d_{names.known[buffer]}" for value, buffer in _gradients(program).items()}
    # The names of helpers come first, so that no variable hides one.
    for step in program.steps:
        writer.call_of(step)
    phase, module = "", ""
    for step in program.steps:
        if step.phase != phase:
            body += ["", f"# {_TITLES[step.phase]}"]
        if step.module and (step.phase, step.module) != (phase, module):
            body.append(f"# {step.module}" if step.phase == "forward" else f"# of {step.module}")
        phase, module = step.phase, step.module
        body.append(writer.line(step, targets))
    outputs = "".join(f"{writer.operand(one)}, " for one in program.outputs).rstrip()
    written = [(names.known[buffer], writer.operand(value)) for buffer, value in program.writes]
    body += ["", *_returned(outputs, [f"{name!r}: {value}" for name, value in written])]
    if not body[0]:
        del body[0]
    head = f"def {function}({', '.join(name for name, _ in arguments)}):"
    lines = [head, *[f"    {line}".rstrip() for line in body]]
    parts = ["\n".join(["import numpy as np", *helpers.imports()]), *helpers.texts, "\n".join(lines)]
    return Source("\n\n\n".join(parts) + "\n", function, arguments, tuple(name for name, _ in written))


def _returned(outputs: str, news: list[str]) -> list[str]:
    whole = f"return ({outputs}), {{{', '.join(news)}}}"
    if len(whole) < _WIDTH:
        return [whole]
    return [f"return ({outputs}), {{", *[f"    {one}," for one in news], "}"]


def _gradients(program: Program) -> dict[Value, Value]:
    """The values of the backward pass that are all of it that the update of one buffer reads, and that buffer."""
    found: dict[Value, list[Value]] = {}
    for buffer, new in program.writes:
        reached, waiting, seen = set(), [new], {new}
        while waiting:
            step = waiting.pop().step
            if step is None or step.phase == "forward":
                continue
            if step.phase == "backward":
                reached.add(step.result)
                continue
            for one in step.reads():
                if one not in seen:
                    seen.add(one)
                    waiting.append(one)
        if len(reached) == 1:
            # The optimizer's state, "exp_avg of 0.weight", is written from the same gradient as the parameter.
            found.setdefault(reached.pop(), []).append(buffer)
    return {
        value: next((one for one in buffers if " of " not in one.name), buffers[0]) for value, buffers in found.items()
    }


class _Names:
    """Names for values, each once, legal in Python."""

    def __init__(self, taken: set[str]) -> None:
        self.taken = taken
        self.known: dict[Value, str] = {}
        self.counts: dict[str, itertools.count[int]] = {}

    def fresh(self, wish: str) -> str:
        name = wish
        if name in self.taken:
            name = next(one for one in (f"{wish}_{k}" for k in itertools.count(2)) if one not in self.taken)
        self.taken.add(name)
        return name

    def of(self, value: Value, stem: str) -> str:
        """The name of ``value``: the user's, or the stem with a number."""
        name = self.known.get(value)
        if name is None:
            wish = _identifier(value.name) if value.name else ""
            while not wish or (not value.name and wish in self.taken):
                wish = f"{stem}{next(self.counts.setdefault(stem, itertools.count(1)))}"
            name = self.known[value] = self.fresh(wish)
        return name


def _identifier(name: str) -> str:
    plain = re.sub(r"\W+", "_", name).strip("_") or "value"
    if plain[0].isdigit():
        plain = f"layer{plain}"
    return f"{plain}_" if keyword.iskeyword(plain) else plain


class _Writer:
    """Writes the line of a step."""

    def __init__(self, helpers: _Helpers, names: _Names) -> None:
        self.helpers = helpers
        self.names = names

    def call_of(self, step: Step) -> str | None:
        """What stands before the brackets; None where the op is an expression."""
        if step.op.text is not None and not step.saved:
            return None
        called = self.helpers.expression(step.op.forward, step.op.name)
        self.names.taken.add(called)
        return called

    def operand(self, value: Any) -> str:
        return self.names.of(value, "v") if isinstance(value, Value) else _plain(value)

    def line(self, step: Step, targets: dict[Value, str]) -> str:
        op = step.op
        operands = [self.operand(one) for one in step.operands]
        params = {
            name: f"{self.names.known[value.step.result]}_saved" if isinstance(value, SavedRef) else _plain(value)
            for name, value in step.params.items()
        }
        called = self.call_of(step)
        if called is None:
            assert op.text is not None
            call = op.text.format(**dict(zip(op.operands, operands, strict=True)), **params)
        else:
            call = f"{called}({', '.join([*operands, *[f'{name}={value}' for name, value in params.items()]])})"
        result = step.result
        if result in targets and not result.name and result not in self.names.known:
            self.names.known[result] = self.names.fresh(targets[result])
        name = self.names.of(result, "g" if step.phase == "backward" else _identifier(op.name))
        if step.saved:
            return f"{name}, {self.names.fresh(f'{name}_saved')} = {call}"
        return f"{name} = {call}[0]" if op.saves and called is not None else f"{name} = {call}"


# --- plain data --------------------------------------------------------------------------------------


def _plain(value: Any) -> str:  # noqa: PLR0911 - one return per kind
    """Python for a number, a dtype, an index, or a nest of them.

    Raises:
        CaptureError: it is something else.
    """
    if isinstance(value, np.ndarray):
        return _constant(value, value.dtype)
    if isinstance(value, np.dtype):
        return f"np.{np.dtype(value).name}_" if value.kind == "b" else f"np.{value.name}"
    if isinstance(value, np.generic):
        return f"np.{value.dtype.name}({_plain(value.item())})"
    if isinstance(value, float) and not math.isfinite(value):
        return "np.nan" if math.isnan(value) else ("np.inf" if value > 0 else "-np.inf")
    if value is None or value is Ellipsis or isinstance(value, (bool, int, float, str)):
        return "..." if value is Ellipsis else repr(value)
    if isinstance(value, slice):
        return f"slice({', '.join(map(_plain, (value.start, value.stop, value.step)))})"
    if type(value) is tuple:
        return f"({', '.join(map(_plain, value))}{',' if len(value) == 1 else ''})"
    if type(value) in (list, set, frozenset):
        inner = ", ".join(map(_plain, value))
        return f"[{inner}]" if type(value) is list else f"{type(value).__name__}([{inner}])"
    if type(value) is dict:
        return "{" + ", ".join(f"{_plain(key)}: {_plain(one)}" for key, one in value.items()) + "}"
    raise CaptureError(f"source: {value!r} cannot be written as Python; only numbers, text and nests of them can")


def _constant(array: Any, dtype: np.dtype[Any]) -> str:
    # Bytes, because -0.0 is equal to 0.0 and NaN to nothing.
    if array.ndim and array.size > 1 and len({one.tobytes() for one in array.ravel()}) == 1:
        return f"np.full({array.shape}, {_plain(array.ravel()[0].item())}, {_plain(dtype)})"
    order = ', order="F"' if array.ndim > 1 and array.flags.f_contiguous and not array.flags.c_contiguous else ""
    empty = f".reshape({array.shape})" if not array.size and array.ndim > 1 else ""
    return f"np.array({_plain(array.tolist())}, {_plain(dtype)}{order}){empty}"


# --- forward functions ---------------------------------------------------------------------------------


class _Helpers:
    """The functions that are printed above, each once, what they call before them."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.modules: set[str] = set()
        self.names: dict[Any, str] = {}

    def imports(self) -> list[str]:
        return [f"import {name}" for name in sorted(self.modules)]

    def expression(self, value: Any, name: str) -> str:
        """How code refers to ``value``, which is called ``name`` where it is used.

        Raises:
            CaptureError: it is neither a function nor plain data.
        """
        if isinstance(value, ModuleType):
            if value is np:
                return "np"
            self.modules.add(value.__name__)
            return value.__name__
        if isinstance(value, type):
            return self._class(value)
        op = getattr(value, "op", None)
        value = value if op is None else op.forward
        known = getattr(value, "__name__", "")
        if isinstance(value, np.ufunc) or (known and getattr(np, known, None) is value):
            return f"np.{known}"
        if callable(value) and isinstance(inspect.unwrap(value), FunctionType):
            return self._function(inspect.unwrap(value))
        try:
            return _plain(value)
        except CaptureError:
            raise CaptureError(f"source: {name} is {value!r}, which cannot be written as Python") from None

    def _class(self, value: type) -> str:
        if value.__module__ == "builtins":
            return value.__name__
        if getattr(np, value.__name__, None) is value:
            return f"np.{value.__name__}"
        # Of an error of the package's the built-in one that it is.
        return next(one.__name__ for one in value.__mro__ if one.__module__ == "builtins")

    def _function(self, function: Any) -> str:
        name = self.names.get(function)
        if name is None:
            taken = set(self.names.values())
            wish = function.__name__ if function.__name__.isidentifier() else "helper"
            name = next(
                one for one in itertools.chain([wish], (f"{wish}_{k}" for k in itertools.count(2))) if one not in taken
            )
            self.names[function] = name
            self.texts.append(self._text(function, name))
        return name

    def _text(self, function: FunctionType, name: str) -> str:
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
        except (OSError, TypeError, SyntaxError):
            tree = None
        if not isinstance(tree, ast.FunctionDef):
            raise CaptureError(
                f"source: the code of {function.__qualname__} cannot be found; define it with def in a file"
            )
        tree.decorator_list = []
        tree.name = name
        return ast.unparse(ast.fix_missing_locations(_Printed(self, function).visit(tree)))


class _Printed(ast.NodeTransformer):
    """A function without its annotations, in which every name from outside stands for what it is."""

    def __init__(self, helpers: _Helpers, function: FunctionType) -> None:
        self.helpers = helpers
        outside = inspect.getclosurevars(function)
        self.outside: dict[str, Any] = {**function.__globals__, **outside.nonlocals}
        self.local = set(_locals(function.__code__)) - set(outside.nonlocals)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        self.generic_visit(node)
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        if node.value is None:
            return None
        return self.generic_visit(ast.Assign(targets=[node.target], value=node.value, lineno=node.lineno))

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        match node:
            case ast.Attribute(attr="forward", value=ast.Attribute(attr="op", value=ast.Name() as name)):
                return self.visit_Name(name)
        return self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if not isinstance(node.ctx, ast.Load) or node.id in self.local or node.id not in self.outside:
            return node
        text = self.helpers.expression(self.outside[node.id], node.id)
        return ast.parse(text, mode="eval").body


def _locals(code: Any) -> list[str]:
    found = [*code.co_varnames, *code.co_cellvars]
    for one in code.co_consts:
        if hasattr(one, "co_varnames"):
            found += _locals(one)
    return found
