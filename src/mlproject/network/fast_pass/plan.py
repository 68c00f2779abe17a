"""Which parts of a model's graph the fast pass computes itself, found in the graph.

A *block* is a convolution, perhaps its batch norm, perhaps its activation, perhaps dropout, and the
max-pool behind it, where nothing else reads the maps between them. In a chain of blocks the pool
may be missing too; elsewhere a convolution without a pool would become slower (residual
convolutions: 1.7 times). A max-pool that no block holds is a step of its own.
"""

import itertools
from collections.abc import Mapping
from typing import Any, NamedTuple

import keras
from keras import layers

from mlproject.network.graph import is_power, readers

MONOTONIC = tuple(
    keras.activations.get(name)
    for name in (
        "relu", "relu6", "leaky_relu", "elu", "selu", "softplus", "softsign", "sigmoid", "tanh",
        "hard_sigmoid", "hard_tanh", "log_sigmoid", "exponential", "linear",
    )
)  # fmt: skip
"""Activations that keep the order of values, so that the maximum can be taken before them."""

CUBE = 3  # factors
MATRIX = 2  # dimensions
CHAINED = (
    layers.Dropout, layers.Flatten, layers.Dense, layers.BatchNormalization, layers.Activation,
)  # fmt: skip


class Block(NamedTuple):
    """One convolution block of a graph.

    Attributes:
        convolution: padded to ``same``, without dilation and groups; perhaps with a bias.
        norm: batch norm over the channels, None if there is none.
        activations: layers of functions that do not decrease, each value by itself.
        dropout: before the pool, None if there is none.
        pool: max-pool, None if there is none.
    """

    convolution: layers.Conv1D
    norm: layers.BatchNormalization | None = None
    activations: tuple[Any, ...] = ()
    dropout: layers.Dropout | None = None
    pool: layers.MaxPooling1D | None = None

    @property
    def layers(self) -> list[Any]:
        """The layers of the block in the order of computation."""
        rest = (*self.activations, self.dropout, self.pool)
        return [one for one in (self.convolution, self.norm, *rest) if one is not None]

    @property
    def output(self) -> Any:
        """The tensor of the graph that the block ends in."""
        return self.layers[-1].output


Step = Block | Any


def plan(model: keras.Model) -> list[Step]:
    """Return the blocks and the other operations of a model in the order of computation."""
    steps = _steps(model, pooled=False)
    return steps if _is_chain(model, steps) else _steps(model, pooled=True)


def is_chain_of_blocks(model: keras.Model) -> bool:
    """Return whether a model is a chain of the paper's blocks and of dense layers, in float32."""
    float32 = all(layer.compute_dtype == "float32" for layer in model.layers)
    return float32 and _is_chain(model, _steps(model, pooled=False))


def _is_chain(model: keras.Model, steps: list[Step]) -> bool:
    pairs = itertools.pairwise(model.layers)
    chained = all(after.input is before.output for before, after in pairs)
    return chained and len(model.operations) == len(model.layers) and all(map(_is_known, steps))


def _is_known(step: Step) -> bool:
    if not isinstance(step, Block):
        return type(step) in CHAINED
    plain = step.convolution.activation is keras.activations.linear
    stock = [type(one) for one in step.activations] == [layers.Activation]
    unusual = step.convolution.use_bias or step.norm is None or step.dropout is not None
    return plain and stock and not unusual


def _steps(model: keras.Model, pooled: bool) -> list[Step]:
    """Return `plan` with blocks that have a pool only, or with all blocks."""
    known = readers(model)
    steps: list[Step] = []
    within: set[int] = set()
    for operation in model.operations:
        if isinstance(operation, layers.InputLayer) or id(operation) in within:
            continue
        block = _block(operation, known) if type(operation) is layers.Conv1D else None
        if block is not None and pooled and block.pool is None:
            block = None
        if block is not None:
            within |= {id(one) for one in block.layers}
        steps.append(block or operation)
    return steps


def _block(convolution: layers.Conv1D, known: Mapping[int, list[Any]]) -> Block | None:
    """Return the block that begins with a convolution, None if it is computed as it is."""
    plain = (
        convolution.padding == "same"
        and convolution.dilation_rate == (1,)
        and convolution.groups == 1
        and convolution.data_format == "channels_last"
        and _is_plain(convolution)
    )
    if not plain:
        return None
    block = Block(convolution)
    inner = convolution.activation is keras.activations.linear
    if inner and _fits_norm(layer := _reader(block, known)):
        block = block._replace(norm=layer)
    while _fits_activation(layer := _reader(block, known)):
        block = block._replace(activations=(*block.activations, layer))
    dropped = block._replace(dropout=layer) if is_dropout(layer) else block
    if not _fits_pool(layer := _reader(dropped, known)):
        return block
    if convolution.activation not in MONOTONIC:
        return None
    return dropped._replace(pool=layer)


def _reader(block: Block, known: Mapping[int, list[Any]]) -> Any:
    """Return the operation that alone reads a block's output, None if there is none."""
    own = known[id(block.output)]
    return own[0] if len(own) == 1 else None


def _fits_norm(layer: Any) -> bool:
    return (
        type(layer) is layers.BatchNormalization
        and layer.scale
        and layer.center
        and layer.trainable
        and layer.axis in (-1, 2)
        and not layer.synchronized
        and _is_plain(layer)
    )


def _fits_activation(layer: Any) -> bool:
    """Return whether a layer is a function of each value that does not decrease."""
    if type(layer) is layers.Multiply:
        return is_power(layer) and len(layer.input) == CUBE and _is_plain(layer)
    if type(layer) is layers.Rescaling:
        plain = isinstance(layer.scale, float) and isinstance(layer.offset, float)
        return plain and layer.scale > 0 and _is_plain(layer)
    return type(layer) is layers.Activation and layer.activation in MONOTONIC and _is_plain(layer)


def is_dropout(layer: Any) -> bool:
    """Return whether a layer is dropout of single values."""
    return type(layer) is layers.Dropout and layer.noise_shape is None


def _fits_pool(layer: Any) -> bool:
    """Return whether a max-pool gives what one padded to ``same`` does."""
    if not _is_max_pool(layer):
        return False
    (window,), (step,), length = layer.pool_size, layer.strides, layer.input.shape[1]
    whole = length is not None and window == step and length % step == 0
    return layer.padding == "same" or whole


def is_pool_alone(layer: Any) -> bool:
    """Return whether a layer is a max-pool that `pool.window_max` computes faster than Keras."""
    if not _is_max_pool(layer):
        return False
    (window,), (step,) = layer.pool_size, layer.strides
    joined = window % step == 0 if layer.padding == "same" else window == step
    return joined and layer.input.shape[1] is not None


def is_dense(layer: Any) -> bool:
    """Return whether a layer is a dense one of rows, with float32 weights of its own."""
    if type(layer) is not layers.Dense or not _is_plain(layer):
        return False
    stock = layer.quantization_mode is None and not layer.lora_enabled
    return stock and layer.input.ndim == MATRIX


def _is_max_pool(layer: Any) -> bool:
    stock = type(layer) is layers.MaxPooling1D and layer.data_format == "channels_last"
    return stock and _is_plain(layer)


def _is_plain(layer: Any) -> bool:
    return layer.compute_dtype == "float32" and layer.activity_regularizer is None
