"""Checkpoints under torture: resumption at every step, kill -9, failures of the disk, flipped bits.

    python tests/checkpoint_torture.py resume --cases 200 --compile replay
    python tests/checkpoint_torture.py kill --cases 1000
    python tests/checkpoint_torture.py program --cases 20
    python tests/checkpoint_torture.py faults
    python tests/checkpoint_torture.py flips --cases 10000

Each prints what it did and what went wrong, and ends with 1 if anything did. ``tests/test_checkpoints.py`` runs a few
cases of each.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from faulty_files import DiedError, Failing

from tinygrad_mlp import Tensor, nn, optim, train
from tinygrad_mlp.errors import FileFormatError
from tinygrad_mlp.io.plain import from_json  # noqa: F401 - imported before processes are forked
from tinygrad_mlp.io.series import Series
from tinygrad_mlp.io.tensors import packed, read, unpacked
from tinygrad_mlp.optim import lr_scheduler
from tinygrad_mlp.train.callbacks import BackupAndRestore, EarlyStopping, LearningRateScheduler, ModelCheckpoint

# Options that bring every array and branch of the rules into play.
OPTIMIZERS: dict[str, Callable[[Any], optim.Optimizer]] = {
    "SGD": lambda params: optim.SGD(params, 0.05),
    "SGD, momentum": lambda params: optim.SGD(params, 0.05, momentum=0.9, dampening=0.1, weight_decay=0.01),
    "SGD, Nesterov": lambda params: optim.SGD(params, 0.05, momentum=0.9, nesterov=True),
    "Adam": lambda params: optim.Adam(params, 0.01, weight_decay=0.01),
    "Adam, amsgrad": lambda params: optim.Adam(params, 0.01, amsgrad=True),
    "AdamW": lambda params: optim.AdamW(params, 0.01),
    "Adamax": lambda params: optim.Adamax(params, 0.01),
    "NAdam": lambda params: optim.NAdam(params, 0.01),
    "RAdam": lambda params: optim.RAdam(params, 0.01),
    "RMSprop": lambda params: optim.RMSprop(params, 0.01),
    "RMSprop, centred": lambda params: optim.RMSprop(params, 0.01, centered=True, momentum=0.9),
    "Adagrad": lambda params: optim.Adagrad(params, 0.05, lr_decay=0.01),
    "Adadelta": lambda params: optim.Adadelta(params, 1.0),
    "Rprop": lambda params: optim.Rprop(params, 0.01),
    "LBFGS": lambda params: optim.LBFGS(params, 0.5, max_iter=3, history_size=4),
}

STEPS_PER_EPOCH = 25
SAMPLES = 8 * STEPS_PER_EPOCH - 5  # the last batch of an epoch is not full
RNG = np.random.default_rng(20)
X = RNG.normal(size=(SAMPLES, 6)).astype(np.float32)
Y = (np.sin(X.sum(1)) > 0).astype(np.int64) + (X[:, 0] > 0.5)
X_VAL, Y_VAL = X[:40], Y[:40]


def digest(model: nn.Module, optimizer: optim.Optimizer, *more: Any) -> str:
    """SHA-256 of everything a run has: weights, state and options of the optimizer, generators, and more."""
    found = hashlib.sha256()
    for name, one in model.state_dict().items():
        found.update(name.encode() + one.data.tobytes("A"))
    _update(found, optimizer.state_dict())
    for module in model.modules():
        for value in vars(module).values():
            if isinstance(value, np.random.Generator):
                found.update(repr(value.bit_generator.state).encode())
    for one in more:
        _update(found, one)
    return found.hexdigest()


def _update(found: Any, value: Any) -> None:
    if isinstance(value, dict):
        for key, one in sorted(value.items(), key=str):
            found.update(repr(key).encode())
            _update(found, one)
    elif isinstance(value, (list, tuple)):
        for one in value:
            _update(found, one)
    elif isinstance(value, (Tensor, np.ndarray)):
        data = np.asarray(value.data if isinstance(value, Tensor) else value)
        found.update(str((data.dtype, data.shape)).encode() + data.tobytes())
    else:
        found.update(repr(value).encode())


def fit_once(
    name: str, compile: Any, epochs: int, callbacks: Iterable[Any] = (), resume_from: Path | None = None
) -> tuple[str, train.History]:
    """One run, from the beginning or from a checkpoint: dropout, a schedule, early stopping, validation."""
    model = nn.MLP(6, 12, 8, 3, dropout=0.2, seed=5)
    optimizer = OPTIMIZERS[name](model.parameters())
    schedule = lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs)
    stopping = EarlyStopping(patience=1000, monitor="val_loss")
    history = train.fit(
        model, X, Y, epochs=epochs, batch_size=8, optimizer=optimizer, validation_data=(X_VAL, Y_VAL), verbose=0,
        seed=None if resume_from else 11, compile=compile, resume_from=resume_from,
        callbacks=[LearningRateScheduler(schedule), stopping, *callbacks],
    )  # fmt: skip
    stopped = stopping.state_dict()
    return digest(model, optimizer, history.history, history.epoch, schedule.state_dict(), stopped), history


def loop_once(name: str, steps: int, folder: Path | None = None, resume_from: Path | None = None) -> str:
    """A loop written by hand, for optimizers that call the loss themselves."""
    model = nn.MLP(6, 12, 3, activation="tanh", seed=5)
    optimizer = OPTIMIZERS[name](model.parameters())
    schedule = lr_scheduler.ExponentialLR(optimizer, 0.99)
    draws = np.random.default_rng(3)
    losses: list[float] = []
    parts = {"optimizer": optimizer, "schedule": schedule, "draws": draws}
    if resume_from is not None:
        losses = train.load_checkpoint(resume_from, model, **parts)["losses"]
    for step in range(len(losses), steps):
        chosen = draws.integers(0, SAMPLES, 32)
        x, y = Tensor(X[chosen]), Tensor(Y[chosen])

        def closure(x: Tensor = x, y: Tensor = y) -> Tensor:
            optimizer.zero_grad()
            loss = nn.CrossEntropyLoss()(model(x), y)
            loss.backward()
            return loss

        losses.append(float(optimizer.step(closure)))
        schedule.step()
        if folder is not None:
            train.save_checkpoint(folder / f"{step + 1}.safetensors", model, **parts, losses=losses)
    return digest(model, optimizer, losses, schedule.state_dict(), draws.bit_generator.state)


def resume(
    name: str, steps: int, compile: Any, *, cuts: Iterable[int] | None = None, processes: bool = True
) -> list[int]:
    """Steps at which a run that is stopped and resumed ends with other bits than the run that was not.

    Args:
        name: of the optimizer. steps: how long the run is, in whole epochs. compile: as for ``fit``.
        cuts: the steps after which it is stopped; all by default. processes: resume in another process.
    """
    by_hand = name == "LBFGS"
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        if by_hand:
            whole = loop_once(name, steps)
            saving = loop_once(name, steps, folder)
        else:
            whole, _ = fit_once(name, compile, steps // STEPS_PER_EPOCH)
            saver = ModelCheckpoint(folder / "{epoch:02d}-{batch:02d}.safetensors", save_freq=1)
            saving, history = fit_once(name, compile, steps // STEPS_PER_EPOCH, [saver])
            if compile and history.compiled != compile:
                raise AssertionError(f"{name} did not run as {compile}: {history.uncompiled}")
        if saving != whole:
            return [0]
        order = {path: at for at, path in enumerate(sorted(folder.iterdir(), key=_place), 1)}
        wanted = [path for path, at in order.items() if cuts is None or at in set(cuts)]
        arguments = [name, str(compile), str(steps), whole, *map(str, wanted)]
        if not processes:
            return [order[Path(one)] for one in resumed(arguments)]
        told = subprocess.run(
            [sys.executable, __file__, "--resumed", *arguments], capture_output=True, text=True, check=False
        )
        if told.returncode:
            raise AssertionError(told.stderr)
        return [order[Path(one)] for one in told.stdout.split("\n") if one]


def _place(path: Path) -> tuple[int, ...]:
    return tuple(map(int, path.stem.split("-")))


def resumed(arguments: list[str]) -> list[str]:
    """The checkpoints from which a run ends with other bits."""
    name, compiled, steps, whole, *paths = arguments
    compile = {"False": False}.get(compiled, compiled)
    wrong = []
    for one in paths:
        if name == "LBFGS":
            found = loop_once(name, int(steps), resume_from=Path(one))
        else:
            idle = ModelCheckpoint("unused", save_best_only=True, save_freq=10**6)
            found, _ = fit_once(name, compile, int(steps) // STEPS_PER_EPOCH, [idle], Path(one))
        if found != whole:
            wrong.append(one)
    return wrong


# --- kill -9 ---


def payload(step: int) -> bytearray:
    """A checkpoint's worth of bytes that belong to a step and to no other."""
    return packed({"weights": np.full((40, 50), step, np.float64)}, {"kind": "test", "step": step})


def step_in(path: Path) -> int:
    content = read(path)
    step = (content.document or {})["step"]
    if not (content.arrays["weights"] == step).all():
        raise AssertionError(f"{path} mixes two checkpoints")
    return int(step)


def kill(cases: int, seed: int = 0) -> list[str]:
    """Kill a process that writes one checkpoint after the other, at a random moment; what is wrong afterwards."""
    dice = random.Random(seed)  # noqa: S311 - dice
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        acknowledged = 0
        for case in range(cases):
            reader, writer = os.pipe()
            child = os.fork()
            if child == 0:
                try:
                    os.close(reader)
                    series = Series(folder)
                    step = max(series.numbers(), default=0)
                    while True:
                        step += 1
                        series.write(step, payload(step))
                        os.write(writer, step.to_bytes(8, "little"))
                finally:
                    os._exit(1)
            os.close(writer)
            time.sleep(dice.uniform(0.0, 0.06))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            told = b""
            while part := os.read(reader, 1 << 16):
                told += part
            os.close(reader)
            steps = np.frombuffer(told, "<u8")  # a write to a pipe of eight bytes is whole or not at all
            acknowledged = max([acknowledged, *map(int, steps)])
            wrong += [f"kill {case}: {one}" for one in _loads(folder, acknowledged)]
            for left in folder.glob(".*"):
                if dice.random() < 0.5:
                    left.unlink()
    if acknowledged < cases // 10:
        wrong.append(f"only {acknowledged} checkpoints were written in {cases} runs; the kills came too early")
    print(f"kill: {cases} kills, {acknowledged} checkpoints acknowledged, {len(wrong)} wrong")
    return wrong


def _loads(folder: Path, acknowledged: int) -> list[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            found = Series(folder).newest(step_in)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what the test looks for
            return [f"unreadable: {error!r}"]
    if found is None:
        return [f"nothing there, but {acknowledged} was acknowledged"] if acknowledged else []
    return [f"{found[1]} was loaded, but {acknowledged} was acknowledged"] if found[1] < acknowledged else []


def program(cases: int, seed: int = 0) -> list[str]:
    """A whole training program, killed again and again and started again, ends with the bits of one run."""
    dice = random.Random(seed)  # noqa: S311 - dice
    wrong = []
    expected, _ = fit_once("Adam", "replay", 8)
    kills = 0
    with tempfile.TemporaryDirectory() as made:
        while True:
            folder = Path(made) / "backup"
            child = subprocess.Popen(
                [sys.executable, __file__, "--backed-up", str(folder)], stdout=subprocess.PIPE, text=True
            )
            assert child.stdout is not None
            # The first line says that training has begun.
            child.stdout.readline()
            if kills < cases:
                time.sleep(dice.uniform(0.0, 0.1))
                child.kill()
            told = child.communicate()[0].strip()
            if child.returncode == 0:
                if told != expected:
                    wrong.append(f"after {kills} kills the run ended with {told}, not {expected}")
                if kills >= cases:
                    break
                shutil.rmtree(folder, ignore_errors=True)
            elif child.returncode == -signal.SIGKILL:
                kills += 1
            else:
                wrong.append(f"the program ended with {child.returncode}")
                break
    print(f"program: killed {kills} times, {len(wrong)} wrong")
    return wrong


def backed_up(folder: Path) -> str:
    """The program that is killed."""
    print("begins", flush=True)
    return fit_once("Adam", "replay", 8, [BackupAndRestore(folder, save_freq=3)])[0]


# --- failures of the disk ---


def faults() -> list[str]:
    """Every operation of every checkpoint of a run fails once, or is the last: the one before, or it, loads."""
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as made:
        counting = Failing(short=500)
        _saves(Path(made) / "count", counting)
        for dies in (False, True):
            for at in range(len(counting.done)):
                folder = Path(made) / f"{dies}-{at}"
                acknowledged, raised = _saves(folder, Failing(at, dies=dies, short=500))
                operation = counting.done[at]
                where = f"{operation} {at}{', where the process dies' if dies else ''}"
                wrong += [f"{where}: {one}" for one in _loads(folder, acknowledged)]
                if not raised and not (operation == "remove" and not dies):
                    wrong.append(f"{where}: nothing was raised")
                if not dies and list(folder.glob(".*")):
                    wrong.append(f"{where}: a temporary file is left")
        tried = 2 * len(counting.done)
    kinds = sorted(set(counting.done))
    print(f"faults: {tried} failures of {', '.join(kinds)}; {len(wrong)} wrong")
    return wrong


def _saves(folder: Path, files: Failing) -> tuple[int, bool]:
    series = Series(folder, keep=2, files=files)
    acknowledged = 0
    try:
        for step in (1, 2, 3, 4):
            series.write(step, payload(step))
            acknowledged = step
    except (OSError, DiedError):
        return acknowledged, True
    return acknowledged, False


def flips(cases: int, seed: int = 0) -> list[str]:
    """Flip one bit of a real checkpoint, or cut it short: every time it is noticed, with a named error."""
    dice = random.Random(seed)  # noqa: S311 - dice
    wrong = []
    with tempfile.TemporaryDirectory() as made:
        path = Path(made) / "1.safetensors"
        fit_once("Adam", False, 1, [ModelCheckpoint(path)])
        data = path.read_bytes()
    unpacked(data, "whole")
    for case in range(cases):
        changed = bytearray(data)
        at = dice.randrange(8 * len(data))
        if case % 10 == 0:
            del changed[at // 8 :]
        else:
            changed[at // 8] ^= 1 << at % 8
        try:
            unpacked(bytes(changed), "changed")
        except FileFormatError:
            continue
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what the test looks for
            wrong.append(f"bit {at}: {error!r}")
        else:
            wrong.append(f"bit {at} was not noticed")
    print(f"flips: {cases} of a file of {len(data)} bytes, {len(wrong)} wrong")
    return wrong


def main() -> int:
    """Run what the command line asks for."""
    if sys.argv[1:2] == ["--resumed"]:
        print("\n".join(resumed(sys.argv[2:])))
        return 0
    if sys.argv[1:2] == ["--backed-up"]:
        print(backed_up(Path(sys.argv[2])))
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["resume", "kill", "program", "faults", "flips"])
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--compile", choices=["False", "replay", "native"], default="False")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    wrong: list[str] = []
    if options.what == "resume":
        compile = {"False": False}.get(options.compile, options.compile)
        names = [name for name in OPTIMIZERS if not compile or name != "LBFGS"]
        for name in names:
            steps = -(-options.cases // STEPS_PER_EPOCH) * STEPS_PER_EPOCH
            bad = resume(name, steps, compile, cuts=range(1, options.cases + 1))
            print(
                f"resume, compile={options.compile}: {name}: {options.cases - len(bad)} of {options.cases}", flush=True
            )
            wrong += [f"{name}: {at}" for at in bad]
    elif options.what == "faults":
        wrong = faults()
    else:
        wrong = {"kill": kill, "program": program, "flips": flips}[options.what](options.cases, options.seed)
    print("\n".join(wrong[:50]))
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
