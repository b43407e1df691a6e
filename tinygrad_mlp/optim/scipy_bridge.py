"""SciPy's minimisers on the parameters of a model."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from ..errors import ArgumentError
from ..extras import need
from ..nn.module import Module
from ..tape import Array, wrote
from ..tensor import Tensor, enable_grad

__all__ = ["scipy_minimize"]


def scipy_minimize(
    model_or_params: Module | Iterable[Tensor],
    closure: Callable[[], Any],
    method: str = "L-BFGS-B",
    *,
    options: Mapping[str, Any] | None = None,
    bounds: Any = None,
    tol: float | None = None,
    callback: Callable[..., Any] | None = None,
) -> Any:
    """Minimise a loss with ``scipy.optimize.minimize``; the parameters end at the best point that was evaluated.

    All parameters that require gradients become one vector of float64 for SciPy; each evaluation writes them back in
    their own dtype, which is where a float32 model rounds. Methods without gradients work too.

    Args:
        model_or_params: a module, or parameters.
        closure: computes the loss on all data and returns it, a scalar tensor; :func:`scipy_minimize` clears the
            gradients before and calls ``backward()`` after it, unless the closure has done so.
        method: a name that SciPy knows, ``"BFGS"``, ``"CG"``, ``"TNC"``, ``"Nelder-Mead"``, … options: of the method.
        bounds: one ``(low, high)`` for each element, or for each parameter in order. tol, callback: SciPy's.

    Returns:
        SciPy's ``OptimizeResult``: ``x``, ``fun``, ``nit``, ``nfev``, ``success``, ``message``, …

    Raises:
        ArgumentError: no parameter requires gradients; a loss that is no scalar; bounds that fit neither way.
        MissingExtraError: SciPy is not installed.

    >>> from tinygrad_mlp import Tensor, optim
    >>> p = Tensor([-1.5, 2.0], requires_grad=True, dtype="float64")
    >>> result = optim.scipy_minimize([p], lambda: (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2)
    >>> [round(one, 3) for one in p.tolist()], bool(result.success)
    ([1.0, 1.0], True)

    Source: Virtanen et al., Nature Methods 17, 2020 (SciPy).
    """
    optimize = need("scipy.optimize", extra="scipy", purpose="minimise with its methods")
    given = model_or_params.parameters() if isinstance(model_or_params, Module) else model_or_params
    params = [one for one in given if one.requires_grad]
    if not params:
        raise ArgumentError("scipy_minimize: nothing in the parameters requires gradients; say nn.Parameter(x)")
    # Only these read the gradient. What asks for second derivatives wants a `hess`, and says so.
    sloped = method.lower() not in {"nelder-mead", "powell", "cobyla", "cobyqa"}
    best, found = math.inf, _flat([one.data for one in params])

    def evaluate(x: Array) -> Any:
        nonlocal best, found
        _write(params, x)
        value, slope = _loss(params, closure)
        if value < best:
            best, found = value, np.array(x, np.float64)
        return (value, slope) if sloped else value

    try:
        return optimize.minimize(
            evaluate,
            found.copy(),
            method=method,
            jac=sloped or None,
            bounds=_bounds(bounds, params),
            tol=tol,
            callback=callback,
            options=dict(options or {}),
        )
    finally:
        _write(params, found)


def _flat(arrays: Iterable[Array]) -> Array:
    return np.concatenate([one.reshape(-1).astype(np.float64) for one in arrays])


def _write(params: list[Tensor], x: Array) -> None:
    start = 0
    for one in params:
        np.copyto(one.data, x[start : start + one.size].reshape(one.shape), casting="same_kind")
        start += one.size
    wrote("scipy_minimize", *[one.data for one in params])


def _loss(params: list[Tensor], closure: Callable[[], Any]) -> tuple[float, Array]:
    for one in params:
        one.grad = None
    with enable_grad():
        loss = closure()
        if not isinstance(loss, Tensor) or loss.ndim:
            shown = f"shape {loss.shape}" if isinstance(loss, Tensor) else type(loss).__name__
            raise ArgumentError(f"scipy_minimize: the closure returns the loss, a scalar tensor; got {shown}")
        if all(one.grad is None for one in params):
            loss.backward()
    slopes = [np.zeros(one.shape) if one.grad is None else one.grad.data for one in params]
    return float(loss.item()), _flat(slopes)


def _bounds(bounds: Any, params: list[Tensor]) -> Any:
    """One pair for each element."""
    size = sum(one.size for one in params)
    if not isinstance(bounds, (list, tuple)) or len(bounds) == size:
        return bounds
    if len(bounds) != len(params):
        raise ArgumentError(
            f"scipy_minimize: expected bounds for {size} elements or for {len(params)} parameters, got {len(bounds)}"
        )
    return [pair for pair, one in zip(bounds, params, strict=True) for _ in range(one.size)]
