# %% [markdown]
# # Softmax: from scores to probabilities
#
# A network ends with scores, any numbers at all. *Softmax* makes probabilities of them. You will see that physicists
# knew it a century earlier, what its *temperature* does, why cross-entropy is the loss that belongs to it, and how to
# read a table of class probabilities.

# %%
import matplotlib.pyplot as plt
import numpy as np
from scipy.special import log_softmax, rel_entr
from scipy.special import softmax as scipy_softmax

import tinygrad_mlp as tg
from tinygrad_mlp import nn, ops, optim
from tinygrad_mlp.datasets import StandardScaler, load_iris, train_test_split
from tinygrad_mlp.viz.style import COLORS, tidy

# %% [markdown]
# ## 1. The formula
#
# $$p_i = \frac{e^{z_i}}{\sum_j e^{z_j}}$$
#
# The exponential makes every score positive, and dividing by the sum makes them add up to 1. SciPy, whose code is not
# ours, gives the same numbers.

# %%
scores = np.array([2.0, 1.0, -1.0, 0.5])
p = ops.softmax(tg.Tensor(scores)).data

print("scores       ", scores)
print("probabilities", p.round(3), " sum", p.sum().round(6))
assert np.allclose(p, np.exp(scores) / np.exp(scores).sum(), atol=1e-15)
assert np.allclose(p, scipy_softmax(scores), atol=1e-15)

# %% [markdown]
# Two facts follow from the formula. **Only differences count:** adding one number to all scores changes nothing, since
# $e^{z+c} = e^z e^c$ and $e^c$ cancels. **Ratios are exponentials of differences:** $p_i / p_j = e^{z_i - z_j}$.

# %%
assert np.allclose(ops.softmax(tg.Tensor(scores + 100.0)).data, p, atol=1e-15)
assert np.isclose(p[0] / p[1], np.exp(2.0 - 1.0))

# %% [markdown]
# The first fact also saves us. $e^{1000}$ is too large for a computer; written down as it stands, the formula gives
# *infinity divided by infinity*, which is no number. Subtract the largest score first, and the largest exponential is
# $e^0 = 1$.

# %%
large = np.array([1000.0, 999.0])
with np.errstate(over="ignore", invalid="ignore"):
    print("as it stands      ", np.exp(large) / np.exp(large).sum())
print("largest taken away", ops.softmax(tg.Tensor(large)).data.round(4))
assert np.allclose(ops.softmax(tg.Tensor(large)).data, [0.7311, 0.2689], atol=1e-4)

# %% [markdown]
# ## 2. Boltzmann, 1868
#
# In a gas at temperature $T$, the probability to find a molecule in a state of energy $E_i$ is
#
# $$p_i = \frac{e^{-E_i / T}}{\sum_j e^{-E_j / T}}$$
#
# (with $T$ in units of energy). That *is* softmax: a score is a negative energy, divided by the temperature. Low
# energies are likely. When it is cold, nearly all molecules are in the lowest state; when it is hot, all states become
# alike.


# %%
def boltzmann(energies, temperature):
    """Probabilities of the states: softmax of minus energy over temperature."""
    return ops.softmax(tg.Tensor(-np.asarray(energies) / temperature)).data


energies = -scores
temperatures = (0.2, 1.0, 5.0)
_, panels = plt.subplots(1, 3, figsize=(10, 3), sharey=True, layout="constrained")
for axes, T, name in zip(panels, temperatures, ("cold", "as it is", "hot"), strict=True):
    shares = boltzmann(energies, T)
    bars = axes.bar([f"{energy:g}" for energy in energies], shares, color=COLORS[: len(shares)])
    axes.bar_label(bars, [f"{share:.0%}" for share in shares], fontsize=9)
    axes.set(ylim=(0, 1.1))
    tidy(axes, f"T = {T:g}, {name}", "energy of the state", "probability" if T == 0.2 else "")
plt.show()

assert boltzmann(energies, 1e-3).max() > 0.9999  # coldest: the lowest energy takes all, as argmax would
assert np.allclose(boltzmann(energies, 1e6), 1 / 4, atol=1e-5)  # hottest: all alike

# %% [markdown]
# The same, for every temperature between. The dashed line is the *entropy* $-\sum_i p_i \ln p_i$, the uncertainty about
# the state. It grows with the temperature, to $\ln 4$ for four states that are alike.

# %%
warmth = np.geomspace(0.05, 50, 200)
shares = np.array([boltzmann(energies, T) for T in warmth])
entropy = -rel_entr(shares, 1.0).sum(axis=1)  # rel_entr(p, q) = p ln(p / q), and 0 where p is 0

_, axes = plt.subplots(figsize=(7, 3.8), layout="constrained")
for state, color in enumerate(COLORS[:4]):
    axes.semilogx(warmth, shares[:, state], color=color, linewidth=2, label=f"energy {energies[state]:g}")
axes.semilogx(warmth, entropy / np.log(4), "--", color="0.3", label=r"entropy / ln 4")
axes.axhline(1 / 4, color="0.8", linewidth=1, zorder=0)
axes.legend(frameon=False, fontsize=9, loc="center left")
tidy(axes, "From one state to all", "temperature T", "probability")
plt.show()

assert (np.diff(entropy) > 0).all()
assert np.isclose(entropy[-1], np.log(4), atol=1e-3)

# %% [markdown]
# ## 3. Three classes make a triangle
#
# Three probabilities with sum 1 are a point in a triangle: a corner is certainty, the middle is "no idea". Each line
# follows one triple of scores from hot (the middle) to cold. All end in the corner of the largest score, unless the two
# largest are equal: then nothing decides between them, and the line ends half way.

# %%
corners = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(3) / 2]])
_, axes = plt.subplots(figsize=(5.6, 5), layout="constrained")
axes.fill(*corners.T, facecolor="0.97", edgecolor="0.6")
for triple, color, style in (
    ((3, 1, 0), COLORS[0], "-"),
    ((3, 2.7, 0), COLORS[4], "-"),
    ((0, 3, 2), COLORS[1], "-"),
    ((0.5, 0, 3), COLORS[2], "-"),
    ((2, 2, 0), COLORS[3], "--"),
):
    walk = np.array([boltzmann(-np.array(triple, float), T) for T in np.geomspace(0.02, 300, 400)]) @ corners
    axes.plot(*walk.T, style, color=color, linewidth=2, label=f"scores {triple}")
for corner, name, shift in zip(corners, "ABC", ((-14, -12), (8, -12), (-4, 6)), strict=True):
    axes.annotate(f"{name}", corner, shift, textcoords="offset points", fontsize=12)
axes.set(xlim=(-0.08, 1.08), ylim=(-0.1, 0.98), aspect="equal")
axes.set_axis_off()
axes.legend(frameon=False, fontsize=9, loc="upper left")
plt.show()

# %% [markdown]
# ## 4. Cross-entropy
#
# How good were the probabilities, once we know the right class? *Cross-entropy* is $-\ln p$ of the right class: 0 for
# certainty, 0.69 for one half, and without limit for a network that was sure and wrong. A hundred times surer and wrong
# costs 4.6 more, each time again.

# %%
right_class = np.linspace(0.004, 1, 300)
_, axes = plt.subplots(figsize=(6, 3.4), layout="constrained")
axes.plot(right_class, -np.log(right_class), color=COLORS[0], linewidth=2)
for one, words in ((1.0, "sure and right"), (0.5, "one half"), (0.01, "sure and wrong")):
    axes.plot(one, -np.log(one), "o", color=COLORS[1])
    axes.annotate(
        f"{words}: {abs(np.log(one)):.2f}",
        (one, -np.log(one)),
        (-10 if one == 1 else 10, 12 if one == 1 else 2),
        textcoords="offset points",
        ha="right" if one == 1 else "left",
    )
tidy(axes, "Cross-entropy", "probability given to the right class", "loss", grid=True)
plt.show()

# %% [markdown]
# Softmax and cross-entropy belong together for their gradient. By the scores it is *probability minus truth*,
#
# $$\frac{\partial L}{\partial z_i} = p_i - t_i,$$
#
# as simple as for a straight line, and never stuck: a network that is sure and wrong gets the largest push of all. The
# tape agrees:

# %%
z = tg.Tensor(scores, requires_grad=True)
nn.functional.cross_entropy(z.reshape(1, 4), np.array([2])).backward()

truth = np.array([0, 0, 1, 0])
print("p - t   ", (scipy_softmax(scores) - truth).round(4))
print("backward", z.grad.data.round(4))
assert np.allclose(z.grad.data, scipy_softmax(scores) - truth, atol=1e-12)

# %% [markdown]
# ## 5. A table of class probabilities
#
# Fisher's irises: three species, four measurements. A small network learns 100 of the flowers; the other 50 are new to
# it. For each new flower it gives three scores, and softmax three probabilities.

# %%
iris = load_iris()
species = iris.target_names
X_train, X_test, y_train, y_test = train_test_split(iris.data, iris.target, test_size=50, stratify=iris.target, seed=1)
scaler = StandardScaler.fit(X_train)
X_train, X_test = scaler.transform(X_train).astype("float32"), scaler.transform(X_test).astype("float32")

model = nn.MLP(4, 16, 3, seed=0)
loss_of = nn.CrossEntropyLoss()
optimizer = optim.Adam(model.parameters(), lr=0.02)
for _ in range(150):
    optimizer.zero_grad()
    loss_of(model(X_train), y_train).backward()
    optimizer.step()

with tg.no_grad():
    new_scores = model(X_test).data
probabilities = scipy_softmax(new_scores, axis=1)
assert np.allclose(probabilities, ops.softmax(tg.Tensor(new_scores)).data, atol=1e-6)

answers = probabilities.argmax(axis=1)
accuracy = (answers == y_test).mean()
print(f"{accuracy:.0%} of 50 new flowers right")
assert accuracy >= 0.9

# %% [markdown]
# A row per flower, the least sure ones first. The bar in each cell is the probability; an outline marks the true
# species. The last column is the cross-entropy of that flower alone: their mean is the loss.

# %%
each = -np.log(probabilities[np.arange(50), y_test])
assert np.isclose(each.mean(), loss_of(tg.Tensor(new_scores), y_test).item(), atol=1e-6)

unsure = probabilities.max(axis=1).argsort()[:12]
_, axes = plt.subplots(figsize=(8, 4.6), layout="constrained")
for row, flower in enumerate(unsure):
    for column, share in enumerate(probabilities[flower]):
        axes.barh(row, share * 0.9, left=column, height=0.7, color=COLORS[column], alpha=0.55)
        axes.text(column + 0.03, row, f"{share:.3f}", va="center", fontsize=10)
    wrong = answers[flower] != y_test[flower]
    axes.barh(row, 0.9, left=y_test[flower], height=0.82, fill=False, edgecolor="black", linewidth=1.2)
    axes.text(3.1, row, f"{each[flower]:.3f}", va="center", fontsize=10, fontweight="bold" if wrong else "normal")
axes.set(
    xlim=(-0.05, 3.5), xticks=[0.45, 1.45, 2.45, 3.2], yticks=range(12), yticklabels=[f"flower {n}" for n in unsure]
)
axes.set_xticklabels([*species, "loss"])
axes.invert_yaxis()
axes.xaxis.tick_top()
axes.tick_params(length=0)
axes.spines[:].set_visible(False)
plt.show()

# %% [markdown]
# ## 6. Is it as sure as it should be?
#
# Temperature is a tool, too. Dividing all scores of a trained network by one $T$ changes no answer (the largest score
# stays the largest), only how sure the network says it is. The cross-entropy on flowers it has not seen tells which $T$
# is honest: below it the network is *over-confident*, above it too modest.

# %%
losses = [-log_softmax(new_scores / T, axis=1)[np.arange(50), y_test].mean() for T in warmth]
best = warmth[np.argmin(losses)]
answers_at = [scipy_softmax(new_scores / T, axis=1).argmax(axis=1) for T in (0.5, 1, 10)]
assert all((one == answers).all() for one in answers_at)

_, axes = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
axes.loglog(warmth, losses, color=COLORS[0], linewidth=2)
axes.axvline(1, color="0.7", linewidth=1)
axes.plot(best, min(losses), "o", color=COLORS[1])
axes.annotate(f"best: T = {best:.2g}", (best, min(losses)), (-10, 14), textcoords="offset points")
tidy(axes, "One network, other temperatures", "temperature T", "cross-entropy, new flowers", grid=True)
plt.show()

# %% [markdown]
# ## What to try
#
# * Give two states the same lowest energy in section 2. What are the probabilities when it is very cold?
# * Scores $[z, 0]$: show with pencil that softmax of two classes is the sigmoid of $z$.
# * Train for 2,000 steps instead of 150. What happens to the best temperature in section 6, and why?
# * Draw words, not classes: let softmax at $T = 0.5$, 1 and 2 choose among ten words of your own, with
#   `np.random.default_rng(0).choice(words, p=…)`. That is how language models are made more or less daring.
