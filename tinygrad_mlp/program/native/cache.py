"""Compiled libraries kept on disk, so that the next process need not compile.

A library's file is named after what it was made of and what it holds: ``<key>-<digest>.so``, with the key a digest of
source, compiler, flags and CPU, and the digest that of the file's own bytes. A file that was cut short,
changed or put there under a wrong name is found out before it is loaded, and made anew. Writing goes to a temporary
name and then takes one rename, so that any number of processes can do it at once.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import os
import stat
import sys
import tempfile
from pathlib import Path

from ...errors import CompilerError
from .toolchain import Compiler, compile_library, cpu_features, find_compiler

__all__ = ["VARIABLE", "cache_folder", "load"]

VARIABLE = "TINYGRAD_MLP_NATIVE_CACHE"
"""The environment variable that moves the cache to another folder, or switches it off (``off``)."""

_SUFFIX = ".so"


def cache_folder() -> Path | None:
    """Where libraries are kept; None where :data:`VARIABLE` says ``off``."""
    named = os.environ.get(VARIABLE)
    if named is not None:
        return None if named.lower() in ("", "0", "off", "no") else Path(named)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or str(Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = str(Path.home() / "Library" / "Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "tinygrad-mlp" / "native"


def _is_ours(path: Path) -> bool:
    """Whether a file or folder is the user's own, and nobody else may write to it."""
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode):
        return False
    if not hasattr(os, "getuid"):
        return True
    return found.st_uid == os.getuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _usable(folder: Path) -> bool:
    """Whether the folder is there, or could be made, and is the user's alone."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return _is_ours(folder) and os.access(folder, os.W_OK)
    except (OSError, RuntimeError):  # no home, a read-only disk, a file in the way
        return False


def _key(source: str, compiler: Compiler) -> str:
    # The source is all that this package contributes, so that another version of it cannot find a library of this one.
    parts = (source, " ".join(compiler.command), compiler.version, " ".join(compiler.flags), cpu_features())
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:40]


def _kept(folder: Path, key: str) -> Path | None:
    """The library of this key, if it is the user's own and holds what its name says; what does not is removed."""
    for path in sorted(folder.glob(f"{key}-*{_SUFFIX}")):
        try:
            if _is_ours(path):
                if hashlib.sha256(path.read_bytes()).hexdigest() == path.name[len(key) + 1 : -len(_SUFFIX)]:
                    return path
                path.unlink()
        except OSError:  # another process has just removed it
            continue
    return None


def _keep(folder: Path, key: str, library: bytes) -> Path:
    target = folder / f"{key}-{hashlib.sha256(library).hexdigest()}{_SUFFIX}"
    handle, name = tempfile.mkstemp(prefix="writing-", dir=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(library)
        Path(name).chmod(0o700)
        Path(name).replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
    return target


def _opened(path: Path) -> ctypes.CDLL:
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise CompilerError(f"the compiled library cannot be loaded: {error}") from error


@functools.lru_cache(maxsize=64)
def load(source: str) -> ctypes.CDLL:
    """The library compiled from ``source``: from the cache if it is there, else compiled, and kept if possible.

    Raises:
        CompilerError: there is no compiler, it refused, or what it made cannot be loaded.
    """
    compiler = find_compiler()
    folder = cache_folder()
    if folder is not None and _usable(folder):
        key = _key(source, compiler)
        path = _kept(folder, key)
        if path is None:
            path = _keep(folder, key, compile_library(compiler, source, folder))
        return _opened(path)
    with tempfile.TemporaryDirectory(prefix="tinygrad-mlp-") as name:
        private = Path(name)
        path = private / f"program{_SUFFIX}"
        path.write_bytes(compile_library(compiler, source, private))
        return _opened(path)  # stays mapped after its file is gone
