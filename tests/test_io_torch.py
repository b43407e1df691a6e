"""State dicts of torch and weights of scikit-learn: read as they read them, written so that they read them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinygrad_mlp import Tensor, from_numpy, io, nn, no_grad
from tinygrad_mlp.errors import ArgumentError, DTypeError, FileFormatError, ShapeError, StateError, UnsafeFileError
from tinygrad_mlp.io.npz import read_npz

torch = pytest.importorskip("torch")

KINDS = ["float32", "float64", "float16", "int8", "int16", "int32", "int64", "uint8", "bool", "complex64", "complex128"]
NEWER = ["uint16", "uint32", "uint64"]


def a_bit_of_everything() -> dict[str, Any]:
    matrix = torch.randn(5, 6)
    return {
        **{kind: torch.arange(6).reshape(2, 3).to(getattr(torch, kind)) for kind in KINDS + NEWER},
        "bfloat16": torch.randn(7).bfloat16(),
        "matrix": matrix,
        "transposed": matrix.T,
        "row": matrix[2],
        "column": matrix[:, 3],
        "step": matrix[::2, 1::3],
        "number": torch.tensor(3.5),
        "empty": torch.zeros(0, 3),
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "tied": torch.nn.Parameter(matrix),
        "nested": {"lr": 0.1, 3: [1, 2, (3, "vier", None, True)], "size": torch.Size([1, 2]), "big": 2**40, "neg": -5},
    }


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_what_torch_saves_is_read(protocol: int, tmp_path: Path) -> None:
    """Every dtype, layout and nesting, with every protocol; what shares memory there shares it here."""
    given = a_bit_of_everything()
    torch.save(given, tmp_path / "m.pt", pickle_protocol=protocol)
    found = io.torch.read(tmp_path / "m.pt")
    assert list(found) == list(given)
    assert found.pop("nested") == {**given.pop("nested"), "size": (1, 2)}
    for name, one in given.items():
        wanted = one.detach().float().numpy() if one.dtype is torch.bfloat16 else one.detach().numpy()
        assert found[name].dtype == wanted.dtype, name
        assert np.array_equal(found[name], wanted), name
        assert found[name].strides == wanted.strides or not wanted.size, name
    assert all(np.shares_memory(found["matrix"], found[name]) for name in ("transposed", "row", "column", "tied"))


def test_what_we_write_torch_reads_and_so_do_we(tmp_path: Path) -> None:
    """With weights_only=True, every dtype and layout; tied parameters stay one storage; equal weights, equal files."""
    given = {kind: np.arange(6).reshape(2, 3).astype(kind) for kind in KINDS}
    matrix = np.random.default_rng(0).normal(size=(300, 400)).astype(np.float32)
    given |= {"F": np.asfortranarray(matrix), "strided": matrix[::2, ::3], "number": np.array(2.5), "tied": matrix,
              "tie": matrix, "empty": np.zeros((0, 3)), "tensor": Tensor([1.0]), "größer": np.ones(70_000)}  # fmt: skip
    io.torch.save_state_dict(given, tmp_path / "a.pt")
    io.torch.save_state_dict(given, tmp_path / "b.pt")
    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "b.pt").read_bytes()
    theirs = torch.load(tmp_path / "a.pt", weights_only=True)
    ours = io.torch.read(tmp_path / "a.pt")
    for name, one in given.items():
        wanted = np.asarray(one.data if isinstance(one, Tensor) else one)
        for found in (theirs[name].numpy(), ours[name]):
            assert found.dtype == wanted.dtype
            assert np.array_equal(found, wanted)
    assert theirs["tied"].data_ptr() == theirs["tie"].data_ptr()
    assert theirs["F"].stride() == (1, 300)
    io.torch.save_state_dict({}, tmp_path / "none.pt")
    assert torch.load(tmp_path / "none.pt", weights_only=True) == io.torch.read(tmp_path / "none.pt") == {}
    with pytest.raises(DTypeError, match="which torch cannot hold"):
        io.torch.save_state_dict({"x": np.ones(2, np.longdouble)}, tmp_path / "x.pt")


def test_models_go_both_ways(tmp_path: Path) -> None:
    """A torch model's weights give our model its outputs, and the other way round; with other names, too."""
    theirs = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    torch.save(theirs.state_dict(), tmp_path / "m.pth")
    ours = nn.MLP(4, 8, 3)
    assert io.torch.load_state_dict(ours, tmp_path / "m.pth") == ([], [])
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    assert np.allclose(ours(from_numpy(x)).data, theirs(torch.tensor(x)).detach().numpy(), atol=1e-6)

    io.torch.save_state_dict(ours, tmp_path / "back.pt")
    theirs.load_state_dict(torch.load(tmp_path / "back.pt", weights_only=True))

    class Named(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = theirs
            self.register_buffer("count", torch.tensor(3))

    torch.save(Named().state_dict(), tmp_path / "named.pt")
    fresh = nn.MLP(4, 8, 3)
    with pytest.raises(StateError, match="missing"):
        io.torch.load_state_dict(fresh, tmp_path / "named.pt")
    io.torch.load_state_dict(
        fresh, tmp_path / "named.pt", names=lambda name: name.removeprefix("net.").replace("count", "")
    )
    assert np.array_equal(fresh[0].weight.data, ours[0].weight.data)
    skipped = io.torch.load_state_dict(fresh, tmp_path / "named.pt", names={"net.0.weight": "0.weight"}, strict=False)
    assert skipped.missing_keys == ["0.bias", "2.weight", "2.bias"]


def test_training_state_is_read_as_dictionaries(tmp_path: Path) -> None:
    """A checkpoint of a torch loop: model, optimizer, numbers. Our optimizer takes the state as it is."""
    from tinygrad_mlp import optim

    theirs = torch.nn.Linear(3, 2)
    state = torch.optim.Adam(theirs.parameters(), lr=0.01).state_dict()
    # What a step puts there; the step itself takes torch ten seconds of imports.
    state["state"] = {
        place: {"step": torch.tensor(1.0), "exp_avg": torch.randn_like(one), "exp_avg_sq": torch.rand_like(one)}
        for place, one in enumerate(theirs.parameters())
    }
    torch.save({"epoch": 3, "model": theirs.state_dict(), "optimizer": state}, tmp_path / "c.pt")
    found = io.torch.read(tmp_path / "c.pt")
    assert found["epoch"] == 3
    ours = nn.Linear(3, 2)
    ours.load_state_dict(found["model"])
    optimizer = optim.Adam(ours.parameters())
    optimizer.load_state_dict(found["optimizer"])
    assert optimizer.param_groups[0]["lr"] == 0.01
    with pytest.raises(FileFormatError, match=r"holds epoch, model, optimizer; pick it out"):
        io.torch.load_state_dict(ours, tmp_path / "c.pt")


def test_what_is_not_a_state_dict_is_refused_by_name(tmp_path: Path) -> None:
    """A whole model names a class, TorchScript is a program, the old format is no zip."""
    torch.save(torch.nn.Linear(2, 2), tmp_path / "model.pt")
    with pytest.raises(UnsafeFileError, match=r"asks for 'torch\.nn\.modules\.linear\.Linear'.*state_dict\(\)"):
        io.torch.read(tmp_path / "model.pt")
    torch.save({"a": torch.ones(2)}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    with pytest.raises(FileFormatError, match=r"since version 1\.6"):
        io.torch.read(tmp_path / "old.pt")
    torch.save({"a": torch.ones(1).expand(1000)}, tmp_path / "wide.pt")
    with pytest.raises(UnsafeFileError, match=r"tensor\.clone\(\)"):
        io.torch.read(tmp_path / "wide.pt")


# --- scikit-learn ---


@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "identity"])
@pytest.mark.parametrize("classes", [2, 3, 0])
def test_scikit_learns_networks_come_over_and_go_back(activation: str, classes: int, tmp_path: Path) -> None:
    """The same outputs from the estimator, from its arrays and from an npz; and the arrays come back as they were."""
    neural = pytest.importorskip("sklearn.neural_network")
    rng = np.random.default_rng(1)
    x = rng.normal(size=(60, 5))
    y = rng.integers(0, classes, 60) if classes else rng.normal(size=60)
    kind = neural.MLPClassifier if classes else neural.MLPRegressor
    fitted = kind(hidden_layer_sizes=(7, 4), activation=activation, solver="lbfgs", max_iter=15, random_state=0)
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted.fit(x, y)
    arrays = {f"coefs_{i}": one for i, one in enumerate(fitted.coefs_)}
    arrays |= {f"intercepts_{i}": one for i, one in enumerate(fitted.intercepts_)}
    np.savez(tmp_path / "m.npz", activation=activation, **arrays)
    np.savez_compressed(tmp_path / "small.npz", activation=activation, **arrays)
    pair = (fitted.coefs_, fitted.intercepts_)
    for source, said in (
        (fitted, None),
        (pair, activation),
        (tmp_path / "m.npz", None),
        (tmp_path / "small.npz", None),
    ):
        model = io.from_sklearn(source, activation=said)
        with no_grad():
            logits = model(from_numpy(x)).data
        if classes == 3:
            found = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
            assert np.allclose(found, fitted.predict_proba(x), atol=1e-12)
        elif classes == 2:
            assert np.allclose(1 / (1 + np.exp(-logits[:, 0])), fitted.predict_proba(x)[:, 1], atol=1e-12)
        else:
            assert np.allclose(logits[:, 0], fitted.predict(x), atol=1e-12)
        coefs, intercepts = io.to_sklearn_weights(model)
        assert all(map(np.array_equal, coefs, fitted.coefs_))
        assert all(map(np.array_equal, intercepts, fitted.intercepts_))


def test_what_is_not_scikit_learns_is_named(tmp_path: Path) -> None:
    """Errors say what came and what to give."""
    with pytest.raises(ArgumentError, match="expected a fitted"):
        io.from_sklearn(3)
    with pytest.raises(ArgumentError, match="unknown activation 'rely'; did you mean 'relu'"):
        io.from_sklearn(([np.ones((2, 1))], [np.ones(1)]), activation="rely")
    with pytest.raises(ShapeError, match="layer 0"):
        io.from_sklearn(([np.ones((2, 3))], [np.ones(2)]))
    with pytest.raises(ShapeError, match="layer 0 gives 3 numbers, but the next takes 4"):
        io.from_sklearn(([np.ones((2, 3)), np.ones((4, 1))], [np.ones(3), np.ones(1)]))
    with pytest.raises(ArgumentError, match="has none"):
        io.to_sklearn_weights(nn.ReLU())
    np.savez(tmp_path / "m.npz", coefs_0=np.ones((2, 1)))
    with pytest.raises(FileFormatError, match="intercepts_0"):
        io.from_sklearn(tmp_path / "m.npz")


def test_npz_files_are_read_as_numpy_reads_them(tmp_path: Path) -> None:
    """Every plain dtype and layout, compressed or not."""
    given = {kind: np.arange(6).reshape(2, 3).astype(kind) for kind in KINDS}
    given |= {
        "F": np.asfortranarray(np.ones((2, 3))),
        "text": np.array("abc"),
        "empty": np.zeros((0, 3)),
        "big": np.arange(3, dtype=">f8"),
    }
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "m.npz", **given)
        found = read_npz(tmp_path / "m.npz")
        assert found.keys() == given.keys()
        for name, one in given.items():
            assert np.array_equal(found[name], one)
            assert found[name].dtype == one.dtype
