"""Weights and models go through a file and come back the same: values, dtypes, ties, layers, arguments."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st
from test_project import ONLY_NUMPY, ROOT

from tinygrad_mlp import Tensor, io, nn
from tinygrad_mlp.errors import ArgumentError, DamagedFileError, FileFormatError, StateError, UnsafeFileError
from tinygrad_mlp.io.models import registry
from tinygrad_mlp.io.plain import decoded, encoded, from_json, to_json
from tinygrad_mlp.io.tensors import packed, read, unpacked
from tinygrad_mlp.nn.module import parameters_limited


class Residual(nn.Module):
    """A class of a user's own: a module, an array and a class among its arguments, and a tied weight."""

    def __init__(self, inner: nn.Module, scale: Any, *, make: Any = nn.ReLU, size: int = 3) -> None:
        super().__init__()
        self.inner = inner
        self.register_buffer("scale", Tensor(scale))
        self.act = make()
        self.first = nn.Linear(size, size)
        self.second = nn.Linear(size, size)
        self.second.weight = self.first.weight
        self.size = size

    def forward(self, x: Any) -> Any:
        return self.act(self.inner(x) + self.second(self.first(x))) * self.scale


def same(a: nn.Module, b: nn.Module) -> None:
    ours, theirs = a.state_dict(), b.state_dict()
    assert list(ours) == list(theirs)
    for name, one in ours.items():
        assert one.data.dtype == theirs[name].data.dtype
        assert one.data.tobytes() == theirs[name].data.tobytes(), name
    assert repr(a) == repr(b)
    assert [m.training for m in a.modules()] == [m.training for m in b.modules()]
    assert [p.requires_grad for p in a.parameters()] == [p.requires_grad for p in b.parameters()]


def edited() -> nn.Module:
    """A model that was changed after it was made."""
    model = nn.MLP(4, 8, 3, activation="tanh", dropout=0.5, seed=0)
    model.append(nn.Sequential([nn.Linear(3, 2), nn.Softmax(dim=1)]))
    model[1] = nn.LeakyReLU(0.3)
    model[2].p = 0.1
    model[0].requires_grad_(False)
    model[2].eval()
    return model


MODELS: dict[str, Any] = {
    "mlp": lambda: nn.MLP(4, 8, 3, activation=nn.GELU, dropout=0.2, bias=False, seed=0),
    "double": lambda: nn.MLP(4, 8, 3, seed=0).double(),
    "half": lambda: nn.MLP(4, 8, 3, seed=0).astype("float16"),
    "edited": edited,
    "loss": lambda: nn.BCEWithLogitsLoss(pos_weight=Tensor([1.0, np.inf, 0.1])),
    "list": lambda: nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 1)]),
    "empty": nn.Sequential,
    "own": lambda: Residual(nn.Sequential(nn.Linear(3, 3), nn.Tanh()), np.arange(3.0), make=nn.SiLU),
    "own in own": lambda: Residual(Residual(nn.Identity(), [1.0, 2.0, 3.0]), 2.0),
    "twice": lambda: nn.Sequential(layer := nn.Linear(3, 3), nn.ReLU(), layer),
}


@pytest.mark.parametrize("name", list(MODELS))
def test_models_come_back(name: str, tmp_path: Path) -> None:
    """Everything that makes the model is in the file, and saving it twice gives the same bytes."""
    model = MODELS[name]()
    io.save_model(model, tmp_path / "a")
    io.save_model(model, tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    again = io.load_model(tmp_path / "a", custom_objects=[Residual])
    same(model, again)
    io.save_model(again, tmp_path / "b")
    same(again, io.load_model(tmp_path / "b", custom_objects=[Residual]))
    fresh = MODELS[name]()
    assert io.load_weights(fresh, tmp_path / "a") == ([], [])
    assert fresh.state_dict().keys() == model.state_dict().keys()


@pytest.mark.parametrize("name", sorted(set(registry()) - {"Module"}))
def test_every_layer_of_the_package_can_be_saved(name: str, tmp_path: Path) -> None:
    """A layer made with the simplest arguments that it takes."""
    cls = registry()[name]
    for arguments in ((), (4,), (4, 4), (4, 4, 3), (2, 4), (4, 4, 4), (1, (2, 2))):
        try:
            layer = cls(*arguments)
        except (TypeError, ArgumentError):
            continue
        io.save_model(layer, tmp_path / name)
        same(layer, io.load_model(tmp_path / name))
        return
    pytest.skip("made in another way")


def test_ties_stay_ties(tmp_path: Path) -> None:
    """A tied parameter is stored once and is one tensor again; a module that is there twice is one module again."""
    model = Residual(nn.Identity(), 1.0)
    io.save_model(model, tmp_path / "m")
    again = io.load_model(tmp_path / "m", custom_objects={"Residual": Residual})
    assert again.first.weight is again.second.weight
    assert "second.weight" not in read(tmp_path / "m").arrays
    io.save_model(MODELS["twice"](), tmp_path / "m")
    twice = io.load_model(tmp_path / "m")
    assert twice[0] is twice[2]


def test_tied_weights_load_where_nothing_is_tied(tmp_path: Path) -> None:
    """The file says all names of a tied parameter."""
    io.save_weights(MODELS["twice"](), tmp_path / "m")
    free = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3))
    io.load_weights(free, tmp_path / "m")
    assert np.array_equal(free[0].weight.data, free[2].weight.data)


def test_the_reference_library_reads_what_is_written(tmp_path: Path) -> None:
    """safetensors itself, with a dtype and a layout of every kind."""
    arrays = {
        "transposed": np.arange(6, dtype=np.float32).reshape(2, 3).T,
        "strided": np.arange(20)[::3],
        "number": np.float16(3).reshape(()),
        "empty": np.zeros((0, 3)),
        "big-endian": np.arange(3, dtype=">i4"),
        **{f"{dtype}": np.ones(2, dtype) for dtype in ("bool", "uint8", "int8", "uint64", "complex64", "float64")},
    }
    data = packed(arrays, {"kind": "test"})
    for found in (safetensors.numpy.load(bytes(data)), unpacked(bytes(data), "x").arrays):
        assert found.keys() == arrays.keys()
        for name, one in arrays.items():
            assert found[name].shape == one.shape
            assert found[name].dtype == one.dtype.newbyteorder("=")
            assert np.array_equal(found[name], one)
    assert all(one.flags.writeable and one.dtype.isnative for one in unpacked(bytes(data), "x").arrays.values())


def test_files_from_elsewhere_are_read(tmp_path: Path) -> None:
    """Files of other libraries have no document; bfloat16 becomes float32 without a change of value."""
    torch = pytest.importorskip("torch")
    theirs = pytest.importorskip("safetensors.torch")
    layer = torch.nn.Linear(3, 2).bfloat16()
    theirs.save_file(layer.state_dict(), tmp_path / "m", metadata={"format": "pt"})
    ours = nn.Linear(3, 2)
    io.load_weights(ours, tmp_path / "m")
    assert np.array_equal(ours.weight.data, layer.weight.detach().float().numpy())
    assert read(tmp_path / "m").metadata == {"format": "pt"}
    with pytest.raises(FileFormatError, match=r"weights without a model.*io\.load_weights"):
        io.load_model(tmp_path / "m")


def test_arguments_that_are_not_data_are_named(tmp_path: Path) -> None:
    """The error says which argument, of which class, and what to do; the weights can still be saved."""
    model = nn.MLP(2, 3, 1, activation=lambda: nn.ReLU())
    with pytest.raises(StateError, match=r"MLP was made with activation= .*config\(\)"):
        io.save_model(model, tmp_path / "m")
    assert not list(tmp_path.iterdir())
    io.save_weights(model, tmp_path / "m")
    with pytest.raises(FileFormatError, match="without a model"):
        io.load_model(tmp_path / "m")


def test_a_model_that_its_arguments_do_not_make_is_refused_when_it_is_saved(tmp_path: Path) -> None:
    """Not when it is loaded, when it may be too late."""
    layer = nn.Linear(2, 3)
    layer.weight = nn.Parameter(np.zeros((5, 2)))
    with pytest.raises(StateError, match="has other parameters: weight"):
        io.save_model(layer, tmp_path / "m")


def test_a_config_of_ones_own(tmp_path: Path) -> None:
    """config() is the way out for arguments that are not data."""

    class Scaled(nn.Module):
        def __init__(self, function: Any) -> None:
            super().__init__()
            self.function = {"twice": lambda x: x * 2}[function] if isinstance(function, str) else function

        def config(self) -> dict[str, Any]:
            return {"function": "twice"}

        def forward(self, x: Any) -> Any:
            return self.function(x)

    io.save_model(Scaled(lambda x: x * 2), tmp_path / "m")
    assert io.load_model(tmp_path / "m", custom_objects=[Scaled])(3) == 6


def test_config_makes_the_module_again() -> None:
    """Arguments by name; those left out stay left out; generators are state."""
    layer = nn.Linear(2, out_features=3, rng=np.random.default_rng(0), dtype=np.float64)
    assert layer.config() == {"in_features": 2, "out_features": 3, "dtype": np.float64}
    assert nn.MLP(2, 3, 1).config() == {"sizes": (2, 3, 1)}
    assert repr(nn.MLP.from_config({"sizes": [2, 3, 1], "activation": "tanh"})) == repr(
        nn.MLP(2, 3, 1, activation="tanh")
    )
    with pytest.raises(ArgumentError, match=r"Linear has no arguments \['size'\]"):
        nn.Linear.from_config({"size": 3})


def test_classes_come_from_the_package_or_the_caller(tmp_path: Path) -> None:
    """Nothing is imported for a name in a file; a class of the caller cannot stand in for one of the package."""
    io.save_model(Residual(nn.Identity(), 1.0), tmp_path / "m")
    with pytest.raises(UnsafeFileError, match=r"class 'Residual'.*custom_objects=\[Residual\]"):
        io.load_model(tmp_path / "m")
    with pytest.raises(ArgumentError, match="custom_objects are classes"):
        io.load_model(tmp_path / "m", custom_objects={"Residual": Residual(nn.Identity(), 1.0)})


def test_loading_is_all_or_nothing(tmp_path: Path) -> None:
    """A file that does not fit leaves the model as it was."""
    io.save_weights(nn.MLP(4, 8, 3), tmp_path / "m")
    model = nn.MLP(4, 8, 2, seed=0)
    before = {name: one.data.tobytes() for name, one in model.state_dict().items()}
    with pytest.raises(StateError, match="differences, nothing was loaded"):
        io.load_weights(model, tmp_path / "m")
    assert {name: one.data.tobytes() for name, one in model.state_dict().items()} == before


def test_every_changed_byte_is_noticed(tmp_path: Path) -> None:
    """One bit of every byte of a file, and every length it can be cut to."""
    io.save_model(nn.Linear(2, 1), tmp_path / "m")
    data = (tmp_path / "m").read_bytes()
    for at in range(len(data)):
        changed = bytearray(data)
        changed[at] ^= 1 << at % 8
        with pytest.raises(FileFormatError):
            unpacked(bytes(changed), "changed")
        if at % 7 == 0:
            with pytest.raises(FileFormatError):
                unpacked(data[:at], "cut")
    with pytest.raises(DamagedFileError):
        unpacked(data + b"\0", "longer")


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from([np.float32(1.5), np.int8(3), np.bool_(True)]).map(lambda one: one.item()),
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(st.text(), inner)
        | st.dictionaries(st.integers(), inner)
    ),
    max_leaves=20,
)


@given(value=PLAIN)
def test_plain_data_comes_back_exactly(value: Any) -> None:
    """Types, infinities, NaN, integer keys, keys that look like marks, tuples in lists."""
    again = decoded(from_json(to_json(encoded(value, lambda _: "none")), "test"), {})
    assert repr(again) == repr(value)


def test_state_that_is_not_plain_is_named() -> None:
    """The path to it, and what it is; and a state that contains itself is no endless loop."""
    with pytest.raises(StateError, match=r"state\['a'\]\[1\] is function"):
        encoded({"a": [1, test_ties_stay_ties]}, lambda _: "", "state")
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(StateError, match="deep"):
        encoded(endless, lambda _: "")


def test_parameters_can_be_limited() -> None:
    """Before their memory is touched."""
    with parameters_limited(4 * 12), pytest.raises(StateError, match="more parameters"):
        nn.Linear(10**3, 10**3)
    with parameters_limited(4 * 12):
        nn.Linear(3, 3)


def test_without_the_library_the_error_names_the_extra() -> None:
    """The package imports with NumPy alone, and says what to install."""
    code = ONLY_NUMPY + (
        "import tinygrad_mlp as tg\n"
        "from tinygrad_mlp import nn, train\n"
        "try:\n    tg.io.save_weights(nn.Linear(1, 1), 'x')\n"
        "except tg.errors.MissingExtraError as error:\n    print(error)\n"
    )
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert 'pip install "tinygrad-mlp[files]"' in told.stdout, told.stderr


def test_the_document_is_readable(tmp_path: Path) -> None:
    """What docs/checkpoints.md says about the format: one entry of metadata, JSON, classes and arguments in it."""
    io.save_model(nn.MLP(2, 3, 1), tmp_path / "m")
    with safetensors.safe_open(tmp_path / "m", "np") as file:
        document = json.loads(file.metadata()["tinygrad_mlp"])
    assert document["kind"] == "model"
    assert document["model"]["modules"][0]["arguments"] == {"sizes": {"$tuple": [2, 3, 1]}}
