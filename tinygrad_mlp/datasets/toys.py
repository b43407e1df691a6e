"""Generated data sets whose rule is known: for lessons, pictures and tests.

Every generator returns ``X``, (n, features) float32, and ``y``, (n,): int64 class numbers, or float32 values for the
one regression task, :func:`make_bmi`. Samples come class by class (or corner by corner), not shuffled: a ``DataLoader``
or ``train_test_split`` does that. ``seed`` or ``rng`` decides every random draw: the same seed gives the same bits, no
seed gives fresh entropy, and NumPy's global random state is neither read nor changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentError, ShapeError
from .randomness import as_generator

__all__ = [
    "make_and",
    "make_bmi",
    "make_circles",
    "make_gauss",
    "make_moons",
    "make_or",
    "make_spiral",
    "make_xor",
]

Classified: TypeAlias = tuple[NDArray[np.float32], NDArray[np.int64]]

CORNERS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=np.float64)


def make_and(
    n: int = 4, noise: float = 0.0, *, seed: int | None = None, rng: np.random.Generator | None = None
) -> Classified:
    """Logical AND: class 1 at the corner (1, 1), class 0 at the other three. Arguments as :func:`make_xor`."""
    return _truth_table((0, 0, 0, 1), n, noise, seed, rng)


def make_or(
    n: int = 4, noise: float = 0.0, *, seed: int | None = None, rng: np.random.Generator | None = None
) -> Classified:
    """Logical OR: class 0 at the corner (0, 0), class 1 at the other three. Arguments as :func:`make_xor`."""
    return _truth_table((0, 1, 1, 1), n, noise, seed, rng)


def make_xor(
    n: int = 4, noise: float = 0.0, *, seed: int | None = None, rng: np.random.Generator | None = None
) -> Classified:
    """Exclusive or: class 1 where exactly one input is 1. No straight line separates the classes.

    Row i lies at corner i mod 4 of the unit square, in the order (0, 0), (0, 1), (1, 0), (1, 1), plus N(0, noise^2) on
    each coordinate; its class is that of the corner. The defaults give the bare truth table, 0 1 1 0.

    Args:
        n: number of samples.
        noise: standard deviation of each coordinate, in units of the square's side.
        seed, rng: an integer or a generator; not both.

    Returns:
        X (n, 2) float32, y (n,) int64 in {0, 1}.

    Raises:
        ArgumentError: ``n < 1``, a negative or infinite ``noise``, or both ``seed`` and ``rng``.

    Source: Minsky & Papert, Perceptrons, 1969.
    """
    return _truth_table((0, 1, 1, 0), n, noise, seed, rng)


def make_spiral(
    n_per_class: int = 100,
    noise: float = 0.2,
    *,
    classes: int = 5,
    winding: float = 1.0,
    seed: int | None = None,
    rng: np.random.Generator | None = None,
) -> Classified:
    """Interleaved spiral arms around the origin, one arm per class.

    Point i of arm c, with u = i / (n_per_class - 1) from 0 to 1, has

        radius = u
        angle  = winding * (4 (c + u) + N(0, noise^2))     in radians
        x      = (radius sin(angle), radius cos(angle))

    so arm c sweeps the angles 4c .. 4(c + 1). ``winding=2.5`` gives the tight spiral, which is much harder to fit.

    Args:
        n_per_class: points on each arm.
        noise: standard deviation of the angle in radians, before winding.
        classes: number of arms.
        winding: factor on every angle.
        seed, rng: an integer or a generator; not both.

    Returns:
        X (classes * n_per_class, 2) float32 inside the unit disc, y (classes * n_per_class,) int64 in 0 .. classes - 1.

    Raises:
        ArgumentError: a count below 1, a negative or infinite ``noise``, or both ``seed`` and ``rng``.

    Source: the spiral of Stanford's course CS231n (Karpathy).
    """
    _check(noise, n_per_class=n_per_class, classes=classes)
    random = as_generator(seed, rng)
    y = np.repeat(np.arange(classes), n_per_class)
    radius = np.tile(np.linspace(0.0, 1.0, n_per_class), classes)
    angle = winding * (4 * (y + radius) + noise * random.standard_normal(y.size))
    return _classified(np.column_stack([radius * np.sin(angle), radius * np.cos(angle)]), y)


def make_moons(
    n: int = 200, noise: float = 0.1, *, seed: int | None = None, rng: np.random.Generator | None = None
) -> Classified:
    """Two half circles that reach into each other.

    With t evenly spaced over 0 .. pi: class 0 lies at (cos t, sin t), class 1 at (1 - cos t, 1/2 - sin t), plus
    N(0, noise^2) on each coordinate. Class 0 has n // 2 points, class 1 the rest.

    Args, Returns, Raises: as :func:`make_xor`, with ``n >= 2``.

    Source: the shape of scikit-learn's ``make_moons``; with ``noise=0`` the points are the same.
    """
    _check(noise, smallest=2, n=n)
    upper, lower = (np.linspace(0.0, np.pi, count) for count in _halves(n))
    points = np.concatenate(
        [
            np.column_stack([np.cos(upper), np.sin(upper)]),
            np.column_stack([1 - np.cos(lower), 0.5 - np.sin(lower)]),
        ]
    )
    return _classified(_jitter(points, noise, as_generator(seed, rng)), np.repeat((0, 1), _halves(n)))


def make_circles(
    n: int = 200,
    noise: float = 0.05,
    *,
    factor: float = 0.5,
    seed: int | None = None,
    rng: np.random.Generator | None = None,
) -> Classified:
    """A circle inside a circle.

    Class 0 is evenly spaced on the circle of radius 1, class 1 on the circle of radius ``factor``, plus N(0, noise^2)
    on each coordinate. Class 0 has n // 2 points, class 1 the rest.

    Args, Returns: as :func:`make_xor`, with ``n >= 2``.

    Raises:
        ArgumentError: as :func:`make_xor`, or ``factor`` outside 0 <= factor < 1.

    Source: the shape of scikit-learn's ``make_circles``; with ``noise=0`` the points are the same.
    """
    _check(noise, smallest=2, n=n)
    if not 0 <= factor < 1:
        raise ArgumentError(f"expected 0 <= factor < 1 (inner radius over outer radius), got factor={factor!r}")
    outer, inner = (np.linspace(0.0, 2 * np.pi, count, endpoint=False) for count in _halves(n))
    points = np.concatenate(
        [
            np.column_stack([np.cos(outer), np.sin(outer)]),
            factor * np.column_stack([np.cos(inner), np.sin(inner)]),
        ]
    )
    return _classified(_jitter(points, noise, as_generator(seed, rng)), np.repeat((0, 1), _halves(n)))


def make_gauss(
    n_per_class: int = 100,
    noise: float = 1.0,
    *,
    centers: Sequence[Sequence[float]] = ((2.0, 2.0), (-2.0, -2.0)),
    seed: int | None = None,
    rng: np.random.Generator | None = None,
) -> Classified:
    """One Gaussian cloud per class: x = centers[c] + N(0, noise^2) on each coordinate.

    Args:
        n_per_class: points in each cloud.
        noise: standard deviation of each coordinate.
        centers: (classes, features), one centre per class.
        seed, rng: an integer or a generator; not both.

    Returns:
        X (classes * n_per_class, features) float32, y (classes * n_per_class,) int64 in 0 .. classes - 1.

    Raises:
        ArgumentError: ``n_per_class < 1``, a negative or infinite ``noise``, or both ``seed`` and ``rng``.
        ShapeError: ``centers`` is not (classes, features).
    """
    _check(noise, n_per_class=n_per_class)
    means = np.asarray(centers, dtype=np.float64)
    if means.ndim != 2 or means.size == 0:
        raise ShapeError(f"expected centers of shape (classes, features), got {means.shape}; write [[2, 2], [-2, -2]]")
    y = np.repeat(np.arange(len(means)), n_per_class)
    return _classified(_jitter(means[y], noise, as_generator(seed, rng)), y)


def make_bmi(
    n: int = 200, noise: float = 0.5, *, seed: int | None = None, rng: np.random.Generator | None = None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Body-mass index from height and weight: a regression task whose true formula is known.

        height ~ U(1.50, 2.00) m,   weight ~ U(45, 115) kg
        bmi    = weight / height^2 + N(0, noise^2)   kg/m^2

    ``bmi`` is computed in float64 from the float32 values in X and rounded once.

    Args:
        n: number of people.
        noise: standard deviation of the index in kg/m^2; 0 gives the exact formula.
        seed, rng: an integer or a generator; not both.

    Returns:
        X (n, 2) float32, columns height in m and weight in kg; y (n,) float32 in kg/m^2. For a net with one output,
        (n, 1), write ``y[:, None]``.

    Raises:
        ArgumentError: ``n < 1``, a negative or infinite ``noise``, or both ``seed`` and ``rng``.

    Source: Quetelet's index, weight over height squared.
    """
    _check(noise, n=n)
    random = as_generator(seed, rng)
    X = (np.array([1.50, 45.0]) + np.array([0.50, 70.0]) * random.random((n, 2))).astype(np.float32)
    height, weight = X.astype(np.float64).T
    index = weight / height**2 + noise * random.standard_normal(n)
    return X, index.astype(np.float32)


def _truth_table(
    labels: tuple[int, int, int, int], n: int, noise: float, seed: int | None, rng: np.random.Generator | None
) -> Classified:
    _check(noise, n=n)
    corner = np.arange(n) % 4
    return _classified(_jitter(CORNERS[corner], noise, as_generator(seed, rng)), np.array(labels)[corner])


def _halves(n: int) -> tuple[int, int]:
    return n // 2, n - n // 2


def _jitter(points: NDArray[np.float64], noise: float, rng: np.random.Generator) -> NDArray[np.float64]:
    return points + noise * rng.standard_normal(points.shape)


def _classified(points: NDArray[np.float64], labels: NDArray[Any]) -> Classified:
    return points.astype(np.float32), labels.astype(np.int64)


def _check(noise: float, *, smallest: int = 1, **counts: object) -> None:
    for name, count in counts.items():
        if not isinstance(count, int | np.integer) or count < smallest:
            raise ArgumentError(f"expected an integer {name} >= {smallest}, got {name}={count!r}")
    if not (np.isfinite(noise) and noise >= 0):
        raise ArgumentError(f"expected a finite noise >= 0 (a standard deviation), got noise={noise!r}")
