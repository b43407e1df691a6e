"""scikit-learn's stochastic solvers, as this engine's optimizers.

Two details make them equal step by step. Its momentum is kept in units of the step, ``v = momentum v - lr g``, and not
of the gradient: where the learning rate changes, what was gathered keeps its size, so our buffer of gradients is scaled
by the old rate over the new one. And its Adam adds ``epsilon`` to the root of the second moment before the bias of that
is corrected, as in the last remark of section 2 of the paper.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..nn import Module
from ..optim import SGD, Adam, Optimizer
from ..optim.optimizer import Numbers, Steps
from ..tensor import Tensor

__all__ = ["AdamSolver", "SGDSolver", "Solver"]


class _LateEpsilonAdam(Adam):
    """Adam in the efficient form: ``p -= lr sqrt(1 - beta2**t) / (1 - beta1**t) * m / (sqrt(v) + eps)``.

    Source: Kingma & Ba, ICLR 2015, the end of section 2 (their "epsilon hat").
    """

    @classmethod
    def _numbers(cls, options: Mapping[str, Any], step: int | Steps) -> Numbers:
        rate, _, *rest = super()._numbers(options, step)
        return rate, options["eps"], *rest


class Solver(ABC):
    """An optimizer that outlives the net it trains: between fits it is plain numbers, to be copied and pickled.

    Attributes:
        learning_rate: the present one.
    """

    def __init__(self, learning_rate_init: float) -> None:
        self.learning_rate_init = learning_rate_init
        self.learning_rate = float(learning_rate_init)
        self._kept: dict[str, Any] | None = None

    def bind(self, net: Module) -> Optimizer:
        """An optimizer of the parameters of ``net`` that goes on where the last one stopped."""
        self._optimizer = self._made(net.parameters())
        if self._kept is not None:
            self._optimizer.load_state_dict(self._kept)
        return self._optimizer

    def release(self) -> None:
        """Let go of the net, and keep what the optimizer remembers."""
        self._kept = self._optimizer.state_dict()
        del self._optimizer

    def epoch_ends(self, samples: int) -> None:  # noqa: B027 - most schedules do nothing here
        """Change the learning rate after an epoch; ``samples`` were seen in all."""

    def stops(self, message: str, verbose: Any) -> bool:
        """Whether training ends when it does not get better any more; ``message`` says so."""
        if verbose:
            print(message + " Stopping.")
        return True

    @abstractmethod
    def _made(self, parameters: Iterable[Tensor]) -> Optimizer:
        """A fresh optimizer."""


class AdamSolver(Solver):
    """Adam."""

    def __init__(self, learning_rate_init: float, beta_1: float, beta_2: float, epsilon: float) -> None:
        super().__init__(learning_rate_init)
        self._options = {"betas": (beta_1, beta_2), "eps": epsilon}

    def _made(self, parameters: Iterable[Tensor]) -> Optimizer:
        return _LateEpsilonAdam(parameters, self.learning_rate, **self._options)  # type: ignore[arg-type]


class SGDSolver(Solver):
    """Stochastic gradient descent with momentum, and a schedule: constant, invscaling or adaptive."""

    def __init__(
        self, learning_rate_init: float, schedule: str, momentum: float, nesterovs_momentum: bool, power_t: float
    ) -> None:
        super().__init__(learning_rate_init)
        self.schedule, self.power_t = schedule, power_t
        # Without momentum there is nothing to look ahead with.
        self._options = {"momentum": momentum, "nesterov": bool(nesterovs_momentum and momentum)}

    def epoch_ends(self, samples: int) -> None:
        """With ``invscaling``: ``learning_rate_init / (samples + 1)**power_t``."""
        if self.schedule == "invscaling":
            self._change(float(self.learning_rate_init) / (samples + 1) ** self.power_t)

    def stops(self, message: str, verbose: Any) -> bool:
        """With ``adaptive``: not before the learning rate, divided by 5 each time, has come to 1e-6."""
        if self.schedule != "adaptive":
            return super().stops(message, verbose)
        if self.learning_rate <= 1e-6:
            return super().stops(message + " Learning rate too small.", verbose)
        self._change(self.learning_rate / 5.0)
        if verbose:
            print(message + f" Setting learning rate to {self.learning_rate:f}")
        return False

    def _change(self, rate: float) -> None:
        factor, self.learning_rate = self.learning_rate / rate, rate
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        for state in self._optimizer.state.values():
            buffer = state["momentum_buffer"]
            np.multiply(buffer, factor, out=buffer)

    def _made(self, parameters: Iterable[Tensor]) -> Optimizer:
        return SGD(parameters, self.learning_rate, **self._options)  # type: ignore[arg-type]
