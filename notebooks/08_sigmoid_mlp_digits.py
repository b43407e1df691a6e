# %% [markdown]
# # Handwritten digits with sigmoid layers
#
# The classic multilayer perceptron: 784 pixels, 50 hidden units, 10 outputs, every unit a sigmoid. First on one single
# image, with every intermediate number worked by hand; then on 8,000 images of MNIST. A network written in plain NumPy
# runs beside it, and both must give the same losses.
#
# You need: the chain rule and matrix products. [The tape by hand](01_the_tape_by_hand.py) is a good beginning.

# %%
import matplotlib.pyplot as plt
import numpy as np

import tinygrad_mlp as tg
from tinygrad_mlp import nn, optim, viz
from tinygrad_mlp.datasets import load_digits, mnist, one_hot
from tinygrad_mlp.train import fit
from tinygrad_mlp.viz.style import tidy

# %% [markdown]
# ## 1. One image, every number by hand
#
# A small image to begin with: 8×8 pixels, values from 0 (paper) to 16 (ink), so 64 inputs. Four hidden units are enough
# to see the pattern. For each layer we write
#
# * $z = W x + b$, the weighted sum of what comes in (*pre-activation*),
# * $a = \sigma(z) = 1 / (1 + e^{-z})$, what the unit sends on (*activation*),
# * $\delta = \partial L / \partial z$, how the loss reacts to a change of $z$ (the *error signal*).
#
# The target is *one-hot*: a 1 at the digit shown, 0 elsewhere. The loss is the mean squared error over the ten outputs.

# %%
digits = load_digits()
pixels, digit = digits.data[7].astype(np.float64) / 16, int(digits.target[7])
target = one_hot(digit, 10, dtype=np.float64)

small = nn.Sequential(nn.Linear(64, 4, seed=1), nn.Sigmoid(), nn.Linear(4, 10, seed=2), nn.Sigmoid()).double()
W1, b1 = small[0].weight.data, small[0].bias.data
W2, b2 = small[2].weight.data, small[2].bias.data


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


# %% [markdown]
# Forward, from the pixels to the loss:

# %%
z1 = W1 @ pixels + b1
a1 = sigmoid(z1)
z2 = W2 @ a1 + b2
a2 = sigmoid(z2)
loss = np.mean((a2 - target) ** 2)

# %% [markdown]
# Backward, from the loss to the first layer. The derivative of the sigmoid is $a(1 - a)$:
#
# $$\delta_2 = \tfrac{2}{10}\,(a_2 - t) \odot a_2 (1 - a_2), \qquad
#   \delta_1 = (W_2^{\mathsf T} \delta_2) \odot a_1 (1 - a_1)$$
#
# and for the weights: each weight's gradient is the error signal behind it times the activation in front of it.
#
# $$\frac{\partial L}{\partial W_2} = \delta_2\, a_1^{\mathsf T}, \quad
#   \frac{\partial L}{\partial b_2} = \delta_2, \qquad
#   \frac{\partial L}{\partial W_1} = \delta_1\, x^{\mathsf T}, \quad
#   \frac{\partial L}{\partial b_1} = \delta_1$$

# %%
delta2 = 2 / 10 * (a2 - target) * a2 * (1 - a2)
delta1 = (W2.T @ delta2) * a1 * (1 - a1)

# %% [markdown]
# Now the engine. It is asked for the gradient of the loss by $z_1$ and $z_2$, in the middle of the network.

# %%
engine_z1 = small[0](tg.Tensor(pixels))
engine_a1 = small[1](engine_z1)
engine_z2 = small[2](engine_a1)
engine_a2 = small[3](engine_z2)
engine_loss = nn.functional.mse_loss(engine_a2, target)
engine_delta1, engine_delta2 = tg.autograd.grad(engine_loss, [engine_z1, engine_z2], retain_graph=True)
engine_loss.backward()

print(f"the digit is a {digit}; loss by hand {loss:.12f}, engine {engine_loss.item():.12f}\n")
print("hidden unit         z         a      delta")
for unit in range(4):
    print(f"{unit:11d} {z1[unit]:9.4f} {a1[unit]:9.4f} {delta1[unit]:10.6f}")
print("\noutput              z         a     target      delta")
for unit in range(10):
    print(f"{unit:6d}      {z2[unit]:9.4f} {a2[unit]:9.4f} {target[unit]:10.0f} {delta2[unit]:10.6f}")

# %% [markdown]
# Every number, all 64·4 + 4 + 4·10 + 10 = 310 gradients included, agrees to twelve digits:

# %%
pairs = {
    "z1": (engine_z1.data, z1),
    "a1": (engine_a1.data, a1),
    "z2": (engine_z2.data, z2),
    "a2": (engine_a2.data, a2),
    "delta2": (engine_delta2.data, delta2),
    "delta1": (engine_delta1.data, delta1),
    "dL/dW2": (small[2].weight.grad.data, np.outer(delta2, a1)),
    "dL/db2": (small[2].bias.grad.data, delta2),
    "dL/dW1": (small[0].weight.grad.data, np.outer(delta1, pixels)),
    "dL/db1": (small[0].bias.grad.data, delta1),
}
for name, (ours, hand) in pairs.items():
    print(f"{name:7s} {ours.size:3d} numbers, largest difference {np.abs(ours - hand).max():.0e}")
    np.testing.assert_allclose(ours, hand, rtol=1e-12, atol=1e-15)

# %% [markdown]
# The same as a picture. The gradient of the first layer's weights is the image itself, times $\delta$ of the unit:
# purple is positive, orange negative. Where the paper is white, nothing is learnt from this image.

# %%
largest = np.abs(small[0].weight.grad.data).max()
figure, axes = plt.subplots(1, 5, figsize=(11, 2.6), layout="constrained")
axes[0].imshow(pixels.reshape(8, 8), cmap="gray_r")
axes[0].set_title(f"input $x$: a {digit}")
for unit, ax in enumerate(axes[1:]):
    ax.imshow(small[0].weight.grad.data[unit].reshape(8, 8), cmap="PuOr", vmin=-largest, vmax=largest)
    ax.set_title(f"$\\partial L/\\partial W_1$, unit {unit}\n$\\delta$ = {delta1[unit]:+.4f}")
for ax in axes:
    ax.set_axis_off()
plt.show()

# %% [markdown]
# ## 2. Eight thousand images
#
# MNIST: scanned digits of 28×28 pixels. An *epoch* is one pass over all training images; a *mini-batch* is the handful
# of images from which one gradient is averaged. This is the network of the lecture, 784-50-10, with mean squared error
# and plain gradient descent.
#
# The learning rate looks huge. It is not: the loss is a mean over ten outputs, so its gradient is ten times smaller
# than that of the sum, and the sigmoid's slope, at most 1/4, shrinks it twice more.

# %%
(x_train, y_train), (x_test, y_test) = mnist.load_data()
x_train, y_train = x_train[:8000], y_train[:8000]
x_test, y_test = x_test[:2000], y_test[:2000]
X_train, X_test = (x.reshape(-1, 784).astype(np.float32) / 255 for x in (x_train, x_test))
T_train, T_test = one_hot(y_train, 10), one_hot(y_test, 10)

EPOCHS, BATCH, RATE = 15, 32, 10.0


def lecture_network():
    return nn.Sequential(nn.Linear(784, 50, seed=0), nn.Sigmoid(), nn.Linear(50, 10, seed=1), nn.Sigmoid())


model = lecture_network()
history = fit(
    model,
    X_train,
    T_train,
    epochs=EPOCHS,
    batch_size=BATCH,
    loss="mse",
    optimizer=optim.SGD(model.parameters(), lr=RATE),
    metrics=["accuracy"],
    validation_data=(X_test, T_test),
    seed=0,
    verbose=0,
)
for epoch in (0, 1, 4, 9, 14):
    train, test = history.history["accuracy"][epoch], history.history["val_accuracy"][epoch]
    print(f"epoch {epoch + 1:2d}: training accuracy {train:.1%}, test accuracy {test:.1%}")

# %% [markdown]
# The answer is the output with the largest activation (*argmax*). In the curves *validation* stands for the 2,000 test
# images, which are looked at after each epoch and never trained on.

# %%
outputs = model(X_test).data
answers = outputs.argmax(axis=1)
accuracy = (answers == y_test).mean()
print(f"{accuracy:.1%} of the {len(y_test):,} test images are read correctly")
assert accuracy > 0.93
assert history.history["accuracy"][-1] > history.history["accuracy"][0]

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
viz.plot_curve(history.history, "loss", ax=left)
viz.plot_curve(history.history, "accuracy", ax=right)
tidy(left, "Mean squared error falls", "epoch")
tidy(right, "Accuracy rises", "epoch")
plt.show()

# %% [markdown]
# ## 3. The same network in plain NumPy
#
# No engine, no tape: the formulas of section 1 with a mini-batch in place of one image. It starts from the same weights
# and takes the images in the same order, so its loss must follow the engine's.

# %%
from tinygrad_mlp.data import DataLoader

start = lecture_network()
V1, c1 = start[0].weight.data.copy(), start[0].bias.data.copy()
V2, c2 = start[2].weight.data.copy(), start[2].bias.data.copy()

losses_by_hand = []
loader = DataLoader((X_train, T_train), batch_size=BATCH, shuffle=True, seed=0)
for _ in range(3):
    total = 0.0
    for x, t in loader:
        a1 = sigmoid(x @ V1.T + c1)
        a2 = sigmoid(a1 @ V2.T + c2)
        total += np.mean((a2 - t) ** 2) * len(x)
        delta2 = 2 / t.size * (a2 - t) * a2 * (1 - a2)
        delta1 = (delta2 @ V2) * a1 * (1 - a1)
        V2 -= RATE * delta2.T @ a1
        c2 -= RATE * delta2.sum(axis=0)
        V1 -= RATE * delta1.T @ x
        c1 -= RATE * delta1.sum(axis=0)
    losses_by_hand.append(total / len(X_train))

for epoch, (hand, ours) in enumerate(zip(losses_by_hand, history.history["loss"], strict=False), 1):
    print(f"epoch {epoch}: loss by hand {hand:.6f}, engine {ours:.6f}")
np.testing.assert_allclose(losses_by_hand, history.history["loss"][:3], rtol=1e-4)

# %% [markdown]
# ## 4. The small images again
#
# The same kind of network, 64-50-10, on the 8×8 digits: 1,200 to learn from, 597 to be tested on.

# %%
from tinygrad_mlp.datasets import train_test_split

x_learn, x_judge, y_learn, y_judge = train_test_split(
    digits.data / 16, digits.target, test_size=597, stratify=digits.target, seed=0
)
little = nn.Sequential(nn.Linear(64, 50, seed=0), nn.Sigmoid(), nn.Linear(50, 10, seed=1), nn.Sigmoid())
little_history = fit(
    little,
    x_learn,
    one_hot(y_learn, 10),
    epochs=30,
    batch_size=BATCH,
    loss="mse",
    optimizer=optim.SGD(little.parameters(), lr=RATE),
    metrics=["accuracy"],
    validation_data=(x_judge, one_hot(y_judge, 10)),
    seed=0,
    verbose=0,
).history
for epoch in (0, 4, 9, 29):
    train, test = little_history["accuracy"][epoch], little_history["val_accuracy"][epoch]
    print(f"epoch {epoch + 1:2d}: training accuracy {train:.1%}, test accuracy {test:.1%}")
assert little_history["val_accuracy"][-1] > 0.94

# %% [markdown]
# ## 5. What the hidden units look for
#
# Each hidden unit has 784 weights, one for each pixel, so its weights are an image. Purple: ink here excites the unit.
# Orange: ink here silences it. White: it does not care.

# %%
viz.plot_weights(model[0].weight, (28, 28), columns=10, limit=20)

# %% [markdown]
# Much of that is noise: the random numbers that training began with. They stay wherever no gradient moves them, above
# all at the border, where there is hardly ever ink. *Weight decay* lets every weight shrink a little in each step,
# unless the data keep it up. What is left is what the unit has learnt: strokes, bows, and an edge next to its opposite.

# %%
decayed = lecture_network()
fit(
    decayed,
    X_train,
    T_train,
    epochs=EPOCHS,
    batch_size=BATCH,
    loss="mse",
    optimizer=optim.SGD(decayed.parameters(), lr=RATE, weight_decay=5e-5),
    seed=0,
    verbose=0,
)
decayed_accuracy = (decayed(X_test).data.argmax(axis=1) == y_test).mean()
print(f"with weight decay: {decayed_accuracy:.1%} of the test images are read correctly")
assert decayed_accuracy > 0.92

viz.plot_weights(decayed[0].weight, (28, 28), columns=10, limit=20)

# %% [markdown]
# How much of it is noise can be measured at the border, the outermost ring of pixels:

# %%
border = np.ones((28, 28), bool)
border[1:-1, 1:-1] = False
for name, network in {"as drawn": lecture_network(), "trained": model, "with weight decay": decayed}.items():
    print(f"{name:18s} typical weight at the border {network[0].weight.data[:, border.ravel()].std():.4f}")
assert decayed[0].weight.data[:, border.ravel()].std() < 0.5 * model[0].weight.data[:, border.ravel()].std()

# %% [markdown]
# ## 6. Where it is wrong
#
# The mistakes of which it was surest. The ten sigmoid outputs need not add up to 1, so we divide them by their sum to
# read them as shares.

# %%
shares = outputs / outputs.sum(axis=1, keepdims=True)
viz.plot_mistakes(x_test, y_test, shares, limit=8)

# %% [markdown]
# Which digits are taken for which: rows are the truth, columns the answers.

# %%
counts = viz.confusion_matrix(y_test, answers)
confused = np.triu(counts + counts.T, 1)
pairs = [divmod(int(place), 10) for place in np.argsort(-confused, axis=None)[:2]]
title = ", ".join(f"{one} and {other}" for one, other in pairs)

figure, ax = plt.subplots(figsize=(5.2, 5.2), layout="constrained")
viz.plot_confusion_matrix(y_test, answers, ax=ax)
tidy(ax, f"{title} are confused most often", "predicted", "true")
ax.spines[:].set_visible(False)
plt.show()

# %% [markdown]
# ## What you have seen
#
# * Backpropagation with sigmoid layers is two lines per layer: the error signal, and its product with what came in.
# * The engine's numbers are those of the pencil, for one image and for thousands.
# * Weights of a first layer are pictures.
#
# **What to try.**
#
# * Lower the learning rate to 0.1 and look at the first epochs: sigmoids and squared error learn slowly.
# * Leave out the last `nn.Sigmoid()`, and train with `loss="cross_entropy"`, the targets `y_train.astype(int)` and a
#   rate of 0.5. It learns faster: $\delta_2$ is then $p - t$, without the factor $a(1-a)$, which goes to 0 where a unit
#   is sure, rightly or wrongly.
# * Use 5 hidden units, then 200. How do the weight images change?
# * Start with all weights equal (`nn.init.constant_`). Every hidden unit then gets the same gradient, for ever.
