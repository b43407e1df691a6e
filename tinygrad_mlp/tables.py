"""A table for people: plain text for pipes and logs, a rich table for terminals, HTML for notebooks."""

from __future__ import annotations

import html
import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .extras import need

__all__ = ["Table", "as_called", "boxed", "size_text"]


def as_called(thing: Any) -> str:
    """An object as the call that makes one like it: the arguments that it keeps under their names.

    >>> class Wait:
    ...     def __init__(self, steps, patience=3):
    ...         self.steps, self.patience = steps, patience
    >>> as_called(Wait(5))
    'Wait(steps=5, patience=3)'
    """
    parts = []
    for name in inspect.signature(type(thing).__init__).parameters:
        value = vars(thing).get(name, _MISSING)
        if isinstance(value, (bool, int, float, str, tuple, list, type(None))):
            text = repr(value)
            parts.append(f"{name}={text if len(text) <= _LONGEST else text[: _LONGEST - 1] + '…'}")
    return f"{type(thing).__name__}({', '.join(parts)})"


_MISSING = object()
_LONGEST = 60


@dataclass(frozen=True)
class Table:
    """Rows of text under a head; ``str()`` is the plain table.

    Attributes:
        title: what the table shows; "" for none.
        head: the names of the columns.
        rows: one cell of text per column.
        texts: how many columns from the left hold words; the others hold numbers, which stand at the right.
        foot: lines below.
    """

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    texts: int = 1
    foot: tuple[str, ...] = ()

    def __str__(self) -> str:
        widths = [max(map(len, column)) for column in zip(self.head, *self.rows, strict=True)]
        lines = [self._line(cells, widths) for cells in (self.head, *self.rows)]
        rule = "-" * max(map(len, lines))
        body = [lines[0], rule, *lines[1:]]
        return "\n".join([*([self.title] if self.title else []), *body, *([rule, *self.foot] if self.foot else [])])

    __repr__ = __str__

    def _line(self, cells: Sequence[str], widths: Sequence[int]) -> str:
        placed = [
            cell.ljust(width) if place < self.texts else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return "  ".join(placed).rstrip()

    def __rich__(self) -> Any:
        rich = need("rich.table", extra="cli", purpose="draw tables")
        text = need("rich.text", extra="cli", purpose="draw tables").Text
        box = need("rich.box", extra="cli", purpose="draw tables").SIMPLE_HEAD
        caption = "\n".join(self.foot) or None
        table = rich.Table(
            title=self.title or None,
            caption=caption,
            title_justify="left",
            caption_justify="left",
            box=box,
            pad_edge=False,
        )
        for place, name in enumerate(self.head):
            table.add_column(name, justify="left" if place < self.texts else "right", overflow="fold")
        for cells in self.rows:
            # As text: "[0]" in a name is no markup.
            table.add_row(*map(text, cells))
        return table

    def _repr_html_(self) -> str:
        def cells(kind: str, row: Sequence[str]) -> str:
            sides = ["left" if place < self.texts else "right" for place in range(len(row))]
            pairs = zip(row, sides, strict=True)
            return "".join(f'<{kind} style="text-align:{side}">{html.escape(one)}</{kind}>' for one, side in pairs)

        body = "".join(f"<tr>{cells('td', row)}</tr>" for row in self.rows)
        foot = "<br>".join(map(html.escape, self.foot))
        title = f"<caption>{html.escape(self.title)}</caption>" if self.title else ""
        return (
            f"<table>{title}<thead><tr>{cells('th', self.head)}</tr></thead><tbody>{body}</tbody></table><p>{foot}</p>"
        )


def boxed(head: Sequence[str], rows: Sequence[Sequence[str]], widths: Sequence[int], texts: int) -> list[str]:
    r"""The lines of a table in a box, as Keras draws it to a pipe: a thick head, a rule below each row.

    Args:
        widths: of the columns, with a blank on both sides; longer text is cut.
        texts: how many columns from the left hold words; the others hold numbers, which stand at the right.

    >>> print(*boxed(["layer", "size"], [["first", "300"], ["second", "10"]], [8, 6], 1), sep="\n")
    ┏━━━━━━━━┳━━━━━━┓
    ┃ layer  ┃ size ┃
    ┡━━━━━━━━╇━━━━━━┩
    │ first  │  300 │
    ├────────┼──────┤
    │ second │   10 │
    └────────┴──────┘
    """

    def rule(corners: str, dash: str) -> str:
        left, middle, right = list(corners)
        return left + middle.join(dash * width for width in widths) + right

    def line(cells: Sequence[str], bar: str) -> str:
        shown = []
        for place, (cell, width) in enumerate(zip(cells, widths, strict=True)):
            room = width - 2
            text = cell if len(cell) <= room else cell[: room - 1] + "…"
            shown.append(f" {text:<{room}} " if place < texts else f" {text:>{room}} ")
        return bar + bar.join(shown) + bar

    lines = [rule("┏┳┓", "━"), line(head, "┃"), rule("┡╇┩", "━")]
    for cells in rows:
        lines += [line(cells, "│"), rule("├┼┤", "─")]
    return [*(lines[:-1] if rows else lines), rule("└┴┘", "─")]


def size_text(count: int) -> str:
    """A number of bytes as people read it.

    >>> size_text(512), size_text(200_704), size_text(3 << 20)
    ('512 B', '196.0 KiB', '3.0 MiB')
    """
    size = float(count)
    units = ["B", "KiB", "MiB", "GiB", "TiB"]
    while size >= 1024 and len(units) > 1:
        size /= 1024
        del units[0]
    return f"{count} B" if units[0] == "B" else f"{size:.1f} {units[0]}"
