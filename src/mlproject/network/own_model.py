"""Models made by a function: of the zoo, or of a Python file of the user's.

The function takes ``(length, classes, **arguments)`` and returns a Keras model from one-hot
sequences (batch, length, 4) to probabilities or values, or to logits, (batch, classes). Its weights
are drawn by Keras from the run's seed; they depend on the backend.
"""

import importlib.util
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FunctionType
from typing import Any

import keras
from keras import layers

from mlproject.architectures import trusted_file
from mlproject.network.blocks import END
from mlproject.network.initial import stream_seed
from mlproject.network.model_checks import check_model, check_parts
from mlproject.spec import RunSpec
from mlproject.system.errors import UserError, nearest, reason


def build_own(spec: RunSpec, length: int, classes: int, activation: str = "sigmoid") -> keras.Model:
    """Return the model of a spec's function with its initial weights.

    Its last layer has the activation of the task: a last sigmoid becomes that activation, and a
    model that ends in other values gets it behind them.

    Raises:
        UserError: no such function, its file has changed, it fails, or it returns something else.
    """
    function, shortest = _function(spec)
    if length < shortest:
        raise UserError(
            f"`model`: {spec.model} needs sequences of at least {shortest} nt: got {length}"
        )
    keras.utils.clear_session(free_memory=False)  # unnamed layers have the same names each time
    keras.utils.set_random_seed(stream_seed(spec.seed, "model"))
    usual = keras.config.dtype_policy()
    try:
        with _checked_copies(spec.model), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The object being serialized includes a `lambda`")
            model = function(length, classes, **spec.arguments)
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        raise UserError(
            f"`model`: {spec.model} must return a model for length={length}, classes={classes} and "
            f"the arguments {spec.model_args}: it says '{type(error).__name__}: {reason(error)}'"
            + _line(error, function)
        ) from error
    finally:
        keras.config.set_dtype_policy(usual)
    check_model(model, spec.model, length, classes, activation)
    return _with_activation(model, activation)


def _function(spec: RunSpec) -> tuple[Callable[..., Any], int]:
    """Return the function, and the shortest sequences that it takes: its module's `SHORTEST`."""
    path = trusted_file(spec)
    name = spec.model.rpartition(":")[2] if ":" in spec.model else "build"
    loader = importlib.util.spec_from_file_location(f"own_model_{spec.model_sha256[:12]}", path)
    assert loader is not None and loader.loader is not None
    module = importlib.util.module_from_spec(loader)
    try:
        loader.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise UserError(
            f"`model`: {path} must be importable: it says '{type(error).__name__}: {reason(error)}'"
        ) from error
    function = getattr(module, name, None)
    if not callable(function):
        names = [one for one, value in vars(module).items() if isinstance(value, FunctionType)]
        raise UserError(
            f"`model`: {path} must have a function {name}: "
            + (nearest(name, names) if names else "it has none")
        )
    shortest = getattr(module, "SHORTEST", 1)
    if not isinstance(shortest, int):
        raise UserError(f"`model`: SHORTEST of {path} must be an integer: got {shortest!r}")
    return function, shortest


@contextmanager
def _checked_copies(name: str) -> Iterator[None]:
    """Check the parts of each layer that Keras copies, as `Bidirectional` copies its layer.

    Keras copies the config, in which a function stands by its name only: the copy of a layer with
    an own `relu` has Keras' function of this name.
    """
    usual = keras.Layer.get_config
    copied: list[keras.Layer] = []  # inner layers come before those that hold them

    def get_config(layer: keras.Layer) -> dict[str, Any]:
        copied.append(layer)
        return usual(layer)

    keras.Layer.get_config = get_config
    try:
        yield
    finally:
        keras.Layer.get_config = usual
        for layer in reversed(copied):
            check_parts(layer, name)


def _line(error: BaseException, function: Callable[..., Any]) -> str:
    """Return the last line of the function's file that an error passed, or nothing."""
    path = getattr(getattr(function, "__code__", None), "co_filename", None)
    lines = [at.lineno for at in traceback.extract_tb(error.__traceback__) if at.filename == path]
    return f" in line {lines[-1]}" if lines else ""


def _with_activation(model: keras.Model, name: str) -> keras.Model:
    """Return a graph of layers that ends in an activation; one that ends in logits gets it."""
    wanted = keras.activations.get(name)
    last = model.outputs[0]._keras_history.operation
    found = getattr(last, "activation", None)
    if found is wanted:
        stock = type(model) is type(keras.Model(model.inputs, model.outputs))
        return model if stock else keras.Model(model.inputs, model.outputs[0], name="network")
    if found is keras.activations.sigmoid:
        last.activation = wanted
        return keras.Model(model.inputs, model.outputs[0], name="network")
    names = {one.name for one in model.layers}
    end = END[name] if END[name] not in names else None
    output = layers.Activation(name, dtype="float32", name=end)
    return keras.Model(model.inputs, output(model.outputs[0]), name="network")
