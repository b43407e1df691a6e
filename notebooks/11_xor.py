# %% [markdown]
# # XOR: four points that no line separates
#
# *Exclusive or* is true if one of two inputs is true, and not both. It is the smallest problem that a single layer
# cannot solve, and a network with two hidden units can. You see why, watch a hundred networks try, and find out what
# happens to those that get stuck.

# %%
import matplotlib.pyplot as plt
import numpy as np

import tinygrad_mlp as tg
from tinygrad_mlp import nn, optim
from tinygrad_mlp.datasets import make_xor
from tinygrad_mlp.viz.style import COLORS, tidy

corners, truth = make_xor()
X, T = corners.astype(np.float64), truth[:, None].astype(np.float64)
for corner, value in zip(corners, truth, strict=True):
    print(f"{corner[0]:.0f} xor {corner[1]:.0f} = {value}")

# %% [markdown]
# ## 1. Two units, chosen by hand
#
# Each hidden unit looks at one straight line: a step function of $w \cdot x + b$ is 0 on one side and 1 on the other.
# One unit can say "at least one input is 1" (OR), another "both are 1" (AND). Exclusive or is *the first and not the
# second*. In the middle picture the same four points are drawn where the two hidden units put them: there, one line is
# enough. That is what a hidden layer is for.

# %%
W1, b1 = np.array([[1, 1], [1, 1]]), np.array([-0.5, -1.5])  # OR, AND
W2, b2 = np.array([[1, -1]]), np.array([-0.5])  # OR and not AND


def step(z):
    return (z > 0).astype(float)


hidden = step(X @ W1.T + b1)
output = step(hidden @ W2.T + b2)
assert np.array_equal(output, T)

SIDE = np.linspace(-0.6, 1.6, 200)
PLANE = np.stack(np.meshgrid(SIDE, SIDE), axis=-1).reshape(-1, 2)
BLUE, ORANGE = (np.array([int(one[i : i + 2], 16) / 255 for i in (1, 3, 5)]) for one in COLORS[:2])


def tinted(probability, strength=0.45):
    """Colours from blue (0) to orange (1), lightened."""
    p = np.asarray(probability)[..., None]
    return 1 - strength * (1 - (BLUE + p * (ORANGE - BLUE)))


def draw(ax, answer, title):
    """The answer everywhere in the plane, and the four corners on top."""
    ax.imshow(tinted(answer(PLANE).reshape(200, 200)), origin="lower", extent=(-0.6, 1.6, -0.6, 1.6))
    for value, mark in enumerate("os"):
        ax.scatter(*X[truth == value].T, s=90, marker=mark, color=COLORS[value], edgecolor="white", linewidth=1.2)
    tidy(ax, title, "$x_1$", "$x_2$")
    ax.set(xticks=[0, 1], yticks=[0, 1])


figure, (left, middle, right) = plt.subplots(1, 3, figsize=(12, 4), layout="constrained")
draw(left, lambda points: step(points @ W1.T + b1).mean(axis=1), "What the two units see")
for x, y, seen in ((-0.5, -0.45, "neither"), (0.3, 0.45, "only OR"), (0.85, 1.4, "OR and AND")):
    left.text(x, y, seen, fontsize=11)
middle.axline((0.5, 0), slope=1, color="0.5", linewidth=1)
for value, mark in enumerate("os"):
    middle.scatter(*hidden[truth == value].T, s=90, marker=mark, color=COLORS[value], edgecolor="white", linewidth=1.2)
middle.annotate("(0,1) and (1,0)", (1, 0), xytext=(0, -20), textcoords="offset points", ha="center", fontsize=10)
tidy(middle, "The four points, seen from there", "OR", "AND")
middle.set(xlim=(-0.3, 1.3), ylim=(-0.3, 1.3), xticks=[0, 1], yticks=[0, 1], aspect="equal")
draw(right, lambda points: step(step(points @ W1.T + b1) @ W2.T + b2), "OR and not AND")
plt.show()

# %% [markdown]
# ## 2. Without the bend: linear layers in a row are one layer
#
# Leave the step function out, and two layers fall together into one:
# $W_2(W_1 x + b_1) + b_2 = W x + b$ with $W = W_2 W_1$ and $b = W_2 b_1 + b_2$. Three layers of 50 do, too.

# %%
deep = nn.MLP(2, 50, 50, 1, activation="identity", seed=0, dtype="float64")
W, b = np.eye(2), np.zeros(2)
for layer in (deep[0], deep[2], deep[4]):
    W, b = layer.weight.data @ W, layer.weight.data @ b + layer.bias.data
print(f"{deep.summary().total:,} parameters do what these three do: W = {W.round(3)}, b = {b.round(3)}")
points = np.random.default_rng(0).normal(size=(1000, 2))
np.testing.assert_allclose(deep(points).data, points @ W.T + b, rtol=1e-10, atol=1e-12)

# %% [markdown]
# And what is the best that a linear score can do on the four corners? Trained as long as you like, it answers ½
# everywhere: no line is better than none. The loss, the mean *cross-entropy* $-\log p(\text{truth})$, stays at
# $\ln 2 = 0.693$, that of a coin.

# %%
single = nn.Linear(2, 1, seed=0, dtype="float64")
optimizer = optim.SGD(single.parameters(), lr=1.0)
for _ in range(500):
    optimizer.zero_grad()
    loss = nn.functional.binary_cross_entropy_with_logits(single(X), T)
    loss.backward()
    optimizer.step()
print(f"loss {loss.item():.6f}, ln 2 = {np.log(2):.6f}, scores {single(X).data[:, 0].round(6)}")
assert np.isclose(loss.item(), np.log(2), rtol=1e-6)

# %% [markdown]
# ## 3. A hundred networks at once
#
# Now two tanh units that *learn*. How it ends depends on the random weights that it starts from, so we try a hundred
# starts. One array holds the weights of all hundred networks, `(100, 2, 2)`, and `@` multiplies matrix by matrix: one
# program trains them all. They do not know of each other, since the sum of their losses has one term for each.


# %%
def hundred(units, make_optimizer, steps=2000):
    """Train 2-units-1 networks from seeds 0 to 99; their parameters, and the loss of each at the end."""
    networks = [nn.MLP(2, units, 1, activation="tanh", seed=seed, dtype="float64") for seed in range(100)]
    W1, W2 = (nn.Parameter(np.stack([net[k].weight.data.T for net in networks])) for k in (0, 2))
    b1, b2 = (nn.Parameter(np.stack([net[k].bias.data[None] for net in networks])) for k in (0, 2))
    optimizer = make_optimizer([W1, b1, W2, b2])
    targets = np.broadcast_to(T, (100, 4, 1))

    @tg.compile(backend="replay")
    def step():
        optimizer.zero_grad()
        scores = (X @ W1 + b1).tanh() @ W2 + b2
        losses = nn.functional.binary_cross_entropy_with_logits(scores, targets, reduction="none").mean(axis=(1, 2))
        losses.sum().backward()
        optimizer.step()
        return losses

    for _ in range(steps):
        losses = step()
    return [one.data.copy() for one in (W1, b1, W2, b2)], losses.data


def probability(parameters, points):
    """Of class 1, (networks, points)."""
    W1, b1, W2, b2 = parameters
    return 1 / (1 + np.exp(-(np.tanh(points @ W1 + b1) @ W2 + b2)[..., 0]))


def solved_by(parameters):
    """Which of the networks answer all four corners rightly."""
    return ((probability(parameters, X) > 0.5) == truth).all(axis=1)


runs = {}
for units in (2, 8):
    for name, make in {
        "gradient descent": lambda parameters: optim.SGD(parameters, lr=0.5),
        "Adam": lambda parameters: optim.Adam(parameters, lr=0.05),
    }.items():
        runs[units, name] = hundred(units, make)
        print(f"{units} units, {name:16s}: {solved_by(runs[units, name][0]).sum():3d} of 100 solve XOR")

for name in ("gradient descent", "Adam"):
    assert 35 <= solved_by(runs[2, name][0]).sum() <= 65  # about half
    assert solved_by(runs[8, name][0]).sum() >= 99

# %% [markdown]
# Here they are, the hundred networks with two units trained by gradient descent: each tile is the plane as one network
# sees it. Tiles in colour have solved it. The grey ones are stuck.

# %%
parameters, losses = runs[2, "gradient descent"]
solved = solved_by(parameters)

small = np.linspace(-0.6, 1.6, 48)
tiles = probability(parameters, np.stack(np.meshgrid(small, small), axis=-1).reshape(-1, 2)).reshape(100, 48, 48)
coloured = tinted(tiles, strength=0.7)
coloured[~solved] = 0.75 + 0.2 * (1 - tiles[~solved][..., None])
framed = np.ones((100, 52, 52, 3))
framed[:, 2:50, 2:50] = coloured[:, ::-1]

figure, ax = plt.subplots(figsize=(7.5, 7.7), layout="constrained")
ax.imshow(framed.reshape(10, 10, 52, 52, 3).transpose(0, 2, 1, 3, 4).reshape(520, 520, 3))
ax.set_axis_off()
ax.set_title(f"{solved.sum()} of 100 starts solve XOR with two units", loc="left", fontsize=13, fontweight="bold")
plt.show()

# %% [markdown]
# ## 4. What "stuck" means
#
# The losses of the stuck networks are not just any numbers. Nearly all are $\tfrac12 \ln 2$, and one is
# $\tfrac34 H(\tfrac13)$, with $H(p) = -p \ln p - (1-p) \ln (1-p)$. They can be explained:
#
# * In a stuck network each unit has cut off one corner, and these two corners have different classes. The other two,
#   also of different classes, are left together, and the network cannot tell them apart: it answers ½ for both. Two
#   corners of four cost $\ln 2$ each.
# * Or a single corner is cut off, and the other three are taken for one: the answer ⅓ or ⅔ is the best for them.

# %%
third = -(1 / 3) * np.log(1 / 3) - (2 / 3) * np.log(2 / 3)
levels = {"½ ln 2": 0.5 * np.log(2), "¾ H(⅓)": 0.75 * third}
for name, level in levels.items():
    print(f"{name} = {level:.4f}: {(np.abs(losses - level) < 0.01).sum()} networks")
print(f"below 0.02: {(losses < 0.02).sum()} networks")
near = np.abs(losses[~solved][:, None] - list(levels.values())).min(axis=1)
assert (near < 0.01).all()

# %% [markdown]
# Beside each other: a network that has solved it, one that is stuck, and the stuck one's start with eight units. Dashed
# are the lines $w \cdot x + b = 0$ of the hidden units. The solved one holds two corners between parallel lines.


# %%
def of(run, network):
    return [one[network : network + 1] for one in run[0]]


winner, loser = int(np.argmax(solved)), int(np.argmax(~solved))
figure, axes = plt.subplots(1, 3, figsize=(12, 4), layout="constrained")
shown = [
    (of(runs[2, "gradient descent"], winner), f"Start {winner}: solved"),
    (of(runs[2, "gradient descent"], loser), f"Start {loser}: stuck, loss {losses[loser]:.3f}"),
    (of(runs[8, "gradient descent"], loser), f"Start {loser} with 8 units: solved"),
]
for ax, (net, title) in zip(axes, shown, strict=True):
    draw(ax, lambda points, net=net: probability(net, points)[0], title)
    for w, bias in zip(net[0][0].T, net[1][0, 0], strict=True):
        foot = -bias * w / (w @ w)
        ax.axline(foot, foot + np.array([-w[1], w[0]]), color="0.25", linestyle="--", linewidth=1)
    ax.set(xlim=(-0.6, 1.6), ylim=(-0.6, 1.6))
plt.show()
print("answers of the stuck network:", probability(shown[1][0], X)[0].round(3))

# %% [markdown]
# Descent cannot get out, for every small step would go uphill. To see the hill, walk in a straight line from the
# weights of a stuck network to those of a network that has solved it. (Of the solved ones we take the nearest.) On the
# way the loss rises first.

# %%
flat = np.concatenate([one.reshape(100, -1) for one in parameters], axis=1)
goals = np.flatnonzero(solved)
goal = goals[np.argmin(np.linalg.norm(flat[goals] - flat[loser], axis=1))]
share = np.linspace(-0.15, 1.15, 131)
walk = [one[loser] + share[:, None, None] * (one[goal] - one[loser]) for one in parameters]
answers = np.clip(probability(walk, X), 1e-12, 1 - 1e-12)
heights = -np.log(np.where(truth == 1, answers, 1 - answers)).mean(axis=1)
barrier = heights[(share >= 0) & (share <= 1)].max() - losses[loser]
print(f"the way up is {barrier:.3f} high")
assert barrier > 0.005

figure, ax = plt.subplots(figsize=(7.5, 3.6), layout="constrained")
ax.plot(share, heights, color=COLORS[0], linewidth=2)
for place, name, color in ((0, f"start {loser}, stuck", COLORS[1]), (1, f"start {goal}, solved", COLORS[2])):
    height = np.interp(place, share, heights)
    ax.plot(place, height, "o", color=color, markersize=9)
    ax.annotate(name, (place, height), xytext=(0, 12), textcoords="offset points", ha="center", fontsize=11)
tidy(ax, "A straight walk through the landscape", "share of the way", "loss", grid=True)
plt.show()

# %% [markdown]
# With eight units there are more lines to begin with, and more ways to turn them: hardly any start is without one that
# leads down. That is a reason to make networks wider than the problem seems to need.
#
# ## What you have seen
#
# * A hidden layer moves the points to where a line can separate them.
# * Without a bend between them, layers are one layer.
# * Training can end in a local minimum. With two units about half of the starts do; with eight hardly any.
#
# **What to try.**
#
# * Count for 3, 4, 5 and 6 units. Where does it cross 90 %?
# * Use other learning rates, or momentum. Does it help those that are stuck?
# * Replace tanh by ReLU. How many are solved? Look for units that are 0 on all four corners.
# * Add noise: `make_xor(200, noise=0.2)` in place of the four corners.
# * Find a start where Adam succeeds and gradient descent does not, and the other way round.
