"""Pictures of training: what is drawn is what somebody else computes, and looking changes nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import special

from tinygrad_mlp import nn, optim, viz
from tinygrad_mlp.datasets import make_moons
from tinygrad_mlp.errors import ArgumentError, ShapeError
from tinygrad_mlp.train import Histograms, fit

pytest.importorskip("matplotlib")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3))
Y = X @ np.array([[1.0], [-2.0], [0.5]]) + 0.1


def linear() -> nn.Linear:
    return nn.Linear(3, 1, seed=1, dtype="float64")


def descent(model: Any) -> np.ndarray:
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    path = [viz.parameters_of(model)]
    for _ in range(15):
        optimizer.zero_grad()
        nn.functional.mse_loss(model(X), Y).backward()
        optimizer.step()
        path.append(viz.parameters_of(model))
    return np.array(path)


def test_the_loss_over_the_plane_is_what_numpy_computes() -> None:
    """At every point of the grid, at the ends of the way too; the parameters stay, bit by bit."""
    model = linear()
    path = descent(model)
    before = [one.data.tobytes() for one in model.parameters()]
    found = viz.loss_landscape(model, lambda: nn.functional.mse_loss(model(X), Y), path=path, size=9)
    assert [one.data.tobytes() for one in model.parameters()] == before
    for i, v in enumerate(found.up):
        for j, u in enumerate(found.across):
            place = path[-1] + u * found.directions[0] + v * found.directions[1]
            expected = np.mean((X @ place[:3, None] + place[3] - Y) ** 2)
            assert found.loss[i, j] == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(found.directions @ found.directions.T, np.eye(2), atol=1e-12)
    centred = path - path.mean(0)
    values = np.linalg.eigvalsh(centred.T @ centred)
    assert found.share == pytest.approx(values[-2:].sum() / values.sum(), rel=1e-9)
    np.testing.assert_allclose(found.path[-1], 0.0, atol=1e-12)
    assert found.across.min() < found.path[:, 0].min() < found.path[:, 0].max() < found.across.max()


def test_random_directions_have_the_norms_of_the_rows() -> None:
    """Li et al. (2018): row by row; biases do not move; the seed decides."""
    model = nn.MLP(2, 5, 3, seed=0, dtype="float64")
    found = viz.loss_landscape(model, lambda: 0.0, size=3, seed=4)
    begin = 0
    for parameter in model.parameters():
        for direction in found.directions:
            part = direction[begin : begin + parameter.size].reshape(parameter.shape)
            if parameter.ndim == 2:
                np.testing.assert_allclose(np.linalg.norm(part, axis=1), np.linalg.norm(parameter.data, axis=1))
            else:
                assert not part.any()
        begin += parameter.size
    again = viz.loss_landscape(model, lambda: 0.0, size=3, seed=4)
    np.testing.assert_array_equal(again.directions, found.directions)


def test_the_model_comes_back_whatever_happens() -> None:
    """Also when the loss raises in the middle, and for float32 parameters."""
    model = nn.MLP(2, 5, 1, seed=0)
    before = [one.data.tobytes() for one in model.parameters()]

    def breaks() -> float:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        viz.loss_landscape(model, breaks)
    assert [one.data.tobytes() for one in model.parameters()] == before
    assert [str(one.dtype) for one in model.parameters()] == ["float32"] * 4


def test_landscapes_are_drawn_with_the_way() -> None:
    """The line is the way in the plane; a loss that is infinite somewhere leaves a gap."""
    model = linear()
    found = viz.loss_landscape(model, lambda: nn.functional.mse_loss(model(X), Y), path=descent(model), size=9)
    ax = viz.plot_loss_landscape(found)
    ax.figure.canvas.draw()
    np.testing.assert_array_equal(np.array(ax.lines[0].get_data()).T, found.path)
    assert "of the way" in ax.get_xlabel()
    found.loss[0, 0] = np.inf
    viz.plot_loss_landscape(found).figure.canvas.draw()


def test_misuse_of_landscapes() -> None:
    """Named errors that say what to do."""
    model = linear()
    with pytest.raises(ShapeError, match=r"expected \(points, 4\)"):
        viz.loss_landscape(model, lambda: 0.0, path=np.zeros((3, 5)))
    with pytest.raises(ArgumentError, match="at least 2 points"):
        viz.loss_landscape(model, lambda: 0.0, path=np.zeros((1, 4)))
    with pytest.raises(ArgumentError, match="size"):
        viz.loss_landscape(model, lambda: 0.0, size=1)


def test_activations_and_their_derivatives_are_the_textbooks() -> None:
    """What is drawn is SciPy's function and the formula of its derivative."""
    s = special.expit
    textbook = {
        "sigmoid": (s, lambda z: s(z) * (1 - s(z))),
        "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
        "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0) * 1.0),
        "softplus": (lambda z: np.logaddexp(0, z), s),
    }
    figure = viz.plot_activations(list(textbook))
    figure.canvas.draw()
    for ax, (name, (function, derivative)) in zip(figure.axes, textbook.items(), strict=True):
        (z, value), (_, slope) = (line.get_data() for line in ax.lines[:2])
        np.testing.assert_allclose(value, function(z), rtol=1e-12, atol=1e-15, err_msg=name)
        np.testing.assert_allclose(slope, derivative(z), rtol=1e-9, atol=1e-12, err_msg=name)
    own = viz.plot_activations({"square": lambda z: z * z})
    np.testing.assert_allclose(own.axes[0].lines[1].get_ydata(), 2 * own.axes[0].lines[1].get_xdata())
    with pytest.raises(ArgumentError, match="did you mean 'sigmoid'"):
        viz.plot_activations(["sigmoyd"])


def test_histograms_are_noted_and_change_nothing() -> None:
    """Counts add up to the sizes; weights and History are those of a run without the callback."""
    points, labels = make_moons(120, noise=0.1, seed=0)

    def run(*callbacks: Any) -> tuple[Any, Any]:
        model = nn.MLP(2, 8, 2, seed=0)
        history = fit(
            model, points, labels, epochs=4, lr=0.05, seed=0, verbose=0, callbacks=list(callbacks), compile=False
        )
        return model, history

    noted = Histograms(bins=12)
    model, history = run(noted)
    plain, expected = run()
    assert history.history == expected.history
    for one, other in zip(model.parameters(), plain.parameters(), strict=True):
        assert one.data.tobytes() == other.data.tobytes()
    assert noted.weights.keys() == noted.gradients.keys() == dict(model.named_parameters()).keys()
    for name, parameter in model.named_parameters():
        assert len(noted.weights[name]) == 4
        counts, edges = noted.weights[name][-1]
        expected_counts, expected_edges = np.histogram(parameter.data, 12)
        np.testing.assert_array_equal(counts, expected_counts)
        np.testing.assert_array_equal(edges, expected_edges)
    (activations,) = noted.activations.values()
    assert activations[-1][0].sum() == 120 * 8
    figure = viz.plot_histograms(noted.weights)
    figure.canvas.draw()
    assert len(figure.axes) == 4
    shares = np.square(figure.axes[0].images[0].get_array())
    np.testing.assert_allclose(shares.sum(axis=0), 1.0, rtol=1e-9)
    with pytest.raises(ArgumentError, match="nothing was recorded"):
        viz.plot_histograms({})
    with pytest.raises(ArgumentError, match="at least 1 bin"):
        Histograms(bins=0)
