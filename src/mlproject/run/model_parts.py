"""From a Keras model to the arrays and functions that `mlproject.filters` works on."""

from functools import partial

import keras
import numpy as np

from mlproject.filters.ablation import BATCH, NetworkParts
from mlproject.filters.trace import Level
from mlproject.geometry import Window, multiply_adds, window_of
from mlproject.network.backend import forward, value
from mlproject.network.build import stream
from mlproject.network.graph import activation_output, block_output, cut
from mlproject.sequence import one_hot


def network_parts(model: keras.Model, layer: str) -> NetworkParts:
    """Cut a network behind a convolution's activation and behind its block, for `ablate`.

    Raises:
        UserError: the model has no such convolution.
    """
    output = activation_output(model, layer)
    inputs = cut(model, block_output(model, output))
    head, tail = keras.Model(model.inputs, [output, *inputs]), keras.Model(inputs, model.output)
    return NetworkParts(
        output.shape[-1],
        partial(stream, forward(head), batch_size=BATCH),
        forward(tail),
        multiply_adds(tail),
    )


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
