"""The table that ``Module.summary()`` gives: one line per layer, then the totals.

Output shapes and multiply-adds come from running the model on zeros, with nodes that count and keep nothing: whatever
its ``forward`` does is counted where it happens, in the module that is running.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..tables import boxed, size_text
from ..tape import Array, Leaf, Node, recording_with, wrap
from ..tensor import Tensor

if TYPE_CHECKING:
    from .module import Module

__all__ = ["Row", "Summary", "summary_of"]

Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class Row:
    """One layer of the table.

    Attributes:
        name: its path. kind: its class.
        output_shape: the batch is None in it; None: not known.
        parameters: how many numbers it has that stand in no row above.
        multiply_adds: of one sample, in all its runs; None: it was not seen to run.
        runs: how often one forward pass calls it; 0: not seen.
        shared: (its parameter, the name by which the same parameter was counted above).
    """

    name: str
    kind: str
    output_shape: Shape | None
    parameters: int
    multiply_adds: int | None = None
    runs: int = 0
    shared: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Summary:
    """What a model is made of; ``str()`` is the table, with the columns and totals of Keras' ``model.summary()``.

    Attributes:
        model: the class of the model.
        rows: its layers in definition order; a layer used twice stands once.
        trainable: the number of parameter elements that are trained; ``frozen``: that are not. Tied parameters count
            once.
        bytes: the memory of the parameters.
    """

    model: str
    rows: tuple[Row, ...]
    trainable: int
    frozen: int
    bytes: int = 0

    @property
    def total(self) -> int:
        """The number of parameter elements."""
        return self.trainable + self.frozen

    @property
    def multiply_adds(self) -> int | None:
        """Products that are added up in one forward pass of one sample; None where the model could not be run."""
        found = [row.multiply_adds for row in self.rows if row.multiply_adds is not None]
        return sum(found) if found else None

    def __str__(self) -> str:
        head = ("Layer (type)", "Output Shape", "Param #", "Multiply-adds")
        rows = [
            (
                f"{row.name} ({row.kind})",
                "?" if row.output_shape is None else str(row.output_shape),
                f"{row.parameters:,}",
                "?" if row.multiply_adds is None else f"{row.multiply_adds:,}",
            )
            for row in self.rows
        ]
        widths = [max(map(len, column)) + 2 for column in zip(head, *rows, strict=True)]
        totals = [
            f"Total params: {self.total:,} ({size_text(self.bytes)})",
            f"Trainable params: {self.trainable:,}",
            f"Non-trainable params: {self.frozen:,}",
        ]
        if self.multiply_adds is not None:
            least = "at least " if any(row.multiply_adds is None for row in self.rows) else ""
            totals.append(f"Multiply-adds of one sample: {least}{self.multiply_adds:,}")
        return "\n".join([f"Model: {self.model}", *boxed(head, rows, widths, 2), *totals, *self._remarks()])

    __repr__ = __str__

    def _remarks(self) -> Iterator[str]:
        for row in self.rows:
            for own, first in row.shared:
                yield f"{row.name}.{own} is {first}, and counts there"
            if row.runs > 1:
                yield f"{row.name} runs {row.runs} times: its parameters count once, its multiply-adds each time"


def summary_of(model: Module, input_shapes: Sequence[Shape] | None, dtype: np.dtype[Any] | None) -> Summary:
    """The table of ``model``; see :meth:`Module.summary`."""
    tally = None
    if input_shapes is not None:
        tally = _counted(model, input_shapes, dtype)
    else:
        features = next((one.in_features for one in model.modules() if hasattr(one, "in_features")), None)
        if features is not None:
            # A guess, which the user's forward may answer with any error; then the shapes are unknown.
            with suppress(Exception):
                tally = _counted(model, [(features,)], dtype)
    sizes = [(one.size, one.requires_grad, one.data.nbytes) for one in model.parameters()]
    return Summary(
        type(model).__name__,
        tuple(_rows(model, tally)),
        sum(size for size, trained, _ in sizes if trained),
        sum(size for size, trained, _ in sizes if not trained),
        sum(memory for *_, memory in sizes),
    )


def _rows(model: Module, tally: _Tally | None) -> Iterator[Row]:
    counted: dict[int, str] = {}
    within: set[Module] = set()
    for path, module in model.named_modules():
        if module in within:
            continue
        # What a weight is computed from counts with the layer that has the weight.
        computed = module._modules.get("parametrizations")
        inner = [] if computed is None else list(computed.modules())
        within.update(inner)
        given = [(name, one) for some in (module, *inner) for name, one in some._parameters.items() if one is not None]
        shared = tuple((name, counted[id(one)]) for name, one in given if id(one) in counted)
        own = {id(one): one for _, one in given if id(one) not in counted}
        for name, one in given:
            counted.setdefault(id(one), f"{path}.{name}" if path else name)
        ran = tally is not None and tally.runs[module] > 0
        work = sum(tally.multiply_adds[one] for one in (module, *inner)) if tally is not None and ran else None
        if given or work or all(one in within for one in module.children()):
            yield Row(
                path or "(self)",
                type(module).__name__,
                None if tally is None else tally.shapes.get(module),
                sum(one.size for one in own.values()),
                work,
                0 if tally is None else tally.runs[module],
                shared,
            )


# --- running it -----------------------------------------------------------------------------------


class _Tally:
    """What a run has counted, by module; ``running`` are the modules inside of which it is, outermost first."""

    def __init__(self) -> None:
        self.shapes: dict[Module, Shape] = {}
        self.runs: Counter[Module] = Counter()
        self.multiply_adds: Counter[Module] = Counter()
        self.running: list[Module] = []


_TALLY: ContextVar[_Tally] = ContextVar("tally")


class _Counting(Node):
    """A node that counts what its op multiplies and adds, in the module that is running, and notes nothing else."""

    __slots__ = ()

    notes_modules = True

    @classmethod
    def enters(cls, module: Any) -> None:
        """Note that it runs."""
        tally = _TALLY.get()
        tally.runs[module] += 1
        tally.running.append(module)

    @classmethod
    def leaves(cls, module: Any, output: Any) -> None:
        """Note the shape of what it gave."""
        tally = _TALLY.get()
        tally.running.pop()
        # Recurrent layers give their output and, beside it, a state.
        first = output[0] if isinstance(output, tuple) and output else output
        if isinstance(first, Tensor):
            tally.shapes[module] = first.shape

    def observe(self, _y: Array, operands: Sequence[Any], params: dict[str, Any]) -> None:
        """Count."""
        assert self.plan is not None
        count = self.plan.op.multiply_adds
        tally = _TALLY.get()
        if count is not None and tally.running:
            tally.multiply_adds[tally.running[-1]] += count(*[one.shape for one in operands], **params)


def _counted(model: Module, input_shapes: Sequence[Shape], dtype: np.dtype[Any] | None) -> _Tally:
    """Output shapes, with None for the batch, and the counts for one sample."""
    if dtype is None:
        dtype = next((one.dtype for one in model.parameters()), np.dtype(np.float32))
    one, several = (_run(model, input_shapes, dtype, batch) for batch in (1, 3))
    # An axis that follows the batch is the batch, wherever it stands.
    for module, shape in several.shapes.items():
        single = one.shapes.get(module, shape)
        if len(single) == len(shape):
            one.shapes[module] = tuple(a if a == b else None for a, b in zip(single, shape, strict=True))
    return one


def _run(model: Module, input_shapes: Sequence[Shape], dtype: np.dtype[Any], batch: int) -> _Tally:
    tally = _Tally()
    inputs = []
    for shape in input_shapes:
        zeros = np.zeros((batch, *[size for size in shape if size is not None]), dtype)
        inputs.append(wrap(Tensor, zeros, Leaf(zeros) if dtype.kind == "f" else None))
    token = _TALLY.set(tally)
    try:
        with _set_for_counting(model), recording_with(_Counting):
            model(*inputs)
    finally:
        _TALLY.reset(token)
    return tally


@contextmanager
def _set_for_counting(model: Module) -> Iterator[None]:
    """Evaluation mode, and no parameter frozen: an op is seen where a gradient would pass. Then all as it was."""
    modes = [(module, module.training) for module in model.modules()]
    frozen = [one for one in model.parameters() if not one.requires_grad]
    model.eval()
    for one in frozen:
        one.requires_grad = True
    try:
        yield
    finally:
        for one in frozen:
            one.requires_grad = False
        for module, mode in modes:
            module.__dict__["training"] = mode
