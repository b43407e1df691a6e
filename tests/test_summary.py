"""The table of layers: shapes, parameters and multiply-adds, against PyTorch's counter and formulas of their own."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from tinygrad_mlp import Tensor, nn, no_grad, ops
from tinygrad_mlp.tape import OPS


def counted_by_torch(module: torch.nn.Module, *inputs: Any) -> int:
    """Half of torch's floating-point operations: it counts each multiply-add as two."""
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        module.eval()(*inputs)
    return counter.get_total_flops() // 2


@given(st.lists(st.integers(1, 9), min_size=2, max_size=5), st.booleans())
def test_dense_layers_cost_what_torch_counts(widths: list[int], bias: bool) -> None:
    """And, without torch, the product of their widths; a bias is added and multiplies nothing."""
    pairs = list(itertools.pairwise(widths))
    ours = nn.Sequential(*[nn.Linear(*pair, bias=bias, seed=0) for pair in pairs]).summary()
    theirs = torch.nn.Sequential(*[torch.nn.Linear(*pair, bias=bias) for pair in pairs])
    assert [row.multiply_adds for row in ours.rows] == [a * b for a, b in pairs]
    assert ours.multiply_adds == counted_by_torch(theirs, torch.zeros(1, widths[0]))
    assert ours.total == sum(one.numel() for one in theirs.parameters())


@given(st.integers(1, 2), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(1, 2), st.integers(0, 1))
def test_convolutions_cost_what_torch_counts(
    groups: int, inputs: int, outputs: int, size: int, stride: int, padding: int
) -> None:
    """Windows times weights, with groups, stride and padding."""
    options = {"stride": stride, "padding": padding, "groups": groups}
    ours = nn.Conv2d(groups * inputs, groups * outputs, size, **options, seed=0).summary((groups * inputs, 7, 6))
    theirs = torch.nn.Conv2d(groups * inputs, groups * outputs, size, **options)
    assert ours.multiply_adds == counted_by_torch(theirs, torch.zeros(1, groups * inputs, 7, 6))
    across, down = ((length + 2 * padding - size) // stride + 1 for length in (7, 6))
    assert ours.multiply_adds == across * down * groups * outputs * inputs * size * size
    assert ours.rows[0].output_shape == (None, groups * outputs, across, down)


@pytest.mark.parametrize(("kind", "gates"), [(nn.RNN, 1), (nn.GRU, 3), (nn.LSTM, 4)])
@pytest.mark.parametrize("both", [False, True])
def test_recurrent_layers_cost_every_step(kind: Any, gates: int, both: bool) -> None:
    """Steps times gates times (inputs + states), for each layer and direction."""
    table = kind(5, 7, num_layers=2, bidirectional=both, batch_first=True, seed=0).summary((12, 5))
    directions = 1 + both
    expected = sum(12 * directions * gates * 7 * (width + 7) for width in (5, 7 * directions))
    assert table.multiply_adds == expected
    assert table.rows[0].output_shape == (None, 12, 7 * directions)


def test_attention_costs_what_torch_counts() -> None:
    """Four projections, the scores and the weighted sum; each layer counts what it does itself."""

    class Attends(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True, seed=0)

        def forward(self, x: Any) -> Any:
            return self.attention(x, x, x)[0]

    table = Attends().summary((6, 8))
    x = torch.zeros(1, 6, 8)
    theirs = torch.nn.MultiheadAttention(8, 2, batch_first=True).train()
    counter = FlopCounterMode(display=False)
    with counter:
        theirs(x, x, x)
    assert table.multiply_adds == counter.get_total_flops() // 2 == 4 * 6 * 8 * 8 + 2 * 6 * 6 * 8
    assert [row.multiply_adds for row in table.rows] == [3 * 6 * 8 * 8 + 2 * 6 * 6 * 8, 6 * 8 * 8]


def test_an_embedding_is_looked_up() -> None:
    """It multiplies nothing, and takes integers."""
    table = nn.Sequential(nn.Embedding(50, 8, seed=0), nn.Flatten(), nn.Linear(40, 3, seed=0)).summary((5,), dtype=int)
    assert [(row.output_shape, row.parameters, row.multiply_adds) for row in table.rows] == [
        ((None, 5, 8), 400, 0),
        ((None, 40), 0, 0),
        ((None, 3), 123, 120),
    ]


def test_what_forward_computes_by_itself_counts_in_its_own_row() -> None:
    """A product outside of every layer is not lost; several inputs are a list of shapes."""

    class Scores(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.project = nn.Linear(4, 5, seed=0)

        def forward(self, a: Any, b: Any) -> Any:
            return ops.einsum("ni,ni->n", self.project(a), b)

    table = Scores().summary([(4,), (5,)])
    assert [(row.name, row.multiply_adds, row.output_shape) for row in table.rows] == [
        ("(self)", 5, (None,)),
        ("project", 20, (None, 5)),
    ]


def test_frozen_layers_cost_as_much_and_are_not_trainable() -> None:
    """Freezing changes the totals of the parameters and nothing else; everything stays frozen that was."""
    model = nn.MLP(6, 5, 2, seed=0)
    whole = model.summary()
    model.requires_grad_(False)
    frozen = model.summary()
    assert frozen.rows == whole.rows
    assert (frozen.trainable, frozen.frozen) == (0, whole.total)
    assert not any(one.requires_grad for one in model.parameters())
    assert "Non-trainable params: 47" in str(frozen)


def test_shared_weights_count_once_and_the_table_says_so() -> None:
    """Tied parameters, and a layer that runs twice."""
    layer, tied = nn.Linear(4, 4, seed=0), nn.Linear(4, 4, seed=1)
    tied.weight = layer.weight
    table = nn.Sequential(layer, nn.ReLU(), layer, tied).summary()
    assert table.total == 16 + 4 + 4
    assert [row.parameters for row in table.rows] == [20, 0, 4]
    assert [row.multiply_adds for row in table.rows] == [32, 0, 16]
    assert str(table).splitlines()[-2:] == [
        "0 runs 2 times: its parameters count once, its multiply-adds each time",
        "3.weight is 0.weight, and counts there",
    ]


def test_the_batch_is_found_wherever_it_stands() -> None:
    """An axis that follows the number of samples is None, one that happens to be as long is not."""

    class Turned(nn.Module):
        def forward(self, x: Any) -> Any:
            return ops.transpose(x, 0, 1)

    assert Turned().summary((3,)).rows[0].output_shape == (3, None)
    assert nn.Sequential(Turned(), nn.Flatten(0)).summary((3,)).rows[1].output_shape == (None,)


def test_a_forward_that_records_nothing_is_unknown_and_not_zero_shapes() -> None:
    """Layers run inside no_grad are not seen: their shapes show as ?."""

    class Quiet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 3, seed=0)

        def forward(self, x: Any) -> Any:
            with no_grad():
                return self.layer(x)

    table = nn.Sequential(nn.Linear(3, 3, seed=0), Quiet()).summary()
    rows = {row.name.removeprefix("1."): row for row in table.rows}
    assert rows["layer"].output_shape is None
    assert rows["layer"].multiply_adds is None
    assert "Multiply-adds of one sample: at least 9" in str(table)


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4), st.integers(1, 3))
def test_each_op_counts_its_products(n: int, k: int, m: int, stack: int) -> None:
    """Declared counts against the number of terms written out."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(stack, n, k)), rng.normal(size=(k, m))
    terms = math.prod(np.broadcast_to(a[..., :, :, None] * b[None, None], (stack, n, k, m)).shape)
    assert OPS["matmul"].multiply_adds(a.shape, b.shape) == terms
    assert OPS["linear"].multiply_adds(a.shape, (m, k), (m,)) == terms
    assert OPS["linear_without_bias"].multiply_adds(a.shape, (m, k)) == terms
    assert OPS["linear_weight"].multiply_adds((stack, n, m), a.shape) == terms
    assert OPS["einsum"].multiply_adds(a.shape, b.shape, equation="sij,jk->sik") == terms


def test_summing_up_leaves_inputs_and_gradients_alone() -> None:
    """No gradient appears, and none that is there is lost."""
    model = nn.MLP(3, 2, seed=0)
    model(Tensor(np.ones((1, 3), np.float32))).sum().backward()
    before = [one.grad.data.copy() for one in model.parameters()]
    model.summary()
    assert all(np.array_equal(one.grad.data, old) for one, old in zip(model.parameters(), before, strict=True))
