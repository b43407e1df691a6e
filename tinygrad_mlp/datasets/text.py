"""Text as arrays of ids: words, a vocabulary by frequency, sequences of one length."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..errors import ArgumentError, DTypeError, ShapeError

__all__ = ["Vocabulary", "pad_sequences", "words_of"]

_WORD = re.compile(r"\w+(?:'\w+)*")


def words_of(text: str) -> list[str]:
    """The words of a text in lower case; apostrophes inside a word belong to it, other marks are left out.

    >>> words_of("It's not GOOD, it's great!")
    ["it's", 'not', 'good', "it's", 'great']

    Raises:
        DTypeError: ``text`` is no string.
    """
    given: Any = text
    if not isinstance(given, str):
        raise DTypeError(f"expected a string, got {type(given).__name__}; several texts are a list of strings")
    return _WORD.findall(text.lower())


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Words and their ids: 0 is padding, 1 any word outside the vocabulary, then words by falling frequency.

    >>> vocabulary = Vocabulary.fit(["good film", "bad film"])
    >>> vocabulary.encode(["good good film", "dull film"])
    [[3, 3, 2], [1, 2]]
    >>> vocabulary.decode([3, 1, 2])
    'good ? film'

    Attributes:
        words: by id; the first two stand for padding and for unknown words.
    """

    words: tuple[str, ...]
    _ids: dict[str, int] = field(init=False, repr=False)

    PADDING = 0
    UNKNOWN = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "_ids", {word: place for place, word in enumerate(self.words) if place > self.UNKNOWN})

    @classmethod
    def fit(cls, texts: Iterable[str], max_size: int | None = None, min_count: int = 1) -> Vocabulary:
        """The words of ``texts``; of equally frequent ones that which occurs first comes first.

        Args:
            texts: strings; take those of the training set alone.
            max_size: the number of ids, padding and unknown among them. min_count: how often a word must occur.

        Raises:
            ArgumentError: ``max_size`` is less than 2. DTypeError: a text is no string.
        """
        if max_size is not None and max_size < 2:
            raise ArgumentError(f"max_size counts padding and unknown words too, so it is at least 2, got {max_size}")
        counts = Counter(word for text in _texts(texts) for word in words_of(text))
        chosen = [word for word, count in counts.most_common() if count >= min_count]
        return cls(("", "?", *chosen[: None if max_size is None else max_size - 2]))

    def __len__(self) -> int:
        return len(self.words)

    def encode(self, texts: Iterable[str]) -> list[list[int]]:
        """The ids of the words of each text."""
        known = self._ids.get
        return [[known(word, self.UNKNOWN) for word in words_of(text)] for text in _texts(texts)]

    def decode(self, ids: Iterable[int]) -> str:
        """The words of one sequence of ids, padding left out.

        Raises:
            ArgumentError: an id outside the vocabulary.
        """
        numbers = [int(one) for one in ids]
        wrong = next((one for one in numbers if not 0 <= one < len(self)), None)
        if wrong is not None:
            raise ArgumentError(f"expected ids in 0..{len(self) - 1}, got {wrong}")
        return " ".join(self.words[one] for one in numbers if one != self.PADDING)


def _texts(texts: Iterable[str]) -> Iterable[str]:
    if isinstance(texts, str):
        raise DTypeError("expected a list of strings, got one string; say [text]")
    return texts


def pad_sequences(
    sequences: Sequence[Sequence[Any]],
    maxlen: int | None = None,
    dtype: DTypeLike = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: float = 0.0,
) -> NDArray[Any]:
    """Sequences in one array ``(n, maxlen, …)``; Keras' function, with its arguments and defaults.

    >>> pad_sequences([[1, 2], [3, 4, 5, 6]], maxlen=3)
    array([[0, 1, 2],
           [4, 5, 6]], dtype=int32)

    Args:
        sequences: lists of numbers, or of vectors of one length. maxlen: the longest by default.
        dtype: of the result. padding, truncating: ``"pre"`` or ``"post"``, the side where ``value`` is filled in, and
            where what is too much is taken away. value: what is filled in.

    Raises:
        ArgumentError: another side, or something without a length among the sequences. ShapeError: vectors of different
            shapes.
    """
    for name, side in (("padding", padding), ("truncating", truncating)):
        if side not in ("pre", "post"):
            raise ArgumentError(f"{name} is 'pre' or 'post', got {side!r}")
    if not hasattr(sequences, "__len__") or not all(hasattr(one, "__len__") for one in sequences):
        raise ArgumentError("sequences is a list of lists; one sequence alone is [sequence]")
    rows = [np.asarray(one) for one in sequences]
    length = max((len(one) for one in rows), default=0) if maxlen is None else maxlen
    shapes = {one.shape[1:] for one in rows if len(one)}
    if len(shapes) > 1:
        raise ShapeError(f"sequences hold vectors of one shape, got {sorted(shapes)}")
    padded = np.full((len(rows), length, *next(iter(shapes), ())), value, dtype=dtype)
    for place, row in zip(padded, rows, strict=True):
        kept = row[max(len(row) - length, 0) :] if truncating == "pre" else row[:length]
        if len(kept):
            place[slice(len(kept)) if padding == "post" else slice(length - len(kept), length)] = kept
    return padded
