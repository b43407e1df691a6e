"""Gradients kept from growing too large, between ``backward()`` and ``optimizer.step()``; in compiled steps too."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from ... import ops
from ...errors import ArgumentError
from ...tensor import Tensor, clamp_in_place, no_grad, tensor

__all__ = ["clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "get_total_norm"]


def _norm(values: Any, order: float) -> Any:
    """``(sum |x|**order) ** (1 / order)``; for ±inf the largest or least size, for 0 how many are not 0."""
    if order == 2.0:
        return ops.sqrt(ops.sum(values * values))
    sizes = ops.abs(values)
    if math.isinf(order):
        return ops.amax(sizes) if order > 0 else ops.amin(sizes)
    if order == 0.0:
        return ops.sum(ops.sign(sizes))
    return ops.sum(sizes) if order == 1.0 else ops.sum(sizes**order) ** (1.0 / order)


def _listed(some: Tensor | Iterable[Tensor]) -> list[Tensor]:
    return [some] if isinstance(some, Tensor) else list(some)


def _gradients(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    return [one.grad for one in _listed(parameters) if one.grad is not None]


@no_grad()
def get_total_norm(
    tensors: Tensor | Iterable[Tensor], norm_type: float = 2.0, error_if_nonfinite: bool = False
) -> Tensor:
    """The norm of all elements of all tensors together: the norm of their norms.

    Args:
        tensors: gradients, say, of any shapes. norm_type: the order; ``inf`` is the largest size. As in torch, order 0
            counts the tensors that are not all 0.
        error_if_nonfinite: refuse a norm that is NaN or infinite. Also works inside compiled steps, which then change
            nothing; in native code at the price of a call of Python.

    Returns:
        ``()``, in the tensors' dtype; without tensors float32 zero.

    Raises:
        ArgumentError: the norm is not finite, if that was asked; an order that is no number.

    >>> from tinygrad_mlp import Tensor
    >>> get_total_norm([Tensor([3.0]), Tensor([[0.0, 4.0]])]).item()
    5.0
    """
    order = float(norm_type)
    if math.isnan(order):
        raise ArgumentError("get_total_norm: norm_type is a number, got nan; say norm_type=2.0")
    norms = [_norm(one, order) for one in _listed(tensors) if one.size]
    if not norms:
        return tensor(0.0)
    total: Tensor = _norm(ops.stack(norms), order)
    if error_if_nonfinite:
        total = ops.checked_finite(total)
    return total


@no_grad()
def clip_grads_with_norm_(parameters: Tensor | Iterable[Tensor], max_norm: float, total_norm: Tensor) -> None:
    """Multiply all gradients by ``min(1, max_norm / (total_norm + 1e-6))``, in place.

    Args:
        parameters: those without a gradient are passed over. max_norm: the norm wanted. total_norm: the norm they have.
    """
    factor = ops.minimum(float(max_norm) / (total_norm + 1e-6), 1.0)
    for gradient in _gradients(parameters):
        gradient *= factor


@no_grad()
def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> Tensor:
    """Scale all gradients together, in place, so that their norm is at most ``max_norm``. Their direction stays.

    Args:
        parameters: those without a gradient are passed over. max_norm: the largest norm allowed.
        norm_type, error_if_nonfinite: see :func:`get_total_norm`.

    Returns:
        The norm before, ``()``.

    Raises:
        ArgumentError: see :func:`get_total_norm`; the gradients are as they were.

    >>> from tinygrad_mlp import Tensor
    >>> w = Tensor([1.0, 1.0], requires_grad=True)
    >>> (w * Tensor([30.0, 40.0])).sum().backward()
    >>> clip_grad_norm_([w], max_norm=1.0).item()
    50.0
    >>> w.grad
    tensor([0.6, 0.8])

    Source: Pascanu, Mikolov, Bengio, ICML 2013, algorithm 1.
    """
    parameters = _listed(parameters)
    total: Tensor = get_total_norm(_gradients(parameters), norm_type, error_if_nonfinite)
    clip_grads_with_norm_(parameters, max_norm, total)
    return total


@no_grad()
def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Clip every element of every gradient to ``[-clip_value, clip_value]``, in place.

    Args:
        parameters: those without a gradient are passed over. clip_value: the limit.
    """
    limit = float(clip_value)
    for gradient in _gradients(parameters):
        clamp_in_place(gradient, -limit, limit)
