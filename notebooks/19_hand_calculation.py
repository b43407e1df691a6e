# %% [markdown]
# # One training step, on the board
#
# Three inputs, two hidden units, one output, one sample: small enough to calculate by hand, and every lecture does it
# once. Here the engine writes the board. Nothing in it knows this network: it looks at the tape, and at what each
# operation says of itself. You will see the whole calculation, check it with plain NumPy, go through it step by step,
# and find out what it looks like when something is wrong.

# %%
import numpy as np

import tinygrad_mlp as tg
from tinygrad_mlp import nn

# %% [markdown]
# ## 1. The network
#
# Weights that one can calculate with. The hidden units are sigmoid units, the output is linear, and the loss is the
# squared error.

# %%
model = nn.MLP(3, 2, 1, activation="sigmoid", seed=0, dtype="float64")
weights = [[[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]], [0.1, -0.2], [[0.7, -0.8]], [0.2]]
for parameter, values in zip(model.parameters(), weights, strict=True):
    parameter.data[...] = values

x = np.array([[1.0, 0.5, -1.5]])
t = np.array([[1.0]])

# %% [markdown]
# ## 2. The board
#
# `record_values` keeps every number on the way. `explain` then writes what a lecturer writes: the weighted sums $z$,
# the outputs $a$, on the way back the error signals $\delta$ (what the loss would change by if $z$ did), the
# gradients, and the new weights for a learning rate of 0.5.

# %%
with tg.record_values():
    L = nn.MSELoss()(model(x), t)

board = tg.explain(L, names=[model, {"x": x, "t": t, "L": L}], lr=0.5)
print(board)

# %% [markdown]
# The same as formulas; a notebook typesets them.

# %%
board

# %% [markdown]
# ## 3. Is it right?
#
# The lecture's formulas, written by hand in NumPy.

# %%
W1, b1, W2, b2 = (np.array(values) for values in weights)
z1 = x @ W1.T + b1
a1 = 1 / (1 + np.exp(-z1))
z2 = a1 @ W2.T + b2
delta2 = 2 * (z2 - t)
delta1 = (delta2 @ W2) * a1 * (1 - a1)
by_hand = {
    "z₁": z1,
    "a₁": a1,
    "z₂": z2,
    "δ₂": delta2,
    "δ₁": delta1,
    "dL/dW₁": delta1.T @ x,
    "dL/dW₂": delta2.T @ a1,
}
on_the_board = {line.text.partition(" = ")[0]: line.value for line in board.lines}
for name, value in by_hand.items():
    apart = np.abs(on_the_board[name] - value).max()
    print(f"{name:7s} largest difference {apart:.0e}")
    assert apart < 1e-15

# %% [markdown]
# ## 4. Step by step
#
# Backward the tape is read from its end. Each step takes the gradient that has arrived, and hands it on to what the
# operation had read: times the local derivative, which the engine derives from the operation's own rule.

# %%
for step in L.backward_steps(names=[model, {"x": x, "t": t, "L": L}]):
    print(step)

# %% [markdown]
# And as a picture to go through: the bar below it steps forward and backward, a click on a node shows its numbers.
# Here it is a single neuron, in which one weight is used twice: what comes together at a fan-out is a sum.

# %%
w, u, b = (tg.Tensor(value, requires_grad=True) for value in (2.0, -3.0, 6.5))
with tg.record_values():
    y = (w * u + b).tanh() * w
y.backward()
neuron = y.graph(names={"w": w, "u": u, "b": b, "y": y})
assert "together 0.4621 + (-4.719) = -4.257" in neuron.derivation()
neuron

# %% [markdown]
# ## 5. What a step changes
#
# The step is made now, and the two graphs are laid over each other: how much did each number move, relative to its
# size?

# %%
from tinygrad_mlp import optim

before = L.graph(names=[model, {"x": x, "t": t, "L": L}])
optim.SGD(model.parameters(), lr=0.5).step()
with tg.record_values():
    L_after = nn.MSELoss()(model(x), t)
after = L_after.graph(names=[model, {"x": x, "t": t, "L": L_after}])

print(f"loss {L.item():.4f} before, {L_after.item():.4f} after")
for node in before.diff(after).nodes:
    if node.change.kind == "changed":
        print(f"{node.name or node.op:10s} moved by {node.change.value:6.1%}")
assert L_after.item() < L.item()

# %% [markdown]
# ## 6. When something is wrong
#
# Large first weights push the sigmoids to the ends of their range. There they are flat: the gradient that passes
# through is nearly 0, and what lies before them no longer learns. `health` reads that off the graph.

# %%
rng = np.random.default_rng(0)
saturated = nn.MLP(3, 8, 8, 1, activation="sigmoid", seed=0, dtype="float64")
saturated[0].weight.data *= 100
with tg.record_values():
    loss = nn.MSELoss()(saturated(rng.normal(size=(32, 3))), np.ones((32, 1)))
loss.backward()
health = loss.graph(names=saturated).health(lr=0.1)
print(health)
assert any(finding.kind == "saturated" for _, finding in health.findings)

# %% [markdown]
# ## What you have seen
#
# * A training step is a page of arithmetic. The engine can write it down, because it did nothing else.
# * Backward means: take what has arrived, times the local derivative, to each operand; at a fan-out add.
# * Looking at the numbers finds what a falling or a flat loss only hints at.
#
# **What to try.**
#
# * `activation="tanh"` and `"relu"` in section 1. Which line of the board changes, and to what?
# * Two samples instead of one. Where does the sum over the samples come in?
# * `nn.BCEWithLogitsLoss()` in place of the squared error: what becomes of $\delta_2$?
# * `learning rate` 5 in section 2: calculate the loss after that step. Is it still lower?
# * `neuron.save("neuron.html")`, and open it on your phone.
