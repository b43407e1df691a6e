from __future__ import annotations

import inspect
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

import tinygrad_mlp as tg
from tinygrad_mlp import Tensor
from tinygrad_mlp.nn import functional

OURS: dict[str, Any] = {"torch": tg, "Tensor": Tensor, "linalg": tg.linalg, "nn.functional": functional}
THEIRS: dict[str, Any] = {
    "torch": torch,
    "Tensor": torch.Tensor,
    "linalg": torch.linalg,
    "nn.functional": torch.nn.functional,
}
# Arguments of devices, memory layouts and names of axes, of which there are none here.
_NO_SUCH = {"layout", "device", "pin_memory", "memory_format", "names", "out"}


@dataclass(frozen=True)
class Argument:
    name: str
    default: Any
    keyword: bool
    sizes: bool = False


Overload = tuple[Argument, ...]
_EMPTY = inspect.Parameter.empty


def _of_signature(function: Callable[..., Any]) -> list[Overload]:
    found = []
    for one in inspect.signature(function).parameters.values():
        if one.kind is one.VAR_KEYWORD:
            return []
        if one.name in _NO_SUCH or one.name.startswith("_"):
            continue
        found.append(Argument(one.name, one.default, one.kind is one.KEYWORD_ONLY, one.kind is one.VAR_POSITIONAL))
    return [tuple(found)]


def _of_schema(schema: Any) -> Overload | None:
    found = []
    for one in schema.arguments:
        kind = str(one.type)
        if "Dimname" in kind or "str[]" in kind or "t" == kind or "complex" in kind:
            return None
        if one.alias_info is not None and one.alias_info.is_write:
            return None
        if one.name in _NO_SUCH:
            continue
        default = one.default_value if one.has_default_value() else _EMPTY
        found.append(Argument(one.name, default, one.kwarg_only, kind.startswith(("List[int]", "List[Sym"))))
    return tuple(found)


def overloads(room: str, name: str) -> list[Overload]:
    function = getattr(THEIRS[room], name)
    dispatched = getattr(torch.nn.functional, "_" + name, None) if room == "nn.functional" else None
    if isinstance(dispatched, types.FunctionType):
        return _of_signature(dispatched)
    if isinstance(function, types.FunctionType):
        inner = inspect.unwrap(function)
        found = _of_signature(inner)
        if found:
            return found
    found = []
    schemas = torch._C._jit_get_schemas_for_operator(f"aten::{'linalg_' if room == 'linalg' else ''}{name}")
    for schema in schemas:
        one = _of_schema(schema)
        first = str(schema.arguments[0].type) if schema.arguments else ""
        tensors = any("Tensor" in str(a.type) for a in schema.arguments)
        if one is not None and (tensors or "Tensor" in str(schema.returns[0].type)):
            if room == "Tensor" and (not one or one[0].name != "self"):
                continue
            if one not in found:
                found.append(one)
    return found


def _parameters(function: Callable[..., Any]) -> tuple[list[inspect.Parameter], dict[str, str]]:
    renames = getattr(function, "renames", None)
    if renames is not None:
        return list(inspect.signature(function).parameters.values()), renames
    return list(inspect.signature(function, follow_wrapped=False).parameters.values()), {}


_SAME = [{"dim", "axis", "dims", "axes"}, {"keepdim", "keepdims"}]


def differences(room: str, name: str) -> list[str]:
    """What a call that torch takes and ours does not, or takes to mean something else."""
    function = getattr(OURS[room], name)
    parameters, renames = _parameters(function)
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    rest = next((p for p in parameters if p.kind is p.VAR_POSITIONAL), None)
    anything = any(p.kind is p.VAR_KEYWORD for p in parameters)
    keywords = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)} | set(renames)
    found = []
    for overload in overloads(room, name):
        for place, one in enumerate(a for a in overload if not a.keyword):
            if place < len(positional):
                mine = positional[place].name
                names = {mine} | {k for k, v in renames.items() if v == mine}
                if place and one.name not in names and not any(one.name in s and mine in s for s in _SAME):
                    found.append(f"position {place + 1} is {one.name}, here {mine}")
            elif rest is None:
                found.append(f"position {place + 1} is {one.name}, here none")
        for place, one in enumerate(overload):
            wanted = "input" if one.name == "self" and room != "Tensor" else one.name
            if room == "Tensor" and place == 0 or one.sizes and False:
                continue
            if wanted not in keywords and not anything:
                found.append(f"no keyword {wanted}")
            mine = next((p for p in parameters if p.name == renames.get(wanted, wanted)), None)
            if mine is not None and one.default is not _EMPTY and mine.kind is not mine.VAR_POSITIONAL:
                if repr(mine.default) != repr(one.default) and mine.default != one.default:
                    found.append(f"{wanted}={one.default!r}, here {'' if mine.default is _EMPTY else repr(mine.default)}")
        first = sum(1 for a in overload if not a.keyword)
    return list(dict.fromkeys(found))


def shared(room: str) -> list[str]:
    theirs = THEIRS[room]
    return [
        name
        for name in sorted(dir(theirs))
        if not name.startswith("_")
        and callable(getattr(theirs, name))
        and not inspect.isclass(getattr(theirs, name))
        and not inspect.ismodule(getattr(theirs, name))
        and hasattr(OURS[room], name)
        and callable(getattr(OURS[room], name))
    ]


if __name__ == "__main__":
    for room in OURS:
        names = shared(room)
        bad = 0
        for name in names:
            if not overloads(room, name):
                print(room, name, "NO SIGNATURE")
            d = differences(room, name)
            bad += bool(d)
            if d:
                print(room, name, "|", "; ".join(d))
        print("==", room, len(names), bad)
