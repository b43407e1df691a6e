# %% [markdown]
# # The training loop: five lines
#
# Forget the old gradients, forward, loss, backward, update. All training of neural networks is this loop. You write it
# out, look at what each line changes, and see that `fit` does nothing else: the same numbers, bit by bit. Then you
# leave lines out, one at a time, to see what they were for.

# %%
import matplotlib.pyplot as plt
import numpy as np

from tinygrad_mlp import nn, optim, viz
from tinygrad_mlp.data import DataLoader
from tinygrad_mlp.datasets import StandardScaler, load_breast_cancer, train_test_split
from tinygrad_mlp.train import fit
from tinygrad_mlp.viz.style import COLORS, tidy

# %% [markdown]
# ## 1. The data
#
# 569 tumours, 30 measurements of cell nuclei each; benign (1) or malignant (0). 426 are for training, 143 are held
# back for the test. Mean and standard deviation for the scaling come from the training part alone: the test part is to
# stay unseen.

# %%
table = load_breast_cancer()
X_train, X_test, y_train, y_test = train_test_split(
    table.data, table.target, test_size=0.25, stratify=table.target, seed=0
)
scaler = StandardScaler.fit(X_train)
X_train, X_test = scaler.transform(X_train), scaler.transform(X_test)
print(f"{len(X_train)} for training, {len(X_test)} for the test")


def network():
    return nn.MLP(30, 16, 2, seed=0)


# %% [markdown]
# ## 2. One step, line by line
#
# The five lines, with a look around after each of them.

# %%
model = network()
optimizer = optim.SGD(model.parameters(), lr=0.1)
loss_of = nn.CrossEntropyLoss()
x, y = X_train[:32], y_train[:32]
weight = model[0].weight


def look(line):
    gradient = "none" if weight.grad is None else f"{np.abs(weight.grad.data).mean():.6f}"
    print(f"{line:24s} mean |weight| {np.abs(weight.data).mean():.6f}   mean |gradient| {gradient}")


look("before")
optimizer.zero_grad()  # 1. forget the old gradients
look("1. zero_grad()")
scores = model(x)  # 2. forward: from data to scores; the tape notes every operation
look("2. forward")
loss = loss_of(scores, y)  # 3. loss: one number that says how wrong the scores are
look(f"3. loss = {loss.item():.4f}")
loss.backward()  # 4. backward: the tape is read from its end; every weight gets its gradient
look("4. backward()")
optimizer.step()  # 5. update: every weight moves against its gradient
look("5. step()")
print(f"\nthe loss on the same 32 samples is now {loss_of(model(x), y).item():.4f}")
assert loss_of(model(x), y).item() < loss.item()

# %% [markdown]
# ## 3. The loop
#
# An outer loop over epochs, an inner one over mini-batches of 32, and the same five lines. The `DataLoader` shuffles
# the samples anew in each epoch; its seed makes the order repeatable.

# %%
EPOCHS, BATCH, RATE, SEED = 20, 32, 0.1, 7

by_hand = network()
optimizer = optim.SGD(by_hand.parameters(), lr=RATE)
loader = DataLoader((X_train, y_train), batch_size=BATCH, shuffle=True, seed=SEED)
losses = []
for _ in range(EPOCHS):
    total = 0.0
    for x, y in loader:
        optimizer.zero_grad()
        scores = by_hand(x)
        loss = loss_of(scores, y)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(x)
    losses.append(total / len(X_train))

accuracy = (by_hand(X_test).data.argmax(axis=1) == y_test).mean()
print(f"loss {losses[0]:.4f} -> {losses[-1]:.4f}; {accuracy:.1%} of the test samples are right")
assert accuracy > 0.95

# %% [markdown]
# ## 4. `fit` is the same loop
#
# Same start, same optimizer, same seed. The History's losses are those that we added up, and every weight at the end is
# the same, to the last bit.

# %%
by_fit = network()
history = fit(
    by_fit,
    X_train,
    y_train,
    epochs=EPOCHS,
    batch_size=BATCH,
    optimizer=optim.SGD(by_fit.parameters(), lr=RATE),
    seed=SEED,
    validation_data=(X_test, y_test),
    compile=False,
    verbose=0,
)
for (name, ours), hand in zip(by_fit.named_parameters(), by_hand.parameters(), strict=True):
    same = int((ours.data == hand.data).sum())
    print(f"{name:9s} {same} of {ours.size} numbers have the same bits")
    assert ours.data.tobytes() == hand.data.tobytes()
np.testing.assert_allclose(history.history["loss"], losses, rtol=1e-12)

# %% [markdown]
# Compiled, the loop leaves Python. With NumPy underneath (`compile="replay"`) the bits stay the same. As machine code
# (`compile="native"`, where there is a C compiler) sums may be added in another order, so the last digits may differ.

# %%
for way in ("replay", "native"):
    compiled = network()
    its_history = fit(
        compiled,
        X_train,
        y_train,
        epochs=EPOCHS,
        batch_size=BATCH,
        optimizer=optim.SGD(compiled.parameters(), lr=RATE),
        seed=SEED,
        compile=way,
        verbose=0,
    )
    apart = max(np.abs(a.data - b.data).max() for a, b in zip(compiled.parameters(), by_hand.parameters(), strict=True))
    print(f"{way:7s} ran as {its_history.compiled}: largest difference of a weight {apart:.0e}")
    assert apart < (1e-12 if its_history.compiled == "replay" else 1e-4)

# %% [markdown]
# What `fit` adds are the things around the loop: metrics, validation on held-back samples, the History, early stopping,
# checkpoints.

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
viz.plot_curve(history.history, "loss", ax=left)
left.plot(range(1, EPOCHS + 1), losses, "o", color="0.3", markersize=4, fillstyle="none", label="by hand")
left.legend(fontsize=10, frameon=False)
tidy(left, "The loop's losses are fit's", "epoch", "cross-entropy")
viz.plot_curve(history.history, "accuracy", ax=right)
tidy(right, "What fit watches beside it", "epoch", "accuracy")
plt.show()

# %% [markdown]
# ## 5. Leave a line out
#
# The forward pass and the loss cannot be left out: `backward` would have nothing to begin from. The other three can,
# and no error tells you.
#
# * Without `zero_grad()` each gradient is added to all earlier ones. The weights are driven by what was wrong long ago,
#   ever faster.
# * Without `backward()` there are no gradients, and `step()` has nothing to go by: nothing is learnt.
# * Without `step()` all is computed and nothing used.


# %%
def loop(zero=True, backward=True, step=True):
    """The losses of every step of the loop, in which a line may be missing."""
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=RATE)
    loader = DataLoader((X_train, y_train), batch_size=BATCH, shuffle=True, seed=SEED)
    losses = []
    for _ in range(EPOCHS):
        for x, y in loader:
            if zero:
                optimizer.zero_grad()
            loss = loss_of(model(x), y)
            if backward:
                loss.backward()
            if step:
                optimizer.step()
            losses.append(loss.item())
    return np.array(losses)


variants = {
    "all five lines": loop(),
    "without zero_grad()": loop(zero=False),
    "without backward()": loop(backward=False),
    "without step()": loop(step=False),
}
for name, curve in variants.items():
    print(f"{name:20s} mean loss of the last epoch {curve[-14:].mean():.4f}")
assert np.array_equal(variants["without backward()"], variants["without step()"])
assert variants["without step()"][-14:].mean() > 0.3
assert variants["without zero_grad()"][-14:].mean() > 3 * variants["all five lines"][-14:].mean()

# %%
figure, ax = plt.subplots(figsize=(9.5, 4), layout="constrained")
for (name, curve), color, dashes in zip(variants.items(), COLORS, ("-", "--", "-", ":"), strict=False):
    smooth = np.convolve(curve, np.ones(14) / 14, mode="valid")  # over one epoch, so that the batches do not hide it
    ax.semilogy(np.arange(len(smooth)) + 14, smooth, color=color, linestyle=dashes, linewidth=2, label=name)
ax.legend(fontsize=10, frameon=False, ncols=2)
tidy(ax, "Which line is missing?", "step", "loss, mean over the last 14 steps", grid=True)
plt.show()

# %% [markdown]
# ## What you have seen
#
# * Training is five lines. `fit` is these five lines and what belongs around them.
# * Equal means equal: the same seed gives the same bits, by hand and by `fit`.
# * A wrong loop need not crash. Look at the curve.
#
# **What to try.**
#
# * Move `zero_grad()` between `backward()` and `step()`. What is learnt?
# * Call `zero_grad()` and `step()` only after every fourth batch, and divide the loss by 4: a batch of 128 in the
#   memory of 32. `fit(accumulate=4)` does it for you.
# * Replace `optim.SGD` by `optim.Adam(..., lr=0.01)`, in the loop and in `fit`. Are the bits still the same?
# * Write the update yourself: `with tg.no_grad(): w -= rate * w.grad` for each parameter `w`.
# * Ask `tg.autograd.explain_grad(weight, lambda: loss_of(model(x), y))` about any gradient that you do not believe.
