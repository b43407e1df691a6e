"""Steps through a graph: their numbers are the gradients, their formulas are right where they can be evaluated."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest
import scipy.special
from hypothesis import settings
from random_graphs import as_text, random_program, run
from test_graphs_random import SIDE, SMOOTH

from tinygrad_mlp import Tensor, nn, ops, record_values
from tinygrad_mlp.errors import GradientError
from tinygrad_mlp.graph.formulas import Formula, named, of_op, plain, small
from tinygrad_mlp.graph.plain import Status
from tinygrad_mlp.graph.steps import derivation_of
from tinygrad_mlp.tape import OPS

GRAPHS = {20: 30, 100: 100, 2000: 1000}.get(settings().max_examples, 30)


def recorded(number: int) -> tuple[Any, str]:
    """A random graph after its backward pass, and its program."""
    rng = np.random.default_rng([31, number])
    leaves = [Tensor(rng.normal(size=(SIDE, SIDE)), requires_grad=True) for _ in range(int(rng.integers(1, 4)))]
    program = random_program(rng, SMOOTH, len(leaves), int(rng.integers(1, 25)))
    with record_values():
        y = run(program, SMOOTH, ops, leaves)
        loss = (y * Tensor(rng.normal(size=y.shape))).sum()
    loss.backward()
    return loss.graph(), as_text(program, len(leaves))


@pytest.mark.parametrize("number", range(GRAPHS))
def test_contributions_add_up_to_the_gradients(number: int) -> None:
    """At every node, whatever the fan-out; steps come in the order of the tape, and then in its reverse."""
    graph, program = recorded(number)
    steps = list(graph.steps())
    forward = [step.node for step in steps if step.phase == "forward"]
    backward = [step.node for step in steps if step.phase == "backward"]
    assert forward == [node.id for node in graph.nodes if node.kind == "op"], program
    assert backward == forward[::-1]
    totals: dict[int, Any] = {}
    for step in steps:
        for part in step.into:
            totals[part.node] = totals.get(part.node, 0.0) + part.value
    for node in graph.nodes:
        if node.gradient is not None and node.id not in graph.outputs:
            scale = 1.0 + np.abs(node.gradient).max()
            np.testing.assert_allclose(totals[node.id], node.gradient, rtol=1e-10, atol=1e-12 * scale, err_msg=program)


_POWERS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_SIGNS = {"·": "*", "√": "sqrt", "∧": " and ", "∨": " or ", "¬": "not ", "≠": "!=", "≤": "<=", "≥": ">=", "ln": "log"}


def as_python(formula: str) -> str:
    """A formula of numbers as Python, to be computed by Python."""
    text = re.sub(r"\| (.*?) \|", r"abs(\1)", formula)
    for sign, word in {"⌊ ": "floor(", "⌈ ": "ceil(", " ⌋": ")", " ⌉": ")", "erf⁻¹": "erfinv", "log₂": "log2"}.items():
        text = text.replace(sign, word)
    text = re.sub(r"ψ([₀-₉])\(", lambda m: f"polygamma({ord(m[1]) - ord('₀')}, ", text).replace("log₁₀", "log10")
    for sign, word in _SIGNS.items():
        text = text.replace(sign, word)
    text = re.sub(r"\[([^\[\]]*[=<>]|[^\[\]]*\b(?:and|or|not)\b)([^\[\]]*)\]", lambda m: f"truth({m[0][1:-1]})", text)
    text = re.sub(r"(?<=truth\()([^=<>!()]*|\([^()]*\)[^=<>!()]*) = ", r"\1 == ", text)
    text = re.sub(r"[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+", lambda m: f"**({m[0].translate(_POWERS)})", text)
    text = re.sub(r"(tanh)\*\*\(2\) (-?[\d.e-]+|\([^()]*\))", r"tanh(\2)**2", text)
    text = re.sub(r"\b(tanh|sinh|cosh|arcsin|arccos|arctan|sin|cos|tan|log) (-?[\d.]+(?:e-?\d+)?)", r"\1(\2)", text)
    text = re.sub(r"\blog (abs\(.*?\)\))", r"log(\1)", text)
    text = re.sub(r"\blog (σ\([^()]*\))", r"log(\1)", text)
    text = re.sub(r"\b(tanh|sinh|cosh|arcsin|arccos|arctan|sin|cos|tan|log) (?=[\w(])", r"\1", text)
    text = re.sub(r"\be\^(-?[\d.]+)", r"exp(\1)", text.replace("e^(", "exp("))
    text = text.replace("[", "(").replace("]", ")")
    # What stands side by side is multiplied.
    text = re.sub(
        r"(?<=[\w)])(?<!\bif)(?<!\belse)(?<!\bor)(?<!\band)(?<!\bnot) (?=[\w(])(?!if\b|else\b|or\b|and\b)", " * ", text
    )
    return text.replace("^", "**")


FUNCTIONS: dict[str, Any] = {
    name: getattr(np, name)
    for name in ("tanh", "sin", "cos", "tan", "log", "exp", "sqrt", "sign", "isnan", "isinf", "isfinite")
}
FUNCTIONS |= {"arsinh": np.arcsinh, "arcosh": np.arccosh, "artanh": np.arctanh, "atan2": np.arctan2, "round": np.rint}
FUNCTIONS |= {name: getattr(scipy.special, name) for name in ("erf", "erfc", "erfinv", "polygamma")}
FUNCTIONS |= {
    name: getattr(np, name) for name in ("sinh", "cosh", "arcsin", "arccos", "arctan", "floor", "ceil", "trunc")
}
FUNCTIONS |= {"log2": np.log2, "log10": np.log10, "Γ": scipy.special.gamma}
FUNCTIONS |= {"max": max, "min": min, "abs": abs, "truth": lambda answer: float(bool(answer))}
FUNCTIONS["σ"] = lambda x: 1 / (1 + np.exp(-x))
FUNCTIONS["Φ"] = lambda x: 0.5 * (1 + math.erf(x / math.sqrt(2)))
FUNCTIONS["φ"] = lambda x: math.exp(-x * x / 2) / math.sqrt(2 * math.pi)

SCALARS = {
    "product": lambda x, y: x * y,
    "sum": lambda x, y: x + y * x,
    "difference": lambda x, y: (x - y) * (y - x),
    "quotient": lambda x, y: x / (y * y + 1.0),
    "tanh": lambda x, y: (x * y).tanh(),
    "sigmoid": lambda x, y: (x - y).sigmoid() * y,
    "exp": lambda x, y: (x * y).exp() + (-x),
    "log": lambda x, y: (x * x + 1.0).log() * y,
    "sin": lambda x, y: x.sin() * y.cos(),
    "square": lambda x, y: x**2 * y**3,
    "relu": lambda x, y: (x * y).relu() + y.relu(),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", SCALARS)
def test_printed_numbers_are_what_the_printed_formula_gives(name: str, seed: int) -> None:
    """What stands left of the last equals sign, computed by Python, is what stands right of it, to four digits."""
    rng = np.random.default_rng([32, seed])
    x, y = (Tensor(np.round(rng.normal(), 2), requires_grad=True, dtype="float64") for _ in range(2))
    with record_values():
        z = SCALARS[name](x, y)
    z.backward()
    checked = 0
    for step in z.graph(names={"x": x, "y": y, "z": z}).steps():
        for numbers in [step.numbers, *[part.numbers for part in step.into], *[part.sum or "" for part in step.into]]:
            left, equals, right = numbers.rpartition(" = ")
            if not equals or "[" in left:
                continue
            value = eval(as_python(left), {"__builtins__": {}}, FUNCTIONS)  # noqa: S307 - our own formula
            # Printed numbers have four digits each.
            assert value == pytest.approx(float(right), rel=5e-3, abs=2e-3), numbers
            checked += 1
    assert checked >= 2


def test_text_of_a_neuron() -> None:
    """The words of a derivation, with a fan-out, as they stand on the board."""
    w, x, b = (Tensor(value, requires_grad=True) for value in (2.0, -3.0, 6.5))
    with record_values():
        y = (w * x + b).tanh() * w
    y.backward()
    assert y.graph(names={"w": w, "x": x, "b": b, "y": y}).derivation() == (
        "FORWARD\n"
        "v3 = w · x = 2 · (-3) = -6\n"
        "v4 = v3 + b = -6 + 6.5 = 0.5\n"
        "v5 = tanh v4 = tanh 0.5 = 0.4621\n"
        "y = v5 · w = 0.4621 · 2 = 0.9242\n"
        "\n"
        "BACKWARD\n"
        "dy/dy = 1\n"
        "    dy/dv5 = dy/dy · w = 1 · 2 = 2\n"
        "    dy/dw ← dy/dy · v5 = 1 · 0.4621 = 0.4621\n"
        "dy/dv5 = 2\n"
        "    dy/dv4 = dy/dv5 · (1 - tanh² v4) = 2 · (1 - tanh² 0.5) = 1.573\n"
        "dy/dv4 = 1.573\n"
        "    dy/dv3 = dy/dv4 = 1.573\n"
        "    dy/db = dy/dv4 = 1.573\n"
        "dy/dv3 = 1.573\n"
        "    dy/dw ← dy/dv3 · x = 1.573 · (-3) = -4.719\n"
        "        together 0.4621 + (-4.719) = -4.257\n"
        "    dy/dx = dy/dv3 · w = 1.573 · 2 = 3.146"
    )


def test_before_backward_nothing_reads_zero() -> None:
    """Formulas are there, numbers are `not computed yet`."""
    x = Tensor(2.0, requires_grad=True)
    with record_values():
        y = x * 3.0
    (step,) = [one for one in y.graph(names={"x": x, "y": y}).steps() if one.phase == "backward"]
    assert step.numbers == "not computed yet"
    assert [(part.formula, part.numbers, part.value) for part in step.into] == [("dy/dx = dy/dy · 3", "", None)]


def test_backward_steps_runs_the_backward_pass_once() -> None:
    """It leaves the gradients of backward(), and does not add them a second time."""
    model = nn.MLP(3, 4, 2, seed=0)
    x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    with record_values():
        loss = nn.CrossEntropyLoss()(model(x), np.array([0, 1, 0, 1, 1]))
    first = list(loss.backward_steps(names=model))
    gradients = [one.grad.data.copy() for one in model.parameters()]
    again = list(loss.backward_steps(names=model))
    assert derivation_of(first) == derivation_of(again)
    for one, before in zip(model.parameters(), gradients, strict=True):
        np.testing.assert_array_equal(one.grad.data, before)
    assert [step.op for step in first] == ["mean", "cross_entropy", "linear", "relu", "linear"]


def test_without_values_there_are_no_steps() -> None:
    """A named error with the line that fixes it; a folded graph has none either."""
    x = Tensor(2.0, requires_grad=True)
    y = (x * 3.0).exp()
    with pytest.raises(GradientError, match="record_values"):
        y.graph().steps()
    model = nn.MLP(3, 4, 2, seed=0)
    with record_values():
        out = model(np.ones((1, 3), np.float32)).sum()
    with pytest.raises(GradientError, match="folded"):
        out.graph(names=model).collapsed().steps()


def test_every_op_has_a_formula_of_its_own() -> None:
    """No op falls back to its bare name, neither forward nor in a rule; no command of LaTeX is left in the text."""
    params = {
        "slope": 0.1,
        "exponent": 3,
        "n": 2,
        "alpha": 1.5,
        "rate": 2.0,
        "shape": (2, 3),
        "axis": 1,
        "dtype": "float32",
    }
    params |= {"index": (slice(None), 1), "equation": "ij,jk->ik", "axes": (0, 2, 1)}
    for name, op in OPS.items():
        template = op.formula({"axes": (0, 2, 1)} if name == "permute" else {})
        assert template is not None, name
        operands = [Formula(letter) for letter in "abcdefg"]
        text = of_op(template, name, operands, params).text
        assert text
        assert not re.search(r"[{}\\]", text), (name, text)


ELEMENTWISE = sorted(name for name, op in OPS.items() if op.elementwise)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_an_elementwise_formula_computes_what_the_op_does(name: str) -> None:
    """The text of the formula with numbers in it, computed by Python, is what the op gives."""
    op = OPS[name]
    rng = np.random.default_rng(33)
    checked = 0
    for option in op.samples.params or ((),):
        params = dict(option)
        for _ in range(40):
            values = [np.float64(np.round(rng.uniform(-2.5, 2.5), 2)) for _ in op.operands]
            with np.errstate(all="ignore"):
                expected = np.asarray(op.forward(*[np.array(one) for one in values], **params))
            if not np.isfinite(expected):
                continue
            # A condition is a question with an answer, not a number.
            operands = [
                small(bool(v > 0) if kind == "condition" else v) for kind, v in zip(op.operands, values, strict=True)
            ]
            if "condition" in op.operands:
                expected = op.forward(values[0] > 0, *values[1:], **params)
            text = of_op(op.formula(params), name, [one or Formula("?") for one in operands], params).text
            found = eval(as_python(text), {"__builtins__": {}}, FUNCTIONS)  # noqa: S307 - our own formula
            assert float(found) == pytest.approx(float(expected), rel=1e-3, abs=1e-6), text
            checked += 1
    assert checked >= 5


@pytest.mark.parametrize(
    ("latex", "text"),
    [
        (r"\frac{a}{b + c}", "a / (b + c)"),
        (r"\frac{\frac{a}{b}}{c}", "(a / b) / c"),
        (r"e^{-x}", "e^(-x)"),
        (r"x^{2}", "x²"),
        (r"\sqrt{x + 1}", "√(x + 1)"),
        (r"W^\top x", "Wᵀ x"),
        (r"\mathrm{0.weight}\,x", "0.weight x"),
        (r"\ln\sigma(z)", "ln σ(z)"),
    ],
)
def test_plain_text_of_latex(latex: str, text: str) -> None:
    """What the templates use."""
    assert plain(latex) == text


@pytest.mark.parametrize("name", ["a_b", r"\input{x}", "{x}", "$1$", "100%", "a^b", "x" * 30, "\u202eabc", "weiß"])
def test_names_stay_text_in_formulas(name: str) -> None:
    """No command, brace or dollar of a name reaches LaTeX."""
    latex = named(name).latex
    inner = latex.removeprefix(r"\mathrm{").removesuffix("}")
    assert not re.search(r"[{}$%#&^~]|\\\\(?!_)", inner)
    assert "\u202e" not in latex


def test_statuses_are_told_apart() -> None:
    """A node that no gradient reaches is no step of the backward pass."""
    x = Tensor(np.ones(3), requires_grad=True)
    with record_values():
        y = (x * 2.0).sum()
        unused = y * 5.0
    y.backward()
    graph = unused.graph()
    assert graph.nodes[graph.outputs[0]].gradient_status is not Status.KNOWN
    last = next(step for step in graph.steps() if step.phase == "backward")
    assert last.numbers == "not computed yet"
