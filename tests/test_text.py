"""Text: words and their ids, sequences of one length, sentences from templates, film reviews and a reader of them."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygrad_mlp import nn, train
from tinygrad_mlp.datasets import (
    Vocabulary,
    load_movie_reviews,
    make_sentences,
    pad_sequences,
    reviews,
    train_test_split,
    words_of,
)
from tinygrad_mlp.errors import ArgumentError, ChecksumError, DataNotFoundError, DTypeError, ShapeError

# --- words and ids --------------------------------------------------------------------------------


def test_words_are_lower_case_and_keep_their_apostrophes() -> None:
    assert words_of("Don't -- 'quote' me: É 3.5/5, rock'n'roll!") == [
        "don't",
        "quote",
        "me",
        "é",
        "3",
        "5",
        "5",
        "rock'n'roll",
    ]
    assert words_of(" ... ") == []
    with pytest.raises(DTypeError, match="expected a string, got list"):
        words_of(["a"])  # type: ignore[arg-type]


def test_ids_go_by_frequency_then_by_first_occurrence() -> None:
    vocabulary = Vocabulary.fit(["b a", "c a", "c a d"])
    assert vocabulary.words == ("", "?", "a", "c", "b", "d")
    assert len(vocabulary) == 6
    assert vocabulary.encode(["a B z", ""]) == [[2, 4, 1], []]
    assert vocabulary.decode([0, 0, 2, 1, 5]) == "a ? d"


def test_a_vocabulary_may_be_cut() -> None:
    texts = ["b a", "c a", "c a d"]
    assert Vocabulary.fit(texts, max_size=4).words == ("", "?", "a", "c")
    assert Vocabulary.fit(texts, min_count=2).words == ("", "?", "a", "c")
    assert Vocabulary.fit(texts, max_size=2).encode(texts) == [[1, 1], [1, 1], [1, 1, 1]]
    with pytest.raises(ArgumentError, match="at least 2, got 1"):
        Vocabulary.fit(texts, max_size=1)


def test_one_string_is_not_a_list_of_letters() -> None:
    for call in (Vocabulary.fit, Vocabulary.fit(["a"]).encode):
        with pytest.raises(DTypeError, match=r"say \[text\]"):
            call("a b")
    with pytest.raises(ArgumentError, match=r"0\.\.2, got 3"):
        Vocabulary.fit(["a"]).decode([3])


@given(st.lists(st.text(max_size=20), max_size=5))
def test_every_text_can_be_encoded_and_its_own_words_come_back(texts: list[str]) -> None:
    vocabulary = Vocabulary.fit(texts)
    for text, ids in zip(texts, vocabulary.encode(texts), strict=True):
        assert vocabulary.decode(ids).split() == words_of(text)
        assert Vocabulary.UNKNOWN not in ids


# --- sequences of one length ----------------------------------------------------------------------

SIDES = st.sampled_from(["pre", "post"])
ROWS = st.lists(st.lists(st.integers(1, 9), max_size=4), max_size=4)


@given(
    ROWS, st.none() | st.integers(1, 5), SIDES, SIDES, st.sampled_from([0, -1]), st.sampled_from(["int32", "float32"])
)
@settings(max_examples=50)
def test_padding_is_kerass(
    rows: Any, maxlen: int | None, padding: str, truncating: str, value: int, dtype: str
) -> None:
    keras = pytest.importorskip("keras")
    options = {"maxlen": maxlen, "dtype": dtype, "padding": padding, "truncating": truncating, "value": value}
    mine = pad_sequences(rows, **options)
    right = keras.utils.pad_sequences(rows, **options) if rows else np.zeros((0, maxlen or 0), dtype)
    assert mine.dtype == right.dtype
    assert np.array_equal(mine, right)


def test_padding_by_hand() -> None:
    """What the arguments mean, for where Keras is not installed; vectors are padded with vectors."""
    rows = [[1], [2, 3, 4]]
    assert pad_sequences(rows).tolist() == [[0, 0, 1], [2, 3, 4]]
    assert pad_sequences(rows, 2).tolist() == [[0, 1], [3, 4]]
    assert pad_sequences(rows, 2, padding="post", truncating="post", value=-1).tolist() == [[1, -1], [2, 3]]
    assert pad_sequences([[[1, 2]], [[3, 4], [5, 6]]]).tolist() == [[[0, 0], [1, 2]], [[3, 4], [5, 6]]]


def test_padding_refuses_what_it_cannot_do() -> None:
    with pytest.raises(ArgumentError, match="padding is 'pre' or 'post', got 'left'"):
        pad_sequences([[1]], padding="left")
    with pytest.raises(ArgumentError, match="truncating is 'pre' or 'post'"):
        pad_sequences([[1]], truncating="")
    with pytest.raises(ArgumentError, match=r"one sequence alone is \[sequence\]"):
        pad_sequences([1, 2])  # type: ignore[list-item]
    with pytest.raises(ShapeError, match=r"vectors of one shape, got \[\(2,\), \(3,\)\]"):
        pad_sequences([[[1, 2]], [[1, 2, 3]]])


# --- sentences made from templates ----------------------------------------------------------------


def test_sentences_come_from_the_seed_and_deny_as_often_as_asked() -> None:
    sentences, labels = make_sentences(400, seed=1)
    assert make_sentences(400, seed=1)[0] == sentences
    assert make_sentences(400, rng=np.random.default_rng(1))[0] == sentences
    assert labels.sum() == 200
    denials = sum(any(sign in one for sign in ("not", "hardly", "nobody", "never")) for one in sentences)
    assert denials / 400 == pytest.approx(0.3, abs=0.06)
    assert make_sentences(0)[0] == []
    with pytest.raises(ArgumentError, match=r"negated=1\.5"):
        make_sentences(3, negated=1.5)


def test_the_rule_of_the_sentences_is_in_their_words() -> None:
    from tinygrad_mlp.datasets.sentences import GOOD

    for sentence, label in zip(*make_sentences(300, seed=2), strict=True):
        words = set(words_of(sentence))
        denied = bool(words & {"not", "hardly", "nobody", "never"})
        assert label == (bool(words & set(GOOD)) is not denied)


class Classifier(nn.Module):
    """Embedding, dropout, LSTM, dropout, two logits."""

    def __init__(self, size: int, dim: int = 16, hidden: int = 16, drop: float = 0.5) -> None:
        super().__init__()
        self.embedding = nn.Embedding(size, dim, padding_idx=0, seed=0)
        self.before = nn.Dropout(drop, seed=1)
        self.lstm = nn.LSTM(dim, hidden, batch_first=True, seed=2)
        self.behind = nn.Dropout(drop, seed=3)
        self.dense = nn.Linear(hidden, 2, seed=4)

    def forward(self, ids: Any) -> Any:
        output, _ = self.lstm(self.before(self.embedding(ids)))
        return self.dense(self.behind(output[:, -1]))


def test_an_lstm_learns_what_denying_means() -> None:
    """Counting words cannot pass the share of sentences that deny nothing; the LSTM gets all of them right."""
    sentences, labels = make_sentences(600, negated=0.5, seed=3)
    vocabulary = Vocabulary.fit(sentences)
    ids = pad_sequences(vocabulary.encode(sentences))
    model = Classifier(len(vocabulary), drop=0.0)
    history = train.fit(model, ids[:500], labels[:500], epochs=8, batch_size=25, lr=0.02, seed=0, verbose=0)
    assert history.history["loss"][-1] < 0.1
    assert train.evaluate(model, ids[500:], labels[500:])["accuracy"] > 0.97


# --- the reviews ----------------------------------------------------------------------------------

CONTENT = "1\t2.5\tFine, 'really' fine\r\n2\t-1.25\tDull\u2028dull\r\n3\t0\tA film\r\n4\t-0.5\tno\tend"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of four sentences, and its published hash; no other place has one."""
    content = CONTENT.encode()
    monkeypatch.setattr(reviews, "SIZE", len(content))
    monkeypatch.setattr(reviews, "SHA256", hashlib.sha256(content).hexdigest())
    monkeypatch.delenv("TINYGRAD_MLP_DATA", raising=False)
    monkeypatch.setattr(reviews, "cache_folder", lambda: tmp_path / "cache")
    path = tmp_path / "given" / reviews.FILE
    path.parent.mkdir()
    path.write_bytes(content)
    return path


def test_sentences_labels_and_ratings(file: Path) -> None:
    """Lines end where the file says, not at every character that Unicode calls a line end."""
    found = load_movie_reviews(file)
    assert found.sentences == ["Fine, 'really' fine", "Dull\u2028dull", "no\tend"]
    assert found.labels.tolist() == [1, 0, 0]
    assert found.ratings.tolist() == [2.5, -1.25, -0.5]
    assert load_movie_reviews(file, neutral=True).ratings.tolist() == [2.5, -1.25, 0, -0.5]


@pytest.mark.parametrize("inside", [".", "hutto_ICWSM_2014", "movie-reviews"])
def test_the_file_is_found_where_it_was_unpacked(file: Path, inside: str, monkeypatch: pytest.MonkeyPatch) -> None:
    root = file.parent.parent / "data"
    (root / inside).mkdir(parents=True)
    file.rename(root / inside / reviews.FILE)
    assert len(load_movie_reviews(root).labels) == 3
    monkeypatch.setenv("TINYGRAD_MLP_DATA", str(root))
    assert len(load_movie_reviews().labels) == 3


def test_the_cache_is_looked_into_last(file: Path) -> None:
    folder = file.parent.parent / "cache" / "movie-reviews"
    folder.mkdir(parents=True)
    file.rename(folder / reviews.FILE)
    assert len(load_movie_reviews().labels) == 3


@pytest.mark.usefixtures("file")
def test_where_it_is_missing_the_message_names_three_ways(tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError) as caught:
        load_movie_reviews()
    text = str(caught.value)
    assert text.startswith(
        f"{reviews.FILE} is in none of: {tmp_path / 'cache' / 'movie-reviews'}, and $TINYGRAD_MLP_DATA is"
    )
    for part in ("1. from a package", "vaderSentiment==3.3.2", "2. with a browser", "3. by hand", "export TINYGRAD"):
        assert part in text
    with pytest.raises(DataNotFoundError, match="elsewhere"):
        load_movie_reviews(tmp_path / "elsewhere")


@pytest.mark.parametrize("change", [lambda old: old[:-1], lambda old: old + b"x", lambda old: old.replace(b"0", b"1")])
def test_a_changed_file_is_refused(file: Path, change: Callable[[bytes], bytes]) -> None:
    file.write_bytes(change(file.read_bytes()))
    with pytest.raises(ChecksumError, match=r"expected SHA-256 .* got "):
        load_movie_reviews(file)


def test_reviews_are_imported_when_they_are_named() -> None:
    import subprocess

    code = (
        "import sys, tinygrad_mlp.datasets as d; assert 'tinygrad_mlp.datasets.reviews' not in sys.modules; d.reviews"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_file_has_what_its_authors_say(real_data: Callable[[str], Any]) -> None:
    found = real_data("reviews")
    assert (found.labels.sum(), (1 - found.labels).sum()) == (5_242, 5_326)
    assert len(load_movie_reviews(neutral=True).sentences) == 10_605
    assert np.mean([len(one.split()) for one in found.sentences]) == pytest.approx(18.9, abs=0.1)


@pytest.mark.compiler
def test_an_lstm_reads_reviews(real_data: Callable[[str], Any]) -> None:
    """Embedding, dropout, LSTM, dropout, dense pass 0.70 on sentences held out, in a few seconds of training."""
    sentences, labels, _ = real_data("reviews")
    places, held_out, y, y_held_out = train_test_split(
        range(len(labels)), labels, test_size=0.2, stratify=labels, seed=0
    )
    vocabulary = Vocabulary.fit([sentences[i] for i in places], max_size=10_000)
    x, x_held_out = (pad_sequences(vocabulary.encode([sentences[i] for i in half]), 30) for half in (places, held_out))
    model = Classifier(len(vocabulary), 32, 32)
    nn.init.normal_(model.embedding.weight, std=0.1, seed=0)
    train.fit(model, x, y, epochs=3, batch_size=64, lr=0.003, seed=0, compile="native", verbose=0)
    assert train.evaluate(model, x_held_out, y_held_out)["accuracy"] > 0.70
