"""Weight normalisation and spectral normalisation, with torch's names and state."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import ops
from ...errors import ArgumentError
from ...ops.kernels import normalise_axis
from ...tensor import Tensor, generator, no_grad
from ..functional import normalize, overwrite
from ..module import Module
from .parametrize import register_parametrization

__all__ = ["spectral_norm", "weight_norm"]


class _WeightNorm(Module):
    """``g v / |v|``, the norm being taken over all axes but ``dim``."""

    def __init__(self, dim: int | None) -> None:
        super().__init__()
        self.dim = dim

    def _length(self, v: Any) -> Any:
        if self.dim is None:
            return ops.sqrt(ops.sum(ops.square(v)))
        kept = normalise_axis(self.dim, v.ndim)
        return ops.sqrt(ops.sum(ops.square(v), tuple([i for i in range(v.ndim) if i != kept]), keepdims=True))

    def forward(self, g: Any, v: Any) -> Any:
        """The weight."""
        return ops.mul(v, ops.div(g, self._length(v)))

    def right_inverse(self, weight: Any) -> tuple[Any, Any]:
        """Length and direction of a weight."""
        return self._length(weight), weight

    def extra_repr(self) -> str:
        """The axis."""
        return f"dim={self.dim}"


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Learn length and direction of a weight apart: ``weight = g v / |v|``.

    Args:
        module: changed, and given back. name: of the parameter.
        dim: the axis along which each slice has a length of its own; None: one length for all.

    The parameters are then ``parametrizations.weight.original0`` (``g``) and ``original1`` (``v``).

    Raises:
        ArgumentError: no such parameter.

    Source: Salimans & Kingma, NeurIPS 2016.
    """
    return register_parametrization(module, name, _WeightNorm(dim))


class _SpectralNorm(Module):
    """The weight over its largest singular value, which power iteration follows in training."""

    _u: Tensor
    _v: Tensor

    def __init__(self, weight: Any, iterations: int, dim: int, eps: float, rng: np.random.Generator) -> None:
        super().__init__()
        self.n_power_iterations, self.eps = int(iterations), float(eps)
        self.dim = normalise_axis(dim, weight.ndim)
        if weight.ndim < 2:
            return
        matrix = self._matrix(weight).data
        for label, size in zip(("_u", "_v"), matrix.shape, strict=True):
            start = rng.normal(size=size)
            self.register_buffer(label, Tensor((start / np.linalg.norm(start)).astype(matrix.dtype)))
        with no_grad():
            self._iterate(self._matrix(weight.detach()), 15)

    def _matrix(self, weight: Any) -> Any:
        order = (self.dim, *[i for i in range(weight.ndim) if i != self.dim])
        return ops.flatten(ops.permute(weight, order), 1)

    def _iterate(self, matrix: Any, times: int) -> None:
        u, v = self._u, self._v
        for _ in range(times):
            u = normalize(ops.matmul(matrix, v), dim=0, eps=self.eps)
            v = normalize(ops.matmul(ops.transpose(matrix), u), dim=0, eps=self.eps)
        overwrite(self._u, u)
        overwrite(self._v, v)

    def forward(self, weight: Any) -> Any:
        """The weight."""
        if weight.ndim < 2:
            return normalize(weight, dim=0, eps=self.eps)
        matrix = self._matrix(weight)
        if self.training:
            with no_grad():
                self._iterate(matrix.detach(), self.n_power_iterations)
        # Copies: the next iteration writes into the buffers, which this backward pass reads.
        u, v = self._u.clone(), self._v.clone()
        return ops.div(weight, ops.matmul(u, ops.matmul(matrix, v)))

    def extra_repr(self) -> str:
        """The options."""
        return f"n_power_iterations={self.n_power_iterations}, dim={self.dim}, eps={self.eps}"


def spectral_norm(
    module: Module,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
    *,
    rng: np.random.Generator | None = None,
    seed: int | None = None,
) -> Module:
    """Divide a weight by its largest singular value, so that the layer stretches no input.

    Args:
        module: changed, and given back. name: of the parameter.
        n_power_iterations: how many are made each time the weight is read in training; 15 at the start.
        eps: the least norm that is divided by. dim: the axis of outputs, 0 by default.
        rng, seed: for the first vectors; fresh by default.

    The parameter is then ``parametrizations.weight.original``, the vectors ``parametrizations.weight.0._u`` and ``_v``.

    Raises:
        ArgumentError: no such parameter, or ``n_power_iterations`` below 1.

    Source: Miyato, Kataoka, Koyama, Yoshida, ICLR 2018.
    """
    if n_power_iterations < 1:
        raise ArgumentError(f"spectral_norm: n_power_iterations is at least 1, got {n_power_iterations}")
    weight = module._parameters.get(name)
    if weight is None:
        raise ArgumentError(f"{type(module).__name__}.{name} is not a parameter: {[*module._parameters]}")
    made = _SpectralNorm(weight, n_power_iterations, 0 if dim is None else dim, eps, generator(rng, seed))
    return register_parametrization(module, name, made)
