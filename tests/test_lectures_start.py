"""L8, the first weights: their distributions, the variance of each layer, and equal weights that cannot learn."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import scipy.stats
from numpy.testing import assert_allclose

from tinygrad_mlp import Tensor, nn, optim
from tinygrad_mlp.datasets import load_digits, make_moons

INPUTS, UNITS = 300, 200
GLOROT, HE = math.sqrt(2 / (INPUTS + UNITS)), math.sqrt(2 / INPUTS)
REACH = math.sqrt(6 / (INPUTS + UNITS))


@pytest.mark.parametrize(
    ("fill", "distribution"),
    [
        (nn.init.glorot_normal_, scipy.stats.norm(0, GLOROT)),
        (nn.init.glorot_uniform_, scipy.stats.uniform(-REACH, 2 * REACH)),
        (nn.init.he_normal_, scipy.stats.norm(0, HE)),
        (nn.init.he_uniform_, scipy.stats.uniform(-math.sqrt(6 / INPUTS), 2 * math.sqrt(6 / INPUTS))),
    ],
    ids=["Glorot normal", "Glorot uniform", "He normal", "He uniform"],
)
def test_weights_have_the_distribution_of_their_recipe(fill: Any, distribution: Any) -> None:
    """Kolmogorov and Smirnov find nothing in 60,000 numbers; a spread 5 % off they would find."""
    weight = Tensor(np.zeros((UNITS, INPUTS)))
    values = fill(weight, seed=0).data.ravel()
    assert scipy.stats.kstest(values, distribution.cdf).pvalue > 1e-4
    assert scipy.stats.kstest(1.05 * values, distribution.cdf).pvalue < 1e-2


@pytest.mark.parametrize(
    ("fill", "activation", "factor"),
    [
        (nn.init.glorot_normal_, nn.Identity, 1.0),
        (nn.init.glorot_uniform_, nn.Identity, 1.0),
        (nn.init.he_normal_, nn.ReLU, 1.0),
        (nn.init.he_uniform_, nn.ReLU, 1.0),
        (nn.init.glorot_normal_, nn.ReLU, 0.5),
        (nn.init.he_normal_, nn.Identity, 2.0),
    ],
    ids=["Glorot linear", "Glorot uniform linear", "He ReLU", "He uniform ReLU", "Glorot ReLU", "He linear"],
)
def test_each_layer_multiplies_the_mean_square_by_the_factor_of_theory(
    fill: Any, activation: Any, factor: float
) -> None:
    """Five square layers, 40 draws: signals forward and gradients back, within five standard errors."""
    width, depth, draws = 64, 5, np.random.default_rng(0)
    forward, backward = [], []
    for _ in range(40):
        layers = [nn.Linear(width, width, bias=False, dtype="float64") for _ in range(depth)]
        for layer in layers:
            fill(layer.weight, rng=draws)
        x = Tensor(draws.normal(size=(20, width)), requires_grad=True)
        signal = x
        for layer in layers:
            signal = activation()(layer(signal))
        seed = draws.normal(size=signal.shape)
        signal.backward(Tensor(seed))
        forward.append(np.mean(signal.data**2) / np.mean(x.data**2))
        backward.append(np.mean(x.grad.data**2) / np.mean(seed**2))  # type: ignore[union-attr]
    for ratios in (forward, backward):
        error = np.std(ratios, ddof=1) / math.sqrt(len(ratios))
        assert error < 0.15 * factor**depth  # it says something
        assert abs(np.mean(ratios) - factor**depth) < 5 * error


def trained(fill: Any, seed: int = 0) -> tuple[nn.Sequential, float]:
    """A network with eight hidden units after 300 steps on two moons, and its accuracy."""
    x, y = make_moons(200, noise=0.1, seed=1)
    model = nn.Sequential(nn.Linear(2, 8, dtype="float64"), nn.Tanh(), nn.Linear(8, 1, dtype="float64"))
    draws = np.random.default_rng(seed)
    for place in (0, 2):
        fill(model[place].weight, draws)
        nn.init.zeros_(model[place].bias)
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    inputs, targets = Tensor(x.astype(np.float64)), Tensor(y.astype(np.float64))
    for _ in range(600):
        optimizer.zero_grad()
        nn.functional.binary_cross_entropy_with_logits(model(inputs)[:, 0], targets).backward()
        optimizer.step()
    return model, float(((model(inputs).data[:, 0] > 0) == y).mean())


@pytest.mark.parametrize("value", [0.0, 0.5, -1.0])
def test_all_equal_weights_cannot_learn(value: float) -> None:
    """The units stay equal, up to rounding, and are worth one; random ones separate the moons."""
    model, accuracy = trained(lambda weight, _: nn.init.constant_(weight, value))
    for weights in (model[0].weight.data, model[0].bias.data[:, None], model[2].weight.data.T):
        assert_allclose(weights, np.broadcast_to(weights[0], weights.shape), atol=1e-6)
    assert accuracy < 0.92
    if value == 0.0:
        assert not model[0].weight.data.any()
        assert accuracy == 0.5


def test_random_weights_learn_what_equal_ones_cannot() -> None:
    """The same network, data and optimizer."""
    for seed in range(3):
        assert trained(lambda weight, draws: nn.init.glorot_normal_(weight, rng=draws), seed)[1] > 0.97


def test_a_signal_through_ten_layers_lives_dies_or_explodes() -> None:
    """Real digits through ten ReLU layers of 128: N(0, 0.01) leaves nothing, N(0, 0.3) a thousandfold, He the same."""
    x = load_digits().data[:200].astype(np.float64)
    x = (x - x.mean()) / x.std()
    left = {}
    for name, std in (("small", 0.01), ("large", 0.3), ("He", None)):
        draws, signal = np.random.default_rng(0), Tensor(x)
        for depth in range(10):
            layer = nn.Linear(64 if depth == 0 else 128, 128, bias=False, dtype="float64")
            if std is None:
                nn.init.he_normal_(layer.weight, rng=draws)
            else:
                nn.init.normal_(layer.weight, std=std, rng=draws)
            signal = layer(signal).relu()
        left[name] = math.sqrt(np.mean(signal.data**2))
    assert left["small"] < 1e-9
    assert left["large"] > 1e3
    assert 0.3 < left["He"] < 3
