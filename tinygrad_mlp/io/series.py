"""A folder of numbered files, of which the last few are kept: what a crash leaves readable is never far back."""

from __future__ import annotations

import contextlib
import os
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ..errors import ArgumentError, DamagedFileError, FileFormatError
from .atomic import DISK, Files, sweep, write

__all__ = ["Series"]

Read = TypeVar("Read")


class Series:
    """Files ``stem-00000012.suffix`` in one folder, written whole and durably, the older ones taken away.

    Args:
        folder: made if it is not there. stem, suffix: of the names. keep: how many of the newest stay, at least 1; with
            2, the default, one file may go bad on the disk and there is still another.
        files: what is done on the disk, for tests.

    Raises:
        ArgumentError: ``keep`` below 1.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        stem: str = "checkpoint",
        suffix: str = "safetensors",
        *,
        keep: int = 2,
        files: Files = DISK,
    ) -> None:
        if keep < 1:
            raise ArgumentError(f"keep is how many files stay, at least 1, got {keep}; say keep=2")
        self.folder = Path(folder)
        self.keep = keep
        self._form = f"{stem}-{{:08d}}.{suffix}"
        self._pattern = re.compile(rf"{re.escape(stem)}-(\d{{8,18}})\.{re.escape(suffix)}")
        self._files = files

    def numbers(self) -> list[int]:
        """The numbers of the files that are there, newest (largest) first."""
        if not self.folder.is_dir():
            return []
        found = [self._pattern.fullmatch(one.name) for one in self.folder.iterdir()]
        return sorted((int(one[1]) for one in found if one), reverse=True)

    def path(self, number: int) -> Path:
        """The file with this number."""
        return self.folder / self._form.format(number)

    def write(self, number: int, data: bytes | bytearray) -> Path:
        """Write the file with this number, then take away all but the newest ``keep``.

        Raises:
            OSError: writing failed; all files that were there are still there.
        """
        if not self.folder.is_dir():
            self.folder.mkdir(parents=True)
            self._files.sync_folder(self.folder.parent)
        path = self.path(number)
        write(path, data, files=self._files)
        for older in self.numbers()[self.keep :]:
            # One too many does no harm, and the next time takes it away.
            with contextlib.suppress(OSError):
                self._files.remove(self.path(older))
        return path

    def sweep(self) -> None:
        """Take away the temporary files of writers that were killed long ago."""
        if self.folder.is_dir():
            sweep(self.folder, files=self._files)

    def newest(self, read: Callable[[Path], Read]) -> tuple[Path, Read] | None:
        """The newest file that ``read`` accepts and what it gave; None where there are no files.

        Files that cannot be read are passed over, with a warning that says which and why.

        Raises:
            DamagedFileError: there are files, and none can be read; the message lists why.
        """
        failures = []
        for number in self.numbers():
            path = self.path(number)
            try:
                found = read(path)
            except (FileFormatError, OSError) as error:
                failures.append(f"{path}: {error}")
                continue
            if failures:
                warnings.warn(
                    f"{path.name} is read in place of a newer file that cannot be: {'; '.join(failures)}",
                    RuntimeWarning,
                    stacklevel=2,
                )
            return path, found
        if failures:
            raise DamagedFileError(f"no file in {self.folder} can be read: {'; '.join(failures)}")
        return None
