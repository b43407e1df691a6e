"""One training run from data set to report: what ``train`` and ``demo`` share."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

import tinygrad_mlp

from ..errors import MissingExtraError
from ..graph import Graph
from ..nn import MLP, CrossEntropyLoss, MSELoss
from ..ops import softmax
from ..tape import Array
from ..tensor import from_numpy, record_values
from ..testing import GradcheckReport
from ..train import History, evaluate, fit, predict
from ..viz import (
    Answers,
    Written,
    plot_decision_boundary,
    plot_predictions,
    plot_weights,
    write_report,
)
from .tasks import Ready

__all__ = ["Result", "train", "write_files"]

# The picture of one step shows every number in it, so a handful of samples says more than a whole batch.
_DRAWN_SAMPLES = 4


@dataclass(frozen=True, eq=False)
class Result:
    """A trained model with its figures on the test samples."""

    ready: Ready
    model: MLP
    history: History
    scores: dict[str, float]
    outputs: Array

    @property
    def headline(self) -> tuple[str, str]:
        """The name and the value of the one number that matters: the accuracy, or R² for a number."""
        if "accuracy" in self.scores:
            return "test accuracy", f"{self.scores['accuracy']:.2%}"
        return "test R²", f"{self.scores['r2']:.4f}"


def train(
    ready: Ready,
    model: MLP,
    *,
    optimizer: str,
    lr: float | None,
    epochs: int,
    batch_size: int,
    seed: int,
    verbose: str | int = "auto",
    compile: bool | str = "auto",
) -> Result:
    """Train with progress, then look at the test samples, once."""
    classes = bool(ready.task.class_names)
    loss, metrics = (CrossEntropyLoss(), ["accuracy"]) if classes else (MSELoss(), ["r2"])
    history = fit(
        model,
        ready.x,
        ready.y,
        epochs=epochs,
        batch_size=batch_size,
        optimizer=optimizer,
        lr=lr,
        loss=loss,
        metrics=metrics,
        validation_data=ready.validation,
        seed=seed,
        verbose=verbose,
        compile=compile,
    )
    scores = evaluate(model, ready.x_test, ready.y_test, loss=loss, metrics=metrics)
    return Result(ready, model, history, scores, predict(model, ready.x_test))


def write_files(
    folder: Path,
    result: Result,
    *,
    title: str,
    lead: str,
    settings: dict[str, Any],
    gradients: GradcheckReport | None = None,
) -> Written:
    """Write ``history.json``, ``weights.npz`` and ``report.html`` into the folder, which is made if needed."""
    folder.mkdir(parents=True, exist_ok=True)
    record = {"settings": settings, "test": result.scores} | result.history.to_dict()
    (folder / "history.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    arrays: dict[str, Any] = {name: one.data for name, one in result.model.state_dict().items()}
    np.savez(folder / "weights.npz", **arrays)
    task, history = result.ready.task, result.history
    numbers = [result.headline, (f"seconds for {len(history.epoch)} epochs", f"{sum(history.seconds):.2f}")]
    if gradients is not None:
        numbers.append(("worst relative error of a gradient", f"{gradients.worst:.0e}"))
    numbers.append(("parameters", f"{result.model.summary().total:,}"))
    return write_report(
        folder / "report.html",
        title=title,
        lead=lead,
        numbers=numbers,
        data=[("samples", _sizes(result.ready)), *task.facts],
        summary=result.model.summary(),
        history=history.history,
        answers=_answers(result),
        figures=_figures(result),
        gradients=gradients,
        graph=step_graph(result),
        settings=[(name.replace("_", " "), _shown(value)) for name, value in settings.items()],
        environment=_environment(),
    )


def _sizes(ready: Ready) -> str:
    validated = "" if ready.validation is None else f", {len(ready.validation[0]):,} for validation"
    return f"{len(ready.x):,} for training{validated}, {len(ready.x_test):,} held out for the test"


def _shown(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _answers(result: Result) -> Answers | None:
    task = result.ready.task
    if not task.class_names:
        return None
    images = task.x_test.reshape(-1, *task.image_shape) if task.image_shape else None
    return Answers(np.asarray(result.ready.y_test), np.asarray(softmax(result.outputs, -1)), task.class_names, images)


def _figures(result: Result) -> Iterator[tuple[str, str, Any]]:
    """Heading, note and figure of what this kind of task can show besides; nothing where matplotlib is missing."""
    ready, task = result.ready, result.ready.task
    try:
        if task.image_shape:
            figure = plot_weights(result.model[0].weight, task.image_shape)
            note = "One picture per unit: purple pixels push it up, orange ones down. The first 32 units."
            yield "What the first layer looks for", note, figure
        elif task.class_names and ready.x.shape[1] == 2:
            axes = plot_decision_boundary(
                lambda points: predict(result.model, points).argmax(1), ready.x_test, ready.y_test
            )
            yield (
                "Where the network draws the line",
                "Test samples over the regions of each class; rings mark the mistakes.",
                axes.figure,
            )
        elif not task.class_names:
            truth, found = (part * ready.unit + ready.centre for part in (ready.y_test, result.outputs))
            error = float(np.sqrt(np.mean(np.square(truth - found))))
            note = f"One point per test sample. Target: {task.target}. Root mean squared error: {error:.3g}."
            yield "Predictions against the truth", note, plot_predictions(truth, found).figure
    except MissingExtraError:
        return


def step_graph(result: Result) -> Graph:
    """The graph of one step of the trained model on a few training samples, with values and gradients.

    The model keeps its weights; the gradients go into the picture and are then forgotten.
    """
    ready, model = result.ready, result.model
    loss_of = CrossEntropyLoss() if ready.task.class_names else MSELoss()
    x = from_numpy(ready.x[:_DRAWN_SAMPLES])
    with record_values():
        loss = loss_of(model(x), ready.y[:_DRAWN_SAMPLES])
        loss.backward()
    picture: Graph = loss.graph(names=[model, {"x": x, "loss": loss}])
    model.zero_grad()
    return picture


def _environment() -> list[tuple[str, str]]:
    libraries = ["numpy", "matplotlib", "rich", "cyclopts"]
    return [
        ("tinygrad_mlp", tinygrad_mlp.__version__),
        ("Python", platform.python_version()),
        ("libraries", ", ".join(f"{name} {found}" for name in libraries if (found := _version(name)))),
        ("processors", str(os.cpu_count())),
        ("system", f"{platform.system()} on {platform.machine()}"),
    ]


def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None
