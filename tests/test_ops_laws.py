"""The laws that every op obeys, checked on every op: each test here runs once per law and declaration in OPS."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygrad_mlp import Tensor
from tinygrad_mlp.tape import OPS
from tinygrad_mlp.testing import strategies
from tinygrad_mlp.testing.cases import differentiable, function_of, has_rule
from tinygrad_mlp.testing.laws import LAWS, check_op

PAIRS = [(law, op) for law in LAWS for op in OPS if LAWS[law].applies(OPS[op]) is None]


# Some two thousand pairs: in the profile of every change a quarter of its calls each, in the nightly one all of them.
EXAMPLES = {100: 25}.get(settings().max_examples)


@pytest.mark.parametrize(("law", "op"), PAIRS, ids=[f"{law}-{op}" for law, op in PAIRS])
def test_law(law: str, op: str) -> None:
    """Hypothesis finds no legal call of the op that breaks the law."""
    report = check_op(op, laws=[law], examples=EXAMPLES)
    assert report.ok
    assert [one.verdict for one in report.findings] == ["passed"]


@pytest.mark.parametrize("op", list(OPS))
def test_op_has_a_function(op: str) -> None:
    """Every op is reached through the polymorphic function that its declaration made."""
    assert function_of(op).op is OPS[op]


@pytest.mark.parametrize("op", differentiable())
def test_op_with_a_rule_has_a_reference(op: str) -> None:
    """What has a gradient rule also says, in somebody else's words, what it computes."""
    assert OPS[op].reference is not None


# --- questions ------------------------------------------------------------------------------------

ANSWERS: dict[str, Any] = {
    "ties": lambda a, b: a == b or (math.isnan(a) and math.isnan(b)),
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
    "logical_and": lambda a, b: bool(a) and bool(b),
    "logical_or": lambda a, b: bool(a) or bool(b),
    "logical_not": lambda a: not a,
    "isnan": math.isnan,
    "isinf": math.isinf,
    "isfinite": math.isfinite,
}


@pytest.mark.parametrize("op", [name for name in OPS if not has_rule(OPS[name]) and OPS[name].elementwise])
@given(data=st.data())
def test_question(op: str, data: st.DataObject) -> None:
    """Ops without gradient answer as Python does, in booleans."""
    case = data.draw(strategies.cases(op))
    y = case.call(*[Tensor(one, requires_grad=True) for one in case.operands])
    assert y.dtype == np.bool_
    spread = np.broadcast_arrays(*case.operands)
    assert y.shape == spread[0].shape
    for place in np.ndindex(y.shape):
        assert y.data[place] == ANSWERS[op](*[one[place].item() for one in spread])
