"""Files that are out to harm: each is refused with a named error, in little time and memory, and runs nothing."""

from __future__ import annotations

import ast
import codecs
import importlib
import io as streams
import json
import os
import pickle
import struct
import sys
import time
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from test_project import ROOT

from tinygrad_mlp import io, nn, train
from tinygrad_mlp.errors import FileFormatError
from tinygrad_mlp.io.npz import read_npz
from tinygrad_mlp.io.tensors import packed

Files = dict[str, bytes]

# --- safetensors: the format itself ---


def tensors(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(shape: list[int], begin: int, end: int, dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


F = b"\0" * 8
SAFETENSORS: Files = {
    "nothing": b"",
    "seven bytes": b"1234567",
    "length beyond the file": tensors({}, length=10**6),
    "length of all memory": tensors({}, length=2**63),
    "length of 2**64 - 1": tensors({}, length=2**64 - 1),
    "no JSON": tensors(b"\xff\xfe{}"),
    "a list": tensors([]),
    "deeply nested": tensors(b'{"__metadata__":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "a key twice": tensors(b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":' + b"1}", F),
    "NaN for a size": tensors(b'{"a":{"dtype":"F32","shape":[NaN],"data_offsets":[0,8]}}', F),
    "5,000 digits": tensors(b'{"a":{"dtype":"F32","shape":[' + b"9" * 5000 + b'],"data_offsets":[0,8]}}', F),
    "a negative size": tensors({"a": entry([-2], 0, 8)}, F),
    "a huge shape": tensors({"a": entry([2**40, 2**40], 0, 8)}, F),
    "a shape that overflows": tensors({"a": entry([2**32, 2**32], 0, 0)}),
    "offsets beyond the file": tensors({"a": entry([2**30], 0, 2**32)}, F),
    "offsets backwards": tensors({"a": entry([2], 8, 0)}, F),
    "tensors that overlap": tensors({"a": entry([2], 0, 8), "b": entry([2], 0, 8)}, F),
    "a hole": tensors({"a": entry([1], 0, 4), "b": entry([1], 8, 12)}, F + F),
    "data after the end": tensors({"a": entry([1], 0, 4)}, F),
    "an unknown dtype": tensors({"a": entry([2], 0, 8, "PICKLE")}, F),
    "eight bit floats": tensors({"a": entry([8], 0, 8, "F8_E4M3")}, F),
    "metadata of numbers": tensors({"__metadata__": {"tinygrad_mlp": 3}}),
    "a document without a checksum": tensors({"__metadata__": {"tinygrad_mlp": "{}"}}),
    "a wrong checksum": tensors({"__metadata__": {"tinygrad_mlp": '{"sha256":"' + "0" * 64 + '"}'}}),
}

# --- safetensors: models and checkpoints that are sealed, but say something bad ---


def document(**changes: Any) -> dict[str, Any]:
    return {"kind": "model", "weights": [], "ties": {}, "model": {"modules": [], "frozen": []}} | changes


def model(*modules: Any, arrays: dict[str, Any] | None = None, **changes: Any) -> bytes:
    arrays = arrays or {}
    said = document(model={"modules": list(modules), "frozen": []}, weights=list(arrays), **changes)
    return bytes(packed(arrays, said))


def module(cls: str, children: dict[str, int] | None = None, **arguments: Any) -> dict[str, Any]:
    return {"class": cls, "arguments": arguments, "children": children or {}}


MODELS: Files = {
    "no modules": model(),
    "a later format": model(module("ReLU"), format=2),
    "a format of its own": model(module("ReLU"), format=[1]),
    "modules that are numbers": model(3, 4),
    "a class of os": model(module("os.system", command="touch x")),
    "a builtin": model(module("eval", source="1")),
    "a class with underscores": model(module("__class__")),
    "a function of the package": model(module("Parameter", data=[1.0])),
    "the base of all modules": model(module("Module", x=1)),
    "a custom class that nobody gave": model({**module("Linear"), "custom": True}),
    "a layer for a supercomputer": model(module("Linear", in_features=10**9, out_features=10**9)),
    "a layer of some gigabytes": model(module("Linear", in_features=40_000, out_features=40_000)),
    "a layer of four megabytes": model(module("Linear", in_features=1000, out_features=1000)),
    "many large layers": model(module("MLP", sizes={"$tuple": [1000] * 200})),
    "a negative size": model(module("Linear", in_features=-1, out_features=3)),
    "arguments that nobody takes": model(module("ReLU", inplace="yes")),
    "arguments that are a list": model({"class": "Linear", "arguments": [3, 4], "children": {}}),
    "a module made of itself": model(module("Sequential", layers={"$tuple": [{"$module": 0}]})),
    "a module that contains itself": model(module("Sequential", children={"0": 0})),
    "a module that is not there": model(module("Sequential", children={"0": 7})),
    "a child with a path for a name": model(module("Sequential", children={"a.b": 1}), module("ReLU")),
    "a child that replaces a method": model(module("Sequential", children={"forward": 1}), module("ReLU")),
    "an unknown mark": model(module("Linear", in_features={"$import": "os"}, out_features=1)),
    "an array that is not there": model(module("BCEWithLogitsLoss", weight={"$tensor": "x"})),
    "an object dtype": model(module("Linear", in_features=1, out_features=1, dtype={"$dtype": "object"})),
    "a tie to nothing": model(module("ReLU"), ties={"a": "b"}),
    "a tie of a method": model(module("Linear", in_features=1, out_features=1), ties={"forward": "weight"}),
    "weights that are not there": bytes(packed({}, document(weights=["a"]))),
    "weights that are a dictionary": bytes(packed({}, document(weights={"a": 1}))),
    "no ties": bytes(packed({}, {"kind": "model", "weights": []})),
    "a document that is text": bytes(packed({}, {"weights": "abc", "ties": {}})),
}

CHECKPOINTS: Files = {
    "no training": bytes(packed({}, {"kind": "checkpoint", "weights": [], "ties": {}})),
    "training that is a list": bytes(packed({}, {"kind": "checkpoint", "weights": [], "ties": {}, "training": []})),
    "an unknown mark": bytes(
        packed({}, {"kind": "checkpoint", "weights": [], "ties": {}, "training": {"$call": "os"}})
    ),
    "items that are no pairs": bytes(
        packed({}, {"kind": "checkpoint", "weights": [], "ties": {}, "training": {"$items": [1, 2]}})
    ),
    "keys that cannot be keys": bytes(
        packed({}, {"kind": "checkpoint", "weights": [], "ties": {}, "training": {"$items": [[[1], 2]]}})
    ),
    "deep nesting": bytes(
        packed({}, {"kind": "checkpoint", "weights": [], "ties": {}, "training": json.loads("[" * 400 + "]" * 400)})
    ),
    "a model": model(module("ReLU")),
}

# --- torch: pickles that want something else than tensors ---


class Calls:
    """What pickle writes of it is a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.reduced = function, arguments

    def __reduce__(self) -> Any:
        return self.reduced


def archive(program: bytes, members: Files | None = None, *, method: int = zipfile.ZIP_STORED) -> bytes:
    target = streams.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that are there twice
        with zipfile.ZipFile(target, "w", method) as file:
            file.writestr("a/data.pkl", program)
            for name, content in (members or {"a/data/0": b"\0" * 16}).items():
                file.writestr(zipfile.ZipInfo(name) if method == zipfile.ZIP_STORED else name, content)
    return target.getvalue()


def tensor(
    count: int = 4, key: str = "0", offset: int = 0, shape: tuple[Any, ...] = (4,), strides: Any = (1,)
) -> bytes:
    """The pickle of one tensor, as torch writes it but for what is asked for."""
    text = lambda value: b"X" + struct.pack("<I", len(value)) + value.encode()
    number = lambda value: b"\x8a\x08" + struct.pack("<q", value)
    numbers = lambda values: b"(" + b"".join(map(number, values)) + b"t"
    storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text(key) + text("cpu") + number(count) + b"tQ"
    made = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + number(offset) + numbers(shape) + numbers(strides)
    return b"\x80\x02}" + text("x") + made + b"\x89ccollections\nOrderedDict\n)RtRs."


def laughs(levels: int = 60) -> bytes:
    """A tuple of two tuples of two tuples …: a few bytes, and longer than any memory when it is written out."""
    body = b"N" + b"".join(b"q" + bytes([at]) + b"h" + bytes([at]) + b"\x86" for at in range(levels))
    return b"\x80\x02" + body + b"Q."


PICKLES: dict[str, Any] = {
    "os.system": Calls(os.system, "touch /tmp/harmed"),
    "eval": Calls(eval, "1 + 1"),
    "exec": Calls(exec, "import os"),
    "builtins.getattr": Calls(getattr, "x", "upper"),
    "open": Calls(open, "/tmp/harmed", "w"),  # noqa: S108
    "bytearray of a terabyte": Calls(bytearray, 10**12),
    "numpy": np.ones(3),
    "a call inside": {"a": [1, {"b": Calls(os.getcwd)}]},
}
TORCH: Files = {
    **{f"pickle of {name}": archive(pickle.dumps(one, 2)) for name, one in PICKLES.items()},
    **{f"pickle of {name}, protocol 4": archive(pickle.dumps(one, 4)) for name, one in PICKLES.items()},
    "no zip": b"PK\x03\x04" + b"\0" * 100,
    "no pickle": archive(b""),
    "a pickle cut short": archive(tensor()[:-20]),
    "protocol 0": archive(b"(dp0\n."),
    "protocol 99": archive(b"\x80\x63}."),
    "an opcode for extensions": archive(b"\x80\x02\x82\x01."),
    "INST": archive(b"\x80\x02(ios\nsystem\n."),
    "OBJ": archive(b"\x80\x02(cos\nsystem\no."),
    "NEWOBJ": archive(b"\x80\x02ccollections\nOrderedDict\n)\x81."),
    "BUILD of attributes": archive(b"\x80\x02}}X\x01\x00\x00\x00aK\x01sb."),
    "a function among the data": archive(b"\x80\x02]ctorch._utils\n_rebuild_tensor_v2\na."),
    "a function as the result": archive(b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n."),
    "a function given to a function": archive(b"\x80\x02ctorch\nSize\nctorch\nSize\n\x85R."),
    "an integer of a megabyte": archive(b"\x80\x02\x8b" + struct.pack("<i", 10**6) + b"\1" * 10**6 + b"."),
    "text longer than the file": archive(b"\x80\x02X\xff\xff\xff\xffab."),
    "marks only": archive(b"\x80\x02" + b"(" * 1000 + b"."),
    "pop of an empty stack": archive(b"\x80\x02R."),
    "an entry of the memo that is not there": archive(b"\x80\x02h\x07."),
    "keys that cannot be keys": archive(b"\x80\x02}]K\x01s."),
    "no end": archive(b"\x80\x02}"),
    "a billion laughs": archive(laughs()),
    "nested 20,000 deep": archive(b"\x80\x02" + b"]" * 20_000 + b"a" * 19_999 + b"Q."),
    "a storage that is not there": archive(tensor(key="1")),
    "a storage with a path for a name": archive(tensor(key="../../etc/passwd")),
    "a storage longer than it is": archive(tensor(count=10**12)),
    "a storage of a negative length": archive(tensor(count=-4)),
    "a tensor beyond its storage": archive(tensor(shape=(5,))),
    "an offset beyond the storage": archive(tensor(offset=2**62)),
    "a negative offset": archive(tensor(offset=-8)),
    "a negative stride": archive(tensor(strides=(-1,))),
    "strides of zero and a huge shape": archive(tensor(shape=(2**40,), strides=(0,))),
    "a shape that overflows": archive(tensor(shape=(2**32, 2**32), strides=(0, 0))),
    "strides that overflow": archive(tensor(shape=(2, 2), strides=(2**62, 2**62))),
    "more axes than strides": archive(tensor(shape=(2, 2), strides=(1,))),
    "10,000 axes": archive(tensor(shape=(1,) * 10_000, strides=(1,) * 10_000)),
    "compressed": archive(tensor(), method=zipfile.ZIP_DEFLATED),
    "a zip bomb": archive(b"\0" * 10**7, method=zipfile.ZIP_DEFLATED),
    "a member above the folder": archive(tensor(), {"a/data/0": b"\0" * 16, "../../x": b"x"}),
    "an absolute member": archive(tensor(), {"a/data/0": b"\0" * 16, "/etc/x": b"x"}),
    "a member of Windows": archive(tensor(), {"a/data/0": b"\0" * 16, "..\\x": b"x"}),
    "a member twice": archive(tensor(), {"a/data/0": b"\0" * 16}) and archive(tensor(), {"a/data.pkl": b"\0"}),
    "two pickles": archive(tensor(), {"b/data.pkl": b"\0"}),
    "TorchScript": archive(tensor(), {"a/constants.pkl": b"\x80\x02)."}),
    "big-endian": archive(tensor(), {"a/data/0": b"\0" * 16, "a/byteorder": b"big"}),
}


def patched(data: bytes, old: bytes, new: bytes) -> bytes:
    assert old in data
    return data.replace(old, new)


def claiming(data: bytes, size: int) -> bytes:
    """A zip whose directory says that its last member has another size."""
    place = data.rindex(b"PK\x01\x02")
    return data[: place + 20] + struct.pack("<II", size, size) + data[place + 28 :]


GOOD = archive(tensor())
TORCH |= {
    "a changed storage": patched(GOOD, b"\0" * 16, b"\1" * 16),
    "cut in the middle": GOOD[: len(GOOD) // 2],
    "without its directory": GOOD[: GOOD.index(b"PK\x01\x02")],
    "a member longer than the file": claiming(GOOD, 2**31),
    "encrypted": GOOD[: (at := GOOD.rindex(b"PK\x01\x02")) + 8] + b"\1" + GOOD[at + 9 :],
    "members that overlap": GOOD[: at + 42] + struct.pack("<I", 0) + GOOD[at + 46 :],
}

# --- npz ---


def npy(header: str, data: bytes = b"", version: bytes = b"\1\0") -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY" + version + struct.pack("<H", len(text)) + text + data


def npz(content: bytes, name: str = "coefs_0.npy", method: int = zipfile.ZIP_STORED) -> bytes:
    target = streams.BytesIO()
    with zipfile.ZipFile(target, "w", method) as file:
        file.writestr(name, content)
    return target.getvalue()


def objects() -> bytes:
    target = streams.BytesIO()
    np.savez(target, coefs_0=np.array([Calls(os.getcwd)], dtype=object))
    return target.getvalue()


HEAD = "{{'descr': {}, 'fortran_order': False, 'shape': {}, }}"
NPZ: Files = {
    "objects": objects(),
    "a terabyte": npz(npy(HEAD.format("'<f4'", "(1000000000000,)"))),
    "a shape that overflows": npz(npy(HEAD.format("'<f8'", "(4294967296, 4294967296)"))),
    "a negative shape": npz(npy(HEAD.format("'<f8'", "(-1, -2)"), b"\0" * 16)),
    "less data than it says": npz(npy(HEAD.format("'<f8'", "(3,)"), b"\0" * 16)),
    "more data than it says": npz(npy(HEAD.format("'<f8'", "(1,)"), b"\0" * 16)),
    "a header that calls": npz(npy("{'descr': __import__('os').getcwd(), 'fortran_order': False, 'shape': ()}")),
    "a structured dtype": npz(npy(HEAD.format("[('a', '|O')]", "(1,)"), b"\0" * 8)),
    "a dtype of dates": npz(npy(HEAD.format("'<M8[s]'", "(1,)"), b"\0" * 8)),
    "no array": npz(b"hello"),
    "version 9": npz(npy(HEAD.format("'<f8'", "(1,)"), b"\0" * 8, b"\x09\0")),
    "a text file": npz(b"x", "readme.txt"),
    "a zip bomb": npz(npy(HEAD.format("'<f8'", "(100000000,)"), b"\0" * 10**7), method=zipfile.ZIP_DEFLATED),
    "a name above the folder": npz(b"x", "../coefs_0.npy"),
    "no zip": b"PK",
}

READERS: dict[str, tuple[Files, Callable[[Path], Any]]] = {
    "safetensors": (SAFETENSORS, lambda path: io.load_weights(nn.Linear(1, 1), path)),
    "model": (MODELS, io.load_model),
    "checkpoint": (CHECKPOINTS, lambda path: train.load_checkpoint(path, nn.Linear(1, 1))),
    "torch": (TORCH, io.torch.read),
    "npz": (NPZ, read_npz),
}
CASES = [(kind, name) for kind, (files, _) in READERS.items() for name in files]
FORBIDDEN = ("exec", "compile", "os.", "subprocess.", "socket.", "shutil.", "import")
_watching: list[str] | None = None


def _audit(event: str, arguments: Any) -> None:
    if _watching is None:
        return
    writes = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
    if writes or event.startswith(FORBIDDEN):
        _watching.append(f"{event} {arguments!r:.100}")


@pytest.fixture(scope="module", autouse=True)
def hook() -> None:
    """Audit hooks stay for the life of a process; this one looks only while a test says so."""
    # Python and NumPy import some things when they are first needed.
    codecs.lookup("cp437")
    for one in ("numpy.ma", "safetensors.numpy"):
        importlib.import_module(one)
    _read_torch(GOOD)
    sys.addaudithook(_audit)


@pytest.mark.parametrize(("kind", "name"), CASES, ids=[f"{kind}: {name}" for kind, name in CASES])
def test_hostile_files_are_refused(kind: str, name: str, tmp_path: Path) -> None:
    """A FileFormatError, within 16 MiB more than the file and a second; nothing is imported, run, or written."""
    global _watching  # noqa: PLW0603 - the hook is a global thing
    files, read = READERS[kind]
    path = tmp_path / "file"
    path.write_bytes(files[name])
    began = time.perf_counter()
    tracemalloc.start()
    seen: list[str] = []
    _watching = seen
    try:
        with pytest.raises(FileFormatError):
            read(path)
    finally:
        _watching = None
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert time.perf_counter() - began < 5.0  # far more than it takes, for busy machines
    assert peak < 4 * len(files[name]) + (16 << 20)
    assert seen == []


def test_there_are_many_of_them() -> None:
    """And the files they are changed from are read, so that it is the change that is refused."""
    assert len(CASES) > 120
    assert np.array_equal(_read_torch(GOOD)["x"], np.zeros(4))
    assert safetensors.numpy.load(tensors({"a": entry([2], 0, 8)}, F))["a"].shape == (2,)


def _read_torch(data: bytes) -> Any:
    from tinygrad_mlp.io.torch import _unpacked

    return _unpacked(data, "good")


def test_nothing_in_the_package_unpickles() -> None:
    """No import of a module that makes objects of what it reads, and no NumPy file with objects in it."""
    forbidden = {"pickle", "_pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "yaml"}
    for path in sorted((ROOT / "tinygrad_mlp").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if "io" not in path.parts and not any(word in text for word in (*forbidden, "allow_pickle")):
            continue
        for node in ast.walk(ast.parse(text)):
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            # What workers send is from this program to itself; the kit tries whether objects can be pickled.
            if path.name not in {"workers.py", "conformance.py"}:
                assert not forbidden & {name.partition(".")[0] for name in names}, path
            if isinstance(node, ast.Call):
                named = getattr(node.func, "id", "")
                method = getattr(node.func, "attr", "")
                allowed = [one for one in node.keywords if one.arg == "allow_pickle"]
                assert all(isinstance(one.value, ast.Constant) and one.value.value is False for one in allowed), path
                if "io" in path.parts:
                    assert named not in {"eval", "exec", "compile", "__import__"}, path
                    assert method not in {"import_module", "loads"} or path.name == "plain.py", path


def test_random_changes_of_a_torch_file_are_read_or_refused() -> None:
    """Whatever byte is changed to whatever: an answer or a FileFormatError, never anything else."""
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(3000):
        data = bytearray(GOOD)
        for _ in range(int(rng.integers(1, 4))):
            data[int(rng.integers(len(data)))] = int(rng.integers(256))
        try:
            _read_torch(bytes(data))
        except FileFormatError:
            refused += 1
    assert refused > 2000


def test_random_programs_are_read_or_refused() -> None:
    """The machine for pickles on opcodes in random order."""
    from tinygrad_mlp.io.opcodes import _STEPS, read_opcodes

    rng = np.random.default_rng(1)
    codes = [*_STEPS, ord(".")]
    answers = 0
    for _ in range(5000):
        program = b"\x80\x02"
        for code in rng.choice(codes, int(rng.integers(1, 20))):
            program += bytes([code]) + rng.bytes(int(rng.integers(0, 3)))
        try:
            read_opcodes(program + b".", "random", {"a.b": lambda *_: 1}, {}, lambda _: 1)
            answers += 1
        except FileFormatError:
            pass
    assert answers > 10
