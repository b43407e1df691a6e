"""The training steps that are compared: sizes, data, starting weights, goals."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np

__all__ = ["BY_NAME", "TEXT", "WORKLOADS", "TextWorkload", "Workload"]

Array = np.ndarray[Any, Any]


@dataclasses.dataclass(frozen=True)
class Workload:
    """Training steps of a fully connected network on a stack of batches that every contender goes round.

    Attributes:
        label: what people call it. sizes: of the layers, input first. batch: samples per step.
        rates: the step size per optimizer; the other options of Adam are everybody's defaults.
        stack: how many batches there are, which is also what a contender that takes whole epochs runs at once.
        activation: of the hidden layers, "relu" or "tanh".
        torch_goal, numpy_goal: our eager SGD step is to take at most this share of PyTorch's and hand-written NumPy's.

    One output means mean squared error, more mean cross-entropy from logits.
    """

    label: str
    sizes: tuple[int, ...]
    batch: int
    rates: tuple[tuple[str, float], ...]
    stack: int
    torch_goal: float | None = None
    numpy_goal: float | None = None
    activation: str = "relu"
    spelled: str = ""

    @property
    def name(self) -> str:
        """Label, sizes and batch, as in ``BMI 2-8-1 batch 1``."""
        return self.spelled or f"{self.label} {'-'.join(map(str, self.sizes))} batch {self.batch}"

    @property
    def optimizers(self) -> tuple[str, ...]:
        """The names of the optimizers it is trained with."""
        return tuple(name for name, _ in self.rates)

    @property
    def classifies(self) -> bool:
        """Whether the loss is cross-entropy."""
        return self.sizes[-1] > 1

    def rate(self, optimizer: str) -> float:
        """The step size."""
        return dict(self.rates)[optimizer]

    def shrunk(self) -> Workload:
        """The same in small, for a run that only shows that everything runs."""
        sizes = tuple(min(size, 32) for size in self.sizes)
        return dataclasses.replace(
            self, sizes=sizes, batch=min(self.batch, 32), stack=min(self.stack, 4), spelled=self.name
        )

    def batches(self, dtype: Any = np.float32) -> tuple[Array, Array]:
        """Inputs ``(stack, batch, in)``; class ids ``(stack, batch)`` or numbers ``(stack, batch, 1)`` of a teacher."""
        rng = np.random.default_rng(1)
        x = rng.random((self.stack, self.batch, self.sizes[0])).astype(dtype)
        teacher = rng.normal(size=(self.sizes[0], self.sizes[-1]))
        answers = (x - 0.5) @ teacher / np.sqrt(self.sizes[0])
        return x, answers.argmax(axis=-1) if self.classifies else answers.astype(dtype)

    def weights(self, dtype: Any = np.float32) -> list[tuple[Array, Array]]:
        """Per layer ``(out, in)`` weights and ``(out,)`` biases, the same for every contender.

        He's uniform bounds for ReLU, Glorot's for tanh, so that 32 layers still pass something on.
        """
        rng = np.random.default_rng(2)
        layers = []
        for inputs, outputs in itertools.pairwise(self.sizes):
            bound = np.sqrt(6 / inputs) if self.activation == "relu" else np.sqrt(6 / (inputs + outputs))
            layers.append(
                (
                    rng.uniform(-bound, bound, (outputs, inputs)).astype(dtype),
                    rng.uniform(-0.1, 0.1, outputs).astype(dtype),
                )
            )
        return layers


@dataclasses.dataclass(frozen=True)
class TextWorkload:
    """Training steps of a classifier of token sequences: embedding, LSTM, a linear layer on its last state.

    The gates are ordered and the state is updated as in PyTorch, with one bias:
    ``i, f, g, o = split(x W_in' + h W_state' + b)``, ``c = sigmoid(f) c + sigmoid(i) tanh(g)``,
    ``h = sigmoid(o) tanh(c)``. The loss is the mean cross-entropy of two classes.
    """

    label: str = "LSTM text"
    vocabulary: int = 5000
    embedding: int = 32
    hidden: int = 100
    length: int = 100
    batch: int = 64
    rates: tuple[tuple[str, float], ...] = (("Adam", 0.001),)
    stack: int = 4
    torch_goal: float | None = None
    numpy_goal: float | None = None
    spelled: str = ""

    @property
    def name(self) -> str:
        """Label, sizes and batch."""
        usual = f"{self.label} {self.vocabulary}×{self.embedding}, {self.hidden}, {self.length} steps"
        return self.spelled or f"{usual}, batch {self.batch}"

    @property
    def optimizers(self) -> tuple[str, ...]:
        """The names of the optimizers it is trained with."""
        return tuple(name for name, _ in self.rates)

    def rate(self, optimizer: str) -> float:
        """The step size."""
        return dict(self.rates)[optimizer]

    def shrunk(self) -> TextWorkload:
        """The same in small, for a run that only shows that everything runs."""
        return dataclasses.replace(
            self, vocabulary=50, embedding=4, hidden=6, length=5, batch=8, stack=2, spelled=self.name
        )

    def batches(self, dtype: Any = np.float32) -> tuple[Array, Array]:  # noqa: ARG002 - ids have no other dtype
        """Token ids ``(stack, batch, length)`` and class ids ``(stack, batch)``."""
        rng = np.random.default_rng(1)
        tokens = rng.integers(0, self.vocabulary, (self.stack, self.batch, self.length))
        return tokens, (tokens[:, :, -5:].mean(axis=-1) > self.vocabulary / 2).astype(np.int64)

    def weights(self, dtype: Any = np.float32) -> dict[str, Array]:
        """Table ``(vocabulary, embedding)``, gates ``(4 hidden, ...)``, and the linear layer ``(2, hidden)``."""
        rng = np.random.default_rng(2)
        bound = 1 / np.sqrt(self.hidden)
        shapes = {
            "gates_in": (4 * self.hidden, self.embedding),
            "gates_state": (4 * self.hidden, self.hidden),
            "gates_bias": (4 * self.hidden,),
            "weight": (2, self.hidden),
            "bias": (2,),
        }
        table = rng.normal(size=(self.vocabulary, self.embedding)).astype(dtype)
        return {"table": table} | {name: rng.uniform(-bound, bound, of).astype(dtype) for name, of in shapes.items()}


def _rates(sgd: float, adam: float = 0.001) -> tuple[tuple[str, float], ...]:
    return ("SGD", sgd), ("Adam", adam)


WORKLOADS = (
    Workload("BMI", (2, 8, 1), 1, _rates(0.01), 1000, 0.4),
    Workload("moons", (2, 16, 16, 2), 64, _rates(0.1), 500, 0.6),
    Workload("spiral", (2, 64, 5), 500, _rates(0.1), 200, 0.8),
    Workload("Fashion", (784, 300, 100, 10), 32, _rates(0.01), 100, 0.9, 1.5),
    Workload("Fashion", (784, 300, 100, 10), 256, _rates(0.01), 20, 0.7, 1.5),
    Workload("wide", (784, 2048, 2048, 10), 512, _rates(0.01, 0.0001), 4),
    Workload(
        "deep", (16,) * 33 + (2,), 32, _rates(0.01), 100, activation="tanh", spelled="deep 16-32×(16)-2 tanh batch 32"
    ),
)
TEXT = TextWorkload()
BY_NAME: dict[str, Workload | TextWorkload] = {one.name: one for one in (*WORKLOADS, TEXT)}
