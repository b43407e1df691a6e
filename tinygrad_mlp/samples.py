"""What legal inputs of an op look like, as plain data.

An op's declaration names one of these records; :mod:`tinygrad_mlp.testing.cases` turns each kind into arrays.
Nothing here draws anything: a record is a promise about which inputs the op must answer correctly.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "Classes",
    "Domain",
    "Einsum",
    "Elementwise",
    "Indexing",
    "Joining",
    "Layer",
    "Places",
    "Product",
    "Recurrence",
    "Reduction",
    "Reshaping",
    "Rows",
    "Sample",
    "Standardising",
    "System",
    "Windows",
]


@dataclass(frozen=True)
class Domain:
    """The values one operand may take: ``low <= value <= high``, never within ``margin`` of a point in ``avoid``.

    ``avoid`` lists kinks and poles, where the derivative is a convention rather than a limit. ``reach`` is the range
    over which the accuracy contract holds, from magnitude ``least`` on; None: from ``low`` to ``high``.
    """

    low: float = -3.0
    high: float = 3.0
    avoid: tuple[float, ...] = ()
    margin: float = 0.05
    reach: tuple[float, float] | None = None
    least: float = 1e-8


@dataclass(frozen=True)
class Sample:
    """Base of the kinds; ``analytic`` says whether the reference accepts complex numbers (for the complex step)."""


@dataclass(frozen=True)
class Elementwise(Sample):
    """Operands of mutually broadcastable shapes, one :class:`Domain` each.

    ``apart`` keeps two operands at least that far from each other (maximum, minimum). ``params`` lists keyword
    arguments to try, each a tuple of (name, value) pairs.
    """

    operands: tuple[Domain, ...] = (Domain(),)
    apart: float = 0.0
    params: tuple[tuple[tuple[str, object], ...], ...] = ((),)


@dataclass(frozen=True)
class Reduction(Sample):
    """One array and ``axes``, a sorted tuple; ``distinct``: no ties; ``empty``: there may be no elements."""

    domain: Domain = Domain()
    distinct: bool = False
    empty: bool = True
    single_axis: bool = False
    params: tuple[tuple[tuple[str, object], ...], ...] = ((),)


@dataclass(frozen=True)
class Reshaping(Sample):
    """One array and a new form of it: ``how`` is ``reshape``, ``permute``, ``broadcast``, ``sum_to`` or ``cast``."""

    how: str


@dataclass(frozen=True)
class Indexing(Sample):
    """One array and an index: basic, integer arrays with repeats, boolean, or ``adjoint`` (the scatter of it)."""

    adjoint: bool = False


@dataclass(frozen=True)
class Places(Sample):
    """A vector and places in it: ``how`` is ``pick``, ``scatter`` (its adjoint) or ``index`` (arrays to places)."""

    how: str


@dataclass(frozen=True)
class Joining(Sample):
    """Several arrays that agree in every axis but one; params ``axis``."""


@dataclass(frozen=True)
class Product(Sample):
    """Two matrices or stacks of matrices, ``(…, n, k)`` and ``(…, k, m)``; batch axes broadcast."""


@dataclass(frozen=True)
class Layer(Sample):
    """Input ``(batch…, features_in)``, weight ``(features_out, features_in)`` and bias ``(features_out,)``."""


@dataclass(frozen=True)
class Einsum(Sample):
    """Operands and a subscript string in the explicit form ``ij,jk->ik``."""

    equations: tuple[str, ...]


@dataclass(frozen=True)
class Classes(Sample):
    """Logits ``(batch…, classes)`` and targets: class ids (``targets="ids"``) or probabilities of the same shape."""

    targets: str


@dataclass(frozen=True)
class Rows(Sample):
    """Numbers of rows, ``ids (…)``, and a table ``(rows, dim)`` (``what="table"``) or ``(…, dim)`` (``"sums"``)."""

    what: str


@dataclass(frozen=True)
class Recurrence(Sample):
    """Operands of a recurrent layer by their names: gates, states, weights, and which steps are ``valid``.

    ``gates`` is how many times the length of the state the gates have; ``z`` is a gradient of the result, which has
    ``more`` rows than there are time steps.
    """

    gates: int
    more: int


@dataclass(frozen=True)
class System(Sample):
    """Stacks of symmetric matrices (…, n, n) with a positive determinant; ``right``: and right sides (…, n, k)."""

    right: bool = False
    params: tuple[tuple[tuple[str, object], ...], ...] = ((),)


@dataclass(frozen=True)
class Windows(Sample):
    """One array and windows over its last axes: ``how`` is ``unfold`` or ``fold`` (its adjoint)."""

    how: str


@dataclass(frozen=True)
class Standardising(Sample):
    """One array and ``axes``, along which it has several elements; ``incoming``: a second array of its shape first."""

    incoming: bool = False
