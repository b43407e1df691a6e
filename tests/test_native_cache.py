"""The cache of compiled libraries and the search for a compiler: what is stale, foreign or broken is found out."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinygrad_mlp.errors import CompilerError
from tinygrad_mlp.program.native import blas, cache, toolchain

SOURCE = "int answer(void) { return %d; }\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of this test's own, and nothing remembered from before."""
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    cache.load.cache_clear()
    return tmp_path / "cache"


def answer(number: int) -> int:
    """What the library compiled from ``SOURCE`` says, as a new process would find it."""
    cache.load.cache_clear()
    found: int = cache.load(SOURCE % number).answer()
    return found


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The sources that were compiled, not loaded."""
    seen: list[str] = []

    def counting(compiler: Any, source: str, folder: Path) -> bytes:
        seen.append(source)
        return toolchain.compile_library(compiler, source, folder)

    monkeypatch.setattr(cache, "compile_library", counting)
    return seen


def libraries(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.so"))


def test_a_second_process_need_not_compile(folder: Path, compiled: list[str]) -> None:
    """One file per source, the user's alone, and nothing else left behind."""
    assert answer(1) == 1
    assert answer(1) == 1
    assert len(compiled) == 1
    assert answer(2) == 2
    assert len(compiled) == 2
    assert len(libraries(folder)) == len(list(folder.iterdir())) == 2
    assert folder.stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o077 == 0 for path in libraries(folder))


@pytest.mark.parametrize("harm", ["cut", "changed", "empty", "text"])
def test_a_damaged_file_is_made_anew(folder: Path, compiled: list[str], harm: str) -> None:
    """Whatever happened to it, it is not loaded."""
    answer(3)
    (path,) = libraries(folder)
    content = path.read_bytes()
    spoilt = {"cut": content[:-100], "changed": content[:-1] + b"x", "empty": b"", "text": b"not a library"}[harm]
    path.unlink()  # the library that is loaded keeps its own file
    path.write_bytes(spoilt)
    path.chmod(0o700)
    assert answer(3) == 3
    assert len(compiled) == 2
    assert libraries(folder)[0].read_bytes() == content or len(libraries(folder)) == 1


def test_a_file_under_the_name_of_another_is_not_loaded(folder: Path, compiled: list[str]) -> None:
    """The name says what is inside."""
    answer(4)
    (path,) = libraries(folder)
    other = path.with_name(f"{path.name.partition('-')[0]}-{'0' * 64}.so")
    path.rename(other)
    assert answer(4) == 4
    assert len(compiled) == 2
    assert not other.exists()


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="files have no owner here")
def test_what_others_can_write_is_not_loaded(folder: Path, compiled: list[str]) -> None:
    """A file, or the whole folder, that somebody else may change; and links."""
    answer(5)
    (path,) = libraries(folder)
    path.chmod(0o722)
    answer(5)
    assert len(compiled) == 2
    (path,) = libraries(folder)
    real = path.with_name("elsewhere")
    path.rename(real)
    path.symlink_to(real)
    answer(5)
    assert len(compiled) == 3
    folder.chmod(0o777)
    answer(5)
    assert len(compiled) == 4


def test_the_key_knows_compiler_flags_and_processor(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another of any of them finds nothing."""
    compiler = toolchain.Compiler(("cc",), "1", ("-O3",))
    keys = {cache._key("a", compiler), cache._key("b", compiler)}
    keys.add(cache._key("a", toolchain.Compiler(("cc",), "2", ("-O3",))))
    keys.add(cache._key("a", toolchain.Compiler(("cc",), "1", ("-O2",))))
    keys.add(cache._key("a", toolchain.Compiler(("gcc",), "1", ("-O3",))))
    monkeypatch.setattr(cache, "cpu_features", lambda: "another")
    keys.add(cache._key("a", compiler))
    assert len(keys) == 6


@pytest.mark.parametrize("value", ["off", "", "0"])
def test_the_cache_can_be_switched_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compiled: list[str], value: str
) -> None:
    """Everything is compiled, nothing is kept."""
    monkeypatch.setenv(cache.VARIABLE, value)
    monkeypatch.chdir(tmp_path)
    assert cache.cache_folder() is None
    assert answer(6) == answer(6) == 6
    assert len(compiled) == 2
    assert not list(tmp_path.iterdir())


def test_without_a_place_for_it_programs_still_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compiled: list[str]
) -> None:
    """A file where the folder should be."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "file" / "cache"))
    assert answer(7) == 7


def test_the_folder_is_the_users_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``XDG_CACHE_HOME`` where that is the custom."""
    monkeypatch.delenv(cache.VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    if sys.platform.startswith("linux"):
        assert cache.cache_folder() == tmp_path / "tinygrad-mlp" / "native"


SCRIPT = """
import sys
from tinygrad_mlp.program.native import cache
print(cache.load("int answer(void) { return 42; }").answer())
"""


def test_many_processes_at_once(folder: Path) -> None:
    """All of them get the library, and one file stays."""

    def run(_: int) -> str:
        done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(run, range(6))) == {"42\n"}
    assert {path.suffix for path in folder.iterdir()} == {".so"}


def test_no_compiler_is_an_error_that_says_what_was_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names, where they were looked for, and how to get one."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(CompilerError, match=r"cc: not found.*clang: not found.*apt install gcc"):
        toolchain.find_compiler()
    monkeypatch.setenv("CC", "/no/such/compiler -m32")
    with pytest.raises(CompilerError, match="/no/such/compiler -m32: not found"):
        toolchain.find_compiler()
    broken = tmp_path / "cc"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.delenv("CC")
    with pytest.raises(CompilerError, match="--version ended with 3"):
        toolchain.find_compiler()


def test_a_compiler_that_refuses_is_quoted(folder: Path) -> None:
    """The first of its messages are in the error."""
    with pytest.raises(CompilerError, match="syntax_of_no_language"):
        cache.load("int syntax_of_no_language(;\n")
    assert not list(folder.iterdir())


def test_flags_keep_nan_infinities_and_signed_zeros() -> None:
    """-ffast-math, and what it stands for, would take them away."""
    flags = set(toolchain.find_compiler().flags)
    assert not flags & {
        "-ffast-math",
        "-Ofast",
        "-ffinite-math-only",
        "-fno-signed-zeros",
        "-funsafe-math-optimizations",
    }


def test_blas_multiplies() -> None:
    """The address found is that of a matrix product, of the width said."""
    import ctypes

    found = blas.find_blas()
    if found is None:
        pytest.skip("this NumPy hides its BLAS")
    whole = ctypes.c_int64 if found.wide else ctypes.c_int
    for address, real, dtype in ((found.sgemm, ctypes.c_float, np.float32), (found.dgemm, ctypes.c_double, np.float64)):
        types = [ctypes.c_int] * 3 + [whole] * 3 + [real, ctypes.c_void_p, whole, ctypes.c_void_p, whole, real]
        gemm = ctypes.CFUNCTYPE(None, *types, ctypes.c_void_p, whole)(address)
        a, b = np.arange(6, dtype=dtype).reshape(2, 3), np.arange(12, dtype=dtype).reshape(3, 4)
        c = np.empty((2, 4), dtype)
        gemm(101, 111, 111, 2, 4, 3, 1, a.ctypes.data, 3, b.ctypes.data, 4, 0, c.ctypes.data, 4)
        np.testing.assert_array_equal(c, a @ b)
