"""What `import tinygrad_mlp` costs over `import numpy`, and how large the package is.

The package is measured as it is installed: its wheel is built, unpacked into a temporary folder and compiled there, as
pip does. Fresh interpreters import numpy alone, or numpy and then the package, in turns.
"""

from __future__ import annotations

import compileall
import importlib.metadata
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
from harness import NOT_INSTALLED, ROOT, Column, Settings, Table, has, verdict

__all__ = ["measure"]

MILLISECONDS_GOAL = 50.0
MEGABYTES_GOAL = 1.0
# library: (how people import it, the distributions that come with it beside NumPy and are of any size).
PEERS = {
    "autograd": ("import autograd.numpy", ("autograd",)),
    "mygrad": ("import mygrad", ("mygrad",)),
    "micrograd": ("import micrograd.engine", ("micrograd",)),
    "jax": ("import jax.numpy", ("jax", "jaxlib", "scipy")),
    "sklearn": ("import sklearn.neural_network", ("scikit-learn", "scipy")),
    "torch": ("import torch", ("torch", "sympy", "networkx")),
    "keras": ("import keras", ("keras", "jax", "jaxlib", "scipy", "h5py")),
}
COLUMNS = (
    Column("what", "start-up and size"),
    Column("value", "value", ".2f"),
    Column("unit", "unit"),
    Column("goal", "goal, at most", ".0f"),
    Column("verdict", "verdict"),
)
INSIDE = "import numpy, time; t = time.perf_counter(); import tinygrad_mlp; print(time.perf_counter() - t)"


def measure(settings: Settings) -> Table:
    """Build, unpack, time."""
    notes = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # Building wants the network for its back end, which is much for a trial.
        wheel = None if settings.quick else _build_wheel(folder)
        site = folder / "site"
        if wheel is None:
            notes.append(
                "No wheel was built (pip wheel --no-deps needs its back end); sizes are those of the source tree."
            )
            shutil.copytree(ROOT / "tinygrad_mlp", site / "tinygrad_mlp", ignore=shutil.ignore_patterns("__pycache__"))
        else:
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(site)
        unpacked = _megabytes(site)
        packed = wheel.stat().st_size / 1e6 if wheel else None
        compileall.compile_dir(site, quiet=2)
        compiled = _megabytes(site)
        env = {**os.environ, "PYTHONPATH": str(site)}
        env.pop("PYTHONDONTWRITEBYTECODE", None)
        whole, inside = _import_times(env, folder, settings.pick(25, 2))
    rows = [
        _row("import tinygrad_mlp over import numpy, whole process", whole * 1e3, "ms", MILLISECONDS_GOAL),
        _row("the same, inside one interpreter", inside * 1e3, "ms", MILLISECONDS_GOAL),
        _row("wheel", packed, "MB", None),
        _row("installed", unpacked, "MB", MEGABYTES_GOAL),
        _row("installed, with bytecode", compiled, "MB", None),
    ]
    for library, (statement, distributions) in PEERS.items():
        if not has(library):
            rows += [{"what": f"{library}: import over NumPy's", "value": NOT_INSTALLED}]
            continue
        seconds = _import_seconds(statement, settings.pick(7, 1), settings.pick(1, 0))
        rows.append(_row(f"{library}: `{statement}` over import numpy", seconds * 1e3, "ms", None))
        # Keras runs on PyTorch too, without JAX.
        distributions = tuple(filter(_is_installed, distributions))
        size = _installed_megabytes(distributions)
        rows.append(_row(f"{library}: installed, {' + '.join(distributions)}", size, "MB", None))
    return Table("startup", "Start-up time and installed size", COLUMNS, rows, notes)


def _row(what: str, value: float | None, unit: str, goal: float | None) -> dict[str, object]:
    return {"what": what, "value": value, "unit": unit, "goal": goal, "verdict": verdict((value, goal))}


def _build_wheel(folder: Path) -> Path | None:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)  # noqa: S603 - our own
    return next(folder.glob("*.whl"), None) if done.returncode == 0 else None


def _megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def _import_times(env: dict[str, str], folder: Path, rounds: int) -> tuple[float, float]:
    """Medians of the difference of two whole processes, and of the time inside one."""
    differences, inside = [], []
    for number in range(rounds + 1):
        base, _ = _run("import numpy", env, folder)
        with_package, _ = _run("import numpy; import tinygrad_mlp", env, folder)
        _, printed = _run(INSIDE, env, folder)
        # The first round fills the system's file cache.
        if number:
            differences.append(with_package - base)
            inside.append(float(printed))
    return float(np.median(differences)), float(np.median(inside))


def _import_seconds(statement: str, rounds: int, untimed: int) -> float:
    """The median of the time inside a fresh interpreter that has NumPy; an untimed round fills the file cache."""
    code = f"import numpy, time; t = time.perf_counter(); {statement}; print(time.perf_counter() - t)"
    # Keras needs one of them, and its fastest is JAX.
    env = {**os.environ, "KERAS_BACKEND": "jax" if has("jax") else "torch"}
    found = [float(_run(code, env, ROOT)[1].splitlines()[-1]) for _ in range(rounds + untimed)]
    return float(np.median(found[untimed:]))


def _is_installed(distribution: str) -> bool:
    try:
        importlib.metadata.distribution(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _installed_megabytes(distributions: tuple[str, ...]) -> float:
    """The size of the files that the installer wrote down, bytecode left out."""
    total = 0
    for name in distributions:
        for file in importlib.metadata.files(name) or ():
            path = Path(str(file.locate()))
            if path.suffix != ".pyc" and path.is_file():
                total += path.stat().st_size
    return total / 1e6


def _run(code: str, env: dict[str, str], folder: Path) -> tuple[float, str]:
    begin = time.perf_counter()
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", code], env=env, cwd=folder, capture_output=True, text=True, check=True
    )
    return time.perf_counter() - begin, done.stdout
