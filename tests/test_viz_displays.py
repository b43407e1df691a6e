"""Displays: scikit-learn's pattern, checked against scikit-learn's own, and every picture of the gallery drawn."""

from __future__ import annotations

import importlib.util
import inspect
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinygrad_mlp import Tensor, nn, train, viz
from tinygrad_mlp.errors import ArgumentError, MissingExtraError, ShapeError

matplotlib = pytest.importorskip("matplotlib", reason='matplotlib is missing: pip install "tinygrad-mlp[plot]"')

ROOT = Path(__file__).resolve().parents[1]
DISPLAYS = [getattr(viz, name) for name in viz.__all__ if name.endswith("Display") and name != "Display"]
RNG = np.random.default_rng(0)
POINTS = RNG.normal(size=(60, 2))
SIDES = (POINTS[:, 0] > 0).astype(int)


def network() -> nn.MLP:
    return nn.MLP(2, 4, 2, seed=0)


def examples() -> dict[str, Any]:
    """One drawn display of each class."""
    model = network()
    sweep = train.lr_find(model, POINTS, SIDES, seed=0, num_steps=20)
    noted = train.Histograms()
    fit = train.fit(model, POINTS, SIDES, epochs=2, seed=0, verbose=0, callbacks=[noted], compile=False)
    shares = RNG.dirichlet(np.ones(2), size=60)
    drawn = [
        viz.HistoryDisplay.from_history(fit),
        viz.ConfusionMatrixDisplay.from_predictions(SIDES, 1 - SIDES),
        viz.DecisionBoundaryDisplay.from_estimator(model, POINTS, SIDES, resolution=10),
        viz.PredictionErrorDisplay.from_predictions([1.0, 2.0], [1.5, 2.5]),
        viz.MistakesDisplay.from_predictions(RNG.random((60, 3, 3)), SIDES, shares, limit=3),
        viz.WeightsDisplay.from_model(nn.Linear(9, 3, seed=0), (3, 3)),
        viz.ActivationDisplay.from_functions(["tanh"]),
        viz.LossLandscapeDisplay.from_model(model, lambda: nn.CrossEntropyLoss()(model(POINTS), SIDES), size=3),
        viz.HistogramDisplay.from_callback(noted),
        viz.LRFindDisplay.from_lr_find(sweep),
    ]
    return {type(one).__name__: one for one in drawn}


EXAMPLES = examples()


@pytest.mark.parametrize("kind", DISPLAYS, ids=lambda kind: kind.__name__)
def test_every_display_keeps_the_pattern(kind: Any) -> None:
    """``plot`` gives the display itself, notes figure and axes, and draws anew; in a notebook it is a picture."""
    display = EXAMPLES[kind.__name__]
    assert any(name.startswith("from_") for name in vars(kind))
    before = display.figure_
    assert isinstance(before, matplotlib.figure.Figure)
    assert display.ax_ is display.axes_[0]
    assert all(one.figure is before for one in display.axes_)
    assert display._repr_png_().startswith(b"\x89PNG")
    again = display.plot(**({"metric": None} if kind is viz.HistoryDisplay else {}))
    assert again is display
    assert display.figure_ is not before
    if "ax" in inspect.signature(kind.plot).parameters:
        ax = matplotlib.figure.Figure().add_subplot()
        metric = {"metric": "loss"} if kind is viz.HistoryDisplay else {}
        assert display.plot(ax=ax, **metric).ax_ is ax
        assert display.figure_ is ax.figure
    assert "pyplot" not in inspect.getsource(inspect.getmodule(kind))


def test_arguments_are_those_of_scikit_learn() -> None:
    """Where scikit-learn has a display of the name, what ours takes is there under the same name and in this order."""
    theirs = pytest.importorskip("sklearn.metrics", reason="scikit-learn is missing")
    inspection = pytest.importorskip("sklearn.inspection", reason="scikit-learn is missing")
    compared = 0
    for name in ("ConfusionMatrixDisplay", "PredictionErrorDisplay", "DecisionBoundaryDisplay"):
        other = getattr(theirs, name, None) or getattr(inspection, name)
        for method in ("__init__", "from_estimator", "from_predictions"):
            ours = getattr(getattr(viz, name), method, None)
            drawn_anew = (name, method) == ("DecisionBoundaryDisplay", "__init__")  # ours asks the model again
            if ours is None or not hasattr(other, method) or drawn_anew:
                continue
            known = list(inspect.signature(getattr(other, method)).parameters)
            mine = [one for one in inspect.signature(ours).parameters if one not in {"options", "y"} or one in known]
            assert [one for one in known if one in mine] == mine, f"{name}.{method}"
            compared += 1
    assert compared == 7


def test_an_estimator_and_its_labels() -> None:
    """Of classifiers with names for classes the counts are scikit-learn's, with the names beside them."""
    linear = pytest.importorskip("sklearn.linear_model", reason="scikit-learn is missing")
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is missing")
    words = np.array(["left", "right"])[SIDES]
    estimator = linear.LogisticRegression(C=0.01).fit(POINTS + RNG.normal(size=POINTS.shape), words)
    display = viz.ConfusionMatrixDisplay.from_estimator(estimator, POINTS, words)
    expected = metrics.confusion_matrix(words, estimator.predict(POINTS))
    assert display.confusion_matrix.tolist() == expected.tolist()
    assert [one.get_text() for one in display.ax_.get_yticklabels()] == ["left", "right"]
    regions = viz.DecisionBoundaryDisplay.from_estimator(
        estimator, POINTS, words, resolution=9, feature_names=["width $", "height"]
    )
    assert (regions.ax_.get_xlabel(), regions.ax_.get_ylabel()) == (r"width \$", "height")
    wrong = int((estimator.predict(POINTS) != words).sum())
    assert any(f"misclassified ({wrong})" in text.get_text() for text in regions.ax_.get_legend().get_texts())


def test_a_network_is_asked_in_evaluation_mode_and_comes_back() -> None:
    model = nn.Sequential(nn.Linear(2, 8, seed=0), nn.Dropout(0.9, seed=0), nn.Linear(8, 2, seed=0))
    model.train()
    counts = [viz.ConfusionMatrixDisplay.from_estimator(model, POINTS, SIDES).confusion_matrix.tolist() for _ in "ab"]
    assert counts[0] == counts[1]
    assert all(one.training for one in model.modules())
    model.eval()
    expected = model(Tensor(POINTS, dtype="float32")).data.argmax(axis=1)
    assert counts[0] == viz.confusion_matrix(SIDES, expected, 2).tolist()


def test_misuse() -> None:
    with pytest.raises(ArgumentError, match=r"one output for each class, got outputs of \(60, 1\)"):
        viz.ConfusionMatrixDisplay.from_estimator(nn.Linear(2, 1, seed=0), POINTS, SIDES)
    with pytest.raises(ArgumentError, match="loss"):
        viz.HistoryDisplay({"loss": [1.0]}).plot("los")
    with pytest.raises(ArgumentError, match="gradients"):
        viz.HistogramDisplay.from_callback(train.Histograms(), "gradient")
    with pytest.raises(ArgumentError, match="no matrix of weights"):
        viz.WeightsDisplay.from_model(nn.ReLU(), (3, 3))
    with pytest.raises(ShapeError):
        viz.PredictionErrorDisplay.from_predictions([1.0], [1.0, 2.0])


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match="plot"):
        viz.HistoryDisplay.from_history({"loss": [1.0]})


def test_the_gallery_is_drawn_from_its_page() -> None:
    """The code of docs/pictures.md runs, makes a display for each picture, and shows every display there is."""
    spec = importlib.util.spec_from_file_location("draw", ROOT / "docs" / "pictures" / "draw.py")
    assert spec is not None
    assert spec.loader is not None
    draw = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(draw)
    page = (ROOT / "docs" / "pictures.md").read_text(encoding="utf-8")
    shown = dict(draw.gallery())
    assert set(shown) == set(re.findall(r"\(pictures/(.*?)\)", page))
    assert {type(one) for one in shown.values()} == set(DISPLAYS)
    for name, display in shown.items():
        width, height = display.figure_.get_size_inches() * display.figure_.dpi
        drawn = matplotlib.image.imread(ROOT / "docs" / "pictures" / name)
        assert drawn.shape[:2] == (round(height), round(width)), f"{name} is not the picture of this page any more"
