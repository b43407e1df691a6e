"""Whole epochs as C against hand-written NumPy and a JAX scan, in turns in one run.

    python benchmarks/native_steps.py [threads]

Each contender does the same plain SGD steps on stacked batches; microseconds per step, the least and the median of the
rounds. The loss of the first steps is compared before anything is timed.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np
from harness import has, limit_threads
from peers import plain_numpy
from workloads import WORKLOADS, Workload

import tinygrad_mlp as tm
from tinygrad_mlp import nn, optim
from tinygrad_mlp.program.native import Native, Stacked

WIDE = Workload((784, 2048, 2048, 10), 512, 0.01, 1.0)
ROUNDS = 7


def ours(workload: Workload, count: int) -> tuple[Any, float, float]:
    """A function that does ``count`` steps and gives the losses; seconds to compile, and to load from the cache."""
    x, target = workload.data()
    layers: list[Any] = []
    for weight, bias in workload.weights():
        layer = nn.Linear(weight.shape[1], weight.shape[0])
        layer.weight.data[...] = weight
        layer.bias.data[...] = bias
        layers += [layer, nn.ReLU()]
    model = nn.Sequential(*layers[:-1])
    optimizer = optim.SGD(model.parameters(), lr=workload.lr)
    loss_of = nn.CrossEntropyLoss() if workload.classifies else nn.MSELoss()
    before = [one.data.copy() for one in model.parameters()]

    def step(x: Any, target: Any) -> Any:
        optimizer.zero_grad()
        loss = loss_of(model(x), target)
        loss.backward()
        optimizer.step()
        return loss

    compiled = tm.compile(step, backend="replay")
    compiled(x, target)
    for one, start in zip(model.parameters(), before, strict=True):
        one.data[...] = start
    program = compiled.program
    begin = time.perf_counter()
    native = Native(program)
    cold = time.perf_counter() - begin
    begin = time.perf_counter()
    Native(program)
    warm = time.perf_counter() - begin
    rate = np.asarray(workload.lr, np.float32)
    fed = [rate for _ in program.fed]
    inputs = [Stacked(np.stack([one] * count)) for one in (x, target)]
    return (lambda: native.run_batches(count, inputs, fed).outputs[0]), cold, warm


def numpy_steps(workload: Workload, count: int) -> Any:
    """The same by hand."""
    step = plain_numpy.make_step(workload)
    return lambda: np.array([step() for _ in range(count)])


def jax_scan(workload: Workload, count: int) -> Any:
    """The same as a ``jax.lax.scan`` over the batches, parameters donated."""
    import jax
    import jax.numpy as jnp

    x, target = workload.data()
    parameters = [(jnp.asarray(weight.T), jnp.asarray(bias)) for weight, bias in workload.weights()]
    xs, targets = jnp.stack([jnp.asarray(x)] * count), jnp.stack([jnp.asarray(target)] * count)

    def loss_of(parameters: Any, x: Any, target: Any) -> Any:
        for weight, bias in parameters[:-1]:
            x = jax.nn.relu(x @ weight + bias)
        weight, bias = parameters[-1]
        y = x @ weight + bias
        if workload.classifies:
            chosen = jnp.take_along_axis(jax.nn.log_softmax(y), target[:, None], 1)
            return -chosen.mean()
        return jnp.square(y - target).mean()

    def step(parameters: Any, batch: Any) -> Any:
        loss, slopes = jax.value_and_grad(loss_of)(parameters, *batch)
        return jax.tree.map(lambda p, g: p - workload.lr * g, parameters, slopes), loss

    run = jax.jit(lambda parameters, xs, targets: jax.lax.scan(step, parameters, (xs, targets)), donate_argnums=0)
    state = [parameters]

    def call() -> Any:
        state[0], losses = run(state[0], xs, targets)
        return np.asarray(jax.block_until_ready(losses))

    return call


def main() -> None:
    threads = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    with limit_threads(threads):
        for workload in (*WORKLOADS, WIDE):
            work = sum(a * b for a, b in zip(workload.sizes, workload.sizes[1:], strict=False)) * workload.batch
            count = int(min(max(2e8 / (work + 3e4), 3), 3000))
            mine, cold, warm = ours(workload, count)
            contenders = {"native": mine, "NumPy": numpy_steps(workload, count)}
            if has("jax"):
                contenders["JAX scan"] = jax_scan(workload, count)
            first = {name: run()[:3] for name, run in contenders.items()}
            for name, losses in first.items():
                np.testing.assert_allclose(losses, first["NumPy"], rtol=1e-4, err_msg=f"{workload.name}: {name}")
            seconds: dict[str, list[float]] = {name: [] for name in contenders}
            for number in range(ROUNDS):
                names = list(contenders)
                for name in names[number % len(names) :] + names[: number % len(names)]:
                    settled = time.perf_counter() + 0.05  # idle threads of the one before spin for a while
                    while time.perf_counter() < settled:
                        contenders[name]()
                    begin = time.perf_counter()
                    contenders[name]()
                    seconds[name].append((time.perf_counter() - begin) / count)
            shown = "  ".join(
                f"{name} {1e6 * min(times):9.2f} ({1e6 * float(np.median(times)):9.2f})"
                for name, times in seconds.items()
            )
            ratios = "  ".join(
                f"of {name} {np.median(np.divide(seconds['native'], times)):.2f}"
                for name, times in seconds.items()
                if name != "native"
            )
            print(
                f"{workload.name:32} {shown}  {ratios}  compiled in {cold:.2f} s, loaded in {1e3 * warm:.0f} ms",
                flush=True,
            )


if __name__ == "__main__":
    main()
