"""Jacobians, Hessians and gradients per sample against a loop of our own, torch.func and JAX."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from typing import Any

import numpy as np
from harness import Column, Settings, Table, has, limit_threads, ratio_of, spread, take_turns

from tinygrad_mlp import Tensor, autograd, func, nn, ops

__all__ = ["TASKS", "Task", "contenders", "measure"]

Call = Callable[[], Any]

COLUMNS = (
    Column("task", "derivative"),
    Column("ours_us", "ours µs", ".0f"),
    Column("loop", "ours/loop", ".2f"),
    Column("torch", "ours/torch.func", ".2f"),
    Column("torch_spread", "middle half"),
    Column("jax", "ours/jax", ".3f"),
    Column("jit", "ours/jax.jit", ".2f"),
    Column("jit_spread", "middle half"),
)


class Task:
    """A tanh net and what is asked of it: ``jacobian`` or ``hessian`` by its input, or ``samples``' gradients."""

    def __init__(self, name: str, kind: str, sizes: tuple[int, ...], batch: int = 1) -> None:
        rng = np.random.default_rng(0)
        self.name, self.kind = name, kind
        self.weights = [
            (
                rng.uniform(-1, 1, (outputs, inputs)).astype(np.float32) / np.float32(np.sqrt(inputs)),
                rng.uniform(-1, 1, outputs).astype(np.float32) / np.float32(np.sqrt(inputs)),
            )
            for inputs, outputs in itertools.pairwise(sizes)
        ]
        self.x = rng.standard_normal((batch, sizes[0]) if kind == "samples" else sizes[0]).astype(np.float32)
        self.targets = rng.integers(0, sizes[-1], batch)


TASKS = (
    Task("Jacobian of a 100-64-10 net", "jacobian", (100, 64, 10)),
    Task("Hessian of a 100-64-1 net", "hessian", (100, 64, 1)),
    Task("gradients of 32 samples, 64-128-64-10 net", "samples", (64, 128, 64, 10), 32),
    Task("gradients of 256 samples, 64-128-64-10 net", "samples", (64, 128, 64, 10), 256),
)


def contenders(task: Task) -> dict[str, Call]:
    """One function per contender that is installed, each returning the derivative as a list of arrays."""
    calls = {"ours": _ours(task), "loop": _loop(task)}
    if has("torch"):
        from peers import torch_func

        calls["torch"] = torch_func.make(task)
    if has("jax"):
        # JAX keeps a pool of threads of its own; with one thread allowed to the others it gets one, too.
        os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
        from peers import jax_func

        calls["jax"] = jax_func.make(task, jit=False)
        calls["jit"] = jax_func.make(task, jit=True)
    return calls


def _model(task: Task) -> nn.Module:
    layers: list[nn.Module] = []
    for outputs, inputs in [weight.shape for weight, _ in task.weights]:
        layers += [nn.Linear(inputs, outputs), nn.Tanh()]
    model = nn.Sequential(*layers[:-1])
    for parameter, value in zip(model.parameters(), itertools.chain(*task.weights), strict=True):
        parameter.data[...] = value
    return model


def _ours(task: Task) -> Call:
    model = _model(task)
    if task.kind == "samples":
        derived = func.per_sample_grad(lambda model, x, t: ops.cross_entropy(model(x), t))
        return lambda: [one.data for one in derived(model, task.x, task.targets).values()]
    model.requires_grad_(False)
    derived = func.jacrev(model) if task.kind == "jacobian" else func.hessian(lambda x: model(x).sum())
    return lambda: [derived(task.x).data]


def _loop(task: Task) -> Call:
    """The same engine, one row or sample after the other."""
    model = _model(task)

    def rows() -> list[Any]:
        x = Tensor(task.x, requires_grad=True)
        y = model(x)
        if task.kind == "hessian":
            (y,) = autograd.grad(y.sum(), x, create_graph=True)
        units = np.eye(y.size, dtype=np.float32)
        return [np.stack([autograd.grad(y, x, [unit], retain_graph=True)[0].data for unit in units])]

    def samples() -> list[Any]:
        parameters = list(model.parameters())
        found = [
            autograd.grad(ops.cross_entropy(model(Tensor(x)), t), parameters)
            for x, t in zip(task.x, task.targets, strict=True)
        ]
        return [np.stack([one.data for one in column]) for column in zip(*found, strict=True)]

    if task.kind != "samples":
        model.requires_grad_(False)
        return rows
    return samples


def measure(settings: Settings) -> Table:
    """Time all tasks; before that, see that all contenders give the same numbers.

    Raises:
        RuntimeError: they do not.
    """
    rows = []
    with limit_threads(settings.threads):
        for task in TASKS:
            calls = contenders(task)
            expected = calls["loop"]()
            for name, call in calls.items():
                for one, other in zip(call(), expected, strict=True):
                    gap = float(np.abs(np.asarray(one) - other).max())
                    if not gap <= 1e-4:
                        raise RuntimeError(f"{task.name}: {name} and the loop differ by {gap:.1e}")
            rows.append(_row(task, take_turns(calls, settings)))
    notes = [
        "Checked first: all give the loop's numbers to 1e-4. loop: our own engine, one row or sample after the other.",
        "jax: without jit; jit: compiled beforehand, compilation not counted. Ratios are medians over rounds.",
    ]
    return Table("func", "Whole derivatives, float32, tanh", COLUMNS, rows, notes)


def _row(task: Task, seconds: dict[str, list[float]]) -> dict[str, Any]:
    ratios = {name: ratio_of(seconds, "ours", name) for name in ("loop", "torch", "jax", "jit")}
    return {
        "task": task.name,
        "ours_us": float(np.median(seconds["ours"])) * 1e6,
        **ratios,
        "torch_spread": spread(seconds, "ours", "torch"),
        "jit_spread": spread(seconds, "ours", "jit"),
    }
