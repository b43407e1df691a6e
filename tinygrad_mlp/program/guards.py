"""What a captured program relies on, and whether it still holds, asked in one expression.

A step of a small network takes ten microseconds, in which Python makes some hundred calls. So a guard says what it can
as data: attributes that must be the same objects, entries that must be equal, members that must stay. All of it becomes
one Python expression, which asks a hundred such things in three microseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

__all__ = ["Guard", "Guards"]


class Guard:
    """Something that a captured program relies on.

    Args:
        what: what is the case where it does not hold.
        holds: asks if it does.
        attributes: ``(thing, name, expected)``: ``thing.name is expected``.
        entries: ``(mapping, key, expected)``: ``mapping[key] is expected``, or for plain values ``==``.
        members: dictionaries whose keys, values and order stay what they are now; the values by identity.
    """

    __slots__ = ("attributes", "entries", "holds", "members", "what")

    def __init__(
        self,
        what: str,
        holds: Callable[[], bool] | None = None,
        *,
        attributes: Sequence[tuple[Any, str, Any]] = (),
        entries: Sequence[tuple[Mapping[str, Any], str, Any]] = (),
        members: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self.what = what
        self.attributes = attributes
        self.entries = entries
        # The values stay alive with the guard, so that no other has their identity.
        self.members = [(one, dict(one)) for one in members]
        self.holds = holds


_PLAIN = (bool, int, float, str, tuple)


class Guards:
    """All guards of a program, asked together."""

    def __init__(self, guards: Sequence[Guard]) -> None:
        self._guards = guards
        self._space: dict[str, Any] = {}
        self._names: dict[int, str] = {}
        terms = [term for guard in guards for term in self._terms(guard)]
        code = f"def hold():\n    try:\n        return {' and '.join(terms) or True}\n"
        code += "    except KeyError:\n        return False\n"
        exec(compile(code, "<guards>", "exec"), self._space)  # noqa: S102 - written just above
        self.hold: Callable[[], bool] = self._space["hold"]
        """Whether all of them hold."""

    def broken(self) -> list[str]:
        """What is the case now, where they do not."""
        return [guard.what for guard in self._guards if not Guards([guard]).hold()]

    def _terms(self, guard: Guard) -> list[str]:
        name = self._name
        terms = [f"{name(thing)}.{key} is {name(wanted)}" for thing, key, wanted in guard.attributes]
        for thing, key, wanted in guard.entries:
            # NaN is equal to nothing, but the same as before.
            compared = "==" if isinstance(wanted, _PLAIN) and wanted == wanted else "is"  # noqa: PLR0124
            terms.append(f"{name(thing)}[{key!r}] {compared} {name(wanted)}")
        for thing, wanted in guard.members:
            if not wanted:
                terms.append(f"not {name(thing)}")
                continue
            terms.append(f"(*{name(thing)},) == {name(tuple(wanted))}")
            terms += [f"{name(thing)}[{key!r}] is {name(one)}" for key, one in wanted.items()]
        if guard.holds is not None:
            terms.append(f"{name(guard.holds)}()")
        return terms

    def _name(self, thing: Any) -> str:
        if thing is None or thing is True or thing is False:
            return repr(thing)
        found = self._names.setdefault(id(thing), f"t{len(self._names)}")
        self._space[found] = thing
        return found
