# %% [markdown]
# # How many units, how many layers?
#
# The question that everybody asks first. We ask it of small handwritten digits: networks from one hidden unit to 256,
# and from no hidden layer to eight. Then a network learns wrong labels by heart, and you see over-fitting in two
# curves, and three ways against it.

# %%
import matplotlib.pyplot as plt
import numpy as np

from tinygrad_mlp import nn, optim
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

# %% [markdown]
# ## 4. Learning by heart
#
# Every network above learnt its 200 samples and still did well on the others. Is that because the labels made sense?
# We give a quarter of the learnt samples a wrong label, at random. A wide network learns these, too: the only way to be
# right about them is to remember each one. We watch it for 150 epochs.

# %%
rng = np.random.default_rng(0)
spoilt = rng.permutation(len(y))[: len(y) // 4]
y_spoilt = y.copy()
y_spoilt[spoilt] = (y[spoilt] + rng.integers(1, 10, len(spoilt))) % 10

EPOCHS = 150


def curves(*, epochs=EPOCHS, dropout=0.0, weight_decay=0.0, data=(X, y_spoilt)):
    """The History of a network of 256 units, and the network."""
    model = nn.Sequential(
        nn.Linear(64, 256, seed=0), nn.ReLU(), nn.Dropout(dropout, seed=0), nn.Linear(256, 10, seed=1)
    )
    optimizer = optim.AdamW(model.parameters(), lr=0.003, weight_decay=weight_decay)
    options = {"epochs": epochs, "batch_size": 50, "optimizer": optimizer, "metrics": ["accuracy"], "seed": 0}
    history = fit(model, *data, validation_data=(X_judge, y_judge), verbose=0, **options)
    return history.history, model


by_heart, model = curves()
answers = model(X).data.argmax(axis=1)
print(f"of the {len(spoilt)} wrong labels it has learnt {(answers == y_spoilt)[spoilt].sum()}")

best = int(np.argmin(by_heart["val_loss"]))
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
for ax, what, scale, title, label in (
    (left, "loss", 1, "The two losses part", "cross-entropy"),
    (right, "accuracy", 100, "Certainty, not truth, is learnt", "% right"),
):
    for prefix, color, dashes, name in (("", COLORS[0], "-", "the 200 learnt"), ("val_", COLORS[1], "--", "held back")):
        values = scale * np.array(by_heart[prefix + what])
        ax.plot(np.arange(1, EPOCHS + 1), values, dashes, color=color, linewidth=1.8, label=name)
    ax.axvline(best + 1, color="0.6", linewidth=1, linestyle=":")
    ax.legend(fontsize=10, frameon=False)
    tidy(ax, title, "epoch", label, grid=True)
left.annotate(f"lowest at epoch {best + 1}", (best + 1, left.get_ylim()[1] * 0.9), (6, 0), textcoords="offset points")
plt.show()

at_best, at_end = (by_heart["val_accuracy"][epoch] for epoch in (best, -1))
print(f"held back, at epoch {best + 1}: {at_best:.1%}, at the end: {at_end:.1%}")
assert (answers == y_spoilt).mean() == 1.0
assert by_heart["val_loss"][-1] > 1.3 * by_heart["val_loss"][best]
assert by_heart["val_accuracy"][-1] < by_heart["val_accuracy"][best] - 0.05

# %% [markdown]
# That is *over-fitting*: on the samples that it learns from, the network gets better and better, on all others worse.
# The curve of the held-back samples tells, and nothing else does.
#
# ## 5. Three ways against it
#
# * *Stop early*: keep the weights of the epoch in which the held-back loss was lowest (`EarlyStopping`).
# * *Weight decay*: every step makes all weights a little smaller, so that only what many samples ask for can grow.
# * *Dropout*: half of the units are silent in each step, so that none can remember a sample alone.
#
# And a fourth where it can be had: more samples, here 1,200, of which a quarter have a wrong label again.

# %%
X_more, y_more = X_rest, y_rest.copy()
spoilt_more = rng.permutation(len(y_more))[: len(y_more) // 4]
y_more[spoilt_more] = (y_more[spoilt_more] + rng.integers(1, 10, len(spoilt_more))) % 10

runs = {
    "nothing done": by_heart,
    "weight decay": curves(weight_decay=2.0)[0],
    "dropout": curves(dropout=0.5)[0],
    f"{len(X_more):,} samples": curves(data=(X_more, y_more))[0],
}
figure, ax = plt.subplots(figsize=(9, 4.2), layout="constrained")
for (name, run), color, dashes in zip(runs.items(), COLORS, ("-", "--", "-.", ":"), strict=False):
    ax.plot(np.arange(1, EPOCHS + 1), 100 * np.array(run["val_accuracy"]), dashes, color=color, linewidth=2, label=name)
ax.plot(best + 1, 100 * by_heart["val_accuracy"][best], "o", color=COLORS[0], markersize=9, label="stopped early")
ax.set_ylim(50, 100)
ax.legend(fontsize=10, frameon=False, ncols=2, loc="lower left")
tidy(ax, "Held-back digits read rightly, a quarter of the labels wrong", "epoch", "% right", grid=True)
plt.show()

ends = {name: run["val_accuracy"][-1] for name, run in runs.items()}
ends["stopped early"] = by_heart["val_accuracy"][best]
for name, share in ends.items():
    print(f"{name:15s} {share:.1%}")
assert all(share > ends["nothing done"] + 0.01 for name, share in ends.items() if name != "nothing done")

# %% [markdown]
# ## What you have seen
#
# * Too few units cannot learn; beyond enough, width hardly matters here, and depth does not help on easy data.
# * A network that is wide enough learns anything by heart, wrong labels too.
# * The held-back samples tell when that begins. Stopping, weight decay, dropout and more samples all help;
#   here stopping helps most, and costs nothing.
#
# **What to try.**
#
# * All labels at random: `y_spoilt = rng.permutation(y)`. Are they learnt? What are the held-back answers worth?
# * `EarlyStopping(patience=10)` from `tinygrad_mlp.train` in `fit(callbacks=[…])`: at which epoch does it stop?
# * Make the network of section 4 narrower, 256, 64, 16, 4 units. When can it no longer learn the wrong labels?
# * Weight decay 0.1 and 10: too little, too much. How would you choose without looking at the held-back samples?
