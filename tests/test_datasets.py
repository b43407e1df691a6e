"""Data sets: tables against scikit-learn, generators against their formulas, image files against published hashes."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import json
import math
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import FrozenInstanceError, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tinygrad_mlp import datasets
from tinygrad_mlp.datasets import (
    StandardScaler,
    Table,
    fashion_mnist,
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    load_wine,
    make_and,
    make_bmi,
    make_circles,
    make_gauss,
    make_moons,
    make_or,
    make_spiral,
    make_xor,
    mnist,
    one_hot,
    to_categorical,
    train_test_split,
)
from tinygrad_mlp.datasets.download import download
from tinygrad_mlp.datasets.idx import IdxFile
from tinygrad_mlp.datasets.images import ENVIRONMENT, ImageSet, cache_folder
from tinygrad_mlp.datasets.randomness import as_generator, shuffled_indices
from tinygrad_mlp.errors import ArgumentError, ChecksumError, DataNotFoundError, DTypeError, ShapeError

LOADERS: dict[str, Callable[..., Any]] = {
    "breast_cancer": load_breast_cancer,
    "diabetes": load_diabetes,
    "digits": load_digits,
    "iris": load_iris,
    "wine": load_wine,
}
GENERATORS: list[Callable[..., Any]] = [
    make_and,
    make_bmi,
    make_circles,
    make_gauss,
    make_moons,
    make_or,
    make_spiral,
    make_xor,
]


# Tables


@pytest.mark.parametrize("name", LOADERS)
def test_a_table_is_scikit_learns_rounded_once_to_float32(name: str) -> None:
    """Every element is scikit-learn's float64 value rounded to float32; diabetes, scaled here, within 1 ulp."""
    theirs = getattr(pytest.importorskip("sklearn.datasets"), f"load_{name}")()
    ours = LOADERS[name]()
    ulp = np.spacing(np.abs(theirs.data.astype(np.float32)))
    assert np.all(np.abs(ours.data - theirs.data.astype(np.float32)) <= (ulp if name == "diabetes" else 0))
    assert ours.data.dtype == np.float32
    assert np.array_equal(ours.target, theirs.target)
    assert ours.target.dtype == (np.float32 if name == "diabetes" else np.int64)
    assert ours.feature_names == tuple(theirs.feature_names)
    if name != "diabetes":
        assert ours.target_names == tuple(str(class_name) for class_name in theirs.target_names)
    assert "Cite: " in ours.DESCR


def test_unscaled_diabetes_is_what_was_measured() -> None:
    """scaled=False gives the values in their own units, for instance ages in whole years."""
    theirs = pytest.importorskip("sklearn.datasets").load_diabetes(scaled=False)
    assert np.array_equal(load_diabetes(scaled=False).data, theirs.data.astype(np.float32))


def test_digits_come_as_pictures_too() -> None:
    """images is the data, 8 x 8, without a copy."""
    digits = load_digits()
    assert digits.images is not None
    assert digits.images.shape == (1797, 8, 8)
    assert np.shares_memory(digits.images, digits.data)
    assert load_iris().images is None


@pytest.mark.parametrize("name", LOADERS)
def test_return_x_y_gives_the_pair(name: str) -> None:
    """return_X_y=True gives data and target alone."""
    table: Table = LOADERS[name]()
    X, y = LOADERS[name](return_X_y=True)
    assert np.array_equal(X, table.data)
    assert np.array_equal(y, table.target)


def test_a_table_tells_what_it_is_and_cannot_be_rebound() -> None:
    """The repr names size, dtype and classes; attributes are frozen; each call gives arrays of its own."""
    iris = load_iris()
    assert repr(iris) == "Table(iris: 150 samples x 4 features float32, 3 classes: setosa, versicolor, virginica)"
    assert repr(load_diabetes()) == "Table(diabetes: 442 samples x 10 features float32, target progression 25..346)"
    with pytest.raises(FrozenInstanceError):
        iris.name = "other"  # type: ignore[misc]
    iris.data[:] = 0
    assert load_iris().data.any()


def test_importing_reads_no_data_and_no_optional_library() -> None:
    """`import tinygrad_mlp.datasets` opens none of its data files and imports neither pooch, SciPy nor scikit-learn."""
    code = (
        "import sys\n"
        "opened = []\n"
        "sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == 'open' else None)\n"
        "import tinygrad_mlp.datasets\n"
        "assert not [path for path in opened if path.endswith(('.npz', '.gz', '.json'))], opened\n"
        "assert not {'pooch', 'requests', 'scipy', 'sklearn', 'tensorflow', 'torch'} & set(sys.modules)\n"
        "assert 'gzip' not in sys.modules, 'the image modules were imported before they were named'\n"
        "assert tinygrad_mlp.datasets.mnist.load_data and tinygrad_mlp.datasets.fashion_mnist.load_data\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parent.parent)


def test_every_public_name_exists() -> None:
    """__all__ is sorted and every name in it is there."""
    assert sorted(datasets.__all__) == datasets.__all__
    assert all(hasattr(datasets, name) for name in datasets.__all__)
    with pytest.raises(AttributeError, match="no attribute 'load_mars'"):
        datasets.load_mars  # noqa: B018


def test_the_licence_page_names_every_shipped_file() -> None:
    """No table ships without a line on origin and licence."""
    root = Path(__file__).parent.parent
    page = (root / "LICENSES-DATA.md").read_text(encoding="utf-8")
    tables = sorted((root / "tinygrad_mlp" / "datasets" / "tables").iterdir())
    assert len(tables) == 5
    assert all(f"`{path.name}`" in page for path in tables)


# Generators


@pytest.mark.parametrize("make", GENERATORS)
def test_a_generator_is_decided_by_its_seed_alone(make: Callable[..., Any]) -> None:
    """Same seed, or a generator in the same state: same bits; another seed: other data; the global state stays."""
    before = np.random.get_state(legacy=False)
    X, y = make(12, 0.3, seed=5)
    again, y_again = make(12, 0.3, rng=np.random.default_rng(5))
    other, _ = make(12, 0.3, seed=6)
    after = np.random.get_state(legacy=False)
    assert X.tobytes() == again.tobytes()
    assert y.tobytes() == y_again.tobytes()
    assert not np.array_equal(X, other)
    assert np.array_equal(before["state"]["key"], after["state"]["key"])
    assert before["state"]["pos"] == after["state"]["pos"]


@pytest.mark.parametrize("make", GENERATORS)
def test_a_generator_gives_float32_and_one_target_per_sample(make: Callable[..., Any]) -> None:
    """X is (n, 2) float32; y is (n,) int64, float32 for the regression task."""
    X, y = make(7, 0.1, seed=0)
    assert X.dtype == np.float32
    assert X.shape == (len(y), 2)
    assert y.shape == (len(X),)
    assert y.dtype == (np.float32 if make is make_bmi else np.int64)


@pytest.mark.parametrize("make", GENERATORS)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"noise": -1.0}, "noise"),
        ({"noise": math.inf}, "noise"),
        ({"noise": math.nan}, "noise"),
        ({"seed": 1, "rng": np.random.default_rng(1)}, "seed= or rng="),
    ],
)
def test_a_generator_refuses_what_it_cannot_do(
    make: Callable[..., Any], arguments: dict[str, Any], message: str
) -> None:
    """A noise that is no standard deviation, two sources of randomness, or no samples: a named error."""
    with pytest.raises(ArgumentError, match=message):
        make(**arguments)
    with pytest.raises(ArgumentError, match="expected an integer n"):
        make(0)
    with pytest.raises(ArgumentError, match="expected an integer n"):
        make(2.5)


@pytest.mark.parametrize(
    ("make", "table"), [(make_and, [0, 0, 0, 1]), (make_or, [0, 1, 1, 1]), (make_xor, [0, 1, 1, 0])]
)
def test_logic_gates_are_their_truth_tables(make: Callable[..., Any], table: list[int]) -> None:
    """Without arguments the truth table comes out; further samples go round the four corners."""
    X, y = make()
    assert X.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert y.tolist() == table
    X, y = make(6)
    assert X[4:].tolist() == [[0, 0], [0, 1]]
    assert y.tolist() == table + table[:2]


def test_noise_is_a_standard_deviation() -> None:
    """The scatter around the corners has the standard deviation that was asked for, in each coordinate."""
    X, _ = make_xor(40_000, 0.25, seed=0)
    scatter = X - make_xor(40_000)[0]
    assert scatter.std(axis=0) == pytest.approx([0.25, 0.25], rel=0.02)
    assert np.abs(scatter.mean(axis=0)).max() < 0.005


@pytest.mark.parametrize("n", [2, 9, 50])
def test_moons_and_circles_have_scikit_learns_shape(n: int) -> None:
    """Without noise the points are scikit-learn's, odd counts included."""
    theirs = pytest.importorskip("sklearn.datasets")
    for ours, other in (
        (make_moons(n, 0.0), theirs.make_moons(n, shuffle=False)),
        (make_circles(n, 0.0, factor=0.3), theirs.make_circles(n, shuffle=False, factor=0.3)),
    ):
        np.testing.assert_allclose(ours[0], other[0], atol=1e-7)
        assert np.array_equal(ours[1], other[1])


def test_circles_need_an_inner_and_an_outer_one() -> None:
    """A factor of 1 would lay both classes on one circle."""
    with pytest.raises(ArgumentError, match="factor=1"):
        make_circles(factor=1.0)


@pytest.mark.parametrize("winding", [1.0, 2.5])
def test_spiral_arms_follow_their_angles(winding: float) -> None:
    """Without noise, arm c runs from the centre out to radius 1 over the angles winding * 4c .. winding * 4(c + 1)."""
    X, y = make_spiral(50, 0.0, classes=5, winding=winding)
    assert y.tolist() == [arm for arm in range(5) for _ in range(50)]
    for arm in range(5):
        x = X[y == arm].astype(np.float64)
        assert np.hypot(*x.T) == pytest.approx(np.linspace(0, 1, 50), abs=1e-6)
        turned = np.unwrap(np.arctan2(x[1:, 0], x[1:, 1]))
        assert turned[-1] - turned[0] == pytest.approx(winding * 4 * 48 / 49, abs=1e-4)
        assert math.remainder(turned[-1] - winding * 4 * (arm + 1), 2 * math.pi) == pytest.approx(0, abs=1e-5)


def test_spiral_noise_turns_a_point_and_leaves_its_radius() -> None:
    """Noise is on the angle, wound up with it: points stay at their radius."""
    X, _ = make_spiral(2000, 0.2, classes=2, winding=2.5, seed=1)
    clean, _ = make_spiral(2000, 0.0, classes=2, winding=2.5)
    assert np.hypot(*X.T) == pytest.approx(np.hypot(*clean.T), abs=1e-6)
    turned = np.arctan2(X[:, 0], X[:, 1]) - np.arctan2(clean[:, 0], clean[:, 1])
    turned = np.angle(np.exp(1j * turned[clean.any(axis=1)]))
    assert turned.std() == pytest.approx(0.5, rel=0.05)


def test_gauss_has_one_cloud_per_center() -> None:
    """Each class has the mean of its centre and the asked standard deviation, in any number of features."""
    centers = [[0, 0, 5], [3, 0, 0], [0, -3, 0]]
    X, y = make_gauss(5000, 0.5, centers=centers, seed=2)
    assert X.shape == (15_000, 3)
    for label, center in enumerate(centers):
        assert X[y == label].mean(axis=0) == pytest.approx(center, abs=0.03)
        assert X[y == label].std(axis=0) == pytest.approx([0.5] * 3, rel=0.05)
    with pytest.raises(ShapeError, match=r"\(classes, features\), got \(2,\)"):
        make_gauss(centers=[1, 2])  # type: ignore[list-item]


def test_bmi_is_weight_over_height_squared() -> None:
    """Without noise the target is the formula on the given X, rounded once; ranges and noise are as documented."""
    X, y = make_bmi(5000, 0.0, seed=3)
    height, weight = X.astype(np.float64).T
    assert np.array_equal(y, (weight / height**2).astype(np.float32))
    assert 1.5 <= height.min() < height.max() <= 2.0
    assert 45 <= weight.min() < weight.max() <= 115
    X, y = make_bmi(20_000, 0.5, seed=3)
    assert (y - X[:, 1] / X[:, 0] ** 2).std() == pytest.approx(0.5, rel=0.03)


# Random orders


def test_shuffled_indices_are_a_permutation_and_stay_the_same() -> None:
    """Every index comes once; a fixed seed gives these numbers on every machine and with every NumPy."""
    assert sorted(shuffled_indices(100, np.random.default_rng(0)).tolist()) == list(range(100))
    assert shuffled_indices(8, np.random.default_rng(0)).tolist() == [3, 2, 1, 6, 0, 7, 4, 5]
    assert shuffled_indices(0, np.random.default_rng(0)).tolist() == []


def test_as_generator_passes_a_generator_through() -> None:
    """A given generator is used itself, so that draws go on where they were; no seed gives fresh entropy."""
    rng = np.random.default_rng(1)
    assert as_generator(None, rng) is rng
    assert as_generator(None, None).random() != as_generator(None, None).random()


# Hold-out split, standardisation, one-hot


@given(
    counts=st.lists(st.integers(2, 30), min_size=1, max_size=5),
    share=st.floats(0.1, 0.9),
    seed=st.integers(0, 2**32),
)
def test_a_stratified_split_is_exact(counts: list[int], share: float, seed: int) -> None:
    """Train and test together are all samples, the total is exact, each class is within one sample of its share."""
    y = np.repeat(np.arange(len(counts)), counts)
    rows = np.arange(len(y))
    held_out = max(1, min(len(y) - 1, round(share * len(y))))
    shares = [count * held_out / len(y) for count in counts]
    assume(all(1 <= share <= count - 1 for share, count in zip(shares, counts, strict=True)))
    train, test, y_train, y_test = train_test_split(rows, y, test_size=held_out, stratify=y, seed=seed)
    assert len(test) == held_out
    assert sorted([*train, *test]) == rows.tolist()
    assert np.array_equal(y[train], y_train)
    assert np.array_equal(y[test], y_test)
    assert all(abs(np.sum(y_test == label) - share) < 1 for label, share in enumerate(shares))


def test_the_digits_hold_out_is_stratified_and_repeatable() -> None:
    """360 of the 1,797 digits, 35 to 37 of each class, the same with the same seed, mixed in order."""
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=360, stratify=y, seed=0)
    assert X_train.shape == (1437, 64)
    assert X_test.shape == (360, 64)
    assert set(np.bincount(y_test)) == {35, 36, 37}
    again = train_test_split(X, y, test_size=360, stratify=y, seed=0)
    assert all(np.array_equal(a, b) for a, b in zip((X_train, X_test, y_train, y_test), again, strict=True))
    assert not np.array_equal(train_test_split(y, test_size=360, stratify=y, seed=1)[1], y_test)
    assert np.any(np.diff(y_test) < 0)
    assert np.any(np.diff(y_train) < 0)


@pytest.mark.parametrize(("size", "held_out"), [(0.25, 25), (0.07, 7), (0.071, 8), (3, 3), (np.float32(0.5), 50)])
def test_a_share_is_rounded_up_to_whole_samples(size: float, held_out: int) -> None:
    """As in scikit-learn a share is rounded up, but not by the rounding error of the product."""
    train, test = train_test_split(np.arange(100), test_size=size, seed=0)
    assert (len(train), len(test)) == (100 - held_out, held_out)


@pytest.mark.parametrize("size", [0, 100, 0.0, 1.0, 1.5, -0.5, -3])
def test_a_split_leaves_no_side_empty(size: float) -> None:
    """A test_size that would leave one side without samples is refused."""
    with pytest.raises(ArgumentError, match="leaves both sides filled"):
        train_test_split(np.arange(100), test_size=size)


def test_a_split_needs_arrays_of_one_length() -> None:
    """The error names the shapes."""
    with pytest.raises(ShapeError, match=r"\(3,\), \(4,\)"):
        train_test_split(np.zeros(3), np.zeros(4))
    with pytest.raises(ShapeError, match="got shapes"):
        train_test_split(np.float32(1), np.zeros(4))
    with pytest.raises(ShapeError, match="got none"):
        train_test_split()
    with pytest.raises(ShapeError, match=r"stratify .* = \(4,\), got \(3,\)"):
        train_test_split(np.zeros(4), stratify=np.zeros(3))
    with pytest.raises(ArgumentError, match="class 'b' has 1 samples"):
        train_test_split(np.zeros(4), stratify=["a", "a", "a", "b"], test_size=2)


def test_the_scaler_learns_from_the_training_set_only() -> None:
    """Training columns get mean 0 and deviation 1; test data is moved by the training set's numbers."""
    X_train, X_test = train_test_split(load_wine().data, seed=0)
    scaler = StandardScaler.fit(X_train)
    Z = scaler.transform(X_train)
    assert Z.dtype == np.float32
    assert Z.mean(axis=0) == pytest.approx(np.zeros(13), abs=1e-5)
    assert Z.std(axis=0) == pytest.approx(np.ones(13), abs=1e-5)
    theirs = pytest.importorskip("sklearn.preprocessing").StandardScaler().fit(X_train.astype(np.float64))
    np.testing.assert_allclose(scaler.mean, theirs.mean_, rtol=1e-12)
    np.testing.assert_allclose(scaler.scale, theirs.scale_, rtol=1e-12)
    np.testing.assert_allclose(scaler.transform(X_test), theirs.transform(X_test), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(scaler.inverse_transform(scaler.transform(X_test)), X_test, rtol=1e-5)


def test_the_scaler_keeps_float64_and_constant_columns() -> None:
    """float64 stays, integers become float32, and a column that never changes becomes 0, not noise."""
    X = np.column_stack([np.full(7, 0.1), np.arange(7)])
    scaler = StandardScaler.fit(X)
    assert scaler.transform(X).dtype == np.float64
    assert scaler.transform(X)[:, 0] == pytest.approx(np.zeros(7), abs=1e-15)
    assert scaler.transform(X.astype(int)).dtype == np.float32
    with pytest.raises(ShapeError, match=r"features = \(2,\), as in fit; got \(7, 3\)"):
        scaler.transform(np.zeros((7, 3)))
    with pytest.raises(ShapeError, match="at least one sample"):
        StandardScaler.fit(np.zeros((0, 3)))


def test_one_hot_rows_have_a_single_one() -> None:
    """The one stands at the label; the number of classes is given or the largest label + 1; any shape works."""
    rows = one_hot([[2, 0], [1, 1]], classes=4)
    assert rows.shape == (2, 2, 4)
    assert rows.dtype == np.float32
    assert np.array_equal(rows.argmax(axis=-1), [[2, 0], [1, 1]])
    assert np.array_equal(rows.sum(axis=-1), np.ones((2, 2)))
    assert one_hot(np.array([0, 2], dtype=np.uint8), dtype=np.float64).shape == (2, 3)
    assert one_hot(np.array(1), 2).tolist() == [0, 1]
    assert to_categorical is one_hot


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        ([0, 3], ArgumentError, r"0\.\.2 for 3 classes, got 3"),
        ([-1, 0], ArgumentError, "got -1"),
        ([0.0, 1.0], DTypeError, r"float64; write labels\.astype\(int\)"),
    ],
)
def test_one_hot_refuses_other_labels(labels: list[float], error: type[Exception], message: str) -> None:
    """A negative label would silently count from the end."""
    with pytest.raises(error, match=message):
        one_hot(labels, classes=3)


# Image files


def idx_bytes(values: np.ndarray[Any, Any]) -> bytes:
    """Write an IDX file with its header, by the format's description."""
    header = b"\x00\x00\x08" + bytes([values.ndim]) + b"".join(n.to_bytes(4, "big") for n in values.shape)
    return header + values.tobytes()


def published(name: str, values: np.ndarray[Any, Any]) -> IdxFile:
    """Describe ``values`` as if they had been published."""
    return IdxFile(name, values.shape, hashlib.sha256(idx_bytes(values)).hexdigest())


# Incompressible and larger than one piece of a download.
IMAGES = np.random.default_rng(0).integers(0, 256, (30, 60, 60), dtype=np.uint8)
LABELS = np.arange(30, dtype=np.uint8) % 10
CONTENT = {"a-images": IMAGES[:20], "a-labels": LABELS[:20], "b-images": IMAGES[20:], "b-labels": LABELS[20:]}
FILES = tuple(published(name, values) for name, values in CONTENT.items())
SMALL = ImageSet(name="small-set", files=FILES, mirrors=(), package="apt-get install small-set")  # type: ignore[arg-type]


def write_small(folder: Path, *, compressed: bool = True) -> Path:
    """Put the four files of the small set into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, values in CONTENT.items():
        if compressed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(idx_bytes(values)))
        else:
            (folder / name).write_bytes(idx_bytes(values))
    return folder


def assert_small(splits: Any) -> None:
    """The small set came back, in order."""
    (x_train, y_train), (x_test, y_test) = splits
    assert np.array_equal(x_train, IMAGES[:20])
    assert np.array_equal(y_train, LABELS[:20])
    assert np.array_equal(x_test, IMAGES[20:])
    assert np.array_equal(y_test, LABELS[20:])


@pytest.fixture
def no_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment without any data folder: returns the folder that the cache is in."""
    monkeypatch.delenv(ENVIRONMENT, raising=False)
    cache = tmp_path / "cache"
    monkeypatch.setattr("tinygrad_mlp.datasets.images.cache_folder", lambda: cache)
    return cache


@pytest.mark.parametrize("compressed", [True, False])
def test_files_are_read_plain_or_compressed(tmp_path: Path, compressed: bool) -> None:
    """Both forms give the same writable uint8 arrays."""
    splits = SMALL.load(write_small(tmp_path, compressed=compressed), fetch=False)
    assert_small(splits)
    assert all(array.dtype == np.uint8 and array.flags.writeable for split in splits for array in split)


GOOD = idx_bytes(IMAGES[:20])
BAD_FILES = {
    "one pixel": (GOOD[:-1] + bytes([GOOD[-1] ^ 1]), "SHA-256"),
    "short": (GOOD[:-1], r"expected 72016 bytes decompressed, got 72015 bytes"),
    "long": (GOOD + b"\0", r"got more than 72016 bytes"),
    "other magic": (b"\0\0\x0d" + GOOD[3:], r"axes \[20, 60, 60\], got magic 3331"),
    "lying header": (GOOD[:4] + b"\xff\xff\xff\xff" + GOOD[8:], r"axes \[4294967295, 60, 60\]"),
    "only a header": (GOOD[:16], r"got 16 bytes"),
    "half a header": (GOOD[:6], "magic 2051"),
    "empty": (b"", "magic 0"),
    "not gzip after all": (b"\x1f\x8b" + b"\0" * 50, "a complete gzip stream"),
    "cut gzip": (gzip.compress(GOOD)[:-20], "a complete gzip stream"),
    "gzip of wrong bytes": (gzip.compress(GOOD[:-1] + b"x"), "SHA-256"),
    "gzip bomb": (gzip.compress(GOOD + bytes(1 << 24)), r"got more than 72016 bytes"),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_file_that_is_not_the_published_one_is_refused(tmp_path: Path, kind: str) -> None:
    """The error names the file, what was expected and what came."""
    content, message = BAD_FILES[kind]
    folder = write_small(tmp_path, compressed=False)
    (folder / "a-images").write_bytes(content)
    with pytest.raises(ChecksumError, match=message) as caught:
        SMALL.load(folder, fetch=False)
    assert str(folder / "a-images") in str(caught.value)
    assert "expected " in str(caught.value)
    assert "got " in str(caught.value)


def test_a_bomb_is_not_inflated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most one byte more than the published size is asked of the decompressor."""
    read: list[int] = []
    original = gzip.GzipFile.read

    def counting(self: gzip.GzipFile, size: int | None = -1) -> bytes:
        piece = original(self, size)
        read.append(len(piece))
        return piece

    monkeypatch.setattr(gzip.GzipFile, "read", counting)
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(GOOD + bytes(1 << 24)))
    with pytest.raises(ChecksumError):
        FILES[0].read(tmp_path / "bomb.gz")
    assert sum(read) == len(GOOD) + 1


def test_the_search_goes_in_the_documented_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_data: Path
) -> None:
    """path, then the environment's folder, then the system's, then the cache; each of them alone is enough."""
    system = tmp_path / "system"
    image_set = replace(SMALL, system_folder=system)
    with pytest.raises(DataNotFoundError):
        image_set.load(None, fetch=False)
    places = [no_data / "small-set", system, tmp_path / "environment" / "small-set", tmp_path / "explicit"]
    used: list[Path] = []
    original = IdxFile.read

    def noting(self: IdxFile, path: Path) -> Any:
        used.append(path.parent)
        return original(self, path)

    monkeypatch.setattr(IdxFile, "read", noting)
    for place in places[:3]:
        write_small(place)
        monkeypatch.setenv(ENVIRONMENT, str(tmp_path / "environment"))
        assert_small(image_set.load(None, fetch=False))
        assert set(used[-4:]) == {place}
    write_small(places[3])
    assert_small(image_set.load(str(places[3]), fetch=False))
    assert set(used[-4:]) == {places[3]}


def test_an_explicit_path_is_the_only_place(tmp_path: Path, no_data: Path) -> None:
    """A wrong path is an error even where the cache has the files, and it says which files are missing."""
    write_small(no_data / "small-set")
    with pytest.raises(DataNotFoundError, match="no such folder"):
        SMALL.load(tmp_path / "nowhere", fetch=False)
    half = write_small(tmp_path / "half")
    (half / "b-images.gz").unlink()
    with pytest.raises(DataNotFoundError, match="b-images missing"):
        SMALL.load(half, fetch=False)


def test_missing_data_names_three_ways(no_data: Path) -> None:
    """The error says where it looked and gives a command for each way: package, download, by hand."""
    image_set = replace(fashion_mnist.SET, system_folder=None)
    with pytest.raises(DataNotFoundError) as caught:
        image_set.load(None, fetch=False)
    message = str(caught.value)
    for expected in (
        str(no_data / "fashion-mnist"),
        f"${ENVIRONMENT} (not set)",
        "apt-get install dataset-fashion-mnist",
        'pip install "tinygrad-mlp[datasets]"',
        f"export {ENVIRONMENT}=DIR",
        "fashion_mnist.load_data(path=",
        "train-images-idx3-ubyte.gz",
        *fashion_mnist.SET.mirrors,
    ):
        assert expected in message
    with pytest.raises(DataNotFoundError, match=r"npm pack mnist@1\.1\.0 && tar xzf mnist-1\.1\.0\.tgz"):
        mnist.load_data(download=False)


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_the_cache_folder_is_the_systems(platform: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each operating system has its own place for caches; Linux and Windows can move it by a variable."""
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("LOCALAPPDATA", raising=False)
    inside = {"linux": ".cache", "darwin": "Library/Caches", "win32": "AppData/Local"}[platform]
    assert cache_folder() == tmp_path / inside / "tinygrad-mlp"
    variable = {"linux": "XDG_CACHE_HOME", "win32": "LOCALAPPDATA"}.get(platform)
    if variable:
        monkeypatch.setenv(variable, str(tmp_path / "elsewhere"))
        assert cache_folder() == tmp_path / "elsewhere" / "tinygrad-mlp"


@pytest.mark.parametrize("image_set", [fashion_mnist.SET, mnist.SET])
def test_mirrors_and_hashes_are_complete(image_set: ImageSet) -> None:
    """Every set has several mirrors, all HTTPS, and a SHA-256 for each file."""
    assert len(image_set.mirrors) >= 2
    assert all(mirror.startswith("https://") and mirror.endswith("/") for mirror in image_set.mirrors)
    assert len({file.sha256 for file in image_set.files}) == 4
    assert all(len(bytes.fromhex(file.sha256)) == 32 for file in image_set.files)
    assert [file.shape for file in image_set.files] == [(60_000, 28, 28), (60_000,), (10_000, 28, 28), (10_000,)]


# Downloads, from a server on the loopback address


class Server:
    """Serves folders of bytes over HTTP on the loopback address and counts what is asked for."""

    def __init__(self) -> None:
        self.pages: dict[str, bytes] = {}
        self.redirects: dict[str, str] = {}
        self.encoded: set[str] = set()
        self.asked: list[str] = []
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(self.path)
                content = server.pages.get(self.path)
                if self.path in server.redirects:
                    self.send_response(302)
                    self.send_header("Location", server.redirects[self.path])
                    content = b""
                elif content is None:
                    self.send_response(404)
                    content = b""
                else:
                    self.send_response(200)
                if self.path in server.encoded:
                    self.send_header("Content-Encoding", "gzip")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Keep the test's output clean."""

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})

    def add_mirror(self, name: str) -> str:
        """Serve the small set below ``/name/``."""
        for file, values in CONTENT.items():
            self.pages[f"/{name}/{file}.gz"] = gzip.compress(idx_bytes(values))
        return f"{self.url}/{name}/"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A running server; proxies of the environment are not asked for loopback addresses."""
    pytest.importorskip("pooch")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    running = Server()
    running.thread.start()
    yield running
    running.http.shutdown()
    running.thread.join()
    running.http.server_close()


def test_a_download_is_kept_and_not_repeated(server: Server, no_data: Path) -> None:
    """The files arrive decompressed in the cache; a second load asks the network nothing."""
    image_set = replace(SMALL, mirrors=(server.add_mirror("good"),))
    assert_small(image_set.load(None, fetch=True))
    assert sorted(path.name for path in (no_data / "small-set").iterdir()) == sorted(CONTENT)
    assert len(server.asked) == 4
    assert_small(image_set.load(None, fetch=True))
    assert len(server.asked) == 4


def spoil(server: Server, url: str, how: str) -> None:
    """Make one mirror's copy of a-images wrong."""
    page = f"{url.removeprefix(server.url)}a-images.gz"
    if how == "absent":
        del server.pages[page]
    elif how == "redirected":
        server.redirects[page] = f"{server.url}/elsewhere/a-images.gz"
    elif how == "one pixel":
        server.pages[page] = gzip.compress(BAD_FILES["one pixel"][0])
    elif how == "not gzip":
        server.pages[page] = b"<html>Sorry</html>"
    elif how == "broken gzip":
        server.pages[page] = server.pages[page][:12] + b"\xff" * 40
    elif how == "cut":
        server.pages[page] = server.pages[page][:-40]
    else:
        server.pages[page] = gzip.compress(GOOD + bytes(1 << 22))


WAYS_TO_SPOIL = ["absent", "redirected", "one pixel", "not gzip", "broken gzip", "cut", "bomb"]


@pytest.mark.parametrize("how", WAYS_TO_SPOIL)
def test_a_broken_mirror_falls_back_to_the_next(server: Server, no_data: Path, how: str) -> None:
    """Whatever the first mirror does wrong, the second one's file is taken, and only for the file concerned."""
    server.add_mirror("elsewhere")
    bad, good = server.add_mirror("bad"), server.add_mirror("good")
    spoil(server, bad, how)
    assert_small(replace(SMALL, mirrors=(bad, good)).load(None, fetch=True))
    assert [path for path in server.asked if path.startswith("/good/")] == ["/good/a-images.gz"]
    assert not [path for path in server.asked if path.startswith("/elsewhere/")]
    assert sorted(path.name for path in (no_data / "small-set").iterdir()) == sorted(CONTENT)


@pytest.mark.parametrize("how", WAYS_TO_SPOIL)
def test_broken_mirrors_only_are_an_error_with_three_ways(server: Server, no_data: Path, how: str) -> None:
    """No mirror right: the error gives every mirror's reason and the three ways; no file and no folder stays."""
    bad, worse = server.add_mirror("bad"), server.add_mirror("worse")
    spoil(server, bad, how)
    spoil(server, worse, how)
    with pytest.raises(DataNotFoundError, match="Three ways to provide small-set") as caught:
        replace(SMALL, mirrors=(bad, worse)).load(None, fetch=True)
    assert f"{bad}a-images.gz: " in str(caught.value)
    assert f"{worse}a-images.gz: " in str(caught.value)
    assert "apt-get install small-set" in str(caught.value)
    assert ("decompressed, got more" in str(caught.value)) == (how == "bomb")
    assert not (no_data / "small-set").exists()


def test_a_server_that_declares_gzip_as_an_encoding_is_understood(server: Server, no_data: Path) -> None:
    """Some hosts let the HTTP client decompress; the content is then the same and accepted."""
    good = server.add_mirror("good")
    server.encoded = set(server.pages)
    assert_small(replace(SMALL, mirrors=(good,)).load(None, fetch=True))


def test_a_damaged_file_in_the_download_folder_is_fetched_anew(server: Server, tmp_path: Path) -> None:
    """Files with the right hash are kept, others replaced."""
    good = server.add_mirror("good")
    download(FILES, [good], tmp_path)
    (tmp_path / "a-labels").write_bytes(b"damaged")
    download(FILES, [good], tmp_path)
    assert server.asked[4:] == ["/good/a-labels.gz"]
    assert_small(SMALL.load(tmp_path, fetch=False))


def test_without_a_network_the_error_is_one_line_and_the_three_ways(no_data: Path) -> None:
    """Where no host can be reached, the reasons of the HTTP client are left out; any other reason is told."""
    pytest.importorskip("pooch", reason='pooch is missing: pip install "tinygrad-mlp[datasets]"')
    mirrors = ("http://127.0.0.1:1/a/", "http://127.0.0.1:1/b/")
    with pytest.raises(DataNotFoundError, match="Three ways to provide small-set") as caught:
        replace(SMALL, mirrors=mirrors).load(None, fetch=True)
    reason = str(caught.value).splitlines()[1]
    assert reason == "It was not downloaded: no network: 127.0.0.1:1 and 127.0.0.1:1 cannot be reached."


def test_without_pooch_the_error_still_names_three_ways(no_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing optional library is one more reason, not another kind of error."""
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(DataNotFoundError, match=r"pooch is needed to download data sets(.|\n)*Three ways"):
        SMALL.load(None, fetch=True)


# The real sets


def test_fashion_mnist_is_complete(real_data: Callable[[str], Any]) -> None:
    """70,000 pictures with the published bytes, 6,000 and 1,000 of each class, ten class names."""
    (x_train, y_train), (x_test, y_test) = real_data("fashion_mnist")
    assert x_train.shape == (60_000, 28, 28)
    assert x_test.shape == (10_000, 28, 28)
    assert {array.dtype for array in (x_train, y_train, x_test, y_test)} == {np.dtype(np.uint8)}
    assert np.array_equal(np.bincount(y_train), [6_000] * 10)
    assert np.array_equal(np.bincount(y_test), [1_000] * 10)
    assert fashion_mnist.class_names[y_train[0]] == "Ankle boot"
    assert len(fashion_mnist.class_names) == 10


def test_mnist_is_one_of_its_two_forms(real_data: Callable[[str], Any]) -> None:
    """Either the official 60,000 and 10,000, or the npm package's 8,000 and 2,000, mixed."""
    (x_train, y_train), (x_test, y_test) = real_data("mnist")
    assert (len(x_train), len(x_test)) in {(60_000, 10_000), (8_000, 2_000)}
    assert x_train.shape[1:] == x_test.shape[1:] == (28, 28)
    assert len(y_train) == len(x_train)
    assert len(y_test) == len(x_test)
    assert set(y_train[:200].tolist()) == set(range(10))
    if len(x_train) == 8_000:
        assert np.bincount(np.concatenate([y_train, y_test])).tolist() == [
            1001, 1127, 991, 1032, 980, 863, 1014, 1070, 944, 978,
        ]  # fmt: skip


# MNIST's npm form, on files made here


@pytest.fixture
def small_npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, np.ndarray[Any, Any]]:
    """Ten JSON files of three images each, written as the package writes them, and their published hashes."""
    images = np.random.default_rng(1).integers(0, 256, (30, 784), dtype=np.uint8)
    images[0, :256] = np.arange(256)
    folder = tmp_path / "package" / "src" / "digits"
    folder.mkdir(parents=True)
    table = []
    for digit in range(10):
        values = [round(value / 255, 3) for value in images[3 * digit : 3 * digit + 3].ravel().tolist()]
        content = json.dumps({"data": values}).encode()
        (folder / f"{digit}.json").write_bytes(content)
        table.append((len(content), hashlib.sha256(content).hexdigest()))
    monkeypatch.setattr(mnist, "NPM_FILES", tuple(table))
    monkeypatch.setattr(mnist, "NPM_IMAGES_SHA256", hashlib.sha256(images.tobytes()).hexdigest())
    monkeypatch.setattr(mnist, "NPM_TRAINING_IMAGES", 24)
    return folder, images


@pytest.mark.parametrize("inside", ["", "package", "package/src", "package/src/digits"])
def test_the_npm_form_is_found_where_the_tools_leave_it(
    small_npm: tuple[Path, np.ndarray[Any, Any]], inside: str
) -> None:
    """The folder of the JSON files may be named, or any above it up to where the package was unpacked."""
    folder, images = small_npm
    root = folder.parents[2]
    (x_train, y_train), (x_test, y_test) = mnist.load_data(root / inside)
    assert x_train.shape == (24, 28, 28)
    assert x_test.shape == (6, 28, 28)
    everything = np.concatenate([x_train, x_test]).reshape(30, 784)
    rows = [int(np.flatnonzero((images == image).all(axis=1))[0]) for image in everything]
    assert sorted(rows) == list(range(30))
    assert rows != list(range(30))
    assert [row // 3 for row in rows] == [*y_train.tolist(), *y_test.tolist()]


def test_the_npm_form_is_found_through_the_environment(
    small_npm: tuple[Path, np.ndarray[Any, Any]], monkeypatch: pytest.MonkeyPatch, no_data: Path
) -> None:
    """$TINYGRAD_MLP_DATA may be the folder in which the package was unpacked, or that folder may be its mnist/."""
    root = small_npm[0].parents[2]
    monkeypatch.setenv(ENVIRONMENT, str(root))
    assert len(mnist.load_data(download=False)[0][0]) == 24
    no_data.mkdir()
    (no_data / "mnist").symlink_to(root, target_is_directory=True)
    monkeypatch.setenv(ENVIRONMENT, str(no_data))
    assert len(mnist.load_data(download=False)[0][0]) == 24


def test_a_changed_npm_file_is_refused_before_it_is_parsed(small_npm: tuple[Path, np.ndarray[Any, Any]]) -> None:
    """The error names the file, both hashes and the command that brings it back."""
    path = small_npm[0] / "4.json"
    good = path.read_bytes()
    path.write_bytes(b"[" * len(good))
    with pytest.raises(ChecksumError, match=r"4\.json: expected SHA-256 .* got .* npm pack mnist@1\.1\.0"):
        mnist.load_data(small_npm[0])
    path.write_bytes(good + b" " * 1000)
    with pytest.raises(ChecksumError, match=f"of more than {len(good)} bytes"):
        mnist.load_data(small_npm[0])


def test_recovered_pixels_are_verified_too(
    small_npm: tuple[Path, np.ndarray[Any, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last check is on the pixels, so a change in how they are recovered cannot go unseen."""
    monkeypatch.setattr(mnist, "NPM_IMAGES_SHA256", "0" * 64)
    with pytest.raises(ChecksumError, match="of the 10,000 images"):
        mnist.load_data(small_npm[0])
