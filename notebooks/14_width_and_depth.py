# %% [markdown]
# # How many units, how many layers?
#
# The question that everybody asks first. We ask it of small handwritten digits: networks from one hidden unit to 256,
# and from no hidden layer to eight. Then a network learns wrong labels by heart, and you see over-fitting in two
# curves, and three ways against it.

# %%
import matplotlib.pyplot as plt
import numpy as np

from tinygrad_mlp import nn
from tinygrad_mlp.datasets import load_digits, train_test_split
from tinygrad_mlp.train import fit
from tinygrad_mlp.viz.style import COLORS, tidy

# %% [markdown]
# ## 1. The data
#
# 1,797 digits of 8×8 pixels. We take only 200 of them to learn from, 20 of each digit. With few samples the differences
# are easier to see. 597 are held back, to judge by; nothing is trained on them.

# %%
digits = load_digits()
X_rest, X_judge, y_rest, y_judge = train_test_split(
    digits.data / 16, digits.target, test_size=597, stratify=digits.target, seed=0
)
_, X, _, y = train_test_split(X_rest, y_rest, test_size=200, stratify=y_rest, seed=1)
print(f"{len(X)} to learn from, {len(X_judge)} to judge by")

# %% [markdown]
# ## 2. Width
#
# One hidden layer of 1 to 256 ReLU units. Each width is tried from three random starts, since one start proves little.


# %%
def shares_right(*hidden, starts=3, epochs=100):
    """The mean share of right answers, on the 200 learnt and on the 597 held back, after training."""
    found = []
    for seed in range(starts):
        model = nn.MLP(64, *hidden, 10, seed=seed)
        fit(model, X, y, epochs=epochs, batch_size=50, lr=0.01, seed=seed, verbose=0)
        found.append([(model(points).data.argmax(axis=1) == t).mean() for points, t in ((X, y), (X_judge, y_judge))])
    return np.mean(found, axis=0)


widths = [1, 2, 4, 8, 16, 32, 64, 128, 256]
by_width = np.array([shares_right(width) for width in widths])
print("units   parameters   learnt   held back")
for width, (learnt, held_back) in zip(widths, by_width, strict=True):
    parameters = 64 * width + width + 10 * width + 10
    print(f"{width:5d}   {parameters:10,}   {learnt:6.1%}   {held_back:9.1%}")
assert by_width[0, 1] < 0.5
assert by_width[4, 0] > 0.99
assert np.ptp(by_width[4:, 1]) < 0.05

# %% [markdown]
# ## 3. Depth
#
# Layers of 16 units each, none to eight.

# %%
depths = [0, 1, 2, 3, 4, 6, 8]
by_depth = np.array([shares_right(*[16] * depth) for depth in depths])
print("hidden layers   learnt   held back")
for depth, (learnt, held_back) in zip(depths, by_depth, strict=True):
    print(f"{depth:13d}   {learnt:6.1%}   {held_back:9.1%}")

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), sharey=True, layout="constrained")
for ax, places, found, title, label in (
    (left, widths, by_width, "Width: too narrow fails", "units in one hidden layer"),
    (right, depths, by_depth, "Depth: deeper is not better here", "hidden layers of 16 units"),
):
    ax.plot(places, 100 * found[:, 0], "o-", color=COLORS[0], linewidth=1.8, label="the 200 learnt")
    ax.plot(places, 100 * found[:, 1], "s--", color=COLORS[1], linewidth=1.8, label="the 597 held back")
    tidy(ax, title, label, "% right" if ax is left else "", grid=True)
    ax.legend(fontsize=10, frameon=False, loc="lower right")
left.set_xscale("log", base=2)
left.set_xticks(widths, [str(one) for one in widths])
left.set_ylim(0, 104)
plt.show()
