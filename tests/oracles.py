"""Random expression graphs, computed by this engine, by PyTorch and by JAX: value, gradient, JVP and HVP must agree.

One description of a graph (``random_graphs``), one table of operations, three evaluators that give the table's names
their meaning. Every library differentiates in its own ways: PyTorch forward by its own forward mode and twice backward;
JAX forward, and forward over reverse; this engine by ``backward()``, ``func.jvp`` and ``func.hvp``.

    python tests/oracles.py --graphs 10000 --workers 2

What counts as an error: the largest difference between two arrays, divided by 1 plus the largest magnitude that the
other library has in that quantity (value, gradients of all leaves, JVP, HVPs of all leaves). All is float64.
Points where two branches of a function meet are avoided: every operation with a kink first adds an offset of its own,
which is no sum of the others. At the kinks themselves the page docs/kinks.md holds, not another library.
"""

from __future__ import annotations

import argparse
import functools
import math
import multiprocessing
import os
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
from random_graphs import Step, Table, as_text, random_program, run

from tinygrad_mlp import Tensor, func, ops

__all__ = ["LIBRARIES", "SHARED", "TOLERANCE", "Graph", "Tally", "compare", "draw", "ours"]

TOLERANCE = 1e-10

# Closed under broadcasting, and few: JAX compiles each of its own operations once per shape.
SHAPES = [(), (3,), (1, 3), (3, 1), (3, 3), (2, 1, 3), (2, 3, 1), (2, 3, 3)]
LEAVES = [(), (3,), (1, 3), (3, 1), (3, 3), (3, 3), (3, 3), (2, 3, 3), (2, 1, 3)]


# --- operations -----------------------------------------------------------------------------------


def _off(pick: int) -> float:
    """An offset that no other line cancels, by which values stay away from the places where branches meet."""
    return 0.05 * float(np.sqrt(pick + 2.0)) - 0.17


@functools.cache
def _noise(shape: tuple[int, ...], pick: int) -> Any:
    """A constant of this shape, its elements far apart from each other; the same for the same arguments."""
    values = np.random.default_rng([pick, *shape]).permutation(np.linspace(-1.0, 1.0, math.prod(shape)))
    return np.asarray(values.reshape(shape) + _off(pick))


def _spread(m: Any, p: int, a: Any) -> Any:
    """``a`` plus a constant: without equal elements, which would tie."""
    return a + m.constant(_noise(tuple(a.shape), p))


def _axis(p: int, a: Any) -> int:
    if not a.shape:
        raise ValueError("a number has no axis")
    return p % len(a.shape)


def _several(p: int, a: Any) -> int:
    axis = _axis(p, a)
    if a.shape[axis] < 2:
        raise ValueError("one number does not vary")
    return axis


@functools.cache
def _rows(p: int) -> Any:
    return np.array([p % 3, (p // 3) % 3, p % 3])


@functools.cache
def _mask(p: int) -> Any:
    mask = np.zeros(9, bool)
    mask[np.random.default_rng(p).permutation(9)[:3]] = True
    return mask.reshape(3, 3)


def _reduction(p: int) -> str:
    return ("mean", "sum", "none")[p % 3]


def _equal(a: Any, b: Any) -> None:
    if a.shape != b.shape:
        raise ValueError("one shape is needed")


def _loss(name: str, m: Any, p: int, a: Any, b: Any) -> Any:
    _equal(a, b)
    return getattr(m, name)(a, b, _reduction(p))


def _class_ids(m: Any, p: int, a: Any) -> Any:
    if len(a.shape) != 2:
        raise ValueError("rows of logits")
    return m.cross_entropy(a, np.array([(p + 2 * i) % a.shape[1] for i in range(a.shape[0])]), _reduction(p))


EINSUMS = {
    1: ["ij->ji", "ij->i", "ii->i", "bij->ij", "i->", "bij->bji"],
    2: ["ij,jk->ik", "ij,ij->i", "ij,kj->ki", "i,j->ij", "bij,jk->bik", "bij,bij->ij", "i,i->", "bij,bkj->ik"],
}


# m gives the names their meaning, p varies the operation. A line that a shape does not suit raises, and is not drawn.
SHARED: Table = {
    "add": (2, lambda m, p, a, b: a + b),
    "sub": (2, lambda m, p, a, b: a - b),
    "mul": (2, lambda m, p, a, b: m.tanh(a) * b),
    "div": (2, lambda m, p, a, b: a / (b * b + 1.5)),
    "neg": (1, lambda m, p, a: -a),
    "scale": (1, lambda m, p, a: (0.5 + p / 64) * a),
    "constant": (1, lambda m, p, a: _spread(m, p, a)),
    "square": (1, lambda m, p, a: m.square(m.tanh(a))),
    "sqrt": (1, lambda m, p, a: m.sqrt(a * a + 0.5)),
    "pow_number": (1, lambda m, p, a: (m.tanh(a) + 1.5) ** [0.5, 2, -1, 3, -0.7, 1.3][p % 6]),
    "pow": (2, lambda m, p, a, b: m.pow(m.tanh(a) + 1.5, m.tanh(b))),
    "abs": (1, lambda m, p, a: m.abs(a + _off(p))),
    "sign": (1, lambda m, p, a: a * m.sign(a + _off(p))),
    "maximum": (2, lambda m, p, a, b: m.maximum(a, b + _off(p))),
    "minimum": (2, lambda m, p, a, b: m.minimum(a + _off(p), b)),
    "clamp": (1, lambda m, p, a: m.clamp(a + _off(p), -0.7, 0.9)),
    "where": (2, lambda m, p, a, b: m.where(a > _off(p), b, m.tanh(a))),
    "where_mask": (2, lambda m, p, a, b: m.where(m.constant(_mask(p)), a, b)),
    "exp": (1, lambda m, p, a: m.exp(m.tanh(a))),
    "expm1": (1, lambda m, p, a: m.expm1(m.tanh(a))),
    "log": (1, lambda m, p, a: m.log(a * a + 1.0)),
    "log1p": (1, lambda m, p, a: m.log1p(a * a)),
    "sin": (1, lambda m, p, a: m.sin(a)),
    "cos": (1, lambda m, p, a: m.cos(a)),
    "tan": (1, lambda m, p, a: m.tan(m.tanh(a))),
    "tanh": (1, lambda m, p, a: m.tanh(a)),
    "relu": (1, lambda m, p, a: m.relu(a + _off(p))),
    "leaky_relu": (1, lambda m, p, a: m.leaky_relu(a + _off(p), [0.01, 0.2][p % 2])),
    "sigmoid": (1, lambda m, p, a: m.sigmoid(a)),
    "silu": (1, lambda m, p, a: m.silu(a)),
    "softplus": (1, lambda m, p, a: m.softplus(a)),
    "gelu": (1, lambda m, p, a: m.gelu(a, ["none", "tanh"][p % 2])),
    "sum": (1, lambda m, p, a: m.tanh(m.sum(a, _axis(p, a), keepdims=p >= 16))),
    "sum_all": (1, lambda m, p, a: m.tanh(m.sum(a))),
    "mean": (1, lambda m, p, a: m.mean(a, _axis(p, a), keepdims=p >= 16)),
    "var": (1, lambda m, p, a: m.tanh(m.var(_spread(m, p, a), _several(p, a), p % 2, p >= 16))),
    "std": (1, lambda m, p, a: m.std(_spread(m, p, a), _several(p, a), p % 2, p >= 16)),
    "prod": (1, lambda m, p, a: m.prod(m.tanh(_spread(m, p, a)), _axis(p, a), keepdims=p >= 16)),
    "amax": (1, lambda m, p, a: m.amax(_spread(m, p, a), _axis(p, a), keepdims=p >= 16)),
    "amin": (1, lambda m, p, a: m.amin(_spread(m, p, a), _axis(p, a), keepdims=p >= 16)),
    "logsumexp": (1, lambda m, p, a: m.logsumexp(a, _axis(p, a), keepdims=p >= 16)),
    "softmax": (1, lambda m, p, a: m.softmax(a, _axis(p, a))),
    "log_softmax": (1, lambda m, p, a: m.log_softmax(m.tanh(a), _axis(p, a))),
    "matmul": (2, lambda m, p, a, b: m.matmul(m.tanh(a), b) * 0.5),
    "linear": (2, lambda m, p, a, b: m.linear(m.tanh(a), b, b[0]) * 0.5),
    "linear_without_bias": (2, lambda m, p, a, b: m.linear(m.tanh(a), b) * 0.5),
    "outer": (2, lambda m, p, a, b: m.outer(m.tanh(a), b)),
    "einsum": (1, lambda m, p, a: m.einsum(EINSUMS[1][p % 6], m.tanh(a))),
    "einsum_pair": (2, lambda m, p, a, b: m.einsum(EINSUMS[2][p % 8], m.tanh(a), b) * 0.5),
    "transpose": (1, lambda m, p, a: m.swap(a, -1, -2)),
    "permute": (1, lambda m, p, a: m.permute(a, [(0, 2, 1), (0, 1, 2)][p % 2])),
    "reshape": (1, lambda m, p, a: m.reshape(a, [(3,), (3, 1), (1, 3), (3, 3), (2, 1, 3), (2, 3, 1)][p % 6])),
    "flatten": (1, lambda m, p, a: m.flatten(a)),
    "squeeze": (1, lambda m, p, a: m.squeeze(a, p % 3 - 1)),
    "unsqueeze": (1, lambda m, p, a: m.unsqueeze(a, p % 3)),
    "expand": (1, lambda m, p, a: m.expand(a, [(3, 3), (2, 3, 3)][p % 2])),
    "cat": (2, lambda m, p, a, b: m.cat([a, b, a], p % 2)[p % 3 : p % 3 + [3, 2][p % 2]]),
    "stack": (2, lambda m, p, a, b: m.stack([a, b, a][: 2 + p % 2], p % (len(a.shape) + 1))),
    "element": (1, lambda m, p, a: a[..., p % 3]),
    "slice": (1, lambda m, p, a: a[p % 2 : p % 2 + 1]),
    "new_axis": (1, lambda m, p, a: a[None] if p % 2 else a[:, None]),
    "reverse": (1, lambda m, p, a: m.reverse(a)),
    "repeated_rows": (1, lambda m, p, a: a[m.constant(_rows(p))] * 0.5),
    "repeated_columns": (1, lambda m, p, a: a[..., m.constant(_rows(p))]),
    "repeated_places": (1, lambda m, p, a: a[m.constant(_rows(p)), m.constant(_rows(p // 2))]),
    "masked": (1, lambda m, p, a: a[m.constant(_mask(p))]),
    "detach": (2, lambda m, p, a, b: m.detach(m.tanh(a)) * b),
    "cross_entropy": (1, _class_ids),
    "cross_entropy_soft": (
        2,
        lambda m, p, a, b: m.cross_entropy(m.rows(a, b), m.softmax(b, 1), _reduction(p)),
    ),
    "binary_cross_entropy": (2, lambda m, p, a, b: _loss("binary_cross_entropy", m, p, a, m.sigmoid(b))),
    "mse_loss": (2, lambda m, p, a, b: m.tanh(_loss("mse_loss", m, p, a, b))),
}
"""What this engine, PyTorch and JAX all have. Values stay moderate, so that 40 lines in a row stay well conditioned."""


def _matrices(a: Any, b: Any) -> Any:
    _equal(a, b)
    if len(a.shape) != 2:
        raise ValueError("rows of logits")
    return a


# --- three evaluators -----------------------------------------------------------------------------


def _names_of_ours() -> Any:
    own = {name: getattr(ops, name) for name in ops.__all__}
    return SimpleNamespace(
        **{
            **own,
            "binary_cross_entropy": lambda a, b, how: ops.binary_cross_entropy_with_logits(a, b, reduction=how),
            "constant": lambda array: array,
            "cross_entropy": lambda a, b, how: ops.cross_entropy(a, b, reduction=how),
            "detach": lambda a: a.detach() if isinstance(a, Tensor) else a,
            "mse_loss": lambda a, b, how: ops.mse_loss(a, b, reduction=how),
            "reverse": lambda a: a[::-1],
            "rows": _matrices,
            "std": lambda a, axis, correction, keepdims: ops.std(a, axis, correction=correction, keepdims=keepdims),
            "swap": ops.transpose,
            "var": lambda a, axis, correction, keepdims: ops.var(a, axis, correction=correction, keepdims=keepdims),
        }
    )


@functools.cache
def _names_of_torch() -> Any:
    import torch
    from torch.nn import functional

    same = "abs cos exp expm1 flatten log log1p matmul maximum minimum outer permute pow sigmoid sign sin sqrt square "
    same += "softmax squeeze sum tan tanh unsqueeze where amax amin logsumexp log_softmax relu einsum cat stack mean "
    same += "prod clamp reshape"
    return SimpleNamespace(
        **{
            **{name: getattr(torch, name) for name in same.split()},
            "binary_cross_entropy": lambda a, b, how: functional.binary_cross_entropy_with_logits(a, b, reduction=how),
            "constant": torch.from_numpy,
            "cross_entropy": lambda a, b, how: functional.cross_entropy(
                a, torch.from_numpy(b) if isinstance(b, np.ndarray) else b, reduction=how
            ),
            "detach": torch.Tensor.detach,
            "expand": torch.Tensor.expand,
            "gelu": lambda a, how: functional.gelu(a, approximate=how),
            "leaky_relu": functional.leaky_relu,
            "linear": functional.linear,
            "mse_loss": lambda a, b, how: functional.mse_loss(a, b, reduction=how),
            "reverse": lambda a: torch.flip(a, (0,)),
            "rows": _matrices,
            "silu": functional.silu,
            "softplus": functional.softplus,
            "std": lambda a, axis, correction, keepdims: torch.std(a, axis, correction=correction, keepdim=keepdims),
            "swap": torch.transpose,
            "var": lambda a, axis, correction, keepdims: torch.var(a, axis, correction=correction, keepdim=keepdims),
        }
    )


@functools.cache
def _names_of_jax() -> Any:
    import jax.numpy as jnp
    from jax import lax, nn

    same = "abs cos exp expm1 log log1p matmul maximum minimum outer pow sign sin sqrt square "
    same += "sum tan tanh where amax amin einsum stack mean prod reshape"

    def reduced(losses: Any, how: str) -> Any:
        return losses if how == "none" else losses.mean() if how == "mean" else losses.sum()

    def cross_entropy(a: Any, b: Any, how: str) -> Any:
        logs = nn.log_softmax(a, 1)
        if isinstance(b, np.ndarray):
            return reduced(-jnp.take_along_axis(logs, jnp.asarray(b)[:, None], 1)[:, 0], how)
        return reduced(-(b * logs).sum(1), how)

    return SimpleNamespace(
        **{
            **{name: getattr(jnp, name) for name in same.split()},
            "binary_cross_entropy": lambda a, b, how: reduced(nn.softplus(a) - a * b, how),
            "cat": jnp.concatenate,
            "clamp": jnp.clip,
            "constant": jnp.asarray,
            "cross_entropy": cross_entropy,
            "detach": lax.stop_gradient,
            "expand": jnp.broadcast_to,
            "flatten": jnp.ravel,
            "gelu": lambda a, how: nn.gelu(a, approximate=how == "tanh"),
            "leaky_relu": nn.leaky_relu,
            "linear": lambda x, weight, bias=0.0: jnp.matmul(x, jnp.swapaxes(weight, -1, -2)) + bias,
            "log_softmax": nn.log_softmax,
            "logsumexp": nn.logsumexp,
            "mse_loss": lambda a, b, how: reduced((a - b) ** 2, how),
            "permute": jnp.transpose,
            "relu": nn.relu,
            "reverse": lambda a: a[::-1],
            "rows": _matrices,
            "sigmoid": nn.sigmoid,
            "silu": nn.silu,
            "softmax": nn.softmax,
            "softplus": nn.softplus,
            "squeeze": lambda a, axis: jnp.squeeze(a, axis) if a.shape[axis] == 1 else a,
            "std": lambda a, axis, correction, keepdims: jnp.std(a, axis, ddof=correction, keepdims=keepdims),
            "swap": jnp.swapaxes,
            "unsqueeze": jnp.expand_dims,
            "var": lambda a, axis, correction, keepdims: jnp.var(a, axis, ddof=correction, keepdims=keepdims),
        }
    )


OURS = _names_of_ours()

Found = dict[str, list[Any]]


def ours(graph: Graph) -> Found:
    """By ``backward()``, by the recorded walk, forward, and forward over reverse."""

    def f(*xs: Any) -> Any:
        return run(graph.program, SHARED, OURS, xs)

    leaves = [Tensor(one, requires_grad=True) for one in graph.leaves]
    y = f(*leaves)
    y.backward(graph.incoming)
    jvp = func.jvp(f, graph.leaves, graph.directions)[1]
    recorded, hvp = func.hvp(lambda *xs: (f(*xs) * graph.incoming).sum(), graph.leaves, graph.directions)
    if len(leaves) == 1:
        recorded, hvp = (recorded,), (hvp,)
    return {
        "value": [y.data],
        "gradient": [np.zeros(one.shape) if one.grad is None else one.grad.data for one in leaves],
        "recorded gradient": [one.data for one in recorded],
        "JVP": [jvp.data],
        "HVP": [one.data for one in hvp],
    }


def torchs(graph: Graph) -> Found:
    """Gradients backward, HVP backward twice, JVP by PyTorch's forward mode."""
    import torch
    from torch.autograd import forward_ad

    m = _names_of_torch()
    xs = [torch.tensor(one, requires_grad=True) for one in graph.leaves]
    vs = [torch.from_numpy(one) for one in graph.directions]
    y = run(graph.program, SHARED, m, xs)
    options = {"allow_unused": True, "materialize_grads": True}
    gradient = torch.autograd.grad(y, xs, torch.from_numpy(graph.incoming), create_graph=True, **options)
    pairs = [(one, v) for one, v in zip(gradient, vs, strict=True) if one.requires_grad]
    hvp: Sequence[Any] = [torch.zeros_like(one) for one in xs]
    if pairs:
        hvp = torch.autograd.grad([one for one, _ in pairs], xs, [v for _, v in pairs], **options)
    # On first use PyTorch's forward mode loads parts of itself that PyTorch calls deprecated.
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning), forward_ad.dual_level():
        duals = [forward_ad.make_dual(torch.from_numpy(one), v) for one, v in zip(graph.leaves, vs, strict=True)]
        jvp = forward_ad.unpack_dual(run(graph.program, SHARED, m, duals)).tangent
    gradients = [one.detach().numpy(force=True) for one in gradient]
    return {
        "value": [y.detach().numpy()],
        "gradient": gradients,
        "recorded gradient": gradients,
        "JVP": [np.zeros(y.shape) if jvp is None else jvp.numpy(force=True)],
        "HVP": [one.detach().numpy(force=True) for one in hvp],
    }


def jaxs(graph: Graph) -> Found:
    """JVP forward, gradient backward, HVP forward over reverse, without compiling the graph."""
    import jax
    import jax.numpy as jnp

    m = _names_of_jax()

    def f(*xs: Any) -> Any:
        return run(graph.program, SHARED, m, xs)

    with jax.enable_x64(True):
        xs, vs = ([jnp.asarray(one) for one in some] for some in (graph.leaves, graph.directions))
        incoming = jnp.asarray(graph.incoming)
        y, jvp = jax.jvp(f, xs, vs)
        slope = jax.grad(lambda *xs: (f(*xs) * incoming).sum(), argnums=tuple(range(len(xs))))
        gradient, hvp = jax.jvp(slope, xs, vs)
        gradients = [np.asarray(one) for one in gradient]
        return {
            "value": [np.asarray(y)],
            "gradient": gradients,
            "recorded gradient": gradients,
            "JVP": [np.asarray(jvp)],
            "HVP": [np.asarray(one) for one in hvp],
        }


LIBRARIES: dict[str, Callable[[Graph], Found]] = {"torch": torchs, "jax": jaxs}


# --- graphs ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Graph:
    """A program, the point, the gradient that comes in, and the direction of the forward derivatives."""

    number: int
    program: list[Step]
    leaves: list[Any]
    incoming: Any
    directions: list[Any]

    def __str__(self) -> str:
        shapes = [one.shape for one in self.leaves]
        return f"graph {self.number}, leaves {shapes}\n{as_text(self.program, len(self.leaves))}"


@functools.cache
def _shape_of(name: str, pick: int, shapes: tuple[tuple[int, ...], ...]) -> tuple[int, ...] | None:
    try:
        y = SHARED[name][1](OURS, pick, *[np.full(shape, 0.5) for shape in shapes])
    except (ValueError, IndexError, TypeError):
        return None
    return tuple(y.shape) if tuple(y.shape) in SHAPES else None


def draw(number: int) -> Graph:
    """The graph of this number: 1 to 4 leaves, 1 to 40 lines; the same on every machine."""
    rng = np.random.default_rng([11, number])
    shapes = [LEAVES[rng.integers(len(LEAVES))] for _ in range(int(rng.integers(1, 5)))]
    leaves = [np.asarray(rng.normal(size=shape)) for shape in shapes]

    def accepts(step: Step) -> bool:
        shape = _shape_of(step.name, step.pick, tuple(shapes[i] for i in step.takes))
        if shape is not None:
            shapes.append(shape)
        return shape is not None

    program = random_program(rng, SHARED, len(leaves), int(rng.integers(1, 41)), accepts)
    y = run(program, SHARED, OURS, leaves)
    directions = [np.asarray(rng.normal(size=one.shape)) for one in leaves]
    return Graph(number, program, leaves, np.asarray(rng.normal(size=y.shape)), directions)


def compare(found: Found, theirs: Found) -> dict[str, float]:
    """The error of each quantity, relative to 1 plus the largest magnitude that the other library has in it."""
    errors = {}
    for quantity, right in theirs.items():
        mine = found[quantity]
        assert [one.shape for one in mine] == [one.shape for one in right], quantity
        assert all(one.dtype == np.float64 for one in (*mine, *right)), quantity
        scale = 1.0 + max(float(np.abs(one).max()) for one in right)
        worst = max(float(np.abs(one - other).max()) for one, other in zip(mine, right, strict=True))
        errors[quantity] = worst / scale if np.isfinite(worst) and np.isfinite(scale) else float("inf")
    return errors


# --- the command ----------------------------------------------------------------------------------


@dataclass
class Tally:
    """What a run over many graphs has found."""

    graphs: int = 0
    lines: int = 0
    operations: Counter[str] = field(default_factory=Counter)
    worst: dict[str, tuple[float, str, int]] = field(default_factory=dict)
    mismatches: list[str] = field(default_factory=list)

    def add(self, numbers: Sequence[int], libraries: Sequence[str]) -> Tally:
        """Compare the graphs of these numbers."""
        for number in numbers:
            graph = draw(number)
            self.graphs += 1
            self.lines += len(graph.program)
            self.operations.update(step.name for step in graph.program)
            found = ours(graph)
            for library in libraries:
                for quantity, error in compare(found, LIBRARIES[library](graph)).items():
                    if error >= self.worst.get(library, (-1.0,))[0]:
                        self.worst[library] = error, quantity, number
                    if not error <= TOLERANCE:
                        self.mismatches.append(f"{library}, {quantity}: error {error:.1e}\n{graph}")
        return self

    def join(self, other: Tally) -> None:
        """Take another part's findings in."""
        self.graphs += other.graphs
        self.lines += other.lines
        self.operations += other.operations
        self.mismatches += other.mismatches
        for library, found in other.worst.items():
            self.worst[library] = max(found, self.worst.get(library, found))


def _part(numbers: Sequence[int], libraries: Sequence[str]) -> Tally:
    return Tally().add(numbers, libraries)


def main() -> int:
    """Compare as many graphs as asked for, print a line per library and every mismatch; 1 if there is one."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--graphs", type=int, default=10_000, help="how many graphs (default: 10000)")
    parser.add_argument("--first", type=int, default=0, help="the number of the first graph (default: 0)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (default: one per core)")
    parser.add_argument("--libraries", nargs="+", choices=list(LIBRARIES), default=list(LIBRARIES), help="whom to ask")
    options = parser.parse_args()
    # Arrays of nine numbers gain nothing from threads, and the workers would fight over the cores.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
    start = time.perf_counter()
    numbers = range(options.first, options.first + options.graphs)
    tally = Tally()
    with multiprocessing.get_context("spawn").Pool(options.workers) as pool:
        parts = [pool.apply_async(_part, (numbers[k : k + 50], options.libraries)) for k in range(0, len(numbers), 50)]
        for part in parts:
            tally.join(part.get())
    print("\n\n".join(tally.mismatches[:20]))
    for library in options.libraries:
        error, quantity, number = tally.worst[library]
        wrong = sum(one.startswith(library) for one in tally.mismatches)
        print(
            f"{library}: {tally.graphs:,} graphs, {tally.lines:,} operations of {len(tally.operations)} kinds; value, "
            f"gradient, JVP, HVP: {wrong} mismatches at {TOLERANCE:g}; worst error {error:.1e} ({quantity} of graph "
            f"{number})"
        )
    print(f"{time.perf_counter() - start:.0f} s in {options.workers} processes")
    return 1 if tally.mismatches else 0


if __name__ == "__main__":
    sys.exit(main())
