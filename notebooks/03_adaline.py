# %% [markdown]
# # Adaline: learning by going downhill
#
# The perceptron learns only from mistakes. Adaline, the *adaptive linear neuron* (Widrow and Hoff, 1960), measures how
# far off it is, and walks downhill. You will see the hill, a walker whose steps are too small, one whose steps are too
# large, and the three ways to take a step: with all samples, with a few, with one.
#
# You need: the notebook on the perceptron, what a derivative is, and about fifteen minutes.

# %%
import matplotlib.pyplot as plt
import numpy as np

import tinygrad_mlp as tg
from tinygrad_mlp import nn, optim
from tinygrad_mlp.datasets import load_iris
from tinygrad_mlp.sklearn import AdalineGD, AdalineSGD
from tinygrad_mlp.viz.style import COLORS, tidy

BLUE, ORANGE, GREEN = COLORS[:3]  # after Okabe and Ito: told apart by all eyes

# %% [markdown]
# ## 1. A linear unit and a measure of error
#
# The data is that of the perceptron: length and width of the petals of 150 irises, standardised, and the question
# whether the plant is an *Iris setosa* ($y = 1$) or not ($y = 0$).

# %%
iris = load_iris()
petals = iris.data[:, 2:].astype(np.float64)
X = (petals - petals.mean(axis=0)) / petals.std(axis=0)
y = (iris.target == 0).astype(np.float64)
n = len(X)

# %% [markdown]
# The *activation* $a$ of the unit is the weighted sum itself, without a threshold, and the *loss* is the mean squared
# error (MSE):
#
# $$a = w \cdot x + b \qquad\qquad L = \frac1n \sum_i (y_i - a_i)^2$$
#
# A threshold comes only afterwards, to name the class: setosa where $a \ge \tfrac12$. Because nothing jumps on the way
# from the weights to the loss, the loss has a derivative. By the chain rule:
#
# $$\frac{\partial L}{\partial w_j} = -\frac2n \sum_i (y_i - a_i)\,x_{ij}
# \qquad\qquad \frac{\partial L}{\partial b} = -\frac2n \sum_i (y_i - a_i)$$
#
# The formula in NumPy, and the same derivative from the tape, which was told nothing but the loss:

# %%
w = tg.Tensor([0.3, -0.2], requires_grad=True, dtype="float64")
b = tg.Tensor(0.1, requires_grad=True, dtype="float64")
loss = ((tg.Tensor(y) - (tg.Tensor(X) @ w + b)) ** 2).mean()
loss.backward()

errors = y - (X @ w.data + b.data)
by_hand = -2 / n * X.T @ errors, -2 / n * errors.sum()
print(f"by hand  dL/dw = {by_hand[0]},  dL/db = {by_hand[1]:.12f}")
print(f"tape     dL/dw = {w.grad.data},  dL/db = {b.grad.item():.12f}")
assert np.allclose(w.grad.data, by_hand[0], rtol=1e-13)
assert np.isclose(b.grad.item(), by_hand[1], rtol=1e-13)

# %% [markdown]
# ## 2. The bottom of the valley
#
# The loss is a sum of squares of something linear, so over the weights it is a bowl with one lowest point, and this
# point can be calculated: *least squares*. Whoever goes downhill should arrive there.

# %%
A = np.column_stack([X, np.ones(n)])
best, *_ = np.linalg.lstsq(A, y, rcond=None)
lowest = ((y - A @ best) ** 2).mean()
print(f"weights {best[:2]}, bias {best[2]:.4f}: the loss is {lowest:.5f}, and nowhere less")

# %% [markdown]
# *Gradient descent* takes a step against the gradient, as long as the *learning rate* $\eta$ says:
# $w \leftarrow w - \eta\,\partial L/\partial w$. With all samples in each step it is called *full-batch*.


# %%
def descend(eta, steps, start=(0.9, 0.2, 0.0)):
    """Weights and bias after each step of full-batch gradient descent."""
    path = [np.array(start)]
    for _ in range(steps):
        path.append(path[-1] + eta * 2 / n * A.T @ (y - A @ path[-1]))
    return np.array(path)


def loss_at(path):
    """The loss of each (w0, w1, b)."""
    return ((y - path @ A.T) ** 2).mean(axis=-1)


# %% [markdown]
# Along the steepest direction of the bowl a step overshoots when $\eta$ is larger than $2/\lambda$, where $\lambda$ is
# the largest curvature there: the largest *eigenvalue* of the matrix of second derivatives, $H = \frac2n
# A^\mathsf{T}A$. Here that is not a guess but a number:

# %%
curvatures = np.linalg.eigvalsh(2 / n * A.T @ A)
largest_rate = 2 / curvatures[-1]
print(f"curvatures {curvatures.round(4)}: steps overshoot and grow from a rate of {largest_rate:.3f}")

rates = {"too small": 0.004, "good": 0.3, "too large": 1.04 * largest_rate}
paths = {name: descend(eta, 12 if name == "too large" else 40) for name, eta in rates.items()}

# %%
span0, span1 = np.linspace(-1.3, 1.1, 200), np.linspace(-1.3, 1.0, 200)
across, up = np.meshgrid(span0, span1)
height = loss_at(np.stack([across, up, np.full_like(up, best[2])], axis=-1))
levels = lowest + np.geomspace(0.002, height.max() - lowest, 14)

figure, panels = plt.subplots(1, 3, figsize=(12, 4.1), sharex=True, sharey=True, layout="constrained")
for ax, (name, path) in zip(panels, paths.items(), strict=True):
    ax.contour(across, up, height, levels=levels, cmap="Greys_r", linewidths=0.8)
    ax.plot(*path[:, :2].T, color=BLUE, marker="o", markersize=3.5, linewidth=1.2, label=f"{len(path) - 1} steps")
    ax.plot(*path[0, :2], "s", color=ORANGE, markersize=8, label="start")
    ax.plot(*best[:2], "*", color=GREEN, markersize=15, label="least squares")
    ax.set(xlim=span0[[0, -1]], ylim=span1[[0, -1]])
    tidy(ax, f"{name}: η = {rates[name]:.3f}", "$w_0$", "$w_1$" if ax is panels[0] else "")
for ax in panels:
    ax.legend(fontsize=10, framealpha=0.9, edgecolor="none", loc="upper left" if ax is panels[2] else "lower left")
plt.show()

# %% [markdown]
# The ellipses are lines of equal loss (with the bias at its best). Length and width of a petal nearly tell the same
# story, so the bowl is a long, narrow valley: steep across, nearly flat along. The rate has to be small enough for the
# steep direction, and the flat one pays for it: even the good walker comes down the wall at once and then creeps along
# the floor.
#
# The same three runs as curves of the loss. The dashed line is the lowest point, from the formula.

# %%
long_runs = {name: loss_at(descend(eta, 300)) for name, eta in rates.items()}

figure, ax = plt.subplots(figsize=(8, 4), layout="constrained")
for (name, losses), color in zip(long_runs.items(), (BLUE, GREEN, ORANGE), strict=True):
    ax.semilogy(losses, color=color, linewidth=2, label=f"{name}: η = {rates[name]:.3f}")
ax.axhline(lowest, color="0.3", linestyle="--", linewidth=1, label=f"least squares: {lowest:.4f}")
ax.set(ylim=(0.02, 30))
tidy(ax, "Two ways to choose the learning rate wrongly", "epoch", "mean squared error", grid=True)
ax.legend(fontsize=10, frameon=False, loc="upper center", ncols=2)
plt.show()

assert long_runs["good"][-1] < 1.01 * lowest
assert long_runs["too small"][40] > 20 * lowest
assert long_runs["too large"][-1] > long_runs["too large"][0]

# %% [markdown]
# ## 3. The estimator, and the threshold
#
# The package has this as `AdalineGD`, with scikit-learn's interface. Given time, it arrives at least squares:

# %%
model = AdalineGD(eta=0.3, n_iter=2000).fit(X, y.astype(int))
accuracy = model.score(X, y.astype(int))
print(f"weights {model.w_}, bias {model.b_:.4f}; {accuracy:.1%} of the flowers right")
assert np.allclose([*model.w_, model.b_], best, atol=1e-9)
wrong = model.predict(X) != y
assert wrong.sum() == 1

# %% [markdown]
# One flower is on the wrong side, although the perceptron's notebook found a line with none. That is no failure of
# descent: this *is* the lowest point. Adaline makes the squared errors small, and these are not the mistakes. The
# plants with the largest petals are rightly called "other", but their activations are far below 0, and that counts as
# an error too. To make it smaller they pull the line towards themselves, until one small plant of another species is
# called a setosa.
#
# Some books use the targets $-1$ and $1$, and the threshold 0. That is the same line: $2y - 1$ doubles the weights and
# moves the bias, and $2a - 1 \ge 0$ says the same as $a \ge \tfrac12$.

# %%
signed, *_ = np.linalg.lstsq(A, 2 * y - 1, rcond=None)
assert np.allclose(signed, 2 * best - [0, 0, 1])
assert ((A @ signed >= 0) == (A @ best >= 0.5)).all()

figure, panels = plt.subplots(1, 2, figsize=(10.5, 4), layout="constrained")
ax = panels[0]
ax.scatter(*X[y == 1].T, color=BLUE, s=24, edgecolor="white", linewidth=0.5, label="setosa", zorder=3)
ax.scatter(*X[y == 0].T, color=ORANGE, s=24, marker="s", edgecolor="white", linewidth=0.5, label="other", zorder=3)
ax.scatter(*X[wrong].T, s=150, facecolor="none", edgecolor="black", linewidth=1.3, label="wrong", zorder=4)
w0, w1 = model.w_
ax.axline((0, (0.5 - model.b_) / w1), slope=-w0 / w1, color=BLUE, linewidth=1.8)
ax.set(xlim=(-2, 2), ylim=(-2, 2))
tidy(ax, "The line a = ½", "petal length, standardised", "petal width, standardised")
ax.legend(fontsize=10, frameon=False, loc="lower right")

bins = np.linspace(-0.5, 1.5, 41)
panels[1].hist(model.net_input(X[y == 0]), bins, color=ORANGE, label="other")
panels[1].hist(model.net_input(X[y == 1]), bins, color=BLUE, label="setosa")
panels[1].axvline(0.5, color="0.2", linestyle="--")
tidy(panels[1], "Activations, and the threshold between them", "a = w·x + b", "flowers")
panels[1].legend(fontsize=10, frameon=False)
plt.show()

# %% [markdown]
# ## 4. All samples, a few, or one
#
# A gradient from few samples is a noisy estimate of the gradient from all, but it costs less: in the time of one
# full-batch step there are 150 steps with one sample each. This is *stochastic* gradient descent (SGD); the samples of
# one step are the *mini-batch*. Here is one loop for all three, with the engine's linear layer and its optimizer.

# %%
START = np.array([[0.9, 0.2]])


def train(batch_size, eta, epochs, seed=0):
    """Weights after each step, and the loss on all samples after each epoch."""
    unit = nn.Linear(2, 1, dtype="float64")
    unit.weight.data[...], unit.bias.data[...] = START, 0.0
    optimizer = optim.SGD(unit.parameters(), lr=eta)
    loss_of = nn.MSELoss()
    draws = np.random.default_rng(seed)
    path, losses = [START[0]], []
    for _ in range(epochs):
        order = draws.permutation(n)
        for first in range(0, n, batch_size):
            batch = order[first : first + batch_size]
            optimizer.zero_grad()
            loss_of(unit(X[batch])[:, 0], tg.Tensor(y[batch])).backward()
            optimizer.step()
            path.append(unit.weight.data[0].copy())
        losses.append(loss_at(np.r_[unit.weight.data[0], unit.bias.data]))
    return np.array(path), losses


descents = {
    "all 150 samples": train(150, 0.3, 20),
    "10 samples": train(10, 0.1, 20),
    "1 sample": train(1, 0.02, 20),
}
assert np.allclose(descents["all 150 samples"][0], descend(0.3, 20)[:, :2], rtol=1e-12)  # the loop of section 2

for name, (path, losses) in descents.items():
    print(f"{name:16} {len(path) - 1:5} steps; loss after 1 epoch {losses[0]:.4f}, after 20 {losses[-1]:.4f}")
assert descents["1 sample"][1][0] < descents["all 150 samples"][1][0]

# %%
figure, panels = plt.subplots(1, 3, figsize=(12.5, 4.1), layout="constrained", width_ratios=[1, 1, 1.1])
zoom = ((-0.75, -0.05), (-0.45, 0.3))
for ax, limits in zip(panels, (None, zoom), strict=False):
    ax.contour(across, up, height, levels=levels, cmap="Greys_r", linewidths=0.8)
    for (name, (path, _)), color in zip(descents.items(), (GREEN, BLUE, ORANGE), strict=True):
        thick = 2 if len(path) < 50 else 0.8
        ax.plot(*path.T, color=color, linewidth=thick, label=name, zorder=5 - thick)
    ax.plot(*best[:2], "*", color="black", markersize=13, zorder=6)
    ax.set(xlim=span0[[0, -1]], ylim=span1[[0, -1]])
    if limits:
        ax.set(xlim=limits[0], ylim=limits[1])
    tidy(ax, "20 epochs" if limits is None else "Around the lowest point", "$w_0$", "$w_1$")
for (name, (_, losses)), color in zip(descents.items(), (GREEN, BLUE, ORANGE), strict=True):
    panels[2].semilogy(range(1, 21), losses, color=color, linewidth=2, label=name)
panels[2].axhline(lowest, color="0.3", linestyle="--", linewidth=1, label="least squares")
tidy(panels[2], "Loss on all samples", "epoch", "mean squared error", grid=True)
panels[2].legend(fontsize=10, frameon=False)
panels[2].xaxis.get_major_locator().set_params(integer=True)
plt.show()

# %% [markdown]
# With one sample per step, a single epoch brings the loss down to where full batches need many. The price is seen
# around the lowest point: the steps never become quiet, since each sample pulls to its own side. A smaller rate, or one
# that falls, makes the cloud smaller.
#
# `AdalineSGD` is the second of the package's two estimators: one sample per step, in a new order each epoch. A smaller
# learning rate ends nearer to least squares:

# %%
distances = {}
for eta in (0.05, 0.01, 0.002):
    noisy = AdalineSGD(eta=eta, n_iter=300, random_state=0).fit(X, y.astype(int))
    distances[eta] = loss_at(np.r_[noisy.w_, noisy.b_]) / lowest - 1
    print(f"η = {eta:<7} the loss is {distances[eta]:.3%} above the lowest")
assert list(distances.values()) == sorted(distances.values(), reverse=True)
noisy

# %% [markdown]
# ## What you have seen
#
# * Without the jump of a threshold, the loss has a gradient, and learning is going downhill.
# * The learning rate can be too small (nothing happens) and too large (every step overshoots, the loss explodes). Where
#   the
#   border lies is decided by the curvature: $2/\lambda$.
# * Narrow valleys make descent slow; they come from inputs that say nearly the same thing, or have different scales.
# * Few samples per step: quick at first, restless at the end.
#
# **Try it.**
#
# * Do not standardise `X`. What happens to the curvatures, and to the largest rate that works?
# * Set the rate to exactly `largest_rate`. What does the path look like?
# * Take sepal length and petal length (columns 0 and 2). Is the valley wider?
# * Put `momentum=0.9` into `optim.SGD` in section 4. What becomes of the creeping along the valley floor?
# * Let the rate fall: `eta / (1 + epoch)`. Does the noisy walker come to rest?
