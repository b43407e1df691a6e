# %% [markdown]
# # What the playground computes
#
# The TensorFlow Playground (playground.tensorflow.org) lets you watch a small network learn two clouds of points.
# Here is what happens behind its buttons: its data, its network, its learning rule, written down in its own formulas,
# run on this engine, and compared with a version written by hand, point by point. Then come its pictures: every
# neuron as a map.

# %%
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np

import tinygrad_mlp as tg
from tinygrad_mlp import nn, optim
from tinygrad_mlp.viz.style import COLORS, tidy

# %% [markdown]
# ## 1. The data
#
# Four sets of 500 points in the square from -6 to 6, in two classes, +1 and -1.


# %%
def circle(rng, n):
    radius = np.concatenate([rng.uniform(0, 2.5, n // 2), rng.uniform(3.5, 5, n - n // 2)])
    angle = rng.uniform(0, 2 * np.pi, n)
    return np.column_stack([radius * np.sin(angle), radius * np.cos(angle)]), np.where(radius < 2.5, 1.0, -1.0)


def exclusive_or(rng, n):
    points = rng.uniform(-5, 5, (n, 2))
    points += np.where(points > 0, 0.3, -0.3)
    return points, np.where(points.prod(axis=1) >= 0, 1.0, -1.0)


def gauss(rng, n):
    labels = np.repeat([1.0, -1.0], n // 2)
    return 2 * labels[:, None] + rng.normal(scale=np.sqrt(0.5), size=(n, 2)), labels


def spiral(_, n):
    arms = []
    for turn in (0, np.pi):
        i = np.arange(n // 2)
        radius, angle = 5 * i / (n // 2), 1.75 * 2 * np.pi * i / (n // 2) + turn
        arms.append(np.column_stack([radius * np.sin(angle), radius * np.cos(angle)]))
    return np.concatenate(arms), np.repeat([1.0, -1.0], n // 2)


sets = {}
for name, make in {"circle": circle, "xor": exclusive_or, "gauss": gauss, "spiral": spiral}.items():
    rng = np.random.default_rng(7)
    points, labels = make(rng, 500)
    order = rng.permutation(500)
    sets[name] = points[order], labels[order]

figure, axes = plt.subplots(1, 4, figsize=(12, 3.2), layout="constrained")
for ax, (name, (points, labels)) in zip(axes, sets.items(), strict=True):
    for label, color in ((1, COLORS[0]), (-1, COLORS[5])):
        ax.scatter(*points[labels == label].T, s=8, color=color, label=f"{label:+d}")
    ax.set(xlim=(-6, 6), ylim=(-6, 6), aspect="equal")
    tidy(ax, name)
axes[0].legend(fontsize=9, loc="upper left", frameon=True)
plt.show()

# %% [markdown]
# ## 2. The network and its rule
#
# Two inputs, hidden layers of four and two tanh units, one tanh output. Weights begin between -½ and ½, biases at
# 0.1. The error of a point is $E = \tfrac12 (\text{output} - \text{label})^2$. The 250 training points come in the
# same order in every epoch, ten at a time: the gradients of ten points are averaged, then every weight moves by 0.03
# times its own.
#
# That is a mean over a batch and plain gradient descent. The engine needs to be told no more than that.

# %%
RATE, BATCH, TRAIN = 0.03, 10, 250


def network(*hidden, features=2, seed=0):
    """The playground's network: tanh units, weights U(-0.5, 0.5), biases 0.1."""
    rng = np.random.default_rng(seed)
    layers = []
    sizes = [features, *hidden, 1]
    for inputs, outputs in pairwise(sizes):
        layer = nn.Linear(inputs, outputs, dtype="float64")
        layer.weight.data[...] = rng.uniform(-0.5, 0.5, layer.weight.shape)
        layer.bias.data[...] = 0.1
        layers += [layer, nn.Tanh()]
    return nn.Sequential(*layers)


def learn(model, points, labels, epochs, rate=RATE):
    """Train on the first 250 points; training and test loss after each epoch."""
    optimizer = optim.SGD(model.parameters(), lr=rate)

    @tg.compile(backend="replay")
    def step(x, t):
        optimizer.zero_grad()
        error = 0.5 * ((model(x) - t) ** 2).mean()
        error.backward()
        optimizer.step()
        return error

    losses = []
    for _ in range(epochs):
        for first in range(0, TRAIN, BATCH):
            step(points[first : first + BATCH], labels[first : first + BATCH, None])
        with tg.no_grad():
            each = 0.5 * (model(points).data[:, 0] - labels) ** 2
        losses.append((each[:TRAIN].mean(), each[TRAIN:].mean()))
    return np.array(losses)


model = network(4, 2)
print(model)

# %% [markdown]
# ## 3. By hand, point by point
#
# The playground's own program has no matrices. It goes through the network neuron by neuron: forward for one point,
# back for one point, sums up what each link and each bias has got, and updates after ten points. Written out like
# that, with loops:


# %%
def by_hand(parameters, points, labels):
    """One epoch with loops over neurons and links, as in the playground's program; changes ``parameters``."""
    layers = list(zip(parameters[::2], parameters[1::2], strict=True))
    sums = [(np.zeros_like(W), np.zeros_like(b)) for W, b in layers]
    for number, (point, label) in enumerate(zip(points, labels, strict=True), 1):
        outputs = [list(point)]
        for W, b in layers:
            outputs.append(
                [np.tanh(b[j] + sum(w * a for w, a in zip(W[j], outputs[-1], strict=True))) for j in range(len(b))]
            )
        slopes = [outputs[-1][0] - label]  # dE/da of the output
        for (W, b), (sum_W, sum_b), below, above in zip(
            layers[::-1], sums[::-1], outputs[-2::-1], outputs[:0:-1], strict=True
        ):
            errors = [slope * (1 - a * a) for slope, a in zip(slopes, above, strict=True)]  # dE/dz
            for j, error in enumerate(errors):
                sum_b[j] += error
                for i, a in enumerate(below):
                    sum_W[j, i] += error * a
            slopes = [sum(W[j, i] * errors[j] for j in range(len(b))) for i in range(len(below))]
        if number % BATCH == 0:
            for (W, b), (sum_W, sum_b) in zip(layers, sums, strict=True):
                W -= RATE * sum_W / BATCH
                b -= RATE * sum_b / BATCH
                sum_W[...] = 0
                sum_b[...] = 0


points, labels = sets["circle"]
hand = [one.data.copy() for one in model.parameters()]
for epoch in range(1, 4):
    by_hand(hand, points[:TRAIN], labels[:TRAIN])
    learn(model, points, labels, 1)
    apart = max(np.abs(one.data - other).max() for one, other in zip(model.parameters(), hand, strict=True))
    print(f"after epoch {epoch}: all {sum(one.size for one in hand)} weights and biases agree to {apart:.0e}")
    assert apart < 1e-13

# %% [markdown]
# ## 4. Every neuron is a map
#
# Now 150 epochs. What does each neuron say to each point of the plane? The first hidden layer draws soft lines, the
# second bends them together, the output has closed the circle. Line widths are the sizes of the weights, blue is
# positive.

# %%
SIDE = np.linspace(-6, 6, 100)
PLANE = np.stack(np.meshgrid(SIDE, SIDE), axis=-1).reshape(-1, 2)


def maps(model, inputs=PLANE):
    """What every tanh unit gives over the plane, layer by layer: lists of arrays (100, 100)."""
    found, signal = [], tg.Tensor(inputs)
    with tg.no_grad():
        for layer in model:
            signal = layer(signal)
            if isinstance(layer, nn.Tanh):
                found.append([one.reshape(100, 100) for one in signal.data.T])
    return found


def draw_network(model, points, labels):
    """The playground's picture: neurons as maps, links as lines, the output large, with the points."""
    units = maps(model)
    figure = plt.figure(figsize=(11, 4.6))
    place = {}
    columns = len(units)
    for column, layer in enumerate(units):
        last = column == columns - 1
        size = 0.5 if last else 0.15
        for row, picture in enumerate(layer):
            left = 0.03 + column * 0.2
            bottom = 0.22 if last else 0.78 - row * 0.24
            ax = figure.add_axes((left, bottom, size * 4.6 / 11, size))
            ax.imshow(picture, origin="lower", extent=(-6, 6, -6, 6), cmap="PuOr", vmin=-1, vmax=1)
            ax.set(xticks=[], yticks=[])
            place[column, row] = left, bottom + size / 2, size * 4.6 / 11
    for label, color in ((1, COLORS[0]), (-1, COLORS[5])):
        ax.scatter(*points[labels == label].T, s=7, color=color, edgecolor="white", linewidth=0.3)
    for column, layer in enumerate([one for one in model if isinstance(one, nn.Linear)][1:]):
        for j, row in enumerate(layer.weight.data):
            for i, weight in enumerate(row):
                (x0, y0, wide), (x1, y1, _) = place[column, i], place[column + 1, j]
                color = COLORS[0] if weight > 0 else COLORS[5]
                line = plt.Line2D(
                    [x0 + wide, x1], [y0, y1], linewidth=min(abs(weight) * 1.6, 7), color=color, alpha=0.8
                )
                figure.add_artist(line)
    return figure


losses = learn(model, points, labels, 147)
draw_network(model, points, labels)
plt.show()

print(f"loss after 150 epochs: training {losses[-1, 0]:.3f}, test {losses[-1, 1]:.3f}")
right = np.sign(model(points).data[:, 0]) == labels
print(f"right: {right[:TRAIN].mean():.1%} of the training points, {right[TRAIN:].mean():.1%} of the others")
assert right[TRAIN:].mean() > 0.97

# %% [markdown]
# ## 5. The other sets
#
# Two clouds need no hidden layer at all. The exclusive or takes a little longer. The spiral is hard: with $x_1$ and
# $x_2$ alone such a network hardly gets anywhere, but give it $\sin x_1$ and $\sin x_2$ as well, eight units, and
# patience.


# %%
def with_features(points):
    """The playground's seven inputs: x1, x2, x1², x2², x1·x2, sin x1, sin x2."""
    x1, x2 = np.asarray(points).T
    return np.column_stack([x1, x2, x1**2, x2**2, x1 * x2, np.sin(x1), np.sin(x2)])


tries = {
    "gauss, no hidden layer": ("gauss", (), 20, lambda x: x),
    "xor, 4 and 2 units": ("xor", (4, 2), 300, lambda x: x),
    "spiral, 4 and 2 units": ("spiral", (4, 2), 300, lambda x: x),
    "spiral, 7 inputs, 8 and 8 units": ("spiral", (8, 8), 600, with_features),
}
figure, axes = plt.subplots(1, 4, figsize=(13, 3.6), layout="constrained")
shares = {}
for ax, (title, (name, hidden, epochs, features)) in zip(axes, tries.items(), strict=True):
    points, labels = sets[name]
    inputs = features(points)
    one = network(*hidden, features=inputs.shape[1], seed=1)
    learn(one, inputs, labels, epochs)
    picture = maps(one, features(PLANE))[-1][0]
    ax.imshow(picture, origin="lower", extent=(-6, 6, -6, 6), cmap="PuOr", vmin=-1, vmax=1)
    for label, color in ((1, COLORS[0]), (-1, COLORS[5])):
        ax.scatter(*points[labels == label].T, s=6, color=color, edgecolor="white", linewidth=0.3)
    shares[title] = (np.sign(one(inputs).data[:, 0]) == labels)[TRAIN:].mean()
    ax.set(xticks=[], yticks=[])
    tidy(ax, title, f"{shares[title]:.0%} of the test points right")
    ax.title.set_fontsize(10)
plt.show()
assert shares["gauss, no hidden layer"] > 0.98
assert shares["xor, 4 and 2 units"] > 0.9
assert shares["spiral, 4 and 2 units"] < 0.75
assert shares["spiral, 7 inputs, 8 and 8 units"] > 0.85

# %% [markdown]
# ## 6. The button called *L1*
#
# With L1 regularization every weight is pulled towards 0 by a constant amount at each update, and one that is pulled
# across becomes 0, for ever: its link is dead. So a network with too many links loses the ones that it does not need.

# %%
points, labels = sets["gauss"]
inputs = with_features(points)
sparse = network(4, features=7, seed=2)
optimizer = optim.SGD(sparse.parameters(), lr=RATE)
weights = [layer.weight for layer in sparse if isinstance(layer, nn.Linear)]
alive = [np.ones(one.shape) for one in weights]
PULL = 0.03

for _ in range(300):
    for first in range(0, TRAIN, BATCH):
        optimizer.zero_grad()
        error = 0.5 * ((sparse(inputs[first : first + BATCH]) - labels[first : first + BATCH, None]) ** 2).mean()
        error.backward()
        signs = [np.sign(one.data) for one in weights]
        optimizer.step()
        for one, sign, living in zip(weights, signs, alive, strict=True):
            pulled = one.data - RATE * PULL * sign
            living[one.data * pulled < 0] = 0
            one.data[...] = pulled * living

links = sum(one.size for one in alive)
living = int(sum(one.sum() for one in alive))
right = (np.sign(sparse(inputs).data[:, 0]) == labels)[TRAIN:].mean()
print(f"{living} of {links} links are left, and {right:.1%} of the test points are right")
names = ["x₁", "x₂", "x₁²", "x₂²", "x₁x₂", "sin x₁", "sin x₂"]
used = [name for name, column in zip(names, alive[0].T, strict=True) if column.any()]
print("inputs that are still read:", ", ".join(used))
assert living < 0.7 * links
assert right > 0.95

# %% [markdown]
# ## What to try
#
# * `network(2, 2)` or `network(8)` on the circle: how few units suffice, and what do their maps look like?
# * `rate=0.3` and `rate=3` in `learn`: how does the loss go?
# * `nn.ReLU()` in place of `nn.Tanh()`: soft lines become sharp corners. Why?
# * L2 pulls by `RATE * PULL * one.data`. Which weights does it leave, and why none at exactly 0?
# * Noise: add `rng.normal(size=points.shape)` to the points. Which network is still right about the test points?
