"""Zip files read with suspicion: what torch and NumPy pack their arrays into.

Checked before anything is read: names that leave the archive or stand there twice, members that overlap or are
encrypted, and sizes that the bytes of the file cannot account for (a zip bomb).
"""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import PurePosixPath

from ..errors import DamagedFileError, FileFormatError, UnsafeFileError

__all__ = ["Archive"]

_MEMBERS = 100_000
# Weights hardly shrink; zeros, the best case, do so 1000 times.
_RATIO = 100
# Small members may be all zeros.
_SMALL = 1 << 20


class Archive:
    """The members of a zip file in memory.

    Args:
        data: the bytes of the file. source: its name, for errors. stored: refuse members that are compressed.

    Raises:
        DamagedFileError: not a zip file, or cut short. UnsafeFileError: as above.
    """

    def __init__(self, data: bytes, source: str, *, stored: bool) -> None:
        self.source = source
        self._size = len(data)
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
            members = self._zip.infolist()
        except (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError, EOFError) as error:
            raise DamagedFileError(f"{source} is not a zip file, or a damaged one: {error}") from None
        if len(members) > _MEMBERS:
            raise UnsafeFileError(f"{source} has {len(members)} members; no model has")
        self._members: dict[str, zipfile.ZipInfo] = {}
        end = 0
        for one in sorted(members, key=lambda member: member.header_offset):
            self._check(one, end, stored)
            end = one.header_offset + 30 + one.compress_size
            self._members[one.filename] = one
        if end > self._size:
            raise DamagedFileError(f"{source}: members reach beyond the end of the file; it is cut short")

    def _check(self, one: zipfile.ZipInfo, end: int, stored: bool) -> None:
        name, path = one.filename, PurePosixPath(one.filename)
        where = f"{self.source}: member {name!r:.60}"
        if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or "\0" in name:
            raise UnsafeFileError(f"{where} would leave the archive")
        if name in self._members:
            raise UnsafeFileError(f"{where} is there twice")
        if one.header_offset < end:
            raise UnsafeFileError(f"{where} overlaps another one")
        if one.flag_bits & 1:
            raise UnsafeFileError(f"{where} is encrypted")
        if one.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            raise FileFormatError(f"{where} is compressed in a way that is not read here")
        if one.compress_type == zipfile.ZIP_STORED:
            if one.file_size != one.compress_size:
                raise UnsafeFileError(f"{where} claims {one.file_size} bytes and has {one.compress_size}")
        elif stored:
            raise UnsafeFileError(f"{where} is compressed; torch.save does not compress")
        if one.file_size > max(_SMALL, _RATIO * one.compress_size):
            raise UnsafeFileError(f"{where} claims {one.file_size} bytes, out of {one.compress_size} in the file")

    @property
    def names(self) -> list[str]:
        """The names of all members, in the order of the file."""
        return list(self._members)

    def read(self, name: str) -> bytes:
        """The content of one member.

        Raises:
            FileFormatError: there is none of this name. DamagedFileError: its checksum does not fit.
        """
        if name not in self._members:
            raise FileFormatError(f"{self.source} has no member {name!r:.60}")
        claimed = self._members[name].file_size
        try:
            with self._zip.open(name) as member:
                # One byte more than was claimed is never asked for, whatever the compressed data would give.
                content = member.read(claimed)
        except (zipfile.BadZipFile, EOFError, OSError, ValueError, NotImplementedError, RuntimeError) as error:
            raise DamagedFileError(f"{self.source}: member {name!r:.60} is damaged: {error}") from None
        except zlib.error as error:
            raise DamagedFileError(f"{self.source}: member {name!r:.60} is damaged: {error}") from None
        if len(content) != claimed:
            raise DamagedFileError(f"{self.source}: member {name!r:.60} is shorter than it says")
        return content
