"""The five training steps that are compared: sizes, data, starting weights, goals."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np

__all__ = ["WORKLOADS", "Workload"]

Array = np.ndarray[Any, Any]


@dataclasses.dataclass(frozen=True)
class Workload:
    """One training step of a ReLU network with plain SGD on one fixed batch.

    Attributes:
        sizes: of the layers, input first. batch: samples. lr: the step size.
        torch_goal, numpy_goal: our time is to be at most this share of PyTorch's and of hand-written NumPy's.

    One output means mean squared error, more mean cross-entropy from logits.
    """

    sizes: tuple[int, ...]
    batch: int
    lr: float
    torch_goal: float
    numpy_goal: float | None = None

    @property
    def name(self) -> str:
        """Sizes and batch, as in ``2-8-1 batch 1``."""
        return f"{'-'.join(map(str, self.sizes))} batch {self.batch}"

    @property
    def classifies(self) -> bool:
        """Whether the loss is cross-entropy."""
        return self.sizes[-1] > 1

    def data(self, dtype: Any = np.float32) -> tuple[Array, Array]:
        """Inputs ``(batch, in)``, and targets: class ids ``(batch,)`` or numbers ``(batch, 1)``."""
        rng = np.random.default_rng(1)
        x = rng.random((self.batch, self.sizes[0])).astype(dtype)
        if self.classifies:
            return x, rng.integers(0, self.sizes[-1], self.batch)
        return x, rng.random((self.batch, 1)).astype(dtype)

    def weights(self, dtype: Any = np.float32) -> list[tuple[Array, Array]]:
        """Per layer ``(out, in)`` weights (He, uniform) and ``(out,)`` biases, the same for every contender."""
        rng = np.random.default_rng(2)
        layers = []
        for inputs, outputs in itertools.pairwise(self.sizes):
            bound = np.sqrt(6 / inputs)
            layers.append(
                (
                    rng.uniform(-bound, bound, (outputs, inputs)).astype(dtype),
                    rng.uniform(-0.1, 0.1, outputs).astype(dtype),
                )
            )
        return layers


WORKLOADS = (
    Workload((2, 8, 1), 1, 0.01, 0.4),
    Workload((2, 64, 5), 500, 0.1, 0.8),
    Workload((2, 16, 16, 2), 64, 0.1, 0.6),
    Workload((784, 300, 100, 10), 32, 0.01, 0.9, 1.5),
    Workload((784, 300, 100, 10), 256, 0.01, 0.7, 1.5),
)
