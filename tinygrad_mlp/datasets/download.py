"""Fetching data files over the network, through pooch (extra ``datasets``)."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import ChecksumError, DataNotFoundError
from ..extras import need
from .idx import GZIP_MAGIC, IdxFile

__all__ = ["download"]

CONNECT_SECONDS, READ_SECONDS = 10, 60


def download(files: Sequence[IdxFile], mirrors: Sequence[str], folder: Path) -> None:
    """Fetch files into ``folder``, decompressed, each from the first mirror that serves the published bytes.

    pooch writes each download to a temporary file, compares its SHA-256 and only then moves it into place, so an
    interrupted or wrong download never leaves a file behind. Files already there with the right hash are kept.

    Args:
        files: what to fetch; a mirror serves it as ``<mirror><name>.gz``.
        mirrors: base addresses, tried in order for every file.
        folder: where the decompressed files go; made if missing.

    Raises:
        MissingExtraError: pooch is not installed.
        DataNotFoundError: no mirror served a file; the message holds each mirror's reason, or says that there is no
            network where none could be reached.
    """
    fresh = not folder.exists()
    try:
        _fetch_all(files, mirrors, folder)
    except BaseException:
        # pooch makes the folder before it asks; an empty one would look to others like a data set that is there.
        if fresh:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


def _fetch_all(files: Sequence[IdxFile], mirrors: Sequence[str], folder: Path) -> None:
    pooch = need("pooch", extra="datasets", purpose="download data sets")
    unreachable = need("requests", extra="datasets", purpose="download data sets").ConnectionError
    for file in files:
        reasons: list[str] = []
        offline = True
        for mirror in mirrors:
            url = f"{mirror}{file.name}.gz"
            try:
                pooch.retrieve(url, f"sha256:{file.sha256}", file.name, folder, downloader=_Inflating(pooch, file))
                break
            # requests' errors are OSErrors, a wrong hash is pooch's ValueError: either way the next mirror may do.
            except (OSError, ValueError) as error:
                reasons.append(f"{url}: {error}")
                offline &= isinstance(error, unreachable)
        else:
            if offline:
                hosts = " and ".join(mirror.split("/")[2] for mirror in mirrors)
                raise DataNotFoundError(f"no network: {hosts} cannot be reached.")
            raise DataNotFoundError("\n".join(reasons))


class _Inflating:
    """A pooch downloader that decompresses on the way, so that pooch checks and keeps the published content."""

    def __init__(self, pooch: Any, file: IdxFile) -> None:
        # Redirects stay off: they could lead to a host, or to a protocol, that nobody chose.
        self.fetch = pooch.HTTPDownloader(
            chunk_size=1 << 16, timeout=(CONNECT_SECONDS, READ_SECONDS), allow_redirects=False
        )
        self.file = file

    def __call__(self, url: str, output_file: str, _pooch: Any) -> None:
        with Path(output_file).open("wb") as output:
            sink = _Sink(output, url, self.file)
            try:
                self.fetch(url, sink, _pooch)
            except zlib.error as error:
                raise ChecksumError(f"{url}: expected a gzip stream, got one that breaks off: {error}") from error


class _Sink:
    """Where the downloader writes: inflates gzip, refuses to grow past the published size."""

    def __init__(self, output: BinaryIO, url: str, file: IdxFile) -> None:
        self.output, self.url, self.file = output, url, file
        self.room = file.size
        self.inflate: Any = None
        self.started = False

    def write(self, chunk: bytes) -> None:
        if not self.started:
            self.started = True
            # A server that declares its .gz as a content encoding has had it undone by the HTTP client already.
            self.inflate = zlib.decompressobj(wbits=31) if chunk.startswith(GZIP_MAGIC) else None
        content = self.inflate.decompress(chunk, self.room + 1) if self.inflate else chunk
        self.room -= len(content)
        if self.room < 0:
            raise ChecksumError(f"{self.url}: expected {self.file.size} bytes decompressed, got more")
        self.output.write(content)

    def flush(self) -> None:
        self.output.flush()
