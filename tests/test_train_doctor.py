"""The training doctor: every planted mistake is found, in these words, and healthy runs hear nothing."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from tinygrad_mlp import nn, ops
from tinygrad_mlp.datasets import (
    StandardScaler,
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    load_wine,
    make_moons,
)
from tinygrad_mlp.train import fit
from tinygrad_mlp.train.doctor import Doctor
from tinygrad_mlp.train.findings import TEXTS, DoctorWarning


def blobs(samples: int = 120, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, samples)
    return (rng.normal(size=(samples, 4)) + 2.0 * np.eye(3, 4)[y]).astype(np.float32), y


def heard(model: nn.Module, x: Any, y: Any, **options: Any) -> list[str]:
    """Everything the doctor says about a run."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(model, x, y, **{"verbose": 0, "seed": 0, **options})
    return [str(one.message) for one in caught if one.category is DoctorWarning]


SAID = {kind: " ".join(text.split()) for kind, text in TEXTS.items()}
BLOBS = blobs()
LINEAR = nn.Linear(4, 3, seed=0)


def net(*layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(*layers)


def mlp(activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 10, seed=0), activation(), nn.Linear(10, 3, seed=1))


def with_bias(value: float, activation: type[nn.Module]) -> nn.Module:
    model = mlp(activation)
    model[0].bias.data[:] = value
    return model


def alike() -> nn.Module:
    model = mlp()
    model[0].weight.data[...] = 0.5
    return model


def squares(outputs: Any, targets: Any) -> Any:
    return ((outputs - targets) ** 2).mean()


class Forgets(nn.Module):
    """A layer that forward does not use."""

    def __init__(self) -> None:
        super().__init__()
        self.used = nn.Linear(4, 3, seed=0)
        self.unused = nn.Linear(4, 3, seed=0)

    def forward(self, x: Any) -> Any:
        return self.used(x)


class Functional(nn.Module):
    """A ReLU and a softmax that are no layers."""

    def __init__(self, bias: float = 0.0, shares: bool = False) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 10, seed=0), nn.Linear(10, 3, seed=1)
        self.first.bias.data[:] = bias
        self.shares = shares

    def forward(self, x: Any) -> Any:
        z = self.second(ops.relu(self.first(x)))
        return ops.softmax(z, axis=-1) if self.shares else z


PIXELS = (np.random.default_rng(0).integers(0, 256, (40, 4)).astype(np.uint8), blobs(40)[1])
APART = BLOBS[0] * np.array([1, 1, 1, 1000.0])
SHUFFLED = (BLOBS[0], np.random.default_rng(5).permutation(BLOBS[1]))

# What is looked at in every fit.
ALWAYS: dict[str, tuple[Any, Any, dict[str, Any], str, dict[str, Any]]] = {
    "pixels": (mlp, PIXELS, {}, "pixels", {"low": 0.0, "high": 255.0}),
    "pixels as floats": (mlp, (PIXELS[0].astype(float), PIXELS[1]), {}, "pixels", {"low": 0.0, "high": 255.0}),
    "scales": (
        mlp,
        (APART, BLOBS[1]),
        {"lr": 1e-5},
        "scales",
        {"widest": 3, "most": APART.std(0).max(), "least": APART.std(0).min()},
    ),
    "equal weights": (alike, BLOBS, {}, "equal weights", {"where": "0.weight", "value": 0.5}),
    "softmax": (lambda: net(nn.Linear(4, 3, seed=0), nn.Softmax(-1)), BLOBS, {}, "softmax", {"name": "nn.Softmax"}),
    "nested softmax": (
        lambda: net(nn.Linear(4, 3, seed=0), net(nn.Softmax(-1))),
        BLOBS,
        {},
        "softmax",
        {"name": "nn.Softmax"},
    ),
    "functional softmax": (lambda: Functional(shares=True), BLOBS, {}, "softmax", {"name": "a softmax"}),
    "sigmoid": (
        lambda: net(nn.Linear(4, 1, seed=0), nn.Sigmoid()),
        (BLOBS[0], (BLOBS[1] > 0).astype(float)[:, None]),
        {"loss": "binary_cross_entropy"},
        "sigmoid",
        {"name": "nn.Sigmoid"},
    ),
    "broadcast": (
        lambda: nn.Linear(4, 1, seed=0),
        (BLOBS[0], BLOBS[0].sum(1)),
        {"loss": squares},
        "broadcast",
        {"outputs": (32, 1), "targets": (32,), "square": (32, 32), "shape": "-1, 1"},
    ),
}


@pytest.mark.parametrize("way", [False, "replay"])
@pytest.mark.parametrize("name", ALWAYS)
def test_what_every_fit_finds(name: str, way: Any) -> None:
    """Once, in exactly these words, compiled or not."""
    make, (x, y), options, kind, facts = ALWAYS[name]
    assert heard(make(), x, y, compile=way, epochs=2, **options) == [SAID[kind].format(**facts)]


# What the doctor finds beside.
ASKED: dict[str, tuple[Any, Any, dict[str, Any], str]] = {
    "dead": (
        lambda: with_bias(-50.0, nn.ReLU),
        BLOBS,
        {},
        "of the ReLU units in Sequential.1 are off for all 120 samples",
    ),
    "dead, functional": (lambda: Functional(-50.0), BLOBS, {}, "100% of the ReLU units in Functional are off for all"),
    "tanh": (
        lambda: with_bias(50.0, nn.Tanh),
        BLOBS,
        {},
        "of the tanh units in Sequential.1 are at an end of their range",
    ),
    "sigmoid": (
        lambda: with_bias(-50.0, nn.Sigmoid),
        BLOBS,
        {},
        "of the sigmoid units in Sequential.1 are at an end of their range for nearly all samples. The curve is",
    ),
    "unused": (Forgets, BLOBS, {}, "no gradient reached unused.weight in a whole epoch, so it is never trained."),
    "large": (mlp, BLOBS, {"optimizer": "adam", "lr": 3.0, "epochs": 3}, "a step changes 0.weight by "),
    "small": (mlp, BLOBS, {"optimizer": "sgd", "lr": 1e-9}, "a step changes 0.weight by "),
    "shuffled": (
        lambda: nn.Linear(4, 3, seed=0),
        SHUFFLED,
        {"epochs": 6, "optimizer": "sgd", "lr": 0.01},
        "the model has learnt nothing from the inputs. Look whether x and y still belong together",
    ),
    "frozen": (
        lambda: mlp(),
        (4 * BLOBS[0], BLOBS[1]),
        {"epochs": 6, "optimizer": "sgd", "lr": 0.0},
        "the loss",
    ),
    "oscillation": (
        lambda: nn.Linear(4, 1, seed=0),
        (3 * BLOBS[0], BLOBS[0].sum(1, keepdims=True)),
        {"epochs": 12, "optimizer": "sgd", "lr": 0.06, "loss": "mse", "batch_size": 8},
        "epochs: it jumps up and down. The steps are too long for the valley. Make the learning rate (now 0.06)",
    ),
}


@pytest.mark.parametrize("name", ASKED)
def test_what_the_doctor_finds(name: str) -> None:
    """The planted mistake is among what is said, and without the doctor nothing is."""
    make, (x, y), options, text = ASKED[name]
    options = {"epochs": 3, **options}
    said = heard(make(), x, y, doctor=True, **options)
    assert any(text in one for one in said), said
    assert len(said) == len(set(said))
    assert heard(make(), x, y, **options) == []


HEALTHY: dict[str, tuple[Any, Any, Any, dict[str, Any]]] = {
    "digits": (load_digits, 10, 1 / 16, {}),
    "iris": (load_iris, 3, None, {}),
    "wine": (load_wine, 3, None, {}),
    "cancer": (load_breast_cancer, 2, None, {}),
    "diabetes": (load_diabetes, 1, None, {"loss": "mse"}),
}


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh, nn.Sigmoid])
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_runs_hear_nothing(name: str, optimizer: str, activation: type[nn.Module]) -> None:
    """The bundled tables, scaled, with three activations and two optimizers at usual rates."""
    load, outputs, scale, options = HEALTHY[name]
    X, y = load(return_X_y=True)
    X = X * scale if scale else StandardScaler.fit(X).transform(X)
    if outputs == 1:
        y = ((y - y.mean()) / y.std())[:, None]
    hidden = nn.Linear(X.shape[1], 32, seed=0)
    model = nn.Sequential(hidden, activation(), nn.Linear(32, outputs, seed=1))
    lr = {"adam": 0.003, "sgd": 0.05}[optimizer]
    assert heard(model, X[:600], y[:600], epochs=12, optimizer=optimizer, lr=lr, doctor=True, **options) == []


def test_healthy_toys_hear_nothing() -> None:
    """Moons with a deeper network, and with dropout."""
    X, y = make_moons(300, noise=0.1, seed=0)
    model = nn.MLP(2, 16, 16, 2, dropout=0.1, seed=0)
    assert heard(model, X, y, epochs=20, lr=0.01, doctor=True) == []


def test_the_doctor_changes_nothing() -> None:
    """Weights and History are bit by bit those without it, dropout included; its findings can be read."""
    x, y = BLOBS
    found = []
    for doctor in (None, Doctor(every=1)):
        model = nn.MLP(4, 8, 3, dropout=0.3, seed=0)
        history = fit(model, x, y, epochs=3, seed=0, verbose=0, callbacks=doctor)
        found.append(([one.data.tobytes() for one in model.parameters()], history.history))
    assert found[0] == found[1]
    doctor = Doctor()
    with pytest.warns(DoctorWarning):
        fit(Forgets(), x, y, verbose=0, callbacks=doctor)
    assert [(one.kind, one.where) for one in doctor.findings] == [
        ("no gradient", "unused.weight"),
        ("no gradient", "unused.bias"),
    ]


def test_an_unusual_but_right_program_hears_nothing() -> None:
    """Logits of a single layer that begin at zero, counts below 128, a loss of your own on equal shapes."""
    x, y = BLOBS
    zero = nn.Linear(4, 3, seed=0)
    zero.weight.data[...] = 0.0
    assert heard(zero, x, y) == []
    assert heard(mlp(), np.round(np.abs(x)), y) == []
    assert heard(nn.Linear(4, 1, seed=0), x, x.sum(1, keepdims=True), loss=squares) == []


def test_every_text_can_be_said() -> None:
    """No text is without a planted mistake, and each ends with something to do."""
    planted = {kind for *_, kind, _ in ALWAYS.values()} | {
        "dead units",
        "saturated units",
        "no gradient",
        "large updates",
        "small updates",
        "chance level",
        "no progress",
        "oscillation",
    }
    assert planted == set(TEXTS)
