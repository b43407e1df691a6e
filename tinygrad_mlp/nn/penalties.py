"""Keeping weights small: penalties that are added to the loss, and constraints that are enforced after a step.

Both take a module, or parameters. Of a module those with two axes or more are meant: biases, and the scales of
normalisations, are left alone.

>>> from tinygrad_mlp import nn, optim, zeros
>>> model = nn.MLP(4, 8, 2, seed=0)
>>> loss = nn.MSELoss()(model(zeros(3, 4)), zeros(3, 2)) + nn.penalties.l2(model, 1e-4)
>>> loss.backward()
>>> optim.SGD(model.parameters(), lr=0.1).step()
>>> nn.penalties.max_norm_(model, 3.0)
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from .. import ops
from ..errors import ArgumentError
from ..tensor import Tensor, no_grad
from .functional import overwrite
from .module import Module

__all__ = ["elastic_net", "l1", "l2", "max_norm_", "non_negative_", "unit_norm_"]

Weights = Module | Iterable[Tensor]


def _weights(of: Weights) -> list[Tensor]:
    if isinstance(of, Module):
        return [one for one in of.parameters() if one.ndim > 1]
    return [of] if isinstance(of, Tensor) else list(of)


def _strength(what: str, given: float) -> float:
    if not given >= 0:
        raise ArgumentError(f"{what}: the strength is 0 or more, got {given}; say {what}(model, 1e-4)")
    return float(given)


def _total(weights: list[Tensor], each: Any, strength: float) -> Any:
    total: Any = None
    for one in weights:
        part = ops.mul(ops.sum(each(one)), strength)
        total = part if total is None else ops.add(total, part)
    return Tensor(np.zeros((), np.float32)) if total is None else total


def l1(weights: Weights, strength: float) -> Any:
    """``strength * sum |w|``, which makes weights exactly 0; Keras' ``L1``.

    Raises:
        ArgumentError: a negative strength.

    Source: Tibshirani, J. R. Stat. Soc. B 58, 1996.
    """
    return _total(_weights(weights), ops.abs, _strength("l1", strength))


def l2(weights: Weights, strength: float) -> Any:
    """``strength * sum w**2``; Keras' ``L2``. With SGD it is ``weight_decay = 2 * strength``.

    Raises:
        ArgumentError: a negative strength.

    Source: Hoerl & Kennard, Technometrics 12, 1970.
    """
    return _total(_weights(weights), ops.square, _strength("l2", strength))


def elastic_net(weights: Weights, l1: float, l2: float) -> Any:
    """``l1 * sum |w| + l2 * sum w**2``; Keras' ``L1L2``.

    Raises:
        ArgumentError: a negative strength.

    Source: Zou & Hastie, J. R. Stat. Soc. B 67, 2005.
    """
    first, second = _strength("elastic_net", l1), _strength("elastic_net", l2)
    return _total(_weights(weights), lambda w: ops.add(ops.mul(ops.abs(w), first), ops.mul(ops.square(w), second)), 1.0)


def _lengths(weight: Tensor) -> Any:
    """The norm of the incoming weights of each unit, which is a row."""
    return ops.sqrt(ops.sum(ops.square(weight), tuple(range(1, weight.ndim)), keepdims=True))


def _limited(weight: Tensor, limit: float) -> Any:
    lengths = _lengths(weight)
    long = ops.gt(lengths, limit)
    return ops.where(long, ops.mul(weight, ops.div(limit, ops.where(long, lengths, 1.0))), weight)


def max_norm_(weights: Weights, limit: float) -> None:
    """Shorten, in place, the incoming weights of each unit that are longer than ``limit``; call it after each step.

    Raises:
        ArgumentError: ``limit`` is not positive.

    Source: Srebro & Shraibman, COLT 2005; with dropout Srivastava et al., JMLR 15, 2014, section 5.1.
    """
    if not limit > 0:
        raise ArgumentError(f"max_norm_: limit is a length, got {limit}; say max_norm_(model, 3.0)")
    with no_grad():
        for one in _weights(weights):
            overwrite(one, _limited(one, float(limit)))


def unit_norm_(weights: Weights) -> None:
    """Give the incoming weights of each unit length 1, in place; those that are all 0 stay."""
    with no_grad():
        for one in _weights(weights):
            lengths = _lengths(one)
            overwrite(one, ops.div(one, ops.where(ops.gt(lengths, 0.0), lengths, 1.0)))


def non_negative_(weights: Weights) -> None:
    """Set negative weights to 0, in place."""
    with no_grad():
        for one in _weights(weights):
            overwrite(one, ops.relu(one))
