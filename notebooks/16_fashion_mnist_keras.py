# %% [markdown]
# # Fashion-MNIST, in Keras' words
#
# 70,000 small grey pictures of clothes, ten classes. A network of three layers learns to name them from the pictures
# alone. You will see it learn, what it is sure of and what not, which garments it confuses, and what its first layer
# looks for. Only the import lines differ from a program for Keras.

# %%
import matplotlib.pyplot as plt
import numpy as np

from tinygrad_mlp import viz
from tinygrad_mlp.datasets.fashion_mnist import class_names
from tinygrad_mlp.keras import Sequential
from tinygrad_mlp.keras.datasets import fashion_mnist
from tinygrad_mlp.keras.layers import Dense, Flatten
from tinygrad_mlp.keras.utils import set_random_seed
from tinygrad_mlp.viz.style import COLORS, tidy

# %% [markdown]
# ## 1. The data
#
# A picture is 28 x 28 numbers from 0 (white) to 255 (black); divided by 255 they are between 0 and 1. The first 5,000
# training pictures become the *validation* set: the network does not learn from them, and after every epoch they tell
# how it does on pictures it has not seen. The 10,000 test pictures wait for the very end.

# %%
(X_full, y_full), (X_test, y_test) = fashion_mnist.load_data()
X_full, X_test = X_full / np.float32(255), X_test / np.float32(255)
X_valid, X_train = X_full[:5000], X_full[5000:]
y_valid, y_train = y_full[:5000], y_full[5000:]

figure, axes = plt.subplots(3, 10, figsize=(10, 3.4), layout="constrained")
for kind, column in enumerate(axes.T):
    column[0].set_title(class_names[kind], fontsize=9)
    for cell, picture in zip(column, X_train[y_train == kind], strict=False):
        cell.imshow(picture, cmap="gray_r")
        cell.set_axis_off()
plt.show()

# %% [markdown]
# ## 2. The model
#
# `Flatten` lays the 28 rows of a picture end to end: 784 numbers. Two hidden layers with ReLU follow, then ten outputs.
# *Softmax* turns these into probabilities: ten positive numbers whose sum is 1.

# %%
set_random_seed(42)

model = Sequential(
    [
        Flatten(input_shape=(28, 28)),
        Dense(300, activation="relu"),
        Dense(100, activation="relu"),
        Dense(10, activation="softmax"),
    ]
)
model.summary()

# %% [markdown]
# Where do the counts come from? Every unit has one weight per input, and a bias:

# %%
assert [layer.count_params() for layer in model.layers] == [
    0,
    784 * 300 + 300,  # 235,500
    300 * 100 + 100,  # 30,100
    100 * 10 + 10,  # 1,010
]
assert model.count_params() == 266_610

first_kernel = model.layers[1].get_weights()[0]  # a copy, to compare with later

# %% [markdown]
# ## 3. Training
#
# The labels are class numbers, so the loss is called *sparse* categorical cross-entropy: $-\ln p$, where $p$ is the
# probability that the network gave to the right class. Plain gradient descent, learning rate 0.01, batches of 32.

# %%
model.compile(loss="sparse_categorical_crossentropy", optimizer="sgd", metrics=["accuracy"])
history = model.fit(X_train, y_train, epochs=5, batch_size=32, validation_data=(X_valid, y_valid), verbose=2)

# %%
figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.4), layout="constrained")
viz.plot_curve(history.history, "loss", ax=axes[0])
viz.plot_curve(history.history, "accuracy", ax=axes[1])
plt.show()

assert history.history["loss"] == sorted(history.history["loss"], reverse=True)
assert history.history["val_accuracy"][-1] > 0.84

# %% [markdown]
# ## 4. The test
#
# Pure chance is right once in ten. Five epochs give about 0.85, thirty give about 0.88.

# %%
loss, accuracy = model.evaluate(X_test, y_test, verbose=0)
print(f"test loss {loss:.3f}, test accuracy {accuracy:.1%}")
assert accuracy > 0.83

# %% [markdown]
# ## 5. Three garments and what the network thinks
#
# `predict` gives ten probabilities per picture. Their largest is the answer; the others say what else it might have
# been.

# %%
probabilities = model.predict(X_test)
answers = probabilities.argmax(axis=1)
assert probabilities.shape == (10_000, 10)
assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)
assert np.isclose(np.mean(answers == y_test), accuracy)


def garments_with_bars(samples):
    """Draw each garment beside a bar per class: green the true class, vermilion a wrong answer, grey the rest."""
    size = (7, 2.5 * len(samples))
    _, rows = plt.subplots(len(samples), 2, figsize=size, width_ratios=[1, 1.7], layout="constrained")
    for (picture, bars), sample in zip(rows, samples, strict=True):
        truth, answer, shares = y_test[sample], answers[sample], probabilities[sample]
        picture.imshow(X_test[sample], cmap="gray_r")
        picture.set_axis_off()
        colors = ["0.75"] * 10
        colors[answer] = COLORS[1]
        colors[truth] = COLORS[2]
        bars.barh(class_names, shares, color=colors)
        for place in {truth, answer}:
            bars.text(shares[place] + 0.02, place, f"{shares[place]:.0%}", va="center", fontsize=9)
        bars.set(xlim=(0, 1.15), xticks=[0, 0.5, 1])
        bars.invert_yaxis()
        called = "" if truth == answer else f", taken for: {class_names[answer]}"
        tidy(bars, class_names[truth] + called)
    plt.show()


garments_with_bars([0, 1, 2])

# %% [markdown]
# ## 6. Mistakes
#
# Of the wrong answers, these are the ones that the network was *surest* about. Look at them before you blame it.

# %%
viz.plot_mistakes(X_test, y_test, probabilities, class_names)

# %% [markdown]
# There is another kind of mistake: the network was torn, and the right class came a close second. One of the first kind
# and three of the second, with all their bars:

# %%
wrong = np.flatnonzero(answers != y_test)
largest = np.sort(probabilities[wrong], axis=1)
surest = wrong[largest[:, -1].argmax()]
torn = wrong[(largest[:, -1] - probabilities[wrong, y_test[wrong]]).argsort()]
garments_with_bars([surest, *torn[:3]])

# %% [markdown]
# ## 7. Who is taken for whom
#
# The *confusion matrix* counts the pairs: the row is what a garment is, the column what it was called. Right answers
# are on the diagonal. Shirts are the hard case: they are called T-shirts, pullovers and coats.

# %%
viz.plot_confusion_matrix(y_test, answers, class_names).figure

# %%
counts = viz.confusion_matrix(y_test, answers, 10)
right = counts.diagonal() / counts.sum(axis=1)
for place in right.argsort():
    print(f"{class_names[place]:12s} {right[place]:.0%} right")

assert class_names[right.argmin()] == "Shirt"
assert right[class_names.index("Trouser")] > 0.9

# %% [markdown]
# ## 8. What the first layer looks for
#
# A unit of the first hidden layer has one weight per pixel, so its weights are a picture. They began as random draws,
# and after five epochs most of what one would see is still that noise. So we draw the *difference* between after and
# before: what was learned. Ink on a purple pixel switches the unit on more than it did at first, ink on an orange one
# less. The 32 units that learned most:

# %%
learned = (model.layers[1].get_weights()[0] - first_kernel).T  # Keras has (inputs, units); a row per unit is a picture
most = np.linalg.norm(learned, axis=1).argsort()[::-1]
viz.plot_weights(learned[most], (28, 28))

# %% [markdown]
# ## What to try
#
# * `epochs=30`, as in the lecture: test accuracy about 0.88. Where do the two curves of the loss part?
# * `optimizer="adam"`, ten epochs: faster on the training pictures, and then? Watch `val_loss`.
# * Leave out the hidden layers. How far does `Flatten` and one `Dense(10)` get?
# * Do not divide by 255. What does the loss do, and why?
# * Turn the test pictures upside down, `X_test[:, ::-1]`. Which garments does the network still recognise?
