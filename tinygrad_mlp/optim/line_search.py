"""A step length that satisfies the strong Wolfe conditions, for methods that choose a direction first."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from ..tape import Array

__all__ = ["Trial", "strong_wolfe"]

# Nocedal & Wright's constants: how much the loss must fall, and how flat it must become along the direction.
_FALL, _FLAT = 1e-4, 0.9


class Trial(NamedTuple):
    """The loss at one distance along a direction.

    Attributes:
        t: the distance. loss: a float. gradient: flat, of all parameters. slope: along the direction.
    """

    t: float
    loss: float
    gradient: Array
    slope: float


def strong_wolfe(
    evaluate: Callable[[float], Trial], start: Trial, t: float, reach: float, tolerance: float, most: int
) -> Trial:
    """Search from ``start`` for a distance where the loss has fallen enough and its slope is small enough.

    ``f(t) <= f(0) + 1e-4 * t * f'(0)`` and ``|f'(t)| <= 0.9 * |f'(0)|``. The search goes outwards until both are met or
    the interval must contain such a point, then divides the interval by cubic interpolation.

    Args:
        evaluate: the loss at a distance. start: at distance 0; its slope is negative. t: the distance to try first.
        reach: the largest change of a parameter per distance. tolerance: give up when all changes are below it.
        most: how many distances to try after the first.

    Returns:
        The best point found.

    Source: Nocedal & Wright, Numerical Optimization, 2006, algorithms 3.5 and 3.6; as in minFunc and torch.
    """
    before, here, number = start, evaluate(t), 0
    ends = [start, here]
    while number < most:
        if here.loss > start.loss + _FALL * here.t * start.slope or (number > 1 and here.loss >= before.loss):
            ends = [before, here]
            break
        if abs(here.slope) <= -_FLAT * start.slope:
            return here
        if here.slope >= 0:
            ends = [before, here]
            break
        nearest, farthest = here.t + 0.01 * (here.t - before.t), here.t * 10.0
        before, here = here, evaluate(_interpolated(before, here, nearest, farthest))
        number += 1
        ends = [start, here]
    return _zoomed(evaluate, start, ends, reach, tolerance, most - number)


def _zoomed(
    evaluate: Callable[[float], Trial], start: Trial, ends: list[Trial], reach: float, tolerance: float, most: int
) -> Trial:
    """Divide the interval between the ends, of which the lower one is kept."""
    low = 0 if ends[0].loss <= ends[1].loss else 1
    stuck = False
    for _ in range(most):
        left, right = min(one.t for one in ends), max(one.t for one in ends)
        if (right - left) * reach < tolerance:
            break
        t = _interpolated(ends[0], ends[1], left, right)
        margin = 0.1 * (right - left)
        close = min(right - t, t - left) < margin
        if close and (stuck or t >= right or t <= left):
            t = right - margin if abs(t - right) < abs(t - left) else left + margin
            close = False
        stuck = close
        here = evaluate(t)
        if here.loss > start.loss + _FALL * here.t * start.slope or here.loss >= ends[low].loss:
            ends[1 - low] = here
            low = 0 if ends[0].loss <= ends[1].loss else 1
            continue
        done = abs(here.slope) <= -_FLAT * start.slope
        if not done and here.slope * (ends[1 - low].t - ends[low].t) >= 0:
            ends[1 - low] = ends[low]
        ends[low] = here
        if done:
            break
    return ends[low]


def _interpolated(a: Trial, b: Trial, least: float, most: float) -> float:
    """The minimum of the cubic through two points with their slopes, kept within the bounds; else their middle."""
    near, far = (a, b) if a.t <= b.t else (b, a)
    if near.t == far.t:
        return (least + most) / 2.0
    middle = near.slope + far.slope - 3.0 * (near.loss - far.loss) / (near.t - far.t)
    square = middle * middle - near.slope * far.slope
    if not square >= 0.0:
        return (least + most) / 2.0
    root = math.sqrt(square)
    divisor = far.slope - near.slope + 2.0 * root
    if divisor == 0.0:
        return (least + most) / 2.0
    t = far.t - (far.t - near.t) * ((far.slope + root - middle) / divisor)
    return (least + most) / 2.0 if math.isnan(t) else min(max(t, least), most)
