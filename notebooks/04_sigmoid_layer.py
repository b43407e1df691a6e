# %% [markdown]
# # A layer of sigmoid units
#
# Replace the perceptron's jump by a smooth step, and every weight of a whole layer has a gradient. You will work that
# gradient out by hand, see that the tape's is the same to the last digits, train on three kinds of flowers, and find
# out when such a unit stops learning although it is wrong.
#
# You need: the notebooks on the tape and on Adaline, and about fifteen minutes.

# %%
import matplotlib.pyplot as plt
import numpy as np

import tinygrad_mlp as tg
from tinygrad_mlp import nn, optim
from tinygrad_mlp.datasets import load_iris, one_hot
from tinygrad_mlp.viz import plot_decision_boundary
from tinygrad_mlp.viz.style import COLORS, tidy

BLUE, ORANGE, GREEN = COLORS[:3]  # after Okabe and Ito: told apart by all eyes

# %% [markdown]
# ## 1. From a jump to a slope
#
# The *logistic function*, mostly just called *sigmoid*, is a step with rounded corners:
#
# $$\sigma(z) = \frac1{1 + e^{-z}} \qquad\qquad \sigma'(z) = \sigma(z)\,\bigl(1 - \sigma(z)\bigr)$$
#
# Its derivative is made of its own value: who has the output has the slope for one multiplication. The engine is asked
# for the slope here; the dots are the formula.

# %%
z = tg.Tensor(np.linspace(-8, 8, 321), requires_grad=True)
output = tg.sigmoid(z)
output.sum().backward()
formula = output.data * (1 - output.data)
assert np.allclose(z.grad.data, formula, rtol=1e-12)
assert formula.max() == 0.25  # at 0: never steeper than a quarter

figure, ax = plt.subplots(figsize=(8, 3.6), layout="constrained")
ax.step([-8, 0, 8], [0, 0, 1], where="pre", color="0.6", linewidth=1.5, linestyle="--", label="step: the perceptron")
ax.plot(z.data, output.data, color=BLUE, linewidth=2.2, label="σ(z)")
ax.plot(z.data, z.grad.data, color=ORANGE, linewidth=2.2, label="its slope, from the tape")
ax.plot(z.data[::20], formula[::20], "o", color=ORANGE, markersize=6, markerfacecolor="white", label="σ(z) (1 − σ(z))")
tidy(ax, "A step with rounded corners", "z", grid=True)
ax.legend(fontsize=10, frameon=False, loc="upper left")
plt.show()

# %% [markdown]
# ## 2. The gradient of the layer, by hand
#
# A layer of units that see the same inputs $x$, with the loss half the squared distance to the targets:
#
# $$z_j = \sum_i w_{ij}\,x_i + b_j, \qquad \hat y_j = \sigma(z_j), \qquad L = \tfrac12 \sum_j (\hat y_j - y_j)^2$$
#
# The chain rule, from the end to the beginning:
#
# | factor | is | because |
# |---|---|---|
# | $\partial L/\partial \hat y_j$ | $\hat y_j - y_j$ | the ½ cancels the 2 |
# | $\partial \hat y_j/\partial z_j$ | $\hat y_j\,(1 - \hat y_j)$ | section 1 |
# | $\partial z_j/\partial w_{ij}$ | $x_i$ | the other factor of the product |
#
# $$\frac{\partial L}{\partial w_{ij}} = (\hat y_j - y_j)\,\hat y_j\,(1 - \hat y_j)\,x_i$$
#
# Read it as *how wrong* × *how movable* × *how much of this input*. The first two belong to the unit alone; their
# product is called $\delta_j$, and it is also the gradient of the bias. Four inputs, three units, and one iris:

# %%
iris = load_iris()
X = (iris.data.astype(np.float64) - iris.data.mean(axis=0)) / iris.data.std(axis=0)
Y = one_hot(iris.target, 3).astype(np.float64)  # setosa 1 0 0, versicolor 0 1 0, virginica 0 0 1

draws = np.random.default_rng(0)
W = tg.Tensor(draws.normal(0, 0.7, (4, 3)), requires_grad=True)  # w[i, j]: from input i to unit j
b = tg.Tensor(draws.normal(0, 0.1, 3), requires_grad=True)
x, y = X[100], Y[100]

prediction = tg.sigmoid(tg.Tensor(x) @ W + b)
loss = 0.5 * ((prediction - tg.Tensor(y)) ** 2).sum()
loss.backward()

output = 1 / (1 + np.exp(-(x @ W.data + b.data)))
error, slope = output - y, output * (1 - output)
delta = error * slope
by_hand = np.outer(x, delta)

print("unit         target   output    error    slope    delta")
for name, *numbers in zip(iris.target_names, y, output, error, slope, delta, strict=True):
    print(f"{name:11}" + "".join(f"{number:9.4f}" for number in numbers))

# %% [markdown]
# The two gradients side by side. Do they agree? The third picture is their difference, in units of the last digit that
# a 64-bit number has there (*ULP*, unit in the last place). It is a matter of one or two.

# %%
ulps = (W.grad.data - by_hand) / np.spacing(np.abs(by_hand))
print(
    f"largest difference: {np.abs(W.grad.data - by_hand).max():.1e}, {np.abs(ulps).max():.0f} units in the last place"
)
assert np.abs(ulps).max() <= 8
assert np.allclose(b.grad.data, delta, rtol=1e-14)

figure, panels = plt.subplots(1, 3, figsize=(11, 3.8), layout="constrained")
largest = np.abs(by_hand).max()
shown = (
    ("by hand", by_hand, largest, "{:+.4f}"),
    ("from the tape", W.grad.data, largest, "{:+.4f}"),
    ("difference in ULP", ulps, 8, "{:+.0f}"),
)
for ax, (title, matrix, most, form) in zip(panels, shown, strict=True):
    ax.imshow(matrix, cmap="PuOr_r", vmin=-most, vmax=most, aspect="auto")
    for (i, j), value in np.ndenumerate(matrix):
        ax.text(
            j,
            i,
            form.format(value),
            ha="center",
            va="center",
            fontsize=10,
            color="white" if abs(value) > 0.6 * most else "black",
        )
    tidy(ax, title)
    ax.set_xticks(range(3), iris.target_names)
    ax.set_yticks(
        range(4), ["sepal length", "sepal width", "petal length", "petal width"] if ax is panels[0] else [""] * 4
    )
plt.show()

# %% [markdown]
# ## 3. Training
#
# One unit for each species; the answer is the unit with the largest output. Petals only, so that we can see the plane.
# For the average over all samples the gradient is the average of the gradients, so in matrices: $\frac1n
# X^\mathsf{T}\Delta$. Here are both loops, NumPy with our formula and the engine with its tape. They must stay together
# for 2,000 steps.

# %%
petals = X[:, 2:]
rate, steps = 4.0, 2000

by_formula, bias = np.zeros((2, 3)), np.zeros(3)
for _ in range(steps):
    output = 1 / (1 + np.exp(-(petals @ by_formula + bias)))
    delta = (output - Y) * output * (1 - output)
    by_formula -= rate * petals.T @ delta / len(petals)
    bias -= rate * delta.mean(axis=0)

layer = nn.Sequential(nn.Linear(2, 3, dtype="float64"), nn.Sigmoid())
for parameter in layer.parameters():
    parameter.data[...] = 0.0
optimizer = optim.SGD(layer.parameters(), lr=rate)
losses = []
for _ in range(steps):
    optimizer.zero_grad()
    loss = 0.5 * ((layer(tg.Tensor(petals)) - tg.Tensor(Y)) ** 2).sum() / len(petals)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())

print(f"largest difference after {steps} steps: {np.abs(layer[0].weight.data.T - by_formula).max():.1e}")
assert np.allclose(layer[0].weight.data.T, by_formula, rtol=1e-9)


# %%
def classify(points):
    """The unit with the largest output."""
    with tg.no_grad():  # only answers are wanted, so no tape
        return layer(tg.Tensor(points.astype(np.float64))).data.argmax(axis=1)


accuracy = (classify(petals) == iris.target).mean()
print(f"{accuracy:.1%} of the flowers right")
assert accuracy > 0.94

figure, panels = plt.subplots(1, 2, figsize=(11, 4.4), layout="constrained", width_ratios=[1, 1.2])
panels[0].loglog(range(1, steps + 1), losses, color=BLUE, linewidth=2)
tidy(panels[0], "Loss", "step", "½ squared distance, averaged", grid=True)
plot_decision_boundary(classify, petals, iris.target, ax=panels[1])
for text, name in zip(panels[1].get_legend().get_texts(), iris.target_names, strict=False):
    text.set_text(name)
tidy(panels[1], "", "petal length, standardised", "petal width, standardised")
plt.show()

# %% [markdown]
# The boundaries are still straight lines, each where two units are equally sure. A smooth unit does not bend lines;
# what it brings is a gradient that can be handed on to a layer below. And one of its three units has a hard time:
# *versicolor* lies between the others, and no line has it alone on one side. Three single units, each asked "mine or
# not?":

# %%
with tg.no_grad():
    sure = layer(tg.Tensor(petals)).data
figure, panels = plt.subplots(1, 3, figsize=(12, 3.8), layout="constrained", sharey=True)
side0, side1 = np.linspace(-1.8, 2, 150), np.linspace(-1.8, 2, 150)
grid = np.stack(np.meshgrid(side0, side1), axis=-1)
with tg.no_grad():
    answers = layer(tg.Tensor(grid.reshape(-1, 2))).data.reshape(150, 150, 3)
for unit, (ax, name) in enumerate(zip(panels, iris.target_names, strict=True)):
    image = ax.imshow(
        answers[..., unit], origin="lower", extent=(-1.8, 2, -1.8, 2), cmap="Greys", vmin=0, vmax=1.2, aspect="auto"
    )
    for species in range(3):
        ax.scatter(*petals[iris.target == species].T, s=16, color=COLORS[species], edgecolor="white", linewidth=0.4)
    mine = sure[iris.target == unit, unit].mean()
    tidy(
        ax,
        f"{name}: says {mine:.2f} to its own",
        "petal length, standardised",
        "petal width, standardised" if unit == 0 else "",
    )
plt.show()
assert sure[iris.target == 0, 0].mean() > 0.9
assert sure[iris.target == 1, 1].mean() < 0.6

# %% [markdown]
# ## 4. Wrong, and deaf
#
# Look at the formula again: *how wrong* × *how movable*. A unit that should say 1 and says 0 with full conviction has
# an error of almost 1, but a slope of almost 0. The gradient is their product. The unit is as wrong as can be, and
# learns nothing: it is *saturated*.
#
# Another loss repairs that. The *cross-entropy* $-\log \hat y$ has the slope $-1/\hat y$, which cancels the vanishing
# factor, and what remains is $\hat y - y$: the more wrong, the more movement.

# %%
z = tg.Tensor(np.linspace(-10, 6, 321), requires_grad=True)
(0.5 * (tg.sigmoid(z) - 1.0) ** 2).sum().backward()
squared = z.grad.data.copy()
z.grad = None
nn.functional.binary_cross_entropy_with_logits(z, tg.Tensor(np.ones(321)), reduction="sum").backward()
entropy = z.grad.data
assert np.allclose(entropy, 1 / (1 + np.exp(-z.data)) - 1, rtol=1e-12)  # y_hat - y


def steps_until_half(gradient_of, start, rate=1.0, most=100_000):
    """How many steps a unit needs that should say 1, until it says at least 1/2."""
    z = start
    for step in range(most):
        if z >= 0:
            return step
        z -= rate * gradient_of(1 / (1 + np.exp(-z)))
    return most


starts = np.arange(0, -8.5, -0.5)
waits = {
    "½ squared error": [steps_until_half(lambda s: (s - 1) * s * (1 - s), start) for start in starts],
    "cross-entropy": [steps_until_half(lambda s: s - 1, start) for start in starts],
}

figure, panels = plt.subplots(1, 2, figsize=(11, 3.9), layout="constrained")
panels[0].plot(z.data, -squared, color=ORANGE, linewidth=2.2, label="½ squared error")
panels[0].plot(z.data, -entropy, color=BLUE, linewidth=2.2, label="cross-entropy")
panels[0].axvspan(-10, -5, color="0.92", zorder=0)
panels[0].text(-9.8, 0.42, "most wrong", fontsize=10, color="0.3")
tidy(panels[0], "How hard the unit is pushed towards 1", "z", "−∂L/∂z", grid=True)
for (name, counts), color in zip(waits.items(), (ORANGE, BLUE), strict=True):
    panels[1].semilogy(starts, np.maximum(counts, 1), "o-", color=color, linewidth=1.8, markersize=5, label=name)
tidy(panels[1], "Steps until a wrong unit says ½", "z at the start", "steps", grid=True)
for ax in panels:
    ax.legend(fontsize=10, frameon=False)
plt.show()
print(f"from z = {starts[-1]}: {waits['½ squared error'][-1]} steps against {waits['cross-entropy'][-1]}")
assert waits["½ squared error"][-1] > 100 * waits["cross-entropy"][-1]
layer

# %% [markdown]
# ## What you have seen
#
# * The gradient of a sigmoid layer is *how wrong* × *how movable* × *how much of this input*, for every weight.
# * The tape has no formula for a layer. It multiplies three small derivatives, and gets the same digits.
# * One layer draws straight lines, smooth or not, and a class between two others is out of its reach.
# * Saturated units do not move under the squared error; cross-entropy moves them.
#
# **Try it.**
#
# * Use all four columns of `X` in section 3. Does versicolor gain?
# * Replace `nn.Sigmoid()` by `nn.Tanh()` and the targets 0 by −1. Which line of the formula changes?
# * Put a layer below, `nn.Sequential(nn.Linear(2, 8), nn.Sigmoid(), nn.Linear(8, 3), nn.Sigmoid())`, with random
#   weights. What
#   does the map of versicolor look like now?
# * Start all weights at −20 instead of 0 and watch the loss. Then train with cross-entropy.
