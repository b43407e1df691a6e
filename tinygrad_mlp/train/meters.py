"""The loss and the metrics of one pass over the data, for one output or several."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np

from ..errors import ArgumentError, did_you_mean
from ..tape import Array
from .metrics import Metric, metric_of

__all__ = ["Meters", "outputs_of"]


def outputs_of(tree: Any) -> tuple[list[str], list[Any]]:
    """The names and the values of one output (no name), of several in a tuple (``output_0``, …) or in a dict.

    >>> outputs_of({"age": 1, "name": 2})
    (['age', 'name'], [1, 2])
    """
    if isinstance(tree, Mapping):
        return list(tree), list(tree.values())
    if isinstance(tree, (tuple, list)):
        return [f"output_{place}" for place in range(len(tree))], list(tree)
    return [""], [tree]


_ONE = [""]


class _Column(NamedTuple):
    """One metric of one output."""

    name: str
    place: int
    metric: Metric
    weighted: bool


class Meters:
    """The loss and the metrics of one pass over the data.

    Args:
        metrics: names, Metrics or functions for every output; with several outputs also a dict of lists by output, or a
            list of lists in the order of the outputs. Objects are patterns: every pass is measured with a fresh copy.
        reduction: that of the loss: ``"sum"``, else the loss of a batch is the mean over its samples.
        weighted: metrics that take the weights of the samples into account, given the same way.
        criteria: the losses, which can decide what a name means: one, or a list, tuple or dict of them by output.

    Attributes:
        loss: the sum of the losses so far. samples: how many have been seen.

    Raises:
        ArgumentError: an unknown name, twice the same, or metrics for outputs that do not exist.
    """

    def __init__(self, metrics: Any, reduction: str = "mean", weighted: Any = (), criteria: Any = None) -> None:
        self.loss = 0.0
        self.samples = 0
        self.weighs = reduction != "sum"
        self.parts: list[float] = []
        self.names: list[str] | None = None
        # Told of the outputs and targets of the first batch.
        self.first: Callable[[Any, Any], None] | None = None
        self._columns: list[_Column] = []
        self._given = [(_made(metrics, criteria), False), (_made(weighted, criteria), True)]
        if not isinstance(metrics, Mapping) and not _nested(metrics):
            self._settle([""])  # as long as nobody says otherwise there is one output
            self.names = None

    def fresh(self) -> Self:
        """The same meters, with nothing seen."""
        twin = copy.deepcopy(self)
        self.first = None  # the first pass looks, and no other
        twin.loss, twin.samples, twin.parts = 0.0, 0, []
        for one in twin._columns:
            one.metric.reset()
        return twin

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        twin = copy.copy(self)
        twin.parts = list(self.parts)
        twin._columns = [one._replace(metric=copy.deepcopy(one.metric, memo)) for one in self._columns]
        return twin

    @property
    def metrics(self) -> dict[str, Metric]:
        """The metrics by the names that they have in the logs."""
        return {one.name: one.metric for one in self._columns}

    def _settle(self, names: list[str]) -> None:
        """Give every output its metrics."""
        self.names = names
        self._columns = []
        for given, weighted in self._given:
            for place, some in enumerate(_by_output(given, names)):
                for metric in some:
                    name = f"{names[place]}_{metric.name}" if names[place] else metric.name
                    if name in self.metrics:
                        name = f"weighted_{name}" if weighted else name
                    if name in self.metrics:
                        raise ArgumentError(
                            f"two metrics are called {name!r}; give one of them another name: "
                            f"{type(metric).__name__}(name={name + '_2'!r})"
                        )
                    own = copy.deepcopy(metric)
                    own.reset()
                    self._columns.append(_Column(name, place, own, weighted))

    def update(self, loss: float, outputs: Any, targets: Any, weights: Any = None, parts: Sequence[float] = ()) -> None:
        """Take in one batch; a mean over the batch counts with the number of samples it is the mean of.

        Args:
            loss: of the batch. outputs, targets: arrays; several in tuples or dicts.
            weights: of the samples, an array or one per output. parts: the losses of the outputs, where there are
                several.
        """
        if self.first is not None:
            self._tell(outputs, targets)
        if isinstance(outputs, np.ndarray):
            names, found, wanted = _ONE, [outputs], [targets]
        else:
            names, found = outputs_of(outputs)
            wanted = aligned(names, targets, outputs)
        if names != self.names:
            if self.names is None and names == _ONE:
                self.names = names
            else:
                self._settle(names)
        samples = len(wanted[0])
        scale = samples if self.weighs else 1
        self.loss += loss * scale
        self.samples += samples
        if parts:
            self.parts = [a + b * scale for a, b in zip(self.parts or [0.0] * len(parts), parts, strict=True)]
        for one in self._columns:
            if one.weighted and weights is not None:
                mine = weights if isinstance(weights, np.ndarray) else aligned(names, weights, outputs)[one.place]
                one.metric.update(found[one.place], wanted[one.place], mine)
            else:
                one.metric.update(found[one.place], wanted[one.place])

    def update_many(self, losses: Array, outputs: Array, targets: Array) -> None:
        """Take in several batches of one size, of one output and without weights; the first axis counts them."""
        if self.first is not None:
            self._tell(outputs[0], targets[0])
        self.names = _ONE
        samples = targets.shape[1]
        for loss in losses.tolist():
            self.loss += loss * samples if self.weighs else loss
        self.samples += samples * len(losses)
        for one in self._columns:
            if one.metric.exact:
                one.metric.update(outputs.reshape(-1, *outputs.shape[2:]), targets.reshape(-1, *targets.shape[2:]))
            else:
                for some, truth in zip(outputs, targets, strict=True):
                    one.metric.update(some, truth)

    def _tell(self, outputs: Any, targets: Any) -> None:
        told, self.first = self.first, None
        if told is not None:
            told(outputs, targets)

    def results(self) -> dict[str, Any]:
        """The mean loss per sample, then those of the outputs, then the metrics."""
        samples = self.samples or float("nan")
        found: dict[str, Any] = {"loss": self.loss / samples}
        if self.parts and self.names:
            found |= {f"{name}_loss": part / samples for name, part in zip(self.names, self.parts, strict=True)}
        for one in self._columns:
            found[one.name] = one.metric.result()
        return found

    def state_dict(self) -> dict[str, Any]:
        """Everything seen, as plain data and arrays."""
        return {
            "loss": self.loss,
            "samples": self.samples,
            "parts": list(self.parts),
            "names": self.names,
            "metrics": {one.name: one.metric.state_dict() for one in self._columns},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state_dict` of equal meters gave."""
        self.loss, self.samples, self.parts = state["loss"], state["samples"], list(state["parts"])
        if state["names"] is not None and state["names"] != self.names:
            self._settle(list(state["names"]))
        for one in self._columns:
            one.metric.load_state_dict(state["metrics"][one.name])


def aligned(names: list[str], values: Any, outputs: Any) -> list[Any]:
    """One value per output: by name for a dict, else in order.

    Raises:
        ArgumentError: not as many, or other names.
    """
    if isinstance(outputs, Mapping) and isinstance(values, Mapping):
        if set(values) != set(names):
            raise ArgumentError(f"the model has the outputs {names}, and there are targets for {list(values)}")
        return [values[name] for name in names]
    if not isinstance(values, (tuple, list)) or len(values) != len(names):
        count = f"{len(values)}" if isinstance(values, (tuple, list, Mapping)) else "one array"
        kind = "dict by these names" if isinstance(outputs, Mapping) else "tuple"
        raise ArgumentError(
            f"the model has {len(names)} outputs ({', '.join(names)}), and there is {count} of targets; give a {kind}"
        )
    return list(values)


def _nested(given: Any) -> bool:
    return isinstance(given, (list, tuple)) and any(isinstance(one, (list, tuple)) for one in given)


def _listed(given: Any) -> list[Any]:
    return [given] if isinstance(given, (str, Metric)) or callable(given) else list(given or ())


def _made(given: Any, criteria: Any) -> Any:
    """Metrics in place of what stands for them, nested as they were given."""

    def of(some: Any, criterion: Any) -> list[Metric]:
        return [metric_of(one, criterion) for one in _listed(some)]

    if isinstance(given, Mapping):
        losses = criteria if isinstance(criteria, Mapping) else {}
        return {name: of(some, losses.get(name, criteria)) for name, some in given.items()}
    if _nested(given):
        each = list(criteria) if isinstance(criteria, (list, tuple)) else [criteria] * len(given)
        return [of(some, each[place] if place < len(each) else None) for place, some in enumerate(given)]
    return of(given, criteria)


def _by_output(given: Any, names: list[str]) -> Iterable[list[Metric]]:
    if isinstance(given, Mapping):
        for name in given:
            if name not in names:
                raise ArgumentError(f"metrics for an {did_you_mean('output', name, names)}")
        return [given.get(name, []) for name in names]
    if given and isinstance(given[0], list):
        if len(given) != len(names):
            raise ArgumentError(f"{len(given)} lists of metrics, but the model has {len(names)} outputs")
        return list(given)
    return [given] * len(names)
