"""Sample calls of every function that NumPy lets other libraries take over, for tests/test_numpy_protocols.py.

A call is a function of NumPy's function and a world of arguments. The capital letters and names of the world's floats
become tensors that require gradients when the call is tried on tensors, and stay arrays when NumPy is asked.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_mlp as tg
from tinygrad_mlp import Tensor

Call = Callable[[Any, Any], Any]

_RNG = np.random.default_rng(20240601)


def _shuffled(*shape: int) -> np.ndarray[Any, Any]:
    """Numbers of both signs, none of them near another, an integer or a half."""
    size = int(np.prod(shape))
    return (_RNG.permutation(size) - size // 2 + 0.5).reshape(shape) * 0.31 + 0.017


def _needed(function: Any) -> int:
    """How many arguments have no default."""
    return sum(one.default is one.empty for one in inspect.signature(function).parameters.values())


_SQUARE = np.array([[2.0, -0.7, 0.3], [0.4, 1.6, -0.5], [-0.2, 0.6, 1.1]])

LEAVES: dict[str, np.ndarray[Any, Any]] = {
    "x": _shuffled(3, 4),
    "y": _shuffled(3, 4)[::-1].copy() * 1.3,
    "p": np.abs(_shuffled(3, 4)) + 0.4,
    "r": np.linspace(0.15, 0.85, 12).reshape(3, 4)[:, ::-1].copy(),
    "v": _shuffled(5),
    "w": _shuffled(4) * 0.7,
    "e": _shuffled(3),
    "d": _shuffled(3)[::-1] * 0.6,
    "up": np.array([0.2, 0.9, 1.7, 2.1, 3.3]),
    "T": _shuffled(2, 3, 4),
    "S": _SQUARE,
    "P": _SQUARE @ _SQUARE.T + np.eye(3),
    "Y": np.arange(12).reshape(4, 3) % 5 * 0.7 + _shuffled(4, 3),
    "a": np.array(0.7),
    "b": np.array(2.3),
}

DATA: dict[str, Any] = {
    "i": np.array([[3, 0, 2, 5], [1, 7, 4, 6], [9, 8, 2, 1]]),
    "j": np.array([0, 2, 1, 1, 3]),
    "m": np.array([[True, False, True, True], [False, True, True, False], [True, True, False, True]]),
}


class World:
    """The arguments of a call, made when they are named."""

    def __init__(self, made: dict[str, Any], wrap: Callable[[Any], Any], keep: bool = False) -> None:
        self.made = made
        self.wrap = wrap
        self.keep = keep

    def __getattr__(self, name: str) -> Any:
        if name == "nan":
            # NaN beside recorded numbers.
            x = self.x
            return tg.where(DATA["m"], x, np.nan) if isinstance(x, Tensor) else np.where(DATA["m"], x, np.nan)
        if name in DATA:
            # Integers and masks are tensors as well where a function takes nothing else.
            return self.wrap(DATA[name])
        if name not in self.made:
            self.made[name] = self.wrap(LEAVES[name])
        return self.made[name]


def _names(text: str) -> list[str]:
    return text.split()


def _one(name: str) -> Call:
    return lambda f, e: f(getattr(e, name))


def _two(a: str, b: str) -> Call:
    return lambda f, e: f(getattr(e, a), getattr(e, b))


ANY = _one("x")
PAIR = _two("x", "y")
INTEGERS = _two("i", "i")

UFUNCS: dict[str, Call] = {
    **dict.fromkeys(
        _names(
            "absolute cbrt ceil conjugate cos cosh deg2rad degrees exp exp2 expm1 fabs floor isfinite isinf "
            "isnan logical_not negative positive rad2deg radians reciprocal rint sign signbit sin sinh "
            "spacing square tan tanh trunc frexp modf arctan arcsinh isnat"
        ),
        ANY,
    ),
    **dict.fromkeys(["log", "log10", "log1p", "log2", "sqrt"], _one("p")),
    "arccosh": lambda f, e: f(e.p + 1.1),
    **dict.fromkeys(["arcsin", "arccos", "arctanh"], _one("r")),
    **dict.fromkeys(
        _names(
            "add arctan2 copysign divide divmod equal floor_divide fmax fmin fmod greater greater_equal "
            "heaviside hypot less less_equal logaddexp logaddexp2 logical_and logical_or logical_xor maximum "
            "minimum multiply nextafter not_equal remainder subtract vecdot"
        ),
        PAIR,
    ),
    **dict.fromkeys(["power", "float_power"], _two("p", "y")),
    **dict.fromkeys(_names("bitwise_and bitwise_or bitwise_xor gcd lcm left_shift right_shift"), INTEGERS),
    **dict.fromkeys(["bitwise_count", "invert"], _one("i")),
    "_ones_like": ANY,
    "ldexp": _two("x", "i"),
    "clip": lambda f, e: f(e.x, -0.5, e.y),
    "matmul": _two("S", "P"),
    "matvec": _two("x", "w"),
    "vecmat": _two("e", "x"),
    # Of strings.
    **dict.fromkeys(
        _names(
            "_expandtabs_length isalnum isalpha isdecimal isdigit islower isnumeric isspace istitle isupper "
            "str_len _lstrip_whitespace _rstrip_whitespace _strip_whitespace _expandtabs _lstrip_chars "
            "_rstrip_chars _strip_chars _zfill _partition _rpartition _center _ljust _rjust _partition_index "
            "_rpartition_index _replace _slice count endswith find index rfind rindex startswith"
        ),
        lambda f, e: f(*[e.x] * f.nin),
    ),
}


def _squared(values: Any) -> Any:
    return values * values


FUNCTIONS: dict[str, tuple[Call, ...]] = {
    # Reductions.
    **{
        name: (
            ANY,
            lambda f, e: f(e.x, 1),
            lambda f, e: f(e.T, axis=(0, 2), keepdims=True),
            lambda f, e: f(e.x, axis=0, initial=0.4),
            lambda f, e: f(e.x, axis=1, initial=0.6, where=e.m),
        )
        for name in ("sum", "prod", "max", "min", "amax", "amin")
    },
    **{
        name: (
            _one("nan"),
            lambda f, e: f(e.nan, 1),
            lambda f, e: f(e.nan, axis=(0, 1), keepdims=True),
        )
        for name in ("nansum", "nanprod", "nanmax", "nanmin", "nanmean", "nanmedian")
    },
    "mean": (ANY, lambda f, e: f(e.T, (0, 2), None, None, True), lambda f, e: f(e.x, axis=1, where=e.m)),
    **{
        name: (
            ANY,
            lambda f, e: f(e.T, axis=(0, 2), ddof=1, keepdims=True),
            lambda f, e: f(e.x, 1, None, None, 1),
            lambda f, e: f(e.x, axis=1, where=e.m),
            lambda f, e: f(e.x, axis=0, correction=1, mean=np.zeros((1, 4))),
        )
        for name in ("var", "std")
    },
    **{name: (_one("nan"), lambda f, e: f(e.nan, axis=1, ddof=1)) for name in ("nanvar", "nanstd")},
    "ptp": (ANY, lambda f, e: f(e.x, 1)),
    "median": (ANY, lambda f, e: f(e.x, 0), lambda f, e: f(e.T, axis=(0, 2), keepdims=True), _one("v")),
    **{
        name: (
            lambda f, e: f(e.x, [0.3, 0.75]),
            lambda f, e: f(e.x, 0.4, axis=1, keepdims=True),
            *[
                (lambda f, e, method=method: f(e.v, [0.3, 0.55], method=method))
                for method in ("lower", "midpoint", "hazen", "inverted_cdf", "weibull", "median_unbiased")
            ],
        )
        for name in ("quantile", "percentile")
    },
    "nanquantile": (lambda f, e: f(e.nan, [0.3, 0.75], axis=1), lambda f, e: f(e.nan, 0.5)),
    "nanpercentile": (lambda f, e: f(e.nan, [30, 75], axis=0), lambda f, e: f(e.nan, 50.0)),
    "average": (
        ANY,
        lambda f, e: f(e.x, weights=e.p),
        lambda f, e: f(e.x, 1, weights=e.w, keepdims=True),
        lambda f, e: f(e.x, axis=0, weights=e.p, returned=True),
    ),
    **{name: (ANY, lambda f, e: f(e.x, 1, keepdims=True), lambda f, e: f(e.m, 0)) for name in ("all", "any")},
    **{name: (ANY, lambda f, e: f(e.x, 1)) for name in ("argmax", "argmin", "argsort", "count_nonzero")},
    **{name: (_one("nan"), lambda f, e: f(e.nan, 1)) for name in ("nanargmax", "nanargmin")},
    "cumsum": (ANY, lambda f, e: f(e.x, 1)),
    "cumprod": (ANY, lambda f, e: f(e.x, 0)),
    "nancumsum": (_one("nan"), lambda f, e: f(e.nan, 1)),
    "nancumprod": (_one("nan"), lambda f, e: f(e.nan, 0)),
    **{
        name: (_one("v"), lambda f, e: f(e.x, axis=1), lambda f, e: f(e.x, axis=0, include_initial=True))
        for name in ("cumulative_sum", "cumulative_prod")
    },
    "diff": (
        ANY,
        lambda f, e: f(e.x, 2, 0),
        lambda f, e: f(e.v, prepend=0.4, append=e.v),
        lambda f, e: f(e.x, axis=0, append=2.0),
    ),
    "ediff1d": (ANY, lambda f, e: f(e.v, e.a, [1.0, 2.0])),
    "gradient": (
        ANY,
        _one("v"),
        lambda f, e: f(e.v, 0.3),
        lambda f, e: f(e.v, e.up),
        lambda f, e: f(e.x, 0.5, np.array([0.0, 1.0, 3.0, 3.5]), edge_order=2),
        lambda f, e: f(e.x, axis=1, edge_order=2),
        lambda f, e: f(e.v, e.up, edge_order=2),
    ),
    "trapezoid": (ANY, _two("v", "up"), lambda f, e: f(e.x, dx=0.3, axis=0)),
    "trapz": (ANY, _two("v", "up")),
    # Orders, sets, counts.
    "sort": (ANY, lambda f, e: f(e.x, 0), lambda f, e: f(e.x, axis=None)),
    "partition": (lambda f, e: np.sort(f(e.v, 2)), lambda f, e: f(e.x, 1, axis=1)),
    "argpartition": (lambda f, e: f(e.v, 2),),
    "lexsort": (lambda f, e: f((e.v, e.up)),),
    "searchsorted": (lambda f, e: f(e.up, e.v), lambda f, e: f(e.up, 0.9, side="right")),
    "digitize": (lambda f, e: f(e.v, e.up),),
    "isin": (PAIR,),
    "unique": (
        ANY,
        lambda f, e: f(e.Y, return_index=True, return_inverse=True, return_counts=True),
        lambda f, e: f(e.x, axis=0),
    ),
    **dict.fromkeys(("unique_all", "unique_counts", "unique_inverse", "unique_values"), (ANY,)),
    "union1d": (_two("v", "up"),),
    "intersect1d": (lambda f, e: f(e.v, e.v[:3]), lambda f, e: f(e.v, e.v[1:], return_indices=True)),
    "setdiff1d": (lambda f, e: f(e.v, e.v[:2]), _two("v", "up")),
    "setxor1d": (lambda f, e: f(e.v, e.v[:2]), _two("v", "up")),
    "bincount": (_one("j"), lambda f, e: f(DATA["j"], e.v), lambda f, e: f(DATA["j"], weights=e.v, minlength=6)),
    "histogram": (
        ANY,
        lambda f, e: f(e.x, [-1.0, 0.0, 2.0]),
        lambda f, e: f(e.v, 3, weights=e.up),
        lambda f, e: f(e.v, 4, (-1.0, 1.0), density=True),
        lambda f, e: f(LEAVES["v"], 3, weights=e.up, density=True),
    ),
    "histogram_bin_edges": (ANY, lambda f, e: f(LEAVES["v"], e.up)),
    "histogram2d": (_two("v", "up"),),
    "histogramdd": (ANY,),
    **dict.fromkeys(("nonzero", "argwhere", "flatnonzero"), (ANY,)),
    # Shapes.
    "reshape": (lambda f, e: f(e.x, (2, 6)), lambda f, e: f(e.x, -1, "F"), lambda f, e: f(e.T, (4, -1), order="F")),
    "ravel": (ANY, lambda f, e: f(e.x, "F")),
    "squeeze": (lambda f, e: f(e.x[None]), lambda f, e: f(e.x[None], axis=0)),
    "expand_dims": (lambda f, e: f(e.x, 1), lambda f, e: f(e.x, (0, -1))),
    "broadcast_to": (lambda f, e: f(e.w, (3, 4)), lambda f, e: f(array=e.a, shape=(2,))),
    "broadcast_arrays": (_two("x", "w"),),
    "transpose": (ANY, lambda f, e: f(e.T, (2, 0, 1))),
    "matrix_transpose": (_one("T"),),
    "swapaxes": (lambda f, e: f(e.T, 0, -1),),
    "moveaxis": (lambda f, e: f(e.T, 0, -1), lambda f, e: f(e.T, (0, 1), (2, 0))),
    "rollaxis": (lambda f, e: f(e.T, 2), lambda f, e: f(e.T, 0, 3), lambda f, e: f(e.T, 1, 0)),
    **{
        name: (_one("a"), _one("v"), ANY, lambda f, e: f(e.a, e.v, e.T))
        for name in ("atleast_1d", "atleast_2d", "atleast_3d")
    },
    "concatenate": (
        lambda f, e: f([e.x, e.y]),
        lambda f, e: f((e.x, e.v), axis=None),
        lambda f, e: f([e.x, np.ones((3, 1))], 1),
    ),
    "stack": (lambda f, e: f([e.x, e.y]), lambda f, e: f([e.x, e.y], axis=-1)),
    **{
        name: (lambda f, e: f([e.x, e.y]), lambda f, e: f([e.e, e.d]))
        for name in ("vstack", "hstack", "dstack", "column_stack", "row_stack")
    },
    "block": (lambda f, e: f([[e.S, np.ones((3, 1))], [np.zeros((1, 3)), e.a]]), lambda f, e: f([e.v, e.up])),
    "append": (_two("x", "v"), lambda f, e: f(e.x, e.y, axis=0)),
    "insert": (
        lambda f, e: f(e.v, 2, e.a),
        lambda f, e: f(e.v, [1, 3], [1.0, 2.0]),
        lambda f, e: f(e.x, 1, e.e, axis=1),
    ),
    "delete": (lambda f, e: f(e.v, 2), lambda f, e: f(e.x, [0, 2], axis=1), lambda f, e: f(e.x, slice(1, 5))),
    "array_split": (lambda f, e: f(e.v, 3), lambda f, e: f(e.x, [1, 3], axis=1)),
    "split": (lambda f, e: f(e.x, 3), lambda f, e: f(e.v, [1, 3])),
    "hsplit": (lambda f, e: f(e.x, 2), lambda f, e: f(e.v, [2])),
    "vsplit": (lambda f, e: f(e.x, 3),),
    "dsplit": (lambda f, e: f(e.T, [1, 2]),),
    "unstack": (ANY, lambda f, e: f(e.x, axis=1)),
    "meshgrid": (_two("v", "e"), lambda f, e: f(e.v, e.e, indexing="ij"), lambda f, e: f(e.v, e.e, sparse=True)),
    "tile": (lambda f, e: f(e.x, 2), lambda f, e: f(e.v, (2, 3))),
    "repeat": (lambda f, e: f(e.x, 2), lambda f, e: f(e.x, [1, 0, 2], axis=0)),
    "resize": (lambda f, e: f(e.v, (2, 4)),),
    "flip": (ANY, lambda f, e: f(e.x, 1), lambda f, e: f(e.T, (0, 2))),
    "fliplr": (ANY,),
    "flipud": (ANY,),
    "roll": (lambda f, e: f(e.x, 2), lambda f, e: f(e.x, (1, -1), axis=(0, 1))),
    "rot90": (ANY, lambda f, e: f(e.T, 3, (1, 2)), lambda f, e: f(e.x, 2)),
    "pad": (
        lambda f, e: f(e.x, 1),
        lambda f, e: f(e.x, ((1, 0), (2, 1)), constant_values=((1.0, 2.0), (3.0, 4.0))),
        *[
            (lambda f, e, mode=mode: f(e.x, ((1, 2), (0, 2)), mode=mode))
            for mode in ("edge", "reflect", "symmetric", "wrap")
        ],
    ),
    "lib.stride_tricks.sliding_window_view": (lambda f, e: f(e.v, 3), lambda f, e: f(e.x, 2, axis=1)),
    "trim_zeros": (lambda f, e: f(np.pad(e.v, 2)), lambda f, e: f(np.pad(e.v, 2), "b")),
    "diag": (_one("v"), ANY, lambda f, e: f(e.x, 1), lambda f, e: f(e.v, -1)),
    "diagflat": (ANY, lambda f, e: f(e.v, 1)),
    "diagonal": (ANY, lambda f, e: f(e.T, 1, 2, 0)),
    "linalg.diagonal": (_one("T"), lambda f, e: f(e.T, offset=1)),
    "trace": (ANY, lambda f, e: f(e.T, 1, 1, 2)),
    "linalg.trace": (_one("T"), lambda f, e: f(e.T, offset=-1)),
    "tril": (ANY, lambda f, e: f(e.T, 1), _one("v")),
    "triu": (ANY, lambda f, e: f(e.T, -1), _one("v")),
    "vander": (_one("v"), lambda f, e: f(e.v, 3, increasing=True)),
    "where": (lambda f, e: f(e.m, e.x, e.y), lambda f, e: f(LEAVES["x"] > 0, e.x, 0.0), _one("x")),
    "take": (lambda f, e: f(e.x, [1, 5, 1]), lambda f, e: f(e.x, [[0, 5], [-1, 2]], axis=1, mode="wrap")),
    "take_along_axis": (
        lambda f, e: f(e.x, np.argsort(LEAVES["x"], 1), 1),
        lambda f, e: f(e.x, np.array([[0], [1], [1]]), axis=1),
    ),
    "compress": (lambda f, e: f([True, False, True], e.x, axis=0), lambda f, e: f([False, True, True], e.x)),
    "extract": (lambda f, e: f(DATA["m"], e.x),),
    "choose": (lambda f, e: f([[0, 1, 1, 0]] * 3, [e.x, e.y]), lambda f, e: f([0, 3, 1, 2], [e.x, e.y], mode="wrap")),
    "select": (
        lambda f, e: f([LEAVES["x"] > 0.5, LEAVES["x"] > 0], [e.x, e.y]),
        lambda f, e: f([LEAVES["x"] > 0.5], [e.x], default=e.y),
        lambda f, e: f([LEAVES["x"] > 0.5], [e.x], -7.0),
    ),
    "piecewise": (
        lambda f, e: f(e.x, [LEAVES["x"] < 0, LEAVES["x"] > 0.5], [lambda z: z * z, lambda z: 3.0 * z]),
        lambda f, e: f(e.x, [LEAVES["x"] < 0], [-1.0, lambda z: z * z]),
    ),
    "apply_along_axis": (lambda f, e: f(np.sum, 1, e.x), lambda f, e: f(lambda row: row[:2] * row[1:3], 0, e.x)),
    "apply_over_axes": (lambda f, e: f(np.sum, e.T, (0, 2)),),
    # Elementwise.
    "clip": (lambda f, e: f(e.x, -0.5, 0.5), lambda f, e: f(e.x, None, e.y), lambda f, e: f(e.x, 0.1, None)),
    **{name: (ANY, lambda f, e: f(e.x, 1), lambda f, e: f(e.x, decimals=-1)) for name in ("round", "around")},
    "fix": (ANY,),
    "sinc": (ANY,),
    "i0": (ANY,),
    "real": (ANY,),
    "imag": (ANY,),
    "angle": (ANY,),
    "real_if_close": (ANY,),
    "nan_to_num": (ANY, lambda f, e: f(e.nan, nan=3.0)),
    "unwrap": (lambda f, e: f(e.v * 9.0), lambda f, e: f(e.x, axis=0, period=0.7)),
    "astype": (lambda f, e: f(e.x, np.float64), lambda f, e: f(e.x, np.int64)),
    "copy": (ANY,),
    "interp": (
        lambda f, e: f(e.v, e.up, e.v),
        lambda f, e: f(e.v, e.up, e.v, left=-2.0, right=5.0),
        lambda f, e: f(e.v, e.up, e.v, period=2.7),
    ),
    "linspace": (
        _two("a", "b"),
        lambda f, e: f(e.e, e.d, 4, endpoint=False, axis=1),
        lambda f, e: f(e.a, 3.0, num=5, retstep=True),
    ),
    "logspace": (lambda f, e: f(e.a, e.b, 4), lambda f, e: f(e.a, e.b, 3, base=e.b)),
    "geomspace": (lambda f, e: f(e.a, e.b, 4), lambda f, e: f(-e.a, -e.b, 3)),
    "full_like": (lambda f, e: f(e.x, 2.0), lambda f, e: f(e.x, e.a, shape=(2,))),
    **dict.fromkeys(("zeros_like", "ones_like"), (ANY,)),
    "empty_like": (lambda f, e: f(e.x).shape,),
    **{f"lib.scimath.{name}": (_one("p"),) for name in ("sqrt", "log", "log2", "log10")},
    "lib.scimath.logn": (_two("b", "p"),),
    "lib.scimath.power": (_two("p", "y"),),
    **{f"lib.scimath.{name}": (_one("r"),) for name in ("arccos", "arcsin", "arctanh")},
    # Products.
    "dot": (_two("S", "P"), _two("T", "w"), lambda f, e: f(e.T, e.Y), lambda f, e: f(e.v, e.up), _two("a", "x")),
    "inner": (_two("x", "y"), _two("T", "w"), _two("a", "v")),
    "outer": (_two("v", "up"), _two("x", "e")),
    "linalg.outer": (_two("v", "up"),),
    "vdot": (PAIR,),
    "tensordot": (
        PAIR,
        lambda f, e: f(e.T, e.x, ((1, 2), (0, 1))),
        lambda f, e: f(e.T, e.Y, axes=1),
        lambda f, e: f(e.T, e.x, (1, 0)),
    ),
    "linalg.tensordot": (lambda f, e: f(e.T, e.Y, axes=1),),
    "linalg.matmul": (_two("S", "P"),),
    "linalg.vecdot": (PAIR, lambda f, e: f(e.x, e.y, axis=0)),
    "kron": (PAIR, _two("v", "e")),
    "cross": (_two("e", "d"), lambda f, e: f(e.S, e.P, axis=0), lambda f, e: f(e.S, e.e, 0, -1, 1)),
    "linalg.cross": (_two("S", "P"), lambda f, e: f(e.S, e.P, axis=0)),
    "einsum": (
        lambda f, e: f("ij,ij->i", e.x, e.y),
        lambda f, e: f("ij, jk", e.x, e.Y, optimize=True),
        lambda f, e: f("...i,i", e.T, e.w),
        lambda f, e: f("i...->...i", e.T),
        lambda f, e: f(e.x, [0, 1], e.Y, [1, 2], [2, 0]),
        lambda f, e: f(e.S, [0, 0]),
    ),
    "einsum_path": (lambda f, e: f("ij,jk", e.x, e.Y),),
    **{
        name: tuple(
            (lambda f, e, mode=mode, pair=pair: f(getattr(e, pair[0]), getattr(e, pair[1]), mode))
            for mode in ("full", "same", "valid")
            for pair in (("v", "e"), ("e", "v"), ("v", "w"), ("w", "v"), ("v", "up"))
        )
        for name in ("convolve", "correlate")
    },
    **{name: (_two("v", "e"), _two("e", "v")) for name in ("polyadd", "polysub", "polymul")},
    "polydiv": (_two("v", "e"), _two("e", "v")),
    "polyval": (_two("v", "x"),),
    "polyder": (_one("v"), lambda f, e: f(e.v, 2)),
    "polyint": (_one("v"), lambda f, e: f(e.v, 2, [1.0, 2.0]), lambda f, e: f(e.v, 1, e.a)),
    "poly": (_one("v"), ANY),
    "polyfit": (
        lambda f, e: f(e.up, e.v, 2),
        lambda f, e: f(LEAVES["up"], e.v, 1, w=[1.0, 2.0, 1.0, 0.5, 1.0]),
        lambda f, e: f(LEAVES["up"][:3], e.S, 1),
    ),
    "roots": (_one("v"),),
    "cov": (
        ANY,
        _one("v"),
        lambda f, e: f(e.x, e.y, ddof=0),
        lambda f, e: f(e.x, rowvar=False, bias=True),
        lambda f, e: f(e.x, aweights=np.array([1.0, 2.0, 0.5, 1.5]), fweights=np.array([1, 2, 1, 3])),
    ),
    "corrcoef": (ANY, _two("v", "up"), lambda f, e: f(e.Y, rowvar=False)),
    # Linear algebra.
    "linalg.cholesky": (_one("P"), lambda f, e: f(e.P, upper=True)),
    "linalg.inv": (_one("S"),),
    "linalg.pinv": (_one("S"), _one("x"), _one("Y")),
    "linalg.det": (_one("S"),),
    "linalg.slogdet": (_one("S"),),
    "linalg.solve": (_two("S", "e"), _two("S", "P")),
    "linalg.matrix_power": (lambda f, e: f(e.S, 3), lambda f, e: f(e.S, -2), lambda f, e: f(e.S, 0)),
    "linalg.multi_dot": (lambda f, e: f([e.S, e.P, e.x]), lambda f, e: f([e.e, e.S, e.d])),
    "linalg.matrix_transpose": (_one("T"),),
    "linalg.qr": (_one("S"), _one("Y"), lambda f, e: f(e.Y, "r")),
    "linalg.eigh": (lambda f, e: _squared(f(e.P).eigenvectors), lambda f, e: f(e.P).eigenvalues),
    "linalg.eigvalsh": (_one("P"), lambda f, e: f(e.P, "U")),
    "linalg.eig": (_one("S"),),
    "linalg.eigvals": (_one("S"),),
    "linalg.svd": (
        lambda f, e: f(e.Y, full_matrices=False).S,
        lambda f, e: _squared(f(e.Y, False).U),
        lambda f, e: f(e.S, compute_uv=False),
    ),
    "linalg.svdvals": (_one("Y"),),
    "linalg.lstsq": (lambda f, e: f(e.Y, e.w), lambda f, e: f(e.Y, e.Y[:, :2] * e.Y[:, 1:])),
    "linalg.cond": (_one("S"), lambda f, e: f(e.S, 1), lambda f, e: f(e.S, "fro"), lambda f, e: f(e.S, -2)),
    "linalg.norm": (
        ANY,
        lambda f, e: f(e.x, 1),
        lambda f, e: f(e.x, np.inf, 1),
        lambda f, e: f(e.x, ord="nuc"),
        lambda f, e: f(e.T, 2, axis=(1, 2)),
        lambda f, e: f(e.v, 3),
        lambda f, e: f(e.x, axis=0, keepdims=True),
    ),
    "linalg.vector_norm": (ANY, lambda f, e: f(e.x, axis=1, ord=3, keepdims=True)),
    "linalg.matrix_norm": (ANY, lambda f, e: f(e.T, ord=1), lambda f, e: f(e.T, ord=2, keepdims=True)),
    "linalg.matrix_rank": (_one("S"),),
    "linalg.tensorinv": (lambda f, e: f(e.S, 1), lambda f, e: f(np.kron(e.S, e.P[:2, :2]).reshape(3, 2, 6), 2)),
    "linalg.tensorsolve": (_two("S", "e"), lambda f, e: f(e.S.reshape(3, 1, 3), e.e.reshape(3, 1))),
    # Questions about values and forms.
    **dict.fromkeys(("iscomplex", "iscomplexobj", "isreal", "isrealobj", "isneginf", "isposinf"), (ANY,)),
    **dict.fromkeys(
        ("allclose", "isclose", "array_equal", "array_equiv", "shares_memory", "may_share_memory"), (PAIR,)
    ),
    **dict.fromkeys(("shape", "ndim", "size", "common_type", "result_type", "min_scalar_type"), (ANY,)),
    "can_cast": (lambda f, e: f(DATA["i"].dtype if isinstance(e.x, np.ndarray) else e.x.dtype, np.float64),),
    **{name: (_one("S"),) for name in ("diag_indices_from", "tril_indices_from", "triu_indices_from")},
    "ix_": (_two("v", "e"),),
    "ravel_multi_index": (lambda f, e: f((e.j, e.j), (4, 4)),),
    "unravel_index": (lambda f, e: f(e.j, (2, 2)),),
    "packbits": (_one("m"),),
    "unpackbits": (lambda f, e: f(e.wrap(np.array([3, 200], np.uint8))),),
    **dict.fromkeys(("array_repr", "array_str", "array2string"), (ANY,)),
    # New arrays like a tensor.
    **{name: (lambda f, e, name=name: getattr(np, name)((2, 3), like=e.x),) for name in ("zeros", "ones")},
    "empty": (lambda f, e: np.empty((2, 3), like=e.x).shape,),
    "full": (lambda f, e: np.full((2, 3), 4.0, like=e.x), lambda f, e: np.full((2, 3), e.a, like=e.x)),
    "eye": (lambda f, e: np.eye(3, 4, 1, like=e.x),),
    "identity": (lambda f, e: np.identity(3, like=e.x),),
    "tri": (lambda f, e: np.tri(3, 4, like=e.x),),
    "arange": (lambda f, e: np.arange(1.0, 5.0, like=e.x),),
    "array": (lambda f, e: np.array(e.x, like=e.x), lambda f, e: np.array([e.v, e.up], like=e.v)),
    "asarray": (lambda f, e: np.asarray(e.x, like=e.x), lambda f, e: np.asarray([1.0, 2.0], like=e.x)),
    "asanyarray": (lambda f, e: np.asanyarray(e.x, like=e.x),),
    "ascontiguousarray": (lambda f, e: np.ascontiguousarray(e.x, like=e.x),),
    "asfortranarray": (lambda f, e: np.asfortranarray(e.x, like=e.x),),
    "require": (lambda f, e: np.require(e.x, like=e.x),),
    "frombuffer": (lambda f, e: np.frombuffer(b"\x01\x02", np.uint8, like=e.x),),
    "fromfunction": (lambda f, e: np.fromfunction(lambda i, j: i + j, (2, 3), like=e.x),),
    "fromiter": (lambda f, e: np.fromiter([1.0, 2.0], float, like=e.x),),
    "fromstring": (lambda f, e: np.fromstring("1 2", sep=" ", like=e.x),),
    "fromfile": (lambda f, e: np.fromfile(__file__, np.uint8, 4, like=e.x),),
    "loadtxt": (lambda f, e: np.loadtxt(["1 2", "3 4"], like=e.x),),
    "genfromtxt": (lambda f, e: np.genfromtxt(["1 2", "3 4"], like=e.x),),
    # What writes into its argument, gives complex numbers, or is about files, dates and records.
    "copyto": (PAIR,),
    "place": (lambda f, e: f(e.x, DATA["m"], [1.0]),),
    "put": (lambda f, e: f(e.x, [0], [1.0]),),
    "putmask": (lambda f, e: f(e.x, DATA["m"], 1.0),),
    "put_along_axis": (lambda f, e: f(e.x, np.array([[0], [1], [1]]), 1.0, 1),),
    "fill_diagonal": (lambda f, e: f(e.S, 1.0),),
    "sort_complex": (ANY,),
    **{name: (lambda f, e: f("nowhere", e.x),) for name in ("save", "savez", "savez_compressed", "savetxt")},
    "busday_count": (PAIR,),
    "busday_offset": (PAIR,),
    "is_busday": (ANY,),
    "datetime_as_string": (ANY,),
    **{
        f"lib.recfunctions.{name}": (lambda f, e: f(e.x),)
        for name in ("find_duplicates", "merge_arrays", "repack_fields", "structured_to_unstructured", "stack_arrays")
    },
    **{
        f"lib.recfunctions.{name}": (lambda f, e: f(e.x, e.y),)
        for name in _names(
            "apply_along_fields assign_fields_by_name drop_fields rec_drop_fields recursive_fill_fields "
            "rename_fields require_fields unstructured_to_structured"
        )
    },
    **{
        f"lib.recfunctions.{name}": (lambda f, e: f(e.x, "names", e.y),)
        for name in ("append_fields", "rec_append_fields")
    },
    **{f"lib.recfunctions.{name}": (lambda f, e: f("key", e.x, e.y),) for name in ("join_by", "rec_join")},
    # Complex numbers, texts, and polynomials of two variables.
    **{
        f"{room}.{name}": (lambda f, e: f(*[e.x] * _needed(f)),)
        for room, names in {
            "fft": "fft fft2 fftn fftshift hfft ifft ifft2 ifftn ifftshift ihfft irfft irfft2 irfftn rfft rfft2 rfftn",
            "char": "equal greater greater_equal less less_equal not_equal",
            "strings": "_join _rsplit _split _splitlines capitalize center decode encode expandtabs ljust lower mod "
            "multiply partition replace rjust rpartition swapcase title translate upper zfill",
            "polynomial.polynomial": "polygrid2d polyval2d",
        }.items()
        for name in names.split()
    },
}
