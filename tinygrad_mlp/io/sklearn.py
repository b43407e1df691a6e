"""Weights of scikit-learn's multilayer perceptrons: from a fitted estimator or its arrays, and back.

A joblib file of an estimator is a pickle and is not read. Where scikit-learn is installed, load it there and give the
estimator; where it is not, carry the arrays over in an ``.npz``::

    np.savez(
        "mlp.npz",
        activation=mlp.activation,
        **{f"coefs_{i}": w for i, w in enumerate(mlp.coefs_)},
        **{f"intercepts_{i}": b for i, b in enumerate(mlp.intercepts_)},
    )
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import ArgumentError, FileFormatError, ShapeError, did_you_mean
from ..nn import Identity, Linear, Module, ReLU, Sequential, Sigmoid, Tanh
from ..tape import Array
from .npz import read_npz

__all__ = ["from_sklearn", "to_sklearn_weights"]

_ACTIVATIONS: dict[str, type[Module]] = {"identity": Identity, "logistic": Sigmoid, "relu": ReLU, "tanh": Tanh}


def from_sklearn(source: Any, *, activation: str | None = None) -> Sequential:
    """The network of an ``MLPClassifier`` or ``MLPRegressor``, giving logits for a classifier.

    Args:
        source: a fitted estimator; or the pair ``(coefs_, intercepts_)``; or the path of an ``.npz`` with ``coefs_0``,
            ``intercepts_0``, … and, if it likes, ``activation``.
        activation: scikit-learn's name of the hidden activation, ``"relu"``, ``"tanh"``, ``"logistic"`` or
            ``"identity"``, where the source does not tell it; ``"relu"``, its default, if nobody does.

    Returns:
        ``Sequential(Linear, activation, Linear, …, Linear)``, of the dtype of the arrays. The last layer gives what
        scikit-learn applies ``out_activation_`` to: ``softmax`` (several classes) or the logistic function (two, in one
        column) of it are the probabilities.

    Raises:
        ArgumentError: an estimator that is not fitted, an unknown activation. ShapeError: matrices that do not follow
            on each other. FileFormatError, UnsafeFileError: an ``.npz`` that is not one, or is out to harm.

    >>> import numpy as np
    >>> from tinygrad_mlp import io
    >>> io.from_sklearn(([np.ones((3, 2)), np.ones((2, 1))], [np.zeros(2), np.zeros(1)]), activation="tanh")
    Sequential(
      (0): Linear(in_features=3, out_features=2, bias=True)
      (1): Tanh()
      (2): Linear(in_features=2, out_features=1, bias=True)
    )
    """
    coefs, intercepts, known = _arrays_of(source)
    name = activation or known or "relu"
    if name not in _ACTIVATIONS:
        raise ArgumentError(did_you_mean("activation", name, _ACTIVATIONS))
    if not coefs or len(coefs) != len(intercepts):
        raise ShapeError(f"expected one row of intercepts per matrix, got {len(coefs)} and {len(intercepts)}")
    for place, (weight, bias) in enumerate(zip(coefs, intercepts, strict=True)):
        if weight.ndim != 2 or bias.shape != weight.shape[1:] or weight.dtype.kind != "f":
            raise ShapeError(
                f"layer {place}: expected coefs_ (inputs, outputs) and intercepts_ (outputs,) of floats, got "
                f"{weight.shape} {weight.dtype} and {bias.shape}"
            )
    for place, (before, after) in enumerate(itertools.pairwise(coefs)):
        if before.shape[1] != after.shape[0]:
            raise ShapeError(f"layer {place} gives {before.shape[1]} numbers, but the next takes {after.shape[0]}")
    layers: list[Module] = []
    for weight, bias in zip(coefs, intercepts, strict=True):
        dense = Linear(*weight.shape, dtype=weight.dtype)
        dense.load_state_dict({"weight": weight.T, "bias": bias.astype(weight.dtype)})
        layers += [dense, _ACTIVATIONS[name]()]
    return Sequential(layers[:-1])


def _arrays_of(source: Any) -> tuple[list[Array], list[Array], str | None]:
    if isinstance(source, (str, os.PathLike)):
        arrays = read_npz(source)
        coefs = [arrays[f"coefs_{place}"] for place in itertools.takewhile(
            lambda place: f"coefs_{place}" in arrays, itertools.count())]  # fmt: skip
        try:
            intercepts = [arrays[f"intercepts_{place}"] for place in range(len(coefs))]
        except KeyError as error:
            raise FileFormatError(f"{source} has no array {error}") from None
        return coefs, intercepts, str(arrays["activation"]) if "activation" in arrays else None
    if isinstance(source, Sequence) and len(source) == 2:
        return [np.asarray(one) for one in source[0]], [np.asarray(one) for one in source[1]], None
    if not hasattr(source, "coefs_"):
        raise ArgumentError(
            f"expected a fitted MLPClassifier or MLPRegressor, (coefs_, intercepts_) or the path of an .npz, got "
            f"{type(source).__name__}; say from_sklearn(mlp.fit(X, y))"
        )
    return list(source.coefs_), list(source.intercepts_), source.activation


def to_sklearn_weights(model: Module) -> tuple[list[Array], list[Array]]:
    """The weights of a model's Linear layers in scikit-learn's form.

    Args:
        model: dense layers one after the other, as an :class:`~tinygrad_mlp.nn.MLP` has them.

    Returns:
        ``(coefs_, intercepts_)``, copies: per layer ``(inputs, outputs)`` and ``(outputs,)``. To give them to a fitted
        estimator of the same sizes: ``mlp.coefs_, mlp.intercepts_ = to_sklearn_weights(model)``.

    Raises:
        ArgumentError: no Linear layers, or another layer that has parameters.
    """
    dense = [one for one in model.modules() if isinstance(one, Linear)]
    theirs = {id(one) for layer in dense for one in layer.parameters()}
    if not dense or any(id(one) not in theirs for one in model.parameters()):
        raise ArgumentError(
            f"scikit-learn's networks are Linear layers and activations, but {type(model).__name__} has "
            f"{'none' if not dense else 'other parameters, too'}; pass the part that is an MLP"
        )
    return (
        [np.ascontiguousarray(one.weight.data.T) for one in dense],
        [np.zeros(one.out_features, one.weight.dtype) if one.bias is None else one.bias.data.copy() for one in dense],
    )
