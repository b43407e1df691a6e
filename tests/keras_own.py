"""Keras' own tests, as they lie in its wheel, run on this package's face: what they import is replaced, nothing else.

Run as a script it prints every test that does not pass, with its reason: ``python tests/keras_own.py [room …]``.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import types
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Training is compared too, on PyTorch; set here because pytest imports every module of this folder first.
os.environ.setdefault("KERAS_BACKEND", "torch")

from tinygrad_mlp import keras as ours

ROOMS = {
    "callbacks": (
        "callbacks/callback_test.py",
        "callbacks/csv_logger_test.py",
        "callbacks/early_stopping_test.py",
        "callbacks/lambda_callback_test.py",
        "callbacks/learning_rate_scheduler_test.py",
        "callbacks/reduce_lr_on_plateau_test.py",
        "callbacks/terminate_on_nan_test.py",
    ),
    "losses": ("losses/losses_test.py", "losses/loss_test.py"),
    "metrics": (
        "metrics/accuracy_metrics_test.py",
        "metrics/confusion_metrics_test.py",
        "metrics/f_score_metrics_test.py",
        "metrics/hinge_metrics_test.py",
        "metrics/metric_test.py",
        "metrics/probabilistic_metrics_test.py",
        "metrics/reduction_metrics_test.py",
        "metrics/regression_metrics_test.py",
    ),
    "optimizers": (
        "optimizers/adadelta_test.py",
        "optimizers/adagrad_test.py",
        "optimizers/adam_test.py",
        "optimizers/adamax_test.py",
        "optimizers/adamw_test.py",
        "optimizers/nadam_test.py",
        "optimizers/optimizer_test.py",
        "optimizers/rmsprop_test.py",
        "optimizers/sgd_test.py",
    ),
    "schedules": ("optimizers/schedules/learning_rate_schedule_test.py",),
}
"""Keras' test modules, by room."""


def folder() -> Path:
    """Where Keras' sources and their tests are."""
    found = importlib.util.find_spec("keras")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "src"


def _ours_for(name: str) -> Any:
    """What takes the place of a module or class of Keras' in the tests, or None to leave it."""
    rooms: dict[str, Any] = {
        "keras.src.losses.losses": ours.losses,
        "keras.src.losses.loss": ours.losses,
        "keras.src.losses": ours.losses,
        "keras.src.callbacks": ours.callbacks,
        "keras.src.layers": ours.layers,
        "keras.src.models": ours.models,
        "keras.src.models.sequential": ours.models,
        "keras.src.callbacks.callback": ours.callbacks,
        "keras.src.initializers": ours.initializers,
        "keras.src.regularizers": ours.regularizers,
        "keras.src.utils.numerical_utils": ours.utils,
        "keras.src.utils": ours.utils,
        "keras.src.optimizers.schedules.learning_rate_schedule": ours.optimizers.schedules,
        "keras.src.optimizers.schedules": ours.optimizers.schedules,
    }
    if name in rooms:
        return rooms[name]
    if name.startswith("keras.src.callbacks."):
        return ours.callbacks
    if name.startswith("keras.src.metrics"):
        return ours.metrics
    if name.startswith("keras.src.optimizers"):
        return ours.optimizers
    return None


class _Variable:
    """A weight as Keras' tests make one: ``backend.Variable``."""

    def __init__(self, initializer: Any, shape: Any = None, dtype: Any = None, name: str | None = None, **_: Any):
        import numpy as np

        from tinygrad_mlp import Tensor

        value = initializer(shape) if callable(initializer) else initializer
        array = np.array(value, dtype=dtype or np.float32)
        self.tensor = Tensor(array, requires_grad=array.dtype.kind == "f")
        self.name = self.path = name or "variable"

    def numpy(self) -> Any:
        return self.tensor.data.copy()

    def assign(self, value: Any) -> None:
        self.tensor.data[...] = value

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self.tensor.data.astype(dtype or self.tensor.dtype)

    def __add__(self, other: Any) -> Any:
        return self.tensor.data + other

    def __float__(self) -> float:
        return float(self.tensor.data)

    @property
    def shape(self) -> Any:
        return self.tensor.shape

    @property
    def dtype(self) -> str:
        return str(self.tensor.dtype)


def _backend(theirs: Any) -> types.SimpleNamespace:
    names = {name: getattr(theirs, name) for name in dir(theirs) if not name.startswith("__")}
    return types.SimpleNamespace(**{**names, "Variable": _Variable})


def load(path: str) -> dict[str, Any]:
    """The names of a test module, with our modules and classes where it imported Keras'."""
    source = (folder() / path).read_text(encoding="utf-8")
    space: dict[str, Any] = {"__name__": f"keras_own.{path}"}
    exec(compile(source, str(folder() / path), "exec"), space)  # noqa: S102 - the installed library's own file
    for name, value in list(space.items()):
        if isinstance(value, types.ModuleType):
            if value.__name__ == "keras.src.backend":
                space[name] = _backend(value)
            elif value.__name__ == "keras":
                space[name] = ours
            else:
                space[name] = _ours_for(value.__name__) or value
        elif isinstance(value, type) and getattr(value, "__module__", "").startswith("keras.src"):
            room = _ours_for(value.__module__)
            if room is not None and hasattr(room, name):
                space[name] = getattr(room, name)
    return space


def _clipped(self: Any, grads: Any) -> Any:
    """Keras' private method, by what our optimizers call before a step."""
    import numpy as np

    from tinygrad_mlp import Tensor

    members = []
    for grad in grads:
        one = Tensor(np.zeros(np.shape(grad)), requires_grad=True)
        one.grad = Tensor(np.array(grad, dtype=float))
        members.append(one)
    ours.optimizers.bound_gradients(members, self.bounds)
    return [one.grad.data for one in members]


def _serialized(self: Any, instance: Any, custom_objects: Any = None) -> Any:
    """What Keras' helper asks of a class, without Keras' own serializer: its configuration makes an equal one."""
    again = type(instance).from_config(instance.get_config())
    assert again.get_config() == instance.get_config()
    return again


def cases(path: str) -> Iterator[tuple[str, unittest.TestCase]]:
    """Every test of a module, by name."""
    for value in list(load(path).values()):
        if isinstance(value, type) and issubclass(value, unittest.TestCase) and "keras_own" in value.__module__:
            for name in unittest.defaultTestLoader.getTestCaseNames(value):
                value.run_class_serialization_test = _serialized
                yield f"{value.__name__}.{name}", value(name)


def outcome(case: unittest.TestCase) -> str | None:
    """None if the test passes, else the last line of what it says; ``"skipped"`` where Keras skips it."""
    ours.utils.clear_session()
    ours.optimizers.Optimizer._clip_gradients = _clipped  # type: ignore[attr-defined]
    result = unittest.TestResult()
    case.run(result)
    if result.skipped:
        return "skipped"
    bad = result.failures + result.errors
    return bad[0][1].strip().splitlines()[-1] if bad else None


def main() -> None:
    """Print what does not pass."""
    for room in sys.argv[1:] or ROOMS:
        passed = total = 0
        for path in ROOMS[room]:
            for name, case in cases(path):
                found = outcome(case)
                total += 1
                passed += found is None
                if found is not None:
                    print(f"{path} {name}: {found[:150]}")
        print(f"== {room}: {passed} of {total}")


if __name__ == "__main__":
    main()
