"""What a set of checks found, one line each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import numpy as np

from ..errors import ConformanceError

__all__ = ["Finding", "NotApplicableError", "Report", "failure", "finding", "require", "require_same"]


class NotApplicableError(Exception):
    """Raised by a check that has nothing to say here; the message is the reason."""


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        name: of the check.
        verdict: ``"passed"``, ``"failed"`` or ``"not applicable"``.
        detail: what is wrong, or why the check does not apply.
        example: the smallest input found that shows it, as Python.
        error: what the check raised.
    """

    name: str
    verdict: Literal["passed", "failed", "not applicable"]
    detail: str = ""
    example: str = ""
    error: Exception | None = field(default=None, repr=False, compare=False)

    def __str__(self) -> str:
        lines = [f"{self.verdict:14}  {self.name}"]
        lines += [f"    {line}" for line in self.detail.splitlines()]
        if self.example:
            lines.append(f"    smallest example: {self.example}")
        return "\n".join(lines)


@dataclass(frozen=True, repr=False)
class Report:
    """What the checks of one op, module or optimizer found; true where none failed, printed it is a table.

    Attributes:
        subject: what was checked.
        findings: one per check, in their order.
    """

    subject: str
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """No check failed."""
        return not self.failed

    @property
    def failed(self) -> list[str]:
        """The names of the checks that failed."""
        return [one.name for one in self.findings if one.verdict == "failed"]

    def __getitem__(self, name: str) -> Finding:
        return next(one for one in self.findings if one.name == name)

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        counts = [f"{sum(one.verdict == kind for one in self.findings)} {kind}" for kind in _VERDICTS]
        return "\n".join([f"{self.subject}: {', '.join(counts)}", *map(str, self.findings)])

    __repr__ = __str__

    def raise_if_failed(self) -> Self:
        """The report itself.

        Raises:
            ConformanceError: a check failed; the message is what the failed ones found.
        """
        wrong = [one for one in self.findings if one.verdict == "failed"]
        if wrong:
            message = f"{self.subject} fails {len(wrong)} of {len(self.findings)} checks:\n"
            raise ConformanceError(message + "\n".join(map(str, wrong))) from wrong[0].error
        return self


_VERDICTS = ("passed", "failed", "not applicable")


def failure(name: str, error: Exception, example: str = "") -> Finding:
    """The finding that a check raised ``error``."""
    said = str(error).strip()
    detail = said if isinstance(error, AssertionError) else f"{type(error).__name__}: {said}"
    return Finding(name, "failed", detail, example, error)


def finding(name: str, check: Callable[[], object]) -> Finding:
    """Run a check."""
    try:
        check()
    except NotApplicableError as reason:
        return Finding(name, "not applicable", str(reason))
    except Exception as error:  # noqa: BLE001 - whatever it raises is what it found
        return failure(name, error)
    return Finding(name, "passed")


def require(condition: Any, message: str) -> None:
    """Fail the running check unless ``condition`` is true.

    Raises:
        ConformanceError: with this message.
    """
    if not condition:
        raise ConformanceError(message)


def require_same(got: Any, expected: Any, message: str) -> None:
    """Fail the running check unless the arrays have one dtype, one shape and the same values, NaN included.

    Raises:
        ConformanceError: with this message.
    """
    got, expected = np.asarray(got), np.asarray(expected)
    same = got.shape == expected.shape and got.dtype == expected.dtype and np.array_equal(got, expected, equal_nan=True)
    if not same:
        raise ConformanceError(f"{message}: expected {_shown(expected)}, got {_shown(got)}")


def _shown(array: Any) -> str:
    return f"{array.dtype} {np.array2string(array, threshold=12, separator=', ')}"
