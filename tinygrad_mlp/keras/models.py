"""Sequential: Keras' way to say a model, to train it and to ask it, on the engine's modules and training loop."""

from __future__ import annotations

import math
import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self

import numpy as np

from .. import train
from ..data import DataLoader
from ..errors import ArgumentError, FileFormatError, ShapeError, StateError, did_you_mean
from ..io.tensors import read, write_tensors
from ..ops import ne
from ..tape import Array
from ..tensor import Tensor, from_numpy, no_grad
from . import layers as layer_room
from . import losses, metrics, optimizers
from .layers import Dense, Embedding, InputLayer, Layer
from .layers.base import Shape
from .layers.recurrent import _Recurrent
from .naming import snake
from .randomness import draws
from .summary import summary_text
from .training import Criterion, Seen, Trained, fuses, last_activation, metrics_of

__all__ = ["Sequential", "load_model"]


class Sequential(Layer):
    """Layers one after the other.

    Args:
        layers: in order; the first may be ``Input(shape=...)``, or have an ``input_shape``: the model is then built at
            once, and otherwise by its first data.
        trainable: False freezes all of them. name: ``sequential`` by default.

    Attributes:
        layers: without the Input. optimizer, loss: once compiled. history: of the last ``fit``.

    Raises:
        ArgumentError: something in it is not a layer.

    >>> from tinygrad_mlp.keras import Sequential, layers
    >>> model = Sequential([layers.Input((784,)), layers.Dense(300, "relu"), layers.Dense(10, "softmax")])
    >>> model.count_params()
    238510
    """

    def __init__(self, layers: Iterable[Layer] | None = None, trainable: bool = True, name: str | None = None) -> None:
        super().__init__(name=name, trainable=trainable)
        self._order: list[Layer] = []
        self._entry: Shape | None = None
        self.optimizer: optimizers.Optimizer | None = None
        self.loss: losses.Loss | None = None
        self.history: Any = None
        self._compiled: dict[str, Any] | None = None
        self._asked: Any = None
        self._weighted: Any = None
        self._train_metrics: list[metrics.Metric] = []
        self._plain = 0
        for layer in layers or ():
            self.add(layer)

    # --- putting it together ---

    def add(self, layer: Layer) -> None:
        """Attach one more layer at the end.

        Raises:
            ArgumentError: it is not a layer, or has the name of another.
        """
        given: Any = layer
        if not isinstance(given, Layer):
            made = f"{given.__name__}(…)" if isinstance(given, type) else "one of keras.layers"
            raise ArgumentError(f"{self.name}.add takes a layer, got {given!r}; say model.add({made})")
        if isinstance(given, InputLayer):
            if self._order:
                raise ArgumentError(f"{self.name} has layers already, and an Input comes first")
            self._entry = given.batch_input_shape
            return
        if given.name in [one.name for one in self._order]:
            raise ArgumentError(
                f"{self.name} has a layer {given.name!r} already; layers have names of their own, and each stands once"
            )
        if not self._order and self._entry is None:
            self._entry = given.batch_input_shape
        self._order.append(given)
        self.add_module(self._attribute(given), given)
        self.built = False
        if self._entry is not None:
            self.build(self._entry)

    def _attribute(self, layer: Layer) -> str:
        """Where a layer is kept, so that paths in errors read well.

        A name that was counted (``dense_7``) is counted anew in this model: the same program has the same paths when it
        is run again in one session, and finds its weights in the checkpoints of the first time.
        """
        kind = snake(type(layer).__name__)
        names = [layer.name]
        if re.fullmatch(rf"{kind}(_\d+)?", layer.name):
            names = [kind, *[f"{kind}_{number}" for number in range(1, len(self._order))]]
        return next((one for one in names if one.isidentifier() and not hasattr(self, one)), str(len(self._order) - 1))

    def pop(self) -> Layer:
        """Take the last layer away, and give it back.

        Raises:
            ArgumentError: there is none.
        """
        if not self._order:
            raise ArgumentError(f"{self.name} has no layers to pop")
        last = self._order.pop()
        del self._modules[next(name for name, one in self._modules.items() if one is last)]
        self.output_shape = self._order[-1].output_shape if self._order else None
        return last

    @property
    def layers(self) -> list[Layer]:
        """The layers in order, without the Input."""
        return list(self._order)

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """One layer, by its name or its place.

        Raises:
            ArgumentError: there is no such layer.
        """
        if index is not None:
            if not -len(self._order) <= index < len(self._order):
                raise ArgumentError(f"{self.name} has {len(self._order)} layers, got index {index}")
            return self._order[index]
        for layer in self._order:
            if layer.name == name:
                return layer
        raise ArgumentError(did_you_mean("layer", name, [one.name for one in self._order]))

    def build(self, input_shape: Shape) -> None:
        """Make the weights for inputs ``(batch, …)``; the batch axis is None."""
        shape = tuple(input_shape)
        self.input_shape = self._entry = shape
        for layer in self._order:
            shape = layer.build_for(shape)
        self.output_shape = shape
        self.built = True
        if not self._trainable:
            self.requires_grad_(False)

    def build_for(self, input_shape: Shape) -> Shape:
        """Build as part of another model; returns the shape of the output."""
        if not self.built:
            self.build(input_shape)
        assert self.output_shape is not None
        return self.output_shape

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The shape of the output for one of the input."""
        for layer in self._order:
            input_shape = layer.compute_output_shape(input_shape)
        return input_shape

    # --- running ---

    def run_layers(self, x: Any, *, logits: bool = False) -> Any:
        """The outputs; with ``logits`` what goes into the last activation."""
        if not self.built:
            self.build((None, *x.shape[1:]))
        self._check_rank(x)
        last = len(self._order) - 1
        mask: Any = None
        for place, layer in enumerate(self._order):
            if logits and place == last:
                return layer.affine(x) if isinstance(layer, Dense) else x
            if isinstance(layer, Embedding) and layer.mask_zero:
                mask = ne(x, 0)
            if isinstance(layer, _Recurrent) and mask is not None:
                x = layer(x, mask=mask)
                mask = mask if layer.return_sequences else None
            else:
                x = layer(x)
        return x

    def _check_rank(self, x: Any) -> None:
        """Refuse data with too many or too few axes here: layers further in would know less about the mistake.

        Raises:
            ShapeError: it names the first layer, both shapes, and the line that mends it where there is one.
        """
        expected = self.input_shape
        if expected is None or len(x.shape) == len(expected):
            return
        first = self._order[0]
        sample, given = expected[1:], tuple(x.shape)
        known = [size for size in sample if size is not None]
        if given == sample:
            fix = "; one sample alone lacks the batch axis: say x[None]"
        elif len(known) == len(sample) and given and math.prod(given[1:]) == math.prod(known):
            fix = f"; say x.reshape({', '.join(map(str, (-1, *sample)))})"
        elif isinstance(first, Embedding) and len(given) == len(expected) + 1:
            fix = "; it takes word ids: of one-hot rows say x.argmax(-1)"
        else:
            fix = ""
        raise ShapeError(
            f"{self.name} expected input {expected} for its first layer {first.name} ({type(first).__name__}), got "
            f"{given}: {len(given)} axes instead of {len(expected)}{fix}"
        )

    def call(self, x: Any) -> Any:
        """The outputs."""
        return self.run_layers(x)

    def forward(self, x: Any, training: bool | None = None, **_: Any) -> Any:
        """The outputs for a tensor or an array; ``training`` overrides the mode that the model is in (evaluation)."""
        given = x if isinstance(x, Tensor) else from_numpy(self._array(x))
        before = self.training
        self.train(bool(training))
        try:
            return self.run_layers(given)
        finally:
            self.train(before)

    def _array(self, x: Any) -> Array:
        array = x.data if isinstance(x, Tensor) else _as_array(x)
        if array.dtype.kind == "f":
            return array.astype(np.float32, copy=False)
        takes_ids = bool(self._order) and isinstance(self._order[0], Embedding)
        return array if takes_ids else array.astype(np.float32)

    # --- training ---

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,  # noqa: ARG002 - Keras' way to call Python less often; steps are compiled here
        jit_compile: Any = "auto",
        auto_scale_loss: bool = True,  # noqa: ARG002 - of mixed precision, which there is none of
    ) -> None:
        """Say how to train.

        Args:
            optimizer: a name (with Keras' defaults) or an object of :mod:`tinygrad_mlp.keras.optimizers`.
            loss: a name, an object, or a function of ``(y_true, y_pred)``.
            metrics, weighted_metrics: names, objects or functions; ``"accuracy"`` chooses by loss and outputs.
                The second kind respects sample weights.
            run_eagerly: True keeps training uncompiled. jit_compile: ``"auto"``, or True to insist on compiling.

        Raises:
            ArgumentError: an unknown name.
        """
        if loss_weights is not None:
            raise ArgumentError(
                "loss_weights, the third argument, belong to models with several outputs, and a Sequential has one; "
                "say metrics=['accuracy']"
            )
        self.optimizer = optimizers.get(optimizer)
        self.loss = None if loss is None else losses.as_loss(loss)
        self._asked, self._weighted = metrics, weighted_metrics
        self._train_metrics = []
        self._compiled = {
            "optimizer": optimizer,
            "loss": loss,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
            "eager": bool(run_eagerly),
            "jit": jit_compile,
        }
        if self.built:
            self._prepare(None)

    @property
    def compiled(self) -> bool:
        """Whether :meth:`compile` was called."""
        return self._compiled is not None

    def _prepare(self, y: Any) -> tuple[Trained, Criterion, list[Seen], list[Seen]]:
        """What the training loop gets: the module, the loss, the metrics, and those that respect sample weights."""
        if self._compiled is None or self.loss is None or self.optimizer is None:
            raise StateError(
                f"{self.name} has to be told how to train first; say model.compile(optimizer='adam', loss='mse')"
            )
        logits = fuses(self, self.loss)
        module = Trained(self, logits=logits)
        penalties = [pair for layer in self.modules() if isinstance(layer, Layer) for pair in _own_penalties(layer)]
        criterion = Criterion(self.loss, logits=logits, penalties=penalties)
        if not self._train_metrics:
            plain = metrics_of(self._asked or [], self.loss, self, y)
            self._train_metrics = plain + metrics_of(self._weighted or [], self.loss, self, y)
            self._plain = len(plain)
        activation = last_activation(self) if logits else None
        seen = [Seen(one, activation) for one in self._train_metrics]
        return module, criterion, seen[: self._plain], seen[self._plain :]

    def _ready(self, x: Any) -> None:
        if self.built:
            return
        if isinstance(x, DataLoader):
            self.build((None, *next(iter(x.batches(0)))[0].shape[1:]))
        elif hasattr(x, "__next__"):
            raise StateError(
                f"{self.name} has no weights yet, and asking a generator for a shape would lose its first batch; begin "
                "the model with Input(shape=(…,))"
            )
        else:
            self.build((None, *self._array(x).shape[1:]))

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: str | int = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Any = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,  # noqa: ARG002 - it does not change the numbers
        validation_freq: int = 1,
    ) -> train.History:
        """Train; arguments, their defaults and the History are Keras'.

        Args:
            validation_split: the *last* part of the samples, before any shuffling, as in Keras.
            The others: see :func:`tinygrad_mlp.train.fit`.

        Raises:
            StateError: the model is not compiled. ShapeError, DTypeError, ArgumentError: data that does not fit.
        """
        self._ready(x)
        if validation_split:
            x, y, sample_weight, validation_data = _last_part(x, y, sample_weight, validation_data, validation_split)
        module, criterion, seen, weighted = self._prepare(y)
        assert self.optimizer is not None
        assert self._compiled is not None
        bound = self.optimizer.build(self.trainable_weights)
        way: Any = False if self._compiled["eager"] else "auto"
        if self._compiled["jit"] is True and way:
            way = True
        options: dict[str, Any] = {
            "class_weight": class_weight,
            "sample_weight": sample_weight,
            "steps_per_epoch": steps_per_epoch,
            "validation_steps": validation_steps,
            "accumulate": self.optimizer.gradient_accumulation_steps,
        }
        if validation_freq != 1:
            options["validation_freq"] = validation_freq
        self._attend(module)
        self.stop_training = False
        try:
            self.history = train.fit(
                module,
                self._fed(x),
                y,
                epochs=epochs,
                batch_size=batch_size,
                optimizer=bound,
                loss=criterion,
                metrics=seen,
                weighted_metrics=weighted,
                validation_data=self._fed_pair(validation_data),
                shuffle=shuffle,
                seed=int(draws().integers(2**32)),
                verbose=verbose,
                callbacks=callbacks,
                initial_epoch=initial_epoch,
                compile=way,
                **{name: value for name, value in options.items() if value is not None},
            )
        finally:
            self._attend(None)
        self.history.model = self
        found: train.History = self.history
        return found

    def _attend(self, module: Trained | None) -> None:
        # Not an attribute like others: the module holds this model, and would be taken for one of its layers.
        self.__dict__["_running"] = module

    @property
    def stop_training(self) -> bool:
        """Set it to True in a callback to end training after the epoch."""
        return bool(self.__dict__.get("_stops", False))

    @stop_training.setter
    def stop_training(self, value: bool) -> None:
        self.__dict__["_stops"] = bool(value)
        if self.__dict__.get("_running") is not None:
            vars(self.__dict__["_running"])["stop_training"] = bool(value)

    def _fed(self, x: Any) -> Any:
        if not isinstance(x, (np.ndarray, list, tuple, Tensor)):
            return x
        array = self._array(x)
        self._check_rank(array)
        return array

    def _fed_pair(self, pair: Any) -> Any:
        return (self._fed(pair[0]), *pair[1:]) if isinstance(pair, (tuple, list)) else pair

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """The loss, and behind it the metrics, in a list; one number where there are no metrics.

        Args:
            return_dict: give them by name instead.
        """
        self._ready(x)
        module, criterion, seen, weighted = self._prepare(y)
        options = {"sample_weight": sample_weight, "steps": steps}
        found = train.evaluate(
            module,
            self._fed(x),
            y,
            batch_size=batch_size,
            loss=criterion,
            metrics=seen,
            weighted_metrics=weighted,
            callbacks=callbacks,
            **{name: value for name, value in options.items() if value is not None},
        )
        if verbose not in {0, "0"} and not (verbose == "auto" and not sys.stdout.isatty()):
            print(" - ".join(f"{name}: {value:.4f}" for name, value in found.items()))
        if return_dict:
            return found
        values = list(found.values())
        return values[0] if len(values) == 1 else values

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: str | int = "auto",  # noqa: ARG002 - it takes less time than a bar
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Array:
        """The outputs for all samples, ``(samples, …)``, in evaluation mode."""
        self._ready(x)
        module = Trained(self, logits=False)
        given = self._fed(x)
        if steps is not None:
            given = given[: steps * (batch_size or 32)]
        made: Array = train.predict(module, given, batch_size=batch_size, callbacks=callbacks)
        return made

    def predict_on_batch(self, x: Any) -> Array:
        """The outputs for one batch."""
        with no_grad():
            made: Array = self(self._array(x)).data
        return made

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """One step on one batch; the loss and the metrics of that batch."""
        return self._on_batch(x, y, sample_weight, class_weight, return_dict, trains=True)

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """The loss and the metrics of one batch."""
        return self._on_batch(x, y, sample_weight, None, return_dict, trains=False)

    def _on_batch(self, x: Any, y: Any, weight: Any, class_weight: Any, as_dict: bool, *, trains: bool) -> Any:
        self._ready(x)
        module, criterion, seen, weighted = self._prepare(y)
        assert self.optimizer is not None
        inputs, targets = from_numpy(self._array(x)), np.asarray(y.data if isinstance(y, Tensor) else y)
        if class_weight is not None:
            ids = targets.argmax(-1) if targets.ndim > 1 and targets.shape[-1] > 1 else targets.reshape(-1)
            each = np.array([class_weight.get(int(one), 1.0) for one in ids], np.float32)
            weight = each if weight is None else each * np.asarray(weight)
        truth = from_numpy(targets.astype(np.float32) if targets.dtype.kind == "f" else targets)
        module.train(trains)
        if trains:
            bound = self.optimizer.build(self.trainable_weights)
            bound.zero_grad()
            outputs = module(inputs)
            loss = criterion(outputs, truth, weight)
            loss.backward()
            bound.step()
            module.eval()
        else:
            with no_grad():
                outputs = module(inputs)
                loss = criterion(outputs, truth, weight)
        for one in (*seen, *weighted):
            one.reset()
            one.update(outputs.data, targets, None if one in seen or weight is None else np.asarray(weight))
        found = {"loss": float(loss.data)} | {one.name: one.result() for one in (*seen, *weighted)}
        values = list(found.values())
        return found if as_dict else values[0] if len(values) == 1 else values

    @property
    def metrics_names(self) -> list[str]:
        """The names of what :meth:`evaluate` gives."""
        return ["loss", *[one.name for one in self._train_metrics]]

    @property
    def metrics(self) -> list[metrics.Metric]:
        """The metrics, once they are known."""
        return list(self._train_metrics)

    # --- looking at it ---

    def summary(  # type: ignore[override]
        self, line_length: int | None = None, print_fn: Callable[[str], object] | None = None, **_: Any
    ) -> None:
        """Print the table of layers, output shapes and numbers of weights."""
        text = summary_text(self, line_length)
        if print_fn is None:
            print(text, end="")
        else:
            print_fn(text)

    def __repr__(self) -> str:
        state = "built" if self.built else "not built"
        return f"<Sequential name={self.name}, {len(self._order)} layers, {state}>"

    def _repr_html_(self) -> str:
        import html  # noqa: PLC0415 - only notebooks ask

        return f"<pre>{html.escape(summary_text(self))}</pre>"

    # --- files ---

    def get_config(self) -> dict[str, Any]:
        """The name, the shape of the input and the layers, as plain data."""
        listed = [{"class_name": type(one).__name__, "config": one.get_config()} for one in self._order]
        entry = None if self._entry is None else list(self._entry)
        return {"name": self.name, "trainable": self.trainable, "input_shape": entry, "layers": listed}

    @classmethod
    def from_config(  # type: ignore[override]
        cls, config: dict[str, Any], custom_objects: dict[str, type] | None = None
    ) -> Self:
        """Make a model from :meth:`get_config`, with fresh weights.

        Raises:
            ArgumentError: a layer that is neither of this face nor among ``custom_objects``.
        """
        known = {name: getattr(layer_room, name) for name in layer_room.__all__ if name != "Input"}
        known |= {"Sequential": cls} | (custom_objects or {})
        model = cls(name=config.get("name"), trainable=config.get("trainable", True))
        entry = config.get("input_shape")
        for given in config["layers"]:
            name = given["class_name"]
            if name not in known:
                raise ArgumentError(did_you_mean("layer class", name, known) + "; your own go into custom_objects")
            model.add(known[name].from_config(given["config"]))
        if entry is not None and not model.built:
            model.build(tuple(entry))
        return model

    def save(self, filepath: str | os.PathLike[str], overwrite: bool = True) -> None:
        """Write the model: layers, weights, what it was compiled with, and the optimizer's state.

        The file holds safetensors and JSON whatever its name; Keras itself cannot read it. ``.h5`` is refused.

        Raises:
            ArgumentError: a name that ends in ``.h5``, or ``overwrite=False`` and the file exists.
            StateError: the model is not built. OSError: writing failed; what was there is untouched.
        """
        path = os.fspath(filepath)
        if path.endswith((".h5", ".hdf5")):
            raise ArgumentError(
                f"HDF5 files are not written here; say model.save({path.rsplit('.', 1)[0] + '.keras'!r})"
            )
        if not overwrite and os.path.exists(path):  # noqa: PTH110 - the caller's string, not opened here
            raise ArgumentError(f"{path} exists, and overwrite=False")
        if not self.built:
            raise StateError(f"{self.name} has no weights yet; call it, or begin it with Input(shape=…), then save")
        arrays = {f"weights/{place}": one.numpy() for place, one in enumerate(self.weights)}
        document: dict[str, Any] = {"format": 1, "kind": "keras.Sequential", "config": self.get_config()}
        if self._compiled is not None and self.optimizer is not None:
            document["compile"] = self._compile_config()
            if self.optimizer.built:
                document["optimizer"] = self._optimizer_state(arrays)
        write_tensors(path, arrays, document)

    def _compile_config(self) -> dict[str, Any]:
        assert self._compiled is not None
        assert self.optimizer is not None

        def listed(given: Any) -> Any:
            if given is None or isinstance(given, str):
                return given
            return [metrics.serialize(one) for one in (given if isinstance(given, (list, tuple)) else [given])]

        return {
            "optimizer": optimizers.serialize(self.optimizer),
            "loss": losses.serialize(self._compiled["loss"]),
            "metrics": listed(self._asked),
            "weighted_metrics": listed(self._weighted),
        }

    def _optimizer_state(self, arrays: dict[str, Array]) -> list[dict[str, Any]]:
        assert self.optimizer is not None
        assert self.optimizer.bound is not None
        found = []
        for place, one in enumerate(self.trainable_weights):
            state = self.optimizer.bound.state.get(one.tensor, {})
            entry: dict[str, Any] = {"step": int(state.get("step", 0)), "arrays": []}
            for name, value in state.items():
                if isinstance(value, np.ndarray):
                    arrays[f"optimizer/{place}/{name}"] = value.copy()
                    entry["arrays"].append(name)
            found.append(entry)
        return found

    def save_weights(self, filepath: str | os.PathLike[str]) -> None:
        """Write the weights alone."""
        arrays = {f"weights/{place}": one.numpy() for place, one in enumerate(self.weights)}
        write_tensors(os.fspath(filepath), arrays, {"format": 1, "kind": "keras.weights"})

    def load_weights(self, filepath: str | os.PathLike[str]) -> None:
        """Read the weights, of :meth:`save_weights` or :meth:`save`.

        Raises:
            StateError: they do not fit; nothing is changed.
        """
        self.set_weights(_weights_in(read(os.fspath(filepath)).arrays))


def _as_array(x: Any) -> Array:
    try:
        return np.asarray(x)
    except ValueError as error:
        raise ShapeError(
            "the samples have different lengths, and an array has one; of lists of word ids say "
            "keras.utils.pad_sequences(x)"
        ) from error


def _own_penalties(layer: Layer) -> list[tuple[Any, Tensor]]:
    return layer.penalties() if layer.built else []


def _weights_in(arrays: dict[str, Array]) -> list[Array]:
    count = sum(name.startswith("weights/") for name in arrays)
    return [arrays[f"weights/{place}"] for place in range(count)]


def _last_part(x: Any, y: Any, weight: Any, validation: Any, share: float) -> tuple[Any, Any, Any, Any]:
    if validation is not None:
        return x, y, weight, validation
    if not 0.0 < share < 1.0 or y is None:
        raise ArgumentError(f"validation_split is a share of the arrays x and y, between 0 and 1, got {share}")
    x, y = np.asarray(x), np.asarray(y)
    cut = int(np.floor(len(x) * (1.0 - share)))
    if not 0 < cut < len(x):
        raise ArgumentError(f"validation_split={share} of {len(x)} samples leaves one part empty")
    held_out: tuple[Any, ...] = (x[cut:], y[cut:])
    if weight is not None:
        weight = np.asarray(weight)
        held_out, weight = (*held_out, weight[cut:]), weight[:cut]
    return x[:cut], y[:cut], weight, held_out


def load_model(
    filepath: str | os.PathLike[str], custom_objects: dict[str, type] | None = None, compile: bool = True
) -> Sequential:
    """Read what :meth:`Sequential.save` wrote: the model with its weights, compiled as it was, ready to train on.

    Args:
        custom_objects: layers of one's own by name; a file can name no other classes.
        compile: False leaves out what it was compiled with.

    Raises:
        FileFormatError: not such a file. ArgumentError: an unknown layer. StateError: weights that do not fit.
    """
    path = os.fspath(filepath)
    content = read(path)
    document: Any = content.document
    if document is None or document.get("kind") != "keras.Sequential":
        raise FileFormatError(
            f"{path} is not a model of keras.Sequential.save; tinygrad_mlp.io.load_model reads those of io.save_model"
        )
    model = Sequential.from_config(document["config"], custom_objects)
    model.set_weights(_weights_in(content.arrays))
    told = document.get("compile")
    if told is None or not compile:
        return model
    model.compile(
        optimizer=optimizers.deserialize(told["optimizer"]),
        loss=losses.deserialize(told["loss"]) if isinstance(told["loss"], dict) else told["loss"],
        metrics=_made_again(told["metrics"]),
        weighted_metrics=_made_again(told["weighted_metrics"]),
    )
    _restore_optimizer(model, document.get("optimizer"), content.arrays)
    return model


def _made_again(given: Any) -> Any:
    if given is None or isinstance(given, str):
        return given
    return [metrics.deserialize(one) if isinstance(one, dict) else one for one in given]


def _restore_optimizer(model: Sequential, states: Sequence[dict[str, Any]] | None, arrays: dict[str, Array]) -> None:
    if states is None or model.optimizer is None:
        return
    weights = model.trainable_weights
    if len(states) != len(weights):
        raise StateError(f"the file remembers {len(states)} weights of the optimizer, the model trains {len(weights)}")
    bound = model.optimizer.build(weights)
    state: dict[int, dict[str, Any]] = {}
    for place, entry in enumerate(states):
        if entry["step"] or entry["arrays"]:
            state[place] = {"step": entry["step"]}
            state[place] |= {name: arrays[f"optimizer/{place}/{name}"] for name in entry["arrays"]}
    bound.load_state_dict({**bound.state_dict(), "state": state})
