"""Hypothesis strategies for arrays, tensors, shapes, axes, indices, and legal calls of ops and modules.

They draw few and simple decisions, so that what fails becomes small: fewer axes, shorter axes, 0 and 1 in place of long
numbers. Hypothesis is asked for when a strategy is made, not when this module is imported.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ..dtypes import get_default_dtype
from ..extras import need
from ..ops.declare import OpFunction
from ..samples import Domain
from ..tape import Array, Op
from ..tensor import Tensor
from .cases import Case, Choices, check_sample, function_of, make_case, sample_shape

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

__all__ = [
    "arrays",
    "axes",
    "broadcastable_shapes",
    "cases",
    "dtypes",
    "float_dtypes",
    "indices",
    "module_inputs",
    "rngs",
    "shapes",
    "tensors",
]

_T = TypeVar("_T")

_FLOATS = (np.dtype(np.float64), np.dtype(np.float32), np.dtype(np.float16))
_OTHERS = (np.dtype(np.int64), np.dtype(np.int32), np.dtype(np.uint8), np.dtype(np.bool_))


def _hypothesis() -> Any:
    return need("hypothesis.strategies", extra="testing", purpose="draw examples")


@functools.lru_cache(maxsize=256)
def _integers(low: int, high: int) -> Any:
    # Made once: making and validating a strategy takes longer than drawing from it.
    return _hypothesis().integers(low, high)


class _Drawn(Choices):
    """Answers from Hypothesis."""

    def __init__(self, draw: Callable[[Any], Any]) -> None:
        super().__init__()
        self.draw = draw
        self.st = _hypothesis()

    def integer(self, low: int, high: int) -> int:
        return int(self.draw(_integers(low, high)))

    def codes(self, count: int) -> Array:
        # One draw for a whole array: Hypothesis lowers the bytes one by one when it simplifies.
        return np.frombuffer(self.draw(self.st.binary(min_size=count, max_size=count)), np.uint8).astype(np.int64)


def _drawn(make: Callable[[_Drawn], _T]) -> SearchStrategy[_T]:
    def strategy(draw: Callable[[Any], Any]) -> _T:
        return make(_Drawn(draw))

    made: SearchStrategy[_T] = _hypothesis().composite(strategy)()
    return made


def _settled(given: Any, choices: _Drawn) -> Any:
    """``given`` itself, or what is drawn from it where it is a strategy."""
    return choices.draw(given) if isinstance(given, choices.st.SearchStrategy) else given


def shapes(
    min_dims: int = 0, max_dims: int = 4, min_side: int = 0, max_side: int = 4
) -> SearchStrategy[tuple[int, ...]]:
    """Shapes; one in six has an axis of length 0 if ``min_side`` allows it. They shrink to few and short axes."""
    return _drawn(lambda choices: choices.shape(min_dims, max_dims, min_side, max_side))


def broadcastable_shapes(
    count: int, min_dims: int = 0, max_dims: int = 4, min_side: int = 0, max_side: int = 4
) -> SearchStrategy[tuple[tuple[int, ...], ...]]:
    """So many shapes that broadcast against each other: leading axes missing, axes of length 1, also empty ones."""
    return _drawn(lambda choices: tuple(choices.broadcastable(count, min_dims, max_dims, min_side, max_side)))


def axes(
    ndim: int, *, none: bool = True, tuples: bool = True, negative: bool = True
) -> SearchStrategy[int | tuple[int, ...] | None]:
    """What may stand for ``axis=`` of an array with ``ndim`` axes: None, an integer, a tuple of different ones.

    Args:
        ndim: the number of axes; with 0, integers are left out.
        none, tuples, negative: whether None, tuples (also the empty one) and negative numbers may occur.
    """

    def make(choices: _Drawn) -> int | tuple[int, ...] | None:
        kinds = ["none"] * none + ["integer"] * (ndim > 0) + ["tuple"] * tuples
        kind = choices.pick(kinds)
        if kind == "none":
            return None
        chosen = choices.axes(ndim) if kind == "tuple" else (choices.integer(0, ndim - 1),)
        chosen = tuple(chosen[i] for i in choices.order(len(chosen)))
        if negative:
            chosen = tuple(axis - choices.pick((0, ndim)) for axis in chosen)
        return chosen if kind == "tuple" else chosen[0]

    return _drawn(make)


def float_dtypes() -> SearchStrategy[np.dtype[Any]]:
    """float64, float32 and float16."""
    return _drawn(lambda choices: choices.pick(_FLOATS))


def dtypes() -> SearchStrategy[np.dtype[Any]]:
    """The dtypes that a tensor may hold: floats first, then integers and booleans."""
    return _drawn(lambda choices: choices.pick((*_FLOATS, *_OTHERS)))


def arrays(
    shape: Any = None,
    dtype: Any = np.float64,
    low: float = -3.0,
    high: float = 3.0,
    avoid: tuple[float, ...] = (),
    margin: float = 0.05,
) -> SearchStrategy[Array]:
    """Arrays of finite values in ``[low, high]``.

    Args:
        shape: a tuple, a length, or a strategy for shapes; by default any of :func:`shapes`.
        dtype: a dtype or a strategy for dtypes; integers stay within the bounds too.
        low, high: the ends, which may occur.
        avoid, margin: no value is nearer than ``margin`` to one of these points: kinks and poles.

    Raises:
        ArgumentError: when drawn, no value is legal.

    >>> from hypothesis import given, settings
    >>> @settings(database=None)
    ... @given(arrays((2, 3), low=0.5, high=1.0))
    ... def logarithm_is_negative(x):
    ...     assert (np.log(x) <= 0).all()
    >>> logarithm_is_negative()
    """
    domain = Domain(low, high, tuple(avoid), margin)

    def make(choices: _Drawn) -> Array:
        wanted = choices.shape(0, 4, 0, 4) if shape is None else _settled(shape, choices)
        return choices.values((wanted,) if isinstance(wanted, int) else wanted, domain, _settled(dtype, choices))

    return _drawn(make)


def tensors(
    shape: Any = None,
    dtype: Any = np.float64,
    low: float = -3.0,
    high: float = 3.0,
    avoid: tuple[float, ...] = (),
    margin: float = 0.05,
    requires_grad: bool = True,
) -> SearchStrategy[Tensor]:
    """Leaf tensors around :func:`arrays`; those of floats want gradients unless ``requires_grad`` is False."""

    def tensor(array: Array) -> Tensor:
        return Tensor(array, requires_grad=requires_grad and array.dtype.kind == "f")

    return arrays(shape, dtype, low, high, avoid, margin).map(tensor)


def indices(shape: tuple[int, ...]) -> SearchStrategy[Any]:
    """What may stand in ``x[...]`` for an array of this shape.

    Slices, integers, None and Ellipsis; integer arrays with repeats; boolean masks; mixtures of them.
    """
    return _drawn(lambda choices: choices.index(tuple(shape)))


def module_inputs(
    module: Any,
    *,
    shape: tuple[int, ...] | None = None,
    min_batch: int = 1,
    max_batch: int = 4,
    dtype: Any = None,
    requires_grad: bool = False,
) -> SearchStrategy[Tensor]:
    """Tensors that ``module`` takes, ``(batch, *shape)``.

    Args:
        module: an ``nn.Module``, or anything with ``modules()``, ``parameters()`` and ``forward``.
        shape: of one input; by default ``(in_features,)`` of the first layer that has it, and for modules without
            parameters any shape.
        min_batch, max_batch: how long the first axis is; 0 makes empty batches.
        dtype: by default that of the parameters.
        requires_grad: whether the inputs want gradients.

    Raises:
        ArgumentError: the shape cannot be told, because the module has parameters and no layer with ``in_features``, or
            takes several inputs.
    """
    one = sample_shape(module) if shape is None else tuple(shape)
    wanted = dtype or next((p.dtype for p in module.parameters()), get_default_dtype())

    def make(choices: _Drawn) -> Tensor:
        rest = choices.shape(1, 2, 1, 4) if one is None else one
        values = choices.values((choices.integer(min_batch, max_batch), *rest), Domain(), wanted)
        return Tensor(values, requires_grad=requires_grad)

    return _drawn(make)


def cases(op: Op | OpFunction | str) -> SearchStrategy[Case]:
    """Legal calls of a declared op, given by name, declaration or function, from the sample that it declares.

    Raises:
        ArgumentError: it is no declared op, or declares no sample of a known kind.
    """
    function = function_of(op)
    check_sample(function.op)  # type: ignore[attr-defined]
    return _drawn(lambda choices: make_case(function, choices))


def rngs() -> SearchStrategy[np.random.Generator]:
    """NumPy generators, each freshly seeded; shown as ``default_rng(seed)``."""
    st = _hypothesis()
    made: SearchStrategy[np.random.Generator] = st.builds(np.random.default_rng, st.integers(0, 2**32 - 1))
    return made
