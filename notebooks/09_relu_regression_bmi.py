# %% [markdown]
# # Body-mass index with ReLU units
#
# A network that answers with a number: from height and weight it learns the body-mass index, without being told the
# formula. It is small, 2-8-1, so that one whole gradient step can be written by hand, and every updated weight
# compared. At the end you look down on the landscape that the descent walks through.

# %%
import matplotlib.pyplot as plt
import numpy as np

import tinygrad_mlp as tg
from tinygrad_mlp import nn, optim, viz
from tinygrad_mlp.datasets import StandardScaler, make_bmi
from tinygrad_mlp.viz.style import COLORS, tidy

# %% [markdown]
# ## 1. The data
#
# 300 people, made up: heights from 1.50 m to 2.00 m, weights from 45 kg to 115 kg, and
# $\text{BMI} = \text{weight} / \text{height}^2$ with a measuring error of 0.5.
#
# Inputs in metres and kilograms differ in size by a factor of fifty, and so would their gradients. We *standardise*
# them: subtract the mean, divide by the standard deviation. The target gets the same treatment.

# %%
X_raw, bmi = make_bmi(300, noise=0.5, seed=0)
X_new, bmi_new = make_bmi(200, noise=0.5, seed=1)

inputs, outputs = StandardScaler.fit(X_raw), StandardScaler.fit(bmi[:, None])
X = inputs.transform(X_raw.astype(np.float64))
y = outputs.transform(bmi[:, None].astype(np.float64))
print(f"{len(X)} people, standardised: mean {abs(X.mean()):.1f}, standard deviation {X.std():.1f}")

# %% [markdown]
# ## 2. The formulas, layer by layer
#
# For one person, with $L = \tfrac12(\hat y - y)^2$:
#
# | layer | forward | backward |
# |---|---|---|
# | hidden | $z_1 = W_1 x + b_1,\quad a_1 = \max(z_1, 0)$ | $\delta_1 = (W_2^{\mathsf T}\delta_2) \odot [z_1 > 0]$ |
# | output | $\hat y = W_2 a_1 + b_2$ | $\delta_2 = \hat y - y$ |
#
# $[z_1 > 0]$ is 1 where the unit is on, and 0 where it is off: ReLU hands the error signal on, or stops it. That is its
# whole derivative. Then, as always, $\partial L/\partial W = \delta\, a_{\text{in}}^{\mathsf T}$ and
# $\partial L/\partial b = \delta$.
#
# For a batch, people are rows, and gradients are means over the rows. One step of gradient descent, in NumPy:


# %%
def gradient_descent_step(W1, b1, W2, b2, x, target, rate):
    z1 = x @ W1.T + b1
    a1 = np.maximum(z1, 0)
    prediction = a1 @ W2.T + b2

    delta2 = prediction - target
    delta1 = (delta2 @ W2) * (z1 > 0)

    n = len(x)
    return (
        W1 - rate * delta1.T @ x / n,
        b1 - rate * delta1.mean(axis=0),
        W2 - rate * delta2.T @ a1 / n,
        b2 - rate * delta2.mean(axis=0),
    )


# %% [markdown]
# The engine does the same step from the same weights. Its loss is the mean over the batch of $\tfrac12(\hat y - y)^2$.

# %%
RATE = 0.05


def network():
    return nn.MLP(2, 8, 1, activation="relu", seed=1, dtype="float64")


def half_squared_error(prediction, target):
    return ((prediction - target) ** 2).mean() * 0.5


model = network()
by_hand = gradient_descent_step(*(one.data.copy() for one in model.parameters()), X, y, RATE)

optimizer = optim.SGD(model.parameters(), lr=RATE)
half_squared_error(model(X), y).backward()
optimizer.step()

print("parameter    entries   largest difference after the step")
for (name, parameter), hand in zip(model.named_parameters(), by_hand, strict=True):
    difference = np.abs(parameter.data - hand).max()
    print(f"{name:10s} {parameter.size:9d}   {difference:.1e}")
    assert difference < 1e-12

# %% [markdown]
# All 8·2 + 8 + 8 + 1 = 33 numbers agree. And a hundred steps on, when every difference has had time to grow:

# %%
for _ in range(100):
    by_hand = gradient_descent_step(*by_hand, X, y, RATE)
    optimizer.zero_grad()
    half_squared_error(model(X), y).backward()
    optimizer.step()

apart = max(np.abs(one.data - hand).max() for one, hand in zip(model.parameters(), by_hand, strict=True))
print(f"after 101 steps the largest difference is {apart:.1e}")
assert apart < 1e-12

# %% [markdown]
# ## 3. What it learns
#
# Now 3,000 steps. `compile` notes the operations of a step once and runs them as one program from then on. After every
# step we keep a copy of the 33 parameters, for the picture in section 4.

# %%
model = network()
optimizer = optim.SGD(model.parameters(), lr=0.1)


@tg.compile(backend="replay")
def step(x, target):
    optimizer.zero_grad()
    loss = half_squared_error(model(x), target)
    loss.backward()
    optimizer.step()
    return loss


def all_parameters():
    return np.concatenate([one.data.ravel() for one in model.parameters()])


losses, path = [], [all_parameters()]
for _ in range(3000):
    losses.append(step(X, y).item())
    path.append(all_parameters())
path = np.array(path)

with tg.no_grad():
    predicted = outputs.inverse_transform(model(inputs.transform(X_new.astype(np.float64))).data)[:, 0]
error = np.sqrt(np.mean((predicted - bmi_new) ** 2))
print(f"on 200 new people the typical error is {error:.2f} kg/m² (the measuring error alone is 0.50)")
assert error < 0.6

# %% [markdown]
# On the left, predictions for new people: on the grey line they would be perfect. On the right, what the network
# answers for every height and weight. ReLU networks are made of flat pieces, so these lines are bent at corners, where
# a unit goes on or off; the true lines of equal BMI, dashed, are smooth curves.

# %%
height, weight = np.meshgrid(np.linspace(1.5, 2.0, 80), np.linspace(45, 115, 80))
with tg.no_grad():
    grid = inputs.transform(np.column_stack([height.ravel(), weight.ravel()]))
    answer = outputs.inverse_transform(model(grid).data).reshape(80, 80)

figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4.2), layout="constrained")
viz.plot_predictions(bmi_new, predicted, ax=left)
tidy(left, f"New people: error {error:.2f} kg/m²", "true BMI", "predicted BMI", grid=True)
levels = [15, 20, 25, 30, 35, 40, 45]
lines = right.contour(height, weight, answer, levels, colors=COLORS[0], linewidths=1.8)
right.clabel(lines, fontsize=10)
right.contour(height, weight, weight / height**2, levels, colors=COLORS[1], linewidths=1.2, linestyles="dashed")
right.plot([], [], color=COLORS[0], label="network")
right.plot([], [], color=COLORS[1], linestyle="--", label="weight / height²")
right.legend(fontsize=10, frameon=True, loc="lower right")
tidy(right, "Lines of equal BMI", "height in m", "weight in kg")
plt.show()

# %% [markdown]
# ## 4. The landscape of the loss
#
# The loss is a height above 33 dimensions, which nobody can draw. But the descent hardly uses them: we look for the two
# directions in which the path is longest (its *principal components*), and cut the landscape along the plane that they
# span. Colour is the loss; the line is the path of the descent, seen from above.

# %%
centre = path[-1]
_, strength, directions = np.linalg.svd(path - path.mean(axis=0), full_matrices=False)
plane = directions[:2]
share = (strength[:2] ** 2).sum() / (strength**2).sum()
print(f"the plane holds {share:.1%} of the path's variance")
assert share > 0.85

seen = (path - centre) @ plane.T
low, high = seen.min(axis=0), seen.max(axis=0)
margin = 0.35 * (high - low).max()
first = np.linspace(low[0] - margin, high[0] + margin, 70)
second = np.linspace(low[1] - margin, high[1] + margin, 70)


def loss_at(parameters):
    W1, b1, W2, b2 = np.split(parameters, [16, 24, 32])
    hidden = np.maximum(X @ W1.reshape(8, 2).T + b1, 0)
    return 0.5 * np.mean((hidden @ W2.reshape(1, 8).T + b2 - y) ** 2)


landscape = np.array([[loss_at(centre + u * plane[0] + v * plane[1]) for u in first] for v in second])
assert np.isclose(loss_at(centre), half_squared_error(model(X), y).item(), rtol=1e-12)

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.6), width_ratios=[1.3, 1], layout="constrained")
levels = np.geomspace(landscape.min(), landscape.max(), 24)
left.contourf(first, second, np.log10(landscape), np.log10(levels), cmap="Blues_r")
left.contour(first, second, np.log10(landscape), np.log10(levels), colors="white", linewidths=0.4)
left.plot(*seen.T, color=COLORS[1], linewidth=2)
left.plot(*seen[0], "o", color="white", markeredgecolor=COLORS[1], markersize=9)
left.plot(*seen[-1], "o", color=COLORS[1], markeredgecolor="white", markersize=9)
left.annotate("start", seen[0], xytext=(8, 8), textcoords="offset points", fontsize=11)
left.plot(*seen[10], "o", color=COLORS[1], markersize=6)
left.annotate("10 steps", seen[10], xytext=(9, 2), textcoords="offset points", fontsize=11)
left.annotate(
    "3,000 steps", seen[-1], xytext=(0, 10), textcoords="offset points", fontsize=11, color="white", ha="center"
)
tidy(left, "The path of the descent (dark is low)", "longest direction", "second direction")
right.loglog(range(1, 3001), losses, color=COLORS[0], linewidth=1.8)
tidy(right, "Steep at first, then along the valley", "step", "loss", grid=True)
plt.show()

# %% [markdown]
# It falls into the valley in a few steps and spends all others on the way along its floor, where the slope is small.
# In numbers:

# %%
lengths = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
gained = (losses[0] - losses[100]) / (losses[0] - losses[-1])
walked = lengths[100] / lengths[-1]
print(f"the first 100 steps gain {gained:.1%} of all that is gained, on {walked:.0%} of the way")
print(f"the other 2,900 steps lower the loss from {losses[100]:.4f} to {losses[-1]:.4f}")
assert gained > 0.99

# %% [markdown]
# ## What you have seen
#
# * A regression network ends in a plain linear unit; its error signal is just *prediction minus truth*.
# * ReLU's derivative is a switch. The step written by hand and the engine's agree in all 33 numbers.
# * A ReLU network is a surface folded from flat pieces.
#
# **What to try.**
#
# * Leave out the standardisation. Which learning rate still works, and how many steps does it take?
# * Use 2 hidden units, then 64, and count the corners in the lines of equal BMI.
# * Replace ReLU by tanh. What happens to the corners?
# * Start from `seed=0` to `9`. Are there starts from which units never go on (*dead units*)? Count them with
#   `(model[0](X).data > 0).any(axis=0)`.
# * Ask for a person of 1.20 m. The formula goes on; does the network?
