"""Metrics: scikit-learn's values, whatever the batches, merged or not, with weights or without."""

from __future__ import annotations

import copy
import itertools
import json
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from tinygrad_mlp import nn
from tinygrad_mlp.errors import ArgumentError, ShapeError
from tinygrad_mlp.train import evaluate, fit, predict
from tinygrad_mlp.train.meters import Meters
from tinygrad_mlp.train.metrics import (
    AUC,
    METRICS,
    Accuracy,
    AveragePrecision,
    CohenKappa,
    ConfusionMatrix,
    F1Score,
    LogLoss,
    MeanAbsoluteError,
    MeanOf,
    MeanSquaredError,
    Metric,
    Precision,
    Recall,
    RootMeanSquaredError,
    RSquared,
    TopKAccuracy,
    metric_of,
)


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


def rate(name: str, **options: Any) -> Callable[..., Any]:
    def score(y: Any, z: Any, w: Any) -> Any:
        found = z.argmax(1) if z.shape[1] > 1 else (z[:, 0] > 0).astype(int)
        return getattr(sk, name)(y, found, sample_weight=w, zero_division=0.0, **options)

    return score


def shares(z: np.ndarray) -> np.ndarray:
    return sigmoid(z[:, 0]) if z.shape[1] == 1 else softmax(z)


def ovr(y: Any, z: Any, w: Any) -> Any:
    p = softmax(z)
    return np.mean([sk.roc_auc_score(y == one, p[:, one], sample_weight=w) for one in range(p.shape[1])])


def ap(y: Any, z: Any, w: Any) -> Any:
    p = softmax(z)
    return np.mean([sk.average_precision_score(y == one, p[:, one], sample_weight=w) for one in range(p.shape[1])])


# Metric, number of output columns, scikit-learn's function of targets, logits and weights.
CLASSES: dict[str, tuple[Callable[[], Metric], int, Callable[..., Any]]] = {
    "accuracy": (Accuracy, 4, lambda y, z, w: sk.accuracy_score(y, z.argmax(1), sample_weight=w)),
    "accuracy, one logit": (Accuracy, 1, lambda y, z, w: sk.accuracy_score(y, z[:, 0] > 0, sample_weight=w)),
    "confusion": (
        ConfusionMatrix,
        4,
        lambda y, z, w: sk.confusion_matrix(y, z.argmax(1), sample_weight=w, labels=range(4)),
    ),
    "kappa": (CohenKappa, 4, lambda y, z, w: sk.cohen_kappa_score(y, z.argmax(1), sample_weight=w)),
    "top 2": (
        lambda: TopKAccuracy(2),
        4,
        lambda y, z, w: sk.top_k_accuracy_score(y, z, k=2, sample_weight=w, labels=range(4)),
    ),
    "auc": (AUC, 1, lambda y, z, w: sk.roc_auc_score(y, z[:, 0], sample_weight=w)),
    "auc, two columns": (AUC, 2, lambda y, z, w: sk.roc_auc_score(y, z[:, 1] - z[:, 0], sample_weight=w)),
    "auc, classes": (AUC, 4, ovr),
    "ap": (AveragePrecision, 1, lambda y, z, w: sk.average_precision_score(y, z[:, 0], sample_weight=w)),
    "ap, classes": (AveragePrecision, 4, ap),
    "log loss": (LogLoss, 4, lambda y, z, w: sk.log_loss(y, softmax(z), sample_weight=w, labels=range(4))),
    "log loss, one logit": (LogLoss, 1, lambda y, z, w: sk.log_loss(y, sigmoid(z[:, 0]), sample_weight=w)),
}
for _kind, _name in ((Precision, "precision_score"), (Recall, "recall_score"), (F1Score, "f1_score")):
    CLASSES[f"{_name}, binary"] = (_kind, 1, rate(_name))
    for _average in ("macro", "micro", "weighted", None):
        CLASSES[f"{_name}, {_average}"] = (
            lambda kind=_kind, average=_average: kind(average=average),
            4,
            rate(_name, average=_average, **({} if _average else {"labels": range(4)})),
        )

NUMBERS: dict[str, tuple[Callable[[], Metric], Callable[..., Any]]] = {
    "mae": (MeanAbsoluteError, sk.mean_absolute_error),
    "mse": (MeanSquaredError, sk.mean_squared_error),
    "rmse": (RootMeanSquaredError, sk.root_mean_squared_error),
    "r2": (RSquared, sk.r2_score),
}


def data(seed: int, columns: int, samples: int, ties: bool) -> tuple[Any, Any, Any]:
    """Logits, class ids of which each occurs, and weights; with ties, logits are whole numbers."""
    rng = np.random.default_rng(seed)
    classes = max(columns, 2)
    y = np.concatenate([np.arange(classes), rng.integers(0, classes, samples)])
    z = rng.normal(size=(len(y), columns)) * 2
    return (np.round(z) if ties else z), y, rng.integers(1, 5, len(y)) / 2


def cuts(rng: np.random.Generator, samples: int) -> list[slice]:
    ends = sorted({0, samples, *rng.integers(0, samples, 4).tolist()})
    return [slice(a, b) for a, b in itertools.pairwise(ends)]


def fed(make: Callable[[], Metric], z: Any, y: Any, w: Any, parts: list[slice]) -> Metric:
    metric = make()
    for part in parts:
        metric.update(z[part], y[part], None if w is None else w[part])
    return metric


@pytest.mark.parametrize("name", CLASSES)
@settings(max_examples=8)
@given(seed=st.integers(0, 10**6), samples=st.integers(0, 40), ties=st.booleans(), weighted=st.booleans())
def test_metrics_of_classes_are_scikit_learns(name: str, seed: int, samples: int, ties: bool, weighted: bool) -> None:
    """The value over any split into batches, and over two halves that are merged, is scikit-learn's of the whole."""
    make, columns, oracle = CLASSES[name]
    z, y, w = data(seed, columns, samples, ties and "top" not in name)
    w = w if weighted else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = oracle(y, z, w)
    rng = np.random.default_rng(seed)
    y = y[:, None] if columns == 1 else y
    whole = fed(make, z, y, w, [slice(0, len(y))])
    np.testing.assert_allclose(whole.result(), expected, rtol=1e-12, atol=1e-12)
    split = fed(make, z, y, w, cuts(rng, len(y)))
    half = len(y) // 2
    merged = fed(make, z, y, w, [slice(0, half)])
    merged.merge(fed(make, z, y, w, [slice(half, len(y))]))
    exact = whole.exact and w is None
    for other in (split, merged):
        np.testing.assert_allclose(
            other.result(), whole.result(), rtol=0 if exact else 1e-12, atol=0 if exact else 1e-14
        )


@pytest.mark.parametrize("name", NUMBERS)
@settings(max_examples=8)
@given(
    seed=st.integers(0, 10**6),
    samples=st.integers(2, 40),
    outputs=st.integers(1, 3),
    weighted=st.booleans(),
    offset=st.sampled_from([0.0, 1e6]),
)
def test_metrics_of_numbers_are_scikit_learns(
    name: str, seed: int, samples: int, outputs: int, weighted: bool, offset: float
) -> None:
    """Over all outputs together, for any split into batches, merged too, also far from zero."""
    make, oracle = NUMBERS[name]
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(samples, outputs)) + offset
    p = y + 0.3 * rng.normal(size=y.shape)
    w = rng.integers(1, 4, samples) / 2 if weighted else None
    each = None if w is None else np.repeat(w, outputs)
    expected = oracle(y.ravel(), p.ravel(), sample_weight=each)
    half = samples // 2
    merged = fed(make, p, y, w, [slice(0, half)] if half else [])
    merged.merge(fed(make, p, y, w, [slice(half, samples)]))
    for found in (fed(make, p, y, w, cuts(rng, samples)), merged):
        assert found.result() == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("name", [*CLASSES, *NUMBERS])
def test_a_state_goes_on_exactly(name: str) -> None:
    """state_dict in the middle, and what loads it, end with the same bits; nothing seen stays nothing seen."""
    if name in CLASSES:
        make, columns, _ = CLASSES[name]
        z, y, _ = data(0, columns, 30, ties=True)
        y = y[:, None] if columns == 1 else y
    else:
        make, _ = NUMBERS[name]
        y = np.random.default_rng(0).normal(size=(34, 2))
        z = y + 1
    one, other = make(), make()
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    one.update(z[:11], y[:11])
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    for metric in (one, other):
        metric.update(z[11:], y[11:])
    np.testing.assert_array_equal(one.result(), other.result())
    one.reset()
    np.testing.assert_array_equal(one.result(), make().result())


def test_probabilities_can_be_given_instead() -> None:
    """from_logits=False takes outputs for probabilities, cut off where scikit-learn does."""
    z, y, _ = data(0, 4, 30, ties=False)
    p = softmax(z)
    p[0] = [0.0, 1.0, 0.0, 0.0]
    loss, auc = LogLoss(from_logits=False), AUC(from_logits=False)
    loss.update(p, y)
    auc.update(p, y)
    assert loss.result() == pytest.approx(sk.log_loss(y, p, labels=range(4)), rel=1e-12)
    assert auc.result() == pytest.approx(sk.roc_auc_score(y, p, multi_class="ovr"), rel=1e-12)


def test_what_ties_with_the_kth_counts() -> None:
    """As in Keras' in_top_k."""
    metric = TopKAccuracy(1)
    metric.update(np.array([[1.0, 1.0, 0.0], [0.0, 1.0, 2.0]]), np.array([1, 1]))
    assert metric.result() == 0.5


def test_under_binary_cross_entropy_every_output_is_an_answer() -> None:
    """Three yes-or-no outputs per sample: as Keras' binary accuracy, not the largest of the three."""
    z = np.array([[1.0, -1.0, 2.0], [-1.0, -1.0, 3.0]], np.float32)
    y = np.array([[1.0, 0.0, 1.0], [1.0, 0.0, 0.0]], np.float32)
    found = evaluate(nn.Identity(), z, y, loss="binary_cross_entropy")
    assert found["accuracy"] == pytest.approx(4 / 6)


def test_a_function_is_averaged_over_the_samples() -> None:
    """One number per sample, or a mean per batch, exact over a ragged last batch; its name is the log's."""

    def off_by(outputs: Any, targets: Any) -> Any:
        return np.abs(outputs - targets)

    def mean_off_by(outputs: Any, targets: Any) -> Any:
        return float(np.abs(outputs - targets).mean())

    x = np.arange(7, dtype=np.float32)[:, None]
    found = evaluate(nn.Identity(), x, 2 * x, loss="mse", metrics=[off_by, mean_off_by, "mae"], batch_size=3)
    assert found["off_by"] == found["mean_off_by"] == found["mae"] == 3.0


def test_objects_are_patterns() -> None:
    """Every pass is measured with a fresh copy: what was given stays empty, and passes do not add up."""
    x = np.eye(3, dtype=np.float32)
    y = np.arange(3)
    mine = Precision(average="macro", name="p")
    history = fit(nn.Linear(3, 3, seed=0), x, y, epochs=2, validation_data=(x, y), metrics=[mine, "top_k"], verbose=0)
    assert list(history.history) == ["loss", "p", "top_k", "val_loss", "val_p", "val_top_k"]
    assert mine.counts.size == 0


def test_a_confusion_matrix_goes_into_the_history(capsys: pytest.CaptureFixture[str]) -> None:
    """As nested lists, which JSON can hold; lines and tables leave it out."""
    x = np.eye(3, dtype=np.float32)
    y = np.arange(3)
    model = nn.Linear(3, 3, seed=0)
    history = fit(model, x, y, metrics=["confusion_matrix"], verbose=2)
    assert "confusion" not in capsys.readouterr().out
    assert np.sum(history.history["confusion_matrix"][0]) == 3
    assert json.loads(json.dumps(history.to_dict()))["history"] == history.history
    assert "confusion" not in history._repr_html_() + repr(history)
    found = evaluate(model, x, y, metrics="confusion_matrix")["confusion_matrix"]
    np.testing.assert_array_equal(found, sk.confusion_matrix(y, predict(model, x).argmax(1), labels=range(3)))


@pytest.mark.parametrize("way", ["replay", pytest.param("native", marks=pytest.mark.compiler)])
def test_compiled_epochs_measure_the_same(way: str) -> None:
    """Many batches taken in at once give what they give one by one."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(203, 4)).astype(np.float32)
    y = rng.integers(0, 3, 203)
    names = ["accuracy", "auc", "f1", "log_loss", "cohen_kappa", "confusion_matrix", "top_k"]
    found = [
        fit(nn.Linear(4, 3, seed=0), x, y, lr=0.0, metrics=names, seed=0, verbose=0, compile=one)
        for one in (way, False)
    ]
    assert found[0].compiled == way
    for name, values in found[1].history.items():
        np.testing.assert_allclose(found[0].history[name], values, rtol=1e-6)


def test_every_name_works_and_says_which_way_is_better() -> None:
    """All of METRICS can be made from their names and spellings; only the confusion matrix has no better."""
    for name in METRICS:
        assert metric_of(name).name == name
        assert (metric_of(name).better is None) == (name == "confusion_matrix")
    assert metric_of("acc").name == "acc"
    assert isinstance(metric_of("mean_absolute_error"), MeanAbsoluteError)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: metric_of("acuracy"), ArgumentError, "unknown metric 'acuracy'; did you mean 'accuracy'? Valid: "),
        (
            lambda: metric_of(Accuracy),
            ArgumentError,
            f"expected the name of a metric, a Metric or a function, got {Accuracy!r}; say Accuracy()",
        ),
        (
            lambda: metric_of(3),
            ArgumentError,
            "expected the name of a metric, a Metric or a function, got 3; say metrics=['accuracy']",
        ),
        (lambda: TopKAccuracy(0), ArgumentError, "TopKAccuracy: k is an integer >= 1, got 0"),
        (
            lambda: TopKAccuracy(2).update(np.zeros((3, 1)), np.zeros(3)),
            ArgumentError,
            "top_2: expected one output per class, got outputs of shape (3, 1)",
        ),
        (
            lambda: Precision(average="makro"),
            ArgumentError,
            "Precision: unknown average 'makro'; did you mean 'macro'? Valid: ",
        ),
        (
            lambda: fed(lambda: Recall("binary"), np.zeros((3, 3)), np.zeros(3), None, [slice(None)]).result(),
            ArgumentError,
            "recall: average='binary' is for two classes, and there are 3; say average='macro'",
        ),
        (
            lambda: ConfusionMatrix().update(np.zeros((3, 3)), np.array([0, 1, 3])),
            ArgumentError,
            "confusion_matrix: targets from 0 to 3, but there are 3 classes, numbered 0 to 2",
        ),
        (
            lambda: Accuracy().update(np.zeros((3, 1)), np.zeros(3)),
            ShapeError,
            "accuracy: answers of shape (3, 1), but targets of shape (3,)",
        ),
        (
            lambda: Accuracy().update(np.zeros((3, 2)), np.zeros((3, 1))),
            ShapeError,
            "accuracy: answers of shape (3,), but targets of shape (3, 1); targets.ravel() fits",
        ),
        (
            lambda: MeanSquaredError().update(np.zeros((3, 1)), np.zeros(3)),
            ShapeError,
            "mse: outputs of shape (3, 1), but targets of shape (3,); targets.reshape(-1, 1) has the outputs' shape",
        ),
        (
            lambda: AUC().update(np.zeros((3, 1)), np.zeros(4)),
            ShapeError,
            "auc: outputs of shape (3, 1), but targets of shape (4,)",
        ),
        (
            lambda: LogLoss().update(np.zeros((3, 2)), np.array([0, 1, 2])),
            ArgumentError,
            "log_loss: targets from 0 to 2, but there are 2 classes",
        ),
        (
            lambda: MeanOf(lambda z, y: np.zeros(2), "f").update(np.zeros(3), np.zeros(3)),
            ShapeError,
            "the metric 'f' gave shape (2,) for 3 samples; return one number per sample, or one for the batch",
        ),
        (
            lambda: MeanOf(lambda z, y: 1.0, "f").update(np.zeros(3), np.zeros(3), np.ones(3)),
            ArgumentError,
            "the metric 'f' gives one number per batch, which cannot be weighted; return one number per sample",
        ),
        (
            lambda: Meters(["accuracy", Accuracy()]),
            ArgumentError,
            "two metrics are called 'accuracy'; give one of them another name: Accuracy(name='accuracy_2')",
        ),
    ],
)
def test_messages(make: Any, error: type[Exception], message: str) -> None:
    """Each says what came, and what to write."""
    with pytest.raises(error) as caught:
        make()
    assert str(caught.value).startswith(message)
    assert message.endswith("Valid: ") or str(caught.value) == message
