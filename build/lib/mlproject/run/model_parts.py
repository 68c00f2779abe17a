"""From a Keras model to the arrays and functions that `mlproject.filters` works on."""

from functools import partial
from typing import Any

import keras
import numpy as np
from keras import ops

from mlproject.filters.ablation import BATCH, NetworkParts
from mlproject.filters.trace import Level
from mlproject.geometry import Window, multiply_adds, window_of
from mlproject.network.backend import forward, value
from mlproject.network.build import stream
from mlproject.network.graph import activation_output, block_output, cut, joins_strands
from mlproject.sequence import one_hot


def network_parts(model: keras.Model, layer: str) -> NetworkParts:
    """Cut a network behind a convolution's activation and behind its block, for `ablate`.

    Raises:
        UserError: the model has no such convolution.
    """
    output = activation_output(model, layer)
    inputs = cut(model, block_output(model, output))
    tail = keras.Model(inputs, model.output)
    outputs, strands = [output, *inputs], 1
    work = multiply_adds(tail)
    if joins_strands(model):
        outputs, strands = [_by_sequence(one) for one in outputs], 2
        tail = _of_sequences(tail)
    return NetworkParts(
        output.shape[-1],
        partial(stream, forward(keras.Model(model.inputs, outputs)), batch_size=BATCH),
        forward(tail),
        strands * work,
    )


def _by_sequence(tensor: Any) -> Any:
    """Return a map of both strands, (2 batch, ...), as one row a sequence, (batch, 2, ...)."""
    return ops.moveaxis(ops.reshape(tensor, (2, -1, *tensor.shape[1:])), 0, 1)


def _of_sequences(tail: keras.Model) -> keras.Model:
    """Return the tail of a network of both strands that reads one row a sequence."""
    inputs = [keras.Input((2, *one.shape[1:])) for one in tail.inputs]
    joined = [ops.reshape(ops.moveaxis(one, 1, 0), (-1, *one.shape[2:])) for one in inputs]
    return keras.Model(inputs, tail(joined))


def trace_levels(model: keras.Model, layer: str, origin: str) -> list[Level]:
    """Return the levels from one convolution down to another, ``conv3`` to ``conv1``."""
    highest, lowest = (int(name.removeprefix("conv")) for name in (layer, origin))
    return [_level(model, one) for one in range(highest, lowest, -1)]


def _level(model: keras.Model, number: int) -> Level:
    convolution = model.get_layer(f"conv{number}")
    sign = np.where(value(model.get_layer(f"conv{number}_bn").gamma) < 0, -1, 1)
    pool = f"conv{number - 1}_pool"
    pools = [window_of(layer) for layer in model.layers if layer.name == pool]
    maps = (activation_output(model, f"conv{number - 1}"), convolution.input)
    below, pooled = (forward(keras.Model(model.inputs, one)) for one in maps)
    return Level(
        value(convolution.kernel) * sign,
        window_of(convolution),
        pools[0] if pools else Window(1),
        lambda codes: below(one_hot(codes)),
        lambda codes: pooled(one_hot(codes)),
    )
