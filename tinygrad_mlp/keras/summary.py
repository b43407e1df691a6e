"""The table of ``model.summary()``: Keras' columns, words and totals, without rich."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .models import Sequential

__all__ = ["summary_text"]

_WIDTHS = (34, 26, 15)


def summary_text(model: Sequential, line_length: int | None = None) -> str:
    """The lines of the table, as Keras prints them to a pipe."""
    widths = _WIDTHS if line_length is None else _scaled(line_length)
    rows = [("Layer (type)", "Output Shape", "Param #")]
    for layer in model.layers:
        shape = "?" if layer.output_shape is None else f"({', '.join(map(str, layer.output_shape))})"
        count = f"{layer.count_params():,}" if layer.built else "0 (unbuilt)"
        rows.append((f"{layer.name} ({type(layer).__name__})", shape, count))
    lines = [
        f'Model: "{model.name}"',
        _rule("┏┳┓", "━", widths),
        _line(rows[0], widths, "┃"),
        _rule("┡╇┩", "━", widths),
    ]
    for place, row in enumerate(rows[1:]):
        lines += [_line(row, widths, "│"), _rule("├┼┤" if place < len(rows) - 2 else "└┴┘", "─", widths)]
    return "\n".join([*lines, *_totals(model)]) + "\n"


def _scaled(length: int) -> tuple[int, int, int]:
    first, second = int(0.45 * length) - 2, int(0.35 * length) - 2
    return first, second, max(length - first - second - 4, 9)


def _rule(corners: str, dash: str, widths: tuple[int, ...]) -> str:
    left, middle, right = list(corners)
    return left + middle.join(dash * width for width in widths) + right


def _line(cells: tuple[str, str, str], widths: tuple[int, ...], bar: str) -> str:
    shown = []
    for place, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        room = width - 2
        text = cell if len(cell) <= room else cell[: room - 1] + "…"
        shown.append(f" {text:>{room}} " if place == 2 else f" {text:<{room}} ")
    return bar + bar.join(shown) + bar


def _totals(model: Sequential) -> list[str]:
    trained = {id(one.tensor): one.tensor for one in model.trainable_weights}
    kept = {id(one.tensor): one.tensor for one in model.non_trainable_weights}
    optimizer = model.optimizer.variables if model.optimizer is not None and model.optimizer.built else []
    groups = {
        "Trainable": ([one.size for one in trained.values()], [one.data.nbytes for one in trained.values()]),
        "Non-trainable": ([one.size for one in kept.values()], [one.data.nbytes for one in kept.values()]),
        "Optimizer": ([one.size for one in optimizer], [one.nbytes for one in optimizer]),
    }
    total = tuple(sum(sum(group[part]) for group in groups.values()) for part in range(2))
    lines = [f" Total params: {total[0]:,} ({_bytes(total[1])})"]
    for name, (sizes, sums) in groups.items():
        if name != "Optimizer" or sizes:
            lines.append(f" {name} params: {sum(sizes):,} ({_bytes(sum(sums))})")
    return lines


def _bytes(count: float) -> str:
    for unit in ("B", "KB", "MB", "GB"):
        if count < 1024 or unit == "GB":
            return f"{count:.2f} {unit}"
        count /= 1024
    raise AssertionError
