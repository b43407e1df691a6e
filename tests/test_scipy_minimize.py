"""``optim.scipy_minimize``: SciPy's own answers, and weights that end at the best point."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tinygrad_mlp import Tensor, extras, nn, optim
from tinygrad_mlp.errors import ArgumentError, MissingExtraError

scipy_optimize = pytest.importorskip("scipy.optimize")


def valley(p: Tensor) -> Any:
    return ((p[1:] - p[:-1] ** 2) ** 2).sum() * 100 + ((1 - p[:-1]) ** 2).sum()


@pytest.mark.parametrize("method", ["L-BFGS-B", "BFGS", "CG", "TNC", "SLSQP", "Newton-CG", "Nelder-Mead", "Powell"])
def test_each_method_walks_as_with_scipys_own_derivative(method: str) -> None:
    """Rosenbrock's valley in five dimensions: the path of SciPy's own function and gradient, and the same end."""
    start = np.array([-1.2, 1.0, 0.5, 1.5, -0.5])
    jac = None if method in {"Nelder-Mead", "Powell"} else scipy_optimize.rosen_der
    for options, tolerance in (({"maxfun" if method == "TNC" else "maxiter": 8}, 1e-7), ({}, 2e-4)):
        right = scipy_optimize.minimize(scipy_optimize.rosen, start, method=method, jac=jac, options=options)
        p = nn.Parameter(start)
        mine = optim.scipy_minimize([p], lambda p=p: valley(p), method, options=options)  # type: ignore[misc]
        assert isinstance(mine, scipy_optimize.OptimizeResult)
        assert mine.success == right.success
        np.testing.assert_allclose(mine.x, right.x, rtol=tolerance, atol=tolerance)
        assert valley(p).item() <= mine.fun + 1e-12


def test_a_model_is_trained_and_ends_at_the_best_point() -> None:
    """Parameters of several shapes and a float32 model; the closure may call backward() itself; gradients are used."""
    rng = np.random.default_rng(0)
    x, y = Tensor(rng.normal(size=(50, 3)).astype("f")), Tensor(rng.normal(size=(50, 1)).astype("f"))
    model = nn.Linear(3, 1, seed=0)

    def closure() -> Tensor:
        model.zero_grad()
        loss = nn.MSELoss()(model(x), y)
        loss.backward()
        return loss

    result = optim.scipy_minimize(model, closure, options={"maxiter": 200})
    design = np.c_[x.data, np.ones(50)]
    right = np.linalg.lstsq(design, y.data, rcond=None)[0].ravel()
    np.testing.assert_allclose(np.r_[model.weight.data.ravel(), model.bias.data], right, atol=1e-4)
    assert model.weight.dtype == "float32"
    assert result.x.dtype == "float64"


def test_the_best_point_is_kept_where_the_method_ends_elsewhere() -> None:
    """Also where the closure fails, or the user stops the search."""
    p = nn.Parameter(np.array([3.0]))
    seen: list[float] = []

    def closure() -> Tensor:
        if len(seen) == 4:
            raise KeyboardInterrupt
        seen.append(abs(p.item() - 1.0))
        return (p - 1.0).abs().sum()

    with pytest.raises(KeyboardInterrupt):
        optim.scipy_minimize([p], closure, "Nelder-Mead")
    assert abs(p.item() - 1.0) == min(seen)


def test_bounds_hold_for_elements_or_parameters() -> None:
    """The minimum at the edge; frozen parameters stay."""
    a, b = nn.Parameter(np.zeros((2, 2))), nn.Parameter(np.zeros(1))
    frozen = nn.Parameter(np.zeros(3), requires_grad=False)
    optim.scipy_minimize([a, frozen, b], lambda: ((a - 2) ** 2).sum() + ((b - 2) ** 2).sum(), bounds=[(0, 1), (0, 3)])
    assert np.allclose(a.data, 1)
    assert np.allclose(b.data, 2)
    assert not frozen.data.any()
    optim.scipy_minimize([b], lambda: ((b + 2) ** 2).sum(), bounds=[(-1, 1)])
    assert b.item() == -1
    with pytest.raises(ArgumentError, match="bounds for 5 elements or for 2 parameters"):
        optim.scipy_minimize([a, b], lambda: a.sum() + b.sum(), bounds=[(0, 1)] * 3)


def test_what_it_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing to train, a loss with axes, no loss; and no SciPy."""
    p = nn.Parameter(np.ones(2))
    with pytest.raises(ArgumentError, match="requires gradients"):
        optim.scipy_minimize(nn.Linear(1, 1, seed=0).requires_grad_(False), lambda: p.sum())
    with pytest.raises(ArgumentError, match=r"shape \(2,\)"):
        optim.scipy_minimize([p], lambda: p * 1)
    with pytest.raises(ArgumentError, match="NoneType"):
        optim.scipy_minimize([p], lambda: None)
    monkeypatch.setattr(extras.importlib, "import_module", _missing)
    with pytest.raises(MissingExtraError, match=r"tinygrad-mlp\[scipy\]"):
        optim.scipy_minimize([p], lambda: p.sum())


def _missing(name: str) -> Any:
    raise ImportError(name)
