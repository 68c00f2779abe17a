"""The parts of a network: convolution blocks, attention, recurrence, dense layers.

Layers are named after their block: ``conv1``, ``conv1_bn``, ``conv1_relu``, ``conv1_pool``,
``conv1_dropout``; residual convolutions are ``conv1_residual1``, ``conv1_residual1_bn`` and so on.
"""

from typing import Any

import keras
from keras import layers, ops

from mlproject.fields import ActivationName
from mlproject.network.activations import activate
from mlproject.network.initial import stream_seed
from mlproject.network.relative_attention import RelativeAttention
from mlproject.spec import Block, RunSpec


def convolution_block(x: Any, spec: RunSpec, number: int) -> Any:
    """Return convolution block `number`, from 1: (batch, positions, channels) to the same rank."""
    block, name = spec.blocks[number - 1], f"conv{number}"
    usual: ActivationName = spec.activation if number == 1 else "relu"
    x = _convolution(spec, block.filters, block.kernel, name, block)(x)
    x = _normalised(x, spec, name, block.activation or usual)
    rate = spec.dropout_conv if block.dropout is None else block.dropout
    dropout = _dropout(spec, rate, name)
    if spec.order == "dropout_pool":
        return _pooled(_residual(dropout(x), spec, block, name), block, name, spec)
    return dropout(_pooled(_residual(x, spec, block, name), block, name, spec))


def attention_block(x: Any, spec: RunSpec, number: int) -> Any:
    """Return one block of self-attention and a dense layer by position, each with a shortcut."""
    name, channels = f"attention{number}", int(x.shape[-1])
    normed = layers.LayerNormalization(epsilon=1e-5, name=f"{name}_norm")(x)
    attended = RelativeAttention(spec.attention_heads, spec.attention_key, name=name)(normed)
    attended = _dropout(spec, spec.dropout_conv, name)(attended)
    x = layers.Add(name=f"{name}_add")([x, attended])
    normed = layers.LayerNormalization(epsilon=1e-5, name=f"{name}_dense_norm")(x)
    inner = layers.Dense(2 * channels, name=f"{name}_dense1", **_kernel(spec))(normed)
    inner = layers.Activation("relu", name=f"{name}_relu")(inner)
    outer = layers.Dense(channels, name=f"{name}_dense2", **_kernel(spec))(inner)
    outer = _dropout(spec, spec.dropout_conv, f"{name}_dense")(outer)
    return layers.Add(name=f"{name}_out")([x, outer])


def recurrent_block(x: Any, spec: RunSpec) -> Any:
    """Return a bidirectional LSTM over the positions, (batch, positions, 2 units)."""
    lstm = layers.LSTM(spec.recurrent, return_sequences=True, name="lstm")
    x = layers.Bidirectional(lstm, name="recurrent")(x)
    return _dropout(spec, spec.dropout_conv, "recurrent")(x)


def head(x: Any, spec: RunSpec) -> Any:
    """Return the map as one vector a sequence."""
    if spec.head == "global_max":
        return layers.GlobalMaxPooling1D(name="global_max")(x)
    if spec.head == "global_average":
        return layers.GlobalAveragePooling1D(name="global_average")(x)
    return layers.Flatten(name="flatten")(x)


def dense_block(x: Any, spec: RunSpec, number: int) -> Any:
    """Return dense layer `number`, from 1, with batch norm, relu and dropout."""
    name = "dense" if number == 1 else f"dense{number}"
    bias = spec.batch_norm == "off"
    units = spec.dense_units[number - 1]
    x = layers.Dense(units, use_bias=bias, name=name, **_kernel(spec))(x)
    return _dropout(spec, spec.dropout_dense, name)(_normalised(x, spec, name, "relu"))


END = {
    "sigmoid": "probabilities", "softmax": "probabilities", "softplus": "values",
    "linear": "values",
}  # fmt: skip
"""Activation -> name of a last layer that is nothing else."""


def output_layer(x: Any, spec: RunSpec, classes: int, activation: str) -> Any:
    """Return the scores of the classes or outputs.

    With shared strands the logits of a sequence and of its reverse complement are averaged.
    """
    factor = spec.l2 if spec.output_l2 is None else spec.output_l2
    options = _kernel(spec) | {
        "kernel_regularizer": keras.regularizers.L2(factor) if factor else None
    }
    shared = spec.strands == "shared"
    options |= {"name": "output", "dtype": "float32"}
    x = layers.Dense(classes, activation="linear" if shared else activation, **options)(x)
    if not shared:
        return x
    logits = ops.mean(ops.reshape(x, (2, -1, classes)), axis=0)
    return layers.Activation(activation, dtype="float32", name=END[activation])(logits)


def _convolution(
    spec: RunSpec, filters: int, width: int, name: str, block: Block | None = None,
    dilation: int = 1,
) -> keras.Layer:  # fmt: skip
    """Return a convolution; stride, padding and dilation are those of `block`, if one is given."""
    window = {"padding": "same", "dilation_rate": dilation}
    if block is not None:
        window = {
            "padding": block.padding, "strides": block.stride, "dilation_rate": block.dilation
        }  # fmt: skip
    bias = spec.batch_norm == "off"
    return layers.Conv1D(filters, width, use_bias=bias, name=name, **window, **_kernel(spec))


def _residual(x: Any, spec: RunSpec, block: Block, name: str) -> Any:
    """Return a map plus a chain of convolutions of it: convolution, norm, relu, and so on."""
    if not block.residual:
        return x
    shortcut, dilation = x, 1
    for number in range(1, block.residual + 1):
        own = f"{name}_residual{number}"
        x = _convolution(spec, block.filters, block.kernel_residual, own, dilation=dilation)(x)
        last = number == block.residual
        x = _normalised(x, spec, own, None if last else "relu")
        dilation *= block.dilation_residual
    x = layers.Add(name=f"{name}_add")([shortcut, x])
    return layers.Activation("relu", name=f"{name}_add_relu")(x)


def _normalised(x: Any, spec: RunSpec, name: str, activation: ActivationName | None) -> Any:
    if spec.batch_norm == "on":
        norm = layers.BatchNormalization(
            momentum=spec.bn_momentum, epsilon=spec.bn_epsilon, name=f"{name}_bn"
        )
        x = norm(x)
    return x if activation is None else activate(x, activation, name)


def _pooled(x: Any, block: Block, name: str, spec: RunSpec) -> Any:
    if block.pool == 1:
        return x
    if block.pooling == "attention":
        return _attention_pool(x, block, f"{name}_pool", spec)
    kind = layers.MaxPooling1D if block.pooling == "max" else layers.AveragePooling1D
    return kind(block.pool, block.pool_stride, padding=block.pool_padding, name=f"{name}_pool")(x)


def _attention_pool(x: Any, block: Block, name: str, spec: RunSpec) -> Any:
    """Return the mean of each window with softmax weights, by channel.

    Source: Avsec et al., Nature Methods 18, 1196-1203 (2021), Enformer.
    """
    length, channels, size = int(x.shape[1]), int(x.shape[2]), block.pool
    count, rest = divmod(length, size)
    if rest:
        x = layers.Cropping1D((0, rest), name=f"{name}_crop")(x)
    windows = layers.Reshape((count, size, channels), name=f"{name}_windows")(x)
    logits = layers.Dense(channels, use_bias=False, name=f"{name}_logits", **_kernel(spec))(windows)
    weights = layers.Softmax(axis=2, name=f"{name}_weights")(logits)
    weighted = layers.Multiply(name=f"{name}_weighted")([windows, weights])
    weighted = layers.Reshape((count * size, channels), name=f"{name}_map")(weighted)
    mean = layers.AveragePooling1D(size, name=f"{name}_mean")(weighted)
    return layers.Rescaling(float(size), name=name)(mean)


def _kernel(spec: RunSpec) -> dict[str, Any]:
    regularizer = keras.regularizers.L2(spec.l2) if spec.l2 else None
    return {"kernel_initializer": spec.init, "kernel_regularizer": regularizer}


def _dropout(spec: RunSpec, rate: float, name: str) -> keras.Layer:
    name = f"{name}_dropout"
    return layers.Dropout(rate, seed=stream_seed(spec.seed, name), name=name)
