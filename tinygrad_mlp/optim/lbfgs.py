"""L-BFGS: Newton's direction from the last steps and gradients, for full batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from ..capture import whole_step
from ..errors import ArgumentError, CaptureError
from ..tape import Array, wrote
from ..tensor import Tensor, enable_grad
from .line_search import Trial, strong_wolfe
from .optimizer import Optimizer, State, Update, plain, taken_in

__all__ = ["LBFGS"]


class LBFGS(Optimizer):
    """L-BFGS: a quasi-Newton method for smooth losses that are evaluated on all data, several times in one step.

    Each step asks the closure for loss and gradients up to ``max_eval`` times and moves up to ``max_iter`` times along
    ``d = -H g``, where ``H`` approximates the inverse Hessian from the last ``history_size`` pairs of moves ``s`` and
    changes of the gradient ``y``. Without a line search every move is ``lr * d`` (the first is shorter). Torch's
    arguments, defaults, stopping rules and state; equal to it step by step within rounding.

    Args:
        params: parameters in one group, see :class:`Optimizer`; those without a gradient stay.
        lr: the length of a move, or the first one that the line search tries. max_iter: moves per step.
        max_eval: evaluations per step, 1.25 * ``max_iter`` by default. tolerance_grad: stop where no element of the
            gradient is larger. tolerance_change: stop where neither loss nor a parameter changes by more.
        history_size: pairs kept. line_search_fn: None or ``"strong_wolfe"``, which is usually wanted.

    Raises:
        ArgumentError: an option out of range, more than one group.

    >>> from tinygrad_mlp import Tensor, optim
    >>> p = Tensor([-1.5, 2.0], requires_grad=True)
    >>> optimizer = optim.LBFGS([p], max_iter=100, line_search_fn="strong_wolfe")
    >>> def closure():  # Rosenbrock's valley, whose minimum is at (1, 1)
    ...     optimizer.zero_grad()
    ...     loss = (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2
    ...     loss.backward()
    ...     return loss
    >>> loss = optimizer.step(closure)
    >>> [round(one, 3) for one in p.tolist()]
    [1.0, 1.0]

    Source: Liu & Nocedal, Mathematical Programming 45, 1989; Nocedal & Wright, 2006, algorithm 7.5.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[Mapping[str, Any]],
        lr: float = 1.0,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        options = {
            "lr": lr,
            "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "history_size": history_size,
            "line_search_fn": line_search_fn,
        }
        super().__init__(params, options)

    def _checked(self, options: dict[str, Any]) -> dict[str, Any]:
        for name in ("max_iter", "max_eval", "history_size"):
            if not isinstance(options[name], (int, np.integer)) or options[name] < 1:
                raise ArgumentError(f"LBFGS: {name} is a positive integer, got {options[name]!r}; say {name}=20")
            options[name] = int(options[name])
        if options["line_search_fn"] not in {None, "strong_wolfe"}:
            raise ArgumentError(
                f"LBFGS: line_search_fn is None or 'strong_wolfe', got {options['line_search_fn']!r}; "
                "say line_search_fn='strong_wolfe'"
            )
        return plain("LBFGS", options, ("lr", "tolerance_grad", "tolerance_change"), ())

    def add_param_group(self, group: Any) -> None:
        """Take the one group of parameters.

        Raises:
            ArgumentError: there is a group already, or as for :class:`Optimizer`.
        """
        if self.param_groups:
            raise ArgumentError("LBFGS has one group, for all parameters move together; say LBFGS(model.parameters())")
        super().add_param_group(group)

    def updates(self) -> list[Update]:
        """Not for this method, whose step evaluates the loss again and again.

        Raises:
            CaptureError: always.
        """
        raise CaptureError(
            "LBFGS evaluates the loss several times in a step and decides from the results how to go on, which no "
            "compiled step can do; call optimizer.step(closure) outside, and compile what the closure computes"
        )

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move up to ``max_iter`` times.

        Args:
            closure: clears the gradients, computes the loss and its gradients, and returns the loss. Runs with
                recording on.

        Returns:
            The loss that the closure returned first.

        Raises:
            ArgumentError: no closure. CaptureError: inside a step that is being compiled.
        """
        if whole_step() is not None:
            self.updates()
        if closure is None:
            raise ArgumentError(
                "LBFGS evaluates the loss several times in a step: say optimizer.step(closure), where closure() calls "
                "optimizer.zero_grad() and loss.backward(), and returns the loss"
            )
        self._stepped = True
        options = self._plan_of(0)[1]
        state = self._slots[0][0][1]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        return _Descent(self, options, state, closure).run()

    def _fitting_entry(
        self,
        where: str,
        entry: Any,
        parameter: Tensor,
        options: Mapping[str, Any],  # noqa: ARG002 - the state is the same whatever they are
        faults: list[str],
    ) -> State:
        """The state, which the first parameter has for all."""
        if not isinstance(entry, Mapping) or (entry and parameter is not self.param_groups[0]["params"][0]):
            faults.append(
                f"{where}: expected {'nothing' if isinstance(entry, Mapping) else 'a dictionary'}, got {entry!r}"
            )
            return {}
        entry = {name: _taken_in(value) for name, value in entry.items() if name != "al"}
        unknown = sorted(set(entry) - set(_KINDS), key=str)
        faults += [f"{where}: {name!r} unexpected" for name in unknown]
        size = sum(one.size for one in self.param_groups[0]["params"])
        kept: State = {}
        for name, kind in _KINDS.items():
            if name not in entry:
                continue
            values = entry[name] if kind.endswith("s") else [entry[name]]
            flat = kind.startswith("vector")
            if not isinstance(values, list) or any(
                not isinstance(one, np.ndarray) or one.shape != ((size,) if flat else ()) for one in values
            ):
                faults.append(f"{where}: {name!r}: expected {kind}{f' of {size} elements' if flat else ''}")
                continue
            made = [one if flat else one.item() for one in values]
            kept[name] = made if kind.endswith("s") else int(made[0]) if kind == "count" else made[0]
        return kept


_KINDS = {
    "func_evals": "count",
    "n_iter": "count",
    "d": "vector",
    "t": "number",
    "old_dirs": "vectors",
    "old_stps": "vectors",
    "ro": "numbers",
    "H_diag": "number",
    "prev_flat_grad": "vector",
    "prev_loss": "number",
}
"""What the state holds, by torch's names: changes of the gradient are ``old_dirs``, moves ``old_stps``."""


def _taken_in(one: Any) -> Any:
    if isinstance(one, (list, tuple)):
        return [_taken_in(each) for each in one]
    return taken_in(one)


class _Descent:
    """One call of ``step``: the moves and the memory that they read and write."""

    def __init__(self, owner: LBFGS, options: Mapping[str, Any], state: State, closure: Callable[[], Any]) -> None:
        self._parameters: list[Tensor] = owner.param_groups[0]["params"]
        self._what = owner._what
        self._options = options
        self._state = state
        self._closure = closure
        self._evaluations = 0

    def run(self) -> Any:
        options, state = self._options, self._state
        first, loss, gradient = self._evaluate()
        if _largest(gradient) <= options["tolerance_grad"]:
            return first
        for number in range(1, options["max_iter"] + 1):
            state["n_iter"] += 1
            direction = self._direction(gradient)
            state["d"], state["prev_flat_grad"], state["prev_loss"] = direction, gradient, loss
            t = options["lr"]
            if state["n_iter"] == 1:
                t *= min(1.0, 1.0 / float(np.abs(gradient).sum()))
            slope = float(gradient @ direction)
            state["t"] = t
            if slope > -options["tolerance_change"]:
                break
            before = loss
            here = self._move(Trial(0.0, loss, gradient, slope), direction, t, last=number == options["max_iter"])
            loss, gradient, state["t"] = here.loss, here.gradient, here.t
            if (
                self._evaluations >= options["max_eval"]
                or _largest(gradient) <= options["tolerance_grad"]
                or _largest(direction * here.t) <= options["tolerance_change"]
                or abs(loss - before) < options["tolerance_change"]
            ):
                break
        return first

    def _evaluate(self) -> tuple[Any, float, Array]:
        """What the closure returns, as it is and as a number, and the gradient of all parameters."""
        self._evaluations += 1
        self._state["func_evals"] += 1
        with enable_grad():
            given = self._closure()
        parts = [
            np.zeros(one.size, one.dtype) if one.grad is None else one.grad.data.reshape(-1) for one in self._parameters
        ]
        return given, float(given.item() if isinstance(given, Tensor) else given), np.concatenate(parts)

    def _direction(self, gradient: Array) -> Array:
        """``-H g``, with ``H`` from the pairs remembered. The newest pair is that of the move before."""
        state = self._state
        if state["n_iter"] == 1:
            state["old_dirs"], state["old_stps"], state["ro"], state["H_diag"] = [], [], [], 1.0
            return -gradient
        changes, moves, weights = state["old_dirs"], state["old_stps"], state["ro"]
        change, move = gradient - state["prev_flat_grad"], state["d"] * state["t"]
        product = float(change @ move)
        if product > 1e-10:
            if len(changes) == self._options["history_size"]:
                del changes[0], moves[0], weights[0]
            changes.append(change)
            moves.append(move)
            weights.append(1.0 / product)
            state["H_diag"] = product / float(change @ change)
        found = -gradient
        shares = []
        for change, move, weight in zip(reversed(changes), reversed(moves), reversed(weights), strict=True):
            shares.append(float(move @ found) * weight)
            found -= shares[-1] * change
        found *= state["H_diag"]
        for change, move, weight, share in zip(changes, moves, weights, reversed(shares), strict=True):
            found += (share - float(change @ found) * weight) * move
        return found

    def _move(self, start: Trial, direction: Array, t: float, *, last: bool) -> Trial:
        """Move the parameters along the direction; the point reached, as far as it is known."""
        if self._options["line_search_fn"] is None:
            self._add(direction, t)
            if last:  # with random batches there is no use for the loss where the next step will ask again
                return start._replace(t=t)
            _, loss, gradient = self._evaluate()
            return Trial(t, loss, gradient, 0.0)
        kept = [one.data.copy() for one in self._parameters]

        def evaluate(distance: float) -> Trial:
            self._add(direction, distance)
            _, loss, gradient = self._evaluate()
            for one, data in zip(self._parameters, kept, strict=True):
                np.copyto(one.data, data)
            wrote(self._what, *[one.data for one in self._parameters])
            return Trial(distance, loss, gradient, float(gradient @ direction))

        limit = self._options["max_eval"] - self._evaluations
        here = strong_wolfe(evaluate, start, t, _largest(direction), 1e-9, limit)
        self._add(direction, here.t)
        return here

    def _add(self, direction: Array, t: float) -> None:
        start = 0
        for one in self._parameters:
            part = direction[start : start + one.size].reshape(one.shape)
            np.add(one.data, t * part, out=one.data, casting="same_kind")
            start += one.size
        wrote(self._what, *[one.data for one in self._parameters])


def _largest(vector: Array) -> float:
    return float(np.abs(vector).max(initial=0.0))
