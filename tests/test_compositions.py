"""Laws of the functions that are compositions of operations: derivatives, dtypes, memory, replay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_mlp as tg
from tinygrad_mlp import Tensor, compile, compositions
from tinygrad_mlp.errors import CaptureError
from tinygrad_mlp.testing import gradcheck

RNG = np.random.default_rng(11)


def normal(*shape: int) -> Any:
    """Numbers of both signs, none near a kink at 0 or an integer."""
    x = RNG.normal(size=shape)
    x += np.sign(x) * 0.05
    return np.where(np.abs(x - np.rint(x)) < 0.02, x + 0.05, x)


def positive(*shape: int) -> Any:
    return RNG.uniform(0.3, 1.9, shape)


def inside(*shape: int) -> Any:
    return RNG.uniform(0.1, 0.9, shape)


def definite(n: int, *stack: int) -> Any:
    a = RNG.normal(size=(*stack, n, n))
    return a @ np.swapaxes(a, -1, -2) + n * np.eye(n)


def symmetric(a: Any) -> Any:
    """Of one triangle torch's gradient is that of both; so differences have to move both."""
    return (a + tg.transpose(a)) * 0.5


INDEX = np.array([[0, 2, 1], [1, 0, 0]])
MASK = np.array([[True, False, True], [False, True, True]])

CASES: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    # elementwise
    "add": (lambda x, y: tg.add(x, y, alpha=0.3), (normal(2, 3), normal(3))),
    "sub": (lambda x, y: tg.sub(x, y, alpha=2), (normal(2, 3), normal(3))),
    "rsub": (lambda x, y: tg.rsub(x, y, alpha=2), (normal(2, 3), normal(3))),
    "div": (tg.div, (normal(2, 3), positive(3))),
    "reciprocal": (tg.reciprocal, (normal(2, 3),)),
    "rsqrt": (tg.rsqrt, (positive(2, 3),)),
    "float_power": (tg.float_power, (positive(2, 3), normal(3))),
    "frac": (tg.frac, (normal(2, 3),)),
    "lerp": (tg.lerp, (normal(2, 3), normal(3), normal(2, 1))),
    "addcmul": (lambda x, y, z: tg.addcmul(x, y, z, value=0.7), (normal(2, 3), normal(3), normal(2, 1))),
    "addcdiv": (lambda x, y, z: tg.addcdiv(x, y, z, value=0.7), (normal(2, 3), normal(3), positive(2, 1))),
    "copysign": (tg.copysign, (normal(2, 3), normal(3))),
    "nan_to_num": (tg.nan_to_num, (normal(2, 3),)),
    "masked_fill": (lambda x: tg.masked_fill(x, MASK, 2.0), (normal(2, 3),)),
    "clamp_min": (lambda x: tg.clamp_min(x, 0.01), (normal(2, 3),)),
    "clamp_max": (lambda x: tg.clamp_max(x, 0.01), (normal(2, 3),)),
    "fmax": (tg.fmax, (normal(2, 3), normal(3))),
    "fmin": (tg.fmin, (normal(2, 3), normal(3))),
    "logaddexp": (tg.logaddexp, (normal(2, 3), normal(3))),
    "logaddexp2": (tg.logaddexp2, (normal(2, 3), normal(3))),
    "xlogy": (tg.xlogy, (normal(2, 3), positive(3))),
    "xlog1py": (tg.xlog1py, (normal(2, 3), positive(3))),
    "entr": (tg.entr, (positive(2, 3),)),
    "sinc": (tg.sinc, (normal(2, 3),)),
    "digamma": (tg.digamma, (positive(2, 3),)),
    "polygamma": (lambda x: tg.polygamma(2, x), (positive(2, 3),)),
    "mvlgamma": (lambda x: tg.mvlgamma(x, 3), (positive(2, 3) + 1.5,)),
    "logit": (tg.logit, (inside(2, 3),)),
    "deg2rad": (tg.deg2rad, (normal(2, 3),)),
    "rad2deg": (tg.rad2deg, (normal(2, 3),)),
    "ldexp": (tg.ldexp, (normal(2, 3), normal(3))),
    "cbrt": (tg.cbrt, (normal(2, 3),)),
    "threshold": (lambda x: tg.threshold(x, 0.01, 3.0), (normal(2, 3),)),
    # indexing
    "gather": (lambda x: tg.gather(x, 1, INDEX), (normal(2, 3),)),
    "take_along_dim": (lambda x: tg.take_along_dim(x, INDEX, 1), (normal(2, 3),)),
    "scatter": (lambda x, y: tg.scatter(x, 1, np.array([[2, 0], [1, 2]]), y), (normal(2, 3), normal(2, 2))),
    "scatter_add": (lambda x, y: tg.scatter_add(x, 1, INDEX, y), (normal(2, 3), normal(2, 3))),
    "scatter_reduce": (lambda x, y: tg.scatter_reduce(x, 1, INDEX, y, "prod"), (normal(2, 3), normal(2, 3))),
    "index_select": (lambda x: tg.index_select(x, 1, np.array([2, 0, 2])), (normal(2, 3),)),
    "index_add": (lambda x, y: tg.index_add(x, 1, np.array([2, 0, 2]), y, alpha=2), (normal(2, 3), normal(2, 3))),
    "index_copy": (lambda x, y: tg.index_copy(x, 1, np.array([2, 0]), y), (normal(2, 3), normal(2, 2))),
    "index_fill": (lambda x: tg.index_fill(x, 1, np.array([2, 0]), 1.5), (normal(2, 3),)),
    "index_put": (
        lambda x, y: tg.index_put(x, (np.array([0, 1]), np.array([1, 1])), y, True),
        (normal(2, 3), normal(2)),
    ),
    "masked_select": (lambda x: tg.masked_select(x, MASK), (normal(2, 3),)),
    "masked_scatter": (lambda x, y: tg.masked_scatter(x, MASK, y), (normal(2, 3), normal(5))),
    "where": (lambda x, y: tg.where(MASK, x, y), (normal(2, 3), normal(3))),
    "narrow": (lambda x: tg.narrow(x, 1, 1, 2), (normal(2, 3),)),
    "select": (lambda x: tg.select(x, 1, -1), (normal(2, 3),)),
    "select_scatter": (lambda x, y: tg.select_scatter(x, y, 1, 1), (normal(2, 3), normal(2))),
    "slice_scatter": (lambda x, y: tg.slice_scatter(x, y, 1, 0, 3, 2), (normal(2, 3), normal(2, 2))),
    "take": (lambda x: tg.take(x, INDEX), (normal(2, 3),)),
    "flip": (lambda x: tg.flip(x, (0, 1)), (normal(2, 3),)),
    # shapes
    "block_diag": (lambda x, y: tg.block_diag(x, y), (normal(2, 3), normal(1, 2))),
    "cartesian_prod": (lambda x, y: tg.cartesian_prod(x, y), (normal(3), normal(2))),
    "chunk": (lambda x: tg.chunk(x, 2, 1), (normal(2, 3),)),
    "column_stack": (lambda x, y: tg.column_stack((x, y)), (normal(2, 3), normal(2))),
    "combinations": (lambda x: tg.combinations(x, 2), (normal(4),)),
    "diag": (tg.diag, (normal(3, 3),)),
    "diag_embed": (lambda x: tg.diag_embed(x, 1), (normal(2, 3),)),
    "diagonal": (lambda x: tg.diagonal(x, 1), (normal(3, 4),)),
    "diagonal_scatter": (lambda x, y: tg.diagonal_scatter(x, y, 1), (normal(3, 3), normal(2))),
    "meshgrid": (lambda x, y: tg.meshgrid(x, y, indexing="ij"), (normal(2), normal(3))),
    "movedim": (lambda x: tg.movedim(x, 0, -1), (normal(2, 3, 4),)),
    "repeat_interleave": (lambda x: tg.repeat_interleave(x, 3, 1), (normal(2, 3),)),
    "roll": (lambda x: tg.roll(x, (1, 2), (0, 1)), (normal(2, 3),)),
    "rot90": (tg.rot90, (normal(2, 3),)),
    "split": (lambda x: tg.split(x, [1, 2], 1), (normal(2, 3),)),
    "tensor_split": (lambda x: tg.tensor_split(x, 2, 1), (normal(2, 3),)),
    "tile": (lambda x: tg.tile(x, (2, 2)), (normal(2, 3),)),
    "trace": (tg.trace, (normal(3, 4),)),
    "tril": (lambda x: tg.tril(x, 1), (normal(3, 4),)),
    "triu": (lambda x: tg.triu(x, -1), (normal(3, 4),)),
    "unbind": (lambda x: tg.unbind(x, 1), (normal(2, 3),)),
    "vander": (lambda x: tg.vander(x, 4), (normal(3),)),
    # reductions
    "var": (lambda x: tg.var(x, 1), (normal(2, 3),)),
    "std": (lambda x: tg.std(x, 1, correction=0), (normal(2, 3),)),
    "var_mean": (lambda x: tg.var_mean(x, 1), (normal(2, 3),)),
    "max": (lambda x: tg.max(x, 1).values, (normal(2, 3),)),
    "min": (lambda x: tg.min(x, 1).values, (normal(2, 3),)),
    "aminmax": (lambda x: tg.aminmax(x, dim=1), (normal(2, 3),)),
    "sort": (lambda x: tg.sort(x, 1, True).values, (normal(2, 3),)),
    "topk": (lambda x: tg.topk(x, 2, 1).values, (normal(2, 3),)),
    "kthvalue": (lambda x: tg.kthvalue(x, 2, 1).values, (normal(2, 3),)),
    "median": (lambda x: tg.median(x, 1).values, (normal(2, 3),)),
    "mode": (lambda x: tg.mode(x, 1).values, (normal(2, 3),)),
    "quantile": (lambda x: tg.quantile(x, np.array([0.2, 0.7]), 1), (normal(2, 3),)),
    "cumsum": (lambda x: tg.cumsum(x, 1), (normal(2, 3),)),
    "cumprod": (lambda x: tg.cumprod(x, 1), (normal(2, 3),)),
    "logcumsumexp": (lambda x: tg.logcumsumexp(x, 1), (normal(2, 3),)),
    "cummax": (lambda x: tg.cummax(x, 1).values, (normal(2, 3),)),
    "cummin": (lambda x: tg.cummin(x, 1).values, (normal(2, 3),)),
    "diff": (lambda x: tg.diff(x, 2, 1), (normal(2, 4),)),
    "nansum": (lambda x: tg.nansum(x, 1), (normal(2, 3),)),
    "nanmean": (lambda x: tg.nanmean(x, 1), (normal(2, 3),)),
    "norm": (lambda x: tg.norm(x, 3.0, 1), (normal(2, 3),)),
    "norm 2": (lambda x: tg.norm(x), (normal(2, 3),)),
    "norm -1": (lambda x: tg.norm(x, -1.0, 1), (normal(2, 3),)),
    "dist": (lambda x, y: tg.dist(x, y, 1.5), (normal(2, 3), normal(2, 3))),
    "renorm": (lambda x: tg.renorm(x, 2, 0, 0.5), (normal(2, 3),)),
    "cdist": (tg.cdist, (normal(2, 3), normal(4, 3))),
    "pdist": (tg.pdist, (normal(4, 3),)),
    "cov": (lambda x, w: tg.cov(x, aweights=w), (normal(2, 4), positive(4))),
    "corrcoef": (tg.corrcoef, (normal(2, 4),)),
    "trapezoid": (tg.trapezoid, (normal(2, 4), np.cumsum(positive(4)))),
    "cumulative_trapezoid": (lambda y: tg.cumulative_trapezoid(y, dx=0.3), (normal(2, 4),)),
    # matrices
    "addmm": (lambda a, b, c: tg.addmm(a, b, c, beta=0.5, alpha=2), (normal(2, 2), normal(2, 3), normal(3, 2))),
    "baddbmm": (tg.baddbmm, (normal(2, 2, 2), normal(2, 2, 3), normal(2, 3, 2))),
    "addbmm": (tg.addbmm, (normal(2, 2), normal(2, 2, 3), normal(2, 3, 2))),
    "addmv": (tg.addmv, (normal(2), normal(2, 3), normal(3))),
    "addr": (tg.addr, (normal(2, 3), normal(2), normal(3))),
    "inner": (tg.inner, (normal(2, 3), normal(4, 3))),
    "tensordot": (lambda a, b: tg.tensordot(a, b, 1), (normal(2, 3), normal(3, 2))),
    "kron": (tg.kron, (normal(2, 3), normal(2, 2))),
    "cross": (tg.cross, (normal(2, 3), normal(2, 3))),
    "chain_matmul": (tg.chain_matmul, (normal(2, 3), normal(3, 2), normal(2, 2))),
    "det": (tg.det, (normal(3, 3),)),
    "det 4": (tg.det, (normal(4, 4),)),
    "logdet": (tg.logdet, (definite(3),)),
    "slogdet": (lambda a: tg.slogdet(a).logabsdet, (normal(2, 3, 3),)),
    "inverse": (tg.inverse, (definite(3),)),
    "matrix_power": (lambda a: tg.matrix_power(a, 3), (normal(3, 3),)),
    "matrix_exp": (tg.matrix_exp, (normal(3, 3),)),
    "cholesky": (lambda a: tg.linalg.cholesky(symmetric(a)), (definite(3),)),
    "cholesky_solve": (lambda b, a: tg.cholesky_solve(b, tg.tril(a)), (normal(3, 2), definite(3))),
    "cholesky_inverse": (lambda a: tg.cholesky_inverse(tg.tril(a)), (definite(3),)),
    "qr": (lambda a: tg.linalg.qr(a), (normal(4, 3),)),
    "svd": (lambda a: tg.linalg.svd(a, full_matrices=False)[1], (normal(4, 3),)),
    "eigh": (lambda a: tg.linalg.eigh(symmetric(a))[0], (definite(3),)),
    "solve": (tg.linalg.solve, (definite(3), normal(3, 2))),
    "solve_triangular": (lambda a, b: tg.linalg.solve_triangular(a, b, upper=True), (definite(3), normal(3, 2))),
    "pinv": (tg.linalg.pinv, (normal(4, 3),)),
    "lstsq": (lambda a, b: tg.linalg.lstsq(a, b)[0], (normal(4, 3), normal(4, 2))),
    "matrix_norm": (lambda a: tg.linalg.matrix_norm(a, "nuc"), (normal(3, 2),)),
    "tensorinv": (lambda a: tg.linalg.tensorinv(tg.reshape(a, (2, 2, 4)), 2), (definite(4),)),
    "tensorsolve": (lambda a, b: tg.linalg.tensorsolve(tg.reshape(a, (4, 2, 2)), b), (definite(4), normal(4))),
    "householder_product": (tg.linalg.householder_product, (normal(3, 2), normal(2))),
    "multi_dot": (lambda *m: tg.linalg.multi_dot(m), (normal(2, 3), normal(3, 2), normal(2, 2))),
    "vecdot": (tg.linalg.vecdot, (normal(2, 3), normal(2, 3))),
    # names of the census
    "i0": (lambda x: tg.log(tg.i0(x)), (normal(2, 3) * 12.0,)),
    "angle": (tg.angle, (normal(2, 3),)),
    "gradient": (lambda x: tg.gradient(x, spacing=(0.5, 2.0), edge_order=2), (normal(4, 3),)),
    "put": (lambda x, y: tg.put(x, np.array([1, -1, 1]), y, True), (normal(2, 3), normal(3))),
    "index_reduce": (
        lambda x, y: tg.index_reduce(x, 1, np.array([2, 0, 2]), y, "prod"),
        (normal(2, 3), normal(2, 3)),
    ),
    "split_with_sizes": (lambda x: tg.split_with_sizes(x, [1, 2], 1), (normal(2, 3),)),
    "sum_to_size": (lambda x: x.sum_to_size(2, 1), (normal(2, 3),)),
    "lu": (lambda a: tg.linalg.lu(a)[1:], (normal(4, 3),)),
    "lu_factor": (lambda a: tg.linalg.lu_factor(a).LU, (normal(2, 3, 3),)),
    "lu_solve": (lambda a, b: tg.linalg.lu_solve(*tg.linalg.lu_factor(a), b), (definite(3), normal(3, 2))),
    "inv_ex": (lambda a: tg.linalg.inv_ex(a).inverse, (definite(3),)),
    "cholesky_ex": (lambda a: tg.linalg.cholesky_ex(symmetric(a)).L, (definite(3),)),
    "triangular_solve": (lambda b, a: tg.triangular_solve(b, a).solution, (normal(3, 2), definite(3))),
    "ormqr": (tg.ormqr, (normal(3, 2), normal(2), normal(3, 2))),
    "prelu": (tg.prelu, (normal(2, 3), normal(3))),
    "hardshrink": (tg.hardshrink, (normal(2, 3),)),
    "cosine_similarity": (tg.cosine_similarity, (normal(2, 3), normal(2, 3))),
    "pairwise_distance": (tg.pairwise_distance, (normal(2, 3), normal(2, 3))),
}

# Complex numbers do not order, have no sign and no eigh of theirs; and a constant taken from the data has no complex
# step. Central differences there, to what they can tell.
ROUGH = 2e-5
# How many steps there are, or of which kind, depends on the values; a compiled step says so.
READS = {"mode", "det 4", "matrix_exp", "pinv", "lstsq", "lu", "lu_factor", "lu_solve", "inv_ex", "cholesky_ex"}


def _tensors(value: Any) -> list[Tensor]:
    return [one for one in value if isinstance(one, Tensor)] if isinstance(value, (tuple, list)) else [value]


def _joined(function: Callable[..., Any]) -> Callable[..., Any]:
    """One vector of all that a function gives."""
    return lambda *args: tg.cat([tg.reshape(one, (-1,)) for one in _tensors(function(*args))])


@pytest.mark.parametrize("name", CASES)
def test_derivatives(name: str) -> None:
    """First and second, reverse over random incoming gradients, against differences of the value."""
    function, inputs = CASES[name]
    gradcheck(_joined(function), list(inputs), order=2, method="central", rtol=ROUGH).raise_if_wrong()


@pytest.mark.parametrize("name", CASES)
def test_forward_mode(name: str) -> None:
    """Directional derivatives are the products of the gradients with the direction."""
    function, inputs = CASES[name]
    gradcheck(_joined(function), list(inputs), mode="forward", method="central", rtol=ROUGH).raise_if_wrong()


@pytest.mark.parametrize("name", CASES)
def test_single_precision_stays(name: str) -> None:
    """float32 in, float32 out, and near the double result; gradients too."""
    function, inputs = CASES[name]
    wide = [Tensor(one, requires_grad=True) for one in inputs]
    narrow = [Tensor(one.astype(np.float32), requires_grad=True) for one in inputs]
    expected, found = _tensors(function(*wide)), _tensors(function(*narrow))
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == (np.float64 if name == "float_power" else np.float32)
        np.testing.assert_allclose(a.data, b.data, rtol=2e-3, atol=2e-4)
    (_joined(function)(*narrow)).sum().backward()
    assert all(one.grad is None or one.grad.dtype == np.float32 for one in narrow)


@pytest.mark.parametrize("name", CASES)
def test_memory_does_not_matter(name: str) -> None:
    """Arrays that run backwards or by columns give the same numbers, and are left as they are."""
    function, inputs = CASES[name]
    expected = [one.data for one in _tensors(function(*[Tensor(one) for one in inputs]))]
    for change in (lambda a: np.asfortranarray(a), lambda a: np.ascontiguousarray(a[..., ::-1])[..., ::-1]):
        given = [Tensor(change(one)) for one in inputs]
        kept = [one.data.copy() for one in given]
        found = [one.data for one in _tensors(function(*given))]
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)
        for one, other in zip(given, kept, strict=True):
            np.testing.assert_array_equal(one.data, other)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CASES)
def test_replay(name: str) -> None:
    """A compiled function gives, for other numbers too, what it gives uncompiled, gradients included."""
    function, inputs = CASES[name]
    joined = _joined(function)
    if name in READS:
        with pytest.raises(CaptureError, match="reads a value of the step"):
            compile(joined)(*[Tensor(one, requires_grad=True) for one in inputs])
        return

    def both(*args: Any) -> Any:
        y = joined(*args)
        return [y, *tg.autograd.grad(y, args, Tensor(np.cos(np.arange(y.size))), allow_unused=True)]

    compiled = compile(both)
    rng = np.random.default_rng(3)
    for turn in range(3):
        shift = [one * (1.0 + 0.01 * turn) + 0.001 * turn * rng.random(one.shape) for one in inputs]
        given = [[Tensor(one, requires_grad=True) for one in shift] for _ in range(2)]
        for a, b in zip(compiled(*given[0]), both(*given[1]), strict=True):
            assert (a is None) == (b is None)
            if a is not None:
                np.testing.assert_allclose(a.data, b.data, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", [name for name, (_, inputs) in CASES.items() if name in compositions.HOMES])
def test_elementwise_of_nothing_and_of_one(name: str) -> None:
    """Without elements a result has none; a 0-d operand has a 0-d result. Shapes follow the usual broadcasting."""
    if compositions.HOMES[name] != "elementwise" or name in {"masked_fill", "mvlgamma", "polygamma"}:
        return
    function, inputs = CASES[name]
    for shape in ((0, 3), ()):
        given = [Tensor(np.resize(one, shape), requires_grad=True) for one in inputs]
        y = function(*given)
        assert y.shape == shape
        y.sum().backward()
        assert all(one.grad is None or one.grad.shape == shape for one in given)


def test_names_are_in_their_modules() -> None:
    """The tables of names and the modules say the same."""
    for table in (compositions.HOMES, compositions.METHODS):
        for name, home in table.items():
            found = compositions.function(name, home)
            assert callable(found) or isinstance(found, property), name
