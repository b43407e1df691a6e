"""Functions by PyTorch's names that are compositions of operations: no op of their own, gradients by the tape.

Nothing of it is imported before it is named: this module holds the names alone, and where each is written. The front
door takes them from here, and makes those in ``METHODS`` methods of :class:`~tinygrad_mlp.Tensor`.
"""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["HOMES", "METHODS", "function"]

_NAMES = {
    "elementwise": (
        "absolute add addcdiv addcmul allclose angle arccos arccosh arcsin arcsinh arctan arctan2 arctanh cbrt "
        "clamp_max clamp_min clip conj conj_physical copysign deg2rad digamma div divide entr equal fix "
        "float_power floor_divide fmax fmin frac greater greater_equal heaviside i0 is_complex is_tensor "
        "isclose isneginf isposinf isreal ldexp lerp less less_equal logaddexp logaddexp2 logical_xor logit "
        "masked_fill multiply mvlgamma nan_to_num negative not_equal polygamma positive rad2deg real reciprocal "
        "resolve_conj resolve_neg round rsqrt rsub sgn signbit sinc sub subtract threshold true_divide xlog1py "
        "xlogy"
    ),
    "indexing": (
        "argwhere flip gather index_add index_copy index_fill index_put index_reduce index_select "
        "masked_scatter masked_select narrow nonzero nonzero_static put scatter scatter_add scatter_reduce "
        "select select_scatter slice_scatter take take_along_dim where"
    ),
    "shapes": (
        "adjoint atleast_1d atleast_2d atleast_3d block_diag broadcast_shapes broadcast_tensors broadcast_to "
        "cartesian_prod chunk column_stack combinations concat concatenate diag diag_embed diagflat diagonal "
        "diagonal_scatter dsplit dstack fliplr flipud hsplit hstack meshgrid moveaxis movedim ravel "
        "repeat_interleave roll rot90 row_stack split split_with_sizes swapaxes swapdims t tensor_split tile "
        "trace tril tril_indices triu triu_indices unbind unflatten unsafe_chunk unsafe_split "
        "unsafe_split_with_sizes vander vsplit vstack"
    ),
    "reductions": (
        "all aminmax any argsort bincount bucketize cdist corrcoef count_nonzero cov cummax cummin cumprod "
        "cumsum cumulative_trapezoid diff dist gradient histc kthvalue logcumsumexp max mean median min mode "
        "msort nanmean nanmedian nanquantile nansum norm pdist prod quantile renorm searchsorted sort std "
        "std_mean sum topk trapezoid trapz unique var var_mean"
    ),
    "matrices": (
        "addbmm addmm addmv addr baddbmm bmm chain_matmul cholesky cholesky_inverse cholesky_solve cross det "
        "dot ger inner inverse kron logdet lu_unpack matrix_exp matrix_power mm mv ormqr slogdet tensordot vdot"
    ),
    "integers": (
        "bitwise_and bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor frexp gcd "
        "histogram isin lcm nextafter unique_consecutive unravel_index"
    ),
    "facts": ("is_floating_point is_nonzero is_same_size is_signed numel"),
    "making": (
        "Generator as_tensor asarray bartlett_window bernoulli binomial blackman_window empty empty_like from_dlpack "
        "get_rng_state hamming_window hann_window initial_seed kaiser_window logspace manual_seed multinomial "
        "normal poisson randint randint_like randperm scalar_tensor seed set_rng_state"
    ),
    "..ops": (
        "acos acosh argmax argmin asin asinh atan atan2 atanh ceil cosh eq erf erfc erfinv exp2 floor fmod ge "
        "gt hypot isfinite isinf isnan le lgamma log10 log2 logical_and logical_not logical_or lt ne remainder "
        "sinh trunc"
    ),
    "older": ("lu lu_solve orgqr pinverse qr svd triangular_solve"),
    "..nn.functional": (
        "adaptive_avg_pool1d alpha_dropout avg_pool1d bilinear celu channel_shuffle conv1d conv2d conv3d "
        "conv_transpose1d conv_transpose2d conv_transpose3d cosine_similarity dropout feature_alpha_dropout "
        "group_norm hardshrink layer_norm max_pool1d max_pool2d max_pool3d pairwise_distance pixel_shuffle "
        "pixel_unshuffle prelu rms_norm rrelu selu"
    ),
    "methods": ("clone detach fill"),
}
_METHODS = {
    "elementwise": (
        "absolute add addcdiv addcmul allclose angle arccos arccosh arcsin arcsinh arctan arctan2 arctanh "
        "clamp_max clamp_min conj conj_physical copysign deg2rad digamma div divide equal fix float_power "
        "floor_divide fmax fmin frac greater greater_equal heaviside i0 is_complex isclose isneginf isposinf "
        "isreal ldexp lerp less less_equal logaddexp logaddexp2 logical_xor logit masked_fill multiply mvlgamma "
        "nan_to_num negative not_equal positive rad2deg reciprocal resolve_conj resolve_neg round rsqrt sgn "
        "signbit sinc sub subtract true_divide xlogy"
    ),
    "indexing": (
        "argwhere flip gather index_add index_copy index_fill index_put index_reduce index_select "
        "masked_scatter masked_select narrow nonzero nonzero_static put scatter scatter_add scatter_reduce "
        "select select_scatter slice_scatter take take_along_dim"
    ),
    "shapes": (
        "adjoint broadcast_to chunk diag diag_embed diagflat diagonal diagonal_scatter dsplit expand_as fliplr "
        "flipud hsplit moveaxis movedim ravel repeat repeat_interleave reshape_as roll rot90 split "
        "split_with_sizes swapaxes swapdims t tensor_split tile trace tril triu unbind unflatten unfold "
        "unsafe_chunk unsafe_split unsafe_split_with_sizes view_as vsplit"
    ),
    "reductions": (
        "aminmax argsort bincount corrcoef count_nonzero cov cummax cummin cumprod cumsum diff dist histc "
        "kthvalue logcumsumexp max mean median min mode msort nanmean nanmedian nanquantile nansum norm prod "
        "quantile renorm sort std sum topk unique var"
    ),
    "matrices": (
        "addbmm addmm addmv addr baddbmm bmm cholesky cholesky_inverse cholesky_solve cross det dot ger inner "
        "inverse kron logdet matrix_exp matrix_power mm mv ormqr slogdet vdot"
    ),
    "integers": (
        "bitwise_and bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor frexp gcd "
        "histogram isin lcm nextafter unique_consecutive"
    ),
    "facts": (
        "byte char contiguous cpu device dim element_size half is_contiguous is_floating_point is_nonzero "
        "is_same_size is_signed itemsize nbytes ndimension nelement new_empty new_full new_ones new_tensor "
        "new_zeros numel real short sum_to_size to type_as"
    ),
    "making": ("bernoulli multinomial"),
    # What NumPy's protocols call: its functions that no operation stands for alone.
    "numpys": ("_numpy_function _numpy_ufunc"),
    "..ops": (
        "acos acosh asin asinh atan atan2 atanh ceil cosh eq erf erfc erfinv exp2 floor fmod ge gt hypot "
        "isfinite isinf isnan le lgamma log10 log2 logical_and logical_not logical_or lt ne remainder sinh "
        "trunc"
    ),
    "older": ("lu lu_solve orgqr pinverse qr svd triangular_solve"),
    "methods": ("polygamma view"),
    "..nn.functional": ("hardshrink prelu"),
}

HOMES: dict[str, str] = {name: home for home, names in _NAMES.items() for name in names.split()}
"""The module in which each public function is written."""

METHODS: dict[str, str] = {name: home for home, names in _METHODS.items() for name in names.split()}
"""The module in which each method of Tensor is written."""


def function(name: str, home: str) -> Any:
    """The function, its module being imported by now."""
    return getattr(importlib.import_module(home if home.startswith(".") else f".{home}", __name__), name)


class Late:
    """A method of Tensor that is imported when it is first looked at, and from then on stands in the class itself."""

    def __init__(self, name: str, home: str) -> None:
        self.name = name
        self.home = home

    def __get__(self, instance: Any, owner: type) -> Any:
        """The method, bound where there is a tensor."""
        found = function(self.name, self.home)
        for base in owner.__mro__:
            if vars(base).get(self.name) is self:
                setattr(base, self.name, found)
        return found if instance is None else found.__get__(instance, owner)


def attach(tensor: type) -> None:
    """Make the methods of a class of tensors of them, where it has none of this name."""
    for name, home in METHODS.items():
        if name not in vars(tensor):
            setattr(tensor, name, Late(name, home))
