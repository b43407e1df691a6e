"""A third of the names that this package shares with PyTorch, on torch's own sample inputs."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("expecttest")

import torch_op_db as table  # noqa: E402 - needs torch

NAMES = sorted(name for name in table.shared() if table.is_looked_at(name))


def test_there_is_much_to_look_at() -> None:
    """A third of all shared names, which are many."""
    assert len(table.shared()) >= 350
    assert 0.25 < len(NAMES) / len(table.shared()) < 0.42


@pytest.mark.parametrize("name", NAMES)
def test_samples_give_torchs_values_and_gradients(name: str) -> None:
    """Of each op the first samples; what is passed over is named."""
    tally = table.check(table.shared()[name], 8)
    assert tally.failed == []
    assert tally.passed + sum(tally.explained.values()) == tally.tried


OTHERS = [
    (name, dtype)
    for name in NAMES
    for dtype in (torch.float32, torch.int64, torch.bool)
    if dtype in table.shared()[name].supported_dtypes("cpu")
]


@pytest.mark.parametrize(("name", "dtype"), OTHERS, ids=str)
def test_other_dtypes_give_torchs_values_and_dtypes(name: str, dtype: torch.dtype) -> None:
    """What float32, integers and booleans become."""
    tally = table.check(table.shared()[name], 6, dtype)
    assert tally.failed == []
