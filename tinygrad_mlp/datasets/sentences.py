"""Sentences made from templates, with a known rule: text for lessons and tests that need no file."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentError
from .randomness import as_generator

__all__ = ["make_sentences"]

GOOD = ("good", "great", "moving", "funny", "brilliant", "charming", "gripping", "lovely")
BAD = ("bad", "dull", "boring", "awful", "clumsy", "tedious", "stale", "silly")
THINGS = ("film", "plot", "story", "cast", "acting", "music", "ending", "dialogue")
PLAIN = (
    "the {thing} is {word}",
    "a {word} {thing}",
    "i found the {thing} {word}",
    "what a {word} {thing} this is",
    "the {thing} and the {other} are {word}",
)
DENIED = (
    "the {thing} is not {word}",
    "hardly a {word} {thing}",
    "nobody would call the {thing} {word}",
    "i never found the {thing} {word}",
)


def make_sentences(
    n: int = 1000, negated: float = 0.3, *, seed: int | None = None, rng: np.random.Generator | None = None
) -> tuple[list[str], NDArray[np.int64]]:
    """Short sentences that praise (label 1) or blame (label 0), half of them each.

    A share of them denies the opposite ("the plot is not dull"), so that counting words is not enough: a reader has to
    keep a word in mind until another comes.

    Args:
        n: how many. negated: the share that denies, from 0 to 1. seed, rng: as for the other generators.

    Returns:
        The sentences, and their labels (n,).

    Raises:
        ArgumentError: ``n`` is negative, or ``negated`` is no share.

    >>> sentences, labels = make_sentences(4, seed=0)
    >>> len(sentences), labels.tolist()
    (4, [0, 1, 0, 1])
    """
    if n < 0 or not 0 <= negated <= 1:
        raise ArgumentError(f"expected n >= 0 and a share 0 <= negated <= 1, got n={n}, negated={negated}")
    random = as_generator(seed, rng)
    sentences = []
    for place in range(n):
        praises, denies = bool(place % 2), random.random() < negated
        words = GOOD if praises is not denies else BAD
        templates = DENIED if denies else PLAIN
        thing, other = random.choice(len(THINGS), 2, replace=False)
        sentences.append(
            templates[random.integers(len(templates))].format(
                thing=THINGS[thing], other=THINGS[other], word=words[random.integers(len(words))]
            )
        )
    return sentences, np.arange(n, dtype=np.int64) % 2
