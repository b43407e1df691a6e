"""Who takes part in a comparison of training steps, and how each is set going on a workload.

A contender is one function of a module in ``peers``, or of ``engine.py`` for tinygrad_mlp. It is either a step, called
with one batch, or an epoch, called with the whole stack of batches. All go round the same stack.
"""

from __future__ import annotations

import dataclasses
import importlib
import itertools
import platform
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from harness import NOT_INSTALLED, has
from workloads import TextWorkload, Workload

__all__ = [
    "CONTENDERS",
    "NAMES",
    "OURS",
    "PEERS",
    "REFERENCE",
    "Contender",
    "Runner",
    "make_runner",
    "reason_against",
    "tolerance",
]

REFERENCE = "NumPy"
# With SGD a loss may be this far from that of hand-written NumPy in double precision. Adam divides by the size of the
# gradient: rounding of a gradient near 0 becomes a whole step, so that the tolerance is wider.
SGD_TOLERANCE = 1e-4


@dataclasses.dataclass(frozen=True)
class Contender:
    """One column of the tables.

    Attributes:
        name: its heading. module, maker: where ``make(workload, optimizer, dtype)`` is found.
        needs: the library that has to be installed. epochs: whether it takes a stack of batches at once.
        ours: whether it is tinygrad_mlp. text: whether it can do the LSTM.
        stepper: for an epoch that gives no loss per step: the maker of steps with which its losses are checked.
        adam_tolerance: how far its losses with Adam may be from the reference's.
        slow: left out with ``--quick``, because starting it takes long.
    """

    name: str
    module: str
    maker: str = "make_step"
    needs: str = "numpy"
    epochs: bool = False
    ours: bool = False
    text: bool = True
    stepper: str | None = None
    adam_tolerance: float = 2e-3
    slow: bool = False


CONTENDERS = (
    Contender("eager", "engine", ours=True),
    Contender("replay", "engine", "make_replay", ours=True),
    Contender("native", "engine", "make_native", ours=True),
    Contender("native epoch", "engine", "make_native_epoch", epochs=True, ours=True),
    Contender(REFERENCE, "peers.plain_numpy"),
    Contender("torch", "peers.pytorch", needs="torch"),
    Contender("torch.compile", "peers.pytorch", "make_compiled", needs="torch", text=False, slow=True),
    Contender("jax.jit", "peers.jax_steps", needs="jax"),
    Contender("jax scan", "peers.jax_steps", "make_epoch", needs="jax", epochs=True),
    # Its epsilon is added before the bias correction: other numbers for gradients near 0, in double precision too.
    Contender(
        "sklearn",
        "peers.scikit_learn",
        "make_epoch",
        needs="sklearn",
        epochs=True,
        text=False,
        stepper="make_step",
        adam_tolerance=2e-2,
    ),
    Contender("autograd", "peers.hips_autograd", needs="autograd", text=False),
    Contender("mygrad", "peers.my_grad", needs="mygrad", text=False),
)
NAMES = tuple(one.name for one in CONTENDERS)
OURS = tuple(one.name for one in CONTENDERS if one.ours)
PEERS = tuple(one.name for one in CONTENDERS if not one.ours)


def reason_against(contender: Contender, workload: Workload | TextWorkload, *, quick: bool = False) -> str | None:
    """Why it does not take part, in a word for its cell; None if it does."""
    if not has(contender.needs):
        return NOT_INSTALLED
    if contender.ours and contender.maker != "make_step" and not importlib.import_module("engine").compiles():
        return "not yet"
    if isinstance(workload, TextWorkload) and not contender.text:
        return "-"
    if quick and contender.slow:
        return "not quick"
    if contender.name == "torch.compile" and platform.system() == "Windows":
        return "no compiler"
    return None


def tolerance(contender: Contender, optimizer: str) -> float:
    """The largest relative difference of a loss that counts as the same work."""
    return SGD_TOLERANCE if optimizer == "SGD" else contender.adam_tolerance


class Runner:
    """A contender on a workload: ``run()`` does ``steps`` training steps; `losses` are those of the next steps."""

    def __init__(
        self, work: Callable[..., Any], stack: tuple[Any, Any], *, epochs: bool, check: Callable[..., Any] | None = None
    ) -> None:
        size = len(stack[0])
        self.steps = size if epochs else 1
        self._work, self._stack, self._epochs, self._check = work, stack, epochs, check
        # In one list, so that going round costs one call of a built-in function.
        self._batches: Iterable[Any] = itertools.cycle([(stack[0][i], stack[1][i]) for i in range(size)])
        self.run: Callable[[], Any] = self._run_epoch if epochs else self._run_step

    def _run_epoch(self) -> Any:
        return self._work(*self._stack)

    def _run_step(self) -> Any:
        return self._work(*next(self._batches))  # type: ignore[call-overload]

    def losses(self, count: int) -> list[float]:
        """The losses of ``count`` steps from the starting weights; a Runner that has run goes on from where it is."""
        if self._epochs and self._check is None:
            rounds = -(-count // self.steps)
            found = [float(loss) for _ in range(rounds) for loss in np.asarray(self._run_epoch())]
            return found[:count]
        step = self._check or self._work
        places = itertools.islice(itertools.cycle(range(len(self._stack[0]))), count)
        return [float(step(self._stack[0][i], self._stack[1][i]).item()) for i in places]


def make_runner(
    contender: Contender, workload: Workload | TextWorkload, optimizer: str, dtype: Any = np.float32
) -> Runner:
    """Set one going: from the workload's starting weights, its batches where the library wants them."""
    module = importlib.import_module(contender.module)
    prepare = getattr(module, "prepare", lambda values: values)
    stack = tuple(prepare(values) for values in workload.batches(dtype))
    check = getattr(module, contender.stepper)(workload, optimizer, dtype) if contender.stepper else None
    work = getattr(module, contender.maker)(workload, optimizer, dtype)
    return Runner(work, (stack[0], stack[1]), epochs=contender.epochs, check=check)
