# %% [markdown]
# # The tape by hand
#
# One small expression, worked twice: once with pencil and chain rule, once by the engine. Every number must agree.
# Then the same engine, unchanged, trains a small network.
#
# You need: Python, what a derivative is, and about fifteen minutes.

# %%
from math import isclose

import numpy as np

import tinygrad_mlp as tg

# %% [markdown]
# ## 1. One expression, forward
#
# $$L = \tanh(u\,v + w), \qquad u = 2,\quad v = -3,\quad w = 6.5$$
#
# `requires_grad=True` says: write down whatever is computed from this number. That record is the *tape*. Inside
# `record_values()` the tape also keeps every intermediate value, so that we can look at them; training does without.

# %%
u = tg.Tensor(2.0, requires_grad=True, dtype="float64")
v = tg.Tensor(-3.0, requires_grad=True, dtype="float64")
w = tg.Tensor(6.5, requires_grad=True, dtype="float64")

with tg.record_values():
    p = u * v  # -6
    s = p + w  # 0.5
    L = s.tanh()  # tanh(0.5)

p, s, L

# %% [markdown]
# Each result knows the operation that made it (`op=mul`, `op=add`, `op=tanh`). Python's own arithmetic agrees:

# %%
assert p.item() == 2.0 * -3.0 == -6.0
assert s.item() == -6.0 + 6.5 == 0.5
assert isclose(L.item(), np.tanh(0.5), rel_tol=1e-15)

# %% [markdown]
# This is the graph. Values are there; gradients are *not computed yet*, which is not the same as 0.
# The small letters on the arrows are the operations' own names for what goes in: `mul(a, b)`, `add(a, b)`.

# %%
names = {"u": u, "v": v, "w": w, "p": p, "s": s, "L": L}
L.graph(names=names)

# %% [markdown]
# ## 2. The chain rule, by hand
#
# We ask how much $L$ changes when each number changes a little, and we ask from the end to the beginning.
#
# | step | forward | local derivative | its value |
# |---|---|---|---|
# | 3 | $L = \tanh(s)$ | $\partial L/\partial s = 1 - \tanh^2(s)$ | $1 - 0.4621^2 = 0.7864$ |
# | 2 | $s = p + w$ | $\partial s/\partial p = 1,\quad \partial s/\partial w = 1$ | $1,\ 1$ |
# | 1 | $p = u\,v$ | $\partial p/\partial u = v,\quad \partial p/\partial v = u$ | $-3,\ 2$ |
#
# The chain rule multiplies along the way back:

# %%
grad_s = 1.0 * (1 - np.tanh(0.5) ** 2)  # L by itself is 1, then through tanh
grad_p = grad_s * 1.0  # through the sum: handed on unchanged
grad_w = grad_s * 1.0
grad_u = grad_p * -3.0  # through the product: times the other factor
grad_v = grad_p * 2.0

print(f"dL/ds = {grad_s:.4f}\ndL/du = {grad_u:.4f}\ndL/dv = {grad_v:.4f}\ndL/dw = {grad_w:.4f}")

# %% [markdown]
# ## 3. The tape, by hand
#
# Before we call `backward()`, let us look at what it will use. A result points to its *node*. A node has the operation,
# the nodes of its inputs, and the values that its gradient rule will read. In training nothing else is kept.

# %%
from tinygrad_mlp.tape import consumers_first

letter = {node: name for name, tensor in names.items() if (node := tensor.node)}

for node in consumers_first([L.node]):
    if node.plan:
        inputs = ", ".join(letter[source] for source in node.inputs)
        kept = ", ".join(f"{value:g}" for value in node.kept) or "nothing"
        print(f"{letter[node]} = {node.plan.op.name}({inputs})   its rule reads: {kept}")
    else:
        print(f"{letter[node]}   a leaf: gradients arrive here")

# %% [markdown]
# * `mul` keeps both factors: the derivative by one is the other.
# * `add` keeps nothing: its derivative is 1.
# * `tanh` keeps its input.
#
# `consumers_first` lists a node only after everything that used it. So when we reach a node, its gradient is complete,
# and one pass is enough. That pass *is* backpropagation, and here it is in full:

# %%
gradient = {L.node: np.array(1.0)}

for node in consumers_first([L.node]):
    if node.plan:  # leaves have none
        contributions = node.plan.pull(gradient[node], node.kept, node.inputs)
        for source, contribution in zip(node.inputs, contributions, strict=True):
            gradient[source] = gradient.get(source, 0.0) + contribution

for name in "Lspwvu":
    print(f"dL/d{name} = {gradient[names[name].node]:+.4f}")

assert isclose(gradient[u.node], grad_u, rel_tol=1e-14)
assert isclose(gradient[v.node], grad_v, rel_tol=1e-14)
assert isclose(gradient[w.node], grad_w, rel_tol=1e-14)

# %% [markdown]
# ## 4. backward()
#
# The engine does the same walk, and adds the gradients of the leaves to `.grad`.

# %%
L.backward()

for name in "uvw":
    print(f"{name}.grad = {names[name].grad.item():+.4f}")

assert isclose(u.grad.item(), grad_u, rel_tol=1e-14)
assert isclose(v.grad.item(), grad_v, rel_tol=1e-14)
assert isclose(w.grad.item(), grad_w, rel_tol=1e-14)

# %% [markdown]
# The same picture again, now with a gradient on every node. Follow it from right to left.

# %%
L.graph(names=names)

# %% [markdown]
# ### Do not take our word for it
#
# Pencil and engine could share a mistake. An independent answer: move `u` by a tiny *imaginary* step and read the
# derivative off the imaginary part. Nothing is subtracted, so nothing is rounded away.

# %%
h = 1e-20
by_complex_step = np.tanh((2.0 + 1j * h) * -3.0 + 6.5).imag / h
print(f"complex step {by_complex_step:.15f}\nengine       {u.grad.item():.15f}")
assert isclose(u.grad.item(), by_complex_step, rel_tol=1e-14)

# %% [markdown]
# ## 5. Three things that surprise people
#
# **The walk lets go of what it used.** After `backward()` the kept values are gone, and their memory with them. Walking
# the same graph again is an error that says what to do.

# %%
assert L.node.kept is None

try:
    L.backward()
except tg.errors.ReleasedGraphError as error:
    print(error)
else:
    raise AssertionError("a released graph must not be walked again")

# %% [markdown]
# **Gradients add up.** A second expression adds to what is there. That is useful (a large batch in two halves) and the
# most common mistake in training loops: forget to clear, and old gradients steer the new step.

# %%
before = u.grad.item()
(u * 10.0).backward()
print(f"{before:+.4f} + 10 = {u.grad.item():+.4f}")
assert isclose(u.grad.item(), before + 10.0, rel_tol=1e-15)

u.grad = None  # for a whole model: optimizer.zero_grad()

# %% [markdown]
# **A value used several times gets a gradient from each use, and they are summed.** In $y = x\,x + x$ the number $x$ is
# used three times. At $x = 4$ the two factors contribute $4 + 4$, the sum contributes $1$: together $2x + 1 = 9$.

# %%
x = tg.Tensor(4.0, requires_grad=True)
with tg.record_values():
    y = x * x + x
y.backward()
assert x.grad.item() == 2 * 4.0 + 1 == 9.0
y.graph(names={"x": x, "y": y})

# %% [markdown]
# ## 6. The same engine trains a network
#
# Three spiral arms: no straight line separates them. The network has two inputs, two hidden layers of 32, and one score
# per arm.

# %%
from tinygrad_mlp import nn, optim
from tinygrad_mlp.datasets import make_spiral

X, arm = make_spiral(100, noise=0.15, classes=3, seed=0)
model = nn.MLP(2, 32, 32, 3, seed=0)
loss_of = nn.CrossEntropyLoss()
optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
model.summary()

# %% [markdown]
# One more gradient by hand, on this real network. With softmax and cross-entropy, the gradient of the last layer's bias
# is the mean over the samples of *probability minus truth*, $\frac1n\sum_i (p_i - t_i)$:

# %%
scores = model(X)
loss_of(scores, arm).backward()

shifted = np.exp(scores.data - scores.data.max(axis=1, keepdims=True))
probability = shifted / shifted.sum(axis=1, keepdims=True)
truth = np.eye(3)[arm]
by_hand = (probability - truth).mean(axis=0)

print("by hand ", by_hand.round(6))
print("backward", model[-1].bias.grad.data.round(6))
assert np.allclose(model[-1].bias.grad.data, by_hand, atol=1e-6)

# %% [markdown]
# The training loop is five lines. You know what each of them does.

# %%
losses = []
for _ in range(400):
    optimizer.zero_grad()  # forget the old gradients
    scores = model(X)  # forward: the tape is written
    loss = loss_of(scores, arm)
    loss.backward()  # backward: the tape is read
    optimizer.step()  # move every parameter against its gradient
    losses.append(loss.item())

accuracy = (model(X).data.argmax(axis=1) == arm).mean()
print(f"loss {losses[0]:.3f} -> {losses[-1]:.3f}, {accuracy:.1%} of the points on the right arm")
assert losses[-1] < 0.1
assert accuracy > 0.97

# %% [markdown]
# On the left the loss, step by step, on a logarithmic scale. On the right what the network answers everywhere in the
# plane: the colour is the arm with the highest score, and it is paler where the network is less sure.

# %%
import matplotlib.pyplot as plt

COLOURS = np.array([[0.00, 0.45, 0.70], [0.90, 0.55, 0.00], [0.00, 0.62, 0.45]])  # after Okabe and Ito, for all eyes

side = np.linspace(-1.15, 1.15, 300, dtype=np.float32)
plane = np.stack(np.meshgrid(side, side), axis=-1)
with tg.no_grad():  # only answers are wanted, so no tape
    sure = nn.functional.softmax(model(plane.reshape(-1, 2))).data
strength = np.clip((sure.max(axis=1, keepdims=True) - 1 / 3) * 1.5, 0, 1) * 0.45
picture = (1 - strength) + strength * COLOURS[sure.argmax(axis=1)]

figure, (curve, regions) = plt.subplots(1, 2, figsize=(10, 4.4), width_ratios=[1.15, 1], layout="constrained")
curve.semilogy(losses, color="0.25", linewidth=1.5)
curve.set(title="Loss falls", xlabel="step", ylabel="cross-entropy")
curve.grid(alpha=0.25, which="both")
curve.spines[["top", "right"]].set_visible(False)

regions.imshow(picture.reshape(300, 300, 3), origin="lower", extent=(side[0], side[-1]) * 2)
regions.scatter(*X.T, c=COLOURS[arm], s=16, edgecolors="white", linewidths=0.5)
regions.set(title=f"Three arms told apart: {accuracy:.0%} right", xlabel="$x_1$", ylabel="$x_2$")
regions.set(xticks=[-1, 0, 1], yticks=[-1, 0, 1])
plt.show()

# %% [markdown]
# ## What you have seen
#
# * An operation computes its result and leaves a node behind: which operation, which inputs, which values.
# * `backward()` walks the nodes, consumers first, and multiplies by one local derivative per step.
# * Contributions to one node are summed; leaves keep the sum in `.grad`.
# * A network is only a longer expression.
#
# **Try it.** Change `tanh` to `exp` in section 1 and redo the table by hand. Remove `optimizer.zero_grad()` and watch
# the loss. Take out the hidden layers, `nn.MLP(2, 3)`, and see three straight cuts: all that a single layer can do.
#
# **Read on.** The whole walk is in `tinygrad_mlp/tape.py`, a file to read in ten minutes. Every operation with its rule
# is in `tinygrad_mlp/ops/`.
