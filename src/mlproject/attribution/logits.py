"""The parts of a network that attributions use: logits, its chain of layers, equal batches."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import keras
import numpy as np
from keras import layers

from mlproject.system.errors import UserError
from mlproject.system.interrupts import check_interrupts

Output = Literal["logit", "probability"]
Progress = Callable[[int, int], None]

BATCH = 100


def silent(done: int, total: int) -> None:
    """Show no progress."""


OUTPUTS = ("sigmoid", "softmax", "softplus", "linear")  # activations of the last layer, by task


def logit_model(model: keras.Model) -> keras.Model:
    """Return the network without its last activation.

    Args:
        model: as `mlproject.network.build.build` returns it, or as MLflow loads it.

    Returns:
        A model from one-hot (batch, length, 4) to logits (batch, classes); for a network of values
        to these, or of counts to the values before the softplus.

    Raises:
        UserError: the network does not end in a dense layer with one of the `OUTPUTS`.
    """
    last = model.outputs[0]._keras_history.operation
    found = getattr(last, "activation", None)
    if not any(found is keras.activations.get(name) for name in OUTPUTS):
        raise UserError(
            f"attributions of logits need a network that ends in {', '.join(OUTPUTS)}: "
            f"got {last.name}"
        )
    if isinstance(last, layers.Activation):
        return keras.Model(model.inputs, last.input, name="logits_of_network")
    if not isinstance(last, layers.Dense):
        raise UserError(
            f"attributions of logits need an activation of a dense layer: got {last.name}"
        )
    name = None if "logits" in {one.name for one in model.layers} else "logits"
    head = layers.Dense(last.units, use_bias=last.use_bias, name=name)
    outputs = head(last.input)
    head.set_weights(last.get_weights())
    return keras.Model(model.inputs, outputs, name="logits_of_network")


def scored_model(model: keras.Model, output: Output) -> keras.Model:
    """Return the network whose outputs are attributed: its `logit_model`, or itself."""
    return logit_model(model) if output == "logit" else model


def selector(targets: np.ndarray, classes: int) -> np.ndarray:
    """Return float32 (rows, classes) with a 1 at each row's class."""
    return np.eye(classes, dtype=np.float32)[targets]


def chosen(outputs: Any, select: Any) -> Any:
    """Return the outputs (batch,) of the classes that `select` (batch, classes) marks."""
    return keras.ops.sum(outputs * select, axis=-1)


def batches(
    arrays: Sequence[np.ndarray], size: int = BATCH
) -> Iterator[tuple[slice, list[np.ndarray]]]:
    """Yield rows of equally long arrays in batches of one size, since each size is compiled.

    The last batch repeats its last row to reach the size. The slice gives the rows that count.
    """
    total = len(arrays[0])
    size = min(size, total)
    for start in range(0, total, size or 1):
        check_interrupts()
        stop = min(start + size, total)
        rows = np.minimum(np.arange(start, start + size), total - 1)
        yield slice(start, stop), [array[rows] for array in arrays]
