"""The Tensor: the handle people hold. Every method is one line; what it does is written in :mod:`tinygrad_mlp.ops`."""

from __future__ import annotations

import functools
import inspect
import sys
import threading
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import ContextDecorator, contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from . import ops
from .capture import Captured, capturing, cut, drawing, quietly, reading, whole_step
from .dtypes import get_default_dtype
from .errors import ArgumentError, CaptureError, DTypeError, GradientError, ShapeError, SharingError
from .ops.declare import holds_masked, operand
from .ops.names import both_names
from .tape import (
    _RECORDER,
    PACKAGE,
    WHOLE,
    Array,
    Hooks,
    Leaf,
    Node,
    Traced,
    recorder,
    recording_with,
    tick,
    walk,
    wrap,
    wrote,
)
from .watch import Recorded, checking

if TYPE_CHECKING:
    from .graph import Graph, Step

__all__ = [
    "Tensor",
    "arange",
    "enable_grad",
    "eye",
    "from_numpy",
    "full",
    "full_like",
    "is_grad_enabled",
    "linspace",
    "no_grad",
    "ones",
    "ones_like",
    "rand",
    "rand_like",
    "randn",
    "randn_like",
    "record_values",
    "set_grad_enabled",
    "tensor",
    "zeros",
    "zeros_like",
]

_KINDS = "fiub"
_COMPARABLE = (Traced, np.ndarray, np.generic, float, int, list, tuple)


def _as_data(data: Any, dtype: DTypeLike | None, *, infer: bool) -> Array:
    """A new array from whatever the user gave; ``infer`` keeps the integers and booleans of Python lists."""
    if isinstance(data, Traced):
        reading(data, "Tensor(x)")
        data = data.data
    if holds_masked(data):
        raise DTypeError("a masked array would lose its mask; fill it first: Tensor(x.filled(0))")
    known = isinstance(data, (np.ndarray, np.generic))
    if isinstance(data, (list, tuple)) and any(isinstance(one, Traced) for one in data):
        raise DTypeError("a list of tensors would lose its gradients; say stack(list) or cat(list)")
    try:
        array = np.array(data)
    except ValueError as error:
        if "inhomogeneous" not in str(error):
            raise
        raise ShapeError("the nested lists have rows of different length; a tensor needs them all equal") from None
    if array.dtype.kind not in _KINDS:
        raise DTypeError(
            f"a tensor holds floats, integers or booleans, got {type(data).__name__} of dtype {array.dtype}"
        )
    if dtype is not None:
        wanted = np.dtype(dtype)
        if wanted.kind not in _KINDS:
            raise DTypeError(f"a tensor holds floats, integers or booleans, got dtype={wanted}")
        return array.astype(wanted)
    if known:
        return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))
    return array if infer and array.dtype.kind != "f" else array.astype(get_default_dtype())


class Tensor(Traced):
    """A NumPy array that remembers how it was computed, so that gradients can be derived.

    Args:
        data: numbers, nested lists or an array; copied. Python numbers and lists become the default dtype (float32),
            arrays keep theirs. :func:`tensor` keeps Python's integers and booleans; :func:`from_numpy` shares memory.
        requires_grad: ask for the gradient of whatever is computed from it. Floats only.
        dtype: convert to this dtype.

    Attributes:
        data: the ndarray. Writing into it is not recorded.
        grad: the gradient that ``backward`` accumulated, a Tensor of the same shape and dtype, or None.

    Raises:
        DTypeError: the data is not numbers, or gradients are asked of integers.

    >>> x = Tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4.])
    """

    __slots__ = ("_parked",)

    def __init__(self, data: ArrayLike | Tensor, requires_grad: bool = False, dtype: DTypeLike | None = None) -> None:
        if requires_grad is not True and requires_grad is not False:
            raise ArgumentError(
                f"Tensor(data, requires_grad): requires_grad is True or False, got {requires_grad!r}; several numbers "
                "go in one list, Tensor([1.0, 2.0])"
            )
        self.data = _as_data(data, dtype, infer=False)
        self.node = None
        if requires_grad:
            self.requires_grad = True

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Methods that are compositions of operations are attached by the front door; see its table."""

    # --- what it is ---

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of the axes."""
        return self.data.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.data.ndim

    @property
    def size(self) -> int:
        """The number of elements."""
        return self.data.size

    @property
    def dtype(self) -> np.dtype[Any]:
        """The NumPy dtype of the elements."""
        return self.data.dtype

    @property
    def T(self) -> Tensor:  # noqa: N802 - NumPy's and torch's name
        """All axes in reverse order."""
        return ops.transpose(self)

    @property
    def mT(self) -> Tensor:  # noqa: N802 - NumPy's and torch's name
        """The last two axes swapped: each matrix of a stack transposed."""
        return ops.transpose(self, -2, -1)

    @property
    def mH(self) -> Tensor:  # noqa: N802 - torch's name
        """The same as :attr:`mT`: there are no complex tensors."""
        return self.mT

    @property
    def H(self) -> Tensor:  # noqa: N802 - torch's name
        """A matrix transposed: there are no complex tensors.

        Raises:
            ShapeError: more than two axes.
        """
        if self.data.ndim > 2:
            raise ShapeError(f"x.H: expected at most two axes, got {self.shape}; say x.mH")
        return ops.transpose(self)

    @property
    def is_leaf(self) -> bool:
        """True where nothing recorded made this tensor: gradients end here."""
        return self.node is None or isinstance(self.node, Leaf)

    @property
    def requires_grad(self) -> bool:
        """Whether computations on this tensor are recorded. Can be set on leaves of a float dtype."""
        return self.node is not None and self.node.wants

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        if not self.is_leaf:
            if wanted and not self.requires_grad:
                fresh = self.clone()
                self.node = cut(fresh)
                # The handle of a captured run shows the array that its node has.
                Traced.__dict__["data"].__set__(self, fresh.data)
            elif not wanted:
                raise GradientError("only leaves can stop requiring gradients; say x = x.detach()")
            return
        if wanted and self.node is None:
            if self.data.dtype.kind != "f":
                raise DTypeError(
                    f"only floats have gradients, this tensor is {self.data.dtype}; say x.astype('float32') first"
                )
            self.node = getattr(self, "_parked", None) or Leaf(self.data)
        elif not wanted and self.node is not None:
            # The leaf is kept aside, so that a parameter frozen and thawed again keeps its gradient.
            self._parked, self.node = self.node, None

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Set :attr:`requires_grad` and return the tensor itself."""
        self.requires_grad = requires_grad
        return self

    def _leaf(self) -> Leaf | None:
        """The leaf that holds its gradient, also while it is frozen; None for results and plain data."""
        node = self.node if self.node is not None else getattr(self, "_parked", None)
        return node if isinstance(node, Leaf) else None

    @property
    def grad(self) -> Tensor | None:
        """The accumulated gradient; None before the first backward pass that reaches this tensor.

        Only leaves keep one; asking a result for its gradient warns.
        """
        leaf = self._leaf()
        if leaf is not None or self.node is None:
            if WHOLE and leaf is not None:
                step = whole_step()
                if step is not None:
                    step.looks(leaf)
            return None if leaf is None else leaf.gradient
        if not self.retains_grad:
            warnings.warn(
                "only leaves keep their gradient, this tensor is the result of an op; say x.retain_grad() before "
                "backward(), or autograd.grad(loss, x)",
                stacklevel=2,
            )
            return None
        kept: Tensor | None = Hooks.of(self.node).gradient
        return kept

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        node: Any = self._leaf()
        if node is None and value is None and self.retains_grad:
            node = Hooks.of(cast("Node", self.node))
        if node is None:
            raise GradientError("only leaves that require gradients hold one; set requires_grad=True first")
        if value is not None and not isinstance(value, Tensor):
            raise DTypeError(f"grad: expected a Tensor or None, got {type(value).__name__}; say Tensor(value)")
        if value is not None and value.shape != self.shape:
            raise ShapeError(f"grad: expected shape {self.shape}, got {value.shape}")
        if value is not None and value.dtype != self.dtype:
            raise DTypeError(f"grad: expected dtype {self.dtype}, got {value.dtype}; say value.astype('{self.dtype}')")
        step = whole_step()
        if step is not None and value is None and isinstance(node, Leaf):
            step.cleared(node, True)
        node.gradient = value

    # --- taking it out ---

    def item(self) -> Any:
        """The one element as a Python number."""
        if self.data.size != 1:
            raise ShapeError(
                f"one number was asked for, this tensor has shape {self.shape}; x[i].item() takes one of them, "
                "x.mean() makes one of all"
            )
        reading(self, "item()")
        return self.data.item()

    def numpy(self, *, force: Any = False) -> Array:
        """The array itself, shared; ``force`` takes it off the record.

        Raises:
            GradientError: computations on this tensor are recorded; what NumPy did with the array would not be.
        """
        reading(self, "numpy()")
        if self.requires_grad and not force:
            raise GradientError("this tensor records gradients; say x.detach().numpy()")
        return self.data

    def tolist(self) -> Any:
        """Nested lists of Python numbers."""
        reading(self, "tolist()")
        return self.data.tolist()

    def detach(self) -> Tensor:
        """The same array, cut off from the graph."""
        if self.node is not None and capturing():
            make: Any = recorder()
            if make.whole and isinstance(self.node, Leaf):
                return cast("Tensor", make.holds(self))
            if make.detached(self) is not None:
                return cast("Tensor", quietly("detach()", self.clone))
        return wrap(Tensor, self.data)

    def clone(self) -> Tensor:
        """A copy that passes gradients on."""
        return ops.cast(self, dtype=self.data.dtype, source=self.data.dtype)

    def astype(self, dtype: DTypeLike) -> Tensor:
        """The elements in another dtype; gradients come back in this one."""
        return ops.astype(self, dtype)

    def float(self) -> Tensor:
        """As float32."""
        return self.astype(np.float32)

    def double(self) -> Tensor:
        """As float64."""
        return self.astype(np.float64)

    def int(self) -> Tensor:
        """As int32, rounded towards zero."""
        return self.astype(np.int32)

    def long(self) -> Tensor:
        """As int64, rounded towards zero."""
        return self.astype(np.int64)

    def bool(self) -> Tensor:
        """True where not zero."""
        return self.astype(np.bool_)

    # --- derivatives ---

    def backward(
        self, gradient: Tensor | ArrayLike | None = None, retain_graph: Any = None, create_graph: Any = False
    ) -> None:
        """Add the gradient of this tensor to ``.grad`` of every leaf that it was computed from.

        Args:
            gradient: the gradient of the final result by this tensor, of the same shape; 1 where there is one element.
            retain_graph: keep what the rules read, for another backward pass (default: the value of ``create_graph``).
            create_graph: record the backward pass itself, so that the gradients can be differentiated.

        Raises:
            GradientError: nothing recorded made this tensor, or it has several elements and no ``gradient`` was given.
            ReleasedGraphError: an earlier backward pass released the graph.
        """
        step = whole_step()
        if self.node is None or (step is not None and not self.node.wants):
            raise GradientError(
                "backward(): this tensor was computed from nothing that requires gradients. Make a leaf with "
                "requires_grad=True, and check for detach() and no_grad() on the way"
            )
        if step is not None:
            seed = seed_for(self, gradient)
            start = seed if isinstance(seed, Traced) else wrap(Tensor, seed)
            if gradient is None:
                step.fixes(start.data)
            with recording_with(step.loud if create_graph else step.quiet):
                step.accumulates(walk((self.node,), (start,), retain=True))
            return
        if recorder() is not Node and capturing():
            raise CaptureError(
                "backward() writes into .grad, which a function that runs once for many samples cannot do; take "
                "func.grad or autograd.grad inside it"
            )
        seed = seed_for(self, gradient)
        if create_graph:
            warnings.warn(
                "backward(create_graph=True) ties each leaf to its own gradient's graph in a cycle that only the "
                "garbage collector frees; autograd.grad(..., create_graph=True) does not",
                stacklevel=2,
            )
            start = seed if isinstance(seed, Traced) else wrap(Tensor, seed)
            with recording_with(recorder() or Node):
                found = walk((self.node,), (start,), retain=retain_graph is not False)
                # Recorded gradients may be one and the same tensor; each leaf gets memory of its own.
                found = {leaf: one.clone() if isinstance(one, Tensor) else one for leaf, one in found.items()}
        else:
            found = walk((self.node,), (seed.data if isinstance(seed, Traced) else seed,), retain=bool(retain_graph))
        for leaf in _accumulate(found):
            for function in tuple(cast("Hooks", leaf.hooks).after.values()):
                function()

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> RemovableHandle:
        """Have ``hook`` called with the gradient of this tensor in every backward pass, once it is complete.

        What it returns, of the same shape and dtype, takes the gradient's place on the way to whatever this tensor was
        computed from, and in ``.grad`` if it is a leaf; None changes nothing. Hooks run in the order of registering.
        The gradient given is read-only, and is on the tape where the backward pass is recorded.

        Returns:
            A handle: ``handle.remove()`` takes the hook off, and so does leaving ``with handle:``.

        Raises:
            GradientError: the tensor requires no gradient.

        >>> x = Tensor([1.0, 2.0], requires_grad=True)
        >>> handle = x.register_hook(lambda g: g * 10)
        >>> x.sum().backward()
        >>> x.grad
        tensor([10., 10.])
        """
        node = self._hookable("register_hook")

        def run(gradient: Any) -> Any:
            if isinstance(gradient, Traced):
                return _replacement(hook(cast("Tensor", gradient)), gradient)
            shown = np.asarray(gradient).view()
            shown.flags.writeable = False
            replaced = _replacement(hook(wrap(Tensor, shown)), shown)
            return replaced.data if isinstance(replaced, Traced) else replaced

        return RemovableHandle(Hooks.of(node).before, run)

    def register_post_accumulate_grad_hook(self, hook: Callable[[Tensor], None]) -> RemovableHandle:
        """Have ``hook`` called with this leaf each time ``backward()`` has added to its ``.grad``.

        The place for updates that need no second loop over the parameters. Returns a handle, as
        :meth:`register_hook` does.

        Raises:
            GradientError: not a leaf that requires gradients.
        """
        node = self._hookable("register_post_accumulate_grad_hook")
        if not isinstance(node, Leaf):
            raise GradientError(
                "register_post_accumulate_grad_hook: gradients accumulate in leaves, this tensor is the result of an "
                "op; register_hook() sees its gradient"
            )
        # The leaf must not hold the tensor that holds the leaf.
        mine = weakref.ref(self)

        def run() -> None:
            tensor = mine()
            if tensor is not None:
                hook(tensor)

        return RemovableHandle(Hooks.of(node).after, run)

    def _hookable(self, name: str) -> Node:
        if self.node is None:
            raise GradientError(
                f"{name}: this tensor requires no gradient, so none will come; set requires_grad=True before computing "
                "with it"
            )
        return self.node

    def retain_grad(self) -> None:
        """Keep the gradient of this tensor in ``.grad`` on ``backward()``, though it is the result of an op.

        Passes accumulate, as in a leaf; ``x.grad = None`` forgets them. On a leaf nothing changes.

        Raises:
            GradientError: the tensor requires no gradient.
        """
        node = self._hookable("retain_grad")
        if isinstance(node, Leaf) or self.retains_grad:
            return
        hooks = Hooks.of(node)

        def keep(gradient: Any) -> None:
            new = gradient if isinstance(gradient, Tensor) else wrap(Tensor, np.array(gradient))
            hooks.gradient = new if hooks.gradient is None else hooks.gradient + new

        hooks.retains = keep

    @property
    def retains_grad(self) -> Any:
        """Whether this tensor is the result of an op and keeps its gradient nevertheless."""
        node = self.node
        # Plain nodes have no hooks, not even an empty place for them.
        return node is not None and type(node) is not Node and node.hooks is not None and node.hooks.retains is not None

    def graph(self, **options: Any) -> Graph:
        """The graph of everything this tensor was computed from; see :func:`tinygrad_mlp.graph.graph_of`."""
        # Pictures are imported when the first one is drawn: they would take a third of the package's import time.
        from .graph import graph_of  # noqa: PLC0415

        return graph_of(self, **options)

    def backward_steps(self, **options: Any) -> Iterator[Step]:
        """The backward pass, step by step in the order of the tape: each local derivative as a formula with numbers.

        Runs :meth:`backward` first where that has not been done. ``options`` are those of :meth:`graph`.

        Raises:
            GradientError: the values were not recorded; compute inside ``with record_values():``.

        >>> x = Tensor(0.5, requires_grad=True)
        >>> with record_values():
        ...     y = x.exp() * 2.0
        >>> for step in y.backward_steps(names={"x": x, "y": y}):
        ...     print(step)
        dy/dy = 1
            dy/dv1 = dy/dy · 2 = 1 · 2 = 2
        dy/dv1 = 2
            dy/dx = dy/dv1 · v1 = 2 · 1.649 = 3.297
        """
        if isinstance(self.node, Recorded) and self.node.gradient is None:
            self.backward(retain_graph=True)
        return (step for step in self.graph(**options).steps() if step.phase == "backward")

    # --- arithmetic ---

    def __add__(self, other: Any) -> Tensor:
        return ops.add(self, other)

    def __radd__(self, other: Any) -> Tensor:
        return ops.add(other, self)

    def __sub__(self, other: Any) -> Tensor:
        return ops.sub(self, other)

    def __rsub__(self, other: Any) -> Tensor:
        return ops.sub(other, self)

    def __mul__(self, other: Any) -> Tensor:
        return ops.mul(self, other)

    def __rmul__(self, other: Any) -> Tensor:
        return ops.mul(other, self)

    def __truediv__(self, other: Any) -> Tensor:
        return ops.div(self, other)

    def __rtruediv__(self, other: Any) -> Tensor:
        return ops.div(other, self)

    def __pow__(self, other: Any) -> Tensor:
        return ops.pow(self, other)

    def __rpow__(self, other: Any) -> Tensor:
        return ops.pow(other, self)

    def __matmul__(self, other: Any) -> Tensor:
        return ops.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Tensor:
        return ops.matmul(other, self)

    def __neg__(self) -> Tensor:
        return ops.neg(self)

    def __pos__(self) -> Tensor:
        return self

    def __abs__(self) -> Tensor:
        return ops.abs(self)

    def __iadd__(self, other: Any) -> Tensor:  # noqa: PYI034 - on the tape a new tensor
        return _in_place(self, other, np.add, ops.add)

    def __isub__(self, other: Any) -> Tensor:  # noqa: PYI034 - on the tape a new tensor
        return _in_place(self, other, np.subtract, ops.sub)

    def __imul__(self, other: Any) -> Tensor:  # noqa: PYI034 - on the tape a new tensor
        return _in_place(self, other, np.multiply, ops.mul)

    def __itruediv__(self, other: Any) -> Tensor:  # noqa: PYI034 - on the tape a new tensor
        return _in_place(self, other, np.true_divide, ops.div)

    def __eq__(self, other: object) -> Any:
        return ops.eq(self, other) if isinstance(other, _COMPARABLE) else NotImplemented

    def __ne__(self, other: object) -> Any:
        return ops.ne(self, other) if isinstance(other, _COMPARABLE) else NotImplemented

    def __lt__(self, other: Any) -> Tensor:
        return ops.lt(self, other)

    def __le__(self, other: Any) -> Tensor:
        return ops.le(self, other)

    def __gt__(self, other: Any) -> Tensor:
        return ops.gt(self, other)

    def __ge__(self, other: Any) -> Tensor:
        return ops.ge(self, other)

    # Comparing gives a tensor of answers, so tensors are told apart, in sets and as dictionary keys, by identity.
    __hash__ = object.__hash__

    # What follows are compositions, which are attached to this class; this module cannot import them.

    def __floordiv__(self, other: Any) -> Tensor:
        return cast("Tensor", self.floor_divide(other))

    def __rfloordiv__(self, other: Any) -> Tensor:
        return cast("Tensor", Tensor.floor_divide(other, self))  # type: ignore[attr-defined]

    def __mod__(self, other: Any) -> Tensor:
        return ops.remainder(self, other)

    def __rmod__(self, other: Any) -> Tensor:
        return ops.remainder(other, self)

    def __divmod__(self, other: Any) -> tuple[Tensor, Tensor]:
        return self // other, self % other

    def __invert__(self) -> Tensor:
        return cast("Tensor", self.bitwise_not())

    def __and__(self, other: Any) -> Tensor:
        return cast("Tensor", self.bitwise_and(other))

    def __or__(self, other: Any) -> Tensor:
        return cast("Tensor", self.bitwise_or(other))

    def __xor__(self, other: Any) -> Tensor:
        return cast("Tensor", self.bitwise_xor(other))

    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__

    def __lshift__(self, other: Any) -> Tensor:
        return cast("Tensor", self.bitwise_left_shift(other))

    def __rshift__(self, other: Any) -> Tensor:
        return cast("Tensor", self.bitwise_right_shift(other))

    def exp(self) -> Tensor:
        """``e ** x``."""
        return ops.exp(self)

    def expm1(self) -> Tensor:
        """``e ** x - 1`` without cancellation near 0."""
        return ops.expm1(self)

    def log(self) -> Tensor:
        """The natural logarithm."""
        return ops.log(self)

    def log1p(self) -> Tensor:
        """``log(1 + x)`` without cancellation near 0."""
        return ops.log1p(self)

    def sqrt(self) -> Tensor:
        """The square root; its derivative ``0.5 / |sqrt(x)|`` is +inf at 0."""
        return ops.sqrt(self)

    def square(self) -> Tensor:
        """``x * x``."""
        return ops.square(self)

    def abs(self) -> Tensor:
        """``|x|``; derivative 0 at the kink."""
        return ops.abs(self)

    def sign(self) -> Tensor:
        """-1, 0 or 1; the derivative is 0 everywhere."""
        return ops.sign(self)

    def sin(self) -> Tensor:
        """The sine, this tensor being in radians."""
        return ops.sin(self)

    def cos(self) -> Tensor:
        """The cosine, this tensor being in radians."""
        return ops.cos(self)

    def tan(self) -> Tensor:
        """The tangent, this tensor being in radians; its derivative is ``1 + tan(x)**2``."""
        return ops.tan(self)

    def tanh(self) -> Tensor:
        """The hyperbolic tangent."""
        return ops.tanh(self)

    def sigmoid(self) -> Tensor:
        """The logistic function ``1 / (1 + exp(-x))``, computed from ``exp(-|x|)`` so that nothing overflows."""
        return ops.sigmoid(self)

    def relu(self) -> Tensor:
        """``max(x, 0)``; derivative 0 at the kink; NaN stays NaN."""
        return ops.relu(self)

    def neg(self) -> Tensor:
        """``-x``."""
        return ops.neg(self)

    def mul(self, other: Any) -> Tensor:
        """``a * b``."""
        return ops.mul(self, other)

    def pow(self, exponent: Any) -> Tensor:
        """``base ** exponent``, elementwise."""
        return ops.pow(self, exponent)

    def matmul(self, other: Any) -> Tensor:
        """The matrix product: vectors, matrices, and stacks of matrices whose batch axes broadcast."""
        return ops.matmul(self, other)

    def outer(self, vec2: Any) -> Tensor:
        """The outer product of two vectors, ``(n,)`` and ``(m,)`` to ``(n, m)``."""
        return ops.outer(self, vec2)

    def maximum(self, other: Any) -> Tensor:
        """The larger of ``a`` and ``b``, elementwise; NaN wins."""
        return ops.maximum(self, other)

    def minimum(self, other: Any) -> Tensor:
        """The smaller of ``a`` and ``b``, elementwise; NaN wins. Ties as in :func:`maximum`."""
        return ops.minimum(self, other)

    def clamp(self, min: Any = None, max: Any = None) -> Tensor:
        """Limited to ``[min, max]``, numbers, tensors or None; the derivative is 0 at both edges."""
        return ops.clamp(self, min, max)

    def clip(self, min: Any = None, max: Any = None) -> Tensor:
        """Limited to ``[min, max]``, numbers, tensors or None; the derivative is 0 at both edges."""
        return ops.clamp(self, min, max)

    def where(self, condition: Any, other: Any) -> Tensor:
        """``a`` where ``condition`` holds, else ``b``; the gradient goes to the one chosen, the condition has none."""
        return ops.where(condition, self, other)

    # --- reductions: axis/keepdims are NumPy's names, dim/keepdim torch's for the same ---

    def sum(
        self, axis: Any = None, keepdims: Any = False, *, dim: Any = None, keepdim: Any = False, dtype: Any = None
    ) -> Tensor:
        """The sum over ``axis`` (all axes by default), of numbers of ``dtype`` where one is given."""
        return ops.sum(self if dtype is None else self.astype(dtype), axis, keepdims, dim=dim, keepdim=keepdim)

    def mean(
        self, axis: Any = None, keepdims: Any = False, *, dim: Any = None, keepdim: Any = False, dtype: Any = None
    ) -> Tensor:
        """The arithmetic mean over ``axis`` (all axes by default), of numbers of ``dtype`` where one is given."""
        return ops.mean(self if dtype is None else self.astype(dtype), axis, keepdims, dim=dim, keepdim=keepdim)

    def prod(
        self, axis: Any = None, keepdims: Any = False, *, dim: Any = None, keepdim: Any = False, dtype: Any = None
    ) -> Tensor:
        """The product over ``axis`` (all axes by default), of numbers of ``dtype`` where one is given."""
        return ops.prod(self if dtype is None else self.astype(dtype), axis, keepdims, dim=dim, keepdim=keepdim)

    def amax(self, axis: Any = None, keepdims: Any = False, *, dim: Any = None, keepdim: Any = False) -> Tensor:
        """The largest value over ``axis`` (all axes by default); ties share the gradient evenly; NaN wins."""
        return ops.amax(self, axis, keepdims, dim=dim, keepdim=keepdim)

    def amin(self, axis: Any = None, keepdims: Any = False, *, dim: Any = None, keepdim: Any = False) -> Tensor:
        """The smallest value over ``axis`` (all axes by default); ties share the gradient evenly; NaN wins."""
        return ops.amin(self, axis, keepdims, dim=dim, keepdim=keepdim)

    def logsumexp(self, axis: Any = None, keepdims: Any = False, *, dim: Any = None, keepdim: Any = False) -> Tensor:
        """``log(sum(exp(x)))`` over ``axis``, without overflow."""
        return ops.logsumexp(self, axis, keepdims, dim=dim, keepdim=keepdim)

    def softmax(self, axis: Any = None, dtype: Any = None, *, dim: Any = None) -> Tensor:
        """Class probabilities ``exp(x) / sum(exp(x))`` along ``axis``, in ``dtype`` where one is given."""
        return ops.softmax(self, axis, dtype, dim=dim)

    def log_softmax(self, axis: Any = None, dtype: Any = None, *, dim: Any = None) -> Tensor:
        """Logarithms of class probabilities along ``axis``, in ``dtype`` where one is given."""
        return ops.log_softmax(self, axis, dtype, dim=dim)

    def argmax(self, axis: Any = None, keepdims: Any = False, *, dim: Any = None, keepdim: Any = False) -> Tensor:
        """The place of the (first) largest element, over ``axis`` or in the flattened tensor; no gradient."""
        return ops.argmax(self, axis, keepdims, dim=dim, keepdim=keepdim)

    def argmin(self, axis: Any = None, keepdims: Any = False, *, dim: Any = None, keepdim: Any = False) -> Tensor:
        """The place of the (first) smallest element, over ``axis`` or in the flattened tensor; no gradient."""
        return ops.argmin(self, axis, keepdims, dim=dim, keepdim=keepdim)

    def any(self, axis: Any = None, keepdims: Any = False, *, dim: Any = None, keepdim: Any = False) -> Tensor:
        """Whether some element is not zero."""
        return ops.some(self, axis, keepdims, dim=dim, keepdim=keepdim)

    def all(self, axis: Any = None, keepdims: Any = False, *, dim: Any = None, keepdim: Any = False) -> Tensor:
        """Whether every element is not zero."""
        return ops.every(self, axis, keepdims, dim=dim, keepdim=keepdim)

    # --- shape ---

    def reshape(self, *sizes: Any, shape: Any = None) -> Tensor:
        """This tensor under another shape, given as one tuple or as several ints; one of them may be -1."""
        return ops.reshape(self, *sizes, shape=shape)

    def flatten(self, start_dim: Any = 0, end_dim: Any = -1) -> Tensor:
        """Merge the axes from ``start_dim`` to ``end_dim`` into one; a 0-d input becomes 1-d."""
        return ops.flatten(self, start_dim, end_dim)

    def transpose(self, axis0: Any = None, axis1: Any = None, *, dim0: Any = None, dim1: Any = None) -> Tensor:
        """Swap two axes; without arguments reverse them all."""
        return ops.transpose(self, axis0, axis1, dim0=dim0, dim1=dim1)

    def permute(self, *axes: Any, dims: Any = None) -> Tensor:
        """The axes in the order given, as one tuple or as several ints."""
        return ops.permute(self, *axes, dims=dims)

    def squeeze(self, axis: Any = None, *, dim: Any = None) -> Tensor:
        """Drop axes of length 1: all of them, or those named that have it."""
        return ops.squeeze(self, axis, dim=dim)

    def unsqueeze(self, axis: Any = None, *, dim: Any = None) -> Tensor:
        """Insert an axis of length 1 at ``axis``."""
        return ops.unsqueeze(self, axis, dim=dim)

    def expand(self, *sizes: Any, size: Any = None) -> Tensor:
        """This tensor broadcast to a shape; -1 leaves an axis as it is."""
        return ops.expand(self, *sizes, size=size)

    def __getitem__(self, where: Any) -> Tensor:
        return ops.getitem(self, where)

    def __setitem__(self, where: Any, value: Any) -> None:
        step = whole_step()
        if step is not None:
            step.sets(self, value)
        _check_writable(self, "x[...] = value")
        if isinstance(value, Traced) and value.node is not None and recorder() is not None:
            raise GradientError(
                "x[...] = value: the value is recorded, and its gradient would be lost; build the tensor with where(), "
                "cat() or stack(), or write value.detach()"
            )
        written = value.data if isinstance(value, Traced) else np.asarray(operand(value))
        if written.dtype.kind == "f" and self.data.dtype.kind != "f":
            raise DTypeError(
                f"x[...] = value: a tensor of {self.data.dtype} cannot hold floats; say x = x.astype('float32') first"
            )
        self.data[ops.plain_index(where)] = written
        wrote("x[...] = value", self.data)

    def __len__(self) -> Any:
        if self.data.ndim == 0:
            raise TypeError("a 0-d tensor has no len(); say x.item() for its number")
        return len(self.data)

    def __iter__(self) -> Iterator[Tensor]:
        if self.data.ndim == 0:
            raise TypeError("a 0-d tensor cannot be iterated over; say x.item() for its number")
        return (ops.getitem(self, i) for i in range(len(self.data)))

    def __contains__(self, value: Any) -> Any:
        reading(self, "in")
        return bool((self.data == (value.data if isinstance(value, Traced) else value)).any())

    def __bool__(self) -> Any:
        reading(self, "bool(), as in `if x:`,")
        return bool(self.data)

    def __float__(self) -> Any:
        return float(self.item())

    def __int__(self) -> Any:
        return int(self.item())

    def __index__(self) -> Any:
        reading(self, "indexing or counting with it")
        return self.data.__index__()

    # --- copies: the values, never the graph ---

    def __deepcopy__(self, memo: dict[Any, Any]) -> Tensor:
        reading(self, "deepcopy()")
        copy = _rebuild(self.data.copy(order="K"), *self._standing(copy=True))
        memo[id(self)] = copy
        return copy

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self.data, *self._standing(copy=False))

    def _standing(self, *, copy: Any) -> tuple[Any, ...]:
        """Whether it is a leaf, whether it is frozen now, and its gradient's array: what copies take over."""
        leaf = self._leaf()
        grad = None if leaf is None or leaf.gradient is None else leaf.gradient.data
        return leaf is not None, self.node is None, grad.copy(order="K") if copy and grad is not None else grad

    # --- NumPy on either side ---

    def __array__(self, dtype: DTypeLike | None = None, copy: Any = None) -> Array:
        reading(self, "numpy.asarray()")
        if self.requires_grad:
            raise GradientError(
                "NumPy would take this tensor's array off the record; say x.detach().numpy() for the values"
            )
        array = self.data if dtype is None else self.data.astype(dtype, copy=False)
        if copy is False and array is not self.data:
            raise ValueError(
                f"an array of dtype {array.dtype} cannot share memory with this tensor of {self.data.dtype}"
            )
        return array.copy() if copy and array is self.data else array

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        out = options.get("out", ())
        if out and not any(isinstance(one, Traced) for one in out) and not _any_recorded(inputs):
            # `w.data -= lr * w.grad`: plain arrays are written, nothing is recorded on either side.
            step = whole_step()
            if step is not None:
                step.fills(out, ufunc if method == "__call__" and len(options) == 1 else None, *inputs)
                return out[0]
            return getattr(ufunc, method)(*[_plain(one) for one in inputs], **options)
        if method == "__call__" and not options and ufunc in ops.NUMPY:
            return ops.NUMPY[ufunc](*inputs)
        return self._numpy_ufunc(ufunc, method, inputs, options)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return self._numpy_function(func, args, kwargs)

    def __dlpack__(self, **options: Any) -> Any:
        reading(self, "__dlpack__()")
        if self.requires_grad:
            raise SharingError("DLPack would take this tensor's array off the record; say x.detach()")
        return self.data.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self.data.__dlpack_device__()

    # --- how it looks ---

    def __repr__(self) -> str:
        body = np.array2string(self.data, separator=", ", prefix="tensor(", precision=4, threshold=200)
        notes = []
        if self.data.dtype not in (get_default_dtype(), np.dtype(np.int64), np.dtype(np.bool_)):
            notes.append(f"dtype={self.data.dtype}")
        elif self.data.size == 0:
            notes += [f"shape={self.shape}", f"dtype={self.data.dtype}"]
        if isinstance(self.node, Leaf):
            notes.append("requires_grad=True")
        elif self.node is not None and self.node.plan is not None:
            notes.append(f"op={self.node.plan.op.name}")
        return f"tensor({', '.join([body, *notes])})"

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if self.data.ndim == 0 and spec else format(repr(self), spec)


class _Varying(Tensor):
    """A handle inside a captured run on a value that differs from sample to sample; the package itself may read it."""

    __slots__ = ()

    @property
    def data(self) -> Array:
        if not sys._getframe(1).f_code.co_filename.startswith(PACKAGE):
            reading(self, "x.data")
        return _get_data(self)

    @data.setter
    def data(self, value: Array) -> None:
        _DATA.__set__(self, value)


_DATA: Any = Traced.__dict__["data"]
_get_data: Callable[[Traced], Array] = _DATA.__get__
Captured.varying = _Varying


class RemovableHandle:
    """Takes a hook off again: by :meth:`remove`, or at the end of a ``with`` block."""

    def __init__(self, hooks: dict[int, Any], function: Callable[..., Any]) -> None:
        self._hooks = hooks
        self._key = tick()
        hooks[self._key] = function

    def remove(self) -> None:
        """Take the hook off; a second time changes nothing."""
        self._hooks.pop(self._key, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


def _replacement(result: Any, gradient: Any) -> Any:
    """What a hook returned, if it can take the gradient's place; the gradient where it returned None."""
    if result is None:
        return gradient
    if not isinstance(result, Tensor):
        raise DTypeError(f"a gradient hook returns a Tensor or None, got {type(result).__name__}")
    data = gradient.data if isinstance(gradient, Traced) else gradient
    if result.shape != data.shape:
        raise ShapeError(f"a gradient hook returned shape {result.shape} for a gradient of shape {data.shape}")
    if result.dtype != data.dtype:
        raise DTypeError(
            f"a gradient hook returned dtype {result.dtype} for a gradient of {data.dtype}; say .astype('{data.dtype}')"
        )
    return result


def _rebuild(data: Array, is_leaf: bool, is_frozen: bool, grad: Array | None) -> Tensor:
    made = wrap(Tensor, data)
    if is_leaf:
        made.requires_grad = True
        made.grad = None if grad is None else wrap(Tensor, grad)
        made.requires_grad = not is_frozen
    return made


def seed_for(root: Tensor, gradient: Any) -> Any:
    """The incoming gradient of ``root`` as the walk takes it: an array, or the traced value the user gave.

    Raises:
        GradientError: none was given and ``root`` has more than one element; ShapeError: it has another shape.
    """
    data = root.data
    if gradient is None:
        if data.size != 1:
            raise GradientError(
                f"backward() of shape {data.shape} needs the gradient of the final result by it: make it one number "
                "first, loss.sum() or loss.mean(), or say backward(gradient=...)"
            )
        return np.ones(data.shape, data.dtype)
    given = gradient.data if isinstance(gradient, Traced) else np.asarray(operand(gradient))
    if given.shape != data.shape:
        raise ShapeError(f"gradient: expected shape {data.shape} like the tensor, got {given.shape}")
    if isinstance(gradient, Tensor):
        return gradient if gradient.dtype == data.dtype else gradient.astype(data.dtype)
    return given.astype(data.dtype, copy=False)


# Backward passes of several threads may end in the same leaves: each addition is read, add and store in one piece.
_ACCUMULATING = threading.Lock()


def _accumulate(found: dict[Node, Any]) -> list[Leaf]:
    """Add what a walk found to the leaves' gradients; the leaves with hooks to run then."""
    overwritten: list[Array] = []
    hooked: list[Leaf] = []
    with _ACCUMULATING:
        for leaf, new in found.items():
            assert isinstance(leaf, Leaf)
            if leaf.hooks is not None:
                hooked.append(leaf)
            before = leaf.gradient
            made = wrap(Tensor, new) if isinstance(new, np.ndarray) else new
            if before is None:
                leaf.gradient = made
            elif before.node is None and made.node is None and before.data.flags.writeable:
                before.data += made.data
                overwritten.append(before.data)
            else:
                leaf.gradient = before + made
        if overwritten:
            wrote("an accumulating backward()", *overwritten)
    return hooked


def _check_writable(target: Tensor, what: str) -> None:
    if target.node is not None and not isinstance(target.node, Leaf):
        raise GradientError(f"{what}: this tensor is part of a recorded graph; write into x.detach().clone()")
    if target.node is not None and recorder() is not None:
        raise GradientError(f"{what}: a leaf that requires gradients changes only inside `with no_grad():`")


def _any_recorded(values: Iterable[Any]) -> bool:
    """Whether NumPy must not simply take the arrays: something is recorded, or is masked and would lose its mask."""
    return any(
        value.node is not None and value.node.wants
        if isinstance(value, Traced)
        else isinstance(value, np.ma.MaskedArray) or (isinstance(value, (list, tuple)) and _any_recorded(value))
        for value in values
    )


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(one) for one in value)
    return value.data if isinstance(value, Traced) else value


_WRITES: dict[Any, str] = {
    np.add: "x += value",
    np.subtract: "x -= value",
    np.multiply: "x *= value",
    np.true_divide: "x /= value",
    np.maximum: "clamping in place",
    np.minimum: "clamping in place",
}


def _in_place(target: Tensor, other: Any, ufunc: Callable[..., Any], op: Callable[..., Any]) -> Tensor:
    """``target op= other``: in memory where nothing is recorded, else a new recorded tensor under the same name."""
    step = whole_step()
    recording = recorder() is not None if step is None else not step.silent
    other_recorded = isinstance(other, Traced) and other.node is not None and other.node.wants
    name = _WRITES[ufunc]
    if (
        step is not None
        and isinstance(target.node, Captured)
        and not (recording and (other_recorded or target.requires_grad))
    ):
        return cast("Tensor", step.rewrites(target, op(target, other), name))
    if recording and (other_recorded or not target.is_leaf):
        return op(target, other)
    if step is not None and (target.node is None or isinstance(target.node, Leaf)):
        step.assigns(target.data, ufunc, target, other)
        return target
    _check_writable(target, name)
    ufunc(target.data, other.data if isinstance(other, Traced) else operand(other), out=target.data)
    wrote(name, target.data)
    return target


def clamp_in_place(target: Tensor, min: float, max: float) -> None:
    """Limit the values of ``target`` itself to ``[min, max]``; inside ``no_grad``, for values such as gradients."""
    _in_place(_in_place(target, min, np.maximum, ops.maximum), max, np.minimum, ops.minimum)


# --- modes ----------------------------------------------------------------------------------------


# The modes to return to, innermost last. It belongs to the context, so one instance may serve several threads.
_BEFORE: ContextVar[tuple[type[Node] | None, ...]] = ContextVar("before", default=())


class set_grad_enabled(ContextDecorator):  # noqa: N801 - torch's name, used like a function
    """Record gradients, or not, inside a ``with`` block or a decorated function.

    The mode belongs to the context (thread, asyncio task) and the exact previous one is restored. One instance may be
    entered several times.
    """

    def __init__(self, mode: bool) -> None:
        self._kind: type[Node] | None = Node if mode else None

    def __call__(self, function: Any) -> Any:
        """Decorate a function, or a generator function, whose body then runs in this mode."""
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def awaited(*args: Any, **kwargs: Any) -> Any:
                with self._recreate_cm():
                    return await function(*args, **kwargs)

            return awaited
        if not inspect.isgeneratorfunction(function):
            return super().__call__(function)

        @functools.wraps(function)
        def stepping(*args: Any, **kwargs: Any) -> Any:
            # A generator runs between its steps in its caller's mode, so the mode is entered anew for each.
            steps = function(*args, **kwargs)
            try:
                with self._recreate_cm():
                    value = next(steps)
                while True:
                    try:
                        sent = yield value
                    except GeneratorExit:
                        with self._recreate_cm():
                            steps.close()
                        raise
                    except BaseException as error:  # noqa: BLE001 - whatever the caller throws goes inside
                        with self._recreate_cm():
                            value = steps.throw(error)
                    else:
                        with self._recreate_cm():
                            value = steps.send(sent)
            except StopIteration as end:
                return end.value

        return stepping

    def _recreate_cm(self) -> set_grad_enabled:
        return set_grad_enabled(self._kind is not None)

    def __enter__(self) -> None:
        before = (*_BEFORE.get(), recorder())
        _BEFORE.set(before)
        if capturing():
            make: Any = recorder()
            _RECORDER.set(make.loud if self._kind is not None else make.quiet)
            return
        # Recording again goes on as it was before it was switched off.
        kind = self._kind and next((one for one in reversed(before) if one is not None), self._kind)
        _RECORDER.set(kind)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        *rest, before = _BEFORE.get()
        _BEFORE.set(tuple(rest))
        _RECORDER.set(before)


class no_grad(set_grad_enabled):  # noqa: N801 - torch's name, used like a function
    """Record nothing inside the block or the decorated function: results need no memory for a backward pass."""

    def __new__(cls, function: Any = None) -> Any:
        """``@no_grad`` decorates like ``@no_grad()``."""
        made = super().__new__(cls)
        if function is None:
            return made
        set_grad_enabled.__init__(made, False)
        return made(function)

    def __init__(self) -> None:
        super().__init__(False)


class enable_grad(set_grad_enabled):  # noqa: N801 - torch's name, used like a function
    """Record again, inside a :class:`no_grad` block."""

    def __init__(self) -> None:
        super().__init__(True)


def is_grad_enabled() -> bool:
    """Whether ops on tensors that require gradients are being recorded."""
    kind = recorder()
    return kind is not None and not (kind.captures and kind.silent)  # type: ignore[attr-defined]


@contextmanager
def record_values() -> Iterator[None]:
    """Keep every intermediate value, and every gradient, of what is computed inside the block: for pictures.

    An error that an operation raises inside has the graph up to it as its attribute ``graph``.

    >>> x = Tensor(2.0, requires_grad=True)
    >>> with record_values():
    ...     y = (x * 3.0).tanh()
    """
    with checking():
        try:
            yield
        except Exception as error:
            from .graph.failed import attach  # noqa: PLC0415 - pictures are imported when the first one is needed

            attach(error)
            raise


# --- making tensors -------------------------------------------------------------------------------


def tensor(data: ArrayLike | Tensor, *, dtype: DTypeLike | None = None, requires_grad: bool = False) -> Tensor:
    """A tensor holding a copy of ``data``; Python floats get the default dtype, integers int64, booleans bool."""
    made = wrap(Tensor, _as_data(data, dtype, infer=True))
    made.requires_grad = requires_grad
    return made


def from_numpy(array: Any) -> Tensor:
    """A tensor that shares the memory of ``array``: writing into one changes the other.

    Raises:
        DTypeError: not an ndarray of floats, integers or booleans in native byte order.
    """
    if not isinstance(array, np.ndarray) or isinstance(array, np.ma.MaskedArray) or array.dtype.kind not in _KINDS:
        raise DTypeError(f"from_numpy shares an ndarray of numbers, got {type(array).__name__}; Tensor(x) copies")
    if not array.dtype.isnative:
        raise DTypeError(f"from_numpy cannot share byte-swapped memory ({array.dtype}); Tensor(x) copies")
    return wrap(Tensor, np.asarray(array))


def _sizes(sizes: tuple[Any, ...], size: Any = None) -> tuple[int, ...]:
    given = sizes if size is None else (size,)
    return tuple(given[0]) if len(given) == 1 and isinstance(given[0], (tuple, list)) else given


def _made(array: Array, dtype: DTypeLike | None, requires_grad: bool) -> Tensor:
    made = wrap(Tensor, array.astype(get_default_dtype() if dtype is None else dtype, copy=False))
    made.requires_grad = requires_grad
    return made


def zeros(*sizes: Any, size: Any = None, dtype: DTypeLike | None = None, requires_grad: bool = False) -> Tensor:
    """Zeros of a shape, given as ints or as one tuple."""
    return _made(np.zeros(_sizes(sizes, size)), dtype, requires_grad)


def ones(*sizes: Any, size: Any = None, dtype: DTypeLike | None = None, requires_grad: bool = False) -> Tensor:
    """Ones of a shape, given as ints or as one tuple."""
    return _made(np.ones(_sizes(sizes, size)), dtype, requires_grad)


@both_names(shape="size", value="fill_value")
def full(size: Any, fill_value: float, *, dtype: DTypeLike | None = None, requires_grad: bool = False) -> Tensor:
    """A tensor of a shape filled with one number; integers give int64 and booleans bool, as in torch.

    Where a gradient is asked for, an integer is a float of the default dtype.
    """
    array = np.full(size, fill_value)
    keeps = dtype is None and array.dtype.kind in "ib" and not requires_grad
    return _made(array, array.dtype if keeps else dtype, requires_grad)


def eye(n: int, m: int | None = None, *, dtype: DTypeLike | None = None, requires_grad: bool = False) -> Tensor:
    """The identity matrix, or the ``n`` by ``m`` matrix with ones on the diagonal."""
    return _made(np.eye(n, m), dtype, requires_grad)


@both_names(stop="end")
def arange(
    start: float = 0,
    end: float | None = None,
    step: float = 1,
    *,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """``start, start + step, …`` below ``end``; integers give int64 as in torch, floats the default dtype.

    Of one number alone, 0, 1, … below it.
    """
    array = np.arange(start) if end is None else np.arange(start, end, step)
    return _made(array, array.dtype if dtype is None and array.dtype.kind == "i" else dtype, requires_grad)


@both_names(stop="end")
def linspace(
    start: float, end: float, steps: int, *, dtype: DTypeLike | None = None, requires_grad: bool = False
) -> Tensor:
    """``steps`` evenly spaced numbers from ``start`` to ``end``, both included."""
    return _made(np.linspace(start, end, steps), dtype, requires_grad)


def generator(rng: np.random.Generator | int | None, seed: int | None) -> np.random.Generator:
    """The random generator meant by ``rng=`` or ``seed=``; a fresh one where neither is given.

    Raises:
        ArgumentError: both are given.
    """
    if rng is not None and seed is not None:
        raise ArgumentError("give either seed= or rng=, not both: a generator has been seeded already")
    if seed is None:
        drawing()
    if isinstance(rng, np.random.Generator):
        return rng
    return np.random.default_rng(seed if rng is None else rng)


def _source(rng: np.random.Generator | int | None, seed: int | None, given: Any) -> np.random.Generator:
    """The generator meant by ``rng=``, ``seed=`` or torch's ``generator=``.

    Raises:
        ArgumentError: more than one of them.
    """
    if given is None:
        return generator(rng, seed)
    if rng is not None:
        raise ArgumentError("give either generator= or rng=, not both")
    return generator(getattr(given, "numpy", given), seed)


def _drawn(draw: Callable[[], Any], seed: int | None, dtype: DTypeLike | None, requires_grad: bool) -> Tensor:
    """Random numbers as a tensor; with a seed they are the same in every run, and no capture needs to know."""
    step = whole_step()
    if step is None or seed is not None or requires_grad:
        return _made(np.asarray(draw()), dtype, requires_grad)
    return cast("Tensor", step.drawn(lambda: _made(np.asarray(draw()), dtype, False).data))


def rand(
    *sizes: Any,
    size: Any = None,
    seed: int | None = None,
    rng: np.random.Generator | None = None,
    generator: Any = None,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Uniform numbers in [0, 1); ``seed``, ``rng`` or ``generator`` makes them repeatable."""
    draws = _source(rng, seed, generator)
    return _drawn(lambda: draws.random(_sizes(sizes, size)), seed, dtype, requires_grad)


def randn(
    *sizes: Any,
    size: Any = None,
    seed: int | None = None,
    rng: np.random.Generator | None = None,
    generator: Any = None,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Normal numbers of mean 0 and variance 1; ``seed``, ``rng`` or ``generator`` makes them repeatable."""
    draws = _source(rng, seed, generator)
    return _drawn(lambda: draws.standard_normal(_sizes(sizes, size)), seed, dtype, requires_grad)


@both_names(x="input")
def zeros_like(input: Tensor, *, dtype: DTypeLike | None = None, requires_grad: bool = False) -> Tensor:
    """Zeros of the shape and dtype of ``input``."""
    return zeros(input.shape, dtype=input.dtype if dtype is None else dtype, requires_grad=requires_grad)


@both_names(x="input")
def ones_like(input: Tensor, *, dtype: DTypeLike | None = None, requires_grad: bool = False) -> Tensor:
    """Ones of the shape and dtype of ``input``."""
    return ones(input.shape, dtype=input.dtype if dtype is None else dtype, requires_grad=requires_grad)


@both_names(x="input", value="fill_value")
def full_like(
    input: Tensor, fill_value: float, *, dtype: DTypeLike | None = None, requires_grad: bool = False
) -> Tensor:
    """One number repeated in the shape and dtype of ``input``."""
    return full(input.shape, fill_value, dtype=input.dtype if dtype is None else dtype, requires_grad=requires_grad)


@both_names(x="input")
def rand_like(
    input: Tensor,
    *,
    seed: int | None = None,
    rng: np.random.Generator | None = None,
    generator: Any = None,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Uniform numbers in [0, 1) of the shape and dtype of ``input``."""
    dtype = input.dtype if dtype is None else dtype
    return rand(input.shape, seed=seed, rng=rng, generator=generator, dtype=dtype, requires_grad=requires_grad)


@both_names(x="input")
def randn_like(
    input: Tensor,
    *,
    seed: int | None = None,
    rng: np.random.Generator | None = None,
    generator: Any = None,
    dtype: DTypeLike | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Normal numbers of the shape and dtype of ``input``."""
    dtype = input.dtype if dtype is None else dtype
    return randn(input.shape, seed=seed, rng=rng, generator=generator, dtype=dtype, requires_grad=requires_grad)
