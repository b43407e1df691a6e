r"""Formulas out of the ops' own ``latex`` templates: put together with the brackets they need, and as plain text.

>>> product = written(r"{0} \cdot {1}", [Formula("a + b", SUM), Formula("w")])
>>> product.latex
'\\left(a + b\\right) \\cdot w'
>>> product.text
'(a + b) · w'
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .labels import number, printable, summary

__all__ = [
    "ATOM",
    "PRODUCT",
    "SUM",
    "Formula",
    "in_brackets",
    "matrix",
    "named",
    "of_op",
    "one_number",
    "plain",
    "small",
    "told",
    "written",
]

# How loosely the parts of a formula hang together: what is looser than its place allows gets brackets.
SUM, PRODUCT, ATOM = 1, 2, 3

_TOKEN = re.compile(r"\{\{|\}\}|\{(\d+|[a-z]\w*)\}")
_PLACE = re.compile("\2([^\3]*)\3")
_OPENING = ("\0", "(", "[", ",", ";", r"\lvert", "&")
_CLOSING = ("\1", ")", "]", ",", ";", r"\rvert", "&", r"\right")


@dataclass(frozen=True, slots=True)
class Formula:
    """A part of a formula in LaTeX, and how loosely it hangs together."""

    latex: str
    level: int = ATOM

    @property
    def text(self) -> str:
        """The formula as plain text."""
        return plain(self.latex)


def named(name: str) -> Formula:
    """A name as a formula: one letter as mathematics, a longer one upright, whatever it contains."""
    shown = printable(name)
    if len(shown) == 1 and shown.isalpha():
        return Formula(shown)
    return Formula(rf"\mathrm{{{_harmless(shown)}}}")


def _harmless(text: str) -> str:
    # Letters for what LaTeX reads as commands; its own commands for these letters depend on the fonts.
    swaps = {"\\": "∖", "{": "❴", "}": "❵", "$": "＄", "%": "％", "#": "＃", "&": "＆", "^": "＾", "~": "∼"}
    return "".join(swaps.get(one, one) for one in text).replace("_", r"\_")


def matrix(array: Any) -> Formula:
    r"""An array of one or two axes as a matrix, one axis as a row.

    >>> matrix(np.array([[1.0, 2.0], [3.0, 4.5]])).text
    '[1 2; 3 4.5]'
    """
    lines = [" & ".join(number(one) for one in row) for row in np.atleast_2d(array)]
    return Formula(r"\begin{bmatrix} " + r" \\ ".join(lines) + r" \end{bmatrix}")


def one_number(array: Any) -> str:
    """An array of a single element, as that number."""
    return number(np.asarray(array).ravel()[0])


def in_brackets(text: str) -> str:
    """Text that stands behind an operator: in brackets where it begins with a minus."""
    return f"({text})" if text.startswith("-") else text


def small(value: Any, most: int = 1) -> Formula | None:
    """A single number, or a matrix of up to ``most`` numbers, as a formula; None of anything larger."""
    array = np.asarray(value)
    if array.size == 1:
        text = one_number(array)
        return Formula(text, SUM if text.startswith("-") else ATOM)
    return matrix(array) if 1 < array.size <= most and array.ndim <= 2 else None


def told(value: Any, most: int = 1) -> str:
    """An array of up to ``most`` numbers whole, a larger one as how large it is."""
    array = np.asarray(value)
    few = small(array, most) if most > 1 else None
    return few.text if few else ", ".join(summary(array))


def of_op(
    latex: str | None, name: str, operands: Sequence[Formula], params: Mapping[str, Any] | None = None
) -> Formula:
    """The op's template filled with formulas; without a template, a call by its name."""
    if latex is None or not operands:
        inner = ", ".join(one.latex for one in operands)
        return Formula(rf"\operatorname{{{_harmless(name)}}}({inner})")
    return written(latex, operands, params)


def written(template: str, operands: Sequence[Formula], params: Mapping[str, Any] | None = None) -> Formula:
    """A template such as ``{0} + {1}`` filled with formulas, in brackets where these hang together too loosely."""
    looseness = _level(template)
    all_operands = ", ".join(one.latex for one in operands)
    # Braces of LaTeX are doubled in a template.
    flat = _TOKEN.sub(lambda m: f"\2{m[1]}\3" if m[1] else ("\0" if m[0] == "{{" else "\1"), template)

    def fill(found: re.Match[str]) -> str:
        key = found[1]
        if not key.isdigit():
            return all_operands if key == "operands" else _parameter((params or {}).get(key, key), key == "index")
        part = operands[int(key)]
        before, after = flat[: found.start()].rstrip(), flat[found.end() :].lstrip()
        opened = not before or (before.endswith(_OPENING) and not before.endswith(r"\,"))
        closed = not after or after.startswith(_CLOSING)
        if opened and closed:
            return part.latex
        needed = ATOM if looseness == ATOM else max(looseness, PRODUCT if before.endswith("-") else SUM)
        return rf"\left({part.latex}\right)" if part.level < needed else part.latex

    filled = _PLACE.sub(fill, flat).replace("\0", "{").replace("\1", "}")
    return Formula(filled, looseness)


def _parameter(value: Any, bare: bool = False) -> str:
    """A parameter as it is written in a call; a ``bare`` tuple without brackets, as an index is."""
    if isinstance(value, (tuple, list)):
        inner = ", ".join(map(_parameter, value))
        return inner if bare else f"({inner}{',' * (len(value) == 1)})"
    if isinstance(value, slice):
        ends = ["" if one is None else str(one) for one in (value.start, value.stop, value.step)]
        return ":".join(ends[: 2 + (value.step is not None)])
    if isinstance(value, np.ndarray):
        return _parameter(value.tolist()) if value.size <= 4 else "i"
    if isinstance(value, (int, float, np.generic)):
        return number(value)
    return "..." if value is Ellipsis else _harmless(printable(str(value)))


def _level(template: str) -> int:
    """Of a template: a sum, a product, or something that holds together by itself."""
    bare, before = template.replace("{{", "<").replace("}}", ">"), ""
    while bare != before:
        bare, before = re.sub(r"\([^()]*\)|\[[^\[\]]*\]|<[^<>]*>", "", bare), bare
    if re.search(r"\S\s[+-]\s", bare) or bare.startswith("-"):
        return SUM
    if re.search(r"\\cdot|\\,|\}\s*\{|\\[a-z]+ ?\{\d|\\sum|\\top \{", bare) or re.match(r"\\(ln|max|min) ", bare):
        return PRODUCT
    return ATOM


_WORDS = {
    r"\cdot": "·",
    r"\sigma": "σ",
    r"\Phi": "Φ",
    r"\phi": "φ",
    r"\mu": "μ",
    r"\epsilon": "ε",
    r"\partial": "∂",
    r"\sum": "Σ",
    r"\top": "ᵀ",
    r"\lvert": "|",
    r"\rvert": "|",
    r"\left": "",
    r"\right": "",
    r"\,": " ",
    r"\_": "_",
    r"\odot": "⊙",
    r"\delta": "δ",
    r"\eta": "η",
    r"\leftarrow": "←",
    r"\lfloor": "⌊",
    r"\rfloor": "⌋",
    r"\lceil": "⌈",
    r"\rceil": "⌉",
    r"\Gamma": "Γ",
    r"\psi": "ψ",
    r"\land": "∧",
    r"\lor": "∨",
    r"\lnot": "¬",
    r"\ne": "≠",
    r"\le": "≤",
    r"\ge": "≥",
}
_RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_LOWERED = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_NO_CASES = r"((?:(?!\\begin\{cases\}).)*?)"
_CASES = re.compile(
    rf"\\begin\{{cases\}} {_NO_CASES} & {_NO_CASES} \\\\ {_NO_CASES} & (?:\\text\{{else\}}|else) \\end\{{cases\}}"
)
_WORD = re.compile(r"\\(?:[a-zA-Z]+|.)")


def plain(latex: str) -> str:
    r"""A formula of this module as plain text.

    >>> plain(r"\frac{1}{1 + e^{-x}}")
    '1 / (1 + e^(-x))'
    """
    text = latex
    matrix = re.compile(r"\\begin\{bmatrix\} (.*?) \\end\{bmatrix\}")
    text = matrix.sub(lambda m: f"[{m[1].replace(' & ', ' ').replace(' ' + chr(92) * 2 + ' ', '; ')}]", text)
    while True:
        # Innermost first: what is in these braces has none itself.
        changed = _CASES.sub(r"(\1 if \2 else \3)", text)
        changed = re.sub(r"\\frac\{([^{}]*)\}\{([^{}]*)\}", lambda m: f"{_closed(m[1])} / {_closed(m[2])}", changed)
        changed = re.sub(r"\\sqrt\{([^{}]*)\}", r"√(\1)", changed)
        changed = re.sub(r"\\(?:operatorname|mathrm|text)\{([^{}]*)\}", r"\1", changed)
        changed = re.sub(r"\^\{([^{}]*)\}", lambda m: _raised(m[1]), changed)
        changed = re.sub(r"_\{(\d+)\}", lambda m: m[1].translate(_LOWERED), changed)
        changed = re.sub(r"_\{([^{}]*)\}", r"[\1]", changed)
        if changed == text:
            break
        text = changed
    text = re.sub(r"\\(ln|max|min)(?=\\)", r"\1 ", text)
    text = re.sub(r"\^(\d)", lambda m: m[1].translate(_RAISED), text.replace(r"^\top", "ᵀ"))
    text = _WORD.sub(lambda m: _WORDS.get(m[0], m[0][1:]), text)
    return re.sub(r" +", " ", text.replace("ᵀ", "ᵀ ").replace("ᵀ )", "ᵀ)")).strip()


def _closed(part: str) -> str:
    return part if re.fullmatch(r"[\w.∂]+(\([^()]*\))?", part) else f"({part})"


def _raised(part: str) -> str:
    return part.translate(_RAISED) if re.fullmatch(r"-?\d+", part) else f"^({part})" if len(part) > 1 else f"^{part}"
