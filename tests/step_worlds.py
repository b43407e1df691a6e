"""Two equal worlds, one stepping eagerly and one compiled, and what must be equal in them after every call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

import tinygrad_mlp as tg
from tinygrad_mlp import Tensor, nn, optim
from tinygrad_mlp.tape import wrap
from tinygrad_mlp.tree import flatten, unflatten

__all__ = ["TOLERANCE", "Twins", "agree", "classifier", "given", "network", "snapshot"]

Array = np.ndarray[Any, Any]
# Native code against NumPy: relative to 1 plus the largest magnitude in the array.
TOLERANCE = {"float64": 1e-9, "float32": 1e-4}


def network(*, dtype: Any = np.float32, dropout: float = 0.0) -> nn.Module:
    """Three numbers in, four logits out; equal numbers in every call."""
    layers: list[nn.Module] = [nn.Linear(3, 5, seed=1, dtype=dtype), nn.Tanh()]
    if dropout:
        layers.append(nn.Dropout(dropout, seed=2))
    return nn.Sequential(*layers, nn.Linear(5, 4, seed=3, dtype=dtype))


def classifier(
    optimizer: Callable[[Any], optim.Optimizer] = lambda parameters: optim.SGD(parameters, lr=0.1),
    *,
    dtype: Any = np.float32,
    dropout: float = 0.0,
    clear: str = "first",
) -> Callable[[], SimpleNamespace]:
    """Makes worlds with a model, an optimizer and ``step(x, y)``, which gives logits and loss."""

    def make() -> SimpleNamespace:
        model = network(dtype=dtype, dropout=dropout)
        rule = optimizer(model.parameters())
        criterion = nn.CrossEntropyLoss()

        def step(x: Any, y: Any) -> Any:
            if clear == "first":
                rule.zero_grad()
            logits = model(x)
            loss = criterion(logits, y)
            loss.backward()
            rule.step()
            if clear == "last":
                rule.zero_grad()
            return {"logits": logits, "loss": loss}

        return SimpleNamespace(model=model, optimizer=rule, step=step, watched=list(model.parameters()))

    return make


def given(number: int, rows: int = 6, dtype: Any = np.float32) -> tuple[Array, Array]:
    """A batch for the classifier: values and class ids."""
    rng = np.random.default_rng([5, number])
    return rng.normal(size=(rows, 3)).astype(dtype), rng.integers(0, 4, rows)


def _plain(one: Any) -> Any:
    if isinstance(one, Tensor):
        return one.data.copy("K")
    return one.copy("K") if isinstance(one, np.ndarray) else one


def _as_tensors(tree: Any) -> Any:
    """Arrays as tensors on the same memory, one for each array: so they arrive in a compiled function."""
    leaves, shape = flatten(tree)
    made = {id(one): wrap(Tensor, one) for one in leaves if isinstance(one, np.ndarray)}
    return unflatten(shape, [made.get(id(one), one) for one in leaves])


def snapshot(world: SimpleNamespace, *, gradients: bool = True) -> dict[str, Any]:
    """Copies of all that a step may change."""
    found: dict[str, Any] = {}
    for place, one in enumerate(world.watched):
        found[f"parameter {place}"] = _plain(one)
        if gradients:
            found[f"gradient of parameter {place}"] = None if one.grad is None else _plain(one.grad)
    optimizers = world.optimizer if isinstance(world.optimizer, list) else [world.optimizer]
    for number, optimizer in enumerate(optimizers):
        for key, state in ({} if optimizer is None else optimizer.state_dict()["state"]).items():
            found |= {f"{name} of parameter {key} in optimizer {number}": _plain(one) for name, one in state.items()}
    return found


def _bits(array: Array) -> bytes:
    """The bytes, with one for every NaN: which of two NaN a sum gives depends on where the arrays lie in memory."""
    if array.dtype.kind != "f":
        return array.tobytes()
    return np.where(np.isnan(array), np.array(np.nan, array.dtype), array).tobytes()


def agree(mine: Any, right: Any, what: str, *, exact: bool, tolerance: float = 0.0) -> None:
    """Equal in kind, shape, dtype, and in every bit or within the tolerance (if larger: that of its dtype)."""
    if not isinstance(right, np.ndarray):
        assert not isinstance(mine, np.ndarray), f"{what}: {mine!r} instead of {right!r}"
        assert mine == right, f"{what}: {mine!r} instead of {right!r}"
        return
    assert isinstance(mine, np.ndarray), f"{what}: {mine!r} instead of {right!r}"
    assert (mine.shape, mine.dtype) == (right.shape, right.dtype), f"{what}: {mine!r} instead of {right!r}"
    if exact or right.dtype.kind != "f":
        assert _bits(mine) == _bits(right), f"{what}, as bytes: {mine!r} instead of {right!r}"
        return
    finite = np.isfinite(right)
    np.testing.assert_array_equal(mine[~finite], right[~finite], err_msg=what)
    scale = 1.0 + np.abs(right[finite]).max(initial=0.0)
    worst = np.abs(mine[finite].astype(np.float64) - right[finite]).max(initial=0.0)
    assert worst <= max(tolerance, TOLERANCE[right.dtype.name]) * scale, (
        f"{what}, error {worst:.1e}: {mine!r} instead of {right!r}"
    )


class Twins:
    """A world that steps eagerly and its twin, which is compiled."""

    def __init__(
        self, make: Callable[[], SimpleNamespace], backend: Any, *, gradients: bool = True, tolerance: float = 0.0
    ) -> None:
        self.tolerance = tolerance
        self.backend = backend
        self.gradients = gradients
        self.eager = make()
        self.compiled = make()
        self.step = tg.compile(self.compiled.step, backend=backend, keep_gradients=gradients)
        self.held: list[tuple[Array, bytes]] = []
        self.count = 0

    def both(self, change: Callable[[SimpleNamespace], Any]) -> None:
        """The same change to both."""
        change(self.eager)
        change(self.compiled)

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """One call of each, which must agree in all that is returned, raised and changed."""
        self.count += 1
        right = mine = None
        error: BaseException | None = None
        try:
            positional, named = _as_tensors((args, kwargs))
            right = self.eager.step(*positional, **named)
        except Exception as raised:  # noqa: BLE001 - the twin must raise the same
            error = raised
        try:
            mine = self.step(*args, **kwargs)
        except Exception as raised:
            if type(raised) is type(error):
                return None
            raise
        assert error is None, f"the compiled step did not raise {error!r}"
        self.check(mine, right, args)
        return mine

    def check(self, mine: Any, right: Any, args: Sequence[Any] = ()) -> None:
        """Results, parameters, gradients and optimizer state are equal, and results share no memory."""
        exact = self.backend == "replay"
        leaves, shape = flatten(mine)
        others, other_shape = flatten(right)
        assert shape == other_shape
        arrays = []
        for place, (one, other) in enumerate(zip(leaves, others, strict=True)):
            if isinstance(other, Tensor) and not any(one is mine for mine in self.compiled.watched):
                assert type(one) is Tensor
                assert not one.requires_grad
                arrays.append(one.data)
            agree(_plain(one), _plain(other), f"result {place}", exact=exact, tolerance=self.tolerance)
        self.check_state()
        fixed = [one.data for one in self.compiled.watched]
        fixed += [one.grad.data for one in self.compiled.watched if one.grad is not None]
        fixed += [
            one.data if isinstance(one, Tensor) else one for one in flatten(list(args))[0] if hasattr(one, "data")
        ]
        fixed += [array for array, _ in self.held]
        for place, one in enumerate(arrays):
            for other in [*fixed, *arrays[:place]]:
                if isinstance(other, np.ndarray):
                    assert not np.shares_memory(one, other), f"result {place} shares memory"
        self.held += [(one, one.tobytes()) for one in arrays]
        for array, kept in self.held:
            assert array.tobytes() == kept, "an earlier result was overwritten"

    def check_state(self) -> None:
        """Parameters, gradients and optimizer state are equal."""
        exact = self.backend == "replay"
        mine, right = (snapshot(one, gradients=self.gradients) for one in (self.compiled, self.eager))
        assert mine.keys() == right.keys()
        for name, value in right.items():
            agree(mine[name], value, name, exact=exact, tolerance=self.tolerance)

    def calls(self, batches: Iterable[Sequence[Any]]) -> None:
        """Several calls."""
        for batch in batches:
            self.call(*batch)

    @property
    def captures(self) -> int:
        """How often the function was captured."""
        return len(self.step.captures)
