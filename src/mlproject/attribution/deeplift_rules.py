"""DeepLIFT's rules for the layers of Keras, and the choice of a rule for any operation of a graph.

The rules of `keras.ops` are in `mlproject.attribution.deeplift_operations`.
"""

from collections.abc import Callable
from functools import reduce
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from mlproject.attribution.deeplift_operations import OPERATIONS, has_rule, linear
from mlproject.attribution.deeplift_pairs import (
    Pair,
    larger,
    largest,
    product,
    rescale,
    softmax,
)
from mlproject.geometry import as_list, window_of
from mlproject.network.relative_attention import RelativeAttention
from mlproject.system.errors import UserError

LINEAR = {
    "Add", "Average", "AveragePooling1D", "BatchNormalization", "Concatenate", "Cropping1D",
    "Dropout", "Flatten", "GaussianDropout", "GaussianNoise", "GlobalAveragePooling1D", "Identity",
    "Permute", "RepeatVector", "Rescaling", "Reshape", "SpatialDropout1D", "Subtract",
    "UpSampling1D", "ZeroPadding1D",
}  # fmt: skip
ELEMENTWISE = {"ELU", "LeakyReLU", "PReLU", "ReLU"}


def propagate(operation: Any, pairs: list[Pair]) -> Pair:
    """Return the outputs of an operation for sequence and reference.

    Args:
        operation: of the graph of a model, with one output and a rule.
        pairs: its inputs.
    """
    rules = RULES if isinstance(operation, keras.Layer) else OPERATIONS
    return rules[type(operation).__name__](operation, pairs)


def check_rule(operation: Any) -> None:
    """Raise a `UserError` if an operation has no rule."""
    kind = type(operation).__name__
    stock = type(operation).__module__.startswith("keras.")
    if isinstance(operation, keras.Layer):
        known = kind in RULES and (stock or isinstance(operation, RelativeAttention))
    else:
        known = stock and has_rule(operation)
    if not known:
        count = len(as_list(operation.input))
        inputs = f" of {count} inputs" if count > 1 else ""
        raise UserError(
            f"`deeplift` has no rule for the layer {operation.name} ({kind}){inputs}: "
            "use integrated_gradients, or ism"
        )


def _layer_norm(layer: keras.Layer, pair: Pair) -> Pair:
    """Return a layer norm: centred values times the reciprocal of their standard deviation."""
    centred = tuple(one - ops.mean(one, axis=-1, keepdims=True) for one in pair)
    squares = rescale(ops.square, (centred[0], centred[1]))
    spread = tuple(ops.mean(one, axis=-1, keepdims=True) + layer.epsilon for one in squares)
    y, z = product(
        ops.multiply, (centred[0], centred[1]), rescale(ops.rsqrt, (spread[0], spread[1]))
    )
    gamma = layer.gamma if layer.scale else 1.0
    beta = layer.beta if layer.center else 0.0
    return y * gamma + beta, z * gamma + beta


def _attention(layer: RelativeAttention, pair: Pair) -> Pair:
    """Return self-attention: products of queries and keys, softmax, products with values."""
    parts = [layer.split(one) for one in pair]
    query, key, value = zip(*parts, strict=True)
    y, z = product(layer.scores, query, key)
    bias = layer.relative()
    y, z = product(layer.weighted, softmax((y + bias, z + bias), -1), value)
    return layer.joined(y), layer.joined(z)


def _affine(layer: keras.Layer, x: Any) -> Any:
    """Return a convolution or dense layer without its activation."""
    if isinstance(layer, layers.Dense):
        y = ops.matmul(x, layer.kernel)
        return y + layer.bias if layer.use_bias else y
    padding, dilation = layer.padding, layer.dilation_rate
    if padding == "causal":
        before = dilation[0] * (layer.kernel_size[0] - 1)
        x, padding = ops.pad(x, ((0, 0), (before, 0), (0, 0))), "valid"
    window = (layer.strides, padding, "channels_last", dilation)
    if isinstance(layer, layers.SeparableConv1D):
        y = ops.separable_conv(x, layer.depthwise_kernel, layer.pointwise_kernel, *window)
    elif isinstance(layer, layers.DepthwiseConv1D):
        y = ops.depthwise_conv(x, layer.kernel, *window)
    else:
        y = ops.conv(x, layer.kernel, *window)
    return y + layer.bias if layer.use_bias else y


def _windows(layer: keras.Layer, length: int) -> np.ndarray:
    """Return the positions that each output of a max-pool reads, (outputs, pool).

    Positions outside the map are replaced by the nearest one inside. The maximum stays the same.
    """
    window = window_of(layer)
    starts = window.start(np.arange(window.outputs(length)), length)
    return np.clip(starts[:, None] + np.arange(window.size), 0, length - 1).astype(np.int32)


def _activated(layer: keras.Layer, pairs: list[Pair]) -> Pair:
    affine = (_affine(layer, pairs[0][0]), _affine(layer, pairs[0][1]))
    return rescale(layer.activation, affine)


def _global_pool(layer: keras.Layer, pairs: list[Pair]) -> Pair:
    y, z = largest(np.arange(pairs[0][0].shape[1])[None], pairs[0])
    return (y, z) if layer.keepdims else (y[:, 0], z[:, 0])


def _multiplied(layer: keras.Layer, pairs: list[Pair]) -> Pair:
    return reduce(lambda one, other: product(ops.multiply, one, other), pairs)


def _smallest(layer: keras.Layer, pairs: list[Pair]) -> Pair:
    y, z = reduce(larger, [(-x, -r) for x, r in pairs])
    return -y, -z


RULES: dict[str, Callable[[Any, list[Pair]], Pair]] = {
    **dict.fromkeys(LINEAR, linear),
    **dict.fromkeys(ELEMENTWISE, lambda layer, pairs: rescale(layer, pairs[0])),
    **dict.fromkeys(("Conv1D", "Dense", "DepthwiseConv1D", "SeparableConv1D"), _activated),
    "Activation": lambda layer, pairs: rescale(layer.activation, pairs[0]),
    "MaxPooling1D": lambda layer, pairs: largest(_windows(layer, pairs[0][0].shape[1]), pairs[0]),
    "GlobalMaxPooling1D": _global_pool,
    "Maximum": lambda layer, pairs: reduce(larger, pairs),
    "Minimum": _smallest,
    "Multiply": _multiplied,
    "Softmax": lambda layer, pairs: softmax(pairs[0], layer.axis),
    "LayerNormalization": lambda layer, pairs: _layer_norm(layer, pairs[0]),
    "RelativeAttention": lambda layer, pairs: _attention(layer, pairs[0]),
}
