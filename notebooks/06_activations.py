# %% [markdown]
# # Activation functions
#
# What a unit does with its weighted sum $z$. You will see nine of them, with formula, curve and derivative, on one
# page; check every value against arithmetic with 50 digits; and then watch the same network try the same problem with
# each. What it can learn is written in the derivatives.
#
# You need: the notebook on the sigmoid layer, and about ten minutes.

# %%
import matplotlib.pyplot as plt
import mpmath
import numpy as np

import tinygrad_mlp as tg
from tinygrad_mlp import nn, optim
from tinygrad_mlp.viz.style import COLORS, tidy

BLUE, ORANGE, GREEN = COLORS[:3]  # after Okabe and Ito: told apart by all eyes

# %% [markdown]
# ## 1. Nine functions
#
# Each is written with the engine's operations, so each has its derivative from the tape. *Softmax* is the odd one out:
# it takes several sums and gives numbers that are positive and add up to 1. To draw it, one of three sums moves, and
# the others stay at 1 and −1.


# %%
def softmax_of_three(z):
    """The first of three shares, (n,), when the other two sums are 1 and -1."""
    scores = tg.stack([z, tg.ones_like(z), -tg.ones_like(z)], dim=1)
    return tg.softmax(scores, axis=1)[:, 0]


ACTIVATIONS = {
    "linear": (lambda z: 1.0 * z, r"$z$"),
    "unit step": (lambda z: (tg.sign(z) + 1.0) / 2.0, r"$0$ for $z<0$,  $½$ at $0$,  $1$ for $z>0$"),
    "sign": (tg.sign, r"$-1$ for $z<0$,  $0$ at $0$,  $1$ for $z>0$"),
    "piece-wise linear": (lambda z: tg.clamp(z + 0.5, 0.0, 1.0), r"$z+½$, clipped to $[0, 1]$"),
    "logistic": (tg.sigmoid, r"$1 / (1 + e^{-z})$"),
    "tanh": (tg.tanh, r"$(e^{z} - e^{-z}) / (e^{z} + e^{-z})$"),
    "ReLU": (tg.relu, r"$\max(0, z)$"),
    "leaky ReLU": (lambda z: nn.functional.leaky_relu(z, 0.1), r"$z$ for $z>0$, else $0.1\,z$"),
    "softmax": (softmax_of_three, r"$e^{z_k} / \sum_j e^{z_j}$"),
}


def curve_and_derivative(function, places):
    """Values and slopes of a function at these places, both from the engine."""
    z = tg.Tensor(places, requires_grad=True)
    value = function(z)
    value.sum().backward()
    return value.data, z.grad.data


# %%
places = np.linspace(-4, 4, 801)

figure, panels = plt.subplots(3, 3, figsize=(12.5, 9), layout="constrained", sharex=True)
for ax, (name, (function, formula)) in zip(panels.flat, ACTIVATIONS.items(), strict=True):
    value, slope = curve_and_derivative(function, places)
    ax.axhline(0, color="0.85", linewidth=0.8, zorder=0)
    ax.axvline(0, color="0.85", linewidth=0.8, zorder=0)
    # A jump is no steep line: leave it out, here and where a derivative jumps.
    for numbers, color, style, label in ((value, BLUE, "-", "value"), (slope, ORANGE, "--", "derivative")):
        pieces = np.where(np.abs(np.diff(numbers, append=numbers[-1])) > 0.04, np.nan, numbers)
        ax.plot(places, pieces, color=color, linestyle=style, linewidth=2.4 if style == "-" else 2, label=label)
    if name in ("unit step", "sign"):
        ax.plot(0, value[400], "o", color=BLUE, markersize=6)
    ax.set_ylim(*((-1.25, 1.45) if name in ("sign", "tanh", "linear", "leaky ReLU") else (-0.2, 1.45)))
    tidy(ax, name, "z" if ax in panels[2] else "")
    ax.text(0.03, 0.9, formula, transform=ax.transAxes, fontsize=11, color="0.25")
panels[0, 0].legend(fontsize=11, frameon=False, loc="lower right")
plt.show()

# %% [markdown]
# ## 2. Are the numbers right?
#
# The same nine with *mpmath*, which calculates with as many digits as one likes: 50 here. It is given the formulas, and
# finds the derivatives itself, from differences so small that only 50 digits can hold them. The corners and the jumps
# are left out: there the derivative is a convention, and comes below.

# %%
exp = mpmath.exp
REFERENCES = {
    "linear": lambda z: z,
    "unit step": lambda z: mpmath.mpf(z > 0),
    "sign": mpmath.sign,
    "piece-wise linear": lambda z: min(max(z + 0.5, mpmath.mpf(0)), mpmath.mpf(1)),
    "logistic": lambda z: 1 / (1 + exp(-z)),
    "tanh": lambda z: (exp(z) - exp(-z)) / (exp(z) + exp(-z)),
    "ReLU": lambda z: max(z, mpmath.mpf(0)),
    "leaky ReLU": lambda z: z if z > 0 else mpmath.mpf(0.1) * z,
    "softmax": lambda z: exp(z) / (exp(z) + exp(1) + exp(-1)),
}
test_places = np.array([-30.0, -7.3, -2.1, -0.7, -0.3, -1e-3, 1e-3, 0.2, 0.9, 3.3, 12.0, 30.0])

print(f"{'':18}{'value: largest error':>24}{'derivative: largest error':>28}")
for name, (function, _) in ACTIVATIONS.items():
    errors = []
    with mpmath.workdps(50):
        exact = [REFERENCES[name](mpmath.mpf(place)) for place in test_places]
        slopes = [mpmath.diff(REFERENCES[name], mpmath.mpf(place), h=mpmath.mpf(10) ** -20) for place in test_places]
        for ours, theirs in zip(curve_and_derivative(function, test_places), (exact, slopes), strict=True):
            errors.append(max(float(abs(a - b) / max(abs(b), 1)) for a, b in zip(ours.tolist(), theirs, strict=True)))
    print(f"{name:18}{errors[0]:24.1e}{errors[1]:28.1e}")
    assert max(errors) < 4e-16

# %% [markdown]
# ### At a corner
#
# ReLU has no derivative at 0: the slope is 0 on the left and 1 on the right. An engine has to choose. This one always
# takes the slope that is nearest to 0 of all between the two sides, so all spellings of one function agree:

# %%
for name in ("unit step", "sign", "piece-wise linear", "ReLU", "leaky ReLU"):
    corners = [-0.5, 0.5] if name == "piece-wise linear" else [0.0]
    value, slope = curve_and_derivative(ACTIVATIONS[name][0], np.array(corners))
    print(f"{name:18} at {corners}: value {value}, derivative {slope}")
    assert slope.tolist() == ([0.1] if name == "leaky ReLU" else [0.0] * len(corners))
assert curve_and_derivative(ACTIVATIONS["unit step"][0], np.zeros(1))[0] == 0.5

# %% [markdown]
# ## 3. What the derivative decides
#
# The same network eight times: two inputs, two hidden layers of 16 units, two scores. Two half moons, the same first
# weights, the same optimizer. Only the activation of the hidden layers differs. (The output always has softmax, inside
# the loss.)

# %%
from tinygrad_mlp.datasets import make_moons

X, label = make_moons(200, noise=0.15, seed=1)


class Activation(nn.Module):
    """Any function as a layer."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        """The function of each element."""
        return self.function(x)


def train(function, steps=300):
    """The network, the losses, and how far the first layer's weights have moved."""
    layers = [nn.Linear(2, 16, seed=0), Activation(function), nn.Linear(16, 16, seed=1), Activation(function)]
    model = nn.Sequential(*layers, nn.Linear(16, 2, seed=2))
    before = model[0].weight.data.copy()
    optimizer = optim.Adam(model.parameters(), lr=0.02)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(X), label)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return model, losses, np.abs(model[0].weight.data - before).max()


trained = {name: train(function) for name, (function, _) in ACTIVATIONS.items() if name != "softmax"}

# %%
side0, side1 = np.linspace(-1.6, 2.6, 160, dtype=np.float32), np.linspace(-1.1, 1.6, 160, dtype=np.float32)
plane = np.stack(np.meshgrid(side0, side1), axis=-1).reshape(-1, 2)

from matplotlib.colors import LinearSegmentedColormap

PALE = LinearSegmentedColormap.from_list("pale", ["#f3c6a5", "white", "#a6cbe3"])

accuracies = {}
figure, panels = plt.subplots(2, 4, figsize=(13, 6), layout="constrained", sharex=True, sharey=True)
for ax, (name, (model, _, _)) in zip(panels.flat, trained.items(), strict=True):
    with tg.no_grad():  # only answers are wanted, so no tape
        share = tg.softmax(model(plane), axis=1).data[:, 1].reshape(160, 160)
        accuracies[name] = (model(X).data.argmax(axis=1) == label).mean()
    ax.contourf(side0, side1, share, levels=np.linspace(0, 1, 21), cmap=PALE)
    for one, color in ((0, ORANGE), (1, BLUE)):
        ax.scatter(*X[label == one].T, s=12, color=color, edgecolor="white", linewidth=0.3)
    ax.contour(side0, side1, share, levels=[0.5], colors="black", linewidths=1.2)
    tidy(ax, f"{name}: {accuracies[name]:.1%}")
plt.show()

for name, (_, losses, moved) in trained.items():
    print(f"{name:18} loss {losses[-1]:.3f}, {accuracies[name]:.1%} right, first layer moved by up to {moved:.3f}")

# %% [markdown]
# * **Linear**: layers of lines are one line, however many there are.
# * **Unit step** and **sign**: their derivative is 0 everywhere, so nothing reaches the layers below. The first layer
#   did not
#   move at all. Only the last layer learned, on top of random cuts. This is where the perceptron's idea ends.
# * **Piece-wise linear**: learns, but its units are silent outside a window of width 1.
# * **Logistic**: learns; its slope is never above ¼, so after two layers no more than 1/16 of a gradient is left.
# * **tanh**, **ReLU**, **leaky ReLU**: slopes up to 1.

# %%
for name in ("unit step", "sign"):
    assert trained[name][2] == 0.0  # not one weight of the first layer
assert accuracies["linear"] < 0.92
for name in ("tanh", "ReLU", "leaky ReLU"):
    assert accuracies[name] > 0.97

figure, ax = plt.subplots(figsize=(8, 4), layout="constrained")
styles = ["-", "--"]
for place, (name, (_, losses, _)) in enumerate(trained.items()):
    ax.semilogy(
        losses, color=(*COLORS, "#555555", "black")[place], linestyle=styles[place % 2], linewidth=1.8, label=name
    )
tidy(ax, "Loss of the same network with eight activations", "step", "cross-entropy", grid=True)
ax.legend(fontsize=10, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# ## 4. Softmax and its temperature
#
# Softmax turns scores into shares. Divide the scores by a *temperature* $T$ first: a cold softmax gives everything to
# the largest score, a hot one gives the same to all. (Physicists know it as the Boltzmann distribution.)

# %%
scores = np.array([2.0, 1.0, 0.2, -1.0])
figure, panels = plt.subplots(1, 4, figsize=(12, 2.8), layout="constrained", sharey=True)
for ax, temperature in zip(panels, (0.1, 0.5, 1.0, 5.0), strict=True):
    shares = tg.softmax(tg.Tensor(scores / temperature), axis=0).data
    assert np.isclose(shares.sum(), 1.0)
    bars = ax.bar([f"{score:g}" for score in scores], shares, color=BLUE)
    ax.bar_label(bars, [f"{share:.2f}" for share in shares], fontsize=10)
    ax.set_ylim(0, 1.12)
    tidy(ax, f"T = {temperature:g}", "score", "share" if ax is panels[0] else "")
plt.show()

tg.softmax(tg.Tensor(scores), axis=0)

# %% [markdown]
# ## What you have seen
#
# * The value of an activation decides what a network *can* compute, its derivative what it can *learn*.
# * A derivative of 0 everywhere stops all learning below; a small one slows it, once for each layer.
# * At a corner the derivative is a convention, and it is good to know whose.
#
# **Try it.**
#
# * Add `nn.functional.gelu` and `nn.functional.silu` to the table. Where is their derivative above 1? Where below 0?
# * Give the network in section 3 six hidden layers. Which activations still learn?
# * Replace Adam by `optim.SGD(..., lr=0.1)`. Adam had helped the logistic function; how much?
# * Write the unit step with the derivative of the logistic function, `tg.autograd.Function`: a *straight-through
#   estimator*.
# * Give ReLU first biases of −10. What does `tinygrad_mlp.autograd.explain_grad` say about it?
