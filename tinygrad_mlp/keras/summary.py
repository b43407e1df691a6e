"""The table of ``model.summary()``: Keras' columns, words and totals, without rich."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..tables import boxed

if TYPE_CHECKING:
    from .models import Sequential

__all__ = ["summary_text"]

_WIDTHS = (34, 26, 15)


def summary_text(model: Sequential, line_length: int | None = None) -> str:
    """The lines of the table, as Keras prints them to a pipe."""
    widths = _WIDTHS if line_length is None else _scaled(line_length)
    rows = []
    for layer in model.layers:
        shape = "?" if layer.output_shape is None else f"({', '.join(map(str, layer.output_shape))})"
        count = f"{layer.count_params():,}" if layer.built else "0 (unbuilt)"
        rows.append((f"{layer.name} ({type(layer).__name__})", shape, count))
    table = boxed(("Layer (type)", "Output Shape", "Param #"), rows, widths, 2)
    return "\n".join([f'Model: "{model.name}"', *table, *_totals(model)]) + "\n"


def _scaled(length: int) -> tuple[int, int, int]:
    first, second = int(0.45 * length) - 2, int(0.35 * length) - 2
    return first, second, max(length - first - second - 4, 9)


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
