"""The hand calculation: every printed digit is that of somebody else's arithmetic, from the model alone."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import mpmath
import numpy as np
import pytest

from tinygrad_mlp import Tensor, nn, record_values
from tinygrad_mlp.errors import ArgumentError, DTypeError, GradientError
from tinygrad_mlp.graph import Board, explain
from tinygrad_mlp.graph.labels import number

WEIGHTS = ([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]], [0.1, -0.2], [[0.7, -0.8]], [0.2])
X, TARGET, RATE = [1.0, 0.5, -1.5], 1.0, 0.5


def worked_example() -> Board:
    """A sigmoid network 3-2-1 on one sample, L = (y - t)²."""
    model = nn.MLP(3, 2, 1, activation="sigmoid", seed=0, dtype="float64")
    for parameter, values in zip(model.parameters(), WEIGHTS, strict=True):
        parameter.data[...] = values
    x, t = np.array([X]), np.array([[TARGET]])
    with record_values():
        loss = nn.MSELoss()(model(x), t)
    return explain(loss, names=[model, {"x": x, "t": t, "L": loss}], lr=RATE)


def by_mpmath() -> dict[str, Any]:
    """The same with mpmath, 50 digits, by the formulas of the lecture."""
    with mpmath.workdps(50):
        W1, b1, W2, b2 = (
            [[mpmath.mpf(str(v)) for v in row] if isinstance(row, list) else mpmath.mpf(str(row)) for row in part]
            for part in WEIGHTS
        )
        x, eta = [mpmath.mpf(str(v)) for v in X], mpmath.mpf(str(RATE))
        z1 = [sum(w * v for w, v in zip(row, x, strict=True)) + b for row, b in zip(W1, b1, strict=True)]
        a1 = [1 / (1 + mpmath.exp(-z)) for z in z1]
        z2 = sum(w * a for w, a in zip(W2[0], a1, strict=True)) + b2[0]
        loss = (z2 - TARGET) ** 2
        d2 = 2 * (z2 - TARGET)
        da1 = [d2 * w for w in W2[0]]
        d1 = [d * a * (1 - a) for d, a in zip(da1, a1, strict=True)]
        dW1 = [[d * v for v in x] for d in d1]
        dW2 = [[d2 * a for a in a1]]
        return {
            "z₁": [z1], "a₁": [a1], "z₂": [[z2]], "L": [[loss]], "δ₂": [[d2]], "dL/da₁": [da1], "δ₁": [d1],
            "dL/dW₁": dW1, "dL/db₁": [d1], "dL/dW₂": dW2, "dL/db₂": [[d2]],
            "W₁": [[w - eta * d for w, d in zip(*rows, strict=True)] for rows in zip(W1, dW1, strict=True)],
            "b₁": [[b - eta * d for b, d in zip(b1, d1, strict=True)]],
            "W₂": [[w - eta * d for w, d in zip(W2[0], dW2[0], strict=True)]],
            "b₂": [[b2[0] - eta * d2]],
        }  # fmt: skip


def printed(board: Board) -> dict[str, str]:
    """What stands behind the last equals sign of each line, by what is computed."""
    found = {}
    for line in board.text().splitlines():
        if " = " in line:
            found[re.split(r" = | ← ", line)[0]] = line.rpartition(" = ")[2]
    return found


def digits(rows: Any) -> str:
    """Numbers as the board prints them."""
    texts = ["  ".join(number(float(one)) for one in row).replace("  ", " ") for row in rows]
    return texts[0] if len(rows) == 1 and len(rows[0]) == 1 else f"[{'; '.join(texts)}]"


def test_every_digit_of_the_worked_example() -> None:
    """z, a, δ, dW, db and the new weights of a 3-2-1 network, against mpmath."""
    found, expected = printed(worked_example()), by_mpmath()
    new = {name: found.pop(name) for name in ("W₁", "b₁", "W₂", "b₂")}
    for name, rows in expected.items():
        assert (new if name in new else found)[name] == digits(rows), name


def test_text_of_the_worked_example() -> None:
    """The formulas are those of the lecture."""
    formulas = [line.text for line in worked_example().lines]
    for formula in (
        "z₁ = x W₁ᵀ + b₁",
        "z₂ = a₁ W₂ᵀ + b₂",
        "dL/da₁ = δ₂ W₂",
        "dL/dW₂ = δ₂ᵀ a₁",
        "δ₁ = dL/da₁ · σ(z₁) (1 - σ(z₁))",
        "dL/dW₁ = δ₁ᵀ x",
        "dL/db₁ = Σ δ₁",
        "W₁ ← W₁ - η dL/dW₁",
    ):
        assert formula in formulas


def test_the_decks_step_of_the_body_mass_network() -> None:
    """2-8-1 with ReLU, a batch, L = ½ mean (ŷ - y)²: every value equals the deck's formulas in NumPy, to 1e-15."""
    rng = np.random.default_rng(0)
    model = nn.MLP(2, 8, 1, activation="relu", seed=1, dtype="float64")
    W1, b1, W2, b2 = (one.data.copy() for one in model.parameters())
    x, y = rng.normal(size=(6, 2)), rng.normal(size=(6, 1))
    with record_values():
        loss = ((model(x) - y) ** 2).mean() * 0.5
    board = explain(loss, names=[model, {"x": x, "y": y, "L": loss}], lr=0.05)

    z1 = x @ W1.T + b1
    a1 = np.maximum(z1, 0)
    z2 = a1 @ W2.T + b2
    d2 = (z2 - y) / len(x)
    d1 = (d2 @ W2) * (z1 > 0)
    expected = {
        "z₁": z1, "a₁": a1, "z₂": z2, "δ₂": d2, "δ₁": d1, "dL/dW₁": d1.T @ x, "dL/db₁": d1.sum(0), "dL/dW₂": d2.T @ a1,
        "dL/db₂": d2.sum(0),
    }  # fmt: skip
    expected |= {
        "W₁ ←": W1 - 0.05 * expected["dL/dW₁"], "b₁ ←": b1 - 0.05 * expected["dL/db₁"],
        "W₂ ←": W2 - 0.05 * expected["dL/dW₂"], "b₂ ←": b2 - 0.05 * expected["dL/db₂"],
    }  # fmt: skip
    found = {
        re.split(" = ", line.text)[0].partition("← ")[0] + ("←" if "←" in line.text else ""): line.value
        for line in board.lines
    }
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-13, atol=1e-15, err_msg=name)


def test_the_model_is_as_before() -> None:
    """The update is shown and not made; the gradients are those of backward()."""
    model = nn.MLP(3, 2, 1, seed=0)
    before = [one.data.copy() for one in model.parameters()]
    with record_values():
        loss = model(np.ones((4, 3), np.float32)).sum()
    first = explain(loss, names=model, lr=0.1).text()
    gradients = [one.grad.data.copy() for one in model.parameters()]
    assert explain(loss, names=model, lr=0.1).text() == first
    for one, data, gradient in zip(model.parameters(), before, gradients, strict=True):
        np.testing.assert_array_equal(one.data, data)
        np.testing.assert_array_equal(one.grad.data, gradient)


class _Cells(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)


def test_html_and_markdown() -> None:
    """A row for each line; names stay text; formulas stand between dollars."""
    board = worked_example()
    cells = _Cells()
    cells.feed(board.html())
    assert cells.tags.count("tr") == len(board.lines) + 3
    assert board.markdown().count("$$") == 2 * len(board.lines)
    assert board._repr_markdown_() == board.markdown()
    assert repr(board) == "Board(5 forward, 8 backward, 4 update)"
    evil = Tensor(1.0, requires_grad=True)
    with record_values():
        loss = evil * 2.0
    hostile = explain(loss, names={"<script>alert(1)</script>$$": evil})
    assert "<script>" not in hostile.html()
    assert hostile.markdown().count("$$") == 2 * len(hostile.lines)


def test_misuse_is_one_named_error() -> None:
    """With the line that fixes it."""
    x = Tensor(1.0, requires_grad=True)
    with pytest.raises(GradientError, match="record_values"):
        explain(x * 2.0 * 3.0)
    with pytest.raises(DTypeError, match="got float"):
        explain(1.0)  # type: ignore[arg-type]
    with record_values():
        loss = x * 2.0
    for lr in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ArgumentError, match="lr: expected"):
            explain(loss, lr=lr)


@pytest.mark.parametrize(
    ("model", "inputs"),
    [
        (nn.MultiheadAttention(8, 2, seed=0), [(5, 2, 8)] * 3),
        (nn.LSTM(4, 6, seed=0), [(7, 2, 4)]),
        (nn.GRU(4, 6, bidirectional=True, seed=0), [(3, 2, 4)]),
        (nn.Sequential(nn.Linear(4, 6, seed=0), nn.BatchNorm1d(6), nn.ReLU()), [(9, 4)]),
        (nn.Sequential(nn.Conv2d(1, 3, 3, seed=0), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()), [(2, 1, 8, 8)]),
        (nn.Sequential(nn.Linear(4, 6, seed=0), nn.Dropout(0.5, seed=0)), [(9, 4)]),
        (nn.Bilinear(3, 4, 2, seed=0), [(5, 3), (5, 4)]),
        (nn.Linear(3, 2, seed=0), [(0, 3)]),
        (nn.Linear(1, 1, seed=0), [(1,)]),
    ],
    ids=["attention", "lstm", "gru", "batchnorm", "conv", "dropout", "bilinear", "empty", "one number"],
)
def test_any_model_can_be_told(model: Any, inputs: Any) -> None:
    """Steps of every layer add up to the gradients; all texts can be made."""
    rng = np.random.default_rng(0)
    arrays = [Tensor(rng.normal(size=shape).astype(np.float32)) for shape in inputs]
    with record_values():
        out = model(*arrays)
        while isinstance(out, tuple):
            out = out[0]
        loss = (out * out).sum()
    board = explain(loss, names=model, lr=0.1)
    assert board.text()
    assert board.markdown()
    assert board.html()
    graph = loss.graph(names=model)
    totals: dict[int, Any] = {}
    for step in graph.steps():
        for part in step.into:
            totals[part.node] = totals.get(part.node, 0.0) + part.value
    reached = [node for node in graph.nodes if node.gradient is not None and node.id in totals]
    assert reached
    for node in reached:
        largest = np.abs(node.gradient).max(initial=0.0)
        np.testing.assert_allclose(totals[node.id], node.gradient, rtol=1e-3, atol=1e-5 * (1 + largest))


def test_a_value_used_several_times_gets_its_contributions_and_then_their_sum():
    w = Tensor(3.0, requires_grad=True, dtype="float64")
    with record_values():
        loss = w * w * w + w
    board = explain(loss, names={"w": w}, lr=0.1)
    lines = [line for line in board.lines if line.part == "Backward"]
    into_w = [line for line in lines if line.latex.startswith("dL/dw ")]
    parts = [line for line in into_w if line.latex.startswith(r"dL/dw \leftarrow ")]
    total = [line for line in into_w if line.latex.startswith("dL/dw = ")]
    assert len(parts) == 4
    assert len(total) == 1
    assert into_w[-1] is total[0]
    assert total[0].value == sum(line.value for line in parts) == 28.0
    assert total[0].latex.removeprefix("dL/dw = ").split(" + ") == [f"{line.value:g}" for line in parts]
    assert f"$${total[0].latex} = " in board.markdown()
    assert f"{total[0].text} = {total[0].numbers}" in board.text()
    assert board.lines[-1].value == pytest.approx(3.0 - 0.1 * 28.0)
