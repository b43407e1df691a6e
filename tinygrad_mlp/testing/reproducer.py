"""A failing gradient check as a script: the function's own source, the literal arrays, and the call that fails."""

from __future__ import annotations

import ast
import builtins
import inspect
import sys
import textwrap
import types
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

__all__ = ["is_input", "reproducer"]


class _NotExpressibleError(Exception):
    """Something the function needs has neither a source nor a literal nor a place to import it from."""


def is_input(value: Any) -> bool:
    """Whether a drawn value is differentiated by, and not handed through."""
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def reproducer(function: Callable[..., Any], values: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    """A script that makes the call ``gradcheck(function, values, **options)`` and raises what it raises.

    What the function uses comes along: modules and importable names as imports, helpers of the same file as source,
    plain data and arrays as literals. Where something has none of these forms, the script loads the file instead.
    """
    parts = _Parts()
    arguments = {name: value for name, value in options.items() if not callable(value)}
    calls = {name: value for name, value in options.items() if callable(value)}
    try:
        name = parts.add_callable(function)
        arguments_text = [f"{key}={parts.add_callable(value)}" for key, value in calls.items()]
    except _NotExpressibleError as reason:
        parts = _Parts()
        name = parts.add_file(function, str(reason))
        arguments_text = []
    arguments_text += [f"{key}={value!r}" for key, value in arguments.items()]
    try:
        literals = [f"{key} = {_literal(value)}" for key, value in values.items()]
    except _NotExpressibleError as reason:
        literals = [f"# {reason}"]
    inputs = [key for key, value in values.items() if is_input(value)]
    called = name if len(inputs) == len(values) else f"lambda {', '.join(inputs)}: {name}({', '.join(values)})"
    call = f"gradcheck({', '.join([called, '[' + ', '.join(inputs) + ']', *arguments_text])}).raise_if_wrong()"
    head = ["from __future__ import annotations", "", "import numpy as np", *sorted(parts.imports)]
    head.append("from tinygrad_mlp.testing import gradcheck")
    body = ["", *parts.definitions, *literals, call]
    return "\n".join([*head, *body]) + "\n"


def _literal(value: Any) -> str:
    if isinstance(value, np.ndarray):
        if not value.size:
            return f"np.zeros({value.shape}, dtype={value.dtype.name!r})"
        if value.dtype.kind in "biuf" and np.all(np.isfinite(value)):
            dtype = "" if value.dtype in (np.float64, np.int64, np.bool_) else f", dtype={value.dtype.name!r}"
            return f"np.array({value.tolist()!r}{dtype})"
    if isinstance(value, np.generic):
        return _literal(value.item())
    if isinstance(value, (tuple, list)):
        inside = ", ".join(map(_literal, value))
        return f"[{inside}]" if isinstance(value, list) else f"({inside}{',' * (len(value) == 1)})"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_literal(key)}: {_literal(one)}" for key, one in value.items()) + "}"
    if value is None or isinstance(value, (bool, int, str, bytes)) or (isinstance(value, float) and np.isfinite(value)):
        return repr(value)
    raise _NotExpressibleError(f"no literal for {type(value).__name__}")


class _Parts:
    """The imports and definitions that a script needs, each once, in the order of need."""

    def __init__(self) -> None:
        self.imports: set[str] = set()
        self.definitions: list[str] = []
        self.seen: dict[int, str] = {}

    def add_callable(self, thing: Any) -> str:
        """The name under which the script has a function or class, which is added if need be."""
        name = getattr(thing, "__name__", "")
        if not name.isidentifier():
            raise _NotExpressibleError(f"{thing!r} has no name")
        self.add(name, thing, here="")
        return name

    def add(self, name: str, thing: Any, here: str) -> None:
        """Let ``name`` mean ``thing``; ``here`` is the module whose own names are copied and not imported."""
        thing = getattr(thing, "function", thing) if isinstance(thing, types.FunctionType) else thing
        if id(thing) in self.seen:
            if self.seen[id(thing)] != name:
                self.definitions.append(f"{name} = {self.seen[id(thing)]}\n")
            return
        self.seen[id(thing)] = name
        if isinstance(thing, types.ModuleType):
            self.imports.add(f"import {thing.__name__}" + ("" if thing.__name__ == name else f" as {name}"))
            return
        module, place = getattr(thing, "__module__", None), getattr(thing, "__qualname__", name)
        own = isinstance(thing, (types.FunctionType, type)) and (module == here or not here or "<locals>" in place)
        if own:
            self.add_source(thing)
        elif isinstance(module, str) and getattr(sys.modules.get(module), place, None) is thing and module != here:
            self.imports.add(f"from {module} import {place}" + ("" if place == name else f" as {name}"))
        else:
            self.definitions.append(f"{name} = {_literal(thing)}\n")

    def add_source(self, thing: Any) -> None:
        """The source of a function or class, after what it uses."""
        try:
            lines = textwrap.dedent(inspect.getsource(thing))
            (definition,) = ast.parse(lines).body
        except (OSError, SyntaxError, TypeError, ValueError) as error:
            raise _NotExpressibleError(f"no source of {thing.__qualname__}") from error
        if not isinstance(definition, (ast.FunctionDef, ast.ClassDef)):
            raise _NotExpressibleError(f"{thing.__qualname__} is not a definition of its own")
        is_function = isinstance(thing, types.FunctionType)
        if is_function:
            # The decorator that makes a test of it, and what annotations name, are not needed.
            definition.decorator_list = []
            for node in ast.walk(definition):
                if isinstance(node, ast.arg):
                    node.annotation = None
                if isinstance(node, ast.FunctionDef):
                    node.returns = None
        used = {node.id for node in ast.walk(definition) if isinstance(node, ast.Name)}
        known = dict(vars(sys.modules.get(thing.__module__, builtins)))
        if is_function:
            known = {**thing.__globals__, **inspect.getclosurevars(thing).nonlocals}
        for name in sorted(used - {definition.name}):
            if name in known and not hasattr(builtins, name):
                self.add(name, known[name], here=thing.__module__)
        self.definitions.append(f"\n{ast.unparse(definition)}\n\n")

    def add_file(self, function: Callable[..., Any], reason: str) -> str:
        """Load the file that the function is in; the last resort."""
        try:
            path = inspect.getfile(function)
        except TypeError:
            path = "?"
        place = getattr(function, "__qualname__", "?")
        self.imports.add("import importlib.util")
        self.definitions += [
            f"# The whole file is loaded: {reason}.",
            f'spec = importlib.util.spec_from_file_location("failing", {path!r})',
            "failing = importlib.util.module_from_spec(spec)",
            "spec.loader.exec_module(failing)",
            f'tested = getattr(failing.{place}, "function", failing.{place})\n',
        ]
        return "tested"
