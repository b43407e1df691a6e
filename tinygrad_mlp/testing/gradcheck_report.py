"""What a gradient check found, as data and as text."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..errors import GradientError
from ..tape import Array

__all__ = ["GradcheckReport", "InputDetail", "Kink"]

_HOW = {"complex": "complex step", "central": "central differences"}
_SHOWN = 6


@dataclass(frozen=True)
class Kink:
    """An entry at which the derivatives from the left and from the right differ, so that there is none to compare with.

    Attributes:
        input, entry: the input's name and the index of the entry in it.
        left, right: the derivatives from either side, weighted with the incoming gradient; NaN where the function does
            not exist on that side, ``inf`` where the slope has no bound.
        got: what the engine gave.
        low, high: the interval of defensible answers. ``min`` and ``max`` of ``left`` and ``right`` where the function
            has one output; with several outputs each may choose its own side.
        inside: whether ``got`` lies in that interval.
        order: the order of derivative that has two values here.
    """

    input: str
    entry: tuple[int, ...]
    left: float
    right: float
    got: float
    low: float
    high: float
    inside: bool
    order: int = 1

    def __str__(self) -> str:
        index = f"[{', '.join(map(str, self.entry))}]" if self.entry else ""
        where = "lies between" if self.inside else f"lies OUTSIDE [{self.low:.6g}, {self.high:.6g}]"
        return f"{self.input}{index}: left {self.left:.6g}, right {self.right:.6g}, engine {self.got:.6g} {where}"


@dataclass(frozen=True)
class InputDetail:
    """The comparison entry by entry; every array has the input's shape, NaN (or ``""``) where nothing was compared.

    Attributes:
        got, expected: the engine's derivative and the independent one.
        error: their relative distance, as in ``GradcheckReport.worst``.
        bar: how far off the independent one may be, absolute.
        allowed: the distance up to which the entry counts as right, absolute.
        verdict: ``"right"``, ``"WRONG"``, ``"kink"`` or ``"undecided"``.
    """

    got: Array
    expected: Array
    error: Array
    bar: Array
    allowed: Array
    verdict: Array


@dataclass(frozen=True)
class GradcheckReport:
    """What a gradient check found.

    Attributes:
        ok: nothing is wrong: each comparison was within what is allowed, or lies at a kink and between the derivatives
            from both sides, or is undecided; and in each order and mode something could be decided.
        worst: the largest error, relative to the expected value (or to a thousandth of the largest one).
        where: the input and the entry with the largest error, for instance ``"weight[3, 0]"``.
        got, expected: the engine's derivative there, and the independent one.
        method: ``"complex"`` (complex step) or ``"central"`` (extrapolated central differences).
        order: 1 or 2, the order of derivative checked.
        rtol: the relative error allowed; where the error bar made it sharper and the entry is wrong, the sharper one.
        compared: how many numbers were compared.
        by_input: the worst error of each input.
        bar: the error bar of ``expected``, absolute.
        mode: ``"reverse"`` or ``"forward"``, which of the engine's two derivatives ``got`` is.
        kinks: the entries where left and right derivative differ.
        undecided: how many entries differ by more than is allowed, but by less than the error bar, in all orders and
            modes.
        compared_in_all: how many numbers were compared in all orders and modes.
        wrong: how many entries are wrong, in all orders and modes.
        faults: what is wrong besides numbers: a backward pass that writes into what it was given, for instance.
        notes: what is no mistake but may become one.
        framework: whose gradient it is.
        details: the comparison entry by entry, for each input.
    """

    ok: bool
    worst: float
    where: str
    got: float
    expected: float
    method: str
    order: int
    rtol: float
    compared: int
    by_input: dict[str, float] = field(default_factory=dict)
    bar: float = 0.0
    mode: str = "reverse"
    kinks: tuple[Kink, ...] = ()
    undecided: int = 0
    wrong: int = 0
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    framework: str = "tinygrad_mlp"
    details: dict[str, InputDetail] = field(default_factory=dict, compare=False, repr=False)
    compared_in_all: int = 0

    @property
    def verdict(self) -> str:
        """``"right"`` or ``"WRONG"``; ``"kink"`` or ``"undecided"`` where nothing is wrong but not all can be told.

        ``"UNDECIDED"``: nothing is wrong, for nothing could be told, in one order and mode at least; that is not ok.
        """
        if not self.ok:
            return "WRONG" if self.wrong or self.faults else "UNDECIDED"
        return "undecided" if self.undecided else "kink" if self.kinks else "right"

    def __str__(self) -> str:
        mode = ", forward mode" if self.mode == "forward" else ""
        decided = f"{self.compared_in_all - self.undecided} of {self.compared_in_all} numbers decided"
        if self.verdict == "UNDECIDED":
            summary = f"gradient UNDECIDED: order {self.order}{mode}, none of its {self.compared} numbers can be told "
            summary += f"by {_HOW[self.method]}; {decided}"
            return "\n".join([summary, f"  {self._remedy()}", *[f"  note: {note}" for note in self.notes]])
        summary = (
            f"gradient {self.verdict}: order {self.order}{mode}, worst relative error {self.worst:.2e} (allowed "
            f"{self.rtol:.0e}) at {self.where}: engine {self.got:.17g}, {_HOW[self.method]} {self.expected:.17g} "
            f"(± {self.bar:.0e}); {self.compared} numbers compared"
        )
        lines = [summary]
        lines += [f"  {fault}" for fault in self.faults]
        if self.wrong > 1:
            lines.append(f"  {self.wrong} entries are wrong{self._worst_entries()}")
        if self.undecided:
            lines.append(f"  {decided}; {self.undecided} undecided: the error bar is wider than the difference")
        # Kinks with an answer outside first.
        shown = sorted(self.kinks, key=lambda kink: kink.inside)[:_SHOWN]
        lines += [f"  kink at {kink}" for kink in shown]
        if len(self.kinks) > _SHOWN:
            lines.append(f"  and {len(self.kinks) - _SHOWN} more kinks")
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join(lines)

    __repr__ = __str__

    def __bool__(self) -> bool:
        return self.ok

    def _remedy(self) -> str:
        """What helps where nothing could be told."""
        other = "complex" if self.method == "central" else "central"
        return (
            "the error bars are wider than the differences: let the function compute in float64 throughout, without "
            f"casts to less; or choose other inputs, or method={other!r}"
        )

    def _worst_entries(self) -> str:
        """The wrong entries of each input of the part reported, the first few."""
        parts = []
        for name, detail in self.details.items():
            places = np.argwhere(detail.verdict == "WRONG").tolist()
            if places and detail.verdict.ndim:
                more = ", ..." if len(places) > _SHOWN else ""
                listed = ", ".join(f"[{', '.join(map(str, place))}]" for place in places[:_SHOWN])
                parts.append(f"{name}: {len(places)} of {detail.verdict.size}, at {listed}{more}")
        return f" ({'; '.join(parts)})" if parts else ""

    def raise_if_wrong(self) -> GradcheckReport:
        """The report itself.

        Raises:
            GradientError: the check failed, or could decide nothing; the message is the report.
        """
        if not self.ok:
            raise GradientError(str(self))
        return self
