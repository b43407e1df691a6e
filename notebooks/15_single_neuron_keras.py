# %% [markdown]
# # One neuron, in Keras' words
#
# The smallest network there is: two inputs, one output, **three numbers**. The program is the one that Keras' own
# lectures use; only its import lines are changed. You will see what `compile`, `fit`, `evaluate` and `predict` do with
# the three numbers, and that nothing else is inside.

# %%
import matplotlib.pyplot as plt
import numpy as np

from tinygrad_mlp import viz
from tinygrad_mlp.datasets import make_gauss, train_test_split
from tinygrad_mlp.keras import Sequential
from tinygrad_mlp.keras.callbacks import LambdaCallback
from tinygrad_mlp.keras.layers import Dense, Flatten
from tinygrad_mlp.keras.utils import set_random_seed
from tinygrad_mlp.viz.style import COLORS, tidy

# %% [markdown]
# ## 1. The data
#
# Two clouds of points that overlap a little: nobody can tell all of them apart. A fifth of the points is put aside; the
# neuron never sees them while it learns.

# %%
X, y = make_gauss(200, noise=0.6, centers=[[0.5, 1.9], [2.0, 0.6]], seed=3)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, seed=0)
X_train.shape, X_test.shape

# %% [markdown]
# ## 2. The model
#
# `Flatten` would make one row of numbers out of an image; here a sample is a row already, so it does nothing.
# `Dense(1)` is the neuron: it multiplies each input by a *weight*, adds a *bias*, and squeezes the sum $z$ into a
# probability with the *sigmoid* function:
#
# $$z = w_1 x_1 + w_2 x_2 + b, \qquad \hat y = \sigma(z) = \frac{1}{1 + e^{-z}}$$

# %%
set_random_seed(5)

model = Sequential([Flatten(input_shape=(2,)), Dense(1, activation="sigmoid")])
model.summary()
assert model.count_params() == 3

# %% [markdown]
# The summary counts the three numbers: two weights and a bias. The weights begin as random draws, the bias at 0.

# %%
kernel, bias = model.get_weights()
print("weights", kernel.ravel(), " bias", bias)

# %% [markdown]
# ## 3. compile, fit
#
# * The **loss** says how wrong the probabilities are: $-\ln \hat y$ for a point of class 1, $-\ln(1 - \hat y)$ for one
#   of class 0, averaged. Sure and wrong costs most.
# * The **optimizer** `sgd` moves each number a little against its gradient, learning rate 0.01.
# * A **metric** is only for us to read. Accuracy is the share of right answers.
#
# One *epoch* shows every training point once, in *batches* of ten. After each epoch we write down the three numbers.

# %%
path = [np.append(kernel, bias)]


def note_weights(*_):
    path.append(np.concatenate([one.ravel() for one in model.get_weights()]))


model.compile(optimizer="sgd", loss="BinaryCrossentropy", metrics=["accuracy"])
history = model.fit(
    X_train, y_train, epochs=50, batch_size=10, verbose=0, callbacks=[LambdaCallback(on_epoch_end=note_weights)]
)
path = np.array(path)

figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.4), layout="constrained")
viz.plot_curve(history.history, "loss", ax=axes[0])
viz.plot_curve(history.history, "accuracy", ax=axes[1])
plt.show()

# %% [markdown]
# ## 4. evaluate, predict
#
# Now the points that were put aside.

# %%
loss, accuracy = model.evaluate(X_test, y_test, verbose=0)
print(f"loss {loss:.3f}, {accuracy:.1%} of {len(X_test)} unseen points right")
assert accuracy > 0.9

probabilities = model.predict(X_test)
probabilities[:3].ravel(), y_test[:3]

# %% [markdown]
# Is there anything in `predict` beside the formula? Three numbers and one line of NumPy give the same answers:

# %%
w1, w2, b = path[-1]
z = w1 * X_test[:, 0] + w2 * X_test[:, 1] + b
by_hand = 1 / (1 + np.exp(-z))

assert np.allclose(by_hand, probabilities.ravel(), atol=1e-6)
assert np.isclose(accuracy, np.mean((by_hand > 0.5) == y_test))
assert np.isclose(loss, -np.mean(np.log(np.where(y_test == 1, by_hand, 1 - by_hand))), atol=1e-5)

# %% [markdown]
# ## 5. What a neuron draws
#
# Where the neuron is undecided, $\hat y = 0.5$ and $z = 0$. That is the equation of a straight line, with slope
# $-w_1/w_2$. The broken lines show where it was before: training turns it and
# shifts it.
#
# On the right the same unseen points by their $z$: the neuron looks at nothing else.

# %%
blue, orange = COLORS[:2]
figure, (plane, curve) = plt.subplots(1, 2, figsize=(10, 4.4), layout="constrained")

low, high = X.min(axis=0) - 0.3, X.max(axis=0) + 0.3
edges = (low[0], high[0], low[1], high[1])
across, up = np.meshgrid(np.linspace(low[0], high[0], 200), np.linspace(low[1], high[1], 200))
asked = np.column_stack([across.ravel(), up.ravel()])
shade = model.predict(asked).reshape(across.shape)
plane.imshow(shade, origin="lower", extent=edges, aspect="auto", cmap="RdBu_r", alpha=0.45, vmin=0, vmax=1)
for epoch, dashes, width in ((0, ":", 1.5), (6, "--", 1.5), (50, "-", 2.2)):
    first, second, shift = path[epoch]
    line = -(first * low[0] + shift) / second, -(first * high[0] + shift) / second
    plane.plot([low[0], high[0]], line, dashes, color="black", linewidth=width, label=f"after {epoch} epochs")
for number, color, marker in ((0, blue, "o"), (1, orange, "s")):
    plane.scatter(*X_test[y_test == number].T, s=26, color=color, marker=marker, edgecolor="white", linewidth=0.5)
plane.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
plane.legend(loc="lower left", fontsize=9)
tidy(plane, "The line where z = 0", "$x_1$", "$x_2$")

reach = np.linspace(z.min() - 1, z.max() + 1, 200)
curve.plot(reach, 1 / (1 + np.exp(-reach)), color="0.4")
for number, color, marker in ((0, blue, "o"), (1, orange, "s")):
    here = y_test == number
    curve.scatter(z[here], by_hand[here], s=26, color=color, marker=marker, label=f"class {number}", zorder=3)
curve.axvline(0, color="black", linewidth=0.9)
curve.legend(frameon=False)
tidy(curve, "The sigmoid of z", "$z = w_1x_1 + w_2x_2 + b$", "probability of class 1", grid=True)
plt.show()

# %% [markdown]
# ## 6. The landscape of the loss
#
# With so few numbers we can still *see* what training does. For every pair $(w_1, w_2)$, and the last bias, the picture
# shows the loss on the training points. `fit` walked downhill from the start: fast where it is steep, slowly where it
# is flat. After fifty epochs it has not arrived; the cross is the lowest point of the picture.


# %%
def loss_at(weights, shift):
    """The loss on the training points, for weights (n, 2) and a bias; in this form exp never overflows."""
    scores = weights @ X_train.T + shift
    return (np.logaddexp(0, scores) - scores * y_train).mean(axis=1)


assert np.isclose(loss_at(path[-1:, :2], path[-1, 2])[0], model.evaluate(X_train, y_train, verbose=0)[0], atol=1e-5)

first, second = np.meshgrid(np.linspace(-2, 6, 120), np.linspace(-6, 2, 120))
height = loss_at(np.column_stack([first.ravel(), second.ravel()]), path[-1, 2]).reshape(first.shape)
lowest = np.unravel_index(height.argmin(), height.shape)

figure, axes = plt.subplots(figsize=(6.4, 5), layout="constrained")
shown = {"origin": "lower", "extent": (-2, 6, -6, 2), "cmap": "Greys_r"}
axes.imshow(np.log(height), **shown, vmin=np.log(height.min()) - 1.5)
axes.contour(
    first, second, height, levels=np.geomspace(height.min() * 1.02, height.max(), 14), colors="white", alpha=0.4
)
axes.plot(path[:, 0], path[:, 1], "-o", color=COLORS[5], markersize=3, label="one point per epoch")
axes.plot(first[lowest], second[lowest], "x", color=COLORS[4], markersize=10, markeredgewidth=3, label="lowest")
axes.annotate("start", path[0, :2], xytext=(6, 6), textcoords="offset points")
tidy(axes, "Fifty epochs downhill", "$w_1$", "$w_2$")
axes.legend(loc="upper right")
plt.show()

losses = loss_at(path[:, :2], path[-1, 2])
assert height.min() < losses[-1] < losses[0]

# %% [markdown]
# ## What to try
#
# * `compile(optimizer=SGD(learning_rate=1.0))` with `from tinygrad_mlp.keras.optimizers import SGD`: how far does the
#   path get in fifty epochs? And with `learning_rate=30`?
# * `optimizer="adam"`, `"rmsprop"`: the same landscape, other paths.
# * Move the clouds apart (`noise=0.2`). Now a line separates all points, and the lowest point of the landscape is
#   infinitely far away: watch the weights grow.
# * `make_xor(200, noise=0.2, seed=0)` instead of the clouds: no line will do, so one neuron never learns it.
# * Put `Dense(8, activation="tanh")` in front of the neuron, and colour the plane again.
