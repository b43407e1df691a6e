"""Which gradient checker finds which mistake: ``python benchmarks/planted_mistakes.py`` prints the table.

Every mistake is planted in four libraries through the door each has for gradients of one's own: ``Function`` here and
in torch, ``jax.custom_vjp`` and ``autograd.extend.defvjp_argnums``. Each library's checker then looks at it with its
default settings, at the same points, in reverse mode. So does ours, in each of the libraries. Every checker is
also shown the operation with its right gradient, and must not complain.

Libraries that are not installed are left out.
"""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np

Point = list[np.ndarray]


@dataclass(frozen=True)
class Mistake:
    """An operation with a right and a wrong gradient, written for any library (``xp`` holds its functions)."""

    name: str
    forward: Callable[..., Any]
    right: Callable[..., tuple[Any, ...]]
    wrong: Callable[..., tuple[Any, ...]]
    points: list[Point]
    order: int = 1
    without: tuple[str, ...] = field(default=())
    """Libraries in which the mistake cannot be made."""


def _points() -> tuple[Point, Point, Point]:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(4, 3))
    return [matrix], [rng.normal(size=(3, 3)), rng.normal(size=3)], [matrix, rng.normal(size=(4, 3))]


ONE, BROADCAST, TWO = _points()


def _tanh(factor: float) -> Callable[..., tuple[Any, ...]]:
    return lambda xp, g, x: (g * (1 - xp.tanh(x) ** 2) * factor,)


def _add_into_both(xp: Any, g: Any, x: Any, y: Any) -> tuple[Any, Any]:
    first = second = g
    xp.add_into(first, g * y)
    xp.add_into(second, g * x)
    return first, second


def _overwrite_incoming(xp: Any, g: Any, x: Any) -> tuple[Any]:
    found = g * xp.exp(x)
    xp.add_into(g, g)
    return (found,)


def _slope_of_sigmoid(xp: Any, g: Any, x: Any) -> tuple[Any]:
    tail = xp.exp(-xp.abs(x))
    return (g * tail / (1 + tail) ** 2,)


def _slope_of_textbook(xp: Any, g: Any, x: Any) -> tuple[Any]:
    y = 1 / (1 + xp.exp(-x))
    return (g * y * (1 - y),)


MISTAKES = [
    Mistake("0.1 % too much", lambda xp, x: xp.tanh(x), _tanh(1.0), _tanh(1 + 1e-3), [ONE]),
    Mistake("one millionth too much", lambda xp, x: xp.tanh(x), _tanh(1.0), _tanh(1 + 1e-6), [ONE]),
    Mistake(
        "a broadcast operand's gradient summed over the wrong one of two equal axes",
        lambda xp, x, b: x * b,
        lambda xp, g, x, b: (g * b, xp.sum(g * x, 0)),
        lambda xp, g, x, b: (g * b, xp.sum(g * x, 1)),
        [BROADCAST],
    ),
    Mistake(
        "a dropped term (product rule)",
        lambda xp, x: x * xp.exp(x),
        lambda xp, g, x: (g * (1 + x) * xp.exp(x),),
        lambda xp, g, x: (g * xp.exp(x),),
        [ONE],
    ),
    Mistake(
        "one array given to two inputs, then added into",
        lambda xp, x, y: x + y + x * y,
        lambda xp, g, x, y: (g + g * y, g + g * x),
        _add_into_both,
        [TWO],
        without=("jax",),
    ),
    Mistake(
        "the incoming gradient overwritten after use (the result itself is right)",
        lambda xp, x: xp.exp(x),
        lambda xp, g, x: (g * xp.exp(x),),
        _overwrite_incoming,
        [ONE],
        without=("jax",),
    ),
    Mistake(
        "right at first order, wrong at second (a rule that reads detached data)",
        lambda xp, x: xp.exp(x),
        lambda xp, g, x: (g * xp.exp(x),),
        lambda xp, g, x: (g * xp.detach(xp.exp(x)),),
        [ONE],
        order=2,
    ),
    Mistake(
        "wrong only at negative values",
        lambda xp, x: x * x * x,
        lambda xp, g, x: (g * 3 * x * x,),
        lambda xp, g, x: (g * 3 * x * xp.abs(x),),
        [ONE],
    ),
    Mistake(
        "wrong only for incoming gradients that are not uniform",
        lambda xp, x: 2 * x,
        lambda xp, g, x: (2 * g,),
        lambda xp, g, x: (2 * xp.mean(g) + 0 * x,),
        [ONE],
    ),
    Mistake(
        "a wrong sign that cancels for ones",
        lambda xp, x: x - xp.mean(x),
        lambda xp, g, x: (g - xp.mean(g),),
        lambda xp, g, x: (xp.mean(g) - g,),
        [ONE],
    ),
    Mistake(
        "cancellation in a tail (y(1 - y) for the sigmoid, at 40)",
        lambda xp, x: 1 / (1 + xp.exp(-x)),
        _slope_of_sigmoid,
        _slope_of_textbook,
        [[np.array([40.0, -40.0, 0.5])]],
    ),
    Mistake(
        "a factor 1/n forgotten (invisible for a batch of one)",
        lambda xp, x: xp.sum(x * x, 0) / x.shape[0],
        lambda xp, g, x: (2 * g * x / x.shape[0],),
        lambda xp, g, x: (2 * g * x,),
        [[np.array([[0.5, -1.0, 2.0]])], ONE],
    ),
    Mistake(
        "a slope at a kink outside the interval of left and right (relu'(0) = 2)",
        lambda xp, x: xp.where(x > 0, x, 0 * x),
        lambda xp, g, x: (xp.where(x > 0, g, 0 * g),),
        lambda xp, g, x: (xp.where(x > 0, g, 0 * g) + xp.where(x == 0, 2 * g, 0 * g),),
        [[np.array([-1.0, 0.0, 0.5])]],
    ),
]


# --- the same operation in four libraries ------------------------------------------------------------------------


def _as_function(base: Any, xp: Any, mistake: Mistake, rule: Callable[..., tuple[Any, ...]]) -> Callable[..., Any]:
    """A Function of ours or of torch's, which have the same shape."""

    class Planted(base):
        @staticmethod
        def forward(ctx: Any, *args: Any) -> Any:
            ctx.save_for_backward(*args)
            return mistake.forward(xp, *args)

        @staticmethod
        def backward(ctx: Any, *gradients: Any) -> Any:
            return rule(xp, *gradients, *ctx.saved_tensors)

    return Planted.apply  # type: ignore[no-any-return]


def make_ours(mistake: Mistake, rule: Callable[..., tuple[Any, ...]]) -> Callable[..., Any]:
    """The operation with this rule, for tensors of tinygrad_mlp."""
    from tinygrad_mlp import ops
    from tinygrad_mlp.autograd import Function

    def add_into(a: Any, b: Any) -> None:
        a.data[...] += b.data

    xp = SimpleNamespace(
        **{name: getattr(ops, name) for name in ("tanh", "exp", "sum", "abs", "mean", "where")},
        detach=lambda x: x.detach(),
        add_into=add_into,
    )

    return _as_function(Function, xp, mistake, rule)


def make_torch(mistake: Mistake, rule: Callable[..., tuple[Any, ...]]) -> Callable[..., Any]:
    """The same for torch."""
    import torch

    xp = SimpleNamespace(
        **{name: getattr(torch, name) for name in ("tanh", "exp", "sum", "abs", "mean", "where")},
        detach=lambda x: x.detach(),
        add_into=lambda a, b: a.add_(b),
    )

    return _as_function(torch.autograd.Function, xp, mistake, rule)


def make_jax(mistake: Mistake, rule: Callable[..., tuple[Any, ...]]) -> Callable[..., Any]:
    """The same for JAX."""
    import jax

    xp = SimpleNamespace(
        **{name: getattr(jax.numpy, name) for name in ("tanh", "exp", "sum", "abs", "mean", "where")},
        detach=jax.lax.stop_gradient,
    )

    @jax.custom_vjp
    def planted(*args: Any) -> Any:
        return mistake.forward(xp, *args)

    planted.defvjp(lambda *args: (mistake.forward(xp, *args), args), lambda args, g: rule(xp, g, *args))
    return planted


def make_autograd(mistake: Mistake, rule: Callable[..., tuple[Any, ...]]) -> Callable[..., Any]:
    """The same for HIPS autograd."""
    import autograd.numpy as anp
    from autograd.extend import defvjp_argnums, primitive
    from autograd.tracer import getval

    def add_into(a: Any, b: Any) -> None:
        if isinstance(a, np.ndarray):  # under a second trace it is a box, which cannot be written into
            a += b

    xp = SimpleNamespace(
        **{name: getattr(anp, name) for name in ("tanh", "exp", "sum", "abs", "mean", "where")},
        detach=getval,
        add_into=add_into,
    )

    @primitive
    def planted(*args: Any) -> Any:
        return mistake.forward(xp, *args)

    def pull(argnums: Any, _: Any, args: Any, __: Any) -> Callable[[Any], Any]:
        def gradients(g: Any) -> Any:
            found = rule(xp, g, *args)
            return tuple([found[place] for place in argnums])

        return gradients

    defvjp_argnums(planted, pull)
    return planted


MAKERS = {"tinygrad_mlp": make_ours, "torch": make_torch, "jax": make_jax, "autograd": make_autograd}


# --- the checkers: does it complain? -------------------------------------------------------------------------------


def ours_complains(fn: Callable[..., Any], point: Point, order: int, framework: str = "tinygrad_mlp") -> bool:
    """``tinygrad_mlp.testing.gradcheck``."""
    from tinygrad_mlp.testing import gradcheck

    return not gradcheck(fn, point, order=order, framework=framework).ok


def torch_complains(fn: Callable[..., Any], point: Point, order: int) -> bool:
    """``torch.autograd.gradcheck``, and ``gradgradcheck`` at order 2."""
    import torch

    # By its name torch.autograd.gradcheck is the function; the module holds the error.
    gradcheck = importlib.import_module("torch.autograd.gradcheck")
    inputs = [torch.tensor(one, requires_grad=True) for one in point]
    try:
        torch.autograd.gradcheck(fn, inputs)
        if order == 2:
            torch.autograd.gradgradcheck(fn, inputs)
    except gradcheck.GradcheckError:
        return True
    return False


def jax_complains(fn: Callable[..., Any], point: Point, order: int) -> bool:
    """``jax.test_util.check_grads``, in 64-bit numbers; a custom_vjp has no forward mode."""
    import jax
    from jax.test_util import check_grads

    with jax.enable_x64(True):
        try:
            check_grads(fn, [jax.numpy.asarray(one) for one in point], order=order, modes=["rev"])
        except AssertionError:
            return True
    return False


def autograd_complains(fn: Callable[..., Any], point: Point, order: int) -> bool:
    """``autograd.test_util.check_grads``, told of all arguments; by default it checks both orders of the first one."""
    from autograd.test_util import check_grads

    del order
    # It draws from NumPy's global generator.
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    try:
        check_grads(fn, argnum=tuple(range(len(point))), modes=["rev"])(*point)
    except AssertionError:
        return True
    finally:
        np.random.set_state(state)  # noqa: NPY002
    return False


CHECKERS = {"torch": torch_complains, "jax": jax_complains, "autograd": autograd_complains}


def verdict(mistake: Mistake, library: str, complains: Callable[..., bool]) -> str:
    """``found`` or ``missed``; with a note where the checker refuses the right gradient as well."""
    if library in mistake.without:
        return "–"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        right = MAKERS[library](mistake, mistake.right)
        wrong = MAKERS[library](mistake, mistake.wrong)
        found = any(complains(wrong, point, mistake.order) for point in mistake.points)
        alarm = any(complains(right, point, mistake.order) for point in mistake.points)
    if alarm:
        return "refuses the right one too" if found else "refuses the right one"
    return "found" if found else "**missed**"


def installed() -> list[str]:
    """The other libraries that are here."""
    return [name for name in CHECKERS if importlib.util.find_spec(name)]


def table() -> str:
    """The table, in Markdown."""
    peers = installed()
    names = {"torch": "torch `gradcheck`", "jax": "JAX `check_grads`", "autograd": "HIPS `check_grads`"}
    lines = ["| mistake | this kit | " + " | ".join(names[name] for name in peers) + " |"]
    lines.append("|---|---|" + "---|" * len(peers))
    for mistake in MISTAKES:
        cells = [verdict(mistake, "tinygrad_mlp", ours_complains)]
        cells += [verdict(mistake, name, CHECKERS[name]) for name in peers]
        lines.append(f"| {mistake.name} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
