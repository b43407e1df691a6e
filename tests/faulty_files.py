"""Disks that fail on purpose: at a chosen operation, by a power cut, or by killing the process."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np

from tinygrad_mlp.io.atomic import Files

OPERATIONS = ("create", "write", "sync", "close", "read", "rename", "sync_folder", "remove")


class DiedError(BaseException):
    """The process is gone: nothing more is done, no clearing up either."""


class Failing(Files):
    """Does its work until operation number ``at``, which fails; counts the operations.

    Args:
        at: from 0; None fails never. dies: nothing can be done afterwards, as after ``kill -9``.
        short: writes take at most this many bytes at once. torn: a write that fails has written half.
    """

    def __init__(self, at: int | None = None, *, dies: bool = False, short: int = 1 << 30, torn: bool = True) -> None:
        self.at = at
        self.dies = dies
        self.short = short
        self.torn = torn
        self.done: list[str] = []
        self.dead = False

    def _next(self, operation: str) -> None:
        if self.dead:
            raise DiedError
        self.done.append(operation)
        if len(self.done) - 1 == self.at:
            self.dead = self.dies
            raise DiedError if self.dies else OSError(errno.EIO, f"{operation} fails, as the test wants it")

    def create(self, path: Path) -> int:
        self._next("create")
        return super().create(path)

    def write(self, handle: int, data: memoryview) -> int:
        try:
            self._next("write")
        except BaseException:
            if self.torn:
                super().write(handle, data[: len(data) // 2])
            raise
        return super().write(handle, data[: self.short])

    def sync(self, handle: int) -> None:
        self._next("sync")
        super().sync(handle)

    def close(self, handle: int) -> None:
        super().close(handle)
        self._next("close")

    def read(self, path: Path) -> bytes:
        self._next("read")
        return super().read(path)

    def rename(self, source: Path, target: Path) -> None:
        self._next("rename")
        super().rename(source, target)

    def sync_folder(self, folder: Path) -> None:
        self._next("sync_folder")
        super().sync_folder(folder)

    def remove(self, path: Path) -> None:
        self._next("remove")
        super().remove(path)


class Lying(Files):
    """A disk that reports success for writes it has lost."""

    def read(self, path: Path) -> bytes:
        return super().read(path)[:-1] + b"?"


class PowerCut(Files):
    """A disk in memory that keeps only what was forced onto it, and of the rest whatever chance decides.

    What is written and not synced may be lost, cut short or be zeros; changes of names that are not synced may have
    happened or not, each by itself: a rename may be there without the data.
    """

    def __init__(self, cut: int | None, rng: np.random.Generator) -> None:
        self.cut = cut
        self.rng = rng
        self.count = 0
        self.contents: list[tuple[bytearray, bytes | None]] = []
        self.names: dict[str, int] = {}
        self.durable: dict[str, int] = {}
        self.changes: list[tuple[str, int | None]] = []

    def _step(self) -> None:
        if self.count == self.cut:
            raise DiedError
        self.count += 1

    def _change(self, name: str, content: int | None) -> None:
        self.changes.append((name, content))
        if content is None:
            self.names.pop(name, None)
        else:
            self.names[name] = content

    def create(self, path: Path) -> int:
        self._step()
        self.contents.append((bytearray(), None))
        self._change(str(path), len(self.contents) - 1)
        return len(self.contents) - 1

    def write(self, handle: int, data: memoryview) -> int:
        self._step()
        part = data[: max(1, len(data) // 2)]
        self.contents[handle][0].extend(part)
        return len(part)

    def sync(self, handle: int) -> None:
        self._step()
        self.contents[handle] = (self.contents[handle][0], bytes(self.contents[handle][0]))

    def close(self, handle: int) -> None:
        pass

    def read(self, path: Path) -> bytes:
        self._step()
        return bytes(self.contents[self.names[str(path)]][0])

    def rename(self, source: Path, target: Path) -> None:
        self._step()
        content = self.names[str(source)]
        self._change(str(target), content)
        self._change(str(source), None)

    def sync_folder(self, folder: Path) -> None:
        self._step()
        self.durable = dict(self.names)
        self.changes = []

    def remove(self, path: Path) -> None:
        self._step()
        self._change(str(path), None)

    def after(self) -> dict[str, bytes]:
        """The files that are there when the power is back."""
        names = dict(self.durable)
        for name, content in self.changes:
            if self.rng.random() < 0.5:
                if content is None:
                    names.pop(name, None)
                else:
                    names[name] = content
        found = {}
        for name, content in names.items():
            written, synced = self.contents[content]
            if synced is None:
                kept = int(self.rng.integers(len(written) + 1))
                synced = bytes(written[:kept]) + bytes((len(written) - kept) * int(self.rng.integers(2)))
            found[name] = synced
        return found
