"""PyTorch's public names and signatures beside this package's: what is missing, what differs, and why.

``python tests/torch_names.py`` prints what nobody has explained yet; with ``--write`` it writes docs/torch-names.md.
"""

from __future__ import annotations

import inspect
import re
import sys
import types
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

import tinygrad_mlp as tg
from tinygrad_mlp import Tensor
from tinygrad_mlp.nn import functional

PAGE = Path(__file__).parent.parent / "docs" / "torch-names.md"

OURS: dict[str, Any] = {"torch": tg, "Tensor": Tensor, "linalg": tg.linalg, "nn.functional": functional}
THEIRS: dict[str, Any] = {
    "torch": torch,
    "Tensor": torch.Tensor,
    "linalg": torch.linalg,
    "nn.functional": torch.nn.functional,
}
HERE = {"torch": "tinygrad_mlp", "Tensor": "Tensor", "linalg": "linalg", "nn.functional": "nn.functional"}

# --- names ----------------------------------------------------------------------------------------

# The sections of torch's documentation of `torch`, and what else the families reach into.
FAMILIES = {
    "Elementwise": (
        "abs absolute acos acosh add addcdiv addcmul allclose alpha_dropout angle arccos arccosh arcsin arcsinh arctan"
        " arctan2 arctanh asin asinh atan atan2 atanh bitwise_and bitwise_left_shift bitwise_not bitwise_or"
        " bitwise_right_shift bitwise_xor ceil celu clamp clamp_max clamp_min clip conj conj_physical copysign cos cosh"
        " deg2rad digamma div divide dropout eq equal erf erfc erfinv exp exp2 expm1 feature_alpha_dropout"
        " feature_dropout fix float_power floor floor_divide fmax fmin fmod frac frexp gcd ge greater greater_equal gt"
        " hardshrink heaviside hypot i0 igamma igammac imag is_complex is_conj is_floating_point is_neg is_nonzero"
        " is_same_size is_signed isclose isfinite isin isinf isnan isneginf isposinf isreal lcm ldexp le lerp less"
        " less_equal lgamma log log10 log1p log2 log_softmax logaddexp logaddexp2 logical_and logical_not logical_or"
        " logical_xor logit lt masked_fill maximum minimum mul multiply mvlgamma nan_to_num ne neg negative nextafter"
        " not_equal polygamma positive pow prelu rad2deg real reciprocal relu remainder resolve_conj resolve_neg round"
        " rrelu rsqrt rsub selu sgn sigmoid sign signbit sin sinc sinh softmax sqrt square sub subtract tan tanh"
        " threshold true_divide trunc where xlogy"
    ),
    "Reductions": (
        "all amax amin aminmax any argmax argmin argsort bincount bucketize cdist corrcoef cosine_similarity"
        " count_nonzero cov cummax cummin cumprod cumsum cumulative_trapezoid diff dist frobenius_norm gradient"
        " hash_tensor histc histogram histogramdd kthvalue logcumsumexp logsumexp max mean median min mode msort"
        " nanmean nanmedian nanquantile nansum norm norm_except_dim nuclear_norm numel pairwise_distance pdist prod"
        " quantile renorm searchsorted segment_reduce sort std std_mean sum topk trapezoid trapz unique"
        " unique_consecutive var var_mean"
    ),
    "Shape": (
        "adjoint argwhere as_strided as_strided_scatter atleast_1d atleast_2d atleast_3d block_diag broadcast_shapes"
        " broadcast_tensors broadcast_to cartesian_prod cat channel_shuffle chunk clone column_stack combinations"
        " concat concatenate constant_pad_nd diag diag_embed diagflat diagonal diagonal_scatter dsplit dstack expand"
        " expand_as flatten flip fliplr flipud gather hsplit hstack index_add index_copy index_fill index_put"
        " index_reduce index_select masked_scatter masked_select meshgrid moveaxis movedim narrow nonzero"
        " nonzero_static permute pixel_shuffle pixel_unshuffle put ravel repeat repeat_interleave reshape reshape_as"
        " roll rot90 row_stack scatter scatter_add scatter_reduce select select_scatter slice_inverse slice_scatter"
        " split split_with_sizes squeeze stack sum_to_size swapaxes swapdims t take take_along_dim tensor_split tile"
        " transpose tril tril_indices triu triu_indices unbind unflatten unfold unravel_index unsafe_chunk"
        " unsafe_split unsafe_split_with_sizes unsqueeze vander view view_as view_as_complex view_as_real vsplit vstack"
    ),
    "Linear algebra": (
        "addbmm addmm addmv addr baddbmm bilinear bmm chain_matmul cholesky cholesky_inverse cholesky_solve cross det"
        " dot eig einsum geqrf ger inner inverse kron lobpcg logdet lstsq lu lu_solve lu_unpack matmul matrix_exp"
        " matrix_power matrix_rank mm mv orgqr ormqr outer pca_lowrank pinverse qr slogdet solve svd svd_lowrank"
        " symeig tensordot trace triangular_solve vdot"
    ),
    "Creation and random": (
        "arange as_tensor asarray bartlett_window bernoulli binomial blackman_window complex detach empty"
        " empty_like empty_permuted empty_strided eye fill from_dlpack from_file from_numpy frombuffer full full_like"
        " get_rng_state hamming_window hann_window initial_seed kaiser_window linspace logspace manual_seed multinomial"
        " new_empty new_empty_strided new_full new_ones new_tensor new_zeros normal ones ones_like poisson polar rand"
        " rand_like randint randint_like randn randn_like randperm range scalar_tensor seed set_rng_state tensor zeros"
        " zeros_like"
    ),
}

# Why there is no such name here: the first pattern that a name matches whole.
_REMOVED = "torch has taken it away: calling it raises an error that names the one in linalg"
_NO_COMPLEX = "there are no complex tensors"
_MEMORY = "how memory is laid out is NumPy's business, on x.numpy()"
_DEVICE = "there is one device, NumPy"
_SPARSE = "there are no sparse layouts"
_QUANTISED = "there are no quantised dtypes"
_LAYER = "undocumented, by another order of arguments than nn.functional has, or with numbers for words; see there"
MISSING = (
    (r"eig|lstsq|matrix_rank|solve|symeig", "torch", _REMOVED),
    (r"eig|lstsq|solve|symeig", "Tensor", _REMOVED),
    (r"eig|eigvals", "linalg", "its results are complex, and " + _NO_COMPLEX + "; eigh and eigvalsh"),
    (r"ldl_.*", "linalg", "NumPy has no such factorisation, and torch no gradient of it; cholesky, lu, solve"),
    (r"complex|polar|imag|view_as_.*|cdouble|cfloat|chalf|is_conj|is_neg", "", _NO_COMPLEX),
    (r"igamma|igammac", "", "beyond what this package is for: it needs an algorithm of its own"),
    (r"geqrf", "", "LAPACK's raw form of qr, for orgqr and ormqr; qr gives the factors themselves"),
    (r"lobpcg|pca_lowrank|svd_lowrank", "", "an approximation for large sparse matrices; eigh and svd are exact"),
    (r"hash_tensor|histogramdd|segment_reduce", "", "a prototype or without gradient; beyond what this package is for"),
    (r"frobenius_norm|nuclear_norm|norm_except_dim", "", "undocumented parts of norm; linalg.matrix_norm"),
    (r"as_strided.*|slice_inverse|new_empty_strided|empty_(strided|permuted)|stride|dim_order", "", _MEMORY),
    (r"storage.*|untyped_storage|(const_)?data_ptr|is_set_to|resize|resize_as|is_shared|is_pinned", "", _MEMORY),
    (r"constant_pad_nd", "", "undocumented; nn.functional.pad"),
    (r"feature_dropout", "", "undocumented; nn.functional.dropout2d"),
    (r"range", "", "deprecated in torch, and includes its end; arange and linspace"),
    (r"from_dlpack|from_file|frombuffer", "", "from_numpy, over numpy.from_dlpack, memmap or frombuffer"),
    (r"multi_head_attention_forward", "", "the inside of nn.MultiheadAttention, with 25 arguments; the layer is there"),
    (r".*grouped_mm|scaled_mm", "", "half precision and float8 on accelerators"),
    (r"conv_tbc|native_channel_shuffle", "", "undocumented; conv1d and channel_shuffle"),
    (r".*_with_indices", "", "the inside of the pool without that ending, which has return_indices=True"),
    (
        r".*sparse.*|.*_indices(_copy)?|indices|values|coalesce|is_coalesced|dense_dim|to_dense|smm|sspaddmm",
        "",
        _SPARSE,
    ),
    (r".*quant.*|q_.*|qscheme|int_repr", "", _QUANTISED),
    (r"cuda|ipu|xpu|mtia|is_(cpu|cuda|ipu|maia|meta|mkldnn|mps|mtia|vulkan|xla|xpu)|device|get_device", "", _DEVICE),
    (r"pin_memory|record_stream|to_mkldnn|is_distributed|layout", "", _DEVICE),
    (r"bfloat16|char", "", "NumPy has no bfloat16; int8 is x.astype('int8')"),
    (
        r"as_subclass|module_load|reinforce|new|type|index|volatile|name|output_nr|grad_fn|grad_dtype",
        "",
        "how torch is made inside",
    ),
    (r"is_inference|is_nested|to_padded_tensor|narrow_copy", "", "modes and layouts that there are none of"),
    (r"stft|istft", "", "Fourier transforms are beyond what this package is for"),
)


def public(room: str) -> list[str]:
    """torch's public functions of a room; of those in place one is told at the end of the page, for all of them."""
    theirs = THEIRS[room]
    found = []
    for name in dir(theirs):
        one = getattr(theirs, name)
        if name.startswith("_") or name.endswith("_") or inspect.ismodule(one):
            continue
        if room == "Tensor" or (callable(one) and not inspect.isclass(one)):
            found.append(name)
    return found


# Helpers that torch.nn.functional imports for itself.
_HELPERS = {"assert_int_or_pair", "boolean_dispatch", "handle_torch_function", "Optional"}


@dataclass
class Count:
    """A family in a room: the names that both have, and those that are missing with the reason."""

    here: list[str] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)


def why_missing(room: str, name: str) -> str | None:
    """The reason why there is no such name here."""
    for pattern, where, reason in MISSING:
        if where in {"", room} and re.fullmatch(pattern, name):
            return reason
    return None


def names() -> dict[tuple[str, str], Count]:
    """Of each family and room, what there is and what not."""
    counted: dict[tuple[str, str], Count] = {}
    families = {name: family for family, list_ in FAMILIES.items() for name in list_.split()}
    for room, ours in OURS.items():
        for name in public(room):
            if room == "linalg":
                family = "Linear algebra"
            elif room == "nn.functional":
                family = "nn.functional"
            else:
                family = families.get(name, "Tensor's own" if room == "Tensor" else "")
            if not family or name in _HELPERS or name.startswith("has_torch_function"):
                continue
            count = counted.setdefault((family, room), Count())
            if hasattr(ours, name):
                count.here.append(name)
            else:
                count.missing[name] = why_missing(room, name) or ""
    order = [*FAMILIES, "Tensor's own", "nn.functional"]
    return dict(sorted(counted.items(), key=lambda item: (order.index(item[0][0]), [*OURS].index(item[0][1]))))


# --- signatures -----------------------------------------------------------------------------------

# Arguments of devices, memory layouts and names of axes, of which there are none here; out= is refused with a word.
_NO_SUCH = {"layout", "device", "pin_memory", "memory_format", "names", "out", "non_blocking"}
_EMPTY = inspect.Parameter.empty


@dataclass(frozen=True)
class Argument:
    """One argument of one of torch's overloads."""

    name: str
    default: Any
    keyword: bool
    several: bool


Overload = tuple[Argument, ...]


def _of_signature(function: Callable[..., Any]) -> list[Overload]:
    found = []
    for one in inspect.signature(function).parameters.values():
        if one.kind is one.VAR_KEYWORD:
            return []
        if one.name not in _NO_SUCH:
            keyword = one.kind is one.KEYWORD_ONLY
            found.append(Argument(one.name, one.default, keyword, one.kind is one.VAR_POSITIONAL))
    return [tuple(found)]


def _of_schema(schema: Any, room: str) -> Overload | None:
    """An overload that Python can call: those for TorchScript's own lists and numbers are left out."""
    found = []
    for one in schema.arguments:
        kind = str(one.type)
        written = one.alias_info is not None and one.alias_info.is_write
        if "Dimname" in kind or "str[]" in kind or kind == "t" or "complex" in kind or written:
            return None
        if one.name not in _NO_SUCH:
            default = one.default_value if one.has_default_value() else _EMPTY
            found.append(Argument(one.name, default, one.kwarg_only, False))
    tensors = any("Tensor" in str(one.type) for one in [*schema.arguments, *schema.returns])
    first = found[0].name if found else ""
    # TorchScript's comparisons of lists call their operands a and b, its casts t.
    if not tensors or first in {"a", "t"} or (room == "Tensor" and first != "self"):
        return None
    return tuple(found)


def overloads(room: str, name: str) -> list[Overload]:
    """The ways in which torch's function can be called."""
    function = getattr(THEIRS[room], name)
    # Functions that give one or two results, by an argument, are two functions behind a door without a signature.
    doors = {"torch": (torch.functional, f"_{name}_impl"), "nn.functional": (torch.nn.functional, f"_{name}")}
    behind = getattr(*doors[room], None) if room in doors else None
    if isinstance(behind, types.FunctionType):
        return _of_signature(behind)
    if isinstance(function, types.FunctionType):
        found = _of_signature(inspect.unwrap(function))
        if found:
            return found
    schemas = torch._C._jit_get_schemas_for_operator(f"aten::{'linalg_' if room == 'linalg' else ''}{name}")
    made: list[Overload] = []
    for one in (_of_schema(schema, room) for schema in schemas):
        if one is not None and one not in made:
            made.append(one)
    return made


# Two names of one argument: of NumPy and torch, or of an argument that several overloads have in one place.
_SYNONYMS = [
    {"dim", "axis", "dims", "axes"},
    {"keepdim", "keepdims"},
    {"dim0", "axis0"},
    {"dim1", "axis1"},
]


def _one_argument(theirs: str, mine: str) -> bool:
    return theirs == mine or any({theirs, mine} <= one for one in _SYNONYMS)


def _plain(value: Any) -> Any:
    """Defaults that mean the same, as one value: 1 and [1, 1], None and False of an option, dtypes by name."""
    if isinstance(value, (list, tuple)):
        return value[0] if len(set(value)) == 1 else tuple(value)
    return value


def _same_default(name: str, theirs: Any, mine: Any) -> bool:
    theirs, mine = _plain(theirs), _plain(mine)
    if name == "dtype" and theirs in {4, torch.int64}:
        return mine is None or np.dtype(mine) == np.int64
    if theirs == () and mine is None:
        return True
    return bool(theirs == mine)


def differences(room: str, name: str) -> list[str]:
    """What torch takes and this package does not, or takes to mean something else."""
    function = getattr(OURS[room], name)
    renames: dict[str, str] = getattr(function, "renames", {})
    followed = hasattr(function, "renames")
    parameters = list(inspect.signature(function, follow_wrapped=followed).parameters.values())
    positional = [one for one in parameters if one.kind in {one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD}]
    rest = any(one.kind is one.VAR_POSITIONAL for one in parameters)
    by_name = {one.name: one for one in parameters if one.kind in {one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY}}
    found = []
    for overload in overloads(room, name):
        called = [("input" if one.name == "self" and room != "Tensor" else one.name, one) for one in overload]
        in_order = [(theirs, one) for theirs, one in called if not one.keyword]
        for place, (theirs, one) in enumerate(in_order):
            if one.several or (room == "Tensor" and place == 0):
                continue
            if place < len(positional):
                mine = positional[place].name
                if not _one_argument(theirs, mine) and renames.get(theirs) != mine:
                    found.append(f"{theirs} in place {place + 1}, here {mine}")
            elif not rest:
                found.append(f"{theirs} in place {place + 1}, here by keyword" if theirs in by_name else f"no {theirs}")
        for place, (theirs, one) in enumerate(called):
            if one.several or (room == "Tensor" and place == 0):
                continue
            parameter = by_name.get(renames.get(theirs, theirs))
            if parameter is None:
                found.append(f"no {theirs}")
            elif one.default is not _EMPTY and not _same_default(theirs, one.default, parameter.default):
                mine = "no default" if parameter.default is _EMPTY else repr(parameter.default)
                found.append(f"{theirs}={one.default!r}, here {mine}")
    return list(dict.fromkeys(found))


_BY_TYPE = "what stands there is told apart by its type, as torch does"
_OVERLOADED = "overloads of torch in one signature: " + _BY_TYPE
_HALF = "the result's dtype of half precision products on accelerators"
_SAME = "None stands for torch's default, so that NumPy's axis= can be given instead"
# (room or "", name pattern, what the difference says, reason)
EXPLAINED = (
    ("", r"addmm|baddbmm|bmm|mm", r"no out_dtype", _HALF),
    ("", r"add|sub|subtract|rsub", r"alpha in place 3, here by keyword", "a schema of C++; in Python by keyword, too"),
    ("", r"cat|concat|concatenate|stack", r"dim=0, here None", _SAME),
    ("", r"max|min", r"other in place 2, here dim", _OVERLOADED),
    ("", r"std|var|std_mean|var_mean", r"unbiased.*", _OVERLOADED),
    ("", r"scatter", r"value in place 4, here src", _OVERLOADED),
    ("", r"randint", r"size in place 2, here high|high in place 1, here low", _OVERLOADED),
    ("torch", r"arange", r"end in place 1, here start", _OVERLOADED),
    ("torch", r"repeat_interleave", r"repeats in place 1, here input", _OVERLOADED),
    ("torch", r"set_default_dtype", r"d in place 1, here dtype", "a letter of torch's for dtype"),
    ("", r"randint_like", r"high in place 2, here low", _OVERLOADED),
    ("", r"norm", r"dtype in place \d, here by keyword", "fifth as a method, and sixth, behind out, as a function"),
    ("", r"meshgrid", r"indexing=None, here 'ij'", "the same; torch warns"),
    ("torch", r"compile", r".*", "this package's own: a step of training, compiled; docs/compile.md"),
    ("torch", r"tensor|as_tensor|set_default_dtype|scalar_tensor", r"no (t|d|s)", "TorchScript's name"),
    ("torch", r"group_norm|layer_norm", r"no cudnn_enabled?", "a switch of devices"),
    ("torch", r"rrelu", r"(generator in place 5, here inplace|no generator)", "nn.functional's order; rng= and seed="),
    ("Tensor", r"expand", r"no implicit", "undocumented"),
    ("Tensor", r"backward", r"no inputs", "autograd.grad(loss, inputs) gives those gradients alone"),
    ("Tensor", r"to", r"(no other|other in place 2.*|dtype in place .*|device in place .*)", _BY_TYPE),
    ("Tensor", r"to", r"copy in place .*", _BY_TYPE),
    ("nn.functional", r"softplus", r"threshold=20, here None", "exact without a linear branch; one given is kept"),
    ("nn.functional", r"softmax|log_softmax|softmin", r"dim=None, here -1", "None guesses in torch, and warns"),
    ("", r"conv\dd", r"padding='valid', here 0", "the same: no padding"),
)  # fmt: skip


def why_different(room: str, name: str, difference: str) -> str | None:
    """The reason of a difference."""
    for where, pattern, said, reason in EXPLAINED:
        if where in {"", room} and re.fullmatch(pattern, name) and re.fullmatch(said, difference):
            return reason
    return None


@dataclass
class Signatures:
    """The signatures of a room: how many are equal, have more here, or differ for a reason."""

    equal: int = 0
    wider: int = 0
    explained: dict[str, dict[str, str]] = field(default_factory=dict)
    unexplained: list[str] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)


def _is_wider(room: str, name: str) -> bool:
    """Whether there are arguments here that torch has not."""
    function = getattr(OURS[room], name)
    followed = hasattr(function, "renames")
    mine = set(inspect.signature(function, follow_wrapped=followed).parameters) - {"out", "self", "input"}
    theirs = {one.name for overload in overloads(room, name) for one in overload}
    known = {other for one in _SYNONYMS if one & theirs for other in one}
    renames = getattr(function, "renames", {})
    return bool(mine - theirs - known - {renames[one] for one in theirs if one in renames})


def signatures() -> dict[str, Signatures]:
    """Of each room, the signatures of the functions that both have."""
    found: dict[str, Signatures] = {}
    for room, ours in OURS.items():
        tally = found.setdefault(room, Signatures())
        for name in public(room):
            mine = getattr(ours, name, None)
            if not callable(mine) or not callable(getattr(THEIRS[room], name)) or inspect.isclass(mine):
                continue
            if not overloads(room, name):
                tally.silent.append(name)
                continue
            differs = differences(room, name)
            for one in differs:
                why = why_different(room, name, one)
                if why is None:
                    tally.unexplained.append(f"{room}.{name}: {one}")
                else:
                    tally.explained.setdefault(why, {}).setdefault(name, one)
            if not differs:
                if _is_wider(room, name):
                    tally.wider += 1
                else:
                    tally.equal += 1
    return found


# --- the page -------------------------------------------------------------------------------------

_HEAD = """# torch's names

Written by `python tests/torch_names.py --write`, and compared with torch {version} by `tests/test_torch_names.py`.

A name of torch means here what it means there: the same order of arguments, the same keywords and defaults, checked
below for every name that both have. NumPy's `axis` and `keepdims` can be said for `dim` and `keepdim`. `out=` and
`inplace=True` are refused, because results are new tensors. What differs on purpose has its reason.

## How many names there are

Of torch's public functions and methods in each family of its documentation, how many exist here. Names that end in an
underscore are not counted: they work in place, and the tape needs the values that would be overwritten. (`x += 1` and
`x[i] = 1` exist, for values that nothing recorded needs.)

"""


def page() -> str:
    """The whole page."""
    counted = names()
    rows = ["| Family | where | torch | here | missing |", "|---|---|---:|---:|---:|"]
    lists = []
    for (family, room), count in counted.items():
        total = len(count.here) + len(count.missing)
        rows.append(f"| {family} | `{HERE[room]}` | {total} | {len(count.here)} | {len(count.missing)} |")
        if count.missing:
            by_reason: dict[str, list[str]] = {}
            for name, reason in count.missing.items():
                by_reason.setdefault(reason, []).append(name)
            said = [f"- {', '.join(f'`{one}`' for one in several)}: {reason}." for reason, several in by_reason.items()]
            lists.append("\n".join([f"### {family}, `{HERE[room]}`", "", *said]))
    here = sum(len(one.here) for one in counted.values())
    total = here + sum(len(one.missing) for one in counted.values())
    rows.append(f"| together | | {total} | {here} | {total - here} |")
    parts = [_HEAD.format(version=torch.__version__.partition("+")[0]) + "\n".join(rows)]
    parts += ["## Names that there are none of, and why", *lists, "## Signatures", _signature_words()]
    return "\n\n".join(parts) + "\n"


def _signature_words() -> str:
    rows = [
        "| where | compared | equal | more here | explained | not said by torch |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    reasons: dict[str, Counter[str]] = {}
    for room, tally in signatures().items():
        explained = len({name for one in tally.explained.values() for name in one})
        total = tally.equal + tally.wider + explained
        cells = [total, tally.equal, tally.wider, explained, len(tally.silent)]
        rows.append(f"| `{HERE[room]}` | {' | '.join(map(str, cells))} |")
        for reason, several in tally.explained.items():
            reasons.setdefault(reason, Counter()).update(several)
    said = [f"- {', '.join(f'`{one}`' for one in sorted(several))}: {reason}." for reason, several in reasons.items()]
    words = (
        "Every overload in torch's schemas, or the signature where the function is written in Python: each argument\n"
        "in its place, each by its keyword, each default. `more here`: a call of torch means the same, and there are\n"
        "further arguments, such as `axis=`, `seed=` and `rng=`. `not said by torch`: it has neither a schema nor a\n"
        "signature. Arguments of devices and memory layouts are left out of all of it.\n"
    )
    return "\n".join([words, *rows, "", "Explained:", "", *said])


if __name__ == "__main__":
    if "--write" in sys.argv:
        PAGE.write_text(page(), encoding="utf-8")
    for (family, room), count in names().items():
        for name, reason in count.missing.items():
            if not reason:
                print(f"missing without a reason: {family}, {room}.{name}")
    for room, tally in signatures().items():
        print("\n".join(tally.unexplained))
        print(room, tally.equal, tally.wider, len(tally.explained), tally.silent)
