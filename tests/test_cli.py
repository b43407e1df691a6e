"""The command line, run as people run it: in a process of its own, on small settings."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_mlp
from tinygrad_mlp import nn, ops
from tinygrad_mlp.cli import main, tasks
from tinygrad_mlp.cli.checks import check_folder
from tinygrad_mlp.datasets import load_digits
from tinygrad_mlp.errors import ArgumentError
from tinygrad_mlp.tape import OPS
from tinygrad_mlp.testing.cases import differentiable

ROOT = Path(__file__).resolve().parents[1]

cyclopts = pytest.importorskip("cyclopts", reason='cyclopts is missing: pip install "tinygrad-mlp[cli]"')


def run(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    # As bare as `env -i`: nothing of the caller's environment reaches the command.
    return subprocess.run(
        [sys.executable, "-m", "tinygrad_mlp", *arguments],
        cwd=cwd,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def train_in(folder: Path, *arguments: str) -> dict[str, Any]:
    assert main(["train", *arguments, "--output", str(folder)]) == 0
    found: dict[str, Any] = json.loads((folder / "history.json").read_text(encoding="utf-8"))
    return found


def test_help_teaches(tmp_path: Path) -> None:
    """--help names every command and shows examples that can be copied."""
    done = run("--help", cwd=tmp_path)
    assert done.returncode == 0
    for line in ("tinygrad-mlp demo", "tinygrad-mlp train moons", "--hidden 300 100", "tinygrad-mlp gradcheck"):
        assert line in done.stdout


@pytest.mark.parametrize("command", ["demo", "train", "gradcheck", "ops"])
def test_every_command_explains_every_option(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """No option stands there without a word about it."""
    assert main([command, "--help"]) == 0
    shown = capsys.readouterr().out
    options = re.findall(r"^│ [ *]*(--[\w-]+(?: --no-[\w-]+)?(?: [A-Z]+(?:\.\.\.)?)?)(.*)│$", shown, flags=re.MULTILINE)
    assert options
    assert [name for name, text in options if not text.strip()] == []


def test_train_shows_where_the_time_went(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--profile prints the tables, writes a trace, and changes no result."""
    settings = ("moons", "--hidden", "4", "--epochs", "1")
    plain = train_in(tmp_path / "plain", *settings)
    capsys.readouterr()
    profiled = train_in(tmp_path / "profiled", *settings, "--profile", str(tmp_path / "trace" / "moons.json"))
    shown = capsys.readouterr().out
    assert "rule of linear" in shown
    assert "MLP.0" in shown
    trace = json.loads((tmp_path / "trace" / "moons.json").read_text(encoding="utf-8"))
    assert any(one["name"] == "linear" for one in trace["traceEvents"])
    assert {key: plain["history"][key] for key in ("loss", "val_loss")} == {
        key: profiled["history"][key] for key in ("loss", "val_loss")
    }


@pytest.mark.parametrize(
    ("option", "line", "ran"),
    [
        pytest.param("--compile", "Steps: compiled, native code", "native", marks=pytest.mark.compiler),
        ("--no-compile", "Steps: not compiled (compile=False)", None),
    ],
)
def test_train_says_what_ran_the_steps(
    option: str, line: str, ran: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """--compile and --no-compile are obeyed; the output and history.json say so."""
    found = train_in(tmp_path, "moons", "--hidden", "4", "--epochs", "2", option)
    assert line in capsys.readouterr().out.splitlines()
    assert found["compiled"] == ran


@pytest.mark.parametrize("command", ["demo", "train", "gradcheck", "ops"])
def test_the_help_of_a_command_has_examples_of_that_command_only(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two examples of its own, none of another, on lines that a terminal of 80 columns does not break."""
    monkeypatch.setenv("COLUMNS", "80")
    assert main([command, "--help"]) == 0
    shown = capsys.readouterr().out.partition("Examples:")[2]
    assert re.findall(r"^  tinygrad-mlp (\w+)", shown, flags=re.MULTILINE) == [command, command]
    assert all(line.startswith(("  tinygrad-mlp ", "      ")) for line in shown.splitlines() if line.strip())


def test_the_help_shows_the_defaults_that_are_used(capsys: pytest.CaptureFixture[str]) -> None:
    """The table of defaults has every data set with its own settings."""
    assert main(["train", "--help"]) == 0
    shown = capsys.readouterr().out
    found = {
        row[0]: tuple(row[1:])
        for row in re.findall(
            r"^  ([a-z-]+) +(\d+(?: \d+)?) +(adam|sgd) +(\S+) +(\d+) +(\d+) +(\S+)$", shown, flags=re.MULTILINE
        )
    }
    points = found.pop("points")
    for name in ("xor", "spiral", "moons", "circles", "gauss", "bmi"):
        found[name] = points
    assert found.keys() == tasks.TASKS.keys()
    for name, row in found.items():
        usual = tasks._IMAGES if "mnist" in name else tasks.task_of(name).settings
        widths, *rest = dataclasses.astuple(usual)
        assert (" ".join(map(str, widths)), *map(str, rest)) == row


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """--version says which program and which version."""
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == f"tinygrad-mlp {tinygrad_mlp.__version__}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian", "digits"], 'Did you mean "train"?'),
        (["train"], f"tinygrad-mlp train moons. There are: {', '.join(sorted(tasks.TASKS))}"),
        (["train", "digit"], "unknown data set 'digit'; did you mean 'digits'?"),
        (["train", "iris", "--optimizer", "adma"], "unknown optimizer 'adma'; did you mean 'adam'?"),
        (["train", "iris", "--activation", "rleu"], "unknown activation 'rleu'; did you mean 'relu'?"),
        (["train", "iris", "--epochs", "many"], '"many"'),
        (
            ["train", "iris", "--optimizer", "lion"],
            "--optimizer: unknown optimizer 'lion'. Valid: adadelta, adagrad",
        ),
        (["train", "iris", "--epochs", "0"], "--epochs is a whole number from 1, got 0"),
        (["train", "iris", "--batch-size", "0"], "--batch-size is a whole number from 1, got 0"),
        (["train", "iris", "--hidden", "8", "0"], "--hidden is a whole number from 1, got 0"),
        (["train", "iris", "--lr", "-1"], "--lr is a number above 0, got -1; say --lr 0.01"),
        (["train", "iris", "--lr", "nan"], "--lr is a number above 0, got nan"),
        (["train", "iris", "--dropout", "2"], "--dropout is a number from 0 to 1, got 2"),
        (["train", "iris", "--seed", "-1"], "--seed is a whole number from 0, got -1"),
        (["train", "iris", "--validation", "5000"], "--validation 5000: iris has 120 training samples"),
        (["train", "iris", "--validation", "119"], "--validation 119: that part of the 120 training samples of iris"),
        (["train", "iris", "--validation", "1.5"], "--validation is a number of samples or a share below 1, got 1.5"),
        (["demo", "--seed", "-1"], "--seed is a whole number from 0, got -1"),
        (["gradcheck", "--order", "3"], "--order is 1 or 2, got 3"),
        (["gradcheck", "--model", "3"], "--model is a list of two or more sizes"),
        (["gradcheck", "--model", "3", "0"], "--model is a whole number from 1, got 0"),
        (["gradcheck", "expp"], "unknown op 'expp'; did you mean 'exp'?"),
    ],
)
def test_errors_are_one_line_and_exit_code_2(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """No traceback: one line that starts with "error:" and says what would be right."""
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    shown, error = capsys.readouterr()
    assert shown == ""
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def test_a_folder_that_cannot_be_written_is_an_error_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is noticed before the training, not after it, and named as the option that has to change."""
    file = tmp_path / "file"
    file.write_text("in the way", encoding="utf-8")
    for command in (["train", "iris", "--epochs", "1"], ["demo"]):
        for folder in (file, file / "below"):
            assert main([*command, "--output", str(folder)]) == 2
            shown, error = capsys.readouterr()
            assert shown == ""
            assert error == f"error: --output {folder}: {file} is a file, not a folder; choose another folder\n"


def test_a_folder_without_permission_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the nearest folder that exists cannot be written to, the error names it."""
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(ArgumentError, match="cannot be written to; choose another folder"):
        check_folder("--output", tmp_path / "new" / "folder")


def test_without_cyclopts_the_command_says_how_to_install_it() -> None:
    """Importing the room works with NumPy alone; running it prints the line and exits with 2."""
    code = "import sys; sys.modules['cyclopts'] = None; from tinygrad_mlp.cli import main; sys.exit(main(['demo']))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == ('error: cyclopts is needed to read command lines: pip install "tinygrad-mlp[cli]"\n')


# --- train --------------------------------------------------------------------------------------------


def test_train_leaves_history_weights_and_report(tmp_path: Path) -> None:
    """The three files are there, agree with each other, and the weights load into a model without pickle."""
    found = train_in(tmp_path / "out", "iris", "--hidden", "8", "6", "--epochs", "3", "--seed", "4")
    assert len(found["history"]["val_accuracy"]) == 3
    assert found["settings"]["hidden"] == [8, 6]
    with np.load(tmp_path / "out" / "weights.npz", allow_pickle=False) as arrays:
        model = nn.MLP(4, 8, 6, 3)
        model.load_state_dict(dict(arrays))
    ready = tasks.make_ready(tasks.task_of("iris"), 0.1, 4)
    accuracy = float((model(tinygrad_mlp.from_numpy(ready.x_test)).data.argmax(1) == ready.y_test).mean())
    assert accuracy == found["test"]["accuracy"]
    report = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert f"{accuracy:.2%}" in report


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    """Weights and history of two runs agree; another seed gives other weights."""
    files = [tmp_path / name / "weights.npz" for name in "abc"]
    for file, seed in zip(files, ("1", "1", "2"), strict=True):
        train_in(file.parent, "moons", "--epochs", "2", "--seed", seed)
    first, second, third = (dict(np.load(file, allow_pickle=False)) for file in files)
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert not all(np.array_equal(first[name], third[name]) for name in first)


def test_a_number_to_predict_is_scored_by_r2(tmp_path: Path) -> None:
    """Regression prints R², and body-mass index from height and weight is learnt."""
    found = train_in(tmp_path / "out", "bmi", "--epochs", "40")
    assert found["test"]["r2"] > 0.97
    assert "test R²" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_output_lines_in_a_pipe(tmp_path: Path) -> None:
    """Sizes, summary, one line per epoch, where the report is, and the result as the last line."""
    done = run("train", "xor", "--epochs", "2", cwd=tmp_path)
    lines = done.stdout.splitlines()
    assert lines[0] == "xor: 270 training, 30 validation, 100 test samples"
    assert [line.split(" - ")[0] for line in lines if line.startswith("Epoch")] == ["Epoch 1/2", "Epoch 2/2"]
    assert lines[-2] == f"Report: {Path('runs/xor/report.html')}"
    assert re.fullmatch(r"xor: test accuracy \d+\.\d\d% after 2 epochs in \d+\.\d s\.", lines[-1])
    assert (tmp_path / "runs" / "xor" / "report.html").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot send Ctrl-C to one process")
def test_ctrl_c_keeps_the_finished_epochs(tmp_path: Path) -> None:
    """SIGINT while training: exit code 130, and the files hold the epochs that were finished."""
    command = [sys.executable, "-m", "tinygrad_mlp", "train", "digits", "--epochs", "100000", "--output", str(tmp_path)]
    with subprocess.Popen(
        command, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        while not process.stdout.readline().startswith("Epoch 1/"):
            assert process.poll() is None
            time.sleep(0)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Stopped: interrupted" in output
    found = json.loads((tmp_path / "history.json").read_text(encoding="utf-8"))
    assert found["stopped"] == "interrupted"
    assert len(found["history"]["loss"]) >= 1


def test_the_npz_of_a_diverging_run_is_finite_and_the_exit_code_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A loss that is not finite stops training, warns, and exits with 2."""
    arguments = ["train", "bmi", "--optimizer", "sgd", "--lr", "1e18", "--output", str(tmp_path)]
    with np.errstate(all="ignore"), pytest.warns(RuntimeWarning, match="non-finite loss in epoch 1"):
        assert main(arguments) == 2
    assert "Stopped: non-finite loss" in capsys.readouterr().out


# --- data sets ----------------------------------------------------------------------------------------

SMALL = sorted(set(tasks.TASKS) - {"fashion-mnist", "mnist"})


@pytest.mark.parametrize("name", SMALL)
def test_scaling_knows_the_training_samples_alone(name: str) -> None:
    """Mean and scale are those of the samples trained on; changing the test samples changes nothing."""
    task = tasks.task_of(name)
    before = tasks.make_ready(task, 0.1, seed=0)
    task.x_test[...] = 1000.0
    after = tasks.make_ready(task, 0.1, seed=0)
    assert np.array_equal(before.x, after.x)
    assert len(before.x) + len(before.validation[0]) == len(task.x_train)
    if task.image_shape is None:
        assert np.allclose(before.x.mean(0), 0, atol=1e-5)
        assert np.allclose(before.x.std(0), 1, atol=1e-4)
    else:
        assert before.x.min() >= 0
        assert before.x.max() <= 1


@pytest.mark.parametrize("name", SMALL)
def test_the_test_samples_never_depend_on_the_seed(name: str) -> None:
    """Loading twice gives the same test samples, and --seed only chooses among the others."""
    first, second = tasks.task_of(name), tasks.task_of(name)
    assert np.array_equal(first.x_test, second.x_test)
    one, two = tasks.make_ready(first, 0.2, seed=1), tasks.make_ready(second, 0.2, seed=2)
    assert np.array_equal(one.y.shape, two.y.shape)
    assert not np.array_equal(one.x, two.x)


def test_the_digits_hold_out_is_stratified() -> None:
    """360 digits, each class within one sample of its share, none of them among the training samples."""
    task = tasks.task_of("digits")
    _, everything = load_digits(return_X_y=True)
    counts = np.bincount(task.y_test)
    assert counts.sum() == 360
    assert np.abs(counts - 360 * np.bincount(everything) / 1797).max() < 1
    test = {row.tobytes() for row in task.x_test}
    assert not test & {row.tobytes() for row in task.x_train}


def test_an_unknown_data_set_is_named() -> None:
    """The error lists all of them."""
    with pytest.raises(ArgumentError, match="Valid: bmi, breast-cancer, circles"):
        tasks.task_of("nothing")


def test_fashion_mnist_is_ready_to_train_on(real_data: Any) -> None:
    """55,000 + 5,000 + 10,000 images, pixels from 0 to 1."""
    real_data("fashion_mnist")
    ready = tasks.make_ready(tasks.task_of("fashion-mnist"), 5000, seed=0)
    assert (ready.x.shape, ready.validation[0].shape, ready.x_test.shape) == (
        (55_000, 784),
        (5_000, 784),
        (10_000, 784),
    )
    assert (ready.x.min(), ready.x.max(), ready.x.dtype) == (0.0, 1.0, np.float32)
    assert np.bincount(ready.validation[1]).tolist() == [500] * 10


# --- gradcheck ----------------------------------------------------------------------------------------


def test_gradcheck_checks_every_op_with_a_rule(capsys: pytest.CaptureFixture[str]) -> None:
    """One line per op, all right, exit code 0; the last line says how many of them are internal."""
    assert main(["gradcheck"]) == 0
    lines = capsys.readouterr().out.splitlines()
    names = sorted(differentiable())
    assert [line.split()[0] for line in lines[2:-4]] == names
    internal = len(set(names) - set(ops.__all__))
    assert 0 < internal < len(names)
    assert lines[-1].startswith(
        f"{len(names)} of {len(names)} ops right, order 1, float64: {len(names) - internal} of tinygrad_mlp.ops, "
        f"{internal} internal"
    )


def test_gradcheck_says_what_its_errors_are_relative_to(capsys: pytest.CaptureFixture[str]) -> None:
    """Both tables call the column an error and state the floor below it."""
    for arguments in (["exp"], ["--model", "3", "2"]):
        assert main(["gradcheck", *arguments]) == 0
        shown = capsys.readouterr().out
        assert shown.splitlines()[0].split("  ")[1].strip() == "worst error"
        assert "a thousandth of the largest" in shown


def test_gradcheck_notices_a_wrong_rule(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A rule off by 0.1 % is reported with its place, and the exit code is 1."""

    def wrong_tanh(x: tinygrad_mlp.Tensor) -> tinygrad_mlp.Tensor:
        y = x.tanh()
        return y + 0.001 * (y - y.detach())

    wrong_tanh.op = OPS["tanh"]  # type: ignore[attr-defined]
    monkeypatch.setattr(OPS["tanh"], "call", wrong_tanh)
    assert main(["gradcheck", "tanh", "exp"]) == 1
    shown = capsys.readouterr().out
    assert re.search(r"^tanh .*WRONG at input 0\[", shown, flags=re.MULTILINE)
    assert re.search(r"^exp .*right$", shown, flags=re.MULTILINE)


def test_gradcheck_of_a_network(capsys: pytest.CaptureFixture[str]) -> None:
    """Every parameter of the model has its line, also at order 2."""
    assert main(["gradcheck", "--model", "3", "4", "2", "--order", "2"]) == 0
    shown = capsys.readouterr().out
    assert re.findall(r"^(\d\.\w+) .* right$", shown, flags=re.MULTILINE) == [
        "0.weight",
        "0.bias",
        "2.weight",
        "2.bias",
    ]


# --- demo ---------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_demo_proves_learns_and_reports(tmp_path: Path) -> None:
    """In a bare environment and a pipe: gradients right to 1e-10, held-out accuracy at least 0.97, report written."""
    done = run("demo", "--output", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    last = done.stdout.splitlines()[-1]
    match = re.fullmatch(
        r"([\d.]+)% of 360 held-out digits right \(\d+ wrong\) after ([\d.]+) seconds of training; "
        r"worst gradient error (\S+)\.",
        last,
    )
    assert match, last
    assert float(match[1]) >= 97.0
    assert float(match[3]) <= 1e-10
    assert "Report: out/report.html" in done.stdout
    report = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    for heading in ("Are the gradients right?", "What it got wrong", "The graph of one training step"):
        assert heading in report
    assert "<script" not in report
