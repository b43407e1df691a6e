# %% [markdown]
# # Praise or blame? A text classifier
#
# Ten thousand sentences from film reviews, and a network that reads them word by word. You will see how words become
# numbers, what an *LSTM* remembers, why such a network over-fits so quickly, and how to read an error message together:
# the one everybody gets who feeds it data of the wrong shape.

# %%
from textwrap import shorten

import matplotlib.pyplot as plt
import numpy as np

from tinygrad_mlp import datasets, errors, viz
from tinygrad_mlp.keras import Sequential
from tinygrad_mlp.keras.layers import LSTM, Dense, Dropout, Embedding
from tinygrad_mlp.keras.utils import pad_sequences, set_random_seed, to_categorical
from tinygrad_mlp.viz.style import COLORS, tidy

# %% [markdown]
# ## 1. The sentences
#
# Twenty people rated each sentence; here only the sign of the mean counts: 1 is praise, 0 is blame. Both are about
# equally frequent, so guessing is right half of the time.

# %%
reviews = datasets.load_movie_reviews()
train, test, y_train, y_test = datasets.train_test_split(
    np.array(reviews.sentences, dtype=object), reviews.labels, test_size=0.2, seed=0
)
print(f"{len(train)} sentences to learn from, {len(test)} to test with, {y_train.mean():.0%} of them praise\n")
for sentence, label in zip(train[:6], y_train[:6], strict=True):
    print("praise:" if label else "blame: ", sentence)

# %% [markdown]
# ## 2. Words become numbers
#
# A *vocabulary* gives each word an id: the more frequent, the smaller. We keep 6,000 ids. 0 is padding, and 1 stands
# for every word that is not in the vocabulary. It is made of the training sentences alone: the test must not leak
# into it.

# %%
WORDS, LENGTH = 6000, 32

vocabulary = datasets.Vocabulary.fit(train, max_size=WORDS)
ids = vocabulary.encode(train[:1])[0]
print(train[0])
print(ids)
print(vocabulary.decode(ids))

# %% [markdown]
# An array needs rows of one length. Short sentences get zeros in front, long ones lose their beginning: the network
# reads from left to right, and the last words should be real ones. Labels become *one-hot*: a row per sentence with a 1
# in the column of its class.

# %%
X_train = pad_sequences(vocabulary.encode(train), maxlen=LENGTH)
X_test = pad_sequences(vocabulary.encode(test), maxlen=LENGTH)
Y_train, Y_test = to_categorical(y_train), to_categorical(y_test)
X_train.shape, Y_train.shape

# %% [markdown]
# ## 3. The network
#
# * `Embedding` is a table: for each of the 6,000 ids a row of 32 numbers, which are learned like all other weights.
# * `LSTM` reads the rows one after the other and keeps 16 numbers in mind, its *state*. Gates decide what to forget,
#   what to write and what to show. Its output is the state after the last word.
# * `Dropout(0.5)` sets half of the numbers to 0 in training, others in every batch: nothing may depend on one of them.
# * `Dense(2, "softmax")` makes two probabilities of the state: blame and praise.

# %%
set_random_seed(0)

model = Sequential(
    [
        Embedding(WORDS, 32, input_length=LENGTH),
        Dropout(0.5),
        LSTM(16),
        Dropout(0.5),
        Dense(2, activation="softmax"),
    ]
)
model.summary()

assert model.layers[0].count_params() == 6000 * 32
assert model.layers[2].count_params() == 4 * (32 + 16 + 1) * 16  # four gates: inputs, state, bias
assert model.layers[4].count_params() == 16 * 2 + 2

# %% [markdown]
# ## 4. Training
#
# A tenth of the training sentences is held out to watch over-fitting.

# %%
model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
history = model.fit(X_train, Y_train, epochs=8, batch_size=64, validation_split=0.1, verbose=2)

# %%
figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.4), layout="constrained")
viz.plot_curve(history.history, "loss", ax=axes[0])
viz.plot_curve(history.history, "accuracy", ax=axes[1])
plt.show()

# %% [markdown]
# The two curves of the loss part after a few epochs. The network learns the training sentences by heart (it has 192,000
# numbers in its table and fewer than 8,000 sentences), and on the held-out ones it gets *surer* without getting better:
# wrong answers cost more and more. The accuracy hardly suffers, the loss does.

# %%
training, validation = history.history["loss"], history.history["val_loss"]
assert training == sorted(training, reverse=True)
assert min(validation) < validation[-1]  # over-fitting: it has been better before

# %% [markdown]
# ## 5. The test
#
# A strong and simple rival: scikit-learn counts words, gives rare ones more weight (*TF-IDF*), and weighs
# them up as one neuron would (*logistic regression*). The order of words means nothing to it.

# %%
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

rival = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(train, y_train)
loss, accuracy = model.evaluate(X_test, Y_test, verbose=0)

print(f"rival {rival.score(test, y_test):.1%}, our network {accuracy:.1%} of {len(test)} unseen sentences right")
assert accuracy > 0.72
assert rival.score(test, y_test) > accuracy - 0.03

# %% [markdown]
# On so few sentences counting words is hard to beat: most of what an order of words could tell is rarer than the words
# themselves.
#
# How sure is our network, and what does it get wrong? The surest right answers on either side, and the surest mistakes:

# %%
praise = model.predict(X_test)[:, 1]
right = (praise > 0.5) == y_test
order = praise.argsort()

for title, chosen in (
    ("surely praise, and right", order[right[order]][:-4:-1]),
    ("surely blame, and right", order[right[order]][:3]),
    ("surely praise, and wrong", order[~right[order]][:-4:-1]),
    ("surely blame, and wrong", order[~right[order]][:3]),
):
    print(title.upper())
    for place in chosen:
        print(f"  {praise[place]:6.1%}  {shorten(test[place], 110)}")

# %% [markdown]
# ## 6. Word by word
#
# An LSTM has an opinion after every word. We ask it for every beginning of a sentence: one word, two words, and so on.
# The third sentence is a trap.

# %%
_, rows = plt.subplots(3, 1, figsize=(9, 6.6), layout="constrained")
for axes, sentence in zip(
    rows,
    [
        "a wonderful film full of warmth and humor",
        "it starts with great charm but becomes dull and predictable",
        "not the dull mess i feared but a moving and funny film",
    ],
    strict=True,
):
    words = sentence.split()
    beginnings = [" ".join(words[: count + 1]) for count in range(len(words))]
    opinion = model.predict(pad_sequences(vocabulary.encode(beginnings), maxlen=LENGTH))[:, 1]
    places = np.arange(len(words))
    axes.axhline(0.5, color="0.7", linewidth=1)
    axes.bar(places, opinion - 0.5, bottom=0.5, color=[COLORS[2] if one > 0.5 else COLORS[1] for one in opinion])
    axes.set_xticks(places, words)
    axes.set(ylim=(0, 1), yticks=[0, 0.5, 1])
    tidy(
        axes, f"{'praise' if opinion[-1] > 0.5 else 'blame'}, {max(opinion[-1], 1 - opinion[-1]):.0%}", "", "P(praise)"
    )
plt.show()

# %% [markdown]
# ## 7. Single words
#
# What has it learned about words? Each dot is a word that stands in at least thirty training sentences: how many of
# these are praise, and what the network says to the word alone. It has found out by itself which words count; what
# stands in the middle, "the" or "film", says nothing.

# %%
holds = np.zeros((len(train), WORDS), dtype=bool)
holds[np.arange(len(train))[:, None], X_train] = True
often = np.flatnonzero(holds.sum(axis=0) >= 30)
often = often[often > 1]  # neither padding nor unknown
share = (holds[:, often] & (y_train == 1)[:, None]).sum(axis=0) / holds[:, often].sum(axis=0)
alone = model.predict(pad_sequences(often[:, None].tolist(), maxlen=LENGTH))[:, 1]

_, axes = plt.subplots(figsize=(8, 5.6), layout="constrained")
axes.scatter(share, alone, s=12, color="0.75")
labelled = {
    "moving",
    "funny",
    "best",
    "heart",
    "enjoyable",
    "film",
    "the",
    "not",
    "too",
    "dull",
    "bad",
    "worst",
    "plot",
}
for place, word in enumerate(often):
    if vocabulary.words[word] in labelled:
        color = COLORS[2] if alone[place] > 0.5 else COLORS[1]
        axes.scatter(share[place], alone[place], s=24, color=color)
        axes.annotate(vocabulary.words[word], (share[place], alone[place]), (5, 4), textcoords="offset points")
tidy(axes, "Words alone", "share of praise among the sentences with the word", "P(praise) of the word alone", grid=True)
plt.show()

together = np.corrcoef(share, alone)[0, 1]
print(f"{len(often)} words, correlation {together:.2f}")
assert together > 0.7

# %% [markdown]
# ## 8. An error message, read together
#
# Many recurrent layers want three axes, *(samples, steps, features)*. So somebody adds an axis to the ids, and gets
# this:

# %%
deeper = X_train.reshape(-1, LENGTH, 1)

try:
    model.fit(deeper, Y_train, verbose=0)
except errors.ShapeError as error:
    message = str(error)
    print("ShapeError:", message)
else:
    raise AssertionError("data with an axis too many must be refused")

# %% [markdown]
# Read it from left to right; it answers four questions.
#
# | question | answer in the message |
# |---|---|
# | *Which layer?* | `its first layer embedding (Embedding)` |
# | *What did it expect?* | `(None, 32)`: any number of sentences, 32 ids each |
# | *What did it get?* | an array with `3 axes instead of 2`: `(8454, 32, 1)` |
# | *What do I write?* | `x.reshape(-1, 32)` |
#
# It was the `Embedding` that did not fit, not the `LSTM`: *it* makes the third axis, by looking up a row per id. So the
# line that mends it takes the axis away again:

# %%
assert all(
    part in message for part in ("embedding (Embedding)", "(None, 32)", "(8454, 32, 1)", "say x.reshape(-1, 32)")
)

mended = deeper.reshape(-1, 32)
print(model.predict(mended[:3]).round(2))

# %% [markdown]
# And the other way round: without an `Embedding` in front, it *is* the `LSTM` that misses an axis, when the model is
# made.

# %%
try:
    Sequential([LSTM(16, input_shape=(LENGTH,)), Dense(2, activation="softmax")])
except errors.ShapeError as error:
    print("ShapeError:", error)
else:
    raise AssertionError("an LSTM without features must be refused")

# %% [markdown]
# ## What to try
#
# * Write sentences of your own into section 6. Can you fool it? Try irony, and *not*.
# * `EarlyStopping(patience=1, restore_best_weights=True)` from `tinygrad_mlp.keras.callbacks` in `fit(callbacks=[…])`:
#   where does training end, and what does `evaluate` say then?
# * Without the two `Dropout` layers: how soon do the curves part?
# * `GRU(16)` or `SimpleRNN(16)` instead of `LSTM(16)`.
# * `Embedding(…, mask_zero=True)` skips the padding. With `padding="post"` it matters much more: try all four.
