# %% [markdown]
# # The first weights
#
# Before the first step a network needs weights, and it cannot learn from just any. You will see why equal weights make
# all units twins for ever, how a signal dies or explodes on its way through ten layers, and how three well-known
# recipes keep it alive: each with the variance measured, layer by layer.
#
# You need: the notebooks on the sigmoid layer and on activations, and about fifteen minutes.

# %%
import matplotlib.pyplot as plt
import numpy as np

import tinygrad_mlp as tg
from tinygrad_mlp import nn, optim
from tinygrad_mlp.datasets import load_digits, make_moons
from tinygrad_mlp.viz import plot_decision_boundary
from tinygrad_mlp.viz.style import COLORS, tidy

BLUE, ORANGE, GREEN = COLORS[:3]  # after Okabe and Ito: told apart by all eyes

# %% [markdown]
# ## 1. All equal weights cannot learn
#
# Two half moons, and a network with 12 hidden units and one output. First with all weights 0, then with all weights
# equal, then with random ones.


# %%
moons, side = make_moons(200, noise=0.1, seed=1)
moons, side = moons.astype(np.float64), side.astype(np.float64)


def small_network(fill):
    """2 inputs, 12 tanh units, 1 output; `fill` writes the first weights."""
    model = nn.Sequential(nn.Linear(2, 12, dtype="float64"), nn.Tanh(), nn.Linear(12, 1, dtype="float64"))
    for place in (0, 2):
        fill(model[place].weight)
        nn.init.zeros_(model[place].bias)
    return model


def apart(weight):
    """By how much the weights of two hidden units differ at most."""
    return np.ptp(weight.data, axis=0).max()


def train(model, loss_of, steps, optimizer=None):
    """Losses of full-batch steps, and how far the hidden units are apart before each."""
    optimizer = optimizer or optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    losses, distances = [], []
    for _ in range(steps):
        distances.append(apart(model[0].weight))
        optimizer.zero_grad()
        loss = loss_of(model)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, distances


def moon_loss(model):
    return nn.functional.binary_cross_entropy_with_logits(model(moons)[:, 0], tg.Tensor(side))


draws = np.random.default_rng(0)
starts = {
    "all 0": nn.init.zeros_,
    "all 0.5": lambda weight: nn.init.constant_(weight, 0.5),
    "random": lambda weight: nn.init.glorot_normal_(weight, rng=draws),
}
models = {name: small_network(fill) for name, fill in starts.items()}

# %% [markdown]
# One backward pass through the network with equal weights. Each row of the matrix is the gradient of one hidden unit:

# %%
twins = models["all 0.5"]
moon_loss(twins).backward()
print(twins[0].weight.grad.data[:4])
assert apart(twins[0].weight.grad) < 1e-14

# %% [markdown]
# All rows are the same. It must be so: units with equal weights see the same inputs and give the same output; the layer
# above weighs them equally, so the same blame comes back. Equal weights and equal gradients make equal weights again.
# By induction this holds after every step: twelve units are one unit, twelve times over. It is called the *symmetry* of
# the units, and random numbers are there to break it.

# %%
runs = {name: train(model, moon_loss, 1000) for name, model in models.items()}

for name, model in models.items():
    print(f"{name:8} after 1,000 steps two hidden units differ by {apart(model[0].weight):.1e}")
assert apart(models["all 0"][0].weight) < 1e-6
assert apart(models["all 0.5"][0].weight) < 1e-6
assert apart(models["random"][0].weight) > 1

# %%
figure, panels = plt.subplots(1, 4, figsize=(15, 3.9), layout="constrained", width_ratios=[1, 1, 1, 1.1])
right = {}
for ax, (name, model) in zip(panels, models.items(), strict=False):

    def classify(points, model=model):
        with tg.no_grad():  # only answers are wanted, so no tape
            return (model(points.astype(np.float64)).data[:, 0] > 0).astype(int)

    right[name] = (classify(moons) == side).mean()
    plot_decision_boundary(classify, moons, side.astype(int), ax=ax)
    ax.get_legend().remove()
    tidy(ax, f"{name}: {right[name]:.1%} right", "$x_0$", "$x_1$" if name == "all 0" else "")
for (name, (losses, _)), color in zip(runs.items(), (ORANGE, GREEN, BLUE), strict=True):
    panels[3].semilogy(losses, color=color, linewidth=2, label=name)
tidy(panels[3], "Loss", "step", grid=True)
panels[3].legend(fontsize=10, frameon=False, loc="lower left")
plt.show()
assert right["all 0"] < 0.6
assert right["all 0.5"] < 0.92
assert right["random"] > 0.99

# %% [markdown]
# Rings mark the points that are wrong.
#
# * **All 0**: the hidden outputs are 0 and the weights above them are 0, so no gradient reaches any weight. Only the
#   output's
#   bias can move, and all points get one answer.
# * **All 0.5**: one hidden unit, in effect. One unit, one straight cut.
# * **Random**: twelve different units, and the line bends.
#
# The same with handwritten digits: 16 hidden units, the weights of each as a picture of 8 × 8 pixels. Sixteen equal
# units paint one picture; sixteen different ones look for different strokes.

# %%
digits = load_digits()
X = (digits.data - digits.data.mean()) / digits.data.std()  # one mean and one deviation for all pixels
X = X.astype(np.float64)


def digits_network(fill):
    """64 pixels, 16 tanh units, 10 scores."""
    model = nn.Sequential(nn.Linear(64, 16, dtype="float64"), nn.Tanh(), nn.Linear(16, 10, dtype="float64"))
    for place in (0, 2):
        fill(model[place].weight)
        nn.init.zeros_(model[place].bias)
    return model


def digits_loss(model):
    return nn.functional.cross_entropy(model(X), digits.target)


pictures = {}
for name, fill in (("equal", lambda weight: nn.init.constant_(weight, 0.02)), ("random", starts["random"])):
    model = digits_network(fill)
    train(model, digits_loss, 80)
    with tg.no_grad():
        share = (model(X).data.argmax(axis=1) == digits.target).mean()
    pictures[name] = model[0].weight.data, share

figure = plt.figure(figsize=(13, 2.7), layout="constrained")
for part, (name, (weights, share)) in zip(figure.subfigures(2, 1), pictures.items(), strict=True):
    part.suptitle(f"{name} start: {share:.1%} of the digits right", x=0.005, ha="left", fontsize=12, fontweight="bold")
    for ax, unit in zip(part.subplots(1, 16), weights, strict=True):
        most = np.abs(weights).max()
        ax.imshow(unit.reshape(8, 8), cmap="PuOr", vmin=-most, vmax=most)
        ax.set_axis_off()
plt.show()
assert apart(tg.Tensor(pictures["equal"][0])) < 1e-3
assert pictures["equal"][1] < 0.5
assert pictures["random"][1] > 0.95

# %% [markdown]
# How much randomness is needed? Hardly any. Equal weights are like a pencil that stands on its point: the balance is
# perfect, and the smallest push grows. Here all weights are 0.02, and then pushed by random numbers of size $10^{-3}$,
# $10^{-6}$ and $10^{-9}$.

# %%
pushes = {}
for exponent in (-3, -6, -9):
    draws = np.random.default_rng(1)
    model = digits_network(lambda weight: nn.init.normal_(weight, 0.02, 10.0**exponent, rng=draws))  # noqa: B023
    pushes[exponent] = train(model, digits_loss, 400)

figure, panels = plt.subplots(1, 2, figsize=(11, 3.8), layout="constrained")
for (exponent, (losses, distances)), color in zip(pushes.items(), (BLUE, GREEN, ORANGE), strict=True):
    panels[0].semilogy(distances, color=color, linewidth=2, label=f"push of $10^{{{exponent}}}$")
    panels[1].semilogy(losses, color=color, linewidth=2, label=f"push of $10^{{{exponent}}}$")
tidy(panels[0], "How far the twins are apart", "step", grid=True)
tidy(panels[1], "Loss", "step", grid=True)
panels[0].legend(fontsize=10, frameon=False, loc="lower right")
plt.show()

# %% [markdown]
# The distance grows like compound interest, and the loss waits until the twins are different persons. Do not rely on
# it: the rounding of the last digit may be such a push, or may not, depending on the processor. Random weights do not
# have to wait.

# %% [markdown]
# ## 2. Random, but how large?
#
# A unit adds up $n_\text{in}$ products. If the weights are independent, with mean 0 and variance $\sigma_w^2$, then the
# variance of the sum is
#
# $$\operatorname{Var}(z) = n_\text{in}\,\sigma_w^2\;\overline{x^2}$$
#
# with the mean square of the inputs. Each layer multiplies the signal by $n_\text{in}\,\sigma_w^2$. Is that factor ½,
# then after ten layers a thousandth is left; is it 2, the signal is a thousand times as strong. On the way back the
# gradient meets the same factor with $n_\text{out}$. Hence the recipes:
#
# | recipe | weights | for |
# |---|---|---|
# | Glorot (Xavier), normal | $N(0, \sigma)$ with $\sigma = \sqrt{2/(n_\text{in} + n_\text{out})}$ | tanh, linear |
# | Glorot (Xavier), uniform | $U(-a, a)$ with $a = \sqrt{6/(n_\text{in} + n_\text{out})}$ | tanh, linear |
# | He (Kaiming) | $N(0, \sigma)$ with $\sigma = \sqrt{2/n_\text{in}}$ | ReLU, where half of the signal is lost |
#
# (Glorot and Bengio, 2010; He, Zhang, Ren and Sun, 2015. The second number of $N$ is the standard deviation $\sigma$
# here.)
#
# A uniform number from $(-a, a)$ has the variance $a^2/3$, so both of Glorot's recipes have the same variance,
# $2/(n_\text{in} + n_\text{out})$: a compromise between the way forward and the way back. Do the weights keep the
# promise?

# %%
recipes = {
    "Glorot normal": (nn.init.glorot_normal_, lambda fan_in, fan_out: 2 / (fan_in + fan_out)),
    "Glorot uniform": (nn.init.glorot_uniform_, lambda fan_in, fan_out: 2 / (fan_in + fan_out)),
    "He normal": (nn.init.he_normal_, lambda fan_in, fan_out: 2 / fan_in),
}

figure, panels = plt.subplots(1, 3, figsize=(12, 3), layout="constrained", sharey=True)
for ax, (name, (fill, variance)) in zip(panels, recipes.items(), strict=True):
    weight = tg.zeros(300, 500, dtype="float64")  # 500 inputs, 300 units
    fill(weight, seed=0)
    measured, promised = weight.data.var(), variance(500, 300)
    ax.hist(weight.data.ravel(), bins=80, range=(-0.21, 0.21), color=BLUE)
    tidy(
        ax,
        f"{name}: {measured / promised:.3f} of the promise",
        "weight",
        "how many of 150,000" if ax is panels[0] else "",
    )
    print(f"{name:15} variance promised {promised:.6f}, measured {measured:.6f}")
    # The standard error of a variance from N numbers is at most sqrt(2 / N) of it; five of them are left for chance.
    assert abs(measured / promised - 1) < 5 * np.sqrt(2 / weight.size)
plt.show()

# %% [markdown]
# ## 3. Ten layers
#
# The digits go through ten layers of 256 units. We measure the standard deviation of the outputs of each layer, and on
# the way back the one of the gradients by these outputs. Two recipes of Glorot and He, and two values that people
# choose by feeling: 0.01 and 0.2.

# %%
WIDTH, DEPTH = 256, 10
BY_FEELING = {
    "N(0, 0.01)": lambda weight, seed: nn.init.normal_(weight, std=0.01, seed=seed),
    "N(0, 0.2)": lambda weight, seed: nn.init.normal_(weight, std=0.2, seed=seed),
}
ALL = BY_FEELING | {
    name: lambda weight, seed, fill=fill: fill(weight, seed=seed) for name, (fill, _) in recipes.items()
}


def deep_network(activation, fill):
    layers = []
    for depth in range(DEPTH):
        layer = nn.Linear(64 if depth == 0 else WIDTH, WIDTH, dtype="float64")
        fill(layer.weight, 100 + depth)
        nn.init.zeros_(layer.bias)
        layers += [layer, activation()]
    last = nn.Linear(WIDTH, 10, dtype="float64")
    nn.init.glorot_normal_(last.weight, seed=99)
    nn.init.zeros_(last.bias)
    return nn.Sequential(*layers, last)


def signals(model, x, y):
    """For each layer its outputs and the gradient by them."""
    outputs = []
    for layer in model:
        x = layer(x)
        if not isinstance(layer, nn.Linear):
            x.retain_grad()
            outputs.append(x)
    nn.functional.cross_entropy(x, y).backward()
    return [one.data for one in outputs], [one.grad.data for one in outputs]


measured = {}
for activation in (nn.Tanh, nn.ReLU):
    for name, fill in ALL.items():
        measured[activation, name] = signals(deep_network(activation, fill), tg.Tensor(X[:300]), digits.target[:300])

# %%
palette = dict(zip(ALL, (ORANGE, COLORS[3], BLUE, COLORS[4], GREEN), strict=True))
figure, panels = plt.subplots(2, 2, figsize=(12, 7), layout="constrained", sharex=True)
for row, activation in zip(panels, (nn.Tanh, nn.ReLU), strict=True):
    for ax, way, title in zip(row, (0, 1), ("forward: outputs", "backward: gradients"), strict=True):
        for name in ALL:
            size = [np.sqrt(np.mean(np.square(one, dtype=np.float64))) for one in measured[activation, name][way]]
            dashes = "--" if name == "Glorot uniform" else "-"
            ax.semilogy(
                range(1, DEPTH + 1), size, color=palette[name], linestyle=dashes, marker="o", markersize=4, label=name
            )
        tidy(
            ax,
            f"{activation.__name__}, {title}",
            "layer" if row is panels[1] else "",
            "root mean square" if way == 0 else "",
            grid=True,
        )
        ax.set_xticks(range(1, DEPTH + 1))
handles, names = panels[0, 0].get_legend_handles_labels()
figure.legend(handles, names, loc="outside upper center", ncols=5, fontsize=11, frameon=False)
plt.show()

# %% [markdown]
# Read the scales: they are logarithmic. With 0.01 the signal loses a factor of about six per layer, and the last layer
# sees nothing. With 0.2, ReLU's signal doubles with each layer, and tanh is pushed to ±1, where its slope is almost 0.
# Glorot's recipe loses half of the signal's variance in each ReLU layer, which is just what He's factor 2 makes good.
#
# The theory for ReLU, in numbers: with He's weights the mean square should stay as it is, and with Glorot's it should
# halve in each layer.

# %%
for name, expected in (("He normal", 1.0), ("Glorot normal", 0.5), ("Glorot uniform", 0.5)):
    squares = [np.mean(np.square(one, dtype=np.float64)) for one in measured[nn.ReLU, name][0]]
    per_layer = (squares[-1] / squares[0]) ** (1 / (DEPTH - 1))
    print(f"{name:15} the mean square changes per ReLU layer by a factor of {per_layer:.3f}; theory: {expected}")
    assert abs(per_layer / expected - 1) < 0.12

# %% [markdown]
# The same for tanh as Glorot and Bengio drew it: what the outputs of some layers look like, from all of the 300 digits.

# %%
shown = ("N(0, 0.01)", "N(0, 0.2)", "Glorot normal")
figure, panels = plt.subplots(3, 5, figsize=(13, 5.4), layout="constrained", sharex=True)
for row, name in zip(panels, shown, strict=True):
    for ax, depth in zip(row, (0, 2, 4, 6, 9), strict=True):
        ax.hist(measured[nn.Tanh, name][0][depth].ravel(), bins=60, range=(-1, 1), color=palette[name])
        ax.set_yticks([])
        tidy(
            ax,
            f"layer {depth + 1}" if name == shown[0] else "",
            "output of tanh" if name == shown[-1] else "",
            name if depth == 0 else "",
        )
plt.show()

# %% [markdown]
# ## 4. Does it matter for learning?
#
# The ten ReLU layers, a quarter of the digits, 40 steps of plain gradient descent. $N(0, 0.2)$ is left out: it begins
# with an absurd loss, and the first step, along an equally absurd gradient, ends beyond the largest number there is.

# %%
exploded = nn.functional.cross_entropy(deep_network(nn.ReLU, ALL["N(0, 0.2)"])(X[:450]), digits.target[:450]).item()
print(f"N(0, 0.2) begins with a loss of {exploded:.0f}; guessing has {np.log(10):.2f}")
assert exploded > 100

curves = {}
for name in ("N(0, 0.01)", "Glorot normal", "He normal"):
    model = deep_network(nn.ReLU, ALL[name])
    optimizer = optim.SGD(model.parameters(), lr=0.05)
    curves[name] = []
    for _ in range(40):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(X[:450]), digits.target[:450])
        loss.backward()
        optimizer.step()
        curves[name].append(loss.item())

figure, ax = plt.subplots(figsize=(8, 4), layout="constrained")
for name, values in curves.items():
    ax.plot(values, color=palette[name], linewidth=2, label=name)
ax.axhline(np.log(10), color="0.5", linestyle=":", linewidth=1.2)
ax.text(39.5, np.log(10) + 0.04, "guessing: ln 10", ha="right", fontsize=10, color="0.35")
ax.set_ylim(0, 4)
tidy(ax, "Ten ReLU layers, plain gradient descent", "step", "cross-entropy", grid=True)
ax.legend(fontsize=10, frameon=False, loc="upper right")
plt.show()

assert abs(curves["N(0, 0.01)"][-1] - np.log(10)) < 0.02  # still guessing
assert curves["He normal"][-1] < 0.5
assert curves["Glorot normal"][-1] > 2
{name: f"{values[0]:.3f} -> {values[-1]:.3f}" for name, values in curves.items()}

# %% [markdown]
# ## What you have seen
#
# * Equal weights stay equal for ever: random numbers break the symmetry, and nothing else does.
# * Each layer multiplies the variance by $n_\text{in}\,\sigma_w^2$; ten layers take the tenth power of it.
# * Glorot keeps the variance for activations that are straight around 0, He for ReLU. The promise can be measured.
#
# **Try it.**
#
# * Set only the *biases* equal, or only the second layer's weights. Are the units still twins?
# * Push the twins, and train with Adam. Why do they part at once? (How large is Adam's step, if the gradient is tiny?)
# * Set `DEPTH = 30`. Which recipe still has a signal? What does `nn.init.orthogonal_` do?
# * Put `nn.LayerNorm(WIDTH)` before each activation. Does the recipe still matter?
# * Use `nn.init.calculate_gain("tanh")` as `gain` of Glorot's recipe with tanh. What is 5/3 for?
