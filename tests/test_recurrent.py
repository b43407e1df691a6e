"""Embedding and recurrent layers: PyTorch's numbers, its state dicts, compiled steps, and what they refuse."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from step_worlds import Twins

from tinygrad_mlp import Tensor, nn, no_grad, optim, tensor
from tinygrad_mlp.errors import ArgumentError, CaptureError, ChangedValueError, DTypeError, ShapeError, StateError
from tinygrad_mlp.nn.utils.rnn import pack_padded_sequence, pack_sequence, pad_packed_sequence, pad_sequence
from tinygrad_mlp.testing import gradcheck

Array = np.ndarray[Any, Any]
KINDS = ("RNN", "GRU", "LSTM")
TIME, BATCH, INPUT, HIDDEN = 5, 3, 4, 6

backends = pytest.mark.parametrize("backend", ["replay", pytest.param("native", marks=pytest.mark.compiler)])


def torch_like(ours: nn.Module, name: str, *sizes: int, **options: Any) -> Any:
    """PyTorch's layer of the same name and options, with our weights, which its own ``load_state_dict`` accepts."""
    torch = pytest.importorskip("torch")
    theirs = getattr(torch.nn, name)(*sizes, dtype=torch.float64, **options)
    theirs.load_state_dict({key: torch.tensor(value.numpy()) for key, value in ours.state_dict().items()})
    return theirs


def both(values: Array) -> tuple[Tensor, Any]:
    """A leaf of ours and one of PyTorch's."""
    torch = pytest.importorskip("torch")
    return Tensor(values, requires_grad=True), torch.tensor(values, requires_grad=True)


def states(kind: str, given: list[Any]) -> Any:
    return tuple(given) if kind == "LSTM" else given[0]


def listed(kind: str, output: Any, state: Any) -> list[Any]:
    return [output, *(state if kind == "LSTM" else [state])]


def assert_same(pairs: list[tuple[Any, Any]], what: str) -> None:
    for number, (mine, right) in enumerate(pairs):
        expected = right.detach().numpy()
        assert mine.shape == expected.shape, f"{what} {number}"
        np.testing.assert_allclose(mine.detach().numpy(), expected, rtol=1e-11, atol=1e-12, err_msg=f"{what} {number}")


def compare(ours: nn.Module, theirs: Any, mine: list[Any], right: list[Any], leaves: list[tuple[Any, Any]]) -> None:
    """Results, and the gradients of inputs and parameters under one random gradient for each result."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(9)
    assert_same(list(zip(mine, right, strict=True)), "result")
    coming = [rng.normal(size=one.shape) for one in mine]
    sum((one * g).sum() for one, g in zip(mine, coming, strict=True)).backward()
    sum((one * torch.tensor(g)).sum() for one, g in zip(right, coming, strict=True)).backward()
    assert_same([(a.grad, b.grad) for a, b in leaves], "gradient of input")
    named = list(zip(ours.named_parameters(), theirs.named_parameters(), strict=True))
    assert [a[0] for a, _ in named] == [b[0] for _, b in named]
    assert_same([(a[1].grad, b[1].grad) for a, b in named], "gradient of parameter")


# --- layers ---------------------------------------------------------------------------------------

OPTIONS: list[dict[str, Any]] = [
    {},
    {"num_layers": 3},
    {"bidirectional": True},
    {"bias": False, "batch_first": True},
    {"num_layers": 2, "bidirectional": True, "batch_first": True},
]


@pytest.mark.parametrize("begins", [False, True], ids=["from zeros", "from a state"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_is_pytorchs(kind: str, options: dict[str, Any], begins: bool) -> None:
    """Results and all gradients, for every option."""
    ours = getattr(nn, kind)(INPUT, HIDDEN, seed=1, dtype="float64", **options)
    theirs = torch_like(ours, kind, INPUT, HIDDEN, **options)
    rng = np.random.default_rng(2)
    shape = (BATCH, TIME, INPUT) if options.get("batch_first") else (TIME, BATCH, INPUT)
    count = options.get("num_layers", 1) * (1 + options.get("bidirectional", False))
    leaves = [both(rng.normal(size=shape))]
    if begins:
        leaves += [both(rng.normal(size=(count, BATCH, HIDDEN))) for _ in range(2 if kind == "LSTM" else 1)]
    (x, x_theirs), *begin = leaves
    mine = listed(kind, *ours(x, states(kind, [a for a, _ in begin]) if begins else None))
    right = listed(kind, *theirs(x_theirs, states(kind, [b for _, b in begin]) if begins else None))
    compare(ours, theirs, mine, right, leaves)


def test_relu_as_the_nonlinearity() -> None:
    ours = nn.RNN(INPUT, HIDDEN, nonlinearity="relu", seed=1, dtype="float64")
    theirs = torch_like(ours, "RNN", INPUT, HIDDEN, nonlinearity="relu")
    x, x_theirs = both(np.random.default_rng(2).normal(size=(TIME, BATCH, INPUT)))
    compare(ours, theirs, list(ours(x)), list(theirs(x_theirs)), [(x, x_theirs)])


@pytest.mark.parametrize("kind", KINDS)
def test_one_sequence_needs_no_batch_axis(kind: str) -> None:
    ours = getattr(nn, kind)(INPUT, HIDDEN, bidirectional=True, batch_first=True, seed=1, dtype="float64")
    theirs = torch_like(ours, kind, INPUT, HIDDEN, bidirectional=True, batch_first=True)
    rng = np.random.default_rng(2)
    leaves = [both(rng.normal(size=(TIME, INPUT)))]
    leaves += [both(rng.normal(size=(2, HIDDEN))) for _ in range(2 if kind == "LSTM" else 1)]
    mine = listed(kind, *ours(leaves[0][0], states(kind, [a for a, _ in leaves[1:]])))
    right = listed(kind, *theirs(leaves[0][1], states(kind, [b for _, b in leaves[1:]])))
    compare(ours, theirs, mine, right, leaves)


@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True, "batch_first": True}], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_lengths_and_packed_sequences_are_pytorchs_packed_ones(kind: str, options: dict[str, Any]) -> None:
    """Results and gradients on ragged batches; what lies behind the end of a sequence has no part in them."""
    torch = pytest.importorskip("torch")
    first, lengths = options.get("batch_first", False), [3, TIME, 1]
    rng = np.random.default_rng(2)
    values = rng.normal(size=(BATCH, TIME, INPUT) if first else (TIME, BATCH, INPUT))
    count = options.get("num_layers", 1) * (1 + options.get("bidirectional", False))
    begin = [rng.normal(size=(count, BATCH, HIDDEN)) for _ in range(2 if kind == "LSTM" else 1)]
    for way in ("lengths", "packed"):
        ours = getattr(nn, kind)(INPUT, HIDDEN, seed=1, dtype="float64", **options)
        theirs = torch_like(ours, kind, INPUT, HIDDEN, **options)
        leaves = [both(values), *[both(one) for one in begin]]
        packed = torch.nn.utils.rnn.pack_padded_sequence(leaves[0][1], torch.tensor(lengths), first, False)
        output, state = theirs(packed, states(kind, [b for _, b in leaves[1:]]))
        right = listed(kind, torch.nn.utils.rnn.pad_packed_sequence(output, first, total_length=TIME)[0], state)
        x, begins = leaves[0][0], states(kind, [a for a, _ in leaves[1:]])
        if way == "lengths":
            mine = listed(kind, *ours(x, begins, lengths=np.asarray(lengths)))
        else:
            output, state = ours(pack_padded_sequence(x, lengths, first, enforce_sorted=False), begins)
            padded, found = pad_packed_sequence(output, first, total_length=TIME)
            assert found.tolist() == lengths
            mine = listed(kind, padded, state)
        compare(ours, theirs, mine, right, leaves)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("rank", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_a_cell_is_pytorchs(kind: str, rank: int, bias: bool) -> None:
    ours = getattr(nn, f"{kind}Cell")(INPUT, HIDDEN, bias=bias, seed=1, dtype="float64")
    theirs = torch_like(ours, f"{kind}Cell", INPUT, HIDDEN, bias=bias)
    rng = np.random.default_rng(2)
    lead = (BATCH,)[: rank - 1]
    leaves = [both(rng.normal(size=(*lead, INPUT)))]
    leaves += [both(rng.normal(size=(*lead, HIDDEN))) for _ in range(2 if kind == "LSTM" else 1)]
    mine = ours(leaves[0][0], states(kind, [a for a, _ in leaves[1:]]))
    right = theirs(leaves[0][1], states(kind, [b for _, b in leaves[1:]]))
    several = kind == "LSTM"
    compare(ours, theirs, list(mine) if several else [mine], list(right) if several else [right], leaves)
    without = ours(leaves[0][0].detach())
    zeros = ours(leaves[0][0].detach(), states(kind, [np.zeros((*lead, HIDDEN))] * 2))
    assert np.array_equal(*[(one[0] if several else one).detach().numpy() for one in (without, zeros)])


@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_is_its_cell_step_by_step(kind: str) -> None:
    layer = getattr(nn, kind)(INPUT, HIDDEN, seed=1, dtype="float64")
    cell = getattr(nn, f"{kind}Cell")(INPUT, HIDDEN, dtype="float64")
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in layer.state_dict().items()})
    x = np.random.default_rng(2).normal(size=(TIME, BATCH, INPUT))
    output, _ = layer(x)
    state = None
    for now, row in zip(output.detach().numpy(), x, strict=True):
        state = cell(row, state)
        np.testing.assert_allclose((state[0] if kind == "LSTM" else state).detach().numpy(), now, rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_pytorchs_state_dict_goes_in_and_comes_out(kind: str) -> None:
    torch = pytest.importorskip("torch")
    options = {"num_layers": 2, "bidirectional": True}
    theirs = getattr(torch.nn, kind)(INPUT, HIDDEN, **options)
    ours = getattr(nn, kind)(INPUT, HIDDEN, **options)
    given = {name: value.numpy() for name, value in theirs.state_dict().items()}
    ours.load_state_dict(given)
    assert list(ours.state_dict()) == list(given)
    assert all(np.array_equal(value.numpy(), given[name]) for name, value in ours.state_dict().items())
    with pytest.raises(StateError, match="weight_ih_l1_reverse"):
        getattr(nn, kind)(INPUT, HIDDEN).load_state_dict(given)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_are_drawn_uniformly_and_by_the_seed(kind: str) -> None:
    bound = 1 / math.sqrt(40)
    layer = getattr(nn, kind)(30, 40, seed=3)
    for name, one in layer.named_parameters():
        found = one.detach().numpy()
        assert np.abs(found).max() <= bound
        if name.startswith("weight"):
            assert found.std() == pytest.approx(bound / math.sqrt(3), rel=0.05)
    again = getattr(nn, kind)(30, 40, seed=3)
    assert all(np.array_equal(a.numpy(), b.numpy()) for a, b in zip(*map(all_values, (layer, again)), strict=True))


def all_values(module: nn.Module) -> list[Tensor]:
    return list(module.state_dict().values())


@pytest.mark.parametrize("lengths", [None, (2, 3)])
def test_both_orders_are_right_with_and_without_lengths(lengths: Any) -> None:
    """The gradient of the LSTM is an operation of its own, whose derivative is written by hand."""
    layer = nn.LSTM(2, 2, bidirectional=True, seed=1, dtype="float64")
    x = np.random.default_rng(2).normal(size=(3, 2, 2))
    begin = [np.random.default_rng(k).normal(size=(2, 2, 2)) for k in (3, 4)]

    def through(x: Any, h: Any, c: Any) -> Any:
        output, (hidden, cell) = layer(x, (h, c), lengths=None if lengths is None else np.asarray(lengths))
        return output.sum(0) + hidden.sum() * cell.sum()

    gradcheck(through, [x, *begin], order=2).raise_if_wrong()


def test_dropout_lies_between_the_layers_in_training_alone() -> None:
    with pytest.warns(UserWarning, match=r"LSTM: dropout acts between layers, and there is one layer"):
        nn.LSTM(2, 3, dropout=0.5)
    layer = nn.GRU(2, 40, num_layers=2, dropout=0.5, seed=0)
    x = np.ones((3, 1, 2), np.float32)
    first, second = layer(x)[0].detach().numpy(), layer(x)[0].detach().numpy()
    assert not np.array_equal(first, second)
    layer.eval()
    assert np.array_equal(layer(x)[0].detach().numpy(), layer(x)[0].detach().numpy())
    # The first layer's states are not dropped on their way to its own next step.
    assert np.array_equal(layer(x)[1].detach().numpy()[0], layer.train()(x)[1].detach().numpy()[0])


# --- packing --------------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.booleans(), st.sampled_from([0.0, -1.5]))
@settings(max_examples=25)
def test_padding_and_packing_are_pytorchs(lengths: list[int], first: bool, value: float) -> None:
    torch = pytest.importorskip("torch")
    theirs = torch.nn.utils.rnn
    rng = np.random.default_rng(len(lengths))
    sequences = [rng.normal(size=(length, 2)) for length in lengths]
    for side in ("right", "left"):
        mine = pad_sequence(sequences, first, value, side)
        right = theirs.pad_sequence([torch.tensor(one) for one in sequences], first, value, side)
        assert np.array_equal(np.asarray(mine), right.numpy())
    mine, right = (
        pack_sequence(sequences, enforce_sorted=False),
        theirs.pack_sequence([torch.tensor(one) for one in sequences], enforce_sorted=False),
    )
    assert mine.batch_sizes.tolist() == right.batch_sizes.tolist()
    assert mine.lengths.tolist() == lengths
    padded, found = pad_packed_sequence(mine, first, value, total_length=5)
    expected, _ = theirs.pad_packed_sequence(right, first, value, total_length=5)
    assert found.tolist() == lengths
    assert np.array_equal(np.asarray(padded), expected.numpy())


def test_gradients_go_back_through_packing() -> None:
    x = Tensor(np.arange(12.0).reshape(2, 3, 2), requires_grad=True)
    padded, _ = pad_packed_sequence(pack_padded_sequence(x, [1, 3], batch_first=True, enforce_sorted=False), True)
    (padded * padded).sum().backward()
    kept = np.array([[1, 0, 0], [1, 1, 1]])[..., None]
    assert np.array_equal(x.grad.numpy(), 2 * x.detach().numpy() * kept)


# --- what is refused, in these words --------------------------------------------------------------

X = np.zeros((5, 3, 4), np.float32)


def time_first(name: str, size: int, order: str = "time, batch") -> str:
    return (
        f"{name} expected input of shape ({order}, features) = (…, …, {size}), or one sequence (time, features) = "
        f"(…, {size}); "
    )


def batch_first(name: str, size: int) -> str:
    return time_first(name, size, "batch, time")


WORDS: dict[str, tuple[Any, type[Exception], str]] = {
    "no axes": (
        lambda: nn.LSTM(4, 6)(np.zeros(())),
        ShapeError,
        (time_first("LSTM", 4) + "got a number without axes. A batch of sequences has three axes"),
    ),
    "one axis": (
        lambda: nn.LSTM(4, 6)(X.reshape(-1)),
        ShapeError,
        (time_first("LSTM", 4) + "got (60,) = (features,). If this is one sequence of 15 steps: x.reshape(15, 4)"),
    ),
    "rows of steps": (
        lambda: nn.LSTM(4, 6, batch_first=True)(X.reshape(3, 20)),
        ShapeError,
        (
            batch_first("LSTM", 4)
            + "got (3, 20) = (time, features). If each row holds 5 steps of 4 features each: x.reshape(3, 5, 4)"
        ),
    ),
    "rows of steps, time first": (
        lambda: nn.LSTM(4, 6)(X.reshape(3, 20)),
        ShapeError,
        (
            time_first("LSTM", 4)
            + "got (3, 20) = (time, features). If each row holds 5 steps of 4 features each: x.reshape(3, 5, "
            "4).transpose(0, 1)"
        ),
    ),
    "numbers": (
        lambda: nn.GRU(1, 6, batch_first=True)(X.reshape(3, 20)),
        ShapeError,
        (
            batch_first("GRU", 1)
            + "got (3, 20) = (time, features). Sequences of single numbers get an axis of features: x.reshape(3, 20, 1)"
        ),
    ),
    "words": (
        lambda: nn.RNN(32, 6)(np.zeros((64, 50), np.float32)),
        ShapeError,
        (
            time_first("RNN", 32)
            + "got (64, 50) = (time, features). Word ids go through nn.Embedding(words, 32) first; otherwise make the "
            "layer RNN(50, 6)"
        ),
    ),
    "four axes": (
        lambda: nn.LSTM(4, 6, batch_first=True)(X[None]),
        ShapeError,
        (
            batch_first("LSTM", 4)
            + "got (1, 5, 3, 4), which has 4 axes. To make one time axis of those in the middle: x.reshape(1, 15, 4)"
        ),
    ),
    "features in two axes": (
        lambda: nn.LSTM(12, 6, batch_first=True)(X[None].transpose(0, 1, 3, 2)),
        ShapeError,
        (
            batch_first("LSTM", 12)
            + "got (1, 5, 4, 3), which has 4 axes. To make features of all axes behind the second: x.reshape(1, 5, 12)"
        ),
    ),
    "swapped": (
        lambda: nn.LSTM(5, 6)(X),
        ShapeError,
        (time_first("LSTM", 5) + "got (5, 3, 4) = (time, batch, features). The axes may be swapped: x.transpose(0, 2)"),
    ),
    "other features": (
        lambda: nn.LSTM(7, 6)(X),
        ShapeError,
        (
            time_first("LSTM", 7)
            + "got (5, 3, 4) = (time, batch, features). The features do not fit: make the layer LSTM(4, 6)"
        ),
    ),
    "no time": (lambda: nn.LSTM(4, 6)(X[:0]), ShapeError, "LSTM: the time axis of (0, 3, 4) is empty"),
    "ids": (
        lambda: nn.LSTM(4, 6)(X.astype(int)),
        DTypeError,
        (
            "LSTM takes floats, got dtype int64; word ids go through nn.Embedding(...) first, other numbers through "
            "x.astype('float32')"
        ),
    ),
    "list": (lambda: nn.LSTM(4, 6)([1.0]), DTypeError, "LSTM takes a Tensor or array, got list; say layer(Tensor(x))"),
    "state": (
        lambda: nn.GRU(4, 6, num_layers=2)(X, np.zeros((1, 3, 6), np.float32)),
        ShapeError,
        "GRU expected the state h_0 of shape (layers · ways, batch, hidden) = (2, 3, 6), got (1, 3, 6)",
    ),
    "no pair": (
        lambda: nn.LSTM(4, 6)(X, np.zeros((1, 3, 6), np.float32)),
        ArgumentError,
        "LSTM: the state is a pair (h_0, c_0); say layer(x, (h, c))",
    ),
    "no pair for the cell": (
        lambda: nn.LSTMCell(4, 6)(X[0], X[0]),
        ArgumentError,
        "LSTMCell: the state is a pair (h, c); say cell(x, (h, c))",
    ),
    "a sequence into a cell": (
        lambda: nn.GRUCell(4, 6)(X),
        ShapeError,
        (
            "GRUCell expected input of shape (batch, features) = (…, 4), one time step, got (5, 3, 4); a whole "
            "sequence goes through nn.GRU(4, 6)"
        ),
    ),
    "projection": (
        lambda: nn.LSTM(4, 6, proj_size=2),
        ArgumentError,
        "LSTM: proj_size is not available, got 2; put nn.Linear(6, 2) behind the layer",
    ),
    "nonlinearity": (
        lambda: nn.RNN(4, 6, nonlinearity="tan"),
        ArgumentError,
        "RNN: unknown nonlinearity 'tan'; did you mean 'tanh'? Valid: relu, tanh",
    ),
    "size": (
        lambda: nn.LSTM(4, 0),
        ArgumentError,
        "LSTM: hidden_size is a positive integer, got 0; say LSTM(32, 100)",
    ),
    "too long": (
        lambda: nn.LSTM(4, 6)(X, lengths=np.array([5, 6, 1])),
        ArgumentError,
        "LSTM: lengths run from 1 to 5, the length of the time axis; got 6 for sequence 1",
    ),
    "lengths that are no whole numbers": (
        lambda: nn.LSTM(4, 6)(X, lengths=np.array([5.0, 2.0, 1.0])),
        ArgumentError,
        "LSTM: lengths are whole numbers, got dtype float64; say x.astype('int64')",
    ),
    "lengths of another batch": (
        lambda: nn.LSTM(4, 6)(X, lengths=[1, 2]),
        ShapeError,
        "LSTM: lengths is one number for each of the 3 sequences, got shape (2,)",
    ),
    "lengths twice": (
        lambda: nn.LSTM(4, 6)(pack_padded_sequence(X, [5, 2, 1]), lengths=[5, 2, 1]),
        ArgumentError,
        "LSTM: a packed sequence has its lengths already",
    ),
    "lengths of one sequence": (
        lambda: nn.LSTM(4, 6)(X[:, 0], lengths=[5]),
        ArgumentError,
        "LSTM: lengths belong to a batch; slice the one sequence instead",
    ),
    "not sorted": (
        lambda: pack_padded_sequence(X, [1, 2, 5]),
        ArgumentError,
        "pack_padded_sequence: lengths fall when enforce_sorted=True, got [1, 2, 5]; say enforce_sorted=False",
    ),
    "packing a vector": (
        lambda: pack_padded_sequence(X[:, 0, 0], [1]),
        ShapeError,
        "pack_padded_sequence takes (time, batch, …), got shape (5,)",
    ),
    "packing to less": (
        lambda: pad_packed_sequence(pack_padded_sequence(X, [5, 2, 1]), total_length=4),
        ArgumentError,
        "pad_packed_sequence: total_length is at least 5, the longest sequence, got 4",
    ),
    "padding nothing": (lambda: pad_sequence([]), ArgumentError, "pad_sequence needs at least one sequence"),
    "padding to the top": (
        lambda: pad_sequence([X], padding_side="top"),
        ArgumentError,
        "pad_sequence: padding_side is 'right' or 'left', got 'top'",
    ),
    "padding different things": (
        lambda: pad_sequence([X, X[0]]),
        ShapeError,
        "pad_sequence takes sequences (length, …) of one kind, got shapes [(5, 3, 4), (3, 4)]",
    ),
    "an id too large": (
        lambda: nn.Embedding(10, 3)([[1, 2], [11, 3], [10, 0]]),
        ArgumentError,
        (
            "Embedding: id 11 at position (1, 0) of ids of shape (3, 2) (1 more like it) is outside the vocabulary of "
            "10 ids, 0 to 9; make the layer Embedding(12, …), or give all words beyond the vocabulary one id of their "
            "own"
        ),
    ),
    "an id too small": (
        lambda: nn.Embedding(10, 3)([-1]),
        ArgumentError,
        (
            "Embedding: id -1 at position (0,) of ids of shape (1,) is outside the vocabulary of 10 ids, 0 to 9; ids "
            "count from 0, or give all words beyond the vocabulary one id of their own"
        ),
    ),
    "ids that are floats": (
        lambda: nn.Embedding(10, 3)([1.0]),
        DTypeError,
        "Embedding takes ids, whole numbers, got dtype float64; say x.astype('int64')",
    ),
    "no rows": (
        lambda: nn.Embedding(0, 3),
        ArgumentError,
        "Embedding: num_embeddings is a positive integer, got 0; say Embedding(1000, 32)",
    ),
    "padding outside": (
        lambda: nn.Embedding(10, 3, padding_idx=10),
        ArgumentError,
        "embedding: padding_idx lies in the table, from 0 to 9, got 10",
    ),
    "sparse": (
        lambda: nn.Embedding(10, 3, sparse=True)([1]),
        ArgumentError,
        "embedding: gradients are dense arrays here; leave sparse out",
    ),
    "no table": (
        lambda: nn.Embedding.from_pretrained(X),
        ShapeError,
        "Embedding.from_pretrained takes a table (rows, dim), got shape (5, 3, 4)",
    ),
}


@pytest.mark.parametrize("name", list(WORDS))
def test_the_message_says_what_came_and_what_fixes_it(name: str) -> None:
    call, kind, words = WORDS[name]
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value) == words


def test_the_layer_is_named_by_its_path() -> None:
    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.ModuleList([nn.Embedding(10, 4), nn.LSTM(4, 6, batch_first=True)])

        def forward(self, ids: Any) -> Any:
            return self.body[1](self.body[0](ids).flatten(1))[0]

    with pytest.raises(ShapeError) as caught:
        Reader()(np.zeros((3, 5), int))
    assert caught.value.__notes__ == ["in layer Reader.body.1: LSTM(4, 6, batch_first=True)"]


# --- embedding ------------------------------------------------------------------------------------

IDS = np.array([[3, 1, 1], [0, 3, 4]])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"padding_idx": 3},
        {"padding_idx": -2},
        {"scale_grad_by_freq": True},
        {"padding_idx": 1, "scale_grad_by_freq": True},
        {"max_norm": 1.5},
        {"max_norm": 0.7, "norm_type": 1.0},
    ],
    ids=str,
)
def test_embedding_is_pytorchs(options: dict[str, Any]) -> None:
    """Values, gradients, the rows that max_norm shortens in place, and the representation."""
    torch = pytest.importorskip("torch")
    ours = nn.Embedding(5, 2, seed=4, dtype="float64", **options)
    theirs = torch_like(ours, "Embedding", 5, 2, **options)
    assert repr(ours) == repr(theirs)
    mine, right = ours(IDS), theirs(torch.tensor(IDS))
    assert_same([(mine, right), (ours.weight, theirs.weight)], "result")
    coming = np.random.default_rng(5).normal(size=mine.shape)
    mine.backward(coming)
    right.backward(torch.tensor(coming))
    assert_same([(ours.weight.grad, theirs.weight.grad)], "gradient")


def test_the_padding_row_starts_as_zeros_and_stays() -> None:
    layer = nn.Embedding(5, 2, padding_idx=-1, seed=4)
    rule = optim.Adam(layer.parameters(), lr=0.1)
    (layer(IDS) ** 2).sum().backward()
    rule.step()
    assert layer.padding_idx == 4
    assert layer.weight.detach().numpy()[4].tolist() == [0, 0]


def test_initial_rows_are_standard_normal() -> None:
    found = nn.Embedding(500, 20, seed=0).weight.detach().numpy()
    assert found.mean() == pytest.approx(0, abs=0.03)
    assert found.std() == pytest.approx(1, rel=0.03)


def test_pretrained_tables_are_copied_and_frozen() -> None:
    table = np.arange(6.0).reshape(3, 2)
    layer = nn.Embedding.from_pretrained(table, padding_idx=0)
    assert np.array_equal(layer([2, 0]).numpy(), table[[2, 0]])
    assert not layer.weight.requires_grad
    assert nn.Embedding.from_pretrained(table, freeze=False).weight.requires_grad
    table[:] = 0
    assert layer.weight.numpy()[2].tolist() == [4, 5]


def test_shortening_after_use_is_noticed() -> None:
    """A gradient that needs the rows as they were is refused once max_norm has written into them."""
    layer = nn.Embedding(3, 2, max_norm=1.0, seed=0)
    with no_grad():
        layer.weight.data[:] = 5
    loss = (layer.weight * layer.weight).sum()
    layer([0])
    with pytest.raises(ChangedValueError, match=r"Embedding\(max_norm=...\)"):
        loss.backward()


# --- compiled steps -------------------------------------------------------------------------------


class Reader(nn.Module):
    """Embedding, dropout, a recurrent layer with lengths, a linear layer."""

    def __init__(self, kind: str, dtype: str, **options: Any) -> None:
        super().__init__()
        self.table = nn.Embedding(9, 4, padding_idx=0, seed=1, dtype=dtype)
        self.drop = nn.Dropout(0.3, seed=2)
        self.layer = getattr(nn, kind)(4, 3, batch_first=True, seed=3, dtype=dtype, **options)
        self.last = nn.Linear(3 * (1 + options.get("bidirectional", False)), 2, seed=4, dtype=dtype)

    def forward(self, ids: Any, lengths: Any = None) -> Any:
        output, state = self.layer(self.drop(self.table(ids)), lengths=lengths)
        hidden = state[0] if isinstance(self.layer, nn.LSTM) else state
        return self.last(output.mean(1)) + hidden.mean()


def reading(kind: str, dtype: str = "float32", **options: Any) -> Any:
    def make() -> SimpleNamespace:
        model = Reader(kind, dtype, **options)
        rule = optim.Adam(model.parameters(), lr=0.05)
        criterion = nn.CrossEntropyLoss()

        def step(*batch: Any) -> Any:
            *inputs, target = batch
            rule.zero_grad()
            loss = criterion(model(*inputs), target)
            loss.backward()
            rule.step()
            return loss

        return SimpleNamespace(model=model, optimizer=rule, step=step, watched=list(model.parameters()))

    return make


def batch(number: int, lengths: bool) -> tuple[Array, ...]:
    rng = np.random.default_rng([7, number])
    ids, target = rng.integers(0, 9, (4, 5)), rng.integers(0, 2, 4)
    return (ids, rng.integers(1, 6, 4), target) if lengths else (ids, target)


@backends
@pytest.mark.parametrize("lengths", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_compiled_steps_are_those_of_eager(kind: str, lengths: bool, backend: str) -> None:
    """Bit by bit as a replay; lengths are data, so other lengths need no new program."""
    twins = Twins(reading(kind), backend)
    twins.calls(batch(k, lengths) for k in range(4))
    twins.both(lambda world: world.model.eval())
    twins.calls(batch(k, lengths) for k in range(2))
    assert twins.captures <= 3


@backends
def test_compiled_layers_on_layers_in_double_precision(backend: str) -> None:
    twins = Twins(reading("LSTM", "float64", num_layers=2, bidirectional=True, dropout=0.2), backend)
    twins.calls(batch(k, True) for k in range(3))


@pytest.mark.compiler
def test_the_lstm_is_c_without_blas_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tinygrad_mlp.program.native.backend.find_blas", lambda: None)
    twins = Twins(reading("LSTM", bidirectional=True), "native")
    twins.calls(batch(k, True) for k in range(3))


@backends
def test_compiled_steps_refuse_what_they_would_get_wrong(backend: str) -> None:
    def make(**options: Any) -> Any:
        layer = nn.Embedding(9, 4, **options)
        rule = optim.SGD(layer.parameters(), lr=0.1)

        def step(ids: Any) -> Any:
            rule.zero_grad()
            loss = (layer(ids) ** 2).sum()
            loss.backward()
            rule.step()
            return loss

        return lambda: SimpleNamespace(model=layer, optimizer=rule, step=step, watched=[])

    for options in ({"max_norm": 1.0}, {"scale_grad_by_freq": True}):
        with pytest.raises(CaptureError, match=next(iter(options))):
            Twins(make(**options), backend).step(IDS)
    twins = Twins(make(), backend)
    twins.step(IDS)
    with pytest.raises(ArgumentError, match=r"id 9 at position \(0, 0\)"):
        twins.step(IDS + np.array([[6, 0, 0], [0, 0, 0]]))


def test_lengths_may_be_a_tensor() -> None:
    layer = nn.LSTM(4, 6, seed=0)
    one, other = layer(X, lengths=tensor([5, 2, 1]))[0], layer(X, lengths=[5, 2, 1])[0]
    assert np.array_equal(one.detach().numpy(), other.detach().numpy())
