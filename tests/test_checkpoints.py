"""Runs that stop and go on: bit by bit as if they had not stopped, whatever they are made of."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import checkpoint_torture as torture
import numpy as np
import pytest
from faulty_files import Failing

from tinygrad_mlp import Tensor, io, nn, optim, train
from tinygrad_mlp.data import DataLoader
from tinygrad_mlp.errors import ArgumentError, DamagedFileError, FileFormatError, StateError
from tinygrad_mlp.io.tensors import read
from tinygrad_mlp.train.callbacks import (
    BackupAndRestore,
    Callback,
    EarlyStopping,
    LearningRateScheduler,
    ModelCheckpoint,
    ReduceLROnPlateau,
)

RNG = np.random.default_rng(7)
X = RNG.normal(size=(50, 4)).astype(np.float32)
Y = (X.sum(1) > 0).astype(int)


def made(seed: int = 3, dropout: float = 0.3) -> nn.Module:
    return nn.MLP(4, 8, 2, dropout=dropout, seed=seed)


def fitted(model: nn.Module, epochs: int = 4, callbacks: Any = (), **options: Any) -> train.History:
    options = {"batch_size": 16, "seed": None if "resume_from" in options else 1, "verbose": 0, "lr": 0.05} | options
    return train.fit(model, X, Y, epochs=epochs, callbacks=callbacks, **options)


def bits(model: nn.Module, history: Any = None) -> str:
    weights = "".join(one.data.tobytes().hex() for one in model.state_dict().values())
    return weights + (repr((history.history, history.epoch)) if history else "")


# --- the torture, a little of it ---


@pytest.mark.parametrize("name", list(torture.OPTIMIZERS))
def test_every_optimizer_resumes_bit_by_bit(name: str) -> None:
    """At the first steps, within an epoch, at its end, and in the next one."""
    assert torture.resume(name, 50, False, cuts=(1, 2, 24, 25, 26, 40), processes=False) == []


@pytest.mark.parametrize("name", ["SGD, momentum", "Adam"])
@pytest.mark.parametrize("compile", ["replay", pytest.param("native", marks=pytest.mark.compiler)])
def test_compiled_runs_resume_bit_by_bit(name: str, compile: str) -> None:
    """The step after which a run is stopped is captured again, and the next one runs in C, as it did."""
    assert torture.resume(name, 50, compile, cuts=(1, 2, 24, 25, 26, 40), processes=False) == []


def test_runs_resume_in_another_process() -> None:
    """Nothing that the process remembers is needed."""
    assert torture.resume("Adam", 25, False, cuts=(3, 25)) == []


def test_kill_and_failures_and_flipped_bits() -> None:
    """A few of the thousands that tests/checkpoint_torture.py does."""
    assert torture.kill(15) == []
    assert torture.faults() == []
    assert torture.flips(200) == []


# --- what else a run is made of ---


class Noisy(nn.Module):
    """Its next step depends on a generator, a passing buffer, and a number that only it knows of."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 2, seed=0)
        self.rng = np.random.default_rng(5)
        self.register_buffer("mean", Tensor(np.zeros(4, np.float32)), persistent=False)
        self.calls = 0

    def forward(self, x: Any) -> Any:
        if self.training:
            self.calls += 1
            self.mean.data[...] = 0.9 * self.mean.data + 0.1 * x.data.mean(0)
            x = x + Tensor(self.rng.normal(size=x.shape).astype(np.float32) / self.calls)
        return self.layer(x - self.mean)

    def get_extra_state(self) -> Any:
        return {"calls": self.calls}

    def set_extra_state(self, state: Any) -> None:
        self.calls = state["calls"]


RUNS: dict[str, Callable[[], tuple[nn.Module, dict[str, Any]]]] = {
    "schedules": lambda: (
        made(),
        {"callbacks": [LearningRateScheduler(lambda epoch, lr: lr * 0.7), ReduceLROnPlateau("loss", patience=0)]},
    ),
    "validation split": lambda: (made(), {"validation_split": 0.3}),
    "a module with a memory": lambda: (Noisy(), {}),
    "accumulation": lambda: (made(), {"accumulate": 2, "batch_size": 7}),
    "class weights": lambda: (made(), {"class_weight": {0: 1.0, 1: 3.0}, "weighted_metrics": ["accuracy"]}),
    "metrics": lambda: (made(), {"metrics": ["accuracy", "auc", "f1"]}),
    "batch statistics": lambda: (
        nn.Sequential(nn.Linear(4, 8, seed=0), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2, seed=1)),
        {"compile": "replay"},
    ),
    "sgd": lambda: (made(), {"optimizer": "sgd"}),
    "a loss with buffers": lambda: (
        nn.MLP(4, 8, 1, seed=0),
        {"loss": nn.BCEWithLogitsLoss(pos_weight=Tensor([2.0])), "y": Y[:, None].astype(np.float32)},
    ),
}


@pytest.mark.parametrize("name", list(RUNS))
def test_whatever_a_run_is_made_of_is_saved(name: str, tmp_path: Path) -> None:
    """Stopped within an epoch and between two."""

    def run(extra: list[Any], **options: Any) -> str:
        model, own = RUNS[name]()
        own = dict(own)
        callbacks = [*own.pop("callbacks", []), *extra]
        options = {"batch_size": 16, "verbose": 0, "seed": None if options else 1, **own, **options}
        history = train.fit(model, X, options.pop("y", Y), epochs=3, callbacks=callbacks, **options)
        return bits(model, history)

    whole = run([])
    assert run([ModelCheckpoint(tmp_path / "{epoch}-{batch}.st", save_freq=1)]) == whole
    paths = sorted(tmp_path.iterdir())
    assert len(paths) >= 4
    for path in paths:
        assert run([Callback()], resume_from=path) == whole, path


def test_a_loader_of_ones_own_resumes(tmp_path: Path) -> None:
    """Its own seed and epoch, also if it has been used before."""

    def run(**options: Any) -> str:
        loader = DataLoader((X, Y), 16, shuffle=True, seed=9)
        list(loader)
        model = made()
        return bits(model, train.fit(model, loader, epochs=3, verbose=0, **options))

    whole = run()
    run(callbacks=[ModelCheckpoint(tmp_path / "{epoch}-{batch}.st", save_freq=3)])
    for path in tmp_path.iterdir():
        assert run(resume_from=path) == whole


def test_a_data_set_that_is_not_arrays_resumes_in_c(tmp_path: Path) -> None:
    """Its batches are not asked for twice."""

    class Rows:
        def __len__(self) -> int:
            return 50

        def __getitem__(self, index: int) -> Any:
            return X[index], Y[index]

    def run(**options: Any) -> str:
        model = made()
        loader = DataLoader(Rows(), 16, shuffle=True, seed=9)
        history = train.fit(model, loader, epochs=3, verbose=0, compile="native", **options)
        return bits(model, history)

    whole = run()
    run(callbacks=[ModelCheckpoint(tmp_path / "{epoch}-{batch}.st", save_freq=1)])
    for path in tmp_path.iterdir():
        assert run(resume_from=path) == whole, path


def test_a_run_that_was_to_stop_stops(tmp_path: Path) -> None:
    """A checkpoint of the epoch in which early stopping gave up does not go on, and restores the best weights."""
    stopping = EarlyStopping("loss", patience=0, min_delta=10)
    model = made()
    history = fitted(model, 8, [stopping, ModelCheckpoint(tmp_path / "{epoch}.st")])
    assert history.stopped
    last = max(tmp_path.iterdir())
    again = made(seed=8)
    resumed = fitted(again, 8, [EarlyStopping("loss", patience=0, min_delta=10)], resume_from=last)
    assert resumed.stopped == history.stopped
    assert bits(again, resumed) == bits(model, history)


# --- what is refused ---


def test_checkpoints_of_other_runs_are_refused(tmp_path: Path) -> None:
    """Other data, another optimizer, another model, another seed, no checkpoint; with what to do."""
    path = tmp_path / "c.st"
    fitted(made(), 2, [ModelCheckpoint(path)])
    with pytest.raises(StateError, match="other data"):
        fitted(made(), batch_size=8, resume_from=path)
    with pytest.raises(StateError, match="a run with Adam, but this one is with SGD"):
        fitted(made(), optimizer="sgd", resume_from=path)
    with pytest.raises(StateError, match="missing"):
        fitted(nn.MLP(4, 8, 8, 2), resume_from=path)
    with pytest.raises(StateError, match="generators"):
        fitted(nn.Sequential(*[layer if i != 2 else nn.Identity() for i, layer in enumerate(made())]), resume_from=path)
    with pytest.raises(ArgumentError, match="begun with seed=1"):
        fitted(made(), seed=2, resume_from=path)
    with pytest.raises(ArgumentError, match="leave initial_epoch out"):
        fitted(made(), initial_epoch=1, resume_from=path)
    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        fitted(made(), resume_from=tmp_path)
    io.save_weights(made(), path)
    with pytest.raises(FileFormatError, match="not a training checkpoint"):
        fitted(made(), resume_from=path)
    train.save_checkpoint(path, made())
    with pytest.raises(StateError, match="load_checkpoint"):
        fitted(made(), resume_from=path)


def test_another_environment_and_missing_callbacks_warn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run goes on, and says why its last bits may differ."""
    path = tmp_path / "c.st"
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    fitted(made(), 2, [EarlyStopping("loss", patience=9), ModelCheckpoint(path)])
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with pytest.warns(RuntimeWarning) as told:
        fitted(made(), resume_from=path)
    said = " ".join(str(one.message) for one in told)
    assert "OMP_NUM_THREADS 7 (now 1)" in said
    assert "states of EarlyStopping, which this run does without" in said


# --- the two callbacks ---


def test_model_checkpoint_writes_what_it_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Fields, the best only, weights only, a line per file, the last few."""
    model = made(dropout=0.0)
    fitted(
        model, 4, [
            ModelCheckpoint(tmp_path / "all" / "{epoch:02d}-{val_loss:.2f}.st", keep=2, verbose=1),
            ModelCheckpoint(tmp_path / "weights.st", save_weights_only=True),
            ModelCheckpoint(tmp_path / "best.st", save_best_only=True, monitor="val_accuracy", mode="min"),
            ModelCheckpoint(tmp_path / "never.st", save_best_only=True, initial_value_threshold=-1.0),
        ], validation_split=0.2,
    )  # fmt: skip
    assert [one.name[:3] for one in sorted((tmp_path / "all").iterdir())] == ["03-", "04-"]
    assert capsys.readouterr().out.count("saved") == 4
    assert (read(tmp_path / "weights.st").document or {})["kind"] == "weights"
    assert (tmp_path / "best.st").exists()
    assert not (tmp_path / "never.st").exists()
    again = io.load_model(max((tmp_path / "all").iterdir()))
    assert bits(again) == bits(model)
    fresh = made(seed=9, dropout=0.0)
    io.load_weights(fresh, tmp_path / "weights.st")
    assert bits(fresh) == bits(model)


def test_model_checkpoint_refuses_what_cannot_be(tmp_path: Path) -> None:
    """Options when it is made, fields and monitors when training begins or the file is written."""
    with pytest.raises(ArgumentError, match="save_freq"):
        ModelCheckpoint("x", save_freq=0)
    with pytest.raises(ArgumentError, match="keep"):
        ModelCheckpoint("x", keep=0)
    with pytest.raises(ArgumentError, match="unknown field 'val_los'"):
        fitted(made(), callbacks=[ModelCheckpoint(tmp_path / "{val_los}")])
    with pytest.raises(ArgumentError, match="nothing is validated"):
        fitted(made(), callbacks=[ModelCheckpoint(tmp_path / "x", save_best_only=True)])


def test_a_disk_that_fails_ends_training_and_leaves_the_last_checkpoint(tmp_path: Path) -> None:
    """The error comes out of fit, and the file of the epoch before goes on."""
    path = tmp_path / "c.st"
    counting = Failing()
    fitted(made(), 2, [ModelCheckpoint(path, files=counting)])
    whole = made()
    history = fitted(whole, 4)
    with pytest.raises(OSError, match="as the test wants it"):
        fitted(made(), 4, [ModelCheckpoint(path, files=Failing(len(counting.done) + 1))])
    again = made(seed=8)
    assert bits(again, fitted(again, 4, [ModelCheckpoint(path)], resume_from=path)) == bits(whole, history)


class Breaks(Callback):
    """What stands for a power cut."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if epoch == self.epoch:
            raise RuntimeError("the power is gone")


@pytest.mark.parametrize("save_freq", ["epoch", 3])
def test_backup_and_restore_goes_on_by_itself(save_freq: Any, tmp_path: Path) -> None:
    """Start the same program again and it ends as if it had not been stopped; then the folder is gone."""
    whole = made()
    history = fitted(whole, 5, validation_split=0.2)
    folder = tmp_path / "backup"
    for epoch in (2, 3, 4):
        with pytest.raises(RuntimeError, match="power"):
            fitted(made(), 5, [BackupAndRestore(folder, save_freq), Breaks(epoch)], validation_split=0.2)
        assert 1 <= len(list(folder.iterdir())) <= 2
    again = made()
    resumed = fitted(again, 5, [BackupAndRestore(folder, save_freq), Breaks(9)], validation_split=0.2)
    assert bits(again, resumed) == bits(whole, history)
    assert not folder.exists()


def test_backup_and_restore_passes_over_a_damaged_file(tmp_path: Path) -> None:
    """The newest is damaged: the one before goes on, with a warning; if all are, it says so."""
    whole = made()
    history = fitted(whole, 4)
    with pytest.raises(RuntimeError):
        fitted(made(), 4, [BackupAndRestore(tmp_path), Breaks(3)])
    older, newest = sorted(tmp_path.iterdir())
    newest.write_bytes(newest.read_bytes()[:-100] + b"\0" * 100)
    again = made()
    with pytest.warns(RuntimeWarning, match=f"{older.name} is read in place of a newer file"):
        resumed = fitted(again, 4, [BackupAndRestore(tmp_path, delete_checkpoint=False)])
    assert bits(again, resumed) == bits(whole, history)
    for one in tmp_path.iterdir():
        one.write_bytes(b"nothing")
    with pytest.raises(DamagedFileError, match="no file in"):
        fitted(made(), 4, [BackupAndRestore(tmp_path)])


# --- loops written by hand ---


def test_a_loop_of_ones_own(tmp_path: Path) -> None:
    """Any parts by name; numbers come back; a folder keeps the last two and falls back; parts that are missing."""
    model, other = made(), made(seed=4)
    optimizer = optim.Adam(model.parameters())
    draws, loader = np.random.default_rng(2), DataLoader((X, Y), 16, shuffle=True, seed=1)
    history = train.History()
    history.append({"loss": 0.5}, 0.1)
    parts = {"optimizer": optimizer, "draws": draws, "loader": loader, "other": other, "history": history}
    for step in range(4):
        draws.normal()
        train.save_checkpoint(tmp_path / "folder", model, **parts, step=step, best=float("inf"), names=("a", {3: None}))
    assert len(list((tmp_path / "folder").iterdir())) == 2
    wanted = draws.normal()
    fresh = made(seed=8)
    loaded = {
        "optimizer": optim.Adam(fresh.parameters()), "draws": np.random.default_rng(0),
        "loader": DataLoader((X, Y), 16, shuffle=True, seed=5), "other": made(seed=9), "history": train.History(),
    }  # fmt: skip
    told = train.load_checkpoint(tmp_path / "folder", fresh, **loaded)
    assert told == {"step": 3, "best": float("inf"), "names": ("a", {3: None})}
    assert bits(fresh) == bits(model)
    assert bits(loaded["other"]) == bits(other)
    assert loaded["draws"].normal() == wanted
    assert loaded["loader"].seed == 1
    assert loaded["history"].history == {"loss": [0.5]}
    with pytest.raises(StateError, match="holds the states of"):
        train.load_checkpoint(tmp_path / "folder", fresh, draws=draws)
    with pytest.raises(StateError, match="cannot be part of a checkpoint"):
        train.save_checkpoint(tmp_path / "x.st", model, thing=object())
    fitted(made(), 1, [ModelCheckpoint(tmp_path / "fit.st")])
    with pytest.raises(StateError, match="was saved by fit"):
        train.load_checkpoint(tmp_path / "fit.st", made())


def test_checkpoints_of_models_that_cannot_be_described_are_written(tmp_path: Path) -> None:
    """A model made with a function: the weights and the state are saved, only load_model cannot make it."""
    path = tmp_path / "c.st"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted(nn.MLP(4, 8, 2, activation=lambda: nn.ReLU(), seed=0), 1, [ModelCheckpoint(path)])
    with pytest.raises(FileFormatError, match="without a model"):
        io.load_model(path)
    fitted(nn.MLP(4, 8, 2, activation=lambda: nn.ReLU()), 2, [ModelCheckpoint(path)], resume_from=path)


def test_a_checkpoint_of_format_1_is_read(tmp_path: Path) -> None:
    """A file that was written by the first version of the format: its weights, its model, and the run in it."""
    path = Path(__file__).parent / "data" / "checkpoint_format_1.safetensors"
    model = io.load_model(path)
    assert repr(model) == repr(made())
    fresh = made(seed=8)
    assert io.load_weights(fresh, path) == ([], [])
    assert bits(fresh) == bits(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # it was written elsewhere
        history = fitted(made(seed=8), 3, [LearningRateScheduler(lambda epoch, lr: lr * 0.5)], resume_from=path)
    assert history.epoch == [0, 1, 2]
    assert history.history["learning_rate"] == [0.025, 0.0125, 0.00625]
