"""Layers of layers: in a row, in a list, under names; and the multilayer perceptron."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Self, overload

import numpy as np
from numpy.typing import DTypeLike

from ..errors import ArgumentError, did_you_mean
from ..tensor import generator
from . import init
from .activations import GELU, LeakyReLU, ReLU, SiLU, Softplus, make_activation
from .dropout import Dropout
from .layers import Linear
from .module import Module

__all__ = ["MLP", "ModuleDict", "ModuleList", "Sequential"]


class _Indexed(Module):
    """Layers under the names ``"0"``, ``"1"``, …: what Sequential and ModuleList have in common."""

    def append(self, layer: Module) -> Self:
        """Attach one more layer at the end.

        Raises:
            ArgumentError: it is not a Module.
        """
        self.add_module(str(len(self)), layer)
        return self

    def add(self, layer: Module) -> Self:
        """Attach one more layer at the end; Keras' name for :meth:`append`."""
        return self.append(layer)

    def extend(self, layers: Iterable[Module]) -> Self:
        """Attach several layers at the end.

        Raises:
            ArgumentError: one is not a Module.
        """
        for layer in layers:
            self.append(layer)
        return self

    def insert(self, index: int, layer: Module) -> Self:
        """Put a layer in front of the one at ``index``; those behind it move on by one.

        Raises:
            ArgumentError: it is not a Module.
        """
        layers = self._layers()
        layers.insert(index, layer)
        for name in list(self._modules):
            delattr(self, name)
        return self.extend(layers)

    def _layers(self) -> list[Module]:
        return [layer for layer in self._modules.values() if layer is not None]

    def _name(self, index: int) -> str:
        names = list(self._modules)
        try:
            return names[index]
        except IndexError:
            raise IndexError(f"{type(self).__name__} has {len(names)} layers, got index {index}") from None

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._layers())

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> Sequential: ...
    def __getitem__(self, index: int | slice) -> Any:
        """One layer, or for a slice a Sequential that shares the layers."""
        if isinstance(index, slice):
            return Sequential(self._layers()[index])
        return self._modules[self._name(index)]

    def __setitem__(self, index: int, layer: Module) -> None:
        setattr(self, self._name(index), layer)


def _one_by_one(layers: tuple[Any, ...]) -> Iterable[Any]:
    return layers[0] if len(layers) == 1 and isinstance(layers[0], (list, tuple)) else layers


class Sequential(_Indexed):
    """Layers called one after the other, each on the output of the one before.

    Args:
        layers: Modules, one by one, in one list, or in one dict, whose keys are then their names.

    Raises:
        ArgumentError: something in it is not a Module.

    >>> from tinygrad_mlp import nn
    >>> nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1))
    Sequential(
      (0): Linear(in_features=2, out_features=8, bias=True)
      (1): ReLU()
      (2): Linear(in_features=8, out_features=1, bias=True)
    )
    """

    def __init__(self, *layers: Any) -> None:
        super().__init__()
        if len(layers) == 1 and isinstance(layers[0], dict):
            for name, layer in layers[0].items():
                self.add_module(name, layer)
        else:
            self.extend(_one_by_one(layers))

    def forward(self, x: Any) -> Any:
        """The output of the last layer."""
        for layer in self._modules.values():
            x = layer(x)  # type: ignore[misc]
        return x


class ModuleList(_Indexed):
    """Layers in a list that a Module sees, unlike those in a Python list. It has no ``forward`` of its own.

    Args:
        layers: Modules.

    Raises:
        ArgumentError: something in it is not a Module.
    """

    def __init__(self, layers: Iterable[Module] = ()) -> None:
        super().__init__()
        self.extend(layers)


class ModuleDict(Module):
    """Layers under names, in a dict that a Module sees. It has no ``forward`` of its own.

    Args:
        layers: Modules by name.

    Raises:
        ArgumentError: something in it is not a Module, or a name is taken by a method or holds a dot.

    >>> from tinygrad_mlp import nn
    >>> heads = nn.ModuleDict({"digit": nn.Linear(8, 10, seed=0), "letter": nn.Linear(8, 26, seed=0)})
    >>> [name for name, _ in heads.named_parameters()]
    ['digit.weight', 'digit.bias', 'letter.weight', 'letter.bias']
    """

    def __init__(self, layers: Mapping[str, Module] | None = None) -> None:
        super().__init__()
        self.update(layers or {})

    def update(self, layers: Mapping[str, Module]) -> None:
        """Attach layers by name, in the place of those that have the names."""
        for name, layer in layers.items():
            self[name] = layer

    def keys(self) -> Iterable[str]:
        """The names."""
        return self._modules.keys()

    def values(self) -> Iterable[Module]:
        """The layers."""
        return [layer for layer in self._modules.values() if layer is not None]

    def items(self) -> Iterable[tuple[str, Module]]:
        """Names and layers."""
        return [(name, layer) for name, layer in self._modules.items() if layer is not None]

    def pop(self, name: str) -> Module:
        """Take a layer out."""
        layer: Module = self[name]
        del self[name]
        return layer

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, name: object) -> bool:
        return name in self._modules

    def __getitem__(self, name: str) -> Any:
        if name not in self._modules:
            raise KeyError(did_you_mean("layer", name, self._modules))
        return self._modules[name]

    def __setitem__(self, name: str, layer: Module) -> None:
        if name in self._modules and isinstance(layer, Module):
            setattr(self, name, layer)
        else:
            self.add_module(name, layer)

    def __delitem__(self, name: str) -> None:
        delattr(self, name)


_HE = (ReLU, LeakyReLU, GELU, SiLU, Softplus)


class MLP(Sequential):
    """A multilayer perceptron: dense layers with an activation between them, and none after the last.

    Args:
        sizes: the number of inputs, the width of each hidden layer, the number of outputs.
        activation: a name (relu, leaky_relu, gelu, silu, softplus, tanh, sigmoid, identity) or a class of layer; or a
            list of them, one for each hidden layer.
        dropout: the probability of dropping a hidden value in training; 0 makes no Dropout layers.
        bias: False leaves all biases out.
        rng, seed: for the initial values and the dropout masks; fresh by default.
        dtype: of the parameters; the default dtype unless given.

    The initial weights are chosen for the activation they feed: He normal, ``std = sqrt(2 / fan_in)``, before relu,
    leaky_relu (with its slope), gelu, silu and softplus; Glorot uniform, ``U(±sqrt(6 / (fan_in + fan_out)))``, before
    tanh, sigmoid, anything else, and for the last layer. Biases start at 0.

    Raises:
        ArgumentError: fewer than two sizes, a size that is not a positive integer, an unknown activation, a list of
            activations that is not as long as there are hidden layers.

    Source: He et al., ICCV 2015; Glorot & Bengio, AISTATS 2010.

    >>> from tinygrad_mlp import nn
    >>> model = nn.MLP(784, 300, 100, 10, seed=0)
    >>> model.summary().total
    266610
    """

    def __init__(
        self,
        *sizes: int,
        activation: str | Callable[[], Module] | Sequence[str | Callable[[], Module]] = "relu",
        dropout: float = 0.0,
        bias: bool = True,
        rng: np.random.Generator | None = None,
        seed: int | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        if len(sizes) < 2:
            raise ArgumentError(f"MLP takes at least two sizes one by one, got {sizes}; say MLP(784, 300, 100, 10)")
        hidden = len(sizes) - 2
        each: list[Any] = list(activation) if isinstance(activation, (list, tuple)) else [activation] * hidden
        if len(each) != hidden:
            raise ArgumentError(
                f"MLP takes one activation, or a list of one for each of the {hidden} hidden layers, got {len(each)}"
            )
        draws = generator(rng, seed)
        layers: list[Module] = []
        for (fan_in, fan_out), one in zip(itertools.pairwise(sizes[:-1]), each, strict=True):
            made = make_activation(one)
            layers += [_dense(fan_in, fan_out, bias, made, draws, dtype), made]
            if dropout:
                layers.append(Dropout(dropout, rng=draws.spawn(1)[0]))
        layers.append(_dense(sizes[-2], sizes[-1], bias, None, draws, dtype))
        super().__init__(layers)


def _dense(
    fan_in: int, fan_out: int, bias: bool, feeds: Module | None, draws: np.random.Generator, dtype: DTypeLike | None
) -> Linear:
    dense = Linear(fan_in, fan_out, bias, rng=draws, dtype=dtype)
    if isinstance(feeds, _HE):
        slope = feeds.negative_slope if isinstance(feeds, LeakyReLU) else 0.0
        init.he_normal_(dense.weight, slope, rng=draws)
    else:
        init.glorot_uniform_(dense.weight, rng=draws)
    if dense.bias is not None:
        init.zeros_(dense.bias)
    return dense
