"""What a captured program relies on, and whether it still holds, asked in few calls.

A step of a small network takes ten microseconds, in which Python makes some hundred calls. So a guard says what it can
as data: attributes that must be the same objects, options that must be equal, members that must stay. :class:`Guards`
asks such things of many objects in one call each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from operator import is_
from typing import Any

__all__ = ["Guard", "Guards"]

Read = Callable[[Any], Any]


class Guard:
    """Something that a captured program relies on.

    Args:
        what: what is the case where it does not hold.
        holds: asks if it does.
        same: ``(read, thing, expected)``: ``read(thing) is expected``; a KeyError says no.
        equal: the same with ``==``, for plain values.
        members: dictionaries whose values, by identity and in order, stay what they are now.
    """

    __slots__ = ("asks", "equal", "members", "same", "what")

    def __init__(
        self,
        what: str,
        holds: Callable[[], bool] | None = None,
        *,
        same: Sequence[tuple[Read, Any, Any]] = (),
        equal: Sequence[tuple[Read, Any, Any]] = (),
        members: Sequence[dict[str, Any]] = (),
    ) -> None:
        self.what = what
        self.asks = holds
        self.same = same
        self.equal = equal
        # The values stay alive with the guard, so that no other has their identity.
        self.members = [(one, list(one.values())) for one in members]

    def holds(self) -> bool:
        """Whether it is so now."""
        return Guards([self]).hold()


class Guards:
    """All guards of a program, asked together."""

    def __init__(self, guards: Sequence[Guard]) -> None:
        self._asks = [guard.asks for guard in guards if guard.asks is not None]
        self._same = _by_read([fact for guard in guards for fact in guard.same])
        self._equal = _by_read([fact for guard in guards for fact in guard.equal])
        members = [pair for guard in guards for pair in guard.members]
        self._empty = [holder for holder, values in members if not values]
        self._holders = [holder for holder, values in members if values]
        self._sizes = [len(values) for _, values in members if values]
        self._members = [one for _, values in members for one in values]

    def hold(self) -> bool:
        """Whether all of them do."""
        try:
            for read, things, expected in self._same:
                if not all(map(is_, map(read, things), expected)):
                    return False
            for read, things, expected in self._equal:
                if [*map(read, things)] != expected:
                    return False
        except KeyError:
            return False
        if any(self._empty) or [*map(len, self._holders)] != self._sizes:
            return False
        if not all(map(is_, chain.from_iterable(map(dict.values, self._holders)), self._members)):
            return False
        return all([ask() for ask in self._asks])  # noqa: C419 - a generator costs more than most of the questions


def _by_read(facts: Sequence[tuple[Read, Any, Any]]) -> list[tuple[Read, list[Any], list[Any]]]:
    found: dict[Read, tuple[list[Any], list[Any]]] = {}
    for read, thing, expected in facts:
        things, wanted = found.setdefault(read, ([], []))
        things.append(thing)
        wanted.append(expected)
    return [(read, things, wanted) for read, (things, wanted) in found.items()]
