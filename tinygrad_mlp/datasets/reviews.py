"""10,605 sentences of film reviews with ratings by people: read where a user has them, never shipped.

The sentences are from rotten.tomatoes.com (Pang and Lee, ACL 2004); twenty people rated each from -4 to 4. The file is
part of the source release of the Python package vaderSentiment (MIT licence). Cite: C. J. Hutto and E. Gilbert, "VADER:
a parsimonious rule-based model for sentiment analysis of social media text", ICWSM 2014.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import ChecksumError, DataNotFoundError
from .images import ENVIRONMENT, cache_folder

__all__ = ["MovieReviews", "load_movie_reviews"]

FILE = "movieReviewSnippets_GroundTruth.txt"
SIZE, SHA256 = 1_383_098, "c8293b0d942e90e223ea2c0955d969040d1a1be514a978b9af0698940bd13350"
NAME = "movie-reviews"
FOLDERS = (".", "hutto_ICWSM_2014", NAME)

WAYS = f"""Three ways to provide {NAME}:
  1. from a package (needs setuptools):
     pip download --no-deps --no-binary vaderSentiment --no-build-isolation vaderSentiment==3.3.2
     tar xzf vaderSentiment-3.3.2.tar.gz && tar xzf vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz
     then path='hutto_ICWSM_2014'
  2. with a browser: the source release (.tar.gz) of vaderSentiment 3.3.2, unpacked as above
  3. by hand: put {FILE} into a folder DIR/{NAME},
     then export {ENVIRONMENT}=DIR, or call load_movie_reviews(path='DIR/{NAME}')"""


class MovieReviews(NamedTuple):
    """Sentences, what they say, and how strongly.

    Attributes:
        sentences: n strings. labels: (n,) int64, 1 for praise, 0 for blame: the sign of the rating.
        ratings: (n,) float64, the mean of twenty people's ratings from -4 to 4.
    """

    sentences: list[str]
    labels: NDArray[np.int64]
    ratings: NDArray[np.float64]


def load_movie_reviews(path: str | os.PathLike[str] | None = None, *, neutral: bool = False) -> MovieReviews:
    """Return 10,568 sentences of film reviews: 5,242 that praise and 5,326 that blame.

    Places, the first that has the file wins: ``path``, a file or a folder, if given, and then no other;
    ``$TINYGRAD_MLP_DATA`` or its folder ``movie-reviews``; the cache folder (``~/.cache/tinygrad-mlp/movie-reviews`` on
    Linux). In a folder it may lie where unpacking the archive leaves it. Its SHA-256 is always verified.

    Args:
        path: where to look instead. neutral: keep the 37 sentences whose rating is exactly 0, under label 0.

    Raises:
        ChecksumError: the file is not what was published.
        DataNotFoundError: no place has the file; the message names three ways to provide it.
    """
    places = [Path(path)] if path is not None else list(_places())
    file = next((found for place in places if (found := _find(place)) is not None), None)
    if file is None:
        looked = ", ".join(map(str, places))
        hint = "" if path is not None or os.environ.get(ENVIRONMENT) else f", and ${ENVIRONMENT} is not set"
        raise DataNotFoundError(f"{FILE} is in none of: {looked}{hint}.\n{WAYS}")
    sentences, ratings = _parse(_verified(file))
    if not neutral:
        kept = np.flatnonzero(ratings)
        sentences, ratings = [sentences[i] for i in kept], ratings[kept]
    return MovieReviews(sentences, (ratings > 0).astype(np.int64), ratings)


def _places() -> Iterator[Path]:
    root = os.environ.get(ENVIRONMENT)
    if root:
        yield Path(root)
    yield cache_folder() / NAME


def _find(place: Path) -> Path | None:
    candidates = [place, *[place / inside / FILE for inside in FOLDERS]]
    return next((one for one in candidates if one.is_file()), None)


def _verified(file: Path) -> bytes:
    with file.open("rb") as stream:
        content = stream.read(SIZE + 1)
    digest = hashlib.sha256(content).hexdigest()
    if digest != SHA256:
        got = f"{digest} of {'more than ' if len(content) > SIZE else ''}{min(len(content), SIZE)} bytes"
        raise ChecksumError(f"{file}: expected SHA-256 {SHA256} of {SIZE} bytes, got {got}.\n{WAYS}")
    return content


def _parse(content: bytes) -> tuple[list[str], NDArray[np.float64]]:
    # The last line has no end; splitlines would also split at the rarer line ends of Unicode.
    lines = [line for line in content.decode("utf-8").split("\r\n") if line]
    rows = [line.split("\t", 2) for line in lines]
    return [sentence for _, _, sentence in rows], np.asarray([float(rating) for _, rating, _ in rows])
