"""Functions of other libraries, seen by the gradient checker: values, gradients and pushes on NumPy arrays.

Each class here is one library's way to the five things a check needs (:class:`Subject`). A library is imported when a
function of its own is checked, and not before.
"""

from __future__ import annotations

import inspect
import types
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np

from ..errors import ArgumentError, DTypeError, GradientError, ShapeError
from ..extras import need
from ..tape import Array
from ..tree import flatten

__all__ = ["FRAMEWORKS", "Autograd", "Jax", "Numpy", "Subject", "Torch", "guess"]

FRAMEWORKS = ("auto", "tinygrad_mlp", "torch", "jax", "autograd", "numpy")


class Subject(Protocol):
    """A function under test. Points and gradients are one array per input; values are all outputs in one flat array.

    Attributes:
        framework: whose gradients these are.
        refusals: what the library raises for complex numbers, or where it has no derivative of the kind asked for.
        complex_gradients: whether ``gradient`` runs on complex points as an analytic function does.
    """

    framework: str
    refusals: tuple[type[Exception], ...]
    complex_gradients: bool

    def value(self, points: Sequence[Array]) -> Array:
        """The function's values, without anything recorded; complex points give complex values, or an error."""

    def gradient(self, points: Sequence[Array], incoming: Array) -> list[Array]:
        """``incoming · J`` by every input."""

    def push(self, points: Sequence[Array], tangents: Sequence[Array]) -> Array:
        """``J · tangents``, by forward mode."""

    def second(self, points: Sequence[Array], incoming: Array, weights: Sequence[Array]) -> list[Array]:
        """The gradient of ``Σ weights · gradient(points, incoming)`` by every input, reverse over reverse."""

    def second_push(self, points: Sequence[Array], incoming: Array, tangents: Sequence[Array]) -> list[Array]:
        """The change of ``gradient(points, incoming)`` along ``tangents``, forward over reverse."""


def _flat(arrays: Sequence[Array]) -> Array:
    return np.concatenate([np.ravel(one) for one in arrays]) if arrays else np.zeros(0)


def _split(flat: Array, shapes: Sequence[tuple[int, ...]]) -> list[Array]:
    sizes = [int(np.prod(shape)) for shape in shapes]
    parts = np.split(flat, np.cumsum(sizes)[:-1]) if sizes else []
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]


def _in_double(framework: str, dtype: object, hint: str) -> None:
    if not str(dtype).endswith(("float64", "complex128")):
        raise DTypeError(
            f"gradcheck: this {framework} function answers float64 inputs with {dtype}, too coarse to compare; {hint}"
        )


class Torch:
    """A function of ``torch`` tensors; an ``nn.Module`` is checked as a copy in double precision."""

    framework = "torch"
    refusals: tuple[type[Exception], ...] = (RuntimeError, TypeError, ValueError)
    complex_gradients = False

    def __init__(self, fn: Callable[..., Any]) -> None:
        self.torch = need("torch", extra="parity", purpose="check the gradient of a torch function")
        if isinstance(fn, self.torch.nn.Module):
            import copy  # noqa: PLC0415 - only here

            fn = copy.deepcopy(fn).double()
        self.fn = fn

    def _inputs(self, points: Sequence[Array]) -> list[Any]:
        return [self.torch.from_numpy(np.array(point)) for point in points]

    def _outputs(self, result: Any) -> list[Any]:
        outputs = flatten(result)[0]
        for one in outputs:
            if not isinstance(one, self.torch.Tensor):
                raise ArgumentError(f"gradcheck: a torch function returns tensors, got {type(one).__name__}")
            _in_double("torch", one.dtype, "build its tensors with dtype=torch.float64, or say module.double()")
        return outputs

    def value(self, points: Sequence[Array]) -> Array:
        """See :class:`Subject`."""
        with self.torch.no_grad():
            outputs = self._outputs(self.fn(*self._inputs(points)))
        return _flat([one.resolve_conj().numpy() for one in outputs])

    def _recorded(self, points: Sequence[Array], incoming: Array) -> tuple[list[Any], list[Any], list[Any], list[Any]]:
        inputs = [one.requires_grad_() for one in self._inputs(points)]
        with self.torch.enable_grad():
            outputs = self._outputs(self.fn(*inputs))
        seeds = self._inputs(_split(incoming, [tuple(one.shape) for one in outputs]))
        live = [(y, g) for y, g in zip(outputs, seeds, strict=True) if y.requires_grad]
        return inputs, [y for y, _ in live], [g for _, g in live], seeds

    def _arrays(self, found: Sequence[Any], points: Sequence[Array]) -> list[Array]:
        return [
            np.zeros(point.shape) if one is None else one.detach().numpy()
            for one, point in zip(found, points, strict=True)
        ]

    def gradient(self, points: Sequence[Array], incoming: Array) -> list[Array]:
        """See :class:`Subject`."""
        inputs, outputs, seeds, everything = self._recorded(points, incoming)
        if not outputs:
            return [np.zeros(point.shape) for point in points]
        found = self.torch.autograd.grad(outputs, inputs, seeds, allow_unused=True)
        gradients = self._arrays(found, points)
        # A backward pass that writes into its incoming gradient shows to the caller.
        incoming[...] = _flat([one.numpy() for one in everything])
        return gradients

    def push(self, points: Sequence[Array], tangents: Sequence[Array]) -> Array:
        """See :class:`Subject`."""
        out = self._jvp(lambda *xs: tuple(self._outputs(self.fn(*xs))), points, tangents)
        return _flat([one.detach().numpy() for one in out])

    def _jvp(self, function: Callable[..., Any], points: Sequence[Array], tangents: Sequence[Array]) -> Any:
        with warnings.catch_warnings():
            # The first use of forward mode imports parts of torch that warn about other parts of torch.
            warnings.filterwarnings("ignore", message=".*torch.jit", category=DeprecationWarning)
            return self.torch.func.jvp(function, tuple(self._inputs(points)), tuple(self._inputs(tangents)))[1]

    def second(self, points: Sequence[Array], incoming: Array, weights: Sequence[Array]) -> list[Array]:
        """See :class:`Subject`."""
        inputs, outputs, seeds, _ = self._recorded(points, incoming)
        if not outputs:
            return [np.zeros(point.shape) for point in points]
        first = self.torch.autograd.grad(outputs, inputs, seeds, create_graph=True, allow_unused=True)
        terms = [
            (one * weight).sum()
            for one, weight in zip(first, self._inputs(weights), strict=True)
            if one is not None and one.requires_grad
        ]
        if not terms:
            return [np.zeros(point.shape) for point in points]
        return self._arrays(self.torch.autograd.grad(sum(terms), inputs, allow_unused=True), points)

    def second_push(self, points: Sequence[Array], incoming: Array, tangents: Sequence[Array]) -> list[Array]:
        """See :class:`Subject`."""

        def gradient(*xs: Any) -> Any:
            outputs, pull = self.torch.func.vjp(lambda *ys: tuple(self._outputs(self.fn(*ys))), *xs)
            return pull(tuple(self._inputs(_split(incoming, [tuple(one.shape) for one in outputs]))))

        return [one.detach().numpy() for one in self._jvp(gradient, points, tangents)]


class Jax:
    """A function of JAX arrays, run with 64-bit numbers enabled."""

    framework = "jax"
    refusals: tuple[type[Exception], ...] = (AssertionError, NotImplementedError, TypeError, ValueError)
    complex_gradients = False

    def __init__(self, fn: Callable[..., Any]) -> None:
        self.jax = need("jax", extra="parity", purpose="check the gradient of a JAX function")
        self.fn = fn

    def _wide(self) -> AbstractContextManager[Any]:
        # Before JAX 0.8 the switch was an experimental one.
        enable = getattr(self.jax, "enable_x64", None)
        if enable is None:
            enable = self.jax.experimental.enable_x64
        context: AbstractContextManager[Any] = enable(True)
        return context

    def _inputs(self, points: Sequence[Array]) -> list[Any]:
        return [self.jax.numpy.asarray(point) for point in points]

    def _outputs(self, *xs: Any) -> list[Any]:
        outputs: list[Any] = self.jax.tree_util.tree_leaves(self.fn(*xs))
        for one in outputs:
            _in_double("jax", one.dtype, "do not fix dtypes inside it")
        return outputs

    def value(self, points: Sequence[Array]) -> Array:
        """See :class:`Subject`."""
        with self._wide():
            return _flat([np.asarray(one) for one in self._outputs(*self._inputs(points))])

    def _pulled(self, incoming: Array) -> Callable[..., Any]:
        def gradient(*xs: Any) -> Any:
            outputs, pull = self.jax.vjp(self._outputs, *xs)
            return pull(self._inputs(_split(incoming, [one.shape for one in outputs])))

        return gradient

    def gradient(self, points: Sequence[Array], incoming: Array) -> list[Array]:
        """See :class:`Subject`."""
        with self._wide():
            return [np.asarray(one) for one in self._pulled(incoming)(*self._inputs(points))]

    def push(self, points: Sequence[Array], tangents: Sequence[Array]) -> Array:
        """See :class:`Subject`."""
        with self._wide():
            _, out = self.jax.jvp(self._outputs, tuple(self._inputs(points)), tuple(self._inputs(tangents)))
            return _flat([np.asarray(one) for one in out])

    def second(self, points: Sequence[Array], incoming: Array, weights: Sequence[Array]) -> list[Array]:
        """See :class:`Subject`."""
        with self._wide():
            _, pull = self.jax.vjp(self._pulled(incoming), *self._inputs(points))
            return [np.asarray(one) for one in pull(tuple(self._inputs(weights)))]

    def second_push(self, points: Sequence[Array], incoming: Array, tangents: Sequence[Array]) -> list[Array]:
        """See :class:`Subject`."""
        with self._wide():
            _, out = self.jax.jvp(self._pulled(incoming), tuple(self._inputs(points)), tuple(self._inputs(tangents)))
            return [np.asarray(one) for one in out]


class Autograd:
    """A function written with HIPS ``autograd.numpy``; outside a trace it is plain NumPy, complex numbers included."""

    framework = "autograd"
    refusals: tuple[type[Exception], ...] = (AssertionError, NotImplementedError, TypeError)
    complex_gradients = False

    def __init__(self, fn: Callable[..., Any]) -> None:
        self.autograd = need("autograd", extra="parity", purpose="check the gradient of a HIPS autograd function")
        self.fn = fn

    def _flat(self, args: Sequence[Any]) -> Any:
        result = self.fn(*args)
        outputs = result if isinstance(result, (list, tuple)) else [result]
        return self._joined(outputs)

    def _joined(self, arrays: Sequence[Any]) -> Any:
        numpy = self.autograd.numpy
        return numpy.concatenate([numpy.ravel(one) for one in arrays])

    def _pulled(self, incoming: Array) -> Callable[..., Any]:
        """The gradients by all inputs, in one flat array, as a function of the inputs."""

        def gradient(args: Any) -> Any:
            pull, _ = self.autograd.differential_operators.make_vjp(self._flat)(args)
            return self._joined(pull(incoming))

        return gradient

    def value(self, points: Sequence[Array]) -> Array:
        """See :class:`Subject`."""
        return np.asarray(self._flat(points))

    def gradient(self, points: Sequence[Array], incoming: Array) -> list[Array]:
        """See :class:`Subject`."""
        return _split(self._pulled(incoming)(tuple(points)), [one.shape for one in points])

    def push(self, points: Sequence[Array], tangents: Sequence[Array]) -> Array:
        """See :class:`Subject`."""
        pushed = self.autograd.differential_operators.make_jvp(self._flat)(tuple(points))
        return np.asarray(pushed(tuple(tangents))[1])

    def second(self, points: Sequence[Array], incoming: Array, weights: Sequence[Array]) -> list[Array]:
        """See :class:`Subject`."""
        pull, _ = self.autograd.differential_operators.make_vjp(self._pulled(incoming))(tuple(points))
        return [np.asarray(one) for one in pull(_flat(weights))]

    def second_push(self, points: Sequence[Array], incoming: Array, tangents: Sequence[Array]) -> list[Array]:
        """See :class:`Subject`."""
        pushed = self.autograd.differential_operators.make_jvp(self._pulled(incoming))(tuple(points))
        return _split(np.asarray(pushed(tuple(tangents))[1]), [one.shape for one in points])


class Numpy:
    """A function of plain arrays, and a backward pass somebody wrote by hand.

    ``grad(g, *inputs)`` gives the gradient by every input for the incoming gradient ``g``; where the function returns
    one number, ``grad(*inputs)`` will do.
    """

    framework = "numpy"
    refusals: tuple[type[Exception], ...] = (TypeError,)
    complex_gradients = False

    def __init__(self, fn: Callable[..., Any], grad: Callable[..., Any], count: int) -> None:
        self.fn = fn
        self.grad = grad
        try:
            signature = inspect.signature(grad)
            signature.bind(*[None] * (count + 1))
        except TypeError:
            self.takes_incoming = False
        except ValueError:  # no signature to read: compiled code
            self.takes_incoming = True
        else:
            self.takes_incoming = True

    def _outputs(self, points: Sequence[Array]) -> tuple[Any, ...]:
        result = self.fn(*points)
        return tuple(result) if isinstance(result, (list, tuple)) else (result,)

    def value(self, points: Sequence[Array]) -> Array:
        """See :class:`Subject`."""
        return _flat([np.asarray(one) for one in self._outputs(points)])

    def gradient(self, points: Sequence[Array], incoming: Array) -> list[Array]:
        """See :class:`Subject`.

        Raises:
            ArgumentError: the backward pass takes no incoming gradient and the function returns several numbers.
            ShapeError: a gradient has another shape than its input.
        """
        result = self.fn(*points)
        if self.takes_incoming:
            several = isinstance(result, (list, tuple))
            parts = _split(incoming, [np.shape(one) for one in (result if several else [result])])
            found = self.grad(parts if several else parts[0], *points)
        elif incoming.size != 1:
            raise ArgumentError(
                f"gradcheck: grad takes no incoming gradient but the function returns {incoming.size} numbers; write "
                "it as grad(g, *inputs)"
            )
        else:
            found = self.grad(*points)
        given = list(found) if isinstance(found, (list, tuple)) else [found]
        if len(given) != len(points):
            raise ArgumentError(f"gradcheck: grad returned {len(given)} gradients for {len(points)} inputs")
        gradients = [
            np.zeros(point.shape) if one is None else np.asarray(one) for one, point in zip(given, points, strict=True)
        ]
        for i, (one, point) in enumerate(zip(gradients, points, strict=True)):
            if one.shape != point.shape:
                raise ShapeError(f"gradcheck: the gradient by input {i} has shape {one.shape}, not {point.shape}")
        return gradients if self.takes_incoming else [one * incoming.item() for one in gradients]

    def push(self, points: Sequence[Array], tangents: Sequence[Array]) -> Array:
        """See :class:`Subject`."""
        del points, tangents
        raise ArgumentError('gradcheck: a hand-written backward pass has no forward mode; say mode="reverse"')

    def second(self, points: Sequence[Array], incoming: Array, weights: Sequence[Array]) -> list[Array]:
        """See :class:`Subject`."""
        del points, incoming, weights
        raise ArgumentError(
            "gradcheck: a hand-written backward pass has order 1 only; check its gradient as a function"
        )

    def second_push(self, points: Sequence[Array], incoming: Array, tangents: Sequence[Array]) -> list[Array]:
        """See :class:`Subject`."""
        return self.second(points, incoming, tangents)


# --- whose function is it? ----------------------------------------------------------------------------------------

_ROOTS = {"torch": "torch", "jax": "jax", "jaxlib": "jax", "autograd": "autograd", "tinygrad_mlp": "tinygrad_mlp"}


def guess(fn: Callable[..., Any], inputs: Sequence[Any]) -> str | None:
    """The library whose function this is, from the inputs, else from the libraries its code names; None: no telling.

    Raises:
        ArgumentError: the signs point to several.
    """
    for signs in ({_root(type(one)) for one in inputs} - {None}, set(_named_by(fn, 3)) - {None}):
        if len(signs) > 1:
            found = ", ".join(sorted(str(one) for one in signs))
            raise ArgumentError(f"gradcheck: this function could be of {found}; say which: framework=...")
        if signs:
            return signs.pop()
    return None


def _root(thing: Any) -> str | None:
    name = thing.__name__ if isinstance(thing, types.ModuleType) else getattr(thing, "__module__", None)
    return _ROOTS.get(name.partition(".")[0]) if isinstance(name, str) else None


def _named_by(fn: Any, depth: int) -> Iterator[str | None]:
    """The libraries of a function, of its classes, and of what its code names, a few functions deep."""
    yield _root(fn)
    if not isinstance(fn, types.FunctionType):
        yield from (_root(kind) for kind in type(fn).__mro__)
        wrapped = getattr(fn, "__wrapped__", None) or getattr(fn, "func", None) or getattr(fn, "__func__", None)
        if wrapped is None:
            wrapped = vars(type(fn)).get("__call__")
        if not isinstance(wrapped, types.FunctionType):
            return
        fn = wrapped
    names: set[str] = set()
    codes = [fn.__code__]
    while codes:
        code = codes.pop()
        names.update(code.co_names)
        codes += [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
    things = [fn.__globals__[name] for name in names if name in fn.__globals__]
    for cell in fn.__closure__ or ():
        try:
            things.append(cell.cell_contents)
        except ValueError:  # a variable not yet assigned
            continue
    for thing in things:
        if isinstance(thing, types.FunctionType) and _root(thing) is None and depth:
            yield from _named_by(thing, depth - 1)
        elif isinstance(thing, type):
            yield from (_root(kind) for kind in thing.__mro__)
        elif isinstance(thing, types.ModuleType) or callable(thing) or _root(type(thing)):
            yield _root(thing) or _root(type(thing))


def no_such_mode(framework: str, what: str, error: Exception) -> GradientError:
    """The error for a function that has no forward mode or no second derivative."""
    return GradientError(f"gradcheck: {framework} gives no {what} for this function: {type(error).__name__}: {error}")
