# %% [markdown]
# # The rules of differentiation
#
# Constant, power, sum, product, quotient, chain, and the derivatives of a handful of functions: all that a first course
# teaches. You will see each rule written out by a computer algebra system, and the same derivative come out of a tape
# that knows nothing of formulas. Then the chain rule, five functions deep, with every link in sight.
#
# You need: the notebook on the tape, and about fifteen minutes.

# %%
import matplotlib.pyplot as plt
import mpmath
import numpy as np
import sympy

import tinygrad_mlp as tg
from tinygrad_mlp.viz.style import COLORS, tidy

BLUE, ORANGE, GREEN = COLORS[:3]  # after Okabe and Ito: told apart by all eyes

# %% [markdown]
# ## 1. The rules, in symbols
#
# *SymPy* calculates with letters. We give it unknown functions $u(x)$ and $v(x)$, and ask for derivatives. These are
# the rules in their general form:

# %%
x, n, a, c = sympy.symbols("x n a c", positive=True)
u, v = (sympy.Function(name)(x) for name in "uv")

general = {
    "constant": c,
    "power": x**n,
    "generalised power": u**n,
    "sum": u + v,
    "difference": u - v,
    "product": u * v,
    "quotient": u / v,
    "chain": sympy.Function("u")(v),
    "exponential": sympy.exp(x),
    "exponential, any base": a**x,
    "logarithm": sympy.log(x),
    "sine": sympy.sin(x),
    "cosine": sympy.cos(x),
    "tangent": sympy.tan(x),
}


SHORTER = {"Derivative(u(v(x)), v(x))": "u'(v)", "Derivative(u(x), x)": "u'", "Derivative(v(x), x)": "v'"}
SHORTER |= {"u(v(x))": "u(v)", "u(x)": "u", "v(x)": "v", "**": "^", "*": "·"}


def written(formula):
    """Shorter than SymPy writes it: u for u(x), u' for its derivative."""
    text = str(sympy.powsimp(sympy.together(formula)))
    for long, short in SHORTER.items():
        text = text.replace(long, short)
    return text


print(f"{'rule':23}{'f(x)':10}f'(x)")
for name, formula in general.items():
    # doit() carries out what SymPy only notes down: the derivative of u at the place v(x).
    print(f"{name:23}{written(formula):10}{written(sympy.diff(formula, x).doit())}")

# %% [markdown]
# ## 2. One formula, two readers
#
# Now an example for each rule. SymPy differentiates the *formula*: it rewrites symbols, and gives another formula. The
# engine never sees a formula: `lambdify` turns it into a Python function, the engine runs that function with numbers,
# writes down each operation on its tape, and goes back along it.

# %%
square_plus = x**2 + 1
examples = {
    "constant": (sympy.Integer(2), (-2, 2)),
    "power": (x**3, (-1.5, 1.5)),
    "generalised power": ((sympy.sin(x) + 2) ** 3, (-4, 4)),
    "sum": (x**2 + sympy.sin(4 * x), (-2, 2)),
    "difference": (sympy.exp(x) - x**3, (-2, 3)),
    "product": (x**2 * sympy.cos(x), (-5, 5)),
    "quotient": (sympy.sin(3 * x) / square_plus, (-3, 3)),
    "chain": (sympy.sqrt(sympy.log(1 + sympy.exp(sympy.sin(x**2)))), (-2.5, 2.5)),
    "exponential": (sympy.exp(x), (-2, 2)),
    "exponential, any base": (sympy.Integer(2) ** x, (-2, 3)),
    "logarithm": (sympy.log(x), (0.2, 4)),
    "sine": (sympy.sin(x), (-4, 4)),
    "cosine": (sympy.cos(x), (-4, 4)),
    "tangent": (sympy.tan(x), (-1.2, 1.2)),
}
assert examples.keys() == general.keys()

ENGINE = {"sin": tg.sin, "cos": tg.cos, "tan": tg.tan, "exp": tg.exp, "log": tg.log, "sqrt": tg.sqrt}


def by_tape(formula, points):
    """Values and derivatives at these points, from the tape."""
    function = sympy.lambdify(x, formula, modules=ENGINE)
    place = tg.Tensor(points, requires_grad=True)
    value = function(place) + 0 * place  # a constant has no way back to x; this gives it one, of slope 0
    value.sum().backward()
    return value.data, place.grad.data


def by_symbols(formula, points):
    """The derivative that SymPy finds, worked out with 40 digits."""
    function = sympy.lambdify(x, sympy.diff(formula, x), modules="mpmath")
    with mpmath.workdps(40):
        return np.array([float(function(mpmath.mpf(point))) for point in points])


print(f"{'rule':23}{'largest |f′|':>14}{'largest difference':>20}")
results = {}
for name, (formula, interval) in examples.items():
    points = np.linspace(*interval, 101)
    value, slope = by_tape(formula, points)
    expected = by_symbols(formula, points)
    scale = max(np.abs(expected).max(), 1.0)
    difference = np.abs(slope - expected).max()
    results[name] = points, value, slope, expected
    print(f"{name:23}{np.abs(expected).max():14.4f}{difference:20.1e}")
    assert difference <= 8 * np.finfo(np.float64).eps * scale

# %% [markdown]
# All differences are in the 15th or 16th digit, where a 64-bit number ends. The same in pictures: the function in grey,
# the derivative from the tape as a line, SymPy's as dots.

# %%
PRINTED = {"difference": "e^x - x^3", "chain": r"\sqrt{\ln(1 + e^{\sin x^2})}"}  # SymPy has its own order of terms

figure, panels = plt.subplots(3, 5, figsize=(15, 8.4), layout="constrained")
for ax, (name, (points, value, slope, expected)) in zip(panels.flat, results.items(), strict=False):
    ax.axhline(0, color="0.85", linewidth=0.8, zorder=0)
    ax.plot(points, value, color="0.6", linewidth=1.6, label="f(x)")
    ax.plot(points, slope, color=BLUE, linewidth=2, label="f′(x), from the tape")
    ax.plot(points[::10], expected[::10], "o", color=ORANGE, markersize=5, label="f′(x), from SymPy")
    tidy(ax, name, f"${PRINTED.get(name) or sympy.latex(examples[name][0], ln_notation=True)}$")
    ax.xaxis.label.set_fontsize(11)
panels.flat[-1].remove()
handles, names = panels.flat[0].get_legend_handles_labels()
figure.legend(handles, names, loc="lower right", bbox_to_anchor=(0.985, 0.13), fontsize=12, frameon=False)
plt.show()

# %% [markdown]
# ## 3. The chain rule, five functions deep
#
# $$f(x) = \sqrt{\ln\bigl(1 + e^{\sin(x^2)}\bigr)}$$
#
# is a chain of five functions, each fed by the one before:
#
# $$p = x^2,\quad q = \sin p,\quad r = e^q,\quad s = \ln(1 + r),\quad f = \sqrt s$$
#
# The chain rule multiplies their slopes, each taken where its function was called:
#
# $$f'(x) = \frac{1}{2\sqrt s}\cdot\frac{1}{1 + r}\cdot e^q\cdot\cos p\cdot 2x$$

# %%
place = 1.4
start = tg.Tensor(place, requires_grad=True, dtype="float64")
with tg.record_values():
    p = start**2
    q = tg.sin(p)
    r = tg.exp(q)
    s = tg.log1p(r)
    f = tg.sqrt(s)
f.backward()

links = [
    ("p = x²", place, np.square, 2 * place),
    ("q = sin p", p.item(), np.sin, np.cos(p.item())),
    ("r = exp q", q.item(), np.exp, np.exp(q.item())),
    ("s = ln(1 + r)", r.item(), np.log1p, 1 / (1 + r.item())),
    ("f = √s", s.item(), np.sqrt, 0.5 / np.sqrt(s.item())),
]
product = 1.0
print(f"{'':15}{'goes in':>10}{'comes out':>11}{'slope there':>13}{'product from the end':>22}")
for name, inside, function, slope in reversed(links):
    product *= slope
    print(f"{name:15}{inside:10.4f}{function(inside):11.4f}{slope:13.4f}{product:22.6f}")
print(f"from the tape {start.grad.item():.15f}\nby hand       {product:.15f}")
assert np.isclose(start.grad.item(), product, rtol=1e-14)
assert np.isclose(start.grad.item(), by_symbols(examples["chain"][0], [place])[0], rtol=1e-14)

# %% [markdown]
# Each link is a curve, and only its slope at one point matters. Follow a small push at $x$ from left to right: each
# link makes it larger or smaller by its slope, or turns it around.

# %%
figure, panels = plt.subplots(1, 5, figsize=(15, 3.3), layout="constrained")
for ax, letter, (name, inside, function, slope) in zip(panels, "xpqrs", links, strict=True):
    near = np.linspace(max(inside - 1.2, 0.02 if letter == "s" else -9), inside + 1.2, 200)
    curve = function(near)
    room = 0.15 * (curve.max() - curve.min())
    ax.plot(near, curve, color="0.55", linewidth=1.8)
    ax.axline((inside, function(inside)), slope=slope, color=ORANGE, linewidth=1.8)
    ax.plot(inside, function(inside), "o", color=BLUE, markersize=8, zorder=3)
    ax.set(xlim=near[[0, -1]], ylim=(curve.min() - room, curve.max() + room))
    tidy(ax, f"{name}   slope {slope:+.3f}", letter)
plt.show()

# %% [markdown]
# And the tape itself. Read the gradients from right to left: they are the last column of the table.

# %%
f.graph(names={"x": start, "p": p, "q": q, "r": r, "s": s, "f": f})

# %% [markdown]
# ## 4. Why not simply measure the slope?
#
# A derivative is the limit of $\bigl(f(x + h) - f(x)\bigr)/h$. Why all the rules, then, and not a small $h$? Because
# there is no good one: if it is large, the curve bends on the way; if it is small, two nearly equal numbers are
# subtracted, and their digits cancel.

# %%
formula = examples["chain"][0]
exact = by_symbols(formula, [place])[0]
value = sympy.lambdify(x, formula, modules="numpy")
sizes = np.geomspace(1e-16, 1, 129)
with np.errstate(all="ignore"):
    one_sided = np.abs((value(place + sizes) - value(place)) / sizes / exact - 1)
    two_sided = np.abs((value(place + sizes) - value(place - sizes)) / (2 * sizes) / exact - 1)
of_tape = max(abs(start.grad.item() / exact - 1), np.finfo(np.float64).eps / 2)

figure, ax = plt.subplots(figsize=(8, 4), layout="constrained")
ax.loglog(sizes, one_sided, color=ORANGE, linewidth=1.6, label="(f(x + h) − f(x)) / h")
ax.loglog(sizes, two_sided, color=GREEN, linewidth=1.6, label="(f(x + h) − f(x − h)) / 2h")
ax.axhline(of_tape, color=BLUE, linewidth=2.2, label="the tape")
ax.set(ylim=(3e-17, 3), xlim=sizes[[0, -1]])
tidy(ax, "Relative error of the slope", "h", grid=True)
ax.legend(fontsize=10, frameon=False, loc="lower right", bbox_to_anchor=(1, 0.1))
plt.show()

print(f"best: one-sided {one_sided.min():.0e}, two-sided {two_sided.min():.0e}; the tape {of_tape:.0e}")
assert of_tape < 1e-15
assert np.sort(one_sided)[20] > 1e-9

# %% [markdown]
# ## What you have seen
#
# * Formulas can be differentiated as formulas. The tape differentiates *programs*: it needs the slope of each
#   operation, and
#   the chain rule.
# * Both agree to the last digits, for every rule of the first course.
# * The chain rule multiplies. Five slopes below 1 make a small gradient, and fifty a tiny one; notebook 7 is about
#   that.
#
# **Try it.**
#
# * Add $x^x$ to `examples`. Which rules does it need?
# * Choose `place = 0.0` in section 3. Which link makes the whole gradient 0?
# * Make the chain ten functions deep. SymPy's derivative grows; how long does the tape become?
# * Take `np.float32` points in section 2. In which digit is the difference now?
# * Differentiate twice: `tg.autograd.grad(..., create_graph=True)`, and `sympy.diff(formula, x, 2)`.
