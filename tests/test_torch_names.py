"""A call that PyTorch takes means the same here: names, places, keywords and defaults, and what is told instead."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_mlp as tg
from tinygrad_mlp import Tensor
from tinygrad_mlp.errors import ArgumentError, DTypeError, ShapeError
from tinygrad_mlp.nn import functional
from tinygrad_mlp.testing import gradcheck

torch = pytest.importorskip("torch")

import torch_names as census  # noqa: E402 - needs torch

F64 = np.dtype(np.float64)


# --- the page ---


def test_the_page_is_what_the_names_are() -> None:
    """docs/torch-names.md is the one that the script writes, of the pinned torch."""
    if not torch.__version__.startswith("2.13."):
        pytest.skip("the page is of torch 2.13")
    assert census.PAGE.read_text(encoding="utf-8") == census.page()


def test_every_missing_name_has_its_reason() -> None:
    """No name of a family is missing without a word."""
    assert [name for count in census.names().values() for name, why in count.missing.items() if not why] == []


def test_families_hold_names_of_torch() -> None:
    """The families' lists are of names that torch has."""
    known = {name for room in ("torch", "Tensor", "nn.functional") for name in dir(census.THEIRS[room])}
    assert [name for names in census.FAMILIES.values() for name in names.split() if name not in known] == []


@pytest.mark.parametrize("room", census.OURS)
def test_signatures_are_torchs(room: str) -> None:
    """A difference that nobody explained is a mistake."""
    tally = census.signatures()[room]
    assert tally.unexplained == []
    assert tally.equal + tally.wider >= {"torch": 300, "Tensor": 250, "linalg": 34, "nn.functional": 90}[room]


def test_every_explanation_is_needed() -> None:
    """A reason for what is no longer so, or no longer missing, goes away."""
    missing = {why for count in census.names().values() for why in count.missing.values()}
    assert [pattern for pattern, _, reason in census.MISSING if reason not in missing] == []
    used = {why for tally in census.signatures().values() for why in tally.explained}
    assert [(pattern, said) for _, pattern, said, reason in census.EXPLAINED if reason not in used] == []


def test_the_census_sees_a_difference() -> None:
    """A function with torch's arguments in another order, without one, or with another default is found out."""
    before = functional.huber_loss
    try:
        functional.huber_loss = lambda x, target, delta=2.0, reduction="mean": None
        found = census.differences("nn.functional", "huber_loss")
    finally:
        functional.huber_loss = before
    assert "reduction in place 3, here delta" in found
    assert "delta=1.0, here 2.0" in found
    assert "no weight" in found
    assert census.differences("nn.functional", "huber_loss") == []


# --- calls ---

Call = Callable[..., Any]
X, Y, SQUARE, POSITIVE, STACK = (3, 4), (3, 4), (4, 4), "positive", (2, 4, 4)

# One call for both libraries: t is torch or tinygrad_mlp, f its nn.functional, then tensors of the shapes named.
CALLS: dict[str, tuple[Call, tuple[Any, ...]]] = {
    "std dim correction": (lambda t, f, x: t.std(x, 1, correction=0), (X,)),
    "std unbiased": (lambda t, f, x: t.std(x, False), (X,)),
    "var method": (lambda t, f, x: x.var(dim=0, unbiased=False, keepdim=True), (X,)),
    "var_mean": (lambda t, f, x: t.var_mean(x, dim=(0, 1), correction=2), (X,)),
    "sum dims": (lambda t, f, x: t.sum(input=x, dim=[0, 1]), (X,)),
    "sum positional": (lambda t, f, x: x.sum(0, True), (X,)),
    "max pair": (lambda t, f, x, y: t.max(x, y), (X, Y)),
    "max other": (lambda t, f, x, y: t.max(x, other=y), (X, Y)),
    "max dim": (lambda t, f, x: t.max(x, 1, True), (X,)),
    "amax": (lambda t, f, x: t.amax(input=x, dim=(0,), keepdim=True), (X,)),
    "argmax": (lambda t, f, x: t.argmax(input=x, dim=1, keepdim=True), (X,)),
    "clamp": (lambda t, f, x: t.clamp(x, min=-0.3) + x.clamp(max=0.4), (X,)),
    "exp by name": (lambda t, f, x: t.exp(input=x), (X,)),
    "mul by name": (lambda t, f, x, y: t.mul(input=x, other=y), (X, Y)),
    "atan2 by name": (lambda t, f, x, y: x.atan2(other=y), (X, Y)),
    "maximum by name": (lambda t, f, x, y: t.maximum(input=x, other=y), (X, Y)),
    "pow by name": (lambda t, f, x: t.pow(input=x, exponent=3), (X,)),
    "where positions": (lambda t, f, x: t.where(x > 0), (X,)),
    "split sizes": (lambda t, f, x: x.split([1, 2], dim=0), (X,)),
    "split size": (lambda t, f, x: x.split(split_size=3, dim=1), (X,)),
    "split_with_sizes": (lambda t, f, x: t.split_with_sizes(x, [1, 3], 1), (X,)),
    "hsplit": (lambda t, f, x: t.hsplit(x, sections=2), (X,)),
    "vsplit": (lambda t, f, x: x.vsplit(indices=(1, 2)), (X,)),
    "tensor_split": (lambda t, f, x: t.tensor_split(x, indices=(1,), dim=1), (X,)),
    "reshape": (lambda t, f, x: t.reshape(x, shape=(2, -1)), (X,)),
    "view": (lambda t, f, x: x.view(size=(4, 3)), (X,)),
    "repeat": (lambda t, f, x: x.repeat(2, 3), (X,)),
    "repeat by name": (lambda t, f, x: x.repeat(repeats=(2, 1, 1)), (X,)),
    "tile": (lambda t, f, x: t.tile(x, dims=(2,)), (X,)),
    "permute": (lambda t, f, x: t.permute(x, dims=(1, 0)), (X,)),
    "permute list": (lambda t, f, x: x.permute([1, 0]), (X,)),
    "transpose": (lambda t, f, x: t.transpose(x, dim0=0, dim1=1), (X,)),
    "swapdims": (lambda t, f, x: t.swapdims(x, dim0=-1, dim1=0), (X,)),
    "expand": (lambda t, f, x: x.expand(-1, -1, 4), ((2, 3, 1),)),
    "expand by name": (lambda t, f, x: x.expand(size=(2, 3, 4)), (X,)),
    "broadcast_to": (lambda t, f, x: t.broadcast_to(x, size=(2, 3, 4)), (X,)),
    "flatten": (lambda t, f, x: x.flatten(1), ((2, 3, 4),)),
    "squeeze dims": (lambda t, f, x: x.squeeze((0, 1)), ((1, 1, 3),)),
    "flip": (lambda t, f, x: t.flip(x, dims=(0, 1)), (X,)),
    "norm": (lambda t, f, x: t.norm(x, "fro"), (X,)),
    "norm dim": (lambda t, f, x: x.norm(1, -1, True), (X,)),
    "outer": (lambda t, f, x, y: t.outer(input=x, vec2=y), ((3,), (4,))),
    "matmul": (lambda t, f, x, y: t.matmul(input=x, other=y), (SQUARE, SQUARE)),
    "vdot": (lambda t, f, x, y: t.vdot(x, other=y), ((3,), (3,))),
    "repeat_interleave alone": (lambda t, f, x: t.repeat_interleave(t.as_tensor(np.array([2, 0, 1]))), (X,)),
    "searchsorted": (lambda t, f, x: t.searchsorted(x, x[:, :2], sorter=x.argsort(), right=True), (X,)),
    "bucketize": (lambda t, f, x: t.bucketize(x, x[0].sort()[0].detach(), out_int32=True), (X,)),
    "linalg.cross": (lambda t, f, x, y: t.linalg.cross(x, y), ((3, 3), (3, 3))),
    "linalg.diagonal": (lambda t, f, x: t.linalg.diagonal(x, offset=1), (STACK,)),
    "linalg.vander": (lambda t, f, x: t.linalg.vander(x, N=3), ((4,),)),
    "svd": (lambda t, f, x: [one.abs() for one in t.svd(x)], ((5, 3),)),
    "svd values": (lambda t, f, x: x.svd(compute_uv=False)[1], ((5, 3),)),
    "qr": (lambda t, f, x: t.qr(x, some=True), ((5, 3),)),
    "matrix_rank": (lambda t, f, x: t.linalg.matrix_rank(x, 0.5), (STACK,)),
    "softmax": (lambda t, f, x: f.softmax(x, 1) + t.softmax(input=x, dim=0), (X,)),
    "softmin": (lambda t, f, x: f.softmin(input=x, dim=1), (X,)),
    "gelu": (lambda t, f, x: f.gelu(input=x, approximate="tanh"), (X,)),
    "softplus": (lambda t, f, x: f.softplus(x * 9.0, 2.0, 1.0), (X,)),
    "relu": (lambda t, f, x: f.relu(x, False), (X,)),
    "pad": (lambda t, f, x: f.pad(x, (1, 2), value=None), (X,)),
    "normalize": (lambda t, f, x: f.normalize(x, 3.0, 0, out=None), (X,)),
    "l1_loss": (lambda t, f, x, y: f.l1_loss(x, y, None, None, "sum"), (X, Y)),
    "l1_loss weight": (lambda t, f, x, y: f.l1_loss(x, y, weight=x.detach().abs()), (X, Y)),
    "mse_loss legacy": (lambda t, f, x, y: f.mse_loss(x, y, False), (X, Y)),
    "mse_loss not reduced": (lambda t, f, x, y: f.mse_loss(x, y, reduce=False), (X, Y)),
    "mse_loss weight": (lambda t, f, x, y: f.mse_loss(x, y, weight=y.detach().abs()), (X, Y)),
    "huber_loss": (lambda t, f, x, y: f.huber_loss(x, y, "mean", 0.7, x.detach().abs()), (X, Y)),
    "smooth_l1_loss": (lambda t, f, x, y: f.smooth_l1_loss(x, y, None, None, "mean", 0.5), (X, Y)),
    "kl_div": (lambda t, f, x, y: f.kl_div(x, y, None, None, "batchmean", True), (X, Y)),
    "hinge": (lambda t, f, x: f.hinge_embedding_loss(x, t.sign(x.detach()), 0.5, None, None, "sum"), (X,)),
    "margin_ranking": (lambda t, f, x, y: f.margin_ranking_loss(x, y, t.sign(y.detach()), 0.1), (X, Y)),
    "cosine_embedding": (lambda t, f, x, y: f.cosine_embedding_loss(x, y, t.sign(y[:, 0].detach()), 0.1), (X, Y)),
    "triplet": (lambda t, f, x, y: f.triplet_margin_loss(x, y, x * y, 1.0, 2.0, 1e-6, True), (X, Y)),
    "multi_margin": (lambda t, f, x: f.multi_margin_loss(x, x.argmin(1), 2, 0.5, x[0].detach().abs()), (X,)),
    "nll_loss": (lambda t, f, x: f.nll_loss(x, x.argmin(1), x[0].detach().abs(), None, 1, None, "sum"), (X,)),
    "cross_entropy": (
        lambda t, f, x: f.cross_entropy(x, x.argmin(1), None, None, -100, None, "mean", 0.1),
        (X,),
    ),
    "bce": (lambda t, f, x: f.binary_cross_entropy(t.sigmoid(x), t.sigmoid(-x.detach()), x.detach() ** 2), (X,)),
    "bce logits": (
        lambda t, f, x: f.binary_cross_entropy_with_logits(
            x, t.sigmoid(-x.detach()), None, None, None, "sum", x[0].detach() ** 2
        ),
        (X,),
    ),
    "poisson_nll": (lambda t, f, x: f.poisson_nll_loss(x, x.detach() ** 2, True, True, None, 1e-8, None, "sum"), (X,)),
    "gaussian_nll": (lambda t, f, x, y: f.gaussian_nll_loss(x, y, t.exp(y), True, 1e-5, "sum"), (X, Y)),
    "linear_cross_entropy": (lambda t, f, x, w: f.linear_cross_entropy(x, w, x.argmin(1)), (X, (5, 4))),
    "linear_cross_entropy at places": (
        lambda t, f, x, w, b: f.linear_cross_entropy(
            x, w, f.linear(x, w.flatten(0, 1)).reshape(3, 5, 2).argmin(1), linear_bias=b
        ),
        (X, (5, 2, 4), (5, 2)),
    ),
    "grouped heads": (
        lambda t, f, q, k, v: f.scaled_dot_product_attention(q, k, v, enable_gqa=True),
        ((2, 4, 3, 5), (2, 2, 3, 5), (2, 2, 3, 5)),
    ),
    # Names that came with the census.
    "selu": (lambda t, f, x: t.selu(x) + t.celu(x, 1.5) + t.hardshrink(x, 0.3) + x.hardshrink(), (X,)),
    "prelu": (lambda t, f, x, w: t.prelu(x, w) + x.prelu(w), (X, (4,))),
    "similarity": (lambda t, f, x, y: t.cosine_similarity(x, y, dim=1) + t.pairwise_distance(x, y), (X, Y)),
    "polygamma": (lambda t, f, x: x.exp().polygamma(1) + t.polygamma(2, x.exp()), (X,)),
    "H": (lambda t, f, x: x.H + x.mT + x.mH, (SQUARE,)),
    "i0": (lambda t, f, x: t.log(t.i0(x * 30.0)), (X,)),
    "frexp": (lambda t, f, x: t.frexp(x * 100.0), (X,)),
    "angle": (lambda t, f, x: t.angle(x), (X,)),
    "gradient": (lambda t, f, x: t.gradient(x, spacing=(0.5, 2.0), dim=(0, 1)), (X,)),
    "gradient at edges": (lambda t, f, x: t.gradient(x, edge_order=2, dim=1), (X,)),
    "gradient at places": (
        lambda t, f, x: t.gradient(x, spacing=(t.as_tensor(np.array([0.0, 1.0, 1.5, 4.0])),), dim=1, edge_order=2),
        (X,),
    ),
    "put": (lambda t, f, x, y: x.put(t.as_tensor(np.array([[1, 5], [3, -1]])), y), (X, (2, 2))),
    "put added": (lambda t, f, x, y: x.put(t.as_tensor(np.array([1, 5, 1, -1])), y, True), (X, (4,))),
    "sum_to_size": (lambda t, f, x: x.sum_to_size(3, 1) + x.sum_to_size((1,)), (X,)),
    "fill": (lambda t, f, x: t.fill(x.detach(), 2.5), (X,)),
    "lu": (lambda t, f, x: t.linalg.lu(x), (STACK,)),
    "lu tall": (lambda t, f, x: t.linalg.lu(x), ((2, 5, 3),)),
    "lu wide": (lambda t, f, x: t.linalg.lu(x), ((3, 5),)),
    "lu_factor": (lambda t, f, x: t.linalg.lu_factor(x), (STACK,)),
    "lu_factor_ex": (lambda t, f, x: t.linalg.lu_factor_ex(x), ((5, 3),)),
    "older lu": (lambda t, f, x: t.lu(x, get_infos=True), (SQUARE,)),
    "lu_unpack": (lambda t, f, x: t.lu_unpack(*t.linalg.lu_factor(x)), ((3, 5),)),
    "lu_solve": (lambda t, f, x, y: t.lu_solve(y, *t.linalg.lu_factor(x)), (STACK, (2, 4, 2))),
    "inv_ex": (lambda t, f, x: t.linalg.inv_ex(x), (STACK,)),
    "solve_ex": (lambda t, f, x, y: t.linalg.solve_ex(x, y), (STACK, (2, 4, 1))),
    "cholesky_ex": (lambda t, f, x: t.linalg.cholesky_ex(x @ x.mT, upper=True), (STACK,)),
    "triangular_solve": (lambda t, f, b, a: t.triangular_solve(b, a, True, True), ((4, 2), SQUARE)),
    "triangular_solve lower": (lambda t, f, b, a: t.triangular_solve(b, a, upper=False), ((4, 2), SQUARE)),
    "ormqr": (lambda t, f, a, s, o: t.ormqr(a, s, o, transpose=True), ((4, 3), (3,), (4, 2))),
    "orgqr": (lambda t, f, a, s: t.orgqr(a, s), ((4, 3), (3,))),
}
for _left in (True, False):
    for _adjoint in (True, False):
        CALLS[f"lu_solve left={_left} adjoint={_adjoint}"] = (
            lambda t, f, x, y, left=_left, adjoint=_adjoint: t.linalg.lu_solve(
                *t.linalg.lu_factor(x), y, left=left, adjoint=adjoint
            ),
            (STACK, STACK),
        )
for _reduce in ("prod", "mean", "amax", "amin"):
    for _own in (True, False):
        CALLS[f"index_reduce {_reduce} include_self={_own}"] = (
            lambda t, f, x, y, reduce=_reduce, own=_own: x.index_reduce(
                1, t.as_tensor(np.array([0, 2, 0])), y, reduce, include_self=own
            ),
            (X, (3, 3)),
        )
for _axes, _shape, _kernel, _size in (
    (2, (2, 3, 7, 8), 2, (3, 4)),
    (2, (3, 9, 9), (2, 3), (4, 3)),
    (3, (2, 2, 6, 7, 5), 2, (3, 3, 2)),
    (3, (2, 6, 7, 5), (2, 3, 2), (3, 1, 2)),
):
    _planes = _shape[: len(_shape) - _axes] if len(_shape) == _axes + 2 else (1, *_shape[:1])
    CALLS[f"fractional_max_pool{_axes}d of {_shape}"] = (
        lambda t, f, x, axes=_axes, kernel=_kernel, size=_size, planes=_planes: getattr(
            f, f"fractional_max_pool{axes}d"
        )(
            x,
            kernel,
            size,
            return_indices=True,
            _random_samples=t.as_tensor(np.random.default_rng(5).random((*planes, axes))),
        ),
        (_shape,),
    )


def _results(found: Any, kind: type) -> list[Any]:
    return [found] if isinstance(found, kind) else [one for one in found if isinstance(one, kind)]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("what", CALLS)
def test_a_call_means_what_it_means_in_torch(what: str) -> None:
    """Values, dtypes, and gradients for random incoming ones."""
    call, shapes = CALLS[what]
    rng = np.random.default_rng(3)
    arrays = [rng.standard_normal(shape) for shape in shapes]
    theirs = [torch.tensor(one, requires_grad=True) for one in arrays]
    mine = [Tensor(one, requires_grad=True) for one in arrays]
    expected = _results(call(torch, torch.nn.functional, *theirs), torch.Tensor)
    got = _results(call(tg, functional, *mine), Tensor)
    assert len(expected) == len(got) > 0
    total: Any = 0
    other: Any = 0
    for one, made in zip(expected, got, strict=True):
        value = one.detach().numpy()
        assert made.shape == value.shape
        assert made.dtype == value.dtype
        # torch's polygamma is right to eight places.
        np.testing.assert_allclose(made.data, value, rtol=1e-7 if what == "polygamma" else 1e-9, atol=1e-11)
        assert made.requires_grad == one.requires_grad
        if one.requires_grad:
            weights = np.asarray(rng.standard_normal(value.shape))
            total, other = total + (one * torch.from_numpy(weights)).sum(), other + (made * weights).sum()
    if isinstance(total, int):
        return
    wanted = torch.autograd.grad(total, theirs, allow_unused=True)
    reached = tg.autograd.grad(other, mine, allow_unused=True)
    for one, made in zip(wanted, reached, strict=True):
        assert (made is None or not made.data.any()) if one is None else made is not None
        if one is not None:
            np.testing.assert_allclose(made.data, one.numpy(), rtol=1e-7, atol=1e-8)


# What carries no gradient, and makes tensors of numbers.
MADE: dict[str, Call] = {
    "arange": lambda t: [t.arange(4), t.arange(end=3), t.arange(1, 7, 2), t.arange(0, 1, 0.25), t.arange(1, end=3)],
    "full": lambda t: [t.full((2,), 1.5), t.full(size=(2, 2), fill_value=3), t.full((1,), True), t.full((), 2)],
    "linspace": lambda t: t.linspace(0, end=1, steps=5),
    "zeros": lambda t: [t.zeros(size=(2, 3)), t.ones(2, 3), t.empty(size=(0,)), t.zeros([2])],
    "tril_indices": lambda t: [t.tril_indices(3, 4, 1), t.triu_indices(3, 3)],
    "bits": lambda t: [
        getattr(t, f"bitwise_{name}")(t.tensor([12, 7, -3]), t.tensor([5, 2, 1]))
        for name in ("and", "or", "xor", "left_shift", "right_shift")
    ],
    "bits and a number": lambda t: [t.bitwise_and(t.tensor([12, 7]), 4), t.bitwise_or(t.tensor([True]), False)],
    "divisors": lambda t: [t.gcd(t.tensor([12, 18]), t.tensor([8, 27])), t.lcm(t.tensor([4, 6]), t.tensor([6, 0]))],
    "nextafter": lambda t: t.nextafter(t.tensor([1.0, -1.0]), t.tensor([2.0, 2.0])),
    "isin": lambda t: [t.isin(t.tensor([1, 2, 3]), t.tensor([2, 5])), t.isin(t.tensor([1, 2]), 2, invert=True)],
    "unique_consecutive": lambda t: t.unique_consecutive(t.tensor([1, 1, 2, 2, 1]), True, True),
    "unique_consecutive rows": lambda t: t.unique_consecutive(
        t.tensor([[1, 1], [1, 1], [2, 1]]), return_inverse=True, dim=0
    ),
    "unravel_index": lambda t: t.unravel_index(t.tensor([0, 5, -1]), (2, 3)),
    "nonzero_static": lambda t: [t.nonzero_static(t.tensor([0, 3, 0, 4]), size=n) for n in (1, 3)],
    "histogram": lambda t: t.histogram(t.tensor([0.0, 0.4, 0.5, 1.0]), 4),
    "histogram shares": lambda t: t.histogram(t.tensor([0.0, 0.4, 0.5, 9.0]), 2, range=(0.0, 1.0), density=True),
    "index_fill": lambda t: t.tensor([[1, 2], [3, 4]]).index_fill(1, t.tensor([0]), 9),
    "to": lambda t: [t.tensor([1.5]).to(t.tensor([1])), t.tensor([1.5]).to("cpu"), t.tensor([2]).type_as(t.ones(1))],
    "like this": lambda t: [t.tensor([1.5]).new_zeros(2, 2), t.tensor([1.5]).new_full((2,), 3.0), t.ones(1).byte()],
    **{
        f"{name}_window": lambda t, name=name: [
            getattr(t, f"{name}_window")(length, periodic) for length in (0, 1, 2, 5, 8) for periodic in (True, False)
        ]
        for name in ("hann", "hamming", "blackman", "bartlett", "kaiser")
    },
}


@pytest.mark.parametrize("what", MADE)
def test_tensors_made_and_counted(what: str) -> None:
    """The same numbers in the same dtypes."""
    expected, got = _results(MADE[what](torch), torch.Tensor), _results(MADE[what](tg), Tensor)
    assert len(expected) == len(got) > 0
    for one, made in zip(expected, got, strict=True):
        assert made.dtype == one.numpy().dtype
        np.testing.assert_allclose(made.data, one.numpy(), rtol=1e-5, atol=1e-6)


def test_questions_about_a_tensor() -> None:
    """Sizes, dtypes and answers, as torch's."""
    theirs, mine = torch.ones(2, 3), tg.ones(2, 3)
    for name in ("dim", "ndimension", "numel", "nelement", "element_size", "is_contiguous", "is_floating_point"):
        assert getattr(mine, name)() == getattr(theirs, name)()
    assert (mine.nbytes, mine.itemsize) == (theirs.nbytes, theirs.itemsize)
    assert tg.is_tensor(mine)
    assert not tg.is_complex(mine)
    assert tg.is_signed(mine)
    assert tg.is_same_size(mine, tg.zeros(2, 3))
    assert tg.is_nonzero(tg.tensor([0.5]))
    assert tg.broadcast_shapes((2, 1), (3,)) == (2, 3)
    with pytest.raises(ShapeError, match="one element"):
        tg.is_nonzero(mine)


def test_softmax_in_another_dtype() -> None:
    """dtype= comes first, the softmax after it, and the gradient comes back in the old dtype."""
    x = Tensor([[1.0, 2.0]], requires_grad=True)
    for found in (functional.softmax(x, 1, dtype=F64), x.softmax(1, F64), tg.log_softmax(x, 1, F64)):
        assert found.dtype == F64
        assert tg.autograd.grad(found[0, 0], [x])[0].dtype == np.float32


def test_out_and_inplace_are_refused_with_a_word() -> None:
    """Results are new tensors."""
    x = Tensor([1.0, -2.0])
    for call in (tg.exp, tg.abs, tg.neg, tg.cumsum, tg.sort, tg.logsumexp, tg.amax, tg.clamp, functional.normalize):
        arguments = (0,) if call in {tg.cumsum, tg.sort, tg.logsumexp} else ()
        with pytest.raises(ArgumentError, match="results are new tensors"):
            call(x, *arguments, out=x)
    for call in (tg.add, tg.mul, tg.maximum, tg.pow, tg.matmul, tg.outer, tg.dot, tg.atan2):
        with pytest.raises(ArgumentError, match="results are new tensors"):
            call(x, x, out=x)
    assert tg.dot(x, x, out=None).item() == 5.0
    for call in (functional.relu, functional.elu, functional.mish, functional.dropout, functional.hardtanh):
        with pytest.raises(ArgumentError, match="inplace"):
            call(x, inplace=True)


def test_two_names_of_one_argument() -> None:
    """Either name, and not both."""
    x = tg.ones(2, 3)
    assert tg.cumsum(x, axis=1).data[0, 2] == tg.cumsum(x, dim=1).data[0, 2] == 3.0
    with pytest.raises(ArgumentError, match="two names"):
        tg.cumsum(x, axis=1, dim=1)
    with pytest.raises(ArgumentError, match="two names"):
        tg.cumsum(x, 1, self=x)


def test_generators_go_on_where_they_were() -> None:
    """States are bytes; rand takes a generator; two sources are one too many."""
    g = tg.Generator().manual_seed(3)
    state = g.get_state()
    first = tg.rand(3, generator=g).data
    g.set_state(state)
    assert np.array_equal(first, tg.rand(size=(3,), generator=g).data)
    kept = tg.get_rng_state()
    drawn = tg.randint(high=100, size=(4,)).data
    tg.set_rng_state(kept)
    assert np.array_equal(drawn, tg.randint(100, (4,)).data)
    assert tg.binomial(tg.full((50,), 9.0), tg.full((50,), 0.5), generator=g).data.max() <= 9
    assert tg.randn_like(tg.ones(2), generator=g, dtype=F64).dtype == F64
    with pytest.raises(ArgumentError, match="40 bytes"):
        g.set_state(tg.ones(3))
    with pytest.raises(ArgumentError, match="not both"):
        tg.rand(2, rng=np.random.default_rng(0), generator=g)
    with pytest.raises(ArgumentError, match="probability"):
        tg.binomial(tg.ones(1), tg.full((1,), 2.0))


def test_singular_matrices_are_told_by_number() -> None:
    """The first pivot of 0 is named; without check_errors the result is NaN, the other matrices stay right."""
    a = np.stack([np.eye(3), np.diag([1.0, 0.0, 2.0])])
    inverse, info = tg.linalg.inv_ex(Tensor(a))
    assert info.data.tolist() == [0, 2]
    assert np.array_equal(inverse.data[0], np.eye(3))
    assert np.isnan(inverse.data[1]).all()
    assert tg.linalg.solve_ex(Tensor(a), Tensor(np.ones((2, 3)))).info.data.tolist() == [0, 2]
    factor, info = tg.linalg.cholesky_ex(Tensor(a))
    assert info.data.tolist() == [0, torch.linalg.cholesky_ex(torch.tensor(a))[1][1].item()]
    assert np.isnan(factor.data[1]).all()
    for call in (tg.linalg.inv_ex, tg.linalg.cholesky_ex, tg.linalg.lu_factor_ex):
        with pytest.raises(ArgumentError, match=r"singular|positive"):
            call(Tensor(a), check_errors=True)
    # Values of LU exist for singular matrices, too.
    p, l, u = tg.linalg.lu(Tensor(a))
    assert np.allclose(p.data @ l.data @ u.data, a)
    with pytest.raises(ArgumentError, match="pivot=False"):
        tg.linalg.lu(Tensor(a), pivot=False)


def test_second_derivatives_of_lu_and_bessel() -> None:
    """The steps of the factorisation are right beyond the first order; the series of i0 in every order."""
    a = Tensor(np.random.default_rng(1).standard_normal((3, 3)), requires_grad=True)
    gradcheck(lambda x: tg.linalg.lu(x).L.sum() + (tg.linalg.lu(x).U ** 2).sum(), (a,), order=2).raise_if_wrong()
    x = Tensor([0.0, 0.5, -3.0, 19.0], requires_grad=True, dtype=F64)
    gradcheck(lambda x: tg.log(tg.i0(x)), (x,), order=2).raise_if_wrong()


def test_bessels_function_is_right_to_the_last_places() -> None:
    """i0 and its derivative, i1, on both sides of where the series change, and up to where exp ends."""
    mpmath = pytest.importorskip("mpmath")
    places = [-700.0, -21.0, -0.3, 1e-9, 0.5, 7.0, 19.9, 20.0, 20.1, 25.0, 60.0, 709.0]
    x = Tensor(places, requires_grad=True, dtype=F64)
    y = tg.i0(x)
    (slope,) = tg.autograd.grad(y.sum(), [x])
    with mpmath.workdps(40):
        values = [float(mpmath.besseli(0, one)) for one in places]
        slopes = [float(mpmath.besseli(1, one)) for one in places]
    np.testing.assert_allclose(y.data, values, rtol=1e-14)
    np.testing.assert_allclose(slope.data, slopes, rtol=2e-14)


def test_bits_are_read_as_another_dtype() -> None:
    """view(dtype), as torch has it."""
    x = tg.tensor([1.0, -2.0])
    assert x.view(np.int32).data.tolist() == torch.tensor([1.0, -2.0]).view(torch.int32).tolist()
    with pytest.raises(DTypeError, match="bits"):
        Tensor([1.0], requires_grad=True).view(np.int32)


def test_what_is_wrong_is_said() -> None:
    """The errors that docstrings name."""
    with pytest.raises(DTypeError, match="integers"):
        tg.bitwise_and(tg.ones(1), 1)
    with pytest.raises(DTypeError, match="exponent"):
        tg.frexp(tg.tensor([1]))
    with pytest.raises(ArgumentError, match="edge_order"):
        tg.gradient(tg.ones(3), edge_order=3)
    with pytest.raises(ShapeError, match="at least 3"):
        tg.gradient(tg.ones(2), edge_order=2)
    with pytest.raises(ArgumentError, match="one of"):
        tg.ones(3).index_reduce(0, [0], tg.ones(1), "sum")
    with pytest.raises(ShapeError, match="sum_to_size"):
        tg.ones(2, 3).sum_to_size(2, 2)
    with pytest.raises(ShapeError, match="at most two"):
        _ = tg.ones(1, 1, 1).H
    with pytest.raises(ArgumentError, match="device"):
        tg.ones(1).to("cuda")
    with pytest.raises(ShapeError, match="weight for each element"):
        functional.mse_loss(tg.ones(2), tg.ones(2), weight=tg.ones(3))
    with pytest.raises(ArgumentError, match="output_size"):
        functional.fractional_max_pool2d(tg.ones(1, 4, 4), 2)
    q, k = tg.ones(3, 2, 2), tg.ones(2, 2, 2)
    with pytest.raises(ShapeError, match="multiple"):
        functional.scaled_dot_product_attention(q, k, k, enable_gqa=True)


def test_the_calls_know_both_libraries() -> None:
    """No call of the tables asks which library it has."""
    assert all(isinstance(call, types.LambdaType) for call, _ in CALLS.values())
