"""A reader of the one kind of pickle that torch writes for tensors, which makes nothing but data.

A pickle is a program for a small stack machine, and Python's own machine calls any function that the program names.
This one has no way to call or import anything. Names are looked up in the table that the caller gives; what the table
says is data, too: the mark of a form, such as "a tensor", which the caller turns into an array afterwards.

Source: Python's ``Lib/pickletools.py``, the description of the opcodes; torch's ``_weights_only_unpickler.py``, which
of them ``torch.save`` uses.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from reprlib import repr as brief
from typing import Any

from ..errors import FileFormatError, UnsafeFileError

__all__ = ["brief", "read_opcodes"]

Form = Callable[..., Any]
"""What stands for a function: gets the arguments, returns data."""

_MARK = object()
_DIGITS = 256  # bytes of an integer; none that a state dict holds has more than 8


class _Function:
    """A name from the table that may be applied to arguments; not a value of its own."""

    def __init__(self, name: str, form: Form) -> None:
        self.name = name
        self.form = form


def read_opcodes(
    data: bytes, source: str, forms: Mapping[str, Form], names: Mapping[str, Any], stored: Callable[[Any], Any]
) -> Any:
    """Run a pickle that consists of plain data and of the forms that are allowed.

    Args:
        data: the pickle. source: its name, for errors.
        forms: by ``"module.name"``, what applying this name to arguments gives. names: what else may be named.
        stored: gets a persistent id and returns what it stands for.

    Raises:
        UnsafeFileError: it names or applies anything else. FileFormatError: it is not a well-formed pickle.
    """
    try:
        return _Machine(data, source, forms, names, stored).run()
    except (UnsafeFileError, FileFormatError):
        raise
    except (IndexError, KeyError, TypeError, ValueError, struct.error, AttributeError, OverflowError) as error:
        raise FileFormatError(f"{source} is not a well-formed pickle: {type(error).__name__}: {error}") from None


class _Machine:
    def __init__(
        self,
        data: bytes,
        source: str,
        forms: Mapping[str, Form],
        names: Mapping[str, Any],
        stored: Callable[[Any], Any],
    ) -> None:
        self.data, self.source, self.at = data, source, 0
        self.forms, self.names, self.stored = forms, names, stored
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        steps = _STEPS
        while True:
            code = self.take(1)[0]
            if code == _STOP:
                result = self.pop()
                if isinstance(result, _Function):
                    raise UnsafeFileError(f"{self.source} holds the function {result.name}, not data")
                return result
            step = steps.get(code)
            if step is None:
                raise UnsafeFileError(
                    f"{self.source}: opcode 0x{code:02x} at byte {self.at - 1} has no place in a state dict"
                )
            step(self)

    def take(self, count: int) -> bytes:
        if count < 0 or self.at + count > len(self.data):
            raise FileFormatError(f"{self.source}: the pickle ends within byte {self.at}; the file is cut short")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, form: str) -> int:
        (found,) = struct.unpack(form, self.take(struct.calcsize(form)))
        return int(found)

    def line(self) -> str:
        end = self.data.find(b"\n", self.at, self.at + 1000)
        if end < 0:
            raise FileFormatError(f"{self.source}: a name at byte {self.at} has no end")
        text = self.data[self.at : end].decode()
        self.at = end + 1
        return text

    def pop(self) -> Any:
        value = self.stack.pop()
        if value is _MARK:
            raise FileFormatError(f"{self.source}: a mark where a value belongs, before byte {self.at}")
        return value

    def since_mark(self) -> list[Any]:
        place = len(self.stack) - 1
        while self.stack[place] is not _MARK:
            place -= 1
            if place < 0:
                raise FileFormatError(f"{self.source}: no mark before byte {self.at}")
        found = self.stack[place + 1 :]
        del self.stack[place:]
        return found

    def push(self, value: Any) -> None:
        self.stack.append(value)

    # --- opcodes ---

    def keep(self, place: int) -> None:
        value = self.stack[-1]
        if value is _MARK:
            raise FileFormatError(f"{self.source}: a mark is to be remembered, before byte {self.at}")
        self.memo[place] = value

    def text(self, form: str) -> None:
        self.push(self.take(self.number(form)).decode("utf-8", "surrogatepass"))

    def integer(self, count: int) -> None:
        if count > _DIGITS:
            raise UnsafeFileError(f"{self.source}: an integer of {count} bytes")
        self.push(int.from_bytes(self.take(count), "little", signed=True))

    def named(self, name: str) -> None:
        if name in self.forms:
            self.push(_Function(name, self.forms[name]))
        elif name in self.names:
            self.push(self.names[name])
        else:
            raise UnsafeFileError(
                f"{self.source} asks for {name!r:.80}, which has no place in a state dict; it was not looked up. Save "
                "plain tensors: torch.save(model.state_dict(), path)"
            )

    def stack_named(self) -> None:
        name, module = self.pop(), self.pop()
        if not (isinstance(name, str) and isinstance(module, str)):
            raise FileFormatError(f"{self.source}: a name that is not text, before byte {self.at}")
        self.named(f"{module}.{name}")

    def apply(self) -> None:
        arguments, function = self.pop(), self.pop()
        if not isinstance(function, _Function) or type(arguments) is not tuple:
            raise UnsafeFileError(f"{self.source} applies {brief(function)} to arguments, before byte {self.at}")
        if any(isinstance(one, _Function) for one in arguments):
            raise UnsafeFileError(f"{self.source} gives a function to {function.name}, before byte {self.at}")
        self.push(function.form(*arguments))

    def build(self) -> None:
        # A state dict carries the attribute _metadata, the versions of the layers. It does not change the weights.
        state, target = self.pop(), self.stack[-1]
        if type(target) is not dict or type(state) is not dict or set(state) - {"_metadata"}:
            raise UnsafeFileError(f"{self.source} sets attributes of {type(target).__name__}, before byte {self.at}")

    def persistent(self) -> None:
        self.push(self.stored(self.pop()))

    def append(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not list:
            raise FileFormatError(f"{self.source}: values are appended to {type(target).__name__}")
        target += [self.plain(one) for one in values]

    def set_items(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not dict or len(values) % 2:
            raise FileFormatError(f"{self.source}: items are set in {type(target).__name__}")
        for key, value in zip(values[::2], values[1::2], strict=True):
            if not isinstance(key, (str, int, float, bool, type(None))):
                raise FileFormatError(f"{self.source}: a key of type {type(key).__name__}")
            target[key] = self.plain(value)

    def plain(self, value: Any) -> Any:
        if isinstance(value, _Function):
            raise UnsafeFileError(f"{self.source} holds the function {value.name} among its data")
        return value


_STOP = ord(".")

_STEPS: dict[int, Callable[[_Machine], None]] = {
    0x80: lambda m: _protocol(m, m.take(1)[0]),  # PROTO
    0x95: lambda m: _ignore(m.take(8)),  # FRAME
    ord("("): lambda m: m.push(_MARK),  # MARK
    ord("}"): lambda m: m.push({}),  # EMPTY_DICT
    ord("]"): lambda m: m.push([]),  # EMPTY_LIST
    ord(")"): lambda m: m.push(()),  # EMPTY_TUPLE
    ord("N"): lambda m: m.push(None),  # NONE
    0x88: lambda m: m.push(True),  # NEWTRUE
    0x89: lambda m: m.push(False),  # NEWFALSE
    ord("K"): lambda m: m.push(m.number("<B")),  # BININT1
    ord("M"): lambda m: m.push(m.number("<H")),  # BININT2
    ord("J"): lambda m: m.push(m.number("<i")),  # BININT
    0x8A: lambda m: m.integer(m.number("<B")),  # LONG1
    ord("G"): lambda m: m.push(struct.unpack(">d", m.take(8))[0]),  # BINFLOAT
    ord("X"): lambda m: m.text("<I"),  # BINUNICODE
    0x8C: lambda m: m.text("<B"),  # SHORT_BINUNICODE
    ord("t"): lambda m: m.push(tuple(map(m.plain, m.since_mark()))),  # TUPLE
    0x85: lambda m: m.push((m.plain(m.pop()),)),  # TUPLE1
    0x86: lambda m: _tuple(m, 2),  # TUPLE2
    0x87: lambda m: _tuple(m, 3),  # TUPLE3
    ord("a"): lambda m: m.append([m.pop()]),  # APPEND
    ord("e"): lambda m: m.append(m.since_mark()),  # APPENDS
    ord("s"): lambda m: m.set_items([m.pop(), m.pop()][::-1]),  # SETITEM
    ord("u"): lambda m: m.set_items(m.since_mark()),  # SETITEMS
    ord("q"): lambda m: m.keep(m.number("<B")),  # BINPUT
    ord("r"): lambda m: m.keep(m.number("<I")),  # LONG_BINPUT
    0x94: lambda m: m.keep(len(m.memo)),  # MEMOIZE
    ord("h"): lambda m: m.push(m.memo[m.number("<B")]),  # BINGET
    ord("j"): lambda m: m.push(m.memo[m.number("<I")]),  # LONG_BINGET
    ord("c"): lambda m: m.named(f"{m.line()}.{m.line()}"),  # GLOBAL
    0x93: lambda m: m.stack_named(),  # STACK_GLOBAL
    ord("R"): lambda m: m.apply(),  # REDUCE
    ord("b"): lambda m: m.build(),  # BUILD
    ord("Q"): lambda m: m.persistent(),  # BINPERSID
}


def _ignore(_: bytes) -> None:
    return


def _protocol(machine: _Machine, version: int) -> None:
    if version not in {2, 3, 4, 5}:
        raise FileFormatError(f"{machine.source}: a pickle of protocol {version}")


def _tuple(machine: _Machine, count: int) -> None:
    machine.push(tuple([machine.plain(machine.pop()) for _ in range(count)][::-1]))
