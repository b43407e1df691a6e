"""Convolutions, pools, pictures, bags and losses against torch: value and gradient for random incoming gradients."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from tinygrad_mlp import Tensor
from tinygrad_mlp.errors import ArgumentError, DTypeError, ShapeError
from tinygrad_mlp.nn import functional
from tinygrad_mlp.testing import gradcheck

torch = pytest.importorskip("torch", reason="pip install torch")
F = torch.nn.functional


def _cases() -> Iterator[tuple[str, tuple[Any, ...], dict[str, Any]]]:  # noqa: C901, PLR0912 - a table
    """Name, positional arguments (shapes in lists are drawn), options."""
    for options in ({}, {"stride": 2, "padding": 1}, {"dilation": 2, "padding": (2, 1, 0)}):
        yield "conv3d", ([2, 4, 5, 6, 7], [6, 4, 2, 3, 2], [6]), options
    yield "conv3d", ([4, 5, 6, 7], [6, 2, 2, 3, 2]), {"groups": 2}
    for axes in (1, 2, 3):
        for options in (
            {},
            {"stride": 2},
            {"stride": 3, "padding": 1, "output_padding": 2},
            {"dilation": 2, "stride": 2, "output_padding": 1},
            {"padding": 3},
            {"groups": 2, "stride": 2},
        ):
            outputs = 3
            lengths = [5, 4, 3][:axes]
            yield (
                (
                    f"conv_transpose{axes}d",
                    ([2, 4, *lengths], [4, outputs, *[3, 2, 4][:axes]], [outputs * options.get("groups", 1)]),
                    options,
                )
                if options.get("padding") != 3
                else (f"conv_transpose{axes}d", ([4, *lengths], [4, 3, *[5] * axes]), options)
            )
        for options in ({"stride": 1}, {"padding": 1}, {"ceil_mode": True}, {"dilation": 2, "stride": 1}):
            if "dilation" not in options:
                yield (
                    f"lp_pool{axes}d",
                    (["+", 2, 3, *[7, 8, 6][:axes]], 2.0, 3),
                    {k: v for k, v in options.items() if k != "padding"},
                )
                yield f"avg_pool{axes}d", ([2, 3, *[7, 8, 6][:axes]], 3), options
                yield f"avg_pool{axes}d", ([2, 3, *[7, 8, 6][:axes]], 3), {**options, "count_include_pad": False}
            yield f"max_pool{axes}d", ([2, 3, *[7, 8, 6][:axes]], 3), options
            yield f"max_pool{axes}d", ([2, 3, *[7, 8, 6][:axes]], 3), {**options, "return_indices": True}
        for size in (1, 2, 3, 5):
            yield f"adaptive_avg_pool{axes}d", ([2, 3, *[7, 8, 6][:axes]], size), {}
            yield f"adaptive_max_pool{axes}d", ([2, 3, *[7, 8, 6][:axes]], size), {}
            yield f"adaptive_max_pool{axes}d", ([3, *[7, 8, 6][:axes]], size), {"return_indices": True}
    yield "avg_pool3d", ([2, 3, 6, 6, 6], 2), {"divisor_override": 5}
    for options in ({}, {"padding": 1, "stride": 2}, {"dilation": 2, "padding": (1, 0)}):
        yield "unfold", ([2, 3, 6, 7], (2, 3)), options
        yield "unfold", ([3, 6, 7], 3), options
    yield "fold", ([2, 18, 25], (6, 7), (2, 3)), {"stride": 1} | {"padding": 0}
    yield "fold", ([2, 12, 12], (5, 7), 2), {"padding": 1, "stride": 2}
    yield "fold", ([12, 6], (4, 3), 2), {}
    yield "pixel_shuffle", ([2, 18, 3, 4], 3), {}
    yield "pixel_unshuffle", ([2, 2, 6, 9], 3), {}
    yield "channel_shuffle", ([2, 6, 3, 4], 3), {}
    yield "local_response_norm", ([2, 7, 5], 3), {"alpha": 0.3, "beta": 0.6, "k": 1.5}
    yield "local_response_norm", ([2, 6, 5, 3], 4), {}
    for p in (1.0, 2.0, 3.0, math.inf):
        yield "normalize", ([3, 4, 5],), {"p": p, "dim": 2}
        yield "pdist", ([5, 4], p), {}
    for mode, axes in (("linear", 1), ("bilinear", 2), ("bicubic", 2), ("trilinear", 3)):
        for corners in (False, True):
            for size in ((3, 9, 4), (1, 2, 12), (8, 8, 5)):
                yield (
                    "interpolate",
                    ([2, 3, *[5, 7, 4][:axes]],),
                    {
                        "size": size[:axes],
                        "mode": mode,
                        "align_corners": corners,
                    },
                )
            yield (
                "interpolate",
                ([2, 3, *[5, 7, 4][:axes]],),
                {"scale_factor": 1.7, "mode": mode, "align_corners": corners},
            )
            yield (
                "interpolate",
                ([2, 3, *[5, 7, 4][:axes]],),
                {
                    "scale_factor": 0.6,
                    "mode": mode,
                    "align_corners": corners,
                    "recompute_scale_factor": True,
                },
            )
    for mode in ("nearest", "nearest-exact", "area"):
        for axes in (1, 2, 3):
            yield "interpolate", ([2, 3, *[5, 7, 4][:axes]],), {"size": (3, 10, 7)[:axes], "mode": mode}
            yield "interpolate", ([2, 3, *[5, 7, 4][:axes]],), {"scale_factor": 2.3, "mode": mode}
    for mode in ("bilinear", "bicubic"):
        for size in ((2, 3), (9, 5), (4, 16)):
            yield "interpolate", ([2, 3, 8, 11],), {"size": size, "mode": mode, "antialias": True}
    yield "upsample", ([2, 3, 4],), {"scale_factor": 2}
    for corners in (False, True):
        yield "affine_grid", ([2, 2, 3], (2, 3, 4, 5)), {"align_corners": corners}
        yield "affine_grid", ([2, 3, 4], (2, 3, 4, 1, 3)), {"align_corners": corners}
        for padding in ("zeros", "border", "reflection"):
            for mode in ("bilinear", "nearest", "bicubic"):
                yield (
                    "grid_sample",
                    ([2, 3, 5, 6], [2, 4, 3, 2]),
                    {
                        "mode": mode,
                        "padding_mode": padding,
                        "align_corners": corners,
                    },
                )
            yield "grid_sample", ([2, 3, 5, 6, 4], [2, 4, 3, 2, 3]), {"padding_mode": padding, "align_corners": corners}
    for reduction in ("mean", "sum", "none"):
        yield "multilabel_soft_margin_loss", ([4, 3], np.eye(4, 3), [3]), {"reduction": reduction}
        targets = np.array([[3, 0, -1, 1], [0, -1, 2, 2], [-1, 1, 1, 1], [1, 2, 3, 0]])
        yield "multilabel_margin_loss", ([4, 4], targets), {"reduction": reduction}
        yield "multilabel_margin_loss", ([4], targets[0]), {"reduction": reduction}
        yield "triplet_margin_with_distance_loss", ([4, 3], [4, 3], [4, 3]), {"reduction": reduction, "swap": True}
    ids, flat = np.array([[0, 3, 1], [2, 2, 5]]), np.array([0, 3, 1, 2, 2, 5, 4])
    for mode in ("sum", "mean", "max"):
        yield "embedding_bag", (ids, [6, 4]), {"mode": mode}
        yield "embedding_bag", (flat, [6, 4], np.array([0, 2, 2, 5])), {"mode": mode}
        yield "embedding_bag", (flat, [6, 4], np.array([0, 3, 7])), {"mode": mode, "include_last_offset": True}
        yield "embedding_bag", (ids, [6, 4]), {"mode": mode, "padding_idx": 2}
    yield "one_hot", (ids,), {}
    yield "one_hot", (ids,), {"num_classes": 9}


CASES = list(_cases())


def _drawn(argument: Any, rng: np.random.Generator) -> Any:
    if isinstance(argument, list):
        positive, shape = argument[0] == "+", [one for one in argument if one != "+"]
        return rng.uniform(0.2, 2.0, shape) if positive else rng.normal(size=shape)
    return argument


def _both(
    function: Callable[..., Any], oracle: Callable[..., Any], args: list[Any], options: dict[str, Any]
) -> tuple[list[Any], list[Any], list[Any], list[Any]]:
    """Results and gradients, ours and torch's, for the same random incoming gradients."""
    rng = np.random.default_rng(1)
    mine = [Tensor(a.copy(), requires_grad=a.dtype.kind == "f") if isinstance(a, np.ndarray) else a for a in args]
    theirs = [torch.tensor(a, requires_grad=a.dtype.kind == "f") if isinstance(a, np.ndarray) else a for a in args]
    got = function(*mine, **options)
    with warnings.catch_warnings():
        # torch's, of names that it calls old.
        warnings.simplefilter("ignore")
        expected = oracle(*theirs, **options)
    results = [list(one) if isinstance(one, (tuple, list)) else [one] for one in (got, expected)]
    for a, b in zip(*results, strict=True):
        if b.requires_grad:
            weights = rng.normal(size=tuple(b.shape))
            (a * weights).sum().backward(retain_graph=True)
            (b * torch.tensor(weights)).sum().backward(retain_graph=True)
    leaves = [(a, b) for a, b in zip(mine, theirs, strict=True) if isinstance(a, Tensor) and b.requires_grad]
    # None is no derivative; torch gives zeros where it is zero.
    grads = [
        (np.zeros(a.shape) if a.grad is None else a.grad.data, b.grad.numpy()) for a, b in leaves if b.grad is not None
    ]
    return results[0], results[1], [a for a, _ in grads], [b for _, b in grads]


@pytest.mark.parametrize("number", range(len(CASES)), ids=lambda i: f"{i}-{CASES[i][0]}")
def test_value_and_gradient_are_torchs(number: int) -> None:
    """To 1e-12 of torch, also for a second result, and the places are the same."""
    name, args, options = CASES[number]
    rng = np.random.default_rng(number)
    drawn = [_drawn(one, rng) for one in args]
    got, expected, mine, theirs = _both(getattr(functional, name), getattr(F, name), drawn, options)
    for a, b in zip(got, expected, strict=True):
        assert a.dtype.kind == b.detach().numpy().dtype.kind
        np.testing.assert_allclose(a.data, b.detach().numpy(), rtol=1e-12, atol=1e-13)
    for a, b in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_max_unpool_undoes_max_pool(axes: int) -> None:
    """Values return to their places; value and gradient are torch's."""
    x = np.random.default_rng(3).normal(size=(2, 3, *[6, 8, 4][:axes]))
    values, places = getattr(functional, f"max_pool{axes}d")(Tensor(x), 2, return_indices=True)
    unpool, oracle = getattr(functional, f"max_unpool{axes}d"), getattr(F, f"max_unpool{axes}d")
    got, expected, mine, theirs = _both(
        lambda v: unpool(v, places, 2),
        lambda v: oracle(v, torch.tensor(places.data), 2),
        [values.data],
        {},
    )
    np.testing.assert_array_equal(got[0].data, expected[0].detach().numpy())
    np.testing.assert_array_equal(mine[0], theirs[0])
    kept = got[0].data != 0
    np.testing.assert_array_equal(got[0].data[kept], x[kept])


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("together", [False, True])
def test_ctc_is_torchs(reduction: str, together: bool) -> None:
    """Value, and gradient through log_softmax, with repeated labels, an empty target and one of full length."""
    rng = np.random.default_rng(5)
    lengths, targets = np.array([3, 0, 5, 1]), rng.integers(1, 5, (4, 5))
    targets[0, :3] = [2, 2, 4]
    inputs = np.array([9, 7, 11, 1])
    flat = np.concatenate([row[:n] for row, n in zip(targets, lengths, strict=True)])
    ids = flat if together else targets
    scores = rng.normal(size=(11, 4, 5))
    got, expected, mine, theirs = _both(
        lambda x: functional.ctc_loss(functional.log_softmax(x, -1), ids, inputs, lengths, reduction=reduction),
        lambda x: F.ctc_loss(
            F.log_softmax(x, -1), torch.tensor(ids), torch.tensor(inputs), torch.tensor(lengths), reduction=reduction
        ),
        [scores],
        {},
    )
    np.testing.assert_allclose(got[0].data, expected[0].detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(mine[0], theirs[0], rtol=1e-9, atol=1e-12)


def test_ctc_of_an_impossible_target() -> None:
    """Infinite, or 0 where asked; the gradient is finite."""
    scores = Tensor(np.random.default_rng(0).normal(size=(2, 1, 4)), requires_grad=True)
    logs = functional.log_softmax(scores, -1)
    assert functional.ctc_loss(logs, np.array([[1, 1]]), [2], [2]).item() == math.inf
    zero = functional.ctc_loss(logs, np.array([[1, 1]]), [2], [2], zero_infinity=True)
    zero.backward()
    assert zero.item() == 0
    assert not scores.grad.data.any()  # type: ignore[union-attr]


def test_second_order() -> None:
    """The compositions are differentiable twice."""
    rng = np.random.default_rng(2)

    def leaf(*shape: int) -> Tensor:
        return Tensor(rng.normal(size=shape), requires_grad=True)

    for function, inputs in [
        (lambda x, w: functional.conv_transpose2d(x, w, stride=2, padding=1), (leaf(1, 2, 3, 3), leaf(2, 2, 3, 3))),
        (lambda x: functional.lp_pool2d(x * x + 0.5, 3.0, 2), (leaf(1, 1, 4, 4),)),
        (lambda x: functional.interpolate(x * x, (5, 3), mode="bicubic", align_corners=False), (leaf(1, 1, 4, 4),)),
        (lambda x, g: functional.grid_sample(x, g.tanh(), "bicubic", "border"), (leaf(1, 1, 4, 4), leaf(1, 2, 2, 2))),
        (
            lambda x: functional.ctc_loss(functional.log_softmax(x, -1), np.array([[1, 2]]), [4], [2]),
            (leaf(4, 1, 3),),
        ),
        (lambda x: functional.local_response_norm(x, 3, alpha=0.5), (leaf(1, 4, 3),)),
        (
            lambda w, s: functional.embedding_bag([[0, 1], [1, 1]], w, mode="sum", per_sample_weights=s),
            (leaf(3, 2), leaf(4)),
        ),
    ]:
        gradcheck(function, inputs, order=2, rtol=1e-5).raise_if_wrong()


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda x: functional.conv_transpose1d(x, np.ones((4, 2, 3))), ShapeError, "channels = 4"),
        (lambda x: functional.conv_transpose1d(x, np.ones((3, 2, 3)), output_padding=1), ArgumentError, "below stride"),
        (lambda x: functional.interpolate(x), ArgumentError, "either size or scale_factor"),
        (lambda x: functional.interpolate(x, 3, mode="bilinear"), ShapeError, "2 more axes"),
        (lambda x: functional.interpolate(x, 3, mode="nearst"), ArgumentError, "nearest"),
        (lambda x: functional.pixel_shuffle(x, 2), ShapeError, "multiple of 2²"),
        (lambda x: functional.max_unpool1d(x, x, 2, output_size=(5,)), ArgumentError, "output_size"),
        (lambda x: functional.one_hot(x), DTypeError, "int64"),
        (lambda _: functional.one_hot(np.array([0, 4]), 3), ArgumentError, "0 to 2"),
        (lambda x: functional.grid_sample(x, x), ShapeError, "grid"),
        (lambda x: functional.ctc_loss(x, [[1]], [9], [1]), ArgumentError, "2 steps"),
        (lambda x: functional.embedding_bag(np.array([0]), x), ShapeError, "without offsets"),
        (lambda x: functional.gumbel_softmax(x, 0.0), ArgumentError, "temperature"),
        (lambda x: functional.fold(x, (4, 4), 2), ShapeError, "places"),
    ],
)
def test_refused(call: Callable[[Any], Any], error: type[Exception], says: str) -> None:
    """What was expected and what came."""
    with pytest.raises(error, match=says):
        call(Tensor(np.full((2, 3, 4), 9.5)))


def test_gumbel_softmax_draws_classes() -> None:
    """Hard samples are one class each, as often as the softmax says; the gradient is that of the soft sample."""
    logits = Tensor(np.log([0.2, 0.3, 0.5]) * np.ones((20_000, 1)), requires_grad=True)
    hard = functional.gumbel_softmax(logits, 0.7, hard=True, seed=3)
    assert set(np.unique(hard.data)) <= {0.0, 1.0}
    np.testing.assert_allclose(hard.data.mean(0), [0.2, 0.3, 0.5], atol=0.02)
    weights = np.random.default_rng(0).normal(size=hard.shape)
    (hard * weights).sum().backward()
    found = logits.grad.data.copy()  # type: ignore[union-attr]
    logits.grad = None
    (functional.gumbel_softmax(logits, 0.7, seed=3) * weights).sum().backward()
    np.testing.assert_allclose(found, logits.grad.data, rtol=1e-12)  # type: ignore[union-attr]


def test_dropout3d_drops_channels() -> None:
    """Whole channels, at the rate asked for."""
    x = functional.dropout3d(Tensor(np.ones((50, 40, 2, 2, 2))), 0.25, seed=0).data.reshape(2000, -1)
    assert all(len(set(row)) == 1 for row in x)
    assert abs((x[:, 0] == 0).mean() - 0.25) < 0.05
