"""Files that are there whole or not at all, whatever happens while they are written.

A plain ``open(path, "wb").write(data)`` that is interrupted has destroyed the file that was there before. Here the data
goes into a temporary file of the same folder, is forced onto the disk (fsync), read back and compared, and only then
takes the name of the old file; last, the folder that holds the name is forced onto the disk too. Whoever opens the path
at any moment, also after a power cut, finds the old file or the new one. When :func:`write` has returned it is the new.

Source: Pillai et al., "All File Systems Are Not Created Equal", OSDI 2014.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from pathlib import Path

__all__ = ["DISK", "Files", "sweep", "write"]

_MARK = ".part-"
# A writer that is alive is done with its file long before.
_LEFT_OVER = 3600.0


class Files:
    """The operations on files that :func:`write` is made of, one method each, so that tests can make every one fail."""

    def create(self, path: Path) -> int:
        """Make a new file and open it for writing; refuses one that exists."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)

    def write(self, handle: int, data: memoryview) -> int:
        """Write a part of ``data``; returns how much."""
        return os.write(handle, data)

    def sync(self, handle: int) -> None:
        """Force what was written onto the disk."""
        os.fsync(handle)

    def close(self, handle: int) -> None:
        """Close the file."""
        os.close(handle)

    def read(self, path: Path) -> bytes:
        """The content of a file."""
        return path.read_bytes()

    def rename(self, source: Path, target: Path) -> None:
        """Give a file another name in its folder, replacing what had that name, in one step."""
        source.replace(target)

    def sync_folder(self, folder: Path) -> None:
        """Force the names in a folder onto the disk. Windows has no such call and does it with the rename."""
        if os.name == "nt":
            return
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def remove(self, path: Path) -> None:
        """Take a file away."""
        path.unlink()


DISK = Files()
"""The file system of this machine."""


def write(path: str | os.PathLike[str], data: bytes | bytearray, *, files: Files = DISK) -> None:
    """Make ``path`` a file with this content, in one step and durably.

    Args:
        path: where; its folder exists. data: the whole content. files: what is done on the disk, for tests.

    Raises:
        OSError: something on the way failed; the file that was there before is untouched, and nothing is left behind.
    """
    target = Path(path)
    temporary = target.with_name(f".{target.name}{_MARK}{os.getpid()}-{secrets.token_hex(4)}")
    try:
        handle = files.create(temporary)
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[files.write(handle, rest) :]
            files.sync(handle)
        finally:
            files.close(handle)
        # Some disks and network folders report success for what they have not kept.
        _compare(files.read(temporary), data, target)
        files.rename(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            files.remove(temporary)
        raise
    files.sync_folder(target.parent)


def _compare(found: bytes, data: bytes | bytearray, target: Path) -> None:
    if found != data:
        raise OSError(f"the disk does not hold what was written to it; {target} is left as it was")


def sweep(folder: str | os.PathLike[str], *, files: Files = DISK) -> list[Path]:
    """Take away the temporary files of writers that were killed more than an hour ago; returns their paths."""
    gone = []
    for path in sorted(Path(folder).glob(f".*{_MARK}*")):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _LEFT_OVER:
                files.remove(path)
                gone.append(path)
    return gone
