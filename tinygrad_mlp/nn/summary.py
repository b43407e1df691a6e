"""The table that ``Module.summary()`` gives: one line per layer, then the totals."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Row", "Summary"]

Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class Row:
    """One layer: its path, its class, the shape of its output (None: not known) and its own number of parameters."""

    name: str
    kind: str
    output_shape: Shape | None
    parameters: int


@dataclass(frozen=True)
class Summary:
    """What a model is made of; ``str()`` is the table, in the layout of Keras' ``model.summary()``.

    Attributes:
        model: the class of the model.
        rows: its layers in definition order; a layer used twice stands once.
        trainable: the number of parameter elements that are trained; ``frozen``: that are not. Tied parameters count
            once.
    """

    model: str
    rows: tuple[Row, ...]
    trainable: int
    frozen: int

    @property
    def total(self) -> int:
        """The number of parameter elements."""
        return self.trainable + self.frozen

    def __str__(self) -> str:
        cells = [("Layer (type)", "Output Shape", "Param #")]
        cells += [(f"{row.name} ({row.kind})", _shown(row.output_shape), f"{row.parameters:,}") for row in self.rows]
        widths = [max(len(line[column]) for line in cells) + 3 for column in range(3)]
        lines = [
            "".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells
        ]
        thick, thin = "=" * sum(widths), "_" * sum(widths)
        return "\n".join(
            [
                f"Model: {self.model}",
                thin,
                lines[0],
                thick,
                *lines[1:],
                thick,
                f"Total params: {self.total:,}",
                f"Trainable params: {self.trainable:,}",
                f"Non-trainable params: {self.frozen:,}",
            ]
        )

    __repr__ = __str__


def _shown(shape: Shape | None) -> str:
    return "?" if shape is None else str(shape)
