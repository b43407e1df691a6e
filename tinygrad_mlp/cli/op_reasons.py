"""Why each operation is one, and not a composition of others: for the page of all operations."""

from __future__ import annotations

__all__ = ["WHY"]

_REASONS = {
    "elementary: others are made of it": (
        "abs add cat div exp getitem log matmul maximum minimum mul neg permute reshape sin cos sqrt sub sum where"
    ),
    "accuracy: NumPy's own function rounds once; made of others it loses digits or overflows": (
        "acos acosh asin asinh atan atan2 atanh cosh exp2 expm1 fmod hypot log10 log1p log2 remainder sinh tan tanh"
    ),
    "accuracy: a special function; no finite combination of others is it": "erf erfc erfinv lgamma polygamma",
    "accuracy: written so that nothing overflows and no digits cancel, in value and derivatives": (
        "gelu logsumexp log_softmax normal_density pow pow_by_number power_less sigmoid silu softmax softplus softsign"
        " exponential_unit standardise"
    ),
    "accuracy: from scores directly, where probabilities would underflow; speed: one pass over them": (
        "bce_with_logits cross_entropy soft_class_loss"
    ),
    "accuracy: the derivative in a form that does not cancel, as composition of the rule's parts it would": (
        "bce_gradient cross_entropy_gradient exponential_slope gelu_bend gelu_slope hypot_slope pow_by_base"
        " pow_by_exponent sigmoid_slope silu_slope soft_class_gradient tanh_slope"
    ),
    "rule at kinks: a product or a quotient would make NaN of 0 times infinity": "either_zero_wins gate zdiv zmul",
    "rule at kinks: which slope holds depends on the operand, once": "at_least at_most leaky_gate leaky_relu relu ties",
    "no gradient: an answer, a place or a step": (
        "all any argmax argmin ceil eq floor ge gt isfinite isinf isnan le logical_and logical_not logical_or lt ne"
        " places_along places_of rint sign trunc"
    ),
    "reduces: equal extremes share the gradient": "amax amin",
    "speed: one call instead of several in the steps of small nets": (
        "linear linear_weight linear_without_bias mean square squared_error"
    ),
    "speed: a whole loop over time in one call": "lstm lstm_gradient",
    "speed: one pass over the rows instead of several; the adjoint of standardise": "standardise_gradient",
    "speed: rows looked up without a copy of the index; its adjoint": "embedding row_sums",
    "speed: a view of all windows, or one sum over them; each is the other's adjoint": "fold unfold",
    "speed: running sums in one pass; its own adjoint, backwards": "cumsum",
    "adjoint: what broadcasting and indexing become on the way back, or the other way round": (
        "broadcast_to pick put scatter sum_to"
    ),
    "changes dtypes or checks values; nothing else does": "cast checked_finite",
    "generality: any sum of products in one call of NumPy's": "einsum",
    "accuracy and speed: LAPACK's elimination, factors and determinants": "factors log_abs_det solve_square",
}

WHY: dict[str, str] = {name: reason for reason, names in _REASONS.items() for name in names.split()}
"""The reason by the name of the operation."""
