"""Parameters in a list or under names, for modules that have many."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self

from ..errors import did_you_mean
from ..tensor import Tensor
from .module import Module, Parameter

__all__ = ["ParameterDict", "ParameterList"]


class ParameterList(Module):
    """Parameters in a list that a Module sees, under the names ``"0"``, ``"1"`` and so on.

    Args:
        values: parameters, or data that becomes parameters.

    >>> from tinygrad_mlp import nn
    >>> [name for name, _ in nn.ParameterList([[1.0, 2.0], [3.0]]).named_parameters()]
    ['0', '1']
    """

    def __init__(self, values: Iterable[Any] = ()) -> None:
        super().__init__()
        self.extend(values)

    def append(self, value: Any) -> Self:
        """Attach one more parameter at the end."""
        self.register_parameter(str(len(self)), _as_parameter(value))
        return self

    def extend(self, values: Iterable[Any]) -> Self:
        """Attach several."""
        for value in values:
            self.append(value)
        return self

    def _name(self, index: int) -> str:
        try:
            return str(range(len(self))[index])
        except IndexError:
            raise IndexError(f"ParameterList has {len(self)} parameters, got index {index}") from None

    def __len__(self) -> int:
        return len(self._parameters)

    def __iter__(self) -> Iterator[Any]:
        return iter(list(self._parameters.values()))

    def __getitem__(self, index: int) -> Any:
        return self._parameters[self._name(index)]

    def __setitem__(self, index: int, value: Any) -> None:
        setattr(self, self._name(index), _as_parameter(value))


class ParameterDict(Module):
    """Parameters under names, in a dict that a Module sees.

    Args:
        values: parameters, or data that becomes parameters, by name.

    Raises:
        ArgumentError: a name is taken by a method or holds a dot.
    """

    def __init__(self, values: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.update(values or {})

    def update(self, values: Mapping[str, Any]) -> None:
        """Attach parameters by name, in the place of those that have the names."""
        for name, value in values.items():
            self[name] = value

    def keys(self) -> Iterable[str]:
        """The names."""
        return self._parameters.keys()

    def values(self) -> Iterable[Any]:
        """The parameters."""
        return self._parameters.values()

    def items(self) -> Iterable[tuple[str, Any]]:
        """Names and parameters."""
        return self._parameters.items()

    def __len__(self) -> int:
        return len(self._parameters)

    def __iter__(self) -> Iterator[str]:
        return iter(self._parameters)

    def __contains__(self, name: object) -> bool:
        return name in self._parameters

    def __getitem__(self, name: str) -> Any:
        if name not in self._parameters:
            raise KeyError(did_you_mean("parameter", name, self._parameters))
        return self._parameters[name]

    def __setitem__(self, name: str, value: Any) -> None:
        if name in self._parameters:
            setattr(self, name, _as_parameter(value))
        else:
            self.register_parameter(name, _as_parameter(value))

    def __delitem__(self, name: str) -> None:
        delattr(self, name)


def _as_parameter(value: Any) -> Tensor:
    return value if isinstance(value, Tensor) and value.is_leaf and value.requires_grad else Parameter(value)
