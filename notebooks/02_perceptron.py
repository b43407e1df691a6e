# %% [markdown]
# # The perceptron
#
# One unit that answers yes or no, and the rule by which it learns from its mistakes. You will see it tell bananas from
# apples, then one kind of iris from the others, count how many mistakes it may make at most, and meet the four points
# that it will never get right.
#
# You need: Python, what a vector is, and about fifteen minutes.

# %%
import matplotlib.pyplot as plt
import numpy as np

from tinygrad_mlp.viz.style import COLORS, tidy

BLUE, ORANGE, GREEN = COLORS[:3]  # after Okabe and Ito: told apart by all eyes

# %% [markdown]
# ## 1. A unit that answers yes or no
#
# A *threshold logic unit* weighs its inputs, adds them up, adds a constant, the *bias* $b$, and answers 1 (yes) where
# the sum is not negative, else 0 (no):
#
# $$\hat y = \operatorname{step}(w_0 x_0 + w_1 x_1 + b)$$
#
# Twelve fruits, two measurements each: the *hue* (0 red, 1 yellow) and the *elongation* (length divided by width). One
# apple is yellower than some bananas and another is longer than one of them, so neither measurement alone is enough. We
# *standardise* both: subtract the mean and divide by the standard deviation, so that they have one scale.

# %%
fruits = np.array([
    [0.62, 3.0], [0.32, 1.9], [1.00, 2.7], [0.60, 2.0], [0.45, 1.4], [0.74, 1.7],
    [0.70, 2.8], [0.62, 1.1], [0.30, 1.4], [0.52, 2.2], [0.96, 1.8], [0.25, 1.5],
])  # fmt: skip
is_banana = np.array([1, 0, 1, 1, 0, 0, 1, 0, 0, 1, 1, 0])
looks = (fruits - fruits.mean(axis=0)) / fruits.std(axis=0)

# %% [markdown]
# The bias is a weight too: of one more input, which is always 1. With such *augmented* vectors, $\tilde x = (x, 1)$ and
# $\tilde w = (w, b)$, the unit is one dot product.


# %%
def augmented(x):
    """The inputs, and behind them a 1 that the bias weighs."""
    return np.column_stack([x, np.ones(len(x))])


def step(z):
    """1 where z is not negative, else 0."""
    return (z >= 0).astype(int)


# %% [markdown]
# ## 2. The rule: learn from mistakes
#
# Rosenblatt's rule (1958) takes one sample after the other. With the target $y$ and the *learning rate* $\eta$,
#
# $$\tilde w \leftarrow \tilde w + \eta\,(y - \hat y)\,\tilde x$$
#
# A right answer changes nothing, because $y - \hat y = 0$. A missed banana adds its measurements to the weights, a
# false alarm subtracts them. One *epoch* is one pass through all samples; we stop after an epoch without a mistake.


# %%
def learn(x, y, eta=1.0, epochs=100):
    """The weights after each mistake, beginning with zeros, and the number of mistakes in each epoch."""
    weights, mistakes = [np.zeros(x.shape[1] + 1)], []
    for _ in range(epochs):
        mistakes.append(0)
        for sample, target in zip(augmented(x), y, strict=True):
            error = target - step(weights[-1] @ sample)
            if error:
                weights.append(weights[-1] + eta * error * sample)
                mistakes[-1] += 1
        if mistakes[-1] == 0:
            break
    return np.array(weights), mistakes


history, mistakes = learn(looks, is_banana)
w0, w1, b = history[-1]
print(f"mistakes in each epoch: {mistakes}")
print(f"hue weighs {w0:.2f}, elongation weighs {w1:.2f}, bias {b:.2f}")
assert (step(augmented(looks) @ history[-1]) == is_banana).all()

# %% [markdown]
# Where the sum is 0 the answer changes. That is a line, $w_0 x_0 + w_1 x_1 + b = 0$, or
#
# $$x_1 = -\frac{w_0}{w_1}\,x_0 - \frac{b}{w_1}$$
#
# so its slope is $-w_0/w_1$ and it meets the axis at $-b/w_1$. Here is that line after each correction. The ring is the
# fruit that was wrong and caused it; the side where the unit answers "banana" is shaded.


# %%
def draw_half_plane(ax, weights, color, alpha=0.15):
    """The line of a unit, and its yes side shaded, within the limits that the axes have."""
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    across, up = np.meshgrid(np.linspace(left, right, 200), np.linspace(low, high, 200))
    total = weights[0] * across + weights[1] * up + weights[2]
    if weights[1]:  # the line by its slope and its intercept
        ax.axline((0, -weights[2] / weights[1]), slope=-weights[0] / weights[1], color=color, linewidth=1.8)
    elif weights[0]:
        ax.axvline(-weights[2] / weights[0], color=color, linewidth=1.8)
    ax.contourf(across, up, total, levels=[0, np.inf], colors=[color], alpha=alpha)
    ax.set(xlim=(left, right), ylim=(low, high))


def draw_fruits(ax):
    ax.set(xlim=(-2.2, 2.2), ylim=(-2.2, 2.2))
    ax.scatter(*looks[is_banana == 1].T, marker="D", color=COLORS[5], edgecolor="0.3", s=45, label="banana", zorder=3)
    ax.scatter(*looks[is_banana == 0].T, marker="o", color=ORANGE, edgecolor="0.3", s=45, label="apple", zorder=3)


corrections = len(history) - 1
steps = history[1:] - history[:-1]
columns = 4
rows = -(-corrections // columns)
figure, panels = plt.subplots(
    rows, columns, figsize=(11, 2.9 * rows), sharex=True, sharey=True, layout="constrained", squeeze=False
)
for place, ax in enumerate(panels.flat):
    if place >= corrections:
        ax.remove()
        continue
    draw_fruits(ax)
    draw_half_plane(ax, history[place + 1], BLUE)
    fruit = (
        steps[place] * steps[place][-1]
    )  # the correction is the fruit or minus the fruit; its last number says which
    caused = np.abs(augmented(looks) - fruit).sum(axis=1).argmin()
    assert np.allclose(augmented(looks)[caused], fruit)
    ax.scatter(*looks[caused], s=170, facecolor="none", edgecolor="black", linewidth=1.5, zorder=4)
    right = (step(augmented(looks) @ history[place + 1]) == is_banana).sum()
    up = "elongation, standardised" if place % columns == 0 else ""
    tidy(ax, f"correction {place + 1}: {right} of 12", "hue, standardised", up)
panels[0, 0].legend(fontsize=9, frameon=False, loc="upper left")
plt.show()

# %% [markdown]
# ## 3. Real flowers: setosa or not?
#
# Fisher's irises: 150 plants of three species. We look at the length and the width of a petal, and ask whether the
# plant is an *Iris setosa*. The plants are shuffled, 75 are learned from, and the other 75 are kept for the test. Both
# columns are standardised with the mean and the deviation of the 75 training plants: the test must not be looked at.
#
# The package has the rule as an estimator with scikit-learn's interface.

# %%
from tinygrad_mlp.datasets import load_iris
from tinygrad_mlp.sklearn import Perceptron

iris = load_iris()
order = np.random.default_rng(0).permutation(150)
petals, is_setosa = iris.data[order, 2:].astype(np.float64), (iris.target[order] == 0).astype(int)
mean, deviation = petals[:75].mean(axis=0), petals[:75].std(axis=0)
train_x, test_x = (petals[:75] - mean) / deviation, (petals[75:] - mean) / deviation
train_y, test_y = is_setosa[:75], is_setosa[75:]

model = Perceptron(random_state=0).fit(train_x, train_y)
accuracy = model.score(test_x, test_y)
print(f"training {model.score(train_x, train_y):.0%}, test {accuracy:.0%} right")
assert model.score(train_x, train_y) == accuracy == 1.0

# %% [markdown]
# Do not take our word for it. scikit-learn's own perceptron, shown the same flowers in the same order, has to end with
# the same three numbers:

# %%
from sklearn.linear_model import Perceptron as TheirPerceptron

theirs = TheirPerceptron(random_state=0).fit(train_x, train_y)
print("ours  ", model.coef_[0], model.intercept_)
print("theirs", theirs.coef_[0], theirs.intercept_)
assert (model.coef_ == theirs.coef_).all()
assert (model.intercept_ == theirs.intercept_).all()

# %%
unit = np.r_[model.coef_[0], model.intercept_]
slope, intercept = -unit[0] / unit[1], -unit[2] / unit[1]

figure, panels = plt.subplots(1, 2, figsize=(10, 4.2), sharex=True, sharey=True, layout="constrained")
for ax, x, y, name in zip(panels, (train_x, test_x), (train_y, test_y), ("learned from", "never seen"), strict=True):
    ax.set(xlim=(-2, 2), ylim=(-2, 2.2))
    draw_half_plane(ax, unit, BLUE)
    ax.scatter(*x[y == 1].T, color=BLUE, s=24, edgecolor="white", linewidth=0.5, label="setosa", zorder=3)
    ax.scatter(*x[y == 0].T, color=ORANGE, s=24, marker="s", edgecolor="white", linewidth=0.5, label="other", zorder=3)
    tidy(ax, f"75 irises {name}", "petal length, standardised", "petal width, standardised" if ax is panels[0] else "")
panels[0].legend(fontsize=10, frameon=False, loc="lower right")
panels[1].text(-1.1, 1.7, f"slope {slope:.2f}\nintercept {intercept:.2f}", fontsize=10, color=BLUE)
plt.show()

# %% [markdown]
# ## 4. How many mistakes can there be?
#
# Novikoff proved in 1962: if some plane through the origin of the augmented space keeps a distance of at least $\gamma$
# (the *margin*) from every sample, and no sample is longer than $R$, then the rule makes at most $(R/\gamma)^2$
# mistakes, in whatever order the samples come, and for however long. After that it is right for ever.
#
# The widest margin is what a *support vector machine* finds; we take it from scikit-learn. Then the rule learns the
# same flowers in 300 different orders, once in centimetres and once standardised.

# %%
from sklearn.svm import LinearSVC


def largest_number_of_mistakes(x, y):
    """Novikoff's bound, for the plane through the origin of the augmented space with the widest margin."""
    samples = augmented(x)
    widest = LinearSVC(C=1e6, fit_intercept=False, dual=True, max_iter=1_000_000, random_state=0).fit(samples, y)
    plane = widest.coef_[0] / np.linalg.norm(widest.coef_)
    assert ((samples @ plane > 0) == y).all()  # it does separate
    return (np.linalg.norm(samples, axis=1).max() / np.abs(samples @ plane).min()) ** 2


figure, panels = plt.subplots(1, 2, figsize=(10, 3.4), sharex=True, layout="constrained")
for ax, x, name in zip(panels, (petals[:75], train_x), ("in centimetres", "standardised"), strict=True):
    draws = np.random.default_rng(1)
    orders = [draws.permutation(75) for _ in range(300)]
    counts = [sum(learn(x[order], train_y[order], epochs=1000)[1]) for order in orders]
    bound = largest_number_of_mistakes(x, train_y)
    print(f"{name}: at most {bound:.0f} mistakes; in 300 orders {min(counts)} to {max(counts)}")
    assert max(counts) <= bound

    values, how_often = np.unique(counts, return_counts=True)
    ax.bar(values, how_often, color=BLUE, width=0.8)
    ax.text(
        0.98, 0.9, f"the theorem: at most {bound:.0f}", transform=ax.transAxes, ha="right", color=ORANGE, fontsize=11
    )
    tidy(ax, f"Petals {name}", "mistakes until all is right", "orders" if ax is panels[0] else "")
plt.show()

# %% [markdown]
# The bound speaks of the worst order, so it is generous. But it points to the right remedy: columns with one scale and
# mean 0 are learned with fewer mistakes.

# %% [markdown]
# ## 5. Several units: several labels
#
# Units side by side, all seeing the same inputs, are a *layer*. Each has its own weights, a row of the matrix $W$, and
# answers its own question: a sample then has several labels at once (*multilabel*). Two questions about the fruits: is
# it a banana, and is it yellow?

# %%
is_yellow = (fruits[:, 0] > 0.65).astype(int)
labels = np.column_stack([is_banana, is_yellow])

layer = np.zeros((2, 3))
for _ in range(400):
    for sample, target in zip(augmented(looks), labels, strict=True):
        layer += np.outer(target - step(layer @ sample), sample)  # the rule, for all units at once
answers = step(augmented(looks) @ layer.T)
assert (answers == labels).all()
np.column_stack([fruits, answers])

# %% [markdown]
# The units do not know of each other: each row is what its unit learns alone. Two lines cut the plane into four
# regions, one for each pair of answers.

# %%
for row, target in zip(layer, labels.T, strict=True):
    assert np.allclose(row, learn(looks, target, epochs=400)[0][-1])

figure, ax = plt.subplots(figsize=(6.4, 4.4), layout="constrained")
draw_fruits(ax)
for row, color in zip(layer, (BLUE, GREEN), strict=True):
    draw_half_plane(ax, row, color)
for across, up, text in (
    (1.5, 1.7, "banana, yellow"),
    (-1.2, 1.1, "banana, not yellow"),
    (1.5, -1.9, "yellow, no banana"),
    (-1.5, -1.9, "neither"),
):
    ax.text(across, up, text, ha="center", fontsize=10, color="0.25")
tidy(ax, "Two units, four regions", "hue, standardised", "elongation, standardised")
ax.legend(fontsize=10, frameon=False, loc="upper left")
plt.show()

# %% [markdown]
# ## 6. What it can never learn
#
# Three logical functions of two bits. *And* and *or* can be separated by a line. *Exclusive or*, "one of them but not
# both", cannot (Minsky and Papert, 1969): its ones and its zeros lie on the two diagonals of a square.

# %%
bits = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
tables = {"and": np.array([0, 0, 0, 1]), "or": np.array([0, 1, 1, 1]), "xor": np.array([0, 1, 1, 0])}
runs = {name: learn(bits, target, epochs=40) for name, target in tables.items()}

for name, (_, wrong) in runs.items():
    print(f"{name:3} mistakes in each epoch: {wrong[:12]}")
assert runs["and"][1][-1] == runs["or"][1][-1] == 0
assert min(runs["xor"][1]) > 0

# %% [markdown]
# Forty epochs are no proof that it never ends. This is: the inputs are whole numbers, so the weights are whole numbers,
# and what an epoch does depends on nothing but the weights it starts with. If the same weights come back at the end of
# an epoch, everything after that repeats.

# %%
seen = {}
weights = np.zeros(3)
for epoch in range(100):
    if tuple(weights) in seen:
        first = seen[tuple(weights)]
        break
    seen[tuple(weights)] = epoch
    for sample, target in zip(augmented(bits), tables["xor"], strict=True):
        weights = weights + (target - step(weights @ sample)) * sample
else:
    raise AssertionError("the weights never came back")
print(f"the weights after epoch {epoch} are those after epoch {first}: {weights}. From here on it goes in circles.")

# %%
figure, panels = plt.subplots(1, 4, figsize=(12.5, 3.3), layout="constrained", width_ratios=[1, 1, 1, 1.25])
for ax, (name, target) in zip(panels, tables.items(), strict=False):
    ax.set(xlim=(-0.4, 1.4), ylim=(-0.4, 1.4), xticks=[0, 1], yticks=[0, 1])
    draw_half_plane(ax, runs[name][0][-1], BLUE)
    if name == "xor":  # and the other lines of its circle
        for line in runs[name][0][-4:-1]:
            draw_half_plane(ax, line, COLORS[4], alpha=0)
    ax.scatter(*bits[target == 1].T, color=BLUE, s=70, edgecolor="white", label="1", zorder=3)
    ax.scatter(*bits[target == 0].T, color=ORANGE, s=70, marker="s", edgecolor="white", label="0", zorder=3)
    tidy(ax, name if name != "xor" else "xor: round and round", "$x_0$", "$x_1$" if name == "and" else "")
for (name, (_, wrong)), color in zip(runs.items(), COLORS, strict=False):
    panels[3].plot(range(1, len(wrong) + 1), wrong, color=color, linewidth=1.8, marker="o", markersize=3, label=name)
panels[3].set(ylim=(-0.2, 4.9), xlim=(0, 21))
tidy(panels[3], "Mistakes in each epoch", "epoch", grid=True)
panels[3].legend(fontsize=10, frameon=False, ncols=3, loc="upper center")
plt.show()

# %% [markdown]
# ## What you have seen
#
# * A threshold unit divides its inputs by a line (by a plane, where there are three inputs or more).
# * The rule changes the weights only on a mistake, and on separable data it makes no more than $(R/\gamma)^2$ of them.
# * Units side by side answer several questions; they still draw nothing but straight lines.
# * Exclusive or needs a line that bends: a hidden layer, and units that can be differentiated.
#
# **Try it.**
#
# * Set `eta=0.1` in `learn`. Do the lines change? (Starting from zeros, every weight is just ten times smaller.)
# * Add a long apple, `[0.3, 2.3]`. How many epochs does it take now? And with one at `[0.7, 2.8]`, where a banana is?
# * Ask "virginica or not?" instead of setosa. The classes overlap: what do the mistakes per epoch do?
# * Do not standardise the petals and compute the bound again. What happens to $R$ and to the margin?
# * Give exclusive or a third input, the product $x_0 x_1$. Why is that enough?
