"""The system's C compiler: finding it, and making a shared library with it."""

from __future__ import annotations

import functools
import importlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np

from ...errors import CompilerError

__all__ = ["FLAGS", "Compiler", "compile_library", "cpu_features", "find_compiler", "numpy_extension"]

CANDIDATES = ("cc", "gcc", "clang")

FLAGS = (
    "-std=gnu11",
    "-O3",
    "-fPIC",
    "-shared",
    "-fopenmp-simd",  # the pragmas that allow a loop to add in another order; no library, no threads
    "-ffp-contract=fast",
    # Neither changes a value: nobody reads errno or the floating-point flags after a program. -ffast-math would, it
    # takes NaN, infinities and signed zeros for impossible.
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fno-semantic-interposition",
    "-w",
)


@dataclass(frozen=True)
class Compiler:
    """A C compiler: the command that starts it, what it says its version is, and the flags it understands."""

    command: tuple[str, ...]
    version: str
    flags: tuple[str, ...]


def _run(command: list[str], timeout: float = 120.0) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LC_ALL": "C"}
    return subprocess.run(  # noqa: S603 - the user's own compiler
        command, capture_output=True, text=True, timeout=timeout, check=False, env=environment
    )


@functools.cache
def _probed(path: str, options: tuple[str, ...]) -> Compiler | str:
    """The compiler at ``path``, or why it is none."""
    try:
        told = _run([path, *options, "--version"], 20)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{path}: {error}"
    if told.returncode or not told.stdout.strip():
        return f"{path}: is there, but --version ended with {told.returncode}"
    native = "-mcpu=native" if platform.machine().lower() in ("arm64", "aarch64") else "-march=native"
    return Compiler((path, *options), told.stdout.strip().partition("\n")[0], (*FLAGS, native))


def find_compiler() -> Compiler:
    """The compiler named by the variable ``CC``, else the first of cc, gcc and clang that answers.

    Raises:
        CompilerError: none does; the message says what was tried.
    """
    named = os.environ.get("CC")
    commands = [tuple(shlex.split(named))] if named else [(one,) for one in CANDIDATES]
    tried = []
    for command in commands:
        path = shutil.which(command[0]) if command else None
        found = f"{' '.join(command) or 'CC'}: not found on PATH" if path is None else _probed(path, command[1:])
        if isinstance(found, Compiler):
            return found
        tried.append(found)
    raise CompilerError(
        f"no C compiler: {'; '.join(tried)}. Install one (Debian and Ubuntu: apt install gcc; macOS: xcode-select "
        "--install), or name it: CC=/path/to/gcc"
    )


def numpy_extension() -> ModuleType:
    """NumPy's compiled module: it knows the processor, and has BLAS loaded."""
    name = "numpy._core" if np.lib.NumpyVersion(np.__version__) >= "2.0.0" else "numpy.core"
    return importlib.import_module(f"{name}._multiarray_umath")


@functools.cache
def cpu_features() -> str:
    """What the code is compiled for: machine, CPU model and the instruction sets that NumPy finds in it."""
    found = getattr(numpy_extension(), "__cpu_features__", {})
    words = [platform.machine(), *sorted(name for name, there in found.items() if there)]
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text().splitlines()
        for key in ("model name", "flags", "Features"):
            words += [line.partition(":")[2].strip() for line in lines if line.startswith(key)][:1]
    return " ".join(words)


def compile_library(compiler: Compiler, source: str, folder: Path) -> bytes:
    """The shared library made of ``source``; ``folder`` takes the files in between.

    Raises:
        CompilerError: the compiler refused, with its first messages.
    """
    with tempfile.TemporaryDirectory(prefix="compiling-", dir=folder) as name:
        source_file = Path(name) / "program.c"
        library = Path(name) / "program.so"
        source_file.write_text(source)
        flags = list(compiler.flags)
        command = [*compiler.command, *flags, str(source_file), "-o", str(library), "-lm"]
        try:
            done = _run(command)
            if done.returncode and "native" in done.stderr:  # an older compiler that does not know this CPU by itself
                done = _run([part for part in command if not part.endswith("=native")])
        except (OSError, subprocess.TimeoutExpired) as error:
            raise CompilerError(f"{compiler.command[0]} did not run: {error}") from error
        if done.returncode or not library.exists():
            raise CompilerError(
                f"{compiler.version} ended with {done.returncode} on generated code:\n{done.stderr[:2000]}"
            )
        return library.read_bytes()
