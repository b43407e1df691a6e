"""Write down what PyTorch computes, so that the tests can compare without it: ``python tests/data/make_parity.py``.

Makes ``optim.npz`` and ``nn.npz`` beside this file; the versions used are stored in them. The tests also import this
module, to put the same questions to the PyTorch at hand with other numbers.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
SHAPES = ((3, 2), (4,), ())
STEPS = 100
STORED_STEPS = (1, 2, 3, 10, 30, 100)


def optimizer_cases() -> list[tuple[str, dict[str, Any]]]:
    """The grid of options: class name and keyword arguments, both as in torch."""
    cases: list[tuple[str, dict[str, Any]]] = []
    momenta = [(0.0, 0.0, False), (0.9, 0.0, False), (0.9, 0.1, False), (0.9, 0.0, True), (0.0, 0.1, False)]
    for (momentum, dampening, nesterov), decay, maximize, lr in itertools.product(
        momenta, (0.0, 0.01), (False, True), (0.003, 0.05)
    ):
        options = {"momentum": momentum, "dampening": dampening, "nesterov": nesterov}
        cases.append(("SGD", {"lr": lr, **options, "weight_decay": decay, "maximize": maximize}))
    grid = itertools.product(
        ("Adam", "AdamW"), ((0.9, 0.999), (0.8, 0.95)), (1e-8, 1e-3), (0.0, 0.01), (False, True), (False, True)
    )
    for name, betas, eps, decay, amsgrad, maximize in grid:
        options = {"betas": betas, "eps": eps, "weight_decay": decay, "amsgrad": amsgrad, "maximize": maximize}
        cases.append((name, {"lr": 0.01, **options}))
    return cases


def problem(seed: int, dtype: str) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    """Starting points, and for each parameter the two parts of its gradient ``noise[step] + curvature * p``."""
    rng = np.random.default_rng(seed)
    start = [np.asarray(rng.normal(size=shape)).astype(dtype) for shape in SHAPES]
    noise = [rng.normal(size=(STEPS, *shape)).astype(dtype) for shape in SHAPES]
    curvature = [np.asarray(rng.uniform(0.1, 2.0, shape)).astype(dtype) for shape in SHAPES]
    return start, noise, curvature


def has_gradient(parameter: int, step: int) -> bool:
    """The last parameter gets a gradient in every third step only."""
    return parameter < 2 or step % 3 == 0


def torch_trajectory(name: str, options: dict[str, Any], seed: int, dtype: str) -> np.ndarray:
    """All parameters after each step, flattened: ``(STEPS, elements)``."""
    import torch

    start, noise, curvature = problem(seed, dtype)
    params = [torch.tensor(one, requires_grad=True) for one in start]
    optimizer = getattr(torch.optim, name)(params, **options)
    rows = []
    for step in range(STEPS):
        for place, (parameter, part, bend) in enumerate(zip(params, noise, curvature, strict=True)):
            gradient = torch.tensor(part[step]) + torch.tensor(bend) * parameter.detach()
            parameter.grad = gradient if has_gradient(place, step) else None
        optimizer.step()
        rows.append(np.concatenate([one.detach().numpy().ravel() for one in params]))
    return np.array(rows)


LAYERS: list[tuple[str, dict[str, Any]]] = [
    ("ReLU", {}),
    ("LeakyReLU", {}),
    ("LeakyReLU", {"negative_slope": 0.2}),
    ("Sigmoid", {}),
    ("Tanh", {}),
    ("Softplus", {}),
    ("Softplus", {"beta": 3.0}),
    ("GELU", {}),
    ("GELU", {"approximate": "tanh"}),
    ("SiLU", {}),
    ("Softmax", {"dim": 1}),
    ("LogSoftmax", {"dim": -1}),
    ("Identity", {}),
    ("Flatten", {}),
]
"""Layers without parameters, by class and keyword arguments as in torch."""

LOSSES: list[tuple[str, dict[str, Any]]] = [
    (name, {"reduction": reduction})
    for name in ("CrossEntropyLoss", "MSELoss", "BCEWithLogitsLoss")
    for reduction in ("mean", "sum", "none")
]
WIDTHS = (5, 7, 6, 3)
ROWS = 4


def network_arrays(seed: int) -> dict[str, np.ndarray]:
    """An input, class ids, and weights and biases for the dense layers of the widths above."""
    rng = np.random.default_rng(seed)
    arrays = {"x": rng.normal(size=(ROWS, WIDTHS[0])), "ids": rng.integers(0, WIDTHS[-1], ROWS)}
    for place, (fan_in, fan_out) in enumerate(itertools.pairwise(WIDTHS)):
        arrays[f"weight{place}"] = rng.normal(size=(fan_out, fan_in)) / np.sqrt(fan_in)
        arrays[f"bias{place}"] = rng.normal(size=fan_out)
    return arrays


def loss_arrays(name: str, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predictions, targets and, for unreduced losses, incoming gradients."""
    rng = np.random.default_rng(seed)
    predictions = rng.normal(scale=3.0, size=(6, 4))
    if name == "CrossEntropyLoss":
        return predictions, rng.integers(0, 4, 6), rng.normal(size=6)
    targets = rng.random((6, 4)) if name == "BCEWithLogitsLoss" else rng.normal(size=(6, 4))
    return predictions, targets, rng.normal(size=(6, 4))


def torch_network(layer: str, options: dict[str, Any], seed: int) -> list[np.ndarray]:
    """Logits, the cross-entropy, and the gradients of the input and of every parameter."""
    import torch

    arrays = network_arrays(seed)
    dense = [torch.nn.Linear(a, b, dtype=torch.float64) for a, b in itertools.pairwise(WIDTHS)]
    for place, one in enumerate(dense):
        one.load_state_dict({k: torch.tensor(arrays[f"{k}{place}"]) for k in ("weight", "bias")})
    between = getattr(torch.nn, layer)
    model = torch.nn.Sequential(dense[0], between(**options), dense[1], between(**options), dense[2])
    x = torch.tensor(arrays["x"], requires_grad=True)
    logits = model(x)
    loss = torch.nn.CrossEntropyLoss()(logits, torch.tensor(arrays["ids"]))
    loss.backward()
    results = [logits.detach(), loss.detach(), x.grad, *(one.grad for one in model.parameters())]
    return [one.numpy() for one in results]


def torch_loss(name: str, options: dict[str, Any], seed: int) -> list[np.ndarray]:
    """The loss and the gradient of the predictions."""
    import torch

    predictions, targets, incoming = loss_arrays(name, seed)
    x = torch.tensor(predictions, requires_grad=True)
    loss = getattr(torch.nn, name)(**options)(x, torch.tensor(targets))
    loss.backward(torch.tensor(incoming) if loss.ndim else None)
    return [loss.detach().numpy(), x.grad.numpy()]


def _stored(cases: list[Any]) -> dict[str, Any]:
    import torch

    made_with = f"torch {torch.__version__}, numpy {np.__version__}"
    return {"cases": json.dumps(cases), "made_with": made_with}


def main() -> None:
    """Write both files."""
    picked = np.array(STORED_STEPS) - 1
    cases = optimizer_cases()
    trajectories = {
        dtype: np.array([torch_trajectory(*case, seed=0, dtype=dtype)[picked] for case in cases])
        for dtype in ("float64", "float32")
    }
    np.savez_compressed(HERE / "optim.npz", **_stored(cases), **trajectories)
    results = {}
    for kind, table, ask in (("layer", LAYERS, torch_network), ("loss", LOSSES, torch_loss)):
        for place, case in enumerate(table):
            for part, array in enumerate(ask(*case, seed=0)):
                results[f"{kind}{place}_{part}"] = array
    np.savez_compressed(HERE / "nn.npz", **_stored([LAYERS, LOSSES]), **results)


if __name__ == "__main__":
    main()
