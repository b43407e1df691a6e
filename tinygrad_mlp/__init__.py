"""A tape-based autograd engine on NumPy: every gradient derived, proved and visible.

Not the project ``tinygrad``. Tensors and ops follow PyTorch's names, training follows Keras' verbs.

>>> import tinygrad_mlp as tg
>>> x = tg.Tensor([1.0, 2.0, 3.0], requires_grad=True)
>>> loss = (x * x).sum()
>>> loss.backward()
>>> x.grad
tensor([2., 4., 6.])
"""

from __future__ import annotations

import importlib
import typing

from . import autograd, compositions, errors
from .dtypes import get_default_dtype, set_default_dtype
from .ops import (
    abs,
    amax,
    amin,
    cat,
    clamp,
    cos,
    einsum,
    exp,
    expand,
    expm1,
    flatten,
    log,
    log1p,
    log_softmax,
    logsumexp,
    matmul,
    maximum,
    minimum,
    mul,
    neg,
    outer,
    permute,
    pow,
    relu,
    reshape,
    safe_where,
    sigmoid,
    sign,
    sin,
    softmax,
    sqrt,
    square,
    squeeze,
    stack,
    tan,
    tanh,
    transpose,
    unsqueeze,
)
from .tensor import (
    Tensor,
    arange,
    enable_grad,
    eye,
    from_numpy,
    full,
    full_like,
    is_grad_enabled,
    linspace,
    no_grad,
    ones,
    ones_like,
    rand,
    rand_like,
    randn,
    randn_like,
    record_values,
    set_grad_enabled,
    tensor,
    zeros,
    zeros_like,
)

if typing.TYPE_CHECKING:
    from .profiler import profile
    from .program import compile

__version__ = "0.1.0"

# Imported when first named, so that `import tinygrad_mlp` costs little more than `import numpy`.
_ROOMS = frozenset(
    {
        "data",
        "datasets",
        "func",
        "graph",
        "io",
        "keras",
        "linalg",
        "nn",
        "optim",
        "profiler",
        "program",
        "sklearn",
        "testing",
    }
    | {"train", "viz"}
)
_LATE = {"compile": "program", "explain": "graph", "profile": "profiler"}

compositions.attach(Tensor)


def __getattr__(name: str) -> typing.Any:
    if name in _ROOMS:
        return importlib.import_module(f".{name}", __name__)
    if name in _LATE:
        return getattr(importlib.import_module(f".{_LATE[name]}", __name__), name)
    if name in compositions.HOMES:
        found = globals()[name] = compositions.function(name, compositions.HOMES[name])
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_ROOMS, *_LATE, *compositions.HOMES})


__all__ = [
    "Tensor",
    "__version__",
    "abs",
    "add",
    "amax",
    "amin",
    "arange",
    "autograd",
    "cat",
    "clamp",
    "compile",
    "cos",
    "div",
    "einsum",
    "enable_grad",
    "errors",
    "exp",
    "expand",
    "expm1",
    "eye",
    "flatten",
    "from_numpy",
    "full",
    "full_like",
    "get_default_dtype",
    "is_grad_enabled",
    "linspace",
    "log",
    "log1p",
    "log_softmax",
    "logsumexp",
    "matmul",
    "maximum",
    "mean",
    "minimum",
    "mul",
    "neg",
    "no_grad",
    "ones",
    "ones_like",
    "outer",
    "permute",
    "pow",
    "prod",
    "profile",
    "rand",
    "rand_like",
    "randn",
    "randn_like",
    "record_values",
    "relu",
    "reshape",
    "safe_where",
    "set_default_dtype",
    "set_grad_enabled",
    "sigmoid",
    "sign",
    "sin",
    "softmax",
    "sqrt",
    "square",
    "squeeze",
    "stack",
    "std",
    "sub",
    "sum",
    "tan",
    "tanh",
    "tensor",
    "transpose",
    "unsqueeze",
    "var",
    "where",
    "zeros",
    "zeros_like",
]
