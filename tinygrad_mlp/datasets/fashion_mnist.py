"""Fashion-MNIST: 70,000 grey pictures of clothes, 28 x 28, ten classes; the drop-in successor of MNIST.

(c) 2017 Zalando SE, MIT licence. Cite: H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST: a novel image dataset for
benchmarking machine learning algorithms", arXiv:1708.07747 (2017).
"""

from __future__ import annotations

import os
from pathlib import Path

from .idx import IdxFile
from .images import ImageSet, Splits

__all__ = ["class_names", "load_data"]

class_names = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)

SET = ImageSet(
    name="fashion-mnist",
    files=(
        IdxFile(
            "train-images-idx3-ubyte",
            (60_000, 28, 28),
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        ),
        IdxFile(
            "train-labels-idx1-ubyte",
            (60_000,),
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        ),
        IdxFile(
            "t10k-images-idx3-ubyte",
            (10_000, 28, 28),
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        ),
        IdxFile(
            "t10k-labels-idx1-ubyte",
            (10_000,),
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
    ),
    mirrors=(
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
    package=(
        "sudo apt-get install dataset-fashion-mnist; without root: apt-get download dataset-fashion-mnist && "
        "dpkg-deb -x dataset-fashion-mnist_*.deb DIR, then path='DIR/usr/share/datasets/fashion-mnist'"
    ),
    system_folder=Path("/usr/share/datasets/fashion-mnist"),
)


def load_data(path: str | os.PathLike[str] | None = None, *, download: bool = True) -> Splits:
    """Return ``(x_train, y_train), (x_test, y_test)`` as Keras does, exactly the published bytes.

    Images are (60000, 28, 28) and (10000, 28, 28) uint8, 0 white to 255 black; labels are (60000,) and (10000,) uint8,
    positions in ``class_names``. For a network: ``x_train.reshape(-1, 784).astype("float32") / 255``.

    The four IDX files, plain or gzip-compressed, are taken from the first place that has them all:

    1. ``path``, if given; then no other place is tried;
    2. ``$TINYGRAD_MLP_DATA/fashion-mnist``;
    3. ``/usr/share/datasets/fashion-mnist``, where Debian's package ``dataset-fashion-mnist`` puts them;
    4. the cache folder (``~/.cache/tinygrad-mlp/fashion-mnist`` on Linux);
    5. a download into that cache folder (extra ``datasets``), unless ``download=False``.

    Wherever they come from, the SHA-256 of the decompressed bytes is verified.

    Raises:
        ChecksumError: a file is not what was published; the message names file, expected and got.
        DataNotFoundError: no place has the files; the message names three ways to provide them.
    """
    return SET.load(path, fetch=download)
