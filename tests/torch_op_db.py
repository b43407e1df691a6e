"""PyTorch's own sample inputs, run through this package: values and gradients against torch's, in float64.

``python tests/torch_op_db.py [--all-samples] [names]`` prints what differs. Of the shared names a third is looked at
here, chosen by a checksum; the other two thirds are for others to look at.
"""

from __future__ import annotations

import sys
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch.testing._internal.common_methods_invocations import op_db

import tinygrad_mlp as tg
from tinygrad_mlp import Tensor
from tinygrad_mlp.nn import functional

ROOMS = {"nn.functional": functional, "linalg": tg.linalg}


def ours(name: str) -> Callable[..., Any] | None:
    """The function of ours that torch's op of this name stands for; None where there is none."""
    room, _, last = name.rpartition(".")
    if room in ROOMS:
        return getattr(ROOMS[room], last, None)
    if room:
        return None
    if name == "polygamma":
        return lambda x, n: tg.polygamma(n, x)
    found = getattr(tg, last, None) or getattr(Tensor, last, None)
    return found if callable(found) else None


def shared() -> dict[str, Any]:
    """The entries of torch's table whose function has a name here; variants of one function are ``name|variant``."""
    known = [one for one in op_db if ours(one.name) is not None]
    return {f"{one.name}|{one.variant_test_name}".removesuffix("|"): one for one in known}


def is_looked_at(name: str) -> bool:
    """Every third name, by a checksum."""
    return zlib.crc32(name.encode()) % 3 == 0


# What differs on purpose, or is no part of this package: name, or name and what the reason has to say.
_RANDOM = (
    "bernoulli multinomial normal poisson rand rand_like randint randint_like randn randn_like randperm uniform"
    " nn.functional.alpha_dropout nn.functional.dropout nn.functional.dropout1d nn.functional.dropout2d"
    " nn.functional.feature_alpha_dropout nn.functional.fractional_max_pool2d nn.functional.fractional_max_pool3d"
    " nn.functional.rrelu"
)
EXPLAINED: dict[str, str] = {
    **dict.fromkeys(_RANDOM.split(), "random numbers of another generator"),
    **dict.fromkeys(["empty", "empty_like"], "memory that holds anything"),
}

# Where only the gradient differs, on purpose.
KINKS = {"linalg.norm|subgradients_at_zero": "at a kink the subgradient nearest to 0"}
# What differs on purpose for dtypes that have no gradient.
_CUT = "a factor with a fraction is cut off for integers there, and makes floats here"
_LOGIC = "booleans are no numbers: an error, or NumPy's result"
OTHER_DTYPES: dict[tuple[str, torch.dtype], str] = {
    **dict.fromkeys([("addbmm", torch.int64), ("addmv", torch.int64)], _CUT),
    **dict.fromkeys([(name, torch.bool) for name in ("addr", "sign", "square")], _LOGIC),
    ("sort", torch.bool): "equal elements keep their order here",
}


@dataclass
class Tally:
    """What became of the samples of one op."""

    name: str
    tried: int = 0
    passed: int = 0
    explained: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)


def _mapped(value: Any, change: Callable[[torch.Tensor], Any]) -> Any:
    if isinstance(value, torch.Tensor):
        return change(value)
    if isinstance(value, torch.Size):
        return tuple(value)
    if isinstance(value, (tuple, list)):
        return type(value)(_mapped(one, change) for one in value)
    if isinstance(value, dict):
        return {key: _mapped(one, change) for key, one in value.items()}
    if isinstance(value, torch.dtype):
        return np.dtype(str(value).removeprefix("torch."))
    return value


def _leaves(value: Any, kind: type) -> Iterator[Any]:
    if isinstance(value, kind):
        yield value
    elif isinstance(value, (tuple, list)):
        for one in value:
            yield from _leaves(one, kind)
    elif isinstance(value, dict):
        yield from _leaves(list(value.values()), kind)


def _why_not(name: str, sample: Any) -> str | None:  # noqa: PLR0911 - one for each reason
    """Why a sample is no subject here: dtypes and layouts that there are none of."""
    if "max_unpool" in name:
        rows = sample.args[0].flatten(sample.input.ndim - int(name[-2])).flatten(0, -2)
        if any(len(set(row.tolist())) < row.numel() for row in rows):
            return "two values for one place: torch gives both its gradient, here the one that is there has it"
    tensors = list(_leaves([sample.input, sample.args, sample.kwargs], torch.Tensor))
    if any(one.is_complex() for one in tensors):
        return "complex numbers"
    if any(one.layout != torch.strided for one in tensors):
        return "sparse layouts"
    if any(key in sample.kwargs for key in ("out", "device", "layout", "memory_format", "pin_memory")):
        return "arguments of devices and layouts"
    if any(callable(one) for one in sample.kwargs.values()):
        return "functions of torch as arguments"
    if any(one.dtype in {torch.bfloat16, torch.float16} for one in tensors):
        return "half precision"
    return None


def check(op: Any, limit: int, dtype: torch.dtype = torch.float64) -> Tally:
    """Run the samples of one op, at most ``limit``; gradients in float64, in other dtypes values and dtypes."""
    tally = Tally(f"{op.name}|{op.variant_test_name}".removesuffix("|"))
    function = ours(op.name)
    assert function is not None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Functions of integers have no samples of floats.
        dtype = dtype if dtype in op.dtypes or dtype != torch.float64 else torch.int64
        exact = dtype == torch.float64
        samples = list(op.sample_inputs("cpu", dtype, requires_grad=op.supports_autograd and exact))
    for number, sample in enumerate(samples[:limit]):
        tally.tried += 1
        why = _why_not(op.name, sample) or EXPLAINED.get(tally.name) or EXPLAINED.get(op.name)
        why = why or OTHER_DTYPES.get((op.name, dtype))
        if why is not None:
            tally.explained[why] += 1
            continue
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            problem = _compare(op, function, sample, dtype)
        if problem is None:
            tally.passed += 1
        elif problem.startswith("gradient") and tally.name in KINKS:
            tally.explained[KINKS[tally.name]] += 1
        else:
            tally.failed.append(f"{tally.name} sample {number}: {problem}")
    return tally


def _compare(op: Any, function: Callable[..., Any], sample: Any, dtype: torch.dtype) -> str | None:  # noqa: PLR0911 - one for each finding
    theirs = op(sample.input, *sample.args, **sample.kwargs)
    given = [sample.input, list(sample.args), dict(sample.kwargs)]
    pairs: list[tuple[torch.Tensor, Tensor]] = []

    def changed(one: torch.Tensor) -> Tensor:
        made = Tensor(one.detach().numpy().copy(), requires_grad=one.requires_grad)
        pairs.append((one, made))
        return made

    first, args, options = (_mapped(one, changed) for one in given)
    try:
        found = function(first, *args, **options)
    except Exception as error:  # noqa: BLE001 - any error is a finding
        return f"{type(error).__name__}: {str(error)[:160]}"
    expected, got = list(_leaves(theirs, torch.Tensor)), list(_leaves(found, Tensor))
    if not expected:
        same = np.array_equal(np.asarray(theirs), np.asarray(found))
        return None if same else f"expected {theirs!r}, got {found!r}"
    if len(expected) != len(got):
        return f"expected {len(expected)} results, got {len(got)} of {type(found).__name__}"
    for one, mine in zip(expected, got, strict=True):
        wanted = one.detach().resolve_conj().numpy()
        if wanted.shape != mine.data.shape:
            return f"expected shape {wanted.shape}, got {mine.data.shape}"
        if wanted.dtype.kind != mine.data.dtype.kind or (dtype != torch.float64 and wanted.dtype != mine.data.dtype):
            return f"expected {wanted.dtype}, got {mine.data.dtype}"
        rtol, atol = (1e-7, 1e-9) if dtype == torch.float64 else (1e-3, 1e-4)
        if not np.allclose(mine.data, wanted, rtol=rtol, atol=atol, equal_nan=True):
            return f"value: {mine.data.ravel()[:4]} for {wanted.ravel()[:4]}, at {_shapes(sample)}"
    return _gradients(expected, got, pairs) if dtype == torch.float64 else None


def _shapes(sample: Any) -> str:
    return str([_mapped(one, lambda t: tuple(t.shape)) for one in (sample.input, sample.args, sample.kwargs)])[:200]


def _gradients(expected: list[torch.Tensor], got: list[Tensor], pairs: list[tuple[torch.Tensor, Tensor]]) -> str | None:
    rng = np.random.default_rng(0)
    theirs, mine = [], []
    for one, other in zip(expected, got, strict=True):
        if one.requires_grad and one.dtype == torch.float64 and one.numel():
            weights = rng.standard_normal(tuple(one.shape))
            theirs.append((one * torch.from_numpy(np.asarray(weights))).sum())
            if other.node is None:
                return "torch has a gradient here, and this package has none"
            mine.append((other * weights).sum())
    if not theirs:
        return None
    wanted = [one for one, _ in pairs if one.requires_grad]
    try:
        reached = torch.autograd.grad(sum(theirs), wanted, allow_unused=True)
    except RuntimeError as error:
        return None if "not implemented" in str(error) else f"torch: {error}"
    total = mine[0]
    for one in mine[1:]:
        total = total + one
    leaves = [made for one, made in pairs if one.requires_grad]
    found = tg.autograd.grad(total, leaves, allow_unused=True)
    for number, (one, other) in enumerate(zip(reached, found, strict=True)):
        a = np.zeros(leaves[number].shape) if one is None else one.detach().numpy()
        b = np.zeros(leaves[number].shape) if other is None else other.data
        if not np.allclose(b, a, rtol=1e-6, atol=1e-6, equal_nan=True):
            worst = np.nanargmax(np.abs(np.nan_to_num(a - b, nan=1e9))) if a.size else 0
            return f"gradient {number}: {b.ravel()[worst]} for {a.ravel()[worst]} (place {worst} of {a.shape})"
    return None


if __name__ == "__main__":
    wanted = [one for one in sys.argv[1:] if one != "--all-samples"]
    names = wanted or sorted(name for name in shared() if is_looked_at(name))
    tallies = [check(shared()[name], 10_000 if wanted or len(sys.argv) > 1 else 12) for name in names]
    for tally in tallies:
        for line in tally.failed[:3]:
            print(line)
    tried, passed = sum(one.tried for one in tallies), sum(one.passed for one in tallies)
    explained = sum(sum(one.explained.values()) for one in tallies)
    print(
        f"{len(shared())} shared names, {len(tallies)} looked at: {tried} samples, {passed} pass, {explained} explained"
    )
