"""Why is this gradient None, zero, infinite or NaN? An answer in words, found by running the computation once more.

The run is watched: every step notes its line, its operands and, on the way back, what its rule sent on. The answer is
the first place where the gradient's way ends, or where it stops being a useful number.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..errors import ArgumentError, DTypeError
from ..tape import OPS, Array, Leaf, Node, line_text, recording_with, walk
from ..tensor import Tensor
from ..watch import first_bad, index_text
from .watched import Diary, Muted, Watched, diary

__all__ = ["Explanation", "explain_grad"]

# A gradient this much smaller than what came in is no help to an optimizer, though it is not 0.
_TINY = 1e-6


@dataclass(frozen=True)
class Explanation:
    """Why a gradient is what it is.

    Attributes:
        cause: one of a few words for programs: ``"healthy"``, ``"not asked for"``, ``"frozen"``, ``"integer"``,
            ``"no backward"``, ``"result"``, ``"unused"``, ``"lost"``, ``"read"``, ``"detached"``, ``"no_grad"``,
            ``"step"``, ``"masked"``, ``"dead"``, ``"partly dead"``, ``"saturated"``, ``"vanishing"``,
            ``"hook"``, ``"own rule"``, ``"tiny factor"``,
            ``"times zero"``, ``"cancels"``, ``"flat"``,
            ``"not selected"``, ``"not finite before"``, ``"not finite here"``, ``"infinite slope"``, ``"zero"``,
            ``"not finite"``.
        words: what happened, and where.
        remedy: what to change.
        line: the line of your program that is meant, where there is one.
        gradient: the gradient that was found, or None.
    """

    cause: str
    words: str
    remedy: str
    line: str | None = None
    gradient: Tensor | None = None

    def __str__(self) -> str:
        at = f"\n  at {self.line}" if self.line else ""
        return f"{self.words}{at}\n  -> {self.remedy}"

    __repr__ = __str__


def explain_grad(x: Tensor, loss: Callable[[], Tensor] | None = None) -> Explanation:
    """Say in words why the gradient of a loss by ``x`` is None, zero, infinite or NaN, and what to change.

    Args:
        x: a leaf such as a parameter, or a result that ``loss`` uses.
        loss: a function without arguments that computes the loss again, one number. It is run once, and watched; no
            ``.grad`` changes. Without it only what ``x`` itself knows can be said.

    Raises:
        DTypeError: ``x`` is not a tensor, or the function does not return one.
        ArgumentError: the loss is a tensor and not a function, or has several elements.

    >>> w = Tensor([-1.0, -2.0], requires_grad=True)
    >>> print(explain_grad(w, lambda: w.relu().sum()))  # doctest: +ELLIPSIS
    the gradient is 0: relu lets nothing through, all 2 of its inputs are at or below 0 (the largest is -1)
      at ...
      -> dead units: smaller learning rate, other initial weights or biases, scaled inputs, or leaky_relu
    """
    if not isinstance(x, Tensor):
        raise DTypeError(
            f"explain_grad(x, loss): x is a tensor, got {type(x).__name__}; say explain_grad(model.layer.weight, "
            "lambda: loss_fn(model(data), target))"
        )
    if isinstance(loss, Tensor):
        raise ArgumentError(
            "explain_grad(x, loss): the computation is run again to watch it, so give it as a function: "
            "explain_grad(x, lambda: loss_fn(model(data), target))"
        )
    return _asked_for(x) or (_without_run(x) if loss is None else _Run(x, loss).explanation())


def _asked_for(x: Tensor) -> Explanation | None:
    """What rules a gradient out before anything is computed."""
    if x.dtype.kind != "f":
        return Explanation(
            "integer",
            f"there is no gradient by this tensor: it holds {x.dtype}, and only floats have derivatives",
            "make it floats before computing with it: x = x.astype('float32'), then x.requires_grad = True",
        )
    if x.requires_grad:
        return None
    if getattr(x, "_parked", None) is not None:
        return Explanation(
            "frozen",
            "there is no gradient by this tensor: it is frozen (requires_grad was switched off after it was made)",
            "x.requires_grad = True before the forward pass",
        )
    return Explanation(
        "not asked for",
        "there is no gradient by this tensor: it does not require one, so nothing done with it is recorded",
        "Tensor(data, requires_grad=True), or x.requires_grad = True, before computing with it",
    )


def _without_run(x: Tensor) -> Explanation:
    more = "for the place and the reason say explain_grad(x, function) with a function that computes the loss"
    if not x.is_leaf and not x.retains_grad:
        assert x.node is not None
        made = f" of {x.node.plan.op.name}" if x.node.plan else ""
        return Explanation(
            "result",
            f"its .grad is None because it is the result{made} and not a leaf: only leaves keep their gradient",
            "x.retain_grad() before backward(), or autograd.grad(loss, x); a parameter that an update made a result, "
            "as p = p - lr * p.grad does, is updated in place instead: with no_grad(): p -= lr * p.grad",
        )
    gradient = x.grad
    if gradient is None:
        return Explanation(
            "no backward",
            "its .grad is None: no backward() has reached it since it was made or cleared",
            f"call loss.backward() after zero_grad(); {more}",
        )
    bad = first_bad(gradient.data)
    if bad is not None:
        return Explanation(
            "not finite", f"its gradient is {gradient.data[bad]} at {index_text(bad)}", more, gradient=gradient
        )
    if not gradient.data.any():
        return Explanation("zero", f"all {gradient.size} elements of its gradient are 0", more, gradient=gradient)
    return _healthy(gradient)


def _healthy(gradient: Tensor) -> Explanation:
    largest = float(np.abs(gradient.data).max(initial=0.0))
    zeros = int(np.count_nonzero(gradient.data == 0))
    some = f", {zeros} of {gradient.size} elements are 0" if zeros else ""
    return Explanation(
        "healthy",
        f"nothing is wrong: the gradient is finite, its largest element is {largest:.3g}{some}",
        "nothing to change here",
        gradient=gradient,
    )


class _Run:
    """One watched run of the loss, and the search in it."""

    def __init__(self, x: Tensor, function: Callable[[], Tensor]) -> None:
        assert x.node is not None
        self.x = x
        self.source: Node = x.node
        self.diary = Diary()
        token = diary.set(self.diary)
        try:
            with recording_with(Watched), np.errstate(all="ignore"):
                loss = function()
        finally:
            diary.reset(token)
        if not isinstance(loss, Tensor):
            raise DTypeError(f"explain_grad: the function returns the loss as a tensor, got {type(loss).__name__}")
        if loss.size != 1:
            raise ArgumentError(f"explain_grad: the function returns one number, got shape {loss.shape}; say .sum()")
        self.loss = loss
        # Steps that data of x went into, and those of them that its gradient can come back from.
        self.touched: set[Node] = {self.source}
        self.linked: set[Node] = {self.source}
        for step in self.diary.steps:
            if any(node in self.touched for node, _ in step.operands):
                self.touched.add(step)
            if any(node in self.linked for node in step.inputs):
                self.linked.add(step)

    def explanation(self) -> Explanation:
        root = self.loss.node
        if root is None or root not in self.touched:
            return self._unreached()
        if root not in self.linked:
            return self._cut(root)
        if not isinstance(root, Watched):  # the loss is x itself
            return _healthy(Tensor(np.ones(self.x.shape, self.x.dtype)))
        with np.errstate(all="ignore"):
            # Only to x: what x itself was computed from may have been released.
            seed = np.ones(root.shape, self.loss.dtype)
            found = walk([root], [seed], targets=[self.source], retain=True, through=isinstance(self.source, Leaf))
        gradient = Tensor(found[self.source])
        if first_bad(gradient.data) is not None or first_bad(self.loss.data) is not None:
            return self._not_finite(gradient, root)
        largest = float(np.abs(gradient.data).max(initial=0.0))
        if largest <= _TINY and gradient.size:
            return self._zero(gradient, largest)
        return self._partly(gradient)

    # --- no way ---

    def _unreached(self) -> Explanation:
        """No data of x is in the loss."""
        readings = [one for one in self.diary.readings if one.node in self.touched]
        if readings:
            last = readings[-1]
            return Explanation(
                "read",
                f"there is no gradient: the value left the tape by {last.what}, and what Python or NumPy computed from "
                "it is plain data",
                "compute with tensors from x to the loss; float(), item() and numpy() are for looking",
                line_text(last.line),
            )
        uses = [one for one in self.diary.steps if any(node is self.source for node, _ in one.operands)]
        if uses:
            return Explanation(
                "lost",
                f"there is no gradient: {_title(uses[-1])} uses it, but nothing of the result goes into the loss",
                "use that result in the loss, or take it out of the computation",
                line_text(uses[-1].line),
            )
        made = "" if isinstance(self.source, Leaf) else " (it is a result, computed before the function ran)"
        return Explanation(
            "unused",
            f"there is no gradient: the function computes the loss without it{made}",
            "compute the loss from this very tensor: check for x.data, a copy made with Tensor(...), a model that was "
            "replaced, or a variable that was overwritten",
        )

    def _cut(self, root: Node) -> Explanation:
        """Data of x is in the loss, but some step on every way passes no gradient: the first of them."""
        needed = self._behind(root)
        cuts = [
            step
            for step in self.diary.steps
            if step in needed and step not in self.linked and any(node in self.linked for node, _ in step.operands)
        ]
        first = cuts[0]
        others = f" ({len(cuts) - 1} more ways end in the same manner)" if len(cuts) > 1 else ""
        line = line_text(first.line)
        if isinstance(first, Muted) and first.why == "no_grad()":
            return Explanation(
                "no_grad",
                f"there is no gradient: {_title(first)} ran inside no_grad(), where nothing is recorded{others}",
                "move it out of the no_grad block; only evaluation and updates belong there",
                line,
            )
        if isinstance(first, Muted):
            integer = not first.why.startswith("detach")
            return Explanation(
                "integer" if integer else "detached",
                f"there is no gradient: {first.why} cuts the way from it to the loss{others}",
                "keep the values floats up to the loss"
                if integer
                else "take detach() out, or leave it and expect no gradient",
                line,
            )
        return Explanation(
            "step",
            f"there is no gradient: {_title(first)} answers a question, yes, no or which one, and its answer does not "
            f"change with a small change of x{others}",
            "use a smooth function in the loss: sigmoid or softmax for a decision, cross_entropy for classes",
            line,
        )

    def _behind(self, root: Node) -> set[Node]:
        """Everything whose data is in ``root``."""
        found = {root}
        for step in reversed(self.diary.steps):
            if step in found:
                found.update(node for node, _ in step.operands if node is not None)
        return found

    # --- numbers that are none ---

    def _not_finite(self, gradient: Tensor, root: Node) -> Explanation:
        place = first_bad(gradient.data)
        start = f"the loss is {self.loss.data.item()}"
        if place is not None:
            start = f"the gradient is {gradient.data[place]} at {index_text(place)}"
        needed = self._behind(root)
        steps = [step for step in self.diary.steps if step in needed]
        for step in steps:
            for position, (node, data) in enumerate(step.operands):
                bad = first_bad(np.asarray(data))
                if bad is not None and not isinstance(node, Watched):
                    what = "x" if node is self.source else "data"
                    return Explanation(
                        "not finite before",
                        f"{start}: {_operand(step, position)} of {_title(step)}, which is {what}, holds "
                        f"{np.asarray(data)[bad]} at {index_text(bad)} already",
                        "look at where these numbers come from: missing values in the data, or weights that a step too "
                        "large has made infinite",
                        line_text(step.line),
                        gradient,
                    )
            bad = first_bad(step.value)
            if bad is not None:
                return Explanation(
                    "not finite here",
                    f"{start}: {_title(step)} is the first to give {step.value[bad]}, at {index_text(bad)}, for "
                    f"{_operands_at(step, bad)}",
                    _domain_remedy(step.name),
                    line_text(step.line),
                    gradient,
                )
        for step in sorted(steps, key=lambda one: -one.tick):
            for position, passed in zip(_tracked(step), step.passed, strict=False):
                bad = first_bad(passed)
                if bad is not None and step.gradient is not None and first_bad(step.gradient) is None:
                    return Explanation(
                        "infinite slope",
                        f"{start}: every value is finite, but the derivative of {_title(step)} by "
                        f"{_operand(step, position)} is not, for {_operands_at(step, bad, passed.shape)}",
                        _domain_remedy(step.name),
                        line_text(step.line),
                        gradient,
                    )
        return Explanation("not finite", start, "run it inside autograd.detect_anomaly()", gradient=gradient)

    # --- zero ---

    def _zero(self, gradient: Tensor, largest: float) -> Explanation:
        """The first step, from the loss, that passes on nothing towards x."""
        start = "the gradient is 0" if largest == 0 else f"the gradient is practically 0 (at most {largest:.1g})"
        arrived: dict[Node, list[tuple[Watched, Array]]] = {}
        for step in sorted((one for one in self.diary.steps if one in self.linked), key=lambda one: -one.tick):
            came = 0.0 if step.gradient is None else float(np.abs(step.gradient).max(initial=0.0))
            if came == 0.0:
                continue
            for position, passed, node in zip(_tracked(step), step.passed, step.inputs, strict=False):
                if node not in self.linked:
                    continue
                arrived.setdefault(node, []).append((step, passed))
                if passed.size and float(np.abs(passed).max()) <= _TINY * came:
                    cause, words, remedy = _why_nothing(step, position, float(np.abs(passed).max()) == 0.0)
                    return Explanation(cause, f"{start}: {words}", remedy, line_text(step.line), gradient)
        for node, ways in arrived.items():
            total = sum(way[1] for way in ways) if len({way[1].shape for way in ways}) == 1 else np.ones(1)
            if len(ways) > 1 and not np.any(total):
                names = " and ".join(_title(step) for step, _ in ways)
                of = "x" if node is self.source else "a result of x"
                return Explanation(
                    "cancels",
                    f"{start}: {of} is used {len(ways)} times, by {names}, and the contributions cancel exactly",
                    "the loss does not depend on x at all, as x - x does not; look at the formula",
                    line_text(ways[0][0].line),
                    gradient,
                )
        if self.source.hooks is not None and self.source.hooks.before:
            return Explanation(
                "hook", f"{start}: a hook on x returns it", "look at what register_hook was given", gradient=gradient
            )
        hooked = next((one for one in self.diary.steps if one in self.linked and one.hooks is not None), None)
        if hooked is not None:
            return Explanation(
                "hook",
                f"{start}: there is a hook on the result of {_title(hooked)}, which may have made it so",
                "look at what register_hook was given",
                line_text(hooked.line),
                gradient,
            )
        vanishing = _vanishing([one for one in self.diary.steps if one in self.linked])
        if vanishing is None:
            return Explanation("zero", start, "nothing on the way explains it", gradient=gradient)
        words, step = vanishing
        return Explanation(
            "vanishing",
            f"{start}: {words}",
            "fewer layers, relu instead of sigmoid or tanh, larger initial weights (nn.init), or normalised inputs",
            line_text(step.line),
            gradient,
        )

    def _partly(self, gradient: Tensor) -> Explanation:
        """Units that get nothing while others do."""
        for step in sorted((one for one in self.diary.steps if one in self.linked), key=lambda one: -one.tick):
            if step.name not in _DEAD or not step.passed or step.gradient is None or step.value.ndim < 2:
                continue
            passed, came = step.passed[0], step.gradient
            axes = tuple(range(passed.ndim - 1))
            dead = np.flatnonzero(~passed.any(axis=axes) & came.any(axis=axes))
            if dead.size:
                shown = ", ".join(map(str, dead[:8])) + (" …" if dead.size > 8 else "")
                zeros = int(np.count_nonzero(gradient.data == 0))
                return Explanation(
                    "partly dead",
                    f"{zeros} of {gradient.size} elements of the gradient are 0: {dead.size} of {passed.shape[-1]} "
                    f"units of {_title(step)} (numbers {shown}) let nothing through for any of the "
                    f"{int(np.prod(passed.shape[:-1]))} samples",
                    _DEAD_REMEDY,
                    line_text(step.line),
                    gradient,
                )
        return _healthy(gradient)


def _vanishing(steps: list[Watched]) -> tuple[str, Watched] | None:
    """The op that takes most of the gradient away over all its steps, and its step nearest to x."""
    lost: dict[str, list[tuple[float, Watched]]] = {}
    for step in steps:
        came = 0.0 if step.gradient is None else float(np.abs(step.gradient).max(initial=0.0))
        for passed in step.passed:
            sent = float(np.abs(passed).max(initial=0.0))
            if 0.0 < sent < came:
                lost.setdefault(step.name, []).append((sent / came, step))
    if not lost:
        return None
    name = min(lost, key=lambda one: sum(np.log(ratio) for ratio, _ in lost[one]))
    ratios = [ratio for ratio, _ in lost[name]]
    words = (
        f"it shrinks on the way: {len(ratios)} steps of {name} pass on between {min(ratios):.2g} and {max(ratios):.2g} "
        "of what reaches them"
    )
    return words, lost[name][0][1]


_Reason = tuple[str, str, str]
"""Cause, words and remedy."""

_DEAD_REMEDY = "dead units: smaller learning rate, other initial weights or biases, scaled inputs, or leaky_relu"
_DEAD = {"relu", "gate", "leaky_relu"}


def _dead(step: Watched, _: int) -> _Reason:
    data = np.asarray(step.operands[0][1])
    words = (
        f"{_title(step)} lets nothing through, all {data.size} of its inputs are at or below 0 (the largest is "
        f"{data.max(initial=-np.inf):.3g})"
    )
    return "dead", words, _DEAD_REMEDY


def _branch(step: Watched, _: int) -> _Reason:
    condition = np.asarray(step.operands[0][1])
    words = (
        f"{_title(step)} takes the other branch everywhere: the condition is {bool(condition.any())} for all "
        f"{condition.size} elements"
    )
    return "masked", words, "look at the condition; the branch that is not taken gets no gradient"


def _bounds(step: Watched, position: int) -> _Reason:
    title = _title(step).replace(step.name, "clamp")
    words = f"{title} holds every element at its bound: {_operand(step, position)} lies {_span_of(step, position)}"
    return "masked", words, "widen the bounds, or clamp the stored values after the step instead of inside the loss"


def _choice(step: Watched, position: int) -> _Reason:
    words = f"{_title(step)} never chooses {_operand(step, position)}, which lies {_span_of(step, position)}"
    return "masked", words, "only what is chosen gets a gradient; a smooth choice is logsumexp or softmax"


def _squashed(step: Watched, position: int) -> _Reason:
    if step.name in {"softmax", "log_softmax"} and _constant_rows(step):
        words = (
            f"what comes into {_title(step)} is the same for every class, and the outputs of {step.name} always add up "
            "to the same"
        )
        return (
            "cancels",
            words,
            "the loss does not depend on x: use the entries of the classes meant, or cross_entropy of the logits",
        )
    words = f"{_title(step)} is saturated: {_operand(step, position)} lies {_span_of(step, position)}, where it is flat"
    remedy = (
        "scale the inputs or the initial weights down; for a loss take logits (cross_entropy, "
        "binary_cross_entropy_with_logits), which do not saturate when wrong"
    )
    return "saturated", words, remedy


def _product(step: Watched, position: int) -> _Reason:
    others = [np.asarray(one) for place, (_, one) in enumerate(step.operands) if place != position]
    if all(one.any() for one in others):
        return _flat(step, position)
    return (
        "times zero",
        f"{_title(step)} multiplies {_operand(step, position)} with zeros only",
        "look at the other factor: a weight of 0 in the loss, an empty mask, weights that are all initialised to 0",
    )


def _selection(step: Watched, _: int) -> _Reason:
    words = f"{_title(step)} takes no element that depends on x"
    return "not selected", words, "look at the index or the mask"


def _join(step: Watched, _: int) -> _Reason:
    words = f"after {_title(step)}, only parts that do not depend on x are used"
    return "not selected", words, "look at the index or the mask that follows"


def _staircase(step: Watched, _: int) -> _Reason:
    words = f"{_title(step)} is a staircase: flat everywhere but at the jump"
    return "flat", words, "use a smooth function in the loss: tanh for sign, sigmoid for a step"


def _flat(step: Watched, position: int) -> _Reason:
    operand = _operand(step, position)
    words = f"the derivative of {_title(step)} by {operand} is 0 here, {operand} lies {_span_of(step, position)}"
    return "flat", words, "look at the operands of this step: at this point the loss does not change with x"


_SQUASHING = (
    "sigmoid",
    "tanh",
    "softmax",
    "log_softmax",
    "silu",
    "gelu",
    "softplus",
    "bce_with_logits",
    "cross_entropy",
)
_WHY: dict[str, Callable[[Watched, int], _Reason]] = {
    "relu": _dead,
    "where": _branch,
    "sign": _staircase,
    "getitem": _selection,
    "cat": _join,
    **dict.fromkeys(("at_least", "at_most", "gate"), _bounds),
    **dict.fromkeys(("maximum", "minimum", "amax", "amin"), _choice),
    **dict.fromkeys(_SQUASHING, _squashed),
    **dict.fromkeys(("mul", "matmul", "linear", "linear_without_bias", "einsum"), _product),
}


def _why_nothing(step: Watched, position: int, nothing: bool) -> _Reason:
    """Why a step passes nothing, or next to nothing, on to one operand."""
    assert step.plan is not None
    if OPS.get(step.name) is not step.plan.op:
        operand = _operand(step, position)
        words = f"the backward of {step.name}, code of your own, returns nothing but zeros (or None) for {operand}"
        return "own rule", words, f"look at what {step.name}.backward returns"
    if not nothing and step.name not in _SQUASHING:
        words = f"{_title(step)} passes on less than a millionth of it to {_operand(step, position)}"
        return "tiny factor", words, "look at the other factor: rescale the loss or the inputs"
    return _WHY.get(step.name, _flat)(step, position)


def _constant_rows(step: Watched) -> bool:
    if step.gradient is None:
        return False
    axis = step.params.get("axis", -1)
    return bool(np.all(np.ptp(step.gradient, axis=axis) <= 1e-12 * np.abs(step.gradient).max(initial=0.0)))


def _domain_remedy(name: str) -> str:
    remedies = {
        "log": "log needs numbers above 0: log(x + 1e-12), log1p, or log_softmax and the losses that take logits",
        "sqrt": "sqrt needs numbers above 0, and its slope is infinite at 0: sqrt(x + 1e-12)",
        "div": "the divisor is 0, or so small that the quotient overflows: add a small number, or mask it first",
        "exp": "exp overflows above 88 in float32 and 709 in float64: logsumexp, softmax, losses from logits do not",
        "pow_by_number": "powers below 1 are infinitely steep at 0, fractional ones need numbers above 0",
    }
    return remedies.get(
        name, "keep the operands inside the domain, or use the fused function (losses from logits, logsumexp)"
    )


# --- words ----------------------------------------------------------------------------------------


def _title(step: Watched) -> str:
    return f"{step.name} (in {'.'.join(step.scope)})" if step.scope else step.name


def _tracked(step: Watched) -> tuple[int, ...]:
    return step.plan.tracked if step.plan else ()


def _operand(step: Watched, position: int) -> str:
    assert step.plan is not None
    names = step.plan.op.operands
    named = position < len(names) and not callable(step.plan.op.rules)
    return f"its operand {names[position] if named else position}"


def _operands_at(step: Watched, place: tuple[int, ...], shape: tuple[int, ...] | None = None) -> str:
    """The values of the operands at one place of the result."""
    shape = step.value.shape if shape is None else shape
    parts = []
    for position, (_, data) in enumerate(step.operands):
        array = np.asarray(data)
        name = _operand(step, position).removeprefix("its operand ")
        try:
            parts.append(f"{name} = {np.broadcast_to(array, shape)[place]:.6g}")
        except ValueError:
            parts.append(f"{name} {_span(array)}")
    return ", ".join(parts)


def _span_of(step: Watched, position: int) -> str:
    return _span(np.asarray(step.operands[position][1]))


def _span(data: Array) -> str:
    if not data.size:
        return "nowhere: it is empty"
    low, high = float(data.min()), float(data.max())
    return f"at {low:.3g}" if low == high else f"between {low:.3g} and {high:.3g}"
