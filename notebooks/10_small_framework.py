# %% [markdown]
# # A small framework, and a mistake in it
#
# Everybody should write a network by hand once: forward, backward, update, in a class of twenty lines. Here it is,
# twice. The first version has a mistake that no error message mentions, and the loss falls all the same. A gradient
# checker finds it in a second. Then: what a network of linear layers can never learn, and one with ReLU can.

# %%
import matplotlib.pyplot as plt
import numpy as np

from tinygrad_mlp import nn
from tinygrad_mlp.testing import gradcheck
from tinygrad_mlp.viz.style import COLORS, tidy

# %% [markdown]
# ## 1. The framework
#
# `MLP(D_in, H, D_out)`: inputs, hidden units, outputs. Weights are drawn from a normal distribution with standard
# deviation $\sqrt{2 / (\text{in} + \text{out})}$ (Glorot and Bengio, 2010), biases start at 0. The hidden layer is
# linear to begin with. One sample at a time, $L = \tfrac12 \lVert\hat y - y\rVert^2$.


# %%
class MLP:
    """Two layers, the hidden one linear; the backward pass as one writes it from memory."""

    def __init__(self, D_in, H, D_out, seed=0):
        rng = np.random.default_rng(seed)
        self.W1 = rng.normal(0, np.sqrt(2 / (D_in + H)), (H, D_in))
        self.b1 = np.zeros(H)
        self.W2 = rng.normal(0, np.sqrt(2 / (H + D_out)), (D_out, H))
        self.b2 = np.zeros(D_out)

    def forward(self, x):
        """The prediction for one sample; what the backward pass will need is kept."""
        self.x = x
        self.hidden = self.W1 @ x + self.b1
        return self.W2 @ self.hidden + self.b2

    def backward(self, prediction, target):
        """The gradients of the loss by W1, b1, W2, b2."""
        delta2 = prediction - target
        delta1 = (self.W2.T @ delta2) * self.hidden
        return np.outer(delta1, self.x), delta1, np.outer(delta2, self.hidden), delta2

    def train(self, X, Y, rate=0.001, epochs=100, seed=0):
        """Gradient descent, one sample at a time; the mean loss of every epoch."""
        order, losses = np.random.default_rng(seed), []
        for _ in range(epochs):
            total = 0.0
            for i in order.permutation(len(X)):
                prediction = self.forward(X[i])
                total += 0.5 * np.sum((prediction - Y[i]) ** 2)
                gradients = self.backward(prediction, Y[i])
                for parameter, gradient in zip((self.W1, self.b1, self.W2, self.b2), gradients, strict=True):
                    parameter -= rate * gradient
            losses.append(total / len(X))
        return losses


# %% [markdown]
# Its first exercise is a straight line with some noise. The loss falls from epoch to epoch. Done?

# %%
rng = np.random.default_rng(0)
X = rng.uniform(-2, 2, (100, 1))
line = 0.8 * X - 0.5 + rng.normal(0, 0.1, X.shape)

first = MLP(1, 4, 1)
losses = first.train(X, line)
print(f"loss {losses[0]:.4f} in the first epoch, {losses[-1]:.4f} in the last")
assert losses[-1] < losses[0]

# %% [markdown]
# ## 2. Is the gradient right?
#
# A falling loss does not answer that. `gradcheck` compares each entry with a derivative found in another way, without
# any backward pass. It needs the loss as a function of the parameters, and the gradients that somebody claims.

# %%
x, target = np.array([1.5, -0.7]), np.array([0.3, 0.9])


def checked(network):
    """The verdict on the backward pass of a network, parameter by parameter."""
    names = ["W1", "b1", "W2", "b2"]

    def run(W1, b1, W2, b2):
        network.W1, network.b1, network.W2, network.b2 = W1, b1, W2, b2
        return network.forward(x)

    def loss(W1, b1, W2, b2):
        return 0.5 * np.sum((run(W1, b1, W2, b2) - target) ** 2)

    def gradients(W1, b1, W2, b2):
        return network.backward(run(W1, b1, W2, b2), target)

    start = [getattr(network, name).copy() for name in names]
    return gradcheck(loss, start, grad=gradients, names=names)


report = checked(MLP(2, 3, 2))
print(f"verdict: {report.verdict}\n")
for name, error in report.by_input.items():
    print(f"{name}: {'wrong' if error > report.rtol else 'right'} (relative error {error:.0e})")
assert report.verdict == "WRONG"
assert [name for name, error in report.by_input.items() if error > report.rtol] == ["W1", "b1"]

# %% [markdown]
# Wrong, and it says where to look: the second layer is right, the first is wrong. So the mistake lies in what is handed
# from the second to the first, in the line `delta1 = (self.W2.T @ delta2) * self.hidden`.
#
# Where does the factor `self.hidden` come from? From habit. For a sigmoid one multiplies by its derivative $a(1-a)$.
# But this hidden layer is linear, $a = z$, and its derivative is 1. The factor has to go.


# %%
class CorrectMLP(MLP):
    """The same with the factor removed."""

    def backward(self, prediction, target):
        """The gradients of the loss by W1, b1, W2, b2."""
        delta2 = prediction - target
        delta1 = self.W2.T @ delta2
        return np.outer(delta1, self.x), delta1, np.outer(delta2, self.hidden), delta2


report = checked(CorrectMLP(2, 3, 2))
print(f"verdict: {report.verdict}, worst relative error {report.worst:.0e}")
assert report.verdict == "right"
assert report.worst < 1e-10

# %% [markdown]
# Here is what the mistake cost. Nothing was *visibly* broken: the second layer learns, whatever the first one does.

# %%
figure, axes = plt.subplots(1, 3, figsize=(11.5, 3.6), sharey=True, layout="constrained")
for seed, ax in enumerate(axes):
    curves = {
        "with the mistake": MLP(1, 4, 1, seed=seed).train(X, line),
        "corrected": CorrectMLP(1, 4, 1, seed=seed).train(X, line),
    }
    for (name, curve), color, dashes in zip(curves.items(), COLORS[1::-1], ("--", "-"), strict=True):
        ax.semilogy(curve, label=name, color=color, linestyle=dashes, linewidth=1.8)
    tidy(ax, f"Start {seed}", "epoch", "" if seed else "loss", grid=True)
axes[0].legend(fontsize=10, frameon=False)
plt.show()

# %% [markdown]
# ## 3. What linear layers cannot do
#
# A harder exercise: a curve, $y = x^3 - 2x + \tfrac12$. Can our corrected network learn it, if it gets more units? It
# cannot, for a linear layer behind a linear layer is a linear layer:
#
# $$W_2 (W_1 x + b_1) + b_2 = (W_2 W_1)\, x + (W_2 b_1 + b_2).$$
#
# Whatever it learns is a straight line. The best straight line is known without any training: *least squares*.
#
# One change is enough: the hidden layer becomes $\max(z, 0)$, and the factor in the backward pass, this time with every
# right, is its derivative: 1 where $z > 0$, else 0.


# %%
class ReLUMLP(MLP):
    """A hidden layer of ReLU units."""

    def forward(self, x):
        """The prediction for one sample; what the backward pass will need is kept."""
        self.x = x
        self.z = self.W1 @ x + self.b1
        self.hidden = np.maximum(self.z, 0)
        return self.W2 @ self.hidden + self.b2

    def backward(self, prediction, target):
        """The gradients of the loss by W1, b1, W2, b2."""
        delta2 = prediction - target
        delta1 = (self.W2.T @ delta2) * (self.z > 0)
        return np.outer(delta1, self.x), delta1, np.outer(delta2, self.hidden), delta2


report = checked(ReLUMLP(2, 3, 2))
print(f"verdict: {report.verdict}, worst relative error {report.worst:.0e}")
assert report.verdict == "right"

# %%
X = rng.uniform(-2, 2, (150, 1))
curve = X**3 - 2 * X + 0.5 + rng.normal(0, 0.2, X.shape)

linear, folded = CorrectMLP(1, 16, 1, seed=1), ReLUMLP(1, 16, 1, seed=1)
linear_losses = linear.train(X, curve, rate=0.005)
folded_losses = folded.train(X, curve, rate=0.005)

grid = np.linspace(-2.1, 2.1, 200)
by_linear, by_folded = (np.array([net.forward(np.array([one]))[0] for one in grid]) for net in (linear, folded))
slope, intercept = np.polyfit(X[:, 0], curve[:, 0], 1)
print(f"least squares:      y = {slope:.2f} x + {intercept:.2f}")
print(
    f"the linear network: y = {(linear.W2 @ linear.W1).item():.2f} x + {(linear.W2 @ linear.b1 + linear.b2).item():.2f}"
)
print(f"loss at the end: linear {linear_losses[-1]:.3f}, with ReLU {folded_losses[-1]:.3f}")
assert np.allclose(np.diff(by_linear, 2), 0, atol=1e-12)  # a straight line has no second difference
assert folded_losses[-1] < 0.1 * linear_losses[-1]

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), width_ratios=[1.3, 1], layout="constrained")
left.scatter(X, curve, s=10, color="0.6", label="samples")
left.plot(grid, slope * grid + intercept, color="0.2", linewidth=1.2, linestyle=":", label="least squares")
left.plot(grid, by_linear, color=COLORS[1], linewidth=2, linestyle="--", label="16 linear units")
left.plot(grid, by_folded, color=COLORS[0], linewidth=2.4, label="16 ReLU units")
left.legend(fontsize=10, frameon=False)
tidy(left, "Linear layers stay a line, ReLU bends", "x", "y")
right.semilogy(linear_losses, color=COLORS[1], linestyle="--", linewidth=1.8, label="linear")
right.semilogy(folded_losses, color=COLORS[0], linewidth=1.8, label="ReLU")
right.legend(fontsize=10, frameon=False)
tidy(right, "Loss", "epoch", grid=True)
plt.show()

# %% [markdown]
# ## 4. The same without a backward pass
#
# Each new activation, and each new loss, asked for a new backward pass, and for another chance to get it wrong. That is
# what an engine is for: it derives the backward pass from the forward pass. The ReLU network above, from the same
# weights, through the engine:

# %%
import tinygrad_mlp as tg

ours, hand = nn.MLP(1, 16, 1, dtype="float64"), ReLUMLP(1, 16, 1, seed=1)
for parameter, value in zip(ours.parameters(), (hand.W1, hand.b1, hand.W2, hand.b2), strict=True):
    parameter.data[...] = value

x0, y0 = X[0], curve[0]
loss = 0.5 * ((ours(tg.Tensor(x0)) - y0) ** 2).sum()
loss.backward()
for parameter, gradient in zip(ours.parameters(), hand.backward(hand.forward(x0), y0), strict=True):
    np.testing.assert_allclose(parameter.grad.data, gradient, rtol=1e-12, atol=1e-15)
print("the engine's gradients are those of the corrected backward pass")

# %% [markdown]
# And a third exercise, *binary classification*: which of two half moons does a point belong to? The output is a score
# whose sigmoid is the probability of class 1, and the loss is the *binary cross-entropy*. Nothing is derived by hand.

# %%
from tinygrad_mlp import optim, viz
from tinygrad_mlp.datasets import make_moons
from tinygrad_mlp.train import fit

moons, moon = make_moons(200, noise=0.15, seed=0)
models = {"linear units": "identity", "ReLU units": "relu"}
figure, axes = plt.subplots(1, 2, figsize=(11, 4.4), layout="constrained")
accuracy = {}
for ax, (name, activation) in zip(axes, models.items(), strict=True):
    model = nn.MLP(2, 16, 1, activation=activation, seed=0)
    fit(
        model,
        moons,
        moon[:, None],
        epochs=100,
        batch_size=10,
        loss="binary_cross_entropy",
        optimizer=optim.SGD(model.parameters(), lr=0.2),
        seed=0,
        verbose=0,
    )

    def answer(points, model=model):
        return (model(points).data[:, 0] > 0).astype(int)

    accuracy[name] = (answer(moons) == moon).mean()
    viz.plot_decision_boundary(answer, moons, moon, ax=ax)
    ax.set_xlabel(f"16 {name}: {accuracy[name]:.1%} right", fontsize=12, fontweight="bold")
plt.show()
assert accuracy["ReLU units"] > 0.97
assert accuracy["linear units"] < 0.93

# %% [markdown]
# ## What you have seen
#
# * A falling loss does not prove a backward pass. A gradient checker does, and it names the layer.
# * The mistake was a factor that belongs to another activation.
# * Linear layers in a row are one linear layer. What bends is between them.
#
# **What to try.**
#
# * Plant a mistake of your own: forget the bias, use `W2` without `.T`, halve one gradient, be off by one millionth.
#   Which ones does the loss betray? Which ones does the checker?
# * Let `backward` of the first class multiply by `self.hidden > 0`. Is that right for a linear layer?
# * Give the ReLU network 2 units, 4, 8 and draw the curve. Count the corners: a unit gives at most one.
# * Check `ReLUMLP` at `x = np.zeros(2)`: all inputs of the ReLUs are then exactly 0, where it has no derivative.
#   What is the verdict?
