"""Whole fits of our MLP estimators beside scikit-learn's: how long they take, and how far their losses are apart."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from harness import NOT_INSTALLED, Column, Settings, Table, has, limit_threads, verdict

from tinygrad_mlp.datasets import fashion_mnist, load_digits
from tinygrad_mlp.errors import DataNotFoundError

__all__ = ["measure"]

COLUMNS = (
    Column("case", "fit"),
    Column("epochs", "epochs"),
    Column("theirs", "scikit-learn, s", ".3f"),
    Column("ours", "ours, s", ".3f"),
    Column("ratio", "of scikit-learn's", ".2f"),
    Column("goal", "goal", ".1f"),
    Column("apart", "largest difference of the losses", ".1e"),
    Column("verdict", "verdict"),
)
# No convergence: what is compared are equal numbers of epochs.
ENDLESS = {"tol": 0.0, "n_iter_no_change": 10**6, "random_state": 0}
CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "digits, defaults, 5 epochs": ("digits", "MLPClassifier", {"max_iter": 5}),
    "digits, defaults, 200 epochs": ("digits", "MLPClassifier", {}),
    "digits, batches of 32, 30 epochs": ("digits", "MLPClassifier", {"batch_size": 32, "max_iter": 30}),
    "digits, SGD, batches of 32, 100 epochs": (
        "digits",
        "MLPClassifier",
        {"solver": "sgd", "batch_size": 32, "max_iter": 100},
    ),
    "digits, L-BFGS, 100 iterations": ("digits", "MLPClassifier", {"solver": "lbfgs", "max_iter": 100}),
    "digits, the digit as a number, 50 epochs": ("digits", "MLPRegressor", {"max_iter": 50}),
    "Fashion, 10,000 float64, defaults, 10 epochs": ("fashion64", "MLPClassifier", {"max_iter": 10}),
    "Fashion, 10,000 float32, 300-100, SGD, 32, 5 epochs": (
        "fashion32",
        "MLPClassifier",
        {"hidden_layer_sizes": (300, 100), "solver": "sgd", "batch_size": 32, "max_iter": 5},
    ),
}


def measure(settings: Settings) -> Table:
    """Seconds per fit, medians over rounds in turns; a first fit of each is not timed: in it our compiler compiles."""
    title = "Fits of MLPClassifier and MLPRegressor"
    if not has("sklearn"):
        return Table("estimators", title, COLUMNS, [{"case": name, "theirs": NOT_INSTALLED} for name in CASES])
    data = _data(settings)
    rows = []
    with limit_threads(settings.threads), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has not converged
        for name, (source, kind, options) in CASES.items():
            if source not in data:
                rows.append({"case": name, "theirs": "no data"})
                continue
            rows.append({"case": name, **_compared(kind, options, data[source], settings)})
    return Table("estimators", title, COLUMNS, rows, ["Losses: one per epoch, of equal random_state."])


def _data(settings: Settings) -> dict[str, tuple[Any, Any]]:
    digits = load_digits()
    count = settings.pick(10_000, 200)
    found = {"digits": (digits.data[:count].astype(np.float64) / 16, digits.target[:count])}
    try:
        (images, labels), _ = fashion_mnist.load_data(download=False)
    except DataNotFoundError:
        return found
    pixels = images[:count].reshape(count, -1) / 255.0
    return {**found, "fashion64": (pixels, labels[:count]), "fashion32": (pixels.astype(np.float32), labels[:count])}


def _compared(kind: str, options: dict[str, Any], data: tuple[Any, Any], settings: Settings) -> dict[str, Any]:
    import sklearn.neural_network as theirs

    import tinygrad_mlp.sklearn as ours

    given = {**ENDLESS, **options}
    if options.get("solver") == "lbfgs":
        given["tol"] = 1e-12
    if settings.quick:
        given["max_iter"] = 2
    seconds: dict[Any, list[float]] = {theirs: [], ours: []}
    fitted = {library: getattr(library, kind)(**given).fit(*data) for library in seconds}
    for _ in range(settings.pick(5, 1)):
        for library, times in seconds.items():
            model = getattr(library, kind)(**given)
            begin = settings.clock()
            model.fit(*data)
            times.append(settings.clock() - begin)
    curves = [np.asarray(getattr(model, "loss_curve_", [model.loss_])) for model in fitted.values()]
    ratio = float(np.median(np.divide(seconds[ours], seconds[theirs])))
    return {
        "epochs": fitted[ours].n_iter_,
        "theirs": float(np.median(seconds[theirs])),
        "ours": float(np.median(seconds[ours])),
        "ratio": ratio,
        "goal": 1.0,
        "apart": float(np.abs(curves[0] - curves[1]).max()),
        "verdict": verdict((ratio, 1.0)),
    }
