"""Files are there whole or not at all, at whatever operation the disk fails, the process dies or the power goes."""

from __future__ import annotations

import os
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from faulty_files import OPERATIONS, DiedError, Failing, Lying, PowerCut

from tinygrad_mlp.errors import ArgumentError, DamagedFileError
from tinygrad_mlp.io.atomic import sweep, write
from tinygrad_mlp.io.series import Series

OLD, NEW = b"the old content" * 50, b"and the new one, which is longer" * 60


def count_of_operations(folder: Path) -> int:
    counting = Failing(short=700)
    write(folder / "counted", NEW, files=counting)
    assert set(counting.done) == set(OPERATIONS) - {"remove"}
    return len(counting.done)


def test_a_file_is_written_and_replaced(tmp_path: Path) -> None:
    """The content is what was given, also when the disk takes it in small pieces, and nothing else is in the folder."""
    path = tmp_path / "file"
    for content in (OLD, NEW, b"", bytearray(NEW)):
        write(path, content, files=Failing(short=7))
        assert path.read_bytes() == content
        assert list(tmp_path.iterdir()) == [path]


def test_every_operation_that_fails_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    """The error is raised, the path holds one of the two contents, and no temporary file is left."""
    path = tmp_path / "file"
    for at in range(count_of_operations(tmp_path)):
        write(path, OLD)
        files = Failing(at, short=700)
        with pytest.raises(OSError, match="as the test wants it"):
            write(path, NEW, files=files)
        after_rename = "rename" in files.done[:at]
        assert path.read_bytes() == (NEW if after_rename else OLD)
        assert {one.name for one in tmp_path.iterdir()} == {"file", "counted"}


def test_every_operation_at_which_the_process_dies_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    """A temporary file may be left; it is swept away when it is an hour old, not before."""
    path = tmp_path / "file"
    for at in range(count_of_operations(tmp_path)):
        write(path, OLD)
        with pytest.raises(DiedError):
            write(path, NEW, files=Failing(at, dies=True, short=700))
        assert path.read_bytes() in {OLD, NEW}
    left = [one for one in tmp_path.iterdir() if one.name.startswith(".")]
    assert left
    assert sweep(tmp_path) == []
    for one in left:
        os.utime(one, (time.time() - 7200,) * 2)
    assert sorted(sweep(tmp_path)) == sorted(left)
    assert {one.name for one in tmp_path.iterdir()} == {"file", "counted"}


def test_a_power_cut_leaves_the_old_file_or_the_new_one() -> None:
    """Whatever of the unsynced data and names is lost; and the new one once write has returned."""
    rng = np.random.default_rng(0)
    path = Path("/disk/file")
    outcomes = set()
    for cut in range(20):
        for _ in range(100):
            disk = PowerCut(None, rng)
            write(path, OLD, files=disk)
            disk.cut = disk.count + cut
            returned = False
            try:
                write(path, NEW, files=disk)
                returned = True
            except DiedError:
                pass
            found = disk.after()[str(path)]
            assert found == NEW if returned else found in {OLD, NEW}
            outcomes.add((returned, found == NEW))
    assert outcomes == {(False, False), (False, True), (True, True)}


@pytest.mark.parametrize("skipped", ["sync", "sync_folder"])
def test_the_power_cut_notices_a_sync_that_is_left_out(skipped: str) -> None:
    """A writer without one of the two syncs loses a file in this model, so the model is a test."""
    rng = np.random.default_rng(1)
    path = Path("/disk/file")
    bad = 0
    for _ in range(200):
        disk = PowerCut(None, rng)
        write(path, OLD, files=disk)
        setattr(disk, skipped, lambda *_: None)
        write(path, NEW, files=disk)
        bad += disk.after().get(str(path)) != NEW
    assert bad > 20


def test_a_disk_that_lies_is_found_out(tmp_path: Path) -> None:
    """What was written is read back before it takes the name of the old file."""
    path = tmp_path / "file"
    write(path, OLD)
    with pytest.raises(OSError, match="does not hold what was written"):
        write(path, NEW, files=Lying())
    assert path.read_bytes() == OLD
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_folder_and_a_full_name_raise(tmp_path: Path) -> None:
    """Errors of the system come through as they are."""
    with pytest.raises(FileNotFoundError):
        write(tmp_path / "nowhere" / "file", NEW)


def test_a_series_keeps_the_newest(tmp_path: Path) -> None:
    """Older files go only when the newer one is there; other files are left alone."""
    (tmp_path / "checkpoint-1.safetensors").write_bytes(b"not ours")
    series = Series(tmp_path, keep=3)
    for number in (4, 7, 12, 900, 123_456_789):
        series.write(number, str(number).encode())
    assert series.numbers() == [123_456_789, 900, 12]
    assert (tmp_path / "checkpoint-1.safetensors").exists()
    path, content = series.newest(Path.read_bytes) or (None, None)
    assert path == series.path(123_456_789)
    assert content == b"123456789"


def test_a_series_falls_back_and_says_so(tmp_path: Path) -> None:
    """The newest file that can be read, a warning that names those that cannot, an error where there is none."""

    def read(path: Path) -> bytes:
        data = path.read_bytes()
        if data.startswith(b"bad"):
            raise DamagedFileError(f"{path.name} is damaged")
        return data

    series = Series(tmp_path / "new" / "folder", keep=5)
    assert series.newest(read) is None
    series.write(1, b"good")
    series.write(2, b"bad")
    series.write(3, b"bad too")
    with pytest.warns(RuntimeWarning, match=r"checkpoint-00000001.* in place of .*00000003.*damaged.*00000002"):
        found = series.newest(read)
    assert found == (series.path(1), b"good")
    series.write(1, b"bad, too")
    with pytest.raises(DamagedFileError, match=r"no file in .*00000003.*00000001"):
        series.newest(read)


def test_a_series_loses_nothing_at_any_failure(tmp_path: Path) -> None:
    """At every operation that fails or kills, what was acknowledged before is still the newest, or is newer."""
    counting = Series(tmp_path / "count", keep=1, files=(files := Failing(short=50)))
    for number in (1, 2):
        counting.write(number, NEW)
    for dies in (False, True):
        for at in range(len(files.done)):
            folder = tmp_path / f"{dies}-{at}"
            series = Series(folder, keep=1, files=Failing(at, dies=dies, short=50))
            acknowledged = 0
            try:
                for number in (1, 2):
                    series.write(number, NEW)
                    acknowledged = number
            except (OSError, DiedError):
                pass
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                found = Series(folder).newest(Path.read_bytes)
            assert found is not None or acknowledged == 0
            assert found is None or (found[1] == NEW and int(found[0].stem.split("-")[1]) >= acknowledged)


def test_a_series_keeps_at_least_one(tmp_path: Path) -> None:
    """Keeping none would be losing the run."""
    with pytest.raises(ArgumentError, match="keep"):
        Series(tmp_path, keep=0)
